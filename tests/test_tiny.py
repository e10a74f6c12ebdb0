"""Every floor touched once, in under two seconds: when everything seems broken, read these first, top to bottom."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import backlit as bl
from backlit import cli


class TestTiny:
    # ── floor 0: names and errors ──────────────────────────────────────────────────────────────────────────
    def test_error(self) -> None:
        with pytest.raises(bl.BacklitError, match="did you mean 'sigmoid'"):
            bl.Dense(1, "sigmiod")

    # ── floor 1: the vector, its initial values, keyed randomness ──────────────────────────────────────────
    def test_vector(self) -> None:
        parameters = bl.ParameterVector({"0.weight": (2, 2), "0.bias": (2,)}, np.dtype("float64"))
        parameters.view("0.bias")[:] = [5.0, 6.0]
        assert parameters.values.tolist() == [0, 0, 0, 0, 5, 6]

    def test_seed(self) -> None:
        first, second = (bl.Network([bl.Dense(3)], inputs=2, seed=1).parameters.values for _ in range(2))
        assert first.tolist() == second.tolist()

    # ── floor 2 and 3: layers and losses ───────────────────────────────────────────────────────────────────
    def test_dense(self) -> None:
        net = bl.Network([bl.Dense(1, "relu", weight_init=2.0, bias_init=-1.0)], inputs=2)
        assert net.forward([[1.0, 2.0], [-1.0, -2.0]]).tolist() == [[5.0], [0.0]]

    def test_loss(self) -> None:
        net = bl.Network([bl.Dense(1, weight_init=2.0)], inputs=1)
        assert net.loss([[3.0]], [10.0]) == 8.0  # ½ (6 − 10)²

    # ── floor 4: forward, backward, the check ──────────────────────────────────────────────────────────────
    def test_gradient(self) -> None:
        net = bl.Network([bl.Dense(1, weight_init=2.0)], inputs=1)
        assert net.gradient([[3.0]], [10.0]).tolist() == [-12.0, -4.0]  # (6 − 10) · 3 and (6 − 10)

    def test_check(self) -> None:
        net = bl.Network([bl.Dense(3, "tanh"), bl.Dense(2, "softmax")], inputs=2, loss="cross_entropy")
        assert bl.check_gradients(net, [[0.1, 0.2], [0.3, -0.4]], [0, 1]).ok

    # ── floor 5: optimisers and schedules ──────────────────────────────────────────────────────────────────
    def test_step(self) -> None:
        net = bl.Network([bl.Dense(1, weight_init=2.0)], inputs=1)
        bl.fit(net, [[3.0]], [10.0], epochs=1, optimizer=bl.SGD(bl.StepDecay(0.5)), progress=False)
        assert net.parameters.values.tolist() == [8.0, 2.0]

    # ── floor 6: training ──────────────────────────────────────────────────────────────────────────────────
    def test_xor(self) -> None:
        X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
        net = bl.Network([bl.Dense(8, "tanh"), bl.Dense(2, "softmax")], inputs=2, loss="cross_entropy")
        history = bl.fit(net, X, y, epochs=200, optimizer=bl.Adam(0.05), validation=(X, y), progress=False)
        assert history["val_accuracy"][-1] == 1.0
        assert net.predict(X).argmax(axis=1).tolist() == y

    # ── floor 7: data ──────────────────────────────────────────────────────────────────────────────────────
    def test_table(self, tmp_path: Path) -> None:
        (tmp_path / "t.csv").write_text("a,b,y\n1,2,no\n3,4,yes\n")
        table = bl.data.read_table(tmp_path / "t.csv")
        kinds = bl.data.find_kinds(table)
        assert bl.data.typed(table, kinds).rows() == [(1.0, 2.0, "no"), (3.0, 4.0, "yes")]

    # ── floor 8: estimators ────────────────────────────────────────────────────────────────────────────────
    def test_classifier(self) -> None:
        X, y = np.array([[0.0], [1.0], [10.0], [11.0]]), ["low", "low", "high", "high"]
        model = bl.MLPClassifier((4,), max_iter=50, learning_rate_init=0.1, random_state=0).fit(X, y)
        assert model.predict(X).tolist() == y

    # ── floor 9: files ─────────────────────────────────────────────────────────────────────────────────────
    def test_file(self, tmp_path: Path) -> None:
        net = bl.Network([bl.Dense(3, "tanh"), bl.Dense(1)], inputs=2)
        bl.save(net, tmp_path / "net.backlit")
        assert bl.load(tmp_path / "net.backlit").parameters.values.tolist() == net.parameters.values.tolist()

    # ── floor 11: the command line ─────────────────────────────────────────────────────────────────────────
    def test_command(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as caught:
            cli.main(["train", str(tmp_path / "none.csv"), "--target", "y"])
        assert caught.value.code == 2
        assert "none.csv" in capsys.readouterr().err
