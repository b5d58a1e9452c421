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
    for (size_t i = 0; i < count; i++) {
        uint32_t bits, magnitude, sum_bits;
        memcpy(&bits, &source[i], 4);
        magnitude = bits & 0x7fffffff;
        // A normal number: bias the exponent, and round at bit 13. A carry into the exponent is right, up to infinity.
        uint32_t half = (magnitude + 0xfff + ((magnitude >> 13) & 1) - ((uint32_t)112 << 23)) >> 13;
        // A subnormal half is a multiple of 2^-24, which is the last bit of 0.5: adding 0.5 rounds to it.
        float value;
        memcpy(&value, &magnitude, 4);
        float sum = value + 0.5f;
        memcpy(&sum_bits, &sum, 4);
        if (magnitude < 0x38800000) half = sum_bits - 0x3f000000;
        if (magnitude >= 0x47800000) half = 0x7c00;
        if (magnitude > 0x7f800000) half = 0x7e00;
        target[i] = (uint16_t)(half | ((bits >> 16) & 0x8000));
    }
}
