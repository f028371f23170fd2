/* Aligned memory. */
#define _POSIX_C_SOURCE 200112L

#include "kernels.h"

#include <stdlib.h>
#include <string.h>

void *gs_allocate(size_t bytes) {
    void *memory = NULL;
    bytes = bytes ? bytes : 1;
    if (posix_memalign(&memory, GS_ALIGN, bytes))
        return NULL;
    return memset(memory, 0, bytes);
}

void gs_release(void *memory) {
    free(memory);
}
