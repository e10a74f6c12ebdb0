"""Training that leaves the finite numbers: seen, located, and undone."""

from __future__ import annotations

from typing import final

import numpy as np

from ..checking.batch_loss import batch_loss
from ..exceptions import DivergenceError
from ..kinds.schedules import rate_at
from ..network import Network
from ..parameters import Array
from .callbacks import Training
from .job import Job
from .reference import load_batch


@final
class BestParameters:
    """The parameters with the smallest loss so far, to go back to when training diverges.

    A validation loss is measured after an epoch, at the parameters of that moment. A training loss is measured before
    each step: it speaks for the parameters from which the epoch began, not for those where its last step led.

    Examples
    --------
    >>> from backlit.kinds import Dense
    >>> net = Network([Dense(1, weight_init=2.0)], inputs=1)
    >>> best = BestParameters(net, epoch=0)
    >>> best.begin_epoch(0)
    >>> net.parameters.values[:] = 1e30
    >>> best.note_training(0.5)
    >>> best.values
    array([2., 0.], dtype=float32)
    """

    def __init__(self, net: Network, epoch: int) -> None:
        self.net = net
        self.epoch = self.start_epoch = epoch
        self.loss = np.inf
        self.values = net.parameters.state.copy()
        self._start: Array | None = None  # room for the beginning of an epoch, made when it is not the best itself
        self._starts_from_best = True

    @property
    def start(self) -> Array:
        """The parameters at the beginning of the epoch at work, where its training loss is what tells."""
        return self.values if self._start is None or self._starts_from_best else self._start

    def put(self, values: Array, start: Array) -> None:
        """Remember what an earlier run did."""
        self.values[:] = values
        self._starts_from_best = bool(np.array_equal(start, values))
        if not self._starts_from_best:
            self._start = np.array(start)

    def begin_epoch(self, done: int, *, keep: bool = True) -> None:
        """Remember the parameters after `done` epochs, from which the next one begins, where they are to be kept."""
        state, self.start_epoch = self.net.parameters.state, done
        if not keep:
            return
        if done == self.epoch and np.isinf(self.loss):  # nothing is known of any others
            self.values[:] = state
            return
        if self._start is None:
            self._start = np.empty_like(state)
        self._start[:] = state
        self._starts_from_best = False

    def note_training(self, loss: float) -> None:
        """Take note of the mean loss of the epoch that has begun."""
        if loss < self.loss:
            self.epoch, self.loss = self.start_epoch, loss
            if self._start is not None and not self._starts_from_best:
                self.values, self._start = self._start, self.values
                self._starts_from_best = True

    def note(self, epoch: int, loss: float, values: Array) -> None:
        """Take note of the loss measured at `values`, the parameters after `epoch` epochs."""
        if loss < self.loss:
            self.epoch, self.loss = epoch, loss
            self.values[:] = values


def divergence(
    training: Training, job: Job, order: Array, step: int, loss: float, best: BestParameters
) -> DivergenceError:
    """The error that says where the loss left the finite numbers; the best parameters are restored.

    `order` is that of the rows in the epoch at work, `step` the number of the step in it, from 0.
    """
    net, epoch = training.net, training.epoch - 1
    rows = order[step * job.batch_size : (step + 1) * job.batch_size]
    layer = _layer_where_it_began(job, rows, epoch)
    origin = job.communicator.origin(job.lost)
    net.parameters.state[:] = best.values
    since = f"those of epoch {best.epoch}" if best.epoch else "the initial ones"
    total = epoch * job.steps + step + 1
    rate = rate_at(job.optimizer.learning_rate, epoch + step / job.steps)
    return DivergenceError(
        f"training diverged in epoch {epoch + 1}, step {total}: the loss became {loss:g}, beginning in layer {layer} "
        f"({net.layers[layer]!r}){origin and f' on {origin}'}; the best parameters, {since}, are restored: "
        f"use a learning rate below {rate:g}, or scale the inputs and targets",
        epoch=epoch + 1,
        step=total,
        layer=layer,
    )


def check_last_step(training: Training, job: Job, best: BestParameters) -> None:
    """Look at the last batch once more: every step sees the loss before it, and nobody the loss after the last.

    Raises
    ------
    DivergenceError
    """
    epoch, step = training.epoch - 1, job.steps - 1
    order = job.order(epoch)
    with np.errstate(all="ignore"):
        work = load_batch(job.net, job.data, order[step * job.batch_size :], epoch)
        loss = batch_loss(job.net, work)
    if job.lost(loss):
        raise divergence(training, job, order, step, loss, best)


def _layer_where_it_began(job: Job, rows: Array, epoch: int) -> int:
    """The first layer with a number that is not finite; or, where all are, the one with the largest."""
    net = job.net
    with np.errstate(all="ignore"):
        work = load_batch(net, job.data, rows, epoch)
        net.forward_pass(work, job.state.step)
        largest = [float(np.abs(z).max()) if z.size else 0.0 for z in work.z]
    for index, (z, a) in enumerate(zip(largest, work.a[1:], strict=True)):
        if not np.isfinite(z) or not np.isfinite(a).all():
            return index
    return int(np.argmax(largest))
