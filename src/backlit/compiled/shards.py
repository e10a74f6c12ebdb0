"""Compiled steps that several processes take together: between the two halves of each, their sums are added up."""

from __future__ import annotations

import sys
from typing import final

from ..kinds.schedules import rate_at
from ..parameters import Array
from ..training.job import Job, StepResults
from .chain import Batch, Chain, Data, Rule
from .plan import Plan
from .step import halves_for
from .team import team_of_one


@final
class SharedSteps:
    """The steps of one job.

    Parameters
    ----------
    plan : Plan
    data, batch, chain, rule
        The job as numbers and arrays.
    """

    def __init__(self, plan: Plan, data: Data, batch: Batch, chain: Chain, rule: Rule) -> None:
        self._shard_sums, self._whole_step = halves_for(plan)
        self._described = data, batch, chain, rule
        self._team = team_of_one()

    def run(self, job: Job, order: Array, epoch: int, first: int, last: int) -> StepResults:
        """Take the steps `first` to `last` − 1 of an epoch, as `ReferenceEngine.run_steps` does."""
        data, batch, chain, rule = self._described
        communicator, sums = job.communicator, job.net.parameters.sums
        results, i = StepResults([], []), first
        while i < last and not results.diverged and not (i > first and job.asked_to_stop()):
            rows = order[i * job.batch_size : (i + 1) * job.batch_size]
            for shard in communicator.shards(rows.size):
                self._shard_sums(data, batch, chain, rows[shard], shard.start, job.state.step, self._team)
                communicator.add(sums)
            communicator.allreduce(sums)
            weight = float(sums[-1])
            rate = float(rate_at(job.optimizer.learning_rate, epoch + i / job.steps))
            limit = min(job.loss_limit, sys.float_info.max)  # infinity is not at or below it
            loss = self._whole_step(chain, batch, rule, rows.size, rate, job.state.step, limit, self._team)
            results.diverged = job.lost(loss)
            if loss > limit and not results.diverged:  # the limit has moved: the step that was not taken is tried again
                continue
            results.losses.append(loss)
            results.weights.append(weight)
            job.state.step += not results.diverged
            job.set_limit(loss)
            i += 1
        return results
