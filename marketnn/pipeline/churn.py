"""Churn, whole (paper A, sections 3.2 and 4.1): who leaves, why, what kinds of leavers there are, and whom to call.

    customers -> split -> logistic analysis -> significant features -> portraits of the churned customers (K-means)
              -> customers likely to churn, each with its nearest portrait and that portrait's retention action

``analyse`` computes and returns everything; ``run`` does the same and records it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from marketnn import registry
from marketnn.classify.drivers import Drivers, fit_drivers
from marketnn.cluster import choose_n_clusters
from marketnn.cluster.profile import profile_segments, telling_features
from marketnn.data import Table
from marketnn.errors import InputError
from marketnn.pipeline.churn_model import ChurnModel, Portrait
from marketnn.pipeline.parts import Parts
from marketnn.preprocess.encoding import Encoder
from marketnn.preprocess.splitting import Split, stratified_split
from marketnn.seed import child_seed
from marketnn.tracking import Run

N_STAGES = 4
FALLBACK_ACTION = "call and ask about {driver}"


@dataclass(frozen=True)
class Config:
    """How a churn analysis is done.

    Attributes:
        test_share: share of the customers kept for testing.
        level: features with p below it count as significant (paper A: .05).
        correction: ``benjamini-hochberg`` controls the false discovery rate over all features.
        fallback_features: how many features with the smallest p are kept when none is significant; the report says so.
        threshold: probabilities at or above it count as churn.
        target_precision: the published precision, whose threshold and recall are looked up.
        min_churners: fewer churned customers than this make no portraits.
        candidates: numbers of portraits to compare.
        n_portraits: fixes their number; ``None`` lets the criteria vote.
        actions: words of a feature's name, separated by ``|`` -> what to do when that feature drives a portrait.
    """

    test_share: float = 0.2
    level: float = 0.05
    correction: Literal["none", "benjamini-hochberg"] = "none"
    fallback_features: int = 5
    threshold: float = 0.5
    target_precision: float = 0.9729
    min_churners: int = 10
    candidates: tuple[int, ...] = (2, 3, 4, 5, 6, 7, 8)
    n_portraits: int | None = None
    actions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Portraits:
    """The kinds of churned customers.

    Attributes:
        labels: (n_churned,) the portrait of each churned customer, 0 the largest.
        criteria: ``choose_n_clusters``'s table.
        profile: ``profile_segments``'s table over the original features.
        history: total error (paper A, eq. 2.9) per round of the K-means that made them.
        total_error: the final one.
    """

    labels: np.ndarray
    criteria: pd.DataFrame
    profile: pd.DataFrame
    history: list[float]
    total_error: float


@dataclass(frozen=True)
class ChurnAnalysis:
    """Everything a churn analysis found.

    Attributes:
        table: the customers analysed.
        y: (n,) 1 for churned.
        split: training and test rows.
        drivers: the logistic analysis of the training rows.
        portraits: of all churned customers.
        model: scores new customers.
        probability: (n,) of every customer.
        portrait: (n,) index of the portrait nearest to every customer.
    """

    table: Table
    y: np.ndarray
    split: Split
    drivers: Drivers
    portraits: Portraits
    model: ChurnModel
    probability: np.ndarray
    portrait: np.ndarray

    @property
    def likely(self) -> np.ndarray:
        """(n,) customers who have not churned and whose probability reaches the threshold."""
        return (self.y == 0) & (self.probability >= self.model.threshold)


def analyse(table: Table, config: Config, parts: Parts, *, run: Run | None = None) -> ChurnAnalysis:
    """Run the analysis on a table.

    Args:
        table: customers with a two-class target.
        config: how.
        parts: scaler, cluster algorithm, device and seed.
        run: where stages are timed, if anywhere.

    Raises:
        InputError: the table or the configuration cannot be used; the message says what to change.
    """
    _check(config)
    with _stage(run, "customers"):
        table = table.ready()
        y, positive = table.binary_target()
        if y.sum() < config.min_churners:
            raise InputError(
                f"{table.source}: {y.sum()} rows have {table.options.target}={positive}; portraits need at least "
                f"{config.min_churners} (pipeline.min_churners)."
            )
        split = stratified_split(table.features, y, test_share=config.test_share, seed=child_seed(parts.seed, "split"))
        encoder = Encoder.fit(table.features.iloc[split.train])
        encoded = encoder.transform(table.features, source=table.source).frame
    with _stage(run, "logistic analysis"):
        drivers = fit_drivers(
            encoded.iloc[split.train],
            y[split.train],
            level=config.level,
            correction=None if config.correction == "none" else config.correction,
            fallback_features=config.fallback_features,
        )
    with _stage(run, "portraits"):
        churned = y == 1
        portraits, centres, scaler = _make_portraits(
            table.features[churned], encoded[churned], drivers, encoder, config, parts
        )
        model = ChurnModel(
            target=str(table.options.target),
            positive=positive,
            encoder=encoder,
            coefficients=drivers.result.table["coef"].to_dict(),
            threshold=config.threshold,
            scaler=scaler.to_dict(),
            centres=centres,
            portrait_columns=tuple(drivers.significant),
            portraits=_describe(portraits, table.features, encoded, y, drivers, encoder, config),
        )
        return ChurnAnalysis(
            table=table,
            y=y,
            split=split,
            drivers=drivers,
            portraits=portraits,
            model=model,
            probability=model.probability(encoded),
            portrait=model.nearest_portrait(encoded),
        )


def run(config: Config, parts: Parts, run: Run) -> None:
    """Analyse the table that ``parts`` names and record everything in the run folder."""
    from marketnn.pipeline.churn_record import record

    analysis = analyse(parts.table(), config, parts, run=run)
    with run.stage("report"):
        record(analysis, config, run)
        run.model(analysis.model.saved())


def _make_portraits(
    features: pd.DataFrame, encoded: pd.DataFrame, drivers: Drivers, encoder: Encoder, config: Config, parts: Parts
) -> tuple[Portraits, np.ndarray, Any]:
    """Cluster the churned customers on the significant features, portraits in order of size."""
    scaler = registry.build("scaler", parts.scaler)
    scaled = scaler.fit_transform(encoded[drivers.significant]).to_numpy()
    n_distinct = len(np.unique(scaled, axis=0))
    candidates = [k for k in config.candidates if k <= n_distinct - 1] if config.n_portraits is None else []
    seed = child_seed(parts.seed, "portraits")
    if candidates:
        criteria = choose_n_clusters(scaled, candidates, device=parts.torch_device(), random_state=seed)
        k = criteria.attrs["chosen"]
    else:
        criteria = pd.DataFrame()
        k = config.n_portraits or 1
    if k > n_distinct:
        raise InputError(
            f"{k} portraits were asked for, but the {len(scaled):,} churned customers have {n_distinct} distinct rows of "
            f"significant features; pass pipeline.n_portraits={n_distinct} or fewer."
        )
    algorithm = registry.build("cluster", parts.cluster)
    algorithm.set_params(n_clusters=k, device=parts.torch_device(), random_state=seed).fit(scaled)
    by_size = np.argsort(-np.bincount(algorithm.labels_, minlength=k), kind="stable")
    labels = np.argsort(by_size)[algorithm.labels_]
    used = _original_features(drivers.significant, encoder)
    portraits = Portraits(
        labels=labels,
        criteria=criteria,
        profile=profile_segments(features[used], labels),
        history=[float(error) for error in algorithm.history_],
        total_error=float(algorithm.total_error_),
    )
    return portraits, algorithm.cluster_centers_[by_size], scaler


def _describe(
    portraits: Portraits,
    features: pd.DataFrame,
    encoded: pd.DataFrame,
    y: np.ndarray,
    drivers: Drivers,
    encoder: Encoder,
    config: Config,
) -> tuple[Portrait, ...]:
    """Put each portrait into words and give it the action that answers its strongest driver.

    The driver is the feature that adds most to the portrait's log odds of churn over those of customers who stay.
    """
    used = _original_features(drivers.significant, encoder)
    telling = telling_features(portraits.profile, features.loc[y == 1, used])
    coefficients = drivers.result.table["coef"]
    stayers = encoded[y == 0].mean()
    described = []
    for index in np.unique(portraits.labels):
        mean = encoded[y == 1][portraits.labels == index].mean()
        lift = {
            name: sum(
                coefficients[column] * (mean[column] - stayers[column])
                for column in encoder.columns[name]
                if column in coefficients
            )
            for name in used
        }
        driver = max(lift, key=lambda name: lift[name])
        described.append(
            Portrait(f"portrait {index + 1}", telling[int(index)], driver, retention_action(driver, config.actions))
        )
    return tuple(described)


def retention_action(driver: str, actions: Mapping[str, str]) -> str:
    """Return the action of the first entry one of whose words is part of the driver's name."""
    for words, action in actions.items():
        if any(word.strip().lower() in driver.lower() for word in words.split("|")):
            return action
    return FALLBACK_ACTION.format(driver=driver)


def _original_features(columns: list[str], encoder: Encoder) -> list[str]:
    return [name for name, encoded in encoder.columns.items() if set(encoded) & set(columns)]


def _check(config: Config) -> None:
    for key in ("threshold", "level", "target_precision"):
        if not 0 < getattr(config, key) < 1:
            raise InputError(f"pipeline.{key}={getattr(config, key)} must lie between 0 and 1.")
    if config.n_portraits is not None and config.n_portraits < 1:
        raise InputError(f"pipeline.n_portraits={config.n_portraits} must be at least 1.")
    if config.n_portraits is None and (not config.candidates or min(config.candidates) < 2):
        raise InputError(
            f"pipeline.candidates={list(config.candidates)} must be numbers of portraits, each at least 2."
        )


def _stage(run: Run | None, name: str) -> Any:
    from contextlib import nullcontext

    return run.stage(name) if run else nullcontext()
