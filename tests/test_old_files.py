"""Files that released versions wrote still load, and predict what they predicted then."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import backlit as bl
from backlit.cli import main

FILES = Path(__file__).parent / "files"


@pytest.fixture(scope="module")
def expected() -> dict[str, np.ndarray]:
    with np.load(FILES / "expected-0.1.0.npz") as data:
        return dict(data)


def test_a_network(expected: dict[str, np.ndarray]) -> None:
    net = bl.load(FILES / "network-0.1.0.backlit")
    np.testing.assert_allclose(net.predict(expected["X"]), expected["network"], rtol=1e-6)


def test_estimators(expected: dict[str, np.ndarray]) -> None:
    classifier, regressor = (bl.load(FILES / f"{name}-0.1.0.backlit") for name in ("classifier", "regressor"))
    np.testing.assert_allclose(classifier.predict_proba(expected["X"]), expected["classifier"], rtol=1e-6)
    np.testing.assert_allclose(regressor.predict(expected["X"]), expected["regressor"], rtol=1e-6)


def test_a_recording(expected: dict[str, np.ndarray]) -> None:
    recording = bl.Recording.load(FILES / "recording-0.1.0.recording")
    values, _ = recording.before(recording.last_step)
    recording.net.parameters.values[:] = values
    np.testing.assert_allclose(recording.net.predict(expected["X"][:, :2]), expected["recording"], rtol=1e-6)


@pytest.mark.parametrize("name", ["table", "table-regression"])
def test_a_model_of_a_table(name: str, tmp_path: Path) -> None:
    out = tmp_path / "predictions.csv"
    with pytest.raises(SystemExit) as ended:
        main(["predict", str(FILES / f"{name}-0.1.0.backlit"), str(FILES / "table-0.1.0.csv"), "--out", str(out)])
    assert not ended.value.code
    assert out.read_text() == (FILES / f"{name}-0.1.0-predictions.csv").read_text()
