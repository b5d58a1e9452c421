// The most that the processor can do: products of numbers that never leave its registers.

#define PEAK_SUMS (2 * WINOGRAD_ROWS - 2)

/// Multiplications and additions in one round of either loop, for every number of a sum's vectors.
static size_t peak_operations(pilot_element type) {
#ifdef BFLOAT16_PRODUCTS
    return (type == pilot_bfloat16 ? 4 : 2) * PEAK_SUMS * LANES;
#else
    (void)type;
    return 2 * PEAK_SUMS * LANES;
#endif
}

/// Rounds of products; `numbers`, of which there are 2 LANES, keep the compiler from knowing the result.
static float peak(pilot_element type, size_t rounds, const float *numbers) {
    vf sums[PEAK_SUMS], x = vector_load(numbers), y = vector_load(numbers + LANES);
    _Pragma("clang loop unroll(full)") for (int i = 0; i < PEAK_SUMS; i++) sums[i] = vector_of((float)i);
#ifdef BFLOAT16_PRODUCTS
    if (type == pilot_bfloat16) {
        vw a = __builtin_bit_cast(vw, x), b = __builtin_bit_cast(vw, y);
        for (size_t round = 0; round < rounds; round++)
            _Pragma("clang loop unroll(full)") for (int i = 0; i < PEAK_SUMS; i++) sums[i] = pair_products(sums[i], a, b);
    }
#else
    (void)type;
#endif
    if (peak_operations(type) == 2 * PEAK_SUMS * LANES)
        for (size_t round = 0; round < rounds; round++)
            _Pragma("clang loop unroll(full)") for (int i = 0; i < PEAK_SUMS; i++) sums[i] = sums[i] * x + y;
    vf sum = sums[0];
    _Pragma("clang loop unroll(full)") for (int i = 1; i < PEAK_SUMS; i++) sum += sums[i];
    return vector_sum(sum);
}
