/* Steps that are not convolutions, for one image. Maps start at their pixel (0, 0). */
#include "network.h"

#include <math.h>
#include <string.h>

static const uint8_t *pixel_at(const uint8_t *start, const gs_map *map, int32_t y, int32_t x) {
    return start + (ptrdiff_t)y * map->pitch.row + (ptrdiff_t)x * map->pitch.pixel;
}

/* Rounds without a call, so that loops become vector code: at 1.5 * 2^23 floats are whole numbers, and adding rounds to
 * the nearest, ties to even. */
static inline uint8_t to_byte(float value, int32_t zero, float lowest, float highest) {
    const float whole = 12582912.0f;
    value = value < lowest ? lowest : value;
    value = value > highest ? highest : value;
    return (uint8_t)((int32_t)(value + whole - whole) + zero);
}

void gs_step_input(const gs_step *step, const uint8_t *image, uint8_t *output) {
    const gs_op *op = &step->op;
    const int32_t channels = op->channels;
    const uint8_t *table = op->table;
    for (int32_t y = 0; y < op->height; y++) {
        uint8_t *to = output + (ptrdiff_t)y * step->map.pitch.row;
        if (channels == 3)
            for (int32_t x = 0; x < op->width; x++, to += step->map.pitch.pixel, image += 3) {
                to[0] = table[image[0]];
                to[1] = table[256 + image[1]];
                to[2] = table[512 + image[2]];
            }
        else
            for (int32_t x = 0; x < op->width; x++, to += step->map.pitch.pixel, image += channels)
                for (int32_t c = 0; c < channels; c++)
                    to[c] = table[(size_t)c * 256 + image[c]];
    }
}

/* Scales and limits of an addition. */
typedef struct {
    float scale_a, scale_b, lowest, highest;
    int32_t zero_a, zero_b, zero;
} gs_sum;

static void add_pixel(const gs_sum *sum, uint8_t *restrict to, const uint8_t *restrict a, const uint8_t *restrict b,
                      int32_t channels) {
    const gs_sum s = *sum;
    for (int32_t c = 0; c < channels; c++)
        to[c] = to_byte((float)(a[c] - s.zero_a) * s.scale_a + (float)(b[c] - s.zero_b) * s.scale_b, s.zero, s.lowest,
                        s.highest);
}

static void add(const gs_step *step, const gs_step *const *sources, const uint8_t *const *starts, uint8_t *to) {
    const gs_op *op = &step->op, *a = &sources[0]->op, *b = &sources[1]->op;
    const gs_sum sum = {(float)ldexp(1.0, a->exponent - op->exponent),
                        (float)ldexp(1.0, b->exponent - op->exponent),
                        (float)(op->low - op->zero),
                        (float)(op->high - op->zero),
                        a->zero,
                        b->zero,
                        op->zero};
    for (int32_t y = 0; y < op->height; y++)
        for (int32_t x = 0; x < op->width; x++)
            add_pixel(&sum, to + (ptrdiff_t)y * step->map.pitch.row + (ptrdiff_t)x * step->map.pitch.pixel,
                      pixel_at(starts[0], &sources[0]->map, y, x), pixel_at(starts[1], &sources[1]->map, y, x),
                      op->channels);
}

static void take_larger(uint8_t *restrict to, const uint8_t *restrict from, int32_t channels) {
    for (int32_t c = 0; c < channels; c++)
        to[c] = from[c] > to[c] ? from[c] : to[c];
}

/* Positions outside of the map do not count, so the window is cut off there; borders are not read. */
static void max_pool(const gs_step *step, const gs_step *source, const uint8_t *start, uint8_t *to, int32_t y,
                     int32_t x) {
    const gs_op *op = &step->op;
    const int32_t first_y = y * op->stride_h - op->top, first_x = x * op->stride_w - op->left;
    memset(to, 0, (size_t)op->channels);
    for (int32_t v = first_y < 0 ? 0 : first_y; v < first_y + op->kernel_h && v < source->op.height; v++)
        for (int32_t u = first_x < 0 ? 0 : first_x; u < first_x + op->kernel_w && u < source->op.width; u++)
            take_larger(to, pixel_at(start, &source->map, v, u), op->channels);
}

static void average_pool(const gs_step *step, const gs_step *source, const uint8_t *start, uint8_t *to, int32_t y,
                         int32_t x) {
    enum { AT_ONCE = 64 };
    const gs_op *op = &step->op;
    const int32_t size = op->kernel_h * op->kernel_w;
    const float multiplier = (float)(ldexp(1.0, source->op.exponent - op->exponent) / (double)size);
    for (int32_t first = 0; first < op->channels; first += AT_ONCE) {
        const int32_t count = op->channels - first < AT_ONCE ? op->channels - first : AT_ONCE;
        int32_t sums[AT_ONCE] = {0};
        for (int32_t v = 0; v < op->kernel_h; v++)
            for (int32_t u = 0; u < op->kernel_w; u++) {
                const uint8_t *from = first + pixel_at(start, &source->map, y * op->stride_h + v, x * op->stride_w + u);
                if (count == AT_ONCE)
                    for (int32_t c = 0; c < AT_ONCE; c++)
                        sums[c] += from[c];
                else
                    for (int32_t c = 0; c < count; c++)
                        sums[c] += from[c];
            }
        for (int32_t c = 0; c < count; c++)
            to[first + c] = to_byte((float)(sums[c] - size * source->op.zero) * multiplier, op->zero,
                                    (float)-op->zero, (float)(255 - op->zero));
    }
}

static void look_up(uint8_t *restrict to, const uint8_t *restrict from, const uint8_t *restrict table,
                    int32_t channels) {
    for (int32_t c = 0; c < channels; c++)
        to[c] = table[from[c]];
}

static void subsample(const gs_step *step, const gs_step *source, const uint8_t *start, uint8_t *to, int32_t y,
                      int32_t x) {
    const gs_op *op = &step->op;
    memset(to, source->op.zero, (size_t)op->channels);
    memcpy(to + op->before, pixel_at(start, &source->map, y * op->stride_h, x * op->stride_w),
           (size_t)source->op.channels);
}

static void concatenate(const gs_network *network, const gs_step *step, const uint8_t *maps, uint8_t *to, int32_t y,
                        int32_t x) {
    for (int32_t i = 0; i < step->op.source_count; i++) {
        const gs_step *source = network->steps + step->op.sources[i];
        memcpy(to, pixel_at(maps + gs_map_start(&source->map), &source->map, y, x), (size_t)source->op.channels);
        to += source->op.channels;
    }
}

void gs_step_plain(const gs_network *network, const gs_step *step, const uint8_t *maps, uint8_t *output) {
    const gs_op *op = &step->op;
    const gs_step *sources[2];
    const uint8_t *starts[2];
    for (int32_t i = 0; i < 2 && i < op->source_count; i++) {
        sources[i] = network->steps + op->sources[i];
        starts[i] = maps + gs_map_start(&sources[i]->map);
    }
    if (op->kind == GS_ADDITION) {
        add(step, sources, starts, output);
        return;
    }
    for (int32_t y = 0; y < op->height; y++)
        for (int32_t x = 0; x < op->width; x++) {
            uint8_t *to = output + (ptrdiff_t)y * step->map.pitch.row + (ptrdiff_t)x * step->map.pitch.pixel;
            const uint8_t *from = pixel_at(starts[0], &sources[0]->map, y, x);
            if (op->kind == GS_MAX_POOLING)
                max_pool(step, sources[0], starts[0], to, y, x);
            else if (op->kind == GS_AVERAGE_POOLING)
                average_pool(step, sources[0], starts[0], to, y, x);
            else if (op->kind == GS_LOOKUP)
                look_up(to, from, op->table, op->channels);
            else if (op->kind == GS_SUBSAMPLING)
                subsample(step, sources[0], starts[0], to, y, x);
            else
                concatenate(network, step, maps, to, y, x);
        }
}
