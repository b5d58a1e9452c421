// Element conversions between float32, float16 and bfloat16, by the best loops this processor has.
#ifndef PILOT_CONVERSIONS_H
#define PILOT_CONVERSIONS_H
#include <stddef.h>
#include <stdint.h>

void pilot_float32_from_bfloat16(const uint16_t *source, float *target, size_t count);
void pilot_float32_from_float16(const uint16_t *source, float *target, size_t count);
/// Rounds to nearest, ties to even; NaN stays NaN.
void pilot_bfloat16_from_float32(const float *source, uint16_t *target, size_t count);
/// Rounds to nearest, ties to even; too large a number becomes infinite, NaN stays NaN.
void pilot_float16_from_float32(const float *source, uint16_t *target, size_t count);
#endif
