"""Draw the floors of the house from the table in docs/architecture.md: `python scripts/floors.py`."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.patches import FancyBboxPatch

DOCS = Path(__file__).parent.parent / "docs"


def floors() -> list[tuple[list[str], str]]:
    """The files of each floor and what they are, from the ground up."""
    table = (DOCS / "architecture.md").read_text(encoding="utf-8").split("### Inside the folders")[0]
    rows = re.findall(r"^\| (`.*?) \| (.*?) \|", table, re.MULTILINE)
    return [(re.findall(r"`([^`]+)`", files), re.sub(r"[*`]", "", what)) for files, what in rows]


def draw(path: Path) -> None:
    """The floors one above the other, the lowest at the bottom."""
    mpl.rcParams["svg.hashsalt"] = "backlit"
    rows = floors()
    figure, ax = plt.subplots(figsize=(10.5, 0.62 * len(rows) + 0.5))
    for level, (files, what) in enumerate(rows):
        y = 0.62 * level
        colour = plt.get_cmap("YlGnBu")(0.12 + 0.5 * level / len(rows))
        ax.add_patch(
            FancyBboxPatch((0, y), 10, 0.5, boxstyle="round,pad=0.02,rounding_size=0.06", fc=colour, ec="none")
        )
        dark = "white" if level > 0.72 * len(rows) else "#10243a"
        ax.text(
            0.15, y + 0.25, "  ".join(files), va="center", family="monospace", fontsize=9, weight="bold", color=dark
        )
        text = textwrap.fill(what, 66, max_lines=2, placeholder=" …")
        ax.text(4.45, y + 0.25, text, va="center", fontsize=8, color=dark, linespacing=1.15)
    ax.annotate(
        "imports lead down", (10.35, 0.1), (10.35, 0.62 * len(rows) - 0.2), rotation=90, va="top", ha="center",
        fontsize=9, color="#555", arrowprops={"arrowstyle": "->", "color": "#555"},
    )  # fmt: skip
    ax.set_xlim(-0.1, 10.7)
    ax.set_ylim(-0.1, 0.62 * len(rows))
    ax.axis("off")
    figure.savefig(path, dpi=110, bbox_inches="tight", metadata={"Software": None})


if __name__ == "__main__":
    draw(DOCS / "img" / "floors.png")
