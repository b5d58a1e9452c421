// Why this is C: libpng reports an error by longjmp; see reader.c. Here the state that must survive a jump is the encoder.
#include "CPNG.h"
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    png_structp png;
    png_infop info;
    png_textp texts;
    uint8_t *bytes;
    size_t size, capacity;
    jmp_buf failure;
    char *message;
} encoder;

static void fail(png_structp png, png_const_charp message) {
    encoder *state = png_get_error_ptr(png);
    strncpy(state->message, message, PILOT_PNG_MESSAGE_SIZE - 1);
    state->message[PILOT_PNG_MESSAGE_SIZE - 1] = 0;
    longjmp(state->failure, 1);
}

static void ignore_warning(png_structp png, png_const_charp message) {
    (void)png;
    (void)message;
}

static void append(png_structp png, png_bytep bytes, size_t count) {
    encoder *state = png_get_io_ptr(png);
    if (count > state->capacity - state->size) {
        const size_t capacity = 2 * state->capacity + count + 65536;
        uint8_t *grown = realloc(state->bytes, capacity);
        if (grown == NULL) png_error(png, "out of memory");
        state->bytes = grown;
        state->capacity = capacity;
    }
    memcpy(state->bytes + state->size, bytes, count);
    state->size += count;
}

static void nothing_to_flush(png_structp png) { (void)png; }

static void set_texts(encoder *state, const pilot_png_text *texts, int count) {
    if (count == 0) return;
    state->texts = calloc((size_t)count, sizeof *state->texts);
    if (state->texts == NULL) png_error(state->png, "out of memory");
    for (int i = 0; i < count; i++) {
        // libpng's structure has no const; it copies both strings.
        state->texts[i].compression = texts[i].is_utf8 ? PNG_ITXT_COMPRESSION_NONE : PNG_TEXT_COMPRESSION_NONE;
        state->texts[i].key = (png_charp)texts[i].keyword;
        state->texts[i].text = (png_charp)texts[i].text;
    }
    png_set_text(state->png, state->info, state->texts, count);
}

static void set_colours(encoder *state, const pilot_png_metadata *metadata) {
    const int32_t *xy = metadata->chromaticities;
    if (metadata->profile != NULL) {
        png_set_iCCP(
            state->png, state->info, "ICC profile", PNG_COMPRESSION_TYPE_BASE, metadata->profile,
            (png_uint_32)metadata->profile_size);
    } else if (metadata->has_srgb) {
        png_set_sRGB(state->png, state->info, metadata->srgb_intent);
    } else {
        if (metadata->has_gamma) png_set_gAMA_fixed(state->png, state->info, metadata->gamma);
        if (metadata->has_chromaticities) {
            png_set_cHRM_fixed(state->png, state->info, xy[0], xy[1], xy[2], xy[3], xy[4], xy[5], xy[6], xy[7]);
        }
    }
}

static void set_metadata(encoder *state, const pilot_png_metadata *metadata) {
    set_colours(state, metadata);
    if (metadata->has_resolution) {
        png_set_pHYs(
            state->png, state->info, metadata->horizontal, metadata->vertical,
            metadata->is_per_metre ? PNG_RESOLUTION_METER : PNG_RESOLUTION_UNKNOWN);
    }
    if (metadata->exif != NULL) {
        // libpng's interface has no const; it copies the bytes.
        png_set_eXIf_1(state->png, state->info, (png_uint_32)metadata->exif_size, (png_bytep)metadata->exif);
    }
}

static void write_file(
    encoder *state, const uint8_t *pixels, int bits, uint32_t width, uint32_t height, const pilot_png_metadata *metadata,
    const pilot_png_text *texts, int text_count) {
    png_set_write_fn(state->png, state, append, nothing_to_flush);
    png_set_IHDR(
        state->png, state->info, width, height, bits, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_BASE,
        PNG_FILTER_TYPE_BASE);
    // Stated, though they are the defaults, since the bytes of a result are promised not to depend on surroundings.
    png_set_compression_level(state->png, 6);
    png_set_text_compression_level(state->png, 6);
    png_set_filter(state->png, PNG_FILTER_TYPE_BASE, PNG_ALL_FILTERS);
    set_metadata(state, metadata);
    set_texts(state, texts, text_count);
    png_write_info(state->png, state->info);
    if (bits == 16 && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__) png_set_swap(state->png);
    const size_t row_bytes = (size_t)width * 3 * (size_t)(bits / 8);
    for (uint32_t y = 0; y < height; y++) png_write_row(state->png, pixels + y * row_bytes);
    png_write_end(state->png, NULL);
}

uint8_t *pilot_png_encode(
    const void *pixels, int bits, uint32_t width, uint32_t height, const pilot_png_metadata *metadata,
    const pilot_png_text *texts, int text_count, size_t *size, char message[PILOT_PNG_MESSAGE_SIZE]) {
    strcpy(message, "out of memory");
    encoder *state = calloc(1, sizeof *state);
    if (state == NULL) return NULL;
    state->message = message;
    if (setjmp(state->failure)) {
        free(state->bytes);
        state->bytes = NULL;
        state->size = 0;
    } else {
        state->png = png_create_write_struct(PNG_LIBPNG_VER_STRING, state, fail, ignore_warning);
        if (state->png != NULL) state->info = png_create_info_struct(state->png);
        if (state->info == NULL) longjmp(state->failure, 1);
        write_file(state, pixels, bits, width, height, metadata, texts, text_count);
    }
    uint8_t *bytes = state->bytes;
    *size = state->size;
    png_destroy_write_struct(&state->png, &state->info);
    free(state->texts);
    free(state);
    return bytes;
}
