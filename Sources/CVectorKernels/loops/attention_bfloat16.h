// The same attention with the processor's products of bfloat16 numbers: two at a time, summed in float32. Numbers that are
// multiplied are rounded to bfloat16, as inputs of other products are in that format; scores and sums are float32.
//
// Of a matrix's rows that are summed over, two neighbours lie in one word of 32 bits, the first in its lower half.

/// C[ROWS][VECTORS * LANES (+ LANES / 2)] = (accumulate ? C : 0) + A B over `depth` pairs; A(i, k) at a[i * row + k * column].
#define DEFINE_PAIR_TILE(NAME, ROWS, VECTORS, HALF)                                                                    \
    INLINE void NAME(size_t depth, const uint32_t *a, size_t row, size_t column, const uint32_t *b, size_t b_stride,   \
                     float *c, size_t c_stride, int accumulate) {                                                      \
        __m512 sum[ROWS][VECTORS];                                                                                     \
        __m256 rest[ROWS];                                                                                             \
        _Pragma("clang loop unroll(full)") for (int i = 0; i < ROWS; i++) {                                            \
            float *y = c + i * c_stride;                                                                               \
            _Pragma("clang loop unroll(full)") for (int v = 0; v < VECTORS; v++) sum[i][v] =                           \
                accumulate ? _mm512_loadu_ps(y + v * LANES) : _mm512_setzero_ps();                                     \
            if (HALF) rest[i] = accumulate ? _mm256_loadu_ps(y + VECTORS * LANES) : _mm256_setzero_ps();               \
        }                                                                                                              \
        for (size_t k = 0; k < depth; k++) {                                                                           \
            const uint32_t *line = b + k * b_stride;                                                                   \
            __m512i whole[VECTORS];                                                                                    \
            __m256i last;                                                                                              \
            _Pragma("clang loop unroll(full)") for (int v = 0; v < VECTORS; v++) whole[v] =                            \
                _mm512_loadu_si512(line + v * LANES);                                                                  \
            if (HALF) last = _mm256_loadu_si256((const __m256i *)(line + VECTORS * LANES));                            \
            _Pragma("clang loop unroll(full)") for (int i = 0; i < ROWS; i++) {                                        \
                __m512i x = _mm512_set1_epi32((int)a[i * row + k * column]);                                           \
                _Pragma("clang loop unroll(full)") for (int v = 0; v < VECTORS; v++) sum[i][v] =                       \
                    _mm512_dpbf16_ps(sum[i][v], (__m512bh)x, (__m512bh)whole[v]);                                      \
                if (HALF) rest[i] = _mm256_dpbf16_ps(rest[i], (__m256bh)_mm512_castsi512_si256(x), (__m256bh)last);    \
            }                                                                                                          \
        }                                                                                                              \
        _Pragma("clang loop unroll(full)") for (int i = 0; i < ROWS; i++) {                                            \
            float *y = c + i * c_stride;                                                                               \
            _Pragma("clang loop unroll(full)") for (int v = 0; v < VECTORS; v++)                                       \
                _mm512_storeu_ps(y + v * LANES, sum[i][v]);                                                            \
            if (HALF) _mm256_storeu_ps(y + VECTORS * LANES, rest[i]);                                                  \
        }                                                                                                              \
    }

DEFINE_PAIR_TILE(pair_tile_3, TILE_ROWS, 3, 0)
DEFINE_PAIR_TILE(pair_tile_half, TILE_ROWS, 2, 1)
DEFINE_PAIR_TILE(pair_tile_2, TILE_ROWS, 2, 0)
DEFINE_PAIR_TILE(pair_tile_1, TILE_ROWS, 1, 0)
DEFINE_PAIR_TILE(pair_strip_3, 1, 3, 0)
DEFINE_PAIR_TILE(pair_strip_half, 1, 2, 1)
DEFINE_PAIR_TILE(pair_strip_2, 1, 2, 0)
DEFINE_PAIR_TILE(pair_strip_1, 1, 1, 0)

/// `product` of pairs: strides of A and B in words.
DEFINE_PRODUCT(pair_product, uint32_t, pair_tile_, pair_strip_)

/// 2^t for t <= 1, to 7.5e-5, a fiftieth of what a weight loses that is rounded to bfloat16; 0 for minus infinity; NaN for
/// NaN.
INLINE vf rounded_power_of_2(vf t) {
    // Far below what float32 has. A comparison with NaN is false, so that it passes.
    const vf low = vector_of(-1000);
    __m512 clamped = __builtin_bit_cast(__m512, low > t ? low : t);
    __m512 n = _mm512_roundscale_ps(clamped, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    vf f = __builtin_bit_cast(vf, _mm512_sub_ps(clamped, n));
    // Of degree 3, with the least relative error on [-1/2, 1/2].
    vf p = vector_of(0.0551716574f);
    p = p * f + 0.242611125f;
    p = p * f + 0.693260968f;
    p = p * f + 0.999928057f;
    return __builtin_bit_cast(vf, _mm512_scalef_ps(__builtin_bit_cast(__m512, p), n));
}

/// In place: scores are read before their half of a word, or of one to the left, is written.
INLINE void weights_store_bfloat16(float *row, size_t j, vf weights) {
    bfloat16_store((uint16_t *)row + j, weights, LANES);
}

/// LANES words: `first` in the lower halves and `second` in the upper; at the place of `first`, too.
INLINE void store_pairs(uint32_t *target, const float *first, const float *second) {
    words_store(target, pairs_of(vector_load(first), vector_load(second)));
}

/// Two rows, or one and zeros, to pairs of packed_width words, zero beyond `width`.
INLINE void pack_pair(pilot_element type, const void *source, size_t stride, size_t row, size_t rows, size_t width,
                      uint32_t *target) {
    float first[SEGMENT], second[SEGMENT];
    for (size_t done = 0, n; n = segment(done, packed_width(width)), n > 0; done += n) {
        size_t there = done < width ? (width - done < n ? width - done : n) : 0;
        memset(first, 0, sizeof first);
        memset(second, 0, sizeof second);
        float in[SEGMENT];
        memcpy(first, row_in(type, source, row * stride + done, there, in), there * 4);
        if (row + 1 < rows) memcpy(second, row_in(type, source, (row + 1) * stride + done, there, in), there * 4);
        for (size_t c = 0; c < n; c += LANES) store_pairs(target + done + c, first + c, second + c);
    }
}

/// Rows as they are summed over: pairs of rows, [pairs][packed_width].
static void pack_pairs(pilot_element type, const void *source, size_t stride, size_t rows, size_t width, void *target) {
    for (size_t row = 0; row < rows; row += 2)
        pack_pair(type, source, stride, row, rows, width, (uint32_t *)target + row / 2 * packed_width(width));
}

/// Words of a row whose neighbouring columns are pairs.
INLINE size_t row_words(size_t width) { return packed_width(width) / 2; }

/// A block of queries, or of their gradients: rows of pairs of columns, [rows][packed_width / 2], and from word
/// QUERY_BLOCK * packed_width / 2 on pairs of rows.
static void pack_block_bfloat16(pilot_element type, const void *source, size_t stride, size_t rows, size_t width,
                                void *target) {
    size_t padded = packed_width(width);
    uint16_t *out = target;
    float in[SEGMENT];
    for (size_t row = 0; row < rows; row++) {
        for (size_t done = 0, n; n = segment(done, width), n > 0; done += n)
            bfloat16_from_float32(row_in(type, source, row * stride + done, n, in), out + row * padded + done, n);
        for (size_t c = width; c < padded; c++) out[row * padded + c] = 0;
    }
    pack_pairs(type, source, stride, rows, width, (uint32_t *)target + QUERY_BLOCK * row_words(width));
}

/// The transpose, [panel][pairs of columns][panel keys], zero beyond the last key.
static void pack_transposed_bfloat16(pilot_element type, const void *source, size_t stride, size_t rows, size_t width,
                                     void *target) {
    size_t words = row_words(width), padded = packed_width(width);
    for (size_t key = 0; key < packed_keys(rows); key++) {
        uint32_t *out = (uint32_t *)target + key / PANEL * PANEL * words + key % PANEL;
        uint16_t line[SEGMENT];
        for (size_t done = 0, n; n = segment(done, padded), n > 0; done += n) {
            float in[SEGMENT];
            size_t there = key < rows && done < width ? (width - done < n ? width - done : n) : 0;
            memset(line, 0, sizeof line);
            bfloat16_from_float32(row_in(type, source, key * stride + done, there, in), line, there);
            for (size_t c = 0; c < n; c += 2)
                out[(done + c) / 2 * PANEL] = line[c] | (uint32_t)line[c + 1] << 16;
        }
    }
}

static size_t attention_scratch_bfloat16(size_t width) {
    return attention_scratch(width) + QUERY_BLOCK * KEY_BLOCK / 2;
}

/// `scores_of` pairs.
INLINE void pair_scores_of(const void *x, size_t count, size_t width, const void *transposed, size_t key, size_t padded,
                           float *scores) {
    size_t words = row_words(width);
    for (size_t panel = 0; panel < padded; panel += PANEL)
        pair_product(count, PANEL, (width + 1) / 2, x, words, 1, (const uint32_t *)transposed + (key + panel) * words,
                     PANEL, scores + panel, KEY_BLOCK, 0);
}

/// `attention_keys` of pairs.
INLINE void pair_attention_keys(const pilot_attention_shape *shape, softmax_state *state, int resumes, size_t first,
                                size_t count, const void *q, const void *kt, const void *v, float *output,
                                float *scores) {
    size_t width = shape->width, padded_width = packed_width(width);
    for (size_t key = 0; key < shape->keys; key += KEY_BLOCK) {
        size_t valid = shape->keys - key < KEY_BLOCK ? shape->keys - key : KEY_BLOCK, padded = packed_keys(valid);
        int adds = resumes || key > 0;
        pair_scores_of(q, count, width, kt, key, padded, scores);
        for (size_t i = 0; i < count; i++)
            softmax_row(shape, state, first + i, i, key, valid, adds, rounded_power_of_2, weights_store_bfloat16,
                        scores + i * KEY_BLOCK, output + i * padded_width);
        pair_product(count, product_columns(width), (valid + 1) / 2, (const uint32_t *)scores, KEY_BLOCK, 1,
                     (const uint32_t *)v + key / 2 * padded_width, padded_width, output, padded_width, adds);
    }
}

static void attention_run_bfloat16(const pilot_attention_shape *shape, const pilot_attention_progress *progress,
                                   size_t first, size_t count, const void *q, const void *kt, const void *v,
                                   float *output, float *log_sum_exp, float *scratch) {
    attention_over(pair_attention_keys, shape, progress, first, count, q, kt, v, output, log_sum_exp, scratch);
}

static void attention_bfloat16(const pilot_attention_shape *shape, size_t first, size_t count, const void *q,
                               const void *kt, const void *v, float *output, float *log_sum_exp, float *scratch) {
    attention_run_bfloat16(shape, &no_progress, first, count, q, kt, v, output, log_sum_exp, scratch);
}

/// Numbers of two rows, in bfloat16: those of the first, then those of the second.
INLINE __m512i two_rows(vf first, vf second) {
    return (__m512i)_mm512_cvtne2ps_pbh(__builtin_bit_cast(__m512, second), __builtin_bit_cast(__m512, first));
}

/// The same as pairs of both.
INLINE void store_row_pairs(float *target, __m512i rows) {
    const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21,
                                           5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    _mm512_storeu_si512(target, _mm512_permutexvar_epi16(order, rows));
}

/// `gradient_row` of two queries, or of the last one with zeros for a second: in place of the first's rows pairs of
/// weights and of slopes, in `rows` both queries' slopes in bfloat16.
INLINE void gradient_rows(const pilot_attention_shape *shape, size_t query, int has_second, size_t key, size_t valid,
                          size_t padded, const float *log_sum_exp, const float *d, float *weights, float *slopes,
                          uint16_t *rows) {
    for (int i = 0; i <= has_second; i++) blank_unseen(shape, query + i, key, valid, weights + i * KEY_BLOCK);
    for (size_t j = 0; j < padded; j += LANES) {
        vf p[2] = {{0}, {0}}, s[2] = {{0}, {0}};
        for (int i = 0; i <= has_second; i++) {
            p[i] = weights_again(shape, rounded_power_of_2, log_sum_exp[i], weights + i * KEY_BLOCK + j);
            s[i] = slopes_of(shape, p[i], d[i], slopes + i * KEY_BLOCK + j);
        }
        __m512i both = two_rows(s[0], s[1]);
        store_row_pairs(weights + j, two_rows(p[0], p[1]));
        store_row_pairs(slopes + j, both);
        _mm256_storeu_si256((__m256i *)(rows + j), _mm512_castsi512_si256(both));
        _mm256_storeu_si256((__m256i *)(rows + KEY_BLOCK + j), _mm512_extracti64x4_epi64(both, 1));
    }
    // Keys beyond the last are no part of the sum, and a pair may have one.
    for (size_t j = valid; j < padded; j++) rows[j] = rows[KEY_BLOCK + j] = 0;
}

static void attention_gradient_bfloat16(const pilot_attention_shape *shape, size_t first, size_t count, const void *q,
                                        const void *kt, const void *k, const void *vt, const void *dy,
                                        const float *log_sum_exp, const float *d, float *dq, float *dk, float *dv,
                                        float *scratch) {
    size_t width = shape->width, padded_width = packed_width(width), columns = product_columns(width);
    size_t pairs_at = QUERY_BLOCK * row_words(width);
    float *weights = scratch, *slopes = scratch + QUERY_BLOCK * KEY_BLOCK;
    uint16_t *rows = (uint16_t *)(scratch + attention_scratch(width));
    for (size_t key = 0; key < shape->keys; key += KEY_BLOCK) {
        size_t valid = shape->keys - key < KEY_BLOCK ? shape->keys - key : KEY_BLOCK, padded = packed_keys(valid);
        pair_scores_of(q, count, width, kt, key, padded, weights);
        pair_scores_of(dy, count, width, vt, key, padded, slopes);
        for (size_t i = 0; i < count; i += 2) {
            size_t at = i * KEY_BLOCK;
            float *weight = weights + at, *slope = slopes + at;
            if (i + 1 < count)
                gradient_rows(shape, first + i, 1, key, valid, padded, log_sum_exp + i, d + i, weight, slope, rows + at);
            else
                gradient_rows(shape, first + i, 0, key, valid, padded, log_sum_exp + i, d + i, weight, slope, rows + at);
        }
        if (dq)
            pair_product(count, columns, (valid + 1) / 2, (const uint32_t *)rows, KEY_BLOCK / 2, 1,
                         (const uint32_t *)k + key / 2 * padded_width, padded_width, dq, padded_width, key > 0);
        if (dk)
            pair_product(valid, columns, (count + 1) / 2, (const uint32_t *)slopes, 1, 2 * KEY_BLOCK,
                         (const uint32_t *)q + pairs_at, padded_width, dk + key * padded_width, padded_width, 1);
        if (dv)
            pair_product(valid, columns, (count + 1) / 2, (const uint32_t *)weights, 1, 2 * KEY_BLOCK,
                         (const uint32_t *)dy + pairs_at, padded_width, dv + key * padded_width, padded_width, 1);
    }
}
