// The loops for AVX2: 8 lanes, 6 x 2 vectors of accumulators in the products.
#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,bmi2"), min_vector_width(256))), apply_to = function)
#define LANES 8
#define TILE_ROWS 6
#define TILE_VECTORS 2
#define WINOGRAD_ROWS 6
#define KERNELS pilot_kernels_avx2
#define KERNELS_NAME "AVX2"
#include "loops/all.h"
#pragma clang attribute pop
#else
typedef int pilot_no_avx2;
#endif
