"""Steps of training as one compiled function: `steps_for` makes it for the kinds of a job.

It is the reference's `train_step` and the passes of `Network`, for chains that are described by numbers instead of
objects; what the layers, the loss and the optimiser do is in their kinds.
"""

from __future__ import annotations

import functools
import math
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from .. import kinds
from ..exceptions import BacklitWarning
from ..kinds.kernel import BY_COLUMNS, DELTA, INPUTS, KERNEL, OUTPUTS, ROOM, A, matrix
from ..parameters import Array
from . import draws, products
from .cache import keep_on_disk
from .math import as_argument, compiled, jit
from .plan import Plan, compiled_activation, compiled_loss, compiled_slope, one_of
from .team import Team, share, wait
from .vectors import read_as

#: Importing these teaches Numba what the kernels call.
_TEACHERS: Final = (draws, products)

#: Threads share rows of a batch and of a parameter in whole grains of so many, and columns in these.
ROWS: Final = 4
COLUMNS_AT_ONCE: Final = 16

#: Numbers of a parameter that are worked on at once: their gradient is still in the second cache when the optimiser
#: comes. In rows, a multiple of the heights of a tile. LINE is the least that is worth another thread.
BLOCK, TALL, LINE = 2**16, 24, 2**10

#: Sums over the whole vector are made of sums over pieces of it, each of so many sums at once.
PIECE, PARALLEL = 2**13, 2**8

#: Types of X that are read as they are, in the order of `Data.kind`.
INPUT_TYPES: Final = ("float32", "float64", "uint8")


class Data(NamedTuple):
    """All rows. X stays in the type it came in, and is passed as bytes: one compiled function takes every type."""

    X: Array  # (n, inputs · bytes of a number)
    kind: int
    input_scale: float
    Y: Array  # (n, outputs)
    weight: Array  # (n,), or (0,) where every row counts once


class Batch(NamedTuple):
    """Room for the rows of one step; or, where a step takes all rows, these rows."""

    a: Array  # (batch, inputs)
    y: Array  # (batch, outputs)
    weight: Array  # (batch,)


class Chain(NamedTuple):
    """The network: see `kinds.kernel`."""

    layers: Array  # (layers, COLUMNS)
    settings: Array  # (layers, largest number of settings)
    first_learning: int  # nobody needs delta below this layer
    remembers: bool  # whether there are buffers
    parts: Array  # (parameters, 6), in the columns below
    memory: Array  # a, delta and room of every layer
    panel: Array  # each thread's own: see `products.multiply`
    values: Array  # (P,)
    sums: Array  # (P + 2,)
    buffers: Array  # (B,)
    losses: Array  # (batch,): w L of every row
    pieces: Array  # (number of `PIECE`s,): sums over pieces of the vector
    loss: int
    loss_setting: float
    l1: float
    l2: float
    divide_penalty: bool
    seed: Any  # uint64


#: The columns of `Chain.parts`: where a parameter stands in the vector, whether it is a weight, the layer, its number
#: in the layer, and how many numbers a row of it has (one, where it has a single axis).
START, STOP, IS_WEIGHT, LAYER, PART, ROW = range(6)


class Rule(NamedTuple):
    """The optimiser."""

    kind: int
    settings: Array
    clip_norm: float  # infinity where the gradient is not clipped
    slots: Array  # (slots, P)


def _no_slope(Z: Array, A: Array, DELTA: Array) -> None:
    """In the place of a slope that no layer of the plan needs."""


def _no_gradient(chain: Chain, i: int, part: int, a_in: Array, delta: Array, start: int, stop: int) -> None:
    """In the place of `gradient`, for a layer without, or whose `backward` leaves it."""


def _nothing_of(chain: Chain, i: int, n: int) -> None:
    """In the place of `remember`, for a layer that remembers nothing."""


def _nothing(chain: Chain, n: int) -> None:
    """In the place of `remember`, where no layer has anything to."""


def _one_of(functions: list[Any], arguments: str) -> Any:
    return compiled(one_of(functions, arguments), inside=True)


def _passes(plan: Plan) -> tuple[Any, Any]:
    """The forward pass, and the backward pass as far as the deltas."""
    activate = as_argument(one_of([compiled_activation(f) for f in plan.activations], "Z, A"))
    slopes = [compiled_slope(f) if f in plan.slopes else compiled(_no_slope) for f in plan.activations]
    times_slope = as_argument(one_of(slopes, "Z, A, DELTA"))
    losses_and_delta = _one_of([compiled_loss(loss) for loss in plan.losses], "z, a, y, w, s, delta, losses")
    pairs = plan.pairs
    layer_forward = _one_of(
        [compiled(kernel.forward) for kernel in plan.kernels], "chain, i, a_in, a, w, step, activate, start, stop"
    )
    layer_backward = _one_of(
        [compiled(kernel.backward) for kernel in plan.kernels],
        "chain, i, a, delta, delta_in, w, below, slopes, times_slope, start, stop",
    )

    def forward(chain: Chain, team: Team, a_0: Array, w: Array, step: int) -> None:
        """Fill the team member's rows of a of every layer, as `Network.forward_pass` does."""
        n = a_0.shape[0]
        a_in = a_0
        for i in range(chain.layers.shape[0]):
            layer = chain.layers[i]
            a = matrix(chain.memory, layer[A], n, layer[OUTPUTS])
            start, stop = _share_of_layer(layer, n, team)
            layer_forward(layer[KERNEL], chain, i, a_in, a, w, step, activate, start, stop)
            if layer[BY_COLUMNS]:
                wait(team)
            a_in = a

    def backward(chain: Chain, team: Team, n: int, y: Array, w: Array) -> None:
        """Fill the team member's rows of the losses and of every delta, as `Network.backward_pass` does."""
        last = chain.layers.shape[0] - 1
        output, outputs = chain.layers[last], y.shape[1]
        start, stop = share(n, ROWS, team)
        first, rows = start * outputs, stop - start
        losses_and_delta(
            chain.loss, matrix(chain.memory, output[ROOM] + first, rows, outputs),
            matrix(chain.memory, output[A] + first, rows, outputs), y[start:stop], w[start:stop],
            y.dtype.type(chain.loss_setting), matrix(chain.memory, output[DELTA] + first, rows, outputs),
            chain.losses[start:stop],
        )  # fmt: skip
        for i in range(last, chain.first_learning - 1, -1):
            layer = chain.layers[i]
            below, slopes = i > chain.first_learning, i < last or chain.loss >= pairs
            a = matrix(chain.memory, layer[A], n, layer[OUTPUTS])
            delta = matrix(chain.memory, layer[DELTA], n, layer[OUTPUTS])
            # dL/da_in, which nobody needs below the first layer that learns
            delta_in = matrix(chain.memory, chain.layers[max(i - 1, 0), DELTA], n, layer[INPUTS] if below else 0)
            start, stop = _share_of_layer(layer, n, team)
            layer_backward(layer[KERNEL], chain, i, a, delta, delta_in, w, below, slopes, times_slope, start, stop)
            if layer[BY_COLUMNS]:
                wait(team)

    return compiled(forward), compiled(backward)


@compiled
def _share_of_layer(layer: Array, n: int, team: Team) -> Any:
    """The team member's rows; or its columns, where a layer works over all rows, once these are there."""
    if layer[BY_COLUMNS]:
        wait(team)
        return share(layer[OUTPUTS], COLUMNS_AT_ONCE, team)
    return share(n, ROWS, team)


def _remember(plan: Plan) -> Any:
    """Update the buffers of every layer after a step on n rows."""
    if all(kernel.remember is None for kernel in plan.kernels):
        return compiled(_nothing)
    layer_remember = _one_of([compiled(kernel.remember or _nothing_of) for kernel in plan.kernels], "chain, i, n")

    def remember(chain: Chain, n: int) -> None:
        for i in range(chain.layers.shape[0]):
            layer_remember(chain.layers[i, KERNEL], chain, i, n)

    return compiled(remember)


@compiled
def _sum_of_pieces(chain: Chain, count: int) -> float:
    total = 0.0
    for piece in range(count):
        total += chain.pieces[piece]
    return total


@compiled
def _square_sum(x: Array, room: Array) -> float:
    """Σ x², in as many sums at once as there is room for."""
    room[:] = 0
    whole = x.size - x.size % room.size
    for start in range(0, whole, room.size):
        for j in range(room.size):
            room[j] += x[start + j] * x[start + j]
    for i in range(whole, x.size):
        room[i - whole] += x[i] * x[i]
    return float(room.sum())


@compiled
def _penalties(chain: Chain, team: Team) -> int:
    """Leave l1 Σ|w| + (l2/2) Σ w² of every piece of the weights in `pieces`; return how many there are."""
    piece, room = 0, chain.panel.reshape(chain.panel.size)[:PARALLEL]
    for k in range(chain.parts.shape[0]):
        for start in range(chain.parts[k, START], chain.parts[k, STOP] if chain.parts[k, IS_WEIGHT] else 0, PIECE):
            if piece % team.members == team.place:
                w = chain.values[start : min(start + PIECE, chain.parts[k, STOP])]
                size = 0.0
                if chain.l1 > 0.0:
                    for i in range(w.size):
                        size += abs(w[i])
                chain.pieces[piece] = chain.l1 * size + 0.5 * chain.l2 * _square_sum(w, room)
            piece += 1
    return piece


@compiled
def _norm(chain: Chain, team: Team) -> float:
    """‖gradient‖, once every gradient is there."""
    wait(team)
    piece, room = 0, chain.panel.reshape(chain.panel.size)[:PARALLEL]
    for start in range(0, chain.values.size, PIECE):
        if piece % team.members == team.place:
            gradients = chain.sums[start : min(start + PIECE, chain.values.size)]
            chain.pieces[piece] = _square_sum(gradients, room)
        piece += 1
    wait(team)
    return math.sqrt(_sum_of_pieces(chain, piece))


@compiled
def _penalised(w: Array, gradient: Array, scale: Any, l1: Any, l2: Any) -> None:
    """Make the mean of a gradient of weights, and add l1 sign(w) + l2 w."""
    for i in range(w.size):
        gradient[i] *= scale
    if l2 > 0.0:
        for i in range(w.size):
            gradient[i] += l2 * w[i]
    if l1 > 0.0:
        for i in range(w.size):
            gradient[i] += l1 * (type(l1)(1) if w[i] > 0 else (type(l1)(-1) if w[i] < 0 else type(l1)(0)))


def _gradients(plan: Plan) -> Any:
    """The gradients, and the optimiser's step, piece by piece while a piece is in the processor's cache."""
    penalises, clips = plan.penalises, plan.clips
    layer_gradient = _one_of(
        [compiled(kernel.gradient or _no_gradient) for kernel in plan.kernels],
        "chain, i, part, a_in, delta, start, stop",
    )
    update = _one_of(
        [compiled(kernel) for kernel in plan.updates],
        "values, gradients, slots, start, stop, scale, rate, t, is_weight, settings",
    )

    def gradients(
        chain: Chain, team: Team, rule: Rule, a_0: Array, weight: float, rate: float, t: int, moves: bool
    ) -> None:
        """The team member's rows of every parameter: its gradient, and where the step is taken the step."""
        n, real = a_0.shape[0], chain.values.dtype.type
        values, sums = chain.values, chain.sums
        penalised, clipped = penalises and (chain.l1 > 0.0 or chain.l2 > 0.0), clips and rule.clip_norm < math.inf
        scale = real(1.0 / weight if weight > 0.0 else 1.0)
        share_of_penalty = 1.0
        if chain.divide_penalty:
            share_of_penalty = 1.0 / weight if weight > 0.0 else 0.0
        l1, l2 = real(share_of_penalty * chain.l1), real(share_of_penalty * chain.l2)
        left = real(1.0) if penalised or clipped else scale
        for k in range(chain.parts.shape[0]):
            part = chain.parts[k]
            i, row, begin = part[LAYER], part[ROW], part[START]
            is_weight = part[IS_WEIGHT] == 1
            layer = chain.layers[i]
            a_in = matrix(chain.memory, chain.layers[i - 1, A], n, layer[INPUTS]) if i > 0 else a_0
            delta = matrix(chain.memory, layer[DELTA], n, layer[OUTPUTS])
            first, stop = share((part[STOP] - begin) // row, max(ROWS, LINE // row), team)
            height = max(BLOCK // row, TALL) // TALL * TALL
            for top in range(first, stop, height):
                bottom = min(top + height, stop)
                start, end = begin + top * row, begin + bottom * row
                layer_gradient(layer[KERNEL], chain, i, part[PART], a_in, delta, top, bottom)
                if weight <= 0.0:  # a batch in which no row counts teaches nothing
                    sums[start:end] = 0
                if penalised and is_weight:
                    _penalised(values[start:end], sums[start:end], scale, l1, l2)
                elif penalised or clipped:
                    for place in range(start, end):
                        sums[place] *= scale
                if moves and not clipped:
                    update(
                        rule.kind, values, sums[: values.size], rule.slots, start, end, left, rate, t, is_weight,
                        rule.settings,
                    )  # fmt: skip
        if clipped:
            norm = _norm(chain, team)
            if norm > rule.clip_norm:
                left = real(rule.clip_norm / norm)
            for k in range(chain.parts.shape[0] if moves else 0):
                part = chain.parts[k]
                first, stop = share((part[STOP] - part[START]) // part[ROW], max(ROWS, LINE // part[ROW]), team)
                start, end = part[START] + first * part[ROW], part[START] + stop * part[ROW]
                update(
                    rule.kind, values, sums[: values.size], rule.slots, start, end, left, rate, t,
                    part[IS_WEIGHT] == 1, rule.settings,
                )  # fmt: skip

    return compiled(gradients)


def _train_step(plan: Plan) -> Any:
    """One step; returns the loss before it and the weight of the batch. With a loss above the limit it is not taken."""
    forward, backward = _passes(plan)
    remember, gradients, penalises = _remember(plan), _gradients(plan), plan.penalises

    def train_step(
        chain: Chain, team: Team, rule: Rule, a_0: Array, y: Array, w: Array, rate: float, step: int, limit: float
    ) -> Any:
        n = a_0.shape[0]
        forward(chain, team, a_0, w, step)
        backward(chain, team, n, y, w)
        pieces = 0
        if penalises and (chain.l1 > 0.0 or chain.l2 > 0.0):
            pieces = _penalties(chain, team)
        wait(team)

        # every thread adds up the losses of all rows, in their order, and so decides alike
        loss_sum = weight = 0.0
        for i in range(n):
            loss_sum += chain.losses[i]
            weight += w[i]
        loss = loss_sum / weight if weight > 0.0 else 0.0
        if pieces > 0:
            penalty = _sum_of_pieces(chain, pieces)
            loss += penalty / weight if chain.divide_penalty and weight > 0.0 else penalty
            if chain.divide_penalty and weight <= 0.0:
                loss = 0.0
            wait(team)  # the gradient's norm takes the same room
        moves = loss <= limit
        if team.place == 0:
            chain.sums[-2], chain.sums[-1] = loss_sum, weight
            if moves and chain.remembers:
                remember(chain, n)
        gradients(chain, team, rule, a_0, weight, rate, step + 1, moves)
        wait(team)
        return loss, weight

    return compiled(train_step)


@compiled
def _gather(X: Array, rows: Array, scale: Any, a: Array, start: int, stop: int) -> None:
    # a_0 = X · input_scale
    for i in range(start, stop):
        row = rows[i]
        for j in range(a.shape[1]):
            a[i, j] = a.dtype.type(X[row, j]) * scale


@compiled
def _load(data: Data, rows: Array, batch: Batch, team: Team) -> None:
    """The team member's rows of the batch."""
    start, stop = share(rows.size, ROWS, team)
    scale = batch.a.dtype.type(data.input_scale)
    if data.kind == 0:
        _gather(read_as(data.X, np.float32), rows, scale, batch.a, start, stop)
    elif data.kind == 1:
        _gather(read_as(data.X, np.float64), rows, scale, batch.a, start, stop)
    else:
        _gather(data.X, rows, scale, batch.a, start, stop)
    for i in range(start, stop):
        for k in range(batch.y.shape[1]):
            batch.y[i, k] = data.Y[rows[i], k]
        batch.weight[i] = data.weight[rows[i]] if data.weight.size else 1.0


@functools.cache
def steps_for(plan: Plan) -> Callable[..., int]:
    """The compiled function for a plan; of built-in kinds it is kept on disk for the next process."""
    train_step = _train_step(plan)

    def run_steps(
        data: Data, batch: Batch, chain: Chain, rule: Rule, order: Array, rates: Array, step: int, limit: float,
        losses: Array, weights: Array, team: Team,
    ) -> int:  # fmt: skip
        """Steps over the rows in `order`, batch by batch; `losses` and `weights` receive what each step saw.

        Returns how many steps were looked at. The last of them was not taken if its loss is not at or below the limit.
        """
        size = batch.a.shape[0]
        if not wait(team):  # after this nothing can keep a thread from coming
            return 0
        for i in range(rates.size):
            rows = order[i * size : (i + 1) * size]
            n = rows.size
            if data.Y.shape[0] > size:
                _load(data, rows, batch, team)
            loss, weight = train_step(
                chain, team, rule, batch.a[:n], batch.y[:n], batch.weight[:n], rates[i], step + i, limit
            )
            if team.place == 0:
                losses[i], weights[i] = loss, weight
            if not loss <= limit:  # NaN is not below anything
                return i + 1
        return rates.size

    found: Callable[..., int] = jit(run_steps, error_model="numpy", nogil=True, no_cfunc_wrapper=True)
    if plan.key is None:
        return found
    try:
        keep_on_disk(found, (plan.key, _fingerprint()))
    except RuntimeError:  # Numba looks for a folder to write to: beside this file, or the user's own
        warnings.warn(
            "the compiled engine compiles anew in every process, as Numba finds no folder to keep its functions in: "
            "set NUMBA_CACHE_DIR to one that can be written",
            BacklitWarning,
            stacklevel=2,
        )
    return found


@functools.cache
def _fingerprint() -> int:
    """Of the files that machine code is made of: Numba sees a change in the file of a function alone."""
    here, there = Path(__file__).parent, Path(kinds.__file__).parent
    files = [*sorted(here.glob("*.py")), *sorted(there.glob("*.py"))]
    return zlib.crc32(b"".join(file.read_bytes() for file in files))
