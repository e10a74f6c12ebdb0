"""Dropout: during training, each activation is set to zero with probability `rate`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, final

import numpy as np

from ..checks import fraction
from ..exceptions import ConfigurationError
from ..parameters import Array
from ..randomness import keyed_generator
from ..typing import ScheduleFunction, Spec
from .kernel import OUTPUTS, ROOM, Kernel, draw_uniform_factors, flat, matrix, multiply_elements
from .layer import Computation, Layer, Moment, axes
from .schedules import schedule_from_spec, schedule_script, schedule_spec, scheduled
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
    rate : float or schedule
        Probability of zero, at least 0 and below 1. A schedule, or any function of the epoch, gives that of each epoch:
        the first one has what it gives for 0.0, and so on. RealMLP (Holzmüller, Grinsztajn & Steinwart, 2024) has
        ``FlatCosine(0.15, epochs=256)``.

    Attributes
    ----------
    rate : float
        That of the epoch at work, or of the last one.

    Raises
    ------
    ConfigurationError
        For a rate outside of its bounds; of a schedule, when the epoch comes.

    Examples
    --------
    >>> Dropout(0.2)
    Dropout(0.2)
    >>> from backlit import FlatCosine
    >>> layer = Dropout(FlatCosine(0.2, epochs=8))
    >>> layer.begin_epoch(6)
    >>> round(layer.rate, 6)
    0.1
    """

    builtin: ClassVar[bool] = True
    same_in_inference: ClassVar[bool] = True
    random: ClassVar[bool] = True
    composed: ClassVar[tuple[str, ...]] = ("rate",)

    def __init__(self, rate: float | ScheduleFunction | Mapping[str, Any]) -> None:
        given = schedule_from_spec(rate) if isinstance(rate, Mapping) else rate  # from a file
        self.schedule = given if callable(given) else None
        self.rate = 0.0 if callable(given) else fraction("the dropout rate", given)
        self.begin_epoch(0.0)

    def begin_epoch(self, epoch: float) -> None:
        self.rate = self.rate_at(epoch)

    def rate_at(self, epoch: float) -> float:
        """The rate at a time in epochs."""
        if self.schedule is None:
            return self.rate
        rate = scheduled(self.schedule, "dropout rate", float(epoch))
        if not 0.0 <= rate < 1.0:
            raise ConfigurationError(
                f"the schedule gave the dropout rate {rate:g} at epoch {epoch:g}: it must be at least 0 and below 1"
            )
        return rate

    def describe(self) -> Spec:
        if self.schedule is None:
            return {"kind": "Dropout", "rate": self.rate}
        return {"kind": "Dropout", "rate": schedule_spec(self.schedule)}

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
        helpers: tuple[str, ...] = (_MASK_SOURCE,)
        told = rate
        if self.schedule is not None:
            about, body = schedule_script(self.schedule, "dropout rate")
            told, rate = f"that follows the epoch, {about}", f"dropout_rate{i}(epoch)"
            lines = [f"def dropout_rate{i}(epoch):", f'    """{about}; epochs count from 0."""']
            helpers = ("\n".join([*lines, *(f"    {line}" for line in body)]), _MASK_SOURCE)
        return LayerText(
            f"Dropout, each of a{i} set to zero with probability {told}",
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
            helpers=helpers,
            training=True,
            epochs=self.schedule is not None,
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
        return f"Dropout({self.rate if self.schedule is None else self.schedule!r})"


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
