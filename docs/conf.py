"""How Sphinx makes the site: `make docs` builds it into docs/_build/html, with warnings as errors."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from typing import Any

from backlit import __version__, lessons

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS / "_ext"))

project = "Backlit"
author = "The Backlit developers"
copyright = author
release = version = __version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "numpydoc",
    "myst_nb",
    "sphinx_copybutton",
    "console",
    "mathml",
]
exclude_patterns = ["_build", "learn/notebooks"]
language = "en"
nitpicky = False

# Pages are Markdown; those with a notebook's header are run when the site is built.
myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "cache"
# What a page printed is kept until the page, or anything in the package, is another.
_sources = sorted(path for path in (DOCS.parent / "src").rglob("*") if path.suffix in (".py", ".csv"))
_state = hashlib.sha256(b"".join(path.read_bytes() for path in _sources)).hexdigest()[:16]
nb_execution_cache_path = str(DOCS / "_build" / "printed" / _state)
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_merge_streams = True
nb_render_markdown_format = "myst"
nb_execution_in_temp = True
os.environ["COLUMNS"] = "88"  # as wide as a page of the site is
os.environ["IPYTHONDIR"] = str(DOCS / "_build" / "ipython")
_KERNEL = "c.IPKernelApp.log_level = 40  # that it talks over TCP is no news here\n"

templates_path = ["_templates"]
autosummary_generate = True
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = True

html_theme = "furo"
html_title = "Backlit"
html_static_path = ["_static"]
html_css_files = ["backlit.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": True}
pygments_style = "default"
pygments_dark_style = "github-dark"


def _write(path: Path, text: str) -> None:
    """Only where it says something new: Sphinx reads again what is younger than its last build."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _lessons() -> None:
    """The lessons as pages, each with its notebook to take along; their one source lies in the package."""
    for lesson in lessons.LESSONS:
        notebook = f"notebooks/{lesson.file}.ipynb"
        end = (
            f"\n---\nThis page is a notebook: `backlit learn {lesson.number}` puts it into the current folder, "
            f"and here it is {{download}}`to download <{notebook}>`.\n"
        )
        _write(DOCS / "learn" / f"{lesson.file}.md", lesson.source() + end)
        _write(DOCS / "learn" / notebook, lesson.notebook())


def _bars(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """|x| in a docstring is an absolute value, and not reStructuredText's mark of a substitution."""
    printed = False
    for number, line in enumerate(lines):
        printed = line.strip() != "" and (printed or line.lstrip().startswith(">>>"))
        if not printed and "``" not in line:
            lines[number] = line.replace("|", r"\|")


def _leave_out(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """What every estimator has from scikit-learn's metadata routing is told there."""
    return True if name.endswith("_request") or name == "get_metadata_routing" else None


def setup(app: Any) -> None:
    """Called by Sphinx before it looks for pages."""
    _lessons()
    _write(Path(os.environ["IPYTHONDIR"]) / "profile_default" / "ipython_kernel_config.py", _KERNEL)
    app.connect("autodoc-skip-member", _leave_out)
    app.connect("autodoc-process-docstring", _bars, priority=900)  # after numpydoc
