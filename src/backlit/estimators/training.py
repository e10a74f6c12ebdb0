"""A run with scikit-learn's rules: what is held out, when it ends, what it leaves in the estimator."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from ..exceptions import ConfigurationError, DataError, DivergenceError
from ..kinds.optimizers import Optimizer
from ..training.callbacks import Callback
from ..training.evaluation import evaluate
from ..training.fit import fit
from ..training.history import History
from ..training.lbfgs import LBFGS
from ..training.threads import blas_limit
from .building import make_network, make_optimizer, renew_network
from .hidden import in_machine_code
from .names import solver_of
from .notices import warn_caller
from .rows import Rows, SparseRows
from .stopping import Scoring, StoppingRules
from .tracking import EpochTasks


def train(
    estimator: Any, rows: Rows, validation: Rows | None, given: tuple[Any, Any], *, first: bool, incremental: bool
) -> None:
    """Fit the estimator's network, with the rows as checked; sets every fitted attribute but classes and features.

    `given` are X and y as the caller gave them, for scikit-learn's callbacks.
    """
    if estimator.early_stopping and incremental and validation is None:
        raise ConfigurationError(
            "partial_fit does not support early_stopping=True: there is nothing to hold out of one batch; give X_val"
        )
    if first:
        estimator.network_ = make_network(estimator, rows.X.shape[1], rows.X.dtype)
        _begin(estimator)
    else:
        estimator.network_ = renew_network(estimator, estimator.network_)
    if estimator.early_stopping and solver_of(estimator).stochastic and validation is None:
        rows, validation = _hold_out(estimator, rows)
    optimizer = estimator._optimizer = make_optimizer(estimator)
    rules = StoppingRules(estimator, rows.n)
    callbacks: list[Callback] = [rules, *(estimator.callbacks or ())]
    if estimator.scoring is not None and validation is not None:
        callbacks.insert(0, Scoring(estimator, validation))
    if not incremental and hasattr(estimator, "_skl_callbacks"):
        callbacks.append(EpochTasks(estimator, *given))
    with blas_limit(estimator.n_threads):
        try:
            fit(
                estimator.network_,
                rows.X,
                rows.targets,
                epochs=1 if incremental else estimator.max_iter,
                batch_size=_batch_size(estimator, rows.n),
                optimizer=optimizer,
                validation=None if validation is None else (validation.X, validation.targets, validation.weight),
                sample_weight=rows.weight,
                shuffle=estimator.shuffle,
                callbacks=callbacks,
                engine=estimator.engine,
                n_threads=estimator.n_threads,
                progress=False,
                resume=_resumed(estimator.history_, optimizer),
            )
        except DivergenceError as error:
            _diverged(estimator, error)
    _finish(estimator, rows, stopped=rules.stopped, incremental=incremental)
    if estimator.engine == "compiled" and not isinstance(rows.X, SparseRows):
        in_machine_code(estimator)


def _begin(estimator: Any) -> None:
    """The attributes of a run that has not begun."""
    estimator.history_ = History()
    estimator.t_ = 0
    estimator.best_loss_ = np.inf
    estimator.validation_scores_ = None
    estimator.best_validation_score_ = None
    estimator._no_improvement_count = 0
    estimator._rate_cuts = 0


def _hold_out(estimator: Any, rows: Rows) -> tuple[Rows, Rows]:
    """`validation_fraction` of the rows kept apart: the same ones whenever this network is fitted on as many rows."""
    two_classes = is_classifier(estimator) and rows.targets.ndim == 1 and estimator.n_outputs_ == 1
    kept, held = train_test_split(
        np.arange(rows.n),
        test_size=estimator.validation_fraction,
        random_state=estimator.network_.seed,
        stratify=rows.targets.astype(bool)[:, None] if two_classes else None,  # two classes only, as in scikit-learn
    )
    if len(held) < 2:
        raise DataError("The validation set is too small. Increase 'validation_fraction' or the size of your dataset.")
    return rows.take(kept), rows.take(held)


def _batch_size(estimator: Any, n: int) -> int:
    if not solver_of(estimator).stochastic:
        return n
    if isinstance(estimator.batch_size, str):
        return min(200, n)
    if estimator.batch_size > n:
        warn_caller("Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", UserWarning)
    return min(int(estimator.batch_size), n)


def _resumed(history: History, optimizer: Optimizer | LBFGS) -> History:
    """The history to go on from; without the optimiser's state where the solver has been changed."""
    slots = () if isinstance(optimizer, LBFGS) else optimizer.slots
    state = history.state
    if state is not None and (len(state.slots) != len(slots) or state.optimizer not in ("", type(optimizer).__name__)):
        history = history.copy()
        history.state = None
    return history


def _diverged(estimator: Any, error: DivergenceError) -> None:
    """With early stopping the best parameters are the result, with a warning; else there is none."""
    if not estimator.early_stopping or not solver_of(estimator).stochastic:
        raise DataError(
            "Solver produced non-finite parameter weights. The input data may contain large values and need to be "
            f"preprocessed. ({error})"
        ) from error
    estimator.validation_scores_ = [*(estimator.validation_scores_ or []), float("nan")]
    warn_caller(f"Stochastic Optimizer: {error}", ConvergenceWarning)


def _finish(estimator: Any, rows: Rows, *, stopped: bool, incremental: bool) -> None:
    history = estimator.history_
    if not history.epochs:  # L-BFGS found nothing to do, or the first epoch diverged
        with np.errstate(over="ignore", invalid="ignore"):
            targets, _ = estimator.network_.encode(rows.targets, rows.n)
            estimator.loss_ = evaluate(estimator.network_, rows.X, targets, weight=rows.weight)["loss"]
    if not solver_of(estimator).stochastic:
        if not str(history.stopped).startswith("CONVERGENCE"):
            why = history.stopped or "STOP: TOTAL NO. OF ITERATIONS REACHED LIMIT"
            warn_caller(
                f"{estimator.solver} failed to converge after {estimator.n_iter_} iteration(s):\n{why}\n\n"
                f"Increase the number of iterations to improve the convergence (max_iter={estimator.max_iter}), "
                "or scale the data.",
                ConvergenceWarning,
            )
    elif not incremental and not stopped and history.stopped is None and estimator.n_iter_ == estimator.max_iter:
        warn_caller(
            f"Stochastic Optimizer: Maximum iterations ({estimator.max_iter}) reached and the optimization hasn't "
            "converged yet.",
            ConvergenceWarning,
        )
