// oneDNN's C interface changed from version 2 to 3: a memory descriptor went from a struct to a handle, and the
// descriptors of operations are gone. This shim speaks both; Swift sees only what is the same in the two.
#ifndef CONEDNN_H
#define CONEDNN_H
#include <oneapi/dnnl/dnnl.h>
#include <oneapi/dnnl/dnnl_debug.h>
#include <stddef.h>
#include <stdint.h>

/// How the elements of an array lie in memory. Made by the functions below, and destroyed by whoever asked for it.
typedef struct pilot_dnnl_layout *pilot_dnnl_layout_t;

/// Sides in the order of `tag`'s letters; dnnl_format_tag_any leaves the order to the operation.
dnnl_status_t pilot_dnnl_layout_create(
    pilot_dnnl_layout_t *layout, int axes, const int64_t *sides, dnnl_data_type_t type, dnnl_format_tag_t tag);
/// The same with `strides`, in elements.
dnnl_status_t pilot_dnnl_layout_create_strided(
    pilot_dnnl_layout_t *layout, int axes, const int64_t *sides, dnnl_data_type_t type, const int64_t *strides);
void pilot_dnnl_layout_destroy(pilot_dnnl_layout_t layout);
size_t pilot_dnnl_layout_byte_count(pilot_dnnl_layout_t layout);
/// Writes to `text`, of `capacity` bytes, a description that two layouts share if and only if they are the same, in any
/// process, and returns its length; 0 for a layout that can't be told in words (one the library keeps to itself), or
/// if there is no room.
size_t pilot_dnnl_layout_text(pilot_dnnl_layout_t layout, char *text, size_t capacity);

dnnl_status_t pilot_dnnl_memory_create(
    dnnl_memory_t *memory, pilot_dnnl_layout_t layout, dnnl_engine_t engine, void *address);
/// An operation that copies from one layout to another.
dnnl_status_t pilot_dnnl_reorder_create(
    dnnl_primitive_t *reorder, pilot_dnnl_layout_t from, pilot_dnnl_layout_t to, dnnl_engine_t engine);

/// Operations, chosen but not yet compiled (dnnl_primitive_create does that). Their scratchpad is an argument;
/// `accumulating` adds to the destination; `bias` may be NULL.
dnnl_status_t pilot_dnnl_product_choose(
    dnnl_primitive_desc_t *operation, dnnl_engine_t engine, pilot_dnnl_layout_t source, pilot_dnnl_layout_t weights,
    pilot_dnnl_layout_t bias, pilot_dnnl_layout_t destination, int accumulating);

/// Of two spatial axes; padding in rows and columns.
typedef struct {
    int64_t strides[2];
    int64_t before[2];
    int64_t after[2];
} pilot_dnnl_window;

dnnl_status_t pilot_dnnl_convolution_choose(
    dnnl_primitive_desc_t *operation, dnnl_engine_t engine, pilot_dnnl_layout_t source, pilot_dnnl_layout_t weights,
    pilot_dnnl_layout_t bias, pilot_dnnl_layout_t destination, const pilot_dnnl_window *window, int accumulating);
/// The gradient of a convolution's source.
dnnl_status_t pilot_dnnl_convolution_gradient_choose(
    dnnl_primitive_desc_t *operation, dnnl_engine_t engine, pilot_dnnl_layout_t source, pilot_dnnl_layout_t weights,
    pilot_dnnl_layout_t destination, const pilot_dnnl_window *window);

/// A copy of the layout that a chosen operation wants for one of its arguments.
dnnl_status_t pilot_dnnl_argument_layout(
    pilot_dnnl_layout_t *layout, const_dnnl_primitive_desc_t operation, dnnl_query_t argument, int index);
#endif
