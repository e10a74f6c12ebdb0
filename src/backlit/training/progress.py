"""A progress bar, by rich, on stderr; silent when nobody is looking."""

from __future__ import annotations

import math
import sys
import time
from typing import Any, final

from .callbacks import Callback, Training


@final
class ProgressBar(Callback):
    """Epoch, losses and time left, redrawn at most ten times a second.

    It shows itself on a terminal and in a notebook; into a file or a pipe nothing is written.

    Examples
    --------
    >>> import backlit as bl
    >>> net = bl.Network([bl.Dense(1, weight_init=0.0)], inputs=1, dtype="float64")
    >>> bl.fit(net, [[1.0]], [1.0], epochs=2, callbacks=[ProgressBar()], progress=False).epochs
    2
    """

    def __init__(self) -> None:
        self._bar: Any = None
        self._shown = _Shown()

    def on_fit_begin(self, training: Training) -> None:
        self._bar = None
        self._shown = _Shown()
        self._first = training.epoch - 1
        self._drawn = 0.0
        kind = _NotebookBar if _in_a_kernel() else _TerminalBar if sys.stderr.isatty() else None
        if kind is not None:
            losses = "compiling the fast engine, once: about 4 s" if training.engine == "compiled" else ""
            self._bar = kind(training.epochs - self._first, training.epoch, training.epochs, losses)

    def on_steps_end(self, training: Training, done: int, total: int) -> None:
        self._draw(training, training.epoch - 1 - self._first + done / total)

    def on_epoch_end(self, training: Training) -> None:
        self._draw(training, training.epoch - self._first)

    def on_fit_end(self, training: Training) -> None:
        if self._bar is not None:
            self._drawn = 0.0
            self._draw(training, max(0, training.history.epochs - self._first))
            self._bar.stop()
            self._bar = None

    def _draw(self, training: Training, done: float) -> None:
        now = time.monotonic()
        if self._bar is None or now - self._drawn < 0.1:
            return
        self._drawn = now
        self._bar.show(done, min(training.epoch, training.epochs), self._shown.text(training))


def _in_a_kernel() -> bool:
    """Whether a notebook runs this: anybody may have loaded IPython, but only a kernel's shell has a kernel."""
    if "IPython" not in sys.modules:
        return False
    from IPython import get_ipython

    return hasattr(get_ipython(), "kernel")


@final
class _TerminalBar:
    def __init__(self, total: int, epoch: int, epochs: int, losses: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            BarColumn(),
            TextColumn("{task.fields[losses]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            auto_refresh=False,
        )
        self._task = self._progress.add_task("training", total=total, epoch=epoch, epochs=epochs, losses=losses)
        self._progress.start()

    def show(self, done: float, epoch: int, losses: str) -> None:
        self._progress.update(self._task, completed=done, epoch=epoch, losses=losses, refresh=True)

    def stop(self) -> None:
        self._progress.stop()


@final
class _NotebookBar:
    """One output of the cell that is written anew; rich would need ipywidgets for that."""

    def __init__(self, total: int, epoch: int, epochs: int, losses: str) -> None:
        from IPython import display

        show: Any = display.display  # IPython has no types for it
        self._total, self._epochs, self._begun = total, epochs, time.monotonic()
        self._output = show(self._data(0.0, epoch, losses), raw=True, display_id=True)

    def show(self, done: float, epoch: int, losses: str) -> None:
        self._output.update(self._data(done, epoch, losses), raw=True)

    def stop(self) -> None:
        """What was shown last stays."""

    def _data(self, done: float, epoch: int, losses: str) -> dict[str, str]:
        text = f"epoch {epoch}/{self._epochs}  {losses}  {time.monotonic() - self._begun:.1f} s"
        bar = f'<progress value="{done:.3f}" max="{self._total}" aria-label="training"></progress>'
        return {"text/plain": text, "text/html": f'{bar} <span style="font-family:monospace">{text}</span>'}


@final
class _Shown:
    """The losses as they are shown, and whether the loss is above the last one shown."""

    def __init__(self) -> None:
        self.epoch, self.loss, self.risen = 0, math.inf, False

    def text(self, training: Training) -> str:
        if not training.history.epochs:
            return ""
        last = training.history.last()
        if training.history.epochs != self.epoch:
            self.risen = last["loss"] > self.loss
            self.epoch, self.loss = training.history.epochs, last["loss"]
        return _losses(last) + ("  the loss has risen" if self.risen else "")


def _losses(last: dict[str, float]) -> str:
    text = f"loss {last['loss']:.4f}"
    if "val_loss" in last:
        text += f"  validation {last['val_loss']:.4f}"
    if "val_accuracy" in last:
        text += f"  accuracy {100 * last['val_accuracy']:.1f} %"
    return text
