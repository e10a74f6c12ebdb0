"""Importing this module teaches skl2onnx to convert our estimators, in a pipeline with everything that it knows.

>>> import backlit as bl, numpy as np
>>> import backlit.export.sklearn_onnx
>>> from skl2onnx import to_onnx
>>> X = np.array([[0.0], [1.0]], np.float32)
>>> model = bl.MLPRegressor(solver="lbfgs", random_state=0).fit(X, [0.0, 1.0])
>>> [output.name for output in to_onnx(model, X).graph.output]
['variable']
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..estimators import MLPClassifier, MLPRegressor
from ..exceptions import ConfigurationError, missing_extra
from .onnx.graph import Graph, network_output
from .onnx.model import classifier_outputs

try:
    from skl2onnx import update_registered_converter
    from skl2onnx.common.data_types import DoubleTensorType, guess_tensor_type
    from skl2onnx.common.shape_calculator import (
        calculate_linear_classifier_output_shapes,
        calculate_linear_regressor_output_shapes,
    )
except ImportError as error:
    raise missing_extra("skl2onnx", "onnx", "converting with skl2onnx") from error


def _graph(operator: Any) -> tuple[Graph, str]:
    """A graph in the dtype of the operator's input, and the output of the estimator's network in it."""
    estimator = operator.raw_operator
    if estimator.impute_missing:
        raise ConfigurationError("the skl2onnx converter knows no impute_missing: use SimpleImputer in the pipeline")
    kind = guess_tensor_type(operator.inputs[0].type)
    taken = [variable.full_name for variable in operator.inputs]
    graph = Graph(np.dtype("float64" if isinstance(kind, DoubleTensorType) else "float32"), taken)
    x = graph.cast(operator.inputs[0].full_name)
    return graph, network_output(graph, estimator.network_, x)


def _hand_over(graph: Graph, results: list[str], scope: Any, operator: Any, container: Any) -> None:
    """Put constants and nodes into skl2onnx's container, under names that are free there."""
    from onnx import helper

    names = {x.full_name: x.full_name for x in operator.inputs}
    for result, output in zip(results, operator.outputs, strict=True):
        names[result] = output.full_name
    for constant in graph.constants:
        names[constant.name] = scope.get_unique_variable_name(f"backlit_{constant.name}")
        constant.name = names[constant.name]
        container.initializers.append(constant)
    for node in graph.nodes:
        for name in node.output:
            names.setdefault(name, scope.get_unique_variable_name(f"backlit_{name}"))
        attributes = {part.name: helper.get_attribute_value(part) for part in node.attribute}
        outputs = [names[name] for name in node.output]
        container.add_node(
            node.op_type,
            [names[name] for name in node.input],
            outputs,
            op_version=container.target_opset_any_domain(""),
            name=scope.get_unique_operator_name("backlit"),
            **attributes,
        )


def _convert_classifier(scope: Any, operator: Any, container: Any) -> None:
    graph, a = _graph(operator)
    (label, kind, _), (scores, _, _) = classifier_outputs(graph, operator.raw_operator, a).values()
    if kind not in (np.dtype(object), np.dtype(np.int64)):
        label = graph.cast(label, np.int64)  # skl2onnx knows labels of text and of whole numbers in 64 bits
    _hand_over(graph, [label, scores], scope, operator, container)


def _convert_regressor(scope: Any, operator: Any, container: Any) -> None:
    graph, a = _graph(operator)
    _hand_over(graph, [a], scope, operator, container)


update_registered_converter(
    MLPClassifier,
    "BacklitMLPClassifier",
    calculate_linear_classifier_output_shapes,
    _convert_classifier,
    options={"zipmap": [True, False, "columns"], "nocl": [True, False], "output_class_labels": [False, True]},
)
update_registered_converter(
    MLPRegressor, "BacklitMLPRegressor", calculate_linear_regressor_output_shapes, _convert_regressor
)
