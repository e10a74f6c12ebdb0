"""Sets of points in the plane, drawn anew for each seed: small enough to watch, and each with a difficulty of its own.

They are those of TensorFlow Playground (Smilkov et al., "Direct-manipulation visualization of deep networks", 2017),
and the moons of scikit-learn. Coordinates lie within about ±6. `noise`, from 0 to 0.5, says how much of the shape is
lost: in `circle`, `xor`, `plane` and `multi_gauss` it moves the place that a point has its label of, in the others the
point itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, final

import numpy as np

from ..checks import positive_whole
from ..exceptions import ConfigurationError
from ..parameters import Array
from ..randomness import check_seed, keyed_generator

MOST_NOISE: Final = 0.5
ROWS: Final = 400

#: Centres of the hills and valleys of `multi_gauss`, and their heights.
_HILLS: Final = np.array([[-4, 2.5], [0, 2.5], [4, 2.5], [-4, -2.5], [0, -2.5], [4, -2.5]])
_HEIGHTS: Final = np.array([1.0, -1.0, 1.0, -1.0, 1.0, -1.0])


def _generator(rows: int, noise: float, seed: int) -> np.random.Generator:
    """The random numbers of a set, once what was asked for is checked."""
    positive_whole("rows", rows)
    if isinstance(noise, bool) or not isinstance(noise, int | float | np.number) or not 0.0 <= noise <= MOST_NOISE:
        raise ConfigurationError(f"noise must be a number from 0 to {MOST_NOISE}, received {noise!r}")
    return keyed_generator(check_seed(seed), "data")


def circle(rows: int = ROWS, noise: float = 0.0, seed: int = 0) -> tuple[Array, Array]:
    """A disc (class 1) inside a ring (class 0).

        angle ~ U(0, 2π),   r ~ U(0, 2.5) for the disc, U(3.5, 5) for the ring
        y = 1 where |x + e| < 2.5,   e ~ U(±5 noise)

    Parameters
    ----------
    rows : int, default=400
        Number of points; the classes take turns.
    noise : float, default=0
        From 0 to 0.5.
    seed : int, default=0

    Returns
    -------
    points : ndarray of float64, shape (rows, 2)
    labels : ndarray of int64, shape (rows,)

    Raises
    ------
    ConfigurationError
        For numbers outside these bounds.

    Examples
    --------
    >>> points, labels = circle(6)
    >>> labels, (np.hypot(*points.T) < 2.5).astype(int)
    (array([0, 1, 0, 1, 0, 1]), array([0, 1, 0, 1, 0, 1]))
    """
    rng = _generator(rows, noise, seed)
    inside = _turns(rows) == 1
    r = np.where(inside, rng.uniform(0.0, 2.5, rows), rng.uniform(3.5, 5.0, rows))
    angle = rng.uniform(0.0, 2.0 * np.pi, rows)
    points = np.column_stack([r * np.sin(angle), r * np.cos(angle)])
    moved = points + 5.0 * noise * rng.uniform(-1.0, 1.0, (rows, 2))
    return points, (np.hypot(moved[:, 0], moved[:, 1]) < 2.5).astype(np.int64)


def xor(rows: int = ROWS, noise: float = 0.0, seed: int = 0) -> tuple[Array, Array]:
    """Four squares, those across from each other of one class: exclusive or.

        x1, x2 ~ U(−5, 5), then 0.3 away from the axes
        y = 1 where (x1 + e1)(x2 + e2) ≥ 0,   e ~ U(±5 noise)

    Parameters, results and errors are those of `circle`.

    Examples
    --------
    >>> points, labels = xor(100, seed=1)
    >>> bool(((points[:, 0] * points[:, 1] >= 0) == labels).all())
    True
    """
    rng = _generator(rows, noise, seed)
    points = rng.uniform(-5.0, 5.0, (rows, 2))
    points += np.where(points > 0.0, 0.3, -0.3)
    moved = points + 5.0 * noise * rng.uniform(-1.0, 1.0, (rows, 2))
    return points, (moved[:, 0] * moved[:, 1] >= 0.0).astype(np.int64)


def gauss(rows: int = ROWS, noise: float = 0.0, seed: int = 0) -> tuple[Array, Array]:
    """Two clouds, around (2, 2) (class 1) and (−2, −2) (class 0): one line parts them.

        x ~ N(±2, 0.5 + 7 noise)          the second number is the variance

    Parameters, results and errors are those of `circle`.

    Examples
    --------
    >>> points, labels = gauss(100)
    >>> bool(((points.sum(axis=1) > 0) == labels).all())
    True
    """
    rng = _generator(rows, noise, seed)
    labels = _turns(rows)
    centres = np.where(labels == 1, 2.0, -2.0)[:, None]
    return centres + np.sqrt(0.5 + 7.0 * noise) * rng.standard_normal((rows, 2)), labels


def spiral(rows: int = ROWS, noise: float = 0.0, seed: int = 0) -> tuple[Array, Array]:
    """Two arms of one spiral, each of one class: the hardest of them.

        t from 0 to 1 along an arm,   r = 5 t,   angle = 3.5 π t, and π more for class 0
        x = (r sin angle, r cos angle) + e,   e ~ U(±noise)

    Parameters, results and errors are those of `circle`.

    Examples
    --------
    >>> points, labels = spiral(4)
    >>> points.round(1) + 0.0, labels
    (array([[ 0. ,  0. ],
           [ 0. ,  0. ],
           [ 1.8, -1.8],
           [-1.8,  1.8]]), array([0, 1, 0, 1]))
    """
    rng = _generator(rows, noise, seed)
    labels = _turns(rows)
    t = (np.arange(rows) // 2) / max(1, (rows + 1) // 2)
    angle = 3.5 * np.pi * t + np.where(labels == 1, 0.0, np.pi)
    points = 5.0 * t[:, None] * np.column_stack([np.sin(angle), np.cos(angle)])
    return points + noise * rng.uniform(-1.0, 1.0, (rows, 2)), labels


def moons(rows: int = ROWS, noise: float = 0.0, seed: int = 0) -> tuple[Array, Array]:
    """Two half moons that reach into each other.

        t ~ U(0, π)
        class 0: x = 4 (cos t − ½, sin t − ¼),   class 1: x = 4 (½ − cos t, ¼ − sin t);   and e ~ N(0, (2 noise)²)

    These are scikit-learn's moons, four times as large and around the origin.
    Parameters, results and errors are those of `circle`.

    Examples
    --------
    >>> points, labels = moons(200)
    >>> bool((points[labels == 0, 1] >= -1).all() and (points[labels == 1, 1] <= 1).all())
    True
    """
    rng = _generator(rows, noise, seed)
    labels = _turns(rows)
    t = rng.uniform(0.0, np.pi, rows)
    upper = 4.0 * np.column_stack([np.cos(t) - 0.5, np.sin(t) - 0.25])
    points = np.where(labels[:, None] == 0, upper, -upper)
    return points + 2.0 * noise * rng.standard_normal((rows, 2)), labels


def plane(rows: int = ROWS, noise: float = 0.0, seed: int = 0) -> tuple[Array, Array]:
    """Values that rise evenly along the diagonal, from −1.2 to 1.2: one linear unit has them.

        x1, x2 ~ U(−6, 6),   y = (x1 + e1 + x2 + e2) / 10,   e ~ U(±6 noise)

    Parameters and errors are those of `circle`.

    Returns
    -------
    points : ndarray of float64, shape (rows, 2)
    values : ndarray of float64, shape (rows,)

    Examples
    --------
    >>> points, values = plane(50)
    >>> bool(np.allclose(values, points.sum(axis=1) / 10))
    True
    """
    rng = _generator(rows, noise, seed)
    points = rng.uniform(-6.0, 6.0, (rows, 2))
    moved = points + 6.0 * noise * rng.uniform(-1.0, 1.0, (rows, 2))
    return points, moved.sum(axis=1) / 10.0


def multi_gauss(rows: int = ROWS, noise: float = 0.0, seed: int = 0) -> tuple[Array, Array]:
    """Three hills of height 1 and three valleys of −1, in two rows, and 0 between them.

        x1, x2 ~ U(−6, 6)
        y = h (1 − d/2) of the nearest of six centres within a distance d of 2, else 0;   d from x + e, e ~ U(±6 noise)

    The centres are at x1 = −4, 0, 4 and x2 = ±2.5; h = 1, −1 by turns.
    Parameters, results and errors are those of `plane`.

    Examples
    --------
    >>> points, values = multi_gauss(500)
    >>> bool((values[points[:, 0] ** 2 + (points[:, 1] - 2.5) ** 2 < 4] < 0).all())
    True
    """
    rng = _generator(rows, noise, seed)
    points = rng.uniform(-6.0, 6.0, (rows, 2))
    moved = points + 6.0 * noise * rng.uniform(-1.0, 1.0, (rows, 2))
    distance = np.linalg.norm(moved[:, None, :] - _HILLS, axis=2)  # (rows, 6)
    nearest = distance.argmin(axis=1)  # the centres are 4 apart and more: no place is near two of them
    return points, _HEIGHTS[nearest] * np.maximum(0.0, 1.0 - distance.min(axis=1) / 2.0)


def _turns(rows: int) -> Array:
    """0, 1, 0, 1, …"""
    return np.arange(rows, dtype=np.int64) % 2


@final
@dataclass(frozen=True)
class Shape:
    """One of these sets, and what is said about it.

    Attributes
    ----------
    draw : callable (rows, noise, seed) -> (points, labels or values)
    title, description : str
    classes : tuple of str or None
        What labels 0 and 1 are; None where values are learnt.
    """

    draw: Callable[[int, float, int], tuple[Array, Array]]
    title: str
    description: str
    classes: tuple[str, str] | None = None

    @property
    def task(self) -> Literal["classification", "regression"]:
        return "regression" if self.classes is None else "classification"


#: The sets by the name that `load` knows them by.
SHAPES: Final[dict[str, Shape]] = {
    "circle": Shape(circle, "Circle", "points in the plane: a disc inside a ring", ("ring", "disc")),
    "xor": Shape(
        xor, "Exclusive or", "points in the plane: four squares, opposite ones of one class",
        ("signs differ", "signs agree"),
    ),
    "gauss": Shape(
        gauss, "Two clouds", "points in the plane: two clouds that a line parts", ("lower left", "upper right")
    ),
    "spiral": Shape(
        spiral, "Spiral", "points in the plane: two arms of a spiral", ("second arm", "first arm")
    ),
    "moons": Shape(
        moons, "Two moons", "points in the plane: two half moons that reach into each other",
        ("upper moon", "lower moon"),
    ),
    "plane": Shape(plane, "Slope", "points in the plane with a value that rises evenly along the diagonal"),
    "multi-gauss": Shape(
        multi_gauss, "Hills and valleys", "points in the plane with a value: three hills and three valleys"
    ),
}  # fmt: skip
