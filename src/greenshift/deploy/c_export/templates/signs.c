
/* One bit for each value: 1 from the threshold on. */
static void sign_row(const map *in, const map *m, int32_t threshold, int32_t row)
{
    const uint8_t *from = row_of(in, row);
    uint8_t *out = row_of(m, row), *end = out + m->width * m->channels;
    while (out != end) {
        uint32_t bits = 0;
        int32_t i;
        for (i = 0; i < 8; i++)
            bits = bits >> 1 | (*from++ >= threshold ? 0x80u : 0);
        *out++ = (uint8_t)bits;
    }
}
