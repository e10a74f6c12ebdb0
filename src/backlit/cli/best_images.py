"""`--preset best` for images: deformed anew in every epoch, the time that was given, and a run that can go on."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from typing import Any, Final, final

import numpy as np

from ..data.deforming import Deformed
from ..data.image_recipe import ImageRecipe, image_recipe
from ..exceptions import ConfigurationError
from ..network import Network
from ..parameters import Array
from ..training.averaging import WeightAverage
from ..training.callbacks import Callback
from ..training.checkpoint import read_checkpoint
from ..training.fit import fit
from ..training.history import History
from ..training.threads import usable_threads
from . import show
from .settings import MOST_WATCHED, Settings

_MEASURED_STEPS: Final = 40  # whose time, the middle one of five, tells how many epochs there are in the minutes given
_MEASURED_TIMES: Final = 5
_KEPT: Final = 0.08  # share of the time that is left for callbacks, for measuring, and for steps that take longer


@final
class Plan(Callback):
    """Keep in the checkpoint how many epochs were planned: a run that goes on has the same schedule.

    Examples
    --------
    >>> Plan(12).to_checkpoint()
    {'planned_epochs': 12}
    """

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def to_checkpoint(self) -> dict[str, Any]:
        return {"planned_epochs": self.epochs}

    def from_checkpoint(self, state: dict[str, Any]) -> None:
        int(state["planned_epochs"])  # what the command says now holds


def recipe_of(settings: Settings) -> ImageRecipe:
    """The recipe, with what was asked for in place of its own."""
    if settings.keeping.team is not None:
        raise ConfigurationError(
            "--preset best of images goes by the clock, which differs between processes: leave one of the two out"
        )
    recipe = replace(image_recipe(settings.minutes, settings.given.get("hidden")), **settings.given)
    return replace(recipe, learning_rate=settings.rate()) if "optimizer" in settings.given else recipe


def train_best(
    X: Array,
    y: Array,
    validation: tuple[Array, Array] | None,
    shape: tuple[int, int],
    classes: int,
    settings: Settings,
    named: Callable[[Network, History], Network],
    started: float,
) -> tuple[Network, History]:
    """Train on bytes X, shape (n, height·width), and the numbers of their classes y.

    `started` is when the command began, by `time.perf_counter`.
    """
    recipe = recipe_of(settings)
    source = Deformed(X, shape, recipe.deformation, seed=settings.seed)
    net = recipe.network(X.shape[1], classes, settings.seed)
    epochs = _epochs(settings, recipe, source, y, classes, started)
    callbacks: list[Callback] = [Plan(epochs), WeightAverage(recipe.decay)]
    if net.parameters.size <= MOST_WATCHED:
        from ..lens.healthcheck.health import HealthMonitor

        callbacks.append(HealthMonitor(show=True))
    history = settings.keeping.fit(
        lambda history: named(net, history),
        net,
        source,
        y,
        epochs=epochs,
        batch_size=recipe.batch_size,
        optimizer=recipe.optimizer_for(epochs),
        validation=validation,
        callbacks=callbacks,
        engine=settings.engine,
    )
    return net, history


def _epochs(settings: Settings, recipe: ImageRecipe, source: Deformed, y: Array, classes: int, started: float) -> int:
    """As many as were asked for, as the checkpoint has, or as there are in the minutes given."""
    if "epochs" in settings.given:
        return recipe.epochs
    if settings.keeping.resume is not None:
        kept = read_checkpoint(settings.keeping.resume).about["callbacks"]
        planned = [state["planned_epochs"] for state in kept if "planned_epochs" in state]
        if len(planned) != 1 or not isinstance(planned[0], int) or planned[0] < 1:
            raise ConfigurationError(
                f"the checkpoint {settings.keeping.resume!r} is not of a run of --preset best on images: "
                "resume with the command that began it"
            )
        return int(planned[0])
    if settings.seconds is None:
        return recipe.epochs
    first, later = _seconds_of_epochs(settings, recipe, source, y, classes)
    left = (1.0 - _KEPT) * settings.seconds - (time.perf_counter() - started) - first
    epochs = max(1, math.floor(left / later))
    show.remark(f"an epoch takes about {later:.1f} s here: {epochs} of them are planned")
    return epochs


def _seconds_of_epochs(
    settings: Settings, recipe: ImageRecipe, source: Deformed, y: Array, classes: int
) -> tuple[float, float]:
    """What the first epoch takes more than the others, whose pictures are made ahead, and what an epoch takes."""
    n = min(len(y), _MEASURED_STEPS * recipe.batch_size)
    made = np.empty((n, source.shape[1]), np.uint8)
    source.fetch(np.arange(n), made, epoch=0)  # compiled by now
    begun = time.perf_counter()
    source.fetch(np.arange(n), made, epoch=1)
    making = (time.perf_counter() - begun) * len(y) / n
    net = recipe.network(source.shape[1], classes, settings.seed)
    engine = settings.engine if settings.engine != "auto" else "compiled" if find_spec("numba") else "reference"
    begun = 0.0
    for times in (1, _MEASURED_TIMES):  # the first time, it is compiled
        begun = time.process_time()
        history = fit(
            net,
            made,
            y[:n],
            epochs=times,
            batch_size=recipe.batch_size,
            optimizer=recipe.optimizer_for(times),
            engine=engine,
            progress=False,
        )
    worked = (time.process_time() - begun) / _MEASURED_TIMES
    learning = statistics.median(history["seconds"])
    return making, seconds_together(making, learning * len(y) / n, worked * len(y) / n, usable_threads(None))


def seconds_together(making: float, learning: float, worked: float, cores: int) -> float:
    """What an epoch takes whose pictures are made while the network learns from others.

    Making keeps one core busy, learning as many as make `worked` seconds of the processor in `learning` of the clock:
    the epoch takes as long as the slower one, and no less than the work of both on all cores.

    Examples
    --------
    >>> seconds_together(making=1.0, learning=1.5, worked=3.0, cores=2)    # neither core has a moment for the other
    2.0
    >>> seconds_together(making=1.0, learning=1.5, worked=3.0, cores=8)
    1.5
    """
    return max(making, learning, (making + worked) / cores)
