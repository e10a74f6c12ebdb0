"""What a run is made of, in words and numbers: the same when it goes on, and in all processes that work on it."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..kinds.dropout import Dropout
from ..kinds.schedules import rate_at
from ..typing import EpochSource, StreamedSource
from .callbacks import keeps
from .job import Data, is_source

if TYPE_CHECKING:
    from .callbacks import Training
    from .job import Job

_SAMPLED_ROWS: Final = 1000  # rows of X that tell whether it is the same data


def description_of_run(training: Training, job: Job) -> dict[str, Any]:
    """What has to be the same when a run goes on."""
    spec = dict(job.net.spec())
    del spec["classes"]
    settings = {
        name: value
        for name, value in sorted(vars(job.optimizer).items())
        if name != "learning_rate" and isinstance(value, bool | int | float | None)
    }
    return {
        "network": spec,
        "optimiser": type(job.optimizer).__name__,
        "optimiser's settings": settings,
        "number of rows": job.n,
        "data": fingerprint(job.data),
        "batch size": job.batch_size,
        "shuffling": job.shuffle,
        "gradient": repr(job.gradient),
        "division": job.communicator.division,
        "validation data": training.validation is not None,
        "data to validate on": None if training.validation is None else fingerprint(training.validation),
        "callbacks": [type(callback).__name__ for callback in filter(keeps, training.callbacks)],
    }


def whole_description(training: Training, job: Job) -> dict[str, Any]:
    """What has to be the same in all processes that work on a run, every number of the data included."""
    described = description_of_run(training, job)
    del described["callbacks"]  # rank 0 alone has some
    rate, epochs = job.optimizer.learning_rate, training.epochs
    return {
        **described,
        "data": fingerprint(job.data, every_row=True),
        "data to validate on": None if training.validation is None else fingerprint(training.validation),
        "epochs": epochs,
        "engine": training.engine,
        "dropout rates": [
            [layer.rate_at(float(epoch)) for epoch in (0, (epochs - 1) // 2, epochs - 1)]
            for layer in job.net.layers
            if isinstance(layer, Dropout)
        ],
        "learning rate": [rate_at(rate, time) for time in (0.0, 0.5, float(epochs))],
        "parameters to begin with": zlib.crc32(job.net.parameters.state.data),
        "optimiser's memory": zlib.crc32(np.ascontiguousarray(job.state.slots).data),
        "step to begin with": job.state.step,
    }


def fingerprint(data: Data, *, every_row: bool = False) -> int:
    """A number that other targets, other weights or other rows would change: of X, rows spread over the whole."""
    X, Y, weight = data
    if isinstance(X, StreamedSource):
        return X.fingerprint
    found = zlib.crc32(np.ascontiguousarray(Y).data)
    if weight is not None:
        found = zlib.crc32(np.ascontiguousarray(weight).data, found)
    if isinstance(X, EpochSource):
        found = zlib.crc32(X.description.encode(), found)
    elif not is_source(X):
        rows = X if every_row else X[:: max(1, len(Y) // _SAMPLED_ROWS)]
        found = zlib.crc32(np.ascontiguousarray(rows).data, zlib.crc32(str(X.dtype).encode(), found))
    return found
