"""Back-propagation as people write it, one sample at a time, with a switch for each mistake.

Nothing here comes from the code that is tested: plain loops over samples, its own functions, its own slopes. A bug is
(name, layer, detail); layers are counted among the Dense ones from 0, and None is everywhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backlit import Dense, Dropout, Network


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


F: dict[str, Any] = {
    "identity": lambda z: z,
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "relu": lambda z: z * (z > 0),
    "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z),
    "elu": lambda z: np.where(z > 0, z, np.exp(np.minimum(z, 0)) - 1),
    "softplus": lambda z: np.log(1 + np.exp(z)),
    "silu": lambda z: z * sigmoid(z),
    "exp": np.exp,
    "gelu": lambda z: z * np.vectorize(lambda t: 0.5 * math.erfc(-t / math.sqrt(2)))(z),
    "mish": lambda z: z * np.tanh(np.log(1 + np.exp(z))),
    "softmax": lambda z: np.exp(z) / np.exp(z).sum(),
}
SLOPE: dict[str, Any] = {
    "identity": lambda z: np.ones_like(z),
    "sigmoid": lambda z: sigmoid(z) * (1 - sigmoid(z)),
    "tanh": lambda z: 1 / np.cosh(z) ** 2,
    "relu": lambda z: (z > 0) * 1.0,
    "leaky_relu": lambda z: np.where(z > 0, 1.0, 0.01),
    "elu": lambda z: np.exp(np.minimum(z, 0)),
    "softplus": sigmoid,
    "silu": lambda z: sigmoid(z) * (1 + z * (1 - sigmoid(z))),
    "exp": np.exp,
    "gelu": lambda z: (
        np.vectorize(lambda t: 0.5 * math.erfc(-t / math.sqrt(2)))(z) + z * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    ),
    "mish": lambda z: np.tanh(np.log(1 + np.exp(z))) + z * sigmoid(z) / np.cosh(np.log(1 + np.exp(z))) ** 2,
}
LOSS_SLOPE: dict[str, Any] = {
    "squared_error": lambda a, y: a - y,
    "mean_squared_error": lambda a, y: 2 * (a - y) / len(a),
    "huber": lambda a, y: np.clip(a - y, -1, 1),
    "absolute_error": lambda a, y: np.sign(a - y),
    "log_cosh": lambda a, y: np.tanh(a - y),
    "quantile": lambda a, y: 0.5 * np.sign(a - y),
}
Bug = tuple[str, int | None, Any]


@dataclass
class Handmade:
    """One network, one batch, and its gradients by hand, with bugs."""

    net: Network
    X: Any
    Y: Any
    weight: Any = None
    step: int | None = None
    bugs: list[Bug] = field(default_factory=list)

    def __post_init__(self) -> None:
        layers: Any = self.net.layers
        self.dense = [i for i, layer in enumerate(layers) if isinstance(layer, Dense)]
        self.names = [layers[i].activation.name for i in self.dense]
        self.depth = len(self.dense)

    def bug(self, name: str, layer: int | None) -> Any:
        """The detail of a bug at a layer, True without one; None where it is not there."""
        for found, where, detail in self.bugs:
            if found == name and (where is None or where == layer):
                return True if detail is None else detail
        return None

    # ── forward, one sample ──────────────────────────────────────────────────────────────────────────────

    def masks(self) -> dict[int, Any]:
        """By Dense layer above which it stands: the mask of the Dropout between, (n, units)."""
        found = {}
        for k, i in enumerate(self.dense[1:], 1):
            layer: Any = self.net.layers[i - 1]
            if isinstance(layer, Dropout) and self.step is not None:
                mask = np.ones((len(self.X), layer.outputs))
                layer.draw_mask(mask, np.empty(mask.shape, np.float32), (self.net.seed, i - 1, self.step))
                found[k] = np.sign(mask) if self.bug("forward_mask_unscaled", k) else mask
        return found

    def parameters(self) -> tuple[list[Any], list[Any]]:
        p = self.net.parameters
        W = [p.view(f"{i}.weight").astype(float) for i in self.dense]
        b = [p.view(f"{i}.bias").astype(float) if f"{i}.bias" in p.names else 0.0 for i in self.dense]
        return W, b

    def forward(self, W: Any, b: Any, masks: Any) -> tuple[Any, Any, Any]:
        """Per sample lists: what each layer took, z, a."""
        took, zs, acts = [], [], []
        for r, x in enumerate(self.X):
            a, t, z, o = x, [], [], []
            for k in range(self.depth):
                if k in masks:
                    a = a * masks[k][r]
                t.append(a)
                matrix = W[k].T if self.bug("forward_transposed", k) else W[k]
                s = a @ matrix + (0 if self.bug("forward_without_bias", k) else b[k])
                name = self.bug("forward_activation", k) or self.names[k]
                a = F[name](s)
                z.append(s)
                o.append(a)
            took.append(t)
            zs.append(z)
            acts.append(o)
        axis = self.bug("softmax_axis", self.depth - 1)
        if axis is not None:
            top = np.exp(np.array([z[-1] for z in zs]))
            whole = top / (top.sum() if axis == "all" else top.sum(axis=0))
            for r in range(len(self.X)):
                acts[r][-1] = whole[r]
        return took, zs, acts

    # ── backward ─────────────────────────────────────────────────────────────────────────────────────────

    def gradients(self) -> dict[str, Any]:
        n, W, b, top = len(self.X), *self.parameters(), self.depth - 1
        w = np.ones(n) if self.weight is None or self.bug("sample_weight_ignored", top) else self.weight
        m = w.sum()
        masks = self.masks()
        took, zs, acts = self.forward(W, b, masks)
        Y = self.targets()
        deltas: list[Any] = [[None] * n for _ in range(self.depth)]
        local: list[Any] = [[None] * n for _ in range(self.depth)]
        top_deltas = [self.output_delta(zs[r][top], acts[r][top], Y[r]) * w[r] for r in range(n)]
        if self.bug("delta_averaged_first", top):
            top_deltas = [np.mean(top_deltas, axis=0)] * n
        for r in range(n):
            da = None
            for k in range(top, -1, -1):
                if k == top:
                    delta = top_deltas[r]
                else:
                    delta = self.through_slope(k, zs[r], acts[r], da)
                if self.bug("sign_flipped", k):
                    delta = -delta
                if self.bug("divided_early", k):
                    delta = delta / m
                deltas[k][r] = delta
                da = self.down(k, delta, W, acts[r], zs[r], masks, r)
        for k in range(self.depth):
            local[k] = np.array(deltas[k])
        found: dict[str, Any] = {}
        for k, i in enumerate(self.dense):
            dW, db = np.zeros_like(W[k]), np.zeros(W[k].shape[1])
            rows = [n - 1] if self.bug("only_last_row", k) else [0] if self.bug("only_first_row", k) else range(n)
            for r in rows:
                dW += np.outer(self.left(k, took, zs, acts, W, r, masks), local[k][r])
                db += local[k][r]
            if self.bug("means_multiplied", k):
                dW = np.outer(np.mean([t[k] for t in took], axis=0), local[k].mean(axis=0)) * m
            if self.bug("weight_for_input", k):
                dW = W[k] * db
            dW, db = self.scaled(k, dW / m, db / m, m)
            db = self.bias(k, db, local[k], took, b, m)
            dW = dW + self.penalty(k, W[k], m)
            if self.bug("penalty_on_bias", k):
                db = db + self.net.l2 * b[k]
            if f"{i}.bias" not in self.net.parameters.names:
                db = None
            found[f"{i}.weight"], found[f"{i}.bias"] = dW, db
        return self.placed({name: g for name, g in found.items() if g is not None})

    def targets(self) -> Any:
        top, Y = self.depth - 1, self.Y
        if (by := self.bug("targets_shifted", top)) is not None:
            Y = np.array([np.concatenate([y[-by:], y[:-by]]) for y in Y])
        if (order := self.bug("targets_permuted", top)) is not None:
            Y = Y[:, order]
        if (how := self.bug("targets_of_other_rows", top)) is not None:
            Y = Y[::-1] if how == "reverse" else np.concatenate([Y[-how:], Y[:-how]])
        if self.bug("targets_left_out", top):
            Y = 0 * Y
        if self.bug("targets_inverted", top):
            Y = 1 - Y
        if self.bug("targets_plus_minus_one", top):
            Y = 2 * Y - 1
        return Y

    def output_delta(self, z: Any, a: Any, y: Any) -> Any:
        top, name, loss = self.depth - 1, self.names[-1], self.net.loss_function.name
        error = a - y
        if loss == "cross_entropy":
            if self.bug("slope_with_pair", top):
                return a * (error - (a * error).sum()) if name == "softmax" else error * a * (1 - a)
            if self.bug("softmax_elementwise_slope", top):
                return error * a * (1 - a)
            if self.bug("activation_for_slope", top):
                return error * a
            if self.bug("missing_slope", top):
                return -y / a if name == "softmax" else -y / a + (1 - y) / (1 - a)
            if self.bug("cross_entropy_term_sign", top):
                return (-y / a - (1 - y) / (1 - a)) * a * (1 - a)
            if (term := self.bug("cross_entropy_term_missing", top)) is not None:
                return (-y / a if term == 1 else (1 - y) / (1 - a)) * a * (1 - a)
            if self.bug("sign_of_error", top):
                return np.sign(error)
            other = self.bug("other_loss", top)
            if other is None:
                return error
            return self.through_slope(top, [z] * (top + 1), [a] * (top + 1), LOSS_SLOPE[other](a, y))
        if self.bug("sign_of_error", top):
            return np.sign(error)
        return self.through_slope(
            top, [z] * (top + 1), [a] * (top + 1), LOSS_SLOPE[self.bug("other_loss", top) or loss](a, y)
        )

    def through_slope(self, k: int, z: Any, a: Any, da: Any) -> Any:
        name = self.bug("forward_activation", k) or self.names[k]
        if self.bug("missing_slope", k):
            return da
        if name == "softmax":
            if self.bug("softmax_elementwise_slope", k):
                return da * a[k] * (1 - a[k])
            once = a[k] * (da - (a[k] * da).sum())
            return a[k] * (once - (a[k] * once).sum()) if self.bug("slope_twice", k) else once
        slope = SLOPE[name](z[k])
        if self.bug("slope_at_activation", k):
            slope = SLOPE[name](a[k])
        if self.bug("slope_twice", k):
            slope = slope * slope
        if (other := self.bug("slope_of_another", k)) is not None:
            slope = SLOPE[other](z[k])
        if (layer := self.bug("slope_of_another_layer", k)) is not None:
            slope = SLOPE[self.names[layer]](z[layer])
        if self.bug("activation_for_slope", k):
            slope = a[k]
        if self.bug("preactivation_for_slope", k):
            slope = z[k]
        if self.bug("slope_one_factor", k):
            slope = 1 - a[k]
        return da / slope if self.bug("divided_by_slope", k) else da * slope

    def down(self, k: int, delta: Any, W: Any, a: Any, z: Any, masks: Any, r: int) -> Any:
        """dL/da of what layer k − 1 gave."""
        if k == 0:
            return None
        matrix, sent = W[k], delta
        if self.bug("weight_of_another_layer", k) is not None:
            matrix = W[self.bug("weight_of_another_layer", k)]
        if (rate := self.bug("updated_weights_in_backward", k)) is not None:
            matrix = matrix - rate * self.plain_gradient(k)
        if self.bug("weight_without_sign", k):
            matrix = abs(matrix)
        if self.bug("value_for_delta", k):
            sent = a[k]
        if self.bug("slope_lost_below", k):
            sent = delta / SLOPE[self.names[k]](z[k])
        if self.bug("slope_twice_below", k):
            sent = delta * SLOPE[self.names[k]](z[k])
        if self.bug("transposed_on_the_way", k):
            da = sent @ matrix
        elif self.bug("reshaped_weight", k):
            da = sent @ matrix.reshape(matrix.shape[::-1])
        elif self.bug("weight_left_out", k):
            da = np.full(matrix.shape[0], sent.sum())
        else:
            da = matrix @ sent
        if k in masks and not self.bug("dropout_mask_missing", k):
            da = da * (np.sign(masks[k][r]) if self.bug("dropout_mask_unscaled", k) else masks[k][r])
        return da

    def plain_gradient(self, k: int) -> Any:
        if not hasattr(self, "_plain"):
            self._plain = Handmade(self.net, self.X, self.Y, self.weight, self.step).gradients()
        return self._plain[f"{self.dense[k]}.weight"]

    # ── one layer's own gradients ────────────────────────────────────────────────────────────────────────

    def left(self, k: int, took: Any, zs: Any, acts: Any, W: Any, r: int, masks: Any) -> Any:
        n = len(self.X)
        if self.bug("preactivation_for_activation", k):
            return zs[r][k - 1]
        if self.bug("output_for_input", k):
            return acts[r][k]
        if (other := self.bug("input_of_another_layer", k)) is not None:
            return took[r][other]
        if self.bug("ones_for_input", k):
            return np.ones_like(took[r][k])
        if self.bug("input_squared", k):
            return took[r][k] ** 2
        if self.bug("left_unmasked", k):
            return acts[r][k - 1]
        if self.bug("input_of_other_rows", k):
            return took[n - 1 - r][k]
        return took[r][k]

    def scaled(self, k: int, dW: Any, db: Any, m: float) -> tuple[Any, Any]:
        if self.bug("sum_not_mean", k):
            dW, db = dW * m, db * m
        if self.bug("bias_not_averaged", k):
            db = db * m
        if self.bug("sign_of_layer", k):
            dW, db = -dW, -db
        if (factor := self.bug("factor", k)) is not None:
            dW, db = dW * factor, db * factor
        if (factor := self.bug("factor_of_weight", k)) is not None:
            dW = dW * factor
        return dW, db

    def bias(self, k: int, db: Any, delta: Any, took: Any, b: Any, m: float) -> Any:
        if self.bug("bias_zero", k):
            return 0 * db
        if self.bug("bias_scalar", k):
            return np.full_like(db, db.sum())
        if self.bug("bias_unsummed", k):
            return delta / m
        if self.bug("bias_first_row", k):
            return delta[0]
        if self.bug("bias_last_row", k):
            return delta[-1]
        if self.bug("bias_over_wrong_axis", k):
            return delta.sum(axis=1)
        if self.bug("bias_times_input", k):
            return sum(took[r][k].mean() * delta[r] for r in range(len(delta))) / m
        if self.bug("bias_times_itself", k):
            return db * b[k]
        return db

    def penalty(self, k: int, W: Any, m: float) -> Any:
        whole = self.net.l1 * np.sign(W) + self.net.l2 * W
        if self.bug("missing_penalty", k):
            return 0 * W
        if (factor := self.bug("penalty_factor", k)) is not None:
            return factor * whole
        if (coefficient := self.bug("penalty_unasked", k)) is not None:
            return whole + coefficient * W
        return whole

    def placed(self, found: dict[str, Any]) -> dict[str, Any]:
        for k, i in enumerate(self.dense):
            W, b = f"{i}.weight", f"{i}.bias"
            if self.bug("gradient_zero", k):
                found[W] = 0 * found[W]
            if (order := self.bug("swapped_units", k)) is not None:
                found[W] = found[W][:, order]
                if b in found:
                    found[b] = found[b][order]
            if self.bug("transposed", k):
                found[W] = found[W].T
            if self.bug("absolute_value", k):
                found[W] = abs(found[W])
            if (at := self.bug("clipped", k)) is not None:
                c = at * abs(found[W]).max()
                found[W] = np.clip(found[W], -c, c)
            if (layer := self.bug("gradient_of_another_layer", k)) is not None:
                found[W] = self.plain_gradient(layer)
            for name in (W, b):
                before = self.bug("stale_gradient", k)
                if before is not None and name in found:
                    found[name] = before[name]
                if (mixed := self.bug("momentum_inside", k)) is not None and name in found:
                    found[name] = found[name] + mixed[0] * mixed[1][name]
                if (before := self.bug("accumulated_previous", k)) is not None and name in found:
                    found[name] = found[name] + before[name]
        if self.bug("gradient_normalised", None):
            length = math.sqrt(sum((g**2).sum() for g in found.values()))
            found = {name: g / length for name, g in found.items()}
        return found
