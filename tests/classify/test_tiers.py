"""The four tiers: bounds as the paper has them, hit rates as statsmodels has them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from marketnn.classify import channel_saving, hit_rates, recommendation_tier
from marketnn.classify.tiers import TIERS
from marketnn.errors import InputError


def test_the_bounds_are_the_papers() -> None:
    p = [0, 0.1999999, 0.2, 0.4999999, 0.5, 0.8, 0.8000001, 1]
    found = recommendation_tier(p)
    assert found.tier.tolist() == [1, 1, 2, 2, 3, 3, 4, 4]
    assert found.channel.tolist()[::2] == ["", "follow-up calls", "simple call", "SMS"]
    assert found.calibration == "uncalibrated"
    assert recommendation_tier(p, calibrated=True).calibration == "calibrated"


@given(p=st.floats(0, 1))
def test_every_probability_has_one_tier_and_a_single_one_gives_single_values(p: float) -> None:
    found = recommendation_tier(p)
    bands = [p < 0.2, 0.2 <= p < 0.5, 0.5 <= p <= 0.8, p > 0.8]
    assert [found.tier == number for number in (1, 2, 3, 4)] == bands
    assert (found.name, found.action) == (TIERS[found.tier - 1].name, TIERS[found.tier - 1].action)


def test_hit_rates_have_wilsons_intervals() -> None:
    y = [0, 1, 1, 0, 1, 1, 1]
    table = hit_rates(y, [1, 1, 2, 2, 2, 4, 4])
    assert table["rows"].tolist() == [2, 3, 0, 2]
    assert table["accepted"].tolist() == [1, 2, 0, 2]
    np.testing.assert_allclose(table["hit_rate"], [0.5, 2 / 3, np.nan, 1.0])
    assert (table.loc[1, "low"], table.loc[1, "high"]) == pytest.approx(proportion_confint(2, 3, method="wilson"))
    assert np.isnan(table.loc[2, "low"])


def test_messages_save_the_difference_in_tier_4() -> None:
    assert channel_saving([1, 4, 4, 3], outbound_cost=2.0, sms_cost=0.5) == pytest.approx(3.0)


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan"), [0.3, 2.0]])
def test_no_probabilities(p: object) -> None:
    with pytest.raises(InputError, match=r"probabilities lie in \[0, 1\]"):
        recommendation_tier(p)  # type: ignore[arg-type]


def test_no_tiers_and_no_costs() -> None:
    with pytest.raises(InputError, match="a tier is 5"):
        hit_rates([0, 1], [1, 5])
    with pytest.raises(InputError, match="one for each row"):
        hit_rates([0, 1], [1])
    with pytest.raises(InputError, match="sms_cost=-1"):
        channel_saving([4], outbound_cost=1.0, sms_cost=-1.0)
