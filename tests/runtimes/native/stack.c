/* stack.c: runs a model on a thread whose stack is painted, and prints how many bytes of it have changed.
 * Arguments: the library, the weights. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "edge.h"

#define SIZE ((size_t)1 << 20)
#define PAINT 0x5a
#define TAKE(name)                                         \
    __typeof__(&edge_##name) name = dlsym(library, "edge_" #name); \
    CHECK(name != NULL)

typedef struct run {
    edge_status (*call)(edge_session *);
    edge_session *session;
    edge_status status;
    uint8_t *top; /* of the stack, as edge_session_run finds it */
} run;

static void *main_of(void *argument) {
    run *r = argument;
    uint8_t here = PAINT;
    r->top = &here;
    r->status = r->call(r->session);
    return NULL;
}

int main(int argc, char **argv) {
    CHECK(argc == 3);
    void *library = dlopen(argv[1], RTLD_NOW);
    CHECK(library != NULL);
    TAKE(default_program);
    TAKE(model_open);
    TAKE(model_counts);
    TAKE(model_input);
    TAKE(model_output);
    TAKE(session_create);
    TAKE(session_bind_input);
    TAKE(session_bind_output);
    TAKE(session_run);
    edge_error error;
    edge_model *model = NULL;
    edge_session *session = NULL;
    CHECK(model_open(default_program(), argv[2], NULL, &model, &error) == EDGE_OK);
    CHECK(session_create(model, NULL, &session, &error) == EDGE_OK);
    uint32_t counts[2];
    CHECK(model_counts(model, &counts[0], &counts[1]) == EDGE_OK);
    for (int output = 0; output < 2; output++) {
        for (uint32_t i = 0; i < counts[output]; i++) {
            const edge_port *port = NULL;
            CHECK((output ? model_output : model_input)(model, i, &port) == EDGE_OK);
            void *memory = aligned_alloc(64, (port->nbytes + 63) / 64 * 64);
            CHECK(memory != NULL);
            memset(memory, 0, port->nbytes);
            CHECK((output ? session_bind_output(session, i, memory, port->nbytes)
                          : session_bind_input(session, i, memory, port->nbytes)) == EDGE_OK);
        }
    }
    run r = {session_run, session, EDGE_OK, NULL};
    uint8_t *stack = aligned_alloc(4096, SIZE);
    CHECK(stack != NULL);
    memset(stack, PAINT, SIZE);
    pthread_attr_t attributes;
    pthread_t thread;
    CHECK(pthread_attr_init(&attributes) == 0 && pthread_attr_setstack(&attributes, stack, SIZE) == 0);
    CHECK(pthread_create(&thread, &attributes, main_of, &r) == 0 && pthread_join(thread, NULL) == 0);
    CHECK(r.status == EDGE_OK);
    const uint8_t *lowest = stack;
    while (*lowest == PAINT) lowest++;
    printf("%zu\n", (size_t)(r.top - lowest));
    return 0;
}
