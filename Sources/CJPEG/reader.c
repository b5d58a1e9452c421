// Why this is C: libjpeg reports an error by calling a function that must not return, so it has to longjmp. Jumping over
// a Swift frame is undefined behaviour, so every call into libjpeg lies between a setjmp and a return of this file, and
// Swift sees a result and a message. Whatever a jump must leave intact lives in the reader, on the heap.
#include "CJPEG.h"
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

// libjpeg has no limits of its own. Encoders write about ten scans; each costs a pass over the whole picture.
enum { MAXIMUM_SCANS = 200 };
// The coefficients of a progressive picture: two bytes a sample, so four channels at 100 megapixels fit.
enum { MAXIMUM_MEMORY = 1024 * 1024 * 1024 };
// Some cameras pad the data before the end mark by a few bytes; more is damaged data.
enum { MAXIMUM_STRAY_BYTES = 16 };

struct pilot_jpeg_reader {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    bool has_stray_bytes;
    jmp_buf failure;
    char message[PILOT_JPEG_MESSAGE_SIZE];
};
_Static_assert(PILOT_JPEG_MESSAGE_SIZE >= JMSG_LENGTH_MAX, "libjpeg's messages must fit");

static void copy_message(char *target, const char *message) {
    strncpy(target, message, PILOT_JPEG_MESSAGE_SIZE - 1);
    target[PILOT_JPEG_MESSAGE_SIZE - 1] = 0;
}

static void fail(j_common_ptr jpeg) {
    pilot_jpeg_reader *reader = jpeg->client_data;
    jpeg->err->format_message(jpeg, reader->message);
    longjmp(reader->failure, 1);
}

// Warnings have a negative level. All mean damaged pixels, except for a few that only find the file's labels odd.
static void judge_message(j_common_ptr jpeg, int level) {
    if (level >= 0) return;
    pilot_jpeg_reader *reader = jpeg->client_data;
    switch (jpeg->err->msg_code) {
    case JWRN_ADOBE_XFORM:
    case JWRN_BOGUS_ICC:
    case JWRN_JFIF_MAJOR:
        return;
    case JWRN_EXTRANEOUS_DATA:
        if (jpeg->err->msg_parm.i[1] == JPEG_EOI && jpeg->err->msg_parm.i[0] <= MAXIMUM_STRAY_BYTES) {
            reader->has_stray_bytes = true;
            return;
        }
        break;
    }
    fail(jpeg);
}

static void print_nothing(j_common_ptr jpeg) { (void)jpeg; }

static void count_scans(j_common_ptr jpeg) {
    pilot_jpeg_reader *reader = jpeg->client_data;
    if (reader->jpeg.input_scan_number <= MAXIMUM_SCANS) return;
    copy_message(reader->message, "more than 200 scans");
    longjmp(reader->failure, 1);
}

static bool choose_colours(struct jpeg_decompress_struct *jpeg) {
    switch (jpeg->jpeg_color_space) {
    case JCS_GRAYSCALE:
        jpeg->out_color_space = JCS_GRAYSCALE;
        return true;
    case JCS_YCbCr:
    case JCS_RGB:
        jpeg->out_color_space = JCS_RGB;
        return true;
    case JCS_CMYK:
    case JCS_YCCK:
        jpeg->out_color_space = JCS_CMYK;
        return true;
    default:
        return false;
    }
}

pilot_jpeg_reader *pilot_jpeg_open(const uint8_t *data, size_t size, char message[PILOT_JPEG_MESSAGE_SIZE]) {
    pilot_jpeg_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL) {
        copy_message(message, "out of memory");
        return NULL;
    }
    reader->jpeg.err = jpeg_std_error(&reader->errors);
    reader->errors.error_exit = fail;
    reader->errors.emit_message = judge_message;
    reader->errors.output_message = print_nothing;
    reader->jpeg.client_data = reader;
    if (setjmp(reader->failure)) {
        copy_message(message, reader->message);
        pilot_jpeg_close(reader);
        return NULL;
    }
    jpeg_create_decompress(&reader->jpeg);
    reader->jpeg.mem->max_memory_to_use = MAXIMUM_MEMORY;
    reader->progress.progress_monitor = count_scans;
    reader->jpeg.progress = &reader->progress;
    jpeg_mem_src(&reader->jpeg, data, size);
    jpeg_read_header(&reader->jpeg, TRUE);
    if (!choose_colours(&reader->jpeg)) {
        copy_message(reader->message, "its colours are neither grey, YCbCr, RGB, CMYK nor YCCK");
        longjmp(reader->failure, 1);
    }
    return reader;
}

void pilot_jpeg_close(pilot_jpeg_reader *reader) {
    jpeg_destroy_decompress(&reader->jpeg);
    free(reader);
}

uint32_t pilot_jpeg_width(const pilot_jpeg_reader *reader) { return reader->jpeg.image_width; }

uint32_t pilot_jpeg_height(const pilot_jpeg_reader *reader) { return reader->jpeg.image_height; }

int pilot_jpeg_channels(const pilot_jpeg_reader *reader) {
    switch (reader->jpeg.out_color_space) {
    case JCS_GRAYSCALE:
        return 1;
    case JCS_CMYK:
        return 4;
    default:
        return 3;
    }
}

bool pilot_jpeg_decode(pilot_jpeg_reader *reader, uint8_t *pixels, char message[PILOT_JPEG_MESSAGE_SIZE]) {
    struct jpeg_decompress_struct *jpeg = &reader->jpeg;
    if (setjmp(reader->failure)) {
        copy_message(message, reader->message);
        return false;
    }
    jpeg_start_decompress(jpeg);
    const size_t row_bytes = (size_t)jpeg->image_width * (size_t)pilot_jpeg_channels(reader);
    while (jpeg->output_scanline < jpeg->output_height) {
        JSAMPROW row = pixels + jpeg->output_scanline * row_bytes;
        jpeg_read_scanlines(jpeg, &row, 1);
    }
    jpeg_finish_decompress(jpeg);
    return true;
}

bool pilot_jpeg_has_stray_bytes(const pilot_jpeg_reader *reader) { return reader->has_stray_bytes; }
