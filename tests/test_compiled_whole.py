"""L-BFGS on the compiled engine: the loss of all rows and its gradient, as the reference finds them."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

import backlit as bl
from backlit.estimators.rows import SparseRows
from backlit.exceptions import BacklitWarning, DivergenceError
from backlit.training import choose
from backlit.training.lbfgs import ReferenceWhole

pytest.importorskip("numba", reason="the compiled engine needs backlit[fast]")
from backlit.compiled import plan, team, whole
from backlit.compiled.whole import CompiledWhole

pytestmark = pytest.mark.xdist_group("compiled")

rng = np.random.default_rng(5)
ROWS = 203
X = rng.normal(size=(ROWS, 6))
Y = np.eye(3)[rng.integers(0, 3, ROWS)]
WEIGHT = np.where(np.arange(ROWS) % 7 == 0, 0.0, rng.uniform(0.5, 2.0, ROWS))


def network(**settings: Any) -> bl.Network:
    layers = [bl.Dense(9, "tanh"), bl.Dense(4, "tanh", bias=False), bl.Dense(3, "softmax")]
    return bl.Network(layers, **{"inputs": 6, "loss": "cross_entropy", "dtype": "float64", "seed": 3, **settings})


@pytest.fixture(autouse=True)
def one_plan(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """All networks of this file are of one plan, which is compiled once."""
    monkeypatch.setattr(plan, "PLANS", _PLANS)
    plan.plan_for(network(l2=0.1))
    yield
    assert len(_PLANS) == 1


_PLANS: list[Any] = []


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole, "BLOCK_BYTES", 1)
    monkeypatch.setattr(whole, "FEWEST_ROWS", 50)  # four of them, and one of three rows


NETWORKS: dict[str, dict[str, Any]] = {
    "plain": {},
    "penalised": {"l1": 0.01, "l2": 0.1},
    "divided": {"l1": 0.3, "l2": 2.0, "divide_penalty": True},
    "scaled": {"input_scale": 0.1},
    "smoothed": {"loss": bl.cross_entropy(0.1)},
}


@pytest.mark.parametrize("weight", [None, WEIGHT, np.zeros(ROWS)], ids=["", "weighted", "nothing counts"])
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.usefixtures("small_blocks")
def test_it_is_the_loss_of_the_reference_and_its_gradient(name: str, weight: Any) -> None:
    net = network(**NETWORKS[name])
    expected, gradient = ReferenceWhole(net, (X, Y, weight))()
    sums = net.parameters.sums.copy()
    loss, found = CompiledWhole(net, (X, Y, weight), 1)()
    assert loss == pytest.approx(expected, rel=1e-13)
    np.testing.assert_allclose(found, gradient, rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(net.parameters.sums, sums, rtol=1e-11, atol=1e-13)
    assert found.dtype == np.float64
    assert not np.shares_memory(found, net.parameters.sums)


@pytest.mark.torture
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.usefixtures("small_blocks")
def test_every_layer_that_takes_rows_by_themselves(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "PLANS", [])
    layers = [bl.Scale("scaled_normal"), bl.Dense(9, "relu"), bl.LayerNorm(), bl.Dense(3, "softmax")]
    net = bl.Network(layers, inputs=6, loss="cross_entropy", dtype=dtype, seed=3)
    weight = WEIGHT.astype(dtype)
    expected, gradient = ReferenceWhole(net, (X, Y.astype(dtype), weight))()
    loss, found = CompiledWhole(net, (X, Y.astype(dtype), weight), 1)()
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    assert loss == pytest.approx(expected, rel=tolerance)
    np.testing.assert_allclose(found, gradient, atol=tolerance)


@pytest.mark.usefixtures("small_blocks")
def test_every_number_of_threads_gives_the_same_bits() -> None:
    net = network(l2=0.1)
    found = [CompiledWhole(net, (X, Y, WEIGHT), threads, least_work=1) for threads in (1, 2, 3)]
    for one in found[1:]:
        one._size.choose = lambda n=one._most: (n, 1)  # type: ignore[method-assign]
    losses, gradients = zip(*(one() for one in found), strict=True)
    assert [one._most for one in found] == [1, 2, 3]
    assert losses[1:] == losses[:1] * 2
    for gradient in gradients[1:]:
        np.testing.assert_array_equal(gradient, gradients[0])


def test_each_gradient_is_an_array_of_its_own() -> None:
    net = network()
    both = CompiledWhole(net, (X, Y, None), 1)
    first = both()[1]
    kept = first.copy()
    net.parameters.values[:] *= 0.5
    assert (both()[1] != kept).any()
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize("kind", ["float32", "uint8", "read-only", "columns"])
def test_rows_of_any_kind(kind: str) -> None:
    data: Any = (X * 10).astype(kind) if kind in ("float32", "uint8") else X.copy("F" if kind == "columns" else "C")
    data.flags.writeable = kind != "read-only"
    net = network()
    loss, gradient = CompiledWhole(net, (data, Y, None), 1)()
    expected = ReferenceWhole(net, (data, Y, None))()
    assert loss == pytest.approx(expected[0], rel=1e-13)
    np.testing.assert_allclose(gradient, expected[1], rtol=1e-10, atol=1e-13)


def test_blocks_are_what_a_cache_holds() -> None:
    net = bl.Network([bl.Dense(64, "relu"), bl.Dense(2, "softmax")], inputs=20, loss="cross_entropy", dtype="float64")
    size = whole.rows_of_block(net, 10**6)
    assert size * 8 * (20 + 3 * 66) <= whole.BLOCK_BYTES < (size + 1) * 8 * (20 + 3 * 66)
    assert whole.rows_of_block(net, 10) == 10
    wide = bl.Network([bl.Dense(5000, "relu"), bl.Dense(2)], inputs=20)
    assert whole.rows_of_block(wide, 10**6) == whole.FEWEST_ROWS


# ── in `fit` ───────────────────────────────────────────────────────────────────────────────────────────────
def fit(net: bl.Network, engine: str = "compiled", **settings: Any) -> bl.History:
    defaults = {"epochs": 30, "optimizer": bl.LBFGS(), "progress": False}
    return bl.fit(net, settings.pop("X", X), Y, engine=engine, **{**defaults, **settings})


class Engine(bl.Callback):
    name = ""

    def on_fit_begin(self, training: bl.Training) -> None:
        self.name = training.engine


def test_a_run_takes_the_iterations_of_the_reference() -> None:
    nets, engine = [network(l2=0.01) for _ in range(2)], Engine()
    expected = fit(nets[0], "reference", sample_weight=WEIGHT, validation=(X[:50], Y[:50]))
    found = fit(nets[1], sample_weight=WEIGHT, validation=(X[:50], Y[:50]), callbacks=[engine], n_threads=2)
    assert engine.name == "compiled"
    assert found.epochs == expected.epochs == 30
    for name in set(expected) - {"seconds"}:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-6)
    np.testing.assert_allclose(nets[1].parameters.values, nets[0].parameters.values, atol=1e-5)
    assert expected["loss"][-1] < 0.9 * expected["loss"][0]


def test_it_says_why_it_ended() -> None:
    history = fit(network(l2=0.5), epochs=500)
    assert history.epochs < 500
    assert "CONVERGENCE" in (history.stopped or "")


def test_n_threads_are_those_that_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(team.TeamSize, "choose", lambda self: (self.most, 1))
    monkeypatch.setattr(whole, "most_threads", lambda net, n, n_threads, least: n_threads)
    seen: set[int] = set()

    def counted(run: Any, count: int) -> Any:
        seen.add(count)
        return team.run_together(run, count)

    monkeypatch.setattr(whole, "run_together", counted)
    before, values = set(threading.enumerate()), []
    for n_threads in (1, 3):
        net = network()
        fit(net, epochs=5, n_threads=n_threads)
        values.append(net.parameters.values)
    assert seen == {1, 3}
    np.testing.assert_array_equal(*values)
    assert set(threading.enumerate()) <= before


def test_an_interruption_leaves_the_last_iteration() -> None:
    class Press(bl.Callback):
        def on_epoch_end(self, training: bl.Training) -> None:
            self.values = training.net.parameters.values.copy()
            if training.epoch == 3:
                raise KeyboardInterrupt

    net, press = network(), Press()
    with pytest.warns(UserWarning, match="interrupted in epoch 3"):
        history = fit(net, callbacks=[press])
    assert history.epochs == 3
    np.testing.assert_array_equal(net.parameters.values, press.values)


def test_a_loss_that_is_not_finite_restores_the_start() -> None:
    net = network()
    net.parameters.values[:] = np.nan
    with pytest.raises(DivergenceError, match="L-BFGS met a loss that is not finite"):
        fit(net)


# ── the choice ─────────────────────────────────────────────────────────────────────────────────────────────
def test_auto_compiles_where_the_reference_would_take_long() -> None:
    net, data = network(), (X, Y, None)
    assert choose.choose_whole("auto", net, data, 200, 1).name == "reference"
    assert choose.choose_whole("auto", net, data, 100_000, 1).name == "compiled"
    many = np.zeros((1_000_000, 6)), np.zeros((1_000_000, 3)), None
    assert choose.choose_whole("auto", net, many, 200, 1).name == "compiled"
    assert choose.choose_whole("reference", net, many, 200, 1).name == "reference"


class Source:
    shape = X.shape

    def fetch(self, rows: np.ndarray, out: np.ndarray, *, epoch: int) -> None:
        out[...] = X[rows]


OBSTACLES: dict[str, tuple[dict[str, Any], str]] = {
    "sparse": ({"X": SparseRows(csr_array(np.where(X > 0, X, 0.0)))}, "X is sparse, and LBFGS takes all"),
    "source": ({"X": Source()}, "X gives its rows when asked, and LBFGS takes all"),
    "own": ({"net": bl.Network([bl.Dense(3, (np.sin, np.cos))], inputs=6)}, "the activation 'sin' has no kernel"),
}


@pytest.mark.parametrize("what", OBSTACLES)
def test_what_cannot_be_compiled_runs_on_the_reference_and_says_so(what: str) -> None:
    settings, reason = OBSTACLES[what]
    net, engine = settings.get("net") or network(), Engine()
    settings = {name: value for name, value in settings.items() if name != "net"}
    with pytest.warns(BacklitWarning, match=f"the reference engine runs instead.*{reason}") as caught:
        fit(net, epochs=2, callbacks=[engine], **settings)
    assert len(caught) == 1
    assert engine.name == "reference"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(net, "auto", epochs=2, **settings)
