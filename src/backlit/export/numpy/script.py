"""The whole script, in the order it is read: settings, parameters, passes, update, training, a first run."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from typing import Any, Final

from ...kinds.script import LayerText, number
from ...network import Network
from ...parameters import Array
from . import passes as passes
from . import training as training
from .layout import WIDTH, array, block, heading, items
from .update import Update, network_update

MOST_AT_THE_TOP: Final = 60  # numbers that stand where they are first named; more would hide the mathematics
MOST_IN_THE_SCRIPT: Final = 2000  # numbers written into the script; more go into a file beside it


def script(net: Network, optimizer: Any, classes: Sequence[Any] | None, name: str, beside: str | None) -> str:
    """The source.

    Parameters
    ----------
    net : Network
    optimizer : optimiser
        One that has a text for a script.
    classes : sequence or None
        The label of each output, where the targets are labels.
    name : str
        File name of the script, for its usage.
    beside : str or None
        File name of the parameters, where they are not in the script.
    """
    texts = passes.layer_texts(net)
    update = network_update(optimizer, net)
    body = [
        *heading("settings"),
        *_settings(net, update, classes),
        *heading("parameters"),
        *_parameters(net, beside),
        *_memory(net, update),
        *heading("forward: from the rows to the outputs"),
        *_functions(texts),
        *passes.forward_pass(net, texts),
        *heading("loss"),
        *_targets(net, classes),
        "",
        "",
        *passes.loss(net),
        *heading("backward: from the loss to the gradients"),
        *passes.gradients(net, texts),
        "",
        "",
        *training.finite_difference(net),
        *heading("update"),
        *_joined(update.functions),
        *heading("training"),
        *training.generator(texts),
        "",
        "",
        *training.train(net, texts, update),
        *_values_at_the_end(net, beside),
        *heading("a first run"),
        *training.first_run(net),
    ]
    imports = [m for m in ("math", "sys") if any(f"{m}." in line for line in body)]
    lines = [*_top(net, update, name, beside), "", *(f"import {module}" for module in imports)]
    if beside is not None:
        lines.append("from pathlib import Path")
    return "\n".join([*lines, "", "import numpy as np", *body[1:]]) + "\n"


def _joined(sources: Sequence[Sequence[str]]) -> list[str]:
    """Functions, two empty lines between them."""
    return [line for i, source in enumerate(sources) for line in ([*(["", ""] if i else []), *source])]


def _top(net: Network, update: Update, name: str, beside: str | None) -> list[str]:
    chain = [str(net.inputs), *(layer.title for layer in net.layers)]
    over = " / n" if net.divide_penalty else ""
    penalty = (f", + (l2/2) Σ W²{over}" if net.l2 else "") + (f", + l1 Σ |W|{over}" if net.l1 else "")
    use = [f"python {_in_docstring(name)}", f"python {_in_docstring(name)} data.npz"]
    wide = max(len(text) for text in use)
    where = "the values below" if beside is None else f"the values in {_in_docstring(beside)}"
    about = textwrap.fill(
        f"It starts from {where}. Trained on the same rows with the same seed and batch size, it goes through the "
        "same numbers as Backlit, whose export_numpy wrote it.",
        WIDTH,
    )
    title = textwrap.wrap(f'"""A neural network by hand, in NumPy alone: {" → ".join(chain)}.', WIDTH)
    return [
        *title,
        "",
        *about.splitlines(),
        "",
        f"    {use[0]:<{wide}}   train on made-up rows",
        f"    {use[1]:<{wide}}   train on the arrays X, (n, {net.inputs}), and y of a file",
        "",
        "The symbols, for a batch of n rows; layer l takes a_l and gives a_(l+1):",
        "",
        "    W, b     weights (inputs, units) and biases (units,) of a layer",
        "    z        pre-activation, z = a_in W + b            (n, units)",
        "    a        activation, a = f(z)                      (n, units)",
        "    delta    dL/dz = dL/da ⊙ f′(z)                     (n, units)",
        "    dW, db   gradients: dL/dW = a_inᵀ delta / n, dL/db = Σ_rows delta / n",
        "    da       dL/da_in = delta Wᵀ, handed to the layer below",
        "",
        *_wrapped_item("loss", f"L = {passes.network_loss(net).formula}, the mean over the rows{penalty}"),
        *_wrapped_item("update", update.text.formula),
        '"""',
    ]


def _in_docstring(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', '\\"')


def _wrapped_item(name: str, text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=f"    {name:<9}", subsequent_indent=" " * 13)


def _settings(net: Network, update: Update, classes: Sequence[Any] | None) -> list[str]:
    lines = [(f"FLOAT = np.{net.dtype}", "precision of all that follows")]
    drawn = " and of what layers draw" if any(layer.random for layer in net.layers) else ""
    lines.append((f"SEED = {net.seed}", f"key of the order of the rows{drawn}"))
    if net.input_scale != 1.0:
        lines.append((f"INPUT_SCALE = {number(net.input_scale)}", "every input is multiplied by it"))
    if net.l2:
        lines.append((f"L2 = {number(net.l2)}", "penalty (l2/2) Σ W²"))
    if net.l1:
        lines.append((f"L1 = {number(net.l1)}", "penalty l1 Σ |W|"))
    lines += [*passes.network_loss(net).constants, *update.constants]
    result = block(lines, indent=0)
    if classes is not None:
        result.append("")
        about = "the label of each output" if net.outputs > 1 else "the labels that 0 and 1 stand for"
        if list(classes) == list(range(len(classes))):
            result.append(f"CLASSES = np.arange({len(classes)})  # {about}")
        else:
            result += items("CLASSES = np.array([", [_literal(label) for label in classes], "])", about)
    return result


def _literal(label: Any) -> str:
    return json.dumps(label, ensure_ascii=False) if isinstance(label, str) else repr(label)


def arrays(net: Network) -> dict[str, Array]:
    """Every parameter, and after them every buffer, by its name in the script."""
    vector = net.parameters
    found = {passes.script_name(name): vector.view(name) for name in vector.names}
    return found | {passes.script_name(name): vector.buffer(name) for name in vector.buffer_names}


def _parameters(net: Network, beside: str | None) -> list[str]:
    lines = ["# W: a row for each input of the layer, a column for each unit. b: a number for each unit."]
    if net.parameters.buffer_names:
        running = ", ".join(passes.script_name(name) for name in net.parameters.buffer_names)
        about = f"{running}: running statistics, for inference, which training moves but does not learn."
        lines += [f"# {line}" for line in textwrap.wrap(about, WIDTH - 2)]
    shapes = {name: str(view.shape) for name, view in arrays(net).items()}
    if beside is not None:
        lines.append(f"with np.load(Path(__file__).with_name({json.dumps(beside)}), allow_pickle=False) as values:")
        return lines + block((f'{name} = values["{name}"].astype(FLOAT)', shape) for name, shape in shapes.items())
    if net.parameters.state.size <= MOST_AT_THE_TOP:
        for name, view in arrays(net).items():
            lines += array(f"{name} = np.array(", view, ", dtype=FLOAT)", shapes[name])
        return lines
    lines.append("# Their values stand further down, after the training.")
    return lines + block(((f"{name} = np.empty({shape}, FLOAT)", "") for name, shape in shapes.items()), indent=0)


def _values_at_the_end(net: Network, beside: str | None) -> list[str]:
    if beside is not None or net.parameters.state.size <= MOST_AT_THE_TOP:
        return []
    lines = heading("the values of the parameters")
    for name, view in arrays(net).items():
        lines += array(f"{name}[:] = ", view, "", str(view.shape))
    return lines


def _memory(net: Network, update: Update) -> list[str]:
    """The arrays that the optimiser remembers, zero at first."""
    if not update.text.memory:
        return []
    about = f"What the update remembers of each parameter, zero at first: {update.text.about_memory}."
    lines = ["", *(f"# {line}" for line in textwrap.wrap(about, WIDTH - 2))]
    for name, _ in passes.parameters(net):
        names = ", ".join(f"{m}{name}" for m in update.text.memory)
        lines.append(f"{names} = {', '.join([f'np.zeros_like({name})'] * len(update.text.memory))}")
    return lines


def _functions(texts: Sequence[LayerText]) -> list[str]:
    """The functions that the layers call."""
    sources = dict.fromkeys(source.strip() for text in texts for source in text.helpers)
    return [line for source in sources for line in [*source.splitlines(), "", ""]]


def _targets(net: Network, classes: Sequence[Any] | None) -> list[str]:
    outputs = net.outputs
    if classes is None:
        return [
            "def targets(y):",
            f'    """The target values as rows, shape (n, {outputs})."""',
            f"    return np.asarray(y, dtype=FLOAT).reshape(-1, {outputs})",
        ]
    about = f"A row for each label, 1 at its class and else 0, (n, {outputs}); such rows are taken too."
    last = ["    return Y.astype(FLOAT)"]
    if outputs == 1:
        about = "1 for the second class and 0 for the first, (n, 1); such columns are taken too."
        last = ["    return Y[:, 1:].astype(FLOAT)"]
    return [
        "def targets(y):",
        f'    """{about}"""',
        "    y = np.asarray(y)",
        f"    if y.ndim == 2 and y.shape[1] == {outputs}:",
        "        return y.astype(FLOAT)",
        f"    Y = y.reshape(-1, 1) == CLASSES  # (n, 1) == ({len(classes)},) gives (n, {len(classes)})",
        "    if not Y.any(axis=1).all():",
        '        raise ValueError(f"a label is not one of {CLASSES.tolist()}")',
        *last,
    ]
