"""The settings of the page: data, network and training, checked as they come in, whole as they go out."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, final
from urllib.parse import quote

from ..checks import fraction
from ..data.builtin import BUILTIN
from ..data.shapes import MOST_NOISE, ROWS
from ..exceptions import ConfigurationError, nearest
from ..kinds import ACTIVATIONS
from ..kinds.initializers import DRAWN
from ..kinds.losses import LOSSES
from ..kinds.optimizers import OPTIMIZERS
from ..kinds.schedules import SCHEDULES
from ..randomness import check_seed
from .crossing import FEATURES

MOST_HIDDEN: Final = 6
MOST_UNITS: Final = 256
MOST_ROWS: Final = 20_000
MOST_HELD_OUT: Final = 0.9
_MOST_TEXT: Final = 200  # characters of a column's name

AUTO: Final = "auto"  # what goes with the data
FILE: Final = "file"  # data that came from outside: an upload, the command line, Python
CONSTANT: Final = "constant"  # a learning rate that stays

#: The optimisers and the schedules by the names of their classes.
OPTIMIZER_NAMES: Final = {kind.__name__: kind for kind in OPTIMIZERS.values()}
SCHEDULE_NAMES: Final = {kind.__name__: kind for kind in SCHEDULES}


@final
@dataclass(frozen=True)
class DataSettings:
    """Which rows; `rows` and `noise` are of sets that are drawn, `features` of points in the plane."""

    name: str = "circle"
    noise: float = 0.0
    held_out: float = 0.5
    rows: int = ROWS
    seed: int = 0
    features: tuple[str, ...] = ("x1", "x2")
    target: str | None = None


@final
@dataclass(frozen=True)
class HiddenLayer:
    """A hidden layer, with the dropout behind it."""

    units: int = 4
    activation: str = "tanh"
    dropout: float = 0.0


@final
@dataclass(frozen=True)
class NetworkSettings:
    """The network; `given` is one from Python or from a file, which the rest describes where it can."""

    hidden: tuple[HiddenLayer, ...] = (HiddenLayer(),)
    output: str = AUTO
    loss: str = AUTO
    init: str = "glorot_uniform"
    l1: float = 0.0
    l2: float = 0.0
    seed: int = 0
    given: bool = False


@final
@dataclass(frozen=True)
class TrainingSettings:
    """How it is trained."""

    optimizer: str = "SGD"
    learning_rate: float = 0.1
    schedule: str = CONSTANT
    batch_size: int = 10
    momentum: float = 0.0


@final
@dataclass(frozen=True)
class Settings:
    """All of it.

    Examples
    --------
    >>> settings = Settings.from_json({"data": {"name": "spiral"}, "training": {"optimizer": "Adam"}})
    >>> settings.data.rows, settings.training.optimizer
    (400, 'Adam')
    >>> Settings.from_json({"data": {"nosie": 0.1}})
    Traceback (most recent call last):
        ...
    backlit.exceptions.ConfigurationError: there is no setting 'nosie' in data: did you mean 'noise'?
    """

    data: DataSettings = field(default_factory=DataSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)

    @classmethod
    def from_json(cls, wanted: Any) -> Settings:
        """Settings from what JSON holds; what is not there has its default.

        Raises
        ------
        ConfigurationError
            An unknown name, a value of another type or out of bounds; the sentence names it.
        """
        parts = _settings("the settings", wanted, dict.fromkeys(_PARTS))
        made = cls(*(kind(**_settings(part, parts.get(part, {}), checks)) for part, (kind, checks) in _PARTS.items()))
        if made.training.momentum and not takes_momentum(made.training.optimizer):
            raise ConfigurationError(
                f"{made.training.optimizer} has no momentum, received training.momentum={made.training.momentum!r}: "
                "set it to 0"
            )
        return made

    def to_json(self) -> dict[str, Any]:
        """The same in values that JSON can hold, complete."""
        found = json.loads(json.dumps(asdict(self)))
        if not self.network.given:
            del found["network"]["given"]
        return dict(found)

    def fragment(self) -> str:
        """What differs from the defaults, as the part of an address after its #.

        Examples
        --------
        >>> Settings().fragment(), Settings(data=DataSettings(noise=0.2)).fragment()
        ('#%7B%7D', '#%7B%22data%22%3A%7B%22noise%22%3A0.2%7D%7D')
        """
        plain, mine = Settings().to_json(), self.to_json()
        changed = {
            part: {name: value for name, value in mine[part].items() if value != plain[part].get(name)} for part in mine
        }
        text = json.dumps({k: v for k, v in changed.items() if v}, ensure_ascii=False, separators=(",", ":"))
        return "#" + quote(text, safe="")


def takes_momentum(optimizer: str) -> bool:
    """Whether an optimiser has a setting of that name."""
    return hasattr(OPTIMIZER_NAMES[optimizer](), "momentum")


# ── checks, each (name, value) -> value ──────────────────────────────────────────────────────────────────────

_Check = Callable[[str, Any], Any]


def _settings(where: str, given: Any, known: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of one part, each checked."""
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"{where} must be an object of settings by name, received {_shown(given)}")
    result = {}
    for name, value in given.items():
        if name not in known:
            hint = nearest(str(name)[:_MOST_TEXT], known)
            raise ConfigurationError(f"there is no setting {_shown(name)} in {where}: {hint}")
        check = known[name]
        result[name] = check(f"{where}.{name}", value) if callable(check) else value
    return result


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _number(low: float, high: float, above: bool = False) -> _Check:
    """A number within bounds; with `above`, above the lower one."""

    def check(name: str, value: Any) -> float:
        right = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
        if not right or (above and value == low):
            bounds = f"a finite number above {low:g}" if above else f"a number from {low:g} to {high:g}"
            raise ConfigurationError(f"{name} must be {bounds}, received {_shown(value)}")
        return float(value)

    return check


def _whole(low: int, high: int) -> _Check:
    def check(name: str, value: Any) -> int:
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        if isinstance(value, bool) or not whole or not low <= value <= high:
            raise ConfigurationError(
                f"{name} must be a whole number from {low:,} to {high:,}, received {_shown(value)}"
            )
        return int(value)

    return check


def _name(*known: str) -> _Check:
    def check(name: str, value: Any) -> str:
        if not isinstance(value, str) or value not in known:
            hint = nearest(str(value)[:_MOST_TEXT], known)
            raise ConfigurationError(f"{name} cannot be {_shown(value)}: {hint}")
        return value

    return check


def _text_or_none(name: str, value: Any) -> str | None:
    if value is not None and not (isinstance(value, str) and 0 < len(value) <= _MOST_TEXT):
        raise ConfigurationError(f"{name} must be the name of a column, or null, received {_shown(value)}")
    return value


def _seed(name: str, value: Any) -> int:
    try:
        return check_seed(value)
    except ConfigurationError as error:
        raise ConfigurationError(f"{name}: {error}") from error


def _features(name: str, value: Any) -> tuple[str, ...]:
    """Some of the features, each once, in the order of their table."""
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        raise ConfigurationError(f"{name} must be a list of at least one feature, received {_shown(value)}")
    for one in value:
        _name(*FEATURES)(name, one)
    return tuple(one for one in FEATURES if one in value)


def _hidden(name: str, value: Any) -> tuple[HiddenLayer, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) > MOST_HIDDEN:
        received = f"{len(value)} of them" if isinstance(value, list | tuple) else _shown(value)
        raise ConfigurationError(f"{name} must be a list of at most {MOST_HIDDEN} layers, received {received}")
    return tuple(HiddenLayer(**_settings(f"{name}[{i}]", layer, _HIDDEN)) for i, layer in enumerate(value))


def _dropout(name: str, value: Any) -> float:
    return fraction(name, value)


def _true_or_false(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} must be true or false, received {_shown(value)}")
    return value


_HIDDEN: Final[dict[str, _Check]] = {
    "units": _whole(1, MOST_UNITS),
    "activation": _name(*ACTIVATIONS),
    "dropout": _dropout,
}
_NOT_NEGATIVE: Final = _number(0.0, float(2**53))
_POSITIVE: Final = _number(0.0, math.nextafter(math.inf, 0.0), above=True)

#: Each part of the settings: what it becomes, and the check of each of its names.
_PARTS: Final[dict[str, tuple[type[Any], dict[str, _Check]]]] = {
    "data": (
        DataSettings,
        {
            "name": _name(*BUILTIN, FILE),
            "noise": _number(0.0, MOST_NOISE),
            "held_out": _number(0.0, MOST_HELD_OUT),
            "rows": _whole(1, MOST_ROWS),
            "seed": _seed,
            "features": _features,
            "target": _text_or_none,
        },
    ),
    "network": (
        NetworkSettings,
        {
            "hidden": _hidden,
            "output": _name(AUTO, *ACTIVATIONS),
            "loss": _name(AUTO, *LOSSES),
            "init": _name(*DRAWN),
            "l1": _NOT_NEGATIVE,
            "l2": _NOT_NEGATIVE,
            "seed": _seed,
            "given": _true_or_false,
        },
    ),
    "training": (
        TrainingSettings,
        {
            "optimizer": _name(*OPTIMIZER_NAMES),
            "learning_rate": _POSITIVE,
            "schedule": _name(CONSTANT, *SCHEDULE_NAMES),
            "batch_size": _whole(1, MOST_ROWS),
            "momentum": _dropout,
        },
    ),
}
