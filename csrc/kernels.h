/* What an instruction set implements, and the convolution as its kernels see it. Internal: not installed.
 *
 * Maps are padded NHWC. A pixel is `pitch.pixel` bytes (the channels rounded up to 4), a row `pitch.row` bytes, and the
 * maps of one image of the batch are `pitch.image` bytes from those of the next. Around a map lies as much border as its
 * readers' padding needs, holding the byte that stands for zero, so that kernels never test for edges. After every map
 * GS_SLACK bytes may be read, never written. Kernels write the `outputs` channels of a pixel and no byte more: what
 * fills the pixel up is written once, when an arena is prepared.
 */
#ifndef GREENSHIFT_KERNELS_H
#define GREENSHIFT_KERNELS_H

#include <stddef.h>
#include <stdint.h>

enum {
    GS_BLOCK = 16,  /* output channels per block of packed weights */
    GS_PADDED = 64, /* bias and multiplier are padded to a multiple of this */
    GS_SLACK = 128, /* bytes after a map that may be read */
    GS_ALIGN = 64   /* alignment of maps, packed weights and arenas */
};

typedef struct {
    int32_t pixel, row; /* bytes from a pixel to the next one to the right, and to the one below */
    ptrdiff_t image;    /* bytes from a map to that of the next image */
} gs_pitch;

/* From sums to bytes, all in float32, rounding to nearest, ties to even, no contraction:
 *
 *     y = rint(clip(float(acc) * multiplier, lowest, highest))
 *     byte = y + zero
 *
 * and with a residual r, a byte of the map that is added,
 *
 *     byte = rint(clip(y * own_scale + (r - residual_zero) * residual_scale, sum_lowest, sum_highest)) + sum_zero.
 *
 * Both scales are powers of two. lowest and highest are whole numbers, the byte's limits less its zero. */
typedef struct {
    float lowest, highest;
    int32_t zero;
    float own_scale, residual_scale;
    int32_t residual_zero;
    float sum_lowest, sum_highest;
    int32_t sum_zero;
} gs_scaling;

struct gs_layer;

/* One call: `images` maps. `source` is the byte under the upper left weight of the first output (in the border, if the
 * layer pads). Either `logits` or `output` is NULL: logits are float(acc) * multiplier, (images, height, width,
 * outputs) without gaps. `residual` is NULL or the map that is added, of the output's height, width and channels. */
typedef struct {
    const uint8_t *source;
    uint8_t *output;
    const uint8_t *residual;
    float *logits;
    int32_t images;
    void *scratch; /* gs_layer.scratch_bytes of it, aligned, contents undefined */
} gs_call;

typedef void (*gs_convolve)(const struct gs_layer *layer, const gs_call *call);

typedef struct gs_layer {
    /* Geometry. A linear layer has height == width == 1 and a kernel that covers the map. */
    int32_t height, width, outputs;   /* of the output */
    int32_t inputs, groups;           /* channels of the source, all groups together */
    int32_t kernel_h, kernel_w, stride_h, stride_w;
    gs_pitch source, output, residual;

    /* (outputs, kernel_h, kernel_w, inputs / groups). Only there while `prepare` runs; NULL afterwards, unless
     * `prepare` sets keeps_weight. */
    int16_t *weight;
    int32_t largest;    /* largest magnitude of a weight: up to 127, or a power of two up to 8192 if weights are shifts */
    int32_t keeps_weight;

    /* Padded with zeros to a multiple of GS_PADDED. The bias already holds - zero_in * sum of weights (modulo 2^32): kernels add
     * weight times raw byte, in 32 bits that wrap. */
    int32_t *bias;
    float *multiplier;
    gs_scaling scaling;

    /* What `prepare` sets. */
    void *packed;         /* weights as the kernel wants them, from gs_allocate; freed by the network */
    size_t packed_bytes;  /* for choosing how many images go through a layer together */
    size_t scratch_bytes; /* what one call needs besides, whatever the number of images */
    gs_convolve convolve; /* the kernel chosen for this layer */
    const char *kernel;   /* its name, for profiles: "vnni dense", "amx", "linear from 4-bit codes" */
} gs_layer;

/* Packs the weights of a layer and chooses its kernel. Returns 0, or -1 if memory ran out. One that has no kernel for a
 * layer calls the `prepare` of a lesser instruction set. Called by one thread, before any run. */
typedef int (*gs_prepare)(gs_layer *layer);

int gs_prepare_reference(gs_layer *layer);
int gs_prepare_avx2(gs_layer *layer);
int gs_prepare_vnni(gs_layer *layer);
int gs_prepare_amx(gs_layer *layer);

/* Aligned to GS_ALIGN and zeroed; NULL if memory ran out. Freed with gs_release. */
void *gs_allocate(size_t bytes);
void gs_release(void *memory);

#endif
