/* AVX-512 VNNI: 16 outputs per register; four bytes of a pixel, broadcast, meet four weights of each output. */
#include "depthwise.h"
#include "finish_avx512.h"
#include "linear.h"

/* The sums of a tile, in assembly: GCC 12 copies every accumulator of the intrinsic before it adds to it, and spills
 * some, which costs a third of the speed. Accumulators are zmm0 to zmm15, weights zmm28 to zmm31, the broadcast quad
 * zmm27. For each quad of the table, `from` is the address of its bytes for the first pixel, then for the ninth. */

#define BIAS(block, sum) "vmovdqa64 64*" #block "(%[from]), %%zmm" #sum "\n\t"
/* The accumulators of a tile, and which of its blocks each is for. */
#define SUMS_16x1(DO) \
    DO(0, 0) DO(0, 1) DO(0, 2) DO(0, 3) DO(0, 4) DO(0, 5) DO(0, 6) DO(0, 7) DO(0, 8) DO(0, 9) DO(0, 10) \
    DO(0, 11) DO(0, 12) DO(0, 13) DO(0, 14) DO(0, 15)
#define SUMS_8x1(DO) \
    DO(0, 0) DO(0, 1) DO(0, 2) DO(0, 3) DO(0, 4) DO(0, 5) DO(0, 6) DO(0, 7)
#define SUMS_4x1(DO) \
    DO(0, 0) DO(0, 1) DO(0, 2) DO(0, 3)
#define SUMS_1x1(DO) \
    DO(0, 0)
#define SUMS_8x2(DO) \
    DO(0, 0) DO(1, 1) DO(0, 2) DO(1, 3) DO(0, 4) DO(1, 5) DO(0, 6) DO(1, 7) DO(0, 8) DO(1, 9) DO(0, 10) \
    DO(1, 11) DO(0, 12) DO(1, 13) DO(0, 14) DO(1, 15)
#define SUMS_4x2(DO) \
    DO(0, 0) DO(1, 1) DO(0, 2) DO(1, 3) DO(0, 4) DO(1, 5) DO(0, 6) DO(1, 7)
#define SUMS_1x2(DO) \
    DO(0, 0) DO(1, 1)
#define SUMS_4x4(DO) \
    DO(0, 0) DO(1, 1) DO(2, 2) DO(3, 3) DO(0, 4) DO(1, 5) DO(2, 6) DO(3, 7) DO(0, 8) DO(1, 9) DO(2, 10) \
    DO(3, 11) DO(0, 12) DO(1, 13) DO(2, 14) DO(3, 15)
#define SUMS_1x4(DO) \
    DO(0, 0) DO(1, 1) DO(2, 2) DO(3, 3)

#define WEIGHT1 "vmovdqa64 (%[weight]), %%zmm28\n\t"
#define WEIGHT2 WEIGHT1 "vmovdqa64 (%[weight],%[block]), %%zmm29\n\t"
#define WEIGHT4 \
    WEIGHT2 "vmovdqa64 (%[weight],%[block],2), %%zmm30\n\t" "vmovdqa64 (%[weight],%[block3]), %%zmm31\n\t"

#define QUAD(address) "vpbroadcastd " address ", %%zmm27\n\t"
#define DOT(weight, sum) "vpdpbusd %%zmm" #weight ", %%zmm27, %%zmm" #sum "\n\t"
#define PIXEL1(address, a) QUAD(address) DOT(28, a)
#define PIXEL2(address, a, b) PIXEL1(address, a) DOT(29, b)
#define PIXEL4(address, a, b, c, d) PIXEL2(address, a, b) DOT(30, c) DOT(31, d)
#define P0 "(%[from])"
#define P1 "(%[from],%[step])"
#define P2 "(%[from],%[step],2)"
#define P3 "(%[from],%[step3])"
#define P4 "(%[from],%[step],4)"
#define P5 "(%[from],%[step5])"
#define P6 "(%[from],%[step3],2)"
#define P7 "(%[from],%[step7])"
#define FAR "lea (%[from],%[step],8), %[from]\n\t"

#define REGISTER(block, i) register __m512i sum##i __asm__("zmm" #i);
#define OUTPUT(block, i) "=&v"(sum##i),
#define KEEP(block, i) sums[i] = sum##i;

/* `weights` loads the weights of a quad, `pixels` adds their products. */
#define SUM_TILE(tile, weights, pixels)                                                                               \
    INLINE void sum_##tile(const gs_packed *packed, const int8_t *weight, const uint8_t *source, ptrdiff_t step,      \
                           const int32_t *bias, __m512i *sums) {                                                      \
        const int32_t *offset = packed->offset, *end = offset + packed->quads;                                        \
        const ptrdiff_t block = (ptrdiff_t)packed->block;                                                             \
        const uint8_t *from = (const uint8_t *)bias;                                                                  \
        SUMS_##tile(REGISTER)                                                                                         \
        __asm__ volatile(SUMS_##tile(BIAS)                                                                            \
                         "1:\n\t"                                                                                     \
                         "movslq (%[offset]), %[from]\n\t"                                                            \
                         "add %[source], %[from]\n\t" weights pixels                                                  \
                         "add $4, %[offset]\n\t"                                                                      \
                         "add $64, %[weight]\n\t"                                                                     \
                         "cmp %[end], %[offset]\n\t"                                                                  \
                         "jb 1b\n\t"                                                                                  \
                         : SUMS_##tile(OUTPUT) [offset] "+r"(offset), [weight] "+r"(weight), [from] "+r"(from)        \
                         : [source] "r"(source), [end] "rm"(end), [step] "r"(step), [step3] "r"(3 * step),            \
                           [step5] "r"(5 * step), [step7] "r"(7 * step), [block] "r"(block),                          \
                           [block3] "r"(3 * block)                                                                    \
                         : "cc", "memory", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31");                              \
        SUMS_##tile(KEEP)                                                                                             \
    }

SUM_TILE(16x1, WEIGHT1,
         PIXEL1(P0, 0) PIXEL1(P1, 1) PIXEL1(P2, 2) PIXEL1(P3, 3) PIXEL1(P4, 4) PIXEL1(P5, 5) PIXEL1(P6, 6)
             PIXEL1(P7, 7) FAR PIXEL1(P0, 8) PIXEL1(P1, 9) PIXEL1(P2, 10) PIXEL1(P3, 11) PIXEL1(P4, 12)
                 PIXEL1(P5, 13) PIXEL1(P6, 14) PIXEL1(P7, 15))
SUM_TILE(8x1, WEIGHT1,
         PIXEL1(P0, 0) PIXEL1(P1, 1) PIXEL1(P2, 2) PIXEL1(P3, 3) PIXEL1(P4, 4) PIXEL1(P5, 5) PIXEL1(P6, 6)
             PIXEL1(P7, 7))
SUM_TILE(4x1, WEIGHT1, PIXEL1(P0, 0) PIXEL1(P1, 1) PIXEL1(P2, 2) PIXEL1(P3, 3))
SUM_TILE(1x1, WEIGHT1, PIXEL1(P0, 0))
SUM_TILE(8x2, WEIGHT2,
         PIXEL2(P0, 0, 1) PIXEL2(P1, 2, 3) PIXEL2(P2, 4, 5) PIXEL2(P3, 6, 7) PIXEL2(P4, 8, 9) PIXEL2(P5, 10, 11)
             PIXEL2(P6, 12, 13) PIXEL2(P7, 14, 15))
SUM_TILE(4x2, WEIGHT2, PIXEL2(P0, 0, 1) PIXEL2(P1, 2, 3) PIXEL2(P2, 4, 5) PIXEL2(P3, 6, 7))
SUM_TILE(1x2, WEIGHT2, PIXEL2(P0, 0, 1))
/* Four blocks: the third's weights are two blocks on, the fourth's three. */
SUM_TILE(4x4, WEIGHT4,
         PIXEL4(P0, 0, 1, 2, 3) PIXEL4(P1, 4, 5, 6, 7) PIXEL4(P2, 8, 9, 10, 11) PIXEL4(P3, 12, 13, 14, 15))
SUM_TILE(1x4, WEIGHT4, PIXEL4(P0, 0, 1, 2, 3))

static const int32_t none[4 * GS_BLOCK] __attribute__((aligned(GS_ALIGN)));

/* Adds the plane of weights that count 128. */
INLINE void add_high(__m512i *sums, const __m512i *high, const int count) {
    UNROLLED
    for (int i = 0; i < count; i++)
        sums[i] = _mm512_add_epi32(sums[i], _mm512_slli_epi32(high[i], 7));
}

INLINE void finish(const gs_tile_job *start, const __m512i *sums, const int count, const int blocks) {
    UNROLLED
    for (int b = 0; b < blocks; b++) {
        const int32_t first = (start->block + b) * GS_BLOCK;
        const gs_finish shared = find_finish(start->layer, start->residual != NULL, first);
        gs_tile_job job = *start;
        finish_pixels(&shared, &job, sums + b, blocks, count, first);
    }
}

#define TILE(count, blocks)                                                                                      \
    static void tile_##count##x##blocks(const gs_tile_job *job) {                                                \
        const gs_packed *packed = job->packed;                                                                   \
        const int8_t *weight = packed->weight + (size_t)job->block * packed->block;                              \
        const int32_t *bias = job->layer->bias + job->block * GS_BLOCK;                                          \
        __m512i sums[16], high[16];                                                                              \
        sum_##count##x##blocks(packed, weight, job->source, job->source_step, bias, sums);                       \
        if (packed->planes > 1) {                                                                                \
            sum_##count##x##blocks(packed, weight + packed->plane, job->source, job->source_step, none, high);   \
            add_high(sums, high, count * blocks);                                                                \
        }                                                                                                        \
        finish(job, sums, count, blocks);                                                                        \
    }
TILE(16, 1)
TILE(8, 1)
TILE(4, 1)
TILE(1, 1)
TILE(8, 2)
TILE(4, 2)
TILE(1, 2)
TILE(4, 4)
TILE(1, 4)

static const gs_tile_size singles[] = {{16, tile_16x1}, {8, tile_8x1}, {4, tile_4x1}, {1, tile_1x1}};
static const gs_tile_size pairs[] = {{8, tile_8x2}, {4, tile_4x2}, {1, tile_1x2}};
static const gs_tile_size fours[] = {{4, tile_4x4}, {1, tile_1x4}};

static void convolve(const gs_layer *layer, const gs_call *call) {
    const gs_packed *packed = layer->packed;
    if (layer->groups > 1 || packed->blocks == 1)
        gs_run_tiles(layer, call, 1, singles, singles);
    else if (packed->blocks < 4 || gs_line_pixels(layer, call->images) >= 8)
        gs_run_tiles(layer, call, 2, pairs, singles);
    else
        gs_run_tiles(layer, call, 4, fours, singles);
}

int gs_prepare_vnni(gs_layer *layer) {
    const int from_codes = gs_prepare_linear_vnni(layer);
    if (from_codes)
        return from_codes < 0 ? -1 : 0;
    const int depthwise = gs_is_depthwise(layer);
    layer->convolve = depthwise ? convolve_depthwise : convolve;
    layer->kernel = depthwise ? "vnni depthwise" : "vnni";
    return depthwise ? gs_pack_depthwise(layer) : gs_pack_dense(layer);
}
