/* AVX-512 VNNI: 16 outputs per register; four bytes of a pixel, broadcast, meet four weights of each output. */
#include "linear.h"
#include "tiles.h"

#include <immintrin.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

INLINE __m512i broadcast(const uint8_t *bytes) {
    int32_t four;
    memcpy(&four, bytes, sizeof four);
    return _mm512_set1_epi32(four);
}

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
#pragma GCC unroll 16
    for (int p = 0; p < count; p++) {
        const __m512 value = _mm512_mul_ps(_mm512_cvtepi32_ps(sums[p * stride]), multiplier);
        if (job->logits) {
            _mm512_mask_storeu_ps(job->logits + p * job->logits_step + first, mask, value);
            continue;
        }
        const uint8_t *residual = job->residual ? job->residual + p * job->residual_step + first : NULL;
        _mm_mask_storeu_epi8(job->output + p * job->output_step + first, mask,
                             to_bytes(&layer->scaling, value, residual, mask));
    }
}

INLINE void add_plane(const gs_tile_job *job, __m512i *sums, const int count, const int blocks, int32_t plane) {
    const gs_packed *packed = job->packed;
    const int8_t *weight =
        packed->weight + (size_t)plane * packed->plane + (size_t)job->block * packed->block;
    const ptrdiff_t step = job->source_step;
    for (int32_t tap = 0; tap < packed->taps; tap++) {
        const uint8_t *from = job->source + packed->offset[tap];
        for (int32_t quad = 0; quad < packed->quads; quad++, from += 4, weight += GS_BLOCK * 4) {
            __m512i w[4];
#pragma GCC unroll 4
            for (int b = 0; b < blocks; b++)
                w[b] = _mm512_load_si512(weight + (size_t)b * packed->block);
#pragma GCC unroll 16
            for (int p = 0; p < count; p++) {
                const __m512i bytes = broadcast(from + p * step);
#pragma GCC unroll 4
                for (int b = 0; b < blocks; b++)
                    sums[p * blocks + b] = _mm512_dpbusd_epi32(sums[p * blocks + b], bytes, w[b]);
            }
        }
    }
}

INLINE void run_tile(const gs_tile_job *job, const int count, const int blocks) {
    __m512i sums[16];
    const int32_t *bias = job->layer->bias + job->block * GS_BLOCK;
#pragma GCC unroll 16
    for (int i = 0; i < count * blocks; i++)
        sums[i] = _mm512_setzero_si512();
    if (job->packed->planes > 1) {
        add_plane(job, sums, count, blocks, 1);
#pragma GCC unroll 16
        for (int i = 0; i < count * blocks; i++)
            sums[i] = _mm512_slli_epi32(sums[i], 7);
    }
#pragma GCC unroll 16
    for (int i = 0; i < count * blocks; i++)
        sums[i] = _mm512_add_epi32(sums[i], _mm512_loadu_si512(bias + i % blocks * GS_BLOCK));
    add_plane(job, sums, count, blocks, 0);
#pragma GCC unroll 4
    for (int b = 0; b < blocks; b++)
        finish(job, sums + b, blocks, count, job->block + b);
}

#define TILE(count, blocks)                                           \
    static void tile_##count##x##blocks(const gs_tile_job *job) {     \
        run_tile(job, count, blocks);                                 \
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
    layer->convolve = convolve;
    layer->kernel = "vnni";
    return gs_pack_dense(layer);
}
