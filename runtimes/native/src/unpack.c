/* unpack.c: steps, parameters and texts, which a program holds in as few bytes as it can. */
#include "unpack.h"

/* Seven bits a byte, the lowest first; the top bit says that more follow. */
static uint64_t number(const uint8_t **at) {
    uint64_t value = 0;
    for (uint32_t shift = 0;; shift += 7) {
        uint8_t byte = *(*at)++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) return value;
    }
}

/* The sign is the lowest bit. */
static int64_t with_sign(const uint8_t **at) {
    uint64_t value = number(at);
    return (int64_t)(value >> 1 ^ (0 - (value & 1)));
}

static const uint8_t *unpack_steps(const uint8_t *at, uint32_t count, edge_step *steps) {
    uint32_t params = 0, name = 0;
    for (edge_step *step = steps; step < steps + count; step++) {
        for (uint32_t i = 0; i < EDGE_OPERANDS; i++) {
            uint64_t operand = number(&at);
            step->operands[i] = operand << 60 | operand >> 4;
        }
        step->macs = number(&at);
        uint64_t order = number(&at);
        step->barrier = order & 1;
        step->banded = order >> 1;
        step->control = order >> 2;
        step->kernel = (uint32_t)number(&at);
        step->params = params += (uint32_t)with_sign(&at);
        step->name = name += (uint32_t)with_sign(&at);
        step->tiles = (int32_t)number(&at);
    }
    return at;
}

/* Each begins with a byte: how many bytes it has in common with the one before. */
static void unpack_text(const uint8_t *at, uint32_t size, char *text) {
    const char *end = text + size, *before = text;
    while (text < end) {
        char *start = text;
        for (uint8_t common = *at++; common > 0; common--) *text++ = *before++;
        do *text = (char)*at++;
        while (*text++ != '\0');
        before = start;
    }
}

size_t edge_tables_size(const edge_program *program) {
    return program->step_count * sizeof(edge_step) + program->param_count * sizeof(int32_t) + program->text_size;
}

edge_tables edge_tables_unpack(const edge_program *program, void *memory) {
    edge_step *steps = memory;
    int32_t *params = (int32_t *)(void *)(steps + program->step_count);
    char *text = (char *)(params + program->param_count);
    const uint8_t *at = unpack_steps(program->numbers, program->step_count, steps);
    for (uint32_t i = 0; i < program->param_count; i++) params[i] = (int32_t)with_sign(&at);
    unpack_text(program->texts, program->text_size, text);
    return (edge_tables){steps, params, text};
}
