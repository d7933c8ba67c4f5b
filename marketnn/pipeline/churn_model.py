"""A fitted churn analysis as something that can score new customers and be saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.metrics import pairwise_distances_argmin

from marketnn import registry
from marketnn.errors import InputError
from marketnn.preprocess.encoding import Encoded, Encoder
from marketnn.tracking import SavedModel

KIND = "churn"


@dataclass(frozen=True)
class Portrait:
    """A kind of churned customer (paper A, section 3.2).

    Attributes:
        name: ``portrait 1`` is the largest.
        telling: what its customers are like, in words.
        driver: the feature that sets its customers' risk most above that of customers who stay.
        action: what to do to keep such customers.
    """

    name: str
    telling: str
    driver: str
    action: str


@dataclass(frozen=True)
class ChurnModel:
    """Probability of churn from a logistic model, and the portrait of the churned customers nearest to a customer.

    Attributes:
        target, positive: the column and the value that were predicted.
        encoder: from columns to numbers.
        coefficients: of the logistic model, ``const`` among them, by encoded column.
        threshold: probabilities at or above it count as churn.
        scaler: the scaler of the portrait features, as its ``to_dict``.
        centres: (k, d) portrait centres in scaled units.
        portrait_columns: (d,) the encoded columns that portraits are made of.
        portraits: (k,) in the order of the centres.
    """

    target: str
    positive: str
    encoder: Encoder
    coefficients: Mapping[str, float]
    threshold: float
    scaler: Mapping[str, Any]
    centres: np.ndarray
    portrait_columns: tuple[str, ...]
    portraits: tuple[Portrait, ...]

    def probability(self, encoded: pd.DataFrame) -> np.ndarray:
        """Return the probability of churn (n,) of encoded rows."""
        columns = [name for name in self.coefficients if name != "const"]
        weights = np.array([self.coefficients[name] for name in columns])
        return expit(encoded[columns].to_numpy() @ weights + self.coefficients["const"])

    def nearest_portrait(self, encoded: pd.DataFrame) -> np.ndarray:
        """Return the index (n,) of the portrait whose centre is nearest."""
        scaler = type(registry.build("scaler", {"name": self.scaler["name"]})).from_dict(self.scaler)
        scaled = scaler.transform(encoded[list(self.portrait_columns)]).to_numpy()
        return pairwise_distances_argmin(scaled, self.centres)

    def predict(self, frame: pd.DataFrame, *, source: str, fill_missing: bool) -> tuple[pd.DataFrame, Encoded]:
        """Score customers: one row out per row in, in order.

        Returns:
            A frame with ``probability, churn, portrait, action`` (no action below the threshold), and what the encoding met.
        """
        encoded = self.encoder.transform(frame, source=source, fill_missing=fill_missing)
        probability = self.probability(encoded.frame)
        churns = probability >= self.threshold
        portraits = [self.portraits[index] for index in self.nearest_portrait(encoded.frame)]
        scored = pd.DataFrame(
            {
                "probability": probability,
                "churn": np.where(churns, "yes", "no"),
                "portrait": [portrait.name for portrait in portraits],
                "action": [portrait.action if churn else "" for portrait, churn in zip(portraits, churns, strict=True)],
            },
            index=frame.index,
        )
        return scored, encoded

    def saved(self) -> SavedModel:
        """Return the model as JSON values and arrays."""
        names = list(self.coefficients)
        settings = {
            "target": self.target,
            "positive": self.positive,
            "encoder": self.encoder.to_dict(),
            "coefficient_names": names,
            "threshold": self.threshold,
            "scaler": self.scaler,
            "portrait_columns": list(self.portrait_columns),
            "portraits": [vars(portrait) for portrait in self.portraits],
        }
        values = np.array([self.coefficients[name] for name in names])
        return SavedModel(KIND, settings, {"coefficients": values, "centres": self.centres})

    @classmethod
    def from_saved(cls, saved: SavedModel) -> ChurnModel:
        """Rebuild the model from ``saved()``.

        Raises:
            InputError: the folder was damaged or made by something else.
        """
        settings, arrays = saved.settings, saved.arrays
        try:
            return cls(
                target=str(settings["target"]),
                positive=str(settings["positive"]),
                encoder=Encoder.from_dict(settings["encoder"]),
                coefficients=dict(zip(settings["coefficient_names"], arrays["coefficients"].tolist(), strict=True)),
                threshold=float(settings["threshold"]),
                scaler=settings["scaler"],
                centres=arrays["centres"],
                portrait_columns=tuple(settings["portrait_columns"]),
                portraits=tuple(Portrait(**portrait) for portrait in settings["portraits"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"the model folder is damaged: {error!r}.") from error
