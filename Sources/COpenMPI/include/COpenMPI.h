// MPI's handles and constants are macros that Swift can't import: this shim turns them into functions. It also fixes
// the one way this program uses MPI: bytes, non-blocking, on a communicator of its own.
#ifndef COPENMPI_H
#define COPENMPI_H
#include <mpi.h>

#define PILOT_MPI_TEXT_CAPACITY 1024

/// MPI_Init_thread, errors returned instead of fatal, and a duplicate of MPI_COMM_WORLD so that no library's messages
/// mix with ours. `provided` is 1 when any thread may at least take turns in calling MPI, else 0.
int pilot_mpi_start(MPI_Comm *communicator, int *provided);
int pilot_mpi_finalize(MPI_Comm *communicator);
/// Ends every process of the job; to be called when messages can't do it any more.
void pilot_mpi_abort(int exit_code);

int pilot_mpi_send_start(const void *bytes, int count, int destination, MPI_Comm communicator, MPI_Request *request);
/// Looks for a message from any rank, without waiting; when there is one, `found` is 1 and `message` stands for it.
int pilot_mpi_probe(MPI_Comm communicator, int *found, int *source, int *count, MPI_Message *message);
int pilot_mpi_receive_start(void *bytes, int count, MPI_Message *message, MPI_Request *request);
int pilot_mpi_test(MPI_Request *request, int *done);

/// Writes what an error code means to `text`, of PILOT_MPI_TEXT_CAPACITY bytes, ended by a zero.
void pilot_mpi_error_text(int code, char *text);
/// Writes MPI's name for this machine to `text`, of PILOT_MPI_TEXT_CAPACITY bytes, ended by a zero.
int pilot_mpi_processor_name(char *text);
#endif
