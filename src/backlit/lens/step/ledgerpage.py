"""The page of a ledger: layers, gradients with their finite differences, and the step; of much, the largest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from ...checking.gradreport import digits_tone
from ...pages import Cell, Page, Table, Words, count, number, numbers, place
from ...parameters import Array
from .proof import Proof
from .taken import StepTaken
from .trace import LayerPass, Trace

_UNITS: Final = 10  # of a layer that get a line each
_PARAMETERS: Final = 16  # up to these each gets a line; of more, those with the largest gradients
_LARGEST: Final = 10
_ROWS: Final = 5

_PRECISE: Final = ("gradient", "finite difference")

#: A parameter by its name and index.
Located = tuple[str, tuple[int, ...]]
Prove = Callable[[str, tuple[int, ...]], Proof]


def ledger_page(
    trace: Trace,
    step: StepTaken,
    optimizer: str,
    prove: Prove,
    array_proofs: Callable[[], Mapping[str, Proof]],
    row: int | None,
) -> Page:
    """The page; with a row (or a batch of one) unit by unit, else in summary."""
    if row is None and trace.n == 1:
        row = 0
    blocks: list[Words | Table] = [*_head(trace, step), Words("")]
    if row is None:
        blocks += [*_layer_summary(trace), Words(""), *_hardest_rows(trace, step)]
    else:
        blocks += _row(trace, row)
    small = trace.gradient.size <= _PARAMETERS
    places = _places(trace, np.arange(trace.gradient.size) if small else largest_gradients(trace.gradient, _LARGEST))
    blocks.append(Words(""))
    if small:
        blocks.append(Words("The gradient, and its finite difference (float64)", "strong"))
    else:
        blocks += [*_arrays(step, array_proofs()), Words("")]
        blocks.append(Words(f"The {len(places)} largest gradients, and their finite differences (float64)", "strong"))
    blocks += [_gradients(step, places, prove), Words(""), Words("The step", "strong"), _updates(step, places)]
    return Page(f"One step of {optimizer} on {count(trace.n, 'row')}", blocks)


def _head(trace: Trace, step: StepTaken) -> list[Words | Table]:
    lines: list[Words | Table] = [
        Words(repr(trace.net), "dim"),
        Words(
            f"loss {number(trace.loss, 7)} before, {number(step.loss, 7)} after the step, measured again: "
            f"{number(step.loss - trace.loss, 4)}",
            "good" if step.loss <= trace.loss else "bad",
        ),
    ]
    if trace.net.dtype == np.float32:
        lines.append(Words("The network computes in float32, which holds some 7 digits: more cannot agree.", "dim"))
    if trace.weight is not None:
        lines.append(Words(f"Rows are weighted; their weights add up to {number(trace.weight_sum)}.", "dim"))
    if trace.which_pass:
        lines.append(Words(trace.which_pass, "dim"))
    if step.clip_factor != 1.0:
        lines.append(
            Words(f"The gradient was too long and multiplied by {number(step.clip_factor)} before the step.", "dim")
        )
    return lines


# ── layers ─────────────────────────────────────────────────────────────────────────────────────────────────


def _row(trace: Trace, row: int) -> list[Words | Table]:
    """Every layer for one row, unit by unit."""
    label = trace.row_labels[row]
    loss = number(float(trace.row_losses[row]))
    blocks: list[Words | Table] = [
        Words("Forwards and backwards" + ("" if trace.n == 1 else f", row {label}, loss {loss}"), "strong")
    ]
    inputs = trace.inputs[row]
    shown = ", ".join(number(value, 4) for value in inputs[:_UNITS])
    blocks.append(Words(f"inputs {shown}" + (f", … {inputs.size:,} in all" if inputs.size > _UNITS else ""), "", 2))
    for layer in trace.layers:
        last = layer is trace.layers[-1]
        blocks.append(Words(f"layer {layer.index}, {layer.description}", "", 2))
        if layer.note:
            blocks.append(Words(layer.note, "dim", 4))
        blocks += _units(layer, row, trace.y[row] if last else None)
    return blocks


def _units(layer: LayerPass, row: int, target: Array | None) -> list[Words | Table]:
    columns = layer.columns(row, target)
    key = layer.a[row] if layer.delta is None else layer.delta[row]
    units = np.arange(key.size) if key.size <= _UNITS else np.sort(np.argsort(-np.abs(key), kind="stable")[:_UNITS])
    cells = [numbers(values[units]) for values in columns.values()]
    rows = [[str(unit), *line] for unit, line in zip(units, zip(*cells, strict=True), strict=True)]
    blocks: list[Words | Table] = [Table(["unit", *columns], rows, "l" + "r" * len(columns), 4)]
    if key.size > _UNITS:
        what = "a" if layer.delta is None else layer.delta_name
        blocks.append(Words(f"… the {_UNITS} units with the largest |{what}| of {key.size:,}", "dim", 4))
    return blocks


def _layer_summary(trace: Trace) -> list[Words | Table]:
    return [Words("Forwards and backwards: mean ± spread over all rows and units", "strong"), layers_table(trace)]


def layers_table(trace: Trace) -> Table:
    """One line a layer, over all rows and units."""
    rows: list[list[Cell | str]] = []
    for layer in trace.layers:
        cells = [layer.z, layer.a, layer.slope]
        means = ["–" if array is None else f"{_mean(array):.4g} ± {array.std(dtype=np.float64):.2g}" for array in cells]
        size = "–" if layer.delta is None else f"{float(np.sqrt(np.mean(layer.delta.astype(np.float64) ** 2))):.3g}"
        largest = "–" if layer.delta is None else f"{float(np.abs(layer.delta).max()):.3g}"
        rows.append([f"{layer.index}, {layer.description}", *means, size, largest])
    titles = ["layer", "z", "a", "f′(z)", "rms delta", "largest |delta|"]
    return Table(titles, rows, "lrrrrr")


def _mean(array: Array) -> float:
    return float(array.mean(dtype=np.float64))


def _hardest_rows(trace: Trace, step: StepTaken) -> list[Words | Table]:
    better = int((step.row_losses < trace.row_losses).sum())
    return [
        Words(
            f"The rows with the largest loss; {better:,} of {trace.n:,} rows have a smaller loss after the step",
            "strong",
        ),
        rows_table(trace, step, _ROWS),
    ]


def rows_table(trace: Trace, step: StepTaken, most: int) -> Table:
    """The loss of each row before and after the step, the largest first."""
    order = np.argsort(-trace.row_losses, kind="stable")[:most]
    before, after = trace.row_losses[order], step.row_losses[order]
    cells = zip(numbers(before), numbers(after), numbers(after - before), strict=True)
    rows = [[trace.row_labels[row], *line] for row, line in zip(order, cells, strict=True)]
    return Table(["row", "loss before", "after", "change"], rows, "lrrr")


# ── parameters ─────────────────────────────────────────────────────────────────────────────────────────────


def largest_gradients(gradient: Array, most: int) -> Array:
    """Positions of the largest gradients of a vector, the largest first."""
    most = min(most, gradient.size)
    candidates = np.argpartition(-np.abs(gradient), most - 1)[:most]
    return np.asarray(candidates[np.argsort(-np.abs(gradient[candidates]), kind="stable")])


def _places(trace: Trace, positions: Array) -> list[Located]:
    return [trace.net.parameters.locate(int(position)) for position in positions]


def _arrays(step: StepTaken, proofs: Mapping[str, Proof]) -> list[Words | Table]:
    return [
        Words("The parameter arrays; each is proven as a whole along a random direction v", "strong"),
        arrays_table(step, proofs),
    ]


def arrays_table(step: StepTaken, proofs: Mapping[str, Proof]) -> Table:
    """A line for each parameter array: its size, that of gradient and update, and its proof."""
    rows: list[list[Cell | str]] = []
    for name, parameter in step.parameters.items():
        lengths = [
            float(np.linalg.norm(a.astype(np.float64)))
            for a in (parameter.before, parameter.gradient, parameter.update)
        ]
        ratio = f"{lengths[2] / lengths[0]:.1e}" if lengths[0] else "–"
        proof = proofs[name]
        slopes = [f"{proof.gradient:.5e}", f"{proof.finite_difference:.5e}"]
        lines = [f"{length:.4g}" for length in lengths]
        rows.append([name, size_text(parameter.shape), *lines, ratio, *slopes, digits_cell(proof.digits)])
    titles = ["parameter", "shape", "‖θ‖", "‖g‖", "‖Δθ‖", "Δθ/θ", "⟨v, g⟩", "finite diff.", "digits"]
    return Table(titles, rows, "llrrrrrrr")


def _gradients(step: StepTaken, places: list[Located], prove: Prove) -> Table:
    columns = {"value": column(step, places, "before"), **gradient_cells(step, places, prove)}
    return as_table(places, columns)


def _updates(step: StepTaken, places: list[Located]) -> Table:
    columns: dict[str, list[float] | list[Cell]] = {"before": column(step, places, "before")}
    if any(column(step, places, "momentum")) or any(column(step, places, "decay")):
        columns["by the gradient"] = column(step, places, "gradient_step")
    return as_table(places, {**columns, **update_cells(step, places)})


#: The columns of a table of parameters: numbers, or cells that are ready.
Columns = Mapping[str, list[float] | list[Cell]]


def gradient_cells(step: StepTaken, places: Sequence[Located], prove: Prove) -> dict[str, list[float] | list[Cell]]:
    """The gradient, its parts where there is a penalty, its finite difference and how well they agree."""
    proofs = [prove(name, index) for name, index in places]
    columns: dict[str, list[float] | list[Cell]] = {}
    if any(column(step, places, "penalty_gradient")):
        columns["of the data"] = column(step, places, "data_gradient")
        columns["of the penalty"] = column(step, places, "penalty_gradient")
    columns[_PRECISE[0]] = column(step, places, "gradient")
    columns[_PRECISE[1]] = [proof.finite_difference for proof in proofs]
    columns["digits"] = [digits_cell(proof.digits) for proof in proofs]
    return columns


def update_cells(step: StepTaken, places: Sequence[Located]) -> dict[str, list[float] | list[Cell]]:
    """What the optimiser's memory and decay did, the whole update, and the value after it."""
    columns: dict[str, list[float] | list[Cell]] = {}
    for title, what in (("by momentum", "momentum"), ("by decay", "decay")):
        found = column(step, places, what)
        if any(found):
            columns[title] = found
    return {**columns, "update": column(step, places, "update"), "after": column(step, places, "after")}


def as_table(places: Sequence[Located], columns: Columns) -> Table:
    """One line a parameter."""
    cells: list[Sequence[Cell | str]] = []
    for name, values in columns.items():
        ready = [value for value in values if isinstance(value, Cell)]
        known = [value for value in values if not isinstance(value, Cell)]
        # as many digits as there are to agree
        cells.append(ready or numbers(known, 9 if name in _PRECISE else 6, every=True))
    rows = [[place(*where), *line] for where, line in zip(places, zip(*cells, strict=True), strict=True)]
    return Table(["parameter", *columns], rows, "l" + "r" * len(columns))


def column(step: StepTaken, places: Sequence[Located], what: str) -> list[float]:
    """One attribute of `ParameterStep` for each of the places."""
    return [float(getattr(step.parameters[name], what)[index]) for name, index in places]


def size_text(shape: tuple[int, ...]) -> str:
    """A shape in words: "784 × 30"."""
    return " × ".join(f"{size:,}" for size in shape)


def digits_cell(digits: float) -> Cell:
    """The number of digits that agree, coloured."""
    return Cell("·", "dim") if np.isnan(digits) else Cell(str(int(digits)), digits_tone(digits))
