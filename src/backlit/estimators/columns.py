"""The preparation of a table as a step of scikit-learn's pipelines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ..data.columns import find_kinds, resolve_column
from ..data.frames import as_frame
from ..data.preparation import Preparation
from ..parameters import Array


@final
class TablePreparation(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):  # type: ignore[misc,call-arg]
    """Columns of a table made fit for a network: what `backlit train` does, as a transformer.

    Numbers are filled with the median where missing, standardised and kept within ±3 by a smooth clip; dates become
    year, month, day of the week, day of the year (sine and cosine) and days since the first; categories become one
    column each, the rare ones of a column with more than 100 share one, and what was never seen is tolerated.

    Parameters
    ----------
    numeric, categorical : sequence of str or int
        Columns whose kind is decided; that of all others is found by their content.
    drop : sequence of str or int
        Columns that are left out.

    Attributes
    ----------
    preparation_ : backlit.data.preparation.Preparation
        What was learnt.
    n_features_in_ : int
    feature_names_in_ : ndarray of str

    Examples
    --------
    >>> import polars as pl
    >>> from sklearn.pipeline import Pipeline
    >>> from backlit import MLPClassifier
    >>> table = pl.DataFrame({"age": [20.0, 40.0, None, 60.0], "town": ["Rome", "Oslo", "Oslo", "Rome"]})
    >>> steps = [("columns", TablePreparation()), ("mlp", MLPClassifier((4,), solver="lbfgs", random_state=0))]
    >>> Pipeline(steps).fit(table, ["yes", "no", "no", "yes"]).predict(table)
    array(['yes', 'no', 'no', 'yes'], dtype='<U3')
    """

    def __init__(
        self,
        *,
        numeric: Sequence[str | int] = (),
        categorical: Sequence[str | int] = (),
        drop: Sequence[str | int] = (),
    ) -> None:
        self.numeric = numeric
        self.categorical = categorical
        self.drop = drop

    def fit(self, X: Any, y: Any = None) -> TablePreparation:
        """Learn from a polars or pandas data frame, or an array."""
        frame = as_frame(X)
        left_out = [resolve_column(frame.columns, column) for column in self.drop]
        kinds = find_kinds(frame.drop(left_out), numeric=self.numeric, categorical=self.categorical)
        self.preparation_ = Preparation.learn(frame, kinds)
        self.n_features_in_ = frame.width
        self.feature_names_in_ = np.array(frame.columns, dtype=object)
        return self

    def transform(self, X: Any) -> Array:
        """The matrix of a table with the same columns, shape (n_rows, n_outputs)."""
        check_is_fitted(self)
        return self.preparation_.apply(as_frame(X))

    def get_feature_names_out(self, input_features: Any = None) -> Array:
        """The names of the matrix's columns."""
        check_is_fitted(self)
        return np.array(self.preparation_.names(), dtype=object)
