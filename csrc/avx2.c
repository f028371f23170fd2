/* AVX2: 8 outputs per register, so two registers per block; four bytes of a pixel, broadcast, meet four weights of each
 * output. Exact, whatever the weights:
 *
 * - up to 64: vpmaddubsw adds two products in 16 bits that saturate, but 2 * 255 * 64 = 32640 fits;
 * - up to 16: several such sums fit, so they are added in 16 bits before they are widened;
 * - above 64: even and odd bytes are made 16 bits wide, weights too, and vpmaddwd adds two products in 32 bits.
 */
#include "depthwise.h"
#include "linear.h"

enum { MOST_BY_BYTES = 64, MOST_SMALL = 16 };

INLINE __m256i broadcast(const uint8_t *bytes) {
    int32_t four;
    memcpy(&four, bytes, sizeof four);
    return _mm256_set1_epi32(four);
}

INLINE void load_weights(const int8_t *weight, __m256i *w) {
    w[0] = _mm256_load_si256((const __m256i *)weight);
    w[1] = _mm256_load_si256((const __m256i *)weight + 1);
}

/* What follows adds to the sums of `count` pixels, two registers each, the products of one plane of weights. */

INLINE void sum_bytes(const gs_tile_job *job, const int8_t *weight, __m256i *sums, const int count) {
    const int32_t *offset = job->packed->offset, *end = offset + job->packed->quads;
    const __m256i ones = _mm256_set1_epi16(1);
    for (; offset < end; offset++, weight += GS_BLOCK * 4) {
        const uint8_t *from = job->source + *offset;
        __m256i w[2];
        load_weights(weight, w);
        UNROLLED
        for (int i = 0; i < 2 * count; i++) {
            const __m256i bytes = broadcast(from + i / 2 * job->source_step);
            sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(_mm256_maddubs_epi16(bytes, w[i % 2]), ones));
        }
    }
}

INLINE void sum_small(const gs_tile_job *job, const int8_t *weight, __m256i *sums, const int count) {
    const int32_t largest = job->packed->largest ? job->packed->largest : 1;
    const int32_t depth = 32767 / (2 * 255 * largest), quads = job->packed->quads;
    for (int32_t begin = 0; begin < quads; begin += depth) {
        const int32_t end = quads - begin < depth ? quads : begin + depth;
        __m256i some[8];
        UNROLLED
        for (int i = 0; i < 2 * count; i++)
            some[i] = _mm256_setzero_si256();
        for (int32_t quad = begin; quad < end; quad++, weight += GS_BLOCK * 4) {
            const uint8_t *from = job->source + job->packed->offset[quad];
            __m256i w[2];
            load_weights(weight, w);
            UNROLLED
            for (int i = 0; i < 2 * count; i++) {
                const __m256i bytes = broadcast(from + i / 2 * job->source_step);
                some[i] = _mm256_add_epi16(some[i], _mm256_maddubs_epi16(bytes, w[i % 2]));
            }
        }
        UNROLLED
        for (int i = 0; i < 2 * count; i++)
            sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(some[i], _mm256_set1_epi16(1)));
    }
}

INLINE void sum_wide(const gs_tile_job *job, const int8_t *weight, __m256i *sums, const int count) {
    const int32_t *offset = job->packed->offset, *end = offset + job->packed->quads;
    for (; offset < end; offset++, weight += GS_BLOCK * 4) {
        const uint8_t *from = job->source + *offset;
        __m256i w[2], even[2], odd[2];
        load_weights(weight, w);
        UNROLLED
        for (int b = 0; b < 2; b++) {
            even[b] = _mm256_srai_epi16(_mm256_slli_epi16(w[b], 8), 8);
            odd[b] = _mm256_srai_epi16(w[b], 8);
        }
        UNROLLED
        for (int i = 0; i < 2 * count; i++) {
            const __m256i bytes = broadcast(from + i / 2 * job->source_step);
            const __m256i at_even = _mm256_and_si256(bytes, _mm256_set1_epi16(255));
            sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(at_even, even[i % 2]));
            sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(_mm256_srli_epi16(bytes, 8), odd[i % 2]));
        }
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

typedef void (*sum_plane)(const gs_tile_job *job, const int8_t *weight, __m256i *sums, const int count);

INLINE void run_tile(const gs_tile_job *job, sum_plane sum, const int count) {
    const gs_packed *packed = job->packed;
    const int8_t *weight = packed->weight + (size_t)job->block * packed->block;
    const __m256i *bias = (const __m256i *)(job->layer->bias + job->block * GS_BLOCK);
    __m256i sums[8];
    UNROLLED
    for (int i = 0; i < 2 * count; i++)
        sums[i] = _mm256_setzero_si256();
    if (packed->planes > 1)
        sum(job, weight + packed->plane, sums, count);
    UNROLLED
    for (int i = 0; i < 2 * count; i++)
        sums[i] = _mm256_add_epi32(_mm256_slli_epi32(sums[i], 7), _mm256_load_si256(bias + i % 2));
    sum(job, weight, sums, count);
    write_tile(job, sums, count);
}

#define KERNEL(name)                                                                        \
    static void name##_four(const gs_tile_job *job) {                                       \
        run_tile(job, sum_##name, 4);                                                       \
    }                                                                                       \
    static void name##_one(const gs_tile_job *job) {                                        \
        run_tile(job, sum_##name, 1);                                                       \
    }                                                                                       \
    static const gs_tile_size name##_tiles[] = {{4, name##_four}, {1, name##_one}};         \
    static void convolve_##name(const gs_layer *layer, const gs_call *call) {               \
        gs_run_tiles(layer, call, 1, name##_tiles, name##_tiles);                           \
    }
KERNEL(bytes)
KERNEL(small)
KERNEL(wide)

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
