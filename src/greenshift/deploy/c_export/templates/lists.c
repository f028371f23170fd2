
/* Distances between the inputs to add, then of those to subtract, for every power of two from the largest on. */
static void LISTS(const uint8_t *patch, const convolution *layer, uint32_t *sums)
{
    const ENTRY *list = layer->weights;
    uint32_t *last = sums + layer->outputs;
    while (sums != last) {
        uint32_t sum = 0;
        int32_t level, count;
        for (level = 0; level < layer->levels; level++) {
            const uint8_t *p = patch;
            sum <<= 1;
            for (count = *list++; count >= 4; count -= 4, list += 4) {
                p += list[0];
                sum += *p;
                p += list[1];
                sum += *p;
                p += list[2];
                sum += *p;
                p += list[3];
                sum += *p;
            }
            for (; count > 0; count--) {
                p += *list++;
                sum += *p;
            }
            p = patch;
            for (count = *list++; count >= 4; count -= 4, list += 4) {
                p += list[0];
                sum -= *p;
                p += list[1];
                sum -= *p;
                p += list[2];
                sum -= *p;
                p += list[3];
                sum -= *p;
            }
            for (; count > 0; count--) {
                p += *list++;
                sum -= *p;
            }
        }
        *sums++ = sum;
    }
}
