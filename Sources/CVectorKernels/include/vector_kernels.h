// The loops of elements, attention and Winograd's convolutions, compiled once for each instruction set and chosen at run time.
// In C for the vector types, the masked tails and the per-function instruction sets that Swift does not offer.
#ifndef PILOT_VECTOR_KERNELS_H
#define PILOT_VECTOR_KERNELS_H
#include <stddef.h>
#include <stdint.h>

typedef enum { pilot_float32 = 0, pilot_bfloat16 = 1 } pilot_element;
typedef enum { pilot_silu = 0, pilot_gelu = 1, pilot_quick_gelu = 2 } pilot_activation;

/// Which keys a query sees.
typedef enum {
    pilot_all_keys = 0,
    pilot_causal = 1,           // the keys up to its own position
    pilot_first_key_only = 2,   // Eq. 14: a background query sees the first key of each chunk alone
    pilot_background_keys = 3,  // Eq. 15: a background query sees the keys of the background
} pilot_attention_rule;

/// Matrices of attention, all float32: row i of a matrix starts at pointer + i * stride.
typedef struct {
    size_t queries, keys, width;  // of this head: rows of Q, rows of K and V, columns of each
    float scale;
    pilot_attention_rule rule;
    size_t chunk;               // for pilot_first_key_only: the keys of a chunk, at least 1
    const uint8_t *foreground;  // for the last two rules, one byte a position: 0 = background
    size_t first_query, first_key;  // the positions of the first row of Q and of K
} pilot_attention_shape;

/// What a block of queries has of keys before, from call to call: for each query the largest score and the sum.
typedef struct {
    float *maxima, *sums;
    int resumes;  // 0: there are none before, and the rest is still to be written
} pilot_attention_progress;

/// How the tiles of a convolution by Winograd lie on a picture, rows of `width` x `channels`; what reaches beyond it reads
/// zeros and is not written.
typedef struct {
    size_t results;     // 4 or 2: a tile has results x results pixels, a patch two more each way
    size_t columns;     // tiles in a row of the grid
    ptrdiff_t top, left;  // where the first tile, or its patch, begins in the picture
    size_t height, width, channels;
    // Of the values, or sums, at positions: numbers from a tile's to the next one's, at least the channels filled up to a
    // whole panel, and from a position's to the next.
    size_t row, position;
} pilot_winograd_grid;

/// Attention in one format of the numbers that are multiplied. What is packed is this format's own; it takes at most as
/// many bytes as float32 rows of packed_width, or for a transpose packed_keys x width (filled up to packed_width in pairs
/// of bfloat16 numbers).
typedef struct {
    /// Floats of scratch that `forward` and `gradient` want for one block of queries.
    size_t (*scratch)(size_t width);
    /// A block of queries, or of gradients: rows [rows][width] at `stride` elements.
    void (*pack_block)(pilot_element type, const void *source, size_t stride, size_t rows, size_t width, void *target);
    /// All rows of a matrix.
    void (*pack_rows)(pilot_element type, const void *source, size_t stride, size_t rows, size_t width, void *target);
    /// Its transpose, in panels of keys.
    void (*pack_transposed)(pilot_element type, const void *source, size_t stride, size_t rows, size_t width,
                            void *target);
    /// Queries [first, first + count) of one head: output rows (float32, stride packed_width) and log-sum-exp.
    void (*forward)(const pilot_attention_shape *shape, size_t first, size_t count, const void *q, const void *kt,
                    const void *v, float *output, float *log_sum_exp, float *scratch);
    /// The same, run of keys after run of keys: those of the shape after those of the calls before. The bits are those of all
    /// keys at once where every run but the last has whole blocks of `key_block`. `output` has sums until the last run, which
    /// is the one with `log_sum_exp`, NULL before.
    void (*forward_run)(const pilot_attention_shape *shape, const pilot_attention_progress *progress, size_t first,
                        size_t count, const void *q, const void *kt, const void *v, float *output, float *log_sum_exp,
                        float *scratch);
    /// Gradients of one head for queries [first, first + count): dq is written, dk and dv are added to; NULL: not wanted.
    /// `d` holds, for each query, the dot product of output and its gradient.
    void (*gradient)(const pilot_attention_shape *shape, size_t first, size_t count, const void *q, const void *kt,
                     const void *k, const void *vt, const void *dy, const float *log_sum_exp, const float *d, float *dq,
                     float *dk, float *dv, float *scratch);
} pilot_attention_kernels;

/// Winograd's convolutions in one format of the numbers that are multiplied, which is the picture's as well. Tiles are
/// counted from 0 along the rows of the grid; values and sums begin with those of tile `first`. A row of values is even.
typedef struct {
    /// Kernels of panel number `panel` of the outputs, from weights [outputs][inputs][3][3], to
    /// target[position][inputs][panel width], an even number of inputs in bfloat16; `position` in words of 32 bits.
    void (*kernels)(size_t results, const float *weights, size_t outputs, size_t inputs, size_t panel, void *target,
                    size_t position);
    /// C[rows][panel width] = A B: A [rows][depth] of values, B [depth][panel width] of kernels.
    void (*product)(size_t rows, size_t depth, const void *a, size_t a_row, const void *b, float *c, size_t c_row);
    /// The same for the way back: C[rows][panel width] = A B of panel number `panel` of the inputs, A [rows][outputs], B
    /// from one position's kernels, [panels of outputs][inputs][panel width].
    void (*product_gradient)(size_t rows, size_t outputs, size_t inputs, const void *a, size_t a_row, const void *kernels,
                             size_t panel, float *c, size_t c_row);
    /// Patches of the picture to values.
    void (*patches)(pilot_winograd_grid grid, const void *picture, size_t first, size_t count, void *values);
    /// The adjoint of `winograd_tiles`: tiles of the picture to values.
    void (*tiles_gradient)(pilot_winograd_grid grid, const void *picture, size_t first, size_t count, void *values);
} pilot_winograd_kernels;

typedef struct {
    const char *name;

    void (*float32_from_bfloat16)(const uint16_t *source, float *target, size_t count);
    void (*float32_from_float16)(const uint16_t *source, float *target, size_t count);
    void (*bfloat16_from_float32)(const float *source, uint16_t *target, size_t count);
    void (*float16_from_float32)(const float *source, uint16_t *target, size_t count);

    // Group normalisation over rows x channels, channels last; groups are runs of channels / groups.
    /// Mean and sum of squared deviations of each group over these rows: moments[2 * groups].
    void (*group_moments)(pilot_element type, const void *x, size_t rows, size_t channels, size_t groups,
                          double *moments);
    /// y = activation(x * scale[c] + shift[c]), with SiLU when `silu` is not 0.
    void (*scale_shift)(pilot_element type, const void *x, pilot_element y_type, void *y, size_t rows, size_t channels,
                        const float *scale, const float *shift, int silu);
    /// Per channel over these rows: sums[c] += du, sums[channels + c] += du * x; du = dy through the SiLU.
    void (*scale_shift_sums)(pilot_element type, const void *x, pilot_element dy_type, const void *dy, size_t rows,
                             size_t channels, const float *scale, const float *shift, int silu, float *sums);
    /// dx = a[c] * du + b[c] * x + k[c], in the type of x.
    void (*scale_shift_gradient)(pilot_element type, const void *x, pilot_element dy_type, const void *dy, void *dx,
                                 size_t rows, size_t channels, const float *scale, const float *shift, int silu,
                                 const float *a, const float *b, const float *k);

    void (*layer_norm)(pilot_element type, const void *x, pilot_element y_type, void *y, size_t rows, size_t channels,
                       const float *weight, const float *bias, float epsilon);
    /// dx in the type of x.
    void (*layer_norm_gradient)(pilot_element type, const void *x, pilot_element dy_type, const void *dy, void *dx,
                                size_t rows, size_t channels, const float *weight, float epsilon);

    void (*activate)(pilot_element type, pilot_activation kind, const void *x, void *y, size_t count);
    /// dx = dy * activation'(x).
    void (*activate_gradient)(pilot_element type, pilot_activation kind, const void *x, const void *dy, void *dx,
                              size_t count);
    /// x[rows][2 * width] = (value, gate); y[rows][width] = value * gelu(gate).
    void (*gated)(pilot_element type, const void *x, void *y, size_t rows, size_t width);
    void (*gated_gradient)(pilot_element type, const void *x, const void *dy, void *dx, size_t rows, size_t width);
    /// y = a + b.
    void (*add)(pilot_element type, const void *a, const void *b, void *y, size_t count);
    /// y[row][c] += bias[c].
    void (*add_bias)(pilot_element type, void *y, size_t rows, size_t channels, const float *bias);

    pilot_attention_kernels attention;
    /// The same with products of bfloat16 numbers; without functions where the processor has no such products.
    pilot_attention_kernels attention_bfloat16;
    /// Copies rows [rows][width] at `stride` elements into float32 rows of packed_width, zero beyond width.
    void (*pack_rows)(pilot_element type, const void *source, size_t stride, size_t rows, size_t width, void *target);
    /// Copies float32 rows of packed_width back to rows of `width` at `stride` elements.
    void (*unpack_rows)(pilot_element type, const float *source, size_t rows, size_t width, void *target,
                        size_t stride);
    /// d[i] = sum over the row of a * b, float32 rows of packed_width.
    void (*row_products)(const float *a, const float *b, size_t rows, size_t width, float *d);
    /// The padded row length, in floats, of packed matrices.
    size_t (*packed_width)(size_t width);
    /// The padded count of keys of a transposed matrix.
    size_t (*packed_keys)(size_t keys);
    /// The largest block of queries that attention takes.
    size_t query_block;
    /// How many keys it takes at a time.
    size_t key_block;

    // Convolutions of kernel 3 and stride 1 by Winograd.
    /// Channels of a panel.
    size_t (*winograd_panel_width)(void);
    pilot_winograd_kernels winograd;
    /// The same with values and kernels of bfloat16, two neighbouring channels in a word; sums are float32.
    pilot_winograd_kernels winograd_bfloat16;
    /// Sums of tiles to the picture's tiles, with `bias` where it is not NULL; added when `adding`.
    void (*winograd_tiles)(pilot_winograd_grid grid, const float *sums, size_t first, size_t count, const float *bias,
                           int adding, pilot_element type, void *picture);
    /// The adjoint of `patches`, of whole rows of tiles: sums to patches, which overlap. Pixels that the first two rows of
    /// a patch reach are added to, for the row of tiles above has left its part there; not those of the first row of tiles
    /// where `is_top`. All others are written.
    void (*winograd_patches_gradient)(pilot_winograd_grid grid, const float *sums, size_t first, size_t count,
                                      size_t first_channel, size_t channels, int is_top, float *picture);

    // The most that the processor can do in products of a format.
    /// Operations of a round of `peak`.
    size_t (*peak_operations)(pilot_element type);
    /// Computes so many rounds; `numbers` are at least 32, small.
    float (*peak)(pilot_element type, size_t rounds, const float *numbers);
} pilot_vector_kernels;

/// The kernels for this processor.
const pilot_vector_kernels *pilot_kernels(void);
/// All kernels that this processor can run, best first; NULL when `index` is past the last.
const pilot_vector_kernels *pilot_kernels_at(int index);
#endif
