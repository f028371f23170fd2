/* Holds the kernels of every instruction set that this processor has, and of AMX in emulation, to the reference: random
 * layers of all kinds, every byte of the output map compared, the border included. */
#include "greenshift.h"
#include "kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum { SHIFT4, SHIFT5, INT8, TERNARY, KINDS } weight_kind;

typedef struct {
    int32_t inputs, outputs, groups, kernel_h, kernel_w, stride, height, width; /* height, width: of the output */
    int32_t border, images, residual, logits;
    weight_kind kind;
} shape;

typedef struct {
    const char *name;
    gs_prepare prepare;
} path;

typedef struct {
    uint8_t *bytes;
    size_t size, start; /* start: of pixel (0, 0) of the first image */
    gs_pitch pitch;
} map;

static uint32_t state = 1;

static uint32_t draw(uint32_t below) {
    state = state * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)(state >> 4) * below) >> 28);
}

static void *need(void *memory) {
    if (!memory) {
        fputs("out of memory\n", stderr);
        exit(2);
    }
    return memory;
}

/* Not a byte longer than kernels may count on, so that the address sanitizer sees one that is read too many. */
static map make_map(int32_t height, int32_t width, int32_t channels, int32_t border, int32_t images) {
    map made;
    made.pitch.pixel = (channels + 3) / 4 * 4;
    made.pitch.row = (width + 2 * border) * made.pitch.pixel;
    const size_t each = (size_t)made.pitch.row * (size_t)(height + 2 * border);
    made.pitch.image = (ptrdiff_t)(each + GS_SLACK);
    made.size = (each + GS_SLACK) * (size_t)images;
    made.start = (size_t)border * (size_t)made.pitch.row + (size_t)border * (size_t)made.pitch.pixel;
    made.bytes = need(malloc(made.size));
    for (size_t i = 0; i < made.size; i++)
        made.bytes[i] = (uint8_t)draw(256);
    return made;
}

static int16_t draw_weight(weight_kind kind) {
    const int16_t sign = draw(2) ? 1 : -1;
    switch (kind) {
    case SHIFT4: return draw(9) ? (int16_t)(sign * (1 << draw(7))) : 0;
    case SHIFT5: return draw(9) ? (int16_t)(sign * (1 << draw(14))) : 0;
    case INT8: return (int16_t)((int)draw(255) - 127);
    default: return (int16_t)((int)draw(3) - 1);
    }
}

static size_t weights_of(const shape *s) {
    return (size_t)s->outputs * (size_t)s->kernel_h * (size_t)s->kernel_w * (size_t)(s->inputs / s->groups);
}

static gs_layer make_layer(const shape *s) {
    gs_layer layer = {0};
    layer.height = s->height;
    layer.width = s->width;
    layer.outputs = s->outputs;
    layer.inputs = s->inputs;
    layer.groups = s->groups;
    layer.kernel_h = s->kernel_h;
    layer.kernel_w = s->kernel_w;
    layer.stride_h = layer.stride_w = s->stride;
    const size_t padded = (size_t)(s->outputs + GS_PADDED - 1) / GS_PADDED * GS_PADDED;
    layer.weight = need(gs_allocate(weights_of(s) * sizeof *layer.weight));
    layer.bias = need(gs_allocate(padded * sizeof *layer.bias));
    layer.multiplier = need(gs_allocate(padded * sizeof *layer.multiplier));
    for (size_t i = 0; i < weights_of(s); i++) {
        layer.weight[i] = draw_weight(s->kind);
        if (abs(layer.weight[i]) > layer.largest)
            layer.largest = abs(layer.weight[i]);
    }
    /* Sums spread over about the square root of the number of products; most bytes are then inside of the limits. */
    float spread = 100.0f * (float)(layer.largest ? layer.largest : 1);
    for (size_t n = weights_of(s) / (size_t)s->outputs; n > 1; n /= 4)
        spread *= 2.0f;
    for (int32_t o = 0; o < s->outputs; o++) {
        layer.bias[o] = (int32_t)draw(2001) - 1000;
        layer.multiplier[o] = (float)(1024 + draw(1024)) / 2048.0f * 100.0f / spread;
    }
    const gs_scaling scaling = {-128.0f, 100.0f, 128, 0.5f, 2.0f, 7, -3.0f, 200.0f, 3};
    layer.scaling = scaling;
    return layer;
}

static void free_layer(gs_layer *layer) {
    gs_release(layer->weight);
    gs_release(layer->bias);
    gs_release(layer->multiplier);
    gs_release(layer->packed);
}

/* Runs a layer of its own on `output`, which it fills first; the same draws give the same layer. */
static void run(const shape *s, const path *p, uint32_t seed, const map *source, const map *residual, map *output,
                float *logits, const char **kernel) {
    state = seed;
    gs_layer layer = make_layer(s);
    layer.source = source->pitch;
    layer.residual = residual->pitch;
    layer.output = output->pitch;
    if (p->prepare(&layer)) {
        fprintf(stderr, "%s: out of memory\n", p->name);
        exit(2);
    }
    if (!layer.keeps_weight) {
        gs_release(layer.weight);
        layer.weight = NULL;
    }
    memset(output->bytes, 0xa5, output->size);
    void *scratch = need(gs_allocate(layer.scratch_bytes));
    gs_call call = {0};
    call.source = source->bytes;
    call.output = s->logits ? NULL : output->bytes + output->start;
    call.logits = s->logits ? logits : NULL;
    call.residual = s->residual ? residual->bytes + residual->start : NULL;
    call.images = s->images;
    call.scratch = scratch;
    layer.convolve(&layer, &call);
    *kernel = layer.kernel;
    gs_release(scratch);
    free_layer(&layer);
}

static int compare(const shape *s, const path *reference, const path *paths, int count) {
    const int32_t high = (s->height - 1) * s->stride + s->kernel_h, wide = (s->width - 1) * s->stride + s->kernel_w;
    map source = make_map(high, wide, s->inputs, 0, s->images);
    map residual = make_map(s->height, s->width, s->outputs, 1, s->images);
    map wanted = make_map(s->height, s->width, s->outputs, s->border, s->images);
    map found = make_map(s->height, s->width, s->outputs, s->border, s->images);
    const size_t logits = (size_t)s->images * (size_t)s->height * (size_t)s->width * (size_t)s->outputs;
    float *wanted_logits = need(calloc(logits, sizeof(float))), *found_logits = need(calloc(logits, sizeof(float)));
    const uint32_t seed = state;
    const char *kernel;
    int wrong = 0;
    run(s, reference, seed, &source, &residual, &wanted, wanted_logits, &kernel);
    for (int i = 0; i < count; i++) {
        run(s, paths + i, seed, &source, &residual, &found, found_logits, &kernel);
        if (memcmp(wanted.bytes, found.bytes, found.size) == 0 &&
            memcmp(wanted_logits, found_logits, logits * sizeof(float)) == 0)
            continue;
        wrong++;
        fprintf(stderr,
                "%s (%s) differs: %d->%d channels, %d groups, kernel %dx%d, stride %d, output %dx%d, border %d, "
                "%d images, residual %d, logits %d, kind %d\n",
                paths[i].name, kernel, s->inputs, s->outputs, s->groups, s->kernel_h, s->kernel_w, s->stride, s->height,
                s->width, s->border, s->images, s->residual, s->logits, (int)s->kind);
    }
    free(source.bytes);
    free(residual.bytes);
    free(wanted.bytes);
    free(found.bytes);
    free(wanted_logits);
    free(found_logits);
    return wrong;
}

static shape draw_shape(void) {
    static const int32_t channels[] = {1, 3, 4, 5, 8, 16, 17, 24, 32, 48, 64};
    static const int32_t widths[] = {1, 2, 4, 7, 8, 14, 15, 16, 17, 31, 32, 33, 40};
    shape s = {0};
    s.inputs = channels[draw(11)];
    s.outputs = channels[draw(11)];
    s.groups = 1;
    if (draw(4) == 0) { /* groups, depthwise ones with one channel each among them */
        s.groups = 1 + (int32_t)draw(20);
        s.inputs = s.groups * (draw(2) ? 1 : 1 + (int32_t)draw(6));
        s.outputs = s.groups * (draw(2) ? 1 : 1 + (int32_t)draw(4));
    }
    s.kernel_h = 1 + (int32_t)draw(3);
    s.kernel_w = draw(3) ? s.kernel_h : 1 + (int32_t)draw(5);
    s.stride = 1 + (int32_t)(draw(3) == 0);
    s.width = widths[draw(13)];
    s.height = draw(2) ? s.width : 1 + (int32_t)draw(5);
    s.border = (int32_t)draw(3);
    s.images = 1 + (int32_t)draw(3);
    s.kind = (weight_kind)draw(KINDS);
    s.residual = draw(3) == 0;
    s.logits = !s.residual && draw(6) == 0;
    return s;
}

int main(void) {
    const path reference = {"reference", gs_prepare_reference};
    path paths[4];
    int count = 0, wrong = 0;
#if defined(GS_HAVE_AVX2)
    if (gs_has_isa("avx2"))
        paths[count++] = (path){"avx2", gs_prepare_avx2};
#endif
#if defined(GS_HAVE_VNNI)
    if (gs_has_isa("vnni"))
        paths[count++] = (path){"vnni", gs_prepare_vnni};
#endif
#if defined(GS_HAVE_AMX)
    if (gs_has_isa("amx"))
        paths[count++] = (path){"amx", gs_prepare_amx};
#endif
#if defined(GS_HAVE_EMULATED_AMX)
    int gs_prepare_emulated_amx(gs_layer * layer);
    const int with_vnni = gs_has_isa("vnni"); /* AMX leaves grouped convolutions to VNNI */
    path emulated = {"emulated amx", gs_prepare_emulated_amx};
#endif
    for (int i = 0; i < 600; i++) {
        const shape s = draw_shape();
        wrong += compare(&s, &reference, paths, count);
#if defined(GS_HAVE_EMULATED_AMX)
        if (s.groups == 1 || with_vnni)
            wrong += compare(&s, &reference, &emulated, 1);
#endif
    }
    /* Large linear layers, from 4-bit codes: over a map, and with every number of images that share a reading. */
    for (int32_t images = 1; images <= 6; images++) {
        const shape s = {images == 2 ? 33 : 1027, 1040 - images, 1, images == 2 ? 6 : 1, images == 2 ? 6 : 1, 1, 1, 1,
                         0, images, images == 3, images == 4, images == 5 ? TERNARY : images == 6 ? INT8 : SHIFT4};
        wrong += compare(&s, &reference, paths, count);
    }
    printf("%d paths beside the reference:", count);
    for (int i = 0; i < count; i++)
        printf(" %s", paths[i].name);
#if defined(GS_HAVE_EMULATED_AMX)
    printf(" and AMX in emulation");
#endif
    printf(": %d differences\n", wrong);
    return wrong != 0;
}
