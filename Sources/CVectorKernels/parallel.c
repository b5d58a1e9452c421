#include "parallel.h"

#include <stdatomic.h>

#include "waiting.h"

// libgomp's interface (GCC's libgomp manual, "The libgomp ABI").
extern void GOMP_parallel(void (*body)(void *), void *data, unsigned threads, unsigned flags);
extern void omp_set_num_threads(int threads);
extern int omp_get_thread_num(void);
extern int omp_get_num_threads(void);

struct region {
    void (*body)(void *, int, int);
    void *context;
    long long start;
    // Whether a thread began so late that it can't have had a core.
    _Atomic int is_late;
};

// Far longer than waking a thread takes.
static const long long late = 1000000;

static void run(void *data) {
    struct region *region = data;
    if (omp_get_thread_num() != 0 && pilot_now() - region->start > late) region->is_late = 1;
    region->body(region->context, omp_get_thread_num(), omp_get_num_threads());
}

void pilot_parallel(int threads, void (*body)(void *, int, int), void *context) {
    if (threads <= 1) {
        body(context, 0, 1);
        return;
    }
    struct region region = {body, context, pilot_now(), 0};
    pilot_wait_awake_when_due(region.start);
    GOMP_parallel(run, &region, (unsigned)threads, 0);
    if (region.is_late) pilot_wait_asleep(threads, pilot_now());
}

void pilot_set_team_size(int threads) { omp_set_num_threads(threads); }
