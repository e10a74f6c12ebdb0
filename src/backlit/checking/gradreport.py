"""What a gradient check found: the verdict on every parameter, and the sweep over ε that explains the choice of ε."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, Final, final

import numpy as np

from ..exceptions import ParameterNameError, nearest
from ..pages import Cell, Page, Table, Tone, Words, count, number, place, plain, shown
from ..parameters import Array

AGREES: Final = "agrees"
DISAGREES: Final = "disagrees"
UNCHECKABLE: Final = "cannot be checked here"

MOST_DIGITS: Final = 16.0  # equal numbers agree to all the digits of float64

_MAP_ROWS, _MAP_COLUMNS = 16, 16  # of a heat map on a page: it fits into 80 columns


def agreed_digits(a: float, b: float, hidden: float = 0.0) -> float:
    """To how many decimal digits two numbers agree: −log10(|a − b| / max(|a|, |b|)), from 0 to 16.

    NaN where they differ, but neither is larger than `hidden`: too small for the comparison to mean anything.

    Examples
    --------
    >>> round(agreed_digits(1.0, 1.000001), 1), agreed_digits(0.0, 0.0), agreed_digits(1.0, -1.0)
    (6.0, 16.0, 0.0)
    """
    if not (math.isfinite(a) and math.isfinite(b)):
        return math.nan
    if a == b:
        return MOST_DIGITS
    largest = max(abs(a), abs(b))
    return math.nan if largest <= hidden else min(MOST_DIGITS, max(0.0, -math.log10(abs(a - b) / largest)))


@final
@dataclass(frozen=True, slots=True)
class CheckedParameter:
    """One parameter's check.

    Attributes
    ----------
    name, index
        Which number: ``net.parameters.view(name)[index]``.
    gradient, finite_difference : float
    relative_error : float
        |g − d| / max(|g|, |d|, floor); the floor is that of `check_gradients`.
    verdict : str
        AGREES, DISAGREES or UNCHECKABLE.
    reason : str
        Why it cannot be checked here, else empty.
    digits : float
        To how many digits the two agree; NaN where both are smaller than the rounding of the loss shows.
    """

    name: str
    index: tuple[int, ...]
    gradient: float
    finite_difference: float
    relative_error: float
    verdict: str
    reason: str = ""
    digits: float = math.nan

    def __str__(self) -> str:
        return place(self.name, self.index)


@final
@dataclass(frozen=True, slots=True)
class CheckedDirection:
    """The slope of the loss along one random direction v, |v| = 1: ⟨v, g⟩ against (L(θ + ε v) − L(θ − ε v)) / 2ε.

    Every parameter takes part in it, whether it was sampled or not.
    """

    gradient: float
    finite_difference: float
    relative_error: float
    verdict: str
    reason: str = ""
    digits: float = math.nan


@shown
@final
@dataclass(frozen=True)
class EpsilonSweep:
    """The error of central differences against ε: ‖d − g‖ / ‖g‖ over some parameters.

    Attributes
    ----------
    epsilons : list of float
        From 1e-1 down to 1e-12.
    errors, errors_float32 : list of float
        With the loss computed in float64, and in float32.
    chosen : float
        The ε of the check.
    parameters : int
        How many parameters the errors are taken over.
    """

    epsilons: list[float]
    errors: list[float]
    errors_float32: list[float]
    chosen: float
    parameters: int

    @property
    def best(self) -> tuple[float, float]:
        """The ε with the least error in float64, and that error."""
        return _least(self.epsilons, self.errors)

    @property
    def best_float32(self) -> tuple[float, float]:
        """The ε with the least error in float32, and that error: the floor of a check in float32."""
        return _least(self.epsilons, self.errors_float32)

    @property
    def explanation(self) -> str:
        """Why this ε."""
        (epsilon, error), (epsilon_32, error_32) = self.best, self.best_float32
        if not math.isfinite(error):
            return "No error could be measured: the gradient of these parameters is zero, or the loss is not finite."
        return (
            "Why this ε: a central difference leaves out the third derivative, an error that grows as ε²; the rounding "
            "of the loss adds one that grows as 1/ε. In float64 the two balance near the cube root of 2⁻⁵², 6e-06. "
            f"Measured here, the error is least at ε = {epsilon:.0e}, where it is {error:.1e}; the check uses "
            f"ε = {self.chosen:.0e}. In float32 it never falls below {error_32:.1e} (at ε = {epsilon_32:.0e}), however "
            "right the gradient is: therefore the check is made in float64."
        )

    def page(self) -> Page:
        """The sweep as a table with bars: the longer the bar, the more digits agree."""
        rows: list[list[Cell | str]] = []
        for epsilon, error, error_32 in zip(self.epsilons, self.errors, self.errors_float32, strict=True):
            bars = [_bar(error), _bar(error_32)]
            mark = "← used" if math.isclose(epsilon, self.chosen) else ""
            rows.append([f"{epsilon:.0e}", f"{error:.1e}", Cell(bars[0], "good"), f"{error_32:.1e}", bars[1], mark])
        return Page(
            f"Error of central differences against ε, over {count(self.parameters, 'parameter')}",
            [
                Table(["ε", "float64", "digits", "float32", "digits", ""], rows, "rrlrll"),
                Words(self.explanation),
            ],
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        result: dict[str, Any] = plain({**asdict(self), "best": self.best, "best_float32": self.best_float32})
        return {**result, "explanation": self.explanation}


def _least(epsilons: list[float], errors: list[float]) -> tuple[float, float]:
    finite = [(error, epsilon) for epsilon, error in zip(epsilons, errors, strict=True) if math.isfinite(error)]
    error, epsilon = min(finite, default=(math.nan, math.nan))
    return epsilon, error


def _bar(error: float) -> str:
    if not math.isfinite(error):
        return ""
    digits = MOST_DIGITS if error == 0.0 else -math.log10(error)
    return "█" * round(min(MOST_DIGITS, max(0.0, digits)))


@shown
@final
@dataclass(frozen=True)
class GradientReport:
    """What `check_gradients` found. Printing it shows a table.

    Attributes
    ----------
    ok : bool
        Every checked parameter and direction agrees, those that cannot be checked here left aside.
    worst : CheckedParameter
        The one with the largest relative error among those that could be checked.
    rows : list of CheckedParameter
    total : int
        Parameters of the network; ``len(rows)`` of them were checked.
    epsilon, tolerance : float
    directions : list of CheckedDirection
        Random directions, in which every parameter takes part.
    shapes : dict of str to tuple
        Of all parameters of the network.
    loss : float
        In float64, penalty included.
    note : str
        What was done about dropout, where the network has some.
    sweep : EpsilonSweep or None
    """

    rows: list[CheckedParameter]
    total: int
    epsilon: float
    tolerance: float
    directions: list[CheckedDirection] = field(default_factory=list)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    loss: float = math.nan
    note: str = ""
    sweep: EpsilonSweep | None = None

    @property
    def ok(self) -> bool:
        verdicts = {row.verdict for row in self.rows} | {direction.verdict for direction in self.directions}
        return AGREES in verdicts and DISAGREES not in verdicts

    @property
    def worst(self) -> CheckedParameter:
        checkable = [row for row in self.rows if row.verdict != UNCHECKABLE]
        return max(checkable or self.rows, key=lambda row: row.relative_error)

    @property
    def coverage(self) -> str:
        """How much was checked, in words."""
        if len(self.rows) == self.total:
            alone = f"all {count(self.total, 'parameter')} one by one" if self.total > 1 else "the one parameter"
        else:
            alone = f"{len(self.rows):,} of {count(self.total, 'parameter')} one by one, some of every array"
        return f"{alone}, and all together along {count(len(self.directions), 'random direction')}"

    def heatmap(self, name: str) -> Array:
        """To how many digits each number of the parameter `name` agrees, in its shape.

        NaN where it was not checked, cannot be, or is smaller than the rounding of the loss shows.

        Raises
        ------
        ParameterNameError
            If there is no parameter of that name; the nearest names are offered.
        """
        if name not in self.shapes:
            raise ParameterNameError(f"there is no parameter {name!r}: {nearest(name, self.shapes)}")
        digits = np.full(self.shapes[name], np.nan)
        for row in self.rows:
            if row.name == name and row.verdict != UNCHECKABLE:
                digits[row.index] = row.digits
        return digits

    def page(self, *, heat: bool = True) -> Page:
        """The report as a page; with `heat`, maps of the agreed digits below the table."""
        blocks: list[Words | Table] = [
            Words(f"Checked: {self.coverage}; central differences in float64, ε = {self.epsilon:g}.")
        ]
        if self.note:
            blocks.append(Words(self.note))
        blocks += [Words(""), self._table(), Words(""), *self._findings()]
        if heat:
            blocks += self._maps()
        if self.sweep is not None:
            sweep = self.sweep.page()
            blocks += [Words(""), Words(sweep.title, "strong"), *sweep.blocks]
        return Page(f"Gradient check: {'ok' if self.ok else 'NOT ok'}", blocks)

    def _table(self) -> Table:
        rows: list[list[Cell | str]] = []
        for name, shape in self.shapes.items():
            found = [row for row in self.rows if row.name == name]
            rows.append([name, str(shape), f"{len(found):,} of {math.prod(shape):,}", *_verdicts(found)])
        if self.directions:
            rows.append(["directions", "", str(len(self.directions)), *_verdicts(self.directions)])
        titles = ["parameter", "shape", "checked", AGREES, DISAGREES, "cannot be", "worst error"]
        return Table(titles, rows, "llrrrrr")

    def _findings(self) -> list[Words | Table]:
        worst = self.worst
        lines: list[Words | Table] = [
            Words(
                f"Worst: {worst}, back-propagation {number(worst.gradient, 10)}, finite difference "
                f"{number(worst.finite_difference, 10)}, relative error {worst.relative_error:.1e} "
                f"(up to {self.tolerance:g} counts as agreement)."
            )
        ]
        wrong = sorted((r for r in self.rows if r.verdict == DISAGREES), key=lambda r: -r.relative_error)
        for row in wrong[:5]:
            numbers = f"{number(row.gradient, 10)}, finite difference {number(row.finite_difference, 10)}"
            lines.append(Words(f"disagrees: {row}, back-propagation {numbers}", "bad", 2))
        if len(wrong) > 5:
            lines.append(Words(f"… and {len(wrong) - 5:,} more that disagree", "bad", 2))
        items: list[CheckedParameter | CheckedDirection] = [*self.rows, *self.directions]
        reasons = Counter(item.reason for item in items if item.verdict == UNCHECKABLE)
        for reason, times in reasons.most_common(5):
            lines.append(Words(f"cannot be checked here, {count(times, 'time')}: {reason}", "poor", 2))
        if len(reasons) > 5:
            rest = sum(times for _, times in reasons.most_common()[5:])
            lines.append(Words(f"… and {count(rest, 'time')} more, for reasons of these kinds", "poor", 2))
        return lines

    def _maps(self) -> list[Words | Table]:
        blocks: list[Words | Table] = [
            Words(""),
            Words(
                "Digits that agree, inputs downwards and units across (· stands where none was checked or can be, or "
                "where the rounding of the loss hides the gradient):"
            ),
        ]
        for name in self.shapes:
            digits = np.atleast_2d(self.heatmap(name))
            if not np.isfinite(digits).any():
                continue
            down, across = (
                math.ceil(size / most) for size, most in zip(digits.shape, (_MAP_ROWS, _MAP_COLUMNS), strict=True)
            )
            pooled = f", the least of each {down} × {across} block" if down * across > 1 else ""
            blocks.append(Words(f"{name} {self.shapes[name]}{pooled}", "strong"))
            blocks.append(_map(digits, down, across, flat=len(self.shapes[name]) == 1))
        return blocks

    def __str__(self) -> str:
        return self.page(heat=False).text()

    def _repr_html_(self) -> str:
        return self.page().html()

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        result: dict[str, Any] = plain(
            {
                "ok": self.ok,
                "loss": self.loss,
                "epsilon": self.epsilon,
                "tolerance": self.tolerance,
                "total": self.total,
                "coverage": self.coverage,
                "note": self.note,
                "shapes": self.shapes,
                "worst": asdict(self.worst),
                "parameters": [asdict(row) for row in self.rows],
                "directions": [asdict(direction) for direction in self.directions],
            }
        )
        return {**result, "sweep": None if self.sweep is None else self.sweep.to_dict()}


def _verdicts(found: list[CheckedParameter] | list[CheckedDirection]) -> list[Cell]:
    """The last four cells of a line of the table."""
    times = Counter(item.verdict for item in found)
    errors = [item.relative_error for item in found if item.verdict != UNCHECKABLE]
    return [
        Cell(f"{times[AGREES]:,}", "good" if times[AGREES] else ""),
        Cell(f"{times[DISAGREES]:,}", "bad" if times[DISAGREES] else ""),
        Cell(f"{times[UNCHECKABLE]:,}", "poor" if times[UNCHECKABLE] else ""),
        Cell(f"{max(errors):.1e}" if errors else "–"),
    ]


def _map(digits: Array, down: int, across: int, *, flat: bool) -> Table:
    """The least of each block of down × across, what was not checked left aside."""
    rows, columns = range(0, digits.shape[0], down), range(0, digits.shape[1], across)
    least = np.fmin.reduceat(np.fmin.reduceat(digits, list(rows), axis=0), list(columns), axis=1)
    cells: list[list[Cell | str]] = []
    for row, line in zip(rows, least, strict=True):
        found = [Cell("·", "dim") if np.isnan(d) else Cell(str(int(d)), digits_tone(d)) for d in line]
        cells.append([Cell("" if flat else str(row), "dim"), *found])
    return Table(["", *map(str, columns)], cells, "r" * (len(columns) + 1), heat=True)


def digits_tone(digits: float) -> Tone:
    """How good it is when that many digits agree."""
    if math.isnan(digits):
        return "dim"
    return "good" if digits >= 7 else "fair" if digits >= 5 else "poor" if digits >= 3 else "bad"
