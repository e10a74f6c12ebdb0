"""What is done after each epoch: scikit-learn's bookkeeping and end of training, and scorers on the validation rows."""

from __future__ import annotations

import math
import warnings
from typing import Any, final

import numpy as np
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import check_scoring

from ..parameters import Array
from ..training.callbacks import Callback, Training
from .building import inverse_scaling
from .names import named_rate, solver_of
from .notices import warn_caller
from .rows import Rows


@final
class StoppingRules(Callback):
    """scikit-learn's rules, which keep their counts in the estimator, so that a later fit goes on with them.

    Training ends when the loss (with early stopping, the validation score) has failed to improve on its best by `tol`
    for more than `n_iter_no_change` epochs in a row. Early stopping leaves the best epoch's parameters in the network.
    A score that is NaN is never the best; before the first that is a number there is nothing to fail to improve on, and
    where there is none, the last parameters stay.

    Attributes
    ----------
    stopped : bool
        Whether they have ended the run.
    """

    def __init__(self, estimator: Any, n: int) -> None:
        self.estimator = estimator
        self.n = n
        self.stopped = False
        self._best_values: Array | None = None
        self._best_epoch = 0
        self._said_nan = False

    def on_fit_begin(self, training: Training) -> None:
        e = self.estimator
        e.history_ = training.history  # a run that diverges leaves its history, too
        self.steps = solver_of(e).stochastic  # L-BFGS ends by rules of its own
        self.watches_score = e.early_stopping and training.validation is not None and self.steps
        if self.watches_score:
            e.best_loss_ = None
        elif e.best_loss_ is None:
            e.best_loss_ = np.inf
        if training.validation is not None and e.validation_scores_ is None:
            e.validation_scores_ = []
            e.best_validation_score_ = -np.inf
        if self.watches_score and e.best_validation_score_ > -np.inf:
            self._best_values = training.net.parameters.state.copy()  # an earlier fit left its best

    def on_epoch_end(self, training: Training) -> None:
        e = self.estimator
        e.n_iter_ += 1
        e.t_ += self.n
        e.loss_ = training.history["loss"][-1]
        if e.verbose:
            print(f"Iteration {e.n_iter_}, loss = {e.loss_:.8f}")
        better = self._note_score(training) if training.validation is not None else False
        if not self.watches_score:
            better = self._note_loss()
        if not self.steps:
            return
        e._no_improvement_count = 0 if better else e._no_improvement_count + 1
        if named_rate(e) == "invscaling":
            training.optimizer.learning_rate = inverse_scaling(e)
        if e._no_improvement_count > e.n_iter_no_change:
            self._stop_or_slow_down(training)

    def _note_loss(self) -> bool:
        """Keep the smallest loss; whether this one improves on it by `tol`."""
        e = self.estimator
        better = not e.loss_ > e.best_loss_ - e.tol
        e.best_loss_ = min(e.best_loss_, e.loss_)
        return better

    def _note_score(self, training: Training) -> bool:
        """Keep the largest validation score, and its parameters; whether it does not fail to improve by `tol`."""
        e = self.estimator
        score = training.history[_score_name(e, training)][-1]
        e.validation_scores_.append(score)
        if e.verbose:
            print(f"Validation score: {score:f}")
        if math.isnan(score):
            if e.scoring is None and not self._said_nan:
                self._said_nan = True
                warn_of_nan(_score_name(e, training), training.epoch)
            return bool(e.best_validation_score_ == -np.inf)
        better = not score < e.best_validation_score_ + e.tol
        if score > e.best_validation_score_:
            e.best_validation_score_ = score
            self._best_epoch = training.epoch
            if self.watches_score:
                self._best_values = training.net.parameters.state.copy()
        return better

    def _stop_or_slow_down(self, training: Training) -> None:
        e = self.estimator
        what = "Validation score" if self.watches_score else "Training loss"
        reason = f"{what} did not improve more than tol={e.tol:f} for {e.n_iter_no_change} consecutive epochs."
        rate = training.history["learning_rate"][-1]
        if named_rate(e) == "adaptive" and rate > 1e-6:
            e._rate_cuts += 1
            e._no_improvement_count = 0
            training.optimizer.learning_rate = rate / 5.0
            outcome = f"Setting learning rate to {rate / 5.0:f}"
        else:
            self.stopped = True
            training.stop(reason)
            outcome = "Stopping."
        if e.verbose:
            print(f"{reason} {outcome}")

    def on_fit_end(self, training: Training) -> None:
        if self._best_values is not None:
            training.net.parameters.state[:] = self._best_values
            training.history.best_epoch = self._best_epoch or None


def _score_name(estimator: Any, training: Training) -> str:
    """The column of the history that holds the validation score."""
    if estimator.scoring is not None:
        return score_columns(estimator.scoring)[0]
    return "val_accuracy" if "val_accuracy" in training.history else "val_r2"


def score_columns(scoring: Any) -> list[str]:
    """The columns that `scoring` adds to the history; the first one is what early stopping watches.

    Examples
    --------
    >>> score_columns("f1_macro"), score_columns(["roc_auc", "f1"]), score_columns(lambda estimator, X, y: 0.0)
    (['val_f1_macro'], ['val_roc_auc', 'val_f1'], ['val_score'])
    """
    return [f"val_{name}" for name in _named(scoring)]


def _named(scoring: Any) -> dict[str, Any]:
    """Scorers by name: one, several names, or a dictionary of scorers."""
    if isinstance(scoring, str):
        return {scoring: scoring}
    if callable(scoring):
        return {"score": scoring}
    return dict(scoring) if isinstance(scoring, dict) else {name: name for name in scoring}


@final
class Scoring(Callback):
    """Any scorer of scikit-learn on the validation rows after every epoch, written into the history."""

    def __init__(self, estimator: Any, validation: Rows) -> None:
        self.estimator = estimator
        named = _named(estimator.scoring)
        self.scorers = {f"val_{name}": check_scoring(estimator, scoring=scorer) for name, scorer in named.items()}
        self.X: Any
        self.y: Any
        self.X, self.y, weight = validation.given or (None, None, None)
        self.weights = {} if weight is None else {"sample_weight": weight}
        self._said: set[str] = set()  # the scorers of which a warning has told that they gave NaN
        self._registry: dict[
            Any, Any
        ] = {}  # so that a warning that comes after every epoch is shown as Python shows it

    def on_epoch_end(self, training: Training) -> None:
        for column, scorer in self.scorers.items():
            with (
                np.errstate(over="ignore", invalid="ignore"),
                warnings.catch_warnings(record=True) as caught,
            ):
                warnings.simplefilter("always")
                score = float(scorer(self.estimator, self.X, self.y, **self.weights))
            training.history.amend(**{column: score})
            reasons = []
            for warning in caught:
                if math.isnan(score) and issubclass(warning.category, UndefinedMetricWarning):
                    reasons.append(str(warning.message))
                    continue
                warnings.warn_explicit(
                    warning.message, warning.category, warning.filename, warning.lineno, registry=self._registry
                )
            if math.isnan(score) and column not in self._said:
                self._said.add(column)
                warn_of_nan(column, training.epoch, " ".join(reasons))


def warn_of_nan(column: str, epoch: int, why: str = "") -> None:
    """Say that a score of the validation rows is not a number."""
    reason = f" ({why})" if why else ""
    warn_caller(
        f"the validation score {column.removeprefix('val_')!r} is NaN after epoch {epoch}{reason}: it never counts as "
        "the best; choose validation rows on which it is defined",
        UndefinedMetricWarning,
    )
