"""`backlit demo NAME`: the five networks that Backlit grew from, each as a page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console

from ..checks import positive_whole
from ..demos import admissions, digits, digits_page, line, page, picture, planar, two_two_one
from ..exceptions import ConfigurationError
from . import show
from .outputs import check_output

Flag = Annotated[bool, Parameter(negative=(), show_default=False)]


def line_command(*, batch_size: int = 4, seed: int | None = None, plot: Path | None = None, json: Flag = False) -> None:
    """y = w·x + b by nudging w and b, beside back-propagation.

    Parameters
    ----------
    batch_size
        Points in a step, 1 to 4.
    seed
        Draw another random start instead of the published one.
    plot
        Draw the paths and the losses into this file (.png, .svg or .pdf).
    json
        Print one JSON object to stdout; the page goes to stderr.
    """
    _check_picture(plot)
    results = line.run(seed, batch_size)
    _present(line, results, plot, json)


def two_two_one_command(*, seed: int | None = None, plot: Path | None = None, json: Flag = False) -> None:
    """Nine gradients by the chain rule, and why equal weights stay equal.

    Parameters
    ----------
    seed
        Of the random start; the equal start is what it is.
    plot
        Draw the losses into this file (.png, .svg or .pdf).
    json
        Print one JSON object to stdout; the page goes to stderr.
    """
    _check_picture(plot)
    _present(two_two_one, two_two_one.run(seed), plot, json)


def admissions_command(*, seed: int | None = None, plot: Path | None = None, json: Flag = False) -> None:
    """One sigmoid unit on 400 applicants; the sum against the mean of squared errors.

    Parameters
    ----------
    seed
        Draw another split and other weights instead of the published ones.
    plot
        Draw the errors and the weights into this file (.png, .svg or .pdf).
    json
        Print one JSON object to stdout; the page goes to stderr.
    """
    _check_picture(plot)
    _present(admissions, admissions.run(seed), plot, json)


def planar_command(
    *, compare: Flag = False, seed: int | None = None, plot: Path | None = None, json: Flag = False
) -> None:
    """The two-coloured flower, 2-4-1 with tanh.

    Parameters
    ----------
    compare
        Train 1, 2, 3, 4, 5, 20 and 50 hidden units too (`--plot` does so as well).
    seed
        Draw other weights instead of the published ones.
    plot
        Draw the decision boundary of every hidden size into this file (.png, .svg or .pdf).
    json
        Print one JSON object to stdout; the page goes to stderr.
    """
    _check_picture(plot)
    _present(planar, planar.run(seed, compare=compare or plot is not None), plot, json)


def digits_command(
    *,
    cross_entropy: Flag = False,
    scaled_init: Flag = False,
    l2: Flag = False,
    early_stopping: Flag = False,
    dropout: Flag = False,
    enlarge: Flag = False,
    quick: Flag = False,
    full: Flag = False,
    data: Path | None = None,
    hidden: int = 30,
    epochs: int | None = None,
    seed: int = 0,
    seeds: int | None = None,
    plot: Path | None = None,
    json: Flag = False,
) -> None:
    """Handwritten digits with SGD: the plain network, and each improvement asked for as one more row.

    Parameters
    ----------
    cross_entropy
        Cross-entropy in place of squared error, learning rate 0.5 in place of 3.0. All improvements are shown where
        neither this nor one of the next five is asked for.
    scaled_init
        Weights start smaller, by 1/√fan_in.
    l2
        L2 penalty, λ = 5.
    early_stopping
        End after 10 epochs without better validation accuracy, and go back to the best.
    dropout
        Leave out a fifth of the hidden units at random in each step.
    enlarge
        Shift, turn and bend each training image anew in every epoch.
    quick
        Under 30 s: scikit-learn's 8×8 digits, or with --data 10,000 of its training images.
    full
        Every improvement, and the published networks of 100 hidden units, over three seeds: about half an hour.
    data
        Folder with MNIST's four files.
    hidden
        Hidden units.
    epochs
        Passes over the training images; 30 unless told, with --quick 8, or 4 of MNIST.
    seed
        The first seed.
    seeds
        How many seeds, from the first one on: 1 unless told, 3 with --full.
    plot
        Draw accuracies, and learning from a bad start, into this file (.png, .svg or .pdf).
    json
        Print one JSON object to stdout; the page goes to stderr.
    """
    _check_picture(plot, data)
    asked = {
        "cross-entropy": cross_entropy,
        "scaled-init": scaled_init,
        "l2": l2,
        "early-stopping": early_stopping,
        "dropout": dropout,
        "enlarge": enlarge,
    }
    chosen = [name for name, wanted in asked.items() if wanted] or list(asked)
    if full:
        if quick or any(asked.values()) or hidden != 30 or epochs is not None:
            raise ConfigurationError(
                "--full says which networks are trained: leave out --quick, --hidden, --epochs and the improvements"
            )
        rows = digits.full_rows()
    else:
        usual = 30 if not quick else 8 if data is None else 4
        base = digits.Settings(hidden=hidden, epochs=usual if epochs is None else epochs)
        rows = digits.ladder(base, chosen)
    count = positive_whole("seeds", (3 if full else 1) if seeds is None else seeds)
    on_stderr = Console(stderr=True, highlight=False, markup=False)

    def say(row: digits.Row, number: int) -> None:
        on_stderr.print(f"training: {row.label}" + (f", seed {number}" if count > 1 else ""), style="dim")

    images = digits.load_images(data, quick=quick)
    results = digits.run(rows, images, range(seed, seed + count), on_row=say)
    _present(digits_page, results, plot, json)


def _check_picture(plot: Path | None, data: Path | None = None) -> None:
    picture.check_picture(plot)
    if plot is not None:
        check_output("--plot", str(plot), inputs={} if data is None else {"a file of the folder": str(data)})


def _present(demo: Any, results: Any, plot: Path | None, as_json: bool) -> None:
    """The page, then the picture, then JSON."""
    out = page.console(as_json)
    demo.show(results, out)
    if plot is not None:
        demo.draw(results, plot)
        out.print(f"\npicture in {plot}", soft_wrap=True)
    if as_json:
        show.print_json(results.as_json())
    sys.stdout.flush()
