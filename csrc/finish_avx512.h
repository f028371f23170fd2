/* The sums of a block of outputs become bytes with AVX-512, four pixels at a time. Included by the files that are compiled
 * for it. Internal. */
#ifndef GREENSHIFT_FINISH_AVX512_H
#define GREENSHIFT_FINISH_AVX512_H

#include "requantise.h"
#include "tiles.h"

/* What the pixels of a block share. Read once, because stores of bytes might change what lies in memory. */
typedef struct {
    __m512 multiplier, lowest, highest, own_scale, residual_scale, residual_zero, sum_highest;
    __m512i zero, lowest_byte;
    __mmask16 mask; /* of the outputs that there are */
} gs_finish;

INLINE gs_finish find_finish(const gs_layer *layer, const int added, int32_t first) {
    const gs_scaling *scaling = &layer->scaling;
    const int zero = added ? scaling->sum_zero : scaling->zero;
    const float lowest = added ? scaling->sum_lowest : scaling->lowest;
    const int32_t left = layer->outputs - first;
    return (gs_finish){
        .multiplier = _mm512_load_ps(layer->multiplier + first),
        .lowest = _mm512_set1_ps(scaling->lowest),
        .highest = _mm512_set1_ps(scaling->highest),
        .own_scale = _mm512_set1_ps(scaling->own_scale),
        .residual_scale = _mm512_set1_ps(scaling->residual_scale),
        .residual_zero = _mm512_set1_ps((float)scaling->residual_zero * scaling->residual_scale),
        .sum_highest = _mm512_set1_ps(scaling->sum_highest),
        .zero = _mm512_set1_epi16((short)zero),
        .lowest_byte = _mm512_set1_epi8((char)((int)lowest + zero)),
        .mask = (__mmask16)(left < GS_BLOCK ? (1u << left) - 1 : 0xffff),
    };
}

/* The whole numbers that bytes are made of, less their zero; what lies below the lowest byte is cut off later. */
INLINE __m512i to_sixteen(const gs_finish *f, __m512i sums, const uint8_t *residual) {
    __m512 value = _mm512_min_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(sums), f->multiplier), f->highest);
    if (!residual)
        return _mm512_cvtps_epi32(value);
    value = _mm512_max_ps(value, f->lowest);
    const __m512 own = _mm512_roundscale_ps(value, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const __m512 bytes = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)residual)));
    /* Only the last addition rounds: the difference and all products are exact. */
    const __m512 other = _mm512_fmsub_ps(bytes, f->residual_scale, f->residual_zero);
    const __m512 sum = _mm512_fmadd_ps(own, f->own_scale, other);
    return _mm512_cvtps_epi32(_mm512_min_ps(sum, f->sum_highest));
}

/* 16 bytes of each of four pixels, saturating at 0, and then no less than the lowest. */
INLINE __m512i pack_four(const gs_finish *f, const __m512i *integers) {
    /* Packing leaves channels 4i..4i+3 of the four pixels in part i of the register. */
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i a = _mm512_add_epi16(_mm512_packs_epi32(integers[0], integers[1]), f->zero);
    const __m512i b = _mm512_add_epi16(_mm512_packs_epi32(integers[2], integers[3]), f->zero);
    return _mm512_max_epu8(_mm512_permutexvar_epi32(order, _mm512_packus_epi16(a, b)), f->lowest_byte);
}

/* Stores with a mask are slow on some processors, so full blocks go without. */
INLINE void store(uint8_t *to, __m128i bytes, __mmask16 mask) {
    if (mask == 0xffff)
        _mm_storeu_si128((__m128i *)to, bytes);
    else
        _mm_mask_storeu_epi8(to, mask, bytes);
}

/* Writes what four pixels, or `count` of them, have summed up for 16 channels. */
INLINE void write_bytes(const gs_finish *f, const gs_tile_job *job, const __m512i *sums, const int stride,
                        const int count, int32_t first) {
    __m512i integers[4] = {_mm512_setzero_si512()};
    UNROLLED
    for (int p = 0; p < count; p++)
        integers[p] = to_sixteen(f, sums[p * stride], job->residual ? job->residual + p * job->residual_step + first : NULL);
    const __m512i bytes = pack_four(f, integers);
    uint8_t *to = job->output + first;
    store(to, _mm512_castsi512_si128(bytes), f->mask);
    if (count < 4)
        return;
    store(to + job->output_step, _mm512_extracti32x4_epi32(bytes, 1), f->mask);
    store(to + job->output_step * 2, _mm512_extracti32x4_epi32(bytes, 2), f->mask);
    store(to + job->output_step * 3, _mm512_extracti32x4_epi32(bytes, 3), f->mask);
}

/* Writes what `count` pixels, a multiple of 4 or 1, have summed up for a block, and moves the job behind them. */
INLINE void finish_pixels(const gs_finish *f, gs_tile_job *job, const __m512i *sums, const int stride, const int count,
                          int32_t first) {
    if (job->logits) {
        UNROLLED
        for (int p = 0; p < count; p++)
            _mm512_mask_storeu_ps(job->logits + p * job->logits_step + first, f->mask,
                                  _mm512_mul_ps(_mm512_cvtepi32_ps(sums[p * stride]), f->multiplier));
        job->logits += count * job->logits_step;
        return;
    }
    UNROLLED
    for (int p = 0; p < count; p += 4) {
        write_bytes(f, job, sums + p * stride, stride, count < 4 ? count : 4, first);
        job->output += (count < 4 ? count : 4) * job->output_step;
        if (job->residual)
            job->residual += (count < 4 ? count : 4) * job->residual_step;
    }
}

#endif
