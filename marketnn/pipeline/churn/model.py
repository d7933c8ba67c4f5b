"""A fitted churn analysis as something that can score new customers and be saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.metrics import pairwise_distances_argmin

from marketnn.errors import InputError
from marketnn.pipeline.parts import restored_scaler
from marketnn.preprocess.encoding import Encoder, Met
from marketnn.preprocess.scaling import Scaler
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
        target, positive, negative: the column that was predicted, the value that counts as churn, and the other one.
        ids: columns that name customers.
        encoder: from columns to numbers.
        coefficients: of the logistic model, ``const`` among them, by encoded column.
        threshold: probabilities at or above it count as churn.
        scaler: of the portrait features.
        centres: (k, d) portrait centres in scaled units.
        portrait_columns: (d,) the encoded columns that portraits are made of.
        portraits: (k,) in the order of the centres.
    """

    target: str
    positive: str
    negative: str
    ids: tuple[str, ...]
    encoder: Encoder
    coefficients: Mapping[str, float]
    threshold: float
    scaler: Scaler
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
        scaled = self.scaler.transform(encoded[list(self.portrait_columns)]).to_numpy()
        return pairwise_distances_argmin(scaled, self.centres)

    def predict(self, frame: pd.DataFrame, *, source: str, fill_missing: bool) -> tuple[pd.DataFrame, Met]:
        """Score customers: one row out per row in, in order.

        Returns:
            A frame with ``probability, churn, portrait, action`` (no action below the threshold), and what the encoding met.

        Raises:
            InputError: a column is missing or mistyped, or a value is missing and ``fill_missing`` is off.
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
        return scored, encoded.met

    def saved(self) -> SavedModel:
        """Return the model as JSON values and arrays."""
        names = list(self.coefficients)
        settings = {
            "target": self.target,
            "positive": self.positive,
            "negative": self.negative,
            "ids": list(self.ids),
            "encoder": self.encoder.to_dict(),
            "coefficient_names": names,
            "threshold": self.threshold,
            "scaler": self.scaler.to_dict(),
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
            model = cls(
                target=str(settings["target"]),
                positive=str(settings["positive"]),
                negative=str(settings["negative"]),
                ids=tuple(map(str, settings["ids"])),
                encoder=Encoder.from_dict(settings["encoder"]),
                coefficients=dict(zip(settings["coefficient_names"], arrays["coefficients"].tolist(), strict=True)),
                threshold=float(settings["threshold"]),
                scaler=restored_scaler(settings["scaler"]),
                centres=arrays["centres"],
                portrait_columns=tuple(settings["portrait_columns"]),
                portraits=tuple(Portrait(**portrait) for portrait in settings["portraits"]),
            )
            model._check()
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"the model folder is damaged ({error!r}); pass the folder of a finished run.") from error
        return model

    def _check(self) -> None:
        """Raise a ``ValueError`` where the parts do not fit together."""
        encoded = {column for columns in self.encoder.columns.values() for column in columns}
        used = {*self.coefficients, *self.portrait_columns} - {"const"}
        if "const" not in self.coefficients or not used <= encoded:
            raise ValueError("coefficients and encoder do not fit")
        if self.centres.shape != (len(self.portraits), len(self.portrait_columns)) or not len(self.portraits):
            raise ValueError("centres and portraits do not fit")
        if not np.isfinite([*self.coefficients.values(), *self.centres.ravel(), self.threshold]).all():
            raise ValueError("a number is not finite")
