/* model.c: a program with its weights and the code variant chosen for this CPU. */
#include "internal.h"
#include "linux_abi.h"

bool edge_text_equal(const char *a, const char *b) {
    while (*a != '\0' && *a == *b) a++, b++;
    return *a == *b;
}

static bool same_bytes(const void *a, const void *b, size_t nbytes) {
    const uint8_t *x = a, *y = b;
    for (size_t i = 0; i < nbytes; i++) {
        if (x[i] != y[i]) return false;
    }
    return true;
}

static void unmap(const edge_model *model) {
    edge_os_free((void *)(uintptr_t)model->weights, model->weights_nbytes);
}

/* The first variant that the CPU can run and that is meant for it or, if `name` is given, that one if it can. */
static edge_status choose_variant(edge_model *model, const char *name, edge_error *error) {
    const edge_program *program = model->program;
    uint64_t features = edge_cpu_features();
    bool known = name == NULL;
    for (uint32_t i = 0; i < program->variant_count; i++) {
        const edge_variant *variant = &program->variants[i];
        if (name != NULL && !edge_text_equal(name, variant->name)) continue;
        known = true;
        if ((variant->features & ~features & ~(name != NULL ? EDGE_CPU_INORDER : 0u)) != 0) continue;
        model->variant = variant;
        return EDGE_OK;
    }
    const char *last = program->variant_count > 0 ? program->variants[program->variant_count - 1].name : "";
    if (!known) {
        return edge_fail(error, EDGE_ERR_ARGUMENT, "%s has no code variant \"%s\"; its plainest is \"%s\"",
                         program->name, name, last);
    }
    return edge_fail(error, EDGE_ERR_CPU, "this CPU cannot run variant \"%s\" of %s: it has features 0x%x",
                     name != NULL ? name : last, program->name, features);
}

static edge_status check_weights(const edge_model *model, edge_error *error) {
    const edge_program *program = model->program;
    const char *name = program->name;
    size_t expected = edge_align(program->weights_size) + sizeof(edge_weights_trailer);
    if (model->weights_nbytes != expected) {
        return edge_fail(error, EDGE_ERR_WEIGHTS,
                         "the weights of %s are %u bytes long, not %u: truncated or not its own", name,
                         (uint64_t)model->weights_nbytes, (uint64_t)expected);
    }
    if ((uintptr_t)model->weights % EDGE_ALIGNMENT != 0) {
        return edge_fail(error, EDGE_ERR_SIZE, "the weights of %s are not at a multiple of 64 bytes", name);
    }
    const uint8_t *at = model->weights + edge_align(program->weights_size);
    const edge_weights_trailer *trailer = (const edge_weights_trailer *)(const void *)at;
    if (!same_bytes(trailer->magic, EDGE_WEIGHTS_MAGIC, sizeof trailer->magic)) {
        return edge_fail(error, EDGE_ERR_WEIGHTS, "the weights of %s lack edgec's mark: not a weights file", name);
    }
    if (trailer->size != program->weights_size || !same_bytes(trailer->sha256, program->weights_sha256, 32)) {
        return edge_fail(error, EDGE_ERR_WEIGHTS, "these are not the weights that %s was compiled with", name);
    }
    return EDGE_OK;
}

static void advise(const uint8_t *start, size_t nbytes, int advice) {
    edge_os_advise((void *)(uintptr_t)start, nbytes, advice);
}

/* Finishes opening `draft`, whose weights are in place, by moving it to memory of its own. */
static edge_status open_model(edge_model *draft, const edge_model_options *options, edge_model **model,
                              edge_error *error) {
    edge_status status = check_weights(draft, error);
    if (status == EDGE_OK) status = choose_variant(draft, options != NULL ? options->variant : NULL, error);
    if (status != EDGE_OK) return status;
    draft->nbytes = sizeof *draft + edge_tables_size(draft->program);
    edge_model *opened = edge_os_alloc(draft->nbytes);
    if (opened == NULL) return edge_fail(error, EDGE_ERR_MEMORY, "no memory to open %s", draft->program->name);
    *opened = *draft;
    opened->tables = edge_tables_unpack(draft->program, opened + 1);
    atomic_init(&opened->refs, 1);
    *model = opened;
    return EDGE_OK;
}

static edge_status check_arguments(const edge_program *program, const edge_model_options *options, edge_model **model,
                                   edge_error *error) {
    if (model == NULL) return edge_fail(error, EDGE_ERR_ARGUMENT, "no place was given for the model's handle");
    *model = NULL;
    if (program == NULL) return edge_fail(error, EDGE_ERR_ARGUMENT, "no program was given");
    if (program->version != EDGE_PROGRAM_VERSION) {
        return edge_fail(error, EDGE_ERR_VERSION, "the program has format %u, this runtime reads %u",
                         (uint64_t)program->version, (uint64_t)EDGE_PROGRAM_VERSION);
    }
    if (options != NULL && options->size < sizeof *options) {
        return edge_fail(error, EDGE_ERR_ARGUMENT, "the model options are not initialised (size %u)",
                         (uint64_t)options->size);
    }
    return EDGE_OK;
}

edge_status edge_model_open(const edge_program *program, const char *weights_path, const edge_model_options *options,
                            edge_model **model, edge_error *error) {
    edge_status status = check_arguments(program, options, model, error);
    if (status != EDGE_OK) return status;
    if (weights_path == NULL) return edge_fail(error, EDGE_ERR_ARGUMENT, "no weights file was given");
    edge_model draft = {.program = program, .mapped = true};
    if (!edge_os_map_file(weights_path, &draft.weights, &draft.weights_nbytes)) {
        return edge_fail(error, EDGE_ERR_FILE, "cannot open the weights file %s", weights_path);
    }
    /* In large pages the file is read from the disk at once, stays in the system's cache as such, and is mapped in a
     * twentieth of the time. Not so what a run looks up by rows: most of a page would be there for nothing. */
    advise(draft.weights, draft.weights_nbytes, MADV_HUGEPAGE_);
    status = open_model(&draft, options, model, error);
    if (status == EDGE_OK) {
        advise(draft.weights + program->weights_size - program->rows_size, program->rows_size, MADV_NOHUGEPAGE_);
    } else if (draft.weights != NULL) {
        unmap(&draft);
    }
    return status;
}

edge_status edge_model_open_memory(const edge_program *program, const void *weights, size_t nbytes,
                                   const edge_model_options *options, edge_model **model, edge_error *error) {
    edge_status status = check_arguments(program, options, model, error);
    if (status != EDGE_OK) return status;
    if (weights == NULL) return edge_fail(error, EDGE_ERR_ARGUMENT, "no weights were given");
    edge_model draft = {.program = program, .weights = weights, .weights_nbytes = nbytes};
    return open_model(&draft, options, model, error);
}

void edge_model_retain(edge_model *model) { atomic_fetch_add_explicit(&model->refs, 1, memory_order_relaxed); }

void edge_model_release(edge_model *model) {
    if (atomic_fetch_sub_explicit(&model->refs, 1, memory_order_acq_rel) != 1) return;
    if (model->mapped) unmap(model);
    edge_os_free(model, model->nbytes);
}

edge_status edge_model_close(edge_model *model) {
    if (model != NULL) edge_model_release(model);
    return EDGE_OK;
}
