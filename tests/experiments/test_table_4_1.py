"""Table 4.1: exactly the known faults, and a verdict that hangs on every printed number."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from experiments.claims import Claims, load_claims
from experiments.ledger import Row
from experiments.logistic_audit import audit
from experiments.paper_a.table_4_1 import ledger_row, printed_rows

CLAIMS = load_claims()
TABLE = CLAIMS.printed["A"]["Table 4.1"]["rows"]
ERRATA = CLAIMS.errata["A"]["Table 4.1"]
CELLS = [(variable, column) for variable in TABLE for column in range(4)]
PAIRS = [(group, variable) for group in ("std_error", "z", "p_tenfold", "p_digits") for variable in ERRATA[group]]


def row(claims: Claims) -> Row:
    rows = printed_rows(claims)
    return ledger_row(claims, rows, audit(rows))


def test_exactly_the_known_faults_are_found() -> None:
    found = {(fault.variable, fault.column, fault.cause) for fault in audit(printed_rows(CLAIMS))}
    assert found == {
        ("is_tj", "std_error", "one digit"),
        ("is_wb_bind_user_lst1", "std_error", "one digit"),
        ("is_wb_bind_user_lst2", "std_error", "one digit"),
        ("effect_date", "z", "row below"),
        ("last_voice_to_now", "z", "row below"),
        ("cur_mon_voice_days", "z", "row below"),
        ("if_ct_cur_day", "p", "tenfold"),
        ("if_jmb_cur_day", "p", "unexplained"),
        ("if_order_wb", "p", "unexplained"),
        ("is_wb_bind_user_lst1", "p", "unexplained"),
        ("is_pre_prd_chng_down", "p", "unexplained"),
        ("cur_mon_voice_days", "p", "unexplained"),
    }


def test_the_table_is_reproduced_up_to_its_errata() -> None:
    found = row(CLAIMS)
    assert found.verdict == "reproduced"
    assert found.item == "Table 4.1"
    assert found.ours["is_wb_bind_user_lst1 std_error repaired"] == 1.132989531
    assert found.ours["rows with p below the level"] == len(TABLE) == 14


def test_a_repaired_table_has_only_the_faults_of_p() -> None:
    repaired = {variable: [*cells] for variable, cells in TABLE.items()}
    for place, group in ((1, "std_error"), (2, "z"), (3, "p_tenfold")):
        for variable, (_, value) in ERRATA[group].items():
            repaired[variable][place] = value
    claims = Claims({"A": {"Table 4.1": {"rows": repaired}}}, {})
    assert {fault.variable for fault in audit(printed_rows(claims))} == set(ERRATA["p_digits"])


@pytest.mark.parametrize(("variable", "column"), CELLS)
def test_another_printed_number_changes_the_verdict(
    variable: str, column: int, changed_claims: Callable[..., Claims]
) -> None:
    value = repr(1.5 * float(TABLE[variable][column]))
    found = row(changed_claims(["A", "Table 4.1", "rows", variable, column], value))
    assert found.verdict == "not reproducible"
    assert " differs: ours " in found.reason


@pytest.mark.parametrize(("group", "variable"), PAIRS)
@pytest.mark.parametrize("side", [0, 1])
def test_another_erratum_changes_the_verdict(
    group: str, variable: str, side: int, changed_claims: Callable[..., Claims]
) -> None:
    text = ERRATA[group][variable][side]
    last_digit_changed = text[:-1] + str((int(text[-1]) + 2) % 10)
    found = row(changed_claims(["A", "Table 4.1", group, variable, side], last_digit_changed, errata=True))
    assert found.verdict == "not reproducible"
    assert variable in found.reason
