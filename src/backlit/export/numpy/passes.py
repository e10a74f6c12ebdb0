"""The network's part of a script: forward pass, loss and back-propagation, unrolled layer by layer.

The numbers in the names are those of `Network.layers` and of `Workspace`: layer l takes a_l and gives a_{l+1}.
"""

from __future__ import annotations

import re

from ...kinds import Dense
from ...network import Network
from .layout import BLANK, Line, block, listed, number
from .maths import ACTIVATIONS, LossText, loss_text


def network_loss(net: Network) -> LossText:
    """The text of the network's loss."""
    return loss_text(net.loss_function, net.output_layer.activation.name)


def has_dropout(net: Network) -> bool:
    return any(not isinstance(layer, Dense) for layer in net.layers)


def parameters(net: Network) -> list[tuple[str, tuple[int, ...]]]:
    """Names in the script and shapes of the parameters, in order: W0, b0, W2, …"""
    return [(script_name(name), shape) for name, shape in net.parameters.shapes.items()]


def script_name(name: str) -> str:
    """``0.weight`` as the script calls it.

    Examples
    --------
    >>> script_name("0.weight"), script_name("2.bias")
    ('W0', 'b2')
    """
    index, kind = name.split(".")
    return {"weight": "W", "bias": "b"}[kind] + index


def weights(net: Network) -> list[str]:
    return [name for name, _ in parameters(net) if name.startswith("W")]


def _more(net: Network) -> str:
    """What the passes take besides the data."""
    return ", step=None, seed=SEED" if has_dropout(net) else ""


def _results(net: Network) -> list[str]:
    """What the forward pass returns, in the order it is computed."""
    names = ["a0"]
    for i, layer in enumerate(net.layers):
        names += [f"z{i}" if isinstance(layer, Dense) else f"m{i}", f"a{i + 1}"]
    return names


def forward_pass(net: Network) -> list[str]:
    """`forward_pass`, which keeps everything, and `forward`."""
    lines: list[Line] = []
    if net.input_scale == 1.0:
        lines.append(("a0 = np.asarray(X, dtype=FLOAT)", f"(n, {net.inputs})"))
    else:
        lines.append(("a0 = (np.asarray(X) * INPUT_SCALE).astype(FLOAT)", f"(n, {net.inputs})"))
    width = net.inputs
    for i, layer in enumerate(net.layers):
        shape = f"(n, {layer.outputs})"
        lines.append(BLANK)
        if isinstance(layer, Dense):
            name = layer.activation.name
            text = ACTIVATIONS[name]
            lines.append(("", f"layer {i}: Dense, {width} → {layer.units}, {name}: {text.formula}"))
            added, vector = (f" + b{i}", f" + ({layer.units},)") if layer.has_bias else ("", "")
            lines.append((f"z{i} = a{i} @ W{i}{added}", f"(n, {width}) ({width}, {layer.units}){vector} = {shape}"))
            lines.append((f"a{i + 1} = {text.value.format(z=f'z{i}')}", shape))
        else:
            lines.append(("", f"layer {i}: Dropout, each of a{i} set to zero with probability {number(layer.rate)}"))
            lines.append((f"m{i} = dropout_mask(a{i}.shape, {number(layer.rate)}, {i}, step, seed)", shape))
            lines.append((f"a{i + 1} = a{i} * m{i}", f"{shape} ⊙ {shape}"))
        width = layer.outputs
    about = ""
    if has_dropout(net):
        about = "\n\n    With the number of a training step dropout is at work; without, nothing is dropped.\n    "
    return [
        f"def forward_pass(X{_more(net)}):",
        *f'    """Every z and a for the rows of X, from the first layer to the last.{about}"""'.splitlines(),
        *block(lines),
        "",
        *listed("return ", _results(net)),
        "",
        "",
        "def forward(X):",
        f'    """The outputs for the rows of X, shape (n, {net.outputs})."""',
        "    return forward_pass(X)[-1]",
    ]


def loss(net: Network) -> list[str]:
    """`loss`: the mean over the rows, and the penalty."""
    text, last = network_loss(net), len(net.layers) - 1
    z, a = f"z{last}", f"a{last + 1}"
    share, over = (" / len(rows)", " / n") if net.divide_penalty else ("", "")
    uses_z, uses_a = (any(name in row for row in text.rows) for name in ("{z}", "{a}"))
    if uses_z and uses_a:
        given = f"*_, {z}, {a} = forward_pass(X)"
    else:
        given = f"{z} = forward_pass(X)[-2]" if uses_z else f"{a} = forward(X)"
    lines: list[Line] = [
        ("Y = targets(y)", f"(n, {net.outputs})"),
        (given, f"(n, {net.outputs})"),
        BLANK,
        ("", f"L = {text.formula}"),
        *((row.format(z=z, a=a), "(n,)" if row.startswith("rows =") else "") for row in text.rows),
    ]
    terms = ["rows.mean()"]
    if net.l2:
        squares = [f"({w}**2).sum()" for w in weights(net)]
        lines += [BLANK, ("", f"the penalty (l2/2) Σ W²{over}, on weights and never on biases")]
        lines += [(f"squares = {' + '.join(squares)}", ""), (f"l2_penalty = 0.5 * L2{share} * squares", "")]
        terms.append("l2_penalty")
    if net.l1:
        sizes = [f"np.abs({w}).sum()" for w in weights(net)]
        lines += [BLANK, ("", f"the penalty l1 Σ |W|{over}, on weights and never on biases")]
        lines += [(f"sizes = {' + '.join(sizes)}", ""), (f"l1_penalty = L1{share} * sizes", "")]
        terms.append("l1_penalty")
    lines += [BLANK, (f"return {' + '.join(terms)}", "")]
    added = ", penalty included" if len(terms) > 1 else ""
    return ["def loss(X, y):", f'    """The mean of L over the rows of X{added}."""', *block(lines)]


def gradients(net: Network) -> list[str]:
    """`gradients`: forward pass and back-propagation."""
    dense = [i for i, layer in enumerate(net.layers) if isinstance(layer, Dense)]
    first, last = dense[0], dense[-1]
    text = network_loss(net)
    names = {"z": f"z{last}", "a": f"a{last + 1}"}
    more = ", step, seed" if has_dropout(net) else ""
    lines: list[Line] = []
    if text.paired:
        lines.append(("", f"layer {last}, the output: {text.slope}"))
        lines.append((f"delta{last} = {text.gradient.format(**names)}", f"(n, {net.outputs})"))
    else:
        lines.append(("", f"the loss: {text.slope}"))
        lines.append((f"da{last + 1} = {text.gradient.format(**names)}", f"(n, {net.outputs})"))
    for i in range(len(net.layers) - 1, first - 1, -1):
        layer = net.layers[i]
        shape = f"(n, {layer.outputs})"
        if not isinstance(layer, Dense):
            lines += [
                BLANK,
                ("", f"layer {i}, dropout: a{i + 1} = a{i} ⊙ m{i}, so dL/da{i} = dL/da{i + 1} ⊙ m{i}"),
                (f"da{i} = da{i + 1} * m{i}", f"{shape} ⊙ {shape}"),
            ]
            continue
        if not (text.paired and i == last):
            activation = ACTIVATIONS[layer.activation.name]
            begin = "" if layer.activation.name == "softmax" else "delta = dL/da ⊙ f′(z), "
            value = activation.delta.format(z=f"z{i}", a=f"a{i + 1}", da=f"da{i + 1}")
            lines += [BLANK, ("", f"layer {i}, {layer.activation.name}: {begin}{activation.slope}")]
            lines.append((f"delta{i} = {value}", shape))
        inputs, units = layer.inputs, layer.units
        lines.append((f"dW{i} = a{i}.T @ delta{i} / n", f"({inputs}, n) (n, {units}) = ({inputs}, {units}), like W{i}"))
        if layer.has_bias:
            lines.append((f"db{i} = delta{i}.sum(axis=0) / n", f"({units},), like b{i}"))
        if i > first:
            lines.append((f"da{i} = delta{i} @ W{i}.T", f"(n, {units}) ({units}, {inputs}) = (n, {inputs}), like a{i}"))
    body = [*block(lines), *_penalty_gradient(net)]
    # the forward pass gives more than every network needs; an underscore for the rest
    needed = set(re.findall(r"\b[azm]\d+\b", "\n".join(line.partition("#")[0] for line in body)))
    unpacked = [name if name in {"a0", *needed} else "_" for name in _results(net)]
    return [
        f"def gradients(X, y{_more(net)}):",
        '    """dL/dW and dL/db of every layer, by back-propagation: means over the rows of X."""',
        *block([("Y = targets(y)", f"(n, {net.outputs})")]),
        *listed("", unpacked, f" = forward_pass(X{more})"),
        "    n = len(a0)",
        "",
        *body,
        "",
        *listed("return ", [f"d{name}" for name, _ in parameters(net)]),
    ]


def _penalty_gradient(net: Network) -> list[str]:
    share, over = (" / n", " / n") if net.divide_penalty else BLANK
    lines: list[str] = []
    if net.l2:
        lines += ["", f"    # the penalty (l2/2) Σ W²{over} adds l2 W{over}"]
        lines += [f"    d{w} += L2{share} * {w}" for w in weights(net)]
    if net.l1:
        lines += ["", f"    # the penalty l1 Σ |W|{over} adds l1 sign(W){over}"]
        lines += [f"    d{w} += L1{share} * np.sign({w})" for w in weights(net)]
    return lines
