// Group and layer normalisation: statistics, application with an optional SiLU, gradients.

/// The end of a group's channels in a segment of n channels that starts at `done`: the group may go on in the next.
INLINE size_t group_end(size_t group, size_t group_width, size_t done, size_t n) {
    size_t end = (group + 1) * group_width - done;
    return end < n ? end : n;
}

static void group_moments(pilot_element type, const void *x, size_t rows, size_t channels, size_t groups,
                          double *moments) {
    float in[SEGMENT], sums[SEGMENT], means[SEGMENT];
    size_t group_width = channels / groups;
    for (size_t group = 0; group < groups; group++) moments[2 * group] = moments[2 * group + 1] = 0;
    for (int pass = 0; pass < 2; pass++) {
        double weight = pass == 0 ? 1.0 / (double)(rows * group_width) : 1.0;
        for (size_t done = 0, n; n = segment(done, channels), n > 0; done += n) {
            for (size_t c = 0; c < n; c++) sums[c] = 0;
            if (pass == 1)
                for (size_t c = 0, group = done / group_width; c < n; group++) {
                    float mean = (float)moments[2 * group];
                    for (size_t end = group_end(group, group_width, done, n); c < end; c++) means[c] = mean;
                }
            for (size_t row = 0; row < rows; row++) {
                const float *p = row_in(type, x, row * channels + done, n, in);
                if (pass == 0)
                    for (size_t c = 0; c < n; c++) sums[c] += p[c];
                else
                    for (size_t c = 0; c < n; c++) sums[c] += (p[c] - means[c]) * (p[c] - means[c]);
            }
            for (size_t c = 0, group = done / group_width; c < n; group++) {
                double sum = moments[2 * group + pass];
                for (size_t end = group_end(group, group_width, done, n); c < end; c++) sum += weight * sums[c];
                moments[2 * group + pass] = sum;
            }
        }
    }
}

INLINE void scale_shift_as(pilot_element type, const void *x, pilot_element y_type, void *y, size_t rows,
                           size_t channels, const float *scale, const float *shift, int silu) {
    float in[SEGMENT], out[SEGMENT];
    for (size_t row = 0; row < rows; row++)
        for (size_t done = 0, n; n = segment(done, channels), n > 0; done += n) {
            size_t at = row * channels + done;
            const float *p = row_in(type, x, at, n, in);
            float *q = row_out(y_type, y, at, out);
            FOR_VECTORS(n, i, width) {
                vf u = tail_load(p + i, width) * tail_load(scale + done + i, width) +
                       tail_load(shift + done + i, width);
                tail_store(q + i, silu ? activation(pilot_silu, u) : u, width);
            }
            row_done(y_type, y, at, n, out);
        }
}

static void scale_shift(pilot_element type, const void *x, pilot_element y_type, void *y, size_t rows, size_t channels,
                        const float *scale, const float *shift, int silu) {
    if (silu)
        scale_shift_as(type, x, y_type, y, rows, channels, scale, shift, 1);
    else
        scale_shift_as(type, x, y_type, y, rows, channels, scale, shift, 0);
}

/// dL/du of u = x * scale + shift, given dL/dy of y = silu(u) or y = u.
INLINE vf through_silu(vf x, vf dy, vf scale, vf shift, int silu) {
    return silu ? dy * activation_slope(pilot_silu, x * scale + shift) : dy;
}

static void scale_shift_sums(pilot_element type, const void *x, pilot_element dy_type, const void *dy, size_t rows,
                             size_t channels, const float *scale, const float *shift, int silu, float *sums) {
    float in[SEGMENT], gradient[SEGMENT];
    for (size_t row = 0; row < rows; row++)
        for (size_t done = 0, n; n = segment(done, channels), n > 0; done += n) {
            size_t at = row * channels + done;
            const float *p = row_in(type, x, at, n, in), *g = row_in(dy_type, dy, at, n, gradient);
            float *first = sums + done, *second = sums + channels + done;
            FOR_VECTORS(n, i, width) {
                vf v = tail_load(p + i, width);
                vf du = through_silu(v, tail_load(g + i, width), tail_load(scale + done + i, width),
                                     tail_load(shift + done + i, width), silu);
                tail_store(first + i, tail_load(first + i, width) + du, width);
                tail_store(second + i, tail_load(second + i, width) + du * v, width);
            }
        }
}

static void scale_shift_gradient(pilot_element type, const void *x, pilot_element dy_type, const void *dy, void *dx,
                                 size_t rows, size_t channels, const float *scale, const float *shift, int silu,
                                 const float *a, const float *b, const float *k) {
    float in[SEGMENT], gradient[SEGMENT], out[SEGMENT];
    for (size_t row = 0; row < rows; row++)
        for (size_t done = 0, n; n = segment(done, channels), n > 0; done += n) {
            size_t at = row * channels + done;
            const float *p = row_in(type, x, at, n, in), *g = row_in(dy_type, dy, at, n, gradient);
            float *q = row_out(type, dx, at, out);
            FOR_VECTORS(n, i, width) {
                size_t c = done + i;
                vf v = tail_load(p + i, width);
                vf du = through_silu(v, tail_load(g + i, width), tail_load(scale + c, width),
                                     tail_load(shift + c, width), silu);
                tail_store(q + i,
                           tail_load(a + c, width) * du + tail_load(b + c, width) * v + tail_load(k + c, width),
                           width);
            }
            row_done(type, dx, at, n, out);
        }
}

/// Mean and reciprocal standard deviation of a row, given in segments.
INLINE void row_statistics(pilot_element type, const void *x, size_t at, size_t channels, float epsilon, float *mean,
                           float *inverse) {
    float in[SEGMENT];
    double sum = 0, squares = 0;
    for (size_t done = 0, n; n = segment(done, channels), n > 0; done += n) {
        const float *p = row_in(type, x, at + done, n, in);
        vf total = {0};
        FOR_VECTORS(n, i, width) total += tail_load(p + i, width);
        sum += vector_sum(total);
    }
    *mean = (float)(sum / (double)channels);
    for (size_t done = 0, n; n = segment(done, channels), n > 0; done += n) {
        const float *p = row_in(type, x, at + done, n, in);
        vf total = {0};
        size_t i = 0;
        for (; i + LANES <= n; i += LANES) {
            vf d = vector_load(p + i) - *mean;
            total += d * d;
        }
        squares += vector_sum(total);
        for (; i < n; i++) squares += (double)((p[i] - *mean) * (p[i] - *mean));
    }
    *inverse = (float)(1.0 / sqrt(squares / (double)channels + epsilon));
}

static void layer_norm(pilot_element type, const void *x, pilot_element y_type, void *y, size_t rows, size_t channels,
                       const float *weight, const float *bias, float epsilon) {
    float in[SEGMENT], out[SEGMENT];
    for (size_t row = 0; row < rows; row++) {
        float mean, inverse;
        row_statistics(type, x, row * channels, channels, epsilon, &mean, &inverse);
        for (size_t done = 0, n; n = segment(done, channels), n > 0; done += n) {
            size_t at = row * channels + done;
            const float *p = row_in(type, x, at, n, in);
            float *q = row_out(y_type, y, at, out);
            for (size_t c = 0; c < n; c++) q[c] = (p[c] - mean) * inverse * weight[done + c] + bias[done + c];
            row_done(y_type, y, at, n, out);
        }
    }
}

static void layer_norm_gradient(pilot_element type, const void *x, pilot_element dy_type, const void *dy, void *dx,
                                size_t rows, size_t channels, const float *weight, float epsilon) {
    float in[SEGMENT], gradient[SEGMENT], out[SEGMENT];
    for (size_t row = 0; row < rows; row++) {
        float mean, inverse;
        row_statistics(type, x, row * channels, channels, epsilon, &mean, &inverse);
        double sum = 0, products = 0;
        for (size_t done = 0, n; n = segment(done, channels), n > 0; done += n) {
            size_t at = row * channels + done;
            const float *p = row_in(type, x, at, n, in), *g = row_in(dy_type, dy, at, n, gradient);
            vf total = {0}, product = {0};
            FOR_VECTORS(n, i, width) {
                vf d = tail_load(g + i, width) * tail_load(weight + done + i, width);
                total += d;
                product += d * (tail_load(p + i, width) - mean);
            }
            sum += vector_sum(total);
            products += vector_sum(product);
        }
        float first = (float)(sum / (double)channels);
        float second = (float)(products * inverse * inverse / (double)channels);
        for (size_t done = 0, n; n = segment(done, channels), n > 0; done += n) {
            size_t at = row * channels + done;
            const float *p = row_in(type, x, at, n, in), *g = row_in(dy_type, dy, at, n, gradient);
            float *q = row_out(type, dx, at, out);
            for (size_t c = 0; c < n; c++)
                q[c] = inverse * (g[c] * weight[done + c] - first - (p[c] - mean) * second);
            row_done(type, dx, at, n, out);
        }
    }
}
