"""Write it yourself: the backward step of one layer as NumPy that can be edited, run, and compared with the library's.

The text is the layer's own, as `backlit.export_numpy` writes it, with shorter names:

    a_in, a    what the layer took and gave        z       its pre-activations
    W, b       its parameters                      dL_da   what comes from above; of an output that is a pair with its
    n          rows of the batch                           loss, the targets y in its place
    dW, db     the gradients, means over the rows  dL_da_in   what goes to the layer below, row by row

How it is run, and what that keeps off, says `sandbox`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np

from ..exceptions import ConfigurationError, OwnCodeError
from ..export.numpy.layout import block
from ..export.numpy.passes import network_loss, script_name
from ..kinds.script import BLANK, LayerText, Line, number
from ..lens.diagnosis.diagnose import diagnose
from ..lens.diagnosis.results import Diagnosis
from ..lens.step.trace import LayerPass, Trace
from ..network import Network
from ..parameters import Array
from ..workspace import Workspace
from .sandbox import MEGABYTES, SECONDS, run

_BELOW: Final = "dL_da_in"
_MOST: Final = 2**22  # numbers of an array that the code may leave, unless its parameter has more
_NAME: Final = re.compile(r"(?<![\w.])([A-Za-z]+)(\d+)(?!\w)")
_WHAT: Final = {
    "a_in": "what the layer took",
    "a": "what the layer gave",
    "z": "its pre-activations",
    "W": "its weights",
    "b": "its biases",
    "m": "the mask of this step",
    "y": "the targets",
    "dL_da": "what comes from the layer above, or from the loss, row by row",
    "n": "the rows of the batch",
}

#: A name, its shape, and what it is.
Named = tuple[str, tuple[int, ...], str]


@final
@dataclass(frozen=True, eq=False)
class Template:
    """The backward step of a layer.

    Attributes
    ----------
    source : str
        NumPy that is right as it stands.
    given, asked : tuple of (name, shape, what it is)
        What the code finds, and what it has to leave.
    arrays : dict of str to array or int
        What is given, for one batch.
    """

    source: str
    given: tuple[Named, ...]
    asked: tuple[Named, ...]
    arrays: dict[str, Any]


@final
@dataclass(frozen=True, eq=False)
class Judged:
    """What somebody's backward step left and printed, and what the library says of it."""

    arrays: dict[str, Array]
    printed: str
    diagnosis: Diagnosis


def template(trace: Trace, layer: int) -> Template:
    """The backward step of a layer on a batch, as code that can be edited.

    Raises
    ------
    ConfigurationError
        For a layer that nothing is learnt in or below, and for one whose source no text can be made of.

    Examples
    --------
    >>> import backlit as bl
    >>> net = bl.Network([bl.Dense(3, "tanh"), bl.Dense(1)], inputs=2, dtype="float64")
    >>> ledger = bl.explain(net, [[1.0, 2.0]], [1.0])
    >>> print(template(ledger.trace, 0).source, end="")
    # Dense, 2 → 3, tanh: a = tanh z
    # layer 0, tanh: delta = dL/da ⊙ f′(z), f′(z) = 1 − a²
    delta = dL_da * (1 - a**2)  # (n, 3)
    dW = a_in.T @ delta / n     # (2, n) (n, 3) = (2, 3), like W
    db = delta.sum(axis=0) / n  # (3,), like b
    """
    net = trace.net
    if layer < net.first_learning:
        raise ConfigurationError(f"nothing is learnt in layer {layer} or below it: it has no backward step")
    last, below = len(net.layers) - 1, layer > net.first_learning
    paired = net.paired and layer == last
    text = net.layers[layer].script(layer, below=below, given_delta=paired)
    arrays, more = _given(trace, layer, text, paired)
    lines: list[Line] = [("", text.title), *more]
    if paired:
        loss = network_loss(net)
        value = loss.gradient.format(z=f"z{layer}", a=f"a{layer + 1}")
        lines += [("", f"the output: {loss.slope}"), (f"delta{layer} = {value}", f"(n, {net.outputs})")]
    lines += text.backward
    renamed = [(_renamed(code, layer), _renamed(comment, layer)) for code, comment in lines]
    body = "\n".join(block([*renamed, *_penalty(net, layer)], 0))
    parts = [source.strip("\n") for source in _called(text.helpers, body)]
    whole = "\n\n".join([*parts, body]) + "\n"
    head = "import math\n\n" if re.search(r"(?<![\w.])math\.", whole) else ""
    head += f"FLOAT = np.{net.dtype.name}\n\n" if re.search(r"\bFLOAT\b", whole) else ""
    shapes = {f"d{_short(name)}": net.parameters.shapes[name] for name in net.parameters.names_of(layer)}
    asked: list[Named] = [(name, shape, f"the gradient of {name[1:]}") for name, shape in shapes.items()]
    if below:
        asked.append((_BELOW, trace.layers[layer].a_in.shape, "what goes to the layer below, row by row"))
    given = tuple((name, np.shape(array), _WHAT.get(name, f"its {name}")) for name, array in arrays.items())
    return Template(head + whole, given, tuple(asked), arrays)


def judge(trace: Trace, layer: int, source: str, *, seconds: float = SECONDS, megabytes: int = MEGABYTES) -> Judged:
    """Run somebody's backward step of one layer and name the mistake in it, if there is one.

    The layers above have the library's gradients; those below get what the code hands down, so that a mistake in it
    shows in them.

    Raises
    ------
    OwnCodeError
        If the code failed, was stopped, or left something that is no gradient.
    ShapeError
        For a gradient that does not have its parameter's shape, where that is no known mistake.

    Examples
    --------
    >>> import backlit as bl
    >>> net = bl.Network([bl.Dense(3, "tanh"), bl.Dense(1)], inputs=2, dtype="float64")
    >>> ledger = bl.explain(net, [[1.0, 2.0], [0.5, -1.0]], [1.0, 0.0])
    >>> right = template(ledger.trace, 0).source
    >>> judge(ledger.trace, 0, right).diagnosis.ok
    True
    >>> wrong = right.replace("dL_da * (1 - a**2)", "dL_da")
    >>> [found.name for found in judge(ledger.trace, 0, wrong).diagnosis.findings]
    ['missing_slope']
    """
    found = template(trace, layer)
    sizes = {name: int(np.prod(shape)) for name, shape, _ in found.asked}
    # a gradient that was not summed over the rows is a known mistake
    most = {name: max(size, min(size * trace.n, _MOST)) for name, size in sizes.items()}
    result = run(source, found.arrays, most, seconds=seconds, megabytes=megabytes)
    for name, array in result.arrays.items():
        if not np.isfinite(array).all():
            place = [int(i) for i in np.argwhere(~np.isfinite(array))[0]]
            raise OwnCodeError(
                f"{name} has {array[tuple(place)]} at {place}: look at what is divided, and at exponentials",
                printed=result.printed,
            )
    gradients = _gradients(trace, layer, result.arrays, result.printed)
    X, Y, weight = trace.data
    diagnosis = diagnose(trace.net, X, Y, gradients, sample_weight=weight, step=trace.step)
    return Judged(result.arrays, result.printed, diagnosis)


def _gradients(trace: Trace, layer: int, mine: dict[str, Array], printed: str) -> dict[str, Array]:
    """All gradients: the library's above the layer, the code's in it, below what follows from what it hands down."""
    parameters = trace.net.parameters
    found = {name: trace.gradient[parameters.slice(name)].reshape(shape) for name, shape in parameters.shapes.items()}
    found |= {name: mine[f"d{_short(name)}"] for name in parameters.names_of(layer)}
    if _BELOW not in mine:
        return found
    expected = trace.layers[layer].a_in.shape
    if mine[_BELOW].shape != expected:
        raise OwnCodeError(
            f"{_BELOW} must have the shape of a_in, {expected}, received {mine[_BELOW].shape}", printed=printed
        )
    net = trace.net.astype(trace.net.dtype)
    work = Workspace(net.layers, net.inputs, trace.n, net.dtype, aim=net.aim, input_scale=net.input_scale)
    work.load(*trace.data)
    with np.errstate(all="ignore"):
        net.forward_pass(work, trace.step)
        work.delta[layer - 1][...] = mine[_BELOW]
        for i in range(layer - 1, net.first_learning - 1, -1):
            net.layers[i].backward(work, i, below=i > net.first_learning)
        gradient = net.parameters.gradients / trace.weight_sum + trace.penalty_gradient
    for i in range(layer):
        for name in parameters.names_of(i):
            found[name] = gradient[parameters.slice(name)].reshape(parameters.shapes[name])
    return found


# ── the text ─────────────────────────────────────────────────────────────────────────────────────────────────


def _given(trace: Trace, layer: int, text: LayerText, paired: bool) -> tuple[dict[str, Any], list[Line]]:
    """What the code is given, and the lines that make the rest of what the way back needs of the way forward."""
    net, passed = trace.net, trace.layers[layer]
    parameters = net.parameters
    found: dict[str, Any] = {"a_in": passed.a_in}
    found |= {_short(name): parameters.view(name) for name in parameters.names_of(layer)}
    kept = _kept(passed)
    needed = [_renamed(name, layer) for name in text.results[:-1]]
    lines: list[Line] = []
    if all(name in kept for name in needed):
        found |= {name: kept[name] for name in needed}
    else:
        found |= {_short(name): parameters.buffer(name) for name in parameters.buffer_names_of(layer)}
        if text.training:
            lines.append((f"step = {trace.step}", "the step of training" if trace.step is not None else "inference"))
        lines += [("", "forward, once more"), *text.forward, BLANK]
    found["a"] = passed.a
    if paired:
        found["y"] = trace.data[1]
    elif passed.upstream is not None:
        found["dL_da"] = passed.upstream
    found["n"] = trace.n
    return found, lines


def _kept(passed: LayerPass) -> dict[str, Array]:
    """What the trace keeps of the way forward, by the names that scripts have for it."""
    kept = {"z": passed.z, "m": passed.mask}
    return {name: array for name, array in kept.items() if array is not None}


def _penalty(net: Network, layer: int) -> list[Line]:
    """What the penalties add to the gradients of the layer's weights."""
    names = [_short(name) for name in net.parameters.weight_names if name in net.parameters.names_of(layer)]
    over = " / n" if net.divide_penalty else ""
    lines: list[Line] = []
    for w in names:
        if net.l2:
            lines.append((f"d{w} += {number(net.l2)}{over} * {w}", "of the penalty (l2/2) Σ W²"))
        if net.l1:
            lines.append((f"d{w} += {number(net.l1)}{over} * np.sign({w})", "of the penalty l1 Σ |W|"))
    return lines


def _short(name: str) -> str:
    """``2.weight`` as the code calls it: W."""
    return script_name(name).rstrip("0123456789")


def _renamed(text: str, layer: int) -> str:
    """A script's names of this layer in their short form: a3 of layer 2 is a, a2 is a_in, W2 is W."""

    def short(match: re.Match[str]) -> str:
        base, place = match[1], int(match[2])
        if place == layer + 1:
            return {"a": "a", "da": "dL_da"}.get(base, match[0])
        if place == layer:
            return {"a": "a_in", "da": _BELOW}.get(base, base)
        return match[0]

    # comments write dL/da2 as a fraction
    fractions = {f"dL/da{layer + 1}": "dL_da", f"dL/da{layer}": _BELOW}
    for fraction, name in fractions.items():
        text = re.sub(rf"{re.escape(fraction)}(?!\w)", name, text)
    return re.sub(r"\bY\b", "y", _NAME.sub(short, text))


def _called(helpers: tuple[str, ...], body: str) -> list[str]:
    """The sources of the functions that the body calls, and of those that these call."""
    found: list[str] = []
    while more := [source for source in helpers if source not in found and _calls(source, "\n".join([body, *found]))]:
        found += more
    return [source for source in helpers if source in found]


def _calls(source: str, body: str) -> bool:
    """Whether a text calls a function that a source defines."""
    return any(re.search(rf"\b{name}\(", body) for name in re.findall(r"^def (\w+)", source, re.MULTILINE))
