// Bytes from one process to another through memory that both have mapped. In C for atomic numbers at an address and for
// futexes, by which a process sleeps until another one has written.
#ifndef BYTE_RING_H
#define BYTE_RING_H
#include <stddef.h>
#include <stdint.h>

/// What a ring has before its bytes. A ring is memory of so many bytes and its capacity, zero at first, at a multiple of
/// 64.
size_t pilot_ring_head_bytes(void);
/// Puts as many of `count` bytes into the ring as it has room for, and returns how many; for one process alone.
size_t pilot_ring_put(void *ring, size_t capacity, const void *source, size_t count);
/// Takes as many of `count` bytes out of the ring as are there, and returns how many; for one process alone.
size_t pilot_ring_take(void *ring, size_t capacity, void *target, size_t count);

/// A bell is memory of so many bytes, zero at first, at a multiple of 64.
size_t pilot_bell_bytes(void);
/// How often it has rung.
uint32_t pilot_bell_count(const void *bell);
/// Wakes who waits.
void pilot_bell_ring(void *bell);
/// Waits until the bell has rung since it was `seen`, a tenth of a second at most: looking for it for a while, then
/// asleep.
void pilot_bell_wait(void *bell, uint32_t seen, int64_t spin_nanoseconds);
#endif
