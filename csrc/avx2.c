/* AVX2: 8 outputs per register, so two registers per block; four bytes of a pixel, broadcast, meet four weights of each
 * output. Exact, whatever the weights:
 *
 * - up to 64: vpmaddubsw adds two products in 16 bits that saturate, but 2 * 255 * 64 = 32640 fits;
 * - up to 8: several such sums fit, so they are added in 16 bits before they are widened;
 * - above 64: even and odd bytes are made 16 bits wide, weights too, and vpmaddwd adds two products in 32 bits.
 */
#include "avx2_sums.h"
#include "depthwise.h"
#include "linear.h"

enum { MOST_BY_BYTES = 64, MOST_SMALL = 8 };

/* Adds one plane of products to the sums of a tile. `largest` says how often sums of two products fit in 16 bits. */
INLINE void sum_small(const gs_packed *packed, const int8_t *weight, const uint8_t *source, ptrdiff_t step,
                      __m256i *sums, const int count) {
    const int32_t depth = 32767 / (2 * 255 * (packed->largest ? packed->largest : 1));
    for (int32_t begin = 0; begin < packed->quads; begin += depth) {
        const int32_t end = packed->quads - begin < depth ? packed->quads : begin + depth;
        __m256i some[8];
        for (int i = 0; i < 2 * count; i++)
            some[i] = _mm256_setzero_si256();
        (count == 4 ? sum_some_4 : sum_some_1)(packed->offset + begin, packed->offset + end,
                                               weight + (ptrdiff_t)begin * GS_BLOCK * 4, source, step, some);
        for (int i = 0; i < 2 * count; i++)
            sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(some[i], _mm256_set1_epi16(1)));
    }
}

INLINE __m256 scaled(const gs_layer *layer, __m256i sum, int32_t channel) {
    return _mm256_mul_ps(_mm256_cvtepi32_ps(sum), _mm256_load_ps(layer->multiplier + channel));
}

/* Two pixels, or one. */
INLINE void write_bytes(const gs_tile_job *job, int32_t pixel, const __m256i *sums, int32_t left, const int count) {
    /* Packing leaves the eight channels of a register in both halves. */
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    const gs_layer *layer = job->layer;
    const int32_t first = job->block * GS_BLOCK;
    __m256i integers[4];
    integers[2] = integers[3] = _mm256_setzero_si256();
    UNROLLED
    for (int i = 0; i < 2 * count; i++) {
        const int32_t channel = first + i % 2 * 8;
        const __m256 value = scaled(layer, sums[i], channel);
        integers[i] = job->residual
                          ? to_sum_integers(&layer->scaling, value,
                                            load_eight_bytes(job->residual + (pixel + i / 2) * job->residual_step + channel))
                          : to_integers(&layer->scaling, value);
    }
    const __m256i packed = pack_bytes(&layer->scaling, job->residual != NULL, integers);
    const __m256i bytes = _mm256_permutevar8x32_epi32(packed, order);
    uint8_t *to = job->output + pixel * job->output_step + first;
    store_bytes(to, _mm256_castsi256_si128(bytes), left);
    if (count == 2)
        store_bytes(to + job->output_step, _mm256_extracti128_si256(bytes, 1), left);
}

INLINE void write_tile(const gs_tile_job *job, const __m256i *sums, const int count) {
    const int32_t first = job->block * GS_BLOCK, left = job->layer->outputs - first;
    if (!job->logits) {
        UNROLLED
        for (int p = 0; p < count; p += 2)
            write_bytes(job, p, sums + 2 * p, left, count < 2 ? 1 : 2);
        return;
    }
    for (int i = 0; i < 2 * count; i++)
        store_floats(job->logits + i / 2 * job->logits_step + first + i % 2 * 8,
                     scaled(job->layer, sums[i], first + i % 2 * 8), left - i % 2 * 8);
}

INLINE void add_plane(const gs_tile_job *job, sum_tile sum, int32_t plane, __m256i *sums, const int count) {
    const gs_packed *packed = job->packed;
    const int8_t *weight =
        packed->weight + (size_t)job->block * packed->block + (size_t)plane * packed->plane;
    if (sum)
        sum(packed->offset, packed->offset + packed->quads, weight, job->source, job->source_step, sums);
    else
        sum_small(packed, weight, job->source, job->source_step, sums, count);
}

/* Without `sum`, weights are small. */
INLINE void run_tile(const gs_tile_job *job, sum_tile sum, const int count) {
    const __m256i *bias = (const __m256i *)(job->layer->bias + job->block * GS_BLOCK);
    const int planes = job->packed->planes;
    __m256i sums[8];
    for (int i = 0; i < 2 * count; i++)
        sums[i] = planes > 1 ? _mm256_setzero_si256() : _mm256_load_si256(bias + i % 2);
    if (planes > 1) {
        add_plane(job, sum, 1, sums, count);
        for (int i = 0; i < 2 * count; i++)
            sums[i] = _mm256_add_epi32(_mm256_slli_epi32(sums[i], 7), _mm256_load_si256(bias + i % 2));
    }
    add_plane(job, sum, 0, sums, count);
    write_tile(job, sums, count);
}

#define KERNEL(name, four, one)                                                                 \
    static void name##_four(const gs_tile_job *job) {                                           \
        run_tile(job, four, 4);                                                                 \
    }                                                                                           \
    static void name##_one(const gs_tile_job *job) {                                            \
        run_tile(job, one, 1);                                                                  \
    }                                                                                           \
    static const gs_tile_size name##_tiles[] = {{4, name##_four}, {1, name##_one}};             \
    static void convolve_##name(const gs_layer *layer, const gs_call *call) {                   \
        gs_run_tiles(layer, call, 1, name##_tiles, name##_tiles);                               \
    }
KERNEL(bytes, sum_bytes_4, sum_bytes_1)
KERNEL(small, NULL, NULL)
KERNEL(wide, sum_wide_4, sum_wide_1)

int gs_prepare_avx2(gs_layer *layer) {
    const int from_codes = gs_prepare_linear_avx2(layer);
    if (from_codes)
        return from_codes < 0 ? -1 : 0;
    const int depthwise = gs_is_depthwise(layer);
    if (depthwise ? gs_pack_depthwise(layer) : gs_pack_dense(layer))
        return -1;
    const int32_t largest = ((const gs_packed *)layer->packed)->largest;
    if (depthwise) {
        layer->convolve = largest > MOST_BY_BYTES ? convolve_wide_depthwise : convolve_depthwise;
        layer->kernel = largest > MOST_BY_BYTES ? "avx2 depthwise, 16 bits" : "avx2 depthwise";
    } else if (largest > MOST_BY_BYTES) {
        layer->convolve = convolve_wide;
        layer->kernel = "avx2, 16 bits";
    } else {
        layer->convolve = largest > MOST_SMALL ? convolve_bytes : convolve_small;
        layer->kernel = largest > MOST_SMALL ? "avx2" : "avx2, added in 16 bits";
    }
    return 0;
}
