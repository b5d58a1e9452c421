// Convolutions of kernel 3 and stride 1 by Winograd's minimal filtering, F(4x4, 3x3) and F(2x2, 3x3): a tile of results
// is made of a patch that is two rows and columns larger. Patch and kernel are carried to as many positions as the patch
// has numbers, multiplied there, summed over the channels, and the sums are carried back: 36 multiplications for 16
// results, or 16 for 4, in place of 144 and 36.
//
// F(4, 3) stands on the points 0, 5/8, -5/8, 3/2, -3/2 and infinity, whose products are short binary fractions: its error
// is that of a direct convolution; on 0, 1, -1, 2, -2 it is ten times as large.

/// Positions along one side of the larger tile.
#define WINOGRAD_SIDE 6

#define P 0.625f
#define Q 1.5f
#define P2 (P * P)
#define Q2 (Q * Q)

// Along one line: B^T of patches, A^T of sums, and the adjoints of both; G of kernels.

INLINE void winograd_patch_4(const vf *d, vf *v) {
    vf even_p = d[4] - Q2 * d[2], odd_p = P * (d[3] - Q2 * d[1]);
    vf even_q = d[4] - P2 * d[2], odd_q = Q * (d[3] - P2 * d[1]);
    v[0] = P2 * Q2 * d[0] - (P2 + Q2) * d[2] + d[4];
    v[1] = even_p + odd_p;
    v[2] = even_p - odd_p;
    v[3] = even_q + odd_q;
    v[4] = even_q - odd_q;
    v[5] = P2 * Q2 * d[1] - (P2 + Q2) * d[3] + d[5];
}

INLINE void winograd_patch_gradient_4(const vf *v, vf *d) {
    vf sum_p = v[1] + v[2], difference_p = v[1] - v[2], sum_q = v[3] + v[4], difference_q = v[3] - v[4];
    d[0] = P2 * Q2 * v[0];
    d[1] = P2 * Q2 * v[5] - (P * Q2) * difference_p - (Q * P2) * difference_q;
    d[2] = -(P2 + Q2) * v[0] - Q2 * sum_p - P2 * sum_q;
    d[3] = P * difference_p + Q * difference_q - (P2 + Q2) * v[5];
    d[4] = v[0] + sum_p + sum_q;
    d[5] = v[5];
}

INLINE void winograd_tile_4(const vf *m, vf *y) {
    vf sum_p = m[1] + m[2], difference_p = m[1] - m[2], sum_q = m[3] + m[4], difference_q = m[3] - m[4];
    y[0] = m[0] + sum_p + sum_q;
    y[1] = P * difference_p + Q * difference_q;
    y[2] = P2 * sum_p + Q2 * sum_q;
    y[3] = (P2 * P) * difference_p + (Q2 * Q) * difference_q + m[5];
}

INLINE void winograd_tile_gradient_4(const vf *y, vf *m) {
    vf even_p = y[0] + P2 * y[2], odd_p = P * y[1] + (P2 * P) * y[3];
    vf even_q = y[0] + Q2 * y[2], odd_q = Q * y[1] + (Q2 * Q) * y[3];
    m[0] = y[0];
    m[1] = even_p + odd_p;
    m[2] = even_p - odd_p;
    m[3] = even_q + odd_q;
    m[4] = even_q - odd_q;
    m[5] = y[3];
}

INLINE void winograd_kernel_4(const vf *g, vf *u) {
    const float zero = 1 / (P2 * Q2), p = 1 / (2 * P2 * (P2 - Q2)), q = 1 / (2 * Q2 * (Q2 - P2));
    vf even_p = p * g[0] + (p * P2) * g[2], odd_p = (p * P) * g[1];
    vf even_q = q * g[0] + (q * Q2) * g[2], odd_q = (q * Q) * g[1];
    u[0] = zero * g[0];
    u[1] = even_p + odd_p;
    u[2] = even_p - odd_p;
    u[3] = even_q + odd_q;
    u[4] = even_q - odd_q;
    u[5] = g[2];
}

#undef P
#undef Q
#undef P2
#undef Q2

INLINE void winograd_patch_2(const vf *d, vf *v) {
    v[0] = d[0] - d[2];
    v[1] = d[1] + d[2];
    v[2] = d[2] - d[1];
    v[3] = d[1] - d[3];
}

INLINE void winograd_patch_gradient_2(const vf *v, vf *d) {
    d[0] = v[0];
    d[1] = v[1] - v[2] + v[3];
    d[2] = v[1] + v[2] - v[0];
    d[3] = -v[3];
}

INLINE void winograd_tile_2(const vf *m, vf *y) {
    y[0] = m[0] + m[1] + m[2];
    y[1] = m[1] - m[2] - m[3];
}

INLINE void winograd_tile_gradient_2(const vf *y, vf *m) {
    m[0] = y[0];
    m[1] = y[0] + y[1];
    m[2] = y[0] - y[1];
    m[3] = -y[1];
}

INLINE void winograd_kernel_2(const vf *g, vf *u) {
    vf outer = 0.5f * (g[0] + g[2]), middle = 0.5f * g[1];
    u[0] = g[0];
    u[1] = outer + middle;
    u[2] = outer - middle;
    u[3] = g[2];
}

/// The same along both sides of a square of FROM x FROM vectors, which becomes one of TO x TO.
#define DEFINE_SQUARE(NAME, FROM, TO)                                                                                  \
    INLINE void NAME##_square(const vf *from, vf *to) {                                                                \
        vf half[TO * FROM];                                                                                            \
        _Pragma("clang loop unroll(full)") for (int c = 0; c < FROM; c++) {                                            \
            vf line[FROM], made[TO];                                                                                   \
            _Pragma("clang loop unroll(full)") for (int r = 0; r < FROM; r++) line[r] = from[r * FROM + c];            \
            NAME(line, made);                                                                                          \
            _Pragma("clang loop unroll(full)") for (int r = 0; r < TO; r++) half[r * FROM + c] = made[r];              \
        }                                                                                                              \
        _Pragma("clang loop unroll(full)") for (int r = 0; r < TO; r++) NAME(half + r * FROM, to + r * TO);            \
    }

DEFINE_SQUARE(winograd_patch_4, 6, 6)
DEFINE_SQUARE(winograd_patch_gradient_4, 6, 6)
DEFINE_SQUARE(winograd_tile_4, 6, 4)
DEFINE_SQUARE(winograd_tile_gradient_4, 4, 6)
DEFINE_SQUARE(winograd_kernel_4, 3, 6)
DEFINE_SQUARE(winograd_patch_2, 4, 4)
DEFINE_SQUARE(winograd_patch_gradient_2, 4, 4)
DEFINE_SQUARE(winograd_tile_2, 4, 2)
DEFINE_SQUARE(winograd_tile_gradient_2, 2, 4)
DEFINE_SQUARE(winograd_kernel_2, 3, 4)

/// Where the numbers of a square of side x side pixels begin that the tile has in the picture; -1 beyond its edges.
INLINE void winograd_places(const pilot_winograd_grid *grid, size_t tile, int side, ptrdiff_t *places) {
    ptrdiff_t top = grid->top + (ptrdiff_t)(tile / grid->columns * grid->results);
    ptrdiff_t left = grid->left + (ptrdiff_t)(tile % grid->columns * grid->results);
    for (int r = 0; r < side; r++) {
        for (int c = 0; c < side; c++) {
            ptrdiff_t y = top + r, x = left + c;
            int inside = y >= 0 && y < (ptrdiff_t)grid->height && x >= 0 && x < (ptrdiff_t)grid->width;
            places[r * side + c] = inside ? (y * (ptrdiff_t)grid->width + x) * (ptrdiff_t)grid->channels : -1;
        }
    }
}

/// Carries squares of SIDE x SIDE pixels to POSITIONS x POSITIONS positions.
#define DEFINE_READ(NAME, SQUARE, SIDE, POSITIONS)                                                                     \
    static void NAME(const pilot_winograd_grid *grid, const float *picture, size_t first, size_t count,                \
                     float *values) {                                                                                  \
        static const float zeros[LANES] = {0};                                                                         \
        for (size_t t = 0; t < count; t++) {                                                                           \
            ptrdiff_t places[SIDE * SIDE];                                                                             \
            winograd_places(grid, first + t, SIDE, places);                                                            \
            FOR_VECTORS(grid->channels, c, width) {                                                                    \
                vf from[SIDE * SIDE], to[POSITIONS * POSITIONS];                                                       \
                for (int i = 0; i < SIDE * SIDE; i++)                                                                  \
                    from[i] = places[i] < 0 ? vector_load(zeros) : tail_load(picture + places[i] + c, width);          \
                SQUARE(from, to);                                                                                      \
                for (int i = 0; i < POSITIONS * POSITIONS; i++)                                                        \
                    vector_store(values + (size_t)i * grid->position + t * grid->row + c, to[i]);                      \
            }                                                                                                          \
        }                                                                                                              \
    }

DEFINE_READ(winograd_patches_4, winograd_patch_4_square, 6, 6)
DEFINE_READ(winograd_patches_2, winograd_patch_2_square, 4, 4)
DEFINE_READ(winograd_tiles_gradient_4, winograd_tile_gradient_4_square, 4, 6)
DEFINE_READ(winograd_tiles_gradient_2, winograd_tile_gradient_2_square, 2, 4)

/// Carries POSITIONS x POSITIONS positions back to squares of SIDE x SIDE pixels, which are written, or added to.
#define DEFINE_WRITE(NAME, SQUARE, SIDE, POSITIONS)                                                                    \
    static void NAME(const pilot_winograd_grid *grid, const float *values, size_t first, size_t count,                 \
                     size_t first_channel, size_t channels, const float *bias, int adding, float *picture) {           \
        for (size_t t = 0; t < count; t++) {                                                                           \
            ptrdiff_t places[SIDE * SIDE];                                                                             \
            winograd_places(grid, first + t, SIDE, places);                                                            \
            FOR_VECTORS(channels, i, width) {                                                                          \
                size_t c = first_channel + i;                                                                          \
                vf from[POSITIONS * POSITIONS], to[SIDE * SIDE];                                                       \
                for (int p = 0; p < POSITIONS * POSITIONS; p++)                                                        \
                    from[p] = vector_load(values + (size_t)p * grid->position + t * grid->row + c);                    \
                SQUARE(from, to);                                                                                      \
                vf shift = bias ? tail_load(bias + c, width) : vector_of(0);                                           \
                for (int p = 0; p < SIDE * SIDE; p++) {                                                                \
                    if (places[p] < 0) continue;                                                                       \
                    float *target = picture + places[p] + c;                                                           \
                    vf made = bias ? to[p] + shift : to[p];                                                            \
                    tail_store(target, adding ? tail_load(target, width) + made : made, width);                        \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }

DEFINE_WRITE(winograd_tiles_4, winograd_tile_4_square, 4, 6)
DEFINE_WRITE(winograd_tiles_2, winograd_tile_2_square, 2, 4)
DEFINE_WRITE(winograd_patches_gradient_4, winograd_patch_gradient_4_square, 6, 6)
DEFINE_WRITE(winograd_patches_gradient_2, winograd_patch_gradient_2_square, 4, 4)

static void winograd_patches(pilot_winograd_grid grid, const float *picture, size_t first, size_t count,
                             float *values) {
    (grid.results == 4 ? winograd_patches_4 : winograd_patches_2)(&grid, picture, first, count, values);
}

static void winograd_tiles_gradient(pilot_winograd_grid grid, const float *picture, size_t first, size_t count,
                                    float *values) {
    (grid.results == 4 ? winograd_tiles_gradient_4 : winograd_tiles_gradient_2)(&grid, picture, first, count, values);
}

static void winograd_tiles(pilot_winograd_grid grid, const float *values, size_t first, size_t count,
                           const float *bias, int adding, float *picture) {
    (grid.results == 4 ? winograd_tiles_4 : winograd_tiles_2)(
        &grid, values, first, count, 0, grid.channels, bias, adding, picture);
}

static void winograd_patches_gradient(pilot_winograd_grid grid, const float *values, size_t first, size_t count,
                                      size_t first_channel, size_t channels, float *picture) {
    (grid.results == 4 ? winograd_patches_gradient_4 : winograd_patches_gradient_2)(
        &grid, values, first, count, first_channel, channels, NULL, 1, picture);
}

// The products at a position: tiles x channels by panels of channels, WINOGRAD_PANEL of them side by side.

#define WINOGRAD_PANEL (2 * LANES)
/// Channels that are summed at a time, whole panels of them: what sums of all channels would lose, sums of these do not.
#define WINOGRAD_DEPTH 96

/// ROWS x WINOGRAD_PANEL of C = A B, or added to C.
#define DEFINE_PANEL(ROWS)                                                                                             \
    static void winograd_panel_##ROWS(size_t depth, const float *a, size_t a_row, const float *b, float *c,            \
                                      size_t c_row, int adding) {                                                      \
        vf sum[ROWS][2];                                                                                               \
        _Pragma("clang loop unroll(full)") for (int i = 0; i < ROWS; i++) sum[i][0] = sum[i][1] = vector_of(0);        \
        for (size_t k = 0; k < depth; k++) {                                                                           \
            vf left = vector_load(b + k * WINOGRAD_PANEL), right = vector_load(b + k * WINOGRAD_PANEL + LANES);        \
            _Pragma("clang loop unroll(full)") for (int i = 0; i < ROWS; i++) {                                        \
                float x = a[i * a_row + k];                                                                            \
                sum[i][0] += x * left;                                                                                 \
                sum[i][1] += x * right;                                                                                \
            }                                                                                                          \
        }                                                                                                              \
        _Pragma("clang loop unroll(full)") for (int i = 0; i < ROWS; i++) {                                            \
            float *target = c + i * c_row;                                                                             \
            vector_store(target, adding ? vector_load(target) + sum[i][0] : sum[i][0]);                                \
            vector_store(target + LANES, adding ? vector_load(target + LANES) + sum[i][1] : sum[i][1]);                \
        }                                                                                                              \
    }

typedef void winograd_panel(size_t depth, const float *a, size_t a_row, const float *b, float *c, size_t c_row,
                            int adding);

DEFINE_PANEL(1)
DEFINE_PANEL(2)
DEFINE_PANEL(3)
DEFINE_PANEL(4)
DEFINE_PANEL(5)
DEFINE_PANEL(6)
#if WINOGRAD_ROWS > 6
DEFINE_PANEL(7)
DEFINE_PANEL(8)
DEFINE_PANEL(9)
DEFINE_PANEL(10)
DEFINE_PANEL(11)
DEFINE_PANEL(12)
DEFINE_PANEL(13)
#endif

static winograd_panel *const winograd_panels[] = {
    winograd_panel_1, winograd_panel_2,  winograd_panel_3,  winograd_panel_4,  winograd_panel_5,
    winograd_panel_6,
#if WINOGRAD_ROWS > 6
    winograd_panel_7, winograd_panel_8, winograd_panel_9, winograd_panel_10, winograd_panel_11,
    winograd_panel_12, winograd_panel_13,
#endif
};

/// Rows first..<first + count of group number `group`, of about equal groups: one of 1 row takes half as long as one of 13.
INLINE size_t winograd_group(size_t rows, size_t groups, size_t group, size_t *first) {
    *first = rows * group / groups;
    return rows * (group + 1) / groups - *first;
}

static void winograd_product(size_t rows, size_t depth, const float *a, size_t a_row, const float *b, float *c,
                             size_t c_row) {
    size_t groups = (rows + WINOGRAD_ROWS - 1) / WINOGRAD_ROWS;
    for (size_t g = 0; g < groups; g++) {
        size_t first, count = winograd_group(rows, groups, g, &first);
        for (size_t k = 0; k < depth; k += WINOGRAD_DEPTH) {
            size_t part = depth - k < WINOGRAD_DEPTH ? depth - k : WINOGRAD_DEPTH;
            winograd_panels[count - 1](
                part, a + first * a_row + k, a_row, b + k * WINOGRAD_PANEL, c + first * c_row, c_row, k > 0);
        }
    }
}

static size_t winograd_panel_width(void) { return WINOGRAD_PANEL; }

/// Kernels of one panel of outputs: weights [outputs][inputs][3][3] to target[position][inputs][WINOGRAD_PANEL], zero
/// beyond the last output.
static void winograd_kernels(size_t results, const float *weights, size_t outputs, size_t inputs, size_t panel,
                             float *target, size_t position) {
    size_t first = panel * WINOGRAD_PANEL, count = outputs - first < WINOGRAD_PANEL ? outputs - first : WINOGRAD_PANEL;
    float taps[9][WINOGRAD_PANEL];
    memset(taps, 0, sizeof taps);
    for (size_t input = 0; input < inputs; input++) {
        for (size_t j = 0; j < count; j++) {
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
            size_t positions = (results + 2) * (results + 2);
            for (size_t p = 0; p < positions; p++)
                vector_store(target + p * position + input * WINOGRAD_PANEL + lane, to[p]);
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

/// A square of LANES x LANES turned over its diagonal: each round of interleaving the first half of the rows with the
/// second turns the bits of every number's index by one.
INLINE void transpose_square(const float *from, size_t from_row, float *to, size_t to_row) {
    vf rows[LANES], next[LANES];
    _Pragma("clang loop unroll(full)") for (int i = 0; i < LANES; i++) rows[i] = vector_load(from + i * from_row);
    _Pragma("clang loop unroll(full)") for (int round = 1; round < LANES; round *= 2) {
        _Pragma("clang loop unroll(full)") for (int i = 0; i < LANES / 2; i++) {
            next[2 * i] = INTERLEAVED_LOW(rows[i], rows[i + LANES / 2]);
            next[2 * i + 1] = INTERLEAVED_HIGH(rows[i], rows[i + LANES / 2]);
        }
        _Pragma("clang loop unroll(full)") for (int i = 0; i < LANES; i++) rows[i] = next[i];
    }
    _Pragma("clang loop unroll(full)") for (int i = 0; i < LANES; i++) vector_store(to + i * to_row, rows[i]);
}

/// Up to WINOGRAD_PANEL inputs from `first` of one panel of outputs, [inputs][WINOGRAD_PANEL], turned:
/// target[WINOGRAD_PANEL][WINOGRAD_PANEL], zero beyond the last input.
INLINE void winograd_turn(const float *kernels, size_t count, float *target) {
    float padded[WINOGRAD_PANEL * WINOGRAD_PANEL];
    if (count < WINOGRAD_PANEL) {
        memset(padded, 0, sizeof padded);
        memcpy(padded, kernels, count * WINOGRAD_PANEL * sizeof *padded);
        kernels = padded;
    }
    for (size_t r = 0; r < WINOGRAD_PANEL; r += LANES)
        for (size_t c = 0; c < WINOGRAD_PANEL; c += LANES)
            transpose_square(
                kernels + r * WINOGRAD_PANEL + c, WINOGRAD_PANEL, target + c * WINOGRAD_PANEL + r, WINOGRAD_PANEL);
}

/// C[rows][WINOGRAD_PANEL] = A B for one panel of inputs: A [rows][outputs], B that panel of a position's kernels,
/// [panels of outputs][inputs][WINOGRAD_PANEL], turned.
static void winograd_product_gradient(size_t rows, size_t outputs, size_t inputs, const float *a, size_t a_row,
                                      const float *kernels, size_t panel, float *c, size_t c_row) {
    enum { squares = WINOGRAD_DEPTH / WINOGRAD_PANEL, line = 16 };
    float turned[WINOGRAD_DEPTH * WINOGRAD_PANEL];
    size_t first_input = panel * WINOGRAD_PANEL, square = WINOGRAD_PANEL * WINOGRAD_PANEL;
    size_t count = inputs - first_input < WINOGRAD_PANEL ? inputs - first_input : WINOGRAD_PANEL;
    size_t panels = (outputs + WINOGRAD_PANEL - 1) / WINOGRAD_PANEL;
    size_t groups = (rows + WINOGRAD_ROWS - 1) / WINOGRAD_ROWS;
    for (size_t k = 0; k < outputs; k += WINOGRAD_DEPTH) {
        const float *from = kernels + (k * inputs + first_input * WINOGRAD_PANEL);
        size_t part = outputs - k < WINOGRAD_DEPTH ? outputs - k : WINOGRAD_DEPTH;
        for (size_t q = 0; q * WINOGRAD_PANEL < part; q++)
            winograd_turn(from + q * inputs * WINOGRAD_PANEL, count, turned + q * square);
        // The next squares lie far from these: no processor guesses where, so they are fetched while these are used.
        const float *next = from + squares * inputs * WINOGRAD_PANEL;
        size_t left = panels - k / WINOGRAD_PANEL;
        if (left <= squares) {
            // Of the next panel of inputs, for the next call.
            next = kernels + (first_input + WINOGRAD_PANEL) * WINOGRAD_PANEL;
            left = first_input + WINOGRAD_PANEL < inputs ? panels + squares : 0;
        }
        size_t ahead = left <= squares ? 0 : left - squares < squares ? left - squares : squares;
        size_t lines = ahead * square / line, fetched = 0;
        for (size_t g = 0; g < groups; g++) {
            for (size_t until = lines * (g + 1) / groups; fetched < until; fetched++) {
                size_t offset = fetched * line;
                __builtin_prefetch(next + offset / square * inputs * WINOGRAD_PANEL + offset % square);
            }
            size_t first, height = winograd_group(rows, groups, g, &first);
            winograd_panels[height - 1](part, a + first * a_row + k, a_row, turned, c + first * c_row, c_row, k > 0);
        }
    }
}
