"""The churn analysis itself: from a table to drivers, portraits and a model, without writing anything."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

from marketnn import registry
from marketnn.classify import SeparationError
from marketnn.classify.drivers import Drivers, fit_drivers
from marketnn.cluster import choose_n_clusters
from marketnn.cluster.profile import profile_segments, telling_features
from marketnn.data import Role, Table
from marketnn.data.table import class_names
from marketnn.errors import InputError
from marketnn.pipeline.churn.model import ChurnModel, Portrait
from marketnn.pipeline.parts import Parts, Stage
from marketnn.preprocess import Encoded, Encoder, Split, stratified_split
from marketnn.preprocess.scaling import Scaler
from marketnn.seed import child_seed

CUSTOMERS_PER_PORTRAIT = 5
FALLBACK_ACTION = "call and ask about {driver}"


@dataclass(frozen=True)
class Config:
    """How a churn analysis is done.

    Attributes:
        test_share: share of the customers kept for testing, between 0 and 1.
        level: features with p below it count as significant (paper A: .05).
        correction: ``benjamini-hochberg`` controls the false discovery rate over all features.
        fallback_features: how many features with the smallest p are kept when none is significant; the report says so.
        threshold: probabilities at or above it count as churn.
        target_precision: a precision whose threshold and recall are looked up (paper A, eq. 4.1: .9729).
        min_churners: fewer churned customers than this make no portraits.
        candidates: numbers of portraits to compare, each at least 2; those that leave fewer than five churned customers per
            portrait are passed over, and where none remains there is one portrait.
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
        centres: (k, d) in scaled units.
        scaler: of the portrait features, fitted on the churned customers.
        criteria: ``choose_n_clusters``'s table; empty where the number was fixed.
        profile: ``profile_segments``'s table over the original features.
        history: total error (paper A, eq. 2.9) per round of the clustering that made them.
        total_error: the final one.
    """

    labels: np.ndarray
    centres: np.ndarray
    scaler: Scaler
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
        encoded: all rows as numbers, by what the training rows taught.
        drivers: the logistic analysis of the training rows.
        portraits: of all churned customers.
        model: scores new customers.
        probability: (n,) of every customer.
        portrait: (n,) index of the portrait nearest to every customer.
    """

    table: Table
    y: np.ndarray
    split: Split
    encoded: Encoded
    drivers: Drivers
    portraits: Portraits
    model: ChurnModel
    probability: np.ndarray
    portrait: np.ndarray

    @property
    def likely(self) -> np.ndarray:
        """(n,) customers who have not churned and whose probability reaches the threshold."""
        return (self.y == 0) & (self.probability >= self.model.threshold)


def analyse(table: Table, config: Config, parts: Parts, *, stage: Stage = lambda _: nullcontext()) -> ChurnAnalysis:
    """Run the analysis on a table.

    The model learns from the training rows alone; portraits describe all churned customers, and predict nothing.

    Args:
        table: customers with a two-class target.
        config: how.
        parts: scaler, cluster algorithm, device and seed.
        stage: entered around each named stage, for timing and progress.

    Raises:
        InputError: the table or the configuration cannot be used; the message says what to change.
    """
    _check(config)
    with stage("customers"):
        table = table.ready()
        y, positive = table.binary_target()
        if y.sum() < config.min_churners:
            raise InputError(
                f"{table.source}: {y.sum()} rows have {table.options.target}={positive}; portraits need at least "
                f"{config.min_churners} (pipeline.min_churners)."
            )
        features = table.features
        split = stratified_split(features, y, test_share=config.test_share, seed=child_seed(parts.seed, "split"))
        encoder = Encoder.fit(features.iloc[split.train])
        encoded = encoder.transform(features, source=table.source)
    with stage("logistic analysis"):
        try:
            drivers = fit_drivers(
                encoded.frame.iloc[split.train],
                y[split.train],
                level=config.level,
                correction=None if config.correction == "none" else config.correction,
                fallback_features=config.fallback_features,
            )
        except SeparationError as error:
            leaks = _original_features(list(error.columns), encoder)
            raise InputError(
                f"{table.source}: {str(error).splitlines()[0]}\nIf it is known only after the outcome, pass "
                f"data.leakage=[{','.join(leaks)}]; otherwise data.drop=[{','.join(leaks)}]."
            ) from error
        except InputError as error:
            raise InputError(f"{table.source}: {error}") from error
    with stage("portraits"):
        churned = y == 1
        used = _original_features(drivers.kept, encoder)
        portraits = _make_portraits(
            features.loc[churned, used], encoded.frame.loc[churned, drivers.kept], config, parts
        )
        model = ChurnModel(
            target=str(table.options.target),
            positive=positive,
            negative=next(name for name in class_names(table.frame[table.options.target]) if name != positive),
            ids=tuple(table.schema.names(Role.ID)),
            encoder=encoder,
            coefficients=drivers.result.table["coef"].to_dict(),
            threshold=config.threshold,
            scaler=portraits.scaler,
            centres=portraits.centres,
            portrait_columns=tuple(drivers.kept),
            portraits=_describe(
                portraits,
                telling_features(portraits.profile, features.loc[churned, used]),
                _log_odds_lift(portraits.labels, encoded.frame, y, drivers, encoder),
                config.actions,
            ),
        )
        return ChurnAnalysis(
            table=table,
            y=y,
            split=split,
            encoded=encoded,
            drivers=drivers,
            portraits=portraits,
            model=model,
            probability=model.probability(encoded.frame),
            portrait=model.nearest_portrait(encoded.frame),
        )


def retention_action(driver: str, actions: Mapping[str, str]) -> str:
    """Return the action of the first entry that shares a word with the driver's name, singular or plural."""
    name = f" {' '.join(_words(driver))} "
    for words, action in actions.items():
        if any(f" {' '.join(_words(word))}{ending} " in name for word in words.split("|") for ending in ("", "s")):
            return action
    return FALLBACK_ACTION.format(driver=driver)


def _make_portraits(features: pd.DataFrame, encoded: pd.DataFrame, config: Config, parts: Parts) -> Portraits:
    """Cluster the churned customers on the kept features, portraits in order of size."""
    scaler = registry.build("scaler", parts.scaler)
    scaled = scaler.fit_transform(encoded).to_numpy()
    seed, device = child_seed(parts.seed, "portraits"), parts.torch_device()
    algorithm = registry.build("cluster", parts.cluster)
    n_distinct = len(np.unique(scaled, axis=0))
    # A portrait of a handful of customers is an anecdote.
    candidates = [k for k in config.candidates if k < n_distinct and k * CUSTOMERS_PER_PORTRAIT <= len(scaled)]
    if config.n_portraits is None and candidates:
        criteria = choose_n_clusters(scaled, candidates, estimator=algorithm, device=device, random_state=seed)
        k = criteria.attrs["chosen"]
    else:
        criteria = pd.DataFrame()
        k = config.n_portraits or 1
    if k > n_distinct:
        raise InputError(
            f"{k} portraits were asked for, but the {len(scaled):,} churned customers have {n_distinct} distinct rows of "
            f"the kept features; pass pipeline.n_portraits={n_distinct} or fewer."
        )
    algorithm.set_params(n_clusters=k, device=device, random_state=seed).fit(scaled)
    by_size = np.argsort(-np.bincount(algorithm.labels_, minlength=k), kind="stable")
    labels = np.argsort(by_size)[algorithm.labels_]
    return Portraits(
        labels=labels,
        centres=algorithm.cluster_centers_[by_size],
        scaler=scaler,
        criteria=criteria,
        profile=profile_segments(features, labels),
        history=[float(error) for error in algorithm.history_],
        total_error=float(algorithm.total_error_),
    )


def _log_odds_lift(
    labels: np.ndarray, encoded: pd.DataFrame, y: np.ndarray, drivers: Drivers, encoder: Encoder
) -> pd.DataFrame:
    """Return how much each kept feature (column) adds to the log odds of each portrait (row) over those who stay."""
    coefficients = drivers.result.table["coef"].drop("const")
    means = encoded.loc[y == 1, coefficients.index].groupby(labels).mean()
    lift = (means - encoded.loc[y == 0, coefficients.index].mean()) * coefficients
    original = {column: name for name, columns in encoder.columns.items() for column in columns}
    return lift.T.groupby(original).sum().T[_original_features(drivers.kept, encoder)]


def _describe(
    portraits: Portraits, telling: Mapping[int, str], lift: pd.DataFrame, actions: Mapping[str, str]
) -> tuple[Portrait, ...]:
    """Put each portrait into words and give it the action that answers its strongest driver."""
    drivers = lift.idxmax(axis=1)
    return tuple(
        Portrait(f"portrait {index + 1}", telling[index], drivers[index], retention_action(drivers[index], actions))
        for index in range(len(portraits.centres))
    )


def _original_features(columns: list[str], encoder: Encoder) -> list[str]:
    return [name for name, encoded in encoder.columns.items() if set(encoded) & set(columns)]


def _words(name: str) -> list[str]:
    return re.findall(r"[a-z]+|\d+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())


def _check(config: Config) -> None:
    for key in ("threshold", "level", "target_precision"):
        if not 0 < getattr(config, key) < 1:
            raise InputError(f"pipeline.{key}={getattr(config, key)} must lie between 0 and 1.")
    for key in ("n_portraits", "fallback_features", "min_churners"):
        if getattr(config, key) is not None and getattr(config, key) < 1:
            raise InputError(f"pipeline.{key}={getattr(config, key)} must be at least 1.")
    if config.n_portraits is None and (not config.candidates or min(config.candidates) < 2):
        raise InputError(
            f"pipeline.candidates={list(config.candidates)} must be numbers of portraits, each at least 2."
        )
