/* Large linear layers from 4-bit codes: a shuffle looks the weights up, vpdpbusd multiplies and adds. */
#include "finish.h"
#include "linear.h"
#include "requantise.h"

/* Four inputs of one image for all outputs of the block. */
INLINE __m512i four(const uint8_t *from) {
    int32_t bytes;
    memcpy(&bytes, from, sizeof bytes);
    return _mm512_set1_epi32(bytes);
}

/* sum += inputs times weights. The intrinsic is not used because GCC 12 copies every accumulator before it adds to it. */
INLINE void add_products(__m512i *sum, __m512i inputs, __m512i weights) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(*sum) : "v"(inputs), "v"(weights));
}

/* Sums of one block of outputs for `images` images, a constant where this is inlined. Two steps at a time: four sums for
 * each image do not wait for each other. */
INLINE void sum_block(const gs_layer *layer, const uint8_t *code, const uint8_t *source, const int images,
                      int32_t sums[][GS_BLOCK]) {
    const gs_codes *codes = layer->packed;
    const __m512i values = _mm512_broadcast_i32x4(_mm_load_si128((const __m128i *)codes->values));
    const __m512i half = _mm512_set1_epi8(15);
    const ptrdiff_t next = layer->source.image;
    __m512i sum[GS_LINEAR_TOGETHER][4];
    UNROLLED
    for (int i = 0; i < images; i++)
        sum[i][0] = sum[i][1] = sum[i][2] = sum[i][3] = _mm512_setzero_si512();
    for (int32_t v = 0; v < layer->kernel_h; v++) {
        const uint8_t *from = source + (ptrdiff_t)v * layer->source.row;
        for (int32_t s = 0; s < codes->steps; s += 2) {
            UNROLLED
            for (int t = 0; t < 2; t++, code += GS_ALIGN, from += GS_LINEAR_STEP) {
                const __m512i both = _mm512_load_si512(code);
                const __m512i low = _mm512_shuffle_epi8(values, _mm512_and_si512(both, half));
                const __m512i high =
                    _mm512_shuffle_epi8(values, _mm512_and_si512(_mm512_srli_epi16(both, 4), half));
                UNROLLED
                for (int i = 0; i < images; i++) {
                    add_products(&sum[i][2 * t], four(from + i * next), low);
                    add_products(&sum[i][2 * t + 1], four(from + i * next + 4), high);
                }
            }
        }
    }
    UNROLLED
    for (int i = 0; i < images; i++)
        _mm512_storeu_si512(sums[i], _mm512_add_epi32(_mm512_add_epi32(sum[i][0], sum[i][1]),
                                                      _mm512_add_epi32(sum[i][2], sum[i][3])));
}

#define GS_SUM_BLOCK sum_block
#include "linear_loop.h"

int gs_prepare_linear_vnni(gs_layer *layer) {
    layer->convolve = convolve;
    return gs_pack_codes(layer, 127);
}
