"""One training over many processes, with MPI."""

from .mpi import MPICommunicator, mpi

__all__ = ["MPICommunicator", "mpi"]
