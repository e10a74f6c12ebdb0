"""What comes into an estimator: checked as scikit-learn checks it, and brought into the form that training needs."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import _safe_indexing, column_or_1d
from sklearn.utils.validation import _check_sample_weight, validate_data

from ..exceptions import DataError
from ..parameters import Array
from ..targets import check_sample_weight, plain_inputs


@final
class SparseRows:
    """A sparse matrix as a source of batches, which a network takes as sparse rows where its first layer can.

    Otherwise the rows of the batch at work are made dense, never more. Another form than CSR is converted once.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> out = np.empty((1, 3))
    >>> SparseRows(csr_array([[0, 1, 0], [2, 0, 3]])).fetch(np.array([1]), out)
    >>> out
    array([[2., 0., 3.]])
    """

    def __init__(self, matrix: Any) -> None:
        self.matrix = matrix.tocsr()

    @property
    def dtype(self) -> np.dtype[Any]:
        found: np.dtype[Any] = self.matrix.dtype
        return found

    @property
    def shape(self) -> tuple[int, int]:
        return int(self.matrix.shape[0]), int(self.matrix.shape[1])

    def sparse_rows(self, rows: Array | slice) -> Any:
        """The given rows, sparse; those that follow each other are cut out in one piece."""
        if not isinstance(rows, slice):
            return self.matrix[rows]
        whole, (start, stop, _) = self.matrix, rows.indices(self.shape[0])
        first, last = whole.indptr[[start, stop]]
        # three views as they stand: SciPy's constructor would look them through again
        part = copy.copy(whole)
        part.data, part.indices = whole.data[first:last], whole.indices[first:last]
        part.indptr = whole.indptr[start : stop + 1] - first
        part.resize((stop - start, whole.shape[1]))
        return part

    def fetch(self, rows: Array | slice, out: Array, *, epoch: int = 0) -> None:
        """Write the given rows into `out`, shape (len(rows), n_features)."""
        out[...] = self.matrix[rows].toarray()

    def take(self, rows: Array) -> SparseRows:
        """A source of these rows alone."""
        return SparseRows(self.matrix[rows])


@final
@dataclass
class Rows:
    """Rows ready for training.

    Attributes
    ----------
    X : ndarray or SparseRows, shape (n, inputs)
    targets : ndarray
        Numbers of classes (n,), 0/1 columns (n, n_labels), or target values.
    weight : ndarray, shape (n,), or None
        Sample weights times class weights.
    given : tuple or None
        (X, y, sample_weight) as the caller gave them, where a scorer is to be called with them.
    """

    X: Any
    targets: Array
    weight: Array | None
    given: tuple[Any, Any, Any] | None

    @property
    def n(self) -> int:
        return int(self.targets.shape[0])

    def take(self, rows: Array) -> Rows:
        """These rows alone."""
        given = self.given
        weight = None if given is None or given[2] is None else _safe_indexing(given[2], rows)
        return Rows(
            self.X.take(rows) if isinstance(self.X, SparseRows) else self.X[rows],
            self.targets[rows],
            None if self.weight is None else self.weight[rows],
            None if given is None else (_safe_indexing(given[0], rows), _safe_indexing(given[1], rows), weight),
        )


def check_X_y(estimator: Any, X: Any, y: Any, *, reset: bool, **checks: Any) -> tuple[Any, Any]:
    """X and y as `sklearn.utils.validation.validate_data` lets them pass; y a column where it has one."""
    X, y = validate_data(estimator, X, y, multi_output=True, reset=reset, **_x_checks(estimator), **checks)
    if y.ndim == 2 and y.shape[1] == 1 and not issparse(y):
        y = column_or_1d(y, warn=True)
    return X, y


def check_X(estimator: Any, X: Any) -> Any:
    """X for a fitted estimator, with missing values filled in: an array or a sparse matrix.

    scikit-learn's checks take a tenth of a millisecond: a few rows that pass them at a glance are spared it.
    """
    features = getattr(estimator, "n_features_in_", -1)
    if not estimator.impute_missing and not hasattr(estimator, "feature_names_in_") and plain_inputs(X, features):
        return X
    return fill_missing(estimator, validate_data(estimator, X, reset=False, **_x_checks(estimator)))


def _x_checks(estimator: Any) -> dict[str, Any]:
    return {
        "accept_sparse": ["csr", "csc"],
        "dtype": (np.float64, np.float32),
        "order": "C",
        "ensure_all_finite": "allow-nan" if estimator.impute_missing else True,
    }


def make_rows(estimator: Any, X: Any, targets: Array, weight: Array | None, given: tuple[Any, Any, Any]) -> Rows:
    """Rows for training or validation; X has been checked and has no missing values left."""
    return Rows(SparseRows(X) if issparse(X) else X, targets, weight, given if estimator.scoring is not None else None)


def counted(rows: Rows, what: str, dtype: np.dtype[Any]) -> Rows:
    """The rows whose weight is not zero: a row of weight 0 is a row left out, of every batch and of every split.

    The network multiplies by the weights in its `dtype`. What is zero there counts as zero, if it is next to nothing
    beside the largest; weights that are all near the ends of the type's range are refused. `what` names them.
    """
    if rows.weight is None:
        return rows
    limits = np.finfo(dtype)
    tiny, eps, largest = float(limits.tiny), float(limits.eps), float(rows.weight.max())
    with np.errstate(over="ignore"):
        total = float(rows.weight.sum())
    if not largest:
        raise DataError(f"the {what} of every row is zero: at least one row has to count")
    # 1 / tiny is finite, 1 / 0 or of less is not; and what is smaller than eps times the largest is rounding
    if largest < tiny / eps or total > float(limits.max) * eps:
        raise DataError(
            f"the {what} leaves the range of {dtype} (the largest is {largest:.6g}, their sum {total:.6g}): "
            "multiply all weights by one number, so that they are near 1"
        )
    counting = rows.weight >= tiny
    return rows if counting.all() else rows.take(np.flatnonzero(counting))


def check_weight(sample_weight: Any, X: Any) -> Array | None:
    """Sample weights, shape (n,), or None: finite, not negative, not all zero."""
    if sample_weight is None:
        return None
    return check_sample_weight(_check_sample_weight(sample_weight, X, dtype=np.float64), X.shape[0])


# ── missing values ───────────────────────────────────────────────────────────────────────────────────────────


def find_fill_values(estimator: Any, X: Any, weight: Array | None) -> None:
    """Set ``fill_values_``, the (weighted) mean of each feature, and ``indicator_features_``, those with gaps."""
    if not estimator.impute_missing:
        return
    _refuse_sparse(X)
    present = ~np.isnan(X)  # (n, n_features)
    w = np.ones(X.shape[0]) if weight is None else weight  # (n,)
    count = w @ present
    total = w @ np.where(present, X, 0.0)
    estimator.fill_values_ = np.divide(total, count, out=np.zeros_like(total), where=count > 0.0)
    estimator.indicator_features_ = np.flatnonzero((w[:, None] * ~present).any(axis=0))


def fill_missing(estimator: Any, X: Any) -> Any:
    """X with means in its gaps and a 0/1 column for each feature that had gaps in training, if that was asked for."""
    if not estimator.impute_missing:
        return X
    _refuse_sparse(X)
    gaps = np.isnan(X)
    filled = np.where(gaps, estimator.fill_values_.astype(X.dtype), X)
    return np.hstack([filled, gaps[:, estimator.indicator_features_].astype(X.dtype)])


def _refuse_sparse(X: Any) -> None:
    if issparse(X):
        raise DataError(
            "impute_missing needs dense X, received a sparse matrix: use SimpleImputer before the estimator"
        )
