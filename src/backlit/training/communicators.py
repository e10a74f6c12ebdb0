"""One process is the special case of many: a communicator of one runs the same reduction."""

from __future__ import annotations

from typing import Final, final

from ..parameters import Array


@final
class SerialCommunicator:
    """A communicator of one process: a sum over all processes is the number itself.

    Examples
    --------
    >>> SerialCommunicator().size
    1
    """

    rank = 0
    size = 1

    def allreduce(self, sums: Array) -> None:
        """Add up `sums` over all processes, in place: here nothing is left to do."""


SERIAL: Final = SerialCommunicator()
