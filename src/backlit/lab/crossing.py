"""What a network takes of a point in the plane: its coordinates, or what is made of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from ..parameters import Array

#: Each feature by its name, from x1 and x2, shape (n,) each; the names are those that neurons have on the page.
FEATURES: Final[dict[str, Callable[[Array, Array], Array]]] = {
    "x1": lambda x1, x2: x1,
    "x2": lambda x1, x2: x2,
    "x1²": lambda x1, x2: x1 * x1,
    "x2²": lambda x1, x2: x2 * x2,
    "x1·x2": lambda x1, x2: x1 * x2,
    "sin x1": lambda x1, x2: np.sin(x1),
    "sin x2": lambda x1, x2: np.sin(x2),
}


def crossed(points: Array, features: Sequence[str]) -> Array:
    """The chosen features of points in the plane, shape (n, number of features), from (n, 2).

    Examples
    --------
    >>> crossed(np.array([[3.0, -2.0]]), ["x2", "x1²", "x1·x2"])
    array([[-2.,  9., -6.]])
    """
    x1, x2 = points[:, 0], points[:, 1]
    return np.column_stack([FEATURES[name](x1, x2) for name in features])
