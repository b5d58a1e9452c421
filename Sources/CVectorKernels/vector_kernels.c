#include "vector_kernels.h"

extern const pilot_vector_kernels pilot_kernels_portable;
#if defined(__x86_64__)
extern const pilot_vector_kernels pilot_kernels_avx512_bfloat16, pilot_kernels_avx512, pilot_kernels_avx2;
#endif

const pilot_vector_kernels *pilot_kernels_at(int index) {
    const pilot_vector_kernels *available[4];
    int count = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq")) {
        if (__builtin_cpu_supports("avx512bf16")) available[count++] = &pilot_kernels_avx512_bfloat16;
        available[count++] = &pilot_kernels_avx512;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) available[count++] = &pilot_kernels_avx2;
#endif
    available[count++] = &pilot_kernels_portable;
    return index >= 0 && index < count ? available[index] : NULL;
}

const pilot_vector_kernels *pilot_kernels(void) { return pilot_kernels_at(0); }
