"""One training over many processes, with MPI."""

from .team import MPICommunicator, mpi

__all__ = ["MPICommunicator", "mpi"]
