"""One process is the special case of many: what an engine asks its fellow processes for, and the null object.

A batch is cut into a fixed number of *shards*, the same whoever works on them, and the sums that back-propagation
leaves of each are added up by a fixed binary tree over the shards. Floating-point numbers add up to other bits in
another order; here the order never changes, so any number of processes gives the bits of one.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple, Protocol, TypeVar, final

import numpy as np

from ..parameters import Array

T = TypeVar("T")


class Ahead(NamedTuple):
    """What a run will take.

    Attributes
    ----------
    first_step, steps : int
        Steps that were taken before, and that are to be taken.
    seconds, update : float
        About how long one core needs for them; and for what every process does in a step, the optimiser's part.
    size : int
        Bytes of the sums that are added up in each step.
    """

    first_step: int
    steps: int
    seconds: float
    update: float
    size: int


class Communicator(Protocol):
    """What training asks of the processes that work on it together.

    Attributes
    ----------
    rank, size : int
        The number of this process, from 0, and how many there are.
    division : str
        How batches are cut and sums are added, in words: runs of the same division have the same bits.
    asked : int or None
        The number of a signal by which all processes have agreed to end after the step at work.
    """

    rank: int
    size: int
    division: str
    asked: int | None

    def shards(self, n: int) -> list[slice]:
        """The rows of a batch of n that this process works on, shard by shard; none of them is empty."""
        ...

    def add(self, sums: Array) -> None:
        """Take the sums of the next shard of this process."""
        ...

    def allreduce(self, sums: Array) -> None:
        """Write the sums over all shards of all processes into `sums`."""
        ...

    def tell(self, find: Callable[[], T]) -> T:
        """What `find` returns on rank 0, made of what JSON holds, told to all; the others do not call it."""
        ...

    def spread(self, array: Array, change: Callable[[], object]) -> None:
        """Let rank 0 do what may change an array that all have the same of, and give it to the others if it has."""
        ...

    def give(self, array: Array) -> None:
        """Give the others an array of rank 0."""
        ...

    def agree(self, describe: Callable[[], dict[str, Any]], ahead: Ahead) -> None:
        """Refuse to begin unless all processes describe the run alike.

        Raises
        ------
        ConfigurationError
        """
        ...

    def ask(self, number: int) -> None:
        """Ask the others to end after the step at work, by the signal of that number."""
        ...

    def origin(self, lost: Callable[[float], bool]) -> str:
        """Of the step at work: which ranks' own shards have lost the loss, in words; empty where nobody knows."""
        ...

    def leaves(self, error: BaseException | None) -> None:
        """Training ends here, by this error or well."""
        ...


@final
class SerialCommunicator:
    """A communicator of one process, which takes each batch as a whole: nothing is left to be added, told or awaited.

    Examples
    --------
    >>> alone = SerialCommunicator()
    >>> alone.size, alone.shards(5), alone.tell(lambda: 7)
    (1, [slice(0, 5, None)], 7)
    """

    rank = 0
    size = 1
    division = "whole batches"

    def __init__(self) -> None:
        self.asked: int | None = None

    def shards(self, n: int) -> list[slice]:
        return [slice(0, n)]

    def add(self, sums: Array) -> None:
        """The sums of the one shard stand where they are read."""

    def allreduce(self, sums: Array) -> None:
        """A sum over one process is the number itself."""

    def tell(self, find: Callable[[], T]) -> T:
        return find()

    def spread(self, array: Array, change: Callable[[], object]) -> None:
        change()

    def give(self, array: Array) -> None:
        """There are no others."""

    def agree(self, describe: Callable[[], dict[str, Any]], ahead: Ahead) -> None:
        """One is of one mind."""

    def ask(self, number: int) -> None:
        self.asked = number

    def origin(self, lost: Callable[[float], bool]) -> str:
        return ""

    def leaves(self, error: BaseException | None) -> None:
        """Nobody waits."""


def cut(n: int, shards: int) -> list[slice]:
    """A batch of n rows in shards that differ by one row at the most; where there are few rows, the last are empty.

    Examples
    --------
    >>> cut(6, 4), cut(2, 4)
    ([slice(0, 2, None), slice(2, 4, None), slice(4, 5, None), slice(5, 6, None)], [slice(0, 1, None), slice(1, 2, None), slice(2, 2, None), slice(2, 2, None)])
    """  # noqa: E501
    rows, more = divmod(n, shards)
    ends = [k * rows + min(k, more) for k in range(shards + 1)]
    return [slice(start, stop) for start, stop in pairwise(ends)]


@final
class TreeSum:
    """The sum of vectors by a fixed binary tree: ((v₀ + v₁) + (v₂ + v₃)) + …, whatever has been added elsewhere.

    Only as many vectors are kept as the tree is deep.

    Parameters
    ----------
    leaves : int
        How many vectors there are, a power of two; those that are not added are zeros at the end.
    tail : int, default=0
        Numbers that the sum has besides, at its end: room for others.

    Examples
    --------
    >>> tree = TreeSum(4)
    >>> for number in (1e16, 1.0, 1.0, 0.0):
    ...     tree.add(np.array([number]))
    >>> tree.total(np.empty(1)), ((1e16 + 1.0) + 1.0) + 0.0 == 1e16 + (1.0 + 1.0)
    (array([1.e+16]), False)
    """

    def __init__(self, leaves: int, tail: int = 0) -> None:
        self._leaves, self._tail = leaves, tail
        self._added = 0
        self._kept: list[Array] = []  # the sums of finished subtrees, each smaller than the one before it
        self._free: list[Array] = []

    def add(self, vector: Array) -> None:
        """Take the next vector, which may be used for something else afterwards."""
        self._added += 1
        ready = (self._added & -self._added).bit_length() - 1  # how many subtrees are of the size of what comes
        if not ready:
            whole = self._free.pop() if self._free else np.empty(vector.size + self._tail, vector.dtype)
            whole[: vector.size] = vector
            self._kept.append(whole)
            return
        lower = self._kept[-ready:]
        for subtree in reversed(lower):
            part = subtree[: vector.size]
            vector = np.add(part, vector, out=part)
        self._free += lower[1:]
        del self._kept[len(self._kept) - ready + 1 :]

    def total(self, like: Array) -> Array:
        """The sum, which stands until the next vector is added; `like` is as long as one."""
        if self._added < self._leaves:
            zeros = np.zeros_like(like)
            while self._added < self._leaves:
                self.add(zeros)
        found = self._kept[0]
        self._free.append(found)
        self._kept, self._added = [], 0
        return found
