"""Parametric: an activation of which each feature learns how much it takes."""

from __future__ import annotations

from typing import Any, ClassVar, final

import numpy as np

from ..exceptions import ConfigurationError
from ..parameters import Array
from ..typing import Spec
from .activation import Activation
from .activations import ActivationLike, get_activation
from .initializers import Initializer, check_initializer, initial_values
from .kernel import ACTIVATION, PARAMETERS, ROOM, Kernel, add_products, matrix
from .layer import Computation, Factors, Layer, Moment, axes
from .script import LayerText, Line


@final
class Parametric(Layer):
    """Between each feature and its activation, a share of the activation that is learnt.

        a_j = z_j + α_j (f(z_j) − z_j)                  z (n, inputs) is what it takes, α (inputs,)
            = (1 − α_j) z_j + α_j f(z_j)

        dL/dα_j = Σ_rows dL/da_j (f(z_j) − z_j)
        dL/dz_j = dL/da_j a′_j,   a′_j = 1 + α_j (f′(z_j) − 1)

    With α = 1 it is f, with 0 it hands on what it gets; nothing keeps α between them. With relu it is PReLU, He et al.,
    "Delving deep into rectifiers" (2015), whose slope below zero is 1 − α_j. Before it stands a `Dense` without an
    activation, whose z it takes.

    Source: the parametric activation of RealMLP, Holzmüller, Grinsztajn & Steinwart, "Better by default" (2024), with
    selu for classes and mish for values. It begins at α = 1 as here, and gives α a tenth of the learning rate of the
    weights, and, in its authors' program, their weight decay, which draws f towards the identity. Backlit has one rate
    for all parameters, and α has neither penalty nor weight decay.

    Parameters
    ----------
    activation : str, pair of functions or Activation, default="relu"
        f; see `Dense`. Not softmax: each number has to stand alone.
    init : str, float or ("constant", float), default=1.0
        Initial values of α.

    Attributes
    ----------
    share : ndarray, shape (inputs,)
        α, a view into the network's parameter vector.

    Raises
    ------
    ConfigurationError
        For an unknown activation, and for one that mixes the units of a row.

    Examples
    --------
    >>> import backlit as bl
    >>> net = bl.Network([Parametric("relu", init=0.75), bl.Dense(1, weight_init=1.0)], inputs=2, dtype="float64")
    >>> net.forward([[3.0, -4.0]])                                         # 3 − ¼ · 4
    array([[2.]])
    >>> net.gradient([[3.0, -4.0]], [1.0])[:2]                             # (2 − 1) · (0 − −4) where f(z) is not z
    array([0., 4.])
    """

    builtin: ClassVar[bool] = True
    share: Array
    share_gradient: Array

    def __init__(self, activation: ActivationLike = "relu", init: Initializer = 1.0) -> None:
        self.f = get_activation(activation)
        if self.f.slope is None:
            raise ConfigurationError(
                f"Parametric takes an activation of each number by itself, and {self.f.name} mixes the units of a row: "
                "use one with a slope, such as relu or mish"
            )
        self.init = check_initializer(init)

    @property
    def function(self) -> Activation | None:
        return self.f

    def build(self, inputs: int) -> dict[str, tuple[int, ...]]:
        self.inputs = self.outputs = inputs
        return {"share": (inputs,)}

    def initial_value(self, name: str, shape: tuple[int, ...], rng: np.random.Generator) -> Array | float:
        return initial_values(self.init, rng, shape, self.inputs, self.inputs)

    def describe(self) -> Spec:
        return {"kind": "Parametric", "activation": self.f.name, "init": self.init}

    # ── the lesson ───────────────────────────────────────────────────────────────────────────────────────

    def room(self, n: int, dtype: np.dtype[Any], training: bool) -> dict[str, Array]:
        """f(z), and a′ on the way back."""
        shape = (n, self.inputs)
        return {"f": np.empty(shape, dtype), "slope": np.empty(shape if training else (0, 0), dtype)}

    def forward(self, work: Any, i: int, moment: Moment | None) -> None:
        z, a, f, kept = work.a[i], work.a[i + 1], work.room[i]["f"], work.scratch[i]  # (n, inputs)
        self.f.f(z, f)
        # a = (1 − α) ⊙ z + α ⊙ f(z): in this form it is f(z) to the last bit where α = 1
        np.multiply(z, 1.0 - self.share, out=kept)
        np.multiply(f, self.share, out=a)
        a += kept

    def backward(self, work: Any, i: int, below: bool) -> None:
        z, delta, product = work.a[i], work.delta[i], work.scratch[i]  # z, dL/da and room, (n, inputs)
        f, slope = work.room[i]["f"], work.room[i]["slope"]  # (n, inputs)
        # dL/dα = Σ_rows dL/da ⊙ (f(z) − z)
        np.subtract(f, z, out=product)
        product *= delta
        np.dot(work.ones, product, out=self.share_gradient)
        # dL/dz = dL/da ⊙ a′, a′ = 1 − α + α ⊙ f′(z), which the lens shows of the first layer that learns, too
        write_slope: Any = self.f.slope  # which it has: see __init__
        write_slope(z, f, slope, product)
        slope *= self.share
        slope += 1.0 - self.share
        if below:
            np.multiply(delta, slope, out=work.delta[i - 1])

    # ── the compiled engine ──────────────────────────────────────────────────────────────────────────────

    def kernel_room(self, n: int) -> int:
        return 2 * n * self.inputs  # z, and f(z) − z in its place; f(z)

    # ── other programs ───────────────────────────────────────────────────────────────────────────────────

    def script(self, i: int, *, below: bool, given_delta: bool) -> LayerText:
        text, size, shape = self.f.text(i), f"({self.inputs},)", f"(n, {self.inputs})"
        forward: list[Line] = [
            (f"f{i} = {text.value.format(z=f'a{i}')}", shape),
            (f"a{i + 1} = (1 - share{i}) * a{i} + share{i} * f{i}", f"{size} ⊙ {shape} + {size} ⊙ {shape} = {shape}"),
        ]
        backward: list[Line] = [
            ("", f"layer {i}, parametric {self.f.name}: dL/dz = dL/da ⊙ (1 + α ⊙ (f′(z) − 1)), z = a{i}"),
            (f"dshare{i} = (da{i + 1} * (f{i} - a{i})).sum(axis=0) / n", f"{size}, like share{i}"),
        ]
        if below:
            through = text.delta.format(z=f"a{i}", a=f"f{i}", da=f"da{i + 1}")
            backward += [
                (f"df{i} = {through}", f"{shape}, dL/da ⊙ f′(z)"),
                (f"da{i} = (1 - share{i}) * da{i + 1} + share{i} * df{i}", f"{shape}, like a{i}"),
            ]
        title = f"Parametric, {self.f.name}, of which each feature takes a share"
        return LayerText(title, forward, (f"f{i}", f"a{i + 1}"), backward, helpers=text.helpers)

    def onnx(self, graph: Any, x: str) -> str:
        kept = graph.op("Mul", x, graph.constant(1.0 - self.share))
        taken = graph.op("Mul", self.f.node(graph, x), graph.constant(self.share))
        return str(graph.op("Add", kept, taken))

    # ── the lens ─────────────────────────────────────────────────────────────────────────────────────────

    @property
    def title(self) -> str:
        return f"parametric {self.f.name}"

    def forward_steps(self, n: int) -> list[Computation]:
        a_in, a = axes(n, self)
        own = "Every feature has a share of its own, the same in every row: 1 takes f, 0 what went in."
        return [
            Computation(f"f = f(z), {self.f.name}, z = a_in", (a_in,), a, "", "Every number by itself."),
            Computation("a = (1 − α) ⊙ z + α ⊙ f", (a_in, a, (a[1],)), a, "", own),
        ]

    def backward_steps(self, n: int, *, below: bool, pair: str) -> list[Computation]:
        a_in, a = axes(n, self)
        reason = "A share is met by every sample: what each would change, f − z, is added up."
        found = [Computation("dL/dα = Σ_rows dL/da ⊙ (f − z)", (a, a, a_in), (a[1],), "samples", reason)]
        if below:
            reason = "Element by element: each z feeds its own a, by itself and through f."
            equation = "dL/da_in = dL/da ⊙ a′, a′ = 1 + α ⊙ (f′(z) − 1)"
            found.append(Computation(equation, (a, (a[1],), a_in), a_in, "", reason))
        return found

    def columns(self, room: dict[str, Array], a_in: Array, a: Array, delta: Array | None) -> dict[str, Array]:
        found = {"a_in": a_in, "f(a_in)": room["f"], "a": a}
        return found if delta is None else {**found, "dL/da": delta}

    def through(self, room: dict[str, Array]) -> tuple[str, Array | None]:
        return "a′", room["slope"]

    def gradient_factors(
        self, name: str, index: tuple[int, ...], room: dict[str, Array], a_in: Array, delta: Array
    ) -> Factors:
        j = index[0]
        return Factors(room["f"][:, j] - a_in[:, j], delta[:, j], f"(f_{j} − z_{j})", f"dL/da_{j}")

    def __repr__(self) -> str:
        init = "" if self.init == 1.0 else f", init={self.init!r}"
        return f"Parametric({self.f.name!r}{init})"


def _forward(
    chain: Any, i: int, a_in: Array, a: Array, w: Array, step: int, activate: Any, start: int, stop: int
) -> None:
    n, units = a.shape
    place, room = chain.layers[i, PARAMETERS], chain.layers[i, ROOM]
    alpha = chain.values[place : place + units]
    z, f = matrix(chain.memory, room, n, units), matrix(chain.memory, room + n * units, n, units)
    for row in range(start, stop):
        for j in range(units):
            z[row, j] = a_in[row, j]
    activate(chain.layers[i, ACTIVATION], z[start:stop], f[start:stop])
    # a = (1 − α) ⊙ z + α ⊙ f(z)
    one = a.dtype.type(1)
    for row in range(start, stop):
        for j in range(units):
            a[row, j] = f[row, j] * alpha[j] + z[row, j] * (one - alpha[j])


def _backward(
    chain: Any, i: int, a: Array, delta: Array, delta_in: Array, w: Array, below: bool, slopes: bool,
    times_slope: Any, start: int, stop: int,
) -> None:  # fmt: skip
    n, units = a.shape
    place, room = chain.layers[i, PARAMETERS], chain.layers[i, ROOM]
    alpha = chain.values[place : place + units]
    z, f = matrix(chain.memory, room, n, units), matrix(chain.memory, room + n * units, n, units)
    one = a.dtype.type(1)
    # dL/dz = dL/da ⊙ a′, a′ = 1 − α + α ⊙ f′(z)
    if below:
        for row in range(start, stop):
            for j in range(units):
                delta_in[row, j] = one
        times_slope(chain.layers[i, ACTIVATION], z[start:stop], f[start:stop], delta_in[start:stop])
        for row in range(start, stop):
            for j in range(units):
                delta_in[row, j] = delta[row, j] * (delta_in[row, j] * alpha[j] + (one - alpha[j]))
    # f(z) − z, in the place of z
    for row in range(start, stop):
        for j in range(units):
            z[row, j] = f[row, j] - z[row, j]


def _gradient(chain: Any, i: int, part: int, a_in: Array, delta: Array, start: int, stop: int, out: Array) -> None:
    n, units = delta.shape
    # dL/dα = Σ_rows dL/da ⊙ (f(z) − z)
    add_products(matrix(chain.memory, chain.layers[i, ROOM], n, units), delta, start, out)


Parametric.kernel = Kernel(_forward, _backward, _gradient)
