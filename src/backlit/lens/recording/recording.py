"""A recording of a training run: the parameters at some steps, and from them those at every other step.

A checkpoint holds the parameters *before* a step and what the optimiser remembers. Order of rows and dropout masks are
keyed, not consumed, so the steps between two checkpoints are not stored: they are taken again, by the reference engine.
"""

from __future__ import annotations

import bisect
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, final

import numpy as np

from ...exceptions import ConfigurationError
from ...kinds.optimizers import Optimizer, OptimizerState, initial_state, take_step
from ...kinds.schedules import rate_at
from ...network import Network
from ...pages import Page, Table, Words, count, number, shown
from ...parameters import Array
from ...training.history import History
from ...training.job import order_of_rows
from ...training.reference import load_batch
from ...training.threads import blas_threads

if TYPE_CHECKING:
    from .player import Player

#: X, Y and sample weights, as `Training.data` has them.
Rows = tuple[Array, Array, Array | None]


_OVERHEAD: Final = 400  # bytes that Python and NumPy need beside the numbers of a checkpoint


@final
@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """The state of training before one step.

    Attributes
    ----------
    step : int
        Steps taken so far, over all runs that were resumed: the number, from 0, of the step that comes next.
    values : ndarray, shape (P,)
        All parameters.
    slots : ndarray, shape (number of slots, P)
        What the optimiser remembers.
    batch : (X, Y, weight), or None
        The rows of the step that comes next, where the recording does not hold all rows.
    """

    step: int
    values: Array
    slots: Array
    batch: Rows | None

    @property
    def nbytes(self) -> int:
        rows = 0 if self.batch is None else rows_bytes(self.batch)
        return _OVERHEAD + self.values.nbytes + self.slots.nbytes + rows


@shown
@final
@dataclass(eq=False)
class Recording:
    """What a `Recorder` kept of a run.

    Attributes
    ----------
    net : Network
        With the parameters from which the run began.
    optimizer : Optimizer
    engine : str
        That ran the steps. Replaying is done by the reference engine: bit for bit what it did itself, and what the
        compiled engine did to rounding.
    n, batch_size, shuffle
        Rows of the data, rows of a step, and whether every epoch has an order of its own.
    first_step, first_epoch : int
        Steps and epochs that were over when the run began: 0, unless it was resumed.
    interval : int
        Steps from one checkpoint to the next; the first and the last step have one as well.
    checkpoints : list of Checkpoint
    data : (X, Y, weight), or None
        All rows; None where they were too many, and every checkpoint has its own.
    history : History

    Examples
    --------
    >>> import backlit as bl
    >>> from backlit.lens.recording.recorder import Recorder
    >>> recorder = Recorder()
    >>> net = bl.Network([bl.Dense(1)], inputs=1, dtype="float64")
    >>> _ = bl.fit(net, [[1.0], [2.0]], [2.0, 4.0], epochs=5, optimizer=bl.SGD(0.1), callbacks=[recorder])
    >>> recorder.recording
    Recording(5 steps of SGD(0.1), 6 checkpoints, 2.5 kB)
    """

    net: Network
    optimizer: Optimizer
    engine: str
    n: int
    batch_size: int
    shuffle: bool
    first_step: int
    first_epoch: int
    interval: int
    checkpoints: list[Checkpoint]
    data: Rows | None
    history: History
    _kept: set[int] = field(default_factory=set, init=False)  # steps whose checkpoint no other one can stand in for
    _orders: dict[int, Array] = field(default_factory=dict, init=False)  # of the epoch asked for last
    _net: Network | None = field(default=None, init=False)  # that replays
    _reached: Checkpoint | None = field(default=None, init=False)  # where the last replay ended

    # ── places in time ───────────────────────────────────────────────────────────────────────────────────

    @property
    def steps_per_epoch(self) -> int:
        return -(-self.n // self.batch_size)

    @property
    def last_step(self) -> int:
        """Steps taken at the end of the recording."""
        return self.checkpoints[-1].step

    @property
    def steps(self) -> Sequence[int]:
        """The numbers of the steps that can be shown: all of them, or those recorded where rows are kept with them."""
        if self.data is not None:
            return range(self.first_step, self.last_step)
        return [checkpoint.step for checkpoint in self.checkpoints[:-1]]

    def epoch_of(self, step: int) -> tuple[int, int]:
        """The epoch of a step, from 1, and the number of the batch in it, from 0."""
        epoch, batch = divmod(step - self.first_step, self.steps_per_epoch)
        return self.first_epoch + epoch + 1, batch

    def time_of(self, step: int) -> float:
        """When a step is taken, in epochs: what schedules of the learning rate go by."""
        epoch, batch = self.epoch_of(step)
        return epoch - 1 + batch / self.steps_per_epoch

    def rows_of(self, step: int) -> Array:
        """The numbers of the rows in the batch of a step, as the training data counts them."""
        epoch, batch = self.epoch_of(step)
        if epoch not in self._orders:
            seed = self.net.seed if self.shuffle else None
            self._orders = {epoch: order_of_rows(self.n, self.batch_size, epoch - 1, seed)}
        return self._orders[epoch][batch * self.batch_size : (batch + 1) * self.batch_size]

    def batch_of(self, step: int) -> Rows:
        """X, Y and sample weights of the batch of a step."""
        self.check_step(step)
        if self.data is not None:
            return taken(self.data, self.rows_of(step))
        batch = self._nearest(step).batch
        if batch is None:
            raise ConfigurationError(f"the recording has no rows for step {step}: it is damaged, record again")
        return batch

    def check_step(self, step: int) -> None:
        """Refuse the number of a step that cannot be shown."""
        if step in self.steps:
            return
        if self.data is not None:
            raise ConfigurationError(
                f"there is no step {step!r} in this recording: it has the steps {self.first_step} to "
                f"{self.last_step - 1}"
            )
        near = sorted(self.steps, key=lambda known: abs(known - step))[:3]
        raise ConfigurationError(
            f"step {step!r} cannot be shown: this recording keeps rows only at every {self.interval} steps, "
            f"the nearest are {', '.join(map(str, sorted(near)))}"
        )

    # ── the network at any step ──────────────────────────────────────────────────────────────────────────

    def before(self, step: int) -> tuple[Array, OptimizerState]:
        """Parameters and optimiser's memory before a step (or at the end), taken again from the nearest checkpoint."""
        nearest = self._nearest(step)
        if nearest.step != step:
            if self.data is None:
                self.check_step(step)
            if self._reached is not None and nearest.step < self._reached.step <= step:
                nearest = self._reached
            values, state = self._replay(nearest, step)
            nearest = self._reached = Checkpoint(step, values, state.slots, None)
        return nearest.values.copy(), self._state(nearest)

    def stays(self, checkpoint: Checkpoint) -> bool:
        """Whether a checkpoint that is not the newest is kept: the first, a multiple of the interval, an edit."""
        step = checkpoint.step
        return step == self.first_step or step % self.interval == 0 or step in self._kept

    def branch(self, here: Checkpoint) -> None:
        """Let the run go on from `here`, whatever was recorded from its step on: somebody has changed the parameters.

        Examples
        --------
        >>> import backlit as bl
        >>> recorder = bl.Recorder()
        >>> net = bl.Network([bl.Dense(1)], inputs=1, dtype="float64")
        >>> _ = bl.fit(net, [[1.0]], [2.0], epochs=4, optimizer=bl.SGD(0.1), callbacks=[recorder])
        >>> recording = recorder.recording
        >>> recording.branch(Checkpoint(2, np.array([5.0, 0.0]), np.empty((0, 2)), None))
        >>> recording.last_step, recording.before(2)[0].tolist()
        (2, [5.0, 0.0])
        """
        self.checkpoints = [checkpoint for checkpoint in self.checkpoints if checkpoint.step < here.step] + [here]
        self._kept = {step for step in self._kept if step < here.step} | {here.step}
        self._reached = None

    def replay_error(self) -> float:
        """Replay every stretch between two checkpoints: the largest difference from what was recorded, 0.0 for none.

        As a fraction of the largest parameter. Where rows are kept with the checkpoints, stretches of one step.
        """
        worst = 0.0
        for one, other in zip(self.checkpoints, self.checkpoints[1:], strict=False):
            if self.data is not None or other.step == one.step + 1:
                values, _ = self._replay(one, other.step)
                worst = max(worst, float(np.abs(values - other.values).max() / np.abs(other.values).max()))
        return worst

    def _nearest(self, step: int) -> Checkpoint:
        """The last checkpoint that is not after the step."""
        if not self.first_step <= step <= self.last_step:
            self.check_step(step)
        at = bisect.bisect_right(self.checkpoints, step, key=lambda checkpoint: checkpoint.step)
        return self.checkpoints[at - 1]

    def _state(self, at: Checkpoint) -> OptimizerState:
        """What the optimiser remembers there, in memory of its own."""
        state = initial_state(self.optimizer, at.values.size, at.values.dtype)
        state.slots[:], state.step = at.slots, at.step
        return state

    def _replay(self, start: Checkpoint, step: int) -> tuple[Array, OptimizerState]:
        if self._net is None:
            self._net = self.net.astype(self.net.dtype)
        net, parameters = self._net, self._net.parameters
        parameters.values[:] = start.values
        state = self._state(start)
        with blas_threads(net, self.batch_size), np.errstate(all="ignore"):
            for at in range(start.step, step):
                epoch, _ = self.epoch_of(at)
                data, rows = self.data, self.rows_of(at)
                if data is None:
                    data, rows = self.batch_of(at), np.arange(rows.size)
                work = load_batch(net, data, rows, epoch - 1)
                net.begin_epoch(epoch - 1)
                net.forward_pass(work, at)
                net.backward_pass(work)
                net.average()
                rate = rate_at(self.optimizer.learning_rate, self.time_of(at))
                take_step(self.optimizer, parameters.values, parameters.gradients, parameters.weight_mask, state, rate)
        return parameters.values.copy(), state

    # ── using it ─────────────────────────────────────────────────────────────────────────────────────────

    def player(self) -> Player:
        """A `Player`: it goes through the recording step by step, at any of five grains."""
        from .player import Player

        return Player(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the recording into one file (safetensors with metadata).

        Raises
        ------
        OutputError
            If the path cannot be written.
        ConfigurationError
            If network, optimiser or schedule are of the user's own making, which no file can hold.
        """
        from .file import write_recording

        write_recording(self, path)

    @staticmethod
    def load(path: str | os.PathLike[str]) -> Recording:
        """Read what `save` wrote.

        Raises
        ------
        FileMissingError
            If there is no such file.
        ModelFileError
            If the file is damaged, or something else than a recording.
        """
        from .file import read_recording

        fields, checkpoints = read_recording(path)
        return Recording(**fields, checkpoints=[Checkpoint(*each) for each in checkpoints])

    @property
    def nbytes(self) -> int:
        """Bytes of everything kept."""
        return sum(checkpoint.nbytes for checkpoint in self.checkpoints) + (
            0 if self.data is None else rows_bytes(self.data)
        )

    def page(self) -> Page:
        """What is in the recording."""
        first = self.first_epoch + 1
        last, _ = self.epoch_of(max(self.first_step, self.last_step - 1))
        epochs = f"epoch {first}" if first == last else f"epochs {first} to {last}"
        kept = "after every step" if self.interval == 1 else f"after every {self.interval} steps"
        rows = f"all {self.n:,} rows" if self.data is not None else "the rows of each recorded step"
        facts = {
            "optimiser": repr(self.optimizer),
            "steps": f"{self.last_step - self.first_step:,}, in {epochs} of {count(self.steps_per_epoch, 'step')}",
            "batches": f"{count(self.batch_size, 'row')} of {self.n:,}, {'shuffled' if self.shuffle else 'in order'}",
            "parameters": f"{count(len(self.checkpoints), 'checkpoint')}, {kept}",
            "data": rows,
            "memory": _size(self.nbytes),
            "run by": f"the {self.engine} engine",
        }
        losses = self.history["loss"][self.first_epoch :] if self.history.epochs else []
        if losses:
            facts["loss"] = " → ".join(number(loss, 4) for loss in (losses[0], losses[-1])[: len(losses)])
        blocks: list[Words | Table] = [Words(repr(self.net), "dim")]
        blocks.append(Table(["", ""], [[name, fact] for name, fact in facts.items()], "ll"))
        return Page("Recording of a training run", blocks)

    def __repr__(self) -> str:
        taken_steps = self.last_step - self.first_step
        return (
            f"Recording({count(taken_steps, 'step')} of {self.optimizer!r}, "
            f"{count(len(self.checkpoints), 'checkpoint')}, {_size(self.nbytes)})"
        )


def taken(data: Rows, rows: Array) -> Rows:
    """The given rows of a data set."""
    X, Y, weight = data
    return X[rows], Y[rows], None if weight is None else weight[rows]


def rows_bytes(rows: Rows) -> int:
    return sum(array.nbytes for array in rows if array is not None)


def _size(nbytes: int) -> str:
    return f"{nbytes / 1e3:.1f} kB" if nbytes < 1e6 else f"{nbytes / 1e6:.1f} MB"
