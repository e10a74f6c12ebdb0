"""`backlit evaluate`, `predict` and `check`: a saved model on other rows."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import numpy as np

from .. import lens
from ..checking.gradcheck import check_gradients
from ..checks import positive_whole
from ..exceptions import ConfigurationError
from ..io import load, write_bytes
from ..network import Network
from ..pages import plain
from ..parameters import Array
from ..training.evaluation import evaluate as evaluate_network
from . import show
from .images import class_names, known_labels, read_images
from .tables import measure, network_estimator, read_rows, read_unlabelled, table_of
from .train import Flag, check_output

MOST_PROBABILITIES = 50  # classes beyond which the predictions hold only the largest probability


def evaluate(
    model: str,
    file: str,
    /,
    *,
    loose_labels: Annotated[bool, Flag] = False,
    json: Annotated[bool, Flag] = False,
) -> None:
    """Measure a saved model on a file that holds the target too.

    Parameters
    ----------
    model
        What `backlit train` saved.
    file
        Read as the training file was; columns may stand in another order. Of a folder of images, the t10k pair.
    loose_labels
        Take labels that differ only by case, blanks or a full stop as the same.
    json
        Print one JSON object with the metrics to stdout; everything else goes to stderr.
    """
    loaded = load(model)
    if isinstance(loaded, Network):
        X, y = read_images(file, loaded, model)
        if y is None:
            raise ConfigurationError(f"{file!r} has no array y to compare the predictions with")
        index = known_labels(y, class_names(loaded))
        Y = np.zeros((len(index), loaded.outputs), loaded.dtype)
        Y[np.arange(len(index)), index] = 1.0
        rows, result = len(index), evaluate_network(loaded, X, Y)
    else:
        table = table_of(loaded, model)
        classes: Array | None = getattr(loaded[-1], "classes_", None)
        X_table, y = read_rows(table, file, loose_labels=loose_labels, classes=classes)
        rows, result = len(y), measure(loaded, X_table, y)
    console = show.console(json)
    show.metrics(console, {f"{rows:,} rows of {file}": result})
    if json:
        show.print_json({"test": result, "rows": rows, "model": model, "file": file})


def predict(model: str, file: str, /, *, out: str | None = None) -> None:
    """Predict every row of a file, and write the predictions as CSV.

    Parameters
    ----------
    model
        What `backlit train` saved.
    file
        Read as the training file was; a target column may be there or not. Of a folder of images, the t10k pair.
    out
        Where to write; to stdout unless given.
    """
    if out is not None:
        check_output(out)
    loaded = load(model)
    if isinstance(loaded, Network):
        X, _ = read_images(file, loaded, model)
        probability: Array | None = loaded.forward(X)
        classes: Any = class_names(loaded)
        predicted = classes[np.asarray(probability).argmax(axis=1)]
    else:
        frame = read_unlabelled(table_of(loaded, model), file)
        predicted = loaded.predict(frame)
        classes = getattr(loaded[-1], "classes_", None)
        probability = None if classes is None else loaded.predict_proba(frame)
    text = _predictions_csv(predicted, probability, classes)
    if out is None:
        sys.stdout.write(text)
        return
    write_bytes(text.encode(), out)
    show.console().print(f"{len(predicted):,} predictions written to {out}")


def _predictions_csv(predicted: Array, probability: Array | None, classes: Any) -> str:
    """One row for each row of the file: the prediction, and the probability of each class."""
    import polars as pl

    columns: dict[str, Any] = {"prediction": predicted.tolist()}
    if probability is not None and len(classes) <= MOST_PROBABILITIES:
        columns |= {f"probability_{label}": probability[:, k].astype(np.float64) for k, label in enumerate(classes)}
    elif probability is not None:
        columns["probability"] = probability.max(axis=1).astype(np.float64)
    return pl.DataFrame(columns).write_csv(float_precision=6)


def check(model: str, file: str, /, *, rows: int = 32, json: Annotated[bool, Flag] = False) -> None:
    """Check back-propagation of a saved model against finite differences, on rows of a file.

    Parameters
    ----------
    model
        What `backlit train` saved.
    file
        Rows with their targets.
    rows
        How many rows, from the first.
    json
        Print one JSON object to stdout.
    """
    net, X, y = network_and_rows(load(model), model, file, positive_whole("--rows", rows))
    report = check_gradients(net, X, y)
    lens.show(report, show.console(json))
    if json:
        worst = report.worst
        show.print_json(
            {
                "ok": report.ok,
                "checked": len(report.rows),
                "parameters": report.total,
                "worst": plain({"name": worst.name, "index": worst.index, "relative_error": worst.relative_error}),
            }
        )
    if not report.ok:
        raise ConfigurationError(f"{model!r}: back-propagation disagrees with finite differences, see the table")


def network_and_rows(loaded: Any, model: str, file: str, rows: int) -> tuple[Network, Array, Array]:
    """The network inside a loaded model, with the first rows of a file in the form that the network takes."""
    if isinstance(loaded, Network):
        X, y = read_images(file, loaded, model)
        if y is None:
            raise ConfigurationError(f"{file!r} has no array y, which holds the labels")
        known_labels(y[:rows], class_names(loaded))
        return loaded, X[:rows], y[:rows]
    table = table_of(loaded, model)
    classes: Array | None = getattr(loaded[-1], "classes_", None)
    frame, y = read_rows(table, file, loose_labels=True, classes=classes)
    X = np.asarray(loaded[0].transform(frame[:rows]))
    if classes is not None:
        return network_estimator(loaded).network_, X, np.searchsorted(classes, y[:rows])
    return network_estimator(loaded).network_, X, loaded[-1].transformer_.transform(y[:rows, None])[:, 0]
