"""The catalogue's mistakes of the forward pass, the loss and the step."""

from __future__ import annotations

from typing import Final

from .named import QUIET, SLOWER, STUCK, WRONG_WAY, Named

FORWARDS: Final = (
    Named(
        "softmax_over_batch",
        "forward",
        "The softmax of {where} was normalised over the rows of the batch instead of its units: a row of outputs "
        "then adds up to {smallest_row_sum_of_a} … {largest_row_sum_of_a} instead of 1.",
        STUCK,
        "a = e / e.sum(axis=0)",
    ),
    Named(
        "softmax_over_everything",
        "forward",
        "The softmax of {where} was divided by the sum over the whole array: a row of outputs then adds up to "
        "{smallest_row_sum_of_a} … {largest_row_sum_of_a} instead of 1.",
        STUCK,
        "a = np.exp(z) / np.exp(z).sum()",
    ),
    Named(
        "forward_activation",
        "forward",
        "In the forward pass {where} has {used} where it should have {f}.",
        QUIET,
        "a = sigmoid(z)",
    ),
    Named(
        "forward_without_bias",
        "forward",
        "The forward pass leaves the bias out in {where}.",
        QUIET,
        "z = a @ W",
    ),
    Named(
        "forward_transposed",
        "forward",
        "The forward pass takes Wᵀ for W in {where}, which fits because W is square.",
        QUIET,
        "z = a @ W.T",
    ),
    Named(
        "forward_mask_unscaled",
        "dropout",
        "The mask of {where} is 0 or 1 in both passes: it is to be 0 or 1/(1 − rate).",
        SLOWER,
        "a = a * (rng.random(a.shape) > rate)",
    ),
)

EVIDENCE: Final = (
    Named(
        "forward_wrong_input",
        "forward",
        "In the forward pass {where} took a_{a_of_layer}, which is not its input.",
        STUCK,
        "a2 = f(a0 @ W1 + b1)",
    ),
    Named(
        "forward_mask_missing",
        "dropout",
        "In the forward pass the mask of {where} was not applied.",
        QUIET,
        "a = a",
    ),
    Named(
        "loss_without_penalty",
        "loss",
        "The loss lacks the penalty, which the gradients have.",
        "The loss may rise while training does what it should.",
        "loss = rows.mean()",
    ),
    Named(
        "loss_scaled",
        "loss",
        "The loss is {ratio} times the right one: {read_as}.",
        SLOWER,
        "loss = rows.sum()",
    ),
    Named(
        "loss_wrong",
        "loss",
        "The loss is {my_loss} where it should be {loss}.",
        QUIET,
        "loss = (a - y).mean()",
    ),
    Named(
        "overflow",
        "forward",
        "The function gives NaN or infinity where z is large, at which the right gradients are finite: take the "
        "largest z off before the exponential.",
        "The loss becomes NaN after some epochs.",
        "a = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)",
    ),
    Named(
        "update_sign",
        "update",
        "The step goes the wrong way: up the gradient.",
        WRONG_WAY,
        "W += rate * dW",
    ),
    Named(
        "update_not_taken",
        "update",
        "The parameters are what they were: the update went to a copy.",
        "The loss does not move.",
        "W = W.copy() - rate * dW",
    ),
    Named(
        "learning_rate_not_applied",
        "update",
        "The step was taken without the learning rate.",
        "The loss explodes.",
        "W -= dW",
    ),
    Named(
        "learning_rate_twice",
        "update",
        "The learning rate was applied twice.",
        "Hardly any learning.",
        "W -= rate * (rate * dW)",
    ),
    Named(
        "biases_not_updated",
        "update",
        "The biases were not updated.",
        QUIET,
        "W -= rate * dW",
    ),
    Named(
        "weights_not_updated",
        "update",
        "The weights were not updated, only the biases.",
        STUCK,
        "b -= rate * db",
    ),
    Named(
        "momentum_missing",
        "update",
        "The step has no momentum.",
        SLOWER,
        "W -= rate * dW",
    ),
    Named(
        "momentum_without_decay",
        "update",
        "The velocity was added up without its factor: v ← v − η g for v ← μ v − η g.",
        "The loss explodes after some steps.",
        "v = v - rate * dW",
    ),
    Named(
        "nesterov_missing",
        "update",
        "The step is plain momentum, without Nesterov's look ahead.",
        QUIET,
        "W += v",
    ),
    Named(
        "clipping_missing",
        "update",
        "The gradient was not clipped.",
        "Single steps are far too long.",
        "W -= rate * dW",
    ),
    Named(
        "decay_missing",
        "update",
        "The weight decay is missing from the step.",
        "Weights grow.",
        "W -= rate * m / v",
    ),
    Named(
        "decay_on_biases",
        "update",
        "The biases were decayed too.",
        QUIET,
        "b -= rate * decay * b",
    ),
    Named(
        "no_bias_correction",
        "update",
        "The running means were not corrected for their start at zero.",
        "The first steps have the wrong length.",
        "W -= rate * m / (np.sqrt(v) + eps)",
    ),
    Named(
        "only_mean_corrected",
        "update",
        "Only m was corrected for its start at zero, not v.",
        "The first steps are far too long.",
        "W -= rate * m_hat / (np.sqrt(v) + eps)",
    ),
    Named(
        "only_square_corrected",
        "update",
        "Only v was corrected for its start at zero, not m.",
        "The first steps are too short.",
        "W -= rate * m / (np.sqrt(v_hat) + eps)",
    ),
    Named(
        "bias_correction_of_step_before",
        "update",
        "The correction counts steps from 0: it is that of the step before.",
        "Division by zero in the first step.",
        "m_hat = m / (1 - beta_1**(t - 1))",
    ),
    Named(
        "epsilon_inside_root",
        "update",
        "ε stands inside the root: √(v + ε) for √v + ε.",
        QUIET,
        "W -= rate * m_hat / np.sqrt(v_hat + eps)",
    ),
    Named(
        "square_root_missing",
        "update",
        "The root is missing: m / v for m / √v.",
        "The loss explodes.",
        "W -= rate * m_hat / (v_hat + eps)",
    ),
    Named(
        "betas_exchanged",
        "update",
        "β₁ and β₂ are exchanged.",
        SLOWER,
        "m = beta_2 * m + (1 - beta_2) * dW",
    ),
    Named(
        "update_wrong",
        "update",
        "The step is wrong in a way that no known mistake explains: right gradients, handed to the optimiser, lead "
        "elsewhere.",
        QUIET,
        "W -= something",
    ),
)
