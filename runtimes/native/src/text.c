#include "text.h"

static void put(edge_text *text, char c) {
    if (text->size + 1 < text->capacity) text->data[text->size++] = c;
}

static void put_text(edge_text *text, const char *s) {
    for (s = s != NULL ? s : "(null)"; *s != '\0'; s++) put(text, *s);
}

static void put_number(edge_text *text, uint64_t value, unsigned base) {
    char digits[20];
    int count = 0;
    do digits[count++] = "0123456789abcdef"[value % base];
    while ((value /= base) != 0);
    while (count > 0) put(text, digits[--count]);
}

void edge_text_vformat(edge_text *text, const char *format, va_list arguments) {
    for (; *format != '\0'; format++) {
        if (*format != '%') {
            put(text, *format);
            continue;
        }
        switch (*++format) {
            case 's': put_text(text, va_arg(arguments, const char *)); break;
            case 'u': put_number(text, va_arg(arguments, uint64_t), 10); break;
            case 'x': put_number(text, va_arg(arguments, uint64_t), 16); break;
            default: put(text, *format);
        }
    }
    if (text->capacity > 0) text->data[text->size] = '\0';
}

void edge_text_format(edge_text *text, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    edge_text_vformat(text, format, arguments);
    va_end(arguments);
}

edge_status edge_fail(edge_error *error, edge_status status, const char *format, ...) {
    if (error != NULL) {
        edge_text text = {error->message, 0, sizeof error->message};
        va_list arguments;
        va_start(arguments, format);
        edge_text_vformat(&text, format, arguments);
        va_end(arguments);
        error->status = status;
    }
    return status;
}

const char *edge_status_text(edge_status status) {
    switch (status) {
        case EDGE_OK: return "ok";
        case EDGE_ERR_ARGUMENT: return "invalid argument";
        case EDGE_ERR_SIZE: return "wrong buffer size or alignment";
        case EDGE_ERR_UNBOUND: return "an input or output is not bound";
        case EDGE_ERR_BUSY: return "the session is in use";
        case EDGE_ERR_MEMORY: return "out of memory";
        case EDGE_ERR_FILE: return "the weights file cannot be read";
        case EDGE_ERR_WEIGHTS: return "the weights do not belong to this program";
        case EDGE_ERR_VERSION: return "the program needs another runtime version";
        case EDGE_ERR_CPU: return "the CPU lacks a needed feature";
        case EDGE_ERR_THREAD: return "a thread could not be started or pinned";
        case EDGE_ERR_GUARD: return "memory beside the arena was overwritten";
        case EDGE_ERR_DATA: return "the inputs' values ask for another size than the model is compiled for";
        case EDGE_ERR_CANCELLED: return "the run was cancelled";
    }
    return "unknown status";
}

uint32_t edge_abi_version(void) { return EDGE_ABI_VERSION; }
