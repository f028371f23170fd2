/* Plain C: what the other instruction sets must agree with to the byte. */
#include "kernels.h"

#include <math.h>

static float clip(float value, float lowest, float highest) {
    value = value < lowest ? lowest : value;
    return value > highest ? highest : value;
}

static uint8_t scale(const gs_scaling *scaling, float value, const uint8_t *residual) {
    const float own = rintf(clip(value, scaling->lowest, scaling->highest));
    if (!residual)
        return (uint8_t)((int32_t)own + scaling->zero);
    const float other = (float)(*residual - scaling->residual_zero) * scaling->residual_scale;
    const float sum = clip(own * scaling->own_scale + other, scaling->sum_lowest, scaling->sum_highest);
    return (uint8_t)((int32_t)rintf(sum) + scaling->sum_zero);
}

/* The sum of one output, modulo 2^32. */
static int32_t sum_window(const gs_layer *layer, const uint8_t *window, int32_t output) {
    const int32_t inputs = layer->inputs / layer->groups;
    const int32_t first = output / (layer->outputs / layer->groups) * inputs;
    const int16_t *weight =
        layer->weight + (size_t)output * (size_t)layer->kernel_h * (size_t)layer->kernel_w * (size_t)inputs;
    uint32_t sum = (uint32_t)layer->bias[output];
    for (int32_t v = 0; v < layer->kernel_h; v++)
        for (int32_t u = 0; u < layer->kernel_w; u++, weight += inputs) {
            const uint8_t *from =
                window + (ptrdiff_t)v * layer->source.row + (ptrdiff_t)u * layer->source.pixel + first;
            for (int32_t c = 0; c < inputs; c++)
                sum += (uint32_t)(weight[c] * from[c]);
        }
    return (int32_t)sum;
}

static void convolve(const gs_layer *layer, const gs_call *call) {
    float *logits = call->logits;
    for (int32_t image = 0; image < call->images; image++)
        for (int32_t y = 0; y < layer->height; y++)
            for (int32_t x = 0; x < layer->width; x++) {
                const uint8_t *window = call->source + image * layer->source.image +
                                        (ptrdiff_t)y * layer->stride_h * layer->source.row +
                                        (ptrdiff_t)x * layer->stride_w * layer->source.pixel;
                const ptrdiff_t to = image * layer->output.image + (ptrdiff_t)y * layer->output.row +
                                     (ptrdiff_t)x * layer->output.pixel;
                const ptrdiff_t from = image * layer->residual.image + (ptrdiff_t)y * layer->residual.row +
                                       (ptrdiff_t)x * layer->residual.pixel;
                for (int32_t o = 0; o < layer->outputs; o++) {
                    const float value = (float)sum_window(layer, window, o) * layer->multiplier[o];
                    if (logits)
                        *logits++ = value;
                    else
                        call->output[to + o] =
                            scale(&layer->scaling, value, call->residual ? call->residual + from + o : NULL);
                }
            }
}

int gs_prepare_reference(gs_layer *layer) {
    layer->keeps_weight = 1;
    layer->packed_bytes = (size_t)layer->outputs * (size_t)layer->kernel_h * (size_t)layer->kernel_w *
                          (size_t)(layer->inputs / layer->groups) * sizeof *layer->weight;
    layer->convolve = convolve;
    layer->kernel = "reference";
    return 0;
}
