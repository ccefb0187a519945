/* introspect.c: what a model says about itself. */
#include "internal.h"

edge_status edge_find_port(const edge_port *ports, uint32_t count, const char *name, uint32_t *index) {
    for (uint32_t i = 0; name != NULL && i < count; i++) {
        if (!edge_text_equal(ports[i].name, name)) continue;
        *index = i;
        return EDGE_OK;
    }
    return EDGE_ERR_ARGUMENT;
}

edge_status edge_model_name(const edge_model *model, const char **name) {
    if (model == NULL || name == NULL) return EDGE_ERR_ARGUMENT;
    *name = model->program->name;
    return EDGE_OK;
}

edge_status edge_model_variant(const edge_model *model, const char **variant) {
    if (model == NULL || variant == NULL) return EDGE_ERR_ARGUMENT;
    *variant = model->variant->name;
    return EDGE_OK;
}

edge_status edge_model_counts(const edge_model *model, uint32_t *inputs, uint32_t *outputs) {
    if (model == NULL || inputs == NULL || outputs == NULL) return EDGE_ERR_ARGUMENT;
    *inputs = model->program->input_count;
    *outputs = model->program->output_count;
    return EDGE_OK;
}

edge_status edge_model_input(const edge_model *model, uint32_t index, const edge_port **port) {
    if (model == NULL || port == NULL || index >= model->program->input_count) return EDGE_ERR_ARGUMENT;
    *port = &model->program->inputs[index];
    return EDGE_OK;
}

edge_status edge_model_output(const edge_model *model, uint32_t index, const edge_port **port) {
    if (model == NULL || port == NULL || index >= model->program->output_count) return EDGE_ERR_ARGUMENT;
    *port = &model->program->outputs[index];
    return EDGE_OK;
}

edge_status edge_model_find_input(const edge_model *model, const char *name, uint32_t *index) {
    if (model == NULL || index == NULL) return EDGE_ERR_ARGUMENT;
    return edge_find_port(model->program->inputs, model->program->input_count, name, index);
}

edge_status edge_model_find_output(const edge_model *model, const char *name, uint32_t *index) {
    if (model == NULL || index == NULL) return EDGE_ERR_ARGUMENT;
    return edge_find_port(model->program->outputs, model->program->output_count, name, index);
}

edge_status edge_model_arena_size(const edge_model *model, uint64_t *nbytes) {
    if (model == NULL || nbytes == NULL) return EDGE_ERR_ARGUMENT;
    *nbytes = model->program->arena_size;
    return EDGE_OK;
}
