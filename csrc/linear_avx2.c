/* Large linear layers from 4-bit codes: a shuffle looks the weights up, vpmaddubsw multiplies. With weights of at most
 * 64 its pairs of products are at most 2 * 255 * 64 = 32640, so it never saturates. */
#include "finish.h"
#include "linear.h"
#include "requantise.h"

INLINE __m256i four(const uint8_t *from) {
    int32_t bytes;
    memcpy(&bytes, from, sizeof bytes);
    return _mm256_set1_epi32(bytes);
}

INLINE __m256i add_products(__m256i sum, __m256i inputs, __m256i weights) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(inputs, weights), _mm256_set1_epi16(1)));
}

/* Sums of one block of outputs for `images` images, a constant where this is inlined. */
INLINE void sum_block(const gs_layer *layer, const uint8_t *code, const uint8_t *source, const int images,
                      int32_t sums[][GS_BLOCK]) {
    const gs_codes *codes = layer->packed;
    const __m256i values = _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)codes->values));
    const __m256i half = _mm256_set1_epi8(15);
    __m256i sum[GS_LINEAR_TOGETHER][2];
    UNROLLED
    for (int i = 0; i < images; i++)
        sum[i][0] = sum[i][1] = _mm256_setzero_si256();
    for (int32_t v = 0; v < layer->kernel_h; v++) {
        const uint8_t *from = source + (ptrdiff_t)v * layer->source.row;
        for (int32_t s = 0; s < codes->steps; s++, code += GS_ALIGN, from += GS_LINEAR_STEP) {
            UNROLLED
            for (int eight = 0; eight < 2; eight++) {
                const __m256i both = _mm256_load_si256((const __m256i *)code + eight);
                const __m256i low = _mm256_shuffle_epi8(values, _mm256_and_si256(both, half));
                const __m256i high =
                    _mm256_shuffle_epi8(values, _mm256_and_si256(_mm256_srli_epi16(both, 4), half));
                UNROLLED
                for (int i = 0; i < images; i++) {
                    const uint8_t *image = from + i * layer->source.image;
                    sum[i][eight] = add_products(sum[i][eight], four(image), low);
                    sum[i][eight] = add_products(sum[i][eight], four(image + 4), high);
                }
            }
        }
    }
    UNROLLED
    for (int i = 0; i < images; i++)
        UNROLLED
        for (int eight = 0; eight < 2; eight++)
            _mm256_storeu_si256((__m256i *)sums[i] + eight, sum[i][eight]);
}

#define GS_SUM_BLOCK sum_block
#include "linear_loop.h"

int gs_prepare_linear_avx2(gs_layer *layer) {
    layer->convolve = convolve;
    return gs_pack_codes(layer, 64);
}
