"""The networks of a table: each trained without a fold of its own, until the rows of that fold get no better."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, final

import numpy as np

from ..kinds.optimizers import OPTIMIZERS
from ..kinds.schedules import CosineDecay
from ..network import Network
from ..parameters import Array
from ..randomness import keyed_generator
from ..training.callbacks import Callback, EarlyStopping
from ..training.fit import fit
from ..training.history import History
from .merging import merged, with_output
from .recipe import Recipe
from .split import fold_numbers, split_rows

#: The share of the rows on which a single network is watched.
WATCHED: Final = 0.2
MOST_NUMBERS: Final = 2**20  # of z that a temperature is found from: more would change it by nothing


@final
@dataclass(frozen=True)
class Rows:
    """What networks are trained on.

    Attributes
    ----------
    X : ndarray, shape (n, inputs)
    y : ndarray, shape (n,)
        Numbers of classes, or values.
    weight : ndarray, shape (n,), or None
    classes : bool
        Whether y holds classes, of which every fold is to have its share.
    """

    X: Array
    y: Array
    weight: Array | None = None
    classes: bool = False

    def taken(self, which: Array) -> tuple[Array, Array, Array | None]:
        return self.X[which], self.y[which], None if self.weight is None else self.weight[which]


@final
@dataclass(frozen=True)
class Running:
    """How training is run: the function and its settings, callbacks for a member of so many parameters, the seconds.

    With `seconds`, members are trained for as long as another one fits in, whatever the recipe says.
    """

    fit: Callable[..., History] = fit
    engine: str = "auto"
    progress: bool = True
    callbacks: Callable[[int, int], Sequence[Callback]] = field(default=lambda member, parameters: ())
    seconds: float | None = None


@final
@dataclass(frozen=True)
class Trained:
    """What training gave.

    Attributes
    ----------
    network : Network
        The members as one.
    members : int
    history : History
        Of the first member.
    watched : ndarray of bool, shape (n,)
        Rows that some member has not learnt from.
    unseen : ndarray, shape (rows watched, outputs)
        The mean z of these members for each of them: the output before its activation.
    """

    network: Network
    members: int
    history: History
    watched: Array
    unseen: Array


def train_members(
    make: Callable[[int], Network],
    rows: Rows,
    recipe: Recipe,
    seed: int,
    running: Running | None = None,
    *,
    tried: Callable[[int], Network] | None = None,
) -> Trained:
    """Train the networks of a recipe, and put them into one.

    Parameters
    ----------
    make : callable
        A new network from a seed.
    rows : Rows
    recipe : Recipe
    seed : int
        The same seed gives the same networks, unless `seconds` decide how many they are.
    running : Running, optional
    tried : callable, optional
        Networks of another kind: the first one is trained in both kinds, and all are of the kind that is chosen.
    """
    running = running or Running()
    started = time.perf_counter()
    n = len(rows.y)
    networks: list[Network] = []
    history = History()
    # pages that are never written to take no memory: with 10,000 classes the whole array would be large
    sums, counts = np.zeros((n, make(seed).outputs), dtype=np.float32), np.zeros(n, dtype=np.float32)
    fold = np.zeros(n, dtype=np.int64)
    while _another(len(networks), recipe, running.seconds, time.perf_counter() - started):
        member = len(networks)
        if member % recipe.folds == 0:
            fold = folds_of(rows.y, recipe, (seed + member) % 2**64, classes=rows.classes)
        held = fold == member % recipe.folds
        net = make(member_seed(seed, member))
        trained = train_one(net, rows, held, recipe, member, running)
        if tried is not None and not member and held.any() and not _interrupted(trained):
            other = tried(member_seed(seed, member))
            its = train_one(other, rows, held, recipe, 1, running)  # what is shown is of the first one
            if not _interrupted(its) and is_better(other, net, *rows.taken(held), classes=rows.classes):
                make, net, trained = tried, other, its
        networks.append(net)
        history = history if member else trained
        if held.any():
            sums[held] += with_output(net, "identity").forward(rows.X[held])
            counts[held] += 1
        if _interrupted(trained):
            break
    watched = counts > 0
    return Trained(merged(networks), len(networks), history, watched, sums[watched] / counts[watched, None])


def _another(done: int, recipe: Recipe, seconds: float | None, taken: float) -> bool:
    """Whether another member is to be trained: as many as the recipe says, or as fit into the seconds."""
    if not done:
        return True
    return done < recipe.members if seconds is None else taken * (done + 1) / done <= seconds


def _interrupted(history: History) -> bool:
    return (history.stopped or "").startswith("interrupted")


def is_better(net: Network, than: Network, X: Array, y: Array, weight: Array | None, *, classes: bool) -> bool:
    """Whether a network's mean loss on rows that neither has learnt from is smaller by more than its standard error.

    The error is that of the mean difference, row by row: what is hard for one network is hard for the other.
    """
    losses = []
    for one in (net, than):
        z = with_output(one, "identity").forward(X).astype(np.float64)
        losses.append(row_losses(z, y) if classes else 0.5 * (z[:, 0] - y) ** 2)
    gain = losses[1] - losses[0]
    mean = float(np.average(gain, weights=weight))
    spread = math.sqrt(np.average((gain - mean) ** 2, weights=weight))
    return mean > spread / math.sqrt(len(gain))


def folds_of(y: Array, recipe: Recipe, seed: int, *, classes: bool) -> Array:
    """The fold of each row; of a single network, 0 for the rows on which it is watched and −1 for the others."""
    labels = y if classes else None
    if recipe.folds > 1:
        return fold_numbers(len(y), recipe.folds, seed=seed, labels=labels)
    fold = np.full(len(y), -1)
    if recipe.watched and len(y) > 1:
        fold[split_rows(len(y), WATCHED, seed=seed, labels=labels)[1]] = 0
    return fold


def watched_rows(y: Array, recipe: Recipe, seed: int, *, classes: bool) -> Array:
    """Which rows some network does not learn from, and is watched on: a mask, shape (n,)."""
    return folds_of(y, recipe, seed, classes=classes) >= 0


def train_one(net: Network, rows: Rows, held: Array, recipe: Recipe, member: int, running: Running) -> History:
    """Train one network on all rows but those held, on which it is watched."""
    X, y, weight = rows.taken(~held)
    callbacks = list(running.callbacks(member, net.parameters.size))
    watched = rows.taken(held) if held.any() else None
    if watched is not None:
        callbacks.append(EarlyStopping(patience=recipe.patience))
    return running.fit(
        net,
        X,
        y,
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        optimizer=optimizer_of(recipe),
        validation=watched,
        sample_weight=weight,
        callbacks=callbacks,
        engine=running.engine,
        progress=running.progress,
    )


def member_seed(seed: int, member: int) -> int:
    """The seed of a member's network: the first has the user's own."""
    return int(keyed_generator(seed, "members", member).integers(2**63)) if member else seed


def optimizer_of(recipe: Recipe) -> Any:
    """The optimiser, its rate falling along half a cosine."""
    kind: Any = OPTIMIZERS[recipe.optimizer]
    rate = CosineDecay(recipe.learning_rate, epochs=recipe.epochs)
    return kind(rate, weight_decay=recipe.weight_decay) if recipe.optimizer == "adamw" else kind(rate)


# ── probabilities that mean what they say ────────────────────────────────────────────────────────────────────


def temperature(z: Array, y: Array, weight: Array | None = None) -> float:
    """The T for which softmax(z / T) gives the classes y of rows that were not learnt from the smallest loss.

    Parameters
    ----------
    z : ndarray, shape (n, classes)
    y : ndarray of int, shape (n,)
    weight : ndarray, shape (n,), optional

    Returns
    -------
    float
        From ½ to 4; 1 without rows. Guo et al., "On calibration of modern neural networks" (2017).

    Examples
    --------
    >>> temperature(np.array([[8.0, 0.0], [8.0, 0.0], [8.0, 0.0], [8.0, 0.0]]), np.array([0, 0, 0, 1])) > 3
    True
    """
    if not len(z):
        return 1.0
    some = max(1, MOST_NUMBERS // z.shape[1])
    z, y, weight = z[:some].astype(np.float64), y[:some], None if weight is None else weight[:some]
    candidates = np.exp(np.linspace(math.log(0.5), math.log(4.0), 61))
    losses = [np.average(row_losses(z / t, y), weights=weight) for t in candidates]
    return float(candidates[int(np.argmin(losses))])


def row_losses(z: Array, y: Array) -> Array:
    """−log softmax(z) of the right class, shape (n,)."""
    s = z - z.max(axis=1, keepdims=True)
    return np.asarray(np.log(np.exp(s).sum(axis=1)) - s[np.arange(len(y)), y])
