"""The part of a script that is much the same for every network: check, random numbers, training, and a first run."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from string import Template
from typing import Final

import numpy as np

from ...kinds.script import LayerText
from ...network import Network
from ...randomness import PURPOSES
from .layout import listed
from .passes import asks_for_epochs, differs_in_training, parameters, weights
from .update import Update


def _filled_in(template: str, **texts: object) -> list[str]:
    return Template(textwrap.dedent(template).strip()).substitute(**texts).splitlines()


_FINITE_DIFFERENCE: Final = '''
    def finite_difference(X, y, theta, index, epsilon=$epsilon):
        """Is my gradient right? The slope of the loss at one number, measured.

        theta is $first or another parameter, index the place in it: the number is nudged up
        and down, and dL/dθ ≈ (L(θ + ε) − L(θ − ε)) / 2ε.
        """
        value = theta[index]
        theta[index] = value + epsilon
        above = loss(X, y)
        theta[index] = value - epsilon
        below = loss(X, y)
        theta[index] = value
        return (above - below) / (2 * epsilon)
'''

_GENERATOR: Final = '''
    $purposes  # what random numbers are for


    def generator(seed, purpose, first, second=0):
        """Random numbers for one purpose at one place: the same key gives the same numbers.

        The place is $places. What was drawn before plays no part.
        """
        key = np.array([seed, purpose], dtype=np.uint64)
        place = np.array([0, 0, first, second], dtype=np.uint64)
        return np.random.Generator(np.random.Philox(key=key, counter=place))
'''

_FIRST_RUN: Final = '''
    def made_up_rows(n=64):
        """Random rows X, (n, $inputs), and targets with a rule to learn."""
        rng = np.random.default_rng(0)
        X = rng.standard_normal((n, $inputs))$unscaled
    $targets
        return X, Y


    if __name__ == "__main__":
        if len(sys.argv) > 1:
            with np.load(sys.argv[1], allow_pickle=False) as data:
                X, Y = data["X"], targets(data["y"])
        else:
            X, Y = made_up_rows()

        # Is my gradient right? Look at the weight of the first layer where it is largest.
        d$W = gradients(X, Y)[$place]
        i, j = np.unravel_index(np.abs(d$W).argmax(), d$W.shape)
        slope, measured = d$W[i, j], finite_difference(X, Y, $W, (i, j))
        print(f"dL/d$W[{i}, {j}]: {slope:.6g} by back-propagation, {measured:.6g} measured")

        print(f"before training  loss {loss(X, Y):.6f}")
        for epoch, value in enumerate(train(X, Y), start=1):
            print(f"epoch {epoch:>2}         loss {value:.6f}")
'''


def finite_difference(net: Network) -> list[str]:
    """`finite_difference`; ε is where the errors of truncation and of rounding meet."""
    epsilon = "1e-5" if net.dtype == np.float64 else "1e-3"
    return _filled_in(_FINITE_DIFFERENCE, epsilon=epsilon, first=_first_weight(net))


def generator(texts: Sequence[LayerText]) -> list[str]:
    """`generator`, the twin of `randomness.keyed_generator`, with the purposes that the layers name."""
    sources = "\n".join(source for text in texts for source in text.helpers)
    used = {"SHUFFLE": PURPOSES["shuffle"]}
    for purpose, key in PURPOSES.items():
        if re.search(rf"\b{purpose.upper()}\b", sources):
            used[purpose.upper()] = key
    names, keys = ", ".join(used), ", ".join(map(str, used.values()))
    places = "an epoch, or a step and a layer" if len(used) > 1 else "an epoch"
    return _filled_in(_GENERATOR, purposes=f"{names} = {keys}", places=places)


def train(net: Network, texts: Sequence[LayerText], update: Update) -> list[str]:
    """`train`, the twin of `backlit.fit`."""
    step = ", step=t, seed=seed" if differs_in_training(texts) else ""
    step += ", epoch=epoch" if asks_for_epochs(texts) else ""
    counts = bool(step) or "t" in update.arguments
    given = {"rate": "learning_rate(epoch + i / steps)", "t": "t"}
    memory = [f"{m}{name}" for name, _ in parameters(net) for m in update.text.memory]
    return [
        "def train(X, y, epochs=10, batch_size=32, seed=SEED):",
        '    """Train in place; return the loss over all rows after each epoch.',
        "",
        "    An epoch takes all rows once, in a new order, in batches of which the last may be",
        "    smaller. Every batch is one step of the update.",
        '    """',
        "    X, Y = np.asarray(X), targets(y)",
        "    n = len(X)",
        "    steps = math.ceil(n / batch_size)  # of an epoch",
        *([*listed("for memory in ", memory, ":"), "        memory[:] = 0"] if memory else []),
        *(["    t = 0  # steps taken"] if counts else []),
        "    losses = []",
        "    for epoch in range(epochs):",
        "        order = np.arange(n)",
        "        if steps > 1:  # one batch of all rows takes them as they stand",
        "            order = generator(seed, SHUFFLE, epoch).permutation(n)",
        "        for i in range(steps):",
        "            rows = order[i * batch_size : (i + 1) * batch_size]",
        f"            g = gradients(X[rows], Y[rows]{step})",
        *(["            t += 1"] if counts else []),
        f"            update({', '.join(['g', *(given[a] for a in update.arguments)])})",
        "        losses.append(float(loss(X, Y)))",
        "    return losses",
    ]


def first_run(net: Network) -> list[str]:
    """What the script does when it is run by itself."""
    scaled, first = net.input_scale != 1.0, _first_weight(net)
    made_up = [*_made_up_codes(net), *_made_up_targets(net, "X * INPUT_SCALE" if scaled else "X")]
    return _filled_in(
        _FIRST_RUN,
        inputs=net.inputs,
        unscaled=" / INPUT_SCALE" if scaled else "",
        targets="\n".join(f"    {line}" for line in made_up),
        W=first,
        place=[name for name, _ in parameters(net)].index(first),
    )


def _first_weight(net: Network) -> str:
    return next(name for name, shape in parameters(net) if name in weights(net) and len(shape) == 2)


def _made_up_codes(net: Network) -> list[str]:
    """A statement that makes codes of the last inputs, where the network takes some."""
    counts = net.layers[0].categories
    last = f"X[:, -{len(counts)}:] = rng.integers(0, {list(counts)}, (n, {len(counts)}))"
    return [f"{last}  # codes of categories"] if counts else []


def _made_up_targets(net: Network, inputs: str) -> list[str]:
    """Statements that make targets of the kind that the output and the loss ask for."""
    activation, kind, outputs = net.output_layer.activation, net.loss_function.targets, net.outputs
    shape = f"# (n, {outputs})"
    rule = f"np.tanh({inputs} @ rng.standard_normal(({net.inputs}, {outputs})))"
    if activation.sums_to_one:
        return [f"scores = {rule}  {shape}", f"Y = np.eye({outputs})[scores.argmax(axis=1)]"]
    if kind == "counts":
        return [f"rates = np.exp({rule})  {shape}", "Y = rng.poisson(rates)"]
    if activation.probabilities or kind in ("classes", "probabilities"):
        return [f"scores = {rule}  {shape}", "Y = (scores > 0).astype(FLOAT)"]
    return [f"Y = {f'np.exp({rule})' if activation.positive or activation.dies else rule}  {shape}"]
