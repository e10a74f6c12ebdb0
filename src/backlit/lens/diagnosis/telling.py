"""From the cheapest stories to findings: what is made everywhere is said once, and what ties is said too."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from ...parameters import Array
from .catalogue import CATALOGUE, NAMES
from .given import Given
from .passes import UNKNOWN, Mistake, Passes
from .results import Comparison, Diagnosis, Finding
from .search import Story
from .words import Case, explanation, right_line, where

_POINTS: Final = 60
Told = list[tuple[Mistake, int | None]]

# Names whose readings differ with the number of rows.
_OF_ROWS: Final = {
    name
    for name, named in CATALOGUE.items()
    if named.cure == "mean" or name.startswith(("bias_", "only_", "loss_", "out"))
}


def report(exact: Passes, given: Given, stories: list[Story], precision: str, right_names: set[str]) -> Diagnosis:
    """The diagnosis of the stories that explain what was given."""
    comparisons = []
    for name in given.names:
        error, cosine = compare(_shown(exact, given, name), exact.part(name))
        points = _points(exact.part(name), _shown(exact, given, name))
        comparisons.append(Comparison(name, given.shapes[name], error, cosine, name in right_names, points))
    told = [whole_network(exact, given, story) + _others(exact, given, story, right_names) for story in stories]
    order = sorted(
        range(len(stories)), key=lambda i: (round(stories[i].cost, 6), len(told[i]), _ranks(told[i]), stories[i].misfit)
    )
    best = order[0]
    findings, places = [], []
    for mistake, layer in told[best]:
        mistake = _with_comparison(exact, given, mistake, layer)
        case = Case(stories[best].passes, given, mistake, layer)
        line = "" if mistake.name == UNKNOWN and not mistake.array else right_line(case)
        findings.append(Finding(mistake.name, layer, dict(mistake.numbers), explanation(case), line, mistake.array))
        places.append(where(exact.net, layer))
    mine = _names(told[best])
    others = dict.fromkeys(_names(told[i]) for i in order if len(told[i]) == len(told[best]))
    others.pop(mine, None)
    ties = tuple(other for other in others if {n.split(" (")[0] for n in other} != {n.split(" (")[0] for n in mine})[:4]
    return Diagnosis(
        tuple(findings), tuple(comparisons), precision, exact.n, tuple(places), ties,
        _told_apart(exact, mine, ties) if ties else "", given.notes, given.missing,
    )  # fmt: skip


def _others(exact: Passes, given: Given, story: Story, right_names: set[str]) -> Told:
    """The arrays of layers that are not Dense, judged by themselves; below a mistake in delta they cannot be right."""
    found: Told = []
    for name in given.names:
        index = int(name.split(".")[0])
        if index in exact.dense or name in right_names:
            continue
        if any(mistake.onward and mistake.shows > index for mistake in story.mistakes):
            continue
        error, cosine = compare(given.arrays[name], exact.part(name))
        right, mine = exact.part(name), given.arrays[name]
        size = float(np.vdot(right, right))
        ratio = float(np.vdot(mine, right)) / size if size > 0.0 else float("nan")
        constant = right.size > 3 and 1.0 - cosine**2 < 1e-12 * error**2
        what = Mistake("constant_factor" if constant else UNKNOWN, index, index, name, numbers={"ratio": ratio})
        found.append((what, index))
    return found


def _points(right: Array, mine: Array) -> tuple[tuple[float, float], ...]:
    """Some numbers of both, evenly over the array."""
    chosen = np.linspace(0, right.size - 1, min(right.size, _POINTS)).astype(int)
    return tuple((float(right.ravel()[i]), float(mine.ravel()[i])) for i in chosen)


def _told_apart(exact: Passes, mine: tuple[str, ...], ties: tuple[tuple[str, ...], ...]) -> str:
    names = {name.split(" (")[0] for one in (mine, *ties) for name in one}
    n, k = exact.n, exact.net.outputs
    if n == 1:
        return "A batch of several different rows would tell them apart."
    if names & _OF_ROWS:
        rows = next(r for r in range(n + 1, n + 100) if r not in (2, 3, 4, 2 * n, n * n, k, 2 * k, 2 * n + 1))
        return f"A batch of {rows} rows would tell them apart."
    return "A batch of other rows, drawn at random, would tell them apart if they differ."


def _shown(exact: Passes, given: Given, name: str) -> Array:
    """What was given of a parameter, in its shape as far as that goes."""
    if name in given.arrays:
        return given.arrays[name]
    array, right = given.odd[name][1], exact.part(name)
    if array.size == 1:
        return np.full_like(right, float(array.ravel()[0]))
    if array.ndim == 2 and right.size in array.shape:
        return np.asarray(array.sum(axis=0) if array.shape[1] == right.size else array.sum(axis=1))
    return np.full_like(right, np.nan)


def whole_network(exact: Passes, given: Given, story: Story) -> Told:
    """The mistakes with the layer each is reported at: one that is made everywhere is the whole network's, once.

    The whole network's first, then from the output down.
    """
    distinct = {(m.name, m.layer, m.array): m for m in reversed(story.mistakes)}
    kept = list(reversed(distinct.values()))
    found: Told = []
    for name in dict.fromkeys(mistake.name for mistake in kept):
        same = [mistake for mistake in kept if mistake.name == name]
        layers = [i for i in exact.dense if given.of_layer(i)]
        whole = [m.layer for m in same]
        if name == UNKNOWN and all(not m.array for m in same) and whole == layers[-len(same) :]:
            found.append(
                (replace(same[0], numbers={"layers_below_too": "yes" if len(same) > 1 else ""}), same[0].layer)
            )
        elif _made_everywhere(exact, given, same):
            one = same[0]
            array = f"*.{one.array.split('.')[1]}" if one.array else ""
            found.append((replace(one, array="" if not array else one.array), None))
        else:
            found += [(mistake, mistake.layer) for mistake in same]
    return sorted(found, key=lambda one: len(exact.net.layers) if one[1] is None else one[1], reverse=True)


def _made_everywhere(exact: Passes, given: Given, same: list[Mistake]) -> bool:
    one, layers = same[0], {mistake.layer for mistake in same}
    if one.name == UNKNOWN:
        return False
    concerned = {i for i in exact.delta if given.of_layer(i)}
    top = max(exact.delta)
    factor = "expected_ratio" in one.numbers or one.name in ("sign_flipped", "constant_factor")
    if (one.onward and one.name in ("sign_flipped", "constant_factor")) or (one.onward and factor):
        return (
            len(same) == 1
            and one.shows == top
            and not one.array
            and (len(exact.dense) > 1 or one.name == "sum_not_mean")
        )
    if one.array or one.name == "bias_not_averaged":
        kinds = {mistake.array.split(".")[1] for mistake in same if mistake.array}
        if len(kinds) != 1:
            return False
        kind = kinds.pop()
        concerned = {i for i in concerned if f"{i}.{kind}" in given.names}
    if len(layers) < 2:
        return len(concerned) == 1 and len(exact.dense) == 1 and one.name == "sum_not_mean" and not one.array
    ends = concerned - {top}, concerned - {min(exact.delta)}
    hidden_only = CATALOGUE[one.name].cure in ("delta", "down") or one.name in ("preactivation_for_activation",)
    return layers == concerned or (hidden_only and len(layers) > 1 and layers in ends)


def _with_comparison(exact: Passes, given: Given, mistake: Mistake, layer: int | None) -> Mistake:
    """The mistake with its evidence: first the distance where it shows, then what was measured of it."""
    if layer is None:
        kind = mistake.array.partition(".")[2]
        names = [name for name in given.names if not kind or name.endswith(f".{kind}")]
    elif mistake.array:
        names = [mistake.array]
    else:
        below = next((i for i in exact.dense if given.of_layer(i) and i <= mistake.shows), mistake.shows)
        names = given.of_layer(below) or given.names
    one = np.concatenate([_shown(exact, given, name).ravel() for name in names])
    other = np.concatenate([exact.part(name).ravel() for name in names])
    error, cosine = compare(one, other)
    size = float(np.dot(other, other))
    ratio = float(np.dot(one, other)) / size if size > 0.0 else float("nan")
    return replace(mistake, numbers={"relative_error": error, "cosine": cosine, "ratio": ratio, **mistake.numbers})


def compare(given: Array, right: Array) -> tuple[float, float]:
    """‖given − right‖ / ‖right‖ and the cosine between the two; of two zeros, 0 and 1."""
    sizes = float(np.linalg.norm(given)), float(np.linalg.norm(right))
    distance = float(np.linalg.norm(given - right))
    if distance == 0.0:
        return 0.0, 1.0
    if min(sizes) == 0.0:
        return (distance / sizes[1] if sizes[1] else float("inf")), 0.0
    return distance / sizes[1], float(np.vdot(given, right)) / (sizes[0] * sizes[1])


def _ranks(told: Told) -> list[int]:
    """Where explanations cannot be told apart, the mistake that stands first in the catalogue is preferred."""
    return sorted(NAMES.index(mistake.name) for mistake, _ in told)


def _names(told: Told) -> tuple[str, ...]:
    return tuple(f"{m.name} ({'whole network' if layer is None else f'layer {layer}'})" for m, layer in told)
