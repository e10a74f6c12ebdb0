"""`backlit export`: a saved model in a form that others read."""

from __future__ import annotations

from typing import Any, Literal

from ..kinds.optimizers import OPTIMIZERS
from ..network import Network
from . import show
from .outputs import check_output
from .rows import load_model


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
    check_output("--out", out, inputs={"the model": model})
    if format == "numpy":
        from ..export.numpy.program import parameters_beside

        check_output("--out", str(parameters_beside(out)), inputs={"the model": model})
    loaded = load_model(model)
    page = show.console()
    if format == "onnx":
        from ..export.onnx.model import export_onnx

        show.line(page, str(export_onnx(loaded, out)))
        return
    _export_numpy(loaded, out)
    show.line(page, f"written to {out} ({show.size_text(out)}): python {out} trains it on made-up rows")


def _export_numpy(loaded: Any, out: str) -> None:
    from ..export.numpy.program import export_numpy

    if isinstance(loaded, Network):
        export_numpy(loaded, out)
        return
    # a name that this version does not know leaves the script's own optimiser
    kind = OPTIMIZERS.get(loaded.optimizer)
    export_numpy(loaded.network, out, optimizer=None if kind is None else kind(loaded.learning_rate))
    names = loaded.preparation.names()
    shown = ", ".join(names[:6]) + (f", … ({len(names)} in all)" if len(names) > 6 else "")
    target = "" if loaded.classes is not None else ", and predicts the standardised target"
    show.note(f"the script is the network alone: it takes the prepared columns {shown}{target}")
