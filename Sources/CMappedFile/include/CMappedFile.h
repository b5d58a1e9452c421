// Tells which mapped file it was that could not be read.
//
// Reading a mapped page that the file no longer has, because another program cut it short, raises SIGBUS in the midst
// of whatever reads it, a library's kernel for instance. The handler finds the file by the address, writes its number into
// a pipe, and keeps the thread where it is, so that others can end the program in order.
//
// In C for the handler, which may do nothing but what POSIX allows there (async-signal-safe, signal-safety(7)).
#ifndef PILOT_MAPPED_FILE_H
#define PILOT_MAPPED_FILE_H

#include <stddef.h>

/// Handles SIGBUS from now on. Returns where the numbers of files come, as `int`, or -1 with errno set. To be called
/// once. A SIGBUS that is about none of the files does what it did before.
int pilot_mapped_files_watch(void);
/// A number for the file mapped at `start`; -1 when there are too many, which are not watched then.
int pilot_mapped_file_add(const void *start, size_t length);
/// Forgets a file; to be called before it is unmapped.
void pilot_mapped_file_remove(int number);
#endif
