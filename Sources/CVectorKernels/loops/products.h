// The product under attention: a tile of C += A B, rows of B contiguous, A by any two strides.

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

#if LANES > 8
/// Two vectors and half of a third: heads of 40 channels, for one, would waste a sixth of their products on whole ones.
typedef float half_vf __attribute__((ext_vector_type(LANES / 2)));

INLINE half_vf half_load(const float *p) {
    half_vf v;
    memcpy(&v, p, sizeof v);
    return v;
}

#define DEFINE_HALF_TILE(NAME, ROWS)                                                                                   \
    INLINE void NAME(size_t depth, const float *a, size_t row, size_t column, const float *b, size_t b_stride,         \
                     float *c, size_t c_stride, int accumulate) {                                                      \
        vf sum[ROWS][2];                                                                                               \
        half_vf rest[ROWS];                                                                                            \
        _Pragma("clang loop unroll(full)") for (int i = 0; i < ROWS; i++) {                                            \
            float *y = c + i * c_stride;                                                                               \
            sum[i][0] = accumulate ? vector_load(y) : (vf){0};                                                         \
            sum[i][1] = accumulate ? vector_load(y + LANES) : (vf){0};                                                 \
            rest[i] = accumulate ? half_load(y + 2 * LANES) : (half_vf){0};                                            \
        }                                                                                                              \
        for (size_t k = 0; k < depth; k++) {                                                                           \
            const float *line = b + k * b_stride;                                                                      \
            vf left = vector_load(line), right = vector_load(line + LANES);                                            \
            half_vf last = half_load(line + 2 * LANES);                                                                \
            _Pragma("clang loop unroll(full)") for (int i = 0; i < ROWS; i++) {                                        \
                float x = a[i * row + k * column];                                                                     \
                sum[i][0] += x * left;                                                                                 \
                sum[i][1] += x * right;                                                                                \
                rest[i] += x * last;                                                                                   \
            }                                                                                                          \
        }                                                                                                              \
        _Pragma("clang loop unroll(full)") for (int i = 0; i < ROWS; i++) {                                            \
            vector_store(c + i * c_stride, sum[i][0]);                                                                 \
            vector_store(c + i * c_stride + LANES, sum[i][1]);                                                         \
            memcpy(c + i * c_stride + 2 * LANES, &rest[i], sizeof rest[i]);                                            \
        }                                                                                                              \
    }

DEFINE_HALF_TILE(tile_half, TILE_ROWS)
DEFINE_HALF_TILE(strip_half, 1)
#else
#define tile_half tile_3
#define strip_half strip_3
#endif

/// How many columns a product must have for `width` of them.
INLINE size_t product_columns(size_t width) {
    size_t step = LANES > 8 ? LANES / 2 : LANES;
    size_t columns = (width + step - 1) / step * step;
    // Half a vector is taken beside two whole ones alone.
    return columns % (TILE_VECTORS * LANES) == 2 * LANES + LANES / 2 ? columns : (width + LANES - 1) / LANES * LANES;
}

#define MULTIPLY(TILE)                                                                                                 \
    TILE(depth, a + i * row, row, column, b + j, b_stride, c + i * c_stride + j, c_stride, accumulate)

/// C[rows][columns] (+)= A B; columns as `product_columns` says, every stride in NUMBERs. TILES and STRIPS are the kinds
/// of tiles, whose names end in what they have side by side.
#define DEFINE_PRODUCT(NAME, NUMBER, TILES, STRIPS)                                                                    \
    static void NAME(size_t rows, size_t columns, size_t depth, const NUMBER *a, size_t row, size_t column,            \
                     const NUMBER *b, size_t b_stride, float *c, size_t c_stride, int accumulate) {                    \
        for (size_t j = 0; j < columns;) {                                                                             \
            size_t left = columns - j, vectors = left / LANES;                                                         \
            int half = left == 2 * LANES + LANES / 2;                                                                  \
            /* 4 is better split as 2 + 2 than as 3 + 1. */                                                            \
            vectors = vectors == 4 ? 2 : vectors < TILE_VECTORS ? vectors : TILE_VECTORS;                              \
            size_t i = 0;                                                                                              \
            for (; i + TILE_ROWS <= rows; i += TILE_ROWS) {                                                            \
                if (half)                                                                                              \
                    MULTIPLY(TILES##half);                                                                             \
                else if (vectors == 3)                                                                                 \
                    MULTIPLY(TILES##3);                                                                                \
                else if (vectors == 2)                                                                                 \
                    MULTIPLY(TILES##2);                                                                                \
                else                                                                                                   \
                    MULTIPLY(TILES##1);                                                                                \
            }                                                                                                          \
            for (; i < rows; i++) {                                                                                    \
                if (half)                                                                                              \
                    MULTIPLY(STRIPS##half);                                                                            \
                else if (vectors == 3)                                                                                 \
                    MULTIPLY(STRIPS##3);                                                                               \
                else if (vectors == 2)                                                                                 \
                    MULTIPLY(STRIPS##2);                                                                               \
                else                                                                                                   \
                    MULTIPLY(STRIPS##1);                                                                               \
            }                                                                                                          \
            j += half ? left : vectors * LANES;                                                                        \
        }                                                                                                              \
    }

DEFINE_PRODUCT(product, float, tile_, strip_)
