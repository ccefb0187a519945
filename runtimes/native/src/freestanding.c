/* freestanding.c: the four functions that a C compiler may call on its own accord. Not for builds with a libc.
 *
 * Compiled with -fno-builtin, or the loops below would be turned into calls of the functions that they define, and as
 * they are written: unrolled and with vectors for their last bytes they would be five times as long.
 */
#include <stddef.h>
#include <stdint.h>

typedef uint64_t __attribute__((may_alias, aligned(1))) word;
#if defined(__riscv) /* compiled to bytes, of which registers hold no more */
typedef word piece;
#else
typedef uint64_t __attribute__((vector_size(16), may_alias, aligned(1))) piece;
#endif

/* Right for disjoint areas and for moves to a lower address: each block is read before it is written. Rows that two
 * bands share are moved like that (bands.c). */
__attribute__((noinline)) static void *copy_forward(void *to, const void *from, size_t nbytes) {
    uint8_t *d = to;
    const uint8_t *s = from;
    for (; nbytes >= 4 * sizeof(piece); nbytes -= 4 * sizeof(piece), d += 4 * sizeof(piece), s += 4 * sizeof(piece)) {
        piece a = ((const piece *)s)[0], b = ((const piece *)s)[1];
        piece c = ((const piece *)s)[2], e = ((const piece *)s)[3];
        ((piece *)d)[0] = a, ((piece *)d)[1] = b, ((piece *)d)[2] = c, ((piece *)d)[3] = e;
    }
    for (; nbytes >= sizeof(word); nbytes -= sizeof(word), d += sizeof(word), s += sizeof(word)) {
        *(word *)d = *(const word *)s;
    }
    while (nbytes-- > 0) *d++ = *s++;
    return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t nbytes) {
    return copy_forward(to, from, nbytes);
}

void *memmove(void *to, const void *from, size_t nbytes) {
    uint8_t *d = to;
    const uint8_t *s = from;
    if ((uintptr_t)d - (uintptr_t)s >= nbytes) return copy_forward(to, from, nbytes);
    for (; nbytes >= sizeof(word); nbytes -= sizeof(word)) {
        *(word *)(d + nbytes - sizeof(word)) = *(const word *)(s + nbytes - sizeof(word));
    }
    while (nbytes-- > 0) d[nbytes] = s[nbytes];
    return to;
}

void *memset(void *to, int value, size_t nbytes) {
    uint8_t *d = to;
    word pattern = (uint8_t)value * UINT64_C(0x0101010101010101);
    for (; nbytes >= 2 * sizeof(word); nbytes -= 2 * sizeof(word), d += 2 * sizeof(word)) {
        ((word *)d)[0] = pattern, ((word *)d)[1] = pattern;
    }
    while (nbytes-- > 0) *d++ = (uint8_t)value;
    return to;
}

int memcmp(const void *a, const void *b, size_t nbytes) {
    const uint8_t *x = a, *y = b;
    for (; nbytes > 0; nbytes--, x++, y++) {
        if (*x != *y) return *x < *y ? -1 : 1;
    }
    return 0;
}

#if defined(__riscv)

/* Conversions of float16, which kernels call on CPUs without instructions for it. Objects of kernels hold weak ones that
 * expect halves in integer registers, which is not where this ABI has them: these take their place. */
float __extendhfsf2(_Float16 half);
_Float16 __truncsfhf2(float number);

typedef union half_bits {
    _Float16 value;
    uint16_t bits;
} half_bits;

typedef union float_bits {
    float value;
    uint32_t bits;
} float_bits;

float __extendhfsf2(_Float16 half) {
    half_bits from = {.value = half};
    uint32_t size = from.bits & 0x7fffu;
    float_bits to = {.bits = size << 13};
    to.value *= 0x1p112f; /* the exponent's other bias; exact, for subnormal halves too */
    if (size >= 0x7c00) to.bits = 0x7f800000 | size << 13;
    to.bits |= (uint32_t)(from.bits & 0x8000) << 16;
    return to.value;
}

_Float16 __truncsfhf2(float number) {
    float_bits from = {.value = number}, size = {.bits = from.bits & 0x7fffffff};
    half_bits to;
    if (size.bits > 0x7f800000) {
        to.bits = 0x7e00; /* not a number */
    } else if (size.bits >= 0x477ff000) {
        to.bits = 0x7c00; /* infinity, from 65520 on */
    } else if (size.bits >= 0x38800000) {
        to.bits = (uint16_t)((size.bits - 0x38000000 + 0xfff + (size.bits >> 13 & 1)) >> 13);
    } else { /* subnormal: the last bit of numbers like 0.5 is that of halves */
        size.value += 0.5f;
        to.bits = (uint16_t)(size.bits - 0x3f000000);
    }
    to.bits |= (uint16_t)(from.bits >> 16 & 0x8000);
    return to.value;
}

#endif
