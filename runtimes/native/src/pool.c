/* pool.c: worker threads that share the tiles of each step.
 *
 * Steps that may overlap form a *phase*: a step, and those that follow without a barrier. One phase is open at a
 * time. Whoever finishes its last tile decides which one comes next (edge_session_next: conditions and loops are
 * followed between phases) and opens it. `now` names the open phase: its first step beside a position that counts
 * phases over the life of the pool, in one word, so that nobody can mistake one phase's steps for those of another.
 *
 * Each thread owns one part of a step's tiles, the same from step to step: what it reads is mostly what it has written
 * itself, in its own core's cache. When its part is done it helps the others. Who takes tiles takes half of what is
 * left of a part, so there are few accesses, and single tiles in the end, even if some cores are slower than others.
 *
 * A part's ticket holds the position at which tiles were last taken beside the number of the next one, in one word that
 * is only changed by compare-and-swap. A worker that overslept therefore cannot take a tile of the wrong phase, be it
 * the same step in a loop's next turn: when a phase ends, all parts that had tiles carry its position. And nobody has
 * to wait for workers that did not take part. Nothing is reset between phases: an older ticket is read as new.
 */
#include "pool.h"

#include "session.h"

#define SPINS 2000 /* some 20 to 50 microseconds: longer than most gaps between phases, shorter than a sleep costs */

typedef struct edge_ticket {
    _Alignas(EDGE_ALIGNMENT) _Atomic uint64_t word; /* position << 32 | next tile */
} edge_ticket;

#define PAUSE ((uint64_t)UINT32_MAX) /* in place of a step: no phase is open, and the run goes on */
#define REFRESH (1u << 30) /* positions after which all tickets are brought up to date */
#define FIRST_POSITION (UINT32_MAX - 15)

struct edge_pool {
    edge_session *session;
    edge_ticket *tickets; /* [step][thread] */
    edge_thread *workers;
    uint32_t worker_count; /* those that run */
    uint32_t threads;
    uint32_t spins;     /* while a thread waits; 0: there are fewer CPUs than threads */
    int32_t caller_cpu; /* that workers keep clear of; -1: none */
    edge_cpu_set cpus;  /* for all threads */
    _Atomic uint32_t workers_begun;
    _Alignas(EDGE_ALIGNMENT) _Atomic uint64_t now; /* first step of the open phase << 32 | position */
    _Atomic uint32_t sleepers;
    _Atomic bool stop;
    _Alignas(EDGE_ALIGNMENT) _Atomic uint64_t remaining; /* tiles of the open phase that are not done */
};

static void relax(void) {
#if defined(__x86_64__)
    __asm__ volatile("pause");
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory"); /* `yield` does nothing on most cores */
#elif defined(__riscv)
    __asm__ volatile(".insn i 0x0f, 0, x0, x0, 16"); /* pause */
#endif
}

static const edge_step *step_at(const edge_pool *pool, uint32_t step) {
    return &pool->session->steps[step];
}

/* The step after the phase that begins with `step`; `step` itself at the end of the program. */
static uint32_t phase_end(const edge_pool *pool, uint32_t step) {
    uint32_t count = pool->session->model->program->step_count, end = step < count ? step + 1 : step;
    while (end < count && step_at(pool, end)->barrier == 0) end++;
    return end;
}

/* The half of `now` that futexes can look at: the position, on machines that are little-endian. */
static _Atomic uint32_t *bell(edge_pool *pool) { return (_Atomic uint32_t *)(void *)&pool->now; }

/* Positions are compared by their distance, as they wrap around; so none may be left behind by half of their range. */
static void refresh(edge_pool *pool, uint32_t position) {
    uint32_t count = pool->session->model->program->step_count * pool->threads;
    for (uint32_t i = 0; i < count; i++) {
        atomic_store_explicit(&pool->tickets[i].word, (uint64_t)position << 32 | INT32_MAX, memory_order_relaxed);
    }
}

static uint32_t next_position(edge_pool *pool) {
    uint32_t position = (uint32_t)atomic_load_explicit(&pool->now, memory_order_relaxed) + 1;
    if (position % REFRESH == 0) refresh(pool, position - 1);
    return position;
}

/* Opens the phase that begins with `step`, or ends the run. No phase is open, so this is one thread at a time. */
static void advance(edge_pool *pool, uint32_t step) {
    uint32_t position = next_position(pool);
    uint64_t tiles = 0;
    for (uint32_t i = step, end = phase_end(pool, step); i < end; i++) tiles += (uint64_t)step_at(pool, i)->tiles;
    atomic_store_explicit(&pool->remaining, tiles, memory_order_relaxed);
    atomic_store(&pool->now, (uint64_t)step << 32 | position);
    if (atomic_load(&pool->sleepers) != 0) edge_os_wake_all(bell(pool));
}

/* Sleepers stay asleep: a phase or the run's end follows. */
void edge_pool_pause(edge_pool *pool) { atomic_store(&pool->now, PAUSE << 32 | next_position(pool)); }

/* Returns when the pool has moved on from `now`. */
static void await_change(edge_pool *pool, uint64_t now) {
    for (uint32_t i = 0; i < pool->spins; i++) {
        if (atomic_load_explicit(&pool->now, memory_order_acquire) != now) return;
        relax();
    }
    /* Sequentially consistent, as in advance(): either it sees the sleeper, or the sleeper sees the new position. */
    atomic_fetch_add(&pool->sleepers, 1);
    while (atomic_load(&pool->now) == now) edge_os_wait(bell(pool), (uint32_t)now);
    atomic_fetch_sub(&pool->sleepers, 1);
}

/* The first tile of a thread's part of a step. Steps with few tiles are the first threads'. */
static int32_t part(const edge_pool *pool, int32_t tiles, uint32_t thread) {
    return (int32_t)(((int64_t)tiles * thread + pool->threads - 1) / pool->threads);
}

/* Takes tiles [*begin, *end) of the owner's part of a step if `now` still is the time for it and any are left.
 *
 * The number of tiles may change after the phase has ended (edge_pool_pause). So it is read before the time: if that
 * is as it was, the number is the right one, and the ticket tells whether the phase ends meanwhile. */
static bool take(edge_pool *pool, uint32_t step, uint32_t owner, uint64_t now, int32_t *begin, int32_t *end) {
    int32_t tiles = __atomic_load_n(&step_at(pool, step)->tiles, __ATOMIC_ACQUIRE);
    if (atomic_load_explicit(&pool->now, memory_order_relaxed) != now) return false;
    uint32_t position = (uint32_t)now;
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

/* Works on the phase open at `now` until none of its tiles is left to take; whoever finishes the last one opens the
 * next. */
static void work(edge_pool *pool, uint32_t thread, uint64_t now) {
    uint32_t first = (uint32_t)(now >> 32), last = phase_end(pool, first);
    uint64_t mine = 0;
    int32_t begin, end;
    for (uint32_t step = first; step < last; step++) {
        int32_t done = -1; /* where the tiles end that were taken last */
        for (uint32_t i = 0; i < pool->threads; i++) {
            while (take(pool, step, (thread + i) % pool->threads, now, &begin, &end)) {
                edge_session_compute(pool->session, step, begin, end, thread, begin == done);
                done = end;
                mine += (uint64_t)(end - begin);
            }
        }
    }
    if (mine != 0 && atomic_fetch_sub_explicit(&pool->remaining, mine, memory_order_acq_rel) == mine) {
        advance(pool, edge_session_next(pool->session, last));
    }
}

static void worker_main(void *argument) {
    edge_pool *pool = argument;
    uint32_t thread = 1 + atomic_fetch_add_explicit(&pool->workers_begun, 1, memory_order_relaxed);
    for (;;) {
        uint64_t now = atomic_load_explicit(&pool->now, memory_order_acquire);
        if (atomic_load_explicit(&pool->stop, memory_order_relaxed)) return;
        work(pool, thread, now);
        await_change(pool, now);
    }
}

/* Forbids the workers the CPU on which the caller is now. When both CPUs are busy as a worker wakes up, the scheduler
 * may put it behind the caller, and leave it there for many inferences though another CPU is idle soon after. */
static void keep_clear_of_caller(edge_pool *pool) {
    int32_t cpu = edge_os_current_cpu();
    if (cpu == pool->caller_cpu || (uint32_t)cpu >= EDGE_MAX_CPUS || pool->spins == 0) return;
    uint64_t *bits = &pool->cpus.bits[cpu / 64], all = *bits;
    *bits &= ~((uint64_t)1 << (cpu % 64));
    for (uint32_t i = 0; i < pool->worker_count; i++) edge_os_set_cpus(&pool->workers[i], &pool->cpus);
    *bits = all;
    pool->caller_cpu = cpu;
}

void edge_pool_run(edge_pool *pool) {
    uint32_t end = pool->session->model->program->step_count;
    keep_clear_of_caller(pool);
    advance(pool, edge_session_next(pool->session, 0));
    for (;;) {
        uint64_t now = atomic_load_explicit(&pool->now, memory_order_acquire);
        if (now >> 32 == end) return;
        work(pool, 0, now);
        await_change(pool, now);
    }
}

size_t edge_pool_size(const edge_program *program, uint32_t threads) {
    return sizeof(edge_pool) + (size_t)program->step_count * threads * sizeof(edge_ticket) +
           threads * sizeof(edge_thread);
}

static edge_status start_workers(edge_pool *pool, uint32_t count, bool pin, edge_error *error) {
    uint32_t ready = 0;
    while (ready < count && edge_os_thread_start(&pool->workers[ready], worker_main, pool)) {
        pool->worker_count++;
        if (pin && !edge_os_set_cpus(&pool->workers[ready], &pool->cpus)) break;
        ready++;
    }
    if (ready == count) return EDGE_OK;
    edge_pool_stop(pool);
    return edge_fail(error, EDGE_ERR_THREAD, "only %u of %u worker threads could be started where they should run",
                     (uint64_t)ready, (uint64_t)count);
}

edge_status edge_pool_start(edge_pool *pool, edge_session *session, uint32_t threads, const edge_cpu_set *cpus,
                            bool pin, edge_error *error) {
    uint32_t steps = session->model->program->step_count;
    pool->session = session;
    pool->threads = threads;
    pool->tickets = (edge_ticket *)(void *)(pool + 1);
    pool->workers = (edge_thread *)(void *)(pool->tickets + (size_t)steps * threads);
    pool->cpus = *cpus;
    pool->caller_cpu = -1;
    /* More threads than CPUs: whoever spins keeps the one that works from running. */
    pool->spins = (int32_t)threads <= edge_cpu_count(cpus) ? SPINS : 0;
    /* Idle, as after a run. Positions wrap around soon, so that every program has seen it. */
    atomic_init(&pool->now, (uint64_t)steps << 32 | FIRST_POSITION);
    refresh(pool, FIRST_POSITION);
    return start_workers(pool, threads - 1, pin, error);
}

void edge_pool_stop(edge_pool *pool) {
    atomic_store_explicit(&pool->stop, true, memory_order_relaxed);
    advance(pool, pool->session->model->program->step_count);
    for (uint32_t i = 0; i < pool->worker_count; i++) edge_os_thread_join(&pool->workers[i]);
    pool->worker_count = 0;
}
