/* platform_posix.c: the platform by libc and pthreads.
 *
 * The functions are declared here, in the form that bionic, glibc and musl share on 64-bit Linux, instead of taken
 * from headers: the Android library is built without an NDK, and what is compiled there is what the tests run here.
 */
#include "linux_abi.h"
#include "platform.h"

extern void *mmap(void *address, size_t nbytes, int protection, int flags, int file, long offset);
extern int madvise(void *memory, size_t nbytes, int advice);
extern int munmap(void *address, size_t nbytes);
extern int open(const char *path, int flags, ...);
extern long lseek(int file, long offset, int whence);
extern long read(int file, void *buffer, size_t nbytes);
extern int close(int file);
extern int getpid(void);
extern int clock_gettime(int clock, linux_timespec *time);
extern unsigned long getauxval(unsigned long type);
extern long syscall(long number, ...);
extern int sched_getaffinity(int pid, size_t nbytes, edge_cpu_set *set);
extern int sched_getcpu(void);
extern int sched_setaffinity(int pid, size_t nbytes, const edge_cpu_set *set);
extern int pthread_create(unsigned long *thread, const void *attributes, void *(*main)(void *), void *argument);
extern int pthread_join(unsigned long thread, void **result);
extern int pthread_sigmask(int how, const void *set, void *old);

#if defined(__x86_64__)
enum { SYS_FUTEX = 202, SYS_GETTID = 186 };
#elif defined(__aarch64__) || defined(__riscv)
enum { SYS_FUTEX = 98, SYS_GETTID = 178 };
#else
#error "platform_posix.c needs this architecture's numbers of futex and gettid"
#endif

static void *map(void *wish, size_t nbytes, int protection, int flags, int file) {
    void *memory = mmap(wish, nbytes, protection, flags, file, 0);
    return (intptr_t)memory == -1 ? NULL : memory;
}

void *edge_os_map(void *wish, size_t nbytes, bool exist) {
    int flags = MAP_PRIVATE_ | MAP_ANONYMOUS_ | (exist ? MAP_POPULATE_ : 0);
    return map(wish, nbytes, PROT_READ_ | PROT_WRITE_, flags, -1);
}

void edge_os_advise(void *memory, size_t nbytes, int advice) { madvise(memory, nbytes, advice); }

void edge_os_unmap(void *memory, size_t nbytes) { munmap(memory, nbytes); }

bool edge_os_map_file(const char *path, const uint8_t **data, size_t *nbytes) {
    int file = open(path, O_RDONLY_ | O_CLOEXEC_);
    if (file < 0) return false;
    long size = lseek(file, 0, SEEK_END_);
    *nbytes = (size_t)size;
    *data = map(NULL, *nbytes, PROT_READ_, MAP_PRIVATE_, file); /* not where nothing is there, or the size is unknown */
    close(file);
    return size == 0 || *data != NULL;
}

long edge_os_read_file(const char *path, void *buffer, size_t capacity) {
    int file = open(path, O_RDONLY_ | O_CLOEXEC_);
    if (file < 0) return -1;
    size_t have = 0;
    long got = 0;
    do {
        got = read(file, (char *)buffer + have, capacity - have);
        if (got > 0) have += (size_t)got;
    } while (got > 0 && have < capacity);
    close(file);
    return got < 0 ? -1 : (long)have;
}

uint64_t edge_os_now_ns(void) {
    linux_timespec now = {0, 0};
    clock_gettime(CLOCK_MONOTONIC_, &now);
    return (uint64_t)now.seconds * 1000000000u + (uint64_t)now.nanoseconds;
}

void edge_os_hwcap(uint64_t hwcap[2]) {
    hwcap[0] = getauxval(AUX_HWCAP);
    hwcap[1] = getauxval(AUX_HWCAP2);
}

bool edge_os_get_cpus(edge_cpu_set *set) {
    *set = (edge_cpu_set){{0}};
    return sched_getaffinity(0, sizeof *set, set) == 0;
}

int32_t edge_os_current_cpu(void) { return sched_getcpu(); }

void edge_os_wait(_Atomic uint32_t *word, uint32_t expected) {
    syscall(SYS_FUTEX, word, FUTEX_WAIT_ | FUTEX_PRIVATE_, expected, NULL);
}

void edge_os_wake_all(_Atomic uint32_t *word) {
    syscall(SYS_FUTEX, word, FUTEX_WAKE_ | FUTEX_PRIVATE_, INT32_MAX);
}

static void *thread_main(void *argument) {
    edge_thread *thread = argument;
    atomic_store_explicit(&thread->tid, (uint32_t)syscall(SYS_GETTID), memory_order_release);
    edge_os_wake_all(&thread->tid);
    thread->main(thread->argument);
    return NULL;
}

bool edge_os_thread_start(edge_thread *thread, void (*main)(void *), void *argument) {
    thread->process = getpid();
    thread->main = main;
    thread->argument = argument;
    atomic_init(&thread->tid, 0);
    uint64_t all[16], before[16]; /* sigset_t is 8 bytes in bionic, 128 in glibc and musl */
    for (int i = 0; i < 16; i++) all[i] = UINT64_MAX;
    pthread_sigmask(SIG_SETMASK_, all, before);
    int error = pthread_create(&thread->handle, NULL, thread_main, thread);
    pthread_sigmask(SIG_SETMASK_, before, NULL);
    while (error == 0 && atomic_load_explicit(&thread->tid, memory_order_acquire) == 0) edge_os_wait(&thread->tid, 0);
    return error == 0;
}

void edge_os_thread_join(edge_thread *thread) {
    if (thread->process == getpid()) pthread_join(thread->handle, NULL);
}

bool edge_os_set_cpus(const edge_thread *thread, const edge_cpu_set *set) {
    if (thread != NULL && thread->process != getpid()) return false;
    uint32_t tid = thread != NULL ? atomic_load_explicit(&thread->tid, memory_order_relaxed) : 0;
    return sched_setaffinity((int)tid, sizeof *set, set) == 0;
}
