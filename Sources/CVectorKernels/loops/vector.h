// Vectors of LANES floats, their exponential and the error function's complement, rows of either element type.
#include "../include/vector_kernels.h"
#include <math.h>
#include <string.h>

#include "conversions.h"

typedef float vf __attribute__((ext_vector_type(LANES)));
typedef int32_t vi __attribute__((ext_vector_type(LANES)));

#define INLINE static inline __attribute__((always_inline))

INLINE vf vector_load(const float *p) {
    vf v;
    memcpy(&v, p, sizeof v);
    return v;
}

INLINE void vector_store(float *p, vf v) { memcpy(p, &v, sizeof v); }

INLINE vf vector_of(float x) { return (vf)(x); }

INLINE vf vector_max(vf a, vf b) { return a > b ? a : b; }

/// The largest of numbers of which none is NaN.
INLINE float vector_highest(vf v) {
#if LANES == 16
    return _mm512_reduce_max_ps(__builtin_bit_cast(__m512, v));
#else
    float highest = v[0];
    for (int i = 1; i < LANES; i++) highest = v[i] > highest ? v[i] : highest;
    return highest;
#endif
}

INLINE float vector_sum(vf v) {
    float sum = 0;
    for (int i = 0; i < LANES; i++) sum += v[i];
    return sum;
}

/// e^x to 2 units in the last place; 0 below -87.3, where float32 has only subnormal numbers left; infinite above
/// 88.8; NaN for NaN.
INLINE vf vector_exp(vf x) {
    const vf low = vector_of(-87.33654f), high = vector_of(90.0f);
    // Comparisons with NaN are false: written this way round, it passes.
    vf clamped = low > x ? low : x;
    clamped = high < clamped ? high : clamped;
    // Adding and subtracting 1.5 * 2^23 rounds to the nearest integer.
    vf n = clamped * 1.44269504f + 12582912.0f;
    n = n - 12582912.0f;
    // ln 2 in two parts, so that the reduction is exact (Cody and Waite); then the Taylor series of degree 7,
    // whose remainder on |r| <= ln(2) / 2 is 5e-9.
    vf r = clamped - n * 0.693145752f;
    r = r - n * 1.42860677e-6f;
    vf p = vector_of(1.0f / 5040);
    p = p * r + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    // 2^n in two factors: n = 128 alone would overflow the exponent, and so does the product above 88.8.
    vi half = __builtin_convertvector(n, vi) >> 1, rest = __builtin_convertvector(n, vi) - half;
    vf first = __builtin_bit_cast(vf, (half + 127) << 23), second = __builtin_bit_cast(vf, (rest + 127) << 23);
    vf result = p * first * second;
    return x < low ? vector_of(0) : result;
}

/// 2^t for t <= 1, to 1 unit in the last place; 0 below -126; NaN for the NaN that arithmetic makes. Half the work of
/// `vector_exp`, for the softmax.
INLINE vf vector_power_of_2(vf t) {
    const vf low = vector_of(-126.0f);
    vf clamped = low > t ? low : t;
    // Adding and subtracting 1.5 * 2^23 rounds to the nearest integer, which is left in the low bits of the sum.
    vf shifted = clamped + 12582912.0f;
    vf f = clamped - (shifted - 12582912.0f);
    // Of degree 6, through Chebyshev nodes on [-1/2, 1/2]: within 3e-9 of 2^f.
    vf p = vector_of(0.000154697322f);
    p = p * f + 0.00134004327f;
    p = p * f + 0.00961802527f;
    p = p * f + 0.0555032715f;
    p = p * f + 0.240226507f;
    p = p * f + 0.693147182f;
    p = p * f + 1.0f;
    vi exponent = __builtin_bit_cast(vi, shifted) << 23;
    vf result = __builtin_bit_cast(vf, __builtin_bit_cast(vi, p) + exponent);
    return t < low ? vector_of(0) : result;
}

/// erfc(x) for x >= 0, as t e^(-x^2) Q(t) with t = 1 / (1 + x / 2): Q is a polynomial of degree 9 through Chebyshev
/// nodes, within 4e-8 of the function relatively up to x = 10.5.
INLINE vf vector_erfc(vf x) {
    vf t = 1.0f / (1.0f + 0.5f * x);
    vf q = vector_of(0.016113823f);
    q = q * t - 0.14266279f;
    q = q * t + 0.47106159f;
    q = q * t - 0.72124141f;
    q = q * t + 0.45952308f;
    q = q * t - 0.11642385f;
    q = q * t + 0.23094691f;
    q = q * t + 0.23766872f;
    q = q * t + 0.28295335f;
    q = q * t + 0.28206056f;
    return t * vector_exp(-x * x) * q;
}

/// The normal distribution function, without cancellation on the negative side.
INLINE vf vector_normal(vf x) {
    vf tail = 0.5f * vector_erfc((x < 0.0f ? -x : x) * 0.707106781f);
    return x < 0.0f ? tail : 1.0f - tail;
}

INLINE vf vector_sigmoid(vf x) { return 1.0f / (1.0f + vector_exp(-x)); }

/// Elements handled at a time when a row must be converted: small enough to stay in the first cache.
#define SEGMENT 512

INLINE size_t segment(size_t done, size_t count) { return count - done < SEGMENT ? count - done : SEGMENT; }

INLINE size_t element_bytes(pilot_element type) { return type == pilot_float32 ? 4 : 2; }

/// `count` elements from `offset` as floats: in place, or converted into `buffer`.
INLINE const float *row_in(pilot_element type, const void *p, size_t offset, size_t count, float *buffer) {
    if (type == pilot_float32) return (const float *)p + offset;
    float32_from_bfloat16((const uint16_t *)p + offset, buffer, count);
    return buffer;
}

/// Where to write floats meant for `p + offset`; `row_done` then stores them.
INLINE float *row_out(pilot_element type, void *p, size_t offset, float *buffer) {
    return type == pilot_float32 ? (float *)p + offset : buffer;
}

INLINE void row_done(pilot_element type, void *p, size_t offset, size_t count, const float *buffer) {
    if (type == pilot_bfloat16) bfloat16_from_float32(buffer, (uint16_t *)p + offset, count);
}

/// Applies `expression`, of vectors named as the loads before it, to `n` floats with a padded tail.
#define FOR_VECTORS(n, i, width)                                                                                       \
    for (size_t i = 0, width; width = (n) - i < LANES ? (n) - i : LANES, i < (n); i += LANES)

INLINE vf tail_load(const float *p, size_t count) {
    if (count >= LANES) return vector_load(p);
    vf v = {0};
    memcpy(&v, p, count * 4);
    return v;
}

INLINE void tail_store(float *p, vf v, size_t count) {
    if (count >= LANES)
        vector_store(p, v);
    else
        memcpy(p, &v, count * 4);
}
