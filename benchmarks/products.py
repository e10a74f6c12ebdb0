"""The compiled engine's matrix products beside BLAS's, and both beside the multiply-adds that a core can do.

    python benchmarks/products.py [--rounds N] [--only NETWORK …]

The peak is a loop of multiply-adds on registers alone, measured in the same run; all take turns on one thread, and the
clock counts the processor's time: what else runs on the machine takes caches and heat, but not seconds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numba
import numpy as np
import scipy.linalg.cython_blas  # noqa: F401 — which Numba calls: loaded before the number of its threads is set
from numba import types
from threadpoolctl import threadpool_limits

from backlit.compiled import products
from backlit.compiled.math import compiled
from backlit.compiled.vectors import Vector, address_of, instruction, multiply_add

#: The products of a step: z = a W, dL/dW = aᵀ delta, dL/da = delta Wᵀ; of C its rows and columns, and the terms.
NETWORKS = {
    "784-128-64-10, batch 128": [
        ("a W", 128, 784, 128), ("aᵀ delta", 784, 128, 128), ("a W", 128, 128, 64), ("aᵀ delta", 128, 128, 64),
        ("delta Wᵀ", 128, 64, 128), ("a W", 128, 64, 10), ("aᵀ delta", 64, 128, 10), ("delta Wᵀ", 128, 10, 64),
    ],
    "784-800-10, batch 128": [
        ("a W", 128, 784, 800), ("aᵀ delta", 784, 128, 800), ("a W", 128, 800, 10), ("aᵀ delta", 800, 128, 10),
        ("delta Wᵀ", 128, 10, 800),
    ],
    "784-30-10, batch 10": [("a W", 10, 784, 30), ("aᵀ delta", 784, 10, 30), ("delta Wᵀ", 10, 10, 30)],
    "20-64-64-2, batch 32": [
        ("a W", 32, 64, 64), ("aᵀ delta", 64, 32, 64), ("delta Wᵀ", 32, 64, 64), ("a W", 32, 64, 2),
    ],
    "1024-2048-2048-10, batch 128": [
        ("a W", 128, 1024, 2048), ("aᵀ delta", 1024, 128, 2048), ("a W", 128, 2048, 2048),
        ("aᵀ delta", 2048, 128, 2048), ("delta Wᵀ", 128, 2048, 2048),
    ],
    "1,024 units, batch 512": [("a W", 512, 1024, 1024), ("aᵀ delta", 1024, 512, 1024), ("delta Wᵀ", 512, 1024, 1024)],
}  # fmt: skip

multiply = compiled(products.multiply)
multiply_left_transposed = compiled(products.multiply_left_transposed)
multiply_right_transposed = compiled(products.multiply_right_transposed)


class Chain(NamedTuple):
    """What the products need of one."""

    room: products.Room


CHAINS = 12  # of multiply-adds that do not wait for each other


@instruction
def chains(typing: Any, x: Any, count: Any) -> Any:
    """`count` times CHAINS multiply-adds of a vector that stays in a register."""
    vector = Vector(x.dtype)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        llvm_type, whole = context.get_value_type(vector), arguments[1].type
        address = address_of(context, builder, signature.args[0], arguments[0])
        pointer = builder.bitcast(address, llvm_type.as_pointer())
        factor = builder.load(pointer)
        factor.align = 4
        before, loop, end = builder.block, builder.append_basic_block("loop"), builder.append_basic_block("end")
        builder.branch(loop)
        builder.position_at_end(loop)
        k, totals = builder.phi(whole), [builder.phi(llvm_type) for _ in range(CHAINS)]
        later = [multiply_add(builder, factor, factor, total) for total in totals]
        following = builder.add(k, whole(1))
        for value, start, then in [(k, whole(0), following), *((t, factor, n) for t, n in zip(totals, later))]:  # noqa: B905
            value.add_incoming(start, before)
            value.add_incoming(then, loop)
        builder.cbranch(builder.icmp_signed("<", following, arguments[1]), loop, end)
        builder.position_at_end(end)
        total = later[0]
        for other in later[1:]:
            total = builder.fadd(total, other)
        builder.store(total, pointer).align = 4
        return context.get_dummy_value()

    return types.none(x, types.intp), generate


@numba.njit(error_model="numpy")
def peak(x: Any, count: int) -> None:
    chains(x, count)


@numba.njit(error_model="numpy")
def ours(kind: int, A: Any, B: Any, C: Any, chain: Any, count: int) -> None:
    for _ in range(count):
        if kind == 0:
            multiply(A, B, C, chain)
        elif kind == 1:
            multiply_left_transposed(A, 0, B, C, chain)
        else:
            multiply_right_transposed(A, B, C, chain)


@numba.njit(error_model="numpy")
def blas(kind: int, A: Any, B: Any, C: Any, count: int) -> None:
    for _ in range(count):
        if kind == 0:
            np.dot(A, B, C)
        elif kind == 1:
            np.dot(A.T, B, C)
        else:
            np.dot(A, B.T, C)


def seconds(run: Callable[[], object], count: int) -> float:
    started = time.process_time()
    run()
    return (time.process_time() - started) / count


def measured(kind: str, m: int, terms: int, n: int, rounds: int) -> tuple[float, float, float]:
    """GFLOP/s of ours, of BLAS, and of the peak: medians of rounds in which they take turns."""
    number = ("a W", "aᵀ delta", "delta Wᵀ").index(kind)
    rng, chain = np.random.default_rng(0), Chain(products.room_for_products("float32"))
    A = rng.random((terms, m) if number == 1 else (m, terms), dtype=np.float32)
    B = rng.random((n, terms) if number == 2 else (terms, n), dtype=np.float32)
    C, x = np.empty((m, n), np.float32), np.full(16, 1e-9, np.float32)
    count = max(1, 10**8 // (m * n * terms))
    loops = 10**6
    runs: list[tuple[Callable[[], object], int, float]] = [
        (lambda: ours(number, A, B, C, chain, count), count, 2.0 * m * n * terms),
        (lambda: blas(number, A, B, C, count), count, 2.0 * m * n * terms),
        (lambda: peak(x, loops), loops, 2.0 * CHAINS * 16),
    ]
    for run, _, _ in runs:
        run()
    times = [[seconds(run, count) for run, count, _ in runs] for _ in range(rounds)]
    ours_, blas_, peak_ = (work / statistics.median(taken) / 1e9 for taken, (_, _, work) in zip(zip(*times), runs))  # noqa: B905
    return ours_, blas_, peak_


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    options = parser.parse_args()
    rounds = options.rounds
    print("| network | product | rows × terms × columns | ours, GFLOP/s | of the peak | BLAS, GFLOP/s | ours to BLAS |")
    print("|---|---|---:|---:|---:|---:|---:|")
    with threadpool_limits(1):
        for network in options.only:
            for kind, m, terms, n in NETWORKS[network]:
                own, other, most = measured(kind, m, terms, n, rounds)
                print(
                    f"| {network} | {kind} | {m} × {terms} × {n} | {own:.0f} | {own / most:.0%} | {other:.0f} | "
                    f"{own / other:.2f} × |",
                    flush=True,
                )
    print(f"\nPeak of the core: {most:.0f} GFLOP/s; load average {os.getloadavg()[1]:.1f} in the five minutes before.")


if __name__ == "__main__":
    main()
