"""The optimiser's part of a script: constants, memory, one step for one array, `update`, and the learning rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

from ...exceptions import ConfigurationError
from ...kinds.optimizers import OPTIMIZERS, ScriptedOptimizer
from ...kinds.schedules import schedule_script
from ...kinds.script import Line, UpdateText, number
from ...network import Network
from .layout import block, listed
from .passes import parameters, weights


@final
@dataclass(frozen=True)
class Update:
    """What an optimiser adds to a script.

    Attributes
    ----------
    text : UpdateText
    constants : list of (code, comment)
    functions : list of list of str
        Sources, `update` the last.
    arguments : list of str
        What `update` takes beside the gradients: "rate" where it changes, "t" where the step's number is needed.
    """

    text: UpdateText
    constants: list[Line]
    functions: list[list[str]]
    arguments: list[str]


def network_update(optimizer: Any, net: Network) -> Update:
    """An optimiser at work on a network's parameters.

    Raises
    ------
    ConfigurationError
        For an optimiser without a text, or a schedule that is a function of the user's.
    """
    if not isinstance(optimizer, ScriptedOptimizer):
        raise ConfigurationError(
            f"{optimizer!r} has no update that a NumPy script can hold: choose one of "
            f"{', '.join(kind.__name__ for kind in OPTIMIZERS.values())}"
        )
    text = optimizer.script()
    given: Any = optimizer
    schedule = callable(given.learning_rate)
    rate = "rate" if schedule else "LEARNING_RATE"
    arguments = [*(["rate"] if schedule else []), *(["t"] if text.counts_steps else [])]
    constants: list[Line] = []
    if not schedule:
        constants.append((f"LEARNING_RATE = {number(given.learning_rate)}", "η"))
    constants += [(f"{name} = {number(value)}", about) for name, (value, about) in text.constants.items()]
    if given.clip_norm is not None:
        constants.append((f"CLIP_NORM = {number(given.clip_norm)}", "longest gradient allowed"))
    functions = [_schedule(given.learning_rate)] if schedule else []
    if text.body:
        functions.append(_step(text, rate, arguments))
    functions.append(_update(text, rate, arguments, net, clipped=given.clip_norm is not None))
    return Update(text, constants, functions, arguments)


def _step(text: UpdateText, rate: str, arguments: list[str]) -> list[str]:
    given = ", ".join(["theta", "g", *text.memory, *arguments])
    return [
        f"def {text.name}_step({given}):",
        '    """Move one array of parameters θ in place; all arrays have its shape."""',
        *(f"    {line.replace('{rate}', rate)}" for line in text.body.splitlines()),
    ]


def _update(text: UpdateText, rate: str, arguments: list[str], net: Network, *, clipped: bool) -> list[str]:
    names = [name for name, _ in parameters(net)]
    ending = ", t the number of the step from 1" if text.counts_steps else ""
    lines = [
        f"def update({', '.join(['g', *arguments])}):",
        f'    """One step of {text.title}, in place; g are the gradients{ending}."""',
    ]
    if clipped:
        lines += [
            "    # g ← g · min(1, CLIP_NORM / ‖g‖), ‖g‖ over all parameters together",
            "    norm = math.sqrt(sum((part**2).sum() for part in g))",
            "    if norm > CLIP_NORM:",
            "        g = [part * (CLIP_NORM / norm) for part in g]",
        ]
    lines += listed("", [f"d{name}" for name in names], " = g")
    if text.decay:
        lines.append("    # the decay, of weights and never of biases: W ← W − η λ W")
        lines += [f"    {name}[:] -= {text.decay.replace('{rate}', rate)} * {name}" for name in weights(net)]
    if text.body:
        for name in names:
            given = ", ".join([name, f"d{name}", *(f"{m}{name}" for m in text.memory), *arguments])
            lines.append(f"    {text.name}_step({given})")
    else:
        lines.append(f"    # {text.formula}; [:] changes the array itself")
        lines += block([(f"{name}[:] -= {rate} * d{name}", str(shape)) for name, shape in parameters(net)])
    return lines


def _schedule(schedule: Any) -> list[str]:
    about, body = schedule_script(schedule, "learning rate")
    return [
        "def learning_rate(epoch):",
        f'    """η: {about}; epochs count from 0.0."""',
        *(f"    {line}" for line in body),
    ]
