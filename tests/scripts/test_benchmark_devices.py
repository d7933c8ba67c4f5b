"""The benchmarks of cards and of scale: the work itself is tried here, small and on the CPU; no time is asserted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

BENCH = dict[str, ModuleType]


def test_the_work_for_a_card_gives_the_same_result_on_every_device(bench: BENCH) -> None:
    options = bench["case"].Options(seed=0, threads=1, quick=True, output="")
    cases = bench["cases_gpu"].all_cases(options, ("cpu", "cpu:0"))
    assert [case.name for case in cases[-2:]] == ["lloyd", "assignment"]
    for case in (cases[0], *cases[-2:]):
        runs = [bench["measure"].prepare(contender)() for contender in case.contenders]
        assert runs[0]["result"] == runs[1]["result"] > 0
        assert runs[0]["ms per step"] > 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card")
def test_without_a_card_it_says_so(scripts: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(scripts / "benchmark.py"), "gpu", "--output", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(scripts.parent)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "sees no CUDA card on this machine" in ended.stderr
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
