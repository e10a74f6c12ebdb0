"""What our estimators have beyond scikit-learn's: each promise of their docstrings."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, f1_score, r2_score
from sklearn.preprocessing import scale

import backlit as bl
from backlit.exceptions import ConfigurationError, DataError, DerivativeError, LabelError, NotFittedError, ShapeError
from backlit.kinds.losses import huber, quantile

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

IRIS = (scale(load_iris().data), load_iris().target)
CANCER = (scale(load_breast_cancer().data), load_breast_cancer().target)
DIABETES = (scale(load_diabetes().data), scale(load_diabetes().target))


def values(estimator: Any) -> np.ndarray:
    return estimator.network_.parameters.values


# ── the network that the settings describe ──────────────────────────────────────────────────────────────────


def test_dropout_for_all_layers_or_one_for_each() -> None:
    one = bl.MLPClassifier((8, 4), dropout=0.3, max_iter=2, random_state=0).fit(*IRIS)
    assert [repr(layer) for layer in one.network_.layers] == [
        "Dense(8, 'relu')",
        "Dropout(0.3)",
        "Dense(4, 'relu')",
        "Dropout(0.3)",
        "Dense(3, 'softmax')",
    ]
    each = bl.MLPClassifier((8, 4), dropout=[0.5, 0.0], max_iter=2, random_state=0).fit(*IRIS)
    assert [layer.rate for layer in each.network_.layers if isinstance(layer, bl.Dropout)] == [0.5]
    without = bl.MLPClassifier((8, 4), max_iter=2, random_state=0).fit(*IRIS)
    assert not np.array_equal(values(one), values(without))
    with pytest.raises(ConfigurationError, match="dropout needs one value for each of the 2 hidden layers"):
        bl.MLPClassifier((8, 4), dropout=[0.5]).fit(*IRIS)


def test_activations_by_layer_and_of_ones_own() -> None:
    mixed = bl.MLPClassifier((8, 4), ["gelu", "logistic"], max_iter=2).fit(*IRIS)
    assert [layer.activation.name for layer in mixed.network_.layers] == ["gelu", "sigmoid", "softmax"]
    own = bl.MLPClassifier((8, 4), (np.sin, np.cos), max_iter=2).fit(*IRIS)
    assert [layer.activation.name for layer in own.network_.layers] == ["sin", "sin", "softmax"]
    by_layer = bl.MLPClassifier((8, 4), ["tanh", (np.sin, np.cos)], max_iter=2).fit(*IRIS)
    assert [layer.activation.name for layer in by_layer.network_.layers] == ["tanh", "sin", "softmax"]
    with pytest.raises(DerivativeError):
        bl.MLPClassifier(8, (np.sin, np.sin)).fit(*IRIS)
    with pytest.raises(ConfigurationError, match="activation needs one value for each of the 2 hidden layers"):
        bl.MLPClassifier((8, 4), ["tanh"]).fit(*IRIS)


@pytest.mark.parametrize(
    "loss", ["mean_squared_error", "huber", "absolute_error", "quantile", huber(0.5), "squared_error"], ids=str
)
def test_losses_of_the_regressor(loss: Any) -> None:
    model = bl.MLPRegressor(loss, 16, solver="adam", learning_rate_init=0.01, max_iter=150, random_state=0)
    assert model.fit(*DIABETES).score(*DIABETES) > 0.4


def test_the_quantile_loss_finds_the_quantile() -> None:
    X, y = DIABETES
    model = bl.MLPRegressor(quantile(0.9), (), learning_rate_init=0.01, max_iter=400, random_state=0).fit(X, y)
    assert np.mean(y <= model.predict(X)) == pytest.approx(0.9, abs=0.03)


def test_cross_entropy_for_shares() -> None:
    X, y = DIABETES
    model = bl.MLPRegressor("cross_entropy", 8, solver="lbfgs", random_state=0).fit(X, 1 / (1 + np.exp(-y)))
    assert model.out_activation_ == "logistic"
    assert ((model.predict(X) > 0) & (model.predict(X) < 1)).all()


@pytest.mark.parametrize("data", [IRIS, CANCER], ids=["three classes", "two classes"])
@pytest.mark.parametrize("loss", ["hinge", "squared_error", "cross_entropy", "huber", "mean_squared_error"])
def test_losses_of_the_classifier(loss: str, data: Any) -> None:
    X, y = data
    model = bl.MLPClassifier(16, loss=loss, learning_rate_init=0.01, max_iter=150, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.95
    assert hasattr(model, "predict_proba") == (loss != "hinge")
    assert hasattr(model, "decision_function") == (loss == "hinge")
    if loss == "hinge":
        margins = model.decision_function(X)
        found = margins.argmax(axis=1) if margins.ndim == 2 else margins > 0
        np.testing.assert_array_equal(model.classes_[found.astype(int)], model.predict(X))


def test_a_loss_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="the hinge loss is for classes"):
        bl.MLPRegressor("hinge").fit(*DIABETES)
    with pytest.raises(DataError, match="poisson loss needs y of at least 0"):
        bl.MLPRegressor("poisson").fit(*DIABETES)


# ── optimisers ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("solver", ["adam", "adamw", "sgd", "rmsprop", "adagrad"])
def test_a_schedule_for_every_stochastic_solver(solver: str) -> None:
    schedule = bl.CosineDecay(0.01, epochs=5)
    model = bl.MLPClassifier(8, solver=solver, learning_rate=schedule, max_iter=5, random_state=0).fit(*CANCER)
    steps = math.ceil(len(CANCER[1]) / 200)
    expected = [schedule(epoch + (steps - 1) / steps) for epoch in range(5)]
    assert model.history_["learning_rate"] == pytest.approx(expected)


def test_settings_that_do_not_go_together() -> None:
    with pytest.raises(ConfigurationError, match="lbfgs chooses its own steps"):
        bl.MLPClassifier(solver="lbfgs", clip_norm=1.0).fit(*IRIS)
    with pytest.raises(ConfigurationError, match="weight_decay goes with the solvers 'adam' and 'adamw'"):
        bl.MLPClassifier(solver="sgd", weight_decay=0.1).fit(*IRIS)


def test_weight_decay_shrinks_the_weights_alone() -> None:
    plain, decayed = (
        bl.MLPClassifier(8, alpha=0.0, weight_decay=decay, max_iter=60, learning_rate_init=0.01, random_state=0).fit(
            *IRIS
        )
        for decay in (0.0, 1.0)
    )
    assert sum(np.abs(w).sum() for w in decayed.coefs_) < 0.8 * sum(np.abs(w).sum() for w in plain.coefs_)


def test_clip_norm_bounds_the_step() -> None:
    X, y = DIABETES
    settings: dict[str, Any] = {"solver": "sgd", "momentum": 0.0, "batch_size": len(y), "random_state": 0}
    start = bl.MLPRegressor(hidden_layer_sizes=8, max_iter=1, learning_rate_init=1e-300, **settings).fit(X, 1e3 * y)
    model = bl.MLPRegressor(hidden_layer_sizes=8, max_iter=1, learning_rate_init=0.5, clip_norm=0.1, **settings)
    step = values(model.fit(X, 1e3 * y)) - values(start)
    assert np.linalg.norm(step) == pytest.approx(0.5 * 0.1)


# ── weights ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 3.0, 2: 0.5}], ids=str)
def test_weight_2_is_a_row_twice_and_weight_0_a_row_left_out(solver: str, class_weight: Any) -> None:
    X, y = IRIS
    weight = np.random.default_rng(0).integers(0, 3, len(y))
    settings: dict[str, Any] = {"solver": solver, "batch_size": 600, "max_iter": 15, "random_state": 0, "alpha": 0.1}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Got `batch_size`")  # of all rows at once
        weighted = bl.MLPClassifier(8, class_weight=class_weight, **settings).fit(X, y, sample_weight=weight)
        repeated = bl.MLPClassifier(8, class_weight=class_weight, **settings)
        repeated.fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    np.testing.assert_allclose(values(weighted), values(repeated), rtol=0, atol=1e-10 if solver != "lbfgs" else 1e-6)


def test_weight_0_is_a_row_left_out_of_batches_and_splits_too() -> None:
    X, y = CANCER
    weight = np.random.default_rng(1).integers(0, 2, len(y))
    settings: dict[str, Any] = {"early_stopping": True, "max_iter": 5, "random_state": 0, "batch_size": 32}
    weighted = bl.MLPClassifier(8, **settings).fit(X, y, sample_weight=weight)
    left_out = bl.MLPClassifier(8, **settings).fit(X[weight == 1], y[weight == 1])
    np.testing.assert_allclose(values(weighted), values(left_out), rtol=0, atol=1e-13)
    assert weighted.validation_scores_ == left_out.validation_scores_


def test_balanced_class_weights_let_every_class_weigh_the_same() -> None:
    X, y = IRIS
    rows = np.r_[0:50, 50:60, 100:105]
    X, y = X[rows], y[rows]
    balanced = bl.MLPClassifier(8, class_weight="balanced", max_iter=30, random_state=0).fit(X, y)
    counts = np.bincount(y)
    by_hand = bl.MLPClassifier(8, class_weight=dict(enumerate(len(y) / (3 * counts))), max_iter=30, random_state=0)
    np.testing.assert_array_equal(values(balanced), values(by_hand.fit(X, y)))
    by_rows = bl.MLPClassifier(8, max_iter=30, random_state=0).fit(X, y, sample_weight=(len(y) / (3 * counts))[y])
    np.testing.assert_array_equal(values(balanced), values(by_rows))


def test_class_weights_multiply_sample_weights_in_training_and_validation() -> None:
    X, y = IRIS
    rng = np.random.default_rng(0)
    w, w_val = rng.uniform(0.5, 2.0, 100), rng.uniform(0.5, 2.0, 50)
    order = rng.permutation(150)
    X, y, X_val, y_val = X[order[:100]], y[order[:100]], X[order[100:]], y[order[100:]]
    factors = {0: 1.0, 1: 5.0, 2: 0.2}
    f = np.array(list(factors.values()))
    settings: dict[str, Any] = {"max_iter": 5, "random_state": 0, "batch_size": 30}
    model = bl.MLPClassifier(8, class_weight=factors, **settings)
    model.fit(X, y, sample_weight=w, X_val=X_val, y_val=y_val, sample_weight_val=w_val)
    by_hand = bl.MLPClassifier(8, **settings)
    by_hand.fit(X, y, sample_weight=w * f[y], X_val=X_val, y_val=y_val, sample_weight_val=w_val * f[y_val])
    assert model.history_["loss"] == by_hand.history_["loss"]
    assert model.history_["val_loss"] == by_hand.history_["val_loss"]
    expected = accuracy_score(y_val, model.predict(X_val), sample_weight=w_val * f[y_val])
    assert model.validation_scores_[-1] == pytest.approx(expected)


def test_class_weights_that_cannot_be() -> None:
    with pytest.raises(ConfigurationError, match="class_weight names the class 7"):
        bl.MLPClassifier(class_weight={7: 1.0}).fit(*IRIS)
    X, Y = make_multilabel_classification(20, random_state=0)
    with pytest.raises(ConfigurationError, match="class_weight is for one class a row"):
        bl.MLPClassifier(class_weight="balanced").fit(X, Y)
    with pytest.raises(ConfigurationError, match="'balanced' is not supported for partial_fit"):
        bl.MLPClassifier(class_weight="balanced").partial_fit(*IRIS, classes=[0, 1, 2])
    with pytest.raises(DataError, match="the weight of every row is zero"):
        bl.MLPClassifier(class_weight={0: 0, 1: 0, 2: 0}).fit(*IRIS)
    with pytest.raises(DataError, match="must not be negative"):
        bl.MLPClassifier().fit(*IRIS, sample_weight=-np.ones(150))


# ── validation rows, scorers, early stopping ────────────────────────────────────────────────────────────────


def test_validation_rows_are_measured_after_every_epoch() -> None:
    X, y = CANCER
    model = bl.MLPClassifier(8, max_iter=4, random_state=0, scoring=["f1_macro", "roc_auc"])
    model.fit(X[:400], y[:400], X_val=X[400:], y_val=y[400:])
    history = model.history_
    assert [len(history[name]) for name in ("val_loss", "val_accuracy", "val_f1_macro", "val_roc_auc")] == [4] * 4
    assert history["val_accuracy"][-1] == pytest.approx(model.score(X[400:], y[400:]))
    assert history["val_f1_macro"][-1] == f1_score(y[400:], model.predict(X[400:]), average="macro")
    assert model.validation_scores_ == history["val_f1_macro"]
    # measured on those rows alone
    np.testing.assert_array_equal(
        values(model), values(bl.MLPClassifier(8, max_iter=4, random_state=0).fit(X[:400], y[:400]))
    )


def test_validation_of_a_regressor_and_a_scorer_of_ones_own() -> None:
    X, y = DIABETES
    weight = np.linspace(0.5, 1.5, 142)
    model = bl.MLPRegressor(hidden_layer_sizes=8, max_iter=3, random_state=0).fit(
        X[:300], y[:300], X_val=X[300:], y_val=y[300:], sample_weight_val=weight
    )
    assert model.history_["val_r2"][-1] == pytest.approx(
        r2_score(y[300:], model.predict(X[300:]), sample_weight=weight)
    )

    def largest_error(estimator: Any, X: Any, y: Any) -> float:
        return -float(np.abs(estimator.predict(X) - y).max())

    model.set_params(scoring=largest_error).fit(X[:300], y[:300], X_val=X[300:], y_val=y[300:])
    assert model.history_["val_score"][-1] == largest_error(model, X[300:], y[300:])
    model.set_params(scoring={"worst": largest_error, "r2": "r2"}).fit(X[:300], y[:300], X_val=X[300:], y_val=y[300:])
    assert model.history_["val_worst"][-1] == largest_error(model, X[300:], y[300:])


@pytest.mark.parametrize("sparse", [False, True])
def test_several_labels_are_validated_by_all_of_them(sparse: bool) -> None:
    X, Y = make_multilabel_classification(200, random_state=0)
    X = csr_array(X) if sparse else X
    model = bl.MLPClassifier(8, max_iter=20, random_state=0).fit(X[:150], Y[:150], X_val=X[150:], y_val=Y[150:])
    assert model.history_["val_accuracy"][-1] == accuracy_score(Y[150:], model.predict(X[150:]))


def test_early_stopping_on_given_rows_restores_the_best_epoch() -> None:
    X, y = CANCER
    kept: list[np.ndarray] = []

    class Keep(bl.Callback):
        def on_epoch_end(self, training: Any) -> None:
            kept.append(training.net.parameters.values.copy())

    model = bl.MLPClassifier(
        50, early_stopping=True, learning_rate_init=0.03, n_iter_no_change=5, random_state=1, callbacks=[Keep()]
    )
    model.fit(X[:100], y[:100], X_val=X[100:], y_val=y[100:])
    best = int(np.argmax(model.validation_scores_))
    assert best + 1 < model.n_iter_ < 200
    assert model.history_.best_epoch == best + 1
    np.testing.assert_array_equal(values(model), kept[best])
    assert model.score(X[100:], y[100:]) == pytest.approx(model.best_validation_score_)


def test_early_stopping_watches_the_first_scorer() -> None:
    X, y = CANCER
    model = bl.MLPClassifier(8, early_stopping=True, scoring="neg_log_loss", max_iter=6, random_state=0, tol=0.0)
    model.fit(X, y)
    assert model.validation_scores_ == model.history_["val_neg_log_loss"]
    assert model.best_validation_score_ == max(model.validation_scores_)


def test_validation_rows_that_do_not_fit() -> None:
    X, y = IRIS
    with pytest.raises(ConfigurationError, match="X_val and y_val go together"):
        bl.MLPClassifier().fit(X, y, X_val=X)
    with pytest.raises(LabelError, match="the label 9 in row 0 of y_val is not among the classes"):
        bl.MLPClassifier().fit(X, y, X_val=X[:1], y_val=[9])
    with pytest.raises(ValueError, match="features"):
        bl.MLPClassifier().fit(X, y, X_val=X[:, :2], y_val=y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        bl.MLPClassifier().fit(X, y, X_val=X, y_val=y[:3])


def test_divergence_with_early_stopping_keeps_the_best_and_says_so() -> None:
    X, y = DIABETES
    model = bl.MLPRegressor(solver="sgd", activation="identity", learning_rate_init=5.0, early_stopping=True)
    with pytest.warns(ConvergenceWarning, match="Stochastic Optimizer: training diverged in epoch"):
        model.fit(X, y)
    assert math.isnan(model.validation_scores_[-1])
    assert np.isfinite(model.predict(X)).all()
    with pytest.raises(DataError, match=r"Solver produced non-finite parameter weights.*diverged in epoch"):
        model.set_params(early_stopping=False).fit(X, y)


# ── going on ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "settings",
    [
        {"solver": "adam", "dropout": 0.2},
        {"solver": "adam", "learning_rate": bl.StepDecay(0.01, 0.5, 2)},
        {"solver": "adamw", "weight_decay": 0.1},
        {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.1},
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 1.0, "n_iter_no_change": 1},
        {"solver": "rmsprop"},
        {"solver": "adagrad"},
    ],
    ids=str,
)
def test_epochs_one_by_one_equal_epochs_at_once(settings: dict[str, Any]) -> None:
    X, y = CANCER
    common: dict[str, Any] = {"random_state": 0, "batch_size": 50, **settings}
    at_once = bl.MLPClassifier((8, 4), max_iter=7, **common).fit(X, y)
    one_by_one = bl.MLPClassifier((8, 4), max_iter=1, warm_start=True, **common)
    streamed = bl.MLPClassifier((8, 4), **common)
    for _ in range(7):
        one_by_one.fit(X, y)
        streamed.partial_fit(X, y, classes=[0, 1])
    for model in (one_by_one, streamed):
        np.testing.assert_array_equal(values(model), values(at_once))
        assert model.loss_curve_ == at_once.loss_curve_
        assert (model.t_, model.n_iter_) == (at_once.t_, 1)


def test_partial_fit_with_a_validation_set() -> None:
    X, y = CANCER
    model = bl.MLPClassifier(8, random_state=0, early_stopping=True)
    for start in range(0, 400, 100):
        rows = slice(start, start + 100)
        model.partial_fit(X[rows], y[rows], classes=[0, 1], X_val=X[400:], y_val=y[400:])
    assert len(model.validation_scores_) == len(model.history_["val_loss"]) == 4
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping=True"):
        model.partial_fit(X, y)


def test_a_warm_start_takes_up_new_settings() -> None:
    model = bl.MLPClassifier((8,), max_iter=3, warm_start=True, random_state=0).fit(*IRIS)
    before = values(model).copy()
    model.set_params(alpha=5.0, dropout=0.5, solver="sgd", learning_rate_init=1e-9).fit(*IRIS)
    assert model.network_.l2 == 5.0
    assert any(isinstance(layer, bl.Dropout) for layer in model.network_.layers)
    np.testing.assert_allclose(values(model), before, atol=1e-6)
    assert model.history_.epochs == 6
    with pytest.raises(ConfigurationError, match="needs the same layers"):
        model.set_params(hidden_layer_sizes=(9,)).fit(*IRIS)


# ── what comes out ──────────────────────────────────────────────────────────────────────────────────────────


def test_transform_gives_hidden_activations() -> None:
    X, y = IRIS
    model = bl.MLPClassifier((8, 4), "tanh", dropout=0.2, max_iter=5, random_state=0).fit(X, y)
    first = np.tanh(X @ model.coefs_[0] + model.intercepts_[0])
    second = np.tanh(first @ model.coefs_[1] + model.intercepts_[1])
    np.testing.assert_allclose(model.transform(X), second, rtol=1e-12)
    np.testing.assert_allclose(model.transform(X, layer=0), first, rtol=1e-12)
    np.testing.assert_allclose(model.transform(csr_array(X), layer=-2), first, rtol=1e-12)
    assert model.get_feature_names_out().tolist() == [f"mlpclassifier{i}" for i in range(4)]
    for wrong in (2, -3, 1.5, True):
        with pytest.raises(ConfigurationError, match="layer must be a whole number from -2 to 1"):
            model.transform(X, layer=wrong)
    with pytest.raises(ConfigurationError, match="the network has no hidden layer"):
        bl.MLPClassifier((), max_iter=2).fit(X, y).transform(X)


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_set_output_names_the_units_of_any_layer(container: str) -> None:
    module = pytest.importorskip(container)
    X, y = DIABETES
    model = bl.MLPRegressor(hidden_layer_sizes=(8, 4), max_iter=2, random_state=0).fit(X, y)
    plain = model.transform(X, layer=0)
    table = model.set_output(transform=container).transform(X, layer=0)
    assert isinstance(table, module.DataFrame)
    assert list(table.columns) == [f"mlpregressor{i}" for i in range(8)]
    np.testing.assert_array_equal(table.to_numpy(), plain)
    assert list(model.transform(X).columns) == [f"mlpregressor{i}" for i in range(4)]
    assert isinstance(model.set_output(transform="default").transform(X), np.ndarray)
    with pytest.raises(ConfigurationError, match="set_output knows default, pandas, polars"):
        model.set_output(transform="arrow")


def test_coefficients_are_views() -> None:
    X, y = IRIS
    model = bl.MLPClassifier(4, max_iter=2).fit(X, y)
    assert all(np.shares_memory(part, values(model)) for part in [*model.coefs_, *model.intercepts_])
    model.coefs_[0] = np.zeros((4, 4))
    model.intercepts_[0][:] = 0.0
    assert not model.transform(X).any()
    model.coefs_ = [np.ones((4, 4)), np.ones((4, 3))]
    assert (model.network_.parameters.view("0.weight") == 1.0).all()
    with pytest.raises(ShapeError, match="the arrays must have the shapes"):
        model.coefs_ = [np.ones((4, 4))]
    assert not hasattr(bl.MLPClassifier(), "coefs_")
    with pytest.raises(NotFittedError, match="call fit first"):
        bl.MLPClassifier().coefs_ = []


def test_one_class_has_one_probability() -> None:
    model = bl.MLPClassifier(4, max_iter=2).fit(IRIS[0], np.full(150, "only"))
    assert model.predict_proba(IRIS[0]).shape == (150, 1)
    assert set(model.predict(IRIS[0])) == {"only"}


# ── missing values ──────────────────────────────────────────────────────────────────────────────────────────


def test_missing_values_are_imputed_with_an_indicator() -> None:
    X, y = IRIS
    X = X.copy()
    X[::7, 1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        bl.MLPClassifier().fit(X, y)
    model = bl.MLPClassifier(8, impute_missing=True, solver="lbfgs", max_iter=50, random_state=0).fit(X, y)
    assert (model.n_features_in_, model.network_.inputs) == (4, 5)
    assert model.indicator_features_.tolist() == [1]
    assert model.fill_values_ == pytest.approx(np.nanmean(X, axis=0))
    by_hand = np.column_stack([np.where(np.isnan(X), np.nanmean(X, axis=0), X), np.isnan(X[:, 1])])
    np.testing.assert_allclose(model.predict_proba(X), model.network_.forward(by_hand))
    # a gap where there was none in training is filled, too
    assert np.isfinite(model.predict_proba([[np.nan] * 4])).all()
    with pytest.raises(ValueError, match="infinity"):
        model.predict([[np.inf] * 4])
    with pytest.raises(DataError, match="impute_missing needs dense X"):
        model.fit(csr_array(IRIS[0]), y)


def test_missing_values_and_weights_meet() -> None:
    X, y = IRIS
    X = X.copy()
    X[::7, 1] = np.nan
    weight = np.random.default_rng(0).integers(0, 3, len(y))
    settings: dict[str, Any] = {"impute_missing": True, "solver": "sgd", "random_state": 0}
    weighted = bl.MLPClassifier(8, max_iter=10, **settings).fit(X, y, sample_weight=weight)
    repeated = bl.MLPClassifier(8, max_iter=10, **settings)
    repeated.fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    np.testing.assert_allclose(weighted.fill_values_, repeated.fill_values_)
    np.testing.assert_allclose(values(weighted), values(repeated), rtol=0, atol=1e-12)


# ── engine and threads ──────────────────────────────────────────────────────────────────────────────────────


def test_threads_of_blas(monkeypatch: pytest.MonkeyPatch) -> None:
    threadpoolctl = pytest.importorskip("threadpoolctl")
    seen: list[int] = []

    class Look(bl.Callback):
        def on_epoch_end(self, training: Any) -> None:
            seen.extend(p["num_threads"] for p in threadpoolctl.threadpool_info() if p["user_api"] == "blas")

    before = [p["num_threads"] for p in threadpoolctl.threadpool_info() if p["user_api"] == "blas"]
    bl.MLPClassifier(8, max_iter=1, n_threads=1, callbacks=[Look()]).fit(*IRIS)
    assert set(seen) == {1}
    assert [p["num_threads"] for p in threadpoolctl.threadpool_info() if p["user_api"] == "blas"] == before
    with pytest.raises(ValueError, match="n_threads"):
        bl.MLPClassifier(n_threads=0).fit(*IRIS)


def test_the_engine_is_passed_on() -> None:
    reference = bl.MLPClassifier(8, max_iter=10, random_state=0, engine="reference").fit(*CANCER)
    chosen = bl.MLPClassifier(8, max_iter=10, random_state=0, engine="auto").fit(*CANCER)
    np.testing.assert_allclose(values(chosen), values(reference), rtol=0, atol=1e-9)
    with pytest.raises(ValueError, match="engine"):
        bl.MLPClassifier(engine="gpu").fit(*IRIS)
