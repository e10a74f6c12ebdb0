"""A result described once: one `Page` of words and tables, shown as text, as HTML, or in colour on a terminal.

Results describe what they show once, in `page()`. `Page.text` is what `print` gives and what goes through a pipe,
`Page.html` what a notebook shows, and `Page.lines` the same text in pieces with their tone, for a coloured terminal.
`plain` makes of a result's numbers what JSON can hold.
"""

from __future__ import annotations

import math
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeVar, final

if TYPE_CHECKING:
    from rich.text import Text

WIDTH: Final = 100  # columns of a page at the most: longer lines are hard to read
_NARROWEST: Final = 40

#: How a piece of text is meant: a surface with colours chooses the colour.
Tone = Literal["", "title", "strong", "dim", "good", "fair", "poor", "bad"]

# For HTML a colour is that on a light page; on a dark one the style sheet below sets the variable of its name.
_HTML_TONES: Final[dict[Tone, str]] = {
    "": "",
    "title": "font-weight:bold",
    "strong": "font-weight:bold",
    "dim": "color:var(--backlit-dim,#6b6b6b)",
    "good": "color:var(--backlit-good,#1a7f37)",
    "fair": "color:var(--backlit-fair,#6b700f)",
    "poor": "color:var(--backlit-poor,#a35200)",
    "bad": "color:var(--backlit-bad,#c4211c);font-weight:bold",
}
_ON_DARK: Final = (
    "{--backlit-dim:#a6a6a6;--backlit-good:#56d364;--backlit-fair:#d6d34a;--backlit-poor:#ffa657;--backlit-bad:#ff8b83}"
)
# JupyterLab and nbconvert, Sphinx's themes, VS Code, Colab: each says in its own way that it is dark.
_STYLE: Final = (
    "<style>"
    + ",".join(
        f"{dark} .backlit-page"
        for dark in ('[data-jp-theme-light="false"]', '[data-theme="dark"]', ".vscode-dark", '[theme="dark"]')
    )
    + f'{_ON_DARK}@media (prefers-color-scheme:dark){{[data-theme="auto"] .backlit-page{_ON_DARK}}}</style>'
)
_GAP: Final = "  "


@final
@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table: its text and how it is meant."""

    text: str
    tone: Tone = ""


@final
@dataclass(frozen=True, slots=True)
class Words:
    """A paragraph, wrapped to the width of the page; `indent` columns from the left."""

    text: str
    tone: Tone = ""
    indent: int = 0


@final
@dataclass(frozen=True, slots=True)
class Table:
    """Columns with a heading. `align` has "l" or "r" for each.

    Where a page is too narrow, "l" columns are wrapped, the last one first; then the table goes on below itself, with
    its first column again. The cells of a `heat` map are areas of colour, below the numbers of columns and rows.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell | str]]
    align: str
    indent: int = 2
    heat: bool = False


@final
@dataclass(frozen=True)
class Page:
    """A title, and words and tables below it.

    Examples
    --------
    >>> page = Page("Sums", [Words("Two of them."), Table(["sum", "is"], [["1 + 1", "2"], ["5 + 6", "11"]], "lr")])
    >>> print(page.text())
    Sums
    Two of them.
      sum    is
      1 + 1   2
      5 + 6  11
    """

    title: str
    blocks: list[Words | Table] = field(default_factory=list)

    def lines(self, width: int | None = None) -> list[list[Cell]]:
        """The page line by line, each line in pieces with their tone; as wide as `page_width` unless given."""
        width = page_width() if width is None else width
        found = _wrapped(Words(self.title, "title"), width)
        for block in self.blocks:
            found += _wrapped(block, width) if isinstance(block, Words) else _laid_out(block, width)
        return found

    def text(self, width: int | None = None) -> str:
        """The page as plain text; as wide as `page_width` unless given."""
        return "\n".join("".join(piece.text for piece in line) for line in self.lines(width))

    def html(self) -> str:
        """The page as a piece of HTML with its style inside, for a notebook."""
        parts = [
            f'{_STYLE}<div class="backlit-page" style="font-family:sans-serif;font-size:13px">',
            f'<div style="font-weight:bold">{escape(self.title)}</div>',
        ]
        for block in self.blocks:
            if isinstance(block, Table):
                parts.append(_html_table(block))
            elif block.text:
                style = f"white-space:pre-wrap;margin:4px 0 2px {block.indent * 6}px;{_HTML_TONES[block.tone]}"
                parts.append(f'<div style="{style}">{escape(block.text)}</div>')
        return "".join(parts) + "</div>"


def page_width() -> int:
    """How wide a page is: as the terminal, at most 100 columns; 100 in a pipe or a file, unless COLUMNS is set.

    Examples
    --------
    >>> import os
    >>> os.environ["COLUMNS"] = "80"
    >>> page_width()
    80
    >>> del os.environ["COLUMNS"]
    """
    return max(_NARROWEST, min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns))


class Paged(Protocol):
    """Anything that has a page."""

    def page(self) -> Page: ...


_Result = TypeVar("_Result")


def shown(result: type[_Result]) -> type[_Result]:
    """Make a class with a `page()` show it: as text by `print`, in colour by rich, as HTML in a notebook.

    What the class shows in a way of its own stays.

    Examples
    --------
    >>> @shown
    ... class Sum:
    ...     def page(self):
    ...         return Page("1 + 1 = 2")
    >>> print(Sum())
    1 + 1 = 2
    """

    def as_text(self: Paged) -> str:
        return self.page().text()

    def as_rich(self: Paged) -> Text:
        return styled(self.page())

    def as_html(self: Paged) -> str:
        return self.page().html()

    for name, method in (("__str__", as_text), ("__rich__", as_rich), ("_repr_html_", as_html)):
        if name not in vars(result):
            setattr(result, name, method)
    return result


def _wrapped(words: Words, width: int) -> list[list[Cell]]:
    indent = " " * words.indent
    lines = textwrap.wrap(words.text, width, initial_indent=indent, subsequent_indent=indent) or [""]
    return [[Cell(line, words.tone)] for line in lines]


def _laid_out(table: Table, width: int) -> list[list[Cell]]:
    rows = [[cell if isinstance(cell, Cell) else Cell(cell) for cell in row] for row in table.rows]
    if any(table.columns):
        rows = [[Cell(title, "dim") for title in table.columns], *rows]
    widths = [max(len(row[column].text) for row in rows) if rows else 0 for column in range(len(table.align))]
    lines: list[list[Cell]] = []
    for part in _parts(widths, table.align, width - table.indent):
        if lines and any(table.columns):
            lines.append([])
        sizes = _squeezed([widths[k] for k in part], [table.align[k] for k in part], width - table.indent)
        for row in rows:
            lines += _row_lines([row[k] for k in part], sizes, [table.align[k] for k in part], table.indent)
    return lines


def _parts(widths: list[int], align: str, room: int) -> list[list[int]]:
    """Which columns stand beside each other: all of them; where that is too wide, some, each time after the first."""
    parts: list[list[int]] = [[]]
    for column in range(len(widths)):
        wider = [*parts[-1], column]
        sizes = _squeezed([widths[k] for k in wider], [align[k] for k in wider], room)
        if sum(sizes) + len(_GAP) * (len(sizes) - 1) > room and len(wider) > 2:
            wider = [0, column]
            parts.append(wider)
        parts[-1] = wider
    return parts


def _squeezed(widths: list[int], align: Sequence[str], room: int) -> list[int]:
    """The widths, columns of text made narrower as far as need be: the last one first, none below 24."""
    sizes = list(widths)
    for column in reversed(range(len(sizes))):
        excess = sum(sizes) + len(_GAP) * (len(sizes) - 1) - room
        if excess > 0 and align[column] == "l":
            sizes[column] = min(sizes[column], max(sizes[column] - excess, 24))
    return sizes


def _row_lines(row: list[Cell], sizes: list[int], align: Sequence[str], indent: int) -> list[list[Cell]]:
    """One row of a table: several lines where a cell is wrapped."""
    texts = [
        [cell.text] if len(cell.text) <= size else textwrap.wrap(cell.text, size)
        for cell, size in zip(row, sizes, strict=True)
    ]
    lines = []
    for number in range(max(len(text) for text in texts)):
        line = [Cell(" " * indent)]
        for text, cell, size, side in zip(texts, row, sizes, align, strict=True):
            piece = text[number] if number < len(text) else ""
            line += [Cell(piece.rjust(size) if side == "r" else piece.ljust(size), cell.tone), Cell(_GAP)]
        lines.append(_stripped(line))
    return lines


def _stripped(line: list[Cell]) -> list[Cell]:
    """The line without blanks at its end."""
    while line and not line[-1].text.strip():
        line = line[:-1]
    return [*line[:-1], Cell(line[-1].text.rstrip(), line[-1].tone)] if line else []


_HTML_HEAT: Final[dict[Tone, str]] = {"good": "#d9ecd0", "fair": "#f3edc0", "poor": "#f6d3a8", "bad": "#f0aaa2"}


def _html_table(table: Table) -> str:
    sides = ["right" if side == "r" else "left" for side in table.align]
    pad = "padding:1px 8px;white-space:nowrap"
    heads = "".join(
        f'<th style="text-align:{side};{pad};{_HTML_TONES["dim"]};font-weight:normal">{escape(title)}</th>'
        for title, side in zip(table.columns, sides, strict=True)
    )
    body = []
    for row in table.rows:
        cells = [cell if isinstance(cell, Cell) else Cell(cell) for cell in row]
        body.append(
            "<tr>"
            + "".join(
                f'<td style="text-align:{side};{pad};{_html_tone(cell.tone, table.heat)}">{escape(cell.text)}</td>'
                for cell, side in zip(cells, sides, strict=True)
            )
            + "</tr>"
        )
    style = "border-collapse:collapse;font-family:monospace;font-size:12px;margin:2px 0 8px 12px"
    return f'<table style="{style}"><thead><tr>{heads}</tr></thead><tbody>{"".join(body)}</tbody></table>'


def _html_tone(tone: Tone, heat: bool) -> str:
    return f"background:{_HTML_HEAT[tone]};color:#000" if heat and tone in _HTML_HEAT else _HTML_TONES[tone]


# ── on a terminal ────────────────────────────────────────────────────────────────────────────────────────

_STYLES: Final[dict[Tone, str]] = {
    "": "",
    "title": "bold underline",
    "strong": "bold",
    "dim": "dim",
    "good": "green",
    "fair": "yellow",
    "poor": "dark_orange",
    "bad": "bold red",
}


def show(result: Paged | Page, console: Any = None) -> None:
    """Print a result with its colours.

    Parameters
    ----------
    result : anything with a `page()`, or a Page
        A ledger, a gradient report, a loss account, a shape ledger, an unfolded weight.
    console : rich.console.Console, optional
        Where to; the standard output unless given.

    Examples
    --------
    >>> from backlit.pages import Page, Words
    >>> show(Page("A page", [Words("with a line")]))
    A page
    with a line
    """
    from rich.console import Console

    page = result if isinstance(result, Page) else result.page()
    console = Console() if console is None else console
    # what is shown may be stderr, of which `page_width` knows nothing
    width = min(WIDTH, console.width) if console.is_terminal else None
    console.print(styled(page, width), soft_wrap=True, highlight=False)


def styled(page: Page, width: int | None = None) -> Text:
    """The page as rich's text: what ``__rich__`` gives."""
    from rich.text import Text

    text = Text(no_wrap=True, overflow="ignore", end="")
    lines = page.lines(width)
    for number, line in enumerate(lines):
        end = "" if number == len(lines) - 1 else "\n"
        text.append_text(Text.assemble(*((cell.text, _STYLES[cell.tone]) for cell in line), end))
    return text


# ── numbers ────────────────────────────────────────────────────────────────────────────────────────────────


def number(value: float, digits: int = 6) -> str:
    """One number with that many significant digits.

    Examples
    --------
    >>> number(0.00043856773), number(float("nan"))
    ('0.000438568', 'nan')
    """
    return f"{float(value) + 0.0:.{digits}g}"  # −0.0 + 0.0 is 0.0


def numbers(values: Sequence[float] | Any, digits: int = 6, *, every: bool = False) -> list[str]:
    """A column of numbers with their points below each other, the largest with that many significant digits.

    With `every`, the small ones have as many: where they span more than three powers of ten all are written with
    exponents.

    Examples
    --------
    >>> numbers([0.4, -12.25, 0.0])
    ['0.4000', '-12.2500', '0.0000']
    >>> numbers([4e-9, 0.0])
    ['4.00000e-09', '0']
    >>> numbers([1.25, 0.0004], 3, every=True)
    ['1.25e+00', '4.00e-04']
    """
    values = [float(value) + 0.0 for value in values]
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    if largest == 0.0:
        return [number(value, digits) for value in values]
    exponent = math.floor(math.log10(largest))
    smallest = min(abs(value) for value in values if value and math.isfinite(value))
    if not -4 <= exponent < 7 or (every and smallest < 1e-3 * largest):
        return [f"{value:.{digits - 1}e}" if value else "0" for value in values]
    decimals = max(0, digits - 1 - exponent)
    # A number that would read as zero, but is not, is written with its exponent.
    return [f"{value:.1e}" if 0.0 < abs(value) < 0.5 * 10.0**-decimals else f"{value:.{decimals}f}" for value in values]


def count(amount: int, one: str, many: str | None = None) -> str:
    """An amount with its noun.

    Examples
    --------
    >>> count(1, "row"), count(2410, "parameter")
    ('1 row', '2,410 parameters')
    """
    return f"{amount:,} {one if amount == 1 else many or one + 's'}"


def place(name: str, index: Sequence[int]) -> str:
    """A parameter's name with its index.

    Examples
    --------
    >>> place("0.weight", (2, 1))
    '0.weight[2, 1]'
    """
    return f"{name}[{', '.join(map(str, index))}]"


def plain(value: Any) -> Any:
    """The same in lists, dictionaries, numbers and text, as JSON holds them; what is not finite becomes None.

    Examples
    --------
    >>> plain({"error": float("nan"), "index": (0, 1)})
    {'error': None, 'index': [0, 1]}
    """
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
