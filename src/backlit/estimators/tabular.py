"""`TabularClassifier` and `TabularRegressor`: a data frame in, and what `backlit train` does with a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self, final

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import assert_all_finite, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from ..checks import one_of, positive
from ..data.choosing import choose_columns
from ..data.frames import as_frame
from ..data.learning import learn_table, new_model
from ..data.members import Running
from ..data.model import TableModel
from ..data.recipe import PRESETS, recipe_for
from ..exceptions import ShapeError, TableError
from ..parameters import Array

_PARAMETERS = """preset : {"fast", "default", "best"}, default="default"
        fast: one network, watched on a fifth of the rows. default: several, each trained without a part of the rows,
        whose mean predicts. best: more of them, for as much longer.
    minutes : float, optional
        Train networks for that long, however many they are.
    numeric, categorical : sequence of str or int
        Columns whose kind is decided; that of all others is found by their content.
    drop : sequence of str or int
        Columns that are left out. So is a column that counts the rows, and a text that is never the same.
    engine : {"auto", "reference", "compiled"}, default="auto"
    random_state : int, RandomState or None, default=None"""

_ATTRIBUTES = """model_ : TableModel
        What `backlit train` saves, and `backlit.save` too: preparation and network.
    members_ : int
        Networks that predict together; in ``model_.network`` they are one.
    validation_loss_ : float
        {loss} of the rows, each predicted by networks that have not learnt from it; NaN where there is no such row.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Of a data frame."""


class BaseTabular(BaseEstimator):  # type: ignore[misc]
    """What both have: their settings, and what scikit-learn is told of them."""

    def __init__(
        self,
        *,
        preset: str = "default",
        minutes: float | None = None,
        numeric: Sequence[str | int] = (),
        categorical: Sequence[str | int] = (),
        drop: Sequence[str | int] = (),
        engine: str = "auto",
        random_state: Any = None,
    ) -> None:
        self.preset = preset
        self.minutes = minutes
        self.numeric = numeric
        self.categorical = categorical
        self.drop = drop
        self.engine = engine
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.non_deterministic = False
        return tags


@final
class TabularClassifier(ClassifierMixin, BaseTabular):  # type: ignore[misc]
    __doc__ = f"""Classes of the rows of a table, learnt as `backlit train` does: a data frame in, nothing to prepare.

    Numbers may be missing, columns may be text, and dates are read. `MLPClassifier` has scikit-learn's settings and
    defaults; this class has those that were measured to be good for tables (docs/tables.md). Probabilities are
    calibrated.

    Parameters
    ----------
    {_PARAMETERS}

    Attributes
    ----------
    classes_ : ndarray
    {_ATTRIBUTES.format(loss="Mean −log of the probability of the right class")}

    Examples
    --------
    >>> import polars as pl
    >>> table = pl.DataFrame({{"age": [20, 35, None, 60] * 10, "town": ["Rome", "Oslo", "Oslo", "Rome"] * 10}})
    >>> classifier = TabularClassifier(random_state=0).fit(table, ["no", "yes", "yes", "no"] * 10)
    >>> classifier.predict(table[:3])
    array(['no', 'yes', 'yes'], dtype='<U3')
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Learn from a polars or pandas data frame, or an array, and the class of each row."""
        table = _checked(self, X, reset=True)
        labels = column_or_1d(y, warn=True)
        assert_all_finite(labels, input_name="y")
        check_classification_targets(labels)
        _check_lengths(table, labels)
        classes, index = np.unique(labels, return_inverse=True)
        if len(classes) < 2:
            raise TableError(
                f"y holds only one class, {classes[:1].tolist()[0]!r}: at least two classes are needed to learn from"
            )
        # a model's file holds whole numbers or texts
        names = classes if classes.dtype.kind == "i" else np.array([str(label) for label in classes.tolist()])
        learnt, probability = _learnt(self, table, names[index], names)
        self.classes_ = classes
        right = probability[np.arange(len(probability)), index[~learnt.seen]]
        self.validation_loss_ = float(-np.log(np.clip(right, 1e-300, 1.0)).mean()) if len(right) else float("nan")
        return self

    def predict_proba(self, X: Any) -> Array:
        """The probability of each class, shape (n_rows, n_classes), in the order of ``classes_``."""
        return _model(self).predict_proba(_checked(self, X, reset=False))

    def predict(self, X: Any) -> Array:
        """The class of each row, shape (n_rows,)."""
        probability = self.predict_proba(X)
        return np.asarray(self.classes_[probability.argmax(axis=1)])


@final
class TabularRegressor(RegressorMixin, BaseTabular):  # type: ignore[misc]
    __doc__ = f"""Values of the rows of a table, learnt as `backlit train` does: a data frame in, nothing to prepare.

    Numbers may be missing, columns may be text, dates are read, and the target is standardised. `MLPRegressor` has
    scikit-learn's settings and defaults; this class has those that were measured to be good for tables
    (docs/tables.md).

    Parameters
    ----------
    {_PARAMETERS}

    Attributes
    ----------
    {_ATTRIBUTES.format(loss="Half the mean squared error")}

    Examples
    --------
    >>> import polars as pl
    >>> table = pl.DataFrame({{"size": [20.0, 35.0, None, 60.0] * 10, "town": ["Rome", "Oslo", "Oslo", "Rome"] * 10}})
    >>> regressor = TabularRegressor(random_state=0).fit(table, [200.0, 350.0, 300.0, 600.0] * 10)
    >>> regressor.score(table, [200.0, 350.0, 300.0, 600.0] * 10) > 0.9
    True
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Learn from a polars or pandas data frame, or an array, and the value of each row."""
        table = _checked(self, X, reset=True)
        column = column_or_1d(y, warn=True)
        values = check_array(column, dtype=np.float64, ensure_2d=False, input_name="y")
        _check_lengths(table, values)
        learnt, predicted = _learnt(self, table, values, None)
        difference = learnt.model.values(predicted) - values[~learnt.seen]
        self.validation_loss_ = float(0.5 * (difference**2).mean()) if len(difference) else float("nan")
        return self

    def predict(self, X: Any) -> Array:
        """The value of each row, shape (n_rows,)."""
        return _model(self).predict(_checked(self, X, reset=False))


def _checked(estimator: Any, X: Any, *, reset: bool) -> Any:
    """The rows as a table, with the names and the number of columns that scikit-learn asks for."""
    if hasattr(X, "columns") and hasattr(X, "dtypes"):
        validate_data(estimator, X, reset=reset, skip_check_array=True)
        return as_frame(X)
    if not reset:
        check_is_fitted(estimator)
    return as_frame(validate_data(estimator, X, reset=reset, dtype=None, ensure_all_finite="allow-nan"))


def _check_lengths(table: Any, y: Array) -> None:
    if table.height != len(y):
        raise ShapeError(f"X has {table.height} rows and y {len(y)}: give one value of y for each row")


def _learnt(estimator: Any, table: Any, y: Array, classes: Array | None) -> Any:
    """Learn, keep the model, and give back what is known of it with the outputs of rows not learnt from."""
    one_of("preset", estimator.preset, PRESETS)
    minutes = estimator.minutes
    seconds = None if minutes is None else 60.0 * positive("minutes", minutes)
    seed = int(check_random_state(estimator.random_state).randint(2**31))
    kinds, _, _ = choose_columns(
        table, numeric=estimator.numeric, categorical=estimator.categorical, drop=estimator.drop
    )
    if not kinds:
        raise TableError("X has no column to learn from: every column is empty, dropped, or names a row")
    model = new_model(table, kinds, y, "y", classes=classes)
    inputs = model.preparation.width
    outputs, codes = 1 if classes is None else len(classes), model.preparation.codes
    recipe = recipe_for(len(y), inputs, outputs, estimator.preset, codes=codes)
    model.columns = (*table.columns, "y")
    model.optimizer, model.learning_rate = recipe.optimizer, recipe.learning_rate
    X = model.preparation.apply(table, dtype=model.network.dtype)
    running = Running(engine=estimator.engine, progress=False, seconds=seconds)
    learnt = learn_table(model, X, y, recipe, seed=seed, running=running)
    estimator.model_, estimator.members_ = learnt.model, learnt.members
    return learnt, learnt.outputs


def _model(estimator: Any) -> TableModel:
    check_is_fitted(estimator)
    model: TableModel = estimator.model_
    return model
