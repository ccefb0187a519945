/* memory.c: memory whose pages exist from the start, large ones where there are enough bytes to fill them.
 *
 * The system takes longer to make a page than to fill it with zeros, and a large page is 512 made at once. Only bytes
 * that fill large pages ask for them, so no more memory is taken than without.
 */
#include "linux_abi.h"
#include "platform.h"

#define LARGE_PAGE ((size_t)2 << 20) /* where pages are 4 KB; elsewhere they are larger, and so not asked for */
#define SPARE (LARGE_PAGE / 32)

size_t edge_os_filled(size_t nbytes) {
    size_t missing = -nbytes & (LARGE_PAGE - 1);
    return missing <= SPARE ? nbytes + missing : nbytes;
}

void *edge_os_alloc(size_t nbytes) {
    size_t large = nbytes & ~(LARGE_PAGE - 1);
    if (large == 0) return edge_os_map(NULL, nbytes, true);
    /* The system chooses a place between two large pages. Just below it there mostly is room too. */
    void *chosen = edge_os_map(NULL, nbytes, false);
    if (chosen == NULL) return NULL;
    edge_os_unmap(chosen, nbytes);
    void *memory = edge_os_map((void *)((uintptr_t)chosen & ~(LARGE_PAGE - 1)), nbytes, false);
    if (memory == NULL) return NULL;
    edge_os_advise(memory, large, MADV_HUGEPAGE_);
    edge_os_advise(memory, nbytes, MADV_POPULATE_WRITE_); /* before Linux 5.14, pages come as they are touched */
    return memory;
}

void edge_os_free(void *memory, size_t nbytes) { edge_os_unmap(memory, nbytes); }
