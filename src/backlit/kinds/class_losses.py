"""The losses for classes, one record each: cross entropy, with smoothed labels or without, and hinge."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np

from ..checks import fraction
from ..exceptions import ConfigurationError, LabelError
from ..parameters import Array
from .activation import built_in
from .loss import Loss, Pair
from .numbers import log, softplus
from .script import LossText, number

#: What delta is where a loss and an output's activation are a pair.
PAIR_SLOPE: Final = "the slopes cancel, dL/dz = a − y"
PAIR_GRADIENT: Final = "{a} - Y"


# ── cross entropy, from z ──────────────────────────────────────────────────────────────────────────────────
def _softmax_cross_entropy(z: Array, a: Array, y: Array, scratch: Array) -> Array:
    # −Σ_k y_k log a_k = log Σ_j e^(z_j) − Σ_k y_k z_k, as Σ_k y_k = 1. With s = z − max z every exponent is ≤ 0,
    # and log Σ_j e^(s_j) = −log max_k a_k, because the largest a is e⁰ / Σ_j e^(s_j).
    s = np.subtract(z, np.maximum.reduce(z, axis=1, keepdims=True), out=scratch[0])
    return np.asarray(-np.log(np.maximum.reduce(a, axis=1)) - np.vecdot(y, s))


def _softmax_cross_entropy_row(Z: Array, A: Array, Y: Array, i: int) -> Any:
    largest_z, largest_a = Z[i, 0], A[i, 0]
    for k in range(Z.shape[1]):
        largest_z = Z[i, k] if Z[i, k] > largest_z else largest_z
        largest_a = A[i, k] if A[i, k] > largest_a else largest_a
    row = -log(largest_a)
    for k in range(Z.shape[1]):
        row -= Y[i, k] * (Z[i, k] - largest_z)
    return row


def _sigmoid_cross_entropy(z: Array, a: Array, y: Array, scratch: Array) -> Array:
    # −log σ(z) = log(1 + e⁻ᶻ) and −log(1 − σ(z)) = log(1 + eᶻ) = log(1 + e⁻ᶻ) + z, so
    # L = Σ_k [log(1 + eᶻ) − y z], where logaddexp(0, z) is log(1 + eᶻ) for any z
    terms = np.logaddexp(0.0, z, out=scratch[0])
    terms -= np.multiply(y, z, out=scratch[1])
    return np.asarray(np.add.reduce(terms, axis=1))


def _needs_a_pair(a: Array, y: Array, scratch: Array) -> Array:
    raise ConfigurationError("cross_entropy is computed from z: give the last layer softmax or sigmoid")


def _pair_gradient(a: Array, y: Array, out: Array, scratch: Array) -> None:
    np.subtract(a, y, out=out)


def _check_probabilities(Y: Array, activation: Any) -> None:
    outside = (Y < 0) | (Y > 1)
    if outside.any():
        row, column = np.argwhere(outside)[0]
        raise LabelError(
            f"cross_entropy needs targets from 0 to 1, received {Y[row, column]} in row {row}, column {column}: "
            "give class labels, one-hot rows, or 0 and 1"
        )
    sums = Y.sum(axis=1, dtype=np.float64)
    if activation.sums_to_one and (np.abs(sums - 1.0) > 1e-4).any():
        row = int(np.argmax(np.abs(sums - 1.0)))
        raise LabelError(f"rows of y must add up to 1 for {activation.name}, received {sums[row]:g} in row {row}")


CROSS_ENTROPY: Final = built_in(
    Loss(
        "cross_entropy",
        _needs_a_pair,
        _pair_gradient,
        pairs={
            "softmax": Pair(
                _softmax_cross_entropy,
                row=_softmax_cross_entropy_row,
                script=LossText(
                    "−Σ_k y_k log a_k = log Σ_j e^(z_j) − Σ_k y_k z_k",
                    (
                        "s = {z} - {z}.max(axis=1, keepdims=True)",
                        "rows = np.log(np.exp(s).sum(axis=1)) - (Y * s).sum(axis=1)",
                    ),
                    f"with softmax and cross entropy {PAIR_SLOPE}",
                    PAIR_GRADIENT,
                ),
            ),
            "sigmoid": Pair(
                _sigmoid_cross_entropy,
                number=lambda z, a, y, s: softplus(z) - y * z,
                script=LossText(
                    "−Σ_k [y_k log a_k + (1 − y_k) log(1 − a_k)] = Σ_k [log(1 + e^(z_k)) − y_k z_k]",
                    ("rows = (np.logaddexp(0, {z}) - Y * {z}).sum(axis=1)",),
                    f"with sigmoid and cross entropy {PAIR_SLOPE}",
                    PAIR_GRADIENT,
                ),
            ),
        },
        needs_pair=True,
        targets="probabilities",
        check_targets=_check_probabilities,
    )
)


def cross_entropy(smoothing: float = 0.0) -> Loss:
    """Cross entropy, with labels smoothed: y′ = (1 − ε) y + ε/K takes the place of y, ε being `smoothing`.

    K are the classes: the outputs with softmax, two for each with sigmoid. The loss of a network, in training and
    wherever it is measured, is then that of y′, which is never below its entropy; accuracy is that of the labels.
    Szegedy et al. (2016).

    Examples
    --------
    >>> cross_entropy(0.1).spec()
    {'name': 'cross_entropy', 'smoothing': 0.1}
    >>> cross_entropy().spec()
    {'name': 'cross_entropy'}
    """
    smoothing = fraction("the smoothing of labels", smoothing)
    if smoothing == 0.0:
        return CROSS_ENTROPY
    pairs = {name: _smoothed(pair, name == "softmax", smoothing) for name, pair in CROSS_ENTROPY.pairs.items()}
    settings = {"smoothing": smoothing}
    return built_in(replace(CROSS_ENTROPY, pairs=pairs, settings=settings, reference="Szegedy et al. (2016)"))


def _smoothed(pair: Pair, one_class: bool, smoothing: float) -> Pair:
    """The pair for smoothed labels: of one class of many where the outputs add up to 1, else each of two."""
    kept = 1.0 - smoothing

    def aim(Y: Array) -> Array:
        # y′ = (1 − ε) y + ε/K
        return kept * Y + smoothing / (Y.shape[1] if one_class else 2)

    text = pair.script
    if text is not None:
        share = f"{number(smoothing)} / {'Y.shape[1]' if one_class else 2}"
        aimed = f"({number(kept)} * Y + {share})"
        text = replace(
            text,
            formula=f"{text.formula}, with (1 − ε) y + ε/{'K' if one_class else 2} for y, ε = {number(smoothing)}",
            rows=tuple(row.replace("Y", aimed) for row in text.rows),
            slope=text.slope.replace("a − y", f"a − y′, y′ = (1 − ε) y + ε/{'K' if one_class else 2}"),
            gradient=text.gradient.replace("Y", aimed),
        )
    return replace(pair, aim=aim, script=text)


# ── hinge: t = 2y − 1;  dL/da = −t where t a < 1, else 0 ───────────────────────────────────────────────────
def _hinge(a: Array, y: Array, scratch: Array) -> Array:
    margin = np.multiply(y, 2.0, out=scratch[0])
    margin -= 1.0
    margin *= a
    np.subtract(1.0, margin, out=margin)
    return np.asarray(np.add.reduce(np.maximum(margin, 0.0, out=margin), axis=1))


def _hinge_gradient(a: Array, y: Array, out: Array, scratch: Array) -> None:
    np.multiply(y, -2.0, out=out)
    out += 1.0
    t_times_a = np.multiply(a, out, out=scratch[0])
    out *= np.greater(t_times_a, -1.0, out=scratch[0])


def _hinge_term(a: Any, y: Any, s: Any) -> Any:
    one = type(a)(1)
    return max(one - (y + y - one) * a, type(a)(0))


def _hinge_slope(a: Any, y: Any, s: Any) -> Any:
    one = type(a)(1)
    t = y + y - one
    return -t if t * a < one else type(a)(0)


def _check_classes(Y: Array, activation: Any) -> None:
    other = (Y != 0) & (Y != 1)
    if other.any():
        row, column = np.argwhere(other)[0]
        raise LabelError(
            f"hinge needs one-hot rows of 0 and 1, received {Y[row, column]} in row {row}, column {column}"
        )


HINGE: Final = Loss(
    "hinge",
    _hinge,
    _hinge_gradient,
    number=(_hinge_term, _hinge_slope),
    script=LossText(
        "Σ_k max(0, 1 − t_k a_k), t = 2y − 1 = ±1",
        ("t = 2 * Y - 1", "rows = np.maximum(0, 1 - t * {a}).sum(axis=1)"),
        "dL/da = −t where t a < 1, else 0, with t = 2y − 1",
        "(1 - 2 * Y) * ((2 * Y - 1) * {a} < 1)",
    ),
    sides=lambda a, y: (2.0 * y - 1.0) * a > 1.0,
    targets="classes",
    check_targets=_check_classes,
)
