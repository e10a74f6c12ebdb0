"""Displays in scikit-learn's manner: made from an estimator, with the axes and figure as attributes."""

from __future__ import annotations

from typing import Any, final

from sklearn.utils.validation import check_is_fitted

from ..training.history import History


@final
class LossCurveDisplay:
    """The learning curve of a fitted estimator, or of the last step of a pipeline: loss and validation loss by epoch.

    Decision boundaries are drawn by scikit-learn's own ``sklearn.inspection.DecisionBoundaryDisplay.from_estimator``,
    which takes our estimators as they are.

    Parameters
    ----------
    history : History

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from backlit import MLPRegressor
    >>> model = MLPRegressor(solver="lbfgs").fit([[0.0], [1.0]], [0.0, 1.0])
    >>> LossCurveDisplay.from_estimator(model).ax_.get_xlabel()
    'epoch'
    """

    def __init__(self, history: History) -> None:
        self.history = history
        self.ax_: Any = None
        self.figure_: Any = None

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> LossCurveDisplay:
        """Draw the curve of a fitted estimator, into `ax` or a new figure."""
        last = estimator[-1] if hasattr(estimator, "steps") else estimator
        check_is_fitted(last, "history_")
        return cls(last.history_).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> LossCurveDisplay:
        """Draw it."""
        self.ax_ = self.history.plot(ax)
        self.figure_ = self.ax_.figure
        return self
