"""The arguments of `fit`, checked, and in the form that a run takes them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Final

from ..checking.gradcheck import FiniteDifference
from ..checks import cast_weight, one_of
from ..exceptions import ConfigurationError, DataError, ShapeError
from ..kinds.optimizers import Optimizer, OptimizerState, initial_state
from ..network import Network
from ..targets import check_sample_weight
from ..typing import RowStream
from .callbacks import Callback
from .checkpoint import Checkpoint
from .communicators import Communicator, SerialCommunicator
from .history import History
from .job import Data, is_source, source_shape
from .lbfgs import LBFGS

_GRADIENTS: Final = ("backprop", "finite_difference", "central_difference")


def check_kinds(net: Any, optimizer: Any, callbacks: Any, resume: Any) -> None:
    """Refuse arguments that are not what their name says."""
    if not isinstance(net, Network):
        raise ConfigurationError(f"fit trains a Network, received {net!r}")
    if isinstance(optimizer, type) or not (isinstance(optimizer, LBFGS) or hasattr(optimizer, "update")):
        raise ConfigurationError(f"optimizer must be an optimiser such as Adam(0.001), received {optimizer!r}")
    if not isinstance(callbacks, Sequence) or not all(isinstance(callback, Callback) for callback in callbacks):
        raise ConfigurationError(f"callbacks must be a list such as [EarlyStopping()], received {callbacks!r}")
    if resume is not None and not isinstance(resume, History | Checkpoint | str | os.PathLike):
        raise ConfigurationError(f"resume must be the History of an earlier fit or a checkpoint, received {resume!r}")


def gradient_method(gradient: str | FiniteDifference) -> FiniteDifference | None:
    """How gradients are found; None is back-propagation."""
    if isinstance(gradient, FiniteDifference):
        return gradient
    name = one_of("gradient", gradient, _GRADIENTS)
    if name == "backprop":
        return None
    return FiniteDifference(scheme="central" if name == "central_difference" else "forward")


def check_team(team: Communicator, net: Network, optimizer: Any, difference: FiniteDifference | None) -> None:
    """Refuse what cannot be trained by batches that are cut into shards."""
    if isinstance(team, SerialCommunicator):
        return
    if isinstance(optimizer, LBFGS):
        raise ConfigurationError("LBFGS has a loop of its own that processes do not share: leave out communicator=")
    if difference is not None:
        raise ConfigurationError("finite differences are taken in one process: leave out communicator=")
    mixing = [layer for layer in net.layers if layer.mixes_rows or layer.buffers()]
    if mixing:
        raise ConfigurationError(
            f"{mixing[0]!r} needs mean and spread of a whole batch, which processes see in shards: use LayerNorm, or "
            "leave out communicator="
        )


def checked_data(net: Network, X: Any, y: Any, *, sample_weight: Any = None) -> Data:
    """X (an array or a source), target values and weights; the network remembers the classes where y holds labels."""
    if isinstance(X, RowStream):
        if y is not None or sample_weight is not None:
            raise ConfigurationError("rows of a stream bring targets and weights along: leave out y and sample_weight")
        streamed: Data = X.bound(net)
        return streamed
    if y is None:
        raise ConfigurationError("y is missing: only rows of a stream (backlit.data.stream) bring their targets along")
    if is_source(X):
        n, columns = source_shape(X)
        if columns != net.inputs:
            raise ShapeError(f"X must have {net.inputs} columns, one for each input, received shape {X.shape}")
    else:
        X = net.check_inputs(X)
        n = X.shape[0]
    Y, classes = net.encode(y, n)
    if net.classes is None:
        net.classes = classes
    weight = check_sample_weight(sample_weight, n)
    return X, Y, None if weight is None else cast_weight(weight, net.dtype)


def validation_data(net: Network, validation: Sequence[Any] | None) -> Data | None:
    """The validation data, in the same form."""
    if validation is None:
        return None
    if isinstance(validation, RowStream):
        validation = (validation, None)
    if not isinstance(validation, tuple | list) or len(validation) not in (2, 3):
        raise ConfigurationError(
            f"validation must be (X, y) or (X, y, sample_weight), received {type(validation).__name__} "
            f"{'of length ' + str(len(validation)) if hasattr(validation, '__len__') else ''}".rstrip()
        )
    X, y, *weight = validation
    try:
        return checked_data(net, X, y, sample_weight=weight[0] if weight else None)
    except DataError as error:
        raise type(error)(f"in the validation data, {error}") from error


def optimizer_state(net: Network, optimizer: Optimizer, kept: OptimizerState | None) -> OptimizerState:
    """What the optimiser remembers at the beginning: nothing, or a copy of what an earlier run left."""
    fresh = initial_state(optimizer, net.parameters.size, net.dtype)
    if kept is None:
        return fresh
    if kept.slots.shape != fresh.slots.shape:
        raise ConfigurationError(
            f"the optimiser's state to resume from has shape {kept.slots.shape}, but {optimizer!r} on this network "
            f"needs {fresh.slots.shape}: resume with the same optimiser and network"
        )
    if kept.optimizer not in ("", fresh.optimizer):
        raise ConfigurationError(
            f"the optimiser's state to resume from is {kept.optimizer}'s, received {optimizer!r}: resume with the same "
            "optimiser, or begin without resume="
        )
    fresh.slots[:] = kept.slots
    fresh.step = kept.step
    return fresh
