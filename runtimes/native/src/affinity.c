/* affinity.c: "performance", "efficiency", "all" and "cpus=0,2-3" as sets of CPUs. */
#include "internal.h"

static bool has(const edge_cpu_set *set, uint32_t cpu) { return set->bits[cpu / 64] >> (cpu % 64) & 1; }
static void add(edge_cpu_set *set, uint32_t cpu) { set->bits[cpu / 64] |= (uint64_t)1 << (cpu % 64); }
static void drop(edge_cpu_set *set, uint32_t cpu) { set->bits[cpu / 64] &= ~((uint64_t)1 << (cpu % 64)); }

int32_t edge_cpu_count(const edge_cpu_set *set) {
    int32_t count = 0;
    for (size_t i = 0; i < EDGE_MAX_CPUS / 64; i++) {
        for (uint64_t bits = set->bits[i]; bits != 0; bits &= bits - 1) count++;
    }
    return count;
}

/* The text after `prefix`, or NULL if `text` does not start with it. */
static const char *after(const char *text, const char *prefix) {
    while (*prefix != '\0') {
        if (*text++ != *prefix++) return NULL;
    }
    return text;
}

static bool read_number(const char **text, uint32_t *number) {
    const char *at = *text;
    for (*number = 0; *at >= '0' && *at <= '9' && *number < EDGE_MAX_CPUS; at++) {
        *number = *number * 10 + (uint32_t)(*at - '0');
    }
    bool found = at != *text && *number < EDGE_MAX_CPUS;
    *text = at;
    return found;
}

/* "0,2-3": numbers and ranges. */
static bool parse_list(const char *text, edge_cpu_set *set) {
    for (;; text++) {
        uint32_t first, last;
        if (!read_number(&text, &first)) return false;
        last = first;
        if (*text == '-') {
            text++;
            if (!read_number(&text, &last) || last < first) return false;
        }
        for (uint32_t cpu = first; cpu <= last; cpu++) add(set, cpu);
        if (*text != ',') return *text == '\0';
    }
}

/* How fast a CPU is among its peers: the scheduler's own figure, else its top frequency, else 0. */
static uint64_t capacity(uint32_t cpu) {
    uint64_t value = edge_cpu_value("/sys/devices/system/cpu/cpu%u/cpu_capacity", cpu);
    return value != 0 ? value : edge_cpu_value("/sys/devices/system/cpu/cpu%u/cpufreq/cpuinfo_max_freq", cpu);
}

/* Keeps the CPUs on one side of the middle between the slowest and the fastest; all of them where they are alike. */
static void keep_kind(edge_cpu_set *set, bool fast) {
    uint64_t lowest = UINT64_MAX, highest = 0;
    for (uint32_t cpu = 0; cpu < EDGE_MAX_CPUS; cpu++) {
        if (!has(set, cpu)) continue;
        uint64_t value = capacity(cpu);
        if (value < lowest) lowest = value;
        if (value > highest) highest = value;
    }
    if (lowest >= highest) return;
    for (uint32_t cpu = 0; cpu < EDGE_MAX_CPUS; cpu++) {
        if (has(set, cpu) && (capacity(cpu) > lowest + (highest - lowest) / 2) != fast) drop(set, cpu);
    }
}

edge_status edge_affinity_parse(const char *text, edge_cpu_set *set, edge_error *error) {
    edge_cpu_set listed = {{0}};
    if (!edge_os_get_cpus(set)) {
        *set = (edge_cpu_set){{1}}; /* a sandbox may forbid the question; it matters only if a choice was made */
        if (text == NULL) return EDGE_OK;
        return edge_fail(error, EDGE_ERR_THREAD, "the system does not tell which CPUs this thread may use");
    }
    if (text == NULL || edge_text_equal(text, "all")) return EDGE_OK;
    if (edge_text_equal(text, "performance") || edge_text_equal(text, "efficiency")) {
        keep_kind(set, text[0] == 'p');
        return EDGE_OK;
    }
    const char *list = after(text, "cpus=");
    if (list == NULL || !parse_list(list, &listed)) {
        return edge_fail(error, EDGE_ERR_ARGUMENT,
                         "affinity \"%s\" is not performance, efficiency, all or a list such as cpus=0,2-3", text);
    }
    uint64_t any = 0;
    for (size_t i = 0; i < EDGE_MAX_CPUS / 64; i++) any |= set->bits[i] &= listed.bits[i];
    if (any == 0) {
        return edge_fail(error, EDGE_ERR_ARGUMENT, "affinity \"%s\" names no CPU that this process may use", text);
    }
    return EDGE_OK;
}

edge_status edge_thread_pin(const char *affinity, edge_error *error) {
    edge_cpu_set set;
    edge_status status = edge_affinity_parse(affinity, &set, error);
    if (status != EDGE_OK || affinity == NULL) return status;
    if (edge_os_set_cpus(NULL, &set)) return EDGE_OK;
    return edge_fail(error, EDGE_ERR_THREAD, "the system refused to pin this thread to \"%s\"", affinity);
}
