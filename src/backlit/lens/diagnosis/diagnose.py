"""Naming the mistake in somebody's own gradients."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Final, final

import numpy as np

from ...checking.batch_loss import FrozenBatch, check_step
from ...kinds.optimizers import Optimizer, initial_state, take_step
from ...kinds.schedules import rate_at
from ...network import Network
from ...pages import Cell, Page, Table, Tone, Words, count, number, plain, shown
from ...parameters import Array
from .given import Given, read_gradients
from .match import Judge
from .mistakes import Mistake, Passes, softmax_over_batch
from .search import UNKNOWN, Story, Update, simplest_stories
from .words import NAMES, Case, explanation, where

# Mistakes made in every layer at once are one mistake, of the whole network.
_OF_THE_NETWORK: Final = (
    "sum_not_mean",
    "sign_flipped",
    "bias_not_averaged",
    "missing_penalty",
    "stale_gradient",
    "updated_weights_in_backward",
)
# Which gradients a mistake is in, where it is not in both: by its name, or by what is said of where it is.
_KINDS: Final = {
    "bias_not_averaged": ".bias",
    "missing_penalty": ".weight",
    "preactivation_for_activation": ".weight",
    "biases": ".bias",
    "weights": ".weight",
    "weight gradient": ".weight",
}
# To which precision gradients are compared, for the type they come in: the most exact first.
_PRECISIONS: Final = {"float64": ("float64", "float32"), "float32": ("float32",), "float16": ("float16",)}


@final
@dataclass(frozen=True)
class Finding:
    """One mistake.

    Attributes
    ----------
    name : str
        One of ``backlit.lens.diagnosis.words.NAMES``; "unknown" where no known mistake fits.
    layer : int or None
        Where it was made: the layer's index in the network's list; None is the whole network. Of weights updated too
        early, and of W used for Wᵀ, it is the layer whose weights they are; of a missing mask, the Dropout layer.
    evidence : dict
        The numbers: where the mistake shows first, `relative_error`, ‖given − right‖ / ‖right‖, `cosine` and `ratio` of
        the gradients given to the right ones; and what was measured of the mistake itself.
    explanation : str
        What was done, the formula that should stand there, and what to change.
    """

    name: str
    layer: int | None
    evidence: dict[str, float | str]
    explanation: str


@final
@dataclass(frozen=True)
class Comparison:
    """One array of gradients, of the shape it was given in, beside the right one.

    `relative_error` is ‖given − right‖ / ‖right‖, `cosine` that of the angle between the two.
    """

    name: str
    shape: tuple[int, ...]
    relative_error: float
    cosine: float


@shown
@final
@dataclass(frozen=True)
class Diagnosis:
    """What `diagnose` found. Printing it shows a page.

    Attributes
    ----------
    findings : tuple of Finding
        From the output down; empty where every gradient is right.
    comparisons : tuple of Comparison
        Every array that was given.
    precision : str
        The floating-point type to whose rounding the gradients, or the findings, were compared.
    rows : int
        Of the batch.
    places : tuple of str
        Where each finding is, in words.
    alternatives : tuple of tuple of str
        Other explanations that this data cannot tell apart from the findings.
    """

    findings: tuple[Finding, ...]
    comparisons: tuple[Comparison, ...]
    precision: str
    rows: int
    places: tuple[str, ...] = ()
    alternatives: tuple[tuple[str, ...], ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every gradient given is right."""
        return not self.findings

    def page(self) -> Page:
        """The diagnosis as a page."""
        if self.ok:
            title = "Diagnosis: every gradient is right"
        else:
            title = f"Diagnosis: {count(len(self.findings), 'mistake')}"
        given = count(len(self.comparisons), "array")
        blocks: list[Words | Table] = [
            Words(f"{given} of gradients judged on {count(self.rows, 'row')}, to the rounding of {self.precision}."),
            Words(""),
            self._comparison_table(),
        ]
        for position, (finding, place) in enumerate(zip(self.findings, self.places, strict=True), 1):
            evidence: list[list[Cell | str]] = [
                [Cell(key.replace("_", " "), "dim"), value if isinstance(value, str) else number(value)]
                for key, value in finding.evidence.items()
            ]
            blocks += [
                Words(""),
                Words(f"{position}. {finding.name} in {place}", "bad"),
                Words(finding.explanation, indent=3),
                Table(["", ""], evidence, "ll", indent=5),
            ]
        if self.alternatives:
            others = "; or ".join(" and ".join(names) for names in self.alternatives)
            blocks += [Words(""), Words(f"On this data the same numbers would come of {others}.", "poor")]
        return Page(title, blocks)

    def _comparison_table(self) -> Table:
        rows: list[list[Cell | str]] = []
        for one in self.comparisons:
            tone: Tone = "good" if self.ok or one.relative_error < 1e-7 else ""
            rows.append([one.name, str(one.shape), Cell(f"{one.relative_error:.1e}", tone), f"{one.cosine:.6f}"])
        return Table(["gradient", "shape", "relative error", "cosine"], rows, "llrr")

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        result: dict[str, Any] = plain({"ok": self.ok, **asdict(self)})
        return result


def diagnose(
    net: Network,
    X: Any,
    y: Any,
    my_gradients: Any,
    *,
    sample_weight: Any = None,
    step: int | None = None,
    previous: Any = None,
    optimizer: Optimizer | None = None,
) -> Diagnosis:
    """Name the mistake in somebody's own gradients of the same network.

    From the output down, each layer's gradients are compared with what the reference's delta leads to, and where they
    differ, with what each of the known mistakes would lead to. A mistake in delta is handed on to the layers below. The
    simplest explanation to the last digit is reported; what rounding explains is none.

    Parameters
    ----------
    net : Network
        With the parameters at which the gradients were computed; of any dtype.
    X, y, sample_weight : array_like
        The batch, as in ``net.gradient``.
    my_gradients : array_like of shape (P,), or mapping of str to array_like
        In the order of ``net.parameters.values``, or by parameter name ("0.weight"): some of them is enough.
    step : int, optional
        For a network with Dropout: the training step whose masks were in use. Without, there is no dropout.
    previous : as `my_gradients`, optional
        The gradients of the step before, to recognise those that were left standing.
    optimizer : Optimizer, optional
        To recognise weights that were updated too early; its first step is taken. Without, gradient descent of any
        learning rate is tried, and the rate measured.

    Returns
    -------
    Diagnosis

    Raises
    ------
    ShapeError
        For gradients of a shape that is neither the parameter's nor, for weights, its transpose.
    ParameterNameError
        For a name that no parameter has; the nearest names are offered.
    NonFiniteError
        For NaN or infinity among the gradients.

    Examples
    --------
    >>> from backlit import Dense
    >>> net = Network([Dense(3, "tanh"), Dense(1)], inputs=2, dtype="float64")
    >>> X, y = [[0.5, -1.0], [2.0, 0.3]], [1.0, 0.0]
    >>> diagnose(net, X, y, net.gradient(X, y)).ok
    True
    >>> [(finding.name, finding.layer) for finding in diagnose(net, X, y, 2 * net.gradient(X, y)).findings]
    [('sum_not_mean', None)]
    """
    X, Y, weight = net.check_data(X, y, sample_weight=sample_weight)
    step = check_step(step)
    given = read_gradients(my_gradients, net.parameters)
    before = None if previous is None else read_gradients(previous, net.parameters, "previous")

    def frozen(dtype: str = "float64") -> FrozenBatch:
        return FrozenBatch(net, X, Y, weight, step, dtype)

    with np.errstate(all="ignore"):
        exact, rough = Passes(frozen()), Passes(frozen("float32"))
        starts = [exact]
        for index, layer in exact.dense.items():
            if layer.activation.name == "softmax":
                starts += [softmax_over_batch(frozen(), index, backward_too=both) for both in (False, True)]
        update = _update(exact, given, optimizer)
        precisions = _PRECISIONS[given.precision]
        for precision in precisions:
            judge = Judge(exact, rough, given, before, float(np.finfo(precision).eps))
            stories = simplest_stories(judge, starts, update, unknown=precision == precisions[-1])
            if stories:
                break
    return _report(net, exact, given, stories, precision)


def _update(exact: Passes, given: Given, optimizer: Optimizer | None) -> Update:
    """The update that may have come too early: along the gradients given, or along the right ones."""
    parameters = exact.net.parameters
    mine = given.vector(parameters, exact.gradient)
    gradients = [mine] if np.array_equal(mine, exact.gradient) else [mine, exact.gradient]
    if optimizer is None:
        return Update(gradients=gradients)
    after = []
    for gradient in gradients:
        values = parameters.values.copy()
        state = initial_state(optimizer, values.size, values.dtype)
        rate = rate_at(optimizer.learning_rate, 0.0)
        take_step(optimizer, values, gradient.copy(), parameters.weight_mask, state, rate)
        after.append(values)
    return Update(values=after)


# ── from the story to the report ───────────────────────────────────────────────────────────────────────────


def _report(net: Network, exact: Passes, given: Given, stories: list[Story], precision: str) -> Diagnosis:
    right = exact.gradient
    mine = given.vector(exact.net.parameters, right)
    comparisons = []
    for name in given.names:
        part = exact.net.parameters.slice(name)
        error, cosine = _compare(mine[part], right[part])
        comparisons.append(Comparison(name, given.shapes[name], error, cosine))

    told = [_whole_network(exact, given, story.mistakes) for story in stories]
    best = min(range(len(stories)), key=lambda i: (len(told[i]), _ranks(told[i]), stories[i].misfit))
    findings, places = [], []
    for mistake, layer in told[best]:
        mistake = _with_comparison(exact, given, mistake, layer, mine, right)
        words = explanation(Case(net, mistake, layer, exact.work.n, exact.weight_sum))
        findings.append(Finding(mistake.name, layer, dict(mistake.numbers), words))
        places.append(where(net, layer))
    others = {_names(one) for one in told if len(one) == len(told[best])} - {_names(told[best])}
    return Diagnosis(tuple(findings), tuple(comparisons), precision, exact.work.n, tuple(places), tuple(sorted(others)))


def _whole_network(exact: Passes, given: Given, mistakes: tuple[Mistake, ...]) -> list[tuple[Mistake, int | None]]:
    """The mistakes with the layer each is reported at: one that is made everywhere is the whole network's, once.

    The whole network's first, then from the output down.
    """
    distinct = {(mistake.name, mistake.layer): mistake for mistake in reversed(mistakes)}
    kept = list(reversed(distinct.values()))
    found: list[tuple[Mistake, int | None]] = []
    for name in dict.fromkeys(mistake.name for mistake in kept):
        same = [mistake for mistake in kept if mistake.name == name]
        if name == UNKNOWN and [m.layer for m in same] == [i for i in exact.dense if i in given.layers][-len(same) :]:
            first = replace(same[0], numbers={"layers_below_too": "yes" if len(same) > 1 else ""})
            found.append((first, first.layer))
        elif name in _OF_THE_NETWORK and _made_everywhere(exact, given, same):
            found.append((same[0], None))
        else:
            found += [(mistake, mistake.layer) for mistake in same]
    return sorted(found, key=lambda one: len(exact.net.layers) if one[1] is None else one[1], reverse=True)


def _made_everywhere(exact: Passes, given: Given, same: list[Mistake]) -> bool:
    name, layers = same[0].name, {mistake.layer for mistake in same}
    if any("where" in mistake.numbers for mistake in same):
        return False
    if name == "updated_weights_in_backward":
        rates = [float(mistake.numbers.get("learning_rate", 1.0)) for mistake in same]
        return len(layers) > 1 and layers == set(list(exact.dense)[:-1]) and max(rates) < 1.01 * min(rates)
    kind = _KINDS.get(name, "")
    concerned = {int(n.split(".")[0]) for n in given.names if n.endswith(kind)}
    if same[0].onward:
        layers = {i for i in concerned if i <= same[0].shows} if len(same) == 1 else set()
    alone = len(exact.dense) == 1 and name == "sum_not_mean"
    return layers == concerned and (len(concerned) > 1 or alone)


def _with_comparison(
    exact: Passes, given: Given, mistake: Mistake, layer: int | None, mine: Array, right: Array
) -> Mistake:
    """The mistake with its evidence: first the distance where it shows, then what was measured of it."""
    kind = _KINDS.get(str(mistake.numbers.get("where")), _KINDS.get(mistake.name, ""))
    below = next((i for i in exact.dense if i in given.layers and i <= mistake.shows), None)
    of_layer = given.names if layer is None else [name for name in given.names if name.startswith(f"{below}.")]
    names = [name for name in of_layer if name.endswith(kind)] or of_layer
    parts = [exact.net.parameters.slice(name) for name in names]
    one, other = (np.concatenate([vector[part] for part in parts]) for vector in (mine, right))
    error, cosine = _compare(one, other)
    size = float(np.dot(other, other))
    ratio = float(np.dot(one, other)) / size if size > 0.0 else float("nan")
    return replace(mistake, numbers={"relative_error": error, "cosine": cosine, "ratio": ratio, **mistake.numbers})


def _compare(given: Array, right: Array) -> tuple[float, float]:
    """‖given − right‖ / ‖right‖ and the cosine between the two; of two zeros, 0 and 1."""
    sizes = float(np.linalg.norm(given)), float(np.linalg.norm(right))
    distance = float(np.linalg.norm(given - right))
    if distance == 0.0:
        return 0.0, 1.0
    if min(sizes) == 0.0:
        return (distance / sizes[1] if sizes[1] else float("inf")), 0.0
    return distance / sizes[1], float(np.vdot(given, right)) / (sizes[0] * sizes[1])


def _ranks(told: list[tuple[Mistake, int | None]]) -> list[int]:
    """Where explanations cannot be told apart, the mistake that stands first in the list of names is preferred."""
    return sorted(NAMES.index(mistake.name) for mistake, _ in told)


def _names(told: list[tuple[Mistake, int | None]]) -> tuple[str, ...]:
    return tuple(
        f"{mistake.name} ({'whole network' if layer is None else f'layer {layer}'})" for mistake, layer in told
    )
