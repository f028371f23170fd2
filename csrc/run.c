/* Runs networks. */
#define _POSIX_C_SOURCE 200112L

#include "network.h"

#include <string.h>
#include <time.h>

static int32_t together(const gs_network *network, int32_t batch) {
    return batch < network->together ? batch : network->together;
}

/* An arena: scratch memory, then the maps of one image after those of another. */
size_t gs_arena_bytes(const gs_network *network, int32_t batch) {
    return network->scratch_bytes + network->image_bytes * (size_t)together(network, batch);
}

void gs_arena_prepare(const gs_network *network, int32_t batch, void *arena) {
    for (int32_t image = 0; image < together(network, batch); image++) {
        uint8_t *maps = (uint8_t *)arena + network->scratch_bytes + network->image_bytes * (size_t)image;
        memset(maps, 0, network->image_bytes);
        for (int32_t i = 0; i < network->count; i++) {
            const gs_map *map = &network->steps[i].map;
            if (map->bytes)
                memset(maps + map->offset, network->steps[i].op.zero, map->bytes);
        }
    }
}

static void run_convolution(const gs_network *network, const gs_step *step, uint8_t *maps, void *scratch,
                            float *logits, int32_t images) {
    const gs_op *op = &network->steps[step->convolution].op;
    const gs_map *source = &network->steps[op->sources[0]].map;
    gs_call call = {0};
    call.source = maps + gs_map_start(source) - (ptrdiff_t)op->top * source->pitch.row -
                  (ptrdiff_t)op->left * source->pitch.pixel;
    call.logits = step->op.is_float ? logits : NULL;
    call.output = step->op.is_float ? NULL : maps + gs_map_start(&step->map);
    call.residual = step->residual < 0 ? NULL : maps + gs_map_start(&network->steps[step->residual].map);
    call.images = images;
    call.scratch = scratch;
    step->layer->convolve(step->layer, &call);
}

static void run_step(const gs_network *network, const gs_step *step, const uint8_t *images, size_t bytes,
                     float *logits, int32_t count, void *arena) {
    uint8_t *maps = (uint8_t *)arena + network->scratch_bytes;
    if (step->layer) {
        run_convolution(network, step, maps, arena, logits, count);
        return;
    }
    for (int32_t image = 0; image < count; image++, maps += network->image_bytes) {
        if (step->op.kind == GS_INPUT)
            gs_step_input(step, images + bytes * (size_t)image, maps + gs_map_start(&step->map));
        else
            gs_step_plain(network, step, maps, maps + gs_map_start(&step->map));
    }
}

static int64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

void gs_profile(const gs_network *network, const uint8_t *images, float *logits, int32_t batch, void *arena,
                int64_t *nanoseconds) {
    const gs_op *input = &network->steps[0].op, *last = &network->steps[network->count - 1].op;
    const size_t bytes = (size_t)input->height * (size_t)input->width * (size_t)input->channels;
    const size_t classes = (size_t)last->height * (size_t)last->width * (size_t)last->channels;
    for (int32_t done = 0; done < batch;) {
        const int32_t count = together(network, batch - done);
        int64_t before = nanoseconds ? now_ns() : 0;
        for (int32_t i = 0; i < network->count; i++) {
            if (network->steps[i].skipped)
                continue;
            run_step(network, network->steps + i, images + bytes * (size_t)done, bytes,
                     logits + classes * (size_t)done, count, arena);
            if (nanoseconds) {
                const int64_t after = now_ns();
                nanoseconds[i] += after - before;
                before = after;
            }
        }
        done += count;
    }
}

void gs_run(const gs_network *network, const uint8_t *images, float *logits, int32_t batch, void *arena) {
    gs_profile(network, images, logits, batch, arena, NULL);
}

int32_t gs_step_output(const gs_network *network, const void *arena, int32_t batch, int32_t step, uint8_t *output) {
    if (step < 0 || step >= network->count || !(network->flags & GS_KEEP_MAPS) || !network->steps[step].map.bytes)
        return -1;
    const gs_op *op = &network->steps[step].op;
    const gs_map *map = &network->steps[step].map;
    for (int32_t image = 0; image < batch; image++) {
        const uint8_t *maps = (const uint8_t *)arena + network->scratch_bytes + network->image_bytes * (size_t)image;
        for (int32_t y = 0; y < op->height; y++)
            for (int32_t x = 0; x < op->width; x++, output += op->channels)
                memcpy(output, maps + gs_map_start(map) + (ptrdiff_t)y * map->pitch.row + x * map->pitch.pixel,
                       (size_t)op->channels);
    }
    return 0;
}
