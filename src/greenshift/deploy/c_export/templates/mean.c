
/* Adds a row to the totals; the last one turns them into means. */
static int32_t mean_turn(const pooling *p, int32_t turn)
{
    int32_t channels = p->in->channels, zero = p->out->zero, c, x;
    int32_t offset = p->in->zero * p->kernel_height * p->kernel_width, last = turn == p->kernel_height - 1;
    const uint8_t *row = row_of(p->in, turn);
    uint8_t *out = row_of(p->out, 0);
    for (c = 0; c < channels; c++, row++) {
        int32_t total = turn ? p->totals[c] : -offset;
        for (x = 0; x < p->kernel_width; x++)
            total += row[x * channels];
        p->totals[c] = total;
        if (last) {
            total = rounded_product(total, p->multiplier, p->shift) + zero;
            *out++ = total < 0 ? 0 : total > 255 ? 255 : (uint8_t)total;
        }
    }
    return last ? 0 : -1;
}
