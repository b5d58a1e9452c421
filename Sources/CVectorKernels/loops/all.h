#include "vector.h"
#include "pairs.h"

#include "activations.h"
#include "attention.h"
#ifdef BFLOAT16_PRODUCTS
#include "attention_bfloat16.h"
#endif
#include "norms.h"
#include "peak.h"
#include "winograd_squares.h"

#include "winograd_pictures.h"
#include "winograd_products.h"

const pilot_vector_kernels KERNELS = {
    .name = KERNELS_NAME,
    .float32_from_bfloat16 = float32_from_bfloat16,
    .float32_from_float16 = float32_from_float16,
    .bfloat16_from_float32 = bfloat16_from_float32,
    .float16_from_float32 = float16_from_float32,
    .group_moments = group_moments,
    .scale_shift = scale_shift,
    .scale_shift_sums = scale_shift_sums,
    .scale_shift_gradient = scale_shift_gradient,
    .layer_norm = layer_norm,
    .layer_norm_gradient = layer_norm_gradient,
    .activate = activate,
    .activate_gradient = activate_gradient,
    .gated = gated,
    .gated_gradient = gated_gradient,
    .add = add,
    .add_bias = add_bias,
    .attention = {
        .scratch = attention_scratch,
        .pack_block = pack_rows,
        .pack_rows = pack_rows,
        .pack_transposed = pack_transposed,
        .forward = attention,
        .forward_run = attention_run,
        .gradient = attention_gradient,
    },
#ifdef BFLOAT16_PRODUCTS
    .attention_bfloat16 = {
        .scratch = attention_scratch_bfloat16,
        .pack_block = pack_block_bfloat16,
        .pack_rows = pack_pairs,
        .pack_transposed = pack_transposed_bfloat16,
        .forward = attention_bfloat16,
        .forward_run = attention_run_bfloat16,
        .gradient = attention_gradient_bfloat16,
    },
#endif
    .pack_rows = pack_rows,
    .unpack_rows = unpack_rows,
    .row_products = row_products,
    .packed_width = packed_width,
    .packed_keys = packed_keys,
    .query_block = QUERY_BLOCK,
    .key_block = KEY_BLOCK,
    .winograd_panel_width = winograd_panel_width,
    .winograd = {
        .kernels = winograd_kernels,
        .product = winograd_product,
        .product_gradient = winograd_product_gradient,
        .patches = winograd_patches,
        .tiles_gradient = winograd_tiles_gradient,
    },
    .winograd_bfloat16 = {
        .kernels = winograd_kernels_bfloat16,
        .product = winograd_product_bfloat16,
        .product_gradient = winograd_product_gradient_bfloat16,
        .patches = winograd_patches_bfloat16,
        .tiles_gradient = winograd_tiles_gradient_bfloat16,
    },
    .winograd_tiles = winograd_tiles,
    .winograd_patches_gradient = winograd_patches_gradient,
    .peak_operations = peak_operations,
    .peak = peak,
};
