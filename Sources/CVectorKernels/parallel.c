#include "parallel.h"

// libgomp's interface (GCC's libgomp manual, "The libgomp ABI").
extern void GOMP_parallel(void (*body)(void *), void *data, unsigned threads, unsigned flags);
extern void omp_set_num_threads(int threads);
extern int omp_get_thread_num(void);
extern int omp_get_num_threads(void);

struct region {
    void (*body)(void *, int, int);
    void *context;
};

static void run(void *data) {
    const struct region *region = data;
    region->body(region->context, omp_get_thread_num(), omp_get_num_threads());
}

void pilot_parallel(int threads, void (*body)(void *, int, int), void *context) {
    if (threads <= 1) {
        body(context, 0, 1);
        return;
    }
    struct region region = {body, context};
    GOMP_parallel(run, &region, (unsigned)threads, 0);
}

void pilot_set_team_size(int threads) { omp_set_num_threads(threads); }
