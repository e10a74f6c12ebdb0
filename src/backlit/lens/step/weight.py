"""One parameter unfolded: where its gradient comes from, row by row and layer by layer, with the finite difference.

∂L/∂W_ij = Σ_rows a_i delta_j / Σ w        ∂L/∂b_j = Σ_rows delta_j / Σ w        (Σ w = n without sample weights)

The two factors of a row are told by the layer itself (`Layer.gradient_factors`): of a scale they are a_j and dL/da_j.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, final

import numpy as np

from ...checking.gradreport import digits_tone
from ...checks import one_of
from ...exceptions import ConfigurationError
from ...pages import Cell, Page, Table, Words, count, number, numbers, place, plain, shown
from ...parameters import Array
from .delta import UnitDelta, filled, unfold_delta
from .proof import Proof
from .taken import ParameterStep
from .trace import Trace

Order = Literal["up", "down", "size", "row"]

MOST_TERMS: Final = 5  # of a sum that are shown; the rest is shown as its sum
_ROWS_SHOWN: Final = 5


@final
@dataclass(frozen=True, slots=True)
class RowShare:
    """What one row adds to the gradient of the parameter.

    Attributes
    ----------
    row : int
    label : str
    a : float
        The left factor: the input a_i that a weight multiplies; 1 for a bias.
    delta : float
        The right one: delta_j of this row, times its sample weight; dL/da_j for a layer without activation.
    share : float
        a · delta / Σ w: its part of the gradient. Going down the gradient, a negative share pushes the parameter up.
    """

    row: int
    label: str
    a: float
    delta: float
    share: float

    @property
    def pushes(self) -> str:
        """Which way the row pushes the parameter: "up", "down", or "–" for neither."""
        return "up" if self.share < 0 else "down" if self.share > 0 else "–"


@shown
@final
@dataclass(frozen=True)
class UnfoldedWeight:
    """The gradient of one weight, one bias, or another number that a layer learns, unfolded.

    Attributes
    ----------
    name, index
        Which parameter.
    before, after, update : float
        Its value before and after the step.
    data_gradient, penalty_gradient, gradient : float
        Of the mean loss over the rows, of the penalty, and their sum.
    proof : Proof
        The central difference in float64, and to how many digits `gradient` agrees with it.
    a, delta, shares : ndarray, shape (n,)
        What each row brings: see `RowShare`. Empty where the gradient is not written out.
    left, right : str
        The symbols of `a` and `delta`: "a_0", "delta_1"; `left` is empty for a left factor of 1.
    not_written_out : str
        Why the gradient is not written out, in a sentence; empty where it is.
    row_labels : list of str
    weight_sum : float
        Σ w, or n.
    row : int
        The row whose delta is unfolded in `levels`.
    levels : list of list of UnitDelta
        The right factor of that row, then the deltas it is made of, layer by layer down to the loss.
    descriptions : list of str
        Of the layers of the network.
    """

    name: str
    index: tuple[int, ...]
    before: float
    after: float
    update: float
    data_gradient: float
    penalty_gradient: float
    gradient: float
    proof: Proof
    a: Array
    delta: Array
    shares: Array
    left: str
    right: str
    not_written_out: str
    row_labels: list[str]
    weight_sum: float
    row: int
    levels: list[list[UnitDelta]]
    descriptions: list[str]

    @property
    def n(self) -> int:
        """Rows of the batch."""
        return len(self.row_labels)

    @property
    def product(self) -> str:
        """What is summed over the rows, in symbols: "a_0 · delta_1"."""
        return f"{self.left} · {self.right}" if self.left else self.right

    @property
    def symbol(self) -> str:
        """The parameter in formulas: "W[0, 1]"; by its own name where it is no weight and no bias."""
        short = self.name.split(".", 1)[1]
        return place({"weight": "W", "bias": "b"}.get(short, short), self.index)

    def rows(self, order: Order = "size") -> list[RowShare]:
        """What each row brings, sorted: "up" (those pushing the parameter up first), "down", "size" or "row".

        Examples
        --------
        >>> from backlit.kinds import Dense
        >>> from backlit.lens import explain
        >>> from backlit.network import Network
        >>> net = Network([Dense(1, weight_init=0.0)], inputs=1)
        >>> weight = explain(net, [[1.0], [2.0]], [1.0, -3.0]).weight("0.weight", 0, 0)
        >>> [(share.row, share.pushes) for share in weight.rows("down")]
        [(1, 'down'), (0, 'up')]
        """
        one_of("order", order, ("up", "down", "size", "row"))
        keys = {"up": self.shares, "down": -self.shares, "size": -np.abs(self.shares), "row": np.arange(self.n)}
        return [self._share(int(row)) for row in np.argsort(keys[order][: self.shares.size], kind="stable")]

    def _share(self, row: int) -> RowShare:
        return RowShare(row, self.row_labels[row], float(self.a[row]), float(self.delta[row]), float(self.shares[row]))

    # ── the page ─────────────────────────────────────────────────────────────────────────────────────────

    def page(self) -> Page:
        """The unfolding as a page."""
        blocks: list[Words | Table] = [*self._summary()]
        if self.not_written_out:
            why = self.not_written_out[:1].upper() + self.not_written_out[1:]
            blocks += [Words(""), Words(f"{why}. The finite difference says whether it is right.")]
        elif self.n > 1:
            blocks += self._row_blocks()
        row = "" if self.n == 1 else f", row {self.row_labels[self.row]}"
        for level in self.levels:
            description = self.descriptions[level[0].layer]
            blocks += [Words(""), Words(f"Layer {level[0].layer}, {description}{row}", "strong"), *_level(level)]
        return Page(f"{place(self.name, self.index)}: where its gradient comes from", blocks)

    def _summary(self) -> list[Words | Table]:
        divided = "" if self.weight_sum == 1.0 else f" / {number(self.weight_sum)}"
        if self.not_written_out:
            sums = "by back-propagation"
        elif self.n == 1:
            share = self._share(0)
            factors = f"{number(share.a)} · {number(share.delta)}" if self.left else ""
            sums = f"= {self.product}{divided}" + (f" = {factors}{divided}" if factors else "")
        else:
            sums = f"= Σ_rows {self.product} / {number(self.weight_sum)}"
        rows: list[list[Cell | str]] = [[f"∂L/∂{self.symbol}", sums, f"= {number(self.data_gradient)}", ""]]
        if self.penalty_gradient:
            rows.append(["penalty", f"of the weight {number(self.before)}", f"+ {number(self.penalty_gradient)}", ""])
            rows.append(["gradient", "with the penalty", f"= {number(self.gradient)}", ""])
        difference = f"= {number(self.proof.finite_difference)}"
        rows.append(
            ["finite difference", "(L(w + ε) − L(w − ε)) / 2ε, float64", difference, agreement(self.proof.digits)]
        )
        rows.append(["the step", f"{number(self.before)} → {number(self.after)}", number(self.update), ""])
        return [Table(["", "", "", ""], rows, "llll")]

    def _row_blocks(self) -> list[Words | Table]:
        up, down = [r for r in self.rows("up") if r.share < 0], [r for r in self.rows("down") if r.share > 0]
        blocks: list[Words | Table] = [
            Words(""),
            Words(
                f"{count(len(up), 'row')} pushed it up ({number(sum(r.share for r in up))} of the gradient), "
                f"{count(len(down), 'row')} down ({number(sum(r.share for r in down))}), "
                f"{self.n - len(up) - len(down):,} neither"
            ),
        ]
        shown = up[:_ROWS_SHOWN] + down[:_ROWS_SHOWN]
        columns = [numbers([getattr(r, what) for r in shown], 5) for what in ("a", "delta", "share")]
        rows: list[list[Cell | str]] = [
            [r.label, r.pushes, *cells] for r, cells in zip(shown, zip(*columns, strict=True), strict=True)
        ]
        for name, side in (("up", up), ("down", down)):
            rest = side[_ROWS_SHOWN:]
            if rest:
                total = number(sum(r.share for r in rest), 5)
                rows.append([Cell(f"{len(rest):,} more", "dim"), name, "", "", total])
        if not shown:
            return blocks
        blocks.append(Table(self.share_titles, rows, "llrrr"))
        return blocks

    @property
    def share_titles(self) -> list[str]:
        """The heading of a table of `RowShare`."""
        return ["row", "pushes", self.left or "1", self.right, "share of gradient"]

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        own = ("name", "index", "before", "after", "update", "data_gradient", "penalty_gradient", "gradient")
        result: dict[str, Any] = plain({name: getattr(self, name) for name in own})
        return {
            **result,
            "finite_difference": plain(self.proof.finite_difference),
            "digits": plain(self.proof.digits),
            "rows": [plain({**asdict(row), "pushes": row.pushes}) for row in self.rows("row")],
            "factors": [self.left, self.right],
            "not_written_out": self.not_written_out,
            "weight_sum": self.weight_sum,
            "row": self.row,
            "levels": [[plain({**asdict(unit), "equation": unit.equation}) for unit in level] for level in self.levels],
        }


def agreement(digits: float) -> Cell:
    """How well two numbers agree, in words."""
    if np.isnan(digits):
        return Cell("both smaller than the rounding of the loss", "dim")
    return Cell(f"{int(digits)} digits agree", digits_tone(digits))


def _level(level: list[UnitDelta]) -> list[Words | Table]:
    """One layer: the sums of its units written out, or the comparison with the target at the output."""
    if level[0].next_layer is None:
        return [Words(level[0].equation.replace(f"_{level[0].unit}", "_k"), "", 2), _units_table(level)]
    if level[0].through:
        # dL/da comes through all units of the layer above at once: no sums to write out
        equation = level[0].equation.replace(f"_{level[0].unit}", "_k")
        return [Words(equation, "", 2), _units_table(level)]
    written = level if len(level) <= 2 else level[:1]
    blocks: list[Words | Table] = []
    for unit in written:
        blocks += [Words(unit.equation, "", 2), _terms_table(unit)]
        if unit.way != "given" or unit.factors:
            blocks.append(_product(unit))
    if len(level) > len(written):
        blocks += [Words("The other units in the same way:", "dim", 2), _units_table(level[1:])]
    return blocks


def _terms_table(unit: UnitDelta) -> Table:
    columns = [numbers([getattr(term, what) for term in unit.terms], 6) for what in ("weight", "delta", "product")]
    rows: list[list[Cell | str]] = [
        [str(term.unit), *cells] for term, cells in zip(unit.terms, zip(*columns, strict=True), strict=True)
    ]
    if unit.rest_count:
        rows.append([Cell(f"{unit.rest_count:,} more", "dim"), "", "", number(unit.rest_sum)])
    rows.append([Cell("Σ", "strong"), "", "", Cell(number(unit.total), "strong")])
    return Table(["k", f"w[{unit.unit}, k]", "delta_k", "w · delta"], rows, "lrrr", 4)


def _product(unit: UnitDelta) -> Words:
    """The last line of a hidden unit: the sum times the factors and the slope."""
    result = f"{unit.symbol} = {number(unit.delta)}"
    factors = " · ".join([number(unit.total), *(number(factor.value) for factor in unit.factors)])
    if unit.way == "jacobian":
        line = f"dL/da_{unit.unit} = {factors}, through the Jacobian to {result}"
    elif unit.slope is None or unit.z is None:
        line = f"{unit.symbol} = {factors} = {number(unit.delta)}"
    else:
        line = f"{unit.symbol} = {factors} · {number(unit.slope)} = {number(unit.delta)}"
        line += f"      (f′ at z_{unit.unit} = {number(unit.z)})"
    return Words(line, "", 4)


def _units_table(level: list[UnitDelta]) -> Table:
    """One line a unit."""
    first = level[0]
    told: dict[str, list[float | None]] = {"z": [u.z for u in level], "a": [u.a for u in level]}
    told["y"] = [u.target for u in level]
    if first.way != "given":
        told["dL/da"] = [u.upstream for u in level]
    if first.way == "slope":
        told["f′(z)"] = [u.slope for u in level]
    told[first.name] = [u.delta for u in level]
    known = {name: [value for value in values if value is not None] for name, values in told.items()}
    columns = {name: values for name, values in known.items() if len(values) == len(level)}
    cells = zip(*(numbers(values) for values in columns.values()), strict=True)
    rows = [[str(u.unit), *line] for u, line in zip(level, cells, strict=True)]
    return Table(["k", *columns], rows, "l" + "r" * len(columns), 4)


def unfold_weight(
    trace: Trace, step: ParameterStep, index: tuple[int, ...], proof: Proof, row: int | None, most: int
) -> UnfoldedWeight:
    """Unfold one number of a parameter array, along one row (the one with the largest share unless given)."""
    layer_index, short = int(step.name.split(".", 1)[0]), step.name.split(".", 1)[1]
    passed = trace.layers[layer_index]
    delta = filled(passed.delta)  # (n, units)
    a, deltas, left, right, refused = np.empty(0), np.empty(0), "", "", ""
    try:
        factors = passed.layer.gradient_factors(short, index, passed.room, passed.a_in, delta)
    except ConfigurationError as error:
        refused = str(error)
    else:
        a, deltas = factors.left.astype(np.float64), factors.right.astype(np.float64)  # (n,)
        left, right = factors.left_name, factors.right_name
    shares = a * deltas / trace.weight_sum
    if row is not None:
        row = trace.check_row(row)
    else:
        row = int(np.argmax(np.abs(shares))) if shares.size else 0
    unit = index[-1] if index else -1
    # what the right factor is made of can be said where it is the delta of a unit
    known = not refused and 0 <= unit < passed.units and np.array_equal(deltas, delta[:, unit], equal_nan=True)
    return UnfoldedWeight(
        name=step.name,
        index=index,
        before=float(step.before[index]),
        after=float(step.after[index]),
        update=float(step.update[index]),
        data_gradient=float(step.data_gradient[index]),
        penalty_gradient=float(step.penalty_gradient[index]),
        gradient=float(step.gradient[index]),
        proof=proof,
        a=a,
        delta=deltas,
        shares=shares,
        left=left,
        right=right,
        not_written_out=refused,
        row_labels=trace.row_labels,
        weight_sum=trace.weight_sum,
        row=row,
        levels=unfold_delta(trace, layer_index, unit, row, most) if known else [],
        descriptions=[each.description for each in trace.layers],
    )
