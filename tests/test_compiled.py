"""The compiled engine in `fit`: when it is chosen, what it leaves behind, and what it keeps on disk."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

import backlit as bl
from backlit.estimators.rows import SparseRows
from backlit.exceptions import BacklitWarning, DivergenceError, MissingExtraError
from backlit.kinds.optimizers import initial_state
from backlit.training import choose
from backlit.training.job import Job
from backlit.training.reference import ReferenceEngine

pytest.importorskip("numba", reason="the compiled engine needs backlit[fast]")
from backlit.compiled import plan
from backlit.compiled.engine import CompiledEngine
from backlit.kinds import ACTIVATIONS

pytestmark = pytest.mark.xdist_group("compiled")

rng = np.random.default_rng(5)
X = rng.normal(size=(83, 4))
LABELS = rng.integers(0, 3, size=83)
WEIGHT = rng.uniform(size=83)


def network(**settings: Any) -> bl.Network:
    layers = [bl.Dense(6, "tanh"), bl.Dropout(0.2), bl.Dense(3, "softmax")]
    return bl.Network(layers, **{"inputs": 4, "loss": "cross_entropy", "seed": 9, **settings})


def fit(net: bl.Network, X: Any = X, y: Any = LABELS, **settings: Any) -> bl.History:
    defaults = {"epochs": 3, "batch_size": 8, "optimizer": bl.Adam(0.01), "engine": "compiled", "progress": False}
    return bl.fit(net, X, y, **{**defaults, **settings})


class EngineName(bl.Callback):
    def on_fit_begin(self, training: Any) -> None:
        self.name = training.engine


# ── the choice ─────────────────────────────────────────────────────────────────────────────────────────────
def job(rows: int = 83) -> Job:
    net, rule = network(), bl.Adam()
    Y = np.zeros((rows, 3), np.float32)
    state = initial_state(rule, net.parameters.size, net.dtype)
    return Job(net=net, X=np.zeros((rows, 4)), Y=Y, weight=None, optimizer=rule, state=state, batch_size=8)


def test_auto_leaves_small_work_to_the_reference() -> None:
    name = EngineName()
    fit(network(), engine="auto", callbacks=[name])
    assert name.name == "reference"


def test_auto_compiles_where_the_reference_would_take_long() -> None:
    assert choose.choose_engine("auto", job(), epochs=100).name == "reference"
    assert choose.choose_engine("auto", job(), epochs=100_000).name == "compiled"
    assert choose.choose_engine("auto", job(1_000_000), epochs=1).name == "compiled"


def test_without_numba_auto_is_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "find_spec", lambda name: None)
    assert choose.choose_engine("auto", job(), epochs=100_000).name == "reference"


def test_without_numba_compiled_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"the compiled engine needs numba.*pip install 'backlit\[fast\]'"):
        fit(network())


class Rows:
    """A source that makes its rows when asked."""

    shape = (83, 4)

    def fetch(self, rows: np.ndarray, out: np.ndarray, *, epoch: int) -> None:
        out[...] = X[rows]


class OwnRule(bl.Callback):
    """Not an optimiser of the library, though it does as SGD does."""

    learning_rate = 0.1
    clip_norm = None
    slots = ()

    def update(self, values: Any, gradient: Any, weight_mask: Any, state: Any, rate: float) -> None:
        values -= rate * gradient

    def __repr__(self) -> str:
        return "OwnRule()"


def own_squares(a: np.ndarray, y: np.ndarray) -> np.ndarray:
    return ((a - y) ** 2).sum(axis=1)


OBSTACLES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "activation": ({"layers": [bl.Dense(6, (np.sin, np.cos)), bl.Dense(3, "softmax")]}, {}, "activation 'sin'"),
    "loss": ({"loss": (own_squares, lambda a, y: 2 * (a - y))}, {}, "loss 'own_squares'"),
    "optimiser": ({}, {"optimizer": OwnRule()}, r"optimiser OwnRule\(\)"),
    "differences": ({}, {"gradient": "finite_difference"}, "finite differences"),
    "source": ({}, {"X": Rows()}, "makes its rows when asked"),
}


@pytest.mark.parametrize("what", OBSTACLES)
def test_what_cannot_be_compiled_runs_on_the_reference_and_says_so_once(what: str) -> None:
    described, settings, reason = OBSTACLES[what]
    layers = described.get("layers", [bl.Dense(6, "tanh"), bl.Dropout(0.2), bl.Dense(3, "softmax")])
    loss = described.get("loss", "cross_entropy")
    nets = [bl.Network(layers, inputs=4, loss=loss, seed=9) for _ in range(2)]
    with pytest.warns(BacklitWarning, match=f"the reference engine runs instead.*{reason}") as caught:
        fit(nets[0], **settings)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(nets[1], **settings, engine="auto")
    np.testing.assert_array_equal(nets[0].parameters.values, nets[1].parameters.values)


def test_importing_backlit_does_not_import_numba() -> None:
    code = "import sys, backlit; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_numba_looks_for_blas_when_it_is_called_for_and_not_before() -> None:
    code = (
        "import sys, numba, numpy as np, backlit.compiled.engine\n"
        "called = numba.njit(lambda x: x + 1.0)(1.0)\n"
        "assert 'scipy.linalg' not in sys.modules\n"
        "assert numba.np.linalg.ensure_blas.__name__ == 'ensure_blas'\n"
        "product = numba.njit(lambda A, B: np.dot(A, B))(np.eye(2), np.ones((2, 2)))\n"
        "assert 'scipy.linalg' in sys.modules and (product == 1.0).all()"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ── what it leaves behind ──────────────────────────────────────────────────────────────────────────────────
def test_the_history_is_that_of_the_reference() -> None:
    one, other = network(), network()
    settings = {"validation": (X[:20], LABELS[:20]), "sample_weight": WEIGHT}
    expected, found = fit(one, engine="reference", **settings), fit(other, **settings)
    assert list(found) == list(expected)
    for name in set(expected) - {"seconds"}:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-5)
    np.testing.assert_allclose(found.state.slots, expected.state.slots, atol=1e-6)
    np.testing.assert_allclose(other.parameters.gradients, one.parameters.gradients, atol=1e-6)
    assert found.state.step == expected.state.step == 33


def test_it_is_called_by_its_name() -> None:
    name = EngineName()
    fit(network(), callbacks=[name])
    assert name.name == "compiled"


def test_two_epochs_and_three_are_five_to_the_bit() -> None:
    whole, parts = network(), network()
    fit(whole, epochs=5)
    fit(parts, epochs=3, resume=fit(parts, epochs=2))
    np.testing.assert_array_equal(parts.parameters.values, whole.parameters.values)


def test_the_pieces_of_an_epoch_do_not_show() -> None:
    whole, parts = job(), job()
    CompiledEngine().run_steps(whole, whole.order(0), 0, 0, 11)
    engine = CompiledEngine()
    for first, last in ((0, 1), (1, 4), (4, 4), (4, 11)):
        assert len(engine.run_steps(parts, parts.order(0), 0, first, last).losses) == last - first
    np.testing.assert_array_equal(parts.net.parameters.values, whole.net.parameters.values)


def test_early_stopping_stops_in_the_same_epoch() -> None:
    y = rng.permutation(LABELS)  # nothing to learn
    stopped = []
    for engine in ("reference", "compiled"):
        net = network(dtype="float64")
        callback = bl.EarlyStopping(patience=3)
        history = fit(net, epochs=100, validation=(X, y), engine=engine, callbacks=[callback])
        stopped.append((history.epochs, history.best_epoch, history.stopped))
    assert stopped[0] == stopped[1]
    assert stopped[0][0] < 100


@pytest.mark.filterwarnings("error")
def test_divergence_is_the_same_error() -> None:
    found = []
    for engine in ("reference", "compiled"):
        net = bl.Network([bl.Dense(8, "relu"), bl.Dense(1)], inputs=4, seed=2)
        with pytest.raises(DivergenceError) as raised:
            fit(net, X, X[:, 0] * X[:, 1], optimizer=bl.SGD(2.0), epochs=50, engine=engine)
        found.append((raised.value.epoch, raised.value.step, raised.value.layer, net.parameters.values.copy()))
    assert found[0][:3] == found[1][:3]
    np.testing.assert_allclose(found[0][3], found[1][3], rtol=1e-5)


@pytest.mark.parametrize("settings", [{}, {"l1": 0.01, "l2": 0.1}, {"optimizer": bl.Adam(0.01, clip_norm=0.01)}])
def test_a_step_that_is_not_taken_leaves_the_gradient_and_nothing_else(settings: dict[str, Any]) -> None:
    rule = settings.get("optimizer", bl.Adam(0.01))
    jobs = []
    for engine in (ReferenceEngine(), CompiledEngine()):
        net = network(**{name: value for name, value in settings.items() if name != "optimizer"})
        before = net.parameters.values.copy()
        # inputs so small that the limit, which looks at them, stays below the loss
        data, Y = 1e-4 * X, np.eye(3, dtype=np.float32)[LABELS]
        jobs.append(replace(job(), net=net, optimizer=rule, X=data, Y=Y, loss_limit=1e-3))
        found = engine.run_steps(jobs[-1], jobs[-1].order(0), 0, 0, 2)
        assert found.diverged
        assert len(found.losses) == 1
        np.testing.assert_array_equal(net.parameters.values, before)
        assert not jobs[-1].state.slots.any()
        assert jobs[-1].state.step == 0
    one, other = (each.net.parameters.gradients for each in jobs)
    np.testing.assert_allclose(other, one, atol=1e-6)
    assert np.abs(one).max() > 0.01


def test_batches_in_which_no_row_counts() -> None:
    weight = np.zeros(83)
    weight[:5] = 1.0
    nets = [network(l2=0.1), network(l2=0.1, dtype="float32")]
    for net, engine in zip(nets, ("reference", "compiled"), strict=True):
        fit(net, sample_weight=weight, engine=engine)
    np.testing.assert_allclose(nets[0].parameters.values, nets[1].parameters.values, atol=1e-6)


@pytest.mark.parametrize("kind", ["float64", "float32", "float16", "uint8", "int8", "int64", "bool", ">f4"])
@pytest.mark.parametrize("layout", ["rows", "columns", "every other"])
def test_inputs_of_any_type_and_layout(kind: str, layout: str) -> None:
    data = np.abs(10 * X).astype(kind)
    if layout == "columns":
        data = np.asfortranarray(data)
    elif layout == "every other":
        data = np.repeat(data, 2, axis=1)[:, ::2]
    nets = [network(input_scale=0.1) for _ in range(2)]
    for net, engine in zip(nets, ("reference", "compiled"), strict=True):
        fit(net, data, engine=engine)
    np.testing.assert_allclose(nets[0].parameters.values, nets[1].parameters.values, atol=1e-6)


def test_read_only_arrays_are_not_compiled_for_anew() -> None:
    from backlit.compiled.plan import everything
    from backlit.compiled.step import steps_for

    fit(network())
    run_steps: Any = steps_for(everything())
    known = len(run_steps.signatures)
    frozen = X.astype(np.float32), np.eye(3, dtype=np.float32)[LABELS], WEIGHT.astype(np.float32)
    for array in frozen:
        array.flags.writeable = False
    fit(network(), *frozen[:2], sample_weight=frozen[2])
    fit(network(), *frozen[:2], sample_weight=frozen[2], batch_size=None)
    assert len(run_steps.signatures) == known


def test_moments_that_fade_away_become_zero_instead_of_subnormal() -> None:
    data = X.astype(np.float32)
    data[8:, 0] = 0.0  # an input that is never active again after the first step
    net = bl.Network([bl.Dense(4, "relu"), bl.Dense(3, "softmax")], inputs=4, loss="cross_entropy")
    history = fit(net, data, epochs=200, shuffle=False, optimizer=bl.Adam(0.001, beta_2=0.9))
    fit(net, data[8:], LABELS[8:], epochs=200, shuffle=False, optimizer=bl.Adam(0.001, beta_2=0.9), resume=history)
    slots = np.abs(history.state.slots)
    assert not ((slots > 0) & (slots < np.finfo(np.float32).tiny)).any()
    assert slots.max() > 0


def test_a_batch_with_an_outlier_is_no_divergence() -> None:
    """Its loss is a billion times the first one; the step that the limit held back is taken once, on both engines."""
    data = np.ones((12, 1))
    data[7] = 1e6
    nets = []
    for engine in ("reference", "compiled"):
        net = bl.Network([bl.Dense(1, weight_init=1.0)], inputs=1, dtype="float64")
        history = bl.fit(
            net, data, np.ones(12), epochs=2, batch_size=1, shuffle=False, optimizer=bl.SGD(1e-14), engine=engine,
            progress=False,
        )  # fmt: skip
        assert history["batch_loss_max"][0] == pytest.approx(0.5 * (1e6 - 1) ** 2, rel=1e-6)
        assert history.state.step == 24
        nets.append(net)
    np.testing.assert_allclose(nets[1].parameters.values, nets[0].parameters.values, rtol=1e-12)


# ── what is compiled ───────────────────────────────────────────────────────────────────────────────────────
JOBS: dict[str, dict[str, Any]] = {
    "a pair": {},
    "penalised and clipped": {"l1": 0.01, "l2": 0.02, "optimizer": bl.SGD(0.05, momentum=0.5, clip_norm=0.1)},
    "no pair": {"loss": "squared_error", "optimizer": bl.Adagrad(0.02)},
}


@pytest.mark.parametrize(
    "name", [name if name == "a pair" else pytest.param(name, marks=pytest.mark.torture) for name in JOBS]
)
def test_what_a_job_needs_is_compiled_with_the_bits_of_what_knows_everything(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = dict(JOBS[name])
    optimizer = settings.pop("optimizer", bl.Adam(0.01))
    one, other = network(**settings), network(**settings)
    y = np.eye(3)[LABELS]
    expected = fit(one, y=y, optimizer=optimizer)
    monkeypatch.setattr(plan, "PLANS", [])
    found = fit(other, y=y, optimizer=optimizer)
    (needed,) = plan.PLANS
    assert needed is not plan.everything()
    assert [activation.name for activation in needed.activations] == ["tanh", "softmax"]
    assert needed.penalises == (one.l1 > 0)
    np.testing.assert_array_equal(other.parameters.values, one.parameters.values)
    assert found["loss"] == expected["loss"]


def test_a_plan_knows_the_jobs_of_a_smaller_one_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "PLANS", [])

    def of(**settings: Any) -> plan.Plan:
        optimizer = settings.pop("optimizer", bl.Adam())
        one = job()
        return plan.plan_of(replace(one, net=network(**settings), optimizer=optimizer))

    penalised = of(l2=0.1)
    assert of() is penalised
    clipped = of(optimizer=bl.Adam(clip_norm=1.0))
    assert clipped is not penalised
    assert of(l1=0.1, optimizer=bl.Adam(clip_norm=1.0)) not in (penalised, clipped)
    assert of(optimizer=bl.SGD()) is not penalised
    assert of(loss="squared_error") is not penalised  # the slope of softmax is needed
    sparse = plan.plan_of(replace(job(), X=SparseRows(csr_array(np.zeros((83, 4))))))
    assert sparse not in (penalised, clipped)
    assert len({known.key for known in plan.PLANS}) == len(plan.PLANS)


def test_the_order_of_layers_makes_no_other_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = []
    for first, second in (("relu", "tanh"), ("tanh", "relu")):
        monkeypatch.setattr(plan, "PLANS", [])
        layers = [bl.Dense(4, first), bl.Dense(4, second), bl.Dense(3, "softmax")]
        net = bl.Network(layers, inputs=4, loss="cross_entropy")
        keys.append(plan.plan_of(replace(job(), net=net)).key)
    assert keys[0] == keys[1]
    assert keys[0] is not None


def test_what_is_the_users_own_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "PLANS", [])
    own = replace(ACTIVATIONS["tanh"], name="mine")
    net = bl.Network([bl.Dense(4, own), bl.Dense(3, "softmax")], inputs=4, loss="cross_entropy")
    assert plan.plan_of(replace(job(), net=net)).key is None


# ── the cache ──────────────────────────────────────────────────────────────────────────────────────────────
TWO_KINDS = """
import sys
import numpy as np, backlit as bl
from backlit.compiled import plan, step
def trained(activation, loss, engine):
    net = bl.Network([bl.Dense(3, activation), bl.Dense(1)], inputs=4, loss=loss, dtype="float64")
    bl.fit(net, np.eye(4), [1.0, 2.0, 3.0, 4.0], epochs=3, optimizer=bl.SGD(0.1), engine=engine, progress=False)
    return net.parameters.values
for kinds in (("tanh", "squared_error"), ("softplus", "huber"))[: int(sys.argv[1])]:
    found = trained(*kinds, "compiled")
    stats = step.steps_for(list(plan.PLANS)[-1]).stats
    right = np.abs(found - trained(*kinds, "reference")).max() < 1e-12
    print(right, sum(stats.cache_hits.values()), sum(stats.cache_misses.values()), found.tobytes().hex())
"""


def test_functions_of_every_process_have_numbers_of_their_own() -> None:
    """Numba counts them from 1: what comes from the disk would then run in place of what is compiled."""
    code = (
        "import backlit.compiled.parts; from numba.core.bytecode import FunctionIdentity\n"
        "print(next(FunctionIdentity._unique_ids))"
    )
    numbers = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    }
    assert len(numbers) == 2


@pytest.mark.torture
def test_what_comes_from_the_disk_is_found_and_does_not_run_in_place_of_other_kinds(tmp_path: Path) -> None:
    """Both have functions of the same names, and Numba would number them alike in both processes."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    lines = []
    for count in ("1", "2"):
        command = [sys.executable, "-c", TWO_KINDS, count]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        lines.append([line.rsplit(" ", 1) for line in done.stdout.splitlines()])
    first, (again, other) = lines[0][0], lines[1]
    assert (first[0], again[0], other[0]) == ("True 0 1", "True 1 0", "True 0 1")
    assert first[1] == again[1]


def test_without_a_folder_to_write_to_it_compiles_and_says_so() -> None:
    code = """
import warnings
from numba.core import caching
caching.CacheImpl._locator_classes = []
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from backlit.compiled import plan, step
    run_steps = step.steps_for(plan.everything())
print(*(str(w.message) for w in caught), callable(run_steps))
"""
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "set NUMBA_CACHE_DIR" in output
    assert output.split()[-1] == "True"
