/* The tile instructions of AMX in plain C, for machines without them: exact, slow, and strict about shapes.
 *
 * After Intel's description of TDPBUSD, TILELOADD, TILESTORED and LDTILECFG (palette 1: eight tiles of up to 16 rows of up
 * to 64 bytes). A call that the processor would refuse ends the program. */
#ifndef GREENSHIFT_AMX_EMULATION_H
#define GREENSHIFT_AMX_EMULATION_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    int rows, bytes;
    uint8_t data[16][64];
} emulated_tile;

static struct {
    int configured;
    emulated_tile tile[8];
} emulated;

static void emulation_needs(int holds, const char *what) {
    if (holds)
        return;
    fprintf(stderr, "AMX emulation: %s\n", what);
    abort();
}

static emulated_tile *emulated_get(int index) {
    emulation_needs(emulated.configured, "tiles are used without a configuration");
    emulation_needs(emulated.tile[index].rows > 0, "a tile is used that was not configured");
    return &emulated.tile[index];
}

static void _tile_loadconfig(const void *config) {
    const uint8_t *bytes = config;
    emulation_needs(bytes[0] == 1, "the palette is not 1");
    for (int i = 1; i < 16; i++)
        emulation_needs(bytes[i] == 0, "reserved bytes are not zero");
    memset(&emulated, 0, sizeof emulated);
    emulated.configured = 1;
    for (int i = 0; i < 8; i++) {
        const int wide = bytes[16 + 2 * i] | bytes[17 + 2 * i] << 8, rows = bytes[48 + i];
        emulation_needs(rows <= 16 && wide <= 64 && (rows == 0) == (wide == 0), "a tile has an impossible shape");
        emulated.tile[i].rows = rows;
        emulated.tile[i].bytes = wide;
    }
    for (int i = 8; i < 16; i++)
        emulation_needs(bytes[16 + 2 * i] == 0 && bytes[17 + 2 * i] == 0 && bytes[48 + i] == 0, "there are eight tiles");
}

static void _tile_release(void) {
    memset(&emulated, 0, sizeof emulated);
}

static void _tile_zero(int index) {
    memset(emulated_get(index)->data, 0, sizeof emulated.tile[0].data);
}

static void _tile_loadd(int index, const void *base, ptrdiff_t stride) {
    emulated_tile *tile = emulated_get(index);
    memset(tile->data, 0, sizeof tile->data);
    for (int i = 0; i < tile->rows; i++)
        memcpy(tile->data[i], (const uint8_t *)base + i * stride, (size_t)tile->bytes);
}

static void _tile_stored(int index, void *base, ptrdiff_t stride) {
    const emulated_tile *tile = emulated_get(index);
    for (int i = 0; i < tile->rows; i++)
        memcpy((uint8_t *)base + i * stride, tile->data[i], (size_t)tile->bytes);
}

/* sums += unsigned bytes of `left` times signed bytes of `right`, four at a time. */
static void _tile_dpbusd(int sums, int left, int right) {
    emulated_tile *c = emulated_get(sums);
    const emulated_tile *a = emulated_get(left), *b = emulated_get(right);
    emulation_needs(sums != left && sums != right && left != right, "a tile has two roles");
    emulation_needs(c->rows == a->rows && c->bytes == b->bytes && a->bytes == 4 * b->rows, "shapes do not fit");
    for (int m = 0; m < c->rows; m++)
        for (int n = 0; n < c->bytes / 4; n++) {
            uint32_t sum;
            memcpy(&sum, c->data[m] + 4 * n, sizeof sum);
            for (int k = 0; k < a->bytes; k++)
                sum += (uint32_t)(a->data[m][k] * (int8_t)b->data[k / 4][4 * n + k % 4]);
            memcpy(c->data[m] + 4 * n, &sum, sizeof sum);
        }
}

#endif
