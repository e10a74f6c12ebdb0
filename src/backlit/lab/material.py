"""What a network learns from on the page: rows ready for it, divided, and what they stand for."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal, final

import numpy as np

from ..data.builtin import ABOUT, Dataset, load
from ..data.columns import Kind
from ..data.model import Reading
from ..data.preparation import Preparation
from ..data.split import split_rows
from ..exceptions import ConfigurationError, ShapeError, TableError
from ..network import Network
from ..parameters import Array
from ..training.predicted import predicted_index, predicted_index_of_targets
from .crossing import crossed
from .settings import FILE, DataSettings, Settings

if TYPE_CHECKING:
    import polars as pl

Task = Literal["classification", "regression"]
Extent = tuple[float, float, float, float]

FEWEST_DIVIDED: Final = 10  # rows below which none are held out
_PLAYGROUND: Final = 6.0  # the plane reaches from −6 to 6 at least
_SMALLEST_PICTURE: Final = 8  # pixels of a side
_PIXEL: Final = 16.0  # of scikit-learn's digits, the largest


@final
@dataclass(frozen=True, eq=False)
class TableParts:
    """What makes a network the model of a table: see `backlit.TableModel`."""

    preparation: Preparation
    target: str
    classes: Array | None
    mean: float = 0.0
    scale: float = 1.0
    reading: Reading = field(default_factory=Reading)
    columns: tuple[str, ...] = ()


@final
@dataclass(frozen=True, eq=False)
class Material:
    """Rows for training and for testing, and what they stand for.

    Attributes
    ----------
    X_train, X_test : ndarray of float64, shape (n, inputs)
        As the network takes them.
    y_train, y_test : ndarray, shape (n,) or (n, outputs)
        Class numbers from 0 (int64), or values (float64).
    input_names : tuple of str
    value_names : tuple of str
        Of what is predicted where that is values: one name an output.
    classes : tuple of str or None
        What the class numbers stand for; None for values.
    title, description : str
    raw_train, raw_test : ndarray of float64, shape (n, 2), or None
        The points, where the inputs are places in the plane, before features are made of them.
    extent : (x1 from, to, x2 from, to)
        Of the plane that is shown.
    features : tuple of str
        What is made of a point; empty where it goes into the network as it is.
    image : (height, width) or None
        Where the inputs are pixels.
    table : TableParts or None
        Where the inputs were made of a table's columns.
    labels : ndarray or None
        The classes as the data has them, in the order of their numbers.
    columns : tuple of str
        All columns of the table that was read, the target too.
    again : callable or None
        The same data, divided as other settings say; of data from outside.
    """

    X_train: Array
    y_train: Array
    X_test: Array
    y_test: Array
    input_names: tuple[str, ...]
    value_names: tuple[str, ...]
    classes: tuple[str, ...] | None
    title: str
    description: str
    raw_train: Array | None = None
    raw_test: Array | None = None
    extent: Extent = (-_PLAYGROUND, _PLAYGROUND, -_PLAYGROUND, _PLAYGROUND)
    features: tuple[str, ...] = ()
    image: tuple[int, int] | None = None
    table: TableParts | None = None
    labels: Array | None = None
    columns: tuple[str, ...] = ()
    again: Callable[[DataSettings], Material] | None = None

    @property
    def task(self) -> Task:
        return "regression" if self.classes is None else "classification"

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the outputs that the task asks for: a single one tells two classes apart."""
        if self.classes is None:
            return self.value_names
        return self.classes[1:] if len(self.classes) == 2 else self.classes

    def names_of_outputs(self, net: Network) -> tuple[str, ...]:
        """A name for each output of a network that may have others than the task asks for."""
        for names in (self.output_names, self.classes or ()):
            if len(names) == net.outputs:
                return names
        return tuple(f"output {k}" for k in range(net.outputs))

    def cross(self, points: Array) -> Array:
        """What the network takes at places in the plane, shape (n, inputs), from (n, 2)."""
        return crossed(points, self.features) if self.features else points

    def target_text(self, values: Array) -> str:
        """A row of targets in words: the class, or the value in its own units."""
        return self._text(values, predicted_index_of_targets(np.atleast_2d(values)))

    def output_text(self, net: Network, values: Array) -> str:
        """A row of outputs in words: the predicted class, or the value in its own units."""
        return self._text(values, predicted_index(net, np.atleast_2d(values)))

    def _text(self, values: Array, index: Array) -> str:
        row = np.atleast_2d(values)
        if self.classes is not None and len(self.classes) == max(2, row.shape[1]):
            return self.classes[int(index[0])]
        mean, scale = (0.0, 1.0) if self.table is None else (self.table.mean, self.table.scale)
        return ", ".join(f"{value * scale + mean:.4g}" for value in row[0])


def material_of(settings: Settings, given: Material | None = None) -> Material:
    """The data that settings ask for: a built-in set, or what was given from outside.

    Raises
    ------
    ConfigurationError
        For data from outside where there is none.

    Examples
    --------
    >>> material = material_of(Settings.from_json({"data": {"name": "spiral", "features": ["x1", "x2", "sin x1"]}}))
    >>> material.X_train.shape, material.X_test.shape, material.input_names
    ((200, 3), (200, 3), ('x1', 'x2', 'sin x1'))
    """
    data = settings.data
    if data.name == FILE:
        if given is None or given.again is None:
            raise ConfigurationError("there is no file yet: upload one, or choose another set of data")
        return given.again(data)
    about = ABOUT[data.name]
    held = load(data.name, rows=data.rows, noise=data.noise, seed=data.seed) if about.drawn else load(data.name)
    if about.kind == "plane":
        return _plane(held, data, about.title)
    if about.kind == "image":
        material = divided(held.X / _PIXEL, held.y, held.feature_names, held.class_names, data)
        side = int(np.sqrt(held.X.shape[1]))
        return replace(material, title=about.title, description=held.description, image=(side, side))
    if len(held.y) < FEWEST_DIVIDED:
        material = divided(held.X, held.y, held.feature_names, held.class_names, data)
        return replace(material, title=about.title, description=held.description)
    return replace(_builtin_table(held, data), title=about.title, description=held.description)


def _plane(held: Dataset, data: DataSettings, title: str) -> Material:
    """Points as they are, or crossed: the network takes coordinates, as in the Playground."""
    largest = float(np.abs(held.X).max())
    reach = _PLAYGROUND if largest <= _PLAYGROUND else 1.05 * largest
    train, test = division(held.y, held.class_names is not None, data)
    raw_train, raw_test = held.X[train], held.X[test]
    return Material(
        X_train=crossed(raw_train, data.features),
        y_train=held.y[train],
        X_test=crossed(raw_test, data.features),
        y_test=held.y[test],
        input_names=data.features,
        value_names=("y",),
        classes=held.class_names,
        title=title,
        description=held.description,
        raw_train=raw_train,
        raw_test=raw_test,
        extent=(-reach, reach, -reach, reach),
        features=data.features,
        labels=None if held.class_names is None else np.array(held.class_names),
    )


def _builtin_table(held: Dataset, data: DataSettings) -> Material:
    import polars as pl

    frame = pl.DataFrame(dict(zip(held.feature_names, held.X.T, strict=True)))
    y = held.y if held.class_names is None else np.array(held.class_names)[held.y]
    kinds: dict[str, Kind] = dict.fromkeys(held.feature_names, "numeric")
    labels = None if held.class_names is None else np.array(held.class_names)
    return prepared(frame, y, kinds, labels, "y", data)


def division(y: Array, classes: bool, data: DataSettings) -> tuple[Array, Array]:
    """Rows for training and rows for testing; of a few rows, all are for training."""
    if not data.held_out or len(y) < FEWEST_DIVIDED:
        return np.arange(len(y)), np.arange(0)
    return split_rows(len(y), data.held_out, seed=data.seed, labels=y if classes else None)


def divided(
    X: Array, y: Array, names: tuple[str, ...], classes: tuple[str, ...] | None, data: DataSettings
) -> Material:
    """Numbers that a network takes as they are, divided."""
    train, test = division(y, classes is not None, data)
    outputs = y.shape[1] if y.ndim == 2 else 1
    return Material(
        X_train=X[train],
        y_train=y[train],
        X_test=X[test],
        y_test=y[test],
        input_names=names,
        value_names=("y",) if outputs == 1 else tuple(f"y{k}" for k in range(outputs)),
        classes=classes,
        title="",
        description="",
        labels=None if classes is None else np.array(classes),
    )


def prepared(
    features: pl.DataFrame, y: Array, kinds: dict[str, Kind], labels: Array | None, target: str, data: DataSettings
) -> Material:
    """A table divided, its columns prepared by what its rows for training say, its values standardised.

    `labels` are the classes that y holds, in the order of their numbers; None for values.
    """
    train, test = division(y, labels is not None, data)
    preparation = Preparation.learn(features, kinds, train)
    mean, scale = 0.0, 1.0
    if labels is None:
        mean, scale = float(y[train].mean()), float(y[train].std()) or 1.0
        y = (y - mean) / scale
    else:
        order = np.argsort(labels, kind="stable")
        y = order[np.searchsorted(labels, y, sorter=order)].astype(np.int64)
        if len(np.unique(y[train])) < 2:
            raise TableError(f"the rows to train on hold only one class, {labels[y[train][0]]!s}: give more rows")
    X_train, X_test = (preparation.apply(features, rows) for rows in (train, test))
    return Material(
        X_train=X_train,
        y_train=y[train],
        X_test=X_test,
        y_test=y[test],
        input_names=tuple(preparation.names()),
        value_names=(target,),
        classes=None if labels is None else tuple(map(str, labels)),
        title="",
        description="",
        table=TableParts(preparation, target, labels, mean, scale),
        labels=labels,
        **flat(X_train, X_test),
    )


def from_arrays(net: Network, X: Any, y: Any, names: Sequence[str] | None = None) -> Material:
    """Arrays that a network takes, with y in any form that it takes: nothing is prepared, the rows are divided.

    Parameters
    ----------
    net : Network
    X, y : array_like
        As for `fit`.
    names : sequence of str, optional
        Of the columns of X; x1, x2, … unless given.

    Raises
    ------
    ShapeError, LabelError, NonFiniteError, DataError
        Where X and y do not fit the network.

    Examples
    --------
    >>> from backlit import Dense
    >>> net = Network([Dense(2, "softmax")], inputs=3, loss="cross_entropy")
    >>> from_arrays(net, [[0, 0, 1], [1, 1, 0]], ["no", "yes"]).classes
    ('no', 'yes')
    """
    X = net.check_inputs(X)
    Y, classes = net.encode(y, len(X))
    if names is not None and len(names) != net.inputs:
        raise ShapeError(f"names must be {net.inputs}, one for each column of X, received {len(names)} of them")
    columns = tuple(names or (f"x{i + 1}" for i in range(net.inputs)))
    labels = _labels(net, Y, classes)
    values = Y.astype(np.float64)[:, 0] if Y.shape[1] == 1 else Y.astype(np.float64)
    target = values if labels is None else predicted_index_of_targets(Y)
    texts = None if labels is None else tuple(map(str, labels))
    side = math.isqrt(net.inputs)
    pixels = side * side == net.inputs and side >= _SMALLEST_PICTURE and bool((X >= 0).all())

    def again(data: DataSettings) -> Material:
        material = divided(X, target, columns, texts, data)
        return replace(
            material,
            title="Your data",
            description=f"{len(X):,} rows of {net.inputs} numbers",
            labels=labels,
            image=(side, side) if pixels else None,
            again=again,
            **flat(material.X_train, material.X_test),
        )

    return again(DataSettings())


def _labels(net: Network, Y: Array, classes: Array | None) -> Array | None:
    """The classes that targets stand for; None where they are values."""
    tells = net.output_layer.activation.probabilities or net.loss_function.targets == "classes"
    one_each = bool(((Y == 0.0) | (Y == 1.0)).all()) and (Y.shape[1] == 1 or bool((Y.sum(axis=1) == 1.0).all()))
    if not tells or not one_each:
        return None
    known = classes if net.classes is None else net.classes
    return np.arange(max(2, Y.shape[1])) if known is None else known


def flat(X_train: Array, X_test: Array) -> dict[str, Any]:
    """The fields of inputs that are places in the plane, where there are two of them."""
    if X_train.shape[1] != 2:
        return {}
    every = np.concatenate([X_train, X_test])
    low, high = every.min(axis=0), every.max(axis=0)
    room = np.where(high > low, 0.1 * (high - low), 1.0)
    (x0, y0), (x1, y1) = (low - room).tolist(), (high + room).tolist()
    return {"raw_train": X_train, "raw_test": X_test, "extent": (x0, x1, y0, y1)}
