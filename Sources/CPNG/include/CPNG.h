// PNG in and out of memory through libpng. No call here ever leaves by longjmp: see reader.c.
#ifndef PILOT_CPNG_H
#define PILOT_CPNG_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PILOT_PNG_MESSAGE_SIZE = 256 };

typedef struct pilot_png_reader pilot_png_reader;

/// One text chunk. The pointers belong to the reader and live as long as it does.
typedef struct {
    const char *keyword;
    const char *text;
    size_t length;
    /// True for iTXt, whose text is UTF-8; false for tEXt and zTXt, whose text is Latin-1.
    bool is_utf8;
} pilot_png_text;

/// What stands in a file beside pixels and texts, and says how they are to be shown.
typedef struct {
    /// An ICC profile that libpng finds sound, or NULL.
    const uint8_t *profile;
    size_t profile_size;
    bool has_srgb;
    int srgb_intent;
    /// The file's exponent, times 100,000.
    bool has_gamma;
    int32_t gamma;
    /// x and y of white, red, green and blue, times 100,000.
    bool has_chromaticities;
    int32_t chromaticities[8];
    /// Pixels per metre, or in an unknown unit.
    bool has_resolution;
    uint32_t horizontal, vertical;
    bool is_per_metre;
    /// The contents of the eXIf chunk, a TIFF structure, or NULL.
    const uint8_t *exif;
    size_t exif_size;
} pilot_png_metadata;

/// What pixels are decoded to.
typedef enum {
    /// Samples of 8 bits, in the channels that the file has.
    PILOT_PNG_AS_8_BITS,
    /// Samples of 16 bits in this machine's order, red, green and blue.
    PILOT_PNG_AS_16_BIT_RGB,
} pilot_png_samples;

/// Starts to read a file that lies in memory, up to its pixels. `data` must outlive the reader.
/// Returns NULL, and the reason in `message`, if the file is no PNG or its beginning is corrupt.
pilot_png_reader *pilot_png_open(
    const uint8_t *data, size_t size, pilot_png_samples samples, char message[PILOT_PNG_MESSAGE_SIZE]);
void pilot_png_close(pilot_png_reader *reader);

uint32_t pilot_png_width(const pilot_png_reader *reader);
uint32_t pilot_png_height(const pilot_png_reader *reader);
/// Of the decoded pixels: 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA.
int pilot_png_channels(const pilot_png_reader *reader);
/// Bits of a sample in the file.
int pilot_png_file_bits(const pilot_png_reader *reader);

/// Decodes width * height * channels samples into `pixels`, row by row, and reads the file to its end; to be called
/// once. With 8 bits a sample of 16 bits gives its upper byte; in a grey picture without alpha it is rounded to v * 255 / 65535.
bool pilot_png_decode(pilot_png_reader *reader, void *pixels, char message[PILOT_PNG_MESSAGE_SIZE]);

/// What stood beside the pixels; complete after `pilot_png_decode`.
int pilot_png_text_count(const pilot_png_reader *reader);
pilot_png_text pilot_png_text_at(const pilot_png_reader *reader, int index);
/// The pointers belong to the reader and live as long as it does.
pilot_png_metadata pilot_png_metadata_of(const pilot_png_reader *reader);
/// Whether there is a colour profile that libpng does not find sound, or does not find fit for such a picture.
bool pilot_png_has_bad_profile(const pilot_png_reader *reader);

/// Encodes RGB rows of 8 or 16 bits a sample, in this machine's order, metadata, and text chunks (tEXt or iTXt, uncompressed; the texts end with a zero byte).
/// Of what the metadata says of colours the profile counts first, then sRGB, then the numbers.
/// Returns the file's bytes, to be released with `free`, or NULL and the reason in `message`.
uint8_t *pilot_png_encode(
    const void *pixels, int bits, uint32_t width, uint32_t height, const pilot_png_metadata *metadata,
    const pilot_png_text *texts, int text_count, size_t *size, char message[PILOT_PNG_MESSAGE_SIZE]);
#endif
