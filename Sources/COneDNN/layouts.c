#include "layouts.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static dnnl_status_t finished(pilot_dnnl_layout_t made, dnnl_status_t status, pilot_dnnl_layout_t *layout) {
    if (status == dnnl_success) {
        *layout = made;
    } else {
        free(made);
    }
    return status;
}

dnnl_status_t pilot_dnnl_layout_create(
    pilot_dnnl_layout_t *layout, int axes, const int64_t *sides, dnnl_data_type_t type, dnnl_format_tag_t tag) {
    pilot_dnnl_layout_t made = calloc(1, sizeof *made);
    if (!made) return dnnl_out_of_memory;
#if DNNL_VERSION_MAJOR == 2
    return finished(made, dnnl_memory_desc_init_by_tag(&made->descriptor, axes, sides, type, tag), layout);
#else
    return finished(made, dnnl_memory_desc_create_with_tag(&made->descriptor, axes, sides, type, tag), layout);
#endif
}

dnnl_status_t pilot_dnnl_layout_create_strided(
    pilot_dnnl_layout_t *layout, int axes, const int64_t *sides, dnnl_data_type_t type, const int64_t *strides) {
    pilot_dnnl_layout_t made = calloc(1, sizeof *made);
    if (!made) return dnnl_out_of_memory;
#if DNNL_VERSION_MAJOR == 2
    return finished(made, dnnl_memory_desc_init_by_strides(&made->descriptor, axes, sides, type, strides), layout);
#else
    return finished(made, dnnl_memory_desc_create_with_strides(&made->descriptor, axes, sides, type, strides), layout);
#endif
}

dnnl_status_t pilot_dnnl_argument_layout(
    pilot_dnnl_layout_t *layout, const_dnnl_primitive_desc_t operation, dnnl_query_t argument, int index) {
#if DNNL_VERSION_MAJOR == 2
    const dnnl_memory_desc_t *found = dnnl_primitive_desc_query_md(operation, argument, index);
#else
    const_dnnl_memory_desc_t found = dnnl_primitive_desc_query_md(operation, argument, index);
#endif
    if (!found) return dnnl_invalid_arguments;
    pilot_dnnl_layout_t made = calloc(1, sizeof *made);
    if (!made) return dnnl_out_of_memory;
#if DNNL_VERSION_MAJOR == 2
    made->descriptor = *found;
    return finished(made, dnnl_success, layout);
#else
    return finished(made, dnnl_memory_desc_clone(&made->descriptor, found), layout);
#endif
}

void pilot_dnnl_layout_destroy(pilot_dnnl_layout_t layout) {
#if DNNL_VERSION_MAJOR >= 3
    if (layout) dnnl_memory_desc_destroy(layout->descriptor);
#endif
    free(layout);
}

size_t pilot_dnnl_layout_byte_count(pilot_dnnl_layout_t layout) {
    return dnnl_memory_desc_get_size(pilot_descriptor(layout));
}

// All that tells one blocked layout from another.
struct blocked {
    int axes;
    dnnl_data_type_t type;
    int64_t offset;
    int inner_count;
    const int64_t *sides, *padded_sides, *padded_offsets, *strides, *inner_sizes, *inner_axes;
};

#if DNNL_VERSION_MAJOR == 2
static int is_blocked(pilot_dnnl_layout_t layout, struct blocked *blocked) {
    const dnnl_memory_desc_t *from = pilot_descriptor(layout);
    // `extra` has what int8 kernels append to the elements.
    if (from->format_kind != dnnl_blocked || from->extra.flags != 0) return 0;
    const dnnl_blocking_desc_t *blocks = &from->format_desc.blocking;
    *blocked = (struct blocked){
        from->ndims, from->data_type, from->offset0, blocks->inner_nblks, from->dims, from->padded_dims,
        from->padded_offsets, blocks->strides, blocks->inner_blks, blocks->inner_idxs,
    };
    return 1;
}
#else
static int is_blocked(pilot_dnnl_layout_t layout, struct blocked *blocked) {
    const_dnnl_memory_desc_t from = pilot_descriptor(layout);
    dnnl_format_kind_t kind;
    if (dnnl_memory_desc_query(from, dnnl_query_format_kind, &kind) != dnnl_success || kind != dnnl_blocked) return 0;
    const dnnl_dims_t *sides, *padded_sides, *padded_offsets, *strides, *inner_sizes, *inner_axes;
    const struct {
        dnnl_query_t what;
        void *target;
    } queries[] = {
        {dnnl_query_ndims_s32, &blocked->axes},
        {dnnl_query_data_type, &blocked->type},
        {dnnl_query_submemory_offset_s64, &blocked->offset},
        {dnnl_query_inner_nblks_s32, &blocked->inner_count},
        {dnnl_query_dims, &sides},
        {dnnl_query_padded_dims, &padded_sides},
        {dnnl_query_padded_offsets, &padded_offsets},
        {dnnl_query_strides, &strides},
        {dnnl_query_inner_blks, &inner_sizes},
        {dnnl_query_inner_idxs, &inner_axes},
    };
    for (size_t query = 0; query < sizeof queries / sizeof *queries; query++) {
        if (dnnl_memory_desc_query(from, queries[query].what, queries[query].target) != dnnl_success) return 0;
    }
    blocked->sides = *sides;
    blocked->padded_sides = *padded_sides;
    blocked->padded_offsets = *padded_offsets;
    blocked->strides = *strides;
    blocked->inner_sizes = *inner_sizes;
    blocked->inner_axes = *inner_axes;
    return 1;
}
#endif

struct writer {
    char *text;
    size_t capacity, length;
};

__attribute__((format(printf, 2, 3))) static void append(struct writer *writer, const char *format, ...) {
    size_t room = writer->capacity - writer->length;
    if (room == 0) return;
    va_list arguments;
    va_start(arguments, format);
    int count = vsnprintf(writer->text + writer->length, room, format, arguments);
    va_end(arguments);
    // Full from now on.
    writer->length = count < 0 || (size_t)count >= room ? writer->capacity : writer->length + (size_t)count;
}

static void append_numbers(struct writer *writer, const char *name, const int64_t *numbers, int count) {
    append(writer, " %s", name);
    for (int index = 0; index < count; index++) append(writer, "%s%lld", index ? "," : "", (long long)numbers[index]);
}

size_t pilot_dnnl_layout_text(pilot_dnnl_layout_t layout, char *text, size_t capacity) {
    struct blocked blocked = {0};
    if (!is_blocked(layout, &blocked)) return 0;
    struct writer writer = {text, capacity, 0};
    append(&writer, "%s", dnnl_dt2str(blocked.type));
    append_numbers(&writer, "sides ", blocked.sides, blocked.axes);
    append_numbers(&writer, "padded ", blocked.padded_sides, blocked.axes);
    append_numbers(&writer, "offsets ", blocked.padded_offsets, blocked.axes);
    append_numbers(&writer, "strides ", blocked.strides, blocked.axes);
    append_numbers(&writer, "blocks ", blocked.inner_sizes, blocked.inner_count);
    append_numbers(&writer, "of ", blocked.inner_axes, blocked.inner_count);
    append_numbers(&writer, "from ", &blocked.offset, 1);
    return writer.length < capacity ? writer.length : 0;
}

dnnl_status_t pilot_dnnl_memory_create(
    dnnl_memory_t *memory, pilot_dnnl_layout_t layout, dnnl_engine_t engine, void *address) {
    return dnnl_memory_create(memory, pilot_descriptor(layout), engine, address);
}
