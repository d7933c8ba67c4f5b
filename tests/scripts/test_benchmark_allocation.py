"""The cases of the engine ``allocation`` at tiny sizes; no time is asserted."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def cases(bench: dict[str, ModuleType], tmp_path: Path) -> dict[str, Any]:
    """The engine's cases in quick mode."""
    options = bench["case"].Options(seed=0, threads=1, quick=True, output=str(tmp_path))
    return {case.name: case for case in bench["cases_allocation"].cases(options)}


def test_every_case_of_allocation_is_well_formed(bench: dict[str, ModuleType], cases: dict[str, Any]) -> None:
    assert bench["harness"].engines()["allocation"] == "bench.cases_allocation"
    assert len(cases) == 7
    for case in cases.values():
        names = [contender.name for contender in case.contenders]
        assert names[0] == "marketnn"
        assert len(set(names)) == len(names)
        assert {name for goal in case.goals for name in (goal.of, goal.over) if name} | {*case.memory} <= {*names}
        assert {goal.measure for goal in case.goals} <= {*case.columns, bench["machine"].MEMORY}


@pytest.mark.parametrize("name", ["assignment_10000", "budgets_100000", "plan_10_52", "max_plus_256_10_201"])
def test_what_is_installed_gives_the_same_value(bench: dict[str, ModuleType], cases: dict[str, Any], name: str) -> None:
    case = cases[name]
    records = bench["measure"].measure_times(case, 1)
    statuses = bench["table"].statuses(bench["results"].Section(case, 0, 1, True, "", "", {}, records))
    assert statuses["marketnn"] == "yes"
    assert not any(status.startswith("void") for status in statuses.values()), statuses


def test_tiered_customers_fall_into_few_kinds(bench: dict[str, ModuleType]) -> None:
    drawn = bench["allocation_tasks"].offers(5_000, 3, seed=1, tiered=True)
    assert len(np.unique(drawn.value, axis=0)) <= 4**3
    assert drawn.capacity.sum() <= 0.6 * 5_000
    assert len(np.unique(bench["allocation_tasks"].offers(5_000, 3, seed=1).value, axis=0)) > 4_900
