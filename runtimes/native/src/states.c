/* states.c: tensors that a session keeps from run to run. */
#include "session.h"

edge_status edge_model_state(const edge_model *model, uint32_t index, const edge_port **port, const char **output) {
    if (model == NULL || port == NULL || output == NULL || index >= model->program->state_count) {
        return EDGE_ERR_ARGUMENT;
    }
    *port = &model->program->states[index].port;
    *output = model->program->states[index].output;
    return EDGE_OK;
}

edge_status edge_session_state(edge_session *session, const char *name, void **data, size_t *nbytes) {
    if (session == NULL) return EDGE_ERR_ARGUMENT;
    const edge_program *program = session->model->program;
    for (uint32_t i = 0; name != NULL && data != NULL && nbytes != NULL && i < program->state_count; i++) {
        const edge_state *state = &program->states[i];
        if (!edge_text_equal(state->port.name, name) && !edge_text_equal(state->output, name)) continue;
        *data = session->arena + state->offset;
        *nbytes = state->port.nbytes;
        return EDGE_OK;
    }
    return edge_fail(&session->error, EDGE_ERR_ARGUMENT, "%s has no state named \"%s\"", program->name, name);
}

edge_status edge_session_reset_state(edge_session *session) {
    if (session == NULL) return EDGE_ERR_ARGUMENT;
    const edge_program *program = session->model->program;
    for (uint32_t i = 0; i < program->state_count; i++) {
        uint8_t *data = session->arena + program->states[i].offset;
        for (uint64_t k = 0; k < program->states[i].port.nbytes; k++) data[k] = 0;
    }
    return EDGE_OK;
}
