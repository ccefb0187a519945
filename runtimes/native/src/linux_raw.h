/* linux_raw.h: system calls and thread creation without a libc, for x86-64, AArch64 and RISC-V. */
#ifndef EDGE_LINUX_RAW_H
#define EDGE_LINUX_RAW_H

#include <stdint.h>

#if defined(__x86_64__)
enum {
    SYS_READ = 0,
    SYS_WRITE = 1,
    SYS_CLOSE = 3,
    SYS_LSEEK = 8,
    SYS_MMAP = 9,
    SYS_MPROTECT = 10,
    SYS_MUNMAP = 11,
    SYS_SIGPROCMASK = 14,
    SYS_MADVISE = 28,
    SYS_GETPID = 39,
    SYS_CLONE = 56,
    SYS_EXIT = 60,
    SYS_FUTEX = 202,
    SYS_SETAFFINITY = 203,
    SYS_GETAFFINITY = 204,
    SYS_CLOCK_GETTIME = 228,
    SYS_EXIT_GROUP = 231,
    SYS_OPENAT = 257,
    SYS_MKDIRAT = 258,
    SYS_GETCPU = 309
};
#elif defined(__aarch64__) || defined(__riscv)
enum {
    SYS_MKDIRAT = 34,
    SYS_OPENAT = 56,
    SYS_CLOSE = 57,
    SYS_LSEEK = 62,
    SYS_READ = 63,
    SYS_WRITE = 64,
    SYS_EXIT = 93,
    SYS_EXIT_GROUP = 94,
    SYS_FUTEX = 98,
    SYS_CLOCK_GETTIME = 113,
    SYS_SETAFFINITY = 122,
    SYS_GETAFFINITY = 123,
    SYS_SIGPROCMASK = 135,
    SYS_GETCPU = 168,
    SYS_GETPID = 172,
    SYS_MUNMAP = 215,
    SYS_CLONE = 220,
    SYS_MMAP = 222,
    SYS_MPROTECT = 226,
    SYS_MADVISE = 233
};
#else
#error "linux_raw.h knows x86-64, AArch64 and RISC-V"
#endif

/* Returns the kernel's answer: -errno on failure. */
static inline long linux_call(long number, long a, long b, long c, long d, long e, long f) {
#if defined(__x86_64__)
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
#elif defined(__riscv)
    register long a7 __asm__("a7") = number;
    register long a0 __asm__("a0") = a;
    register long a1 __asm__("a1") = b;
    register long a2 __asm__("a2") = c;
    register long a3 __asm__("a3") = d;
    register long a4 __asm__("a4") = e;
    register long a5 __asm__("a5") = f;
    __asm__ volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a5) : "memory");
    return a0;
#else
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return x0;
#endif
}

#define linux_call0(n) linux_call(n, 0, 0, 0, 0, 0, 0)
#define linux_call1(n, a) linux_call(n, (long)(a), 0, 0, 0, 0, 0)
#define linux_call2(n, a, b) linux_call(n, (long)(a), (long)(b), 0, 0, 0, 0)
#define linux_call3(n, a, b, c) linux_call(n, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define linux_call4(n, a, b, c, d) linux_call(n, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)

/* VM, FS, FILES, SIGHAND, THREAD, SYSVSEM, CHILD_CLEARTID, PARENT_SETTID: what pthreads use, less the TLS. */
#define LINUX_THREAD_FLAGS 0x350f00L

/* Starts a thread at `stack`, where the function and its argument lie on top; it exits when the function returns. */
static inline long linux_clone(void *stack, void *tid) {
#if defined(__x86_64__)
    long result;
    register long r10 __asm__("r10") = (long)tid;
    register long r8 __asm__("r8") = 0;
    __asm__ volatile("syscall\n\t"
                     "test %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "xor %%ebp, %%ebp\n\t"
                     "pop %%rax\n\t"
                     "pop %%rdi\n\t"
                     "call *%%rax\n\t"
                     "mov %[exit], %%eax\n\t"
                     "xor %%edi, %%edi\n\t"
                     "syscall\n"
                     "1:"
                     : "=a"(result)
                     : "a"((long)SYS_CLONE), "D"(LINUX_THREAD_FLAGS), "S"(stack), "d"(tid), "r"(r10), "r"(r8),
                       [exit] "i"(SYS_EXIT)
                     : "rcx", "r11", "memory");
    return result;
#elif defined(__riscv)
    register long a7 __asm__("a7") = SYS_CLONE;
    register long a0 __asm__("a0") = LINUX_THREAD_FLAGS;
    register void *a1 __asm__("a1") = stack;
    register void *a2 __asm__("a2") = tid;
    register long a3 __asm__("a3") = 0;
    register void *a4 __asm__("a4") = tid;
    __asm__ volatile("ecall\n\t"
                     "bnez a0, 1f\n\t"
                     "li s0, 0\n\t"
                     "ld a1, 0(sp)\n\t"
                     "ld a0, 8(sp)\n\t"
                     "addi sp, sp, 16\n\t"
                     "jalr a1\n\t"
                     "li a7, %[exit]\n\t"
                     "li a0, 0\n\t"
                     "ecall\n"
                     "1:"
                     : "+r"(a0)
                     : "r"(a7), "r"(a1), "r"(a2), "r"(a3), "r"(a4), [exit] "i"(SYS_EXIT)
                     : "memory");
    return a0;
#else
    register long x8 __asm__("x8") = SYS_CLONE;
    register long x0 __asm__("x0") = LINUX_THREAD_FLAGS;
    register void *x1 __asm__("x1") = stack;
    register void *x2 __asm__("x2") = tid;
    register long x3 __asm__("x3") = 0;
    register void *x4 __asm__("x4") = tid;
    __asm__ volatile("svc #0\n\t"
                     "cbnz x0, 1f\n\t"
                     "mov x29, xzr\n\t"
                     "mov x30, xzr\n\t"
                     "ldp x1, x0, [sp], #16\n\t"
                     "blr x1\n\t"
                     "mov x8, %[exit]\n\t"
                     "mov x0, xzr\n\t"
                     "svc #0\n"
                     "1:"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), [exit] "i"(SYS_EXIT)
                     : "memory");
    return x0;
#endif
}

#endif
