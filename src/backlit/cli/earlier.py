"""The model of a table as Backlit 0.1.0 saved it, a pipeline of scikit-learn, as what it is now."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..data.categories import Categories, as_canonical
from ..data.model import Reading, TableModel
from ..data.preparation import Numbers, Preparation


def from_pipeline(pipeline: Any) -> TableModel:
    """The same predictions from the same columns.

    Parameters
    ----------
    pipeline : sklearn.pipeline.Pipeline
        Of a ColumnTransformer and an estimator, with the attribute ``table_``.
    """
    table = pipeline.table_
    steps = {name: (step, columns) for name, step, columns in pipeline[0].transformers_}
    kinds: dict[str, Any] = {
        name: kind for kind in ("numeric", "categorical") for name in table["kinds"] if table["kinds"][name] == kind
    }
    numbers = Numbers([], *np.zeros((5, 0)))
    if "numeric" in steps:
        step, names = steps["numeric"]
        impute, scale = step.named_steps["impute"], step.named_steps["scale"]
        # it kept no smallest and largest values: nothing is said to lie outside
        wide = np.full(len(names), np.finfo(np.float64).max)
        median = np.nan_to_num(np.asarray(impute.statistics_, dtype=np.float64))
        numbers = Numbers(list(names), median, scale.mean_, scale.scale_, -wide, wide)
    categories = []
    if "categorical" in steps:
        encoder, names = steps["categorical"]
        rare_of = getattr(encoder, "infrequent_categories_", [None] * len(names))
        for name, values, rare in zip(names, encoder.categories_, rare_of, strict=True):
            categories.append(_categories(name, values, rare))
    last = pipeline[-1]
    estimator = getattr(last, "regressor_", last)
    classes = getattr(last, "classes_", None)
    model = TableModel(
        estimator.network_,
        Preparation(kinds, numbers, [], categories),
        table["target"],
        classes,
        history=estimator.history_,
    )
    if classes is None:
        model.mean, model.scale = float(last.transformer_.mean_[0]), float(last.transformer_.scale_[0])
    model.reading = Reading(
        table["header"], tuple(table["missing"]), tuple(table["numeric"]), tuple(table["categorical"])
    )
    if not table["header"]:
        names = [*table["kinds"], table["target"]]
        model.columns = tuple(f"c{i}" for i in range(1 + max(int(name[1:]) for name in names)))
    return model


def _categories(name: str, values: Any, rare: Any) -> Categories:
    gone = set() if rare is None else set(rare.tolist())
    frequent = [value for value in values.tolist() if value not in gone]
    # the missing value stood last, or among the rare ones
    missing = bool(frequent) and frequent[-1] is None
    texts: list[str] = []
    for value in (str(value) for value in frequent if value is not None):
        form = as_canonical([value])[0]
        texts.append(value if form in texts else form)  # a second text of one value keeps its place
    known = as_canonical(str(value) for value in gone if value is not None)
    rest = [value for value in known if value not in texts]
    return Categories(name, texts, rest, rare_column=rare is not None, missing=missing)
