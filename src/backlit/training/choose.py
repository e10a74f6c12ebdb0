"""Which engine runs a job: the reference, or the compiled one where that saves time."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from typing import Final

from ..exceptions import BacklitWarning, missing_extra
from ..kinds.optimizer import CompiledOptimizer
from ..typing import SparseSource
from .job import Engine, Job, is_source
from .reference import ReferenceEngine

ENGINES: Final = ("auto", "reference", "compiled")

# What the reference engine does, measured on one core of a server: operations of the matrix products, the calls of
# one layer, and the passes of an optimiser over the vector.
_OPERATIONS_PER_SECOND: Final = 6e10
_SECONDS_PER_LAYER: Final = 3e-5
SECONDS_PER_PARAMETER: Final = 3e-9

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
    if engine == "reference":
        return ReferenceEngine()
    found = find_spec("numba") is not None
    if engine == "compiled" and not found:
        raise missing_extra("numba", "fast", "the compiled engine")
    reason = obstacle(job)
    if reason is not None:
        if engine == "compiled":
            warn_of_fallback(reason)
        return ReferenceEngine()
    if engine == "auto" and not (found and estimated_seconds(job, epochs) > PATIENCE):
        return ReferenceEngine()
    from ..compiled.engine import CompiledEngine

    return CompiledEngine()


def obstacle(job: Job) -> str | None:
    """What the compiled engine cannot run, in words; None where it can run everything."""
    for layer in job.net.layers:
        if layer.kernel is None:
            return f"the layer {layer!r} has no kernel"
        if layer.activation is not None and not layer.activation.compiles:
            return f"the activation {layer.activation.name!r} has no kernel"
    pair = job.net.loss_function.pairs.get(job.net.output_layer.activation.name)
    if pair is None and job.net.loss_function.number is None:
        return f"the loss {job.net.loss_function.name!r} has no kernel"
    if not isinstance(job.optimizer, CompiledOptimizer):
        return f"the optimiser {job.optimizer!r} has no kernel"
    if job.gradient is not None:
        return "gradients come from finite differences"
    if isinstance(job.X, SparseSource):
        return "X is sparse"
    if is_source(job.X):
        return "X makes its rows when asked"
    return None


def warn_of_fallback(reason: str, stacklevel: int = 4) -> None:
    """The default speaks of the line that called `fit`, which called `choose_engine`."""
    message = f"the reference engine runs instead of the compiled one: {reason}"
    warnings.warn(message, BacklitWarning, stacklevel=stacklevel)


def estimated_seconds(job: Job, epochs: int) -> float:
    """About how long the reference engine needs for the whole run."""
    parameters, layers = job.net.parameters.size, len(job.net.layers)
    # three products a layer, z, dL/dW and dL/da_in, each of one multiplication and one addition for a weight and a row
    products = 6.0 * job.n * parameters / _OPERATIONS_PER_SECOND
    return epochs * (products + job.steps * (layers * _SECONDS_PER_LAYER + parameters * SECONDS_PER_PARAMETER))
