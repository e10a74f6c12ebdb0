"""What the page can ask of a person's own work: the settings as a command, their own backward step, their gradients."""

from __future__ import annotations

import base64
import binascii
import io
from typing import Any

import numpy as np

from ..archives import read_archive
from ..exceptions import ConfigurationError
from ..lens.diagnosis.diagnose import diagnose as find_mistakes
from ..lens.diagnosis.results import Diagnosis
from ..parameters import Array
from .asking import Asked
from .exports import train_command
from .own_code import judge, template
from .session import Session
from .views import page_json


def command(session: Session, asked: Asked) -> dict[str, Any]:
    """The settings as a `backlit train` command, and as the part of an address after its #."""
    text, notes = train_command(session.settings, session.material)
    return {"command": text, "fragment": session.settings.fragment(), "notes": notes}


def code(session: Session, asked: Asked) -> dict[str, Any]:
    """The backward step of a layer as NumPy that can be edited, with what it is given and what it has to leave."""
    found = template(session.sample().scene.trace, _layer(session, asked))
    return {"source": found.source, "given": found.given, "asked": found.asked}


def run_code(session: Session, asked: Asked) -> dict[str, Any]:
    """Run a person's own backward step of a layer on the batch that comes next, and compare."""
    ledger = session.ledger("batch")
    result = judge(ledger.trace, _layer(session, asked), asked.text("source"))
    return {"printed": result.printed, **_told(result.diagnosis)}


def diagnose(session: Session, asked: Asked) -> dict[str, Any]:
    """Compare gradients that were pasted, or the arrays of an .npz file, with the library's, and name the mistake."""
    trace = session.ledger("batch").trace
    gradients = _of_file(asked) if asked.get("npz") is not None else _pasted(asked)
    found = find_mistakes(trace.net, trace.data[0], trace.data[1], gradients, step=trace.step)
    return {"printed": "", **_told(found)}


def _layer(session: Session, asked: Asked) -> int:
    layer: int = asked.whole("layer", most=len(session.course.net.layers) - 1)
    return layer


def _told(diagnosis: Diagnosis) -> dict[str, Any]:
    findings = [
        {"name": found.name, "layer": found.layer, "explanation": found.explanation, "array": found.array}
        for found in diagnosis.findings
    ]
    compared = [[each.name, each.relative_error, each.ok] for each in diagnosis.comparisons]
    return {"page": page_json(diagnosis.page()), "findings": findings, "compared": compared}


def _pasted(asked: Asked) -> dict[str, Array]:
    given = asked.get("gradients")
    if not isinstance(given, dict) or not given:
        raise asked.refuse("gradients", 'an object of arrays by name, such as {"0.weight": [[…]]}, as')
    return {str(name): _array(str(name), value) for name, value in given.items()}


def _array(name: str, value: Any) -> Array:
    try:
        return np.array(value, np.float64)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"the gradient {name!r} is no array of numbers: {error}") from error


def _of_file(asked: Asked) -> dict[str, Array]:
    try:
        data = base64.b64decode(asked.text("npz"), validate=True)
        read_archive(data)  # refuses what unpacks to more than it may
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return {name: np.asarray(arrays[name], np.float64) for name in arrays.files}
    except (binascii.Error, ValueError, OSError, KeyError, EOFError, AttributeError, MemoryError) as error:
        raise ConfigurationError(f"the .npz file cannot be read: {error}") from error
