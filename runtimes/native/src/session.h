/* session.h: a session's memory. All of it is one block, allocated at creation. */
#ifndef EDGE_SESSION_H
#define EDGE_SESSION_H

#include "internal.h"
#include "pool.h"
#include "shapes.h"

struct edge_session {
    edge_model *model;
    const edge_step *steps; /* the model's, or of this session's shapes */
    const int32_t *params;
    edge_shapes *shapes; /* NULL: they are fixed */
    uint8_t *arena;
    uintptr_t *inputs; /* bound addresses by port; 0: not bound */
    uintptr_t *outputs;
    const uintptr_t *spaces[EDGE_SPACES]; /* tables of base addresses: an operand resolves without a branch */
    uintptr_t null_base;
    uintptr_t arena_base;
    uintptr_t weights_base;
    _Atomic uint64_t *step_ns; /* time in each step, or NULL */
    uint64_t runs;             /* since creation */
    edge_pool *pool;           /* NULL: the caller works alone */
    size_t nbytes;             /* of the whole block */
    size_t arena_nbytes;       /* with the scratch memory of workers */
    uint32_t threads;
    uint32_t flags;
    _Atomic bool running;
    _Atomic bool cancelled; /* the run under way is to end */
    bool failed;            /* it has ended early, and `error` says why */
    edge_error error;
};

/* Computes tiles [begin, end) of a step, on the calling thread, which is number `thread`. `follows`: the tile before is
 * the last that it has computed, just now. */
void edge_session_compute(edge_session *session, uint32_t step, int32_t begin, int32_t end, uint32_t thread,
                          bool follows);

/* The first step from `step` on that has tiles, after what control steps say, or the number of steps: the run's end,
 * also of one that fails. All earlier steps must have finished. */
uint32_t edge_session_next(edge_session *session, uint32_t step);

static inline void *edge_session_resolve(const edge_session *session, edge_operand at) {
    return (void *)(session->spaces[EDGE_AT_SPACE(at)][EDGE_AT_INDEX(at)] + EDGE_AT_OFFSET(at));
}

/* The scratch memory of a thread but the first, which has its own in the arena, where operands say. */
static inline uint8_t *edge_session_scratch(const edge_session *session, uint32_t thread) {
    const edge_program *program = session->model->program;
    return session->arena + program->arena_size + (thread - 1) * program->scratch_size;
}

static inline edge_kernel edge_session_kernel(const edge_session *session, const edge_step *step) {
    const int32_t *entry = &session->model->variant->kernels[step->kernel];
    return (edge_kernel)((uintptr_t)entry + (uintptr_t)(intptr_t)*entry);
}

/* The time, if the session measures it. */
static inline uint64_t edge_session_clock(const edge_session *session) {
    return session->step_ns == NULL ? 0 : edge_os_now_ns();
}

/* Counts what has passed since `start`, if the session measures it, as a step's. */
static inline void edge_session_spent(const edge_session *session, uint32_t step, uint64_t start) {
    if (session->step_ns == NULL) return;
    atomic_fetch_add_explicit(&session->step_ns[step], edge_os_now_ns() - start, memory_order_relaxed);
}

#endif
