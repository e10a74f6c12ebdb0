"""What the page can ask of a step: a weight unfolded, a neuron, a stage of the pass, a guess judged, health."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from ..exceptions import ConfigurationError
from ..lens.healthcheck.health import health as examine
from ..lens.recording.frames import draw
from ..lens.recording.places import Place
from ..lens.step.index import check_index, position_of
from ..lens.step.ledger import Ledger
from ..lens.step.weight import UnfoldedWeight
from ..pages import Page, Table, Words, number, numbers
from ..training.history import History
from .asking import Asked
from .course import Course
from .session import Session
from .views import page_json

_SCOPES: Final = ("sample", "batch")
_ROWS: Final = 20  # of a batch that are listed
_CURVE: Final = 61
_PAST: Final = 200  # points of a weight's history
_NEAR: Final = 0.25  # a guess of the size within a quarter is called right


def unfold(session: Session, asked: Asked) -> dict[str, Any]:
    """One weight: where its gradient comes from, the loss along it, what it was before."""
    scope = asked.text("scope", _SCOPES, "batch")
    ledger = session.ledger(scope)
    name, index = asked.text("name"), asked.indices("index")
    inside = session.sample().row if scope == "batch" and ledger.n > 1 else None
    unfolded = ledger.weight(name, *index, row=inside)
    return {
        "name": name,
        "index": list(index),
        "symbol": unfolded.symbol,
        "value": unfolded.before,
        "after": unfolded.after,
        "gradient": unfolded.gradient,
        "data_gradient": unfolded.data_gradient,
        "penalty_gradient": unfolded.penalty_gradient,
        "finite_difference": unfolded.proof.finite_difference,
        "digits": unfolded.proof.digits,
        "scope": scope,
        "page": page_json(unfolded.page()),
        "product": unfolded.product,
        "rows": [
            {"row": r.row, "label": r.label, "a": r.a, "delta": r.delta, "share": r.share, "pushes": r.pushes}
            for r in unfolded.rows("size")[:_ROWS]
        ],
        "curve": _curve(ledger, unfolded),
        "history": _past(session.course, name, index),
    }


def _curve(ledger: Ledger, unfolded: UnfoldedWeight) -> dict[str, Any]:
    """The loss along this one weight: its curve, its slope here, and where its own step lands."""
    batch = ledger.trace.frozen()
    position = position_of(ledger.net.parameters, unfolded.name, unfolded.index)
    here, there = float(batch.values[position]), unfolded.after
    reach = max(0.5, 0.5 * abs(here), 2.0 * abs(there - here))
    reach = min(reach, 1e6)
    values = np.linspace(here - reach, here + reach, _CURVE)
    losses = []
    for value in (*values, here, there):
        batch.values[position] = value
        losses.append(batch.loss())
    return {
        "at": here,
        "values": values,
        "losses": losses[:_CURVE],
        "slope": unfolded.gradient,
        "loss": losses[-2],
        "landing": there,
        "landing_loss": losses[-1],
    }


def _past(course: Course, name: str, index: tuple[int, ...]) -> dict[str, Any]:
    """The weight at recorded steps up to here."""
    position = position_of(course.net.parameters, name, index)
    recorded = [checkpoint for checkpoint in course.recording.checkpoints if checkpoint.step < course.step]
    some = recorded[:: max(1, -(-len(recorded) // _PAST))]
    steps = [checkpoint.step for checkpoint in some] + [course.step]
    values = [float(checkpoint.values[position]) for checkpoint in some]
    return {"steps": steps, "values": [*values, float(course.net.parameters.values[position])]}


def guess(session: Session, asked: Asked) -> dict[str, Any]:
    """Whether a gradient was guessed right: its sign, and its size within a quarter."""
    ledger = session.ledger(asked.text("scope", _SCOPES, "batch"))
    name, index = asked.text("name"), asked.indices("index")
    check_index(ledger.net.parameters, name, index)
    proof = ledger.proof(name, *index)
    sign, size = asked.whole("sign", least=-1, most=1), asked.number("size", None)
    gradient = proof.gradient
    right = sign == (0 if gradient == 0.0 else int(math.copysign(1, gradient)))
    factor = abs(size / gradient) if size is not None and gradient else None
    direction = "stays, its gradient is 0" if not gradient else "goes down" if gradient > 0 else "goes up"
    said = f"{'Right' if right else 'No'}: ∂L/∂w = {number(gradient)}, so the weight {direction}"
    if factor is not None:
        near = abs(factor - 1.0) <= _NEAR
        said += "; the size is right, too" if near else f"; your size is {number(factor, 3)} times that"
    return {"right_sign": right, "gradient": gradient, "factor": factor, "said": said + "."}


def neuron(session: Session, asked: Asked) -> dict[str, Any]:
    """One unit for the current sample: z, a, slope and delta, each with its sum."""
    sample, net = session.sample(), session.course.net
    layer = asked.whole("layer", most=len(net.layers) - 1)
    unit = asked.whole("unit", most=net.layers[layer].outputs - 1)
    pages = []
    for number_of_stage, stage in enumerate(sample.scene.stages):
        if stage.layer == layer:
            at = Place(session.course.step, sample.row, number_of_stage, unit)
            pages.append(draw(sample.scene, at, "neuron").page())
    blocks = [block for page in pages for block in (Words(page.blocks[0].text, "dim"), *page.blocks[1:])]  # type: ignore[union-attr]
    title = f"Unit {unit} of layer {layer}, {repr(net.layers[layer]).replace(chr(39), '')}"
    name = f"{layer}.weight"
    weights = net.parameters.view(name)[:, unit] if name in net.parameters.names else None
    image = session.material.image if layer == net.first_learning and weights is not None else None
    fits = image is not None and weights is not None and weights.size == image[0] * image[1]
    return {
        "title": title,
        "layer": layer,
        "unit": unit,
        "page": page_json(Page(title, blocks)),
        "weights": None if weights is None else weights[:4096],
        "image": list(image) if image is not None and fits else None,
    }


def stage(session: Session, asked: Asked) -> dict[str, Any]:
    """One stage inside the pass that comes next: forwards, the loss, backwards, the update."""
    sample = session.sample()
    scene, step = sample.scene, session.course.step
    forward = [i for i, each in enumerate(scene.stages) if each.direction == "forward"]
    rest = [i for i in range(len(scene.stages)) if i not in forward]
    count = len(scene.stages) + 2
    at = asked.whole("at", most=count - 1)
    if at == len(forward):
        page, direction, layer = _loss_page(session), "loss", len(scene.trace.layers) - 1
    elif at == count - 1:
        page, direction, layer = draw(scene, Place(step, sample.row), "batch").page(), "update", None
    else:
        chosen = forward[at] if at < len(forward) else rest[at - len(forward) - 1]
        found = scene.stages[chosen]
        page = draw(scene, Place(step, sample.row, chosen), "layer").page()
        direction, layer = found.direction, found.layer
    return {"at": at, "count": count, "direction": direction, "layer": layer, "page": page_json(page)}


def _loss_page(session: Session) -> Page:
    sample = session.sample()
    trace, row = sample.scene.trace, sample.row
    last, y = trace.layers[-1], trace.y[row]
    columns = [list(map(str, range(y.size))), numbers(last.a[row]), numbers(y)]
    cells = [list(line) for line in zip(*columns, strict=True)][:12]
    loss = trace.net.loss_function
    return Page(
        f"The loss, {loss.name}",
        [
            Words(f"L = {number(float(trace.row_losses[row]))} for this row", "strong", 2),
            Table(["k", "a", "y"], cells, "lrr"),
            Words(f"The mean over the batch, penalty included: {number(trace.loss)}", "", 2),
            *([Words(last.note, "dim", 2)] if last.note else []),
        ],
    )


def ledger(session: Session, asked: Asked) -> dict[str, Any]:
    """The whole step on one page."""
    found = session.ledger(asked.text("scope", _SCOPES, "sample"))
    return {"page": page_json(found.page(None if found.n == 1 else session.sample().row))}


def health(session: Session, asked: Asked) -> dict[str, Any]:
    """What ails the network where it stands, each finding with its place."""
    course = session.course
    past = {name: column[: course.epochs_done] for name, column in course.history.to_dict().items()}
    history = History.of(past)
    history.state = course.job.state
    net = course.net.astype(course.net.dtype)
    net.classes = None
    if not np.isfinite(net.parameters.values).all():
        raise ConfigurationError("the parameters are not finite any more: go back")
    X, Y, _ = course.job.data
    validation = None if course.test is None else course.test[:2]
    report = examine(net, X, Y, optimizer=course.optimizer, history=history, validation=validation, rows=512)
    findings = [
        {
            "name": finding.name,
            "severity": finding.severity,
            "place": finding.place,
            "layer": finding.layer,
            "units": list(finding.which),
            "cause": finding.cause,
            "advice": finding.advice,
        }
        for finding in report.findings
    ]
    return {"page": page_json(report.page()), "findings": findings}
