/* Weights as the dense and depthwise kernels of AVX2 and VNNI want them. Internal. */
#ifndef GREENSHIFT_PACK_H
#define GREENSHIFT_PACK_H

#include "kernels.h"

/* For every block of 16 outputs, in the order in which a kernel reads them: four weights ("a quad", which meets four
 * bytes of a map) for each of the 16 outputs. Quads follow each other along stretches of the map that lie without gaps
 * under a window: a whole row of the kernel if the layer has one group, else the block's channels of one pixel. Where a
 * stretch is filled up to whole quads the weights are zeros.
 *
 * Weights beyond a signed byte are split into two planes, lo + 128 hi. */
typedef struct {
    int32_t blocks, planes, quads;
    int32_t largest; /* largest magnitude in a plane */
    size_t plane;    /* bytes of a plane, and */
    size_t block;    /* of a block in it */
    int32_t *offset; /* of every quad, from the first byte of the window */
    int32_t *first;  /* of every block: first channel that it reads */
    int8_t *weight;  /* (planes, blocks, quads, 16, 4) */
} gs_packed;

int gs_pack_dense(gs_layer *layer);

/* Whether every channel has a filter of its own. Then a block is 32 channels, a tap one pixel, and a quad four taps:
 * (planes, blocks, quads, 4, 8, 4), vector i of the four being for channels 4i..4i+3 and 16+4i..16+4i+3. Taps are
 * filled up to four with zero weights; `offset` has one entry per tap. */
enum { GS_DEPTHWISE_BLOCK = 32 };
int gs_is_depthwise(const gs_layer *layer);
int gs_pack_depthwise(gs_layer *layer);

#endif
