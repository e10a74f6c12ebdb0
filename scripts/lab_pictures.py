"""Draw the pictures of docs/lab.md: the lab in a real browser.

    .venv/bin/python scripts/lab_pictures.py

Needs Playwright and a Chromium (`BACKLIT_CHROMIUM`, or /usr/bin/chromium).
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from playwright.sync_api import sync_playwright

from backlit.lab.launch import Lab

IMAGES = Path(__file__).parents[1] / "docs" / "img"
CIRCLE = {"network": {"hidden": [{"units": 4}, {"units": 3}]}, "training": {"learning_rate": 0.1}}
DIGITS = {
    "data": {"name": "digits", "held_out": 0.2},
    "network": {"hidden": [{"units": 12, "activation": "relu"}]},
    "training": {"optimizer": "Adam", "learning_rate": 0.01, "batch_size": 32},
}


def draw(browser: Any, lab: Lab, name: str, scheme: str, settings: dict[str, Any], epoch: int, tab: str) -> None:
    """One picture, after so many epochs."""
    page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme=scheme, device_scale_factor=1.5)
    page.goto(f"{lab.address}#{quote(json.dumps(settings))}")
    page.wait_for_selector("#loading", state="hidden")
    page.fill("#goto-epoch", str(epoch))
    page.press("#goto-epoch", "Enter")
    page.wait_for_timeout(2500)
    page.click(f"#tab-{tab}")
    page.wait_for_timeout(700)
    page.screenshot(path=IMAGES / f"{name}.png")
    page.close()


if __name__ == "__main__":
    running = Lab()
    with sync_playwright() as playwright:
        chromium = os.environ.get("BACKLIT_CHROMIUM", "/usr/bin/chromium")
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        draw(started, running, "lab-light", "light", CIRCLE, 30, "weight")
        draw(started, running, "lab-dark", "dark", DIGITS, 5, "confusion")
        started.close()
    running.close()
