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

In machine code the chain is the address of all this: what a loop over numbers needs is taken out of it before the loop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np

from ..parameters import Array
from ..randomness import keyed_generator

#: The columns of `chain.layers`: KERNEL and ACTIVATION are numbers in the engine's tables, A, DELTA and ROOM positions
#: in `memory`, PARAMETERS one in `values` and `sums`, BUFFERS one in `buffers`; BY_COLUMNS is 1 or 0.
KERNEL, ACTIVATION, INPUTS, OUTPUTS, A, DELTA, ROOM, PARAMETERS, BUFFERS, BY_COLUMNS = range(10)
COLUMNS: Final = 10


@final
@dataclass(frozen=True)
class Kernel:
    """A layer for the compiled engine; functions that Numba can compile.

    Several threads share the work, each by itself: a function fills the rows from `start` to `stop` of what it is for,
    from whole arrays, and touches no others. So that the number of threads does not show in the bits, what it makes of
    a row must not hang on which others it is given.

    Attributes
    ----------
    forward : callable (chain, i, a_in, a, w, step, activate, start, stop)
        Fill rows of a, shape (n, outputs); w are the sample weights, (n,). A layer with an activation fills z and calls
        ``activate(chain.layers[i, ACTIVATION], z, a)`` with its rows.
    backward : callable (chain, i, a, delta, delta_in, w, below, slopes, times_slope, start, stop)
        Where something `below` needs it, fill rows of delta_in = dL/da_in. `delta` is dL/da, or dL/dz already where
        `slopes` is False (an output that is a pair with its loss); ``times_slope(chain.layers[i, ACTIVATION], z, a,
        delta)`` makes one of the other.
    gradient : callable (chain, i, part, a_in, delta, start, stop, out), or None
        Fill `out`, shape (k,), with rows of the gradient of the layer's parameter number `part`, one after the other;
        of a parameter with one axis, with numbers. `delta` is as `backward` left it. With None, `backward` has left
        the gradients of all parameters in `chain.sums`.
    remember : callable (chain, i, n), or None
        Update the buffers after a step on n rows.
    inference : callable, or None
        What takes the place of `forward` when a network predicts, with the same arguments; w is then 1 and `step` 0.
        It is given rows, whatever `by_columns` says. A layer whose training is random or mixes rows needs it.
    by_columns : bool
        Whether `forward` and `backward` work over all rows: they are then given columns, `start` to `stop`.
    takes_sparse : bool
        Whether the batch may be sparse rows where the layer is the first: a_in is then (n, 0), and all that the layer
        does with it is `multiply_input` and `multiply_input_transposed`.
    """

    forward: Callable[..., Any]
    backward: Callable[..., Any]
    gradient: Callable[..., Any] | None = None
    remember: Callable[..., Any] | None = None
    inference: Callable[..., Any] | None = None
    by_columns: bool = False
    takes_sparse: bool = False


def matrix(vector: Array, start: Any, rows: Any, columns: Any) -> Array:
    """A part of a vector as a matrix."""
    return vector[start : start + rows * columns].reshape(rows, columns)


def flat(X: Array) -> Array:
    """The numbers of a matrix one after the other, where they stand; like `matrix`, it does not hold that memory."""
    return X.reshape(X.size)


def multiply_input(chain: Any, i: Any, a_in: Array, first: Any, B: Array, C: Array) -> None:
    """C ← a_in B, for what layer i takes: as many rows of it, from the `first` on, as C has."""
    np.dot(a_in[first : first + C.shape[0]], B, out=C)


def multiply_input_transposed(chain: Any, i: Any, a_in: Array, first: Any, B: Array, C: Array) -> None:
    """C ← a_inᵀ B, for what layer i takes: as many columns of it, from the `first` on, as C has rows."""
    np.dot(a_in[:, first : first + C.shape[0]].T, B, out=C)


def multiply(A: Array, B: Array, C: Array, chain: Any) -> None:
    """C ← A B, of arrays of the layer's own."""
    np.dot(A, B, out=C)


def multiply_left_transposed(A: Array, first: Any, B: Array, C: Array, chain: Any) -> None:
    """C ← Aᵀ B, of arrays of the layer's own: as many columns of A, from the `first` on, as C has rows."""
    np.dot(A[:, first : first + C.shape[0]].T, B, out=C)


def multiply_right_transposed(A: Array, B: Array, C: Array, chain: Any) -> None:
    """C ← A Bᵀ."""
    np.dot(A, B.T, out=C)


def add_rows(X: Array, first: int, total: Array) -> None:
    """total ← Σ_rows X, of as many columns, from the `first` on, as the total has numbers."""
    for j in range(total.size):
        total[j] = 0
    for i in range(X.shape[0]):
        x = X[i][first : first + total.size]
        for j in range(total.size):
            total[j] += x[j]


def add_products(X: Array, Y: Array, first: int, total: Array) -> None:
    """total ← Σ_rows X ⊙ Y, of as many columns, from the `first` on, as the total has numbers."""
    for j in range(total.size):
        total[j] = 0
    for i in range(X.shape[0]):
        x, y = X[i][first : first + total.size], Y[i][first : first + total.size]
        for j in range(total.size):
            total[j] += x[j] * y[j]


def multiply_elements(X: Array, Y: Array, out: Array) -> None:
    """out ← X ⊙ Y."""
    for i in range(X.shape[0]):
        for j in range(X.shape[1]):
            out[i, j] = X[i, j] * Y[i, j]


def draw_uniform_factors(seed: Any, layer: Any, step: Any, rate: Any, first: Any, factors: Array) -> None:
    """factors ← 0 with probability `rate`, else 1/(1 − rate), by the key (seed, "dropout", step, layer).

    They are the numbers of that key from the `first` on.
    """
    rng = keyed_generator(int(seed), "dropout", int(step), int(layer), skip=int(first))
    uniform = rng.random(factors.size, dtype=np.float32)
    factors[:] = (uniform >= rate) / (1.0 - rate)
