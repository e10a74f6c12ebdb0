"""Settings are tried out: what is chosen, what an interruption leaves, where trials run."""

from __future__ import annotations

import json
import math
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

import backlit as bl
from backlit.cli import run
from backlit.data import tuning
from backlit.data.members import Rows
from backlit.data.recipe import Recipe, recipe_for
from backlit.data.tuning import Finished, Task, best_recipe, finished_trials, lowest_loss, open_study, own_loss, search
from backlit.exceptions import ConfigurationError, DataError, DivergenceError, WorkerLostError

pytest.importorskip("optuna", reason="a search for settings needs backlit[tune]")


def task(rows: int = 60, seed: int = 0) -> Task:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, 3)).astype(np.float32)
    recipe = recipe_for(rows, 3, 2)
    quick = Recipe(**{**vars(recipe), "epochs": 3, "hidden": (16,), "folds": 3, "members": 3})
    return Task(Rows(X, (X[:, 0] > 0).astype(np.int64), None, True), 2, quick, seed, "reference")


def by_units(task: Task, recipe: Recipe, fold: int) -> float:
    """A loss that is known: the fewer units, the better."""
    return math.log(recipe.hidden[0])


def params(study: Any) -> list[dict[str, Any]]:
    return [trial.params for trial in finished_trials(study)]


def searched(path: str | None, trials: int, **more: Any) -> Any:
    study = open_study(task(), path)
    search(study, task(), trials, **more)
    return study


def test_the_first_trial_is_the_recipe_and_the_best_is_no_worse() -> None:
    told: list[Finished] = []
    study = searched(None, 6, told=told.append)
    assert [trial.number for trial in told] == [1, 2, 3, 4, 5, 6]
    assert told[0].recipe == task().recipe
    assert told[0].loss == own_loss(study, task().recipe)
    assert told[0].loss == pytest.approx(np.mean([tuning.fold_loss(task(), task().recipe, fold) for fold in range(3)]))
    assert lowest_loss(study) == min(trial.loss for trial in told if not trial.given_up) <= told[0].loss
    best = next(trial for trial in told if trial.loss == lowest_loss(study))
    assert best_recipe(study, task().recipe) == best.recipe


def test_settings_are_of_the_ranges_and_written_without_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "fold_loss", by_units)
    told: list[Finished] = []
    searched(None, 40, told=told.append)
    for trial in told[1:]:
        recipe = trial.recipe
        assert len(recipe.hidden) in (1, 2, 3)
        assert 16 <= recipe.hidden[0] <= 256
        assert 0.0 <= recipe.dropout <= 0.5
        assert 3e-4 <= recipe.learning_rate <= 3e-2
        assert float(f"{recipe.learning_rate:g}") == recipe.learning_rate
        assert float(f"{recipe.dropout:g}") == recipe.dropout
    later = [trial.recipe.hidden[0] for trial in told[20:]]
    assert np.median(later) < 40  # of a uniform draw in logarithms 64: it has seen which are better


def test_what_is_worse_after_a_fold_than_half_of_the_others_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def loss(task: Task, recipe: Recipe, fold: int) -> float:
        calls.append(recipe)
        return by_units(task, recipe, fold)

    monkeypatch.setattr(tuning, "fold_loss", loss)
    told: list[Finished] = []
    study = searched(None, 20, told=told.append)
    given_up = [trial for trial in told if trial.given_up]
    assert 0 < len(given_up) < 15
    assert len(calls) == 3 * 20 - 2 * len(given_up)
    assert len(finished_trials(study, given_up=False)) == 20 - len(given_up)


@pytest.mark.parametrize("call", [1, 5, 13])
def test_an_interrupted_search_goes_on_as_an_unbroken_one(
    call: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = params(searched(None, 12))
    calls = iter(range(1, 1_000))
    real = tuning.fold_loss

    def interrupted(*given: Any) -> float:
        if next(calls) == call:
            raise KeyboardInterrupt
        return real(*given)

    monkeypatch.setattr(tuning, "fold_loss", interrupted)
    path = str(tmp_path / "a.study")
    with pytest.raises(KeyboardInterrupt):
        searched(path, 12)
    study = searched(path, 12)
    assert params(study) == whole
    before = Path(path).read_bytes()
    searched(path, 12)
    assert params(open_study(task(), path)) == whole
    assert Path(path).read_bytes().startswith(before)


def test_diverged_trials_are_no_best(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "train_one", _diverging)
    study = searched(None, 3)
    with pytest.raises(DataError, match="every trial diverged"):
        best_recipe(study, task().recipe)


def _diverging(*given: Any) -> Any:
    raise DivergenceError("too far", epoch=1, step=1, layer=0)


def test_a_study_is_of_one_table_and_a_file_of_something_else_is_left_alone(tmp_path: Path) -> None:
    path = str(tmp_path / "a.study")
    searched(path, 1)
    with pytest.raises(ConfigurationError, match="is of another table"):
        open_study(task(seed=1), path)
    for content, said in (("a,b\n1,2", "is no study but another file"), ('{"op_code": 0, "x"\n{\n', "is damaged")):
        (tmp_path / "other").write_text(content)
        with pytest.raises(DataError, match=said):
            open_study(task(), str(tmp_path / "other"))
        assert (tmp_path / "other").read_text() == content
    with pytest.raises(DataError, match="cannot be read"):
        open_study(task(), str(tmp_path))


def test_processes_train_what_one_does_and_a_lost_one_is_told() -> None:
    one, two = searched(None, 3), searched(None, 3, jobs=2)
    assert {str(trial.params): trial.value for trial in finished_trials(one)} == {
        str(trial.params): trial.value for trial in finished_trials(two)
    }
    if sys.platform != "linux":
        return

    def kill(finished: Finished) -> None:
        children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
        for child in children:
            if b"popen_loky" in Path(f"/proc/{child}/cmdline").read_bytes():
                os.kill(int(child), signal.SIGKILL)

    with pytest.raises(WorkerLostError, match="ended from outside"):
        searched(None, 30, jobs=2, told=kill)


def test_one_place_to_train_is_chosen() -> None:
    with pytest.raises(ConfigurationError, match="choose one of the two"):
        searched(None, 1, jobs=2, dask="tcp://127.0.0.1:1")


def test_the_command_trains_what_it_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 2)).round(3)
    Path("t.csv").write_text("a,b,y\n" + "\n".join(f"{a},{b},{'yes' if a > b else 'no'}" for a, b in X) + "\n")
    common = ["--target", "y", "--preset", "fast", "--json"]
    assert run(["tune", "t.csv", *common, "--trials", "2", "--study", "s", "--plot", "p.svg", "--out", "tuned"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found["trials"] == 2
    assert found["loss"] <= found["own_loss"]
    assert "trial 2 of 2: loss" in err
    assert "validation rows below are those that the trials were compared on" in err.replace("\n", " ")
    assert "best so far" in Path("p.svg").read_text() or Path("p.svg").stat().st_size > 10_000
    assert run(["train", "t.csv", *common, *found["options"], "--out", "trained"]) == 0
    assert Path("tuned").read_bytes() == Path("trained").read_bytes()
    capsys.readouterr()
    assert run(["tune", "t.csv", *common, "--trials", "2", "--study", "s", "--validation", "0.2"]) == 2
    assert "is of another table, or of other settings" in capsys.readouterr().err
    Path("one.csv").write_text("a,y\n1,no\n2,yes\n")
    assert run(["tune", "one.csv", *common, "--trials", "2"]) == 2
    assert "too few to hold any out" in capsys.readouterr().err


# ── a cluster ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def cluster() -> Iterator[Any]:
    distributed = pytest.importorskip("distributed", reason="a Dask cluster needs backlit[dask]")
    given = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**given) as running:
        yield running


def _kill_one(cluster: Any) -> None:
    os.kill(next(iter(cluster.workers.values())).process.pid, signal.SIGKILL)


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_that_loses_a_worker_finishes_the_search(cluster: Any) -> None:
    def told(finished: Finished) -> None:
        if finished.number == 2:
            _kill_one(cluster)

    study = searched(None, 6, dask=cluster.scheduler_address, told=told)
    assert len(finished_trials(study)) == 6
    first = {str(trial.params): trial.value for trial in finished_trials(searched(None, 1))}
    assert first.items() <= {str(trial.params): trial.value for trial in finished_trials(study)}.items()


@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_search_on_a_cluster_that_loses_a_worker(cluster: Any) -> None:
    import distributed

    X, y = task(200).rows.X, task(200).rows.y
    grid = {"hidden_layer_sizes": [(4,), (8,), (12,), (16,)]}
    search_here = GridSearchCV(bl.MLPClassifier(max_iter=20, random_state=0), grid, cv=3)
    here = search_here.fit(X, y).cv_results_["mean_test_score"]
    with distributed.Client(cluster) as client, joblib.parallel_config("dask", scatter=[X, y]):
        client.submit(_kill_one_later, cluster.workers[0].process.pid)
        there = search_here.fit(X, y).cv_results_["mean_test_score"]
    np.testing.assert_array_equal(there, here)


def _kill_one_later(pid: int) -> None:
    import time

    time.sleep(0.5)
    os.kill(pid, signal.SIGKILL)


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_that_is_not_there() -> None:
    pytest.importorskip("distributed", reason="a Dask cluster needs backlit[dask]")
    with pytest.raises(ConfigurationError, match="no Dask cluster with workers answers"):
        searched(None, 1, dask="tcp://127.0.0.1:9")
