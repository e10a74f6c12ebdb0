"""Embedding: a learnt row of numbers for each category of a column."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Final, final

import numpy as np

from ..checks import positive_whole
from ..exceptions import ConfigurationError, DataError
from ..parameters import Array
from ..typing import Spec
from .kernel import INPUTS, PARAMETERS, Kernel, matrix
from .layer import Computation, Factors, Layer, Moment, axes
from .script import LayerText, Line

#: Whole numbers beyond this are not all numbers of float32.
MOST_CODES: Final = 2**24
_MOST_COLUMNS: Final = 4096
_ROWS_AT_ONCE: Final = 65536

_CODES_SOURCE: Final = '''
def rows_of_codes(codes, counts):
    """The row of each category among those of all columns, the first column's first; codes are whole numbers."""
    if not ((codes >= 0) & (codes < counts) & (codes == np.floor(codes))).all():
        raise ValueError("a code is not one of 0, 1, 2, … below the number of its column's categories")
    return codes.astype(int) + np.cumsum([0, *counts[:-1]])
'''


@final
class Embedding(Layer):
    """A row of numbers that is learnt for each category, in the place of the category's code.

        a_in    = [x, v]                       (n, others + c)        v_j is the code of column j: 0, 1, … or n_j − 1
        e_j     = E_j[v_j]                     (n, k) for each j      the row of E_j, (n_j, k), with that number
        a       = [x, e_1, …, e_c]             (n, others + c · k)

        dL/dE_j[v] = Σ_{rows with v_j = v} dL/de_j

    It is E_j times a one-hot row, without the zeros: what a row costs does not hang on how many categories there are; a
    step of training goes over all of E once. A code says which and not how much, so there is no derivative with
    respect to it. Only the rows themselves hold
    codes: the layer is the first of its network, whose inputs are then not scaled.

    E has penalties and weight decay, and begins at N(0, 1/k), so that a row is about as long as a one-hot one. PyTorch
    and RealMLP (Holzmüller, Grinsztajn & Steinwart, 2024, with k = 8) begin at N(0, 1), Keras within ±0.05. Source: Guo
    & Berkhahn, "Entity embeddings of categorical variables" (2016).

    Parameters
    ----------
    categories : sequence of int, or int
        n_1 … n_c: how many categories each of the last c features has a code of.
    size : int, default=8
        k, the numbers of a category.

    Attributes
    ----------
    weight : ndarray, shape (n_1 + … + n_c, k)
        The rows of E_1, below them those of E_2, and so on: a view into the network's parameter vector.

    Raises
    ------
    ConfigurationError
        For numbers that are not above 0, more columns than the layer takes, and a place behind another layer.
    DataError
        When rows come to the network: for a code that is not a whole number, or not one of a category.

    Examples
    --------
    >>> import backlit as bl
    >>> net = bl.Network([Embedding([3, 2], size=2), bl.Dense(1)], inputs=3, dtype="float64")
    >>> net.layers[0].outputs                                       # one number, and two of each category
    5
    >>> bl.check_gradients(net, [[0.5, 2, 0], [-1.5, 0, 1]], [1.0, 0.0]).ok
    True
    """

    builtin: ClassVar[bool] = True
    composed: ClassVar[tuple[str, ...]] = ("categories",)
    weight: Array
    weight_gradient: Array

    def __init__(self, categories: Sequence[int] | int, size: int = 8) -> None:
        listed = categories.tolist() if isinstance(categories, np.ndarray) else categories
        given = list(listed) if isinstance(listed, Sequence) else [listed]
        if not 1 <= len(given) <= _MOST_COLUMNS:
            raise ConfigurationError(
                f"categories must be 1 to {_MOST_COLUMNS:,} numbers, one for each column, received {len(given)}"
            )
        self.categories = tuple(positive_whole("categories", number) for number in given)
        if max(self.categories) > MOST_CODES:
            raise ConfigurationError(
                f"a column has at most {MOST_CODES:,} categories, whose codes float32 holds, received "
                f"{max(self.categories):,}"
            )
        self.size = positive_whole("size", size)

    def build(self, inputs: int) -> dict[str, tuple[int, ...]]:
        if len(self.categories) > inputs:
            raise ConfigurationError(
                f"{self!r} has categories of {len(self.categories)} columns, and takes {inputs}: give one number for "
                "each column of codes"
            )
        self.inputs = inputs
        self.outputs = self.others + len(self.categories) * self.size
        self.weight_uses = len(self.categories) / sum(self.categories)
        return {"weight": (sum(self.categories), self.size)}

    def initial_value(self, name: str, shape: tuple[int, ...], rng: np.random.Generator) -> Array | float:
        return rng.standard_normal(shape) / math.sqrt(self.size)

    def describe(self) -> Spec:
        return {"kind": "Embedding", "categories": list(self.categories), "size": self.size}

    @property
    def others(self) -> int:
        """How many features, the first ones, hold no codes."""
        return self.inputs - len(self.categories)

    @property
    def starts(self) -> Array:
        """The row of E with which each column begins, shape (c,)."""
        return np.cumsum([0, *self.categories[:-1]])

    def rows_of(self, X: Array, first: int | None = None) -> Array:
        """The row of E for each code of the rows X, shape (n, c); an error counts from `first`, or in the batch."""
        codes = X[:, self.others :]
        right = (codes >= 0) & (codes < np.array(self.categories)) & (codes == np.floor(codes))
        if not right.all():
            row, j = (int(place) for place in np.argwhere(~right)[0])
            place = f"row {row} of a batch" if first is None else f"row {first + row}"
            raise DataError(
                f"X has {codes[row, j]:.9g} in {place}, column {self.others + j}, where {self!r} takes a "
                f"code, a whole number from 0 to {self.categories[j] - 1}: number the categories first"
            )
        return np.asarray(codes.astype(np.int64) + self.starts)

    def check_inputs(self, X: Array) -> None:
        for start in range(0, len(X), _ROWS_AT_ONCE):
            self.rows_of(X[start : start + _ROWS_AT_ONCE], start)

    # ── the lesson ───────────────────────────────────────────────────────────────────────────────────────

    def room(self, n: int, dtype: np.dtype[Any], training: bool) -> dict[str, Array]:
        """The rows of E that are looked up, and what stands in them."""
        columns = len(self.categories)
        return {"rows": np.zeros((n, columns), np.int64), "e": np.empty((n, columns, self.size), dtype)}

    def forward(self, work: Any, i: int, moment: Moment | None) -> None:
        a_in, a, room = work.a[i], work.a[i + 1], work.room[i]
        rows, e = room["rows"], room["e"]  # (n, c), (n, c, k)
        rows[...] = self.rows_of(a_in)
        # a = [x, e_1, …, e_c], e_j = E_j[v_j]
        a[:, : self.others] = a_in[:, : self.others]
        a[:, self.others :] = np.take(self.weight, rows, axis=0, out=e, mode="clip").reshape(len(a), -1)

    def backward(self, work: Any, i: int, below: bool) -> None:
        """Fill dL/dE; a code has no derivative, and no layer stands below that would ask for those of x."""
        delta, rows = work.delta[i], work.room[i]["rows"]  # dL/da (n, outputs), (n, c)
        dL_de = delta[:, self.others :].reshape(*rows.shape, self.size)  # (n, c, k)
        # dL/dE_j[v] = Σ_{rows with v_j = v} dL/de_j: number by number, in the order of the rows
        places = rows[:, :, None] * self.size + np.arange(self.size)  # (n, c, k)
        self.weight_gradient.fill(0.0)
        np.add.at(self.weight_gradient.reshape(-1), places.ravel(), dL_de.ravel())

    # ── the compiled engine ──────────────────────────────────────────────────────────────────────────────

    def kernel_settings(self) -> tuple[float, ...]:
        return (float(len(self.categories)), float(self.size), *map(float, self.categories), *map(float, self.starts))

    # ── other programs ───────────────────────────────────────────────────────────────────────────────────

    def script(self, i: int, *, below: bool, given_delta: bool) -> LayerText:
        columns, size, others = len(self.categories), self.size, self.others
        each, shape = f"(n, {columns}, {size})", f"({sum(self.categories)}, {size})"
        forward: list[Line] = [
            (f"rows{i} = rows_of_codes(a{i}[:, {others}:], {list(self.categories)})", f"(n, {columns}), rows of W{i}"),
            (f"e{i} = W{i}[rows{i}]", each),
            (
                f"a{i + 1} = np.hstack([a{i}[:, :{others}], e{i}.reshape(len(a{i}), {columns * size})])",
                f"(n, {self.outputs})",
            ),
        ]
        backward: list[Line] = [
            ("", f"layer {i}, embedding: dL/dW of a category is the sum over the rows that have it"),
            (f"de{i} = da{i + 1}[:, {others}:].reshape(len(a{i}), {columns}, {size}) / n", each),
            (f"dW{i} = np.zeros_like(W{i})", f"{shape}, like W{i}"),
            (f"np.add.at(dW{i}, rows{i}, de{i})", "adds up where a row comes more than once"),
        ]
        title = f"Embedding, {size} numbers for each category of {columns}"
        return LayerText(title, forward, (f"rows{i}", f"a{i + 1}"), backward, helpers=(_CODES_SOURCE,))

    def onnx(self, graph: Any, x: str) -> str:
        found = []
        for j, (start, count) in enumerate(zip(self.starts, self.categories, strict=True)):
            # each column looks into its own rows: a code beyond them is an error there too, one below 0 counts from
            # the end, and of one that is not whole the whole part is taken
            code = graph.cast(graph.columns(x, np.array([self.others + j])), np.int64)  # (n, 1)
            found.append(graph.op("Gather", graph.constant(self.weight[start : start + count]), code, axis=0))
        e = found[0] if len(found) == 1 else graph.op("Concat", *found, axis=2)  # (n, 1, c · k)
        flat = np.array([0, len(found) * self.size], np.int64)  # a 0 leaves the number of rows
        e = graph.op("Reshape", e, graph.constant(flat, numbers=False))
        if not self.others:
            return str(e)
        return str(graph.op("Concat", graph.columns(x, np.arange(self.others)), e, axis=1))

    # ── the lens ─────────────────────────────────────────────────────────────────────────────────────────

    @property
    def title(self) -> str:
        return "embedding"

    def forward_steps(self, n: int) -> list[Computation]:
        rows, columns, numbers = (n, "samples"), (len(self.categories), "columns"), (self.size, "numbers")
        categories, (_, a) = (sum(self.categories), "categories"), axes(n, self)
        looked_up = "A code is the number of a row: that row of E is taken as it is, and nothing is multiplied."
        beside = "The features without codes stay, and the rows of their categories stand behind them."
        return [
            Computation("e = E[v]", ((categories, numbers), (rows, columns)), (rows, columns, numbers), "", looked_up),
            Computation("a = [x, e]", ((rows, (self.others, "others")), (rows, columns, numbers)), a, "", beside),
        ]

    def backward_steps(self, n: int, *, below: bool, pair: str) -> list[Computation]:
        rows, columns, numbers = (n, "samples"), (len(self.categories), "columns"), (self.size, "numbers")
        categories = (sum(self.categories), "categories")
        reason = "A category learns from the samples that have it, and from no other: what they would change adds up."
        return [
            Computation(
                "dL/dE[v] = Σ_rows with v dL/de",
                ((rows, columns), (rows, columns, numbers)),
                (categories, numbers),
                "samples",
                reason,
            )
        ]

    def through(self, room: dict[str, Array]) -> tuple[str, Array | None]:
        return "through the row of each category", None

    def gradient_factors(
        self, name: str, index: tuple[int, ...], room: dict[str, Array], a_in: Array, delta: Array
    ) -> Factors:
        row, q = index
        j = int(np.searchsorted(self.starts, row, side="right")) - 1
        unit = self.others + j * self.size + q
        has_it = (room["rows"][:, j] == row).astype(delta.dtype)  # 1 in the rows with that category, else 0
        code = row - int(self.starts[j])
        return Factors(has_it, delta[:, unit], f"[a_{self.others + j} = {code}]", f"dL/da_{unit}")

    def __repr__(self) -> str:
        size = "" if self.size == 8 else f", size={self.size}"
        shown = self.categories if len(self.categories) <= 6 else (*self.categories[:5], "…")
        return f"Embedding([{', '.join(map(str, shown))}]{size})"


def _row(settings: Array, j: int, code: Any) -> int:
    """The row of E that a code of column j stands for, or −1 where it is none."""
    if code >= 0 and code < settings[2 + j]:
        row = int(code)
        if row == code:
            return row + int(settings[2 + int(settings[0]) + j])
    return -1


def _forward(
    chain: Any, i: int, a_in: Array, a: Array, w: Array, step: int, activate: Any, start: int, stop: int
) -> None:
    settings, inputs = chain.settings[i], chain.layers[i, INPUTS]
    columns, size = int(settings[0]), int(settings[1])
    others, place = inputs - columns, chain.layers[i, PARAMETERS]
    # a = [x, e_1, …, e_c], e_j = E_j[v_j]
    for n in range(start, stop):
        for j in range(others):
            a[n, j] = a_in[n, j]
        for j in range(columns):
            row = _row(settings, j, a_in[n, others + j])
            first = others + j * size
            for q in range(size):
                # codes are checked before they come here; nothing outside E is read for one that was not
                a[n, first + q] = chain.values[place + row * size + q] if row >= 0 else np.nan


def _backward(
    chain: Any, i: int, a: Array, delta: Array, delta_in: Array, w: Array, below: bool, slopes: bool,
    times_slope: Any, start: int, stop: int,
) -> None:  # fmt: skip
    """A code has no derivative, and no layer stands below that would ask for those of x."""


def _gradient(chain: Any, i: int, part: int, a_in: Array, delta: Array, start: int, stop: int, out: Array) -> None:
    settings, inputs = chain.settings[i], chain.layers[i, INPUTS]
    columns, size = int(settings[0]), int(settings[1])
    dL_dE = matrix(out, 0, stop - start, size)
    # dL/dE_j[v] = Σ_{rows with v_j = v} dL/de_j: in the order of the rows, whichever rows of E are asked for
    for k in range(out.size):
        out[k] = 0
    for n in range(delta.shape[0]):
        for j in range(columns):
            row = _row(settings, j, a_in[n, inputs - columns + j])
            if start <= row < stop:
                first = inputs - columns + j * size
                for q in range(size):
                    dL_dE[row - start, q] += delta[n, first + q]


Embedding.kernel = Kernel(_forward, _backward, _gradient)
