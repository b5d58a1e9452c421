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

static void pack_rows(pilot_element type, const void *source, size_t stride, size_t rows, size_t width, void *target) {
    size_t padded = packed_width(width);
    for (size_t row = 0; row < rows; row++) {
        float *out = (float *)target + row * padded;
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
                            void *target) {
    float in[SEGMENT];
    for (size_t key = 0; key < packed_keys(rows); key++) {
        float *out = (float *)target + key / PANEL * PANEL * width + key % PANEL;
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
INLINE void scores_of(const void *x, size_t count, size_t width, const void *transposed, size_t key, size_t padded,
                      float *scores) {
    for (size_t panel = 0; panel < padded; panel += PANEL)
        product(count, PANEL, width, x, packed_width(width), 1, (const float *)transposed + (key + panel) * width, PANEL,
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

/// The softmax of a block of queries, key block after key block.
typedef struct {
    float maxima[QUERY_BLOCK], sums[QUERY_BLOCK];
} softmax_state;

INLINE void softmax_begin(softmax_state *state, size_t count) {
    for (size_t i = 0; i < count; i++) state->maxima[i] = -INFINITY, state->sums[i] = 0;
}

/// 2^t, as exact as the weights must be.
typedef vf power_of_2(vf t);

/// Writes the weights of keys number j to j + LANES of a row, in the format in which they are multiplied.
typedef void weights_store(float *row, size_t j, vf weights);

INLINE void weights_store_floats(float *row, size_t j, vf weights) { vector_store(row + j, weights); }

/// Turns a query's scores of the keys [key, key + valid) into weights, and scales down what `out` has of the keys before,
/// where there are any.
INLINE void softmax_row(const pilot_attention_shape *shape, softmax_state *state, size_t query, size_t i, size_t key,
                        size_t valid, int adds, power_of_2 *power, weights_store *store, float *row, float *out) {
    size_t padded = packed_keys(valid), columns = product_columns(shape->width);
    float scale = shape->scale * LOG2_E;
    blank_unseen(shape, query, key, valid, row);
    for (size_t j = valid; j < padded; j++) row[j] = -INFINITY;
    // NaN is no maximum, and comes back in the exponentials.
    vf top = vector_of(-INFINITY);
    for (size_t j = 0; j < padded; j += LANES) top = vector_max(vector_load(row + j), top);
    float before = state->maxima[i], highest = vector_highest(top), maximum = highest > before ? highest : before;
    // No key seen so far: leave the sums at 0; 2^(-inf - 0) below is 0 for all of them.
    float base = maximum == -INFINITY ? 0 : maximum * scale;
    vf sum = {0};
    for (size_t j = 0; j < padded; j += LANES) {
        vf p = power(vector_load(row + j) * scale - base);
        sum += p;
        store(row, j, p);
    }
    float sums = vector_sum(sum);
    if (maximum > before) {
        float correction = vector_power_of_2(vector_of(before * scale - base))[0];
        sums += state->sums[i] * correction;
        state->maxima[i] = maximum;
        if (adds)
            for (size_t c = 0; c < columns; c++) out[c] *= correction;
    } else
        sums += state->sums[i];
    state->sums[i] = sums;
}

INLINE void softmax_end(const pilot_attention_shape *shape, const softmax_state *state, size_t count, float *output,
                        float *log_sum_exp) {
    size_t stride = packed_width(shape->width), columns = product_columns(shape->width);
    for (size_t i = 0; i < count; i++) {
        float inverse = 1 / state->sums[i], *out = output + i * stride;
        for (size_t c = 0; c < columns; c++) out[c] *= inverse;
        log_sum_exp[i] = state->maxima[i] * shape->scale + logf(state->sums[i]);
    }
}

/// Goes through the keys of `shape`, after those that `state` and `output` have already where it `resumes`.
typedef void attention_keys_loop(const pilot_attention_shape *shape, softmax_state *state, int resumes, size_t first,
                                 size_t count, const void *q, const void *kt, const void *v, float *output,
                                 float *scores);

INLINE void attention_keys(const pilot_attention_shape *shape, softmax_state *state, int resumes, size_t first,
                           size_t count, const void *q, const void *kt, const void *v, float *output, float *scores) {
    size_t width = shape->width, padded_width = packed_width(width);
    for (size_t key = 0; key < shape->keys; key += KEY_BLOCK) {
        size_t valid = shape->keys - key < KEY_BLOCK ? shape->keys - key : KEY_BLOCK, padded = packed_keys(valid);
        int adds = resumes || key > 0;
        scores_of(q, count, width, kt, key, padded, scores);
        for (size_t i = 0; i < count; i++)
            softmax_row(shape, state, first + i, i, key, valid, adds, vector_power_of_2, weights_store_floats,
                        scores + i * KEY_BLOCK, output + i * padded_width);
        product(count, product_columns(width), valid, scores, KEY_BLOCK, 1, (const float *)v + key * padded_width,
                padded_width, output, padded_width, adds);
    }
}

/// What a block of queries has of the keys so far.
INLINE void softmax_resume(softmax_state *state, const pilot_attention_progress *progress, size_t count) {
    if (!progress->resumes) {
        softmax_begin(state, count);
        return;
    }
    memcpy(state->maxima, progress->maxima, count * sizeof(float));
    memcpy(state->sums, progress->sums, count * sizeof(float));
}

INLINE void softmax_pause(const softmax_state *state, const pilot_attention_progress *progress, size_t count) {
    memcpy(progress->maxima, state->maxima, count * sizeof(float));
    memcpy(progress->sums, state->sums, count * sizeof(float));
}

INLINE void attention_over(attention_keys_loop *keys, const pilot_attention_shape *shape,
                           const pilot_attention_progress *progress, size_t first, size_t count, const void *q,
                           const void *kt, const void *v, float *output, float *log_sum_exp, float *scratch) {
    softmax_state state;
    softmax_resume(&state, progress, count);
    keys(shape, &state, progress->resumes, first, count, q, kt, v, output, scratch);
    if (log_sum_exp)
        softmax_end(shape, &state, count, output, log_sum_exp);
    else
        softmax_pause(&state, progress, count);
}

static void attention_run(const pilot_attention_shape *shape, const pilot_attention_progress *progress, size_t first,
                          size_t count, const void *q, const void *kt, const void *v, float *output,
                          float *log_sum_exp, float *scratch) {
    attention_over(attention_keys, shape, progress, first, count, q, kt, v, output, log_sum_exp, scratch);
}

/// Of all keys at once, none before.
static const pilot_attention_progress no_progress = {NULL, NULL, 0};

static void attention(const pilot_attention_shape *shape, size_t first, size_t count, const void *q, const void *kt,
                      const void *v, float *output, float *log_sum_exp, float *scratch) {
    attention_run(shape, &no_progress, first, count, q, kt, v, output, log_sum_exp, scratch);
}

/// The weights of some keys from their scores.
INLINE vf weights_again(const pilot_attention_shape *shape, power_of_2 *power, float log_sum_exp, const float *scores) {
    return power(vector_load(scores) * (shape->scale * LOG2_E) - log_sum_exp * LOG2_E);
}

/// The gradients of some scores from those of their weights.
INLINE vf slopes_of(const pilot_attention_shape *shape, vf weights, float d, const float *slopes) {
    return weights * (vector_load(slopes) - d) * shape->scale;
}

/// A query's scores of the keys [key, key + valid) become weights, and the weights' gradients those of the scores.
INLINE void gradient_row(const pilot_attention_shape *shape, size_t query, size_t key, size_t valid, size_t padded,
                         float log_sum_exp, float d, float *weight, float *slope) {
    blank_unseen(shape, query, key, valid, weight);
    for (size_t j = 0; j < padded; j += LANES) {
        vf p = weights_again(shape, vector_power_of_2, log_sum_exp, weight + j);
        vector_store(weight + j, p);
        vector_store(slope + j, slopes_of(shape, p, d, slope + j));
    }
}

static void attention_gradient(const pilot_attention_shape *shape, size_t first, size_t count, const void *q,
                               const void *kt, const void *k, const void *vt, const void *dy,
                               const float *log_sum_exp, const float *d, float *dq, float *dk, float *dv,
                               float *scratch) {
    size_t width = shape->width, padded_width = packed_width(width), columns = product_columns(width);
    float *weights = scratch, *slopes = scratch + QUERY_BLOCK * KEY_BLOCK;
    for (size_t key = 0; key < shape->keys; key += KEY_BLOCK) {
        size_t valid = shape->keys - key < KEY_BLOCK ? shape->keys - key : KEY_BLOCK, padded = packed_keys(valid);
        scores_of(q, count, width, kt, key, padded, weights);
        scores_of(dy, count, width, vt, key, padded, slopes);
        for (size_t i = 0; i < count; i++)
            gradient_row(shape, first + i, key, valid, padded, log_sum_exp[i], d[i], weights + i * KEY_BLOCK,
                         slopes + i * KEY_BLOCK);
        if (dq)
            product(count, columns, valid, slopes, KEY_BLOCK, 1, (const float *)k + key * padded_width, padded_width, dq,
                    padded_width, key > 0);
        if (dk)
            product(valid, columns, count, slopes, 1, KEY_BLOCK, q, padded_width, dk + key * padded_width, padded_width,
                    1);
        if (dv)
            product(valid, columns, count, weights, 1, KEY_BLOCK, dy, padded_width, dv + key * padded_width,
                    padded_width, 1);
    }
}
