"""Customers into segments: features chosen, scaled and clustered (paper B, sections II.B and III.A)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from marketnn import registry
from marketnn.cluster import choose_n_clusters
from marketnn.cluster.profile import profile_segments, segment_labels, telling_features
from marketnn.device import resolve
from marketnn.errors import InputError
from marketnn.pipeline.omnichannel.config import Config
from marketnn.pipeline.parts import Parts
from marketnn.pipeline.segment.clustering import Clustering, cluster
from marketnn.pipeline.segment.model import Segment
from marketnn.preprocess import Encoded, Encoder, PearsonImportanceSelector
from marketnn.preprocess.scaling import Scaler
from marketnn.seed import child_seed


@dataclass(frozen=True)
class Selection:
    """Features chosen.

    Attributes:
        selector: what was compared, and why features went.
        encoder: of the columns of which something stayed.
        names: the encoded columns that stayed.
        encoded: all columns of the encoder as numbers, and what the encoding met.
    """

    selector: PearsonImportanceSelector
    encoder: Encoder
    names: tuple[str, ...]
    encoded: Encoded

    @property
    def frame(self) -> pd.DataFrame:
        """(n, d) the columns that stayed, unscaled."""
        return self.encoded.frame[list(self.names)]

    @property
    def columns(self) -> list[str]:
        """The original columns of which something stayed."""
        return [*self.encoder.numeric, *self.encoder.categories]


@dataclass(frozen=True)
class Segmentation:
    """Segments found.

    Attributes:
        scaler: of the chosen columns.
        scaled: (n, d).
        criteria: ``choose_n_clusters``'s table; empty where no candidate was possible.
        suggested: number of segments that the merge heights of each sample suggest.
        clustering: the partition, the largest segment first.
        profile: ``profile_segments``'s table.
        segments: in words.
    """

    scaler: Scaler
    scaled: np.ndarray
    criteria: pd.DataFrame
    suggested: tuple[int, ...]
    clustering: Clustering
    profile: pd.DataFrame
    segments: tuple[Segment, ...]

    @property
    def labels(self) -> np.ndarray:
        """(n,) segment of each customer, 0 the largest."""
        return self.clustering.labels

    @property
    def from_heights(self) -> int:
        """The median of what the merge heights suggest."""
        return int(np.median(self.suggested))


def select(features: pd.DataFrame, outcome: np.ndarray, config: Config, source: str) -> Selection:
    """Choose features by correlation and importance (paper B, III.A).

    Args:
        features: (n, d) numbers and text.
        outcome: (n,) what the importance is for.
        config: thresholds.
        source: for messages.

    Raises:
        InputError: as ``PearsonImportanceSelector.fit``.
    """
    everything = Encoder.fit(features)
    numbers = everything.transform(features, source=source).frame
    selector = PearsonImportanceSelector(config.strong_correlation, config.negligible)
    try:
        selector.fit(numbers, outcome)
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
    names = tuple(map(str, selector.get_feature_names_out()))
    needed = [name for name in features if set(everything.columns[name]) & set(names)]
    encoder = Encoder.fit(features[needed])
    return Selection(selector, encoder, names, encoder.transform(features, source=source))


def segment(features: pd.DataFrame, chosen: Selection, config: Config, parts: Parts, source: str) -> Segmentation:
    """Cluster the chosen features.

    Args:
        features: (n, d) the original columns of which something stayed, for the profile.
        chosen: the encoded ones.
        config: number of segments.
        parts: scaler, algorithm, device, seed.
        source: for messages.

    Raises:
        InputError: fewer distinct customers than segments.
    """
    scaler = registry.build("scaler", parts.scaler)
    scaled = scaler.fit_transform(chosen.frame).to_numpy()
    try:
        suggested = _suggested(scaled, parts)
        clustering = cluster(
            scaled,
            parts.cluster,
            config.n_segments or int(np.median(suggested)),
            device=parts.device,
            seed=child_seed(parts.seed, "clustering"),
        )
        criteria = _criteria(scaled, config, parts)
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
    profile = profile_segments(features, clustering.labels)
    labels, telling = segment_labels(profile), telling_features(profile, features)
    words = tuple(
        Segment(f"segment {place + 1}", labels.get(place, ""), telling.get(place, "no rows"))
        for place in range(len(clustering.centres))
    )
    return Segmentation(scaler, scaled, criteria, suggested, clustering, profile, words)


def _suggested(scaled: np.ndarray, parts: Parts) -> tuple[int, ...]:
    """Return the number of segments that each sample's merge heights suggest."""
    hierarchical = parts.cluster if parts.cluster["name"] == "hierarchical" else {"name": "hierarchical"}
    free = registry.build("cluster", hierarchical)
    free.set_params(device=resolve(parts.device), random_state=child_seed(parts.seed, "clustering"))
    return tuple(int(number) for number in free.fit(scaled).suggested_)


def _criteria(scaled: np.ndarray, config: Config, parts: Parts) -> pd.DataFrame:
    n_distinct = len(np.unique(scaled, axis=0))
    candidates = [k for k in config.candidates if k < n_distinct]
    if not candidates:
        return pd.DataFrame()
    seed = child_seed(parts.seed, "number of segments")
    return choose_n_clusters(scaled, candidates, device=parts.torch_device(), random_state=seed)
