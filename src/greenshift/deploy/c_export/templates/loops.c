
/* Weights of four outputs side by side. */
static void LOOPS(const uint8_t *patch, const convolution *layer, uint32_t *sums)
{
    const WEIGHT *w = layer->weights;
    const uint8_t *end = patch + layer->fan_in;
    uint32_t *last = sums + layer->outputs;
    while (sums < last) {
        const uint8_t *p = patch;
        int32_t a = 0, b = 0, c = 0, d = 0;
        do {
            int32_t x = *p++;
            a += x * w[0];
            b += x * w[1];
            c += x * w[2];
            d += x * w[3];
            w += 4;
        } while (p != end);
        sums[0] = (uint32_t)a;
        sums[1] = (uint32_t)b;
        sums[2] = (uint32_t)c;
        sums[3] = (uint32_t)d;
        sums += 4;
    }
}
