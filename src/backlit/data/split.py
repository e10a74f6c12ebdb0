"""Rows for training and rows for validation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..exceptions import ConfigurationError, DataError, ShapeError
from ..parameters import Array
from ..randomness import check_seed, keyed_generator


def split_rows(
    n: int, fraction: float, *, seed: int, labels: Array | Sequence[Any] | None = None
) -> tuple[Array, Array]:
    """Divide `n` rows at random into rows for training and rows for validation.

    With `labels`, every class has its share on both sides (scikit-learn's stratified `train_test_split`).
    A class with a single row goes to training. Where shares are impossible, because a side has fewer
    rows than there are classes, the rows are divided without regard to their classes.

    Parameters
    ----------
    n : int
        Number of rows, at least 2.
    fraction : float
        Share of the rows for validation, between 0 and 1. Either side gets at least one row.
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
    from sklearn.model_selection import train_test_split

    if not 0.0 < fraction < 1.0:
        raise ConfigurationError(f"the share for validation must be between 0 and 1, received {fraction!r}")
    if n < 2:
        raise DataError(f"a validation set needs at least two rows to divide, received {n}: pass more rows")
    size = min(max(round(n * fraction), 1), n - 1)  # rows for validation

    drawn = np.arange(n)  # the rows that may come to validation
    stratify = None
    if labels is not None:
        given = np.asarray(labels)
        if given.shape != (n,):
            raise ShapeError(f"labels must be one a row, {n} of them, received shape {given.shape}")
        _, inverse, counts = np.unique(given, return_inverse=True, return_counts=True)
        several = counts[inverse] > 1  # (n,) False for a row that is alone in its class
        rows = np.flatnonzero(several)
        if size < len(rows):
            drawn = rows
            if np.count_nonzero(counts > 1) <= min(size, len(rows) - size):
                stratify = given[rows]

    # scikit-learn takes one 32-bit number for its own generator.
    state = int(keyed_generator(check_seed(seed), "split").integers(2**32))
    _, chosen = train_test_split(drawn, test_size=size, random_state=state, stratify=stratify)
    validation = np.sort(chosen)
    train = np.setdiff1d(np.arange(n), validation)
    return train, validation
