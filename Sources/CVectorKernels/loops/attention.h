// Blocked attention: scores exist for one block of queries and one block of keys at a time; the softmax is
// accumulated online (Milakov and Gimelshein 2018, Dao et al. 2022), and the gradient recomputes the scores.

#include "products.h"

#define QUERY_BLOCK 64
#define PANEL (TILE_VECTORS * LANES)
#define KEY_BLOCK (8 * PANEL)
#define LOG2_E 1.44269504f

static size_t packed_width(size_t width) { return (width + LANES - 1) / LANES * LANES; }

static size_t packed_keys(size_t keys) { return (keys + PANEL - 1) / PANEL * PANEL; }

static size_t attention_scratch(size_t width) { return 2 * QUERY_BLOCK * KEY_BLOCK + packed_width(width); }

static void pack_rows(pilot_element type, const void *source, size_t stride, size_t rows, size_t width, float *target) {
    size_t padded = packed_width(width);
    for (size_t row = 0; row < rows; row++) {
        float *out = target + row * padded;
        if (type == pilot_float32)
            memcpy(out, (const float *)source + row * stride, width * 4);
        else
            float32_from_bfloat16((const uint16_t *)source + row * stride, out, width);
        for (size_t c = width; c < padded; c++) out[c] = 0;
    }
}

static void unpack_rows(pilot_element type, const float *source, size_t rows, size_t width, void *target,
                        size_t stride) {
    size_t padded = packed_width(width);
    for (size_t row = 0; row < rows; row++) {
        if (type == pilot_float32)
            memcpy((float *)target + row * stride, source + row * padded, width * 4);
        else
            bfloat16_from_float32(source + row * padded, (uint16_t *)target + row * stride, width);
    }
}

static void pack_transposed(pilot_element type, const void *source, size_t stride, size_t rows, size_t width,
                            float *target) {
    float in[SEGMENT];
    for (size_t key = 0; key < packed_keys(rows); key++) {
        float *out = target + key / PANEL * PANEL * width + key % PANEL;
        for (size_t done = 0, n; n = segment(done, width), n > 0; done += n) {
            if (key >= rows) {
                for (size_t c = 0; c < n; c++) out[(done + c) * PANEL] = 0;
                continue;
            }
            const float *p = row_in(type, source, key * stride + done, n, in);
            for (size_t c = 0; c < n; c++) out[(done + c) * PANEL] = p[c];
        }
    }
}

static void row_products(const float *a, const float *b, size_t rows, size_t width, float *d) {
    size_t padded = packed_width(width);
    for (size_t row = 0; row < rows; row++) {
        vf sum = {0};
        for (size_t c = 0; c < padded; c += LANES)
            sum += vector_load(a + row * padded + c) * vector_load(b + row * padded + c);
        d[row] = vector_sum(sum);
    }
}

/// scores[count][KEY_BLOCK] = X Y^T for keys [key, key + padded), Y^T packed in panels.
INLINE void scores_of(const float *x, size_t count, size_t width, const float *transposed, size_t key, size_t padded,
                      float *scores) {
    for (size_t panel = 0; panel < padded; panel += PANEL)
        product(count, PANEL, width, x, packed_width(width), 1, transposed + (key + panel) * width, PANEL,
                scores + panel, KEY_BLOCK, 0);
}

/// Blanks with minus infinity the scores of the keys [key, key + valid) that `query` does not see.
INLINE void blank_unseen(const pilot_attention_shape *shape, size_t query, size_t key, size_t valid,
                         float *scores) {
    if (shape->rule == pilot_all_keys) return;
    query += shape->first_query;
    key += shape->first_key;
    if (shape->rule == pilot_causal) {
        for (size_t j = query < key ? 0 : query - key + 1; j < valid; j++) scores[j] = -INFINITY;
        return;
    }
    if (shape->foreground[query]) return;
    if (shape->rule == pilot_background_keys) {
        for (size_t j = 0; j < valid; j++) scores[j] = shape->foreground[key + j] ? -INFINITY : scores[j];
        return;
    }
    // Counted and not divided: a division for every score would take longer than the score.
    size_t chunk = shape->chunk, seen = (chunk - key % chunk) % chunk;
    for (size_t j = 0; j < valid; j++) {
        if (j == seen)
            seen += chunk;
        else
            scores[j] = -INFINITY;
    }
}

static void attention(const pilot_attention_shape *shape, size_t first, size_t count, const float *q, const float *kt,
                      const float *v, float *output, float *log_sum_exp, float *scratch) {
    size_t width = shape->width, padded_width = packed_width(width);
    float *scores = scratch, maxima[QUERY_BLOCK], sums[QUERY_BLOCK], scale = shape->scale * LOG2_E;
    for (size_t i = 0; i < count; i++) maxima[i] = -INFINITY, sums[i] = 0;
    for (size_t key = 0; key < shape->keys; key += KEY_BLOCK) {
        size_t valid = shape->keys - key < KEY_BLOCK ? shape->keys - key : KEY_BLOCK, padded = packed_keys(valid);
        scores_of(q, count, width, kt, key, padded, scores);
        for (size_t i = 0; i < count; i++) {
            float *row = scores + i * KEY_BLOCK;
            blank_unseen(shape, first + i, key, valid, row);
            for (size_t j = valid; j < padded; j++) row[j] = -INFINITY;
            // NaN is no maximum, and comes back in the exponentials.
            vf top = vector_of(-INFINITY);
            for (size_t j = 0; j < padded; j += LANES) top = vector_max(vector_load(row + j), top);
            float maximum = maxima[i];
            for (int lane = 0; lane < LANES; lane++) maximum = top[lane] > maximum ? top[lane] : maximum;
            // No key seen so far: leave the sums at 0; 2^(-inf - 0) below is 0 for all of them.
            float base = maximum == -INFINITY ? 0 : maximum * scale;
            float correction = vector_power_of_2(vector_of(maxima[i] * scale - base))[0];
            vf sum = {0};
            for (size_t j = 0; j < padded; j += LANES) {
                vf p = vector_power_of_2(vector_load(row + j) * scale - base);
                sum += p;
                vector_store(row + j, p);
            }
            sums[i] = sums[i] * correction + vector_sum(sum);
            maxima[i] = maximum;
            float *out = output + i * padded_width;
            if (key > 0)
                for (size_t c = 0; c < padded_width; c++) out[c] *= correction;
        }
        product(count, padded_width, valid, scores, KEY_BLOCK, 1, v + key * padded_width, padded_width, output,
                padded_width, key > 0);
    }
    for (size_t i = 0; i < count; i++) {
        float inverse = 1 / sums[i], *out = output + i * padded_width;
        for (size_t c = 0; c < padded_width; c++) out[c] *= inverse;
        log_sum_exp[i] = maxima[i] * shape->scale + logf(sums[i]);
    }
}

static void attention_gradient(const pilot_attention_shape *shape, size_t first, size_t count, const float *q,
                               const float *kt, const float *k, const float *vt, const float *dy,
                               const float *log_sum_exp, const float *d, float *dq, float *dk, float *dv,
                               float *scratch) {
    size_t width = shape->width, padded_width = packed_width(width);
    float *weights = scratch, *slopes = scratch + QUERY_BLOCK * KEY_BLOCK, scale = shape->scale * LOG2_E;
    for (size_t key = 0; key < shape->keys; key += KEY_BLOCK) {
        size_t valid = shape->keys - key < KEY_BLOCK ? shape->keys - key : KEY_BLOCK, padded = packed_keys(valid);
        scores_of(q, count, width, kt, key, padded, weights);
        scores_of(dy, count, width, vt, key, padded, slopes);
        for (size_t i = 0; i < count; i++) {
            float *weight = weights + i * KEY_BLOCK, *slope = slopes + i * KEY_BLOCK, base = log_sum_exp[i] * LOG2_E;
            blank_unseen(shape, first + i, key, valid, weight);
            for (size_t j = 0; j < padded; j += LANES) {
                vf p = vector_power_of_2(vector_load(weight + j) * scale - base);
                vector_store(weight + j, p);
                vector_store(slope + j, p * (vector_load(slope + j) - d[i]) * shape->scale);
            }
        }
        if (dq)
            product(count, padded_width, valid, slopes, KEY_BLOCK, 1, k + key * padded_width, padded_width, dq,
                    padded_width, key > 0);
        if (dk)
            product(valid, padded_width, count, slopes, 1, KEY_BLOCK, q, padded_width, dk + key * padded_width,
                    padded_width, 1);
        if (dv)
            product(valid, padded_width, count, weights, 1, KEY_BLOCK, dy, padded_width, dv + key * padded_width,
                    padded_width, 1);
    }
}
