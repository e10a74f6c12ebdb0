"""Building an ONNX graph: arithmetic as nodes, and the layers of a network.

A tensor is known by its name. Only operators that onnxruntime runs in float64 as well are used, so that a float64
network stays one.
"""

from __future__ import annotations

import math
from typing import Any, Final, final

import numpy as np

from ...exceptions import ConfigurationError
from ...kinds import Dense
from ...kinds.activations import LEAK
from ...network import Network
from ...parameters import Array

#: A tensor, its dtype, and its shape.
Output = tuple[str, Any, list[Any]]

#: The first version of ONNX in which `Equal` compares text.
OPSET: Final = 19


@final
class Graph:
    """Nodes, constants and inputs of a graph in the making; numbers are of one dtype throughout."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs: list[Any] = []
        self._known: dict[tuple[bytes, str, tuple[int, ...]], str] = {}

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Append a node; returns the name of its result."""
        from onnx import helper

        name = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, value: Any, *, numbers: bool = True) -> str:
        """A constant tensor, the same one for the same value; `numbers` casts it to the dtype of the graph."""
        from onnx import numpy_helper

        array = np.asarray(value, dtype=self.dtype if numbers else None)
        if array.dtype.kind in "US":
            array = array.astype(object)
        key = (
            repr(array.tolist()).encode() if array.dtype == object else array.tobytes(),
            array.dtype.str,
            array.shape,
        )
        if key not in self._known:
            self._known[key] = f"constant_{len(self._known)}"
            self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), self._known[key]))
        return self._known[key]

    def numbers_input(self, name: str, columns: int) -> str:
        """An input of shape (n, columns) in the dtype of the graph."""
        from onnx import helper

        kind = helper.np_dtype_to_tensor_dtype(self.dtype)
        self.inputs.append(helper.make_tensor_value_info(name, kind, ["n", columns]))
        return name

    def text_input(self, name: str) -> str:
        """An input of shape (n, 1) that holds text."""
        from onnx import TensorProto, helper

        self.inputs.append(helper.make_tensor_value_info(name, TensorProto.STRING, ["n", 1]))
        return name

    def cast(self, tensor: str, dtype: Any = None) -> str:
        """The tensor in another dtype; that of the graph unless given."""
        from onnx import helper

        return self.op("Cast", tensor, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype or self.dtype)))

    def columns(self, tensor: str, which: Array) -> str:
        """Some columns of a matrix."""
        return self.op("Gather", tensor, self.constant(np.asarray(which, np.int64), numbers=False), axis=1)

    def finish(self, outputs: dict[str, Output], name: str, producer: str) -> bytes:
        """The model as bytes, with its outputs by name."""
        from onnx import checker, helper

        named = [helper.make_node("Identity", [tensor], [wanted]) for wanted, (tensor, _, _) in outputs.items()]
        infos = [
            helper.make_tensor_value_info(wanted, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)
            for wanted, (_, dtype, shape) in outputs.items()
        ]
        graph = helper.make_graph([*self.nodes, *named], name, self.inputs, infos, self.constants)
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, producer_name="backlit", producer_version=producer)
        model.ir_version = 9  # the one that came with this opset: older runtimes read it
        checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString())


def network_output(graph: Graph, net: Network, x: str) -> str:
    """The layers of a network, in inference: the name of its output, shape (n, outputs)."""
    if net.input_scale != 1.0:
        x = graph.op("Mul", x, graph.constant(net.input_scale))
    for layer in net.layers:
        if isinstance(layer, Dense):  # dropout does nothing in inference
            z = graph.op("MatMul", x, graph.constant(layer.weight))
            if layer.bias is not None:
                z = graph.op("Add", z, graph.constant(layer.bias))
            x = _activation(graph, layer, z)
    return x


def _activation(graph: Graph, layer: Dense, z: str) -> str:
    if not layer.activation.builtin:
        raise ConfigurationError(
            f"the activation {layer.activation.name!r} is your own function, which ONNX cannot hold: use a named one"
        )
    match layer.activation.name:
        case "identity":
            return z
        case "sigmoid" | "tanh" | "relu" | "exp" as name:
            return graph.op(name.capitalize(), z)
        case "softmax":
            return graph.op("Softmax", z, axis=1)
        case "leaky_relu":
            return graph.op("Max", z, graph.op("Mul", z, graph.constant(LEAK)))
        case "silu":
            return graph.op("Mul", z, graph.op("Sigmoid", z))
        case "elu":
            # max(z, e^min(z, 0) − 1)
            below = graph.op("Exp", graph.op("Min", z, graph.constant(0.0)))
            return graph.op("Max", z, graph.op("Sub", below, graph.constant(1.0)))
        case "softplus":
            # log(1 + e^z) = max(z, 0) + log(1 + e^−|z|)
            tail = graph.op("Exp", graph.op("Neg", graph.op("Abs", z)))
            return graph.op("Add", graph.op("Relu", z), graph.op("Log", graph.op("Add", tail, graph.constant(1.0))))
        case "gelu":
            # z Φ(z), Φ(z) = ½ (1 + erf(z/√2)); onnxruntime has erf in float32
            scaled = graph.cast(graph.op("Mul", z, graph.constant(1.0 / math.sqrt(2.0))), np.float32)
            erf = graph.cast(graph.op("Erf", scaled))
            half = graph.op("Mul", z, graph.constant(0.5))
            return graph.op("Mul", half, graph.op("Add", erf, graph.constant(1.0)))
    raise ConfigurationError(f"there is no ONNX form of the activation {layer.activation.name!r}")
