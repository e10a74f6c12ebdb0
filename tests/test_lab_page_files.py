"""The page's files hold together: every name that is imported or looked up is there; nothing comes from elsewhere."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(str(resources.files("backlit.lab"))) / "page"
SCRIPTS = {path.name: path.read_text(encoding="utf-8") for path in sorted(PAGE.glob("*.js"))}
MARKUP = (PAGE / "index.html").read_text(encoding="utf-8")
MOST_LINES = 400

_IMPORT = re.compile(r'^import \{([^}]*)\} from "\./([\w.]+)";', re.MULTILINE)
_EXPORT = re.compile(r"^export (?:async )?(?:function|const|let) (\w+)", re.MULTILINE)
_LOOKED_UP = re.compile(r'byId\("([\w-]+)"\)')
_MADE = re.compile(r'\bid(?::| =) "([\w-]+)"')


class Elements(HTMLParser):
    """Every element of the page with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def elements() -> list[tuple[str, dict[str, Any]]]:
    parser = Elements()
    parser.feed(MARKUP)
    return parser.found


def made_by_scripts() -> set[str]:
    """Ids that scripts give to what they make: written out, or the name of a setting's control."""
    ids = {name for text in SCRIPTS.values() for name in _MADE.findall(text)}
    controls = re.findall(r'(?:slider|entry|select|seedRow)\("([\w-]+)"', SCRIPTS["controls.js"])
    named = {name.replace("_", "-") for name in controls}
    return ids | named | {f"row-{name}" for name in named} | {"show-maps"}


@pytest.mark.parametrize("name", SCRIPTS)
def test_what_is_imported_is_exported(name: str) -> None:
    imports = _IMPORT.findall(SCRIPTS[name])
    assert len(imports) == len(re.findall(r"^import ", SCRIPTS[name], re.MULTILINE))
    for names, file in imports:
        exported = set(_EXPORT.findall(SCRIPTS[file]))
        wanted = {each.strip() for each in names.split(",") if each.strip()}
        assert wanted <= exported, f"{name} imports {wanted - exported} from {file}"


@pytest.mark.parametrize("name", SCRIPTS)
def test_what_is_imported_is_used(name: str) -> None:
    body = _IMPORT.sub("", SCRIPTS[name])
    unused = [
        each.strip()
        for names, _ in _IMPORT.findall(SCRIPTS[name])
        for each in names.split(",")
        if each.strip() and not re.search(rf"\b{each.strip()}\b", body)
    ]
    assert unused == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_what_is_exported_is_imported_somewhere(name: str) -> None:
    imported = {
        each.strip()
        for text in SCRIPTS.values()
        for names, file in _IMPORT.findall(text)
        if file == name
        for each in names.split(",")
    }
    assert set(_EXPORT.findall(SCRIPTS[name])) <= imported


def test_every_element_that_is_looked_up_is_there(elements: Any) -> None:
    ids = {attributes["id"] for _, attributes in elements if "id" in attributes}
    wanted = {(file, name) for file, text in SCRIPTS.items() for name in _LOOKED_UP.findall(text)}
    assert {(file, name) for file, name in wanted if name not in ids | made_by_scripts()} == set()


def test_no_id_stands_twice(elements: Any) -> None:
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert sorted(ids) == sorted(set(ids))


def test_what_the_markup_refers_to_is_there(elements: Any) -> None:
    ids = {attributes["id"] for _, attributes in elements if "id" in attributes}
    for _, attributes in elements:
        for kind in ("for", "aria-controls", "aria-labelledby"):
            if kind in attributes:
                assert attributes[kind] in ids, (kind, attributes)


def test_nothing_is_inline_and_nothing_comes_from_elsewhere(elements: Any) -> None:
    for tag, attributes in elements:
        assert "style" not in attributes
        assert not any(name.startswith("on") for name in attributes)
        assert tag != "style"
        for kind in ("src", "href"):
            address = attributes.get(kind)
            if address is not None:
                assert address.startswith(("/page/", "data:image/svg+xml,")), address
                if address.startswith("/page/"):
                    assert (PAGE / address.removeprefix("/page/")).is_file()
    for text in (*SCRIPTS.values(), *(path.read_text(encoding="utf-8") for path in PAGE.glob("*.css"))):
        rest = text.replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|@import|url\(|\beval\(|new Function|innerHTML", rest)


@pytest.mark.parametrize("path", sorted(PAGE.iterdir()), ids=lambda path: path.name)
def test_files_stay_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_every_script_is_reached_from_the_first() -> None:
    reached, ahead = set(), ["main.js"]
    while ahead:
        name = ahead.pop()
        if name not in reached:
            reached.add(name)
            ahead += [file for _, file in _IMPORT.findall(SCRIPTS[name])]
    assert reached == set(SCRIPTS)
