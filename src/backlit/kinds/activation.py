"""What an activation is: a function f of z, its slope f′, and where it is not smooth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..parameters import Array


@dataclass(frozen=True, slots=True)
class Activation:
    """One activation: its name, its two functions, and where its slope jumps or bends.

    Attributes
    ----------
    name : str
    f : callable (z, out)
    slope : callable (z, a, out, scratch), or None
        None for softmax, whose units depend on each other: it has no slope, but a Jacobian.
    kinks : tuple of float
        Values of z where f is not smooth: a finite difference across one of them cannot be trusted.
    builtin : bool
        False for a user's own pair, which cannot be written to a file.
    """

    name: str
    f: Callable[[Array, Array], Any]
    slope: Callable[[Array, Array, Array, Array], Any] | None
    kinks: tuple[float, ...] = ()
    builtin: bool = True
