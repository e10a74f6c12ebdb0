"""The text of a kind in a NumPy script: what `export_numpy` puts together.

In expressions {z}, {a} and {da} stand for the pre-activation, the activation and dL/da, all of shape (n, units); Y are
the targets, (n, outputs), and {rate} is the learning rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, final

import numpy as np

#: A line of code and its comment, either of which may be empty.
Line = tuple[str, str]
BLANK: Final[Line] = ("", "")


def number(value: Any) -> str:
    """A number with as many digits as its dtype needs to be read back exactly.

    Examples
    --------
    >>> number(np.float64(0.1)), number(np.float32(0.1)), number(3)
    ('0.1', '0.1', '3')
    """
    return str(value) if isinstance(value, np.float32) else repr(value.item() if hasattr(value, "item") else value)


@final
@dataclass(frozen=True)
class ActivationText:
    """An activation.

    Attributes
    ----------
    formula, slope : str
        a = f(z) and f′(z), for the reader.
    value : str
        Expression of a.
    delta : str
        Expression of delta = dL/dz.
    helpers : tuple of str
        Sources of the functions that `value` and `delta` call.
    """

    formula: str
    value: str
    slope: str
    delta: str
    helpers: tuple[str, ...] = ()


@final
@dataclass(frozen=True)
class LossText:
    """A loss, or a pair of a loss and an output's activation.

    Attributes
    ----------
    formula : str
        L of one row.
    rows : tuple of str
        Statements that leave the loss of each row in ``rows``, shape (n,).
    slope : str
        dL/da for the reader; for a pair, what delta is.
    gradient : str
        Expression of dL/da, or of delta for a pair.
    constants : tuple of (code, comment)
        Definitions at the top of the script.
    """

    formula: str
    rows: tuple[str, ...]
    slope: str
    gradient: str
    constants: tuple[Line, ...] = ()


@final
@dataclass(frozen=True)
class UpdateText:
    """An optimiser.

    Attributes
    ----------
    name, title, formula : str
        Its name in the script, in words, and its equation in one line.
    constants : mapping of name to (value, symbol)
    memory : tuple of str
        What is remembered of each parameter: "m" makes arrays mW0, mb0, …
    about_memory : str
        What they are.
    body : str
        One step for one array theta with its gradient g; empty for θ ← θ − η g.
    counts_steps : bool
        Whether the body needs t, the number of the step.
    decay : str
        Expression of the decay factor of weights before the step, or empty: "{rate} * WEIGHT_DECAY".
    """

    name: str
    title: str
    formula: str
    constants: Mapping[str, tuple[float, str]] = field(default_factory=dict)
    memory: tuple[str, ...] = ()
    about_memory: str = ""
    body: str = ""
    counts_steps: bool = False
    decay: str = ""


@final
@dataclass(frozen=True)
class LayerText:
    """A layer, at its place l in the chain: it takes a_l and gives a_(l+1).

    Names have the place behind them: of layer 2 the parameter ``weight`` is W2, ``bias`` b2, ``scale`` scale2, a buffer
    ``mean`` mean2; gradients have a d before: dW2, db2, dscale2, and da3, which comes from above, and da2, for below.

    Attributes
    ----------
    title : str
        "Dense, 3 → 2, tanh".
    forward : list of Line
        Statements that make a_(l+1), in inference and in training.
    results : tuple of str
        The names that `forward` leaves for the way back, in order, a_(l+1) the last.
    backward : list of Line
        Statements that make the gradients of the parameters, dW…, and of what it took, da_l.
    update : tuple of str
        Statements for its buffers after a step of training.
    helpers : tuple of str
        Sources of functions that these call.
    training : bool
        Whether `forward` differs in training: it then asks `step is None`, which is inference.
    epochs : bool
        Whether `forward` then asks for the `epoch` too, counted from 0.
    """

    title: str
    forward: list[Line]
    results: tuple[str, ...]
    backward: list[Line]
    update: tuple[str, ...] = ()
    helpers: tuple[str, ...] = ()
    training: bool = False
    epochs: bool = False
