
/* Ones for what lies on the map and zeros for the rest of the patch; returns how many ones. */
static uint32_t mask_patch(const convolution *layer, uint8_t *mask)
{
    static uint32_t values;
    int32_t channels = layer->in->channels, after = kernel_column + layer->kernel_width, x, y;
    if (kernel_column >= layer->stride_x && after <= layer->in->width)
        return values; /* as one column before: the row is the same, and neither side is reached */
    values = 0;
    for (y = 0; y < layer->kernel_height; y++)
        for (x = kernel_column; x < after; x++, mask += channels) {
            int on_map = kernel_rows[y] && x >= 0 && x < layer->in->width;
            fill(mask, channels, on_map ? 255 : 0);
            values += on_map ? 8 * (uint32_t)channels : 0;
        }
    fill(mask, -(int32_t)layer->fan_in & 3, 0);
    return values;
}

/* Number of ones among the bits of some words; at most 31 words, so that the count of a byte fits a byte. */
static uint32_t differing(const uint32_t *x, const uint32_t *w, const uint32_t *m, const uint32_t *end)
{
    uint32_t bytes = 0;
    do {
        uint32_t bits = (*x++ ^ *w++) & *m++;
        bits -= bits >> 1 & 0x55555555u;
        bits = (bits & 0x33333333u) + (bits >> 2 & 0x33333333u);
        bytes += (bits + (bits >> 4)) & 0x0f0f0f0fu;
    } while (x != end);
    bytes = (bytes & 0x00ff00ffu) + (bytes >> 8 & 0x00ff00ffu);
    return (bytes + (bytes >> 16)) & 0xffffu;
}

/* Sums of products of signs: values under the kernel, less twice those whose sign is not that of the weight. */
static void POPCOUNT(const uint8_t *patch, const convolution *layer, uint32_t *sums)
{
    const uint32_t *x = (const uint32_t *)(const void *)patch, *w = layer->weights;
    uint32_t words = (layer->fan_in + 3u) / 4, *mask = (uint32_t *)(void *)bytes_at(PATCH_AT) + words;
    uint32_t values = mask_patch(layer, (uint8_t *)mask) * layer->levels, at, step;
    int32_t i;
    for (i = 0; i < layer->outputs; i++)
        sums[i] = values;
    for (at = 0; at < words; at += step) {
        step = words - at < 31 ? words - at : 31;
        for (i = 0; i < layer->outputs; i++)
            sums[i] -= 2 * layer->levels * differing(x + at, w + at + (uint32_t)i * words, mask + at, x + at + step);
    }
}
