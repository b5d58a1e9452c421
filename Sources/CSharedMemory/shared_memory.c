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

int pilot_shared_memory_populate(void *address, int descriptor, size_t offset, size_t byte_count) {
    // Through the mapping, so that its advice on huge pages counts. Linux before 5.14 doesn't know this.
    if (madvise(address, byte_count, MADV_POPULATE_WRITE) == 0) return 0;
    if (errno != EINVAL) return -1;
    return posix_fallocate(descriptor, (off_t)offset, (off_t)byte_count) == 0 ? 0 : -1;
}
