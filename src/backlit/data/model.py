"""A table's model: how its file is read, how its columns are prepared, and the network behind them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, final

import numpy as np

from ..checks import check_outputs
from ..network import Network
from ..parameters import Array
from ..training.history import History
from .frames import as_frame
from .preparation import Preparation


@final
@dataclass(frozen=True)
class Reading:
    """How a file of rows is to be read; saved with the model, so that later files are read in the same way."""

    header: bool = True
    missing: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    delimiter: str | None = None
    decimal: str | None = None


@final
@dataclass
class TableModel:
    """What `backlit train` makes of a table, and `backlit.load` gives back.

    Attributes
    ----------
    network : Network
    preparation : Preparation
        From the columns of the table to the network's inputs.
    target : str
        The name of the column that is predicted.
    classes : ndarray or None
        The labels, in the order of the probabilities; None for regression.
    mean, scale : float
        Of the target of a regression: the network's output o stands for mean + scale · o.
    reading : Reading
    columns : tuple of str
        All columns of the table for training, in their order, the target and what was left out too.
    history : History
    optimizer, learning_rate : str, float
        What trained the network: a name of `--optimizer`, and its learning rate.

    Examples
    --------
    >>> import polars as pl
    >>> from backlit import Dense
    >>> table = pl.DataFrame({"age": [20.0, 40.0], "town": ["Rome", "Oslo"]})
    >>> preparation = Preparation.learn(table, {"age": "numeric", "town": "categorical"})
    >>> net = Network([Dense(1)], inputs=3)
    >>> TableModel(net, preparation, "price", mean=5.0).predict(table).shape
    (2,)
    """

    network: Network
    preparation: Preparation
    target: str
    classes: Array | None = None
    mean: float = 0.0
    scale: float = 1.0
    reading: Reading = field(default_factory=Reading)
    columns: tuple[str, ...] = ()
    history: History = field(default_factory=History)
    optimizer: str = "adam"
    learning_rate: float = 0.001

    @property
    def task(self) -> str:
        return "regression" if self.classes is None else "classification"

    def prepare(self, table: Any) -> Array:
        """The network's inputs, shape (n_rows, inputs), from a polars or pandas data frame."""
        return self.preparation.apply(as_frame(table), dtype=self.network.dtype)

    def predict(self, table: Any) -> Array:
        """The class, or the value, of each row of a polars or pandas data frame, shape (n_rows,)."""
        if self.classes is None:
            return self.values(self.network.forward(self.prepare(table)))
        return np.asarray(self.classes[self.predict_proba(table).argmax(axis=1)])

    def predict_proba(self, table: Any) -> Array:
        """The probability of each class, shape (n_rows, classes)."""
        return self.probabilities(self.network.forward(self.prepare(table)))

    def probabilities(self, outputs: Array) -> Array:
        """One output stands for the probability of the second class."""
        return outputs if outputs.shape[1] > 1 else np.hstack([1.0 - outputs, outputs])

    def values(self, outputs: Array) -> Array:
        """Outputs of a regression in the target's own units, shape (n_rows,)."""
        with np.errstate(over="ignore"):
            values = np.asarray(outputs[:, 0].astype(np.float64) * self.scale + self.mean)
        check_outputs(values)
        return values

    def encode(self, y: Array) -> Array:
        """Labels as numbers of their classes, values as the network has them."""
        if self.classes is None:
            return np.asarray((y - self.mean) / self.scale)
        order = np.argsort(self.classes, kind="stable")
        return np.asarray(order[np.searchsorted(self.classes, y, sorter=order)])
