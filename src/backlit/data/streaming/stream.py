"""`Stream`: rows on disk to train on and, where some are held out, to validate on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, final

import numpy as np

from ...exceptions import ConfigurationError
from ...network import Network
from ...parameters import Array
from ...training.history import History
from ..model import Reading, TableModel
from ..preparation import Preparation
from .source import BoundRows, Targets
from .survey import Survey
from .windows import Blocks, in_order


@final
class Stream:
    """Rows that stay on disk: `fit` takes them in place of X and y.

    `backlit.data.stream` makes one. Some of the rows at a time are in memory, in blocks whose order is keyed by the
    network's seed and the epoch; within some 64 blocks that are in memory together, the order of the rows is keyed too.

    Attributes
    ----------
    shape : (int, int)
        Rows to train on, and columns: the network's inputs.
    classes : ndarray or None
        The labels; None where values are learnt.
    held : Stream or None
        The rows held out, for ``fit(…, validation=stream.held)``; the preparation knows nothing of them.
    watched : Stream or None
        Rows to watch training on, which the preparation does know.
    preparation : Preparation or None
        How the columns of a table become inputs; None of an array, whose rows are taken as they are.
    mean, scale : float
        Of the values of a table: v is learnt as (v − mean) / scale. 0 and 1 of an array.
    about : Survey or None
        What the pass over a table has found: columns left out, remarks, counts.
    """

    def __init__(
        self,
        store: Blocks,
        targets: Targets,
        *,
        preparation: Preparation | None = None,
        about: Survey | None = None,
        held: Stream | None = None,
        watched: Stream | None = None,
    ) -> None:
        self._store, self._targets = store, targets
        self.shape = (store.rows, store.layout.width)
        self.classes: Array | None = targets.labels
        self.mean, self.scale = targets.mean, targets.scale
        self.preparation = preparation
        self.about = about
        self.held, self.watched = held, watched

    def bound(self, net: Network) -> tuple[Any, Any, Any]:
        """Rows, targets and weights as the runs of this network take them; see `typing.RowStream`."""
        return BoundRows(self._store, self._targets, net).data

    def model(self, net: Network, history: History | None = None, reading: Reading | None = None) -> TableModel:
        """The model of a table: the network with what prepares its columns, to predict with and to save.

        Raises
        ------
        ConfigurationError
            For a stream of an array, whose network is the model.
        """
        if self.preparation is None or self.about is None:
            raise ConfigurationError("the rows of this stream are no table's: the network itself is the model")
        return TableModel(
            net,
            self.preparation,
            self.about.target,
            self.classes,
            self.mean,
            self.scale,
            reading or Reading(),
            self.about.columns,
            history or History(),
        )

    def pieces(self) -> Iterator[tuple[Array, Array]]:
        """All rows as they lie on disk, in pieces: inputs, and numbers of classes or values in their own units.

        Each piece is good until the next is asked for.
        """
        for X, y, _ in in_order(self._store, lambda y: (y, None)):
            yield X, y

    @property
    def row_targets(self) -> Targets:
        """What the targets are."""
        return self._targets

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        held = "" if self.held is None else f", {len(self.held):,} held out"
        what = "values" if self.classes is None else f"{len(self.classes)} classes"
        return f"Stream({self.shape[0]:,} rows of {self.shape[1]:,} numbers, {what}{held})"


def class_factors(rows: Array) -> Array:
    """What a row of each class weighs so that every class weighs the same, from the rows that each has."""
    there = np.maximum(rows, 1)
    return np.asarray(rows.sum() / (np.count_nonzero(rows) * there), dtype=np.float64)
