/* The loop over blocks and images of a linear layer from codes; GS_SUM_BLOCK sums a block in the including file.
 *
 * A block's codes are read from memory once: the images of a batch take turns on them in the first or second cache. */

static void convolve(const gs_layer *layer, const gs_call *call) {
    const gs_codes *codes = layer->packed;
    const size_t block = (size_t)layer->kernel_h * (size_t)codes->steps * GS_ALIGN;
    int32_t sums[GS_LINEAR_TOGETHER][GS_BLOCK];
    for (int32_t first = 0; first < layer->outputs; first += GS_BLOCK) {
        const uint8_t *code = codes->codes + (size_t)(first / GS_BLOCK) * block;
        for (int32_t image = 0; image < call->images; image += GS_LINEAR_TOGETHER) {
            const int32_t left = call->images - image;
            const uint8_t *source = call->source + image * layer->source.image;
            switch (left) {
            case 1: GS_SUM_BLOCK(layer, code, source, 1, sums); break;
            case 2: GS_SUM_BLOCK(layer, code, source, 2, sums); break;
            case 3: GS_SUM_BLOCK(layer, code, source, 3, sums); break;
            default: GS_SUM_BLOCK(layer, code, source, GS_LINEAR_TOGETHER, sums); break;
            }
            for (int32_t i = 0; i < GS_LINEAR_TOGETHER && i < left; i++) {
                const ptrdiff_t at = image + i;
                gs_finish_block(layer, first, sums[i],
                                call->residual ? call->residual + at * layer->residual.image + first : NULL,
                                call->logits ? NULL : call->output + at * layer->output.image + first,
                                call->logits ? call->logits + at * layer->outputs + first : NULL);
            }
        }
    }
}
