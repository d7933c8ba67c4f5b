"""A fitted recommender as something that scores new customers and can be saved: who accepts, which offer, by which channel.

Shapes: n customers, K offers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from marketnn.classify import Calibration, recommendation_tier
from marketnn.classify.classifiers import Classifier, restored
from marketnn.errors import InputError
from marketnn.preprocess import Encoded, Encoder, Met
from marketnn.tracking import SavedModel

KIND = "recommend"
_CLASSIFIER = "classifier."


@dataclass(frozen=True)
class RecommendModel:
    """Probability that an offer is accepted, its tier, and the best of several offers (paper A, section 4.2).

    Attributes:
        target, positive, negative: the column that was predicted, the value that counts as accepted, and the other one.
        ids: columns that name customers.
        encoder: from the customers' columns to numbers; the offer's column is not among them.
        classifier: fitted.
        calibration: from its scores to probabilities; ``None`` leaves them as they are.
        offer: the column that names the offer a row was made; ``None`` where there is one offer.
        offers: (K,) its values, the commonest first, the others in alphabetical order; none where there is no such column.
        revenue: offer -> revenue of an accepted one.
        threshold: probabilities at or above it count as accepted.
    """

    target: str
    positive: str
    negative: str
    ids: tuple[str, ...]
    encoder: Encoder
    classifier: Classifier[Any]
    calibration: Calibration | None
    offer: str | None
    offers: tuple[str, ...]
    revenue: Mapping[str, float]
    threshold: float

    def encode(self, frame: pd.DataFrame, *, source: str = "the table", fill_missing: bool = True) -> Encoded:
        """Encode customers with their offer; rows of a frame without the offer's column get the commonest one.

        Raises:
            InputError: a column is missing or mistyped, or a value is missing and ``fill_missing`` is off.
        """
        if self.offer is None:
            return self.encoder.transform(frame, source=source, fill_missing=fill_missing)
        full = replace(self.encoder, categories={**self.encoder.categories, self.offer: self.offers})
        if self.offer not in frame.columns:
            frame = frame.assign(**{self.offer: self.offers[0]})
        return full.transform(frame, source=source, fill_missing=fill_missing)

    def score(self, encoded: pd.DataFrame) -> np.ndarray:
        """Return the classifier's own probability (n,) of encoded rows, before calibration."""
        return self.classifier.predict_proba(encoded)

    def probability(self, encoded: pd.DataFrame) -> np.ndarray:
        """Return the probability of acceptance (n,) of encoded rows."""
        return self.calibrated(self.score(encoded))

    def calibrated(self, score: np.ndarray) -> np.ndarray:
        """Turn the classifier's own probabilities (n,) into calibrated ones."""
        return score if self.calibration is None else self.calibration.apply(score)

    def probability_by_offer(self, encoded: pd.DataFrame) -> pd.DataFrame:
        """Return the probability (n, K) with which encoded customers accept each offer, whichever they were made.

        Raises:
            InputError: the model knows no offers.
        """
        if self.offer is None:
            raise InputError("the model knows one offer only; pipeline.offer names the column that tells offers apart.")
        made = [f"{self.offer}={offer}" for offer in self.offers]
        nothing = encoded.assign(**dict.fromkeys(made[1:], 0.0))
        by_offer = {
            offer: self.probability(nothing if column == made[0] else nothing.assign(**{column: 1.0}))
            for offer, column in zip(self.offers, made, strict=True)
        }
        return pd.DataFrame(by_offer, index=encoded.index)

    def offer_probability(
        self, frame: pd.DataFrame, *, source: str = "the table", fill_missing: bool = True
    ) -> pd.DataFrame:
        """Return the probability (n, K) with which customers, given by their own columns, accept each offer.

        Raises:
            InputError: as ``encode`` and ``probability_by_offer``.
        """
        return self.probability_by_offer(self.encode(frame, source=source, fill_missing=fill_missing).frame)

    def best_offer(self, offer_probability: pd.DataFrame) -> pd.DataFrame:
        """Choose for each customer the offer of the highest expected value.

        Args:
            offer_probability: (n, K) as ``offer_probability`` gives it.

        Returns:
            ``offer``, ``offer_probability`` and ``expected_value`` = probability times revenue, one row per customer.
        """
        p_nk = offer_probability.to_numpy()
        value_nk = p_nk * np.array([self.revenue[offer] for offer in offer_probability.columns])
        best = value_nk.argmax(axis=1)
        rows = np.arange(len(best))
        return pd.DataFrame(
            {
                "offer": np.array(offer_probability.columns, dtype=object)[best],
                "offer_probability": p_nk[rows, best],
                "expected_value": value_nk[rows, best],
            },
            index=offer_probability.index,
        )

    def predict(self, frame: pd.DataFrame, *, source: str, fill_missing: bool) -> tuple[pd.DataFrame, Met]:
        """Score customers: one row out per row in, in order.

        Returns:
            A frame with ``probability, tier, action``, and where the model knows several offers ``offer,
            offer_probability, expected_value`` of the best one; and what the encoding met. Tier and action are the best
            offer's. ``probability`` is that of the offer in the row, and of the best one where the frame has none.

        Raises:
            InputError: a column is missing or mistyped, or a value is missing and ``fill_missing`` is off.
        """
        encoded = self.encode(frame, source=source, fill_missing=fill_missing)
        made_known = self.offer is None or self.offer in frame.columns
        by_offer = None if self.offer is None else self.probability_by_offer(encoded.frame)
        probability = self.probability(encoded.frame) if made_known else None
        return self.scored(probability, by_offer).set_axis(frame.index), encoded.met

    def scored(self, probability: np.ndarray | None, by_offer: pd.DataFrame | None) -> pd.DataFrame:
        """Lay out what probabilities mean, with the columns of ``predict``.

        Args:
            probability: (n,) of the offer that was made; ``None`` where none was.
            by_offer: (n, K) of every offer; ``None`` where the model knows one.
        """
        best = pd.DataFrame() if by_offer is None else self.best_offer(by_offer).reset_index(drop=True)
        offered = probability if by_offer is None else best["offer_probability"].to_numpy()
        tiers = recommendation_tier(offered, calibrated=self.calibration is not None)
        scored = {
            "probability": offered if probability is None else probability,
            "tier": tiers.tier,
            "action": tiers.action,
        }
        return pd.concat([pd.DataFrame(scored), best], axis=1)

    def saved(self) -> SavedModel:
        """Return the model as JSON values and arrays."""
        state, tensors = self.classifier.saved()
        settings = {
            "target": self.target,
            "positive": self.positive,
            "negative": self.negative,
            "ids": list(self.ids),
            "encoder": self.encoder.to_dict(),
            "classifier": state,
            "calibration": None if self.calibration is None else self.calibration.saved(),
            "offer": self.offer,
            "offers": list(self.offers),
            "revenue": dict(self.revenue),
            "threshold": self.threshold,
        }
        return SavedModel(KIND, settings, {_CLASSIFIER + name: tensor.numpy() for name, tensor in tensors.items()})

    @classmethod
    def from_saved(cls, saved: SavedModel) -> RecommendModel:
        """Rebuild the model from ``saved()``.

        Raises:
            InputError: the folder was damaged or made by something else.
        """
        settings = saved.settings
        try:
            tensors = {
                key.removeprefix(_CLASSIFIER): torch.from_numpy(values)
                for key, values in saved.arrays.items()
                if key.startswith(_CLASSIFIER)
            }
            calibration = settings["calibration"]
            model = cls(
                target=str(settings["target"]),
                positive=str(settings["positive"]),
                negative=str(settings["negative"]),
                ids=tuple(map(str, settings["ids"])),
                encoder=Encoder.from_dict(settings["encoder"]),
                classifier=restored(settings["classifier"], tensors),
                calibration=None if calibration is None else Calibration.restored(calibration),
                offer=None if settings["offer"] is None else str(settings["offer"]),
                offers=tuple(map(str, settings["offers"])),
                revenue={str(offer): float(value) for offer, value in settings["revenue"].items()},
                threshold=float(settings["threshold"]),
            )
            model._check()
        except (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise InputError(f"the model folder is damaged ({error!r}); pass the folder of a finished run.") from error
        return model

    def _check(self) -> None:
        """Raise a ``ValueError`` where the parts do not fit together."""
        if (
            not 0 < self.threshold < 1
            or not np.isfinite([*self.encoder.numeric.values(), *self.revenue.values()]).all()
        ):
            raise ValueError("a number is out of range")
        if set(self.revenue) != set(self.offers) or (self.offer is None) != (len(self.offers) < 2):
            raise ValueError("offers and their revenue do not fit")
        usual = {**self.encoder.numeric, **{name: values[0] for name, values in self.encoder.categories.items()}}
        probability = self.probability(
            self.encode(pd.DataFrame({name: [value] for name, value in usual.items()})).frame
        )
        if probability.shape != (1,) or not 0 <= probability[0] <= 1:
            raise ValueError("encoder and classifier do not fit")
