"""What the pages quote stands in the code."""

from __future__ import annotations

import pydoc
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
QUOTED = re.findall(
    r"```python\n(.*?)```", (ROOT / "docs" / "adding-a-layer.md").read_text(encoding="utf-8"), re.DOTALL
)

# What building the site writes beside its pages.
MADE = re.compile(r"docs/(_build|api/generated|learn/(\d|notebooks))")


def unindented(text: str) -> str:
    return "\n".join(line.strip() for line in text.strip().splitlines())


@pytest.mark.parametrize("code", QUOTED, ids=lambda code: code.strip().splitlines()[0].strip()[:40])
def test_the_page_on_layers_is_scale_itself(code: str) -> None:
    source = (ROOT / "src" / "backlit" / "kinds" / "scale.py").read_text(encoding="utf-8")
    for part in code.strip("\n").split("\n\n"):
        assert unindented(part) in unindented(source)


def test_every_link_of_the_pages_leads_somewhere() -> None:
    broken = []
    written = [page for page in (ROOT / "docs").rglob("*.md") if not MADE.search(page.as_posix())]
    assert len(written) > 20
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *written]:
        for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            place = (page.parent / link).resolve()
            if place.parent == ROOT / "docs" / "learn":  # made of the lessons when the site is built
                place = next(iter(ROOT.glob(f"src/backlit/lessons/{place.name}")), place)
            if not link.startswith(("http://", "https://")) and not place.exists():
                broken.append(f"{page.name}: {link}")
    assert broken == []


def test_every_public_name_is_in_the_reference() -> None:
    """The page of names has all that `backlit` and `backlit.data` export, and nothing that is not there."""
    import backlit
    from backlit import data, estimators, exceptions

    page = (ROOT / "docs" / "api" / "index.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^   ([\w.]+)$", page, re.MULTILINE))
    wanted = set(backlit.__all__) - {"data", "lab", "parallel"} | {
        "lab.launch.lab",
        "parallel.mpi",
    }  # three are folders
    wanted |= {f"data.{name}" for name in data.__all__ if callable(getattr(data, name))}
    wanted |= {f"estimators.{name}" for name in estimators.__all__ if name not in backlit.__all__}
    errors = {
        name for name, value in vars(exceptions).items() if getattr(value, "__module__", "") == exceptions.__name__
    }
    wanted |= {f"exceptions.{name}" for name in errors - wanted if isinstance(vars(exceptions)[name], type)}
    assert wanted - listed == set()
    assert [name for name in listed if not getattr(pydoc.locate(f"backlit.{name}"), "__doc__", None)] == []


def test_the_tables_of_kinds_have_every_name() -> None:
    from backlit.kinds.initializers import NAMES
    from backlit.kinds.losses import LOSSES

    page = (ROOT / "docs" / "api" / "kinds.md").read_text(encoding="utf-8")
    assert [name for name in [*LOSSES, *NAMES] if f"| `{name}`" not in page and f", `{name}` |" not in page] == []


def test_the_page_of_errors_has_every_error() -> None:
    from backlit import exceptions

    page = (ROOT / "docs" / "use" / "errors.md").read_text(encoding="utf-8")
    named = [name for name, value in vars(exceptions).items() if isinstance(value, type) and name.endswith("Error")]
    assert len(named) > 10
    assert [name for name in named if f"`{name}`" not in page and f"backlit.{name}`" not in page] == []


def test_what_the_first_screen_shows_is_what_is_printed() -> None:
    """The three results at the top of README, of the often-cited 2-2-2 network; `…` stands for lines left out."""
    import numpy as np

    import backlit as bl

    net = bl.Network([bl.Dense(2, "sigmoid"), bl.Dense(2, "sigmoid")], inputs=2, dtype="float64")
    W1, b1, W2, b2 = (net.parameters.view(name) for name in net.parameters.names)
    W1[...], b1[...], W2[...], b2[...] = [[0.15, 0.25], [0.2, 0.3]], 0.35, [[0.4, 0.5], [0.45, 0.55]], 0.6
    X, y = np.array([[0.05, 0.10]]), np.array([[0.01, 0.99]])
    a1 = 1 / (1 + np.exp(-(X @ W1 + b1)))
    a2 = 1 / (1 + np.exp(-(a1 @ W2 + b2)))
    delta2 = (a2 - y) * a2 * (1 - a2)
    delta1 = (delta2 @ W2) * a1 * (1 - a1)
    mine = {"W1": X.T @ delta1, "b1": delta1[0], "W2": a1.T @ delta2, "b2": delta2[0]}
    names = {"bl": bl, "net": net, "X": X, "y": y, "mine": mine}

    shown = re.findall(
        r"```\n>>> print\((.*?)\)(?: +#.*)?\n((?:.*\n)*?)```", (ROOT / "README.md").read_text(encoding="utf-8")
    )
    assert len(shown) == 3
    for call, lines in shown:
        pattern = ".*".join(re.escape(part) for part in lines.strip("\n").split("…"))
        printed = str(eval(call, dict(names)))
        assert re.fullmatch(pattern, f"\n{printed}\n" if lines.startswith("…") else f"{printed}\n", re.DOTALL), call
