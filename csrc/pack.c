/* Packs weights. */
#include "pack.h"

#include <stdlib.h>

/* The hi of lo + 128 hi: weights of up to 127 have none. (-128 would fit lo, but makes planes of powers of two exceed 64
 * there, which costs AVX2 twice the time.) */
static int16_t high_part(int16_t weight) {
    return abs(weight) > 127 ? (int16_t)(weight / 128) : 0;
}

static int8_t in_plane(int16_t weight, int32_t plane) {
    const int16_t high = high_part(weight);
    return (int8_t)(plane ? high : weight - 128 * high);
}

static size_t weights_each(const gs_layer *layer) {
    return (size_t)layer->kernel_h * (size_t)layer->kernel_w * (size_t)(layer->inputs / layer->groups);
}

static void measure(const gs_layer *layer, gs_packed *packed) {
    packed->planes = 1;
    for (size_t i = 0; i < (size_t)layer->outputs * weights_each(layer); i++) {
        const int low = abs(in_plane(layer->weight[i], 0)), high = abs(high_part(layer->weight[i]));
        if (high)
            packed->planes = 2;
        packed->largest = low > packed->largest ? low : packed->largest;
        packed->largest = high > packed->largest ? high : packed->largest;
    }
}

/* One allocation for the header and its arrays; `packed` holds the sizes. */
static gs_packed *allocate(gs_layer *layer, const gs_packed *sizes, int32_t offsets) {
    const size_t integers = sizeof(int32_t) * (size_t)(offsets + sizes->blocks);
    const size_t header = (sizeof *sizes + integers + GS_ALIGN - 1) / GS_ALIGN * GS_ALIGN;
    const size_t bytes = sizes->plane * (size_t)sizes->planes;
    gs_packed *packed = gs_allocate(header + bytes);
    if (!packed)
        return NULL;
    *packed = *sizes;
    packed->offset = (int32_t *)(packed + 1);
    packed->first = packed->offset + offsets;
    packed->weight = (int8_t *)packed + header;
    layer->packed = packed;
    layer->packed_bytes = bytes;
    return packed;
}

/* First channel that the group of an output reads. */
static int32_t first_channel(const gs_layer *layer, int32_t output) {
    return output / (layer->outputs / layer->groups) * (layer->inputs / layer->groups);
}

/* Channels that a block reads: those of all groups that it touches. */
static int32_t channels_of_block(const gs_layer *layer, int32_t block) {
    const int32_t last = (block + 1) * GS_BLOCK < layer->outputs ? (block + 1) * GS_BLOCK - 1 : layer->outputs - 1;
    return first_channel(layer, last) + layer->inputs / layer->groups - first_channel(layer, block * GS_BLOCK);
}

/* Bytes of a stretch. */
static int32_t stretch_of(const gs_layer *layer, int32_t blocks) {
    if (layer->groups == 1)
        return layer->kernel_w * layer->source.pixel;
    int32_t longest = 0;
    for (int32_t block = 0; block < blocks; block++)
        longest = channels_of_block(layer, block) > longest ? channels_of_block(layer, block) : longest;
    return longest;
}

static gs_packed dense_sizes(const gs_layer *layer, int32_t stretches) {
    gs_packed sizes = {0};
    measure(layer, &sizes);
    sizes.blocks = (layer->outputs + GS_BLOCK - 1) / GS_BLOCK;
    sizes.quads = stretches * ((stretch_of(layer, sizes.blocks) + 3) / 4);
    sizes.block = (size_t)sizes.quads * GS_BLOCK * 4;
    sizes.plane = sizes.block * (size_t)sizes.blocks;
    return sizes;
}

static void put(gs_packed *packed, int32_t output, int32_t at, int16_t weight) {
    const size_t index = packed->block * (size_t)(output / GS_BLOCK) +
                         ((size_t)(at / 4) * GS_BLOCK + (size_t)(output % GS_BLOCK)) * 4 + (size_t)(at % 4);
    for (int32_t plane = 0; plane < packed->planes; plane++)
        packed->weight[packed->plane * (size_t)plane + index] = in_plane(weight, plane);
}

int gs_pack_dense(gs_layer *layer) {
    const int grouped = layer->groups > 1;
    const int32_t stretches = layer->kernel_h * (grouped ? layer->kernel_w : 1);
    const gs_packed sizes = dense_sizes(layer, stretches);
    gs_packed *packed = allocate(layer, &sizes, sizes.quads);
    if (!packed)
        return -1;
    const int32_t each = sizes.quads / stretches, inputs = layer->inputs / layer->groups;
    for (int32_t quad = 0; quad < sizes.quads; quad++) {
        const int32_t stretch = quad / each;
        packed->offset[quad] = quad % each * 4 + (grouped ? stretch / layer->kernel_w * layer->source.row +
                                                                stretch % layer->kernel_w * layer->source.pixel
                                                          : stretch * layer->source.row);
    }
    for (int32_t block = 0; block < packed->blocks; block++)
        packed->first[block] = first_channel(layer, block * GS_BLOCK);
    const int16_t *weight = layer->weight;
    for (int32_t o = 0; o < layer->outputs; o++)
        for (int32_t v = 0; v < layer->kernel_h; v++)
            for (int32_t u = 0; u < layer->kernel_w; u++) {
                const int32_t at = grouped ? (v * layer->kernel_w + u) * each * 4 + first_channel(layer, o) -
                                                 packed->first[o / GS_BLOCK]
                                           : v * each * 4 + u * layer->source.pixel;
                for (int32_t c = 0; c < inputs; c++)
                    put(packed, o, at + c, *weight++);
            }
    return 0;
}

int gs_is_depthwise(const gs_layer *layer) {
    return layer->groups > 1 && layer->groups == layer->inputs && layer->groups == layer->outputs;
}

int gs_pack_depthwise(gs_layer *layer) {
    const int32_t taps = layer->kernel_h * layer->kernel_w;
    gs_packed sizes = {0};
    measure(layer, &sizes);
    sizes.blocks = (layer->outputs + GS_DEPTHWISE_BLOCK - 1) / GS_DEPTHWISE_BLOCK;
    sizes.quads = (taps + 3) / 4;
    sizes.block = (size_t)sizes.quads * GS_DEPTHWISE_BLOCK * 4;
    sizes.plane = sizes.block * (size_t)sizes.blocks;
    gs_packed *packed = allocate(layer, &sizes, sizes.quads * 4);
    if (!packed)
        return -1;
    for (int32_t tap = 0; tap < taps; tap++)
        packed->offset[tap] = tap / layer->kernel_w * layer->source.row + tap % layer->kernel_w * layer->source.pixel;
    for (int32_t block = 0; block < packed->blocks; block++)
        packed->first[block] = block * GS_DEPTHWISE_BLOCK;
    for (int32_t o = 0; o < layer->outputs; o++)
        for (int32_t tap = 0; tap < taps; tap++) {
            const int32_t block = o / GS_DEPTHWISE_BLOCK, in_block = o % GS_DEPTHWISE_BLOCK;
            const int32_t vector = in_block % 16 / 4, lane = in_block / 16 * 4 + in_block % 4;
            const size_t index = packed->block * (size_t)block +
                                 (((size_t)(tap / 4) * 4 + (size_t)vector) * 8 + (size_t)lane) * 4 + (size_t)(tap % 4);
            const int16_t weight = layer->weight[(size_t)o * (size_t)taps + (size_t)tap];
            for (int32_t plane = 0; plane < packed->planes; plane++)
                packed->weight[packed->plane * (size_t)plane + index] = in_plane(weight, plane);
        }
    return 0;
}
