"""More than gradients: somebody's activations, deltas, loss and parameters after the step. Each narrows the place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np

from ...checking.batch_loss import FrozenBatch
from ...exceptions import ConfigurationError, ShapeError
from ...kinds import ACTIVATIONS, Dense
from ...kinds.optimizers import Optimizer
from ...parameters import Array
from .factors import readings
from .given import Given, numbers, read_gradients
from .passes import UNKNOWN, Mistake, Passes, value_of
from .results import Diagnosis, Finding
from .telling import compare
from .updates import after_step, wrong_steps
from .ways import output_ways, slope_ways, source_ways
from .words import Case, explanation, right_line, where

_CLOSE = 1e-6  # relative distance at which what was given agrees


@final
@dataclass(frozen=True)
class Evidence:
    """What was given beside gradients, as it came; None where it was not."""

    forward: Any
    deltas: Any
    loss: Any
    after: Any
    optimizer: Optimizer | None
    state: Any
    rows: int


def weigh(
    evidence: Evidence,
    exact: Passes,
    frozen: Callable[[], FrozenBatch],
    diagnosis: Diagnosis | None,
    notes: tuple[str, ...],
) -> Diagnosis:
    """The diagnosis with what the further evidence shows, which stands first: it is nearer to the place."""
    if diagnosis is None and all(e is None for e in (evidence.forward, evidence.deltas, evidence.loss, evidence.after)):
        raise ConfigurationError(
            "there is nothing to diagnose: give my_gradients, my_forward, my_deltas, my_loss or my_parameters_after"
        )
    base = diagnosis or Diagnosis((), (), "float64", exact.n)
    given = Given({}, {}, "float64")
    found: list[Mistake] = []
    told = list(notes)
    if evidence.forward is not None:
        mistake = _forward(exact, _by_layer(evidence.forward, exact, "my_forward"))
        told.append("the forward pass is right in every layer given" if mistake is None else _place(mistake))
        found += [] if mistake is None else [mistake]
    if evidence.loss is not None:
        found += _loss(exact, float(evidence.loss))
    if evidence.deltas is not None:
        mistake = _deltas(exact, _by_layer(evidence.deltas, exact, "my_deltas", of_delta=True))
        told.append(
            "delta is right in every layer given" if mistake is None else f"delta goes wrong in layer {mistake.shows}"
        )
        found += [] if mistake is None else [mistake]
    if evidence.after is not None:
        found += _after(exact, evidence)
    said = {(finding.name, finding.layer) for finding in base.findings}
    new = [m for m in found if (m.name, m.layer) not in said and (m.name, None) not in said]
    findings = tuple(
        Finding(m.name, m.layer, dict(m.numbers), explanation(Case(exact, given, m, m.layer)),
                right_line(Case(exact, given, m, m.layer)) if m.name != UNKNOWN else "")
        for m in new
    )  # fmt: skip
    # what gradients alone left unknown is explained by what stands before it
    named = any(m.name != UNKNOWN for m in found)
    kept = [(f, p) for f, p in zip(base.findings, base.places, strict=True) if not (named and f.name == UNKNOWN)]
    return replace(
        base,
        findings=(*findings, *(f for f, _ in kept)),
        places=(*(where(exact.net, m.layer) for m in new), *(p for _, p in kept)),
        notes=(*base.notes, *told),
        layers=tuple(layer.title for layer in exact.layers),
    )


def _place(mistake: Mistake) -> str:
    return f"the forward pass is already wrong in layer {mistake.layer}"


def _by_layer(values: Any, exact: Passes, what: str, *, of_delta: bool = False) -> dict[int, Array]:
    """Arrays by layer index, each (n, units); with or without the input in front."""
    if isinstance(values, Mapping):
        found = {int(key): numbers(array, f"{what}[{key!r}]") for key, array in values.items()}
    else:
        arrays = [numbers(array, f"{what}[{k}]") for k, array in enumerate(values)]
        dense, every = sorted(exact.dense), list(range(len(exact.layers)))
        if not of_delta and len(arrays) in (len(dense) + 1, len(every) + 1) and _is(arrays[0], exact.work.a[0]):
            arrays = arrays[1:]
        if len(arrays) not in (len(dense), len(every)):
            raise ShapeError(
                f"{what} must have one array for each of the {len(every)} layers, or of the {len(dense)} Dense ones, "
                f"received {len(arrays)}"
            )
        found = dict(zip(dense if len(arrays) == len(dense) else every, arrays, strict=True))
    for index, array in found.items():
        if not 0 <= index < len(exact.layers):
            raise ShapeError(f"{what} has a layer {index}: the layers are 0 to {len(exact.layers) - 1}")
        shape = exact.work.a[index + 1].shape
        if array.shape != shape and array.shape == shape[::-1]:
            found[index] = array.T
        elif array.shape != shape:
            raise ShapeError(f"{what} of layer {index} must have shape {shape}, received {array.shape}")
    return found


def _is(one: Array, other: Array) -> bool:
    if one.shape != other.shape:
        return False
    return bool(np.linalg.norm(one - other) <= _CLOSE * np.linalg.norm(other) + 1e-12)


def _numbers(given: Array, right: Array) -> dict[str, float | str]:
    error, cosine = compare(given, right)
    return {"relative_error": error, "cosine": cosine}


# ── the forward pass ───────────────────────────────────────────────────────────────────────────────────────


def _forward(exact: Passes, given: Mapping[int, Array]) -> Mistake | None:
    """The first layer whose activations are wrong, with what was done there."""
    for index in sorted(given):
        right = exact.work.a[index + 1]
        if _is(given[index], right):
            continue
        layer = exact.layers[index]
        numbers = _numbers(given[index], right)
        # what the layer took is what was given of the one below, where it was given
        a_in = given.get(index - 1, exact.work.a[index])
        if isinstance(layer, Dense):
            for name, more, made in _wrong_values(exact, index, layer, a_in):
                if _is(given[index], made):
                    return Mistake(name, index, index, numbers={**numbers, **more})
        elif index in exact.masks:
            if _is(given[index], a_in * (exact.masks[index] > 0.0)):
                return Mistake("forward_mask_unscaled", index, index, numbers=numbers)
            if _is(given[index], a_in):
                return Mistake("forward_mask_missing", index, index, numbers=numbers)
        return Mistake(UNKNOWN, index, index, numbers={**numbers, "what": "activations"})
    return None


def _wrong_values(exact: Passes, index: int, layer: Dense, a_in: Array) -> Iterator[tuple[str, dict[str, str], Array]]:
    own, weight = layer.activation, layer.weight
    bias = 0.0 if layer.bias is None else layer.bias
    z = a_in @ weight + bias
    if layer.bias is not None:
        yield "forward_without_bias", {}, value_of(own, a_in @ weight)
    if own.sums_to_one:
        sums = {"smallest_row_sum_of_a": "less than 1", "largest_row_sum_of_a": "more"}
        yield "softmax_over_batch", sums, value_of(own, np.ascontiguousarray(z.T)).T
        yield "softmax_over_everything", sums, value_of(own, z.reshape(1, -1)).reshape(z.shape)
    for name, other in ACTIVATIONS.items():
        if name != own.name:
            yield "forward_activation", {"used": name}, value_of(other, z)
    if weight.shape[0] == weight.shape[1]:
        yield "forward_transposed", {}, value_of(own, a_in @ weight.T + bias)
    for i, a in enumerate(exact.work.a[: len(exact.layers)]):
        if i != index and a.shape == a_in.shape:
            yield "forward_wrong_input", {"a_of_layer": str(i)}, value_of(own, a @ weight + bias)


# ── deltas ─────────────────────────────────────────────────────────────────────────────────────────────────


def _deltas(exact: Passes, given: Mapping[int, Array]) -> Mistake | None:
    """The first layer from the output down whose delta is wrong, with what was done there."""
    for index in exact.delta:
        if index not in given:
            continue
        right, mine = exact.delta[index], given[index]
        if any(_is(mine, right / m) for m in (1.0, exact.weight_sum)):
            continue
        upper = exact.above(index)
        with np.errstate(all="ignore"):
            if upper is None:
                ways = output_ways(exact, index)
            else:
                dL_da = exact.through(upper, index, exact.delta[upper] @ exact.dense[upper].weight.T)
                sources = source_ways(exact, index, exact.delta[upper], ())
                ways = list(slope_ways(exact, index, dL_da))
                ways += [replace(way, value=exact.times_slope(index, way.value)) for way in sources]
        for way in sorted(ways, key=lambda one: one.extra):
            if any(_is(mine, way.value / m) for m in (1.0, exact.weight_sum)):
                return replace(way.mistakes[0], numbers={**way.mistakes[0].numbers, **_numbers(mine, right)})
        for reading in readings(exact):
            if _is(mine, reading.value * right):
                numbers = {"ratio": reading.value, "read_as": reading.says, **_numbers(mine, right)}
                return Mistake(reading.name, index, index, onward=True, numbers=numbers)
        return Mistake(UNKNOWN, index, index, numbers=_numbers(mine, right))
    return None


# ── the loss ───────────────────────────────────────────────────────────────────────────────────────────────


def _loss(exact: Passes, mine: float) -> list[Mistake]:
    """The loss of the batch, off by a factor that has a meaning, or by the penalty."""
    right = exact.net.mean_loss(*exact.net.loss_sums(exact.work))
    data = right - exact.net.penalty(exact.weight_sum) if exact.net.l1 or exact.net.l2 else right
    top = max(exact.dense)

    def close(value: float) -> bool:
        return abs(mine - value) <= _CLOSE * abs(value) + 1e-12

    numbers: dict[str, float | str] = {"my_loss": mine, "loss": right}
    if close(right):
        return []
    if data != right and close(data):
        return [Mistake("loss_without_penalty", top, top, numbers=numbers)]
    for reading in readings(exact):
        for penalty in {right - data, 0.0, reading.value * (right - data)}:
            if close(reading.value * data + penalty):
                return [
                    Mistake(
                        "loss_scaled", top, top, numbers={**numbers, "ratio": mine / right, "read_as": reading.says}
                    )
                ]
    return [Mistake("loss_wrong", top, top, numbers=numbers)]


# ── the update ─────────────────────────────────────────────────────────────────────────────────────────────


def _after(exact: Passes, evidence: Evidence) -> list[Mistake]:
    """What was wrong with the step from the network's parameters to those given."""
    if evidence.optimizer is None:
        raise ConfigurationError("my_parameters_after needs optimizer=, whose step it was, such as SGD(0.1)")
    parameters, top = exact.net.parameters, max(exact.dense)
    given = read_gradients(evidence.after, parameters, "my_parameters_after", evidence.rows)
    mine = parameters.values.astype(np.float64)
    for name, array in given.arrays.items():
        mine[parameters.slice(name)] = array.ravel()
    judged = np.zeros(mine.size, bool)
    for name in given.arrays:
        judged[parameters.slice(name)] = True
    scale = 1e-6 if given.precision != "float64" else 1e-10
    moved = np.linalg.norm(
        after_step(exact.net, evidence.optimizer, exact.gradient, evidence.state) - parameters.values
    )

    def close(values: Array) -> bool:
        limit = scale * (np.linalg.norm(parameters.values) + moved) + 1e-7 * moved
        return bool(np.linalg.norm((mine - values)[judged]) <= limit)

    right = after_step(exact.net, evidence.optimizer, exact.gradient, evidence.state)
    numbers = _numbers((mine - parameters.values)[judged], (right - parameters.values)[judged])
    if close(right):
        return []
    for name, values in wrong_steps(exact.net, evidence.optimizer, exact.gradient, evidence.state):
        if np.isfinite(values).all() and close(values):
            return [Mistake(name, top, top, numbers=numbers)]
    return [Mistake("update_wrong", top, top, numbers=numbers)]
