"""The compiled engine: the steps of the reference engine as one function that Numba compiles (`compiled.step`).

Here the network, the optimiser and the data are described by numbers and arrays, once for a run.
"""

from __future__ import annotations

import math
import sys
import time
from typing import Any, Final, final

import numpy as np

from ..kinds.schedules import rate_at
from ..parameters import Array
from ..training.communicators import SerialCommunicator
from ..training.job import Job, StepResults
from ..typing import StreamedSource
from . import step
from .chain import Batch, Chain, Data, Rule, renew_settings
from .describe import LEAST_WORK, batch_of, chain_of, check_own_loss, data_of, most_threads, rule_of
from .plan import plan_of
from .products import Room, room_for_products
from .shards import SharedSteps
from .team import Team, TeamSize, run_together

_ROWS_AT_HAND: Final = 2**16  # of a stream, whose places are found at once: few windows hold them


@final
class CompiledEngine:
    """Runs every network whose kinds have kernels; `choose.obstacle` tells what it cannot run.

    One instance runs one job.

    Parameters
    ----------
    least_work : int
        Multiply-adds of a step for each thread, below which there are fewer.
    """

    name = "compiled"

    def __init__(self, *, least_work: int = LEAST_WORK) -> None:
        self._least_work = least_work
        self._run: Any = None
        self._shared: SharedSteps | None = None
        self._described: tuple[Batch, Chain, Rule] | None = None
        self._data: Data | None = None
        self._spare: tuple[Array, ...] = ()
        self._rooms: list[Room] = []
        self._size = TeamSize(1)

    def run_steps(self, job: Job, order: Array, epoch: int, first: int, last: int) -> StepResults:
        """Take the steps `first` to `last` − 1 of an epoch (all counted from 0) over the rows in `order`."""
        if self._described is None:
            check_own_loss(job.net, job.X, job.Y)
            plan = plan_of(job)
            self._described = batch_of(job), chain_of(job.net, job.X, job.batch_size, plan), rule_of(job, plan)
            if isinstance(job.communicator, SerialCommunicator):
                self._run = step.steps_for(plan)
                most = most_threads(job.net, job.batch_size, job.n_threads, self._least_work)
                self._rooms = [room_for_products(job.net.dtype) for _ in range(most)]
                self._size = TeamSize(most)
            else:  # other processes have the other cores
                self._shared = SharedSteps(plan, data_of(job.net, job.X, job.Y, job.weight), *self._described)
        job.net.begin_epoch(epoch)
        renew_settings(job.net, self._described[1])
        if self._shared is not None:
            return self._shared.run(job, order, epoch, first, last)
        results = StepResults([], [])
        while first < last and not results.diverged:
            # The first loss of a run sets the limit for those after it.
            is_first = math.isinf(job.loss_limit)
            threads, at_most = self._size.choose()
            stop = first + 1 if is_first else int(min(last, first + at_most))
            data, rows = self._at_hand(job, order, epoch, first, stop)
            stop = first + math.ceil(rows.size / job.batch_size)
            rates = _rates(job, epoch, first, stop)
            losses, weights = np.empty(rates.size), np.empty(rates.size)
            limit = min(job.loss_limit, sys.float_info.max)  # infinity is not at or below it
            started = time.perf_counter()
            looked_at = self._steps(
                threads, data, *self._described, rows, rates, job.state.step, limit, losses, weights
            )
            if not is_first:  # which may have been compiled before it was taken
                self._size.note(looked_at, time.perf_counter() - started)
            loss = float(losses[looked_at - 1])
            results.diverged = job.lost(loss)
            if loss > limit and not results.diverged:  # the limit has moved: the step that was not taken is tried again
                looked_at -= 1
                stop = first + looked_at
            results.losses += losses[:looked_at].tolist()
            results.weights += weights[:looked_at].tolist()
            job.state.step += looked_at - results.diverged
            job.set_limit(loss)
            first = stop
        return results

    def _steps(
        self, threads: int, data: Data, batch: Batch, chain: Chain, rule: Rule, rows: Array, rates: Array, taken: int,
        limit: float, losses: Array, weights: Array,
    ) -> int:  # fmt: skip
        """The steps, by so many threads; returns how many were looked at."""

        def run(team: Team) -> int:
            own = chain._replace(room=self._rooms[team.place])
            found: int = self._run(data, batch, own, rule, rows, rates, taken, limit, losses, weights, team)
            return found

        return run_together(run, threads)

    def _at_hand(self, job: Job, order: Any, epoch: int, first: int, stop: int) -> tuple[Data, Array]:
        """The data, and the places in it of the rows of steps from `first` on: of a stream, of those in memory."""
        if not isinstance(job.X, StreamedSource):
            self._data = self._data or data_of(job.net, job.X, job.Y, job.weight)
            return self._data, order[first * job.batch_size : stop * job.batch_size]
        size = job.batch_size
        rows = order[first * size : min(stop, first + max(1, _ROWS_AT_HAND // size)) * size]
        X, Y, weight, places = job.X.together(rows)
        if places.size < rows.size:
            places = places[: places.size // size * size]  # whole batches
        if places.size and len(Y) > size:
            return data_of(job.net, X, Y, weight), places
        rows = rows[:size]  # a batch that stands in two windows
        if not self._spare:
            shape = (size + 1, job.net.inputs)  # one row more than a batch: the step then gathers them by their places
            weights = () if job.weight is None else (np.ones(size + 1, job.net.dtype),)
            self._spare = np.zeros(shape, X.dtype), np.zeros((size + 1, job.net.outputs), job.net.dtype), *weights
        X, Y, *some = self._spare
        job.X.fetch(rows, X[: rows.size], epoch=epoch)
        job.Y.take(rows, axis=0, out=Y[: rows.size], mode="clip")
        if job.weight is not None:
            job.weight.take(rows, out=some[0][: rows.size], mode="clip")
        return data_of(job.net, X, Y, some[0] if some else None), np.arange(rows.size)


def _rates(job: Job, epoch: int, first: int, stop: int) -> Array:
    rate = job.optimizer.learning_rate
    if callable(rate):
        return np.array([rate_at(rate, epoch + i / job.steps) for i in range(first, stop)])
    return np.full(stop - first, rate)
