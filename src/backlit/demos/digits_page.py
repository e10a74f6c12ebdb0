"""The page and the picture of `backlit demo digits`."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Final

from . import page, picture, slow_start
from .digits import PUBLISHED, DigitsResults, RowResult

if TYPE_CHECKING:
    from rich.console import Console

WITHIN: Final = 0.005  # half a point: single runs of another random stream differ by that


def show(results: DigitsResults, out: Console) -> None:
    """Print the page."""
    images, first = results.images, results.rows[0].row.settings
    several = len(results.seeds) > 1
    page.heading(out, f"Handwritten digits: {images.train[0].shape[1]}-{first.hidden}-10 sigmoid units and onwards")
    page.paragraph(
        out,
        f"{images.what}: {len(images.train[1]):,} images to train, {len(images.validation[1]):,} to validate, "
        f"{len(images.test[1]):,} to test. SGD, batches of 10, learning rate 3.0 with squared error, 0.5 with "
        f"cross-entropy (0.1 over 60 epochs). A row that begins with + keeps all that stands above it. "
        f"Seed{'s' if several else ''} {', '.join(map(str, results.seeds))}; training took {_total_time(results)}.",
    )
    rows = []
    for r in results.rows:
        accuracies = [run.test_accuracy for run in r.runs]
        known = PUBLISHED.get(r.row.published or "")
        rows.append(
            (
                r.row.label,
                f"{r.row.settings.epochs}",
                page.percent(r.mean),
                *([f"{100 * min(accuracies):.2f}–{100 * max(accuracies):.2f}"] if several else []),
                page.percent(r.best_epoch_mean),
                page.percent(known) if known is not None else "",
            )
        )
    columns = ("network", "epochs", "test", *(["range"] if several else []), "best epoch", "published")
    page.table(out, columns, rows)
    page.note(
        out,
        "test: accuracy on the test images after the last epoch (with early stopping, of the best epoch on the "
        "validation images); best epoch: the best that any epoch had on the test images, as published figures have it, "
        "which chooses the epoch with the answers known.",
    )
    for r in results.rows:
        _say_lost(r, out)
    if chance := _chance(results):
        page.paragraph(out, chance)

    page.heading(out, "Cost and accuracy after the last epoch")
    sets = ("train", "validation", "test")
    rows = [
        (
            r.row.label,
            *(f"{_last(r, f'{name}_loss'):.4f}" for name in sets[:2]),
            *(page.percent(_last(r, f"{name}_accuracy")) for name in sets),
        )
        for r in results.rows
    ]
    page.table(out, ("network", "cost, train", "cost, valid.", "train", "valid.", "test"), rows)
    page.note(out, "Cost holds the penalty where there is one, and is another formula for each loss.")
    slow_start.show(results.neurons, out)
    page.conclusion(out, _conclusion(results))


def _total_time(results: DigitsResults) -> str:
    return page.duration(sum(run.seconds for r in results.rows for run in r.runs))


def _last(r: RowResult, name: str) -> float:
    return statistics.fmean(run.monitor[name][-1] for run in r.runs)


def _say_lost(r: RowResult, out: Console) -> None:
    """Name the digits that a network hardly ever recognises, because their outputs died."""
    lost = [f"{', '.join(map(str, run.lost_digits))} (seed {run.seed})" for run in r.runs if run.lost_digits]
    if lost:
        page.paragraph(
            out,
            f"{r.row.label}: hardly ever recognises {'; '.join(lost)}. With so many standard normal weights an "
            "output's z starts far from 0, where the sigmoid is nearly flat and squared error hardly moves it.",
        )


def _chance(results: DigitsResults) -> str:
    """How far a figure is off by chance, where that is as much as the improvements move it.

    An accuracy p measured on n images has the standard error √(p (1 − p) / n).
    """
    best, n = max(results.rows, key=lambda r: r.mean), len(results.images.test[1])
    error = 2 * math.sqrt(best.mean * (1 - best.mean) / n)
    if len(results.rows) < 2 or error < WITHIN:
        return ""
    several = len(results.seeds)
    said = (
        f"{n:,} test images leave each figure uncertain by about ±{100 * error:.1f} points (two standard errors) and "
        f"{several} seed{'s' if several > 1 else ''} by more: rows closer than that are not told apart."
    )
    if any(r.mean < best.mean for r in results.rows[results.rows.index(best) + 1 :]):
        said += (
            " Later rows lose here because they hold the network back: penalty, dropout and enlarged set keep it from "
            "learning its images by heart, which few hidden units and few epochs have no room for."
        )
    return said


def _conclusion(results: DigitsResults) -> str:
    compared = [(r, PUBLISHED[r.row.published]) for r in results.rows if r.row.published is not None]
    missed = [r.row.label for r, known in compared if abs(r.mean - known) > WITHIN]
    best = max(results.rows, key=lambda r: r.mean)
    said = f"Best here: {best.row.label}, {page.percent(best.mean)} of the test images"
    if not compared:
        return said + "."
    if missed:
        return f"{said}; not within half a point of the published figure: {', '.join(missed)}."
    what = "the published figure is" if len(compared) == 1 else f"all {len(compared)} published figures are"
    return f"{said}; {what} reproduced within half a point."


def draw(results: DigitsResults, path: str) -> None:
    """Test accuracy over the epochs for every row, and the neuron that starts badly wrong."""
    figure = picture.new_figure(12, 4.8)
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    curves = [list(r.runs[0].monitor["test_accuracy"]) for r in results.rows]
    for k, (r, curve) in enumerate(zip(results.rows, curves, strict=True)):
        again = any(above[: len(curve)] == curve for above in curves[:k])
        style = "--" if again else "-"  # a curve that repeats another lets it be seen below
        epochs = range(1, len(curve) + 1)
        left.plot(epochs, [100 * v for v in curve], style, linewidth=1.4, label=r.row.label)
    top = 100 * max(max(curve) for curve in curves)
    left.set(xlabel="epoch", ylabel="test images right, %", title=f"test accuracy, seed {results.seeds[0]}")
    left.set_ylim(max(0.0, min(100 * min(curve[-1] for curve in curves), top - 4) - 1), min(100.0, top + 0.5))
    left.grid(alpha=0.25)
    left.legend(frameon=False, fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=3)
    slow_start.draw(right, results.neurons)
    picture.save_figure(figure, path)
