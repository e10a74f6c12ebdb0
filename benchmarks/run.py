"""Every benchmark. Each part writes its own section of docs/benchmarks.md, and says when and on what it was measured.

make bench                             everything, about three quarters of an hour
make bench BENCH="training using"      these parts alone
make bench BENCH=--quick               fewer rounds and shorter sweeps; nothing is written
"""

from __future__ import annotations

import argparse
import os
import platform
import re
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

#: What stands before the figures of a part.
NOTES = {
    "training": """## Training: microseconds of a step

All libraries train the same network with the same arithmetic in float32, each in a process of its own that may use the
stated number of cores; they take turns, so that what disturbs one disturbs all, with a pause before each, in which the
threads of the one before find that there is nothing more to do. A round is three epochs, of which the
median counts (for scikit-learn and Keras the mean); a time is the median of the rounds, with the shortest and the
longest. What is compiled is compiled before the clock starts. Backlit is `fit(…, engine="compiled")` as it stands, with
its order of rows and its history; JAX is one jitted `lax.scan` over the epoch; PyTorch is eager, with fused optimisers;
Keras runs on JAX. "Products alone" are the matrix products of a step through the BLAS that SciPy brings: a floor under
every implementation that calls it. Backlit has products of its own (`compiled/products.py`), and can be faster than
that.

Where a figure is not reached: in 20-64-64-2 the products alone take six tenths of our step; what is left is Adam, whose
root and quotient no processor does at once, the order of the rows, and many small pieces. In 784-30-10 the products
through BLAS take as long as our whole step. On two cores 784-128-64-10 is bound by what one of them waits for the other
and for memory.
""",
    "growth": """## How the cost grows

20-64-64-2 with Adam and batches of 32 over 4,096 rows, but for what the axis changes (batches of 128 over 2,560 rows
for the widths, of 256 for the rows), on one core. A million rows are measured once, ten million for Backlit and JAX
alone.
""",
    "mnist": """## Seconds to 98 % on MNIST's test set

784-256-10 with Adam in batches of 128, the learning rate falling along half a cosine over six epochs (scikit-learn:
constant); the look at the test set after every epoch is included. On one core. To reach: 60 % of JAX's time. That is
**not reached**, nor can it be: an epoch is 49 billion multiplications and additions, a quarter of a second at the peak
of this core; four of them in 60 % of JAX's time need 82 % of the peak, and leave nothing for all else.
""",
    "using": """## Prediction and memory

Predictions as they are, by NumPy whatever trained, and with `net.compile()`, in turn, in seconds of the processor; the
clock beside them belongs to what else ran. A row through NumPy is fifteen calls of 0.4 to 1.4 µs each, and the checks
of what was given. The floor of a million rows is BLAS's three products and one pass over each result, in pieces that
the cache holds, on one thread. Memory is the peak of a whole process beyond one that has only imported: the data, their
targets as the network takes them (8 bytes a row here), and the order of the rows (8 bytes).
""",
    "estimators": """## Estimators beside scikit-learn's

`fit` with default parameters, scikit-learn's turn and ours in the same process. The scores are
those of the test set, with their standard deviation over the seeds. To reach: 3 × wherever a fit takes longer than
0.2 s, with the same score within one standard deviation. A first fit with the compiled engine is not in these times: it
compiles once for the kinds of a job and a type of number, for some five seconds, and loads that in 0.4 s.

Not reached by `auto` on digits and MNIST 10k: both are float64, as the data are, whose products through BLAS alone take
0.13 ms of the 0.40 of a step of digits. scikit-learn's step takes 0.53 ms and lets a second thread help; to be 3 × as
fast is left to the compiled engine, whose machine code takes as long to load as digits takes to learn.
""",
    "lens": """## The lens
""",
    "tables": """## The first minute with a table

Commands in turn with the bare import of NumPy and polars; a file of 1,000,000 rows × 30 columns, read and made fit for
a network, in turn with polars' `read_csv` and scikit-learn's `StandardScaler`. Memory is the peak of the whole process.
""",
    "foundation": """## The main job

To reach: 8 times the speed of a loop over single samples and twice that of scikit-learn, which the compiled engine
reaches and the readable one does not; less than 0.15 s for the import beyond NumPy; less than 600 MB for MNIST.
""",
    "contact": """## The first contact

Seconds and microseconds of the processor, on one thread; the median of three fresh processes, and of eleven rounds of
500 calls in turn. The compiled engine is made once for the kinds of a job (20-64-64-2, relu, softmax, Adam, float32),
and loaded by the processes after that, with Numba's import in both times.

Where a figure is not reached: nearly three quarters of a compilation are Numba's own work in Python (types, and LLVM's
text), a sixth LLVM's optimisation and a tenth its machine code; about 50 small functions are compiled, for each kind of
job anew. Of the load, about two fifths are the import of Numba, and as much Numba's tables of functions.
""",
}


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure Backlit, beside other libraries where there are any.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(NOTES)}; all unless named")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and shorter sweeps; nothing is written")
    options = parser.parse_args()
    unknown = set(options.parts) - set(NOTES)
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}: known are {', '.join(NOTES)}")
    rounds, quick = (3, True) if options.quick else (7, False)
    measure: dict[str, Callable[[], str]] = {
        "training": lambda: training.table(PAGE.parent / "img", rounds, quick),
        "growth": lambda: training.growth(PAGE.parent / "img", 1 if quick else 3, quick),
        "mnist": lambda: mnist.table(1 if quick else 3),
        "using": lambda: f"{using.prediction(rounds)}\n\n{using.memory(quick)}",
        "estimators": lambda: estimators(quick),
        "lens": lambda: script("lens.py"),
        "tables": lambda: script("tables.py", *(["--rounds", "3", "--rows", "100000"] if quick else [])),
        "foundation": lambda: script("foundation.py"),
        "contact": lambda: script("contact.py"),
    }
    started = time.perf_counter()
    for part in options.parts or list(NOTES):
        print(f"{part} …", flush=True)
        conditions = f"`python benchmarks/run.py {part}`, {time.strftime('%d %B %Y')}: {machine()}."
        figures = measure[part]()
        print(f"\n{figures}\n", flush=True)
        if not quick:
            write(part, f"{NOTES[part]}\n{conditions}\n\n{figures.strip()}\n")
    minutes = (time.perf_counter() - started) / 60
    print(f"{'measured' if quick else f'written to {PAGE}'}, after {minutes:.0f} minutes")
    return 0


def estimators(quick: bool) -> str:
    limit = ["--seconds", "5"] if quick else []
    small = ["--only", "digits", "breast_cancer", "diabetes", "diabetes, lbfgs"]
    return (
        'As they are, with `engine="auto"`, which leaves runs of about a second to the reference engine:\n\n'
        f"{script('estimators.py', *limit)}\n"
        'With `engine="compiled"`:\n\n'
        f"{script('estimators.py', '--engine', 'compiled', *small, *limit)}"
    )


def script(name: str, *arguments: str) -> str:
    """What a benchmark with a page of its own prints. It fails where a promise is not kept; the page says which."""
    run = subprocess.run([sys.executable, str(HERE / name), *arguments], stdout=subprocess.PIPE, text=True, check=False)
    if not run.stdout:
        raise RuntimeError(f"{name} has printed nothing: its message stands above")
    return run.stdout


def write(part: str, section: str) -> None:
    """Put a section in the place of the one that was there."""
    page = PAGE.read_text(encoding="utf-8")
    begin, end = f"<!-- {part} -->\n", f"<!-- end of {part} -->"
    if begin not in page:
        page = f"{page.rstrip()}\n\n{begin}{end}\n"
    pattern = re.escape(begin) + ".*?" + re.escape(end)
    page = re.sub(pattern, lambda _: f"{begin}{section}{end}", page, flags=re.DOTALL)
    PAGE.write_text(page, encoding="utf-8")


def machine() -> str:
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            model = line.split(":")[1].strip()
            break
    packages = ("numpy", "scipy", "numba", "scikit-learn", "torch", "jax", "keras")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return (
        f"{model}, {len(os.sched_getaffinity(0))} cores, {platform.system()}, Python {platform.python_version()}; "
        f"{versions}; {os.getloadavg()[1]:.1f} cores were busy in the five minutes before"
    )


if __name__ == "__main__":
    sys.exit(main())
