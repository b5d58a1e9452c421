#define _GNU_SOURCE
#include "CSharedMemory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

enum { fixed_size = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW };

int pilot_shared_memory_create(const char *name, size_t byte_count) {
    if (byte_count > INT64_MAX) {
        errno = EFBIG;
        return -1;
    }
    int descriptor = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (descriptor < 0) return -1;
    if (ftruncate(descriptor, (off_t)byte_count) == 0 && fcntl(descriptor, F_ADD_SEALS, fixed_size) == 0) {
        return descriptor;
    }
    int code = errno;
    close(descriptor);
    errno = code;
    return -1;
}

int pilot_shared_memory_is_fixed(int descriptor) {
    int seals = fcntl(descriptor, F_GET_SEALS);
    return seals >= 0 && (seals & fixed_size) == fixed_size;
}

void *pilot_shared_memory_map(int descriptor, size_t byte_count) {
    // The system maps a huge page as one only where address and offset agree, and chooses addresses by small pages.
    if (byte_count > SIZE_MAX - pilot_huge_page) {
        errno = ENOMEM;
        return NULL;
    }
    size_t room = byte_count + pilot_huge_page;
    char *start = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED) return NULL;
    size_t before = -(uintptr_t)start % pilot_huge_page;
    char *base = start + before;
    if (before > 0) munmap(start, before);
    munmap(base + byte_count, pilot_huge_page - before);
    if (mmap(base, byte_count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED, descriptor, 0) == base) {
        return base;
    }
    int code = errno;
    munmap(base, byte_count);
    errno = code;
    return NULL;
}

void pilot_shared_memory_enlarge_pages(void *address, size_t byte_count) {
    // A huge page is made of what is there, so one small page of each has to be. Nothing is lost where the system
    // declines: the pages stay small.
    char *start = address;
    for (size_t offset = 0; offset < byte_count; offset += pilot_huge_page) {
        if (madvise(start + offset, 1, MADV_POPULATE_WRITE) != 0) return;
    }
    madvise(start, byte_count, MADV_COLLAPSE);
}

int pilot_shared_memory_populate(void *address, int descriptor, size_t offset, size_t byte_count) {
    // Through the mapping, so that its advice on huge pages counts. Linux before 5.14 doesn't know this.
    if (madvise(address, byte_count, MADV_POPULATE_WRITE) == 0) return 0;
    if (errno != EINVAL) return -1;
    return posix_fallocate(descriptor, (off_t)offset, (off_t)byte_count) == 0 ? 0 : -1;
}
