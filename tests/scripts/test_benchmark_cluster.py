"""The cases of the engine ``cluster`` at tiny sizes, and the sums by which results are compared; no time is asserted."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import cdist


@pytest.fixture
def cases(bench: dict[str, ModuleType], tmp_path: Path) -> dict[str, Any]:
    """The engine's cases in quick mode."""
    options = bench["case"].Options(seed=0, threads=1, quick=True, output=str(tmp_path))
    return {case.name: case for case in bench["cases_cluster"].cases(options)}


def test_every_case_of_cluster_is_well_formed(bench: dict[str, ModuleType], cases: dict[str, Any]) -> None:
    assert bench["harness"].engines()["cluster"] == "bench.cases_cluster"
    assert len(cases) == 17
    assert [name for name, case in cases.items() if case.slow] == ["parquet_50m"]
    for case in cases.values():
        names = [contender.name for contender in case.contenders]
        assert names[0].startswith("marketnn")
        assert len(set(names)) == len(names)
        assert {name for goal in case.goals for name in (goal.of, goal.over) if name} | {*case.memory} <= {*names}
        assert {goal.measure for goal in case.goals} <= {*case.columns, bench["machine"].MEMORY}
        assert case.check is None or case.check.measure in case.columns


@pytest.mark.parametrize("name", ["lloyd_36763_8_k6", "restarts_100_2_k4", "seeding_36763_8_k6"])
def test_what_is_installed_gives_the_same_clusters(
    bench: dict[str, ModuleType], cases: dict[str, Any], name: str
) -> None:
    case = cases[name]
    records = bench["measure"].measure_times(case, 1)
    statuses = bench["table"].statuses(bench["results"].Section(case, 0, 1, True, "", "", {}, records))
    assert statuses["marketnn"] == statuses["scikit-learn"] == "yes"
    assert not any(status.startswith("void") for status in statuses.values())
    assert {*case.columns} == {*records["marketnn"].runs[0]}


def test_sums_of_distances_are_those_of_all_pairs(bench: dict[str, ModuleType]) -> None:
    tasks = bench["cluster_tasks"]
    x = tasks.blobs(25_000, 3, 4, 0.1, seed=1) + np.float32(1e3)
    centres = x[:5]
    nearest = cdist(x, centres).min(axis=1)
    assert tasks.sse(x, centres) == pytest.approx((nearest**2).sum(), rel=1e-9)
    assert tasks.distance_sum(x, centres) == pytest.approx(nearest.sum(), rel=1e-6)


def test_a_fit_that_ends_early_is_no_measurement(bench: dict[str, ModuleType]) -> None:
    lloyd, x = bench["cluster_lloyd"], np.repeat(np.float32([[0.0], [1.0]]), 50, axis=0)
    start = bench["cluster_tasks"].Start(x, np.float32([[0.0], [1.0]]))
    with pytest.raises(RuntimeError, match="rounds were taken instead of 7"):
        lloyd.sklearn_rounds(start, 7)


def test_a_round_takes_the_difference_of_two_fits(
    bench: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    lloyd, clock = bench["cluster_lloyd"], [0.0]
    monkeypatch.setattr(lloyd.time, "perf_counter", lambda: clock[0])
    start = bench["cluster_tasks"].Start(np.zeros((4, 1), np.float32), np.zeros((1, 1), np.float32))

    def fit(start: Any, rounds: int) -> np.ndarray:
        clock[0] += 10.0 + 2.0 * rounds
        return start.centres + rounds

    contender = lloyd.rounds_contender("ours", "", lambda: start, (5, 15), fit)
    assert contender.prepare()() == {"ms per round": 2000.0, "ms per fit": 40000.0, "SSE": 4 * 15.0**2}


def test_restarts_take_a_new_seed_every_run(bench: dict[str, ModuleType], cases: dict[str, Any]) -> None:
    seen: list[int] = []

    def fit(x: np.ndarray, seed: int) -> np.ndarray:
        seen.append(seed)
        return x[:1]

    run = bench["cluster_lloyd"]._restarts("", "", lambda: np.zeros((3, 1)), fit, seed=7).prepare()
    assert [run()["SSE"] for _ in range(3)] == [0.0] * 3
    assert seen == [7, 8, 9]


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not installed")
def test_r_takes_the_same_rows(bench: dict[str, ModuleType]) -> None:
    if bench["machine"].versions(["R/cluster"])["R/cluster"] is None:
        pytest.skip("R's package cluster is not installed")
    x = np.repeat([[0.0, 0.0], [5.0, 1.0], [0.0, 9.0]], 40, axis=0) + np.arange(120)[:, None] * 1e-3
    run = bench["cluster_medoids"].r_clara("R", lambda: x, 3, 5, range(3)).prepare()
    pairs = cdist(x, x)
    groups = [slice(0, 40), slice(40, 80), slice(80, 120)]
    best = sum(pairs[group, group].sum(axis=0).min() for group in groups)
    assert best <= run()["mean loss"] < 1.05 * best


def test_a_package_of_r_that_is_not_there_is_missing(
    bench: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    contender = bench["cluster_medoids"].r_clara("R", lambda: np.zeros((9, 2)), 2, 5, range(1))
    with pytest.raises(bench["case"].Missing, match="R/cluster is not installed"):
        bench["measure"].prepare(contender)


def test_a_parquet_file_holds_the_rows(bench: dict[str, ModuleType], tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    stream, path = bench["cluster_stream"], tmp_path / "rows.parquet"
    stream.write(path, 1_234, seed=3)
    expected = np.concatenate(list(stream.blocks(1_234, seed=3)))
    assert expected.dtype == np.float32
    np.testing.assert_array_equal(parquet.read_table(path).to_pandas().to_numpy(), expected)


def test_the_real_table_is_the_published_one(bench: dict[str, ModuleType], real_data: Path) -> None:
    rfm = bench["cluster_tasks"].retail_rfm()
    assert rfm.shape == (4_338, 3)
    assert rfm[:, 2].sum() == pytest.approx(8_911_407.90, abs=0.01)
    run = bench["cluster_optimum"].sklearn_starts("", 4, 50, range(1)).prepare()
    assert 0 <= run()["highest SSE / best known - 1"] + 1e-7 < 1e-3
