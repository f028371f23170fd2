/* From sums to bytes with AVX2, for the files compiled for it. Internal. */
#ifndef GREENSHIFT_REQUANTISE_H
#define GREENSHIFT_REQUANTISE_H

#include "kernels.h"

#include <immintrin.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
/* Before loops over registers with bounds known at compile time. Unrolled code with sanitizers in it takes clang many
 * minutes to compile. */
#if !defined(__clang__)
#define UNROLLED _Pragma("GCC unroll 16")
#elif __has_feature(undefined_behavior_sanitizer) || __has_feature(address_sanitizer)
#define UNROLLED
#else
#define UNROLLED _Pragma("clang loop unroll(full)")
#endif

INLINE __m256i load_eight_bytes(const uint8_t *bytes) {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)bytes));
}

/* The whole numbers that bytes are made of, less their zero; what lies below the lowest byte is cut off later. */
INLINE __m256i to_integers(const gs_scaling *scaling, __m256 value) {
    return _mm256_cvtps_epi32(_mm256_min_ps(value, _mm256_set1_ps(scaling->highest)));
}

/* The same with the eight bytes of a map added, each 32 bits wide. */
INLINE __m256i to_sum_integers(const gs_scaling *scaling, __m256 value, __m256i bytes) {
    value = _mm256_min_ps(value, _mm256_set1_ps(scaling->highest));
    value = _mm256_max_ps(value, _mm256_set1_ps(scaling->lowest));
    const __m256 own = _mm256_round_ps(value, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const __m256 other = _mm256_cvtepi32_ps(_mm256_sub_epi32(bytes, _mm256_set1_epi32(scaling->residual_zero)));
    const __m256 sum = _mm256_add_ps(_mm256_mul_ps(own, _mm256_set1_ps(scaling->own_scale)),
                                     _mm256_mul_ps(other, _mm256_set1_ps(scaling->residual_scale)));
    return _mm256_cvtps_epi32(_mm256_min_ps(sum, _mm256_set1_ps(scaling->sum_highest)));
}

/* Four registers to bytes that saturate at 0 and are no less than the lowest. In each half of the result: the halves of
 * the four, one after the other. */
INLINE __m256i pack_bytes(const gs_scaling *scaling, int added, const __m256i *integers) {
    const int zero = added ? scaling->sum_zero : scaling->zero;
    const int lowest = zero + (int)(added ? scaling->sum_lowest : scaling->lowest);
    const __m256i zeros = _mm256_set1_epi16((short)zero);
    const __m256i a = _mm256_add_epi16(_mm256_packs_epi32(integers[0], integers[1]), zeros);
    const __m256i b = _mm256_add_epi16(_mm256_packs_epi32(integers[2], integers[3]), zeros);
    return _mm256_max_epu8(_mm256_packus_epi16(a, b), _mm256_set1_epi8((char)lowest));
}

/* Writes the first `count` of 16 bytes. */
INLINE void store_bytes(uint8_t *to, __m128i bytes, int32_t count) {
    uint8_t kept[16];
    if (count >= 16) {
        _mm_storeu_si128((__m128i *)to, bytes);
        return;
    }
    _mm_storeu_si128((__m128i *)kept, bytes);
    for (int32_t i = 0; i < count; i++)
        to[i] = kept[i];
}

/* Writes the first `count` of 8 floats. */
INLINE void store_floats(float *to, __m256 values, int32_t count) {
    float kept[8];
    _mm256_storeu_ps(kept, values);
    for (int32_t i = 0; i < 8 && i < count; i++)
        to[i] = kept[i];
}

#endif
