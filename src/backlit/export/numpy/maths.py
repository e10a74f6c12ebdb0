"""Activations and losses as NumPy expressions: the same mathematics as in `layers.activations` and `losses`.

In the expressions {z}, {a} and {da} stand for the pre-activation, the activation and dL/da, all of shape (n, units);
Y are the targets, (n, outputs).
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Final, final

from ...kinds.activations import LEAK
from ...kinds.losses import Loss
from .layout import Line, number


@final
@dataclass(frozen=True)
class ActivationText:
    """One activation.

    Attributes
    ----------
    formula, slope : str
        a = f(z) and f′(z), for the reader.
    value : str
        Expression of a.
    delta : str
        Expression of delta = dL/dz.
    helpers : tuple of str
        Functions of `HELPERS` that `value` and `delta` call.
    """

    formula: str
    value: str
    slope: str
    delta: str
    helpers: tuple[str, ...] = ()


ACTIVATIONS: Final = {
    "identity": ActivationText("a = z", "{z}", "f′(z) = 1", "{da}"),
    "sigmoid": ActivationText(
        "a = σ(z) = 1/(1 + e⁻ᶻ)", "sigmoid({z})", "f′(z) = a (1 − a)", "{da} * {a} * (1 - {a})", ("sigmoid",)
    ),
    "tanh": ActivationText("a = tanh z", "np.tanh({z})", "f′(z) = 1 − a²", "{da} * (1 - {a}**2)"),
    "relu": ActivationText("a = max(z, 0)", "np.maximum({z}, 0)", "f′(z) = 1 where z > 0, else 0", "{da} * ({z} > 0)"),
    "leaky_relu": ActivationText(
        f"a = max(z, {LEAK} z)",
        f"np.maximum({{z}}, {LEAK} * {{z}})",
        f"f′(z) = 1 where z > 0, else {LEAK}",
        f"np.where({{z}} > 0, {{da}}, {LEAK} * {{da}})",
    ),
    "elu": ActivationText(
        "a = z where z > 0, else eᶻ − 1",
        "elu({z})",
        "f′(z) = 1 where z > 0, else eᶻ = a + 1",
        "{da} * (np.minimum({a}, 0) + 1)",
        ("elu",),
    ),
    "gelu": ActivationText(
        "a = z Φ(z), Φ of the normal distribution",
        "{z} * normal_cdf({z})",
        "f′(z) = Φ(z) + z φ(z)",
        "{da} * (normal_cdf({z}) + {z} * normal_pdf({z}))",
        ("normal_cdf", "normal_pdf"),
    ),
    "softplus": ActivationText(
        "a = log(1 + eᶻ)", "np.logaddexp(0, {z})", "f′(z) = σ(z)", "{da} * sigmoid({z})", ("sigmoid",)
    ),
    "silu": ActivationText(
        "a = z σ(z)",
        "{z} * sigmoid({z})",
        "f′(z) = σ(z) + a (1 − σ(z))",
        "{da} * (sigmoid({z}) + {a} * (1 - sigmoid({z})))",
        ("sigmoid",),
    ),
    "exp": ActivationText("a = eᶻ", "np.exp({z})", "f′(z) = a", "{da} * {a}"),
    "softmax": ActivationText(
        "a_k = e^(z_k) / Σ_j e^(z_j)",
        "softmax({z})",
        "dL/dz_j = a_j (dL/da_j − Σ_k a_k dL/da_k)",
        "{a} * ({da} - ({a} * {da}).sum(axis=1, keepdims=True))",
        ("softmax",),
    ),
}


def _source(text: str) -> list[str]:
    return textwrap.dedent(text).strip().splitlines()


HELPERS: Final = {
    "sigmoid": _source('''
        def sigmoid(z):
            """σ(z) = 1/(1 + e⁻ᶻ), of any shape."""
            with np.errstate(over="ignore"):  # e⁻ᶻ may become infinity, and 1/∞ = 0 is right
                return 1 / (1 + np.exp(-z))
    '''),
    "elu": _source('''
        def elu(z):
            """z where z > 0, else eᶻ − 1, of any shape."""
            return np.where(z > 0, z, np.expm1(np.minimum(z, 0)))
    '''),
    "normal_cdf": _source('''
        def normal_cdf(z):
            """Φ(z) = ½ erfc(−z/√2), of any shape; NumPy has no erfc, so one number at a time."""
            phi = [0.5 * math.erfc(-t / math.sqrt(2)) for t in z.ravel()]
            return np.array(phi, dtype=z.dtype).reshape(z.shape)
    '''),
    "normal_pdf": _source('''
        def normal_pdf(z):
            """φ(z) = e^(−z²/2) / √(2π), of any shape."""
            return np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    '''),
    "softmax": _source('''
        def softmax(z):
            """e^(z_k) / Σ_j e^(z_j) in every row, (n, units)."""
            e = np.exp(z - z.max(axis=1, keepdims=True))  # at most 1: no overflow
            return e / e.sum(axis=1, keepdims=True)
    '''),
}


@final
@dataclass(frozen=True)
class LossText:
    """One loss, at one output.

    Attributes
    ----------
    formula : str
        L of one row.
    rows : tuple of str
        Statements that leave the loss of each row in ``rows``, shape (n,).
    slope : str
        dL/da for the reader; where loss and activation are a pair, what delta is.
    gradient : str
        Expression of dL/da, or of delta for a pair.
    paired : bool
    constants : tuple of (code, comment)
        Definitions at the top of the script.
    """

    formula: str
    rows: tuple[str, ...]
    slope: str
    gradient: str
    paired: bool = False
    constants: tuple[Line, ...] = ()


_DIFFERENCE: Final = "{a} - Y"
_PAIR: Final = "the slopes cancel, dL/dz = a − y"


def loss_text(loss: Loss, activation: str) -> LossText:
    """The loss in front of an output with that activation."""
    if activation in loss.pairs:
        return _PAIRS[loss.name, activation]
    if loss.name == "huber":
        delta = number(loss.settings["delta"])
        return LossText(
            f"Σ_k ½ r² where |r| ≤ δ, else δ (|r| − ½ δ), r = a_k − y_k, δ = {delta}",
            ("r = np.abs({a} - Y)", "c = np.minimum(r, DELTA)", "rows = (c * (r - 0.5 * c)).sum(axis=1)"),
            "dL/da = a − y, not beyond ±δ",
            "np.clip({a} - Y, -DELTA, DELTA)",
            constants=((f"DELTA = {delta}", "where the huber loss turns from a parabola to a line"),),
        )
    if loss.name == "quantile":
        q = number(loss.settings["q"])
        return LossText(
            f"Σ_k max(q r, (q − 1) r), r = y_k − a_k, q = {q}",
            ("r = Y - {a}", "rows = np.maximum(Q * r, (Q - 1) * r).sum(axis=1)"),
            "dL/da = 1 − q where a > y, −q where a < y, ½ − q between",
            "0.5 * np.sign({a} - Y) + (0.5 - Q)",
            constants=((f"Q = {q}", "the quantile to be met"),),
        )
    return _LOSSES[loss.name]


_LOSSES: Final = {
    "squared_error": LossText(
        "½ Σ_k (a_k − y_k)²", ("rows = 0.5 * (({a} - Y) ** 2).sum(axis=1)",), "dL/da = a − y", _DIFFERENCE
    ),
    "mean_squared_error": LossText(
        "mean_k (a_k − y_k)²",
        ("rows = (({a} - Y) ** 2).mean(axis=1)",),
        "dL/da = 2 (a − y) / K for K outputs",
        "2 * ({a} - Y) / {a}.shape[1]",
    ),
    "absolute_error": LossText(
        "Σ_k |a_k − y_k|", ("rows = np.abs({a} - Y).sum(axis=1)",), "dL/da = sign(a − y)", "np.sign({a} - Y)"
    ),
    "poisson": LossText(
        "Σ_k [a_k − y_k + y_k log(y_k / a_k)]",
        ("logs = np.log(np.where(Y > 0, Y / {a}, 1))", "rows = ({a} - Y + Y * logs).sum(axis=1)"),
        "dL/da = 1 − y/a",
        "1 - Y / {a}",
    ),
    "hinge": LossText(
        "Σ_k max(0, 1 − t_k a_k), t = 2y − 1 = ±1",
        ("t = 2 * Y - 1", "rows = np.maximum(0, 1 - t * {a}).sum(axis=1)"),
        "dL/da = −t where t a < 1, else 0, with t = 2y − 1",
        "(1 - 2 * Y) * ((2 * Y - 1) * {a} < 1)",
    ),
}

_PAIRS: Final = {
    ("cross_entropy", "softmax"): LossText(
        "−Σ_k y_k log a_k = log Σ_j e^(z_j) − Σ_k y_k z_k",
        (
            "s = {z} - {z}.max(axis=1, keepdims=True)",
            "rows = np.log(np.exp(s).sum(axis=1)) - (Y * s).sum(axis=1)",
        ),
        f"with softmax and cross entropy {_PAIR}",
        _DIFFERENCE,
        paired=True,
    ),
    ("cross_entropy", "sigmoid"): LossText(
        "−Σ_k [y_k log a_k + (1 − y_k) log(1 − a_k)] = Σ_k [log(1 + e^(z_k)) − y_k z_k]",
        ("rows = (np.logaddexp(0, {z}) - Y * {z}).sum(axis=1)",),
        f"with sigmoid and cross entropy {_PAIR}",
        _DIFFERENCE,
        paired=True,
    ),
    ("poisson", "exp"): LossText(
        "Σ_k [a_k − y_k + y_k log(y_k / a_k)], log a_k = z_k",
        (
            "y_log_y = Y * np.log(np.where(Y > 0, Y, 1))",
            "rows = ({a} - Y + y_log_y - Y * {z}).sum(axis=1)",
        ),
        f"with exp and the poisson loss {_PAIR}",
        _DIFFERENCE,
        paired=True,
    ),
}
