"""Training, nested in named levels: a fit is epochs, an epoch is steps, a step is one batch.

fit              checks the data, and runs epochs in a context where callbacks are told of everything (`running`)
  run_lbfgs        every iteration of L-BFGS is an epoch
  _run_epochs      epoch after epoch, and a last look at the loss
    _run_epoch       order of the rows, steps, one row of history
      run_steps        an engine's steps: batch → forward → backward → optimiser   (`reference.train_step`)
"""

from __future__ import annotations

import os
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
from .ahead import AheadEngine, held_job
from .arguments import check_kinds, check_team, checked_data, gradient_method, optimizer_state, validation_data
from .callbacks import Callback, Training, writes_at_interruption
from .checkpoint import Checkpoint, read_resumed
from .choose import ENGINES, SECONDS_PER_PARAMETER, choose_engine, choose_whole, estimated_seconds
from .communicators import Ahead, Communicator, SerialCommunicator
from .description import whole_description
from .divergence import BestParameters, check_last_step, divergence
from .history import History
from .interruption import Interruption
from .job import Engine, EpochSoFar, Job, number_rate, stays_sparse
from .lbfgs import LBFGS, check_steady, run_lbfgs
from .progress import ProgressBar
from .running import Running
from .threads import blas_limit, blas_threads, usable_threads, wanted_threads


def fit(
    net: Network,
    X: Any,
    y: Any = None,
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
    n_threads: int | None = None,
    progress: bool = True,
    resume: History | Checkpoint | str | os.PathLike[str] | None = None,
    communicator: Communicator | None = None,
) -> History:
    """Train a network, from the parameters that it has.

    Parameters
    ----------
    net : Network
        Changed in place.
    X : array_like, shape (n, inputs), or a BatchSource
        Kept in the type it came in (uint8 images stay uint8); cast and scaled batch by batch. What
        `backlit.data.stream` gives stays on disk, and brings its targets along.
    y : array_like
        Class labels, one-hot rows, or target values; see `backlit.targets.encode_targets`. None with a stream.
    epochs : int, default=10
        Passes over the data, in addition to those of a History in `resume`.
    batch_size : int or None, default=32
        Rows of a step; None for all of them. A last, smaller batch is trained too.
    optimizer : SGD, RMSprop, Adagrad, Adam, AdamW or LBFGS, default=SGD(0.01)
    validation : (X, y) or (X, y, sample_weight), or a stream, optional
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
        activation, loss or optimiser, say) runs on the reference, with a warning. The first time that these kinds of
        layers, loss and optimiser meet it is compiled, for about five seconds. "auto" takes it where the reference
        would need more than about a second. The two differ in rounding: name one where every bit counts.
    n_threads : int, optional
        Threads that may be used. The compiled engine gives the same bits with any number of them, and takes no more
        than the work of a step is worth; on the reference engine they are those of BLAS. Unless given, the environment
        variable ``BACKLIT_NUM_THREADS`` says it, or there are as many as cores.
    progress : bool, default=True
        A progress bar on stderr, where that is a terminal.
    resume : History, Checkpoint or path, optional
        A History of an earlier `fit` of this network: go on where it ended, with its optimiser's state: 2 + 3 epochs
        equal 5. The path of a `Checkpoint`'s file: go on with the run that was written there, in the middle of an epoch
        as well, to the bits of an unbroken one; `epochs` are those of the whole run, and data, settings and callbacks
        those with which it began. A Checkpoint itself: the same, or begin anew where it has not written a file yet.
    communicator : Communicator, optional
        The processes that train this network together, each of which calls `fit` with the same arguments:
        ``backlit.parallel.mpi()``. Callbacks are called on rank 0 alone; what they change at the end of an epoch
        (parameters, learning rate, a stop) is told to the others.

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
    threads = wanted_threads(n_threads)
    X, Y, weight = checked_data(net, X, y, sample_weight=sample_weight)
    saved = read_resumed(resume)
    history = saved.history if saved else resume.copy() if isinstance(resume, History) else History()
    first_epoch = saved.first_epoch if saved else history.epochs
    team = SerialCommunicator() if communicator is None else communicator
    training = Training(
        net=net,
        optimizer=optimizer,
        history=history,
        epoch=history.epochs + 1,
        epochs=first_epoch + epochs,
        data=(X, Y, weight),
        validation=validation_data(net, validation),
        callbacks=_in_order(callbacks, progress and not team.rank),
        first_epoch=first_epoch,
        given_rate=number_rate(optimizer),
    )
    check_team(team, net, optimizer, difference)
    if isinstance(optimizer, LBFGS):
        if difference is not None:
            raise ConfigurationError("LBFGS takes its gradient from back-propagation: leave out gradient=")
        if saved:
            raise ConfigurationError(
                f"the checkpoint {saved.name} is of steps of an optimiser, which LBFGS does not take: resume with the "
                "optimiser that it began with"
            )
        check_steady(net)
        whole = choose_whole(engine, net, training.data, epochs, usable_threads(threads))
        training.engine = whole.name
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
            communicator=team,
            n_threads=usable_threads(threads),
        )
        held = held_job(training.job)
        steps = choose_engine(saved.engine if saved and engine == "auto" else engine, held, epochs)
        if held is not training.job:
            steps = AheadEngine(steps, X, held, training.epochs)
        training.engine = steps.name
        best = training.best = BestParameters(net, history.epochs)
        if saved:
            saved.put_into(training, training.job, best)
        _assemble(training, training.job, epochs)
    try:
        with Running(training, team) as run:
            run.begins()
            if isinstance(optimizer, LBFGS):
                with blas_threads(net, Y.shape[0], sparse=stays_sparse(net, X)), blas_limit(threads):
                    run_lbfgs(run, optimizer, whole)
            elif training.job is not None:
                small = blas_threads(net, training.job.batch_size, sparse=training.job.sparse)
                # others have cores of their own to work on
                with small if communicator is None else blas_limit(1), blas_limit(threads):
                    _run_epochs(run, training.job, steps, best)
        if team.size > 1:
            _share_result(training, team)
    except BaseException as error:
        team.leaves(error)
        raise
    team.leaves(None)
    return history


def _assemble(training: Training, job: Job, epochs: int) -> None:
    """Begin together, or not at all; from here on the callbacks are those of rank 0."""
    team = job.communicator
    steps = epochs * job.steps - job.state.step
    sums = job.net.parameters.sums
    update = sums.size * SECONDS_PER_PARAMETER
    ahead = Ahead(job.state.step, steps, estimated_seconds(job, epochs), update, sums.nbytes)
    team.agree(lambda: whole_description(training, job), ahead)
    if team.rank:
        training.callbacks = []


def _share_result(training: Training, team: Communicator) -> None:
    """Give all the network and the history that rank 0 has: its callbacks may have gone back to the best epoch."""
    history = training.history
    team.give(training.net.parameters.state)
    columns, stopped, best = team.tell(lambda: (history.to_dict(), history.stopped, history.best_epoch))
    if team.rank:
        history.replace(columns)
        history.stopped, history.best_epoch = stopped, best


def _in_order(callbacks: Sequence[Callback], progress: bool) -> list[Callback]:
    """Checkpoints come last: they write what the others remember after each epoch."""
    told = [*callbacks, ProgressBar()] if progress else list(callbacks)
    return sorted(told, key=lambda callback: isinstance(callback, Checkpoint))


def _run_epochs(run: Running, job: Job, engine: Engine, best: BestParameters) -> None:
    """Epoch after epoch, to the last one planned or until a callback has had enough."""
    training, history = run.training, run.training.history
    terminate = job.communicator.size > 1 or any(writes_at_interruption(callback) for callback in run.callbacks)
    try:
        with Interruption(terminate=terminate, communicator=job.communicator) as interruption:
            job.asked_to_stop = lambda: interruption.asked is not None
            # a run that has gone on from its end has no epoch left
            while training.stop_reason is None and history.epochs < training.epochs:
                training.epoch = history.epochs + 1
                _run_epoch(run, job, engine, best, interruption)
            training.epoch = history.epochs
            check_last_step(training, job, best)
            history.stopped = training.stop_reason
    finally:
        history.state = job.state


def _run_epoch(run: Running, job: Job, engine: Engine, best: BestParameters, interruption: Interruption) -> None:
    """One pass over the rows, or what is left of it, its row in the history, and what callbacks do after it."""
    training, so_far, epoch = run.training, run.training.so_far, run.training.epoch - 1
    started = time.perf_counter() - so_far.seconds
    order, done, steps = job.order(epoch), so_far.done, job.steps
    if not done:
        best.begin_epoch(epoch, keep=training.validation is None)
    while done < steps:
        chunk_started = time.perf_counter()
        last = run.next_look(done, min(done + job.pace, steps))
        training.between_steps = False
        with interruption.step:
            results = engine.run_steps(job, order, epoch, done, last)
            so_far.losses += results.losses
            so_far.weights += results.weights
            if results.diverged:
                _end_of_divergence(training, job, order, best)
            done = so_far.done
            so_far.seconds = time.perf_counter() - started
            training.between_steps = True
        if time.perf_counter() - chunk_started < 0.05:
            job.pace = min(2 * job.pace, steps)  # as many steps at once as leave the progress bar moving
        run.steps_end(done, steps)
    row = so_far.row()
    row["learning_rate"] = rate_at(job.optimizer.learning_rate, epoch + (steps - 1) / steps)
    run.measure(row)
    with interruption.step:  # history, best parameters and callbacks come to stand at the same step
        run.record(row, started)
        if training.validation is None:
            best.note_training(row["loss"])
        else:
            best.note(training.epoch, row["val_loss"], training.net.parameters.state)
        training.so_far = EpochSoFar()
        run.epoch_ends()


def _end_of_divergence(training: Training, job: Job, order: Any, best: BestParameters) -> None:
    """Refuse to go on, as the epoch's loss was lost in its last step."""
    losses = training.so_far.losses
    step = len(losses) - 1
    if training.validation is None and step:
        best.note_training(float(np.mean(losses[:step])))
    raise divergence(training, job, order, step, losses[step], best)
