// Numbers of bfloat16, of which two neighbours lie in one word of 32 bits, the first in its lower half; and the sum of the
// products of both, in float32.

typedef uint32_t vw __attribute__((ext_vector_type(LANES)));
typedef uint16_t vh __attribute__((ext_vector_type(LANES)));

INLINE vw words_load(const uint32_t *p) {
    vw v;
    memcpy(&v, p, sizeof v);
    return v;
}

INLINE void words_store(uint32_t *p, vw v) { memcpy(p, &v, sizeof v); }

/// `count` numbers of at most LANES, and zeros beyond.
INLINE vf bfloat16_load(const uint16_t *p, size_t count) {
    vh v = {0};
    if (count >= LANES)
        memcpy(&v, p, sizeof v);
    else
        memcpy(&v, p, count * sizeof *p);
    return __builtin_bit_cast(vf, __builtin_convertvector(v, vw) << 16);
}

INLINE vh bfloat16_of(vf x) {
#ifdef BFLOAT16_PRODUCTS
    return __builtin_bit_cast(vh, _mm512_cvtneps_pbh(__builtin_bit_cast(__m512, x)));
#else
    vw bits = __builtin_bit_cast(vw, x), rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    vw is_nan = __builtin_bit_cast(vw, (bits & 0x7fffffff) > 0x7f800000);
    return __builtin_convertvector((rounded & ~is_nan) | (((bits >> 16) | 0x40) & is_nan), vh);
#endif
}

INLINE void bfloat16_store(uint16_t *p, vf x, size_t count) {
    vh v = bfloat16_of(x);
    if (count >= LANES)
        memcpy(p, &v, sizeof v);
    else
        memcpy(p, &v, count * sizeof *p);
}

INLINE vw pairs_of(vf first, vf second) {
    return __builtin_convertvector(bfloat16_of(first), vw) | __builtin_convertvector(bfloat16_of(second), vw) << 16;
}

/// sum + the two products of each word of x with y's.
INLINE vf pair_products(vf sum, vw x, vw y) {
#ifdef BFLOAT16_PRODUCTS
    return __builtin_bit_cast(vf, _mm512_dpbf16_ps(__builtin_bit_cast(__m512, sum), __builtin_bit_cast(__m512bh, x),
                                                   __builtin_bit_cast(__m512bh, y)));
#else
    sum += __builtin_bit_cast(vf, x << 16) * __builtin_bit_cast(vf, y << 16);
    return sum + __builtin_bit_cast(vf, x & 0xffff0000) * __builtin_bit_cast(vf, y & 0xffff0000);
#endif
}
