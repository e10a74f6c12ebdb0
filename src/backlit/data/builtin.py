"""Small data sets that need no download."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import Any, Final, final

import numpy as np

from ..exceptions import DataError, nearest
from ..parameters import Array

#: The names that `load` knows.
BUILTIN: Final = ("digits", "breast_cancer", "wine", "diabetes", "iris", "admissions", "planar")


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


def load(name: str) -> Dataset:
    """A built-in data set.

    Parameters
    ----------
    name : {"digits", "breast_cancer", "wine", "diabetes", "iris", "admissions", "planar"}
        The first five are scikit-learn's, as its loaders give them.

    Raises
    ------
    DataError
        No data set of that name.

    Examples
    --------
    >>> digits = load("digits")
    >>> digits.X.shape, digits.y[:5]
    ((1797, 64), array([0, 1, 2, 3, 4]))
    """
    if name == "admissions":
        return _admissions()
    if name == "planar":
        return _planar()
    if name not in BUILTIN:
        raise DataError(f"there is no built-in data set {name!r}: {nearest(name, BUILTIN)}")
    return _from_sklearn(name)


def _from_sklearn(name: str) -> Dataset:
    from sklearn import datasets

    loaders: dict[str, tuple[Any, str]] = {
        "digits": (datasets.load_digits, "1797 handwritten digits, 8×8 pixels of 0 to 16"),
        "breast_cancer": (
            datasets.load_breast_cancer,
            "569 tumours: 30 measures of the cells' nuclei, two classes",
        ),
        "wine": (datasets.load_wine, "178 wines: 13 chemical measures, three growers"),
        "diabetes": (
            datasets.load_diabetes,
            "442 patients: 10 scaled measures, the disease's progress in a year",
        ),
        "iris": (datasets.load_iris, "150 flowers: four lengths in cm, three species"),
    }
    loader, description = loaders[name]
    bunch = loader()
    # scikit-learn's diabetes has values to predict, and so no names of classes.
    classes = tuple(str(c) for c in bunch.target_names) if "target_names" in bunch else None
    return Dataset(
        X=np.asarray(bunch.data, dtype=np.float64),
        y=np.asarray(bunch.target, dtype=np.float64 if classes is None else np.int64),
        feature_names=tuple(str(f) for f in bunch.feature_names),
        class_names=classes,
        description=description,
    )


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
        description="400 applicants to graduate schools: test score, grades, rank of the school, admission",
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
        description="400 points in the plane, two classes as the petals of one flower: no line parts them",
    )
