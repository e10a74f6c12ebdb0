"""How good a network is on data: its loss, and the metric of the task."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..network import Network
from ..parameters import Array
from ..typing import SparseSource, StreamedSource
from ..workspace import Workspace
from .job import is_source
from .predicted import predicted_index, predicted_index_of_targets
from .streamed import evaluate_streamed


def is_classification(net: Network, Y: Array) -> bool:
    """Whether the targets are classes: all 0 or 1, for outputs that tell classes apart."""
    if not net.output_layer.activation.probabilities and net.loss_function.targets != "classes":
        return False
    return bool(((Y == 0) | (Y == 1)).all())


def load_rows(work: Workspace, X: Any, Y: Array, weight: Array | None, rows: slice) -> None:
    """Take consecutive rows of an array, or of a source, as the batch."""
    if is_source(X):
        work.fetch(X, Y, weight, np.arange(rows.start, rows.stop), epoch=0)
    else:
        work.load(X[rows], Y[rows], None if weight is None else weight[rows])


def evaluate(net: Network, X: Any, Y: Array, *, weight: Array | None = None) -> dict[str, float]:
    """Loss and metrics on checked data: ``accuracy`` for classes, else ``r2`` and ``rmse``.

    Where a row may belong to several classes, it is right when every one of them is (scikit-learn's subset accuracy).
    r2 = 1 − Σ (a − y)² / Σ (y − ȳ)², rmse = √ mean (a − y)², averaged over the outputs and weighted by `weight`.
    Without spread in y, r2 is 1 for a perfect fit and else 0, as in scikit-learn.

    Examples
    --------
    >>> from backlit.kinds import Dense
    >>> net = Network([Dense(1, weight_init=2.0)], inputs=1, dtype="float64")
    >>> evaluate(net, np.array([[1.0], [2.0]]), np.array([[2.0], [4.0]]))
    {'loss': 0.0, 'r2': 1.0, 'rmse': 0.0}
    """
    if isinstance(X, StreamedSource):
        return evaluate_streamed(net, X)
    outputs = np.empty((X.shape[0], net.outputs), net.dtype)
    loss_sum = weight_sum = 0.0
    for rows, work in net.pieces(X.shape[0], sparse=isinstance(X, SparseSource)):
        load_rows(work, X, Y, weight, rows)
        outputs[rows] = net.forward_pass(work)
        losses, weights = net.loss_sums(work)
        loss_sum += losses
        weight_sum += weights
    result = {"loss": net.mean_loss(loss_sum, weight_sum)}
    if is_classification(net, Y):
        if Y.shape[1] > 1 and (Y.sum(axis=1) != 1.0).any():
            correct = ((outputs > 0.5) == (Y > 0.5)).all(axis=1)
        else:
            correct = predicted_index(net, outputs) == predicted_index_of_targets(Y)
        return {**result, "accuracy": float(np.average(correct, weights=weight))}
    return {**result, **_regression_scores(outputs, Y, weight)}


def _regression_scores(outputs: Array, Y: Array, weight: Array | None) -> dict[str, float]:
    Y = Y.astype(np.float64)
    errors = outputs.astype(np.float64) - Y
    centred = Y - np.average(Y, axis=0, weights=weight)
    # In units of a power of two near the largest of them, so that no square leaves the range of float64.
    unit = np.exp2(np.frexp(np.maximum(np.abs(errors), np.abs(centred)).max(axis=0))[1] - 1)  # (outputs,)
    squares = np.average((errors / unit) ** 2, axis=0, weights=weight)
    spread = np.average((centred / unit) ** 2, axis=0, weights=weight)
    flat = spread == 0.0
    r2 = np.where(flat, np.where(squares == 0.0, 1.0, 0.0), 1.0 - squares / np.where(flat, 1.0, spread))
    return {"r2": float(r2.mean()), "rmse": float((unit * np.sqrt(squares)).mean())}
