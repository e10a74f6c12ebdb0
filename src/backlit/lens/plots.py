"""Pictures by matplotlib: of a gradient check, and of what a network with two inputs answers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..checking.gradreport import MOST_DIGITS, EpsilonSweep, GradientReport
from ..exceptions import ConfigurationError, missing_extra
from ..network import Network
from .boundary import plane


def plot_check(report: GradientReport, name: str | None = None) -> Any:
    """Draw to how many digits each gradient agrees with its finite difference: one map for each parameter array.

    Grey stands where none was checked or can be, or where the rounding of the loss hides the gradient.

    Parameters
    ----------
    report : GradientReport
    name : str, optional
        Of one parameter array; all of them unless given.

    Returns
    -------
    matplotlib Figure
        ``figure.savefig("check.png")`` keeps it.

    Raises
    ------
    MissingExtraError
        Without matplotlib.
    """
    pyplot = _pyplot("drawing the gradient check")
    names = list(report.shapes) if name is None else [name]
    maps = [np.atleast_2d(report.heatmap(each)) for each in names]
    # A bias lies flat below its weight; heights follow the rows, within bounds that keep labels legible.
    heights = [min(4.0, max(0.7, 0.12 * digits.shape[0])) for digits in maps]
    figure, axes = pyplot.subplots(
        len(maps),
        1,
        figsize=(8, max(2.4, sum(heights) + 0.75 * len(maps))),
        height_ratios=heights,
        layout="constrained",
        squeeze=False,
    )
    colors = pyplot.get_cmap("RdYlGn").with_extremes(bad="0.85")
    for ax, each, digits in zip(axes[:, 0], names, maps, strict=True):
        image = ax.imshow(digits, cmap=colors, vmin=0, vmax=12, aspect="auto", interpolation="nearest")
        ax.set_title(f"{each} {report.shapes[each]}", fontsize=10, loc="left")
        ax.set_ylabel("input" if len(report.shapes[each]) == 2 else "")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.yaxis.get_major_locator().set_params(integer=True)
        if len(report.shapes[each]) == 1:
            ax.set_yticks([])
    axes[-1, 0].set_xlabel("unit")
    bar = figure.colorbar(image, ax=axes[:, 0].tolist(), extend="max", shrink=min(1.0, 4.0 / sum(heights)), aspect=30)
    bar.set_label("digits that agree")
    return figure


def plot_sweep(sweep: EpsilonSweep | None, ax: Any = None) -> Any:
    """Draw the error of central differences against ε, in float64 and in float32.

    Parameters
    ----------
    sweep : EpsilonSweep
        ``check_gradients(…, sweep=True).sweep``.
    ax : matplotlib Axes, optional
        Where to draw; a new figure unless given.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ConfigurationError
        If the check was made without a sweep.
    MissingExtraError
        Without matplotlib.
    """
    if sweep is None:
        raise ConfigurationError("there is no sweep to draw: call check_gradients with sweep=True")
    pyplot = _pyplot("drawing the sweep")
    if ax is None:
        _, ax = pyplot.subplots(figsize=(7, 4), layout="constrained")
    least = 10.0**-MOST_DIGITS
    for errors, label, color in (
        (sweep.errors, "loss in float64", "tab:blue"),
        (sweep.errors_float32, "loss in float32", "tab:orange"),
    ):
        shown = [max(error, least) if math.isfinite(error) else math.nan for error in errors]
        ax.loglog(sweep.epsilons, shown, marker="o", markersize=3, color=color, label=label)
    floor = sweep.best_float32[1]
    if math.isfinite(floor):
        ax.axhline(floor, color="tab:orange", linestyle=":", linewidth=1, label=f"float32's floor, {floor:.0e}")
    ax.axvline(sweep.chosen, color="0.5", linestyle="--", linewidth=1, label=f"ε of the check, {sweep.chosen:.0e}")
    ax.set_xlabel("ε")
    ax.set_ylabel("relative error ‖d − g‖ / ‖g‖")
    ax.grid(alpha=0.25)
    ax.legend(frameon=False)
    return ax


def plot_boundary(net: Network, X: Any, y: Any, ax: Any = None) -> Any:
    """Draw what a network with two inputs answers everywhere, with the rows of X as points.

    The chance of the second class, as colour, with a line where the network is undecided; of more classes the one that
    it chooses; or the value. An estimator is drawn by scikit-learn's ``DecisionBoundaryDisplay.from_estimator``.

    Parameters
    ----------
    net : Network
    X : array_like, shape (n, 2)
    y : array_like
        Labels or values, as in ``net.loss``.
    ax : matplotlib Axes, optional
        Where to draw; a new figure unless given.

    Returns
    -------
    matplotlib Axes
        ``ax.figure.savefig("boundary.png")`` keeps it.

    Raises
    ------
    ConfigurationError
        For a network that has not two inputs, several outputs that are no classes, or rows of several classes.
    MissingExtraError
        Without matplotlib.

    Examples
    --------
    >>> import backlit as bl
    >>> net = bl.Network([bl.Dense(1, "sigmoid")], inputs=2, loss="cross_entropy")
    >>> ax = bl.plot_boundary(net, [[0.0, 0.0], [1.0, 1.0]], ["no", "yes"])
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['no', 'yes']
    """
    found = plane(net, X, y)
    if ax is None:
        _, ax = _pyplot("drawing the boundary").subplots(figsize=(6, 5), layout="constrained")
    drawn = found.across, found.up, found.answers
    if found.kind == "value":
        low, high = (float(of([of(found.answers), of(found.targets)])) for of in (np.min, np.max))
        high = high if high > low else low + 1.0
        image = ax.contourf(*drawn, levels=np.linspace(low, high, 16), cmap="viridis", alpha=0.7)
        ax.scatter(*found.points.T, c=found.targets, cmap="viridis", vmin=low, vmax=high, s=18, edgecolor="white")
        ax.figure.colorbar(image, ax=ax, label="output; the points: target")
    else:
        if found.kind == "chance":
            middle = 0.0 if found.middle is None else found.middle
            reach = max(0.5, float(np.abs(found.answers - middle).max()))
            colors = ["tab:red", "tab:blue"]
            levels = np.linspace(middle - reach, middle + reach, 11)
            ax.contourf(*drawn, levels=levels, cmap="RdBu", alpha=0.5)
            if found.answers.min() < middle < found.answers.max():
                ax.contour(*drawn, levels=[middle], colors="black", linewidths=1.0)
        else:
            colors = [f"C{k % 10}" for k in range(len(found.labels))]
            ax.contourf(*drawn, levels=np.arange(len(colors) + 1) - 0.5, colors=colors, alpha=0.3)
        for k, (label, color) in enumerate(zip(found.labels, colors, strict=True)):
            points = found.points[found.targets == k]
            ax.scatter(*points.T, s=18, color=color, edgecolor="white", linewidth=0.4, label=label)
        ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    ax.set(xlabel="input 0", ylabel="input 1")
    return ax


def _pyplot(purpose: str) -> Any:
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise missing_extra("matplotlib", "plot", purpose) from error
    return pyplot
