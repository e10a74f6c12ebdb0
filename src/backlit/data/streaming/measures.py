"""How good predictions are, over rows that come in pieces: as `data.measures`, with sums in place of arrays."""

from __future__ import annotations

from typing import Any, Final, final

import numpy as np

from ...parameters import Array
from ..measures import RARE
from .sketch import Moments

_DIGITS: Final = 12  # binary digits of a score that are told apart
#: Classes up to which it is counted which is taken for which.
MOST_CONFUSED: Final = 1_000
_CELLS: Final = 2 ** (8 + _DIGITS)  # of the exponents of float32, and these digits


@final
class ClassMeasures:
    """Loss, accuracy, the confusion matrix; of two classes what tells where one is rare.

    The area under the ROC curve and the average precision are those of scores rounded to 12 binary digits, which
    counts scores that differ by less than 0.03 % as equal.

    Examples
    --------
    >>> measures = ClassMeasures(2)
    >>> p = np.array([0.1, 0.4, 0.35, 0.8])
    >>> measures.add(np.stack([1 - p, p], axis=1), np.array([0, 0, 1, 1]))
    >>> {name: round(value, 4) for name, value in measures.in_full().items() if name != "confusion"}
    {'loss': 0.4723, 'accuracy': 0.75, 'balanced_accuracy': 0.75, 'roc_auc': 0.75, 'average_precision': 0.8333}
    """

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self._loss = 0.0
        self.rows = self._right = 0
        some = classes if classes <= MOST_CONFUSED else 0
        self._counts = np.zeros((some, some), dtype=np.int64)
        self._scores: Array | None = None  # (2, cells) of the second class: rows of each class with this score

    def add(self, probability: Array, index: Array, *, scores: bool = True) -> None:
        """Take rows: probabilities, shape (n, classes), and the numbers of the right classes."""
        k = self._classes
        right = probability[np.arange(len(index)), index].astype(np.float64)
        self._loss += float(-np.log(np.clip(right, 1e-300, 1.0)).sum())
        predicted = probability.argmax(axis=1)
        self.rows += len(index)
        self._right += int((predicted == index).sum())
        if self._counts.size:
            self._counts += np.bincount(index.astype(np.int64) * k + predicted, minlength=k * k).reshape(k, k)
        if k == 2 and scores:
            if self._scores is None:
                self._scores = np.zeros((2, 2, _CELLS), dtype=np.int64)
            for j in (0, 1):
                cells = probability[:, j].astype(np.float32).view(np.uint32) >> np.uint32(23 - _DIGITS)
                for true in (0, 1):
                    self._scores[j, true] += np.bincount(cells[index == true], minlength=_CELLS)

    @property
    def is_imbalanced(self) -> bool:
        """Whether one of two classes has less than a tenth of the rows."""
        return self._classes == 2 and self.rows > 0 and float(self._counts.sum(axis=1).min()) < RARE * self.rows

    def in_short(self) -> dict[str, float]:
        """Loss and accuracy."""
        return {"loss": self._loss / self.rows, "accuracy": self._right / self.rows}

    def in_full(self) -> dict[str, Any]:
        """All there is to measure."""
        found: dict[str, Any] = self.in_short()
        if self._scores is not None and (of_class := self._counts.sum(axis=1)).min() > 0:
            recall = np.diag(self._counts) / of_class
            rarer = int(of_class[1] * 2 <= self.rows)
            cells = self._scores[rarer]
            found["balanced_accuracy"] = float(recall.mean())
            found["roc_auc"] = _area_under_roc(cells[rarer], cells[1 - rarer])
            found["average_precision"] = _average_precision(cells[rarer], cells[1 - rarer])
        return {**found, "confusion": self._counts.tolist()} if self._counts.size else found


def _area_under_roc(positive: Array, negative: Array) -> float:
    """The share of pairs, one of each class, in which the positive row has the larger score; equal ones count half."""
    below = np.cumsum(negative) - negative
    return float((positive * (below + negative / 2.0)).sum() / (positive.sum() * negative.sum()))


def _average_precision(positive: Array, negative: Array) -> float:
    """Σ over thresholds of (recall − recall before) · precision, from the largest score down."""
    found = np.cumsum(positive[::-1])
    shown = np.cumsum((positive + negative)[::-1])
    precision = found / np.maximum(shown, 1)
    return float((positive[::-1] * precision).sum() / positive.sum())


@final
class ValueMeasures:
    """Half the mean squared error, R², and the errors in the target's own units.

    Examples
    --------
    >>> measures = ValueMeasures()
    >>> measures.add(np.array([1.0, 3.0]), np.array([1.0, 2.0]))
    >>> measures.in_short()
    {'loss': 0.25, 'r2': -1.0, 'rmse': 0.7071067811865476, 'mae': 0.5}
    """

    def __init__(self) -> None:
        self._targets = Moments()
        self._squares = self._absolute = 0.0

    def add(self, predicted: Array, y: Array) -> None:
        """Take rows: predictions and values, shape (n,)."""
        difference = predicted.astype(np.float64) - y
        self._squares += float(np.square(difference).sum())
        self._absolute += float(np.abs(difference).sum())
        self._targets.add(y)

    @property
    def rows(self) -> int:
        return self._targets.count

    @property
    def is_imbalanced(self) -> bool:
        """There are no classes of which one could be rare."""
        return False

    def in_short(self) -> dict[str, float]:
        """All there is to measure."""
        error, spread = self._squares / self.rows, self._targets.squares / self.rows
        r2 = 1.0 - error / spread if spread else float(error == 0.0)
        return {"loss": 0.5 * error, "r2": r2, "rmse": error**0.5, "mae": self._absolute / self.rows}

    def in_full(self) -> dict[str, Any]:
        """The same."""
        return self.in_short()


@final
class Baseline:
    """What a constant answer reaches: one class; or one value, and another for the absolute error.

    Examples
    --------
    >>> baseline = Baseline(2.0, 1.0)
    >>> baseline.add(np.array([1.0, 2.0, 3.0]))
    >>> baseline.in_short()["mae"], Baseline(1).in_short()
    (1.0, {'accuracy': 0.0})
    """

    def __init__(self, answer: float, middle: float | None = None) -> None:
        self._answer, self._middle = answer, middle
        self._rows = self._right = 0
        self._values, self._absolute = ValueMeasures(), ValueMeasures()

    def add(self, y: Array) -> None:
        """Take the numbers of classes, or the values, of rows, shape (n,)."""
        self._rows += len(y)
        if self._middle is None:
            self._right += int((y == self._answer).sum())
            return
        self._values.add(np.full(len(y), self._answer), y)
        self._absolute.add(np.full(len(y), self._middle), y)

    def in_short(self) -> dict[str, float]:
        """As `measures.baseline_measures`."""
        if self._middle is None:
            return {"accuracy": self._right / max(1, self._rows)}
        return {**self._values.in_short(), "mae": self._absolute.in_short()["mae"]}


Measures = ClassMeasures | ValueMeasures
