#include "vector.h"

#include "activations.h"
#include "attention.h"
#include "norms.h"
#include "winograd.h"

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
    .attention_scratch = attention_scratch,
    .packed_width = packed_width,
    .packed_keys = packed_keys,
    .pack_rows = pack_rows,
    .pack_transposed = pack_transposed,
    .attention = attention,
    .attention_gradient = attention_gradient,
    .unpack_rows = unpack_rows,
    .row_products = row_products,
    .query_block = QUERY_BLOCK,
    .winograd_panel_width = winograd_panel_width,
    .winograd_kernels = winograd_kernels,
    .winograd_product = winograd_product,
    .winograd_product_gradient = winograd_product_gradient,
    .winograd_patches = winograd_patches,
    .winograd_tiles = winograd_tiles,
    .winograd_tiles_gradient = winograd_tiles_gradient,
    .winograd_patches_gradient = winograd_patches_gradient,
};
