// The product under attention: a tile of C += A B, rows of B contiguous, A by any two strides.

#define TILE_VECTORS 3

/// C[ROWS][VECTORS * LANES] = (accumulate ? C : 0) + A B over `depth`; A(i, k) at a[i * row + k * column].
#define DEFINE_TILE(NAME, ROWS, VECTORS)                                                                               \
    INLINE void NAME(size_t depth, const float *a, size_t row, size_t column, const float *b, size_t b_stride,         \
                     float *c, size_t c_stride, int accumulate) {                                                      \
        vf sum[ROWS][VECTORS];                                                                                         \
        _Pragma("clang loop unroll(full)") for (int i = 0; i < ROWS; i++)                                              \
            _Pragma("clang loop unroll(full)") for (int v = 0; v < VECTORS; v++) sum[i][v] =                           \
                accumulate ? vector_load(c + i * c_stride + v * LANES) : (vf){0};                                      \
        for (size_t k = 0; k < depth; k++) {                                                                           \
            vf line[VECTORS];                                                                                          \
            _Pragma("clang loop unroll(full)") for (int v = 0; v < VECTORS; v++) line[v] =                             \
                vector_load(b + k * b_stride + v * LANES);                                                             \
            _Pragma("clang loop unroll(full)") for (int i = 0; i < ROWS; i++) {                                        \
                float x = a[i * row + k * column];                                                                     \
                _Pragma("clang loop unroll(full)") for (int v = 0; v < VECTORS; v++) sum[i][v] += x * line[v];         \
            }                                                                                                          \
        }                                                                                                              \
        _Pragma("clang loop unroll(full)") for (int i = 0; i < ROWS; i++)                                              \
            _Pragma("clang loop unroll(full)") for (int v = 0; v < VECTORS; v++)                                       \
                vector_store(c + i * c_stride + v * LANES, sum[i][v]);                                                 \
    }

DEFINE_TILE(tile_3, TILE_ROWS, 3)
DEFINE_TILE(tile_2, TILE_ROWS, 2)
DEFINE_TILE(tile_1, TILE_ROWS, 1)
DEFINE_TILE(strip_3, 1, 3)
DEFINE_TILE(strip_2, 1, 2)
DEFINE_TILE(strip_1, 1, 1)

/// C[rows][columns] (+)= A B; columns a multiple of LANES, every stride in floats.
static void product(size_t rows, size_t columns, size_t depth, const float *a, size_t row, size_t column,
                    const float *b, size_t b_stride, float *c, size_t c_stride, int accumulate) {
    for (size_t j = 0; j < columns;) {
        size_t vectors = (columns - j) / LANES;
        // 4 is better split as 2 + 2 than as 3 + 1.
        vectors = vectors == 4 ? 2 : vectors < TILE_VECTORS ? vectors : TILE_VECTORS;
        size_t i = 0;
        for (; i + TILE_ROWS <= rows; i += TILE_ROWS) {
            const float *x = a + i * row;
            float *y = c + i * c_stride + j;
            if (vectors == 3)
                tile_3(depth, x, row, column, b + j, b_stride, y, c_stride, accumulate);
            else if (vectors == 2)
                tile_2(depth, x, row, column, b + j, b_stride, y, c_stride, accumulate);
            else
                tile_1(depth, x, row, column, b + j, b_stride, y, c_stride, accumulate);
        }
        for (; i < rows; i++) {
            const float *x = a + i * row;
            float *y = c + i * c_stride + j;
            if (vectors == 3)
                strip_3(depth, x, row, column, b + j, b_stride, y, c_stride, accumulate);
            else if (vectors == 2)
                strip_2(depth, x, row, column, b + j, b_stride, y, c_stride, accumulate);
            else
                strip_1(depth, x, row, column, b + j, b_stride, y, c_stride, accumulate);
        }
        j += vectors * LANES;
    }
}
