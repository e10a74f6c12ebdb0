"""The mean of the parameters over the last steps, which is often a better network than any of them."""

from __future__ import annotations

from typing import Any, final

import numpy as np

from ..checks import fraction, positive_whole
from ..exceptions import ConfigurationError
from ..parameters import Array
from .callbacks import Callback, Training
from .evaluation import evaluate


@final
class WeightAverage(Callback):
    """Keep an exponential moving average of the parameters; the network gets it at the end, whatever ended the run.

        m ← d m + (1 − d) θ        after every k steps, from m = 0
        θ̄ = m / (1 − dⁿ)           after n such moments: the weights of all θ seen add up to 1

    with d = decay^k. Running statistics are averaged with the parameters. Where there are validation data, they are
    measured with θ̄ as well, as ``history["average_val_loss"]``, …: training itself goes on from θ.
    Polyak & Juditsky (1992); the correction is Adam's.

    Parameters
    ----------
    decay : float, default=0.999
        For each step.
    every_steps : int, default=8
        k. More of them take less time.

    Examples
    --------
    >>> import backlit as bl
    >>> net = bl.Network([bl.Dense(1, weight_init=0.0, bias=False)], inputs=1, dtype="float64")
    >>> average = WeightAverage(decay=0.5, every_steps=1)
    >>> _ = bl.fit(net, [[1.0]], [1.0], epochs=2, optimizer=bl.SGD(0.5), callbacks=[average], progress=False)
    >>> net.parameters.values          # ½ and ¾ after the steps: (½ · ½ + ¾) / (½ + 1)
    array([0.66666667])
    """

    def __init__(self, decay: float = 0.999, *, every_steps: int = 8) -> None:
        self.decay = fraction("decay", decay)
        self.every_steps = self._k = positive_whole("every_steps", every_steps)
        self._sum = self._room = np.empty(0)
        self._share, self._seen = 0.0, 0

    def on_fit_begin(self, training: Training) -> None:
        if training.job is None:
            raise ConfigurationError(
                f"a WeightAverage follows the steps of an optimiser, and {training.optimizer!r} has a loop of its own: "
                "train with SGD, RMSprop, Adagrad, Adam or AdamW"
            )
        state = training.net.parameters.state
        self._sum = np.zeros_like(state)
        self._room = np.empty_like(state)
        self._share = 0.0  # 1 − dⁿ
        self._seen = training.job.state.step

    def on_steps_end(self, training: Training, done: int, total: int) -> None:
        self._see(training)

    def on_epoch_end(self, training: Training) -> None:
        if training.validation is None or self._share == 0.0:
            return
        state = training.net.parameters.state
        kept = state.copy()
        self._put(state)
        X, Y, weight = training.validation
        with np.errstate(over="ignore", invalid="ignore"):
            measured = evaluate(training.net, X, Y, weight=weight)
        state[:] = kept
        training.history.amend(**{f"average_val_{name}": value for name, value in measured.items()})

    def on_interruption(self, training: Training) -> None:
        # the step at work has been taken, and nobody was told of it
        self._see(training)

    def on_fit_end(self, training: Training) -> None:
        if self._share > 0.0:
            self._put(training.net.parameters.state)

    def _see(self, training: Training) -> None:
        """Take the parameters into the average, if a k-th step has just been taken."""
        step = 0 if training.job is None else training.job.state.step
        if step % self._k or step == self._seen:
            return
        self._seen = step
        d = self.decay**self._k
        # d m + (1 − d) θ = m + (1 − d) (θ − m)
        np.subtract(training.net.parameters.state, self._sum, out=self._room)
        self._room *= 1.0 - d
        self._sum += self._room
        self._share += (1.0 - d) * (1.0 - self._share)

    def _put(self, state: Array) -> None:
        np.divide(self._sum, self._share, out=state)

    def to_checkpoint(self) -> dict[str, Any]:
        return {"sum": self._sum, "share": self._share, "seen": self._seen, "decay": self.decay, "every_steps": self._k}

    def from_checkpoint(self, state: dict[str, Any]) -> None:
        if (state["decay"], state["every_steps"]) != (self.decay, self._k):
            kept = f"decay {state['decay']} and every_steps {state['every_steps']}"
            raise ConfigurationError(
                f"the checkpoint's average has {kept}, received {self!r}: resume with those that it began with"
            )
        self._sum[:] = state["sum"]
        self._share, self._seen = float(state["share"]), int(state["seen"])

    def __repr__(self) -> str:
        return f"WeightAverage(decay={self.decay}, every_steps={self._k})"
