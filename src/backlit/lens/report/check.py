"""The gradient check in a report: verdicts, what is worst, heat maps of the agreed digits, and the sweep over ε."""

from __future__ import annotations

import math
from dataclasses import replace

from ...checking.gradreport import MOST_DIGITS, EpsilonSweep, GradientReport
from ...pages import Page
from .charts import Line, axis_over, chart
from .markup import Html, folded, joined, page_blocks, paragraph, section


def check(report: GradientReport) -> Html:
    """The section of the check."""
    parts = [page_blocks(replace(report, sweep=None).page())]
    if report.sweep is not None:
        parts.append(_sweep(report.sweep))
    return section("check", f"Gradient check: {'ok' if report.ok else 'not ok'}", *parts)


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
