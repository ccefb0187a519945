/* text.h: bounded text without a libc. */
#ifndef EDGE_TEXT_H
#define EDGE_TEXT_H

#include <stdarg.h>

#include "edge.h"

/* A buffer that text is appended to; what does not fit is cut off. Always terminated. */
typedef struct edge_text {
    char *data;
    size_t size;
    size_t capacity;
} edge_text;

/* Appends `format`, in which %s is a `const char *`, %u a `uint64_t`, %x one in hexadecimal and %% a percent sign. */
void edge_text_format(edge_text *text, const char *format, ...);
void edge_text_vformat(edge_text *text, const char *format, va_list arguments);

/* Fills `error` (which may be NULL) and returns `status`, so that a function can end in `return edge_fail(...)`. */
edge_status edge_fail(edge_error *error, edge_status status, const char *format, ...);

#endif
