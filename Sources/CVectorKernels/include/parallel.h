// A parallel region on the OpenMP team that oneDNN uses too, so that no second pool of threads competes for the cores.
// In C because libgomp's entry points are its interface; nothing here needs a compiler's OpenMP support.
#ifndef PILOT_PARALLEL_H
#define PILOT_PARALLEL_H

/// Runs `body(context, thread, threads)` once on each thread of a team of at most `threads`; returns when all have.
void pilot_parallel(int threads, void (*body)(void *context, int thread, int threads), void *context);
/// The team size that libraries built on OpenMP use when called from this thread.
void pilot_set_team_size(int threads);
#endif
