"""Cost and accuracy on whole data sets after every epoch: on the training data, on others, side by side."""

from __future__ import annotations

from typing import Any, final

from ..exceptions import ConfigurationError
from ..parameters import Array
from .callbacks import Callback, Training
from .evaluation import evaluate
from .history import History


@final
class Monitor(Callback):
    """Measure the network on each of the given sets after every epoch.

    The ``loss`` of `fit`'s history is the mean over an epoch's batches, each measured before its step, with dropout at
    work; a monitor measures the network as it is at the end of the epoch.

    Parameters
    ----------
    **sets : (X, y) or (X, y, sample_weight)
        The data to measure on, by name.

    Attributes
    ----------
    history : History
        For each set ``<name>_loss`` and ``<name>_accuracy`` (or ``_r2`` and ``_rmse``), one value an epoch.

    Raises
    ------
    ConfigurationError
        For no sets, or something else than such a tuple.

    Examples
    --------
    >>> from backlit import Dense, Network, SGD, fit
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]
    >>> monitor = Monitor(train=(X, y), evaluation=([[1.4], [1.6]], [0, 1]))
    >>> net = Network([Dense(1, "sigmoid")], inputs=1, loss="cross_entropy")
    >>> _ = fit(net, X, y, epochs=200, optimizer=SGD(1.0), callbacks=[monitor])
    >>> sorted(monitor.history), monitor.history["train_accuracy"][-1]
    (['evaluation_accuracy', 'evaluation_loss', 'train_accuracy', 'train_loss'], 1.0)
    """

    def __init__(self, **sets: tuple[Any, ...]) -> None:
        if not sets:
            raise ConfigurationError("a Monitor needs data to measure on: give it sets by name, train=(X, y)")
        for name, data in sets.items():
            if not isinstance(data, tuple) or len(data) not in (2, 3):
                raise ConfigurationError(
                    f"the Monitor's set {name!r} must be (X, y) or (X, y, sample_weight), "
                    f"received {type(data).__name__}"
                )
        self.sets = sets
        self.history = History()

    def on_fit_begin(self, training: Training) -> None:
        self.history = History()
        self._checked: dict[str, tuple[Array, Array, Array | None]] = {
            name: training.net.check_data(X, y, sample_weight=weight[0] if weight else None)
            for name, (X, y, *weight) in self.sets.items()
        }

    def on_epoch_end(self, training: Training) -> None:
        row: dict[str, float] = {}
        for name, (X, Y, weight) in self._checked.items():
            measured = evaluate(training.net, X, Y, weight=weight)
            row |= {f"{name}_{metric}": value for metric, value in measured.items()}
        self.history.append(**row)
