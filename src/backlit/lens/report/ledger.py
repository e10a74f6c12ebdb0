"""The ledger in a report: what passed forwards and backwards, the gradients and the step, the account, the shapes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from ...pages import Cell, Table, count, number, numbers, place
from ...parameters import Array
from ..step.account import LossAccount
from ..step.ledger import Ledger
from ..step.ledgerpage import digits_cell
from ..step.shape_ledger import ShapeLedger
from ..step.trace import LayerPass
from ..step.weight import UnfoldedWeight
from .charts import bar
from .markup import Html, folded, page_blocks, paragraph, section, table

Place = tuple[str, tuple[int, ...]]

_UNITS: Final = 64  # a layer of so many has a line for each; a wider one for the 32 with the largest delta
_OPEN_UNITS: Final = 16  # a layer of so many stands open
_ROWS: Final = 200  # rows of a batch that are listed
_EVERY: Final = 150  # a network of so many parameters has a line for each
_LARGEST: Final = 24  # of a larger one, and of each of its arrays, the largest gradients
_UNFOLD_ALL: Final = 12  # a network of so many parameters has each of them unfolded
_UNFOLDED: Final = 8


# ── forwards and backwards ─────────────────────────────────────────────────────────────────────────────────


def passes(ledger: Ledger, row: int, output_names: Sequence[str] | None) -> Html:
    """Every layer: over the batch in summary, and for one row unit by unit."""
    parts: list[str] = []
    if ledger.n > 1:
        loss = number(float(ledger.row_losses_before[row]))
        parts += [_summary(ledger), _row_losses(ledger)]
        parts.append(paragraph(f"Unit by unit for row {ledger.row_labels[row]}, whose loss is {loss}:"))
    for layer in ledger.layers:
        last = layer is ledger.layers[-1]
        parts.append(_layer(layer, row, ledger.trace.y[row] if last else None, output_names if last else None))
    return section("passes", "Forwards and backwards", *parts)


def _summary(ledger: Ledger) -> Html:
    """One line a layer, over all rows and units."""
    rows: list[list[Cell | str]] = []
    for layer in ledger.layers:
        means = [
            "–" if array is None else f"{array.mean(dtype=np.float64):.4g} ± {array.std(dtype=np.float64):.2g}"
            for array in (layer.z, layer.a, layer.slope)
        ]
        deltas = ["–", "–"]
        if layer.delta is not None:
            squares = layer.delta.astype(np.float64) ** 2
            deltas = [f"{math.sqrt(squares.mean()):.3g}", f"{math.sqrt(squares.max()):.3g}"]
        rows.append([f"{layer.index}, {layer.description}", *means, *deltas])
    titles = ["layer", "z", "a", "f′(z)", "rms delta", "largest |delta|"]
    return table(Table(titles, rows, "lrrrrr"), "layers", caption="Mean ± spread over all rows and units.")


def _row_losses(ledger: Ledger) -> Html:
    order = np.argsort(-ledger.row_losses_before, kind="stable")[:_ROWS]
    before, after = (losses[order] for losses in (ledger.row_losses_before, ledger.row_losses_after))
    cells = zip(numbers(before), numbers(after), numbers(after - before), strict=True)
    rows = [[ledger.row_labels[row], *line] for row, line in zip(order, cells, strict=True)]
    better = int((ledger.row_losses_after < ledger.row_losses_before).sum())
    shown = "" if ledger.n <= _ROWS else f"; listed are the {_ROWS} with the largest loss"
    content = Table(["row", "loss before", "after", "change"], rows, "lrrr")
    return folded(
        "The rows",
        f"{better:,} of {ledger.n:,} have a smaller loss after the step{shown}",
        table(content, "losses of the rows", kind="sortable filtered" if ledger.n > 12 else "sortable"),
    )


def _layer(layer: LayerPass, row: int, target: Array | None, names: Sequence[str] | None) -> Html:
    columns = layer.columns(row, target)
    size = np.abs(columns[list(columns)[-1]])
    wide = layer.units > _UNITS
    units = np.argsort(-size, kind="stable")[: _UNITS // 2] if wide else np.arange(layer.units)
    cells = [numbers(values[units]) for values in columns.values()]
    labels = [str(unit) if names is None or names[unit] == str(unit) else f"{unit}, {names[unit]}" for unit in units]
    rows = [[label, *line] for label, line in zip(labels, zip(*cells, strict=True), strict=True)]
    aside = count(layer.units, "unit")
    if wide:
        aside += f", the {len(units)} with the largest |{list(columns)[-1]}|"
    return folded(
        f"Layer {layer.index}, {layer.description}",
        aside,
        paragraph(layer.note, "dim") if layer.note else "",
        table(
            Table(["unit", *columns], rows, "l" + "r" * len(columns)),
            f"layer {layer.index}, unit by unit",
            kind="sortable",
        ),
        unfolded=layer.units <= _OPEN_UNITS,
    )


# ── gradients and the step ─────────────────────────────────────────────────────────────────────────────────


def gradients(ledger: Ledger) -> Html:
    """The arrays, each proven as a whole; then all parameters of a small network, or the largest gradients."""
    parts = [_arrays(ledger)]
    if ledger.net.dtype == np.float32:
        parts.append(
            paragraph(
                "The network computes in float32, which holds some 7 digits, and fewer where large shares cancel: more "
                "cannot agree in these tables. The gradient check below is made in float64.",
                "dim",
            )
        )
    vector, parameters = ledger.trace.gradient, ledger.net.parameters
    if vector.size <= _EVERY:
        places = [parameters.locate(position) for position in range(vector.size)]
        parts.append(_parameters(ledger, places, "All parameters", filtered=vector.size > _LARGEST))
        return section("gradients", "The gradients and the step", *parts)
    places = [parameters.locate(int(position)) for position in _largest(vector, _LARGEST)]
    parts.append(_parameters(ledger, places, f"The {len(places)} largest gradients of {vector.size:,}"))
    parts.append(paragraph("Array by array, the largest gradients first:"))
    for name, step in ledger.parameters.items():
        found = _largest(step.gradient.ravel(), _LARGEST)
        indices = [tuple(int(i) for i in np.unravel_index(int(position), step.shape)) for position in found]
        content = _parameters(ledger, [(name, index) for index in indices], "")
        aside = f"{_size(step.shape)}, {len(found)} of {step.gradient.size:,}"
        parts.append(folded(name, aside, content))
    return section("gradients", "The gradients and the step", *parts)


def _largest(gradient: Array, most: int) -> Array:
    return np.argsort(-np.abs(gradient), kind="stable")[:most]


def _size(shape: tuple[int, ...]) -> str:
    return " × ".join(f"{size:,}" for size in shape)


def _arrays(ledger: Ledger) -> Html:
    rows: list[list[Cell | str]] = []
    for name, step in ledger.parameters.items():
        lengths = [float(np.linalg.norm(a.astype(np.float64))) for a in (step.before, step.gradient, step.update)]
        ratio = f"{lengths[2] / lengths[0]:.1e}" if lengths[0] else "–"
        proof = ledger.array_proofs[name]
        slopes = [f"{proof.gradient:.6e}", f"{proof.finite_difference:.6e}"]
        sizes = [f"{length:.4g}" for length in lengths]
        rows.append([name, _size(step.shape), *sizes, ratio, *slopes, digits_cell(proof.digits)])
    titles = ["array", "shape", "‖θ‖", "‖g‖", "‖Δθ‖", "‖Δθ‖/‖θ‖", "⟨v, g⟩", "finite difference", "digits"]
    caption = (
        "Each array is proven as a whole: its gradient g along one random direction v, beside the finite difference."
    )
    return table(Table(titles, rows, "llrrrrrrr"), "parameter arrays", caption=caption)


def _parameters(ledger: Ledger, places: list[Place], title: str, *, filtered: bool = False) -> Html:
    """Gradient, finite difference, and what the step made of the value."""

    def column(what: str) -> list[float]:
        return [float(getattr(ledger.parameters[name], what)[index]) for name, index in places]

    proofs = [ledger.proof(name, *index) for name, index in places]
    columns = {"before": column("before")}
    if any(column("penalty_gradient")):
        columns |= {"of the data": column("data_gradient"), "of the penalty": column("penalty_gradient")}
    columns["gradient"] = column("gradient")
    columns["finite difference"] = [proof.finite_difference for proof in proofs]
    columns["digits"] = []
    if any(column("momentum")):
        columns["by momentum"] = column("momentum")
    if any(column("decay")):
        columns["by decay"] = column("decay")
    columns |= {"update": column("update"), "after": column("after")}
    precise = ("gradient", "finite difference")
    cells: list[Sequence[Cell | str]] = [
        numbers(values, 8 if name in precise else 6, every=True)
        if name != "digits"
        else [digits_cell(p.digits) for p in proofs]
        for name, values in columns.items()
    ]
    rows = [[place(*where), *line] for where, line in zip(places, zip(*cells, strict=True), strict=True)]
    content = Table(["parameter", *columns], rows, "l" + "r" * len(columns))
    return table(content, title or "parameters", caption=title, kind="sortable filtered" if filtered else "sortable")


# ── single parameters ──────────────────────────────────────────────────────────────────────────────────────


def unfolded(ledger: Ledger, chosen: Sequence[Place]) -> Html:
    """The chosen parameters, each down to the loss; then the strongest of every array, or all of a tiny network."""
    found = [ledger.weight(name, *index) for name, index in chosen]
    places = {(weight.name, weight.index) for weight in found}
    found += [ledger.weight(name, *index) for name, index in _strongest(ledger) if (name, index) not in places]
    parts = [
        paragraph(
            "Where a gradient comes from: the product at the weight, the delta of its unit, the deltas that "
            "this one is made of, layer by layer down to the loss; and the finite difference beside it."
        )
    ]
    for k, weight in enumerate(found):
        parts.append(_unfolded(weight, is_open=k < max(1, len(chosen))))
    return section("weights", "One weight at a time", *parts)


def _strongest(ledger: Ledger) -> Iterator[Place]:
    vector, parameters = ledger.trace.gradient, ledger.net.parameters
    if vector.size <= _UNFOLD_ALL:
        yield from (parameters.locate(position) for position in range(vector.size))
        return
    weights = [name for name in parameters.names if name.endswith(".weight")]
    for name in weights[:_UNFOLDED]:
        step = ledger.parameters[name]
        index = np.unravel_index(int(np.argmax(np.abs(step.gradient))), step.shape)
        yield name, tuple(int(i) for i in index)


def _unfolded(weight: UnfoldedWeight, *, is_open: bool) -> Html:
    agreed = "" if math.isnan(weight.proof.digits) else f", {int(weight.proof.digits)} digits agree"
    parts = [page_blocks(weight.page())]
    if weight.n > 10:
        shares = weight.rows("size")[:_ROWS]
        columns = [numbers([getattr(share, what) for share in shares], 5) for what in ("a", "delta", "share")]
        rows = [
            [share.label, share.pushes, *cells] for share, cells in zip(shares, zip(*columns, strict=True), strict=True)
        ]
        a = f"a_{weight.index[0]}" if len(weight.index) == 2 else "1"
        content = Table(["row", "pushes", a, f"delta_{weight.index[-1]}", "share of gradient"], rows, "llrrr")
        aside = f"the {_ROWS} with the largest share" if weight.n > _ROWS else ""
        parts.append(folded("Row by row", aside, table(content, "what each row brings", kind="sortable filtered")))
    return folded(
        place(weight.name, weight.index), f"gradient {number(weight.gradient)}{agreed}", *parts, unfolded=is_open
    )


# ── the loss account, the shapes ───────────────────────────────────────────────────────────────────────────


def account(found: LossAccount) -> Html:
    """What each update changed in the loss."""
    lines = list(found.lines)
    figures = [v for line in lines for v in (line.first_order, line.alone, line.path)]
    cells = numbers([*figures, found.first_order, found.change, found.path], every=True)
    largest = max((abs(line.path) for line in lines if math.isfinite(line.path)), default=0.0)
    rows: list[list[Cell | str]] = [
        [line.name, *cells[3 * k : 3 * k + 3], bar(line.path, largest)] for k, line in enumerate(lines)
    ]
    rows.append([Cell(text, "strong") for text in ("all together", *cells[-3:], "")])
    titles = ["update of", "first order g · Δθ", "alone, measured", "along the path", ""]
    holds = found.first_order < 0.0 and found.change < 0.5 * found.first_order
    return section(
        "account",
        "What the step changed in the loss",
        paragraph(
            f"The loss of the batch went from {number(found.before, 8)} to {number(found.after, 8)}, measured in "
            f"float64, at a learning rate of {number(found.learning_rate)}."
        ),
        paragraph(found.verdict, "good" if holds else "bad"),
        table(Table(titles, rows, "lrrrl"), "loss account"),
        paragraph(
            "First order is what the gradient promised. Alone: only that array moved, the others stayed. Along the "
            "path: its part when all move together; these parts add up to the measured change "
            f"({100 * found.unaccounted:.2g} % off, in {count(len(found.pieces), 'piece')}). First order missed "
            f"{number(found.residual)}.",
            "dim",
        ),
    )


def shapes(ledger: ShapeLedger) -> Html:
    """Every product with its shapes."""
    rows = [[f"{step.layer}, {step.direction}", step.equation, step.shapes, step.reason] for step in ledger.steps]
    cost = sum(step.multiplications for step in ledger.steps)
    content = Table(["layer", "computation", "shapes", "why"], rows, "llll")
    title = f"{count(ledger.samples, 'sample')}, {count(cost, 'multiplication')} in matrix products"
    return section("shapes", "Shapes", folded("Every product", title, table(content, "shape ledger")))
