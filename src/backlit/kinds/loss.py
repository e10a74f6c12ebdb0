"""What a loss is: one record with everything that Backlit needs to know of it.

Shapes throughout: z, a, y (n, K); scratch (2, n, K), room to work in; a value is (n,), one loss a sample.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, final

import numpy as np

from ..exceptions import DerivativeError, ShapeError
from ..parameters import Array
from ..typing import Spec
from .script import LossText

#: What targets a loss is for: any numbers, numbers of at least 0, of 0 to 1, or classes as 0 and 1.
Targets = Literal["numbers", "counts", "probabilities", "classes"]


@final
@dataclass(frozen=True, slots=True)
class Pair:
    """A loss with an output's activation for which delta = dL/dz = a − y: its value comes from z, stably.

    Attributes
    ----------
    value : callable (z, a, y, scratch) -> (n,)
    number : callable (z, a, y, s), or None
        The term of one output, in what `kinds.numbers` has; the loss of a row is their sum.
    row : callable (z, a, y, i), or None
        The loss of row i, where it is no such sum; z, a, y (n, K).
    script : LossText or None
    aim : callable (Y) -> Y, or None
        What y is in these equations, made of the targets; None where it is the targets themselves.
    """

    value: Callable[[Array, Array, Array, Array], Array]
    number: Callable[[Any, Any, Any, Any], Any] | None = None
    row: Callable[[Array, Array, Array, int], Any] | None = None
    script: LossText | None = None
    aim: Callable[[Array], Array] | None = None


@final
@dataclass(frozen=True, slots=True, repr=False)
class Loss:
    """One loss: its value and its gradient, per sample, and its facts.

    Your own needs no more than the first three fields.

    Attributes
    ----------
    name : str
    value : callable (a, y, scratch) -> (n,)
    gradient : callable (a, y, out, scratch)
        Writes dL/da into out.
    pairs : mapping of activation name to Pair
        Activations with which delta = a − y, and how the loss then comes from z.
    needs_pair : bool
        Whether it is defined for those activations only.
    number : (callable term(a, y, s), callable slope(a, y, s)), or None
        The term of one output, and dL/da, in what `kinds.numbers` has: what the compiled engine compiles. s is the
        loss's setting, or the number of outputs where it has none.
    script : LossText or None
    sides : callable (a, y) -> bool (n, K), or None
        For losses with kinks: which side each term is on. A finite difference that changes a side cannot be trusted.
    positive : bool
        Whether the outputs have to be above zero.
    targets : {"numbers", "counts", "probabilities", "classes"}
        What targets it is for.
    check_targets : callable (Y, activation), or None
        Refuses targets that the loss is not for.
    settings : dict
        The parameters of the loss (delta, q, smoothing), for its description.
    reference : str
        Where it comes from.
    builtin : bool
        Set by Backlit for its own: one of yours, a changed copy too, cannot be written to a file.
    """

    name: str
    value: Callable[[Array, Array, Array], Array]
    gradient: Callable[[Array, Array, Array, Array], Any]
    pairs: Mapping[str, Pair] = field(default_factory=dict)
    needs_pair: bool = False
    number: tuple[Callable[[Any, Any, Any], Any], Callable[[Any, Any, Any], Any]] | None = None
    script: LossText | None = None
    sides: Callable[[Array, Array], Array] | None = None
    positive: bool = False
    targets: Targets = "numbers"
    check_targets: Callable[[Array, Any], None] | None = None
    settings: Mapping[str, float] = field(default_factory=dict)
    reference: str = ""
    builtin: bool = field(default=False, init=False)

    def spec(self) -> Spec:
        """The description, in values that JSON can hold."""
        return {"name": self.name, **self.settings}

    # Closures cannot be pickled or saved: a loss of ours is kept as its description.
    def __getstate__(self) -> dict[str, Any]:
        if self.builtin:
            return {"spec": self.spec()}
        return {"own": {part.name: getattr(self, part.name) for part in fields(self)}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        from .losses import loss_from_spec

        made = loss_from_spec(state["spec"]) if "spec" in state else None
        for name in (part.name for part in fields(self)):
            object.__setattr__(self, name, state["own"][name] if made is None else getattr(made, name))

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value}" for name, value in self.settings.items())
        return f"{self.name}({settings})" if settings else self.name


def own_loss(value: Callable[[Array, Array], Array], gradient: Callable[[Array, Array], Array]) -> Loss:
    """The record of a user's own pair of functions of (a, y); `check_own_loss` checks it on the first batch."""
    name = getattr(value, "__name__", type(value).__name__)

    def write_gradient(a: Array, y: Array, out: Array, scratch: Array) -> None:
        slopes = np.asarray(gradient(a, y))
        if slopes.shape != a.shape:
            raise ShapeError(
                f"the gradient given with the loss {name!r} must have the shape of a, {a.shape}, "
                f"received {slopes.shape}"
            )
        out[...] = slopes

    return Loss(name, lambda a, y, scratch: np.asarray(value(a, y)), write_gradient)


def check_own_loss(loss: Loss, a: Array, y: Array) -> None:
    """Compare a user's dL/da with central differences of the user's L on the first rows of a batch."""
    a, y = a[:4].astype(np.float64), y[:4].astype(np.float64)
    scratch = np.empty((2, *a.shape))
    value = loss.value(a, y, scratch)
    if np.shape(value) != (a.shape[0],):
        raise ShapeError(
            f"the loss {loss.name!r} must give one value a row, shape ({a.shape[0]},), received {np.shape(value)}"
        )
    gradient = np.empty_like(a)
    loss.gradient(a, y, gradient, scratch)
    for row, k in np.ndindex(a.shape):
        h = 1e-6 * max(1.0, abs(float(a[row, k])))
        up, down = a.copy(), a.copy()
        up[row, k] += h
        down[row, k] -= h
        # the loss of this row alone: in a sum, the rounding of a large loss elsewhere would hide it
        difference = float(loss.value(up, y, scratch)[row] - loss.value(down, y, scratch)[row]) / (2.0 * h)
        rounding = 16.0 * np.finfo(np.float64).eps * abs(float(value[row])) / h
        if not abs(gradient[row, k] - difference) <= 1e-4 * max(1.0, abs(difference)) + rounding:
            raise DerivativeError(
                f"the gradient given with the loss {loss.name!r} is wrong: for output {k} of row {row}, "
                f"a = {a[row, k]:.6g} and y = {y[row, k]:.6g}, it is {gradient[row, k]:.6g} "
                f"where the finite difference is {difference:.6g}"
            )
