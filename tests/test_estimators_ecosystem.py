"""Our estimators among scikit-learn's tools and their neighbours: one real run with each."""

from __future__ import annotations

import pickle
import re
import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import sklearn
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import VotingClassifier
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler, scale

import backlit as bl
from backlit.cli.show import network_text
from backlit.estimators import LossCurveDisplay, MLflowLog, OptunaPruning
from backlit.estimators.drawing import network_svg
from backlit.exceptions import ConfigurationError

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

IRIS = (scale(load_iris().data), load_iris().target)
CANCER = (scale(load_breast_cancer().data), load_breast_cancer().target)


def values(estimator: Any) -> np.ndarray:
    return estimator.network_.parameters.values


def quick(**settings: Any) -> Any:
    return bl.MLPClassifier(
        **{
            "hidden_layer_sizes": 8,
            "max_iter": 30,
            "learning_rate_init": 0.01,
            "batch_size": 20,
            "random_state": 0,
            **settings,
        }
    )


# ── scikit-learn ────────────────────────────────────────────────────────────────────────────────────────────


def test_clone_copies_every_parameter_and_nothing_fitted() -> None:
    model = quick(dropout=[0.1], callbacks=[bl.EarlyStopping("loss")], learning_rate=bl.StepDecay(0.1)).fit(*IRIS)
    copy = clone(model)
    assert not hasattr(copy, "network_")
    assert str(copy) == str(model)
    np.testing.assert_array_equal(values(copy.fit(*IRIS)), values(model))


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_grid_search_over_a_pipeline(n_jobs: int) -> None:
    grid = {"mlp__hidden_layer_sizes": [(4,), (8, 8)], "mlp__dropout": [0.0, 0.2]}
    search = GridSearchCV(Pipeline([("scale", StandardScaler()), ("mlp", quick())]), grid, cv=3, n_jobs=n_jobs)
    assert search.fit(*IRIS).best_score_ > 0.85
    alone = GridSearchCV(Pipeline([("scale", StandardScaler()), ("mlp", quick())]), grid, cv=3).fit(*IRIS)
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"])


def test_cross_validation_and_calibration() -> None:
    assert cross_val_score(quick(), *IRIS, cv=3).mean() > 0.9
    calibrated = CalibratedClassifierCV(quick(), cv=3).fit(*IRIS)
    np.testing.assert_allclose(calibrated.predict_proba(IRIS[0]).sum(axis=1), 1.0)
    hinge = CalibratedClassifierCV(quick(loss="hinge"), cv=3).fit(*IRIS)
    assert hinge.score(*IRIS) > 0.9
    assert cross_val_predict(quick(), *CANCER, cv=3, method="predict_proba").shape == (569, 2)


def test_permutation_importance_and_ensembles() -> None:
    importance = permutation_importance(quick().fit(*IRIS), *IRIS, n_repeats=3, random_state=0)
    assert importance.importances_mean.argmax() in (2, 3)  # petals, not sepals
    assert VotingClassifier([("a", quick()), ("b", quick(solver="sgd"))], voting="soft").fit(*IRIS).score(*IRIS) > 0.8
    both = MultiOutputClassifier(quick()).fit(IRIS[0], np.stack([IRIS[1], IRIS[1] > 0], axis=1))
    assert both.predict(IRIS[0]).shape == (150, 2)


def test_a_regressor_with_scaled_targets() -> None:
    X, y = load_diabetes(return_X_y=True)
    mlp = bl.MLPRegressor(hidden_layer_sizes=8, max_iter=100, learning_rate_init=0.01, random_state=0)
    model = TransformedTargetRegressor(make_pipeline(StandardScaler(), mlp), transformer=StandardScaler())
    assert cross_val_score(model, X, y, cv=3).mean() > 0.3


def test_weights_and_validation_rows_are_routed() -> None:
    X, y = CANCER
    weight = np.linspace(0.5, 1.5, 569)
    with sklearn.config_context(enable_metadata_routing=True):
        mlp = quick(max_iter=3).set_fit_request(sample_weight=True, X_val=True, y_val=True)
        scaling = StandardScaler().set_fit_request(sample_weight=False)
        routed = Pipeline([("scale", scaling), ("mlp", mlp)], transform_input=["X_val"])
        routed.fit(X[:400], y[:400], sample_weight=weight[:400], X_val=X[400:], y_val=y[400:])
        scaler = StandardScaler().fit(X[:400])
        direct = quick(max_iter=3).fit(
            scaler.transform(X[:400]),
            y[:400],
            sample_weight=weight[:400],
            X_val=scaler.transform(X[400:]),
            y_val=y[400:],
        )
        assert routed[-1].history_["val_loss"] == direct.history_["val_loss"]
        several = quick(max_iter=2, scoring=["f1", "roc_auc"])
        several.fit(X[:400], y[:400], X_val=X[400:], y_val=y[400:], sample_weight_val=weight[400:])
        assert len(several.history_["val_roc_auc"]) == 2
        scores = cross_val_score(
            quick().set_fit_request(sample_weight=True).set_score_request(sample_weight=True),
            X,
            y,
            params={"sample_weight": weight},
        )
    assert scores.mean() > 0.9


def test_hidden_activations_as_a_step_of_a_pipeline() -> None:
    from sklearn.linear_model import LogisticRegression

    model = make_pipeline(StandardScaler(), quick(), LogisticRegression()).fit(*IRIS)
    assert model.score(*IRIS) > 0.95
    assert model[:-1].get_feature_names_out().tolist() == [f"mlpclassifier{i}" for i in range(8)]


@pytest.mark.parametrize(
    "model",
    [
        quick(learning_rate=bl.CosineDecay(0.01, epochs=30), callbacks=[bl.EarlyStopping("loss")]),
        quick(solver="lbfgs"),
        quick(early_stopping=True, class_weight="balanced", impute_missing=True, solver="adamw"),
        bl.MLPRegressor(hidden_layer_sizes=8, solver="sgd", max_iter=5, random_state=0),
    ],
    ids=["adam", "lbfgs", "adamw", "regressor"],
)
def test_files_and_copies(model: Any, tmp_path: Path) -> None:
    X, y = IRIS
    pipeline = make_pipeline(StandardScaler(), clone(model)).fit(X, y)
    joblib.dump(pipeline, tmp_path / "joblib")
    bl.save(pipeline, tmp_path / "backlit")
    copies = [
        pickle.loads(pickle.dumps(pipeline)),
        joblib.load(tmp_path / "joblib"),
        bl.load(tmp_path / "backlit"),
    ]
    for copy in copies:
        np.testing.assert_array_equal(copy.predict(X), pipeline.predict(X))
        mlp = copy[-1]
        assert all(np.shares_memory(part, values(mlp)) for part in mlp.coefs_)
        if mlp.solver != "lbfgs" and not mlp.early_stopping:
            original = pickle.loads(pickle.dumps(pipeline))[-1]
            np.testing.assert_array_equal(values(mlp.partial_fit(X, y)), values(original.partial_fit(X, y)))


def test_sparse_input_is_never_made_dense(monkeypatch: pytest.MonkeyPatch) -> None:
    X = csr_array(CANCER[0])
    widest = 0
    dense = csr_array.toarray

    def watched(self: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal widest
        widest = max(widest, self.shape[0])
        return dense(self, *args, **kwargs)

    monkeypatch.setattr("backlit.network._INFERENCE_ELEMENTS", 64 * 30)
    monkeypatch.setattr("backlit.training.lbfgs._SOURCE_ELEMENTS", 64 * 30)
    monkeypatch.setattr(csr_array, "toarray", watched)
    for solver in ("adam", "lbfgs"):
        quick(solver=solver, batch_size=64, early_stopping=True, max_iter=3).fit(X, CANCER[1]).predict_proba(X)
    assert widest == 0


@pytest.mark.skipif(not hasattr(bl.MLPClassifier, "set_callbacks"), reason="this scikit-learn has no callbacks")
def test_callbacks_of_scikit_learn() -> None:
    class Record:
        def __init__(self) -> None:
            self.seen: list[str] = []
            self.scores: list[float] = []

        def setup(self, estimator: Any, context: Any) -> None:
            self.seen.append("setup")

        def teardown(self, estimator: Any, context: Any) -> None:
            self.seen.append("teardown")

        def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
            self.seen.append(f"begin {context.task_name}")

        def on_fit_task_end(self, estimator: Any, context: Any, *, X: Any, y: Any, fitted_estimator: Any) -> bool:
            self.seen.append(f"end {context.task_name}")
            if context.task_name == "epoch":
                self.scores.append(fitted_estimator.score(X, y))
            return len(self.scores) == 3

    record = Record()
    model = quick().set_callbacks(record).fit(*IRIS)
    assert record.seen == ["setup", "begin fit", *["begin epoch", "end epoch"] * 3, "end fit", "teardown"]
    assert model.n_iter_ == 3
    assert record.scores[-1] == model.score(*IRIS)
    assert "_callback_fit_ctx" not in vars(model)


# ── tables ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_tables_of_every_library(library: str) -> None:
    module = pytest.importorskip(library)
    X, y = IRIS
    columns = {f"column {j}": X[:, j] for j in range(4)}
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    if library == "pyarrow":
        table, labels = module.table(columns), module.array(names.tolist())
        labels = np.array(labels.to_pylist())
    else:
        table, labels = module.DataFrame(columns), module.Series(names)
    model = quick(early_stopping=True, scoring="f1_macro").fit(table, labels)
    assert model.feature_names_in_.tolist() == list(columns)
    np.testing.assert_array_equal(model.predict(table), quick(early_stopping=True).fit(X, names).predict(X))
    if library != "pyarrow":
        assert list(model.set_output(transform=library).transform(table).columns) == [
            f"mlpclassifier{i}" for i in range(8)
        ]
        with pytest.raises(ValueError, match="feature names should match"):
            model.predict(
                table.rename(
                    {"column 0": "other"} if library == "polars" else str.upper,
                    **({} if library == "polars" else {"axis": 1}),
                )
            )
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X)


# ── other libraries ─────────────────────────────────────────────────────────────────────────────────────────


def test_optuna_prunes_through_a_callback() -> None:
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    X, y = CANCER

    def objective(trial: Any) -> float:
        rate = [0.01, 1e-6][trial.number % 2]  # the second one learns nothing
        model = quick(learning_rate_init=rate, max_iter=12, callbacks=[OptunaPruning(trial, "val_accuracy")])
        model.fit(X[:400], y[:400], X_val=X[400:], y_val=y[400:])
        return float(model.validation_scores_[-1])

    study = optuna.create_study(
        direction="maximize", pruner=optuna.pruners.MedianPruner(n_startup_trials=1, n_warmup_steps=3)
    )
    study.optimize(objective, n_trials=2)
    first, second = study.trials
    assert (first.state.name, second.state.name) == ("COMPLETE", "PRUNED")
    assert len(first.intermediate_values) == 12
    assert 3 <= len(second.intermediate_values) < 12
    with pytest.raises(ConfigurationError, match="OptunaPruning watches 'val_loss', which this run does not measure"):
        quick(callbacks=[OptunaPruning(first)]).fit(X, y)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
def test_mlflow_logs_every_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "runs").as_uri())
    with mlflow.start_run() as run:
        model = quick(max_iter=4, callbacks=[MLflowLog()]).fit(*CANCER, X_val=CANCER[0], y_val=CANCER[1])
    client = mlflow.MlflowClient()
    for name in ("loss", "val_loss", "val_accuracy"):
        logged = [(metric.step, metric.value) for metric in client.get_metric_history(run.info.run_id, name)]
        assert logged == list(enumerate(model.history_[name], start=1))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::UserWarning")
def test_a_grid_search_on_a_dask_cluster() -> None:
    distributed = pytest.importorskip("distributed")
    grid = {"hidden_layer_sizes": [(4,), (8,)]}
    here = GridSearchCV(quick(max_iter=5), grid, cv=2).fit(*IRIS)
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config("dask"),
    ):
        there = GridSearchCV(quick(max_iter=5), grid, cv=2).fit(*IRIS)
    np.testing.assert_array_equal(there.cv_results_["mean_test_score"], here.cv_results_["mean_test_score"])


# ── pictures ────────────────────────────────────────────────────────────────────────────────────────────────


def test_displays() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot
    from sklearn.inspection import DecisionBoundaryDisplay

    X, y = IRIS
    model = make_pipeline(StandardScaler(), quick()).fit(X[:, :2], y)
    display = LossCurveDisplay.from_estimator(model)
    assert display.ax_.get_ylabel() == "loss"
    np.testing.assert_array_equal(display.ax_.lines[0].get_ydata(), model[-1].history_["loss"])
    _, ax = pyplot.subplots()
    assert LossCurveDisplay.from_estimator(model[-1], ax=ax).figure_ is ax.figure
    boundary = DecisionBoundaryDisplay.from_estimator(model, X[:, :2], response_method="predict", grid_resolution=20)
    assert set(np.unique(boundary.response)) == {0, 1, 2}
    with pytest.raises(sklearn.exceptions.NotFittedError):
        LossCurveDisplay.from_estimator(quick())
    pyplot.close("all")


def test_the_notebook_shows_the_network() -> None:
    model = quick(hidden_layer_sizes=(30, 4))
    assert "<svg" not in model._repr_html_().rsplit("</style>", 1)[-1].rsplit("</div>", 1)[-1]
    html = model.fit(*IRIS)._repr_html_()
    picture = html[html.rindex("<svg") :]
    assert picture.count("<circle") == 4 + 6 + 4 + 3  # of 30 units six are drawn
    assert "30 relu" in picture
    assert "3 softmax" in picture
    assert "⋮" in picture


def test_a_warning_names_the_line_of_the_caller() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        quick(max_iter=1).fit(*IRIS)
    assert caught[0].filename == __file__


def test_a_network_with_any_layers_is_drawn_and_told_in_one_line() -> None:
    layers = [bl.Scale(), bl.Dense(3, "tanh"), bl.BatchNorm(), bl.Dropout(0.2), bl.Dense(2, "softmax")]
    net = bl.Network(layers, inputs=4, loss="cross_entropy")
    svg = network_svg(net)
    assert svg.count("<circle") == 4 + 3 + 2
    texts = re.findall(r"<text[^>]*>([^<]+)</text>", svg)
    assert texts == [
        "4 inputs", "scale", "4 parameters", "3 tanh", "15 parameters", "batch norm", "6 parameters", "dropout 0.2",
        "2 softmax", "8 parameters",
    ]  # fmt: skip
    assert network_text(net) == "4 → scale → 3 tanh → batch norm → dropout 0.2 → 2 softmax (33 parameters)"
