"""How good predictions are: for classes, for rare classes, and for numbers."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from ..parameters import Array
from .model import TableModel

#: A class with less than this share of the rows is rare: the accuracy then says little.
RARE: Final = 0.1


def classification_measures(probability: Array, index: Array) -> dict[str, float]:
    """Loss and accuracy from probabilities, shape (n, classes), and the number of the right class of each row."""
    right = probability[np.arange(len(index)), index].astype(np.float64)
    # −log of the probability given to the right class
    loss = float(-np.log(np.clip(right, 1e-300, 1.0)).mean())
    return {"loss": loss, "accuracy": float((probability.argmax(axis=1) == index).mean())}


def rare_class_measures(probability: Array, index: Array) -> dict[str, float]:
    """For two classes: balanced accuracy, area under the ROC curve, average precision of the rarer class.

    Empty where the rows hold only one of them.

    Examples
    --------
    >>> p = np.array([0.1, 0.4, 0.35, 0.8])
    >>> found = rare_class_measures(np.stack([1 - p, p], axis=1), np.array([0, 0, 1, 1]))
    >>> {name: round(value, 4) for name, value in found.items()}
    {'balanced_accuracy': 0.75, 'roc_auc': 0.75, 'average_precision': 0.8333}
    """
    positives, n = int((index == 1).sum()), len(index)
    if probability.shape[1] != 2 or positives in (0, n):
        return {}
    rarer = int(positives * 2 <= n)
    positive = index == rarer  # (n,)
    predicted = probability.argmax(axis=1) == rarer
    recall, other = predicted[positive].mean(), (~predicted[~positive]).mean()
    score = probability[:, rarer].astype(np.float64)
    return {
        "balanced_accuracy": float((recall + other) / 2),
        "roc_auc": _area_under_roc(score, positive),
        "average_precision": _average_precision(score, positive),
    }


def _area_under_roc(score: Array, positive: Array) -> float:
    """The share of pairs, one of each class, in which the positive row has the larger score; equal ones count half."""
    _, place, counts = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2.0)[place]  # from 1, equal scores share theirs
    p = int(positive.sum())
    return float((rank[positive].sum() - p * (p + 1) / 2) / (p * (len(score) - p)))


def _average_precision(score: Array, positive: Array) -> float:
    """Σ over thresholds of (recall − recall before) · precision."""
    order = np.argsort(-score, kind="stable")
    found = np.cumsum(positive[order])
    last = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))  # of equal scores
    precision, recall = found[last] / (last + 1), found[last] / found[-1]
    return float((np.diff(recall, prepend=0.0) * precision).sum())


def confusion(probability: Array, index: Array) -> list[list[int]]:
    """Rows by their class (down) and the class predicted (across)."""
    k = probability.shape[1]
    counts = np.bincount(index * k + probability.argmax(axis=1), minlength=k * k)
    table: list[list[int]] = counts.reshape(k, k).tolist()
    return table


def is_imbalanced(index: Array, classes: int) -> bool:
    """Whether one of two classes has less than a tenth of the rows."""
    return classes == 2 and len(index) > 0 and float(np.bincount(index, minlength=2).min()) < RARE * len(index)


def regression_measures(predicted: Array, y: Array) -> dict[str, float]:
    """Half the mean squared error, R², and the errors in the target's own units."""
    difference = predicted.astype(np.float64) - y
    error = float((difference**2).mean())
    spread = float(((y - y.mean()) ** 2).mean())
    r2 = 1.0 - error / spread if spread else float(error == 0.0)
    return {"loss": 0.5 * error, "r2": r2, "rmse": error**0.5, "mae": float(np.abs(difference).mean())}


def model_measures(model: TableModel, a: Array, y: Array) -> dict[str, float]:
    """Loss and metrics of what a table's network gave, beside labels or values in the target's own units."""
    if model.classes is None:
        return regression_measures(model.values(a), y)
    return classification_measures(model.probabilities(a), model.encode(y))


def baseline_measures(task: str, y: Array, y_val: Array) -> dict[str, Any]:
    """What a constant answer reaches: the most frequent class; the mean, and the median for the absolute error."""
    if task == "classification":
        classes, counts = np.unique(y, return_counts=True)
        return {"accuracy": float((y_val == classes[counts.argmax()]).mean())}
    found = regression_measures(np.full(len(y_val), y.mean()), y_val)
    return {**found, "mae": float(np.abs(y_val - np.median(y)).mean())}
