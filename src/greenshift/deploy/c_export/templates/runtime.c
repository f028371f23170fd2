/* What every exported network shares. Maps are rings of rows: a row lives only while a later row needs it. */

typedef struct {
    uint32_t offset;            /* of the ring in the arena, in bytes; a multiple of 4, as is row_bytes */
    uint16_t depth;             /* rows that the ring holds */
    uint16_t row_bytes;
    uint16_t height, width, channels;
    uint16_t zero;              /* the byte that stands for zero */
} map;

typedef struct {
    int32_t bias;               /* less what the zero of the input adds */
    int32_t low_at, high_at;    /* sums up to low_at give the lowest byte, sums from high_at on the highest */
    uint16_t multiplier;        /* the factor is multiplier / 2^shift, exactly */
    uint8_t shift;
    uint8_t align;              /* shift + align = PRODUCT_BITS; or one of the values below */
} channel;

enum {
    PRODUCT_BITS = 22,          /* below the point, where 32 bits hold a product */
    NEEDS_64_BITS = 64,
    NEEDS_ROUNDING = 65         /* float32 cannot hold every sum */
};

typedef struct convolution convolution;
struct convolution {
    const map *in, *out;
    void (*sums)(const uint8_t *patch, const convolution *layer, uint32_t *sums);
    const void *weights;
    const channel *channel;
    uint16_t outputs, groups, fan_in, taps; /* fan_in: bytes of a patch; taps: kernel height x width */
    uint16_t kernel_height, kernel_width;
    uint16_t levels;            /* powers of two of lists; where bits are counted, what 1 adds to a sum */
    uint8_t stride_y, stride_x, top, left, low, high;
    uint8_t direct;             /* the patch lies in the map as it is */
};

typedef struct {
    const map *in, *out;
    uint16_t kernel_height, kernel_width;
    uint8_t stride_y, stride_x, top, left;
    uint32_t multiplier;
    uint8_t shift;
    int32_t *totals;            /* of each channel, for a mean over a whole map */
} pooling;

typedef struct {
    const map *left, *right, *out;
    uint8_t left_shift, right_shift, shift, low, high;
} addition;

static uint32_t arena[ARENA_BYTES / 4];
static const uint8_t *kernel_rows[MOST_KERNEL_ROWS];
#ifdef COUNTS_BITS
static int32_t kernel_column;
#endif

static uint8_t *bytes_at(uint32_t offset)
{
    return (uint8_t *)arena + offset;
}

static uint8_t *row_of(const map *m, int32_t row)
{
    uint32_t slot = m->depth == m->height ? (uint32_t)row : (uint32_t)row % m->depth;
    return bytes_at(m->offset + slot * m->row_bytes);
}

static void find_rows(const map *m, int32_t first, int32_t count)
{
    int32_t i;
    for (i = 0; i < count; i++) {
        int32_t row = first + i;
        kernel_rows[i] = row < 0 || row >= m->height ? 0 : row_of(m, row);
    }
}

/* ---- float32 arithmetic in integers ---- */

static uint64_t round_to_float(uint64_t value)
{
    unsigned excess = 0;
    uint64_t rest, half;
    while (value >> (24 + excess))
        excess++;
    if (excess == 0)
        return value;
    half = (uint64_t)1 << (excess - 1);
    rest = value & (2 * half - 1);
    value >>= excess;
    if (rest > half || (rest == half && (value & 1)))
        value++;
    return value << excess;
}

/* |float32(sum) * (multiplier / 2^shift)| times 2^shift, after both roundings of float32. */
static uint64_t float_product(uint32_t magnitude, uint32_t multiplier)
{
    return round_to_float(round_to_float(magnitude) * multiplier);
}

static uint32_t magnitude_of(int32_t value)
{
    return value < 0 ? 0u - (uint32_t)value : (uint32_t)value;
}

/* The bits of float32(sum) * multiplier. */
static uint32_t float_bits(int32_t sum, const channel *c)
{
    uint64_t product = float_product(magnitude_of(sum), c->multiplier);
    uint32_t exponent = 127 + 23 - c->shift;
    if (product == 0)
        return 0;
    for (; product >> 24; product >>= 1)
        exponent++;
    for (; !(product >> 23); product <<= 1)
        exponent--;
    return (sum < 0 ? 0x80000000u : 0u) | exponent << 23 | ((uint32_t)product & 0x7fffffu);
}

static void give_logits(const convolution *layer, const uint32_t *sums, float *logits)
{
    union {
        uint32_t bits;
        float value;
    } found;
    int32_t i;
    for (i = 0; i < layer->outputs; i++) {
        found.bits = float_bits((int32_t)(sums[i] + (uint32_t)layer->channel[i].bias), &layer->channel[i]);
        logits[i] = found.value;
    }
}

/* ---- convolutions ---- */

static void copy(uint8_t *to, const uint8_t *from, int32_t count, int words)
{
    if (words) {
        uint32_t *target = (uint32_t *)(void *)to;
        const uint32_t *source = (const uint32_t *)(const void *)from, *end = source + count / 4;
        for (; end - source >= 4; source += 4, target += 4) {
            uint32_t a = source[0], b = source[1], c = source[2], d = source[3];
            target[0] = a, target[1] = b, target[2] = c, target[3] = d;
        }
        while (source != end)
            *target++ = *source++;
    } else {
        const uint8_t *end = from + count;
        while (from != end)
            *to++ = *from++;
    }
}

static void fill(uint8_t *to, int32_t count, uint8_t value)
{
    while (count-- > 0)
        *to++ = value;
}

static void gather(const convolution *layer, int32_t column)
{
    const map *in = layer->in;
    int32_t channels = in->channels, span = layer->kernel_width * channels, y;
    int32_t before = column < 0 ? -column : 0, after = column + layer->kernel_width - in->width;
    int words = !(channels & 3);
    uint8_t *patch = bytes_at(PATCH_AT);
    if (after < 0)
        after = 0;
    for (y = 0; y < layer->kernel_height; y++, patch += span) {
        const uint8_t *row = kernel_rows[y];
        if (!row) {
            fill(patch, span, (uint8_t)in->zero);
            continue;
        }
        if (before)
            fill(patch, before * channels, (uint8_t)in->zero);
        copy(patch + before * channels, row + (column + before) * channels, span - (before + after) * channels, words);
        if (after)
            fill(patch + span - after * channels, after * channels, (uint8_t)in->zero);
    }
}

static const uint8_t *patch_at(const convolution *layer, int32_t x)
{
    int32_t column = x * layer->stride_x - layer->left;
#ifdef COUNTS_BITS
    kernel_column = column;
#endif
    if (layer->direct)
        return kernel_rows[0] + column * layer->in->channels;
    gather(layer, column);
    return bytes_at(PATCH_AT);
}

static void logits_of(const convolution *layer, float *logits)
{
    uint32_t *sums = arena + SUMS_AT / 4;
    find_rows(layer->in, -(int32_t)layer->top, layer->kernel_height);
    layer->sums(patch_at(layer, 0), layer, sums);
    give_logits(layer, sums, logits);
}
