
static uint32_t bits_of(float value)
{
    union {
        float value;
        uint32_t bits;
    } found;
    found.value = value;
    return found.bits;
}

int main(void)
{
    static float logits[NETWORK_CLASSES];
    int32_t image, i;
    for (image = 0; image < IMAGES; image++) {
        network_predict(images[image], logits);
#ifdef GREENSHIFT_TRACE
        for (i = 0; i < NETWORK_STEPS; i++)
            if (network_trace[i] != checksums[image][i])
                return 2;
#endif
        for (i = 0; i < NETWORK_CLASSES; i++)
            if (bits_of(logits[i]) != expected[image][i])
                return 1;
        if (network_class(logits) != classes[image])
            return 1;
    }
    return 0;
}
