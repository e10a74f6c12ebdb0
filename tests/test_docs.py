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
    wanted = set(backlit.__all__) - {"data", "lab"} | {"lab.launch.lab"}  # two that are folders
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
