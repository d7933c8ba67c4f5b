"""The scorecard itself: from a table to a trained network, its errors and what moves the score, without writing anything."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression

from marketnn import registry
from marketnn.data import Role, Table
from marketnn.errors import InputError, rows_text
from marketnn.pipeline.parts import Parts, Stage
from marketnn.pipeline.scorecard.directions import Directions
from marketnn.pipeline.scorecard.model import ScorecardModel
from marketnn.preprocess import Encoded, Encoder
from marketnn.scorecard import (
    GRADES,
    MAX_SPECTRUM,
    Fit,
    IndexSystem,
    ThreeWaySplit,
    learn_score,
    score_slopes,
    sensitivities,
    singular_values,
    three_way_split,
)
from marketnn.seed import child_seed


@dataclass(frozen=True)
class Config:
    """How a scorecard is learnt.

    Attributes:
        test_share: share of the rows kept for testing.
        validation_share: share of the rows that stop the training and choose the restart.
        members: restarts trained side by side; L-BFGS trains one.
        max_epochs: epochs at most.
        max_fail: stop a restart after so many successive epochs without a better validation loss.
        score_margin: room below and above the scale as a share of its width, since a sigmoid never reaches 0 or 1; 0 is eq. 2.8.
        score_range: bottom and top of the scale; ``None`` takes them from the training rows.
        index_system: ``default``, ``green`` or a YAML file: what the columns are as indices, which adds their directions and
            dimensions; ``None`` takes any columns.
        grades: grade -> least relative score (0 bottom of the scale, 1 top); what earns none is ``poor``.
    """

    test_share: float = 0.2
    validation_share: float = 0.15
    members: int = 5
    max_epochs: int = 3000
    max_fail: int = 20
    score_margin: float = 0.1
    score_range: tuple[float, ...] | None = None
    index_system: str | None = None
    grades: dict[str, float] = field(default_factory=lambda: dict(GRADES))


@dataclass(frozen=True)
class ScorecardAnalysis:
    """Everything a scorecard run found.

    Attributes:
        table: the rows analysed.
        score: (n,) the target.
        split: training, validation and test rows.
        encoded: all rows as numbers, by what the training rows taught.
        fit: the trained network and its training.
        model: scores new rows.
        predicted: (n,) the network's scores.
        baselines: name -> (n,) scores of the simpler models, which learn from all rows but the test rows.
        sensitivities: what moves the score on the test rows (``sensitivities``).
        directions: what the index system says of them (``Directions``); ``None`` without one.
        singular_values: (P,) of the residuals' Jacobian at the end, largest first; ``None`` unless training was by
            Levenberg-Marquardt and P is at most 3,000.
    """

    table: Table
    score: np.ndarray
    split: ThreeWaySplit
    encoded: Encoded
    fit: Fit
    model: ScorecardModel
    predicted: np.ndarray
    baselines: dict[str, np.ndarray]
    sensitivities: pd.DataFrame
    directions: Directions | None
    singular_values: np.ndarray | None


def analyse(table: Table, config: Config, parts: Parts, *, stage: Stage = lambda _: nullcontext()) -> ScorecardAnalysis:
    """Learn the score of a table.

    Args:
        table: rows with a numeric target.
        config: how.
        parts: scaler, network, optimiser, device and seed.
        stage: entered around each named stage, for timing and progress.

    Raises:
        InputError: the table or the configuration cannot be used; the message says what to change.
    """
    _check(config)
    system = None if config.index_system is None else IndexSystem.load(config.index_system)
    with stage("data processing"):
        table = table.ready()
        score = table.numeric_target()
        features = table.features
        if system is not None:
            system.require(list(features.columns), table.source)
        try:
            split = three_way_split(
                features,
                validation_share=config.validation_share,
                test_share=config.test_share,
                seed=child_seed(parts.seed, "split"),
            )
        except InputError as error:
            raise InputError(f"{table.source}: {error}") from error
        encoder = Encoder.fit(features.iloc[split.train])
        encoded = encoder.transform(features, source=table.source)
        score_range = _score_range(score, split, table, config)
    with stage("network construction"):
        rows = {
            use: (encoded.frame.iloc[places], score[places])
            for use, places in (("train", split.train), ("validation", split.validation))
        }
        learnt, fit = learn_score(
            **rows,
            scaler=registry.build("scaler", parts.scaler),
            network=registry.build("network", parts.network),
            optimizer=registry.build("optimizer", parts.optimizer),
            score_range=score_range,
            score_margin=config.score_margin,
            thresholds=config.grades,
            device=parts.torch_device(),
            members=_members(config, parts),
            seed=child_seed(parts.seed, "network"),
            max_epochs=config.max_epochs,
            max_fail=config.max_fail,
            checkpoints=parts.checkpoints,
        )
        model = ScorecardModel(
            **vars(learnt),
            target=str(table.options.target),
            ids=tuple(table.schema.names(Role.ID)),
            encoder=encoder,
        )
        n_parameters = sum(p.numel() for p in fit.network.parameters())
        by_lm = "damping" in fit.history and n_parameters <= MAX_SPECTRUM
        x, y = rows["train"]
        spectrum = singular_values(fit.network, model.scaled(x), model.scaled_score(y)) if by_lm else None
    with stage("application"):
        slopes = score_slopes(model, encoded.frame.iloc[split.test])
        return ScorecardAnalysis(
            table=table,
            score=score,
            split=split,
            encoded=encoded,
            fit=fit,
            model=model,
            predicted=model.scores(encoded.frame),
            baselines=_baselines(encoded.frame, score, split),
            sensitivities=sensitivities(slopes, encoded.frame.iloc[split.train].std(ddof=0)),
            directions=None if system is None else Directions.of(system, features, slopes),
            singular_values=spectrum,
        )


def _members(config: Config, parts: Parts) -> int | None:
    """Return the number of networks trained side by side; a line search cannot be shared, so L-BFGS trains one."""
    return None if config.members == 1 or parts.optimizer["name"] == "lbfgs" else config.members


def _score_range(score: np.ndarray, split: ThreeWaySplit, table: Table, config: Config) -> tuple[float, float]:
    """Return the bottom and the top of the scale."""
    if config.score_range is None:
        low, high = float(score[split.train].min()), float(score[split.train].max())
        if low == high:
            raise InputError(
                f"{table.source}: '{table.options.target}' is {low:g} in all {len(split.train):,} training rows; "
                "give more rows, or another seed."
            )
        return low, high
    low, high = config.score_range
    outside = (score < low) | (score > high)
    if outside.any():
        rows = rows_text(table.row_numbers[outside] - 1)
        raise InputError(
            f"{table.source}: column '{table.options.target}' leaves pipeline.score_range=[{low:g},{high:g}] in {rows}, "
            f"such as {score[outside][0]:g}; widen it, or correct the file."
        )
    return low, high


def _baselines(encoded: pd.DataFrame, score: np.ndarray, split: ThreeWaySplit) -> dict[str, np.ndarray]:
    learnt = np.setdiff1d(np.arange(len(score)), split.test)
    linear = LinearRegression().fit(encoded.iloc[learnt], score[learnt])
    return {"linear": linear.predict(encoded), "mean": np.full(len(score), score[learnt].mean())}


def _check(config: Config) -> None:
    for key in ("members", "max_epochs", "max_fail"):
        if getattr(config, key) < 1:
            raise InputError(f"pipeline.{key}={getattr(config, key)} must be at least 1.")
    if not 0 <= config.score_margin <= 1:
        raise InputError(f"pipeline.score_margin={config.score_margin:g} must lie between 0 and 1.")
    if config.score_range is not None and (
        len(config.score_range) != 2 or not config.score_range[0] < config.score_range[1]
    ):
        raise InputError(f"pipeline.score_range={list(config.score_range)} must be bottom and top, such as [0,100].")
    if not config.grades or len(set(config.grades.values())) < len(config.grades):
        raise InputError(f"pipeline.grades={config.grades} must give each grade a least relative score of its own.")
