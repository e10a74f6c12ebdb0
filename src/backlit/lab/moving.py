"""What the page can ask of time: run, pause, step, go back, go to, look at another sample."""

from __future__ import annotations

from typing import Any, Final

from ..exceptions import ConfigurationError
from .asking import Asked
from .session import Session, WhatIf

_UNITS: Final = ("sample", "batch", "epoch")
_FASTEST: Final = 1e6


def run(session: Session, asked: Asked) -> dict[str, Any]:
    """Train until told to pause."""
    if session.course.stopped:
        raise ConfigurationError(session.course.stopped)
    session.running = True
    session.version += 1
    return {"running": True}


def pause(session: Session, asked: Asked) -> dict[str, Any]:
    """Stand still."""
    session.running = False
    session.version += 1
    return {"running": False}


def speed(session: Session, asked: Asked) -> dict[str, Any]:
    """So many steps a second from now on; null for as many as there is time for."""
    value = asked.number("steps_per_second", None)
    if value is not None and not 0.0 < value <= _FASTEST:
        raise asked.refuse("steps_per_second", f"a number above 0 and up to {_FASTEST:g}, or null, as")
    session.speed = value
    return {}


def step(session: Session, asked: Asked) -> dict[str, Any]:
    """One sample, one batch, or to the end of the epoch."""
    session.running = False
    unit = asked.text("unit", _UNITS)
    course = session.course
    if course.stopped:
        raise ConfigurationError(course.stopped)
    row = session.row + 1
    if unit == "sample" and session.chosen is None and row < len(course.rows()):
        session.leave_sample()
        session.row = row
    elif unit == "epoch":
        session.go_to((course.epochs_done + 1) * course.job.steps)
    else:
        session.advance(1)
    session.version += 1
    return place(session)


def back(session: Session, asked: Asked) -> dict[str, Any]:
    """One sample, one batch, or one epoch back."""
    session.running = False
    unit = asked.text("unit", _UNITS)
    course = session.course
    if unit == "sample" and (session.row > 0 or session.chosen is not None):
        row = session.row if session.chosen is not None else session.row - 1
        session.leave_sample()
        session.row = row
    elif unit == "epoch":
        session.go_to((-(-course.step // course.job.steps) - 1) * course.job.steps)
    elif course.step:
        session.go_to(course.step - 1)
        if unit == "sample":
            session.row = len(course.rows()) - 1
    session.version += 1
    return place(session)


def goto(session: Session, asked: Asked) -> dict[str, Any]:
    """To a step, or to the beginning of an epoch (0 is the start)."""
    session.running = False
    if asked.get("step") is None:
        target = round(asked.number("epoch") * session.course.job.steps)
    else:
        target = asked.whole("step")
    if target < 0:
        raise asked.refuse("epoch", "a number of at least 0 as")
    session.go_to(target)
    return place(session)


def sample(session: Session, asked: Asked) -> dict[str, Any]:
    """Look at a row of the training data, without training."""
    rows = len(session.material.X_train)
    wanted = asked.get("row")
    if wanted in ("next", "previous"):
        here = session.sample().index
        index = (here + (1 if wanted == "next" else -1)) % rows
    else:
        index = asked.whole("row", most=rows - 1)
    session.leave_sample()
    session.chosen, session.what_if = index, WhatIf()
    session.version += 1
    return {"sample": index}


def place(session: Session) -> dict[str, Any]:
    """Where the session stands."""
    return {"step": session.course.step, "epoch": session.course.time, "sample": session.sample().index}
