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

/* An addition is done by the later of its sources if that is a convolution which nothing else reads: when it runs, the
 * other source is there. */
static void fuse(gs_network *network) {
    for (int32_t i = 0; i < network->count; i++) {
        gs_step *sum = network->steps + i;
        if (sum->op.kind != GS_ADDITION)
            continue;
        const int32_t a = sum->op.sources[0], b = sum->op.sources[1];
        const int32_t later = a > b ? a : b;
        gs_step *convolution = network->steps + later;
        if (convolution->op.kind != GS_CONVOLUTION || readers(network, later) != 1)
            continue;
        convolution->into = i;
        convolution->residual = a > b ? b : a;
        sum->skipped = 1;
    }
}

static void widen(int32_t *border, int32_t padding) {
    if (*border < padding)
        *border = padding;
}

/* Who reads what: how long a map is needed and how much border it must have. A map written early, by the convolution
 * that does an addition, is known by the addition's index. */
static void find_reads(gs_network *network) {
    for (int32_t i = 0; i < network->count; i++)
        network->steps[i].last_read = i;
    for (int32_t i = 0; i < network->count; i++) {
        const gs_step *step = network->steps + i;
        if (step->skipped)
            continue;
        for (int32_t j = 0; j < step->op.source_count; j++) {
            gs_step *source = network->steps + step->op.sources[j];
            source->last_read = i;
            if (step->op.kind == GS_CONVOLUTION) {
                widen(&source->map.top, step->op.top);
                widen(&source->map.left, step->op.left);
                widen(&source->map.bottom, step->op.bottom);
                widen(&source->map.right, step->op.right);
            }
        }
        if (step->residual >= 0 && network->steps[step->residual].last_read < i)
            network->steps[step->residual].last_read = i;
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

/* Finds room for the map of step `index`, which is written when step `now` runs: that of an alike map that nothing
 * reads any more, or fresh memory. owners[i] says which step's map lies where that of i was placed first. */
static void place(gs_network *network, int32_t index, int32_t now, int32_t *owners) {
    gs_step *step = network->steps + index;
    for (int32_t i = 0; i < network->count && !(network->flags & GS_KEEP_MAPS); i++) {
        if (owners[i] < 0 || !alike(step, network->steps + i))
            continue;
        if (network->steps[owners[i]].last_read < now) {
            step->map.offset = network->steps[i].map.offset;
            owners[i] = index;
            return;
        }
    }
    step->map.offset = network->image_bytes;
    network->image_bytes += step->map.bytes;
    owners[index] = index;
}

int gs_plan(gs_network *network) {
    for (int32_t i = 0; i < network->count; i++) {
        network->steps[i].into = i;
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
        failed = shape_map(network->steps + step->into);
        if (!failed)
            place(network, step->into, i, owners);
    }
    free(owners);
    /* An odd number of lines between images, so that the same pixels of two images are not in the same cache set. */
    network->image_bytes = (network->image_bytes / GS_ALIGN | 1) * GS_ALIGN;
    for (int32_t i = 0; i < network->count; i++)
        network->steps[i].map.pitch.image = (ptrdiff_t)network->image_bytes;
    return failed;
}
