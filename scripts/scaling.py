"""Draw what the model of docs/scaling.md says of many processes: `python scripts/scaling.py`.

The seconds of a step on one core are those that `backlit.training.choose` expects: operations of the products and
passes over the parameters. Networks are those of `backlit.parallel.model`.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt

from backlit.parallel.model import NETWORKS, SHARED_MEMORY, Link, efficiency, step_seconds

PICTURE = Path(__file__).parent.parent / "docs" / "img" / "scaling.png"
PARAMETERS = 784 * 800 + 800 + 800 * 10 + 10
RANKS = 2 ** np.arange(0, 11)  # 1 to 1,024
OPERATIONS = 6e10  # a second, of one core
SECONDS_PER_PARAMETER = 3e-9
GOOD = 0.8
LINKS = {"one machine, measured": SHARED_MEMORY, **NETWORKS}


def times(batch: float) -> tuple[float, float, float]:
    """Of a step: seconds that are shared, seconds that are not, and bytes of the sums."""
    return 6.0 * batch * PARAMETERS / OPERATIONS, PARAMETERS * SECONDS_PER_PARAMETER, 4.0 * PARAMETERS


def good_batch(ranks: int, link: Link) -> float:
    """The smallest batch with which `ranks` processes are `GOOD` times as good as alone."""
    batch = float(ranks)
    while efficiency(*times(batch), ranks, link) < GOOD and batch < 1e9:
        batch *= 1.02
    return batch


def draw(path: Path) -> None:
    """On the left how many times faster, by the way of adding up; on the right from which batch on it pays."""
    mpl.rcParams["svg.hashsalt"] = "backlit"
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
    link, batch = NETWORKS["10 Gbit/s Ethernet"], 65_536
    left.plot(RANKS, RANKS, color="#999", lw=1, label="as many times as processes")
    alone = sum(times(batch)[:2])
    for way, style in (("tree", ":"), ("ring", "--"), ("halving", "-")):
        gain = [alone / step_seconds(*times(batch), int(p), link, way) for p in RANKS]
        left.plot(RANKS, gain, style, color="#1f5fa8", label=way)
    hidden = [alone / step_seconds(*times(batch), int(p), link, overlap=0.5) for p in RANKS]
    left.plot(RANKS, hidden, "-.", color="#c2571a", label="halving, half of the step overlapped")
    left.set(
        xscale="log", yscale="log", xlabel="processes", ylabel="times faster than one core",
        title=f"784-800-10, batches of {batch:,}, 10 Gbit/s Ethernet",
    )  # fmt: skip
    left.legend(fontsize=8)
    for (name, one), colour in zip(LINKS.items(), ("#222", "#2a7f4f", "#1f5fa8", "#b03a2e"), strict=True):
        shown = RANKS[1:2] if one is SHARED_MEMORY else RANKS[1:]
        right.plot(shown, [good_batch(int(p), one) for p in shown], "o-", ms=3, color=colour, label=name)
    right.set(
        xscale="log", yscale="log", xlabel="processes", ylabel="rows of a batch",
        title=f"784-800-10: rows from which a process is worth {GOOD:.0%}",
    )  # fmt: skip
    right.legend(fontsize=8)
    for ax in (left, right):
        ax.grid(alpha=0.3)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def table() -> str:
    """The rows of the page."""
    rows = ["| between the processes | 2 | 16 | 128 | 1,024 processes |", "|---|---|---|---|---|"]
    for name, link in LINKS.items():
        cells = ["" if link is SHARED_MEMORY and p > 2 else f"{good_batch(p, link):,.0f}" for p in (2, 16, 128, 1024)]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows)


if __name__ == "__main__":
    draw(PICTURE)
    print(table())
