"""What the tests of many processes run in each of them: a short training in which something may go wrong.

    python mpi_program.py train CHECKPOINT [--resume FILE] [--fault KIND --when PLACE --rank R]
    python mpi_program.py bits

The first prints a digest of the network at the end; the second one of many networks, a line each.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import backlit as bl
from backlit.training import checkpoint as checkpoints

FAULT_STEP = 14  # of 40; the checkpoint before is of step 10
rng = np.random.default_rng(5)
X = rng.normal(size=(80, 6)).astype(np.float32)
Y = (X[:, 0] * X[:, 1] > 0).astype(np.int64)


def digest(net: bl.Network) -> str:
    return hashlib.sha256(net.parameters.state.tobytes()).hexdigest()[:16]


# ── the same bits ──────────────────────────────────────────────────────────────────────────────────────────
def bits(engines: list[str]) -> None:
    teams = {"8": bl.parallel.mpi(), "16": bl.parallel.mpi(16)}
    big = [bl.Dense(200, "tanh"), bl.Dense(2, "softmax")]  # sums that are halved on their way
    layers = [bl.Dense(12, "tanh"), bl.Dropout(0.3), bl.LayerNorm(), bl.Dense(9, "relu"), bl.Dense(2, "softmax")]
    cases: dict[str, tuple[Any, ...]] = {
        "float32": (layers, bl.Adam(0.01), {}, {}),
        "float64, clipped": (layers, bl.SGD(0.1, momentum=0.9, clip_norm=0.5), {"dtype": "float64", "l2": 0.01}, {}),
        "halved, weights": (big, bl.AdamW(0.01), {"l1": 0.001}, {"sample_weight": np.linspace(0.0, 2.0, 80)}),
        "small batches": (layers, bl.RMSprop(0.01), {}, {"batch_size": 3}),
        "whole batches": (layers, bl.SGD(bl.CosineDecay(0.5, 3)), {}, {"batch_size": None}),
    }
    for engine in engines:
        for shards, team in teams.items():
            for name, (chain, optimizer, about, settings) in cases.items():
                if engine == "compiled" and name not in ("float32", "small batches", "whole batches"):
                    continue
                kind = bl.Adam(0.01) if engine == "compiled" else optimizer  # one function is compiled for all of them
                net = bl.Network(chain, inputs=6, loss="cross_entropy", seed=3, **about)
                early = bl.EarlyStopping(patience=1)
                history = bl.fit(
                    net, X, Y, communicator=team, engine=engine, optimizer=kind, callbacks=[early], progress=False,
                    validation=(X[:20], Y[:20]), **{"epochs": 3, "batch_size": 30, **settings},
                )  # fmt: skip
                if team.rank == team.size - 1:
                    print(engine, shards, name, digest(net), history["val_loss"], history.best_epoch, flush=True)


# ── faults ─────────────────────────────────────────────────────────────────────────────────────────────────
def strike(fault: str, net: bl.Network) -> None:
    if fault == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif fault == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif fault == "launcher":
        os.kill(int(os.environ["BACKLIT_LAUNCHER"]), signal.SIGKILL)
        time.sleep(60)
    elif fault == "exception":
        raise ZeroDivisionError("as the test wants it")
    elif fault == "disk":
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
    elif fault == "nan":
        net.parameters.values[:] = np.nan


class Team:
    """A communicator in whose step something happens."""

    def __init__(self, team: Any, at_step: Callable[[int], None]) -> None:
        self.__dict__.update(team=team, at_step=at_step)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.team, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.team, name, value)

    def allreduce(self, sums: Any) -> None:
        self.at_step(self.team._step + 1)
        self.team.allreduce(sums)


def train(given: argparse.Namespace) -> None:
    team = bl.parallel.mpi(deadline=given.deadline)
    hit = given.fault is not None and team.rank == given.rank and given.resume is None
    net = bl.Network([bl.Dense(12, "tanh"), bl.Dropout(0.3), bl.Dense(2, "softmax")], inputs=6, loss="cross_entropy")
    if hit and given.when == "start":
        strike(given.fault, net)
    if hit and given.when == "checkpoint":
        write = checkpoints.write_bytes

        def write_and_strike(data: Any, path: Any) -> None:
            if team._step == 10:
                strike(given.fault, net)
            write(data, path)

        checkpoints.write_bytes = write_and_strike

    def at_step(step: int) -> None:
        # on other ranks than 0, a step after one that is written: rank 0 may be writing still
        struck = {"step": FAULT_STEP, "checkpoint": 11 if team.rank else 0, "end": 40 if given.fault == "nan" else 0}
        if hit and step == struck.get(given.when):
            strike(given.fault, net)

    bl.fit(
        net, X, Y, epochs=10, batch_size=20, optimizer=bl.Adam(0.02), progress=False, communicator=Team(team, at_step),
        callbacks=[bl.Checkpoint(given.checkpoint, every_steps=5, keep_previous=True)], resume=given.resume,
        validation=(X[:20], Y[:20]),
    )  # fmt: skip
    if hit and given.when == "end" and given.fault != "nan":
        strike(given.fault, net)
        if given.fault == "disk":
            bl.save(net, given.checkpoint + ".model")
    if team.rank == 0:
        print("digest", digest(net), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["train", "bits"])
    parser.add_argument("checkpoint", nargs="?")
    parser.add_argument("--engines", default="reference")
    parser.add_argument("--resume")
    parser.add_argument("--fault")
    parser.add_argument("--when")
    parser.add_argument("--rank", type=int, default=1)
    parser.add_argument("--deadline", type=float, default=60.0)
    given = parser.parse_args()
    if given.what == "bits":
        bits(given.engines.split(","))
    else:
        train(given)


if __name__ == "__main__":
    sys.exit(main())
