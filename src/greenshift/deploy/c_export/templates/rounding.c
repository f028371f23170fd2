
/* rint of the float32 product, ties to even. */
static int32_t rounded_product(int32_t sum, uint32_t multiplier, unsigned shift)
{
    uint64_t product = float_product(magnitude_of(sum), multiplier);
    uint64_t half = (uint64_t)1 << (shift - 1), rest = product & (2 * half - 1);
    uint32_t found = (uint32_t)(product >> shift);
    if (rest > half || (rest == half && (found & 1)))
        found++;
    return sum < 0 ? -(int32_t)found : (int32_t)found;
}
