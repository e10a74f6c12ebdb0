"""A network as a plain NumPy script: forward pass, back-propagation and update, written out by layer."""

from __future__ import annotations

import os
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from ...exceptions import ConfigurationError, NotFittedError
from ...io import write_bytes
from ...kinds.optimizers import SGD
from ...network import Network
from .script import MOST_IN_THE_SCRIPT, arrays, script


def export_numpy(model: Any, path: str | os.PathLike[str], *, optimizer: Any = None) -> None:
    """Write a network as one plain NumPy script, which needs neither Backlit nor SciPy.

    The script is the network by hand, layer by layer with shapes and equations: ``forward(X)``, ``loss(X, y)``,
    ``gradients(X, y)``, ``update(…)``, ``train(X, y, epochs, batch_size, seed)`` and ``finite_difference(…)`` for the
    question "is my gradient right?". It starts from the parameters that the network has now, draws the same
    random numbers, and trains to the same numbers as `backlit.fit`. Run by itself it trains on made-up rows, or on
    the arrays X and y of a .npz file. Every row counts once: it knows no sample weights.

    Up to 2,000 parameters stand in the script; more go into ``<name>_parameters.npz`` beside it.

    Parameters
    ----------
    model : Network, MLPClassifier or MLPRegressor
        Of an estimator, its network with its solver: what the estimator itself does to X before (filling in
        missing values) is not part of the script.
    path : str or path
        Of the script; ``.py`` is customary.
    optimizer : optimiser, optional
        The update to write out, its schedule included; any but LBFGS. SGD(0.01) unless given, as in `fit`.

    Raises
    ------
    ConfigurationError
        For what has no text for a script (your own layer, activation, loss, optimiser or schedule; LBFGS), and for a
        pipeline.
    NotFittedError
        For an estimator without a network.
    OutputError
        If the path cannot be written.

    Examples
    --------
    >>> import runpy, tempfile, backlit as bl
    >>> net = bl.Network([bl.Dense(2, "tanh"), bl.Dense(1)], inputs=2, dtype="float64")
    >>> X, y = [[1.0, 1.0], [0.0, 1.0]], [1.0, 0.0]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     export_numpy(net, folder + "/by_hand.py", optimizer=bl.SGD(0.1))
    ...     by_hand = runpy.run_path(folder + "/by_hand.py")
    >>> bool(abs(by_hand["loss"](X, y) - net.loss(X, y)) < 1e-15)
    True
    """
    net, chosen, classes = _parts(model, optimizer)
    place, beside = Path(path), parameters_beside(path)
    separate = net.parameters.state.size > MOST_IN_THE_SCRIPT
    text = script(net, chosen, classes, place.name, beside.name if separate else None)
    if separate:
        write_bytes(_parameters_file(net), beside)
    write_bytes(text.encode(), place)


def parameters_beside(path: str | os.PathLike[str]) -> Path:
    """Where the parameters of a large network stand, beside the script.

    Examples
    --------
    >>> parameters_beside("by_hand.py").name
    'by_hand_parameters.npz'
    """
    place = Path(path)
    return place.with_name(f"{place.stem}_parameters.npz")


def _parts(model: Any, optimizer: Any) -> tuple[Network, Any, Sequence[Any] | None]:
    """The network, the optimiser, and the labels of the outputs where targets are labels."""
    if isinstance(model, Network):
        return model, SGD(0.01) if optimizer is None else optimizer, _classes(model)
    if hasattr(model, "steps"):
        raise ConfigurationError(
            "export_numpy writes a network alone, and a pipeline prepares the columns first: give it the last step, "
            "pipeline[-1], and give the script rows that pipeline[:-1].transform has prepared"
        )
    from ...estimators import MLPClassifier, MLPRegressor
    from ...estimators.building import make_optimizer

    if not isinstance(model, MLPClassifier | MLPRegressor):
        raise ConfigurationError(
            f"export_numpy takes a Network, an MLPClassifier or an MLPRegressor, received {type(model).__name__}"
        )
    if not hasattr(model, "network_"):
        raise NotFittedError(f"this {type(model).__name__} has no network yet: call fit first")
    classes = None
    if isinstance(model, MLPClassifier) and len(model.classes_) == max(2, model.n_outputs_) and not model._multilabel:
        classes = model.classes_.tolist()
    return model.network_, make_optimizer(model) if optimizer is None else optimizer, classes


def _classes(net: Network) -> list[Any] | None:
    """The label of each output (of 0 and 1 for a single output), where the targets are labels."""
    several = net.outputs > 1 and net.output_layer.activation.probabilities
    if net.classes is not None:
        found: list[Any] = net.classes.tolist()
        return found
    return list(range(max(2, net.outputs))) if several or net.loss_function.targets == "classes" else None


def _parameters_file(net: Network) -> bytes:
    buffer = BytesIO()
    values: dict[str, Any] = dict(arrays(net))
    np.savez(buffer, **values)
    return buffer.getvalue()
