"""Each finding in words: what was done, and the line of NumPy that would be right, with the learner's own shapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from ...exceptions import ConfigurationError
from ...kinds import Dense
from ...network import Network
from ...pages import count, number
from .catalogue import CATALOGUE
from .given import Given
from .passes import Mistake, Passes


@final
@dataclass(frozen=True)
class Case:
    """A mistake and what has to be known to speak of it; `layer` is where it is reported, None the whole network."""

    passes: Passes
    given: Given
    mistake: Mistake
    layer: int | None

    @property
    def net(self) -> Network:
        return self.passes.net

    @property
    def m(self) -> str:
        n, m = self.passes.n, self.passes.weight_sum
        return f"the {count(n, 'row')}" if m == n else f"the sum of the sample weights, {number(m)}"


def where(net: Network, layer: int | None) -> str:
    """A place in the network.

    Examples
    --------
    >>> where(Network([Dense(3, "tanh"), Dense(1)], inputs=2), 0)
    "layer 0, Dense(3, 'tanh')"
    """
    return "the whole network" if layer is None else f"layer {layer}, {net.layers[layer]!r}"


def explanation(case: Case) -> str:
    """One or two sentences for a learner."""
    return CATALOGUE[case.mistake.name].done.format_map(_Facts(case))


class _Facts(dict[str, str]):
    """What a sentence may ask for: places, and what was measured."""

    def __init__(self, case: Case) -> None:
        mistake, layer = case.mistake, case.layer
        place = "every layer" if layer is None else f"layer {layer}"
        kind = {"weight": "weight gradient", "bias": "bias gradient"}.get(mistake.array.partition(".")[2], "")
        if mistake.name == "bias_not_averaged":
            kind = "bias gradient"
        if kind:
            one = f"every {kind}" if layer is None else f"the {kind} of {place}"
            plural = False
        else:
            below = (
                " and of the layers below it"
                if mistake.numbers.get("layers_below_too")
                or (mistake.onward and layer is not None and _has_below(case))
                else ""
            )
            one, plural = ("all gradients", True) if layer is None else (f"the gradients of {place}{below}", True)
        capital = one[0].upper() + one[1:]
        found: dict[str, Any] = {
            "where": place, "which_p": one, "which_v": f"{capital} {'are' if plural else 'is'}",
            "which_s": f"{capital} {'have' if plural else 'has'}", "m": case.m, "f": _activation(case),
            "rate": "", "terms": _terms(mistake), "hint": _hint(mistake.numbers), "compare": _compare(case),
        }  # fmt: skip
        if "learning_rate" in mistake.numbers:
            found["rate"] = f" by a step of learning rate {number(float(mistake.numbers['learning_rate']), 4)}"
        if "layers" in mistake.numbers:
            found["where"] = f"layers {mistake.numbers['layers']}"
        for key, value in mistake.numbers.items():
            found.setdefault(key, value if isinstance(value, str) else number(value))
        super().__init__(found)

    def __missing__(self, key: str) -> str:
        return "another"


def _has_below(case: Case) -> bool:
    return any(i < case.mistake.shows for i in case.passes.delta)


def _activation(case: Case) -> str:
    layer = case.net.layers[case.mistake.shows]
    return layer.activation.name if isinstance(layer, Dense) else "the activation"


def _terms(mistake: Mistake) -> str:
    terms = {"l1": "sign(W)", "l2": "W"}
    kinds = str(mistake.numbers.get("penalty", "")).split(" and ")
    found = [
        f"{number(float(mistake.numbers[f'{k}_missing']))} {terms[k]}"
        for k in kinds
        if f"{k}_missing" in mistake.numbers
    ]
    return " + ".join(found)


def _hint(numbers: Mapping[str, float | str]) -> str:
    error, cosine = float(numbers.get("relative_error", 1.0)), float(numbers.get("cosine", 0.0))
    if numbers.get("ratio") == 0.0 == cosine:
        return " They are zero everywhere: were they ever written?"
    if error < 1e-3:
        return " They are almost right: finite differences, or arithmetic of lower precision, would look like this."
    return ""


def _compare(case: Case) -> str:
    """Where to look on, for what nothing explains: at delta only where no array proves it right."""
    array, layer = case.mistake.array, case.mistake.layer
    if array and layer not in case.passes.dense:
        return f"Look at the line that makes {array}."
    if array:
        return f"delta of layer {layer} is right, as its other gradient proves: look at the line that makes {array}."
    return f"Compare delta of layer {layer} with the one that backlit.explain shows."


# ── the line that would be right ───────────────────────────────────────────────────────────────────────────


def right_line(case: Case) -> str:
    """The line of NumPy that would be right, with the learner's own shapes, under the names of `export_numpy`."""
    mistake, net = case.mistake, case.net
    index = mistake.layer if mistake.layer in case.passes.dense else mistake.shows
    cure = CATALOGUE[mistake.name].cure
    if mistake.name in ("missing_slope", "slope_at_activation") or cure in (
        "delta",
        "output",
        "mean",
        "both",
        "weight",
        "bias",
    ):
        index = mistake.shows
    if mistake.array:
        cure = "bias" if mistake.array.endswith(".bias") else ("penalty" if cure == "penalty" else "weight")
    if mistake.name == "transposed" and mistake.array:
        cure = "weight"
    if mistake.array and mistake.shows not in case.passes.dense:
        return f"see the lines of layer {mistake.shows} in what backlit.export_numpy writes"
    if index not in case.passes.dense:  # a Dropout: the layer that takes what it gives
        index = min(i for i in case.passes.dense if i > index)
    n = case.passes.n
    lines = _lines(case, index, n)
    if cure == "output" and index != max(case.passes.dense):
        cure = "delta"
    if cure in ("loss", "update"):
        return _end_line(case, cure)
    if cure == "dropout":
        i = mistake.layer
        same = "the same mask, 0 or 1/(1 - rate)"
        return f"a{i + 1} = a{i} * mask;  da{i} = da{i + 1} * mask   # {same}"
    if cure == "step":
        cure = "weight"
    if cure == "penalty":
        l1, l2 = net.l1, net.l2
        terms = [f"{l2} * W{index}"] * bool(l2) + [f"{l1} * np.sign(W{index})"] * bool(l1)
        return f"{lines['weight'].split('   #')[0]}{''.join(' + ' + t for t in terms)}   # no penalty on b{index}"
    wanted = {"mean": ("weight", "bias"), "both": ("weight", "bias")}.get(cure, (cure,))
    return ";  ".join(lines[key] for key in wanted if key in lines)


def _lines(case: Case, index: int, n: int) -> dict[str, str]:
    layer: Dense = case.passes.dense[index]
    inputs, units = layer.weight.shape
    net = case.net
    top = index == max(case.passes.dense)
    try:
        text = layer.script(index, below=True, given_delta=True)
        made = layer.activation.script
        value = made.delta.format(z=f"z{index}", a=f"a{index + 1}", da=f"da{index + 1}") if made is not None else ""
        forward = ";  ".join(line for line, _ in text.forward)
    except ConfigurationError:  # a function of the user's own has no text
        value, forward = f"da{index + 1} * slope(z{index})", f"z{index} = a{index} @ W{index} + b{index}"
    found = {
        "forward": f"{forward}   # ({n}, {units})",
        "delta": f"delta{index} = {value}   # ({n}, {units})",
        "down": f"da{index} = delta{index} @ W{index}.T   # ({n}, {units}) ({units}, {inputs}) = ({n}, {inputs})",
        "weight": f"dW{index} = a{index}.T @ delta{index} / {n}   "
        f"# ({inputs}, {n}) ({n}, {units}) = ({inputs}, {units})",
        "output": f"delta{index} = {value}   # ({n}, {units})",
    }
    if case.given.turned:
        found["weight"] = (
            f"dW{index} = delta{index}.T @ a{index} / {n}   # ({units}, {n}) ({n}, {inputs}) = ({units}, {inputs})"
        )
        found["down"] = f"da{index} = delta{index} @ W{index}   # ({n}, {units}) ({units}, {inputs}) = ({n}, {inputs})"
    if layer.has_bias:
        found["bias"] = f"db{index} = delta{index}.sum(axis=0) / {n}   # ({n}, {units}) -> ({units},)"
    loss = net.loss_function
    if top:
        if net.paired:
            pair = loss.pairs[layer.activation.name].script
            made_of = (
                pair.gradient.format(a=f"a{index + 1}", z=f"z{index}") if pair is not None else f"a{index + 1} - Y"
            )
            found["output"] = found["delta"] = f"delta{index} = {made_of}   # ({n}, {units})"
        elif loss.script is not None:
            error = loss.script.gradient.format(a=f"a{index + 1}", z=f"z{index}")
            found["output"] = f"da{index + 1} = {error};  {found['delta']}"
    if case.passes.weight_sum != n:
        found = {key: line.replace(f" / {n} ", " / weights.sum() ") for key, line in found.items()}
    return found


def _end_line(case: Case, cure: str) -> str:
    """The line of the loss, or of the step."""
    net, top = case.net, max(case.passes.dense)
    if cure == "update":
        return "theta -= rate * g, with momentum, means and decay as the optimiser's docstring has them"
    loss = net.loss_function
    text = loss.pairs[net.output_layer.activation.name].script if net.paired else loss.script
    rows = ";  ".join(text.rows).format(a=f"a{top + 1}", z=f"z{top}") if text is not None else "rows = loss(a, Y)"
    return f"{rows};  loss = rows.sum() / {case.passes.n}{' + penalty' if net.l1 or net.l2 else ''}"
