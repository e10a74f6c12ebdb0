"""The compiled engine: the steps of the reference engine as one function that Numba compiles (`compiled.step`).

Here the network, the optimiser and the data are described by numbers and arrays, once for a run.
"""

from __future__ import annotations

import math
import sys
import time
from typing import Any, Final, final

import numpy as np

from ..kinds.kernel import DELTA, ROOM, A
from ..kinds.schedules import rate_at
from ..network import Network
from ..parameters import Array
from ..training.communicators import SerialCommunicator
from ..training.evaluation import load_rows
from ..training.job import Job, StepResults
from ..training.reference import load_batch
from ..typing import SparseSource, StreamedSource
from . import step
from .chain import INPUT_TYPES, Batch, Chain, Data, Rule, described, place_among
from .plan import Plan, loss_number, loss_of, plan_of
from .products import Room, room_for_products
from .shards import SharedSteps
from .stored import Stored, nothing_stored, stored_rows
from .team import Team, TeamSize, run_together
from .update import PIECE

_ROWS_AT_HAND: Final = 2**16  # of a stream, whose places are found at once: few windows hold them

#: Multiply-adds of a step for each thread, below which another one would not be worth waiting for it.
LEAST_WORK: Final = 2**21


def work_of_a_step(job: Job) -> int:
    """About how many multiply-adds a step takes: three products a layer."""
    return 3 * job.batch_size * job.net.parameters.size


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
            _check_own_loss(job)
            plan = plan_of(job)
            self._described = _batch(job), _chain(job, plan), _rule(job, plan)
            if isinstance(job.communicator, SerialCommunicator):
                self._run = step.steps_for(plan)
                most = max(1, min(job.n_threads, work_of_a_step(job) // self._least_work))
                self._rooms = [room_for_products(job.net.dtype) for _ in range(most)]
                self._size = TeamSize(most)
            else:  # other processes have the other cores
                self._shared = SharedSteps(plan, _data(job.net, job.X, job.Y, job.weight), *self._described)
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
            self._data = self._data or _data(job.net, job.X, job.Y, job.weight)
            return self._data, order[first * job.batch_size : stop * job.batch_size]
        size = job.batch_size
        rows = order[first * size : min(stop, first + max(1, _ROWS_AT_HAND // size)) * size]
        X, Y, weight, places = job.X.together(rows)
        if places.size < rows.size:
            places = places[: places.size // size * size]  # whole batches
        if places.size and len(Y) > size:
            return _data(job.net, X, Y, weight), places
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
        return _data(job.net, X, Y, some[0] if some else None), np.arange(rows.size)


def _check_own_loss(job: Job) -> None:
    """Refuse a wrong gradient of a user's own loss before the first step, as the reference engine does."""
    if not job.net.loss_function.builtin:
        n = min(4, job.n)
        work = job.net.workspace(n, training=False)
        load_rows(work, job.X, job.Y, None, slice(0, n))
        job.net.forward_pass(work)
        job.net.row_losses(work)


def _rates(job: Job, epoch: int, first: int, stop: int) -> Array:
    rate = job.optimizer.learning_rate
    if callable(rate):
        return np.array([rate_at(rate, epoch + i / job.steps) for i in range(first, stop)])
    return np.full(stop - first, rate)


def _data(net: Network, X: Array, Y: Array, weight: Array | None) -> Data:
    # Numba compiles for each kind of array it meets, the read-only ones being another kind: all come in one form. Rows
    # whose numbers do not stand together are copied once; so are types that the step does not read.
    known = [np.dtype(name) for name in INPUT_TYPES]
    if isinstance(X, SparseSource):
        X = np.empty((len(Y), 0), np.uint8)
    X = np.require(X if X.dtype in known else X.astype(net.dtype), requirements=["C", "A"])
    weight = np.empty(0, net.dtype) if weight is None else weight
    return Data(
        X=_read_only(X.view(np.uint8)),
        kind=known.index(X.dtype),
        input_scale=net.input_scale,
        Y=_read_only(np.require(_aimed(net, Y), requirements=["C", "A"])),
        weight=_read_only(np.require(weight, requirements=["C", "A"])),
    )


def _aimed(net: Network, Y: Array) -> Array:
    """The targets as the loss compares them with the outputs."""
    return Y if net.aim is None else net.aim(Y)


def _read_only(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view


def _batch(job: Job) -> Batch:
    """Room for a batch; where every step takes all rows, the rows themselves, prepared once."""
    net, n, sparse = job.net, job.batch_size, isinstance(job.X, SparseSource)
    a = np.empty((n, 0 if sparse else net.inputs), net.dtype)
    if n < job.n or isinstance(job.X, StreamedSource):
        return Batch(a, np.empty((n, net.outputs), net.dtype), np.empty(n, net.dtype))
    if not sparse:
        a = load_batch(net, job.data, np.arange(n), epoch=0).a[0]
    weight = np.ones(n, net.dtype) if job.weight is None else job.weight
    return Batch(*(np.require(array, requirements=["C", "A", "W"]) for array in (a, _aimed(net, job.Y), weight)))


def _stored(job: Job, plan: Plan) -> Stored | None:
    if isinstance(job.X, SparseSource):
        return stored_rows(job.X, job.net.inputs, job.batch_size, job.net.dtype)
    return nothing_stored(job.net.dtype) if plan.sparse else None


def _chain(job: Job, plan: Plan) -> Chain:
    """The network as numbers, with memory for a batch."""
    net, n, parameters = job.net, job.batch_size, job.net.parameters
    layers, settings = described(net, plan, range(len(net.layers)))
    used = 0
    for i, layer in enumerate(net.layers):
        size = n * layer.outputs
        layers[i, [A, DELTA, ROOM]] = used, used + size, used + 2 * size
        used += 2 * size + layer.kernel_room(n)
    loss = net.loss_function
    return Chain(
        layers=layers,
        settings=settings,
        first_learning=net.first_learning,
        remembers=bool(parameters.buffers.size),
        parts=_parts(job),
        memory=np.empty(used, net.dtype),
        first=np.zeros(1, np.int64),
        room=room_for_products(net.dtype),
        stored=_stored(job, plan),
        values=parameters.values,
        sums=parameters.sums,
        buffers=parameters.buffers,
        losses=np.empty(n),
        pieces=np.empty(parameters.size // PIECE + len(parameters.names)),
        loss=loss_number(plan, loss_of(job)),
        loss_setting=float(next(iter(loss.settings.values()), net.outputs)),
        l1=net.l1,
        l2=net.l2,
        divide_penalty=net.divide_penalty,
        seed=np.uint64(net.seed),
    )


def _parts(job: Job) -> Array:
    """Every parameter as numbers: see `chain.START`."""
    parameters = job.net.parameters
    parts = np.empty((len(parameters.names), 6), np.int64)
    number: dict[str, int] = {}
    for k, name in enumerate(parameters.names):
        layer, where, shape = name.split(".")[0], parameters.slice(name), parameters.view(name).shape
        number[layer] = number.get(layer, -1) + 1
        row = 1 if len(shape) == 1 else where.stop - where.start if not shape else math.prod(shape[1:])
        parts[k] = where.start, where.stop, name in parameters.weight_names, int(layer), number[layer], row
    return parts


def _rule(job: Job, plan: Plan) -> Rule:
    optimizer: Any = job.optimizer
    clip_norm = math.inf if optimizer.clip_norm is None else optimizer.clip_norm
    kind = place_among(plan.updates, type(optimizer).kernel)
    whole = not getattr(optimizer, "elementwise", False)  # one that says nothing of it may need every parameter whole
    return Rule(kind, np.array([*optimizer.numbers(), 0.0], np.float64), clip_norm, whole, job.state.slots)
