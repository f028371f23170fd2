/* Aligned memory. */
#define _DEFAULT_SOURCE
#define _POSIX_C_SOURCE 200112L

#include "kernels.h"

#include <stdlib.h>
#include <string.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

enum { HUGE_PAGE = 1 << 21 };

void *gs_allocate(size_t bytes) {
    void *memory = NULL;
    bytes = bytes ? bytes : 1;
    const int large = bytes >= 2 * HUGE_PAGE; /* with large pages, reading many weights waits less for their addresses */
    if (posix_memalign(&memory, large ? HUGE_PAGE : GS_ALIGN, bytes))
        return NULL;
#if defined(MADV_HUGEPAGE)
    if (large)
        (void)madvise(memory, bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
#endif
    return memset(memory, 0, bytes);
}

void gs_release(void *memory) {
    free(memory);
}
