// The products at a position: tiles x channels by panels of channels, WINOGRAD_PANEL of them side by side. What is
// multiplied lies in words: a number of float32, or a pair of bfloat16 numbers, of neighbouring channels.

#define WINOGRAD_PANEL (2 * LANES)
/// Words that are summed at a time, whole panels of them: what sums of all channels would lose, sums of these do not.
#define WINOGRAD_DEPTH 96

typedef void winograd_panel(size_t depth, const void *a, size_t a_row, const void *b, float *c, size_t c_row, int adding);

INLINE vf float_of(float x) { return vector_of(x); }
INLINE vf float_products(vf sum, vf x, vf y) { return sum + x * y; }
INLINE vw pair_of(uint32_t x) { return (vw)(x); }

/// ROWS x WINOGRAD_PANEL of C = A B, or added to C.
#define DEFINE_PANEL(ROWS, KIND, WORD, VECTOR, VECTOR_LOAD)                                                            \
    static void winograd_##KIND##_panel_##ROWS(size_t depth, const void *a, size_t a_row, const void *b, float *c,     \
                                               size_t c_row, int adding) {                                             \
        const WORD *values = a, *kernels = b;                                                                          \
        vf sum[ROWS][2];                                                                                               \
        _Pragma("clang loop unroll(full)") for (int i = 0; i < ROWS; i++) sum[i][0] = sum[i][1] = vector_of(0);        \
        for (size_t k = 0; k < depth; k++) {                                                                           \
            VECTOR left = VECTOR_LOAD(kernels + k * WINOGRAD_PANEL);                                                   \
            VECTOR right = VECTOR_LOAD(kernels + k * WINOGRAD_PANEL + LANES);                                          \
            _Pragma("clang loop unroll(full)") for (int i = 0; i < ROWS; i++) {                                        \
                VECTOR x = KIND##_of(values[i * a_row + k]);                                                           \
                sum[i][0] = KIND##_products(sum[i][0], x, left);                                                       \
                sum[i][1] = KIND##_products(sum[i][1], x, right);                                                      \
            }                                                                                                          \
        }                                                                                                              \
        _Pragma("clang loop unroll(full)") for (int i = 0; i < ROWS; i++) {                                            \
            float *target = c + i * c_row;                                                                             \
            vector_store(target, adding ? vector_load(target) + sum[i][0] : sum[i][0]);                                \
            vector_store(target + LANES, adding ? vector_load(target + LANES) + sum[i][1] : sum[i][1]);                \
        }                                                                                                              \
    }

#define DEFINE_PANELS(ROWS)                                                                                            \
    DEFINE_PANEL(ROWS, float, float, vf, vector_load)                                                                  \
    DEFINE_PANEL(ROWS, pair, uint32_t, vw, words_load)

DEFINE_PANELS(1)
DEFINE_PANELS(2)
DEFINE_PANELS(3)
DEFINE_PANELS(4)
DEFINE_PANELS(5)
DEFINE_PANELS(6)
#if WINOGRAD_ROWS > 6
DEFINE_PANELS(7)
DEFINE_PANELS(8)
DEFINE_PANELS(9)
DEFINE_PANELS(10)
DEFINE_PANELS(11)
DEFINE_PANELS(12)
DEFINE_PANELS(13)
#define WINOGRAD_PANELS(KIND)                                                                                          \
    {                                                                                                                  \
        winograd_##KIND##_panel_1, winograd_##KIND##_panel_2, winograd_##KIND##_panel_3, winograd_##KIND##_panel_4,    \
        winograd_##KIND##_panel_5, winograd_##KIND##_panel_6, winograd_##KIND##_panel_7, winograd_##KIND##_panel_8,    \
        winograd_##KIND##_panel_9, winograd_##KIND##_panel_10, winograd_##KIND##_panel_11,                             \
        winograd_##KIND##_panel_12, winograd_##KIND##_panel_13,                                                        \
    }
#else
#define WINOGRAD_PANELS(KIND)                                                                                          \
    {                                                                                                                  \
        winograd_##KIND##_panel_1, winograd_##KIND##_panel_2, winograd_##KIND##_panel_3, winograd_##KIND##_panel_4,    \
        winograd_##KIND##_panel_5, winograd_##KIND##_panel_6,                                                          \
    }
#endif

static winograd_panel *const winograd_float_panels[] = WINOGRAD_PANELS(float);
static winograd_panel *const winograd_pair_panels[] = WINOGRAD_PANELS(pair);

/// Rows first..<first + count of group number `group`, of about equal groups: one of 1 row takes half as long as one of 13.
INLINE size_t winograd_group(size_t rows, size_t groups, size_t group, size_t *first) {
    *first = rows * group / groups;
    return rows * (group + 1) / groups - *first;
}

INLINE size_t winograd_groups(size_t rows) { return (rows + WINOGRAD_ROWS - 1) / WINOGRAD_ROWS; }

/// C = A B: all of one panel; strides and depth in words.
INLINE void winograd_multiply(winograd_panel *const *panels, size_t rows, size_t depth, const uint32_t *a, size_t a_row,
                              const uint32_t *b, float *c, size_t c_row) {
    size_t groups = winograd_groups(rows);
    for (size_t g = 0; g < groups; g++) {
        size_t first, count = winograd_group(rows, groups, g, &first);
        for (size_t k = 0; k < depth; k += WINOGRAD_DEPTH) {
            size_t part = depth - k < WINOGRAD_DEPTH ? depth - k : WINOGRAD_DEPTH;
            panels[count - 1](
                part, a + first * a_row + k, a_row, b + k * WINOGRAD_PANEL, c + first * c_row, c_row, k > 0);
        }
    }
}

static void winograd_product(size_t rows, size_t depth, const void *a, size_t a_row, const void *b, float *c,
                             size_t c_row) {
    winograd_multiply(winograd_float_panels, rows, depth, a, a_row, b, c, c_row);
}

static void winograd_product_bfloat16(size_t rows, size_t depth, const void *a, size_t a_row, const void *b, float *c,
                                      size_t c_row) {
    winograd_multiply(winograd_pair_panels, rows, (depth + 1) / 2, a, a_row / 2, b, c, c_row);
}

static size_t winograd_panel_width(void) { return WINOGRAD_PANEL; }

/// One input's kernels for a panel of outputs, at all positions: made[position][WINOGRAD_PANEL], zero beyond the last
/// output and the last input.
INLINE void winograd_transform(size_t results, const float *weights, size_t outputs, size_t inputs, size_t input,
                               size_t panel, float (*made)[WINOGRAD_PANEL]) {
    size_t first = panel * WINOGRAD_PANEL, count = outputs - first < WINOGRAD_PANEL ? outputs - first : WINOGRAD_PANEL;
    float taps[9][WINOGRAD_PANEL];
    memset(taps, 0, sizeof taps);
    for (size_t j = 0; j < count && input < inputs; j++) {
        const float *kernel = weights + ((first + j) * inputs + input) * 9;
        for (int tap = 0; tap < 9; tap++) taps[tap][j] = kernel[tap];
    }
    for (size_t lane = 0; lane < WINOGRAD_PANEL; lane += LANES) {
        vf from[9], to[WINOGRAD_SIDE * WINOGRAD_SIDE];
        for (int tap = 0; tap < 9; tap++) from[tap] = vector_load(taps[tap] + lane);
        if (results == 4)
            winograd_kernel_4_square(from, to);
        else
            winograd_kernel_2_square(from, to);
        for (size_t p = 0; p < (results + 2) * (results + 2); p++) vector_store(made[p] + lane, to[p]);
    }
}

/// Kernels of one panel of outputs: weights [outputs][inputs][3][3] to target[position][inputs][WINOGRAD_PANEL].
static void winograd_kernels(size_t results, const float *weights, size_t outputs, size_t inputs, size_t panel,
                             void *target, size_t position) {
    float made[WINOGRAD_SIDE * WINOGRAD_SIDE][WINOGRAD_PANEL], *kernels = target;
    for (size_t input = 0; input < inputs; input++) {
        winograd_transform(results, weights, outputs, inputs, input, panel, made);
        for (size_t p = 0; p < (results + 2) * (results + 2); p++)
            memcpy(kernels + p * position + input * WINOGRAD_PANEL, made[p], sizeof made[p]);
    }
}

/// The same to target[position][pairs of inputs][WINOGRAD_PANEL].
static void winograd_kernels_bfloat16(size_t results, const float *weights, size_t outputs, size_t inputs, size_t panel,
                                      void *target, size_t position) {
    float even[WINOGRAD_SIDE * WINOGRAD_SIDE][WINOGRAD_PANEL], odd[WINOGRAD_SIDE * WINOGRAD_SIDE][WINOGRAD_PANEL];
    for (size_t input = 0; input < inputs; input += 2) {
        winograd_transform(results, weights, outputs, inputs, input, panel, even);
        winograd_transform(results, weights, outputs, inputs, input + 1, panel, odd);
        for (size_t p = 0; p < (results + 2) * (results + 2); p++) {
            uint32_t *line = (uint32_t *)target + p * position + input / 2 * WINOGRAD_PANEL;
            for (size_t lane = 0; lane < WINOGRAD_PANEL; lane += LANES)
                words_store(line + lane, pairs_of(vector_load(even[p] + lane), vector_load(odd[p] + lane)));
        }
    }
}

#if LANES == 16
#define INTERLEAVED_LOW(a, b)                                                                                          \
    __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define INTERLEAVED_HIGH(a, b)                                                                                         \
    __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#elif LANES == 8
#define INTERLEAVED_LOW(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define INTERLEAVED_HIGH(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#else
#define INTERLEAVED_LOW(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define INTERLEAVED_HIGH(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#endif

/// LANES rows of words turned over their diagonal: each round of interleaving the first half of the rows with the second
/// turns the bits of every word's index by one.
INLINE void transpose_square(const uint32_t *from, size_t from_row, vw *rows) {
    vw next[LANES];
    _Pragma("clang loop unroll(full)") for (int i = 0; i < LANES; i++) rows[i] = words_load(from + i * from_row);
    _Pragma("clang loop unroll(full)") for (int round = 1; round < LANES; round *= 2) {
        _Pragma("clang loop unroll(full)") for (int i = 0; i < LANES / 2; i++) {
            next[2 * i] = INTERLEAVED_LOW(rows[i], rows[i + LANES / 2]);
            next[2 * i + 1] = INTERLEAVED_HIGH(rows[i], rows[i + LANES / 2]);
        }
        _Pragma("clang loop unroll(full)") for (int i = 0; i < LANES; i++) rows[i] = next[i];
    }
}

/// A panel's inputs x outputs, [WINOGRAD_PANEL][WINOGRAD_PANEL], to outputs x inputs.
INLINE void turn_floats(const uint32_t *from, uint32_t *target) {
    vw rows[LANES];
    for (size_t r = 0; r < WINOGRAD_PANEL; r += LANES) {
        for (size_t c = 0; c < WINOGRAD_PANEL; c += LANES) {
            transpose_square(from + r * WINOGRAD_PANEL + c, WINOGRAD_PANEL, rows);
            for (size_t i = 0; i < LANES; i++) words_store(target + (c + i) * WINOGRAD_PANEL + r, rows[i]);
        }
    }
}

/// Pairs of a panel's inputs x outputs, [LANES][WINOGRAD_PANEL], to pairs of outputs x inputs.
INLINE void turn_pairs(const uint32_t *from, uint32_t *target) {
    vw rows[LANES];
    for (size_t c = 0; c < WINOGRAD_PANEL; c += LANES) {
        transpose_square(from + c, WINOGRAD_PANEL, rows);
        for (size_t i = 0; i < LANES; i += 2) {
            vw even = (rows[i] & 0xffff) | rows[i + 1] << 16, odd = rows[i] >> 16 | (rows[i + 1] & 0xffff0000);
            uint32_t *line = target + (c + i) / 2 * WINOGRAD_PANEL;
            words_store(line, INTERLEAVED_LOW(even, odd));
            words_store(line + LANES, INTERLEAVED_HIGH(even, odd));
        }
    }
}

typedef void winograd_turn(const uint32_t *from, uint32_t *target);

/// Up to `lines` x WINOGRAD_PANEL words from `kernels` turned, zero beyond the last of them.
INLINE void winograd_turned(winograd_turn *turn, size_t lines, size_t count, const uint32_t *kernels, uint32_t *target) {
    uint32_t padded[WINOGRAD_PANEL * WINOGRAD_PANEL];
    if (count < lines) {
        memset(padded, 0, sizeof padded);
        memcpy(padded, kernels, count * WINOGRAD_PANEL * sizeof *padded);
        kernels = padded;
    }
    turn(kernels, target);
}

/// C[rows][WINOGRAD_PANEL] = A B for one panel of inputs: A [rows][outputs], B that panel of a position's kernels,
/// [panels of outputs][inputs][WINOGRAD_PANEL], turned.
///
/// - lines: the words in which a panel's channels are; inputs, outputs and strides are in words, too.
INLINE void winograd_multiply_turned(winograd_panel *const *products, winograd_turn *turn, size_t lines, size_t rows,
                                     size_t outputs, size_t inputs, const uint32_t *a, size_t a_row,
                                     const uint32_t *kernels, size_t panel, float *c, size_t c_row) {
    enum { cache_line = 16 };
    uint32_t turned[WINOGRAD_DEPTH * WINOGRAD_PANEL];
    size_t square = lines * WINOGRAD_PANEL, squares = WINOGRAD_DEPTH / lines, of_panel = inputs * WINOGRAD_PANEL;
    size_t panels = (outputs + lines - 1) / lines, first_input = panel * lines;
    size_t count = inputs - first_input < lines ? inputs - first_input : lines;
    size_t groups = winograd_groups(rows);
    for (size_t k = 0; k < outputs; k += WINOGRAD_DEPTH) {
        const uint32_t *from = kernels + k / lines * of_panel + first_input * WINOGRAD_PANEL;
        size_t part = outputs - k < WINOGRAD_DEPTH ? outputs - k : WINOGRAD_DEPTH;
        for (size_t q = 0; q * lines < part; q++)
            winograd_turned(turn, lines, count, from + q * of_panel, turned + q * square);
        // The next squares lie far from these: no processor guesses where, so they are fetched while these are used.
        const uint32_t *next = from + squares * of_panel;
        size_t left = panels - k / lines;
        if (left <= squares) {
            // Of the next panel of inputs, for the next call.
            next = kernels + (first_input + lines) * WINOGRAD_PANEL;
            left = first_input + lines < inputs ? panels + squares : 0;
        }
        size_t ahead = left <= squares ? 0 : left - squares < squares ? left - squares : squares;
        size_t fetches = ahead * square / cache_line, fetched = 0;
        for (size_t g = 0; g < groups; g++) {
            for (size_t until = fetches * (g + 1) / groups; fetched < until; fetched++) {
                size_t offset = fetched * cache_line;
                __builtin_prefetch(next + offset / square * of_panel + offset % square);
            }
            size_t first, height = winograd_group(rows, groups, g, &first);
            products[height - 1](part, a + first * a_row + k, a_row, turned, c + first * c_row, c_row, k > 0);
        }
    }
}

static void winograd_product_gradient(size_t rows, size_t outputs, size_t inputs, const void *a, size_t a_row,
                                      const void *kernels, size_t panel, float *c, size_t c_row) {
    winograd_multiply_turned(winograd_float_panels, turn_floats, WINOGRAD_PANEL, rows, outputs, inputs, a, a_row, kernels,
                             panel, c, c_row);
}

static void winograd_product_gradient_bfloat16(size_t rows, size_t outputs, size_t inputs, const void *a, size_t a_row,
                                               const void *kernels, size_t panel, float *c, size_t c_row) {
    winograd_multiply_turned(winograd_pair_panels, turn_pairs, LANES, rows, (outputs + 1) / 2, (inputs + 1) / 2, a,
                             a_row / 2, kernels, panel, c, c_row);
}
