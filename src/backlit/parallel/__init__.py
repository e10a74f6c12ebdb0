"""One training over many processes, with MPI.

>>> from backlit.parallel import mpi
>>> mpi()
MPICommunicator(rank 0 of 1, 8 shards, exact)
"""

from .team import MPICommunicator, mpi

__all__ = ["MPICommunicator", "mpi"]
