/* program.h: the compiled plan, as constant tables that compiler/bundle/program.py writes.
 *
 * Trusted data, compiled into the same library as the code: it is checked when it is written, not here.
 * Names and parameters are offsets into pools, so that the tables need no relocations. Steps, parameters and texts are
 * packed, and unpacked when a model is opened (unpack.c): they would be a fifth of a library.
 */
#ifndef EDGE_PROGRAM_H
#define EDGE_PROGRAM_H

#include "edge.h"

#define EDGE_PROGRAM_VERSION 5u
#define EDGE_OPERANDS 5

/* Computes tiles [begin, end). Any of the pointers may be the output; unused ones are null. */
typedef void (*edge_kernel)(void *p0, void *p1, void *p2, void *p3, void *p4, const int32_t *params, int32_t begin,
                            int32_t end);

/* Where an operand lives: compiler/lower/plan.py's Space. */
enum { EDGE_NONE = 0, EDGE_ARENA = 1, EDGE_WEIGHTS = 2, EDGE_INPUT = 3, EDGE_OUTPUT = 4, EDGE_SCRATCH = 5, EDGE_SPACES = 6 };

/* An operand is one word: space in the top 4 bits, port number in the next 12, byte offset in the low 48. */
typedef uint64_t edge_operand;
#define EDGE_AT(space, index, offset) ((uint64_t)(space) << 60 | (uint64_t)(index) << 48 | (uint64_t)(offset))
#define EDGE_AT_SPACE(operand) ((operand) >> 60)
#define EDGE_AT_INDEX(operand) ((operand) >> 48 & 0xfff)
#define EDGE_AT_OFFSET(operand) ((operand)&0xffffffffffffu)

/* What a step does instead of calling a kernel: compiler/lower/plan.py's Control. */
enum {
    EDGE_BRANCH = 1, /* goes on at its target if the byte at operand 0 is 0 */
    EDGE_JUMP = 2,   /* goes on at its target */
    EDGE_MEASURE = 3, /* its target is the symbol that takes the int64 at operand 0 */
    EDGE_REQUIRE = 4  /* ends the run with an error if the byte at operand 0 is 0 */
};

/* CPU features that a variant may need. */
enum {
    EDGE_CPU_DOTPROD = 1 << 0,
    EDGE_CPU_I8MM = 1 << 1,
    EDGE_CPU_FULLFP16 = 1 << 2,
    EDGE_CPU_BF16 = 1 << 3,
    EDGE_CPU_SVE = 1 << 4,
    EDGE_CPU_INORDER = 1 << 5, /* not what it can do but how: see cpu.c */
    EDGE_CPU_RVV = 1 << 8,
    EDGE_CPU_AVX2 = 1 << 16,
    EDGE_CPU_FMA = 1 << 17,
    EDGE_CPU_F16C = 1 << 18,
    EDGE_CPU_AVX512 = 1 << 20,
    EDGE_CPU_AVX512VNNI = 1 << 21,
    EDGE_CPU_AVX512VBMI = 1 << 22
};

typedef struct edge_step {
    edge_operand operands[EDGE_OPERANDS];
    uint64_t macs : 56;
    uint64_t barrier : 1; /* starts when all earlier steps have finished; 0: may overlap with the step before */
    uint64_t banded : 1;  /* its tiles are bands, of which each is one of the steps behind it too: bands.h */
    uint64_t control : 6; /* 0: none */
    uint32_t kernel;      /* index into the variant's table; of a control step: its target */
    uint32_t params;      /* index into the parameter pool; of a control step: what it does, in the text pool */
    uint32_t name;        /* offset into the text pool */
    int32_t tiles;        /* 0: nothing to compute, as in control steps and those behind a banded one */
} edge_step;

/* A number of a run: between `low` and `high`, that of an input's extent in steps of `step`. */
typedef struct edge_symbol {
    int64_t low, high, step;
    uint64_t mask; /* 0: an extent of inputs; otherwise the bit of those that a MEASURE sets, shared by every 24th */
} edge_symbol;

/* A function of two *values*. They are numbered: symbols first, then terms, each after those that it is made of. */
enum {
    EDGE_TERM_INT = 0, /* the number itself: low half in a, high half in b */
    EDGE_TERM_ADD,
    EDGE_TERM_SUB,
    EDGE_TERM_MUL,
    EDGE_TERM_DIV, /* rounded down; by 0: 0 */
    EDGE_TERM_MIN
};
typedef struct edge_term {
    uint32_t fn; /* EDGE_TERM_* in the low 8 bits, the masks of the measured symbols in it above */
    uint32_t a, b;
} edge_term;

/* Where a value goes: the kind in the top 2 bits; the index of a parameter, a step or an operand (step * 5 + which). */
enum { EDGE_FIX_PARAM = 0, EDGE_FIX_TILES = 1, EDGE_FIX_OFFSET = 2 };
typedef struct edge_fixup {
    uint32_t place;
    uint32_t value;
} edge_fixup;

/* An extent of an input or output that is a value. */
typedef struct edge_dim {
    uint32_t port, axis, value;
} edge_dim;

/* What differs from run to run. Terms and fix-ups that depend on measured symbols come last. */
typedef struct edge_shape_table {
    const struct edge_shape_calls *calls; /* so that only programs with such a table hold the code for it: shapes.h */
    uint32_t symbol_count, term_count, fixup_count, input_dim_count, output_dim_count;
    uint32_t measured_terms; /* the first that depends on a measured symbol */
    uint32_t measured_fixups;
    const edge_symbol *symbols;
    const edge_term *terms;
    const edge_fixup *fixups;
    const edge_dim *input_dims; /* their values are symbols */
    const edge_dim *output_dims;
} edge_shape_table;

extern const struct edge_shape_calls edge_shape_calls;

/* A step as a part of bands: compiler/lower/plan.py's Stage and Scratch. */
typedef struct edge_stage {
    uint32_t step, count; /* stages from here on, if it is the first of some */
    uint16_t params;      /* how many its kernel has */
    uint16_t y;           /* the operand that it writes */
    int32_t advance, before, rows, height, width, tile;
    uint32_t arena;                   /* offset of the first thread's scratch memory */
    uint32_t offset, row_bytes, tail; /* in scratch memory; 0 bytes: not there */
    int32_t fill;                     /* less than 0: none */
} edge_stage;

typedef struct edge_band_table {
    const struct edge_band_calls *calls; /* so that only programs with such a table hold the code for it */
    const edge_stage *stages;
} edge_band_table;

extern const struct edge_band_calls edge_band_calls;

/* A tensor that a session keeps from run to run: in the arena, in the order of their offsets. */
typedef struct edge_state {
    edge_port port; /* with the name of the model's input */
    const char *output;
    uint64_t offset;
} edge_state;

typedef struct edge_variant {
    const char *name;
    uint64_t features;
    const int32_t *kernels; /* bytes from each entry to its kernel: a pointer and its relocation would be 32 */
} edge_variant;

struct edge_program {
    uint32_t version;
    uint32_t input_count;
    uint32_t output_count;
    uint32_t kernel_count;
    uint32_t step_count;
    uint32_t variant_count;
    uint32_t state_count;
    uint32_t param_count;
    uint32_t text_size;
    const char *name;
    const edge_port *inputs;
    const edge_port *outputs;
    const edge_variant *variants; /* best first */
    const uint8_t *numbers;       /* steps, then parameters: unpack.c */
    const uint8_t *texts;         /* the text pool, packed likewise */
    const uint32_t *kernel_names; /* offsets into the text pool */
    const edge_shape_table *shapes; /* NULL: every run is like the other */
    const edge_band_table *bands; /* NULL: no step is computed by bands */
    const edge_state *states;
    uint64_t arena_size;
    uint64_t scratch_size; /* of each thread but the first, behind the arena */
    uint64_t weights_size;
    uint64_t rows_size; /* the last bytes of the weights, of which a run reads some rows only */
    uint8_t weights_sha256[32];
};

/* weights.bin is the packed weights, zeros up to a multiple of 64 bytes, and this trailer. The weights come first, so
 * that they are aligned to a page when mapped; the trailer also is the slack that kernels may read past the end. */
#define EDGE_WEIGHTS_MAGIC "EDGEWTS1"
typedef struct edge_weights_trailer {
    char magic[8];
    uint64_t size; /* of the weights, little endian */
    uint8_t sha256[32];
    uint8_t zero[16];
} edge_weights_trailer;

#endif
