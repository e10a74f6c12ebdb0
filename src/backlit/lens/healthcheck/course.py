"""Signs of ill health in the course of training: in a step, in the history, in the data it learns from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from ...network import Network
from ...pages import number
from ...parameters import Array
from ...training.evaluation import evaluate, is_classification
from ...training.history import History
from ...training.predicted import predicted_index, predicted_index_of_targets
from ..recording.recording import Rows
from ..step.taken import StepTaken
from ..step.trace import Trace
from .network import Finding, settled

# A step should change weights by about 1/1000 of their size (Karpathy in Stanford's CS231n, Neural Networks Part 3,
# "Ratio of weights:updates"). Small networks that learn well begin with a tenth in their last layer: that is a note;
# a half replaces the weights in two steps. A millionth, while the loss has not fallen by half, gets nowhere.
_LARGE_UPDATE, _LONG_UPDATE, _SMALL_UPDATE = 0.5, 0.1, 1e-6
_NOT_LEARNT: Final = 0.5

# On a parabola gradient descent stops converging where a step loses all it was promised, change = 0 (λη = 2), and
# networks train well on that edge (Cohen et al. 2021): a note. Where the loss rises by more than the step was promised
# to lower it (λη > 4), nothing good comes of it: a warning. Near the minimum the promise is next to nothing and every
# step oversteps: a rise counts from 1 % of the loss, as a warning from 5 %.
_RISE_NOTE, _RISE_WARNING = 0.01, 0.05

# Losses wobble; each of the last three epochs has to lie above the best by half of it, and by 2 % of the way come.
_LATEST: Final = 3
_RISE, _RISE_OF_WAY = 0.5, 0.02
# Where every step takes all rows, nothing is random: gradient descent with λη below 2 has no rise at all, Adam and
# momentum have small ones: on the admissions 1 of 299 above 1 %. With rates far too large, half of the steps rise.
_RISES, _RISE_COUNTS = 0.1, 0.01
_FEWEST_EPOCHS: Final = 10

# Prechelt's "generalization loss" (1998): how far the validation loss is above its lowest, in each of the last three
# epochs, while the training loss went on falling. He stops training at 5 %; a fifth is a note here, a half a warning.
_LOST_WARNING, _LOST_NOTE = 0.5, 0.2
# Measured on two sets: ten points of accuracy, and more than twice what chance makes of samples of this size; r2, which
# no formula for chance fits so simply, has to fall by a quarter.
_ACCURACY_GAP, _R2_GAP = 0.1, 0.25

# Ten rows of one class for one of another: accuracy then says little (He & Garcia 2009).
_IMBALANCE: Final = 10.0
_SMALL_CLASS: Final = 5  # rows of a class that must be seen before it counts as ignored


def step_findings(trace: Trace, taken: StepTaken, history: History | None) -> Iterator[Finding]:
    """Signs in one step of the optimiser on a traced batch."""
    yield from _update_ratio(trace, taken, history)
    yield from _loss_change(trace, taken)


def _update_ratio(trace: Trace, taken: StepTaken, history: History | None) -> Iterator[Finding]:
    ratios: dict[str, float] = {}
    for name, step in taken.parameters.items():
        size = float(np.linalg.norm(step.before.astype(np.float64)))
        if name.endswith(".weight") and size:
            ratios[name] = float(np.linalg.norm(step.update)) / size
    if not ratios or taken.learning_rate == 0.0:  # a schedule at its end: nothing is to move
        return
    worst = max(ratios, key=lambda name: ratios[name])
    numbers = {"ratios": ratios, "learning_rate": taken.learning_rate}
    if ratios[worst] > _LONG_UPDATE:
        yield Finding(
            "update_to_weight_ratio",
            int(worst.split(".")[0]),
            "warning" if ratios[worst] > _LARGE_UPDATE else "note",
            numbers,
            f"One step changes {worst} by {number(ratios[worst], 2)} times its size, where 0.001 times is usual.",
            f"Use a learning rate well below {number(taken.learning_rate, 3)}, or clip_norm; scale inputs and targets.",
        )
    elif ratios[worst] < _SMALL_UPDATE and trace.gradient.any():
        learnt = history is not None and history.epochs and history["loss"][-1] < _NOT_LEARNT * history["loss"][0]
        if not learnt:
            yield Finding(
                "update_to_weight_ratio",
                None,
                "note" if history is None else "warning",
                numbers,
                f"One step changes no weights by more than {number(ratios[worst], 2)} of their size, where 1e-3 is "
                "usual: learning hardly moves.",
                f"Use a learning rate far above {number(taken.learning_rate, 3)}; look for vanishing deltas.",
            )


def _loss_change(trace: Trace, taken: StepTaken) -> Iterator[Finding]:
    batch = trace.frozen()
    update = taken.after.astype(np.float64) - taken.before.astype(np.float64)
    before, promised = batch.loss(), float(np.dot(batch.gradient(), update))
    batch.values += update
    change = batch.loss() - before
    if not (promised < 0.0 and change > _RISE_NOTE * abs(before)):
        return
    # with s = promised and c = change − s the loss along the step is s t + c t², lowest at t = −s / 2c
    best = promised / (2.0 * (promised - change))
    yield Finding(
        "predicted_loss_change",
        None,
        "warning" if change > max(-promised, _RISE_WARNING * abs(before)) else "note",
        {"predicted": promised, "actual": change, "learning_rate": taken.learning_rate, "best_fraction": best},
        f"A step was to change the loss by {number(promised, 3)} (first order) and changed it by "
        f"{number(change, 3)}: it goes past the lowest point and up the other side.",
        f"Use a smaller learning rate: {number(best * taken.learning_rate, 2)} would have been best for this step.",
    )


def history_findings(history: History, *, dropout: bool) -> Iterator[Finding]:
    """Signs in the losses of the epochs; `dropout` makes every loss a little random."""
    losses = history["loss"]
    zigzag = None if dropout else _zigzag(history)
    if zigzag is not None:
        yield zigzag
        return
    if len(losses) > _LATEST:
        best = int(np.argmin(losses))
        now = min(losses[-_LATEST:])
        needed = max(_RISE * abs(losses[best]), _RISE_OF_WAY * (losses[0] - losses[best]))
        if now - losses[best] > needed:
            yield Finding(
                "loss_increasing",
                None,
                "warning",
                {"best": losses[best], "best_epoch": best + 1, "last": losses[-1], "epochs": len(losses)},
                f"The training loss has risen from {number(losses[best], 4)} in epoch {best + 1} to "
                f"{number(losses[-1], 4)} in epoch {len(losses)}.",
                "Use a smaller learning rate, or one that falls (CosineDecay); take the parameters of the best epoch.",
            )
    if "val_loss" in history and history.best_epoch is None:
        yield from _validation_rise(history)


def _zigzag(history: History) -> Finding | None:
    """A loss that goes up and down although every step takes all rows."""
    losses, low, high = (np.array(history.get(name, [])) for name in ("loss", "batch_loss_min", "batch_loss_max"))
    if losses.size < _FEWEST_EPOCHS or not np.array_equal(low, high):
        return None
    rises = np.diff(losses) > _RISE_COUNTS * np.abs(losses[:-1])
    if rises.mean() < _RISES:
        return None
    return Finding(
        "loss_increasing",
        None,
        "warning",
        {"rises": int(rises.sum()), "steps": int(rises.size), "last": float(losses[-1]), "epochs": int(losses.size)},
        f"The training loss rose in {rises.sum():,} of {rises.size:,} steps, each of which took all rows: the steps go "
        "past the lowest point and up the other side.",
        "Use a smaller learning rate: with a suitable one the loss falls in every such step.",
    )


def _validation_rise(history: History) -> Iterator[Finding]:
    losses, validation = history["loss"], history["val_loss"]
    finite = [value if np.isfinite(value) else np.inf for value in validation]
    best = int(np.argmin(finite))
    if len(finite) - 1 - best < _LATEST or not 0.0 < finite[best] < np.inf:
        return
    rise = min(finite[-_LATEST:]) / finite[best] - 1.0
    if rise > _LOST_NOTE and losses[-1] < losses[best]:
        yield Finding(
            "overfitting_gap",
            None,
            "warning" if rise > _LOST_WARNING else "note",
            {"best": finite[best], "best_epoch": best + 1, "last": finite[-1], "loss": losses[-1], "rise": rise},
            f"Since epoch {best + 1} the validation loss has risen from {number(finite[best], 4)} to "
            f"{number(finite[-1], 4)}, while the training loss fell to {number(losses[-1], 4)}.",
            "Stop earlier (EarlyStopping), add l2, Dropout or data, or use fewer units.",
        )


def measured_gap(net: Network, data: Rows, validation: Rows) -> Iterator[Finding]:
    """The gap between what was trained on and other data, measured."""
    train, other = (evaluate(net, X, Y, weight=weight) for X, Y, weight in (data, validation))
    metric = "accuracy" if "accuracy" in train else "r2"
    gap = train[metric] - other[metric]
    n, m = data[1].shape[0], validation[1].shape[0]
    needed = _R2_GAP
    if metric == "accuracy":
        # two standard errors of the difference of two shares
        error = np.sqrt(sum(p * (1 - p) / k for p, k in ((train[metric], n), (other[metric], m))))
        needed = max(_ACCURACY_GAP, 2.0 * float(error))
    if gap > needed and train["loss"] < other["loss"]:
        yield Finding(
            "overfitting_gap",
            None,
            "warning",
            {"train": train, "validation": other, "gap": gap, "metric": metric},
            f"{metric} is {number(train[metric], 3)} on the data it was trained on and {number(other[metric], 3)} on "
            "the validation data.",
            "Stop earlier (EarlyStopping), add l2, Dropout or data, or use fewer units.",
        )


def class_findings(
    trace: Trace, Y: Array, weight: Array | None, labels: Array | None, epochs: int | None
) -> Iterator[Finding]:
    """Classes with few rows, and whether the network has given them up. `Y` and `weight` are those of all rows."""
    net = trace.net
    if not is_classification(net, Y) or (Y.shape[1] > 1 and (Y.sum(axis=1) != 1.0).any()):
        return
    classes = max(2, Y.shape[1])
    counts = np.bincount(predicted_index_of_targets(Y), weights=weight, minlength=classes)  # (classes,)
    small, large = int(counts.argmin()), int(counts.argmax())
    if counts[large] < _IMBALANCE * counts[small]:
        return
    truth, predicted = predicted_index_of_targets(trace.y), predicted_index(net, trace.layers[-1].a)
    seen = np.bincount(truth, minlength=classes)
    ignored = [
        k for k in range(classes)
        if seen[k] >= _SMALL_CLASS and counts[large] >= _IMBALANCE * counts[k] and not (predicted == k).any()
    ]  # fmt: skip
    numbers = {"rows": counts.tolist(), "largest": large, "smallest": small, "never_predicted": ignored}
    names = [str(k) if labels is None else repr(labels.tolist()[k]) for k in range(classes)]
    given_up = f", and class {names[ignored[0]]} is never predicted" if ignored else ""
    many, few = number(counts[large], 6), number(counts[small], 6)
    yield Finding(
        "class_imbalance",
        None,
        "warning" if ignored and settled(epochs) else "note",
        numbers,
        f"Class {names[large]} has {many} rows and class {names[small]} has {few}{given_up}.",
        "Give rare classes more weight (sample_weight, class_weight), and look at each class's recall, not accuracy.",
    )
