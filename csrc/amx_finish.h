/* Where the sums of AMX's tiles go. Included by amx.c. Internal. */
#ifndef GREENSHIFT_AMX_FINISH_H
#define GREENSHIFT_AMX_FINISH_H

#include "tiles.h"
#if defined(__AVX512F__)
#include "finish_avx512.h"
#else /* tile instructions are emulated, on any processor */
#include "finish.h"
#endif

enum { ROWS = 16 };

typedef int32_t gs_sums[ROWS][GS_BLOCK];

/* Output pixels as lines of evenly spaced windows. Of every `period` positions of a line `keep` are pixels; those between
 * are windows over the border of the map, computed and dropped. */
typedef struct {
    int32_t lines, positions, period, keep;
    ptrdiff_t step, line_step;
} gs_grid;

/* Where a tile of the map begins, and how many of its first positions are another tile's. */
typedef struct {
    int32_t image, line, begin, skip;
} gs_spot;

/* Linear layers: the images are the positions. */
static int over_images(const gs_layer *layer) {
    return layer->height == 1 && layer->width == 1;
}

/* lo + 128 hi, modulo 2^32. */
static void join_planes(gs_sums low, const gs_sums high) {
    for (int i = 0; i < ROWS; i++)
        for (int o = 0; o < GS_BLOCK; o++)
            low[i][o] = (int32_t)((uint32_t)low[i][o] + 128 * (uint32_t)high[i][o]);
}

/* The sums of `count` pixels that lie one step of the job apart; they lack the bias. */
#if defined(__AVX512F__)
INLINE void finish_run(gs_tile_job *job, const int32_t (*sums)[GS_BLOCK], int32_t count) {
    const int32_t first = job->block * GS_BLOCK;
    const gs_finish shared = find_finish(job->layer, job->residual != NULL, first);
    const __m512i bias = _mm512_load_si512(job->layer->bias + first);
    for (; count >= 4; count -= 4, sums += 4) {
        __m512i biased[4];
        UNROLLED
        for (int i = 0; i < 4; i++)
            biased[i] = _mm512_add_epi32(_mm512_load_si512(sums[i]), bias);
        finish_pixels(&shared, job, biased, 1, 4, first);
    }
    for (; count > 0; count--, sums++) {
        const __m512i biased = _mm512_add_epi32(_mm512_load_si512(sums[0]), bias);
        finish_pixels(&shared, job, &biased, 1, 1, first);
    }
}
#else
static void finish_run(gs_tile_job *job, const int32_t (*sums)[GS_BLOCK], int32_t count) {
    const int32_t first = job->block * GS_BLOCK;
    for (int32_t i = 0; i < count; i++)
        gs_finish_block(job->layer, first, sums[i],
                        job->residual ? job->residual + i * job->residual_step + first : NULL,
                        job->output ? job->output + i * job->output_step + first : NULL,
                        job->logits ? job->logits + i * job->logits_step + first : NULL);
}
#endif

/* A run of pixels from (y, x) of an image on, or from image x on where the images are the positions. */
static gs_tile_job find_run(const gs_layer *layer, const gs_call *call, int32_t image, int32_t y, int32_t x,
                            int32_t block) {
    gs_tile_job job = {.layer = layer, .block = block, .logits_step = layer->outputs};
    job.output_step = over_images(layer) ? layer->output.image : layer->output.pixel;
    job.residual_step = over_images(layer) ? layer->residual.image : layer->residual.pixel;
    if (call->logits)
        job.logits = call->logits + (((ptrdiff_t)image * layer->height + y) * layer->width + x) * layer->outputs;
    else
        job.output = call->output + image * layer->output.image + (ptrdiff_t)y * layer->output.row + x * job.output_step;
    if (call->residual)
        job.residual = call->residual + image * layer->residual.image + (ptrdiff_t)y * layer->residual.row +
                       x * job.residual_step;
    return job;
}

/* A tile of sums of `rows` positions becomes pixels, but for those that are another tile's or lie over the border. */
static void finish_tile(const gs_layer *layer, const gs_call *call, const gs_grid *grid, const gs_spot *spot,
                        int32_t rows, int32_t block, const gs_sums sums) {
    const int32_t from = spot->begin + spot->skip;
    int32_t y = spot->line + from / grid->period, x = from % grid->period;
    for (int32_t i = spot->skip; i < rows; y++, x = 0) {
        const int32_t left = grid->keep - x, run = left < rows - i ? left : rows - i;
        if (run > 0) {
            gs_tile_job job = find_run(layer, call, spot->image, y, x, block);
            finish_run(&job, sums + i, run);
        }
        i += grid->period - x;
    }
}

#endif
