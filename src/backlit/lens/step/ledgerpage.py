"""The page of a ledger: layers, gradients with their finite differences, and the step; of much, the largest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from ...checking.gradreport import digits_tone
from ...pages import Cell, Page, Table, Words, count, number, numbers, place
from ...parameters import Array
from .proof import Proof
from .taken import StepTaken
from .trace import LayerPass, Trace

_UNITS: Final = 10  # of a layer that get a line each
_PARAMETERS: Final = 16  # a network of so many gets a line for each; a larger one for its largest gradients
_LARGEST: Final = 10
_ROWS: Final = 5

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
    places = _places(trace, np.arange(trace.gradient.size) if small else _largest(trace.gradient))
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
    if trace.step is not None:
        lines.append(Words(f"Dropout is at work with the mask of training step {trace.step}.", "dim"))
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
        what = "a" if layer.delta is None else "delta"
        blocks.append(Words(f"… the {_UNITS} units with the largest |{what}| of {key.size:,}", "dim", 4))
    return blocks


def _layer_summary(trace: Trace) -> list[Words | Table]:
    """One line a layer, over all rows and units."""
    rows: list[list[Cell | str]] = []
    for layer in trace.layers:
        cells = [layer.z, layer.a, layer.slope]
        means = ["–" if array is None else f"{_mean(array):.4g} ± {array.std(dtype=np.float64):.2g}" for array in cells]
        size = "–" if layer.delta is None else f"{float(np.sqrt(np.mean(layer.delta.astype(np.float64) ** 2))):.3g}"
        largest = "–" if layer.delta is None else f"{float(np.abs(layer.delta).max()):.3g}"
        rows.append([str(layer.index), layer.description, *means, size, largest])
    titles = ["layer", "", "z", "a", "f′(z)", "rms delta", "largest"]
    return [
        Words("Forwards and backwards: mean ± spread over all rows and units", "strong"),
        Table(titles, rows, "llrrrrr"),
    ]


def _mean(array: Array) -> float:
    return float(array.mean(dtype=np.float64))


def _hardest_rows(trace: Trace, step: StepTaken) -> list[Words | Table]:
    order = np.argsort(-trace.row_losses, kind="stable")[:_ROWS]
    before, after = trace.row_losses[order], step.row_losses[order]
    cells = zip(numbers(before), numbers(after), numbers(after - before), strict=True)
    rows = [[trace.row_labels[r], *line] for r, line in zip(order, cells, strict=True)]
    better = int((step.row_losses < trace.row_losses).sum())
    return [
        Words(
            f"The rows with the largest loss; {better:,} of {trace.n:,} rows have a smaller loss after the step",
            "strong",
        ),
        Table(["row", "loss before", "after", "change"], rows, "lrrr"),
    ]


# ── parameters ─────────────────────────────────────────────────────────────────────────────────────────────


def _largest(gradient: Array) -> Array:
    """Positions of the largest gradients, the largest first."""
    most = min(_LARGEST, gradient.size)
    candidates = np.argpartition(-np.abs(gradient), most - 1)[:most]
    return np.asarray(candidates[np.argsort(-np.abs(gradient[candidates]), kind="stable")])


def _places(trace: Trace, positions: Array) -> list[tuple[str, tuple[int, ...]]]:
    return [trace.net.parameters.locate(int(position)) for position in positions]


def _arrays(step: StepTaken, proofs: Mapping[str, Proof]) -> list[Words | Table]:
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
        rows.append([name, " × ".join(map(str, parameter.shape)), *lines, ratio, *slopes, digits_cell(proof.digits)])
    titles = ["parameter", "shape", "‖θ‖", "‖g‖", "‖Δθ‖", "Δθ/θ", "⟨v, g⟩", "finite diff.", "digits"]
    return [
        Words("The parameter arrays; each is proven as a whole along a random direction v", "strong"),
        Table(titles, rows, "llrrrrrrr"),
    ]


def _gradients(step: StepTaken, places: list[tuple[str, tuple[int, ...]]], prove: Prove) -> Table:
    proofs = [prove(name, index) for name, index in places]
    columns = {"value": _column(step, places, "before")}
    if any(_column(step, places, "penalty_gradient")):
        columns["of the data"] = _column(step, places, "data_gradient")
        columns["of the penalty"] = _column(step, places, "penalty_gradient")
    columns["gradient"] = _column(step, places, "gradient")
    columns["finite difference"] = [proof.finite_difference for proof in proofs]
    # as many digits as there are to agree
    sizes = [9 if name in ("gradient", "finite difference") else 6 for name in columns]
    cells = zip(
        *(numbers(values, digits, every=True) for values, digits in zip(columns.values(), sizes, strict=True)),
        strict=True,
    )
    rows: list[list[Cell | str]] = [
        [place(*where), *line, digits_cell(proof.digits)]
        for where, line, proof in zip(places, cells, proofs, strict=True)
    ]
    return Table(["parameter", *columns, "digits"], rows, "l" + "r" * (len(columns) + 1))


def _updates(step: StepTaken, places: list[tuple[str, tuple[int, ...]]]) -> Table:
    columns = {"before": _column(step, places, "before")}
    momentum, decay = _column(step, places, "momentum"), _column(step, places, "decay")
    if any(momentum) or any(decay):
        columns["by the gradient"] = _column(step, places, "gradient_step")
    if any(momentum):
        columns["by momentum"] = momentum
    if any(decay):
        columns["by decay"] = decay
    columns["update"] = _column(step, places, "update")
    columns["after"] = _column(step, places, "after")
    cells = zip(*(numbers(values, every=True) for values in columns.values()), strict=True)
    rows = [[place(*where), *line] for where, line in zip(places, cells, strict=True)]
    return Table(["parameter", *columns], rows, "l" + "r" * len(columns))


def _column(step: StepTaken, places: list[tuple[str, tuple[int, ...]]], what: str) -> list[float]:
    return [float(getattr(step.parameters[name], what)[index]) for name, index in places]


def digits_cell(digits: float) -> Cell:
    """The number of digits that agree, coloured."""
    return Cell("·", "dim") if np.isnan(digits) else Cell(str(int(digits)), digits_tone(digits))
