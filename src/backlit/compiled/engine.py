"""The compiled engine: the steps of the reference engine as one function that Numba compiles (`compiled_step`).

Here the network, the optimiser and the data are described by numbers and arrays, once for a run.
"""

from __future__ import annotations

import math
from typing import final

import numpy as np

from ..kinds import Dense, Dropout
from ..kinds.optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, OptimizerState, RMSprop
from ..kinds.schedules import rate_at
from ..network import Network
from ..parameters import Array
from ..training.job import Job, StepResults
from . import step as step
from .layers import ACTIVATIONS
from .losses import LOSSES
from .optimizers import OPTIMIZERS, Rule
from .products import empty_panel


@final
class CompiledEngine:
    """Runs chains of Dense and Dropout with everything that is built in; `choose.obstacle` tells what it cannot run.

    One instance runs one job.
    """

    name = "compiled"

    def __init__(self) -> None:
        self._plan: tuple[step.Data, step.Batch, step.Chain, Rule] | None = None

    def run_steps(self, job: Job, order: Array, epoch: int, first: int, last: int) -> StepResults:
        """Take the steps `first` to `last` − 1 of an epoch (all counted from 0) over the rows in `order`."""
        if self._plan is None:
            self._plan = _data(job), _batch(job), _chain(job.net, job.batch_size), _rule(job.optimizer, job.state)
        results = StepResults([], [])
        while first < last and not results.diverged:
            # The first loss of a run sets the limit for those after it.
            stop = first + 1 if math.isinf(job.loss_limit) else last
            rates = _rates(job, epoch, first, stop)
            rows = order[first * job.batch_size : stop * job.batch_size]
            losses, weights = np.empty(rates.size), np.empty(rates.size)
            looked_at = step.run_steps(*self._plan, rows, rates, job.state.step, job.loss_limit, losses, weights)
            results.losses += losses[:looked_at].tolist()
            results.weights += weights[:looked_at].tolist()
            results.diverged = not losses[looked_at - 1] <= job.loss_limit
            job.state.step += looked_at - results.diverged
            job.set_limit(results.losses[-1])
            first = stop
        return results


def _rates(job: Job, epoch: int, first: int, stop: int) -> Array:
    rate = job.optimizer.learning_rate
    if callable(rate):
        return np.array([rate_at(rate, epoch + i / job.steps) for i in range(first, stop)])
    return np.full(stop - first, rate)


def _data(job: Job) -> step.Data:
    # Numba compiles for each kind of array it meets, the read-only ones being another kind: all come in one form. Rows
    # whose numbers do not stand together are copied once; so are types that the step does not read.
    known = [np.dtype(name) for name in step.INPUT_TYPES]
    X = np.require(job.X if job.X.dtype in known else job.X.astype(job.net.dtype), requirements=["C", "A"])
    weight = np.empty(0, job.net.dtype) if job.weight is None else job.weight
    return step.Data(
        X=_read_only(X.view(np.uint8)),
        kind=known.index(X.dtype),
        input_scale=job.net.input_scale,
        Y=_read_only(np.require(job.Y, requirements=["C", "A"])),
        weight=_read_only(np.require(weight, requirements=["C", "A"])),
    )


def _read_only(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view


def _batch(job: Job) -> step.Batch:
    """Room for a batch; where every step takes all rows, the rows themselves, prepared once."""
    net, n = job.net, job.batch_size
    if n < job.n:
        return step.Batch(
            np.empty((n, net.inputs), net.dtype), np.empty((n, net.outputs), net.dtype), np.empty(n, net.dtype)
        )
    work = net.workspace(n)
    work.load(job.X, job.Y, job.weight)
    weight = np.ones(n, net.dtype) if job.weight is None else job.weight
    return step.Batch(*(np.require(array, requirements=["C", "A", "W"]) for array in (work.a[0], job.Y, weight)))


def _chain(net: Network, n: int) -> step.Chain:
    """The network as numbers, with memory for batches of n rows."""
    layers = np.full((len(net.layers), 8), -1, np.int64)
    dropout = np.zeros(len(net.layers))
    parts = []
    used = 0
    for i, layer in enumerate(net.layers):
        layers[i, [step.INPUTS, step.UNITS]] = layer.inputs, layer.outputs
        layers[i, [step.Z, step.A, step.DELTA]] = used + n * layer.outputs * np.arange(3)
        used += 3 * n * layer.outputs
        if isinstance(layer, Dropout):
            dropout[i] = layer.rate
            continue
        layers[i, step.ACTIVATION] = ACTIVATIONS.index(layer.activation.name)
        for name, column in (("weight", step.WEIGHT), ("bias", step.BIAS)):
            if f"{i}.{name}" in net.parameters.names:
                where = net.parameters.slice(f"{i}.{name}")
                layers[i, column] = where.start
                parts.append((where.start, where.stop, name == "weight"))
    loss = net.loss_function
    panel = empty_panel(net.dtype)
    return step.Chain(
        layers=layers,
        first_dense=next(i for i, layer in enumerate(net.layers) if isinstance(layer, Dense)),
        parts=np.array(parts, np.int64),
        dropout=dropout,
        memory=np.empty(used, net.dtype),
        panel=panel,
        turned=np.empty(panel.shape[1] * max(layer.inputs for layer in net.layers), net.dtype),
        no_bias=np.zeros(max(layer.outputs for layer in net.layers), net.dtype),
        values=net.parameters.values,
        sums=net.parameters.sums,
        loss=LOSSES.index(f"{net.output_layer.activation.name} {loss.name}" if net.paired else loss.name),
        setting=float(net.outputs if loss.name == "mean_squared_error" else next(iter(loss.settings.values()), 0.0)),
        l1=net.l1,
        l2=net.l2,
        divide_penalty=net.divide_penalty,
        seed=np.uint64(net.seed),
    )


def _rule(optimizer: Optimizer, state: OptimizerState) -> Rule:
    settings: tuple[float, ...]
    if isinstance(optimizer, SGD):
        settings = (optimizer.momentum, optimizer.nesterov)
    elif isinstance(optimizer, RMSprop):
        settings = (optimizer.rho, 1.0 - optimizer.rho, optimizer.epsilon)
    elif isinstance(optimizer, Adagrad):
        settings = (1.0, 1.0, optimizer.epsilon)
    elif isinstance(optimizer, Adam | AdamW):
        decay = optimizer.weight_decay if isinstance(optimizer, AdamW) else 0.0
        epsilon_hat = isinstance(optimizer, Adam) and optimizer.epsilon_hat
        settings = (optimizer.beta_1, optimizer.beta_2, optimizer.epsilon, decay, epsilon_hat)
    padded = np.zeros(5)
    padded[: len(settings)] = settings
    kind = OPTIMIZERS.index(type(optimizer).__name__)
    clip_norm = math.inf if optimizer.clip_norm is None else optimizer.clip_norm
    return Rule(kind, padded, clip_norm, state.slots)
