/* shapes.h: what a session keeps of a program whose shapes differ from run to run.
 *
 * Where they are fixed, a program has no shape table and a session no edge_shapes. All calls take that as well, and the
 * code behind them is reached by way of the table alone: the linker leaves it out of libraries that do not need it.
 */
#ifndef EDGE_SHAPES_H
#define EDGE_SHAPES_H

#include "internal.h"

typedef struct edge_shapes {
    const edge_program *program;
    const edge_shape_table *table;
    int64_t *values; /* of symbols and terms */
    int64_t *dims;   /* of inputs, as they were set last: one for each of the table's input_dims */
    uint64_t *bound; /* bytes bound to each input, then to each output */
    edge_step *steps;
    int32_t *params;
    bool settled;  /* steps and parameters are those of `dims` */
    bool measured; /* a run has ended since, so all values are known */
} edge_shapes;

struct edge_shape_calls {
    size_t (*size)(const edge_program *program);
    edge_shapes *(*build)(const edge_model *model, void *memory);
    edge_status (*settle)(edge_shapes *shapes, edge_error *error);
    void (*measure)(edge_shapes *shapes, uint32_t symbol, int64_t value);
    bool (*vary)(const edge_shapes *shapes, bool output, uint32_t index);
    uint64_t (*room)(const edge_shapes *shapes, bool output, uint32_t index);
    edge_range (*range)(const edge_program *program, uint32_t index, uint32_t axis);
    void (*set)(edge_shapes *shapes, uint32_t index, const int64_t *dims);
    void (*get)(const edge_shapes *shapes, uint32_t index, int64_t *dims, int32_t capacity);
};

/* Bytes of a session's block for this. */
static inline size_t edge_shapes_size(const edge_program *program) {
    return program->shapes == NULL ? 0 : program->shapes->calls->size(program);
}

/* Builds it in zeroed memory, for the largest shapes. */
static inline edge_shapes *edge_shapes_build(const edge_model *model, void *memory) {
    return model->program->shapes == NULL ? NULL : model->program->shapes->calls->build(model, memory);
}

/* Makes steps and parameters those of the shapes that are set. */
static inline edge_status edge_shapes_settle(edge_shapes *shapes, edge_error *error) {
    return shapes == NULL || shapes->settled ? EDGE_OK : shapes->table->calls->settle(shapes, error);
}

/* Gives a symbol its value, and computes what depends on it. No step may be running. */
static inline void edge_shapes_measure(edge_shapes *shapes, uint32_t symbol, int64_t value) {
    shapes->table->calls->measure(shapes, symbol, value);
}

/* Whether any extent of the port differs from run to run. */
static inline bool edge_shapes_vary(const edge_shapes *shapes, bool output, uint32_t index) {
    return shapes != NULL && shapes->table->calls->vary(shapes, output, index);
}

/* Bytes that must be bound to a port for the next run: of its shape, as far as that is known, or else the largest. */
static inline uint64_t edge_shapes_room(const edge_shapes *shapes, const edge_port *port, bool output, uint32_t index) {
    return shapes == NULL ? port->nbytes : shapes->table->calls->room(shapes, output, index);
}

/* The extents that a dimension of an input can have. */
static inline edge_range edge_shapes_range(const edge_program *program, uint32_t index, uint32_t axis) {
    int64_t extent = program->inputs[index].shape[axis];
    if (program->shapes == NULL) return (edge_range){extent, extent, 1};
    return program->shapes->calls->range(program, index, axis);
}

#endif
