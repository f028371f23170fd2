/* Splits a convolution into tiles: a few pixels of a line of the output, times a few blocks of its channels. Internal. */
#ifndef GREENSHIFT_TILES_H
#define GREENSHIFT_TILES_H

#include "pack.h"

/* What a tile function does. Pixel p reads from source + p * source_step, and so on; pointers are to the first channel
 * of the pixel, except that `source` already points to the first channel that the block reads. */
typedef struct {
    const gs_layer *layer;
    const gs_packed *packed;
    const uint8_t *source, *residual;
    uint8_t *output;
    float *logits;
    ptrdiff_t source_step, output_step, residual_step, logits_step;
    int32_t block; /* the first one */
} gs_tile_job;

typedef void (*gs_tile)(const gs_tile_job *job);

/* Tile functions for the same number of blocks, with ever fewer pixels, down to 1. */
typedef struct {
    int32_t pixels;
    gs_tile run;
} gs_tile_size;

/* Runs all tiles of a call, `together` blocks at a time with `many`, the blocks left over one at a time with `single`.
 * Only layers with one group may have blocks together. */
void gs_run_tiles(const gs_layer *layer, const gs_call *call, int32_t together, const gs_tile_size *many,
                  const gs_tile_size *single);

/* How many pixels lie in one line: kernels choose their tiles by it. */
int32_t gs_line_pixels(const gs_layer *layer, int32_t images);

#endif
