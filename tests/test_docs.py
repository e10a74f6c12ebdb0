"""What the pages quote stands in the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
QUOTED = re.findall(
    r"```python\n(.*?)```", (ROOT / "docs" / "adding-a-layer.md").read_text(encoding="utf-8"), re.DOTALL
)


def unindented(text: str) -> str:
    return "\n".join(line.strip() for line in text.strip().splitlines())


@pytest.mark.parametrize("code", QUOTED, ids=lambda code: code.strip().splitlines()[0].strip()[:40])
def test_the_page_on_layers_is_scale_itself(code: str) -> None:
    source = (ROOT / "src" / "backlit" / "kinds" / "scale.py").read_text(encoding="utf-8")
    for part in code.strip("\n").split("\n\n"):
        assert unindented(part) in unindented(source)


def test_every_link_of_the_pages_leads_somewhere() -> None:
    broken = []
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if not link.startswith(("http://", "https://")) and not (page.parent / link).exists():
                broken.append(f"{page.name}: {link}")
    assert broken == []
