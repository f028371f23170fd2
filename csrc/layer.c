/* Makes what kernels see of a convolution. */
#include "network.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void shape_layer(gs_layer *layer, const gs_op *op, const gs_op *source) {
    layer->height = op->height;
    layer->width = op->width;
    layer->outputs = op->channels;
    layer->inputs = source->channels;
    layer->groups = op->groups;
    layer->kernel_h = op->kernel_h;
    layer->kernel_w = op->kernel_w;
    layer->stride_h = op->stride_h;
    layer->stride_w = op->stride_w;
}

static void scale_layer(const gs_network *network, gs_layer *layer, const gs_step *step) {
    const gs_op *op = &network->steps[step->convolution].op;
    gs_scaling *scaling = &layer->scaling;
    scaling->lowest = (float)(op->low - op->zero);
    scaling->highest = (float)(op->high - op->zero);
    scaling->zero = op->zero;
    if (step->residual < 0)
        return;
    const gs_op *sum = &step->op, *other = &network->steps[step->residual].op;
    scaling->own_scale = (float)ldexp(1.0, op->exponent - sum->exponent);
    scaling->residual_scale = (float)ldexp(1.0, other->exponent - sum->exponent);
    scaling->residual_zero = other->zero;
    scaling->sum_lowest = (float)(sum->low - sum->zero);
    scaling->sum_highest = (float)(sum->high - sum->zero);
    scaling->sum_zero = sum->zero;
}

/* Copies weights as 16-bit numbers, and folds the zero of the inputs into the bias. */
static int copy_numbers(gs_layer *layer, const gs_op *op, int32_t input_zero) {
    const size_t each = (size_t)op->kernel_h * (size_t)op->kernel_w * (size_t)(layer->inputs / layer->groups);
    const size_t outputs = (size_t)layer->outputs, padded = (outputs + GS_PADDED - 1) / GS_PADDED * GS_PADDED;
    layer->weight = gs_allocate(outputs * each * sizeof *layer->weight);
    layer->bias = gs_allocate(padded * sizeof *layer->bias);
    layer->multiplier = gs_allocate(padded * sizeof *layer->multiplier);
    if (!layer->weight || !layer->bias || !layer->multiplier)
        return -1;
    for (size_t o = 0; o < outputs; o++) {
        uint32_t sum = 0;
        for (size_t i = o * each; i < (o + 1) * each; i++) {
            const int16_t weight =
                op->weight_bytes == 1 ? ((const int8_t *)op->weight)[i] : ((const int16_t *)op->weight)[i];
            layer->weight[i] = weight;
            sum += (uint32_t)(int32_t)weight;
            if (layer->largest < abs(weight))
                layer->largest = abs(weight);
        }
        const uint32_t folded = (uint32_t)op->bias[o] - (uint32_t)input_zero * sum;
        memcpy(layer->bias + o, &folded, sizeof folded);
        layer->multiplier[o] = op->multiplier[o];
    }
    return 0;
}

int gs_make_layer(gs_network *network, int32_t index, const gs_op *op) {
    gs_step *step = network->steps + index;
    const gs_step *source = network->steps + op->sources[0];
    gs_layer *layer = step->layer = calloc(1, sizeof *layer);
    if (!layer)
        return -1;
    shape_layer(layer, op, &source->op);
    layer->source = source->map.pitch;
    layer->output = step->map.pitch;
    if (step->residual >= 0)
        layer->residual = network->steps[step->residual].map.pitch;
    scale_layer(network, layer, step);
    if (copy_numbers(layer, op, source->op.zero) || network->prepare(layer))
        return -1;
    if (!layer->keeps_weight) {
        gs_release(layer->weight);
        layer->weight = NULL;
    }
    return 0;
}

void gs_free_layer(gs_layer *layer) {
    if (!layer)
        return;
    gs_release(layer->weight);
    gs_release(layer->bias);
    gs_release(layer->multiplier);
    gs_release(layer->packed);
    free(layer);
}
