"""What the page can be asked for, from the library's tables: a new kind of anything appears by itself."""

from __future__ import annotations

from typing import Any

from ..data.builtin import ABOUT
from ..data.shapes import MOST_NOISE, ROWS
from ..kinds import ACTIVATIONS
from ..kinds.initializers import DRAWN
from ..kinds.losses import LOSSES
from .building import schedule_at
from .crossing import FEATURES
from .material import Material
from .settings import (
    AUTO,
    CONSTANT,
    FILE,
    MOST_HELD_OUT,
    MOST_HIDDEN,
    MOST_ROWS,
    MOST_UNITS,
    OPTIMIZER_NAMES,
    SCHEDULE_NAMES,
    takes_momentum,
)


def catalogue(given: Material | None = None) -> dict[str, Any]:
    """Data, kinds and bounds, in values that JSON can hold; with what was given from outside as one of the data.

    Examples
    --------
    >>> found = catalogue()
    >>> [one["name"] for one in found["data"]][:3], found["limits"]["hidden_layers"]
    (['circle', 'xor', 'gauss'], 6)
    """
    return {
        "data": [*([_outside(given)] if given is not None else []), *map(_built_in, ABOUT)],
        "features": list(FEATURES),
        "activations": list(ACTIVATIONS),
        "outputs": [AUTO, *ACTIVATIONS],
        "losses": [AUTO, *LOSSES],
        "initializers": list(DRAWN),
        "optimizers": [
            {"name": name, "learning_rate": float(kind().learning_rate), "momentum": takes_momentum(name)}
            for name, kind in OPTIMIZER_NAMES.items()
        ],
        "schedules": [
            {"name": CONSTANT, "title": "the same throughout"},
            *({"name": name, "title": schedule_at(name, 1.0).script()[0]} for name in SCHEDULE_NAMES),
        ],
        "limits": {
            "hidden_layers": MOST_HIDDEN,
            "units": MOST_UNITS,
            "rows": MOST_ROWS,
            "batch_size": MOST_ROWS,
            "noise": MOST_NOISE,
            "held_out": MOST_HELD_OUT,
        },
    }


def _built_in(name: str) -> dict[str, Any]:
    about = ABOUT[name]
    return {
        "name": name,
        "title": about.title,
        "kind": about.kind,
        "task": about.task,
        "description": about.description,
        "noise": about.drawn,
        "rows": [ROWS, MOST_ROWS] if about.drawn else None,
    }


def _outside(given: Material) -> dict[str, Any]:
    return {
        "name": FILE,
        "title": given.title,
        "kind": "table" if given.image is None else "image",
        "task": given.task,
        "description": given.description,
        "noise": False,
        "rows": None,
    }
