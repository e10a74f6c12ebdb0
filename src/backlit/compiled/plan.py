"""What of the kinds a job needs, as functions that Numba compiles: no kind's name stands here.

A `Plan` holds the layers, activations, losses and optimisers that one compiled function knows. A job is compiled
for what it needs and no more, which takes a few seconds, once for each plan and type of number.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, final

from ..kinds import ACTIVATIONS, LAYERS
from ..kinds.activation import Activation
from ..kinds.kernel import Kernel
from ..kinds.loss import Loss, Pair
from ..kinds.losses import LOSSES
from ..kinds.optimizers import OPTIMIZERS
from ..network import Network
from ..parameters import Array
from ..training.job import Job
from ..typing import SparseSource
from .math import compiled
from .vectors import flat

#: The plans of this process: what machine code there is, or is about to be; for steps, and for predictions.
PLANS: Final[list[Plan]] = []
TO_PREDICT: Final[list[Plan]] = []


@final
@dataclass(frozen=True, eq=False)
class Plan:
    """The kinds that one compiled function knows; a job says by number which of them it has.

    Attributes
    ----------
    kernels : tuple of Kernel
        Of the layers.
    activations : tuple of Activation
    slopes : tuple of Activation
        Those of them whose slope is needed: not that of an output that is a pair with its loss.
    losses : tuple of Loss or Pair
        Pairs first.
    pairs : int
        How many of them are pairs.
    updates : tuple of callable
        The kernels of the optimisers; none where gradients alone are asked for.
    penalises, clips, sparse : bool
        Whether it knows penalties, gradients that are clipped, and sparse rows.
    """

    kernels: tuple[Kernel, ...]
    activations: tuple[Activation, ...]
    slopes: tuple[Activation, ...]
    losses: tuple[Loss | Pair, ...]
    pairs: int
    updates: tuple[Callable[..., Any], ...]
    penalises: bool
    clips: bool
    sparse: bool

    @property
    def key(self) -> int | None:
        """What the machine code is kept on disk by; None where it is not, as something is the user's own."""
        if not everything().knows(self):
            return None
        places = [[_place(kind) for kind in kinds] for kinds in (self.kernels, self.activations, self.slopes)]
        places += [[_place(kind) for kind in kinds] for kinds in (self.losses, self.updates)]
        return zlib.crc32(repr((places, self.penalises, self.clips, self.sparse)).encode())

    def knows(self, other: Plan) -> bool:
        """Whether what is compiled for this plan can run the jobs of the other."""
        return (
            set(other.kernels) <= set(self.kernels)
            and set(other.activations) <= set(self.activations)
            and set(other.slopes) <= set(self.slopes)
            and all(any(_same_kernel(known, loss) for known in self.losses) for loss in other.losses)
            and set(other.updates) <= set(self.updates)
            and self.penalises >= other.penalises
            and self.clips >= other.clips
            and self.sparse >= other.sparse
        )


def plan_of(job: Job) -> Plan:
    """The plan for a job; one that is compiled already where there is one, with the same results to the bit."""
    optimizer: Any = job.optimizer
    return plan_for(
        job.net,
        (type(optimizer).kernel,),
        clips=optimizer.clip_norm is not None,
        sparse=isinstance(job.X, SparseSource),
    )


def plan_for(
    net: Network, updates: tuple[Callable[..., Any], ...] = (), *, clips: bool = False, sparse: bool = False
) -> Plan:
    """The plan for a network and the kernels of optimisers, as `plan_of` chooses it."""
    return _known(_needed(net, updates, clips=clips, sparse=sparse), PLANS)


def plan_to_predict(net: Network) -> Plan:
    """The same for a network's predictions."""
    layers = [layer for layer in net.layers if not layer.same_in_inference]
    activations = [layer.function for layer in layers if layer.function is not None]
    return _known(only_forward(_ordered(layer.kernel for layer in layers), _ordered(activations)), TO_PREDICT)


def only_forward(kernels: tuple[Kernel, ...], activations: tuple[Activation, ...]) -> Plan:
    """The plan of a forward pass."""
    return Plan(kernels, activations, (), (), 0, (), penalises=False, clips=False, sparse=False)


def _known(needed: Plan, plans: list[Plan]) -> Plan:
    found = next((plan for plan in plans if plan.knows(needed)), None)
    if found is None:
        found = needed
        plans.append(needed)
    return found


def loss_number(plan: Plan, loss: Loss | Pair) -> int:
    """The place of a loss in the plan; those that settings have made anew are known by their functions."""
    return next(k for k, known in enumerate(plan.losses) if _same_kernel(known, loss))


def _same_kernel(one: Any, other: Any) -> bool:
    if isinstance(one, Loss) and isinstance(other, Loss) and one.builtin and other.builtin:
        return one.name == other.name
    if isinstance(one, Pair) and isinstance(other, Pair):
        return one.number is other.number and one.row is other.row  # targets are smoothed before it sees them
    return bool(isinstance(one, Loss) and one == other)


def loss_of(net: Network) -> Loss | Pair:
    """The loss of a network, or the pair that it is with the output's activation."""
    loss = net.loss_function
    return loss.pairs.get(net.output_layer.activation.name, loss)


def _needed(net: Network, updates: tuple[Callable[..., Any], ...], *, clips: bool, sparse: bool) -> Plan:
    loss = loss_of(net)
    activations = [layer.function for layer in net.layers if layer.function is not None]
    return Plan(
        _ordered(layer.kernel for layer in net.layers),
        _ordered(activations),
        _ordered(activations[:-1] if isinstance(loss, Pair) else activations),
        (loss,),
        int(isinstance(loss, Pair)),
        updates,
        penalises=net.l1 > 0.0 or net.l2 > 0.0,
        clips=clips,
        sparse=sparse,
    )


@functools.cache
def everything() -> Plan:
    """The plan that knows all built-in kinds: with it, one compiled function runs every job of theirs."""
    losses = [make() for make in LOSSES.values()]
    pairs = [pair for loss in losses for pair in loss.pairs.values()]
    activations = tuple(activation for activation in ACTIVATIONS.values() if activation.compiles)
    return Plan(
        tuple(_once(kind.kernel for kind in LAYERS.values() if kind.kernel is not None)),
        activations,
        activations,
        (*pairs, *(loss for loss in losses if loss.number is not None)),
        len(pairs),
        tuple(_once(kind.kernel for kind in OPTIMIZERS.values())),
        penalises=True,
        clips=True,
        sparse=True,
    )


@functools.cache
def everything_to_predict() -> Plan:
    """The same for predictions."""
    layers = [kind for kind in LAYERS.values() if kind.kernel is not None and not kind.same_in_inference]
    return only_forward(tuple(_once(kind.kernel for kind in layers)), everything().activations)


def _ordered(kinds: Iterable[Any]) -> tuple[Any, ...]:
    """Each once; Backlit's own in the order of their tables, so that a network's order makes no difference."""
    return tuple(sorted(_once(kinds), key=_place))


def _place(kind: Any) -> int:
    """Among all built-in kinds; after them where it is the user's own."""
    known = everything()
    listed = (*known.kernels, *known.activations, *known.losses, *known.updates)
    return next((place for place, one in enumerate(listed) if one is kind or _same_kernel(one, kind)), len(listed))


def _once(things: Iterable[Any]) -> list[Any]:
    """Each thing once, in the order of the first time."""
    return list({id(thing): thing for thing in things}.values())


# ── whole arrays from forms for one number ─────────────────────────────────────────────────────────────────


def compiled_activation(activation: Activation) -> Any:
    """A ← f(Z), compiled."""
    if activation.number is None:
        return compiled(activation.rows[0])  # type: ignore[index]
    f = activation.number[0]

    def by_numbers(Z: Array, A: Array) -> None:
        z, a = flat(Z), flat(A)
        for i in range(z.size):
            a[i] = f(z[i])

    return compiled(by_numbers)


def compiled_slope(activation: Activation) -> Any:
    """DELTA ← DELTA ⊙ f′(Z), or its product with the Jacobian, compiled."""
    if activation.number is None:
        jacobian = activation.rows[1]  # type: ignore[index]

        def by_rows(Z: Array, A: Array, DELTA: Array) -> None:
            jacobian(A, DELTA)

        return compiled(by_rows)
    slope = activation.number[1]

    def by_numbers(Z: Array, A: Array, DELTA: Array) -> None:
        z, a, delta = flat(Z), flat(A), flat(DELTA)
        for i in range(z.size):
            delta[i] *= slope(z[i], a[i])

    return compiled(by_numbers)


def compiled_loss(loss: Loss | Pair) -> Any:
    """Write the losses of the rows, times their weights w, and w dL/da, or w dL/dz for a pair, into delta."""
    if isinstance(loss, Pair):
        return _losses_of_rows(loss.row) if loss.number is None else _losses_of_pair(loss.number)
    term, slope = loss.number  # type: ignore[misc]

    def by_numbers(z: Array, a: Array, y: Array, w: Array, s: Any, delta: Array, losses: Array) -> None:
        for i in range(a.shape[0]):
            row = 0.0
            for j in range(a.shape[1]):
                row += term(a[i, j], y[i, j], s)
                delta[i, j] = w[i] * slope(a[i, j], y[i, j], s)
            losses[i] = w[i] * row

    return compiled(by_numbers)


def _losses_of_pair(term: Any) -> Any:
    def by_numbers(z: Array, a: Array, y: Array, w: Array, s: Any, delta: Array, losses: Array) -> None:
        for i in range(a.shape[0]):
            row = 0.0
            for j in range(a.shape[1]):
                row += term(z[i, j], a[i, j], y[i, j], s)
                delta[i, j] = w[i] * (a[i, j] - y[i, j])
            losses[i] = w[i] * row

    return compiled(by_numbers)


def _losses_of_rows(row_loss: Any) -> Any:
    def by_rows(z: Array, a: Array, y: Array, w: Array, s: Any, delta: Array, losses: Array) -> None:
        for i in range(a.shape[0]):
            for j in range(a.shape[1]):
                delta[i, j] = w[i] * (a[i, j] - y[i, j])
            losses[i] = w[i] * row_loss(z, a, y, i)

    return compiled(by_rows)


def one_of(functions: list[Any], arguments: str) -> Any:
    """A function that calls the k-th of several compiled ones: ``choose(k, …)``, all with the same arguments.

    It is written as text, a line for each function, because Numba calls what stands by a name in the code; a function
    of ``*arguments`` would pack and unpack them at every call.
    """
    lines = [f"    if k == {k}:\n        return f_{k}({arguments})\n" for k in range(len(functions) - 1)]
    text = f"def choose(k, {arguments}):\n{''.join(lines)}    return f_{len(functions) - 1}({arguments})\n"
    names: dict[str, Any] = {"__name__": __name__} | {f"f_{k}": function for k, function in enumerate(functions)}
    exec(text, names)
    return names["choose"]
