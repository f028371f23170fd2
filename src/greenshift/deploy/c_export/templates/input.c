
static void input_row(const uint8_t *image, int32_t row)
{
    const map *m = &maps[0];
    uint8_t *out = row_of(m, row), *end = out + m->width * m->channels;
    const uint8_t *in = image + row * m->width * m->channels;
    while (out != end) {
        const uint8_t *table = input_table, *stop = input_table + 256 * m->channels;
        for (; table != stop; table += 256)
            *out++ = table[*in++];
    }
}
