/* Runs a network of integers: images of bytes in, float32 logits out, the same to the bit on every processor.
 *
 * The arithmetic is that of src/greenshift/deploy/network.py. A network never changes after it was made, so any number
 * of threads may run one at the same time, each with an arena of its own. Running allocates nothing.
 */
#ifndef GREENSHIFT_H
#define GREENSHIFT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define GS_API __declspec(dllexport)
#else
#define GS_API __attribute__((visibility("default")))
#endif

enum {
    GS_INPUT,
    GS_CONVOLUTION,
    GS_ADDITION,
    GS_MAX_POOLING,
    GS_AVERAGE_POOLING,
    GS_LOOKUP,
    GS_SUBSAMPLING,
    GS_CONCATENATION
};

/* A step. Fields that its kind does not have are 0. Everything that it points to is copied by gs_create. */
typedef struct {
    int32_t kind;
    int32_t source_count;
    const int32_t *sources;          /* indices of earlier steps */
    int32_t height, width, channels; /* of the output */
    int32_t is_float;                /* 1: gives logits (the last step only), and has no grid */
    int32_t exponent, zero;          /* grid of the output */
    int32_t low, high;               /* smallest and largest byte that comes out: convolution, addition */
    int32_t kernel_h, kernel_w, stride_h, stride_w;
    int32_t top, left, bottom, right; /* padding */
    int32_t groups;
    int32_t before;       /* subsampling: channels of zeros in front */
    int32_t weight_bytes; /* 1: int8, 2: int16 */
    const void *weight;   /* (channels, kernel_h, kernel_w, inputs / groups) */
    const int32_t *bias;
    const float *multiplier;
    const uint8_t *table; /* input: (channels, 256); lookup: (256) */
} gs_op;

typedef struct gs_network gs_network;

enum {
    GS_KEEP_MAPS = 1, /* no map takes another's memory, so that gs_step_output can read all of them after a run */
    GS_NO_FUSION = 2  /* additions are steps of their own */
};

/* Makes a network. `isa` is "reference", "avx2", "vnni" or "amx", or NULL for the best that the processor has. Returns
 * NULL and one line in `error` if the ops are not a network, the processor lacks the ISA, or memory ran out. */
GS_API gs_network *gs_create(const gs_op *ops, int32_t count, const char *isa, int32_t flags, char *error,
                             size_t error_bytes);
GS_API void gs_destroy(gs_network *network);

/* Bytes of the arena for up to `batch` images at a time, and what to call once on such memory, which must be aligned to
 * 64 bytes. A prepared arena serves any number of runs of this network of up to that many images. */
GS_API size_t gs_arena_bytes(const gs_network *network, int32_t batch);
GS_API void gs_arena_prepare(const gs_network *network, int32_t batch, void *arena);

/* images: (batch, height, width, channels); logits: (batch, classes). */
GS_API void gs_run(const gs_network *network, const uint8_t *images, float *logits, int32_t batch, void *arena);

/* As gs_run, and adds the nanoseconds that every step took to `nanoseconds`, one figure per op. */
GS_API void gs_profile(const gs_network *network, const uint8_t *images, float *logits, int32_t batch, void *arena,
                       int64_t *nanoseconds);

/* The ISA that the network runs on, and the kernel of one step: NULL if another step does its work. */
GS_API const char *gs_kernel(const gs_network *network);
GS_API const char *gs_step_kernel(const gs_network *network, int32_t step);

/* The best ISA of this processor, and whether it has one. */
GS_API const char *gs_best_isa(void);
GS_API int32_t gs_has_isa(const char *isa);

/* For tests, after a run of a network made with GS_KEEP_MAPS: copies the map of a step, (batch, height, width,
 * channels). Returns -1 if there is none, because another step does its work or it gives logits. */
GS_API int32_t gs_step_output(const gs_network *network, const void *arena, int32_t batch, int32_t step,
                              uint8_t *output);

#ifdef __cplusplus
}
#endif

#endif
