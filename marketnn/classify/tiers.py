"""Four tiers of the probability that an offer is accepted, each with its action and channel (paper A, section 4.3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from statsmodels.stats.proportion import proportion_confint

from marketnn.classify.labels import Vector, binary_labels, probabilities
from marketnn.errors import InputError


@dataclass(frozen=True)
class Tier:
    """A band of probabilities and what the paper does with it.

    Attributes:
        number: 1 to 4.
        name: how the customer takes the offer.
        band: the probabilities, in words.
        action: what to do.
        channel: by which means; empty for none.
    """

    number: int
    name: str
    band: str
    action: str
    channel: str


# The paper's "less than 0.2" and "more than 0.8" are strict, so that .8 lies in tier 3.
TIERS = (
    Tier(1, "not preferred", "below .2", "do not contact", ""),
    Tier(2, "relative preference", ".2 to below .5", "contact, and follow up", "follow-up calls"),
    Tier(3, "high preference", ".5 to .8", "recommend once, simply", "simple call"),
    Tier(4, "very high preference", "above .8", "send a message instead of calling", "SMS"),
)


@dataclass(frozen=True)
class RecommendationTiers:
    """The tier of each probability; single values where a single probability was given.

    Attributes:
        tier: 1 to 4.
        name, action, channel: what ``TIERS`` says of it.
        calibration: ``calibrated`` or ``uncalibrated``: whether a tier may be taken at its word.
    """

    tier: np.ndarray | int
    name: np.ndarray | str
    action: np.ndarray | str
    channel: np.ndarray | str
    calibration: str


def recommendation_tier(probability: Vector | float, *, calibrated: bool = False) -> RecommendationTiers:
    """Put probabilities into the paper's tiers.

    Args:
        probability: one, or (n,) of them.
        calibrated: whether they are: tiers speak of rates, and uncalibrated scores are none.

    Raises:
        InputError: a probability outside [0, 1], or NaN.
    """
    values = np.atleast_1d(np.asarray(probability, dtype=float))
    p = probabilities(values, len(values)) if values.ndim == 1 else probabilities(values, values.size)
    tier = 1 + (p >= 0.2).astype(int) + (p >= 0.5) + (p > 0.8)
    name, action, channel = (
        np.array([getattr(band, key) for band in TIERS], dtype=object)[tier - 1]
        for key in ("name", "action", "channel")
    )
    word = "calibrated" if calibrated else "uncalibrated"
    if np.ndim(probability) == 0:
        return RecommendationTiers(int(tier[0]), str(name[0]), str(action[0]), str(channel[0]), word)
    return RecommendationTiers(tier, name, action, channel, word)


def hit_rates(y: Vector, tier: Vector, *, level: float = 0.95) -> pd.DataFrame:
    """Compare each tier with what became of its rows.

    Args:
        y: (n,) 1 for accepted.
        tier: (n,) 1 to 4.
        level: of the intervals.

    Returns:
        A row per tier: ``tier, name, band, action, channel, rows, accepted, hit_rate, low, high`` (Wilson's interval); rates are
        missing in an empty tier.

    Raises:
        InputError: labels other than 0 and 1, tiers other than 1 to 4, or unequal lengths.
    """
    labels = binary_labels(y, both_classes=False)
    tiers = _tiers(tier, len(labels))
    rows = np.bincount(tiers, minlength=5)[1:]
    accepted = np.bincount(tiers, weights=labels, minlength=5)[1:].astype(int)
    low, high = np.full(4, np.nan), np.full(4, np.nan)
    some = rows > 0
    low[some], high[some] = proportion_confint(accepted[some], rows[some], alpha=1 - level, method="wilson")
    rate = np.divide(accepted, rows, out=np.full(4, np.nan), where=some)
    told = pd.DataFrame([vars(band) for band in TIERS]).rename(columns={"number": "tier"})
    return told.assign(rows=rows, accepted=accepted, hit_rate=rate, low=low, high=high)


def channel_saving(tier: Vector, *, outbound_cost: float, sms_cost: float) -> float:
    """Return what messages instead of calls save in tier 4.

    Args:
        tier: (n,) 1 to 4.
        outbound_cost, sms_cost: of a contact, from 0 on.

    Raises:
        InputError: tiers other than 1 to 4, or a cost that is negative or not finite.
    """
    for name, cost in (("outbound_cost", outbound_cost), ("sms_cost", sms_cost)):
        if not (np.isfinite(cost) and cost >= 0):
            raise InputError(f"{name}={cost:g} must be a number from 0 on.")
    return float((_tiers(tier, None) == 4).sum() * (outbound_cost - sms_cost))


def _tiers(tier: Vector, n: int | None) -> np.ndarray:
    values = np.asarray(tier)
    if values.ndim != 1 or (n is not None and len(values) != n):
        raise InputError(f"tiers of shape {values.shape} must be one for each row; pass recommendation_tier(p).tier.")
    strange = ~np.isin(values, (1, 2, 3, 4))
    if strange.any():
        raise InputError(f"a tier is {values[strange][0]}; tiers are 1 to 4, as recommendation_tier gives them.")
    return values.astype(int)
