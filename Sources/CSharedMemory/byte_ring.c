#define _GNU_SOURCE
#include "byte_ring.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { line = 64 };

// Each side writes a cache line of its own.
typedef struct {
    _Alignas(line) _Atomic uint64_t written;
    _Alignas(line) _Atomic uint64_t read;
    _Alignas(line) unsigned char bytes[];
} ring;

typedef struct {
    _Alignas(line) _Atomic uint32_t count;
    _Atomic uint32_t sleepers;
} bell;

size_t pilot_ring_head_bytes(void) { return sizeof(ring); }

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

size_t pilot_ring_put(void *memory, size_t capacity, const void *source, size_t count) {
    ring *r = memory;
    uint64_t written = atomic_load_explicit(&r->written, memory_order_relaxed);
    uint64_t used = written - atomic_load_explicit(&r->read, memory_order_acquire);
    // Another process may have written anything here: no more than there is room for is ever copied.
    if (used > capacity) return 0;
    size_t n = smaller(count, capacity - (size_t)used), place = (size_t)(written % capacity);
    size_t first = smaller(n, capacity - place);
    memcpy(r->bytes + place, source, first);
    memcpy(r->bytes, (const char *)source + first, n - first);
    atomic_store_explicit(&r->written, written + n, memory_order_release);
    return n;
}

size_t pilot_ring_take(void *memory, size_t capacity, void *target, size_t count) {
    ring *r = memory;
    uint64_t read = atomic_load_explicit(&r->read, memory_order_relaxed);
    uint64_t there = atomic_load_explicit(&r->written, memory_order_acquire) - read;
    if (there > capacity) return 0;
    size_t n = smaller(count, (size_t)there), place = (size_t)(read % capacity);
    size_t first = smaller(n, capacity - place);
    memcpy(target, r->bytes + place, first);
    memcpy((char *)target + first, r->bytes, n - first);
    atomic_store_explicit(&r->read, read + n, memory_order_release);
    return n;
}

size_t pilot_bell_bytes(void) { return sizeof(bell); }

uint32_t pilot_bell_count(const void *memory) {
    return atomic_load_explicit(&((bell *)memory)->count, memory_order_seq_cst);
}

void pilot_bell_ring(void *memory) {
    bell *b = memory;
    atomic_fetch_add_explicit(&b->count, 1, memory_order_seq_cst);
    if (atomic_load_explicit(&b->sleepers, memory_order_seq_cst) == 0) return;
    syscall(SYS_futex, &b->count, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

static int64_t nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

void pilot_bell_wait(void *memory, uint32_t seen, int64_t spin_nanoseconds) {
    bell *b = memory;
    int64_t start = nanoseconds();
    // With the core given away each time: where ranks share cores, the one that is waited for has it.
    do {
        if (pilot_bell_count(b) != seen) return;
        sched_yield();
    } while (nanoseconds() - start < spin_nanoseconds);
    atomic_fetch_add_explicit(&b->sleepers, 1, memory_order_seq_cst);
    struct timespec limit = {.tv_nsec = 100000000};
    // It looks at the count once more before it sleeps.
    syscall(SYS_futex, &b->count, FUTEX_WAIT, seen, &limit, NULL, 0);
    atomic_fetch_sub_explicit(&b->sleepers, 1, memory_order_seq_cst);
}
