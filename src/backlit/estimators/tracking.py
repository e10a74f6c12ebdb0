"""Callbacks that tell others how training goes: scikit-learn's own callbacks, Optuna, MLflow."""

from __future__ import annotations

import math
from collections.abc import Callable as CallableType
from typing import Any, TypeVar, final

from ..exceptions import ConfigurationError, missing_extra, nearest
from ..training.callbacks import Callback, Training

try:
    from sklearn import callback as sklearn_callback
except ImportError:  # scikit-learn before 1.9
    sklearn_callback = None

_Method = TypeVar("_Method", bound=CallableType[..., Any])

#: What gives an estimator `set_callbacks`, where this scikit-learn has callbacks.
CallbackSupport: Any = object if sklearn_callback is None else sklearn_callback.CallbackSupportMixin


def with_callbacks(method: _Method) -> _Method:
    """A `fit` after which scikit-learn's callbacks are taken down again, whatever ended it."""
    if sklearn_callback is None:
        return method
    managed: _Method = sklearn_callback.with_callbacks(method)
    return managed


@final
class EpochTasks(Callback):
    """Tells scikit-learn's callbacks (``estimator.set_callbacks(…)``) where each epoch begins and ends.

    It stands last: what the callbacks before it have decided, it passes on.
    """

    def __init__(self, estimator: Any, X: Any, y: Any) -> None:
        self.estimator = estimator
        self.data = {"estimator": estimator, "X": X, "y": y}
        self._fit_task: Any = None
        self._epoch_task: Any = None

    def on_fit_begin(self, training: Training) -> None:
        self._fit_task = self.estimator._init_callback_context(max_subtasks=self.estimator.max_iter)
        self._fit_task.call_on_fit_task_begin(**self.data)
        self._begin()

    def on_epoch_end(self, training: Training) -> None:
        if self._end():
            training.stop("a callback of scikit-learn asked for it")
        if training.stop_reason is None and training.epoch < training.epochs:
            self._begin()

    def on_fit_end(self, training: Training) -> None:
        if self._epoch_task is not None:  # interrupted within an epoch
            self._end()
        if self._fit_task is not None:
            self._fit_task.call_on_fit_task_end(**self.data, reconstruction_attributes=self._fitted())

    def _begin(self) -> None:
        self._epoch_task = self._fit_task.subcontext(task_name="epoch")
        self._epoch_task.call_on_fit_task_begin(**self.data, reconstruction_attributes=self._fitted())

    def _end(self) -> bool:
        task, self._epoch_task = self._epoch_task, None
        return bool(task.call_on_fit_task_end(**self.data, reconstruction_attributes=self._fitted()))

    def _fitted(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self.estimator).items() if name.endswith("_")}


@final
class OptunaPruning(Callback):
    """Reports a value of every epoch to an Optuna trial, and ends training where its pruner says so.

    Parameters
    ----------
    trial : optuna.Trial
    monitor : str, default="val_loss"
        A name of the history.

    Raises
    ------
    optuna.TrialPruned
        Out of `fit`, as Optuna expects.
    """

    def __init__(self, trial: Any, monitor: str = "val_loss") -> None:
        self.trial = trial
        self.monitor = monitor

    def on_epoch_end(self, training: Training) -> None:
        from optuna import TrialPruned

        if self.monitor not in training.history:
            raise ConfigurationError(
                f"OptunaPruning watches {self.monitor!r}, which this run does not measure: "
                f"{nearest(self.monitor, training.history)}"
            )
        value = training.history[self.monitor][-1]
        self.trial.report(value, step=training.epoch)
        if self.trial.should_prune():
            raise TrialPruned(f"pruned after epoch {training.epoch}, where {self.monitor} was {value:.6g}")


@final
class MLflowLog(Callback):
    """Logs every value of every epoch as a metric of the active MLflow run.

    Raises
    ------
    MissingExtraError
        Without MLflow; mlflow-skinny is enough.
    """

    def __init__(self) -> None:
        _mlflow()

    def on_epoch_end(self, training: Training) -> None:
        values = {name: value for name, value in training.history.last().items() if math.isfinite(value)}
        _mlflow().log_metrics(values, step=training.epoch)


def _mlflow() -> Any:
    try:
        import mlflow
    except ImportError as error:
        raise missing_extra("mlflow-skinny", "neighbours", "logging to MLflow") from error
    return mlflow
