/* pool.h: the threads of one session. */
#ifndef EDGE_POOL_H
#define EDGE_POOL_H

#include "internal.h"

typedef struct edge_pool edge_pool;

/* Bytes that a pool of `threads`, the caller included, needs in the session's block. */
size_t edge_pool_size(const edge_program *program, uint32_t threads);

/* Builds a pool in zeroed, 64-byte aligned memory and starts its workers, which will find `cpus` to run on and, if
 * `pin` is set, are kept there. On failure none is left running. */
edge_status edge_pool_start(edge_pool *pool, edge_session *session, uint32_t threads, const edge_cpu_set *cpus,
                            bool pin, edge_error *error);
void edge_pool_stop(edge_pool *pool);

/* Runs all steps once, together with the calling thread. */
void edge_pool_run(edge_pool *pool);

/* Between two phases: what workers that overslept believe to be open no longer is, so steps may change. */
void edge_pool_pause(edge_pool *pool);

#endif
