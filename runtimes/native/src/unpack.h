/* unpack.h: a program's tables, in memory of a model's own. */
#ifndef EDGE_UNPACK_H
#define EDGE_UNPACK_H

#include "program.h"

typedef struct edge_tables {
    const edge_step *steps;
    const int32_t *params;
    const char *text;
} edge_tables;

/* Bytes that they take. */
size_t edge_tables_size(const edge_program *program);

/* Writes them to memory aligned for an edge_step. */
edge_tables edge_tables_unpack(const edge_program *program, void *memory);

#endif
