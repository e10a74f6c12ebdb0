"""Training, nested in named levels: a fit is epochs, an epoch is steps, a step is one batch.

fit              checks the data, and runs epochs in a context where callbacks are told of everything (`running`)
  run_lbfgs        every iteration of L-BFGS is an epoch
  _run_epochs      epoch after epoch, and a last look at the loss
    _run_epoch       order of the rows, steps, one row of history
      run_steps        an engine's steps: batch → forward → backward → optimiser   (`reference.train_step`)
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..checking.gradcheck import FiniteDifference
from ..checks import one_of, positive_whole
from ..exceptions import ConfigurationError
from ..kinds.optimizers import SGD, Optimizer
from ..kinds.schedules import rate_at
from ..network import Network
from .arguments import check_kinds, checked_data, gradient_method, optimizer_state, validation_data
from .callbacks import Callback, Training
from .choose import ENGINES, choose_engine, warn_of_fallback
from .divergence import BestParameters, check_last_step, divergence
from .history import History
from .job import Engine, Job
from .lbfgs import LBFGS, run_lbfgs
from .progress import ProgressBar
from .running import Running
from .threads import blas_threads


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
    check_kinds(net, optimizer, callbacks, resume)
    one_of("engine", engine, ENGINES)
    difference = gradient_method(gradient)
    X, Y, weight = checked_data(net, X, y, sample_weight=sample_weight)
    history = History() if resume is None else resume.copy()
    training = Training(
        net=net,
        optimizer=optimizer,
        history=history,
        epoch=history.epochs + 1,
        epochs=history.epochs + epochs,
        data=(X, Y, weight),
        validation=validation_data(net, validation),
    )
    if isinstance(optimizer, LBFGS):
        if difference is not None:
            raise ConfigurationError("LBFGS takes its gradient from back-propagation: leave out gradient=")
        if engine == "compiled":
            warn_of_fallback("LBFGS has a loop of its own", stacklevel=3)
    else:
        training.job = Job(
            net=net,
            X=X,
            Y=Y,
            weight=weight,
            optimizer=optimizer,
            state=optimizer_state(net, optimizer, history.state),
            batch_size=Y.shape[0] if batch_size is None else min(positive_whole("batch_size", batch_size), Y.shape[0]),
            shuffle=shuffle,
            gradient=difference,
        )
        steps = choose_engine(engine, training.job, epochs)
        training.engine = steps.name
    with Running(training, [*callbacks, ProgressBar()] if progress else callbacks) as run:
        run.begins()
        if isinstance(optimizer, LBFGS):
            run_lbfgs(run, optimizer)
        elif training.job is not None:
            with blas_threads(net, training.job.batch_size):
                _run_epochs(run, training.job, steps)
    return history


def _run_epochs(run: Running, job: Job, engine: Engine) -> None:
    """Epoch after epoch, to the last one planned or until a callback has had enough."""
    training, history = run.training, run.training.history
    best = BestParameters(job.net, history.epochs)
    try:
        for epoch in range(history.epochs, training.epochs):
            training.epoch = epoch + 1
            _run_epoch(run, job, engine, best)
            if run.epoch_ends():
                break
        check_last_step(training, job, best)
        history.stopped = training.stop_reason
    finally:
        history.state = job.state


def _run_epoch(run: Running, job: Job, engine: Engine, best: BestParameters) -> None:
    """One pass over the rows, and its row in the history."""
    training, epoch = run.training, run.training.epoch - 1
    started = time.perf_counter()
    order = job.order(epoch)
    best.begin_epoch(epoch)
    losses: list[float] = []
    weights: list[float] = []
    while len(losses) < job.steps:
        chunk_started = time.perf_counter()
        done = len(losses)
        results = engine.run_steps(job, order, epoch, done, run.next_look(done, min(done + job.pace, job.steps)))
        losses += results.losses
        weights += results.weights
        lost = next((step for step in range(done, len(losses)) if job.lost(losses[step])), None)
        if lost is not None:
            if training.validation is None and lost:
                best.note_training(float(np.mean(losses[:lost])))
            raise divergence(training, job, order, lost, losses[lost], best)
        if time.perf_counter() - chunk_started < 0.05:
            job.pace = min(2 * job.pace, job.steps)  # as many steps at once as leave the progress bar moving
        run.steps_end(len(losses), job.steps)
    counted = [loss for loss, weight in zip(losses, weights, strict=True) if weight > 0]
    row = {
        # each step's loss is a mean over its rows; the epoch's is the mean over all rows
        "loss": float(np.dot(losses, weights)) / sum(weights),
        "batch_loss_min": min(counted),
        "batch_loss_max": max(counted),
        "learning_rate": rate_at(job.optimizer.learning_rate, epoch + (job.steps - 1) / job.steps),
    }
    run.record(row, started)
    if training.validation is None:
        best.note_training(row["loss"])
    else:
        best.note(training.epoch, row["val_loss"], training.net.parameters.values)
