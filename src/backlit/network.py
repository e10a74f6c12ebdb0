"""A feed-forward network, and back-propagation written out.

The symbols, for layer l of a batch of n rows:

    a_in   (n, inputs)      what the layer takes: the batch itself for the first layer
    W, b   (inputs, units), (units,)
    z      (n, units)       pre-activation
    a      (n, units)       activation, what the layer gives
    L      (n,)             loss of each row
    delta  (n, units)       dL/dz

    forward    z = a_in W + b          a = f(z)
    backward   delta = dL/da ⊙ f′(z)   dL/dW = a_inᵀ delta   dL/db = Σ_rows delta   dL/da_in = delta Wᵀ

`Network.forward_pass` and `Network.backward_pass` go through the layers; these lines themselves stand in the layers,
one file each (`kinds/dense.py` first). Training is done *to* a network, on a higher floor (`backlit.fit`).
Source: Rumelhart, Hinton & Williams, "Learning representations by back-propagating errors" (1986).
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from typing import Any, Final, final

import numpy as np

from .assembly import (
    Layers,
    check_pair,
    check_spec,
    check_values,
    copied_layers,
    is_own,
    layers_are_fixed,
    network_shapes,
    number_of_values,
    parameter_shapes,
    set_initial_values,
)
from .checks import (
    cast_weight,
    check_outputs,
    check_reach,
    check_reached,
    float_dtype,
    not_negative,
    positive,
    positive_whole,
)
from .exceptions import ConfigurationError, RebindingError, missing_extra
from .kinds import Dense, Layer, layer_from_spec
from .kinds.layer import Moment
from .kinds.losses import LossLike, check_own_loss, get_loss, loss_from_spec
from .pages import Page, Table, Words, shown
from .parameters import BLOCK, Array, ParameterVector, blocks
from .randomness import check_seed
from .targets import check_inputs, check_sample_weight, encode_targets, plain_inputs
from .typing import Spec
from .workspace import Workspace, takes_sparse

_INFERENCE_ELEMENTS: Final = 2**18  # numbers of the widest layer at once: about a megabyte, which a cache holds


@shown
@final
class Network:
    """A chain of layers with a loss.

    Parameters
    ----------
    layers : sequence of layers
        From the input to the output; the last one is `Dense`. The network keeps copies.
    inputs : int
        Number of features of a row.
    loss : str, Loss or pair, default="squared_error"
        See `backlit.kinds.losses`. cross_entropy goes with softmax or sigmoid outputs.
    l1, l2 : float, default=0.0
        Penalties on the weights, never on the biases: l1 Σ|w| + (l2/2) Σ w², added to the mean loss.
    divide_penalty : bool, default=False
        Add them to the *sum* of the losses instead: l1 and l2 are then divided by the rows of each batch (the sum of
        their weights), as scikit-learn divides its alpha.
    dtype : {"float32", "float64"}, default="float32"
    seed : int, default=0
        Key of everything random: initial values, order of batches, dropout.
    input_scale : float, default=1.0
        Every input is multiplied by it, batch by batch: 1/255 lets images stay uint8.
    values : array_like, shape (P,), optional
        All parameters, in the order of ``parameters.values``: what they begin with instead of the layers' initial
        values.

    Attributes
    ----------
    parameters : ParameterVector
        ``.values`` and ``.gradients``, 1-D; ``.view("0.weight")`` is one parameter in its shape.
    classes : ndarray or None
        The labels in the order of the outputs, once labels have been seen in training.
    epoch : float
        That training is in, or was in last, counted from 0: see `begin_epoch`.

    Raises
    ------
    ConfigurationError
        For a chain that cannot be: no layers, a last layer that is not Dense, a loss that does not go with the output.

    Examples
    --------
    >>> net = Network([Dense(2), Dense(1)], inputs=2, loss="squared_error", dtype="float64")
    >>> net.parameters.values[:] = [1, 1, 1, 1, 0, 0, 1, 1, 0]     # every weight 1, every bias 0
    >>> net.forward([[1.0, 1.0]])
    array([[4.]])
    >>> net.loss([[1.0, 1.0]], [1.0])                              # ½ (4 − 1)²
    4.5
    >>> net.gradient([[1.0, 1.0]], [1.0])
    array([3., 3., 3., 3., 3., 3., 6., 6., 3.])
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        *,
        inputs: int,
        loss: LossLike = "squared_error",
        l1: float = 0.0,
        l2: float = 0.0,
        divide_penalty: bool = False,
        dtype: str | type | np.dtype[Any] = "float32",
        seed: int = 0,
        input_scale: float = 1.0,
        values: Any = None,
    ) -> None:
        self._layers = copied_layers(layers)
        self.inputs = positive_whole("inputs", inputs)
        self.outputs = self.layers[-1].outputs
        self.loss_function = get_loss(loss)
        self.l1 = not_negative("l1", l1)
        self.l2 = not_negative("l2", l2)
        self.divide_penalty = bool(divide_penalty)
        self.dtype = float_dtype(dtype)
        self.seed = check_seed(seed)
        self.input_scale = positive("input_scale", input_scale)
        self.classes: Array | None = None
        self.epoch = 0.0
        self._build()
        if values is None:
            set_initial_values(self.layers, self.parameters, self.seed)
        else:
            self.parameters.state[:] = check_values(values, self.parameters.state.size)

    def _build(self) -> None:
        shapes, buffers = network_shapes(self.layers, self.inputs)
        self.outputs = self.layers[-1].outputs
        check_pair(self.output_layer.activation, self.loss_function)
        if self.layers[0].categories and self.input_scale != 1.0:
            raise ConfigurationError(
                f"{self.layers[0]!r} takes codes of categories, which cannot be scaled, received input_scale="
                f"{self.input_scale:g}: leave it out"
            )
        self._bind(ParameterVector(shapes, self.dtype, buffers))

    def _bind(self, parameters: ParameterVector) -> None:
        self._parameters = parameters
        for index, layer in enumerate(self.layers):
            layer.bind(parameters, index)
        self.first_learning = int(parameters.names[0].split(".")[0])  # nobody needs delta below it
        self._parts = blocks(parameters.size)
        self._scratch = np.empty_like(parameters.values[:BLOCK])
        self._piece = max(1, _INFERENCE_ELEMENTS // self.width())
        self._local = threading.local()  # each thread has workspaces of its own
        self._loss_checked = self.loss_function.builtin
        self._compiled: Callable[[Any], Array] | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "layers":
            raise layers_are_fixed()
        if name == "parameters":
            raise RebindingError(
                "the parameters of a network cannot be replaced, as its layers hold views of them: write into them, "
                "net.parameters.values[:] = …"
            )
        object.__setattr__(self, name, value)

    @property
    def layers(self) -> Layers:
        """The network's own copies of the layers, from the input to the output."""
        return self._layers

    @property
    def parameters(self) -> ParameterVector:
        """The one vector; write into its arrays, never replace it."""
        return self._parameters

    @property
    def output_layer(self) -> Dense:
        last = self.layers[-1]
        if not isinstance(last, Dense):
            raise ConfigurationError(f"the last layer must be Dense, received {last!r}")
        return last

    @property
    def paired(self) -> bool:
        """Whether loss and output activation are a pair with delta = a − y."""
        return self.output_layer.activation.name in self.loss_function.pairs

    @property
    def aim(self) -> Callable[[Array], Array] | None:
        """What makes y of the equations from the targets, where it is not the targets: a loss with smoothed labels."""
        pair = self.loss_function.pairs.get(self.output_layer.activation.name)
        return None if pair is None else pair.aim

    # ── the lesson ───────────────────────────────────────────────────────────────────────────────────────

    def forward_pass(self, work: Workspace, step: int | None = None) -> Array:
        """Fill a of every layer from the batch in ``work.a[0]``; return the output, shape (n, outputs).

        With a `step` number this is training: dropout is at work with the mask of that step, batch norm with the
        batch's own mean and spread. Without, it is inference.
        """
        moment = None if step is None else Moment(self.seed, step)
        for i, layer in enumerate(self.layers):
            # a_(i+1) = layer(a_i); in inference a layer may hand its input on as it is
            if work.a[i + 1] is not work.a[i]:
                layer.forward(work, i, moment)
        return work.a[-1]

    def backward_pass(self, work: Workspace) -> None:
        """Fill delta of every layer and the gradients of every parameter, summed over the rows of the batch.

        The forward pass has been done, and the targets are in ``work.y``. In ``parameters.sums`` this leaves
        [Σ_rows dL/dθ, Σ_rows L, Σ_rows 1]; `average` makes means of them. With sample weights w, every row
        counts w times: Σ_rows w dL/dθ, Σ_rows w L, Σ_rows w.
        """
        sums, y, w = self.parameters.sums, work.y, work.weight
        losses = self.row_losses(work)  # (n,)
        sums[-2] = np.add.reduce(losses) if w is None else np.dot(w, losses)
        sums[-1] = work.n if w is None else w.sum()

        # At the output: dL/da from the loss; or, where loss and activation are a pair, dL/dz = a − y at once.
        work.paired = self.paired
        if work.paired:
            np.subtract(work.a[-1], y, out=work.delta[-1])
        else:
            self.loss_function.gradient(work.a[-1], y, work.delta[-1], work.loss_scratch)
        if w is not None:
            work.delta[-1] *= w[:, None]

        # Down through the layers: each turns dL/da of what it gave into its gradients, and dL/da of what it took.
        for i in range(len(self.layers) - 1, self.first_learning - 1, -1):
            self.layers[i].backward(work, i, below=i > self.first_learning)

    def begin_epoch(self, epoch: float) -> None:
        """Take note of the epoch of the next passes of training, counted from 0: rates of dropout may follow it."""
        self.epoch = epoch
        for layer in self.layers:
            layer.begin_epoch(epoch)

    def remember(self, work: Workspace) -> None:
        """Update the buffers (running statistics) after a step of training on the batch in `work`."""
        if self.parameters.buffers.size:
            for i, layer in enumerate(self.layers):
                layer.remember(work, i)

    def average(self) -> float:
        """Make means of the sums, add the penalty, and return the loss.

        gradient = Σ w dL/dθ / Σ w + l1 sign(θ) + l2 θ,   the penalty on weights only, times `penalty_share`.
        """
        gradients = self.parameters.gradients  # (P,)
        loss_sum, weight_sum = float(self.parameters.sums[-2]), float(self.parameters.sums[-1])
        for part in self._parts:
            gradient = gradients[part]
            if weight_sum > 0.0:
                gradient *= 1.0 / weight_sum
            else:
                gradient.fill(0.0)  # a batch in which no row counts teaches nothing
            if self.l1 or self.l2:
                gradient += self.penalty_gradient(self.parameters.values, weight_sum, where=part)
        return self.mean_loss(loss_sum, weight_sum)

    def mean_loss(self, loss_sum: float, weight_sum: float) -> float:
        """Σ w L / Σ w plus the penalty: the loss of rows whose weighted losses add up to `loss_sum`."""
        mean = loss_sum / weight_sum if weight_sum > 0.0 else 0.0
        return mean + self.penalty(weight_sum) if self.l1 or self.l2 else mean

    def penalty(self, weight_sum: float = 1.0) -> float:
        """l1 Σ|w| + (l2/2) Σ w² over the weights; where it is divided, by `weight_sum`."""
        total = 0.0
        for name in self.parameters.weight_names:
            w = self.parameters.view(name).ravel()  # a view: all parameters are one vector
            if self.l1:
                total += self.l1 * float(np.abs(w).sum(dtype=np.float64))
            if self.l2:
                total += 0.5 * self.l2 * float(np.dot(w, w))
        return total * self.penalty_share(weight_sum)

    def penalty_gradient(
        self,
        values: Array,
        weight_sum: float = 1.0,
        *,
        parts: Sequence[str] = ("l1", "l2"),
        where: slice | None = None,
    ) -> Array:
        """The gradient of `penalty` at `values`, shape (P,): l1 sign(w) + l2 w, and 0 for what is not a weight.

        `parts` asks for one of the two alone; `where`, one of `blocks`, for that piece of the vector.
        """
        share = self.penalty_share(weight_sum)
        l1 = share * self.l1 if "l1" in parts else 0.0
        l2 = share * self.l2 if "l2" in parts else 0.0
        if where is None:
            gradient = values * self.parameters.weight_mask  # w
        else:
            out = self._scratch[: where.stop - where.start]  # one piece for all parts: it is in the cache already
            gradient = np.multiply(values[where], self.parameters.weight_mask[where], out=out)
        signs = np.sign(gradient) if l1 else None
        gradient *= l2
        if signs is not None:
            signs *= l1
            gradient += signs
        return gradient

    def penalty_share(self, weight_sum: float) -> float:
        """What l1 and l2 are multiplied by in a batch whose rows weigh `weight_sum` together: 1 unless divided."""
        if not self.divide_penalty:
            return 1.0
        return 1.0 / weight_sum if weight_sum > 0.0 else 0.0

    # ── using it ─────────────────────────────────────────────────────────────────────────────────────────

    def row_losses(self, work: Workspace) -> Array:
        """The loss of each row of the batch, shape (n,), after a forward pass; without penalty."""
        a, y = work.a[-1], work.y
        if not self._loss_checked:
            check_own_loss(self.loss_function, a, y)
            self._loss_checked = True
        if self.paired:
            return self.loss_function.pairs[self.output_layer.activation.name].value(
                work.room[-1]["z"], a, y, work.loss_scratch
            )
        return self.loss_function.value(a, y, work.loss_scratch)

    def loss_sums(self, work: Workspace) -> tuple[float, float]:
        """Σ_rows w L and Σ_rows w of the batch, after a forward pass: what `mean_loss` makes the loss of."""
        losses, w = self.row_losses(work).astype(np.float64), work.weight  # (n,)
        if w is None:
            return float(losses.sum()), float(work.n)
        return float(np.dot(w, losses)), float(w.sum(dtype=np.float64))

    def forward(self, X: Any) -> Array:
        """The outputs for X, shape (n, outputs), in inference mode (no dropout).

        Works through X in pieces, so that no array of n rows but the result is made.

        Raises
        ------
        NonFiniteError
            If an output is not finite.
        """
        if self._compiled is not None:
            return self._compiled(X)
        if not plain_inputs(X, self.inputs):
            X = check_inputs(X, self.inputs)
        self.layers[0].check_inputs(X)
        with np.errstate(over="ignore", invalid="ignore"):
            result = self._forward(X)
            total = np.add.reduce(result, axis=None)
        # Looked for in the outputs, which are few: the limit of tanh at infinity, say, is right as it is. Their sum
        # says whether there is anything to look for; it may leave the finite numbers by itself.
        if not math.isfinite(total) and not np.isfinite(result).all():
            check_reach(X, self.dtype, "X", self.input_scale)
            check_outputs(result)
        return result

    def _forward(self, X: Array) -> Array:
        if X.shape[0] <= self._piece:
            work = self.workspace(X.shape[0], training=False)
            work.load(X)
            return self.forward_pass(work).copy()
        result = np.empty((X.shape[0], self.outputs), self.dtype)
        for rows, work in self.pieces(X.shape[0]):
            work.load(X[rows])
            result[rows] = self.forward_pass(work)
        return result

    def predict(self, X: Any) -> Array:
        """The same as `forward`."""
        return self.forward(X)

    def compile(self, *, n_threads: int | None = None) -> Network:
        """Let `forward` and `predict` run machine code from now on; returns the network itself.

        It is made by Numba in some seconds, kept on disk for networks of the same kinds, and adds in another order than
        the readable pass: outputs agree to rounding. Parameters may change afterwards; layers and `input_scale` are
        those of this moment. Copies, pickles and files are of a network that is not compiled, and training,
        `loss`, `gradient` and the lens go on with the readable pass, as do sparse rows of an estimator.

        Parameters
        ----------
        n_threads : int, optional
            At most so many threads share many rows, with the same bits for any number; by default
            ``BACKLIT_NUM_THREADS``, or as many as there are cores.

        Raises
        ------
        MissingExtraError
            Without Numba.
        ConfigurationError
            For a layer or an activation of your own that has no kernel.

        Examples
        --------
        >>> net = Network([Dense(3, "tanh"), Dense(2, "softmax")], inputs=4, loss="cross_entropy")
        >>> net.compiled                                 # net.compile().predict(X) is the same to rounding
        False
        """
        if find_spec("numba") is None:
            raise missing_extra("numba", "fast", "compile()")
        from .compiled.forward import CompiledForward

        self._compiled = CompiledForward(self, n_threads)
        return self

    @property
    def compiled(self) -> bool:
        """Whether predictions run machine code: see `compile`."""
        return self._compiled is not None

    def loss(self, X: Any, y: Any, *, sample_weight: Any = None) -> float:
        """The mean loss over the rows of X (weighted by `sample_weight`), penalty included; no dropout."""
        X, Y, weight = self.check_data(X, y, sample_weight=sample_weight)
        loss_sum = weight_sum = 0.0
        for rows, work in self.pieces(X.shape[0]):
            work.load(X[rows], Y[rows], None if weight is None else weight[rows])
            self.forward_pass(work)
            losses, weights = self.loss_sums(work)
            loss_sum += losses
            weight_sum += weights
        return self.mean_loss(loss_sum, weight_sum)

    def gradient(self, X: Any, y: Any, *, sample_weight: Any = None) -> Array:
        """The gradient of `loss` with respect to every parameter: a 1-D copy in the order of ``parameters.values``."""
        X, Y, weight = self.check_data(X, y, sample_weight=sample_weight)
        work = self.workspace(X.shape[0])
        work.load(X, Y, weight)
        self.forward_pass(work)
        self.backward_pass(work)
        self.average()
        return self.parameters.gradients.copy()

    def check_data(self, X: Any, y: Any, *, sample_weight: Any = None) -> tuple[Array, Array, Array | None]:
        """X, the target values Y of shape (n, outputs), and the sample weights; all checked."""
        X = self.check_inputs(X)
        Y, _ = self.encode(y, X.shape[0])
        weight = check_sample_weight(sample_weight, X.shape[0])
        return X, Y, None if weight is None else cast_weight(weight, self.dtype)

    def check_inputs(self, X: Any) -> Array:
        """X as an array of finite numbers that the network can take, shape (n, inputs)."""
        found = check_inputs(X, self.inputs)
        check_reach(found, self.dtype, "X", self.input_scale)
        self.layers[0].check_inputs(found)
        return found

    def encode(self, y: Any, n: int) -> tuple[Array, Array | None]:
        """The target values Y, shape (n, outputs), and the classes where y holds labels."""
        output = self.output_layer
        with np.errstate(over="ignore"):
            Y, classes = encode_targets(
                y, n, output.units, output.activation, self.loss_function, self.classes, self.dtype
            )
        check_reached(Y, "y")
        return Y, classes

    def workspace(self, n: int, *, training: bool = True) -> Workspace:
        """The arrays for a batch of n rows; made once, then used again by this thread."""
        kept: dict[tuple[int, bool], Workspace] = self._local.__dict__.setdefault("workspaces", {})
        key = (n, training)
        if key not in kept:
            while len(kept) >= 4:
                del kept[next(iter(kept))]
            kept[key] = Workspace(
                self.layers,
                self.inputs,
                n,
                self.dtype,
                aim=self.aim,
                input_scale=self.input_scale,
                training=training,
            )
        return kept[key]

    @property
    def row_work(self) -> int:
        """About how many multiplications a row costs forwards: a parameter is met once, a weight as its layer says."""
        shapes = self.parameters.shapes
        more = sum(
            (self.layers[int(name.split(".")[0])].weight_uses - 1.0) * math.prod(shapes[name])
            for name in self.parameters.weight_names
        )
        return round(self.parameters.size + more)

    def width(self, *, sparse: bool = False, training: bool = False) -> int:
        """Numbers of the widest array that one row fills; sparse rows that are taken as they are fill next to none."""
        outputs = max(layer.outputs for layer in self.layers)
        as_it_is = sparse and takes_sparse(self.layers, self.input_scale, training=training)
        return outputs if as_it_is else max(self.inputs, outputs)

    def pieces(self, n: int, *, sparse: bool = False) -> Iterator[tuple[slice, Workspace]]:
        """Slices of n rows, each with a workspace for inference: what is computed stays in the cache."""
        # The product of sparse rows stands in an array of its own before it is z: half as many rows are in the cache.
        size = min(n, max(1, _INFERENCE_ELEMENTS // (2 * self.width(sparse=True))) if sparse else self._piece)
        for start in range(0, n, size):
            stop = min(start + size, n)
            yield slice(start, stop), self.workspace(stop - start, training=False)

    def astype(self, dtype: str | type | np.dtype[Any]) -> Network:
        """A copy of the network, in float32 or float64."""
        state = self.__getstate__()
        state["spec"] = {**state["spec"], "dtype": float_dtype(dtype).name}
        other = Network.__new__(Network)
        other.__setstate__(state)
        return other

    # ── description, copies, files ───────────────────────────────────────────────────────────────────────

    def spec(self) -> Spec:
        """The description, in values that JSON can hold; the parameters are not part of it."""
        return {
            "layers": [layer.describe() for layer in self.layers],
            "inputs": self.inputs,
            "loss": self.loss_function.spec(),
            "l1": self.l1,
            "l2": self.l2,
            "divide_penalty": self.divide_penalty,
            "dtype": self.dtype.name,
            "seed": self.seed,
            "input_scale": self.input_scale,
            "classes": None if self.classes is None else self.classes.tolist(),
        }

    @classmethod
    def from_spec(cls, spec: Spec, values: Any = None) -> Network:
        """The network of a description, with fresh initial values or the given ones.

        Raises
        ------
        ConfigurationError
            Where the description lacks something, or has something that a network has not.

        Examples
        --------
        >>> Network.from_spec(Network([Dense(3, "softmax")], inputs=2, loss="cross_entropy").spec())
        Network(2 → Dense(3, 'softmax'), loss='cross_entropy', 9 parameters in float32)
        """
        check_spec(spec)
        settings = dict(spec)
        classes = settings.pop("classes", None)
        settings["layers"] = [layer_from_spec(layer) for layer in settings["layers"]]
        settings["loss"] = loss_from_spec(settings["loss"])
        network = cls(**settings, values=values)
        if classes is not None and len(classes) != max(2, network.outputs):
            raise ConfigurationError(f"{network.outputs} outputs do not tell {len(classes)} classes apart")
        network.classes = None if classes is None else np.array(classes)
        return network

    # Views do not survive copying, pickling or joblib: what is kept is the description and the values,
    # and the views are bound again.
    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = {
            "spec": self.spec(),
            "values": self.parameters.state.copy(),
            "epoch": self.epoch,
        }
        if self.has_own():
            own = {i: layer for i, layer in enumerate(self.layers) if is_own(layer)}
            state["own"] = {"layers": own, "loss": self.loss_function}
        return state

    def has_own(self) -> bool:
        """Whether a layer, an activation, a schedule or the loss is of your own making, which no file can hold."""
        return not self.loss_function.builtin or any(is_own(layer) for layer in self.layers)

    def __setstate__(self, state: dict[str, Any]) -> None:
        own = state.get("own", {"layers": {}, "loss": state["spec"]["loss"]})
        layers = [own["layers"].get(i, layer) for i, layer in enumerate(state["spec"]["layers"])]
        spec = {**state["spec"], "layers": layers, "loss": own["loss"]}
        # Before anything is made: a description from a file may promise more than its values hold.
        check_spec(spec)
        values = check_values(state["values"], number_of_values(parameter_shapes(spec)))
        self.__dict__.update(Network.from_spec(spec, values).__dict__)
        self.begin_epoch(state.get("epoch", 0.0))

    def page(self) -> Page:
        """The layers, with their shapes and numbers of parameters."""
        rows, width = [], self.inputs
        for index, layer in enumerate(self.layers):
            shapes = [shape for name, shape in self.parameters.shapes.items() if name.split(".")[0] == str(index)]
            size = sum(math.prod(shape) for shape in shapes)
            rows.append([str(index), repr(layer), str(width), str(layer.outputs), f"{size:,}"])
            width = layer.outputs
        table = Table(["layer", "", "inputs", "outputs", "parameters"], rows, "llrrr")
        facts = f"{self.loss_function.name}, {self.parameters.size:,} parameters in {self.dtype}, seed {self.seed}"
        return Page("Network", [table, Words(f"loss {facts}")])

    def __repr__(self) -> str:
        chain = " → ".join([str(self.inputs), *(repr(layer) for layer in self.layers)])
        return f"Network({chain}, loss={self.loss_function.name!r}, {self.parameters.size} parameters in {self.dtype})"
