/* platform.h: all that the runtime asks of the operating system (Linux and Android).
 *
 * platform_raw.c answers with system calls alone: for the static runner, and for the shared library on Linux, which so
 * needs no libc and loads into glibc and musl programs of any age. platform_posix.c answers with libc and pthreads:
 * for Android apps, and for sanitizer builds.
 */
#ifndef EDGE_PLATFORM_H
#define EDGE_PLATFORM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EDGE_MAX_CPUS 1024
typedef struct edge_cpu_set {
    uint64_t bits[EDGE_MAX_CPUS / 64];
} edge_cpu_set;

typedef struct edge_thread {
    void (*main)(void *);
    void *argument;
    long process;         /* that started it: after a fork the child has no such thread */
    uint8_t *stack;       /* raw: mapping with its guard at the low end */
    _Atomic uint32_t tid; /* raw: the kernel clears it when the thread has ended */
    unsigned long handle; /* posix */
} edge_thread;

/* Zeroed, page-aligned memory, or NULL. All its pages exist from the start: a fault for each, in the first inference,
 * would take longer than all of them at once. */
void *edge_os_alloc(size_t nbytes);
void edge_os_free(void *memory, size_t nbytes); /* or a file's mapping */

/* As many bytes, or some more (64 KB at most) if these fill a large page, which is made and read faster. */
size_t edge_os_filled(size_t nbytes);

/* What these (memory.c) are made of. Zeroed memory, at `wish` if there is room, or NULL; its pages `exist` from the
 * start, or come as they are touched. Advice (MADV_...) is taken where the system knows it. */
void *edge_os_map(void *wish, size_t nbytes, bool exist);
void edge_os_unmap(void *memory, size_t nbytes);
void edge_os_advise(void *memory, size_t nbytes, int advice);

/* Maps a whole file read-only. Returns false if that fails; an empty file gives NULL and 0. */
bool edge_os_map_file(const char *path, const uint8_t **data, size_t *nbytes);
/* Reads at most `capacity` bytes of a file such as /sys/...; returns their number, or -1. */
long edge_os_read_file(const char *path, void *buffer, size_t capacity);

uint64_t edge_os_now_ns(void);
/* The kernel's auxiliary values AT_HWCAP and AT_HWCAP2 (0 where they cannot be read). */
void edge_os_hwcap(uint64_t hwcap[2]);

/* CPUs that the calling thread may use. */
bool edge_os_get_cpus(edge_cpu_set *set);
/* The CPU that the calling thread runs on, or -1. */
int32_t edge_os_current_cpu(void);

/* Sleeps until woken, unless *word differs from `expected`; may return early. */
void edge_os_wait(_Atomic uint32_t *word, uint32_t expected);
void edge_os_wake_all(_Atomic uint32_t *word);

/* Threads take no signals. `thread` must stay in place until joined. */
#define EDGE_THREAD_STACK ((size_t)16 << 10) /* a run (edge.h), and the worker */
#define EDGE_THREAD_GUARD ((size_t)64 << 10)
bool edge_os_thread_start(edge_thread *thread, void (*main)(void *), void *argument);
/* Waits for the thread's end, except in a process that has only inherited its memory. */
void edge_os_thread_join(edge_thread *thread);
/* Lets a thread that this process has started, or the calling one (NULL), run on these CPUs only. */
bool edge_os_set_cpus(const edge_thread *thread, const edge_cpu_set *set);

#endif
