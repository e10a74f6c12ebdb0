"""L-BFGS: quasi-Newton steps on the whole data set, by SciPy; and the run of a network with it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol, final

import numpy as np

from ..checks import not_negative, positive_whole
from ..exceptions import ConfigurationError, DivergenceError
from ..network import Network
from ..parameters import Array
from ..typing import SparseSource
from .evaluation import load_rows
from .job import Data, is_source
from .running import Running

_SOURCE_ELEMENTS: Final = 2**24  # numbers that are asked of a source at once


@final
@dataclass(frozen=True)
class LBFGS:
    """Limited-memory BFGS, ``scipy.optimize.minimize(method="L-BFGS-B")``. Liu & Nocedal (1989).

    It has a loop of its own: every iteration sees all rows, chooses its step by a line search, and counts as one epoch;
    batch size, shuffling and learning rate play no part. Made for small data sets and float64.

    Parameters
    ----------
    memory : int, default=10
        Number of past steps that approximate the curvature.
    tolerance : float, default=1e-5
        Stop when the largest element of the gradient is below it.
    max_evaluations : int, default=15000
        Of loss and gradient.
    loss_tolerance : float, default=1.4e-14
        Stop when an iteration lowers the loss by less than this share of it (64 times the spacing of float64 at 1).

    Examples
    --------
    >>> LBFGS(memory=5).tolerance
    1e-05
    """

    memory: int = 10
    tolerance: float = 1e-5
    max_evaluations: int = 15000
    loss_tolerance: float = 64 * float(np.finfo(np.float64).eps)

    def __post_init__(self) -> None:
        positive_whole("memory", self.memory)
        not_negative("tolerance", self.tolerance)
        positive_whole("max_evaluations", self.max_evaluations)
        not_negative("loss_tolerance", self.loss_tolerance)


def minimize_lbfgs(
    settings: LBFGS,
    loss_and_gradient: Callable[[Array], tuple[float, Array]],
    start: Array,
    iterations: int,
    on_iteration: Callable[[Array, float], bool],
) -> tuple[Array, str]:
    """Minimise, and say why it ended.

    Parameters
    ----------
    settings : LBFGS
    loss_and_gradient : callable
        θ, shape (P,) in float64, to (loss, gradient). SciPy keeps the gradient: give it a copy, never a buffer.
    start : ndarray, shape (P,)
    iterations : int
        At the most.
    on_iteration : callable (θ, loss) -> bool
        Called after each iteration; True ends the run.

    Returns
    -------
    θ, reason : ndarray and str

    Examples
    --------
    >>> best, _ = minimize_lbfgs(LBFGS(), lambda t: (float(t @ t), 2 * t), np.ones(3), 20, lambda t, loss: False)
    >>> bool(abs(best).max() < 1e-6)
    True
    """
    from scipy.optimize import minimize

    def callback(intermediate_result: Any) -> None:
        # SciPy hands an OptimizeResult to a callback with this argument's name.
        if on_iteration(intermediate_result.x, float(intermediate_result.fun)):
            raise StopIteration

    result = minimize(
        loss_and_gradient,
        np.asarray(start, dtype=np.float64),
        jac=True,
        method="L-BFGS-B",
        callback=callback,
        options={
            "maxiter": iterations,
            "maxfun": settings.max_evaluations,
            "maxcor": settings.memory,
            "gtol": settings.tolerance,
            "ftol": settings.loss_tolerance,
        },
    )
    return np.asarray(result.x), str(result.message)


class Whole(Protocol):
    """What finds the mean loss of all rows, penalty included, and its gradient: a copy, in float64."""

    name: ClassVar[str]

    def __call__(self) -> tuple[float, Array]: ...


@final
class ReferenceWhole:
    """The loss of all rows and its gradient by the passes of the network; a source is asked for some rows at a time."""

    name: ClassVar[str] = "reference"

    def __init__(self, net: Network, data: Data) -> None:
        self._net, self._data = net, data
        X, n = data[0], data[1].shape[0]
        width = net.width(sparse=isinstance(X, SparseSource), training=True)
        self._at_once = max(1, _SOURCE_ELEMENTS // width) if is_source(X) else n

    def __call__(self) -> tuple[float, Array]:
        net, (X, Y, weight) = self._net, self._data
        n, sums = Y.shape[0], net.parameters.sums
        total = np.zeros_like(sums)
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, n, self._at_once):
                rows = slice(start, min(start + self._at_once, n))
                work = net.workspace(rows.stop - start)
                load_rows(work, X, Y, weight, rows)
                net.forward_pass(work)
                net.backward_pass(work)
                total += sums
            sums[:] = total
            loss = net.average()
        return loss, net.parameters.gradients.astype(np.float64)


def check_steady(net: Network) -> None:
    """Refuse layers with which a line search would see another loss each time."""
    for layer in net.layers:
        if layer.random or layer.mixes_rows:
            raise ConfigurationError(
                f"LBFGS needs a loss that stays the same: leave out {layer!r}, or choose another optimiser"
            )


def run_lbfgs(run: Running, settings: LBFGS, whole: Whole) -> None:
    """Train a network by L-BFGS. Every iteration sees all rows and counts as one epoch.

    Raises
    ------
    DivergenceError
        If it ends where the loss is not finite; the initial parameters are restored.
    """
    training, net, history = run.training, run.training.net, run.training.history
    values = net.parameters.values
    start = values.copy()
    reached = values.copy()  # after the last finished iteration; in a line search `values` is somewhere else
    started = time.perf_counter()

    def loss_and_gradient(theta: Array) -> tuple[float, Array]:
        values[:] = theta
        return whole()

    def on_iteration(theta: Array, loss: float) -> bool:
        nonlocal started
        values[:] = reached[:] = theta
        row = {"loss": loss, "batch_loss_min": loss, "batch_loss_max": loss}
        run.measure(row)
        run.record(row, started)
        started = time.perf_counter()
        training.epoch = history.epochs
        return run.epoch_ends()

    epochs = training.epochs - history.epochs
    try:
        theta, reason = minimize_lbfgs(settings, loss_and_gradient, start, epochs, on_iteration)
    except KeyboardInterrupt:
        values[:] = reached
        raise
    if not np.isfinite(loss_and_gradient(theta)[0]):
        values[:] = start
        raise DivergenceError(
            "L-BFGS met a loss that is not finite; the initial parameters are restored: scale inputs and targets",
            epoch=history.epochs,
            step=history.epochs,
            layer=None,
        )
    history.stopped = training.stop_reason or (None if "ITERATIONS" in reason else reason)
