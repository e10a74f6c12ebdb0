"""The compiled engine: the steps of the reference engine as one function that Numba compiles (`compiled.step`).

Here the network, the optimiser and the data are described by numbers and arrays, once for a run.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any, Final, final

import numpy as np

from ..kinds.kernel import ACTIVATION, BUFFERS, COLUMNS, DELTA, INPUTS, KERNEL, OUTPUTS, PARAMETERS, ROOM, A
from ..kinds.schedules import rate_at
from ..network import Network
from ..parameters import Array
from ..training.evaluation import load_rows
from ..training.job import Job, StepResults
from ..typing import StreamedSource
from . import step
from .plan import Plan, loss_number, loss_of, plan_of
from .products import empty_panel

_ROWS_AT_HAND: Final = 2**16  # of a stream, whose places are found at once: few windows hold them


@final
class CompiledEngine:
    """Runs every network whose kinds have kernels; `choose.obstacle` tells what it cannot run.

    One instance runs one job.
    """

    name = "compiled"

    def __init__(self) -> None:
        self._run: Any = None
        self._described: tuple[step.Batch, step.Chain, step.Rule] | None = None
        self._data: step.Data | None = None
        self._spare: tuple[Array, ...] = ()

    def run_steps(self, job: Job, order: Array, epoch: int, first: int, last: int) -> StepResults:
        """Take the steps `first` to `last` − 1 of an epoch (all counted from 0) over the rows in `order`."""
        if self._described is None:
            _check_own_loss(job)
            plan = plan_of(job)
            self._run = step.steps_for(plan)
            self._described = _batch(job), _chain(job, plan), _rule(job, plan)
        results = StepResults([], [])
        while first < last and not results.diverged:
            # The first loss of a run sets the limit for those after it.
            stop = first + 1 if math.isinf(job.loss_limit) else last
            data, rows = self._at_hand(job, order, epoch, first, stop)
            stop = first + math.ceil(rows.size / job.batch_size)
            rates = _rates(job, epoch, first, stop)
            losses, weights = np.empty(rates.size), np.empty(rates.size)
            limit = min(job.loss_limit, sys.float_info.max)  # infinity is not at or below it
            looked_at = self._run(data, *self._described, rows, rates, job.state.step, limit, losses, weights)
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

    def _at_hand(self, job: Job, order: Any, epoch: int, first: int, stop: int) -> tuple[step.Data, Array]:
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


def _data(net: Network, X: Array, Y: Array, weight: Array | None) -> step.Data:
    # Numba compiles for each kind of array it meets, the read-only ones being another kind: all come in one form. Rows
    # whose numbers do not stand together are copied once; so are types that the step does not read.
    known = [np.dtype(name) for name in step.INPUT_TYPES]
    X = np.require(X if X.dtype in known else X.astype(net.dtype), requirements=["C", "A"])
    weight = np.empty(0, net.dtype) if weight is None else weight
    return step.Data(
        X=_read_only(X.view(np.uint8)),
        kind=known.index(X.dtype),
        input_scale=net.input_scale,
        Y=_read_only(np.require(Y, requirements=["C", "A"])),
        weight=_read_only(np.require(weight, requirements=["C", "A"])),
    )


def _read_only(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view


def _batch(job: Job) -> step.Batch:
    """Room for a batch; where every step takes all rows, the rows themselves, prepared once."""
    net, n = job.net, job.batch_size
    if n < job.n or isinstance(job.X, StreamedSource):
        return step.Batch(
            np.empty((n, net.inputs), net.dtype), np.empty((n, net.outputs), net.dtype), np.empty(n, net.dtype)
        )
    work = net.workspace(n)
    work.load(job.X, job.Y, job.weight)
    weight = np.ones(n, net.dtype) if job.weight is None else job.weight
    return step.Batch(*(np.require(array, requirements=["C", "A", "W"]) for array in (work.a[0], job.Y, weight)))


def _chain(job: Job, plan: Plan) -> step.Chain:
    """The network as numbers, with memory for a batch."""
    net, n, parameters = job.net, job.batch_size, job.net.parameters
    layers = np.zeros((len(net.layers), COLUMNS), np.int64)
    settings = np.zeros((len(net.layers), max(1, *(len(layer.kernel_settings()) for layer in net.layers))))
    used = 0
    for i, layer in enumerate(net.layers):
        size = n * layer.outputs
        layers[i, [INPUTS, OUTPUTS]] = layer.inputs, layer.outputs
        layers[i, KERNEL] = _place(layer.kernel, plan.kernels)
        if layer.activation is not None:
            layers[i, ACTIVATION] = _place(layer.activation, plan.activations)
        layers[i, [A, DELTA, ROOM]] = used, used + size, used + 2 * size
        layers[i, PARAMETERS] = _start(i, {name: parameters.slice(name).start for name in parameters.names})
        layers[i, BUFFERS] = _start(i, parameters.buffer_starts)
        settings[i, : len(layer.kernel_settings())] = layer.kernel_settings()
        used += 2 * size + layer.kernel_room(n)
    weights = parameters.weight_names
    places = [(parameters.slice(name), name in weights) for name in parameters.names]
    panel = empty_panel(net.dtype)
    loss = net.loss_function
    return step.Chain(
        layers=layers,
        settings=settings,
        first_learning=net.first_learning,
        remembers=bool(parameters.buffers.size),
        parts=np.array([(where.start, where.stop, is_weight) for where, is_weight in places], np.int64),
        memory=np.empty(used, net.dtype),
        panel=panel,
        turned=np.empty(panel.shape[1] * max(layer.inputs for layer in net.layers), net.dtype),
        values=parameters.values,
        sums=parameters.sums,
        buffers=parameters.buffers,
        loss=loss_number(plan, loss_of(job)),
        loss_setting=float(next(iter(loss.settings.values()), net.outputs)),
        l1=net.l1,
        l2=net.l2,
        divide_penalty=net.divide_penalty,
        seed=np.uint64(net.seed),
    )


def _start(index: int, starts: dict[str, int]) -> int:
    """Where the arrays of a layer begin; 0 where it has none."""
    return min((start for name, start in starts.items() if name.split(".")[0] == str(index)), default=0)


def _place(kind: Any, among: Sequence[Any]) -> int:
    return next(place for place, known in enumerate(among) if known is kind)


def _rule(job: Job, plan: Plan) -> step.Rule:
    optimizer: Any = job.optimizer
    clip_norm = math.inf if optimizer.clip_norm is None else optimizer.clip_norm
    kind = _place(type(optimizer).kernel, plan.updates)
    return step.Rule(kind, np.array([*optimizer.numbers(), 0.0], np.float64), clip_norm, job.state.slots)
