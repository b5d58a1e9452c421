// What the two halves of the shim share.
#ifndef PILOT_DNNL_LAYOUTS_H
#define PILOT_DNNL_LAYOUTS_H
#include "COneDNN.h"

#if DNNL_VERSION_MAJOR < 2 || DNNL_VERSION_MAJOR > 3
#error "oneDNN 2 or 3 is needed"
#endif

// In version 2 dnnl_memory_desc_t is the struct itself, in version 3 a handle.
struct pilot_dnnl_layout {
    dnnl_memory_desc_t descriptor;
};

#if DNNL_VERSION_MAJOR == 2
static inline const dnnl_memory_desc_t *pilot_descriptor(pilot_dnnl_layout_t layout) {
    return layout ? &layout->descriptor : NULL;
}
#else
static inline const_dnnl_memory_desc_t pilot_descriptor(pilot_dnnl_layout_t layout) {
    return layout ? layout->descriptor : NULL;
}
#endif
#endif
