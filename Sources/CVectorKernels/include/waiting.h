// How the threads of an OpenMP team wait for each other.
//
// Left to itself, a thread of libgomp that has nothing to do looks out for work for milliseconds before it sleeps. That is
// best where every thread has a core: waking a sleeper takes longer than most loops of a small network. Where another
// program has a core for a while, it is the worst: all threads spin that wait for the one without a core, and use up the
// time that it should have had; a job took four to twenty times as long beside one busy program.
//
// libgomp's spinning is fixed when it is loaded, but for one thing (its manual, "GOMP_SPINCOUNT"): while a process has
// more OpenMP threads than cores, they sleep almost at once. So, while threads come late to their work, a second team
// that does nothing makes them more.
//
// In C because libgomp's entry points are its interface.
#ifndef PILOT_WAITING_H
#define PILOT_WAITING_H

/// Nanoseconds of a clock that only goes forward.
long long pilot_now(void);
/// A thread of a team of `threads` had no core when it was called: for a while, threads sleep while they wait.
void pilot_wait_asleep(int threads, long long now);
/// Has threads look out for work again when that while is over.
void pilot_wait_awake_when_due(long long now);
/// How many times threads were told to sleep, or to sleep on, so far; for tests.
int pilot_wait_asleep_count(void);
#endif
