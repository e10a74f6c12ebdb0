"""The same numbers as scikit-learn's own `MLPClassifier` and `MLPRegressor`, from the same initial weights."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csc_array, csr_array
from sklearn import neural_network
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, make_multilabel_classification
from sklearn.preprocessing import StandardScaler, scale

import backlit as bl

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# 20 epochs in the order of the rows: 569 and 442 rows leave a last batch that is smaller than the others.
SETTINGS: dict[str, Any] = {"hidden_layer_sizes": (20, 7), "max_iter": 20, "shuffle": False, "random_state": 3}

SOLVERS = [
    {"solver": "adam"},
    {"solver": "adam", "beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-3, "batch_size": 50},
    {"solver": "sgd", "momentum": 0.0},
    {"solver": "sgd", "nesterovs_momentum": False},
    {"solver": "sgd", "batch_size": 64, "alpha": 1.0},
    {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.1, "power_t": 0.3},
    {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.05, "tol": 0.1, "n_iter_no_change": 2},
    {"solver": "lbfgs"},
    {"solver": "lbfgs", "alpha": 10.0, "max_fun": 12},
]
PROBLEMS = ["two classes", "ten classes", "several labels", "one target", "three targets", "counts"]
# For several targets scikit-learn reports the mean over them of a loss whose sum its gradient belongs to: so does what
# goes by the loss, a line search and the adaptive learning rate.
CASES = [
    (which, solver)
    for which in PROBLEMS
    for solver in SOLVERS
    if which != "three targets" or (solver["solver"] != "lbfgs" and solver.get("learning_rate") != "adaptive")
]


def problem(name: str) -> tuple[str, Any, Any, dict[str, Any]]:
    if name == "two classes":
        X, y = load_breast_cancer(return_X_y=True)
        return "MLPClassifier", StandardScaler().fit_transform(X), np.array(["benign", "malignant"])[y], {}
    if name == "ten classes":
        X, y = load_digits(return_X_y=True)
        return "MLPClassifier", X / 16.0, y, {}
    if name == "several labels":
        X, y = make_multilabel_classification(300, random_state=0)
        return "MLPClassifier", scale(X), y, {}
    X, y = load_diabetes(return_X_y=True)
    X = scale(X)
    if name == "three targets":
        return "MLPRegressor", X, scale(np.stack([y, y**2, np.sqrt(y)], axis=1)), {}
    if name == "counts":
        return "MLPRegressor", X, np.round(y / 50.0), {"loss": "poisson"}
    return "MLPRegressor", X, scale(y), {}


def fit_both(
    name: str, X: Any, y: Any, monkeypatch: pytest.MonkeyPatch, sample_weight: Any = None, **settings: Any
) -> tuple[Any, Any]:
    """Our estimator and scikit-learn's, fitted from our initial weights."""
    ours = getattr(bl, name)(**settings).fit(X, y, sample_weight=sample_weight)
    start = bl.Network.from_spec(ours.network_.spec())
    if settings.get("activation") == "logistic":
        start.parameters.values[:] /= np.sqrt(3.0)
    drawn = iter([(layer.weight.copy(), layer.bias.copy()) for layer in start.layers])
    theirs = getattr(neural_network, name)(**settings)
    monkeypatch.setattr(theirs, "_init_coef", lambda *sizes: next(drawn))
    theirs.fit(X, y, sample_weight=sample_weight)
    return ours, theirs


def assert_same(ours: Any, theirs: Any, atol: float = 1e-6) -> None:
    assert ours.n_iter_ == theirs.n_iter_
    for a, b in zip([*ours.coefs_, *ours.intercepts_], [*theirs.coefs_, *theirs.intercepts_], strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=atol)


@pytest.mark.parametrize(
    ("which", "solver"),
    CASES,
    ids=lambda case: case if isinstance(case, str) else " ".join(str(value) for value in case.values()),
)
def test_coefficients_after_20_epochs(which: str, solver: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    name, X, y, more = problem(which)
    settings = {**SETTINGS, **more, **solver}
    if which == "counts":
        settings["learning_rate_init"] = 0.001
    ours, theirs = fit_both(name, X, y, monkeypatch, **settings)
    assert_same(ours, theirs)
    assert ours.out_activation_ == theirs.out_activation_
    assert (ours.n_layers_, ours.n_outputs_) == (theirs.n_layers_, theirs.n_outputs_)
    if which != "three targets":
        assert ours.loss_ == pytest.approx(theirs.loss_, rel=1e-9)
    if solver["solver"] != "lbfgs":
        assert ours.t_ == theirs.t_
        if which != "three targets":
            np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-9)
            assert ours.best_loss_ == pytest.approx(theirs.best_loss_, rel=1e-9)
    if name == "MLPRegressor":
        np.testing.assert_allclose(ours.predict(X), theirs.predict(X), atol=1e-5)
    else:
        np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
        np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_every_activation(activation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, X, y, _ = problem("ten classes")
    assert_same(*fit_both(name, X[:500], y[:500], monkeypatch, **SETTINGS, activation=activation))


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("container", [csr_array, csc_array])
def test_sparse_input(solver: str, container: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    name, X, y, _ = problem("ten classes")
    assert_same(*fit_both(name, container(X[:500]), y[:500], monkeypatch, **SETTINGS, solver=solver))


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_sample_weights(solver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, X, y, _ = problem("two classes")
    weight = np.random.default_rng(0).uniform(0.5, 2.0, len(y))
    assert_same(*fit_both(name, X, y, monkeypatch, sample_weight=weight, **SETTINGS, solver=solver, alpha=0.1))


def test_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    name, X, y, _ = problem("two classes")
    ours, theirs = fit_both(name, X.astype(np.float32), y, monkeypatch, **SETTINGS)
    assert {array.dtype for array in [*ours.coefs_, *ours.intercepts_]} == {np.dtype("float32")}
    assert_same(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("tol", [1e-4, 1e-2])
def test_training_ends_with_the_same_epoch(tol: float, monkeypatch: pytest.MonkeyPatch) -> None:
    name, X, y, _ = problem("two classes")
    settings = {**SETTINGS, "max_iter": 400, "tol": tol, "learning_rate_init": 0.01}
    ours, theirs = fit_both(name, X, y, monkeypatch, **settings)
    assert ours.n_iter_ == theirs.n_iter_ < 400


def test_every_parameter_and_default() -> None:
    for name in ("MLPClassifier", "MLPRegressor"):
        ours, theirs = getattr(bl, name)().get_params(), getattr(neural_network, name)().get_params()
        assert {key: ours[key] for key in theirs} == theirs
        # positional arguments stand in the same order
        leading = {"MLPClassifier": ((3,), "tanh"), "MLPRegressor": ("poisson", (3,), "tanh")}[name]
        given = getattr(bl, name)(*leading).get_params()
        assert {key: given[key] for key in theirs} == getattr(neural_network, name)(*leading).get_params()


def test_every_method_and_fitted_attribute() -> None:
    _, X, y, _ = problem("two classes")
    for early in (False, True):
        settings = {"max_iter": 3, "early_stopping": early}
        ours, theirs = bl.MLPClassifier(**settings).fit(X, y), neural_network.MLPClassifier(**settings).fit(X, y)
        public = {key for key in dir(theirs) if not key.startswith("_")}
        assert {key for key in public if not hasattr(ours, key)} == set()
        for key in ("validation_scores_", "best_validation_score_", "best_loss_"):
            assert type(getattr(ours, key)) is type(getattr(theirs, key)) or isinstance(getattr(ours, key), float)


@pytest.mark.parametrize(
    "wrong",
    [
        {"alpha": -1.0},
        {"solver": "newton"},
        {"hidden_layer_sizes": -1},
        {"hidden_layer_sizes": (3, 0)},
        {"momentum": 2},
        {"max_iter": 0},
        {"early_stopping": "yes"},
        {"validation_fraction": 1.0, "early_stopping": True},
        {"beta_1": 1.0},
        {"n_iter_no_change": -1},
        {"batch_size": 0},
        {"tol": -1e-3},
        {"epsilon": 0.0},
        {"learning_rate_init": 0.0},
    ],
    ids=str,
)
def test_errors_are_those_of_scikit_learn(wrong: dict[str, Any]) -> None:
    _, X, y, _ = problem("two classes")
    with pytest.raises(ValueError) as theirs:
        neural_network.MLPClassifier(**wrong).fit(X, y)
    with pytest.raises(ValueError) as ours:
        bl.MLPClassifier(**wrong).fit(X, y)
    if "solver" not in wrong:  # ours knows more of them
        assert str(ours.value) == str(theirs.value)


def test_the_worked_example_of_scikit_learns_tests() -> None:
    # one step of gradient descent by hand, from scikit-learn's own test_fit: rounded to three places there
    X, y = np.array([[0.6, 0.8, 0.7]]), np.array([0])
    settings: dict[str, Any] = {"solver": "sgd", "learning_rate_init": 0.1, "alpha": 0.1, "activation": "logistic"}
    mlp = bl.MLPClassifier(2, max_iter=1, momentum=0, **settings).partial_fit(X, y, classes=[0, 1])
    mlp.coefs_ = [np.array([[0.1, 0.2], [0.3, 0.1], [0.5, 0.0]]), np.array([[0.1], [0.2]])]
    mlp.intercepts_ = [np.array([0.1, 0.1]), np.array([1.0])]
    mlp.partial_fit(X, y)
    np.testing.assert_allclose(
        mlp.coefs_[0], [[0.098, 0.195756], [0.2956664, 0.096008], [0.4939998, -0.002244]], atol=5e-4
    )
    np.testing.assert_allclose(mlp.coefs_[1], [[0.04706], [0.154089]], atol=5e-4)
    np.testing.assert_allclose(mlp.intercepts_[0], [0.098333, 0.09626], atol=5e-4)
    np.testing.assert_allclose(mlp.intercepts_[1], [0.9235], atol=5e-4)
    assert mlp.predict_proba(X)[0, 1] == pytest.approx(0.739, abs=5e-4)


# Two of scikit-learn's tests look inside its class: test_fit sets private attributes before the first fit (the example
# above is its own), test_gradient calls a private method (our gradients are checked in test_gradients.py).
WHITE_BOX = ["test_fit", "test_gradient"]

RUNNER = """
import sys, pytest, sklearn.neural_network, backlit
sklearn.neural_network.MLPClassifier = backlit.MLPClassifier
sklearn.neural_network.MLPRegressor = backlit.MLPRegressor
place = "sklearn.neural_network.tests.test_mlp"
sys.exit(pytest.main(["--pyargs", place, "-q", "-p", "no:cacheprovider", "-c", "/dev/null", "-k", " and ".join(
    f"not ({name} and not {name}_)" for name in sys.argv[1:])]))
"""


def test_scikit_learns_own_tests_of_its_mlp() -> None:
    run = subprocess.run([sys.executable, "-c", RUNNER, *WHITE_BOX], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-4000:]
    assert re.search(r"\d+ passed", run.stdout)
    assert not re.search(r"\d+ (failed|error)", run.stdout)
