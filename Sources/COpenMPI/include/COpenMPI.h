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

/// MPI's own tag: a frame, which says what message it begins, or a part of the payload that follows one.
typedef enum { PILOT_MPI_FRAME = 1, PILOT_MPI_PART = 2 } PilotMPIKind;

int pilot_mpi_send_start(const void *bytes, int count, int destination, PilotMPIKind kind, MPI_Comm communicator,
                         MPI_Request *request);
/// Looks for a frame from any rank, without waiting; when there is one, `found` is 1 and `message` stands for it.
int pilot_mpi_probe(MPI_Comm communicator, int *found, int *source, int *count, MPI_Message *message);
int pilot_mpi_receive_frame_start(void *bytes, int count, MPI_Message *message, MPI_Request *request);
/// Receives the next part of a payload that `source` sends; one of more than `count` bytes is an error.
int pilot_mpi_receive_part_start(void *bytes, int count, int source, MPI_Comm communicator, MPI_Request *request);
/// When the transfer is done, `done` is 1 and `count` the bytes it brought (of no meaning for a send).
int pilot_mpi_test(MPI_Request *request, int *done, int *count);

/// Writes what an error code means to `text`, of PILOT_MPI_TEXT_CAPACITY bytes, ended by a zero.
void pilot_mpi_error_text(int code, char *text);
/// Writes MPI's name for this machine to `text`, of PILOT_MPI_TEXT_CAPACITY bytes, ended by a zero.
int pilot_mpi_processor_name(char *text);
#endif
