"""The optimiser's part of a script: constants, memory, one step for one array, `update`, and the learning rate."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

from ...exceptions import ConfigurationError
from ...kinds.optimizers import SGD, Adagrad, Adam, AdamW, RMSprop
from ...kinds.schedules import CosineDecay, ExponentialDecay, InverseDecay, StepDecay
from ...training.lbfgs import LBFGS
from .layout import Line, block, listed, number


@final
@dataclass(frozen=True)
class UpdateText:
    """What an optimiser adds to a script.

    Attributes
    ----------
    formula : str
        In one line, for the top of the script.
    constants : list of (code, comment)
    memory : list of str
        Names of what is remembered of each parameter: "m" makes arrays mW0, mb0, …
    about_memory : str
        What they are.
    functions : list of list of str
        Sources, `update` the last.
    arguments : list of str
        What `update` takes beside the gradients: "rate" where it changes, "t" where the step's number is needed.
    """

    formula: str
    constants: list[Line]
    memory: list[str]
    about_memory: str
    functions: list[list[str]]
    arguments: list[str]


@final
@dataclass(frozen=True)
class _Rule:
    """One optimiser: its name in the script, what it remembers, and the body of its step for one array θ."""

    name: str
    title: str
    formula: str
    constants: dict[str, tuple[float, str]]
    memory: tuple[str, ...] = ()
    about_memory: str = ""
    body: str = ""
    counts_steps: bool = False


def update_text(optimizer: Any, parameters: Sequence[tuple[str, tuple[int, ...]]]) -> UpdateText:
    """The text for an optimiser.

    Parameters
    ----------
    optimizer : SGD, RMSprop, Adagrad, Adam or AdamW
    parameters : sequence of (name, shape)
        As the script calls them: W0, b0, …

    Raises
    ------
    ConfigurationError
        For another optimiser, or a schedule that is a function of the user's.
    """
    rule = _rule(optimizer)
    schedule = callable(optimizer.learning_rate)
    rate = "rate" if schedule else "LEARNING_RATE"
    arguments = [*(["rate"] if schedule else []), *(["t"] if rule.counts_steps else [])]
    constants: list[Line] = []
    if not schedule:
        constants.append((f"LEARNING_RATE = {number(optimizer.learning_rate)}", "η"))
    constants += [(f"{name} = {number(value)}", about) for name, (value, about) in rule.constants.items()]
    if optimizer.clip_norm is not None:
        constants.append((f"CLIP_NORM = {number(optimizer.clip_norm)}", "longest gradient allowed"))
    functions = [_schedule(optimizer.learning_rate)] if schedule else []
    if rule.memory:
        functions.append(_step(rule, rate, arguments))
    functions.append(_update(optimizer, rule, rate, arguments, parameters))
    return UpdateText(
        formula=rule.formula,
        constants=constants,
        memory=list(rule.memory),
        about_memory=rule.about_memory,
        functions=functions,
        arguments=arguments,
    )


def _rule(optimizer: Any) -> _Rule:
    o = optimizer
    match optimizer:
        case SGD() if not o.momentum:
            return _Rule("sgd", "gradient descent", "θ ← θ − η g", {})
        case SGD():
            formula = "θ ← θ + μ v − η g" if o.nesterov else "θ ← θ + v"
            move = "MOMENTUM * v - {rate} * g" if o.nesterov else "v"
            return _Rule(
                "momentum",
                "gradient descent with Nesterov's momentum" if o.nesterov else "gradient descent with momentum",
                f"v ← μ v − η g, {formula}",
                {"MOMENTUM": (o.momentum, "μ")},
                ("v",),
                "the velocity v",
                f"# v ← μ v − η g\nv[:] = MOMENTUM * v - {{rate}} * g\n# {formula}\ntheta += {move}",
            )
        case RMSprop():
            return _Rule(
                "rmsprop",
                "RMSprop",
                "v ← ρ v + (1 − ρ) g², θ ← θ − η g / (√v + ε)",
                {"RHO": (o.rho, "ρ"), "EPSILON": (o.epsilon, "ε")},
                ("v",),
                "v, a running mean of the squared gradient",
                "# v ← ρ v + (1 − ρ) g²\nv[:] = RHO * v + (1 - RHO) * g**2\n"
                "# θ ← θ − η g / (√v + ε)\ntheta -= {rate} * g / (np.sqrt(v) + EPSILON)",
            )
        case Adagrad():
            return _Rule(
                "adagrad",
                "Adagrad",
                "v ← v + g², θ ← θ − η g / (√v + ε)",
                {"EPSILON": (o.epsilon, "ε")},
                ("v",),
                "v, the sum of the squared gradients so far",
                "# v ← v + g²\nv += g**2\n# θ ← θ − η g / (√v + ε)\ntheta -= {rate} * g / (np.sqrt(v) + EPSILON)",
            )
        case Adam() | AdamW():
            return _adam(o)
        case LBFGS():
            raise ConfigurationError(
                "LBFGS is a line search of SciPy's, not an update that a plain NumPy script can hold: "
                "choose optimizer=SGD(0.01) or another of SGD, RMSprop, Adagrad, Adam, AdamW"
            )
        case _:
            raise ConfigurationError(
                f"the optimiser of a NumPy script is one of SGD, RMSprop, Adagrad, Adam, AdamW, received {optimizer!r}"
            )


def _adam(o: Adam | AdamW) -> _Rule:
    short = isinstance(o, Adam) and o.epsilon_hat
    means = """
        # m ← β₁ m + (1 − β₁) g
        m[:] = BETA_1 * m + (1 - BETA_1) * g
        # v ← β₂ v + (1 − β₂) g²
        v[:] = BETA_2 * v + (1 - BETA_2) * g**2
    """
    if short:
        move = """
        # θ ← θ − η √(1 − β₂ᵗ) / (1 − β₁ᵗ) · m / (√v + ε̂)
        corrected = {rate} * math.sqrt(1 - BETA_2**t) / (1 - BETA_1**t)
        theta -= corrected * m / (np.sqrt(v) + EPSILON)
        """
    else:
        move = """
        # m̂ = m / (1 − β₁ᵗ),   v̂ = v / (1 − β₂ᵗ)
        m_hat = m / (1 - BETA_1**t)
        v_hat = v / (1 - BETA_2**t)
        # θ ← θ − η m̂ / (√v̂ + ε)
        theta -= {rate} * m_hat / (np.sqrt(v_hat) + EPSILON)
        """
    constants = {"BETA_1": (o.beta_1, "β₁"), "BETA_2": (o.beta_2, "β₂"), "EPSILON": (o.epsilon, "ε̂" if short else "ε")}
    formula = "θ ← θ − η √(1 − β₂ᵗ)/(1 − β₁ᵗ) m / (√v + ε̂)" if short else "θ ← θ − η m̂ / (√v̂ + ε)"
    if isinstance(o, AdamW):
        constants["WEIGHT_DECAY"] = (o.weight_decay, "λ")
        formula = f"W ← W − η λ W, then {formula}"
    return _Rule(
        "adam",
        "AdamW" if isinstance(o, AdamW) else "Adam",
        formula,
        constants,
        ("m", "v"),
        "m, a running mean of the gradient, and v, one of its square",
        "\n".join(part for text in (means, move) for part in textwrap.dedent(text).strip().splitlines()),
        counts_steps=True,
    )


def _step(rule: _Rule, rate: str, arguments: list[str]) -> list[str]:
    given = ", ".join(["theta", "g", *rule.memory, *arguments])
    return [
        f"def {rule.name}_step({given}):",
        '    """Move one array of parameters θ in place; all arrays have its shape."""',
        *(f"    {line.replace('{rate}', rate)}" for line in rule.body.splitlines()),
    ]


def _update(
    optimizer: Any, rule: _Rule, rate: str, arguments: list[str], parameters: Sequence[tuple[str, tuple[int, ...]]]
) -> list[str]:
    names = [name for name, _ in parameters]
    ending = ", t the number of the step from 1" if rule.counts_steps else ""
    lines = [
        f"def update({', '.join(['g', *arguments])}):",
        f'    """One step of {rule.title}, in place; g are the gradients{ending}."""',
    ]
    if optimizer.clip_norm is not None:
        lines += [
            "    # g ← g · min(1, CLIP_NORM / ‖g‖), ‖g‖ over all parameters together",
            "    norm = math.sqrt(sum((part**2).sum() for part in g))",
            "    if norm > CLIP_NORM:",
            "        g = [part * (CLIP_NORM / norm) for part in g]",
        ]
    lines += listed("", [f"d{name}" for name in names], " = g")
    if isinstance(optimizer, AdamW) and optimizer.weight_decay:
        lines.append("    # the decay, of weights and never of biases: W ← W − η λ W")
        weights = [name for name in names if name.startswith("W")]
        lines += [f"    {name}[:] -= {rate} * WEIGHT_DECAY * {name}" for name in weights]
    if rule.memory:
        for name in names:
            given = ", ".join([name, f"d{name}", *(f"{m}{name}" for m in rule.memory), *arguments])
            lines.append(f"    {rule.name}_step({given})")
    else:
        lines.append(f"    # {rule.formula}; [:] changes the array itself")
        lines += block([(f"{name}[:] -= {rate} * d{name}", str(shape)) for name, shape in parameters])
    return lines


def _schedule(schedule: Any) -> list[str]:
    s = schedule
    match schedule:
        case StepDecay():
            about = "multiplied by a factor after every so many epochs"
            body = [f"return {number(s.initial)} * {number(s.factor)} ** math.floor(epoch / {number(s.every)})"]
        case ExponentialDecay():
            about = "smooth decay, initial · rate^epoch"
            body = [f"return {number(s.initial)} * {number(s.rate)} ** epoch"]
        case InverseDecay():
            about = "initial / (1 + rate · epoch)^power"
            body = [f"return {number(s.initial)} / (1 + {number(s.rate)} * epoch) ** {number(s.power)}"]
        case CosineDecay():
            about = "half a cosine down to the final rate" + (", after a linear warm-up" if s.warmup else "")
            body = [f"initial, final, epochs = {number(s.initial)}, {number(s.final)}, {number(s.epochs)}"]
            progress = "epoch / epochs"
            if s.warmup:
                body += [f"warmup = {number(s.warmup)}", "if epoch < warmup:", "    return initial * epoch / warmup"]
                progress = "(epoch - warmup) / (epochs - warmup)"
            body += [
                f"t = min(1.0, {progress})  # from 0 to 1",
                "return final + 0.5 * (initial - final) * (1 + math.cos(math.pi * t))",
            ]
        case _:
            raise ConfigurationError(
                f"the learning rate {schedule!r} is a function of your own, whose source no script can be made of: "
                "give a number or one of StepDecay, ExponentialDecay, InverseDecay, CosineDecay"
            )
    return [
        "def learning_rate(epoch):",
        f'    """η: {about}; epochs count from 0.0."""',
        *(f"    {line}" for line in body),
    ]
