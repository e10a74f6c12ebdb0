"""Learning rates, and rates of dropout, that change during training.

A schedule is a function of time in epochs: 0.0 is the start, 2.5 the middle of the third epoch. Every optimiser takes
one in place of its number; so it takes any function of yours that accepts a float and returns one. `Dropout` takes one
as well, and has its rate at the beginning of an epoch throughout it.
(PyTorch and optax count steps instead; counting epochs leaves a schedule right when the batch size changes.)
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, final

import numpy as np

from ..checks import not_negative, positive, positive_whole
from ..exceptions import ConfigurationError, nearest
from ..typing import ScheduleFunction, Spec
from .script import number

#: What `learning_rate` takes.
LearningRate = float | ScheduleFunction

_MOST_CYCLES: Final = 30  # the first of more would be over before any step


@final
@dataclass(frozen=True)
class StepDecay:
    """Multiply by `factor` after every `every` epochs: η = initial · factor^⌊epoch / every⌋.

    Examples
    --------
    >>> [StepDecay(1.0, factor=0.5, every=10)(t) for t in (0.0, 9.9, 10.0, 25.0)]
    [1.0, 1.0, 0.5, 0.25]
    """

    initial: float
    factor: float = 0.1
    every: float = 10.0

    def __post_init__(self) -> None:
        positive("initial", self.initial)
        positive("factor", self.factor)
        positive("every", self.every)

    def script(self) -> tuple[str, list[str]]:
        """What it is, and the body of a function of the epoch, for an exported script."""
        initial, factor, every = number(self.initial), number(self.factor), number(self.every)
        return "multiplied by a factor every few epochs", [
            f"return {initial} * {factor} ** math.floor(epoch / {every})"
        ]

    def __call__(self, epoch: float) -> float:
        return float(self.initial * self.factor ** math.floor(epoch / self.every))


@final
@dataclass(frozen=True)
class ExponentialDecay:
    """Smooth decay: η = initial · rate^epoch.

    Examples
    --------
    >>> ExponentialDecay(1.0, rate=0.5)(2.0)
    0.25
    """

    initial: float
    rate: float = 0.95

    def __post_init__(self) -> None:
        positive("initial", self.initial)
        positive("rate", self.rate)

    def script(self) -> tuple[str, list[str]]:
        """What it is, and the body of a function of the epoch, for an exported script."""
        return "smooth decay, initial · rate^epoch", [f"return {number(self.initial)} * {number(self.rate)} ** epoch"]

    def __call__(self, epoch: float) -> float:
        return float(self.initial * self.rate**epoch)


@final
@dataclass(frozen=True)
class InverseDecay:
    """η = initial / (1 + rate · epoch)^power. Robbins & Monro (1951) ask for ½ < power ≤ 1.

    Examples
    --------
    >>> InverseDecay(1.0, rate=1.0)(3.0)
    0.25
    """

    initial: float
    rate: float = 1.0
    power: float = 1.0

    def __post_init__(self) -> None:
        positive("initial", self.initial)
        not_negative("rate", self.rate)
        positive("power", self.power)

    def script(self) -> tuple[str, list[str]]:
        """What it is, and the body of a function of the epoch, for an exported script."""
        initial, rate, power = number(self.initial), number(self.rate), number(self.power)
        return "initial / (1 + rate · epoch)^power", [f"return {initial} / (1 + {rate} * epoch) ** {power}"]

    def __call__(self, epoch: float) -> float:
        return float(self.initial / (1.0 + self.rate * epoch) ** self.power)


@final
@dataclass(frozen=True)
class CosineDecay:
    """Half a cosine from `initial` down to `final`, over `epochs`, after a linear `warmup`.

    η = final + ½ (initial − final)(1 + cos(π t)), t from 0 to 1. Loshchilov & Hutter (2017), without restarts.

    Examples
    --------
    >>> schedule = CosineDecay(1.0, epochs=10)
    >>> schedule(0.0), round(schedule(5.0), 3), schedule(10.0)
    (1.0, 0.5, 0.0)
    >>> CosineDecay(1.0, epochs=10, warmup=2)(1.0)
    0.5
    """

    initial: float
    epochs: float
    final: float = 0.0
    warmup: float = 0.0

    def __post_init__(self) -> None:
        positive("initial", self.initial)
        not_negative("final", self.final)
        not_negative("warmup", self.warmup)
        if not positive("epochs", self.epochs) > self.warmup:
            raise ConfigurationError(f"epochs must be more than the warm-up of {self.warmup}, received {self.epochs!r}")

    def script(self) -> tuple[str, list[str]]:
        """What it is, and the body of a function of the epoch, for an exported script."""
        about = "half a cosine down to the final rate" + (", after a linear warm-up" if self.warmup else "")
        body = [f"initial, final, epochs = {number(self.initial)}, {number(self.final)}, {number(self.epochs)}"]
        progress = "epoch / epochs"
        if self.warmup:
            body += [f"warmup = {number(self.warmup)}", "if epoch < warmup:", "    return initial * epoch / warmup"]
            progress = "(epoch - warmup) / (epochs - warmup)"
        body += [
            f"t = min(1.0, {progress})  # from 0 to 1",
            "return final + 0.5 * (initial - final) * (1 + math.cos(math.pi * t))",
        ]
        return about, body

    def __call__(self, epoch: float) -> float:
        if epoch < self.warmup:
            return float(self.initial * epoch / self.warmup)
        t = min(1.0, (epoch - self.warmup) / (self.epochs - self.warmup))
        return float(self.final + 0.5 * (self.initial - self.final) * (1.0 + math.cos(math.pi * t)))


@final
@dataclass(frozen=True)
class FlatCosine:
    """Constant for a part of `epochs`, then half a cosine from `initial` down to `final`.

    η = initial until t = flat, then final + ½ (initial − final)(1 + cos(π (t − flat)/(1 − flat))), t from 0 to 1.
    Holzmüller, Grinsztajn & Steinwart (2024) have it with flat = ½, "flat_cos", for weight decay and dropout.

    Examples
    --------
    >>> schedule = FlatCosine(1.0, epochs=8)
    >>> schedule(4.0), round(schedule(6.0), 3), schedule(8.0)
    (1.0, 0.5, 0.0)
    """

    initial: float
    epochs: float
    flat: float = 0.5
    final: float = 0.0

    def __post_init__(self) -> None:
        positive("initial", self.initial)
        positive("epochs", self.epochs)
        not_negative("final", self.final)
        if not not_negative("flat", self.flat) < 1.0:
            raise ConfigurationError(
                f"flat must be a part of the epochs, from 0 to less than 1, received {self.flat!r}"
            )

    def script(self) -> tuple[str, list[str]]:
        """What it is, and the body of a function of the epoch, for an exported script."""
        initial, final, epochs, flat = (number(x) for x in (self.initial, self.final, self.epochs, self.flat))
        return "constant, then half a cosine down to the final rate", [
            f"initial, final, epochs, flat = {initial}, {final}, {epochs}, {flat}",
            "t = (min(1.0, epoch / epochs) - flat) / (1 - flat)  # from 0 to 1, where the cosine begins",
            "return final + 0.5 * (initial - final) * (1 + math.cos(math.pi * max(0.0, t)))",
        ]

    def __call__(self, epoch: float) -> float:
        t = max(0.0, (min(1.0, epoch / self.epochs) - self.flat) / (1.0 - self.flat))
        return float(self.final + 0.5 * (self.initial - self.final) * (1.0 + math.cos(math.pi * t)))


@final
@dataclass(frozen=True)
class CosineCycles:
    """Whole cosines from 0 up to `initial` and back to 0, each twice as long as the one before, over `epochs`.

    η = ½ initial (1 − cos(2π log₂(1 + (2^cycles − 1) t))), t from 0 to 1. With four of them it is "coslog4" of
    Holzmüller, Grinsztajn & Steinwart (2024). Warm restarts, Loshchilov & Hutter (2017), begin at the top instead.

    Examples
    --------
    >>> schedule = CosineCycles(1.0, epochs=15)
    >>> [round(schedule(t), 3) for t in (0.0, 0.414, 1.0, 1.828, 3.0, 15.0)]
    [0.0, 1.0, 0.0, 1.0, 0.0, 0.0]
    """

    initial: float
    epochs: float
    cycles: int = 4

    def __post_init__(self) -> None:
        positive("initial", self.initial)
        positive("epochs", self.epochs)
        if positive_whole("cycles", self.cycles) > _MOST_CYCLES:
            raise ConfigurationError(f"cycles must be at most {_MOST_CYCLES}, received {self.cycles!r}")

    def script(self) -> tuple[str, list[str]]:
        """What it is, and the body of a function of the epoch, for an exported script."""
        initial, epochs = number(self.initial), number(self.epochs)
        return "cosines up from 0 and down again, each twice as long as the one before", [
            f"t = min(1.0, epoch / {epochs})  # from 0 to 1",
            f"cycle = math.log2(1 + {2**self.cycles - 1} * t)",
            f"return 0.5 * {initial} * (1 - math.cos(2 * math.pi * cycle))",
        ]

    def __call__(self, epoch: float) -> float:
        cycle = math.log2(1.0 + (2**self.cycles - 1) * min(1.0, epoch / self.epochs))
        return float(0.5 * self.initial * (1.0 - math.cos(2.0 * math.pi * cycle)))


#: All of them.
SCHEDULES: Final = (StepDecay, ExponentialDecay, InverseDecay, CosineDecay, FlatCosine, CosineCycles)


_ADDRESS: Final = re.compile(r" at 0x[0-9A-Fa-f]+")

_NAMED: Final[dict[str, Any]] = {schedule.__name__: schedule for schedule in SCHEDULES}


def is_own_schedule(schedule: Any) -> bool:
    """Whether a schedule is a function of the user's own making, which no file can hold."""
    return _NAMED.get(type(schedule).__name__) is not type(schedule)


def schedule_spec(schedule: Any) -> Spec | str:
    """The description of one of Backlit's, in values that JSON can hold; of any other, its text, the same in all runs.

    Examples
    --------
    >>> schedule_spec(ExponentialDecay(0.5, rate=0.9))
    {'name': 'ExponentialDecay', 'initial': 0.5, 'rate': 0.9}
    >>> schedule_spec(lambda epoch: 0.1 * epoch)
    '<function <lambda>>'
    """
    if is_own_schedule(schedule):
        # another process has it at another address, and that must not keep a run from going on
        return _ADDRESS.sub("", repr(schedule))
    return {"name": type(schedule).__name__, **asdict(schedule)}


def schedule_from_spec(spec: Mapping[str, Any]) -> Any:
    """The schedule of a description that came from a file.

    Raises
    ------
    ConfigurationError

    Examples
    --------
    >>> schedule_from_spec({"name": "ExponentialDecay", "initial": 0.5, "rate": 0.9})
    ExponentialDecay(initial=0.5, rate=0.9)
    """
    settings = dict(spec)
    name = str(settings.pop("name", None))
    if name not in _NAMED:
        raise ConfigurationError(f"there is no schedule {name!r}: {nearest(name, _NAMED)}")
    try:
        return _NAMED[name](**settings)
    except TypeError as error:
        raise ConfigurationError(f"a {name} cannot be made of {settings!r}: {error}") from error


def schedule_script(schedule: Any, what: str) -> tuple[str, list[str]]:
    """What a schedule is, and the body of a function of the epoch, for an exported script.

    Raises
    ------
    ConfigurationError
        For a function of the user's own; the sentence says `what` it is of.
    """
    if not hasattr(schedule, "script"):
        raise ConfigurationError(
            f"the {what} {schedule!r} is a function of your own, whose source no script can be made of: give a number "
            f"or one of {', '.join(_NAMED)}"
        )
    about, body = schedule.script()
    return about, body


def check_learning_rate(learning_rate: LearningRate) -> LearningRate:
    """A number of at least 0, or a function of the epoch.

    Raises
    ------
    ConfigurationError
    """
    if callable(learning_rate):
        return learning_rate
    if isinstance(learning_rate, bool) or not isinstance(learning_rate, int | float | np.number):
        raise ConfigurationError(
            f"learning_rate must be a number or a function of the epoch, received {learning_rate!r}"
        )
    return not_negative("learning_rate", learning_rate)


def scheduled(schedule: ScheduleFunction, what: str, epoch: float) -> float:
    """What a schedule gives at a time in epochs; `what` is the name of it in the sentence of an error.

    Raises
    ------
    ConfigurationError
        For anything that is no number.

    Examples
    --------
    >>> scheduled(StepDecay(1.0, factor=0.5, every=10), "learning rate", 10.0)
    0.5
    """
    given: Any = schedule(epoch)
    wrong = f"the schedule gave the {what} {given!r} at epoch {epoch:g}: it must be a number"
    if isinstance(given, str | bytes):
        raise ConfigurationError(wrong)
    try:
        return float(given)
    except (TypeError, ValueError, OverflowError) as error:
        raise ConfigurationError(wrong) from error


def rate_at(learning_rate: LearningRate, epoch: float) -> float:
    """The learning rate at a time in epochs."""
    if not callable(learning_rate):
        return learning_rate
    rate = scheduled(learning_rate, "learning rate", epoch)
    if not (rate >= 0.0 and math.isfinite(rate)):
        raise ConfigurationError(
            f"the schedule gave the learning rate {rate} at epoch {epoch:g}: it must be finite and at least 0"
        )
    return rate
