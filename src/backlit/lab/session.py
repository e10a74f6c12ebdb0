"""A session: what one page looks at. Its settings, its data, the course of its network, and where it stands."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, final

import numpy as np

from ..exceptions import ConfigurationError
from ..kinds import Dense
from ..kinds.optimizers import Optimizer
from ..lens.recording.recording import Rows, taken
from ..lens.recording.scene import Scene
from ..lens.step.ledger import Ledger
from ..network import Network
from ..parameters import Array
from . import views
from .building import build_network, build_optimizer, numbered, settings_of, training_of
from .catalogue import catalogue
from .course import Course
from .frames import pack
from .material import Material, material_of
from .settings import FILE, DataSettings, NetworkSettings, Settings

_LONGEST_PIECE: Final = 0.02  # seconds of training between two looks at what the page wants
_MEASURE_EVERY: Final = 0.2  # seconds, while it runs: a person cannot read faster
_LONGEST_JUMP: Final = 5.0  # seconds that a "go to" may train


@final
@dataclass(frozen=True)
class Given:
    """What the lab was opened on: data, and a network with its optimiser, from Python or from a file."""

    material: Material
    net: Network | None = None
    optimizer: Optimizer | None = None
    batch_size: int | None = None


@final
@dataclass(frozen=True)
class Sample:
    """The row that is looked at: its pass, among the rows of a batch or alone."""

    scene: Scene
    row: int
    index: int


@final
@dataclass
class Change:
    """Something done by hand: how to undo and to redo it."""

    said: str
    step: int
    before: Array | dict[str, Any]
    after: Array | dict[str, Any]


@final
@dataclass
class WhatIf:
    """Inputs and targets of the current sample that were replaced by hand; the data stays as it is."""

    inputs: dict[int, float] = field(default_factory=dict)
    targets: dict[int, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {"inputs": dict(self.inputs), "targets": dict(self.targets)}

    def __bool__(self) -> bool:
        return bool(self.inputs or self.targets)


@final
class Session:
    """One page's network.

    Attributes
    ----------
    id : str
    settings : Settings
    material : Material
    course, other : Course
        The network's run, and that of the settings it is compared with, or None.
    row : int
        The current sample's position in the batch that comes next.
    chosen : int or None
        The current sample's row in the training data, where one was chosen apart from the batch.
    running : bool
    speed : float or None
        Steps a second; None for as many as there is time for.
    version : int
        Changes whenever there is something new to see.
    """

    def __init__(self, settings: Mapping[str, Any] | None = None, given: Given | None = None) -> None:
        self.id = secrets.token_urlsafe(12)
        self.lock = threading.Lock()
        self.given = given
        self.running = False
        self.speed: float | None = 30.0
        self.version = 0
        self.seen = time.monotonic()
        self._owed = 0.0
        self.begin(self.first_settings() if settings is None else Settings.from_json(settings))

    # ── settings ─────────────────────────────────────────────────────────────────────────────────────────

    def first_settings(self) -> Settings:
        """The page's own, or those of what the lab was opened on."""
        given = self.given
        if given is None:
            return Settings()
        network = NetworkSettings()
        if given.net is not None:  # what the settings cannot say is shown, and changed only as a whole
            network = settings_of(given.net) or NetworkSettings(hidden=(), given=True)
        return Settings(DataSettings(FILE), network, training_of(given.optimizer, given.batch_size))

    def begin(self, settings: Settings) -> None:
        """Make data and network anew; nothing changes where that cannot be done."""
        material = material_of(settings, self._given_material())
        self.settings, self.material, self.course = settings, material, self._course(settings, material)
        self.other: Course | None = None
        self.row, self.what_if = 0, WhatIf()
        self.chosen: int | None = None
        self.undone: list[Change] = []
        self.done: list[Change] = []
        self._sample: tuple[Any, Sample] | None = None
        self.version += 1

    def _course(self, settings: Settings, material: Material) -> Course:
        given = self.given
        if settings.network.given and given is not None and given.net is not None and settings.data.name == FILE:
            net = numbered(given.net)
            untouched = settings.training == self.first_settings().training
            optimizer = given.optimizer if given.optimizer and untouched else build_optimizer(settings)
        else:
            net, optimizer = build_network(settings, material), build_optimizer(settings)
        train = encoded(net, material.X_train, material.y_train)
        test = encoded(net, material.X_test, material.y_test) if len(material.X_test) else None
        return Course(net, train, test, optimizer, settings.training.batch_size)

    def compare(self, settings: Settings | None) -> None:
        """Train a second network, with other settings, in step with the first; None ends it."""
        self.other = None
        if settings is not None:
            other = self._course(settings, material_of(settings, self._given_material()))
            other.go_to(self.course.step)
            self.other = other
        self.version += 1

    def _given_material(self) -> Material | None:
        return None if self.given is None else self.given.material

    def layout(self) -> dict[str, Any]:
        """What does not change while training: names, the chain of layers, sizes."""
        net, material, course = self.course.net, self.material, self.course
        places = iter(range(len(net.layers)))
        dense = [i for i, layer in enumerate(net.layers) if isinstance(layer, Dense)][:-1]
        said = len(dense) == len(self.settings.network.hidden)
        hidden = dict(zip(dense, places, strict=False)) if said else {}
        return {
            "inputs": list(material.input_names),
            "outputs": list(material.names_of_outputs(net)),
            "layers": [views.layer_json(net, i, hidden.get(i)) for i in range(len(net.layers))],
            "parameters": net.parameters.size,
            "task": material.task,
            "classes": None if material.classes is None else list(material.classes),
            "train": len(material.X_train),
            "test": len(material.X_test),
            "batch_size": course.job.batch_size,
            "steps_per_epoch": course.job.steps,
            "optimizer": repr(course.optimizer),
            "loss": net.loss_function.name,
            "plane": None
            if material.raw_train is None
            else {"extent": list(material.extent), "crossed": bool(material.features)},
            "image": None if material.image is None else list(material.image),
            "full": net.parameters.size <= views.MOST_PARAMETERS,
            "data_title": material.title,
            "description": material.description,
        }

    def catalogue(self) -> dict[str, Any]:
        """What the page may ask for."""
        return catalogue(self._given_material())

    # ── training ─────────────────────────────────────────────────────────────────────────────────────────

    def tick(self, seconds: float) -> None:
        """Train as much as belongs into so many seconds of a run, but for no longer than a piece."""
        if not self.running:
            return
        end = time.perf_counter() + _LONGEST_PIECE
        self._owed = np.inf if self.speed is None else min(self._owed + seconds * self.speed, self.speed)
        if self._owed < 1.0:
            return
        while self._owed >= 1.0 and time.perf_counter() < end and self.running:
            steps = 1 if self.speed is not None else 8
            if not self.advance(steps):
                self.running = False
            self._owed -= steps

    def advance(self, steps: int) -> int:
        """Take steps with the network, and with the one that it is compared with; the current sample is the next."""
        self.leave_sample()
        before = self.course.step
        taken_steps = self.course.advance(steps)
        if self.other is not None:
            self.other.go_to(before + taken_steps)
        self.version += 1
        return taken_steps

    def go_to(self, step: int) -> None:
        """Stand before a step; a long way forwards is gone as far as there is time for."""
        self.leave_sample()
        end = time.perf_counter() + _LONGEST_JUMP
        if step <= self.course.furthest:
            self.course.go_to(step)
        while self.course.step < step and time.perf_counter() < end:
            if not self.course.advance(min(64, step - self.course.step)):
                break
        if self.other is not None:
            self.other.go_to(self.course.step)
        self.version += 1

    def leave_sample(self) -> None:
        """Look at the first row of the batch again, as the data has it."""
        self.row, self.chosen = 0, None
        if self.what_if:
            self.what_if = WhatIf()
            for changes in (self.done, self.undone):
                changes[:] = [change for change in changes if not isinstance(change.before, dict)]
        self.version += 1

    # ── the current sample ───────────────────────────────────────────────────────────────────────────────

    def sample(self) -> Sample:
        """The pass of the current sample: with the batch that comes next, or alone where it was chosen."""
        key = (self.course, self.course.version, self.chosen, self.row if self.what_if else -1, self.what_if.as_dict())
        if self._sample is None or self._sample[0] != key:
            self._sample = key, self._look()
        known = self._sample[1]
        if self.chosen is not None:
            return known
        row = min(self.row, known.scene.trace.n - 1)
        return Sample(known.scene, row, int(self.course.rows()[row]))

    def _look(self) -> Sample:
        course = self.course
        if self.chosen is None and not self.what_if:
            return Sample(course.scene(), 0, 0)
        rows, row, X, Y = self.rows_with(self.what_if)
        trace = course.trace(X, Y, [str(label) for label in rows])
        scene = Scene(course.recording, course.step, trace, course.take(trace), course.stages)
        return Sample(scene, row, int(rows[row]))

    def rows_with(self, what_if: WhatIf) -> tuple[Array, int, Array, Array]:
        """The rows that are looked at: their numbers, which of them is the current sample, and X and Y, changed so."""
        course = self.course
        rows = course.rows() if self.chosen is None else np.array([self.chosen])
        row = min(self.row, len(rows) - 1) if self.chosen is None else 0
        X, Y, _ = taken((course.job.X, course.job.Y, None), rows)
        X, Y = X.astype(np.float64), Y.astype(np.float64)
        for column, value in what_if.inputs.items():
            X[row, column] = value
        for column, value in what_if.targets.items():
            Y[row, column] = value
        return rows, row, X, Y

    def ledger(self, scope: str) -> Ledger:
        """Everything of the step that comes next: of the batch, or of the current sample as a batch of its own."""
        sample, course = self.sample(), self.course
        trace = sample.scene.trace
        if scope == "batch" or trace.n == 1:
            return Ledger(trace, sample.scene.taken, course.optimizer)
        X, Y, _ = trace.data
        one = slice(sample.row, sample.row + 1)
        alone = course.trace(X[one], Y[one], [trace.row_labels[sample.row]])
        return Ledger(alone, course.take(alone), course.optimizer)

    # ── frames ───────────────────────────────────────────────────────────────────────────────────────────

    def frame(self, open_views: Iterable[str], known_epochs: int) -> bytes:
        """What the page draws now; it knows the rows of so many epochs already."""
        course, sample = self.course, self.sample()
        start = min(known_epochs, course.epochs_done)
        trace = sample.scene.trace
        arrays = views.sample_arrays(trace, sample.row) | views.parameter_arrays(sample.scene)
        arrays["flow"] = views.flow(sample.scene)
        arrays["history"] = views.history_rows(course, start)
        arrays["steps"] = views.step_losses(course)
        names = set(open_views)
        arrays |= views.opened(names, self.material, course, sample.scene)
        header = self._header(sample, start)
        if self.other is not None:
            arrays |= views.of_other(names, self.material, self.other)
            header["other"] = self._of_other(self.other)
        return pack(header, arrays)

    def _header(self, sample: Sample, start: int) -> dict[str, Any]:
        course, material, trace = self.course, self.material, sample.scene.trace
        train, test = course.measured(_MEASURE_EVERY if self.running else 0.0)
        metric = "accuracy" if "accuracy" in train else "r2"
        outputs = trace.layers[-1].a[sample.row]
        return {
            "kind": "state",
            "step": course.step,
            "epoch": course.time,
            "batch": course.step % course.job.steps,
            "running": self.running,
            "sample": sample.index,
            "row": -1 if self.chosen is not None else sample.row,
            "rows": trace.n,
            "target": trace.y[sample.row],
            "label": material.target_text(trace.data[1][sample.row]),
            "predicted": material.output_text(course.net, outputs),
            "loss": trace.loss,
            "sample_loss": trace.row_losses[sample.row],
            "train_loss": train.get("loss"),
            "test_loss": test.get("loss"),
            "accuracy": train.get(metric),
            "test_accuracy": test.get(metric),
            "metric": metric,
            "learning_rate": course.learning_rate,
            "last": course.furthest,
            "history_from": start,
            "what_if": bool(self.what_if),
            "undo": len(self.done),
            "redo": len(self.undone),
            "stopped": course.stopped or None,
            "other": None,
        }

    def _of_other(self, other: Course) -> dict[str, Any]:
        train, test = other.measured(_MEASURE_EVERY if self.running else 0.0)
        metric = "accuracy" if "accuracy" in train else "r2"
        parted, parted_loss = views.parted(self.course, other)
        return {
            "step": other.step,
            "epoch": other.time,
            "train_loss": train.get("loss"),
            "test_loss": test.get("loss"),
            "accuracy": train.get(metric),
            "test_accuracy": test.get(metric),
            "parted": parted,
            "parted_loss": parted_loss,
            "stopped": other.stopped or None,
        }

    def points(self) -> bytes:
        """The rows of a set in the plane, as the page draws them."""
        material = self.material
        arrays: dict[str, Array] = {}
        if material.raw_train is not None and material.raw_test is not None:
            arrays = {"X_train": material.raw_train, "X_test": material.raw_test}
            arrays |= {"y_train": material.y_train, "y_test": material.y_test}
        return pack({"kind": "data"}, {name: array[:2000] for name, array in arrays.items()})


def encoded(net: Network, X: Array, y: Array) -> Rows:
    """Rows with their targets in the form that the loss compares with the outputs."""
    X, Y, _ = net.check_data(X, y)
    if not np.isfinite(X).all():
        raise ConfigurationError("the data holds numbers that are not finite: leave those rows out")
    return X, Y, None
