"""What happens around training: stopping early, diverging, Ctrl-C, the progress bar, the learning curve."""

from __future__ import annotations

import io
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import backlit as bl
from backlit.exceptions import ConfigurationError, DivergenceError, HistoryNameError, OutputError
from backlit.kinds.optimizers import initial_state
from backlit.training.job import Job

rng = np.random.default_rng(2)
X = rng.normal(size=(30, 3))
Y = X @ [1.0, -2.0, 0.5]


def network(**settings: object) -> bl.Network:
    return bl.Network([bl.Dense(4, "tanh"), bl.Dense(1)], inputs=3, dtype="float64", **settings)


class Keep(bl.Callback):
    """Keeps the parameters after every epoch, and which method was called."""

    def __init__(self) -> None:
        self.values: list[np.ndarray] = []
        self.calls: list[str] = []

    def on_fit_begin(self, training: object) -> None:
        self.calls.append("fit begins")

    def on_steps_end(self, training: object, done: int, total: int) -> None:
        self.calls.append(f"{done} of {total}")

    def on_epoch_end(self, training: object) -> None:
        self.calls.append(f"epoch {training.epoch}")
        self.values.append(training.net.parameters.values.copy())

    def on_fit_end(self, training: object) -> None:
        self.calls.append("fit ends")


class Raise(bl.Callback):
    """Raises an error at the end of an epoch, or within it."""

    def __init__(self, error: BaseException, epoch: int, *, within: bool = False) -> None:
        self.error, self.epoch, self.within = error, epoch, within

    def on_steps_end(self, training: object, done: int, total: int) -> None:
        if self.within and training.epoch == self.epoch:
            raise self.error

    def on_epoch_end(self, training: object) -> None:
        if training.epoch == self.epoch:
            raise self.error


def fit(net: bl.Network, **settings: object) -> bl.History:
    return bl.fit(net, X, Y, **{"epochs": 5, "progress": False, **settings})


def test_a_callback_is_told_of_everything_in_order() -> None:
    keep = Keep()
    fit(network(), epochs=2, batch_size=10, callbacks=[keep])
    assert keep.calls == ["fit begins", "3 of 3", "epoch 1", "3 of 3", "epoch 2", "fit ends"]


def test_a_callback_is_told_of_the_end_after_an_error_too() -> None:
    keep = Keep()
    with pytest.raises(ZeroDivisionError, match="mine"):
        fit(network(), callbacks=[keep, Raise(ZeroDivisionError("mine"), 2)])
    assert keep.calls[-1] == "fit ends"


# ── early stopping ─────────────────────────────────────────────────────────────────────────────────────────
def noisy_validation() -> tuple[np.ndarray, np.ndarray]:
    """Targets that have nothing to do with the inputs: learning the training rows makes it worse before long."""
    other = np.random.default_rng(0)
    return other.normal(size=(20, 3)), other.normal(size=20)


def test_early_stopping_restores_the_best_parameters() -> None:
    net, keep = network(), Keep()
    stopping = bl.EarlyStopping(patience=4)
    settings = {"epochs": 200, "optimizer": bl.Adam(0.05), "validation": noisy_validation()}
    history = fit(net, callbacks=[stopping, keep], **settings)
    best = int(np.argmin(history["val_loss"]))
    assert history.epochs == best + 1 + 4 < 200
    assert history.best_epoch == best + 1
    np.testing.assert_array_equal(net.parameters.values, keep.values[best])
    assert net.loss(*noisy_validation()) == pytest.approx(min(history["val_loss"]), rel=1e-12)
    assert history.stopped is not None
    assert history.stopped.startswith("val_loss has not improved on ")
    assert f"(epoch {best + 1}) for 4 epochs" in history.stopped


def test_early_stopping_restores_at_the_planned_end_and_only_if_asked() -> None:
    settings = {"epochs": 12, "optimizer": bl.Adam(0.1), "validation": noisy_validation()}
    for restore in (True, False):
        net, keep = network(), Keep()
        history = fit(net, callbacks=[bl.EarlyStopping(patience=50, restore_best=restore), keep], **settings)
        best = int(np.argmin(history["val_loss"]))
        assert best < 11
        np.testing.assert_array_equal(net.parameters.values, keep.values[best if restore else 11])
        assert history.best_epoch == (best + 1 if restore else None)
        assert history.stopped is None


def test_early_stopping_takes_more_accuracy_for_better() -> None:
    labels = (X[:, 0] > 0).astype(int)
    net, keep = bl.Network([bl.Dense(2, "softmax")], inputs=3, loss="cross_entropy"), Keep()
    stopping = bl.EarlyStopping("val_accuracy", patience=3)
    history = bl.fit(
        net,
        X,
        labels,
        epochs=100,
        optimizer=bl.SGD(0.3),
        validation=(X, labels),
        callbacks=[stopping, keep],
        progress=False,
    )
    assert history["val_accuracy"][history.best_epoch - 1] == max(history["val_accuracy"])
    np.testing.assert_array_equal(net.parameters.values, keep.values[history.best_epoch - 1])


@pytest.mark.parametrize("batch_size", [None, 7])
def test_stopping_on_the_training_loss_restores_what_has_that_loss(batch_size: int | None) -> None:
    """A rate that is good for five epochs and far too large from then on."""
    net, stopping = network(), bl.EarlyStopping("loss", patience=3)
    optimizer = bl.SGD(lambda epoch: 0.1 if epoch < 5 else (3.0 if batch_size is None else 1.0))
    history = fit(net, epochs=50, batch_size=batch_size, optimizer=optimizer, callbacks=[stopping])
    assert history.stopped is not None
    assert history.best_epoch == int(np.argmin(history["loss_after"])) + 1 == 5
    assert net.loss(X, Y) == pytest.approx(history["loss_after"][4], rel=1e-12)
    assert stopping.best == history["loss_after"][4]
    assert f"loss has not improved on {stopping.best:.6g} (epoch 5) for 3 epochs" in history.stopped


def test_stopping_on_what_is_never_a_number_says_so() -> None:
    class Nothing(bl.Callback):
        def on_epoch_end(self, training: object) -> None:
            training.history.amend(score=math.nan)

    net, keep = network(), Keep()
    history = fit(net, epochs=9, callbacks=[Nothing(), bl.EarlyStopping("score", patience=2), keep])
    assert history.stopped == "score has not been a number for 2 epochs"
    np.testing.assert_array_equal(net.parameters.values, keep.values[-1])


def test_min_delta_asks_for_more_than_a_trifle() -> None:
    history = fit(network(), epochs=50, callbacks=[bl.EarlyStopping("loss", patience=2, min_delta=1e9)])
    assert history.epochs == 3


@pytest.mark.parametrize(
    ("callback", "settings", "message"),
    [
        (bl.EarlyStopping(), {}, "EarlyStopping watches 'val_loss', which needs validation data: give fit("),
        (bl.EarlyStopping("los"), {}, "EarlyStopping watches 'los': did you mean 'loss'"),
        (bl.LearningRateLog(), {"optimizer": bl.LBFGS()}, "LearningRateLog has nothing to log: LBFGS("),
    ],
    ids=["no validation", "no such name", "no learning rate"],
)
def test_a_callback_that_cannot_do_its_work_says_so(callback: bl.Callback, settings: dict, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        fit(network(), callbacks=[callback], **settings)
    assert str(caught.value).startswith(message)


def test_a_refused_early_stopping_leaves_the_next_network_alone() -> None:
    stopping = bl.EarlyStopping()
    fit(network(), validation=(X, Y), callbacks=[stopping])
    net = network(seed=1)
    before = net.parameters.values.copy()
    with pytest.raises(ConfigurationError, match="needs validation data"):
        fit(net, callbacks=[stopping])
    np.testing.assert_array_equal(net.parameters.values, before)


def test_the_learning_rate_log_keeps_the_changes(capsys: pytest.CaptureFixture[str]) -> None:
    log = bl.LearningRateLog(show=True)
    fit(network(), epochs=5, optimizer=bl.SGD(bl.StepDecay(0.1, factor=0.5, every=2)), callbacks=[log])
    assert log.changes == [(1, 0.1), (3, 0.05), (5, 0.025)]
    assert capsys.readouterr().out.splitlines() == [
        "epoch 1: learning rate 0.1",
        "epoch 3: learning rate 0.05",
        "epoch 5: learning rate 0.025",
    ]


# ── divergence ─────────────────────────────────────────────────────────────────────────────────────────────
def line(**settings: object) -> bl.Network:
    return bl.Network([bl.Dense(2), bl.Dense(1)], inputs=3, dtype="float64", **settings)


def test_a_loss_that_becomes_nan_or_infinite_ends_training() -> None:
    net = line()
    before = net.parameters.values.copy()
    with pytest.raises(DivergenceError) as caught:
        fit(net, batch_size=10, optimizer=bl.SGD(1e200))
    error = caught.value
    # both layers hold numbers near 1e200 then: z of the first is finite, z of the second is beyond 1e308
    assert (error.epoch, error.step, error.layer) == (1, 2, 1)
    assert "the loss became inf" in str(error) or "the loss became nan" in str(error)
    assert "the best parameters, the initial ones, are restored" in str(error)
    assert "use a learning rate below 1e+200" in str(error)
    np.testing.assert_array_equal(net.parameters.values, before)


def test_a_finite_explosion_ends_training() -> None:
    net, keep = bl.Network([bl.Dense(1)], inputs=3, dtype="float64"), Keep()
    with pytest.raises(DivergenceError) as caught:
        fit(net, epochs=100, batch_size=None, optimizer=bl.SGD(3.0), callbacks=[keep])
    error = caught.value
    assert error.epoch == error.step == len(keep.values) + 1 > 2
    loss = float(str(error).split("the loss became ")[1].split(",")[0])
    assert 1e6 < loss < math.inf


@pytest.mark.parametrize(
    ("first", "x", "y", "limit"),
    [
        (0.25, 0.5, 0.5, 1e6),
        (4.0, 0.5, 0.5, 4e6),
        (-4.0, 1.0, 1.0, 4e6),
        (0.25, -30.0, 2.0, 9e8),
        (0.25, 2.0, -30.0, 9e8),
    ],
    ids=["1 at least", "the first loss", "its size", "the largest input", "the largest target"],
)
def test_a_loss_explodes_beyond_a_million_times_what_it_may_begin_with(
    first: float, x: float, y: float, limit: float
) -> None:
    net, rule = bl.Network([bl.Dense(1)], inputs=1, dtype="float64", input_scale=0.5), bl.SGD()
    state = initial_state(rule, net.parameters.size, net.dtype)
    job = Job(
        net=net, X=np.array([[2.0 * x]]), Y=np.array([[y]]), weight=None, optimizer=rule, state=state, batch_size=1
    )
    job.set_limit(first)
    assert not job.lost(limit)
    assert job.lost(np.nextafter(limit, math.inf))
    assert job.loss_limit == limit
    job.set_limit(1e9)  # the first one stands
    assert job.loss_limit == limit


def test_the_best_parameters_are_those_with_the_best_loss() -> None:
    """A rate that is good for three epochs and far too large from then on: full batches, so every loss is exact."""
    net, keep = line(), Keep()
    losses = [line().loss(X, Y)]
    optimizer = bl.SGD(lambda epoch: 0.05 if epoch < 3 else 1e4)
    with pytest.raises(DivergenceError) as caught:
        fit(net, epochs=50, batch_size=None, optimizer=optimizer, callbacks=[keep])
    for values in keep.values:
        probe = line()
        probe.parameters.values[:] = values
        losses.append(probe.loss(X, Y))
    best = int(np.argmin(losses))
    assert best == 3
    assert "the best parameters, those of epoch 3, are restored" in str(caught.value)
    np.testing.assert_array_equal(net.parameters.values, keep.values[best - 1])


def test_with_validation_the_best_parameters_are_those_that_validate_best() -> None:
    net, keep = line(), Keep()
    with pytest.raises(DivergenceError, match="those of epoch 2, are restored"):
        fit(
            net,
            epochs=50,
            optimizer=bl.SGD(lambda epoch: 0.05 if epoch < 2 else 1e4),
            validation=(X, Y),
            callbacks=[keep],
        )
    np.testing.assert_array_equal(net.parameters.values, keep.values[1])


def test_the_very_last_step_is_looked_at_too() -> None:
    net = line()
    before = net.parameters.values.copy()
    with pytest.raises(DivergenceError, match="in epoch 1, step 1: the loss became"):
        fit(net, epochs=1, batch_size=None, optimizer=bl.SGD(1e30))
    np.testing.assert_array_equal(net.parameters.values, before)


def test_the_layer_where_it_began_is_named() -> None:
    net = bl.Network([bl.Dense(2), bl.Dense(2, "exp"), bl.Dense(1)], inputs=3, dtype="float64")
    net.layers[1].bias[...] = 1e4  # e to that is beyond all numbers, and so is the loss
    with pytest.raises(DivergenceError, match=r"beginning in layer 1 \(Dense\(2, 'exp'\)\)") as caught:
        fit(net)
    assert (caught.value.epoch, caught.value.step, caught.value.layer) == (1, 1, 1)
    assert isinstance(caught.value, ArithmeticError)


@pytest.mark.parametrize(("inits", "layer"), [((0.1, 30.0), 1), ((30.0, 0.1), 0)])
def test_where_all_is_finite_it_began_in_the_layer_with_the_largest_numbers(
    inits: tuple[float, float], layer: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backlit.training.job.EXPLOSION", 1e-9)  # any loss is beyond the limit

    class Strict(bl.Callback):
        def on_fit_begin(self, training: object) -> None:
            training.job.loss_limit = 1e-9

    net = bl.Network([bl.Dense(2, weight_init=inits[0]), bl.Dense(1, weight_init=inits[1])], inputs=3, dtype="float64")
    net.layers[0].weight[:, 1] *= 0.5
    with pytest.raises(DivergenceError, match=f"beginning in layer {layer} ") as caught:
        fit(net, callbacks=[Strict()])
    assert caught.value.layer == layer


@pytest.mark.parametrize(("loss", "lost"), [(0.99e6, False), (1.01e6, True)])
def test_a_loss_a_million_times_the_first_is_lost(loss: float, lost: bool) -> None:
    """L = ½ w², and w ← (1 − η) w: the first loss is 1, the second as given, and the third would be 0."""
    net = bl.Network([bl.Dense(1, weight_init=math.sqrt(2.0), bias=False)], inputs=1, dtype="float64")
    rate = 1.0 + math.sqrt(loss)
    settings = {"epochs": 3, "optimizer": bl.SGD(lambda epoch: rate if epoch < 1 else 1.0), "progress": False}
    if lost:
        with pytest.raises(DivergenceError, match=r"epoch 2, step 2: the loss became 1\.01e"):
            bl.fit(net, [[1.0]], [0.0], **settings)
    else:
        assert bl.fit(net, [[1.0]], [0.0], **settings)["loss"] == pytest.approx([1.0, loss, 0.0])


@pytest.mark.parametrize("weight", [None, [0.0, 1.0, 1.0]], ids=["fits by chance", "does not count"])
def test_a_first_batch_without_a_loss_is_no_measure(weight: list[float] | None) -> None:
    net = bl.Network([bl.Dense(1, weight_init=0.0)], inputs=1, dtype="float64")
    settings = {"epochs": 3, "batch_size": 1, "shuffle": False, "sample_weight": weight, "progress": False}
    history = bl.fit(net, [[0.0], [1.0], [2.0]], [0.0, 50.0, 100.0], **settings)
    assert history["batch_loss_max"][0] > 1000


def test_lbfgs_that_meets_no_finite_loss_restores_the_start() -> None:
    net = bl.Network([bl.Dense(1, "exp")], inputs=3, loss="poisson", dtype="float64")
    before = net.parameters.values.copy()
    with pytest.raises(DivergenceError, match="L-BFGS met a loss that is not finite"):
        bl.fit(net, X * 1e4, np.abs(Y), optimizer=bl.LBFGS(), progress=False)
    np.testing.assert_array_equal(net.parameters.values, before)


# ── Ctrl-C ─────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("optimizer", "within", "epochs"),
    [(bl.SGD(0.05), False, 3), (bl.SGD(0.05), True, 2), (bl.LBFGS(), False, 3)],
    ids=["after an epoch", "within an epoch", "L-BFGS"],
)
def test_an_interruption_leaves_a_warning_and_a_history(optimizer: object, within: bool, epochs: int) -> None:
    net, keep = network(), Keep()
    callbacks = [keep, Raise(KeyboardInterrupt(), 3, within=within)]
    with pytest.warns(UserWarning, match="training was interrupted in epoch 3; the network keeps") as caught:
        history = fit(net, epochs=50, optimizer=optimizer, callbacks=callbacks)
    assert history.epochs == epochs
    assert history.stopped == "interrupted in epoch 3"
    assert keep.calls[-1] == "fit ends"
    assert caught[0].filename == __file__
    if not within:
        np.testing.assert_array_equal(net.parameters.values, keep.values[-1])


def test_an_interrupted_run_can_be_resumed() -> None:
    whole, parts = network(), network()
    fit(whole, epochs=6, optimizer=bl.Adam(0.01))
    with pytest.warns(UserWarning, match="interrupted in epoch 2"):
        first = fit(parts, epochs=6, optimizer=bl.Adam(0.01), callbacks=[Raise(KeyboardInterrupt(), 2)])
    fit(parts, epochs=4, optimizer=bl.Adam(0.01), resume=first)
    np.testing.assert_array_equal(parts.parameters.values, whole.parameters.values)


class Interrupted:
    """A source of rows in which Ctrl-C is pressed as they are asked for the k-th time."""

    shape = X.shape

    def __init__(self, k: int) -> None:
        self.k = k

    def fetch(self, rows: np.ndarray, out: np.ndarray, *, epoch: int) -> None:
        self.k -= 1
        if self.k == 0:
            raise KeyboardInterrupt
        out[:] = X[rows]


def test_an_interrupted_line_search_leaves_the_parameters_of_the_last_iteration() -> None:
    """From a steep start the first line search tries several points: the third one is not where any iteration ended."""
    net, keep = network(), Keep()
    net.parameters.values[:] *= 5.0
    with pytest.warns(UserWarning, match="training was interrupted"):
        bl.fit(net, Interrupted(12), Y, epochs=50, optimizer=bl.LBFGS(), callbacks=[keep], progress=False)
    assert keep.values
    np.testing.assert_array_equal(net.parameters.values, keep.values[-1])


# ── the progress bar ───────────────────────────────────────────────────────────────────────────────────────
class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def open_terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Terminal]:
    """Opened within the test: between a fixture and its test, pytest puts stderr back."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")

    def opened() -> Terminal:
        screen = Terminal()
        monkeypatch.setattr(sys, "stderr", screen)
        return screen

    return opened


def test_off_a_terminal_nothing_is_written(capfd: pytest.CaptureFixture[str]) -> None:
    fit(network(), progress=True)
    assert capfd.readouterr() == ("", "")


def test_on_a_terminal_the_bar_shows_epochs_and_losses(open_terminal: Callable[[], Terminal]) -> None:
    terminal = open_terminal()
    history = fit(network(), epochs=7, progress=True, validation=(X, Y))
    shown = terminal.getvalue()
    assert "epoch 7/7" in shown
    assert f"loss {history['loss'][-1]:.4f}" in shown
    assert f"validation {history['val_loss'][-1]:.4f}" in shown
    assert "left" in shown
    assert "━" in shown


def test_the_bar_says_when_the_loss_has_risen(open_terminal: Callable[[], Terminal]) -> None:
    terminal = open_terminal()
    losses = iter([0.5, 0.7, 0.6])

    class Losses(bl.Callback):
        def on_epoch_end(self, training: object) -> None:
            training.history.amend(loss=next(losses))
            time.sleep(0.11)  # the bar is drawn at most every tenth of a second

    fit(network(), epochs=3, progress=True, callbacks=[Losses()])
    drawn = terminal.getvalue().split("epoch ")
    assert [("risen" in line) for line in drawn if "loss 0.7" in line][-1]
    assert not [line for line in drawn if "risen" in line and ("loss 0.5" in line or "loss 0.6" in line)]


def test_the_bar_shows_accuracy_and_goes_on_counting_when_resumed(open_terminal: Callable[[], Terminal]) -> None:
    terminal = open_terminal()
    labels = (X[:, 0] > 0).astype(int)
    net = bl.Network([bl.Dense(2, "softmax")], inputs=3, loss="cross_entropy")
    first = bl.fit(net, X, labels, epochs=2, validation=(X, labels), progress=True)
    second = bl.fit(net, X, labels, epochs=3, validation=(X, labels), progress=True, resume=first)
    shown = terminal.getvalue()
    assert "epoch 2/2" in shown
    assert "epoch 5/5" in shown
    assert f"accuracy {100 * second['val_accuracy'][-1]:.1f} %" in shown


def test_the_bar_lets_go_of_the_terminal_after_an_error(open_terminal: Callable[[], Terminal]) -> None:
    terminal = open_terminal()
    with pytest.raises(ZeroDivisionError, match="mine"):
        fit(network(), progress=True, callbacks=[Raise(ZeroDivisionError("mine"), 2)])
    assert terminal.getvalue().endswith("\x1b[?25h")  # the cursor is shown again


def test_with_progress_off_a_terminal_stays_empty(open_terminal: Callable[[], Terminal]) -> None:
    terminal = open_terminal()
    fit(network(), progress=False)
    assert terminal.getvalue() == ""


# ── the history itself ─────────────────────────────────────────────────────────────────────────────────────
def test_the_learning_curve_is_drawn(tmp_path: Path) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    history = fit(network(), epochs=8, batch_size=10, validation=(X, Y), callbacks=[bl.EarlyStopping(patience=20)])
    ax = history.plot()
    lines = {drawn.get_label(): drawn for drawn in ax.get_lines()}
    assert lines["training loss"].get_ydata().tolist() == history["loss"]
    assert lines["validation loss"].get_ydata().tolist() == history["val_loss"]
    assert f"best, epoch {history.best_epoch}" in lines
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "loss")
    assert history.plot(ax) is ax
    matplotlib.pyplot.close(ax.figure)
    open_figures = matplotlib.pyplot.get_fignums()
    for name in ("curve.png", "curve.svg"):
        drawn = history.plot(tmp_path / name)
        assert (tmp_path / name).stat().st_size > 5000
        assert drawn.get_lines()[0].get_ydata().tolist() == history["loss"]
    assert history.plot(str(tmp_path / "curve.pdf")).get_ylabel() == "loss"
    assert matplotlib.pyplot.get_fignums() == open_figures
    with pytest.raises(ConfigurationError, match=r"a picture's name ends in .png, .svg or .pdf, received '.*curve'"):
        history.plot(tmp_path / "curve")
    with pytest.raises(OutputError, match="cannot be written: No such file or directory"):
        history.plot(tmp_path / "nowhere" / "curve.png")


def test_an_empty_history_has_nothing_to_plot() -> None:
    with pytest.raises(ConfigurationError, match="there is nothing to plot: the history has no epoch yet"):
        bl.History().plot()


def test_a_history_reads_as_a_table() -> None:
    history = fit(network(), epochs=40, validation=(X, Y))
    title, *lines = history.page().text(200).splitlines()
    assert title == "History of 40 epochs"
    lines = [line for line in lines if not line.startswith("The loss rose")]
    assert lines[0].split() == ["epoch", "loss", "learning_rate", "val_loss", "val_r2", "val_rmse", "seconds"]
    assert [int(row.split()[0]) for row in (lines[1], lines[-1])] == [1, 40]
    assert len(lines) == 11
    assert repr(history) == f"History(40 epochs of {', '.join(history)})"


def test_a_history_marks_a_loss_above_the_last_one_shown() -> None:
    history = bl.History()
    for loss in (0.5, 0.25, 0.3, 0.2):
        history.append(loss=loss)
    history.stopped = "enough"
    assert str(history).splitlines() == [
        "History of 4 epochs",
        "epoch  loss",
        "    1   0.5",
        "    2  0.25",
        "    3   0.3  the loss has risen",
        "    4   0.2",
        "The loss rose in 1 of 3 epochs.",
        "Stopped: enough.",
    ]
    assert ">0.25<" in history._repr_html_()


def test_a_rise_between_the_epochs_shown() -> None:
    history = bl.History()
    for epoch in range(100):
        history.append(loss=1.0 / (epoch + 1) + (0.001 if epoch == 6 else 0.0))
    assert history.rises == []
    history.amend(loss=1.0)
    history.append(loss=0.001)
    assert history.rises == [100]
    assert "The loss rose in 1 of 100 epochs." in str(history)
    assert "the loss has risen" not in str(history)


def test_a_network_in_a_notebook() -> None:
    page = bl.Network([bl.Dense(3, "relu"), bl.Dropout(0.5), bl.Dense(2)], inputs=4).page()
    assert page.text().splitlines()[2].split() == ["0", "Dense(3,", "'relu')", "4", "3", "15"]
    html = bl.Network([bl.Dense(1)], inputs=2)._repr_html_()
    assert "loss squared_error, 3 parameters in float32, seed 0" in html


def test_an_unknown_column_is_named_with_its_nearest() -> None:
    with pytest.raises(HistoryNameError) as caught:
        _ = fit(network())["los"]
    assert str(caught.value) == "the history has no 'los': did you mean 'loss'?"
    assert isinstance(caught.value, KeyError)
    assert "los" not in fit(network())


def test_a_name_that_comes_late_is_nan_before() -> None:
    history = bl.History()
    history.append(loss=1.0)
    history.append(loss=0.5, val_loss=0.7)
    assert math.isnan(history["val_loss"][0])
    assert history.to_dict()["loss"] == [1.0, 0.5]
