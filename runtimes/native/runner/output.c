/* output.c: what the runner prints. */
#include "../src/linux_raw.h"
#include "../src/text.h"
#include "runner.h"

static void write_all(int file, const char *data, size_t nbytes) {
    while (nbytes > 0) {
        long written = linux_call3(SYS_WRITE, file, data, nbytes);
        if (written <= 0) return;
        data += written;
        nbytes -= (size_t)written;
    }
}

void out_flush(run_output *out) {
    write_all(1, out->data, out->size);
    out->size = 0;
}

static void put(run_output *out, char c) {
    if (out->size == sizeof out->data) out_flush(out);
    out->data[out->size++] = c;
}

void out_text(run_output *out, const char *text) {
    while (*text != '\0') put(out, *text++);
}

void out_number(run_output *out, uint64_t number) {
    char digits[24];
    edge_text text = {digits, 0, sizeof digits};
    edge_text_format(&text, "%u", number);
    out_text(out, digits);
}

void out_json(run_output *out, const char *text) {
    put(out, '"');
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < 0x20) {
            out_text(out, "\\u00");
            put(out, "0123456789abcdef"[c >> 4]);
            put(out, "0123456789abcdef"[c & 15]);
            continue;
        }
        if (c == '"' || c == '\\') put(out, '\\');
        put(out, *text);
    }
    put(out, '"');
}

int run_fail(int code, const char *format, ...) {
    char line[768];
    edge_text text = {line, 0, sizeof line - 1}; /* room for the newline, however long the message */
    va_list arguments;
    va_start(arguments, format);
    edge_text_format(&text, "run: ");
    edge_text_vformat(&text, format, arguments);
    va_end(arguments);
    line[text.size++] = '\n';
    write_all(2, line, text.size);
    return code;
}

int run_fail_error(const edge_error *error) {
    switch (error->status) {
        case EDGE_ERR_MEMORY:
        case EDGE_ERR_THREAD:
        case EDGE_ERR_GUARD: return run_fail(RUN_INTERNAL, "%s", error->message);
        default: return run_fail(RUN_BAD_INPUT, "%s", error->message);
    }
}
