"""`health`: signs of ill health in a network and its training, each with its numbers, its cause and what to change.

    saturated_units         units at the flat end of sigmoid or tanh
    dead_units              relu units that are 0 on all rows
    identical_units         units that training cannot tell apart
    vanishing_deltas        delta shrinks from layer to layer
    exploding_deltas        delta grows from layer to layer
    update_to_weight_ratio  a step changes the weights by too much, or by too little
    inputs_not_scaled       columns that are far too large, or far too small
    predicted_loss_change   a step raises the loss that it was to lower
    loss_increasing         the training loss has gone up, or goes up and down
    constant_outputs        the same output for every row
    overfitting_gap         much better on the training data than on other data
    class_imbalance         classes with few rows
    not_finite              numbers that are not finite

The thresholds, and why they are where they are, stand in `health_network` and `health_course`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np

from ...checks import positive_whole
from ...exceptions import ConfigurationError
from ...kinds.optimizers import Optimizer, OptimizerState
from ...network import Network
from ...pages import Cell, Page, Table, Words, count, shown
from ...parameters import Array
from ...randomness import keyed_generator
from ...training.callbacks import Callback, EarlyStopping, Training
from ...training.history import History
from ...training.job import is_source
from ...typing import StreamedSource
from ..recording.recording import Rows, taken
from ..step.taken import take_traced_step
from ..step.trace import Trace, trace_batch
from .course import class_findings, history_findings, measured_gap, step_findings
from .network import FEWEST_ROWS, Finding, network_findings

_ROWS: Final = 2048  # looked at on demand


@shown
@final
@dataclass(frozen=True)
class HealthReport:
    """What was found.

    Attributes
    ----------
    findings : tuple of Finding
        Warnings first.
    rows : int
        Rows that were looked at.
    not_checked : dict of str to str
        Names of findings that could not be looked for, and what that would need.
    """

    findings: tuple[Finding, ...]
    rows: int
    not_checked: dict[str, str]

    @property
    def ok(self) -> bool:
        """Whether there is no warning; notes do not count."""
        return not self.warnings

    @property
    def warnings(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity == "warning")

    def page(self) -> Page:
        """The report as a page."""
        blocks: list[Words | Table] = []
        for finding in self.findings:
            tone = "bad" if finding.severity == "warning" else "fair"
            blocks += [
                Words(""),
                Words(f"{finding.severity}: {finding.place}", tone),  # type: ignore[arg-type]
                Words(finding.cause, "", 2),
                Words(f"→ {finding.advice}", "strong", 2),
            ]
        if self.not_checked:
            rows: list[list[Cell | str]] = [
                [Cell(name, "dim"), Cell(why, "dim")] for name, why in self.not_checked.items()
            ]
            blocks += [Words(""), Words("Not looked for:", "dim"), Table(["", ""], rows, "ll")]
        return Page(f"Health, on {count(self.rows, 'row')}: {self._summary()}", blocks)

    def _summary(self) -> str:
        warnings, notes = len(self.warnings), len(self.findings) - len(self.warnings)
        parts = [count(amount, what) for amount, what in ((warnings, "warning"), (notes, "note")) if amount]
        return ", ".join(parts) or "nothing found"

    def __repr__(self) -> str:
        return f"HealthReport({', '.join(f'{f.severity} {f.place}' for f in self.findings) or 'nothing found'})"

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {
            "ok": self.ok,
            "rows": self.rows,
            "findings": [finding.to_dict() for finding in self.findings],
            "not_checked": self.not_checked,
        }


def health(
    net: Network,
    X: Any,
    y: Any,
    *,
    sample_weight: Any = None,
    optimizer: Optimizer | None = None,
    history: History | None = None,
    validation: Sequence[Any] | None = None,
    rows: int = _ROWS,
) -> HealthReport:
    """Look for signs of ill health. The network is left as it is.

    Parameters
    ----------
    net : Network
    X, y, sample_weight : array_like
        The training data. Of more than `rows` rows, that many are drawn (by the network's seed).
    optimizer : SGD, RMSprop, Adagrad, Adam or AdamW, optional
        Whose next step is looked at, with the state that ``history.state`` has for it.
    history : History, optional
        What `fit` returned.
    validation : (X, y) or (X, y, sample_weight), optional
        Other data, to measure the gap on.
    rows : int, default=2048

    Returns
    -------
    HealthReport

    Examples
    --------
    >>> import backlit as bl
    >>> net = bl.Network([bl.Dense(8, "tanh", weight_init=0.5), bl.Dense(1, weight_init=0.1)], inputs=1)
    >>> report = health(net, [[-1.0], [0.0], [1.0]], [1.0, 0.0, 1.0])
    >>> report
    HealthReport(warning identical_units, layer 0)
    >>> report.findings[0].numbers["units"], report.ok
    (8, False)
    """
    X, Y, weight = net.check_data(X, y, sample_weight=sample_weight)
    sample = _sample(net, Y.shape[0], positive_whole("rows", rows))
    trace = _trace(net, taken((X, Y, weight), sample))
    other: Rows | None = None
    if validation is not None:
        if not isinstance(validation, tuple | list) or len(validation) not in (2, 3):
            raise ConfigurationError(
                f"validation must be (X, y) or (X, y, sample_weight), received {type(validation).__name__}"
            )
        X_val, y_val, *weight_val = validation
        other = net.check_data(X_val, y_val, sample_weight=weight_val[0] if weight_val else None)
    state = None if history is None else history.state
    return _examine(trace, (Y, weight, net.classes), optimizer, state, history, other)


def _examine(
    trace: Trace,
    targets: tuple[Array, Array | None, Array | None],
    optimizer: Optimizer | None,
    state: OptimizerState | None,
    history: History | None,
    validation: Rows | None,
) -> HealthReport:
    """Everything that can be looked for. `targets` are Y and weight of all rows, and the labels of the classes."""
    epochs = None if history is None else history.epochs
    found = [*network_findings(trace, epochs)]
    missing: dict[str, str] = {}
    if any(finding.name == "not_finite" for finding in found):
        return HealthReport(tuple(found), trace.n, {"everything else": "needs finite numbers"})
    found += class_findings(trace, *targets, epochs)
    if trace.n < FEWEST_ROWS:
        missing["saturated_units, dead_units, constant_outputs"] = f"needs at least {FEWEST_ROWS} rows"
    if optimizer is None:
        missing["update_to_weight_ratio, predicted_loss_change"] = "needs optimizer="
    else:
        step = take_traced_step(trace, optimizer, state, 0.0 if history is None else float(history.epochs))
        found += step_findings(trace, step, history)
    if history is not None and history.epochs:
        found += history_findings(history, dropout=any(layer.mask is not None for layer in trace.layers))
    else:
        missing["loss_increasing"] = "needs history="
    if validation is not None:
        if all(finding.name != "overfitting_gap" for finding in found):
            found += measured_gap(trace.net, trace.data, validation)
    elif history is None or "val_loss" not in history:
        missing["overfitting_gap"] = "needs validation=, or a history with validation data"
    found.sort(key=lambda finding: finding.severity == "note")
    return HealthReport(tuple(found), trace.n, missing)


def _trace(net: Network, rows: Rows) -> Trace:
    """One pass forwards and backwards over rows whose targets are encoded already, without dropout."""
    net = net.astype(net.dtype)
    net.classes = None
    X, Y, weight = rows
    return trace_batch(net, X, Y, sample_weight=weight)


def _sample(net: Network, n: int, rows: int) -> Array:
    """The numbers of the rows to look at, in order; no more than the limit."""
    if n <= rows:
        return np.arange(n)
    return np.sort(keyed_generator(net.seed, "sampling", 3).permutation(n)[:rows])


@final
class HealthMonitor(Callback):
    """Look for signs of ill health during training, on a sample of the rows.

    After the epochs 1, 2, 4, 8, … and the last one, so that it costs little however long training takes.

    Parameters
    ----------
    rows : int, default=256
        Of the training data that are looked at.
    show : bool, default=False
        Print each new finding on stderr, in one line.

    Attributes
    ----------
    findings : tuple of Finding
        Each once, by name, layer and severity, in the order in which they appeared.
    report : HealthReport or None
        The last one.

    Examples
    --------
    >>> import backlit as bl
    >>> monitor = HealthMonitor()
    >>> net = bl.Network([bl.Dense(1)], inputs=1)
    >>> X = [[100.0], [200.0], [300.0]]
    >>> _ = bl.fit(net, X, [1.0, 2.0, 3.0], epochs=3, optimizer=bl.SGD(1e-6), callbacks=[monitor])
    >>> [finding.name for finding in monitor.findings]
    ['inputs_not_scaled']
    """

    def __init__(self, rows: int = 256, *, show: bool = False) -> None:
        self.rows = positive_whole("rows", rows)
        self.show = show
        self._begin()

    def _begin(self) -> None:
        self._found: dict[tuple[str, int | None, str], Finding] = {}
        self.report: HealthReport | None = None

    @property
    def findings(self) -> tuple[Finding, ...]:
        return tuple(self._found.values())

    def on_fit_begin(self, training: Training) -> None:
        self._begin()
        self._first = training.history.epochs

    def on_epoch_end(self, training: Training) -> None:
        done = training.epoch - self._first
        last = training.epoch == training.epochs or training.stop_reason is not None
        if not last and done & (done - 1):
            return
        job = training.job
        rows = self._rows(training)
        # of a stream the classes are counted among the rows that are looked at
        _, Y, weight = rows if isinstance(training.data[0], StreamedSource) else training.data
        self.report = _examine(
            _trace(training.net, rows),
            (Y, weight, training.net.classes),
            None if job is None else job.optimizer,
            None if job is None else job.state,
            training.history,
            None,
        )
        kept = any(isinstance(each, EarlyStopping) and each.restore_best for each in training.callbacks)
        for finding in self.report.findings:
            if kept and finding.name == "overfitting_gap":
                continue  # the run goes back to its best epoch: what the finding advises is done
            key = finding.name, finding.layer, finding.severity
            if key in self._found:
                continue
            self._found[key] = finding
            if self.show:
                _print(finding, training.epoch)

    def _rows(self, training: Training) -> Rows:
        X, Y, weight = training.data
        sample = _sample(training.net, Y.shape[0], self.rows)
        if not is_source(X):
            return taken((X, Y, weight), sample)
        made: Array = np.empty((sample.size, training.net.inputs), training.net.dtype)
        X.fetch(sample, made, epoch=0)
        return made, Y[sample], None if weight is None else weight[sample]

    def __repr__(self) -> str:
        return f"HealthMonitor(rows={self.rows}, show={self.show})"


def _print(finding: Finding, epoch: int) -> None:
    from rich.console import Console
    from rich.text import Text

    head = Text(f"{finding.severity}: ", style="yellow" if finding.severity == "warning" else "dim")
    line = f"{finding.place} (epoch {epoch}): {finding.cause} {finding.advice}"
    Console(stderr=True, highlight=False, soft_wrap=True).print(head + Text(line))
