// JPEG in and out of memory through libjpeg-turbo. No call here ever leaves by longjmp or exit: see reader.c.
#ifndef PILOT_CJPEG_H
#define PILOT_CJPEG_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PILOT_JPEG_MESSAGE_SIZE = 256 };

typedef struct pilot_jpeg_reader pilot_jpeg_reader;

/// Reads the headers of a file that lies in memory. `data` must outlive the reader.
/// Returns NULL, and the reason in `message`, if the file is no JPEG that can be decoded.
pilot_jpeg_reader *pilot_jpeg_open(const uint8_t *data, size_t size, char message[PILOT_JPEG_MESSAGE_SIZE]);
void pilot_jpeg_close(pilot_jpeg_reader *reader);

uint32_t pilot_jpeg_width(const pilot_jpeg_reader *reader);
uint32_t pilot_jpeg_height(const pilot_jpeg_reader *reader);
/// Of the decoded pixels: 1 grey, 3 RGB, 4 CMYK with 255 for no ink where the file follows Adobe, as all do.
int pilot_jpeg_channels(const pilot_jpeg_reader *reader);

/// Decodes width * height * channels bytes into `pixels`, row by row; to be called once.
/// Data that libjpeg would only warn about, such as a file that ends too early, is an error.
bool pilot_jpeg_decode(pilot_jpeg_reader *reader, uint8_t *pixels, char message[PILOT_JPEG_MESSAGE_SIZE]);

/// Whether a few stray bytes stood between the picture's data and its end mark, which some cameras write.
bool pilot_jpeg_has_stray_bytes(const pilot_jpeg_reader *reader);

/// A marker segment: APPn or COM, and at most 65,533 bytes.
typedef struct {
    int marker;
    const uint8_t *bytes;
    size_t size;
} pilot_jpeg_segment;

/// How close pixels are: unit 0 for an aspect alone, 1 per inch, negative for nothing to say.
typedef struct {
    int unit;
    uint16_t horizontal, vertical;
} pilot_jpeg_density;

/// Encodes 8-bit RGB rows, colours not subsampled, with the segments behind the JFIF header. Sides are 1 to 65,500,
/// quality is 1 to 100. Returns the file's bytes, to be released with `free`, or NULL and the reason in `message`.
uint8_t *pilot_jpeg_encode(
    const uint8_t *pixels, uint32_t width, uint32_t height, int quality, const pilot_jpeg_density *density,
    const pilot_jpeg_segment *segments, int segment_count, size_t *size, char message[PILOT_JPEG_MESSAGE_SIZE]);
#endif
