"""The command line as a test calls it: what it prints, and how it ends."""

from __future__ import annotations

import json
from typing import Any

import pytest

from backlit.cli import run


def ended(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> tuple[str, str]:
    """What a command wrote on stdout and on stderr; it has to end with this exit code."""
    found = run(arguments)
    captured = capsys.readouterr()
    assert found == code, captured.err
    return captured.out, captured.err


def numbers(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """What a command gives with --json."""
    return dict(json.loads(ended(capsys, *arguments, "--json")[0]))


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line with which a command refuses what it is given."""
    out, err = ended(capsys, *arguments, code=2)
    assert out == ""
    assert err.count("\n") == 1
    assert "unexpected" not in err
    return err
