/* Convolutions on AMX: tiles of 16 pixels by 64 bytes of the map, times 64 bytes by 16 outputs.
 *
 * A tile of pixels is loaded from the map itself: its rows lie `stride_w` pixels apart and overlap, so no column matrix is
 * ever written. Every tile of the map that is loaded serves two columns, which are two blocks of outputs or the two planes
 * of one, or three rows of outputs. Sums go through the first cache to the scaling.
 *
 * Compiled with GS_AMX_EMULATION it uses tests/amx_emulation.h in place of the instructions.
 */
#include "amx_finish.h"
#include "linear.h"

#if defined(GS_AMX_EMULATION)
#include "tests/amx_emulation.h"
#else
#include <immintrin.h>
#endif

enum { TILE_QUADS = 16, QUAD_BYTES = 4 * GS_BLOCK, PALETTE = 1, TILES = 8 };

/* Weights of a layer: for each column, which is a plane of a block, `taps` kernel rows of `chunks` tiles. */
typedef struct {
    int32_t columns, planes, taps, chunks, quads; /* quads: rows of a weight tile, a quarter of the bytes of a map's */
    size_t tile, column;                          /* bytes */
    int8_t *weight;
} gs_tiled;

typedef struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t bytes_per_row[16];
    uint8_t rows[16];
} gs_tile_shapes;

static int32_t divide_up(int32_t a, int32_t b) {
    return (a + b - 1) / b;
}

static gs_grid find_grid(const gs_layer *layer, int32_t images) {
    gs_grid grid = {layer->height, layer->width, layer->width, layer->width,
                    (ptrdiff_t)layer->stride_w * layer->source.pixel, (ptrdiff_t)layer->stride_h * layer->source.row};
    if (over_images(layer)) {
        grid.positions = grid.period = grid.keep = images;
        grid.step = layer->source.image;
        return grid;
    }
    /* All rows as one line, if the spacing allows it and it takes fewer tiles: maps that are not 16 pixels wide. */
    if (grid.line_step % grid.step == 0 && grid.line_step / grid.step >= layer->width) {
        const int32_t period = (int32_t)(grid.line_step / grid.step);
        const int32_t positions = (layer->height - 1) * period + layer->width;
        if (divide_up(positions, ROWS) < layer->height * divide_up(layer->width, ROWS)) {
            grid.lines = 1;
            grid.positions = positions;
            grid.period = period;
        }
    }
    return grid;
}

static void set_shapes(int32_t rows, int32_t quads, const uint8_t kinds[TILES]) {
    gs_tile_shapes shapes = {0};
    shapes.palette = PALETTE;
    for (int i = 0; i < TILES; i++) {
        shapes.rows[i] = (uint8_t)(kinds[i] == 'w' ? quads : rows);
        shapes.bytes_per_row[i] = (uint16_t)(kinds[i] == 'm' ? quads * 4 : 64);
    }
    _tile_loadconfig(&shapes);
}

/* Two tiles of the map times two columns; `maps` and `columns` are constants where this is inlined. Tiles 0 to 3 are
 * sums, 4 and 5 the map, 6 and 7 weights. */
static inline __attribute__((always_inline)) void sum_square(const gs_layer *layer, const uint8_t *map0,
                                                             const uint8_t *map1, ptrdiff_t step,
                                                             const int8_t *weight, const int maps, const int columns,
                                                             gs_sums sums[4]) {
    const gs_tiled *tiled = layer->packed;
    const int32_t bytes = tiled->quads * 4;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int32_t tap = 0; tap < tiled->taps; tap++) {
        ptrdiff_t at = (ptrdiff_t)tap * layer->source.row;
        for (int32_t chunk = 0; chunk < tiled->chunks; chunk++, at += bytes, weight += tiled->tile) {
            _tile_loadd(6, weight, 64);
            _tile_loadd(4, map0 + at, step);
            _tile_dpbusd(0, 4, 6);
            if (columns == 2) {
                _tile_loadd(7, weight + tiled->column, 64);
                _tile_dpbusd(1, 4, 7);
            }
            if (maps == 2) {
                _tile_loadd(5, map1 + at, step);
                _tile_dpbusd(2, 5, 6);
                if (columns == 2)
                    _tile_dpbusd(3, 5, 7);
            }
        }
    }
    _tile_stored(0, sums[0], 64);
    if (columns == 2)
        _tile_stored(1, sums[1], 64);
    if (maps == 2)
        _tile_stored(2, sums[2], 64);
    if (maps == 2 && columns == 2)
        _tile_stored(3, sums[3], 64);
}

/* One or two tiles of the map whose sums are taken together, for one or two columns. */
typedef struct {
    gs_sums sums[4] __attribute__((aligned(GS_ALIGN)));
    gs_spot spot[2];
    int maps;
} gs_square;

static void sum_spots(const gs_layer *layer, const gs_call *call, const gs_grid *grid, const int8_t *weight, int columns,
                      gs_square *square) {
    const uint8_t *map[2];
    for (int m = 0; m < square->maps; m++)
        map[m] = call->source + square->spot[m].image * layer->source.image + square->spot[m].line * grid->line_step +
                 square->spot[m].begin * grid->step;
    if (square->maps == 2 && columns == 2)
        sum_square(layer, map[0], map[1], grid->step, weight, 2, 2, square->sums);
    else if (square->maps == 2)
        sum_square(layer, map[0], map[1], grid->step, weight, 2, 1, square->sums);
    else if (columns == 2)
        sum_square(layer, map[0], map[0], grid->step, weight, 1, 2, square->sums);
    else
        sum_square(layer, map[0], map[0], grid->step, weight, 1, 1, square->sums);
}

static void finish_square(const gs_layer *layer, const gs_call *call, const gs_grid *grid, int32_t rows, int32_t column,
                          int columns, gs_square *square) {
    const gs_tiled *tiled = layer->packed;
    for (int m = 0; m < square->maps; m++) {
        gs_sums *sums = square->sums + 2 * m;
        if (tiled->planes == 2)
            join_planes(sums[0], (const int32_t(*)[GS_BLOCK])sums[1]);
        for (int32_t c = 0; c < columns / tiled->planes; c++)
            finish_tile(layer, call, grid, &square->spot[m], rows, column / tiled->planes + c,
                        (const int32_t(*)[GS_BLOCK])sums[c]);
    }
    square->maps = 0;
}

/* All tiles of the map for `columns` columns from `column` on, two at a time; sums are finished while the next ones are
 * taken. The last tile of a line begins early if it would end late; what it computes again is not written again. */
static void convolve_columns(const gs_layer *layer, const gs_call *call, const gs_grid *grid, int32_t column,
                             int columns) {
    const gs_tiled *tiled = layer->packed;
    const int8_t *weight = tiled->weight + (size_t)column * tiled->column;
    const int32_t rows = grid->positions < ROWS ? grid->positions : ROWS;
    const int32_t images = over_images(layer) ? 1 : call->images;
    gs_square square[2];
    square[0].maps = square[1].maps = 0;
    int turn = 0;
    for (int32_t image = 0; image < images; image++)
        for (int32_t line = 0; line < grid->lines; line++)
            for (int32_t done = 0; done < grid->positions; done += ROWS) {
                gs_square *now = square + turn;
                const int32_t last = grid->positions - rows, begin = done < last ? done : last;
                now->spot[now->maps++] = (gs_spot){image, line, begin, done - begin};
                if (now->maps < 2)
                    continue;
                sum_spots(layer, call, grid, weight, columns, now);
                finish_square(layer, call, grid, rows, column, columns, square + !turn);
                turn = !turn;
            }
    if (square[turn].maps)
        sum_spots(layer, call, grid, weight, columns, square + turn);
    finish_square(layer, call, grid, rows, column, columns, square + !turn);
    finish_square(layer, call, grid, rows, column, columns, square + turn);
}

static void convolve(const gs_layer *layer, const gs_call *call) {
    const gs_tiled *tiled = layer->packed;
    const gs_grid grid = find_grid(layer, call->images);
    set_shapes(grid.positions < ROWS ? grid.positions : ROWS, tiled->quads, (const uint8_t *)"ssssmmww");
    for (int32_t column = 0; column < tiled->columns; column += 2)
        convolve_columns(layer, call, &grid, column, tiled->columns - column < 2 ? 1 : 2);
    _tile_release();
}

/* Three rows of outputs of up to 16 channels from five rows of the map, each loaded once. Tiles 0 to 2 are sums, 3 and 4
 * the map, 5 to 7 all of the weights, loaded once per call. */
static void sum_three_rows(const uint8_t *map, ptrdiff_t row, ptrdiff_t step, gs_sums sums[3]) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_loadd(3, map, step);
    _tile_dpbusd(0, 3, 5);
    _tile_loadd(4, map + row, step);
    _tile_dpbusd(0, 4, 6);
    _tile_dpbusd(1, 4, 5);
    _tile_loadd(3, map + 2 * row, step);
    _tile_dpbusd(0, 3, 7);
    _tile_dpbusd(1, 3, 6);
    _tile_dpbusd(2, 3, 5);
    _tile_stored(0, sums[0], 64);
    _tile_loadd(4, map + 3 * row, step);
    _tile_dpbusd(1, 4, 7);
    _tile_dpbusd(2, 4, 6);
    _tile_stored(1, sums[1], 64);
    _tile_loadd(3, map + 4 * row, step);
    _tile_dpbusd(2, 3, 7);
    _tile_stored(2, sums[2], 64);
}

/* Rows from `from` on; those before are another call's. */
static void finish_three_rows(const gs_layer *layer, const gs_call *call, const gs_spot *spot, int32_t from,
                              const gs_sums sums[3]) {
    for (int32_t j = from; j < 3; j++) {
        gs_tile_job job = find_run(layer, call, spot->image, spot->line + j, spot->begin + spot->skip, 0);
        finish_run(&job, sums[j] + spot->skip, ROWS - spot->skip);
    }
}

/* Sums are finished while the tiles work on the next ones. */
static void convolve_three_rows(const gs_layer *layer, const gs_call *call) {
    const gs_tiled *tiled = layer->packed;
    const ptrdiff_t step = (ptrdiff_t)layer->stride_w * layer->source.pixel;
    set_shapes(ROWS, tiled->quads, (const uint8_t *)"sssmmwww");
    _tile_loadd(5, tiled->weight, 64);
    _tile_loadd(6, tiled->weight + tiled->tile, 64);
    _tile_loadd(7, tiled->weight + 2 * tiled->tile, 64);
    gs_sums sums[2][3] __attribute__((aligned(GS_ALIGN)));
    gs_spot waiting = {-1, 0, 0, 0};
    int32_t from = 0;
    int turn = 0;
    for (int32_t image = 0; image < call->images; image++)
        for (int32_t done = 0; done < layer->height; done += 3) {
            const int32_t line = done + 3 <= layer->height ? done : layer->height - 3;
            const uint8_t *source = call->source + image * layer->source.image + line * layer->source.row;
            for (int32_t x = 0; x < layer->width; x += ROWS, turn = !turn) {
                const int32_t begin = x + ROWS <= layer->width ? x : layer->width - ROWS;
                sum_three_rows(source + begin * step, layer->source.row, step, sums[turn]);
                if (waiting.image >= 0)
                    finish_three_rows(layer, call, &waiting, from, (const gs_sums *)sums[!turn]);
                waiting = (gs_spot){image, line, begin, x - begin};
                from = done - line;
            }
        }
    finish_three_rows(layer, call, &waiting, from, (const gs_sums *)sums[!turn]);
    _tile_release();
}

/* Fills what gs_pack_dense packed up to whole tiles. */
static int pack_tiles(gs_layer *layer) {
    if (gs_pack_dense(layer))
        return -1;
    gs_packed *dense = layer->packed;
    gs_tiled sizes = {0};
    sizes.planes = dense->planes;
    sizes.columns = dense->blocks * dense->planes;
    sizes.taps = layer->kernel_h;
    const int32_t quads = dense->quads / sizes.taps;
    sizes.chunks = divide_up(quads, TILE_QUADS);
    sizes.quads = divide_up(quads, sizes.chunks);
    sizes.tile = (size_t)sizes.quads * QUAD_BYTES;
    sizes.column = sizes.tile * (size_t)sizes.chunks * (size_t)sizes.taps;
    gs_tiled *tiled = gs_allocate(GS_ALIGN + sizes.column * (size_t)sizes.columns);
    layer->packed = tiled;
    if (tiled) {
        *tiled = sizes;
        tiled->weight = (int8_t *)tiled + GS_ALIGN;
        layer->packed_bytes = sizes.column * (size_t)sizes.columns;
        const size_t stretch = (size_t)quads * QUAD_BYTES;
        for (int32_t block = 0; block < dense->blocks; block++)
            for (int32_t plane = 0; plane < dense->planes; plane++)
                for (int32_t tap = 0; tap < sizes.taps; tap++)
                    memcpy(tiled->weight + sizes.column * (size_t)(block * dense->planes + plane) +
                               sizes.tile * (size_t)sizes.chunks * (size_t)tap,
                           dense->weight + dense->plane * (size_t)plane + dense->block * (size_t)block +
                               stretch * (size_t)tap,
                           stretch);
    }
    gs_release(dense);
    return tiled ? 0 : -1;
}

int gs_prepare_amx(gs_layer *layer) {
    /* At one image a large linear layer is as fast as its weights are read, and its tiles would be of one row. */
    const int from_codes = gs_prepare_linear_vnni(layer);
    if (from_codes)
        return from_codes < 0 ? -1 : 0;
    if (layer->groups > 1)
        return gs_prepare_vnni(layer);
    if (pack_tiles(layer))
        return -1;
    const gs_tiled *tiled = layer->packed;
    const int three = tiled->columns == 1 && tiled->taps == 3 && tiled->chunks == 1 && layer->stride_h == 1 &&
                      layer->height >= 3 && layer->width >= ROWS;
    layer->convolve = three ? convolve_three_rows : convolve;
    layer->kernel = three ? "amx, three rows" : "amx";
    return 0;
}
