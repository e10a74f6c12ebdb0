"""Draw docs/img/terminal.svg: twenty seconds of a terminal, with what really came out.

    python scripts/recording.py

Nothing of it is typed in by hand but the commands: they are run, and their lines, with the terminal's colours, are
written into an SVG that moves by style sheet alone. It needs no player and no script, and stands still for those who
want that.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape

from rich.console import Console

import backlit as bl
from backlit.pages import Page, show

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "img" / "terminal.svg"
SECONDS, COLUMNS, ROWS = 20.0, 92, 25
CHARACTER, LINE, EDGE, BAR = 8.4, 18.0, 16.0, 30.0
COLOURS = {"1": "strong", "2": "dim", "31": "bad", "32": "good", "33": "fair"}

PYTHON = """\
import backlit as bl
net = bl.Network([bl.Dense(2, "sigmoid"), bl.Dense(2, "sigmoid")], inputs=2, dtype="float64")
W1, b1, W2, b2 = (net.parameters.view(name) for name in net.parameters.names)
W1[...], b1[...], W2[...], b2[...] = [[0.15, 0.25], [0.2, 0.3]], 0.35, [[0.4, 0.5], [0.45, 0.55]], 0.6
X, y = [[0.05, 0.10]], [[0.01, 0.99]]
"""


@dataclass
class Scene:
    """Lines with the second at which each appears, all of them gone at the end."""

    end: float
    lines: list[tuple[float, str, bool]] = field(default_factory=list)  # when, text with colours, whether it is typed

    def type(self, at: float, prompt: str, text: str) -> float:
        self.lines.append((at, f"\x1b[32m{prompt}\x1b[0m{text}", True))
        return at + 0.025 * len(text)

    def print(self, at: float, text: str) -> float:
        for line in text.rstrip("\n").split("\n"):
            self.lines.append((at, line, False))
            at += 0.05
        return at


def coloured(page: Page) -> str:
    """A page as a terminal shows it."""
    kept = io.StringIO()
    show(page, Console(file=kept, force_terminal=True, color_system="standard", width=COLUMNS))
    return kept.getvalue()


def scenes() -> list[Scene]:
    names: dict[str, object] = {}
    exec(PYTHON, names)
    first = Scene(7.0)
    at = first.type(0.3, ">>> ", 'bl.explain(net, X, y, optimizer=bl.SGD(0.5)).weight("0.weight", 0, 0)')
    unfolded = eval('bl.explain(net, X, y, optimizer=bl.SGD(0.5)).weight("0.weight", 0, 0)', names)
    first.print(at + 0.3, coloured(unfolded.page()))

    second = Scene(13.5)
    at = second.type(7.1, ">>> ", "delta1 = (delta2 @ W2) * a1 * (1 - a1)      # one .T is missing")
    mine = gradients_without_the_transpose(names)
    diagnosis = bl.diagnose(names["net"], names["X"], names["y"], mine)  # type: ignore[arg-type]
    at = second.type(at + 0.2, ">>> ", "bl.diagnose(net, X, y, mine)")
    second.print(at + 0.3, coloured(diagnosis.page()))

    third = Scene(SECONDS - 0.1)
    command = "backlit train admissions.csv --target admit --task classification --categorical rank"
    at = third.type(13.6, "$ ", command)
    third.print(at + 0.3, printed(command))
    return [first, second, third]


def gradients_without_the_transpose(names: dict[str, object]) -> dict[str, object]:
    lines = """
import numpy as np
x, t = np.array(X), np.array(y)
a1 = 1 / (1 + np.exp(-(x @ W1 + b1)))
a2 = 1 / (1 + np.exp(-(a1 @ W2 + b2)))
delta2 = (a2 - t) * a2 * (1 - a2)
delta1 = (delta2 @ W2) * a1 * (1 - a1)
mine = {"W1": x.T @ delta1, "b1": delta1[0], "W2": a1.T @ delta2, "b2": delta2[0]}
"""
    exec(lines, names)
    mine = names["mine"]
    assert isinstance(mine, dict)  # noqa: S101
    return mine


def printed(command: str) -> str:
    """What a command writes, stdout and stderr, in the order in which it comes."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(ROOT / "src" / "backlit" / "data" / "admissions.csv", folder)
        code = f"from backlit.cli import main; main({command.split()[1:]!r})"
        settings = os.environ | {"COLUMNS": str(COLUMNS), "FORCE_COLOR": "1", "TERM": "xterm"}
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=folder, env=settings, check=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
        )  # fmt: skip
    return done.stdout


def spans(text: str) -> tuple[str, int]:
    """A line with the terminal's codes as SVG's spans, and how many characters it has."""
    parts, style, length = [], "", 0
    for piece in re.split(r"(\x1b\[[0-9;]*m)", text):
        if piece.startswith("\x1b"):
            codes = piece[2:-1].split(";")
            style = " ".join(COLOURS[code] for code in codes if code in COLOURS)
        elif piece:
            length += len(piece)
            parts.append(f'<tspan class="{style}">{escape(piece)}</tspan>' if style else escape(piece))
    return "".join(parts), length


def drawn(all_scenes: list[Scene]) -> str:
    width, height = COLUMNS * CHARACTER + 2 * EDGE, ROWS * LINE + BAR + 2 * EDGE
    styles, body = [], []
    for number, scene in enumerate(all_scenes):
        for row, (start, text, typed) in enumerate(scene.lines[:ROWS]):
            content, length = spans(text)
            if not length:
                continue
            name = f"l{number}-{row}"
            begin, end = 100 * start / SECONDS, 100 * scene.end / SECONDS
            if typed:
                done = begin + 100 * 0.025 * length / SECONDS
                hidden, seen = "clip-path:inset(0 100% 0 0)", "clip-path:inset(0 0 0 0)"
                frames = (
                    f"0%,{begin:.3f}%{{opacity:1;{hidden}}}{done:.3f}%,{end:.3f}%{{opacity:1;{seen}}}"
                    f"{end + 0.02:.3f}%,100%{{opacity:0;{seen}}}"
                )
            else:
                frames = (
                    f"0%,{begin:.3f}%{{opacity:0}}{begin + 0.02:.3f}%,{end:.3f}%{{opacity:1}}"
                    f"{end + 0.02:.3f}%,100%{{opacity:0}}"
                )
            styles.append(f"@keyframes {name}{{{frames}}}#{name}{{animation:{name} {SECONDS:g}s linear infinite}}")
            y = BAR + EDGE + (row + 0.8) * LINE
            still = "" if number == 0 else ' class="later"'
            body.append(
                f'<text id="{name}"{still} x="{EDGE:g}" y="{y:.1f}" textLength="{length * CHARACTER:.1f}" '
                f'lengthAdjust="spacingAndGlyphs">{content}</text>'
            )
    dots = "".join(f'<circle cx="{EDGE + 6 + 20 * k:g}" cy="{BAR / 2 + 2:g}" r="5" fill="#444c56"/>' for k in range(3))
    look = """
text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#d1d7e0;white-space:pre}
.strong{font-weight:bold;fill:#f0f3f6}.dim{fill:#9198a1}.good{fill:#56d364}.fair{fill:#e3b341}.bad{fill:#ff8b83}
@media (prefers-reduced-motion:reduce){text{animation:none!important}.later{opacity:0}}
"""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img"><title>Backlit in a terminal</title><desc>A weight unfolded '
        f"down to the loss; the mistake in somebody's gradients named; a network trained on a table.</desc>"
        f'<style>{look}{"".join(styles)}</style><rect width="100%" height="100%" rx="8" fill="#151b23"/>{dots}'
        f"{''.join(body)}</svg>\n"
    )


def main() -> None:
    TARGET.write_text(drawn(scenes()), encoding="utf-8")
    print(f"{TARGET.relative_to(ROOT)}: {TARGET.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
