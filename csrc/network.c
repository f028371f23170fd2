/* Makes and frees networks. */
#include "network.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Weights that outgrow the second-level cache are read once for several images, as long as the maps of these fit it. */
enum { MANY_WEIGHTS = 512 << 10, MAPS_TOGETHER = 1 << 20, MOST_TOGETHER = 16 };

static void *copy(const void *memory, size_t bytes) {
    void *copied = malloc(bytes ? bytes : 1);
    return copied && bytes ? memcpy(copied, memory, bytes) : copied;
}

static int copy_op(gs_step *step, const gs_op *op) {
    step->op = *op;
    step->op.weight = NULL;
    step->op.bias = NULL;
    step->op.multiplier = NULL;
    step->op.sources = copy(op->sources, (size_t)op->source_count * sizeof *op->sources);
    step->op.table = NULL;
    if (!step->op.sources)
        return -1;
    if (op->kind != GS_INPUT && op->kind != GS_LOOKUP)
        return 0;
    step->op.table = copy(op->table, op->kind == GS_INPUT ? (size_t)op->channels * 256 : 256);
    return step->op.table ? 0 : -1;
}

static void decide_together(gs_network *network) {
    size_t weights = 0;
    for (int32_t i = 0; i < network->count; i++) {
        const gs_layer *layer = network->steps[i].layer;
        if (!layer)
            continue;
        weights += layer->packed_bytes;
        if (network->scratch_bytes < layer->scratch_bytes)
            network->scratch_bytes = layer->scratch_bytes;
    }
    network->scratch_bytes = (network->scratch_bytes + GS_ALIGN - 1) / GS_ALIGN * GS_ALIGN;
    network->together = 1;
    if (network->flags & GS_KEEP_MAPS)
        network->together = INT32_MAX;
    else if (weights > MANY_WEIGHTS)
        while (network->together < MOST_TOGETHER &&
               (size_t)network->together * 2 * network->image_bytes <= MAPS_TOGETHER)
            network->together *= 2;
}

/* NULL, or what went wrong. */
static const char *fill(gs_network *network, const gs_op *ops) {
    for (int32_t i = 0; i < network->count; i++) {
        const char *wrong = gs_check(ops, i);
        if (!wrong && !ops[i].is_float != (i < network->count - 1))
            wrong = "the last step, and only it, must give logits";
        if (wrong)
            return wrong;
        if (copy_op(network->steps + i, ops + i))
            return "memory ran out";
    }
    if (gs_plan(network))
        return "a map is too large";
    for (int32_t i = 0; i < network->count; i++)
        if (network->steps[i].convolution >= 0 && !network->steps[i].skipped &&
            gs_make_layer(network, i, ops + network->steps[i].convolution))
            return "memory ran out";
    decide_together(network);
    return NULL;
}

gs_network *gs_create(const gs_op *ops, int32_t count, const char *isa, int32_t flags, char *error,
                      size_t error_bytes) {
    gs_network *network = calloc(1, sizeof *network);
    const char *wrong = network ? NULL : "memory ran out";
    if (network && gs_find_isa(isa, &network->isa, &network->prepare))
        wrong = "this processor or this build has no such instruction set";
    if (!wrong && count < 1)
        wrong = "there are no steps";
    if (!wrong) {
        network->steps = calloc((size_t)count, sizeof *network->steps);
        network->count = network->steps ? count : 0;
        network->flags = flags;
        wrong = network->steps ? fill(network, ops) : "memory ran out";
    }
    if (!wrong)
        return network;
    if (error && error_bytes)
        snprintf(error, error_bytes, "%s", wrong);
    gs_destroy(network);
    return NULL;
}

void gs_destroy(gs_network *network) {
    if (!network)
        return;
    for (int32_t i = 0; i < network->count; i++) {
        gs_step *step = network->steps + i;
        gs_free_layer(step->layer);
        free((void *)step->op.sources);
        free((void *)step->op.table);
    }
    free(network->steps);
    free(network);
}

const char *gs_kernel(const gs_network *network) {
    return network->isa;
}

const char *gs_step_kernel(const gs_network *network, int32_t step) {
    if (step < 0 || step >= network->count || network->steps[step].skipped)
        return NULL;
    return network->steps[step].layer ? network->steps[step].layer->kernel : "plain";
}
