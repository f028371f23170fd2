
/* The byte of a sum that is neither clipped low nor high, so that the product lies within -256 and 256.
   Such products are rounded exactly unless they are within 2^-17 of a tie, and float32 agrees. */
static int32_t scaled(int32_t sum, const channel *c)
{
    unsigned shift = c->shift;
    if (c->width == 0) {
        uint32_t mask = ((uint32_t)1 << shift) - 1, near = shift > 16 ? (uint32_t)1 << (shift - 17) : 0;
        uint32_t lifted = (uint32_t)sum * c->multiplier + ((uint32_t)513 << (shift - 1));
        if (((lifted + near) & mask) > 2 * near)
            return (int32_t)(lifted >> shift) - 256;
    } else if (c->width == 1) {
        uint64_t mask = ((uint64_t)1 << shift) - 1, near = shift > 16 ? (uint64_t)1 << (shift - 17) : 0;
        uint64_t lifted = (uint64_t)((int64_t)sum * c->multiplier) + ((uint64_t)513 << (shift - 1));
        if (((lifted + near) & mask) > 2 * near)
            return (int32_t)(lifted >> shift) - 256;
    }
    return rounded_product(sum, c->multiplier, shift);
}

static void requantise(const convolution *layer, const uint32_t *sums, uint8_t *out)
{
    const channel *c = layer->channel, *end = c + layer->outputs;
    for (; c != end; c++) {
        int32_t sum = (int32_t)(*sums++ + (uint32_t)c->bias);
        if (sum <= c->low_at)
            *out++ = layer->low;
        else if (sum >= c->high_at)
            *out++ = layer->high;
        else
            *out++ = (uint8_t)(scaled(sum, c) + layer->out->zero);
    }
}

static void convolution_row(const convolution *layer, int32_t row)
{
    uint32_t *sums = arena + SUMS_AT / 4;
    uint8_t *out = row_of(layer->out, row);
    int32_t x;
    find_rows(layer->in, row * layer->stride_y - layer->top, layer->kernel_height);
    for (x = 0; x < layer->out->width; x++, out += layer->outputs) {
        layer->sums(patch_at(layer, x), layer, sums);
        requantise(layer, sums, out);
    }
}
