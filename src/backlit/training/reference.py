"""The reference engine: one step of training, in NumPy, as it reads."""

from __future__ import annotations

from typing import final

import numpy as np

from ..checking.gradcheck import nudged_gradient
from ..kinds.optimizers import take_step
from ..kinds.schedules import rate_at
from ..network import Network
from ..parameters import Array
from ..workspace import Workspace
from .job import Data, Job, StepResults, is_source


@final
class ReferenceEngine:
    """Runs every network, optimiser and source of data."""

    name = "reference"

    def run_steps(self, job: Job, order: Array, epoch: int, first: int, last: int) -> StepResults:
        """Take the steps `first` to `last` − 1 of an epoch (all counted from 0) over the rows in `order`."""
        results = StepResults([], [])
        job.net.begin_epoch(epoch)
        # Overflow is not silenced but watched: a loss that leaves the finite numbers ends the run below.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for i in range(first, last):
                if i > first and job.asked_to_stop():
                    break
                rows = order[i * job.batch_size : (i + 1) * job.batch_size]
                rate = rate_at(job.optimizer.learning_rate, epoch + i / job.steps)
                loss, weight = train_step(job, rows, epoch, rate)
                results.losses.append(loss)
                results.weights.append(weight)
                job.set_limit(loss)
                if job.lost(loss):
                    results.diverged = True
                    break
        return results


def train_step(job: Job, rows: Array, epoch: int, rate: float) -> tuple[float, float]:
    """One step: batch, gradient, optimiser. Returns the loss before the step and the weight sum of the batch."""
    net, parameters, work = job.net, job.net.parameters, None
    if job.gradient is None:
        for shard in job.communicator.shards(rows.size):  # one, the batch as a whole, unless processes share it
            work = load_batch(net, job.data, rows[shard], epoch, shard.start)
            net.forward_pass(work, job.state.step)
            net.backward_pass(work)
            job.communicator.add(parameters.sums)
        job.communicator.allreduce(parameters.sums)
        weight = float(parameters.sums[-1])
        loss = net.average()
    else:
        work = load_batch(net, job.data, rows, epoch)
        weight = float(work.n if work.weight is None else work.weight.sum())
        loss = nudged_gradient(net, work, job.state.step, job.gradient, parameters.gradients)
    if not job.lost(loss):
        if work is not None:  # a process may have no row of a small batch
            net.remember(work)
        take_step(job.optimizer, parameters.values, parameters.gradients, parameters.weight_mask, job.state, rate)
    return loss, weight


def load_batch(net: Network, data: Data, rows: Array, epoch: int, first: int = 0) -> Workspace:
    """The workspace holding the given rows of the data as a batch; all rows are taken as they stand.

    `first` is the number of the first of them in the batch of which they are a shard.
    """
    X, Y, weight = data
    work = net.workspace(rows.size)
    if is_source(X):
        work.fetch(X, Y, weight, rows, epoch)
    elif rows.size == Y.shape[0]:
        work.load(X, Y, weight)
    else:
        work.gather(X, Y, weight, rows)
    work.first = first
    return work
