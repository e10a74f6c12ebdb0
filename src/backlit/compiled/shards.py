"""Compiled steps that several processes take together: between the two halves of each, their sums are added up."""

from __future__ import annotations

import sys
from typing import final

from ..kinds.schedules import rate_at
from ..parameters import Array
from ..training.job import Job, StepResults
from .plan import Plan
from .step import Batch, Chain, Data, Rule, halves_for


@final
class SharedSteps:
    """The steps of one job.

    Parameters
    ----------
    plan : Plan
    described : (Data, Batch, Chain, Rule)
        The job as numbers and arrays.
    """

    def __init__(self, plan: Plan, described: tuple[Data, Batch, Chain, Rule]) -> None:
        self._shard_sums, self._whole_step = halves_for(plan)
        self._described = described

    def run(self, job: Job, order: Array, epoch: int, first: int, last: int) -> StepResults:
        """Take the steps `first` to `last` − 1 of an epoch, as `ReferenceEngine.run_steps` does."""
        data, batch, chain, rule = self._described
        communicator, sums = job.communicator, job.net.parameters.sums
        results, i = StepResults([], []), first
        while i < last and not results.diverged and not (i > first and job.asked_to_stop()):
            rows = order[i * job.batch_size : (i + 1) * job.batch_size]
            for shard in communicator.shards(rows.size):
                self._shard_sums(data, batch, chain, rows[shard], shard.start, job.state.step)
                communicator.add(sums)
            communicator.allreduce(sums)
            weight = float(sums[-1])
            rate = float(rate_at(job.optimizer.learning_rate, epoch + i / job.steps))
            limit = min(job.loss_limit, sys.float_info.max)  # infinity is not at or below it
            loss = self._whole_step(chain, rule, rows.size, weight, rate, job.state.step, limit)
            results.diverged = job.lost(loss)
            if loss > limit and not results.diverged:  # the limit has moved: the step that was not taken is tried again
                continue
            results.losses.append(loss)
            results.weights.append(weight)
            job.state.step += not results.diverged
            job.set_limit(loss)
            i += 1
        return results
