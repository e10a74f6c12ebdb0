"""One step of an optimiser on a traced batch: what the gradient became, parameter by parameter, and the loss after it.

The step is the optimiser's own `take_step`, in the network's dtype. How much of it is due to what the optimiser
remembers, and to weight decay, is seen by taking the same step with a zero gradient, in float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from ...checking.batch_loss import batch_loss
from ...exceptions import ConfigurationError
from ...kinds.optimizers import Optimizer, OptimizerState, initial_state, take_step
from ...kinds.schedules import rate_at
from ...parameters import Array
from ...workspace import Workspace
from .trace import Trace, numbers_or_size


@final
@dataclass(frozen=True)
class ParameterStep:
    """What happened to one parameter array; every array has its shape.

    Attributes
    ----------
    name : str
    before, after : ndarray
        The values, in the network's dtype.
    data_gradient, penalty_gradient, gradient : ndarray
        Of the mean loss of the rows, of the penalty, and their sum as back-propagation left it.
    update : ndarray of float64
        after − before: what really changed.
    momentum : ndarray of float64
        What the optimiser's memory alone would have done: the same step with a zero gradient, without the decay.
    decay : ndarray of float64
        What decoupled weight decay did.
    gradient_step : ndarray of float64
        The rest: what this gradient did. Plain SGD: −η · gradient.
    """

    name: str
    before: Array
    after: Array
    data_gradient: Array
    penalty_gradient: Array
    gradient: Array
    update: Array
    momentum: Array
    decay: Array
    gradient_step: Array

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.before.shape)

    def to_dict(self, limit: int | None = None) -> dict[str, Any]:
        """Everything, for JSON; arrays of more than `limit` numbers by their size only."""
        names = (
            "before", "data_gradient", "penalty_gradient", "gradient",
            "gradient_step", "momentum", "decay", "update", "after",
        )  # fmt: skip
        arrays = {name: numbers_or_size(getattr(self, name), limit) for name in names}
        return {"name": self.name, "shape": list(self.shape), **arrays}


@final
@dataclass(frozen=True)
class StepTaken:
    """The step as a whole.

    Attributes
    ----------
    parameters : dict of str to ParameterStep
    before, after : ndarray, shape (P,)
        All values.
    learning_rate : float
        At this epoch.
    clip_factor : float
        What the gradient was multiplied by because it was longer than `clip_norm`; else 1.
    loss : float
        Of the same batch, measured again after the step; penalty included.
    row_losses : ndarray, shape (n,)
        Of the rows, after the step.
    """

    parameters: dict[str, ParameterStep]
    before: Array
    after: Array
    learning_rate: float
    clip_factor: float
    loss: float
    row_losses: Array


def take_traced_step(trace: Trace, optimizer: Optimizer, state: OptimizerState | None, epoch: float) -> StepTaken:
    """Take the step on a copy of the parameters; neither the trace's network nor `state` changes."""
    parameters = trace.net.parameters
    before = parameters.values.copy()  # (P,)
    memory = _memory(optimizer, state, before)
    rate = rate_at(optimizer.learning_rate, epoch)
    after, gradient, own_memory = before.copy(), trace.gradient.copy(), _copied(memory, before.dtype)
    with np.errstate(all="ignore"):
        take_step(optimizer, after, gradient, parameters.weight_mask, own_memory, rate)
        full = _moved(trace, optimizer, memory, trace.gradient, rate)
        zero = np.zeros_like(gradient)
        remembered = decay = _moved(trace, optimizer, memory, zero, rate)
        if memory.slots.any():
            nothing = OptimizerState(np.zeros_like(memory.slots), memory.step, memory.scratch)
            decay = _moved(trace, optimizer, nothing, zero, rate)
        loss, row_losses = _loss_at(trace, after)
    longest = int(np.argmax(np.abs(trace.gradient)))
    factor = float(gradient[longest] / trace.gradient[longest]) if trace.gradient[longest] else 1.0
    vectors = {
        "before": before,
        "after": after,
        "data_gradient": trace.data_gradient,
        "penalty_gradient": trace.penalty_gradient,
        "gradient": trace.gradient,
        "update": after.astype(np.float64) - before.astype(np.float64),
        "momentum": remembered - decay,
        "decay": decay,
        "gradient_step": full - remembered,
    }
    steps = {}
    for name, shape in parameters.shapes.items():
        where = parameters.slice(name)
        steps[name] = ParameterStep(name, **{key: vector[where].reshape(shape) for key, vector in vectors.items()})
    return StepTaken(steps, before, after, rate, factor, loss, row_losses)


def _memory(optimizer: Optimizer, state: OptimizerState | None, values: Array) -> OptimizerState:
    if not hasattr(optimizer, "slots"):
        raise ConfigurationError(
            f"the optimizer must be SGD, RMSprop, Adagrad, Adam or AdamW, received {optimizer!r}: "
            "the lens follows one step of a gradient"
        )
    fresh = initial_state(optimizer, values.size, values.dtype)
    if state is None:
        return fresh
    if state.slots.shape != fresh.slots.shape:
        raise ConfigurationError(
            f"the optimiser's state has shape {state.slots.shape}, but {optimizer!r} on this network needs "
            f"{fresh.slots.shape}: give the state that this optimiser left, history.state"
        )
    if state.optimizer not in ("", fresh.optimizer):
        raise ConfigurationError(
            f"the optimiser's state is {state.optimizer}'s, received {optimizer!r}: give the state that this optimiser "
            "left, history.state"
        )
    return state


def _copied(memory: OptimizerState, dtype: Any) -> OptimizerState:
    return OptimizerState(memory.slots.astype(dtype), memory.step, np.empty(memory.slots.shape[1], dtype))


def _moved(trace: Trace, optimizer: Optimizer, memory: OptimizerState, gradient: Array, rate: float) -> Array:
    """What one step does to the parameters, in float64, from this memory and this gradient; shape (P,)."""
    before = trace.net.parameters.values.astype(np.float64)
    after = before.copy()
    mask = trace.net.parameters.weight_mask
    take_step(optimizer, after, gradient.astype(np.float64), mask, _copied(memory, np.float64), rate)
    return np.asarray(after - before)


def _loss_at(trace: Trace, values: Array) -> tuple[float, Array]:
    """The loss of the batch with other parameters, measured by a forward pass of its own; and of each row."""
    net = trace.net
    work = Workspace(net.layers, net.inputs, trace.n, net.dtype, aim=net.aim, input_scale=net.input_scale)
    work.load(*trace.data)
    kept = net.parameters.values.copy()
    net.parameters.values[:] = values
    loss = batch_loss(net, work, trace.step)
    row_losses = net.row_losses(work)
    net.parameters.values[:] = kept
    return loss, row_losses
