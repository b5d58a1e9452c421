// Why this is C: libjpeg reports an error by longjmp; see reader.c. Here the state that must survive a jump is the encoder.
#include "CJPEG.h"
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

enum { FIRST_CAPACITY = 65536 };

typedef struct {
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    // libjpeg's own target in memory loses what it has allocated when it fails.
    struct jpeg_destination_mgr target;
    uint8_t *bytes;
    size_t size, capacity;
    jmp_buf failure;
    char *message;
} encoder;
_Static_assert(PILOT_JPEG_MESSAGE_SIZE >= JMSG_LENGTH_MAX, "libjpeg's messages must fit");

static void fail(j_common_ptr jpeg) {
    encoder *state = jpeg->client_data;
    jpeg->err->format_message(jpeg, state->message);
    longjmp(state->failure, 1);
}

static void print_nothing(j_common_ptr jpeg) { (void)jpeg; }

// Gives libjpeg the room behind what is written.
static void grow(encoder *state) {
    const size_t capacity = state->capacity == 0 ? FIRST_CAPACITY : 2 * state->capacity;
    uint8_t *grown = realloc(state->bytes, capacity);
    if (grown == NULL) {
        strcpy(state->message, "out of memory");
        longjmp(state->failure, 1);
    }
    state->bytes = grown;
    state->target.next_output_byte = grown + state->capacity;
    state->target.free_in_buffer = capacity - state->capacity;
    state->capacity = capacity;
}

static void begin(j_compress_ptr jpeg) { grow(jpeg->client_data); }

static boolean go_on(j_compress_ptr jpeg) {
    grow(jpeg->client_data);
    return TRUE;
}

static void end(j_compress_ptr jpeg) {
    encoder *state = jpeg->client_data;
    state->size = state->capacity - state->target.free_in_buffer;
}

static void set_up(encoder *state, uint32_t width, uint32_t height, int quality, const pilot_jpeg_density *density) {
    struct jpeg_compress_struct *jpeg = &state->jpeg;
    jpeg_create_compress(jpeg);
    state->target.init_destination = begin;
    state->target.empty_output_buffer = go_on;
    state->target.term_destination = end;
    jpeg->dest = &state->target;
    jpeg->image_width = width;
    jpeg->image_height = height;
    jpeg->input_components = 3;
    jpeg->in_color_space = JCS_RGB;
    jpeg_set_defaults(jpeg);
    jpeg_set_quality(jpeg, quality, TRUE);
    // Colours at full resolution, and a transform that every machine computes alike.
    for (int i = 0; i < jpeg->num_components; i++) {
        jpeg->comp_info[i].h_samp_factor = 1;
        jpeg->comp_info[i].v_samp_factor = 1;
    }
    jpeg->dct_method = JDCT_ISLOW;
    jpeg->optimize_coding = TRUE;
    if (density->unit >= 0) {
        jpeg->density_unit = (UINT8)density->unit;
        jpeg->X_density = density->horizontal;
        jpeg->Y_density = density->vertical;
    }
}

static void write_file(
    encoder *state, const uint8_t *pixels, const pilot_jpeg_segment *segments, int segment_count) {
    struct jpeg_compress_struct *jpeg = &state->jpeg;
    jpeg_start_compress(jpeg, TRUE);
    for (int i = 0; i < segment_count; i++) {
        jpeg_write_marker(jpeg, segments[i].marker, segments[i].bytes, (unsigned int)segments[i].size);
    }
    while (jpeg->next_scanline < jpeg->image_height) {
        // libjpeg's interface has no const; it only reads.
        JSAMPROW row = (JSAMPROW)(pixels + (size_t)jpeg->next_scanline * jpeg->image_width * 3);
        jpeg_write_scanlines(jpeg, &row, 1);
    }
    jpeg_finish_compress(jpeg);
}

uint8_t *pilot_jpeg_encode(
    const uint8_t *pixels, uint32_t width, uint32_t height, int quality, const pilot_jpeg_density *density,
    const pilot_jpeg_segment *segments, int segment_count, size_t *size, char message[PILOT_JPEG_MESSAGE_SIZE]) {
    strcpy(message, "out of memory");
    encoder *state = calloc(1, sizeof *state);
    if (state == NULL) return NULL;
    state->message = message;
    state->jpeg.err = jpeg_std_error(&state->errors);
    state->errors.error_exit = fail;
    state->errors.output_message = print_nothing;
    state->jpeg.client_data = state;
    if (setjmp(state->failure)) {
        free(state->bytes);
        state->bytes = NULL;
        state->size = 0;
    } else {
        set_up(state, width, height, quality, density);
        write_file(state, pixels, segments, segment_count);
    }
    uint8_t *bytes = state->bytes;
    *size = state->size;
    jpeg_destroy_compress(&state->jpeg);
    free(state);
    return bytes;
}
