"""The generated script against Backlit: run where neither Backlit nor SciPy can be imported, it trains to the same."""

from __future__ import annotations

import ast
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.exceptions import ConfigurationError
from backlit.export.numpy.passes import script_name
from backlit.export.numpy.program import export_numpy
from backlit.export.numpy.script import MOST_AT_THE_TOP, MOST_IN_THE_SCRIPT
from backlit.kinds import ACTIVATIONS, LAYERS, Activation, BatchNorm, Layer, LayerNorm, Scale
from backlit.kinds.losses import LOSSES, Loss, cross_entropy, huber, quantile
from backlit.kinds.optimizers import OPTIMIZERS, Lion
from backlit.kinds.schedules import SCHEDULES
from backlit.kinds.script import LayerText, LossText, UpdateText, number

ROWS, BATCH, EPOCHS = 50, 16, 25  # 4 steps an epoch, the last of 2 rows: 100 steps

# Run by a Python without site-packages that is given NumPy's folder alone.
RUNNER = """
import importlib.util, runpy, sys, warnings
import numpy as np

warnings.simplefilter("error")
assert not any(importlib.util.find_spec(name) for name in ("backlit", "scipy", "sklearn"))
script, given, result, epochs, batch_size, *names = sys.argv[1:]
with np.load(given) as data:
    X, y = data["X"], data["y"]
s = runpy.run_path(script)
found = {"outputs": s["forward"](X), "loss": s["loss"](X, y)}
for i, gradient in enumerate(s["gradients"](X, y)):
    found[f"gradient{i}"] = gradient
found["losses"] = s["train"](X, y, epochs=int(epochs), batch_size=int(batch_size))
found |= {name: s[name] for name in names}
np.savez(result, **found)
"""


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """A function that runs Python code with NumPy and the standard library, and nothing else, on the path."""
    folder = tmp_path_factory.mktemp("numpy_alone")
    installed = Path(np.__file__).parent
    for part in (installed, installed.with_name("numpy.libs")):
        if part.exists():
            (folder / part.name).symlink_to(part)
    start = f"import sys; sys.path.insert(0, {str(folder)!r}); "

    def run(code: str, *arguments: Any) -> str:
        command = [sys.executable, "-I", "-S", "-c", start + f"exec({code!r})", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def data(net: bl.Network) -> tuple[np.ndarray, np.ndarray]:
    """Rows, and targets of the kind that the network's output and loss ask for."""
    rng = np.random.default_rng(3)
    X = rng.standard_normal((ROWS, net.inputs))
    activation, kind = net.output_layer.activation, net.loss_function.targets
    if activation.probabilities or kind in ("classes", "probabilities"):
        return X, rng.integers(0, max(2, net.outputs), ROWS)
    if kind == "counts":
        return X, rng.poisson(1.5, (ROWS, net.outputs)).astype(float)
    if activation.positive or activation.dies:
        return X, rng.uniform(0.2, 3.0, (ROWS, net.outputs))
    return X, rng.standard_normal((ROWS, net.outputs))


def same_numbers(
    bare: Callable[..., str],
    folder: Path,
    net: bl.Network,
    X: np.ndarray,
    y: np.ndarray,
    optimizer: Any = None,
    *,
    batch: int = BATCH,
    epochs: int = EPOCHS,
    tolerance: float = 1e-12,
) -> str:
    """Export, train both, compare everything; returns the script."""
    script = folder / "by_hand.py"
    export_numpy(net, script, optimizer=optimizer)
    np.savez(folder / "data.npz", X=X, y=y)
    names = [script_name(name) for name in [*net.parameters.names, *net.parameters.buffer_names]]
    bare(RUNNER, script, folder / "data.npz", folder / "result.npz", epochs, batch, *names)
    with np.load(folder / "result.npz") as result:
        found = dict(result)

    def close(ours: Any, theirs: Any, what: str) -> None:
        np.testing.assert_allclose(theirs, ours, rtol=tolerance, atol=tolerance, err_msg=what)

    close(net.forward(X), found["outputs"], "outputs")
    close(net.loss(X, y), found["loss"], "loss")
    gradients = [found[f"gradient{i}"].ravel() for i in range(len(net.parameters.names))]
    close(net.gradient(X, y), np.concatenate(gradients), "gradient")
    before = net.parameters.values.copy()
    history = bl.fit(
        net,
        X,
        y,
        epochs=epochs,
        batch_size=batch,
        optimizer=optimizer,
        validation=(X, y),
        engine="reference",
        progress=False,
    )
    assert np.abs(net.parameters.values - before).max() > 1e-3  # there was something to follow
    ours = [*map(net.parameters.view, net.parameters.names), *map(net.parameters.buffer, net.parameters.buffer_names)]
    for name, values in zip(names, ours, strict=True):
        assert found[name].dtype == net.dtype
        close(values, found[name], name)
    close(history["val_loss"], found["losses"], "losses")
    return script.read_text()


def network(activation: str = "tanh", **more: Any) -> bl.Network:
    settings: dict[str, Any] = {"inputs": 4, "dtype": "float64", "seed": 5} | more
    return bl.Network([bl.Dense(7, activation), bl.Dense(2)], **settings)


# ── every activation, loss, layer, penalty, optimiser ────────────────────────────────────────────────────────


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation(activation: str, bare: Callable[..., str], tmp_path: Path) -> None:
    net = network(activation)
    same_numbers(bare, tmp_path, net, *data(net), bl.SGD(0.05))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_at_the_output(activation: str, bare: Callable[..., str], tmp_path: Path) -> None:
    net = bl.Network([bl.Dense(5, "tanh"), bl.Dense(3, activation)], inputs=4, dtype="float64", seed=6)
    same_numbers(bare, tmp_path, net, *data(net), bl.SGD(0.05))


def test_the_slopes_of_leaky_relu_are_1_and_a_hundredth(tmp_path: Path) -> None:
    net = bl.Network([bl.Dense(1, "leaky_relu", weight_init=1.0)], inputs=1, dtype="float64")
    by_hand = loaded(net, tmp_path)
    np.testing.assert_allclose(by_hand["forward"]([[-3.0], [2.0]]), [[-0.03], [2.0]], rtol=1e-15)
    # L = ½ (a − y)² at y = 0: dL/dW = a f′(z) x
    np.testing.assert_allclose(by_hand["gradients"]([[-3.0]], [0.0])[0], [[-0.03 * 0.01 * -3.0]], rtol=1e-14)


def loss_cases() -> list[tuple[Loss, str, int]]:
    """Each loss with every activation that it is a pair with, with one that it is none with, and two with settings."""
    cases = []
    for loss in (*(make() for make in LOSSES.values()), huber(0.3), quantile(0.9), cross_entropy(0.15)):
        alone = [] if loss.needs_pair else ["softplus"] if loss.positive else ["identity", "tanh"]
        for activation in [*loss.pairs, *alone]:
            fewest = 2 if ACTIVATIONS[activation].sums_to_one else 1
            cases += [(loss, activation, outputs) for outputs in (fewest, 3)]
    return cases


@pytest.mark.parametrize(
    ("loss", "activation", "outputs"), loss_cases(), ids=lambda part: part.name if isinstance(part, Loss) else str(part)
)
def test_every_loss(loss: Loss, activation: str, outputs: int, bare: Callable[..., str], tmp_path: Path) -> None:
    net = bl.Network([bl.Dense(6, "tanh"), bl.Dense(outputs, activation)], inputs=3, loss=loss, dtype="float64", seed=7)
    same_numbers(bare, tmp_path, net, *data(net), bl.SGD(0.02))


#: What schedules take besides the initial rate.
MORE: dict[str, dict[str, float]] = {key: {"epochs": 20} for key in ("CosineDecay", "FlatCosine", "CosineCycles")}

OPTIMIZER_CASES = [
    *(kind(0.01) for kind in OPTIMIZERS.values()),
    *(kind(0.01, clip_norm=0.3) for kind in OPTIMIZERS.values()),
    *(bl.SGD(kind(0.1, **MORE.get(kind.__name__, {}))) for kind in SCHEDULES),
    *(bl.AdamW(kind(0.02, **MORE.get(kind.__name__, {}))) for kind in SCHEDULES),
    bl.SGD(0.02, momentum=0.9),
    bl.SGD(0.02, momentum=0.9, nesterov=True),
    bl.RMSprop(0.003, rho=0.8, epsilon=1e-7),
    bl.Adam(0.01, 0.8, 0.99, epsilon_hat=True),
    bl.AdamW(0.01, weight_decay=0.1),
    bl.AdamW(0.01, weight_decay=0.0),
    Lion(0.003, 0.8, 0.95, weight_decay=0.1),
    bl.SGD(bl.StepDecay(0.1, factor=0.5, every=7)),
    bl.SGD(bl.ExponentialDecay(0.1, rate=0.9), momentum=0.5),
    bl.Adam(bl.InverseDecay(0.02, rate=0.3, power=0.7)),
    Lion(bl.CosineDecay(0.005, epochs=20, final=0.001, warmup=3), weight_decay=0.1),
]


@pytest.mark.parametrize("optimizer", OPTIMIZER_CASES, ids=repr)
def test_every_optimiser(optimizer: Any, bare: Callable[..., str], tmp_path: Path) -> None:
    net = network("tanh", l2=0.01)
    same_numbers(bare, tmp_path, net, *data(net), optimizer)


#: What layers cannot be made without.
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "Dense": (6, "tanh"), "Dropout": (0.3,),
    "ParallelDense": (3, 2, "softmax"), "Parametric": ("sigmoid", 0.7),
}  # fmt: skip


@pytest.mark.parametrize(
    "kind", [kind for kind in LAYERS if kind != "Embedding"]
)  # the one that must be first: tests/test_embedding.py
@pytest.mark.parametrize("place", ["first", "inside", "twice"])
def test_every_layer(kind: str, place: str, bare: Callable[..., str], tmp_path: Path) -> None:
    def layer() -> Any:
        return LAYERS[kind](*ARGUMENTS.get(kind, ()))

    before = [] if place == "first" else [bl.Dense(5, "relu")]
    between = [layer(), layer()] if place == "twice" else [layer()]
    net = bl.Network(
        [*before, *between, bl.Dense(4, "tanh"), bl.Dense(2)], inputs=4, dtype="float64", l1=0.001, l2=0.01, seed=3
    )
    # of two batch norms the first one's shift has no gradient but rounding, which AdamW would make as large as any
    optimizer = bl.SGD(0.05, 0.5) if place == "twice" else bl.AdamW(0.01, weight_decay=0.1)
    same_numbers(bare, tmp_path, net, *data(net), optimizer)


@pytest.mark.parametrize("divided", [False, True])
@pytest.mark.parametrize(("l1", "l2"), [(0.0, 0.1), (0.05, 0.0), (0.02, 0.1)])
def test_penalties(l1: float, l2: float, divided: bool, bare: Callable[..., str], tmp_path: Path) -> None:
    net = network(l1=l1, l2=l2, divide_penalty=divided)
    same_numbers(bare, tmp_path, net, *data(net), bl.SGD(0.05))


@pytest.mark.parametrize("batch", [1, 7, 25, 49, 50])
def test_batch_sizes(batch: int, bare: Callable[..., str], tmp_path: Path) -> None:
    net = network()
    same_numbers(bare, tmp_path, net, *data(net), bl.SGD(0.02), batch=batch, epochs=-(-100 // -(-ROWS // batch)))


CHAINS = {
    "one": [bl.Dense(3, "softmax")],
    "without biases": [bl.Dense(5, "relu", bias=False), bl.Dense(3, "softmax", bias=False)],
    "dropout": [bl.Dense(9, "tanh"), bl.Dropout(0.3), bl.Dense(8, "relu"), bl.Dropout(0.5), bl.Dense(3, "softmax")],
    "dropout first": [bl.Dropout(0.2), bl.Dense(6, "silu"), bl.Dense(3, "softmax")],
    "two dropouts": [bl.Dropout(0.1), bl.Dropout(0.1), bl.Dense(3, "softmax")],
    "softmax inside": [bl.Dense(6, "softmax"), bl.Dense(3, "softmax")],
    "deep": [*(bl.Dense(4, "tanh") for _ in range(12)), bl.Dense(3, "softmax")],
    "norms": [
        BatchNorm(0.5),
        bl.Dense(6, "mish"),
        LayerNorm(1e-3),
        bl.Dropout(0.2),
        Scale(0.5),
        bl.Dense(3, "softmax"),
    ],
    "buffers alone below": [bl.Dropout(0.1), BatchNorm(0.0, 1e-2), bl.Dense(3, "softmax")],
}


@pytest.mark.parametrize("layers", CHAINS)
def test_layers(layers: str, bare: Callable[..., str], tmp_path: Path) -> None:
    net = bl.Network(CHAINS[layers], inputs=4, loss="cross_entropy", dtype="float64", seed=2**64 - 1)
    same_numbers(bare, tmp_path, net, *data(net), bl.SGD(0.1, momentum=0.5))


def test_float32_and_scaled_bytes(bare: Callable[..., str], tmp_path: Path) -> None:
    net = bl.Network(
        [bl.Dense(8, "gelu"), bl.Dropout(0.2), bl.Dense(3, "softmax")],
        inputs=5,
        loss="cross_entropy",
        l2=0.01,
        input_scale=1 / 255,
    )
    X = np.random.default_rng(0).integers(0, 256, (ROWS, 5)).astype(np.uint8)
    same_numbers(bare, tmp_path, net, X, data(net)[1], bl.AdamW(bl.CosineDecay(0.01, 25)), tolerance=2e-5)


def test_scaled_in_float64(bare: Callable[..., str], tmp_path: Path) -> None:
    net = network(input_scale=1 / 16)
    X, y = data(net)
    same_numbers(bare, tmp_path, net, 16 * X, y, bl.SGD(0.05))


# ── labels ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("outputs", "activation"), [(2, "softmax"), (3, "softmax"), (1, "sigmoid")])
def test_labels_of_text(outputs: int, activation: str, bare: Callable[..., str], tmp_path: Path) -> None:
    names = np.array(["New York, a 'city'", 'say "no"\n\\', "Zürich"])[: max(2, outputs)]
    net = bl.Network([bl.Dense(outputs, activation)], inputs=4, loss="cross_entropy", dtype="float64")
    X, y = data(net)
    bl.fit(net, X, names[y], epochs=1, progress=False)
    text = same_numbers(bare, tmp_path, net, X, names[y], bl.SGD(0.1))
    assert "Zürich" in text or outputs != 3


def test_hinge_with_labels_of_minus_one_and_one(bare: Callable[..., str], tmp_path: Path) -> None:
    net = bl.Network([bl.Dense(1)], inputs=4, loss="hinge", dtype="float64")
    X, y = data(net)
    bl.fit(net, X, 2 * y - 1, epochs=1, progress=False)
    same_numbers(bare, tmp_path, net, X, 2 * y - 1, bl.SGD(0.1))


def test_a_label_outside_the_classes_is_refused(tmp_path: Path) -> None:
    by_hand = loaded(bl.Network([bl.Dense(3, "softmax")], inputs=2, loss="cross_entropy"), tmp_path)
    with pytest.raises(ValueError, match=r"not one of \[0, 1, 2\]"):
        by_hand["loss"](np.ones((2, 2)), [0, 3])


# ── estimators ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("classes", [["a", "b", "c"], [-1, 1]])
def test_a_classifier_with_its_own_solver(classes: list[Any], bare: Callable[..., str], tmp_path: Path) -> None:
    X, _ = data(network())
    y = np.array(classes)[np.random.default_rng(0).integers(0, len(classes), ROWS)]
    classifier = bl.MLPClassifier((6,), max_iter=25, batch_size=16, alpha=0.1, random_state=0, n_iter_no_change=99)
    classifier.set_params(learning_rate_init=0.01, engine="reference")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 25 epochs do not converge
        classifier.set_params(max_iter=1).fit(X, y)
        export_numpy(classifier, tmp_path / "start.py")
        np.savez(tmp_path / "data.npz", X=X, y=y)
        bare(RUNNER, tmp_path / "start.py", tmp_path / "data.npz", tmp_path / "result.npz", 25, 16, "W0")
    net = classifier.network_
    Y = (y[:, None] == classifier.classes_).astype(float)
    adam = bl.Adam(0.01, epsilon_hat=True)
    bl.fit(net, X, Y if net.outputs > 1 else Y[:, 1:], epochs=25, batch_size=16, optimizer=adam, progress=False)
    with np.load(tmp_path / "result.npz") as result:
        np.testing.assert_allclose(result["W0"], net.parameters.view("0.weight"), rtol=0, atol=1e-12)


def test_a_regressor(tmp_path: Path) -> None:
    X, y = data(network())
    regressor = bl.MLPRegressor(hidden_layer_sizes=(3,), solver="lbfgs", max_iter=3, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        regressor.fit(X, y)
    with pytest.raises(
        ConfigurationError,
        match=r"LBFGS\(.*\) has no update that a NumPy script can hold: choose one of SGD, .*, Lion$",
    ):
        export_numpy(regressor, tmp_path / "by_hand.py")
    by_hand = loaded(regressor, tmp_path, bl.SGD(0.1))
    np.testing.assert_allclose(by_hand["forward"](X), regressor.predict(X), rtol=0, atol=1e-13)


# ── the script as such ───────────────────────────────────────────────────────────────────────────────────────


def loaded(model: Any, folder: Path, optimizer: Any = None) -> dict[str, Any]:
    """The names that a script defines, here."""
    import runpy

    export_numpy(model, folder / "by_hand.py", optimizer=optimizer)
    return runpy.run_path(str(folder / "by_hand.py"))


def wide(dtype: str = "float32") -> bl.Network:
    return bl.Network([bl.Dense(30, "sigmoid"), bl.Dense(10, "softmax")], inputs=100, loss="cross_entropy", dtype=dtype)


def test_many_parameters_stand_in_a_file_beside_the_script(bare: Callable[..., str], tmp_path: Path) -> None:
    net = wide("float64")
    assert net.parameters.size > MOST_IN_THE_SCRIPT
    text = same_numbers(bare, tmp_path, net, *data(net), bl.SGD(0.1))
    assert sorted(p.name for p in tmp_path.glob("by_hand*")) == ["by_hand.py", "by_hand_parameters.npz"]
    assert len(text) < 12_000


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("units", [2, 60])
def test_parameters_in_the_script_are_exact(dtype: str, units: int, tmp_path: Path) -> None:
    net = bl.Network([bl.Dense(units, "tanh", bias_init="glorot_uniform"), bl.Dense(2)], inputs=9, dtype=dtype)
    assert (net.parameters.size > MOST_AT_THE_TOP) == (units == 60)
    by_hand = loaded(net, tmp_path)
    for name, theirs in (("0.weight", "W0"), ("0.bias", "b0"), ("1.weight", "W1"), ("1.bias", "b1")):
        np.testing.assert_array_equal(by_hand[theirs], net.parameters.view(name))


def test_numbers_in_full() -> None:
    bits = np.random.default_rng(0).integers(0, 2**32, 20_000, dtype=np.uint64).astype(np.uint32)
    values = bits.view(np.float32)
    values = values[np.isfinite(values)]
    again = np.array([float(number(v)) for v in values], dtype=np.float32)
    np.testing.assert_array_equal(again, values)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_finite_difference_of_one_weight(dtype: str, tmp_path: Path) -> None:
    net = bl.Network([bl.Dense(3, "tanh"), bl.Dense(2)], inputs=4, dtype=dtype, l2=0.1)
    by_hand = loaded(net, tmp_path)
    X, y = data(net)
    kept = by_hand["W0"].copy()
    measured = by_hand["finite_difference"](X, y, by_hand["W0"], (2, 1))
    assert measured == pytest.approx(by_hand["gradients"](X, y)[0][2, 1], rel=1e-8 if dtype == "float64" else 2e-2)
    np.testing.assert_array_equal(by_hand["W0"], kept)


RUNS = {
    "regression": network("relu"),
    "classes": bl.Network(
        [bl.Dense(60, "gelu"), bl.Dropout(0.1), bl.Dense(3, "softmax")], inputs=9, loss="cross_entropy", l2=0.1, l1=0.1
    ),
    "one unit": bl.Network([bl.Dense(1, "sigmoid")], inputs=3, loss="cross_entropy"),
    "counts": bl.Network([bl.Dense(4, "elu"), bl.Dense(2, "exp")], inputs=3, loss="poisson", input_scale=0.5),
    "hinge": bl.Network([bl.Dense(4, "silu"), bl.Dense(1)], inputs=3, loss="hinge", divide_penalty=True, l2=0.1),
    "positive": bl.Network([bl.Dense(4, "leaky_relu"), bl.Dense(2, "softplus")], inputs=3, loss=huber(0.5)),
    "wide": wide(),
    "deep": bl.Network(CHAINS["deep"], inputs=4, loss="cross_entropy"),
    "norms": bl.Network(CHAINS["norms"], inputs=30, loss="cross_entropy", l2=0.01),
    "norms of few": bl.Network([Scale(), BatchNorm(), bl.Dense(2)], inputs=3, loss="log_cosh", dtype="float64"),
}


@pytest.mark.parametrize("case", RUNS)
@pytest.mark.parametrize("optimizer", [bl.SGD(0.1), bl.AdamW(bl.CosineDecay(0.01, 10, warmup=1), clip_norm=1.0)])
def test_a_script_runs_by_itself_and_learns(
    case: str, optimizer: Any, bare: Callable[..., str], tmp_path: Path
) -> None:
    script = tmp_path / "by_hand.py"
    export_numpy(RUNS[case], script, optimizer=optimizer)
    run = "import runpy, sys; runpy.run_path(sys.argv.pop(1), run_name='__main__')"
    lines = bare(run, script).splitlines()
    assert lines[0].startswith("dL/dW")
    slope, measured = (float(word) for word in lines[0].split() if word[-1].isdigit())
    assert measured == pytest.approx(slope, rel=0.05)
    losses = [float(line.split()[-1]) for line in lines[1:]]
    assert len(losses) == 11
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    ("case", "values"), [("counts", {0, 1, 2, 3}), ("classes", {0, 1}), ("one unit", {0, 1}), ("hinge", {0, 1})]
)
def test_made_up_targets_are_what_the_loss_is_for(case: str, values: set[int], tmp_path: Path) -> None:
    _, Y = loaded(RUNS[case], tmp_path)["made_up_rows"](200)
    assert set(np.unique(Y)) >= values
    assert (np.floor(Y) == Y).all()
    if case != "counts":
        assert set(np.unique(Y)) == values
    if case == "classes":
        assert (Y.sum(axis=1) == 1).all()


def test_a_script_reads_a_file(bare: Callable[..., str], tmp_path: Path) -> None:
    net = wide()
    export_numpy(net, tmp_path / "by_hand.py")
    X, y = data(net)
    np.savez(tmp_path / "data.npz", X=X, y=y)
    run = "import runpy, sys; runpy.run_path(sys.argv.pop(1), run_name='__main__')"
    lines = bare(run, tmp_path / "by_hand.py", tmp_path / "data.npz").splitlines()
    assert float(lines[1].split()[-1]) == pytest.approx(net.loss(X, y), abs=1e-5)


@pytest.mark.parametrize("case", RUNS)
@pytest.mark.parametrize("optimizer", OPTIMIZER_CASES[::4], ids=repr)
def test_ruff_finds_nothing(case: str, optimizer: Any, tmp_path: Path) -> None:
    ruff = Path(sys.executable).with_name("ruff")
    if not ruff.exists():
        pytest.skip(f"ruff is not here: {ruff}")
    export_numpy(RUNS[case], tmp_path / "by_hand.py", optimizer=optimizer)
    done = subprocess.run([ruff, "check", "--isolated", "--no-cache", tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    lines = (tmp_path / "by_hand.py").read_text().splitlines()
    assert max(len(line) for line in lines) <= 110
    assert not any(line != line.rstrip() for line in lines)


@pytest.mark.parametrize("case", RUNS)
def test_no_loop_runs_over_layers(case: str, tmp_path: Path) -> None:
    """The passes are unrolled: not one loop in them."""
    export_numpy(RUNS[case], tmp_path / "by_hand.py")
    tree = ast.parse((tmp_path / "by_hand.py").read_text())
    passes = [f for f in tree.body if isinstance(f, ast.FunctionDef) and f.name in ("forward_pass", "gradients")]
    assert len(passes) == 2
    assert not any(isinstance(node, ast.For | ast.While | ast.comprehension) for f in passes for node in ast.walk(f))


def test_odd_names_of_files(bare: Callable[..., str], tmp_path: Path) -> None:
    script = tmp_path / 'my "quoted" back\\slash\\.py'
    export_numpy(wide(), script)
    compile(script.read_text(), str(script), "exec")  # a lone backslash in a string would warn, which is an error here
    bare("import runpy, sys; runpy.run_path(sys.argv[1])", script)


# ── what is the user's own, with a text ─────────────────────────────────────────────────────────────────────


class Twice(Layer):
    """A user's own layer."""

    def forward(self, work: Any, i: int, moment: Any) -> None:
        np.multiply(work.a[i], 2.0, out=work.a[i + 1])

    def backward(self, work: Any, i: int, below: bool) -> None:
        if below:
            np.multiply(work.delta[i], 2.0, out=work.delta[i - 1])


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


def test_what_is_the_users_own_with_a_text_is_written(bare: Callable[..., str], tmp_path: Path) -> None:
    class Doubled(Twice):
        def script(self, i: int, *, below: bool, given_delta: bool) -> LayerText:
            backward = [(f"da{i} = 2 * da{i + 1}", "")] if below else []
            return LayerText("twice", [(f"a{i + 1} = 2 * a{i}", "")], (f"a{i + 1}",), backward)

    class ScriptedSignDescent(SignDescent):
        def script(self) -> UpdateText:
            return UpdateText("sign", "sign descent", "θ ← θ − η sign g", body="theta -= {rate} * np.sign(g)")

    tanh = ACTIVATIONS["tanh"]
    activation = Activation("bend", tanh.f, tanh.slope, script=tanh.script)
    loss = Loss(
        "fourth",
        lambda a, y, scratch: ((a - y) ** 4).sum(axis=1),
        lambda a, y, out, scratch: np.multiply(4.0, (a - y) ** 3, out=out),
        script=LossText("Σ (a − y)⁴", ("rows = (({a} - Y) ** 4).sum(axis=1)",), "4 (a − y)³", "4 * ({a} - Y) ** 3"),
    )
    net = bl.Network([bl.Dense(4, activation), Doubled(), bl.Dense(1)], inputs=3, loss=loss, dtype="float64")
    same_numbers(bare, tmp_path, net, *data(net), ScriptedSignDescent(0.001))


def test_labels_are_written_as_python_reads_them(tmp_path: Path) -> None:
    net = bl.Network([bl.Dense(2, "softmax")], inputs=2, loss="cross_entropy")
    net.classes = np.array([False, True])
    assert loaded(net, tmp_path)["CLASSES"].tolist() == [False, True]
