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
