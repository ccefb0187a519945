/* cpu.c: which instruction sets this CPU (and its system) offers. */
#include "internal.h"

static uint32_t digit(char c) {
    uint32_t value = (uint32_t)(c >= 'a' ? c - 'a' + 10 : c - '0');
    return value < 16 ? value : 16;
}

uint64_t edge_cpu_value(const char *format, uint32_t cpu) {
    char path[96], text[24];
    edge_text name = {path, 0, sizeof path};
    edge_text_format(&name, format, (uint64_t)cpu);
    long size = edge_os_read_file(path, text, sizeof text);
    bool hexadecimal = size > 2 && text[1] == 'x';
    uint32_t base = hexadecimal ? 16 : 10;
    uint64_t value = 0;
    for (long i = hexadecimal ? 2 : 0; i < size && digit(text[i]) < base; i++) value = value * base + digit(text[i]);
    return value;
}

#if defined(__aarch64__)

static uint64_t eight(const char *text) {
    uint64_t characters;
    __builtin_memcpy(&characters, text, sizeof characters);
    return characters;
}

/* Whether the system lists Cortex-A55s and no other CPUs: a load of 128 bits keeps them from issuing anything else. Code
 * for those is slower on none, but longer, so it is not for systems that have others too. */
static bool in_order(void) {
    char text[4096]; /* of eight CPUs and more */
    long size = edge_os_read_file("/proc/cpuinfo", text, sizeof text);
    bool found = false;
    for (long i = 0; i + 12 < size; i++) {
        if (eight(text + i) != eight("part\t: 0")) continue;
        if (eight(text + i + 4) != eight("\t: 0xd05")) return false; /* a number that only Arm uses */
        found = true;
    }
    return found && size < (long)sizeof text;
}

uint64_t edge_cpu_features(void) {
    static const struct {
        uint8_t word, bit;
        uint32_t feature;
    } known[] = {
        {0, 9, EDGE_CPU_FULLFP16}, /* FPHP; ASIMDHP always comes with it */
        {0, 20, EDGE_CPU_DOTPROD},  {0, 22, EDGE_CPU_SVE}, {1, 13, EDGE_CPU_I8MM}, {1, 14, EDGE_CPU_BF16},
    };
    uint64_t hwcap[2], features = 0;
    edge_os_hwcap(hwcap);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (hwcap[known[i].word] >> known[i].bit & 1) features |= known[i].feature;
    }
    return features | (in_order() ? EDGE_CPU_INORDER : 0);
}

#elif defined(__x86_64__)

enum { EAX, EBX, ECX, EDX };

static void cpuid(uint32_t leaf, uint32_t part, uint32_t out[4]) {
    __asm__("cpuid" : "=a"(out[EAX]), "=b"(out[EBX]), "=c"(out[ECX]), "=d"(out[EDX]) : "a"(leaf), "c"(part));
}

/* Register state that the operating system saves: wider registers than that must not be used. */
static uint32_t saved_state(void) {
    uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

uint64_t edge_cpu_features(void) {
    const uint32_t avx_state = 0x06, avx512_state = 0xe6;
    const uint32_t avx512_f_dq_bw_vl = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;
    uint32_t leaf1[4], leaf7[4]; /* in virtual machines each takes microseconds */
    cpuid(1, 0, leaf1);
    uint32_t state = leaf1[ECX] >> 27 & 1 ? saved_state() : 0;

    uint64_t features = 0;
    if ((state & avx_state) == avx_state && leaf1[ECX] >> 28 & 1) {
        cpuid(7, 0, leaf7); /* it exists: who saves such state reads its size in leaf 13 */
        if (leaf7[EBX] >> 5 & 1) features |= EDGE_CPU_AVX2;
        if (leaf1[ECX] >> 12 & 1) features |= EDGE_CPU_FMA;
        if (leaf1[ECX] >> 29 & 1) features |= EDGE_CPU_F16C;
        if ((state & avx512_state) == avx512_state && (leaf7[EBX] & avx512_f_dq_bw_vl) == avx512_f_dq_bw_vl) {
            features |= EDGE_CPU_AVX512;
            if (leaf7[ECX] >> 11 & 1) features |= EDGE_CPU_AVX512VNNI;
            if (leaf7[ECX] >> 1 & 1) features |= EDGE_CPU_AVX512VBMI;
        }
    }
    return features;
}

#elif defined(__riscv)

enum { HWCAP_V = 1 << ('V' - 'A') };

uint64_t edge_cpu_features(void) {
    uint64_t hwcap[2];
    edge_os_hwcap(hwcap);
    return hwcap[0] & HWCAP_V ? EDGE_CPU_RVV : 0;
}

#endif
