/* runner.h: the parts of the static runner, a program of its own without a libc. */
#ifndef EDGE_RUNNER_H
#define EDGE_RUNNER_H

#include <stdbool.h>

#include "edge.h"

typedef struct run_options {
    const char *weights;
    const char *out;
    const char *affinity;
    const char *variant;
    uint64_t threads;
    uint64_t repeat;
    uint64_t warmup;
    bool profile;
    bool mark;
    bool json;
    bool guard;
    int argc; /* the command line: --input and --shape are read once the model's ports are known */
    char **argv;
} run_options;

enum { RUN_OK = 0, RUN_INTERNAL = 1, RUN_BAD_INPUT = 2 };

/* output.c: text on standard output, buffered; each returns nothing, a failed write is not an error of the run */
typedef struct run_output {
    char data[4096];
    size_t size;
} run_output;
void out_flush(run_output *out);
void out_text(run_output *out, const char *text);
void out_number(run_output *out, uint64_t number);
void out_json(run_output *out, const char *text); /* quoted and escaped */

/* output.c: one line on standard error; returns `code` */
int run_fail(int code, const char *format, ...);
int run_fail_error(const edge_error *error);

/* arguments.c */
int run_parse(int argc, char **argv, run_options *options);
/* The text after NAME= in an option such as `--input NAME=FILE` for this port, or NULL. */
const char *run_option(const run_options *options, const char *option, const char *port);
bool run_is(const char *a, const char *b);
/* The text after `prefix`, or NULL if `text` does not start with it. */
const char *run_after(const char *text, const char *prefix);

/* tensors.c */
int run_bind_inputs(const run_options *options, const edge_model *model, edge_session *session);
int run_bind_outputs(const run_options *options, const edge_model *model, edge_session *session, void **outputs);
int run_write_outputs(const run_options *options, const edge_model *model, edge_session *session, void **outputs);
/* "DIR/<index>-<name>.bin", with all but letters, digits, '.', '_' and '-' of the name made '_'. */
void run_output_path(const run_options *options, uint32_t index, const edge_port *port, char *path, size_t capacity);

/* report.c; `cold`: nanoseconds of opening and the first inference, `ns`: of those that were timed */
int run_report(const run_options *options, const edge_model *model, edge_session *session, uint64_t cold,
               uint64_t *ns);

#endif
