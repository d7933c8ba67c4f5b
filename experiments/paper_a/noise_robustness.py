"""A:74, LMBP "may not perform optimally ... in highly volatile conditions": noise on the scores that it learns from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from experiments.experiment import Findings, Workspace
from experiments.fitting import Part, Prepared
from experiments.stress import Settings, Study, run_study
from marketnn.seed import child_seed, torch_generator


def run(workspace: Workspace) -> Findings:
    """Add noise and compare what it costs with what the paper says."""
    return run_study(STUDY, workspace, workspace.settings(STUDY.settings))


def draw_noisy(prepared: Prepared, noise: float, settings: Settings) -> Part:
    """Draw samples of the training rows and add noise to their scores: the same rows and normal numbers at every strength."""
    generator = torch_generator(child_seed(settings["seed"], prepared.name))
    n = len(prepared.train.y)
    draws = [torch.randperm(n, generator=generator)[: settings["rows"]] for _ in range(settings["samples"])]
    samples = prepared.train.rows(torch.stack(draws))
    numbers = torch.randn(samples.y.shape, generator=generator, dtype=samples.y.dtype)
    return replace(samples, y=samples.y + noise * prepared.train.y.std() * numbers)


STUDY = Study(
    name="paper_a/noise_robustness",
    item="LMBP in volatile conditions",
    settings=Path(__file__).with_suffix(".yaml"),
    condition="noise",
    draw=draw_noisy,
    words=lambda noise: f"at noise {noise:g}",
    about="Normal noise, in standard deviations of the score, is added to what the networks learn from and not to the test.",
    xlabel="noise, standard deviations of the score",
    xscale="linear",
)
