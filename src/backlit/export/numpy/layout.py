"""The look of a generated script: comments in one column, long lists broken, numbers in full."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Final

from ...kinds.script import BLANK, Line, number
from ...parameters import Array

WIDTH: Final = 88  # columns of a line of code, as most formatters have it


def block(lines: Iterable[Line], indent: int = 4) -> list[str]:
    """Lines of code whose comments stand in one column, paragraph by paragraph; a comment may stand alone.

    Examples
    --------
    >>> print("\\n".join(block([("", "layer 0"), ("z0 = a0 @ W0", "(n, 3)"), ("a1 = np.tanh(z0)", "(n, 3)")], 0)))
    # layer 0
    z0 = a0 @ W0      # (n, 3)
    a1 = np.tanh(z0)  # (n, 3)
    """
    result: list[str] = []
    for blank, group in itertools.groupby(lines, key=lambda line: line == BLANK):
        paragraph = list(group)
        if blank:
            result += [""] * len(paragraph)
            continue
        column = max((len(code) for code, comment in paragraph if comment), default=0)
        for code, comment in paragraph:
            remark = f"# {comment}" if comment else ""
            result.append(" " * indent + (f"{code:<{column}}  {remark}" if code and comment else code or remark))
    return result


def listed(before: str, names: Sequence[str], after: str = "", indent: int = 4) -> list[str]:
    """One line ``before a, b, c after``, or brackets around several lines where that is too long.

    Examples
    --------
    >>> listed("return ", ["dW0", "db0"])
    ['    return dW0, db0']
    """
    space = " " * indent
    line = f"{space}{before}{', '.join(names)}{',' if len(names) == 1 else ''}{after}"
    if len(line) <= WIDTH:
        return [line]
    inner = filled(names, WIDTH - indent - 4)
    return [f"{space}{before}(", *(f"{space}    {part}" for part in inner), f"{space}){after}"]


def filled(texts: Iterable[str], width: int) -> list[str]:
    """Texts with a comma after each, as many on a line as fit; no text is broken.

    Examples
    --------
    >>> filled(["1.5", "2.5", "'New York'"], 12)
    ['1.5, 2.5,', "'New York',"]
    """
    lines: list[str] = []
    for text in texts:
        if lines and len(lines[-1]) + len(text) + 2 <= width:
            lines[-1] += f" {text},"
        else:
            lines.append(f"{text},")
    return lines


def items(before: str, texts: Sequence[str], after: str, comment: str) -> list[str]:
    """``before a, b, c after  # comment``, on several lines where that is too long.

    Examples
    --------
    >>> items("b0 = np.array([", ["0.5", "0.0"], "])", "(2,)")
    ['b0 = np.array([0.5, 0.0])  # (2,)']
    """
    line = f"{before}{', '.join(texts)}{after}  # {comment}"
    if len(line) <= WIDTH:
        return [line]
    return [f"{before}  # {comment}", *(f"    {part}" for part in filled(texts, WIDTH - 4)), after]


def array(before: str, values: Array, after: str, comment: str) -> list[str]:
    """``before [[…], […]] after  # comment``, a row of the array on a line where it fits.

    Examples
    --------
    >>> import numpy as np
    >>> print("\\n".join(array("W0 = np.array(", np.array([[1.0, 2.0], [3.0, 4.0]]), ")", "(2, 2)")))
    W0 = np.array([  # (2, 2)
        [1.0, 2.0],
        [3.0, 4.0],
    ])
    """
    if values.ndim == 1:
        return items(f"{before}[", [number(v) for v in values], f"]{after}", comment)
    lines = [f"{before}[  # {comment}"]
    for row in values:
        first, *others = filled([number(v) for v in row], WIDTH - 6)
        inner = [f"    [{first}", *(f"     {part}" for part in others)]
        lines += [*inner[:-1], f"{inner[-1].removesuffix(',')}],"]
    return [*lines, f"]{after}"]


def heading(text: str) -> list[str]:
    """A ruled line over a part of the script, and the room around it."""
    return ["", "", f"# ── {text} ".ljust(WIDTH, "─"), ""]
