"""The activations that let what is above zero through, and little or nothing of what is below, one record each."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from ..parameters import Array
from .activation import Activation
from .numbers import exp, normal_cdf, sigmoid, softplus, tanh
from .script import ActivationText
from .special import SIGMOID_SOURCE, special

LEAK: Final = 0.01  # slope of leaky_relu below zero
_DENSITY: Final = 1.0 / math.sqrt(2.0 * math.pi)  # of the normal distribution at 0

_ELU_SOURCE: Final = '''
def elu(z):
    """z where z > 0, else eᶻ − 1, of any shape."""
    return np.where(z > 0, z, np.expm1(np.minimum(z, 0)))
'''
_NORMAL_CDF_SOURCE: Final = '''
def normal_cdf(z):
    """Φ(z) = ½ erfc(−z/√2), of any shape; NumPy has no erfc, so one number at a time."""
    phi = [0.5 * math.erfc(-t / math.sqrt(2)) for t in z.ravel()]
    return np.array(phi, dtype=z.dtype).reshape(z.shape)
'''
_NORMAL_PDF_SOURCE: Final = '''
def normal_pdf(z):
    """φ(z) = e^(−z²/2) / √(2π), of any shape."""
    return np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
'''
_MISH_SLOPE_SOURCE: Final = '''
def mish_slope(z):
    """t + z (1 − t²) σ(z), t = tanh(log(1 + eᶻ)), of any shape."""
    t = np.tanh(np.logaddexp(0, z))
    return t + z * (1 - t**2) * sigmoid(z)
'''


# ── relu: f(z) = max(z, 0), f′(z) = [z > 0]; at z = 0 the slope is taken as 0 ──────────────────────────────
def _relu(z: Array, out: Array) -> None:
    np.maximum(z, 0.0, out=out)


def _relu_slope(z: Array, a: Array, out: Array, scratch: Array) -> None:
    np.greater(z, 0.0, out=out)


_RELU: Final = Activation(
    "relu",
    _relu,
    _relu_slope,
    number=(
        lambda z: type(z)(0) if z < 0 else z,
        lambda z, a: type(z)(1) if a > 0 else type(z)(0),
    ),
    script=ActivationText("a = max(z, 0)", "np.maximum({z}, 0)", "f′(z) = 1 where z > 0, else 0", "{da} * ({z} > 0)"),
    onnx=lambda graph, z: graph.op("Relu", z),
    kinks=(0.0,),
    dies=True,
    initializer="he_uniform",
)


# ── leaky_relu: f(z) = max(z, 0.01 z), f′(z) = 1 where z > 0, else 0.01 ────────────────────────────────────
def _leaky_relu(z: Array, out: Array) -> None:
    np.multiply(z, LEAK, out=out)
    np.maximum(z, out, out=out)


def _leaky_relu_slope(z: Array, a: Array, out: Array, scratch: Array) -> None:
    np.greater(z, 0.0, out=out)
    out *= 1.0 - LEAK
    out += LEAK


_LEAKY_RELU: Final = Activation(
    "leaky_relu",
    _leaky_relu,
    _leaky_relu_slope,
    number=(
        lambda z: type(z)(LEAK) * z if z < 0 else z,
        lambda z, a: type(z)(1) if a > 0 else type(z)(LEAK),
    ),
    script=ActivationText(
        f"a = max(z, {LEAK} z)",
        f"np.maximum({{z}}, {LEAK} * {{z}})",
        f"f′(z) = 1 where z > 0, else {LEAK}",
        f"np.where({{z}} > 0, {{da}}, {LEAK} * {{da}})",
    ),
    onnx=lambda graph, z: graph.op("Max", z, graph.op("Mul", z, graph.constant(LEAK))),
    kinks=(0.0,),
    initializer="he_uniform",
    reference="Maas et al. (2013)",
)


# ── elu: f(z) = z where z > 0, else eᶻ − 1; f′(z) = 1, else eᶻ = a + 1; alpha = 1 ──────────────────────────
def _elu(z: Array, out: Array) -> None:
    np.minimum(z, 0.0, out=out)
    np.expm1(out, out=out)
    np.maximum(z, out, out=out)  # eᶻ − 1 ≥ z, so that the maximum picks the right branch below zero too


def _elu_slope(z: Array, a: Array, out: Array, scratch: Array) -> None:
    np.minimum(a, 0.0, out=out)
    out += 1.0


def _elu_onnx(graph: Any, z: str) -> str:
    # max(z, e^min(z, 0) − 1)
    below = graph.op("Exp", graph.op("Min", z, graph.constant(0.0)))
    return str(graph.op("Max", z, graph.op("Sub", below, graph.constant(1.0))))


_ELU: Final = Activation(
    "elu",
    _elu,
    _elu_slope,
    number=(
        lambda z: type(z)(math.expm1(z)) if z < 0 else z,
        lambda z, a: a + type(a)(1) if a < 0 else type(a)(1),
    ),
    script=ActivationText(
        "a = z where z > 0, else eᶻ − 1",
        "elu({z})",
        "f′(z) = 1 where z > 0, else eᶻ = a + 1",
        "{da} * (np.minimum({a}, 0) + 1)",
        (_ELU_SOURCE,),
    ),
    onnx=_elu_onnx,
    kinks=(0.0,),
    initializer="he_uniform",
    reference="Clevert et al. (2015)",
)


# ── gelu: f(z) = z Φ(z), f′(z) = Φ(z) + z φ(z), Φ and φ of the normal distribution: the exact form ─────────
def _gelu(z: Array, out: Array) -> None:
    special.ndtr(z, out=out)
    out *= z


def _gelu_slope(z: Array, a: Array, out: Array, scratch: Array) -> None:
    np.multiply(z, z, out=out)
    out *= -0.5
    np.exp(out, out=out)
    out *= z
    out *= _DENSITY
    special.ndtr(z, out=scratch)
    out += scratch


def _gelu_onnx(graph: Any, z: str) -> str:
    # Φ(z) = ½ (1 + erf(z/√2)); onnxruntime has erf in float32
    scaled = graph.cast(graph.op("Mul", z, graph.constant(1.0 / math.sqrt(2.0))), np.float32)
    erf = graph.cast(graph.op("Erf", scaled))
    half = graph.op("Mul", z, graph.constant(0.5))
    return str(graph.op("Mul", half, graph.op("Add", erf, graph.constant(1.0))))


_GELU: Final = Activation(
    "gelu",
    _gelu,
    _gelu_slope,
    number=(
        lambda z: z * normal_cdf(z),
        lambda z, a: normal_cdf(z) + z * type(z)(_DENSITY) * exp(type(z)(-0.5) * z * z),
    ),
    script=ActivationText(
        "a = z Φ(z), Φ of the normal distribution",
        "{z} * normal_cdf({z})",
        "f′(z) = Φ(z) + z φ(z)",
        "{da} * (normal_cdf({z}) + {z} * normal_pdf({z}))",
        (_NORMAL_CDF_SOURCE, _NORMAL_PDF_SOURCE),
    ),
    onnx=_gelu_onnx,
    initializer="he_uniform",
    reference="Hendrycks & Gimpel (2016)",
)


# ── softplus: f(z) = log(1 + eᶻ), f′(z) = σ(z) ─────────────────────────────────────────────────────────────
def _softplus(z: Array, out: Array) -> None:
    np.logaddexp(0.0, z, out=out)


def _softplus_slope(z: Array, a: Array, out: Array, scratch: Array) -> None:
    special.expit(z, out=out)


def _softplus_onnx(graph: Any, z: str) -> str:
    # log(1 + e^z) = max(z, 0) + log(1 + e^−|z|)
    tail = graph.op("Exp", graph.op("Neg", graph.op("Abs", z)))
    return str(graph.op("Add", graph.op("Relu", z), graph.op("Log", graph.op("Add", tail, graph.constant(1.0)))))


_SOFTPLUS: Final = Activation(
    "softplus",
    _softplus,
    _softplus_slope,
    number=(softplus, lambda z, a: sigmoid(z)),
    script=ActivationText(
        "a = log(1 + eᶻ)", "np.logaddexp(0, {z})", "f′(z) = σ(z)", "{da} * sigmoid({z})", (SIGMOID_SOURCE,)
    ),
    onnx=_softplus_onnx,
    positive=True,
)


# ── silu: f(z) = z σ(z), f′(z) = σ(z) + a (1 − σ(z)) ───────────────────────────────────────────────────────
def _silu(z: Array, out: Array) -> None:
    special.expit(z, out=out)
    out *= z


def _silu_slope(z: Array, a: Array, out: Array, scratch: Array) -> None:
    special.expit(z, out=scratch)
    np.subtract(1.0, scratch, out=out)
    out *= a
    out += scratch


def _silu_number_slope(z: Any, a: Any) -> Any:
    s = sigmoid(z)
    return s + a * (type(z)(1) - s)


_SILU: Final = Activation(
    "silu",
    _silu,
    _silu_slope,
    number=(lambda z: z * sigmoid(z), _silu_number_slope),
    script=ActivationText(
        "a = z σ(z)",
        "{z} * sigmoid({z})",
        "f′(z) = σ(z) + a (1 − σ(z))",
        "{da} * (sigmoid({z}) + {a} * (1 - sigmoid({z})))",
        (SIGMOID_SOURCE,),
    ),
    onnx=lambda graph, z: graph.op("Mul", z, graph.op("Sigmoid", z)),
    initializer="he_uniform",
    reference="Elfwing et al. (2017)",
)


# ── mish: f(z) = z tanh(ζ), ζ = log(1 + eᶻ);  f′(z) = t + z (1 − t²) σ(z), t = tanh ζ ──────────────────────
def _mish(z: Array, out: Array) -> None:
    np.logaddexp(0.0, z, out=out)
    np.tanh(out, out=out)
    out *= z


def _mish_slope(z: Array, a: Array, out: Array, scratch: Array) -> None:
    np.logaddexp(0.0, z, out=scratch)
    t = np.tanh(scratch, out=scratch)
    special.expit(z, out=out)
    out *= z
    out -= out * t * t
    out += t


def _mish_number_slope(z: Any, a: Any) -> Any:
    t = tanh(softplus(z))
    return t + z * sigmoid(z) * (type(z)(1) - t * t)


_MISH: Final = Activation(
    "mish",
    _mish,
    _mish_slope,
    number=(lambda z: z * tanh(softplus(z)), _mish_number_slope),
    script=ActivationText(
        "a = z tanh(log(1 + eᶻ))",
        "{z} * np.tanh(np.logaddexp(0, {z}))",
        "f′(z) = t + z (1 − t²) σ(z), t = tanh(log(1 + eᶻ))",
        "{da} * mish_slope({z})",
        (SIGMOID_SOURCE, _MISH_SLOPE_SOURCE),
    ),
    onnx=lambda graph, z: graph.op("Mul", z, graph.op("Tanh", _softplus_onnx(graph, z))),
    initializer="he_uniform",
    reference="Misra (2019)",
)

RECTIFIERS: Final = (_RELU, _LEAKY_RELU, _ELU, _GELU, _SOFTPLUS, _SILU, _MISH)
