"""Every named mistake: what was done, how training shows it, the line that makes it. `docs/mistakes.md` is made of this.

In `done`, {where} is the place, {which} the gradients that it is in, {m} the number of rows, {f} the activation; what was
measured stands under its own name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, final

#: What is to be mended: the line of the pass that would be right.
Cure = Literal[
    "output",
    "delta",
    "down",
    "weight",
    "bias",
    "both",
    "forward",
    "penalty",
    "mean",
    "step",
    "dropout",
    "loss",
    "update",
]


@final
@dataclass(frozen=True)
class Named:
    """One mistake of the catalogue.

    Attributes
    ----------
    name : str
    cure : str
        Which line of the pass is to be mended.
    done : str
        What was done, a sentence.
    symptom : str
        What training shows of it.
    wrong : str
        The line of NumPy as people write it.
    """

    name: str
    cure: Cure
    done: str
    symptom: str
    wrong: str


_SLOWER: Final = (
    "Learning goes on, but slower or faster than the learning rate says; other batch sizes need other rates."
)
_WRONG_WAY: Final = "The loss rises from the first step."
_STUCK: Final = "The loss falls a little and stays."
_LOWER: Final = "The layers below learn slowly or not at all; a deeper network is no better than a shallow one."
_QUIET: Final = "It learns, only worse than it could: nothing but a comparison shows it."

_OUTPUT: Final = (
    Named("sign_flipped", "output", "{which_s} the wrong sign, so that descent climbs: the error is a − y, not y − a.",
          _WRONG_WAY, "delta = y - a"),
    Named("missing_slope", "delta", "f′(z) is missing from delta of {where}: that is dL/da, where the chain rule asks for "
          "delta = dL/da ⊙ f′(z), the slope of {f}.", _QUIET, "delta = da"),
    Named("slope_with_pair", "output", "The error of {where} was multiplied by the slope of {f}, which this loss has cancelled "
          "already: delta is a − y alone. That is squared error's delta.",
          "Units that are sure and wrong hardly learn.", "delta = (a - y) * a * (1 - a)"),
    Named("softmax_elementwise_slope", "output", "In {where} softmax got the elementwise slope a (1 − a). Its units depend on "
          "each other: what is left out are the other columns of the Jacobian.", _STUCK, "delta = (a - y) * a * (1 - a)"),
    Named("sign_of_error", "output", "delta of {where} was made of sign(a − y) instead of a − y: the gradient of the absolute "
          "error.", "The loss jumps about near its end.", "delta = np.sign(a - y)"),
    Named("other_loss", "output", "delta of {where} is that of another loss: {loss}.", _QUIET, "delta = 2 * (a - y) / k"),
    Named("cross_entropy_term_sign", "output", "One term of the cross entropy −y log a − (1 − y) log(1 − a) has the wrong sign "
          "in delta of {where}.", "All outputs run to 0 or to 1.", "da = -y / a - (1 - y) / (1 - a)"),
    Named("cross_entropy_term_missing", "output", "One term of the cross entropy −y log a − (1 − y) log(1 − a) was left out of "
          "delta of {where}.", "All outputs run to 0, or all to 1.", "da = -y / a"),
    Named("targets_shifted", "output", "The targets of {where} are one column off ({shift}): class k was taken for its "
          "neighbour.", "The loss falls, the accuracy stays near 0.", "Y = np.eye(k)[labels - 1]"),
    Named("targets_permuted", "output", "The targets' columns stand in another order in {where}: {order}.",
          "The loss falls, the accuracy does not rise.", "Y = Y[:, order]"),
    Named("targets_of_other_rows", "output", "The targets are not those of these rows: they stand {order}. X was shuffled, "
          "and y was not.", "The loss ends at what guessing gives.", "X = X[rng.permutation(n)]"),
    Named("targets_left_out", "output", "The targets are missing from delta of {where}: it is that of y = 0.",
          "All outputs run to zero.", "delta = a"),
    Named("targets_inverted", "output", "delta of {where} was made with 1 − y for y.", "The accuracy falls below chance.",
          "delta = a - (1 - y)"),
    Named("targets_plus_minus_one", "output", "delta of {where} was made with targets of −1 and 1 for those of 0 and 1.",
          _STUCK, "delta = a - (2 * y - 1)"),
)  # fmt: skip

_FACTORS: Final = (
    Named("sum_not_mean", "mean", "{which_v} summed over the batch, {m} times too large, where the loss is a mean: divide "
          "by m once.", "Only tiny learning rates work; larger batches diverge.", "dW = a.T @ delta"),
    Named("bias_not_averaged", "bias", "{which_v} Σ_rows delta, a sum over {m}, where the weights' gradients are means: it is "
          "Σ_rows delta / m.", "Biases run away.", "db = delta.sum(axis=0)"),
    Named("extra_batch_division", "mean", "{which_v} divided by {m} once too often: leave delta of each row by itself, and "
          "divide once, at the end.", "Hardly any learning.", "delta = (a - y) / n;  dW = a_in.T @ delta / n"),
    Named("loss_factor", "output", "{which_v} {ratio} times the right ones: {read_as}. The loss and its gradient are of two "
          "different formulas.", _SLOWER, "delta = 2 * (a - y)"),
    Named("outputs_averaged", "output", "{which_v} {ratio} times the right ones: {read_as}.", _SLOWER,
          "delta = (a - y) / y.size"),
    Named("learning_rate_inside", "mean", "{which_v} multiplied by {read_as} already ({ratio}).",
          "Steps are the square of the learning rate.", "dW = rate * a.T @ delta / n"),
    Named("logarithm_base", "output", "{which_v} {ratio} times the right ones: {read_as}.", _SLOWER,
          "loss = -(y * np.log2(a)).sum()"),
    Named("dropout_scale", "dropout", "{which_v} {ratio} times the right ones: {read_as}.", _SLOWER,
          "mask = rng.random(a.shape) > rate"),
    Named("gradient_normalised", "mean", "{which_v} divided by their own length: {read_as}.",
          "Steps do not get smaller near the minimum.", "g = g / np.linalg.norm(g)"),
    Named("constant_factor", "mean", "{which_v} {ratio} times the right ones: a constant factor, in the loss perhaps.", _SLOWER,
          "dW = 0.37 * a.T @ delta / n"),
    Named("accumulated_gradient", "step", "{which_v} kept from step to step ({read_as}): set them to zero before each.",
          "Steps grow from batch to batch until the loss explodes.", "dW += a.T @ delta / n"),
    Named("only_last_row", "mean", "Only the last row of the batch is in {which_p} (divided: {divided}).",
          "The loss is noisy, whatever the batch size.", "for x, y in batch: dW = np.outer(x, delta)"),
    Named("only_first_row", "mean", "Only the first row of the batch is in {which_p} (divided: {divided}).",
          "The loss is noisy, whatever the batch size.", "dW = np.outer(X[0], delta[0])"),
    Named("delta_averaged_first", "mean", "delta of {where} was averaged over the rows before it met the inputs: the mean of "
          "products is not the product of means.", _STUCK, "delta = delta.mean(axis=0)"),
    Named("sample_weight_ignored", "output", "The sample weights are not in delta of {where}.", _QUIET, "delta = a - y"),
)  # fmt: skip

_SLOPES: Final = (
    Named("slope_at_activation", "delta", "In {where} the slope of {f} was taken at the activation a instead of the "
          "pre-activation z: hand z to f′. (A formula in a is the slope at z already: do not apply it twice.)", _QUIET,
          "delta = da * sigmoid_slope(a)"),
    Named("slope_twice", "delta", "The slope of {f} is in delta of {where} twice.", _LOWER,
          "delta = da * slope * slope"),
    Named("slope_of_another", "delta", "In {where} the slope is that of {used}, taken at {at}, but the activation is {f}.",
          _QUIET, "delta = da * a * (1 - a)   # a = np.tanh(z)"),
    Named("slope_of_another_layer", "delta", "delta of {where} has the slope of layer {slope_of_layer}.", _QUIET,
          "delta0 = da * (1 - a2**2)"),
    Named("activation_for_slope", "delta", "delta of {where} was multiplied by the activation a instead of the slope f′(z).",
          _QUIET, "delta = (a - y) * a"),
    Named("preactivation_for_slope", "delta", "delta of {where} was multiplied by z instead of the slope f′(z).", _STUCK,
          "delta = da * z"),
    Named("slope_one_factor", "delta", "delta of {where} was multiplied by 1 − a: half of a slope such as a (1 − a).", _QUIET,
          "delta = da * (1 - a)"),
    Named("divided_by_slope", "delta", "delta of {where} was divided by the slope f′(z) instead of multiplied.",
          "The loss explodes where units are saturated.", "delta = da / (a * (1 - a))"),
    Named("slope_lost_below", "down", "The slope of {where} is in its own gradients, but not in what it handed down.", _LOWER,
          "da_in = da @ W.T"),
    Named("slope_twice_below", "down", "What {where} handed down has its slope once more.", _LOWER,
          "da_in = (delta * slope) @ W.T"),
)  # fmt: skip

_DOWN: Final = (
    Named("transposed", "down", "W of {where} was not transposed, or its gradient is: what goes down is delta Wᵀ, and dL/dW has "
          "the shape of W.", _LOWER, "da_in = delta @ W"),
    Named("reshaped_weight", "down", "W of {where} was reshaped instead of transposed on the way back: the shape fits, the "
          "numbers stand elsewhere. It is delta Wᵀ.", _LOWER, "da_in = delta @ W.reshape(W.shape[::-1])"),
    Named("weight_of_another_layer", "down", "The error passed back through the weights of layer {weight_of_layer} instead of "
          "those of {where}.", _LOWER, "da1 = delta2 @ W1.T"),
    Named("weight_left_out", "down", "The error passed back through {where} without its weights: every unit below got the "
          "sum.", _LOWER, "da_in = delta.sum(axis=1, keepdims=True)"),
    Named("weight_without_sign", "down", "The error passed back through {where} with |W| for W.", _LOWER,
          "da_in = delta @ np.abs(W).T"),
    Named("value_for_delta", "down", "The activation of {where} was passed back in the place of its delta.", _STUCK,
          "da_in = a @ W.T"),
    Named("updated_weights_in_backward", "down", "The weights of {where} were updated{rate} before the error had passed back "
          "through them: compute all gradients first, then update.", _QUIET, "W -= rate * dW;  da_in = delta @ W.T"),
    Named("dropout_mask_missing", "dropout", "The mask of the Dropout of {where} is missing on the way back, or from what the "
          "next weights were given: keep that of the forward pass.", _QUIET, "da_in = da"),
    Named("dropout_mask_unscaled", "dropout", "On the way back the mask of {where} has not the 1/(1 − rate) of the forward "
          "pass.", _SLOWER, "da_in = da * (mask > 0)"),
)  # fmt: skip

_LEFTS: Final = (
    Named("preactivation_for_activation", "weight", "The weight gradient of {where} was made with z of layer {z_of_layer} "
          "where its activation a belongs.", _QUIET, "dW = z.T @ delta / n"),
    Named("output_for_input", "weight", "The weight gradient of {where} was made with what the layer gave, not with what it "
          "took.", _STUCK, "dW1 = a2.T @ delta1 / n"),
    Named("input_of_another_layer", "weight", "The weight gradient of {where} was made with a_{a_of_layer}, the input of "
          "another layer.", _STUCK, "dW1 = X.T @ delta1 / n"),
    Named("delta_for_input", "weight", "The weight gradient of {where} was made with delta of the layer below for its "
          "activation.", _STUCK, "dW1 = delta0.T @ delta1 / n"),
    Named("ones_for_input", "weight", "The weight gradient of {where} was made with ones for the input: every row of it is the "
          "bias's.", _STUCK, "dW = np.ones_like(a).T @ delta / n"),
    Named("weight_for_input", "weight", "The weight gradient of {where} was made with W in the place of the input.", _STUCK,
          "dW = W * delta.mean(axis=0)"),
    Named("input_not_scaled", "weight", "The weight gradient of {where} was made with the inputs before they were scaled.",
          "The first layer's steps are far too large.", "dW0 = X.T @ delta0 / n"),
    Named("input_squared", "weight", "The weight gradient of {where} was made with the squares of its inputs.", _QUIET,
          "dW = (a**2).T @ delta / n"),
    Named("input_of_other_rows", "weight", "In the weight gradient of {where} inputs and delta are of different rows: the "
          "inputs stand {order}.", _STUCK, "dW = a[::-1].T @ delta / n"),
    Named("means_multiplied", "weight", "The weight gradient of {where} is the mean input times the mean delta, where it is the "
          "mean of the products.", _STUCK, "dW = np.outer(a.mean(axis=0), delta.mean(axis=0))"),
)  # fmt: skip

_BIASES: Final = (
    Named("bias_zero", "bias", "The bias gradient of {where} is zero: was it ever written?", "Biases stay as they began.",
          "db = np.zeros_like(b)"),
    Named("gradient_zero", "weight", "{which_v} zero: were they ever written?", "The layer does not learn.",
          "dW = np.zeros_like(W)"),
    Named("bias_scalar", "bias", "The bias gradient of {where} is one number for all units: sum over the rows alone, "
          "axis=0.", "The units of a layer stay alike.", "db = delta.sum() / n"),
    Named("bias_unsummed", "bias", "The bias gradient of {where} has a row for each sample: sum it over the rows.",
          "A broadcast makes the bias a matrix.", "db = delta"),
    Named("bias_first_row", "bias", "The bias gradient of {where} is that of the first row alone.", _QUIET, "db = delta[0]"),
    Named("bias_last_row", "bias", "The bias gradient of {where} is that of the last row alone.", _QUIET, "db = delta[-1]"),
    Named("bias_over_wrong_axis", "bias", "The bias gradient of {where} was summed over the units instead of the rows.",
          "Shapes do not fit for other batch sizes.", "db = delta.sum(axis=1)"),
    Named("bias_times_input", "bias", "The bias gradient of {where} was multiplied by the input ({x}): a bias is a weight whose "
          "input is 1.", _QUIET, "db = (delta * x).sum(axis=0) / n"),
    Named("bias_times_itself", "bias", "The bias gradient of {where} was multiplied by the bias.", "Biases of 0 stay 0.",
          "db = b * delta.mean(axis=0)"),
    Named("penalty_on_bias", "penalty", "The bias gradient of {where} has a penalty, {coefficient} b: biases have none.", _QUIET,
          "db += l2 * b"),
)  # fmt: skip

_PENALTIES: Final = (
    Named("missing_penalty", "penalty", "The {penalty} penalty is missing from {which_p}: {terms} is to be added.",
          "Weights grow.", "dW = a.T @ delta / n"),
    Named("penalty_factor", "penalty", "The penalty in {which_p} is {factor} times the right one.", _QUIET,
          "dW += 2 * l2 * W"),
    Named("penalty_unasked", "penalty", "There is a penalty in {which_p}, {coefficient} W, that the network has not.",
          "Weights shrink.", "dW += 0.01 * W"),
)  # fmt: skip

_STEPS: Final = (
    Named("stale_gradient", "step", "{which_v} those of the step before, number for number: every step has to write them anew.",
          "Some layers repeat their first step.", "dW = old_dW"),
    Named("momentum_inside", "step", "{which_v} mixed with those of the step before ({momentum}): momentum belongs to the "
          "update, after the gradient.", _QUIET, "dW = 0.9 * old_dW + dW"),
    Named("swapped_units", "both", "In {which_p} the {axis} stand in each other's place ({first} has those of {second}): the "
          "numbers are right, their places wrong.", _STUCK, "dW = dW[:, order]"),
    Named("gradient_of_another_layer", "both", "{which_v} those of {gradient_of}.", _STUCK, "dW1 = dW0"),
    Named("absolute_value", "both", "{which_v} without their signs.", _WRONG_WAY, "dW = np.abs(dW)"),
    Named("clipped", "both", "{which_v} clipped at ±{at}.", _SLOWER, "dW = np.clip(dW, -c, c)"),
)  # fmt: skip

_FORWARDS: Final = (
    Named("softmax_over_batch", "forward", "The softmax of {where} was normalised over the rows of the batch instead of its "
          "units: a row of outputs then adds up to {smallest_row_sum_of_a} … {largest_row_sum_of_a} instead of 1.", _STUCK,
          "a = e / e.sum(axis=0)"),
    Named("softmax_over_everything", "forward", "The softmax of {where} was divided by the sum over the whole array: a row of "
          "outputs then adds up to {smallest_row_sum_of_a} … {largest_row_sum_of_a} instead of 1.", _STUCK,
          "a = np.exp(z) / np.exp(z).sum()"),
    Named("forward_activation", "forward", "In the forward pass {where} has {used} where it should have {f}.", _QUIET,
          "a = sigmoid(z)"),
    Named("forward_without_bias", "forward", "The forward pass leaves the bias out in {where}.", _QUIET, "z = a @ W"),
    Named("forward_transposed", "forward", "The forward pass takes Wᵀ for W in {where}, which fits because W is square.", _QUIET,
          "z = a @ W.T"),
    Named("forward_mask_unscaled", "dropout", "The mask of {where} is 0 or 1 in both passes: it is to be 0 or 1/(1 − rate).",
          _SLOWER, "a = a * (rng.random(a.shape) > rate)"),
)  # fmt: skip

_EVIDENCE: Final = (
    Named("forward_wrong_input", "forward", "In the forward pass {where} took a_{a_of_layer}, which is not its input.", _STUCK,
          "a2 = f(a0 @ W1 + b1)"),
    Named("forward_mask_missing", "dropout", "In the forward pass the mask of {where} was not applied.", _QUIET, "a = a"),
    Named("loss_without_penalty", "loss", "The loss lacks the penalty, which the gradients have.", "The loss may rise while "
          "training does what it should.", "loss = rows.mean()"),
    Named("loss_scaled", "loss", "The loss is {ratio} times the right one: {read_as}.", _SLOWER, "loss = rows.sum()"),
    Named("loss_wrong", "loss", "The loss is {my_loss} where it should be {loss}.", _QUIET, "loss = (a - y).mean()"),
    Named("overflow", "forward", "The function gives NaN or infinity where z is large, at which the right gradients are "
          "finite: take the largest z off before the exponential.", "The loss becomes NaN after some epochs.",
          "a = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)"),
    Named("update_sign", "update", "The step goes the wrong way: up the gradient.", _WRONG_WAY, "W += rate * dW"),
    Named("update_not_taken", "update", "The parameters are what they were: the update went to a copy.",
          "The loss does not move.", "W = W.copy() - rate * dW"),
    Named("learning_rate_not_applied", "update", "The step was taken without the learning rate.", "The loss explodes.",
          "W -= dW"),
    Named("learning_rate_twice", "update", "The learning rate was applied twice.", "Hardly any learning.",
          "W -= rate * (rate * dW)"),
    Named("biases_not_updated", "update", "The biases were not updated.", _QUIET, "W -= rate * dW"),
    Named("weights_not_updated", "update", "The weights were not updated, only the biases.", _STUCK, "b -= rate * db"),
    Named("momentum_missing", "update", "The step has no momentum.", _SLOWER, "W -= rate * dW"),
    Named("momentum_without_decay", "update", "The velocity was added up without its factor: v ← v − η g for v ← μ v − η g.",
          "The loss explodes after some steps.", "v = v - rate * dW"),
    Named("nesterov_missing", "update", "The step is plain momentum, without Nesterov's look ahead.", _QUIET, "W += v"),
    Named("clipping_missing", "update", "The gradient was not clipped.", "Single steps are far too long.", "W -= rate * dW"),
    Named("decay_missing", "update", "The weight decay is missing from the step.", "Weights grow.", "W -= rate * m / v"),
    Named("decay_on_biases", "update", "The biases were decayed too.", _QUIET, "b -= rate * decay * b"),
    Named("no_bias_correction", "update", "The running means were not corrected for their start at zero.",
          "The first steps have the wrong length.", "W -= rate * m / (np.sqrt(v) + eps)"),
    Named("only_mean_corrected", "update", "Only m was corrected for its start at zero, not v.", "The first steps are far too "
          "long.", "W -= rate * m_hat / (np.sqrt(v) + eps)"),
    Named("only_square_corrected", "update", "Only v was corrected for its start at zero, not m.", "The first steps are too "
          "short.", "W -= rate * m / (np.sqrt(v_hat) + eps)"),
    Named("bias_correction_of_step_before", "update", "The correction counts steps from 0: it is that of the step before.",
          "Division by zero in the first step.", "m_hat = m / (1 - beta_1**(t - 1))"),
    Named("epsilon_inside_root", "update", "ε stands inside the root: √(v + ε) for √v + ε.", _QUIET,
          "W -= rate * m_hat / np.sqrt(v_hat + eps)"),
    Named("square_root_missing", "update", "The root is missing: m / v for m / √v.", "The loss explodes.",
          "W -= rate * m_hat / (v_hat + eps)"),
    Named("betas_exchanged", "update", "β₁ and β₂ are exchanged.", _SLOWER, "m = beta_2 * m + (1 - beta_2) * dW"),
    Named("update_wrong", "update", "The step is wrong in a way that no known mistake explains: right gradients, handed to the "
          "optimiser, lead elsewhere.", _QUIET, "W -= something"),
)  # fmt: skip

UNKNOWN_NAMED: Final = Named(
    "unknown", "both", "{which_v} wrong in a way that no known mistake explains.{hint} {compare}", "", ""
)

GROUPS: Final = {
    "The error and the targets": _OUTPUT,
    "Constant factors and rows": _FACTORS,
    "The slope": _SLOPES,
    "The way down": _DOWN,
    "The left factor of dL/dW": _LEFTS,
    "The bias": _BIASES,
    "The penalty": _PENALTIES,
    "Time and place": _STEPS,
    "The forward pass": _FORWARDS,
    "What activations, the loss and the update show": _EVIDENCE,
}

CATALOGUE: Final = {named.name: named for group in GROUPS.values() for named in group} | {"unknown": UNKNOWN_NAMED}

#: Every name a finding can have.
NAMES: Final = tuple(CATALOGUE)
