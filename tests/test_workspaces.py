"""The arrays of a batch that a network keeps: one set for each thread, and no more than a few of them."""

from __future__ import annotations

import threading

import numpy as np

import backlit as bl


def network() -> bl.Network:
    return bl.Network([bl.Dense(3, "tanh"), bl.Dense(2)], inputs=4, seed=1)


def test_a_thread_has_workspaces_of_its_own() -> None:
    net = network()
    found = []
    threads = [threading.Thread(target=lambda: found.append(net.workspace(5))) for _ in range(2)]
    for thread in threads:
        thread.start()
        thread.join()
    first, second = found
    mine = net.workspace(5)
    assert mine is net.workspace(5)
    assert len({id(first), id(second), id(mine)}) == 3
    assert not np.shares_memory(first.a[-1], mine.a[-1])


def test_only_the_last_four_sizes_of_a_batch_are_kept() -> None:
    net = network()
    kept = {n: net.workspace(n) for n in (1, 2, 3, 4)}
    assert all(net.workspace(n) is work for n, work in kept.items())
    fifth = net.workspace(5)
    assert net.workspace(4) is kept[4]
    assert net.workspace(5) is fifth
    assert net.workspace(1) is not kept[1]  # the oldest had to go
