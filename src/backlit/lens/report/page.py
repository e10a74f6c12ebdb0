"""One step of training as one HTML file: it needs no network, no script, and nothing but a browser."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

import numpy as np

from ...checking.gradcheck import check_gradients
from ...checking.gradreport import AGREES, GradientReport
from ...exceptions import ShapeError
from ...io import write_bytes
from ...kinds.optimizers import Optimizer, OptimizerState
from ...network import Network
from ...pages import Paged, Table, count, number
from ..step.account import LossAccount
from ..step.index import check_index
from ..step.ledger import Ledger, explain
from . import ledger as report_ledger
from .boundary import boundary
from .charts import Line, axis_over, chart
from .check import check
from .data import fingerprints, picture, settings, versions
from .diagnosis import picture as diagnosis_picture
from .drawing import drawing
from .markup import Html, document, facts, page_blocks, paragraph, section, table

_CHECKS: Final = 2e8  # parameters checked · parameters · rows: some seconds at most
_MOST_INPUTS: Final = 40  # that a row lists

#: A parameter by its name and index: ("0.weight", 3, 4).
ParameterPlace = tuple[Any, ...]


def report(
    net: Network,
    X: Any,
    y: Any,
    path: str | os.PathLike[str],
    *,
    optimizer: Optimizer | None = None,
    sample_weight: Any = None,
    row_labels: Sequence[Any] | None = None,
    state: OptimizerState | None = None,
    step: int | None = None,
    epoch: float = 0.0,
    history: Mapping[str, Sequence[float]] | None = None,
    title: str | None = None,
    weights: Sequence[ParameterPlace] = (),
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    image_shape: tuple[int, int] | None = None,
    more: Sequence[Paged] = (),
) -> Path:
    """Explain one step of training on the given rows, as one HTML file for any browser.

    The network as a drawing, its answers everywhere where it has two inputs, what passed forwards and backwards, the
    gradients beside their finite differences, single weights unfolded down to the loss, the loss account, the gradient
    check, the learning curves, the shapes, the fingerprints of the data. Of much it shows the largest. The same call
    writes the same bytes.

    Parameters
    ----------
    net, X, y, optimizer, sample_weight, row_labels, state, step, epoch
        As in `explain`.
    path : str or path
        Of the file; by custom ``.html``.
    history : History, optional
        What `fit` returned: its curves are drawn.
    title : str, optional
        The heading.
    weights : sequence of tuple
        Parameters to unfold besides those with the largest gradients: ``[("0.weight", 3, 4), ("0.bias", 2)]``.
    input_names, output_names : sequence of str, optional
        Of the features, and of the outputs (the classes).
    image_shape : (int, int), optional
        Height and width, where a row is a grey picture.
    more : sequence
        Results that have a section of their own at the end: a diagnosis, for instance.

    Returns
    -------
    Path

    Raises
    ------
    OutputError
        If the file cannot be written.
    ShapeError, ConfigurationError
        If the names or the image do not fit the network; and whatever `explain` raises.

    Examples
    --------
    >>> import tempfile, backlit as bl
    >>> from backlit.lens import explain
    >>> net = bl.Network([bl.Dense(2, "tanh"), bl.Dense(1)], inputs=2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = report(net, [[1.0, 1.0]], [1.0], folder + "/step.html", optimizer=bl.SGD(0.1))
    ...     file.name, file.stat().st_size < 2e6
    ('step.html', True)
    """
    ledger = explain(
        net, X, y, optimizer=optimizer, sample_weight=sample_weight, row_labels=row_labels, state=state, step=step,
        epoch=epoch,
    )  # fmt: skip
    text = report_html(
        ledger, history=history, title=title, weights=weights, input_names=input_names, output_names=output_names,
        image_shape=image_shape, more=more,
    )  # fmt: skip
    write_bytes(text.encode(), path)
    return Path(path)


@np.errstate(all="ignore")  # of a network that has diverged the report shows NaN, and need not warn of it
def report_html(
    ledger: Ledger,
    *,
    checked: GradientReport | None = None,
    history: Mapping[str, Sequence[float]] | None = None,
    title: str | None = None,
    weights: Sequence[ParameterPlace] = (),
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    image_shape: tuple[int, int] | None = None,
    more: Sequence[Paged] = (),
) -> str:
    """The report of a ledger as text; see `report`. `checked` is its gradient check, where that was made already."""
    net = ledger.net
    _check_names("input_names", input_names, net.inputs)
    _check_names("output_names", output_names, net.outputs)
    if image_shape is not None and math.prod(image_shape) != net.inputs:
        raise ShapeError(
            f"image_shape {image_shape} is for {math.prod(image_shape)} numbers, but a row of X has {net.inputs}"
        )
    chosen = [(str(name), check_index(net.parameters, str(name), index)) for name, *index in weights]
    checked = check_ledger(ledger) if checked is None else checked
    one = 0 if ledger.n == 1 else None
    row = int(np.argmax(ledger.row_losses_before))  # of a batch, the row with the largest loss
    account = ledger.account()
    heading = title or f"One step of {ledger.optimizer!r} on {count(ledger.n, 'row')}"
    sections = [
        ("The network", section("network", "The network", drawing(ledger, one, input_names, output_names))),
        ("Boundary", boundary(ledger, input_names, output_names)),
        ("The row", _row(ledger, row, input_names, image_shape)),
        ("Forwards and backwards", report_ledger.passes(ledger, row, output_names)),
        ("Gradients", report_ledger.gradients(ledger)),
        ("One weight", report_ledger.unfolded(ledger, chosen)),
        ("Loss account", report_ledger.account(account)),
        ("Gradient check", check(checked)),
        ("Curves", _curves(history)),
        ("Shapes", report_ledger.shapes(ledger.shapes())),
        ("Made from", _made_from(ledger)),
    ]
    for k, (result, page) in enumerate((result, result.page()) for result in more):
        sections.append((page.title, section(f"more-{k}", page.title, diagnosis_picture(result), page_blocks(page))))
    return document(
        heading,
        Html(f'<header><p class="eyebrow">Backlit</p><h1>{escape(heading)}</h1>'),
        paragraph(_chain(net), "lede"),
        _tiles(ledger, checked, account),
        _contents(sections),
        Html("</header><main>"),
        *(part for _, part in sections),
        Html("</main>"),
        Html(
            f"<footer>Made by Backlit {escape(versions()['Backlit'])}. Every gradient here is the one that training "
            "would use; every finite difference was measured on the same rows in float64.</footer>"
        ),
        generator=f"Backlit {versions()['Backlit']}",
    )


def check_ledger(ledger: Ledger, *, sweep: bool = True) -> GradientReport:
    """The gradient check of a ledger's rows, of many parameters a sample; as a rule with the sweep over ε."""
    size = ledger.net.parameters.size
    sample = min(size, int(np.clip(_CHECKS / (size * ledger.n), 40, 2000)))
    X, Y, weight = ledger.trace.data
    return check_gradients(ledger.net, X, Y, sample_weight=weight, sample=sample, step=ledger.trace.step, sweep=sweep)


def _check_names(what: str, names: Sequence[str] | None, size: int) -> None:
    if names is not None and len(names) != size:
        raise ShapeError(f"{what} must have {count(size, 'entry', 'entries')}, received {len(names)}")


def _chain(net: Network) -> str:
    """The network in one line."""
    parts = [count(net.inputs, "input"), *(layer.title for layer in net.layers)]
    parameters = count(net.parameters.size, "parameter")
    return f"{' → '.join(parts)}; loss {net.loss_function.name}; {parameters} in {net.dtype}"


def _contents(sections: Sequence[tuple[str, Html]]) -> Html:
    anchors = [(name, part.split('"', 2)[1]) for name, part in sections if part]
    links = "".join(f'<li><a href="#{anchor}">{escape(name)}</a></li>' for name, anchor in anchors)
    return Html(f'<nav aria-label="Contents"><ul>{links}</ul></nav>')


def _tiles(ledger: Ledger, checked: GradientReport, account: LossAccount) -> Html:
    change = ledger.loss_after - ledger.loss_before
    agree = sum(row.verdict == AGREES for row in checked.rows)
    kept = 100 * account.change / account.first_order if account.first_order < 0.0 else math.nan
    tiles = [
        (
            "Loss, before → after",
            f"{number(ledger.loss_before, 5)} → {number(ledger.loss_after, 5)}",
            "good" if change <= 0 else "bad",
            f"{change:+.4g}, measured again",
        ),
        (
            "Gradient check",
            "ok" if checked.ok else "not ok",
            "good" if checked.ok else "bad",
            f"{agree:,} of {len(checked.rows):,} agree",
        ),
        (
            "Promise kept",
            "–" if math.isnan(kept) else f"{kept:.0f} %",
            "bad" if kept < 50 else "",
            f"of {number(account.first_order, 4)}",
        ),
        ("Rows", f"{ledger.n:,}", "", f"learning rate {number(ledger.learning_rate)}"),
    ]
    cells = "".join(
        f'<div><dt>{escape(name)}</dt><dd class="{kind}">{escape(value)}<small>{escape(small)}</small></dd></div>'
        for name, value, kind, small in tiles
    )
    return Html(f'<dl class="tiles">{cells}</dl>')


def _row(ledger: Ledger, row: int, input_names: Sequence[str] | None, image_shape: tuple[int, int] | None) -> Html:
    """The inputs of the row that is followed, as numbers or as a picture; and which pass this is."""
    trace, label = ledger.trace, ledger.row_labels[row]
    parts = [paragraph(trace.which_pass, "dim") if trace.which_pass else Html("")]
    if image_shape is None:
        parts.append(_row_values(ledger, row, input_names))
    else:
        alt = escape(f"row {label} as a picture of {image_shape[0]} × {image_shape[1]}")
        image = f'<img class="row" src="{picture(trace.inputs[row], image_shape)}" alt="{alt}">'
        parts.append(Html(f"<figure>{image}<figcaption>{alt}</figcaption></figure>"))
    return section("row", f"Row {label}" + (", the one with the largest loss" if ledger.n > 1 else ""), *parts)


def _made_from(ledger: Ledger) -> Html:
    """Fingerprints of the arrays, settings and versions: enough to make the same numbers again."""
    made = [[f.name, f.size, f.dtype, f.range, Html(f"<code>{f.sha256}</code>")] for f in fingerprints(ledger.trace)]
    titles = ["array", "shape", "dtype", "from … to", "SHA-256 of its bytes, row by row"]
    return section(
        "made-from",
        "Data, seed and versions",
        facts(settings(ledger.net), "settings and versions"),
        table(Table(titles, made, "lllrl"), "fingerprints"),
    )


def _row_values(ledger: Ledger, row: int, input_names: Sequence[str] | None) -> Html:
    """The inputs of one row, the largest of many."""
    values = ledger.trace.inputs[row]
    shown = np.arange(values.size)
    if values.size > _MOST_INPUTS:
        shown = np.sort(np.argsort(-np.abs(values), kind="stable")[:_MOST_INPUTS])
    names = [input_names[i] if input_names is not None else f"a_{i}" for i in shown]
    pairs = "".join(
        f"<span><b>{escape(name)}</b> {number(float(values[i]), 5)}</span>"
        for name, i in zip(names, shown, strict=True)
    )
    rest = values.size - len(shown)
    more = f"<span>… and {rest:,} smaller ones</span>" if rest else ""
    return Html(f'<p>Its inputs:</p><p class="legend">{pairs}{more}</p>')


def _curves(history: Mapping[str, Sequence[float]] | None) -> Html:
    """The losses, and whatever else was measured each epoch."""
    if history is None or not len(history) or not len(history["loss"]):
        return Html("")
    epochs = list(range(1, len(history["loss"]) + 1))
    x = axis_over("epoch", epochs, whole=True)
    parts = []
    names = {"loss": ("training loss", "a"), "val_loss": ("validation loss", "b")}
    lines = [Line(label, epochs, history[name], color) for name, (label, color) in names.items() if name in history]
    values = [value for line in lines for value in line.y if math.isfinite(value)]
    log = bool(values) and min(values) > 0.0 and max(values) > 50.0 * min(values)
    band = None
    if "batch_loss_min" in history and list(history["batch_loss_min"]) != list(history["batch_loss_max"]):
        band = (history["batch_loss_min"], history["batch_loss_max"])
    best = getattr(history, "best_epoch", None)
    mark = None if best is None else (float(best), f"best, epoch {best}")
    loss = axis_over("loss", values, log=log, zero=True)
    parts.append(chart(lines, x, loss, "Loss over epochs", band=band, mark=mark))
    for name, label in (("val_accuracy", "validation accuracy"), ("val_r2", "validation R²")):
        if name in history:
            y = axis_over(label, history[name])
            parts.append(chart([Line(label, epochs, history[name], "b")], x, y, f"{label} over epochs", mark=mark))
    return section("curves", "Learning curves", *parts)
