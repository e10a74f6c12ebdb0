"""The compiled engine equals the reference: the same start, order of rows and dropout masks give the same parameters.

The grid is activation × loss × optimiser × penalty × depth × data × dtype. The quick run takes cases in which every two
values of any two factors meet (pairwise testing); `make torture` takes them all.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import kinds
from backlit.kinds.activations import ACTIVATIONS
from backlit.kinds.losses import LOSSES, huber, quantile
from backlit.kinds.optimizers import OPTIMIZERS as ALL_OPTIMIZERS
from backlit.kinds.optimizers import initial_state
from backlit.training.job import Job, StepResults
from backlit.training.reference import ReferenceEngine

pytest.importorskip("numba", reason="the compiled engine needs backlit[fast]")
from backlit.compiled.engine import CompiledEngine

pytestmark = pytest.mark.xdist_group("compiled")

TOLERANCE = {"float32": 1e-5, "float64": 1e-11}  # of the largest parameter
ROWS, INPUTS, OUTPUTS, BATCH = 23, 4, 3, 5  # the last batch has 3 rows

# Where a gradient is zero but for rounding, an adaptive rule with a tiny epsilon divides one rounding error by another:
# here epsilon stands above the errors of float32.
EPSILON = 1e-4
OPTIMIZERS = {
    "SGD": bl.SGD(0.05),
    "momentum": bl.SGD(0.02, momentum=0.9),
    "Nesterov": bl.SGD(bl.CosineDecay(0.02, epochs=2), momentum=0.8, nesterov=True),
    "clipped": bl.SGD(0.05, clip_norm=0.05),
    "RMSprop": bl.RMSprop(0.01, epsilon=EPSILON),
    "Adagrad": bl.Adagrad(0.01, epsilon=EPSILON),
    "Adam": bl.Adam(bl.ExponentialDecay(0.01, 0.5), epsilon=EPSILON),
    "Adam, epsilon hat": bl.Adam(0.01, epsilon=1e-3, epsilon_hat=True, clip_norm=0.1),
    "AdamW": bl.AdamW(0.01, epsilon=EPSILON, weight_decay=0.1),
    "Lion": bl.Lion(0.002, weight_decay=0.1),
}
# The layers between two Dense ones.
LAYERS = {
    "Dropout": bl.Dropout(0.3),
    # Over five rows of a batch, or the few units of a row, a spread may be next to nothing, and would be divided by.
    "BatchNorm": bl.BatchNorm(0.7, epsilon=0.1),
    "LayerNorm": bl.LayerNorm(epsilon=0.1),
    "Scale": bl.Scale("scaled_normal"),
    "NumericEmbedding": bl.NumericEmbedding(2, frequencies=5, scale=0.7, columns=3),
    "ParallelDense": bl.ParallelDense(4, 3, "softmax", bias_init="scaled_normal"),
    "Parametric": bl.Parametric("silu", "scaled_normal"),
}
PENALTIES: dict[str, dict[str, Any]] = {
    "none": {},
    "l1": {"l1": 0.01},
    "l2": {"l2": 0.02},
    "both": {"l1": 0.005, "l2": 0.01},
    "divided": {"l1": 0.03, "l2": 0.05, "divide_penalty": True},
}
# The last layer's activation and the loss: pairs with delta = a − y, and every loss by itself.
ENDS = [(output, name) for name, make in LOSSES.items() for output in make().pairs]
ENDS += [("same", name) for name, make in LOSSES.items() if not make().needs_pair]
DEPTHS = (1, 2, 3, 4)
DATA = ("plain", "weighted", "uint8", "all rows", *LAYERS)
FACTORS: list[list[Any]] = [
    list(ACTIVATIONS), ENDS, list(OPTIMIZERS), list(PENALTIES), list(DEPTHS), list(DATA), list(TOLERANCE),
]  # fmt: skip


def test_every_kind_is_in_the_tables() -> None:
    assert set(LAYERS) == set(kinds.LAYERS) - {"Dense", "Embedding"}  # which is the first: tests/test_embedding.py
    assert {type(rule) for rule in OPTIMIZERS.values()} == set(ALL_OPTIMIZERS.values())


def pairwise(factors: list[list[Any]], seed: int) -> list[tuple[Any, ...]]:
    """Cases in which every two values of any two factors meet at least once: greedy, from random candidates."""
    rng = np.random.default_rng(seed)
    columns = list(itertools.combinations(range(len(factors)), 2))
    missing = {(i, a, j, b) for i, j in columns for a in range(len(factors[i])) for b in range(len(factors[j]))}
    cases = []
    while missing:
        i, a, j, b = min(missing)
        best: tuple[int, ...] = ()
        found: set[tuple[int, int, int, int]] = set()
        for _ in range(30):
            case = [int(rng.integers(len(values))) for values in factors]
            case[i], case[j] = a, b
            covered = {(k, case[k], m, case[m]) for k, m in columns} & missing
            if len(covered) > len(found):
                best, found = tuple(case), covered
        missing -= found
        cases.append(tuple(values[k] for values, k in zip(factors, best, strict=True)))
    return cases


def job(case: tuple[Any, ...]) -> Job:
    activation, (output, loss), optimizer, penalty, depth, data, dtype = case
    record = {"huber": huber(0.4), "quantile": quantile(0.7)}.get(loss, LOSSES[loss]())
    if output == "same":
        # poisson needs outputs above 0
        output = "softplus" if record.positive and not ACTIVATIONS[activation].positive else activation
    layers: list[Any] = []
    for i in range(depth - 1):
        layers.append(bl.Dense(6 - i, activation, bias=i != 1))
        if data in LAYERS:
            layers.append(LAYERS[data])
    if data in LAYERS:
        layers.insert(0, LAYERS[data])
    net = bl.Network(
        [*layers, bl.Dense(OUTPUTS, output, bias_init=0.1)],
        inputs=INPUTS,
        loss=record,
        dtype=dtype,
        seed=11,
        input_scale=1 / 255 if data == "uint8" else 1.0,
        **PENALTIES[penalty],
    )
    net.parameters.values[:] *= 0.3  # so that four layers of exp stay finite
    rng = np.random.default_rng(3)
    X = rng.integers(0, 256, (ROWS, INPUTS)).astype(np.uint8) if data == "uint8" else rng.normal(size=(ROWS, INPUTS))
    labels = rng.integers(0, OUTPUTS, ROWS)
    Y = (
        np.eye(OUTPUTS)[labels]
        if record.targets in ("probabilities", "classes")
        else rng.uniform(0.2, 1.5, (ROWS, OUTPUTS))
    )
    weight = rng.uniform(0.0, 2.0, ROWS).astype(dtype) if data == "weighted" else None
    rule = OPTIMIZERS[optimizer]
    return Job(
        net=net,
        X=X,
        Y=Y.astype(dtype),
        weight=weight,
        optimizer=rule,
        state=initial_state(rule, net.parameters.size, net.dtype),
        batch_size={"all rows": ROWS, "one row": 1}.get(data, BATCH),
    )


def train(engine: Any, job: Job) -> StepResults:
    """One epoch."""
    results: StepResults = engine.run_steps(job, job.order(0), 0, 0, job.steps)
    assert not results.diverged
    return results


def check_equal(case: tuple[Any, ...]) -> None:
    one, other = job(case), job(case)
    start = one.net.parameters.values.copy()
    expected, found = train(ReferenceEngine(), one), train(CompiledEngine(), other)
    tolerance = TOLERANCE[case[-1]]
    largest = np.abs(one.net.parameters.values).max()
    assert np.abs(one.net.parameters.values - start).max() > 1e-5 * largest  # something has been learnt
    np.testing.assert_allclose(other.net.parameters.values, one.net.parameters.values, rtol=0, atol=tolerance * largest)
    gradients, found_ones = one.net.parameters.gradients, other.net.parameters.gradients  # of the last step
    largest_one = max(float(np.abs(gradients).max()), 1.0)
    np.testing.assert_allclose(found_ones, gradients, rtol=0, atol=10 * tolerance * largest_one)
    buffers, others = one.net.parameters.buffers, other.net.parameters.buffers
    np.testing.assert_allclose(others, buffers, rtol=0, atol=tolerance * max(largest, 1.0))
    np.testing.assert_allclose(found.losses, expected.losses, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(found.weights, expected.weights, rtol=1e-6)
    assert other.state.step == one.state.step


@pytest.mark.parametrize("case", pairwise(FACTORS, seed=0), ids=lambda case: "-".join(map(str, case)))
def test_pairs(case: tuple[Any, ...]) -> None:
    check_equal(case)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
@pytest.mark.parametrize("depth", [1, 3])
def test_batches_of_one_row(depth: int, optimizer: str, dtype: str) -> None:
    check_equal(("relu", ("softmax", "cross_entropy"), optimizer, "l2", depth, "one row", dtype))


@pytest.mark.torture
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("end", ENDS, ids="-".join)
def test_grid(activation: str, end: tuple[str, str]) -> None:
    """Every combination of activation, loss, optimiser, penalty, depth and dtype; the kinds of data take turns."""
    grid = itertools.product(OPTIMIZERS, PENALTIES, DEPTHS, TOLERANCE)
    for i, (optimizer, penalty, depth, dtype) in enumerate(grid):
        data = DATA[i % len(DATA)]
        # Lion goes by the sign of a gradient: of one near 0, and of what batch norm takes away, by that of a rounding.
        if optimizer != "Lion" or (data != "BatchNorm" and dtype == "float64"):
            check_equal((activation, end, optimizer, penalty, depth, data, dtype))
