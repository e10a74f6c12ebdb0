"""Batch norm: every feature brought to mean 0 and spread 1 over the batch."""

from __future__ import annotations

from typing import Any, ClassVar, final

import numpy as np

from ..checks import fraction, positive
from ..exceptions import ConfigurationError
from ..parameters import Array
from ..typing import Spec
from .kernel import BUFFERS, OUTPUTS, PARAMETERS, ROOM, Kernel, add_products, add_rows, matrix
from .layer import Computation, Factors, Layer, Moment, axes
from .script import LayerText, Line, number


@final
class BatchNorm(Layer):
    """Each feature is brought to mean 0 and spread 1 over the rows of the batch, then scaled and shifted.

        μ_j = Σ_rows p a_in_j,   σ_j = √(Σ_rows p (a_in_j − μ_j)² + ε)      p = 1/n, or w/Σw with sample weights w
        x̂ = (a_in − μ) / σ,      a = γ ⊙ x̂ + β

        dL/dγ = Σ_rows x̂ ⊙ dL/da,   dL/dβ = Σ_rows dL/da
        dL/da_in = γ/σ ⊙ (dL/da − p dL/dβ − p x̂ ⊙ dL/dγ)

    The last line is the chain rule through x̂, μ and σ: a row also moves mean and spread of the batch. Inference takes
    running means of μ and σ² instead, which training leaves in the buffers ``mean`` and ``variance``:
    running ← momentum · running + (1 − momentum) · of the batch; there dL/da_in = γ/σ ⊙ dL/da.

    Source: Ioffe & Szegedy, "Batch normalization" (2015). The running variance is that of the rows, as in Keras;
    PyTorch multiplies it by n/(n − 1), and its momentum is our 1 − momentum. γ and β have neither penalty nor weight
    decay. A row of sample weight 2 counts as two rows in μ and σ.

    Parameters
    ----------
    momentum : float, default=0.9
        How much of the running mean a step keeps.
    epsilon : float, default=1e-5
        ε, so that a constant feature is not divided by zero.

    Attributes
    ----------
    scale, shift : ndarray, shape (inputs,)
        γ and β, views into the network's parameter vector.
    mean, variance : ndarray, shape (inputs,)
        The running ones, views into the network's buffers.

    Examples
    --------
    >>> import backlit as bl
    >>> net = bl.Network([BatchNorm(momentum=0.0), bl.Dense(1)], inputs=1, dtype="float64")
    >>> X, y = [[1.0], [3.0]], [0.0, 1.0]
    >>> _ = bl.fit(net, X, y, epochs=1, batch_size=None, progress=False)
    >>> net.layers[0].mean, net.layers[0].variance
    (array([2.]), array([1.]))
    >>> bl.check_gradients(net, X, y).ok, bl.check_gradients(net, X, y, step=0).ok      # inference, training
    (True, True)
    """

    builtin: ClassVar[bool] = True
    mixes_rows: ClassVar[bool] = True
    scale: Array
    scale_gradient: Array
    shift: Array
    shift_gradient: Array
    mean: Array
    variance: Array

    def __init__(self, momentum: float = 0.9, epsilon: float = 1e-5) -> None:
        self.momentum = fraction("momentum", momentum)
        self.epsilon = positive("epsilon", epsilon)

    def build(self, inputs: int) -> dict[str, tuple[int, ...]]:
        self.inputs = self.outputs = inputs
        return {"scale": (inputs,), "shift": (inputs,)}

    def buffers(self) -> dict[str, tuple[int, ...]]:
        return {"mean": (self.inputs,), "variance": (self.inputs,)}

    def initial_value(self, name: str, shape: tuple[int, ...], rng: np.random.Generator) -> Array | float:
        return 1.0 if name in ("scale", "variance") else 0.0

    def check_state(self) -> None:
        if (self.variance < 0.0).any():
            raise ConfigurationError(f"a running variance of {self!r} is {self.variance.min()}, below 0")

    def describe(self) -> Spec:
        return {"kind": "BatchNorm", "momentum": self.momentum, "epsilon": self.epsilon}

    def room(self, n: int, dtype: np.dtype[Any], training: bool) -> dict[str, Array]:
        """x̂; mean, variance and σ at work, (inputs,); whether they are the batch's own; and p, (n, 1)."""
        shape = (n, self.inputs)
        return {
            "x_hat": np.empty(shape, dtype),
            "mean": np.empty(self.inputs, dtype),
            "variance": np.empty(self.inputs, dtype),
            "sigma": np.empty(self.inputs, dtype),
            "own": np.zeros(1, np.bool_),
            "p": np.empty((n, 1), dtype),
            "work": np.empty(shape if training else (0, 0), dtype),
        }

    def forward(self, work: Any, i: int, moment: Moment | None) -> None:
        a_in, a, room = work.a[i], work.a[i + 1], work.room[i]  # (n, inputs)
        x_hat, mean, variance, sigma, p = (room[name] for name in ("x_hat", "mean", "variance", "sigma", "p"))
        room["own"][0] = moment is not None
        if moment is None:
            mean[...], variance[...] = self.mean, self.variance
            np.subtract(a_in, mean, out=x_hat)
        else:
            # p = 1/n, or w/Σw
            p[...] = 1.0 / work.n if work.weight is None else (work.weight / max(work.weight.sum(), 1e-30))[:, None]
            # μ = Σ_rows p a_in, σ² = Σ_rows p (a_in − μ)²
            np.dot(p[:, 0], a_in, out=mean)
            np.subtract(a_in, mean, out=x_hat)
            np.multiply(x_hat, x_hat, out=a)
            np.dot(p[:, 0], a, out=variance)
        np.add(variance, self.epsilon, out=sigma)
        np.sqrt(sigma, out=sigma)
        # x̂ = (a_in − μ) / σ, a = γ ⊙ x̂ + β
        x_hat /= sigma
        np.multiply(x_hat, self.scale, out=a)
        a += self.shift

    def backward(self, work: Any, i: int, below: bool) -> None:
        delta, room = work.delta[i], work.room[i]  # dL/da, (n, inputs)
        x_hat, p, product = room["x_hat"], room["p"], room["work"]
        # dL/dγ = Σ_rows x̂ ⊙ dL/da, dL/dβ = Σ_rows dL/da
        np.multiply(x_hat, delta, out=product)
        np.dot(work.ones, product, out=self.scale_gradient)
        np.dot(work.ones, delta, out=self.shift_gradient)
        if below:
            # dL/da_in = γ/σ ⊙ (dL/da − p dL/dβ − p x̂ ⊙ dL/dγ); running means do not move with the rows
            out = work.delta[i - 1]
            out[...] = delta
            if room["own"][0]:
                np.multiply(x_hat, self.scale_gradient, out=product)
                product += self.shift_gradient
                product *= p
                out -= product
            out *= self.scale / room["sigma"]

    def remember(self, work: Any, i: int) -> None:
        # running ← momentum · running + (1 − momentum) · of the batch
        for running, batch in ((self.mean, work.room[i]["mean"]), (self.variance, work.room[i]["variance"])):
            running *= self.momentum
            running += (1.0 - self.momentum) * batch

    def kernel_settings(self) -> tuple[float, ...]:
        return (self.momentum, self.epsilon)

    def kernel_room(self, n: int) -> int:
        return n * self.inputs + 2 * self.inputs  # x̂, μ and σ²

    def script(self, i: int, *, below: bool, given_delta: bool) -> LayerText:
        size, shape, keep = f"({self.inputs},)", f"(n, {self.inputs})", number(self.momentum)
        forward: list[Line] = [
            (f"u{i}, v{i} = mean{i}, variance{i}", f"{size}, {size}"),
            ("if step is not None:", "in training those of the batch"),
            (f"    u{i}, v{i} = a{i}.mean(axis=0), a{i}.var(axis=0)", ""),
            (f"s{i} = np.sqrt(v{i} + {number(self.epsilon)})", size),
            (f"x{i} = (a{i} - u{i}) / s{i}", shape),
            (f"a{i + 1} = scale{i} * x{i} + shift{i}", f"{size} ⊙ {shape} + {size} = {shape}"),
        ]
        backward: list[Line] = [
            ("", f"layer {i}, batch norm: a{i + 1} = γ ⊙ x̂ + β, x̂ = (a{i} − μ) / σ of each feature"),
            (f"dscale{i} = (x{i} * da{i + 1}).sum(axis=0) / n", f"{size}, like scale{i}"),
            (f"dshift{i} = da{i + 1}.sum(axis=0) / n", f"{size}, like shift{i}"),
        ]
        if below:
            backward += [
                (f"g{i} = da{i + 1}", f"{shape}; in training a row also moves mean and spread of the batch"),
                ("if step is not None:", ""),
                (f"    g{i} = g{i} - dshift{i} - x{i} * dscale{i}", shape),
                (f"da{i} = scale{i} / s{i} * g{i}", f"{size} ⊙ {shape}"),
            ]
        return LayerText(
            "BatchNorm, every feature to mean 0 and spread 1 over the batch",
            forward,
            (f"u{i}", f"v{i}", f"s{i}", f"x{i}", f"a{i + 1}"),
            backward,
            update=(
                f"mean{i}[:] = {keep} * mean{i} + (1 - {keep}) * u{i}",
                f"variance{i}[:] = {keep} * variance{i} + (1 - {keep}) * v{i}",
            ),
            training=True,
        )

    def onnx(self, graph: Any, x: str) -> str:
        sigma = np.sqrt(self.variance + self.epsilon)
        centred = graph.op("Sub", x, graph.constant(self.mean))
        return str(
            graph.op("Add", graph.op("Mul", centred, graph.constant(self.scale / sigma)), graph.constant(self.shift))
        )

    @property
    def title(self) -> str:
        return "batch norm"

    def forward_steps(self, n: int) -> list[Computation]:
        a_in, a = axes(n, self)
        reason = "Mean and spread belong to a feature: in training they are taken over the samples."
        return [
            Computation("x̂ = (a_in − μ) / σ", (a_in, (a_in[1],)), a_in, "", reason),
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
            reason = "In training a row moves mean and spread of the batch too: their part is taken off."
            equation = "dL/da_in = γ/σ ⊙ (dL/da − p dL/dβ − p x̂ ⊙ dL/dγ)"
            found.append(Computation(equation, (a, a_in), a_in, "", reason))
        return found

    def columns(self, room: dict[str, Array], a_in: Array, a: Array, delta: Array | None) -> dict[str, Array]:
        found = {"a_in": a_in, "x̂": room["x_hat"], "a": a}
        return found if delta is None else {**found, "dL/da": delta}

    def through(self, room: dict[str, Array]) -> tuple[str, Array | None]:
        if room["own"][0]:
            return "through mean and spread of the batch", None
        return "γ/σ", np.broadcast_to(self.scale / room["sigma"], room["x_hat"].shape)

    def gradient_factors(
        self, name: str, index: tuple[int, ...], room: dict[str, Array], a_in: Array, delta: Array
    ) -> Factors:
        j = index[0]
        if name == "shift":
            return Factors(np.ones(len(delta)), delta[:, j], "", f"dL/da_{j}")
        return Factors(room["x_hat"][:, j], delta[:, j], f"x̂_{j}", f"dL/da_{j}")

    def __repr__(self) -> str:
        changed = [f"{name}={value}" for name, value, usual in (
            ("momentum", self.momentum, 0.9), ("epsilon", self.epsilon, 1e-5)) if value != usual]  # fmt: skip
        return f"BatchNorm({', '.join(changed)})"


def _forward(
    chain: Any, i: int, a_in: Array, a: Array, w: Array, step: int, activate: Any, start: int, stop: int
) -> None:
    n, units = a.shape
    real = a.dtype.type
    epsilon = real(chain.settings[i, 1])
    place, room = chain.layers[i, PARAMETERS], chain.layers[i, ROOM]
    gamma, beta = chain.values[place : place + units], chain.values[place + units : place + 2 * units]
    x_hat, rest = matrix(chain.memory, room, n, units), room + n * units
    mean, variance = chain.memory[rest : rest + units][start:stop], chain.memory[rest + units :][start:stop]
    gamma, beta = gamma[start:stop], beta[start:stop]
    total = real(0)
    for row in range(n):
        total += w[row]
    share = real(1) / total if total > 0 else real(0)
    for j in range(mean.size):
        mean[j] = 0
        variance[j] = 0
    # μ = Σ_rows p a_in, σ² = Σ_rows p (a_in − μ)², with p = w/Σw
    for row in range(n):
        taken = a_in[row][start:stop]
        for j in range(mean.size):
            mean[j] += w[row] * share * taken[j]
    for row in range(n):
        taken, x = a_in[row][start:stop], x_hat[row][start:stop]
        for j in range(mean.size):
            x[j] = taken[j] - mean[j]
            variance[j] += w[row] * share * x[j] * x[j]
    # x̂ = (a_in − μ) / σ, a = γ ⊙ x̂ + β
    for row in range(n):
        x, given = x_hat[row][start:stop], a[row][start:stop]
        for j in range(mean.size):
            x[j] /= np.sqrt(variance[j] + epsilon)
            given[j] = gamma[j] * x[j] + beta[j]


def _backward(
    chain: Any, i: int, a: Array, delta: Array, delta_in: Array, w: Array, below: bool, slopes: bool,
    times_slope: Any, start: int, stop: int,
) -> None:  # fmt: skip
    n, units = a.shape
    real = a.dtype.type
    epsilon = real(chain.settings[i, 1])
    place, room = chain.layers[i, PARAMETERS], chain.layers[i, ROOM]
    gamma = chain.values[place : place + units]
    dgamma, dbeta = chain.sums[place : place + units], chain.sums[place + units : place + 2 * units]
    x_hat, rest = matrix(chain.memory, room, n, units), room + n * units
    gamma, variance = gamma[start:stop], chain.memory[rest + units :][start:stop]
    dgamma, dbeta = dgamma[start:stop], dbeta[start:stop]
    # dL/dγ = Σ_rows x̂ ⊙ dL/da, dL/dβ = Σ_rows dL/da: here, as dL/da_in needs them
    add_products(x_hat, delta, start, dgamma)
    add_rows(delta, start, dbeta)
    # dL/da_in = γ/σ ⊙ (dL/da − p dL/dβ − p x̂ ⊙ dL/dγ)
    if below:
        total = real(0)
        for row in range(n):
            total += w[row]
        share = real(1) / total if total > 0 else real(0)
        for row in range(n):
            p = w[row] * share
            x, given, taken = x_hat[row][start:stop], delta[row][start:stop], delta_in[row][start:stop]
            for j in range(gamma.size):
                moved = p * (dbeta[j] + x[j] * dgamma[j])
                taken[j] = gamma[j] / np.sqrt(variance[j] + epsilon) * (given[j] - moved)


def _remember(chain: Any, i: int, n: int) -> None:
    # running ← momentum · running + (1 − momentum) · of the batch
    real = chain.values.dtype.type
    units, start = chain.layers[i, OUTPUTS], chain.layers[i, BUFFERS]
    batch = chain.layers[i, ROOM] + n * units
    keep, add = real(chain.settings[i, 0]), real(1.0 - chain.settings[i, 0])
    buffers, memory = chain.buffers, chain.memory
    for j in range(2 * units):
        buffers[start + j] = buffers[start + j] * keep + memory[batch + j] * add


def _inference(
    chain: Any, i: int, a_in: Array, a: Array, w: Array, step: int, activate: Any, start: int, stop: int
) -> None:
    units, epsilon = a.shape[1], a.dtype.type(chain.settings[i, 1])
    place, running = chain.layers[i, PARAMETERS], chain.layers[i, BUFFERS]
    gamma, beta = chain.values[place : place + units], chain.values[place + units : place + 2 * units]
    mean, variance = chain.buffers[running : running + units], chain.buffers[running + units : running + 2 * units]
    # x̂ = (a_in − μ) / σ, a = γ ⊙ x̂ + β, with the running ones
    for row in range(start, stop):
        for j in range(units):
            x_hat = (a_in[row, j] - mean[j]) / np.sqrt(variance[j] + epsilon)
            a[row, j] = gamma[j] * x_hat + beta[j]


BatchNorm.kernel = Kernel(_forward, _backward, remember=_remember, inference=_inference, by_columns=True)
