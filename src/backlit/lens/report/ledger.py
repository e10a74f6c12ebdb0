"""The ledger in a report: what passed forwards and backwards, the gradients and the step, the account, the shapes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from ...pages import Table, count, number, numbers, place
from ...parameters import Array
from ..step.account import LossAccount
from ..step.ledger import Ledger
from ..step.ledgerpage import (
    Located,
    arrays_table,
    as_table,
    column,
    gradient_cells,
    largest_gradients,
    layers_table,
    rows_table,
    size_text,
    update_cells,
)
from ..step.shape_ledger import ShapeLedger
from ..step.trace import LayerPass
from ..step.weight import UnfoldedWeight
from .charts import bar
from .markup import Html, folded, page_blocks, paragraph, section, table

_UNITS: Final = 64  # a layer up to this size has a line for each unit; a wider one for the 32 with the largest delta
_OPEN_UNITS: Final = 16  # a layer up to this size stands open
_ROWS: Final = 200  # rows of a batch that are listed
_EVERY: Final = 150  # parameters up to which each has a line
_LARGEST: Final = 24  # of a larger one, and of each of its arrays, the largest gradients
_UNFOLD_ALL: Final = 12  # parameters up to which each is unfolded
_UNFOLDED: Final = 8


# ── forwards and backwards ─────────────────────────────────────────────────────────────────────────────────


def passes(ledger: Ledger, row: int, output_names: Sequence[str] | None) -> Html:
    """Every layer: over the batch in summary, and for one row unit by unit."""
    parts: list[str] = []
    if ledger.n > 1:
        loss = number(float(ledger.row_losses_before[row]))
        summary = table(layers_table(ledger.trace), "layers", caption="Mean ± spread over all rows and units.")
        parts += [summary, _row_losses(ledger)]
        parts.append(paragraph(f"Unit by unit for row {ledger.row_labels[row]}, whose loss is {loss}:"))
    for layer in ledger.layers:
        last = layer is ledger.layers[-1]
        parts.append(_layer(layer, row, ledger.trace.y[row] if last else None, output_names if last else None))
    return section("passes", "Forwards and backwards", *parts)


def _row_losses(ledger: Ledger) -> Html:
    better = int((ledger.row_losses_after < ledger.row_losses_before).sum())
    shown = "" if ledger.n <= _ROWS else f"; listed are the {_ROWS} with the largest loss"
    kind = "sortable filtered" if ledger.n > 12 else "sortable"
    return folded(
        "The rows",
        f"{better:,} of {ledger.n:,} have a smaller loss after the step{shown}",
        table(rows_table(ledger.trace, ledger.step, _ROWS), "losses of the rows", kind=kind),
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
    caption = (
        "Each array is proven as a whole: its gradient g along a random direction v, beside the finite difference."
    )
    parts = [table(arrays_table(ledger.step, ledger.array_proofs), "parameter arrays", caption=caption)]
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
    places = [parameters.locate(int(position)) for position in largest_gradients(vector, _LARGEST)]
    parts.append(_parameters(ledger, places, f"The {len(places)} largest gradients of {vector.size:,}"))
    parts.append(paragraph("Array by array, the largest gradients first:"))
    for name, step in ledger.parameters.items():
        found = largest_gradients(step.gradient.ravel(), _LARGEST)
        indices = [tuple(int(i) for i in np.unravel_index(int(position), step.shape)) for position in found]
        content = _parameters(ledger, [(name, index) for index in indices], "")
        aside = f"{size_text(step.shape)}, {len(found)} of {step.gradient.size:,}"
        parts.append(folded(name, aside, content))
    return section("gradients", "The gradients and the step", *parts)


def _parameters(ledger: Ledger, places: list[Located], title: str, *, filtered: bool = False) -> Html:
    """Gradient, finite difference, and what the step made of the value."""
    columns = {
        "before": column(ledger.step, places, "before"),
        **gradient_cells(ledger.step, places, lambda name, index: ledger.proof(name, *index)),
        **update_cells(ledger.step, places),
    }
    kind = "sortable filtered" if filtered else "sortable"
    return table(as_table(places, columns), title or "parameters", caption=title, kind=kind)


# ── single parameters ──────────────────────────────────────────────────────────────────────────────────────


def unfolded(ledger: Ledger, chosen: Sequence[Located]) -> Html:
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


def _strongest(ledger: Ledger) -> Iterator[Located]:
    vector, parameters = ledger.trace.gradient, ledger.net.parameters
    if vector.size <= _UNFOLD_ALL:
        yield from (parameters.locate(position) for position in range(vector.size))
        return
    for name in [name for name in parameters.names if not name.endswith(".bias")][:_UNFOLDED]:
        step = ledger.parameters[name]
        index = np.unravel_index(int(np.argmax(np.abs(step.gradient))), step.shape)
        yield name, tuple(int(i) for i in index)


def _unfolded(weight: UnfoldedWeight, *, is_open: bool) -> Html:
    agreed = "" if math.isnan(weight.proof.digits) else f", {int(weight.proof.digits)} digits agree"
    parts = [page_blocks(weight.page())]
    if weight.shares.size > 10:
        shares = weight.rows("size")[:_ROWS]
        columns = [numbers([getattr(share, what) for share in shares], 5) for what in ("a", "delta", "share")]
        rows = [
            [share.label, share.pushes, *cells] for share, cells in zip(shares, zip(*columns, strict=True), strict=True)
        ]
        content = Table(weight.share_titles, rows, "llrrr")
        aside = f"the {_ROWS} with the largest share" if weight.n > _ROWS else ""
        parts.append(folded("Row by row", aside, table(content, "what each row brings", kind="sortable filtered")))
    return folded(
        place(weight.name, weight.index), f"gradient {number(weight.gradient)}{agreed}", *parts, unfolded=is_open
    )


# ── the loss account, the shapes ───────────────────────────────────────────────────────────────────────────


def account(found: LossAccount) -> Html:
    """What each update changed in the loss."""
    content = found.table()
    largest = max((abs(line.path) for line in found.listed if math.isfinite(line.path)), default=0.0)
    bars: list[Html] = [*(bar(line.path, largest) for line in found.listed), Html("")]
    rows = [[*line, drawn] for line, drawn in zip(content.rows, bars, strict=True)]
    return section(
        "account",
        "What the step changed in the loss",
        paragraph(
            f"The loss of the batch went from {number(found.before, 8)} to {number(found.after, 8)}, measured in "
            f"float64, at a learning rate of {number(found.learning_rate)}."
        ),
        paragraph(found.verdict, "good" if found.holds else "bad"),
        table(Table([*content.columns, ""], rows, "lrrrl"), "loss account"),
        paragraph(found.explanation, "dim"),
    )


def shapes(ledger: ShapeLedger) -> Html:
    """Every product with its shapes."""
    rows = [[f"{step.layer}, {step.direction}", step.equation, step.shapes, step.reason] for step in ledger.steps]
    content = Table(["layer", "computation", "shapes", "why"], rows, "llll")
    return section("shapes", "Shapes", folded("Every product", ledger.cost, table(content, "shape ledger")))
