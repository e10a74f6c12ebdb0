"""A recording as a file: a safetensors file, whose metadata holds everything that is not an array, as JSON.

    values    (checkpoints, P)              parameters before each recorded step, and after the last one
    slots     (checkpoints, slots, P)       the optimiser's memory there, where it has one
    X, Y      (rows, inputs), (rows, outputs)
    weight    (rows,)                       sample weights, where there are any
    buffers   (B,)                          what layers remembered when the run began (running statistics), if any do

The rows are those of the training data, or of one batch after the other where checkpoints have their own. Optimisers
and schedules come from closed lists. What is read is validated before it is trusted, as `backlit.load` does.
"""

from __future__ import annotations

import inspect
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ...assembly import check_spec, check_state, parameter_shapes
from ...exceptions import BacklitError, ConfigurationError, ModelFileError
from ...files import (
    FORMAT_VERSION,
    arrays_in,
    check_version,
    checked_header,
    library_version,
    read_bytes,
    read_json,
    shortened,
    write_bytes,
)
from ...kinds.optimizers import OPTIMIZERS, Optimizer
from ...kinds.schedules import SCHEDULES, is_own_schedule, schedule_from_spec, schedule_spec
from ...network import Network
from ...pages import plain
from ...parameters import Array
from ...training.history import History
from ...typing import Spec

if TYPE_CHECKING:  # a recording reads and writes its file: it stands above
    from .recording import Recording, Rows

FORMAT: Final = "backlit recording"

_OPTIMIZERS: Final[dict[str, Any]] = {kind.__name__: kind for kind in OPTIMIZERS.values()}
_ROW_LIMIT: Final = 2**25  # of a run whose rows are not in the file: the order of all of them is worked out again
_WHOLE: Final = ("n", "batch_size", "first_step", "first_epoch", "interval")


def write_recording(recording: Recording, path: str | os.PathLike[str]) -> None:
    """Write the file, whole or not at all."""
    from safetensors.numpy import save

    if "own" in recording.net.__getstate__():
        raise ConfigurationError(
            "the network has a layer, an activation, a loss or a schedule of your own, which no file can hold"
        )
    if recording.data is None and recording.n > _ROW_LIMIT:
        raise ConfigurationError(
            f"a file holds recordings of at most {_ROW_LIMIT:,} rows, received one of {recording.n:,}: record fewer"
        )
    checkpoints = recording.checkpoints
    tensors = {"values": np.stack([checkpoint.values for checkpoint in checkpoints])}
    if checkpoints[0].slots.size:
        tensors["slots"] = np.stack([checkpoint.slots for checkpoint in checkpoints])
    if recording.net.parameters.buffers.size:
        tensors["buffers"] = recording.net.parameters.buffers
    X, Y, weight = _all_rows(recording)
    tensors |= {"X": _storable(X), "Y": Y} | ({} if weight is None else {"weight": weight})
    description = {
        "optimizer": optimizer_spec(recording.optimizer),
        "engine": recording.engine,
        "shuffle": recording.shuffle,
        "whole_data": recording.data is not None,
        "steps": [checkpoint.step for checkpoint in checkpoints],
        "history": plain(recording.history.to_dict()),
        "epochs": recording.history.epochs,
        "stopped": recording.history.stopped,
        "best_epoch": recording.history.best_epoch,
        **{name: getattr(recording, name) for name in _WHOLE},
    }
    metadata = {
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        "library_version": library_version(),
        "network": json.dumps(recording.net.spec()),
        "recording": json.dumps(description, allow_nan=False),
    }
    write_bytes(bytes(save({name: np.ascontiguousarray(array) for name, array in tensors.items()}, metadata)), path)


#: What a file holds of a recording: its fields by name, and step, values, slots and rows of each checkpoint.
Stored = tuple[dict[str, Any], list[tuple[int, Array, Array, "Rows | None"]]]


def read_recording(path: str | os.PathLike[str]) -> Stored:
    """Read a file, checking all of it: what `Recording.load` makes a recording of."""
    data = read_bytes(path, "recording")
    name = repr(str(Path(path)))
    header = checked_header(data, name)
    metadata = header.pop("__metadata__", None)
    if not isinstance(metadata, Mapping) or metadata.get("format") != FORMAT:
        raise ModelFileError(f"{name} is not a recording: it lacks the metadata that Recording.save writes")
    check_version(metadata.get("format_version"), metadata.get("library_version"), name)
    try:
        return _recording(data, dict(header), _json(metadata["network"]), _json(metadata["recording"]))
    except (BacklitError, KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError) as error:
        raise ModelFileError(f"the recording {name} is damaged: {shortened(error, 300)}") from error


def _recording(data: bytes, header: dict[str, Any], spec: Spec, about: Spec) -> Stored:
    whole = {name: _whole_number(about, name) for name in _WHOLE}
    steps = [_whole_number({"a step": step}, "a step") for step in about["steps"]]
    if not steps or steps != sorted(set(steps)) or steps[0] != whole["first_step"]:
        raise ValueError("its steps are not in order")
    if min(whole["n"], whole["batch_size"], whole["interval"]) < 1 or whole["batch_size"] > whole["n"]:
        raise ValueError("its batches do not fit its rows")
    if not about["whole_data"] and whole["n"] > _ROW_LIMIT:
        raise ValueError(f"it has more than {_ROW_LIMIT} rows")
    check_spec(spec)
    optimizer = optimizer_from_spec(about["optimizer"])
    # The sizes that the description promises, against those that the file has: before anything is made of them.
    size, buffered = (sum(math.prod(shape) for shape in kind.values()) for kind in parameter_shapes(spec))
    shapes = {key: tuple(entry["shape"]) for key, entry in header.items()}
    slots = {"slots": (len(steps), len(optimizer.slots), size)} if optimizer.slots else {}
    expected = {"values": (len(steps), size), **slots, **({"buffers": (buffered,)} if buffered else {})}
    if {key: shapes.get(key) for key in expected} != expected:
        raise ValueError("its parameters do not fit the network and the optimiser it describes")
    if not {"X", "Y"} <= shapes.keys() <= {"X", "Y", "weight", *expected}:
        raise ValueError("it does not hold the rows that a recording has")
    net = Network.from_spec(spec, np.broadcast_to(0.0, size + buffered))
    tensors = arrays_in(data, header)
    for key, array in tensors.items():
        if (key != "X" and array.dtype != net.dtype) or not np.isfinite(array).all():
            raise ValueError(f"{key!r} is not made of finite {net.dtype} numbers")
    net.parameters.values[:] = tensors["values"][0]
    if buffered:
        net.parameters.buffers[:] = tensors["buffers"]
        check_state(net.layers)
    none = np.empty((0, size), net.dtype)
    rows = tensors["X"], tensors["Y"], tensors.get("weight")
    given, batches = _rows(rows, (net.inputs, net.outputs), steps, whole, all_kept=bool(about["whole_data"]))
    fields: dict[str, Any] = {
        "net": net,
        "optimizer": optimizer,
        "engine": _text(about["engine"]),
        "shuffle": bool(about["shuffle"]),
        "data": given,
        "history": _history(about),
        **whole,
    }
    checkpoints = [
        (step, tensors["values"][i], tensors["slots"][i] if slots else none, batches[i]) for i, step in enumerate(steps)
    ]
    return fields, checkpoints


# ── rows ───────────────────────────────────────────────────────────────────────────────────────────────────


def _all_rows(recording: Recording) -> Rows:
    if recording.data is not None:
        return recording.data
    batches = [checkpoint.batch for checkpoint in recording.checkpoints if checkpoint.batch is not None]
    weights = [batch[2] for batch in batches if batch[2] is not None]
    return (
        np.concatenate([batch[0] for batch in batches]),
        np.concatenate([batch[1] for batch in batches]),
        np.concatenate(weights) if weights else None,
    )


def _rows(
    rows: Rows, widths: tuple[int, int], steps: Sequence[int], whole: Mapping[str, int], *, all_kept: bool
) -> tuple[Rows | None, list[Rows | None]]:
    """The rows of a file, checked: those of the whole data, or else of the batch of each checkpoint."""
    n, batch_size = whole["n"], whole["batch_size"]
    batches = [(step - whole["first_step"]) % -(-n // batch_size) for step in steps]  # counted within their epochs
    sizes = [n] if all_kept else [min(batch_size, n - batch * batch_size) for batch in batches]
    total = sum(sizes)
    expected = [(total, widths[0]), (total, widths[1]), (total,)]
    for array, shape in zip(rows, expected, strict=True):
        if array is not None and array.shape != shape:
            raise ValueError(f"its rows have the shape {array.shape} instead of {shape}")
    if all_kept:
        return rows, [None] * len(steps)
    X, Y, weight = rows
    found: list[Rows | None] = []
    for end, size in zip(np.cumsum(sizes).tolist(), sizes, strict=True):
        where = slice(end - size, end)
        found.append((X[where], Y[where], None if weight is None else weight[where]))
    return None, found


def _storable(X: Array) -> Array:
    """X in a type that the checks of a file allow; float64 holds bytes exactly."""
    return X if X.dtype in (np.float32, np.float64) else X.astype(np.float64)


# ── optimisers, history, numbers ───────────────────────────────────────────────────────────────────────────


def optimizer_spec(optimizer: Optimizer) -> Spec:
    """The description of an optimiser, in values that JSON can hold.

    Raises
    ------
    ConfigurationError
        For an optimiser or a schedule of the user's own making.

    Examples
    --------
    >>> from backlit.kinds.optimizers import SGD
    >>> optimizer_spec(SGD(0.1, momentum=0.9))
    {'name': 'SGD', 'learning_rate': 0.1, 'momentum': 0.9, 'nesterov': False, 'clip_norm': None}
    """
    kind = type(optimizer)
    if _OPTIMIZERS.get(kind.__name__) is not kind:
        raise ConfigurationError(f"{optimizer!r} is an optimiser of your own, which no file can hold")
    settings: Spec = {name: getattr(optimizer, name) for name in inspect.signature(kind).parameters}
    rate = settings["learning_rate"]
    if callable(rate):
        if is_own_schedule(rate):
            raise ConfigurationError(
                f"the learning rate {rate!r} is a function of your own, which no file can hold: "
                f"{', '.join(schedule.__name__ for schedule in SCHEDULES)} can be saved"
            )
        settings["learning_rate"] = schedule_spec(rate)
    return {"name": kind.__name__, **settings}


def optimizer_from_spec(spec: Spec) -> Optimizer:
    """The optimiser of a description.

    Examples
    --------
    >>> optimizer_from_spec({"name": "SGD", "learning_rate": 0.1, "momentum": 0.9})
    SGD(0.1, momentum=0.9)
    """
    settings = dict(spec)
    kind = _OPTIMIZERS[settings.pop("name")]
    rate = settings.get("learning_rate")
    if isinstance(rate, Mapping):
        settings["learning_rate"] = schedule_from_spec(rate)
    optimizer: Optimizer = kind(**settings)
    return optimizer


def _history(about: Spec) -> History:
    columns = {str(name): list(column) for name, column in about["history"].items()}
    history = History()
    if any(len(column) != _whole_number(about, "epochs") for column in columns.values()):
        raise ValueError("its history does not have a value for each epoch")
    for epoch in range(_whole_number(about, "epochs") if columns else 0):
        row = {name: column[epoch] for name, column in columns.items()}
        history.append(**{name: math.nan if value is None else float(value) for name, value in row.items()})
    history.stopped = None if about["stopped"] is None else _text(about["stopped"])
    history.best_epoch = None if about["best_epoch"] is None else _whole_number(about, "best_epoch")
    return history


def _json(text: Any) -> Spec:
    found = read_json(text)
    if not isinstance(found, dict):
        raise ValueError("its description is not a JSON object")
    return found


def _whole_number(about: Mapping[str, Any], name: str) -> int:
    value = about[name]
    if type(value) is not int or not 0 <= value < 2**53:
        raise ValueError(f"{name} is {value!r} instead of a whole number")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a text")
    return value
