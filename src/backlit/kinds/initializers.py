"""Initial values of weights and biases, by the names of the field.

fan_in is the number of inputs of the layer, fan_out its number of units. Numbers are drawn in float64
and then cast, so that a float32 and a float64 network of one seed start from the same values.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from ..exceptions import ConfigurationError, nearest
from ..parameters import Array

#: What `weight_init` and `bias_init` take: a name, a number (every value the same), or ("constant", number).
Initializer = str | float | tuple[str, float]

_Draw = Callable[[np.random.Generator, tuple[int, ...], int, int], Array]


def _normal(std: Callable[[int, int], float]) -> _Draw:
    return lambda rng, shape, fan_in, fan_out: rng.standard_normal(shape) * std(fan_in, fan_out)


def _uniform(bound: Callable[[int, int], float]) -> _Draw:
    def draw(rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> Array:
        limit = bound(fan_in, fan_out)
        return rng.uniform(-limit, limit, shape)

    return draw


_DRAWS: Final[dict[str, _Draw]] = {
    # w ~ N(0, 1)
    "standard_normal": _normal(lambda fan_in, fan_out: 1.0),
    # w ~ N(0, 1/fan_in): keeps the spread of z near 1 for inputs near 1. LeCun et al., "Efficient BackProp" (1998)
    "scaled_normal": _normal(lambda fan_in, fan_out: 1.0 / math.sqrt(fan_in)),
    # w ~ U(±√(6/(fan_in + fan_out))), N(0, 2/(fan_in + fan_out)). Glorot & Bengio (2010)
    "glorot_uniform": _uniform(lambda fan_in, fan_out: math.sqrt(6.0 / (fan_in + fan_out))),
    "glorot_normal": _normal(lambda fan_in, fan_out: math.sqrt(2.0 / (fan_in + fan_out))),
    # w ~ N(0, 2/fan_in), U(±√(6/fan_in)): relu halves the variance. He et al. (2015)
    "he_normal": _normal(lambda fan_in, fan_out: math.sqrt(2.0 / fan_in)),
    "he_uniform": _uniform(lambda fan_in, fan_out: math.sqrt(6.0 / fan_in)),
    "zeros": lambda rng, shape, fan_in, fan_out: np.zeros(shape),
}

#: Those that need nothing but their name.
DRAWN: Final = tuple(_DRAWS)
NAMES: Final = (*DRAWN, "constant")


def check_initializer(init: Initializer) -> str | float:
    """The initialiser in its plain form, a name or a number; refuses what is neither.

    Raises
    ------
    ConfigurationError
        For an unknown name, or a constant that is not a finite number.
    """
    if isinstance(init, tuple | list) and len(init) == 2 and init[0] == "constant":
        init = init[1]
    if isinstance(init, str):
        if init == "constant":
            raise ConfigurationError(
                "the initialiser 'constant' needs its number: write the number itself, or ('constant', 0.5)"
            )
        if init not in _DRAWS:
            raise ConfigurationError(f"there is no initialiser {init!r}: {nearest(init, NAMES)}")
        return init
    if isinstance(init, bool) or not isinstance(init, int | float | np.number) or not math.isfinite(init):
        raise ConfigurationError(f"an initialiser is a name or a finite number, received {init!r}")
    return float(init)


def initial_values(
    init: str | float, rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int
) -> Array:
    """Initial values of the given shape, in float64.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> initial_values(1.0, rng, (2, 3), 2, 3)
    array([[1., 1., 1.],
           [1., 1., 1.]])
    >>> bool(abs(initial_values("glorot_uniform", rng, (50, 30), 50, 30)).max() < (6 / 80) ** 0.5)
    True
    """
    if isinstance(init, str):
        return _DRAWS[init](rng, shape, fan_in, fan_out)
    return np.full(shape, init)
