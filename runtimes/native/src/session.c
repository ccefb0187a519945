/* session.c: creating, binding and running. */
#include "session.h"

#include "bands.h"

#define GUARD_BYTE 0xa5

/* Offsets of the parts of a session's block. */
typedef struct layout {
    size_t inputs, outputs, shapes, step_ns, pool, arena, total;
} layout;

static size_t arena_nbytes(const edge_program *program, uint32_t threads) {
    return program->arena_size + program->scratch_size * (threads - 1);
}

static layout lay_out(const edge_program *program, const edge_session_options *options, uint32_t threads) {
    layout at;
    at.inputs = edge_align(sizeof(edge_session));
    at.outputs = at.inputs + program->input_count * sizeof(uintptr_t);
    at.shapes = at.outputs + program->output_count * sizeof(uintptr_t);
    at.step_ns = at.shapes + edge_shapes_size(program);
    at.pool = edge_align(at.step_ns + (options->flags & EDGE_SESSION_PROFILE ? program->step_count * 8u : 0));
    at.arena = edge_align(at.pool + (threads > 1 ? edge_pool_size(program, threads) : 0)) + EDGE_SLACK_BEFORE;
    at.total = edge_os_filled(at.arena + arena_nbytes(program, threads) + EDGE_SLACK_AFTER);
    return at;
}

static void build(edge_session *session, uint8_t *block, const layout *at, edge_model *model, uint32_t flags) {
    session->model = model;
    session->shapes = edge_shapes_build(model, block + at->shapes);
    session->steps = session->shapes != NULL ? session->shapes->steps : model->tables.steps;
    session->params = session->shapes != NULL ? session->shapes->params : model->tables.params;
    session->arena = block + at->arena;
    session->inputs = (uintptr_t *)(void *)(block + at->inputs);
    session->outputs = (uintptr_t *)(void *)(block + at->outputs);
    session->arena_base = (uintptr_t)session->arena;
    session->weights_base = (uintptr_t)model->weights;
    session->spaces[EDGE_NONE] = &session->null_base;
    session->spaces[EDGE_ARENA] = &session->arena_base;
    session->spaces[EDGE_WEIGHTS] = &session->weights_base;
    session->spaces[EDGE_SCRATCH] = &session->arena_base; /* that of the first thread */
    session->spaces[EDGE_INPUT] = session->inputs;
    session->spaces[EDGE_OUTPUT] = session->outputs;
    session->step_ns = flags & EDGE_SESSION_PROFILE ? (_Atomic uint64_t *)(void *)(block + at->step_ns) : NULL;
    session->nbytes = at->total;
    session->flags = flags;
}

static edge_status choose_threads(const edge_session_options *options, const edge_cpu_set *cpus, uint32_t *threads,
                                  edge_error *error) {
    int32_t count = options->threads != 0 ? options->threads : edge_cpu_count(cpus);
    if (options->threads == 0 && count > EDGE_MAX_THREADS) count = EDGE_MAX_THREADS;
    if (count < 1 || count > EDGE_MAX_THREADS) {
        return edge_fail(error, EDGE_ERR_ARGUMENT, "the number of threads must be 0 (one per CPU) to %u",
                         (uint64_t)EDGE_MAX_THREADS);
    }
    *threads = (uint32_t)count;
    return EDGE_OK;
}

edge_status edge_session_create(edge_model *model, const edge_session_options *options, edge_session **session,
                                edge_error *error) {
    static const edge_session_options defaults = EDGE_SESSION_OPTIONS_INIT;
    if (session == NULL) return edge_fail(error, EDGE_ERR_ARGUMENT, "no place was given for the session's handle");
    *session = NULL;
    if (model == NULL) return edge_fail(error, EDGE_ERR_ARGUMENT, "no model was given");
    if (options == NULL) options = &defaults;
    if (options->size < sizeof *options) {
        return edge_fail(error, EDGE_ERR_ARGUMENT, "the session options are not initialised (size %u)",
                         (uint64_t)options->size);
    }
    edge_cpu_set cpus;
    uint32_t threads = 0;
    edge_status status = edge_affinity_parse(options->affinity, &cpus, error);
    if (status == EDGE_OK) status = choose_threads(options, &cpus, &threads, error);
    if (status != EDGE_OK) return status;

    layout at = lay_out(model->program, options, threads);
    uint8_t *block = edge_os_alloc(at.total);
    if (block == NULL) {
        return edge_fail(error, EDGE_ERR_MEMORY, "no memory for a session of %u bytes", (uint64_t)at.total);
    }
    edge_session *created = (edge_session *)(void *)block;
    build(created, block, &at, model, options->flags);
    created->threads = threads;
    created->arena_nbytes = arena_nbytes(model->program, threads);
    if (threads > 1) {
        created->pool = (edge_pool *)(void *)(block + at.pool);
        status = edge_pool_start(created->pool, created, threads, &cpus, options->affinity != NULL, error);
    }
    if (status != EDGE_OK) {
        edge_os_free(block, at.total);
        return status;
    }
    edge_model_retain(model);
    *session = created;
    return EDGE_OK;
}

edge_status edge_session_close(edge_session *session) {
    if (session == NULL) return EDGE_OK;
    if (atomic_exchange(&session->running, true)) return EDGE_ERR_BUSY;
    if (session->pool != NULL) edge_pool_stop(session->pool);
    edge_model *model = session->model;
    edge_os_free(session, session->nbytes);
    edge_model_release(model);
    return EDGE_OK;
}

static edge_status bind(edge_session *session, bool output, uint32_t index, uintptr_t address, size_t nbytes) {
    const edge_program *program = session->model->program;
    const char *kind = output ? "output" : "input";
    uint32_t count = output ? program->output_count : program->input_count;
    if (index >= count) {
        return edge_fail(&session->error, EDGE_ERR_ARGUMENT, "%s has %u %ss, so there is no %s %u", program->name,
                         (uint64_t)count, kind, kind, (uint64_t)index);
    }
    const edge_port *port = output ? &program->outputs[index] : &program->inputs[index];
    edge_shapes *shapes = session->shapes;
    if (address != 0 && nbytes != port->nbytes && !edge_shapes_vary(shapes, output, index)) {
        return edge_fail(&session->error, EDGE_ERR_SIZE, "%s \"%s\" takes %u bytes, but %u were bound", kind,
                         port->name, port->nbytes, (uint64_t)nbytes);
    }
    if (address % port->alignment != 0) {
        return edge_fail(&session->error, EDGE_ERR_SIZE, "%s \"%s\" must lie at a multiple of %u bytes", kind,
                         port->name, (uint64_t)port->alignment);
    }
    (output ? session->outputs : session->inputs)[index] = address;
    if (shapes != NULL) shapes->bound[(output ? program->input_count : 0) + index] = nbytes;
    return EDGE_OK;
}

static edge_status bind_name(edge_session *session, bool output, const char *name, uintptr_t address, size_t nbytes) {
    const edge_program *program = session->model->program;
    uint32_t index = 0;
    edge_status status = output ? edge_find_port(program->outputs, program->output_count, name, &index)
                                : edge_find_port(program->inputs, program->input_count, name, &index);
    if (status == EDGE_OK) return bind(session, output, index, address, nbytes);
    return edge_fail(&session->error, status, "%s has no %s named \"%s\"", program->name, output ? "output" : "input",
                     name);
}

edge_status edge_session_bind_input(edge_session *session, uint32_t index, const void *data, size_t nbytes) {
    return session == NULL ? EDGE_ERR_ARGUMENT : bind(session, false, index, (uintptr_t)data, nbytes);
}

edge_status edge_session_bind_output(edge_session *session, uint32_t index, void *data, size_t nbytes) {
    return session == NULL ? EDGE_ERR_ARGUMENT : bind(session, true, index, (uintptr_t)data, nbytes);
}

edge_status edge_session_bind_input_name(edge_session *session, const char *name, const void *data, size_t nbytes) {
    return session == NULL ? EDGE_ERR_ARGUMENT : bind_name(session, false, name, (uintptr_t)data, nbytes);
}

edge_status edge_session_bind_output_name(edge_session *session, const char *name, void *data, size_t nbytes) {
    return session == NULL ? EDGE_ERR_ARGUMENT : bind_name(session, true, name, (uintptr_t)data, nbytes);
}

static inline void call(const edge_session *session, const edge_step *step, int32_t begin, int32_t end,
                        uint32_t thread) {
    void *at[EDGE_OPERANDS];
    for (uint32_t i = 0; i < EDGE_OPERANDS; i++) at[i] = edge_session_resolve(session, step->operands[i]);
    if (thread != 0 && EDGE_AT_SPACE(step->operands[EDGE_OPERANDS - 1]) == EDGE_SCRATCH) {
        at[EDGE_OPERANDS - 1] = edge_session_scratch(session, thread);
    }
    edge_session_kernel(session, step)(at[0], at[1], at[2], at[3], at[4], session->params + step->params, begin, end);
}

void edge_session_compute(edge_session *session, uint32_t step, int32_t begin, int32_t end, uint32_t thread,
                          bool follows) {
    const edge_step *at = &session->steps[step];
    if (at->banded) {
        session->model->program->bands->calls->compute(session, step, begin, end, thread, follows);
        return;
    }
    uint64_t start = edge_session_clock(session);
    call(session, at, begin, end, thread);
    edge_session_spent(session, step, start);
}

/* Every port has memory, and enough of it for the shapes that are set. */
static edge_status check_bound(edge_session *session, bool output) {
    const edge_program *program = session->model->program;
    const uintptr_t *addresses = output ? session->outputs : session->inputs;
    const edge_port *ports = output ? program->outputs : program->inputs;
    uint32_t count = output ? program->output_count : program->input_count;
    for (uint32_t i = 0; i < count; i++) {
        const char *kind = output ? "output" : "input";
        const char *name = ports[i].name;
        uint64_t room = edge_shapes_room(session->shapes, &ports[i], output, i);
        if (room == 0) continue;
        if (addresses[i] == 0) {
            return edge_fail(&session->error, EDGE_ERR_UNBOUND, "%s \"%s\" has no memory", kind, name);
        }
        if (session->shapes == NULL) continue;
        uint64_t bound = session->shapes->bound[(output ? program->input_count : 0) + i];
        if (bound < room) {
            return edge_fail(&session->error, EDGE_ERR_SIZE, "%s \"%s\" takes %u bytes, but %u were bound", kind, name,
                             room, bound);
        }
    }
    return EDGE_OK;
}

static void fill(uint8_t *start, const uint8_t *end) {
    while (start < end) *start++ = GUARD_BYTE;
}

/* Fills the arena, with its slack, so that a kernel which reads what none has written shows. States stay. */
static void poison(edge_session *session) {
    const edge_program *program = session->model->program;
    uint8_t *start = session->arena - EDGE_SLACK_BEFORE;
    for (uint32_t i = 0; i < program->state_count; i++) {
        const edge_state *state = &program->states[i];
        fill(start, session->arena + state->offset);
        start = session->arena + state->offset + state->port.nbytes;
    }
    fill(start, session->arena + session->arena_nbytes + EDGE_SLACK_AFTER);
}

static edge_status check_guards(edge_session *session) {
    const uint8_t *before = session->arena - EDGE_SLACK_BEFORE;
    const uint8_t *after = session->arena + session->arena_nbytes;
    for (size_t i = 0; i < EDGE_SLACK_BEFORE; i++) {
        if (before[i] != GUARD_BYTE) {
            return edge_fail(&session->error, EDGE_ERR_GUARD, "a kernel wrote %u bytes before the arena",
                             (uint64_t)(EDGE_SLACK_BEFORE - i));
        }
    }
    for (size_t i = EDGE_SLACK_AFTER; i-- > 0;) {
        if (after[i] != GUARD_BYTE) {
            return edge_fail(&session->error, EDGE_ERR_GUARD, "a kernel wrote %u bytes past the arena",
                             (uint64_t)i + 1);
        }
    }
    return EDGE_OK;
}

/* A symbol takes the number that a step has computed. */
static void measure(edge_session *session, const edge_step *step) {
    int64_t value = 0;
    __builtin_memcpy(&value, edge_session_resolve(session, step->operands[0]), sizeof value);
    if (session->pool != NULL) edge_pool_pause(session->pool);
    edge_shapes_measure(session->shapes, step->kernel, value);
}

/* Ends the run that is under way: what comes next is its end. */
static uint32_t end_early(edge_session *session, edge_status status, const char *message, const char *step) {
    session->failed = true;
    edge_fail(&session->error, status, message, step);
    return session->model->program->step_count;
}

static bool is_cancelled(const edge_session *session) {
    return atomic_load_explicit(&session->cancelled, memory_order_relaxed);
}

uint32_t edge_session_next(edge_session *session, uint32_t step) {
    const edge_program *program = session->model->program;
    while (step < program->step_count && !is_cancelled(session)) {
        const edge_step *at = &session->steps[step];
        if (at->tiles != 0) return step;
        const uint8_t *operand = edge_session_resolve(session, at->operands[0]);
        step++;
        if (at->control == EDGE_JUMP || (at->control == EDGE_BRANCH && *operand == 0)) {
            step = at->kernel;
        } else if (at->control == EDGE_MEASURE) {
            measure(session, at);
        } else if (at->control == EDGE_REQUIRE && *operand == 0) {
            return end_early(session, EDGE_ERR_DATA,
                             "the slice \"%s\" has another size with these inputs than the model is compiled for",
                             session->model->tables.text + at->name);
        }
    }
    if (step < program->step_count) return end_early(session, EDGE_ERR_CANCELLED, "the run was cancelled", NULL);
    return step;
}

static void run_alone(edge_session *session) {
    uint32_t count = session->model->program->step_count;
    for (uint32_t i = edge_session_next(session, 0); i < count; i = edge_session_next(session, i + 1)) {
        edge_session_compute(session, i, 0, session->steps[i].tiles, 0, false);
    }
}

static edge_status run(edge_session *session) {
    if (session->flags & EDGE_SESSION_GUARD) poison(session);
    session->failed = false;
    if (session->pool != NULL) {
        edge_pool_run(session->pool);
    } else {
        run_alone(session);
    }
    if (session->failed) return session->error.status;
    session->runs++;
    if (session->shapes != NULL) session->shapes->measured = true;
    return EDGE_OK;
}

edge_status edge_session_run(edge_session *session) {
    if (session == NULL) return EDGE_ERR_ARGUMENT;
    if (atomic_exchange(&session->running, true)) return EDGE_ERR_BUSY;
    atomic_store(&session->cancelled, false);
    bool guard = (session->flags & EDGE_SESSION_GUARD) != 0;
    edge_status status = edge_shapes_settle(session->shapes, &session->error);
    if (status == EDGE_OK) status = check_bound(session, false);
    if (status == EDGE_OK) status = check_bound(session, true);
    if (status == EDGE_OK) {
        status = run(session);
        if (status == EDGE_OK && guard) status = check_guards(session);
    }
    atomic_store(&session->running, false);
    return status;
}

void edge_session_cancel(edge_session *session) {
    if (session != NULL) atomic_store(&session->cancelled, true);
}
