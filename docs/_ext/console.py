"""A directive that runs commands while the site is built and shows them with what they print.

    ```{console}
    @ a command that is run and not shown
    backlit inspect admissions.csv --target admit
    ```

All blocks of a page run in one folder of their own, which holds admissions.csv. With `:code: 2` the last command has to
end with that exit code; else with 0.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

_TABLE = Path(__file__).parents[2] / "src" / "backlit" / "data" / "admissions.csv"


class Console(SphinxDirective):
    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {"code": directives.nonnegative_int, "lines": directives.positive_int}

    def run(self) -> list[nodes.Node]:
        folder = _folder(self.env.docname)
        shown = []
        for number, line in enumerate(self.content, start=1):
            hidden = line.startswith("@")
            command = line.removeprefix("@").strip()
            wanted = self.options.get("code", 0) if number == len(self.content) else 0
            text = _printed(command, folder, wanted)
            if not hidden:
                shown.append(f"$ {command}\n{self._cut(text)}".rstrip())
        block = nodes.literal_block("\n".join(shown), "\n".join(shown), language="console")
        block["classes"].append("printed")
        return [block]

    def _cut(self, text: str) -> str:
        lines = text.splitlines()
        most = self.options.get("lines", len(lines))
        return "\n".join([*lines[:most], *(["…"] if len(lines) > most else [])])


_folders: dict[str, Path] = {}


def _folder(page: str) -> Path:
    if page not in _folders:
        _folders[page] = Path(tempfile.mkdtemp(prefix="backlit-docs-"))
        shutil.copy(_TABLE, _folders[page])
    return _folders[page]


def _printed(command: str, folder: Path, wanted: int) -> str:
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command, shell=True, cwd=folder, env=os.environ | {"PATH": programs}, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
    )  # fmt: skip
    if done.returncode != wanted:
        raise ExtensionError(f"`{command}` ended with {done.returncode}, not {wanted}: {done.stdout}")
    return re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)


def _forget(app: Any, error: Exception | None) -> None:
    for folder in _folders.values():
        shutil.rmtree(folder)
    _folders.clear()


def setup(app: Any) -> dict[str, Any]:
    app.add_directive("console", Console)
    app.connect("build-finished", _forget)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
