"""The estimators where a call is odd: scores that are no numbers, refused refits, weights and sizes out of range."""

from __future__ import annotations

import pickle
import warnings
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.preprocessing import scale

import backlit as bl
from backlit.exceptions import ConfigurationError, DataError, LabelError, NotFittedError, RebindingError, ShapeError
from backlit.kinds.losses import get_loss, huber, quantile
from backlit.training.callbacks import Callback, Training
from backlit.training.history import History

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

IRIS = (scale(load_iris().data), load_iris().target)
CANCER = (scale(load_breast_cancer().data), load_breast_cancer().target)
DIABETES = (scale(load_diabetes().data), scale(load_diabetes().target))


def values(estimator: Any) -> np.ndarray:
    return estimator.network_.parameters.values


def never(estimator: Any, X: Any, y: Any) -> float:
    return float("nan")


# ── a validation score that is not a number ─────────────────────────────────────────────────────────────────


ONE_CLASS = np.flatnonzero(CANCER[1] == 1)[:20]


@pytest.mark.parametrize(
    ("model", "data", "rows", "said"),
    [
        (bl.MLPClassifier(8, scoring="roc_auc"), CANCER, ONE_CLASS, r"'roc_auc' is NaN after epoch 1 \(Only one class"),
        (bl.MLPRegressor(hidden_layer_sizes=8, scoring="r2"), DIABETES, [0], r"'r2' is NaN after epoch 1 \(R\^2 score"),
        (bl.MLPClassifier(8, scoring=never), CANCER, ONE_CLASS, r"'score' is NaN after epoch 1: it never counts"),
    ],
    ids=["one class", "one row", "a scorer of one's own"],
)
def test_without_any_score_the_last_parameters_stay(model: Any, data: Any, rows: Any, said: str) -> None:
    X, y = data
    model.set_params(early_stopping=True, max_iter=40, learning_rate_init=0.01, random_state=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UndefinedMetricWarning)
        model.fit(X, y, X_val=X[rows], y_val=y[rows])
    told = [w for w in caught if issubclass(w.category, UndefinedMetricWarning)]
    assert len(told) == 1
    assert told[0].filename == __file__
    with pytest.warns(UndefinedMetricWarning, match=said):
        raise_again(told[0])
    # the scorer has nothing to say: as without it, but for the rule that ends training
    plain = type(model)(**{**model.get_params(), "scoring": None, "early_stopping": False, "tol": 0.0})
    plain.set_params(n_iter_no_change=np.inf).fit(X, y)
    assert model.n_iter_ == 40
    np.testing.assert_array_equal(values(model), values(plain))
    assert np.isnan(model.validation_scores_).all()


def raise_again(message: warnings.WarningMessage) -> None:
    warnings.warn(message.message, message.category, stacklevel=2)


def test_nan_is_never_the_best_and_counts_as_no_improvement_after_a_number() -> None:
    scores = iter([float("nan"), float("nan"), 0.5, float("nan"), 0.4, float("nan"), 0.3])
    kept: list[np.ndarray] = []

    class Keep(Callback):
        def on_epoch_end(self, training: Training) -> None:
            kept.append(training.net.parameters.values.copy())

    def scorer(estimator: Any, X: Any, y: Any) -> float:
        return next(scores)

    model = bl.MLPClassifier(
        8, early_stopping=True, scoring=scorer, n_iter_no_change=3, callbacks=[Keep()], random_state=0
    )
    with pytest.warns(UndefinedMetricWarning, match="'score' is NaN after epoch 1") as caught:
        model.fit(*CANCER)
    assert len(caught) == 1
    # the third epoch is the best; three more may fail to improve on it, the next one ends training
    assert model.n_iter_ == 7
    assert model.best_validation_score_ == 0.5
    assert model.history_.best_epoch == 3
    np.testing.assert_array_equal(values(model), kept[2])


def test_other_warnings_of_a_scorer_pass() -> None:
    def talkative(estimator: Any, X: Any, y: Any) -> float:
        warnings.warn("as I was saying", FutureWarning, stacklevel=1)
        return 0.0

    with pytest.warns(FutureWarning, match="as I was saying"):
        bl.MLPClassifier(4, max_iter=1, early_stopping=True, scoring=talkative).fit(*CANCER)


# ── a fit that is refused ───────────────────────────────────────────────────────────────────────────────────


class Refuse(Callback):
    def on_fit_begin(self, training: Training) -> None:
        raise ConfigurationError("not like this")


class Break(Callback):
    """Ends training with an error after the steps of the first epoch, before the epoch is done."""

    def on_steps_end(self, training: Training, done: int, total: int) -> None:
        raise RuntimeError("broken off")


X, y = IRIS
REFUSED: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ("negative weights", {}, {"sample_weight": -np.ones(100)}, {}),
    ("weights of another length", {}, {"sample_weight": np.ones(3)}, {}),
    ("no weights left", {}, {"class_weight": {0: 0, 1: 0, 2: 0}}, {}),
    ("other columns", {"X": X[50:, :2]}, {"sample_weight": -np.ones(100)}, {}),
    ("other labels", {"y": np.array(["a", "b"]).repeat(50)}, {"sample_weight": -np.ones(100)}, {}),
    ("other labels, going on", {"y": np.array([7, 8]).repeat(50)}, {}, {"warm_start": True}),
    ("several labels", {"y": np.eye(2, dtype=int).repeat(50, axis=0)}, {"class_weight": "balanced"}, {}),
    ("a label unknown in validation", {}, {"X_val": X[:1], "y_val": [9]}, {}),
    ("other layers, going on", {"y": y[50:].clip(1)}, {}, {"hidden_layer_sizes": 9, "warm_start": True}),
    ("sizes that cannot be", {}, {}, {"hidden_layer_sizes": (5.7,)}),
    ("a solver with the wrong settings", {}, {}, {"solver": "sgd", "weight_decay": 0.1}),
    ("a callback that refuses", {}, {}, {"callbacks": [Refuse()]}),
    ("a callback that refuses, going on", {}, {}, {"callbacks": [Refuse()], "warm_start": True, "alpha": 3.0}),
    ("broken off in the first epoch", {}, {}, {"callbacks": [Break()], "max_iter": 1}),
    ("broken off in the first epoch, going on", {}, {}, {"callbacks": [Break()], "warm_start": True}),
    ("diverged in the first epoch", {"X": X[50:] * 1e200}, {}, {"solver": "sgd", "batch_size": 20}),
]


def fitted(model: Any) -> bytes:
    """Everything that a fit has left in an estimator."""
    found = {name: value for name, value in vars(model).items() if name.endswith("_") or name.startswith("_")}
    history, net = found.pop("history_"), found.pop("network_")
    assert isinstance(history, History)
    state = (history.state.step, history.state.slots)
    more = [history.to_dict(), history.epochs, history.stopped, history.best_epoch, state, net.spec(), values(model)]
    return pickle.dumps([found, more])


@pytest.mark.parametrize(
    ("data", "given", "settings"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_a_refused_refit_changes_nothing(data: Any, given: dict[str, Any], settings: dict[str, Any]) -> None:
    model = bl.MLPClassifier(8, max_iter=5, random_state=0).fit(X[50:], y[50:])
    expected = model.predict_proba(X)
    before = fitted(model)
    given = dict(given)
    model.set_params(**settings, **{name: given.pop(name) for name in ("class_weight",) if name in given})
    with pytest.raises((ValueError, RuntimeError)):
        model.fit(data.get("X", X[50:]), data.get("y", y[50:]), **given)
    assert fitted(model) == before
    np.testing.assert_array_equal(model.predict_proba(X), expected)


def test_a_refused_first_fit_leaves_an_unfitted_estimator() -> None:
    for refused in (bl.MLPClassifier(callbacks=[Refuse()]), bl.MLPRegressor(callbacks=[Refuse()])):
        plain = set(vars(refused))
        with pytest.raises(ConfigurationError, match="not like this"):
            refused.fit(*IRIS)
        assert set(vars(refused)) == plain
        with pytest.raises(NotFittedError):
            _ = refused.coefs_
    model = bl.MLPClassifier()
    with pytest.raises(LabelError, match="has classes not in"):
        model.partial_fit(*IRIS, classes=[0, 1])
    assert not hasattr(model, "classes_")


def test_what_fails_after_an_epoch_keeps_what_was_learnt() -> None:
    class Late(Callback):
        def on_epoch_end(self, training: Training) -> None:
            if training.epoch == 3:
                raise RuntimeError("enough")

    model = bl.MLPClassifier(8, max_iter=5, random_state=0).fit(*IRIS)
    model.set_params(callbacks=[Late()])
    with pytest.raises(RuntimeError, match="enough"):
        model.fit(IRIS[0][:, :2], np.array(["a", "b", "c"])[IRIS[1]])
    assert (model.n_iter_, model.history_.epochs) == (3, 3)
    assert set(model.predict(IRIS[0][:, :2])) <= {"a", "b", "c"}


@pytest.mark.skipif(not hasattr(bl.MLPClassifier, "set_callbacks"), reason="this scikit-learn has no callbacks")
def test_scikit_learns_callbacks_are_taken_down_after_a_refusal() -> None:
    class Record:
        seen: list[str] = []  # noqa: RUF012

        def setup(self, estimator: Any, context: Any) -> None:
            self.seen.append("setup")

        def teardown(self, estimator: Any, context: Any) -> None:
            self.seen.append("teardown")

        def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
            raise RuntimeError("no")

        def on_fit_task_end(self, estimator: Any, context: Any, **data: Any) -> bool:
            return False

    model = bl.MLPClassifier(4).set_callbacks(Record())
    with pytest.raises(RuntimeError, match="no"):
        model.fit(*IRIS)
    assert Record.seen == ["setup", "teardown"]
    assert "_callback_fit_ctx" not in vars(model)


# ── weights out of range ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("weight", [1e-50, 1e-35, 1e32, 1e39])
def test_weights_beyond_float32_are_refused(weight: float) -> None:
    X, y = IRIS
    weights = np.full(150, weight)
    with pytest.raises(DataError, match=r"the weight leaves the range of float32 \(the largest is 1e.*near 1"):
        bl.MLPClassifier(4).fit(X.astype(np.float32), y, sample_weight=weights)
    with pytest.raises(DataError, match="the weight in validation leaves the range of float32"):
        bl.MLPClassifier(4).fit(X.astype(np.float32), y, X_val=X, y_val=y, sample_weight_val=weights)
    with pytest.raises(DataError, match="the weight leaves the range of float32"):
        bl.MLPClassifier(4, class_weight=dict.fromkeys(range(3), weight)).fit(X.astype(np.float32), y)
    # float64 has room for them
    model = bl.MLPClassifier(4, alpha=0.0, max_iter=3, random_state=0)
    weighted = values(model.fit(X, y, sample_weight=weights)).copy()
    np.testing.assert_allclose(weighted, values(model.fit(X, y)), rtol=1e-9)


@pytest.mark.parametrize("weight", [1e-320, 1e308])
def test_weights_beyond_float64_are_refused(weight: float) -> None:
    with pytest.raises(DataError, match="the weight leaves the range of float64"):
        bl.MLPRegressor(hidden_layer_sizes=4).fit(*DIABETES, sample_weight=np.full(442, weight))


@pytest.mark.parametrize("tiny", [1e-50, 1e-41])
def test_weights_that_vanish_beside_the_others_are_weights_of_zero(tiny: float) -> None:
    X, y = IRIS[0].astype(np.float32), IRIS[1]
    weight = np.where(np.arange(150) % 3 == 0, tiny, 1.0)
    settings: dict[str, Any] = {"max_iter": 4, "batch_size": 8, "random_state": 0}
    model = bl.MLPClassifier(4, **settings).fit(X, y, sample_weight=weight)
    without = bl.MLPClassifier(4, **settings).fit(X[weight == 1.0], y[weight == 1.0])
    np.testing.assert_allclose(values(model), values(without), rtol=1e-6)


def test_validation_rows_without_any_weight_are_refused() -> None:
    X, y = IRIS
    with pytest.raises(DataError, match="the weight in validation of every row is zero"):
        bl.MLPClassifier(4, class_weight={0: 0.0}).fit(X, y, X_val=X[:9], y_val=y[:9])


# ── sizes, rates, shapes ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "sizes",
    [(5.7,), (5.0,), (True,), True, [[3, 4]], [[3], [4, 5]], np.ones((2, 2), int), ("3",), (3, None), (float("nan"),)],
    ids=repr,
)
def test_sizes_that_are_no_whole_numbers(sizes: Any) -> None:
    for model in (bl.MLPClassifier(sizes), bl.MLPRegressor(hidden_layer_sizes=sizes)):
        with pytest.raises(ConfigurationError, match="hidden_layer_sizes must be a whole number, or one whole number"):
            model.fit(*IRIS)


@pytest.mark.parametrize("sizes", [8, (8,), [8], np.array([8]), np.array(8), np.int64(8), [np.int32(8)], range(8, 9)])
def test_sizes_of_every_sort(sizes: Any) -> None:
    assert bl.MLPClassifier(sizes, max_iter=1).fit(*IRIS).coefs_[0].shape == (4, 8)


@pytest.mark.parametrize("rates", [(None,), [[0.1]], np.full((1, 1), 0.1), [True], ["0.1"]], ids=repr)
def test_dropout_rates_that_cannot_be(rates: Any) -> None:
    with pytest.raises(ConfigurationError, match="dropout rate must be at least 0 and below 1"):
        bl.MLPClassifier(8, dropout=rates).fit(*IRIS)


@pytest.mark.parametrize("rates", [0.5, np.float32(0.5), [0.5], np.array([0.5]), np.array(0.5)], ids=repr)
def test_dropout_rates_of_every_sort(rates: Any) -> None:
    assert bl.MLPClassifier(8, dropout=rates, max_iter=1).fit(*IRIS).network_.layers[1].rate == 0.5


def test_one_feature_in_one_dimension_is_told_to_reshape() -> None:
    X, y = IRIS
    model = bl.MLPRegressor(hidden_layer_sizes=4, max_iter=1).fit(X[:, :1], y)
    for call in (model.predict, model.transform, lambda X: model.fit(X, y)):
        with pytest.raises(ValueError, match=r"reshape\(-1, 1\)"):
            call(X[:, 0])


@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
def test_one_class_is_certain(loss: str) -> None:
    X = IRIS[0]
    model = bl.MLPClassifier(4, loss=loss, max_iter=2).fit(X, np.full(150, "only"))
    np.testing.assert_array_equal(model.predict_proba(X), np.ones((150, 1)))
    np.testing.assert_array_equal(model.predict_log_proba(X), np.zeros((150, 1)))
    assert set(model.predict(csr_array(X))) == {"only"}


def test_an_array_of_another_shape_is_not_stretched_over_the_weights() -> None:
    model = bl.MLPClassifier(4, max_iter=1).fit(*IRIS)
    for wrong in (0.0, np.zeros(4), np.zeros((4, 1))):
        with pytest.raises(ShapeError, match=r"the arrays must have the shapes \[\(4, 4\)\]"):
            model.coefs_[0] = wrong
    model.coefs_[:] = [np.ones((4, 4)), np.ones((4, 3))]
    assert all((part == 1.0).all() for part in model.coefs_)
    with pytest.raises(DataError, match="each of the arrays holds real numbers, received an array of complex128"):
        model.coefs_ = [np.zeros((4, 4)), np.ones((4, 3), complex)]
    assert all((part == 1.0).all() for part in model.coefs_)  # none was written


def test_the_lists_of_a_fitted_networks_parameters_write_through_or_refuse() -> None:
    model = bl.MLPClassifier(4, max_iter=1).fit(*IRIS)
    model.intercepts_[0] = np.arange(4.0)
    model.intercepts_[1] += 1.0
    model.coefs_[0] = np.ones((4, 4))
    net = model.network_
    np.testing.assert_array_equal(net.layers[0].bias, np.arange(4.0))
    np.testing.assert_array_equal(net.layers[-1].bias, model.intercepts_[1])
    np.testing.assert_array_equal(net.layers[0].weight, np.ones((4, 4)))
    changes: list[Any] = [
        lambda views: views.append(np.ones(4)),
        lambda views: views.extend([]),
        lambda views: views.insert(0, np.ones(4)),
        lambda views: views.remove(views[0]),
        lambda views: views.pop(),
        lambda views: views.clear(),
        lambda views: views.sort(),
        lambda views: views.reverse(),
        lambda views: views.__delitem__(0),
        lambda views: views.__iadd__([np.ones(4)]),
        lambda views: views.__imul__(2),
    ]
    for views in (model.coefs_, model.intercepts_):
        for change in changes:
            with pytest.raises(RebindingError, match="the list of a fitted network's parameters cannot be changed"):
                change(views)
            assert len(views) == 2


def test_a_copy_of_the_list_of_parameters_has_arrays_of_its_own() -> None:
    model = bl.MLPClassifier(4, max_iter=1).fit(*IRIS)
    for kept in (deepcopy(model.coefs_), pickle.loads(pickle.dumps(model.coefs_))):
        assert type(kept) is list
        kept[0][:] = 7.0
        kept.append(None)
    assert not (model.coefs_[0] == 7.0).any()


# ── signatures and names ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", [bl.MLPClassifier, bl.MLPRegressor])
def test_sample_weight_goes_by_name(kind: Any) -> None:
    X, y = IRIS
    w = np.ones(150)
    model = kind(max_iter=1).fit(X, y, sample_weight=w)
    assert model.score(X, y, sample_weight=np.arange(150)) != model.score(X, y)
    for call in (model.fit, model.partial_fit, model.score):
        with pytest.raises(TypeError, match="positional"):
            call(X, y, w)


def test_a_loss_as_an_object_is_the_loss_of_that_name() -> None:
    hinge = bl.MLPClassifier(8, loss=get_loss("hinge"), max_iter=100, learning_rate_init=0.01, random_state=0)
    assert hasattr(hinge, "decision_function")
    assert not hasattr(hinge, "predict_proba")
    by_name = bl.MLPClassifier(**{**hinge.get_params(), "loss": "hinge"}).fit(*CANCER)
    np.testing.assert_array_equal(hinge.fit(*CANCER).predict(CANCER[0]), by_name.predict(CANCER[0]))
    with pytest.raises(ConfigurationError, match="the hinge loss is for classes"):
        bl.MLPRegressor(get_loss("hinge")).fit(*DIABETES)
    assert bl.MLPRegressor(get_loss("poisson"), max_iter=1).fit(X, y).out_activation_ == "exp"
    with pytest.raises(DataError, match="the poisson loss needs y of at least 0, received -"):
        bl.MLPRegressor(get_loss("poisson")).fit(*DIABETES)
    with pytest.raises(DataError, match="the poisson loss needs y_val of at least 0, received -1"):
        bl.MLPRegressor("poisson").fit(X, y, X_val=X[:2], y_val=[0, -1])


def test_going_on_takes_up_another_function_of_the_same_name() -> None:
    model = bl.MLPClassifier(8, (lambda z: z, lambda z: np.ones_like(z)), max_iter=1, warm_start=True).fit(*IRIS)
    model.set_params(activation=(lambda z: np.sin(z), lambda z: np.cos(z))).fit(*IRIS)
    first = IRIS[0] @ model.coefs_[0] + model.intercepts_[0]
    np.testing.assert_allclose(model.transform(IRIS[0]), np.sin(first))


# ── files and copies ────────────────────────────────────────────────────────────────────────────────────────


def copies(model: Any, folder: Path) -> list[Any]:
    bl.save(model, folder / "model")
    return [pickle.loads(pickle.dumps(model)), bl.load(folder / "model")]


@pytest.mark.parametrize(
    "weights",
    [
        {False: 1, True: 2},
        {np.False_: 1.0, np.True_: 2.0},
        {0: 1, 1: 2},
        {0.0: 1, 1.0: 2},
        {"False": 1, "True": 2},
        {0: 1, "0": 2},
        {},
        "balanced",
        None,
    ],
    ids=repr,
)
def test_class_weights_come_back_as_they_were(weights: Any, tmp_path: Path) -> None:
    for copy in copies(bl.MLPClassifier(class_weight=weights), tmp_path):
        assert copy.get_params()["class_weight"] == weights
        assert list(map(type, copy.class_weight or ())) == list(map(type, weights or ()))


def test_a_model_with_weights_for_false_and_true_goes_on_after_loading(tmp_path: Path) -> None:
    X, y = CANCER[0], CANCER[1] == 1
    model = bl.MLPClassifier(4, class_weight={False: 1, True: 2}, max_iter=2, random_state=0).fit(X, y)
    expected = values(pickle.loads(pickle.dumps(model)).partial_fit(X, y))
    for copy in copies(model, tmp_path):
        np.testing.assert_array_equal(values(copy.partial_fit(X, y)), expected)


@pytest.mark.parametrize("loss", [huber(2.0), quantile(0.9)], ids=["huber", "quantile"])
def test_a_loss_with_settings_comes_back(loss: Any, tmp_path: Path) -> None:
    X, y = DIABETES
    model = bl.MLPRegressor(loss, 4, max_iter=2, random_state=0).fit(X, y)
    for copy in copies(model, tmp_path):
        assert copy.loss.spec() == loss.spec()
        np.testing.assert_array_equal(copy.predict(X), model.predict(X))
        np.testing.assert_array_equal(values(copy.fit(X, y)), values(model))


def test_the_learning_curve_is_the_historys_own() -> None:
    # a copy of all epochs in every call would make `partial_fit` slower and slower
    model = bl.MLPClassifier(4, random_state=0)
    assert not hasattr(model, "loss_curve_")
    for _ in range(3):
        model.partial_fit(*IRIS, classes=[0, 1, 2])
        assert model.loss_curve_ is model.history_["loss"]
    assert len(model.loss_curve_) == 3


def test_partial_fit_copies_no_column_of_the_history() -> None:
    model = bl.MLPClassifier(4, random_state=0).partial_fit(*IRIS, classes=[0, 1, 2])
    columns = {name: model.history_[name] for name in model.history_}
    model.partial_fit(*IRIS)
    assert model.history_.epochs == 2
    assert all(model.history_[name] is column for name, column in columns.items())
