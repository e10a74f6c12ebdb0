"""The catalogue's mistakes in delta: the error, the targets, the slope, the way down."""

from __future__ import annotations

from typing import Final

from .named import LOWER, QUIET, SLOWER, STUCK, WRONG_WAY, Named

OUTPUT: Final = (
    Named(
        "sign_flipped",
        "output",
        "{which_s} the wrong sign, so that descent climbs: the error is a − y, not y − a.",
        WRONG_WAY,
        "delta = y - a",
    ),
    Named(
        "missing_slope",
        "delta",
        "f′(z) is missing from delta of {where}: that is dL/da, where the chain rule asks for delta = dL/da ⊙ f′(z), "
        "the slope of {f}.",
        QUIET,
        "delta = da",
    ),
    Named(
        "slope_with_pair",
        "output",
        "The error of {where} was multiplied by the slope of {f}, which this loss has cancelled already: delta is a "
        "− y alone. That is squared error's delta.",
        "Units that are sure and wrong hardly learn.",
        "delta = (a - y) * a * (1 - a)",
    ),
    Named(
        "softmax_elementwise_slope",
        "output",
        "In {where} softmax got the elementwise slope a (1 − a). Its units depend on each other: what is left out "
        "are the other columns of the Jacobian.",
        STUCK,
        "delta = (a - y) * a * (1 - a)",
    ),
    Named(
        "sign_of_error",
        "output",
        "delta of {where} was made of sign(a − y) instead of a − y: the gradient of the absolute error.",
        "The loss jumps about near its end.",
        "delta = np.sign(a - y)",
    ),
    Named(
        "other_loss",
        "output",
        "delta of {where} is that of another loss: {loss}.",
        QUIET,
        "delta = 2 * (a - y) / k",
    ),
    Named(
        "cross_entropy_term_sign",
        "output",
        "One term of the cross entropy −y log a − (1 − y) log(1 − a) has the wrong sign in delta of {where}.",
        "All outputs run to 0 or to 1.",
        "da = -y / a - (1 - y) / (1 - a)",
    ),
    Named(
        "cross_entropy_term_missing",
        "output",
        "One term of the cross entropy −y log a − (1 − y) log(1 − a) was left out of delta of {where}.",
        "All outputs run to 0, or all to 1.",
        "da = -y / a",
    ),
    Named(
        "targets_shifted",
        "output",
        "The targets of {where} are one column off ({shift}): class k was taken for its neighbour.",
        "The loss falls, the accuracy stays near 0.",
        "Y = np.eye(k)[labels - 1]",
    ),
    Named(
        "targets_permuted",
        "output",
        "The targets' columns stand in another order in {where}: {order}.",
        "The loss falls, the accuracy does not rise.",
        "Y = Y[:, order]",
    ),
    Named(
        "targets_of_other_rows",
        "output",
        "The targets are not those of these rows: they stand {order}. X was shuffled, and y was not.",
        "The loss ends at what guessing gives.",
        "X = X[rng.permutation(n)]",
    ),
    Named(
        "targets_left_out",
        "output",
        "The targets are missing from delta of {where}: it is that of y = 0.",
        "All outputs run to zero.",
        "delta = a",
    ),
    Named(
        "targets_inverted",
        "output",
        "delta of {where} was made with 1 − y for y.",
        "The accuracy falls below chance.",
        "delta = a - (1 - y)",
    ),
    Named(
        "targets_plus_minus_one",
        "output",
        "delta of {where} was made with targets of −1 and 1 for those of 0 and 1.",
        STUCK,
        "delta = a - (2 * y - 1)",
    ),
)

SLOPES: Final = (
    Named(
        "slope_at_activation",
        "delta",
        "In {where} the slope of {f} was taken at the activation a instead of the pre-activation z: hand z to f′. (A "
        "formula in a is the slope at z already: do not apply it twice.)",
        QUIET,
        "delta = da * sigmoid_slope(a)",
    ),
    Named(
        "slope_twice",
        "delta",
        "The slope of {f} is in delta of {where} twice.",
        LOWER,
        "delta = da * slope * slope",
    ),
    Named(
        "slope_of_another",
        "delta",
        "In {where} the slope is that of {used}, taken at {at}, but the activation is {f}.",
        QUIET,
        "delta = da * a * (1 - a)   # a = np.tanh(z)",
    ),
    Named(
        "slope_of_another_layer",
        "delta",
        "delta of {where} has the slope of layer {slope_of_layer}.",
        QUIET,
        "delta0 = da * (1 - a2**2)",
    ),
    Named(
        "activation_for_slope",
        "delta",
        "delta of {where} was multiplied by the activation a instead of the slope f′(z).",
        QUIET,
        "delta = (a - y) * a",
    ),
    Named(
        "preactivation_for_slope",
        "delta",
        "delta of {where} was multiplied by z instead of the slope f′(z).",
        STUCK,
        "delta = da * z",
    ),
    Named(
        "slope_one_factor",
        "delta",
        "delta of {where} was multiplied by 1 − a: half of a slope such as a (1 − a).",
        QUIET,
        "delta = da * (1 - a)",
    ),
    Named(
        "divided_by_slope",
        "delta",
        "delta of {where} was divided by the slope f′(z) instead of multiplied.",
        "The loss explodes where units are saturated.",
        "delta = da / (a * (1 - a))",
    ),
    Named(
        "slope_lost_below",
        "down",
        "The slope of {where} is in its own gradients, but not in what it handed down.",
        LOWER,
        "da_in = da @ W.T",
    ),
    Named(
        "slope_twice_below",
        "down",
        "What {where} handed down has its slope once more.",
        LOWER,
        "da_in = (delta * slope) @ W.T",
    ),
)

DOWN: Final = (
    Named(
        "transposed",
        "down",
        "W of {where} was not transposed, or its gradient is: what goes down is delta Wᵀ, and dL/dW has the shape of "
        "W.",
        LOWER,
        "da_in = delta @ W",
    ),
    Named(
        "reshaped_weight",
        "down",
        "W of {where} was reshaped instead of transposed on the way back: the shape fits, the numbers stand "
        "elsewhere. It is delta Wᵀ.",
        LOWER,
        "da_in = delta @ W.reshape(W.shape[::-1])",
    ),
    Named(
        "weight_of_another_layer",
        "down",
        "The error passed back through the weights of layer {weight_of_layer} instead of those of {where}.",
        LOWER,
        "da1 = delta2 @ W1.T",
    ),
    Named(
        "weight_left_out",
        "down",
        "The error passed back through {where} without its weights: every unit below got the sum.",
        LOWER,
        "da_in = delta.sum(axis=1, keepdims=True)",
    ),
    Named(
        "weight_without_sign",
        "down",
        "The error passed back through {where} with |W| for W.",
        LOWER,
        "da_in = delta @ np.abs(W).T",
    ),
    Named(
        "value_for_delta",
        "down",
        "The activation of {where} was passed back in the place of its delta.",
        STUCK,
        "da_in = a @ W.T",
    ),
    Named(
        "updated_weights_in_backward",
        "down",
        "The weights of {where} were updated{rate} before the error had passed back through them: compute all "
        "gradients first, then update.",
        QUIET,
        "W -= rate * dW;  da_in = delta @ W.T",
    ),
    Named(
        "dropout_mask_missing",
        "dropout",
        "The mask of the Dropout of {where} is missing on the way back, or from what the next weights were given: "
        "keep that of the forward pass.",
        QUIET,
        "da_in = da",
    ),
    Named(
        "dropout_mask_unscaled",
        "dropout",
        "On the way back the mask of {where} has not the 1/(1 − rate) of the forward pass.",
        SLOWER,
        "da_in = da * (mask > 0)",
    ),
)
