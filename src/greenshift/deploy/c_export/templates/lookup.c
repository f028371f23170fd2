
static void lookup_row(const map *in, const map *m, const uint8_t *table, int32_t row)
{
    const uint8_t *from = row_of(in, row);
    uint8_t *out = row_of(m, row), *end = out + m->width * m->channels;
    while (out != end)
        *out++ = table[*from++];
}
