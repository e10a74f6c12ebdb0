"""`backlit explain`: the page, the weight asked for, the report, JSON, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backlit import Dense, Network, load, save
from backlit.cli import run

TRAINED = ["--epochs", "5", "--hidden", "6", "--dropout", "0", "--preset", "fast"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table and pictures, and a model of each: two classes, three classes, a number, images."""
    folder = tmp_path_factory.mktemp("models")
    rng = np.random.default_rng(2)
    with pytest.MonkeyPatch.context() as here:
        here.chdir(folder)
        lines = ["size,price,colour,sold,kind,years"]
        for size, price in rng.uniform(1, 9, (60, 2)).round(2):
            sold, kind = "yes" if size > price else "no", "abc"[int(size) % 3]
            lines.append(f"{size},{price},{['red', 'blue', ''][int(price) % 3]},{sold},{kind},{2 * size + 1:.2f}")
        Path("shop.csv").write_text("\n".join([*lines, "3.5,2.5,red,,,"]))
        for target in ("sold", "kind", "years"):
            assert run(["train", "shop.csv", "--target", target, "--out", f"{target}.backlit", *TRAINED]) == 0
        X = rng.integers(0, 256, (20, 16), dtype=np.uint8)
        np.savez("digits.npz", X=X, y=np.arange(20) % 4)
        net = Network([Dense(40, "relu"), Dense(4, "softmax")], inputs=16, loss="cross_entropy", input_scale=1 / 255)
        save(net, "digits.backlit")
    return folder


@pytest.fixture(autouse=True)
def here(models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    monkeypatch.chdir(models)
    capsys.readouterr()  # what training said
    return models


def page(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    code = run(["explain", *arguments])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return captured.out


def result(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    out = page(capsys, *arguments, "--json")
    assert out.count("\n") == 1
    return dict(json.loads(out))


# ── the page ───────────────────────────────────────────────────────────────────────────────────────────────


def test_the_page_tells_the_step_of_one_row(capsys: pytest.CaptureFixture[str]) -> None:
    out = page(capsys, "sold.backlit", "shop.csv", "--row", "7")
    lines = out.splitlines()
    assert lines[0] == "Row 7 of shop.csv through sold.backlit"
    assert max(map(len, lines)) <= 100
    assert not [line for line in lines if line != line.rstrip()]
    for text in ("network ", "outcome ", "SHA-256", "One step of SGD(0.1) on 1 row", "layer 1, Dense(2, 'softmax')"):
        assert text in out
    assert "finite difference" in out
    assert "Gradient check: ok" in out
    label = Path("shop.csv").read_text().splitlines()[8].split(",")[3]
    assert f"the target is '{label}'" in out


def test_a_wide_network_gets_a_short_page(capsys: pytest.CaptureFixture[str]) -> None:
    out = page(capsys, "digits.backlit", "digits.npz", "--row", "3")
    assert "the 10 units with the largest |delta| of 40" in out
    assert out.count("\n") < 120
    assert "the target is '3'" in out


def test_a_number_is_told_in_its_own_units_too(capsys: pytest.CaptureFixture[str]) -> None:
    years = float(Path("shop.csv").read_text().splitlines()[3].split(",")[-1])
    out = page(capsys, "years.backlit", "shop.csv", "--row", "2")
    assert f"target {years:.5g}; standardised" in out


def test_one_weight_is_unfolded(capsys: pytest.CaptureFixture[str]) -> None:
    out = page(capsys, "kind.backlit", "shop.csv", "--row", "2", "--weight", "0.weight[0,4]", "--weight", "1.bias[2]")
    assert "0.weight[0, 4]: where its gradient comes from" in out
    assert "1.bias[2]: where its gradient comes from" in out
    assert "a_0 · delta_4" in out
    assert "digits agree" in out
    assert "Layer 1, Dense(3, 'softmax')" in out


def test_the_first_row_unless_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert page(capsys, "sold.backlit", "shop.csv") == page(capsys, "sold.backlit", "shop.csv", "--row", "0")


def test_the_model_stays_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    before = Path("sold.backlit").read_bytes()
    page(capsys, "sold.backlit", "shop.csv")
    assert Path("sold.backlit").read_bytes() == before


# ── JSON ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_json_has_the_numbers_of_the_network(capsys: pytest.CaptureFixture[str]) -> None:
    found = result(capsys, "digits.backlit", "digits.npz", "--row", "5", "--weight", "1.weight[3, 1]")
    net = load("digits.backlit")
    with np.load("digits.npz") as data:
        X, y = data["X"][5:6], data["y"][5:6]
    net.gradient(X, y)
    assert found["loss_before"] == pytest.approx(net.loss(X, y), rel=1e-6)
    gradient = net.parameters.gradient_view("1.weight")[3, 1]
    assert found["weights"][0]["gradient"] == pytest.approx(float(gradient), rel=1e-6)
    assert found["weights"][0]["update"] == pytest.approx(-0.1 * float(gradient), rel=1e-4, abs=1e-9)
    assert found["check"]["ok"] is True
    assert found["fingerprints"][0]["shape"] == [1, 16]
    assert found["row_labels"] == ["5"]


def test_the_learning_rate_can_be_told(capsys: pytest.CaptureFixture[str]) -> None:
    found = result(capsys, "sold.backlit", "shop.csv", "--learning-rate", "0.02")
    assert found["optimizer"] == "SGD(0.02)"
    assert found["learning_rate"] == 0.02


# ── the report ─────────────────────────────────────────────────────────────────────────────────────────────


def test_the_report_is_written(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "row.html"
    out = page(capsys, "kind.backlit", "shop.csv", "--row", "4", "--weight", "0.weight[1, 2]", "--html", str(path))
    assert out.splitlines()[-1].startswith(f"report written to {path} (")
    text = path.read_text()
    assert "One step on row 4 of shop.csv" in text
    assert "<details open><summary><b>0.weight[1, 2]</b>" in text
    assert "Learning curves" in text
    assert ">price</text>" in text  # a column's name beside its input
    assert "Error of central differences against ε" in text
    assert path.stat().st_size < 2_000_000


def test_a_picture_stands_in_the_report(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    found = result(capsys, "digits.backlit", "digits.npz", "--html", str(tmp_path / "row.html"))
    assert found["html"] == str(tmp_path / "row.html")
    assert "row 0 as a picture of 4 × 4" in (tmp_path / "row.html").read_text()


# ── errors ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--row", "60"], "--row 60 is not in 'shop.csv': its 60 rows are 0 to 59"),
        (["--row", "-1"], "--row is counted from 0, received -1"),
        (["--weight", "0.wieght[0,0]"], "there is no parameter '0.wieght': did you mean '0.weight' or"),
        (["--weight", "0.weight"], "--weight needs a name and an index, such as 0.weight[0,0], received '0.weight'"),
        (["--weight", "0.bias[a]"], "--weight needs a name and an index, such as 0.bias[0], received '0.bias[a]'"),
        (["--weight", "0.weight[0,99]"], "0.weight[0, 99] does not exist: 0.weight has"),
        (["--weight", "0.weight[0]"], "0.weight[0] does not exist: 0.weight has"),
        (["--learning-rate", "0"], "--learning-rate must be"),
        (["--html", "nowhere/r.html"], "'nowhere/r.html' cannot be written: there is no folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_refused(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "sold.backlit", "shop.csv", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err.splitlines()[-1]
    assert captured.err.splitlines()[-1].startswith("backlit: ")
