"""Building an ONNX graph: arithmetic as nodes, and the layers of a network.

A tensor is known by its name. Only operators that onnxruntime runs in float64 as well are used, so that a float64
network stays one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, final

import numpy as np

from ...exceptions import ConfigurationError
from ...network import Network
from ...parameters import Array

#: A tensor, its dtype, and its shape.
Output = tuple[str, Any, list[Any]]

#: The first version of ONNX in which `Equal` compares text.
OPSET: Final = 19


@final
class Graph:
    """Nodes, constants and inputs of a graph in the making; numbers are of one dtype throughout.

    Parameters
    ----------
    dtype : numpy dtype
    taken : iterable of str, optional
        Names that tensors have already.
    """

    def __init__(self, dtype: np.dtype[Any], taken: Iterable[str] = ()) -> None:
        self.dtype = dtype
        self._names = set(taken)
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs: list[Any] = []
        self._known: dict[tuple[bytes, str, tuple[int, ...]], str] = {}

    def free_name(self, wanted: str) -> str:
        """A name that no tensor has yet: the one wanted, or that with an underscore behind it."""
        while wanted in self._names:
            wanted += "_"
        self._names.add(wanted)
        return wanted

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Append a node; returns the name of its result."""
        from onnx import helper

        name = self.free_name(f"{kind.lower()}_{len(self.nodes)}")
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
            self._known[key] = self.free_name(f"constant_{len(self._known)}")
            self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), self._known[key]))
        return self._known[key]

    def numbers_input(self, name: str, columns: int, dtype: Any = None) -> str:
        """An input of shape (n, columns), in the dtype of the graph unless another is given."""
        from onnx import helper

        return self._input(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype or self.dtype)), columns)

    def text_input(self, name: str) -> str:
        """An input of shape (n, 1) that holds text."""
        from onnx import TensorProto

        return self._input(name, TensorProto.STRING, 1)

    def _input(self, name: str, kind: Any, columns: int) -> str:
        from onnx import helper

        if not name:
            raise ConfigurationError(
                "an input of an ONNX model needs a name, and a column is called '': rename it and fit the model again"
            )
        self._names.add(name)
        self.inputs.append(helper.make_tensor_value_info(name, kind, ["n", columns]))
        return name

    def cast(self, tensor: str, dtype: Any = None) -> str:
        """The tensor in another dtype; that of the graph unless given."""
        from onnx import helper

        return self.op("Cast", tensor, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype or self.dtype)))

    def columns(self, tensor: str, which: Array) -> str:
        """Some columns of a matrix."""
        return self.op("Gather", tensor, self.constant(np.asarray(which, np.int64), numbers=False), axis=1)

    def row_mean(self, tensor: str) -> str:
        """The mean of each row of a matrix, shape (n, 1)."""
        return self.op("ReduceMean", tensor, self.constant(np.array([1], np.int64), numbers=False), keepdims=1)

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
    """The layers of a network, in inference: the name of its output, shape (n, outputs).

    Raises
    ------
    ConfigurationError
        For a layer, or an activation, that ONNX cannot hold: a user's own.
    """
    if net.input_scale != 1.0:
        x = graph.op("Mul", x, graph.constant(net.input_scale))
    for i, layer in enumerate(net.layers):
        try:
            x = layer.onnx(graph, x)
        except ConfigurationError as error:
            raise ConfigurationError(f"layer {i}: {error}") from error
    return x
