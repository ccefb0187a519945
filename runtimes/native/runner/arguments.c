/* arguments.c: the runner's command line. */
#include "../src/text.h"
#include "runner.h"

static const char usage[] =
    "use: run weights.bin [--input NAME=FILE]... [--shape NAME=1,3,64,64]... [--out DIR]\n"
    "         [--threads N] [--repeat N] [--warmup N]\n"
    "         [--affinity performance|efficiency|all|cpus=LIST] [--variant NAME]\n"
    "         [--profile] [--mark] [--guard] [--json]\n"
    "FILE holds .npy or raw little-endian data; inputs not given get fixed pseudo-random values.\n"
    "--shape: for raw or missing data, where a model takes more than one shape (otherwise its largest).\n";

bool run_is(const char *a, const char *b) {
    const char *rest = run_after(a, b);
    return rest != NULL && *rest == '\0';
}

const char *run_after(const char *text, const char *prefix) {
    while (*prefix != '\0') {
        if (*text++ != *prefix++) return NULL;
    }
    return text;
}

static bool parse_number(const char *text, uint64_t lowest, uint64_t highest, uint64_t *number) {
    *number = 0;
    if (*text == '\0') return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || *number > highest) return false;
        *number = *number * 10 + (uint64_t)(*text - '0');
    }
    return *number >= lowest && *number <= highest;
}

/* Options without a value. */
static bool parse_flag(const char *name, run_options *options) {
    struct {
        const char *name;
        bool *flag;
    } flags[] = {{"--profile", &options->profile},
                 {"--mark", &options->mark},
                 {"--json", &options->json},
                 {"--guard", &options->guard}};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        if (run_is(name, flags[i].name)) return *flags[i].flag = true;
    }
    return false;
}

static int parse_value(const char *name, const char *value, run_options *options) {
    struct {
        const char *name;
        uint64_t *number;
        uint64_t lowest, highest;
    } numbers[] = {{"--threads", &options->threads, 0, 64},
                   {"--repeat", &options->repeat, 1, 1000000},
                   {"--warmup", &options->warmup, 0, 1000000}};
    struct {
        const char *name;
        const char **text;
    } texts[] = {{"--out", &options->out}, {"--affinity", &options->affinity}, {"--variant", &options->variant}};

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (!run_is(name, numbers[i].name)) continue;
        uint64_t lowest = numbers[i].lowest, highest = numbers[i].highest;
        if (value != NULL && parse_number(value, lowest, highest, numbers[i].number)) return RUN_OK;
        return run_fail(RUN_BAD_INPUT, "%s takes a number from %u to %u, not \"%s\"", name, lowest, highest,
                        value != NULL ? value : "");
    }
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (!run_is(name, texts[i].name)) continue;
        *texts[i].text = value;
        return value != NULL ? RUN_OK : run_fail(RUN_BAD_INPUT, "%s needs a value", name);
    }
    if (!run_is(name, "--input") && !run_is(name, "--shape")) {
        return run_fail(RUN_BAD_INPUT, "unknown option %s\n%s", name, usage);
    }
    return value != NULL ? RUN_OK : run_fail(RUN_BAD_INPUT, "%s needs NAME=...", name);
}

int run_parse(int argc, char **argv, run_options *options) {
    *options = (run_options){.threads = 1, .repeat = 1, .argc = argc, .argv = argv};
    for (int i = 1; i < argc; i++) {
        if (run_is(argv[i], "--help")) return run_fail(RUN_BAD_INPUT, "%s", usage);
        if (run_after(argv[i], "--") == NULL) {
            if (options->weights != NULL) return run_fail(RUN_BAD_INPUT, "\"%s\" is a second weights file", argv[i]);
            options->weights = argv[i];
        } else if (!parse_flag(argv[i], options)) {
            int code = parse_value(argv[i], i + 1 < argc ? argv[i + 1] : NULL, options);
            if (code != RUN_OK) return code;
            i++;
        }
    }
    return options->weights != NULL ? RUN_OK : run_fail(RUN_BAD_INPUT, "no weights file was given\n%s", usage);
}

const char *run_option(const run_options *options, const char *option, const char *port) {
    for (int i = 1; i + 1 < options->argc; i++) {
        if (!run_is(options->argv[i], option)) continue;
        const char *rest = run_after(options->argv[i + 1], port);
        if (rest != NULL && *rest == '=') return rest + 1;
    }
    return NULL;
}
