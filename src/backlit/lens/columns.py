"""What each column of a table does to a model's predictions: measured with its values permuted, and by gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, final

import numpy as np

from ..checks import positive_whole
from ..data.measures import model_measures
from ..data.model import TableModel
from ..exceptions import TableError
from ..kinds import Embedding, Scale
from ..network import Network
from ..pages import Cell, Page, Table, Words, number, shown
from ..parameters import Array
from ..randomness import keyed_generator

_PIECE: Final = 4096  # rows of a pass
_MOST_SHOWN: Final = 40  # columns on a page


@final
@dataclass(frozen=True)
class ColumnEffect:
    """One column of a table.

    Attributes
    ----------
    name : str
    permuted, spread : float
        By how much the measure rises when the column's values are dealt to other rows: the mean over the repeats, and
        their standard deviation. About 0, or below: the model does not need the column.
    gradient : float
        How far an answer moves, at first order, when the column moves by its spread over the rows: the mean over the
        rows of √Σ (∂s/∂x s_x)², over the inputs x that the column became, s_x being their standard deviation. A column
        that became codes became the numbers that an `Embedding` has for each category.
    """

    name: str
    permuted: float
    spread: float
    gradient: float


@final
@shown
@dataclass(frozen=True)
class ColumnEffects:
    """What every column does; `print` shows it, largest first.

    Attributes
    ----------
    measure : "loss" or "rmse"
    before : float
        On the rows as they are.
    rows : int
    columns : list of ColumnEffect
        In the order of the table.
    answer : str
        What the gradients are of.
    """

    measure: str
    before: float
    rows: int
    columns: list[ColumnEffect]
    answer: str

    def page(self) -> Page:
        """The columns, those whose permutation costs most first."""
        ordered = sorted(self.columns, key=lambda column: -column.permuted)
        rows: list[list[Cell | str]] = [
            [
                Cell(column.name, "" if column.permuted > 2 * column.spread else "dim"),
                f"{column.permuted:+.4g}",
                f"{column.spread:.2g}",
                number(column.gradient, 3),
            ]
            for column in ordered[:_MOST_SHOWN]
        ]
        words = (
            f"permuted: how much the {self.measure} ({number(self.before, 4)} on these {self.rows:,} rows) rises when "
            "the column's values are dealt to other rows, with its standard deviation; dim where chance does as much. "
            f"gradient: how far {self.answer} moves when the column moves by its spread. Columns that say the same "
            "share what they say: one of them permuted costs little."
        )
        table = Table(["column", "permuted", "±", "gradient"], rows, "lrrr")
        rest = len(ordered) - _MOST_SHOWN
        more = [Words(f"… and {rest:,} columns more", "dim")] if rest > 0 else []
        return Page("What each column does", [table, *more, Words(words, "dim")])

    def to_dict(self) -> dict[str, Any]:
        """A plain dictionary, for JSON."""
        return asdict(self)


def column_effects(model: TableModel, table: Any, y: Any, *, repeats: int = 5, seed: int = 0) -> ColumnEffects:
    """Permutation importance and input gradients of every column that a table's model uses.

    Parameters
    ----------
    model : TableModel
    table : data frame of polars or pandas
        Rows that the model has not learnt from, best: of others it knows the answers.
    y : array-like, shape (n_rows,)
        Their labels, or values.
    repeats : int
        Permutations of each column.
    seed : int

    Returns
    -------
    ColumnEffects

    Raises
    ------
    TableError
        No row, or another number of targets.
    ConfigurationError
        A model whose first layer is not dense.

    Notes
    -----
    Breiman, "Random forests" (2001); as scikit-learn's ``permutation_importance`` with the log loss, or the root of the
    mean squared error, where that is given a column that became several inputs as one.

    Examples
    --------
    >>> import polars as pl
    >>> from backlit import TabularClassifier
    >>> table = pl.DataFrame({"a": [0.1 * i for i in range(60)], "noise": [float(i * 37 % 11) for i in range(60)]})
    >>> y = ["low" if i < 30 else "high" for i in range(60)]
    >>> effects = column_effects(TabularClassifier(preset="fast").fit(table, y).model_, table, y)
    >>> [column.name for column in effects.columns], effects.columns[0].permuted > 3 * effects.columns[1].permuted
    (['a', 'noise'], True)
    """
    positive_whole("repeats", repeats)
    X, y = model.prepare(table), np.asarray(y)
    if len(X) == 0 or y.shape != (len(X),):
        raise TableError(f"{len(X)} rows need as many targets, at least one: received targets of shape {y.shape}")
    sources = np.array(model.preparation.sources())
    measure = "rmse" if model.classes is None else "loss"
    before = _measured(model, X, y)
    behind = behind_codes(model, X)
    moves = np.abs(input_gradients(model, X)) * behind.X.std(axis=0)
    columns = []
    for name in model.preparation.kinds:
        inputs = np.flatnonzero(sources == name)
        kept = X[:, inputs].copy()
        rises = []
        for repeat in range(repeats):
            # the same rows for every column: columns are then compared on equal terms
            X[:, inputs] = kept[keyed_generator(seed, "sampling", repeat).permutation(len(X))]
            rises.append(_measured(model, X, y) - before)
        X[:, inputs] = kept
        gradient = float(np.sqrt((moves[:, behind.sources == name] ** 2).sum(axis=1)).mean())
        columns.append(ColumnEffect(name, float(np.mean(rises)), float(np.std(rises)), gradient))
    return ColumnEffects(measure, before, len(X), columns, _answer(model))


def _measured(model: TableModel, X: Array, y: Array) -> float:
    return model_measures(model, model.network.forward(X), y)["rmse" if model.classes is None else "loss"]


def _answer(model: TableModel) -> str:
    return "the value predicted" if model.classes is None else "the logarithm of the probability of the class predicted"


@final
@dataclass(frozen=True)
class Behind:
    """A network without the `Embedding` that it begins with, if it does: a code has no derivative, its numbers have.

    Attributes
    ----------
    net : Network
    X : ndarray, shape (n, inputs)
        What it takes for the same rows: numbers in the place of codes.
    sources : ndarray of str, shape (inputs,)
        The column of the table that each of these comes from.
    """

    net: Network
    X: Array
    sources: Array


def behind_codes(model: TableModel, X: Array) -> Behind:
    """A model's network, and what it takes, behind the codes of categories."""
    net, sources = model.network, np.array(model.preparation.sources())
    first = net.layers[0]
    if not isinstance(first, Embedding):
        return Behind(net, X, sources)
    e = first.weight[first.rows_of(X)]  # (n, c, k)
    rest = Network(
        net.layers[1:], inputs=first.outputs, loss=net.loss_function, dtype=net.dtype,
        values=net.parameters.state[first.weight.size :],
    )  # fmt: skip
    numbers, codes = sources[: first.others], sources[first.others :]
    return Behind(
        rest, np.hstack([X[:, : first.others], e.reshape(len(X), -1)]), np.append(numbers, codes.repeat(first.size))
    )


def input_gradients(model: TableModel, X: Array) -> Array:
    """∂s/∂x for each input x of each row, shape (n, inputs): of codes, for each of the numbers of their category.

    s is the logarithm of the probability of the class predicted, or the value predicted in the target's own units. By
    the network's own backward pass: −log p is its loss where the class predicted is the target, and ½(a − y)² has the
    slope 1 in a where the target y is a − 1.
    """
    behind = behind_codes(model, X)
    given, X = behind.net, behind.X
    # behind a layer that hands its input on, dL/da of what it gives is dL/dx
    state = np.concatenate([np.ones(given.inputs), given.parameters.state])
    net = Network(
        [Scale(), *given.layers], inputs=given.inputs, loss=given.loss_function, dtype="float64",
        input_scale=given.input_scale, values=state,
    )  # fmt: skip
    found = np.empty(X.shape, np.float64)
    for start in range(0, len(X), _PIECE):
        rows = slice(start, start + _PIECE)
        found[rows] = _piece(net, X[rows].astype(np.float64), classes=model.classes is not None)
    found *= given.input_scale
    return found if model.classes is not None else found * model.scale


def _piece(net: Network, X: Array, *, classes: bool) -> Array:
    work = net.workspace(len(X))
    work.load(X)
    a = net.forward_pass(work)  # (n, outputs), without dropout
    if not classes:
        target = a - 1.0
    elif net.outputs == 1:
        target = (a > 0.5).astype(np.float64)
    else:
        target = np.eye(net.outputs)[a.argmax(axis=1)]
    work.load(X, target)
    net.backward_pass(work)
    # dL/dx: s = −L for classes, and L rises as the value does
    return np.asarray(-work.delta[0] if classes else work.delta[0])


# ── one row ──────────────────────────────────────────────────────────────────────────────────────────────────


@final
@shown
@dataclass(frozen=True)
class RowEffects:
    """What the columns of one row do to its prediction, at first order.

    Attributes
    ----------
    told : str
        What the gradients are of.
    columns : list of (str, float, float)
        Name; gradient times input, Σ ∂s/∂x x over the inputs of the column; and the size of the gradient, √Σ (∂s/∂x)².
    """

    told: str
    columns: Sequence[tuple[str, float, float]]

    def page(self) -> Page:
        """The columns, the largest products first."""
        ordered = sorted(self.columns, key=lambda column: -abs(column[1]))
        rows: list[list[Cell | str]] = [
            [name, Cell(f"{product:+.3g}", "good" if product > 0 else "poor" if product < 0 else ""), number(size, 3)]
            for name, product, size in ordered[:_MOST_SHOWN]
        ]
        words = (
            f"Of {self.told}. An input is 0 where a number is the mean, or a category absent; where a category has "
            "learnt numbers of its own, they are the inputs. gradient × input says what the column's being otherwise "
            "contributes at first order (Shrikumar et al., 2016); gradient is how steep the answer is there."
        )
        return Page(
            "What each column does here",
            [Table(["column", "gradient × input", "gradient"], rows, "lrr"), Words(words, "dim")],
        )

    def to_dict(self) -> dict[str, Any]:
        """A plain dictionary, for JSON."""
        return {"told": self.told, "columns": [list(column) for column in self.columns]}


def row_effects(model: TableModel, x: Array) -> RowEffects:
    """What each column of one prepared row, shape (inputs,), does to its prediction.

    Examples
    --------
    >>> import polars as pl
    >>> from backlit import TabularRegressor
    >>> table = pl.DataFrame({"a": [0.1 * i for i in range(40)], "noise": [float(i * 37 % 11) for i in range(40)]})
    >>> model = TabularRegressor(preset="fast").fit(table, [3.0 * 0.1 * i for i in range(40)]).model_
    >>> name, product, _ = row_effects(model, model.prepare(table)[0]).columns[0]
    >>> name, product < -2.0                              # the first row has the smallest a, and a small value
    ('a', True)
    """
    g = input_gradients(model, x[None, :])[0]  # (inputs,)
    behind = behind_codes(model, x[None, :])
    found = []
    for name in model.preparation.kinds:
        inputs = behind.sources == name
        found.append((name, float(g[inputs] @ behind.X[0, inputs]), float(np.linalg.norm(g[inputs]))))
    return RowEffects(_answer(model), found)
