"""What `export_numpy` refuses, and `backlit export` on the command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.cli.export import export
from backlit.exceptions import ConfigurationError, MissingExtraError, ModelFileError, NotFittedError, OutputError
from backlit.export.numpy.program import export_numpy
from backlit.kinds import Layer


def network() -> bl.Network:
    return bl.Network([bl.Dense(7, "tanh"), bl.Dense(2)], inputs=4, dtype="float64", seed=5)


class Twice(Layer):
    """A user's own layer."""

    def forward(self, work: Any, i: int, moment: Any) -> None:
        np.multiply(work.a[i], 2.0, out=work.a[i + 1])

    def backward(self, work: Any, i: int, below: bool) -> None:
        if below:
            np.multiply(work.delta[i], 2.0, out=work.delta[i - 1])


def cube(a: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.sum(np.abs(a - y) ** 3, axis=1)


def cube_gradient(a: np.ndarray, y: np.ndarray) -> np.ndarray:
    return 3 * np.abs(a - y) * (a - y)


class SignDescent:
    """A user's own optimiser."""

    def __init__(self, rate: float = 0.01) -> None:
        self.learning_rate: Any = rate
        self.clip_norm = None
        self.slots: tuple[str, ...] = ()

    def update(self, values: Any, gradient: Any, weight_mask: Any, state: Any, rate: float) -> None:
        values -= rate * np.sign(gradient)

    def __repr__(self) -> str:
        return "SignDescent()"


OWN: dict[str, tuple[bl.Network, Any, str]] = {
    "activation": (
        bl.Network([bl.Dense(2), bl.Dense(2, (np.sin, np.cos)), bl.Dense(1)], inputs=2),
        None,
        "the activation 'sin' of layer 1 is a function of your own, whose source no script can be made of",
    ),
    "loss": (
        bl.Network([bl.Dense(1)], inputs=2, loss=(cube, cube_gradient)),
        None,
        "the loss 'cube' is a function of your own, whose source no script can be made of",
    ),
    "optimiser": (
        network(),
        SignDescent(),
        r"SignDescent\(\) has no update that a NumPy script can hold: choose one of",
    ),
    "schedule": (network(), bl.SGD(lambda epoch: 0.1), "the learning rate .* is a function of your own, whose source"),
    "layer": (
        bl.Network([bl.Dense(2), Twice(), bl.Dense(1)], inputs=2),
        None,
        r"layer 1, Twice\(\), is of your own making, and no script can be made of its source",
    ),
}


@pytest.mark.parametrize("what", OWN)
def test_what_is_the_users_own_is_refused(what: str, tmp_path: Path) -> None:
    net, optimizer, message = OWN[what]
    with pytest.raises(ConfigurationError, match=message) as caught:
        export_numpy(net, tmp_path / "x.py", optimizer=optimizer)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_what_is_no_network(tmp_path: Path) -> None:
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    with pytest.raises(ConfigurationError, match="a pipeline prepares the columns first"):
        export_numpy(make_pipeline(StandardScaler(), bl.MLPClassifier()), tmp_path / "x.py")
    with pytest.raises(ConfigurationError, match="received LinearRegression"):
        export_numpy(LinearRegression(), tmp_path / "x.py")
    with pytest.raises(NotFittedError, match="call fit first"):
        export_numpy(bl.MLPRegressor(), tmp_path / "x.py")
    with pytest.raises(ConfigurationError, match=r"'adam' has no update .* one of SGD"):
        export_numpy(network(), tmp_path / "x.py", optimizer="adam")
    with pytest.raises(OutputError, match="cannot be written"):
        export_numpy(network(), tmp_path / "nowhere" / "x.py")
    assert not list(tmp_path.iterdir())


# ── the command line ─────────────────────────────────────────────────────────────────────────────────────────


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wide = bl.Network([bl.Dense(30, "sigmoid"), bl.Dense(10)], inputs=100)
    bl.save(wide, tmp_path / "net.backlit")
    export(str(tmp_path / "net.backlit"), format="numpy", out=str(tmp_path / "net.py"))
    assert "trains it on made-up rows" in capsys.readouterr().out
    assert (tmp_path / "net_parameters.npz").exists()


@pytest.mark.parametrize("target", ["sold", "price"])
def test_the_command_on_a_model_of_a_table(target: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from backlit.cli import run

    rng = np.random.default_rng(0)
    rows = [f"{a},{b},{'yes' if a > b else 'no'}" for a, b in rng.uniform(1, 9, (80, 2)).round(2)]
    (tmp_path / "shop.csv").write_text("\n".join(["size,price,sold", *rows]) + "\n")
    model = str(tmp_path / "shop.backlit")
    arguments = ["train", str(tmp_path / "shop.csv"), "--target", target, "--epochs", "2", "--out", model]
    assert run(arguments) == 0
    capsys.readouterr()
    export(model, format="numpy", out=str(tmp_path / "shop.py"))
    remark = " ".join(capsys.readouterr().err.split())
    assert "the script is the network alone: it takes the prepared columns size, " in remark
    assert ("standardised target" in remark) == (target == "price")
    assert "Adam" in (tmp_path / "shop.py").read_text()


def test_the_command_without_onnx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bl.save(network(), tmp_path / "net.backlit")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'backlit\[onnx\]'"):
        export(str(tmp_path / "net.backlit"), format="onnx", out=str(tmp_path / "net.onnx"))
    with pytest.raises(OutputError, match="there is no folder"):
        export(str(tmp_path / "net.backlit"), format="numpy", out=str(tmp_path / "no" / "net.py"))


def test_the_command_refuses_a_pipeline_of_another_making(tmp_path: Path) -> None:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    X, y = np.random.default_rng(0).standard_normal((2, 50, 4))
    model = make_pipeline(StandardScaler(), bl.MLPRegressor(solver="lbfgs", tol=1e3)).fit(X, y)
    bl.save(model, tmp_path / "own.backlit")
    with pytest.raises(ModelFileError, match="was not made by `backlit train`"):
        export(str(tmp_path / "own.backlit"), format="numpy", out=str(tmp_path / "own.py"))
