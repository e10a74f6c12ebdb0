"""Diagnosing a function that makes gradients: on several batches, which tell apart what one batch cannot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import numpy as np

from ...exceptions import BacklitError, ConfigurationError
from ...network import Network
from .diagnose import diagnose
from .results import Diagnosis, Finding
from .words import where

_LARGE: Final = 300.0  # by which inputs are multiplied, for large z
_SHORT: Final = 7


def diagnose_function(
    f: Callable[[Any, Any], Any], net: Network, X: Any, y: Any, *, optimizer: Any = None
) -> Diagnosis:
    """Name the mistake in a function that returns gradients.

    It is called on the batch given, and on others made of it: one row, two equal rows, seven rows, inputs of zero, and
    large inputs. What explains all of them is reported.

    Parameters
    ----------
    f : callable (X, y) -> gradients, or (loss, gradients)
        At the parameters of `net`; gradients in any form that `diagnose` takes.
    net : Network
    X, y : array_like
        As f takes them: samples as rows, or (features, samples).
    optimizer : Optimizer, optional
        As in `diagnose`.

    Returns
    -------
    Diagnosis
        Of the batch given, or of the first that shows a mistake; its notes say how the others went.

    Raises
    ------
    ConfigurationError
        If f is no function, or fails on the batch given.

    Examples
    --------
    >>> from backlit import Dense
    >>> net = Network([Dense(3, "tanh"), Dense(1)], inputs=2, dtype="float64")
    >>> X, y = [[0.5, -1.0], [2.0, 0.3]], [1.0, 0.0]
    >>> diagnose_function(net.gradient, net, X, y).ok
    True
    >>> twice = lambda X, y: 2 * net.gradient(X, y)      # on two rows this could be a sum
    >>> [finding.name for finding in diagnose_function(twice, net, X, y).findings]
    ['loss_factor']
    """
    if not callable(f):
        raise ConfigurationError(f"diagnose_function needs a function of (X, y), received {f!r}")
    X, y = np.asarray(X), np.asarray(y)
    turned = X.ndim == 2 and X.shape[1] != net.inputs and X.shape[0] == net.inputs
    n = X.shape[1] if turned else len(X)
    net = net.astype(net.dtype)
    if net.classes is None:
        net.classes = net.encode(y.T if turned and y.ndim == 2 else y, n)[1]
    found: list[tuple[str, Diagnosis]] = []
    notes: list[str] = []
    overflow = False
    for name, rows, factor in _batches(n):
        batch = (X[:, rows] if turned else X[rows]) * factor if factor != 1.0 else (X[:, rows] if turned else X[rows])
        targets = y[:, rows] if turned and y.ndim == 2 else y[rows]
        try:
            loss, gradients = _parts(f(batch, targets))
        except Exception as error:  # somebody's own function may raise anything
            if not found:
                raise ConfigurationError(f"f fails on {name}: {type(error).__name__}: {error}") from error
            notes.append(f"on {name} f fails: {type(error).__name__}: {error}")
            continue
        try:
            diagnosis = diagnose(net, batch, targets, gradients, my_loss=loss, optimizer=optimizer)
        except BacklitError as error:
            if not found:
                raise
            overflow |= factor > 1.0 and "finite" in str(error)
            notes.append(f"on {name}: {error}")
            continue
        found.append((name, diagnosis))
        notes.append(f"on {name}: {_said(diagnosis)}")
    chosen = _chosen([diagnosis for _, diagnosis in found])
    if overflow and chosen.ok:
        top = len(net.layers) - 1
        words = "The function gives NaN or infinity where z is large: take the largest z off before the exponential."
        right = "e = np.exp(z - z.max(axis=1, keepdims=True));  a = e / e.sum(axis=1, keepdims=True)"
        finding = Finding("overflow", top, {}, words, right)
        chosen = replace(chosen, findings=(finding,), places=(where(net, top),))
    return replace(chosen, notes=(*chosen.notes, *notes))


def _batches(n: int) -> list[tuple[str, Any, float]]:
    """A name, the rows and a factor of each batch; the one given first."""
    rng = np.random.default_rng(0)
    every = np.arange(n)
    return [
        ("the batch given", every, 1.0),
        (f"{_SHORT} rows", rng.integers(n, size=_SHORT), 1.0),
        ("one row", every[:1], 1.0),
        ("two equal rows", every[[0, 0]], 1.0),
        ("inputs of zero", every, 0.0),
        ("large inputs", every, _LARGE),
    ]


def _parts(result: Any) -> tuple[float | None, Any]:
    """Loss and gradients of what f gave."""
    pair = isinstance(result, tuple | list) and len(result) == 2
    # a loss is one number, and what follows it is not
    single = np.isscalar(result[0]) or (isinstance(result[0], np.ndarray) and result[0].ndim == 0) if pair else False
    if single and not np.isscalar(result[1]):
        return float(result[0]), result[1]
    return None, result


def _said(diagnosis: Diagnosis) -> str:
    if diagnosis.ok:
        return "right"
    return " and ".join(finding.name for finding in diagnosis.findings)


def _stories(diagnosis: Diagnosis) -> list[frozenset[str]]:
    """The names of each explanation, the findings first."""
    ties = [frozenset(name.split(" (")[0] for name in one) for one in diagnosis.alternatives]
    return [frozenset(finding.name for finding in diagnosis.findings), *ties]


def _chosen(found: list[Diagnosis]) -> Diagnosis:
    """The diagnosis whose first explanation most of the batches that show a mistake share."""
    wrong = [diagnosis for diagnosis in found if not diagnosis.ok]
    if not wrong:
        return found[0]
    stories = [_stories(diagnosis) for diagnosis in wrong]
    votes = [sum(mine[0] in other for other in stories) for mine in stories]
    best = wrong[votes.index(max(votes))]
    # ties that another batch rules out are none
    shared = [one for one in best.alternatives
              if all(frozenset(n.split(" (")[0] for n in one) in other for other in stories)]  # fmt: skip
    return replace(best, alternatives=tuple(shared))
