"""Mistakes planted in a back-propagation written by hand, and whether `diagnose` names them.

`Handmade` is a second, independent back-propagation in plain NumPy with a switch for each mistake: nothing of it comes
from the code that is tested. Every case is a random network, batch and loss; a mistake that changes nothing in a case
(a slope left out where it is 1, a matrix that is its own transpose) is not planted there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from backlit import SGD, Dense, Dropout, Network
from backlit.lens.diagnosis.diagnose import Diagnosis, diagnose

Place = tuple[str, int | None]

# f(z) and f′(z), element by element
ACTIVATIONS: dict[str, tuple[Any, Any]] = {
    "identity": (lambda z: z, lambda z: np.ones_like(z)),
    "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2),
    "tanh": (np.tanh, lambda z: 1 / np.cosh(z) ** 2),
    "relu": (lambda z: z * (z > 0), lambda z: (z > 0) * 1.0),
    "leaky_relu": (lambda z: np.where(z > 0, z, 0.01 * z), lambda z: np.where(z > 0, 1.0, 0.01)),
    "elu": (lambda z: np.where(z > 0, z, np.exp(np.minimum(z, 0)) - 1), lambda z: np.exp(np.minimum(z, 0))),
    "softplus": (lambda z: np.log(1 + np.exp(z)), lambda z: 1 / (1 + np.exp(-z))),
    "silu": (
        lambda z: z / (1 + np.exp(-z)),
        lambda z: (1 + np.exp(-z) + z * np.exp(-z)) / (1 + np.exp(-z)) ** 2,
    ),
}
HIDDEN = [name for name in ACTIVATIONS if name != "identity"] + ["identity"]
OUTPUTS = [
    ("softmax", "cross_entropy"),
    ("sigmoid", "cross_entropy"),
    ("identity", "squared_error"),
    ("tanh", "mean_squared_error"),
    ("sigmoid", "squared_error"),
    ("softmax", "squared_error"),
    ("identity", "huber"),
    ("elu", "huber"),
]


@dataclass
class Handmade:
    """One network, one batch, and its gradients by hand; `plant` holds the mistakes."""

    net: Network
    X: Any
    Y: Any
    weight: Any = None
    step: int | None = None
    plant: dict[Place, dict[str, Any]] = field(default_factory=dict)

    def has(self, name: str, layer: int) -> dict[str, Any] | None:
        """The switch of a mistake at a layer; None where it is off."""
        return self.plant.get((name, layer), self.plant.get((name, None)))

    def gradients(self) -> dict[str, Any]:
        net, n = self.net, len(self.X)
        w = np.ones(n) if self.weight is None else self.weight
        m = w.sum()
        values = {name: net.parameters.view(name).astype(float) for name in net.parameters.names}
        z: dict[int, Any] = {}
        a: dict[int, Any] = {-1: self.X}
        mask: dict[int, Any] = {}
        for i, layer in enumerate(net.layers):
            if isinstance(layer, Dropout):
                mask[i] = np.ones((n, layer.outputs))
                if self.step is not None:
                    layer.draw_mask(mask[i], np.empty((n, layer.outputs), np.float32), (net.seed, i, self.step))
                a[i] = a[i - 1] * mask[i]
                continue
            z[i] = a[i - 1] @ values[f"{i}.weight"] + values.get(f"{i}.bias", 0.0)
            if layer.activation.name == "softmax":
                axis = 0 if self.has("softmax_over_batch", i) is not None else 1
                e = np.exp(z[i])
                a[i] = e / e.sum(axis=axis, keepdims=True)
            else:
                a[i] = ACTIVATIONS[layer.activation.name][0](z[i])

        top = len(net.layers) - 1
        r = a[top] - self.Y
        loss = net.loss_function.name
        error = {"mean_squared_error": 2 * r / r.shape[1], "huber": np.clip(r, -1, 1)}.get(loss, r)
        error = error * w[:, None]
        found: dict[str, Any] = {}
        for i in range(top, -1, -1):
            layer = net.layers[i]
            if isinstance(layer, Dropout):
                if self.has("dropout_mask_missing", i) is None:
                    error = error * mask[i]
                continue
            delta = error
            if not (i == top and loss == "cross_entropy") and self.has("missing_slope", i) is None:
                if layer.activation.name == "softmax":
                    delta = a[i] * (error - (a[i] * error).sum(axis=1, keepdims=True))
                else:
                    at = a[i] if self.has("slope_at_activation", i) is not None else z[i]
                    delta = error * ACTIVATIONS[layer.activation.name][1](at)
            if self.has("extra_batch_division", i) is not None:
                delta = delta / m
            flip = self.has("sign_flipped", i)
            if flip is not None and flip["onward"]:
                delta = -delta

            below = i - 1
            while isinstance(net.layers[below], Dropout) and below >= 0:
                below -= 1
            a_in = z[below] if self.has("preactivation_for_activation", i) is not None else a[i - 1]
            W = values[f"{i}.weight"]
            dW, db = a_in.T @ delta / m, delta.sum(axis=0) / m
            if self.has("bias_not_averaged", i) is not None:
                db = db * m
            if self.has("sum_not_mean", i) is not None:
                dW, db = dW * m, db * m
            if self.has("missing_penalty", i) is None:
                dW = dW + net.l1 * np.sign(W) + net.l2 * W
            if flip is not None and not flip["onward"]:
                dW, db = -dW, -db
            swap = self.has("swapped_units", i)
            if swap is not None:
                order = np.arange(layer.units)
                order[list(swap["units"])] = order[list(swap["units"])[::-1]]
                dW, db = dW[:, order], db[order]
            stale = self.has("stale_gradient", i)
            if stale is not None:
                dW, db = stale["previous"][f"{i}.weight"], stale["previous"].get(f"{i}.bias")
            if self.has("transposed", i) is not None:
                dW = dW.T
            found[f"{i}.weight"] = dW
            if layer.has_bias:
                found[f"{i}.bias"] = db
            update = self.has("updated_weights_in_backward", i)
            if update is not None:
                W = W - update["rate"] * dW
            error = delta @ W.T
        return {name: found[name] for name in net.parameters.names}


def draw_case(rng: np.random.Generator, *, layers: int | None = None, want: str = "") -> Handmade:
    """A random network with a random batch; `want` is the mistake there has to be room for."""
    depth = layers or int(rng.integers(2 if want in DEEP else 1, 5))
    output, loss = OUTPUTS[rng.integers(len(OUTPUTS))]
    if want == "softmax_over_batch":
        output, loss = "softmax", ("cross_entropy", "squared_error")[rng.integers(2)]
    widths = rng.integers(2 if want else 1, 8, depth)
    if output == "softmax":
        widths[-1] = max(2, widths[-1])
    inputs = int(rng.integers(1, 9))
    if want == "transposed" and rng.random() < 0.5:
        widths[:] = inputs = max(2, inputs)
    chain: list[Any] = []
    for k, units in enumerate(widths):
        activation = output if k == depth - 1 else HIDDEN[rng.integers(len(HIDDEN))]
        chain.append(Dense(int(units), activation, bias=bool(rng.random() < 0.9 or want == "bias_not_averaged")))
        if k < depth - 1 and (rng.random() < 0.15 or (want == "dropout_mask_missing" and k == depth - 2)):
            chain.append(Dropout(float(rng.uniform(0.1, 0.6))))
    penalty = want == "missing_penalty" or rng.random() < 0.3
    kinds = [(1, 0), (0, 1), (1, 1)][rng.integers(3)]
    l1, l2 = (float(10 ** rng.uniform(-3, -1)) * kind * penalty for kind in kinds)
    net = Network(chain, inputs=inputs, loss=loss, l1=l1, l2=l2, dtype="float64", seed=int(rng.integers(2**31)))
    net.parameters.values[:] += rng.normal(scale=0.3, size=net.parameters.size)
    n = int(rng.integers(2, 41))
    X = rng.normal(size=(n, inputs))
    units = net.outputs
    if output == "softmax":
        Y = np.eye(units)[rng.integers(units, size=n)]
    elif loss == "cross_entropy":
        Y = rng.integers(2, size=(n, units)).astype(float)
    else:
        Y = rng.normal(size=(n, units))
    weight = rng.uniform(0.2, 3.0, n) if rng.random() < 0.3 else None
    dropped = any(isinstance(layer, Dropout) for layer in net.layers)
    step = int(rng.integers(100)) if dropped and (want == "dropout_mask_missing" or rng.random() < 0.7) else None
    return Handmade(net, X, Y, weight, step)


DEEP = {"preactivation_for_activation", "updated_weights_in_backward", "dropout_mask_missing", "slope_at_activation"}
EVERYWHERE = {"bias_not_averaged", "sum_not_mean", "missing_penalty", "sign_flipped", "updated_weights_in_backward"}
NAMES = (
    "bias_not_averaged",
    "sum_not_mean",
    "extra_batch_division",
    "missing_slope",
    "slope_at_activation",
    "preactivation_for_activation",
    "updated_weights_in_backward",
    "sign_flipped",
    "transposed",
    "softmax_over_batch",
    "missing_penalty",
    "stale_gradient",
    "dropout_mask_missing",
    "swapped_units",
)


def choices(name: str, case: Handmade, rng: np.random.Generator) -> Place | None:
    """A place for the mistake, or None where this network has none."""
    layers: Any = case.net.layers
    dense = [i for i, layer in enumerate(layers) if isinstance(layer, Dense)]
    if name == "sum_not_mean":
        return name, None
    if name == "softmax_over_batch":
        return name, dense[-1]
    if name == "dropout_mask_missing":
        dropouts = [i for i in range(len(layers)) if isinstance(layers[i], Dropout) and case.step is not None]
        return (name, int(rng.choice(dropouts))) if dropouts else None
    if name in EVERYWHERE and len(dense) > 2 and rng.random() < 0.5:
        return name, None
    places = dense
    if name in ("missing_slope", "slope_at_activation"):
        paired = case.net.paired
        places = [i for i in dense if layers[i].activation.name != "identity" and not (paired and i == dense[-1])]
        if name == "slope_at_activation":
            places = [i for i in places if layers[i].activation.name != "softmax"]
    elif name == "preactivation_for_activation":
        places = [i for k, i in enumerate(dense) if k and layers[dense[k - 1]].activation.name != "identity"]
    elif name == "updated_weights_in_backward":
        places = dense[1:]
    elif name == "swapped_units":
        # the gradients of two softmax units are each other's negative: exchanged, or of the wrong sign, is the same
        places = [i for i in dense if layers[i].units > 1 + (layers[i].activation.name == "softmax")]
    elif name == "bias_not_averaged":
        places = [i for i in dense if layers[i].has_bias]
    elif name == "transposed":
        places = [i for i in dense if min(layers[i].weight.shape) > 1]
    return (name, int(rng.choice(places))) if places else None


def switch(name: str, layer: int | None, case: Handmade, rng: np.random.Generator) -> dict[str, Any]:
    """The details of one mistake."""
    if name == "updated_weights_in_backward":
        return {"rate": float(10 ** rng.uniform(-2, 0))}
    if name == "sign_flipped":
        return {"onward": layer is not None and bool(rng.random() < 0.5)}
    if name == "swapped_units":
        layers: Any = case.net.layers
        return {"units": tuple(rng.choice(layers[layer].units, 2, replace=False))}
    if name == "stale_gradient":
        before = Handmade(case.net.astype("float64"), case.X, case.Y, case.weight, case.step)
        before.net.parameters.values[:] += np.random.default_rng(case.net.seed).normal(
            0.0, 0.05, case.net.parameters.size
        )
        return {"previous": before.gradients()}
    return {}


def flat(net: Network, gradients: dict[str, Any]) -> Any:
    return np.concatenate([gradients[name].ravel() for name in net.parameters.names])


def visible(case: Handmade, least: float) -> bool:
    """Whether each planted mistake changes some array by more than `least`, relative to its size."""
    every = case.gradients()
    for place in case.plant:
        others = {other: details for other, details in case.plant.items() if other != place}
        without = Handmade(case.net, case.X, case.Y, case.weight, case.step, others).gradients()
        changes = [
            1.0 if every[k].shape != g.shape else np.linalg.norm(every[k] - g) / (np.linalg.norm(g) + 1e-12)
            for k, g in without.items()
        ]
        sizes = [np.linalg.norm(g) for g in without.values()]
        if not any(c > least and s > 1e-3 * max(sizes) for c, s in zip(changes, sizes, strict=True)):
            return False
    return True


def planted(rng: np.random.Generator, names: tuple[str, ...]) -> Handmade:
    """A case with these mistakes in it, in different layers, each of which can be seen."""
    while True:
        case = draw_case(rng, layers=int(rng.integers(3, 5)) if len(names) > 1 else None, want=names[0])
        places = [place for name in names if (place := choices(name, case, rng)) is not None]
        if len(places) < len(names) or (
            len(places) > 1 and (None in {p[1] for p in places} or len({p[1] for p in places}) < 2)
        ):
            continue
        case.plant = {place: switch(*place, case, rng) for place in places}
        if visible(case, 1e-3):
            return case


def expected(case: Handmade) -> set[Place]:
    dense = [i for i, layer in enumerate(case.net.layers) if isinstance(layer, Dense)]
    found = set()
    for (name, layer), details in case.plant.items():
        whole = name == "sign_flipped" and details["onward"] and layer == dense[-1] and len(dense) > 1
        found.add((name, None if whole else layer))
    return found


def judged(case: Handmade, rng: np.random.Generator) -> Diagnosis:
    """The diagnosis, given in one of the forms that gradients come in."""
    gradients = case.gradients()
    if rng.random() < 0.5:
        gradients = {name: array.astype(np.float32) for name, array in gradients.items()}
    extra: dict[str, Any] = {}
    for (name, _), details in case.plant.items():
        if name == "stale_gradient":
            extra["previous"] = details["previous"]
            if gradients[case.net.parameters.names[0]].dtype == np.float32:
                extra["previous"] = {name: array.astype(np.float32) for name, array in details["previous"].items()}
        if name == "updated_weights_in_backward" and rng.random() < 0.5:
            extra["optimizer"] = SGD(details["rate"])
    given: Any = gradients if rng.random() < 0.5 else flat(case.net, gradients)
    return diagnose(case.net, case.X, case.Y, given, sample_weight=case.weight, step=case.step, **extra)


def found(diagnosis: Diagnosis) -> set[Place]:
    return {(finding.name, finding.layer) for finding in diagnosis.findings}


def right_gradients(case: Handmade) -> None:
    """The handmade gradients without a mistake are the reference's."""
    work = case.net.workspace(len(case.X))
    work.load(case.X, case.Y, case.weight)
    case.net.forward_pass(work, case.step)
    case.net.backward_pass(work)
    case.net.average()
    np.testing.assert_allclose(flat(case.net, case.gradients()), case.net.parameters.gradients, 1e-9, 1e-12)


def rate(name: str, cases: int, seed: int) -> tuple[int, list[str]]:
    """How many of so many planted cases are named right, and what was said of the others."""
    rng = np.random.default_rng([seed, NAMES.index(name)])
    wrong = []
    for _ in range(cases):
        case = planted(rng, (name,))
        diagnosis = judged(case, rng)
        if found(diagnosis) != expected(case):
            wrong.append(f"{expected(case)} was called {found(diagnosis)} in {case.net}, {len(case.X)} rows")
    return cases - len(wrong), wrong


def pairs_rate(cases: int, seed: int) -> tuple[int, list[str]]:
    """The same for two different mistakes at once, in different layers."""
    rng = np.random.default_rng(seed)
    wrong = []
    for _ in range(cases):
        first, second = (str(name) for name in rng.choice([n for n in NAMES if n != "sum_not_mean"], 2, replace=False))
        case = planted(rng, (first, second))
        diagnosis = judged(case, rng)
        if found(diagnosis) != expected(case):
            wrong.append(f"{expected(case)} was called {found(diagnosis)} in {case.net}, {len(case.X)} rows")
    return cases - len(wrong), wrong


def false_findings(cases: int, seed: int) -> list[str]:
    """What is found in right gradients: exact, rounded, with noise of float32's size, and computed in float32."""
    rng = np.random.default_rng(seed)
    wrong = []
    for _ in range(cases):
        case = draw_case(rng)
        if rng.random() < 0.2:  # rows of zeros and ones, some of them all zero: units stand on their kinks
            case.X = rng.integers(2, size=case.X.shape) * (rng.random((len(case.X), 1)) < 0.7) * 1.0
            case.net.parameters.values[case.net.parameters.weight_mask == 0] = 0.0
        right = flat(case.net, case.gradients())
        noise = rng.normal(size=right.size)
        forms = {
            "float64": right,
            "rounded to float32": right.astype(np.float32),
            "relative noise": right * (1 + 1e-7 * noise),
            "absolute noise": right + 1e-7 * np.abs(right).max() * noise,
            "computed in float32": computed_in_float32(case, rng),
        }
        for form, gradients in forms.items():
            net = case.net.astype("float32") if form == "computed in float32" else case.net
            diagnosis = diagnose(net, case.X, case.Y, gradients, sample_weight=case.weight, step=case.step)
            if not diagnosis.ok:
                wrong.append(f"{form}: {found(diagnosis)} in {case.net}, {len(case.X)} rows")
    return wrong


def computed_in_float32(case: Handmade, rng: np.random.Generator) -> Any:
    """Right gradients with all arithmetic in float32; without dropout also the rows in another order."""
    net = case.net.astype("float32")
    order = rng.permutation(len(case.X)) if case.step is None else np.arange(len(case.X))
    work = net.workspace(len(order))
    weight = None if case.weight is None else case.weight[order].astype(np.float32)
    work.load(case.X[order].astype(np.float32), case.Y[order].astype(np.float32), weight)
    net.forward_pass(work, case.step)
    net.backward_pass(work)
    net.average()
    return net.parameters.gradients.copy()


# ── the tests ──────────────────────────────────────────────────────────────────────────────────────────────


def test_the_handmade_gradients_are_right() -> None:
    rng = np.random.default_rng(1)
    for _ in range(60):
        right_gradients(draw_case(rng))


@pytest.mark.parametrize("name", NAMES)
def test_a_planted_mistake_is_named(name: str) -> None:
    right, wrong = rate(name, 30, seed=0)
    assert right >= 0.95 * 30, wrong


def test_two_mistakes_in_different_layers_are_both_named() -> None:
    right, wrong = pairs_rate(30, seed=0)
    assert right >= 0.9 * 30, wrong


def test_nothing_is_found_in_right_gradients() -> None:
    assert false_findings(60, seed=0) == []


@pytest.mark.torture
def test_the_rates_of_many_cases(capsys: pytest.CaptureFixture[str]) -> None:
    """The measured rates, as a table."""
    cases = 300
    lines, missed = [f"\n{'planted':<32}{'cases':>7}{'named right':>14}"], []
    for name in (*NAMES, "two in different layers"):
        right, wrong = rate(name, cases, seed=1) if name in NAMES else pairs_rate(cases, seed=1)
        lines.append(f"{name:<32}{cases:>7}{100 * right / cases:>12.1f} %")
        if right < 0.95 * cases:
            missed.append((name, wrong))
    false = false_findings(cases, seed=1)
    lines.append(f"{'none, in five forms':<32}{5 * cases:>7}{100 - 100 * len(false) / (5 * cases):>12.1f} %")
    with capsys.disabled():
        print("\n".join(lines))
    assert missed == []
    assert false == []
