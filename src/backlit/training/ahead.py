"""A source whose pictures of one epoch are held in memory, those of the next one being made while it is trained.

Any engine then sees an array. Two arrays are enough: one that is trained on, and one that is filled by a thread of its
own, on another core where the source gives Python's lock away.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Final, final

import numpy as np

from ..parameters import Array
from ..typing import EpochSource
from .job import Engine, Job, StepResults

_BLOCK: Final = 512  # rows made at once: the longest that an end of the process waits for


def held_job(job: Job) -> Job:
    """The job as an engine sees it: where X can be held for an epoch, X is an array with room for its rows."""
    if not isinstance(job.X, EpochSource):
        return job
    return replace(job, X=np.zeros(job.X.shape, job.X.dtype))


@final
class AheadEngine:
    """Another engine, over the rows that a source makes for each epoch.

    Parameters
    ----------
    engine : Engine
        Made for `held`.
    source : EpochSource
    held : Job
        As `held_job` makes it.
    epochs : int
        The number of the last epoch planned: for the one after it nothing is made.
    """

    def __init__(self, engine: Engine, source: EpochSource, held: Job, epochs: int) -> None:
        self.name = engine.name
        self._engine, self._source, self._held, self._epochs = engine, source, held, epochs
        self._epoch = -1  # whose rows are held
        self._next: Array = np.empty_like(held.X)
        self._making: tuple[int, Future[None]] | None = None
        self._thread = ThreadPoolExecutor(1, "backlit-ahead")

    def run_steps(self, job: Job, order: Array, epoch: int, first: int, last: int) -> StepResults:
        """Take the steps `first` to `last` − 1 of an epoch (all counted from 0) over the rows in `order`."""
        self._turn_to(epoch)
        self._held.asked_to_stop, self._held.loss_limit = job.asked_to_stop, job.loss_limit
        results = self._engine.run_steps(self._held, order, epoch, first, last)
        job.loss_limit = self._held.loss_limit
        return results

    def _turn_to(self, epoch: int) -> None:
        """Hold the rows of this epoch, and begin with those of the next."""
        if epoch == self._epoch:
            return
        if self._making is None or self._making[0] != epoch:
            self._begin(epoch)
        self._finish()
        self._held.X[:] = self._next
        self._epoch = epoch
        if epoch + 1 < self._epochs:
            self._begin(epoch + 1)

    def _begin(self, epoch: int) -> None:
        self._finish()
        self._making = epoch, self._thread.submit(_make, self._source, self._next, epoch)

    def _finish(self) -> None:
        if self._making is not None:
            self._making[1].result()


def _make(source: EpochSource, out: Any, epoch: int) -> None:
    for start in range(0, len(out), _BLOCK):
        part = out[start : start + _BLOCK]
        source.fetch(np.arange(start, start + len(part)), part, epoch=epoch)
