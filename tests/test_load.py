"""What a large network, and many fits in one process, take of memory: measured in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")

#: Peaks of resident memory, as multiples of the parameters' own size, above what the libraries take.
LARGE = """
import json, sys
import numpy as np
import backlit as bl

def resident(name):
    return 1024 * next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name))

def network(inputs, units):
    layers = [bl.Dense(units, "relu"), bl.Dense(128, "relu"), bl.Dense(10, "softmax")]
    return bl.Network(layers, inputs=inputs, loss="cross_entropy")

def train(net, optimizer, epochs, validation):
    X = np.random.default_rng(0).normal(size=(32, net.inputs)).astype(np.float32)
    data = (X, np.arange(32) % 10)
    validation = data if validation else None
    bl.fit(net, *data, epochs=epochs, validation=validation, optimizer=optimizer, progress=False, engine="reference")

def measured(work):
    open("/proc/self/clear_refs", "w").write("5")
    result = work()
    return (resident("VmHWM") - base) / size, result

units, epochs = int(sys.argv[1]), int(sys.argv[2])
kind, validation, path = sys.argv[3], sys.argv[4] == "yes", sys.argv[5]
small = network(units, 4)  # whatever is loaded or made once is there
train(small, getattr(bl, kind)(), epochs, validation)
bl.save(small, path)
small = bl.load(path)
base = resident("VmRSS")
size = 4 * (units * units + units + units * 128 + 128 + 1290)
found = {}
found["build"], net = measured(lambda: network(units, units))
found["fit"], _ = measured(lambda: train(net, getattr(bl, kind)(0.001), epochs, validation))
found["save"], _ = measured(lambda: bl.save(net, path))
values = net.parameters.values[::1000].copy()
del net
found["load"], net = measured(lambda: bl.load(path))
assert (net.parameters.values[::1000] == values).all()
print(json.dumps(found))
"""


def peaks(folder: Path, units: int, kind: str, epochs: int = 1, validation: bool = False) -> dict[str, float]:
    more = [str(units), str(epochs), kind, "yes" if validation else "no", str(folder / "large")]
    done = subprocess.run([sys.executable, "-c", LARGE, *more], capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


# values, gradients, the mask of weights, and the best parameters so far; the optimiser's memory comes on top
NEEDED = {"build": 2, "fit": 4, "save": 3, "load": 3}


@pytest.mark.parametrize(
    ("units", "allowance"),
    # what batches and pieces take weighs more beside a smaller network
    [pytest.param(2_500, 0.5, id="7 million"), pytest.param(7_000, 0.4, id="50 million", marks=pytest.mark.torture)],
)
@pytest.mark.parametrize(("kind", "slots", "validation"), [("SGD", 0, False), ("SGD", 0, True), ("Adam", 2, False)])
def test_a_large_network_takes_four_times_its_size_and_the_optimisers_memory(
    units: int, allowance: float, kind: str, slots: int, validation: bool, tmp_path: Path
) -> None:
    found = peaks(tmp_path, units, kind, epochs=3 if validation else 1, validation=validation)
    needed = {**NEEDED, "fit": NEEDED["fit"] + slots}
    assert {step: peak < needed[step] + allowance for step, peak in found.items()} == dict.fromkeys(needed, True), found


@pytest.mark.torture
def test_without_validation_later_epochs_keep_where_they_began(tmp_path: Path) -> None:
    """Their loss is known at their end, and may make that place the best one."""
    assert peaks(tmp_path, 7_000, "SGD", epochs=3)["fit"] < 5.5
    assert peaks(tmp_path, 7_000, "SGD", epochs=3, validation=True)["fit"] < 4.5


FITS = """
import sys
import numpy as np
import backlit as bl

def resident():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS"))

X = np.random.default_rng(0).normal(size=(200, 20))
for k in range(1, int(sys.argv[1]) + 1):
    if k % 2:
        bl.MLPClassifier(16, max_iter=2, random_state=k).fit(X, np.arange(200) % 3).predict(X)
    else:
        net = bl.Network([bl.Dense(16, "tanh"), bl.Dense(1)], inputs=20, seed=k)
        bl.fit(net, X, X[:, 0], epochs=2, validation=(X, X[:, 0]), callbacks=[bl.EarlyStopping()], progress=False)
    if k in (int(sys.argv[1]) // 10, int(sys.argv[1])):
        print(resident())
"""


@pytest.mark.parametrize("fits", [300, pytest.param(1_000, marks=pytest.mark.torture)])
def test_fit_after_fit_takes_no_more_memory(fits: int) -> None:
    """Within 5 % of what a tenth of them took."""
    command: list[Any] = [sys.executable, "-W", "ignore", "-c", FITS, str(fits)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    early, late = map(int, done.stdout.split())
    assert late < 1.05 * early
