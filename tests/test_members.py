"""The networks of a table: their folds, their training, and the one network that they become."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import Dense, Dropout, Network, NumericEmbedding
from backlit.data.learning import learn_table, network_maker, new_model
from backlit.data.members import (
    Rows,
    Running,
    is_better,
    member_seed,
    optimizer_of,
    row_losses,
    temperature,
    train_members,
    watched_rows,
)
from backlit.data.merging import merged, with_output
from backlit.data.recipe import EMBEDDED, PRESETS, Recipe, recipe_for
from backlit.data.split import fold_numbers
from backlit.exceptions import ConfigurationError, ShapeError
from backlit.training.history import History


def recipe(**given: Any) -> Recipe:
    found: dict[str, Any] = {
        "members": 3, "folds": 3, "hidden": (5,), "activation": "tanh", "dropout": 0.0, "epochs": 4, "batch_size": 8,
        "optimizer": "adamw", "learning_rate": 0.01, "weight_decay": 0.1,
    }  # fmt: skip
    return Recipe(**{**found, **given})


def rows(n: int = 30, classes: int = 3) -> Rows:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 4)).astype(np.float32)
    y = np.arange(n) % classes
    X[:, 0] += 2.0 * y
    return Rows(X, y, classes=True)


def maker(hidden: tuple[int, ...] = (5,), outputs: int = 3) -> Any:
    def make(seed: int) -> Network:
        layers = [*(Dense(units, "tanh", bias_init="glorot_uniform") for units in hidden), Dense(outputs, "softmax")]
        return Network(layers, inputs=4, loss="cross_entropy", seed=seed)

    return make


QUIET = Running(progress=False, engine="reference")


# ── folds ────────────────────────────────────────────────────────────────────────────────────────────────────
def test_folds_are_of_one_size_and_every_class_has_its_share() -> None:
    labels = np.repeat([0, 1], [40, 20])
    fold = fold_numbers(60, 5, seed=1, labels=labels)
    assert np.bincount(fold).tolist() == [12] * 5
    assert np.bincount(fold[labels == 1]).tolist() == [4] * 5
    assert np.bincount(fold_numbers(11, 4, seed=1)).tolist() == [3, 3, 3, 2]
    assert not (fold_numbers(60, 5, seed=2, labels=labels) == fold).all()


def test_a_class_of_a_single_row_is_always_learnt_from() -> None:
    labels = np.array(["a"] * 5 + ["b"] + ["c"] * 5)
    for seed in range(5):
        fold = fold_numbers(11, 3, seed=seed, labels=labels)
        assert fold[5] == -1
        assert (np.delete(fold, 5) >= 0).all()


def test_folds_that_cannot_be() -> None:
    for folds in (1, 8):
        with pytest.raises(ConfigurationError, match=f"7 rows can be dealt .* not to {folds}"):
            fold_numbers(7, folds, seed=0)
    with pytest.raises(ShapeError, match="7 of them"):
        fold_numbers(7, 2, seed=0, labels=[0, 1])


# ── one network ──────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("hidden", [(), (5,), (5, 3), (4, 4, 4)])
def test_the_one_network_gives_the_mean_z_of_its_members(hidden: tuple[int, ...]) -> None:
    networks = [maker(hidden)(seed).astype("float64") for seed in (3, 4, 5)]
    rng = np.random.default_rng(1)
    X = rng.normal(size=(7, 4))
    for net in networks:
        net.parameters.values[:] += 0.3 * rng.normal(size=net.parameters.size)  # biases that are not 0
    one = merged(networks)
    z = np.mean([with_output(net, "identity").forward(X) for net in networks], axis=0)
    assert with_output(one, "identity").forward(X) == pytest.approx(z, rel=1e-12)
    assert one.forward(X) == pytest.approx(np.exp(z) / np.exp(z).sum(axis=1, keepdims=True), rel=1e-12)
    assert one.loss_function is networks[0].loss_function
    assert [layer.units for layer in one.layers if isinstance(layer, Dense)] == [*(3 * u for u in hidden), 3]


@pytest.mark.parametrize("columns", [None, 1, 3])
@pytest.mark.parametrize("hidden", [(), (5,), (4, 4)])
def test_the_one_network_reads_each_members_own_waves(hidden: tuple[int, ...], columns: int | None) -> None:
    layers = [
        NumericEmbedding(2, frequencies=3, scale=0.8, columns=columns), Dropout(0.1),
        *(Dense(units, "tanh") for units in hidden), Dense(3, "softmax"),
    ]  # fmt: skip
    networks = [Network(layers, inputs=4, loss="cross_entropy", dtype="float64", seed=seed) for seed in (3, 4, 5)]
    X, y = np.random.default_rng(1).normal(size=(7, 4)), np.arange(7) % 3
    one = merged(networks)
    z = np.mean([with_output(net, "identity").forward(X) for net in networks], axis=0)
    assert with_output(one, "identity").forward(X) == pytest.approx(z, rel=1e-12)
    assert one.layers[0].size == 6  # type: ignore[attr-defined]
    assert bl.check_gradients(one, X, y).ok


@pytest.mark.parametrize("layer", [bl.LayerNorm(), bl.BatchNorm(), bl.Scale(), NumericEmbedding()], ids=repr)
def test_other_layers_that_learn_are_refused(layer: Any) -> None:
    networks = [Network([Dense(2), layer, Dense(1)], inputs=2, seed=seed) for seed in (0, 1)]
    with pytest.raises(ConfigurationError, match=r"besides Dense learn nothing, .*, and layer 1 is"):
        merged(networks)


def test_dropout_stays_between_the_merged_layers() -> None:
    layers = [Dense(4, "relu"), Dropout(0.5), Dense(1)]
    networks = [Network(layers, inputs=2, dtype="float64", seed=seed) for seed in (0, 1)]
    X = [[1.0, -2.0]]
    assert merged(networks).layers[1] == networks[0].layers[1] or isinstance(merged(networks).layers[1], Dropout)
    assert merged(networks).forward(X) == pytest.approx(np.mean([net.forward(X) for net in networks], axis=0))


def test_the_gradient_of_the_one_network_is_right() -> None:
    one = merged([maker((5, 3))(seed) for seed in (0, 1)])
    data = rows()
    assert bl.check_gradients(one, data.X[:8], data.y[:8]).ok


# ── training ─────────────────────────────────────────────────────────────────────────────────────────────────
def test_no_member_learns_from_its_own_fold() -> None:
    data = rows()
    seen: list[np.ndarray] = []

    def run(net: Network, X: Any, y: Any, **settings: Any) -> History:
        seen.append(np.array([(row == data.X).all(axis=1).argmax() for row in X]))
        held = settings["validation"][0]
        assert len(held) + len(X) == len(data.y)
        return bl.fit(net, X, y, **settings)

    trained = train_members(maker(), data, recipe(), 7, Running(fit=run, progress=False))
    assert trained.members == len(seen) == 3
    counts = np.bincount(np.concatenate(seen), minlength=30)
    assert (counts == 2).all()
    assert trained.watched.all()


def test_what_a_row_got_is_of_the_network_that_has_not_learnt_from_it() -> None:
    data = rows()
    networks: list[Network] = []

    def run(net: Network, X: Any, y: Any, **settings: Any) -> History:
        networks.append(net)
        return bl.fit(net, X, y, **settings)

    trained = train_members(maker(), data, recipe(), 7, Running(fit=run, progress=False))
    fold = fold_numbers(30, 3, seed=7, labels=data.y)
    for member, net in enumerate(networks):
        z = with_output(net, "identity").forward(data.X[fold == member])
        assert trained.unseen[fold == member] == pytest.approx(z)


def test_the_same_seed_gives_the_same_bits_and_another_one_others() -> None:
    def values(seed: int) -> np.ndarray:
        return train_members(maker(), rows(), recipe(), seed, QUIET).network.parameters.values.copy()

    assert (values(3) == values(3)).all()
    assert not (values(3) == values(4)).all()
    assert member_seed(3, 0) == 3
    assert len({member_seed(3, member) for member in range(50)}) == 50


def test_more_members_than_folds_are_dealt_anew() -> None:
    first: list[float] = []

    def run(net: Network, X: Any, y: Any, **settings: Any) -> History:
        first.append(float(X.sum()))
        return bl.fit(net, X, y, **settings)

    dealt = recipe(members=4, folds=2, epochs=1)
    trained = train_members(maker(), rows(), dealt, 0, Running(fit=run, progress=False))
    assert trained.members == 4
    assert len({round(total, 3) for total in first}) == 4
    assert trained.network.layers[0].units == 20  # type: ignore[attr-defined]


def test_seconds_decide_how_many_members_there_are() -> None:
    none = train_members(maker(), rows(), recipe(epochs=1), 0, Running(progress=False, seconds=1e-9))
    assert none.members == 1
    assert none.watched.sum() == len(none.unseen) == 10
    many = train_members(maker(), rows(), recipe(members=1, folds=1, epochs=1), 0, Running(progress=False, seconds=0.3))
    assert many.members > 1


def test_an_interrupted_run_keeps_the_members_that_it_has() -> None:
    def run(net: Network, X: Any, y: Any, **settings: Any) -> History:
        history = bl.fit(net, X, y, **settings)
        history.stopped = "interrupted in epoch 2"
        return history

    assert train_members(maker(), rows(), recipe(), 0, Running(fit=run, progress=False)).members == 1


def test_a_single_network_is_watched_on_a_fifth() -> None:
    single = recipe(members=1, folds=1)
    assert watched_rows(rows().y, single, 0, classes=True).sum() == 6
    assert train_members(maker(), rows(), single, 0, QUIET).watched.sum() == 6
    assert not watched_rows(np.array([0]), single, 0, classes=False).any()


def test_the_learning_rate_falls_to_nothing_and_adamw_decays() -> None:
    optimizer = optimizer_of(recipe(epochs=10))
    assert optimizer.learning_rate(0.0) == 0.01
    assert optimizer.learning_rate(10.0) == 0.0
    assert optimizer.weight_decay == 0.1
    assert isinstance(optimizer_of(recipe(optimizer="sgd")), bl.SGD)


# ── numbers embedded, where that is better ───────────────────────────────────────────────────────────────────
def steps(n: int = 160, *, classes: bool = False) -> Rows:
    """A value, or a class, that changes eight times."""
    x = np.linspace(-1.0, 1.0, n, dtype=np.float32)[:, None]
    y = np.floor(4.0 * x[:, 0]) % 2.0
    return Rows(x, y.astype(np.int64) if classes else y - 0.5, classes=classes)


def plain_and_embedded(given: Recipe, *, classes: bool) -> list[Any]:
    outputs = 2 if classes else 1
    return [network_maker(1, outputs, given, classes=classes, columns=columns) for columns in (0, 1)]


@pytest.mark.parametrize("classes", [False, True])
def test_the_better_kind_is_found_on_the_first_fold(classes: bool) -> None:
    given = recipe(members=2, folds=2, hidden=(16,), activation="relu", epochs=80, embedded=3)
    plain, embedded = plain_and_embedded(given, classes=classes)
    data = steps(classes=classes)
    trained = train_members(plain, data, given, 0, QUIET, tried=embedded)
    assert isinstance(trained.network.layers[0], NumericEmbedding)
    assert (trained.network.layers[0].size, trained.members) == (6, 2)
    alone = train_members(embedded, data, given, 0, QUIET)  # the networks are those of the kind by itself
    assert (trained.network.parameters.values == alone.network.parameters.values).all()
    assert (trained.unseen == alone.unseen).all()
    other = train_members(plain, data, given, 0, QUIET)
    assert not isinstance(other.network.layers[0], NumericEmbedding)
    first = [row_losses(t.unseen, data.y) if classes else (t.unseen[:, 0] - data.y) ** 2 for t in (trained, other)]
    assert first[0].mean() < 0.5 * first[1].mean()
    rng = np.random.default_rng(2)
    chance = Rows(data.X, rng.integers(0, 2, 160) if classes else rng.normal(size=160), classes=classes)
    kept, by_itself = (train_members(plain, chance, given, 0, QUIET, tried=kind) for kind in (embedded, None))
    assert (kept.network.parameters.values == by_itself.network.parameters.values).all()


def test_a_network_is_better_by_more_than_the_error_of_the_difference() -> None:
    def says(*z: float) -> Network:
        net = Network([Dense(1)], inputs=len(z), dtype="float64")
        net.layers[0].weight = np.array(z)[:, None]  # type: ignore[attr-defined]
        return net

    X = np.eye(4)
    y, weight = np.zeros(4), np.array([1.0, 1.0, 1.0, 3.0])
    # losses ½ z²: gains of 1, 1, 1, 0, whose mean ¾ has the error √(3/16)/2 = 0.22
    two = says(*[2.0**0.5] * 3, 1.0), says(0.0, 0.0, 0.0, 1.0)
    assert is_better(two[1], two[0], X, y, None, classes=False)
    assert not is_better(two[0], two[1], X, y, None, classes=False)
    # gains of 1, 0, 0, 0: ¼, and the error is 0.22; of −1 in one of them, none at all
    assert is_better(says(0.0, 1.0, 1.0, 1.0), says(2.0**0.5, 1.0, 1.0, 1.0), X, y, None, classes=False)
    assert not is_better(says(0.0, 1.0, 1.0, 2.0**0.5), says(2.0**0.5, 1.0, 1.0, 1.0), X, y, None, classes=False)
    assert not is_better(two[0], two[0], X, y, None, classes=False)
    # the weights count: gains of 1, 0, 0, −1 ⅓
    assert not is_better(says(0.0, 1.0, 1.0, 1.6), says(2.0**0.5, 1.0, 1.0, 1.5), X, y, weight, classes=False)


def test_what_is_interrupted_is_not_compared() -> None:
    given = recipe(members=2, folds=2, hidden=(16,), activation="relu", epochs=80, embedded=3)
    plain, embedded = plain_and_embedded(given, classes=False)
    for stop_at in (1, 2):
        calls: list[Network] = []

        def run(
            net: Network, X: Any, y: Any, *, calls: Any = calls, stop_at: int = stop_at, **settings: Any
        ) -> History:
            calls.append(net)
            history = bl.fit(net, X, y, **settings)
            history.stopped = "interrupted in epoch 2" if len(calls) == stop_at else None
            return history

        running = Running(fit=run, progress=False, engine="reference")
        trained = train_members(plain, steps(), given, 0, running, tried=embedded)
        assert len(calls) == (1 if stop_at == 1 else 3)
        assert not isinstance(trained.network.layers[0], NumericEmbedding)


def test_which_tables_are_tried_both_ways() -> None:
    assert recipe_for(166, 60, 2).embedded == recipe_for(5_000, 20, 1, "best").embedded == EMBEDDED > 0
    assert recipe_for(166, 60, 2, "fast").embedded == recipe_for(99, 4, 2).embedded == 0
    assert recipe_for(3_000_000, 60, 2).embedded == 0  # of a single network


# ── recipes ──────────────────────────────────────────────────────────────────────────────────────────────────
def test_recipes_by_the_size_of_the_table() -> None:
    small, large = recipe_for(166, 60, 2), recipe_for(1_000_000, 60, 2)
    assert small.members == 5
    assert large.members == 1
    assert small.batch_size < large.batch_size
    assert small.epochs > large.epochs >= 1
    assert recipe_for(3, 2, 1).members == 3
    assert recipe_for(1, 2, 1).members == 1
    steps = small.epochs * -(-166 // small.batch_size)
    assert steps > 1_000
    fewest = [recipe_for(2_000, 20, 1, preset).members for preset in PRESETS]
    assert fewest == sorted(set(fewest))
    with pytest.raises(ConfigurationError, match="preset"):
        recipe_for(10, 1, 1, "quick")  # type: ignore[arg-type]


# ── calibration ──────────────────────────────────────────────────────────────────────────────────────────────
def test_the_temperature_makes_probabilities_mean_what_they_say() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=(4000, 3))
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    y = np.array([rng.choice(3, p=row) for row in p])
    for factor in (0.6, 1.0, 3.0):  # z that says too little, the right thing, too much
        assert temperature(factor * z, y) == pytest.approx(factor, rel=0.08)
    assert temperature(z[:0], y[:0]) == 1.0
    kept = np.arange(4000) < 2000
    assert temperature(np.where(kept[:, None], z, 4.0 * z), y, kept.astype(float)) == pytest.approx(1.0, rel=0.1)


def test_row_losses() -> None:
    z = np.array([[1000.0, 0.0], [0.0, 0.0]])
    assert row_losses(z, np.array([1, 0])).tolist() == pytest.approx([1000.0, np.log(2.0)])


def test_the_model_holds_the_temperature() -> None:
    import polars as pl

    rng = np.random.default_rng(0)
    x = rng.normal(size=60)
    y = np.where(x + 0.5 * rng.normal(size=60) > 0, "b", "a")
    table = pl.DataFrame({"x": x})
    model = new_model(table, {"x": "numeric"}, y, "y", classes=np.unique(y))
    X = model.preparation.apply(table, dtype=np.float32)
    learnt = learn_table(model, X, y, recipe(epochs=60), seed=0, running=QUIET)
    index = model.encode(y)
    raw = train_members(_as_learnt(X), Rows(X, index, None, classes=True), recipe(epochs=60), 0, QUIET)
    t = temperature(raw.unseen, index)
    assert model.network.parameters.values[-6:] == pytest.approx(raw.network.parameters.values[-6:] / t, rel=1e-5)
    z = raw.unseen / t
    assert learnt.outputs == pytest.approx(np.exp(z) / np.exp(z).sum(axis=1, keepdims=True), rel=1e-5)
    assert not learnt.seen.any()


def _as_learnt(X: np.ndarray) -> Any:
    layers = [Dense(5, "tanh", bias_init="glorot_uniform"), Dense(2, "softmax")]
    return lambda seed: Network(layers, inputs=X.shape[1], loss="cross_entropy", seed=seed)
