// From pictures to the values at positions, and back. Pictures, and values that are multiplied, are of one format, float32
// or bfloat16; the sums of products are float32.

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

#define LOAD_float(p, count) tail_load(p, count)
#define LOAD_uint16_t(p, count) bfloat16_load(p, count)
#define STORE_float(p, v, count) tail_store(p, v, count)
#define STORE_uint16_t(p, v, count) bfloat16_store(p, v, count)

/// Carries squares of SIDE x SIDE pixels to POSITIONS x POSITIONS positions.
#define DEFINE_READ(NAME, NUMBER, SQUARE, SIDE, POSITIONS)                                                             \
    static void NAME(const pilot_winograd_grid *grid, const void *picture, size_t first, size_t count,                 \
                     void *values) {                                                                                   \
        const NUMBER *source = picture;                                                                                \
        NUMBER *target = values;                                                                                       \
        for (size_t t = 0; t < count; t++) {                                                                           \
            ptrdiff_t places[SIDE * SIDE];                                                                             \
            winograd_places(grid, first + t, SIDE, places);                                                            \
            FOR_VECTORS(grid->channels, c, width) {                                                                    \
                vf from[SIDE * SIDE], to[POSITIONS * POSITIONS];                                                       \
                for (int i = 0; i < SIDE * SIDE; i++)                                                                  \
                    from[i] = places[i] < 0 ? vector_of(0) : LOAD_##NUMBER(source + places[i] + c, width);             \
                SQUARE(from, to);                                                                                      \
                for (int i = 0; i < POSITIONS * POSITIONS; i++)                                                        \
                    STORE_##NUMBER(target + (size_t)i * grid->position + t * grid->row + c, to[i], (size_t)LANES);     \
            }                                                                                                          \
        }                                                                                                              \
    }

DEFINE_READ(winograd_patches_4, float, winograd_patch_4_square, 6, 6)
DEFINE_READ(winograd_patches_2, float, winograd_patch_2_square, 4, 4)
DEFINE_READ(winograd_tiles_gradient_4, float, winograd_tile_gradient_4_square, 4, 6)
DEFINE_READ(winograd_tiles_gradient_2, float, winograd_tile_gradient_2_square, 2, 4)
DEFINE_READ(winograd_patches_bfloat16_4, uint16_t, winograd_patch_4_square, 6, 6)
DEFINE_READ(winograd_patches_bfloat16_2, uint16_t, winograd_patch_2_square, 4, 4)
DEFINE_READ(winograd_tiles_gradient_bfloat16_4, uint16_t, winograd_tile_gradient_4_square, 4, 6)
DEFINE_READ(winograd_tiles_gradient_bfloat16_2, uint16_t, winograd_tile_gradient_2_square, 2, 4)

/// Carries sums at POSITIONS x POSITIONS positions back to tiles of SIDE x SIDE pixels, which are written, or added to.
#define DEFINE_WRITE(NAME, NUMBER, SQUARE, SIDE, POSITIONS)                                                            \
    static void NAME(const pilot_winograd_grid *grid, const float *sums, size_t first, size_t count,                   \
                     const float *bias, int adding, void *picture) {                                                   \
        for (size_t t = 0; t < count; t++) {                                                                           \
            ptrdiff_t places[SIDE * SIDE];                                                                             \
            winograd_places(grid, first + t, SIDE, places);                                                            \
            FOR_VECTORS(grid->channels, c, width) {                                                                    \
                vf from[POSITIONS * POSITIONS], to[SIDE * SIDE];                                                       \
                for (int p = 0; p < POSITIONS * POSITIONS; p++)                                                        \
                    from[p] = vector_load(sums + (size_t)p * grid->position + t * grid->row + c);                      \
                SQUARE(from, to);                                                                                      \
                vf shift = bias ? tail_load(bias + c, width) : vector_of(0);                                           \
                for (int p = 0; p < SIDE * SIDE; p++) {                                                                \
                    if (places[p] < 0) continue;                                                                       \
                    NUMBER *target = (NUMBER *)picture + places[p] + c;                                                \
                    vf made = bias ? to[p] + shift : to[p];                                                            \
                    STORE_##NUMBER(target, adding ? LOAD_##NUMBER(target, width) + made : made, width);                \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }

DEFINE_WRITE(winograd_tiles_4, float, winograd_tile_4_square, 4, 6)
DEFINE_WRITE(winograd_tiles_2, float, winograd_tile_2_square, 2, 4)
DEFINE_WRITE(winograd_tiles_bfloat16_4, uint16_t, winograd_tile_4_square, 4, 6)
DEFINE_WRITE(winograd_tiles_bfloat16_2, uint16_t, winograd_tile_2_square, 2, 4)

/// Carries sums at SIDE x SIDE positions back to patches of as many pixels, which overlap by two rows and columns. The
/// patches of a row of tiles are summed among each other first, then added to what the row above has left: so a picture can
/// be summed by whoever has some rows of tiles, in any cut, to the same bits.
#define DEFINE_OVERLAP(NAME, SQUARE, SIDE)                                                                             \
    static void NAME(const pilot_winograd_grid *grid, const float *sums, size_t first, size_t count,                   \
                     size_t first_channel, size_t channels, int is_top, float *picture) {                              \
        enum { right = SIDE - 2 };                                                                                     \
        /* Of the tile before: what its last two columns have for the two rows that the row above has parts of. */     \
        float carried[4][SEGMENT];                                                                                     \
        for (size_t done = 0, n; n = segment(done, channels), n > 0; done += n) {                                      \
            for (size_t t = 0; t < count; t++) {                                                                       \
                size_t column = (first + t) % grid->columns;                                                           \
                int is_first = column == 0, is_last = column + 1 == grid->columns;                                     \
                int is_alone = is_top && t < grid->columns;                                                            \
                ptrdiff_t places[SIDE * SIDE];                                                                         \
                winograd_places(grid, first + t, SIDE, places);                                                        \
                FOR_VECTORS(n, i, width) {                                                                             \
                    size_t c = first_channel + done + i;                                                               \
                    vf from[SIDE * SIDE], to[SIDE * SIDE];                                                             \
                    for (int p = 0; p < SIDE * SIDE; p++)                                                              \
                        from[p] = vector_load(sums + (size_t)p * grid->position + t * grid->row + c);                  \
                    SQUARE(from, to);                                                                                  \
                    for (int p = 0; p < 4; p++) {                                                                      \
                        vf *left = &to[p / 2 * SIDE + p % 2];                                                          \
                        if (!is_first) *left = vector_load(carried[p] + i) + *left;                                    \
                        vector_store(carried[p] + i, left[right]);                                                     \
                    }                                                                                                  \
                    for (int p = 0; p < SIDE * SIDE; p++) {                                                            \
                        int row = p / SIDE, side = p % SIDE;                                                           \
                        if (places[p] < 0 || (row < 2 && side >= right && !is_last)) continue;                         \
                        int adding = row < 2 ? !is_alone : side < 2 && !is_first;                                      \
                        float *target = picture + places[p] + c;                                                       \
                        tail_store(target, adding ? tail_load(target, width) + to[p] : to[p], width);                  \
                    }                                                                                                  \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }

DEFINE_OVERLAP(winograd_patches_gradient_4, winograd_patch_gradient_4_square, 6)
DEFINE_OVERLAP(winograd_patches_gradient_2, winograd_patch_gradient_2_square, 4)

static void winograd_patches(pilot_winograd_grid grid, const void *picture, size_t first, size_t count, void *values) {
    (grid.results == 4 ? winograd_patches_4 : winograd_patches_2)(&grid, picture, first, count, values);
}

static void winograd_patches_bfloat16(pilot_winograd_grid grid, const void *picture, size_t first, size_t count,
                                      void *values) {
    (grid.results == 4 ? winograd_patches_bfloat16_4 : winograd_patches_bfloat16_2)(
        &grid, picture, first, count, values);
}

static void winograd_tiles_gradient(pilot_winograd_grid grid, const void *picture, size_t first, size_t count,
                                    void *values) {
    (grid.results == 4 ? winograd_tiles_gradient_4 : winograd_tiles_gradient_2)(&grid, picture, first, count, values);
}

static void winograd_tiles_gradient_bfloat16(pilot_winograd_grid grid, const void *picture, size_t first, size_t count,
                                             void *values) {
    (grid.results == 4 ? winograd_tiles_gradient_bfloat16_4 : winograd_tiles_gradient_bfloat16_2)(
        &grid, picture, first, count, values);
}

static void winograd_tiles(pilot_winograd_grid grid, const float *sums, size_t first, size_t count, const float *bias,
                           int adding, pilot_element type, void *picture) {
    if (type == pilot_float32)
        (grid.results == 4 ? winograd_tiles_4 : winograd_tiles_2)(&grid, sums, first, count, bias, adding, picture);
    else
        (grid.results == 4 ? winograd_tiles_bfloat16_4 : winograd_tiles_bfloat16_2)(
            &grid, sums, first, count, bias, adding, picture);
}

static void winograd_patches_gradient(pilot_winograd_grid grid, const float *sums, size_t first, size_t count,
                                      size_t first_channel, size_t channels, int is_top, float *picture) {
    (grid.results == 4 ? winograd_patches_gradient_4 : winograd_patches_gradient_2)(
        &grid, sums, first, count, first_channel, channels, is_top, picture);
}
