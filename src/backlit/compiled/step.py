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
from ..kinds.kernel import DELTA, INPUTS, KERNEL, OUTPUTS, ROOM, A, matrix
from ..parameters import Array
from . import draws, products
from .cache import keep_on_disk
from .math import as_argument, compiled, jit
from .plan import Plan, compiled_activation, compiled_loss, compiled_slope, one_of
from .vectors import read_as

#: Importing these teaches Numba what the kernels call.
_TEACHERS: Final = (draws, products)

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
    parts: Array  # (parameters, 3): start, stop, and whether it is a weight
    memory: Array  # a, delta and room of every layer
    first: Array  # (1,): the number of the first row at work in its batch
    panel: Array  # see `products.multiply`
    turned: Array  # see `products.multiply_left_transposed`
    values: Array  # (P,)
    sums: Array  # (P + 2,)
    buffers: Array  # (B,)
    loss: int
    loss_setting: float
    l1: float
    l2: float
    divide_penalty: bool
    seed: Any  # uint64


class Rule(NamedTuple):
    """The optimiser."""

    kind: int
    settings: Array
    clip_norm: float  # infinity where the gradient is not clipped
    slots: Array  # (slots, P)


@compiled
def _add_penalty(w: Array, gradient: Array, l1: Any, l2: Any) -> float:
    """Add l1 sign(w) + l2 w to the gradient of a weight; return l1 Σ|w| + (l2/2) Σ w²."""
    size = 0.0
    if l2 > 0.0:
        for i in range(w.size):
            gradient[i] += l2 * w[i]
    if l1 > 0.0:
        for i in range(w.size):
            sign = type(l1)(1) if w[i] > 0 else (type(l1)(-1) if w[i] < 0 else type(l1)(0))
            gradient[i] += l1 * sign
            size += abs(w[i])
    return float(l1 * size + 0.5 * l2 * np.dot(w, w))


def _no_slope(Z: Array, A: Array, DELTA: Array) -> None:
    """In the place of a slope that no layer of the plan needs."""


def _nothing_of(chain: Chain, i: int, n: int) -> None:
    """In the place of `remember`, for a layer that remembers nothing."""


def _nothing(chain: Chain, n: int) -> None:
    """In the place of `remember`, where no layer has anything to."""


def _one_of(functions: list[Any], arguments: str) -> Any:
    return compiled(one_of(functions, arguments), inside=True)


def _passes(plan: Plan) -> tuple[Any, Any]:
    """The forward and the backward pass."""
    activate = as_argument(one_of([compiled_activation(f) for f in plan.activations], "Z, A"))
    slopes = [compiled_slope(f) if f in plan.slopes else compiled(_no_slope) for f in plan.activations]
    times_slope = as_argument(one_of(slopes, "Z, A, DELTA"))
    loss_and_delta = _one_of([compiled_loss(loss) for loss in plan.losses], "z, a, y, w, s, delta")
    pairs = plan.pairs
    layer_forward = _one_of(
        [compiled(kernel.forward) for kernel in plan.kernels], "chain, i, a_in, a, w, step, activate"
    )
    layer_backward = _one_of(
        [compiled(kernel.backward) for kernel in plan.kernels],
        "chain, i, a_in, a, delta, delta_in, w, below, slopes, times_slope",
    )

    def forward(chain: Chain, a_0: Array, w: Array, step: int) -> None:
        """Fill a of every layer, as `Network.forward_pass` does."""
        n = a_0.shape[0]
        a_in = a_0
        for i in range(chain.layers.shape[0]):
            layer = chain.layers[i]
            a = matrix(chain.memory, layer[A], n, layer[OUTPUTS])
            layer_forward(layer[KERNEL], chain, i, a_in, a, w, step, activate)
            a_in = a

    def backward(chain: Chain, a_0: Array, y: Array, w: Array) -> float:
        """Leave the gradients, summed over the rows, in `sums`, as `Network.backward_pass` does; return the loss."""
        n, last = a_0.shape[0], chain.layers.shape[0] - 1
        output, outputs = chain.layers[last], y.shape[1]
        z, a = matrix(chain.memory, output[ROOM], n, outputs), matrix(chain.memory, output[A], n, outputs)
        delta = matrix(chain.memory, output[DELTA], n, outputs)
        loss_sum = loss_and_delta(chain.loss, z, a, y, w, a.dtype.type(chain.loss_setting), delta)
        for i in range(last, chain.first_learning - 1, -1):
            layer = chain.layers[i]
            below, slopes = i > chain.first_learning, i < last or chain.loss >= pairs
            a = matrix(chain.memory, layer[A], n, layer[OUTPUTS])
            a_in = matrix(chain.memory, chain.layers[i - 1, A], n, layer[INPUTS]) if i > 0 else a_0
            delta = matrix(chain.memory, layer[DELTA], n, layer[OUTPUTS])
            # dL/da_in, which nobody needs below the first layer that learns
            delta_in = matrix(chain.memory, chain.layers[max(i - 1, 0), DELTA], n, layer[INPUTS] if below else 0)
            layer_backward(layer[KERNEL], chain, i, a_in, a, delta, delta_in, w, below, slopes, times_slope)
        return float(loss_sum)

    return compiled(forward), compiled(backward)


def _remember(plan: Plan) -> Any:
    """Update the buffers of every layer after a step on n rows."""
    if all(kernel.remember is None for kernel in plan.kernels):
        return compiled(_nothing)
    layer_remember = _one_of([compiled(kernel.remember or _nothing_of) for kernel in plan.kernels], "chain, i, n")

    def remember(chain: Chain, n: int) -> None:
        for i in range(chain.layers.shape[0]):
            layer_remember(chain.layers[i, KERNEL], chain, i, n)

    return compiled(remember)


def _gradient(plan: Plan) -> Any:
    """Make the gradient of the sums, as `Network.average` does, for what is penalised or clipped."""
    penalises, clips = plan.penalises, plan.clips

    def gradient(chain: Chain, clip_norm: float, weight: float, scale: Any) -> Any:
        """Return what the optimiser multiplies the sums by, and the penalty: without either it does it on the way."""
        real = chain.values.dtype.type
        gradients = chain.sums[: chain.values.size]
        penalty = 0.0
        if (penalises and (chain.l1 > 0.0 or chain.l2 > 0.0)) or (clips and clip_norm < math.inf):
            for i in range(gradients.size):
                gradients[i] *= scale
            scale = real(1.0)
        if penalises and (chain.l1 > 0.0 or chain.l2 > 0.0):
            share = 1.0
            if chain.divide_penalty:
                share = 1.0 / weight if weight > 0.0 else 0.0
            l1, l2 = real(share * chain.l1), real(share * chain.l2)
            for k in range(chain.parts.shape[0]):
                start, stop = chain.parts[k, 0], chain.parts[k, 1]
                if chain.parts[k, 2]:
                    penalty += _add_penalty(chain.values[start:stop], gradients[start:stop], l1, l2)
        if clips and clip_norm < math.inf:
            norm = math.sqrt(np.dot(gradients, gradients))
            if norm > clip_norm:
                scale = real(clip_norm / norm)
        return scale, penalty

    return compiled(gradient)


def _train_step(plan: Plan) -> tuple[Any, Any]:
    """One step in two halves: the sums over rows, and the step that is made of them."""
    forward, backward = _passes(plan)
    remember, gradient = _remember(plan), _gradient(plan)
    update = _one_of(
        [compiled(kernel) for kernel in plan.updates],
        "values, gradients, slots, start, stop, scale, rate, t, is_weight, settings",
    )

    def leave_sums(chain: Chain, a_0: Array, y: Array, w: Array, step: int) -> Any:
        """Leave the sums over rows in `sums`, loss and weight in its tail; return the weight."""
        sums = chain.sums
        forward(chain, a_0, w, step)
        sums[-2] = backward(chain, a_0, y, w)
        weight = 0.0
        for i in range(w.size):
            weight += w[i]
        sums[-1] = weight
        return weight

    def take_step(chain: Chain, rule: Rule, n: int, weight: float, rate: float, step: int, limit: float) -> Any:
        """Make a step of the sums over n rows; return the loss before it. With a loss above the limit none is made."""
        real = chain.values.dtype.type
        values, sums = chain.values, chain.sums
        gradients = sums[: values.size]
        if weight > 0.0:
            loss = sums[-2] / weight
            scale = real(1.0 / weight)
        else:  # a batch in which no row counts teaches nothing
            loss = 0.0
            scale = real(1.0)
            for i in range(gradients.size):
                gradients[i] = 0
        scale, penalty = gradient(chain, rule.clip_norm, weight, scale)
        loss += penalty

        if loss <= limit:
            if chain.remembers:
                remember(chain, n)
            for k in range(chain.parts.shape[0]):
                start, stop, is_weight = chain.parts[k, 0], chain.parts[k, 1], chain.parts[k, 2]
                update(
                    rule.kind, values, gradients, rule.slots, start, stop, scale, rate, step + 1, is_weight == 1,
                    rule.settings,
                )  # fmt: skip
        return loss

    # Each would hand on hundreds of numbers: they become parts of what calls them.
    return compiled(leave_sums, inside=True), compiled(take_step, inside=True)


@compiled
def _gather(X: Array, rows: Array, scale: Any, a: Array) -> None:
    # a_0 = X · input_scale
    for i in range(rows.size):
        row = rows[i]
        for j in range(a.shape[1]):
            a[i, j] = a.dtype.type(X[row, j]) * scale


@compiled
def _load(data: Data, rows: Array, batch: Batch) -> None:
    scale = batch.a.dtype.type(data.input_scale)
    if data.kind == 0:
        _gather(read_as(data.X, np.float32), rows, scale, batch.a)
    elif data.kind == 1:
        _gather(read_as(data.X, np.float64), rows, scale, batch.a)
    else:
        _gather(data.X, rows, scale, batch.a)
    for i in range(rows.size):
        for k in range(batch.y.shape[1]):
            batch.y[i, k] = data.Y[rows[i], k]
        batch.weight[i] = data.weight[rows[i]] if data.weight.size else 1.0


@functools.cache
def steps_for(plan: Plan) -> Callable[..., int]:
    """The compiled function for a plan; of built-in kinds it is kept on disk for the next process."""
    leave_sums, take_step = _train_step(plan)

    def run_steps(
        data: Data, batch: Batch, chain: Chain, rule: Rule, order: Array, rates: Array, step: int, limit: float,
        losses: Array, weights: Array,
    ) -> int:  # fmt: skip
        """Steps over the rows in `order`, batch by batch; `losses` and `weights` receive what each step saw.

        Returns how many steps were looked at. The last of them was not taken if its loss is not at or below the limit.
        """
        size = batch.a.shape[0]
        for i in range(rates.size):
            rows = order[i * size : (i + 1) * size]
            n = rows.size
            if data.Y.shape[0] > size:
                _load(data, rows, batch)
            weights[i] = leave_sums(chain, batch.a[:n], batch.y[:n], batch.weight[:n], step + i)
            losses[i] = take_step(chain, rule, n, weights[i], rates[i], step + i, limit)
            if not losses[i] <= limit:  # NaN is not below anything
                return i + 1
        return rates.size

    return _kept(run_steps, plan)


@functools.cache
def halves_for(plan: Plan) -> tuple[Callable[..., float], Callable[..., float]]:
    """A step in two compiled functions, between which several processes add up what they have found."""
    leave_sums, take_step = _train_step(plan)

    def shard_sums(data: Data, batch: Batch, chain: Chain, rows: Array, first: int, step: int) -> float:
        """Leave the sums over some rows of a batch in `chain.sums`; the first of them is its row number `first`."""
        n = rows.size
        if data.Y.shape[0] > batch.a.shape[0]:
            _load(data, rows, batch)
            first_read = 0
        else:  # all rows are there
            first_read = first
        chain.first[0] = first
        stop = first_read + n
        a_0, y, w = batch.a[first_read:stop], batch.y[first_read:stop], batch.weight[first_read:stop]
        return float(leave_sums(chain, a_0, y, w, step))

    def whole_step(chain: Chain, rule: Rule, n: int, weight: float, rate: float, step: int, limit: float) -> float:
        return float(take_step(chain, rule, n, weight, rate, step, limit))

    return _kept(shard_sums, plan), _kept(whole_step, plan)


def _kept(function: Callable[..., Any], plan: Plan) -> Callable[..., Any]:
    """Compiled, and kept on disk for the next process where all its kinds are built in."""
    found: Callable[..., Any] = jit(function, error_model="numpy", nogil=True, no_cfunc_wrapper=True)
    if plan.key is None:
        return found
    try:
        keep_on_disk(found, (plan.key, _fingerprint()))
    except RuntimeError:  # Numba looks for a folder to write to: beside this file, or the user's own
        warnings.warn(
            "the compiled engine compiles anew in every process, as Numba finds no folder to keep its functions in: "
            "set NUMBA_CACHE_DIR to one that can be written",
            BacklitWarning,
            stacklevel=3,
        )
    return found


@functools.cache
def _fingerprint() -> int:
    """Of the files that machine code is made of: Numba sees a change in the file of a function alone."""
    here, there = Path(__file__).parent, Path(kinds.__file__).parent
    files = [*sorted(here.glob("*.py")), *sorted(there.glob("*.py"))]
    return zlib.crc32(b"".join(file.read_bytes() for file in files))
