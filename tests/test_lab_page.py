"""The lab in a real browser: what the page shows is what NumPy says, and nothing leaves this machine.

Needs Playwright for Python and a Chromium: `BACKLIT_CHROMIUM`, or one that Debian installs.
"""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import numpy as np
import pytest

import backlit as bl

pytest.importorskip("uvicorn", reason="the lab needs backlit[web]")
sync_api = pytest.importorskip("playwright.sync_api", reason="the lab's page is driven by Playwright")

from backlit.lab.launch import Lab  # noqa: E402

CHROMIUM = os.environ.get("BACKLIT_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium, or set BACKLIT_CHROMIUM"),
    pytest.mark.xdist_group("browser"),
]
sync_api.expect.set_options(timeout=20_000)  # a busy machine is slow, not wrong
MORE_DATA = ("admissions", "line", "spiral", "diabetes", "wine", "moons", "iris")
SMALL = {"data": {"name": "xor", "rows": 60}, "training": {"batch_size": 6, "learning_rate": 0.3}}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    running = Lab(allow_code=True)
    yield running
    running.close()


class Watched:
    """A page, and everything that it complained of or asked for."""

    def __init__(self, browser: Any, lab: Lab, settings: Any = None, **context: Any) -> None:
        context = {"viewport": {"width": 1280, "height": 800}, **context}
        self.context = browser.new_context(**context)
        self.page = self.context.new_page()
        self.lab = lab
        self.problems: list[str] = []
        self.hosts: set[str] = set()
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        fragment = "" if settings is None else f"#{quote(json.dumps(settings))}"
        self.page.goto(lab.address + fragment)
        self.page.wait_for_selector("#loading", state="hidden")
        self.until("step", "0")

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(message.text)

    def text(self, name: str) -> str:
        return str(self.page.locator(f"#{name}").text_content()).strip()

    def number(self, name: str) -> float:
        """The number that an element shows, all of its digits."""
        return float(str(self.page.locator(f"#{name}").get_attribute("data-value")))

    def until(self, name: str, text: str) -> None:
        """Wait until an element says something."""
        sync_api.expect(self.page.locator(f"#{name}")).to_have_text(text)

    @property
    def session(self) -> Any:
        """The session of this page on the server."""
        return max(self.lab.server.sessions.values(), key=lambda session: session.seen)


@pytest.fixture
def open_page(browser: Any, lab: Lab) -> Iterator[Any]:
    opened: list[Watched] = []

    def open_one(settings: Any = None, **context: Any) -> Watched:
        opened.append(Watched(browser, lab, settings, **context))
        return opened[-1]

    yield open_one
    for watched in opened:
        watched.context.close()
        assert watched.problems == []
        assert watched.hosts <= {f"127.0.0.1:{lab.port}", ""}


def test_a_network_is_trained_to_its_goal(open_page: Any) -> None:
    watched = open_page({**SMALL, "training": {"optimizer": "Adam", "learning_rate": 0.05, "batch_size": 10}})
    before = watched.number("loss-train")
    watched.page.locator("#speed").fill("7")
    watched.page.keyboard.press("Escape")
    watched.page.locator("#run").click()
    watched.page.wait_for_function(
        "goal => Number(document.getElementById('loss-train').dataset.value) < goal", arg=0.2 * before
    )
    sync_api.expect(watched.page.locator("#run")).to_have_attribute("aria-pressed", "true")
    watched.page.locator("#run").click()
    sync_api.expect(watched.page.locator("#run")).to_have_attribute("aria-pressed", "false")
    X, Y, _ = watched.session.course.job.data
    sync_api.expect(watched.page.locator("#step")).to_have_attribute("data-value", str(watched.session.course.step))
    assert watched.number("loss-train") == pytest.approx(watched.session.course.net.loss(X, Y))


def test_steps_and_the_way_back(open_page: Any) -> None:
    watched = open_page(SMALL)
    loss = watched.text("loss-train")
    watched.page.locator("#step-batch").click()
    watched.until("step", "1")
    watched.page.locator("#step-epoch").click()
    watched.until("step", "5")
    at_five = watched.text("loss-train")
    watched.page.keyboard.press("ArrowRight")
    watched.until("step", "6")
    watched.page.keyboard.press("ArrowLeft")
    watched.until("step", "5")
    assert watched.text("loss-train") == at_five
    watched.page.locator("#goto").fill("0")
    watched.page.locator("#goto").press("Enter")
    watched.until("step", "0")
    assert watched.text("loss-train") == loss
    watched.page.locator("#goto-epoch").fill("3")
    watched.page.locator("#goto-epoch").press("Enter")
    watched.until("step", "15")


def test_a_weight_that_is_clicked_shows_numpys_numbers(open_page: Any) -> None:
    watched = open_page(SMALL)
    watched.page.locator("#step-epoch").click()
    watched.until("step", "5")
    watched.page.locator('[data-weight="1.weight[2,0]"]').first.dispatch_event("click")
    sync_api.expect(watched.page.locator("#weight-symbol")).to_contain_text("1.weight[2, 0]")
    course = watched.session.course
    X, Y, _ = course.job.data
    rows = course.rows()
    W1, b1, W2, b2 = (course.net.parameters.view(name) for name in ("0.weight", "0.bias", "1.weight", "1.bias"))
    hidden = np.tanh(X[rows] @ W1 + b1)
    delta = 1.0 / (1.0 + np.exp(-(hidden @ W2 + b2))) - Y[rows]
    gradient = float((hidden[:, 2] * delta[:, 0]).mean())
    assert watched.number("weight-value") == pytest.approx(float(W2[2, 0]), rel=1e-5)
    assert watched.number("weight-gradient") == pytest.approx(gradient, rel=1e-5)
    assert watched.number("weight-difference") == pytest.approx(gradient, rel=1e-5)
    assert "digits agree" in watched.text("weight-digits")


def test_a_weight_is_edited_and_the_edit_undone(open_page: Any) -> None:
    watched = open_page(SMALL)
    loss = watched.text("loss-train")
    watched.page.locator('[data-weight="0.weight[1,3]"]').first.dispatch_event("click")
    sync_api.expect(watched.page.locator("#weight-symbol")).to_contain_text("[1, 3]")
    kept = watched.text("weight-value")
    watched.page.locator("#weight-new").fill("2.5")
    watched.page.locator("#weight-set").click()
    sync_api.expect(watched.page.locator("#weight-value")).to_have_attribute("data-value", "2.5")
    assert watched.session.course.net.parameters.view("0.weight")[1, 3] == 2.5
    sync_api.expect(watched.page.locator("#loss-train")).not_to_have_text(loss)
    watched.page.keyboard.press("z")
    watched.until("weight-value", kept)
    watched.until("loss-train", loss)


def test_a_table_is_uploaded_and_its_columns_stand_on_the_neurons(open_page: Any, tmp_path: Path) -> None:
    watched = open_page(SMALL)
    rng = np.random.default_rng(0)
    ages, towns = rng.integers(20, 60, 80), rng.choice(["Oslo", "Rome"], 80)
    lines = [f"{age},{town},{'yes' if age > 40 else 'no'}" for age, town in zip(ages, towns, strict=True)]
    (tmp_path / "people.csv").write_text("age,town,bought\n" + "\n".join(lines) + "\n")
    watched.page.locator("#upload").set_input_files(tmp_path / "people.csv")
    target = watched.page.locator("#upload-target")
    sync_api.expect(target).to_be_visible()
    sync_api.expect(watched.page.locator("#nodes")).to_contain_text("town_Oslo")  # the last column is the target
    target.select_option("town")
    sync_api.expect(watched.page.locator("#nodes")).to_contain_text("bought_yes")
    sync_api.expect(watched.page.locator("#nodes")).to_contain_text("age")
    assert watched.session.material.classes == ("Oslo", "Rome")
    watched.page.locator("#step-epoch").click()
    sync_api.expect(watched.page.locator("#step")).not_to_have_text("0")


def test_the_script_is_exported_and_runs(open_page: Any, tmp_path: Path) -> None:
    watched = open_page(SMALL)
    watched.page.locator("#goto-epoch").fill("10")
    watched.page.locator("#goto-epoch").press("Enter")
    watched.until("step", "50")
    watched.page.locator("#export").click()
    with watched.page.expect_download() as download:
        watched.page.locator("#export-script").click()
    path = tmp_path / "network.py"
    download.value.save_as(path)
    module = runpy.run_path(str(path))
    course = watched.session.course
    X = course.job.data[0][:7]
    forward = next(value for name, value in module.items() if name in ("predict", "forward") and callable(value))
    assert np.allclose(np.asarray(forward(X)).reshape(7, -1), course.net.forward(X), rtol=1e-9)
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    sync_api.expect(watched.page.locator("#command")).to_contain_text("backlit train")


def test_layers_and_neurons_come_and_go_with_a_click(open_page: Any) -> None:
    watched = open_page(SMALL)
    watched.page.locator("#add-layer").click()
    sync_api.expect(watched.page.locator("#layer-count")).to_have_text("2 hidden layers")
    watched.page.locator("#add-unit-0").click()
    sync_api.expect(watched.page.locator("#units-0")).to_have_value("5")
    sync_api.expect(watched.page.locator('[data-weight="0.weight[0,4]"]')).to_have_count(1)
    assert watched.session.course.net.layers[0].outputs == 5
    for _ in range(2):
        watched.page.locator("#remove-layer").click()
    sync_api.expect(watched.page.locator("#layer-count")).to_have_text("0 hidden layers")
    watched.page.wait_for_function("() => decodeURIComponent(location.hash).includes('\"hidden\":[]')")
    fragment = json.loads(unquote(watched.page.evaluate("location.hash")[1:]))
    assert fragment["network"]["hidden"] == []
    watched.page.reload()
    sync_api.expect(watched.page.locator("#layer-count")).to_have_text("0 hidden layers")


def test_a_backward_step_of_ones_own_gets_its_mistake_named(open_page: Any) -> None:
    watched = open_page(SMALL)
    watched.page.locator("#tab-own").click()
    source = watched.page.locator("#own-source")
    sync_api.expect(source).to_have_value(re.compile("y"))
    shown = watched.page.evaluate(
        """() => { const [layer, source] = ["own-layer", "own-source"].map((id) => document.getElementById(id));
                   layer.value = "0"; layer.dispatchEvent(new Event("change")); return source.value; }"""
    )
    assert shown == ""  # the other layer's code is gone before this layer's comes
    sync_api.expect(source).to_have_value(re.compile("dW"))
    right = source.input_value()
    watched.page.locator("#own-run").click()
    sync_api.expect(watched.page.locator("#own-result")).to_contain_text("right")
    source.fill(right.replace("(1 - a**2)", "1.0"))
    watched.page.locator("#own-run").click()
    sync_api.expect(watched.page.locator("#own-result")).to_contain_text("missing_slope")


def test_a_guess_is_revealed(open_page: Any) -> None:
    watched = open_page(SMALL)
    watched.page.locator("#tab-predict").click()
    watched.page.locator("label", has=watched.page.locator("#guess-positive")).or_(
        watched.page.locator("#guess-positive")
    ).first.click()
    watched.page.locator("#guess-reveal").click()
    sync_api.expect(watched.page.locator("#guess-said")).to_contain_text("∂L/∂w =")


def test_two_settings_are_compared(open_page: Any) -> None:
    watched = open_page(SMALL)
    watched.page.locator("#tab-compare").click()
    watched.page.locator("#compare-what").select_option("Learning rate")
    watched.page.locator("#compare-value").fill("0.03")
    watched.page.locator("#compare-start").click()
    watched.page.locator("#step-epoch").click()
    sync_api.expect(watched.page.locator("#parted")).to_contain_text("step 1")


@pytest.mark.parametrize(
    "name",
    ["digits", "planar", "two-two-one", *(pytest.param(name, marks=pytest.mark.torture) for name in MORE_DATA)],
)
def test_every_kind_of_data_is_drawn_in_every_tab(open_page: Any, name: str) -> None:
    watched = open_page({"data": {"name": name}})
    for tab in ("weight", "sample", "curves", "flow", "histograms", "confusion", "health", "compare", "predict", "own"):
        watched.page.locator(f"#tab-{tab}").click()
        sync_api.expect(watched.page.locator(f"#panel-{tab}")).to_be_visible()
    watched.page.locator("#step-epoch").click()
    sync_api.expect(watched.page.locator("#step")).not_to_have_text("0")


def test_a_phone_has_all_of_it_without_scrolling_sideways(open_page: Any) -> None:
    watched = open_page(SMALL, viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    assert watched.page.evaluate("document.documentElement.scrollWidth") <= 390
    watched.page.locator("#run").click()
    watched.page.wait_for_timeout(300)
    watched.page.locator("#run").click()
    sync_api.expect(watched.page.locator("#step")).not_to_have_text("0")


def test_dark_and_light_are_switched_and_kept(open_page: Any) -> None:
    watched = open_page(SMALL, color_scheme="light")
    colour = "getComputedStyle(document.body).backgroundColor"
    light = watched.page.evaluate(colour)
    watched.page.keyboard.press("t")
    dark = watched.page.evaluate(colour)
    assert dark != light
    watched.page.reload()
    watched.page.wait_for_selector("#loading", state="hidden")
    assert watched.page.evaluate(colour) == dark


def test_every_control_has_a_name(open_page: Any) -> None:
    watched = open_page(SMALL)
    unnamed = watched.page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, textarea")].filter((each) =>
            !(each.labels?.length || each.getAttribute("aria-label") || each.textContent.trim() || each.title))
            .map((each) => each.outerHTML.slice(0, 100))"""
    )
    assert unnamed == []


def test_the_page_says_when_the_server_has_gone_and_comes_back(browser: Any) -> None:
    first = Lab()
    watched = Watched(browser, first, SMALL)
    port = first.port
    watched.page.locator("#step-batch").click()
    watched.until("step", "1")
    first.close()
    sync_api.expect(watched.page.locator("#connection")).to_contain_text("lost")
    second = Lab(port=port)
    try:
        # the new server has a new token: the page says so, and the new address brings the settings back
        watched.page.wait_for_timeout(1500)
        assert "trying" in watched.text("connection") or "lost" in watched.text("connection")
        watched.page.goto(second.address + watched.page.evaluate("location.hash"))
        watched.until("step", "0")
        assert second.server.sessions
        assert next(iter(second.server.sessions.values())).settings.data.name == "xor"
    finally:
        watched.context.close()
        second.close()


def test_a_network_from_python_is_looked_at(browser: Any) -> None:
    net = bl.Network([bl.BatchNorm(), bl.Dense(40, "relu"), bl.Dense(3, "softmax")], inputs=5, loss="cross_entropy")
    rng = np.random.default_rng(0)
    running = bl.lab(net, rng.normal(size=(60, 5)), rng.integers(0, 3, 60), browser=False, block=False)
    watched = Watched(browser, running)
    try:
        sync_api.expect(watched.page.locator("#layer-count")).to_have_text("a network of your own")
        sync_api.expect(watched.page.locator("#heads")).to_contain_text("40 relu")
        watched.page.locator("#step-epoch").click()
        sync_api.expect(watched.page.locator("#step")).not_to_have_text("0")
        assert watched.problems == []
    finally:
        watched.context.close()
        running.close()
