"""Finished segments as something that can place new rows and be saved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import pairwise_distances_argmin_min

from marketnn.errors import InputError
from marketnn.pipeline.parts import restored_scaler
from marketnn.preprocess.encoding import Encoder, Met
from marketnn.preprocess.scaling import Scaler
from marketnn.tracking import SavedModel

KIND = "segment"


@dataclass(frozen=True)
class Segment:
    """A segment in words.

    Attributes:
        name: ``segment 1`` is the largest.
        label: the feature on which it stands highest.
        telling: what its rows are like.
    """

    name: str
    label: str
    telling: str


@dataclass(frozen=True)
class SegmentModel:
    """The centre nearest to a row.

    Attributes:
        ids: columns that name rows.
        encoder: from columns to numbers.
        scaler: of the encoded columns.
        centres: (k, d) in scaled units.
        segments: (k,) in the order of the centres.
        target: empty: nothing is predicted that a file could hold.
    """

    ids: tuple[str, ...]
    encoder: Encoder
    scaler: Scaler
    centres: np.ndarray
    segments: tuple[Segment, ...]
    target: str = ""

    def nearest(self, encoded: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Return the index (n,) of the segment whose centre is nearest to each encoded row, and the scaled distance (n,)."""
        index, distance = pairwise_distances_argmin_min(self.scaler.transform(encoded).to_numpy(), self.centres)
        return index, distance

    def predict(self, frame: pd.DataFrame, *, source: str, fill_missing: bool) -> tuple[pd.DataFrame, Met]:
        """Place rows: one row out per row in, in order.

        Returns:
            A frame with ``segment, label, distance`` (to the segment's centre, in scaled units), and what the encoding met.

        Raises:
            InputError: a column is missing or mistyped, or a value is missing and ``fill_missing`` is off.
        """
        encoded = self.encoder.transform(frame, source=source, fill_missing=fill_missing)
        index, distance = self.nearest(encoded.frame)
        segments = [self.segments[place] for place in index]
        placed = {
            "segment": [segment.name for segment in segments],
            "label": [segment.label for segment in segments],
            "distance": distance,
        }
        return pd.DataFrame(placed, index=frame.index), encoded.met + Met.beyond(self.scaler.out_of_bounds)

    def saved(self) -> SavedModel:
        """Return the model as JSON values and arrays."""
        settings = {
            "ids": list(self.ids),
            "encoder": self.encoder.to_dict(),
            "scaler": self.scaler.to_dict(),
            "segments": [vars(segment) for segment in self.segments],
        }
        return SavedModel(KIND, settings, {"centres": self.centres})

    @classmethod
    def from_saved(cls, saved: SavedModel) -> SegmentModel:
        """Rebuild the model from ``saved()``.

        Raises:
            InputError: the folder was damaged or made by something else.
        """
        settings = saved.settings
        try:
            model = cls(
                ids=tuple(map(str, settings["ids"])),
                encoder=Encoder.from_dict(settings["encoder"]),
                scaler=restored_scaler(settings["scaler"]),
                centres=saved.arrays["centres"],
                segments=tuple(Segment(**segment) for segment in settings["segments"]),
            )
            model._check()
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"the model folder is damaged ({error!r}); pass the folder of a finished run.") from error
        return model

    def _check(self) -> None:
        """Raise a ``ValueError`` where the parts do not fit together."""
        n_columns = sum(len(columns) for columns in self.encoder.columns.values())
        if self.centres.shape != (len(self.segments), n_columns) or not len(self.segments):
            raise ValueError("centres, segments and columns do not fit")
        if not np.isfinite(self.centres).all():
            raise ValueError("a number is not finite")
