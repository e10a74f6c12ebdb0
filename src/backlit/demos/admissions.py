"""A single sigmoid unit on 400 applicants to graduate schools: out = σ(x·w), without bias.

    error term   δ = (y − out) · out · (1 − out)
    step         w ← w + η mean_rows(δ x)             the gradient of ½ (y − out)², averaged over the rows

gre and gpa are standardised, rank becomes four 0/1 columns; 360 rows to train, 40 to test.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, final

import numpy as np

from ..data import load
from ..kinds import Dense
from ..kinds.optimizers import SGD
from ..network import Network
from ..parameters import Array
from ..training.fit import fit
from . import page, picture

if TYPE_CHECKING:
    from rich.console import Console

COLUMNS: Final = ("gre", "gpa", "rank_1", "rank_2", "rank_3", "rank_4")
SEED: Final = 42  # of the published split and weights
TRAINING_ROWS: Final = 360
EPOCHS: Final = 1000
LEARNING_RATE: Final = 0.5


@final
@dataclass(frozen=True)
class Applicants:
    """The rows, ready for the unit: X (n, 6) and y (n,) for training and for the test."""

    X_train: Array
    y_train: Array
    X_test: Array
    y_test: Array


@final
@dataclass(frozen=True)
class Run:
    """One training run.

    Attributes
    ----------
    what : str
        How it differs from the others.
    times_mean : float
        Length of its steps, as a multiple of the step by the mean.
    first_step : float
        Length of the first step, ‖Δw‖.
    mse : list of float
        Mean squared error of the training rows after each epoch.
    """

    what: str
    times_mean: float
    first_step: float
    mse: list[float]
    test_accuracy: float
    weights: Array

    @property
    def increases(self) -> int:
        """In how many epochs the error went up."""
        return self.increases_between(0, len(self.mse) - 1)

    def increases_between(self, first: int, last: int) -> int:
        """In how many epochs after `first`, up to `last`, the error was above the one before."""
        return int((np.diff(self.mse[first : last + 1]) > 1e-12).sum())


@final
@dataclass(frozen=True)
class SigmoidStep:
    """One step of one sigmoid unit for one sample."""

    x: Array
    w: Array
    y: float
    out: float
    step: Array


@final
@dataclass(frozen=True)
class AdmissionsResults:
    """What `run` found.

    Attributes
    ----------
    published, scaled_alone : Run
        As published; and with gre and gpa scaled by the training rows alone.
    lengths : list of Run
        The mean and the sum of squared errors, compared.
    refused : float
        Share of the test rows that were refused: what always saying no gets right.
    """

    published: Run
    scaled_alone: Run
    lengths: list[Run]
    refused: float
    steps: list[SigmoidStep]
    one_weight: dict[str, float]

    def as_json(self) -> dict[str, Any]:
        mse = self.published.mse
        return {
            "train_mse_at_epoch": {str(epoch): mse[epoch] for epoch in range(0, EPOCHS, 100)},
            "test_accuracy": self.published.test_accuracy,
            "weights": self.published.weights.tolist(),
            "columns": list(COLUMNS),
            "sigmoid-unit": {
                "cases": [{"out": step.out, "step": step.step.tolist()} for step in self.steps],
                "one_weight": self.one_weight,
            },
        }


def prepare(seed: int = SEED, *, scale_by_all: bool = True) -> Applicants:
    """The 400 rows, encoded and divided.

    Parameters
    ----------
    seed : int
        Of the legacy generator that chooses the 360 rows for training.
    scale_by_all : bool
        Whether mean and deviation of gre and gpa come from all 400 rows, as published, or from the 360 alone.
    """
    data = load("admissions")
    # The legacy generator, whose numbers never change: results can be compared with published ones.
    chosen = np.random.RandomState(seed).choice(400, TRAINING_ROWS, replace=False)
    rest = np.setdiff1d(np.arange(400), chosen)
    scores = data.X[:, :2]  # (400, 2) gre, gpa
    known = scores if scale_by_all else scores[chosen]
    scores = (scores - known.mean(axis=0)) / known.std(axis=0, ddof=1)
    rank = (data.X[:, 2:] == [1, 2, 3, 4]).astype(np.float64)  # (400, 4)
    X, y = np.hstack([scores, rank]), data.y.astype(np.float64)
    return Applicants(X[chosen], y[chosen], X[rest], y[rest])


def unit(weights: Array, loss: str = "squared_error", activation: str = "sigmoid") -> Network:
    """One unit without bias, with the given weights."""
    net = Network([Dense(1, activation, bias=False)], inputs=len(weights), loss=loss, dtype="float64")
    net.parameters.values[:] = weights
    return net


def train(what: str, rows: Applicants, seed: int, *, times_mean: float = 1.0) -> Run:
    """Train the unit with steps of that many times the mean's."""
    net = unit(np.random.RandomState(seed).normal(scale=1.0 / np.sqrt(6.0), size=6))
    rate = LEARNING_RATE * times_mean
    first_step = float(np.linalg.norm(rate * net.gradient(rows.X_train, rows.y_train)))
    settings: dict[str, Any] = {"batch_size": None, "optimizer": SGD(rate), "progress": False}
    history = fit(net, rows.X_train, rows.y_train, epochs=EPOCHS, **settings)
    # The history has ½ mean (y − out)² before each step: twice that, one epoch later, is the error after it.
    mse = [2.0 * loss for loss in history["loss"][1:]]
    mse.append(2.0 * net.loss(rows.X_train, rows.y_train))
    right = (net.forward(rows.X_test)[:, 0] > 0.5) == rows.y_test
    return Run(what, times_mean, first_step, mse, float(right.mean()), net.parameters.values.copy())


def sigmoid_step(x: list[float], w: list[float], y: float) -> SigmoidStep:
    """One step by the gradient of ½ (y − out)², which is −δ x."""
    net, row = unit(np.array(w)), np.array([x])
    step = -LEARNING_RATE * net.gradient(row, [y])
    return SigmoidStep(row[0], np.array(w), y, float(net.forward(row)[0, 0]), step)


def one_weight_step() -> dict[str, float]:
    """Input 3, weight 2, target 10: one step of the loss (prediction − target)² with learning rate 0.01."""
    net = unit(np.array([2.0]), loss="mean_squared_error", activation="identity")
    row, target = np.array([[3.0]]), [10.0]
    prediction, gradient = float(net.forward(row)[0, 0]), float(net.gradient(row, target)[0])
    fit(net, row, target, epochs=1, optimizer=SGD(0.01), progress=False)
    return {"prediction": prediction, "gradient": gradient, "weight_after": float(net.parameters.values[0])}


def run(seed: int | None = None) -> AdmissionsResults:
    """Train as published, then with clean scaling, then with the sum in place of the mean.

    `seed` draws another split and other weights.
    """
    seed = SEED if seed is None else seed
    rows = prepare(seed)
    published = train("scaled by all 400 rows", rows, seed)
    n = float(TRAINING_ROWS)
    return AdmissionsResults(
        published=published,
        scaled_alone=train("scaled by the 360 training rows", prepare(seed, scale_by_all=False), seed),
        lengths=[
            train("mean, learning rate 0.5", rows, seed),
            train("sum, learning rate 0.5", rows, seed, times_mean=n),
            train("sum, learning rate 0.5 / 360", rows, seed, times_mean=n / n),
        ],
        refused=float((rows.y_test == 0).mean()),
        steps=[
            sigmoid_step([1.0, 2.0, 3.0, 4.0], [0.5, -0.5, 0.3, 0.1], 0.5),
            sigmoid_step([0.1, 0.3], [-0.8, 0.5], 0.2),
        ],
        one_weight=one_weight_step(),
    )


def show(results: AdmissionsResults, out: Console) -> None:
    """Print the page."""
    mean, total, _ = results.lengths
    page.heading(out, "Graduate admissions: one sigmoid unit, 360 rows to train, 40 to test")
    page.paragraph(
        out,
        f"out = σ(x·w), no bias; gradient of ½ (y − out)² over all 360 rows, {EPOCHS:,} epochs. On the left the "
        f"gradient is the mean over the rows, on the right their sum, both with learning rate {LEARNING_RATE:g}.",
    )
    rows = []
    for epoch in (*range(0, EPOCHS, 100), EPOCHS - 1):
        up = total.increases_between(max(0, epoch - 100), epoch)
        up_mean = mean.increases_between(max(0, epoch - 100), epoch)
        rows.append((f"{epoch}", f"{mean.mse[epoch]:.8f}", _warning(up_mean), f"{total.mse[epoch]:.8f}", _warning(up)))
    page.table(out, ("epoch", "error, mean", "", "error, sum", ""), rows, (2, 4))
    page.note(
        out,
        "The error is the mean of (y − out)² over the training rows after that epoch; the warning counts the epochs "
        "since the line above in which it went up.",
    )

    page.heading(out, "The sum of squared errors is 360 times their mean, and so is its step")
    table = [
        (
            r.what,
            f"{r.first_step:.4f}",
            f"{r.mse[-1]:.6f}",
            f"{r.increases}",
            page.percent(r.test_accuracy),
        )
        for r in results.lengths
    ]
    page.table(out, ("gradient", "first step", "final error", "times up", "test rows right"), table)
    page.note(
        out,
        f"The first step by the sum is {total.first_step / mean.first_step:.0f} times as long and jumps over the "
        "valley; divided by the rows it is the same walk. A learning rate for the mean stays right when rows are "
        "added.",
    )

    page.heading(out, "What was learnt")
    page.table(
        out,
        COLUMNS,
        [[f"{w:+.5f}" for w in results.published.weights]],
        (),
    )
    alone, published = results.scaled_alone, results.published
    page.note(
        out,
        f"Right for {page.percent(published.test_accuracy)} of the 40 test rows, where always saying no is right for "
        f"{page.percent(results.refused)}.",
    )
    page.paragraph(
        out,
        "The published version has a slip: gre and gpa are scaled by all 400 rows, the test rows among them. Scaled by "
        f"the 360 training rows alone the error ends at {alone.mse[-1]:.6f} instead of {published.mse[-1]:.6f} and the "
        f"test accuracy is {page.percent(alone.test_accuracy)} instead of {page.percent(published.test_accuracy)}.",
    )

    page.heading(out, "Single steps of one sigmoid unit, worked out")
    for number, step in enumerate(results.steps, 1):
        page.paragraph(
            out,
            f"{number}. x = {_listed(step.x, 'g')}, w = {_listed(step.w, 'g')}, y = {step.y:g}: out = {step.out:.8f}, "
            f"step = 0.5 · δ · x = {_listed(step.step, '.8f')}",
        )
    one = results.one_weight
    page.paragraph(
        out,
        f"3. One weight, no activation: input 3, weight 2, prediction {one['prediction']:g}, target 10, gradient "
        f"2 · ({one['prediction']:g} − 10) · 3 = {one['gradient']:g}, weight after a step with learning rate 0.01: "
        f"{one['weight_after']:g}",
    )
    page.conclusion(
        out,
        "A bad school rank weighs more than test scores and grades; and averaging the gradient over the rows is what "
        "makes a learning rate mean the same for 40 rows as for 360.",
    )


def _warning(increases: int) -> str:
    return f"WARNING: up in {increases}" if increases else ""


def _listed(values: Array, how: str) -> str:
    return "[" + ", ".join(format(float(v), how) for v in values) + "]"


def draw(results: AdmissionsResults, path: str) -> None:
    """The error over the epochs by mean and by sum, and the weights learnt."""
    figure = picture.new_figure(11, 4.2)
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    mean, total, _ = results.lengths
    epochs = np.arange(EPOCHS)
    left.plot(epochs, total.mse, color="tab:orange", linewidth=0.8, label=total.what)
    left.plot(epochs, mean.mse, color="tab:blue", linewidth=1.8, label=mean.what)
    left.set(xlabel="epoch", ylabel="mean squared error, training rows", title="mean and sum of squared errors")
    left.legend(frameon=False)
    left.grid(alpha=0.25)
    weights = results.published.weights
    right.barh(COLUMNS, weights, color=np.where(weights < 0, "tab:red", "tab:green"))
    right.invert_yaxis()
    right.axvline(0.0, color="black", linewidth=0.8)
    right.set(xlabel="weight", title="what speaks for admission, and against")
    right.grid(alpha=0.25, axis="x")
    picture.save_figure(figure, path)
