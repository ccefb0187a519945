/* internal.h: the runtime's own structures. */
#ifndef EDGE_INTERNAL_H
#define EDGE_INTERNAL_H

#include "edge.h"
#include "platform.h"
#include "program.h"
#include "text.h"
#include "unpack.h"

#define EDGE_ALIGNMENT 64u
#define EDGE_SLACK_BEFORE 64u /* bytes beside the arena that kernels may read, but not write */
#define EDGE_SLACK_AFTER 128u
#define EDGE_MAX_THREADS 64

static inline size_t edge_align(size_t nbytes) { return (nbytes + EDGE_ALIGNMENT - 1) & ~(size_t)(EDGE_ALIGNMENT - 1); }

struct edge_model {
    const edge_program *program;
    const edge_variant *variant;
    edge_tables tables;
    size_t nbytes; /* of this and the tables behind it */
    const uint8_t *weights;
    size_t weights_nbytes;
    bool mapped;           /* weights came from edge_os_map_file */
    _Atomic uint32_t refs; /* the user's handle and every session */
};

/* cpu.c */
uint64_t edge_cpu_features(void);
/* The number, decimal or 0x..., in the file of a CPU that `format` (with %u) names; 0 if there is none. */
uint64_t edge_cpu_value(const char *format, uint32_t cpu);
/* affinity.c */
edge_status edge_affinity_parse(const char *text, edge_cpu_set *set, edge_error *error);
int32_t edge_cpu_count(const edge_cpu_set *set);
/* model.c */
void edge_model_retain(edge_model *model);
void edge_model_release(edge_model *model);
edge_status edge_find_port(const edge_port *ports, uint32_t count, const char *name, uint32_t *index);
bool edge_text_equal(const char *a, const char *b);

#endif
