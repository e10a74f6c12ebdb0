"""From two cores to 64 on paper: what a step takes by measured figures of the barrier, the memory and one core.

    python benchmarks/cores.py [--rounds 5]

Draws docs/img/cores.png. A step on p cores takes

    t(p) = (t(1) − s) · share(p) + s + 2 w(p)

    share(p)   of the core that has most to do: rows of the batch go to the cores in grains of four in the forward pass
               and the deltas, rows of each W in dL/dW and the optimiser
    s          what every core reads whole: the weights, in the forward pass and, above the first layer, in the backward
               one, at the speed at which one core reads arrays that do not fit its own cache
    w(p)       a barrier, measured with two threads, of which a step has two; every further core adds to one counter in
               turn, so that it grows in proportion to p

On a machine of 64 cores the memory that they share has to grow with them: that is not in the line.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from numba import njit

from backlit.compiled.passes import ROWS
from backlit.compiled.team import Team, run_together, wait
from backlit.compiled.update import LINE
from steps import CASES, microseconds

PICTURE = Path(__file__).parent.parent / "docs" / "img" / "cores.png"
BARRIERS, CORES = 200_000, 2 ** np.arange(7)
READ = 16_000_000  # numbers of float32 that are read at once: 64 MB


@njit(nogil=True)
def _barriers(team: Team, count: int) -> int:
    for _ in range(count):
        wait(team)
    return 0


@njit(nogil=True, fastmath=True)
def _sum(x: np.ndarray) -> float:
    total = np.float32(0)
    for i in range(x.size):
        total += x[i]
    return float(total)


def barrier() -> float:
    """Seconds of a barrier of two threads."""
    started = time.perf_counter()
    run_together(lambda team: _barriers(team, BARRIERS), 2)
    return (time.perf_counter() - started) / BARRIERS


def read(threads: int) -> float:
    """Bytes a second that so many threads read together, each an array of its own."""
    arrays = [np.ones(READ, np.float32) for _ in range(threads)]
    started = time.perf_counter()
    run_together(lambda team: int(_sum(arrays[team.place])), threads)
    return threads * 4 * READ / (time.perf_counter() - started)


def largest(size: int, grain: int, cores: int) -> float:
    """The part of the core that has most to do."""
    return math.ceil(math.ceil(size / grain) / cores) * grain / size


def seconds(alone: float, widths: list[int], batch: int, cores: int, wait: float, bytes_a_second: float) -> float:
    """t(p) of the lines above."""
    if cores == 1:
        return alone
    sizes = [a * b for a, b in pairwise(widths)]
    whole = 4 * (2 * sum(sizes) - sizes[0]) / bytes_a_second
    # multiply-adds: z and dL/da_in by the rows of the batch, dL/dW by the rows of W
    by_rows = (2 * sum(sizes) - sizes[0]) * min(1.0, largest(batch, ROWS, cores))
    by_weights = sum(
        size * min(1.0, largest(inputs, max(ROWS, LINE // units), cores))
        for size, inputs, units in zip(sizes, widths, widths[1:], strict=False)
    )
    share = (by_rows + by_weights) / (3 * sum(sizes) - sizes[0])
    return (alone - whole) * share + whole + 2 * wait * cores / 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    barrier(), read(1)  # compiled by now
    waits = [barrier() for _ in range(rounds)]
    one, two = ([read(threads) / 1e9 for _ in range(rounds)] for threads in (1, 2))
    wait, speed = statistics.median(waits), statistics.median(one)
    print(f"a barrier of two threads: {1e6 * wait:.2f} µs ({1e6 * min(waits):.2f} to {1e6 * max(waits):.2f})")
    print(f"read by one core: {speed:.1f} GB/s ({min(one):.1f} to {max(one):.1f}), by two: "
          f"{statistics.median(two):.1f} ({min(two):.1f} to {max(two):.1f})\n")  # fmt: skip
    print("| network, batch | 1 core, µs | 2, µs | on paper 2 | " + " | ".join(f"{p}" for p in CORES[2:]) + " |")
    print("|---|" + "---:|" * (3 + len(CORES[2:])))
    mpl.rcParams["svg.hashsalt"] = "backlit"
    figure, axes = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
    axes.plot(CORES, CORES, color="#999", lw=1, label="as many times as cores")
    for case, colour in zip(CASES, ("#222", "#2a7f4f", "#1f5fa8", "#b03a2e"), strict=True):
        widths, batch = case[0], case[2]
        measured = [microseconds(*case, threads) for threads in (1, 2)]
        on_paper = [1e6 * seconds(1e-6 * measured[0], widths, batch, int(p), wait, 1e9 * speed) for p in CORES]
        name = f"{'-'.join(map(str, widths))}, {batch}"
        cells = " | ".join(f"{value:,.0f}" for value in (*measured, *on_paper[1:]))
        print(f"| {name} | {cells} |", flush=True)
        axes.plot(CORES, measured[0] / np.array(on_paper), "o-", ms=3, color=colour, label=name)
        axes.plot(2, measured[0] / measured[1], "x", ms=8, color=colour)
    axes.set(xscale="log", yscale="log", xlabel="cores", ylabel="times faster than one core",
             title="A step of the compiled engine, on paper; ×: measured")  # fmt: skip
    axes.set_xticks(CORES, [str(p) for p in CORES])
    axes.set_yticks([0.25, 0.5, 1, 2, 4, 8, 16, 32, 64], ["¼", "½", "1", "2", "4", "8", "16", "32", "64"])
    axes.minorticks_off()
    axes.legend(fontsize=8)
    figure.savefig(PICTURE, dpi=130)


if __name__ == "__main__":
    main()
