"""Training that is interrupted, stored and resumed is the training that was never interrupted, bit for bit."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from marketnn import registry
from marketnn.errors import InputError
from marketnn.network import BPNetwork
from marketnn.optim import LevenbergMarquardt, TrainingResult, train
from marketnn.optim.minibatch import MiniBatchLM
from marketnn.optim.problem import flat_parameters, load_parameters
from marketnn.tracking.checkpoint import load_checkpoint, save_checkpoint


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def noisy(n: int = 40, seed: int = 0) -> tuple[Tensor, Tensor]:
    x = draw(n, 2, seed=seed)
    return x, 0.5 + 0.3 * torch.sin(9 * x[:, :1]) * x[:, 1:] + 0.05 * (draw(n, 1, seed=seed + 1) - 0.5)


def named(name: str, **numbers: Any) -> Callable:
    return registry.build("optimizer", {"name": name, **numbers})


def lm(**options: Any) -> Callable:
    return lambda module: LevenbergMarquardt(module, **options)


OPTIMIZERS: dict[str, Callable] = {
    "lm": named("lm"),
    "lm dual": lm(solver="gram"),
    "lm autodiff": lm(solver="autodiff"),
    "lm multiplicative": lm(damping_rule="multiplicative", damping=1e-8),
    "lm own first damping": lm(damping=None),
    "lm options": lm(geodesic=True, scaling="column"),
    "lm evidence": lm(evidence=True),
    "lm_minibatch": lambda module: MiniBatchLM(module, batch_rows=15, seed=3),
    "gd momentum": named("gd", momentum=0.9),
    "adam": named("adam"),
    "lbfgs": named("lbfgs"),
}
SETTINGS = [
    (name, members, validated)
    for name in OPTIMIZERS
    for members in (None, 3)
    for validated in (False, True)
    if not (name == "lbfgs" and members)
]


def network(members: int | None = None) -> BPNetwork:
    return BPNetwork([2, 6, 1], members=members, seed=4)


def assert_same(mine: TrainingResult, theirs: TrainingResult) -> None:
    assert (mine.stop_reason, mine.best_epoch) == (theirs.stop_reason, theirs.best_epoch)
    assert mine.history.keys() == theirs.history.keys()
    for name, column in theirs.history.items():
        if name != "seconds":
            assert mine.history[name] == column, name
            assert [type(entry) for entry in mine.history[name]] == [type(entry) for entry in column], name


@pytest.mark.parametrize(("name", "members", "validated"), SETTINGS)
def test_thirty_epochs_are_twelve_stored_and_resumed(name, members, validated, tmp_path):
    x, y = noisy()
    options: dict[str, Any] = {"optimizer": OPTIMIZERS[name], "max_epochs": 30, "weight": 0.1 + draw(40, seed=9)}
    if validated:
        options |= {"validation": noisy(50, 5), "max_fail": 15}
    whole = network(members)
    expected = train(whole, x, y, **options)
    if len(expected.history["epoch"]) <= 12:
        pytest.fail("the training ends before the interruption; choose other data")
    path = tmp_path / "checkpoint"

    def store(named: dict[str, Tensor]) -> None:
        if len(named["history/epoch"]) == 12:
            save_checkpoint(path, named)

    train(
        network(members),
        x,
        y,
        **options,
        on_checkpoint=store,
        on_epoch=lambda record: record["epoch"] == 12,
    )
    fresh = BPNetwork([2, 6, 1], members=members, seed=77)
    found = train(fresh, x, y, **options, resume=load_checkpoint(path))
    assert torch.equal(flat_parameters(fresh), flat_parameters(whole))
    assert_same(found, expected)
    assert found.history["seconds"] == sorted(found.history["seconds"])


def test_members_that_had_stopped_stay_stopped():
    x, y = noisy()
    options: dict[str, Any] = {"goal": 0.0012, "max_epochs": 40}
    whole, stored = network(5), {}
    expected = train(whole, x, y, **options, on_checkpoint=lambda named: stored.update({len(stored) + 1: named}))
    ends = [reason == "goal" for reason in expected.stop_reason]
    assert any(ends)
    for epoch in sorted({min(epoch + 1, len(stored) - 1) for epoch in expected.best_epoch}):
        resumed = network(5)
        assert_same(train(resumed, x, y, **options, resume=stored[epoch]), expected)
        assert torch.equal(flat_parameters(resumed), flat_parameters(whole))


def test_every_checkpoint_of_a_run_leads_to_the_same_end():
    """Checkpoints kept in memory are not changed by the epochs that follow."""
    x, y = noisy()
    options: dict[str, Any] = {"optimizer": lm(evidence=True), "max_epochs": 8, "validation": noisy(50, 5)}
    whole, kept = network(2), []
    expected = train(whole, x, y, **options, on_checkpoint=kept.append)
    for named in kept:
        again = network(2)
        assert_same(train(again, x, y, **options, resume=named), expected)
        assert torch.equal(flat_parameters(again), flat_parameters(whole))


def test_checkpoints_come_as_often_as_asked_and_hold_named_tensors_only():
    seen = []

    def note(named: dict[str, Tensor]) -> None:
        assert all(isinstance(tensor, Tensor) for tensor in named.values())
        seen.append(len(named["history/epoch"]))

    train(network(), *noisy(), max_epochs=11, checkpoint_epochs=4, on_checkpoint=note)
    assert seen == [4, 8, 11]  # the last of all, whatever ended the training
    seen.clear()
    train(network(), *noisy(), max_epochs=11, checkpoint_epochs=4, on_checkpoint=note, goal=1.0)
    assert seen == [1]
    with pytest.raises(InputError, match="checkpoint_epochs=0"):
        train(network(), *noisy(), checkpoint_epochs=0)


@pytest.mark.parametrize("name", ["lm", "lm evidence", "adam", "gd momentum", "lbfgs"])
def test_a_training_that_has_ended_goes_on_from_its_end_to_more_epochs(name, tmp_path):
    x, y = noisy()
    options: dict[str, Any] = {"optimizer": OPTIMIZERS[name], "validation": noisy(50, 5), "max_fail": 30}
    whole, path = network(), tmp_path / "c"
    expected = train(whole, x, y, **options, max_epochs=17)
    train(
        network(),
        x,
        y,
        **options,
        max_epochs=10,
        checkpoint_epochs=4,
        on_checkpoint=lambda named: save_checkpoint(path, named),
    )
    resumed = network()
    stored = load_checkpoint(path)
    assert len(stored["history/epoch"]) == 10
    assert_same(train(resumed, x, y, **options, max_epochs=17, resume=stored), expected)
    assert torch.equal(flat_parameters(resumed), flat_parameters(whole))


def test_a_resumed_training_may_go_on_for_longer_and_after_a_reason_from_outside():
    x, y = noisy()
    whole, kept = network(), []
    expected = train(whole, x, y, max_epochs=20)
    result = train(network(), x, y, max_epochs=20, time_limit=0.0, on_checkpoint=kept.append)
    assert (result.stop_reason, len(kept)) == ("time_limit", 1)
    short = train(network(), x, y, max_epochs=6, on_checkpoint=kept.append)
    assert short.stop_reason == "max_epochs"
    for named in (kept[0], kept[-1]):
        resumed = network()
        assert_same(train(resumed, x, y, max_epochs=20, resume=named), expected)
        assert torch.equal(flat_parameters(resumed), flat_parameters(whole))
    nothing = train(network(), x, y, max_epochs=6, resume=kept[-1])
    assert_same(nothing, short)


@pytest.mark.parametrize("name", ["lm", "lm evidence", "adam", "lm_minibatch"])
def test_resumed_on_every_device(device, name, tmp_path):
    x, y = (part.to(device) for part in noisy())

    def build() -> BPNetwork:
        return BPNetwork([2, 6, 1], members=2, seed=4, device=device)

    options: dict[str, Any] = {"optimizer": OPTIMIZERS[name], "max_epochs": 6}
    whole, resumed = build(), build()
    expected = train(whole, x, y, **options)
    path = tmp_path / "c"
    train(
        build(),
        x,
        y,
        **options,
        checkpoint_epochs=3,
        on_checkpoint=lambda named: save_checkpoint(path, named),
        on_epoch=lambda record: record["epoch"] == 3,
    )
    assert_same(train(resumed, x, y, **options, resume=load_checkpoint(path, device)), expected)
    assert torch.equal(flat_parameters(resumed).cpu(), flat_parameters(whole).cpu())


def checkpoint(module: torch.nn.Module, x: Tensor, y: Tensor, **options: Any) -> dict[str, Tensor]:
    kept: list[dict[str, Tensor]] = []
    train(module, x, y, max_epochs=2, on_checkpoint=kept.append, **options)
    return kept[-1]


@pytest.mark.parametrize(
    ("sizes", "members"),
    [([2, 5, 1], None), ([2, 6, 1], 2), ([2, 6, 1], 1), ([6, 3, 1], None)],
    ids=["other width", "members", "one member", "other shape of as many parameters"],
)
def test_a_checkpoint_of_another_module_is_refused(sizes, members):
    x, y = noisy()
    named = checkpoint(network(), x, y)
    other = BPNetwork(sizes, members=members, seed=1)
    assert members or sizes != [6, 3, 1] or flat_parameters(other).shape == flat_parameters(network()).shape
    before = flat_parameters(other)
    with pytest.raises(InputError):
        train(other, draw(40, sizes[0]), y, max_epochs=3, resume=named)
    assert torch.equal(flat_parameters(other), before)


@pytest.mark.parametrize(
    ("stored", "resumed"),
    [
        ("lm", "adam"),
        ("lm", "lm evidence"),
        ("lm", "lm_minibatch"),
        ("adam", "lm"),
        ("adam", "gd momentum"),
        ("adam", "lbfgs"),
        ("lm_minibatch", "adam"),
    ],
)
def test_a_checkpoint_of_another_optimizer_is_refused(stored, resumed):
    x, y = noisy()
    named = checkpoint(network(), x, y, optimizer=OPTIMIZERS[stored])
    with pytest.raises(InputError):
        train(network(), x, y, optimizer=OPTIMIZERS[resumed], max_epochs=3, resume=named)


@pytest.mark.parametrize("missing", ["parameters", "kept", "rules", "optimizer/damping"])
def test_an_incomplete_checkpoint_is_refused(missing):
    named = checkpoint(network(), *noisy())
    del named[missing]
    with pytest.raises(InputError):
        train(network(), *noisy(), max_epochs=3, resume=named)


def test_an_empty_checkpoint_is_refused():
    with pytest.raises(InputError, match="the checkpoint lacks kept, parameters, rules, shapes"):
        train(network(), *noisy(), resume={})


def test_a_failure_in_the_middle_costs_the_epochs_since_the_checkpoint_only(tmp_path: Path):
    """A callback that raises stands for a killed process: the file then holds the last whole epoch."""
    x, y = noisy()
    whole = network()
    expected = train(whole, x, y, max_epochs=10)
    path = tmp_path / "c"

    def fail(record: dict[str, Any]) -> None:
        if record["epoch"] == 7:
            raise KeyboardInterrupt

    broken = network()
    with pytest.raises(KeyboardInterrupt):
        train(broken, x, y, max_epochs=10, on_epoch=fail, on_checkpoint=lambda named: save_checkpoint(path, named))
    named = load_checkpoint(path)
    assert len(named["history/epoch"]) == 6
    load_parameters(broken, torch.full_like(flat_parameters(broken), math.pi))
    assert_same(train(broken, x, y, max_epochs=10, resume=named), expected)
    assert torch.equal(flat_parameters(broken), flat_parameters(whole))
