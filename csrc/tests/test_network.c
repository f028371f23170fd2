/* Every instruction set of this processor gives the bytes of the plain C kernels, on a small network with every kind of
 * step; and ops that are no network are refused. Built with sanitizers, it also finds reads and writes out of place. */
#include "../greenshift.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 16, BATCH = 3, CLASSES = 10, MOST = 1 << 15 };

static uint32_t state;

static uint32_t draw(void) {
    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

/* Weights that a layer may have: shifts of 4 and 5 bits, any byte, -1, 0 and 1. */
enum { SHIFT4, SHIFT5, INT8, TERNARY };

static int16_t draw_weight(int kind) {
    const int sign = draw() % 2 ? 1 : -1;
    switch (kind) {
    case SHIFT4:
        return (int16_t)(sign * (1 << draw() % 7));
    case SHIFT5:
        return (int16_t)(sign * (1 << draw() % 14));
    case INT8:
        return (int16_t)((int)(draw() % 256) - 128);
    default:
        return (int16_t)((int)(draw() % 3) - 1);
    }
}

typedef struct {
    gs_op ops[STEPS];
    int32_t sources[STEPS][2];
    int32_t count;
    uint8_t tables[3 * 256];
    int16_t *weights[STEPS];
    int32_t bias[STEPS][64];
    float multiplier[STEPS][64];
} net;

static gs_op *append(net *n, int32_t kind, int32_t a, int32_t b) {
    gs_op *op = n->ops + n->count;
    memset(op, 0, sizeof *op);
    op->kind = kind;
    n->sources[n->count][0] = a;
    n->sources[n->count][1] = b;
    op->sources = n->sources[n->count];
    op->source_count = kind == GS_INPUT ? 0 : b < 0 ? 1 : 2;
    op->exponent = -5;
    op->high = 255;
    if (a >= 0) {
        op->height = n->ops[a].height;
        op->width = n->ops[a].width;
        op->channels = n->ops[a].channels;
        op->zero = n->ops[a].zero;
        op->exponent = n->ops[a].exponent;
    }
    n->count++;
    return op;
}

static void set_window(gs_op *op, int32_t kernel, int32_t stride, int32_t padding) {
    op->kernel_h = op->kernel_w = kernel;
    op->stride_h = op->stride_w = stride;
    op->top = op->left = op->bottom = op->right = padding;
    op->height = (op->height + 2 * padding - kernel) / stride + 1;
    op->width = (op->width + 2 * padding - kernel) / stride + 1;
}

static gs_op *convolve(net *n, int32_t source, int32_t outputs, int32_t kernel, int32_t stride, int32_t groups,
                       int kind) {
    const int32_t index = n->count, inputs = n->ops[source].channels / groups;
    gs_op *op = append(n, GS_CONVOLUTION, source, -1);
    set_window(op, kernel, stride, kernel / 2);
    const int32_t count = outputs * kernel * kernel * inputs;
    op->channels = outputs;
    op->groups = groups;
    op->weight_bytes = 2;
    op->weight = n->weights[index] = malloc((size_t)count * sizeof(int16_t));
    for (int32_t i = 0; i < count; i++)
        n->weights[index][i] = draw_weight(kind);
    for (int32_t i = 0; i < outputs; i++) {
        n->bias[index][i] = (int32_t)(draw() % 2000) - 1000;
        n->multiplier[index][i] = (float)(1 + draw() % 1024) / (kind == SHIFT5 ? 1 << 24 : 1 << 17);
    }
    op->bias = n->bias[index];
    op->multiplier = n->multiplier[index];
    return op;
}

static void linear(net *n, int32_t source, int32_t outputs, int kind) {
    const int32_t side = n->ops[source].height;
    gs_op *op = convolve(n, source, outputs, side, 1, 1, kind);
    op->top = op->left = op->bottom = op->right = 0;
    op->height = op->width = 1;
}

/* An odd side for every map, so that nothing lines up. */
static void build(net *n) {
    memset(n, 0, sizeof *n);
    for (int i = 0; i < 3 * 256; i++)
        n->tables[i] = (uint8_t)draw();
    gs_op *op = append(n, GS_INPUT, -1, -1); /* 0 */
    op->height = op->width = 15;
    op->channels = 3;
    op->zero = 128;
    op->table = n->tables;
    convolve(n, 0, 19, 3, 1, 1, INT8)->zero = 0;      /* 1 */
    convolve(n, 1, 19, 3, 1, 19, SHIFT4)->zero = 128; /* 2: depthwise, fused into 3 */
    op = append(n, GS_ADDITION, 1, 2);                /* 3 */
    op->zero = 0;
    set_window(append(n, GS_MAX_POOLING, 3, -1), 3, 2, 1);            /* 4: 8 x 8 */
    convolve(n, 4, 24, 3, 1, 1, SHIFT5)->high = 200;                  /* 5 */
    append(n, GS_LOOKUP, 5, -1)->table = n->tables;                   /* 6 */
    convolve(n, 6, 40, 5, 2, 8, TERNARY);                             /* 7: groups, 4 x 4 */
    op = append(n, GS_SUBSAMPLING, 5, -1);                            /* 8 */
    op->stride_h = op->stride_w = 2;
    op->height = op->width = 4;
    op->before = 5;
    op->channels = 40;
    append(n, GS_ADDITION, 7, 8);                                     /* 9 */
    append(n, GS_CONCATENATION, 9, 7)->channels = 80;                 /* 10 */
    convolve(n, 10, 33, 1, 1, 1, TERNARY);                            /* 11 */
    set_window(append(n, GS_AVERAGE_POOLING, 11, -1), 2, 1, 0);       /* 12: 3 x 3 */
    linear(n, 12, 21, SHIFT4);                                        /* 13 */
    linear(n, 13, CLASSES, INT8);                                     /* 14 */
    n->ops[14].is_float = 1;
}

static void *aligned(size_t bytes, void **kept) {
    *kept = malloc(bytes + 64);
    return (void *)(((uintptr_t)*kept + 63) / 64 * 64);
}

static int run(const net *n, const char *isa, int32_t flags, const uint8_t *images, float *logits, uint8_t *maps) {
    char error[128] = "";
    gs_network *network = gs_create(n->ops, n->count, isa, flags, error, sizeof error);
    if (!network) {
        fprintf(stderr, "%s: %s\n", isa, error);
        return 1;
    }
    void *kept;
    void *arena = aligned(gs_arena_bytes(network, BATCH), &kept);
    gs_arena_prepare(network, BATCH, arena);
    gs_run(network, images, logits, 1, arena);
    gs_run(network, images, logits, BATCH, arena);
    for (int32_t i = 0; maps && i < n->count - 1; i++)
        if (gs_step_output(network, arena, BATCH, i, maps + (size_t)i * MOST))
            memset(maps + (size_t)i * MOST, 0, MOST);
    const int wrong = strcmp(gs_kernel(network), isa) != 0;
    gs_destroy(network);
    free(kept);
    return wrong;
}

static int compare(const net *n, const char *isa, const uint8_t *images) {
    float logits[2][BATCH * CLASSES];
    uint8_t *maps = calloc(2 * STEPS, MOST);
    int wrong = 0;
    const int32_t flags[] = {0, GS_KEEP_MAPS, GS_KEEP_MAPS | GS_NO_FUSION, GS_NO_FUSION};
    for (int i = 0; i < 4; i++) {
        wrong += run(n, "reference", flags[i], images, logits[0], maps);
        wrong += run(n, isa, flags[i], images, logits[1], maps + (size_t)STEPS * MOST);
        if (memcmp(logits[0], logits[1], sizeof logits[0]) != 0 ||
            memcmp(maps, maps + (size_t)STEPS * MOST, (size_t)STEPS * MOST) != 0) {
            fprintf(stderr, "%s differs from the reference with flags %d\n", isa, (int)flags[i]);
            wrong++;
        }
    }
    free(maps);
    return wrong;
}

static int refused(const gs_op *ops, int32_t count, const char *isa, const char *expected) {
    char error[128] = "";
    gs_network *network = gs_create(ops, count, isa, 0, error, sizeof error);
    gs_destroy(network);
    if (!network && strstr(error, expected))
        return 0;
    fprintf(stderr, "expected to be refused with '%s', found '%s'\n", expected, error);
    return 1;
}

static int check_refusals(net *n) {
    int wrong = refused(n->ops, n->count, "none", "instruction set");
    wrong += refused(n->ops, 0, NULL, "no steps");
    wrong += refused(n->ops, n->count - 1, NULL, "must give logits");
    wrong += refused(n->ops + 1, n->count - 1, NULL, "must be the input");
    n->sources[3][0] = 3;
    wrong += refused(n->ops, n->count, NULL, "does not come before it");
    n->sources[3][0] = 1;
    n->ops[4].height++;
    wrong += refused(n->ops, n->count, NULL, "pooling");
    n->ops[4].height--;
    n->ops[7].groups = 7;
    wrong += refused(n->ops, n->count, NULL, "groups");
    n->ops[7].groups = 8;
    n->weights[5][0] = 1000;
    wrong += refused(n->ops, n->count, NULL, "neither a signed byte");
    n->weights[5][0] = 0;
    return wrong;
}

int main(void) {
    static net n;
    static const char *const isas[] = {"avx2", "vnni", "amx"};
    int wrong = 0;
    for (state = 1; state < 4000000000u && wrong == 0; state += 1000000007u) {
        const uint32_t seed = state;
        build(&n);
        uint8_t *images = malloc(BATCH * 15 * 15 * 3);
        for (int i = 0; i < BATCH * 15 * 15 * 3; i++)
            images[i] = (uint8_t)draw();
        for (size_t i = 0; i < sizeof isas / sizeof isas[0]; i++)
            if (gs_has_isa(isas[i]))
                wrong += compare(&n, isas[i], images);
        wrong += check_refusals(&n);
        for (int i = 0; i < STEPS; i++)
            free(n.weights[i]);
        free(images);
        state = seed;
    }
    printf("%s; best here: %s\n", wrong ? "failed" : "passed", gs_best_isa());
    return wrong != 0;
}
