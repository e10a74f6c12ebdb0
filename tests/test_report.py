"""The HTML report: what stands in it, that it is sound and safe, and that a browser opens it without a word."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.checking.gradcheck import DISAGREES
from backlit.exceptions import ConfigurationError, OutputError, ParameterNameError, ShapeError
from backlit.lens import explain
from backlit.lens.diagnosis.diagnose import diagnose
from backlit.lens.report.charts import Line, axis_over, chart
from backlit.lens.report.data import picture
from backlit.lens.report.page import check_ledger, report, report_html
from backlit.training.history import History

VOID = {"meta", "link", "img", "br", "input"}
LIMIT = 2_000_000  # bytes
rng = np.random.default_rng(8)


# ── reading HTML ───────────────────────────────────────────────────────────────────────────────────────────


class Reader(HTMLParser):
    """Keeps every tag with its attributes, the text of each table row, and complains about tags left open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.content: Counter[str] = Counter()
        self.texts: dict[str, str] = {}
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"<{tag}> has an attribute twice"
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self._open):
            self.rows[-1][-1] += data
        if self._open:
            self.texts[self._open[-1]] = self.texts.get(self._open[-1], "") + data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def row(self, first: str) -> list[str]:
        return next(row for row in self.rows if row and row[0] == first)


def read(path: Path) -> Reader:
    return Reader(path.read_text(encoding="utf-8"))


# ── networks ───────────────────────────────────────────────────────────────────────────────────────────────


def two_two_one(path: Path, **options: Any) -> Path:
    net = bl.Network([bl.Dense(2), bl.Dense(1)], inputs=2, loss="mean_squared_error", dtype="float64")
    net.parameters.values[:] = [1, 1, 1, 1, 0, 0, 1, 1, 0]
    history = bl.fit(net.astype("float64"), [[1.0, 1.0]], [1.0], epochs=10, optimizer=bl.SGD(0.1), progress=False)
    return report(net, [[1.0, 1.0]], [1.0], path, optimizer=bl.SGD(0.1), history=history, **options)


def planar(path: Path, **options: Any) -> Path:
    flower = bl.data.load("planar")
    net = bl.Network([bl.Dense(4, "tanh"), bl.Dense(1, "sigmoid")], inputs=2, loss="cross_entropy")
    history = bl.fit(net, flower.X, flower.y, epochs=20, batch_size=50, optimizer=bl.SGD(0.5), progress=False)
    return report(net, flower.X, flower.y, path, optimizer=bl.SGD(0.5), history=history, **options)


def wide(path: Path, **options: Any) -> Path:
    layers = [bl.Dense(128, "relu"), bl.Dropout(0.3), bl.Dense(64, "tanh"), bl.Dense(10, "softmax")]
    net = bl.Network(layers, inputs=784, loss="cross_entropy", input_scale=1 / 255)
    X = rng.integers(0, 256, (1, 784), dtype=np.uint8)
    return report(net, X, [3], path, optimizer=bl.Adam(), step=4, image_shape=(28, 28), **options)


def regression(path: Path, **options: Any) -> Path:
    net = bl.Network([bl.Dense(6, "gelu"), bl.Dense(2)], inputs=3, loss="huber", l1=1e-3, l2=1e-2, seed=5)
    X, y, weight = rng.normal(size=(30, 3)), rng.normal(size=(30, 2)), rng.uniform(0, 2, 30)
    optimizer = bl.SGD(0.05, momentum=0.9)
    history = bl.fit(net, X, y, epochs=12, optimizer=optimizer, validation=(X[:9], y[:9]), progress=False)
    found = dict(history=history, state=history.state, sample_weight=weight, **options)
    return report(net, X, y, path, optimizer=optimizer, **found)


def unpaired(path: Path, **options: Any) -> Path:
    """softmax through its Jacobian, with a diagnosis as a section of its own."""
    net = bl.Network([bl.Dense(5, "sigmoid"), bl.Dense(3, "softmax")], inputs=4, loss="squared_error", dtype="float64")
    X, y = rng.normal(size=(6, 4)), [0, 1, 2, 0, 1, 2]
    more = [diagnose(net, X, y, -net.gradient(X, y))]
    return report(net, X, y, path, more=more, row_labels=list("abcdef"), **options)


REPORTS: list[Callable[..., Path]] = [two_two_one, planar, wide, regression, unpaired]
named = pytest.mark.parametrize("make", REPORTS, ids=lambda make: make.__name__)


# ── the file ───────────────────────────────────────────────────────────────────────────────────────────────


@named
def test_a_report_is_sound_and_asks_for_nothing(make: Callable[..., Path], tmp_path: Path) -> None:
    path = make(tmp_path / "report.html")
    text = path.read_text(encoding="utf-8")
    page = Reader(text)
    assert path.stat().st_size < LIMIT
    assert text.startswith("<!doctype html>")

    addresses = [tag[name] for _, tag in page.tags for name in ("src", "href") if name in tag]
    assert len(addresses) > 5
    assert all(address and address.startswith(("#", "data:")) for address in addresses)
    assert not re.search(r"url\(|@import", text)
    assert "nan" not in {value for _, tag in page.tags for value in tag.values()}
    assert not [name for _, tag in page.tags for name in tag if name.startswith("on") or name == "style"]

    ids = [tag["id"] for _, tag in page.tags if "id" in tag]
    assert len(ids) == len(set(ids))
    targets = {str(address)[1:] for address in addresses if str(address).startswith("#")}
    assert targets <= set(ids)
    assert {tag["id"] for tag in page.all("section")} == targets


@named
def test_a_report_can_be_read_without_seeing_it(make: Callable[..., Path], tmp_path: Path) -> None:
    page = read(make(tmp_path / "report.html"))
    assert page.all("html")[0]["lang"] == "en"
    assert all(tag.get("scope") in ("row", "col") for tag in page.all("th"))
    assert all(tag.get("alt") for tag in page.all("img"))
    hidden = sum(tag.get("aria-hidden") == "true" for tag in page.all("span"))
    labelled = [tag for tag in page.all("svg") if tag.get("role") == "img" and tag.get("aria-label")]
    assert len(labelled) + hidden == len(page.all("svg"))
    assert len(labelled) >= 2
    assert len(page.all("h1")) == 1
    assert all(tag.get("aria-label") for tag in page.all("div") if tag.get("tabindex") == "0")


def test_only_its_own_style_and_script_are_allowed(tmp_path: Path) -> None:
    page = read(two_two_one(tmp_path / "report.html"))
    policy = next(tag["content"] for tag in page.all("meta") if tag.get("http-equiv") == "Content-Security-Policy")
    for part in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(page.texts[part].encode()).digest()).decode()
        assert f"{part}-src 'sha256-{digest}'" in str(policy)
    assert str(policy).startswith("default-src 'none';")


def test_the_same_call_writes_the_same_bytes(tmp_path: Path) -> None:
    assert two_two_one(tmp_path / "a.html").read_bytes() == two_two_one(tmp_path / "b.html").read_bytes()


@pytest.mark.parametrize("make", [two_two_one, planar], ids=["two_two_one", "planar"])
def test_a_small_report_takes_less_than_two_seconds(make: Callable[..., Path], tmp_path: Path) -> None:
    started = time.perf_counter()
    make(tmp_path / "report.html")
    assert time.perf_counter() - started < 2.0


def test_what_comes_from_outside_is_escaped(tmp_path: Path) -> None:
    bad = "<script>alert('1')</script>"
    net = bl.Network([bl.Dense(2, "tanh"), bl.Dense(1)], inputs=2)
    names = {"input_names": [bad, "b"], "output_names": [bad], "row_labels": [bad, "x"], "title": bad}
    text = report(net, np.eye(2), [1.0, 0.0], tmp_path / "r.html", **names).read_text()
    assert text.count("<script>") == 1  # its own
    assert text.count("&lt;script&gt;") > 5


# ── what stands in it ──────────────────────────────────────────────────────────────────────────────────────


def test_gradients_stand_beside_their_finite_differences(tmp_path: Path) -> None:
    page = read(two_two_one(tmp_path / "report.html"))
    # ∂L/∂W = 2 (4 − 1) · 1 · 1 = 6 and ∂L/∂V = 2 (4 − 1) · 2 = 12; the step is −0.1 times that
    _, before, gradient, difference, digits, update, after = page.row("0.weight[1, 0]")
    assert [float(v) for v in (before, gradient, difference, update, after)] == pytest.approx([1, 6, 6, -0.6, 0.4])
    assert int(digits) >= 9
    assert float(page.row("1.weight[0, 0]")[2]) == pytest.approx(12)
    assert page.row("0.weight")[:2] == ["0.weight", "2 × 2"]
    assert "Learning curves" in page.texts["h2"]
    assert page.texts["h1"] == "One step of SGD(0.1) on 1 row"


def test_every_parameter_of_a_tiny_network_is_unfolded(tmp_path: Path) -> None:
    text = two_two_one(tmp_path / "report.html").read_text()
    places = re.findall(r"<summary><b>(\d\.\w+\[[\d, ]+\])</b>", text)
    assert len(places) == len(set(places)) == 9


def test_the_fingerprint_can_be_made_again(tmp_path: Path) -> None:
    net = bl.Network([bl.Dense(1)], inputs=3)
    X = rng.normal(size=(5, 3))
    page = read(report(net, X, np.arange(5.0), tmp_path / "r.html"))
    assert page.row("X") == [
        "X", "5 × 3", "float64", f"{X.min():.6g} to {X.max():.6g}", hashlib.sha256(X.tobytes()).hexdigest(),
    ]  # fmt: skip
    assert page.row("seed")[1] == "0"
    assert page.row("NumPy")[1] == np.__version__
    assert page.row("Backlit")[1] == bl.__version__


def test_a_wide_network_is_abbreviated(tmp_path: Path) -> None:
    path = wide(tmp_path / "report.html")
    page = read(path)
    text = path.read_text()
    assert len(page.all("circle")) < 60
    assert {"776 more", "120 more", "56 more"} <= set(re.findall(r">([\d,]+ more)</text>", text))
    assert len(page.rows) < 700
    assert "dropout 0.3" in text
    assert "mask of training step 4" in text
    assert re.search(r"1,\d{3} of 109,386 parameters one by one", text)
    image = next(tag for tag in page.all("img"))
    assert str(image["src"]).startswith("data:image/png;base64,")


def test_asked_weights_come_first_and_open(tmp_path: Path) -> None:
    text = wide(tmp_path / "report.html", weights=[("0.weight", 300, 4), ("2.bias", 7)]).read_text()
    section = text[text.index('<section id="weights"') :]
    assert re.findall(r"<details open><summary><b>([^<]+)</b>", section)[:2] == ["0.weight[300, 4]", "2.bias[7]"]


def test_rows_of_a_batch_can_be_sorted(tmp_path: Path) -> None:
    page = read(unpaired(tmp_path / "report.html"))
    assert {row[0] for row in page.rows if row} >= set("abcdef")
    kinds = [str(tag.get("class")) for tag in page.all("table")]
    assert sum("sortable" in kind for kind in kinds) >= 3


def test_further_results_have_their_sections(tmp_path: Path) -> None:
    page = read(unpaired(tmp_path / "report.html"))
    assert [tag["id"] for tag in page.all("section")][-1] == "more-0"
    assert "sign_flipped" in (tmp_path / "report.html").read_text()


def test_penalty_and_momentum_have_their_columns(tmp_path: Path) -> None:
    page = read(regression(tmp_path / "report.html"))
    heads = [row for row in page.rows if row and row[0] == "parameter"]
    assert any({"of the penalty", "by momentum"} <= set(row) for row in heads)
    assert page.row("penalties")[1] == "l1 0.001, l2 0.01"
    assert page.row("sample weights")[1] == "30"


def test_a_gradient_that_disagrees_is_said_to(tmp_path: Path) -> None:
    net = bl.Network([bl.Dense(2, "tanh"), bl.Dense(1)], inputs=2)
    ledger = explain(net, [[1.0, 2.0]], [1.0])
    checked = check_ledger(ledger)
    assert checked.ok
    wrong = [replace(row, verdict=DISAGREES, digits=1.0, relative_error=0.5) for row in checked.rows[:1]]
    page = Reader(report_html(ledger, checked=replace(checked, rows=wrong + checked.rows[1:])))
    assert "Gradient check: not ok" in page.texts["h2"]
    assert any(tag.get("class") == "heat" for tag in page.all("table"))
    assert any(tag.get("class") == "bad r" for tag in page.all("td"))


def test_a_network_that_has_diverged_still_has_its_report(tmp_path: Path) -> None:
    net = bl.Network([bl.Dense(3, "relu"), bl.Dense(1)], inputs=2)
    net.parameters.values[0] = np.inf
    page = read(report(net, [[1.0, 2.0]], [1.0], tmp_path / "r.html"))
    assert "Gradient check: not ok" in page.texts["h2"]
    assert "0.weight[0, 0] is inf" in (tmp_path / "r.html").read_text()


# ── errors ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"weights": [("0.wieght", 0, 0)]}, ParameterNameError, "no parameter '0.wieght': did you mean '0.weight'"),
        ({"weights": [("0.weight", 9, 0)]}, ConfigurationError, r"0\.weight\[9, 0\] does not exist"),
        ({"input_names": ["a"]}, ShapeError, "input_names must have 2 entries, received 1"),
        ({"output_names": ["a", "b"]}, ShapeError, "output_names must have 1 entry, received 2"),
        ({"image_shape": (2, 2)}, ShapeError, r"image_shape \(2, 2\) is for 4 numbers, but a row of X has 2"),
        ({"row_labels": ["a", "b"]}, ShapeError, "row_labels must have 1 entries"),
    ],
)
def test_what_does_not_fit_is_refused(
    options: dict[str, Any], error: type[Exception], message: str, tmp_path: Path
) -> None:
    net = bl.Network([bl.Dense(1)], inputs=2)
    with pytest.raises(error, match=message):
        report(net, [[1.0, 2.0]], [1.0], tmp_path / "r.html", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    net = bl.Network([bl.Dense(1)], inputs=2)
    with pytest.raises(OutputError, match="cannot be written"):
        report(net, [[1.0, 2.0]], [1.0], tmp_path / "nowhere" / "r.html")


# ── charts and pictures ────────────────────────────────────────────────────────────────────────────────────


def test_a_line_is_broken_where_there_is_no_value() -> None:
    x = [1.0, 2.0, 3.0, 4.0, 5.0]
    line = Line("loss", x, [1.0, 2.0, float("nan"), 2.0, 1.0], "a")
    drawn = Reader(chart([line], axis_over("epoch", x, whole=True), axis_over("loss", line.y), "a chart"))
    assert len(drawn.all("polyline")) == 2
    assert len(drawn.all("circle")) == 4


def test_a_point_stands_where_its_value_is() -> None:
    x, y = axis_over("epoch", [0.0, 10.0], whole=True), axis_over("loss", [0.0, 1.0])
    circles = Reader(chart([Line("a", [0.0, 5.0, 10.0], [0.0, 0.5, 1.0], "a")], x, y, "a chart")).all("circle")
    places = [(float(str(c["cx"])), float(str(c["cy"]))) for c in circles]
    assert places[1] == pytest.approx(((places[0][0] + places[2][0]) / 2, (places[0][1] + places[2][1]) / 2))
    assert places[0][0] < places[2][0]
    assert places[0][1] > places[2][1]  # upwards is less in a picture


def test_histories_of_any_kind_are_drawn(tmp_path: Path) -> None:
    net = bl.Network([bl.Dense(1)], inputs=1)
    empty, single, flat, gone = History(), History(), History(), History()
    single.append(loss=0.5)
    for _ in range(3):
        flat.append(loss=0.0, val_loss=0.0, val_accuracy=1.0, batch_loss_min=0.0, batch_loss_max=0.0)
        gone.append(loss=float("nan"))
    for history, curves in ((None, 0), (empty, 0), (single, 1), (flat, 2), (gone, 1)):
        page = read(report(net, [[1.0]], [1.0], tmp_path / "r.html", history=history))
        labels = [str(tag.get("aria-label")) for tag in page.all("svg")]
        assert sum("over epochs" in label for label in labels) == curves


def test_a_picture_is_a_png_of_the_row() -> None:
    matplotlib = pytest.importorskip("matplotlib.image", reason="matplotlib reads the PNG back, and is not installed")
    import io

    grey = np.array([[0.0, 51.0, 102.0], [153.0, 204.0, 255.0]])
    data = base64.b64decode(picture(grey.ravel(), (2, 3)).split(",")[1])
    np.testing.assert_allclose(matplotlib.imread(io.BytesIO(data)), grey / 255.0, atol=1e-6)


# ── in a browser ───────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Visit:
    """What a page left behind in a browser: its elements, what it said on the console, what it asked for."""

    dom: str
    console: list[str]
    requests: list[str]


@pytest.fixture
def visit(tmp_path: Path) -> Callable[[Path], Visit]:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on the PATH: `apt-get install chromium` for the tests in a browser")

    def opened(page: Path) -> Visit:
        log = tmp_path / "net.json"
        command = [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", "--disable-default-apps", "--disable-extensions",
            "--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={tmp_path / 'user'}",
            "--enable-logging=stderr", "--v=0", f"--log-net-log={log}", "--dump-dom", page.as_uri(),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        events = [event.get("params") for event in json.loads(log.read_text())["events"]]
        # what the browser wants for itself has no origin
        requests = {
            event["url"]
            for event in events
            if isinstance(event, dict) and "url" in event and event.get("initiator", "not an origin") != "not an origin"
        }
        console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
        return Visit(done.stdout, console, sorted(requests))

    return opened


def test_the_visit_notices_what_a_page_does(visit: Callable[[Path], Visit], tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    page.write_text('<!doctype html><img src="http://127.0.0.1:9/x.png"><script>console.error("no"); gone();</script>')
    seen = visit(page)
    assert len(seen.console) == 2
    assert seen.requests == ["http://127.0.0.1:9/x.png"]


@named
def test_a_browser_opens_a_report_without_a_word(
    make: Callable[..., Path], visit: Callable[[Path], Visit], tmp_path: Path
) -> None:
    seen = visit(make(tmp_path / "report.html"))
    assert seen.console == []
    assert seen.requests == []
    page = Reader(seen.dom)
    # the script was allowed, and did its work
    assert "Open all details" in page.texts["button"]
    assert len(page.all("button")) > 3


def test_the_script_sorts_and_filters(visit: Callable[[Path], Visit], tmp_path: Path) -> None:
    script = (Path(bl.__file__).parent / "lens" / "report" / "report.js").read_text()
    cells = [("b", "10"), ("a", "-2"), ("c", "1,000"), ("ab", "3e-05"), ("d", "·")]
    rows = "".join(f"<tr><th>{name}</th><td>{value}</td></tr>" for name, value in cells)
    clicks = """
        const order = () => [...document.querySelectorAll("tbody tr:not([hidden])")]
            .map((row) => row.cells[0].textContent).join(" ");
        const [name, value] = document.querySelectorAll("th button");
        const field = document.querySelector("input");
        const told = [value, value, name].map((button) => { button.click(); return order(); });
        field.value = "a";
        field.dispatchEvent(new Event("input"));
        document.body.append(Object.assign(document.createElement("p"), {textContent: [...told, order()].join("|")}));
    """
    page = tmp_path / "table.html"
    page.write_text(
        '<!doctype html><div class="scroll"><table class="sortable filtered">'
        f"<thead><tr><th>name</th><th>value</th></tr></thead><tbody>{rows}</tbody></table></div>"
        f"<script>{script}</script><script>{clicks}</script>"
    )
    seen = visit(page)
    assert seen.console == []
    assert Reader(seen.dom).texts["p"] == "c b ab a d|a ab b c d|d c b ab a|ab a"
