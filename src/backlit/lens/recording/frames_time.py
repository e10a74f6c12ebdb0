"""The two coarse grains of a recording: one batch, which is one step of training, and one epoch."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Any, Final

import numpy as np

from ...pages import Cell, Table, Words, count, number, numbers
from ...parameters import Array
from ...training.history import History
from .places import Place
from .scene import Scene

_ROWS: Final = 8  # of a batch that get a line each
_HEADLINE: Final = ("loss", "val_loss", "val_accuracy", "val_r2")

Blocks = list[Words | Table]

#: What a grain shows: its line, its numbers by name, and the rest of its page.
Drawn = tuple[str, dict[str, Any], Blocks]


def draw_batch(scene: Scene, at: Place) -> Drawn:
    """One step: the loss before and after, every parameter array, the rows."""
    trace, taken = scene.trace, scene.taken
    line = (
        f"loss {number(trace.loss)} → {number(taken.loss)} on the same {count(trace.n, 'row')}, "
        f"by {scene.recording.optimizer!r}"
    )
    clipped = "" if taken.clip_factor == 1.0 else f"; the gradient was multiplied by {number(taken.clip_factor)}"
    blocks: Blocks = [
        Words(f"learning rate {number(taken.learning_rate)}{clipped}", "", 2),
        *([Words(trace.which_pass, "dim", 2)] if trace.which_pass else []),
        Words(""),
        _arrays(scene),
        Words(""),
        Words(f"The {_ROWS} rows with the largest loss, of {trace.n:,}" if trace.n > _ROWS else "The rows", "", 2),
        _rows(scene),
    ]
    values = {
        "loss_before": trace.loss,
        "loss_after": taken.loss,
        "learning_rate": taken.learning_rate,
        "gradient_norm": _length(trace.gradient),
        "update_norm": _length(taken.after.astype(np.float64) - taken.before),
        "rows": [int(label) for label in trace.row_labels],
    }
    return line, values, blocks


def _arrays(scene: Scene) -> Table:
    rows: list[list[Cell | str]] = []
    for step in scene.taken.parameters.values():
        lengths = [_length(step.before), _length(step.gradient), _length(step.update)]
        ratio = f"{lengths[2] / lengths[0]:.1e}" if lengths[0] else "–"
        rows.append([step.name, _size(step.shape), *(f"{length:.4g}" for length in lengths), ratio])
    return Table(["parameter", "shape", "‖θ‖", "‖gradient‖", "‖update‖", "update/θ"], rows, "llrrrr")


def _rows(scene: Scene) -> Table:
    before, after = scene.trace.row_losses, scene.taken.row_losses
    order = np.argsort(-before, kind="stable")[:_ROWS]
    cells = zip(numbers(before[order]), numbers(after[order]), strict=True)
    rows = [[scene.trace.row_labels[row], *line] for row, line in zip(order, cells, strict=True)]
    return Table(["row", "loss before", "after"], rows, "lrr")


def draw_epoch(scene: Scene, at: Place) -> Drawn:
    """One epoch: its losses beside those of the one before, and how far the parameters moved."""
    recording, history = scene.recording, scene.recording.history
    epoch, _ = recording.epoch_of(at.step)
    start, end = _ends(scene, epoch)
    before, after = recording.before(start)[0], recording.before(end)[0]
    rows: list[list[str]] = []
    moved: dict[str, float] = {}
    for name, shape in recording.net.parameters.shapes.items():
        where = recording.net.parameters.slice(name)
        moved[name] = _length(after[where].astype(np.float64) - before[where])
        lengths = [_length(before[where]), _length(after[where]), moved[name]]
        rows.append([name, _size(shape), *(f"{length:.4g}" for length in lengths)])
    blocks: Blocks = [
        Words(f"How far the parameters moved from step {start} to step {end}", "", 2),
        Table(["parameter", "shape", "‖θ‖ before", "after", "moved"], rows, "llrrr"),
    ]
    measured: dict[str, float] = {}
    if epoch <= history.epochs:
        measured = {name: column[epoch - 1] for name, column in history.items()}
        if epoch > 1:
            blocks += [Words(""), _beside(history, epoch)]
    line = ", ".join(f"{name} {number(value, 4)}" for name, value in measured.items() if name in _HEADLINE)
    values = {"first_step": start, "end_step": end, **measured, "moved": moved}
    return line or "this epoch was not finished", values, blocks


def _ends(scene: Scene, epoch: int) -> tuple[int, int]:
    """The first step of the epoch that can be shown, and the first one after it."""
    recording, steps = scene.recording, scene.recording.steps
    first = bisect_left(steps, epoch, key=lambda step: recording.epoch_of(step)[0])
    last = bisect_right(steps, epoch, key=lambda step: recording.epoch_of(step)[0])
    return steps[first], steps[last] if last < len(steps) else recording.last_step


def _beside(history: History, epoch: int) -> Table:
    """The epoch in the history, beside the one before."""
    names = [name for name in history if name != "seconds"]
    rows = [[name, number(history[name][epoch - 2]), number(history[name][epoch - 1])] for name in names]
    return Table(["", f"epoch {epoch - 1}", f"epoch {epoch}"], rows, "lrr")


def _size(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))


def _length(array: Array) -> float:
    return float(np.linalg.norm(array.astype(np.float64)))
