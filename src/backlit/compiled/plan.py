"""What of the kinds a job needs, as functions that Numba compiles: no kind's name stands here.

A `Plan` holds the layers, activations, losses and optimisers that one compiled function knows. All jobs of built-in
kinds share one plan, compiled once; a job with something of the user's own has a plan of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, final

from ..kinds import ACTIVATIONS, LAYERS
from ..kinds.activation import Activation
from ..kinds.kernel import Kernel
from ..kinds.loss import Loss, Pair
from ..kinds.losses import LOSSES
from ..kinds.optimizers import OPTIMIZERS
from ..parameters import Array
from ..training.job import Job
from .math import compiled

#: The plans of this process by their key: what `step.steps` is compiled for.
PLANS: Final[dict[int, Plan]] = {}


@final
@dataclass(frozen=True, eq=False)
class Plan:
    """The kinds that one compiled function knows; a job says by number which of them it has.

    Attributes
    ----------
    kernels : tuple of Kernel
        Of the layers.
    activations : tuple of Activation
    losses : tuple of Loss or Pair
        Pairs first.
    pairs : int
        How many of them are pairs.
    updates : tuple of callable
        The kernels of the optimisers.
    kept : bool
        Whether the machine code may be kept on disk: it is for built-in kinds.
    """

    kernels: tuple[Kernel, ...]
    activations: tuple[Activation, ...]
    losses: tuple[Loss | Pair, ...]
    pairs: int
    updates: tuple[Callable[..., Any], ...]
    kept: bool

    @property
    def key(self) -> int:
        """0 for the plan of the built-in kinds, else a number of this process."""
        return 0 if self.kept else id(self)


def plan_of(job: Job) -> Plan:
    """The plan that knows the kinds of a job; one that is compiled already where there is one."""
    if 0 not in PLANS:
        PLANS[0] = _built_in()
    kernels, activations, loss, update = _needed(job)
    for plan in PLANS.values():
        if (
            set(kernels) <= set(plan.kernels)
            and set(activations) <= set(plan.activations)
            and _knows(plan, loss)
            and update in plan.updates
        ):
            return plan
    plan = Plan(tuple(kernels), tuple(activations), (loss,), int(isinstance(loss, Pair)), (update,), kept=False)
    return PLANS.setdefault(plan.key, plan)


def _knows(plan: Plan, loss: Loss | Pair) -> bool:
    return any(_same_kernel(known, loss) for known in plan.losses)


def loss_number(plan: Plan, loss: Loss | Pair) -> int:
    """The place of a loss in the plan; those that settings have made anew are known by their functions."""
    return next(k for k, known in enumerate(plan.losses) if _same_kernel(known, loss))


def _same_kernel(one: Loss | Pair, other: Loss | Pair) -> bool:
    if isinstance(one, Loss) and isinstance(other, Loss) and one.builtin and other.builtin:
        return one.name == other.name
    return one == other


def loss_of(job: Job) -> Loss | Pair:
    """The loss of a job, or the pair that it is with the output's activation."""
    loss = job.net.loss_function
    return loss.pairs.get(job.net.output_layer.activation.name, loss)


def _needed(job: Job) -> tuple[list[Kernel], list[Activation], Loss | Pair, Any]:
    layers = job.net.layers
    kernels = _once(kernel for layer in layers if (kernel := layer.kernel) is not None)
    activations = _once(layer.activation for layer in layers if layer.activation is not None)
    return kernels, activations, loss_of(job), type(job.optimizer).kernel  # type: ignore[attr-defined]


def _built_in() -> Plan:
    losses = [make() for make in LOSSES.values()]
    pairs = [pair for loss in losses for pair in loss.pairs.values()]
    alone = [loss for loss in losses if loss.number is not None]
    return Plan(
        tuple(_once(kernel for kind in LAYERS.values() if (kernel := kind.kernel) is not None)),
        tuple(a for a in ACTIVATIONS.values() if a.compiles),
        (*pairs, *alone),
        len(pairs),
        tuple(_once(kind.kernel for kind in OPTIMIZERS.values())),
        kept=True,
    )


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
        z, a = Z.reshape(Z.size), A.reshape(A.size)
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
        z, a, delta = Z.reshape(Z.size), A.reshape(A.size), DELTA.reshape(DELTA.size)
        for i in range(z.size):
            delta[i] *= slope(z[i], a[i])

    return compiled(by_numbers)


def compiled_loss(loss: Loss | Pair) -> Any:
    """Add up the losses of the rows, times their weights w; write w dL/da, or w dL/dz for a pair, into delta."""
    if isinstance(loss, Pair):
        return _summed_rows(loss.row) if loss.number is None else _summed_pair(loss.number)
    term, slope = loss.number  # type: ignore[misc]

    def by_numbers(z: Array, a: Array, y: Array, w: Array, s: Any, delta: Array) -> float:
        total = 0.0
        for i in range(a.shape[0]):
            row = 0.0
            for j in range(a.shape[1]):
                row += term(a[i, j], y[i, j], s)
                delta[i, j] = w[i] * slope(a[i, j], y[i, j], s)
            total += w[i] * row
        return total

    return compiled(by_numbers)


def _summed_pair(term: Any) -> Any:
    def by_numbers(z: Array, a: Array, y: Array, w: Array, s: Any, delta: Array) -> float:
        total = 0.0
        for i in range(a.shape[0]):
            row = 0.0
            for j in range(a.shape[1]):
                row += term(z[i, j], a[i, j], y[i, j], s)
                delta[i, j] = w[i] * (a[i, j] - y[i, j])
            total += w[i] * row
        return total

    return compiled(by_numbers)


def _summed_rows(row_loss: Any) -> Any:
    def by_rows(z: Array, a: Array, y: Array, w: Array, s: Any, delta: Array) -> float:
        total = 0.0
        for i in range(a.shape[0]):
            for j in range(a.shape[1]):
                delta[i, j] = w[i] * (a[i, j] - y[i, j])
            total += w[i] * row_loss(z, a, y, i)
        return total

    return compiled(by_rows)


def one_of(functions: list[Any], arguments: str, *, inside: bool = False) -> Any:
    """A compiled function that calls the k-th of several compiled ones: ``choose(k, …)``, all with the same arguments.

    It is written as text, a line for each function, because Numba calls what stands by a name in the code; a function
    of ``*arguments`` would pack and unpack them at every call.
    """
    lines = [f"    if k == {k}:\n        return f_{k}({arguments})\n" for k in range(len(functions) - 1)]
    text = f"def choose(k, {arguments}):\n{''.join(lines)}    return f_{len(functions) - 1}({arguments})\n"
    names: dict[str, Any] = {f"f_{k}": function for k, function in enumerate(functions)}
    exec(text, names)
    return compiled(names["choose"], inside=inside)
