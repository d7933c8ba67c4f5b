"""A fitted scorecard as something that can score new rows and be saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from marketnn.errors import InputError
from marketnn.network import BPNetwork
from marketnn.pipeline.parts import restored_scaler
from marketnn.preprocess import Encoder, Met, MinMaxScaler
from marketnn.scorecard import ScoreFunction
from marketnn.tracking import SavedModel

KIND = "scorecard"


@dataclass(frozen=True, kw_only=True)
class ScorecardModel(ScoreFunction):
    """From a table's columns to a score and its grade.

    Attributes:
        target: the column that was predicted.
        ids: columns that name rows.
        encoder: from columns to numbers.
        scaler, score_scaler, score_range, thresholds, network: from these numbers to the score, as in ``ScoreFunction``.
    """

    target: str
    ids: tuple[str, ...]
    encoder: Encoder

    def predict(self, frame: pd.DataFrame, *, source: str, fill_missing: bool) -> tuple[pd.DataFrame, Met]:
        """Score rows: one out per row in, in order.

        Returns:
            A frame with ``score`` and ``grade``, and what the encoding met.

        Raises:
            InputError: a column is missing or mistyped, or a value is missing and ``fill_missing`` is off.
        """
        encoded = self.encoder.transform(frame, source=source, fill_missing=fill_missing)
        scores = self.scores(encoded.frame)
        scored = pd.DataFrame({"score": scores, "grade": self.grades(scores)}, index=frame.index)
        return scored, encoded.met + Met.beyond(self.scaler.out_of_bounds)

    def saved(self) -> SavedModel:
        """Return the model as JSON values and arrays."""
        settings = {
            "target": self.target,
            "ids": list(self.ids),
            "encoder": self.encoder.to_dict(),
            "scaler": self.scaler.to_dict(),
            "score_scaler": self.score_scaler.to_dict(),
            "score_range": list(self.score_range),
            "thresholds": dict(self.thresholds),
            "hidden": self.network.hidden,
            "output": self.network.output,
        }
        return SavedModel(KIND, settings, {name: v.cpu().numpy() for name, v in self.network.state_dict().items()})

    @classmethod
    def from_saved(cls, saved: SavedModel) -> ScorecardModel:
        """Rebuild the model from ``saved()``.

        Raises:
            InputError: the folder was damaged or made by something else.
        """
        settings = saved.settings
        try:
            low, high = map(float, settings["score_range"])
            model = cls(
                target=str(settings["target"]),
                ids=tuple(map(str, settings["ids"])),
                encoder=Encoder.from_dict(settings["encoder"]),
                scaler=restored_scaler(settings["scaler"]),
                score_scaler=MinMaxScaler.from_dict(settings["score_scaler"]),
                score_range=(low, high),
                thresholds={str(name): float(least) for name, least in settings["thresholds"].items()},
                network=_network(saved.arrays, hidden=str(settings["hidden"]), output=str(settings["output"])),
            )
            model._check()
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, RuntimeError) as error:
            raise InputError(f"the model folder is damaged ({error!r}); pass the folder of a finished run.") from error
        return model

    def _check(self) -> None:
        """Raise a ``ValueError`` where the parts do not fit together."""
        encoded = [column for columns in self.encoder.columns.values() for column in columns]
        if self.scaler.to_dict()["columns"] != encoded or self.network.layer_sizes[0] != len(encoded):
            raise ValueError("encoder, scaler and network do not fit")
        if self.network.layer_sizes[-1] != 1 or len(self.score_scaler.to_dict()["scale"]) != 1:
            raise ValueError("there is more than one score")
        weights = torch.cat([values.flatten() for values in self.network.state_dict().values()])
        if not bool(weights.isfinite().all()) or not np.isfinite([*self.score_range, *self.thresholds.values()]).all():
            raise ValueError("a number is not finite")
        if self.score_range[0] >= self.score_range[1]:
            raise ValueError("the scale has no width")


def _network(arrays: Mapping[str, np.ndarray], *, hidden: str, output: str) -> BPNetwork:
    """Rebuild the network; its shape is that of the arrays, so that a false one cannot ask for more memory than they."""
    in_order = sorted(arrays, key=lambda name: (len(name), name))  # layers.2 before layers.10
    weights = [arrays[name] for name in in_order if name.endswith("weight")]
    layer_sizes = [weights[0].shape[1], *(weight.shape[0] for weight in weights)]
    network = BPNetwork(layer_sizes, hidden=hidden, output=output)
    network.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in arrays.items()})
    return network
