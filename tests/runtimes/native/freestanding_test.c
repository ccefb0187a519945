/* freestanding_test.c: the runtime's own memcpy & co. against libc's: all short lengths and alignments, all overlaps. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define memcpy own_memcpy
#define memmove own_memmove
#define memset own_memset
#define memcmp own_memcmp
#include "../../../runtimes/native/src/freestanding.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp

#define SIZE 256

static void fill(uint8_t *data) {
    for (int i = 0; i < SIZE; i++) data[i] = (uint8_t)(i * 37 + 11);
}

static int wrong(const char *name, size_t nbytes, size_t to, size_t from) {
    fprintf(stderr, "%s of %zu bytes from %zu to %zu\n", name, nbytes, from, to);
    return 1;
}

int main(void) {
    uint8_t found[SIZE], wanted[SIZE], source[SIZE];
    fill(source);
    for (size_t nbytes = 0; nbytes <= 140; nbytes++) {
        for (size_t to = 0; to < 110; to += 1 + (to > 20) * 8) {
            for (size_t from = 0; from < 110; from += 1 + (from > 20) * 8) {
                fill(found), fill(wanted);
                if (own_memmove(found + to, found + from, nbytes) != found + to) return wrong("move", nbytes, to, from);
                memmove(wanted + to, wanted + from, nbytes);
                if (memcmp(found, wanted, SIZE) != 0) return wrong("move", nbytes, to, from);
                fill(found), fill(wanted);
                if (own_memcpy(found + to, source + from, nbytes) != found + to) return wrong("copy", nbytes, to, from);
                memcpy(wanted + to, source + from, nbytes);
                if (memcmp(found, wanted, SIZE) != 0) return wrong("copy", nbytes, to, from);
            }
            fill(found), fill(wanted);
            if (own_memset(found + to, 0x1c3, nbytes) != found + to) return wrong("set", nbytes, to, 0);
            memset(wanted + to, 0x1c3, nbytes);
            if (memcmp(found, wanted, SIZE) != 0) return wrong("set", nbytes, to, 0);
            for (size_t at = 0; at < nbytes; at++) {
                fill(found);
                found[to + at] ^= 0x80;
                int sign = own_memcmp(found + to, source + to, nbytes);
                if ((sign < 0) != (found[to + at] < source[to + at]) || sign == 0) return wrong("compare", nbytes, to, at);
            }
            fill(found);
            if (own_memcmp(found + to, source + to, nbytes) != 0) return wrong("compare", nbytes, to, 0);
        }
    }
    return 0;
}
