/* tensors.c: input and output files. */
#include "../src/linux_raw.h"
#include "../src/platform.h"
#include "../src/text.h"
#include "runner.h"

static const char *const descr[] = {"<f4", "<f2", "<f8", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "|b1", "<u8"};

static bool contains(const uint8_t *data, size_t size, const char *text) {
    for (size_t i = 0; i < size; i++) {
        size_t j = 0;
        while (text[j] != '\0' && i + j < size && data[i + j] == (uint8_t)text[j]) j++;
        if (text[j] == '\0') return true;
    }
    return false;
}

/* Moves *data past a .npy header, whose dtype and order must be the port's. Anything else is raw data. */
static int skip_npy_header(const edge_port *port, const char *file, const uint8_t **data, size_t *nbytes) {
    const uint8_t *at = *data;
    if (*nbytes < 12 || at[0] != 0x93 || run_after((const char *)at + 1, "NUMPY") == NULL) return RUN_OK;
    size_t start = at[6] == 1 ? 10 : 12;
    size_t length = at[8] | (size_t)at[9] << 8;
    if (at[6] != 1) length |= (size_t)at[10] << 16 | (size_t)at[11] << 24;
    if (length > *nbytes - start) return run_fail(RUN_BAD_INPUT, "%s is cut off inside its .npy header", file);

    char wanted[32];
    edge_text text = {wanted, 0, sizeof wanted};
    edge_text_format(&text, "'descr': '%s'", descr[port->dtype]);
    if (!contains(at + start, length, wanted)) {
        return run_fail(RUN_BAD_INPUT, "%s has not the dtype %s that input \"%s\" takes", file, descr[port->dtype],
                        port->name);
    }
    if (!contains(at + start, length, "'fortran_order': False")) {
        return run_fail(RUN_BAD_INPUT, "%s is stored in Fortran order; save it with numpy.ascontiguousarray", file);
    }
    *data += start + length;
    *nbytes -= start + length;
    return RUN_OK;
}

static int load(const edge_port *port, const char *file, uint8_t *to) {
    const uint8_t *mapped = NULL;
    size_t size = 0;
    if (!edge_os_map_file(file, &mapped, &size)) return run_fail(RUN_BAD_INPUT, "cannot read the input file %s", file);
    const uint8_t *data = mapped;
    size_t nbytes = size;
    int code = skip_npy_header(port, file, &data, &nbytes);
    if (code == RUN_OK && nbytes != port->nbytes) {
        code = run_fail(RUN_BAD_INPUT, "%s holds %u bytes of data, but input \"%s\" takes %u", file, (uint64_t)nbytes,
                        port->name, port->nbytes);
    }
    if (code == RUN_OK) __builtin_memcpy(to, data, nbytes);
    if (mapped != NULL) edge_os_free((void *)(uintptr_t)mapped, size);
    return code;
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

static void fill(const edge_port *port, uint8_t *to) {
    static const uint8_t widths[] = {4, 2, 8, 1, 1, 2, 2, 4, 4, 8, 1, 8};
    size_t width = widths[port->dtype];
    uint64_t state = 0x9e3779b97f4a7c15u;
    for (size_t i = 0; i < port->nbytes; i += width) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        uint64_t element = pseudo_random_element(port->dtype, state);
        __builtin_memcpy(to + i, &element, width);
    }
}

/* Memory for a tensor; with --guard its end touches memory that must not be, so that reading past it is a fault. */
static void *allocate(const run_options *options, const edge_port *port) {
    const size_t page = 65536; /* the largest of any kernel */
    if (!options->guard) return edge_os_alloc(port->nbytes > 0 ? port->nbytes : 1);
    size_t aligned = (port->nbytes + port->alignment - 1) / port->alignment * port->alignment;
    size_t usable = (aligned + page - 1) / page * page;
    uint8_t *memory = edge_os_alloc(usable + page);
    if (memory == NULL || linux_call3(SYS_MPROTECT, memory + usable, page, 0) != 0) return NULL;
    return memory + usable - aligned;
}

/* Every --input must name a port. */
static int check_names(const run_options *options, const edge_model *model, uint32_t count) {
    for (int i = 1; i + 1 < options->argc; i++) {
        if (!run_is(options->argv[i], "--input")) continue;
        bool known = false;
        const edge_port *port = NULL;
        for (uint32_t k = 0; k < count && !known; k++) {
            edge_model_input(model, k, &port);
            const char *rest = run_after(options->argv[i + 1], port->name);
            known = rest != NULL && *rest == '=';
        }
        if (!known) {
            return run_fail(RUN_BAD_INPUT, "--input %s is not NAME=FILE with an input of this model, such as \"%s\"",
                            options->argv[i + 1], port != NULL ? port->name : "");
        }
    }
    return RUN_OK;
}

int run_bind_inputs(const run_options *options, const edge_model *model, edge_session *session) {
    uint32_t inputs = 0, outputs = 0;
    edge_model_counts(model, &inputs, &outputs);
    int code = check_names(options, model, inputs);
    for (uint32_t i = 0; code == RUN_OK && i < inputs; i++) {
        const edge_port *port = NULL;
        edge_model_input(model, i, &port);
        uint8_t *data = allocate(options, port);
        if (data == NULL) return run_fail(RUN_INTERNAL, "no memory for input \"%s\"", port->name);
        const char *file = run_input_file(options, port->name);
        if (file != NULL) {
            code = load(port, file, data);
        } else {
            fill(port, data);
        }
        edge_session_bind_input(session, i, data, port->nbytes);
    }
    return code;
}

int run_bind_outputs(const run_options *options, const edge_model *model, edge_session *session, void **outputs) {
    uint32_t inputs = 0, count = 0;
    edge_model_counts(model, &inputs, &count);
    for (uint32_t i = 0; i < count; i++) {
        const edge_port *port = NULL;
        edge_model_output(model, i, &port);
        outputs[i] = allocate(options, port);
        if (outputs[i] == NULL) return run_fail(RUN_INTERNAL, "no memory for output \"%s\"", port->name);
        edge_session_bind_output(session, i, outputs[i], port->nbytes);
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

int run_write_outputs(const run_options *options, const edge_model *model, void **outputs) {
    uint32_t inputs = 0, count = 0;
    edge_model_counts(model, &inputs, &count);
    linux_call3(SYS_MKDIRAT, -100, options->out, 0755); /* it may exist */
    for (uint32_t i = 0; i < count; i++) {
        const edge_port *port = NULL;
        char path[4096];
        edge_model_output(model, i, &port);
        run_output_path(options, i, port, path, sizeof path);
        if (!write_file(path, outputs[i], port->nbytes)) return run_fail(RUN_BAD_INPUT, "cannot write %s", path);
    }
    return RUN_OK;
}
