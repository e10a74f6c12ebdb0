"""What an activation is: one record with everything that Backlit needs to know of it.

All arrays have shape (n_samples, n_units). `f` and `slope` write into arrays that they are given: nothing of the size
of a batch is made in training.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, final

import numpy as np

from ..exceptions import ConfigurationError, DerivativeError, ShapeError
from ..parameters import Array
from .script import ActivationText

Record = TypeVar("Record")


@final
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Activation:
    """One activation: a function f of z, its slope f′, and its facts.

    Your own needs no more than the first three fields; without `number` it trains on the reference engine, without
    `script` or `onnx` those exports say so.

    Attributes
    ----------
    name : str
    f : callable (z, out)
        Writes a = f(z).
    slope : callable (z, a, out, scratch), or None
        Writes f′(z); None where the units of a row depend on each other (softmax), which have a Jacobian instead.
    jacobian : callable (a, delta, scratch), or None
        Turns dL/da into dL/dz in place; for activations without `slope`.
    number : (callable f(z), callable slope(z, a)), or None
        The same for one number, in what `kinds.numbers` has: what the compiled engine compiles.
    rows : (callable f(Z, A), callable jacobian(A, DELTA)), or None
        The same for whole arrays, for activations without `number`.
    script : ActivationText or None
    onnx : callable (graph, z) -> str, or None
        Appends nodes to an ONNX graph; returns the name of the result.
    kinks : tuple of float
        Values of z where f is not smooth: a finite difference across one of them cannot be trusted.
    positive : bool
        Whether every a is above 0.
    probabilities : bool
        Whether outputs are probabilities of classes, so that class labels go with it.
    sums_to_one : bool
        Whether the outputs of a row add up to 1.
    steepest : float or None
        The largest f′, where both ends of f are flat.
    dies : bool
        Whether f is 0 with slope 0 on a whole side.
    initializer : str
        What `weight_init` suits it.
    reference : str
        Where it comes from.
    builtin : bool
        Set by Backlit for its own (`built_in`): one of yours, a changed copy too, cannot be written to a file.

    Examples
    --------
    An activation of your own, with its kernel:

    >>> import backlit as bl
    >>> square = Activation(
    ...     "square",
    ...     lambda z, out: np.multiply(z, z, out=out),
    ...     lambda z, a, out, scratch: np.multiply(z, 2.0, out=out),
    ...     number=(lambda z: z * z, lambda z, a: z + z),
    ... )
    >>> net = bl.Network([bl.Dense(3, square), bl.Dense(1)], inputs=2)
    >>> bl.check_gradients(net, [[0.5, 1.0]], [1.0]).ok
    True
    """

    name: str
    f: Callable[[Array, Array], Any]
    slope: Callable[[Array, Array, Array, Array], Any] | None
    jacobian: Callable[[Array, Array, Array], Any] | None = None
    number: tuple[Callable[[Any], Any], Callable[[Any, Any], Any]] | None = None
    rows: tuple[Callable[[Array, Array], Any], Callable[[Array, Array], Any]] | None = None
    script: ActivationText | None = None
    onnx: Callable[[Any, str], str] | None = None
    kinks: tuple[float, ...] = ()
    positive: bool = False
    probabilities: bool = False
    sums_to_one: bool = False
    steepest: float | None = None
    dies: bool = False
    initializer: str = "glorot_uniform"
    reference: str = ""
    builtin: bool = field(default=False, init=False)

    @property
    def middle(self) -> float:
        """The output of a single unit above which it says yes."""
        return 0.5 if self.probabilities else 0.0

    @property
    def compiles(self) -> bool:
        """Whether the compiled engine can run it."""
        return self.number is not None or self.rows is not None

    def times_slope(self, z: Array, a: Array, delta: Array, slope: Array, scratch: Array) -> None:
        """Turn dL/da in `delta` into dL/dz: delta = dL/da ⊙ f′(z); f′(z) is left in `slope`."""
        if self.slope is not None:
            self.slope(z, a, slope, scratch)
            delta *= slope
        elif self.jacobian is not None:
            self.jacobian(a, delta, scratch)
        else:
            raise ConfigurationError(f"the activation {self.name!r} has neither a slope nor a Jacobian")

    def text(self, i: int) -> ActivationText:
        """Its source for the script of layer i.

        Raises
        ------
        ConfigurationError
            For a function of your own.
        """
        if self.script is None:
            raise ConfigurationError(
                f"the activation {self.name!r} of layer {i} is a function of your own, whose source no script can be "
                "made of: use one of Backlit's"
            )
        return self.script

    def node(self, graph: Any, z: str) -> str:
        """What it makes of z in an ONNX graph.

        Raises
        ------
        ConfigurationError
            For a function of your own.
        """
        if self.onnx is None:
            raise ConfigurationError(
                f"the activation {self.name!r} is your own function, which ONNX cannot hold: use a named one"
            )
        return self.onnx(graph, z)

    def __repr__(self) -> str:
        return f"Activation({self.name!r})"


def built_in(record: Record) -> Record:
    """The record of an activation or a loss, marked as Backlit's own, which files know by its name."""
    object.__setattr__(record, "builtin", True)
    return record


def own_activation(f: Callable[[Array], Array], df: Callable[[Array], Array]) -> Activation:
    """The record of a user's own pair of functions of z, whose derivative is checked.

    Raises
    ------
    DerivativeError
        If df is not the derivative of f.
    ShapeError
        If one of them does not keep the shape of z.
    """
    name = getattr(f, "__name__", type(f).__name__)
    _check_derivative(name, f, df)

    def write_f(z: Array, out: Array) -> None:
        out[...] = f(z)

    def write_slope(z: Array, a: Array, out: Array, scratch: Array) -> None:
        out[...] = df(z)

    return Activation(name, write_f, write_slope)


def _check_derivative(name: str, f: Callable[[Array], Array], df: Callable[[Array], Array]) -> None:
    """Compare df with central differences of f at points that no kink is likely to stand on."""
    h = 1e-6
    z = (np.linspace(-5.0, 5.0, 24) + 1.0 / math.pi).reshape(6, 4)
    with np.errstate(all="ignore"):
        values, slopes = np.asarray(f(z)), np.asarray(df(z))
        difference = (np.asarray(f(z + h)) - np.asarray(f(z - h))) / (2.0 * h)
    for what, array in (("value", values), ("derivative", slopes)):
        if array.shape != z.shape:
            raise ShapeError(
                f"the {what} of the activation {name!r} must have the shape of z: "
                f"received {array.shape} for z of shape {z.shape}"
            )
    usable = np.isfinite(values) & np.isfinite(difference)
    wrong = usable & ~(np.abs(slopes - difference) <= 1e-5 * np.maximum(1.0, np.abs(difference)))
    if not usable.any():
        raise DerivativeError(f"the activation {name!r} is not finite anywhere between z = -5 and z = 5")
    if wrong.any():
        i = tuple(np.argwhere(wrong)[0])
        raise DerivativeError(
            f"the derivative given for the activation {name!r} is wrong: at z = {z[i]:.4f} it gives {slopes[i]:.6g} "
            f"where the finite difference is {difference[i]:.6g}"
        )
