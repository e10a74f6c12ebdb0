"""What happened during training, one value an epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, final

from ..exceptions import ConfigurationError, HistoryNameError, missing_extra, nearest
from ..kinds.optimizers import OptimizerState


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

    def __init__(self) -> None:
        self._columns: dict[str, list[float]] = {}
        self.epochs = 0
        self.stopped: str | None = None
        self.best_epoch: int | None = None
        self.state: OptimizerState | None = None

    def append(self, **values: float) -> None:
        """Record one epoch. A name that is missing in some epochs has NaN there."""
        for name in values:
            self._columns.setdefault(name, [math.nan] * self.epochs)
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
        for name, value in values.items():
            self._columns.setdefault(name, [math.nan] * self.epochs)[-1] = float(value)

    def __getitem__(self, name: str) -> list[float]:
        if name not in self._columns:
            raise HistoryNameError(f"the history has no {name!r}: {nearest(name, self._columns)}")
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def copy(self) -> History:
        """A history of its own with the same rows and the same optimiser state."""
        other = History()
        other._columns = self.to_dict()
        other.epochs = self.epochs
        other.state = self.state
        return other

    def last(self) -> dict[str, float]:
        """The values of the last epoch."""
        return {name: column[-1] for name, column in self._columns.items()}

    def to_dict(self) -> dict[str, Any]:
        """A plain dictionary, for JSON."""
        return {name: list(column) for name, column in self._columns.items()}

    def __str__(self) -> str:
        shown = [n for n in self._columns if n not in ("batch_loss_min", "batch_loss_max")]
        lines = ["epoch" + "".join(f"{name:>15}" for name in shown)]
        for epoch in _shown_epochs(self.epochs):
            lines.append(f"{epoch + 1:>5}" + "".join(f"{self._columns[name][epoch]:>15.6g}" for name in shown))
        if self.stopped:
            lines.append(f"stopped: {self.stopped}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"History({self.epochs} epochs of {', '.join(self._columns)})"

    def plot(self, ax: Any = None) -> Any:
        """Draw the learning curve: loss and validation loss over epochs, with the spread of the batches.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure unless given.

        Returns
        -------
        matplotlib Axes
            ``ax.figure.savefig("curve.png")`` keeps it.

        Raises
        ------
        MissingExtraError
            Without matplotlib.
        """
        if not self.epochs:
            raise ConfigurationError("there is nothing to plot: the history has no epoch yet")
        if ax is None:
            try:
                from matplotlib import pyplot
            except ImportError as error:
                raise missing_extra("matplotlib", "plot", "drawing the learning curve") from error
            _, ax = pyplot.subplots(figsize=(7, 4), layout="constrained")
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
