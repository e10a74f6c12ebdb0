"""Which class a network predicts, and which one a row of targets stands for."""

from __future__ import annotations

import numpy as np

from ..network import Network
from ..parameters import Array


def predicted_index(net: Network, outputs: Array) -> Array:
    """The number of the predicted class of each row: the largest output, or one unit past its middle."""
    if outputs.shape[1] > 1:
        return np.asarray(outputs.argmax(axis=1))
    return (outputs[:, 0] > net.output_layer.activation.middle).astype(np.int64)


def predicted_index_of_targets(Y: Array) -> Array:
    """The number of the class that each row of targets stands for."""
    return np.asarray(Y.argmax(axis=1)) if Y.shape[1] > 1 else (Y[:, 0] > 0.5).astype(np.int64)
