"""Training: the same bits every time, every row counted as it should be, and going on where it ended."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import threadpoolctl

import backlit as bl
from backlit.exceptions import DivergenceError
from backlit.training.divergence import BestParameters
from backlit.training.evaluation import evaluate
from backlit.training.threads import blas_limit, blas_threads

rng = np.random.default_rng(5)
X = rng.normal(size=(23, 4))
Y = np.column_stack([np.sin(X[:, 0]), X[:, 1] * X[:, 2]])
LABELS = rng.integers(0, 3, size=23)

OPTIMIZERS: dict[str, Callable[[], object]] = {
    "SGD": lambda: bl.SGD(0.1),
    "momentum": lambda: bl.SGD(0.05, momentum=0.9),
    "Nesterov": lambda: bl.SGD(0.05, momentum=0.9, nesterov=True),
    "RMSprop": lambda: bl.RMSprop(0.01),
    "Adagrad": lambda: bl.Adagrad(0.05),
    "Adam": lambda: bl.Adam(bl.CosineDecay(0.02, epochs=5, warmup=1), clip_norm=1.0),
    "AdamW": lambda: bl.AdamW(0.01),
}
each_optimizer = pytest.mark.parametrize("name", OPTIMIZERS)


def network(*, dropout: bool = True, dtype: str = "float32", **settings: object) -> bl.Network:
    layers = [bl.Dense(6, "tanh"), *([bl.Dropout(0.3)] if dropout else []), bl.Dense(2)]
    return bl.Network(layers, inputs=4, dtype=dtype, l2=0.01, seed=9, **settings)


def fit(net: bl.Network, X: object = X, y: object = Y, **settings: object) -> bl.History:
    return bl.fit(net, X, y, **{"epochs": 2, "batch_size": 5, "progress": False, **settings})


# ── the same bits ──────────────────────────────────────────────────────────────────────────────────────────
@each_optimizer
def test_the_same_seed_gives_the_same_bits(name: str) -> None:
    first, second = network(), network()
    one, two = fit(first, optimizer=OPTIMIZERS[name]()), fit(second, optimizer=OPTIMIZERS[name]())
    np.testing.assert_array_equal(first.parameters.values, second.parameters.values)
    assert one["loss"] == two["loss"]


def test_the_same_seed_gives_the_same_bits_in_two_processes() -> None:
    code = """
import numpy as np, backlit as bl
X = np.random.default_rng(0).normal(size=(50, 4))
net = bl.Network([bl.Dense(8, "gelu"), bl.Dropout(0.5), bl.Dense(3, "softmax")], inputs=4, loss="cross_entropy", seed=4)
bl.fit(net, X, np.arange(50) % 3, epochs=3, batch_size=7, optimizer=bl.Adam(0.01), progress=False)
print(net.parameters.values.tobytes().hex())
"""
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout for _ in range(2)]
    assert len(runs[0]) > 100
    assert runs[0] == runs[1]


def test_another_seed_gives_other_bits() -> None:
    layers = [bl.Dense(6, "tanh", weight_init=0.1), bl.Dense(2)]
    nets = [bl.Network(layers, inputs=4, seed=seed) for seed in (0, 1)]
    nets[1].parameters.values[:] = nets[0].parameters.values  # so that only the order of the rows is another
    for net in nets:
        fit(net)
    assert (nets[0].parameters.values != nets[1].parameters.values).any()


# ── going on where it ended ────────────────────────────────────────────────────────────────────────────────
@each_optimizer
def test_two_epochs_and_three_equal_five(name: str) -> None:
    whole, parts = network(), network()
    unbroken = fit(whole, epochs=5, optimizer=OPTIMIZERS[name](), validation=(X, Y))
    first = fit(parts, epochs=2, optimizer=OPTIMIZERS[name](), validation=(X, Y))
    second = fit(parts, epochs=3, optimizer=OPTIMIZERS[name](), validation=(X, Y), resume=first)
    np.testing.assert_array_equal(parts.parameters.values, whole.parameters.values)
    assert first.epochs == 2
    for column in ("loss", "val_loss", "learning_rate", "batch_loss_min"):
        assert second[column] == unbroken[column]


def test_without_resume_a_second_fit_starts_anew() -> None:
    whole, parts = network(), network()
    fit(whole, epochs=2, optimizer=bl.Adam(0.01))
    fit(parts, epochs=1, optimizer=bl.Adam(0.01))
    fit(parts, epochs=1, optimizer=bl.Adam(0.01))
    assert (whole.parameters.values != parts.parameters.values).any()


# ── batches ────────────────────────────────────────────────────────────────────────────────────────────────
def test_the_last_partial_batch_is_a_step() -> None:
    history = fit(network(), epochs=1, batch_size=5)  # 23 rows: 5 + 5 + 5 + 5 + 3
    assert history.state is not None
    assert history.state.step == 5


def test_the_last_partial_batch_is_trained() -> None:
    net = bl.Network([bl.Dense(1, weight_init=0.0, bias=False)], inputs=3, dtype="float64")
    # each row moves a weight of its own: two rows in the first batch, one in the second
    fit(net, np.eye(3), [1.0, 1.0, 1.0], epochs=1, batch_size=2, optimizer=bl.SGD(0.5), shuffle=False)
    np.testing.assert_array_equal(net.layers[0].weight[:, 0], [0.25, 0.25, 0.5])


def test_every_row_is_seen_once_in_an_epoch_in_an_order_of_its_own() -> None:
    seen: list[np.ndarray] = []

    class Source:
        shape = (23, 4)

        def fetch(self, rows: np.ndarray, out: np.ndarray, *, epoch: int) -> None:
            seen.append(np.array([epoch, *rows]))
            out[:] = X[rows]

    fit(network(), Source(), epochs=2, batch_size=5)
    orders = [np.concatenate([batch[1:] for batch in seen if batch[0] == epoch][:5]) for epoch in (0, 1)]
    assert [sorted(order.tolist()) for order in orders] == [list(range(23))] * 2
    assert (orders[0] != orders[1]).any()
    assert (orders[0] != np.arange(23)).any()


def test_without_shuffle_the_rows_keep_their_order() -> None:
    shuffled, kept = network(dropout=False), network(dropout=False)
    fit(shuffled, epochs=1)
    fit(kept, epochs=1, shuffle=False)
    assert (shuffled.parameters.values != kept.parameters.values).any()
    again = network(dropout=False)
    for start in range(0, 23, 5):
        fit(again, X[start : start + 5], Y[start : start + 5], epochs=1, batch_size=None)
    np.testing.assert_allclose(again.parameters.values, kept.parameters.values, rtol=1e-6)


@pytest.mark.parametrize("batch_size", [23, 24, 10_000, None])
def test_a_batch_of_everything(batch_size: int | None) -> None:
    net, stepped = network(dropout=False, dtype="float64"), network(dropout=False, dtype="float64")
    fit(net, epochs=3, batch_size=batch_size, optimizer=bl.SGD(0.1))
    for _ in range(3):
        stepped.parameters.values[:] -= 0.1 * stepped.gradient(X, Y)
    np.testing.assert_allclose(net.parameters.values, stepped.parameters.values, rtol=1e-13)


# ── sample weights ─────────────────────────────────────────────────────────────────────────────────────────
def test_weight_two_equals_a_doubled_row() -> None:
    weighted, doubled = network(dropout=False, dtype="float64"), network(dropout=False, dtype="float64")
    weight = np.where(np.arange(23) < 3, 2.0, 1.0)
    one = fit(weighted, sample_weight=weight, epochs=10, batch_size=None)
    two = fit(doubled, np.vstack([X[:3], X]), np.vstack([Y[:3], Y]), epochs=10, batch_size=None)
    np.testing.assert_allclose(weighted.parameters.values, doubled.parameters.values, rtol=1e-10)
    assert one["loss"] == pytest.approx(two["loss"], rel=1e-12)


def test_weight_zero_equals_a_row_left_out() -> None:
    weighted, without = network(dropout=False, dtype="float64"), network(dropout=False, dtype="float64")
    one = fit(weighted, sample_weight=(np.arange(23) >= 3).astype(float), epochs=10, batch_size=None)
    two = fit(without, X[3:], Y[3:], epochs=10, batch_size=None)
    np.testing.assert_allclose(weighted.parameters.values, without.parameters.values, rtol=1e-10)
    assert one["loss"] == pytest.approx(two["loss"], rel=1e-12)


def test_a_batch_in_which_no_row_counts_teaches_nothing() -> None:
    """The first batch of three; its loss is nobody's, and does not enter the history."""
    net = bl.Network([bl.Dense(1, weight_init=0.0, bias=False)], inputs=1, dtype="float64")
    settings = {"epochs": 1, "batch_size": 1, "shuffle": False, "optimizer": bl.SGD(0.1)}
    history = fit(net, [[7.0], [1.0], [1.0]], [100.0, 3.0, 3.0], sample_weight=[0.0, 1.0, 1.0], **settings)
    # w: 0 → 0.1 · 3 = 0.3 → 0.3 + 0.1 · 2.7 = 0.57, with losses 4.5 and 3.645
    assert net.layers[0].weight[0, 0] == pytest.approx(0.57, rel=1e-14)
    assert history["loss"] == pytest.approx([(4.5 + 3.645) / 2])
    assert history["batch_loss_min"] == pytest.approx([3.645])


# ── history ────────────────────────────────────────────────────────────────────────────────────────────────
def test_the_history_is_what_a_loop_by_hand_sees() -> None:
    net, by_hand = network(dropout=False, dtype="float64"), network(dropout=False, dtype="float64")
    history = fit(net, epochs=3, batch_size=5, shuffle=False, optimizer=bl.SGD(0.1), validation=(X[:7], Y[:7]))
    for epoch in range(3):
        losses, rows = [], []
        for start in range(0, 23, 5):
            part = slice(start, start + 5)
            losses.append(by_hand.loss(X[part], Y[part]))
            rows.append(len(X[part]))
            by_hand.parameters.values[:] -= 0.1 * by_hand.gradient(X[part], Y[part])
        assert history["loss"][epoch] == pytest.approx(np.average(losses, weights=rows), rel=1e-12)
        assert history["batch_loss_min"][epoch] == pytest.approx(min(losses), rel=1e-12)
        assert history["batch_loss_max"][epoch] == pytest.approx(max(losses), rel=1e-12)
        assert history["val_loss"][epoch] == pytest.approx(by_hand.loss(X[:7], Y[:7]), rel=1e-12)
    assert history.epochs == 3
    assert history["learning_rate"] == [0.1] * 3
    assert all(seconds > 0 for seconds in history["seconds"])
    assert history.last()["loss"] == history["loss"][-1]
    assert {len(column) for column in history.values()} == {3}


def test_validation_metrics_of_a_regression() -> None:
    net = network(dropout=False, dtype="float64")
    history = fit(net, validation=(X, Y))
    a = net.forward(X)
    r2 = 1 - ((a - Y) ** 2).sum(axis=0) / ((Y - Y.mean(axis=0)) ** 2).sum(axis=0)
    assert history["val_r2"][-1] == pytest.approx(r2.mean(), rel=1e-12)
    assert history["val_rmse"][-1] == pytest.approx(np.sqrt(((a - Y) ** 2).mean(axis=0)).mean(), rel=1e-12)
    assert "val_accuracy" not in history


def test_r2_of_a_target_without_spread() -> None:
    """As in scikit-learn: 1 for a perfect prediction, else 0."""
    net = bl.Network([bl.Dense(1, weight_init=0.0, bias_init=3.0)], inputs=1, dtype="float64")
    flat, other = np.full((4, 1), 3.0), np.full((4, 1), 2.0)
    assert evaluate(net, X[:4, :1], flat) == {"loss": 0.0, "r2": 1.0, "rmse": 0.0}
    assert evaluate(net, X[:4, :1], other) == {"loss": 0.5, "r2": 0.0, "rmse": 1.0}


@pytest.mark.parametrize("weight", [None, np.arange(23.0)], ids=["", "weighted"])
def test_validation_metrics_of_a_classification(weight: np.ndarray | None) -> None:
    net = bl.Network([bl.Dense(3, "softmax")], inputs=4, loss="cross_entropy", dtype="float64")
    validation = (X, LABELS) if weight is None else (X, LABELS, weight)
    history = fit(net, X, LABELS, validation=validation)
    right = net.forward(X).argmax(axis=1) == LABELS
    assert history["val_accuracy"][-1] == pytest.approx(np.average(right, weights=weight), rel=1e-12)
    assert "val_r2" not in history


# ── what data may look like ────────────────────────────────────────────────────────────────────────────────
def test_bytes_with_an_input_scale_equal_numbers_scaled_before() -> None:
    images = np.random.default_rng(0).integers(0, 256, size=(23, 4), dtype=np.uint8)
    kept = images.copy()
    scaled = images.astype(np.float32) * np.float32(1 / 255)
    raw, ready = network(input_scale=1 / 255), network()
    fit(raw, images, epochs=3)
    fit(ready, scaled, epochs=3)
    np.testing.assert_array_equal(raw.parameters.values, ready.parameters.values)
    np.testing.assert_array_equal(raw.forward(images), ready.forward(scaled))
    assert raw.loss(images, Y) == ready.loss(scaled, Y)
    np.testing.assert_array_equal(images, kept)


@pytest.mark.parametrize("batch_size", [5, None])
def test_float64_rows_into_a_float32_network(batch_size: int | None) -> None:
    wide, narrow = network(), network()
    fit(wide, X, batch_size=batch_size)
    fit(narrow, X.astype(np.float32), batch_size=batch_size)
    np.testing.assert_array_equal(wide.parameters.values, narrow.parameters.values)
    assert wide.parameters.values.dtype == np.float32


@pytest.mark.parametrize("batch_size", [5, 23])
def test_a_source_equals_its_array(batch_size: int) -> None:
    class Source:
        shape = (23, 4)

        def fetch(self, rows: np.ndarray, out: np.ndarray, *, epoch: int) -> None:
            out[:] = X[rows]

    made, held = network(), network()
    one = fit(made, Source(), epochs=3, batch_size=batch_size)
    two = fit(held, X, epochs=3, batch_size=batch_size)
    np.testing.assert_array_equal(made.parameters.values, held.parameters.values)
    assert one["loss"] == two["loss"]


def test_training_leaves_the_data_as_they_were() -> None:
    x, y, weight = X.copy(), Y.copy(), np.ones(23)
    for batch_size in (5, None):
        fit(network(dtype="float64"), x, y, batch_size=batch_size, sample_weight=weight)
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(y, Y)


def test_labels_are_remembered_in_the_order_of_the_outputs() -> None:
    names = np.array(["cat", "ant", "bee"])[LABELS]
    net = bl.Network([bl.Dense(3, "softmax")], inputs=4, loss="cross_entropy")
    fit(net, X, names)
    assert net.classes.tolist() == ["ant", "bee", "cat"]
    other = bl.Network([bl.Dense(3, "softmax")], inputs=4, loss="cross_entropy")
    fit(other, X, names.astype(object))  # as a column of a table has it
    np.testing.assert_array_equal(net.parameters.values, other.parameters.values)
    assert other.loss(X, names) == net.loss(X, names.tolist())


# ── learning by nudging ────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("gradient", "tolerance"),
    [
        ("finite_difference", 1e-3),
        ("central_difference", 1e-7),
        (bl.FiniteDifference(1e-6), 1e-5),
        (bl.FiniteDifference(1e-5, "central"), 1e-8),
    ],
    ids=["forward", "central", "smaller nudge", "smaller central nudge"],
)
def test_nudging_follows_back_propagation(gradient: object, tolerance: float) -> None:
    nudged, backprop = network(dtype="float64"), network(dtype="float64")
    weight = np.where(np.arange(23) % 5 == 0, 0.0, 1.5)
    one = fit(nudged, gradient=gradient, epochs=3, optimizer=bl.SGD(0.1), sample_weight=weight)
    two = fit(backprop, epochs=3, optimizer=bl.SGD(0.1), sample_weight=weight)
    np.testing.assert_allclose(nudged.parameters.values, backprop.parameters.values, atol=tolerance)
    assert (nudged.parameters.values != backprop.parameters.values).any()
    assert one["loss"] == pytest.approx(two["loss"], abs=10 * tolerance)


@pytest.mark.parametrize(
    ("epochs", "w", "b"),
    [(1, 1.556179450000008, 0.02610564999995374), (10, 1.8721439455665634, 0.12887176806970357)],
)
def test_golden_line_learnt_by_nudging(epochs: int, w: float, b: float) -> None:
    net = bl.Network([bl.Dense(1, weight_init=1.477867)], inputs=1, loss="mean_squared_error", dtype="float64")
    settings = {"epochs": epochs, "batch_size": None, "optimizer": bl.SGD(0.01), "gradient": "finite_difference"}
    fit(net, [[1.0], [2.0], [3.0], [4.0]], [2.0, 4.0, 6.0, 8.0], **settings)
    np.testing.assert_allclose(net.parameters.values, [w, b], rtol=1e-7)


def test_golden_two_two_one_keeps_its_symmetry() -> None:
    layers = [bl.Dense(2, weight_init=1.0), bl.Dense(1, weight_init=1.0)]
    net = bl.Network(layers, inputs=2, loss="mean_squared_error", dtype="float64")
    passed = []

    class Watch(bl.Callback):
        def on_epoch_end(self, training: object) -> None:
            passed.append([net.parameters.view("0.weight").tolist(), net.parameters.view("1.weight").tolist()])

    history = fit(net, [[1.0, 1.0]], [1.0], epochs=10, optimizer=bl.SGD(0.1), callbacks=[Watch()])
    for (hidden, output), (w, v) in zip(
        [passed[0], passed[9]], [(0.4, -0.2), (0.1806514866890674, -0.2842219693551587)], strict=True
    ):
        np.testing.assert_allclose(hidden, w, rtol=1e-9)
        np.testing.assert_allclose(output, v, rtol=1e-9)
    assert history["loss"][0] == 9.0
    assert history["loss"][9] == pytest.approx(0.016430631253940065, rel=1e-9)


def test_the_default_optimiser_is_gradient_descent_at_a_hundredth() -> None:
    plain, named, default = network(), network(), network()
    fit(plain)
    fit(named, optimizer=bl.SGD(0.01))
    fit(default, optimizer=bl.SGD())
    np.testing.assert_array_equal(plain.parameters.values, named.parameters.values)
    np.testing.assert_array_equal(default.parameters.values, named.parameters.values)


# ── threads ────────────────────────────────────────────────────────────────────────────────────────────────
def test_overlapping_runs_in_threads_put_the_threads_of_blas_back() -> None:
    """A begins, B begins, A ends, B ends: only then is it the process's own number again."""
    before = blas_threads_now()
    a, b = blas_threads(network(), 5), blas_threads(network(), 5)
    with contextlib.ExitStack() as outer, threadpoolctl.threadpool_limits(2, user_api="blas"):
        outer.enter_context(a)
        inner = contextlib.ExitStack()
        inner.enter_context(b)
        assert blas_threads_now() == {1}
        outer.close()
        assert blas_threads_now() == {1}
        inner.close()
        assert blas_threads_now() == {2}
    assert blas_threads_now() == before


def test_a_first_layer_that_takes_sparse_rows_has_no_product_of_blas() -> None:
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        wide, deep = (
            bl.Network([*layers, bl.Dense(1)], inputs=3000) for layers in ([bl.Dense(9)], [bl.Dense(3000)] * 2)
        )
        for net, sparse, threads in ((wide, False, 2), (wide, True, 1), (deep, True, 2)):
            with blas_threads(net, 1000, sparse=sparse):
                assert blas_threads_now() == {threads}
        with blas_threads(bl.Network([bl.Dense(9)], inputs=3000), 1000, sparse=True):
            assert blas_threads_now() == {1}


def test_overlapping_limits_of_estimators_put_the_threads_of_blas_back() -> None:
    before = blas_threads_now()
    with threadpoolctl.threadpool_limits(4, user_api="blas"):
        first, second = contextlib.ExitStack(), contextlib.ExitStack()
        first.enter_context(blas_limit(2))
        second.enter_context(blas_limit(3))
        assert blas_threads_now() == {2}
        first.close()
        assert blas_threads_now() == {3}
        second.close()
        assert blas_threads_now() == {4}
    assert blas_threads_now() == before


def blas_threads_now() -> set[int]:
    return {info["num_threads"] for info in threadpoolctl.threadpool_info() if info["user_api"] == "blas"}


# ── numbers near the ends of their range ───────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("exponent", [-25, 0, 15, 19])
def test_scores_are_right_however_large_the_targets_are(exponent: int, dtype: str) -> None:
    net = bl.Network([bl.Dense(1, weight_init=0.0, bias_init=10.0**exponent)], inputs=4, dtype=dtype)
    target = 10.0**exponent * (1.0 + np.array([[-0.1], [0.2], [0.3], [0.1]]))
    scores = evaluate(net, X[:4], target.astype(dtype))
    # errors −.1, .2, .3, .1 about their mean .125: 1 − .15 / .0875
    assert scores["r2"] == pytest.approx(1.0 - 0.15 / 0.0875, rel=1e-5)
    assert scores["rmse"] == pytest.approx(10.0**exponent * np.sqrt(0.0375), rel=1e-5)


def test_scores_keep_the_digits_of_targets_far_from_zero() -> None:
    net = bl.Network([bl.Dense(1, weight_init=0.0, bias_init=1e7)], inputs=4)
    scores = evaluate(net, X[:4], 1e7 + np.arange(4, dtype=np.float32)[:, None])  # float32 has no 1e7 + 1.5
    assert scores["r2"] == pytest.approx(1.0 - 14.0 / 5.0, rel=1e-12)


@pytest.mark.parametrize("engine", ["reference", pytest.param("compiled", marks=pytest.mark.xdist_group("compiled"))])
@pytest.mark.parametrize(("dtype", "scale"), [("float32", 1e20), ("float64", 1e200)])
def test_a_first_loss_that_is_not_finite_ends_training(dtype: str, scale: float, engine: str) -> None:
    net = network(dropout=False, dtype=dtype)
    before = net.parameters.values.copy()
    with pytest.raises(DivergenceError, match=r"in epoch 1, step 1: the loss became inf") as caught:
        fit(net, y=Y * scale, optimizer=bl.Adam(), engine=engine)
    assert (caught.value.epoch, caught.value.step) == (1, 1)
    np.testing.assert_array_equal(net.parameters.values, before)


@pytest.mark.parametrize(
    "outliers", [([17], 1e7), ([5, 17, 400, 600, 999], 99999.0)], ids=["one row", "half a percent"]
)
def test_outliers_in_x_are_no_divergence(outliers: tuple[list[int], float]) -> None:
    rows, value = outliers
    draws = np.random.default_rng(1).standard_normal((1000, 5))
    target = draws[:, 0] + 0.5 * draws[:, 1]
    draws[rows, 2] = value
    net = bl.Network([bl.Dense(30, "relu"), bl.Dense(1)], inputs=5, seed=2)
    history = bl.fit(net, draws, target, epochs=100, batch_size=100, optimizer=bl.Adam(), progress=False)
    assert max(history["batch_loss_max"]) > 1e6
    others = np.setdiff1d(np.arange(1000), rows)
    residual = target[others] - net.predict(draws[others])[:, 0]
    assert 1.0 - residual.var() / target[others].var() > 0.9


def test_weights_too_small_for_their_dtype_count_as_none() -> None:
    weight = np.ones(23)
    weight[::2] = 1e-45
    net, other = network(), network()
    fit(net, sample_weight=weight)
    fit(other, sample_weight=np.where(weight == 1.0, 1.0, 0.0))
    np.testing.assert_array_equal(net.parameters.values, other.parameters.values)


def test_where_an_epoch_began_is_kept_until_its_loss_is_known() -> None:
    net = bl.Network([bl.Dense(1, weight_init=1.0)], inputs=1)
    weight, best = net.parameters.view("0.weight"), BestParameters(net, epoch=0)
    weight[:] = 2.0  # a callback, at the beginning
    best.begin_epoch(0)
    assert (best.start[0], best.values[0]) == (2.0, 2.0)
    weight[:] = 3.0
    best.note_training(9.0)
    best.begin_epoch(1)
    assert (best.start[0], best.values[0], best.epoch) == (3.0, 2.0, 0)
    weight[:] = 4.0
    best.note_training(5.0)  # the epoch began from 3.0
    assert (best.start[0], best.values[0], best.epoch) == (3.0, 3.0, 1)
    best.begin_epoch(2)
    best.note_training(7.0)
    assert (best.start[0], best.values[0], best.epoch) == (4.0, 3.0, 1)
    best.note(3, 1.0, net.parameters.state)
    assert (best.values[0], best.epoch) == (4.0, 3)
