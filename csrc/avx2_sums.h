/* The sums of AVX2 tiles, in assembly: GCC 12 interleaves the pixels of a tile until it runs out of registers, which
 * costs a third of the speed. Included by avx2.c only. Internal.
 *
 * Every function adds to `sums`, two registers (16 outputs) for each of its pixels, the products of the quads whose
 * offsets lie between `offset` and `end`. Accumulators are ymm0 to ymm7.
 */
#ifndef GREENSHIFT_AVX2_SUMS_H
#define GREENSHIFT_AVX2_SUMS_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

typedef void (*sum_tile)(const int32_t *offset, const int32_t *end, const int8_t *weight, const uint8_t *source,
                         ptrdiff_t step, __m256i *sums);

#define LOAD(sum) "vmovdqa 32*" #sum "(%[sums]), %%ymm" #sum "\n\t"
#define STORE(sum) "vmovdqa %%ymm" #sum ", 32*" #sum "(%[sums])\n\t"
#define SUMS_4(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)
#define SUMS_1(DO) DO(0) DO(1)

#define PIXELS_4(PIXEL)                                                              \
    PIXEL("(%[from])", 0, 1) PIXEL("(%[from],%[step])", 2, 3) PIXEL("(%[from],%[step],2)", 4, 5) \
        PIXEL("(%[from],%[step3])", 6, 7)
#define PIXELS_1(PIXEL) PIXEL("(%[from])", 0, 1)

/* Up to 64: the products of a quad, added in 32 bits. ymm15 holds ones. */
#define START_BYTES "vpcmpeqw %%ymm15, %%ymm15, %%ymm15\n\tvpsrlw $15, %%ymm15, %%ymm15\n\t"
#define WEIGHT_BYTES "vmovdqa (%[weight]), %%ymm8\n\tvmovdqa 32(%[weight]), %%ymm9\n\t"
#define ADD_BYTES(weight, bytes, sum)                             \
    "vpmaddubsw %%ymm" #weight ", %%ymm" #bytes ", %%ymm12\n\t"   \
    "vpmaddwd %%ymm15, %%ymm12, %%ymm12\n\t"                      \
    "vpaddd %%ymm12, %%ymm" #sum ", %%ymm" #sum "\n\t"
#define PIXEL_BYTES(address, a, b) \
    "vpbroadcastd " address ", %%ymm11\n\t" ADD_BYTES(8, 11, a) ADD_BYTES(9, 11, b)

/* Small: the same, but sums stay 16 bits wide. */
#define START_SMALL ""
#define WEIGHT_SMALL WEIGHT_BYTES
#define ADD_SMALL(weight, bytes, sum)                             \
    "vpmaddubsw %%ymm" #weight ", %%ymm" #bytes ", %%ymm12\n\t"   \
    "vpaddw %%ymm12, %%ymm" #sum ", %%ymm" #sum "\n\t"
#define PIXEL_SMALL(address, a, b) \
    "vpbroadcastd " address ", %%ymm11\n\t" ADD_SMALL(8, 11, a) ADD_SMALL(9, 11, b)

/* Any byte: places 0 and 2 of a quad, and 1 and 3, are made 16 bits wide. ymm15 masks the even ones. */
#define START_WIDE "vpcmpeqw %%ymm15, %%ymm15, %%ymm15\n\tvpsrlw $8, %%ymm15, %%ymm15\n\t"
#define SPLIT(even, odd)                                     \
    "vpsraw $8, %%ymm" #even ", %%ymm" #odd "\n\t"           \
    "vpsllw $8, %%ymm" #even ", %%ymm" #even "\n\t"          \
    "vpsraw $8, %%ymm" #even ", %%ymm" #even "\n\t"
#define WEIGHT_WIDE "vmovdqa (%[weight]), %%ymm8\n\tvmovdqa 32(%[weight]), %%ymm10\n\t" SPLIT(8, 9) SPLIT(10, 11)
#define ADD_WIDE(weight, words, sum)                              \
    "vpmaddwd %%ymm" #weight ", %%ymm" #words ", %%ymm14\n\t"     \
    "vpaddd %%ymm14, %%ymm" #sum ", %%ymm" #sum "\n\t"
#define PIXEL_WIDE(address, a, b)                                                         \
    "vpbroadcastd " address ", %%ymm12\n\tvpand %%ymm15, %%ymm12, %%ymm13\n\t"            \
    "vpsrlw $8, %%ymm12, %%ymm12\n\t" ADD_WIDE(8, 13, a) ADD_WIDE(9, 12, a)               \
    ADD_WIDE(10, 13, b) ADD_WIDE(11, 12, b)

#define SUM_TILE(name, NAME, count)                                                                                  \
    static void name##_##count(const int32_t *offset, const int32_t *end, const int8_t *weight,                      \
                               const uint8_t *source, ptrdiff_t step, __m256i *sums) {                               \
        const uint8_t *from;                                                                                         \
        __asm__ volatile(START_##NAME SUMS_##count(LOAD) "1:\n\t"                                                    \
                                                         "movslq (%[offset]), %[from]\n\t"                           \
                                                         "add %[source], %[from]\n\t" WEIGHT_##NAME                  \
                                                             PIXELS_##count(PIXEL_##NAME) "add $4, %[offset]\n\t"    \
                                                                                          "add $64, %[weight]\n\t"   \
                                                                                          "cmp %[end], %[offset]\n\t"\
                                                                                          "jb 1b\n\t" SUMS_##count(STORE) \
                         : [offset] "+r"(offset), [weight] "+r"(weight), [from] "=&r"(from)                          \
                         : [sums] "r"(sums), [source] "r"(source), [end] "rm"(end), [step] "r"(step),                \
                           [step3] "r"(3 * step)                                                                     \
                         : "cc", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",   \
                           "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");                            \
    }
SUM_TILE(sum_bytes, BYTES, 4)
SUM_TILE(sum_bytes, BYTES, 1)
SUM_TILE(sum_some, SMALL, 4)
SUM_TILE(sum_some, SMALL, 1)
SUM_TILE(sum_wide, WIDE, 4)
SUM_TILE(sum_wide, WIDE, 1)

#endif
