"""Dropout: during training, each activation is set to zero with probability `rate`."""

from __future__ import annotations

from typing import Any, ClassVar, Final, final

import numpy as np

from ..checks import fraction
from ..parameters import Array
from ..randomness import keyed_generator
from ..typing import Spec
from .kernel import OUTPUTS, ROOM, Kernel, draw_uniform_factors, flat, matrix, multiply_elements
from .layer import Computation, Layer, Moment, axes
from .script import LayerText, number

_MASK_SOURCE: Final = '''
def dropout_mask(shape, rate, layer, step, seed):
    """0 with probability `rate`, else 1/(1 − rate); 1 everywhere without a step."""
    if step is None:
        return np.ones(shape, FLOAT)
    keep = generator(seed, DROPOUT, step, layer).random(shape, dtype=np.float32) >= rate
    return keep.astype(FLOAT) / (1 - rate)
'''


@final
class Dropout(Layer):
    """Inverted dropout.

        a = a_in ⊙ m,   m = 0 with probability rate, else 1/(1 − rate)

    The division keeps the mean of a where it was, so that inference needs no dropout and no scaling.
    Source: Srivastava et al. (2014), who scaled at inference instead. The mask is keyed by
    (seed, layer, step): the same step of a resumed run draws the same mask.

    Parameters
    ----------
    rate : float
        Probability of zero, at least 0 and below 1.

    Examples
    --------
    >>> Dropout(0.2)
    Dropout(0.2)
    """

    builtin: ClassVar[bool] = True
    same_in_inference: ClassVar[bool] = True
    random: ClassVar[bool] = True

    def __init__(self, rate: float) -> None:
        self.rate = fraction("the dropout rate", rate)

    def describe(self) -> Spec:
        return {"kind": "Dropout", "rate": self.rate}

    def room(self, n: int, dtype: np.dtype[Any], training: bool) -> dict[str, Array]:
        """The mask m; and room for random numbers, float32 for every dtype, so that all draw the same mask."""
        if not training:
            return {}
        return {"mask": np.ones((n, self.outputs), dtype), "uniform": np.empty((n, self.outputs), np.float32)}

    def forward(self, work: Any, i: int, moment: Moment | None) -> None:
        a_in, a = work.a[i], work.a[i + 1]  # (n, inputs)
        mask = work.room[i]["mask"]  # (n, inputs)
        if moment is None:
            mask.fill(1.0)
        else:
            self.draw_mask(mask, work.room[i]["uniform"], (moment.seed, i, moment.step), work.first)
        # a = a_in ⊙ m
        np.multiply(a_in, mask, out=a)

    def draw_mask(self, mask: Array, uniform: Array, key: tuple[int, int, int], first: int = 0) -> None:
        """Write the mask of one training step; every row of the batch has its own, whatever shard it is in.

        Parameters
        ----------
        mask : ndarray, shape (n, inputs)
            Receives 0 or 1/(1 − rate).
        uniform : ndarray of float32, shape (n, inputs)
            Room for the random numbers.
        key : (seed, layer, step)
        first : int, default=0
            The number of the first row in its batch.
        """
        seed, layer, step = key
        # m = 0 with probability rate, else 1/(1 − rate)
        rng = keyed_generator(seed, "dropout", step, layer, skip=first * mask.shape[1])
        rng.random(dtype=np.float32, out=uniform)
        np.greater_equal(uniform, self.rate, out=mask)
        mask *= 1.0 / (1.0 - self.rate)

    def backward(self, work: Any, i: int, below: bool) -> None:
        # dL/da_in = dL/da ⊙ m
        if below:
            np.multiply(work.delta[i], work.room[i]["mask"], out=work.delta[i - 1])

    def kernel_settings(self) -> tuple[float, ...]:
        return (self.rate,)

    def kernel_room(self, n: int) -> int:
        return n * self.outputs  # the mask

    def script(self, i: int, *, below: bool, given_delta: bool) -> LayerText:
        shape, rate = f"(n, {self.outputs})", number(self.rate)
        return LayerText(
            f"Dropout, each of a{i} set to zero with probability {rate}",
            [
                (f"m{i} = dropout_mask(a{i}.shape, {rate}, {i}, step, seed)", shape),
                (f"a{i + 1} = a{i} * m{i}", f"{shape} ⊙ {shape}"),
            ],
            (f"m{i}", f"a{i + 1}"),
            [
                ("", f"layer {i}, dropout: a{i + 1} = a{i} ⊙ m{i}, so dL/da{i} = dL/da{i + 1} ⊙ m{i}"),
                (f"da{i} = da{i + 1} * m{i}", f"{shape} ⊙ {shape}"),
            ]
            if below
            else [],
            helpers=(_MASK_SOURCE,),
            training=True,
        )

    def onnx(self, graph: Any, x: str) -> str:
        return x  # in inference it does nothing

    @property
    def title(self) -> str:
        return f"dropout {self.rate:g}"

    def forward_steps(self, n: int) -> list[Computation]:
        a_in, a = axes(n, self)
        reason = "Each activation meets its own factor: 0 or 1/(1 − rate) in training, 1 in inference."
        return [Computation("a = a_in ⊙ m", (a_in, a_in), a, "", reason)]

    def backward_steps(self, n: int, *, below: bool, pair: str) -> list[Computation]:
        a_in, a = axes(n, self)
        reason = "Backwards through the same factors: what was zero forwards gets no blame."
        return [Computation("dL/da_in = dL/da ⊙ m", (a, a), a_in, "", reason)] if below else []

    def columns(self, room: dict[str, Array], a_in: Array, a: Array, delta: Array | None) -> dict[str, Array]:
        found = {"a_in": a_in, "mask": room["mask"], "a": a}
        return found if delta is None else {**found, "dL/da": delta}

    def through(self, room: dict[str, Array]) -> tuple[str, Array | None]:
        return "m", room["mask"]

    def __repr__(self) -> str:
        return f"Dropout({self.rate})"


def _forward(
    chain: Any, i: int, a_in: Array, a: Array, w: Array, step: int, activate: Any, start: int, stop: int
) -> None:
    layer = chain.layers[i]
    mask = matrix(chain.memory, layer[ROOM] + start * layer[OUTPUTS], stop - start, layer[OUTPUTS])
    first = (chain.first[0] + start) * layer[OUTPUTS]
    draw_uniform_factors(chain.seed, i, step, chain.settings[i, 0], first, flat(mask))
    # a = a_in ⊙ m
    multiply_elements(a_in[start:stop], mask, a[start:stop])


def _backward(
    chain: Any, i: int, a: Array, delta: Array, delta_in: Array, w: Array, below: bool, slopes: bool,
    times_slope: Any, start: int, stop: int,
) -> None:  # fmt: skip
    # dL/da_in = dL/da ⊙ m
    if below:
        layer = chain.layers[i]
        mask = matrix(chain.memory, layer[ROOM] + start * layer[OUTPUTS], stop - start, layer[OUTPUTS])
        multiply_elements(delta[start:stop], mask, delta_in[start:stop])


Dropout.kernel = Kernel(_forward, _backward)
