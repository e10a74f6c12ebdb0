"""A page for people: headings, paragraphs, aligned tables, by rich. Plain text where it goes into a file."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.console import Console

_WIDEST: Final = 100  # longer lines are hard to read


def console(as_json: bool = False) -> Console:
    """Where people read: stdout, or stderr when stdout is for JSON."""
    from rich.console import Console

    found = Console(stderr=as_json, highlight=False, markup=False)
    found.width = min(found.width, _WIDEST)
    return found


def heading(out: Console, text: str) -> None:
    """A line that stands out."""
    out.print()
    out.print(text, style="bold")


def paragraph(out: Console, text: str) -> None:
    """Prose, wrapped to the width of the page."""
    out.print(_wrapped(out, text))


def note(out: Console, text: str) -> None:
    """A paragraph below a table."""
    out.print()
    paragraph(out, text)


def conclusion(out: Console, text: str) -> None:
    """What there is to learn from the page, in one sentence."""
    out.print()
    out.print(_wrapped(out, "→ " + text), style="green")


def _wrapped(out: Console, text: str) -> str:
    """Lines of the page's width; a number and its unit, joined by a no-break space, stay together."""
    return textwrap.fill(text, out.width, break_long_words=False, break_on_hyphens=False)


def table(
    out: Console, columns: Sequence[str], rows: Iterable[Sequence[str]], text_columns: Sequence[int] = (0,)
) -> None:
    """Columns of numbers to the right, columns of text (by number, `text_columns`) to the left."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    made = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True, header_style="bold", show_edge=False)
    for number, name in enumerate(columns):
        made.add_column(name, justify="left" if number in text_columns else "right", no_wrap=True)
    for row in rows:
        made.add_row(*row)
    out.print()
    out.print(made)


def duration(seconds: float) -> str:
    """A time as people say it.

    Examples
    --------
    >>> duration(0.0123), duration(3.21), duration(200)
    ('12\\xa0ms', '3.2\\xa0s', '3 min 20 s')
    """
    if seconds < 1.0:
        return f"{1000 * seconds:.0f}\N{NO-BREAK SPACE}ms"
    if seconds < 60.0:
        return f"{seconds:.1f}\N{NO-BREAK SPACE}s"
    return f"{int(seconds) // 60} min {int(seconds) % 60} s"


def percent(share: float) -> str:
    """A share of one, in percent.

    Examples
    --------
    >>> percent(0.9542)
    '95.42\\xa0%'
    """
    return f"{100 * share:.2f}\N{NO-BREAK SPACE}%"
