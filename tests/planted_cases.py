"""Random networks and batches, and where each mistake may be planted in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tests.planting import SLOPE, Handmade

from backlit import Dense, Dropout, Network

HIDDEN = [name for name in SLOPE if name not in ("identity", "exp")]
OUTPUTS = [
    ("softmax", "cross_entropy"), ("sigmoid", "cross_entropy"), ("identity", "squared_error"),
    ("tanh", "mean_squared_error"), ("sigmoid", "squared_error"), ("softmax", "squared_error"), ("identity", "huber"),
    ("elu", "huber"), ("identity", "log_cosh"), ("softplus", "squared_error"), ("identity", "quantile"),
]  # fmt: skip


def draw(rng: np.random.Generator, *, output: Any = None, depth: int | None = None, **want: Any) -> Handmade:
    """A random network with a random batch."""
    depth = depth or int(rng.integers(want.get("least", 1), 6))
    last, loss = output or OUTPUTS[rng.integers(len(OUTPUTS))]
    widths = rng.integers(2, 9, depth)
    inputs = int(rng.integers(2, 9))
    if want.get("square"):
        inputs = max(inputs, 3)
        widths[:] = inputs
    if last == "softmax":
        widths[-1] = max(widths[-1], want.get("outputs", 3))
    widths[-1] = max(widths[-1], want.get("outputs", 2))
    chain: list[Any] = []
    for k, units in enumerate(widths):
        name = last if k == depth - 1 else HIDDEN[rng.integers(len(HIDDEN))]
        chain.append(Dense(int(units), name, bias=bool(rng.random() < 0.9 or want.get("bias", True))))
        if k < depth - 1 and rng.random() < (0.8 if want.get("dropout") else 0.12):
            chain.append(Dropout(float(rng.uniform(0.1, 0.6))))
    penalty = want.get("penalty", rng.random() < 0.25)
    kinds = [(1, 0), (0, 1), (1, 1)][rng.integers(3)] if penalty is not True else [(0, 1), (1, 1)][rng.integers(2)]
    l1, l2 = (float(10 ** rng.uniform(-3, -1)) * kind * bool(penalty) for kind in kinds)
    net = Network(chain, inputs=inputs, loss=loss, l1=l1, l2=l2, dtype="float64", seed=int(rng.integers(2**31)))
    net.parameters.values[:] += rng.normal(scale=0.3, size=net.parameters.size)
    n = int(rng.integers(want.get("rows", 2), 65))
    if want.get("factor"):
        n = int(rng.choice([r for r in range(5, 65) if r not in (widths[-1], 2 * widths[-1], 8, 16)]))
    if want.get("rows_as_units"):
        n = int(widths[want["rows_as_units"] - 1])
    X = rng.normal(size=(n, inputs))
    if last == "softmax":
        Y = np.eye(net.outputs)[rng.integers(net.outputs, size=n)]
    elif loss == "cross_entropy":
        Y = rng.integers(2, size=(n, net.outputs)).astype(float)
    else:
        Y = rng.normal(size=(n, net.outputs))
    weight = (
        rng.uniform(0.2, 3.0, n) if want.get("weighted") or (rng.random() < 0.2 and not want.get("plain")) else None
    )
    dropped = any(isinstance(layer, Dropout) for layer in net.layers)
    step = int(rng.integers(100)) if dropped and (want.get("dropout") or rng.random() < 0.7) else None
    return Handmade(net, X, Y, weight, step)


def flat(net: Network, gradients: dict[str, Any]) -> Any:
    return np.concatenate([gradients[name].ravel() for name in net.parameters.names])


def earlier(case: Handmade) -> dict[str, Any]:
    """The gradients of a step before: from other parameters."""
    before = Handmade(case.net.astype("float64"), case.X, case.Y, case.weight, case.step)
    noise = np.random.default_rng(case.net.seed).normal(0.0, 0.05, case.net.parameters.size)
    before.net.parameters.values[:] += noise
    return before.gradients()


# ── where each mistake may be ──────────────────────────────────────────────────────────────────────────────

Pick = Callable[[Handmade, np.random.Generator], list[tuple[int | None, Any]]]


def at_top(*details: Any) -> Pick:
    return lambda case, rng: [(case.depth - 1, details[rng.integers(len(details))] if details else None)]


def somewhere(case: Handmade, rng: np.random.Generator) -> list[tuple[int | None, Any]]:
    return [(k, None) for k in range(case.depth)]


def above_first(case: Handmade, rng: np.random.Generator) -> list[tuple[int | None, Any]]:
    return [(k, None) for k in range(1, case.depth)]


def sloped(case: Handmade, rng: np.random.Generator) -> list[tuple[int | None, Any]]:
    paired = case.net.loss_function.name == "cross_entropy"
    return [(k, None) for k in range(case.depth - paired) if case.names[k] not in ("identity", "softmax")]


def smooth(case: Handmade, rng: np.random.Generator) -> list[tuple[int | None, Any]]:
    return [(k, d) for k, d in sloped(case, rng) if case.names[k] not in ("relu", "leaky_relu")]


def another_slope(case: Handmade, rng: np.random.Generator) -> list[tuple[int | None, Any]]:
    # softplus has sigmoid for its slope: on a sigmoid unit that is `activation_for_slope`
    others = ["sigmoid", "tanh", "relu", "leaky_relu"]
    return [(k, rng.choice([o for o in others if o != case.names[k]])) for k, _ in sloped(case, rng)]


def another_layer(case: Handmade, rng: np.random.Generator) -> list[tuple[int | None, Any]]:
    return [(k, j) for k in range(case.depth - 1) for j in range(case.depth - 1)
            if j != k and case.names[j] not in (case.names[k], "identity")]  # fmt: skip


def another_weight(case: Handmade, rng: np.random.Generator) -> list[tuple[int | None, Any]]:
    # what the layer above took is what this one gave: that has a name of its own
    return [(k, j) for k in range(1, case.depth) for j in range(case.depth) if j not in (k, k + 1)]


def not_square(case: Handmade, rng: np.random.Generator) -> list[tuple[int | None, Any]]:
    W, _ = case.parameters()
    return [(k, None) for k in range(1, case.depth) if W[k].shape[0] != W[k].shape[1]]


def another_f(case: Handmade, rng: np.random.Generator) -> list[tuple[int | None, Any]]:
    found: list[tuple[int | None, Any]] = []
    for k in range(case.depth - 1):
        others = [name for name in ("sigmoid", "tanh", "relu") if name != case.names[k]]
        found.append((k, str(rng.choice(others))))
    return found


def dropped(case: Handmade, rng: np.random.Generator) -> list[tuple[int | None, Any]]:
    return [(k, None) for k in case.masks()]


def everywhere(*details: Any) -> Pick:
    return lambda case, rng: [(None, details[rng.integers(len(details))] if details else None)]


def with_slope(case: Handmade, rng: np.random.Generator) -> list[tuple[int | None, Any]]:
    """Below a layer whose slope is never zero, so that it can have been left out."""
    top = case.depth - 1
    return [(k, None) for k in range(1, top) if case.names[k] in ("sigmoid", "tanh", "softplus")]


def swapped(case: Handmade, rng: np.random.Generator) -> list[tuple[int | None, Any]]:
    found = []
    for k, i in enumerate(case.dense):
        layer: Any = case.net.layers[i]
        if layer.units > 2:
            order = np.arange(layer.units)
            order[[0, 1]] = 1, 0
            found.append((k, order))
    return found


CE = ("softmax", "cross_entropy")
SIGMOID_CE = ("sigmoid", "cross_entropy")
SQUARE = ("identity", "squared_error")
SOFTMAX_SE = ("softmax", "squared_error")


def shifted(case: Handmade, rng: np.random.Generator) -> list[tuple[int | None, Any]]:
    return [(case.depth - 1, int(rng.choice([1, -1])))]


#: bug: (the name it should get, where it may be, what the network needs).
BUGS: dict[str, tuple[str, Pick, dict[str, Any]]] = {
    "sign_flipped": ("sign_flipped", at_top(), {}),
    "sign_of_layer": ("sign_flipped", somewhere, {"least": 2}),
    "missing_slope": ("missing_slope", sloped, {"least": 2}),
    "slope_with_pair": ("slope_with_pair", at_top(), {"output": [CE, SIGMOID_CE]}),
    "softmax_elementwise_slope": ("softmax_elementwise_slope", at_top(), {"output": [CE, SOFTMAX_SE]}),
    "sign_of_error": ("sign_of_error", at_top(), {"output": [CE, SIGMOID_CE, SQUARE]}),
    "other_loss": ("other_loss", at_top("log_cosh", "quantile"), {"output": [SQUARE, ("tanh", "mean_squared_error")]}),
    "cross_entropy_term_sign": ("cross_entropy_term_sign", at_top(), {"output": [SIGMOID_CE]}),
    "cross_entropy_term_missing": ("cross_entropy_term_missing", at_top(1, 2), {"output": [SIGMOID_CE]}),
    "targets_shifted": ("targets_shifted", shifted, {"outputs": 3, "rows": 6}),
    "targets_permuted": ("targets_permuted", at_top([1, 0, 2], [2, 1, 0]), {"exact_outputs": 3, "rows": 6}),
    "targets_of_other_rows": ("targets_of_other_rows", at_top("reverse", 1, -1), {"rows": 6}),
    "targets_left_out": ("targets_left_out", at_top(), {}),
    "targets_inverted": ("targets_inverted", at_top(), {"output": [SIGMOID_CE]}),
    "targets_plus_minus_one": ("targets_plus_minus_one", at_top(), {"output": [CE, SIGMOID_CE]}),
    "sum_not_mean": ("sum_not_mean", everywhere(), {"factor": True}),
    "bias_not_averaged": ("bias_not_averaged", somewhere, {"factor": True}),
    "divided_early": ("extra_batch_division", somewhere, {"factor": True}),
    "loss_factor": ("loss_factor", everywhere(2.0, 0.5), {"factor": True, "outputs": 5}),
    "outputs_averaged": ("outputs_averaged", everywhere("k"), {"factor": True, "outputs": 3}),
    "learning_rate_inside": ("learning_rate_inside", everywhere(0.1, 0.03, -0.01), {"factor": True}),
    "logarithm_base": ("logarithm_base", everywhere(1 / np.log(2)), {"factor": True}),
    "constant_factor": ("constant_factor", everywhere(0.3712, 5.318), {"factor": True}),
    "accumulated_gradient": ("accumulated_gradient", everywhere(3.0, 4.0), {"factor": True, "outputs": 9}),
    "one_array_doubled": ("loss_factor", somewhere, {"factor": True, "outputs": 5}),
    "gradient_normalised": ("gradient_normalised", everywhere(), {"factor": True}),
    "only_last_row": ("only_last_row", everywhere(), {"rows": 5}),
    "only_first_row": ("only_first_row", everywhere(), {"rows": 5}),
    "delta_averaged_first": ("delta_averaged_first", at_top(), {"rows": 3, "least": 2, "plain": True}),
    "sample_weight_ignored": ("sample_weight_ignored", at_top(), {"weighted": True}),
    "slope_at_activation": ("slope_at_activation", smooth, {"least": 2}),
    "slope_twice": ("slope_twice", smooth, {"least": 2}),
    "slope_of_another": ("slope_of_another", another_slope, {"least": 2}),
    "slope_of_another_layer": ("slope_of_another_layer", another_layer, {"least": 3, "square": True}),
    "activation_for_slope": ("activation_for_slope", sloped, {"least": 2}),
    "preactivation_for_slope": ("preactivation_for_slope", sloped, {"least": 2}),
    "slope_one_factor": ("slope_one_factor", sloped, {"least": 2}),
    "divided_by_slope": ("divided_by_slope", with_slope, {"least": 3}),
    "slope_lost_below": ("slope_lost_below", with_slope, {"least": 3}),
    "slope_twice_below": ("slope_twice_below", with_slope, {"least": 3}),
    "transposed_on_the_way": ("transposed", above_first, {"least": 2, "square": True}),
    "transposed": ("transposed", somewhere, {"least": 3, "least_inputs": 2}),
    "reshaped_weight": ("reshaped_weight", not_square, {"least": 2}),
    "weight_of_another_layer": ("weight_of_another_layer", another_weight, {"least": 2, "square": True}),
    "weight_left_out": ("weight_left_out", above_first, {"least": 2}),
    "weight_without_sign": ("weight_without_sign", above_first, {"least": 2}),
    "value_for_delta": ("value_for_delta", above_first, {"least": 2}),
    "updated_weights_in_backward": ("updated_weights_in_backward", above_first, {"least": 2, "rate": True}),
    "dropout_mask_missing": ("dropout_mask_missing", dropped, {"least": 2, "dropout": True}),
    "dropout_mask_unscaled": ("dropout_mask_unscaled", dropped, {"least": 2, "dropout": True}),
    "left_unmasked": ("dropout_mask_missing", dropped, {"least": 2, "dropout": True}),
    "preactivation_for_activation": ("preactivation_for_activation", above_first, {"least": 2}),
    "output_for_input": ("output_for_input", somewhere, {"square": True}),
    "input_of_another_layer": ("input_of_another_layer", another_weight, {"least": 2, "square": True}),
    "ones_for_input": ("ones_for_input", somewhere, {}),
    "weight_for_input": ("weight_for_input", somewhere, {}),
    "input_squared": ("input_squared", somewhere, {}),
    "input_of_other_rows": ("input_of_other_rows", somewhere, {"rows": 3}),
    "means_multiplied": ("means_multiplied", somewhere, {"rows": 3, "plain": True}),
    "bias_zero": ("bias_zero", somewhere, {}),
    "gradient_zero": ("gradient_zero", somewhere, {}),
    "bias_scalar": ("bias_scalar", somewhere, {}),
    "bias_unsummed": ("bias_unsummed", somewhere, {}),
    "bias_first_row": ("bias_first_row", somewhere, {"rows": 3}),
    "bias_last_row": ("bias_last_row", somewhere, {"rows": 3}),
    "bias_over_wrong_axis": ("bias_over_wrong_axis", somewhere, {"rows": 10}),
    "bias_times_input": ("bias_times_input", somewhere, {}),
    "bias_times_itself": ("bias_times_itself", somewhere, {}),
    "penalty_on_bias": ("penalty_on_bias", somewhere, {"penalty": True}),
    "missing_penalty": ("missing_penalty", everywhere(), {"penalty": True}),
    "penalty_factor": ("penalty_factor", everywhere(2.0, 0.5, -1.0), {"penalty": True}),
    "penalty_unasked": ("penalty_unasked", everywhere(0.01, 0.1), {"penalty": False}),
    "stale_gradient": ("stale_gradient", everywhere("before"), {}),
    "accumulated_previous": ("accumulated_gradient", everywhere("before"), {}),
    "momentum_inside": ("momentum_inside", everywhere("mixed"), {}),
    "swapped_units": ("swapped_units", swapped, {"outputs": 3, "rows": 4}),
    "gradient_of_another_layer": ("gradient_of_another_layer", another_weight, {"least": 2, "square": True}),
    "absolute_value": ("absolute_value", somewhere, {}),
    "clipped": ("clipped", everywhere(0.4), {}),
    "softmax_over_batch": ("softmax_over_batch", at_top("rows"), {"output": [CE], "rows": 3}),
    "softmax_over_everything": ("softmax_over_everything", at_top("all"), {"output": [CE], "rows": 2}),
    "forward_activation": ("forward_activation", another_f, {"least": 2}),
    "forward_without_bias": ("forward_without_bias", somewhere, {}),
    "forward_transposed": ("forward_transposed", somewhere, {"square": True}),
    "forward_mask_unscaled": ("forward_mask_unscaled", dropped, {"least": 2, "dropout": True}),
}  # fmt: skip


def plant(rng: np.random.Generator, bug: str, within: Handmade | None = None, taken: Any = ()) -> Handmade:
    """A case with one more bug, which can be seen."""
    _, pick, want = BUGS[bug]
    while True:
        settings = dict(want)
        outputs = settings.pop("output", None)
        output = outputs[rng.integers(len(outputs))] if outputs else None
        case = within or draw(rng, output=output, **settings)
        if within is None and settings.get("exact_outputs", case.net.outputs) != case.net.outputs:
            continue
        if bug == "targets_inverted":
            case.Y = rng.integers(2, size=case.Y.shape).astype(float)
        places = [place for place in pick(case, rng) if place[0] not in taken]
        if not places:
            if within is not None:
                return None
            continue
        layer, detail = places[rng.integers(len(places))]
        name = bug
        if isinstance(detail, str) and detail == "k":
            name, detail = "factor", 1.0 / case.net.outputs
        elif isinstance(detail, str) and detail == "before":
            detail = earlier(case)
        elif isinstance(detail, str) and detail == "mixed":
            detail = (0.9, earlier(case))
        elif bug in (
            "loss_factor",
            "logarithm_base",
            "constant_factor",
            "accumulated_gradient",
            "learning_rate_inside",
        ):
            name = "factor"
        elif bug == "one_array_doubled":
            name, detail = "factor_of_weight", 2.0
        elif bug == "updated_weights_in_backward":
            detail = float(10 ** rng.uniform(-2, 0))
        elif bug == "softmax_over_batch" or bug == "softmax_over_everything":
            name = "softmax_axis"
        made = Handmade(case.net, case.X, case.Y, case.weight, case.step, [*case.bugs, (name, layer, detail)])
        with np.errstate(all="ignore"):
            visible = differs(case.gradients(), made.gradients())
        if visible:
            made.expected = {*getattr(case, "expected", ()), (BUGS[bug][0], place_of(made, bug, layer))}
            return made
        if within is not None:
            return None


def place_of(case: Handmade, bug: str, layer: int | None) -> int | None:
    """The layer that ought to be named, in the network's own list."""
    if layer is None:
        return None
    index = case.dense[layer]
    return (
        index - 1
        if bug in ("dropout_mask_missing", "dropout_mask_unscaled", "left_unmasked", "forward_mask_unscaled")
        else index
    )


def differs(right: dict[str, Any], wrong: dict[str, Any]) -> bool:
    """Whether some array that matters is changed by more than a thousandth, and all are finite."""
    if not all(np.isfinite(g).all() and abs(g).max() < 1e6 for g in wrong.values()):
        return False
    largest = max(np.linalg.norm(g) for g in right.values())
    return any(
        g.shape != right[name].shape
        or (np.linalg.norm(g - right[name]) > 1e-3 * np.linalg.norm(right[name]) > 1e-6 * largest)
        for name, g in wrong.items()
    )
