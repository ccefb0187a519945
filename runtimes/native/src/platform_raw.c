/* platform_raw.c: the platform as system calls, without a libc.
 *
 * Its threads are unknown to the libc of the program that loads the library. That is sound because they run nothing
 * but this runtime and its kernels, which call no libc function and touch no thread-local storage; because all signals
 * are blocked in them, so that no handler of the program can run there; and because the kernel gives a thread made by
 * clone(CLONE_VM) neither robust list nor rseq area of its parent. In return the library has no dependency at all.
 */
#include "linux_abi.h"
#include "linux_raw.h"
#include "platform.h"

static bool failed(long result) { return result < 0 && result >= -4095; }

static void *map(void *wish, size_t nbytes, int protection, int flags, int file) {
    long result = linux_call(SYS_MMAP, (long)wish, (long)nbytes, protection, flags, file, 0);
    return failed(result) ? NULL : (void *)result;
}

void *edge_os_map(void *wish, size_t nbytes, bool exist) {
    int flags = MAP_PRIVATE_ | MAP_ANONYMOUS_ | (exist ? MAP_POPULATE_ : 0);
    return map(wish, nbytes, PROT_READ_ | PROT_WRITE_, flags, -1);
}

void edge_os_advise(void *memory, size_t nbytes, int advice) { linux_call3(SYS_MADVISE, memory, nbytes, advice); }

void edge_os_unmap(void *memory, size_t nbytes) { linux_call2(SYS_MUNMAP, memory, nbytes); }

static long open_file(const char *path) {
    return linux_call4(SYS_OPENAT, AT_FDCWD_, path, O_RDONLY_ | O_CLOEXEC_, 0);
}

bool edge_os_map_file(const char *path, const uint8_t **data, size_t *nbytes) {
    long file = open_file(path);
    if (failed(file)) return false;
    long size = linux_call3(SYS_LSEEK, file, 0, SEEK_END_);
    *nbytes = (size_t)size;
    *data = map(NULL, *nbytes, PROT_READ_, MAP_PRIVATE_, (int)file); /* not where nothing is there, or the size is unknown */
    linux_call1(SYS_CLOSE, file);
    return size == 0 || *data != NULL;
}

long edge_os_read_file(const char *path, void *buffer, size_t capacity) {
    long file = open_file(path);
    if (failed(file)) return -1;
    size_t have = 0;
    long got = 0;
    do {
        got = linux_call3(SYS_READ, file, (char *)buffer + have, capacity - have);
        if (got > 0) have += (size_t)got;
    } while ((got > 0 && have < capacity) || got == -EINTR_);
    linux_call1(SYS_CLOSE, file);
    return got < 0 ? -1 : (long)have;
}

uint64_t edge_os_now_ns(void) {
    linux_timespec now = {0, 0};
    linux_call2(SYS_CLOCK_GETTIME, CLOCK_MONOTONIC_, &now);
    return (uint64_t)now.seconds * 1000000000u + (uint64_t)now.nanoseconds;
}

void edge_os_hwcap(uint64_t hwcap[2]) {
    uint64_t pairs[128]; /* about 25 entries in practice */
    long nbytes = edge_os_read_file("/proc/self/auxv", pairs, sizeof pairs);
    hwcap[0] = hwcap[1] = 0;
    for (long i = 0; i + 1 < nbytes / 8; i += 2) {
        if (pairs[i] == AUX_HWCAP) hwcap[0] = pairs[i + 1];
        if (pairs[i] == AUX_HWCAP2) hwcap[1] = pairs[i + 1];
    }
}

bool edge_os_get_cpus(edge_cpu_set *set) {
    *set = (edge_cpu_set){{0}};
    return !failed(linux_call3(SYS_GETAFFINITY, 0, sizeof *set, set));
}

int32_t edge_os_current_cpu(void) {
    uint32_t cpu;
    return failed(linux_call3(SYS_GETCPU, &cpu, 0, 0)) ? -1 : (int32_t)cpu;
}

void edge_os_wait(_Atomic uint32_t *word, uint32_t expected) {
    linux_call4(SYS_FUTEX, word, FUTEX_WAIT_ | FUTEX_PRIVATE_, expected, 0);
}

void edge_os_wake_all(_Atomic uint32_t *word) {
    linux_call3(SYS_FUTEX, word, FUTEX_WAKE_ | FUTEX_PRIVATE_, INT32_MAX);
}

static void release_stack(edge_thread *thread) { edge_os_unmap(thread->stack, EDGE_THREAD_GUARD + EDGE_THREAD_STACK); }

bool edge_os_thread_start(edge_thread *thread, void (*main)(void *), void *argument) {
    thread->process = linux_call0(SYS_GETPID);
    thread->stack = edge_os_map(NULL, EDGE_THREAD_GUARD + EDGE_THREAD_STACK, false); /* few of its pages will be touched */
    if (thread->stack == NULL) return false;
    linux_call3(SYS_MPROTECT, thread->stack, EDGE_THREAD_GUARD, PROT_NONE_);
    uintptr_t *top = (uintptr_t *)(void *)(thread->stack + EDGE_THREAD_GUARD + EDGE_THREAD_STACK) - 2;
    top[0] = (uintptr_t)main;
    top[1] = (uintptr_t)argument;

    /* The child inherits the mask: blocked before, restored after, no signal ever finds the new thread. */
    uint64_t all = UINT64_MAX, before = 0;
    linux_call4(SYS_SIGPROCMASK, SIG_SETMASK_, &all, &before, sizeof before);
    long tid = linux_clone(top, &thread->tid);
    linux_call4(SYS_SIGPROCMASK, SIG_SETMASK_, &before, 0, sizeof before);
    if (failed(tid)) release_stack(thread);
    return !failed(tid);
}

void edge_os_thread_join(edge_thread *thread) {
    bool mine = thread->process == linux_call0(SYS_GETPID);
    for (uint32_t tid; mine && (tid = atomic_load_explicit(&thread->tid, memory_order_acquire)) != 0;) {
        linux_call4(SYS_FUTEX, &thread->tid, FUTEX_WAIT_, tid, 0); /* the kernel's wake is not a private one */
    }
    release_stack(thread);
}

bool edge_os_set_cpus(const edge_thread *thread, const edge_cpu_set *set) {
    if (thread != NULL && thread->process != linux_call0(SYS_GETPID)) return false;
    uint32_t tid = thread != NULL ? atomic_load_explicit(&thread->tid, memory_order_relaxed) : 0;
    return !failed(linux_call3(SYS_SETAFFINITY, tid, sizeof *set, set));
}
