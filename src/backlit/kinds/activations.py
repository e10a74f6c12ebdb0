"""Activation functions f and their slopes f′, written into given arrays.

``f(z, out)`` writes a = f(z). ``slope(z, a, out, scratch)`` writes f′(z), taken at the pre-activation z;
where f′ is cheaper from a = f(z) (sigmoid, tanh, elu) it is computed from a, which is the same number.
All arrays have shape (n_samples, n_units). Nothing here allocates an array the size of a batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from ..exceptions import ConfigurationError, DerivativeError, ShapeError, nearest
from ..parameters import Array
from .activation import Activation

LEAK: Final = 0.01  # slope of leaky_relu below zero. Maas et al. (2013)


# identity: f(z) = z, f′(z) = 1
def _identity(z: Array, out: Array) -> None:
    out[...] = z


def _identity_slope(z: Array, a: Array, out: Array, scratch: Array) -> None:
    out[...] = 1.0


# tanh: f′(z) = 1 − a²
def _tanh(z: Array, out: Array) -> None:
    np.tanh(z, out=out)


def _tanh_slope(z: Array, a: Array, out: Array, scratch: Array) -> None:
    np.multiply(a, a, out=out)
    np.subtract(1.0, out, out=out)


# relu: f(z) = max(z, 0), f′(z) = [z > 0]; at z = 0 the slope is taken as 0
def _relu(z: Array, out: Array) -> None:
    np.maximum(z, 0.0, out=out)


def _relu_slope(z: Array, a: Array, out: Array, scratch: Array) -> None:
    np.greater(z, 0.0, out=out)


# leaky_relu: f(z) = max(z, 0.01 z), f′(z) = 1 where z > 0, else 0.01
def _leaky_relu(z: Array, out: Array) -> None:
    np.multiply(z, LEAK, out=out)
    np.maximum(z, out, out=out)


def _leaky_relu_slope(z: Array, a: Array, out: Array, scratch: Array) -> None:
    np.greater(z, 0.0, out=out)
    out *= 1.0 - LEAK
    out += LEAK


# elu: f(z) = z where z > 0, else eᶻ − 1; f′(z) = 1, else eᶻ = a + 1. Clevert et al. (2015), alpha = 1
def _elu(z: Array, out: Array) -> None:
    np.minimum(z, 0.0, out=out)
    np.expm1(out, out=out)
    np.maximum(z, out, out=out)  # eᶻ − 1 ≥ z, so that the maximum picks the right branch below zero too


def _elu_slope(z: Array, a: Array, out: Array, scratch: Array) -> None:
    np.minimum(a, 0.0, out=out)
    out += 1.0


# exp: f(z) = f′(z) = eᶻ, for rates (the poisson loss)
def _exp(z: Array, out: Array) -> None:
    np.exp(z, out=out)


def _exp_slope(z: Array, a: Array, out: Array, scratch: Array) -> None:
    out[...] = a


# softmax: a_k = e^(z_k) / Σ_j e^(z_j). Taking the largest z of the row off first leaves a the same and
# keeps every exponential at or below 1.
def _softmax(z: Array, out: Array) -> None:
    np.subtract(z, np.maximum.reduce(z, axis=1, keepdims=True), out=out)
    np.exp(out, out=out)
    out /= np.add.reduce(out, axis=1, keepdims=True)


def softmax_jacobian_product(a: Array, delta: Array, scratch: Array) -> None:
    """Turn dL/da into dL/dz through softmax, in place.

    dL/dz_j = Σ_k dL/da_k · ∂a_k/∂z_j = a_j (dL/da_j − Σ_k a_k dL/da_k), because ∂a_k/∂z_j = a_k ([j = k] − a_j).
    """
    np.multiply(a, delta, out=scratch)
    delta -= np.add.reduce(scratch, axis=1, keepdims=True)
    delta *= a


_BUILTIN: Final = {
    activation.name: activation
    for activation in (
        Activation("identity", _identity, _identity_slope),
        Activation("tanh", _tanh, _tanh_slope),
        Activation("relu", _relu, _relu_slope, kinks=(0.0,)),
        Activation("leaky_relu", _leaky_relu, _leaky_relu_slope, kinks=(0.0,)),
        Activation("elu", _elu, _elu_slope, kinks=(0.0,)),
        Activation("exp", _exp, _exp_slope),
        Activation("softmax", _softmax, None),
    )
}

_SPECIAL: Final = ("sigmoid", "gelu", "softplus", "silu")  # in `special.py`, loaded when asked for

NAMES: Final = (*_BUILTIN, *_SPECIAL)

#: What `activation` takes: a name, or a user's own pair (f, df) of functions of z.
ActivationLike = str | tuple[Callable[[Array], Array], Callable[[Array], Array]] | Activation


def get_activation(activation: ActivationLike) -> Activation:
    """The activation of that name, or one made of a user's own pair (f, df), whose derivative is checked.

    Parameters
    ----------
    activation : str or (callable, callable)
        A name, or two functions of z: ``f(z)`` and its derivative ``df(z)``, element by element.

    Raises
    ------
    ConfigurationError
        For an unknown name, or something that is neither a name nor a pair of functions.
    DerivativeError
        If df is not the derivative of f.

    Examples
    --------
    >>> get_activation("tanh").name
    'tanh'
    >>> get_activation((np.sin, np.cos)).name
    'sin'
    >>> get_activation((np.sin, np.sin))
    Traceback (most recent call last):
        ...
    backlit.exceptions.DerivativeError: the derivative given for the activation 'sin' is wrong: at z = -4.6817 ...
    """
    if isinstance(activation, Activation):
        return activation
    if isinstance(activation, str):
        if activation in _SPECIAL:
            from .special import SPECIAL

            return SPECIAL[activation]
        if activation not in _BUILTIN:
            raise ConfigurationError(f"there is no activation {activation!r}: {nearest(activation, NAMES)}")
        return _BUILTIN[activation]
    if isinstance(activation, tuple | list) and len(activation) == 2 and all(callable(g) for g in activation):
        return _own_activation(*activation)
    raise ConfigurationError(
        f"an activation is a name or a pair (f, df) of functions of z, received {activation!r}: "
        f"known names are {', '.join(NAMES)}"
    )


def _own_activation(f: Callable[[Array], Array], df: Callable[[Array], Array]) -> Activation:
    name = getattr(f, "__name__", type(f).__name__)
    _check_derivative(name, f, df)

    def write_f(z: Array, out: Array) -> None:
        out[...] = f(z)

    def write_slope(z: Array, a: Array, out: Array, scratch: Array) -> None:
        out[...] = df(z)

    return Activation(name, write_f, write_slope, builtin=False)


def _check_derivative(name: str, f: Callable[[Array], Array], df: Callable[[Array], Array]) -> None:
    """Compare df with central differences of f at points that no kink is likely to stand on."""
    h = 1e-6
    z = (np.linspace(-5.0, 5.0, 24) + 1.0 / math.pi).reshape(6, 4)
    with np.errstate(all="ignore"):
        values, slopes = np.asarray(f(z)), np.asarray(df(z))
        difference = (np.asarray(f(z + h)) - np.asarray(f(z - h))) / (2.0 * h)
    for what, array in (("value", values), ("derivative", slopes)):
        if array.shape != z.shape:
            raise ShapeError(
                f"the {what} of the activation {name!r} must have the shape of z: "
                f"received {array.shape} for z of shape {z.shape}"
            )
    usable = np.isfinite(values) & np.isfinite(difference)
    wrong = usable & ~(np.abs(slopes - difference) <= 1e-5 * np.maximum(1.0, np.abs(difference)))
    if not usable.any():
        raise DerivativeError(f"the activation {name!r} is not finite anywhere between z = -5 and z = 5")
    if wrong.any():
        i = tuple(np.argwhere(wrong)[0])
        raise DerivativeError(
            f"the derivative given for the activation {name!r} is wrong: at z = {z[i]:.4f} it gives {slopes[i]:.6g} "
            f"where the finite difference is {difference[i]:.6g}"
        )
