"""Small data sets that need no download."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from typing import Final, Literal, final

import numpy as np

from ..exceptions import ConfigurationError, DataError, nearest
from ..parameters import Array
from .shapes import ROWS, SHAPES


@final
@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set in memory.

    Attributes
    ----------
    X : ndarray of float64, shape (n_samples, n_features)
        Features.
    y : ndarray, shape (n_samples,)
        Class numbers (int64), or target values (float64).
    feature_names : tuple of str
        One name a column of `X`.
    class_names : tuple of str or None
        What the class numbers 0, 1, … stand for; None where the target is a value.
    description : str
        One sentence on what it is.

    Examples
    --------
    >>> load("iris")
    Dataset(X (150, 4), y (150,): 150 flowers: four lengths in cm, three species)
    """

    X: Array
    y: Array
    feature_names: tuple[str, ...]
    class_names: tuple[str, ...] | None
    description: str

    def __repr__(self) -> str:
        return f"Dataset(X {self.X.shape}, y {self.y.shape}: {self.description})"


@final
@dataclass(frozen=True)
class About:
    """What is said about a set before it is loaded.

    Attributes
    ----------
    title, description : str
    kind : {"plane", "table", "image"}
        Points in the plane; columns of different sorts; pixels.
    task : {"classification", "regression"}
    drawn : bool
        Whether it is drawn anew for each seed: `load` then takes `rows`, `noise` and `seed`.
    """

    title: str
    kind: Literal["plane", "table", "image"]
    task: Literal["classification", "regression"]
    description: str
    drawn: bool = False


#: The sets that `load` knows, by name.
ABOUT: Final[dict[str, About]] = {
    **{
        name: About(shape.title, "plane", shape.task, shape.description, drawn=True)
        for name, shape in SHAPES.items()
    },
    "planar": About(
        "Flower", "plane", "classification",
        "400 points in the plane, two classes as the petals of one flower: no line parts them",
    ),
    "line": About("Line", "table", "regression", "four points on the line y = 2 x"),
    "two-two-one": About("One sample", "table", "regression", "one sample of two inputs, ([1, 1] → 1)"),
    "admissions": About(
        "Admissions", "table", "classification",
        "400 applicants to graduate schools: test score, grades, rank of the school, admission",
    ),
    "digits": About("Digits", "image", "classification", "1797 handwritten digits, 8×8 pixels of 0 to 16"),
    "iris": About("Iris", "table", "classification", "150 flowers: four lengths in cm, three species"),
    "wine": About("Wine", "table", "classification", "178 wines: 13 chemical measures, three growers"),
    "breast_cancer": About(
        "Breast cancer", "table", "classification",
        "569 tumours: 30 measures of the cells' nuclei, two classes",
    ),
    "diabetes": About(
        "Diabetes", "table", "regression",
        "442 patients: 10 scaled measures, the disease's progress in a year",
    ),
}  # fmt: skip

#: The names that `load` knows.
BUILTIN: Final = tuple(ABOUT)


def load(name: str, *, rows: int | None = None, noise: float | None = None, seed: int | None = None) -> Dataset:
    """A built-in data set.

    Parameters
    ----------
    name : str
        Points in the plane, drawn anew for each seed (`backlit.data.shapes` has their formulas): "circle", "xor",
        "gauss", "spiral", "moons", and with a value in place of a class "plane" and "multi-gauss".
        The five systems' data: "line", "two-two-one", "admissions", "planar", "digits".
        scikit-learn's, as its loaders give them: "digits", "iris", "wine", "breast_cancer", "diabetes".
    rows : int, optional
        Number of points of a set that is drawn, 400 unless given.
    noise : float, optional
        From 0, which is the default, to 0.5; of a set that is drawn.
    seed : int, optional
        0 unless given; of a set that is drawn.

    Raises
    ------
    DataError
        No data set of that name.
    ConfigurationError
        `rows`, `noise` or `seed` of a set that is not drawn, or out of bounds.

    Examples
    --------
    >>> digits = load("digits")
    >>> digits.X.shape, digits.y[:5]
    ((1797, 64), array([0, 1, 2, 3, 4]))
    >>> spiral = load("spiral", rows=200, noise=0.1)
    >>> spiral.X.shape, spiral.class_names
    ((200, 2), ('second arm', 'first arm'))
    """
    if name not in BUILTIN:
        raise DataError(f"there is no built-in data set {name!r}: {nearest(name, BUILTIN)}")
    if ABOUT[name].drawn:
        return _drawn(
            name, ROWS if rows is None else rows, 0.0 if noise is None else noise, 0 if seed is None else seed
        )
    for option, value in {"rows": rows, "noise": noise, "seed": seed}.items():
        if value is not None:
            raise ConfigurationError(
                f"{option} is for sets that are drawn anew ({', '.join(SHAPES)}), received {option}={value!r} for "
                f"{name!r}: leave it out"
            )
    return _FIXED[name]() if name in _FIXED else _from_sklearn(name)


def _drawn(name: str, rows: int, noise: float, seed: int) -> Dataset:
    shape = SHAPES[name]
    points, y = shape.draw(rows, noise, seed)
    return Dataset(points, y, ("x1", "x2"), shape.classes, f"{rows} {shape.description}")


def _from_sklearn(name: str) -> Dataset:
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")()
    # scikit-learn's diabetes has values to predict, and so no names of classes.
    classes = tuple(str(c) for c in bunch.target_names) if "target_names" in bunch else None
    return Dataset(
        X=np.asarray(bunch.data, dtype=np.float64),
        y=np.asarray(bunch.target, dtype=np.float64 if classes is None else np.int64),
        feature_names=tuple(str(f) for f in bunch.feature_names),
        class_names=classes,
        description=ABOUT[name].description,
    )


def _line() -> Dataset:
    """y = 2 x at x = 1, 2, 3, 4."""
    X = np.array([[1.0], [2.0], [3.0], [4.0]])
    return Dataset(X, 2.0 * X[:, 0], ("x",), None, ABOUT["line"].description)


def _two_two_one() -> Dataset:
    """The one sample ([1, 1] → 1)."""
    return Dataset(np.ones((1, 2)), np.ones(1), ("x1", "x2"), None, ABOUT["two-two-one"].description)


def _admissions() -> Dataset:
    """400 applicants; columns admit (0 or 1), gre, gpa, rank of the school (1 is best)."""
    with resources.files(__package__).joinpath("admissions.csv").open("r", encoding="utf-8") as file:
        names = file.readline().strip().split(",")
        rows = np.loadtxt(file, delimiter=",")  # (400, 4)
    return Dataset(
        X=rows[:, 1:],
        y=rows[:, 0].astype(np.int64),
        feature_names=tuple(names[1:]),
        class_names=("refused", "admitted"),
        description=ABOUT["admissions"].description,
    )


def _planar() -> Dataset:
    """Two classes as the petals of one flower, 200 points each.

    For class j: t = linspace(3.12 j, 3.12 (j + 1)) + 0.2 ε and r = 4 sin(4 t) + 0.2 ε'; the points are
    (r sin t, r cos t).
    """
    # The legacy generator, whose numbers never change: results can be compared with published ones.
    random = np.random.RandomState(1)
    n = 200
    X = np.empty((2 * n, 2))
    for j in (0, 1):
        t = np.linspace(3.12 * j, 3.12 * (j + 1), n) + 0.2 * random.randn(n)  # (n,) angle
        r = 4.0 * np.sin(4.0 * t) + 0.2 * random.randn(n)  # (n,) radius
        X[j * n : (j + 1) * n] = np.column_stack([r * np.sin(t), r * np.cos(t)])
    return Dataset(
        X=X,
        y=np.repeat(np.array([0, 1], dtype=np.int64), n),
        feature_names=("x1", "x2"),
        class_names=("red", "blue"),
        description=ABOUT["planar"].description,
    )


#: What makes the sets that are always the same, scikit-learn's apart.
_FIXED: Final[dict[str, Callable[[], Dataset]]] = {
    "line": _line,
    "two-two-one": _two_two_one,
    "admissions": _admissions,
    "planar": _planar,
}
