"""The compiled engine's own matrix products and exponentials, against NumPy's."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np
import pytest

pytest.importorskip("numba", reason="the compiled engine needs backlit[fast]")
import numba

from backlit.compiled import math, rows
from backlit.compiled import products as compiled_products
from backlit.kinds import numbers

pytestmark = pytest.mark.xdist_group("compiled")


def compiled(function: Any) -> Any:
    """Callable from Python: the engine's own functions are called by compiled ones alone."""
    return numba.njit(error_model="numpy")(function)


class Chain(NamedTuple):
    """What the products need of one."""

    room: compiled_products.Room


def chain(dtype: str) -> Chain:
    return Chain(compiled_products.room_for_products(dtype))


called = {
    name: compiled_products.compiled(getattr(compiled_products, name))
    for name in ("multiply", "multiply_left_transposed", "multiply_right_transposed")
}
ab, atb, abt = called.values()
multiply = compiled(lambda A, B, C, chain: ab(A, B, C, chain))
multiply_left_transposed = compiled(lambda A, first, B, C, chain: atb(A, first, B, C, chain))
multiply_right_transposed = compiled(lambda A, B, C, chain: abt(A, B, C, chain))


@compiled
def exp(x: Any, y: Any) -> None:
    for i in range(x.size):
        y[i] = numbers.exp(x[i])


@compiled
def tanh(x: Any, y: Any) -> None:
    for i in range(x.size):
        y[i] = numbers.tanh(x[i])


@compiled
def turns(x: Any, cosine: Any, sine: Any) -> None:
    for i in range(x.size):
        cosine[i], sine[i] = numbers.cos_turns(x[i]), numbers.sin_turns(x[i])


# around the widths of a vector (8, 16) and of two, the rows of tiles, few rows (16), a panel's depth (256), a block of
# rows (240)
SHAPES = [
    *[(m, k, n) for m in (1, 2, 4, 5, 17) for k in (1, 3, 4, 30) for n in (1, 7, 8, 9, 15, 16, 17, 30)],
    *[(m, k, n) for m in (3, 16, 17, 33) for k in (255, 256, 257, 513) for n in (5, 16, 31, 65)],
    (300, 200, 230),
    (250, 600, 40),
    (30, 300, 600),
    (256, 20, 70),
    # rows of A that lie far apart
    (17, 256, 70),
    (29, 1024, 130),
    (13, 640, 70),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_products_are_those_of_numpy(dtype: str) -> None:
    rng = np.random.default_rng(0)
    for m, k, n in SHAPES:
        A, B = rng.normal(size=(m, k)).astype(dtype), rng.normal(size=(k, n)).astype(dtype)
        room = chain(dtype)
        expected = A.astype("float64") @ B.astype("float64")
        tolerance = np.finfo(dtype).eps * (np.abs(A).astype("float64") @ np.abs(B)) * max(4.0, k)
        results = np.full((3, m, n), np.nan, dtype)
        multiply(A, B, results[0], room)
        multiply_left_transposed(np.ascontiguousarray(A.T), 0, B, results[1], room)
        multiply_right_transposed(A, np.ascontiguousarray(B.T), results[2], room)
        for C in results:
            assert (np.abs(C - expected) <= tolerance).all(), (m, k, n)
            np.testing.assert_array_equal(C, results[0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_product_in_parts_has_the_bits_of_the_whole(dtype: str) -> None:
    """In whatever rows threads take of it, and however many of these are few."""
    rng = np.random.default_rng(2)
    for m, k, n in [(41, 7, 9), (70, 300, 33), (300, 20, 130)]:
        A, B = rng.normal(size=(m, k)).astype(dtype), rng.normal(size=(k, n)).astype(dtype)
        turned, room = [np.ascontiguousarray(X.T) for X in (A, B)], chain(dtype)
        whole, parts = np.empty((m, n), dtype), np.empty((3, m, n), dtype)
        multiply(A, B, whole, room)
        for start, stop in itertools.pairwise([0, 1, 4, 21, 40, m]):
            multiply(A[start:stop], B, parts[0, start:stop], room)
            multiply_left_transposed(turned[0], start, B, parts[1, start:stop], room)
            multiply_right_transposed(A[start:stop], turned[1], parts[2, start:stop], room)
        for C in parts:
            np.testing.assert_array_equal(C, whole)


def test_products_write_nothing_beside_the_result() -> None:
    rng = np.random.default_rng(1)
    room = chain("float32")
    for m, k, n in [(5, 9, 19), (21, 260, 18), (33, 6, 3)]:
        around = np.full(m * n + 64, 7.0, np.float32)
        C = around[32:-32].reshape(m, n)
        A, B = rng.normal(size=(m, k)).astype("float32"), rng.normal(size=(k, n)).astype("float32")
        multiply(A, B, C, room)
        multiply_left_transposed(np.ascontiguousarray(A.T), 0, B, C, room)
        multiply_right_transposed(A, np.ascontiguousarray(B.T), C, room)
        assert (around[:32] == 7.0).all()
        assert (around[-32:] == 7.0).all()


# ── of one row ─────────────────────────────────────────────────────────────────────────────────────────────
row_times_matrix = compiled(lambda A, B, C: rows.row_times_matrix(A, B, C))
row_times_transposed = compiled(lambda A, B, C: rows.row_times_transposed(A, B, C))
outer = compiled(lambda A, first, B, C: rows.outer(A, first, B, C))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_products_of_one_row_are_those_of_numpy_and_write_nothing_else(dtype: str) -> None:
    rng = np.random.default_rng(3)
    for k, n in itertools.product((1, 3, 4, 5, 30, 257), (1, 7, 8, 15, 16, 17, 31, 32, 33, 70)):
        a, W, delta = (rng.normal(size=shape).astype(dtype) for shape in ((1, k), (k, n), (1, n)))
        eps = k * n * np.finfo(dtype).eps
        for expected, product in (
            (a @ W, lambda C, a=a, W=W: row_times_matrix(a, W, C)),
            (delta @ W.T, lambda C, d=delta, W=W: row_times_transposed(d, W, C)),
            (a[:, k // 3 :].T @ delta, lambda C, a=a, d=delta, first=k // 3: outer(a, first, d, C)),
        ):
            around = np.full(expected.size + 64, 7.0, dtype)
            C = around[32:-32].reshape(expected.shape)
            product(C)
            np.testing.assert_allclose(C, expected, rtol=eps, atol=eps)
            assert (around[:32] == 7.0).all()
            assert (around[-32:] == 7.0).all()


def test_what_is_not_finite_stays_in_its_row() -> None:
    A, B = np.ones((6, 20), np.float32), np.ones((20, 18), np.float32)
    A[5] = np.nan
    C = np.empty((6, 18), np.float32)
    multiply(A, B, C, chain("float32"))
    assert (C[:5] == 20.0).all()
    assert np.isnan(C[5]).all()


@pytest.mark.parametrize(("function", "numpy", "reach"), [(exp, np.exp, 87.3), (tanh, np.tanh, 20.0)])
def test_exponentials_are_those_of_numpy(function: Any, numpy: Any, reach: float) -> None:
    x = np.linspace(-reach, reach, 400_001)
    y = np.empty(x.size, "float32")
    function(x.astype("float32"), y)
    np.testing.assert_allclose(y, numpy(x.astype("float32").astype("float64")), rtol=2.0 * np.finfo("float32").eps)


@pytest.mark.parametrize(("function", "numpy"), [(exp, np.exp), (tanh, np.tanh)])
def test_exponentials_in_float64_are_off_by_little_more_than_a_last_bit(function: Any, numpy: Any) -> None:
    rng = np.random.default_rng(0)
    ends = rng.uniform(-708.0, 709.7, 100_000), 10.0 ** rng.uniform(-300.0, 0.0, 100_000)
    x = np.concatenate([rng.uniform(-1.0, 1.0, 300_000), rng.uniform(-22.0, 22.0, 300_000), *ends])
    y, exact = np.empty_like(x), numpy(x.astype("longdouble"))
    function(x, y)
    assert (np.abs(y - exact) / np.spacing(np.abs(exact.astype("float64")))).max() < 1.5


@pytest.mark.parametrize(("function", "numpy"), [(exp, np.exp), (tanh, np.tanh)])
@pytest.mark.parametrize(("dtype", "rtol"), [("float32", 3e-7), ("float64", 5e-16)])
def test_exponentials_of_the_ends_of_the_numbers(function: Any, numpy: Any, dtype: str, rtol: float) -> None:
    numbers = [np.nan, np.inf, -np.inf, 1e4, -1e4, 0.0, 88.7, 88.8, -87.0, -120.0, 1e-30]
    if dtype == "float64":
        numbers += [709.78, 709.79, -708.3, -708.5, -745.1, -745.2, 1e-300]
    x = np.array(numbers, dtype)
    y = np.empty_like(x)
    function(x, y)
    with np.errstate(over="ignore", under="ignore"):
        np.testing.assert_allclose(y, numpy(x), rtol=rtol)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sine_and_cosine_of_turns(dtype: str) -> None:
    x = np.concatenate([np.linspace(-1.5, 1.5, 24_001), [0.0, 1e-6, -1e-6, 2.0**23, -(2.0**23) - 1, 3e9]]).astype(dtype)
    found = np.empty((2, x.size), dtype)
    turns(x, found[0], found[1])
    rest = 2.0 * np.pi * (x.astype("longdouble") - np.rint(x.astype("longdouble")))
    expected = np.stack([np.cos(rest), np.sin(rest)])
    assert np.abs(found - expected).max() < 2.0 * np.finfo(dtype).eps
    turns(np.array([np.inf, -np.inf, np.nan], dtype), found[0], found[1])
    assert np.isnan(found[:, :3]).all()


def test_loops_may_take_vectors_as_wide_as_the_processor_has() -> None:
    def double(x: Any) -> None:
        for i in range(x.size):
            x[i] *= 2.0

    part = math.compiled(double)
    called = math.whole(lambda x: part(x))
    called(np.ones(64, np.float32))
    for code in (*called.overloads.values(), *part.overloads.values()):
        assert '"prefer-vector-width"="512"' in str(code.library._final_module)
