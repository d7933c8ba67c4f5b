"""The audit finds the misprints of paper A's tables 4.3 and 4.4 by itself, and nothing in numbers that belong together."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_score, recall_score

from marketnn.classify import audit
from marketnn.classify.consistency import auc_floor, columns_swapped, implied_prevalence, repair_digits

MODELS = ["CART", "LR", "RF", "XGBoost"]
TABLE_4_3 = pd.DataFrame(  # the columns as their headings have them: "EP" is fp
    {
        "tp": [4789, 4362, 5165, 1225],
        "tn": [2907, 2892, 2912, 3183],
        "fp": [8611, 9035, 8239, 2169],
        "fn": [3247, 2852, 3126, 2638],
    },
    index=MODELS,
)
TABLE_4_4 = (
    pd.DataFrame(
        {
            "accuracy": [74.11, 74.08, 75.23, 93.79],
            "precision": [35.69, 32.58, 38.49, 83.68],
            "recall": [59.55, 60.38, 62.37, 94.55],
            "f1": [44.68, 42.29, 47.57, 88.81],
        },
        index=MODELS,
    )
    / 100
)


def test_the_misprints_are_found() -> None:
    found = audit(TABLE_4_3, TABLE_4_4, auc={"XGBoost": 0.801}, n=45_756)
    told = {(finding.kind, finding.model, finding.printed): finding for finding in found}
    assert sum(finding.kind == "columns" for finding in found) == 2
    for model, printed in TABLE_4_3["tn"].items():
        assert told["cell", str(model), printed].what == "tn lost a digit"
    assert told["cell", "XGBoost", 1225].repaired == 11225
    assert told["cell", "XGBoost", 2638].repaired == 638
    assert len([finding for finding in found if finding.kind == "cell"]) == 6
    assert told["auc", "XGBoost", 0.801].repaired == pytest.approx(0.820, abs=5e-4)
    assert not [finding for finding in found if finding.kind == "f1"]


def test_the_test_set_is_found_from_the_numbers() -> None:
    share = implied_prevalence(TABLE_4_4["accuracy"], TABLE_4_4["recall"], TABLE_4_4["precision"])
    assert share.tolist() == pytest.approx([0.2924, 0.2919, 0.2923, 0.2937], abs=1e-4)
    printed = implied_prevalence(TABLE_4_4["accuracy"], TABLE_4_4["precision"], TABLE_4_4["recall"])
    assert printed.tolist() == pytest.approx([0.1752, 0.1575, 0.1804, 0.2599], abs=1e-4)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**31), n=st.integers(400, 4000))
def test_nothing_is_found_in_sound_tables(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    y = rng.random(n) < rng.uniform(0.15, 0.4)
    cells, measures = {}, {}
    for model in "abcd":
        called = np.where(y, rng.random(n) < rng.uniform(0.4, 0.9), rng.random(n) < rng.uniform(0.03, 0.1))
        tp, fp = int((called & y).sum()), int((called & ~y).sum())
        cells[model] = {"tp": tp, "tn": int((~called & ~y).sum()), "fp": fp, "fn": int((~called & y).sum())}
        measures[model] = {
            "accuracy": (called == y).mean(),
            "precision": precision_score(y, called),
            "recall": recall_score(y, called),
            "f1": f1_score(y, called),
        }
    metrics = pd.DataFrame(measures).T
    assert audit(pd.DataFrame(cells).T, metrics) == []
    swapped = metrics.rename(columns={"precision": "recall", "recall": "precision"})
    assert columns_swapped(swapped)
    assert not columns_swapped(metrics)


def test_other_misprints() -> None:
    wrong = TABLE_4_4.assign(precision=TABLE_4_4["recall"], recall=TABLE_4_4["precision"])
    wrong.loc["RF", "f1"] = 0.5757
    (finding,) = audit(metrics=wrong)
    assert (finding.kind, finding.model) == ("f1", "RF")
    other_set = wrong.assign(f1=TABLE_4_4["f1"])
    other_set.loc["RF", "accuracy"] = 0.9
    assert "positives" in {finding.kind for finding in audit(metrics=other_set)}


def test_digits_and_floors() -> None:
    assert repair_digits(638, 640) == 638
    assert repair_digits(2638, 640) == 638
    assert repair_digits(1225, 11213) == 11225
    assert repair_digits(5, 700) is None
    assert auc_floor(0.8368, 0.02) == pytest.approx(0.820, abs=1e-3)
