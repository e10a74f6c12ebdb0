"""From the columns of a table to its model: prepared, learnt by several networks, calibrated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

import numpy as np

from ..exceptions import TableError
from ..kinds import Dense, Dropout, Embedding, Layer, NumericEmbedding
from ..network import Network
from ..parameters import Array
from .columns import Kind
from .members import Rows, Running, Trained, temperature, train_members
from .merging import with_output
from .model import TableModel
from .preparation import Preparation
from .recipe import CODED, SPREAD, WAVES, Recipe

if TYPE_CHECKING:
    import polars as pl

#: Errors that a model remembers: enough for an interval of any level that is asked for.
MOST_ERRORS: Final = 1_000


@final
@dataclass(frozen=True)
class Learnt:
    """A table's model, and what is known of how good it is.

    Attributes
    ----------
    model : TableModel
    members : int
        Networks in it.
    seen : ndarray of bool, shape (n_rows,)
        Rows that all members have learnt from.
    outputs : ndarray, shape (other rows, outputs)
        What each of the others got from the members that have not learnt from it, as the network gives it.
    """

    model: TableModel
    members: int
    seen: Array
    outputs: Array


def learn_table(
    model: TableModel,
    X: Array,
    y: Array,
    recipe: Recipe,
    *,
    seed: int,
    weight: Array | None = None,
    running: Running | None = None,
) -> Learnt:
    """Train the networks of a recipe on prepared rows, and put them into the model.

    Parameters
    ----------
    model : TableModel
        As `new_model` makes it; its network and history are replaced.
    X : ndarray, shape (n_rows, inputs)
    y : ndarray, shape (n_rows,)
        Labels, or values in the target's own units.
    recipe : Recipe
    seed : int
    weight : ndarray, shape (n_rows,), optional
        Of the rows.
    running : Running, optional

    Raises
    ------
    TableError
        Rows of a single class.
    """
    classes = model.classes
    if classes is not None and len(np.unique(y)) < 2:
        raise TableError(f"the rows to train on hold only one class, {y[:1].tolist()[0]!r}: at least two are needed")
    targets = model.encode(y)
    rows, outputs = Rows(X, targets, weight, classes is not None), 1 if classes is None else len(classes)
    codes, columns, tried = model.preparation.codes, model.preparation.numbers_width, None
    make = network_maker(X.shape[1], outputs, recipe, classes=rows.classes, codes=codes)
    if recipe.embedded and columns:
        tried = network_maker(X.shape[1], outputs, recipe, classes=rows.classes, codes=codes, columns=columns)
    trained = train_members(make, rows, recipe, seed, running, tried=tried)
    seen = ~trained.watched
    model.network, model.history = trained.network, trained.history
    unseen = trained.unseen
    if classes is not None:
        unseen = _calibrated(model, trained, targets, weight)
    elif not seen.all():
        model.errors = known_errors(model.values(unseen) - y[~seen])
    return Learnt(model, trained.members, seen, unseen)


def known_errors(differences: Array) -> Array:
    """The errors that a model remembers, in ascending order."""
    errors = np.sort(np.abs(differences))
    some = np.linspace(0, len(errors) - 1, min(len(errors), MOST_ERRORS)).round().astype(np.int64)
    return errors[some]


def new_model(
    features: pl.DataFrame,
    kinds: Mapping[str, Kind],
    y: Array,
    target: str,
    *,
    classes: Array | None,
    rows: Array | None = None,
) -> TableModel:
    """A model that knows how the columns are prepared, and has learnt nothing else yet.

    Parameters
    ----------
    features : polars.DataFrame
    kinds : mapping
        The columns that are used, with their kinds.
    y : ndarray, shape (n_rows,)
    target : str
        Its name.
    classes : ndarray or None
        The labels; None for a regression.
    rows : ndarray of int, optional
        The rows to learn from, all of them unless given.
    """
    preparation = Preparation.learn(features, kinds, rows, coded=True)
    net = Network([Dense(1)], inputs=preparation.width)
    model = TableModel(net, preparation, target, classes)
    if classes is None:
        known = y if rows is None else y[rows]
        model.mean, model.scale = float(known.mean()), float(known.std()) or 1.0
    return model


def network_maker(
    inputs: int, outputs: int, recipe: Recipe, *, classes: bool, codes: Sequence[int] = (), columns: int = 0
) -> Callable[[int], Network]:
    """New networks by their seeds: hidden layers as the recipe has them, and a softmax or one linear output.

    The last of the inputs are `codes` of so many categories each, the last of which stands for all that are not known:
    see `knowing_nothing`. The first `columns` of the inputs are embedded.
    """
    layers: list[Layer] = [Embedding(codes, CODED)] if codes else []
    if columns:
        layers.append(NumericEmbedding(recipe.embedded, frequencies=WAVES, scale=SPREAD, columns=columns))
    for units in recipe.hidden:
        layers.append(Dense(units, recipe.activation, bias_init="glorot_uniform"))
        if recipe.dropout:
            layers.append(Dropout(recipe.dropout))
    layers.append(Dense(outputs, "softmax" if classes else "identity"))
    loss = "cross_entropy" if classes else "squared_error"

    def make(seed: int) -> Network:
        return knowing_nothing(Network(layers, inputs=inputs, loss=loss, seed=seed))

    return make


def knowing_nothing(net: Network) -> Network:
    """A new network of a table, with 0 for the categories that are not known: where no row has one, it stays there.

    Examples
    --------
    >>> net = knowing_nothing(Network([Embedding([3, 2], size=1), Dense(1)], inputs=2, seed=0))
    >>> np.flatnonzero(net.parameters.view("0.weight")[:, 0] == 0.0)
    array([2, 4])
    """
    codes = net.layers[0].categories
    if codes:
        net.parameters.view("0.weight")[np.cumsum(codes) - 1] = 0.0
    return net


def _calibrated(model: TableModel, trained: Trained, y: Array, weight: Array | None) -> Array:
    """Divide the last z by the temperature that the rows watched ask for; the probabilities of these rows."""
    z = trained.unseen
    t = calibrate(model, z, y[trained.watched], None if weight is None else weight[trained.watched])
    e = np.exp((z - z.max(axis=1, keepdims=True)) / t)
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def calibrate(model: TableModel, z: Array, y: Array, weight: Array | None) -> float:
    """Divide the last z by the temperature that rows not learnt from ask for, and return it."""
    t = temperature(z, y, weight)
    model.network = with_output(model.network, "softmax", 1.0 / t)
    return t
