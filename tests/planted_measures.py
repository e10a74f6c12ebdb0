"""How often a planted mistake is named, and what is found in right gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
from tests.planted_cases import BUGS, SIGMOID_CE, differs, draw, flat, plant
from tests.planting import Handmade

from backlit import SGD
from backlit.lens.diagnosis.diagnose import Diagnosis, diagnose


def judged(case: Handmade, rng: np.random.Generator) -> Diagnosis:
    """The diagnosis, given in one of the forms that gradients come in."""
    gradients = case.gradients()
    extra: dict[str, Any] = {}
    for name, _, detail in case.bugs:
        if name in ("stale_gradient", "accumulated_previous", "momentum_inside"):
            extra["previous"] = detail[1] if name == "momentum_inside" else detail
        if name == "factor" and detail in (0.1, 0.03, -0.01):
            extra["optimizer"] = SGD(abs(detail))
    shaped = any(g.shape != case.net.parameters.shapes[name] for name, g in gradients.items())
    given: Any = gradients if shaped or rng.random() < 0.5 else flat(case.net, gradients)
    return diagnose(case.net, case.X, case.Y, given, sample_weight=case.weight, step=case.step, **extra)


def said(case: Handmade, diagnosis: Diagnosis) -> str:
    called = f"{found(diagnosis)} or {diagnosis.alternatives}"
    return f"{case.expected} was called {called} in {case.net}, {len(case.X)} rows"


def found(diagnosis: Diagnosis) -> set[tuple[str, int | None]]:
    return {(finding.name, finding.layer) for finding in diagnosis.findings}


def measured(bug: str, cases: int, seed: int) -> tuple[int, int, int, list[str]]:
    """Of so many planted cases: how many are named right first, with the right place too, or among ties; the others."""
    rng = np.random.default_rng([seed, list(BUGS).index(bug)])
    first = placed = tied = 0
    wrong = []
    for _ in range(cases):
        case = plant(rng, bug)
        diagnosis = judged(case, rng)
        names, wanted = {name for name, _ in found(diagnosis)}, {name for name, _ in case.expected}
        first += names == wanted
        placed += names == wanted and (
            None in {p for _, p in case.expected}
            or found(diagnosis) == case.expected
            or case.depth == 1
            or {p for _, p in found(diagnosis)} == {None}
        )
        if names != wanted:
            tied += any({one.split(" (")[0] for one in other} == wanted for other in diagnosis.alternatives)
            wrong.append(said(case, diagnosis))
    return first, placed, tied, wrong


#: Mistakes that stay in one layer's place, and so can be planted beside another.
LAYERED = [
    "sign_of_layer", "missing_slope", "bias_not_averaged", "one_array_doubled", "slope_at_activation", "slope_twice",
    "slope_of_another", "activation_for_slope", "reshaped_weight", "weight_left_out", "weight_without_sign",
    "preactivation_for_activation", "ones_for_input", "weight_for_input", "bias_zero", "gradient_zero", "bias_scalar",
    "bias_times_input", "bias_first_row", "targets_left_out", "targets_of_other_rows", "swapped_units",
    "input_of_other_rows", "divided_early",
]  # fmt: skip


def pairs(cases: int, seed: int) -> tuple[int, list[str]]:
    """How many of two mistakes at once, in different layers, are both named; what was said of the others."""
    rng = np.random.default_rng(seed)
    right, wrong, made = 0, [], 0
    while made < cases:
        first, second = (str(name) for name in rng.choice(LAYERED, 2, replace=False))
        if BUGS[first][0] == BUGS[second][0]:
            continue
        base = draw(rng, depth=int(rng.integers(3, 6)), factor=True, outputs=3)
        case = plant(rng, first, base)
        case = None if case is None else plant(rng, second, case, [bug[1] for bug in case.bugs])
        if case is None or not each_visible(case):
            continue
        made += 1
        diagnosis = judged(case, rng)
        names = sorted(name for name, _ in found(diagnosis))
        right += names == sorted(name for name, _ in case.expected)
        if names != sorted(name for name, _ in case.expected):
            wrong.append(said(case, diagnosis))
    return right, wrong


def each_visible(case: Handmade) -> bool:
    """Whether each of several bugs changes what the others leave."""
    every = case.gradients()
    for one in case.bugs:
        others = [bug for bug in case.bugs if bug is not one]
        if not differs(Handmade(case.net, case.X, case.Y, case.weight, case.step, others).gradients(), every):
            return False
    return True


def false_names(cases: int, seed: int) -> tuple[int, list[str]]:
    """How many correct gradients were judged, and what was found in them.

    Exact and rounded, computed in float32, saturated units, kinks, one row, one output, equal rows.
    """
    rng = np.random.default_rng(seed)
    judged_, wrong = 0, []
    for _ in range(cases):
        case = draw(rng)
        kind = rng.integers(6)
        if kind == 0:  # units stand on their kinks
            case.X = rng.integers(2, size=case.X.shape) * (rng.random((len(case.X), 1)) < 0.7) * 1.0
            case.net.parameters.values[case.net.parameters.weight_mask == 0] = 0.0
        elif kind == 1:  # saturated
            case.net.parameters.values[:] *= 4.0
        elif kind == 2 and case.step is None:
            case.X, case.Y = case.X[:1], case.Y[:1]
            case.weight = None if case.weight is None else case.weight[:1]
        elif kind == 3:
            case.X[:], case.Y[:] = case.X[0], case.Y[0]
        elif kind == 4:
            case = draw(rng, output=SIGMOID_CE)
        with np.errstate(all="ignore"):
            right = flat(case.net, case.gradients())
        if not np.isfinite(right).all():
            continue
        noise = rng.normal(size=right.size)
        forms = {
            "float64": right,
            "rounded to float32": right.astype(np.float32),
            "relative noise": right * (1 + 1e-7 * noise),
            "absolute noise": right + 1e-7 * np.abs(right).max() * noise,
            "computed in float32": in_float32(case),
        }
        for form, gradients in forms.items():
            net = case.net.astype("float32") if form == "computed in float32" else case.net
            diagnosis = diagnose(net, case.X, case.Y, gradients, sample_weight=case.weight, step=case.step)
            judged_ += 1
            if not diagnosis.ok:
                wrong.append(f"{form}, kind {kind}: {found(diagnosis)} in {case.net}, {len(case.X)} rows")
    return judged_, wrong


def in_float32(case: Handmade) -> Any:
    """Right gradients with all arithmetic in float32."""
    net = case.net.astype("float32")
    work = net.workspace(len(case.X))
    weight = None if case.weight is None else case.weight.astype(np.float32)
    work.load(case.X.astype(np.float32), case.Y.astype(np.float32), weight)
    with np.errstate(all="ignore"):
        net.forward_pass(work, case.step)
        net.backward_pass(work)
        net.average()
    return net.parameters.gradients.copy()
