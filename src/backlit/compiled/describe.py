"""Data, network and optimiser of a run as the numbers and arrays that compiled functions take (`chain.py`)."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from ..kinds.kernel import DELTA, ROOM, A
from ..network import Network
from ..parameters import Array
from ..training.evaluation import load_rows
from ..training.job import Job
from ..training.reference import load_batch
from ..typing import SparseSource, StreamedSource
from .chain import INPUT_TYPES, Batch, Chain, Data, Rule, described, place_among
from .plan import Plan, loss_number, loss_of
from .products import room_for_products
from .stored import Stored, nothing_stored, stored_rows
from .update import PIECE

#: Multiply-adds of a step for each thread, below which another one would not be worth waiting for it.
LEAST_WORK: Final = 2**21


def data_of(net: Network, X: Array, Y: Array, weight: Array | None) -> Data:
    """All rows, in the type they came in."""
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


def batch_of(job: Job) -> Batch:
    """Room for a batch; where every step takes all rows, the rows themselves, prepared once."""
    net, n, sparse = job.net, job.batch_size, isinstance(job.X, SparseSource)
    a = np.empty((n, 0 if sparse else net.inputs), net.dtype)
    if n < job.n or isinstance(job.X, StreamedSource):
        return Batch(a, np.empty((n, net.outputs), net.dtype), np.empty(n, net.dtype))
    if not sparse:
        a = load_batch(net, job.data, np.arange(n), epoch=0).a[0]
    weight = np.ones(n, net.dtype) if job.weight is None else job.weight
    return Batch(*(np.require(array, requirements=["C", "A", "W"]) for array in (a, _aimed(net, job.Y), weight)))


def _stored(net: Network, X: Any, n: int, plan: Plan) -> Stored | None:
    if isinstance(X, SparseSource):
        return stored_rows(X, net.inputs, n, net.dtype)
    return nothing_stored(net.dtype) if plan.sparse else None


def chain_of(net: Network, X: Any, n: int, plan: Plan) -> Chain:
    """The network as numbers, with memory for n rows of X."""
    parameters = net.parameters
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
        parts=_parts(net),
        memory=np.empty(used, net.dtype),
        first=np.zeros(1, np.int64),
        room=room_for_products(net.dtype),
        stored=_stored(net, X, n, plan),
        values=parameters.values,
        sums=parameters.sums,
        buffers=parameters.buffers,
        losses=np.empty(n),
        pieces=np.empty(parameters.size // PIECE + len(parameters.names)),
        loss=loss_number(plan, loss_of(net)),
        loss_setting=float(next(iter(loss.settings.values()), net.outputs)),
        l1=net.l1,
        l2=net.l2,
        divide_penalty=net.divide_penalty,
        seed=np.uint64(net.seed),
        single_rows=n == 1,
    )


def _parts(net: Network) -> Array:
    """Every parameter as numbers: see `chain.START`."""
    parameters = net.parameters
    parts = np.empty((len(parameters.names), 7), np.int64)
    number: dict[str, int] = {}
    for k, name in enumerate(parameters.names):
        layer, where, shape = name.split(".")[0], parameters.slice(name), parameters.view(name).shape
        number[layer] = number.get(layer, -1) + 1
        row = 1 if len(shape) == 1 else where.stop - where.start if not shape else math.prod(shape[1:])
        kernel: Any = net.layers[int(layer)].kernel
        about = name in parameters.weight_names, int(layer), number[layer], row, kernel.gradient is None
        parts[k] = where.start, where.stop, *about
    return parts


def rule_of(job: Job, plan: Plan) -> Rule:
    """The optimiser as numbers."""
    optimizer: Any = job.optimizer
    clip_norm = math.inf if optimizer.clip_norm is None else optimizer.clip_norm
    kind = place_among(plan.updates, type(optimizer).kernel)
    whole = not getattr(optimizer, "elementwise", False)  # one that says nothing of it may need every parameter whole
    return Rule(kind, np.array([*optimizer.numbers(), 0.0], np.float64), clip_norm, whole, job.state.slots)


def check_own_loss(net: Network, X: Any, Y: Array) -> None:
    """Refuse a wrong gradient of a user's own loss before the first step, as the reference engine does."""
    if not net.loss_function.builtin:
        n = min(4, Y.shape[0])
        work = net.workspace(n, training=False)
        load_rows(work, X, Y, None, slice(0, n))
        net.forward_pass(work)
        net.row_losses(work)


def most_threads(net: Network, n: int, n_threads: int, least_work: int = LEAST_WORK) -> int:
    """How many of the threads the passes over n rows are worth: there are about three products a layer."""
    return max(1, min(n_threads, 3 * n * net.row_work // least_work))
