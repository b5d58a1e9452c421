// Conversions between element types; plain loops that the compiler vectorises.

static void float32_from_bfloat16(const uint16_t *source, float *target, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint32_t bits = (uint32_t)source[i] << 16;
        memcpy(&target[i], &bits, 4);
    }
}

static void float32_from_float16(const uint16_t *source, float *target, size_t count) {
    // Shifting exponent and mantissa into place and scaling by 2^112 is exact for normal and subnormal numbers alike;
    // infinities and NaN have the largest half exponent and get the largest float exponent.
    const uint32_t scale_bits = (uint32_t)(127 + 112) << 23;
    float scale;
    memcpy(&scale, &scale_bits, 4);
    for (size_t i = 0; i < count; i++) {
        uint32_t half = source[i], magnitude = (half & 0x7fff) << 13, bits;
        float value;
        memcpy(&value, &magnitude, 4);
        value *= scale;
        memcpy(&bits, &value, 4);
        if ((half & 0x7c00) == 0x7c00) bits = magnitude | 0x7f800000;
        bits |= (half & 0x8000) << 16;
        memcpy(&target[i], &bits, 4);
    }
}

static void bfloat16_from_float32(const float *source, uint16_t *target, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &source[i], 4);
        uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
        if ((bits & 0x7fffffff) > 0x7f800000) rounded = (bits >> 16) | 0x40;
        target[i] = (uint16_t)rounded;
    }
}

static void float16_from_float32(const float *source, uint16_t *target, size_t count) {
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
