/* tensors.c: input and output files. */
#include "../src/linux_raw.h"
#include "../src/platform.h"
#include "../src/text.h"
#include "runner.h"

#define MAX_RANK 8

static const char *const descr[] = {"<f4", "<f2", "<f8", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "|b1", "<u8"};
static const uint8_t widths[] = {4, 2, 8, 1, 1, 2, 2, 4, 4, 8, 1, 8};

typedef struct run_shape {
    int64_t dims[MAX_RANK];
    int32_t rank;
} run_shape;

/* An input file: what it maps, and the data in it. */
typedef struct input_file {
    const uint8_t *mapped, *data;
    size_t size, nbytes;
} input_file;

static uint64_t shape_nbytes(const run_shape *shape, edge_dtype dtype) {
    uint64_t nbytes = widths[dtype];
    for (int32_t i = 0; i < shape->rank; i++) nbytes *= (uint64_t)shape->dims[i];
    return nbytes;
}

/* Extents with commas between them, up to `stop`. */
static bool parse_shape(const char *text, const char *end, char stop, run_shape *shape) {
    shape->rank = 0;
    while (text < end && *text != stop) {
        if (shape->rank == MAX_RANK || *text < '0' || *text > '9') return false;
        int64_t extent = 0;
        for (; text < end && *text >= '0' && *text <= '9'; text++) {
            if (extent > INT32_MAX) return false;
            extent = extent * 10 + (*text - '0');
        }
        shape->dims[shape->rank++] = extent;
        while (text < end && (*text == ',' || *text == ' ')) text++;
    }
    return text < end;
}

/* What follows `text` in the data, or NULL where it is not to be found. */
static const uint8_t *find(const uint8_t *data, size_t size, const char *text) {
    for (size_t i = 0; i < size; i++) {
        size_t j = 0;
        while (text[j] != '\0' && i + j < size && data[i + j] == (uint8_t)text[j]) j++;
        if (text[j] == '\0') return data + i + j;
    }
    return NULL;
}

/* Takes a .npy header off the data; its dtype and order must be the port's, its shape is the input's. Anything else is
 * raw data. */
static int take_npy_header(const edge_port *port, const char *path, input_file *file, run_shape *shape) {
    const uint8_t *at = file->data;
    if (file->nbytes < 12 || at[0] != 0x93 || run_after((const char *)at + 1, "NUMPY") == NULL) return RUN_OK;
    size_t start = at[6] == 1 ? 10 : 12;
    size_t length = at[8] | (size_t)at[9] << 8;
    if (at[6] != 1) length |= (size_t)at[10] << 16 | (size_t)at[11] << 24;
    if (length > file->nbytes - start) return run_fail(RUN_BAD_INPUT, "%s is cut off inside its .npy header", path);

    char wanted[32];
    edge_text text = {wanted, 0, sizeof wanted};
    edge_text_format(&text, "'descr': '%s'", descr[port->dtype]);
    if (find(at + start, length, wanted) == NULL) {
        return run_fail(RUN_BAD_INPUT, "%s has not the dtype %s that input \"%s\" takes", path, descr[port->dtype],
                        port->name);
    }
    if (find(at + start, length, "'fortran_order': False") == NULL) {
        return run_fail(RUN_BAD_INPUT, "%s is stored in Fortran order; save it with numpy.ascontiguousarray", path);
    }
    const char *dims = (const char *)find(at + start, length, "'shape': (");
    if (dims == NULL || !parse_shape(dims, (const char *)at + start + length, ')', shape)) {
        return run_fail(RUN_BAD_INPUT, "%s has no shape of at most 8 dimensions in its .npy header", path);
    }
    file->data += start + length;
    file->nbytes -= start + length;
    return RUN_OK;
}

/* The shape of an input: that of its file or of --shape, or else the largest. Maps the file, if there is one. */
static int open_input(const run_options *options, const edge_port *port, input_file *file, run_shape *shape) {
    const char *path = run_option(options, "--input", port->name), *text = run_option(options, "--shape", port->name);
    if (port->rank > MAX_RANK) return run_fail(RUN_INTERNAL, "input \"%s\" has too many dimensions", port->name);
    shape->rank = port->rank;
    for (int32_t i = 0; i < port->rank; i++) shape->dims[i] = port->shape[i];
    const char *end = text;
    while (end != NULL && *end++ != '\0') {
    }
    if (text != NULL && !parse_shape(text, end, '\0', shape)) {
        return run_fail(RUN_BAD_INPUT, "--shape %s=%s is not NAME=1,3,64,64", port->name, text);
    }
    if (path == NULL) return RUN_OK;
    if (!edge_os_map_file(path, &file->mapped, &file->size)) {
        return run_fail(RUN_BAD_INPUT, "cannot read the input file %s", path);
    }
    file->data = file->mapped;
    file->nbytes = file->size;
    return take_npy_header(port, path, file, shape);
}

/* One element from random bits: any integer of up to 16 bits, 0 or 1 where wider (an index or a count, mostly), and
 * floats of magnitude 0.5 to 1 with either sign. */
static uint64_t pseudo_random_element(edge_dtype dtype, uint64_t bits) {
    switch (dtype) {
        case EDGE_FLOAT32: return (bits & 0x807fffffu) | 0x3f000000u;
        case EDGE_FLOAT16: return (bits & 0x83ffu) | 0x3800u;
        case EDGE_FLOAT64: return (bits & 0x800fffffffffffffu) | 0x3fe0000000000000u;
        case EDGE_INT8:
        case EDGE_UINT8:
        case EDGE_INT16:
        case EDGE_UINT16: return bits;
        default: return bits >> 7 & 1;
    }
}

static void fill(const edge_port *port, uint8_t *to, uint64_t nbytes) {
    size_t width = widths[port->dtype];
    uint64_t state = 0x9e3779b97f4a7c15u;
    for (size_t i = 0; i < nbytes; i += width) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        uint64_t element = pseudo_random_element(port->dtype, state);
        __builtin_memcpy(to + i, &element, width);
    }
}

/* Memory for a tensor; with --guard its end touches memory that must not be, so that reading past it is a fault. */
static void *allocate(const run_options *options, const edge_port *port, uint64_t nbytes) {
    const size_t page = 65536; /* the largest of any kernel */
    if (!options->guard) return edge_os_alloc(nbytes > 0 ? nbytes : 1);
    size_t aligned = (nbytes + port->alignment - 1) / port->alignment * port->alignment;
    size_t usable = (aligned + page - 1) / page * page;
    uint8_t *memory = edge_os_alloc(usable + page);
    if (memory == NULL || linux_call3(SYS_MPROTECT, memory + usable, page, 0) != 0) return NULL;
    return memory + usable - aligned;
}

/* Every --input and --shape must name a port. */
static int check_names(const run_options *options, const edge_model *model, uint32_t count) {
    for (int i = 1; i + 1 < options->argc; i++) {
        const char *option = options->argv[i], *value = options->argv[i + 1];
        bool is_input = run_is(option, "--input");
        if (!is_input && !run_is(option, "--shape")) continue;
        bool known = false;
        const edge_port *port = NULL;
        for (uint32_t k = 0; k < count && !known; k++) {
            edge_model_input(model, k, &port);
            const char *rest = run_after(value, port->name);
            known = rest != NULL && *rest == '=';
        }
        if (!known) {
            return run_fail(RUN_BAD_INPUT, "%s %s is not NAME=%s with an input of this model, such as \"%s\"", option,
                            value, is_input ? "FILE" : "1,3,64,64", port != NULL ? port->name : "");
        }
    }
    return RUN_OK;
}

static int bind_input(const run_options *options, edge_session *session, uint32_t index, const edge_port *port) {
    input_file file = {0};
    run_shape shape;
    int code = open_input(options, port, &file, &shape);
    if (code != RUN_OK) return code;
    if (edge_session_set_input_shape(session, index, shape.dims, shape.rank) != EDGE_OK) {
        return run_fail_error(edge_session_last_error(session));
    }
    uint64_t nbytes = shape_nbytes(&shape, port->dtype);
    if (file.mapped != NULL && file.nbytes != nbytes) {
        return run_fail(RUN_BAD_INPUT, "%s holds %u bytes of data, but input \"%s\" takes %u",
                        run_option(options, "--input", port->name), (uint64_t)file.nbytes, port->name, nbytes);
    }
    uint8_t *data = allocate(options, port, nbytes);
    if (data == NULL) return run_fail(RUN_INTERNAL, "no memory for input \"%s\"", port->name);
    if (file.mapped != NULL) {
        __builtin_memcpy(data, file.data, nbytes);
        edge_os_free((void *)(uintptr_t)file.mapped, file.size);
    } else {
        fill(port, data, nbytes);
    }
    edge_session_bind_input(session, index, data, nbytes);
    return RUN_OK;
}

int run_bind_inputs(const run_options *options, const edge_model *model, edge_session *session) {
    uint32_t inputs = 0, outputs = 0;
    edge_model_counts(model, &inputs, &outputs);
    int code = check_names(options, model, inputs);
    for (uint32_t i = 0; code == RUN_OK && i < inputs; i++) {
        const edge_port *port = NULL;
        edge_model_input(model, i, &port);
        code = bind_input(options, session, i, port);
    }
    return code;
}

/* The shape of an output; what is not known before a run counts as its largest. */
static int output_shape(edge_session *session, uint32_t index, const edge_port *port, run_shape *shape) {
    if (port->rank > MAX_RANK) return run_fail(RUN_INTERNAL, "output \"%s\" has too many dimensions", port->name);
    if (edge_session_output_shape(session, index, shape->dims, MAX_RANK, &shape->rank) != EDGE_OK) {
        return run_fail_error(edge_session_last_error(session));
    }
    for (int32_t i = 0; i < shape->rank; i++) {
        if (shape->dims[i] < 0) shape->dims[i] = port->shape[i];
    }
    return RUN_OK;
}

int run_bind_outputs(const run_options *options, const edge_model *model, edge_session *session, void **outputs) {
    uint32_t inputs = 0, count = 0;
    edge_model_counts(model, &inputs, &count);
    for (uint32_t i = 0; i < count; i++) {
        const edge_port *port = NULL;
        run_shape shape;
        edge_model_output(model, i, &port);
        int code = output_shape(session, i, port, &shape);
        if (code != RUN_OK) return code;
        uint64_t nbytes = shape_nbytes(&shape, port->dtype);
        outputs[i] = allocate(options, port, nbytes);
        if (outputs[i] == NULL) return run_fail(RUN_INTERNAL, "no memory for output \"%s\"", port->name);
        edge_session_bind_output(session, i, outputs[i], nbytes);
    }
    return RUN_OK;
}

void run_output_path(const run_options *options, uint32_t index, const edge_port *port, char *path, size_t capacity) {
    edge_text text = {path, 0, capacity};
    edge_text_format(&text, "%s/%u-", options->out, (uint64_t)index);
    for (const char *c = port->name; *c != '\0' && c - port->name < 100; c++) {
        bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || *c == '.' ||
                     *c == '-';
        edge_text_format(&text, "%s", plain ? (char[]){*c, '\0'} : "_");
    }
    edge_text_format(&text, ".bin");
}

static bool write_file(const char *path, const uint8_t *data, size_t nbytes) {
    const long create_write_truncate_cloexec = 02001101, mode = 0644;
    long file = linux_call4(SYS_OPENAT, -100, path, create_write_truncate_cloexec, mode);
    if (file < 0) return false;
    long written = 0;
    for (; nbytes > 0 && written >= 0; data += written, nbytes -= (size_t)written) {
        written = linux_call3(SYS_WRITE, file, data, nbytes);
        if (written < 0) break;
    }
    return linux_call1(SYS_CLOSE, file) == 0 && written >= 0;
}

int run_write_outputs(const run_options *options, const edge_model *model, edge_session *session, void **outputs) {
    uint32_t inputs = 0, count = 0;
    edge_model_counts(model, &inputs, &count);
    linux_call3(SYS_MKDIRAT, -100, options->out, 0755); /* it may exist */
    for (uint32_t i = 0; i < count; i++) {
        const edge_port *port = NULL;
        run_shape shape;
        char path[4096];
        edge_model_output(model, i, &port);
        run_output_path(options, i, port, path, sizeof path);
        int code = output_shape(session, i, port, &shape);
        if (code != RUN_OK) return code;
        if (!write_file(path, outputs[i], shape_nbytes(&shape, port->dtype))) {
            return run_fail(RUN_BAD_INPUT, "cannot write %s", path);
        }
    }
    return RUN_OK;
}
