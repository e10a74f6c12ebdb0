"""`backlit evaluate`, `predict` and `check`: a saved model on other rows."""

from __future__ import annotations

from typing import Annotated, Any

from ..checks import positive_whole
from ..exceptions import ConfigurationError
from ..io import write_bytes
from ..network import Network
from ..pages import plain
from ..pages import show as show_page
from ..parameters import Array
from . import show
from .outputs import check_output
from .rows import load_model, measured_in_full, outputs, predictions_csv, read_labelled, read_unlabelled
from .settings import Flag
from .streamed import files_of, measured_in_pieces, predict_in_pieces


def evaluate(
    model: str,
    file: str,
    /,
    *,
    no_header: Annotated[bool, Flag] = False,
    loose_labels: Annotated[bool, Flag] = False,
    copies: int = 0,
    stream: Annotated[bool, Flag] = False,
    json: Annotated[bool, Flag] = False,
) -> None:
    """Measure a saved model on a file that holds the target too.

    Parameters
    ----------
    model
        What `backlit train` saved.
    file
        Read as the training file was; columns may stand in another order. Of a folder of images, the t10k pair.
    no_header
        The first line is data; the columns are those of the training file, in its order.
    loose_labels
        Take labels that differ only by case, blanks or a full stop as the same.
    copies
        Of images: predict the mean over each one and so many copies of it, deformed a little.
    stream
        Read the file in pieces, or those of a folder or a pattern such as 'part-*.parquet': never all rows at once.
    json
        Print one JSON object with the metrics to stdout; everything else goes to stderr.
    """
    if copies:
        positive_whole("--copies", copies)
    loaded = load_model(model)
    result: dict[str, Any]
    if stream:
        if copies:
            raise ConfigurationError("--copies is for images that are read whole: leave it or --stream out")
        measures = measured_in_pieces(loaded, model, file, loose_labels=loose_labels, no_header=no_header)
        rows, rare = measures.rows, measures.is_imbalanced and not isinstance(loaded, Network)
        result = dict(measures.in_short()) if isinstance(loaded, Network) else measures.in_full()
    elif isinstance(loaded, Network):
        from .images import class_names, image_sides, known_labels, measured_images, read_images

        X, y = read_images(file, loaded, model)
        if y is None:
            raise ConfigurationError(f"{file!r} has no array y to compare the predictions with")
        index = known_labels(y, class_names(loaded))
        sides = image_sides(file, loaded.inputs) if copies else (0, 0)
        rows, result, rare = len(index), dict(measured_images(loaded, X, index, sides, copies)), False
    else:
        _check_no_copies(copies, file)
        table, y = read_labelled(loaded, file, loose_labels=loose_labels, no_header=no_header)
        rows = len(y)
        result, rare = measured_in_full(loaded, loaded.prepare(table), y)
    console = show.console(json)
    shown = {key: value for key, value in result.items() if key in ("loss", "accuracy", "r2", "rmse", "mae")}
    if rare:
        shown = {key: value for key, value in result.items() if key != "confusion"}
    show.metrics(console, {f"{rows:,} rows of {file}": shown})
    if rare and not isinstance(loaded, Network):
        show.confusion(console, result["confusion"], [str(label) for label in loaded.classes])  # type: ignore[union-attr]
    if json:
        show.print_json({"test": result, "rows": rows, "model": model, "file": file})


def predict(
    model: str,
    file: str,
    /,
    *,
    no_header: Annotated[bool, Flag] = False,
    interval: float | None = None,
    copies: int = 0,
    out: str | None = None,
    stream: Annotated[bool, Flag] = False,
) -> None:
    """Predict every row of a file, and write the predictions as CSV.

    Parameters
    ----------
    model
        What `backlit train` saved.
    file
        Read as the training file was; a target column may be there or not. Of a folder of images, the t10k pair.
    no_header
        The first line is data; the columns are those of the training file, in its order.
    interval
        Of a regression, also an interval around each prediction, columns lower and upper, that holds this share of the
        values, 0.9 say: found from the errors on rows that had not been learnt from.
    copies
        Of images: predict the mean over each one and so many copies of it, deformed a little.
    out
        Where to write; to stdout unless given.
    stream
        Read the file in pieces, or those of a folder or a pattern such as 'part-*.parquet', and write the predictions
        piece by piece: never all rows at once.
    """
    if out is not None:
        check_output("--out", out, inputs={"the model": model, **files_of(file, stream=stream)})
    if copies:
        positive_whole("--copies", copies)
    loaded = load_model(model)
    if stream:
        predict_in_pieces(loaded, model, file, no_header=no_header, interval=interval, out=out)
        return
    half = None
    if isinstance(loaded, Network):
        from .images import class_names, image_outputs, image_sides, read_images

        if interval is not None:
            raise ConfigurationError(f"--interval is for values, and {model!r} predicts classes: leave it out")
        X, _ = read_images(file, loaded, model)
        probability: Array | None = image_outputs(
            loaded, X, image_sides(file, loaded.inputs) if copies else (0, 0), copies
        )
        classes: Any = class_names(loaded)
    else:
        _check_no_copies(copies, file)
        half = None if interval is None else loaded.half_width(interval)
        found = outputs(loaded.network, loaded.prepare(read_unlabelled(loaded, file, no_header=no_header)))
        classes = loaded.classes
        probability = None if classes is None else loaded.probabilities(found)
    predicted = loaded.values(found) if probability is None else classes[probability.argmax(axis=1)]  # type: ignore[union-attr]
    text = predictions_csv(predicted, probability, classes, half)
    if out is None:
        show.write(text)
        return
    write_bytes(text.encode(), out)
    show.line(show.console(), f"{len(predicted):,} predictions written to {out}")


def _check_no_copies(copies: int, file: str) -> None:
    if copies:
        raise ConfigurationError(f"--copies is for images, and {file!r} is a table: leave it out")


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
    from ..checking.gradcheck import check_gradients

    net, X, y = network_and_rows(load_model(model), model, file, positive_whole("--rows", rows))
    report = check_gradients(net, X, y)
    show_page(report, show.console(json))
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
        from .images import class_names, known_labels, read_images

        X, y = read_images(file, loaded, model)
        if y is None:
            raise ConfigurationError(f"{file!r} has no array y, which holds the labels")
        known_labels(y[:rows], class_names(loaded))
        return loaded, X[:rows], y[:rows]
    table, y = read_labelled(loaded, file, loose_labels=True)
    return loaded.network, loaded.prepare(table[:rows]), loaded.encode(y[:rows])
