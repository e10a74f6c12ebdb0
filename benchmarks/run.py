"""Every benchmark; the training against other libraries goes to docs/benchmarks.md.

make bench                      everything, about a quarter of an hour
make bench BENCH=--quick        fewer rounds and shorter sweeps; nothing is written
make bench BENCH="training using"      these parts alone; nothing is written
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import mnist
import training
import using

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
OTHERS = ("foundation.py", "lens.py")  # each prints its own figures


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure Backlit, beside other libraries where there are any.")
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help="training, growth, mnist, using, others; all unless named"
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds and shorter sweeps; nothing is written")
    options = parser.parse_args()
    rounds, quick = (3, True) if options.quick else (5, False)
    images = PAGE.parent / "img"
    sections: dict[str, list[tuple[str, Callable[[], str]]]] = {
        "training": [("Training: microseconds of a step", lambda: training.table(rounds, quick))],
        "growth": [("How the cost grows", lambda: training.growth(images, 1 if quick else 3, quick))],
        "mnist": [("Seconds to 98 % on MNIST's test set", lambda: mnist.table(1 if quick else 3))],
        "using": [
            ("Prediction", lambda: using.prediction(rounds)),
            ("Memory", lambda: using.memory(quick)),
        ],
    }
    unknown = set(options.parts) - {*sections, "others"}
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}: known are {', '.join([*sections, 'others'])}")
    wanted = options.parts or [*sections, "others"]
    started = time.perf_counter()
    page = [INTRODUCTION.format(machine=machine(), date=time.strftime("%d %B %Y"))]
    for part in wanted:
        for title, measure in sections.get(part, []):
            print(title, flush=True)
            text = measure()
            print(f"\n{text}\n", flush=True)
            page.append(f"## {title}\n\n{NOTES.get(title, '')}{text}\n")
    if set(wanted) >= set(sections) and not quick:
        PAGE.write_text("\n".join(page), encoding="utf-8")
        print(f"written: {PAGE}, after {(time.perf_counter() - started) / 60:.0f} minutes")
    failed = []
    if "others" in wanted:
        for name in OTHERS:
            print(f"\n{name}", flush=True)
            if subprocess.run([sys.executable, str(HERE / name)], check=False).returncode:
                failed.append(name)
    if failed:
        print(f"figures that were promised and not reached: see above, {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def machine() -> str:
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            model = line.split(":")[1].strip()
            break
    packages = ("backlit", "numpy", "scipy", "numba", "scikit-learn", "torch", "jax", "keras")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    load = os.getloadavg()[1]
    return (
        f"{model}, {len(os.sched_getaffinity(0))} cores, {platform.system()}, Python {platform.python_version()}; "
        f"{versions}. Other programs kept {load:.1f} of the cores busy when it began"
    )


INTRODUCTION = """# Benchmarks

Written by `make bench` on {date}. {machine}.

All libraries train the same network with the same arithmetic in float32, each in a process of its own that may use the
stated number of cores; they take turns, so that what disturbs one disturbs all. A time is the median of the rounds,
with the shortest and the longest. Ratios are what counts: the times themselves belong to the machine. What is compiled
is compiled before the clock starts. "Products alone" are the matrix products of a step through the BLAS that Backlit
uses: a floor under every implementation that calls it.

With two threads a library waits at every product for the slower one: where another program has the second core, the
libraries that wait busily (OpenBLAS, PyTorch's OpenMP) become many times slower than with one thread, which is why
`fit` trains with one wherever the products are small.
"""

NOTES = {
    "Training: microseconds of a step": """Backlit is `fit(…, engine="compiled")` as it stands, with its order of rows
and its history; JAX is one jitted `lax.scan` over the epoch; PyTorch is eager, with fused optimisers; Keras runs on
JAX. Where a figure is not reached: what is left beside the products alone is little, so that no order of the same
loops would reach it. OpenBLAS has no kernels for products as small as these in the version that SciPy brings, and
JAX's products on one core are as fast as ours.

""",
    "How the cost grows": """20-64-64-2 with Adam and batches of 32 over 4,096 rows, but for what the axis changes
(batches of 128 over 2,560 rows for the widths, of 256 for the rows), on one core. A million rows are measured once, ten
million for Backlit and JAX alone.

""",
    "Seconds to 98 % on MNIST's test set": """784-256-10 with Adam in batches of 128, the learning rate falling along
half a cosine over six epochs (scikit-learn: constant); the look at the test set after every epoch is included. On
one core.

""",
}


if __name__ == "__main__":
    sys.exit(main())
