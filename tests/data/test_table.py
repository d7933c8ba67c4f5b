"""Roles, types, missing values and targets of a table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from marketnn.data import Raw, Role, TableOptions, assemble
from marketnn.errors import InputError


def table(frame: pd.DataFrame, **options: object):
    return assemble(Raw(frame, TableOptions(**options), "test"))


def customers(n: int = 40) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "CustomerID": [f"C{i:04}" for i in range(n)],
            "tenure": rng.integers(1, 70, n).astype(str),
            "plan": rng.choice(["basic", "plus"], n),
            "churn": ["yes", "no"] * (n // 2),
        }
    )


def test_roles_follow_the_values() -> None:
    schema = table(customers(), target="churn").schema
    assert [column.role for column in schema.columns] == [Role.ID, Role.NUMERIC, Role.CATEGORICAL, Role.TARGET]
    assert schema.features == ["tenure", "plan"]


def test_declarations_win() -> None:
    schema = table(customers(), target="churn", drop=("plan",), leakage=("tenure",), id=("CustomerID",)).schema
    assert [column.role for column in schema.columns] == [Role.ID, Role.LEAKAGE, Role.EXCLUDED, Role.TARGET]


@pytest.mark.parametrize("name", ["id", "ID", "user_id", "CustomerID", "customerid", "phone", "order-id"])
def test_ids_are_known_by_name_and_distinct_values(name: str) -> None:
    frame = customers().rename(columns={"CustomerID": name})
    assert table(frame, target="churn").schema.columns[0].role is Role.ID


@pytest.mark.parametrize("name", ["paid", "valid", "humid"])
def test_words_that_end_in_id_are_no_ids(name: str) -> None:
    frame = customers().rename(columns={"tenure": name})
    assert table(frame, target="churn").schema.columns[1].role is Role.NUMERIC


def test_a_repeated_value_is_no_id() -> None:
    frame = customers()
    frame["CustomerID"] = frame["CustomerID"].replace("C0001", "C0000")
    with pytest.raises(InputError, match=r"'CustomerID' has 39 different values in 40 rows.*data\.id=CustomerID"):
        table(frame, target="churn").ready()


def test_an_id_declared_a_feature_is_refused() -> None:
    with pytest.raises(InputError, match=r"'CustomerID' has 40 different values"):
        table(customers(), target="churn", categorical=("CustomerID",)).ready()


def test_an_id_that_repeats_is_refused_unless_declared() -> None:
    frame = customers().assign(household_id=[i // 3 for i in range(40)])
    with pytest.raises(InputError, match=r"'household_id' is named like an id and its values repeat; pass data\.id="):
        table(frame, target="churn").ready()
    assert "household_id" in table(frame, target="churn", categorical=("household_id",)).ready().schema.features


@pytest.mark.parametrize("written", ["{},5", "${}", "1,{}00.0", "{} %"])
def test_numbers_written_in_another_way_are_named(written: str) -> None:
    frame = customers().assign(price=[written.format(100 + i) for i in range(40)])
    with pytest.raises(InputError, match=r"'price' holds numbers written in another way, such as"):
        table(frame, target="churn").ready()


def test_one_role_per_column() -> None:
    with pytest.raises(InputError, match=r"'churn' stands in data\.target and in data\.drop; choose one"):
        table(customers(), target="churn", drop=("churn",))


def test_long_numbers_in_text_are_names() -> None:
    frame = customers().assign(account=[f"99071992547409{i:02}" for i in range(40)])
    assert table(frame, target="churn", id=("account",)).frame["account"][1] == "9907199254740901"
    with pytest.raises(InputError, match=r"'account' has 40 different values in 40 rows: it names rows"):
        table(frame, target="churn").ready()


@pytest.mark.parametrize("step", [1, 7])
def test_shuffled_row_counters_are_refused(step: int) -> None:
    frame = customers().assign(line=step * np.random.default_rng(0).permutation(40) + 13)
    with pytest.raises(InputError, match=r"'line' has 40 different values"):
        table(frame, target="churn").ready()


def test_a_row_counter_is_refused() -> None:
    frame = customers().assign(line=range(40))
    with pytest.raises(InputError, match=r"'line' has 40 different values.*names rows"):
        table(frame, target="churn").ready()


def test_numbers_among_text_are_numbers_and_strangers_are_named() -> None:
    frame = customers()
    frame.loc[[4, 11], "tenure"] = ["twelve", "?"]
    with pytest.raises(InputError, match=r"column 'tenure' holds numbers, but 2 rows \(5, 12\) have 'twelve', '\?'"):
        table(frame, target="churn")
    assert table(frame, target="churn", categorical=("tenure",)).frame["tenure"][4] == "twelve"


def test_a_column_of_mostly_text_is_text() -> None:
    frame = customers().assign(code=["7", "x"] * 20)
    assert table(frame, target="churn").schema.columns[-1].role is Role.CATEGORICAL


def test_infinite_values_are_named() -> None:
    frame = customers()
    frame.loc[2, "tenure"] = "inf"
    with pytest.raises(InputError, match=r"'tenure' is infinite in row 3"):
        table(frame, target="churn")


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("flat", "7", r"'flat' has the one value '7' in every row; pass data\.drop=\[flat\]"),
        ("void", "", r"'void' is empty in every row; pass data\.drop=\[void\]"),
    ],
)
def test_useless_columns_are_refused(column: str, values: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        table(customers().assign(**{column: values}), target="churn").ready()


def test_too_many_categories_are_refused() -> None:
    frame = pd.concat([customers(200)] * 2, ignore_index=True)
    frame["city"] = [f"c{i % 150}" for i in range(400)]
    with pytest.raises(InputError, match=r"'city' has 150 categories, more than 100"):
        table(frame, target="churn", drop=("CustomerID",)).ready()


def test_missing_values_are_an_error_by_default() -> None:
    frame = customers()
    frame.loc[[1, 5, 9, 20], "tenure"] = ["", "NA", "nan", "NULL"]
    with pytest.raises(
        InputError, match=r"'tenure' is missing in 4 rows \(2, 6, 10, \.\.\.\); pass data\.missing=drop"
    ):
        table(frame, target="churn").ready()


def test_missing_rows_can_be_dropped_and_keep_their_numbers() -> None:
    frame = customers()
    frame.loc[[1, 5], "tenure"] = ""
    ready = table(frame, target="churn", missing="drop").ready()
    assert len(ready.frame) == 38
    assert 2 not in ready.row_numbers
    assert ready.row_numbers[-1] == 40
    assert ready.notes == ("2 of 40 rows with a missing value were left out ('tenure' 2).",)


def test_the_median_policy_leaves_features_to_the_encoder_but_not_the_target() -> None:
    frame = customers()
    frame.loc[1, "tenure"] = ""
    assert table(frame, target="churn", missing="median").ready().frame["tenure"].isna().sum() == 1
    frame.loc[3, "churn"] = ""
    with pytest.raises(InputError, match=r"'churn' is missing in row 4"):
        table(frame, target="churn", missing="median").ready()


@pytest.mark.parametrize(
    ("values", "positive", "ones"),
    [
        (["1", "0"], None, "1"),
        (["no", "Yes"], None, "Yes"),
        (["left", "stays"], "left", "left"),
        (["0", "1"], "0", "0"),
    ],
)
def test_the_positive_class(values: list[str], positive: str | bool | None, ones: str) -> None:
    frame = customers().assign(churn=values * 20)
    y, name = table(frame, target="churn", positive=positive).binary_target()
    assert name == ones
    assert y.tolist() == [int(value == ones) for value in values] * 20


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["yes"] * 40, "has one class"),
        (["a", "b", "c", "a"] * 10, "has 3 classes"),
        (["left", "stays"] * 20, r"data\.positive="),
        (["1", "2"] * 20, r"data\.positive="),
    ],
)
def test_unusable_targets(values: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        table(customers().assign(churn=values), target="churn").binary_target()


def test_no_target_is_a_question() -> None:
    with pytest.raises(InputError, match=r"no target column; pass data\.target=\.\.\. \(columns: CustomerID"):
        table(customers()).binary_target()


@pytest.mark.parametrize("key", ["target", "drop", "id", "leakage", "categorical"])
def test_a_column_that_is_not_there_is_named_with_its_neighbour(key: str) -> None:
    given = "tenuer" if key == "target" else ("tenuer",)
    with pytest.raises(InputError, match=r"unknown column in data\.\w+ 'tenuer'\. Did you mean 'tenure'\?"):
        table(customers(), **{key: given})


def test_duplicate_names() -> None:
    frame = customers()
    frame.columns = ["a", "b", "a", "churn"]
    with pytest.raises(InputError, match=r"'a' stands 2 times \(columns 1, 3\)"):
        table(frame)


def test_typed_sources_keep_their_types() -> None:
    frame = pd.DataFrame(
        {
            "active": [True, False] * 20,
            "age": np.arange(40) % 7,
            "since": pd.to_datetime(["2024-01-01", "2024-02-01"] * 20),
            "churn": [1, 0] * 20,
        }
    )
    typed = table(frame, target="churn")
    assert [column.role for column in typed.schema.columns] == [Role.NUMERIC, Role.NUMERIC, Role.EXCLUDED, Role.TARGET]
    assert typed.frame["active"].tolist() == [1.0, 0.0] * 20
    assert typed.binary_target()[1] == "1"


def test_a_numeric_target_is_its_numbers() -> None:
    scores = table(customers().assign(churn=[f"{i / 4}" for i in range(40)]), target="churn").numeric_target()
    np.testing.assert_array_equal(scores, np.arange(40) / 4)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["yes", "no"] * 20, r"test: target 'churn' is text, such as 'yes'; a number is needed"),
        (["2.5"] * 40, r"test: target 'churn' is 2\.5 in every row; there is nothing to predict"),
    ],
)
def test_a_numeric_target_that_cannot_be(values: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        table(customers().assign(churn=values), target="churn").numeric_target()
