"""The lab's session: what is stepped, gone back to, changed and shown is what the library does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.exceptions import BacklitError, ConfigurationError
from backlit.lab import changing, looking, moving
from backlit.lab.asking import Asked
from backlit.lab.course import Course
from backlit.lab.frames import pack, unpack
from backlit.lab.material import from_arrays
from backlit.lab.session import Given, Session

SPIRAL = {"data": {"name": "spiral", "rows": 60, "held_out": 0.5}, "training": {"batch_size": 7, "optimizer": "Adam"}}

CODED = np.column_stack([np.linspace(-1.0, 1.0, 24), np.arange(24) % 4])


def ask(session: Session, command: Any, /, **fields: Any) -> dict[str, Any]:
    """What a command answers."""
    result: dict[str, Any] = command(session, Asked({"do": command.__name__, **fields}))
    return result


def seen(session: Session, *views: str, known: int = 0) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and arrays of a frame."""
    return unpack(session.frame(views, known))


def course(net: bl.Network, optimizer: Any, rows: int = 30) -> Course:
    rng = np.random.default_rng(0)
    X, Y, _ = net.check_data(rng.normal(size=(rows, net.inputs)), rng.normal(size=(rows, net.outputs)))
    return Course(net, (X, Y, None), (X[:9], Y[:9], None), optimizer, batch_size=8)


@pytest.mark.parametrize(
    "optimizer", [bl.SGD(0.05, momentum=0.9), bl.Adam(0.01), bl.RMSprop(bl.CosineDecay(0.01, epochs=5))], ids=repr
)
def test_a_course_takes_the_steps_of_fit(optimizer: Any) -> None:
    layers = [bl.Dense(5, "tanh"), bl.Dropout(0.3), bl.Dense(2)]
    net, twin = bl.Network(layers, inputs=3, l2=0.01), bl.Network(layers, inputs=3, l2=0.01)
    stepped = course(net, optimizer)
    X, Y, _ = stepped.job.data
    history = bl.fit(
        twin, X, Y, epochs=3, batch_size=8, optimizer=optimizer, validation=(X[:9], Y[:9]), engine="reference"
    )
    for steps in (1, 2, 5, 4):
        stepped.advance(steps)
    assert np.array_equal(net.parameters.values, twin.parameters.values)
    for name in ("loss", "batch_loss_min", "batch_loss_max", "learning_rate", "val_loss", "val_r2"):
        assert stepped.history[name] == history[name], name


def test_going_back_and_on_again_gives_the_same_bits() -> None:
    net = bl.Network([bl.Dense(4, "tanh"), bl.Dropout(0.2), bl.Dense(1)], inputs=2)
    run = course(net, bl.Adam(0.02))
    kept = []
    for _ in range(13):
        kept.append(net.parameters.values.copy())
        run.advance(1)
    for step in (12, 0, 7, 3, 11):
        run.go_to(step)
        assert np.array_equal(net.parameters.values, kept[step]), step
        assert run.step == step
    assert run.history.epochs == 3
    assert len(run.losses) == 13


def test_the_dropout_that_is_shown_is_that_of_the_step_that_comes_next() -> None:
    net = bl.Network([bl.Dense(6, "tanh"), bl.Dropout(bl.StepDecay(0.8, factor=0.5, every=1)), bl.Dense(1)], inputs=2)
    run = course(net, bl.SGD(0.02), rows=16)  # two steps an epoch
    rates = {}

    def loss_shown(rate: float) -> float:
        """The factor of what dropout keeps is 1 / (1 − rate)."""
        trace = run.scene().trace
        mask = trace.layers[1].mask
        assert mask is not None
        assert set(np.unique(mask.round(5))) == {0.0, np.float32(1 / (1 - rate)).round(5)}
        return trace.loss

    for step in range(6):
        shown = loss_shown(0.8 * 0.5 ** (step // 2))
        run.advance(1)
        rates[step] = net.layers[1].rate
        assert run.losses[step] == pytest.approx(shown, rel=1e-6)
    for step in (4, 2, 0):
        run.go_to(step)
        assert loss_shown(0.8 * 0.5 ** (step // 2)) == pytest.approx(run.losses[step], rel=1e-6)
        assert net.layers[1].rate == rates[max(0, step - 1)]


def test_a_recording_that_thins_out_still_goes_back_to_every_step() -> None:
    net = bl.Network([bl.Dense(4, "tanh"), bl.Dense(1)], inputs=2)
    rng = np.random.default_rng(0)
    X, Y, _ = net.check_data(rng.normal(size=(30, 2)), rng.normal(size=(30, 1)))
    run = Course(net, (X, Y, None), None, bl.Adam(0.02), batch_size=8, memory=15_000)
    kept = []
    for _ in range(60):
        kept.append(net.parameters.values.copy())
        run.advance(1)
    assert run.recording.interval > 1
    for step in (59, 58, 31, 2):
        run.go_to(step)
        assert np.array_equal(net.parameters.values, kept[step]), step
    changed = net.parameters.values.copy()
    changed[0] += 1.0
    run.set_values(changed)
    run.advance(90)  # thins out again: the change stays
    run.go_to(3)
    after = net.parameters.values.copy()
    run.go_to(2)
    assert np.array_equal(net.parameters.values, changed)
    run.advance(1)
    assert np.array_equal(net.parameters.values, after)


def test_a_value_changed_by_hand_is_trained_on_and_can_be_undone() -> None:
    session = Session(SPIRAL)
    ask(session, moving.step, unit="epoch")
    before, values = session.course.step, session.course.net.parameters.values.copy()
    ask(session, changing.edit, what="parameter", name="0.weight", index=[1, 2], value=4.5)
    assert session.course.net.parameters.view("0.weight")[1, 2] == 4.5
    ask(session, moving.step, unit="batch")
    trained = session.course.net.parameters.values.copy()
    ask(session, moving.back, unit="batch")
    assert session.course.net.parameters.view("0.weight")[1, 2] == 4.5
    ask(session, changing.undo)
    assert session.course.step == before
    assert np.array_equal(session.course.net.parameters.values, values)
    ask(session, changing.redo)
    ask(session, moving.step, unit="batch")
    assert np.array_equal(session.course.net.parameters.values, trained)
    with pytest.raises(ConfigurationError, match="nothing to do again"):
        ask(session, changing.redo)


def test_a_frame_holds_what_the_network_says_of_the_sample() -> None:
    session = Session(SPIRAL)
    ask(session, moving.goto, step=4)
    ask(session, moving.step, unit="sample")
    header, arrays = seen(session)
    net, rows = session.course.net, session.course.rows()
    X, Y, _ = session.course.job.data
    assert header["sample"] == rows[1]
    assert header["row"] == 1
    assert arrays["a.1"] == pytest.approx(net.forward(X[rows])[1], rel=1e-6)
    assert arrays["gradient"] == pytest.approx(net.gradient(X[rows], Y[rows]), rel=1e-5, abs=1e-7)
    assert header["loss"] == pytest.approx(net.loss(X[rows], Y[rows]))
    assert header["train_loss"] == pytest.approx(net.loss(X, Y))
    assert arrays["values"] == pytest.approx(net.parameters.values, rel=1e-6)


def test_samples_are_stepped_through_the_batch_and_back() -> None:
    session = Session(SPIRAL)
    size = session.course.job.batch_size
    rows = [seen(session)[0]["sample"]]
    for _ in range(size):
        rows.append(ask(session, moving.step, unit="sample")["sample"])
    assert session.course.step == 1
    assert rows[:size] == session.course.recording.rows_of(0).tolist()
    for expected in reversed(rows[:-1]):
        assert ask(session, moving.back, unit="sample")["sample"] == expected
    assert session.course.step == 0


def test_another_sample_is_looked_at_alone_without_training() -> None:
    session = Session(SPIRAL)
    ask(session, moving.sample, row=3)
    header, arrays = seen(session)
    X, Y, _ = session.course.job.data
    assert (header["sample"], header["row"], header["step"]) == (3, -1, 0)
    assert arrays["gradient"] == pytest.approx(session.course.net.gradient(X[3:4], Y[3:4]), rel=1e-5, abs=1e-7)
    assert ask(session, moving.sample, row="previous")["sample"] == 2


def test_what_if_changes_the_pass_and_not_the_data() -> None:
    session = Session(SPIRAL)
    _, plain = seen(session)
    ask(session, changing.edit, what="input", column=0, value=3.0)
    header, changed = seen(session)
    assert header["what_if"]
    X, Y, _ = session.course.job.data
    rows = session.course.rows()
    X_changed = X[rows].copy()
    X_changed[0, 0] = 3.0
    expected = session.course.net.gradient(X_changed, Y[rows])
    assert changed["gradient"] == pytest.approx(expected, rel=1e-5, abs=1e-7)
    assert X[rows][0, 0] != 3.0
    ask(session, changing.edit, what="target", column=0, value=1.0 - Y[rows][0, 0])
    ask(session, changing.undo)
    ask(session, changing.undo)
    assert np.array_equal(seen(session)[1]["gradient"], plain["gradient"])
    ask(session, changing.redo)
    ask(session, moving.step, unit="batch")
    assert not seen(session)[0]["what_if"]
    with pytest.raises(ConfigurationError, match="nothing to undo"):
        ask(session, changing.undo)


def test_what_if_targets_that_add_up_to_one_share_what_is_left() -> None:
    session = Session({"data": {"name": "iris"}})
    Y = session.course.job.Y[session.course.rows()][0]
    mine = int(Y.argmax())
    other = (mine + 1) % 3
    ask(session, changing.edit, what="target", column=mine, value=0.5)
    wanted = np.full(3, 0.25)
    wanted[mine] = 0.5
    assert seen(session)[0]["target"] == pytest.approx(wanted.tolist())
    ask(session, changing.edit, what="target", column=other, value=1.0)
    assert seen(session)[0]["target"] == pytest.approx(np.eye(3)[other].tolist())
    ask(session, changing.undo)
    ask(session, changing.undo)
    assert seen(session)[0]["target"] == pytest.approx(Y.tolist())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"what": "input", "column": 1, "value": 2.5}, "2.5 .* a whole number from 0 to 3"),
        ({"what": "input", "column": 1, "value": 4.0}, "a whole number from 0 to 3"),
        ({"what": "input", "column": 0, "value": 1e39}, "float32"),
        ({"what": "target", "column": 0, "value": 1e39}, "float32"),
    ],
)
def test_what_no_pass_can_be_made_of_is_refused_and_changes_nothing(fields: dict[str, Any], message: str) -> None:
    net = bl.Network([bl.Embedding(4, size=2), bl.Dense(1)], inputs=2)
    session = Session(given=Given(from_arrays(net, CODED, CODED[:, 0]), net))
    before = seen(session)
    with pytest.raises(BacklitError, match=message):
        ask(session, changing.edit, **fields)
    header, arrays = seen(session)
    assert (header["undo"], header["what_if"]) == (0, False)
    assert np.array_equal(arrays["gradient"], before[1]["gradient"])
    ask(session, changing.edit, what="input", column=1, value=3.0)
    assert seen(session)[0]["what_if"]


@pytest.mark.parametrize("scope", ["batch", "sample"])
def test_an_unfolded_weight_agrees_with_numpy(scope: str) -> None:
    session = Session(SPIRAL)
    ask(session, moving.goto, step=5)
    found = ask(session, looking.unfold, name="1.weight", index=[2, 0], scope=scope)
    X, Y, _ = session.course.job.data
    rows = session.course.rows()
    rows = rows if scope == "batch" else rows[:1]
    W1, b1 = (session.course.net.parameters.view(f"0.{name}") for name in ("weight", "bias"))
    W2, b2 = (session.course.net.parameters.view(f"1.{name}") for name in ("weight", "bias"))
    hidden = np.tanh(X[rows] @ W1 + b1)
    delta = 1.0 / (1.0 + np.exp(-(hidden @ W2 + b2))) - Y[rows]
    assert found["gradient"] == pytest.approx(float((hidden[:, 2] * delta[:, 0]).mean()), rel=1e-12)
    assert found["finite_difference"] == pytest.approx(found["gradient"], rel=1e-6)
    assert found["digits"] > 6
    assert sum(row["share"] for row in found["rows"]) == pytest.approx(found["gradient"])
    curve = found["curve"]
    middle = len(curve["values"]) // 2
    assert curve["values"][middle] == pytest.approx(curve["at"])
    assert curve["losses"][middle] == pytest.approx(curve["loss"])
    assert curve["landing_loss"] != curve["loss"]
    assert found["history"]["steps"] == list(range(6))
    assert found["history"]["values"][-1] == found["value"]


@pytest.mark.parametrize("name", ["0.weight", "9.weight"])
def test_a_weight_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(BacklitError, match=r"9|50"):
        ask(Session(), looking.unfold, name=name, index=[50, 0])


def test_a_guess_is_judged() -> None:
    session = Session(SPIRAL)
    gradient = ask(session, looking.unfold, name="0.weight", index=[0, 0])["gradient"]
    sign = 1 if gradient > 0 else -1
    right = ask(session, looking.guess, name="0.weight", index=[0, 0], sign=sign, size=abs(gradient) * 1.1)
    assert right["right_sign"]
    assert "the size is right, too" in right["said"]
    wrong = ask(session, looking.guess, name="0.weight", index=[0, 0], sign=-sign, size=None)
    assert not wrong["right_sign"]
    assert wrong["factor"] is None


def test_the_stages_of_a_pass_are_forward_loss_backward_update() -> None:
    session = Session(SPIRAL)
    count = ask(session, looking.stage, at=0)["count"]
    found = [ask(session, looking.stage, at=at) for at in range(count)]
    directions = [stage["direction"] for stage in found]
    assert directions[:3] == ["forward", "forward", "loss"]
    assert directions[-1] == "update"
    assert [stage["layer"] for stage in found] == [0, 1, 1, 1, 1, 0, 0, None]
    assert all(stage["page"]["blocks"] for stage in found)


def test_two_settings_part_where_their_parameters_first_differ() -> None:
    session = Session(SPIRAL)
    ask(session, moving.goto, step=9)
    schedule = {**SPIRAL, "training": {**SPIRAL["training"], "schedule": "StepDecay"}}
    differences = ask(session, changing.compare, settings=schedule)["differences"]
    assert differences == [["training.schedule", "constant", "StepDecay"]]
    assert seen(session)[0]["other"]["parted"] is None  # the rate falls after ten epochs
    end = 10 * session.course.job.steps
    ask(session, moving.goto, step=end + 3)
    other = seen(session)[0]["other"]
    assert (other["step"], other["parted"], other["parted_loss"]) == (end + 3, end + 1, end + 1)
    ask(session, changing.compare, settings=None)
    assert seen(session)[0]["other"] is None


def test_a_lost_run_says_so_and_can_be_taken_back() -> None:
    session = Session({"data": {"name": "plane"}, "training": {"learning_rate": 50.0}})
    ask(session, moving.goto, step=400)
    header, _ = seen(session)
    assert "go back" in header["stopped"]
    assert "learning rate below 50" in header["stopped"]
    with pytest.raises(ConfigurationError, match="cannot be taken"):
        ask(session, moving.step, unit="batch")
    ask(session, moving.goto, step=1)
    assert seen(session)[0]["stopped"] is None


def test_health_names_the_units() -> None:
    session = Session({"network": {"init": "zeros"}})
    findings = {f["name"]: f for f in ask(session, looking.health)["findings"]}
    assert findings["identical_units"]["units"] == [0, 1, 2, 3]
    assert findings["identical_units"]["layer"] == 0


def test_settings_that_cannot_be_leave_everything_as_it_was() -> None:
    session = Session(SPIRAL)
    ask(session, moving.goto, step=3)
    with pytest.raises(ConfigurationError):
        ask(session, changing.configure, settings={"network": {"output": "tanh", "loss": "cross_entropy"}})
    assert session.course.step == 3
    assert session.settings.data.name == "spiral"


def test_running_trains_by_the_clock_and_stops_at_a_lost_loss() -> None:
    session = Session(SPIRAL)
    ask(session, moving.speed, steps_per_second=100)
    ask(session, moving.run)
    for _ in range(10):
        session.tick(0.05)
    assert session.course.step == 50
    ask(session, moving.pause)
    session.tick(1.0)
    assert session.course.step == 50


def test_a_network_from_outside_is_shown_and_trained_as_a_copy() -> None:
    net = bl.Network([bl.LayerNorm(), bl.Dense(20, "relu"), bl.Dense(3, "softmax")], inputs=4, loss="cross_entropy")
    X = np.random.default_rng(0).normal(size=(40, 4))
    y = np.array(["a", "b", "c", "a"] * 10)
    kept = net.parameters.values.copy()
    session = Session(None, Given(from_arrays(net, X, y), net, bl.Adam(0.01), 5))
    assert session.settings.network.given
    assert session.settings.training.optimizer == "Adam"
    assert repr(session.course.optimizer) == repr(bl.Adam(0.01))
    ask(session, moving.step, unit="epoch")
    header, arrays = seen(session, "confusion", "histograms", "maps", "points")
    assert np.array_equal(net.parameters.values, kept)
    assert session.layout()["layers"][1]["wide"]
    assert arrays["confusion.train"].sum() == session.layout()["train"]
    assert header["label"] in "abc"
    changed = session.settings.to_json()
    changed["training"]["optimizer"] = "RMSprop"
    ask(session, changing.configure, settings=changed)
    assert repr(session.course.optimizer) == repr(bl.RMSprop(0.01))


def test_a_frame_is_read_as_it_was_packed_and_what_is_not_finite_is_none() -> None:
    header, arrays = unpack(pack({"loss": float("inf"), "é": 1}, {"x": np.array([[1.0, 1e300]]), "y": np.empty(0)}))
    assert header["loss"] is None
    assert header["é"] == 1
    assert arrays["x"].tolist() == [[1.0, np.inf]]
    assert arrays["y"].shape == (0,)


@pytest.mark.parametrize(
    ("what", "fields", "message"),
    [
        (moving.step, {"unit": "year"}, "one of sample, batch, epoch"),
        (moving.goto, {"step": -1}, "a whole number"),
        (moving.goto, {"step": True}, "a whole number"),
        (moving.goto, {"epoch": -1}, "at least 0"),
        (moving.goto, {"epoch": "x" * 500}, "a number"),
        (moving.speed, {"steps_per_second": 0}, "above 0"),
        (moving.sample, {"row": 10**6}, "0 to 199"),
        (looking.unfold, {"name": "0.weight", "index": "0"}, "a list of whole numbers"),
        (looking.unfold, {"name": 3, "index": [0]}, "a text"),
        (looking.neuron, {"layer": 0, "unit": 4}, "0 to 3"),
        (changing.edit, {"what": "parameter", "name": "0.bias", "index": [0], "value": float("nan")}, "a number"),
        (changing.edit, {"what": "input", "column": 2, "value": 1.0}, "0 to 1"),
        (changing.edit, {"what": "target", "column": 0, "value": 7.0}, "between 0 and 1"),
        (changing.configure, {"settings": {"data": {"name": "circl"}}}, "did you mean 'circle'"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(what: Any, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        ask(Session(), what, **fields)
    assert len(str(caught.value)) < 400
