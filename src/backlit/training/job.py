"""What an engine is given, and what it gives back.

The seam for speed is one method: ``run_steps(job, order, epoch, first, last)`` takes the steps `first` to `last`
of an epoch and leaves parameters, optimiser state and losses as the reference engine would.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, final

import numpy as np

from ..checking.gradcheck import FiniteDifference
from ..kinds.optimizers import Optimizer, OptimizerState
from ..network import Network
from ..parameters import Array
from ..randomness import keyed_generator
from ..typing import BatchSource, SparseSource, StreamedSource
from ..workspace import takes_sparse
from .communicators import Communicator, SerialCommunicator

#: A loss beyond this many times its usual size ends training: it will not come back.
EXPLOSION = 1e6


#: X (an array or a source of batches), Y and sample weights, checked.
Data = tuple[Any, Array, Array | None]


def order_of_rows(n: int, batch_size: int, epoch: int, seed: int | None) -> Array:
    """The order of n rows in an epoch (counted from 0): keyed by seed and epoch, the same on every run.

    Without a seed the rows stay in order; so they do where a batch takes them all.

    Examples
    --------
    >>> order_of_rows(4, 2, epoch=0, seed=None).tolist(), order_of_rows(4, 4, epoch=0, seed=7).tolist()
    ([0, 1, 2, 3], [0, 1, 2, 3])
    >>> sorted(order_of_rows(4, 2, epoch=0, seed=7).tolist())
    [0, 1, 2, 3]
    """
    if seed is not None and batch_size < n:
        return keyed_generator(seed, "shuffle", epoch).permutation(n)
    return np.arange(n)


@final
@dataclass
class Job:
    """Everything that stays the same during a run, and the optimiser's state.

    Attributes
    ----------
    X : ndarray, shape (n, inputs), or BatchSource
        In the type it came in; scaled and cast batch by batch.
    Y : ndarray, shape (n, outputs)
    weight : ndarray, shape (n,), or None
    gradient : FiniteDifference or None
        None is back-propagation.
    loss_limit : float
        Set by the first step to `EXPLOSION` times its loss, or times max(1, y²) where that is more: the first batch
        may be one that fits by chance. By the first loss beyond it to `EXPLOSION` times x² of the largest number in X,
        where that is more: it may be a batch with outliers.
    pace : int
        Steps that an engine is asked for at once; training finds out how many leave its progress visible.
    n_threads : int
        How many threads an engine may use.
    asked_to_stop : callable () -> bool
        Whether an engine should come back before the last step it was asked for, because Ctrl-C was pressed. It need
        not.
    """

    net: Network
    X: Any
    Y: Array
    weight: Array | None
    optimizer: Optimizer
    state: OptimizerState
    batch_size: int
    shuffle: bool = True
    gradient: FiniteDifference | None = None
    communicator: Communicator = field(default_factory=SerialCommunicator)
    loss_limit: float = math.inf
    pace: int = 64
    n_threads: int = 1
    asked_to_stop: Callable[[], bool] = field(default=lambda: False)

    @property
    def n(self) -> int:
        return int(self.Y.shape[0])

    @property
    def sparse(self) -> bool:
        """Whether its batches are sparse rows, which the first layer takes as they are."""
        return stays_sparse(self.net, self.X)

    @property
    def steps(self) -> int:
        """Steps of an epoch; the last one may have fewer rows than the others."""
        return math.ceil(self.n / self.batch_size)

    @property
    def data(self) -> Data:
        return self.X, self.Y, self.weight

    def order(self, epoch: int) -> Any:
        """The order of the rows in an epoch, counted from 0: an array, or what is made of a stream slice by slice."""
        if isinstance(self.X, StreamedSource):
            return self.X.order(epoch, self.net.seed if self.shuffle and self.batch_size < self.n else None)
        return order_of_rows(self.n, self.batch_size, epoch, self.net.seed if self.shuffle else None)

    def set_limit(self, first_loss: float) -> None:
        """Set `loss_limit` by the first loss and the targets, unless it is set."""
        if math.isinf(self.loss_limit) and math.isfinite(first_loss):
            y = _largest(self.Y)
            self.loss_limit = min(EXPLOSION * max(abs(first_loss), 1.0, y * y), sys.float_info.max)

    def lost(self, loss: float) -> bool:
        """Whether a loss is not finite or beyond the limit; a loss beyond it makes the limit look for outliers in X."""
        if not math.isfinite(loss):
            return True
        if loss > self.loss_limit and not is_source(self.X):
            # all of X is read only here: few runs ever come this far
            x = _largest(self.X) * self.net.input_scale
            self.loss_limit = max(self.loss_limit, min(EXPLOSION * x * x, sys.float_info.max))
        return loss > self.loss_limit


def _largest(array: Array) -> float:
    """max |x|, without an array of all |x|."""
    return max(float(array.max()), -float(array.min()))


def number_rate(optimizer: Any) -> float | None:
    """The learning rate, where it is a number that a callback may have changed and not a schedule."""
    rate = getattr(optimizer, "learning_rate", None)
    return float(rate) if isinstance(rate, int | float) else None


@final
@dataclass
class EpochSoFar:
    """How far the epoch at work has come: loss and weight sum of each step taken, and the seconds they took."""

    losses: list[float] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def done(self) -> int:
        """Steps taken."""
        return len(self.losses)

    def row(self) -> dict[str, float]:
        """What the losses of a whole epoch are in the history."""
        losses, weights = np.array(self.losses), np.array(self.weights)
        counted = losses[weights > 0]
        return {
            # each step's loss is a mean over its rows; the epoch's is the mean over all rows
            "loss": float(np.dot(losses, weights)) / sum(self.weights),
            "batch_loss_min": float(counted.min()),
            "batch_loss_max": float(counted.max()),
        }


@final
@dataclass
class StepResults:
    """Loss and weight sum of each step taken: of all that were asked for, unless the job was asked to stop.

    `diverged` tells that the last of them was not taken: its loss is not finite or beyond the limit, and the parameters
    are as they were before it.
    """

    losses: list[float]
    weights: list[float]
    diverged: bool = False


class Engine(Protocol):
    """The interface of an engine."""

    name: str

    def run_steps(self, job: Job, order: Array, epoch: int, first: int, last: int) -> StepResults: ...


def is_source(X: Any) -> bool:
    """Whether X makes its rows when asked, instead of holding them."""
    return not isinstance(X, np.ndarray) and hasattr(X, "fetch") and hasattr(X, "shape")


def stays_sparse(net: Network, X: Any) -> bool:
    """Whether batches of X are sparse rows, which the first layer takes as they are."""
    return isinstance(X, SparseSource) and takes_sparse(net.layers, net.input_scale, training=True)


def source_shape(X: BatchSource) -> tuple[int, int]:
    rows, columns = X.shape
    return int(rows), int(columns)
