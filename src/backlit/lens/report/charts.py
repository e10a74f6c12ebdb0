"""Curves and bars as SVG, drawn by hand: they follow the colours of the page, and need no other library."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final, final

from .markup import Html, svg_text

_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 14, 46
_MOST_POINTS: Final = 500  # of a line: more are not seen
_RAISED: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_MOST_DOTS: Final = 30  # a line of so few points has a dot at each


@final
@dataclass(frozen=True)
class Line:
    """One line of a chart; `color` is "a", "b" or "c" of the style sheet."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    color: str


@final
@dataclass(frozen=True)
class Axis:
    """An axis: its label, and from where to where it goes."""

    label: str
    low: float
    high: float
    log: bool = False

    def place(self, value: float) -> float:
        """How far along the axis, from 0 to 1; NaN for what has no place on it."""
        if not math.isfinite(value) or (self.log and value <= 0.0):
            return math.nan
        if self.log:
            return (math.log10(value) - math.log10(self.low)) / (math.log10(self.high) - math.log10(self.low))
        return (value - self.low) / (self.high - self.low)

    @property
    def ticks(self) -> list[float]:
        """Round numbers on the axis."""
        if self.log:
            decades = range(math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9) + 1)
            every = max(1, math.ceil(len(decades) / 7))
            return [10.0**k for k in decades if k % every == 0]
        step = _round_step((self.high - self.low) / 5)
        first = math.ceil(self.low / step - 1e-9)
        return [k * step for k in range(first, math.floor(self.high / step + 1e-9) + 1)]


def axis_over(
    label: str, values: Sequence[float], *, log: bool = False, zero: bool = False, whole: bool = False
) -> Axis:
    """An axis with room for the values, its ends at round numbers; `whole`: from the first to the last value.

    Examples
    --------
    >>> axis_over("loss", [0.31, 2.7], zero=True)
    Axis(label='loss', low=0.0, high=3.0, log=False)
    >>> axis_over("error", [0.0, 3e-4, 0.2], log=True).ticks
    [0.0001, 0.001, 0.01, 0.1, 1.0]
    """
    usable = [v for v in values if math.isfinite(v) and (v > 0.0 or not log)]
    low, high = (min(usable), max(usable)) if usable else (1.0, 10.0)
    if log:
        bottom, top = math.floor(math.log10(low)), math.ceil(math.log10(high))
        return Axis(label, 10.0**bottom, 10.0 ** max(top, bottom + 1), True)
    if whole:
        return Axis(label, low, high if high > low else low + 1.0)
    low = min(low, 0.0) if zero else low
    if low == high:
        low, high = (low - 0.1 * abs(low), high + 0.1 * abs(high)) if low else (0.0, 1.0)
    step = _round_step((high - low) / 5)
    return Axis(label, step * math.floor(low / step + 1e-9), step * math.ceil(high / step - 1e-9))


def _round_step(step: float) -> float:
    """1, 2 or 5 times a power of ten, at least `step`."""
    power = 10.0 ** math.floor(math.log10(step))
    return power * next(factor for factor in (1, 2, 5, 10) if factor * power >= step * (1 - 1e-9))


@final
@dataclass(frozen=True)
class Area:
    """A drawing with two axes, of a width and a height in pixels."""

    x: Axis
    y: Axis
    width: int = 680
    height: int = 300

    @property
    def bottom(self) -> int:
        return self.height - _BOTTOM

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, width and height of what lies between the axes."""
        return _LEFT, _TOP, self.width - _LEFT - _RIGHT, self.bottom - _TOP

    def across(self, value: float) -> float:
        return _LEFT + self.x.place(value) * (self.width - _LEFT - _RIGHT)

    def up(self, value: float) -> float:
        share = min(1.02, max(-0.02, self.y.place(value)))  # what is outside leaves the frame a little
        return self.bottom - share * (self.bottom - _TOP)

    def grid(self) -> list[str]:
        """The axes with their numbers and labels, and a line for each number upwards."""
        right = self.width - _RIGHT
        parts = []
        for tick in self.y.ticks:
            at = self.up(tick)
            parts.append(f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{at:.1f}" y2="{at:.1f}"/>')
            parts.append(svg_text(_LEFT - 8, at + 4, _tick(tick), kind="soft", anchor="end"))
        for tick in self.x.ticks:
            at = self.across(tick)
            parts.append(f'<line class="axis" x1="{at:.1f}" x2="{at:.1f}" y1="{self.bottom}" y2="{self.bottom + 5}"/>')
            parts.append(svg_text(at, self.bottom + 19, _tick(tick), kind="soft"))
        return [
            *parts,
            f'<line class="axis" x1="{_LEFT}" x2="{right}" y1="{self.bottom}" y2="{self.bottom}"/>',
            svg_text((_LEFT + right) / 2, self.height - 8, self.x.label, size=12.5),
            f'<text transform="translate(13 {(_TOP + self.bottom) / 2}) rotate(-90)" text-anchor="middle" '
            f'font-size="12.5">{escape(self.y.label)}</text>',
        ]

    def figure(self, parts: Sequence[str], keys: Sequence[str], title: str, kind: str = "chart") -> Html:
        """The drawing, with a legend below it; `title` is for those who cannot see it."""
        return Html(
            f'<figure class="{kind}"><svg viewBox="0 0 {self.width} {self.height}" role="img" '
            f'aria-label="{escape(title)}">{"".join(parts)}</svg><figcaption><div class="legend">{"".join(keys)}</div>'
            "</figcaption></figure>"
        )


def chart(
    lines: Sequence[Line],
    x: Axis,
    y: Axis,
    title: str,
    *,
    band: tuple[Sequence[float], Sequence[float]] | None = None,
    mark: tuple[float, str] | None = None,
    level: tuple[float, str] | None = None,
) -> Html:
    """Lines over two axes; `band` fills what is between two rows of values, `mark` and `level` are dashed."""
    area = Area(x, y)
    left, top, width, height = area.box
    parts = area.grid()
    if band is not None:
        parts.append(_band(area, lines[0].x, *band))
    if mark is not None and 0.0 <= x.place(mark[0]) <= 1.0:
        at = area.across(mark[0])
        parts.append(f'<line class="mark" x1="{at:.1f}" x2="{at:.1f}" y1="{top}" y2="{top + height}"/>')
    if level is not None and 0.0 <= y.place(level[0]) <= 1.0:
        at = area.up(level[0])
        parts.append(f'<line class="level" x1="{left}" x2="{left + width}" y1="{at:.1f}" y2="{at:.1f}"/>')
    parts += [_line(line, area) for line in lines]
    keys = [f'<span><span class="key {line.color}"></span>{escape(line.label)}</span>' for line in lines]
    if band is not None:
        keys.append("<span>shaded: smallest to largest batch</span>")
    if level is not None:
        keys.append(f'<span><span class="key c dashed"></span>{escape(level[1])}</span>')
    if mark is not None:
        keys.append(f'<span><span class="key soft dashed"></span>{escape(mark[1])}</span>')
    return area.figure(parts, keys, title)


def _tick(value: float) -> str:
    """
    Examples
    --------
    >>> _tick(0.25), _tick(1e-6)
    ('0.25', '10⁻⁶')
    """
    if value > 0.0 and not 1e-3 <= value < 1e5 and math.isclose(math.log10(value), round(math.log10(value))):
        return "10" + str(round(math.log10(value))).translate(_RAISED)
    return f"{value + 0.0:.6g}"


def _thinned(count: int) -> list[int]:
    every = max(1, math.ceil(count / _MOST_POINTS))
    return sorted({*range(0, count, every), count - 1}) if count else []


def _line(line: Line, area: Area) -> str:
    """The line, broken where a value has no place."""
    runs: list[list[str]] = [[]]
    for k in _thinned(len(line.x)):
        if math.isnan(area.y.place(line.y[k])) or math.isnan(area.x.place(line.x[k])):
            runs.append([])
        else:
            runs[-1].append(f"{area.across(line.x[k]):.1f},{area.up(line.y[k]):.1f}")
    runs = [run for run in runs if run]
    drawn = "".join(f'<polyline class="line" points="{" ".join(run)}"/>' for run in runs if len(run) > 1)
    dots = ""
    if len(line.x) <= _MOST_DOTS:
        points = [point.split(",") for run in runs for point in run]
        dots = "".join(f'<circle class="dot" cx="{cx}" cy="{cy}" r="2.6"/>' for cx, cy in points)
    return f'<g class="line {line.color}">{drawn}{dots}</g>'


def _band(area: Area, at: Sequence[float], low: Sequence[float], high: Sequence[float]) -> str:
    place = area.y.place
    kept = [k for k in _thinned(len(at)) if not math.isnan(place(low[k])) and not math.isnan(place(high[k]))]
    there = [f"{area.across(at[k]):.1f},{area.up(high[k]):.1f}" for k in kept]
    back = [f"{area.across(at[k]):.1f},{area.up(low[k]):.1f}" for k in reversed(kept)]
    return f'<polygon class="band" points="{" ".join([*there, *back])}"/>'


def bar(value: float, largest: float) -> Html:
    """A bar to the left of a line for what is negative, to the right for what is positive."""
    half = 60.0
    length = 0.0 if not (math.isfinite(value) and largest > 0.0) else half * min(1.0, abs(value) / largest)
    left, kind = (half - length, "minus") if value < 0.0 else (half, "plus")
    return Html(
        f'<span class="bar" aria-hidden="true"><svg width="{2 * half:.0f}" height="12" viewBox="0 0 {2 * half:.0f} 12">'
        f'<rect class="{kind}" x="{left:.1f}" y="1.5" width="{length:.1f}" height="9" rx="1.5"/>'
        f'<line x1="{half:.0f}" x2="{half:.0f}" y1="0" y2="12"/></svg></span>'
    )
