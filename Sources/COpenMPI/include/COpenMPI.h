// MPI's handles and constants are macros that Swift can't import: this shim turns them into functions.
#ifndef COPENMPI_H
#define COPENMPI_H
#include <mpi.h>
MPI_Comm pilot_mpi_comm_world(void);
#endif
