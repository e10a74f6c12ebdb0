"""Each mistake in words: what was done, what should stand there, what to change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

from ...kinds import Dense
from ...network import Network
from ...pages import count, number
from .mistakes import Mistake


@final
@dataclass(frozen=True)
class Case:
    """A mistake and what has to be known to speak of it.

    Attributes
    ----------
    net : Network
    mistake : Mistake
    layer : int or None
        Where it is reported; None is the whole network.
    rows : int
        n.
    weight_sum : float
        By which a sum over the rows has to be divided: n, or the sum of the sample weights.
    """

    net: Network
    mistake: Mistake
    layer: int | None
    rows: int
    weight_sum: float

    @property
    def m(self) -> str:
        if self.weight_sum == self.rows:
            return f"the {count(self.rows, 'row')}"
        return f"the sum of the sample weights, {number(self.weight_sum)}"

    @property
    def activation(self) -> str:
        found = None if self.layer is None else self.net.layers[self.layer]
        return found.activation.name if isinstance(found, Dense) else "the activation"

    @property
    def gradients(self) -> str:
        """Which gradients of the layer."""
        kinds = {"biases": "bias gradients", "weights": "weight gradients"}
        return kinds.get(self.text("where"), "gradients")

    @property
    def dense(self) -> list[int]:
        return [i for i, layer in enumerate(self.net.layers) if isinstance(layer, Dense)]

    def text(self, name: str) -> str:
        return str(self.mistake.numbers.get(name, ""))

    def measured(self, name: str, digits: int = 6) -> str:
        return number(float(self.mistake.numbers[name]), digits)


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
    return _WORDS[case.mistake.name](case)


def _bias_not_averaged(case: Case) -> str:
    whose = "Every bias gradient" if case.layer is None else f"The bias gradient of layer {case.layer}"
    return (
        f"{whose} is Σ_rows delta, a sum over the batch, where the loss is a mean and so are the weight gradients. "
        f"It should be dL/db = Σ_rows delta / m with m {case.m}: divide the bias gradient too."
    )


def _sum_not_mean(case: Case) -> str:
    if case.layer is None:
        whose = "Every gradient is"
    elif case.mistake.onward:
        whose = f"The gradients of layer {case.layer} and of all layers below it are"
    else:
        whose = f"The {case.gradients} of layer {case.layer} are"
    return (
        f"{whose} summed over the batch, m times too large with m {case.m}, where the loss is the mean. "
        "It should be dL/dW = a_inᵀ delta / m and dL/db = Σ_rows delta / m: divide by m, once."
    )


def _extra_batch_division(case: Case) -> str:
    if not case.mistake.onward:
        done = f"The {case.gradients} of layer {case.layer} were divided twice by m, {case.m}."
    elif case.layer == case.dense[0]:
        done = f"The gradients of layer {case.layer} were divided twice by m, {case.m}."
    else:
        done = (
            f"delta of layer {case.layer} was divided by m, {case.m}, and then its gradients once more; "
            "every layer below inherits that delta."
        )
    return f"{done} Leave delta for each row by itself and divide once, at the end: dL/dW = a_inᵀ delta / m."


def _missing_slope(case: Case) -> str:
    if "smallest_slope" in case.mistake.numbers:
        low, high = case.measured("smallest_slope", 3), case.measured("largest_slope", 3)
        slope = f"the slope of {case.activation} at z, here from {low} to {high}"
    else:
        slope = f"the Jacobian of {case.activation}, whose units depend on each other"
    return (
        f"f′(z) is missing from delta of layer {case.layer}: it is dL/da, where the chain rule asks for "
        f"delta = dL/da ⊙ f′(z). Multiply by {slope}."
    )


def _slope_at_activation(case: Case) -> str:
    formula = {"sigmoid": "a (1 − a)", "tanh": "1 − a²"}.get(case.activation)
    hint = f" (A formula in a, such as {formula}, is the slope at z already: do not apply it twice.)" if formula else ""
    return (
        f"In layer {case.layer} the slope of {case.activation} was taken at the activation a instead of the "
        f"pre-activation z. It should be delta = dL/da ⊙ f′(z): hand z to f′.{hint}"
    )


def _preactivation(case: Case) -> str:
    return (
        f"The weight gradient of layer {case.layer} was made with z of layer {case.text('z_of_layer')} where its "
        f"activation a = f(z) belongs. It should be dL/dW = a_inᵀ delta / m, with a_in what layer {case.layer} was "
        "given in the forward pass."
    )


def _updated_weights(case: Case) -> str:
    of_layer = "" if case.layer is None else f" of layer {case.layer}"
    step = f", by a step of learning rate {case.measured('learning_rate', 4)}," if case.text("learning_rate") else ""
    return (
        f"The weights{of_layer} were updated{step} before the error had passed back through them. In dL/da_in = delta "
        "Wᵀ, W must be that of the forward pass: compute all gradients first, then update."
    )


def _sign_flipped(case: Case) -> str:
    at_output = "at the output it should be delta = dL/da ⊙ f′(z) with dL/da from a − y, not y − a"
    if case.layer is None:
        return f"Every gradient has the wrong sign, so that descent climbs: {at_output}."
    if not case.mistake.onward:
        return (
            f"The {case.gradients} of layer {case.layer} have the wrong sign: descent climbs there. Take the minus off."
        )
    remedy = at_output if case.layer == case.dense[-1] else "it should be delta = (delta Wᵀ of the layer above) ⊙ f′(z)"
    below = ", and so has every gradient below it" if case.layer != case.dense[0] else ""
    return f"delta of layer {case.layer} has the wrong sign{below}: {remedy}."


def _transposed(case: Case) -> str:
    if case.mistake.onward:
        return (
            f"On the way back through layer {case.layer} the weights were not transposed: delta W, which only fits "
            "because W is square. It should be dL/da_in = delta Wᵀ."
        )
    return (
        f"The weight gradient of layer {case.layer} is transposed: deltaᵀ a_in, of shape (units, inputs). Weights are "
        "(inputs, units) here, so it should be dL/dW = a_inᵀ delta / m: give its transpose."
    )


def _softmax_over_batch(case: Case) -> str:
    low, high = case.measured("smallest_row_sum_of_a", 3), case.measured("largest_row_sum_of_a", 3)
    return (
        f"The softmax of layer {case.layer} was normalised over the rows of the batch instead of its units: the "
        f"outputs of one row then add up to {low} … {high} instead of 1. It should be a_k = e^(z_k) / Σ_j e^(z_j), the "
        "sum over the units of one row (axis=1, keepdims=True)."
    )


def _missing_penalty(case: Case) -> str:
    whose = "every weight gradient" if case.layer is None else f"the weight gradient of layer {case.layer}"
    kinds = case.text("penalty").split(" and ")
    terms = {"l1": "sign(W)", "l2": "W"}
    missing = " + ".join(f"{case.measured(f'{kind}_expected')} {terms[kind]}" for kind in kinds)
    return (
        f"The {' and '.join(kinds)} penalty is missing from {whose}: right minus given is {missing}. "
        f"It should be dL/dW = a_inᵀ delta / m + {missing}; biases have no penalty."
    )


def _stale(case: Case) -> str:
    whose = "All gradients are" if case.layer is None else f"The {case.gradients} of layer {case.layer} are"
    return (
        f"{whose} those of the step before, number for number. Every step has to write them anew: look whether the "
        "assignment is skipped, or goes to a copy."
    )


def _dropout_mask(case: Case) -> str:
    if case.mistake.onward:
        return (
            f"The error passed back through the Dropout of layer {case.layer} without the mask of the forward pass. "
            "As a = a_in ⊙ mask, it should be dL/da_in = dL/da ⊙ mask, with the same mask: keep it for the way back."
        )
    return (
        f"The weight gradient of layer {case.mistake.shows} was made with the activation before the Dropout of layer "
        f"{case.layer}. It should be dL/dW = a_inᵀ delta / m with a_in = a ⊙ mask, what the layer was given."
    )


def _swapped(case: Case) -> str:
    axis = case.text("axis")
    if case.text("moved") == "2":
        which = f"{case.text('first')} and {case.text('second')}"
        done = f"The gradients of {axis} {which} of layer {case.layer} are exchanged"
    else:
        which = f"{case.text('first')} has those of {case.text('second')}"
        done = (
            f"The gradients of {case.text('moved')} {axis} of layer {case.layer} stand in each other's place ({which})"
        )
    right = (
        "column j of dL/dW and number j of dL/db belong to unit j"
        if axis == "units"
        else "row i of dL/dW belongs to input i"
    )
    return f"{done}: the numbers are right, their places wrong. It should be so that {right}."


def _unknown(case: Case) -> str:
    numbers = case.mistake.numbers
    below = " and of the layers below it" if case.text("layers_below_too") else ""
    error, cosine = float(numbers["relative_error"]), float(numbers["cosine"])
    hint = ""
    if numbers["ratio"] == 0.0 == cosine:
        hint = " They are zero everywhere: were they ever written?"
    elif 1.0 - cosine**2 < 1e-4 * error**2 and cosine > 0.0:
        hint = (
            f" They are {case.measured('ratio')} times the right ones: look for a constant factor, in the loss perhaps."
        )
    elif error < 1e-3:
        hint = " They are almost right: finite differences, or arithmetic of lower precision, would look like this."
    return (
        f"The gradients of layer {case.layer}{below} are wrong in a way that no known mistake explains.{hint} "
        f"Compare delta of layer {case.layer} with the one that backlit.explain shows."
    )


_WORDS: Final[dict[str, Callable[[Case], str]]] = {
    "bias_not_averaged": _bias_not_averaged,
    "sum_not_mean": _sum_not_mean,
    "extra_batch_division": _extra_batch_division,
    "missing_slope": _missing_slope,
    "slope_at_activation": _slope_at_activation,
    "preactivation_for_activation": _preactivation,
    "updated_weights_in_backward": _updated_weights,
    "sign_flipped": _sign_flipped,
    "transposed": _transposed,
    "softmax_over_batch": _softmax_over_batch,
    "missing_penalty": _missing_penalty,
    "stale_gradient": _stale,
    "dropout_mask_missing": _dropout_mask,
    "swapped_units": _swapped,
    "unknown": _unknown,
}

#: Every name a finding can have.
NAMES: Final = tuple(_WORDS)
