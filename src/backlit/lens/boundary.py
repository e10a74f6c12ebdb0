"""What a network with two inputs answers everywhere in the plane: the numbers behind a picture of its boundary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np

from ..exceptions import ConfigurationError
from ..network import Network
from ..parameters import Array
from ..targets import check_inputs
from ..training.evaluation import is_classification
from ..training.predicted import predicted_index, predicted_index_of_targets

_MARGIN = 0.08  # of the range of the points, on each side


@final
@dataclass(frozen=True)
class Plane:
    """A network's answers over a grid, and the points that it learns from.

    Attributes
    ----------
    across, up : ndarray, shape (size,)
        The first and the second input along the sides of the grid.
    answers : ndarray, shape (size, size)
        At ``answers[i, j]`` what the network says of the row (across[j], up[i]).
    kind : "chance", "class" or "value"
        Whether the answers are the chance of the second class, numbers of classes, or values.
    middle : float or None
        Of a chance or a single unit: the answer between the two classes.
    points : ndarray, shape (n, 2)
    targets : ndarray, shape (n,)
        The number of each point's class, or its value.
    labels : list of str
        Of the classes; empty for values.
    """

    across: Array
    up: Array
    answers: Array
    kind: Literal["chance", "class", "value"]
    middle: float | None
    points: Array
    targets: Array
    labels: list[str]


def plane(net: Network, X: Any, y: Any, size: int = 200) -> Plane:
    """Ask the network everywhere around the points.

    Raises
    ------
    ConfigurationError
        For a network that has not two inputs, or takes codes, several outputs that are no classes, or rows of several
        classes.

    Examples
    --------
    >>> from backlit.kinds import Dense
    >>> net = Network([Dense(1, weight_init=1.0)], inputs=2)
    >>> found = plane(net, [[0.0, 0.0], [1.0, 1.0]], [0.0, 2.0], size=3)
    >>> found.kind, found.answers.shape, round(float(found.answers[1, 1]), 6)      # the middle, (½, ½)
    ('value', (3, 3), 1.0)
    """
    _check_inputs(net)
    X = check_inputs(X, 2)
    Y, classes = net.encode(y, X.shape[0])
    return encoded_plane(net, X, Y, classes, size)


def encoded_plane(net: Network, X: Array, Y: Array, classes: Array | None, size: int) -> Plane:
    """The same for data that is checked and encoded already."""
    _check_inputs(net)
    labelled = is_classification(net, Y)
    if labelled and Y.shape[1] > 1 and (Y.sum(axis=1) != 1.0).any():
        raise ConfigurationError("rows that belong to several classes have no boundary: give a network one class a row")
    if not labelled and Y.shape[1] > 1:
        raise ConfigurationError(f"values are drawn for one output, and the network has {Y.shape[1]}")
    points = X.astype(np.float64)
    across, up = (_side(points[:, k], size) for k in (0, 1))
    grid = np.column_stack([side.ravel() for side in np.meshgrid(across, up)])  # (size², 2)
    outputs = net.forward(grid)
    middle = net.output_layer.activation.middle if labelled and net.outputs == 1 else None
    if labelled and net.outputs > 1:
        kind, answers = "class", predicted_index(net, outputs)
    else:
        kind, answers = "chance" if labelled else "value", outputs[:, 0].astype(np.float64)
    names = np.arange(max(2, Y.shape[1])) if classes is None else classes
    return Plane(
        across=across,
        up=up,
        answers=answers.reshape(size, size),
        kind=kind,  # type: ignore[arg-type]
        middle=middle,
        points=points,
        targets=predicted_index_of_targets(Y) if labelled else Y[:, 0].astype(np.float64),
        labels=[str(name) for name in names.tolist()] if labelled else [],
    )


def _check_inputs(net: Network) -> None:
    if net.inputs != 2:
        raise ConfigurationError(f"a boundary is drawn over two inputs, and the network has {net.inputs}")
    if net.layers[0].categories:
        raise ConfigurationError(
            f"a boundary is drawn over two numbers, and {net.layers[0]!r} takes codes, between which there is nothing"
        )


def _side(values: Array, size: int) -> Array:
    low, high = float(values.min()), float(values.max())
    room = _MARGIN * (high - low) or 1.0
    return np.linspace(low - room, high + room, size)
