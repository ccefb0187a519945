/* edge.h: the C interface of a model compiled by edgec.
 *
 * One library holds one model's code; its weights lie in a file beside it and are mapped, never copied.
 *
 *     edge_model *model = NULL;
 *     edge_session *session = NULL;
 *     edge_error error;
 *     if (edge_model_open(edge_default_program(), "weights.bin", NULL, &model, &error)) puts(error.message);
 *     edge_session_create(model, NULL, &session, &error);
 *     edge_session_bind_input(session, 0, image, sizeof image);
 *     edge_session_bind_output(session, 0, scores, sizeof scores);
 *     edge_session_run(session);
 *     edge_session_close(session);
 *     edge_model_close(model);
 *
 * Promises:
 *  - Every call that can fail returns an edge_status; none aborts, prints or raises a signal.
 *  - Nothing is allocated between edge_session_create and edge_session_close.
 *  - Bound memory is used in place: inputs are read, outputs written, without a copy and never beyond their size.
 *  - There is no global mutable state. Any thread may use any model at any time; a model may serve many sessions,
 *    which share its weights. A session belongs to one thread at a time: a second edge_session_run meanwhile
 *    returns EDGE_ERR_BUSY; the other session calls must not overlap with each other or with a run, but for
 *    edge_session_cancel.
 *  - Worker threads take no signals. After fork() the child may go on using a session; it then computes alone.
 *  - edge_session_run takes up to 12 KB of the stack of the thread that calls it.
 */
#ifndef EDGE_H
#define EDGE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define EDGE_API __attribute__((visibility("default")))
#else
#define EDGE_API
#endif

/* The interface's version: the major part changes when existing callers would break, the minor when calls are added. */
#define EDGE_ABI_MAJOR 1
#define EDGE_ABI_MINOR 2
#define EDGE_ABI_VERSION ((uint32_t)(EDGE_ABI_MAJOR << 16 | EDGE_ABI_MINOR))

typedef enum edge_status {
    EDGE_OK = 0,
    EDGE_ERR_ARGUMENT = 1, /* a null pointer, an index or name that does not exist, an option out of range */
    EDGE_ERR_SIZE = 2,     /* a buffer's byte count or alignment, or a shape, is not what its port needs */
    EDGE_ERR_UNBOUND = 3,  /* a run was asked for while an input or output has no memory */
    EDGE_ERR_BUSY = 4,     /* the session is running in another thread */
    EDGE_ERR_MEMORY = 5,   /* the system gave no memory */
    EDGE_ERR_FILE = 6,     /* the weights file could not be opened or mapped */
    EDGE_ERR_WEIGHTS = 7,  /* the weights are not those that this program was compiled with */
    EDGE_ERR_VERSION = 8,  /* the program was made for another version of the runtime */
    EDGE_ERR_CPU = 9,      /* this CPU lacks an instruction set that the code needs */
    EDGE_ERR_THREAD = 10,  /* a worker thread could not be started or pinned */
    EDGE_ERR_GUARD = 11,   /* EDGE_SESSION_GUARD found memory overwritten beside the arena */
    EDGE_ERR_DATA = 12,    /* the inputs' values ask for a tensor of another size than the model is compiled for */
    EDGE_ERR_CANCELLED = 13 /* edge_session_cancel ended the run */
} edge_status;

typedef enum edge_dtype {
    EDGE_FLOAT32 = 0,
    EDGE_FLOAT16 = 1,
    EDGE_FLOAT64 = 2,
    EDGE_INT8 = 3,
    EDGE_UINT8 = 4,
    EDGE_INT16 = 5,
    EDGE_UINT16 = 6,
    EDGE_INT32 = 7,
    EDGE_UINT32 = 8,
    EDGE_INT64 = 9,
    EDGE_BOOL = 10,
    EDGE_UINT64 = 11
} edge_dtype;

/* What went wrong, in words; filled by a call that is given one and fails. Lives wherever the caller likes. */
typedef struct edge_error {
    edge_status status;
    char message[252];
} edge_error;

typedef struct edge_program edge_program; /* the code and plan of one model: constant data of the library */
typedef struct edge_model edge_model;     /* a program with its weights */
typedef struct edge_session edge_session; /* working memory and threads for one inference at a time */

/* An input or output. Tensors are dense and row-major. Constant data: valid as long as the library is loaded.
 * Of a model whose shapes differ from run to run, `shape` and `nbytes` are the largest. */
typedef struct edge_port {
    const char *name;
    const int64_t *shape;      /* `rank` extents */
    const float *scale;        /* `quant_count` scales: real = (value - zero_point) * scale */
    const int32_t *zero_point; /* `quant_count` zero points */
    uint64_t nbytes;
    uint32_t alignment; /* bytes that the bound address must be a multiple of */
    edge_dtype dtype;
    int32_t rank;
    int32_t quant_count; /* 0: not quantized; 1: per tensor; otherwise one per index of dimension `quant_axis` */
    int32_t quant_axis;
} edge_port;

/* The extents that a dimension can have: `low` to `high` in steps of `step`. */
typedef struct edge_range {
    int64_t low, high, step;
} edge_range;

/* Options carry their size, so that they can grow: start from the initialiser and set what you need. */
typedef struct edge_model_options {
    size_t size;
    const char *variant; /* code variant to use ("base", "dotprod", ...); NULL: the best that the CPU supports */
} edge_model_options;
#define EDGE_MODEL_OPTIONS_INIT {sizeof(edge_model_options), NULL}

#define EDGE_SESSION_PROFILE 1u /* measure each step: edge_session_profile */
#define EDGE_SESSION_GUARD 2u   /* debugging: poison the arena before each run, check the guard bytes beside it after */

typedef struct edge_session_options {
    size_t size;
    int32_t threads;      /* threads that compute, the caller of edge_session_run included; 0: one per allowed CPU */
    uint32_t flags;       /* EDGE_SESSION_* */
    const char *affinity; /* where worker threads may run: see edge_thread_pin; NULL: wherever the caller may */
} edge_session_options;
#define EDGE_SESSION_OPTIONS_INIT {sizeof(edge_session_options), 1, 0, NULL}

typedef struct edge_step_profile {
    const char *name;   /* what the step computes: the ONNX node(s) it came from */
    const char *kernel; /* the code that computes it */
    uint64_t runs;      /* inferences measured */
    uint64_t ns;        /* time in the kernel over all runs, summed over threads */
    uint64_t macs;      /* multiply-accumulates of one run */
} edge_step_profile;

typedef struct edge_memory {
    uint64_t arena;   /* intermediate tensors, as planned by the compiler, and scratch memory of worker threads */
    uint64_t weights; /* mapped read-only, shared by all sessions of the model */
    uint64_t runtime; /* everything else: model, session, guard bytes, worker stacks */
} edge_memory;

EDGE_API uint32_t edge_abi_version(void);
EDGE_API const char *edge_status_text(edge_status status);

/* The program of the library that this call is resolved in (each model's header also declares it by its own name). */
EDGE_API const edge_program *edge_default_program(void);

/* Opens a model. `options` and `error` may be NULL. On failure *model is NULL. */
EDGE_API edge_status edge_model_open(const edge_program *program, const char *weights_path,
                                     const edge_model_options *options, edge_model **model, edge_error *error);
/* The same with the contents of weights.bin in memory: 64-byte aligned, and to stay until the model is closed. */
EDGE_API edge_status edge_model_open_memory(const edge_program *program, const void *weights, size_t nbytes,
                                            const edge_model_options *options, edge_model **model,
                                            edge_error *error);
/* Gives the handle up. The model's memory goes when its last session is closed too. NULL is allowed. */
EDGE_API edge_status edge_model_close(edge_model *model);

EDGE_API edge_status edge_model_name(const edge_model *model, const char **name);
EDGE_API edge_status edge_model_variant(const edge_model *model, const char **variant);
EDGE_API edge_status edge_model_counts(const edge_model *model, uint32_t *inputs, uint32_t *outputs);
EDGE_API edge_status edge_model_input(const edge_model *model, uint32_t index, const edge_port **port);
EDGE_API edge_status edge_model_output(const edge_model *model, uint32_t index, const edge_port **port);
EDGE_API edge_status edge_model_find_input(const edge_model *model, const char *name, uint32_t *index);
EDGE_API edge_status edge_model_find_output(const edge_model *model, const char *name, uint32_t *index);
/* The extents that dimension `axis` of an input can have; low equals high where it is fixed. */
EDGE_API edge_status edge_model_input_range(const edge_model *model, uint32_t index, int32_t axis, edge_range *range);
/* A tensor that sessions keep from run to run, by the names that the model has for it before and after a run;
 * EDGE_ERR_ARGUMENT where there are fewer. */
EDGE_API edge_status edge_model_state(const edge_model *model, uint32_t index, const edge_port **port,
                                      const char **output);
EDGE_API edge_status edge_model_arena_size(const edge_model *model, uint64_t *nbytes);

/* `options` and `error` may be NULL (one thread). On failure *session is NULL. */
EDGE_API edge_status edge_session_create(edge_model *model, const edge_session_options *options,
                                         edge_session **session, edge_error *error);
/* Ends the workers and returns all memory. NULL is allowed; EDGE_ERR_BUSY during a run. */
EDGE_API edge_status edge_session_close(edge_session *session);

/* Sets the shape that an input has from the next run on; at first it is the largest. Dimensions that are one number in
 * the model must be equal when the next run begins. EDGE_ERR_SIZE, and no change, where the input cannot be so. */
EDGE_API edge_status edge_session_set_input_shape(edge_session *session, uint32_t index, const int64_t *dims,
                                                  int32_t rank);
/* The shape of an output under the shapes that are set: writes up to `capacity` extents, and their number to *rank.
 * An extent that depends on the inputs' values is that of the last run, or -1 before there was one. */
EDGE_API edge_status edge_session_output_shape(edge_session *session, uint32_t index, int64_t *dims, int32_t capacity,
                                               int32_t *rank);

/* Lends memory to a port until it is bound anew (NULL, 0: unbinds). `nbytes` must equal the port's; where its shape
 * can change, it must be enough for the shape in each run: if that depends on the inputs' values, for the largest. */
EDGE_API edge_status edge_session_bind_input(edge_session *session, uint32_t index, const void *data, size_t nbytes);
EDGE_API edge_status edge_session_bind_output(edge_session *session, uint32_t index, void *data, size_t nbytes);
EDGE_API edge_status edge_session_bind_input_name(edge_session *session, const char *name, const void *data,
                                                  size_t nbytes);
EDGE_API edge_status edge_session_bind_output_name(edge_session *session, const char *name, void *data,
                                                   size_t nbytes);

/* One inference from the bound inputs to the bound outputs; returns when it is done. After EDGE_ERR_DATA and
 * EDGE_ERR_CANCELLED outputs and states hold nothing of use; the session can run again. */
EDGE_API edge_status edge_session_run(edge_session *session);
/* Ends the run that is under way, if there is one, before its next step: it returns EDGE_ERR_CANCELLED. The one way out
 * of a model that loops for ever. May be called at any time while the session exists, from any thread, and from signal
 * handlers. NULL is allowed. */
EDGE_API void edge_session_cancel(edge_session *session);

/* The memory of a state, to read or write between runs: *data stays in place until the session is closed. `name` is
 * either of its two. */
EDGE_API edge_status edge_session_state(edge_session *session, const char *name, void **data, size_t *nbytes);
/* Makes all states zeros, as they are in a new session. */
EDGE_API edge_status edge_session_reset_state(edge_session *session);

/* Writes up to `capacity` rows, one a step, and the number of steps to *count. Needs EDGE_SESSION_PROFILE. Names are
 * valid while the session is open. */
EDGE_API edge_status edge_session_profile(edge_session *session, edge_step_profile *rows, uint32_t capacity,
                                          uint32_t *count);
EDGE_API edge_status edge_session_memory(const edge_session *session, edge_memory *memory);
EDGE_API edge_status edge_session_threads(const edge_session *session, uint32_t *threads);

/* The session's last failure (status EDGE_OK and an empty message: none yet). Valid until its next call. */
EDGE_API const edge_error *edge_session_last_error(const edge_session *session);

/* Restricts the calling thread to "performance" or "efficiency" cores, "all", or "cpus=0,2-3". Sessions pin only
 * their own workers, never the thread that calls them; a thread that is to be pinned as well calls this once. */
EDGE_API edge_status edge_thread_pin(const char *affinity, edge_error *error);

#ifdef __cplusplus
}
#endif
#endif
