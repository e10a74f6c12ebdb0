"""Walking through a recording: forwards and backwards in time, at five grains.

    batch     one step of training (and `epoch`, to the first step of the next one)
    sample    one row of its batch
    layer     one stage of that row: a layer forwards, then backwards its delta, then its part of the gradient
    neuron    one unit of the layer
    product   one product of the unit's sum

A place is a number with five digits, one a grain: the next place at a grain counts that digit up, sets the finer ones
to the beginning, and carries over where the digit is at its end.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, final

from ...checks import one_of
from ...exceptions import ConfigurationError
from ..step.ledger import Ledger
from ..step.taken import take_traced_step
from ..step.trace import trace_batch
from .frames import Frame, draw
from .places import Direction, Place, Stage, stages_of
from .scene import Scene

if TYPE_CHECKING:  # a recording makes its player: it stands above
    from .recording import Recording

Grain = Literal["product", "neuron", "layer", "sample", "batch", "epoch"]

_DIGITS: Final = ("batch", "sample", "layer", "neuron", "product")  # from the coarse to the fine
GRAINS: Final = ("product", "neuron", "layer", "sample", "batch", "epoch")


@final
class Player:
    """A place in a recording that moves.

    Attributes
    ----------
    recording : Recording
    place : Place
        Where it stands: step, sample in its batch, stage, unit, term.
    stages : list of Stage
        What a row passes through, in order.

    Examples
    --------
    >>> import backlit as bl
    >>> from backlit.lens.recording.recorder import Recorder
    >>> recorder = Recorder()
    >>> net = bl.Network([bl.Dense(2), bl.Dense(1)], inputs=2, dtype="float64")
    >>> net.parameters.values[:] = [1, 1, 1, 1, 0, 0, 1, 1, 0]            # every weight 1, every bias 0
    >>> _ = bl.fit(net, [[1.0, 1.0]], [1.0], epochs=3, optimizer=bl.SGD(0.1), callbacks=[recorder])
    >>> player = recorder.recording.player()
    >>> player.at(0, sample=0, direction="backward", layer=0, unit=1).line
    'delta_1 = 3 · 1 = 3'
    >>> player.previous("neuron").line
    'delta_0 = 3 · 1 = 3'
    >>> player.next("batch").step
    1
    """

    def __init__(self, recording: Recording) -> None:
        if not len(recording.steps):
            raise ConfigurationError("the recording has no step to show: training ended before the first one was over")
        self.recording = recording
        self.stages: list[Stage] = stages_of(recording.net)
        self.place = Place(recording.steps[0])
        self._scene: Scene | None = None

    # ── where ────────────────────────────────────────────────────────────────────────────────────────────

    def at(
        self,
        step: int,
        *,
        sample: int | None = None,
        direction: Direction | None = None,
        layer: int | None = None,
        unit: int | None = None,
        term: int | None = None,
    ) -> Frame:
        """Go to a place, and show it at the finest grain that was given.

        Parameters
        ----------
        step : int
            One of ``recording.steps``.
        sample : int, optional
            Number of the row within its batch, from 0.
        direction : {"forward", "backward", "gradient"}, optional
            Together with `layer`: which of its stages; "forward" unless given.
        layer : int, optional
            Index in the network's list.
        unit, term : int, optional
            A unit of the layer, a product of its sum, from 0.

        Raises
        ------
        ConfigurationError
            If there is no such place.
        """
        self.recording.check_step(step)
        digits = [step, 0, 0, 0, 0]
        grain: Grain = "batch"
        if sample is not None:
            digits[1] = self._checked("sample", sample, digits)
            grain = "sample"
        if layer is not None or direction is not None:
            digits[2] = self._stage(direction or "forward", layer)
            grain = "layer"
        if unit is not None:
            digits[3] = self._checked("unit", unit, digits)
            grain = "neuron"
        if term is not None:
            digits[4] = self._checked("term", term, digits)
            grain = "product"
        self.place = Place(*digits)
        return self.frame(grain)

    def next(self, grain: Grain) -> Frame:
        """Go forwards to the next place at this grain, and show it.

        Raises
        ------
        ConfigurationError
            At the end of the recording.
        """
        return self._go(grain, +1)

    def previous(self, grain: Grain) -> Frame:
        """Go backwards to the place before this one at this grain, and show it.

        Raises
        ------
        ConfigurationError
            At the beginning of the recording.
        """
        return self._go(grain, -1)

    def frame(self, grain: Grain) -> Frame:
        """What is to be seen here at this grain."""
        one_of("grain", grain, GRAINS)
        return draw(self.scene, self.place, grain)

    @property
    def ledger(self) -> Ledger:
        """Everything about the step at which the player stands: see `backlit.explain`."""
        scene = self.scene
        return Ledger(scene.trace, scene.taken, self.recording.optimizer)

    @property
    def scene(self) -> Scene:
        """The step at which the player stands, run through a copy of the network."""
        step = self.place.step
        if self._scene is None or self._scene.step != step:
            self._scene = _scene(self.recording, self.stages, step)
        return self._scene

    # ── counting ─────────────────────────────────────────────────────────────────────────────────────────

    def _go(self, grain: Grain, by: int) -> Frame:
        one_of("grain", grain, GRAINS)
        if grain == "epoch":
            self.place = Place(self._epoch(by))
        else:
            digits = list(self.place.digits)
            self._count(digits, _DIGITS.index(grain), by)
            self.place = Place(*digits)
        return self.frame(grain)

    def _count(self, digits: list[int], at: int, by: int) -> None:
        """Count one digit up or down, carrying over into the coarser ones."""
        digits[at + 1 :] = [0] * (len(digits) - at - 1)
        if at == 0:
            digits[0] = self._step(digits[0], by)
            return
        digits[at] += by
        if digits[at] == self._size(digits, at):
            self._count(digits, at - 1, +1)
        elif digits[at] < 0:
            self._count(digits, at - 1, -1)
            digits[at] = self._size(digits, at) - 1

    def _size(self, digits: Sequence[int], at: int) -> int:
        """How many values a digit has, the coarser ones being given."""
        if at == 1:
            return int(self.recording.rows_of(digits[0]).size)
        if at == 2:
            return len(self.stages)
        stage = self.stages[digits[2]]
        return stage.units if at == 3 else stage.terms

    def _step(self, step: int, by: int) -> int:
        steps = self.recording.steps
        at = steps.index(step) + by
        if not 0 <= at < len(steps):
            raise ConfigurationError(
                f"the recording ends with step {steps[-1]}: there is nothing after it"
                if by > 0
                else f"the recording begins with step {steps[0]}: there is nothing before it"
            )
        return steps[at]

    def _epoch(self, by: int) -> int:
        """The first step that can be shown of the next epoch, or of the one before."""
        steps = self.recording.steps

        def epoch_of(step: int) -> int:
            return self.recording.epoch_of(step)[0]

        here = epoch_of(self.place.step)
        at = bisect_right(steps, here, key=epoch_of) if by > 0 else bisect_left(steps, here, key=epoch_of) - 1
        if not 0 <= at < len(steps):
            raise ConfigurationError(
                f"the recording {'ends' if by > 0 else 'begins'} in epoch {here}: there is nothing "
                f"{'after' if by > 0 else 'before'} it"
            )
        return steps[bisect_left(steps, epoch_of(steps[at]), key=epoch_of)]

    def _checked(self, what: str, value: Any, digits: list[int]) -> int:
        at = {"sample": 1, "unit": 3, "term": 4}[what]
        size = self._size(digits, at)
        if isinstance(value, bool) or not hasattr(value, "__index__") or not 0 <= int(value) < size:
            raise ConfigurationError(f"there is no {what} {value!r} here: choose 0 to {size - 1}")
        return int(value)

    def _stage(self, direction: str, layer: int | None) -> int:
        one_of("direction", direction, ("forward", "backward", "gradient"))
        layers = [stage.layer for stage in self.stages if stage.direction == direction]
        layer = layers[0] if layer is None else layer
        if layer not in layers:
            known = ", ".join(map(str, sorted(layers)))
            raise ConfigurationError(f"layer {layer!r} has no {direction} stage: layers {known} have one")
        return next(i for i, stage in enumerate(self.stages) if (stage.direction, stage.layer) == (direction, layer))

    def __repr__(self) -> str:
        return f"Player({self.recording!r}, at step {self.place.step})"


def _scene(recording: Recording, stages: list[Stage], step: int) -> Scene:
    """Run a recorded step: passes and optimiser as they were."""
    values, state = recording.before(step)
    net = recording.net.astype(recording.net.dtype)
    net.parameters.values[:] = values
    net.classes = None  # the targets are encoded already
    X, Y, weight = recording.batch_of(step)
    in_training = any(layer.random or layer.mixes_rows for layer in net.layers)
    labels = [str(row) for row in recording.rows_of(step)]
    trace = trace_batch(
        net, X, Y, sample_weight=weight, row_labels=labels, step=step if in_training else None,
        epoch=recording.epoch_of(step)[0] - 1,
    )  # fmt: skip
    taken = take_traced_step(trace, recording.optimizer, state, recording.time_of(step))
    return Scene(recording, step, trace, taken, stages)
