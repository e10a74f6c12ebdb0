"""`backlit explain`: one step of training on one row of a file, with every number of it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, final

import numpy as np
from cyclopts import Parameter

from ..checks import positive
from ..exceptions import ConfigurationError
from ..io import write_bytes
from ..kinds.optimizers import SGD
from ..lens.columns import RowEffects, row_effects
from ..lens.report.data import fingerprints
from ..lens.report.page import check_ledger, report_html
from ..lens.step.index import check_index
from ..lens.step.ledger import Ledger
from ..lens.step.ledger import explain as explain_step
from ..network import Network
from ..pages import Page, Table, number
from ..pages import show as show_page
from ..parameters import ParameterVector
from ..training.history import History
from . import show
from .apply import network_and_rows
from .images import class_names
from .outputs import check_output
from .rows import load_model
from .settings import Flag

LEARNING_RATE = 0.1
_WEIGHT = re.compile(r"\s*([^\[\]]+?)\s*\[([^\[\]]*)\]\s*")
_NAMED_INPUTS = 6  # inputs that the head of the page lists


@final
@dataclass(frozen=True)
class _Subject:
    """What is explained: a network, one row in the form that it takes, and what people call its ends."""

    ledger: Ledger
    input_names: list[str] | None
    output_names: list[str] | None
    image_shape: tuple[int, int] | None
    told: str  # the prediction and the target in words
    history: History | None
    columns: RowEffects | None = None  # of a table


def explain(
    model: str,
    file: str,
    /,
    *,
    row: int = 0,
    weight: Annotated[list[str] | None, Parameter(negative=())] = None,
    learning_rate: float = LEARNING_RATE,
    html: str | None = None,
    json: Annotated[bool, Flag] = False,
) -> None:
    """Explain what one step of training on one row does to a saved model, with the proof beside it.

    The step is plain gradient descent (SGD) without dropout; the saved model stays as it is.

    Parameters
    ----------
    model
        What `backlit train` saved.
    file
        Rows with their targets.
    row
        Which row, counted from 0; rows without a target do not count.
    weight
        Unfold this parameter down to the loss: "0.weight[3,4]" or "0.bias[2]".
    learning_rate
        Of the step.
    html
        Also write the whole as a page for a browser, into this file.
    json
        Print one JSON object to stdout; everything else goes to stderr.
    """
    if row < 0:
        raise ConfigurationError(f"--row is counted from 0, received {row}")
    positive("--learning-rate", learning_rate)
    if html is not None:
        check_output("--html", html, inputs={"the model": model, "the file": file})
    subject = _subject(model, file, row, learning_rate)
    ledger = subject.ledger
    places = [_place(text, ledger.net.parameters) for text in weight or ()]
    checked = check_ledger(ledger, sweep=html is not None)
    unfolded = [ledger.weight(name, *index) for name, index in places]

    # the file first: whoever reads the page may leave before its end
    if html is not None:
        text = report_html(
            ledger,
            checked=checked,
            history=subject.history,
            title=show.plain(f"One step on row {row} of {Path(file).name}"),
            weights=[(name, *index) for name, index in places],
            input_names=subject.input_names,
            output_names=subject.output_names,
            image_shape=subject.image_shape,
            more=[] if subject.columns is None else [subject.columns],
        )
        write_bytes(text.encode(), html)

    console = show.console(json)
    # the sweep over ε stands in the report alone
    check_page = replace(checked, sweep=None).page(heat=False)
    show_page(_head(subject, model, file, row), console)
    effects = [] if subject.columns is None else [subject.columns.page()]
    for page in (*effects, ledger.page(), check_page, *(found.page() for found in unfolded)):
        console.print()
        show_page(page, console)
    if html is not None:
        show.line(console, f"\nreport written to {html} ({show.size_text(html)})")
    if json:
        result: dict[str, Any] = {"model": model, "file": file, "row": row, "told": subject.told}
        result |= {"fingerprints": [mark.to_dict() for mark in fingerprints(ledger.trace)], **ledger.to_dict()}
        result["check"] = {key: value for key, value in checked.to_dict().items() if key != "parameters"}
        result["columns"] = None if subject.columns is None else subject.columns.to_dict()
        result |= {"weights": [found.to_dict() for found in unfolded], "html": html}
        show.print_json(result)


def _subject(model: str, file: str, row: int, learning_rate: float) -> _Subject:
    loaded = load_model(model)
    net, X, y = network_and_rows(loaded, model, file, row + 1)
    if len(X) <= row:
        raise ConfigurationError(f"--row {row} is not in {file!r}: its {len(X):,} rows are 0 to {len(X) - 1}")
    ledger = explain_step(net, X[row:], y[row:], optimizer=SGD(learning_rate), row_labels=[str(row)])
    if isinstance(loaded, Network):
        side = math.isqrt(net.inputs)
        image_shape = (side, side) if X.dtype == np.uint8 and side * side == net.inputs else None
        outputs = [show.plain(str(name)) for name in class_names(net)]
        return _Subject(ledger, None, outputs, image_shape, _told(ledger, outputs), None)
    inputs = [show.plain(name) for name in loaded.preparation.names()]
    effects = row_effects(loaded, X[row])
    effects = replace(effects, columns=[(show.plain(name), a, b) for name, a, b in effects.columns])
    if loaded.classes is not None:
        outputs = [show.plain(str(name)) for name in loaded.classes]
        told = _told(ledger, outputs)
        return _Subject(ledger, inputs, outputs[-net.outputs :], None, told, loaded.history, effects)
    a, target = ledger.layers[-1].a[0], ledger.trace.y[0]
    own = loaded.values(np.stack([a, target]))
    told = (
        f"predicted {number(own[0], 5)}, target {number(own[1], 5)}; standardised, as the network has them, "
        f"{number(a[0], 4)} and {number(target[0], 4)}"
    )
    return _Subject(ledger, inputs, [show.plain(loaded.target)], None, told, loaded.history, effects)


def _told(ledger: Ledger, classes: list[str]) -> str:
    """What a classifier says of the row, and what it ought to say."""
    # one sigmoid unit gives the probability of the second class
    probability, target = (
        [1.0 - v[0], v[0]] if v.size == 1 else v for v in (ledger.layers[-1].a[0], ledger.trace.y[0])
    )
    best, right = int(np.argmax(probability)), int(np.argmax(target))
    return f"predicted {classes[best]!r} with probability {probability[best]:.3g}; the target is {classes[right]!r}" + (
        "" if best == right else f", which gets {probability[right]:.3g}"
    )


def _head(subject: _Subject, model: str, file: str, row: int) -> Page:
    """What is explained: the network, the row, and the fingerprints."""
    ledger = subject.ledger
    found = {"network": show.network_text(ledger.net), "outcome": subject.told}
    if subject.input_names is not None:
        values = ledger.trace.inputs[0]
        largest = np.sort(np.argsort(-np.abs(values), kind="stable")[:_NAMED_INPUTS])
        named = ", ".join(f"{subject.input_names[i]} {number(float(values[i]), 3)}" for i in largest)
        rest = values.size - len(largest)
        found["inputs"] = named + (f", … {rest} smaller ones" if rest else "")
    for mark in fingerprints(ledger.trace):
        name = mark.name.split(",")[0]
        found[name] = f"{mark.size} {mark.dtype}, {mark.range}, SHA-256 {mark.sha256[:16]}…"
    return Page(show.plain(f"Row {row} of {file} through {model}"), [Table(["", ""], list(found.items()), "ll", 0)])


def _place(text: str, parameters: ParameterVector) -> tuple[str, tuple[int, ...]]:
    """ "0.weight[3,4]" as a name and an index, both checked."""
    found = _WEIGHT.fullmatch(text)
    name = found[1] if found else text.strip()
    parameters.slice(name)  # an unknown name first: the nearest are offered
    try:
        index = tuple(int(part) for part in found[2].split(",")) if found else None
    except ValueError:
        index = None
    if index is None:
        form = ",".join("0" for _ in parameters.shapes[name])
        raise ConfigurationError(f"--weight needs a name and an index, such as {name}[{form}], received {text!r}")
    return name, check_index(parameters, name, index)
