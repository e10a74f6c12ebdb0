"""The activations that stand on scipy.special: sigmoid, gelu, softplus, silu.

SciPy takes longer to load than all of Backlit, so this file is imported when one of them is first asked for.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from scipy.special import expit, ndtr

from ..parameters import Array
from .activation import Activation


# sigmoid: f(z) = 1/(1 + e⁻ᶻ), f′(z) = a (1 − a). expit never overflows.
def _sigmoid(z: Array, out: Array) -> None:
    expit(z, out=out)


def _sigmoid_slope(z: Array, a: Array, out: Array, scratch: Array) -> None:
    np.subtract(1.0, a, out=out)
    out *= a


# gelu: f(z) = z Φ(z), f′(z) = Φ(z) + z φ(z), Φ and φ of the normal distribution; the exact form, not the
# tanh approximation. Hendrycks & Gimpel (2016)
def _gelu(z: Array, out: Array) -> None:
    ndtr(z, out=out)
    out *= z


def _gelu_slope(z: Array, a: Array, out: Array, scratch: Array) -> None:
    np.multiply(z, z, out=out)
    out *= -0.5
    np.exp(out, out=out)
    out *= z
    out *= 1.0 / math.sqrt(2.0 * math.pi)
    ndtr(z, out=scratch)
    out += scratch


# softplus: f(z) = log(1 + eᶻ), f′(z) = sigmoid(z)
def _softplus(z: Array, out: Array) -> None:
    np.logaddexp(0.0, z, out=out)


def _softplus_slope(z: Array, a: Array, out: Array, scratch: Array) -> None:
    expit(z, out=out)


# silu: f(z) = z σ(z), f′(z) = σ(z) + a (1 − σ(z)). Elfwing et al. (2017)
def _silu(z: Array, out: Array) -> None:
    expit(z, out=out)
    out *= z


def _silu_slope(z: Array, a: Array, out: Array, scratch: Array) -> None:
    expit(z, out=scratch)
    np.subtract(1.0, scratch, out=out)
    out *= a
    out += scratch


SPECIAL: Final = {
    activation.name: activation
    for activation in (
        Activation("sigmoid", _sigmoid, _sigmoid_slope),
        Activation("gelu", _gelu, _gelu_slope),
        Activation("softplus", _softplus, _softplus_slope),
        Activation("silu", _silu, _silu_slope),
    )
}
