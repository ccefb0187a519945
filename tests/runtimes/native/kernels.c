/* Kernels for tests. params: elements, tiles, a number that makes each step's result its own. */
#include <stdint.h>

void toy_mix(const uint32_t *a, const uint32_t *b, uint32_t *out, void *p3, void *p4, const int32_t *params,
             int32_t begin, int32_t end);
void toy_reverse(const uint32_t *a, const uint32_t *b, uint32_t *out, void *p3, void *p4, const int32_t *params,
                 int32_t begin, int32_t end);
void toy_poke(uint8_t *arena, int32_t *out, void *p2, void *p3, void *p4, const int32_t *params, int32_t begin,
              int32_t end);
void toy_spin(int32_t *out, void *p1, void *p2, void *p3, void *p4, const int32_t *params, int32_t begin, int32_t end);
void toy_count(int32_t *counter, uint8_t *flags, void *p2, void *p3, void *p4, const int32_t *params, int32_t begin,
               int32_t end);
void toy_length(const int32_t *counter, const uint32_t *a, int64_t *length, void *p3, void *p4, const int32_t *params,
                int32_t begin, int32_t end);
void toy_pairs(const int32_t *x, const int32_t *bias, int32_t *out, void *p3, void *p4, const int32_t *params,
               int32_t begin, int32_t end);
void toy_keep(const int32_t *x, int32_t *out, int64_t *count, int32_t *tally, int32_t *total, const int32_t *params,
              int32_t begin, int32_t end);
void toy_copy(const int32_t *x, int32_t *out, void *p2, void *p3, void *p4, const int32_t *params, int32_t begin,
              int32_t end);
void toy_dump(int32_t *out, void *p1, void *p2, void *p3, void *p4, const int32_t *params, int32_t begin, int32_t end);
void toy_pixels(const uint32_t *x, const uint32_t *w, void *p2, uint32_t *y, void *p4, const int32_t *params,
                int32_t begin, int32_t end);
void toy_window(const uint32_t *x, void *p1, void *p2, uint32_t *y, void *p4, const int32_t *params, int32_t begin,
                int32_t end);

void toy_mix(const uint32_t *a, const uint32_t *b, uint32_t *out, void *p3, void *p4, const int32_t *params,
             int32_t begin, int32_t end) {
    int64_t n = params[0], tiles = params[1];
    if (p3 != 0 || p4 != 0) return;
    for (int64_t i = begin * n / tiles; i < end * n / tiles; i++) out[i] = a[i] * 31u + b[i] + (uint32_t)params[2];
}

void toy_reverse(const uint32_t *a, const uint32_t *b, uint32_t *out, void *p3, void *p4, const int32_t *params,
                 int32_t begin, int32_t end) {
    int64_t n = params[0], tiles = params[1];
    if (p3 != 0 || p4 != 0) return;
    for (int64_t i = begin * n / tiles; i < end * n / tiles; i++) {
        out[i] = a[n - 1 - i] * 31u + b[i] + (uint32_t)params[2];
    }
}

void toy_poke(uint8_t *arena, int32_t *out, void *p2, void *p3, void *p4, const int32_t *params, int32_t begin,
              int32_t end) {
    (void)p2, (void)p3, (void)p4, (void)begin, (void)end;
    arena[params[0]] = 1;
    out[params[1]] = 1;
}

void toy_spin(int32_t *out, void *p1, void *p2, void *p3, void *p4, const int32_t *params, int32_t begin, int32_t end) {
    (void)p1, (void)p2, (void)p3, (void)p4;
    for (volatile int32_t i = 0; i < params[0] * (end - begin); i = i + 1) {
    }
    if (begin == 0) *out = end > 0;
}

/* Sets a counter, or else counts it down; flags: it is not 0 yet, it is odd. */
void toy_count(int32_t *counter, uint8_t *flags, void *p2, void *p3, void *p4, const int32_t *params, int32_t begin,
               int32_t end) {
    (void)p2, (void)p3, (void)p4, (void)begin, (void)end;
    *counter = params[0] != 0 ? params[0] : *counter - 1;
    flags[0] = *counter != 0;
    flags[1] = *counter % 2 != 0;
}

/* A number that depends on data and on the turn. */
void toy_length(const int32_t *counter, const uint32_t *a, int64_t *length, void *p3, void *p4, const int32_t *params,
                int32_t begin, int32_t end) {
    (void)p3, (void)p4, (void)params, (void)begin, (void)end;
    *length = (int64_t)(a[0] % 64) - 20 + *counter;
}

/* Sums of two neighbours and a bias by row, one row a tile. params: width of x, of out. */
void toy_pairs(const int32_t *x, const int32_t *bias, int32_t *out, void *p3, void *p4, const int32_t *params,
               int32_t begin, int32_t end) {
    (void)p3, (void)p4;
    for (int32_t i = begin; i < end; i++) {
        for (int32_t j = 0; j < params[1]; j++) {
            const int32_t *pair = x + i * params[0] + 2 * j;
            out[i * params[1] + j] = pair[0] + pair[1] + bias[i];
        }
    }
}

/* The positive elements, how many they are, and how many they were in all runs. params: elements. */
void toy_keep(const int32_t *x, int32_t *out, int64_t *count, int32_t *tally, int32_t *total, const int32_t *params,
              int32_t begin, int32_t end) {
    (void)begin, (void)end;
    *count = 0;
    for (int32_t i = 0; i < params[0]; i++) {
        if (x[i] > 0) out[(*count)++] = x[i];
    }
    *tally += (int32_t)*count;
    *total = *tally;
}

/* Sixteen elements a tile. params: elements. */
void toy_copy(const int32_t *x, int32_t *out, void *p2, void *p3, void *p4, const int32_t *params, int32_t begin,
              int32_t end) {
    (void)p2, (void)p3, (void)p4;
    for (int32_t i = begin * 16; i < end * 16 && i < params[0]; i++) out[i] = x[i];
}

/* The parameters after the first, which is their number. */
void toy_dump(int32_t *out, void *p1, void *p2, void *p3, void *p4, const int32_t *params, int32_t begin, int32_t end) {
    (void)p1, (void)p2, (void)p3, (void)p4, (void)begin, (void)end;
    for (int32_t i = 0; i < params[0]; i++) out[i] = params[1 + i];
}

/* Some pixels a tile, each by itself. params: range of pixels, pixels of a tile, a number. */
void toy_pixels(const uint32_t *x, const uint32_t *w, void *p2, uint32_t *y, void *p4, const int32_t *params,
                int32_t begin, int32_t end) {
    (void)p2, (void)p4;
    int32_t last = params[0] + end * params[2];
    if (last > params[1]) last = params[1];
    for (int32_t i = params[0] + begin * params[2]; i < last; i++) y[i] = x[i] * 31u + w[i] + (uint32_t)params[3];
}

/* Some rows a tile, each made of a row of x and the two below. params: rows, rows of a tile, pixels of a row, stride. */
void toy_window(const uint32_t *x, void *p1, void *p2, uint32_t *y, void *p4, const int32_t *params, int32_t begin,
                int32_t end) {
    (void)p1, (void)p2, (void)p4;
    int64_t width = params[2];
    for (int64_t row = begin * params[1]; row < end * params[1] && row < params[0]; row++) {
        const uint32_t *from = x + row * params[3] * width;
        for (int64_t i = 0; i < width; i++) {
            y[row * width + i] = from[i] + 3u * from[width + i] + 5u * from[2 * width + i];
        }
    }
}
