/* report.c: what a run measured, for people or as one line of JSON. */
#include "../src/platform.h"
#include "runner.h"

/* Shell sort: no recursion, no memory, fast enough for a million latencies. */
static void sort(uint64_t *values, uint64_t count) {
    for (uint64_t gap = count / 2; gap > 0; gap /= 2) {
        for (uint64_t i = gap; i < count; i++) {
            uint64_t value = values[i], j = i;
            for (; j >= gap && values[j - gap] > value; j -= gap) values[j] = values[j - gap];
            values[j] = value;
        }
    }
}

static void field(run_output *out, const char *name, uint64_t value) {
    out_text(out, name);
    out_number(out, value);
}

static void print_shape(run_output *out, edge_session *session, uint32_t index) {
    int64_t dims[8];
    int32_t rank = 0;
    edge_session_output_shape(session, index, dims, 8, &rank);
    out_text(out, "[");
    for (int32_t i = 0; i < rank; i++) field(out, i > 0 ? "," : "", (uint64_t)dims[i]);
    out_text(out, "]");
}

static void json_outputs(run_output *out, const run_options *options, const edge_model *model, edge_session *session) {
    uint32_t inputs = 0, count = 0;
    edge_model_counts(model, &inputs, &count);
    out_text(out, ",\"outputs\":[");
    for (uint32_t i = 0; options->out != NULL && i < count; i++) {
        const edge_port *port = NULL;
        char path[4096];
        edge_model_output(model, i, &port);
        run_output_path(options, i, port, path, sizeof path);
        out_text(out, i > 0 ? ",{\"name\":" : "{\"name\":");
        out_json(out, port->name);
        out_text(out, ",\"shape\":");
        print_shape(out, session, i);
        out_text(out, ",\"file\":");
        out_json(out, path);
        out_text(out, "}");
    }
    out_text(out, "]");
}

static void text_outputs(run_output *out, const edge_model *model, edge_session *session) {
    uint32_t inputs = 0, count = 0;
    edge_model_counts(model, &inputs, &count);
    for (uint32_t i = 0; i < count; i++) {
        const edge_port *port = NULL;
        edge_model_output(model, i, &port);
        out_text(out, "output ");
        out_text(out, port->name);
        out_text(out, " ");
        print_shape(out, session, i);
        out_text(out, "\n");
    }
}

static void json_profile(run_output *out, const edge_step_profile *rows, uint32_t count) {
    out_text(out, ",\"profile\":[");
    for (uint32_t i = 0; i < count; i++) {
        out_text(out, i > 0 ? ",{\"name\":" : "{\"name\":");
        out_json(out, rows[i].name);
        out_text(out, ",\"kernel\":");
        out_json(out, rows[i].kernel);
        field(out, ",\"runs\":", rows[i].runs);
        field(out, ",\"ns\":", rows[i].ns);
        field(out, ",\"macs\":", rows[i].macs);
        out_text(out, "}");
    }
    out_text(out, "]");
}

static void text_profile(run_output *out, const edge_step_profile *rows, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        field(out, "", rows[i].runs > 0 ? rows[i].ns / rows[i].runs : 0);
        out_text(out, " ns  ");
        out_text(out, rows[i].kernel);
        out_text(out, "  ");
        out_text(out, rows[i].name);
        out_text(out, "\n");
    }
}

typedef struct summary {
    const char *variant;
    uint32_t threads;
    uint64_t cold, min, median, p90, max;
    edge_memory memory;
} summary;

static void print_json(run_output *out, const run_options *options, const summary *s) {
    out_text(out, "{\"variant\":");
    out_json(out, s->variant);
    field(out, ",\"threads\":", s->threads);
    field(out, ",\"repeat\":", options->repeat);
    field(out, ",\"latency_ns\":{\"cold\":", s->cold);
    field(out, ",\"min\":", s->min);
    field(out, ",\"median\":", s->median);
    field(out, ",\"p90\":", s->p90);
    field(out, ",\"max\":", s->max);
    field(out, "},\"memory\":{\"arena\":", s->memory.arena);
    field(out, ",\"weights\":", s->memory.weights);
    field(out, ",\"runtime\":", s->memory.runtime);
    out_text(out, "}");
}

static void print_text(run_output *out, const run_options *options, const summary *s) {
    out_text(out, "variant ");
    out_text(out, s->variant);
    field(out, ", threads ", s->threads);
    field(out, "\nlatency ns: opening and first ", s->cold);
    field(out, ", min ", s->min);
    field(out, ", median ", s->median);
    field(out, ", p90 ", s->p90);
    field(out, ", max ", s->max);
    field(out, " over ", options->repeat);
    field(out, "\nmemory bytes: arena ", s->memory.arena);
    field(out, ", weights ", s->memory.weights);
    field(out, ", runtime ", s->memory.runtime);
    out_text(out, "\n");
}

/* Fetches the profile into memory of its own, which lasts until the process ends. */
static int fetch_profile(edge_session *session, edge_step_profile **rows, uint32_t *count) {
    edge_session_profile(session, NULL, 0, count);
    *rows = edge_os_alloc((*count + 1) * sizeof **rows);
    if (*rows == NULL) return run_fail(RUN_INTERNAL, "no memory for the profile");
    edge_session_profile(session, *rows, *count, count);
    return RUN_OK;
}

int run_report(const run_options *options, const edge_model *model, edge_session *session, uint64_t cold,
               uint64_t *ns) {
    summary s = {0};
    s.cold = cold;
    sort(ns, options->repeat);
    s.min = ns[0];
    s.median = ns[options->repeat / 2];
    s.p90 = ns[(options->repeat * 9 + 9) / 10 - 1];
    s.max = ns[options->repeat - 1];
    edge_model_variant(model, &s.variant);
    edge_session_threads(session, &s.threads);
    edge_session_memory(session, &s.memory);

    edge_step_profile *rows = NULL;
    uint32_t count = 0;
    if (options->profile && fetch_profile(session, &rows, &count) != RUN_OK) return RUN_INTERNAL;

    run_output out;
    out.size = 0;
    if (options->json) {
        print_json(&out, options, &s);
        json_outputs(&out, options, model, session);
        if (options->profile) json_profile(&out, rows, count);
        out_text(&out, "}\n");
    } else {
        print_text(&out, options, &s);
        text_outputs(&out, model, session);
        text_profile(&out, rows, count);
    }
    out_flush(&out);
    return RUN_OK;
}
