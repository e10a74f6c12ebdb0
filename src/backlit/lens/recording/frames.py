"""What is to be seen at a place in a recording, at each grain: one line, the numbers, and a page.

The numbers are those that forward pass, backward pass and optimiser left behind (`Scene`); what is added here is to
write the sums out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np

from ...exceptions import ConfigurationError
from ...pages import Cell, Page, Table, Words, count, number, numbers, place, plain, shown
from ...parameters import Array
from ..step.delta import UnitDelta, adds_up, filled, way_up
from ..step.shape_ledger import shapes
from ..step.trace import LayerPass
from .frames_time import Blocks, Drawn, draw_batch, draw_epoch
from .places import Learnt, Place, Stage, learnt_by
from .scene import Product, Scene

_TERMS: Final = 10  # of a sum that get a line each
_UNITS: Final = 12


@shown
@final
@dataclass(frozen=True)
class Frame:
    """One picture of a recording.

    Attributes
    ----------
    grain : str
        "product", "neuron", "layer", "sample", "batch" or "epoch".
    place : Place
        Step, sample in the batch, stage, unit and term; what is finer than the grain is 0.
    title : str
        When this is: step, epoch and row.
    where : str
        Where in the network, from the grain "layer" on; else empty.
    line : str
        The equation with its numbers, in one line.
    values : dict
        The numbers by name: of a layer as lists, else single numbers.
    blocks : list of Words and Table
        The rest of the page.
    """

    grain: str
    place: Place
    title: str
    where: str
    line: str
    values: dict[str, Any]
    blocks: Blocks

    @property
    def step(self) -> int:
        """The number of the training step, from 0."""
        return self.place.step

    def page(self) -> Page:
        """The frame as a page."""
        head: Blocks = [Words(self.where, "dim")] if self.where else []
        rest = [Words(""), *self.blocks] if self.blocks else []
        return Page(self.title, [*head, Words(""), Words(self.line, "strong", 2), *rest])

    def to_dict(self) -> dict[str, Any]:
        """Place and numbers, for JSON."""
        names = ("step", "sample", "stage", "unit", "term")
        numbered = dict(zip(names, self.place.digits, strict=True))
        values: dict[str, Any] = plain(self.values)
        texts = {"title": self.title, "where": self.where, "line": self.line}
        return {"grain": self.grain, "place": numbered, **texts, "values": values}


def draw(scene: Scene, at: Place, grain: str) -> Frame:
    """The frame at a place."""
    finer = {"epoch": 1, "batch": 1, "sample": 2, "layer": 3, "neuron": 4, "product": 5}[grain]
    at = Place(*at.digits[:finer])
    line, values, blocks = _DRAWN[grain](scene, at)
    return Frame(grain, at, _title(scene, at, grain), _where(scene, at, grain), line, values, blocks)


def _title(scene: Scene, at: Place, grain: str) -> str:
    recording = scene.recording
    epoch, batch = recording.epoch_of(at.step)
    if grain == "epoch":
        return f"Epoch {epoch}"
    title = f"Step {at.step}, epoch {epoch}, batch {batch + 1} of {recording.steps_per_epoch}"
    if grain == "batch":
        return title
    return f"{title}, row {scene.trace.row_labels[at.sample]} ({at.sample + 1} of {scene.trace.n})"


def _where(scene: Scene, at: Place, grain: str) -> str:
    if grain not in ("layer", "neuron", "product"):
        return ""
    stage = scene.stages[at.stage]
    parts = [f"{stage.direction}, layer {stage.layer}, {scene.layer(stage).description}"]
    if grain != "layer":
        parts.append(f"unit {at.unit}")
    if grain == "product" and stage.terms > 1:
        parts.append(f"product {at.term + 1} of {stage.terms}")
    return ", ".join(parts)


# ── one product ────────────────────────────────────────────────────────────────────────────────────────────


def _product(scene: Scene, at: Place) -> Drawn:
    products, stage = scene.products(at), scene.stages[at.stage]
    if not products or (len(products) == 1 and stage.direction != "gradient"):
        return _neuron(scene, at)  # there is no sum
    this = products[at.term]
    line = f"{this.left} · {this.right} = {number(this.left_value)} · {number(this.right_value)} = {number(this.value)}"
    values = {"left": this.left_value, "right": this.right_value, "product": this.value}
    if stage.direction == "gradient":
        more, rows = _share(scene, at, this)
        return line, values | more, [Table(["", ""], rows, "ll")]
    before = sum(product.value for product in products[: at.term])
    sign = "−" if this.value < 0 else "+"
    added = f"{number(before)} {sign} {number(abs(this.value))} = {number(before + this.value)}"
    whole = f"{_sum(stage, products, at.unit)} = {number(sum(product.value for product in products))}"
    rows = [["so far", added], ["of the sum", whole]]
    return line, values | {"so_far": before + this.value}, [Table(["", ""], rows, "ll")]


def _share(scene: Scene, at: Place, this: Product) -> tuple[dict[str, float], list[list[str]]]:
    """What a product of the gradient stage is part of: the mean over the batch."""
    layer = scene.stages[at.stage].layer
    short, index = learnt_by(scene.trace.net, layer, at.unit)[at.term]
    step = scene.taken.parameters[f"{layer}.{short}"]
    total, name = scene.trace.weight_sum, place(step.name, index)
    share, data = this.value / total, float(step.data_gradient[index])
    rows = [
        ["share of this row", f"{number(this.value)} / {number(total)} = {number(share)}"],
        ["all rows of the batch", f"∂L/∂{name} = {number(data)}"],
    ]
    if step.penalty_gradient[index]:
        rows.append(["with the penalty", number(float(step.gradient[index]))])
    moved = f"{number(float(step.before[index]))} → {number(float(step.after[index]))}"
    rows.append(["the step", f"{name}: {moved}"])
    return {"share": share, "gradient": float(step.gradient[index])}, rows


def _sum(stage: Stage, products: Sequence[Product], j: int) -> str:
    """The sum that a unit's products add up to."""
    if stage.direction == "backward":
        return f"Σ_k w[{j}, k] delta_k"
    return f"z_{j} = Σ_i a_i w[i, {j}]" + (f" + b_{j}" if products[-1].left == "1" else "")


# ── one neuron ─────────────────────────────────────────────────────────────────────────────────────────────


def _neuron(scene: Scene, at: Place) -> Drawn:
    return {"forward": _forward_unit, "backward": _backward_unit, "gradient": _gradient_unit}[
        scene.stages[at.stage].direction
    ](scene, at)


def _forward_unit(scene: Scene, at: Place) -> Drawn:
    stage, row, j = scene.stages[at.stage], at.sample, at.unit
    layer, products = scene.layer(stage), scene.products(at)
    values: dict[str, Any] = {
        symbol: float(array[row, j]) for symbol, array in _forward_columns(layer).items() if j < array.shape[1]
    }
    a, z = number(values["a"]), values.get("z")
    if z is not None:
        line = f"a_{j} = {layer.activation}(z_{j}) = {layer.activation}({number(z)}) = {a}"
        blocks: Blocks = []
        if products:
            blocks += [Words(_sum(stage, products, j), "", 2), _terms(products, ("a", "w"), f"z_{j}")]
        activation = layer.layer.activation
        if activation is not None and activation.slope is None and activation.script is not None:
            blocks.append(Words(f"over all units of this row: {activation.script.formula}", "dim", 2))
        return line, values, blocks
    if products:
        this = products[0]
        line = f"a_{j} = {this.left} · {this.right} = {number(this.left_value)} · {number(this.right_value)} = {a}"
        return line, values, []
    line = ",   ".join(f"{symbol}_{j} = {number(value)}" for symbol, value in values.items())
    return line, values, [Words(step.equation, "", 2) for step in layer.layer.forward_steps(scene.trace.n)]


def _forward_columns(layer: LayerPass) -> dict[str, Array]:
    """What stands in a layer on the way forwards."""
    return {symbol: array for symbol, array in layer.values.items() if symbol not in (layer.delta_name, "f′(z)")}


def _gradient_unit(scene: Scene, at: Place) -> Drawn:
    stage, row, j = scene.stages[at.stage], at.sample, at.unit
    layer, products = scene.layer(stage), scene.products(at)
    symbol, delta = f"{layer.delta_name}_{j}", float(filled(layer.delta)[row, j])
    values = {"delta": delta, "products": [p.value for p in products]}
    learnt = learnt_by(scene.trace.net, stage.layer, j)
    if not products:
        line = f"unit {j}: {symbol} = {number(delta)}"
        return line, values, [Words(_refusal(layer, learnt), "dim", 2)]
    if adds_up(layer.layer):
        line = f"into unit {j}: ∂L/∂w[i, {j}] gets a_i · {symbol}, with {symbol} = {number(delta)}"
        return line, values, [_terms(products, ("a", layer.delta_name))]
    gets = (
        f"∂L/∂{place(name, index)} gets {product.right if product.left == '1' else f'{product.left} · {product.right}'}"
        for (name, index), product in zip(learnt, products, strict=True)
    )
    line = f"into unit {j}: {', '.join(gets)}, with {symbol} = {number(delta)}"
    return line, values, [_terms(products, ("left", layer.delta_name))]


def _refusal(layer: LayerPass, learnt: Sequence[Learnt]) -> str:
    """Why the gradient of a layer is not written out."""
    for name, index in learnt:
        try:
            layer.layer.gradient_factors(name, index, layer.room, layer.a_in, filled(layer.delta))
        except ConfigurationError as error:
            return str(error)
    return f"no parameter of {layer.description} belongs to a single unit"


def _backward_unit(scene: Scene, at: Place) -> Drawn:
    stage, j = scene.stages[at.stage], at.unit
    layer, products, unit = scene.layer(stage), scene.products(at), scene.delta(at)
    values = {"delta": unit.delta, "slope": unit.slope, "upstream": unit.upstream}
    blocks: Blocks = [Words(unit.equation, "", 2)]
    if layer.note:
        blocks.append(Words(layer.note, "dim", 2))
    if products:
        blocks.append(_terms(products, ("w", "delta"), _sum(stage, products, j)))
    return _delta_line(unit, products), values, blocks


def _delta_line(unit: UnitDelta, products: Sequence[Product]) -> str:
    """delta of a unit with its numbers."""
    symbol, delta = unit.symbol, number(unit.delta)
    weighted = "" if unit.sample_weight == 1.0 else f" · {number(unit.sample_weight)}"
    if unit.way == "pair":
        target = 0.0 if unit.target is None else unit.target
        difference = f"{number(unit.a)} − {number(target)}"
        return f"{symbol} = {f'({difference}){weighted}' if weighted else difference} = {delta}"
    if unit.way == "jacobian":
        upstream = 0.0 if unit.upstream is None else unit.upstream
        return f"dL/da_{unit.unit} = {number(upstream)}, through the Jacobian {symbol} = {delta}"
    factors = [number(sum(product.value for product in products) if products else unit.total)]
    factors += [number(factor.value) for factor in unit.factors]
    if unit.slope is not None and unit.way == "slope":
        factors.append(number(unit.slope))
    told = f", {unit.through}" if unit.through else ""
    if len(factors) == 1:
        return f"{symbol} = {delta}{told}"
    return f"{symbol} = {' · '.join(factors)} = {delta}{told}"


def _terms(products: Sequence[Product], factors: tuple[str, str], total: str = "") -> Table:
    """The products of a sum, and what they add up to where that has a name; of many, the largest, in their order."""
    sizes = np.abs([product.value for product in products])
    shown = np.sort(np.argsort(-sizes, kind="stable")[:_TERMS])
    columns = [
        numbers([products[i].left_value for i in shown]),
        numbers([products[i].right_value for i in shown]),
        numbers([products[i].value for i in shown]),
    ]
    rows: list[list[Cell | str]] = []
    for i, left, right, value in zip(shown, *columns, strict=True):
        rows.append([f"{products[i].left} · {products[i].right}", left, right, value])
    rest = [product.value for i, product in enumerate(products) if i not in shown]
    if rest:
        rows.append([Cell(f"{count(len(rest), 'smaller one')}", "dim"), "", "", number(sum(rest))])
    if total:
        everything = sum(product.value for product in products)
        rows.append([Cell(total, "strong"), "", "", Cell(number(everything), "strong")])
    return Table(["", *factors, " · ".join(factors)], rows, "lrrr", 4)


# ── one layer ──────────────────────────────────────────────────────────────────────────────────────────────


def _layer(scene: Scene, at: Place) -> Drawn:
    stage, row = scene.stages[at.stage], at.sample
    layer = scene.layer(stage)
    last = layer is scene.trace.layers[-1]
    columns: dict[str, Array] = {}
    if stage.direction == "forward":
        columns = {symbol: array[row] for symbol, array in _forward_columns(layer).items()}
    elif stage.direction == "backward":
        if layer.slope is not None and not (scene.trace.net.paired and last):
            columns = {"f′(z)": layer.slope[row]}
        elif last:
            columns = {"a": layer.a[row], "y": scene.trace.y[row]}
        columns[layer.delta_name] = filled(layer.delta)[row]
    elif adds_up(layer.layer):
        a_in, delta = layer.a_in[row].astype(np.float64), filled(layer.delta)[row]
        columns = {"delta": delta, "‖a_in‖ · |delta|": np.linalg.norm(a_in) * np.abs(delta)}
    else:
        columns = _gradient_columns(scene, at)
    steps = _shape_lines(scene, stage)
    line = ",   ".join(equation for equation, _ in steps)
    blocks: Blocks = [_units(columns), Words("")]
    if steps:
        blocks += [Words(f"Shapes, for the {count(scene.trace.n, 'row')} of the batch", "dim", 2)]
        blocks.append(Table(["", ""], [[equation, Cell(text, "dim")] for equation, text in steps], "ll", 4))
    return line or _where(scene, at, "layer"), {name: array.tolist() for name, array in columns.items()}, blocks


def _gradient_columns(scene: Scene, at: Place) -> dict[str, Array]:
    """What each unit adds to the gradients of its parameters, by their names; and dL/da."""
    stage = scene.stages[at.stage]
    layer = scene.layer(stage)
    values = [[p.value for p in scene.products(Place(*at.digits[:3], unit))] for unit in range(stage.units)]
    learnt = learnt_by(scene.trace.net, stage.layer, 0)
    names = [place(name, index[:-1]) if len(index) > 1 else name for name, index in learnt]
    found = {layer.delta_name: filled(layer.delta)[at.sample]}
    if all(len(each) == len(names) for each in values):
        found |= {f"∂L/∂{name}": np.array([each[k] for each in values]) for k, name in enumerate(names)}
    return found


def _shape_lines(scene: Scene, stage: Stage) -> list[tuple[str, str]]:
    """The equations of a stage with their shapes."""
    steps = shapes(scene.trace.net, scene.trace.n).steps
    if stage.direction == "forward":
        found = [step for step in steps if (step.layer, step.direction) == (stage.layer, "forward")]
        return [(step.equation, step.shapes) for step in found]
    back = [step for step in steps if step.direction == "backward"]
    own = [step for step in back if step.layer == stage.layer and not step.equation.startswith("dL/da_in")]
    found = [step for step in own if step.equation.startswith("delta") == (stage.direction == "backward")]
    if stage.direction == "backward" and stage.layer < len(scene.trace.layers) - 1:
        following, _, _ = way_up(scene.trace, stage.layer)
        between = range(stage.layer + 1, following + 1)
        found = [step for step in back if step.layer in between and step.equation.startswith("dL/da_in")] + found
    return [(step.equation, step.shapes) for step in found]


def _units(columns: dict[str, Array]) -> Table:
    """One line a unit; of many, those with the largest last column."""
    key = list(columns.values())[-1]
    largest = np.argsort(-np.abs(key), kind="stable")[:_UNITS]
    shown = np.sort(largest)
    cells = zip(*(numbers(values[shown]) for values in columns.values()), strict=True)
    rows: list[list[Cell | str]] = [[str(unit), *line] for unit, line in zip(shown, cells, strict=True)]
    if key.size > _UNITS:
        rows.append([Cell(f"… of {key.size:,}", "dim"), *([""] * len(columns))])
    return Table(["unit", *columns], rows, "l" + "r" * len(columns), 4)


# ── one sample ─────────────────────────────────────────────────────────────────────────────────────────────


def _sample(scene: Scene, at: Place) -> Drawn:
    trace, row = scene.trace, at.sample
    loss, output, target = float(trace.row_losses[row]), trace.layers[-1].a[row], trace.y[row]
    line = f"loss {number(loss)}: output {_few(output)}, target {_few(target)}"
    rows = [["", "inputs", _few(trace.inputs[row]), ""]]
    for layer in trace.layers:
        delta = "" if layer.delta is None else _few(layer.delta[row])
        rows.append([str(layer.index), layer.description, _few(layer.a[row]), delta])
    values = {"loss": loss, "loss_after": float(scene.taken.row_losses[row])}
    values |= {"output": output.tolist(), "target": target.tolist()}
    after = f"After the step the loss of this row is {number(values['loss_after'])}."
    return line, values, [Table(["layer", "", "a", "delta"], rows, "llll"), Words(""), Words(after, "dim", 2)]


def _few(array: Array, most: int = 4) -> str:
    """The numbers of a row; of many, the first."""
    shown = ", ".join(number(float(value), 4) for value in array[:most])
    return shown if array.size <= most else f"{shown}, … ({array.size:,})"


_DRAWN: Final[dict[str, Callable[[Scene, Place], Drawn]]] = {
    "product": _product,
    "neuron": _neuron,
    "layer": _layer,
    "sample": _sample,
    "batch": draw_batch,
    "epoch": draw_epoch,
}
