"""The reference engine: one step of training, in NumPy, as it reads."""

from __future__ import annotations

from typing import final

import numpy as np

from ..checking.gradcheck import finite_difference_gradient
from ..kinds.optimizers import take_step
from ..kinds.schedules import rate_at
from ..parameters import Array
from ..workspace import Workspace
from .job import Job, StepResults, is_source


@final
class ReferenceEngine:
    """Runs every network, optimiser and source of data."""

    name = "reference"

    def run_steps(self, job: Job, order: Array, epoch: int, first: int, last: int) -> StepResults:
        """Take the steps `first` to `last` − 1 of an epoch (all counted from 0) over the rows in `order`."""
        results = StepResults([], [])
        # Overflow is not silenced but watched: a loss that leaves the finite numbers ends the run below.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for i in range(first, last):
                rows = order[i * job.batch_size : (i + 1) * job.batch_size]
                rate = rate_at(job.optimizer.learning_rate, epoch + i / job.steps)
                loss, weight = train_step(job, rows, epoch, rate)
                results.losses.append(loss)
                results.weights.append(weight)
                job.set_limit(loss)
                if not loss <= job.loss_limit:  # NaN is not below anything
                    results.diverged = True
                    break
        return results


def train_step(job: Job, rows: Array, epoch: int, rate: float) -> tuple[float, float]:
    """One step: batch, gradient, optimiser. Returns the loss before the step and the weight sum of the batch."""
    net, parameters = job.net, job.net.parameters
    work = load_batch(job, rows, epoch)
    if job.gradient is None:
        net.forward_pass(work, job.state.step)
        net.backward_pass(work)
        job.communicator.allreduce(parameters.sums)
        weight = float(parameters.sums[-1])
        loss = net.average()
    else:
        # Each parameter nudged in turn; the loss with the same dropout mask every time.
        weight = float(work.n if work.weight is None else work.weight.sum())

        def batch_loss() -> float:
            net.forward_pass(work, job.state.step)
            losses = net.row_losses(work)
            mean = losses.mean() if work.weight is None else np.dot(work.weight, losses) / max(weight, 1e-300)
            return float(mean) + net.penalty(weight)

        loss = finite_difference_gradient(
            batch_loss, parameters.values, job.gradient.nudge, job.gradient.scheme, parameters.gradients
        )
    if loss <= job.loss_limit:
        net.remember(work)
        take_step(job.optimizer, parameters.values, parameters.gradients, parameters.weight_mask, job.state, rate)
    return loss, weight


def load_batch(job: Job, rows: Array, epoch: int) -> Workspace:
    """The workspace holding the given rows as a batch."""
    work = job.net.workspace(rows.size)
    if is_source(job.X):
        work.fetch(job.X, job.Y, job.weight, rows, epoch)
    elif rows.size == job.n:
        work.load(job.X, job.Y, job.weight)
    else:
        work.gather(job.X, job.Y, job.weight, rows)
    return work
