"""Every check that scikit-learn has for estimators, none excused, with metadata routing off and on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sklearn
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

import backlit as bl

# The checks of scikit-learn 1.9 for estimators with these tags: fewer would mean that some were left out.
COUNTS = {"MLPClassifier": 74, "MLPRegressor": 67}

# 100 epochs, as scikit-learn checks its own; the hinge loss has decision_function in place of predict_proba.
ESTIMATORS = [
    bl.MLPClassifier(max_iter=100),
    bl.MLPRegressor(max_iter=100),
    bl.MLPClassifier(max_iter=100, loss="hinge"),
]


@pytest.fixture(params=[False, True], ids=["no routing", "routing"])
def routing(request: pytest.FixtureRequest) -> Iterator[bool]:
    with sklearn.config_context(enable_metadata_routing=request.param):
        yield request.param


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(ESTIMATORS)
def test_a_check_of_scikit_learn(estimator: Any, check: Callable[[Any], None], routing: bool) -> None:
    check(estimator)


@pytest.mark.skipif(not sklearn.__version__.startswith("1.9."), reason="the counts are those of scikit-learn 1.9")
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
def test_the_number_of_checks(estimator: Any) -> None:
    assert len(list(estimator_checks_generator(estimator, mark=None))) == COUNTS[type(estimator).__name__]


ARRAY_API = """
import warnings, backlit
from sklearn.utils.estimator_checks import check_estimator
warnings.simplefilter("ignore")
for estimator in (backlit.MLPClassifier(max_iter=20), backlit.MLPRegressor(max_iter=20)):
    results = check_estimator(estimator, on_skip=None, on_fail=None)
    print(*[r["status"] for r in results if "array_api" in r["check_name"]])
"""


def test_the_check_that_needs_an_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    # the one that is skipped above: SciPy reads this when it is imported
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    run = subprocess.run([sys.executable, "-c", ARRAY_API], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["passed", "passed"], run.stdout
