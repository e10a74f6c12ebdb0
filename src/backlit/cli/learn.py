"""`backlit learn`: the course in eight lessons; one of them is put into a folder as a notebook, and opened."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from ..exceptions import OutputError
from ..files import write_bytes
from ..lessons import LESSONS, find

Flag = Annotated[bool, Parameter(negative=(), show_default=False)]

_JUPYTERS: Final = ("jupyterlab", "notebook")


def learn(lesson: str | None = None, /, *, folder: Path = Path("."), no_open: Flag = False) -> None:
    """Back-propagation in eight lessons: list them, or take one along as a notebook and open it.

    Parameters
    ----------
    lesson
        Its number or its name; without, they are listed.
    folder
        Where the notebook is put. A file that is there is never overwritten.
    no_open
        Do not open Jupyter.
    """
    if lesson is None:
        print(overview())
        return
    chosen = find(lesson)
    path = folder / f"{chosen.file}.ipynb"
    if path.exists():
        raise OutputError(f"{path} is there already, and what you wrote into it is kept: open it, or choose a --folder")
    write_bytes(chosen.notebook().encode(), path)
    print(f"lesson {chosen.number}, {chosen.what}: {path}")
    jupyter = next((name for name in _JUPYTERS if find_spec(name)), None)
    if jupyter is None:
        print(f"to open it: pip install jupyterlab, then {Path(sys.executable).name} -m jupyterlab {path}")
    elif not no_open:
        subprocess.run([sys.executable, "-m", jupyter, str(path)], check=False)


def overview() -> str:
    """The list of lessons."""
    widest = max(len(lesson.name) for lesson in LESSONS)
    lines = [f"  {lesson.number}  {lesson.name:<{widest}}  {lesson.what}" for lesson in LESSONS]
    tail = "backlit learn 1 puts the first one into this folder as a notebook, and opens it where Jupyter is installed."
    return "\n".join(["Back-propagation in eight lessons, each with exercises that are checked:", "", *lines, "", tail])
