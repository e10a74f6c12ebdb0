"""A diagnosis drawn: the layers with the one where it breaks, and the gradients given against the right ones."""

from __future__ import annotations

import math
from html import escape
from typing import Any, Final

from ..diagnosis.results import Comparison, Diagnosis
from .charts import Area, axis_over
from .markup import Html, joined, svg_text

_MOST: Final = 8  # arrays that are drawn
_BOX: Final = (118, 46, 26)  # width, height and gap of a layer


def picture(result: Any) -> Html:
    """The picture of a diagnosis; nothing for any other result."""
    if not isinstance(result, Diagnosis):
        return Html("")
    # what is wrong first: that is what the picture is for
    shown = sorted((one for one in result.comparisons if one.points), key=lambda one: one.ok)[:_MOST]
    return joined([_layers(result), *(_scatter(one) for one in shown)])


def _state(result: Diagnosis, layer: int) -> str:
    """What is known of one layer: "broken", where a finding is; "right" or "wrong" by its gradients; or nothing."""
    if any(finding.layer == layer for finding in result.findings):
        return "broken"
    own = [one.ok for one in result.comparisons if one.name.startswith(f"{layer}.")]
    if not own:
        return ""
    return "right" if all(own) else "wrong"


def _layers(result: Diagnosis) -> Html:
    """The network from its input on: the layer where it breaks in red, with right gradients in green."""
    if not result.layers:
        return Html("")
    width, height, gap = _BOX
    colors = {"broken": "var(--bad, #c0392b)", "right": "var(--good, #2e8b57)", "wrong": "var(--poor, #c98a1b)"}
    words = {"broken": "breaks here", "right": "gradients right", "wrong": "gradients wrong"}
    parts = []
    for k, title in enumerate(result.layers):
        x, state = k * (width + gap) + 2, _state(result, k)
        color = colors.get(state, "currentColor")
        parts.append(
            f'<rect x="{x}" y="4" width="{width}" height="{height}" rx="6" fill="none" stroke="{color}" '
            'stroke-width="2.5"/>'
        )
        parts.append(svg_text(x + width / 2, 32, title, size=13))
        parts.append(svg_text(x + width / 2, height + 22, words.get(state, ""), kind="soft", size=11))
        if k:
            parts.append(f'<line class="axis" x1="{x - gap}" x2="{x}" y1="{4 + height / 2}" y2="{4 + height / 2}"/>')
    total = len(result.layers) * (width + gap)
    label = "The layers from the input on, and where the gradients go wrong"
    return Html(
        f'<figure class="chart"><svg viewBox="0 0 {total} {height + 32}" role="img" aria-label="{escape(label)}">'
        f"{''.join(parts)}</svg></figure>"
    )


def _scatter(one: Comparison) -> Html:
    """Given against right, with the line on which right ones lie and the slope of those given."""
    points = [(right, mine) for right, mine in one.points if math.isfinite(right) and math.isfinite(mine)]
    if not points or not any(right for right, _ in points):
        return Html("")
    x = axis_over("right", [right for right, _ in points])
    y = axis_over("given", [value for pair in points for value in pair])
    area = Area(x, y, width=440, height=260)
    color = "var(--good, #2e8b57)" if one.ok else "var(--bad, #c0392b)"
    slope = sum(r * m for r, m in points) / sum(r * r for r, _ in points)
    low, high = min(r for r, _ in points), max(r for r, _ in points)
    parts = area.grid()
    for factor, kind in ((1.0, "level"), (slope, "mark")):
        ends = f'x1="{area.across(low):.1f}" y1="{area.up(factor * low):.1f}" '
        ends += f'x2="{area.across(high):.1f}" y2="{area.up(factor * high):.1f}"'
        parts.append(f'<line class="{kind}" {ends}/>')
    parts += [f'<circle cx="{area.across(r):.1f}" cy="{area.up(m):.1f}" r="3" fill="{color}"/>' for r, m in points]
    keys = [f"<span>{escape(one.name)}: slope {slope:.4g} of given against right</span>"]
    return area.figure(parts, keys, f"Gradients of {one.name} given, against the right ones")
