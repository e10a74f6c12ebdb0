"""The loss account of a step: what the update of each parameter array, and of each layer, changed in the loss.

Three figures, for the update Δθ from θ to θ′ (in float64, on the same batch):

    first order        Σ_p g_p Δθ_p                        what the gradient promised; −η Σ g² for plain SGD
    alone              L(θ + Δθ of this array) − L(θ)      measured, the others left where they were
    along the path     Σ_p Δθ_p ∫₀¹ g_p(θ + t Δθ) dt       its part when all move together

The last ones add up to the measured change L(θ′) − L(θ), by the fundamental theorem of calculus. The integral is
taken piece by piece (Gauss–Legendre, 4 points), and the piece that misses its own measured change most is halved
until all of it is accounted for; the same as integrated gradients (Sundararajan et al. 2017) over parameters.
What first order misses is the curvature met within the step: the sign that the learning rate is too large.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Final, final

import numpy as np

from ...checking.batch_loss import FrozenBatch
from ...pages import Cell, Page, Table, Words, count, number, numbers, place, plain, shown
from ...parameters import Array
from .index import check_index, position_of
from .taken import StepTaken
from .trace import Trace

TOLERANCE: Final = 5e-3  # of the measured change that may be left unaccounted for
_MOST_PIECES: Final = 2048
_NODES, _WEIGHTS = (array / 2.0 for array in np.polynomial.legendre.leggauss(4))


@final
@dataclass(frozen=True, slots=True)
class AccountLine:
    """What one update changed in the loss.

    Attributes
    ----------
    name : str
        Of the parameter array, or ``"layer 0"``.
    first_order, alone, path : float
        The three figures; negative is a gain.
    """

    name: str
    first_order: float
    alone: float
    path: float


@shown
@final
@dataclass(frozen=True)
class LossAccount:
    """Where the change of the loss in one step came from.

    Attributes
    ----------
    before, after : float
        The loss of the batch in float64, penalty included.
    lines : list of AccountLine
        One for each parameter array.
    layers : list of AccountLine
        One for each layer with parameters.
    first_order_vector : ndarray, shape (P,)
        g Δθ of every single parameter; see also `parameter`.
    learning_rate : float
    pieces : list of (float, float)
        The parts of the path, from t to t, that the integral was taken over.
    batch : FrozenBatch
        The batch, at θ.
    update : ndarray, shape (P,)
    """

    before: float
    after: float
    lines: list[AccountLine]
    layers: list[AccountLine]
    first_order_vector: Array
    learning_rate: float
    pieces: list[tuple[float, float]]
    batch: FrozenBatch
    update: Array

    @property
    def change(self) -> float:
        """Measured: L(θ′) − L(θ)."""
        return self.after - self.before

    @property
    def first_order(self) -> float:
        """What the gradient promised: ⟨g, Δθ⟩."""
        return float(self.first_order_vector.sum())

    @property
    def path(self) -> float:
        """The sum of the figures along the path."""
        return sum(line.path for line in self.lines)

    @property
    def residual(self) -> float:
        """What first order missed: change − first_order."""
        return self.change - self.first_order

    @property
    def unaccounted(self) -> float:
        """|path − change| / |change|: within 0.01 where the account is complete."""
        return abs(self.path - self.change) / abs(self.change) if self.change else abs(self.path)

    @cached_property
    def path_vector(self) -> Array:
        """The figure along the path of every single parameter, shape (P,): computed when first asked for."""
        start, total = self.batch.values.copy(), np.zeros_like(self.update)
        for low, high in self.pieces:
            total += (high - low) * _mean_gradient(self.batch, start, self.update, low, high) * self.update
        self.batch.values[:] = start
        return total

    @property
    def best_fraction(self) -> float | None:
        """The fraction of this step with the least loss, on the parabola through slope and change; None without one.

        With s = first_order and c = residual the loss along the step is s t + c t², least at t = −s / 2c.
        """
        if not (self.first_order < 0.0 < self.residual):
            return None
        return -self.first_order / (2.0 * self.residual)

    @property
    def verdict(self) -> str:
        """What the residual says about the learning rate, in one sentence."""
        promised, change, best = self.first_order, self.change, self.best_fraction
        if not math.isfinite(change):
            return "The loss after the step is not finite: the learning rate is far too large."
        if promised >= 0.0:
            if self.update.any():
                return "The step does not go down the gradient: what the optimiser remembers outweighs it here."
            return "Nothing moved."
        kept = change / promised
        if best is not None and kept < 0.5:
            # On the parabola, a step that keeps less than half its promise has gone past the lowest point.
            outcome = "the loss went up" if change > 0.0 else f"only {100 * kept:.0f} % of it came"
            return (
                f"The learning rate is too large: the gradient promised {number(promised, 4)}, and {outcome}; the "
                f"curvature says that the lowest point was passed at {number(best, 2)} of this step (a learning rate "
                f"near {number(best * self.learning_rate, 2)})."
            )
        if kept < 0.9:
            return (
                f"The step is long: {100 * kept:.0f} % of what the gradient promised came, curvature took the rest; "
                "the learning rate is not yet too large."
            )
        if kept <= 1.1:
            return f"First order holds: {100 * kept:.1f} % of what the gradient promised came."
        return f"The loss fell further than the gradient promised ({100 * kept:.0f} % of it): it bends downwards here."

    def parameter(self, name: str, *index: int) -> AccountLine:
        """The three figures for one single parameter.

        Raises
        ------
        ParameterNameError, ConfigurationError
            If there is no such parameter.
        """
        parameters = self.batch.net.parameters
        found = check_index(parameters, name, index)
        at = position_of(parameters, name, found)
        where = slice(at, at + 1)
        alone = _alone(self.batch, self.before, self.update, where)
        return AccountLine(place(name, found), float(self.first_order_vector[at]), alone, float(self.path_vector[at]))

    # ── the page ─────────────────────────────────────────────────────────────────────────────────────────

    def page(self) -> Page:
        """The account as a page."""
        blocks: list[Words | Table] = [
            Words(
                f"The loss of the batch went from {number(self.before, 8)} to {number(self.after, 8)}, measured in "
                "float64. What each update changed in it:"
            ),
            Words(""),
            self.table(),
            Words(""),
            Words(self.verdict, "good" if self.holds else "bad"),
            Words(self.explanation, "dim" if self.unaccounted <= 0.01 else "bad"),
        ]
        return Page("Loss account of the step", blocks)

    @property
    def holds(self) -> bool:
        """Whether at least half of what the gradient promised came."""
        return self.first_order < 0.0 and self.change < 0.5 * self.first_order

    @property
    def explanation(self) -> str:
        """What the three figures mean, and what is left of the change."""
        return (
            f"First order missed {number(self.residual)} of the measured change. Alone: only that array moved, the "
            "others stayed. Along the path: its part when all move together; these add up to the measured change "
            f"({100 * self.unaccounted:.2g} % off, in {count(len(self.pieces), 'piece')})."
        )

    @property
    def listed(self) -> list[AccountLine]:
        """The lines of the table: the arrays; then the layers, where that is something else."""
        return [*self.lines, *(self.layers if len(self.lines) > len(self.layers) > 1 else [])]

    def table(self) -> Table:
        """The account, a line for each update, and for all together."""
        lines = self.listed
        total = AccountLine("all together", self.first_order, self.change, self.path)
        everything = [*lines, total]
        # one format for all figures, so that they compare
        cells = numbers([v for line in everything for v in (line.first_order, line.alone, line.path)], every=True)
        rows = [
            [Cell(text, "strong" if line is total else "") for text in (line.name, *cells[3 * i : 3 * i + 3])]
            for i, line in enumerate(everything)
        ]
        return Table(["update of", "first order g · Δθ", "alone, measured", "along the path"], rows, "lrrr")

    def to_dict(self) -> dict[str, Any]:
        """The figures, for JSON; those of single parameters are left out."""
        totals = ("before", "after", "change", "first_order", "path", "residual", "unaccounted", "best_fraction")
        result: dict[str, Any] = plain({name: getattr(self, name) for name in totals})
        return {
            **result,
            "verdict": self.verdict,
            "learning_rate": self.learning_rate,
            "pieces": len(self.pieces),
            "parameters": [plain(asdict(line)) for line in self.lines],
            "layers": [plain(asdict(line)) for line in self.layers],
        }


def account_for(trace: Trace, step: StepTaken) -> LossAccount:
    """Draw up the account of a step that was taken on a traced batch."""
    batch = trace.frozen()
    start = step.before.astype(np.float64)
    update = step.after.astype(np.float64) - start  # (P,)
    before = batch.loss()
    first_order = batch.gradient() * update
    after = _loss_at(batch, start + update)
    pieces, path = _integrate(batch, start, update, before, after)
    batch.values[:] = start

    def line(name: str, arrays: list[int]) -> AccountLine:
        # the arrays of one layer stand next to each other
        where = slice(slices[arrays[0]].start, slices[arrays[-1]].stop)
        alone = _alone(batch, before, update, where)
        return AccountLine(name, float(first_order[where].sum()), alone, float(path[arrays].sum()))

    names = batch.net.parameters.names
    slices = [batch.net.parameters.slice(name) for name in names]
    layers: dict[str, list[int]] = {}
    for k, name in enumerate(names):
        layers.setdefault(f"layer {name.split('.')[0]}", []).append(k)
    return LossAccount(
        before=before,
        after=after,
        lines=[line(name, [k]) for k, name in enumerate(names)],
        layers=[line(layer, arrays) for layer, arrays in layers.items()],
        first_order_vector=first_order,
        learning_rate=step.learning_rate,
        pieces=pieces,
        batch=batch,
        update=update,
    )


def _loss_at(batch: FrozenBatch, values: Array) -> float:
    """The loss with other parameters, which the batch then has."""
    batch.values[:] = values
    return batch.loss()


def _alone(batch: FrozenBatch, before: float, update: Array, where: slice) -> float:
    """L(θ + Δθ of this part) − L(θ), the batch being at θ."""
    kept = batch.values[where].copy()
    batch.values[where] += update[where]
    after = batch.loss()
    batch.values[where] = kept
    return after - before


@final
@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of the path, from t = low to high: the losses at its ends, and Σ_p Δθ_p ∫ g_p dt for each array."""

    low: float
    high: float
    loss_low: float
    loss_high: float
    parts: Array  # (number of arrays,)
    missed: float  # |Σ parts − (loss_high − loss_low)|


def _integrate(
    batch: FrozenBatch, start: Array, update: Array, before: float, after: float
) -> tuple[list[tuple[float, float]], Array]:
    """The pieces that account for the change, and the integral along all of them for each array."""
    parameters = batch.net.parameters
    starts = [parameters.slice(name).start for name in parameters.names]

    def piece(low: float, high: float, loss_low: float, loss_high: float) -> _Piece:
        parts = np.add.reduceat(_mean_gradient(batch, start, update, low, high) * update, starts) * (high - low)
        return _Piece(low, high, loss_low, loss_high, parts, abs(float(parts.sum()) - (loss_high - loss_low)))

    pieces = [piece(0.0, 1.0, before, after)]
    rounding = 64.0 * np.finfo(np.float64).eps * (abs(before) + abs(after) + 1.0)
    allowed = TOLERANCE * abs(after - before) + rounding
    # A sum that is not finite is not above anything: there is nothing to refine then.
    while sum(p.missed for p in pieces) > allowed and len(pieces) < _MOST_PIECES:
        at = max(range(len(pieces)), key=lambda k: pieces[k].missed)
        worst = pieces[at]
        middle = 0.5 * (worst.low + worst.high)
        loss_middle = _loss_at(batch, start + middle * update)
        pieces[at : at + 1] = [
            piece(worst.low, middle, worst.loss_low, loss_middle),
            piece(middle, worst.high, loss_middle, worst.loss_high),
        ]
    return [(p.low, p.high) for p in pieces], np.sum([p.parts for p in pieces], axis=0)


def _mean_gradient(batch: FrozenBatch, start: Array, update: Array, low: float, high: float) -> Array:
    """The mean of g over the part of the path from t = low to high, shape (P,)."""
    mean = np.zeros_like(update)
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        batch.values[:] = start + (low + (high - low) * (0.5 + node)) * update
        mean += weight * batch.gradient()
    return mean
