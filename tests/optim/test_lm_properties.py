"""What Levenberg-Marquardt promises on any data: losses that never rise, members that train as if alone, no NaN weights."""

from __future__ import annotations

import itertools
import math
import random
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from marketnn.errors import InputError
from marketnn.network import BPNetwork
from marketnn.optim import LevenbergMarquardt, TrainingResult, train
from marketnn.optim.paths.autodiff import AutodiffPath
from marketnn.optim.paths.autodiff_gram import AutodiffGramPath
from marketnn.optim.paths.dense_paths import GramPath, PackedPath
from marketnn.optim.paths.jacobian import JacobianPath
from marketnn.optim.problem import flat_parameters, load_parameters

CLASSES = {
    "packed": PackedPath,
    "jacobian": JacobianPath,
    "gram": GramPath,
    "autodiff": AutodiffPath,
    "autodiff_gram": AutodiffGramPath,
}
PATHS = tuple(CLASSES)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def noisy(n: int = 60, seed: int = 0) -> tuple[Tensor, Tensor]:
    x = draw(n, 2, seed=seed)
    return x, 0.5 + 0.3 * torch.sin(5 * x[:, :1]) * x[:, 1:] + 0.2 * (draw(n, 1, seed=seed + 1) - 0.5)


def fitted(network: torch.nn.Module, x: Tensor, y: Tensor, *, options: dict[str, Any], **more: Any) -> TrainingResult:
    return train(network, x, y, optimizer=lambda module: LevenbergMarquardt(module, **options), **more)


@pytest.mark.parametrize("run", range(20))
def test_the_loss_never_rises_in_a_thousand_runs(run):
    """20 settings of 50 networks each; the recorded losses are compared exactly."""
    choose = random.Random(run)
    d, m, n = choose.randint(1, 3), choose.randint(1, 2), choose.choice([3, 8, 15, 40])
    sizes = [d, *(choose.randint(1, 5) for _ in range(choose.randint(0, 2))), m]
    network = BPNetwork(
        sizes,
        hidden=choose.choice(["sigmoid", "tanh"]),
        output=choose.choice(["sigmoid", "identity", "tanh"]),
        members=50,
        seed=1_000 * run,
    )
    own = choose.random() < 0.5
    x = choose.choice([1.0, 10.0]) * draw(*([50] if own else []), n, d, seed=run)
    y = choose.choice([0.1, 1.0, 3.0]) * draw(n, m, seed=run + 100)
    options = {
        "solver": ("auto", *PATHS)[run % 6],
        "damping": 10.0 ** choose.randint(-9, 3),
        "damping_rule": choose.choice(["nielsen", "multiplicative"]),
    }
    if options["solver"] in ("packed", "jacobian", "autodiff"):
        options["scaling"] = choose.choice(["identity", "column"])
    weight = draw(n, seed=run + 200) if choose.random() < 0.3 else None
    history = fitted(network, x, y, options=options, max_epochs=40, weight=weight).history["loss"]
    first, last = torch.tensor(history[0], dtype=torch.float64), torch.tensor(history[-1], dtype=torch.float64)
    rises = torch.tensor(history, dtype=torch.float64).diff(dim=0)
    assert (rises <= 0).all(), f"{options}, {sizes}, {n} rows: {int((rises > 0).sum())} rises, {rises.max():g} at most"
    assert (last < first).any()


@pytest.mark.parametrize("geodesic", [False, True])
def test_an_accelerated_loss_never_rises_either(geodesic):
    x, y = noisy()
    network = BPNetwork([2, 6, 1], members=30, seed=2)
    history = fitted(network, 6 * x, y, options={"damping": 1e-8, "geodesic": geodesic}, max_epochs=40).history["loss"]
    assert (torch.tensor(history, dtype=torch.float64).diff(dim=0) <= 0).all()


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("data", ["shared", "own"])
def test_a_member_has_its_own_damping_trials_and_end(name, data):
    """Members stop at different epochs; each one's whole course is that of the same network trained alone."""
    members, n = 5, 30
    x, y = noisy(n, 3)
    weight = 0.2 + draw(n, seed=2)
    if data == "own":
        x, y = (torch.stack(each) for each in zip(*(noisy(n, 10 * r) for r in range(members)), strict=True))
        weight = 0.2 + draw(members, n, seed=2)
    options: dict[str, Any] = {"solver": name, "damping": 1e-6}
    together = BPNetwork([2, 4, 1], members=members, seed=40)
    ends: dict[str, Any] = {"goal": 0.0035, "validation": noisy(60, 9), "max_fail": 3, "max_epochs": 12}
    result = fitted(together, x, y, weight=weight, options=options, **ends)
    assert len(set(result.best_epoch)) > 1
    assert len(set(result.stop_reason)) > 1
    for r in range(members):
        single = BPNetwork([2, 4, 1], seed=40 + r)
        own = [each[r] if data == "own" else each for each in (x, y, weight)]
        alone = fitted(single, own[0], own[1], weight=own[2], options=options, **ends)
        assert (alone.stop_reason, alone.best_epoch) == (result.stop_reason[r], result.best_epoch[r])
        torch.testing.assert_close(flat_parameters(together)[r], flat_parameters(single), rtol=1e-7, atol=1e-7)
        for column in ("loss", "validation_loss", "damping", "gradient_norm", "tries"):
            course = [entry[r] for entry in result.history[column]]
            epochs = len(alone.history[column])
            assert course[:epochs] == pytest.approx(alone.history[column], rel=1e-6, abs=1e-12)
            assert set(course[epochs:]) <= {course[epochs - 1]}


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("own_data", [False, True])
def test_finished_members_cost_nothing_and_only_rejected_ones_are_tried_again(name, own_data, monkeypatch):
    networks: dict[str, list[int]] = {"linearise": [], "sse": [], "factor": []}

    def counted(method: str, kept: Any) -> Any:
        def call(self: Any, problem: Any, w: Tensor) -> Any:
            networks[method].append(len(w))
            assert problem.members == len(w)
            return kept(self, problem, w)

        return call

    for method in ("linearise", "sse"):
        monkeypatch.setattr(CLASSES[name], method, counted(method, getattr(CLASSES[name], method)))
    cholesky = torch.linalg.cholesky_ex

    def counted_cholesky(matrix: Tensor) -> Any:
        networks["factor"].append(len(matrix))
        return cholesky(matrix)

    monkeypatch.setattr(torch.linalg, "cholesky_ex", counted_cholesky)
    members = 6
    lead = [members] if own_data else []
    x, y = 8 * draw(*lead, 14, 2) - 4, draw(*lead, 14, 1, seed=1)
    network = BPNetwork([2, 4, 1], members=members, seed=3)
    optimizer = LevenbergMarquardt(network, solver=name, damping=1e-9)
    retried, losses_known = False, False
    for active in ([True] * 6, [True] * 6, [True] * 6, [True, False, True, True, False, False], [False] * 5 + [True]):
        for calls in networks.values():
            calls.clear()
        tries = optimizer.step(x, y, active=active).tries.tolist()
        rounds = [sum(t > done for t in tries) for done in range(max(tries))]
        assert rounds[0] == sum(active)
        first = [] if losses_known else [members]  # of new data: computed as trials compute theirs
        assert networks == {"linearise": [sum(active)], "sse": first + rounds, "factor": rounds}
        losses_known = True
        retried |= len(set(rounds)) > 1
    assert retried
    for calls in networks.values():
        calls.clear()
    assert optimizer.step(x, y, active=[False] * 6).tries.tolist() == [0] * 6
    assert networks == {"linearise": [], "sse": [], "factor": []}


KINDS = (
    "constant inputs",
    "duplicated rows",
    "duplicated columns",
    "one row",
    "zero inputs",
    "saturated",
    "zero targets",
)


def degenerate(kind: str, n: int, d: int, m: int, seed: int) -> tuple[Tensor, Tensor]:
    x, y = draw(n, d, seed=seed), draw(n, m, seed=seed + 1)
    if kind == "constant inputs":
        x = x[:1].expand(n, -1).clone()
    elif kind == "duplicated rows":
        x, y = x[:1].repeat(n, 1), y[:1].repeat(n, 1)
    elif kind == "duplicated columns":
        x = x[:, :1].repeat(1, d)
    elif kind == "one row":
        x, y = x[:1], y[:1]
    elif kind == "zero inputs":
        x = 0 * x
    elif kind == "saturated":
        x = 1e6 * x
    else:
        y = 0 * y
    return x, y


@settings(deadline=None, max_examples=120)
@given(
    kind=st.sampled_from(KINDS),
    name=st.sampled_from(PATHS),
    sizes=st.lists(st.integers(1, 4), min_size=2, max_size=4),
    members=st.sampled_from([None, 2]),
    output=st.sampled_from(["sigmoid", "identity"]),
    damping=st.sampled_from([1e-20, 1e-3, 1e10]),
    n=st.integers(2, 12),
    zero_weights=st.booleans(),
    same_weights=st.booleans(),
    seed=st.integers(0, 99),
)
def test_singular_problems_leave_finite_weights_and_no_higher_loss(
    kind, name, sizes, members, output, damping, n, zero_weights, same_weights, seed
):
    x, y = degenerate(kind, n, sizes[0], sizes[-1], seed)
    network = BPNetwork(sizes, members=members, output=output, seed=seed)
    if same_weights:
        load_parameters(network, torch.zeros_like(flat_parameters(network)))  # every unit of a layer alike
    weight = torch.ones(len(x), dtype=torch.float64)
    if zero_weights:
        weight[1:] = 0
    optimizer = LevenbergMarquardt(network, solver=name, damping=damping)
    last = math.inf
    for _ in range(5):
        report = optimizer.step(x, y, weight)
        assert flat_parameters(network).isfinite().all()
        for fact in (report.loss, report.new_loss, report.damping, report.gain_ratio, report.gradient_norm):
            assert fact.isfinite().all()
        assert (report.new_loss <= report.loss).all()
        assert (report.new_loss <= last).all()
        last = report.new_loss


@pytest.mark.parametrize("members", [None, 2])
@pytest.mark.parametrize("name", PATHS)
def test_weights_that_are_all_zero_are_refused(name, members):
    network = BPNetwork([3, 2, 1], members=members)
    before = flat_parameters(network)
    weights = [torch.zeros(5, dtype=torch.float64)]
    if members:
        weights.append(torch.stack((torch.ones(5, dtype=torch.float64), weights[0])))
    for weight in weights:
        with pytest.raises(InputError, match="the weights are all 0"):
            LevenbergMarquardt(network, solver=name).step(draw(5, 3), draw(5, 1), weight)
    assert torch.equal(flat_parameters(network), before)


@pytest.mark.parametrize("name", PATHS)
@settings(deadline=None, max_examples=12)
@given(
    member=st.integers(0, 2),
    row=st.integers(0, 10),
    where=st.sampled_from(["x", "y", "weight"]),
    value=st.sampled_from([math.nan, math.inf, -math.inf]),
)
def test_one_bad_number_in_one_members_batch_is_named_and_moves_no_one(name, member, row, where, value):
    data = {"x": draw(3, 11, 2), "y": draw(3, 11, 1, seed=1), "weight": 0.1 + draw(3, 11, seed=2)}
    network = BPNetwork([2, 3, 1], members=3, output="identity")
    optimizer = LevenbergMarquardt(network, solver=name)
    optimizer.step(**data)
    before, state = flat_parameters(network), optimizer.state_dict()
    bad = {key: tensor.clone() for key, tensor in data.items()}
    bad[where][member, row] = value
    with pytest.raises(InputError, match=rf"{where} is .*not finite in row {row + 1}; repair or drop them"):
        optimizer.step(**bad)
    assert torch.equal(flat_parameters(network), before)
    assert all(torch.equal(each, state[key]) for key, each in optimizer.state_dict().items())
    assert optimizer.step(**data).accepted.any()


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize(
    ("x", "y"),
    [
        (draw(5, 2), draw(5, 1)),
        (draw(5, 4), draw(5, 1)),
        (draw(5, 3), draw(5, 2)),
        (draw(5, 4, 3), draw(5, 1)),
        (draw(1, 4, 3), draw(1, 1)),
        (draw(3), draw(3, 1)),
        (draw(5, 3), draw(4, 1)),
        (draw(0, 3), draw(0, 1)),
    ],
    ids=["narrow x", "wide x", "wide y", "x of three dimensions", "one row of three", "x of one", "rows", "no rows"],
)
def test_wrong_shapes_are_refused_in_words(name, x, y):
    network = BPNetwork([3, 2, 1])
    before = flat_parameters(network)
    with pytest.raises(InputError):
        LevenbergMarquardt(network, solver=name).step(x, y)
    assert torch.equal(flat_parameters(network), before)


@settings(deadline=None, max_examples=15)
@given(sizes=st.lists(st.integers(1, 30), min_size=2, max_size=6), seed=st.integers(0, 99), weighted=st.booleans())
def test_every_batch_reports_its_own_mean_squared_error(sizes, seed, weighted):
    network = BPNetwork([2, 3, 2], seed=seed)
    optimizer = LevenbergMarquardt(network)
    for number, n in enumerate(sizes):
        x, y = draw(n, 2, seed=seed + number), draw(n, 2, seed=seed + number + 50)
        weight = 0.1 + draw(n, seed=number) if weighted else torch.ones(n, dtype=torch.float64)

        def mse(x: Tensor = x, y: Tensor = y, weight: Tensor = weight) -> float:
            squares = weight.unsqueeze(-1) * (y - network(x).detach()).square()
            return float(squares.sum() / (2 * weight.sum()))

        before = mse()
        report = optimizer.step(x, y, weight if weighted else None)
        assert float(report.loss) == pytest.approx(before, rel=1e-9)
        assert float(report.new_loss) == pytest.approx(mse(), rel=1e-9)


@pytest.mark.parametrize("rule", ["nielsen", "multiplicative"])
def test_a_batch_that_is_fitted_exactly_does_not_end_the_training_on_the_others(rule):
    network = BPNetwork([2, 4, 1], seed=1)
    optimizer = LevenbergMarquardt(network, damping_rule=rule)
    x = draw(20, 2)
    assert not bool(optimizer.step(x, network(x).detach()).accepted)
    other, target = draw(20, 2, seed=2), draw(20, 1, seed=3)
    report = optimizer.step(other, target)
    assert int(report.tries) > 0
    assert report.new_loss < report.loss


class Uphill(torch.nn.Module):
    """Its outputs do not follow its Jacobian: every step leads uphill."""

    def __init__(self) -> None:
        super().__init__()
        self.w = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :1] * (2 * self.w.detach() - self.w)


@pytest.mark.parametrize("form", ["primal", "dual"])
@pytest.mark.parametrize(
    ("reason", "module", "ends"),
    [
        ("goal", [2, 5, 1], {"goal": 0.012}),
        ("gradient", [2, 1], {}),
        ("damping", None, {}),
        ("validation", [2, 15, 1], {"validation": noisy(200, 5), "max_fail": 2}),
        ("max_epochs", [2, 5, 1], {"max_epochs": 3}),
        ("time_limit", [2, 5, 1], {"time_limit": 0.0}),
        ("callback", [2, 5, 1], {"on_epoch": lambda record: record["epoch"] == 2}),
    ],
)
def test_every_end_has_its_name(form, reason, module, ends):
    x, y = noisy(30)
    network = Uphill() if module is None else BPNetwork(module, output="identity", seed=1)
    result = fitted(network, x, torch.zeros_like(y) if module is None else y, options={"solver": form}, **ends)
    assert result.stop_reason == reason
    history = result.history
    epochs = len(history["epoch"])
    if reason == "goal":
        assert history["loss"][-1] <= 0.012 < min([1.0, *history["loss"][:-1]])
    elif reason == "gradient":
        assert history["gradient_norm"][-1] < 1e-7
    elif reason == "damping":
        assert history["damping"][-1] > 1e10
        assert result.best_epoch == 0
    elif reason == "validation":
        assert result.best_epoch == epochs - 2
    else:
        assert epochs == {"max_epochs": 3, "time_limit": 1, "callback": 2}[reason]


def test_members_end_for_different_reasons_side_by_side():
    """Exact targets of member 0, a reachable goal for the others only."""
    x, _ = noisy(40)
    network = BPNetwork([2, 4, 1], members=4, seed=1)
    y = network(x).detach()
    y[1:] = noisy(40)[1]
    result = fitted(network, x, y, options={}, goal=None, max_epochs=6)
    assert result.stop_reason == ["gradient", "max_epochs", "max_epochs", "max_epochs"]
    losses = result.history["loss"]
    assert all(entry[0] == 0 for entry in losses)
    assert all(later <= earlier for a, b in itertools.pairwise(losses) for earlier, later in zip(a, b, strict=True))
