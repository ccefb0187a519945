/* kernel_runner.c: calls one kernel on memory that ends at an unreadable page. See kernel_harness.py.
 *
 * stdin:  int32 sizes[OPERANDS], slacks[OPERANDS], offsets[OPERANDS], n, params[n], n, (begin, end)[n], then for every
 *         operand GUARD bytes, its `size` bytes and `slack` bytes. The kernel gets a pointer to byte `offset` of it.
 * stdout: the operands' bytes (guard and slack included) after the calls.
 */
#include <stddef.h>
#include <stdint.h>

#include "linux_raw.h"

enum { OPERANDS = 5, GUARD = 64, PAGE = 4096, MAX_PARAMS = 64, MAX_RANGES = 64 };

extern void kernel(void *, void *, void *, void *, void *, const int32_t *, int32_t, int32_t);

/* The barriers keep the compiler from turning these loops into calls of themselves. */
void *memcpy(void *restrict to, const void *restrict from, size_t n) {
    for (size_t i = 0; i < n; i++) {
        ((char *)to)[i] = ((const char *)from)[i];
        __asm__ volatile("" ::: "memory");
    }
    return to;
}

void *memset(void *to, int value, size_t n) {
    for (size_t i = 0; i < n; i++) {
        ((char *)to)[i] = (char)value;
        __asm__ volatile("" ::: "memory");
    }
    return to;
}

static void transfer(long call, int fd, void *data, size_t n) {
    for (char *p = data; n > 0;) {
        long done = linux_call3(call, fd, p, n);
        if (done <= 0) linux_call1(SYS_EXIT_GROUP, 3);
        p += done, n -= (size_t)done;
    }
}

static char *map(size_t size) {
    size_t usable = (size + PAGE - 1) / PAGE * PAGE;
    long base = linux_call(SYS_MMAP, 0, (long)(usable + PAGE), 3, 0x22, -1, 0);
    linux_call3(SYS_MPROTECT, base + (long)usable, PAGE, 0);
    return (char *)base + usable - size;
}

int run_main(int argc, char **argv) {
    static int32_t sizes[OPERANDS], slacks[OPERANDS], offsets[OPERANDS], params[MAX_PARAMS], ranges[MAX_RANGES][2], count;
    char *memory[OPERANDS];
    (void)argc, (void)argv;
    transfer(SYS_READ, 0, sizes, sizeof sizes);
    transfer(SYS_READ, 0, slacks, sizeof slacks);
    transfer(SYS_READ, 0, offsets, sizeof offsets);
    transfer(SYS_READ, 0, &count, sizeof count);
    if (count > MAX_PARAMS) return 4;
    transfer(SYS_READ, 0, params, (size_t)count * 4);
    transfer(SYS_READ, 0, &count, sizeof count);
    if (count > MAX_RANGES) return 4;
    transfer(SYS_READ, 0, ranges, (size_t)count * 8);
    for (int i = 0; i < OPERANDS; i++) {
        size_t size = (size_t)GUARD + (size_t)sizes[i] + (size_t)slacks[i];
        memory[i] = map(size);
        transfer(SYS_READ, 0, memory[i], size);
    }
    void *p[OPERANDS];
    for (int i = 0; i < OPERANDS; i++) p[i] = memory[i] + GUARD + offsets[i];
    for (int r = 0; r < count; r++) kernel(p[0], p[1], p[2], p[3], p[4], params, ranges[r][0], ranges[r][1]);
    for (int i = 0; i < OPERANDS; i++) {
        transfer(SYS_WRITE, 1, memory[i], (size_t)GUARD + (size_t)sizes[i] + (size_t)slacks[i]);
    }
    return 0;
}
