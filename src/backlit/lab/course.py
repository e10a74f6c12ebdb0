"""A course: one training run that can be stopped, stepped, changed by hand, and taken back to any step.

The steps are the reference engine's, on the job that `fit` would make of the same settings; what has been is the
lens's `Recording`. Order of rows and dropout masks are keyed by epoch and step, so going back and on again gives the
same bits.
"""

from __future__ import annotations

import math
import time
from array import array
from typing import Any, Final, final

import numpy as np

from ..kinds.optimizers import Optimizer, initial_state
from ..kinds.schedules import rate_at
from ..lens.recording.places import Stage, stages_of
from ..lens.recording.recorder import Recorder
from ..lens.recording.recording import Rows, taken
from ..lens.recording.scene import Scene
from ..lens.step.taken import StepTaken, take_traced_step
from ..lens.step.trace import Trace, trace_batch
from ..network import Network
from ..parameters import Array
from ..training.callbacks import Training
from ..training.evaluation import evaluate
from ..training.history import History
from ..training.job import EpochSoFar, Job
from ..training.reference import ReferenceEngine
from ..training.threads import blas_threads

#: Loss and metric of the training rows, and of the test rows.
Measured = tuple[dict[str, float], dict[str, float]]

_MEMORY: Final = 128 * 2**20  # of the recording: parameters at the recorded steps, and the rows
_MEASURED_ROWS: Final = 2000  # on which loss and accuracy are measured between epochs


@final
class Course:
    """A run, and where it stands.

    Parameters
    ----------
    net : Network
        Trained in place.
    data : (X, Y, None)
        Training rows, as `Network.check_data` gives them.
    test : (X, Y, None), or None
    optimizer : Optimizer
    batch_size : int

    Attributes
    ----------
    step : int
        Steps taken: the number, from 0, of the step that comes next.
    furthest : int
        The largest step that has been reached on this branch.
    losses : array of float
        The loss of the batch of each step, before it.
    stopped : str
        Why no further step can be taken; empty while one can.

    Examples
    --------
    >>> import backlit as bl
    >>> net = bl.Network([bl.Dense(1)], inputs=1, dtype="float64")
    >>> X, Y, _ = net.check_data([[1.0], [2.0], [3.0], [4.0]], [2.0, 4.0, 6.0, 8.0])
    >>> course = Course(net, (X, Y, None), None, bl.SGD(0.05), batch_size=2)
    >>> course.advance(6)
    6
    >>> after = net.parameters.values.copy()
    >>> course.go_to(1)
    >>> course.go_to(6)
    >>> bool((net.parameters.values == after).all()), course.epochs_done
    (True, 3)
    """

    def __init__(
        self, net: Network, data: Rows, test: Rows | None, optimizer: Optimizer, batch_size: int, memory: int = _MEMORY
    ) -> None:
        X, Y, _ = data
        self.net = net
        self.optimizer = optimizer
        self.test = test
        self.job = Job(
            net=net,
            X=X,
            Y=Y,
            weight=None,
            optimizer=optimizer,
            state=initial_state(optimizer, net.parameters.size, net.dtype),
            batch_size=min(batch_size, Y.shape[0]),
        )
        self._training = Training(
            net=net,
            optimizer=optimizer,
            history=History(),
            epoch=1,
            epochs=1,
            data=data,
            validation=test,
            job=self.job,
        )
        self._recorder = Recorder(max_bytes=memory)
        self._recorder.on_fit_begin(self._training)
        self._engine = ReferenceEngine()
        self._scene: tuple[int, Scene] | None = None
        self._measured: tuple[int, float, Measured] = (-1, 0.0, ({}, {}))
        self.stages: list[Stage] = stages_of(net)
        self.in_training = any(layer.random or layer.mixes_rows for layer in net.layers)
        self.losses: array[float] = array("d")
        self.furthest = 0
        self.stopped = ""
        self.version = 0

    # ── where it stands ──────────────────────────────────────────────────────────────────────────────────

    @property
    def step(self) -> int:
        return self.job.state.step

    @property
    def recording(self) -> Any:
        """What has been recorded so far."""
        return self._recorder.recording

    @property
    def history(self) -> History:
        """One row for each epoch that was finished, up to the furthest step."""
        return self._training.history

    @property
    def epochs_done(self) -> int:
        """Epochs that are over where the course stands."""
        return self.step // self.job.steps

    @property
    def time(self) -> float:
        """Where it stands, in epochs."""
        return self.step / self.job.steps

    @property
    def learning_rate(self) -> float:
        return rate_at(self.optimizer.learning_rate, self.time)

    def values_at(self, step: int) -> Array:
        """The parameters before a step that has been reached."""
        if step == self.step:
            return self.net.parameters.values
        values: Array = self.recording.before(min(step, self.recording.last_step))[0]
        return values

    def rows(self) -> Array:
        """The numbers of the rows of the batch that comes next."""
        found: Array = self.recording.rows_of(self.step)
        return found

    def trace(self, X: Array, Y: Array, labels: list[str]) -> Trace:
        """A pass of the step that comes next, over any rows."""
        net = self._taking_values()
        step = self.step if self.in_training else None
        return trace_batch(net, X, Y, row_labels=labels, step=step, epoch=self.epochs_done)

    def check_rows(self, X: Array, Y: Array) -> None:
        """Refuse, in a sentence of the network's own, rows that no pass can be made of."""
        self._taking_values().check_data(X, Y)

    def _taking_values(self) -> Network:
        """A copy of the network for targets that are encoded already."""
        net = self.net.astype(self.net.dtype)
        net.classes = None
        return net

    def take(self, trace: Trace) -> StepTaken:
        """What the optimiser would make of a pass; nothing changes."""
        return take_traced_step(trace, self.optimizer, self.job.state, self.time)

    def scene(self) -> Scene:
        """The step that comes next, run through a copy of the network: its passes and its update."""
        if self._scene is None or self._scene[0] != self.version:
            rows = self.rows()
            X, Y, _ = taken((self.job.X, self.job.Y, None), rows)
            trace = self.trace(X, Y, [str(row) for row in rows])
            self._scene = self.version, Scene(self.recording, self.step, trace, self.take(trace), self.stages)
        return self._scene[1]

    def measured(self, seconds: float = 0.0) -> Measured:
        """Loss and metric of the training rows and of the test rows as the network is now; of many rows, the first.

        Where the last measure is not older than so many seconds, it is given again.
        """
        version, when, known = self._measured
        if version != self.version and time.perf_counter() - when >= seconds:
            with np.errstate(all="ignore"):
                known = self._measure(self._training.data), self._measure(self.test)
            self._measured = self.version, time.perf_counter(), known
        return known

    def _measure(self, rows: Rows | None) -> dict[str, float]:
        return {} if rows is None else evaluate(self.net, rows[0][:_MEASURED_ROWS], rows[1][:_MEASURED_ROWS])

    # ── moving it ────────────────────────────────────────────────────────────────────────────────────────

    def advance(self, steps: int) -> int:
        """Take so many steps, and return how many were taken: fewer where the loss was lost."""
        job, taken_steps = self.job, 0
        with blas_threads(self.net, job.batch_size):
            while taken_steps < steps and not self.stopped:
                epoch, first = divmod(self.step, job.steps)
                last = min(first + steps - taken_steps, job.steps, first + self._until_recorded())
                results = self._engine.run_steps(job, job.order(epoch), epoch, first, last)
                done = len(results.losses) - results.diverged
                self._note(results.losses[:done])
                taken_steps += done
                if results.diverged:
                    self._stop(results.losses[-1])
        self.version += 1
        return taken_steps

    def _until_recorded(self) -> int:
        every: int = self.recording.interval
        return every - self.step % every

    def _note(self, losses: list[float]) -> None:
        """Record steps that have just been taken; of those taken before on this branch everything is known."""
        start = self.step - len(losses)
        self.losses.extend(losses[max(0, len(self.losses) - start) :])
        if self.step <= self.furthest:
            return
        self.furthest = self.step
        self._training.epoch = (self.step - 1) // self.job.steps + 1
        if self.step > self.recording.last_step:
            self._recorder.on_steps_end(self._training, 0, 0)
        if self.step % self.job.steps == 0:
            self._note_epoch()

    def _note_epoch(self) -> None:
        job, epoch = self.job, self.step // self.job.steps
        batches = [min(job.batch_size, job.n - i * job.batch_size) for i in range(job.steps)]
        losses = list(self.losses[self.step - job.steps : self.step])
        row = EpochSoFar(losses, [float(rows) for rows in batches]).row()
        row["learning_rate"] = rate_at(self.optimizer.learning_rate, epoch - 1 / job.steps)
        if self.test is not None:
            with np.errstate(all="ignore"):
                row |= {f"val_{name}": value for name, value in evaluate(self.net, *self.test[:2]).items()}
        self.history.append(**row)
        if self.step > self.recording.last_step:
            self._recorder.on_epoch_end(self._training)

    def _stop(self, loss: float) -> None:
        if math.isfinite(loss):
            what = f"the loss became {loss:.3g}, a million times what it was"
        else:
            what = f"the loss is no finite number any more ({loss:g})"
        self.stopped = (
            f"step {self.step} cannot be taken: {what}; go back, and use a learning rate below {self.learning_rate:g}"
        )

    def go_to(self, step: int) -> None:
        """Stand before a step: backwards it is restored, forwards it is trained."""
        step = max(0, step)
        if step < self.step:
            self.stopped = ""
            values, state = self.recording.before(min(step, self.recording.last_step))
            self.net.parameters.values[:] = values
            self.job.state.slots[:], self.job.state.step = state.slots, state.step
            self.net.begin_epoch(max(0, self.step - 1) // self.job.steps)  # as the step before this one left it
            self.version += 1
        if step > self.step:
            self.advance(step - self.step)

    def set_values(self, values: Array) -> None:
        """Replace the parameters by hand: the run goes on from here, and what came later is forgotten."""
        self.net.parameters.values[:] = values
        self.stopped = ""
        self.furthest = self.step
        del self.losses[self.step :]
        history = self.history
        if history.epochs > self.epochs_done:
            kept = {name: column[: self.epochs_done] for name, column in history.to_dict().items()}
            self._training.history = self.recording.history = History.of(kept)
        self._recorder.branch(self._training)
        self.version += 1
