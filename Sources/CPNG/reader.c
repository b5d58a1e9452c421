// Why this is C: libpng reports an error by longjmp out of the failing call. Jumping over a Swift frame is undefined
// behaviour, so every call into libpng lies between a setjmp and a return of this file, and Swift sees a result and a
// message. Whatever a jump must leave intact lives in the reader, on the heap, never in a local variable.
#include "CPNG.h"
#include "limits.h"
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

struct pilot_png_reader {
    png_structp png;
    png_infop info;
    const uint8_t *data;
    size_t size, position, allocated;
    int file_bits;
    pilot_png_samples samples;
    bool has_profile_warning;
    jmp_buf failure;
    char message[PILOT_PNG_MESSAGE_SIZE];
};

// Before each allocation stands its size, in a unit that keeps the alignment malloc promises.
typedef union {
    size_t size;
    max_align_t alignment;
} allocation_header;

static png_voidp allocate_within_limit(png_structp png, png_alloc_size_t size) {
    pilot_png_reader *reader = png_get_mem_ptr(png);
    if (size > PILOT_PNG_TOTAL_BYTES - reader->allocated) return NULL;
    allocation_header *header = malloc(sizeof *header + size);
    if (header == NULL) return NULL;
    header->size = size;
    reader->allocated += size;
    return header + 1;
}

static void release(png_structp png, png_voidp pointer) {
    if (pointer == NULL) return;
    pilot_png_reader *reader = png_get_mem_ptr(png);
    allocation_header *header = (allocation_header *)pointer - 1;
    reader->allocated -= header->size;
    free(header);
}

static void copy_message(char *target, const char *message) {
    strncpy(target, message, PILOT_PNG_MESSAGE_SIZE - 1);
    target[PILOT_PNG_MESSAGE_SIZE - 1] = 0;
}

static void fail(png_structp png, png_const_charp message) {
    pilot_png_reader *reader = png_get_error_ptr(png);
    copy_message(reader->message, message);
    longjmp(reader->failure, 1);
}

// libpng leaves out a profile that it does not find sound; it says so, and begins with the chunk's name.
static void notice_warning(png_structp png, png_const_charp message) {
    pilot_png_reader *reader = png_get_error_ptr(png);
    if (strncmp(message, "iCCP", 4) == 0) reader->has_profile_warning = true;
}

static void read_from_memory(png_structp png, png_bytep target, size_t count) {
    pilot_png_reader *reader = png_get_io_ptr(png);
    if (count > reader->size - reader->position) png_error(png, "the file ends too early");
    memcpy(target, reader->data + reader->position, count);
    reader->position += count;
}

// Chunks that would change nothing here.
static const png_byte ignored_chunks[] = "bKGD\0hIST\0oFFs\0pCAL\0sBIT\0sCAL\0sPLT\0sTER\0tIME";

static void set_limits(png_structp png) {
    png_set_chunk_cache_max(png, PILOT_PNG_CHUNK_COUNT);
    png_set_chunk_malloc_max(png, PILOT_PNG_CHUNK_BYTES);
    png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, ignored_chunks, (int)(sizeof ignored_chunks / 5));
}

static void ask_for_8_bits(png_structp png, png_infop info) {
    png_set_expand(png);
    if (png_get_bit_depth(png, info) == 16) {
        if (png_get_color_type(png, info) == PNG_COLOR_TYPE_GRAY) {
            png_set_scale_16(png);
        } else {
            png_set_strip_16(png);
        }
    }
}

static void ask_for_16_bit_rgb(png_structp png) {
    png_set_expand_16(png);
    png_set_gray_to_rgb(png);
    png_set_strip_alpha(png);
    if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__) png_set_swap(png);
}

pilot_png_reader *pilot_png_open(
    const uint8_t *data, size_t size, pilot_png_samples samples, char message[PILOT_PNG_MESSAGE_SIZE]) {
    pilot_png_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL) {
        copy_message(message, "out of memory");
        return NULL;
    }
    reader->data = data;
    reader->size = size;
    copy_message(reader->message, "out of memory");
    if (setjmp(reader->failure)) {
        copy_message(message, reader->message);
        pilot_png_close(reader);
        return NULL;
    }
    reader->png = png_create_read_struct_2(
        PNG_LIBPNG_VER_STRING, reader, fail, notice_warning, reader, allocate_within_limit, release);
    if (reader->png != NULL) reader->info = png_create_info_struct(reader->png);
    if (reader->info == NULL) longjmp(reader->failure, 1);
    set_limits(reader->png);
    png_set_read_fn(reader->png, reader, read_from_memory);
    png_read_info(reader->png, reader->info);
    reader->file_bits = png_get_bit_depth(reader->png, reader->info);
    reader->samples = samples;
    if (samples == PILOT_PNG_AS_8_BITS) {
        ask_for_8_bits(reader->png, reader->info);
    } else {
        ask_for_16_bit_rgb(reader->png);
    }
    png_set_interlace_handling(reader->png);
    png_read_update_info(reader->png, reader->info);
    return reader;
}

void pilot_png_close(pilot_png_reader *reader) {
    png_destroy_read_struct(&reader->png, &reader->info, NULL);
    free(reader);
}

uint32_t pilot_png_width(const pilot_png_reader *reader) { return png_get_image_width(reader->png, reader->info); }

uint32_t pilot_png_height(const pilot_png_reader *reader) { return png_get_image_height(reader->png, reader->info); }

int pilot_png_channels(const pilot_png_reader *reader) { return png_get_channels(reader->png, reader->info); }

int pilot_png_file_bits(const pilot_png_reader *reader) { return reader->file_bits; }

static void read_rows(pilot_png_reader *reader, uint8_t *pixels) {
    const int bits = reader->samples == PILOT_PNG_AS_8_BITS ? 8 : 16;
    const size_t row_bytes = (size_t)pilot_png_width(reader) * (size_t)(pilot_png_channels(reader) * (bits / 8));
    if (png_get_bit_depth(reader->png, reader->info) != bits || png_get_rowbytes(reader->png, reader->info) != row_bytes) {
        png_error(reader->png, "unexpected layout of the decoded rows");
    }
    const int passes = png_get_interlace_type(reader->png, reader->info) == PNG_INTERLACE_NONE ? 1 : 7;
    for (int pass = 0; pass < passes; pass++) {
        for (uint32_t y = 0; y < pilot_png_height(reader); y++) {
            png_read_row(reader->png, pixels + y * row_bytes, NULL);
        }
    }
    png_read_end(reader->png, reader->info);
}

bool pilot_png_decode(pilot_png_reader *reader, void *pixels, char message[PILOT_PNG_MESSAGE_SIZE]) {
    if (setjmp(reader->failure)) {
        copy_message(message, reader->message);
        return false;
    }
    read_rows(reader, pixels);
    return true;
}

int pilot_png_text_count(const pilot_png_reader *reader) {
    return png_get_text(reader->png, reader->info, NULL, NULL);
}

pilot_png_text pilot_png_text_at(const pilot_png_reader *reader, int index) {
    png_textp texts = NULL;
    pilot_png_text result = {"", "", 0, false};
    if (index < 0 || index >= png_get_text(reader->png, reader->info, &texts, NULL)) return result;
    const png_text *text = &texts[index];
    result.is_utf8 = text->compression == PNG_ITXT_COMPRESSION_NONE || text->compression == PNG_ITXT_COMPRESSION_zTXt;
    if (text->key != NULL) result.keyword = text->key;
    if (text->text != NULL) {
        result.text = text->text;
        result.length = result.is_utf8 ? text->itxt_length : text->text_length;
    }
    return result;
}

static void read_colours(const pilot_png_reader *reader, pilot_png_metadata *metadata) {
    png_charp name = NULL;
    int compression = 0;
    png_bytep profile = NULL;
    png_uint_32 size = 0;
    if (png_get_iCCP(reader->png, reader->info, &name, &compression, &profile, &size)) {
        metadata->profile = profile;
        metadata->profile_size = size;
    }
    metadata->has_srgb = png_get_sRGB(reader->png, reader->info, &metadata->srgb_intent) != 0;
    metadata->has_gamma = png_get_gAMA_fixed(reader->png, reader->info, &metadata->gamma) != 0;
    int32_t *xy = metadata->chromaticities;
    metadata->has_chromaticities =
        png_get_cHRM_fixed(
            reader->png, reader->info, &xy[0], &xy[1], &xy[2], &xy[3], &xy[4], &xy[5], &xy[6], &xy[7]) != 0;
}

pilot_png_metadata pilot_png_metadata_of(const pilot_png_reader *reader) {
    pilot_png_metadata metadata = {0};
    read_colours(reader, &metadata);
    int unit = PNG_RESOLUTION_UNKNOWN;
    metadata.has_resolution =
        png_get_pHYs(reader->png, reader->info, &metadata.horizontal, &metadata.vertical, &unit) != 0;
    metadata.is_per_metre = unit == PNG_RESOLUTION_METER;
    png_uint_32 length = 0;
    png_bytep exif = NULL;
    if (png_get_eXIf_1(reader->png, reader->info, &length, &exif)) {
        metadata.exif = exif;
        metadata.exif_size = length;
    }
    return metadata;
}

bool pilot_png_has_bad_profile(const pilot_png_reader *reader) {
    return reader->has_profile_warning && !png_get_valid(reader->png, reader->info, PNG_INFO_iCCP);
}
