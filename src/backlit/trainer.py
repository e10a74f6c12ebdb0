"""Training, nested in named levels: a fit is epochs, an epoch is steps, a step is one batch.

fit            checks the data, makes the job, runs the epochs, restores the best
  _run_epoch   order of the rows, steps, one row of history, validation
    engine     one step: batch → forward → backward → optimiser   (`engines.reference.train_step`)
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from .callbacks import Callback, Training
from .checks import one_of, positive_whole
from .engines.base import Engine, Job, is_source, source_shape
from .engines.reference import ReferenceEngine, load_batch
from .evaluation import evaluate
from .exceptions import ConfigurationError, DivergenceError, ShapeError
from .gradcheck import FiniteDifference
from .history import History
from .layers import Dropout
from .lbfgs import LBFGS, minimize_lbfgs
from .network import Network
from .optimizers import SGD, Optimizer, OptimizerState, initial_state
from .parameters import Array
from .progress import ProgressBar
from .schedules import rate_at
from .targets import check_inputs, check_sample_weight

_GRADIENTS: Final = ("backprop", "finite_difference", "central_difference")
_ENGINES: Final = ("auto", "reference", "compiled")


def fit(
    net: Network,
    X: Any,
    y: Any,
    *,
    epochs: int = 10,
    batch_size: int | None = 32,
    optimizer: Optimizer | LBFGS | None = None,
    validation: Sequence[Any] | None = None,
    sample_weight: Any = None,
    shuffle: bool = True,
    gradient: str | FiniteDifference = "backprop",
    callbacks: Sequence[Callback] = (),
    engine: str = "auto",
    progress: bool = True,
    resume: History | None = None,
) -> History:
    """Train a network, from the parameters that it has.

    Parameters
    ----------
    net : Network
        Changed in place.
    X : array_like, shape (n, inputs), or a BatchSource
        Kept in the type it came in (uint8 images stay uint8); cast and scaled batch by batch.
    y : array_like
        Class labels, one-hot rows, or target values; see `backlit.targets.encode_targets`.
    epochs : int, default=10
        Passes over the data, in addition to those of `resume`.
    batch_size : int or None, default=32
        Rows of a step; None for all of them. A last, smaller batch is trained too.
    optimizer : SGD, RMSprop, Adagrad, Adam, AdamW or LBFGS, default=SGD(0.01)
    validation : (X, y) or (X, y, sample_weight), optional
        Data to measure on after every epoch.
    sample_weight : array_like, shape (n,), optional
        A row of weight 2 counts as two rows; a row of weight 0 as none.
    shuffle : bool, default=True
        A new order of the rows in every epoch, keyed by the network's seed and the epoch.
    gradient : {"backprop", "finite_difference", "central_difference"} or FiniteDifference
        Where gradients come from. "finite_difference" nudges every parameter by 1e-4 and looks at the loss.
    callbacks : sequence of Callback
    engine : {"auto", "reference"}, default="auto"
    progress : bool, default=True
        A progress bar on stderr, where that is a terminal.
    resume : History, optional
        Of an earlier `fit` of this network: go on where it ended, with its optimiser's state: 2 + 3 epochs equal 5.

    Returns
    -------
    History
        ``history["loss"]``, ``["val_loss"]``, ``["batch_loss_min"]``, …: one value an epoch.

    Raises
    ------
    DataError, ConfigurationError
        For data or settings that cannot be used.
    DivergenceError
        If the loss stops being finite or exceeds 1e6 times its first value; the best parameters are restored.

    Examples
    --------
    >>> from backlit import Dense
    >>> net = Network([Dense(1)], inputs=1, dtype="float64")
    >>> history = fit(net, [[1.0], [2.0], [3.0]], [2.0, 4.0, 6.0], epochs=500, batch_size=None, optimizer=SGD(0.1))
    >>> net.parameters.view("0.weight").round(3)
    array([[2.]])
    """
    epochs = positive_whole("epochs", epochs)
    optimizer = SGD(0.01) if optimizer is None else optimizer
    chosen = _choose_engine(engine)
    difference = _gradient_method(gradient)
    X, Y, weight = _training_data(net, X, y, sample_weight)
    checked_validation = _validation_data(net, validation)
    history = History() if resume is None else resume.copy()
    training = Training(
        net=net,
        optimizer=optimizer,
        history=history,
        epoch=history.epochs + 1,
        epochs=history.epochs + epochs,
        data=(X, Y, weight),
        validation=checked_validation,
        engine=chosen.name,
    )
    hooks = [*callbacks, ProgressBar()] if progress else list(callbacks)
    if isinstance(optimizer, LBFGS):
        return _fit_lbfgs(training, hooks, optimizer, epochs)
    job = Job(
        net=net,
        X=X,
        Y=Y,
        weight=weight,
        optimizer=optimizer,
        state=_optimizer_state(net, optimizer, history),
        batch_size=Y.shape[0] if batch_size is None else min(positive_whole("batch_size", batch_size), Y.shape[0]),
        shuffle=shuffle,
        gradient=difference,
    )
    best = _Best(net)
    # The callbacks' end comes after an error and after Ctrl-C as well: a progress bar has to let go of the terminal.
    begun: list[Callback] = []
    try:
        for callback in hooks:
            begun.append(callback)
            callback.on_fit_begin(training)
        for epoch in range(history.epochs, training.epochs):
            training.epoch = epoch + 1
            _run_epoch(training, job, chosen, hooks, best)
            for callback in hooks:
                callback.on_epoch_end(training)
            if training.stop_reason is not None:
                break
        history.stopped = training.stop_reason
    except KeyboardInterrupt:
        history.stopped = f"interrupted in epoch {training.epoch}"
        warnings.warn(f"training was {history.stopped}; the network keeps what it has learnt so far", stacklevel=2)
    finally:
        history.state = job.state
        for callback in begun:
            callback.on_fit_end(training)
    return history


def _run_epoch(training: Training, job: Job, engine: Engine, hooks: list[Callback], best: _Best) -> None:
    """One pass over the rows, and its row in the history."""
    epoch = training.epoch - 1
    started = time.perf_counter()
    order = job.order(epoch)
    losses: list[float] = []
    weights: list[float] = []
    done, pace = 0, 64
    while done < job.steps:
        chunk_started = time.perf_counter()
        last = min(done + pace, job.steps)
        results = engine.run_steps(job, order, epoch, done, last)
        losses += results.losses
        weights += results.weights
        if results.diverged:
            raise _divergence(training, job, order, epoch, done + len(results.losses) - 1, results.losses[-1], best)
        done = last
        if time.perf_counter() - chunk_started < 0.05:
            pace *= 2  # as many steps at once as leave the progress bar moving
        for callback in hooks:
            callback.on_steps_end(training, done, job.steps)
    counted = [loss for loss, weight in zip(losses, weights, strict=True) if weight > 0]
    row = {
        # each step's loss is a mean over its rows; the epoch's is the mean over all rows
        "loss": float(np.average(losses, weights=weights)),
        "batch_loss_min": min(counted),
        "batch_loss_max": max(counted),
        "learning_rate": rate_at(job.optimizer.learning_rate, epoch + (job.steps - 1) / job.steps),
    }
    row |= _validate(training)
    training.history.append(**row, seconds=time.perf_counter() - started)
    best.note(training.epoch, row.get("val_loss", row["loss"]))


def _validate(training: Training) -> dict[str, float]:
    if training.validation is None:
        return {}
    with np.errstate(over="ignore", invalid="ignore"):
        return {f"val_{name}": value for name, value in evaluate(training.net, *training.validation).items()}


class _Best:
    """The parameters of the best epoch so far, to go back to when training diverges."""

    def __init__(self, net: Network) -> None:
        self.net = net
        self.epoch = 0
        self.loss = np.inf
        self.values = net.parameters.values.copy()

    def note(self, epoch: int, loss: float) -> None:
        if loss < self.loss:
            self.epoch, self.loss = epoch, loss
            self.values[:] = self.net.parameters.values


def _divergence(
    training: Training, job: Job, order: Array, epoch: int, step: int, loss: float, best: _Best
) -> DivergenceError:
    """The error that says where the loss left the finite numbers; the best parameters are restored."""
    net = training.net
    rows = order[step * job.batch_size : (step + 1) * job.batch_size]
    layer = _layer_where_it_began(job, rows, epoch)
    net.parameters.values[:] = best.values
    since = f"those of epoch {best.epoch}" if best.epoch else "the initial ones"
    total = epoch * job.steps + step + 1
    rate = rate_at(job.optimizer.learning_rate, epoch + step / job.steps)
    return DivergenceError(
        f"training diverged in epoch {epoch + 1}, step {total}: the loss became {loss:g}, beginning in layer {layer} "
        f"({net.layers[layer]!r}); the best parameters, {since}, are restored: "
        f"use a learning rate below {rate:g}, or scale the inputs and targets",
        epoch=epoch + 1,
        step=total,
        layer=layer,
    )


def _layer_where_it_began(job: Job, rows: Array, epoch: int) -> int:
    """The first layer with a number that is not finite; or, where all are, the one with the largest."""
    net = job.net
    with np.errstate(all="ignore"):
        work = load_batch(job, rows, epoch)
        net.forward_pass(work, job.state.step)
        largest = [float(np.abs(z).max()) if z.size else 0.0 for z in work.z]
    for index, (z, a) in enumerate(zip(largest, work.a[1:], strict=True)):
        if not np.isfinite(z) or not np.isfinite(a).all():
            return index
    return int(np.argmax(largest))


def _fit_lbfgs(training: Training, hooks: list[Callback], optimizer: LBFGS, epochs: int) -> History:
    """L-BFGS has its own loop: every iteration sees all rows and counts as one epoch."""
    net, history = training.net, training.history
    X, Y, weight = training.data
    if is_source(X):
        raise ConfigurationError("LBFGS needs all rows at once: give X as an array, or choose another optimiser")
    if any(isinstance(layer, Dropout) for layer in net.layers):
        raise ConfigurationError(
            "LBFGS needs a loss that stays the same: leave out Dropout, or choose another optimiser"
        )
    work = net.workspace(Y.shape[0])
    work.load(X, Y, weight)
    values = net.parameters.values

    def loss_and_gradient(theta: Array) -> tuple[float, Array]:
        values[:] = theta
        with np.errstate(over="ignore", invalid="ignore"):
            net.forward_pass(work)
            net.backward_pass(work)
            loss = net.average()
        return loss, net.parameters.gradients.astype(np.float64)

    started = time.perf_counter()

    def on_iteration(theta: Array, loss: float) -> bool:
        nonlocal started
        values[:] = theta
        now = time.perf_counter()
        row = {"loss": loss, "batch_loss_min": loss, "batch_loss_max": loss} | _validate(training)
        history.append(**row, seconds=now - started)
        started = now
        training.epoch = history.epochs
        for callback in hooks:
            callback.on_epoch_end(training)
        return training.stop_reason is not None

    start = values.copy()
    try:
        for callback in hooks:
            callback.on_fit_begin(training)
        theta, reason = minimize_lbfgs(optimizer, loss_and_gradient, start, epochs, on_iteration)
        values[:] = theta
        if not np.isfinite(loss_and_gradient(theta)[0]):
            values[:] = start
            raise DivergenceError(
                "L-BFGS met a loss that is not finite; the initial parameters are restored: scale inputs and targets",
                epoch=history.epochs,
                step=history.epochs,
                layer=None,
            )
        history.stopped = training.stop_reason or (reason if history.epochs < training.epochs else None)
    finally:
        for callback in hooks:
            callback.on_fit_end(training)
    return history


def _choose_engine(engine: str) -> Engine:
    if one_of("engine", engine, _ENGINES) == "compiled":
        raise ConfigurationError("there is no compiled engine in this version: use engine='auto' or 'reference'")
    return ReferenceEngine()


def _gradient_method(gradient: str | FiniteDifference) -> FiniteDifference | None:
    if isinstance(gradient, FiniteDifference):
        return gradient
    name = one_of("gradient", gradient, _GRADIENTS)
    if name == "backprop":
        return None
    return FiniteDifference(scheme="central" if name == "central_difference" else "forward")


def _training_data(net: Network, X: Any, y: Any, sample_weight: Any) -> tuple[Any, Array, Array | None]:
    if is_source(X):
        n, columns = source_shape(X)
        if columns != net.inputs:
            raise ShapeError(f"X must have {net.inputs} columns, one for each input, received shape {X.shape}")
    else:
        X = check_inputs(X, net.inputs)
        n = X.shape[0]
    Y, classes = net.encode(y, n)
    if net.classes is None:
        net.classes = classes
    weight = check_sample_weight(sample_weight, n)
    return X, Y, None if weight is None else weight.astype(net.dtype)


def _validation_data(net: Network, validation: Sequence[Any] | None) -> tuple[Array, Array, Array | None] | None:
    if validation is None:
        return None
    if not isinstance(validation, tuple | list) or len(validation) not in (2, 3):
        raise ConfigurationError(
            f"validation must be (X, y) or (X, y, sample_weight), received {type(validation).__name__} "
            f"{'of length ' + str(len(validation)) if hasattr(validation, '__len__') else ''}".rstrip()
        )
    return net.check_data(*validation)


def _optimizer_state(net: Network, optimizer: Optimizer, history: History) -> OptimizerState:
    fresh = initial_state(optimizer, net.parameters.size, net.dtype)
    kept = history.state
    if kept is None:
        return fresh
    if kept.slots.shape != fresh.slots.shape:
        raise ConfigurationError(
            f"the optimiser's state to resume from has shape {kept.slots.shape}, but {optimizer!r} on this network "
            f"needs {fresh.slots.shape}: resume with the same optimiser and network"
        )
    fresh.slots[:] = kept.slots
    fresh.step = kept.step
    return fresh
