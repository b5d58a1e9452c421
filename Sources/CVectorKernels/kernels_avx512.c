// The loops for AVX-512: 16 lanes, 8 x 3 vectors of accumulators in the products.
#if defined(__x86_64__)
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c,bmi2"), min_vector_width(512))), apply_to = function)
#define LANES 16
#define TILE_ROWS 8
#define TILE_VECTORS 3
#define WINOGRAD_ROWS 13
#define KERNELS pilot_kernels_avx512
#define KERNELS_NAME "AVX-512"
#include "loops/all.h"
#pragma clang attribute pop
#else
typedef int pilot_no_avx512;
#endif
