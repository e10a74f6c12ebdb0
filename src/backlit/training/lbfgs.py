"""L-BFGS: quasi-Newton steps on the whole data set, by SciPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from ..checks import not_negative, positive_whole
from ..parameters import Array


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
