/* shapes.c: shapes that differ from run to run.
 *
 * The program says what its extents are made of: symbols, and terms over them. A session has its own copy of steps and
 * parameters, into which it writes the values of the terms: all of them when the shapes of inputs have changed, and
 * those that depend on a measured symbol when it is measured.
 */
#include "shapes.h"

#define ALL_MASKS 0xffffffu

static size_t size(const edge_program *program) {
    const edge_shape_table *t = program->shapes;
    size_t words = (size_t)t->symbol_count + t->term_count + t->input_dim_count;
    words += program->input_count + program->output_count + (program->param_count + 1) / 2;
    return sizeof(edge_shapes) + words * 8 + program->step_count * sizeof(edge_step);
}

static edge_shapes *build(const edge_model *model, void *memory) {
    const edge_program *program = model->program;
    const edge_shape_table *table = program->shapes;
    edge_shapes *shapes = memory;
    shapes->program = program;
    shapes->table = table;
    shapes->values = (int64_t *)(void *)(shapes + 1);
    shapes->dims = shapes->values + table->symbol_count + table->term_count;
    shapes->bound = (uint64_t *)(void *)(shapes->dims + table->input_dim_count);
    shapes->steps = (edge_step *)(void *)(shapes->bound + program->input_count + program->output_count);
    shapes->params = (int32_t *)(void *)(shapes->steps + program->step_count);
    for (uint32_t i = 0; i < program->step_count; i++) shapes->steps[i] = model->tables.steps[i];
    for (uint32_t i = 0; i < program->param_count; i++) shapes->params[i] = model->tables.params[i];
    for (uint32_t i = 0; i < table->input_dim_count; i++) {
        shapes->dims[i] = table->symbols[table->input_dims[i].value].high;
    }
    return shapes;
}

/* 64-bit arithmetic that wraps instead of being undefined: a program's values fit, and what does not is no crash. */
static int64_t divide(int64_t a, int64_t b) {
    if (b == 0) return 0;
    if (b == -1) return (int64_t)(0 - (uint64_t)a);
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

static int64_t compute(const edge_term *term, const int64_t *values) {
    uint32_t fn = term->fn & 0xff;
    if (fn == EDGE_TERM_INT) return (int64_t)((uint64_t)term->b << 32 | term->a);
    int64_t a = values[term->a], b = values[term->b];
    switch (fn) {
        case EDGE_TERM_ADD: return (int64_t)((uint64_t)a + (uint64_t)b);
        case EDGE_TERM_SUB: return (int64_t)((uint64_t)a - (uint64_t)b);
        case EDGE_TERM_MUL: return (int64_t)((uint64_t)a * (uint64_t)b);
        case EDGE_TERM_DIV: return divide(a, b);
        default: return a < b ? a : b;
    }
}

static uint64_t mask_of(const edge_shape_table *table, uint32_t value) {
    return value < table->symbol_count ? table->symbols[value].mask : table->terms[value - table->symbol_count].fn >> 8;
}

static void fix(edge_shapes *shapes, uint32_t place, int64_t value) {
    uint32_t index = place & 0x3fffffff;
    switch (place >> 30) {
        case EDGE_FIX_PARAM: shapes->params[index] = (int32_t)value; break;
        case EDGE_FIX_TILES:
            value = value < 0 ? 0 : value > INT32_MAX ? INT32_MAX : value;
            /* A worker that overslept may be looking at it: pool.c. */
            __atomic_store_n(&shapes->steps[index].tiles, (int32_t)value, __ATOMIC_RELEASE);
            break;
        default: {
            edge_operand *operand = &shapes->steps[index / EDGE_OPERANDS].operands[index % EDGE_OPERANDS];
            *operand = EDGE_AT(EDGE_AT_SPACE(*operand), EDGE_AT_INDEX(*operand), EDGE_AT_OFFSET((uint64_t)value));
        }
    }
}

/* Computes what depends on measured symbols with one of these masks, from the given first term and fix-up on. */
static void update(edge_shapes *shapes, uint32_t term, uint32_t fixup, uint64_t mask) {
    const edge_shape_table *table = shapes->table;
    for (; term < table->term_count; term++) {
        const edge_term *at = &table->terms[term];
        if (term >= table->measured_terms && (at->fn >> 8 & mask) == 0) continue;
        shapes->values[table->symbol_count + term] = compute(at, shapes->values);
    }
    for (; fixup < table->fixup_count; fixup++) {
        const edge_fixup *at = &table->fixups[fixup];
        if (fixup >= table->measured_fixups && (mask_of(table, at->value) & mask) == 0) continue;
        fix(shapes, at->place, shapes->values[at->value]);
    }
}

static void measure(edge_shapes *shapes, uint32_t symbol, int64_t value) {
    const edge_shape_table *table = shapes->table;
    const edge_symbol *range = &table->symbols[symbol];
    shapes->values[symbol] = value < range->low ? range->low : value > range->high ? range->high : value;
    update(shapes, table->measured_terms, table->measured_fixups, range->mask);
}

/* Of the dimensions that make up one symbol, the first is believed and the others must agree. */
static edge_status settle_symbols(edge_shapes *shapes, edge_error *error) {
    const edge_shape_table *table = shapes->table;
    const edge_port *ports = shapes->program->inputs;
    int64_t *values = shapes->values, *dims = shapes->dims;
    for (uint32_t i = 0; i < table->symbol_count; i++) values[i] = table->symbols[i].high;
    for (uint32_t i = table->input_dim_count; i-- > 0;) values[table->input_dims[i].value] = dims[i];
    for (uint32_t i = 0; i < table->input_dim_count; i++) {
        const edge_dim *at = &table->input_dims[i], *first = table->input_dims;
        if (values[at->value] == dims[i]) continue;
        while (first->value != at->value) first++;
        return edge_fail(error, EDGE_ERR_SIZE,
                         "dimension %u of input \"%s\" is %u, but must equal dimension %u of input \"%s\", which is %u",
                         (uint64_t)at->axis, ports[at->port].name, (uint64_t)dims[i], (uint64_t)first->axis,
                         ports[first->port].name, (uint64_t)values[at->value]);
    }
    return EDGE_OK;
}

static edge_status settle(edge_shapes *shapes, edge_error *error) {
    edge_status status = settle_symbols(shapes, error);
    if (status != EDGE_OK) return status;
    update(shapes, 0, 0, ALL_MASKS);
    shapes->settled = true;
    shapes->measured = false;
    return EDGE_OK;
}

static const edge_dim *dims_of(const edge_shape_table *table, bool output, uint32_t *count) {
    *count = output ? table->output_dim_count : table->input_dim_count;
    return output ? table->output_dims : table->input_dims;
}

static bool vary(const edge_shapes *shapes, bool output, uint32_t index) {
    uint32_t count = 0;
    const edge_dim *dim = dims_of(shapes->table, output, &count);
    for (uint32_t i = 0; i < count; i++) {
        if (dim[i].port == index) return true;
    }
    return false;
}

static uint64_t room(const edge_shapes *shapes, bool output, uint32_t index) {
    const edge_port *port = output ? &shapes->program->outputs[index] : &shapes->program->inputs[index];
    uint32_t count = 0;
    const edge_dim *dim = dims_of(shapes->table, output, &count);
    uint64_t nbytes = port->nbytes;
    for (uint32_t i = 0; i < count && nbytes > 0; i++) {
        if (dim[i].port != index || mask_of(shapes->table, dim[i].value) != 0) continue;
        nbytes = nbytes / (uint64_t)port->shape[dim[i].axis] * (uint64_t)shapes->values[dim[i].value];
    }
    return nbytes;
}

static edge_range range(const edge_program *program, uint32_t index, uint32_t axis) {
    const edge_shape_table *table = program->shapes;
    for (uint32_t i = 0; i < table->input_dim_count; i++) {
        const edge_dim *dim = &table->input_dims[i];
        const edge_symbol *symbol = &table->symbols[dim->value];
        if (dim->port == index && dim->axis == axis) return (edge_range){symbol->low, symbol->high, symbol->step};
    }
    int64_t extent = program->inputs[index].shape[axis];
    return (edge_range){extent, extent, 1};
}

static void set(edge_shapes *shapes, uint32_t index, const int64_t *dims) {
    for (uint32_t i = 0; i < shapes->table->input_dim_count; i++) {
        const edge_dim *at = &shapes->table->input_dims[i];
        if (at->port != index || shapes->dims[i] == dims[at->axis]) continue;
        shapes->dims[i] = dims[at->axis];
        shapes->settled = false;
    }
}

static void get(const edge_shapes *shapes, uint32_t index, int64_t *dims, int32_t capacity) {
    for (uint32_t i = 0; i < shapes->table->output_dim_count; i++) {
        const edge_dim *at = &shapes->table->output_dims[i];
        bool known = shapes->measured || mask_of(shapes->table, at->value) == 0;
        if (at->port == index && (int32_t)at->axis < capacity) dims[at->axis] = known ? shapes->values[at->value] : -1;
    }
}

const struct edge_shape_calls edge_shape_calls = {size, build, settle, measure, vary, room, range, set, get};
