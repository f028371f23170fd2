/* Packs large linear layers as 4-bit codes. */
#include "linear.h"

#include <string.h>

enum { VALUES = 16 };

/* Finds the code of every weight value; 0 is always one of the values. Returns 0 if there are too many. */
static int find_values(const gs_layer *layer, size_t count, int8_t values[VALUES], uint8_t code_of[256]) {
    int used = 1;
    uint8_t seen[256] = {0};
    memset(values, 0, VALUES);
    seen[0] = 1;
    code_of[0] = 0;
    for (size_t i = 0; i < count; i++) {
        const uint8_t byte = (uint8_t)layer->weight[i];
        if (seen[byte])
            continue;
        if (used == VALUES)
            return 0;
        seen[byte] = 1;
        code_of[byte] = (uint8_t)used;
        values[used++] = (int8_t)layer->weight[i];
    }
    return 1;
}

static void pack_output(const gs_layer *layer, int32_t output, const uint8_t code_of[256], gs_codes *codes) {
    const size_t row = (size_t)codes->steps * GS_ALIGN, rows = (size_t)layer->kernel_h;
    uint8_t *block = codes->codes + (size_t)(output / GS_BLOCK) * rows * row;
    const int16_t *weight =
        layer->weight + (size_t)output * rows * (size_t)layer->kernel_w * (size_t)layer->inputs;
    for (int32_t v = 0; v < layer->kernel_h; v++)
        for (int32_t u = 0; u < layer->kernel_w; u++)
            for (int32_t c = 0; c < layer->inputs; c++) {
                const size_t at = (size_t)u * (size_t)layer->source.pixel + (size_t)c;
                uint8_t *byte = block + (size_t)v * row + at / GS_LINEAR_STEP * GS_ALIGN +
                                (size_t)(output % GS_BLOCK) * 4 + at % 4;
                *byte |= (uint8_t)(code_of[(uint8_t)*weight++] << (at % GS_LINEAR_STEP / 4 * 4));
            }
}

int gs_pack_codes(gs_layer *layer, int32_t largest) {
    const size_t count =
        (size_t)layer->outputs * (size_t)layer->kernel_h * (size_t)layer->kernel_w * (size_t)layer->inputs;
    uint8_t code_of[256];
    int8_t values[VALUES];
    if (layer->height != 1 || layer->width != 1 || layer->groups != 1 || layer->largest > largest ||
        count < GS_LINEAR_LEAST_WEIGHTS || !find_values(layer, count, values, code_of))
        return 0;
    const size_t pair = 2 * GS_LINEAR_STEP, bytes = (size_t)layer->kernel_w * (size_t)layer->source.pixel;
    const size_t steps = (bytes + pair - 1) / pair * 2;
    const size_t blocks = ((size_t)layer->outputs + GS_BLOCK - 1) / GS_BLOCK;
    layer->packed_bytes = sizeof(gs_codes) + blocks * (size_t)layer->kernel_h * steps * GS_ALIGN;
    gs_codes *codes = layer->packed = gs_allocate(layer->packed_bytes);
    if (!codes)
        return -1;
    memcpy(codes->values, values, VALUES);
    codes->steps = (int32_t)steps;
    for (int32_t output = 0; output < layer->outputs; output++)
        pack_output(layer, output, code_of, codes);
    layer->kernel = "linear from 4-bit codes";
    return 1;
}
