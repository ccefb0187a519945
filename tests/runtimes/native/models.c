/* models.c: a compiled model, run by several threads at once in memory that shows every step beyond its end. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "allocations.h"
#include "check.h"
#include "edge.h"
#include "platform.h"

#define PAGE 4096u

static size_t pages(size_t nbytes) { return (nbytes + PAGE - 1) / PAGE * PAGE; }

/* Memory that ends, but for alignment to 64 bytes, where a page begins that must not be touched. */
static void *fenced(size_t nbytes) {
    size_t usable = pages(nbytes);
    uint8_t *memory = mmap(NULL, usable + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED && mprotect(memory + usable, PAGE, PROT_NONE) == 0);
    return memory + usable - (nbytes + 63) / 64 * 64;
}

static void unfence(void *memory, size_t nbytes) {
    uint8_t *end = (uint8_t *)memory + (nbytes + 63) / 64 * 64;
    CHECK(munmap(end - pages(nbytes), pages(nbytes) + PAGE) == 0);
}

/* The runtime's memory is fenced too, and counted. */
static _Atomic int held;
void *__wrap_edge_os_alloc(size_t nbytes);
void __wrap_edge_os_free(void *memory, size_t nbytes);

void *__wrap_edge_os_alloc(size_t nbytes) {
    held++;
    allocations++;
    return fenced(nbytes);
}

void __wrap_edge_os_free(void *memory, size_t nbytes) {
    held--;
    unfence(memory, nbytes);
}

static uint8_t *read_file(const char *path, size_t *nbytes, void *(*allocate)(size_t)) {
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL && fseek(file, 0, SEEK_END) == 0);
    *nbytes = (size_t)ftell(file);
    uint8_t *data = allocate(*nbytes);
    rewind(file);
    CHECK(fread(data, 1, *nbytes, file) == *nbytes && fclose(file) == 0);
    return data;
}

/* What all sessions compute: the inputs one after the other, and the outputs that they must give. */
typedef struct job {
    edge_model *model;
    const uint8_t *inputs, *expected;
    uint32_t input_count, output_count;
    int threads, runs;
} job;

static const edge_port *port_of(const job *j, bool output, uint32_t index) {
    const edge_port *port = NULL;
    CHECK((output ? edge_model_output : edge_model_input)(j->model, index, &port) == EDGE_OK);
    return port;
}

/* Buffers of exactly the port's size: by malloc, for what ASan instruments, or fenced, for what it does not. */
typedef struct buffers {
    void *inputs[8], *outputs[8];
    bool fence;
} buffers;

static void *allocate(const buffers *b, size_t nbytes) { return b->fence ? fenced(nbytes) : malloc(nbytes); }

static void give_back(const buffers *b, void *memory, size_t nbytes) {
    if (b->fence) {
        unfence(memory, nbytes);
    } else {
        free(memory);
    }
}

static void make_buffers(const job *j, buffers *b) {
    const uint8_t *from = j->inputs;
    CHECK(j->input_count <= 8 && j->output_count <= 8);
    for (uint32_t i = 0; i < j->input_count; i++) {
        size_t nbytes = port_of(j, false, i)->nbytes;
        b->inputs[i] = memcpy(allocate(b, nbytes), from, nbytes);
        from += nbytes;
    }
    for (uint32_t i = 0; i < j->output_count; i++) b->outputs[i] = allocate(b, port_of(j, true, i)->nbytes);
}

static void free_buffers(const job *j, buffers *b) {
    for (uint32_t i = 0; i < j->input_count; i++) give_back(b, b->inputs[i], port_of(j, false, i)->nbytes);
    for (uint32_t i = 0; i < j->output_count; i++) give_back(b, b->outputs[i], port_of(j, true, i)->nbytes);
}

static edge_session *create_session(const job *j, uint32_t flags) {
    edge_session_options options = EDGE_SESSION_OPTIONS_INIT;
    edge_session *session = NULL;
    options.threads = j->threads;
    options.flags = flags;
    CHECK(edge_session_create(j->model, &options, &session, NULL) == EDGE_OK);
    return session;
}

static void run_once(const job *j, edge_session *session, const buffers *b) {
    for (uint32_t i = 0; i < j->input_count; i++) {
        CHECK(edge_session_bind_input(session, i, b->inputs[i], port_of(j, false, i)->nbytes) == EDGE_OK);
    }
    for (uint32_t i = 0; i < j->output_count; i++) {
        memset(b->outputs[i], 0x55, port_of(j, true, i)->nbytes);
        CHECK(edge_session_bind_output(session, i, b->outputs[i], port_of(j, true, i)->nbytes) == EDGE_OK);
    }
    CHECK(edge_session_run(session) == EDGE_OK);
    const uint8_t *expected = j->expected;
    for (uint32_t i = 0; i < j->output_count; i++) {
        CHECK(memcmp(b->outputs[i], expected, port_of(j, true, i)->nbytes) == 0);
        expected += port_of(j, true, i)->nbytes;
    }
}

static void *use(void *argument) {
    const job *j = argument;
    buffers both[2] = {{.fence = false}, {.fence = true}};
    edge_session *session = create_session(j, EDGE_SESSION_GUARD | EDGE_SESSION_PROFILE);
    for (int k = 0; k < 2; k++) make_buffers(j, &both[k]);
    for (int i = 0; i < j->runs; i++) run_once(j, session, &both[i % 2]);
    for (int k = 0; k < 2; k++) free_buffers(j, &both[k]);
    CHECK(edge_session_close(session) == EDGE_OK);
    return NULL;
}

static void test_users(job *j, int users) {
    pthread_t ids[16];
    CHECK(users <= 16);
    for (int i = 0; i < users; i++) CHECK(pthread_create(&ids[i], NULL, use, j) == 0);
    for (int i = 0; i < users; i++) CHECK(pthread_join(ids[i], NULL) == 0);
    CHECK(edge_model_close(j->model) == EDGE_OK);
    CHECK(held == 0);
}

/* From here on any system call but these ends the process with SIGSYS, in every thread. */
static void seal(void) {
    static const uint32_t allowed[] = {
        SYS_futex, SYS_clock_gettime, SYS_write, SYS_exit_group,
        SYS_getcpu, SYS_getpid, SYS_sched_setaffinity, /* workers keep clear of their caller's CPU */
        SYS_set_robust_list, SYS_rseq, SYS_rt_sigprocmask, /* libc's threads, which may be starting still */
    };
    enum { ALLOWED = sizeof allowed / sizeof *allowed };
    struct sock_filter filter[ALLOWED + 3] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        [ALLOWED + 1] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        [ALLOWED + 2] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    for (unsigned i = 0; i < ALLOWED; i++) {
        filter[i + 1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[i], ALLOWED - i, 0);
    }
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0);
}

/* `then_allocate`: what a session that did allocate would come to. */
static void test_sealed(job *j, bool then_allocate) {
    buffers b = {.fence = true};
    edge_session *session = create_session(j, EDGE_SESSION_GUARD | EDGE_SESSION_PROFILE);
    make_buffers(j, &b);
    int before = allocations;
    seal();
    for (int i = 0; i < j->runs; i++) run_once(j, session, &b);
    CHECK(allocations == before);
    if (then_allocate) create_session(j, 0);
    _exit(0);
}

int main(int argc, char **argv) {
    CHECK(argc == 8);
    const char *test = argv[1];
    size_t nbytes = 0;
    job j = {.threads = atoi(argv[5]), .runs = atoi(argv[7])};
    const uint8_t *weights = read_file(argv[2], &nbytes, fenced);
    CHECK(edge_model_open_memory(edge_default_program(), weights, nbytes, NULL, &j.model, NULL) == EDGE_OK);
    CHECK(edge_model_counts(j.model, &j.input_count, &j.output_count) == EDGE_OK);
    j.inputs = read_file(argv[3], &nbytes, malloc);
    j.expected = read_file(argv[4], &nbytes, malloc);
    if (strcmp(test, "users") == 0) {
        test_users(&j, atoi(argv[6]));
    } else {
        CHECK(strcmp(test, "sealed") == 0 || strcmp(test, "sealed, then allocate") == 0);
        test_sealed(&j, strcmp(test, "sealed") != 0);
    }
    free((void *)j.inputs);
    free((void *)j.expected);
    return 0;
}
