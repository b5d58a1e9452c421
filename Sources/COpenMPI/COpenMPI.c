#include "COpenMPI.h"

#include <string.h>

_Static_assert(PILOT_MPI_TEXT_CAPACITY >= MPI_MAX_ERROR_STRING, "an error's text must fit");
_Static_assert(PILOT_MPI_TEXT_CAPACITY >= MPI_MAX_PROCESSOR_NAME, "a processor's name must fit");

int pilot_mpi_start(MPI_Comm *communicator, int *provided) {
    int level = MPI_THREAD_SINGLE;
    int code = MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &level);
    if (code != MPI_SUCCESS) return code;
    *provided = level >= MPI_THREAD_SERIALIZED;
    code = MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    if (code != MPI_SUCCESS) return code;
    code = MPI_Comm_dup(MPI_COMM_WORLD, communicator);
    if (code != MPI_SUCCESS) return code;
    return MPI_Comm_set_errhandler(*communicator, MPI_ERRORS_RETURN);
}

int pilot_mpi_finalize(MPI_Comm *communicator) {
    int code = MPI_Comm_free(communicator);
    int finalize_code = MPI_Finalize();
    return code != MPI_SUCCESS ? code : finalize_code;
}

void pilot_mpi_abort(int exit_code) { MPI_Abort(MPI_COMM_WORLD, exit_code); }

int pilot_mpi_send_start(const void *bytes, int count, int destination, PilotMPIKind kind,
                         MPI_Comm communicator, MPI_Request *request) {
    return MPI_Isend(bytes, count, MPI_BYTE, destination, (int)kind, communicator, request);
}

int pilot_mpi_probe(MPI_Comm communicator, int *found, int *source, int *count, MPI_Message *message) {
    MPI_Status status;
    int code = MPI_Improbe(MPI_ANY_SOURCE, PILOT_MPI_FRAME, communicator, found, message, &status);
    if (code != MPI_SUCCESS || !*found) return code;
    *source = status.MPI_SOURCE;
    return MPI_Get_count(&status, MPI_BYTE, count);
}

int pilot_mpi_receive_frame_start(void *bytes, int count, MPI_Message *message, MPI_Request *request) {
    return MPI_Imrecv(bytes, count, MPI_BYTE, message, request);
}

int pilot_mpi_receive_part_start(void *bytes, int count, int source, MPI_Comm communicator, MPI_Request *request) {
    return MPI_Irecv(bytes, count, MPI_BYTE, source, PILOT_MPI_PART, communicator, request);
}

int pilot_mpi_test(MPI_Request *request, int *done, int *count) {
    MPI_Status status;
    int code = MPI_Test(request, done, &status);
    if (code != MPI_SUCCESS || !*done) return code;
    return MPI_Get_count(&status, MPI_BYTE, count);
}

void pilot_mpi_error_text(int code, char *text) {
    int length = 0;
    text[0] = 0;
    if (MPI_Error_string(code, text, &length) != MPI_SUCCESS) strcpy(text, "unknown MPI error");
}

int pilot_mpi_processor_name(char *text) {
    int length = 0;
    text[0] = 0;
    return MPI_Get_processor_name(text, &length);
}
