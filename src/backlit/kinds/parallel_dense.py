"""Parallel dense: several small networks as one chain, with one weight for all and factors of their own."""

from __future__ import annotations

from typing import Any, ClassVar, final

import numpy as np

from ..checks import positive_whole
from ..exceptions import ConfigurationError
from ..parameters import Array
from ..typing import Spec
from .activation import Activation
from .activations import ActivationLike, get_activation
from .initializers import Initializer, check_initializer, initial_values
from .kernel import Kernel
from .layer import Computation, Factors, Layer, Moment, axes
from .parallel_kernel import PARALLEL_KERNEL
from .script import LayerText, Line


@final
class ParallelDense(Layer):
    """The dense layers of k members, which share W and differ by factors and biases of their own.

        c_m = a_in ⊙ r_m                (n, p)        member m, of m = 1 … k; p features for each
        q_m = c_m W                     (n, units)    one W for all
        z_m = q_m ⊙ s_m + b_m           (n, units)
        a_m = f(z_m),  a = [a_1 … a_k]  (n, k · units)

        delta_m = dL/dz_m = dL/da_m ⊙ f′(z_m)
        dL/ds_m = Σ_rows delta_m ⊙ q_m,           dL/db_m = Σ_rows delta_m
        g_m     = dL/dq_m = delta_m ⊙ s_m
        dL/dW   = Σ_m c_mᵀ g_m                    summed over members and rows
        t_m     = dL/dc_m = g_m Wᵀ
        dL/dr_m = Σ_rows a_in ⊙ t_m
        dL/da_in = Σ_m t_m ⊙ r_m                  where the members share their inputs; else each t_m ⊙ r_m

    The first such layer gives the same features to all members. Those behind it take k · p features, member after
    member, so that no member sees another: k networks are trained in one chain, with the weights of one and k times its
    arithmetic. W has penalties and weight decay; r, s and b have not.

    A `Dense` layer behind them has weights for each member, and its z adds up what the members say, as a mean does. So
    they learn by the loss of what they say together, and one may lean on the others. TabM trains each by a loss of its
    own, (1/k) Σ_m ℓ(a_m, y), and predicts with the mean, which its authors hold to be essential.

    Source: the factors of BatchEnsemble, Wen, Tran & Ba (2020), who divide the rows of a batch among the members, in
    the form that Gorishniy, Kotelnikov & Babenko, "TabM" (2025), have for tables.

    Parameters
    ----------
    units : int
        Of each member.
    members : int
        k.
    activation : str, pair of functions or Activation, default="identity"
        f; see `Dense`. Softmax is over the units of a member.
    shared : bool, default=True
        Whether all members take the same features. Else the layer takes k times as many, each member its own.
    weight_init, bias_init : str, float or ("constant", float)
        Initial values of W, with the inputs and units of a member, and of b, each member drawing its own. As in TabM r
        is +1 or −1 at random where the members share their inputs, so that they begin apart, and 1 elsewhere; s is 1.

    Attributes
    ----------
    weight : ndarray, shape (p, units)
        W, a view into the network's parameter vector.
    factor : ndarray, shape (k, p)
        r.
    scale, bias : ndarray, shape (k · units,)
        s and b, member after member as in a.

    Raises
    ------
    ConfigurationError
        For numbers that are not above 0, and for inputs that cannot be divided among the members.

    Examples
    --------
    Four networks of two hidden layers, and the mean of what they say.

    >>> import backlit as bl
    >>> net = bl.Network(
    ...     [ParallelDense(8, 4, "relu"), ParallelDense(8, 4, "relu", shared=False), bl.Dense(1)],
    ...     inputs=3, dtype="float64",
    ... )
    >>> net.layers[0].outputs, net.layers[1].weight.shape
    (32, (8, 8))
    >>> bl.check_gradients(net, [[0.5, 1.0, 2.0], [-1.5, 0.0, 1.0]], [1.0, 0.0]).ok
    True
    """

    builtin: ClassVar[bool] = True
    kernel: ClassVar[Kernel | None] = PARALLEL_KERNEL
    activation: Activation
    weight: Array
    weight_gradient: Array
    factor: Array
    factor_gradient: Array
    scale: Array
    scale_gradient: Array
    bias: Array
    bias_gradient: Array

    def __init__(
        self,
        units: int,
        members: int,
        activation: ActivationLike = "identity",
        *,
        shared: bool = True,
        weight_init: Initializer = "glorot_uniform",
        bias_init: Initializer = "zeros",
    ) -> None:
        self.units = positive_whole("units", units)
        self.members = positive_whole("members", members)
        self.activation = get_activation(activation)
        if self.activation.sums_to_one and self.units == 1:
            raise ConfigurationError(f"{self.activation.name} over 1 unit of a member is always 1: use 2 units or more")
        self.shared = bool(shared)
        self.weight_init = check_initializer(weight_init)
        self.bias_init = check_initializer(bias_init)
        self.outputs = self.members * self.units
        self.weight_uses = self.members
        self.features = 0  # p

    def build(self, inputs: int) -> dict[str, tuple[int, ...]]:
        if not self.shared and inputs % self.members:
            raise ConfigurationError(
                f"{self!r} takes as many features for each of {self.members} members, and {inputs} cannot be divided "
                f"by {self.members}: put it behind a layer of {self.members} members, or let them share their inputs"
            )
        self.inputs = inputs
        self.features = inputs if self.shared else inputs // self.members
        return {
            "weight": (self.features, self.units),
            "factor": (self.members, self.features),
            "scale": (self.outputs,),
            "bias": (self.outputs,),
        }

    def initial_value(self, name: str, shape: tuple[int, ...], rng: np.random.Generator) -> Array | float:
        if name == "factor":
            return np.where(rng.random(shape) < 0.5, -1.0, 1.0) if self.shared else 1.0
        if name == "scale":
            return 1.0
        init = self.weight_init if name == "weight" else self.bias_init
        return initial_values(init, rng, shape, self.features, self.units)

    def describe(self) -> Spec:
        return {
            "kind": "ParallelDense",
            "units": self.units,
            "members": self.members,
            "activation": self.activation.name,
            "shared": self.shared,
            "weight_init": self.weight_init,
            "bias_init": self.bias_init,
        }

    # ── the lesson ───────────────────────────────────────────────────────────────────────────────────────

    def room(self, n: int, dtype: np.dtype[Any], training: bool) -> dict[str, Array]:
        """c, q and z, and f′(z), g and t on the way back; rows of a sample, in them member after member."""
        taken, given = (n, self.members * self.features), (n, self.outputs)
        nothing = (0, 0)
        return {
            "c": np.empty(taken, dtype),
            "q": np.empty(given, dtype),
            "z": np.empty(given, dtype),
            "slope": np.empty(given if training else nothing, dtype),
            "g": np.empty(given if training else nothing, dtype),
            "t": np.empty(taken if training else nothing, dtype),
        }

    def by_member(self, array: Array, width: int) -> Array:
        """An array of (n, …) with a row for each member of a sample, (n · k, width): a view."""
        return array.reshape(len(array) * self.members, width)

    def taken(self, a_in: Array) -> Array:
        """What the members take, (n, k, p), or (n, 1, p) where it is the same for all: a view."""
        return a_in.reshape(len(a_in), -1, self.features)

    def forward(self, work: Any, i: int, moment: Moment | None) -> None:
        a_in, a, room = work.a[i], work.a[i + 1], work.room[i]  # (n, inputs), (n, k · units)
        c, q, z = self.by_member(room["c"], self.features), self.by_member(room["q"], self.units), room["z"]
        # c_m = a_in ⊙ r_m               (n, 1 or k, p) (k, p)
        np.multiply(self.taken(a_in), self.factor, out=c.reshape(len(a_in), self.members, self.features))
        # q_m = c_m W                    (n · k, p) (p, units)
        np.dot(c, self.weight, out=q)
        # z_m = q_m ⊙ s_m + b_m          (n, k · units)
        np.multiply(room["q"], self.scale, out=z)
        z += self.bias
        # a_m = f(z_m)                   (n · k, units)
        self.activation.f(self.by_member(z, self.units), self.by_member(a, self.units))

    def backward(self, work: Any, i: int, below: bool) -> None:
        a_in, a, delta, room = work.a[i], work.a[i + 1], work.delta[i], work.room[i]  # delta (n, k · units)
        c, q, g, t = room["c"], room["q"], room["g"], room["t"]
        # delta_m = dL/da_m ⊙ f′(z_m)
        z, a, delta_rows, slope, scratch = (
            self.by_member(array, self.units) for array in (room["z"], a, delta, room["slope"], work.scratch[i])
        )
        self.activation.times_slope(z, a, delta_rows, slope, scratch)
        # dL/ds = Σ_rows delta ⊙ q, dL/db = Σ_rows delta          (n,) (n, k · units)
        np.multiply(delta, q, out=g)
        np.dot(work.ones, g, out=self.scale_gradient)
        np.dot(work.ones, delta, out=self.bias_gradient)
        # g = delta ⊙ s
        np.multiply(delta, self.scale, out=g)
        # dL/dW = Σ_m c_mᵀ g_m           (p, n · k) (n · k, units)
        g_rows = self.by_member(g, self.units)
        np.dot(self.by_member(c, self.features).T, g_rows, out=self.weight_gradient)
        # t_m = g_m Wᵀ                   (n · k, units) (units, p)
        np.dot(g_rows, self.weight.T, out=self.by_member(t, self.features))
        # dL/dr_m = Σ_rows a_in ⊙ t_m
        taken, t = self.taken(a_in), t.reshape(len(t), self.members, self.features)
        np.einsum("nop,nkp->kp" if self.shared else "nkp,nkp->kp", taken, t, out=self.factor_gradient)
        # dL/da_in = Σ_m t_m ⊙ r_m, or each by itself
        if below and self.shared:
            np.einsum("nkp,kp->np", t, self.factor, out=work.delta[i - 1])
        elif below:
            np.multiply(t, self.factor, out=work.delta[i - 1].reshape(t.shape))

    # ── the compiled engine ──────────────────────────────────────────────────────────────────────────────

    def kernel_settings(self) -> tuple[float, ...]:
        return (float(self.members), float(self.shared))

    def kernel_room(self, n: int) -> int:
        return 2 * n * self.members * (self.units + self.features)  # z, and g in its place; q; c; t

    # ── other programs ───────────────────────────────────────────────────────────────────────────────────

    def script(self, i: int, *, below: bool, given_delta: bool) -> LayerText:
        text, k, p, units = self.activation.text(i), self.members, self.features, self.units
        taken = f"a{i}[:, None, :]" if self.shared else f"a{i}.reshape(-1, {k}, {p})"
        rows, each, size = f"(n · {k}, {units})", f"(n · {k}, {p})", k * units
        forward: list[Line] = [
            (f"c{i} = ({taken} * factor{i}).reshape(-1, {p})", f"{each}, a row for each member"),
            (f"q{i} = c{i} @ W{i}", f"{each} ({p}, {units}) = {rows}"),
            (f"z{i} = (q{i}.reshape(-1, {size}) * scale{i} + b{i}).reshape(-1, {units})", rows),
            (f"f{i} = {text.value.format(z=f'z{i}')}", rows),
            (f"a{i + 1} = f{i}.reshape(-1, {size})", f"(n, {size})"),
        ]
        delta = text.delta.format(z=f"z{i}", a=f"f{i}", da=f"df{i}")
        backward: list[Line] = [
            ("", f"layer {i}, {k} members, {self.activation.name}: {text.slope}; a row for each member"),
            (f"df{i} = da{i + 1}.reshape(-1, {units})", rows),
            (f"delta{i} = {delta}", rows),
            (f"g{i} = (delta{i}.reshape(-1, {size}) * scale{i}).reshape(-1, {units})", f"{rows}, dL/dq"),
            (f"dW{i} = c{i}.T @ g{i} / n", f"({p}, n · {k}) {rows} = ({p}, {units}), like W{i}"),
            (f"t{i} = (g{i} @ W{i}.T).reshape(-1, {k}, {p})", f"(n, {k}, {p}), dL/dc"),
            (f"dfactor{i} = ({taken} * t{i}).sum(axis=0) / n", f"({k}, {p}), like factor{i}"),
            (
                f"dscale{i} = (delta{i} * q{i}).reshape(-1, {size}).sum(axis=0) / n",
                f"({size},), like scale{i}",
            ),
            (f"db{i} = delta{i}.reshape(-1, {size}).sum(axis=0) / n", f"({size},), like b{i}"),
        ]
        if below:
            added = ".sum(axis=1)" if self.shared else f".reshape(-1, {k * p})"
            backward.append((f"da{i} = (t{i} * factor{i}){added}", f"(n, {self.inputs}), like a{i}"))
        title = f"ParallelDense, {k} members, each {p} → {units}, {self.activation.name}: {text.formula}"
        return LayerText(
            title, forward, (f"c{i}", f"q{i}", f"z{i}", f"f{i}", f"a{i + 1}"), backward, helpers=text.helpers
        )

    def onnx(self, graph: Any, x: str) -> str:
        def shaped(tensor: str, *sizes: int) -> str:
            return str(graph.op("Reshape", tensor, graph.constant(np.array(sizes, np.int64), numbers=False)))

        # (n, 1 or k, p) ⊙ (k, p), then (n, k, p) (p, units), each row of a member by itself; a −1 leaves the rows
        c = graph.op("Mul", shaped(x, -1, 1 if self.shared else self.members, self.features),
                     graph.constant(self.factor))  # fmt: skip
        q = shaped(graph.op("MatMul", c, graph.constant(self.weight)), -1, self.outputs)
        z = graph.op("Add", graph.op("Mul", q, graph.constant(self.scale)), graph.constant(self.bias))
        return shaped(self.activation.node(graph, shaped(z, -1, self.units)), -1, self.outputs)

    # ── the lens ─────────────────────────────────────────────────────────────────────────────────────────

    @property
    def title(self) -> str:
        return f"{self.members} × {self.units} {self.activation.name}"

    def forward_steps(self, n: int) -> list[Computation]:
        rows, members, features, units = self._axes(n)
        (a_in, a), c, q = axes(n, self), (rows, members, features), (rows, members, units)
        own = "Each member has numbers of its own, the same in every row."
        one = "Every member meets the same W, in a row of its own: no member meets another."
        reason = "Every number by itself: the shape stays."
        if self.activation.slope is None:
            reason = "Along the units of each member, which share 1 between them; members and samples do not mix."
        cost = n * self.features * self.outputs
        return [
            Computation("c = a_in ⊙ r", (a_in, (members, features)), c, "", own),
            Computation("q = c W", (c, (features, units)), q, "features", one, cost),
            Computation("z = q ⊙ s + b", (q, (members, units), (members, units)), q, "", own),
            Computation(f"a = f(z), {self.activation.name}", (q,), a, "", reason),
        ]

    def backward_steps(self, n: int, *, below: bool, pair: str) -> list[Computation]:
        rows, members, features, units = self._axes(n)
        (a_in, a), c, q, W = axes(n, self), (rows, members, features), (rows, members, units), (features, units)
        r, s, cost = (members, features), (members, units), n * self.features * self.outputs
        equation, reason = "delta = dL/da ⊙ f′(z)", "Element by element, because f was."
        if self.activation.slope is None:
            equation = "delta = a ⊙ (dL/da − Σ_k a_k dL/da_k)"
            reason = f"{self.activation.name} mixes the units of a member, so its Jacobian does too."
        own = "A number of a member's own is met by every sample: what each would change is added up."
        every = "W is met by every member of every sample: all of them are added up."
        back = "W is transposed so that units meet units: a member's features collect from its own units."
        through = "Backwards through the same factors."
        found = [
            Computation(equation, (a, a), q, "", reason),
            Computation("dL/ds = Σ_rows delta ⊙ q", (q, q), s, "samples", own),
            Computation("dL/db = Σ_rows delta", (q,), s, "samples", own),
            Computation("g = delta ⊙ s", (q, s), q, "", through),
            Computation("dL/dW = Σ_m c_mᵀ g_m", (c, q), W, "samples", every, cost),
            Computation("t = g Wᵀ", (q, W[::-1]), c, "units", back, cost),
            Computation("dL/dr = Σ_rows a_in ⊙ t", (a_in, c), r, "samples", own),
        ]
        if below and self.shared:
            reason = "What all members take collects from all of them."
            found.append(Computation("dL/da_in = Σ_m t_m ⊙ r_m", (c, r), a_in, "members", reason))
        elif below:
            found.append(Computation("dL/da_in = t ⊙ r", (c, r), a_in, "", through))
        return found

    def _axes(self, n: int) -> tuple[tuple[int, str], ...]:
        return (n, "samples"), (self.members, "members"), (self.features, "features"), (self.units, "units")

    def through(self, room: dict[str, Array]) -> tuple[str, Array | None]:
        return "through the members' W", None

    def columns(self, room: dict[str, Array], a_in: Array, a: Array, delta: Array | None) -> dict[str, Array]:
        found = {"q": room["q"], "z": room["z"], "a": a}
        if self.activation.slope is not None:
            found["f′(z)"] = room["slope"]
        return found if delta is None else {**found, "delta": delta}

    def gradient_factors(
        self, name: str, index: tuple[int, ...], room: dict[str, Array], a_in: Array, delta: Array
    ) -> Factors:
        ones = np.ones(len(delta))
        if name == "weight":
            # a row has as many products as there are members
            i, j = index
            c, g = room["c"][:, i :: self.features], room["g"][:, j :: self.units]  # (n, k) each
            return Factors(ones, np.vecdot(c, g), "", f"Σ_m c_m,{i} g_m,{j}")
        if name == "factor":
            m, i = index
            taken = i if self.shared else m * self.features + i
            return Factors(a_in[:, taken], room["t"][:, m * self.features + i], f"a_{taken}", f"t_{m},{i}")
        unit = index[0]
        if name == "bias":
            return Factors(ones, delta[:, unit], "", f"delta_{unit}")
        return Factors(room["q"][:, unit], delta[:, unit], f"q_{unit}", f"delta_{unit}")

    def __repr__(self) -> str:
        shared = "" if self.shared else ", shared=False"
        return f"ParallelDense({self.units}, {self.members}, {self.activation.name!r}{shared})"
