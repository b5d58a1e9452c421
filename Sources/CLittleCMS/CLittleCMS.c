// Why this is C: Little CMS describes the layout of pixels by nested macros, which Swift does not see.
#include "CLittleCMS.h"
#include <lcms2.h>

static cmsCIExyY point(const int32_t *xy) {
    const cmsCIExyY point = {xy[0] / 100000.0, xy[1] / 100000.0, 1};
    return point;
}

static cmsHPROFILE profile_by_numbers(cmsContext context, const pilot_colour_space *space) {
    static const int32_t of_srgb[8] = {31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000};
    // The parameters of sRGB's curve, IEC 61966-2-1.
    static const cmsFloat64Number srgb_curve[5] = {2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045};
    const int32_t *xy = space->has_chromaticities ? space->chromaticities : of_srgb;
    const cmsCIExyY white = point(xy);
    const cmsCIExyYTRIPLE primaries = {point(xy + 2), point(xy + 4), point(xy + 6)};
    cmsToneCurve *curve = space->gamma == 0 ? cmsBuildParametricToneCurve(context, 4, srgb_curve)
                                            : cmsBuildGamma(context, 100000.0 / space->gamma);
    if (curve == NULL) return NULL;
    cmsToneCurve *curves[3] = {curve, curve, curve};
    cmsHPROFILE profile = cmsCreateRGBProfileTHR(context, &white, &primaries, curves);
    cmsFreeToneCurve(curve);
    return profile;
}

static cmsHTRANSFORM transform(cmsContext context, cmsHPROFILE source, cmsHPROFILE target) {
    if (source == NULL || target == NULL) return NULL;
    return cmsCreateTransformTHR(
        context, source, TYPE_RGB_8, target, TYPE_RGB_8, INTENT_RELATIVE_COLORIMETRIC,
        cmsFLAGS_BLACKPOINTCOMPENSATION);
}

bool pilot_convert_colours(
    const pilot_colour_space *space, bool to_srgb, const uint8_t *source, uint8_t *target, uint32_t count) {
    // A context of its own prints no errors and shares nothing with other threads.
    cmsContext context = cmsCreateContext(NULL, NULL);
    if (context == NULL) return false;
    cmsHPROFILE own = space->profile == NULL
                          ? profile_by_numbers(context, space)
                          : cmsOpenProfileFromMemTHR(context, space->profile, (cmsUInt32Number)space->profile_size);
    cmsHPROFILE srgb = cmsCreate_sRGBProfileTHR(context);
    cmsHTRANSFORM conversion = to_srgb ? transform(context, own, srgb) : transform(context, srgb, own);
    if (conversion != NULL) {
        cmsDoTransform(conversion, source, target, count);
        cmsDeleteTransform(conversion);
    }
    if (own != NULL) cmsCloseProfile(own);
    if (srgb != NULL) cmsCloseProfile(srgb);
    cmsDeleteContext(context);
    return conversion != NULL;
}
