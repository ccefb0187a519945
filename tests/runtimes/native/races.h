/* races.h: included before all else, it makes threads lose the CPU between reading what the others do and acting upon
 * it, as it happens once in a million runs. */
#include <stdatomic.h>
#include <stdint.h>

extern int usleep(unsigned microseconds); /* platform_posix.c cannot have the system's headers */

static inline void oversleep(void) {
    static _Thread_local uint32_t state;
    if (state == 0) state = (uint32_t)(uintptr_t)&state | 1;
    state ^= state << 13, state ^= state >> 17, state ^= state << 5;
    if (state % 16 == 0) usleep(state >> 8 & 127);
}

#undef atomic_load_explicit
#define atomic_load_explicit(pointer, order)             \
    __extension__({                                      \
        __typeof__((void)0, *(pointer)) loaded;          \
        oversleep();                                     \
        __atomic_load((pointer), &loaded, (order));      \
        oversleep();                                     \
        loaded;                                          \
    })
#define __atomic_load_n(pointer, order) (oversleep(), __atomic_load_n(pointer, order))
#define __atomic_store_n(pointer, value, order) (__atomic_store_n(pointer, value, order), oversleep())
