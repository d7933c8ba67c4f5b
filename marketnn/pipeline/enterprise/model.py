"""A finished enterprise run as something that scores new customers: churn, portrait, offer, tier and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from marketnn.errors import InputError
from marketnn.pipeline.churn import ChurnModel
from marketnn.pipeline.enterprise.campaign import ChannelCosts, best_offers
from marketnn.pipeline.recommend import RecommendModel
from marketnn.preprocess import Encoder, Met
from marketnn.tracking import SavedModel

KIND = "enterprise"
_CHURN, _OFFERS = "churn", "offers"


@dataclass(frozen=True)
class EnterpriseModel:
    """What a customer needs, from the customer's own columns.

    Attributes:
        churn: who leaves, and like which portrait.
        offers: how likely each offer is accepted.
        costs: of a contact by channel.
        made_up: whether the offers were learnt from a made-up history.
    """

    churn: ChurnModel
    offers: RecommendModel
    costs: ChannelCosts
    made_up: bool

    @property
    def target(self) -> str:
        """The column that says who left."""
        return self.churn.target

    @property
    def ids(self) -> tuple[str, ...]:
        """Columns that name customers."""
        return self.churn.ids

    @property
    def encoder(self) -> Encoder:
        """From the customers' columns to numbers."""
        return self.churn.encoder

    def predict(self, frame: pd.DataFrame, *, source: str, fill_missing: bool) -> tuple[pd.DataFrame, Met]:
        """Score customers: one row out per row in, in order.

        Returns:
            A frame with ``probability`` (of churn), ``churn``, ``portrait``, ``retention``, ``offer``, ``offer_probability``,
            ``tier``, ``action`` and ``expected_profit``, and what the encoding met.

        Raises:
            InputError: a column is missing or mistyped, or a value is missing and ``fill_missing`` is off.
        """
        scored, met = self.churn.predict(frame, source=source, fill_missing=fill_missing)
        choice = best_offers(self.offers.offer_probability(frame), self.offers.revenue, self.costs)
        return (
            scored.rename(columns={"action": "retention"}).assign(
                offer=choice.offer,
                offer_probability=choice.probability,
                tier=choice.tier,
                action=choice.action,
                expected_profit=choice.profit,
            ),
            met,
        )

    def saved(self) -> SavedModel:
        """Return the model as JSON values and arrays."""
        parts = {_CHURN: self.churn.saved(), _OFFERS: self.offers.saved()}
        settings: dict[str, Any] = {name: dict(part.settings) for name, part in parts.items()}
        arrays = {f"{name}.{key}": array for name, part in parts.items() for key, array in part.arrays.items()}
        return SavedModel(KIND, {**settings, "costs": vars(self.costs), "made_up": self.made_up}, arrays)

    @classmethod
    def from_saved(cls, saved: SavedModel) -> EnterpriseModel:
        """Rebuild the model from ``saved()``.

        Raises:
            InputError: the folder was damaged or made by something else.
        """
        try:
            costs = ChannelCosts(**{name: float(cost) for name, cost in saved.settings["costs"].items()})
            made_up = bool(saved.settings["made_up"])
            churn, offers = _part(saved, _CHURN), _part(saved, _OFFERS)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"the model folder is damaged ({error!r}); pass the folder of a finished run.") from error
        return cls(ChurnModel.from_saved(churn), RecommendModel.from_saved(offers), costs, made_up)


def _part(saved: SavedModel, name: str) -> SavedModel:
    settings: Mapping[str, Any] = saved.settings[name]
    start = f"{name}."
    arrays: dict[str, np.ndarray] = {
        key.removeprefix(start): array for key, array in saved.arrays.items() if key.startswith(start)
    }
    return SavedModel(name, settings, arrays)
