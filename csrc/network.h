/* A network as the runtime holds it. Internal. */
#ifndef GREENSHIFT_NETWORK_H
#define GREENSHIFT_NETWORK_H

#include "greenshift.h"
#include "kernels.h"

/* Where a map lies. All maps of one image are in one stretch of the arena, so one pitch.image fits all. */
typedef struct {
    int32_t top, left, bottom, right; /* border */
    gs_pitch pitch;
    size_t bytes;  /* with border and slack, a multiple of GS_ALIGN */
    size_t offset; /* of the border's first byte in the stretch of an image */
} gs_map;

typedef struct {
    gs_op op; /* its pointers belong to the network; weight, bias and multiplier are NULL */
    gs_map map;
    gs_layer *layer;     /* if it runs a convolution */
    int32_t convolution; /* which one it runs: itself, the one that an addition is fused into, or -1 */
    int32_t residual;    /* the step that this convolution adds, or -1 */
    int32_t skipped;     /* 1: a convolution that an addition runs */
    int32_t last_read;   /* the last step that runs and reads the map */
} gs_step;

struct gs_network {
    gs_step *steps;
    int32_t count, flags;
    const char *isa;
    gs_prepare prepare;
    size_t image_bytes, scratch_bytes;
    int32_t together; /* images that go through a step together */
};

/* First byte of pixel (0, 0) of a map. */
static inline size_t gs_map_start(const gs_map *map) {
    return map->offset + (size_t)map->top * (size_t)map->pitch.row + (size_t)map->left * (size_t)map->pitch.pixel;
}

/* check.c: NULL, or what is wrong with an op. */
const char *gs_check(const gs_op *ops, int32_t index);

/* plan.c: decides which steps are fused and where maps lie. */
int gs_plan(gs_network *network);

/* layer.c: geometry, scaling and packed weights of the convolution that step `index` runs. `op` is the caller's, with
 * weights. */
int gs_make_layer(gs_network *network, int32_t index, const gs_op *op);
void gs_free_layer(gs_layer *layer);

/* isa.c: the ISA of this name, or the best one if NULL; 0 and the two results, or -1. */
int gs_find_isa(const char *name, const char **found, gs_prepare *prepare);

/* steps.c: everything but convolutions, for one image. The maps start at their pixel (0, 0). */
void gs_step_input(const gs_step *step, const uint8_t *image, uint8_t *output);
void gs_step_plain(const gs_network *network, const gs_step *step, const uint8_t *maps, uint8_t *output);

#endif
