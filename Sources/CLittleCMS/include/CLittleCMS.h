// Colours between a picture's own space and sRGB, through Little CMS.
#ifndef PILOT_CLITTLECMS_H
#define PILOT_CLITTLECMS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// What a file says of its colours: by an ICC profile, or else by numbers as a PNG file has them.
typedef struct {
    /// NULL for none.
    const uint8_t *profile;
    size_t profile_size;
    /// The exponent with which a file's values are encoded, times 100,000; 0 for sRGB's curve.
    int32_t gamma;
    /// x and y of white, red, green and blue, times 100,000; sRGB's if there are none.
    bool has_chromaticities;
    int32_t chromaticities[8];
} pilot_colour_space;

/// Converts `count` pixels of 8-bit RGB to sRGB, or from it: relative colorimetric, with black point compensation.
/// Returns false, and leaves `target` as it is, where that can't be done: the profile is damaged, or knows one direction.
bool pilot_convert_colours(
    const pilot_colour_space *space, bool to_srgb, const uint8_t *source, uint8_t *target, uint32_t count);
#endif
