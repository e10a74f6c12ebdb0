"""What a layer's kernel is written in: where its numbers stand, and the products of matrices.

A *kernel* is the layer once more, for the compiled engine: the same equations as in its `forward` and `backward`, as
loops over numbers that Numba compiles. The functions here are plain NumPy, so that a kernel can be read and tried
without Numba; the compiled engine puts its own in their place (`compiled/products.py`, `compiled/draws.py`).

A kernel finds everything in the `chain` that describes the network:

    chain.layers[i]     whole numbers of layer i, in the columns below
    chain.settings[i]   its settings, as its `kernel_settings` gave them
    chain.values        all parameters; chain.sums all gradients, summed over the rows; chain.buffers
    chain.memory        a, delta and the room of all layers for one batch
    chain.first[0]      the number of the first row in its batch: 0, unless the batch is cut into shards
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np

from ..parameters import Array
from ..randomness import keyed_generator

#: The columns of `chain.layers`: KERNEL and ACTIVATION are numbers in the engine's tables, A, DELTA and ROOM positions
#: in `memory`, PARAMETERS one in `values` and `sums`, BUFFERS one in `buffers`.
KERNEL, ACTIVATION, INPUTS, OUTPUTS, A, DELTA, ROOM, PARAMETERS, BUFFERS = range(9)
COLUMNS: Final = 9


@final
@dataclass(frozen=True)
class Kernel:
    """A layer for the compiled engine; three functions that Numba can compile.

    Attributes
    ----------
    forward : callable (chain, i, a_in, a, w, step, activate)
        Fill a, shape (n, outputs); w are the sample weights, (n,). A layer with an activation fills z and calls
        ``activate(chain.layers[i, ACTIVATION], z, a)``.
    backward : callable (chain, i, a_in, a, delta, delta_in, w, below, slopes, times_slope)
        Fill the layer's part of `chain.sums` and, where something `below` needs it, delta_in = dL/da_in. `delta` is
        dL/da, or dL/dz already where `slopes` is False (an output that is a pair with its loss);
        ``times_slope(chain.layers[i, ACTIVATION], z, a, delta)`` makes one of the other.
    remember : callable (chain, i, n), or None
        Update the buffers after a step on n rows.
    """

    forward: Callable[..., Any]
    backward: Callable[..., Any]
    remember: Callable[..., Any] | None = None


def matrix(vector: Array, start: Any, rows: Any, columns: Any) -> Array:
    """A part of a vector as a matrix."""
    return vector[start : start + rows * columns].reshape(rows, columns)


def multiply(A: Array, B: Array, C: Array, chain: Any) -> None:
    """C ← A B."""
    np.dot(A, B, out=C)


def multiply_left_transposed(A: Array, B: Array, C: Array, chain: Any) -> None:
    """C ← Aᵀ B."""
    np.dot(A.T, B, out=C)


def multiply_right_transposed(A: Array, B: Array, C: Array, chain: Any) -> None:
    """C ← A Bᵀ."""
    np.dot(A, B.T, out=C)


def add_rows(X: Array, total: Array) -> None:
    """total ← Σ_rows X."""
    for j in range(total.size):
        total[j] = 0
    for i in range(X.shape[0]):
        for j in range(X.shape[1]):
            total[j] += X[i, j]


def multiply_elements(X: Array, Y: Array, out: Array) -> None:
    """out ← X ⊙ Y."""
    for i in range(X.shape[0]):
        for j in range(X.shape[1]):
            out[i, j] = X[i, j] * Y[i, j]


def draw_uniform_factors(seed: Any, layer: Any, step: Any, rate: Any, factors: Array, skip: Any) -> None:
    """factors ← 0 with probability `rate`, else 1/(1 − rate), by the key (seed, "dropout", step, layer).

    `skip` of them, those of earlier rows of the batch, are left out.
    """
    rng = keyed_generator(int(seed), "dropout", int(step), int(layer), skip=int(skip))
    uniform = rng.random(factors.size, dtype=np.float32)
    factors[:] = (uniform >= rate) / (1.0 - rate)
