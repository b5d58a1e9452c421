// Linux calls that C declares only under _GNU_SOURCE, and so Swift's Glibc not at all.
#ifndef CSHAREDMEMORY_H
#define CSHAREDMEMORY_H
#include "byte_ring.h"
#include <stddef.h>

/// Memory of `byte_count` bytes behind a descriptor: without a file's name, all zero, taking room only where it is
/// written, of a size that nobody can change. `name` is what /proc shows. -1 and errno on failure.
int pilot_shared_memory_create(const char *name, size_t byte_count);
/// Whether the size of the memory behind `descriptor` can't change any more.
int pilot_shared_memory_is_fixed(int descriptor);
/// The bytes of a huge page.
enum { pilot_huge_page = 2 << 20 };
/// Maps the first `byte_count` bytes of what `descriptor` stands for, to be shared, at the start of a huge page. NULL and
/// errno on failure.
void *pilot_shared_memory_map(int descriptor, size_t byte_count);
/// Has the system put huge pages under these bytes of a mapping, whole huge pages, if it will (Linux 6.1 does, whatever
/// its settings for shared memory are). What is written there stays.
void pilot_shared_memory_enlarge_pages(void *address, size_t byte_count);
/// Has the system give memory for these bytes of a mapping, which are `offset` bytes into what `descriptor` stands for;
/// `address` is at the start of a page. 0, or -1 where it has none: a write there would end the process.
int pilot_shared_memory_populate(void *address, int descriptor, size_t offset, size_t byte_count);
#endif
