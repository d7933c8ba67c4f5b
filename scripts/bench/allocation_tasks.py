"""What the allocation benchmark allocates: customers with offers, and response curves of channels, drawn here for everybody.

Shapes: n customers, k offers or channels, t periods.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from marketnn.seed import child_seed, numpy_generator

_FILL = 0.6  # of the customers: room in all offers together
_TIERS = (0.1, 0.3, 0.5, 0.7)  # scores that a tiered model gives


@dataclass(frozen=True)
class Offers:
    """Customers and offers.

    Attributes:
        value: (n, k) float32, what a contact is worth.
        capacity: (k,) most contacts of each offer.
        cost: (k,) of a contact.
        channel: (k,) index of each offer's channel.
        budget: what each channel may spend, two of them less than the capacities would take.
    """

    value: np.ndarray
    capacity: np.ndarray
    cost: np.ndarray
    channel: np.ndarray
    budget: np.ndarray


def offers(n: int, k: int, seed: int, *, tiered: bool = False) -> Offers:
    """Draw customers with three tastes each, offers that appeal to them, and room for six customers in ten.

    A score is the chance of an order, higher where tastes meet and for customers who buy at all; a contact is worth that times
    the offer's price less its cost. Tiered scores have four values, so that customers fall into few kinds.
    """
    rng = numpy_generator(child_seed(seed, "offers"))
    taste = rng.standard_normal((n, 3), dtype=np.float32)
    appeal = rng.standard_normal((3, k), dtype=np.float32)
    activity = rng.gamma(2.0, 0.5, (n, 1)).astype(np.float32)
    score = taste @ appeal + activity - 2 + 0.4 * rng.standard_normal((n, k), dtype=np.float32)
    chance = 1 / (1 + np.exp(-score))
    if tiered:
        chance = np.array(_TIERS, dtype=np.float32)[np.digitize(chance, (0.15, 0.35, 0.6))]
    price = rng.uniform(15, 120, k).astype(np.float32)
    cost = rng.uniform(0.5, 5.0, k).astype(np.float32)
    share = rng.dirichlet(np.full(k, 2.5))
    capacity = np.maximum((share * _FILL * n).astype(np.int64), 1)
    channel = np.arange(k) % 3
    room = np.bincount(channel, capacity * cost, minlength=3)
    return Offers(
        (chance * price - cost).astype(np.float32), capacity, cost, channel, room * np.array([0.6, 0.75, 2.0])
    )


@dataclass(frozen=True)
class Channels:
    """Concave response curves ``scale * log(1 + rate * x)``, carry-over and a budget for some periods.

    Attributes:
        scale, rate, adstock: (k,).
        periods: t.
        budget: for all periods and channels.
    """

    scale: np.ndarray
    rate: np.ndarray
    adstock: np.ndarray
    periods: int
    budget: float


def channels(k: int, t: int, seed: int) -> Channels:
    """Draw channels of unlike size, saturation and memory."""
    rng = numpy_generator(child_seed(seed, "channels"))
    scale, rate = rng.uniform(20, 200, k), rng.uniform(0.01, 0.2, k)
    return Channels(scale, rate, rng.uniform(0.0, 0.7, k), t, float(12 * k * t))


def rewards(scenarios: int, k: int, levels: int, seed: int) -> np.ndarray:
    """Draw rewards (scenarios, k, levels) of S-shaped response, what each channel brings at each number of units."""
    rng = numpy_generator(child_seed(seed, "rewards"))
    x = np.arange(levels) / (levels - 1)
    scale, half, slope = (
        rng.uniform(1, 5, (scenarios, k, 1)),
        rng.uniform(0.1, 0.6, (scenarios, k, 1)),
        rng.uniform(1, 4, (scenarios, k, 1)),
    )
    return (scale * x**slope / (x**slope + half**slope)).astype(np.float32)
