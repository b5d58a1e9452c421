#include "waiting.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

// libgomp's interface (GCC's libgomp manual).
extern void GOMP_parallel(void (*body)(void *), void *data, unsigned threads, unsigned flags);
extern int omp_get_num_procs(void);

// Threads that come late again soon after they were told to sleep are let sleep twice as long.
static const long long shortest = 50000000, longest = 2000000000, soon = 500000000;
// More idle threads than this are not worth it; where a team has so few of the cores, the system finds it others.
enum { most_idle = 64 };

// A second team, asleep from its start to its end.
struct crowd {
    sem_t over;
    int threads;
};

// The process has one libgomp, so there is one of these.
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct crowd *crowd;
static long long span, due, ended;
static _Atomic int is_crowded, count;

long long pilot_now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void nothing(void *data) { (void)data; }

static void *be_many(void *argument) {
    struct crowd *self = argument;
    GOMP_parallel(nothing, NULL, (unsigned)self->threads, 0);
    while (sem_wait(&self->over) != 0) {}
    sem_destroy(&self->over);
    free(self);
    // The team ends with the thread that it belongs to.
    return NULL;
}

static struct crowd *gather(int threads) {
    struct rlimit limit;
    // libgomp ends the process when a thread can't be made.
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur != RLIM_INFINITY) return NULL;
    struct crowd *made = malloc(sizeof *made);
    if (!made) return NULL;
    made->threads = threads;
    sem_init(&made->over, 0, 0);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_t thread;
    int status = pthread_create(&thread, &attributes, be_many, made);
    pthread_attr_destroy(&attributes);
    if (status == 0) return made;
    sem_destroy(&made->over);
    free(made);
    return NULL;
}

void pilot_wait_asleep(int threads, long long now) {
    // libgomp counts the thread that the process began with, and all of every team but its first.
    int idle = omp_get_num_procs() - threads + 2;
    if (idle < 2 || idle > most_idle) return;
    // Another team has just seen the same.
    if (pthread_mutex_trylock(&lock) != 0) return;
    if (!crowd) {
        span = ended && now - ended < soon ? 2 * span : shortest;
        if (span > longest) span = longest;
        crowd = gather(idle);
    }
    if (crowd) count++;
    due = now + span;
    is_crowded = crowd != NULL;
    pthread_mutex_unlock(&lock);
}

void pilot_wait_awake_when_due(long long now) {
    if (!is_crowded || pthread_mutex_trylock(&lock) != 0) return;
    if (crowd && now > due) {
        sem_post(&crowd->over);
        crowd = NULL;
        is_crowded = 0;
        ended = now;
    }
    pthread_mutex_unlock(&lock);
}

int pilot_wait_asleep_count(void) { return count; }
