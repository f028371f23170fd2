
/* Every stride-th pixel of a row among the channels of another map. */
static void place(const map *in, const map *m, int32_t row, int32_t stride, int32_t before)
{
    const uint8_t *from = row_of(in, row * stride);
    uint8_t *out = row_of(m, row) + before;
    int32_t x;
    for (x = 0; x < m->width; x++, from += stride * in->channels, out += m->channels)
        copy(out, from, in->channels, 0);
}
