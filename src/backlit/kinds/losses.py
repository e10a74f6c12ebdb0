"""Losses, named by their formula. Each is stated per sample; the network averages over the batch.

    squared_error        ½ Σ_k (a_k − y_k)²
    mean_squared_error   mean_k (a_k − y_k)²
    cross_entropy        softmax: −Σ_k y_k log a_k      sigmoid: −Σ_k [y_k log a_k + (1 − y_k) log(1 − a_k)]
                         with smoothing ε: (1 − ε) y + ε/K for y                              Szegedy et al. (2016)
    huber                Σ_k  ½ r² where |r| ≤ 1, else |r| − ½,  r = a_k − y_k                    Huber (1964)
    log_cosh             Σ_k log cosh(a_k − y_k)
    absolute_error       Σ_k |a_k − y_k|
    poisson              Σ_k [a_k − y_k log a_k − (y_k − y_k log y_k)], zero where a = y, as in scikit-learn
    quantile             Σ_k max(q (y_k − a_k), (q − 1)(y_k − a_k)),  q = ½ unless told        Koenker & Bassett (1978)
    hinge                Σ_k max(0, 1 − t_k a_k),  t = 2y − 1 = ±1

With some activations the loss is computed from the pre-activation z, stably for any z, and then
delta = dL/dz = a − y exactly: cross_entropy with softmax or sigmoid, poisson with exp.

PyTorch's MSELoss and Keras' mean_squared_error are our `mean_squared_error`; scikit-learn's
`squared_error` is ours: half the sum of squares (for one output).

A new loss is a record here (or, for classes, in `class_losses.py`), and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from ..checks import fraction, positive
from ..exceptions import ConfigurationError, DataError, nearest
from ..parameters import Array
from ..typing import Spec
from .activation import built_in
from .class_losses import HINGE, PAIR_GRADIENT, PAIR_SLOPE, cross_entropy
from .loss import Loss, Pair, check_own_loss, own_loss
from .numbers import sign, softplus, tanh, y_log
from .script import LossText, number
from .special import special

__all__ = [
    "LOSSES",
    "NAMES",
    "Loss",
    "LossLike",
    "check_own_loss",
    "cross_entropy",
    "get_loss",
    "huber",
    "loss_from_spec",
    "quantile",
]


def _row_sums(terms: Array) -> Array:
    return np.asarray(np.add.reduce(terms, axis=1))


# ── squared errors: r = a − y;  L = ½ Σ r², dL/da = r   and   L = mean r², dL/da = 2r/K ────────────────────
def _squared_error(a: Array, y: Array, scratch: Array) -> Array:
    r = np.subtract(a, y, out=scratch[0])
    return np.asarray(0.5 * np.vecdot(r, r))


def _squared_error_gradient(a: Array, y: Array, out: Array, scratch: Array) -> None:
    np.subtract(a, y, out=out)


_SQUARED_ERROR: Final = Loss(
    "squared_error",
    _squared_error,
    _squared_error_gradient,
    number=(lambda a, y, s: type(a)(0.5) * (a - y) * (a - y), lambda a, y, s: a - y),
    script=LossText("½ Σ_k (a_k − y_k)²", ("rows = 0.5 * (({a} - Y) ** 2).sum(axis=1)",), "dL/da = a − y", "{a} - Y"),
)


def _mean_squared_error(a: Array, y: Array, scratch: Array) -> Array:
    r = np.subtract(a, y, out=scratch[0])
    return np.asarray(np.vecdot(r, r) / a.shape[1])


def _mean_squared_error_gradient(a: Array, y: Array, out: Array, scratch: Array) -> None:
    np.subtract(a, y, out=out)
    out *= 2.0 / a.shape[1]


_MEAN_SQUARED_ERROR: Final = Loss(
    "mean_squared_error",
    _mean_squared_error,
    _mean_squared_error_gradient,
    number=(lambda a, y, s: (a - y) * (a - y) / s, lambda a, y, s: (a - y) * (type(a)(2) / s)),
    script=LossText(
        "mean_k (a_k − y_k)²",
        ("rows = (({a} - Y) ** 2).mean(axis=1)",),
        "dL/da = 2 (a − y) / K for K outputs",
        "2 * ({a} - Y) / {a}.shape[1]",
    ),
)


# ── losses with one parameter ──────────────────────────────────────────────────────────────────────────────
def _huber_term(a: Any, y: Any, s: Any) -> Any:
    # with c = min(|r|, delta) both branches are c (|r| − ½ c)
    size = abs(a - y)
    c = min(size, s)
    return c * (size - type(a)(0.5) * c)


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

    return built_in(
        Loss(
            "huber",
            value,
            gradient,
            number=(_huber_term, lambda a, y, s: max(min(a - y, s), -s)),
            script=LossText(
                f"Σ_k ½ r² where |r| ≤ δ, else δ (|r| − ½ δ), r = a_k − y_k, δ = {number(delta)}",
                ("r = np.abs({a} - Y)", "c = np.minimum(r, DELTA)", "rows = (c * (r - 0.5 * c)).sum(axis=1)"),
                "dL/da = a − y, not beyond ±δ",
                "np.clip({a} - Y, -DELTA, DELTA)",
                ((f"DELTA = {number(delta)}", "where the huber loss turns from a parabola to a line"),),
            ),
            sides=lambda a, y: np.abs(a - y) > delta,
            settings={"delta": delta},
            reference="Huber (1964)",
        )
    )


def _quantile_term(a: Any, y: Any, s: Any) -> Any:
    r = y - a
    return max(s * r, (s - type(a)(1)) * r)


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

    return built_in(
        Loss(
            "quantile",
            value,
            gradient,
            number=(_quantile_term, lambda a, y, s: type(a)(0.5) * sign(a - y) + (type(a)(0.5) - s)),
            script=LossText(
                f"Σ_k max(q r, (q − 1) r), r = y_k − a_k, q = {number(q)}",
                ("r = Y - {a}", "rows = np.maximum(Q * r, (Q - 1) * r).sum(axis=1)"),
                "dL/da = 1 − q where a > y, −q where a < y, ½ − q between",
                "0.5 * np.sign({a} - Y) + (0.5 - Q)",
                ((f"Q = {number(q)}", "the quantile to be met"),),
            ),
            sides=lambda a, y: a > y,
            settings={"q": q},
            reference="Koenker & Bassett (1978)",
        )
    )


# ── log cosh: smooth, r²/2 near 0 and |r| − log 2 far away;  dL/da = tanh r ────────────────────────────────
def _log_cosh(a: Array, y: Array, scratch: Array) -> Array:
    # log cosh r = |r| + log(1 + e^(−2|r|)) − log 2, which does not overflow
    size = np.subtract(a, y, out=scratch[0])
    np.abs(size, out=size)
    tail = np.multiply(size, -2.0, out=scratch[1])
    size += np.logaddexp(0.0, tail, out=tail)
    size -= math.log(2.0)
    return _row_sums(size)


def _log_cosh_gradient(a: Array, y: Array, out: Array, scratch: Array) -> None:
    np.subtract(a, y, out=out)
    np.tanh(out, out=out)


def _log_cosh_term(a: Any, y: Any, s: Any) -> Any:
    size = abs(a - y)
    return size + softplus(type(a)(-2) * size) - type(a)(math.log(2.0))


_LOG_COSH: Final = Loss(
    "log_cosh",
    _log_cosh,
    _log_cosh_gradient,
    number=(_log_cosh_term, lambda a, y, s: tanh(a - y)),
    script=LossText(
        "Σ_k log cosh(a_k − y_k)",
        ("r = np.abs({a} - Y)", "rows = (r + np.logaddexp(0, -2 * r) - math.log(2)).sum(axis=1)"),
        "dL/da = tanh(a − y)",
        "np.tanh({a} - Y)",
    ),
)


# ── absolute error: dL/da = sign(a − y) ────────────────────────────────────────────────────────────────────
def _absolute_error(a: Array, y: Array, scratch: Array) -> Array:
    r = np.subtract(a, y, out=scratch[0])
    return _row_sums(np.abs(r, out=r))


def _absolute_error_gradient(a: Array, y: Array, out: Array, scratch: Array) -> None:
    np.subtract(a, y, out=out)
    np.sign(out, out=out)


_ABSOLUTE_ERROR: Final = Loss(
    "absolute_error",
    _absolute_error,
    _absolute_error_gradient,
    number=(lambda a, y, s: abs(a - y), lambda a, y, s: sign(a - y)),
    script=LossText(
        "Σ_k |a_k − y_k|", ("rows = np.abs({a} - Y).sum(axis=1)",), "dL/da = sign(a − y)", "np.sign({a} - Y)"
    ),
    sides=lambda a, y: a > y,
)


# ── poisson: dL/da = 1 − y/a; with a = eᶻ, dL/dz = a − y ───────────────────────────────────────────────────
def _poisson(a: Array, y: Array, scratch: Array) -> Array:
    terms = np.subtract(a, y, out=scratch[0])
    terms += special.xlogy(y, np.divide(y, a, out=scratch[1]), out=scratch[1])  # y log y, 0 at y = 0
    return _row_sums(terms)


def _poisson_gradient(a: Array, y: Array, out: Array, scratch: Array) -> None:
    np.divide(y, a, out=out)
    np.subtract(1.0, out, out=out)


def _poisson_from_z(z: Array, a: Array, y: Array, scratch: Array) -> Array:
    terms = np.subtract(a, y, out=scratch[0])
    terms += special.xlogy(y, y, out=scratch[1])
    terms -= np.multiply(y, z, out=scratch[1])
    return _row_sums(terms)


def _check_counts(Y: Array, activation: Any) -> None:
    if (Y < 0).any():
        row, column = np.argwhere(Y < 0)[0]
        raise DataError(f"poisson needs targets of at least 0, received {Y[row, column]} in row {row}, column {column}")


_POISSON: Final = Loss(
    "poisson",
    _poisson,
    _poisson_gradient,
    pairs={
        "exp": Pair(
            _poisson_from_z,
            number=lambda z, a, y, s: a - y + y_log(y, y) - y * z,
            script=LossText(
                "Σ_k [a_k − y_k + y_k log(y_k / a_k)], log a_k = z_k",
                (
                    "y_log_y = Y * np.log(np.where(Y > 0, Y, 1))",
                    "rows = ({a} - Y + y_log_y - Y * {z}).sum(axis=1)",
                ),
                f"with exp and the poisson loss {PAIR_SLOPE}",
                PAIR_GRADIENT,
            ),
        )
    },
    number=(lambda a, y, s: a - y + y_log(y, y / a), lambda a, y, s: type(a)(1) - y / a),
    script=LossText(
        "Σ_k [a_k − y_k + y_k log(y_k / a_k)]",
        ("logs = np.log(np.where(Y > 0, Y / {a}, 1))", "rows = ({a} - Y + Y * logs).sum(axis=1)"),
        "dL/da = 1 − y/a",
        "1 - Y / {a}",
    ),
    positive=True,
    targets="counts",
    check_targets=_check_counts,
)


def _without_settings(loss: Loss) -> Callable[[], Loss]:
    return lambda: loss


#: By name, what makes each of them from its settings.
LOSSES: Final[dict[str, Callable[..., Loss]]] = {
    "huber": huber,
    "quantile": quantile,
    "cross_entropy": cross_entropy,
    **{
        loss.name: _without_settings(built_in(loss))
        for loss in (
            _SQUARED_ERROR, _MEAN_SQUARED_ERROR, _LOG_COSH, _ABSOLUTE_ERROR, _POISSON, HINGE
        )
    },
}  # fmt: skip

NAMES: Final = tuple(LOSSES)

#: What `loss` takes: a name, a `Loss` such as ``huber(2.0)``, or a user's own pair (value, gradient).
LossLike = str | Loss | tuple[Callable[[Array, Array], Array], Callable[[Array, Array], Array]]


def get_loss(loss: LossLike) -> Loss:
    """The loss of that name, or one made of a user's own pair.

    Parameters
    ----------
    loss : str, Loss or (callable, callable)
        A name; `huber(delta)`, `quantile(q)` or `cross_entropy(smoothing)`; or two functions of (a, y), both of shape
        (n, K):
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
        if loss not in LOSSES:
            raise ConfigurationError(f"there is no loss {loss!r}: {nearest(loss, LOSSES)}")
        return LOSSES[loss]()
    if isinstance(loss, tuple | list) and len(loss) == 2 and all(callable(g) for g in loss):
        return own_loss(*loss)
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
    if name not in LOSSES:
        raise ConfigurationError(f"there is no loss {name!r}: {nearest(str(name), LOSSES)}")
    try:
        return LOSSES[name](**settings)
    except TypeError as error:
        raise ConfigurationError(f"the loss {name!r} cannot be made of {settings!r}: {error}") from error
