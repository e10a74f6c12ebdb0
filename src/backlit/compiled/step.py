"""Steps of training as one compiled function: `steps_for` makes it for the kinds of a job.

It is the reference's `train_step` and the passes of `Network`, for chains that are described by numbers instead of
objects; what the layers, the loss and the optimiser do is in their kinds.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from ..kinds.kernel import KERNEL
from ..parameters import Array
from . import draws, products
from .cache import kept
from .chain import Batch, Chain, Data, Rule
from .math import compiled
from .passes import ROWS, one_compiled, passes
from .plan import Plan
from .references import refer
from .stored import Stored
from .team import Team, share, wait
from .update import gradients_alone, gradients_and_update, penalised_loss
from .vectors import read_as

#: Importing these teaches Numba what the kernels call.
_TEACHERS: Final = (draws, products)


def _nothing_of(chain: Chain, i: int, n: int) -> None:
    """In the place of `remember`, for a layer that remembers nothing."""


def _nothing(chain: Chain, n: int) -> None:
    """In the place of `remember`, where no layer has anything to."""


def _remember(plan: Plan) -> Any:
    """Update the buffers of every layer after a step on n rows."""
    if all(kernel.remember is None for kernel in plan.kernels):
        return compiled(_nothing)
    layer_remember = one_compiled([compiled(kernel.remember or _nothing_of) for kernel in plan.kernels], "chain, i, n")

    def remember(chain: Chain, n: int) -> None:
        for i in range(chain.layers.shape[0]):
            layer_remember(chain.layers[i, KERNEL], chain, i, n)

    return compiled(remember)


def sums_of_rows_for(plan: Plan) -> Any:
    """Both passes over the rows of a batch; returns the sums of their losses and of their weights."""
    forward, backward = passes(plan)

    def sums_of_rows(chain: Chain, team: Team, a_0: Array, y: Array, w: Array, step: int) -> Any:
        n = a_0.shape[0]
        forward(chain, team, a_0, w, step)
        backward(chain, team, n, y, w)
        wait(team)
        # every thread adds up the losses of all rows, in their order, and so decides alike
        loss_sum = weight = 0.0
        losses = chain.losses
        for i in range(n):
            loss_sum += losses[i]
            weight += w[i]
        return loss_sum, weight

    return compiled(sums_of_rows, inside=True)  # it would hand on hundreds of numbers


def _take_step(plan: Plan, *, summed: bool = False) -> Any:
    """The step that is made of the passes, or of gradients that are `summed` already; returns the loss before it.

    With a loss above the limit it is not taken.
    """
    remember, gradients, penalises = _remember(plan), gradients_and_update(plan, summed=summed), plan.penalises

    def take_step(
        chain: Chain, team: Team, rule: Rule, a_0: Array, loss_sum: float, weight: float, rate: float, step: int,
        limit: float, keep: bool,
    ) -> Any:  # fmt: skip
        n = a_0.shape[0]
        loss = loss_sum / weight if weight > 0.0 else 0.0
        if penalises and (chain.l1 > 0.0 or chain.l2 > 0.0):
            loss = penalised_loss(chain, team, loss_sum, weight)
        moves = loss <= limit
        if team.place == 0:
            chain.sums[-2], chain.sums[-1] = loss_sum, weight
            if moves and chain.remembers:
                remember(chain, n)
        gradients(chain, team, rule, a_0, weight, rate, step + 1, moves, keep)
        wait(team)
        return loss

    return compiled(take_step, inside=True)  # it would hand on hundreds of numbers


@compiled
def _gather(X: Array, rows: Array, scale: Any, a: Array, start: int, stop: int) -> None:
    # a_0 = X · input_scale
    for i in range(start, stop):
        row = rows[i]
        for j in range(a.shape[1]):
            a[i, j] = a.dtype.type(X[row, j]) * scale


@compiled
def _load(data: Data, rows: Array, batch: Batch, stored: Stored | None, team: Team) -> None:
    """The team member's rows of the batch."""
    start, stop = share(rows.size, ROWS, team)
    if stored is not None and stored.rows.size:
        for i in range(start, stop):
            stored.rows[i] = rows[i]
    scale = batch.a.dtype.type(data.input_scale)
    if data.kind == 0:
        _gather(read_as(data.X, np.float32), rows, scale, batch.a, start, stop)
    elif data.kind == 1:
        _gather(read_as(data.X, np.float64), rows, scale, batch.a, start, stop)
    else:
        _gather(data.X, rows, scale, batch.a, start, stop)
    for i in range(start, stop):
        for k in range(batch.y.shape[1]):
            batch.y[i, k] = data.Y[rows[i], k]
        batch.weight[i] = data.weight[rows[i]] if data.weight.size else 1.0


@functools.cache
def steps_for(plan: Plan) -> Callable[..., int]:
    """The compiled function for a plan; of built-in kinds it is kept on disk for the next process."""
    sums_of_rows, take_step = sums_of_rows_for(plan), _take_step(plan)

    def run_steps(
        data: Data, batch: Batch, chain: Chain, rule: Rule, order: Array, rates: Array, step: int, limit: float,
        losses: Array, weights: Array, team: Team,
    ) -> int:  # fmt: skip
        """Steps over the rows in `order`, batch by batch; `losses` and `weights` receive what each step saw.

        Returns how many steps were looked at. The last of them was not taken if its loss is not at or below the limit.
        """
        size, chain = batch.a.shape[0], refer(chain)
        if not wait(team):  # after this nothing can keep a thread from coming
            return 0
        for i in range(rates.size):
            rows = order[i * size : (i + 1) * size]
            n = rows.size
            if data.Y.shape[0] > size:
                _load(data, rows, batch, chain.stored, team)
            a_0 = batch.a[:n]
            loss_sum, weight = sums_of_rows(chain, team, a_0, batch.y[:n], batch.weight[:n], step + i)
            last = i + 1 == rates.size  # whose gradients are left to look at
            loss = take_step(chain, team, rule, a_0, loss_sum, weight, rates[i], step + i, limit, last)
            if team.place == 0:
                losses[i], weights[i] = loss, weight
            if not loss <= limit:  # NaN is not below anything
                return i + 1
        return rates.size

    return kept(run_steps, plan)


@functools.cache
def halves_for(plan: Plan) -> tuple[Callable[..., None], Callable[..., float]]:
    """A step in two compiled functions, between which several processes add up what they have found."""
    sums_of_rows, take_step, gradient_sums = (
        sums_of_rows_for(plan),
        _take_step(plan, summed=True),
        gradients_alone(plan),
    )

    def shard_sums(data: Data, batch: Batch, chain: Chain, rows: Array, first: int, step: int, team: Team) -> None:
        """Leave the sums over some rows of a batch in `chain.sums`; the first of them is its row number `first`."""
        read, chain = 0, refer(chain)
        if data.Y.shape[0] > batch.a.shape[0]:
            _load(data, rows, batch, chain.stored, team)
        else:  # all rows are there
            read = first
        chain.first[0] = first
        stop = read + rows.size
        a_0 = batch.a[read:stop]
        chain.sums[-2], chain.sums[-1] = sums_of_rows(
            chain, team, a_0, batch.y[read:stop], batch.weight[read:stop], step
        )
        gradient_sums(chain, a_0)

    def whole_step(
        chain: Chain, batch: Batch, rule: Rule, n: int, rate: float, step: int, limit: float, team: Team
    ) -> float:
        """The step of a batch of n rows, of the sums in `chain.sums`; returns the loss before it."""
        chain = refer(chain)
        return float(take_step(chain, team, rule, batch.a[:n], chain.sums[-2], chain.sums[-1], rate, step, limit, True))

    return kept(shard_sums, plan), kept(whole_step, plan)
