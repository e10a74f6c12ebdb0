"""The catalogue's mistakes in a layer's own gradients: factors, left factors, biases, penalties."""

from __future__ import annotations

from typing import Final

from .named import QUIET, SLOWER, STUCK, WRONG_WAY, Named

FACTORS: Final = (
    Named(
        "sum_not_mean",
        "mean",
        "{which_v} summed over the batch, {m} times too large, where the loss is a mean: divide by m once.",
        "Only tiny learning rates work; larger batches diverge.",
        "dW = a.T @ delta",
    ),
    Named(
        "bias_not_averaged",
        "bias",
        "{which_v} Σ_rows delta, a sum over {m}, where the weights' gradients are means: it is Σ_rows delta / m.",
        "Biases run away.",
        "db = delta.sum(axis=0)",
    ),
    Named(
        "extra_batch_division",
        "mean",
        "{which_v} divided by {m} once too often: leave delta of each row by itself, and divide once, at the end.",
        "Hardly any learning.",
        "delta = (a - y) / n;  dW = a_in.T @ delta / n",
    ),
    Named(
        "loss_factor",
        "output",
        "{which_v} {ratio} times the right ones: {read_as}. The loss and its gradient are of two different formulas.",
        SLOWER,
        "delta = 2 * (a - y)",
    ),
    Named(
        "outputs_averaged",
        "output",
        "{which_v} {ratio} times the right ones: {read_as}.",
        SLOWER,
        "delta = (a - y) / y.size",
    ),
    Named(
        "learning_rate_inside",
        "mean",
        "{which_v} multiplied by {read_as} already ({ratio}).",
        "Steps are the square of the learning rate.",
        "dW = rate * a.T @ delta / n",
    ),
    Named(
        "logarithm_base",
        "output",
        "{which_v} {ratio} times the right ones: {read_as}.",
        SLOWER,
        "loss = -(y * np.log2(a)).sum()",
    ),
    Named(
        "dropout_scale",
        "dropout",
        "{which_v} {ratio} times the right ones: {read_as}.",
        SLOWER,
        "mask = rng.random(a.shape) > rate",
    ),
    Named(
        "gradient_normalised",
        "mean",
        "{which_v} divided by their own length: {read_as}.",
        "Steps do not get smaller near the minimum.",
        "g = g / np.linalg.norm(g)",
    ),
    Named(
        "constant_factor",
        "mean",
        "{which_v} {ratio} times the right ones: a constant factor, in the loss perhaps.",
        SLOWER,
        "dW = 0.37 * a.T @ delta / n",
    ),
    Named(
        "accumulated_gradient",
        "step",
        "{which_v} kept from step to step ({read_as}): set them to zero before each.",
        "Steps grow from batch to batch until the loss explodes.",
        "dW += a.T @ delta / n",
    ),
    Named(
        "only_last_row",
        "mean",
        "Only the last row of the batch is in {which_p} (divided: {divided}).",
        "The loss is noisy, whatever the batch size.",
        "for x, y in batch: dW = np.outer(x, delta)",
    ),
    Named(
        "only_first_row",
        "mean",
        "Only the first row of the batch is in {which_p} (divided: {divided}).",
        "The loss is noisy, whatever the batch size.",
        "dW = np.outer(X[0], delta[0])",
    ),
    Named(
        "delta_averaged_first",
        "mean",
        "delta of {where} was averaged over the rows before it met the inputs: the mean of products is not the "
        "product of means.",
        STUCK,
        "delta = delta.mean(axis=0)",
    ),
    Named(
        "sample_weight_ignored",
        "output",
        "The sample weights are not in delta of {where}.",
        QUIET,
        "delta = a - y",
    ),
)

LEFTS: Final = (
    Named(
        "preactivation_for_activation",
        "weight",
        "The weight gradient of {where} was made with z of layer {z_of_layer} where its activation a belongs.",
        QUIET,
        "dW = z.T @ delta / n",
    ),
    Named(
        "output_for_input",
        "weight",
        "The weight gradient of {where} was made with what the layer gave, not with what it took.",
        STUCK,
        "dW1 = a2.T @ delta1 / n",
    ),
    Named(
        "input_of_another_layer",
        "weight",
        "The weight gradient of {where} was made with a_{a_of_layer}, the input of another layer.",
        STUCK,
        "dW1 = X.T @ delta1 / n",
    ),
    Named(
        "delta_for_input",
        "weight",
        "The weight gradient of {where} was made with delta of the layer below for its activation.",
        STUCK,
        "dW1 = delta0.T @ delta1 / n",
    ),
    Named(
        "ones_for_input",
        "weight",
        "The weight gradient of {where} was made with ones for the input: every row of it is the bias's.",
        STUCK,
        "dW = np.ones_like(a).T @ delta / n",
    ),
    Named(
        "weight_for_input",
        "weight",
        "The weight gradient of {where} was made with W in the place of the input.",
        STUCK,
        "dW = W * delta.mean(axis=0)",
    ),
    Named(
        "input_not_scaled",
        "weight",
        "The weight gradient of {where} was made with the inputs before they were scaled.",
        "The first layer's steps are far too large.",
        "dW0 = X.T @ delta0 / n",
    ),
    Named(
        "input_squared",
        "weight",
        "The weight gradient of {where} was made with the squares of its inputs.",
        QUIET,
        "dW = (a**2).T @ delta / n",
    ),
    Named(
        "input_of_other_rows",
        "weight",
        "In the weight gradient of {where} inputs and delta are of different rows: the inputs stand {order}.",
        STUCK,
        "dW = a[::-1].T @ delta / n",
    ),
    Named(
        "means_multiplied",
        "weight",
        "The weight gradient of {where} is the mean input times the mean delta, where it is the mean of the products.",
        STUCK,
        "dW = np.outer(a.mean(axis=0), delta.mean(axis=0))",
    ),
)

BIASES: Final = (
    Named(
        "bias_zero",
        "bias",
        "The bias gradient of {where} is zero: was it ever written?",
        "Biases stay as they began.",
        "db = np.zeros_like(b)",
    ),
    Named(
        "gradient_zero",
        "weight",
        "{which_v} zero: were they ever written?",
        "The layer does not learn.",
        "dW = np.zeros_like(W)",
    ),
    Named(
        "bias_scalar",
        "bias",
        "The bias gradient of {where} is one number for all units: sum over the rows alone, axis=0.",
        "The units of a layer stay alike.",
        "db = delta.sum() / n",
    ),
    Named(
        "bias_unsummed",
        "bias",
        "The bias gradient of {where} has a row for each sample: sum it over the rows.",
        "A broadcast makes the bias a matrix.",
        "db = delta",
    ),
    Named(
        "bias_first_row",
        "bias",
        "The bias gradient of {where} is that of the first row alone.",
        QUIET,
        "db = delta[0]",
    ),
    Named(
        "bias_last_row",
        "bias",
        "The bias gradient of {where} is that of the last row alone.",
        QUIET,
        "db = delta[-1]",
    ),
    Named(
        "bias_over_wrong_axis",
        "bias",
        "The bias gradient of {where} was summed over the units instead of the rows.",
        "Shapes do not fit for other batch sizes.",
        "db = delta.sum(axis=1)",
    ),
    Named(
        "bias_times_input",
        "bias",
        "The bias gradient of {where} was multiplied by the input ({x}): a bias is a weight whose input is 1.",
        QUIET,
        "db = (delta * x).sum(axis=0) / n",
    ),
    Named(
        "bias_times_itself",
        "bias",
        "The bias gradient of {where} was multiplied by the bias.",
        "Biases of 0 stay 0.",
        "db = b * delta.mean(axis=0)",
    ),
    Named(
        "penalty_on_bias",
        "penalty",
        "The bias gradient of {where} has a penalty, {coefficient} b: biases have none.",
        QUIET,
        "db += l2 * b",
    ),
)

PENALTIES: Final = (
    Named(
        "missing_penalty",
        "penalty",
        "The {penalty} penalty is missing from {which_p}: {terms} is to be added.",
        "Weights grow.",
        "dW = a.T @ delta / n",
    ),
    Named(
        "penalty_factor",
        "penalty",
        "The penalty in {which_p} is {factor} times the right one.",
        QUIET,
        "dW += 2 * l2 * W",
    ),
    Named(
        "penalty_unasked",
        "penalty",
        "There is a penalty in {which_p}, {coefficient} W, that the network has not.",
        "Weights shrink.",
        "dW += 0.01 * W",
    ),
)

STEPS: Final = (
    Named(
        "stale_gradient",
        "step",
        "{which_v} those of the step before, number for number: every step has to write them anew.",
        "Some layers repeat their first step.",
        "dW = old_dW",
    ),
    Named(
        "momentum_inside",
        "step",
        "{which_v} mixed with those of the step before ({momentum}): momentum belongs to the update, after the "
        "gradient.",
        QUIET,
        "dW = 0.9 * old_dW + dW",
    ),
    Named(
        "swapped_units",
        "both",
        "In {which_p} the {axis} stand in each other's place ({first} has those of {second}): the numbers are right, "
        "their places wrong.",
        STUCK,
        "dW = dW[:, order]",
    ),
    Named(
        "gradient_of_another_layer",
        "both",
        "{which_v} those of {gradient_of}.",
        STUCK,
        "dW1 = dW0",
    ),
    Named(
        "absolute_value",
        "both",
        "{which_v} without their signs.",
        WRONG_WAY,
        "dW = np.abs(dW)",
    ),
    Named(
        "clipped",
        "both",
        "{which_v} clipped at ±{at}.",
        SLOWER,
        "dW = np.clip(dW, -c, c)",
    ),
)
