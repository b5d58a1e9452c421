#define _GNU_SOURCE
#include "CMappedFile.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <unistd.h>

// A model has a few files, and a sharded one some dozens.
enum { most_files = 4096 };

struct mapped {
    _Atomic int is_taken;
    _Atomic uintptr_t start;
    // 0 while the entry says nothing.
    _Atomic size_t length;
};

static struct mapped files[most_files];
static int ends[2] = {-1, -1};
static struct sigaction before;

static void handle(int signal, siginfo_t *information, void *context) {
    (void)context;
    uintptr_t address = (uintptr_t)information->si_addr;
    for (int number = 0; number < most_files; number++) {
        size_t length = files[number].length;
        uintptr_t start = files[number].start;
        if (length == 0 || address < start || address - start >= length) continue;
        if (write(ends[1], &number, sizeof number) != sizeof number) break;
        for (;;) pause();
    }
    // None of ours: the instruction runs again, and meets what was there before.
    sigaction(signal, &before, NULL);
}

int pilot_mapped_files_watch(void) {
    if (pipe2(ends, O_CLOEXEC) != 0) return -1;
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    sigemptyset(&action.sa_mask);
    return sigaction(SIGBUS, &action, &before) == 0 ? ends[0] : -1;
}

int pilot_mapped_file_add(const void *start, size_t length) {
    for (int number = 0; number < most_files; number++) {
        int no = 0;
        if (!atomic_compare_exchange_strong(&files[number].is_taken, &no, 1)) continue;
        files[number].start = (uintptr_t)start;
        files[number].length = length;
        return number;
    }
    return -1;
}

void pilot_mapped_file_remove(int number) {
    if (number < 0) return;
    files[number].length = 0;
    files[number].is_taken = 0;
}
