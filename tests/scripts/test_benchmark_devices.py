"""The benchmarks of cards and of scale: the work itself is tried here, small and on the CPU; no time is asserted."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from marketnn.errors import InputError

BENCH = dict[str, ModuleType]


def test_the_work_for_a_card_gives_the_same_result_on_every_device(bench: BENCH) -> None:
    options = bench["case"].Options(seed=0, threads=1, quick=True, output="")
    cases = bench["cases_gpu"].cases_on(options, ("cpu", "cpu:0"))
    assert [case.name for case in cases[-2:]] == ["lloyd", "assignment"]
    for case in (cases[0], *cases[-2:]):
        runs = [bench["measure"].prepare(contender)() for contender in case.contenders]
        assert runs[0]["result"] == runs[1]["result"] > 0
        assert runs[0]["ms per step"] > 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card")
def test_without_a_card_it_says_so(bench: BENCH, tmp_path: Path) -> None:
    options = bench["case"].Options(seed=0, threads=1, quick=True, output=str(tmp_path))
    assert len(bench["cases_gpu"].cases(options)) == 6
    with pytest.raises(InputError, match="sees no CUDA card on this machine"):
        bench["harness"].run_engine("gpu", "bench.cases_gpu", options)
    assert list(tmp_path.iterdir()) == []


def test_every_pipeline_is_measured_against_its_rows(bench: BENCH) -> None:
    scale = bench["cases_scale"]
    cases = scale.cases(bench["case"].Options(seed=0, threads=1, quick=True, output=""))
    assert [case.name for case in cases if not case.slow] == [
        "churn_1_million",
        "segment_1_million",
        "allocate_1_million",
    ]
    for case in cases:
        assert case.goals[-2].of == case.contenders[-1].name
    assert scale.churn_of(1_000, 0)().probability.shape == (1_000,)
    segmented = scale.segment_of(1_000, 0)()
    assert len(segmented.profile) >= 5
    assigned = scale.allocate_of(1_200, 0)().assigned
    assert assigned.status == "optimal"
    assert np.bincount(assigned.offer[assigned.offer >= 0]).max() <= 20
