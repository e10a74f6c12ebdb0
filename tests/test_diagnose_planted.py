"""Mistakes planted in a back-propagation written by hand, and whether `diagnose` names them.

The planting (`planting.py`) is apart from the recogniser: loops over samples in plain NumPy. A mistake that changes
nothing in a case is not planted there.
"""

from __future__ import annotations

import numpy as np
import pytest
from tests.planted_cases import BUGS, draw, flat
from tests.planted_measures import false_names, measured, pairs
from tests.planting import Handmade

from backlit.lens.diagnosis.catalogue import NAMES


def right_gradients(case: Handmade) -> None:
    """The handmade gradients without a mistake are the reference's."""
    work = case.net.workspace(len(case.X))
    work.load(case.X, case.Y, case.weight)
    case.net.forward_pass(work, case.step)
    case.net.backward_pass(work)
    case.net.average()
    np.testing.assert_allclose(flat(case.net, case.gradients()), case.net.parameters.gradients, 1e-8, 1e-11)


def test_the_handmade_gradients_are_right() -> None:
    rng = np.random.default_rng(1)
    for _ in range(60):
        right_gradients(draw(rng))


def test_the_planted_mistakes_are_many_and_in_the_catalogue() -> None:
    planted = {name for name, _, _ in BUGS.values()}
    assert len(planted) >= 45
    assert planted <= set(NAMES)


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_mistake_is_named_first(bug: str) -> None:
    first, placed, _, wrong = measured(bug, 3, seed=0)
    assert first == placed == 3, wrong


def test_two_mistakes_in_different_layers_are_both_named() -> None:
    right, wrong = pairs(12, seed=0)
    assert right >= 11, wrong


def test_nothing_is_found_in_right_gradients() -> None:
    judged, wrong = false_names(12, seed=0)
    assert judged >= 50
    assert wrong == []


@pytest.mark.torture
def test_the_shares_of_many_cases(capsys: pytest.CaptureFixture[str]) -> None:
    """The measured shares, as a table."""
    cases = 300
    lines, missed = [f"\n{'planted':<32}{'cases':>7}{'first':>9}{'placed':>9}{'tied':>8}"], []
    for bug in BUGS:
        first, placed, tied, wrong = measured(bug, cases, seed=1)
        shares = (100 * share / cases for share in (first, placed, tied))
        lines.append(f"{bug:<32}{cases:>7}" + "".join(f"{share:>7.1f} %" for share in shares))
        if first < 0.97 * cases:
            missed.append((bug, wrong))
    right, wrong = pairs(cases, seed=1)
    lines.append(f"{'two in different layers':<32}{cases:>7}{100 * right / cases:>7.1f} %")
    if right < 0.97 * cases:
        missed.append(("two in different layers", wrong))
    with capsys.disabled():
        print("\n".join(lines))
    assert missed == []


@pytest.mark.torture
def test_nothing_is_found_in_twenty_thousand_right_gradients() -> None:
    judged, wrong = false_names(4200, seed=1)
    assert judged >= 20_000
    assert wrong == []
