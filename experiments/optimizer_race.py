"""Optimisers on equal terms: one network, the same first weights and rows, each with its own optimiser."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from experiments.fitting import Prepared
from marketnn import registry
from marketnn.network import BPNetwork
from marketnn.optim import train

SETTLED = 0.8  # a run whose best validation error lies within this share of its epochs has nothing more to find


@dataclass(frozen=True)
class Lap:
    """One training.

    Attributes:
        problem, method, seed: what was trained.
        loss: training MSE by epoch, scaled scores.
        seconds: since the start, by epoch.
        test_rmse: at the weights of the best validation loss, in the problem's unit.
        ended: whether the last fifth of the epochs brought no better validation loss; otherwise the run was cut off, and its
            ``test_rmse`` only bounds what it might have reached.
    """

    problem: str
    method: str
    seed: int
    loss: np.ndarray
    seconds: np.ndarray
    test_rmse: float
    ended: bool

    def reach(self, level: float) -> tuple[float, float]:
        """Return epochs and seconds until the training MSE is not above a level; infinite where it never is."""
        there = np.flatnonzero(self.loss <= level)
        return (float(there[0] + 1), float(self.seconds[there[0]])) if len(there) else (math.inf, math.inf)


def run_lap(prepared: Prepared, method: str, settings: Mapping[str, Any], hidden: Sequence[int], seed: int) -> Lap:
    """Train one network by one method for its budget of epochs."""
    network = BPNetwork([prepared.train.x.shape[1], *hidden, 1], seed=seed)
    result = train(
        network,
        prepared.train.x,
        prepared.train.y,
        optimizer=registry.build("optimizer", settings["optimizer"]),
        max_epochs=settings["max_epochs"],
        validation=(prepared.validation.x, prepared.validation.y),
        max_fail=settings["max_epochs"],  # the budget is the same for all, so validation only chooses the weights
    )
    with torch.no_grad():
        error = (network(prepared.test.x) - prepared.test.y).square().mean().sqrt().item()
    loss, seconds = (np.array(result.history[name]) for name in ("loss", "seconds"))
    assert isinstance(result.best_epoch, int)  # a single network
    ended = result.best_epoch <= SETTLED * len(loss)
    return Lap(prepared.name, method, seed, loss, seconds, error * prepared.unit, ended)


def standings(laps: Sequence[Lap], levels: Sequence[int]) -> pd.DataFrame:
    """Compare the methods on each problem, medians over seeds.

    Args:
        laps: of all problems, methods and seeds; the method ``LM`` sets the marks.
        levels: the marks are LM's training MSE after so many epochs, by problem and seed.

    Returns:
        Indexed by problem and method: ``test_rmse``, ``train_mse`` (the last), ``epochs`` and ``seconds`` (in all), ``ended``
        (0 when most seeds were cut off), ``lm_epochs_until_its_end`` and ``lm_seconds_until_its_end`` (until LM has the training
        MSE with which the method ended), and for every level the epochs and seconds to it; infinite where most seeds did
        not get there.
    """
    frame = pd.DataFrame([_line(lap, laps, levels) for lap in laps])
    return frame.groupby(["problem", "method"], sort=False).median()


def _line(lap: Lap, laps: Sequence[Lap], levels: Sequence[int]) -> dict[str, float | str]:
    (lm,) = [other for other in laps if (other.problem, other.seed, other.method) == (lap.problem, lap.seed, "LM")]
    line: dict[str, float | str] = {
        "problem": lap.problem,
        "method": lap.method,
        "test_rmse": lap.test_rmse,
        "train_mse": lap.loss[-1],
        "epochs": len(lap.loss),
        "seconds": lap.seconds[-1],
        "ended": float(lap.ended),
    }
    line["lm_epochs_until_its_end"], line["lm_seconds_until_its_end"] = lm.reach(lap.loss[-1])
    for level in levels:
        line[f"epochs_to_{level}"], line[f"seconds_to_{level}"] = lap.reach(lm.loss[min(level, len(lm.loss)) - 1])
    return line
