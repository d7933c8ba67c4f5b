"""Paper B, eq. 14-20: both rules against brute force, what the papers' rule is not, components, batches, bad input."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pretend_device import PretendDevice

from marketnn.allocation import allocate_resource
from marketnn.allocation.demand import empirical, poisson
from marketnn.allocation.resource import entropy_weights, fractile, unit_losses
from marketnn.errors import InputError

SHARED = np.array([0.1, 0.2, 0.0, 0.4, 0.3])


def random_pmfs(seed: int, n: int, x: int) -> np.ndarray:
    """Half of them sparse, so that weights of 0 occur in the middle and at the ends."""
    generator = np.random.default_rng(seed)
    chances = generator.gamma(0.4, size=(n, x)) * (
        generator.uniform(size=(n, x)) < np.where(np.arange(n) % 2, 0.5, 1)[:, None]
    )
    chances[:, 0] += 1e-3
    return chances / chances.sum(axis=1, keepdims=True)


def curve(weights: np.ndarray, surplus: np.ndarray, shortage: np.ndarray) -> np.ndarray:
    """Eq. 16 as printed once corrected, term by term: (n, X)."""
    m, x = np.indices((weights.shape[1],) * 2)
    return surplus[:, None] * (weights @ np.maximum(m - x, 0).T) + shortage[:, None] * (
        weights @ np.maximum(x - m, 0).T
    )


def test_both_rules_minimise_theirs_on_5000_random_pmfs() -> None:
    pmf = random_pmfs(0, 5_000, 12)
    generator = np.random.default_rng(1)
    surplus, shortage = generator.uniform(0.1, 10, (2, 5_000))
    found = allocate_resource(pmf, surplus_cost=surplus, shortage_cost=shortage)
    weights = -pmf * np.log2(np.where(pmf > 0, pmf, 1))
    for quantity, weighed, ours in (
        (found.entropy, weights, found.entropy_curve),
        (found.newsvendor, pmf, found.loss_curve),
    ):
        expected = curve(weighed, surplus, shortage)
        np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=1e-12)
        least = expected.min(axis=1)
        np.testing.assert_allclose(
            np.take_along_axis(expected, np.asarray(quantity)[:, None], 1)[:, 0], least, rtol=1e-12
        )
        # The smallest minimiser: one unit less is dearer.
        fewer = np.take_along_axis(expected, np.maximum(np.asarray(quantity) - 1, 0)[:, None], 1)[:, 0]
        assert ((fewer > least * (1 + 1e-13)) | (np.asarray(quantity) == 0)).all()
        assert (np.diff(expected, n=2, axis=1) >= -1e-9).all()
    assert (found.expected_loss.newsvendor <= found.expected_loss.entropy * (1 + 1e-12)).all()
    differ = float((found.entropy != found.newsvendor).double().mean())
    assert 0.1 < differ < 0.9, "the entropy rule is another rule"


def test_rare_demands_count_for_more_than_their_probability() -> None:
    weights = entropy_weights(torch.tensor([0.05, 0.9, 0.05], dtype=torch.float64))
    assert (weights / weights.sum()).tolist() == pytest.approx([0.380, 0.240, 0.380], abs=5e-4)
    found = allocate_resource([0.05, 0.9, 0.05], surplus_cost=1, shortage_cost=3)
    assert (found.entropy, found.newsvendor) == (2, 1)
    assert found.expected_loss.entropy == pytest.approx(1)
    assert found.expected_loss.newsvendor == pytest.approx(0.05 + 3 * 0.05)
    assert found.demand_entropy == pytest.approx(weights.sum().item())
    assert isinstance(found.entropy, int)
    assert isinstance(found.newsvendor, int)


def test_the_entropy_rule_depends_on_binning_and_the_newsvendor_does_not() -> None:
    # Half of 100 demands are 50, the others 51, 52, ..., 100. Counted in tens, 73 would be 8.
    demand = np.concatenate([np.full(50, 50), np.arange(51, 101)])
    coarse = allocate_resource(empirical(demand, unit=10).pmf, surplus_cost=12, shortage_cost=13)
    fine = allocate_resource(empirical(demand).pmf, surplus_cost=12, shortage_cost=13)
    assert (coarse.newsvendor, fine.newsvendor) == (6, 52)
    assert (coarse.entropy, fine.entropy) == (7, 73)


def test_a_uniform_demand_and_a_certain_one_leave_both_rules_alike() -> None:
    for x in range(2, 40):
        for shortage in (0.3, 1, 1.5, 4):
            found = allocate_resource(np.full(x, 1 / x), surplus_cost=1, shortage_cost=shortage)
            assert found.entropy == found.newsvendor
            assert found.largest.entropy == found.largest.newsvendor
    certain = allocate_resource([0, 0, 0, 1, 0], surplus_cost=1, shortage_cost=5)
    assert (certain.entropy, certain.newsvendor, certain.demand_entropy) == (3, 3, 0)
    assert certain.expected_loss == (0, 0)


def test_where_the_fractile_is_met_exactly_the_next_quantities_are_as_good() -> None:
    found = allocate_resource([0.5, 0, 0, 0.5], surplus_cost=1, shortage_cost=1)
    assert (found.entropy, found.newsvendor) == (0, 0)
    assert found.largest == (3, 3)
    assert found.loss_curve.tolist() == [1.5, 1.5, 1.5, 1.5]


@settings(deadline=None, max_examples=100)
@given(
    chances=arrays(np.float64, st.integers(2, 20), elements=st.floats(0.01, 1)),
    surplus=st.floats(0.01, 100),
    shortage=st.floats(0.01, 100),
    factor=st.floats(1e-3, 1e3),
)
def test_only_the_ratio_of_the_costs_decides(
    chances: np.ndarray, surplus: float, shortage: float, factor: float
) -> None:
    pmf = chances / chances.sum()
    one = allocate_resource(pmf, surplus_cost=surplus, shortage_cost=shortage)
    other = allocate_resource(pmf, surplus_cost=factor * surplus, shortage_cost=factor * shortage)
    assert (one.entropy, one.newsvendor) == (other.entropy, other.newsvendor)
    dear = allocate_resource(pmf, surplus_cost=1e-12, shortage_cost=shortage)
    cheap = allocate_resource(pmf, surplus_cost=surplus, shortage_cost=1e-12)
    assert (dear.entropy, dear.newsvendor) == (len(pmf) - 1,) * 2
    assert (cheap.entropy, cheap.newsvendor) == (0, 0)


def test_components_add_up_and_their_sensitivities_are_differences() -> None:
    whole = allocate_resource(SHARED, surplus_cost=1.5, shortage_cost=3)
    parts = allocate_resource(SHARED, surplus_cost=[1, 0.5], shortage_cost=[2, 0.75, 0.25])
    assert (parts.entropy, parts.newsvendor) == (whole.entropy, whole.newsvendor)
    assert parts.expected_loss == pytest.approx(whole.expected_loss)
    table = parts.components()
    assert table["side"].tolist() == ["surplus"] * 2 + ["shortage"] * 3
    assert table["cost"].tolist() == [1, 0.5, 2, 0.75, 0.25]
    for rule in ("entropy", "newsvendor"):
        assert table[f"{rule}_loss"].sum() == pytest.approx(getattr(parts.expected_loss, rule))
    dearer = allocate_resource(SHARED, surplus_cost=[1, 0.5 + 1e-4], shortage_cost=3)
    rise = (dearer.expected_loss.newsvendor - whole.expected_loss.newsvendor) / 1e-4
    assert rise == pytest.approx(table["newsvendor_units"][1], rel=1e-6)


@pytest.mark.parametrize("place", range(4))
def test_a_component_moves_the_quantity_where_its_range_ends(place: int) -> None:
    costs = [1.0, 0.5, 2.0, 1.0]

    def quantities(cost: float) -> dict[str, int]:
        given = [*costs[:place], cost, *costs[place + 1 :]]
        found = allocate_resource(SHARED, surplus_cost=given[:2], shortage_cost=given[2:])
        return {"entropy": found.entropy, "newsvendor": found.newsvendor}

    row = allocate_resource(SHARED, surplus_cost=costs[:2], shortage_cost=costs[2:]).components().iloc[place]
    for rule in ("entropy", "newsvendor"):
        low, high, here = row[f"{rule}_from"], row[f"{rule}_to"], quantities(costs[place])[rule]
        assert low <= costs[place] <= high
        inside = [low * 1.001 + 1e-6, (low + min(high, 100)) / 2, min(high, 1e6) * 0.999]
        assert {quantities(cost)[rule] for cost in inside} == {here}
        if low > 0:
            assert quantities(low * 0.999)[rule] != here
        if high < math.inf:
            assert quantities(high * 1.001)[rule] != here


def test_segments_by_channels_at_once_are_each_alone(device: torch.device) -> None:
    pmf = torch.from_numpy(random_pmfs(3, 6, 9)).reshape(2, 3, 9)
    shortage = torch.tensor([1.0, 2.0, 9.0], dtype=torch.float64)
    found = allocate_resource(pmf.to(device), surplus_cost=[1, 0.5], shortage_cost=[shortage.to(device), 0.5])
    for s in range(2):
        for c in range(3):
            alone = allocate_resource(pmf[s, c], surplus_cost=1.5, shortage_cost=shortage[c].item() + 0.5)
            assert found.entropy.cpu()[s, c].item() == alone.entropy
            assert found.newsvendor.cpu()[s, c].item() == alone.newsvendor
            assert found.expected_loss.entropy.cpu()[s, c].item() == pytest.approx(alone.expected_loss.entropy)
            assert found.shortage.newsvendor.cpu()[s, c].item() == pytest.approx(alone.shortage.newsvendor)
            torch.testing.assert_close(found.entropy_curve.cpu()[s, c], alone.entropy_curve)
    assert found.entropy.device == device
    with pytest.raises(InputError, match="describes one pmf"):
        found.components()
    with PretendDevice(host_sync="error"):
        weights = entropy_weights(pmf.to(device))
        there = [*unit_losses(weights), *fractile(weights, shortage.to(device) / 12)]
    here = [*unit_losses(entropy_weights(pmf)), *fractile(entropy_weights(pmf), shortage / 12)]
    for one, other in zip(there, here, strict=True):
        torch.testing.assert_close(one.cpu(), other, rtol=1e-14, atol=0)


def test_the_expected_loss_is_that_of_simulated_demand() -> None:
    demand = np.random.default_rng(5).poisson(7, 200_000)
    found = allocate_resource(poisson(7.0).pmf, surplus_cost=1, shortage_cost=4)
    for rule in ("entropy", "newsvendor"):
        m = getattr(found, rule)
        losses = np.maximum(m - demand, 0) + 4 * np.maximum(demand - m, 0)
        error = losses.std() / math.sqrt(len(demand))
        assert getattr(found.expected_loss, rule) == pytest.approx(losses.mean(), abs=4 * error)
        assert getattr(found.surplus, rule) == pytest.approx(np.maximum(m - demand, 0).mean(), abs=0.05)


@pytest.mark.parametrize(
    ("pmf", "message"),
    [
        ([0.5, 0.4], r"pmf sums to 0\.9: 0\.1 is missing"),
        ([0.5, 0.7], r"pmf sums to 1\.2: 0\.2 too much"),
        ([[0.5, 0.5], [0.5, 0.25]], r"pmf\[1\] sums to 0\.75: 0\.25 is missing"),
        ([0.5, -0.1, 0.6], r"pmf: the probability of demand 1 is -0\.1"),
        ([[1, 0], [math.nan, 1]], r"pmf\[1\]: the probability of demand 0 is nan"),
        ([], r"not empty"),
        (1.0, r"shape \(\)"),
        (["a"], r"no table of numbers"),
        ([[0.5, 0.5], [1.0]], r"no table of numbers"),
    ],
)
def test_what_is_no_distribution_is_refused(pmf: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        allocate_resource(pmf, surplus_cost=1, shortage_cost=1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("surplus", "shortage", "message"),
    [
        (0, 1, r"surplus_cost=0 is not possible"),
        (-1, 1, r"surplus_cost=-1 is not possible"),
        (1, math.nan, r"shortage_cost=nan is not possible"),
        (1, [1, -2], r"shortage_cost=-2 is not possible"),
        (1, [], r"shortage_cost is an empty list"),
        (1, [0, 0], r"shortage_cost=0 is not possible"),
        (np.ones(3), 1, r"neither a number nor one per pmf \(\)"),
        ("much", 1, r"surplus_cost='much' is neither a number"),
    ],
)
def test_bad_costs_are_refused(surplus: object, shortage: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        allocate_resource([0.5, 0.5], surplus_cost=surplus, shortage_cost=shortage)  # type: ignore[arg-type]
