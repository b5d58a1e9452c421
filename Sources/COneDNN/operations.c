#include "layouts.h"

// The caller gives the scratchpad, and `accumulating` adds to the destination.
static dnnl_status_t make_attributes(dnnl_primitive_attr_t *attributes, int accumulating) {
    dnnl_status_t status = dnnl_primitive_attr_create(attributes);
    if (status != dnnl_success) return status;
    status = dnnl_primitive_attr_set_scratchpad_mode(*attributes, dnnl_scratchpad_mode_user);
    dnnl_post_ops_t operations = NULL;
    if (status == dnnl_success && accumulating) {
        status = dnnl_post_ops_create(&operations);
#if DNNL_VERSION_MAJOR == 2
        if (status == dnnl_success) status = dnnl_post_ops_append_sum(operations, 1);
#else
        if (status == dnnl_success) status = dnnl_post_ops_append_sum(operations, 1, 0, dnnl_data_type_undef);
#endif
        if (status == dnnl_success) status = dnnl_primitive_attr_set_post_ops(*attributes, operations);
    }
    if (operations) dnnl_post_ops_destroy(operations);
    if (status != dnnl_success) dnnl_primitive_attr_destroy(*attributes);
    return status;
}

dnnl_status_t pilot_dnnl_product_choose(
    dnnl_primitive_desc_t *operation, dnnl_engine_t engine, pilot_dnnl_layout_t source, pilot_dnnl_layout_t weights,
    pilot_dnnl_layout_t bias, pilot_dnnl_layout_t destination, int accumulating) {
    dnnl_primitive_attr_t attributes;
    dnnl_status_t status = make_attributes(&attributes, accumulating);
    if (status != dnnl_success) return status;
#if DNNL_VERSION_MAJOR == 2
    dnnl_matmul_desc_t description;
    status = dnnl_matmul_desc_init(
        &description, pilot_descriptor(source), pilot_descriptor(weights), pilot_descriptor(bias),
        pilot_descriptor(destination));
    if (status == dnnl_success) {
        status = dnnl_primitive_desc_create(operation, &description, attributes, engine, NULL);
    }
#else
    status = dnnl_matmul_primitive_desc_create(
        operation, engine, pilot_descriptor(source), pilot_descriptor(weights), pilot_descriptor(bias),
        pilot_descriptor(destination), attributes);
#endif
    dnnl_primitive_attr_destroy(attributes);
    return status;
}

static dnnl_status_t choose_convolution(
    dnnl_primitive_desc_t *operation, dnnl_engine_t engine, dnnl_prop_kind_t kind, pilot_dnnl_layout_t source,
    pilot_dnnl_layout_t weights, pilot_dnnl_layout_t bias, pilot_dnnl_layout_t destination,
    const pilot_dnnl_window *window, const_dnnl_primitive_attr_t attributes) {
#if DNNL_VERSION_MAJOR == 2
    dnnl_convolution_desc_t description;
    dnnl_status_t status = dnnl_convolution_forward_desc_init(
        &description, kind, dnnl_convolution_direct, pilot_descriptor(source), pilot_descriptor(weights),
        pilot_descriptor(bias), pilot_descriptor(destination), window->strides, window->before, window->after);
    if (status != dnnl_success) return status;
    return dnnl_primitive_desc_create(operation, &description, attributes, engine, NULL);
#else
    const int64_t dilations[2] = {0, 0};
    return dnnl_convolution_forward_primitive_desc_create(
        operation, engine, kind, dnnl_convolution_direct, pilot_descriptor(source), pilot_descriptor(weights),
        pilot_descriptor(bias), pilot_descriptor(destination), window->strides, dilations, window->before,
        window->after, attributes);
#endif
}

dnnl_status_t pilot_dnnl_convolution_choose(
    dnnl_primitive_desc_t *operation, dnnl_engine_t engine, pilot_dnnl_layout_t source, pilot_dnnl_layout_t weights,
    pilot_dnnl_layout_t bias, pilot_dnnl_layout_t destination, const pilot_dnnl_window *window, int accumulating) {
    dnnl_primitive_attr_t attributes;
    dnnl_status_t status = make_attributes(&attributes, accumulating);
    if (status != dnnl_success) return status;
    status = choose_convolution(
        operation, engine, dnnl_forward_inference, source, weights, bias, destination, window, attributes);
    dnnl_primitive_attr_destroy(attributes);
    return status;
}

dnnl_status_t pilot_dnnl_convolution_gradient_choose(
    dnnl_primitive_desc_t *operation, dnnl_engine_t engine, pilot_dnnl_layout_t source, pilot_dnnl_layout_t weights,
    pilot_dnnl_layout_t destination, const pilot_dnnl_window *window) {
    // A backward operation is chosen with its forward one as a hint.
    dnnl_primitive_desc_t forward;
    dnnl_status_t status = choose_convolution(
        &forward, engine, dnnl_forward_training, source, weights, NULL, destination, window, NULL);
    if (status != dnnl_success) return status;
    dnnl_primitive_attr_t attributes;
    status = make_attributes(&attributes, 0);
    if (status == dnnl_success) {
#if DNNL_VERSION_MAJOR == 2
        dnnl_convolution_desc_t description;
        status = dnnl_convolution_backward_data_desc_init(
            &description, dnnl_convolution_direct, pilot_descriptor(source), pilot_descriptor(weights),
            pilot_descriptor(destination), window->strides, window->before, window->after);
        if (status == dnnl_success) {
            status = dnnl_primitive_desc_create(operation, &description, attributes, engine, forward);
        }
#else
        const int64_t dilations[2] = {0, 0};
        status = dnnl_convolution_backward_data_primitive_desc_create(
            operation, engine, dnnl_convolution_direct, pilot_descriptor(source), pilot_descriptor(weights),
            pilot_descriptor(destination), window->strides, dilations, window->before, window->after, forward,
            attributes);
#endif
        dnnl_primitive_attr_destroy(attributes);
    }
    dnnl_primitive_desc_destroy(forward);
    return status;
}

dnnl_status_t pilot_dnnl_reorder_create(
    dnnl_primitive_t *reorder, pilot_dnnl_layout_t from, pilot_dnnl_layout_t to, dnnl_engine_t engine) {
    dnnl_primitive_desc_t operation;
    dnnl_status_t status = dnnl_reorder_primitive_desc_create(
        &operation, pilot_descriptor(from), engine, pilot_descriptor(to), engine, NULL);
    if (status != dnnl_success) return status;
    status = dnnl_primitive_create(reorder, operation);
    dnnl_primitive_desc_destroy(operation);
    return status;
}
