/* Depthwise convolutions with AVX2 or, where it is there, VNNI: 32 channels of four taps at a time, turned so that the
 * four bytes of a channel are side by side. Included by the files compiled for either. Internal. */
#ifndef GREENSHIFT_DEPTHWISE_H
#define GREENSHIFT_DEPTHWISE_H

#include "requantise.h"
#include "tiles.h"

/* bytes[i]: channels 4i..4i+3 and, in the upper half, 16+4i..16+4i+3. */
INLINE void turn_taps(const uint8_t *source, const int32_t *offset, __m256i *bytes) {
    const __m256i a = _mm256_loadu_si256((const __m256i *)(source + offset[0]));
    const __m256i b = _mm256_loadu_si256((const __m256i *)(source + offset[1]));
    const __m256i c = _mm256_loadu_si256((const __m256i *)(source + offset[2]));
    const __m256i d = _mm256_loadu_si256((const __m256i *)(source + offset[3]));
    const __m256i ab_low = _mm256_unpacklo_epi8(a, b), ab_high = _mm256_unpackhi_epi8(a, b);
    const __m256i cd_low = _mm256_unpacklo_epi8(c, d), cd_high = _mm256_unpackhi_epi8(c, d);
    bytes[0] = _mm256_unpacklo_epi16(ab_low, cd_low);
    bytes[1] = _mm256_unpackhi_epi16(ab_low, cd_low);
    bytes[2] = _mm256_unpacklo_epi16(ab_high, cd_high);
    bytes[3] = _mm256_unpackhi_epi16(ab_high, cd_high);
}

/* Adds the products of four bytes each; `wide` if two of them may exceed 16 bits. */
INLINE __m256i add_quads(__m256i sum, __m256i bytes, __m256i weight, const int wide) {
#if defined(__AVX512VNNI__)
    (void)wide;
    return _mm256_dpbusd_epi32(sum, bytes, weight);
#else
    if (!wide)
        return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(bytes, weight), _mm256_set1_epi16(1)));
    const __m256i even = _mm256_srai_epi16(_mm256_slli_epi16(weight, 8), 8), odd = _mm256_srai_epi16(weight, 8);
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_and_si256(bytes, _mm256_set1_epi16(255)), even));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_srli_epi16(bytes, 8), odd));
#endif
}

INLINE void sum_depthwise(const gs_packed *packed, const uint8_t *source, const int8_t *weight, __m256i *sums,
                          const int wide) {
    for (int32_t quad = 0; quad < packed->quads; quad++, weight += 4 * 32) {
        __m256i bytes[4];
        turn_taps(source, packed->offset + quad * 4, bytes);
        UNROLLED
        for (int i = 0; i < 4; i++)
            sums[i] = add_quads(sums[i], bytes[i], _mm256_load_si256((const __m256i *)weight + i), wide);
    }
}

/* Two groups of four 32-bit numbers, 16 apart, as the sums are arranged. */
INLINE __m256i load_turned(const void *numbers, int i) {
    const __m128i *low = (const __m128i *)numbers + i;
    return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_load_si128(low)), _mm_load_si128(low + 4), 1);
}

INLINE __m256i load_turned_bytes(const uint8_t *bytes, int i) {
    int32_t low, high;
    memcpy(&low, bytes + 4 * i, sizeof low);
    memcpy(&high, bytes + 16 + 4 * i, sizeof high);
    return _mm256_cvtepu8_epi32(_mm_insert_epi32(_mm_cvtsi32_si128(low), high, 1));
}

INLINE void write_depthwise(const gs_tile_job *job, int32_t pixel, const __m256i *sums) {
    const gs_layer *layer = job->layer;
    const int32_t first = job->block * GS_DEPTHWISE_BLOCK, left = layer->outputs - first;
    const uint8_t *residual = job->residual ? job->residual + pixel * job->residual_step + first : NULL;
    __m256i integers[4];
    UNROLLED
    for (int i = 0; i < 4; i++) {
        const __m256 value = _mm256_mul_ps(_mm256_cvtepi32_ps(sums[i]),
                                           _mm256_castsi256_ps(load_turned(layer->multiplier + first, i)));
        if (job->logits) {
            float *to = job->logits + pixel * job->logits_step + first + 4 * i;
            store_floats(to, value, left - 4 * i < 4 ? left - 4 * i : 4);
            store_floats(to + 16, _mm256_permute2f128_ps(value, value, 1), left - 16 - 4 * i < 4 ? left - 16 - 4 * i : 4);
        }
        integers[i] = residual ? to_sum_integers(&layer->scaling, value, load_turned_bytes(residual, i))
                               : to_integers(&layer->scaling, value);
    }
    if (job->logits)
        return;
    const __m256i bytes = pack_bytes(&layer->scaling, residual != NULL, integers);
    uint8_t *to = job->output + pixel * job->output_step + first;
    store_bytes(to, _mm256_castsi256_si128(bytes), left);
    store_bytes(to + 16, _mm256_extracti128_si256(bytes, 1), left - 16);
}

INLINE void run_depthwise(const gs_tile_job *job, int32_t count, const int wide) {
    const gs_packed *packed = job->packed;
    const int8_t *weight = packed->weight + (size_t)job->block * packed->block;
    const int32_t *bias = job->layer->bias + job->block * GS_DEPTHWISE_BLOCK;
    for (int32_t pixel = 0; pixel < count; pixel++) {
        const uint8_t *source = job->source + pixel * job->source_step;
        __m256i sums[4] = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(),
                           _mm256_setzero_si256()};
        if (packed->planes > 1)
            sum_depthwise(packed, source, weight + packed->plane, sums, wide);
        UNROLLED
        for (int i = 0; i < 4; i++)
            sums[i] = _mm256_add_epi32(_mm256_slli_epi32(sums[i], 7), load_turned(bias, i));
        sum_depthwise(packed, source, weight, sums, wide);
        write_depthwise(job, pixel, sums);
    }
}

static void depthwise_eight(const gs_tile_job *job) {
    run_depthwise(job, 8, 0);
}

static void depthwise_one(const gs_tile_job *job) {
    run_depthwise(job, 1, 0);
}

static const gs_tile_size depthwise_tiles[] = {{8, depthwise_eight}, {1, depthwise_one}};

static void convolve_depthwise(const gs_layer *layer, const gs_call *call) {
    gs_run_tiles(layer, call, 1, depthwise_tiles, depthwise_tiles);
}

#if !defined(__AVX512VNNI__)
static void depthwise_eight_wide(const gs_tile_job *job) {
    run_depthwise(job, 8, 1);
}

static void depthwise_one_wide(const gs_tile_job *job) {
    run_depthwise(job, 1, 1);
}

static const gs_tile_size wide_depthwise_tiles[] = {{8, depthwise_eight_wide}, {1, depthwise_one_wide}};

static void convolve_wide_depthwise(const gs_layer *layer, const gs_call *call) {
    gs_run_tiles(layer, call, 1, wide_depthwise_tiles, wide_depthwise_tiles);
}
#endif

#endif
