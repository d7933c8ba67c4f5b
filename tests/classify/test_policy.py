"""The value of recommending: closed forms, and right within its standard errors where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from marketnn.classify import policy_value
from marketnn.classify.policy import AS_OFFERED, MATCHING, NORMALISED, WEIGHTED
from marketnn.errors import InputError


def test_a_tiny_case_by_hand() -> None:
    found = policy_value(["a", "a", "b", "b"], [1.0, 0.0, 4.0, 2.0], ["a", "b", "b", "a"])
    value = found.table.set_index("policy")["value"]
    assert value[MATCHING] == pytest.approx((1 + 4) / 2)
    assert value[WEIGHTED] == pytest.approx((1 / 0.5 + 4 / 0.5) / 4)
    assert value[NORMALISED] == pytest.approx(2.5)
    assert value["a to everybody"] == pytest.approx(0.5)
    assert value["b to everybody"] == pytest.approx(3.0)
    assert value[AS_OFFERED] == pytest.approx(7 / 4)
    assert found.best_single == "b"
    assert found.n_matched == 2


def test_estimates_are_unbiased_where_chances_differ() -> None:
    rng = np.random.default_rng(0)
    estimates = {MATCHING: [], WEIGHTED: [], NORMALISED: []}
    errors = []
    truth = 0.0
    for _ in range(200):
        x = rng.random(500)
        chance_b = 0.2 + 0.6 * x
        made = np.where(rng.random(500) < chance_b, "b", "a")
        reward = {"a": 0.6 - 0.2 * x, "b": 0.2 + 0.6 * x}
        recommended = np.where(reward["b"] > reward["a"], "b", "a")
        truth += np.maximum(reward["a"], reward["b"]).mean() / 200
        accepted = (rng.random(500) < np.where(made == "b", reward["b"], reward["a"])).astype(float)
        propensity = np.where(made == "b", chance_b, 1 - chance_b)
        table = policy_value(made, accepted, recommended, propensity=propensity).table.set_index("policy")
        for name, values in estimates.items():
            values.append(table.at[name, "value"])
        errors.append(table.at[WEIGHTED, "std_error"])
    for name in (WEIGHTED, NORMALISED):
        spread = np.std(estimates[name]) / np.sqrt(200)
        assert abs(np.mean(estimates[name]) - truth) < 3.5 * spread
    # Matching forgets that chances differ.
    assert abs(np.mean(estimates[MATCHING]) - truth) > 3.5 * np.std(estimates[MATCHING]) / np.sqrt(200)
    assert np.mean(errors) == pytest.approx(np.std(estimates[WEIGHTED]), rel=0.15)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((["a", "a"], [1, 0], ["a", "a"]), {}, "every row was made the offer 'a'"),
        ((["a", "b"], [1, 0], ["b", "a"]), {}, "nothing can be told"),
        ((["a", "b"], [1, np.nan], ["a", "b"]), {}, "value is nan in row 2"),
        ((["a", "b"], [1, 0, 1], ["a", "b"]), {}, "one for each row"),
        ((["a", "b"], [1, 0], ["a", "b"]), {"propensity": [0.5, 0.0]}, "above 0"),
    ],
)
def test_bad_rows(arguments: tuple[object, ...], options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        policy_value(*arguments, **options)  # type: ignore[arg-type]
