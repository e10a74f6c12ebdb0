"""Numeric embedding: waves of each feature beside the feature itself."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Final, final

import numpy as np

from ..checks import positive, positive_whole
from ..exceptions import ConfigurationError
from ..parameters import Array
from ..typing import Spec
from .kernel import INPUTS, PARAMETERS, ROOM, Kernel, add_rows, matrix
from .layer import Computation, Factors, Layer, Moment, axes
from .numbers import cos_turns, sin_turns
from .script import LayerText, Line

_TURN: Final = 2.0 * math.pi


@final
class NumericEmbedding(Layer):
    """Periodic numbers of each feature beside the feature itself, so that steps and narrow ranges can be learnt.

        u_jl = w_jl x_j + b_jl             (n, columns, m)    x_j is a feature, u_jl turns of a wave
        p_jl = cos 2πu_jl                  (n, columns, m)
        e_jq = Σ_l p_jl V_jql + c_jq       (n, columns, k)    each feature by itself
        a    = [a_in, e]                   (n, inputs + columns · k)

        dL/dV_jql = Σ_rows dL/de_jq p_jl,    dL/dc_jq = Σ_rows dL/de_jq
        g_jl      = dL/du_jl = −2π sin 2πu_jl Σ_q dL/de_jq V_jql
        dL/dw_jl  = Σ_rows x_j g_jl,         dL/db_jl = Σ_rows g_jl
        dL/dx_j   = dL/da_j + Σ_l w_jl g_jl

    V has penalties and weight decay, w, b and c have not. Source: the form "PBLD" of RealMLP, Holzmüller, Grinsztajn &
    Steinwart, "Better by default" (2024), with its values; after Gorishniy, Rubachev & Babenko, "On embeddings for
    numerical features" (2022), who take sine and cosine of each frequency without b, 48 frequencies, and a relu behind
    V. RealMLP gives the parameters here a tenth of the learning rate of the others.

    Parameters
    ----------
    size : int, default=3
        k, the numbers that each feature gets beside itself.
    frequencies : int, default=16
        m, the waves of each feature.
    scale : float, default=0.1
        Standard deviation of the frequencies w at the start; b begins anywhere in [0, 1), V and c within ±1/√m.
    columns : int, optional
        How many features, the first ones, are embedded; all unless given. The others are handed on.

    Attributes
    ----------
    frequency, phase : ndarray, shape (columns, m)
        w and b, views into the network's parameter vector.
    weight : ndarray, shape (columns · k, m)
        V: row j · k + q has the weights of number q of feature j.
    shift : ndarray, shape (columns · k,)
        c.

    Raises
    ------
    ConfigurationError
        For numbers that are not above 0, and for more columns than the layer takes.

    Examples
    --------
    >>> import backlit as bl
    >>> net = bl.Network([NumericEmbedding(2, columns=1), bl.Dense(1)], inputs=3, dtype="float64")
    >>> net.layers[0].outputs                                              # three, and two of the first
    5
    >>> bl.check_gradients(net, [[0.5, 1.0, 2.0], [-1.5, 0.0, 1.0]], [1.0, 0.0]).ok
    True
    """

    builtin: ClassVar[bool] = True
    frequency: Array
    frequency_gradient: Array
    phase: Array
    phase_gradient: Array
    weight: Array
    weight_gradient: Array
    shift: Array
    shift_gradient: Array

    def __init__(self, size: int = 3, *, frequencies: int = 16, scale: float = 0.1, columns: int | None = None) -> None:
        self.size = positive_whole("size", size)
        self.frequencies = positive_whole("frequencies", frequencies)
        self.scale = positive("scale", scale)
        self.columns_given = None if columns is None else positive_whole("columns", columns)
        self.embedded = self.columns_given or 0

    def build(self, inputs: int) -> dict[str, tuple[int, ...]]:
        if self.columns_given is not None and self.columns_given > inputs:
            raise ConfigurationError(
                f"{self!r} embeds {self.columns_given} columns, and takes {inputs}: give columns={inputs} or fewer"
            )
        self.inputs = inputs
        self.embedded = inputs if self.columns_given is None else self.columns_given
        self.outputs = inputs + self.embedded * self.size
        waves = (self.embedded, self.frequencies)
        numbers = self.embedded * self.size
        return {"frequency": waves, "phase": waves, "weight": (numbers, self.frequencies), "shift": (numbers,)}

    def initial_value(self, name: str, shape: tuple[int, ...], rng: np.random.Generator) -> Array | float:
        if name == "frequency":
            return rng.standard_normal(shape) * self.scale
        if name == "phase":
            return rng.random(shape)
        limit = 1.0 / math.sqrt(self.frequencies)
        return rng.uniform(-limit, limit, shape)

    def describe(self) -> Spec:
        return {
            "kind": "NumericEmbedding",
            "size": self.size,
            "frequencies": self.frequencies,
            "scale": self.scale,
            "columns": self.columns_given,
        }

    # ── the lesson ───────────────────────────────────────────────────────────────────────────────────────

    def room(self, n: int, dtype: np.dtype[Any], training: bool) -> dict[str, Array]:
        """cos 2πu and sin 2πu, feature by feature, g, and e or dL/de."""
        waves = (self.embedded, n, self.frequencies)
        return {
            "cosine": np.empty(waves, dtype),
            "sine": np.empty(waves, dtype),
            "g": np.empty(waves if training else (0, 0, 0), dtype),
            "e": np.empty((self.embedded, n, self.size), dtype),
        }

    @property
    def V(self) -> Array:
        """The weights of each feature, shape (columns, k, m): a view."""
        return self.weight.reshape(self.embedded, self.size, self.frequencies)

    def by_feature(self, array: Array) -> Array:
        """The part of a or dL/da, (n, outputs), that is e or dL/de, as (columns, n, k): a view."""
        return array[:, self.inputs :].reshape(len(array), self.embedded, self.size).transpose(1, 0, 2)

    def forward(self, work: Any, i: int, moment: Moment | None) -> None:
        a_in, a, room = work.a[i], work.a[i + 1], work.room[i]
        p, sine = room["cosine"], room["sine"]  # (columns, n, m)
        # u = w x + b, without its whole turns, which change nothing
        np.multiply(a_in[:, : self.embedded].T[:, :, None], self.frequency[:, None, :], out=p)
        p += self.phase[:, None, :]
        p -= np.rint(p, out=sine)
        # p = cos 2πu
        p *= _TURN
        if room["g"].size:
            np.sin(p, out=sine)
        np.cos(p, out=p)
        # a = [a_in, e], e = p V + c     (columns, n, m) (columns, m, k)
        a[:, : self.inputs] = a_in
        self.by_feature(a)[...] = np.matmul(p, self.V.transpose(0, 2, 1), out=room["e"])
        a[:, self.inputs :] += self.shift

    def backward(self, work: Any, i: int, below: bool) -> None:
        a_in, delta, room = work.a[i], work.delta[i], work.room[i]  # (n, inputs), dL/da (n, outputs)
        p, g, dL_de = room["cosine"], room["g"], room["e"]  # (columns, n, m), (columns, n, m), (columns, n, k)
        dL_de[...] = self.by_feature(delta)
        # dL/dV = Σ_rows dL/de p     (columns, k, n) (columns, n, m), dL/dc = Σ_rows dL/de
        np.matmul(dL_de.transpose(0, 2, 1), p, out=self.weight_gradient.reshape(self.V.shape))
        np.dot(work.ones, delta[:, self.inputs :], out=self.shift_gradient)
        # g = dL/du = −2π sin 2πu ⊙ dL/de V     (columns, n, k) (columns, k, m)
        np.matmul(dL_de, self.V, out=g)
        g *= room["sine"]
        g *= -_TURN
        # dL/dw = Σ_rows x g     (columns, 1, n) (columns, n, m), dL/db = Σ_rows g
        np.matmul(a_in[:, : self.embedded].T[:, None, :], g, out=self.frequency_gradient[:, None, :])
        np.matmul(work.ones, g, out=self.phase_gradient)
        # dL/dx = dL/da + Σ_l w g     (columns, n, m) (columns, m, 1)
        if below:
            delta_in = work.delta[i - 1]
            delta_in[...] = delta[:, : self.inputs]
            delta_in[:, : self.embedded] += np.matmul(g, self.frequency[:, :, None])[:, :, 0].T

    # ── the compiled engine ──────────────────────────────────────────────────────────────────────────────

    def kernel_settings(self) -> tuple[float, ...]:
        return (float(self.embedded), float(self.size), float(self.frequencies))

    def kernel_room(self, n: int) -> int:
        return 3 * n * self.embedded * self.frequencies  # cos 2πu, sin 2πu and g

    # ── other programs ───────────────────────────────────────────────────────────────────────────────────

    def script(self, i: int, *, below: bool, given_delta: bool) -> LayerText:
        columns, size, m, inputs = self.embedded, self.size, self.frequencies, self.inputs
        numbers, waves, outer = columns * size, f"({columns}, {m})", f"(n, {columns}, {m})"
        V, each = f"W{i}.reshape({columns}, {size}, {m})", f"(n, {columns}, {size})"
        forward: list[Line] = [
            (f"u{i} = a{i}[:, :{columns}, None] * frequency{i} + phase{i}", f"{outer}, turns of the waves"),
            (f"p{i} = np.cos(2 * np.pi * u{i})", outer),
            (f'e{i} = np.einsum("njl,jql->njq", p{i}, {V})', each),
            (f"a{i + 1} = np.hstack([a{i}, e{i}.reshape(len(a{i}), {numbers}) + shift{i}])", f"(n, {self.outputs})"),
        ]
        backward: list[Line] = [
            ("", f"layer {i}, numeric embedding: e = cos(2π (w x + b)) V + c behind a{i}"),
            (f"de{i} = da{i + 1}[:, {inputs}:].reshape(len(a{i}), {columns}, {size})", each),
            (
                f'dW{i} = np.einsum("njq,njl->jql", de{i}, p{i}).reshape({numbers}, {m}) / n',
                f"({numbers}, {m}), like W{i}",
            ),
            (f"dshift{i} = da{i + 1}[:, {inputs}:].sum(axis=0) / n", f"({numbers},), like shift{i}"),
            (f'g{i} = np.einsum("njq,jql->njl", de{i}, {V})', outer),
            (f"g{i} = -2 * np.pi * np.sin(2 * np.pi * u{i}) * g{i}", f"{outer}, dL/du"),
            (f"dfrequency{i} = (a{i}[:, :{columns}, None] * g{i}).sum(axis=0) / n", f"{waves}, like frequency{i}"),
            (f"dphase{i} = g{i}.sum(axis=0) / n", f"{waves}, like phase{i}"),
        ]
        if below:
            backward += [
                (f"da{i} = da{i + 1}[:, :{inputs}].copy()", f"(n, {inputs})"),
                (f"da{i}[:, :{columns}] += (frequency{i} * g{i}).sum(axis=2)", f"(n, {columns})"),
            ]
        title = f"NumericEmbedding, {size} numbers of {m} waves beside each of {columns}"
        return LayerText(title, forward, (f"u{i}", f"p{i}", f"a{i + 1}"), backward)

    def onnx(self, graph: Any, x: str) -> str:
        columns, size, m = self.embedded, self.size, self.frequencies

        def whole(*numbers: int) -> str:
            return str(graph.constant(np.array(numbers, np.int64), numbers=False))

        # u, each feature as often as it has waves: (n, columns · m)
        repeated = graph.columns(x, np.repeat(np.arange(columns), m))
        u = graph.op("Mul", repeated, graph.constant(self.frequency.ravel()))
        u = graph.op("Add", u, graph.constant(self.phase.ravel()))
        # onnxruntime has no cosine of float64: cos 2πu = sin 2π(u + ¼)
        u = graph.op("Add", graph.op("Sub", u, graph.op("Round", u)), graph.constant(0.25))
        p = graph.op("Sin", graph.op("Mul", u, graph.constant(_TURN)))
        # e = p V + c     (n, columns, 1, m) (columns, m, k); a 0 leaves the number of rows
        e = graph.op("Reshape", p, whole(0, columns, 1, m))
        e = graph.op("MatMul", e, graph.constant(self.V.transpose(0, 2, 1)))
        e = graph.op("Add", graph.op("Reshape", e, whole(0, columns * size)), graph.constant(self.shift))
        return str(graph.op("Concat", x, e, axis=1))

    # ── the lens ─────────────────────────────────────────────────────────────────────────────────────────

    @property
    def title(self) -> str:
        return "numeric embedding"

    def forward_steps(self, n: int) -> list[Computation]:
        rows, columns, waves = (n, "samples"), (self.embedded, "columns"), (self.frequencies, "waves")
        numbers, (a_in, a) = (self.size, "numbers"), axes(n, self)
        own = "Each feature has waves of its own, the same in every row; no feature meets another."
        meet = "Within a feature waves meet weights, as in a small dense layer of its own."
        beside = "The feature itself stays, and what its waves make of it stands behind."
        return [
            Computation("u = w x + b", ((rows, columns), (columns, waves)), (rows, columns, waves), "", own),
            Computation("p = cos 2πu", ((rows, columns, waves),), (rows, columns, waves), "", "Number by number."),
            Computation(
                "e = p V + c",
                ((rows, columns, waves), (columns, numbers, waves)),
                (rows, columns, numbers),
                "waves",
                meet,
                n * self.embedded * self.frequencies * self.size,
            ),
            Computation("a = [a_in, e]", (a_in, (rows, columns, numbers)), a, "", beside),
        ]

    def backward_steps(self, n: int, *, below: bool, pair: str) -> list[Computation]:
        rows, columns, waves = (n, "samples"), (self.embedded, "columns"), (self.frequencies, "waves")
        numbers, (a_in, _) = (self.size, "numbers"), axes(n, self)
        cost = n * self.embedded * self.frequencies * self.size
        dL_de, g, V = (rows, columns, numbers), (rows, columns, waves), (columns, numbers, waves)
        learnt = "A weight is met by every sample: what each would change is added up."
        back = "Backwards through the weights of each feature, and through the cosine, whose slope is −sin."
        found = [
            Computation("dL/dV = Σ_rows dL/de p", (dL_de, g), V, "samples", learnt, cost),
            Computation("dL/dc = Σ_rows dL/de", (dL_de,), (columns, numbers), "samples", learnt),
            Computation("g = dL/du = −2π sin 2πu ⊙ dL/de V", (dL_de, V, g), g, "numbers", back, cost),
            Computation("dL/dw = Σ_rows x g", ((rows, columns), g), (columns, waves), "samples", learnt),
            Computation("dL/db = Σ_rows g", (g,), (columns, waves), "samples", learnt),
        ]
        if below:
            reason = "The feature is handed on as it is, and is in all of its waves: both ways are added up."
            found.append(Computation("dL/dx = dL/da + Σ_l w g", (a_in, g, (columns, waves)), a_in, "waves", reason))
        return found

    def through(self, room: dict[str, Array]) -> tuple[str, Array | None]:
        return "through the waves of each feature", None

    def gradient_factors(
        self, name: str, index: tuple[int, ...], room: dict[str, Array], a_in: Array, delta: Array
    ) -> Factors:
        if name in ("weight", "shift"):
            unit = self.inputs + index[0]
            right, told = delta[:, unit], f"dL/da_{unit}"
            if name == "shift":
                return Factors(np.ones(len(delta)), right, "", told)
            j, wave = index[0] // self.size, index[1]
            return Factors(room["cosine"][j, :, wave], right, f"p_{j},{wave}", told)
        j, wave = index
        g, told = room["g"][j, :, wave], f"dL/du_{j},{wave}"
        if name == "phase":
            return Factors(np.ones(len(delta)), g, "", told)
        return Factors(a_in[:, j], g, f"a_{j}", told)

    def __repr__(self) -> str:
        told = [str(self.size)]
        told += [f"frequencies={self.frequencies}"] if self.frequencies != 16 else []
        told += [f"scale={self.scale!r}"] if self.scale != 0.1 else []
        told += [f"columns={self.columns_given}"] if self.columns_given is not None else []
        return f"NumericEmbedding({', '.join(told)})"


def _sizes(chain: Any, i: int) -> Any:
    """Columns, k and m."""
    settings = chain.settings[i]
    return int(settings[0]), int(settings[1]), int(settings[2])


def _forward(
    chain: Any, i: int, a_in: Array, a: Array, w: Array, step: int, activate: Any, start: int, stop: int
) -> None:
    columns, size, m = _sizes(chain, i)
    n, inputs, waves = a.shape[0], chain.layers[i, INPUTS], columns * m
    place, room = chain.layers[i, PARAMETERS], chain.layers[i, ROOM]
    frequency, phase = chain.values[place : place + waves], chain.values[place + waves : place + 2 * waves]
    V = matrix(chain.values, place + 2 * waves, columns * size, m)
    after = place + 2 * waves + columns * size * m
    c = chain.values[after : after + columns * size]
    cosine, sine = matrix(chain.memory, room, n, waves), matrix(chain.memory, room + n * waves, n, waves)
    for row in range(start, stop):
        p, s, x = cosine[row], sine[row], a_in[row]
        # u = w x + b
        for j in range(columns):
            begin = j * m
            u, w_j, b_j, x_j = p[begin : begin + m], frequency[begin : begin + m], phase[begin : begin + m], x[j]
            for k in range(m):
                u[k] = w_j[k] * x_j + b_j[k]
        # p = cos 2πu
        for k in range(waves):
            turns = p[k]
            p[k] = cos_turns(turns)
            s[k] = sin_turns(turns)
        # a = [a_in, e], e = p V + c
        for j in range(inputs):
            a[row, j] = x[j]
        for j in range(columns):
            for number in range(j * size, j * size + size):
                total = c[number]
                for k in range(m):
                    total += p[j * m + k] * V[number, k]
                a[row, inputs + number] = total


def _backward(
    chain: Any, i: int, a: Array, delta: Array, delta_in: Array, w: Array, below: bool, slopes: bool,
    times_slope: Any, start: int, stop: int,
) -> None:  # fmt: skip
    columns, size, m = _sizes(chain, i)
    n, inputs, waves = a.shape[0], chain.layers[i, INPUTS], columns * m
    place, room = chain.layers[i, PARAMETERS], chain.layers[i, ROOM]
    frequency = chain.values[place : place + waves]
    V = matrix(chain.values, place + 2 * waves, columns * size, m)
    sine, slope = matrix(chain.memory, room + n * waves, n, waves), matrix(chain.memory, room + 2 * n * waves, n, waves)
    turn = a.dtype.type(-_TURN)
    for row in range(start, stop):
        g, s = slope[row], sine[row]
        # g = dL/du = −2π sin 2πu Σ_q dL/de V
        for j in range(columns):
            own = g[j * m : j * m + m]
            for q in range(size):
                dL_de, weights = delta[row, inputs + j * size + q], V[j * size + q]
                if q == 0:
                    for k in range(m):
                        own[k] = dL_de * weights[k]
                else:
                    for k in range(m):
                        own[k] += dL_de * weights[k]
        for k in range(waves):
            g[k] *= turn * s[k]
        # dL/dx = dL/da + Σ_l w g
        if below:
            for j in range(inputs):
                delta_in[row, j] = delta[row, j]
            for j in range(columns):
                total = delta[row, j]
                for k in range(j * m, j * m + m):
                    total += frequency[k] * g[k]
                delta_in[row, j] = total


def _gradient(chain: Any, i: int, part: int, a_in: Array, delta: Array, start: int, stop: int, out: Array) -> None:
    columns, size, m = _sizes(chain, i)
    n, inputs, waves = delta.shape[0], chain.layers[i, INPUTS], columns * m
    room = chain.layers[i, ROOM]
    cosine = matrix(chain.memory, room, n, waves)
    slope = matrix(chain.memory, room + 2 * n * waves, n, waves)
    # dL/dw = Σ_rows x g, dL/db = Σ_rows g, dL/dV = Σ_rows dL/de p, dL/dc = Σ_rows dL/de
    if part == 1:
        add_rows(slope, start * m, out)
    elif part == 3:
        add_rows(delta, inputs + start, out)
    else:
        for k in range(out.size):
            out[k] = 0
        for row in range(n):
            for j in range(start, stop):
                # a row of w is a feature's, and a row of V a number's
                feature, factor = (j, a_in[row, j]) if part == 0 else (j // size, delta[row, inputs + j])
                own, some = out[(j - start) * m : (j - start) * m + m], slope[row] if part == 0 else cosine[row]
                some = some[feature * m : feature * m + m]
                for k in range(m):
                    own[k] += factor * some[k]


NumericEmbedding.kernel = Kernel(_forward, _backward, _gradient)
