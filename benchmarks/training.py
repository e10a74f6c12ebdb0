"""Training against the other libraries: four networks, and how the cost grows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from measure import CORES, FLOOR, OURS, Case, Measured, interleaved

LIBRARIES = [OURS, "JAX", "PyTorch", "scikit-learn", "Keras on JAX"]
COLOURS = dict(zip(LIBRARIES, ("C3", "C0", "C1", "C2", "C4"), strict=True))

NAMES = {"adam": "Adam", "sgd": "SGD"}

# What is to be reached, as a multiple of our median, on one core and on all: how many times longer each should take at
# least.
CASES: list[tuple[Case, dict[str, tuple[float, float]]]] = [
    (Case((784, 30, 10), 10, "sgd", 8000, "sigmoid", rate=0.5), {"JAX": (2.5, 2.5), "PyTorch": (10.0, 10.0)}),
    (Case((20, 64, 64, 2), 32, "adam", 32000), {"JAX": (2.5, 2.5), "PyTorch": (10.0, 10.0)}),
    (Case((784, 128, 64, 10), 128, "adam", 12800), {"JAX": (1.25, 1.5), "PyTorch": (2.0, 2.0)}),
    (Case((784, 800, 10), 128, "adam", 6400), {"JAX": (1.1, 1.1), "PyTorch": (1.1, 1.1)}),
]


def table(folder: Path, rounds: int, quick: bool) -> str:
    """Microseconds of a step, by network and library, with what is to be reached beside it; drawn for one core."""
    on_one_core: dict[str, dict[str, float]] = {}
    lines = [
        f"| network, batch, optimiser | threads | {' | '.join(LIBRARIES)} | {FLOOR} |",
        f"|---|---|{'---|' * (len(LIBRARIES) + 1)}",
    ]
    reached = ["| network | threads | to reach | measured | |", "|---|---|---|---|---|"]
    for case, goals in CASES:
        for threads in sorted({1, CORES}):
            used = replace(case, threads=threads, rows=case.rows // (4 if quick else 1))
            print(f"  {case}, {threads} thread{'s' * (threads > 1)} …", flush=True)
            times = interleaved([*LIBRARIES, FLOOR], used, rounds)
            if threads == 1:
                label = f"{case}\nbatch {case.batch}, {NAMES[case.optimizer]}"
                on_one_core[label] = {library: time.median for library, time in times.items()}
            cells = " | ".join(microseconds(times[library]) for library in [*LIBRARIES, FLOOR])
            lines.append(f"| {case}, {case.batch}, {NAMES[case.optimizer]} | {threads} | {cells} |")
            for library, (on_one, on_all) in goals.items():
                goal, ratio = on_one if threads == 1 else on_all, times[library].median / times[OURS].median
                text = f"{library} takes at least {goal:g} × as long | {ratio:.2f} ×"
                reached.append(f"| {case} | {threads} | {text} | {'reached' if ratio >= goal else '**not reached**'} |")
    if not quick:
        draw_steps(folder / "training.png", on_one_core)
    picture = "![How many times longer than Backlit's a step takes, on one core](img/training.png)"
    return "\n".join(lines) + f"\n\n{picture}\n\n" + "\n".join(reached)


def draw_steps(path: Path, times: dict[str, dict[str, float]]) -> None:
    """How many times longer than ours a step takes: a group of bars for each network."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, ax = pyplot.subplots(figsize=(10, 4), layout="constrained")
    width = 0.8 / len(LIBRARIES)
    for i, library in enumerate(LIBRARIES):
        ratios = [found[library] / found[OURS] for found in times.values()]
        places = [group + (i - (len(LIBRARIES) - 1) / 2) * width for group in range(len(times))]
        bars = ax.bar(places, ratios, 0.92 * width, label=library, color=COLOURS[library])
        ax.bar_label(bars, [f"{ratio:.1f}" if ratio < 10 else f"{ratio:.0f}" for ratio in ratios], fontsize=8)
    ax.set_yscale("log")
    ax.set_ylim(0.7, None)
    ax.set_yticks([1, 2, 5, 10, 20], ["1", "2", "5", "10", "20"])
    ax.minorticks_off()
    ax.set_xticks(range(len(times)), times)
    ax.set_ylabel("times Backlit's step")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, ncols=len(LIBRARIES), loc="upper center", bbox_to_anchor=(0.5, 1.14))
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def microseconds(time: Measured) -> str:
    return f"{time.median * 1e6:,.0f} ({time.low * 1e6:,.0f} to {time.high * 1e6:,.0f})"


def growth(folder: Path, rounds: int, quick: bool) -> str:
    """Draw the time of an epoch against batch size, width, depth and rows; return the Markdown that shows it."""
    few = slice(None, None, 2 if quick else 1)
    base = Case((20, 64, 64, 2), 32, "adam", 4096)
    sweeps: list[tuple[str, list[int], Any]] = [
        ("batch size", [1, 4, 16, 64, 256, 1024, 4096][few], lambda n: replace(base, batch=n)),
        (
            "units of two hidden layers",
            [16, 64, 256, 1024, 2048][few],
            lambda n: replace(base, widths=(20, n, n, 2), batch=128, rows=2560),
        ),
        ("hidden layers of 64 units", [1, 2, 4, 8][few], lambda n: replace(base, widths=(20, *[64] * n, 2))),
        (
            "rows",
            [1000, 10_000, 100_000, 1_000_000, 10_000_000][: 3 if quick else 5],
            lambda n: replace(base, batch=256, rows=n),
        ),
    ]
    libraries = [OURS, "JAX", "PyTorch", "scikit-learn"]
    curves = []
    for name, values, make in sweeps:
        curve: dict[str, dict[int, float]] = {library: {} for library in libraries}
        for value in values:
            print(f"  {name} {value:,} …", flush=True)
            case = make(value)
            # ten million rows would take the eager libraries minutes: those with compiled loops alone go there
            asked = libraries if case.rows <= 1_000_000 else libraries[:2]
            steps = -(-case.rows // case.batch)
            for library, time in interleaved(asked, case, 1 if case.rows >= 1_000_000 else rounds).items():
                curve[library][value] = time.median * steps
        curves.append((name, curve))
    draw(folder / "growth.png", curves)
    return "![Time of an epoch against batch size, width, depth and rows](img/growth.png)"


def draw(path: Path, curves: list[tuple[str, dict[str, dict[int, float]]]]) -> None:
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 2, figsize=(10, 7.5), layout="constrained")
    for ax, (name, curve) in zip(axes.flat, curves, strict=True):
        for library, points in curve.items():
            ax.plot(
                points.keys(), points.values(), marker="o", markersize=4, label=library, color=COLOURS[library],
                linewidth=2.2 if library == OURS else 1.3,
            )  # fmt: skip
        ax.set_xscale("log", base=10 if name == "rows" else 2)
        ax.set_yscale("log")
        ax.set_xlabel(name)
        ax.set_ylabel("seconds of an epoch")
        ax.grid(alpha=0.25, which="both")
        if name != "rows":
            ax.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    axes[0, 0].legend(frameon=False)
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
