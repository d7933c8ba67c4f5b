"""Encoding: pandas' own indicator columns as the oracle, and stated policies for what training never saw."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from marketnn.errors import InputError
from marketnn.preprocess.encoding import Encoder

TRAIN = pd.DataFrame({"age": [30.0, 40.0, np.nan, 55.0, 41.0], "plan": ["b", "a", "b", "c", np.nan]})


def test_columns_equal_pandas_indicators_without_the_commonest() -> None:
    encoded = Encoder.fit(TRAIN).transform(TRAIN).frame
    assert list(encoded.columns) == ["age", "plan=a", "plan=c"]
    expected = pd.get_dummies(TRAIN["plan"].fillna("b"), prefix="plan", prefix_sep="=", dtype=float).drop(
        columns="plan=b"
    )
    pd.testing.assert_frame_equal(encoded[["plan=a", "plan=c"]], expected)
    assert encoded["age"].tolist() == [30.0, 40.0, 40.5, 55.0, 41.0]


def test_a_tie_for_the_commonest_goes_to_the_first_in_the_alphabet() -> None:
    assert Encoder.fit(pd.DataFrame({"x": ["b", "a"]})).categories == {"x": ("a", "b")}


def test_unknown_and_missing_values_are_counted() -> None:
    new = pd.DataFrame({"age": [np.nan, 20.0, 30.0], "plan": ["z", "a", np.nan], "extra": [1, 2, 3]})
    encoded = Encoder.fit(TRAIN).transform(new)
    assert encoded.met.unknown == {"plan": 1}
    assert encoded.met.filled == {"age": 1, "plan": 1}
    assert encoded.frame.loc[0].tolist() == [40.5, 0.0, 0.0]
    with pytest.raises(InputError, match=r"column 'age' is missing in row 1"):
        Encoder.fit(TRAIN).transform(new, fill_missing=False)


def test_an_empty_column_is_filled() -> None:
    new = pd.DataFrame({"age": [1.0, 2.0], "plan": [np.nan, np.nan]})
    assert Encoder.fit(TRAIN).transform(new).met.filled == {"plan": 2}


def test_absent_and_mistyped_columns_are_named() -> None:
    with pytest.raises(InputError, match=r"the model needs columns 'age', 'plan'"):
        Encoder.fit(TRAIN).transform(pd.DataFrame({"x": [1]}))
    with pytest.raises(InputError, match=r"column 'age' is text \('old'\)"):
        Encoder.fit(TRAIN).transform(pd.DataFrame({"age": ["old"], "plan": ["a"]}))


def test_a_code_read_as_a_number_is_the_same_category() -> None:
    encoder = Encoder.fit(pd.DataFrame({"type": ["1", "2", "2"]}))
    assert encoder.transform(pd.DataFrame({"type": [1.0, 2.0]})).frame["type=1"].tolist() == [1.0, 0.0]


def test_json_round_trip() -> None:
    encoder = Encoder.fit(TRAIN)
    again = Encoder.from_dict(json.loads(json.dumps(encoder.to_dict(), allow_nan=False)))
    assert again == encoder
    assert again.columns == {"age": ["age"], "plan": ["plan=a", "plan=c"]}


def test_columns_that_cannot_be_encoded() -> None:
    with pytest.raises(InputError, match="two columns would both be encoded as 'a=b=c'"):
        Encoder.fit(pd.DataFrame({"a": ["x", "x", "b=c"], "a=b": ["x", "x", "c"]}))
    with pytest.raises(InputError, match="column 'a' is empty in every training row"):
        Encoder.fit(pd.DataFrame({"a": pd.Series([None, None], dtype=object)}))


def test_notes_say_what_happened() -> None:
    new = pd.DataFrame({"age": [np.nan, 20.0], "plan": ["z", "a"]})
    assert Encoder.fit(TRAIN).transform(new).met.notes == [
        "1 row with a value of 'plan' that no training row has: it counts as the commonest one.",
        "1 missing value of 'age' filled with the training rows' usual value.",
    ]
