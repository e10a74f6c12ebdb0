"""A fully connected layer: z = a_in W + b, a = f(z)."""

from __future__ import annotations

from typing import Any, ClassVar, final

import numpy as np

from ..checks import positive_whole
from ..exceptions import ConfigurationError
from ..parameters import Array
from ..typing import Spec
from .activation import Activation
from .activations import ActivationLike, get_activation
from .initializers import Initializer, check_initializer, initial_values
from .kernel import (
    ACTIVATION,
    INPUTS,
    OUTPUTS,
    PARAMETERS,
    ROOM,
    Kernel,
    add_rows,
    matrix,
    multiply_input,
    multiply_input_transposed,
    multiply_right_transposed,
)
from .layer import Computation, Factors, Layer, Moment, axes
from .products import product, transposed_product
from .script import LayerText, Line


@final
class Dense(Layer):
    """A fully connected layer.

        z = a_in W + b          (n, units)
        a = f(z)                (n, units)

    Parameters
    ----------
    units : int
        Number of units (neurons).
    activation : str, pair of functions or Activation, default="identity"
        Name of f (identity, sigmoid, tanh, relu, leaky_relu, elu, gelu, softplus, silu, mish, exp, softmax), or your
        own pair ``(f, df)`` of functions of z; the derivative is checked at once.
    weight_init, bias_init : str, float or ("constant", float)
        Initial values: standard_normal, scaled_normal, glorot_uniform, glorot_normal, he_normal, he_uniform,
        zeros, or a number for all of them.
    bias : bool, default=True
        Whether there is a bias at all.

    Attributes
    ----------
    weight : ndarray, shape (inputs, units)
        A view into the network's parameter vector, once the layer is part of a network; what is assigned to it is
        written into the vector.
        PyTorch keeps the transpose, (units, inputs); scikit-learn and Keras keep this shape.
    bias : ndarray, shape (units,), or None
        A view as well.

    Raises
    ------
    ConfigurationError
        For a number of units that is not a positive whole number, or an unknown name.

    Examples
    --------
    >>> Dense(30, "sigmoid")
    Dense(30, 'sigmoid')
    """

    builtin: ClassVar[bool] = True
    affine: ClassVar[bool] = True
    takes_sparse: ClassVar[bool] = True
    activation: Activation
    weight: Array
    weight_gradient: Array
    bias: Array | None = None
    bias_gradient: Array

    def __init__(
        self,
        units: int,
        activation: ActivationLike = "identity",
        *,
        weight_init: Initializer = "glorot_uniform",
        bias_init: Initializer = "zeros",
        bias: bool = True,
    ) -> None:
        self.units = self.outputs = positive_whole("units", units)
        self.activation = get_activation(activation)
        if self.activation.sums_to_one and self.units == 1:
            raise ConfigurationError(
                f"{self.activation.name} over 1 unit is always 1: use 2 units, or 1 unit with sigmoid"
            )
        self.weight_init = check_initializer(weight_init)
        self.bias_init = check_initializer(bias_init)
        self.has_bias = bool(bias)

    def build(self, inputs: int) -> dict[str, tuple[int, ...]]:
        self.inputs = inputs
        shapes: dict[str, tuple[int, ...]] = {"weight": (inputs, self.units)}
        if self.has_bias:
            shapes["bias"] = (self.units,)
        return shapes

    def initial_value(self, name: str, shape: tuple[int, ...], rng: np.random.Generator) -> Array | float:
        init = self.weight_init if name == "weight" else self.bias_init
        return initial_values(init, rng, shape, self.inputs, self.units)

    def describe(self) -> Spec:
        return {
            "kind": "Dense",
            "units": self.units,
            "activation": self.activation.name,
            "weight_init": self.weight_init,
            "bias_init": self.bias_init,
            "bias": self.has_bias,
        }

    # ── the lesson ───────────────────────────────────────────────────────────────────────────────────────

    def room(self, n: int, dtype: np.dtype[Any], training: bool) -> dict[str, Array]:
        """z, and f′(z) on the way back."""
        return {
            "z": np.empty((n, self.units), dtype),
            "slope": np.empty((n, self.units) if training else (0, 0), dtype),
        }

    def forward(self, work: Any, i: int, moment: Moment | None) -> None:
        a_in, a = work.a[i], work.a[i + 1]  # (n, inputs), (n, units)
        z = work.room[i]["z"]  # (n, units)
        # z = a_in W + b
        product(a_in, self.weight, out=z)
        if self.bias is not None:
            z += self.bias
        # a = f(z)
        self.activation.f(z, a)

    def backward(self, work: Any, i: int, below: bool) -> None:
        a_in, a = work.a[i], work.a[i + 1]  # (n, inputs), (n, units)
        delta = work.delta[i]  # (n, units); dL/da until it is multiplied by the slope
        # delta = dL/dz = dL/da ⊙ f′(z); an output that is a pair with its loss has a − y there already
        if not work.paired_output(i):
            self.activation.times_slope(work.room[i]["z"], a, delta, work.room[i]["slope"], work.scratch[i])
        # dL/dW = a_inᵀ delta            (inputs, n) (n, units): summed over the n rows
        transposed_product(a_in, delta, out=self.weight_gradient)
        # dL/db = Σ_rows delta = 1ᵀ delta     (n,) (n, units)
        if self.bias is not None:
            np.dot(work.ones, delta, out=self.bias_gradient)
        # dL/da_in = delta Wᵀ            (n, units) (units, inputs); nobody needs it below the first layer that learns
        if below:
            np.dot(delta, self.weight.T, out=work.delta[i - 1])

    # ── the compiled engine ──────────────────────────────────────────────────────────────────────────────

    def kernel_settings(self) -> tuple[float, ...]:
        return (float(self.has_bias),)

    def kernel_room(self, n: int) -> int:
        return n * self.units  # z

    # ── other programs ───────────────────────────────────────────────────────────────────────────────────

    def script(self, i: int, *, below: bool, given_delta: bool) -> LayerText:
        text, inputs, units, shape = self.activation.text(i), self.inputs, self.units, f"(n, {self.units})"
        added, vector = (f" + b{i}", f" + ({units},)") if self.has_bias else ("", "")
        forward: list[Line] = [
            (f"z{i} = a{i} @ W{i}{added}", f"(n, {inputs}) ({inputs}, {units}){vector} = {shape}"),
            (f"a{i + 1} = {text.value.format(z=f'z{i}')}", shape),
        ]
        backward: list[Line] = []
        if not given_delta:
            begin = "" if self.activation.slope is None else "delta = dL/da ⊙ f′(z), "
            value = text.delta.format(z=f"z{i}", a=f"a{i + 1}", da=f"da{i + 1}")
            backward += [
                ("", f"layer {i}, {self.activation.name}: {begin}{text.slope}"),
                (f"delta{i} = {value}", shape),
            ]
        backward.append(
            (f"dW{i} = a{i}.T @ delta{i} / n", f"({inputs}, n) (n, {units}) = ({inputs}, {units}), like W{i}")
        )
        if self.has_bias:
            backward.append((f"db{i} = delta{i}.sum(axis=0) / n", f"({units},), like b{i}"))
        if below:
            given = f"(n, {units}) ({units}, {inputs}) = (n, {inputs}), like a{i}"
            backward.append((f"da{i} = delta{i} @ W{i}.T", given))
        title = f"Dense, {inputs} → {units}, {self.activation.name}: {text.formula}"
        return LayerText(title, forward, (f"z{i}", f"a{i + 1}"), backward, helpers=text.helpers)

    def onnx(self, graph: Any, x: str) -> str:
        z = graph.op("MatMul", x, graph.constant(self.weight))
        if self.bias is not None:
            z = graph.op("Add", z, graph.constant(self.bias))
        return self.activation.node(graph, z)

    # ── the lens ─────────────────────────────────────────────────────────────────────────────────────────

    @property
    def title(self) -> str:
        return f"{self.units} {self.activation.name}"

    def forward_steps(self, n: int) -> list[Computation]:
        a_in, a = axes(n, self)
        product = Computation(
            "z = a_in W + b" if self.has_bias else "z = a_in W",
            (a_in, (a_in[1], a[1])),
            a,
            "inputs",
            "No transpose: a row of a_in is one sample's inputs, a column of W the weights into one unit; they meet "
            "over the inputs." + (" The bias, one number a unit, is added to every row." if self.has_bias else ""),
            n * self.inputs * self.units,
        )
        reason = "Every number by itself: the shape stays."
        if self.activation.slope is None:
            reason = "Along each row: the units of one sample share 1 between them; samples do not mix."
        return [product, Computation(f"a = f(z), {self.activation.name}", (a,), a, "", reason)]

    def backward_steps(self, n: int, *, below: bool, pair: str) -> list[Computation]:
        a_in, a = axes(n, self)
        weight = (a_in[1], a[1])
        if pair:
            delta = ("delta = a − y", (a, a), pair)
        elif self.activation.slope is None:
            reason = f"{self.activation.name} mixes the units of a row, so its Jacobian does too; samples do not mix."
            delta = ("delta = a ⊙ (dL/da − Σ_k a_k dL/da_k)", (a, a), reason)
        else:
            reason = "Element by element, because f was: each z feeds its own a and no other."
            delta = ("delta = dL/da ⊙ f′(z)", (a, a), reason)
        found = [
            Computation(delta[0], delta[1], a, "", delta[2]),
            Computation(
                "dL/dW = a_inᵀ delta",
                ((a_in[1], a_in[0]), a),
                weight,
                "samples",
                "a_in is transposed so that samples meet samples: every weight sums a_i · delta_j over the batch, and "
                "the result has the shape of W.",
                n * self.inputs * self.units,
            ),
        ]
        if self.has_bias:
            reason = "A bias is a weight whose input is 1 in every sample: only the sum over the samples is left."
            found.append(Computation("dL/db = Σ_rows delta", (a,), (a[1],), "samples", reason))
        if below:
            found.append(
                Computation(
                    "dL/da_in = delta Wᵀ",
                    (a, (a[1], a_in[1])),
                    a_in,
                    "units",
                    "W is transposed so that units meet units: each input collects from every unit that it fed, "
                    "through the same weight, and the result has the shape of a_in.",
                    n * self.inputs * self.units,
                )
            )
        return found

    def columns(self, room: dict[str, Array], a_in: Array, a: Array, delta: Array | None) -> dict[str, Array]:
        found = {"z": room["z"], "a": a}
        if self.activation.slope is not None:
            found["f′(z)"] = room["slope"]
        return found if delta is None else {**found, "delta": delta}

    def gradient_factors(
        self, name: str, index: tuple[int, ...], room: dict[str, Array], a_in: Array, delta: Array
    ) -> Factors:
        j = index[-1]
        if name == "bias":
            return Factors(np.ones(len(delta)), delta[:, j], "", f"delta_{j}")
        return Factors(a_in[:, index[0]], delta[:, j], f"a_{index[0]}", f"delta_{j}")

    def __repr__(self) -> str:
        bias = "" if self.has_bias else ", bias=False"
        return f"Dense({self.units}, {self.activation.name!r}{bias})"


def _forward(
    chain: Any, i: int, a_in: Array, a: Array, w: Array, step: int, activate: Any, start: int, stop: int
) -> None:
    layer = chain.layers[i]
    inputs, units, place = layer[INPUTS], layer[OUTPUTS], layer[PARAMETERS]
    z = matrix(chain.memory, layer[ROOM] + start * units, stop - start, units)
    # z = a_in W + b, a = f(z)
    multiply_input(chain, i, a_in, start, matrix(chain.values, place, inputs, units), z)
    if chain.settings[i, 0] != 0.0:
        b = chain.values[place + inputs * units : place + inputs * units + units]
        for row in range(z.shape[0]):
            for j in range(units):
                z[row, j] += b[j]
    activate(layer[ACTIVATION], z, a[start:stop])


def _backward(
    chain: Any, i: int, a: Array, delta: Array, delta_in: Array, w: Array, below: bool, slopes: bool,
    times_slope: Any, start: int, stop: int,
) -> None:  # fmt: skip
    layer = chain.layers[i]
    inputs, units = layer[INPUTS], layer[OUTPUTS]
    # delta = dL/da ⊙ f′(z)
    if slopes:
        z = matrix(chain.memory, layer[ROOM] + start * units, stop - start, units)
        times_slope(layer[ACTIVATION], z, a[start:stop], delta[start:stop])
    # dL/da_in = delta Wᵀ
    if below:
        W = matrix(chain.values, layer[PARAMETERS], inputs, units)
        multiply_right_transposed(delta[start:stop], W, delta_in[start:stop], chain)


def _gradient(chain: Any, i: int, part: int, a_in: Array, delta: Array, start: int, stop: int, out: Array) -> None:
    # dL/dW = a_inᵀ delta, dL/db = Σ_rows delta
    if part == 0:
        multiply_input_transposed(chain, i, a_in, start, delta, matrix(out, 0, stop - start, chain.layers[i, OUTPUTS]))
    else:
        add_rows(delta, start, out)


Dense.kernel = Kernel(_forward, _backward, _gradient, takes_sparse=True)
