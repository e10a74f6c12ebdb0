"""Functions of one number: what activations, losses and optimisers are written in where a number is treated by itself.

Here they are plain Python, to be read and tried. The compiled engine replaces each by machine code of the same name
(`compiled/math.py`). The number may be float32 or float64, and the result has its type: `type(x)(1)` is a one of that
type, where a plain 1.0 would turn float32 arithmetic into float64. Comparisons are written so that NaN passes through:
a network that has left the numbers must be seen.
"""

from __future__ import annotations

import math
from typing import Any


def exp(x: Any) -> Any:
    """eˣ; infinity where that is too large.

    Examples
    --------
    >>> exp(0.0), exp(1e4)
    (1.0, inf)
    """
    return type(x)(math.exp(x)) if x < 709.78 else type(x)(math.inf) if x == x else x


def log(x: Any) -> Any:
    """log x; −infinity at 0, NaN below.

    Examples
    --------
    >>> log(1.0), log(0.0)
    (0.0, -inf)
    """
    return type(x)(math.log(x)) if x > 0 else type(x)(-math.inf if x == 0 else math.nan)


def tanh(x: Any) -> Any:
    """The hyperbolic tangent."""
    return type(x)(math.tanh(x))


def cos_turns(x: Any) -> Any:
    """cos 2πx: x in turns, whose whole ones change nothing and are taken off exactly. NaN where x is not finite.

    Examples
    --------
    >>> cos_turns(0.0), cos_turns(-1e9 - 0.5)
    (1.0, -1.0)
    """
    return type(x)(math.cos(2.0 * math.pi * (x - round(x))) if x - x == 0 else math.nan)


def sin_turns(x: Any) -> Any:
    """sin 2πx, x in turns. NaN where x is not finite.

    Examples
    --------
    >>> sin_turns(1e9 + 0.25)
    1.0
    """
    return type(x)(math.sin(2.0 * math.pi * (x - round(x))) if x - x == 0 else math.nan)


def sigmoid(x: Any) -> Any:
    """σ(x) = 1/(1 + e⁻ˣ).

    Examples
    --------
    >>> sigmoid(0.0), sigmoid(-1e4)
    (0.5, 0.0)
    """
    one = type(x)(1)
    return one / (one + exp(-x))


def softplus(x: Any) -> Any:
    """log(1 + eˣ) = max(x, 0) + log(1 + e^−|x|).

    Examples
    --------
    >>> softplus(100.0), softplus(-1e4)
    (100.0, 0.0)
    """
    return (type(x)(0) if x < 0 else x) + type(x)(math.log1p(exp(-abs(x))))


def normal_cdf(x: Any) -> Any:
    """Φ(x) = ½ erfc(−x/√2).

    Examples
    --------
    >>> normal_cdf(0.0)
    0.5
    """
    return type(x)(0.5) * type(x)(math.erfc(-x * type(x)(math.sqrt(0.5))))


def sign(x: Any) -> Any:
    """−1, 0 or 1."""
    return type(x)(1) if x > 0 else (type(x)(-1) if x < 0 else x)


def y_log(y: Any, x: Any) -> Any:
    """y log x, which is 0 where y = 0.

    Examples
    --------
    >>> y_log(0.0, 0.0), y_log(2.0, 1.0)
    (0.0, 0.0)
    """
    return type(y)(0) if y == 0 and x == x else y * log(x)


def smallest_normal(size: int) -> float:
    """The smallest number of full precision that has so many bytes: NumPy's ``finfo.tiny`` of float32 and float64.

    Examples
    --------
    >>> smallest_normal(4)
    1.1754943508222875e-38
    """
    return 2.0**-126 if size == 4 else 2.0**-1022


def normal(x: Any, tiny: Any) -> Any:
    """x, or 0 where it is closer to 0 than `tiny`: a processor is slow with subnormal numbers."""
    return x if abs(x) >= tiny else type(x)(0)
