/* The sums of a block of outputs become bytes. Plain C in loops of GS_BLOCK, which compilers turn into a few vector
 * instructions of whatever set the including file is compiled for. Internal. */
#ifndef GREENSHIFT_FINISH_H
#define GREENSHIFT_FINISH_H

#include "kernels.h"

#include <math.h>
#include <string.h>

static inline float gs_clip(float value, float lowest, float highest) {
    value = value < lowest ? lowest : value;
    return value > highest ? highest : value;
}

/* `sums` lack the bias. The other pointers are to output `first` of a pixel; `output` or `logits` is NULL. */
static inline void gs_finish_block(const gs_layer *layer, int32_t first, const int32_t *sums, const uint8_t *residual,
                                   uint8_t *output, float *logits) {
    const gs_scaling *s = &layer->scaling;
    const int32_t *bias = layer->bias + first;
    const float *multiplier = layer->multiplier + first;
    const int32_t left = layer->outputs - first;
    const size_t count = left < GS_BLOCK ? (size_t)left : GS_BLOCK;
    float value[GS_BLOCK];
    for (int i = 0; i < GS_BLOCK; i++)
        value[i] = (float)(int32_t)((uint32_t)sums[i] + (uint32_t)bias[i]) * multiplier[i];
    if (logits) {
        memcpy(logits, value, count * sizeof *logits);
        return;
    }
    const float lowest = s->lowest, highest = s->highest;
    uint8_t bytes[GS_BLOCK];
    for (int i = 0; i < GS_BLOCK; i++)
        value[i] = rintf(gs_clip(value[i], lowest, highest));
    if (residual) { /* all maps have GS_SLACK bytes after them */
        const float own = s->own_scale, other = s->residual_scale, low = s->sum_lowest, high = s->sum_highest;
        const int32_t zero = s->residual_zero, sum_zero = s->sum_zero;
        for (int i = 0; i < GS_BLOCK; i++) {
            const float sum = value[i] * own + (float)(residual[i] - zero) * other;
            bytes[i] = (uint8_t)((int32_t)rintf(gs_clip(sum, low, high)) + sum_zero);
        }
    } else {
        const int32_t zero = s->zero;
        for (int i = 0; i < GS_BLOCK; i++)
            bytes[i] = (uint8_t)((int32_t)value[i] + zero);
    }
    if (count == GS_BLOCK)
        memcpy(output, bytes, GS_BLOCK);
    else
        memcpy(output, bytes, count);
}

#endif
