/* Whether ops are a network: every index and shape that the runtime later relies on. */
#include "network.h"

enum { LARGEST_SIDE = 1 << 20 };

static int side_fits(int32_t side) {
    return side > 0 && side <= LARGEST_SIDE;
}

/* Whether windows of this kernel, stride and padding over `length` give `found` outputs. */
static int windows_fit(int32_t length, int32_t before, int32_t after, int32_t kernel, int32_t stride, int32_t found) {
    if (!side_fits(kernel) || !side_fits(stride) || before < 0 || after < 0 || before > LARGEST_SIDE ||
        after > LARGEST_SIDE)
        return 0;
    const int32_t room = length + before + after - kernel;
    return room >= 0 && room / stride + 1 == found;
}

static int same_shape(const gs_op *a, const gs_op *b) {
    return a->height == b->height && a->width == b->width && a->channels == b->channels;
}

static int weight_at(const gs_op *op, size_t index) {
    return op->weight_bytes == 1 ? ((const int8_t *)op->weight)[index] : ((const int16_t *)op->weight)[index];
}

static const char *check_weights(const gs_op *op, const gs_op *source) {
    if (!op->weight || !op->bias || !op->multiplier || (op->weight_bytes != 1 && op->weight_bytes != 2))
        return "a convolution lacks weights, bias or multiplier";
    const size_t count =
        (size_t)op->channels * (size_t)op->kernel_h * (size_t)op->kernel_w * (size_t)(source->channels / op->groups);
    for (size_t i = 0; i < count; i++) {
        const int weight = weight_at(op, i);
        /* Two planes of signed bytes: lo + 128 hi. */
        if ((weight < -128 || weight > 127) && (weight % 128 != 0 || weight < -127 * 128 || weight > 127 * 128))
            return "a weight is neither a signed byte nor a multiple of 128";
    }
    return NULL;
}

static const char *check_convolution(const gs_op *op, const gs_op *source) {
    if (op->groups < 1 || source->channels % op->groups || op->channels % op->groups)
        return "groups do not divide the channels of a convolution";
    if (!windows_fit(source->height, op->top, op->bottom, op->kernel_h, op->stride_h, op->height) ||
        !windows_fit(source->width, op->left, op->right, op->kernel_w, op->stride_w, op->width))
        return "the shape of a convolution does not follow from its source";
    return check_weights(op, source);
}

static const char *check_windows(const gs_op *op, const gs_op *source) {
    if (op->channels != source->channels ||
        !windows_fit(source->height, op->top, op->bottom, op->kernel_h, op->stride_h, op->height) ||
        !windows_fit(source->width, op->left, op->right, op->kernel_w, op->stride_w, op->width))
        return "the shape of a pooling does not follow from its source";
    if (op->kind == GS_AVERAGE_POOLING && (op->top || op->left || op->bottom || op->right))
        return "an average pooling has padding";
    return NULL;
}

static const char *check_subsampling(const gs_op *op, const gs_op *source) {
    if (!side_fits(op->stride_h) || op->stride_h != op->stride_w || op->before < 0 || op->before > LARGEST_SIDE ||
        op->before + source->channels > op->channels || (source->height - 1) / op->stride_h + 1 != op->height ||
        (source->width - 1) / op->stride_w + 1 != op->width)
        return "the shape of a subsampling does not follow from its source";
    return NULL;
}

static const char *check_concatenation(const gs_op *ops, const gs_op *op) {
    int64_t channels = 0;
    for (int32_t i = 0; i < op->source_count; i++) {
        const gs_op *source = ops + op->sources[i];
        if (source->height != op->height || source->width != op->width)
            return "maps of unequal size are concatenated";
        channels += source->channels;
    }
    return channels == op->channels ? NULL : "the channels of a concatenation are not those of its sources";
}

static const char *check_sources(const gs_op *ops, int32_t index) {
    const gs_op *op = ops + index;
    const int32_t wanted = op->kind == GS_INPUT ? 0 : op->kind == GS_ADDITION ? 2 : 1;
    if (op->kind == GS_CONCATENATION ? op->source_count < 1 : op->source_count != wanted)
        return "a step has the wrong number of sources";
    if ((op->kind == GS_INPUT) != (index == 0))
        return "the first step, and only it, must be the input";
    for (int32_t i = 0; i < op->source_count; i++) {
        if (!op->sources || op->sources[i] < 0 || op->sources[i] >= index)
            return "a step reads a step that does not come before it";
        if (ops[op->sources[i]].is_float)
            return "a step reads logits";
    }
    return NULL;
}

static const char *check_values(const gs_op *op) {
    if (!side_fits(op->height) || !side_fits(op->width) || !side_fits(op->channels))
        return "a shape is not positive or too large";
    if (op->is_float)
        return op->kind == GS_CONVOLUTION ? NULL : "logits come from something other than a convolution";
    if (op->zero < 0 || op->zero > 255 || op->exponent < -60 || op->exponent > 60)
        return "a grid is out of range";
    if ((op->kind == GS_CONVOLUTION || op->kind == GS_ADDITION) &&
        (op->low < 0 || op->high > 255 || op->low > op->high))
        return "the limits of a step are not bytes in order";
    if ((op->kind == GS_INPUT || op->kind == GS_LOOKUP) && !op->table)
        return "a step lacks its table";
    return NULL;
}

const char *gs_check(const gs_op *ops, int32_t index) {
    const gs_op *op = ops + index;
    if (op->kind < GS_INPUT || op->kind > GS_CONCATENATION)
        return "a step is of no known kind";
    const char *wrong = check_sources(ops, index);
    if (!wrong)
        wrong = check_values(op);
    if (wrong || op->kind == GS_INPUT)
        return wrong;
    const gs_op *source = ops + op->sources[0];
    switch (op->kind) {
    case GS_CONVOLUTION:
        return check_convolution(op, source);
    case GS_ADDITION:
        return same_shape(op, source) && same_shape(op, ops + op->sources[1]) ? NULL
                                                                                : "maps of unequal shape are added";
    case GS_MAX_POOLING:
    case GS_AVERAGE_POOLING:
        return check_windows(op, source);
    case GS_LOOKUP:
        return same_shape(op, source) ? NULL : "a lookup changes the shape";
    case GS_SUBSAMPLING:
        return check_subsampling(op, source);
    default:
        return check_concatenation(ops, op);
    }
}
