"""The gradient check in a report: verdicts, what is worst, heat maps of the agreed digits, and the sweep over ε."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

import numpy as np

from ...checking.gradreport import MOST_DIGITS, EpsilonSweep, GradientReport, digits_tone
from ...pages import Page
from ...parameters import Array
from .charts import Line, axis_over, chart
from .markup import Html, folded, joined, page_blocks, paragraph, scrolling, section

_ROWS, _COLUMNS = 16, 24  # of a heat map
_FINE: Final = 9  # digits from which a cell has the strongest colour


def check(report: GradientReport) -> Html:
    """The section of the check."""
    parts = [page_blocks(replace(report, sweep=None).page(heat=False)), _maps(report)]
    if report.sweep is not None:
        parts.append(_sweep(report.sweep))
    return section("check", f"Gradient check: {'ok' if report.ok else 'not ok'}", *parts)


# ── heat maps ──────────────────────────────────────────────────────────────────────────────────────────────


def _maps(report: GradientReport) -> Html:
    maps = [(name, np.atleast_2d(report.heatmap(name))) for name in report.shapes]
    shown = [(name, digits) for name, digits in maps if np.isfinite(digits).any()]
    if not shown:
        return Html("")
    legend = "".join(
        f'<span><span class="chip h-{kind}"></span>{label}</span>'
        for kind, label in (
            ("bad", "under 3"),
            ("poor", "3 and 4"),
            ("fair", "5 and 6"),
            ("good", "7 and 8"),
            ("fine", f"{_FINE} and more"),
        )
    )
    heads = [
        Html("<h3>To how many digits each gradient agrees</h3>"),
        paragraph(
            "Inputs downwards, units across. A dot stands where none was checked or can be, or where the rounding of "
            "the loss hides the gradient.",
            "dim",
        ),
        Html(f'<div class="legend">{legend}</div>'),
    ]
    return joined([*heads, '<div class="beside">', *(_map(name, digits, report) for name, digits in shown), "</div>"])


def _map(name: str, digits: Array, report: GradientReport) -> Html:
    down, across = (math.ceil(size / most) for size, most in zip(digits.shape, (_ROWS, _COLUMNS), strict=True))
    rows, columns = range(0, digits.shape[0], down), range(0, digits.shape[1], across)
    # the least of each block, what was not checked left aside
    least = np.fmin.reduceat(np.fmin.reduceat(digits, list(rows), axis=0), list(columns), axis=1)
    size = " × ".join(f"{n:,}" for n in report.shapes[name])
    pooled = f", the least of each {down} × {across} block" if down * across > 1 else ""
    flat = len(report.shapes[name]) == 1
    heads = "".join(f'<th scope="col">{column}</th>' for column in columns)
    body = "".join(
        f'<tr><th scope="row">{"" if flat else row}</th>{"".join(_cell(value) for value in line)}</tr>'
        for row, line in zip(rows, least, strict=True)
    )
    content = (
        f'<table class="heat" aria-label="agreed digits of {name}"><thead>'
        f"<tr><td></td>{heads}</tr></thead><tbody>{body}</tbody></table>"
    )
    return joined(
        ["<div>", paragraph(f"{name}, {size}{pooled}", "lede"), scrolling(content, f"heat map of {name}"), "</div>"]
    )


def _cell(digits: float) -> str:
    if math.isnan(digits):
        return '<td class="h-none">·</td>'
    kind = "fine" if digits >= _FINE else digits_tone(digits)
    return f'<td class="h-{kind}">{int(digits)}</td>'


# ── the sweep ──────────────────────────────────────────────────────────────────────────────────────────────


def _sweep(sweep: EpsilonSweep) -> Html:
    least = 10.0**-MOST_DIGITS
    errors = [[max(error, least) for error in found] for found in (sweep.errors, sweep.errors_float32)]
    lines = [
        Line("loss in float64", sweep.epsilons, errors[0], "a"),
        Line("loss in float32", sweep.epsilons, errors[1], "b"),
    ]
    floor = sweep.best_float32[1]
    drawn = chart(
        lines,
        axis_over("ε", sweep.epsilons, log=True),
        axis_over("relative error", [*errors[0], *errors[1]], log=True),
        "Error of central differences against ε",
        mark=(sweep.chosen, f"ε of the check, {sweep.chosen:.0e}"),
        level=(floor, f"float32's floor, {floor:.1e}") if math.isfinite(floor) else None,
    )
    return joined(
        [
            Html("<h3>The error against ε</h3>"),
            drawn,
            paragraph(sweep.explanation),
            folded("The figures", "", page_blocks(Page("Error against ε", sweep.page().blocks[:1]))),
        ]
    )
