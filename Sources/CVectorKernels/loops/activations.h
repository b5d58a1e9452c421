// Activations, forward and gradient, and the sums that need no state.

INLINE vf activation(pilot_activation kind, vf x) {
    if (kind == pilot_silu) return x * vector_sigmoid(x);
    if (kind == pilot_quick_gelu) return x * vector_sigmoid(1.702f * x);
    return x * vector_normal(x);
}

INLINE vf activation_slope(pilot_activation kind, vf x) {
    if (kind == pilot_silu) {
        vf s = vector_sigmoid(x);
        return s * (1.0f + x * (1.0f - s));
    }
    if (kind == pilot_quick_gelu) {
        vf s = vector_sigmoid(1.702f * x);
        return s * (1.0f + 1.702f * x * (1.0f - s));
    }
    return vector_normal(x) + x * 0.398942280f * vector_exp(-0.5f * x * x);
}

INLINE void activate_as(pilot_element type, pilot_activation kind, const void *x, void *y, size_t count) {
    float in[SEGMENT], out[SEGMENT];
    for (size_t done = 0, n; n = segment(done, count), n > 0; done += n) {
        const float *a = row_in(type, x, done, n, in);
        float *b = row_out(type, y, done, out);
        FOR_VECTORS(n, i, width) tail_store(b + i, activation(kind, tail_load(a + i, width)), width);
        row_done(type, y, done, n, out);
    }
}

static void activate(pilot_element type, pilot_activation kind, const void *x, void *y, size_t count) {
    switch (kind) {
    case pilot_silu: activate_as(type, pilot_silu, x, y, count); break;
    case pilot_gelu: activate_as(type, pilot_gelu, x, y, count); break;
    case pilot_quick_gelu: activate_as(type, pilot_quick_gelu, x, y, count); break;
    }
}

INLINE void activate_gradient_as(pilot_element type, pilot_activation kind, const void *x, const void *dy, void *dx,
                                 size_t count) {
    float in[SEGMENT], gradient[SEGMENT], out[SEGMENT];
    for (size_t done = 0, n; n = segment(done, count), n > 0; done += n) {
        const float *a = row_in(type, x, done, n, in), *g = row_in(type, dy, done, n, gradient);
        float *b = row_out(type, dx, done, out);
        FOR_VECTORS(n, i, width)
        tail_store(b + i, tail_load(g + i, width) * activation_slope(kind, tail_load(a + i, width)), width);
        row_done(type, dx, done, n, out);
    }
}

static void activate_gradient(pilot_element type, pilot_activation kind, const void *x, const void *dy, void *dx,
                              size_t count) {
    switch (kind) {
    case pilot_silu: activate_gradient_as(type, pilot_silu, x, dy, dx, count); break;
    case pilot_gelu: activate_gradient_as(type, pilot_gelu, x, dy, dx, count); break;
    case pilot_quick_gelu: activate_gradient_as(type, pilot_quick_gelu, x, dy, dx, count); break;
    }
}

static void gated(pilot_element type, const void *x, void *y, size_t rows, size_t width) {
    float value_in[SEGMENT], gate_in[SEGMENT], out[SEGMENT];
    for (size_t row = 0; row < rows; row++)
        for (size_t done = 0, n; n = segment(done, width), n > 0; done += n) {
            size_t at = row * 2 * width + done;
            const float *value = row_in(type, x, at, n, value_in), *gate = row_in(type, x, at + width, n, gate_in);
            float *b = row_out(type, y, row * width + done, out);
            FOR_VECTORS(n, i, lanes) {
                vf g = tail_load(gate + i, lanes);
                tail_store(b + i, tail_load(value + i, lanes) * g * vector_normal(g), lanes);
            }
            row_done(type, y, row * width + done, n, out);
        }
}

static void gated_gradient(pilot_element type, const void *x, const void *dy, void *dx, size_t rows, size_t width) {
    float value_in[SEGMENT], gate_in[SEGMENT], gradient_in[SEGMENT], value_out[SEGMENT], gate_out[SEGMENT];
    for (size_t row = 0; row < rows; row++)
        for (size_t done = 0, n; n = segment(done, width), n > 0; done += n) {
            size_t at = row * 2 * width + done;
            const float *value = row_in(type, x, at, n, value_in), *gate = row_in(type, x, at + width, n, gate_in);
            const float *gradient = row_in(type, dy, row * width + done, n, gradient_in);
            float *dvalue = row_out(type, dx, at, value_out), *dgate = row_out(type, dx, at + width, gate_out);
            FOR_VECTORS(n, i, lanes) {
                vf g = tail_load(gate + i, lanes), d = tail_load(gradient + i, lanes), normal = vector_normal(g);
                vf slope = normal + g * 0.398942280f * vector_exp(-0.5f * g * g);
                tail_store(dgate + i, d * tail_load(value + i, lanes) * slope, lanes);
                tail_store(dvalue + i, d * g * normal, lanes);
            }
            row_done(type, dx, at, n, value_out);
            row_done(type, dx, at + width, n, gate_out);
        }
}

static void add(pilot_element type, const void *a, const void *b, void *y, size_t count) {
    float first[SEGMENT], second[SEGMENT], out[SEGMENT];
    for (size_t done = 0, n; n = segment(done, count), n > 0; done += n) {
        const float *p = row_in(type, a, done, n, first), *q = row_in(type, b, done, n, second);
        float *sum = row_out(type, y, done, out);
        for (size_t i = 0; i < n; i++) sum[i] = p[i] + q[i];
        row_done(type, y, done, n, out);
    }
}

static void add_bias(pilot_element type, void *y, size_t rows, size_t channels, const float *bias) {
    float in[SEGMENT], out[SEGMENT];
    for (size_t row = 0; row < rows; row++)
        for (size_t done = 0, n; n = segment(done, channels), n > 0; done += n) {
            const float *p = row_in(type, y, row * channels + done, n, in);
            float *q = row_out(type, y, row * channels + done, out);
            for (size_t i = 0; i < n; i++) q[i] = p[i] + bias[done + i];
            row_done(type, y, row * channels + done, n, out);
        }
}
