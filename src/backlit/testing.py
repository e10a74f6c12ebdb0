"""For tests of one's own back-propagation: an assertion whose failure message is the diagnosis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .lens.diagnosis.function import diagnose_function
from .network import Network

__all__ = ["assert_gradient"]


def assert_gradient(f: Callable[[Any, Any], Any], net: Network, X: Any, y: Any) -> None:
    """Fail with the diagnosis where a function's gradients are not those of the network.

    Parameters
    ----------
    f : callable (X, y) -> gradients, or (loss, gradients)
        At the parameters of `net`; see `backlit.diagnose_function`.
    net : Network
    X, y : array_like

    Raises
    ------
    AssertionError
        Whose message names the mistake, its place, and the line that would be right.

    Examples
    --------
    >>> import backlit as bl
    >>> net = bl.Network([bl.Dense(3, "tanh"), bl.Dense(1)], inputs=2)
    >>> X, y = [[0.5, -1.0], [2.0, 0.3]], [1.0, 0.0]
    >>> assert_gradient(net.gradient, net, X, y)
    >>> assert_gradient(lambda X, y: -net.gradient(X, y), net, X, y)
    Traceback (most recent call last):
        ...
    AssertionError: Diagnosis: 1 mistake
    ...
    """
    __tracebackhide__ = True  # pytest shows the learner's test, not this function
    diagnosis = diagnose_function(f, net, X, y)
    if not diagnosis.ok:
        raise AssertionError(str(diagnosis))
