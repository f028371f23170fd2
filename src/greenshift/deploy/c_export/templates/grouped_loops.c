
/* Every output sees the channels of its group only. */
static void GROUPED_LOOPS(const uint8_t *patch, const convolution *layer, uint32_t *sums)
{
    const WEIGHT *w = layer->weights;
    int32_t channels = layer->in->channels, inputs = channels / layer->groups;
    int32_t outputs = layer->outputs / layer->groups, group, output, tap, i;
    for (group = 0; group < layer->groups; group++, patch += inputs)
        for (output = 0; output < outputs; output++) {
            const uint8_t *p = patch;
            int32_t sum = 0;
            for (tap = 0; tap < layer->taps; tap++, p += channels, w += inputs) {
                i = 0;
                do {
                    sum += p[i] * w[i];
                } while (++i < inputs);
            }
            *sums++ = (uint32_t)sum;
        }
}
