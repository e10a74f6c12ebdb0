"""How smooth the lab is: frames a second, the longest waits, and what the server costs, in a real browser.

    .venv/bin/python benchmarks/lab.py [--seconds 20]

A 64-32-10 network trains on handwritten digits; the page asks for 30 frames a second as any page does. Needs
``backlit[web]``, Playwright, and a Chromium (`BACKLIT_CHROMIUM`, or /usr/bin/chromium).
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import statistics
import time
from typing import Any
from urllib.parse import quote

SETTINGS = {
    "data": {"name": "digits", "held_out": 0.2},
    "network": {"hidden": [{"units": 32, "activation": "relu"}]},
    "training": {"optimizer": "Adam", "learning_rate": 0.001, "batch_size": 32},
}

# Times at which the step counter on the page changed: a frame was drawn.
WATCH = """
window.drawn = [];
new MutationObserver(() => window.drawn.push(performance.now()))
  .observe(document.getElementById("step"), {childList: true, characterData: true, subtree: true});
"""


def serve(pipe: Any) -> None:
    """The lab in a process of its own, so that what it costs can be told from the browser."""
    from backlit.lab.launch import Lab

    lab = Lab()
    pipe.send(lab.address)
    while pipe.recv() == "cost":
        pipe.send(time.process_time())
    lab.close()


def measure(seconds: float) -> dict[str, float]:
    """Frames, waits and costs."""
    from playwright.sync_api import sync_playwright

    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    address = ours.recv()
    result: dict[str, float] = {}
    with sync_playwright() as playwright:
        chromium = os.environ.get("BACKLIT_CHROMIUM", "/usr/bin/chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(f"{address}#{quote(json.dumps(SETTINGS))}")
        page.wait_for_selector("#loading", state="hidden")
        paint = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN"
        result["first paint, ms"] = page.evaluate(paint)
        page.click("#run")
        time.sleep(2.0)
        page.evaluate(WATCH)
        ours.send("cost")
        cost, started = ours.recv(), time.perf_counter()
        time.sleep(seconds)
        ours.send("cost")
        wall = time.perf_counter() - started
        result["server, % of one core"] = 100.0 * (ours.recv() - cost) / wall
        drawn = page.evaluate("window.drawn")
        waits = sorted(b - a for a, b in itertools.pairwise(drawn))
        result["frames a second"] = len(drawn) / wall
        result["between frames, median ms"] = statistics.median(waits)
        result["between frames, p99 ms"] = waits[int(0.99 * (len(waits) - 1))]
        page.click("#run")
        result["click to the unfolded weight, ms"] = clicked(page)
        browser.close()
    ours.send("end")
    server.join(5)
    return result


def clicked(page: Any) -> float:
    """The median time from choosing another weight to its numbers on the page, in milliseconds."""
    choose = """async (i) => {
        const start = performance.now(), field = document.getElementById("weight-i");
        field.value = i;
        field.dispatchEvent(new Event("change", {bubbles: true}));
        while (!document.getElementById("weight-symbol").textContent.includes(`[${i}, `)) {
            await new Promise((done) => setTimeout(done, 1));
            if (performance.now() - start > 3000) return NaN;
        }
        return performance.now() - start;
    }"""
    page.click("#tab-weight")
    return statistics.median(page.evaluate(choose, i) for i in range(1, 21))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    for name, value in measure(parser.parse_args().seconds).items():
        print(f"{name:34} {value:8.1f}")
