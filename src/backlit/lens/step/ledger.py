"""`explain`: one step of training on one batch, with every number of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from typing import Any, final

from ...checking.batch_loss import check_step
from ...checks import not_negative, positive_whole
from ...kinds.optimizers import SGD, Optimizer, OptimizerState
from ...network import Network
from ...pages import Page, count, plain, shown
from ...parameters import Array
from .account import LossAccount, account_for
from .index import check_index, position_of
from .ledgerpage import ledger_page
from .proof import Proof, Prover
from .shape_ledger import ShapeLedger, shapes
from .taken import ParameterStep, StepTaken, take_traced_step
from .trace import LayerPass, Trace, numbers_or_size, trace_batch
from .weight import MOST_TERMS, UnfoldedWeight, unfold_weight


@shown
@final
class Ledger:
    """Every number of one step: forwards, backwards, the update, and the loss before and after.

    Attributes
    ----------
    net : Network
        A copy, with the parameters before the step.
    optimizer : Optimizer
    layers : list of LayerPass
        z, a, activation slope and delta of each layer, for every row.
    parameters : dict of str to ParameterStep
        Gradient, penalty part, momentum part, update, value before and after of each parameter array.
    loss_before, loss_after : float
        Of the batch, penalty included; after the step it was measured again.
    row_losses_before, row_losses_after : ndarray, shape (n,)
        Of each row, without penalty.
    row_labels : list of str
    learning_rate : float
        At this epoch.
    clip_factor : float
        What the gradient was multiplied by because it was longer than `clip_norm`; else 1.
    trace, step : Trace, StepTaken
        The passes, and the step, in the form that the other parts of the lens take.
    """

    def __init__(self, trace: Trace, step: StepTaken, optimizer: Optimizer) -> None:
        self.trace = trace
        self.step = step
        self.optimizer = optimizer
        self.net = trace.net
        self.layers: list[LayerPass] = trace.layers
        self.parameters: dict[str, ParameterStep] = step.parameters
        self.loss_before, self.loss_after = trace.loss, step.loss
        self.row_losses_before: Array = trace.row_losses
        self.row_losses_after: Array = step.row_losses
        self.row_labels = trace.row_labels
        self.learning_rate = step.learning_rate
        self.clip_factor = step.clip_factor
        self._prover = Prover(trace)
        self._proofs: dict[int, Proof] = {}

    @property
    def n(self) -> int:
        """Rows of the batch."""
        return self.trace.n

    def proof(self, name: str, *index: int) -> Proof:
        """The gradient of one parameter beside its finite difference (central, float64).

        Examples
        --------
        >>> from backlit.kinds import Dense
        >>> ledger = explain(Network([Dense(1, weight_init=3.0)], inputs=1), [[1.0]], [1.0])
        >>> ledger.proof("0.weight", 0, 0).gradient
        2.0
        """
        parameters = self.net.parameters
        position = position_of(parameters, name, check_index(parameters, name, index))
        if position not in self._proofs:
            self._proofs[position] = self._prover.one(position)
        return self._proofs[position]

    @cached_property
    def array_proofs(self) -> dict[str, Proof]:
        """For each parameter array as a whole: the slope of the loss along one random direction within it."""
        return {name: self._prover.array(name) for name in self.parameters}

    def weight(self, name: str, *index: int, row: int | None = None, terms: int = MOST_TERMS) -> UnfoldedWeight:
        """Unfold the gradient of one weight, one bias, or another number that a layer learns, down to the loss.

        Parameters
        ----------
        name : str
            ``"0.weight"``, ``"0.bias"``, ``"1.scale"``.
        *index : int
            Input and unit of a weight; the unit of anything else.
        row : int, optional
            Whose delta is unfolded; the row with the largest share in the gradient unless given.
        terms : int, default=5
            How many terms of each sum are shown, the largest; the rest as its sum.

        Raises
        ------
        ParameterNameError, ConfigurationError
            If there is no such parameter or row.

        Examples
        --------
        >>> from backlit.kinds import Dense
        >>> ledger = explain(Network([Dense(1, weight_init=3.0)], inputs=1), [[2.0]], [1.0])
        >>> print(ledger.weight("0.weight", 0, 0))                                  # doctest: +ELLIPSIS
        0.weight[0, 0]: where its gradient comes from
          ∂L/∂W[0, 0]        = a_0 · delta_0 = 2 · 5 ...
        """
        found = check_index(self.net.parameters, name, index)
        terms = positive_whole("terms", terms)
        return unfold_weight(self.trace, self.parameters[name], found, self.proof(name, *found), row, terms)

    def account(self) -> LossAccount:
        """What the update of each parameter array and layer changed in the loss."""
        return self._account

    @cached_property
    def _account(self) -> LossAccount:
        return account_for(self.trace, self.step)

    def shapes(self) -> ShapeLedger:
        """Every product of this batch with its shapes."""
        return shapes(self.net, self.n)

    def page(self, row: int | None = None) -> Page:
        """The ledger as a page: the layers unit by unit for one row (or a batch of one), else their summary."""
        return ledger_page(
            self.trace,
            self.step,
            repr(self.optimizer),
            lambda name, index: self.proof(name, *index),
            lambda: self.array_proofs,
            None if row is None else self.trace.check_row(row),
        )

    def __repr__(self) -> str:
        return (
            f"Ledger({count(self.n, 'row')}, {self.optimizer!r}, loss {self.loss_before:.6g} → {self.loss_after:.6g})"
        )

    def to_dict(self, *, limit: int | None = 2000) -> dict[str, Any]:
        """Everything, for JSON; arrays of more than `limit` numbers by shape, norm and extremes. None: no limit."""
        return {
            "network": self.net.spec(),
            "optimizer": repr(self.optimizer),
            "learning_rate": self.learning_rate,
            "clip_factor": plain(self.clip_factor),
            "dropout_step": self.trace.step,
            "pass": self.trace.which_pass,
            "loss_before": plain(self.loss_before),
            "loss_after": plain(self.loss_after),
            "row_labels": self.row_labels,
            "row_losses_before": numbers_or_size(self.row_losses_before, limit),
            "row_losses_after": numbers_or_size(self.row_losses_after, limit),
            "inputs": numbers_or_size(self.trace.inputs, limit),
            "targets": numbers_or_size(self.trace.y, limit),
            "sample_weight": None if self.trace.weight is None else numbers_or_size(self.trace.weight, limit),
            "layers": [layer.to_dict(limit) for layer in self.layers],
            "parameters": [parameter.to_dict(limit) for parameter in self.parameters.values()],
            "proofs": {name: plain(asdict(proof)) for name, proof in self.array_proofs.items()},
        }


def explain(
    net: Network,
    X: Any,
    y: Any,
    *,
    optimizer: Optimizer | None = None,
    sample_weight: Any = None,
    row_labels: Sequence[Any] | None = None,
    state: OptimizerState | None = None,
    step: int | None = None,
    epoch: float = 0.0,
) -> Ledger:
    """Follow one step of training on the given rows, and keep every number of it. The network is left as it is.

    Parameters
    ----------
    net : Network
    X, y, sample_weight : array_like
        As in ``net.gradient``: one row, a batch, or all.
    optimizer : SGD, RMSprop, Adagrad, Adam or AdamW, default=SGD(0.01)
    row_labels : sequence, optional
        Names of the rows; their numbers unless given.
    state : OptimizerState, optional
        What the optimiser remembers: ``history.state``. It is left as it is. Without, this is its first step.
    step : int, optional
        Explain the pass of that training step (from 0): dropout has the mask of that step, batch norm takes mean and
        spread of these rows. Without, it is the pass of inference: no dropout, and running statistics.
    epoch : float, default=0
        For a learning rate, or a rate of dropout, that follows a schedule.

    Returns
    -------
    Ledger

    Examples
    --------
    >>> from backlit.kinds import Dense
    >>> net = Network([Dense(2), Dense(1)], inputs=2, dtype="float64")
    >>> net.parameters.values[:] = [1, 1, 1, 1, 0, 0, 1, 1, 0]            # every weight 1, every bias 0
    >>> ledger = explain(net, [[1.0, 1.0]], [1.0], optimizer=SGD(0.1))
    >>> ledger.layers[0].delta
    array([[3., 3.]])
    >>> ledger.parameters["1.weight"].after.round(12).tolist()           # 1 − 0.1 · 6
    [[0.4], [0.4]]
    >>> ledger
    Ledger(1 row, SGD(0.1), loss 4.5 → 0.0...)
    """
    optimizer = SGD(0.01) if optimizer is None else optimizer
    epoch = not_negative("epoch", epoch)
    trace = trace_batch(
        net, X, y, sample_weight=sample_weight, row_labels=row_labels, step=check_step(step), epoch=math.floor(epoch)
    )
    return Ledger(trace, take_traced_step(trace, optimizer, state, epoch), optimizer)


def loss_account(
    net: Network,
    X: Any,
    y: Any,
    *,
    optimizer: Optimizer | None = None,
    sample_weight: Any = None,
    state: OptimizerState | None = None,
    step: int | None = None,
    epoch: float = 0.0,
) -> LossAccount:
    """What one step changes in the loss, for each parameter array and layer: ``explain(…).account()``.

    Examples
    --------
    >>> from backlit.kinds import Dense
    >>> net = Network([Dense(1, weight_init=3.0, bias=False)], inputs=1, dtype="float64")
    >>> account = loss_account(net, [[1.0]], [1.0], optimizer=SGD(0.1))          # L = ½ (w − 1)², g = 2, Δw = −0.2
    >>> [round(value, 6) for value in (account.first_order, account.change, account.path)]
    [-0.4, -0.38, -0.38]
    """
    return explain(
        net, X, y, optimizer=optimizer, sample_weight=sample_weight, state=state, step=step, epoch=epoch
    ).account()
