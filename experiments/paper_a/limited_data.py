"""A:74, LMBP "may not perform optimally with limited data": the test error against the number of training rows."""

from __future__ import annotations

from pathlib import Path

import torch

from experiments.experiment import Findings, Workspace
from experiments.fitting import Part, Prepared
from experiments.stress import Settings, Study, run_study
from marketnn.seed import child_seed, torch_generator


def run(workspace: Workspace) -> Findings:
    """Draw the learning curves and compare their ends with what the paper says."""
    return run_study(STUDY, workspace, workspace.settings(STUDY.settings))


def draw_rows(prepared: Prepared, rows: float, settings: Settings) -> Part:
    """Draw samples of so many training rows, without replacement within a sample."""
    generator = torch_generator(child_seed(settings["seed"], f"{prepared.name} {rows}"))
    n = len(prepared.train.y)
    draws = [torch.randperm(n, generator=generator)[: int(rows)] for _ in range(settings["samples"])]
    return prepared.train.rows(torch.stack(draws))


STUDY = Study(
    name="paper_a/limited_data",
    item="LMBP with limited data",
    settings=Path(__file__).with_suffix(".yaml"),
    condition="rows",
    draw=draw_rows,
    words=lambda rows: f"with {rows:g} rows",
    about="Networks learn from ever fewer rows.",
    xlabel="training rows",
    xscale="log",
)
