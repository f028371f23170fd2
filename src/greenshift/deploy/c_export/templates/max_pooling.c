
static void max_pooling_row(const pooling *p, int32_t row)
{
    int32_t channels = p->in->channels, x, c, ky, kx;
    uint8_t *out = row_of(p->out, row);
    find_rows(p->in, row * p->stride_y - p->top, p->kernel_height);
    for (x = 0; x < p->out->width; x++) {
        int32_t first = x * p->stride_x - p->left, last = first + p->kernel_width;
        if (first < 0)
            first = 0;
        if (last > p->in->width)
            last = p->in->width;
        for (c = 0; c < channels; c++) {
            uint8_t largest = 0;
            for (ky = 0; ky < p->kernel_height; ky++)
                for (kx = first; kernel_rows[ky] && kx < last; kx++) {
                    uint8_t byte = kernel_rows[ky][kx * channels + c];
                    if (byte > largest)
                        largest = byte;
                }
            *out++ = largest;
        }
    }
}
