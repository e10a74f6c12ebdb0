"""What the page can change by hand: a parameter, an input, a target; with undo. And two settings side by side."""

from __future__ import annotations

from typing import Any

from ..exceptions import ConfigurationError
from ..lens.step.index import check_index, position_of
from ..pages import number, place
from ..parameters import Array
from .asking import Asked
from .session import Change, Session, WhatIf
from .settings import Settings


def configure(session: Session, asked: Asked) -> dict[str, Any]:
    """Make data and network anew, of other settings."""
    settings = Settings.from_json(asked.get("settings") or {})
    session.running = False
    session.begin(settings)
    return {"settings": session.settings.to_json(), "layout": session.layout()}


def edit(session: Session, asked: Asked) -> dict[str, Any]:
    """Type in another value: of a parameter, or of an input or a target of the current sample."""
    session.running = False
    what, value = asked.text("what", ("parameter", "input", "target")), asked.number("value")
    change = _parameter(session, asked, value) if what == "parameter" else _what_if(session, asked, what, value)
    _apply(session, change, change.after)
    session.done.append(change)
    session.undone.clear()
    return {"undo": len(session.done), "redo": 0, "said": change.said}


def _parameter(session: Session, asked: Asked, value: float) -> Change:
    parameters = session.course.net.parameters
    name = asked.text("name")
    index = check_index(parameters, name, asked.indices("index"))
    before = parameters.values.copy()
    after = before.copy()
    position = position_of(parameters, name, index)
    after[position] = value
    said = f"{place(name, index)}: {number(float(before[position]))} → {number(value)}"
    return Change(said, session.course.step, before, after)


def _what_if(session: Session, asked: Asked, what: str, value: float) -> Change:
    net, material = session.course.net, session.material
    size = net.inputs if what == "input" else net.outputs
    column = asked.whole("column", most=size - 1)
    before = session.what_if.as_dict()
    after = session.what_if.as_dict()
    name = material.input_names[column] if what == "input" else f"y_{column}"
    if what == "target" and material.task == "classification" and not 0.0 <= value <= 1.0:
        raise ConfigurationError(f"a target of a class is between 0 and 1, received {value!r}")
    if what == "input":
        after["inputs"][column] = value
    else:
        after["targets"] |= _targets(session, column, value)
    _, row, X, Y = session.rows_with(WhatIf(**after))
    session.course.check_rows(X[row : row + 1], Y[row : row + 1])
    return Change(f"{name} of this sample: {number(value)}", session.course.step, before, after)


def _targets(session: Session, column: int, value: float) -> dict[int, float]:
    """What a target becomes; where they add up to 1, the others share what is left of it as they did."""
    net = session.course.net
    if not net.output_layer.activation.sums_to_one:
        return {column: value}
    _, row, _, Y = session.rows_with(session.what_if)
    others = {k: float(target) for k, target in enumerate(Y[row]) if k != column}
    total = sum(others.values())
    shares = {k: target / total if total > 0.0 else 1.0 / len(others) for k, target in others.items()}
    return {column: value, **{k: share * (1.0 - value) for k, share in shares.items()}}


def _apply(session: Session, change: Change, state: Array | dict[str, Any]) -> None:
    if isinstance(state, dict):
        session.what_if = WhatIf(**state)
    else:
        if session.course.step != change.step:
            session.go_to(change.step)
        session.course.set_values(state)
    session.version += 1


def undo(session: Session, asked: Asked) -> dict[str, Any]:
    """Take back what was changed last; of a parameter, with the training that followed."""
    if not session.done:
        raise ConfigurationError("there is nothing to undo")
    change = session.done.pop()
    session.undone.append(change)
    return _moved(session, change, change.before, f"undone – {change.said}")


def redo(session: Session, asked: Asked) -> dict[str, Any]:
    """Do again what was undone."""
    if not session.undone:
        raise ConfigurationError("there is nothing to do again")
    change = session.undone.pop()
    session.done.append(change)
    return _moved(session, change, change.after, change.said)


def _moved(session: Session, change: Change, state: Array | dict[str, Any], said: str) -> dict[str, Any]:
    session.running = False
    _apply(session, change, state)
    return {"undo": len(session.done), "redo": len(session.undone), "said": said}


def compare(session: Session, asked: Asked) -> dict[str, Any]:
    """Train a second network with other settings in step with this one; null ends it."""
    wanted = asked.get("settings")
    if wanted is None:
        session.compare(None)
        return {"layout": None, "differences": []}
    settings = Settings.from_json(wanted)
    session.compare(settings)
    return {"differences": _differences("", session.settings.to_json(), settings.to_json())}


def _differences(where: str, one: Any, other: Any) -> list[list[Any]]:
    """What two settings have different, as [name, one, other]."""
    if isinstance(one, dict) and isinstance(other, dict):
        return [
            line
            for key in {**one, **other}
            for line in _differences(f"{where}.{key}".lstrip("."), one.get(key), other.get(key))
        ]
    return [] if one == other else [[where, one, other]]
