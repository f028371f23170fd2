
static void addition_row(const addition *a, int32_t row)
{
    const uint8_t *left = row_of(a->left, row), *right = row_of(a->right, row);
    uint8_t *out = row_of(a->out, row), *end = out + a->out->width * a->out->channels;
    int32_t left_zero = a->left->zero, right_zero = a->right->zero, zero = a->out->zero - (LIFT >> a->shift);
    uint32_t mask = ((uint32_t)1 << a->shift) - 1, lift = LIFT + ((uint32_t)1 << (a->shift - 1));
    while (out != end) {
        uint32_t sum = ((uint32_t)(*left++ - left_zero) << a->left_shift) +
                       ((uint32_t)(*right++ - right_zero) << a->right_shift) + lift;
        uint32_t rounded = sum >> a->shift;
        int32_t byte;
        if ((sum & mask) == 0)
            rounded &= ~(uint32_t)1;
        byte = (int32_t)rounded + zero;
        *out++ = byte < a->low ? a->low : byte > a->high ? a->high : (uint8_t)byte;
    }
}
