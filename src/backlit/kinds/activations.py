"""The activations, one record each: a new one is a record here (or in `rectifiers.py`), and nothing else.

``f(z, out)`` writes a = f(z). ``slope(z, a, out, scratch)`` writes f′(z), taken at the pre-activation z; where f′ is
cheaper from a = f(z) (sigmoid, tanh, elu) it is computed from a, which is the same number. Below each pair stand the
same two for one number, for the compiled engine.
"""

from __future__ import annotations

import copyreg
from collections.abc import Callable
from dataclasses import fields
from typing import Any, Final

import numpy as np

from ..exceptions import ConfigurationError, nearest
from ..parameters import Array
from .activation import Activation, built_in, own_activation
from .kernel import flat
from .numbers import exp, sigmoid, tanh
from .rectifiers import RECTIFIERS
from .script import ActivationText
from .special import SIGMOID_SOURCE, special

# ── functions that a script needs ──────────────────────────────────────────────────────────────────────────
_SOFTMAX: Final = '''
def softmax(z):
    """e^(z_k) / Σ_j e^(z_j) in every row, (n, units)."""
    e = np.exp(z - z.max(axis=1, keepdims=True))  # at most 1: no overflow
    return e / e.sum(axis=1, keepdims=True)
'''


# ── identity: f(z) = z, f′(z) = 1 ──────────────────────────────────────────────────────────────────────────
def _identity(z: Array, out: Array) -> None:
    out[...] = z


def _identity_slope(z: Array, a: Array, out: Array, scratch: Array) -> None:
    out[...] = 1.0


_IDENTITY: Final = Activation(
    "identity",
    _identity,
    _identity_slope,
    number=(lambda z: z, lambda z, a: type(z)(1)),
    script=ActivationText("a = z", "{z}", "f′(z) = 1", "{da}"),
    onnx=lambda graph, z: z,
)


# ── sigmoid: f(z) = 1/(1 + e⁻ᶻ), f′(z) = a (1 − a); expit never overflows ──────────────────────────────────
def _sigmoid(z: Array, out: Array) -> None:
    special.expit(z, out=out)


def _sigmoid_slope(z: Array, a: Array, out: Array, scratch: Array) -> None:
    np.subtract(1.0, a, out=out)
    out *= a


_SIGMOID: Final = Activation(
    "sigmoid",
    _sigmoid,
    _sigmoid_slope,
    number=(sigmoid, lambda z, a: a * (type(a)(1) - a)),
    script=ActivationText(
        "a = σ(z) = 1/(1 + e⁻ᶻ)", "sigmoid({z})", "f′(z) = a (1 − a)", "{da} * {a} * (1 - {a})", (SIGMOID_SOURCE,)
    ),
    onnx=lambda graph, z: graph.op("Sigmoid", z),
    positive=True,
    probabilities=True,
    steepest=0.25,
)


# ── tanh: f′(z) = 1 − a² ───────────────────────────────────────────────────────────────────────────────────
def _tanh(z: Array, out: Array) -> None:
    np.tanh(z, out=out)


def _tanh_slope(z: Array, a: Array, out: Array, scratch: Array) -> None:
    np.multiply(a, a, out=out)
    np.subtract(1.0, out, out=out)


_TANH: Final = Activation(
    "tanh",
    _tanh,
    _tanh_slope,
    number=(tanh, lambda z, a: type(a)(1) - a * a),
    script=ActivationText("a = tanh z", "np.tanh({z})", "f′(z) = 1 − a²", "{da} * (1 - {a}**2)"),
    onnx=lambda graph, z: graph.op("Tanh", z),
    steepest=1.0,
)


# ── exp: f(z) = f′(z) = eᶻ, for rates (the poisson loss) ───────────────────────────────────────────────────
def _exp(z: Array, out: Array) -> None:
    np.exp(z, out=out)


def _exp_slope(z: Array, a: Array, out: Array, scratch: Array) -> None:
    out[...] = a


_EXP: Final = Activation(
    "exp",
    _exp,
    _exp_slope,
    number=(exp, lambda z, a: a),
    script=ActivationText("a = eᶻ", "np.exp({z})", "f′(z) = a", "{da} * {a}"),
    onnx=lambda graph, z: graph.op("Exp", z),
    positive=True,
)


# ── softmax: a_k = e^(z_k) / Σ_j e^(z_j). Taking the largest z of the row off first leaves a the same and ──
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


def _softmax_rows(Z: Array, A: Array) -> None:
    for i in range(Z.shape[0]):
        largest = Z[i, 0]
        for j in range(Z.shape[1]):
            largest = Z[i, j] if Z[i, j] > largest else largest
        for j in range(Z.shape[1]):
            A[i, j] = Z[i, j] - largest
    a = flat(A)
    for i in range(a.size):
        a[i] = exp(a[i])
    for i in range(A.shape[0]):
        total = A.dtype.type(0)
        for j in range(A.shape[1]):
            total += A[i, j]
        for j in range(A.shape[1]):
            A[i, j] /= total


def _softmax_rows_jacobian(A: Array, DELTA: Array) -> None:
    for i in range(A.shape[0]):
        mean = A.dtype.type(0)
        for j in range(A.shape[1]):
            mean += A[i, j] * DELTA[i, j]
        for j in range(A.shape[1]):
            DELTA[i, j] = A[i, j] * (DELTA[i, j] - mean)


_SOFTMAX_RECORD: Final = Activation(
    "softmax",
    _softmax,
    None,
    jacobian=softmax_jacobian_product,
    rows=(_softmax_rows, _softmax_rows_jacobian),
    script=ActivationText(
        "a_k = e^(z_k) / Σ_j e^(z_j)",
        "softmax({z})",
        "dL/dz_j = a_j (dL/da_j − Σ_k a_k dL/da_k)",
        "{a} * ({da} - ({a} * {da}).sum(axis=1, keepdims=True))",
        (_SOFTMAX,),
    ),
    onnx=lambda graph, z: graph.op("Softmax", z, axis=1),
    positive=True,
    probabilities=True,
    sums_to_one=True,
)

#: All of them by name.
ACTIVATIONS: Final = {
    activation.name: built_in(activation)
    for activation in (
        _IDENTITY, _SIGMOID, _TANH, *RECTIFIERS, _EXP, _SOFTMAX_RECORD
    )
}  # fmt: skip

NAMES: Final = tuple(ACTIVATIONS)

#: What `activation` takes: a name, a user's own pair (f, df) of functions of z, or an `Activation`.
ActivationLike = str | tuple[Callable[[Array], Array], Callable[[Array], Array]] | Activation


def get_activation(activation: ActivationLike) -> Activation:
    """The activation of that name, or one made of a user's own pair (f, df), whose derivative is checked.

    Parameters
    ----------
    activation : str, (callable, callable) or Activation
        A name; two functions of z, ``f(z)`` and its derivative ``df(z)``, element by element; or a record.

    Raises
    ------
    ConfigurationError
        For an unknown name, or something that is neither.
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
        if activation not in ACTIVATIONS:
            raise ConfigurationError(f"there is no activation {activation!r}: {nearest(activation, NAMES)}")
        return ACTIVATIONS[activation]
    if isinstance(activation, tuple | list) and len(activation) == 2 and all(callable(g) for g in activation):
        return own_activation(*activation)
    raise ConfigurationError(
        f"an activation is a name or a pair (f, df) of functions of z, received {activation!r}: "
        f"known names are {', '.join(NAMES)}"
    )


def _reduced(activation: Activation) -> Any:
    """Built-in ones are known by name: a copy, or what a pickle gives back, is the record itself."""
    if activation.builtin:
        return get_activation, (activation.name,)
    return Activation, tuple(getattr(activation, part.name) for part in fields(activation) if part.init)


copyreg.pickle(Activation, _reduced)
