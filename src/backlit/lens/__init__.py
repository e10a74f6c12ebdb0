"""The lens: what back-propagation did, with the proof beside it.

    ledger = bl.explain(net, X, y, optimizer=bl.SGD(0.1))      every number of one step
    ledger.weight("0.weight", 2, 1)                            one gradient, unfolded down to the loss
    ledger.account()                                           what each update changed in the loss
    ledger.shapes()                                            every product with its shapes

Everything prints as a page, shows itself in a notebook, and gives its numbers as attributes and by `to_dict()`.
"""

from __future__ import annotations

from .account import AccountLine, LossAccount
from .delta import Term, UnitDelta
from .diagnose import Comparison, Diagnosis, Finding, diagnose
from .frames import Frame
from .health import HealthMonitor, HealthReport, health
from .ledger import Ledger, explain, loss_account
from .player import Player
from .plots import plot_check, plot_sweep
from .proof import Proof
from .recorder import Recorder
from .recording import Recording
from .report import report
from .shapes import ShapeLedger, ShapeStep, shapes
from .step import ParameterStep, StepTaken
from .terminal import show, styled
from .trace import LayerPass, Trace, trace_batch
from .weight import RowShare, UnfoldedWeight

__all__ = [
    "AccountLine",
    "Comparison",
    "Diagnosis",
    "Finding",
    "Frame",
    "HealthMonitor",
    "HealthReport",
    "LayerPass",
    "Ledger",
    "LossAccount",
    "ParameterStep",
    "Player",
    "Proof",
    "Recorder",
    "Recording",
    "RowShare",
    "ShapeLedger",
    "ShapeStep",
    "StepTaken",
    "Term",
    "Trace",
    "UnfoldedWeight",
    "UnitDelta",
    "diagnose",
    "explain",
    "health",
    "loss_account",
    "plot_check",
    "plot_sweep",
    "report",
    "shapes",
    "show",
    "styled",
    "trace_batch",
]
