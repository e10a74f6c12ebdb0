"""The course in eight lessons. Each is one Markdown file with cells of code: the page on the site and the notebook."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final, final

from ..exceptions import ConfigurationError, nearest

_HEADER: Final = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_CELL: Final = re.compile(
    r"^```\{code-cell\}[^\n]*\n(?::tags: \[(?P<tags>[^\]\n]*)\]\n)?(?P<code>.*?)^```$", re.M | re.S
)


@final
@dataclass(frozen=True, slots=True)
class Lesson:
    """One lesson: its number, its name on the command line, and what it is about."""

    number: int
    name: str
    what: str

    @property
    def file(self) -> str:
        """The name of its file, without an ending."""
        return f"{self.number}-{self.name}"

    def source(self) -> str:
        """The lesson as Markdown with cells of code."""
        return (resources.files(__name__) / f"{self.file}.md").read_text(encoding="utf-8")

    def notebook(self) -> str:
        """The lesson as a Jupyter notebook (nbformat 4.5), not yet run.

        Examples
        --------
        >>> notebook = json.loads(LESSONS[0].notebook())
        >>> notebook["cells"][0]["source"][0]
        '# 1. One weight, nudged\\n'
        """
        text = _HEADER.sub("", self.source())
        cells: list[dict[str, Any]] = []
        end = 0
        for found in _CELL.finditer(text):
            cells += _words(text[end : found.start()])
            tags = [tag.strip(' "') for tag in (found["tags"] or "").split(",") if tag.strip()]
            # JupyterLab folds the code of these away; a click shows it.
            metadata = {"tags": tags, "jupyter": {"source_hidden": True}} if tags else {}
            cells.append(_cell("code", found["code"], metadata) | {"execution_count": None, "outputs": []})
            end = found.end()
        cells += _words(text[end:])
        for number, cell in enumerate(cells):
            cell["id"] = f"{self.name}-{number}"
        kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
        whole = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
        return json.dumps(whole, ensure_ascii=False, indent=1) + "\n"


#: The course, in order.
LESSONS: Final = tuple(
    Lesson(number, name, what)
    for number, (name, what) in enumerate(
        [
            ("one-weight", "one weight is nudged, and the loss says where to go"),
            ("one-neuron", "one neuron, its slope, and the first delta"),
            ("chain-rule", "two layers: the error is handed down through the weights"),
            ("symmetry", "why equal weights stay equal, and what parts them"),
            ("batches", "sums and means over the rows of a batch"),
            ("saturation", "losses, flat slopes, and a sure neuron that is wrong"),
            ("digits", "handwritten digits, and six improvements one by one"),
            ("table", "a real table: columns, a baseline, one row explained"),
        ],
        start=1,
    )
)


def find(which: str) -> Lesson:
    """The lesson of a number or a name.

    Raises
    ------
    ConfigurationError
        Where there is no such lesson.

    Examples
    --------
    >>> find("3").name, find("symmetry").number
    ('chain-rule', 4)
    """
    for lesson in LESSONS:
        if which in (str(lesson.number), lesson.name, lesson.file):
            return lesson
    names = [lesson.name for lesson in LESSONS]
    raise ConfigurationError(f"there is no lesson {which!r}, only 1 to {len(LESSONS)}: {nearest(which, names)}")


def _words(text: str) -> list[dict[str, Any]]:
    return [_cell("markdown", text, {})] if text.strip() else []


def _cell(kind: str, text: str, metadata: dict[str, Any]) -> dict[str, Any]:
    return {"cell_type": kind, "metadata": metadata, "source": text.strip("\n").splitlines(keepends=True)}
