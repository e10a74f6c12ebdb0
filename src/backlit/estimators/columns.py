"""A table's columns made fit for a network, by scikit-learn's own transformers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

#: Categories of a column beyond the most frequent ones share one column: a name or an identifier would fill the memory.
MOST_CATEGORIES: Final = 100


def column_transformer(kinds: Mapping[str, str]) -> ColumnTransformer:
    """Numeric columns imputed (median) and standardised, categorical ones one-hot, values never seen tolerated.

    Parameters
    ----------
    kinds : mapping of column name to "numeric" or "categorical"

    Examples
    --------
    >>> import polars as pl
    >>> table = pl.DataFrame({"age": [20.0, 40.0], "town": ["Rome", "Oslo"]})
    >>> column_transformer({"age": "numeric", "town": "categorical"}).fit_transform(table)
    array([[-1.,  0.,  1.],
           [ 1.,  1.,  0.]])
    """
    numeric = [name for name, kind in kinds.items() if kind == "numeric"]
    categorical = [name for name, kind in kinds.items() if kind == "categorical"]
    steps: list[tuple[str, Any, list[str]]] = []
    if numeric:
        # where every value is missing there is no median; the column stays, as zeros
        impute = SimpleImputer(strategy="median", keep_empty_features=True)
        steps.append(("numeric", Pipeline([("impute", impute), ("scale", StandardScaler())]), numeric))
    if categorical:
        encode = OneHotEncoder(
            handle_unknown="infrequent_if_exist", max_categories=MOST_CATEGORIES, sparse_output=False
        )
        steps.append(("categorical", encode, categorical))
    return ColumnTransformer(steps, verbose_feature_names_out=False)
