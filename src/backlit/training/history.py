"""What happened during training, one value an epoch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np

from ..exceptions import ConfigurationError, HistoryNameError, missing_extra, nearest
from ..files import write_picture
from ..kinds.optimizers import OptimizerState
from ..pages import Cell, Page, Table, Words, count, number, shown


@shown
@final
class History(Mapping[str, list[float]]):
    """The record of a training run.

    A mapping from a name to a list with one value an epoch: ``loss`` (mean over the epoch's batches, each before its
    step, penalty included), ``batch_loss_min``, ``batch_loss_max``, ``learning_rate`` (of the last step), ``seconds``,
    and with validation data ``val_loss`` and ``val_accuracy`` or ``val_r2`` and ``val_rmse``.

    Attributes
    ----------
    epochs : int
        Epochs recorded.
    stopped : str or None
        Why training ended before its last epoch.
    best_epoch : int or None
        The epoch (from 1) whose parameters the network has now, where a callback restored them.
    state : OptimizerState or None
        What the optimiser remembers at the end; ``fit(…, resume=history)`` goes on from it.

    Examples
    --------
    >>> history = History()
    >>> history.append(loss=0.5, seconds=0.1)
    >>> history.append(loss=0.25, seconds=0.1)
    >>> history["loss"]
    [0.5, 0.25]
    """

    _shared: int = 0  # epochs whose rows a copy of this history may see as well

    def __init__(self) -> None:
        self._columns: dict[str, list[float]] = {}
        self.epochs = 0
        self.stopped: str | None = None
        self.best_epoch: int | None = None
        self.state: OptimizerState | None = None

    @classmethod
    def of(cls, columns: Mapping[str, Sequence[float]]) -> History:
        """The history with these columns, all of the same length.

        Examples
        --------
        >>> History.of({"loss": [0.5, 0.25]}).epochs
        2
        """
        history = cls()
        for row in zip(*columns.values(), strict=True):
            history.append(**dict(zip(columns, row, strict=True)))
        return history

    def replace(self, columns: Mapping[str, Sequence[float]]) -> None:
        """Take the columns of another history in the place of its own.

        Examples
        --------
        >>> history = History()
        >>> history.replace({"loss": [0.5, 0.25]})
        >>> history.epochs, history["loss"]
        (2, [0.5, 0.25])
        """
        other = History.of(columns)
        self._columns, self.epochs, self._shared = other._columns, other.epochs, 0

    def append(self, **values: float) -> None:
        """Record one epoch. A name that is missing in some epochs has NaN there."""
        self._own_columns(self.epochs)
        for name in values:
            if name not in self._columns:
                self._columns[name] = [math.nan] * self.epochs
        for name, column in self._columns.items():
            column.append(float(values.get(name, math.nan)))
        self.epochs += 1

    def amend(self, **values: float) -> None:
        """Write further values into the row of the last epoch.

        Examples
        --------
        >>> history = History()
        >>> history.append(loss=0.5)
        >>> history.amend(val_f1=0.75)
        >>> history["val_f1"]
        [0.75]
        """
        if self.epochs == self._shared:
            self._columns, self._shared = self.to_dict(), 0
        for name, value in values.items():
            if name not in self._columns:
                self._columns[name] = [math.nan] * self.epochs
            self._columns[name][-1] = float(value)

    def _own_columns(self, length: int) -> None:
        """Lists that end with this history's last epoch: copied where another history has appended to them."""
        if any(len(column) != length for column in self._columns.values()):
            self._columns, self._shared = self.to_dict(), 0

    def __getitem__(self, name: str) -> list[float]:
        if name not in self._columns:
            raise HistoryNameError(f"the history has no {name!r}: {nearest(name, self._columns)}")
        self._own_columns(self.epochs)
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def copy(self) -> History:
        """A history of its own with the same rows and the same optimiser state."""
        other = History()
        # The lists are shared: only the last to append to them does so in place, any other history copies them first.
        other._columns = dict(self._columns)
        other.epochs = other._shared = self._shared = self.epochs
        other.state = self.state
        return other

    def last(self) -> dict[str, float]:
        """The values of the last epoch."""
        return {name: column[self.epochs - 1] for name, column in self._columns.items()}

    def to_dict(self) -> dict[str, Any]:
        """A plain dictionary, for JSON."""
        return {name: column[: self.epochs] for name, column in self._columns.items()}

    @property
    def rises(self) -> list[int]:
        """The epochs (from 1) whose loss is above that of the epoch before.

        Where every step takes all rows, gradient descent with a suitable learning rate has none.

        Examples
        --------
        >>> history = History()
        >>> for loss in (0.5, 0.25, 0.3, 0.2):
        ...     history.append(loss=loss)
        >>> history.rises
        [3]
        """
        losses = self._columns.get("loss", [])
        return [epoch for epoch in range(2, len(losses) + 1) if losses[epoch - 1] > losses[epoch - 2]]

    # In a file, a number by itself takes a hundred times the room of one in an array.
    def __getstate__(self) -> dict[str, Any]:
        columns = {name: np.array(column, dtype=np.float64) for name, column in self.to_dict().items()}
        return {**self.__dict__, "_columns": columns, "_shared": 0}

    def __setstate__(self, state: dict[str, Any]) -> None:
        columns = {name: [float(value) for value in column] for name, column in state["_columns"].items()}
        self.__dict__.update(state, _columns=columns)

    def page(self) -> Page:
        """The epochs of a short run, or ten of a long one; a loss above the last one shown is marked."""
        names = [n for n in self._columns if n not in ("batch_loss_min", "batch_loss_max")]
        shown_epochs = _shown_epochs(self.epochs)
        rows: list[list[Cell | str]] = [
            [str(epoch + 1), *(number(self._columns[name][epoch], 6) for name in names)] for epoch in shown_epochs
        ]
        columns, align = ["epoch", *names], "r" * (len(names) + 1)
        losses = [self._columns["loss"][epoch] for epoch in shown_epochs] if "loss" in self._columns else []
        risen = [False, *(after > before for before, after in itertools.pairwise(losses))]
        if any(risen):
            columns, align = [*columns, ""], align + "l"
            for row, mark in zip(rows, risen, strict=True):
                row.append(Cell("the loss has risen" if mark else "", "bad"))
        blocks: list[Words | Table] = [Table(columns, rows, align, indent=0)]
        if self.rises:
            blocks.append(Words(f"The loss rose in {len(self.rises):,} of {self.epochs - 1:,} epochs."))
        if self.stopped:
            blocks.append(Words(f"Stopped: {self.stopped}."))
        return Page(f"History of {count(self.epochs, 'epoch')}", blocks)

    def __repr__(self) -> str:
        return f"History({self.epochs} epochs of {', '.join(self._columns)})"

    def plot(self, ax: Any = None) -> Any:
        """Draw the learning curve: loss and validation loss over epochs, with the spread of the batches.

        Parameters
        ----------
        ax : matplotlib Axes, str or path, optional
            Where to draw; a new figure unless given. A path is that of a picture to write: ``"curve.png"``.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        MissingExtraError
            Without matplotlib.
        ConfigurationError, OutputError
            For a path that names no kind of picture, or cannot be written.
        """
        if not self.epochs:
            raise ConfigurationError("there is nothing to plot: the history has no epoch yet")
        if ax is not None and hasattr(ax, "plot"):
            return self._draw(ax)
        try:
            from matplotlib import figure, pyplot
        except ImportError as error:
            raise missing_extra("matplotlib", "plot", "drawing the learning curve") from error
        if ax is None:
            return self._draw(pyplot.subplots(figsize=(7, 4), layout="constrained")[1])
        path = Path(ax)
        picture = figure.Figure(figsize=(7, 4), layout="constrained")
        if path.suffix.lower().lstrip(".") not in picture.canvas.get_supported_filetypes():
            raise ConfigurationError(f"a picture's name ends in .png, .svg or .pdf, received {str(path)!r}")
        drawn = self._draw(picture.subplots())
        write_picture(picture, path, dpi=picture.dpi)
        return drawn

    def _draw(self, ax: Any) -> Any:
        epochs = range(1, self.epochs + 1)
        marker = "o" if self.epochs <= 30 else None
        low, high = self._columns.get("batch_loss_min"), self._columns.get("batch_loss_max")
        if low is not None and high is not None and low != high:
            ax.fill_between(
                epochs,
                low,
                high,
                color="tab:blue",
                alpha=0.12,
                linewidth=0,
                label="smallest and largest batch",
            )
        ax.plot(
            epochs,
            self._columns["loss"],
            color="tab:blue",
            marker=marker,
            markersize=3,
            label="training loss",
        )
        if "val_loss" in self._columns:
            ax.plot(
                epochs,
                self._columns["val_loss"],
                color="tab:orange",
                marker=marker,
                markersize=3,
                label="validation loss",
            )
        if self.best_epoch is not None:
            ax.axvline(self.best_epoch, color="0.5", linestyle=":", label=f"best, epoch {self.best_epoch}")
        finite = [v for name in ("loss", "val_loss") for v in self._columns.get(name, []) if math.isfinite(v)]
        if finite and min(finite) > 0 and max(finite) / min(finite) > 50:
            ax.set_yscale("log")
        elif finite:
            # the largest batch of the first epoch would press the curve flat
            ax.set_ylim(0 if min(finite) >= 0 else None, 1.1 * max(finite) if max(finite) > 0 else None)
        ax.set_xlabel("epoch")
        ax.set_ylabel("loss")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.grid(alpha=0.25)
        ax.legend(frameon=False)
        return ax


def _shown_epochs(count: int) -> list[int]:
    """All epochs of a short run; ten spread over a long one, the first and the last among them."""
    if count <= 12:
        return list(range(count))
    return sorted({round(i * (count - 1) / 9) for i in range(10)})
