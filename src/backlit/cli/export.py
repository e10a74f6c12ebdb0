"""`backlit export`: a saved model in a form that others read."""

from __future__ import annotations

from typing import Any, Literal

from ..io import load
from . import show
from .train import check_output


def export(model: str, /, *, format: Literal["onnx", "numpy"], out: str) -> None:
    """Write a saved model as ONNX, or its network as a plain NumPy script.

    Parameters
    ----------
    model
        What `backlit train` saved.
    format
        onnx: the whole model, for other programs to predict with.
        numpy: a script that needs NumPy alone, with the network's forward pass, back-propagation and update by hand.
    out
        Where to write.
    """
    check_output(out)
    loaded = load(model)
    page = show.console()
    if format == "onnx":
        from ..export.onnx.model import export_onnx

        page.print(str(export_onnx(loaded, out)))
        return
    _export_numpy(loaded, model, out)
    page.print(f"written to {out} ({show.size_text(out)}): python {out} trains it on made-up rows")


def _export_numpy(loaded: Any, model: str, out: str) -> None:
    from ..export.numpy.program import export_numpy

    if not hasattr(loaded, "steps"):
        export_numpy(loaded, out)
        return
    from .tables import network_estimator, table_of

    table_of(loaded, model)  # refuses a pipeline that `train` has not made
    estimator = network_estimator(loaded)
    export_numpy(estimator, out)
    names = list(loaded[:-1].get_feature_names_out())
    shown = ", ".join(names[:6]) + (f", … ({len(names)} in all)" if len(names) > 6 else "")
    target = "" if hasattr(estimator, "classes_") else ", and predicts the standardised target"
    show.note(f"the script is the network alone: it takes the prepared columns {shown}{target}")
