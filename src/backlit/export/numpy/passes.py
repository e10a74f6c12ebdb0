"""The network's part of a script: forward pass, loss and back-propagation, unrolled layer by layer.

Each layer writes its own lines (`Layer.script`); here they are put together. The numbers in the names are those of
`Network.layers` and of `Workspace`: layer l takes a_l and gives a_{l+1}.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...exceptions import ConfigurationError
from ...kinds.script import BLANK, LayerText, Line, LossText
from ...network import Network
from .layout import block, listed


def layer_texts(net: Network) -> list[LayerText]:
    """The text of each layer.

    Raises
    ------
    ConfigurationError
        For a layer, or an activation, that has none: a user's own.
    """
    last, first = len(net.layers) - 1, net.first_learning
    return [
        layer.script(i, below=i > first, given_delta=net.paired and i == last) for i, layer in enumerate(net.layers)
    ]


def network_loss(net: Network) -> LossText:
    """The text of the network's loss, with the output's activation where the two are a pair.

    Raises
    ------
    ConfigurationError
        For a loss that has none: a user's own.
    """
    loss = net.loss_function
    text = loss.pairs[net.output_layer.activation.name].script if net.paired else loss.script
    if text is None:
        raise ConfigurationError(
            f"the loss {loss.name!r} is a function of your own, whose source no script can be made of: "
            "use one of Backlit's"
        )
    return text


def differs_in_training(texts: Sequence[LayerText]) -> bool:
    """Whether the passes take the number of a step of training."""
    return any(text.training for text in texts)


def asks_for_epochs(texts: Sequence[LayerText]) -> bool:
    """Whether they take the number of the epoch too."""
    return any(text.epochs for text in texts)


def script_name(name: str) -> str:
    """``0.weight`` as the script calls it.

    Examples
    --------
    >>> script_name("0.weight"), script_name("2.bias"), script_name("1.scale")
    ('W0', 'b2', 'scale1')
    """
    index, kind = name.split(".", 1)
    return {"weight": "W", "bias": "b"}.get(kind, kind) + index


def parameters(net: Network) -> list[tuple[str, tuple[int, ...]]]:
    """Names in the script and shapes of the parameters, in order: W0, b0, W2, …"""
    return [(script_name(name), shape) for name, shape in net.parameters.shapes.items()]


def weights(net: Network) -> list[str]:
    """Names in the script of those that have penalties and weight decay."""
    return [script_name(name) for name in net.parameters.weight_names]


def _more(texts: Sequence[LayerText]) -> str:
    """What the passes take besides the data."""
    step = ", step=None, seed=SEED" if differs_in_training(texts) else ""
    return step + (", epoch=0" if asks_for_epochs(texts) else "")


def _results(texts: Sequence[LayerText]) -> list[str]:
    """What the forward pass returns, in the order it is computed."""
    return ["a0", *(name for text in texts for name in text.results)]


def forward_pass(net: Network, texts: Sequence[LayerText]) -> list[str]:
    """`forward_pass`, which keeps everything, and `forward`."""
    lines: list[Line] = []
    if net.input_scale == 1.0:
        lines.append(("a0 = np.asarray(X, dtype=FLOAT)", f"(n, {net.inputs})"))
    else:
        lines.append(("a0 = (np.asarray(X) * INPUT_SCALE).astype(FLOAT)", f"(n, {net.inputs})"))
    for i, text in enumerate(texts):
        lines += [BLANK, ("", f"layer {i}: {text.title}"), *text.forward]
    about = ""
    if differs_in_training(texts):
        about = "\n\n    With the number of a step this is the pass of training; without, that of inference.\n    "
    return [
        f"def forward_pass(X{_more(texts)}):",
        *f'    """Every z and a for the rows of X, from the first layer to the last.{about}"""'.splitlines(),
        *block(lines),
        "",
        *listed("return ", _results(texts)),
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


def gradients(net: Network, texts: Sequence[LayerText]) -> list[str]:
    """`gradients`: forward pass and back-propagation."""
    last = len(net.layers) - 1
    text = network_loss(net)
    names = {"z": f"z{last}", "a": f"a{last + 1}"}
    more = (", step, seed" if differs_in_training(texts) else "") + (", epoch" if asks_for_epochs(texts) else "")
    lines: list[Line] = []
    if net.paired:
        lines.append(("", f"layer {last}, the output: {text.slope}"))
        lines.append((f"delta{last} = {text.gradient.format(**names)}", f"(n, {net.outputs})"))
    else:
        lines.append(("", f"the loss: {text.slope}"))
        lines.append((f"da{last + 1} = {text.gradient.format(**names)}", f"(n, {net.outputs})"))
    for i in range(last, net.first_learning - 1, -1):
        lines += texts[i].backward if net.paired and i == last else [BLANK, *texts[i].backward]
    body = [*block(lines), *_penalty_gradient(net), *_remembering(texts)]
    # the forward pass gives more than every network needs; an underscore for the rest
    needed = {"a0", *re.findall(r"\b[A-Za-z]\w*", "\n".join(line.partition("#")[0] for line in body))}
    unpacked = [name if name in needed else "_" for name in _results(texts)]
    found = [f"d{name}" for name, _ in parameters(net)]
    only_known = all(name[:2] in ("dW", "db") for name in found)
    about = "dL/dW and dL/db of every layer" if only_known else "dL/dθ of every parameter θ"
    return [
        f"def gradients(X, y{_more(texts)}):",
        f'    """{about}, by back-propagation: means over the rows of X."""',
        *block([("Y = targets(y)", f"(n, {net.outputs})")]),
        *listed("", unpacked, f" = forward_pass(X{more})"),
        "    n = len(a0)",
        "",
        *body,
        "",
        *listed("return ", found),
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


def _remembering(texts: Sequence[LayerText]) -> list[str]:
    """What layers remember of a step of training."""
    lines = [line for text in texts for line in text.update]
    if not lines:
        return []
    return ["", "    # a step of training moves the running statistics", "    if step is not None:"] + [
        f"        {line}" for line in lines
    ]
