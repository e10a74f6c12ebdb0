"""Finite differences: the gradient without calculus, and the check that back-propagation agrees with it.

    forward   ∂L/∂θ_i ≈ (L(θ + ε e_i) − L(θ)) / ε               error of order ε
    central   ∂L/∂θ_i ≈ (L(θ + ε e_i) − L(θ − ε e_i)) / 2ε      error of order ε²

The check runs in float64 on a copy of the network, with the same equations that training uses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, final

import numpy as np

from .checks import one_of, positive, positive_whole
from .layers import Dense
from .network import Network
from .parameters import Array
from .randomness import keyed_generator
from .workspace import Workspace

Scheme = Literal["forward", "central"]

AGREES: Final = "agrees"
DISAGREES: Final = "disagrees"
UNCHECKABLE: Final = "cannot be checked here"


def finite_difference_gradient(
    loss: Callable[[], float], values: Array, nudge: float, scheme: Scheme, out: Array
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

    Examples
    --------
    >>> w, g = np.array([3.0]), np.zeros(1)
    >>> finite_difference_gradient(lambda: float(w[0] ** 2), w, 1e-4, "central", g), g.round(6)
    (9.0, array([6.]))
    """
    before = loss()
    for i in range(values.size):
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


@dataclass(frozen=True, slots=True)
class CheckedParameter:
    """One parameter's check."""

    name: str
    index: tuple[int, ...]
    gradient: float
    finite_difference: float
    relative_error: float
    verdict: str


@final
@dataclass(frozen=True)
class GradientReport:
    """What `check_gradients` found. Printing it shows a table.

    Attributes
    ----------
    ok : bool
        Every checked parameter agrees, those that cannot be checked here left aside.
    worst : CheckedParameter
        The one with the largest relative error among those that could be checked.
    rows : list of CheckedParameter
    total : int
        Parameters of the network; ``len(rows)`` of them were checked.
    epsilon, tolerance : float
    """

    rows: list[CheckedParameter]
    total: int
    epsilon: float
    tolerance: float

    @property
    def ok(self) -> bool:
        verdicts = {row.verdict for row in self.rows}
        return AGREES in verdicts and DISAGREES not in verdicts

    @property
    def worst(self) -> CheckedParameter:
        checkable = [row for row in self.rows if row.verdict != UNCHECKABLE]
        return max(checkable or self.rows, key=lambda row: row.relative_error)

    def __str__(self) -> str:
        header = f"{'parameter':<12}{'checked':>9}{'agree':>7}{'disagree':>10}{'kink':>6}{'worst relative error':>22}"
        lines = [header]
        for name in dict.fromkeys(row.name for row in self.rows):
            rows = [row for row in self.rows if row.name == name]
            count = {
                verdict: sum(row.verdict == verdict for row in rows) for verdict in (AGREES, DISAGREES, UNCHECKABLE)
            }
            worst = max((row.relative_error for row in rows if row.verdict != UNCHECKABLE), default=float("nan"))
            lines.append(
                f"{name:<12}{len(rows):>9}{count[AGREES]:>7}{count[DISAGREES]:>10}{count[UNCHECKABLE]:>6}{worst:>22.1e}"
            )
        worst_row = self.worst
        place = f"{worst_row.name}[{', '.join(map(str, worst_row.index))}]"
        lines.append(
            f"{'ok' if self.ok else 'NOT ok'}: {len(self.rows)} of {self.total} parameters checked "
            f"by central differences (ε = {self.epsilon:g}, float64); worst {place}: back-propagation {worst_row.gradient:.10g}, "
            f"finite difference {worst_row.finite_difference:.10g}"
        )
        if any(row.verdict == UNCHECKABLE for row in self.rows):
            lines.append(
                "kink: a unit (or the loss) passes a point where it is not smooth between θ − ε and θ + ε; "
                "no finite difference can be trusted there"
            )
        return "\n".join(lines)


def check_gradients(
    net: Network,
    X: Any,
    y: Any,
    sample_weight: Any = None,
    *,
    epsilon: float = 1e-5,
    tolerance: float = 1e-6,
    sample: int | None = None,
    seed: int = 0,
) -> GradientReport:
    """Compare the gradient of every parameter with its central difference, in float64.

    The relative error is |g − d| / max(|g|, |d|, floor), where the floor is the gradient that the rounding of the loss
    hides at this ε: 16 · 2⁻⁵² (|L| + 1) / ε / tolerance.

    Parameters
    ----------
    net : Network
        Of any dtype; the check works on a float64 copy, without dropout.
    X, y, sample_weight : array_like
        As in ``net.gradient``.
    epsilon : float, default=1e-5
        ε, near the cube root of float64's precision, where truncation and rounding balance.
    tolerance : float, default=1e-6
        Largest relative error that counts as agreement.
    sample : int, optional
        Check this many parameters, drawn at random with `seed`, instead of all.

    Returns
    -------
    GradientReport

    Examples
    --------
    >>> net = Network([Dense(3, "tanh"), Dense(1)], inputs=2)
    >>> report = check_gradients(net, [[0.5, -1.0], [2.0, 0.3]], [1.0, 0.0])
    >>> report.ok, report.worst.relative_error < 1e-6
    (True, True)
    """
    epsilon, tolerance = positive("epsilon", epsilon), positive("tolerance", tolerance)
    double = net.astype("float64")
    values = double.parameters.values
    X, Y, weight = double.check_data(X, y, sample_weight)
    work = double.workspace(X.shape[0])
    work.load(X, Y, weight)

    double.forward_pass(work)
    double.backward_pass(work)
    loss = double.average()
    gradient = double.parameters.gradients.copy()
    floor = 16.0 * np.finfo(np.float64).eps * (abs(loss) + 1.0) / epsilon / tolerance

    rows = []
    for i in _positions(values.size, sample, seed):
        kept = values[i]
        values[i] = kept + epsilon
        up, sides_up = _loss(double, work), sides(double, work)
        values[i] = kept - epsilon
        down, sides_down = _loss(double, work), sides(double, work)
        values[i] = kept
        # (L(θ + ε) − L(θ − ε)) / 2ε
        difference = (up - down) / (2.0 * epsilon)
        error = abs(gradient[i] - difference) / max(abs(gradient[i]), abs(difference), floor)
        crossed = any((u != d).any() for u, d in zip(sides_up, sides_down, strict=True))
        crossed |= bool(double.l1 and double.parameters.weight_mask[i] and abs(kept) <= epsilon)
        verdict = AGREES if error <= tolerance else UNCHECKABLE if crossed else DISAGREES
        name, index = double.parameters.locate(i)
        rows.append(CheckedParameter(name, index, float(gradient[i]), difference, float(error), verdict))
    return GradientReport(rows, values.size, epsilon, tolerance)


def _positions(size: int, sample: int | None, seed: int) -> list[int]:
    if sample is None or positive_whole("sample", sample) >= size:
        return list(range(size))
    return sorted(keyed_generator(seed, "sampling").choice(size, sample, replace=False).tolist())


def _loss(net: Network, work: Workspace) -> float:
    net.forward_pass(work)
    losses = net.row_losses(work)
    mean = losses.mean() if work.weight is None else np.dot(work.weight, losses) / work.weight.sum()
    return float(mean) + (net.penalty() if net.l1 or net.l2 else 0.0)


def sides(net: Network, work: Workspace) -> list[Array]:
    """On which side of its kink every relu-like unit and every loss term stands, after a forward pass."""
    found: list[Array] = []
    for layer, z in zip(net.layers, work.z, strict=True):
        if isinstance(layer, Dense):
            found.extend(z > kink for kink in layer.activation.kinks)
    if net.loss_function.sides is not None:
        found.append(net.loss_function.sides(work.a[-1], work.y))
    return found


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
