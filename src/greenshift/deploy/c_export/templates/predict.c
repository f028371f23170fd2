
#ifdef GREENSHIFT_TRACE
uint32_t network_trace[NETWORK_STEPS];

static void trace(int32_t step, int32_t row)
{
    uint32_t checksum = row ? network_trace[step] : 0;
    if (step < NETWORK_STEPS - 1) {
        const uint8_t *byte = row_of(&maps[step], row), *end = byte + maps[step].width * maps[step].channels;
        while (byte != end)
            checksum += (checksum << 5) + *byte++;
    }
    network_trace[step] = checksum;
}
#endif

void network_predict(const uint8_t *image, float *logits)
{
    static uint16_t next_row[NETWORK_STEPS];
    const uint8_t *step;
    int32_t i;
    for (i = 0; i < NETWORK_STEPS; i++)
        next_row[i] = 0;
    for (step = row_order; step != row_order + sizeof row_order; step++) {
        int32_t row = compute_row(*step, next_row[*step]++, image, logits);
#ifdef GREENSHIFT_TRACE
        if (row >= 0)
            trace(*step, row);
#else
        (void)row;
#endif
    }
}

int32_t network_class(const float *logits)
{
    union {
        float value;
        uint32_t bits;
    } logit;
    int32_t i, best = 0;
    uint32_t largest = 0;
    for (i = 0; i < NETWORK_CLASSES; i++) {
        logit.value = logits[i];
        logit.bits = logit.bits >> 31 ? ~logit.bits : logit.bits | 0x80000000u; /* in the order of the floats */
        if (logit.bits > largest) {
            largest = logit.bits;
            best = i;
        }
    }
    return best;
}
