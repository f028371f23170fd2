
/* The byte of a sum that is neither clipped low nor high, so that the product lies within -256 and 256.
   Such products are rounded exactly unless they are within 2^-17 of a tie, and float32 agrees. */
SELDOM static int32_t scaled_wide(int32_t sum, const channel *c)
{
    unsigned shift = c->shift;
    if (c->align == NEEDS_64_BITS) {
        uint64_t lifted = (uint64_t)((int64_t)sum * c->multiplier) + ((uint64_t)513 << (shift - 1));
        uint64_t fraction = lifted << (64 - shift);
        if (fraction + ((uint64_t)1 << 47) > (uint64_t)1 << 48)
            return (int32_t)(lifted >> shift) - 256;
    }
    return rounded_product(sum, c->multiplier, shift);
}

static int32_t scaled(int32_t sum, const channel *c)
{
    if (c->align <= PRODUCT_BITS) {
        uint32_t lifted = ((uint32_t)sum << c->align) * c->multiplier + ((uint32_t)513 << (PRODUCT_BITS - 1));
        if ((lifted << (32 - PRODUCT_BITS)) + 0x8000u > 0x10000u) /* no tie within 2^15 / 2^32 */
            return (int32_t)(lifted >> PRODUCT_BITS) - 256;
    }
    return scaled_wide(sum, c);
}

static void requantise(const convolution *layer, const uint32_t *sums, uint8_t *out)
{
    const channel *c = layer->channel, *end = c + layer->outputs;
    for (; c != end; c++, out++) {
        int32_t sum = (int32_t)(*sums++ + (uint32_t)c->bias);
        if (sum <= c->low_at)
            *out = layer->low;
        else if (sum >= c->high_at)
            *out = layer->high;
        else
            *out = (uint8_t)(scaled(sum, c) + layer->out->zero);
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
