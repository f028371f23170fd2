/* Which additions convolutions do, how much border maps need, and which maps share memory. */
#include "network.h"

#include <stdlib.h>
#include <string.h>

static int32_t readers(const gs_network *network, int32_t step) {
    int32_t found = 0;
    for (int32_t i = 0; i < network->count; i++)
        for (int32_t j = 0; j < network->steps[i].op.source_count; j++)
            found += network->steps[i].op.sources[j] == step;
    return found;
}

/* An addition is done by one of its sources, a convolution which nothing else reads, when it would be the addition's
 * turn: then the other source is there. */
static void fuse(gs_network *network) {
    for (int32_t i = 0; i < network->count; i++) {
        gs_step *sum = network->steps + i;
        for (int32_t j = 1; j >= 0 && sum->op.kind == GS_ADDITION && sum->convolution < 0; j--) {
            const int32_t source = sum->op.sources[j];
            if (network->steps[source].op.kind != GS_CONVOLUTION || readers(network, source) != 1)
                continue;
            sum->convolution = source;
            sum->residual = sum->op.sources[1 - j];
            network->steps[source].skipped = 1;
        }
    }
}

static void widen(int32_t *border, int32_t padding) {
    if (*border < padding)
        *border = padding;
}

/* Notes that step `reader` reads the map of `source`, a convolution with its padding. */
static void note_read(gs_network *network, int32_t source, int32_t reader, const gs_op *convolution) {
    gs_step *step = network->steps + source;
    step->last_read = step->last_read < reader ? reader : step->last_read;
    if (!convolution)
        return;
    widen(&step->map.top, convolution->top);
    widen(&step->map.left, convolution->left);
    widen(&step->map.bottom, convolution->bottom);
    widen(&step->map.right, convolution->right);
}

/* Who reads what: how long a map is needed and how much border it must have. */
static void find_reads(gs_network *network) {
    for (int32_t i = 0; i < network->count; i++)
        network->steps[i].last_read = i;
    for (int32_t i = 0; i < network->count; i++) {
        const gs_step *step = network->steps + i;
        if (step->skipped)
            continue;
        if (step->convolution >= 0) {
            const gs_op *convolution = &network->steps[step->convolution].op;
            note_read(network, convolution->sources[0], i, convolution);
            if (step->residual >= 0)
                note_read(network, step->residual, i, NULL);
            continue;
        }
        for (int32_t j = 0; j < step->op.source_count; j++)
            note_read(network, step->op.sources[j], i, NULL);
    }
}

static int shape_map(gs_step *step) {
    gs_map *map = &step->map;
    const int64_t pixel = (step->op.channels + 3) / 4 * 4;
    const int64_t row = pixel * (map->left + step->op.width + map->right);
    const int64_t rows = (int64_t)map->top + step->op.height + map->bottom;
    if (row > INT32_MAX || rows > (INT32_MAX - GS_SLACK - GS_ALIGN) / row)
        return -1;
    map->pitch.pixel = (int32_t)pixel;
    map->pitch.row = (int32_t)row;
    map->bytes = ((size_t)(row * rows) + GS_SLACK + GS_ALIGN - 1) / GS_ALIGN * GS_ALIGN;
    return 0;
}

/* Maps that share memory must agree in border, shape and zero, for borders are only written when an arena is prepared. */
static int alike(const gs_step *a, const gs_step *b) {
    return a->op.height == b->op.height && a->op.width == b->op.width && a->op.channels == b->op.channels &&
           a->op.zero == b->op.zero && a->map.top == b->map.top && a->map.left == b->map.left &&
           a->map.bottom == b->map.bottom && a->map.right == b->map.right;
}

/* Finds room for the map of step `index`: that of an alike map that nothing reads any more, or fresh memory. owners[i]
 * is the step whose map lies where that of step i was placed first, or -1. */
static void place(gs_network *network, int32_t index, int32_t *owners) {
    gs_step *step = network->steps + index;
    for (int32_t i = 0; i < index && !(network->flags & GS_KEEP_MAPS); i++)
        if (owners[i] >= 0 && alike(step, network->steps + i) && network->steps[owners[i]].last_read < index) {
            step->map.offset = network->steps[i].map.offset;
            owners[i] = index;
            return;
        }
    step->map.offset = network->image_bytes;
    network->image_bytes += step->map.bytes;
    owners[index] = index;
}

int gs_plan(gs_network *network) {
    for (int32_t i = 0; i < network->count; i++) {
        network->steps[i].convolution = network->steps[i].op.kind == GS_CONVOLUTION ? i : -1;
        network->steps[i].residual = -1;
    }
    if (!(network->flags & GS_NO_FUSION))
        fuse(network);
    find_reads(network);
    int32_t *owners = malloc((size_t)network->count * sizeof *owners);
    if (!owners)
        return -1;
    memset(owners, -1, (size_t)network->count * sizeof *owners);
    int failed = 0;
    for (int32_t i = 0; i < network->count && !failed; i++) {
        gs_step *step = network->steps + i;
        if (step->skipped || step->op.is_float)
            continue;
        failed = shape_map(step);
        if (!failed)
            place(network, i, owners);
    }
    free(owners);
    /* An odd number of lines between images, so that the same pixels of two images are not in the same cache set. */
    network->image_bytes = (network->image_bytes / GS_ALIGN | 1) * GS_ALIGN;
    for (int32_t i = 0; i < network->count; i++)
        network->steps[i].map.pitch.image = (ptrdiff_t)network->image_bytes;
    return failed;
}
