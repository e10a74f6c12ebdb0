"""What is to be seen of a course: the arrays of a frame, the chain of layers, and the library's pages as JSON."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from ..kinds import Layer
from ..lens.recording.scene import Scene
from ..lens.step.trace import Trace
from ..network import Network
from ..pages import Cell, Page, Words
from ..parameters import Array
from ..training.predicted import predicted_index, predicted_index_of_targets
from .course import Course
from .material import Material

WIDE: Final = 16  # units from which a layer is drawn as a summary
MOST_PARAMETERS: Final = 20_000  # that a frame holds all of
_MOST_OF_ARRAY: Final = 4_096
MAP_SIZE, OUTPUT_MAP_SIZE = 24, 64
_BINS: Final = 30
_STEPS: Final = 400  # the last ones whose losses a frame holds
_POINTS: Final = 2_000  # of a set in the plane that are drawn
_HISTORY: Final = ("loss", "batch_loss_min", "batch_loss_max", "val_loss", "val_accuracy", "learning_rate")


def page_json(page: Page) -> dict[str, Any]:
    """A page of the library, as the browser shows it.

    Examples
    --------
    >>> page_json(Page("Sums", [Words("1 + 1 = 2", "strong")]))["blocks"]
    [{'kind': 'words', 'text': '1 + 1 = 2', 'tone': 'strong', 'indent': 0}]
    """
    blocks: list[dict[str, Any]] = []
    for block in page.blocks:
        if isinstance(block, Words):
            blocks.append({"kind": "words", "text": block.text, "tone": block.tone, "indent": block.indent})
        else:
            rows = [[_cell(cell) for cell in row] for row in block.rows]
            table = {"columns": list(block.columns), "align": block.align, "rows": rows, "indent": block.indent}
            blocks.append({"kind": "table", **table})
    return {"title": page.title, "blocks": blocks}


def _cell(cell: Cell | str) -> dict[str, str]:
    return {"text": cell.text, "tone": cell.tone} if isinstance(cell, Cell) else {"text": cell, "tone": ""}


def layer_json(net: Network, index: int, hidden: int | None) -> dict[str, Any]:
    """One layer of the chain; `hidden` is its position among the layers that the page's settings name."""
    layer: Layer = net.layers[index]
    parameters = [
        {"name": name, "shape": list(shape), "offset": int(net.parameters.slice(name).start)}
        for name, shape in net.parameters.shapes.items()
        if name.split(".")[0] == str(index)
    ]
    return {
        "index": index,
        "kind": type(layer).__name__,
        "title": repr(layer).replace("'", ""),
        "units": layer.outputs,
        "activation": None if layer.activation is None else layer.activation.name,
        "hidden": hidden,
        "wide": layer.outputs > WIDE,
        "parameters": parameters,
    }


def sample_arrays(trace: Trace, row: int) -> dict[str, Array]:
    """z, a, slope and delta of every layer for one row of a pass."""
    arrays: dict[str, Array] = {"input": trace.inputs[row]}
    for layer in trace.layers:
        for name, values in (("z", layer.z), ("a", layer.a), ("slope", layer.slope), ("delta", layer.delta)):
            if values is not None:
                arrays[f"{name}.{layer.index}"] = values[row]
    return arrays


def parameter_arrays(scene: Scene) -> dict[str, Array]:
    """Values, gradient and update of the step that comes next: of all parameters, or of the smaller arrays."""
    vectors = {
        "values": scene.taken.before,
        "gradient": scene.trace.gradient,
        "update": scene.taken.after - scene.taken.before,
    }
    parameters = scene.trace.net.parameters
    if parameters.size <= MOST_PARAMETERS:
        return vectors
    small = [name for name in parameters.names if parameters.view(name).size <= _MOST_OF_ARRAY]
    return {f"{key}.{name}": vector[parameters.slice(name)] for key, vector in vectors.items() for name in small}


def flow(scene: Scene) -> Array:
    """Per layer that learns: its number, ‖∂L/∂W‖, mean |delta|, ‖update‖ / ‖W‖; shape (k, 4)."""
    rows = []
    for layer in scene.trace.layers:
        steps = [step for name, step in scene.taken.parameters.items() if name.split(".")[0] == str(layer.index)]
        if steps:
            size = _length([step.before for step in steps])
            update = _length([step.update for step in steps])
            delta = 0.0 if layer.delta is None else float(np.abs(layer.delta).mean())
            ratio = update / size if size else np.nan
            rows.append([layer.index, _length([step.gradient for step in steps]), delta, ratio])
    return np.array(rows, np.float64).reshape(-1, 4)


def _length(arrays: list[Array]) -> float:
    return float(np.sqrt(sum(float(np.square(array, dtype=np.float64).sum()) for array in arrays)))


def history_rows(course: Course, start: int) -> Array:
    """The epochs after `start` up to where the course stands: number, losses, metric, learning rate; shape (k, 7)."""
    history, end = course.history, course.epochs_done
    known = set(history)
    names = ["val_r2" if name == "val_accuracy" and "val_r2" in known else name for name in _HISTORY]
    missing = [np.nan] * (end - start)
    columns = (history[name][start:end] if name in known else missing for name in names)
    return np.array([list(range(start + 1, end + 1)), *columns], np.float64).T.reshape(-1, 7)


def step_losses(course: Course) -> Array:
    """Number and loss of the last steps; shape (m, 2)."""
    first = max(0, course.step - _STEPS)
    losses = course.losses[first : course.step]
    return np.column_stack([np.arange(first, first + len(losses)), losses]) if losses else np.empty((0, 2))


def response_maps(net: Network, inputs: Array, size: int) -> list[Array]:
    """What every unit answers over the plane: for each layer (units, size, size), the first row on top."""
    with np.errstate(all="ignore"):
        work = net.workspace(inputs.shape[0], training=False)
        work.load(inputs)
        net.forward_pass(work)
        return [work.a[i + 1].T.reshape(-1, size, size).copy() for i in range(len(net.layers))]


def grid(extent: tuple[float, float, float, float], size: int) -> Array:
    """The points of a plane row by row from its top, shape (size², 2)."""
    x0, x1, y0, y1 = extent
    x, y = np.meshgrid(np.linspace(x0, x1, size), np.linspace(y1, y0, size))
    return np.column_stack([x.ravel(), y.ravel()])


def histograms(scene: Scene) -> dict[str, Array]:
    """Of values and gradients of each parameter array: centres of the bins and counts, (2, bins)."""
    found: dict[str, Array] = {}
    for name, step in scene.taken.parameters.items():
        for what, values in (("values", step.before), ("gradient", step.gradient)):
            known = values[np.isfinite(values)].astype(np.float64)
            counts, edges = np.histogram(known, bins=_BINS)
            found[f"hist.{what}.{name}"] = np.array([(edges[1:] + edges[:-1]) / 2.0, counts])
    return found


def confusion(net: Network, X: Array, Y: Array) -> Array:
    """How many rows of each class (rows) were taken for which (columns)."""
    classes = max(2, Y.shape[1])
    right, guessed = predicted_index_of_targets(Y), predicted_index(net, net.forward(X))
    counts = np.bincount(right * classes + guessed, minlength=classes * classes)
    return np.asarray(counts.reshape(classes, classes))


def opened(names: set[str], material: Material, course: Course, scene: Scene) -> dict[str, Array]:
    """The arrays of the views that are open on the page."""
    found: dict[str, Array] = {}
    net = course.net
    if "maps" in names:
        found |= _maps(material, net)
    if "histograms" in names:
        found |= histograms(scene)
    if "confusion" in names and material.task == "classification":
        found["confusion.train"] = confusion(net, *course.job.data[:2])
        if course.test is not None:
            found["confusion.test"] = confusion(net, *course.test[:2])
    if "points" in names and material.raw_train is not None:
        found["out_train"] = net.forward(course.job.X[:_POINTS])[:, 0]
        if course.test is not None:
            found["out_test"] = net.forward(course.test[0][:_POINTS])[:, 0]
    return found


def _maps(material: Material, net: Network) -> dict[str, Array]:
    """The response of every unit over the plane, and of the outputs finer."""
    if material.raw_train is None:
        return {}
    units = response_maps(net, material.cross(grid(material.extent, MAP_SIZE)), MAP_SIZE)
    found = {f"map.{i}": units[i] for i in range(len(units)) if units[i].shape[0] <= WIDE}
    found["map.out"] = _output_map(material, net)
    found["map.input"] = material.cross(grid(material.extent, MAP_SIZE)).T.reshape(-1, MAP_SIZE, MAP_SIZE)
    return found


def _output_map(material: Material, net: Network) -> Array:
    return response_maps(net, material.cross(grid(material.extent, OUTPUT_MAP_SIZE)), OUTPUT_MAP_SIZE)[-1]


def of_other(names: set[str], material: Material, other: Course) -> dict[str, Array]:
    """The arrays of the network that is compared."""
    found = {"other.history": history_rows(other, 0), "other.steps": step_losses(other)}
    if "maps" in names and material.raw_train is not None:
        found["other.map.out"] = _output_map(material, other.net)
    return found


def parted(one: Course, other: Course) -> tuple[int | None, int | None]:
    """The first step at which the parameters of two courses differ, and the first whose losses do; None for none."""
    end = min(one.step, other.step)
    losses = min(len(one.losses), len(other.losses), end)
    apart = np.flatnonzero(np.array(one.losses[:losses]) != np.array(other.losses[:losses]))
    parted_loss = int(apart[0]) if apart.size else None
    if not _same(one, other, end):
        first, last = 0, end  # they differ at `last`; once apart they stay apart
        while first < last:
            middle = (first + last) // 2
            if _same(one, other, middle):
                first = middle + 1
            else:
                last = middle
        return last, parted_loss
    return None, parted_loss


def _same(one: Course, other: Course, step: int) -> bool:
    return np.array_equal(one.values_at(step), other.values_at(step))
