"""A table's model: how its file is read, how its columns are prepared, and the network behind them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np

from ..checks import check_outputs
from ..exceptions import ConfigurationError
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
    errors : ndarray or None
        Of a regression: how far predictions were from the values of rows that had not been learnt from, in ascending
        order; at most 1,000 of them.

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
    errors: Array | None = None

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

    def half_width(self, level: float) -> float:
        """What is to be taken from a prediction, and added, for an interval that holds a share `level` of the values.

        The ⌈(m + 1) level⌉-th of the m errors of rows that were not learnt from: split conformal prediction. Vovk,
        Gammerman & Shafer (2005); for rows drawn as those of the training file were, whatever their distribution.

        Raises
        ------
        ConfigurationError
            A level outside 0 to 1, a classifier, a model that knows no errors, or too few of them for the level.
        """
        if not 0.0 < level < 1.0:
            raise ConfigurationError(f"the level of an interval must lie between 0 and 1, received {level!r}")
        if self.classes is not None:
            raise ConfigurationError("an interval is for values, and this model predicts classes: leave it out")
        m = 0 if self.errors is None else len(self.errors)
        rank = math.ceil((m + 1) * level - 1e-9)
        if self.errors is None or rank > m:
            known = "none" if not m else f"{m}, enough for a level of {m / (m + 1):.3g}"
            raise ConfigurationError(
                f"an interval of level {level:g} needs errors on more rows not learnt from, and the model knows "
                f"{known}: train it anew, on more rows"
            )
        return float(self.errors[rank - 1])

    def encode(self, y: Array) -> Array:
        """Labels as numbers of their classes, values as the network has them."""
        if self.classes is None:
            return np.asarray((y - self.mean) / self.scale)
        order = np.argsort(self.classes, kind="stable")
        return np.asarray(order[np.searchsorted(self.classes, y, sorter=order)])
