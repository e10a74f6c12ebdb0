"""Layer norm: every row brought to mean 0 and spread 1."""

from __future__ import annotations

from typing import Any, ClassVar, final

import numpy as np

from ..checks import positive
from ..parameters import Array
from ..typing import Spec
from .kernel import PARAMETERS, ROOM, Kernel, add_products, add_rows, matrix
from .layer import Computation, Factors, Layer, Moment, axes
from .script import LayerText, Line, number


@final
class LayerNorm(Layer):
    """Each row is brought to mean 0 and spread 1 over its features, then scaled and shifted by what is learnt.

        μ = mean_j a_in_j,   σ = √(mean_j (a_in_j − μ)² + ε)        one of each for a row
        x̂ = (a_in − μ) / σ,  a = γ ⊙ x̂ + β

        dL/dγ = Σ_rows x̂ ⊙ dL/da,   dL/dβ = Σ_rows dL/da
        dL/da_in = (g − mean_j g_j − x̂ mean_j g_j x̂_j) / σ,   g = γ ⊙ dL/da

    The last line is the chain rule through x̂, μ and σ: a number also moves the mean and the spread of its row. Training
    and inference are the same. Source: Ba, Kiros & Hinton, "Layer normalization" (2016). PyTorch has ε = 1e-5, Keras
    1e-3. γ and β have neither penalty nor weight decay.

    Parameters
    ----------
    epsilon : float, default=1e-5
        ε, so that a constant row is not divided by zero.

    Attributes
    ----------
    scale, shift : ndarray, shape (inputs,)
        γ and β, views into the network's parameter vector.

    Examples
    --------
    >>> import backlit as bl
    >>> net = bl.Network([LayerNorm(), bl.Dense(2)], inputs=2, dtype="float64")
    >>> _ = net.forward([[1.0, 3.0]])
    >>> bl.check_gradients(net, [[1.0, 3.0], [0.0, 5.0]], [[0.0, 1.0], [1.0, 0.0]]).ok
    True
    """

    builtin: ClassVar[bool] = True
    scale: Array
    scale_gradient: Array
    shift: Array
    shift_gradient: Array

    def __init__(self, epsilon: float = 1e-5) -> None:
        self.epsilon = positive("epsilon", epsilon)

    def build(self, inputs: int) -> dict[str, tuple[int, ...]]:
        self.inputs = self.outputs = inputs
        return {"scale": (inputs,), "shift": (inputs,)}

    def initial_value(self, name: str, shape: tuple[int, ...], rng: np.random.Generator) -> Array | float:
        return 1.0 if name == "scale" else 0.0

    def describe(self) -> Spec:
        return {"kind": "LayerNorm", "epsilon": self.epsilon}

    def room(self, n: int, dtype: np.dtype[Any], training: bool) -> dict[str, Array]:
        shape = (n, self.inputs)
        return {
            "x_hat": np.empty(shape, dtype),
            "sigma": np.empty((n, 1), dtype),
            "work": np.empty(shape if training else (0, 0), dtype),
        }

    def forward(self, work: Any, i: int, moment: Moment | None) -> None:
        a_in, a = work.a[i], work.a[i + 1]  # (n, inputs)
        x_hat, sigma = work.room[i]["x_hat"], work.room[i]["sigma"]  # (n, inputs), (n, 1)
        # μ and σ of each row
        np.subtract(a_in, a_in.mean(axis=1, keepdims=True), out=x_hat)
        np.multiply(x_hat, x_hat, out=a)
        np.mean(a, axis=1, keepdims=True, out=sigma)
        sigma += self.epsilon
        np.sqrt(sigma, out=sigma)
        # x̂ = (a_in − μ) / σ, a = γ ⊙ x̂ + β
        x_hat /= sigma
        np.multiply(x_hat, self.scale, out=a)
        a += self.shift

    def backward(self, work: Any, i: int, below: bool) -> None:
        delta = work.delta[i]  # dL/da, (n, inputs)
        x_hat, sigma, g = work.room[i]["x_hat"], work.room[i]["sigma"], work.room[i]["work"]
        # dL/dγ = Σ_rows x̂ ⊙ dL/da, dL/dβ = Σ_rows dL/da
        np.multiply(x_hat, delta, out=g)
        np.dot(work.ones, g, out=self.scale_gradient)
        np.dot(work.ones, delta, out=self.shift_gradient)
        if below:
            # dL/da_in = (g − mean g − x̂ mean(g ⊙ x̂)) / σ, g = γ ⊙ dL/da
            np.multiply(delta, self.scale, out=g)
            out = work.delta[i - 1]
            np.multiply(g, x_hat, out=out)
            np.multiply(x_hat, out.mean(axis=1, keepdims=True), out=out)
            np.subtract(g, out, out=out)
            out -= g.mean(axis=1, keepdims=True)
            out /= sigma

    def kernel_settings(self) -> tuple[float, ...]:
        return (self.epsilon,)

    def kernel_room(self, n: int) -> int:
        return n * self.inputs + n  # x̂ and σ

    def script(self, i: int, *, below: bool, given_delta: bool) -> LayerText:
        size, shape, over = f"({self.inputs},)", f"(n, {self.inputs})", "axis=1, keepdims=True"
        forward: list[Line] = [
            (f"c{i} = a{i} - a{i}.mean({over})", shape),
            (f"s{i} = np.sqrt((c{i}**2).mean({over}) + {number(self.epsilon)})", "(n, 1)"),
            (f"x{i} = c{i} / s{i}", f"{shape} / (n, 1) = {shape}"),
            (f"a{i + 1} = scale{i} * x{i} + shift{i}", f"{size} ⊙ {shape} + {size} = {shape}"),
        ]
        backward: list[Line] = [
            ("", f"layer {i}, layer norm: a{i + 1} = γ ⊙ x̂ + β, x̂ = (a{i} − μ) / σ of each row"),
            (f"dscale{i} = (x{i} * da{i + 1}).sum(axis=0) / n", f"{size}, like scale{i}"),
            (f"dshift{i} = da{i + 1}.sum(axis=0) / n", f"{size}, like shift{i}"),
        ]
        if below:
            backward += [
                (f"g{i} = scale{i} * da{i + 1}", f"{size} ⊙ {shape}"),
                (f"h{i} = (g{i} * x{i}).mean({over})", "(n, 1)"),
                (f"da{i} = (g{i} - g{i}.mean({over}) - x{i} * h{i}) / s{i}", shape),
            ]
        results = (f"s{i}", f"x{i}", f"a{i + 1}")
        return LayerText("LayerNorm, every row to mean 0 and spread 1", forward, results, backward)

    def onnx(self, graph: Any, x: str) -> str:
        centred = graph.op("Sub", x, graph.row_mean(x))
        sigma = graph.op(
            "Sqrt", graph.op("Add", graph.row_mean(graph.op("Mul", centred, centred)), graph.constant(self.epsilon))
        )
        scaled = graph.op("Mul", graph.op("Div", centred, sigma), graph.constant(self.scale))
        return str(graph.op("Add", scaled, graph.constant(self.shift)))

    @property
    def title(self) -> str:
        return "layer norm"

    def forward_steps(self, n: int) -> list[Computation]:
        a_in, a = axes(n, self)
        row = ((n, "samples"),)
        reason = "Mean and spread belong to a row: the samples do not meet."
        return [
            Computation("x̂ = (a_in − μ) / σ", (a_in, row), a_in, "", reason),
            Computation("a = γ ⊙ x̂ + β", (a_in, (a[1],)), a, "", "One factor and one shift for each feature."),
        ]

    def backward_steps(self, n: int, *, below: bool, pair: str) -> list[Computation]:
        a_in, a = axes(n, self)
        reason = "γ and β are met by every sample: what each would change is added up."
        found = [
            Computation("dL/dγ = Σ_rows x̂ ⊙ dL/da", (a_in, a), (a[1],), "samples", reason),
            Computation("dL/dβ = Σ_rows dL/da", (a,), (a[1],), "samples", reason),
        ]
        if below:
            reason = "A number moves the mean and the spread of its own row too: their part is taken off."
            equation = "dL/da_in = (g − mean g − x̂ mean(g ⊙ x̂)) / σ, g = γ ⊙ dL/da"
            found.append(Computation(equation, (a, a_in), a_in, "", reason))
        return found

    def columns(self, room: dict[str, Array], a_in: Array, a: Array, delta: Array | None) -> dict[str, Array]:
        found = {"a_in": a_in, "x̂": room["x_hat"], "a": a}
        return found if delta is None else {**found, "dL/da": delta}

    def through(self, room: dict[str, Array]) -> tuple[str, Array | None]:
        return "through mean and spread of the row", None

    def gradient_factors(
        self, name: str, index: tuple[int, ...], room: dict[str, Array], a_in: Array, delta: Array
    ) -> Factors:
        j = index[0]
        if name == "shift":
            return Factors(np.ones(len(delta)), delta[:, j], "", f"dL/da_{j}")
        return Factors(room["x_hat"][:, j], delta[:, j], f"x̂_{j}", f"dL/da_{j}")

    def __repr__(self) -> str:
        return "LayerNorm()" if self.epsilon == 1e-5 else f"LayerNorm({self.epsilon})"


def _forward(
    chain: Any, i: int, a_in: Array, a: Array, w: Array, step: int, activate: Any, start: int, stop: int
) -> None:
    n, units = a.shape
    epsilon = a.dtype.type(chain.settings[i, 0])
    place, room = chain.layers[i, PARAMETERS], chain.layers[i, ROOM]
    gamma, beta = chain.values[place : place + units], chain.values[place + units : place + 2 * units]
    x_hat, sigma = matrix(chain.memory, room, n, units), chain.memory[room + n * units : room + n * units + n]
    for row in range(start, stop):
        total = a.dtype.type(0)
        for j in range(units):
            total += a_in[row, j]
        mean = total / a.dtype.type(units)
        total = a.dtype.type(0)
        for j in range(units):
            x_hat[row, j] = a_in[row, j] - mean
            total += x_hat[row, j] * x_hat[row, j]
        sigma[row] = np.sqrt(total / a.dtype.type(units) + epsilon)
        # x̂ = (a_in − μ) / σ, a = γ ⊙ x̂ + β
        for j in range(units):
            x_hat[row, j] /= sigma[row]
            a[row, j] = gamma[j] * x_hat[row, j] + beta[j]


def _backward(
    chain: Any, i: int, a: Array, delta: Array, delta_in: Array, w: Array, below: bool, slopes: bool,
    times_slope: Any, start: int, stop: int,
) -> None:  # fmt: skip
    if not below:
        return
    n, units = a.shape
    place, room = chain.layers[i, PARAMETERS], chain.layers[i, ROOM]
    gamma = chain.values[place : place + units]
    x_hat, sigma = matrix(chain.memory, room, n, units), chain.memory[room + n * units : room + n * units + n]
    for row in range(start, stop):
        mean, product = a.dtype.type(0), a.dtype.type(0)
        for j in range(units):
            g = gamma[j] * delta[row, j]
            mean += g
            product += g * x_hat[row, j]
        # dL/da_in = (g − mean g − x̂ mean(g ⊙ x̂)) / σ, g = γ ⊙ dL/da
        mean /= a.dtype.type(units)
        product /= a.dtype.type(units)
        for j in range(units):
            delta_in[row, j] = (gamma[j] * delta[row, j] - mean - x_hat[row, j] * product) / sigma[row]


def _gradient(chain: Any, i: int, part: int, a_in: Array, delta: Array, start: int, stop: int, out: Array) -> None:
    n, units = delta.shape
    # dL/dγ = Σ_rows x̂ ⊙ dL/da, dL/dβ = Σ_rows dL/da
    if part == 0:
        x_hat = matrix(chain.memory, chain.layers[i, ROOM], n, units)
        add_products(x_hat, delta, start, out)
    else:
        add_rows(delta, start, out)


LayerNorm.kernel = Kernel(_forward, _backward, _gradient)
