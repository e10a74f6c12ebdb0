"""Naming the mistake in somebody's own gradients."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from ...checking.batch_loss import FrozenBatch, check_step
from ...kinds.optimizers import Optimizer, OptimizerState
from ...network import Network
from ...training.threads import blas_threads
from .evidence import Evidence, weigh
from .factors import Reading, readings
from .given import Given, read_gradients
from .match import Judge
from .passes import Passes, wrong_forwards
from .results import Comparison, Diagnosis, Finding
from .rounding import Rounding
from .search import Search, Story, Update
from .telling import report
from .updates import after_step

__all__ = ["Comparison", "Diagnosis", "Finding", "diagnose"]

# To which precision gradients are compared, for the type they come in: the most exact first.
_PRECISIONS: Final = {"float64": ("float64", "float32"), "float32": ("float32",), "float16": ("float16",)}


def diagnose(
    net: Network,
    X: Any,
    y: Any,
    my_gradients: Any = None,
    *,
    sample_weight: Any = None,
    step: int | None = None,
    previous: Any = None,
    optimizer: Optimizer | None = None,
    state: OptimizerState | None = None,
    my_forward: Any = None,
    my_deltas: Any = None,
    my_loss: float | None = None,
    my_parameters_after: Any = None,
) -> Diagnosis:
    """Name the mistake in somebody's own gradients of the same network.

    From the output down, each layer's gradients are compared with what the reference's delta leads to, and where they
    differ, with what each of the known mistakes would lead to. A mistake in delta is handed on to the layers below. The
    simplest explanation to the last digit is reported; what rounding explains is none.

    Parameters
    ----------
    net : Network
        With the parameters at which the gradients were computed; of any dtype.
    X, y, sample_weight : array_like
        The batch, as in ``net.gradient``; X and y may be (features, samples).
    my_gradients : array_like of shape (P,), mapping, list or tuple, optional
        In the order of ``net.parameters.values``; by parameter name ("0.weight") or under names of your own (dW1,
        nabla_w, fc1.weight, ``coefs_``); or a list. Some of them is enough. The diagnosis says how they were read.
    step : int, optional
        For a network with Dropout: the training step whose masks were in use. Without, there is no dropout.
    previous : as `my_gradients`, optional
        The gradients of the step before, to recognise those that were left standing or added up.
    optimizer : Optimizer, optional
        To recognise weights that were updated too early, the learning rate in a gradient, and, with
        `my_parameters_after`, mistakes of the update. Without, gradient descent of any learning rate is tried for the
        first of these, and the rate measured.
    state : OptimizerState, optional
        What the optimiser remembers before this step; by custom nothing.
    my_forward : sequence or mapping, optional
        Your activations, layer by layer (with or without the input), or by layer index.
    my_deltas : sequence or mapping, optional
        Your dL/dz of each Dense layer, (n, units), from the input up, or by layer index.
    my_loss : float, optional
        Your loss of the batch.
    my_parameters_after : as `my_gradients`, optional
        Your parameters after one step of `optimizer` from `net`.

    Returns
    -------
    Diagnosis

    Raises
    ------
    ShapeError
        For gradients of a shape that is neither the parameter's nor, for weights, its transpose.
    ParameterNameError
        For a name that no parameter has; the nearest names are offered.
    NonFiniteError
        For NaN or infinity among the gradients.

    Examples
    --------
    >>> from backlit import Dense
    >>> net = Network([Dense(3, "tanh"), Dense(1)], inputs=2, dtype="float64")
    >>> X, y = [[0.5, -1.0], [2.0, 0.3], [1.0, 1.0]], [1.0, 0.0, 0.5]
    >>> diagnose(net, X, y, net.gradient(X, y)).ok
    True
    >>> [(finding.name, finding.layer) for finding in diagnose(net, X, y, 3 * net.gradient(X, y)).findings]
    [('sum_not_mean', None)]
    """
    X, y, turned = _as_rows(net, X, y)
    X, Y, weight = net.check_data(X, y, sample_weight=sample_weight)
    step = check_step(step)

    def frozen(dtype: str = "float64") -> FrozenBatch:
        return FrozenBatch(net, X, Y, weight, step, dtype)

    evidence = Evidence(my_forward, my_deltas, my_loss, my_parameters_after, optimizer, state, len(X))
    before = None if previous is None else read_gradients(previous, net.parameters, "previous", len(X))
    if my_gradients is None:
        with np.errstate(all="ignore"):
            return weigh(evidence, Passes(frozen()), frozen, None, turned)
    given = read_gradients(my_gradients, net.parameters, rows=len(X))
    with np.errstate(all="ignore"), blas_threads(net, 1):
        exact, rough = Passes(frozen()), Passes(frozen("float32"))
        known = _readings(exact, optimizer)
        update = _update(exact, given, optimizer, state)
        forwards: list[Passes] = []
        for precision in (precisions := _PRECISIONS[given.precision]):
            rounding = Rounding(exact, rough, float(np.finfo(precision).eps))
            judge = Judge(rounding, given, before, known)
            stories = _stories(judge, exact, update, frozen, forwards, unknown=precision == precisions[-1])
            if stories:
                break
        right = {name for name in given.names if judge.is_right(name)}
        found = report(exact, given, stories, precision, right)
        return weigh(evidence, exact, frozen, found, turned)


def _as_rows(net: Network, X: Any, y: Any) -> tuple[Any, Any, tuple[str, ...]]:
    """The data with samples as rows, and what was turned for it."""
    notes = []
    if np.ndim(X) == 2 and np.shape(X)[1] != net.inputs and np.shape(X)[0] == net.inputs:
        X = np.asarray(X).T
        notes.append("X was read as (features, samples) and turned")
    n = len(X) if np.ndim(X) else 0
    if np.ndim(y) == 2 and np.shape(y) == (net.outputs, n) and net.outputs != n:
        y = np.asarray(y).T
        notes.append("y was read as (outputs, samples) and turned")
    return X, y, tuple(notes)


def _readings(exact: Passes, optimizer: Optimizer | None) -> list[Reading]:
    found = readings(exact, optimizer)
    length = math.sqrt(float(np.dot(exact.gradient, exact.gradient)))
    if length > 0.0 and abs(length - 1.0) > 1e-9:
        found.append(Reading("gradient_normalised", 1.0 / length, "1/‖g‖", 1.05))
    return found


def _stories(
    judge: Judge, exact: Passes, update: Update, frozen: Any, forwards: list[Passes], *, unknown: bool
) -> list[Story]:
    """The simplest stories: of a right forward pass, and where that needs much, of a wrong one."""
    search = Search(judge, update)
    stories = search.stories([exact], unknown=unknown)
    if stories and stories[0].cost <= 1.3:
        return stories
    # each is dropped where the output's gradients do not agree
    if not forwards:
        forwards += [make() for make in wrong_forwards(frozen)]
    for passes in forwards:
        found = search.stories([passes], unknown=False)
        if found and (not stories or found[0].cost < stories[0].cost - 0.2):
            stories = found
        elif found and stories and found[0].cost <= stories[0].cost + 0.2:
            stories = sorted([*stories, *found], key=lambda story: story.cost)
    return stories


def _update(exact: Passes, given: Given, optimizer: Optimizer | None, state: OptimizerState | None) -> Update:
    """The update that may have come too early: along the gradients given, or along the right ones."""
    parameters = exact.net.parameters
    mine = exact.gradient.copy()
    for name, array in given.arrays.items():
        mine[parameters.slice(name)] = array.ravel()
    gradients = [mine] if np.array_equal(mine, exact.gradient) else [mine, exact.gradient]
    if optimizer is None:
        return Update(gradients=gradients)
    return Update(values=[after_step(exact.net, optimizer, gradient, state) for gradient in gradients])
