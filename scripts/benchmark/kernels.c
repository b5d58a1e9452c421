// Times and judges the loops of Sources/CVectorKernels by themselves: convolutions by Winograd and attention, on one thread
// in seconds of its own, for every instruction set that the processor has. Compiled and run by scripts/benchmark/kernels.

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vector_kernels.h"

enum { rounds = 5, block = 128 };

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static float *numbers(size_t count) {
    float *values = malloc(count * sizeof *values);
    for (size_t i = 0; values && i < count; i++) {
        double u = (rand() + 1.0) / (RAND_MAX + 2.0), v = rand() / (RAND_MAX + 1.0);
        values[i] = (float)(sqrt(-2 * log(u)) * cos(6.283185307179586 * v));
    }
    return values;
}

static void *space(size_t bytes) {
    void *memory = calloc(1, bytes);
    if (!memory) exit(1);
    return memory;
}

struct convolution {
    size_t results, side, inputs, outputs;
};

/// One format of the numbers that are multiplied.
struct format {
    const char *name;
    const pilot_winograd_kernels *winograd;
    pilot_element type;
    size_t bytes;  // of a number
};

/// Seconds of the convolution and of its input gradient, and the result. x and dy are of the format, y and dx of float32.
static void run_convolution(const pilot_vector_kernels *kernels, const struct format *format,
                            const struct convolution *layer, const float *weights, const void *x, float *y, const void *dy,
                            double *forward, double *backward) {
    const pilot_winograd_kernels *winograd = format->winograd;
    size_t width = kernels->winograd_panel_width(), sides = layer->results + 2, positions = sides * sides;
    size_t panels = (layer->outputs + width - 1) / width, input_panels = (layer->inputs + width - 1) / width;
    size_t of_panel = layer->inputs * width * format->bytes / 4, of_position = panels * of_panel;
    size_t columns = (layer->side + layer->results - 1) / layer->results, tiles = columns * columns;
    size_t most = tiles < block ? tiles : block, in_row = input_panels * width + 16, out_row = panels * width + 16;
    uint32_t *transformed = space(positions * of_position * sizeof *transformed);
    char *in = space(positions * most * in_row * sizeof(float)), *out = space(positions * most * out_row * sizeof(float));
    float *dx = space(layer->side * layer->side * layer->inputs * sizeof(float));
    for (size_t panel = 0; panel < panels; panel++)
        winograd->kernels(layer->results, weights, layer->outputs, layer->inputs, panel, transformed + panel * of_panel,
                          of_position);
    pilot_winograd_grid of_input = {layer->results, columns,        -1,     -1,           layer->side, layer->side,
                                    layer->inputs,  in_row, most * in_row};
    pilot_winograd_grid of_output = {layer->results, columns, 0,      0,             layer->side, layer->side,
                                     layer->outputs, out_row, most * out_row};
    *forward = *backward = INFINITY;
    for (int round = 0; round < rounds; round++) {
        double start = now();
        for (size_t first = 0; first < tiles; first += most) {
            size_t count = tiles - first < most ? tiles - first : most;
            winograd->patches(of_input, x, first, count, in);
            for (size_t p = 0; p < positions; p++)
                for (size_t o = 0; o < panels; o++)
                    winograd->product(count, layer->inputs, in + p * most * in_row * format->bytes, in_row,
                                      transformed + p * of_position + o * of_panel,
                                      (float *)out + p * most * out_row + o * width, out_row);
            kernels->winograd_tiles(of_output, (float *)out, first, count, NULL, 0, pilot_float32, y);
        }
        *forward = fmin(*forward, now() - start);
        start = now();
        for (size_t first = 0; first < tiles; first += most) {
            size_t count = tiles - first < most ? tiles - first : most;
            winograd->tiles_gradient(of_output, dy, first, count, out);
            for (size_t p = 0; p < positions; p++)
                for (size_t o = 0; o < input_panels; o++)
                    winograd->product_gradient(count, layer->outputs, layer->inputs,
                                               out + p * most * out_row * format->bytes, out_row,
                                               transformed + p * of_position, o,
                                               (float *)in + p * most * in_row + o * width, in_row);
            kernels->winograd_patches_gradient(of_input, (float *)in, first, count, 0, layer->inputs, first == 0, dx);
        }
        *backward = fmin(*backward, now() - start);
    }
    free(transformed), free(in), free(out), free(dx);
}

/// Of y at some of its numbers, in the largest of them: the greatest error, the error as RMS, and the greatest of one
/// float32 sum for each.
static void judge_convolution(const struct convolution *layer, const float *weights, const float *x, const float *y,
                              double errors[3]) {
    enum { samples = 4000 };
    double largest = 0, squares = 0, all = 0;
    errors[0] = errors[2] = 0;
    ptrdiff_t side = (ptrdiff_t)layer->side;
    for (int sample = 0; sample < samples; sample++) {
        ptrdiff_t row = rand() % side, column = rand() % side;
        size_t output = (size_t)rand() % layer->outputs;
        double exact = 0;
        float sum = 0;
        for (ptrdiff_t tap = 0; tap < 9; tap++) {
            ptrdiff_t r = row + tap / 3 - 1, c = column + tap % 3 - 1;
            if (r < 0 || r >= side || c < 0 || c >= side) continue;
            const float *pixel = x + (size_t)(r * side + c) * layer->inputs;
            for (size_t i = 0; i < layer->inputs; i++) {
                float weight = weights[(output * layer->inputs + i) * 9 + (size_t)tap];
                exact += (double)weight * pixel[i];
                sum = fmaf(weight, pixel[i], sum);
            }
        }
        double error = y[(size_t)(row * side + column) * layer->outputs + output] - exact;
        largest = fmax(largest, fabs(exact));
        squares += error * error;
        all += exact * exact;
        errors[0] = fmax(errors[0], fabs(error));
        errors[2] = fmax(errors[2], fabs(sum - exact));
    }
    errors[0] /= largest;
    errors[1] = sqrt(squares / all);
    errors[2] /= largest;
}

static void convolution(const pilot_vector_kernels *kernels, const struct format *format,
                        const struct convolution *layer) {
    size_t inputs = layer->side * layer->side * layer->inputs, outputs = layer->side * layer->side * layer->outputs;
    float *weights = numbers(layer->outputs * layer->inputs * 9), *x = numbers(inputs), *dy = numbers(outputs);
    float *y = space(outputs * sizeof *y);
    uint16_t *half_x = space(inputs * sizeof *half_x), *half_dy = space(outputs * sizeof *half_dy);
    kernels->bfloat16_from_float32(x, half_x, inputs);
    kernels->bfloat16_from_float32(dy, half_dy, outputs);
    int whole = format->type == pilot_float32;
    double forward, backward, errors[3];
    run_convolution(kernels, format, layer, weights, whole ? (void *)x : half_x, y, whole ? (void *)dy : half_dy, &forward,
                    &backward);
    judge_convolution(layer, weights, x, y, errors);
    double work = 18e-9 * (double)(layer->side * layer->side * layer->inputs * layer->outputs);
    printf("| %s, %zux%zu | %zux%zu | %zu to %zu | %.0f | %.0f | %.1e | %.1e | %.1e |\n", format->name, layer->results,
           layer->results, layer->side, layer->side, layer->inputs, layer->outputs, work / forward, work / backward,
           errors[0], errors[1], errors[2]);
    free(weights), free(x), free(y), free(dy), free(half_x), free(half_dy);
}

static void convolutions(const pilot_vector_kernels *kernels) {
    const struct format float32 = {"float32", &kernels->winograd, pilot_float32, 4};
    const struct format bfloat16 = {"bfloat16", &kernels->winograd_bfloat16, pilot_bfloat16, 2};
    // Of Stable Diffusion 1.5 at 512 x 512, and of its autoencoder.
    const struct convolution whole[] = {{4, 64, 320, 320}, {4, 64, 960, 320}, {4, 32, 640, 640},  {4, 32, 1920, 640},
                                        {2, 16, 1280, 1280}, {2, 8, 1280, 1280}, {4, 128, 512, 512}};
    const struct convolution halves[] = {{2, 64, 320, 320}, {2, 64, 960, 320}, {2, 32, 640, 640},
                                         {2, 32, 1920, 640}, {2, 16, 1280, 1280}, {2, 8, 1280, 1280}};
    printf("\n%s: as many GFLOP/s a direct convolution would have to do\n\n", kernels->name);
    printf("| tiles | picture | channels | forward | gradient | error | RMS | error of one float32 sum |\n");
    printf("|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) convolution(kernels, &float32, &whole[i]);
    for (size_t i = 0; i < sizeof halves / sizeof *halves; i++) convolution(kernels, &bfloat16, &halves[i]);
}

static double difference(const float *a, const float *b, size_t rows, size_t width, size_t stride) {
    double squares = 0, whole = 0;
    for (size_t i = 0; i < rows; i++) {
        for (size_t c = 0; c < width; c++) {
            double d = a[i * stride + c] - b[i * stride + c];
            squares += d * d;
            whole += (double)b[i * stride + c] * b[i * stride + c];
        }
    }
    return sqrt(squares / whole);
}

/// One head of self-attention and its gradients: y, dq, dk, dv.
static void run_attention(const pilot_vector_kernels *kernels, const pilot_attention_kernels *attention, size_t keys,
                          size_t width, const uint16_t *values, float *results[4], double *forward, double *backward) {
    size_t stride = kernels->packed_width(width), padded = kernels->packed_keys(keys), step = kernels->query_block;
    const uint16_t *k = values, *v = values + keys * width, *q = v + keys * width;
    void *kt = space(padded * stride * 4), *vt = space(padded * stride * 4);
    void *k_rows = space((keys + 1) * stride * 4), *v_rows = space((keys + 1) * stride * 4);
    void *query = space(step * stride * 4), *slope = space(step * stride * 4);
    float *sums = space(keys * 4), *products = space(keys * 4), *scratch = space(attention->scratch(width) * 4);
    attention->pack_transposed(pilot_bfloat16, k, width, keys, width, kt);
    attention->pack_transposed(pilot_bfloat16, v, width, keys, width, vt);
    attention->pack_rows(pilot_bfloat16, k, width, keys, width, k_rows);
    attention->pack_rows(pilot_bfloat16, v, width, keys, width, v_rows);
    pilot_attention_shape shape = {.queries = keys, .keys = keys, .width = width, .scale = 1 / sqrtf((float)width)};
    *forward = *backward = INFINITY;
    for (int round = 0; round < rounds; round++) {
        double start = now();
        for (size_t first = 0; first < keys; first += step) {
            size_t count = keys - first < step ? keys - first : step;
            attention->pack_block(pilot_bfloat16, q + first * width, width, count, width, query);
            attention->forward(&shape, first, count, query, kt, v_rows, results[0] + first * stride, sums + first, scratch);
        }
        *forward = fmin(*forward, now() - start);
        memset(results[2], 0, keys * stride * 4);
        memset(results[3], 0, keys * stride * 4);
        start = now();
        for (size_t first = 0; first < keys; first += step) {
            size_t count = keys - first < step ? keys - first : step;
            attention->pack_block(pilot_bfloat16, q + first * width, width, count, width, query);
            attention->pack_block(pilot_bfloat16, k + first * width, width, count, width, slope);
            attention->gradient(&shape, first, count, query, kt, k_rows, vt, slope, sums + first, products + first,
                                results[1] + first * stride, results[2], results[3], scratch);
        }
        *backward = fmin(*backward, now() - start);
    }
    free(kt), free(vt), free(k_rows), free(v_rows), free(query), free(slope), free(sums), free(products), free(scratch);
}

static void attentions(const pilot_vector_kernels *kernels) {
    const size_t heads[][2] = {{4096, 40}, {1024, 80}, {256, 160}, {4096, 64}};
    printf("\n%s: attention, GFLOP/s, and the difference of the two formats (RMS)\n\n", kernels->name);
    printf("| keys | width | float32 forward | gradient | bfloat16 forward | gradient | y | dq | dk | dv |\n");
    printf("|---|---|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        size_t keys = heads[i][0], width = heads[i][1], stride = kernels->packed_width(width);
        float *values = numbers(3 * keys * width);
        uint16_t *halves = space(3 * keys * width * sizeof *halves);
        kernels->bfloat16_from_float32(values, halves, 3 * keys * width);
        const pilot_attention_kernels *formats[] = {&kernels->attention, &kernels->attention_bfloat16};
        float *results[2][4];
        double seconds[2][2];
        int count = formats[1]->forward ? 2 : 1;
        for (int f = 0; f < count; f++) {
            for (int r = 0; r < 4; r++) results[f][r] = space((keys + kernels->query_block) * stride * sizeof(float));
            run_attention(kernels, formats[f], keys, width, halves, results[f], &seconds[f][0], &seconds[f][1]);
        }
        double work = 4e-9 * (double)(keys * keys * width);
        printf("| %zu | %zu | %.0f | %.0f |", keys, width, work / seconds[0][0], 2.5 * work / seconds[0][1]);
        if (count == 2) {
            printf(" %.0f | %.0f |", work / seconds[1][0], 2.5 * work / seconds[1][1]);
            for (int r = 0; r < 4; r++)
                printf(" %.1e |", difference(results[1][r], results[0][r], keys, width, stride));
        } else {
            printf("  |  |  |  |  |  |");
        }
        printf("\n");
        for (int f = 0; f < count; f++)
            for (int r = 0; r < 4; r++) free(results[f][r]);
        free(values), free(halves);
    }
}

int main(void) {
    const pilot_vector_kernels *kernels;
    for (int index = 0; (kernels = pilot_kernels_at(index)) != NULL; index++) {
        convolutions(kernels);
        attentions(kernels);
    }
    return 0;
}
