/* Large linear layers whose weights stay 4-bit codes in memory and become bytes in registers. Internal.
 *
 * At one image such a layer takes as long as reading its weights does, so half the bytes is worth two more instructions
 * per register. Only a layer too large for the second cache is kept like this: a smaller one is faster as bytes. Codes are
 * one stream, which the processor's own prefetcher follows: prefetching by hand, 1 to 8 KB ahead, was slower.
 */
#ifndef GREENSHIFT_LINEAR_H
#define GREENSHIFT_LINEAR_H

#include "kernels.h"

enum {
    GS_LINEAR_LEAST_WEIGHTS = 1 << 20, /* fewer fit the second cache as bytes */
    GS_LINEAR_STEP = 8,                /* inputs of GS_BLOCK outputs that share 64 bytes of codes */
    GS_LINEAR_TOGETHER = 4             /* images that one reading of the codes serves */
};

/* A code is an index into `values`. The codes of a block of outputs follow each other: for every row of the kernel,
 * steps of GS_LINEAR_STEP bytes of a row of the map. In a step, byte 4 o + i has the code of input i of output o in its
 * low half and of input i + 4 in its high half. Bytes of the map beyond the kernel's row have weight 0. */
typedef struct {
    int8_t values[16];
    int32_t steps; /* of one row of the kernel, an even number */
    uint8_t gap[GS_ALIGN - 16 - sizeof(int32_t)];
    uint8_t codes[];
} gs_codes;

/* Packs a linear layer without groups that is large and whose weights have at most 16 values, none beyond `largest` in
 * magnitude. Returns 1 if it did, 0 if the layer is not of this kind, -1 if memory ran out. */
int gs_pack_codes(gs_layer *layer, int32_t largest);

/* Choose the kernel as well; the same results. */
int gs_prepare_linear_avx2(gs_layer *layer);
int gs_prepare_linear_vnni(gs_layer *layer);

#endif
