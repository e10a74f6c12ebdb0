"""Pictures by matplotlib, an extra of the installation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..exceptions import ConfigurationError, OutputError, missing_extra
from ..files import write_picture


def new_figure(width: float, height: float) -> Any:
    """A matplotlib figure of that size in inches.

    Raises
    ------
    MissingExtraError
        Without matplotlib.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise missing_extra("matplotlib", "plot", "drawing a picture") from error
    return Figure(figsize=(width, height), layout="constrained")


def check_picture(path: str | Path | None) -> None:
    """Refuse, before the work begins, a picture that cannot be written after it.

    Raises
    ------
    MissingExtraError, ConfigurationError, OutputError
        No matplotlib; an ending that is no kind of picture; a folder that is not there.
    """
    if path is None:
        return
    kinds = new_figure(1, 1).canvas.get_supported_filetypes()
    kind = Path(path).suffix.lstrip(".").lower()
    if kind not in kinds:
        raise ConfigurationError(
            f"--plot needs a file whose name ends in .png, .svg or .pdf, to say what kind of picture, received {path}"
        )
    if not Path(path).resolve().parent.is_dir():
        raise OutputError(f"cannot write {path}: there is no folder {Path(path).parent}")


def save_figure(figure: Any, path: str | Path) -> None:
    """Write the figure; the ending of the name says the kind of picture."""
    write_picture(figure, path)
