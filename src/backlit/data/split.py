"""Rows for training and rows for validation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from ..exceptions import ConfigurationError, DataError, ShapeError
from ..parameters import Array
from ..randomness import check_seed, keyed_generator

_ROWS_AT_ONCE: Final = 4096


def split_rows(
    n: int, fraction: float, *, seed: int, labels: Array | Sequence[Any] | None = None
) -> tuple[Array, Array]:
    """Divide `n` rows at random into rows for training and rows for validation.

    With `labels`, every class has its share on both sides, and at least one row to train on: a class with a single
    row goes to training, and where all are single there is nothing to validate on.

    Parameters
    ----------
    n : int
        Number of rows, at least 2.
    fraction : float
        Share of the rows for validation, between 0 and 1. Either side gets at least one row, without labels.
    seed : int
        The same seed divides the same rows in the same way.
    labels : array-like, shape (n,), optional
        Class labels.

    Returns
    -------
    train, validation : ndarray of int64, shapes (n_train,) and (n_validation,)
        Row numbers from 0, in ascending order.

    Raises
    ------
    ConfigurationError
        `fraction` not between 0 and 1.
    DataError
        Fewer than two rows.
    ShapeError
        Another number of labels than rows.

    Examples
    --------
    >>> train, validation = split_rows(10, 0.2, seed=0, labels=[0] * 5 + [1] * 5)
    >>> len(train), [int(row >= 5) for row in validation]
    (8, [0, 1])
    """
    if not 0.0 < fraction < 1.0:
        raise ConfigurationError(f"the share for validation must be between 0 and 1, received {fraction!r}")
    if n < 2:
        raise DataError(f"a validation set needs at least two rows to divide, received {n}: pass more rows")
    size = min(max(round(n * fraction), 1), n - 1)  # rows for validation
    shuffled = keyed_generator(check_seed(seed), "split").permutation(n)
    if labels is None:
        validation = shuffled[:size]
    else:
        given = np.asarray(labels)
        if given.shape != (n,):
            raise ShapeError(f"labels must be one a row, {n} of them, received shape {given.shape}")
        validation = _stratified(given[shuffled], shuffled, size)
    chosen = np.zeros(n, dtype=np.bool_)
    chosen[validation] = True
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def keep_rows(X: Array, rows: Array) -> Array:
    """These rows of X, whose numbers ascend, moved together in the memory of X: a copy would be there beside it.

    Examples
    --------
    >>> X = np.array([[0, 0], [1, 1], [2, 2], [3, 3]])
    >>> keep_rows(X, np.array([1, 3]))
    array([[1, 1],
           [3, 3]])
    """
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        part = rows[start : start + _ROWS_AT_ONCE]
        X[start : start + len(part)] = X[part]  # none of them stands before `start`: what is written over is done with
    return X[: len(rows)]


def _stratified(labels: Array, rows: Array, size: int) -> Array:
    """`size` of the rows, or fewer where every class keeps its last one: from each class its share, rounded.

    What rounding leaves over goes to the largest remainders, the more frequent classes first.
    """
    _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    size = min(size, int((counts - 1).sum()))
    shares = counts * (size / len(labels))  # (n_classes,)
    taken = np.minimum(np.floor(shares).astype(np.int64), counts - 1)
    while (rest := size - int(taken.sum())) > 0:
        free = np.flatnonzero(taken < counts - 1)
        order = free[np.lexsort((-counts[free], -(shares - taken)[free]))]
        taken[order[:rest]] += 1
    by_class = np.argsort(inverse, kind="stable")  # the rows of class 0, of class 1, …
    starts = np.cumsum(counts) - counts
    place = np.arange(len(rows)) - np.repeat(starts, counts)  # of each row within its class
    return np.asarray(rows[by_class[place < np.repeat(taken, counts)]])


def fold_numbers(n: int, folds: int, *, seed: int, labels: Array | Sequence[Any] | None = None) -> Array:
    """Deal `n` rows at random to as many folds, all of nearly the same size.

    With `labels`, the rows of every class are dealt one after the other, so that each fold has its share; a class with
    a single row is in no fold, number −1: it is always learnt from.

    Parameters
    ----------
    n, folds : int
        Rows, at least 2, and folds, at least 2 and at most n.
    seed : int
        The same seed deals the same rows in the same way.
    labels : array-like, shape (n,), optional
        Class labels.

    Returns
    -------
    ndarray of int64, shape (n,)
        The fold of each row, from 0.

    Raises
    ------
    ConfigurationError
        A number of folds that cannot be.
    ShapeError
        Another number of labels than rows.

    Examples
    --------
    >>> fold_numbers(7, 3, seed=0, labels=list("aaabbbc"))[-1]
    np.int64(-1)
    >>> [int((fold_numbers(7, 3, seed=0) == fold).sum()) for fold in range(3)]
    [3, 2, 2]
    """
    if not 2 <= folds <= n:
        raise ConfigurationError(f"{n} rows can be dealt to 2 folds or more, at most one for each row: not to {folds}")
    shuffled = keyed_generator(check_seed(seed), "split").permutation(n)
    numbers = np.empty(n, dtype=np.int64)
    if labels is None:
        numbers[shuffled] = np.arange(n) % folds
        return numbers
    given = np.asarray(labels)
    if given.shape != (n,):
        raise ShapeError(f"labels must be one a row, {n} of them, received shape {given.shape}")
    _, inverse, counts = np.unique(given, return_inverse=True, return_counts=True)
    by_class = shuffled[np.argsort(inverse[shuffled], kind="stable")]  # the rows of class 0, of class 1, …
    by_class = by_class[np.argsort(counts[inverse[by_class]] == 1, kind="stable")]  # the single ones last
    numbers[by_class] = np.arange(n) % folds
    numbers[counts[inverse] == 1] = -1
    return numbers
