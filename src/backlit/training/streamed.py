"""How good a network is on rows of a stream: `evaluate`, piece by piece, with nothing kept of a piece but its sums."""

from __future__ import annotations

from typing import Any, final

import numpy as np

from ..network import Network
from ..parameters import Array
from ..typing import StreamedSource
from .predicted import predicted_index, predicted_index_of_targets


@final
class Spread:
    """Mean and sum of squares around it of columns that come in pieces. Chan, Golub & LeVeque (1983).

    Examples
    --------
    >>> spread = Spread()
    >>> for piece in ([[1.0], [2.0]], [[6.0]]):
    ...     spread.add(np.array(piece))
    >>> spread.mean.tolist(), spread.squares.tolist(), spread.weight
    ([3.0], [14.0], 3.0)
    """

    def __init__(self) -> None:
        self.weight = 0.0
        self.mean: Any = 0.0
        self.squares: Any = 0.0  # Σ w (x − mean)²

    def add(self, x: Array, w: Array | None = None) -> None:
        """Take rows x, shape (n, columns), in float64, of weights w, shape (n,)."""
        weight = float(len(x)) if w is None else float(w.sum(dtype=np.float64))
        if weight <= 0.0:
            return
        mean = x.mean(axis=0) if w is None else w @ x / weight
        centred = x - mean
        squares = (centred**2).sum(axis=0) if w is None else w @ centred**2
        together = self.weight + weight
        step = mean - self.mean
        self.squares = self.squares + squares + step**2 * (self.weight * weight / together)
        self.mean = self.mean + step * (weight / together)
        self.weight = together


def evaluate_streamed(net: Network, source: StreamedSource, *, classes: bool = True) -> dict[str, float]:
    """Loss and metrics as `evaluation.evaluate` has them; sums in another order may differ in their last digits.

    Targets are classes where all are 0 or 1; where one late is not, the rows are gone through again.
    """
    classes = classes and (net.output_layer.activation.probabilities or net.loss_function.targets == "classes")
    loss_sum = weight_sum = right = 0.0
    errors, targets = Spread(), Spread()
    for X, Y, weight in source.in_order():
        outputs = np.empty((len(X), net.outputs), net.dtype)
        for rows, work in net.pieces(len(X)):
            work.load(X[rows], Y[rows], None if weight is None else weight[rows])
            outputs[rows] = net.forward_pass(work)
            losses, weights = net.loss_sums(work)
            loss_sum += losses
            weight_sum += weights
        if not classes:
            exact = Y.astype(np.float64)
            errors.add(outputs - exact, weight)
            targets.add(exact, weight)
        elif ((Y == 0) | (Y == 1)).all():
            right += _right(net, outputs, Y, weight)
        else:
            return evaluate_streamed(net, source, classes=False)
    result = {"loss": net.mean_loss(loss_sum, weight_sum)}
    if classes:
        return {**result, "accuracy": right / weight_sum}
    squares = errors.squares / errors.weight + errors.mean**2  # (outputs,): mean (a − y)²
    spread = targets.squares / targets.weight
    flat = spread == 0.0
    r2 = np.where(flat, np.where(squares == 0.0, 1.0, 0.0), 1.0 - squares / np.where(flat, 1.0, spread))
    return {**result, "r2": float(r2.mean()), "rmse": float(np.sqrt(squares).mean())}


def _right(net: Network, outputs: Array, Y: Array, weight: Array | None) -> float:
    """The weight of the rows whose class is predicted."""
    hit = predicted_index(net, outputs) == predicted_index_of_targets(Y)
    return float(np.count_nonzero(hit)) if weight is None else float(weight[hit].sum(dtype=np.float64))
