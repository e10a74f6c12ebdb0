"""Results in colour on a terminal, by rich; the same lines without colour where the output is a file or a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from ..surfaces import Page, Tone

if TYPE_CHECKING:
    from rich.text import Text

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


class Paged(Protocol):
    """Anything that has a page."""

    def page(self) -> Page: ...


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
    >>> from backlit.surfaces import Page, Words
    >>> show(Page("A page", [Words("with a line")]))
    A page
    with a line
    """
    from rich.console import Console

    page = result if isinstance(result, Page) else result.page()
    (Console() if console is None else console).print(styled(page), soft_wrap=True, highlight=False)


def styled(page: Page) -> Text:
    """The page as rich's text: what ``__rich__`` gives."""
    from rich.text import Text

    text = Text(no_wrap=True, overflow="ignore", end="")
    lines = page.lines()
    for number, line in enumerate(lines):
        end = "" if number == len(lines) - 1 else "\n"
        text.append_text(Text.assemble(*((cell.text, _STYLES[cell.tone]) for cell in line), end))
    return text
