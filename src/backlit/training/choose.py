"""Which engine runs a job: the reference, or the compiled one where that saves time."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Final

import numpy as np

from ..exceptions import BacklitWarning, missing_extra
from ..kinds import Layer
from ..kinds.optimizer import CompiledOptimizer
from ..network import Network
from ..typing import SparseSource, StreamedSource
from .communicators import SerialCommunicator
from .job import Data, Engine, Job, is_source, stays_sparse
from .lbfgs import ReferenceWhole, Whole
from .reference import ReferenceEngine

ENGINES: Final = ("auto", "reference", "compiled")

# What the reference engine does, measured on one core of a server: operations of the matrix products, and of those of
# sparse rows, the calls of one layer, sparse rows picked out, and the passes of an optimiser over the vector.
_OPERATIONS_PER_SECOND: Final = 6e10
_SPARSE_OPERATIONS_PER_SECOND: Final = 8e9
_SECONDS_PER_LAYER: Final = 3e-5
_SECONDS_PER_SPARSE_BATCH: Final = 1.3e-4
SECONDS_PER_PARAMETER: Final = 3e-9

#: How often a line search of L-BFGS asks for the loss, in an iteration: mostly once.
_EVALUATIONS: Final = 1.1

#: "auto" leaves a run to the reference engine where that takes no longer than this, in seconds. The compiled one takes
#: a third of it, and less than half a second to load; on the first run of a kind, some seconds more to compile. The
#: choice does not hang on whether that has been done: the two engines differ in rounding.
PATIENCE: Final = 1.0


def choose_engine(engine: str, job: Job, epochs: int) -> Engine:
    """The engine for a job of `epochs` epochs.

    "compiled" falls back to the reference, with a `BacklitWarning`, where the job has something that it cannot run.

    Raises
    ------
    MissingExtraError
        For "compiled" without Numba.
    """
    if not _takes_compiled(engine, lambda: obstacle(job), lambda: estimated_seconds(job, epochs)):
        return ReferenceEngine()
    from ..compiled.engine import CompiledEngine

    return CompiledEngine()


def choose_whole(engine: str, net: Network, data: Data, iterations: int, n_threads: int) -> Whole:
    """What finds the loss of all rows and its gradient in a run of L-BFGS: chosen in the same way.

    Raises
    ------
    MissingExtraError
        For "compiled" without Numba.
    """
    X, Y, _ = data
    n = Y.shape[0]
    evaluations = math.ceil(_EVALUATIONS * iterations)
    if not _takes_compiled(
        engine, lambda: obstacle_of_whole(net, X), lambda: evaluations * _seconds_of_epoch(net, X, n, n)
    ):
        return ReferenceWhole(net, data)
    from ..compiled.whole import CompiledWhole

    return CompiledWhole(net, data, n_threads)


def _takes_compiled(engine: str, obstacle: Callable[[], str | None], seconds: Callable[[], float]) -> bool:
    """Whether the compiled engine runs what has this obstacle and would take the reference so many seconds."""
    if engine == "reference":
        return False
    found = find_spec("numba") is not None
    if engine == "compiled" and not found:
        raise missing_extra("numba", "fast", "the compiled engine")
    reason = obstacle()
    if reason is not None:
        if engine == "compiled":
            warn_of_fallback(reason, stacklevel=5)  # of the line that called `fit`, which called the choice
        return False
    return engine == "compiled" or (found and seconds() > PATIENCE)


def warn_of_fallback(reason: str, stacklevel: int = 4) -> None:
    """Say why the readable code runs where the compiled was asked for, at the line of the user's call."""
    message = f"the reference engine runs instead of the compiled one: {reason}"
    warnings.warn(message, BacklitWarning, stacklevel=stacklevel)


def obstacle(job: Job) -> str | None:
    """What of a job the compiled engine cannot run, in words; None where it can run everything."""
    reason = _obstacle_of_network(job.net)
    if reason is not None:
        return reason
    if not isinstance(job.optimizer, CompiledOptimizer):
        return f"the optimiser {job.optimizer!r} has no kernel"
    if job.gradient is not None:
        return "gradients come from finite differences"
    shared = not isinstance(job.communicator, SerialCommunicator)
    if shared and isinstance(job.X, SparseSource | StreamedSource):
        return "processes share batches of rows that are sparse or on disk"
    if isinstance(job.X, SparseSource):
        return _sparse_obstacle(job)
    if is_source(job.X) and not isinstance(job.X, StreamedSource):
        return "X makes its rows when asked"
    return None


def obstacle_of_whole(net: Network, X: Any) -> str | None:
    """What of a run of L-BFGS the compiled engine cannot run."""
    if isinstance(X, SparseSource):
        return "X is sparse, and LBFGS takes all its rows at once"
    if is_source(X):
        return "X gives its rows when asked, and LBFGS takes all of them at once"
    return _obstacle_of_network(net)


def obstacle_to_predicting(net: Network) -> str | None:
    """What predictions in machine code cannot run, in words; None where they can run everything."""
    for layer in net.layers:
        if layer.same_in_inference:
            continue
        without = _without_kernel(layer)
        if without is not None:
            return without
        if (layer.random or layer.mixes_rows) and layer.kernel is not None and layer.kernel.inference is None:
            return f"the kernel of the layer {layer!r} has no `inference`"
    return None


def _obstacle_of_network(net: Network) -> str | None:
    without = next(filter(None, map(_without_kernel, net.layers)), None)
    if without is not None:
        return without
    pair = net.loss_function.pairs.get(net.output_layer.activation.name)
    if pair is None and net.loss_function.number is None:
        return f"the loss {net.loss_function.name!r} has no kernel"
    return None


def _without_kernel(layer: Layer) -> str | None:
    if layer.kernel is None:
        return f"the layer {layer!r} has no kernel"
    if layer.function is not None and not layer.function.compiles:
        return f"the activation {layer.function.name!r} has no kernel"
    return None


def _sparse_obstacle(job: Job) -> str | None:
    first, inputs = job.net.layers[0], job.net.inputs
    if job.net.input_scale != 1.0:
        return "X is sparse, and input_scale makes its batches dense"
    if first.kernel is None or not first.kernel.takes_sparse:
        return f"X is sparse, and the first layer, {first!r}, takes dense rows"
    if inputs > np.iinfo(np.int32).max:
        return f"X is sparse, and has {inputs} columns"
    return None


def estimated_seconds(job: Job, epochs: int) -> float:
    """About how long the reference engine needs for the whole run."""
    return epochs * _seconds_of_epoch(job.net, job.X, job.n, job.batch_size)


def _seconds_of_epoch(net: Network, X: Any, n: int, batch_size: int) -> float:
    parameters = net.parameters.size
    dense, sparse = net.row_work, 0.0
    if stays_sparse(net, X):
        # z and dL/dW over the stored numbers; nobody needs dL/da_in. The first rows stand for all.
        stored = X.sparse_rows(slice(0, batch_size)).data.size
        operations = 4.0 * stored * net.layers[0].outputs
        sparse = _SECONDS_PER_SPARSE_BATCH + operations / _SPARSE_OPERATIONS_PER_SECOND
        dense -= net.inputs * net.layers[0].outputs
    # three products a layer, z, dL/dW and dL/da_in, each of one multiplication and one addition for a weight and a row
    products = 6.0 * n * dense / _OPERATIONS_PER_SECOND
    step = len(net.layers) * _SECONDS_PER_LAYER + parameters * SECONDS_PER_PARAMETER + sparse
    return products + math.ceil(n / batch_size) * step
