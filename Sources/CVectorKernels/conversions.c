#include "conversions.h"
#include "vector_kernels.h"

void pilot_float32_from_bfloat16(const uint16_t *source, float *target, size_t count) {
    pilot_kernels()->float32_from_bfloat16(source, target, count);
}

void pilot_float32_from_float16(const uint16_t *source, float *target, size_t count) {
    pilot_kernels()->float32_from_float16(source, target, count);
}

void pilot_bfloat16_from_float32(const float *source, uint16_t *target, size_t count) {
    pilot_kernels()->bfloat16_from_float32(source, target, count);
}

void pilot_float16_from_float32(const float *source, uint16_t *target, size_t count) {
    pilot_kernels()->float16_from_float32(source, target, count);
}
