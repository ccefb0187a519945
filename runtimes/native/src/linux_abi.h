/* linux_abi.h: the kernel's constants that both platform files use; no system header is needed to compile them. */
#ifndef EDGE_LINUX_ABI_H
#define EDGE_LINUX_ABI_H

#include <stdint.h>

enum { AT_FDCWD_ = -100, O_RDONLY_ = 0, O_CLOEXEC_ = 02000000 };
enum { PROT_NONE_ = 0, PROT_READ_ = 1, PROT_WRITE_ = 2 };
enum { MAP_PRIVATE_ = 2, MAP_ANONYMOUS_ = 0x20, MAP_NORESERVE_ = 0x4000, MAP_POPULATE_ = 0x8000 };
enum { MADV_HUGEPAGE_ = 14, MADV_NOHUGEPAGE_ = 15, MADV_POPULATE_WRITE_ = 23 };
enum { SEEK_END_ = 2, CLOCK_MONOTONIC_ = 1, EINTR_ = 4 };
enum { FUTEX_WAIT_ = 0, FUTEX_WAKE_ = 1, FUTEX_PRIVATE_ = 128 };
enum { SIG_SETMASK_ = 2 };
enum { AUX_NULL = 0, AUX_HWCAP = 16, AUX_HWCAP2 = 26 };

typedef struct linux_timespec {
    int64_t seconds;
    int64_t nanoseconds;
} linux_timespec;

#endif
