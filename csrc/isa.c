/* What the processor and the operating system support. */
#define _GNU_SOURCE /* syscall() */

#include "network.h"

#include <string.h>

#if defined(GS_HAVE_AMX) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

typedef struct {
    const char *name;
    gs_prepare prepare;
    int (*supported)(void);
} gs_isa;

static int always(void) {
    return 1;
}

#if defined(GS_HAVE_AVX2)
#include <cpuid.h>

/* Which registers the operating system saves (XCR0): instructions that the processor has are of no use otherwise. */
static uint64_t saved_registers(void) {
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & (1u << 27)))
        return 0;
    uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static int has_avx2(void) {
    unsigned a, b, c, d;
    const uint64_t saved = 0x6; /* xmm, ymm */
    return (saved_registers() & saved) == saved && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b >> 5 & 1);
}

static int has_vnni(void) {
    unsigned a, b, c, d;
    const uint64_t saved = 0xe6; /* and the three parts of zmm and its masks */
    if (!has_avx2() || (saved_registers() & saved) != saved || !__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return 0;
    const unsigned wanted = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31; /* AVX-512 F, DQ, BW, VL */
    return (b & wanted) == wanted && (c >> 11 & 1);
}

#if defined(GS_HAVE_AMX)
/* Linux keeps the tiles of a process only if it has asked for them; elsewhere nobody is known to keep them. */
static int has_amx(void) {
#if defined(__linux__)
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };
    unsigned a, b, c, d;
    if (!has_vnni() || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d >> 24 & 1) || !(d >> 25 & 1))
        return 0;
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
#else
    return 0;
#endif
}
#endif

static const gs_isa isas[] = {
#if defined(GS_HAVE_AMX)
    {"amx", gs_prepare_amx, has_amx},
#endif
#if defined(GS_HAVE_VNNI)
    {"vnni", gs_prepare_vnni, has_vnni},
#endif
#if defined(GS_HAVE_AVX2)
    {"avx2", gs_prepare_avx2, has_avx2},
#endif
    {"reference", gs_prepare_reference, always},
};
#else
static const gs_isa isas[] = {{"reference", gs_prepare_reference, always}};
#endif

enum { ISAS = sizeof isas / sizeof isas[0] };

int gs_find_isa(const char *name, const char **found, gs_prepare *prepare) {
    for (size_t i = 0; i < ISAS; i++) {
        if ((name && strcmp(name, isas[i].name) != 0) || !isas[i].supported())
            continue;
        *found = isas[i].name;
        *prepare = isas[i].prepare;
        return 0;
    }
    return -1;
}

const char *gs_best_isa(void) {
    const char *found = NULL;
    gs_prepare prepare;
    gs_find_isa(NULL, &found, &prepare);
    return found;
}

int32_t gs_has_isa(const char *isa) {
    const char *found;
    gs_prepare prepare;
    return isa && gs_find_isa(isa, &found, &prepare) == 0;
}
