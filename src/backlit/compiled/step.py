"""Steps of training as one compiled function: `run_steps`.

It is the reference's `train_step` and the passes of `Network`, for chains that are described by numbers instead of
objects. Matrix products are BLAS, as they are there; what stands between two products is one loop.
"""

from __future__ import annotations

import math
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit
from numba.np.linalg import ensure_blas

from ..exceptions import BacklitWarning
from ..parameters import Array
from .layers import activate, draw_factors, multiply_by_slope
from .losses import FIRST_PAIR, loss_and_delta
from .math import compiled
from .optimizers import Rule, update
from .products import multiply, multiply_left_transposed, multiply_right_transposed

# SciPy's BLAS, which Numba calls, is loaded at once: `threads` limits the libraries that it finds loaded.
ensure_blas()  # type: ignore[no-untyped-call]

# The columns of `Chain.layers`. Z, A and DELTA are positions in `memory`, WEIGHT and BIAS in `values`;
# a layer without bias has BIAS −1, a Dropout layer WEIGHT −1 (its factors stand at Z).
INPUTS, UNITS, ACTIVATION, WEIGHT, BIAS, Z, A, DELTA = range(8)

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
    """The network."""

    layers: Array  # (layers, 8)
    first_dense: int
    parts: Array  # (weights and biases, 3): start, stop, and whether it is a weight
    dropout: Array  # (layers,) rates
    memory: Array  # z, a and delta of every layer
    panel: Array  # see `multiply`
    turned: Array  # see `multiply_left_transposed`
    no_bias: Array  # zeros, as many as the widest layer has units
    values: Array  # (P,)
    sums: Array  # (P + 2,)
    loss: int
    setting: float  # the parameter of the loss
    l1: float
    l2: float
    divide_penalty: bool
    seed: Any  # uint64


@compiled
def _matrix(memory: Array, start: int, n: int, width: int) -> Array:
    return memory[start : start + n * width].reshape(n, width)


@compiled
def _forward(chain: Chain, a_0: Array, step: int) -> None:
    """Fill z and a of every layer, as `Network.forward_pass` does."""
    n = a_0.shape[0]
    a_in = a_0
    for i in range(chain.layers.shape[0]):
        layer = chain.layers[i]
        units = layer[UNITS]
        z = _matrix(chain.memory, layer[Z], n, units)
        a = _matrix(chain.memory, layer[A], n, units)
        if layer[WEIGHT] >= 0:
            # z = a_in W + b, a = f(z)
            multiply(a_in, _matrix(chain.values, layer[WEIGHT], layer[INPUTS], units), z, chain.panel)
            b = chain.values[layer[BIAS] : layer[BIAS] + units] if layer[BIAS] >= 0 else chain.no_bias[:units]
            activate(layer[ACTIVATION], z, b, a)
        else:
            # a = a_in ⊙ m
            draw_factors(chain.seed, i, step, chain.dropout[i], chain.memory[layer[Z] : layer[Z] + n * units])
            _multiply(a_in, z, a)
        a_in = a


@compiled
def _backward(chain: Chain, a_0: Array, y: Array, w: Array) -> float:
    """Leave the gradients, summed over the rows, in `sums`, as `Network.backward_pass` does; return the loss sum."""
    n, last = a_0.shape[0], chain.layers.shape[0] - 1
    loss_sum = 0.0
    for i in range(last, chain.first_dense - 1, -1):
        layer = chain.layers[i]
        inputs, units = layer[INPUTS], layer[UNITS]
        z = _matrix(chain.memory, layer[Z], n, units)
        a = _matrix(chain.memory, layer[A], n, units)
        a_in = _matrix(chain.memory, chain.layers[i - 1, A], n, inputs) if i > 0 else a_0
        delta = _matrix(chain.memory, layer[DELTA], n, units)
        # dL/da_in, which nobody needs below the first layer
        delta_in = _matrix(chain.memory, chain.layers[max(i - 1, 0), DELTA], n, inputs if i > chain.first_dense else 0)
        if i == last:
            loss_sum = loss_and_delta(chain.loss, z, a, y, w, a.dtype.type(chain.setting), delta)
        if layer[WEIGHT] >= 0:
            # delta = dL/da ⊙ f′(z)
            if i < last or chain.loss < FIRST_PAIR:
                multiply_by_slope(layer[ACTIVATION], z, a, delta)
            # dL/dW = a_inᵀ delta, dL/db = Σ_rows delta, dL/da_in = delta Wᵀ
            dW = _matrix(chain.sums, layer[WEIGHT], inputs, units)
            multiply_left_transposed(a_in, delta, dW, chain.panel, chain.turned)
            if layer[BIAS] >= 0:
                _add_rows(delta, chain.sums[layer[BIAS] : layer[BIAS] + units])
            if i > chain.first_dense:
                W = _matrix(chain.values, layer[WEIGHT], inputs, units)
                multiply_right_transposed(delta, W, delta_in, chain.panel)
        else:
            # dL/da_in = dL/da ⊙ m
            _multiply(delta, z, delta_in)
    return loss_sum


@compiled
def _multiply(x: Array, y: Array, out: Array) -> None:
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            out[i, j] = x[i, j] * y[i, j]


@compiled
def _add_rows(delta: Array, total: Array) -> None:
    for j in range(total.size):
        total[j] = 0
    for i in range(delta.shape[0]):
        for j in range(delta.shape[1]):
            total[j] += delta[i, j]


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


@compiled
def _train_step(chain: Chain, rule: Rule, a_0: Array, y: Array, w: Array, rate: float, step: int, limit: float) -> Any:
    """One step; returns the loss before it and the weight of the batch. With a loss above the limit it is not taken."""
    real = chain.values.dtype.type
    values, sums = chain.values, chain.sums
    gradients = sums[: values.size]
    _forward(chain, a_0, step)
    sums[-2] = _backward(chain, a_0, y, w)
    weight = 0.0
    for i in range(w.size):
        weight += w[i]
    sums[-1] = weight
    if weight > 0.0:
        loss = sums[-2] / weight
        scale = real(1.0 / weight)
    else:  # a batch in which no row counts teaches nothing
        loss = 0.0
        scale = real(1.0)
        for i in range(gradients.size):
            gradients[i] = 0

    # gradient = scale · sums + penalty; without penalty and clipping the optimiser does it on the way
    if chain.l1 > 0.0 or chain.l2 > 0.0 or rule.clip_norm < math.inf:
        for i in range(gradients.size):
            gradients[i] *= scale
        scale = real(1.0)
        share = 1.0
        if chain.divide_penalty:
            share = 1.0 / weight if weight > 0.0 else 0.0
        for k in range(chain.parts.shape[0]):
            start, stop, is_weight = chain.parts[k, 0], chain.parts[k, 1], chain.parts[k, 2]
            if is_weight and (chain.l1 > 0.0 or chain.l2 > 0.0):
                l1, l2 = real(share * chain.l1), real(share * chain.l2)
                loss += _add_penalty(values[start:stop], gradients[start:stop], l1, l2)
        if rule.clip_norm < math.inf:
            norm = math.sqrt(np.dot(gradients, gradients))
            if norm > rule.clip_norm:
                scale = real(rule.clip_norm / norm)

    if loss <= limit:
        for k in range(chain.parts.shape[0]):
            start, stop, is_weight = chain.parts[k, 0], chain.parts[k, 1], chain.parts[k, 2]
            update(rule, values, gradients, start, stop, scale, rate, step + 1, is_weight == 1)
    return loss, weight


@compiled
def _gather(X: Array, rows: Array, scale: Any, a: Array) -> None:
    # a_0 = X · input_scale
    for i in range(rows.size):
        row, batch_row = X[rows[i]], a[i]
        for j in range(batch_row.size):
            batch_row[j] = a.dtype.type(row[j]) * scale


@compiled
def _load(data: Data, rows: Array, batch: Batch) -> None:
    scale = batch.a.dtype.type(data.input_scale)
    if data.kind == 0:
        _gather(data.X.view(np.float32), rows, scale, batch.a)
    elif data.kind == 1:
        _gather(data.X.view(np.float64), rows, scale, batch.a)
    else:
        _gather(data.X, rows, scale, batch.a)
    for i in range(rows.size):
        for k in range(batch.y.shape[1]):
            batch.y[i, k] = data.Y[rows[i], k]
        batch.weight[i] = data.weight[rows[i]] if data.weight.size else 1.0


def _keep(fingerprint: int) -> Callable[..., Any]:
    """Compile `run_steps` and keep the result on disk, under this fingerprint.

    Numba compiles anew when the file of a function changes, but does not see a change in the files of the functions
    that it calls. A constant from outside the function is part of what Numba recognises it by.
    """

    def run_steps(
        data: Data, batch: Batch, chain: Chain, rule: Rule, order: Array, rates: Array, step: int, limit: float,
        losses: Array, weights: Array,
    ) -> int:  # fmt: skip
        """Steps over the rows in `order`, batch by batch; `losses` and `weights` receive what each step saw.

        Returns how many steps were looked at. The last of them was not taken if its loss is not at or below the limit.
        """
        fingerprint  # noqa: B018
        size = batch.a.shape[0]
        for i in range(rates.size):
            rows = order[i * size : (i + 1) * size]
            n = rows.size
            if data.Y.shape[0] > size:
                _load(data, rows, batch)
            losses[i], weights[i] = _train_step(
                chain, rule, batch.a[:n], batch.y[:n], batch.weight[:n], rates[i], step + i, limit
            )
            if not losses[i] <= limit:  # NaN is not below anything
                return i + 1
        return int(rates.size)

    kept: Callable[..., Any]
    try:
        kept = njit(run_steps, error_model="numpy", nogil=True, cache=True)
    except RuntimeError:  # Numba looks for a folder to write to: beside this file, or the user's own
        warnings.warn(
            "the compiled engine compiles anew in every process, as Numba finds no folder to keep its functions in: "
            "set NUMBA_CACHE_DIR to one that can be written",
            BacklitWarning,
            stacklevel=2,
        )
        kept = njit(run_steps, error_model="numpy", nogil=True)
    return kept


def _fingerprint() -> int:
    files = sorted(Path(__file__).parent.glob("compiled*.py"))
    return zlib.crc32(b"".join(file.read_bytes() for file in files))


run_steps: Final = _keep(_fingerprint())
