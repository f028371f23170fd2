
static void average_pooling_row(const pooling *p, int32_t row)
{
    int32_t channels = p->in->channels, zero = p->out->zero, x, c, ky, kx;
    int32_t offset = p->in->zero * p->kernel_height * p->kernel_width;
    uint8_t *out = row_of(p->out, row);
    find_rows(p->in, row * p->stride_y, p->kernel_height);
    for (x = 0; x < p->out->width; x++)
        for (c = 0; c < channels; c++) {
            int32_t sum = -offset, byte;
            for (ky = 0; ky < p->kernel_height; ky++) {
                const uint8_t *q = kernel_rows[ky] + x * p->stride_x * channels + c;
                for (kx = 0; kx < p->kernel_width; kx++, q += channels)
                    sum += *q;
            }
            byte = rounded_product(sum, p->multiplier, p->shift) + zero;
            *out++ = byte < 0 ? 0 : byte > 255 ? 255 : (uint8_t)byte;
        }
}
