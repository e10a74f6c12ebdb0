"""What `MLPClassifier` and `MLPRegressor` have in common."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin, TransformerMixin
from sklearn.utils import metadata_routing

from ..exceptions import ModelFileError
from ..network import Network
from ..parameters import Array
from .constraints import parameters_checked
from .drawing import html_with_network
from .fitting import fit_estimator
from .hidden import (
    ParameterViews,
    bias_views,
    hidden_activations,
    set_container,
    set_views,
    unit_names,
    weight_views,
)
from .tracking import CallbackSupport, with_callbacks


def keep_parameters(estimator: Any, given: Mapping[str, Any]) -> None:
    """Keep every argument of ``__init__`` under its own name, untouched, as scikit-learn asks."""
    vars(estimator).update({name: value for name, value in given.items() if name != "self"})


class BaseMLP(TransformerMixin, CallbackSupport, auto_wrap_output_keys=None):  # type: ignore[misc,call-arg]
    """Training, hidden activations, parameters, copies. A class made of it says what its targets are.

    That is `_learn_targets`, `_encode_targets` and `_class_factors`, which `fit_estimator` calls in this order.
    """

    # `layer` is an argument of `transform` alone, nothing for a pipeline to route.
    __metadata_request__transform = {"layer": metadata_routing.UNUSED}  # noqa: RUF012

    @with_callbacks
    @parameters_checked
    def fit(
        self,
        X: Any,
        y: Any,
        *,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Train. A call that is refused leaves everything as it was.

        Parameters
        ----------
        X : array, data frame or sparse matrix, shape (n_samples, n_features)
        y : array_like, shape (n_samples,) or (n_samples, n_outputs)
            Of a classifier the class labels, or a 0/1 column for each label; of a regressor numbers.
        sample_weight : array_like, shape (n_samples,), optional
            A row of weight 2 counts as two rows, a row of weight 0 is left out.
        X_val, y_val, sample_weight_val : optional
            Rows to measure on after every epoch; early stopping watches them in place of a part of X.
        """
        return fit_estimator(self, (X, y, sample_weight), (X_val, y_val, sample_weight_val))

    def score(self, X: Any, y: Any, *, sample_weight: Any = None) -> float:
        """Accuracy of a classifier, r² of a regressor, as in scikit-learn."""
        return float(super().score(X, y, sample_weight=sample_weight))

    def transform(self, X: Any, layer: int = -1) -> Any:
        """The activations of a hidden layer, shape (n_samples, units): 0 is the first, -1 the last."""
        return hidden_activations(self, X, layer)

    def get_feature_names_out(self, input_features: Any = None, layer: int = -1) -> Array:
        """The names of the columns of `transform`."""
        return unit_names(self, layer)

    def set_output(self, *, transform: str | None = None) -> Self:
        """What `transform` gives: "default" (an array), "pandas" or "polars"."""
        set_container(self, transform)
        return self

    @property
    def coefs_(self) -> ParameterViews:
        return weight_views(self)

    @coefs_.setter
    def coefs_(self, arrays: Any) -> None:
        set_views(weight_views(self), arrays)

    @property
    def intercepts_(self) -> ParameterViews:
        return bias_views(self)

    @intercepts_.setter
    def intercepts_(self, arrays: Any) -> None:
        set_views(bias_views(self), arrays)

    @property
    def n_layers_(self) -> int:
        return len(weight_views(self)) + 1

    @property
    def loss_curve_(self) -> list[float]:
        # The history's own list: a copy of it would make each call of `partial_fit` slower than the one before.
        return self.history_["loss"] if self.history_.epochs else []

    def _html_repr(self) -> str:
        return html_with_network(self)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = not self.impute_missing
        tags.input_tags.allow_nan = self.impute_missing
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def check_loaded(self) -> None:
        """Refuse what came out of a file and cannot predict: sizes that do not fit, or values of another type."""
        missing = [name for name in self._get_param_names() if not hasattr(self, name)]
        if missing:
            raise ModelFileError(f"the estimator lacks its setting {missing[0]!r}")
        if "network_" not in vars(self):
            return  # it was saved before it was fitted
        net, features = self.network_, self.n_features_in_
        if not isinstance(net, Network) or type(features) is not int or features != net.inputs:
            raise ModelFileError("the estimator and its network have different numbers of features")
        if type(self.n_outputs_) is not int or self.n_outputs_ != net.outputs:
            raise ModelFileError("the estimator and its network have different numbers of outputs")
        classes = vars(self).get("classes_")
        if isinstance(self, ClassifierMixin) and not (
            isinstance(classes, np.ndarray)
            and classes.ndim == 1
            and (len(classes) == net.outputs if net.outputs > 1 else 1 <= len(classes) <= 2)
        ):
            raise ModelFileError("the classes do not fit the outputs")
        if classes is not None:
            if classes.dtype.kind == "f" and not np.isfinite(classes).all():
                raise ModelFileError("a class is not a finite number")
            if len(np.unique(classes)) != len(classes):
                raise ModelFileError("a class stands twice")
        engine: Any = vars(self)["engine"]
        self.engine = "reference"  # nothing is compiled for a first look
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the row has no feature names
            self.predict(np.zeros((1, features)))
        self.engine = engine

    # A file's dictionaries have the keys of JSON, in which False and "False", or 0 and "0", are one: there the weights
    # of the classes are pairs.
    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = dict(super().__getstate__())
        if isinstance(state.get("class_weight"), dict):
            state["_class_weight_pairs"] = list(state.pop("class_weight").items())
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        if "_class_weight_pairs" in state:
            state["class_weight"] = dict(state.pop("_class_weight_pairs"))
        state.pop("loss_curve_", None)  # files of 0.1.0 hold a copy of the history's
        super().__setstate__(state)
