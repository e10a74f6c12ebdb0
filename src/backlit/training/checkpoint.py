"""`Checkpoint`: a callback that writes a run into a file now and then, from which `fit` goes on with the same bits.

The file is a safetensors file. Its arrays are the parameters, the optimiser's memory, the best parameters, the losses
of the epoch at work, the history, and what callbacks remember; its metadata is everything else, as JSON, with a digest
of it all. Nothing random has to be kept: order of rows and dropout masks are keyed by epoch and step.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import numpy as np

from ..checks import not_negative, positive_whole
from ..exceptions import BacklitError, ConfigurationError, FileMissingError, ModelFileError
from ..files import (
    FORMAT_VERSION,
    arrays_in,
    check_version,
    checked_header,
    library_version,
    name_twice,
    read_bytes,
    read_json,
    shortened,
    tensor_file,
    write_bytes,
)
from ..parameters import Array
from .callbacks import Callback, Training, keeps
from .description import description_of_run
from .divergence import BestParameters
from .history import History
from .job import EpochSoFar, Job, number_rate

FORMAT: Final = "backlit checkpoint"
_DIGESTS: Final = ("data", "data to validate on")  # what a run's description has of them is a number that tells nothing
_MOST: Final = 2**53  # epochs, steps, seconds of a run
PREVIOUS: Final = ".previous"  # what is added to the name of the checkpoint before the last


@final
class Checkpoint(Callback):
    """Write the run into a file, so that it can go on after the process has ended, at whatever moment.

    ``fit(…, callbacks=[Checkpoint(path)], resume=path)`` goes on where the file was written, in the middle of an epoch
    as well, and leaves the bits that an unbroken run would have left. The file is written whole or not at all: when the
    process is killed while writing, the one before is still there.

    Ctrl-C and SIGTERM wait for the end of the step at work, and the run is written before it ends.

    Parameters
    ----------
    path : str or path
    every : float, default=60
        Seconds between two writings. The run is written at its beginning and its end in any case.
    every_steps : int, optional
        Write after every k-th step of the run instead.
    keep_previous : bool, default=False
        Keep the file before the last too, under the same name with ``.previous`` added.

    Attributes
    ----------
    written : int
        How often this run has been written.

    Raises
    ------
    ConfigurationError
        When the run begins: with LBFGS, whose loop keeps what it remembers to itself.
    OutputError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile, backlit as bl
    >>> X, y = [[1.0], [2.0], [3.0]], [2.0, 4.0, 6.0]
    >>> def train(epochs, resume=None):
    ...     net = bl.Network([bl.Dense(1)], inputs=1)
    ...     bl.fit(net, X, y, epochs=epochs, optimizer=bl.Adam(), callbacks=[Checkpoint(path)], resume=resume)
    ...     return net.parameters.values.tolist()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = folder + "/run.checkpoint"
    ...     unbroken = train(epochs=5)
    ...     _ = train(epochs=2)
    ...     train(epochs=5, resume=path) == unbroken
    True
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        every: float = 60.0,
        *,
        every_steps: int | None = None,
        keep_previous: bool = False,
    ) -> None:
        self.path = Path(path)
        self.every = not_negative("every", every)
        self.every_steps = None if every_steps is None else positive_whole("every_steps", every_steps)
        self.keep_previous = bool(keep_previous)
        self.written = 0

    def on_fit_begin(self, training: Training) -> None:
        if training.job is None:
            raise ConfigurationError(
                f"a Checkpoint follows the steps of an optimiser, and {training.optimizer!r} has a loop of its own: "
                "train with SGD, RMSprop, Adagrad, Adam or AdamW"
            )
        self.written = 0
        self._run = description_of_run(training, training.job)
        self.write(training)

    def on_steps_end(self, training: Training, done: int, total: int) -> None:
        if self._due(training):
            self.write(training)

    def on_epoch_end(self, training: Training) -> None:
        if training.epoch == training.epochs or training.stop_reason is not None or self._due(training):
            self.write(training)

    def on_interruption(self, training: Training) -> None:
        self.write(training)

    def _due(self, training: Training) -> bool:
        if self.every_steps is None:
            return time.monotonic() - self._last >= self.every
        return training.job is not None and training.job.state.step % self.every_steps == 0

    def write(self, training: Training) -> None:
        """Write the run as it stands between two steps; parameters that have just left the finite numbers are not kept.

        The next step sees the loss that they have, and ends the run: the file is then that of a run that can go on.
        """
        if training.job is not None and np.isfinite(training.net.parameters.state).all():
            if self.keep_previous and self.path.exists():
                name_twice(self.path, previous_of(self.path))
            write_bytes(_file(training, training.job, self._run), self.path)
        self.written += 1
        self._last = time.monotonic()

    def __repr__(self) -> str:
        often = f"every={self.every:g}" if self.every_steps is None else f"every_steps={self.every_steps}"
        return f"Checkpoint({str(self.path)!r}, {often})"


@final
@dataclass(frozen=True)
class SavedRun:
    """What a checkpoint's file holds.

    Attributes
    ----------
    name : str
        Of the file, as errors name it.
    run : dict
        What the run was made of: it has to be the same.
    about : dict
        Numbers and text: where the run stood.
    arrays : dict of str to ndarray
    history : History
    """

    name: str
    run: dict[str, Any]
    about: dict[str, Any]
    arrays: dict[str, Array]
    history: History

    @property
    def engine(self) -> str:
        engine: str = self.about["engine"]
        return engine

    @property
    def first_epoch(self) -> int:
        """Epochs that were over when the run began."""
        first: int = self.about["first_epoch"]
        return first

    def put_into(self, training: Training, job: Job, best: BestParameters) -> None:
        """Bring a run that is about to begin to where this one stood.

        Raises
        ------
        ConfigurationError
            If it is not the same run.
        """
        now = json.loads(json.dumps(description_of_run(training, job)))
        for what, then in {"division": "whole batches", **self.run}.items():
            if now.get(what) != then:
                raise ConfigurationError(
                    f"the checkpoint {self.name} is of another run, whose {_difference(what, then, now.get(what))}: "
                    "resume with the network, data and settings that it began with"
                )
        arrays, about, net = self.arrays, self.about, job.net
        state, slots = net.parameters.state, job.state.slots
        for what, array in {"values": state, "best": state, "start": state, "slots": slots}.items():
            found = arrays.setdefault(what, np.empty((0, net.parameters.size), net.dtype))
            if found.shape != array.shape or found.dtype != array.dtype or not np.isfinite(found).all():
                raise ModelFileError(f"the checkpoint {self.name} is damaged: its {what} do not fit the network")
        for values in (arrays["best"], arrays["values"]):
            state[:] = values
            try:
                for layer in net.layers:
                    layer.check_state()
            except ConfigurationError as error:
                raise ModelFileError(f"the checkpoint {self.name} is damaged: {error}") from error
        slots[:] = arrays["slots"]
        best.put(arrays["best"], arrays["start"])
        job.state.step, job.loss_limit = about["step"], about["loss_limit"]
        best.epoch, best.loss, best.start_epoch = about["best_epoch"], about["best_loss"], self.history.epochs
        if about["rate_given"] == training.given_rate and about["rate"] is not None:
            training.optimizer.learning_rate = about["rate"]  # a callback had changed it
        training.so_far = EpochSoFar(arrays["losses"].tolist(), arrays["weights"].tolist(), about["seconds"])
        training.stop_reason = about["stop_reason"]
        training.kept = [
            state | {key.split("/", 2)[2]: array for key, array in arrays.items() if key.startswith(f"callback/{i}/")}
            for i, state in enumerate(about["callbacks"])
        ]


def _difference(what: str, then: Any, now: Any, place: str = "") -> str:
    """What is different, in words: of two descriptions the first setting that is not the same."""
    if isinstance(then, dict) and isinstance(now, dict):
        name = next(name for name in (*then, *now) if then.get(name) != now.get(name))
        return _difference(what, then.get(name), now.get(name), f"{place}.{name}" if place else f": {name}")
    if isinstance(then, list) and isinstance(now, list) and place:
        if len(then) != len(now):
            return f"{what}{place} were {len(then)}, received {len(now)}"
        k = next(k for k, (one, other) in enumerate(zip(then, now, strict=True)) if one != other)
        return _difference(what, then[k], now[k], f"{place}[{k}]")
    if what in _DIGESTS:
        return f"{what} was not what is given now"
    return f"{what}{shortened(place)} was {shortened(then)}, received {shortened(now)}"


def read_resumed(resume: Any) -> SavedRun | None:
    """The run to go on from: a path has to be that of a file; a Checkpoint that has written none yet is no run."""
    if isinstance(resume, Checkpoint):
        return read_checkpoint(resume.path) if resume.path.exists() else None
    return read_checkpoint(resume) if isinstance(resume, str | os.PathLike) else None


def previous_of(path: str | os.PathLike[str]) -> Path:
    """Where the checkpoint before the last is kept."""
    return Path(f"{os.fspath(path)}{PREVIOUS}")


def last_whole(path: str | os.PathLike[str]) -> Path | None:
    """The newest checkpoint that can be read: the file itself, or the one before; None where neither can."""
    for place in (Path(path), previous_of(path)):
        try:
            read_checkpoint(place)
        except (FileMissingError, ModelFileError):
            continue
        return place
    return None


def read_checkpoint(path: str | os.PathLike[str]) -> SavedRun:
    """Read a file, checking all of it.

    Raises
    ------
    FileMissingError
        If there is no such file.
    ModelFileError
        If it is damaged, or something else than a checkpoint.
    """
    data = read_bytes(path, "checkpoint")
    name = repr(str(Path(path)))
    header = checked_header(data, name)
    metadata = header.pop("__metadata__", None)
    if not isinstance(metadata, Mapping) or metadata.get("format") != FORMAT:
        raise ModelFileError(f"{name} is not a checkpoint: it lacks the metadata that Checkpoint writes")
    check_version(metadata.get("format_version"), metadata.get("library_version"), name)
    try:
        arrays = arrays_in(data, header)
        text = metadata["run"]
        if metadata["digest"] != _digest(text, arrays):
            raise ValueError("its digest is another one")
        about = read_json(text)
        _check_kinds(about, arrays)
        history = History.of(dict(zip(about["history"], arrays["history"].tolist(), strict=True)))
        return SavedRun(name, about.pop("run"), about, arrays, history)
    except (BacklitError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ModelFileError(f"the checkpoint {name} is damaged: {shortened(error, 300)}") from error


_KINDS: Final[dict[str, Any]] = {
    "run": dict,
    "engine": str,
    "first_epoch": int,
    "step": int,
    "loss_limit": float,
    "best_epoch": int,
    "best_loss": float,
    "rate_given": float | None,
    "rate": float | None,
    "seconds": float,
    "stop_reason": str | None,
    "history": list,
    "callbacks": list,
}


def _check_kinds(about: Any, arrays: Mapping[str, Array]) -> None:
    if not isinstance(about, dict):
        raise ValueError("its description is not a JSON object")
    for name, kind in _KINDS.items():
        if name not in about or not isinstance(about[name], kind) or isinstance(about[name], bool):
            raise ValueError(f"its {name} is not what it has to be")
    for name in ("first_epoch", "step", "best_epoch", "seconds"):
        if not 0 <= about[name] < _MOST:
            raise ValueError(f"its {name} is below 0, or beyond all that a run can count")
    if not all(isinstance(state, dict) for state in about["callbacks"]):
        raise ValueError("what its callbacks remember is not what it has to be")
    losses, weights = arrays["losses"], arrays["weights"]
    if losses.ndim != 1 or losses.shape != weights.shape:
        raise ValueError("the losses of its epoch do not fit their weights")


def _file(training: Training, job: Job, run: Mapping[str, Any]) -> list[bytes | memoryview]:
    history, so_far, best = training.history, training.so_far, training.best
    if best is None:
        raise ConfigurationError("a run can be written once it has begun")
    columns = history.to_dict()
    arrays: dict[str, Array] = {
        "values": job.net.parameters.state,
        "slots": job.state.slots,
        "best": best.values,
        "start": best.start,
        "losses": np.array(so_far.losses, np.float64),
        "weights": np.array(so_far.weights, np.float64),
        "history": np.array(list(columns.values()), np.float64).reshape(len(columns), history.epochs),
    }
    callbacks = []
    for i, callback in enumerate(filter(keeps, training.callbacks)):
        state = callback.to_checkpoint()
        arrays |= {f"callback/{i}/{key}": value for key, value in state.items() if isinstance(value, np.ndarray)}
        callbacks.append({key: value for key, value in state.items() if not isinstance(value, np.ndarray)})
    about = {
        "run": run,
        "engine": training.engine,
        "first_epoch": training.first_epoch,
        "step": job.state.step,
        "loss_limit": job.loss_limit,
        "best_epoch": best.epoch,
        "best_loss": best.loss,
        "rate_given": training.given_rate,
        "rate": number_rate(training.optimizer),
        "seconds": so_far.seconds,
        "stop_reason": training.stop_reason,
        "history": list(columns),
        "callbacks": callbacks,
    }
    text = json.dumps(about)
    arrays = {key: np.ascontiguousarray(array) for key, array in arrays.items() if array.size or key in _ALWAYS}
    metadata = {
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        "library_version": library_version(),
        "run": text,
        "digest": _digest(text, arrays),
    }
    return tensor_file(arrays, metadata)


_ALWAYS: Final = ("losses", "weights", "history")


def _digest(text: str, arrays: Mapping[str, Array]) -> str:
    found = hashlib.blake2b(text.encode(), digest_size=16)
    for name in sorted(arrays):
        found.update(f"{name} {arrays[name].dtype} {arrays[name].shape} ".encode())
        if arrays[name].size:
            found.update(np.ascontiguousarray(arrays[name]).data)
    return found.hexdigest()
