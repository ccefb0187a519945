/* start.c: where the kernel enters the runner. */
#include "../src/linux_raw.h"

int run_main(int argc, char **argv);
void run_start(long *stack);

#if defined(__x86_64__)
__asm__(".globl _start\n"
        "_start:\n\t"
        "xor %ebp, %ebp\n\t"
        "mov %rsp, %rdi\n\t"
        "and $-16, %rsp\n\t"
        "call run_start\n");
#elif defined(__riscv)
__asm__(".globl _start\n"
        "_start:\n\t"
        ".option push\n\t"
        ".option norelax\n\t"
        "lla gp, __global_pointer$\n\t"
        ".option pop\n\t"
        "li s0, 0\n\t"
        "mv a0, sp\n\t"
        "call run_start\n");
#else
__asm__(".globl _start\n"
        "_start:\n\t"
        "mov x29, xzr\n\t"
        "mov x30, xzr\n\t"
        "mov x0, sp\n\t"
        "bl run_start\n");
#endif

/* The stack holds argc, then the arguments. */
void run_start(long *stack) {
    int code = run_main((int)stack[0], (char **)(stack + 1));
    linux_call1(SYS_EXIT_GROUP, code);
    __builtin_unreachable();
}
