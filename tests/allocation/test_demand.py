"""Demand distributions: against SciPy, sampled data and tables, with what is cut off reported."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from marketnn.allocation import allocate_resource
from marketnn.allocation.demand import empirical, negative_binomial, poisson, table
from marketnn.errors import InputError


def test_frequencies_of_observations() -> None:
    demand = empirical([3, 1, 1, 0, 3, 3, 5, 3])
    assert demand.pmf.tolist() == [1 / 8, 2 / 8, 0, 4 / 8, 0, 1 / 8]
    assert (demand.tail_mass, demand.unit) == (0, 1)


def test_larger_units_round_up_and_a_limit_is_reported() -> None:
    demand = empirical([0, 4, 10, 11, 35], unit=10)
    assert demand.pmf.tolist() == pytest.approx([0.2, 0.4, 0.2, 0, 0.2])
    assert empirical([0.3, 0.6], unit=0.1).pmf.nonzero().flatten().tolist() == [3, 6]
    cut = empirical([0, 1, 2, 7, 9], largest=2)
    assert cut.pmf.tolist() == pytest.approx([0.2, 0.2, 0.6])
    assert cut.tail_mass == pytest.approx(0.4)


@pytest.mark.parametrize("mean", [0.01, 1.0, 40.0, 5_000.0])
def test_poisson(mean: float) -> None:
    demand = poisson(mean)
    last = len(demand.pmf) - 1
    np.testing.assert_allclose(demand.pmf[:-1], scipy.stats.poisson.pmf(np.arange(last), mean), rtol=1e-12)
    assert demand.pmf.sum().item() == pytest.approx(1, abs=1e-11)
    assert demand.tail_mass == pytest.approx(scipy.stats.poisson.sf(last, mean))
    assert demand.tail_mass <= 1e-9
    assert demand.pmf.numpy() @ np.arange(last + 1) == pytest.approx(mean, rel=1e-6)


def test_negative_binomial_has_its_mean_and_variance() -> None:
    demand = negative_binomial(6.0, 30.0)
    x, pmf = np.arange(len(demand.pmf)), demand.pmf.numpy()
    mean = pmf @ x
    assert mean == pytest.approx(6, rel=1e-6)
    assert pmf @ (x - mean) ** 2 == pytest.approx(30, rel=1e-4)
    close = negative_binomial(6.0, 6.0 + 1e-7, largest=25)
    np.testing.assert_allclose(close.pmf, poisson(6.0, largest=25).pmf, rtol=1e-5, atol=1e-12)


def test_many_demands_share_one_range() -> None:
    demand = poisson(np.array([[1.0, 5.0], [9.0, 20.0]]))
    assert demand.pmf.shape == (2, 2, len(poisson(20.0).pmf))
    np.testing.assert_allclose(demand.pmf.sum(-1), 1, atol=1e-12)
    np.testing.assert_allclose(demand.tail_mass[1, 1], poisson(20.0).tail_mass)
    rows = negative_binomial(np.array([2.0, 3.0]), 10.0, largest=30)
    np.testing.assert_allclose(rows.pmf[1], negative_binomial(3.0, 10.0, largest=30).pmf, rtol=1e-13)


def test_a_cut_leaves_the_newsvendor_where_it_was() -> None:
    whole = allocate_resource(poisson(10.0).pmf, surplus_cost=1, shortage_cost=3)
    cut = poisson(10.0, largest=14)
    assert cut.tail_mass == pytest.approx(scipy.stats.poisson.sf(14, 10))
    assert allocate_resource(cut.pmf, surplus_cost=1, shortage_cost=3).newsvendor == whole.newsvendor


def test_a_table_may_have_gaps_and_any_order() -> None:
    assert table([4, 0], [0.75, 0.25]).pmf.tolist() == [0.25, 0, 0, 0, 0.75]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: empirical([]), r"no observations"),
        (lambda: empirical([1, -2, 3]), r"demand is negative in row 2"),
        (lambda: empirical([1, 2, np.nan]), r"demand is NaN or infinite in row 3"),
        (lambda: empirical([1], unit=0), r"unit=0"),
        (lambda: empirical([1e12]), r"1e\+12, is not in 0 \.\. 1,000,000"),
        (lambda: empirical([1], largest=-1), r"-1, is not in"),
        (lambda: poisson(0), r"mean=0 is not possible"),
        (lambda: poisson(np.array([1.0, np.nan])), r"mean=nan"),
        (lambda: negative_binomial(5, 5), r"variance=5 is not above mean=5; use poisson"),
        (lambda: table([1, 1], [0.5, 0.5]), r"occurs twice"),
        (lambda: table([1, 2.5], [0.5, 0.5]), r"row 2 is 2\.5; pass whole numbers"),
        (lambda: table([1, 2], [0.5]), r"values \(2,\) and probabilities \(1,\) disagree"),
        (lambda: table([1, 2], [0.5, 0.4]), r"sums to 0\.9"),
    ],
)
def test_bad_input_is_refused(make: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()  # type: ignore[operator]
