"""What makes a segment different, in numbers and in words (paper A, section 3.2; paper B, section III.B)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd


def profile_segments(features: pd.DataFrame, labels: np.ndarray) -> pd.DataFrame:
    """Compare every segment's mean of each feature with the mean of all rows.

    Args:
        features: (n, d) numbers and text; a text column is compared value by value, as shares. A missing number counts as
            average, a missing text as none of the values.
        labels: (n,) the segment of each row.

    Returns:
        One row per segment, feature and (for text) value: ``segment, feature, value, mean, overall, z``, where ``z`` is the
        difference in standard deviations of all rows and ``value`` is empty for numbers.
    """
    indicators, keys = _indicator_columns(features)
    overall = indicators.mean(axis=0)
    spread = indicators.std(axis=0)
    frames = []
    for segment in np.unique(labels):
        mean = indicators[labels == segment].mean(axis=0)
        z = np.divide(mean - overall, spread, out=np.zeros_like(mean), where=spread > 0)
        frames.append(keys.assign(segment=segment, mean=mean, overall=overall, z=z))
    return pd.concat(frames, ignore_index=True)[["segment", "feature", "value", "mean", "overall", "z"]]


def telling_features(profile: pd.DataFrame, features: pd.DataFrame, n_most: int = 3) -> dict[int, str]:
    """Say in words what each segment is: its features farthest from the average, at most one statement per feature.

    Args:
        profile: of ``profile_segments``.
        features: the same features, to tell yes/no numbers from quantities.
        n_most: statements per segment.

    Returns:
        segment -> text such as ``tenure low (4.1, all 18), contract is Month-to-month (99 %, all 89 %)``.
    """
    yes_no = {name for name in features.columns if _is_binary(features[name])}
    words = {}
    for segment, rows in profile.groupby("segment"):
        order = rows["z"].abs().sort_values(ascending=False, kind="stable").index
        strongest = rows.loc[order].drop_duplicates("feature").head(n_most)
        words[int(segment)] = ", ".join(_statement(row, row.feature in yes_no) for row in strongest.itertuples())
    return words


def segment_labels(profile: pd.DataFrame) -> dict[int, str]:
    """Name each segment by the feature with the greatest signed z (the rule that gives paper B's six names, section III.B).

    Such a name says where the segment stands highest, and nothing else: a segment below the average everywhere is named by
    the feature it lacks least. ``telling_features`` says what is farthest from the average, on either side.

    Args:
        profile: of ``profile_segments``.

    Returns:
        segment -> ``monetary``, or for text ``contract = Two year``; the first feature on a tie.
    """
    highest = profile.loc[profile.groupby("segment")["z"].idxmax()]
    return {int(row.segment): column_name(row.feature, row.value) for row in highest.itertuples()}


def column_name(feature: str, value: str) -> str:
    """Name a feature, or one value of a text feature."""
    return f"{feature} = {value}" if value else feature


def _statement(row: Any, yes_no: bool) -> str:
    if row.value:
        return f"{row.feature} {'is' if row.z > 0 else 'is rarely'} {row.value} ({row.mean:.0%}, all {row.overall:.0%})"
    if yes_no:
        return f"{row.feature} {'often' if row.z > 0 else 'rarely'} ({row.mean:.0%}, all {row.overall:.0%})"
    return f"{row.feature} {'high' if row.z > 0 else 'low'} ({row.mean:.4g}, all {row.overall:.4g})"


def _indicator_columns(features: pd.DataFrame) -> tuple[np.ndarray, pd.DataFrame]:
    columns, keys = [], []
    for name in features.columns:
        values = features[name]
        if pd.api.types.is_numeric_dtype(values.dtype):
            columns.append(values.fillna(values.mean()).to_numpy(dtype=float))
            keys.append((name, ""))
        else:
            for value in sorted(values.dropna().unique()):
                columns.append((values == value).to_numpy(dtype=float))
                keys.append((name, value))
    return np.column_stack(columns), pd.DataFrame(keys, columns=["feature", "value"])


def _is_binary(values: pd.Series) -> bool:
    # Comparing reads a column once; the set of its values would be a hash table as large as the column.
    return pd.api.types.is_numeric_dtype(values.dtype) and bool(((values == 0) | (values == 1)).all())
