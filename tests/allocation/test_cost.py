"""Marketing cost: the sum of its items, the slopes of its equations, ranges that are kept."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketnn.allocation import MarketingCost
from marketnn.allocation.cost import RANGES
from marketnn.data.cost_sheet import EXAMPLE
from marketnn.errors import InputError
from marketnn.report.cost_figures import tornado_figure

EXAMPLE_COST = MarketingCost.read(EXAMPLE)
AMOUNT = st.floats(0, 1e6, allow_subnormal=False)
COSTS = st.builds(
    MarketingCost,
    **{name: AMOUNT for name in asdict(EXAMPLE_COST) if name not in (*RANGES, "sales_base", "currency")},
    training_ratio=st.floats(0.1, 0.2),
    depreciation_rate=st.floats(0.1, 0.2),
    after_sales_rate=st.floats(0.005, 0.01),
)


def test_the_example_by_hand() -> None:
    cost = EXAMPLE_COST
    assert cost.human == pytest.approx(220_000 * 1.15 + 30_000)
    assert cost.physical == pytest.approx(0.15 * 60_000 + 40_000)
    assert cost.financial == pytest.approx(140_000 + 36_000 + 9_000 + 14_000)
    assert cost.channel == pytest.approx(0.0075 * 5_000_000 + 50_000)
    assert cost.total == pytest.approx(283_000 + 49_000 + 199_000 + 87_500 + 90_000)
    assert cost.ratio == pytest.approx(708_500 / 5_000_000)
    assert cost.currency == "yuan"


@settings(deadline=None, max_examples=50)
@given(cost=COSTS)
def test_items_sum_to_the_total_and_the_interval_has_the_equations_width(cost: MarketingCost) -> None:
    assert cost.items()["amount"].sum() == pytest.approx(cost.total, abs=1e-6)
    low, high = cost.interval
    width = 0.1 * cost.salaries + 0.1 * cost.hardware + 0.005 * cost.sales
    assert high - low == pytest.approx(width, rel=1e-9, abs=1e-6)
    assert low - 1e-6 <= cost.total <= high + 1e-6


@settings(deadline=None, max_examples=25)
@given(cost=COSTS, step=st.floats(1.0, 1e3))
def test_the_gradient_is_the_difference_quotient(cost: MarketingCost, step: float) -> None:
    for name, slope in cost.gradient.items():
        if name in RANGES:
            low, high = RANGES[name][:2]
            ends: list[Any] = [replace(cost, **{name: end}).total for end in (low, high)]  # type: ignore[arg-type]
            quotient = (ends[1] - ends[0]) / (high - low)
        else:
            quotient = (replace(cost, **{name: getattr(cost, name) + step}).total - cost.total) / step  # type: ignore[arg-type]
        assert slope == pytest.approx(quotient, rel=1e-6, abs=1e-3)
    gradient = cost.gradient
    assert (gradient["salaries"], gradient["hardware"], gradient["sales"]) == (
        1 + cost.training_ratio,
        cost.depreciation_rate,
        cost.after_sales_rate,
    )


def test_the_tornado_moves_one_item_at_a_time() -> None:
    table = EXAMPLE_COST.tornado()
    assert table.index[0] == "salaries"
    assert table["swing"].is_monotonic_decreasing
    for name, row in table.iterrows():
        for end in ("low", "high"):
            moved = replace(EXAMPLE_COST, **{str(name): row["from" if end == "low" else "to"]})  # type: ignore[arg-type]
            assert row[end] == pytest.approx(moved.total)
    (axes,) = tornado_figure(table, EXAMPLE_COST.total, xlabel="cost").axes
    assert [text.get_text() for text in axes.get_yticklabels()][-1] == "salaries"
    widths = sorted(patch.get_width() for patch in axes.patches)
    assert widths[-1] == pytest.approx(table["high"].iloc[0] - EXAMPLE_COST.total)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"training_ratio": 0.25},
            r"training_ratio=0.25 is outside \[0.1, 0.2\], the range of alpha \(paper A, eq. 3.1\)",
        ),
        ({"depreciation_rate": 0.05}, r"depreciation_rate=0.05 is outside \[0.1, 0.2\]"),
        ({"after_sales_rate": 0.02}, r"after_sales_rate=0.02 is outside \[0.005, 0.01\]"),
        ({"training_ratio": float("nan")}, "training_ratio=nan"),
        ({"travel": -1.0}, "travel=-1.0 is no cost"),
        ({"travel": float("inf")}, "travel=inf is no cost"),
        ({"travel": True}, "travel=True is no cost"),
        ({"sales_base": "pieces"}, "choose revenue or volume"),
    ],
)
def test_bad_items(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(EXAMPLE_COST, **changes)


def test_a_volume_has_no_cost_ratio() -> None:
    with pytest.raises(InputError, match="no revenue"):
        _ = replace(EXAMPLE_COST, sales_base="volume").ratio
