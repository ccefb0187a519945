/* harness.c: tests of the runtime that need C: threads, injected failures, sanitizers. One test a process, by name. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include "edge.h"
#include "platform.h"

#define N 4096
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* The platform, counted; call number `fail_at` (from 0) of those that may fail does. */
static int fail_at = -1;
static _Atomic int calls;
static _Atomic int held; /* allocations and mappings not yet given back */
static _Atomic int threads_running;
static bool failing(void) { return calls++ == fail_at; }

void *__real_edge_os_alloc(size_t nbytes);
void __real_edge_os_free(void *memory, size_t nbytes);
bool __real_edge_os_map_file(const char *path, const uint8_t **data, size_t *nbytes);
bool __real_edge_os_get_cpus(edge_cpu_set *set);
bool __real_edge_os_set_cpus(const edge_thread *thread, const edge_cpu_set *set);
bool __real_edge_os_thread_start(edge_thread *thread, void (*main)(void *), void *argument);
void __real_edge_os_thread_join(edge_thread *thread);
void *__wrap_edge_os_alloc(size_t nbytes);
void __wrap_edge_os_free(void *memory, size_t nbytes);
bool __wrap_edge_os_map_file(const char *path, const uint8_t **data, size_t *nbytes);
bool __wrap_edge_os_get_cpus(edge_cpu_set *set);
bool __wrap_edge_os_set_cpus(const edge_thread *thread, const edge_cpu_set *set);
bool __wrap_edge_os_thread_start(edge_thread *thread, void (*main)(void *), void *argument);
void __wrap_edge_os_thread_join(edge_thread *thread);

void *__wrap_edge_os_alloc(size_t nbytes) {
    if (failing()) return NULL;
    held++;
    return __real_edge_os_alloc(nbytes);
}

void __wrap_edge_os_free(void *memory, size_t nbytes) {
    held--;
    __real_edge_os_free(memory, nbytes);
}

bool __wrap_edge_os_map_file(const char *path, const uint8_t **data, size_t *nbytes) {
    if (failing() || !__real_edge_os_map_file(path, data, nbytes)) return false;
    held += *data != NULL;
    return true;
}

bool __wrap_edge_os_get_cpus(edge_cpu_set *set) { return !failing() && __real_edge_os_get_cpus(set); }
bool __wrap_edge_os_set_cpus(const edge_thread *thread, const edge_cpu_set *set) {
    return !failing() && __real_edge_os_set_cpus(thread, set);
}

bool __wrap_edge_os_thread_start(edge_thread *thread, void (*main)(void *), void *argument) {
    if (failing() || !__real_edge_os_thread_start(thread, main, argument)) return false;
    threads_running++;
    return true;
}

void __wrap_edge_os_thread_join(edge_thread *thread) {
    threads_running--;
    __real_edge_os_thread_join(thread);
}

static edge_model *open_model(const char *weights) {
    edge_model *model = NULL;
    edge_error error;
    edge_status status = edge_model_open(edge_default_program(), weights, NULL, &model, &error);
    if (status != EDGE_OK) fprintf(stderr, "%s\n", error.message);
    CHECK(status == EDGE_OK && model != NULL);
    return model;
}

static edge_session *create_session(edge_model *model, int threads, uint32_t flags) {
    edge_session_options options = EDGE_SESSION_OPTIONS_INIT;
    edge_session *session = NULL;
    options.threads = threads;
    options.flags = flags;
    CHECK(edge_session_create(model, &options, &session, NULL) == EDGE_OK && session != NULL);
    return session;
}

typedef struct tensors {
    int32_t x[N], odd[N], y[N], z[N];
} tensors;

static void bind_tensors(edge_session *session, tensors *t) {
    CHECK(edge_session_bind_input(session, 0, t->x, sizeof t->x) == EDGE_OK);
    CHECK(edge_session_bind_input_name(session, "odd \"name\"/=\\", t->odd, sizeof t->odd) == EDGE_OK);
    CHECK(edge_session_bind_output(session, 0, t->y, sizeof t->y) == EDGE_OK);
    CHECK(edge_session_bind_output_name(session, "z/2", t->z, sizeof t->z) == EDGE_OK);
}

static void fill(tensors *t, unsigned seed) {
    for (int i = 0; i < N; i++) {
        t->x[i] = (int32_t)(seed = seed * 1664525u + 1013904223u);
        t->odd[i] = (int32_t)(seed = seed * 1664525u + 1013904223u);
    }
}

/* A user of a session of its own: each result must equal that of a session with one thread. */
typedef struct user {
    edge_model *model;
    int threads, runs;
    unsigned seed;
} user;

static void *use(void *argument) {
    user *u = argument;
    tensors *expected = calloc(1, sizeof *expected), *t = calloc(1, sizeof *t);
    CHECK(expected != NULL && t != NULL);
    edge_session *alone = create_session(u->model, 1, 0);
    edge_session *session = create_session(u->model, u->threads, EDGE_SESSION_GUARD | EDGE_SESSION_PROFILE);
    bind_tensors(alone, expected);
    bind_tensors(session, t);
    for (int i = 0; i < u->runs; i++) {
        if (i % 16 == 0) {
            fill(expected, u->seed + (unsigned)i);
            fill(t, u->seed + (unsigned)i);
            CHECK(edge_session_run(alone) == EDGE_OK);
        }
        memset(t->y, 0, sizeof t->y);
        memset(t->z, 0, sizeof t->z);
        CHECK(edge_session_run(session) == EDGE_OK);
        CHECK(memcmp(t->y, expected->y, sizeof t->y) == 0 && memcmp(t->z, expected->z, sizeof t->z) == 0);
    }
    CHECK(edge_session_close(session) == EDGE_OK);
    CHECK(edge_session_close(alone) == EDGE_OK);
    free(expected);
    free(t);
    return NULL;
}

static void test_stress(const char *weights, int threads, int runs, int users) {
    edge_model *model = open_model(weights);
    pthread_t ids[16];
    user all[16];
    CHECK(users <= 16);
    for (int i = 0; i < users; i++) {
        all[i] = (user){model, threads, runs, 1000u * (unsigned)i};
        CHECK(pthread_create(&ids[i], NULL, use, &all[i]) == 0);
    }
    for (int i = 0; i < users; i++) CHECK(pthread_join(ids[i], NULL) == 0);
    CHECK(edge_model_close(model) == EDGE_OK);
    CHECK(held == 0 && threads_running == 0);
}

/* Two threads run one session: each call either runs alone or is refused. */
static edge_session *shared;
static _Atomic int refused;

static void *run_shared(void *argument) {
    for (int i = 0; i < 300; i++) {
        edge_status status = edge_session_run(shared);
        CHECK(status == EDGE_OK || status == EDGE_ERR_BUSY);
        refused += status == EDGE_ERR_BUSY;
    }
    return argument;
}

static void test_busy(const char *weights) {
    edge_model *model = open_model(weights);
    tensors *t = calloc(1, sizeof *t);
    pthread_t other;
    shared = create_session(model, 2, 0);
    bind_tensors(shared, t);
    CHECK(pthread_create(&other, NULL, run_shared, NULL) == 0);
    run_shared(NULL);
    CHECK(pthread_join(other, NULL) == 0);
    CHECK(edge_session_close(shared) == EDGE_OK);
    CHECK(edge_model_close(model) == EDGE_OK);
    free(t);
    printf("%d refused\n", refused);
}

/* A run that would never end is cancelled by another thread, again and again: a cancel before the run has begun is lost. */
static _Atomic bool is_over;

static void *cancel_shared(void *argument) {
    while (!is_over) edge_session_cancel(shared);
    return argument;
}

static void test_cancel(const char *weights, int threads) {
    edge_model *model = open_model(weights);
    tensors *t = calloc(1, sizeof *t);
    shared = create_session(model, threads, EDGE_SESSION_GUARD);
    bind_tensors(shared, t);
    edge_session_cancel(shared);
    edge_session_cancel(NULL);
    for (int i = 0; i < 50; i++) {
        pthread_t other;
        is_over = false;
        CHECK(pthread_create(&other, NULL, cancel_shared, NULL) == 0);
        CHECK(edge_session_run(shared) == EDGE_ERR_CANCELLED);
        is_over = true;
        CHECK(pthread_join(other, NULL) == 0);
        const edge_error *error = edge_session_last_error(shared);
        CHECK(error->status == EDGE_ERR_CANCELLED && strcmp(error->message, "the run was cancelled") == 0);
    }
    CHECK(edge_session_close(shared) == EDGE_OK);
    CHECK(edge_model_close(model) == EDGE_OK);
    free(t);
}

/* Every call of the platform fails once: an error with words, nothing held, the next attempt works. */
static edge_status attempt(const char *weights, const char *affinity, edge_error *error) {
    edge_model *model = NULL;
    edge_session *session = NULL;
    edge_session_options options = EDGE_SESSION_OPTIONS_INIT;
    options.threads = 4;
    options.affinity = affinity;
    edge_status status = edge_model_open(edge_default_program(), weights, NULL, &model, error);
    CHECK((status == EDGE_OK) == (model != NULL));
    if (status == EDGE_OK) status = edge_session_create(model, &options, &session, error);
    CHECK((status == EDGE_OK) == (session != NULL));
    CHECK(edge_session_close(session) == EDGE_OK);
    CHECK(edge_model_close(model) == EDGE_OK);
    return status;
}

static int fail_each(const char *weights, const char *affinity) {
    int failures = 0;
    for (fail_at = 0;; fail_at++) {
        edge_error error = {EDGE_OK, ""};
        calls = 0;
        edge_status status = attempt(weights, affinity, &error);
        CHECK(held == 0 && threads_running == 0);
        if (calls <= fail_at) break; /* no call was left to fail */
        if (status == EDGE_OK) continue; /* what the runtime can do without: a look at the CPUs */
        CHECK(error.status == status && strlen(error.message) > 10);
        printf("%d: %s\n", (int)status, error.message);
        failures++;
    }
    return failures;
}

static void test_faults(const char *weights) {
    CHECK(fail_each(weights, NULL) == 6); /* file, model, session, 3 threads */
    CHECK(fail_each(weights, "all") == 10); /* and the CPUs there are, and those of 3 threads */
}

static void test_arguments(const char *weights) {
    edge_model *model = NULL;
    edge_session *session = NULL;
    edge_error error;
    uint32_t n = 0;
    const edge_port *port = NULL;
    const edge_program *program = edge_default_program();
    edge_model_options wrong_model = EDGE_MODEL_OPTIONS_INIT;
    wrong_model.variant = "no such";
    CHECK(edge_model_open(NULL, weights, NULL, &model, &error) == EDGE_ERR_ARGUMENT && model == NULL);
    CHECK(edge_model_open(program, NULL, NULL, &model, &error) == EDGE_ERR_ARGUMENT);
    CHECK(edge_model_open(program, weights, NULL, NULL, NULL) == EDGE_ERR_ARGUMENT);
    CHECK(edge_model_open(program, "/no/such/file", NULL, &model, &error) == EDGE_ERR_FILE);
    CHECK(edge_model_open(program, "/dev/null", NULL, &model, &error) == EDGE_ERR_WEIGHTS);
    CHECK(edge_model_open(program, weights, &wrong_model, &model, &error) == EDGE_ERR_ARGUMENT);
    CHECK(strstr(error.message, "no such") != NULL);
    wrong_model.size = 0;
    CHECK(edge_model_open(program, weights, &wrong_model, &model, &error) == EDGE_ERR_ARGUMENT);
    CHECK(edge_model_open_memory(program, NULL, 0, NULL, &model, &error) == EDGE_ERR_ARGUMENT);
    CHECK(edge_model_open_memory(program, weights, 3, NULL, &model, &error) == EDGE_ERR_WEIGHTS);
    CHECK(edge_model_close(NULL) == EDGE_OK && edge_session_close(NULL) == EDGE_OK);

    model = open_model(weights);
    CHECK(edge_model_counts(model, &n, NULL) == EDGE_ERR_ARGUMENT);
    CHECK(edge_model_input(model, 2, &port) == EDGE_ERR_ARGUMENT);
    CHECK(edge_model_output(model, 0, &port) == EDGE_OK && strcmp(port->name, "y") == 0 && port->nbytes == N * 4);
    CHECK(port->quant_count == 1 && port->scale[0] == 0.5f && port->zero_point[0] == -3);
    CHECK(edge_model_find_input(model, "y", &n) == EDGE_ERR_ARGUMENT);
    CHECK(edge_model_find_input(model, NULL, &n) == EDGE_ERR_ARGUMENT);
    CHECK(edge_model_find_output(model, "z/2", &n) == EDGE_OK && n == 1);

    edge_session_options options = EDGE_SESSION_OPTIONS_INIT;
    for (int threads = -1; threads <= 65; threads += 66) {
        options.threads = threads;
        CHECK(edge_session_create(model, &options, &session, &error) == EDGE_ERR_ARGUMENT && session == NULL);
    }
    options.threads = 1;
    const char *const affinities[] = {"fast", "cpus=", "cpus=1-", "cpus=3-1", "cpus=0,", "cpus=99999", "cpus=x", ""};
    for (size_t i = 0; i < sizeof affinities / sizeof *affinities; i++) {
        options.affinity = affinities[i];
        CHECK(edge_session_create(model, &options, &session, &error) == EDGE_ERR_ARGUMENT);
    }
    CHECK(edge_session_create(NULL, NULL, &session, &error) == EDGE_ERR_ARGUMENT);
    CHECK(edge_session_create(model, NULL, NULL, &error) == EDGE_ERR_ARGUMENT);

    tensors *t = calloc(1, sizeof *t);
    session = create_session(model, 2, 0);
    CHECK(edge_session_last_error(session)->status == EDGE_OK);
    CHECK(edge_session_run(NULL) == EDGE_ERR_ARGUMENT);
    CHECK(edge_session_run(session) == EDGE_ERR_UNBOUND);
    CHECK(edge_session_bind_input(session, 2, t->x, sizeof t->x) == EDGE_ERR_ARGUMENT);
    CHECK(edge_session_bind_input(session, 0, t->x, sizeof t->x - 1) == EDGE_ERR_SIZE);
    CHECK(edge_session_bind_input(session, 0, (char *)t->x + 1, sizeof t->x) == EDGE_ERR_SIZE);
    CHECK(edge_session_bind_output_name(session, "x", t->x, sizeof t->x) == EDGE_ERR_ARGUMENT);
    CHECK(strstr(edge_session_last_error(session)->message, "no output named \"x\"") != NULL);
    CHECK(edge_session_profile(session, NULL, 0, &n) == EDGE_ERR_ARGUMENT);
    bind_tensors(session, t);
    CHECK(edge_session_bind_output(session, 1, NULL, 0) == EDGE_OK);
    CHECK(edge_session_run(session) == EDGE_ERR_UNBOUND);
    CHECK(strstr(edge_session_last_error(session)->message, "z/2") != NULL);
    bind_tensors(session, t);
    CHECK(edge_session_run(session) == EDGE_OK);
    CHECK(edge_model_close(model) == EDGE_OK);
    CHECK(edge_session_run(session) == EDGE_OK); /* it holds the model */
    CHECK(edge_session_close(session) == EDGE_OK);
    CHECK(held == 0 && threads_running == 0);
    free(t);
    for (int status = -1; status < 20; status++) CHECK(strlen(edge_status_text((edge_status)status)) > 1);
}

/* The model of make_shapes_plan: x[N, W] and bias[N] to pairs[N, W / 2], kept[any], total. */
static void check_shape(edge_session *session, uint32_t index, int32_t rank, int64_t first, int64_t second) {
    int64_t dims[2] = {-7, -7};
    int32_t found = -1;
    CHECK(edge_session_output_shape(session, index, dims, 2, &found) == EDGE_OK && found == rank);
    CHECK(rank < 1 || dims[0] == first);
    CHECK(rank < 2 || dims[1] == second);
}

static void run_shape(edge_session *session, int64_t n, int64_t w, unsigned seed, int32_t *total) {
    /* Memory of exactly the right size, which ASan watches. */
    int32_t *x = malloc((size_t)(n * w) * 4), *bias = malloc((size_t)n * 4), *pairs = malloc((size_t)(n * w) * 2);
    int32_t *kept = malloc(512 * 4), count = 0;
    for (int64_t i = 0; i < n * w; i++) x[i] = (int32_t)((seed = seed * 1664525u + 1013904223u) >> 20) - 3000;
    for (int64_t i = 0; i < n; i++) bias[i] = (int32_t)i;
    CHECK(edge_session_set_input_shape(session, 0, (int64_t[]){n, w}, 2) == EDGE_OK);
    CHECK(edge_session_set_input_shape(session, 1, &n, 1) == EDGE_OK);
    check_shape(session, 0, 2, n, w / 2);
    CHECK(edge_session_bind_input(session, 0, x, (size_t)(n * w) * 4) == EDGE_OK);
    CHECK(edge_session_bind_input(session, 1, bias, (size_t)n * 4) == EDGE_OK);
    CHECK(edge_session_bind_output(session, 0, pairs, (size_t)(n * w) * 2) == EDGE_OK);
    CHECK(edge_session_bind_output(session, 1, kept, 512 * 4) == EDGE_OK);
    CHECK(edge_session_bind_output(session, 2, total, 4) == EDGE_OK);
    int32_t before = *total;
    CHECK(edge_session_run(session) == EDGE_OK);
    for (int64_t i = 0; i < n * w / 2; i++) CHECK(pairs[i] == x[2 * i] + x[2 * i + 1] + bias[i / (w / 2)]);
    for (int64_t i = 0; i < n * w; i++) CHECK(x[i] <= 0 || kept[count++] == x[i]);
    check_shape(session, 1, 1, count, 0);
    check_shape(session, 2, 0, 0, 0);
    CHECK(*total == before + count);
    free(x), free(bias), free(pairs), free(kept);
}

static void test_wrong_shapes(edge_session *session) {
    static int32_t x[512], bias[8], pairs[512], kept[512];
    static const int64_t wrong[][2] = {{0, 64}, {9, 64}, {8, 3}, {8, 66}, {8, 68}, {-1, 4}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        CHECK(edge_session_set_input_shape(session, 0, wrong[i], 2) == EDGE_ERR_SIZE);
    }
    CHECK(strcmp(edge_session_last_error(session)->message,
                 "input \"x\" has shape [-1, 4], but [1..8, 4..64/4] is accepted") == 0);
    CHECK(edge_session_set_input_shape(session, 0, wrong[0], 3) == EDGE_ERR_SIZE);
    CHECK(edge_session_set_input_shape(session, 0, wrong[0], -1) == EDGE_ERR_ARGUMENT);
    CHECK(edge_session_set_input_shape(session, 2, wrong[0], 2) == EDGE_ERR_ARGUMENT);
    CHECK(edge_session_set_input_shape(session, 0, NULL, 2) == EDGE_ERR_ARGUMENT);

    CHECK(edge_session_set_input_shape(session, 0, (int64_t[]){4, 8}, 2) == EDGE_OK);
    CHECK(edge_session_set_input_shape(session, 1, (int64_t[]){5}, 1) == EDGE_OK);
    CHECK(edge_session_run(session) == EDGE_ERR_SIZE);
    CHECK(strcmp(edge_session_last_error(session)->message,
                 "dimension 0 of input \"bias\" is 5, but must equal dimension 0 of input \"x\", which is 4") == 0);
    CHECK(edge_session_set_input_shape(session, 1, (int64_t[]){4}, 1) == EDGE_OK);
    check_shape(session, 1, 1, -1, 0);

    CHECK(edge_session_bind_input(session, 0, x, 4 * 8 * 4) == EDGE_OK);
    CHECK(edge_session_bind_input(session, 1, bias, sizeof bias) == EDGE_OK); /* more than enough */
    CHECK(edge_session_bind_output(session, 0, pairs, 4 * 4 * 4) == EDGE_OK);
    CHECK(edge_session_bind_output(session, 1, kept, sizeof kept - 4) == EDGE_OK);
    CHECK(edge_session_run(session) == EDGE_ERR_SIZE); /* as many as there could be */
    CHECK(edge_session_bind_output(session, 1, kept, sizeof kept) == EDGE_OK);
    CHECK(edge_session_run(session) == EDGE_OK);
    check_shape(session, 1, 1, 0, 0);
    CHECK(edge_session_bind_output(session, 0, pairs, 4 * 4 * 4 - 1) == EDGE_OK);
    CHECK(edge_session_run(session) == EDGE_ERR_SIZE);
    CHECK(edge_session_bind_output(session, 2, kept, 8) == EDGE_ERR_SIZE); /* its shape is fixed */
}

static void test_shapes(const char *weights) {
    edge_model *model = open_model(weights);
    edge_range range;
    const edge_port *port = NULL;
    const char *output = NULL;
    CHECK(edge_model_input_range(model, 0, 1, &range) == EDGE_OK);
    CHECK(range.low == 4 && range.high == 64 && range.step == 4);
    CHECK(edge_model_input_range(model, 0, 2, &range) == EDGE_ERR_ARGUMENT);
    CHECK(edge_model_input_range(model, 2, 0, &range) == EDGE_ERR_ARGUMENT);
    CHECK(edge_model_state(model, 0, &port, &output) == EDGE_OK);
    CHECK(strcmp(port->name, "tally") == 0 && strcmp(output, "tally_out") == 0 && port->nbytes == 4);
    CHECK(edge_model_state(model, 1, &port, &output) == EDGE_ERR_ARGUMENT);
    for (int threads = 1; threads <= 4; threads += 3) {
        edge_session *session = create_session(model, threads, EDGE_SESSION_GUARD);
        int32_t total = 0, *tally = NULL;
        size_t nbytes = 0;
        check_shape(session, 0, 2, 8, 32);
        check_shape(session, 1, 1, -1, 0);
        for (unsigned i = 0; i < 200; i++) run_shape(session, 1 + i * 5 % 8, 4 + i * 7 % 16 * 4, i, &total);
        test_wrong_shapes(session);
        CHECK(edge_session_state(session, "tally_out", (void **)&tally, &nbytes) == EDGE_OK && nbytes == 4);
        CHECK(*tally == total && total > 0);
        CHECK(edge_session_reset_state(session) == EDGE_OK && *tally == 0);
        CHECK(edge_session_state(session, "x", (void **)&tally, &nbytes) == EDGE_ERR_ARGUMENT);
        total = 0;
        run_shape(session, 3, 8, 1, &total);
        CHECK(edge_session_close(session) == EDGE_OK);
    }
    CHECK(edge_model_close(model) == EDGE_OK);
    CHECK(held == 0 && threads_running == 0);
}

/* No allocation between creation and close, by the runtime or the libc beneath it. */
#ifdef COUNT_ALLOCATIONS
#include "allocations.h"

static void test_allocations(const char *weights) {
    static tensors t;
    edge_step_profile rows[4];
    edge_memory memory;
    uint32_t n = 0;
    edge_model *model = open_model(weights);
    for (int threads = 1; threads <= 4; threads++) {
        edge_session *session = create_session(model, threads, EDGE_SESSION_PROFILE | EDGE_SESSION_GUARD);
        int before = allocations, held_before = held;
        for (int i = 0; i < 200; i++) {
            bind_tensors(session, &t);
            CHECK(edge_session_run(session) == EDGE_OK);
        }
        CHECK(edge_session_profile(session, rows, 4, &n) == EDGE_OK && n == 28 && rows[0].runs == 200);
        CHECK(edge_session_memory(session, &memory) == EDGE_OK);
        CHECK(edge_session_bind_input(session, 9, NULL, 0) == EDGE_ERR_ARGUMENT);
        CHECK(allocations == before && held == held_before);
        CHECK(edge_session_close(session) == EDGE_OK);
    }
    CHECK(edge_model_close(model) == EDGE_OK && held == 0);
}
#endif

/* Bytes of this process that are in memory, to the page. */
static size_t resident(void) {
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    char line[256];
    unsigned long kib = 0;
    CHECK(file != NULL);
    while (fgets(line, sizeof line, file) != NULL && sscanf(line, "Rss: %lu", &kib) != 1) {
    }
    CHECK(kib > 0 && fclose(file) == 0);
    return kib << 10;
}

/* Pages exist from the start, and no more of them than it takes, whatever their size. Code and stack that are touched
 * meanwhile are resident too: 180 to 330 KB were measured in a first turn, by where libc lies, since the system maps what
 * is around a page that is read; nothing in the turns behind it. So they count from the second one on. */
static void test_memory(void) {
    const size_t sizes[] = {1, 5000, 1 << 20, (2 << 20) - 1, 2 << 20, (2 << 20) + 1, (9 << 20) + 5000};
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    edge_os_free(edge_os_alloc(1), 1);
    resident();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t before = resident();
        uint8_t *memory = edge_os_alloc(sizes[i]);
        size_t taken = resident() - before;
        CHECK(memory != NULL && (uintptr_t)memory % page == 0);
        CHECK(taken < sizes[i] + page);
        bool populates = madvise(memory, 1, MADV_POPULATE_WRITE) == 0; /* Linux 5.14 */
        CHECK(taken >= sizes[i] || (sizes[i] >= 2 << 20 && !populates));
        for (size_t k = 0; k < sizes[i]; k++) CHECK(memory[k] == 0);
        memset(memory, 0xff, sizes[i]);
        edge_os_free(memory, sizes[i]);
        CHECK(madvise(memory, 1, MADV_POPULATE_WRITE) != 0); /* nothing is left there */
    }
    const size_t large = 2 << 20, spare = 64 << 10;
    CHECK(edge_os_filled(0) == 0 && edge_os_filled(large - spare - 1) == large - spare - 1);
    CHECK(edge_os_filled(large - spare) == large && edge_os_filled(large) == large);
    CHECK(edge_os_filled(large + 1) == large + 1 && edge_os_filled(3 * large - 1) == 3 * large);
    CHECK(held == 0);
}

int main(int argc, char **argv) {
    CHECK(argc >= 3);
    const char *test = argv[1], *weights = argv[2];
    if (strcmp(test, "stress") == 0) {
        CHECK(argc == 6);
        test_stress(weights, atoi(argv[3]), atoi(argv[4]), atoi(argv[5]));
    } else if (strcmp(test, "shapes") == 0) {
        test_shapes(weights);
    } else if (strcmp(test, "busy") == 0) {
        test_busy(weights);
    } else if (strcmp(test, "cancel") == 0) {
        CHECK(argc == 4);
        test_cancel(weights, atoi(argv[3]));
    } else if (strcmp(test, "faults") == 0) {
        test_faults(weights);
    } else if (strcmp(test, "memory") == 0) {
        test_memory();
    } else if (strcmp(test, "arguments") == 0) {
        test_arguments(weights);
#ifdef COUNT_ALLOCATIONS
    } else if (strcmp(test, "allocations") == 0) {
        test_allocations(weights);
#endif
    } else {
        CHECK(!"a test of that name");
    }
    return 0;
}
