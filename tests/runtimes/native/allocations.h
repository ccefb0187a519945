/* allocations.h: how often memory was asked for. With COUNT_ALLOCATIONS, malloc and its kin count that. */
#ifndef ALLOCATIONS_H
#define ALLOCATIONS_H

#include <stddef.h>

static _Atomic int allocations;

#ifdef COUNT_ALLOCATIONS
extern void *__libc_malloc(size_t nbytes);
extern void *__libc_calloc(size_t count, size_t nbytes);
extern void *__libc_realloc(void *memory, size_t nbytes);

void *malloc(size_t nbytes) {
    allocations++;
    return __libc_malloc(nbytes);
}

void *calloc(size_t count, size_t nbytes) {
    allocations++;
    return __libc_calloc(count, nbytes);
}

void *realloc(void *memory, size_t nbytes) {
    allocations++;
    return __libc_realloc(memory, nbytes);
}
#endif

#endif
