"""A fully connected layer: z = a_in W + b, a = f(z)."""

from __future__ import annotations

from typing import final

from ..checks import positive_whole
from ..exceptions import ConfigurationError
from ..parameters import Array, ParameterVector
from ..typing import Spec
from .activations import ActivationLike, get_activation
from .initializers import Initializer, check_initializer


@final
class Dense:
    """A fully connected layer.

        z = a_in W + b          (n, units)
        a = f(z)                (n, units)

    Parameters
    ----------
    units : int
        Number of units (neurons).
    activation : str or pair of functions, default="identity"
        Name of f (identity, sigmoid, tanh, relu, leaky_relu, elu, gelu, softplus, silu, exp, softmax), or your own
        pair ``(f, df)`` of functions of z; the derivative is checked at once.
    weight_init, bias_init : str, float or ("constant", float)
        Initial values: standard_normal, scaled_normal, glorot_uniform, glorot_normal, he_normal, he_uniform,
        zeros, or a number for all of them.
    bias : bool, default=True
        Whether there is a bias at all.

    Attributes
    ----------
    weight : ndarray, shape (inputs, units)
        A view into the network's parameter vector, once the layer is part of a network.
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

    def __init__(
        self,
        units: int,
        activation: ActivationLike = "identity",
        *,
        weight_init: Initializer = "glorot_uniform",
        bias_init: Initializer = "zeros",
        bias: bool = True,
    ) -> None:
        self.units = positive_whole("units", units)
        self.activation = get_activation(activation)
        if self.activation.name == "softmax" and self.units == 1:
            raise ConfigurationError("softmax over 1 unit is always 1: use 2 units, or 1 unit with sigmoid")
        self.weight_init = check_initializer(weight_init)
        self.bias_init = check_initializer(bias_init)
        self.has_bias = bool(bias)
        self.inputs = 0
        self.outputs = self.units
        self.weight: Array
        self.bias: Array | None = None

    def build(self, inputs: int) -> dict[str, tuple[int, ...]]:
        self.inputs = inputs
        shapes: dict[str, tuple[int, ...]] = {"weight": (inputs, self.units)}
        if self.has_bias:
            shapes["bias"] = (self.units,)
        return shapes

    def bind(self, parameters: ParameterVector, index: int) -> None:
        self.weight = parameters.view(f"{index}.weight")
        self.weight_gradient = parameters.gradient_view(f"{index}.weight")
        if self.has_bias:
            self.bias = parameters.view(f"{index}.bias")
            self.bias_gradient = parameters.gradient_view(f"{index}.bias")

    def spec(self) -> Spec:
        return {
            "kind": "Dense",
            "units": self.units,
            "activation": self.activation.name,
            "weight_init": self.weight_init,
            "bias_init": self.bias_init,
            "bias": self.has_bias,
        }

    def __repr__(self) -> str:
        return (
            f"Dense({self.units}, {self.activation.name!r})"
            if self.has_bias
            else (f"Dense({self.units}, {self.activation.name!r}, bias=False)")
        )
