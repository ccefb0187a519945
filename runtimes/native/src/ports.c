/* ports.c: shapes of inputs and outputs, whether they are fixed or differ from run to run. */
#include "session.h"

edge_status edge_model_input_range(const edge_model *model, uint32_t index, int32_t axis, edge_range *found) {
    if (model == NULL || found == NULL || index >= model->program->input_count) return EDGE_ERR_ARGUMENT;
    if (axis < 0 || axis >= model->program->inputs[index].rank) return EDGE_ERR_ARGUMENT;
    *found = edge_shapes_range(model->program, index, (uint32_t)axis);
    return EDGE_OK;
}

static bool accepted(edge_range range, int64_t extent) {
    return extent >= range.low && extent <= range.high && (extent - range.low) % range.step == 0;
}

/* "[1..8, 3, 32..640/32]" for what an input can have, or "[1, 3, 64]" for given extents. */
static void put_shape(edge_text *text, const edge_program *program, uint32_t index, const int64_t *dims, int32_t rank) {
    edge_text_format(text, "[");
    for (int32_t i = 0; i < rank; i++) {
        edge_range range = {0, 0, 1};
        if (dims == NULL) range = edge_shapes_range(program, index, (uint32_t)i);
        if (dims != NULL) range.low = range.high = dims[i];
        uint64_t size = range.low < 0 ? 0 - (uint64_t)range.low : (uint64_t)range.low;
        edge_text_format(text, "%s%s%u", i > 0 ? ", " : "", range.low < 0 ? "-" : "", size);
        if (range.high != range.low) edge_text_format(text, "..%u", (uint64_t)range.high);
        if (range.step != 1) edge_text_format(text, "/%u", (uint64_t)range.step);
    }
    edge_text_format(text, "]");
}

static edge_status fail_shape(edge_session *session, uint32_t index, const int64_t *dims, int32_t rank) {
    const edge_program *program = session->model->program;
    const edge_port *port = &program->inputs[index];
    char given[80], known[80];
    edge_text texts[] = {{given, 0, sizeof given}, {known, 0, sizeof known}};
    put_shape(&texts[0], program, index, dims, rank);
    put_shape(&texts[1], program, index, NULL, port->rank);
    return edge_fail(&session->error, EDGE_ERR_SIZE, "input \"%s\" has shape %s, but %s is accepted", port->name,
                     given, known);
}

edge_status edge_session_set_input_shape(edge_session *session, uint32_t index, const int64_t *dims, int32_t rank) {
    if (session == NULL) return EDGE_ERR_ARGUMENT;
    const edge_program *program = session->model->program;
    if (index >= program->input_count || rank < 0 || (dims == NULL && rank > 0)) {
        return edge_fail(&session->error, EDGE_ERR_ARGUMENT, "%s has no input %u, or no shape was given",
                         program->name, (uint64_t)index);
    }
    bool fits = rank == program->inputs[index].rank;
    for (int32_t i = 0; fits && i < rank; i++) fits = accepted(edge_shapes_range(program, index, (uint32_t)i), dims[i]);
    if (!fits) return fail_shape(session, index, dims, rank);
    if (session->shapes != NULL) program->shapes->calls->set(session->shapes, index, dims);
    return EDGE_OK;
}

edge_status edge_session_output_shape(edge_session *session, uint32_t index, int64_t *dims, int32_t capacity,
                                      int32_t *rank) {
    if (session == NULL) return EDGE_ERR_ARGUMENT;
    const edge_program *program = session->model->program;
    if (index >= program->output_count || rank == NULL || (dims == NULL && capacity > 0)) {
        return edge_fail(&session->error, EDGE_ERR_ARGUMENT, "%s has no output %u, or no place was given for its shape",
                         program->name, (uint64_t)index);
    }
    edge_status status = edge_shapes_settle(session->shapes, &session->error);
    if (status != EDGE_OK) return status;
    const edge_port *port = &program->outputs[index];
    *rank = port->rank;
    for (int32_t i = 0; i < port->rank && i < capacity; i++) dims[i] = port->shape[i];
    if (session->shapes != NULL) program->shapes->calls->get(session->shapes, index, dims, capacity);
    return EDGE_OK;
}
