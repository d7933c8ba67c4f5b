"""Made-up offers of a telephone operator: 125 fields, the paper's shares, presets that are what they say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import precision_score, recall_score, roc_auc_score

from marketnn import registry
from marketnn.data.field_dictionary import NAMED, added_traffic, fields, normalised_name, period_type
from marketnn.data.offers import PRECISION, RECALL, SUCCESS, TARGET, draw_campaign
from marketnn.errors import InputError


def test_the_fields_are_the_papers() -> None:
    frame = draw_campaign(500, seed=1).frame
    assert frame.shape == (500, 125)
    named = [name for name, field in fields().items() if field.table in NAMED]
    assert len(named) == 36
    assert list(frame.columns[:36]) == named
    assert frame["Serv_number"].is_unique
    np.testing.assert_allclose(frame["Fee_front"] % 1, 0)
    expected = period_type(frame["Period_front"], frame["Period_after"])
    assert frame["Period_type"].tolist() == expected.tolist()
    assert set(expected) == {"12", "24", "3+9", "6+6", "12+12"}


@pytest.mark.parametrize("preset", ["auc801", "acc9379"])
def test_chances_have_the_papers_share_and_repeat(preset: str) -> None:
    drawn = draw_campaign(40_000, preset, seed=2)  # type: ignore[arg-type]
    assert drawn.chance.mean() == pytest.approx(SUCCESS, abs=2e-3)
    y = drawn.frame[TARGET].to_numpy()
    z = (y - drawn.chance).sum() / np.sqrt((drawn.chance * (1 - drawn.chance)).sum())
    assert abs(z) < 4
    again = draw_campaign(40_000, preset, seed=2)  # type: ignore[arg-type]
    pd.testing.assert_frame_equal(again.frame, drawn.frame)


def test_the_presets_allow_what_they_are_named_for() -> None:
    many = draw_campaign(60_000, "auc801", seed=0)
    assert roc_auc_score(many.frame[TARGET], many.chance) == pytest.approx(0.815, abs=0.01)
    rule = draw_campaign(60_000, "acc9379", seed=0)
    y, called = rule.frame[TARGET], rule.chance > 0.5
    assert precision_score(y, called) == pytest.approx(PRECISION, abs=5e-3)
    assert recall_score(y, called) == pytest.approx(RECALL, abs=8e-3)
    assert (y == called).mean() == pytest.approx(0.9379, abs=3e-3)


def test_it_is_a_data_source() -> None:
    table = registry.build("data", {"name": "offers", "n": 300})
    assert len(table.features.columns) == 123
    assert table.binary_target()[1] == "1"


def test_spellings_are_normalised() -> None:
    pairs = {
        "Credit_class_id": "Creditclassid",
        "Lasti1_dou": "last1_dou",
        "if_wary": "If_wzry",
        " Inclu_flh ": "Inclu_flu",
    }
    assert {name: normalised_name(name) for name in pairs} == pairs
    with pytest.raises(InputError, match="Did you mean 'Join_duration'"):
        normalised_name("Join_durations")


def test_derived_fields() -> None:
    assert period_type(pd.Series([12, 3]), pd.Series([0, 9])).tolist() == ["12", "3+9"]
    assert added_traffic(pd.Series([30.0]), pd.Series([12.5])).tolist() == [17.5]
    with pytest.raises(InputError, match="Period_front is 0"):
        period_type(pd.Series([0]), pd.Series([3]))
    with pytest.raises(InputError, match=r"Period_after is 1\.5"):
        period_type(pd.Series([3]), pd.Series([1.5]))


def test_bad_numbers() -> None:
    with pytest.raises(InputError, match="n=10"):
        draw_campaign(10)
    with pytest.raises(InputError, match="preset=auc90"):
        draw_campaign(200, "auc90")  # type: ignore[arg-type]
