/* pool.c: worker threads that share the tiles of each step.
 *
 * Steps that may overlap form a *phase*; phases run one after the other. `position` counts phases over the life of the
 * pool: while it equals `base + p`, phase p of the current run is open, and at `base + phase_count` the pool is idle.
 *
 * Each thread owns one part of a step's tiles, the same from step to step: what it reads is mostly what it has written
 * itself, in its own core's cache. When its part is done it helps the others. Who takes tiles takes half of what is left
 * of a part, so there are few accesses, and single tiles in the end, even if some cores are slower than others.
 *
 * A part's ticket holds the position at which tiles were last taken beside the number of the next one, in one word that
 * is only changed by compare-and-swap. A worker that overslept therefore cannot take a tile of the wrong phase or run,
 * and nobody has to wait for workers that did not take part: a phase ends when all of its tiles are done. Nothing is
 * reset between runs: a ticket from an earlier one is read as new, and finished tiles are counted for ever.
 */
#include "pool.h"

#include "session.h"

#define SPINS 2000 /* some 20 to 50 microseconds: longer than most gaps between phases, shorter than a sleep costs */

typedef struct edge_ticket {
    _Alignas(EDGE_ALIGNMENT) _Atomic uint64_t word; /* position << 32 | next tile */
} edge_ticket;

typedef struct edge_phase {
    _Alignas(EDGE_ALIGNMENT) _Atomic uint64_t done; /* tiles, over all runs */
    uint64_t tiles;
    uint32_t first, last; /* steps [first, last) */
} edge_phase;

struct edge_pool {
    edge_session *session;
    edge_ticket *tickets; /* [step][thread] */
    edge_phase *phases;
    edge_thread *workers;
    uint32_t phase_count;
    uint32_t worker_count; /* those that run */
    uint32_t threads;
    uint32_t spins;
    _Atomic uint32_t workers_begun;
    _Alignas(EDGE_ALIGNMENT) _Atomic uint32_t position;
    _Atomic uint32_t base;
    _Atomic uint32_t sleepers;
    _Atomic bool stop;
};

static void relax(void) {
#if defined(__x86_64__)
    __asm__ volatile("pause");
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory"); /* `yield` does nothing on most cores */
#endif
}

static void advance(edge_pool *pool, uint32_t position) {
    atomic_store(&pool->position, position);
    if (atomic_load(&pool->sleepers) != 0) edge_os_wake_all(&pool->position);
}

/* Returns when the pool has moved on from `position`. */
static void await_change(edge_pool *pool, uint32_t position) {
    for (uint32_t i = 0; i < pool->spins; i++) {
        if (atomic_load_explicit(&pool->position, memory_order_acquire) != position) return;
        relax();
    }
    /* Sequentially consistent, as in advance(): either it sees the sleeper, or the sleeper sees the new position. */
    atomic_fetch_add(&pool->sleepers, 1);
    while (atomic_load(&pool->position) == position) edge_os_wait(&pool->position, position);
    atomic_fetch_sub(&pool->sleepers, 1);
}

/* The first tile of a thread's part of a step. Steps with few tiles are the first threads'. */
static int32_t part(const edge_pool *pool, int32_t tiles, uint32_t thread) {
    return (int32_t)(((int64_t)tiles * thread + pool->threads - 1) / pool->threads);
}

/* Takes tiles [*begin, *end) of the owner's part of a step if `position` still is the time for it and any are left. */
static bool take(edge_pool *pool, uint32_t step, uint32_t owner, uint32_t position, int32_t *begin, int32_t *end) {
    int32_t tiles = pool->session->model->program->steps[step].tiles;
    int32_t first = part(pool, tiles, owner), last = part(pool, tiles, owner + 1);
    edge_ticket *ticket = &pool->tickets[step * pool->threads + owner];
    uint64_t word = atomic_load_explicit(&ticket->word, memory_order_relaxed);
    do {
        int32_t ahead = (int32_t)((uint32_t)(word >> 32) - position);
        *begin = ahead < 0 ? first : (int32_t)(uint32_t)word;
        if (ahead > 0 || *begin >= last) return false;
        *end = *begin + (last - *begin + 1) / 2;
    } while (!atomic_compare_exchange_weak_explicit(&ticket->word, &word, (uint64_t)position << 32 | (uint32_t)*end,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

/* Works on a phase until none of its tiles is left to take; whoever finishes the last one opens the next phase. */
static void work(edge_pool *pool, uint32_t thread, uint32_t phase_index, uint32_t position) {
    edge_phase *phase = &pool->phases[phase_index];
    uint64_t mine = 0;
    int32_t begin, end;
    for (uint32_t step = phase->first; step < phase->last; step++) {
        for (uint32_t i = 0; i < pool->threads; i++) {
            while (take(pool, step, (thread + i) % pool->threads, position, &begin, &end)) {
                edge_session_compute(pool->session, step, begin, end);
                mine += (uint64_t)(end - begin);
            }
        }
    }
    if (mine == 0) return;
    uint64_t done = atomic_fetch_add_explicit(&phase->done, mine, memory_order_acq_rel) + mine;
    if (done % phase->tiles == 0) advance(pool, position + 1);
}

static void worker_main(void *argument) {
    edge_pool *pool = argument;
    uint32_t thread = 1 + atomic_fetch_add_explicit(&pool->workers_begun, 1, memory_order_relaxed);
    for (;;) {
        uint32_t position = atomic_load_explicit(&pool->position, memory_order_acquire);
        if (atomic_load_explicit(&pool->stop, memory_order_relaxed)) return;
        uint32_t phase = position - atomic_load_explicit(&pool->base, memory_order_relaxed);
        if (phase < pool->phase_count) work(pool, thread, phase, position);
        await_change(pool, position);
    }
}

void edge_pool_run(edge_pool *pool) {
    uint32_t base = atomic_load_explicit(&pool->position, memory_order_relaxed) + 1;
    atomic_store_explicit(&pool->base, base, memory_order_relaxed);
    advance(pool, base);
    for (uint32_t p = 0; p < pool->phase_count; p++) {
        work(pool, 0, p, base + p);
        await_change(pool, base + p);
    }
}

size_t edge_pool_size(const edge_program *program, uint32_t threads) {
    return sizeof(edge_pool) + program->step_count * (threads * sizeof(edge_ticket) + sizeof(edge_phase)) +
           threads * sizeof(edge_thread);
}

/* Groups the steps into phases. */
static void plan(edge_pool *pool) {
    const edge_program *program = pool->session->model->program;
    for (uint32_t i = 0; i < program->step_count; i++) {
        const edge_step *step = &program->steps[i];
        if (i == 0 || step->barrier != 0) pool->phases[pool->phase_count++].first = i;
        edge_phase *phase = &pool->phases[pool->phase_count - 1];
        phase->last = i + 1;
        phase->tiles += (uint64_t)step->tiles;
    }
}

/* Starts the workers. To pin them the creator's own affinity is narrowed meanwhile, which they inherit. */
static edge_status start_workers(edge_pool *pool, uint32_t count, const edge_cpu_set *cpus, bool pin,
                                 edge_error *error) {
    edge_cpu_set before;
    if (pin && (!edge_os_get_cpus(&before) || !edge_os_set_cpus(cpus))) {
        return edge_fail(error, EDGE_ERR_THREAD, "the system refused to pin the workers to the chosen CPUs");
    }
    while (pool->worker_count < count &&
           edge_os_thread_start(&pool->workers[pool->worker_count], worker_main, pool)) {
        pool->worker_count++;
    }
    if (pin) edge_os_set_cpus(&before);
    if (pool->worker_count == count) return EDGE_OK;
    uint64_t started = pool->worker_count;
    edge_pool_stop(pool);
    return edge_fail(error, EDGE_ERR_THREAD, "only %u of %u worker threads could be started", started, (uint64_t)count);
}

edge_status edge_pool_start(edge_pool *pool, edge_session *session, uint32_t threads, const edge_cpu_set *cpus,
                            bool pin, edge_error *error) {
    uint32_t steps = session->model->program->step_count;
    pool->session = session;
    pool->threads = threads;
    pool->tickets = (edge_ticket *)(void *)(pool + 1);
    pool->phases = (edge_phase *)(void *)(pool->tickets + steps * threads);
    pool->workers = (edge_thread *)(void *)(pool->phases + steps);
    /* More threads than CPUs: whoever spins keeps the one that works from running. */
    pool->spins = (int32_t)threads <= edge_cpu_count(cpus) ? SPINS : 0;
    plan(pool);
    atomic_init(&pool->position, pool->phase_count); /* idle, as after a run with base 0 */
    return start_workers(pool, threads - 1, cpus, pin, error);
}

void edge_pool_stop(edge_pool *pool) {
    atomic_store_explicit(&pool->stop, true, memory_order_relaxed);
    advance(pool, atomic_load_explicit(&pool->position, memory_order_relaxed) + 1);
    for (uint32_t i = 0; i < pool->worker_count; i++) edge_os_thread_join(&pool->workers[i]);
    pool->worker_count = 0;
}
