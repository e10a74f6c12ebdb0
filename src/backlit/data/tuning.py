"""Settings of a table's recipe tried out, one trial after the other or several at once.

A trial trains a network on each of a few folds; its measure is the mean of their validation losses. The trials are
chosen by Optuna's tree-structured Parzen estimator (Bergstra et al., 2011), and one that is worse after a fold than
half of the others were is given up (the median rule of Golovin et al., 2017).
"""

from __future__ import annotations

import hashlib
import math
import signal
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final, final

import numpy as np

from ..exceptions import ConfigurationError, DataError, DivergenceError, WorkerLostError, missing_extra
from ..randomness import keyed_generator
from .learning import network_maker
from .members import Rows, Running, folds_of, member_seed, train_one
from .recipe import Recipe

#: Folds of which a trial trains a network each, where the recipe has as many.
TRIED: Final = 3
_ACTIVATIONS: Final = ("relu", "gelu", "tanh")
_SIGNED: Final = "table"  # where a study keeps what it is a study of


@final
@dataclass(frozen=True)
class Task:
    """What every trial trains on.

    Attributes
    ----------
    rows : Rows
    outputs : int
        Of the network.
    recipe : Recipe
        What the trials vary.
    seed : int
    engine : str
    codes : tuple of int
        Of how many categories the last columns of the rows are codes.
    """

    rows: Rows
    outputs: int
    recipe: Recipe
    seed: int
    engine: str = "auto"
    codes: tuple[int, ...] = ()

    @property
    def folds(self) -> int:
        """Networks of a trial."""
        return min(TRIED, self.recipe.folds)

    def sign(self) -> str:
        """A digest of rows and settings: losses of other ones cannot be compared."""
        digest = hashlib.sha256(repr((self.recipe, self.seed, self.rows.X.shape, self.outputs, *self.codes)).encode())
        for array in (self.rows.X, self.rows.y, self.rows.weight):
            if array is not None:
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


def fold_loss(task: Task, recipe: Recipe, fold: int) -> float:
    """The best validation loss of the network that does not learn from this fold; inf where training diverged."""
    rows = task.rows
    held = folds_of(rows.y, task.recipe, task.seed, classes=rows.classes) == fold
    make = network_maker(rows.X.shape[1], task.outputs, recipe, classes=rows.classes, codes=task.codes)
    net = make(member_seed(task.seed, fold))
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="training was interrupted")
            history = train_one(net, rows, held, recipe, fold, Running(engine=task.engine, progress=False))
    except DivergenceError:
        return float("inf")
    if (history.stopped or "").startswith("interrupted"):
        raise KeyboardInterrupt
    return float(np.nanmin(history["val_loss"]))


# ── settings ─────────────────────────────────────────────────────────────────────────────────────────────────


def suggested(trial: Any, recipe: Recipe) -> Recipe:
    """The recipe with the settings of a trial."""
    layers = trial.suggest_int("layers", 1, 3)
    units = trial.suggest_int("units", 16, 256, log=True)
    return replace(
        recipe,
        hidden=(units,) * layers,
        activation=trial.suggest_categorical("activation", _ACTIVATIONS),
        dropout=_rounded(trial.suggest_float("dropout", 0.0, 0.5)),
        learning_rate=_rounded(trial.suggest_float("learning_rate", 3e-4, 3e-2, log=True)),
    )


def _rounded(number: float) -> float:
    """Short enough to be written on a command line without a change."""
    return float(f"{number:.3g}")


def own_settings(recipe: Recipe) -> dict[str, Any]:
    """The recipe's own settings, which are the first trial: nothing is chosen that is worse than they are."""
    return {
        "layers": len(recipe.hidden),
        "units": recipe.hidden[0],
        "activation": recipe.activation,
        "dropout": recipe.dropout,
        "learning_rate": recipe.learning_rate,
    }


def best_recipe(study: Any, recipe: Recipe) -> Recipe:
    """The recipe with the settings of the best trial.

    Raises
    ------
    DataError
        No trial had a loss that is a number.
    """
    optuna = _optuna()
    if not math.isfinite(lowest_loss(study)):
        raise DataError("every trial diverged: nothing can be learnt from these rows as they are")
    return suggested(optuna.trial.FixedTrial(study.best_params), recipe)


# ── the study ────────────────────────────────────────────────────────────────────────────────────────────────


def open_study(task: Task, path: str | None) -> Any:
    """A new study, or the one in a file: trials that were at work when it ended are put first.

    Parameters
    ----------
    task : Task
    path : str or None
        Of the study's file (Optuna's journal, a line of JSON for each event), kept up as the search goes; None keeps
        it in memory.

    Raises
    ------
    ConfigurationError
        A study of other rows or settings.
    DataError
        A file that is no study; so few rows that none can be held out.
    """
    optuna = _optuna()
    folds = folds_of(task.rows.y, task.recipe, task.seed, classes=task.rows.classes)
    if not np.isin(np.arange(task.folds), folds).all():
        raise DataError(
            "settings are compared on rows that a network has not learnt from: "
            f"of {len(folds)} rows there are too few to hold any out"
        )
    study = _opened(optuna, path)
    signed = task.sign()
    if (known := study.user_attrs.get(_SIGNED)) is None:
        study.set_user_attr(_SIGNED, signed)
        study.enqueue_trial(own_settings(task.recipe))
    elif known != signed:
        raise ConfigurationError(
            f"the study in {path!r} is of another table, or of other settings: give another file, or the same command"
        )
    states = optuna.trial.TrialState
    for trial in study.get_trials(states=(states.RUNNING,)):
        study.tell(trial.number, state=states.FAIL)
        study.enqueue_trial(trial.params)
    return study


def _opened(optuna: Any, path: str | None) -> Any:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    given = {
        "direction": "minimize",
        "pruner": optuna.pruners.MedianPruner(n_startup_trials=5),
        "study_name": "backlit",
        "load_if_exists": True,
    }
    if path is None:
        return optuna.create_study(**given)
    _check_journal(path)
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    try:
        return optuna.create_study(storage=JournalStorage(JournalFileBackend(path)), **given)
    except (ValueError, KeyError, TypeError, AttributeError, AssertionError) as error:
        raise DataError(f"{path!r} is damaged: Optuna cannot read this study ({type(error).__name__})") from error


def _check_journal(path: str) -> None:
    """Refuse a file that is something else: the study would be written after it."""
    try:
        with open(path, "rb") as file:
            first = file.readline(10_000)
    except FileNotFoundError:
        return
    except OSError as error:
        raise DataError(f"{path!r} cannot be read: {error.strerror}") from error
    if first and not first.startswith(b'{"op_code"'):
        raise DataError(f"{path!r} is no study but another file: give a name that is free")


def finished_trials(study: Any, *, given_up: bool = True) -> list[Any]:
    """Those that were completed, and those that were given up, in the order of their numbers."""
    states = _optuna().trial.TrialState
    asked = (states.COMPLETE, states.PRUNED) if given_up else (states.COMPLETE,)
    return list(study.get_trials(deepcopy=False, states=asked))


def lowest_loss(study: Any) -> float:
    """The loss of the best trial; inf where none is finished."""
    return min((trial.value for trial in finished_trials(study, given_up=False)), default=math.inf)


def own_loss(study: Any, recipe: Recipe) -> float:
    """The loss of the recipe's own settings."""
    own = own_settings(recipe)
    return float(next(trial.value for trial in finished_trials(study) if trial.params == own))


# ── the search ───────────────────────────────────────────────────────────────────────────────────────────────


@final
@dataclass(frozen=True)
class Finished:
    """A trial that is over.

    Attributes
    ----------
    number : int
        From 1, as they ended.
    recipe : Recipe
    loss : float
        The mean of the validation losses of its folds; of those done, where it was given up.
    given_up : bool
    """

    number: int
    recipe: Recipe
    loss: float
    given_up: bool


@dataclass
class _Trial:
    """One that is at work, and the losses of its folds so far."""

    trial: Any
    recipe: Recipe
    losses: list[float] = field(default_factory=list)


def search(
    study: Any,
    task: Task,
    trials: int,
    *,
    jobs: int = 1,
    dask: str | None = None,
    told: Callable[[Finished], None] = lambda finished: None,
) -> None:
    """Try settings out until the study has so many trials.

    Parameters
    ----------
    study : optuna.Study
        As `open_study` gives it. One after the other, its trials depend on the task alone, however often the search is
        interrupted; several at once end in an order of their own, on which the later ones depend.
    task : Task
    trials : int
        Those that the study has already count.
    jobs : int
        Processes on this machine, by joblib's loky.
    dask : str, optional
        Address of a Dask cluster's scheduler, whose workers train instead.
    told : callable (Finished) -> None
        Called after each trial.

    Raises
    ------
    ConfigurationError
        Both of `jobs` and `dask`, or a cluster that does not answer.
    WorkerLostError
        A process that trained has been killed; the study has what was finished.
    """
    optuna = _optuna()
    states = optuna.trial.TrialState
    ended = len(finished_trials(study))
    asked = ended
    at_work: dict[Future[float], _Trial] = {}
    with _workers(task, jobs, dask) as (submit, most):
        while at_work or asked < trials:
            while asked < trials and len(at_work) < most:
                study.sampler = _sampler(optuna, task.seed, asked)
                trial = study.ask()
                recipe = suggested(trial, task.recipe)
                at_work[submit(recipe, 0)] = _Trial(trial, recipe)
                asked += 1
            for future in wait(at_work, return_when=FIRST_COMPLETED).done:
                at = at_work.pop(future)
                at.losses.append(future.result())
                loss = float(np.mean(at.losses))
                at.trial.report(loss, len(at.losses))
                given_up = at.trial.should_prune() and len(at.losses) < task.folds
                if len(at.losses) < task.folds and not given_up and math.isfinite(loss):
                    at_work[submit(at.recipe, len(at.losses))] = at
                    continue
                study.tell(at.trial, None if given_up else loss, state=states.PRUNED if given_up else states.COMPLETE)
                ended += 1
                told(Finished(ended, at.recipe, loss, given_up))


def _sampler(optuna: Any, seed: int, number: int) -> Any:
    """A sampler for one trial, keyed by its number: a search that goes on draws what an unbroken one would."""
    key = int(keyed_generator(seed, "trials", number).integers(2**32))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(seed=key, constant_liar=True)


# ── where trials run ─────────────────────────────────────────────────────────────────────────────────────────

_Submit = Callable[[Recipe, int], "Future[float]"]


@contextmanager
def _workers(task: Task, jobs: int, dask: str | None) -> Iterator[tuple[_Submit, int]]:
    """How a fold of a recipe is given to who trains it, and how many do so at once."""
    if dask is not None and jobs > 1:
        raise ConfigurationError("trials run on this machine's processes or on a Dask cluster: choose one of the two")
    if dask is not None:
        with _cluster(dask) as client:
            shared, executor = client.scatter(task, broadcast=True), client.get_executor()
            yield lambda recipe, fold: executor.submit(fold_loss, shared, recipe, fold), sum(client.nthreads().values())
    elif jobs > 1:
        from joblib.externals.loky import ProcessPoolExecutor

        with ProcessPoolExecutor(jobs, initializer=_receive, initargs=(task,)) as pool:
            try:
                yield lambda recipe, fold: pool.submit(_loss_of_received, recipe, fold), jobs
            except BrokenProcessPool as error:
                raise WorkerLostError(
                    "a process that trained was ended from outside, for want of memory perhaps: "
                    "take fewer of them; a study in a file goes on where it was"
                ) from error
            except BaseException:
                pool.shutdown(wait=False, kill_workers=True)
                raise
    else:
        yield lambda recipe, fold: _done(fold_loss(task, recipe, fold)), 1


def _done(loss: float) -> Future[float]:
    future: Future[float] = Future()
    future.set_result(loss)
    return future


_received: list[Task] = []


def _receive(task: Task) -> None:
    """In a process of its own: keep the rows, which are sent once."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks
    _received[:] = [task]


def _loss_of_received(recipe: Recipe, fold: int) -> float:
    return fold_loss(_received[0], recipe, fold)


@contextmanager
def _cluster(address: str) -> Iterator[Any]:
    try:
        import distributed
    except ImportError as error:
        raise missing_extra("dask.distributed", "dask", "a Dask cluster") from error
    try:
        client = distributed.Client(address, timeout=10)
        client.wait_for_workers(1, timeout=10)
    except (OSError, ValueError, TimeoutError) as error:
        raise ConfigurationError(f"no Dask cluster with workers answers at {address!r}: {error}") from error
    with client:
        yield client


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise missing_extra("optuna", "tune", "a search for settings") from error
    return optuna
