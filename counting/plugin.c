/* plugin.c: counts what an AArch64 program executes in a marked region, under QEMU's user-mode emulation.
 *
 * `hint #72` begins a region and `hint #73` ends it, in one thread. Every translated block is counted with the block that
 * ran before it and the step of the plan that it ran for, and with the misses that its accesses have in a model of the
 * data caches. Nothing depends on time: equal runs of a single-threaded program give equal counts.
 *
 * A step begins when its entry in the table of steps is read. Where that lies says the address of an `ldr xzr, [xN]` right
 * behind the hint; without one, all is outside steps.
 *
 * Arguments: out=FILE, steps=COUNT:BYTES (of the table of steps and of one of them), l1=KIB:WAYS, l2=KIB:WAYS.
 * The file has a line for each
 *   region COUNT EDGES                how often it was entered; instructions beside those of whole blocks, or less than 0
 *   block ID ADDRESS WORD...          its instructions
 *   runs STEP FROM TO COUNT L1 L2     blocks by ID; STEP or FROM is -1 outside steps, and where a region begins
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The part of QEMU's plugin interface that is used; it is the same in versions 1 (QEMU 4.2 to 8.2) and 2 (from 9.0). */
typedef uint64_t plugin_id;
typedef uint32_t access_info;
typedef void (*exec_callback)(unsigned cpu, void *data);
typedef void (*access_callback)(unsigned cpu, access_info info, uint64_t address, void *data);
typedef struct translation translation;
typedef struct instruction instruction;
enum { NO_REGISTERS = 0, READS_AND_WRITES = 3 };

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, void (*callback)(plugin_id id, translation *made));
void qemu_plugin_register_vcpu_tb_exec_cb(translation *made, exec_callback callback, int flags, void *data);
void qemu_plugin_register_vcpu_insn_exec_cb(instruction *insn, exec_callback callback, int flags, void *data);
void qemu_plugin_register_vcpu_mem_cb(instruction *insn, access_callback callback, int flags, int kind, void *data);
void qemu_plugin_register_atexit_cb(plugin_id id, void (*callback)(plugin_id id, void *data), void *data);
size_t qemu_plugin_tb_n_insns(const translation *made);
uint64_t qemu_plugin_tb_vaddr(const translation *made);
instruction *qemu_plugin_tb_get_insn(const translation *made, size_t index);
/* Gives a pointer to the bytes, and from QEMU 9.1 on takes a place to write them to and gives their number. */
uintptr_t qemu_plugin_insn_data(const instruction *insn, void *to, size_t size);

#define EXPORT __attribute__((visibility("default")))
EXPORT int qemu_plugin_version = PLUGIN_VERSION;
EXPORT int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv);

enum { BUCKETS = 1 << 16, LINE_BITS = 6, MAX_SETS = 1 << 14 };

#define BEGIN 0xd503291fu /* hint #72 */
#define END 0xd503293fu   /* hint #73 */
#define TELLS_TABLE(word) (((word)&0xfffffc1fu) == 0xf940001fu) /* ldr xzr, [xN] */

/* ---- what is counted ---- */

typedef struct block {
    uint64_t address;
    size_t instructions;
    size_t id;
    struct runs *latest; /* where it was counted last: most likely also the next time */
    uint32_t *words;
    const struct block *rest; /* the block that ran on behind this one, and both as one */
    struct block *whole;
    struct block *next;  /* in the list of all blocks, and of a bucket */
    struct block *chain;
} block;

typedef struct runs {
    const block *from, *to;
    int64_t step;
    uint64_t count, l1, l2;
    struct runs *chain;
} runs;

static block *all_blocks, *block_buckets[BUCKETS];
static runs *run_buckets[BUCKETS];
static size_t block_count;

static bool inside;          /* the region */
static unsigned counted;     /* the thread that entered it */
static uint64_t regions;
static int64_t edges;        /* instructions of the region beside those of whole blocks */
static block *before;        /* the block that ran last in the region */
static runs *current;        /* where the running block is counted */
static uint64_t l1_misses, l2_misses; /* what its accesses have missed so far */

static const char *out_path;

static void *allocate(size_t size) {
    void *memory = calloc(1, size);
    if (memory == NULL) {
        fputs("counting: no memory\n", stderr);
        abort();
    }
    return memory;
}

static size_t bucket(uint64_t a, uint64_t b, uint64_t c) {
    uint64_t hash = (a * 0x9e3779b97f4a7c15u + b) * 0xc2b2ae3d27d4eb4fu + c;
    return (hash ^ hash >> 29) * 0x9e3779b97f4a7c15u >> 48;
}

/* QEMU may translate the same code again. */
static block *block_at(uint64_t address, size_t instructions) {
    block **chain = &block_buckets[bucket(address, instructions, 0)];
    for (block *found = *chain; found != NULL; found = found->chain) {
        if (found->address == address && found->instructions == instructions) return found;
    }
    block *made = allocate(sizeof *made);
    *made = (block){.address = address, .instructions = instructions, .id = block_count++};
    made->next = all_blocks;
    made->chain = *chain;
    return all_blocks = *chain = made;
}

/* Branches, calls, returns and exceptions. */
static bool is_jump(uint32_t word) {
    return (word & 0x7c000000u) == 0x14000000u || (word & 0x7c000000u) == 0x34000000u ||
           (word & 0xff000000u) == 0x54000000u || (word & 0xfe000000u) == 0xd6000000u ||
           (word & 0xff000000u) == 0xd4000000u;
}

/* QEMU ends blocks where pages end. What runs on there is the same block: else counts would depend on where the linker
 * has put a loop. */
static bool runs_on(const block *first, const block *rest) {
    return first->address + 4 * first->instructions == rest->address && !is_jump(first->words[first->instructions - 1]);
}

static block *joined(block *first, const block *rest) {
    if (first->rest != rest) {
        size_t size = sizeof *first->words, count = first->instructions;
        first->rest = rest;
        first->whole = block_at(first->address, count + rest->instructions);
        if (first->whole->words == NULL) {
            first->whole->words = allocate((count + rest->instructions) * size);
            memcpy(first->whole->words, first->words, count * size);
            memcpy(first->whole->words + count, rest->words, rest->instructions * size);
        }
    }
    return first->whole;
}

static runs *runs_of(const block *from, const block *to, int64_t step) {
    runs **chain = &run_buckets[bucket((uintptr_t)from, (uintptr_t)to, (uint64_t)step)];
    for (runs *found = *chain; found != NULL; found = found->chain) {
        if (found->from == from && found->to == to && found->step == step) return found;
    }
    runs *made = allocate(sizeof *made);
    *made = (runs){.from = from, .to = to, .step = step, .chain = *chain};
    return *chain = made;
}

/* ---- steps ---- */

static uint64_t table, step_count, step_bytes; /* where the steps' entries lie; 0: nowhere */
static int64_t step = -1;

static void on_table(unsigned cpu, access_info info, uint64_t address, void *data) {
    (void)info, (void)data;
    if (inside && cpu == counted) table = address;
}

static void follow_steps(uint64_t address) {
    if (table != 0 && address - table < step_count * step_bytes) step = (int64_t)((address - table) / step_bytes);
}

/* ---- data caches: least recently used lines leave; sets are lists of lines, the latest used first ---- */

typedef struct cache {
    size_t sets, ways;
    uint64_t *lines;
} cache;

static cache l1, l2;

static bool make_cache(cache *made, const char *size) {
    char *rest;
    size_t kib = strtoul(size, &rest, 10), ways = *rest == ':' ? strtoul(rest + 1, &rest, 10) : 0;
    if (*rest != '\0' || ways == 0 || kib == 0 || kib > MAX_SETS) return false;
    *made = (cache){.sets = (kib << 10 >> LINE_BITS) / ways, .ways = ways};
    if (made->sets == 0 || (made->sets & (made->sets - 1)) != 0) return false;
    made->lines = allocate(made->sets * ways * sizeof *made->lines);
    return true;
}

/* Whether the line was there; it is now. */
static bool touch(cache *in, uint64_t line) {
    uint64_t *set = in->lines + (line & (in->sets - 1)) * in->ways, held = line;
    for (size_t way = 0; way < in->ways; way++) {
        uint64_t next = set[way];
        set[way] = held;
        if (next == line) return true;
        held = next;
    }
    return false;
}

static void on_access(unsigned cpu, access_info info, uint64_t address, void *data) {
    static uint64_t last;
    uint64_t line = address >> LINE_BITS;
    (void)info, (void)data;
    if (inside && cpu != counted) return;
    if (inside) follow_steps(address);
    if (line == last) return;
    last = line;
    if (touch(&l1, line)) return;
    bool missed = !touch(&l2, line);
    if (!inside || current == NULL) return;
    current->l1++, l1_misses++;
    current->l2 += missed, l2_misses += missed;
}

/* ---- execution ---- */

/* Counts a run of a block behind another one. */
static runs *ran(block *entered, const block *from, int64_t in_step) {
    runs *latest = entered->latest;
    if (latest == NULL || latest->from != from || latest->step != in_step) {
        latest = entered->latest = runs_of(from, entered, in_step);
    }
    latest->count++;
    return latest;
}

static void on_block(unsigned cpu, void *data) {
    block *entered = data;
    if (!inside || cpu != counted) return;
    if (before != NULL && runs_on(before, entered)) {
        runs *part = current;
        part->count--;
        part->l1 -= l1_misses;
        part->l2 -= l2_misses;
        entered = joined(before, entered);
        current = ran(entered, part->from, part->step);
        current->l1 += l1_misses;
        current->l2 += l2_misses;
    } else {
        current = ran(entered, before, step);
        l1_misses = l2_misses = 0;
    }
    before = entered;
}

/* `data` is how many instructions of the block stand behind the mark. */
static void on_begin(unsigned cpu, void *data) {
    inside = true;
    counted = cpu;
    table = 0;
    step = -1;
    before = NULL;
    current = NULL;
    regions++;
    edges += (int64_t)(uintptr_t)data;
}

static void on_end(unsigned cpu, void *data) {
    if (!inside || cpu != counted) return;
    inside = false;
    edges -= (int64_t)(uintptr_t)data + 1; /* the mark is outside too */
}

static uint32_t word_of(const instruction *insn) {
    uint32_t word = 0;
    uintptr_t given = qemu_plugin_insn_data(insn, &word, sizeof word);
    if (given != sizeof word) memcpy(&word, (const void *)given, sizeof word);
    return word;
}

static void on_translation(plugin_id id, translation *made) {
    size_t count = qemu_plugin_tb_n_insns(made);
    block *here = block_at(qemu_plugin_tb_vaddr(made), count);
    (void)id;
    if (here->words == NULL) here->words = allocate(count * sizeof *here->words);
    qemu_plugin_register_vcpu_tb_exec_cb(made, on_block, NO_REGISTERS, here);
    for (size_t i = 0; i < count; i++) {
        instruction *insn = qemu_plugin_tb_get_insn(made, i);
        void *behind = (void *)(uintptr_t)(count - 1 - i);
        uint32_t word = here->words[i] = word_of(insn);
        if (word == BEGIN) qemu_plugin_register_vcpu_insn_exec_cb(insn, on_begin, NO_REGISTERS, behind);
        if (word == END) qemu_plugin_register_vcpu_insn_exec_cb(insn, on_end, NO_REGISTERS, behind);
        access_callback callback = i > 0 && here->words[i - 1] == BEGIN && TELLS_TABLE(word) ? on_table : on_access;
        qemu_plugin_register_vcpu_mem_cb(insn, callback, NO_REGISTERS, READS_AND_WRITES, NULL);
    }
}

/* ---- arguments and result ---- */

static void write_counts(plugin_id id, void *data) {
    FILE *file = fopen(out_path, "w");
    (void)id, (void)data;
    if (file == NULL) return; /* the reader says that there is nothing */
    fprintf(file, "region %" PRIu64 " %" PRId64 "\n", regions, edges);
    for (const block *b = all_blocks; b != NULL; b = b->next) {
        fprintf(file, "block %zu %" PRIu64, b->id, b->address);
        for (size_t i = 0; i < b->instructions; i++) fprintf(file, " %" PRIu32, b->words[i]);
        fputc('\n', file);
    }
    for (size_t i = 0; i < BUCKETS; i++) {
        for (const runs *r = run_buckets[i]; r != NULL; r = r->chain) {
            if (r->count == 0) continue; /* parts of blocks only */
            int64_t from = r->from != NULL ? (int64_t)r->from->id : -1;
            fprintf(file, "runs %" PRId64 " %" PRId64 " %zu %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", r->step, from,
                    r->to->id, r->count, r->l1, r->l2);
        }
    }
    fclose(file);
}

static const char *value_of(const char *argument, const char *name) {
    size_t length = strlen(name);
    return strncmp(argument, name, length) == 0 && argument[length] == '=' ? argument + length + 1 : NULL;
}

static bool parse(const char *argument) {
    const char *value;
    if ((value = value_of(argument, "out")) != NULL) return (out_path = strdup(value)) != NULL;
    if ((value = value_of(argument, "l1")) != NULL) return make_cache(&l1, value);
    if ((value = value_of(argument, "l2")) != NULL) return make_cache(&l2, value);
    if ((value = value_of(argument, "steps")) == NULL) return false;
    char *rest;
    step_count = strtoull(value, &rest, 10);
    step_bytes = *rest == ':' ? strtoull(rest + 1, &rest, 10) : 0;
    return *rest == '\0' && step_bytes > 0;
}

int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv) {
    (void)info;
    for (int i = 0; i < argc; i++) {
        if (!parse(argv[i])) {
            fprintf(stderr, "counting: bad argument %s\n", argv[i]);
            return 1;
        }
    }
    if (out_path == NULL || l1.lines == NULL || l2.lines == NULL) {
        fputs("counting: out, l1 and l2 are needed\n", stderr);
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_atexit_cb(id, write_counts, NULL);
    return 0;
}
