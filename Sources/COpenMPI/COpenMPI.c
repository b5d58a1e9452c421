#include "COpenMPI.h"
MPI_Comm pilot_mpi_comm_world(void) { return MPI_COMM_WORLD; }
