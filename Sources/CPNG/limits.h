// What a file from a stranger may make libpng allocate. The pixels themselves are the caller's, and not counted.
#ifndef PILOT_CPNG_LIMITS_H
#define PILOT_CPNG_LIMITS_H

enum {
    // Text chunks, and other chunks that libpng keeps, per file.
    PILOT_PNG_CHUNK_COUNT = 128,
    // One chunk, after inflating a compressed text.
    PILOT_PNG_CHUNK_BYTES = 8 * 1024 * 1024,
    // Everything that libpng holds at one time: rows, window of zlib, texts.
    PILOT_PNG_TOTAL_BYTES = 128 * 1024 * 1024,
};
#endif
