"""`backlit diagnose`: the mistake in somebody's own gradients, kept in an .npz file."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from ..checks import positive_whole
from ..exceptions import DataError, FileMissingError
from ..lens.diagnosis.diagnose import diagnose as name_mistakes
from ..pages import show as show_page
from . import show
from .apply import network_and_rows
from .rows import load_model
from .settings import Flag


def diagnose(model: str, file: str, gradients: str, /, *, rows: int = 32, json: Annotated[bool, Flag] = False) -> None:
    """Name the mistake in gradients of your own, computed for a saved model on the first rows of a file.

    Parameters
    ----------
    model
        What `backlit train` saved.
    file
        Rows with their targets.
    gradients
        An .npz file: one array for each parameter, as "0.weight" or under names of your own ("dW1", "db1").
    rows
        How many rows, from the first, they were computed on.
    json
        Print one JSON object to stdout.
    """
    net, X, y = network_and_rows(load_model(model), model, file, positive_whole("--rows", rows))
    diagnosis = name_mistakes(net, X, y, _arrays(gradients))
    show_page(diagnosis, show.console(json))
    if json:
        show.print_json(diagnosis.to_dict())


def _arrays(path: str) -> dict[str, Any]:
    """The arrays of an .npz file, by name; nothing in it is run."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise DataError(f"{path!r} holds one array without a name: save the gradients by np.savez")
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError as error:
        raise FileMissingError(f"there is no file {path!r}: save the gradients by np.savez") from error
    except (ValueError, OSError, EOFError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path!r} is no .npz file of arrays: save the gradients by np.savez ({error})") from error
