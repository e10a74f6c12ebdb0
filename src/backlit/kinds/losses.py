"""Losses, named by their formula. Each is stated per sample; the network averages over the batch.

    squared_error        ½ Σ_k (a_k − y_k)²
    mean_squared_error   mean_k (a_k − y_k)²
    cross_entropy        softmax: −Σ_k y_k log a_k      sigmoid: −Σ_k [y_k log a_k + (1 − y_k) log(1 − a_k)]
    huber                Σ_k  ½ r² where |r| ≤ 1, else |r| − ½,  r = a_k − y_k                    Huber (1964)
    absolute_error       Σ_k |a_k − y_k|
    poisson              Σ_k [a_k − y_k log a_k − (y_k − y_k log y_k)], zero where a = y, as in scikit-learn
    quantile             Σ_k max(q (y_k − a_k), (q − 1)(y_k − a_k)),  q = ½ unless told        Koenker & Bassett (1978)
    hinge                Σ_k max(0, 1 − t_k a_k),  t = 2y − 1 = ±1

With some activations the loss is computed from the pre-activation z, stably for any z, and then
delta = dL/dz = a − y exactly: cross_entropy with softmax or sigmoid, poisson with exp.

PyTorch's MSELoss and Keras' mean_squared_error are our `mean_squared_error`; scikit-learn's
`squared_error` is ours: half the sum of squares (for one output).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from ..checks import fraction, positive
from ..exceptions import ConfigurationError, DerivativeError, ShapeError, nearest
from ..parameters import Array
from ..typing import Spec

# Shapes throughout: z, a, y (n, K); scratch (2, n, K), room to work in; the result (n,), one loss a sample.
_Value = Callable[[Array, Array, Array], Array]  # (a, y, scratch) -> (n,)
_Gradient = Callable[[Array, Array, Array, Array], Any]  # (a, y, out, scratch): writes dL/da into out
_FromZ = Callable[[Array, Array, Array, Array], Array]  # (z, a, y, scratch) -> (n,)
_Sides = Callable[[Array, Array], Array]  # (a, y) -> bool (n, K): on which side of its kink each term is


@dataclass(frozen=True, slots=True)
class Loss:
    """One loss: its value and its gradient, per sample.

    Attributes
    ----------
    name : str
    value : callable (a, y, scratch) -> (n,)
    gradient : callable (a, y, out, scratch)
        Writes dL/da into out.
    pairs : mapping of activation name to callable (z, a, y, scratch) -> (n,)
        The loss computed from z, for activations with which delta = a − y.
    sides : callable or None
        For losses with kinks: which side each term is on. A finite difference that changes a side cannot be trusted.
    positive : bool
        Whether the outputs have to be above zero.
    settings : dict
        The parameters of the loss (delta, q), for its description.
    builtin : bool
        False for a user's own pair, which cannot be written to a file.
    """

    name: str
    value: _Value
    gradient: _Gradient
    pairs: Mapping[str, _FromZ] = field(default_factory=dict)
    sides: _Sides | None = None
    positive: bool = False
    settings: Mapping[str, float] = field(default_factory=dict)
    builtin: bool = True

    def spec(self) -> Spec:
        """The description, in values that JSON can hold."""
        return {"name": self.name, **self.settings}


def _row_sums(terms: Array) -> Array:
    return np.asarray(np.add.reduce(terms, axis=1))


# ── squared errors: r = a − y;  L = ½ Σ r², dL/da = r   and   L = mean r², dL/da = 2r/K ────────────────────
def _squared_error(a: Array, y: Array, scratch: Array) -> Array:
    r = np.subtract(a, y, out=scratch[0])
    return np.asarray(0.5 * np.vecdot(r, r))


def _squared_error_gradient(a: Array, y: Array, out: Array, scratch: Array) -> None:
    np.subtract(a, y, out=out)


def _mean_squared_error(a: Array, y: Array, scratch: Array) -> Array:
    r = np.subtract(a, y, out=scratch[0])
    return np.asarray(np.vecdot(r, r) / a.shape[1])


def _mean_squared_error_gradient(a: Array, y: Array, out: Array, scratch: Array) -> None:
    np.subtract(a, y, out=out)
    out *= 2.0 / a.shape[1]


# ── cross entropy, from z ──────────────────────────────────────────────────────────────────────────────────
def _softmax_cross_entropy(z: Array, a: Array, y: Array, scratch: Array) -> Array:
    # −Σ_k y_k log a_k = log Σ_j e^(z_j) − Σ_k y_k z_k, as Σ_k y_k = 1. With s = z − max z every exponent is ≤ 0,
    # and log Σ_j e^(s_j) = −log max_k a_k, because the largest a is e⁰ / Σ_j e^(s_j).
    s = np.subtract(z, np.maximum.reduce(z, axis=1, keepdims=True), out=scratch[0])
    return np.asarray(-np.log(np.maximum.reduce(a, axis=1)) - np.vecdot(y, s))


def _sigmoid_cross_entropy(z: Array, a: Array, y: Array, scratch: Array) -> Array:
    # −log σ(z) = log(1 + e⁻ᶻ) and −log(1 − σ(z)) = log(1 + eᶻ) = log(1 + e⁻ᶻ) + z, so
    # L = Σ_k [log(1 + eᶻ) − y z], where logaddexp(0, z) is log(1 + eᶻ) for any z
    terms = np.logaddexp(0.0, z, out=scratch[0])
    terms -= np.multiply(y, z, out=scratch[1])
    return _row_sums(terms)


def _cross_entropy_needs_a_pair(a: Array, y: Array, scratch: Array) -> Array:
    raise ConfigurationError("cross_entropy is computed from z: give the last layer softmax or sigmoid")


# ── losses with one parameter ──────────────────────────────────────────────────────────────────────────────
def huber(delta: float = 1.0) -> Loss:
    """Σ_k ½ r² where |r| ≤ delta, else delta (|r| − ½ delta), r = a − y. Huber (1964).

    Examples
    --------
    >>> huber(2.0).spec()
    {'name': 'huber', 'delta': 2.0}
    """
    delta = positive("huber's delta", delta)

    def value(a: Array, y: Array, scratch: Array) -> Array:
        # with c = min(|r|, delta) both branches are c (|r| − ½ c)
        size = np.subtract(a, y, out=scratch[0])
        np.abs(size, out=size)
        c = np.minimum(size, delta, out=scratch[1])
        return np.asarray(np.vecdot(c, size) - 0.5 * np.vecdot(c, c))

    def gradient(a: Array, y: Array, out: Array, scratch: Array) -> None:
        np.subtract(a, y, out=out)
        np.clip(out, -delta, delta, out=out)

    return Loss("huber", value, gradient, sides=lambda a, y: np.abs(a - y) > delta, settings={"delta": delta})


def quantile(q: float = 0.5) -> Loss:
    """Σ_k max(q (y − a), (q − 1)(y − a)): smallest where a is the q-quantile of y. Koenker & Bassett (1978).

    Examples
    --------
    >>> quantile(0.9).spec()
    {'name': 'quantile', 'q': 0.9}
    """
    q = fraction("the quantile q", positive("the quantile q", q))

    def value(a: Array, y: Array, scratch: Array) -> Array:
        r = np.subtract(y, a, out=scratch[0])
        terms = np.multiply(r, q - 1.0, out=scratch[1])
        r *= q
        return _row_sums(np.maximum(r, terms, out=terms))

    def gradient(a: Array, y: Array, out: Array, scratch: Array) -> None:
        # 1 − q where a > y and −q where a < y: half the sign, plus ½ − q
        np.subtract(a, y, out=out)
        np.sign(out, out=out)
        out *= 0.5
        out += 0.5 - q

    return Loss("quantile", value, gradient, sides=lambda a, y: a > y, settings={"q": q})


# ── absolute error: dL/da = sign(a − y) ────────────────────────────────────────────────────────────────────
def _absolute_error(a: Array, y: Array, scratch: Array) -> Array:
    r = np.subtract(a, y, out=scratch[0])
    return _row_sums(np.abs(r, out=r))


def _absolute_error_gradient(a: Array, y: Array, out: Array, scratch: Array) -> None:
    np.subtract(a, y, out=out)
    np.sign(out, out=out)


# ── poisson: dL/da = 1 − y/a; with a = eᶻ, dL/dz = a − y ───────────────────────────────────────────────────
def _poisson() -> Loss:
    from scipy.special import xlogy  # y log y, 0 at y = 0; SciPy takes longer to load than all of Backlit

    def value(a: Array, y: Array, scratch: Array) -> Array:
        terms = np.subtract(a, y, out=scratch[0])
        terms += xlogy(y, np.divide(y, a, out=scratch[1]), out=scratch[1])
        return _row_sums(terms)

    def gradient(a: Array, y: Array, out: Array, scratch: Array) -> None:
        np.divide(y, a, out=out)
        np.subtract(1.0, out, out=out)

    def value_from_z(z: Array, a: Array, y: Array, scratch: Array) -> Array:
        terms = np.subtract(a, y, out=scratch[0])
        terms += xlogy(y, y, out=scratch[1])
        terms -= np.multiply(y, z, out=scratch[1])
        return _row_sums(terms)

    return Loss("poisson", value, gradient, pairs={"exp": value_from_z}, positive=True)


# ── hinge: t = 2y − 1;  dL/da = −t where t a < 1, else 0 ───────────────────────────────────────────────────
def _hinge(a: Array, y: Array, scratch: Array) -> Array:
    margin = np.multiply(y, 2.0, out=scratch[0])
    margin -= 1.0
    margin *= a
    np.subtract(1.0, margin, out=margin)
    return _row_sums(np.maximum(margin, 0.0, out=margin))


def _hinge_gradient(a: Array, y: Array, out: Array, scratch: Array) -> None:
    np.multiply(y, -2.0, out=out)
    out += 1.0
    t_times_a = np.multiply(a, out, out=scratch[0])
    out *= np.greater(t_times_a, -1.0, out=scratch[0])


_BUILTIN: Final[dict[str, Callable[..., Loss]]] = {
    "squared_error": lambda: Loss("squared_error", _squared_error, _squared_error_gradient),
    "mean_squared_error": lambda: Loss("mean_squared_error", _mean_squared_error, _mean_squared_error_gradient),
    "cross_entropy": lambda: Loss(
        "cross_entropy",
        _cross_entropy_needs_a_pair,
        _squared_error_gradient,
        pairs={"softmax": _softmax_cross_entropy, "sigmoid": _sigmoid_cross_entropy},
    ),
    "huber": huber,
    "absolute_error": lambda: Loss(
        "absolute_error", _absolute_error, _absolute_error_gradient, sides=lambda a, y: a > y
    ),
    "poisson": _poisson,
    "quantile": quantile,
    "hinge": lambda: Loss("hinge", _hinge, _hinge_gradient, sides=lambda a, y: (2.0 * y - 1.0) * a > 1.0),
}

NAMES: Final = tuple(_BUILTIN)

#: What `loss` takes: a name, a `Loss` such as ``huber(2.0)``, or a user's own pair (value, gradient).
LossLike = str | Loss | tuple[Callable[[Array, Array], Array], Callable[[Array, Array], Array]]


def get_loss(loss: LossLike) -> Loss:
    """The loss of that name, or one made of a user's own pair.

    Parameters
    ----------
    loss : str, Loss or (callable, callable)
        A name; `huber(delta)` or `quantile(q)`; or two functions of (a, y), both of shape (n, K):
        ``value(a, y)`` gives one loss a sample, shape (n,), and ``gradient(a, y)`` gives dL/da, shape (n, K).
        The network checks your gradient against finite differences on the first batch it sees.

    Raises
    ------
    ConfigurationError
        For an unknown name, or something that is neither.

    Examples
    --------
    >>> get_loss("huber").settings["delta"]
    1.0
    """
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, str):
        if loss not in _BUILTIN:
            raise ConfigurationError(f"there is no loss {loss!r}: {nearest(loss, _BUILTIN)}")
        return _BUILTIN[loss]()
    if isinstance(loss, tuple | list) and len(loss) == 2 and all(callable(g) for g in loss):
        value, gradient = loss
        name = getattr(value, "__name__", type(value).__name__)

        def write_gradient(a: Array, y: Array, out: Array, scratch: Array) -> None:
            slopes = np.asarray(gradient(a, y))
            if slopes.shape != a.shape:
                raise ShapeError(
                    f"the gradient given with the loss {name!r} must have the shape of a, {a.shape}, "
                    f"received {slopes.shape}"
                )
            out[...] = slopes

        return Loss(name, lambda a, y, scratch: np.asarray(value(a, y)), write_gradient, builtin=False)
    raise ConfigurationError(
        f"a loss is a name or a pair (value, gradient) of functions of (a, y), received {loss!r}: "
        f"known names are {', '.join(NAMES)}"
    )


def loss_from_spec(spec: Spec | Loss) -> Loss:
    """The loss of a description that came from a file; a `Loss` is passed through."""
    if isinstance(spec, Loss):
        return spec
    settings = dict(spec)
    name = settings.pop("name", None)
    if name not in _BUILTIN:
        raise ConfigurationError(f"there is no loss {name!r}: {nearest(str(name), _BUILTIN)}")
    try:
        return _BUILTIN[name](**settings)
    except TypeError as error:
        raise ConfigurationError(f"the loss {name!r} cannot be made of {settings!r}: {error}") from error


def check_own_loss(loss: Loss, a: Array, y: Array) -> None:
    """Compare a user's dL/da with central differences of the user's L on the first rows of a batch."""
    a, y = a[:4].astype(np.float64), y[:4].astype(np.float64)
    scratch = np.empty((2, *a.shape))
    value = loss.value(a, y, scratch)
    if np.shape(value) != (a.shape[0],):
        raise ShapeError(
            f"the loss {loss.name!r} must give one value a row, shape ({a.shape[0]},), received {np.shape(value)}"
        )
    gradient = np.empty_like(a)
    loss.gradient(a, y, gradient, scratch)
    for row, k in np.ndindex(a.shape):
        h = 1e-6 * max(1.0, abs(float(a[row, k])))
        up, down = a.copy(), a.copy()
        up[row, k] += h
        down[row, k] -= h
        # the loss of this row alone: in a sum, the rounding of a large loss elsewhere would hide it
        difference = float(loss.value(up, y, scratch)[row] - loss.value(down, y, scratch)[row]) / (2.0 * h)
        rounding = 16.0 * np.finfo(np.float64).eps * abs(float(value[row])) / h
        if not abs(gradient[row, k] - difference) <= 1e-4 * max(1.0, abs(difference)) + rounding:
            raise DerivativeError(
                f"the gradient given with the loss {loss.name!r} is wrong: for output {k} of row {row}, "
                f"a = {a[row, k]:.6g} and y = {y[row, k]:.6g}, it is {gradient[row, k]:.6g} "
                f"where the finite difference is {difference:.6g}"
            )
