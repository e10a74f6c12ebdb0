"""What leaves the page: the plain NumPy script, the model, ONNX, the report of a step, the command for a terminal."""

from __future__ import annotations

import io
import shlex
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from ..data.builtin import ABOUT
from ..data.model import TableModel
from ..export.numpy.layout import filled
from ..export.numpy.program import export_numpy
from ..export.onnx.model import export_onnx
from ..io import save
from ..kinds.optimizers import OPTIMIZERS
from ..kinds.schedules import rate_at
from ..lens.report.page import report_html
from ..network import Network
from ..training.history import History
from .building import build_network
from .material import Material
from .session import Session
from .settings import CONSTANT, FILE, OPTIMIZER_NAMES, HiddenLayer, Settings

_WIDTH: Final = 84  # columns of a comment in a script
_MOST_NAMED: Final = 30  # columns of X that a script names

#: A file's name, its bytes, and their media type.
Exported = tuple[str, bytes, str]


def export(kind: str, session: Session) -> Exported:
    """The network of a session as a file; `kind` is one of `EXPORTS`.

    Examples
    --------
    >>> name, data, media = export("script", Session())
    >>> name, data.decode().splitlines()[0], media
    ('network.py', '# Columns of X: x1, x2.', 'text/x-python')
    """
    return EXPORTS[kind](session)


def network_of(net: Network, material: Material) -> Network:
    """A copy that has the data's own labels, where the page numbers them."""
    copy = net.astype(net.dtype)
    if material.labels is not None and len(material.labels) == max(2, net.outputs):
        copy.classes = material.labels
    return copy


def model_of(net: Network, material: Material, optimizer: Any, history: History) -> Network | TableModel:
    """What `backlit.save` takes: the network, with the preparation of its columns where there is one."""
    table = material.table
    if table is None:
        return network_of(net, material)
    name = str(getattr(optimizer, "name", ""))
    return TableModel(
        net.astype(net.dtype),
        table.preparation,
        table.target,
        table.classes,
        table.mean,
        table.scale,
        table.reading,
        table.columns,
        history,
        name if name in OPTIMIZERS else "sgd",
        rate_at(optimizer.learning_rate, 0.0),
    )


def _script(session: Session) -> Exported:
    """One file, or both in one archive where the parameters stand beside the script."""
    course, material = session.course, session.material
    with tempfile.TemporaryDirectory(prefix="backlit-lab-") as folder:
        path = Path(folder, "network.py")
        export_numpy(network_of(course.net, material), path, optimizer=course.optimizer)
        path.write_text(_about_columns(material) + path.read_text(encoding="utf-8"), encoding="utf-8")
        files = sorted(Path(folder).iterdir())
        if len(files) == 1:
            return path.name, path.read_bytes(), "text/x-python"
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in files:
                archive.write(file, file.name)
        return "network.zip", packed.getvalue(), "application/zip"


def _about_columns(material: Material) -> str:
    """A comment that says what the script's X is."""
    names = [" ".join(name.split()) for name in material.input_names]
    if len(names) > _MOST_NAMED:
        return f"# X has {len(names)} columns, {names[0]} to {names[-1]}.\n"
    made = ""
    if material.table is not None:
        coded = ", the last ones codes" if material.table.preparation.codes else ""
        made = f" (standardised, categories one-hot{coded})"
    lines = filled(names, _WIDTH)
    lines[0] = f"Columns of X{made}: {lines[0]}"
    return "".join(f"# {line}\n" for line in [*lines[:-1], f"{lines[-1].removesuffix(',')}."])


def _model(session: Session) -> Exported:
    course = session.course
    model = model_of(course.net, session.material, course.optimizer, course.history)
    return "model.backlit", _written("model.backlit", lambda path: save(model, path)), "application/octet-stream"


def _onnx(session: Session) -> Exported:
    course = session.course
    model = model_of(course.net, session.material, course.optimizer, course.history)
    return "model.onnx", _written("model.onnx", lambda path: export_onnx(model, path)), "application/octet-stream"


def _report(session: Session) -> Exported:
    """The step that comes next, on its batch."""
    material, net = session.material, session.course.net
    text = report_html(
        session.ledger("batch"),
        history=session.course.history if session.course.epochs_done else None,
        title=f"{material.title}, step {session.course.step}",
        input_names=material.input_names,
        output_names=material.names_of_outputs(net),
        image_shape=material.image,
    )
    return "report.html", text.encode(), "text/html; charset=utf-8"


def _written(name: str, write: Callable[[Path], Any]) -> bytes:
    """What is written into a file, which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="backlit-lab-") as folder:
        path = Path(folder, name)
        write(path)
        return path.read_bytes()


#: The exports by the name that the page has for them.
EXPORTS: Final[dict[str, Callable[[Session], Exported]]] = {
    "script": _script,
    "model": _model,
    "onnx": _onnx,
    "report": _report,
}


# ── the command ──────────────────────────────────────────────────────────────────────────────────────────────


def train_command(settings: Settings, material: Material) -> tuple[str, list[str]]:
    """A `backlit train` command that comes nearest to the settings, and what it cannot say.

    Examples
    --------
    >>> from .material import material_of
    >>> settings = Settings()
    >>> command, notes = train_command(settings, material_of(settings))
    >>> print(command)
    backlit train circle.npz --hidden 4 --activation tanh --batch-size 10 --optimizer sgd --learning-rate 0.1 \
--validation 0.5 --seed 0
    """
    data, network, training = settings.data, settings.network, settings.training
    file, notes = _file(settings, material)
    words = ["backlit", "train", file]
    if data.name == FILE and material.table is not None and not file.endswith(".npz"):
        target = material.table.target
        words += [f"--target={target}"] if target.startswith("-") else ["--target", target]
    for layer in network.hidden:
        words += ["--hidden", str(layer.units)]
    first = network.hidden[0] if network.hidden else HiddenLayer()
    words += ["--activation", first.activation]
    if first.dropout:
        words += ["--dropout", repr(first.dropout)]
    words += ["--batch-size", str(training.batch_size), "--optimizer", OPTIMIZER_NAMES[training.optimizer].name]
    words += ["--learning-rate", repr(training.learning_rate)]
    words += ["--validation", repr(data.held_out if len(material.X_test) else 0), "--seed", str(network.seed)]
    return shlex.join(words), notes + _unsaid(settings, material)


def _file(settings: Settings, material: Material) -> tuple[str, list[str]]:
    """The file that the command reads, and how to make it where there is none."""
    data = settings.data
    if data.name == FILE:
        if material.table is None or not material.columns:
            return "data.npz", ["save the data first: numpy.savez('data.npz', X=X, y=y)"]
        return f"./{material.title}" if material.title.startswith("-") else material.title, []
    options = f", rows={data.rows}, noise={data.noise!r}, seed={data.seed}" if ABOUT[data.name].drawn else ""
    program = (
        f"import backlit.data, numpy; d = backlit.data.load({data.name!r}{options}); "
        f"numpy.savez({data.name + '.npz'!r}, X=d.X, y=d.y)"
    )
    return f"{data.name}.npz", [f"make the file first: {shlex.join(['python', '-c', program])}"]


def _unsaid(settings: Settings, material: Material) -> list[str]:
    """What the settings ask for and the command does otherwise."""
    data, network, training = settings.data, settings.network, settings.training
    notes = ["backlit train standardises every column, and ends when the validation loss no longer falls"]
    if network.given:
        notes.append("the network was given: the command makes one of these settings, with fresh initial values")
    if not network.hidden:
        notes.append("it has one hidden layer of 64 units at least")
    if len({(layer.activation, layer.dropout) for layer in network.hidden}) > 1:
        notes.append("it has one activation and one dropout for all hidden layers: those of the first")
    if material.features and material.features != ("x1", "x2"):
        notes.append(f"it makes no features: the network here takes {', '.join(material.features)}")
    plain = Settings().network
    for name, value in (("init", network.init), ("l1", network.l1), ("l2", network.l2)):
        if value != getattr(plain, name):
            notes.append(f"it has no option for {name}, which is {value} here")
    net = build_network(settings, material)
    expected = ("softmax", "cross_entropy") if material.classes is not None else ("identity", "squared_error")
    found = (net.output_layer.activation.name, net.loss_function.name)
    if found != expected:
        notes.append(f"its output is {expected[0]} with {expected[1]}, here {found[0]} with {found[1]}")
    if training.schedule != CONSTANT:
        notes.append(f"its learning rate is constant, here {training.schedule}")
    if training.momentum:
        notes.append(f"it has no momentum, here {training.momentum:g}")
    if data.seed != network.seed:
        notes.append(f"it has one seed: here rows are divided with {data.seed}, and the network has {network.seed}")
    return notes
