/* Splits a convolution into tiles. */
#include "tiles.h"

/* Outputs seen as lines of evenly spaced pixels: usually a row of a map. All rows are one line where their spacing
 * allows it (a kernel of 1x1 over maps without borders; maps one pixel wide), and outputs of a single pixel, those of
 * linear layers, form a line over the images. */
typedef struct {
    int32_t images, lines, pixels;
    gs_pitch source, output, residual; /* pixel: in a line; row: from line to line */
} gs_lines;

static int even(const gs_pitch *pitch, int32_t pixels) {
    return (int64_t)pitch->pixel * pixels == pitch->row;
}

static gs_lines find_lines(const gs_layer *layer, int32_t images) {
    gs_lines lines = {images, layer->height, layer->width, layer->source, layer->output, layer->residual};
    lines.source.pixel = layer->width > 1 ? lines.source.pixel * layer->stride_w : 0;
    lines.source.row = layer->height > 1 ? lines.source.row * layer->stride_h : 0;
    if (layer->width == 1) {
        lines.source.pixel = lines.source.row;
        lines.output.pixel = lines.output.row;
        lines.residual.pixel = lines.residual.row;
    }
    if (layer->width == 1 || (even(&lines.source, layer->width) && even(&lines.output, layer->width) &&
                              even(&lines.residual, layer->width))) {
        lines.pixels *= lines.lines;
        lines.lines = 1;
    }
    return lines;
}

int32_t gs_line_pixels(const gs_layer *layer, int32_t images) {
    const gs_lines lines = find_lines(layer, images);
    return lines.lines == 1 && lines.pixels == 1 ? images : lines.pixels;
}

/* Covers a line. What the largest tile leaves over is done by a smaller one, or by another large one that begins early
 * and computes some pixels a second time, whichever is less work. */
static void run_line(gs_tile_job job, int32_t pixels, const gs_tile_size *sizes) {
    const gs_tile_job start = job;
    for (int32_t x = 0; x < pixels;) {
        const int32_t left = pixels - x;
        const gs_tile_size *size = sizes;
        while (size->pixels > 1 && (left < size->pixels && (pixels < size->pixels || left <= size[1].pixels)))
            size++;
        if (left < size->pixels)
            x = pixels - size->pixels;
        job.source = start.source + x * job.source_step;
        job.residual = start.residual ? start.residual + x * job.residual_step : NULL;
        job.output = start.output ? start.output + x * job.output_step : NULL;
        job.logits = start.logits ? start.logits + x * job.logits_step : NULL;
        size->run(&job);
        x += size->pixels;
    }
}

static void run_blocks(gs_tile_job job, const gs_call *call, const gs_lines *lines, const gs_tile_size *sizes) {
    const uint8_t *source = call->source + job.packed->first[job.block];
    const ptrdiff_t logits_image = (ptrdiff_t)lines->lines * lines->pixels * job.layer->outputs;
    /* A linear layer: the images are the pixels. */
    if (lines->lines == 1 && lines->pixels == 1) {
        job.source = source;
        job.residual = call->residual;
        job.output = call->output;
        job.logits = call->logits;
        job.source_step = lines->source.image;
        job.output_step = lines->output.image;
        job.residual_step = lines->residual.image;
        run_line(job, lines->images, sizes);
        return;
    }
    for (int32_t image = 0; image < lines->images; image++)
        for (int32_t y = 0; y < lines->lines; y++) {
            job.source = source + image * lines->source.image + (ptrdiff_t)y * lines->source.row;
            job.residual = call->residual ? call->residual + image * lines->residual.image +
                                                (ptrdiff_t)y * lines->residual.row
                                          : NULL;
            job.output = call->output ? call->output + image * lines->output.image + (ptrdiff_t)y * lines->output.row
                                      : NULL;
            job.logits = call->logits ? call->logits + image * logits_image +
                                            (ptrdiff_t)y * lines->pixels * job.layer->outputs
                                      : NULL;
            run_line(job, lines->pixels, sizes);
        }
}

void gs_run_tiles(const gs_layer *layer, const gs_call *call, int32_t together, const gs_tile_size *many,
                  const gs_tile_size *single) {
    const gs_lines lines = find_lines(layer, call->images);
    const gs_packed *packed = layer->packed;
    gs_tile_job job = {0};
    job.layer = layer;
    job.packed = packed;
    job.source_step = lines.source.pixel;
    job.output_step = lines.output.pixel;
    job.residual_step = lines.residual.pixel;
    job.logits_step = layer->outputs;
    while (job.block < packed->blocks) {
        const int all = packed->blocks - job.block >= together;
        run_blocks(job, call, &lines, all ? many : single);
        job.block += all ? together : 1;
    }
}
