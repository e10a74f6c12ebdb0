"""What every layer is, with what is right for a layer that has nothing special.

A layer is a description (units, activation, rate) until a `Network` is made of it. The network copies the description,
tells the copy its sizes, and binds its parameters as views into the one vector.

This is the house's one base class: a layer answers to training, lens, files, exports and both engines, and one of your
own has to write no more than is special about it: `build`, `forward` and `backward`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, final

import numpy as np

from ..exceptions import ConfigurationError, RebindingError
from ..parameters import Array, ParameterVector, written
from ..typing import ScheduleFunction, Spec
from .activation import Activation
from .kernel import Kernel
from .script import LayerText

#: Sizes with the names of their axes: ((32, "samples"), (784, "inputs")).
Axes = tuple[tuple[int, str], ...]


class Moment(NamedTuple):
    """A step of training: what random numbers are keyed by. In inference there is None."""

    seed: int
    step: int


@final
@dataclass(frozen=True, slots=True)
class Computation:
    """One computation of a pass, and its shapes.

    Attributes
    ----------
    equation : str
    operands : tuple of Axes
        The shapes that go in, each axis with its name.
    result : Axes
    meets : str
        The axis that a matrix product or a sum runs over, or empty for work element by element.
    reason : str
    multiplications : int
        Of numbers: the cost of a matrix product.
    """

    equation: str
    operands: tuple[Axes, ...]
    result: Axes
    meets: str
    reason: str
    multiplications: int = 0


@final
@dataclass(frozen=True, slots=True)
class Factors:
    """∂L/∂θ of one parameter as a sum over the rows of a product: Σ_rows left · right.

    Attributes
    ----------
    left, right : ndarray, shape (n,)
    left_name, right_name : str
        Their symbols: "a_0", "delta_1"; an empty `left_name` for a left factor of 1.
    """

    left: Array
    right: Array
    left_name: str
    right_name: str


class Layer:
    """A layer that hands on what it gets, until a subclass says otherwise.

    In `forward` and `backward`, ``work`` holds the arrays of a batch of n rows: ``work.a[i]``, (n, inputs), is what
    layer i takes and ``work.a[i + 1]``, (n, outputs), what it gives; ``work.delta[i]`` has dL/da of what it gives, and
    ``work.room[i]`` the arrays that `room` asked for.

    Attributes
    ----------
    inputs, outputs : int
        Numbers of a row that it takes and gives, once it is part of a network.
    activation : Activation or None
        Where the layer has one: it then keeps z, and its delta is dL/dz.
    kernel : Kernel or None
        The layer for the compiled engine; None leaves the network to the reference engine.
    same_in_inference : bool
        Whether it does nothing in inference.
    random : bool
        Whether its training is random: dropout.
    mixes_rows : bool
        Whether in training the rows of a batch depend on each other: batch norm.
    affine : bool
        Whether it is z = a_in W + b and a = f(z), with z in its room: what one parameter changes is then one unit.
    schedule : callable or None
        What a rate of the layer follows from epoch to epoch, where it does: see `begin_epoch`.
    categories : tuple of int
        How many categories each of the last features has a code of, where the layer takes codes: it is then the first.
    composed : tuple of str
        Settings that `describe` may give as a list of whole numbers, or by names, and not as one number or text.
    weight_uses : float
        How often a row of the batch meets each weight: once, unless members share it, or a row looks some up.
    takes_sparse : bool
        Whether ``work.a[i]`` may be sparse rows, where layer i is the first: see `kinds.products`.

    Examples
    --------
    A layer of your own, which doubles what it gets; its gradient can be checked at once.

    >>> import backlit as bl
    >>> class Twice(Layer):
    ...     def forward(self, work, i, moment):
    ...         np.multiply(work.a[i], 2.0, out=work.a[i + 1])
    ...
    ...     def backward(self, work, i, below):
    ...         if below:
    ...             np.multiply(work.delta[i], 2.0, out=work.delta[i - 1])
    >>> net = bl.Network([bl.Dense(2, "tanh"), Twice(), bl.Dense(1)], inputs=1)
    >>> bl.check_gradients(net, [[1.0], [2.0]], [1.0, 0.0]).ok
    True
    """

    activation: Activation | None = None
    schedule: ScheduleFunction | None = None
    kernel: ClassVar[Kernel | None] = None
    inputs: int = 0
    outputs: int = 0
    weight_uses: float = 1.0
    builtin: ClassVar[bool] = False
    same_in_inference: ClassVar[bool] = False
    random: ClassVar[bool] = False
    mixes_rows: ClassVar[bool] = False
    affine: ClassVar[bool] = False
    takes_sparse: ClassVar[bool] = False
    composed: ClassVar[tuple[str, ...]] = ()
    categories: tuple[int, ...] = ()
    _bound: tuple[str, ...] = ()

    @property
    def function(self) -> Activation | None:
        """The activation that it calls, which its kernel needs and a file has to know.

        A layer that has one without an `activation` calls it on what it takes.
        """
        return self.activation

    # ── assembly ─────────────────────────────────────────────────────────────────────────────────────────

    def build(self, inputs: int) -> dict[str, tuple[int, ...]]:
        """Take note of the number of inputs; return the shapes of the parameters by short name.

        A parameter called ``weight`` has penalties and weight decay; others have not.
        """
        self.inputs = self.outputs = inputs
        return {}

    def buffers(self) -> dict[str, tuple[int, ...]]:
        """The shapes of what the layer remembers without learning it (running statistics), by short name."""
        return {}

    def initial_value(self, name: str, shape: tuple[int, ...], rng: np.random.Generator) -> Array | float:
        """The values with which a parameter, or a buffer, begins."""
        return 0.0

    def bind(self, parameters: ParameterVector, index: int) -> None:
        """Hold views of this layer's parameters, gradients and buffers; `index` is its place in the network's list."""
        views: dict[str, Array] = {}
        for full in parameters.names_of(index):
            name = full.split(".", 1)[1]
            views[name] = parameters.view(full)
            views[f"{name}_gradient"] = parameters.gradient_view(full)
        for full in parameters.buffer_names_of(index):
            views[full.split(".", 1)[1]] = parameters.buffer(full)
        self.__dict__.update(views)
        self.__dict__["_bound"] = tuple(views)

    def __setattr__(self, name: str, value: Any) -> None:
        """A parameter is written through its view: `layer.weight = W` changes the network's own numbers."""
        if name not in self._bound:
            object.__setattr__(self, name, value)
            return
        view = self.__dict__[name]
        if value is not view:  # what `layer.weight *= 2` assigns
            view[...] = written(value, view, f"{name} of {self!r}")

    def __delattr__(self, name: str) -> None:
        if name in self._bound:
            raise RebindingError(f"{name} of {self!r} belongs to its network and cannot be deleted: make a new Network")
        object.__delattr__(self, name)

    def __getstate__(self) -> dict[str, Any]:
        """The description without the views, which a copy would break."""
        return {name: value for name, value in self.__dict__.items() if name not in self._bound and name != "_bound"}

    def describe(self) -> Spec:
        """The description, in values that JSON can hold: the arguments that make it, with its kind."""
        return {"kind": type(self).__name__}

    def check_state(self) -> None:
        """Refuse parameters or buffers, from a file say, that no training leaves.

        Raises
        ------
        ConfigurationError
        """

    def check_inputs(self, X: Array) -> None:
        """Refuse rows for the network, finite numbers of shape (n, inputs), that the layer as its first cannot take.

        Raises
        ------
        DataError
        """

    def begin_epoch(self, epoch: float) -> None:
        """Set what follows a `schedule`, for an epoch counted from 0."""

    # ── the passes ───────────────────────────────────────────────────────────────────────────────────────

    def room(self, n: int, dtype: np.dtype[Any], training: bool) -> dict[str, Array]:
        """Arrays for a batch of n rows, made once and used again."""
        return {}

    def forward(self, work: Any, i: int, moment: Moment | None) -> None:
        """Fill ``work.a[i + 1]`` from ``work.a[i]``; `moment` is None in inference."""
        work.a[i + 1][...] = work.a[i]

    def backward(self, work: Any, i: int, below: bool) -> None:
        """Fill the layer's gradients, summed over the rows, and, where something `below` needs it, dL/da_in.

        dL/da stands in ``work.delta[i]``; dL/da_in belongs into ``work.delta[i - 1]``.
        """
        if below:
            work.delta[i - 1][...] = work.delta[i]

    def remember(self, work: Any, i: int) -> None:
        """Update the buffers after a step of training on the batch in `work`."""

    # ── other programs ───────────────────────────────────────────────────────────────────────────────────

    def kernel_settings(self) -> tuple[float, ...]:
        """What the kernel finds in ``chain.settings``."""
        return ()

    def kernel_room(self, n: int) -> int:
        """How many numbers the kernel needs in ``chain.memory`` beside a and delta, for n rows."""
        return 0

    def script(self, i: int, *, below: bool, given_delta: bool) -> LayerText:
        """The layer in a NumPy script; with `given_delta` the script has delta_i already.

        Raises
        ------
        ConfigurationError
            If it has no such text.
        """
        raise ConfigurationError(
            f"layer {i}, {self!r}, is of your own making, and no script can be made of its source: give it a `script`"
        )

    def onnx(self, graph: Any, x: str) -> str:
        """Append the layer, in inference, to an ONNX graph; returns the name of the result.

        Raises
        ------
        ConfigurationError
            If ONNX cannot hold it.
        """
        raise ConfigurationError(f"{self!r} is of your own making, which ONNX cannot hold: give it an `onnx`")

    # ── the lens ─────────────────────────────────────────────────────────────────────────────────────────

    @property
    def title(self) -> str:
        """In a picture or in one line: "30 sigmoid"."""
        return type(self).__name__

    def forward_steps(self, n: int) -> list[Computation]:
        """The computations of the forward pass, with their shapes."""
        return []

    def backward_steps(self, n: int, *, below: bool, pair: str) -> list[Computation]:
        """Those of the backward pass; `pair` is empty, or says why delta = a − y at once."""
        return []

    def columns(self, room: dict[str, Array], a_in: Array, a: Array, delta: Array | None) -> dict[str, Array]:
        """What the units took and gave, (n, outputs) each, by symbol in the order of the pass."""
        found = {"a_in": a_in, "a": a} if a_in.shape == a.shape else {"a": a}
        return found if delta is None else {**found, "dL/da": delta}

    def through(self, room: dict[str, Array]) -> tuple[str, Array | None]:
        """How dL/da_in comes from dL/da where every unit stands alone: the symbol and the factors, (n, outputs).

        Without factors the units depend on each other, and the symbol says through what.
        """
        return f"through {type(self).__name__}", None

    def gradient_factors(
        self, name: str, index: tuple[int, ...], room: dict[str, Array], a_in: Array, delta: Array
    ) -> Factors:
        """The gradient of one number of the parameter `name`, row by row.

        Raises
        ------
        ConfigurationError
            Where it is no sum of products.
        """
        raise ConfigurationError(f"the gradient of {name} of {self!r} is not written out: the layer is your own")

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def axes(n: int, layer: Layer) -> tuple[Axes, Axes]:
    """Of what a layer takes and gives."""
    return ((n, "samples"), (layer.inputs, "inputs")), ((n, "samples"), (layer.outputs, "units"))
