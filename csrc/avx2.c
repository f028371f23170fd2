#include "kernels.h"
int gs_prepare_avx2(gs_layer *layer) { return gs_prepare_reference(layer); }
