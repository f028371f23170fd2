/* AVX-512 VNNI: 16 outputs per register; four bytes of a pixel, broadcast, meet four weights of each output. */
#include "tiles.h"

#include <immintrin.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

/* The sums of a tile, in assembly: GCC 12 copies every accumulator of the intrinsic before it adds to it, and spills
 * some, which costs a third of the speed. Accumulators are zmm0 to zmm15, weights zmm28 to zmm31, the broadcast quad
 * zmm27. For each quad of the table: the address of its bytes for the first pixel in `from`, for the ninth in `far`. */
typedef void (*sum_tile)(const gs_packed *packed, const int8_t *weight, const uint8_t *source, ptrdiff_t step,
                         __m512i *sums);

#define ZERO(i) "vpxord %%zmm" #i ", %%zmm" #i ", %%zmm" #i "\n\t"
#define STORE(i) "vmovdqa64 %%zmm" #i ", 64*" #i "(%[from])\n\t"
#define ALL16(DO) \
    DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12) DO(13) DO(14) DO(15)
#define ALL8(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)
#define ALL4(DO) DO(0) DO(1) DO(2) DO(3)
#define ALL2(DO) DO(0) DO(1)
#define ALL1(DO) DO(0)

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

#define CLOBBERED \
    "cc", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", \
        "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31"

/* One accumulation: `all` names the accumulators, `weights` loads the weights of a quad, `pixels` adds their products. */
#define SUM_TILE(name, all, blocks, weights, pixels)                                                              \
    static void name(const gs_packed *packed, const int8_t *weight, const uint8_t *source, ptrdiff_t step,        \
                     __m512i *sums) {                                                                             \
        const int32_t *offset = packed->offset, *end = offset + packed->quads;                                    \
        const ptrdiff_t block = (ptrdiff_t)packed->block;                                                         \
        const uint8_t *from;                                                                                      \
        __asm__ volatile(all(ZERO) "1:\n\t"                                                                       \
                                   "movslq (%[offset]), %[from]\n\t"                                              \
                                   "add %[source], %[from]\n\t" weights pixels                                    \
                                   "add $4, %[offset]\n\t"                                                        \
                                   "add $64, %[weight]\n\t"                                                       \
                                   "cmp %[end], %[offset]\n\t"                                                    \
                                   "jb 1b\n\t" "mov %[sums], %[from]\n\t" all(STORE)                                                         \
                         : [offset] "+r"(offset), [weight] "+r"(weight), [from] "=&r"(from)                       \
                         : [source] "r"(source), [end] "rm"(end), [step] "r"(step), [step3] "r"(3 * step),        \
                           [step5] "r"(5 * step), [step7] "r"(7 * step), [block] "r"(block), [block3] "r"(3 * block), [sums] "m"(sums)     \
                         : CLOBBERED);                                                                            \
    }

SUM_TILE(sum_16x1, ALL16, 1, WEIGHT1,
         PIXEL1(P0, 0) PIXEL1(P1, 1) PIXEL1(P2, 2) PIXEL1(P3, 3) PIXEL1(P4, 4) PIXEL1(P5, 5) PIXEL1(P6, 6)
             PIXEL1(P7, 7) FAR PIXEL1(P0, 8) PIXEL1(P1, 9) PIXEL1(P2, 10) PIXEL1(P3, 11) PIXEL1(P4, 12)
                 PIXEL1(P5, 13) PIXEL1(P6, 14) PIXEL1(P7, 15))
SUM_TILE(sum_8x1, ALL8, 1, WEIGHT1,
         PIXEL1(P0, 0) PIXEL1(P1, 1) PIXEL1(P2, 2) PIXEL1(P3, 3) PIXEL1(P4, 4) PIXEL1(P5, 5) PIXEL1(P6, 6)
             PIXEL1(P7, 7))
SUM_TILE(sum_4x1, ALL4, 1, WEIGHT1, PIXEL1(P0, 0) PIXEL1(P1, 1) PIXEL1(P2, 2) PIXEL1(P3, 3))
SUM_TILE(sum_1x1, ALL1, 1, WEIGHT1, PIXEL1(P0, 0))
SUM_TILE(sum_8x2, ALL16, 2, WEIGHT2,
         PIXEL2(P0, 0, 1) PIXEL2(P1, 2, 3) PIXEL2(P2, 4, 5) PIXEL2(P3, 6, 7) PIXEL2(P4, 8, 9) PIXEL2(P5, 10, 11)
             PIXEL2(P6, 12, 13) PIXEL2(P7, 14, 15))
SUM_TILE(sum_4x2, ALL8, 2, WEIGHT2, PIXEL2(P0, 0, 1) PIXEL2(P1, 2, 3) PIXEL2(P2, 4, 5) PIXEL2(P3, 6, 7))
SUM_TILE(sum_1x2, ALL2, 2, WEIGHT2, PIXEL2(P0, 0, 1))
/* Four blocks: the third's weights are two blocks on, the fourth's three. */
SUM_TILE(sum_4x4, ALL16, 4, WEIGHT4,
         PIXEL4(P0, 0, 1, 2, 3) PIXEL4(P1, 4, 5, 6, 7) PIXEL4(P2, 8, 9, 10, 11) PIXEL4(P3, 12, 13, 14, 15))
SUM_TILE(sum_1x4, ALL4, 4, WEIGHT4, PIXEL4(P0, 0, 1, 2, 3))

INLINE __m512 scale(const gs_scaling *scaling, __m512 value) {
    value = _mm512_max_ps(value, _mm512_set1_ps(scaling->lowest));
    return _mm512_min_ps(value, _mm512_set1_ps(scaling->highest));
}

/* Bytes of one pixel from its 16 scaled values. */
INLINE __m128i to_bytes(const gs_scaling *scaling, __m512 value, const uint8_t *residual, __mmask16 mask) {
    value = scale(scaling, value);
    if (!residual)
        return _mm512_cvtepi32_epi8(
            _mm512_add_epi32(_mm512_cvtps_epi32(value), _mm512_set1_epi32(scaling->zero)));
    const __m512i other = _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(mask, residual));
    const __m512 centred = _mm512_cvtepi32_ps(_mm512_sub_epi32(other, _mm512_set1_epi32(scaling->residual_zero)));
    const __m512 own = _mm512_roundscale_ps(value, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m512 sum = _mm512_add_ps(_mm512_mul_ps(own, _mm512_set1_ps(scaling->own_scale)),
                               _mm512_mul_ps(centred, _mm512_set1_ps(scaling->residual_scale)));
    sum = _mm512_max_ps(sum, _mm512_set1_ps(scaling->sum_lowest));
    sum = _mm512_min_ps(sum, _mm512_set1_ps(scaling->sum_highest));
    return _mm512_cvtepi32_epi8(_mm512_add_epi32(_mm512_cvtps_epi32(sum), _mm512_set1_epi32(scaling->sum_zero)));
}

/* Writes what `count` pixels have summed up for 16 channels. */
INLINE void finish(const gs_tile_job *job, const __m512i *sums, int stride, int count, int32_t block) {
    const gs_layer *layer = job->layer;
    const int32_t first = block * GS_BLOCK, left = layer->outputs - first;
    const __mmask16 mask = (__mmask16)(left < GS_BLOCK ? (1u << left) - 1 : 0xffff);
    const __m512 multiplier = _mm512_loadu_ps(layer->multiplier + first);
    const __m512i bias = _mm512_loadu_si512(layer->bias + first);
    for (int p = 0; p < count; p++) {
        const __m512 value =
            _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_add_epi32(sums[p * stride], bias)), multiplier);
        if (job->logits) {
            _mm512_mask_storeu_ps(job->logits + p * job->logits_step + first, mask, value);
            continue;
        }
        const uint8_t *residual = job->residual ? job->residual + p * job->residual_step + first : NULL;
        _mm_mask_storeu_epi8(job->output + p * job->output_step + first, mask,
                             to_bytes(&layer->scaling, value, residual, mask));
    }
}

INLINE void run_tile(const gs_tile_job *job, sum_tile sum, const int count, const int blocks) {
    const gs_packed *packed = job->packed;
    const int8_t *weight = packed->weight + (size_t)job->block * packed->block;
    __attribute__((aligned(64))) __m512i sums[16], high[16];
    sum(packed, weight, job->source, job->source_step, sums);
    if (packed->planes > 1) {
        sum(packed, weight + packed->plane, job->source, job->source_step, high);
        for (int i = 0; i < count * blocks; i++)
            sums[i] = _mm512_add_epi32(sums[i], _mm512_slli_epi32(high[i], 7));
    }
    for (int b = 0; b < blocks; b++)
        finish(job, sums + b, blocks, count, job->block + b);
}

#define TILE(count, blocks)                                                    \
    static void tile_##count##x##blocks(const gs_tile_job *job) {              \
        run_tile(job, sum_##count##x##blocks, count, blocks);                  \
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
    layer->convolve = convolve;
    layer->kernel = "vnni";
    return gs_pack_dense(layer);
}
