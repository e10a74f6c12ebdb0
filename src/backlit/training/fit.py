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

from ..checking.gradcheck import FiniteDifference
from ..checks import one_of, positive_whole
from ..exceptions import ConfigurationError, DataError, DivergenceError, ShapeError
from ..kinds import Dropout
from ..kinds.optimizers import SGD, Optimizer, OptimizerState, initial_state
from ..kinds.schedules import rate_at
from ..network import Network
from ..parameters import Array
from ..targets import check_inputs, check_sample_weight
from .callbacks import Callback, Training
from .choose import ENGINES, choose_engine, warn_of_fallback
from .divergence import BestParameters, check_last_step, divergence
from .evaluation import evaluate, load_rows
from .history import History
from .job import Engine, Job, is_source, source_shape
from .lbfgs import LBFGS, minimize_lbfgs
from .progress import ProgressBar
from .threads import blas_threads

_GRADIENTS: Final = ("backprop", "finite_difference", "central_difference")
_SOURCE_ELEMENTS: Final = 2**24  # numbers that L-BFGS asks a source for at once


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
    engine : {"auto", "reference", "compiled"}, default="auto"
        "compiled" needs ``backlit[fast]`` and is as much faster as the network is small; what it cannot run (your own
        activation, loss or optimiser, say) runs on the reference, with a warning. The first time ever it is compiled,
        for some twenty seconds. "auto" takes it where the reference would need more than a few seconds. The two differ
        in rounding: name one where every bit counts.
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
    _check_kinds(net, optimizer, callbacks, resume)
    one_of("engine", engine, ENGINES)
    difference = _gradient_method(gradient)
    X, Y, weight = _checked_data(net, X, y, sample_weight=sample_weight)
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
    )
    hooks = [*callbacks, ProgressBar()] if progress else list(callbacks)
    if isinstance(optimizer, LBFGS):
        if difference is not None:
            raise ConfigurationError("LBFGS takes its gradient from back-propagation: leave out gradient=")
        if engine == "compiled":
            warn_of_fallback("LBFGS has a loop of its own", stacklevel=3)
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
    training.job = job
    chosen = choose_engine(engine, job, epochs)
    training.engine = chosen.name
    best = BestParameters(net, history.epochs)
    # The callbacks' end comes after an error and after Ctrl-C as well: a progress bar has to let go of the terminal.
    begun: list[Callback] = []
    try:
        for callback in hooks:
            begun.append(callback)
            callback.on_fit_begin(training)
        with blas_threads(net, job.batch_size):
            for epoch in range(history.epochs, training.epochs):
                training.epoch = epoch + 1
                _run_epoch(training, job, chosen, hooks, best)
                for callback in hooks:
                    callback.on_epoch_end(training)
                if training.stop_reason is not None:
                    break
        check_last_step(training, job, best)
        history.stopped = training.stop_reason
    except KeyboardInterrupt:
        _note_interruption(training)
    finally:
        history.state = job.state
        for callback in begun:
            callback.on_fit_end(training)
    return history


def _run_epoch(training: Training, job: Job, engine: Engine, hooks: list[Callback], best: BestParameters) -> None:
    """One pass over the rows, and its row in the history."""
    epoch = training.epoch - 1
    started = time.perf_counter()
    order = job.order(epoch)
    best.begin_epoch(epoch)
    losses: list[float] = []
    weights: list[float] = []
    done = 0
    while done < job.steps:
        chunk_started = time.perf_counter()
        # to the end of the chunk, of the epoch, or to the next step that a callback wants to see
        asked = [hook.every_steps for hook in hooks if hook.every_steps]
        last = min(done + job.pace, job.steps, *(done + every - job.state.step % every for every in asked))
        results = engine.run_steps(job, order, epoch, done, last)
        losses += results.losses
        weights += results.weights
        if results.diverged:
            if training.validation is None and len(losses) > 1:
                best.note_training(float(np.mean(losses[:-1])))
            raise divergence(training, job, order, len(losses) - 1, losses[-1], best)
        done = last
        if time.perf_counter() - chunk_started < 0.05:
            job.pace = min(2 * job.pace, job.steps)  # as many steps at once as leave the progress bar moving
        for callback in hooks:
            callback.on_steps_end(training, done, job.steps)
    counted = [loss for loss, weight in zip(losses, weights, strict=True) if weight > 0]
    row = {
        # each step's loss is a mean over its rows; the epoch's is the mean over all rows
        "loss": float(np.dot(losses, weights)) / sum(weights),
        "batch_loss_min": min(counted),
        "batch_loss_max": max(counted),
        "learning_rate": rate_at(job.optimizer.learning_rate, epoch + (job.steps - 1) / job.steps),
    }
    row |= _validate(training)
    training.history.append(**row, seconds=time.perf_counter() - started)
    if training.validation is None:
        best.note_training(row["loss"])
    else:
        best.note(training.epoch, row["val_loss"], training.net.parameters.values)


def _validate(training: Training) -> dict[str, float]:
    if training.validation is None:
        return {}
    with np.errstate(over="ignore", invalid="ignore"):
        X, Y, weight = training.validation
        return {f"val_{name}": value for name, value in evaluate(training.net, X, Y, weight=weight).items()}


def _note_interruption(training: Training) -> None:
    training.history.stopped = f"interrupted in epoch {training.epoch}"
    warnings.warn(
        f"training was {training.history.stopped}; the network keeps what it has learnt so far",
        stacklevel=3 if not isinstance(training.optimizer, LBFGS) else 4,
    )


def _fit_lbfgs(training: Training, hooks: list[Callback], optimizer: LBFGS, epochs: int) -> History:
    """L-BFGS has its own loop: every iteration sees all rows and counts as one epoch."""
    net, history = training.net, training.history
    X, Y, weight = training.data
    if any(isinstance(layer, Dropout) for layer in net.layers):
        raise ConfigurationError(
            "LBFGS needs a loss that stays the same: leave out Dropout, or choose another optimiser"
        )
    values, sums = net.parameters.values, net.parameters.sums
    n = Y.shape[0]
    at_once = max(1, _SOURCE_ELEMENTS // net.inputs) if is_source(X) else n

    def loss_and_gradient(theta: Array) -> tuple[float, Array]:
        values[:] = theta
        total = np.zeros_like(sums)
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, n, at_once):
                rows = slice(start, min(start + at_once, n))
                work = net.workspace(rows.stop - start)
                load_rows(work, X, Y, weight, rows)
                net.forward_pass(work)
                net.backward_pass(work)
                total += sums
            sums[:] = total
            loss = net.average()
        return loss, net.parameters.gradients.astype(np.float64)

    started = time.perf_counter()

    def on_iteration(theta: Array, loss: float) -> bool:
        nonlocal started
        values[:] = theta
        reached[:] = theta
        now = time.perf_counter()
        row = {"loss": loss, "batch_loss_min": loss, "batch_loss_max": loss} | _validate(training)
        history.append(**row, seconds=now - started)
        started = now
        training.epoch = history.epochs
        for callback in hooks:
            callback.on_epoch_end(training)
        return training.stop_reason is not None

    start = values.copy()
    reached = values.copy()  # after the last finished iteration; in a line search `values` is somewhere else
    begun: list[Callback] = []
    try:
        for callback in hooks:
            begun.append(callback)
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
        history.stopped = training.stop_reason or (None if "ITERATIONS" in reason else reason)
    except KeyboardInterrupt:
        values[:] = reached
        _note_interruption(training)
    finally:
        for callback in begun:
            callback.on_fit_end(training)
    return history


def _check_kinds(net: Any, optimizer: Any, callbacks: Any, resume: Any) -> None:
    """Refuse arguments of `fit` that are not what their name says."""
    if not isinstance(net, Network):
        raise ConfigurationError(f"fit trains a Network, received {net!r}")
    if isinstance(optimizer, type) or not (isinstance(optimizer, LBFGS) or hasattr(optimizer, "update")):
        raise ConfigurationError(f"optimizer must be an optimiser such as Adam(0.001), received {optimizer!r}")
    if not isinstance(callbacks, Sequence) or not all(isinstance(callback, Callback) for callback in callbacks):
        raise ConfigurationError(f"callbacks must be a list such as [EarlyStopping()], received {callbacks!r}")
    if resume is not None and not isinstance(resume, History):
        raise ConfigurationError(f"resume must be the History of an earlier fit, received {resume!r}")


def _gradient_method(gradient: str | FiniteDifference) -> FiniteDifference | None:
    if isinstance(gradient, FiniteDifference):
        return gradient
    name = one_of("gradient", gradient, _GRADIENTS)
    if name == "backprop":
        return None
    return FiniteDifference(scheme="central" if name == "central_difference" else "forward")


def _checked_data(net: Network, X: Any, y: Any, *, sample_weight: Any = None) -> tuple[Any, Array, Array | None]:
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


def _validation_data(net: Network, validation: Sequence[Any] | None) -> tuple[Any, Array, Array | None] | None:
    if validation is None:
        return None
    if not isinstance(validation, tuple | list) or len(validation) not in (2, 3):
        raise ConfigurationError(
            f"validation must be (X, y) or (X, y, sample_weight), received {type(validation).__name__} "
            f"{'of length ' + str(len(validation)) if hasattr(validation, '__len__') else ''}".rstrip()
        )
    try:
        X, y, *weight = validation
        return _checked_data(net, X, y, sample_weight=weight[0] if weight else None)
    except DataError as error:
        raise type(error)(f"in the validation data, {error}") from error


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
