"""`make demo`: a network learns handwritten digits, another one a table; both predict, and one row is explained.

Everything runs through the command line, and every command is shown, so that you can type it yourself.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
from rich.console import Console
from rich.text import Text

from backlit.cli import run
from backlit.data import find_mnist, load

OUTPUT = Path("demo-output")
console = Console(highlight=False, soft_wrap=True)


def main() -> int:
    started = time.perf_counter()
    OUTPUT.mkdir(exist_ok=True)
    digits()
    table()
    console.print(
        f"\n[bold]Done in {time.perf_counter() - started:.0f} s.[/bold] "
        f"The models, the predictions and the learning curves are in {OUTPUT}/"
    )
    return 0


def digits() -> None:
    """MNIST where it is at hand, else the 1,797 digits of 8×8 pixels that scikit-learn carries."""
    mnist = find_mnist()
    if mnist is None:
        small = load("digits")
        file = str(OUTPUT / "digits.npz")
        # 0 to 16 in the original; pictures on the command line are bytes from 0 to 255
        np.savez_compressed(file, X=np.round(small.X * (255 / 16)).astype(np.uint8), y=small.y)
        title, options = "1,797 real handwritten digits of 8×8 pixels", ["--epochs", "40"]
    else:
        file = str(mnist)
        title, options = "60,000 real handwritten digits (MNIST)", ["--epochs", "5"]
    heading(title)
    model, curve = str(OUTPUT / "digits.backlit"), str(OUTPUT / "digits.png")
    command("train", file, "--hidden", "64", *options, "--out", model, "--plot", curve)
    command("predict", model, file, "--out", str(OUTPUT / "digits-predictions.csv"))


def table() -> None:
    """The Wisconsin breast cancer table: 569 biopsies, 30 measurements of cell nuclei, malignant or benign."""
    heading("a real table: 569 biopsies, malignant or benign")
    cancer = load("breast_cancer")
    frame = pl.DataFrame({str(name): cancer.X[:, i] for i, name in enumerate(cancer.feature_names)})
    names = np.asarray(cancer.class_names)
    file, model = str(OUTPUT / "biopsies.csv"), str(OUTPUT / "biopsies.backlit")
    frame.with_columns(pl.Series("diagnosis", names[cancer.y])).write_csv(file)
    command(
        "train", file, "--target", "diagnosis", "--hidden", "16", "--out", model, "--plot", str(OUTPUT / "biopsies.png")
    )
    predictions = str(OUTPUT / "biopsies-predictions.csv")
    command("predict", model, file, "--out", predictions)
    console.print(pl.read_csv(predictions).head(3).write_csv().rstrip(), style="dim")
    # the row that the model is least sure of has the most to teach
    row = int((pl.read_csv(predictions)["probability_malignant"] - 0.5).abs().arg_min() or 0)
    heading(f"back-propagation of row {row}, the least certain, with the proof beside it")
    command("explain", model, file, "--row", str(row), "--html", str(OUTPUT / f"biopsy-{row}.html"))


def heading(text: str) -> None:
    console.print()
    console.rule(Text(text, style="bold"), align="left")


def command(*arguments: str) -> None:
    """Show a command as one would type it, and run it; a failure ends the demo."""
    console.print(Text("$ backlit " + " ".join(arguments), style="cyan"))
    code = run(arguments)
    if code:
        sys.exit(code)


if __name__ == "__main__":
    sys.exit(main())
