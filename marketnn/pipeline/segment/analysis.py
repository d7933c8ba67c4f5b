"""The segmentation itself: from a table to segments, their measures and a model, without writing anything."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import pandas as pd

from marketnn import registry
from marketnn.cluster import choose_n_clusters
from marketnn.cluster.concentration import Concentration, concentration
from marketnn.cluster.profile import profile_segments, segment_labels, telling_features
from marketnn.data import Role, Table
from marketnn.data.schema import is_number
from marketnn.errors import InputError, unknown_name
from marketnn.pipeline.parts import Parts
from marketnn.pipeline.segment.clustering import Clustering, cluster, estimator
from marketnn.pipeline.segment.model import Segment, SegmentModel
from marketnn.preprocess import Encoded, Encoder
from marketnn.seed import child_seed

Stage = Callable[[str], AbstractContextManager[None]]


@dataclass(frozen=True)
class Config:
    """How a table is segmented.

    Attributes:
        n_clusters: fixes the number of segments; ``None`` lets the criteria vote.
        candidates: numbers of segments to compare, each at least 2; those above the number of distinct rows are passed over.
        compare: further algorithms, with their default settings, run on the same rows with the same number of segments.
        value: a column, such as revenue, whose concentration is shown and which is summed up by segment; ``None`` is none.
        top_share: the share of the rows whose share of the value is told.
    """

    n_clusters: int | None = None
    candidates: tuple[int, ...] = (2, 3, 4, 5, 6, 7, 8)
    compare: tuple[str, ...] = ()
    value: str | None = None
    top_share: float = 0.2


@dataclass(frozen=True)
class SegmentAnalysis:
    """Everything a segmentation found.

    Attributes:
        table: the rows.
        encoded: their features as numbers.
        scaled: (n, d) what was clustered.
        criteria: ``choose_n_clusters``'s table; empty where the number was fixed.
        clusterings: the one that makes the segments first, then those it is compared with.
        profile: ``profile_segments``'s table over the original features.
        concentration: of the value column; ``None`` without one.
        model: places new rows.
    """

    table: Table
    encoded: Encoded
    scaled: np.ndarray
    criteria: pd.DataFrame
    clusterings: tuple[Clustering, ...]
    profile: pd.DataFrame
    concentration: Concentration | None
    model: SegmentModel

    @property
    def labels(self) -> np.ndarray:
        """(n,) the segment of each row, 0 the largest."""
        return self.clusterings[0].labels


def analyse(table: Table, config: Config, parts: Parts, *, stage: Stage = lambda _: nullcontext()) -> SegmentAnalysis:
    """Segment a table.

    Args:
        table: rows with features; a target, if there is one, is not among them.
        config: how.
        parts: scaler, algorithm, device and seed.
        stage: entered around each named stage, for timing and progress.

    Raises:
        InputError: the table or the configuration cannot be used; the message says what to change.
    """
    _check(config)
    others = [{"name": name} for name in dict.fromkeys(config.compare) if name != parts.cluster["name"]]
    for settings in others:
        registry.configure("cluster", settings)
    with stage("table"):
        table = table.ready()
        features = table.features
        if features.empty:
            raise InputError(f"{table.source}: no column is a feature; pipeline=inspect shows what each is used for.")
        spread = _value_spread(table, config)
        encoder = Encoder.fit(features)
        encoded = encoder.transform(features, source=table.source)
        scaler = registry.build("scaler", parts.scaler)
        scaled = scaler.fit_transform(encoded.frame).to_numpy()
    try:
        with stage("number of segments"):
            criteria = _criteria(scaled, config, parts)
            n_clusters = config.n_clusters or (int(criteria.attrs["chosen"]) if len(criteria) else 1)
        with stage("clustering"):
            seed = child_seed(parts.seed, "clustering")
            clusterings = tuple(
                cluster(scaled, settings, n_clusters, device=parts.device, seed=seed)
                for settings in (parts.cluster, *others)
            )
    except InputError as error:
        raise InputError(f"{table.source}: {error}") from error
    profile = profile_segments(features, clusterings[0].labels)
    labels, telling = segment_labels(profile), telling_features(profile, features)
    model = SegmentModel(
        ids=tuple(table.schema.names(Role.ID)),
        encoder=encoder,
        scaler=scaler,
        centres=clusterings[0].centres,
        # An algorithm may leave a cluster without rows; it has a centre, and nothing to tell.
        segments=tuple(
            Segment(f"segment {place + 1}", labels.get(place, ""), telling.get(place, "no rows"))
            for place in range(len(clusterings[0].centres))
        ),
    )
    return SegmentAnalysis(table, encoded, scaled, criteria, clusterings, profile, spread, model)


def _criteria(scaled: np.ndarray, config: Config, parts: Parts) -> pd.DataFrame:
    """Compare numbers of segments, unless the number is fixed or no candidate is possible."""
    if config.n_clusters is not None:
        return pd.DataFrame()
    n_distinct = len(np.unique(scaled, axis=0))
    candidates = [k for k in config.candidates if k < n_distinct]
    if not candidates:
        return pd.DataFrame()
    return choose_n_clusters(
        scaled,
        candidates,
        estimator=estimator(parts.cluster),
        device=parts.torch_device(),
        random_state=child_seed(parts.seed, "number of segments"),
    )


def _value_spread(table: Table, config: Config) -> Concentration | None:
    if config.value is None:
        return None
    if config.value not in table.frame.columns:
        raise InputError(
            f"{table.source}: {unknown_name('column in pipeline.value', config.value, table.frame.columns)}"
        )
    values = table.frame[config.value]
    if not is_number(values):
        raise InputError(f"{table.source}: pipeline.value={config.value} is text; name a number.")
    return concentration(values.to_numpy(), name=f"{table.source}: column '{config.value}'")


def _check(config: Config) -> None:
    if config.n_clusters is not None and config.n_clusters < 1:
        raise InputError(f"pipeline.n_clusters={config.n_clusters} must be at least 1.")
    if config.n_clusters is None and (not config.candidates or min(config.candidates) < 2):
        raise InputError(f"pipeline.candidates={list(config.candidates)} must be numbers of segments, each at least 2.")
    if not 0 < config.top_share < 1:
        raise InputError(f"pipeline.top_share={config.top_share:g} must lie between 0 and 1.")
