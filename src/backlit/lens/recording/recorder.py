"""`Recorder`: a callback that keeps a training run, so that it can be walked through afterwards."""

from __future__ import annotations

from typing import Any, Final, final

import numpy as np

from ...checks import positive_whole
from ...exceptions import ConfigurationError, NotFittedError
from ...parameters import Array
from ...training.callbacks import Callback, Training
from ...training.communicators import SerialCommunicator
from ...training.job import Job, is_source
from ...typing import StreamedSource
from .recording import Checkpoint, Recording, Rows, rows_bytes

_FEWEST: Final = 3  # checkpoints that there must be room for: the first, the last, and one between them


@final
class Recorder(Callback):
    """Keep the parameters of every k-th step, within a bound on memory.

    The recording thins itself out: when it would outgrow `max_bytes`, k is doubled and every other checkpoint goes.
    Which ones stay depends on the number of steps alone, so the same run is recorded in the same way again.

    The training data is kept whole where it takes at most half of `max_bytes`; then every single step can be shown,
    those between checkpoints by taking them again. Of larger data, or data that is made when asked for, each checkpoint
    keeps the rows of its own step, and those steps can be shown.

    Parameters
    ----------
    every : int, default=1
        k to begin with.
    max_bytes : int, default=64 MiB
        Of parameters, the optimiser's memory and rows together.

    Attributes
    ----------
    recording : Recording
        Of the run at work or just finished.

    Raises
    ------
    ConfigurationError
        When the run begins: with LBFGS, or gradients by finite differences, which are not steps of back-propagation; or
        if `max_bytes` is too small for three checkpoints.

    Examples
    --------
    >>> import backlit as bl
    >>> recorder = Recorder()
    >>> net = bl.Network([bl.Dense(1, weight_init=3.0)], inputs=1, dtype="float64")
    >>> _ = bl.fit(net, [[1.0]], [1.0], epochs=3, optimizer=bl.SGD(0.1), callbacks=[recorder])
    >>> player = recorder.recording.player()
    >>> print(player.at(0, sample=0, direction="forward", layer=0, unit=0, term=0).line)
    a_0 · w[0, 0] = 1 · 3 = 3
    >>> player.next("batch").line
    'loss 1.28 → 0.8192 on the same 1 row, by SGD(0.1)'
    """

    def __init__(self, every: int = 1, max_bytes: int = 64 * 2**20) -> None:
        self.every = positive_whole("every", every)
        self.max_bytes = positive_whole("max_bytes", max_bytes)
        self._recording: Recording | None = None

    @property
    def recording(self) -> Recording:
        if self._recording is None:
            raise NotFittedError("nothing has been recorded yet: give the Recorder to fit(…, callbacks=[recorder])")
        return self._recording

    def on_fit_begin(self, training: Training) -> None:
        self._recording = None
        job = training.job
        if job is None:
            raise ConfigurationError(
                f"a Recorder follows steps of a gradient, and {training.optimizer!r} has a loop of its own: "
                "record with SGD, RMSprop, Adagrad, Adam or AdamW"
            )
        if isinstance(job.X, StreamedSource):
            raise ConfigurationError(
                "a Recorder keeps the rows of steps, and those of a stream are read as they come: record on some rows "
                "in memory"
            )
        if training.so_far.done:
            raise ConfigurationError(
                "a Recorder begins with the first step of an epoch, and the checkpoint is in the middle of one: go on "
                "without the Recorder"
            )
        if job.gradient is not None:
            raise ConfigurationError(
                "a Recorder replays steps of back-propagation: leave out gradient= or leave out the Recorder"
            )
        if not isinstance(job.communicator, SerialCommunicator):
            raise ConfigurationError(
                "a Recorder replays the steps of one process to the bit: leave out communicator= or leave out the "
                "Recorder"
            )
        data = _whole_data(job, self.max_bytes)
        epoch = training.epoch - 1
        first = _checkpoint(job, None if data else _batch(job, job.order(epoch)[: job.batch_size], epoch))
        needed = _FEWEST * first.nbytes + (rows_bytes(data) if data else 0)
        if needed > self.max_bytes:
            raise ConfigurationError(
                f"max_bytes={self.max_bytes:,} is too small: one step of this run takes {first.nbytes:,} bytes, "
                f"give at least {needed:,}"
            )
        self._recording = Recording(
            net=job.net.astype(job.net.dtype),
            optimizer=job.optimizer,
            engine=training.engine,
            n=job.n,
            batch_size=job.batch_size,
            shuffle=job.shuffle,
            first_step=job.state.step,
            first_epoch=training.history.epochs,
            interval=self.every,
            checkpoints=[first],
            data=data,
            history=training.history,
        )
        self._bytes = self._recording.nbytes
        self.every_steps = self.every

    def on_steps_end(self, training: Training, done: int, total: int) -> None:
        if training.job is not None and training.job.state.step % self.recording.interval == 0:
            self._record(training.job)

    def on_epoch_end(self, training: Training) -> None:
        # The end of an epoch may be the end of the run: it is kept until a later step is.
        if training.job is not None and training.job.state.step != self.recording.last_step:
            self._record(training.job)

    def _record(self, job: Job) -> None:
        recording = self.recording
        if not np.isfinite(job.net.parameters.values).all():
            return
        if not recording.stays(recording.checkpoints[-1]):
            self._bytes -= recording.checkpoints.pop().nbytes
        newest = _checkpoint(job, self._rows(job))
        recording.checkpoints.append(newest)
        self._bytes += newest.nbytes
        while self._bytes > self.max_bytes:
            recording.interval *= 2
            recording.checkpoints = [c for c in recording.checkpoints if recording.stays(c) or c is newest]
            self._bytes = recording.nbytes
        self.every_steps = recording.interval

    def branch(self, training: Training) -> None:
        """Take the parameters as they are now, changed by hand, for those of this step; later steps are forgotten."""
        if training.job is not None:
            self.recording.branch(_checkpoint(training.job, self._rows(training.job)))
            self._bytes = self.recording.nbytes

    def _rows(self, job: Job) -> Rows | None:
        """The rows of the step that comes next, where the recording does not have them all."""
        step = job.state.step
        if self.recording.data is not None:
            return None
        return _batch(job, self.recording.rows_of(step), self.recording.epoch_of(step)[0] - 1)

    def __repr__(self) -> str:
        return f"Recorder(every={self.every}, max_bytes={self.max_bytes})"


def _checkpoint(job: Job, batch: Rows | None) -> Checkpoint:
    return Checkpoint(job.state.step, job.net.parameters.values.copy(), job.state.slots.copy(), batch)


def _whole_data(job: Job, max_bytes: int) -> Rows | None:
    """A copy of the training data, unless it is made when asked for or too large."""
    if is_source(job.X):
        return None
    itemsize = _kept_type(job.X[:0]).itemsize
    size = job.X.size * itemsize + job.Y.nbytes + (0 if job.weight is None else job.weight.nbytes)
    if size > max_bytes // 2:
        return None
    return _kept_type(job.X).copy(), job.Y.copy(), None if job.weight is None else job.weight.copy()


def _batch(job: Job, rows: Array, epoch: int) -> Rows:
    """The rows of a step in an epoch (from 0), as the network is given them."""
    Y, weight = job.Y[rows], None if job.weight is None else job.weight[rows]
    if not is_source(job.X):
        return _kept_type(job.X[rows]), Y, weight
    made: Array = np.empty((rows.size, job.net.inputs), job.net.dtype)
    job.X.fetch(rows, made, epoch=epoch)
    return made, Y, weight


def _kept_type(X: Any) -> Array:
    """X in a type that a file holds, without changing what the network makes of it: whole numbers become float64."""
    kept: Array = X if X.dtype in (np.uint8, np.float32, np.float64) else X.astype(np.float64)
    return kept
