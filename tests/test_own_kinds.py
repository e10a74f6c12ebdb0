"""A user's own activation, loss, optimiser and layer, taken through everything that Backlit does with a network.

What has a kernel runs on the compiled engine and equals the reference; what has none runs on the reference engine with
a warning. All kinds with a kernel stand in one network, because the compiled engine compiles anew for what is new.
"""

from __future__ import annotations

import copy
import pickle
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import backlit as bl
from backlit.exceptions import BacklitWarning, ConfigurationError, DerivativeError, ModelFileError
from backlit.kinds import ACTIVATIONS, Activation, Layer
from backlit.kinds.kernel import BUFFERS, OUTPUTS, PARAMETERS, ROOM, Kernel
from backlit.kinds.layer import Factors
from backlit.kinds.loss import Loss
from backlit.kinds.losses import get_loss
from backlit.kinds.numbers import sign
from backlit.kinds.optimizer import OptimizerState

pytestmark = pytest.mark.xdist_group("compiled")

rng = np.random.default_rng(7)
X = rng.normal(size=(23, 3))
Y = rng.normal(size=(23, 2))


# ── an activation: f(z) = z/(1 + |z|), f′(z) = 1/(1 + |z|)² ────────────────────────────────────────────────
def softsign(z: np.ndarray, out: np.ndarray) -> None:
    np.divide(z, 1.0 + np.abs(z), out=out)


def softsign_slope(z: np.ndarray, a: np.ndarray, out: np.ndarray, scratch: np.ndarray) -> None:
    np.divide(1.0, (1.0 + np.abs(z)) ** 2, out=out)


def softsign_number(z: Any) -> Any:
    return z / (type(z)(1) + abs(z))


def softsign_slope_number(z: Any, a: Any) -> Any:
    return type(z)(1) / ((type(z)(1) + abs(z)) * (type(z)(1) + abs(z)))


PLAIN_SOFTSIGN = Activation("softsign", softsign, softsign_slope)
SOFTSIGN = Activation("softsign", softsign, softsign_slope, number=(softsign_number, softsign_slope_number))


# ── a loss: Σ_k (a_k − y_k)⁴ / 4 ───────────────────────────────────────────────────────────────────────────
def fourth(a: np.ndarray, y: np.ndarray, scratch: np.ndarray) -> np.ndarray:
    return np.asarray(((a - y) ** 4).sum(axis=1) / 4.0)


def fourth_gradient(a: np.ndarray, y: np.ndarray, out: np.ndarray, scratch: np.ndarray) -> None:
    np.power(a - y, 3, out=out)


def fourth_number(a: Any, y: Any, s: Any) -> Any:
    return (a - y) * (a - y) * (a - y) * (a - y) / s


def fourth_slope_number(a: Any, y: Any, s: Any) -> Any:
    return type(a)(4) * (a - y) * (a - y) * (a - y) / s


PLAIN_FOURTH = Loss("fourth", fourth, fourth_gradient)
FOURTH = Loss("fourth", fourth, fourth_gradient, number=(fourth_number, fourth_slope_number), settings={"divisor": 4.0})


# ── an optimiser: the sign of a running sum, θ ← θ − η sign(m), m ← ½ m + g ────────────────────────────────
class PlainSign:
    slots: tuple[str, ...] = ("sum",)
    clip_norm: float | None = None

    def __init__(self, learning_rate: float = 0.01) -> None:
        self.learning_rate = learning_rate

    def update(self, values: Any, gradient: Any, weight_mask: Any, state: OptimizerState, rate: float) -> None:
        m = state.slots[0]
        m *= 0.5
        m += gradient
        values -= rate * np.sign(m)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.learning_rate})"


def _sign_kernel(
    values: Any, gradients: Any, slots: Any, start: int, stop: int, scale: Any, rate: Any, t: int, is_weight: bool,
    settings: Any,
) -> None:  # fmt: skip
    real = values.dtype.type
    for i in range(start, stop):
        gradients[i] *= scale
        slots[0, i] = slots[0, i] * real(settings[0]) + gradients[i]
        values[i] -= real(rate) * sign(slots[0, i])


class Sign(PlainSign):
    kernel: ClassVar[Any] = staticmethod(_sign_kernel)

    def numbers(self) -> tuple[float, ...]:
        return (0.5,)


# ── a layer: a = a_in + s − m, with s learnt and m the running mean of a_in ────────────────────────────────
class PlainShift(Layer):
    shift: np.ndarray
    shift_gradient: np.ndarray
    mean: np.ndarray

    def build(self, inputs: int) -> dict[str, tuple[int, ...]]:
        self.inputs = self.outputs = inputs
        return {"shift": (inputs,)}

    def buffers(self) -> dict[str, tuple[int, ...]]:
        return {"mean": (self.inputs,)}

    def initial_value(self, name: str, shape: tuple[int, ...], rng: np.random.Generator) -> Any:
        return 0.25 if name == "mean" else 0.5

    def forward(self, work: Any, i: int, moment: Any) -> None:
        work.a[i + 1][...] = work.a[i] + self.shift - self.mean

    def backward(self, work: Any, i: int, below: bool) -> None:
        np.dot(work.ones, work.delta[i], out=self.shift_gradient)
        if below:
            work.delta[i - 1][...] = work.delta[i]

    def remember(self, work: Any, i: int) -> None:
        self.mean += 0.1 * (work.a[i].mean(axis=0) - self.mean)


def _shift_forward(
    chain: Any, i: int, a_in: Any, a: Any, w: Any, step: int, activate: Any, start: int, stop: int
) -> None:
    p, b = chain.layers[i, PARAMETERS], chain.layers[i, BUFFERS]
    for j in range(start, stop):
        total = a.dtype.type(0)
        for row in range(a.shape[0]):
            a[row, j] = a_in[row, j] + chain.values[p + j] - chain.buffers[b + j]
            total += a_in[row, j]
        # for `remember`, which sees no rows: the layer's room holds the mean of the batch
        chain.memory[chain.layers[i, ROOM] + j] = total / a.dtype.type(a.shape[0])


def _shift_backward(
    chain: Any, i: int, a: Any, delta: Any, delta_in: Any, w: Any, below: bool, slopes: bool, times_slope: Any,
    start: int, stop: int,
) -> None:  # fmt: skip
    if below:
        for row in range(delta.shape[0]):
            for j in range(start, stop):
                delta_in[row, j] = delta[row, j]


def _shift_gradient(
    chain: Any, i: int, part: int, a_in: Any, delta: Any, start: int, stop: int, out: Any
) -> None:  # fmt: skip
    for j in range(start, stop):
        out[j - start] = 0
        for row in range(delta.shape[0]):
            out[j - start] += delta[row, j]


def _shift_remember(chain: Any, i: int, n: int) -> None:
    b, tenth = chain.layers[i, BUFFERS], chain.buffers.dtype.type(0.1)
    for j in range(chain.layers[i, OUTPUTS]):
        mean = chain.memory[chain.layers[i, ROOM] + j]
        chain.buffers[b + j] += tenth * (mean - chain.buffers[b + j])


class Shift(PlainShift):
    kernel: ClassVar[Kernel | None] = Kernel(
        _shift_forward, _shift_backward, _shift_gradient, _shift_remember, by_columns=True
    )

    def kernel_room(self, n: int) -> int:
        return self.outputs

    def gradient_factors(self, name: str, index: Any, room: Any, a_in: Any, delta: Any) -> Factors:
        return Factors(np.ones(len(delta)), delta[:, index[0]], "", f"dL/da_{index[0]}")


def network(kind: str = "", *, own: str = "") -> bl.Network:
    """With the `kind` "activation", "loss" or "layer" of one's own without a kernel, and all others with one.

    With `own` this one alone is one's own, and the rest is Backlit's.
    """
    activation: Any = PLAIN_SOFTSIGN if kind == "activation" else SOFTSIGN
    loss: Any = PLAIN_FOURTH if kind == "loss" else FOURTH
    layer: Any = PlainShift() if kind == "layer" else Shift()
    if own:
        activation = activation if own == "activation" else "tanh"
        loss = loss if own == "loss" else "squared_error"
        layer = layer if own == "layer" else bl.Scale()
    return bl.Network([bl.Dense(4, activation), layer, bl.Dense(2)], inputs=3, loss=loss, dtype="float64", seed=3)


def trained(net: bl.Network, optimizer: Any, engine: str) -> bl.History:
    return bl.fit(net, X, Y, epochs=3, batch_size=5, optimizer=optimizer, engine=engine, progress=False)


KINDS = ("activation", "loss", "layer", "optimiser")
IN_A_NETWORK = KINDS[:3]


# ── training ───────────────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture(scope="module")
def both() -> tuple[bl.Network, bl.Network]:
    """Trained by the reference engine and by the compiled one, with a kernel for everything."""
    pytest.importorskip("numba", reason="the compiled engine needs backlit[fast]")
    from backlit.compiled.plan import PLANS

    one, other = network(), network()
    expected = trained(one, Sign(), "reference")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = trained(other, Sign(), "compiled")
    np.testing.assert_allclose(found["loss"], expected["loss"], rtol=1e-11)
    before = len(PLANS)
    trained(network(), Sign(), "compiled")
    assert len(PLANS) == before  # the same kinds again are not compiled again
    return one, other


def test_what_has_a_kernel_runs_on_the_compiled_engine_and_equals_the_reference(
    both: tuple[bl.Network, bl.Network],
) -> None:
    one, other = both
    assert np.abs(one.parameters.values - network().parameters.values).max() > 0.01  # something has been learnt
    assert np.abs(one.parameters.buffers - 0.25).max() > 0.01
    np.testing.assert_allclose(other.parameters.values, one.parameters.values, rtol=0, atol=1e-12)
    np.testing.assert_allclose(other.parameters.buffers, one.parameters.buffers, rtol=0, atol=1e-12)


MISSING = {
    "activation": "the activation 'softsign' has no kernel",
    "loss": "the loss 'fourth' has no kernel",
    "layer": "the layer PlainShift() has no kernel",
    "optimiser": "the optimiser PlainSign(0.01) has no kernel",
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_has_no_kernel_runs_on_the_reference_engine_with_a_warning(kind: str) -> None:
    pytest.importorskip("numba", reason="the compiled engine needs backlit[fast]")
    one, other = network(kind), network(kind)
    rule = PlainSign() if kind == "optimiser" else Sign()
    trained(one, rule, "reference")
    with pytest.warns(BacklitWarning) as caught:
        trained(other, rule, "compiled")
    assert [str(warning.message) for warning in caught] == [
        f"the reference engine runs instead of the compiled one: {MISSING[kind]}"
    ]
    np.testing.assert_array_equal(other.parameters.state, one.parameters.state)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # "auto" has promised nothing
        trained(other, rule, "auto")


# ── gradients and the lens ─────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("kind", ["", *IN_A_NETWORK])
def test_the_gradients_are_checked(kind: str) -> None:
    net = network(kind)
    assert bl.check_gradients(net, X, Y).ok
    assert bl.check_gradients(net, X, Y, sample_weight=np.linspace(0.0, 2.0, len(X))).ok


@pytest.mark.parametrize("kind", ["", *KINDS])
def test_a_step_is_explained(kind: str) -> None:
    net = network(kind)
    rule = PlainSign() if kind == "optimiser" else Sign()
    ledger = bl.explain(net, X, Y, optimizer=rule)
    again = network(kind)
    bl.fit(again, X, Y, epochs=1, batch_size=None, optimizer=rule, engine="reference", progress=False)
    np.testing.assert_array_equal(ledger.step.after, again.parameters.values)
    assert "softsign" in str(ledger)
    assert ledger.trace.loss == pytest.approx(net.loss(X, Y))


def test_a_number_of_an_own_layer_is_unfolded_where_the_layer_says_how() -> None:
    shift = bl.explain(network(), X, Y).weight("1.shift", 2)
    assert shift.shares.sum() == pytest.approx(shift.gradient, rel=1e-12)
    assert shift.proof.digits > 6
    unknown = bl.explain(network("layer"), X, Y).weight("1.shift", 2)
    assert unknown.proof.digits > 6
    assert unknown.not_written_out == (
        "the gradient of shift of PlainShift() is not written out: the layer is your own"
    )
    # and through the layer, to the one below it
    below = bl.explain(network("layer"), X, Y).weight("0.weight", 1, 2)
    assert below.shares.sum() == pytest.approx(below.gradient, rel=1e-12)
    assert below.levels[0][0].slope == pytest.approx(1.0 / (1.0 + abs(below.levels[0][0].z)) ** 2)


def test_a_report_and_a_health_check_know_them(tmp_path: Path) -> None:
    net = network()
    bl.report(net, X, Y, tmp_path / "page.html")
    assert "softsign" in (tmp_path / "page.html").read_text()
    assert bl.health(net, X, Y) is not None
    assert "Shift" in str(bl.shapes(net, 5))


def test_a_wrong_gradient_of_an_own_loss_is_refused_at_the_first_batch() -> None:
    def half(a: np.ndarray, y: np.ndarray, out: np.ndarray, scratch: np.ndarray) -> None:
        np.multiply(0.5, (a - y) ** 3, out=out)

    wrong = replace(FOURTH, gradient=half)
    net = bl.Network([bl.Dense(2)], inputs=3, loss=wrong, dtype="float64")
    with pytest.raises(DerivativeError, match="the gradient given with the loss 'fourth' is wrong"):
        net.loss(X, Y)
    for engine in ("reference", "compiled"):
        net = bl.Network([bl.Dense(2)], inputs=3, loss=wrong, dtype="float64")
        before = net.parameters.values.copy()
        with pytest.raises(DerivativeError, match="the gradient given with the loss 'fourth' is wrong"):
            trained(net, bl.SGD(0.01), engine)
        np.testing.assert_array_equal(net.parameters.values, before)


def test_a_changed_copy_of_a_built_in_record_is_ones_own() -> None:
    tanh, loss = ACTIVATIONS["tanh"], get_loss("squared_error")
    assert tanh.builtin
    assert loss.builtin
    assert not replace(tanh, onnx=None).builtin
    assert not replace(loss, script=None).builtin
    assert pickle.loads(pickle.dumps(loss)).builtin


# ── copies ─────────────────────────────────────────────────────────────────────────────────────────────────
COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda net: pickle.loads(pickle.dumps(net)),
    "astype": lambda net: net.astype("float64"),
}


@pytest.mark.parametrize("how", COPIES)
def test_copies_are_whole_and_of_their_own(how: str) -> None:
    net = network()
    trained(net, Sign(), "reference")
    other = COPIES[how](net)
    np.testing.assert_array_equal(other.parameters.state, net.parameters.state)
    assert not np.shares_memory(other.parameters.values, net.parameters.values)
    assert np.shares_memory(other.layers[1].shift, other.parameters.values)
    assert np.shares_memory(other.layers[1].mean, other.parameters.state)
    assert type(other.layers[1]) is Shift
    assert other.layers[0].activation.name == "softsign"
    assert not other.layers[0].activation.builtin
    assert not other.loss_function.builtin
    np.testing.assert_array_equal(other.gradient(X, Y), net.gradient(X, Y))


# ── files and other programs ───────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("own", IN_A_NETWORK)
def test_a_file_is_refused(own: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        bl.save(network(own=own), tmp_path / "net.backlit")
    assert str(caught.value) == (
        "the network has a layer, an activation, a loss or a schedule of your own, which no file can hold: "
        "save net.parameters.values with numpy.save, and make the network anew"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("own", IN_A_NETWORK)
def test_a_description_that_names_them_is_no_network(own: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"there is no (layer|activation|loss) '(Shift|softsign|fourth)'"):
        bl.Network.from_spec(network(own=own).spec())
    # nor can a file smuggle them in
    bl.save(bl.Network([bl.Dense(2, "tanh")], inputs=3), tmp_path / "net.backlit")
    data = (tmp_path / "net.backlit").read_bytes()
    for name, instead in ((b"Dense", b"Shift"), (b"tanh", b"soft"), (b"squared_error", b"fourth_error_")):
        (tmp_path / "other.backlit").write_bytes(data.replace(name, instead))
        with pytest.raises(ModelFileError, match="is damaged: there is no "):
            bl.load(tmp_path / "other.backlit")


NO_SCRIPT = {
    "activation": "the activation 'softsign' of layer 0 is a function of your own, whose source no script can be made "
    "of: use one of Backlit's",
    "loss": "the loss 'fourth' is a function of your own, whose source no script can be made of: use one of Backlit's",
    "layer": "layer 1, Shift(), is of your own making, and no script can be made of its source: give it a `script`",
    "optimiser": "Sign(0.01) has no update that a NumPy script can hold: choose one of ",
}


@pytest.mark.parametrize("own", KINDS)
def test_a_script_is_refused(own: str, tmp_path: Path) -> None:
    net = network(own=own)
    with pytest.raises(ConfigurationError) as caught:
        bl.export_numpy(net, tmp_path / "net.py", optimizer=Sign() if own == "optimiser" else None)
    assert str(caught.value).startswith(NO_SCRIPT[own])
    assert not list(tmp_path.iterdir())


NO_ONNX = {
    "activation": "the activation 'softsign' is your own function, which ONNX cannot hold: use a named one",
    "layer": "Shift() is of your own making, which ONNX cannot hold: give it an `onnx`",
}


@pytest.mark.parametrize("own", NO_ONNX)
def test_onnx_is_refused(own: str, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    with pytest.raises(ConfigurationError) as caught:
        bl.export_onnx(network(own=own), tmp_path / "net.onnx")
    assert NO_ONNX[own] in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_onnx_holds_a_network_with_a_loss_of_ones_own(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    bl.export_onnx(network(own="loss"), tmp_path / "net.onnx")  # the loss is no part of the outputs
    assert (tmp_path / "net.onnx").exists()


def test_a_checkpoint_goes_on(tmp_path: Path) -> None:
    whole, part = network(), network()
    trained(whole, Sign(), "reference")
    settings: dict[str, Any] = {"batch_size": 5, "optimizer": Sign(), "engine": "reference", "progress": False}
    kept = bl.Checkpoint(tmp_path / "run", every=1e9)
    bl.fit(part, X, Y, epochs=1, callbacks=[kept], **settings)
    again = network()
    bl.fit(again, X, Y, epochs=3, resume=str(tmp_path / "run"), **settings)
    np.testing.assert_array_equal(again.parameters.state, whole.parameters.state)
