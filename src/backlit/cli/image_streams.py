"""`backlit train --stream` on images: bytes that stay in their files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..data.images import is_image_folder
from ..data.streaming.holding import HeldOut
from ..data.streaming.images import stream_arrays
from ..data.streaming.matrices import open_npz
from ..data.streaming.store import WINDOW_BYTES
from ..data.streaming.stream import Stream
from ..lens.healthcheck.health import HealthMonitor
from ..network import Network
from ..training.callbacks import Callback, EarlyStopping
from ..training.evaluation import evaluate
from . import show
from .images import image_network, optimizer_for
from .settings import IMAGE_VALIDATION, PATIENCE, Outcome, Settings, TaskOption


def are_images(file: str, task: TaskOption) -> bool:
    """Whether a file is a folder with MNIST's files, or a `.npz` of bytes with labels: by what its headers say."""
    if is_image_folder(file):
        return True
    if not file.endswith(".npz") or task == "regression" or not Path(file).is_file():
        return False
    X, y = open_npz(Path(file), "X"), open_npz(Path(file), "y")
    try:
        if X is None or y is None or X.dtype != np.uint8 or y.width != 1:
            return False
        return task == "classification" or y.dtype.kind != "f"
    finally:
        for matrix in (X, y):
            if matrix is not None:
                matrix.close()


def train_on_image_stream(file: str, settings: Settings, scratch: str) -> Outcome:
    """As `images.train_on_images` does, with rows that are read when they are needed."""
    held = settings.held_out(IMAGE_VALIDATION)
    apart = HeldOut(held if isinstance(held, float) else 0.0, settings.seed)
    rows = stream_arrays(file, task="classification", held=apart, window=WINDOW_BYTES, folder=scratch)
    validation = _others(str(held), rows, scratch) if isinstance(held, Path) else rows.held
    classes = 0 if rows.classes is None else len(rows.classes)
    net = image_network(settings, rows.shape[1], classes)
    callbacks: list[Callback] = [EarlyStopping(patience=PATIENCE)] if validation else []
    callbacks += [show.ReleaseRemarks(), HealthMonitor(show=True)]
    history = settings.keeping.fit(
        lambda history: net,
        net,
        rows,
        None,
        epochs=settings.epochs,
        batch_size=settings.batch_size or 64,
        optimizer=optimizer_for(settings),
        validation=validation,
        callbacks=callbacks,
        engine=settings.engine,
    )
    sets: dict[str, Stream] = {"train": rows}
    if validation is not None:
        sets["validation"] = validation
    if is_image_folder(file):
        sets["test"] = _others(file, rows, scratch, test=True)
    verbs = {"train": "to train", "validation": "to validate", "test": "to test"}
    counts = ", ".join(f"{len(these):,} {verbs[name]}" for name, these in sets.items())
    facts = {
        "task": f"classification of images ({rows.shape[1]},), {classes} classes",
        "images": f"{counts}, read from disk",
    }
    return Outcome(net, net, history, "classification", facts, {name: _measure(net, s) for name, s in sets.items()})


def _measure(net: Network, rows: Stream) -> dict[str, float]:
    X, Y, _ = rows.bound(net)
    return evaluate(net, X, Y)


def _others(file: str, rows: Stream, scratch: str, *, test: bool = False) -> Stream:
    """Other images, with the classes of those to train on."""
    return stream_arrays(
        file,
        which="t10k" if test else "train",
        task="classification",
        labels=rows.classes,
        window=WINDOW_BYTES,
        folder=scratch,
    )
