"""Predictions in machine code: `Network.compile`, and estimators with `engine="compiled"`."""

from __future__ import annotations

import copy
import pickle
import re
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

import backlit as bl
from backlit import network as network_file
from backlit.estimators import hidden
from backlit.exceptions import BacklitWarning, ConfigurationError, MissingExtraError
from backlit.kinds import ACTIVATIONS, LAYERS
from backlit.kinds.kernel import Kernel

pytest.importorskip("numba", reason="the compiled engine needs backlit[fast]")
from backlit.compiled import forward

pytestmark = pytest.mark.xdist_group("compiled")

TOLERANCE = {"float32": 2e-6, "float64": 1e-14}  # of the largest output
rng = np.random.default_rng(3)
X = rng.normal(size=(300, 5))
COMPILING = [name for name, activation in ACTIVATIONS.items() if activation.compiles]
BETWEEN = {
    "Dropout": bl.Dropout(0.3), "BatchNorm": bl.BatchNorm(epsilon=0.1), "LayerNorm": bl.LayerNorm(),
    "Scale": bl.Scale("scaled_normal"), "NumericEmbedding": bl.NumericEmbedding(2, columns=3),
    "ParallelDense": bl.ParallelDense(4, 3, "tanh"), "Parametric": bl.Parametric("mish", 0.7),
}  # fmt: skip


def network(*layers: Any, **settings: Any) -> bl.Network:
    chain = layers or (bl.Dense(20, "tanh"), bl.Dense(3, "softmax"))
    net = bl.Network(chain, **{"inputs": 5, "loss": "squared_error", "seed": 4, **settings})
    trained = np.random.default_rng(8)  # as if it were: no shift is 0, no scale 1
    net.parameters.values[:] += trained.normal(0.0, 0.2, net.parameters.size)
    net.parameters.buffers[:] = trained.uniform(0.5, 2.0, net.parameters.buffers.size)
    return net


def agree(net: bl.Network, rows: Any) -> None:
    expected = net.predict(rows)
    found = net.compile().predict(rows)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    difference = np.abs(found.astype(np.float64) - expected).max()
    assert difference <= TOLERANCE[net.dtype.name] * np.abs(expected).max()


# ── the same outputs ───────────────────────────────────────────────────────────────────────────────────────
def test_every_layer_is_in_the_table() -> None:
    assert set(BETWEEN) == set(LAYERS) - {"Dense", "Embedding"}  # which is the first: tests/test_embedding.py


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("activation", COMPILING)
def test_every_activation(activation: str, dtype: str) -> None:
    net = network(bl.Dense(7, activation, bias=False), bl.Dense(4, activation, bias_init=0.1), dtype=dtype)
    agree(net, X.astype(dtype))


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("kind", BETWEEN)
def test_every_layer(kind: str, dtype: str) -> None:
    layer = BETWEEN[kind]
    net = network(layer, bl.Dense(6, "tanh"), layer, bl.Dense(40), layer, layer, bl.Dense(2), dtype=dtype)
    agree(net, X.astype(dtype))


@pytest.mark.parametrize("widths", [(1, 1), (784, 10), (3, 600, 2), (300, 17, 33)])
def test_narrow_and_wide(widths: tuple[int, ...]) -> None:
    rows = rng.normal(size=(270, widths[0])).astype(np.float32)
    agree(network(*(bl.Dense(units, "relu") for units in widths[1:]), inputs=widths[0]), rows)


ROWS: dict[str, Callable[[], Any]] = {
    "one": lambda: X[:1].astype(np.float32),
    "float64": lambda: X,
    "float16": lambda: X.astype(np.float16),
    "whole numbers": lambda: np.arange(20).reshape(4, 5),
    "big-endian": lambda: X.astype(">f4"),
    "bytes": lambda: rng.integers(0, 256, (9, 5), np.uint8),
    "truth values": lambda: X > 0.0,
    "objects": lambda: X[:3].astype(object),
    "a list": lambda: X[:3].tolist(),
    "by columns": lambda: np.asfortranarray(X.astype(np.float32)),
    "every other row": lambda: X.astype(np.float32)[::2],
    "every other column": lambda: np.repeat(X, 2, axis=1).astype(np.float32)[:, ::2],
    "backwards": lambda: X.astype(np.float32)[::-1],
    "one row of many columns": lambda: np.repeat(X, 2, axis=1).astype(np.float32)[:1, ::2],
    "read-only": lambda: np.frombuffer(X.astype(np.float32).tobytes(), np.float32).reshape(X.shape),
    "not aligned": lambda: np.frombuffer(b"x" + X.astype(np.float32).tobytes(), np.float32, offset=1).reshape(X.shape),
    "many": lambda: rng.normal(size=(5000, 5)).astype(np.float32),
}


@pytest.mark.parametrize("scale", [1.0, 1 / 255])
@pytest.mark.parametrize("kind", ROWS)
def test_every_form_of_rows(kind: str, scale: float) -> None:
    agree(network(input_scale=scale), ROWS[kind]())


def test_a_number_too_large_for_float32_may_end_in_a_limit() -> None:
    agree(network(bl.Dense(3, "tanh", weight_init=1.0), bl.Dense(2)), np.array([[1e300, 0, 0, 0, 0], [1, 2, 3, 4, 5]]))


# ── the same refusals ──────────────────────────────────────────────────────────────────────────────────────
REFUSED: dict[str, Any] = {
    "no rows": np.empty((0, 5), np.float32),
    "one axis": np.ones(5, np.float32),
    "three axes": np.ones((1, 1, 5), np.float32),
    "columns": np.ones((2, 4), np.float32),
    "NaN": np.float32([[1, 2, 3, 4, 5], [1, 2, np.nan, 4, 5]]),
    "infinity": np.float32([[1, 2, 3, 4, -np.inf]]),
    "NaN in many rows": np.where(np.arange(50_000).reshape(-1, 5) == 44_444, np.nan, 1.0).astype(np.float32),
    "NaN of another type": np.where(np.arange(50_000).reshape(-1, 5) == 44_444, np.nan, 1.0),
    "text": np.array([["a"] * 5]),
    "lengths": [[1.0, 2.0], [1.0]],
    "outputs": np.full((3, 5), 3e38, np.float32),
    "outputs of many rows": np.where(np.arange(50_000).reshape(-1, 5) > 44_444, 3e38, 1.0).astype(np.float32),
    "beyond float32": np.full((3, 5), 1e300),
}


@pytest.mark.parametrize("what", REFUSED)
def test_the_same_errors(what: str) -> None:
    net = network(bl.Dense(4, weight_init=2.0), bl.Dense(2))
    with pytest.raises(bl.BacklitError) as expected:
        net.predict(REFUSED[what])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(bl.BacklitError, match=f"^{re.escape(str(expected.value))}$") as found:
            net.compile().predict(REFUSED[what])
    assert found.type is expected.type


# ── the same bits, however rows are divided ────────────────────────────────────────────────────────────────
def in_pieces(monkeypatch: pytest.MonkeyPatch, *layers: Any, n_threads: int | None = None) -> bl.Network:
    """A network of which a thread takes 64 rows at once."""
    monkeypatch.setattr(forward, "LEAST_WORK", 1)
    monkeypatch.setattr(forward, "MOST", 64)
    return network(*layers).compile(n_threads=n_threads)


def test_any_number_of_threads_and_any_company_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = [bl.Dense(33, "gelu"), bl.BatchNorm(), bl.LayerNorm(), bl.Dense(3, "softmax")]
    rows = rng.normal(size=(1_003, 5)).astype(np.float32)
    nets = [in_pieces(monkeypatch, *layers, n_threads=count) for count in (1, 2, 5)]
    whole = nets[0].predict(rows)
    for net in nets[1:]:
        np.testing.assert_array_equal(net.predict(rows), whole)
        np.testing.assert_array_equal(net.predict(rows.astype(np.float64)), whole)
    for size in (1, 7, 17, 100):
        np.testing.assert_array_equal(nets[0].predict(rows[500 : 500 + size]), whole[500 : 500 + size])


def test_no_rows_are_worked_on_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    net, starts = in_pieces(monkeypatch, n_threads=3), []
    fill = net._compiled._run
    net._compiled._run = lambda rows, *rest: starts.append(rows[0, 0]) or fill(rows, *rest)
    net.predict(np.arange(5_000, dtype=np.float32).reshape(1_000, 5))
    assert sorted(starts) == list(range(0, 5_000, 5 * 64))


def used(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many threads each call of many rows takes."""
    counts: list[int] = []
    together = forward.run_together
    monkeypatch.setattr(forward, "run_together", lambda run, count: counts.append(count) or together(run, count))
    return counts


def test_how_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    counts, rows = used(monkeypatch), rng.normal(size=(1_000, 5)).astype(np.float32)
    network().compile(n_threads=2).predict(rows)  # too little work to be shared
    assert counts == []
    monkeypatch.setenv("BACKLIT_NUM_THREADS", "3")
    for n_threads in (None, 2, 1):
        in_pieces(monkeypatch, n_threads=n_threads).predict(rows)
    assert counts == [3, 2, 1]
    with pytest.raises(ConfigurationError, match="n_threads must be a whole number of at least 1, received 0"):
        network().compile(n_threads=0)


def test_an_error_in_one_thread_ends_all(monkeypatch: pytest.MonkeyPatch) -> None:
    net = in_pieces(monkeypatch, n_threads=2)
    calls: list[int] = []

    def interrupted(*arguments: Any) -> int:
        calls.append(0)
        if len(calls) == 3:
            raise KeyboardInterrupt
        time.sleep(0.001)
        return 0

    net._compiled._run = interrupted
    with pytest.raises(KeyboardInterrupt):
        net.predict(np.zeros((6_400, 5), np.float32))
    assert len(calls) < 20  # of 100


def test_eight_threads_predict_with_one_network_at_once() -> None:
    net = network(bl.Dense(64, "relu"), bl.LayerNorm(), bl.Dense(3, "softmax")).compile()
    pieces = [rng.normal(size=(1 + 400 * k, 5)).astype(np.float32) for k in range(8)]
    alone = [net.predict(rows) for rows in pieces]
    with ThreadPoolExecutor(8) as threads:
        for _ in range(20):
            for found, expected in zip(threads.map(net.predict, pieces), alone, strict=True):
                np.testing.assert_array_equal(found, expected)


def test_python_goes_on_while_machine_code_runs() -> None:
    net = network(bl.Dense(2_000, "tanh"), bl.Dense(2_000, "tanh"), bl.Dense(1)).compile(n_threads=1)
    rows, begins, meanwhile = np.ones((200, 5), np.float32), threading.Event(), 0
    running = threading.Thread(target=lambda: (begins.set(), net.predict(rows)))
    running.start()
    begins.wait()
    while running.is_alive():
        time.sleep(0)
        meanwhile += 1
    assert meanwhile > 3


# ── what it is, and what it is not ─────────────────────────────────────────────────────────────────────────
def test_it_returns_the_network_and_sees_its_parameters_change() -> None:
    net = network(bl.Dense(6, "tanh"), bl.BatchNorm(), bl.Dense(1))
    assert not net.compiled
    assert net.compile() is net
    assert net.compiled
    before = net.predict(X)
    bl.fit(net, X, X[:, 0], epochs=2, progress=False)
    assert np.abs(net.predict(X) - before).max() > 1e-3
    agree(copy.deepcopy(net), X)
    np.testing.assert_array_equal(net.predict(X), copy.deepcopy(net).compile().predict(X))


def test_copies_pickles_and_files_are_not_compiled(tmp_path: Path) -> None:
    net = network().compile()
    bl.save(net, tmp_path / "net")
    others = [copy.copy(net), copy.deepcopy(net), pickle.loads(pickle.dumps(net)), net.astype("float64")]
    others.append(bl.load(tmp_path / "net"))
    for other in others:
        assert not other.compiled
    np.testing.assert_array_equal(others[-1].predict(X), network().predict(X))


def test_a_network_predicts_with_the_readable_pass_unless_it_is_told_to() -> None:
    net = network()
    bl.fit(net, X, X[:, :3], epochs=1, engine="compiled", progress=False)
    assert not net.compiled


def test_without_numba_it_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_file, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"compile\(\) needs numba.*pip install 'backlit\[fast\]'"):
        network().compile()


class Noise(bl.Layer):
    """Random in training, with a kernel for that alone."""

    random = True
    kernel = Kernel(lambda *arguments: None, lambda *arguments: None)


class Silent(bl.Layer):
    """Nothing in inference, and no kernel."""

    same_in_inference = True

    def forward(self, work: Any, i: int, moment: Any) -> None:
        if moment is not None:
            work.a[i + 1][...] = work.a[i]


def test_what_has_no_kernel_is_refused() -> None:
    own = bl.Dense(4, (np.sin, np.cos))
    for layer, reason in (
        (own, "the activation 'sin' has no kernel"),
        (bl.Layer(), r"the layer Layer\(\) has no kernel"),
        (Noise(), r"the kernel of the layer Noise\(\) has no `inference`"),
    ):
        with pytest.raises(ConfigurationError, match=f"cannot be compiled: {reason}"):
            network(layer, bl.Dense(2)).compile()


def test_a_layer_without_a_kernel_that_does_nothing_in_inference_is_left_out() -> None:
    agree(network(Silent(), bl.Dense(4, "tanh"), Silent(), bl.Dense(2)), X)


@pytest.mark.torture
def test_an_activation_of_ones_own_with_a_kernel() -> None:
    own = replace(ACTIVATIONS["tanh"], name="mine", number=(lambda z: z * z, lambda z, a: z + z))
    own = replace(own, f=lambda z, out: np.multiply(z, z, out=out), slope=lambda z, a, out, s: None)
    agree(network(bl.Dense(4, own), bl.Dense(2)), X)


def _doubled(chain: Any, i: int, a_in: Any, a: Any, w: Any, step: int, activate: Any, start: int, stop: int) -> None:
    twice = np.ones(a.shape[1], a.dtype) + w[0]  # arrays of its own, which ours never has
    for row in range(start, stop):
        for j in range(a.shape[1]):
            a[row, j] = a_in[row, a.shape[1] - 1 - j] * twice[j]


class Doubled(bl.Layer):
    """Twice what it takes, backwards; its kernel makes arrays."""

    kernel = Kernel(_doubled, lambda *arguments: None)

    def forward(self, work: Any, i: int, moment: Any) -> None:
        np.multiply(work.a[i][:, ::-1], 2.0, out=work.a[i + 1])


@pytest.mark.torture
def test_a_kernel_of_ones_own_may_make_arrays() -> None:
    agree(network(bl.Dense(4, "tanh"), Doubled(), bl.Dense(2)), X)


# ── estimators ─────────────────────────────────────────────────────────────────────────────────────────────
def fitted(**settings: Any) -> bl.MLPClassifier:
    model = bl.MLPClassifier((8,), max_iter=2, random_state=0, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(X, np.arange(300) % 3)


def test_an_estimator_on_the_compiled_engine_predicts_with_machine_code(monkeypatch: pytest.MonkeyPatch) -> None:
    model = fitted(engine="compiled", n_threads=1)
    readable = copy.deepcopy(model).set_params(engine="reference")
    assert model.network_.compiled
    np.testing.assert_allclose(model.predict_proba(X), readable.predict_proba(X), rtol=1e-12)
    assert not readable.network_.compiled
    assert (model.predict(X) == readable.predict(X)).all()
    again = pickle.loads(pickle.dumps(model))
    assert not again.network_.compiled
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert again.network_.compiled


def test_an_estimator_refuses_the_same_rows_with_the_same_words() -> None:
    models = [fitted(engine="compiled"), fitted()]
    for model in models:
        model.network_ = model.network_.astype("float32")
    for bad in (np.full((2, 5), 1e300), np.full((2, 5), np.nan), np.ones((2, 4)), np.ones(5)):
        words = []
        for model in models:
            with pytest.raises(ValueError, match=r"\w") as caught:
                model.predict_proba(bad)
            words.append((caught.type, str(caught.value)))
        assert words[0] == words[1]


def test_sparse_rows_and_what_has_no_kernel_are_predicted_by_the_readable_pass() -> None:
    model = fitted(engine="compiled")
    expected = copy.deepcopy(model).set_params(engine="reference").predict_proba(csr_array(X))
    np.testing.assert_array_equal(model.predict_proba(csr_array(X)), expected)
    own = fitted(engine="compiled", activation=(np.sin, np.cos))
    assert not own.network_.compiled
    assert own.predict(X).shape == (300,)


def test_a_model_from_elsewhere_predicts_without_numba_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    model = pickle.loads(pickle.dumps(fitted(engine="compiled")))
    expected = copy.deepcopy(model).set_params(engine="reference").predict_proba(X)
    monkeypatch.setattr(hidden, "find_spec", lambda name: None)
    with pytest.warns(BacklitWarning, match="the reference engine runs instead .*: numba is not installed"):
        np.testing.assert_array_equal(model.predict_proba(X), expected)


def test_a_model_out_of_a_file_is_not_compiled_before_it_predicts(tmp_path: Path) -> None:
    model = fitted(engine="compiled")
    bl.save(model, tmp_path / "model")
    again = bl.load(tmp_path / "model")
    assert (again.engine, again.network_.compiled) == ("compiled", False)
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
