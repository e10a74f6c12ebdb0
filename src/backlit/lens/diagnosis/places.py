"""Gradients that are right but stand in each other's place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from ...parameters import Array
from .rounding import row_squares

_MOST_MOVED: Final = 512  # columns looked at for an exchange


def moved(given: Array, right: Array, tolerance: float) -> Iterator[tuple[str, dict[str, float]]]:
    """Along which axis columns stand in each other's place, and which: "units" or "inputs"."""
    if given.ndim == 1:
        given, right = given[None, :], right[None, :]
    for axis, one, other in (("units", given, right), ("inputs", given.T, right.T)):
        found = _columns(one, other, tolerance)
        if found is not None:
            yield axis, found


def _columns(given: Array, right: Array, tolerance: float) -> dict[str, float] | None:
    wrong = np.flatnonzero(np.sqrt(row_squares((given - right).T)) > tolerance)
    if not 2 <= wrong.size <= _MOST_MOVED:
        return None
    one, other = given[:, wrong], right[:, wrong]
    lengths = [np.sort(np.sqrt(row_squares(columns.T))) for columns in (one, other)]
    if (np.abs(lengths[0] - lengths[1]) > tolerance).any():
        return None
    from scipy.optimize import linear_sum_assignment

    distance = np.stack([np.sqrt(row_squares((one - column[:, None]).T)) for column in other.T], axis=1)
    at, source = linear_sum_assignment(distance)
    if float(distance[at, source].max()) > tolerance:
        return None
    return {"first": int(wrong[0]), "second": int(wrong[source[0]]), "moved": int(wrong.size)}
