/* main.c: one model, one session, some inferences. The process ends after it, so nothing is given back. */
#include "../src/platform.h"
#include "../src/session.h"
#include "runner.h"

int run_main(int argc, char **argv);

/* Bracket one inference for simulators that watch for these hints (no effect on any CPU). The load behind the first hint,
 * in the same page, has the address of the session's steps: whoever sees addresses sees then which step is read, and so
 * runs. */
static void mark_begin(const edge_session *session) {
#if defined(__aarch64__)
    __asm__ volatile(".p2align 3\n\thint #72\n\tldr xzr, [%0]" ::"r"(session->steps) : "memory");
#else
    (void)session;
#endif
}

static void mark_end(void) {
#if defined(__aarch64__)
    __asm__ volatile("hint #73" ::: "memory");
#endif
}

static int open_session(const run_options *options, edge_model **model, edge_session **session, uint64_t *ns) {
    edge_error error; /* the workers stay on the CPUs that this thread is pinned to */
    edge_model_options model_options = EDGE_MODEL_OPTIONS_INIT;
    edge_session_options session_options = EDGE_SESSION_OPTIONS_INIT;
    model_options.variant = options->variant;
    session_options.threads = (int32_t)options->threads;
    session_options.flags =
        (options->profile ? EDGE_SESSION_PROFILE : 0) | (options->guard ? EDGE_SESSION_GUARD : 0);
    if (edge_thread_pin(options->affinity, &error) != EDGE_OK) return run_fail_error(&error);
    uint64_t start = edge_os_now_ns();
    if (edge_model_open(edge_default_program(), options->weights, &model_options, model, &error) != EDGE_OK ||
        edge_session_create(*model, &session_options, session, &error) != EDGE_OK) {
        return run_fail_error(&error);
    }
    *ns = edge_os_now_ns() - start;
    return RUN_OK;
}

/* `first`: nanoseconds of the very first inference; `ns`: of those after the ones to warm up. */
static int infer(const run_options *options, edge_session *session, uint64_t *first, uint64_t *ns) {
    for (uint64_t i = 0; i < options->warmup + options->repeat; i++) {
        bool last = i + 1 == options->warmup + options->repeat;
        uint64_t start = edge_os_now_ns();
        if (last && options->mark) mark_begin(session);
        edge_status status = edge_session_run(session);
        if (last && options->mark) mark_end();
        uint64_t end = edge_os_now_ns();
        if (status != EDGE_OK) return run_fail_error(edge_session_last_error(session));
        if (i == 0) *first = end - start;
        if (i >= options->warmup) ns[i - options->warmup] = end - start;
    }
    return RUN_OK;
}

int run_main(int argc, char **argv) {
    run_options options;
    edge_model *model = NULL;
    edge_session *session = NULL;
    uint64_t opening = 0, first = 0;
    int code = run_parse(argc, argv, &options);
    if (code == RUN_OK) code = open_session(&options, &model, &session, &opening);
    if (code != RUN_OK) return code;

    uint32_t inputs = 0, count = 0;
    edge_model_counts(model, &inputs, &count);
    void **outputs = edge_os_alloc((count + 1) * sizeof *outputs);
    uint64_t *ns = edge_os_alloc(options.repeat * sizeof *ns);
    if (outputs == NULL || ns == NULL) return run_fail(RUN_INTERNAL, "no memory to run");

    code = run_bind_inputs(&options, model, session);
    if (code == RUN_OK) code = run_bind_outputs(&options, model, session, outputs);
    if (code == RUN_OK) code = infer(&options, session, &first, ns);
    if (code == RUN_OK && options.out != NULL) code = run_write_outputs(&options, model, session, outputs);
    if (code == RUN_OK) code = run_report(&options, model, session, opening + first, ns);
    return code;
}
