"""Formulas as MathML, made while the site is built: browsers draw it, screen readers say it, no script is needed."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from latex2mathml.converter import convert


def _formula(node: Any) -> str:
    latex = node.astext()
    return latex if "&" not in latex or r"\begin" in latex else rf"\begin{{aligned}}{latex}\end{{aligned}}"


def visit_math(self: Any, node: Any) -> None:
    self.body.append(convert(_formula(node)))
    raise nodes.SkipNode


def visit_math_block(self: Any, node: Any) -> None:
    formula = convert(_formula(node), display="block")
    self.body.append(f'<div class="formula" role="group" tabindex="0">{formula}</div>')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, Any]:
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    app.config.html_math_renderer = "mathml"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
