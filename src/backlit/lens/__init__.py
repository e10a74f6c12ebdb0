"""The lens: what back-propagation did, with the proof beside it.

    ledger = bl.explain(net, X, y, optimizer=bl.SGD(0.1))      every number of one step
    ledger.weight("0.weight", 2, 1)                            one gradient, unfolded down to the loss
    ledger.account()                                           what each update changed in the loss
    ledger.shapes()                                            every product with its shapes

Everything prints as a page, shows itself in a notebook, and gives its numbers as attributes and by `to_dict()`.
"""

from __future__ import annotations

from ..pages import show, styled
from .columns import ColumnEffect, ColumnEffects, RowEffects, column_effects, row_effects
from .diagnosis.diagnose import Comparison, Diagnosis, Finding, diagnose
from .diagnosis.function import diagnose_function
from .healthcheck.health import HealthMonitor, HealthReport, health
from .plots import plot_boundary, plot_check, plot_sweep
from .recording.frames import Frame
from .recording.player import Player
from .recording.recorder import Recorder
from .recording.recording import Recording
from .step.account import AccountLine, LossAccount
from .step.delta import Factor, Term, UnitDelta
from .step.ledger import Ledger, explain, loss_account
from .step.proof import Proof
from .step.shape_ledger import ShapeLedger, ShapeStep, shapes
from .step.taken import ParameterStep, StepTaken
from .step.trace import LayerPass, Trace, trace_batch
from .step.weight import RowShare, UnfoldedWeight

__all__ = [
    "AccountLine",
    "ColumnEffect",
    "ColumnEffects",
    "Comparison",
    "Diagnosis",
    "Factor",
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
    "RowEffects",
    "RowShare",
    "ShapeLedger",
    "ShapeStep",
    "StepTaken",
    "Term",
    "Trace",
    "UnfoldedWeight",
    "UnitDelta",
    "column_effects",
    "diagnose",
    "diagnose_function",
    "explain",
    "health",
    "loss_account",
    "plot_boundary",
    "plot_check",
    "plot_sweep",
    "row_effects",
    "shapes",
    "show",
    "styled",
    "trace_batch",
]
