/* report.c: what a session tells about itself. */
#include "session.h"

edge_status edge_session_profile(edge_session *session, edge_step_profile *rows, uint32_t capacity, uint32_t *count) {
    if (session == NULL || count == NULL || (rows == NULL && capacity > 0)) return EDGE_ERR_ARGUMENT;
    if (session->step_ns == NULL) {
        return edge_fail(&session->error, EDGE_ERR_ARGUMENT, "this session was created without EDGE_SESSION_PROFILE");
    }
    const edge_program *program = session->model->program;
    const edge_tables *tables = &session->model->tables;
    *count = program->step_count;
    for (uint32_t i = 0; i < program->step_count && i < capacity; i++) {
        const edge_step *step = &tables->steps[i];
        rows[i].name = tables->text + step->name;
        rows[i].kernel = tables->text + (step->control ? step->params : program->kernel_names[step->kernel]);
        rows[i].runs = session->runs;
        rows[i].ns = atomic_load_explicit(&session->step_ns[i], memory_order_relaxed);
        rows[i].macs = step->macs;
    }
    return EDGE_OK;
}

edge_status edge_session_memory(const edge_session *session, edge_memory *memory) {
    if (session == NULL || memory == NULL) return EDGE_ERR_ARGUMENT;
    memory->arena = session->arena_nbytes;
    memory->weights = session->model->weights_nbytes;
    memory->runtime = session->model->nbytes + session->nbytes - memory->arena +
                      (session->threads - 1) * (uint64_t)EDGE_THREAD_STACK;
    return EDGE_OK;
}

edge_status edge_session_threads(const edge_session *session, uint32_t *threads) {
    if (session == NULL || threads == NULL) return EDGE_ERR_ARGUMENT;
    *threads = session->threads;
    return EDGE_OK;
}

const edge_error *edge_session_last_error(const edge_session *session) {
    static const edge_error none = {EDGE_ERR_ARGUMENT, "no session was given"};
    return session != NULL ? &session->error : &none;
}
