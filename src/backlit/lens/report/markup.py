"""HTML by hand: text, tables, foldable parts, and the document around them.

The document asks for nothing: style and script stand in it, each allowed by its own SHA-256 in the content security
policy, which forbids everything else. Whatever comes from outside goes through `escape`.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from html import escape
from importlib.resources import files
from typing import Final, final

from ...pages import Cell, Page, Table, Words

_BADGE: Final = "data:,"  # an empty icon: a browser asks for none then


@final
class Html(str):
    """Text that is HTML already, and is not escaped again."""

    __slots__ = ()


def joined(parts: Iterable[str]) -> Html:
    """Pieces of HTML one after the other."""
    return Html("".join(parts))


def inner(text: str) -> str:
    """Text as it stands in a document.

    Examples
    --------
    >>> inner("a < b"), inner(Html("<b>a</b>"))
    ('a &lt; b', '<b>a</b>')
    """
    return text if isinstance(text, Html) else escape(text)


def paragraph(text: str, kind: str = "") -> Html:
    """A paragraph; `kind` is a class of the style sheet."""
    return Html(f"<p{_class(kind)}>{inner(text)}</p>")


def section(anchor: str, title: str, *parts: str) -> Html:
    """A part of the document with its heading."""
    return Html(
        f'<section id="{anchor}" aria-labelledby="{anchor}-title"><h2 id="{anchor}-title">{inner(title)}</h2>'
        f"{''.join(parts)}</section>"
    )


def folded(title: str, aside: str, *parts: str, unfolded: bool = False) -> Html:
    """A part that opens when its title is clicked; works without a script."""
    extra = f'<span class="aside">{inner(aside)}</span>' if aside else ""
    return Html(
        f"<details{' open' if unfolded else ''}><summary><b>{inner(title)}</b>{extra}</summary>"
        f'<div class="inside">{"".join(parts)}</div></details>'
    )


def scrolling(content: str, label: str) -> Html:
    """Something that may be wider than the screen: it scrolls by itself, with the keyboard too."""
    return Html(f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(label)}">{content}</div>')


def table(content: Table, label: str, *, caption: str = "", kind: str = "") -> Html:
    """A table; `label` names it for a screen reader, `caption` is seen. Kinds: "sortable", "sortable filtered"."""
    head = ""
    sides = [' class="r"' if side == "r" else "" for side in content.align]
    if any(content.columns):
        cells = [
            f'<th scope="col"{side}>{inner(title)}</th>' if title else f"<td{side}></td>"
            for title, side in zip(content.columns, sides, strict=True)
        ]
        head = f"<thead><tr>{''.join(cells)}</tr></thead>"
    body = "".join(f"<tr>{_row(row, content.align, content.heat)}</tr>" for row in content.rows)
    seen = f"<caption>{inner(caption)}</caption>" if caption else ""
    kind = f"{kind} heat".strip() if content.heat else kind
    return scrolling(f"<table{_class(kind)}>{seen}{head}<tbody>{body}</tbody></table>", label)


def _row(row: Iterable[Cell | str], align: str, heat: bool) -> str:
    cells = []
    for number, (item, side) in enumerate(zip(row, align, strict=True)):
        cell = item if isinstance(item, Cell) else Cell(item)
        classes: list[str] = [cell.tone] if cell.tone else []
        if side == "r":
            classes.append("r")
        elif number and len(cell.text) > 60:
            classes.append("wrap")
        kind = _class(" ".join(classes))
        if number == 0 and (side == "l" or heat):
            cells.append(f'<th scope="row"{kind}>{inner(cell.text)}</th>')
        else:
            cells.append(f"<td{kind}>{inner(cell.text)}</td>")
    return "".join(cells)


def page_blocks(page: Page) -> Html:
    """What stands on a page of another surface, below its title."""
    parts, label = [], page.title
    for block in page.blocks:
        if isinstance(block, Table):
            parts.append(table(block, label))
        elif block.text:
            parts.append(_words(block))
            label = block.text if block.tone == "strong" else label
    return joined(parts)


def _words(words: Words) -> Html:
    if words.tone == "strong":
        return Html(f"<h3>{escape(words.text)}</h3>")
    # what is indented on a page is an equation, unless it is a remark
    return paragraph(words.text, "eq" if words.indent and words.tone == "" else words.tone)


def svg_text(x: float, y: float, text: str, *, kind: str = "", anchor: str = "middle", size: float = 12) -> str:
    """A piece of text in a drawing; `anchor` is "start", "middle" or "end"."""
    return (
        f'<text{_class(kind)} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size:g}">{inner(text)}</text>'
    )


def facts(rows: Iterable[tuple[str, str]], label: str) -> Html:
    """Names and values."""
    return table(Table(["", ""], list(rows), "ll"), label)


def document(title: str, *parts: str, generator: str) -> str:
    """The whole file."""
    style, script = _packaged("report.css"), _packaged("report.js")
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="generator" content="{escape(generator)}">\n'
        f'<title>{escape(title)}</title>\n<link rel="icon" href="{_BADGE}">\n<style>{style}</style>\n</head>\n'
        f"<body>\n{''.join(parts)}\n<script>{script}</script>\n</body>\n</html>\n"
    )


def _packaged(name: str) -> str:
    return files("backlit.lens.report").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
