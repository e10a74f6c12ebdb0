"""Scale: one learnable factor for each feature."""

from __future__ import annotations

from typing import Any, ClassVar, final

import numpy as np

from ..parameters import Array
from ..typing import Spec
from .initializers import Initializer, check_initializer, initial_values
from .kernel import OUTPUTS, PARAMETERS, Kernel, add_products
from .layer import Computation, Factors, Layer, Moment, axes
from .script import LayerText


@final
class Scale(Layer):
    """One learnable factor for each feature: a table's columns find their own weight.

        a = a_in ⊙ s            s (inputs,), the same for every row

    Source: the scaling layer of RealMLP, Holzmüller, Grinsztajn & Steinwart, "Better by default" (2024).
    The factors have neither penalty nor weight decay.

    Parameters
    ----------
    init : str, float or ("constant", float), default=1.0
        Initial values of the factors.

    Attributes
    ----------
    factor : ndarray, shape (inputs,)
        s, a view into the network's parameter vector.

    Examples
    --------
    >>> import backlit as bl
    >>> net = bl.Network([Scale(2.0), bl.Dense(1, weight_init=1.0)], inputs=2, dtype="float64")
    >>> net.forward([[1.0, 10.0]])                                         # 2 · 1 + 2 · 10
    array([[22.]])
    >>> net.gradient([[1.0, 10.0]], [20.0])[:2]                            # (22 − 20) · (1, 10)
    array([ 2., 20.])
    """

    builtin: ClassVar[bool] = True
    factor: Array
    factor_gradient: Array

    def __init__(self, init: Initializer = 1.0) -> None:
        self.init = check_initializer(init)

    def build(self, inputs: int) -> dict[str, tuple[int, ...]]:
        self.inputs = self.outputs = inputs
        return {"factor": (inputs,)}

    def initial_value(self, name: str, shape: tuple[int, ...], rng: np.random.Generator) -> Array | float:
        return initial_values(self.init, rng, shape, self.inputs, self.inputs)

    def describe(self) -> Spec:
        return {"kind": "Scale", "init": self.init}

    def room(self, n: int, dtype: np.dtype[Any], training: bool) -> dict[str, Array]:
        return {"product": np.empty((n if training else 0, self.inputs), dtype)}

    def forward(self, work: Any, i: int, moment: Moment | None) -> None:
        # a = a_in ⊙ s
        np.multiply(work.a[i], self.factor, out=work.a[i + 1])

    def backward(self, work: Any, i: int, below: bool) -> None:
        delta, product = work.delta[i], work.room[i]["product"]  # dL/da, (n, inputs)
        # dL/ds = Σ_rows a_in ⊙ dL/da
        np.multiply(work.a[i], delta, out=product)
        np.dot(work.ones, product, out=self.factor_gradient)
        # dL/da_in = dL/da ⊙ s
        if below:
            np.multiply(delta, self.factor, out=work.delta[i - 1])

    def script(self, i: int, *, below: bool, given_delta: bool) -> LayerText:
        size, shape = f"({self.inputs},)", f"(n, {self.inputs})"
        backward = [
            ("", f"layer {i}, scale: a{i + 1} = a{i} ⊙ factor{i}"),
            (f"dfactor{i} = (a{i} * da{i + 1}).sum(axis=0) / n", f"{size}, like factor{i}"),
        ]
        if below:
            backward.append((f"da{i} = da{i + 1} * factor{i}", f"{shape} ⊙ {size}"))
        forward = [(f"a{i + 1} = a{i} * factor{i}", f"{shape} ⊙ {size} = {shape}")]
        return LayerText("Scale, a factor for each feature", forward, (f"a{i + 1}",), backward)

    def onnx(self, graph: Any, x: str) -> str:
        return str(graph.op("Mul", x, graph.constant(self.factor)))

    @property
    def title(self) -> str:
        return "scale"

    def forward_steps(self, n: int) -> list[Computation]:
        a_in, a = axes(n, self)
        reason = "Every feature meets its own factor, the same in every row."
        return [Computation("a = a_in ⊙ s", (a_in, (a[1],)), a, "", reason)]

    def backward_steps(self, n: int, *, below: bool, pair: str) -> list[Computation]:
        a_in, a = axes(n, self)
        reason = "A factor is met by every sample: what each would change is added up."
        found = [Computation("dL/ds = Σ_rows a_in ⊙ dL/da", (a_in, a), (a[1],), "samples", reason)]
        if below:
            reason = "Backwards through the same factors."
            found.append(Computation("dL/da_in = dL/da ⊙ s", (a, (a[1],)), a_in, "", reason))
        return found

    def through(self, room: dict[str, Array]) -> tuple[str, Array | None]:
        return "s", np.broadcast_to(self.factor, (len(room["product"]), self.inputs))

    def gradient_factors(
        self, name: str, index: tuple[int, ...], room: dict[str, Array], a_in: Array, delta: Array
    ) -> Factors:
        j = index[0]
        return Factors(a_in[:, j], delta[:, j], f"a_{j}", f"dL/da_{j}")

    def __repr__(self) -> str:
        return "Scale()" if self.init == 1.0 else f"Scale({self.init!r})"


def _forward(
    chain: Any, i: int, a_in: Array, a: Array, w: Array, step: int, activate: Any, start: int, stop: int
) -> None:
    place = chain.layers[i, PARAMETERS]
    s = chain.values[place : place + chain.layers[i, OUTPUTS]]
    # a = a_in ⊙ s
    for row in range(start, stop):
        for j in range(s.size):
            a[row, j] = a_in[row, j] * s[j]


def _backward(
    chain: Any, i: int, a: Array, delta: Array, delta_in: Array, w: Array, below: bool, slopes: bool,
    times_slope: Any, start: int, stop: int,
) -> None:  # fmt: skip
    place = chain.layers[i, PARAMETERS]
    s = chain.values[place : place + chain.layers[i, OUTPUTS]]
    # dL/da_in = dL/da ⊙ s
    if below:
        for row in range(start, stop):
            for j in range(s.size):
                delta_in[row, j] = delta[row, j] * s[j]


def _gradient(chain: Any, i: int, part: int, a_in: Array, delta: Array, start: int, stop: int, out: Array) -> None:
    # dL/ds = Σ_rows a_in ⊙ dL/da
    add_products(a_in, delta, start, out)


Scale.kernel = Kernel(_forward, _backward, _gradient)
