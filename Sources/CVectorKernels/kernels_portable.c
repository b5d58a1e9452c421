// The loops for any processor: 4 lanes, as the compiler's baseline has them.
#define LANES 4
#define TILE_ROWS 6
#define TILE_VECTORS 2
#define WINOGRAD_ROWS 6
#define KERNELS pilot_kernels_portable
#define KERNELS_NAME "portable"
#include "loops/all.h"
