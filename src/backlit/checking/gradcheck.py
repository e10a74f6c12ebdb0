"""Finite differences: the gradient without calculus, and the check that back-propagation agrees with it.

    forward   ∂L/∂θ_i ≈ (L(θ + ε e_i) − L(θ)) / ε               error of order ε
    central   ∂L/∂θ_i ≈ (L(θ + ε e_i) − L(θ − ε e_i)) / 2ε      error of order ε²

The check runs in float64 on a copy of the network, with the same equations that training uses. What it found is a
`GradientReport`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, final

import numpy as np

from ..checks import one_of, positive, positive_whole
from ..network import Network
from ..pages import place
from ..parameters import Array, ParameterVector
from ..randomness import keyed_generator
from ..workspace import Workspace
from .batch_loss import EPSILON, FrozenBatch, batch_loss, check_step, hidden_gradient, sides
from .gradreport import (
    AGREES,
    DISAGREES,
    UNCHECKABLE,
    CheckedDirection,
    CheckedParameter,
    EpsilonSweep,
    GradientReport,
    agreed_digits,
)
from .one_unit import OneUnit

__all__ = [
    "AGREES",
    "DISAGREES",
    "UNCHECKABLE",
    "CheckedDirection",
    "CheckedParameter",
    "EpsilonSweep",
    "FiniteDifference",
    "GradientReport",
    "check_gradients",
    "finite_difference_gradient",
    "nudged_gradient",
    "sides",
    "stratified_sample",
]

Scheme = Literal["forward", "central"]

SAMPLE_LIMIT: Final = 5000  # more parameters than these are sampled unless asked otherwise

_DIRECTIONS: Final = 3
_SWEEP: Final = tuple(10.0**-k for k in range(1, 13))
_SWEEP_PARAMETERS: Final = 40


def finite_difference_gradient(
    loss: Callable[[], float],
    values: Array,
    nudge: float,
    scheme: Scheme,
    out: Array,
    positions: Sequence[int] | Array | None = None,
) -> float:
    """Nudge each number of `values` in turn and see what the loss does; returns the loss before.

    Parameters
    ----------
    loss : callable
        The loss at the present `values`.
    values : ndarray, shape (P,)
        Nudged one at a time, and put back exactly.
    nudge : float
        ε.
    scheme : {"forward", "central"}
        P + 1 or 2 P + 1 evaluations of the loss.
    out : ndarray, shape (P,)
        Receives the gradient.
    positions : sequence of int, optional
        Of `values` that are nudged, and of `out` that are written; all unless given.

    Examples
    --------
    >>> w, g = np.array([3.0]), np.zeros(1)
    >>> finite_difference_gradient(lambda: float(w[0] ** 2), w, 1e-4, "central", g), g.round(6)
    (9.0, array([6.]))
    """
    before = loss()
    for i in range(values.size) if positions is None else positions:
        kept = values[i]
        values[i] = kept + nudge
        up = loss()
        if scheme == "central":
            values[i] = kept - nudge
            # (L(θ + ε) − L(θ − ε)) / 2ε
            out[i] = (up - loss()) / (2.0 * nudge)
        else:
            # (L(θ + ε) − L(θ)) / ε
            out[i] = (up - before) / nudge
        values[i] = kept
    return before


def check_gradients(
    net: Network,
    X: Any,
    y: Any,
    *,
    sample_weight: Any = None,
    epsilon: float = EPSILON,
    tolerance: float = 1e-6,
    sample: int | None = None,
    step: int | None = None,
    sweep: bool = False,
    seed: int = 0,
) -> GradientReport:
    """Compare the gradient of every parameter with its central difference, in float64.

    The relative error is |g − d| / max(|g|, |d|, floor), where the floor is the gradient that the rounding of the loss
    hides at this ε: 16 · 2⁻⁵² (|L| + 1) / ε / tolerance. Where it is above `tolerance`, the difference is taken again
    at ε/10, ε/100 and ε/1000: that leaves a wrong gradient wrong, but steps over fewer kinks, and is narrow enough for
    inputs that are not scaled.

    Parameters
    ----------
    net : Network
        Of any dtype; the check works on a float64 copy.
    X, y, sample_weight : array_like
        As in ``net.gradient``.
    epsilon : float, default=1e-5
        ε, near the cube root of float64's precision, where truncation and rounding balance.
    tolerance : float, default=1e-6
        Largest relative error that counts as agreement.
    sample : int, optional
        Check this many parameters one by one, drawn with `seed` from every array in equal parts. Without it, all are
        checked, or 5,000 where there are more. Along three random directions all are checked in any case.
    step : int, optional
        Check the gradient of training step number `step` (from 0), with its dropout mask; without, there is no dropout.
    sweep : bool, default=False
        Measure the error against ε too, in float64 and in float32: ``report.sweep``.

    Returns
    -------
    GradientReport

    Examples
    --------
    >>> from backlit.kinds import Dense
    >>> net = Network([Dense(3, "tanh"), Dense(1)], inputs=2)
    >>> report = check_gradients(net, [[0.5, -1.0], [2.0, 0.3]], [1.0, 0.0])
    >>> report.ok, report.worst.relative_error < 1e-6
    (True, True)
    >>> report.heatmap("0.weight").shape
    (2, 3)
    """
    epsilon, tolerance, step = positive("epsilon", epsilon), positive("tolerance", tolerance), check_step(step)
    limit = SAMPLE_LIMIT if sample is None else positive_whole("sample", sample)
    data = net.check_data(X, y, sample_weight=sample_weight)
    batch = FrozenBatch(net, *data, step)
    parameters = batch.net.parameters
    loss = batch.loss()
    gradient = batch.gradient()
    comparison = _Comparison(batch, loss, epsilon, tolerance, _obstacle(batch, loss))

    rows = []
    positions = stratified_sample(parameters, limit, seed)
    for i, d in zip(positions, batch.centrals(positions, epsilon).tolist(), strict=True):
        g = float(gradient[i])
        name, index = parameters.locate(i)
        rows.append(CheckedParameter(name, index, g, *comparison.compare(g, i, d)))
    directions = []
    for number in range(_DIRECTIONS):
        v = keyed_generator(seed, "sampling", 1, number).standard_normal(parameters.size)
        v /= np.linalg.norm(v)
        with np.errstate(invalid="ignore"):
            g = float(np.dot(v, gradient))
        directions.append(CheckedDirection(g, *comparison.compare(g, v, batch.along(v, epsilon))))
    return GradientReport(
        rows,
        parameters.size,
        epsilon,
        tolerance,
        directions,
        parameters.shapes,
        loss,
        _training_note(net, step),
        _sweep(net, data, step, gradient, epsilon, seed) if sweep else None,
    )


@final
@dataclass(frozen=True)
class _Comparison:
    """A gradient g beside its finite difference d."""

    batch: FrozenBatch
    loss: float
    epsilon: float
    tolerance: float
    obstacle: str  # why nothing can be checked here, or empty

    def compare(self, g: float, where: int | Array, d: float) -> tuple[float, float, str, str, float]:
        """Finite difference, relative error, verdict, reason and agreed digits, at a position or along a direction."""
        if self.obstacle or not math.isfinite(d):
            return d, math.nan, UNCHECKABLE, self.obstacle or "the loss at θ ± ε is not finite", math.nan
        if not math.isfinite(g):
            return d, math.inf, DISAGREES, "", 0.0
        error = self._error(g, d, self.epsilon)
        if error <= self.tolerance:
            return d, error, AGREES, "", self._digits(g, d)
        for smaller in (self.epsilon / 10, self.epsilon / 100, self.epsilon / 1000):
            closer = self._difference(where, smaller)
            error_closer = self._error(g, closer, self.epsilon)  # the floor stays: no more lenient than before
            if error_closer <= self.tolerance:
                return closer, error_closer, AGREES, "", self._digits(g, closer)
        kink = self._kink(where, self.epsilon)
        if kink and (self._kink(where, smaller) or self._error(g, closer, smaller) <= self.tolerance):
            return d, error, UNCHECKABLE, kink, math.nan
        return d, error, DISAGREES, "", self._digits(g, d)

    def _difference(self, where: int | Array, epsilon: float) -> float:
        return self.batch.central(where, epsilon) if isinstance(where, int) else self.batch.along(where, epsilon)

    def _kink(self, where: int | Array, epsilon: float) -> str:
        direction = where
        if isinstance(direction, int):
            direction = np.zeros_like(self.batch.values)
            direction[where] = 1.0
        return self.batch.kink_between(direction, epsilon)

    def _error(self, g: float, d: float, epsilon: float) -> float:
        return abs(g - d) / max(abs(g), abs(d), hidden_gradient(self.loss, epsilon) / self.tolerance)

    def _digits(self, g: float, d: float) -> float:
        return agreed_digits(g, d, hidden_gradient(self.loss, self.epsilon))


def stratified_sample(parameters: ParameterVector, limit: int, seed: int) -> list[int]:
    """Positions of about `limit` parameters: small arrays whole, large ones in equal parts, one at least of each.

    Examples
    --------
    >>> from backlit.kinds import Dense
    >>> net = Network([Dense(30, "tanh"), Dense(2)], inputs=20)          # 600 + 30 + 60 + 2 parameters
    >>> len(stratified_sample(net.parameters, 100, 0))
    100
    """
    if limit >= parameters.size:
        return list(range(parameters.size))
    chosen: list[int] = []
    names = sorted(parameters.names, key=lambda name: math.prod(parameters.shapes[name]))
    for done, name in enumerate(names):
        where = parameters.slice(name)
        size = where.stop - where.start
        share = min(size, max(1, (limit - len(chosen)) // (len(names) - done)))
        found = keyed_generator(seed, "sampling", 0, done).choice(size, share, replace=False)
        chosen += (where.start + found).tolist()
    return sorted(chosen)


def _obstacle(batch: FrozenBatch, loss: float) -> str:
    """Why no gradient of this batch can be checked, or nothing."""
    finite = np.isfinite(batch.values)
    if not finite.all():
        name, index = batch.net.parameters.locate(int(np.argmin(finite)))
        return f"{place(name, index)} is {batch.values[np.argmin(finite)]}"
    if not math.isfinite(loss):
        return f"the loss is {loss}"
    if batch.loss() != loss:
        return (
            "the loss differs between two passes over the same numbers: "
            "something random, such as a dropout mask, is not frozen"
        )
    return ""


def _training_note(net: Network, step: int | None) -> str:
    names = " and ".join(
        dict.fromkeys(type(layer).__name__ for layer in net.layers if layer.random or layer.mixes_rows)
    )
    if not names:
        return ""
    if step is None:
        return (
            f"{names}: as in inference, without masks and with running statistics; with step=… that step of training "
            "is checked, its masks and statistics frozen."
        )
    return f"{names}: as in step {step} of training, with its masks and statistics, frozen."


def _sweep(
    net: Network, data: tuple[Array, Array, Array | None], step: int | None, gradient: Array, chosen: float, seed: int
) -> EpsilonSweep:
    positions = stratified_sample(net.parameters, _SWEEP_PARAMETERS, seed)
    g = gradient[positions]
    errors: dict[str, list[float]] = {}
    for dtype in ("float64", "float32"):
        batch = FrozenBatch(net, *data, step, dtype)
        with np.errstate(all="ignore"):
            differences = [np.array([batch.central(i, epsilon) for i in positions]) for epsilon in _SWEEP]
            # ‖d − g‖ / ‖g‖
            errors[dtype] = [float(np.linalg.norm(d - g) / np.linalg.norm(g)) for d in differences]
    return EpsilonSweep(list(_SWEEP), errors["float64"], errors["float32"], chosen, len(positions))


@final
@dataclass(frozen=True)
class FiniteDifference:
    """Training by nudging: ``bl.fit(net, …, gradient=FiniteDifference(1e-4, "forward"))``.

    Parameters
    ----------
    nudge : float, default=1e-4
        ε, added to each parameter in turn.
    scheme : {"forward", "central"}, default="forward"
        Forward needs P + 1 passes for P parameters, central 2 P + 1 and is more exact.

    Examples
    --------
    >>> FiniteDifference(scheme="central")
    FiniteDifference(nudge=0.0001, scheme='central')
    """

    nudge: float = 1e-4
    scheme: Scheme = "forward"

    def __post_init__(self) -> None:
        positive("nudge", self.nudge)
        one_of("scheme", self.scheme, ("forward", "central"))


def nudged_gradient(net: Network, work: Workspace, step: int, how: FiniteDifference, out: Array) -> float:
    """The gradient of a batch by nudging, into `out`, shape (P,), penalty included; returns the loss.

    A nudge changes one unit and what stands above it (`one_unit.py`); below layers that are random or mix the rows it
    takes whole passes. The numbers are those of `finite_difference_gradient` but for rounding.

    Parameters
    ----------
    net : Network
    work : Workspace
        Holds the batch; in the end its forward pass is that of the present parameters.
    step : int
        The number of the step: dropout is at work with its mask.
    how : FiniteDifference
    out : ndarray, shape (P,)
    """
    loss = batch_loss(net, work, step)
    whole = OneUnit(net, work, in_training=True).every(how.nudge, how.scheme, out)
    if whole.size:
        finite_difference_gradient(
            lambda: batch_loss(net, work, step), net.parameters.values, how.nudge, how.scheme, out, whole
        )
        net.forward_pass(work, step)
    return loss
