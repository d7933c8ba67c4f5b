"""Made-up customers of an omni-channel shop, with the printed figures of paper B: eight features, six segments, who buys most.

The paper's 30,000 customers are private. These stand where it says its own do: every segment's mean in the paper's z units is the
final centre of table 2, the history's amount and count correlate .5 and no other pair reaches that (figure 1), who will order
hangs on the features in the order of figure 2, and the greatest buyers hold the shares of figure 3 in one of the ways in which
its numbers can be read. The centres alone would correlate age, income and region by more than .5, so that within a segment
these three run against each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from marketnn.data.table import Raw, Table, TableOptions, assemble
from marketnn.errors import InputError
from marketnn.seed import numpy_generator

Scenario = Literal["one_in_six", "one_in_sixty"]

# Table 2 of paper B, final centres; segments 1 to 6 by row, columns as in FEATURES.
CENTRES = np.array(
    [
        [1.15348, 1.92933, 3.02280, 0.12792, 0.75635, 7.38258],
        [0.73212, 1.51823, 2.75151, 0.12956, 0.86502, 1.48985],
        [-0.70111, -1.08364, -0.98172, -0.00596, -0.22077, -0.24822],
        [1.41233, 0.51526, 0.27921, -0.04064, -0.64505, -0.23310],
        [0.72314, 0.11772, 0.16235, 0.04532, 1.05403, 0.88471],
        [0.52115, 3.53721, 0.63092, 0.86346, 1.26180, 0.67361],
    ]
)
FEATURES = ("age", "income", "region", "positive_feedback", "amount", "quantity")
SHARES = np.array(
    [1 / 60, 0.04, 0.46, 0.56 / 1.5, 0.07, 0.04]
)  # of the segments; 1, 2, 5 and 6 are one customer in six
SPREAD = np.array([0.45, 0.6, 0.8, 0.15, 0.3, 0.15])  # within a segment, in z units
AGAINST = -0.47  # correlation of age, income and region within a segment
# A feature's mean, standard deviation, least and greatest value; the quantity's follow from the scenario.
UNITS = {
    "age": (38.0, 8.0, 18.0, 90.0),
    "income": (8_000.0, 2_500.0, 500.0, np.inf),
    "region": (4.0, 1.2, 1.0, 10.0),
    "positive_feedback": (0.8, 0.1, 0.0, 1.0),
    "amount": (2_000.0, 900.0, 0.0, np.inf),
}
ORDERS = (8.0, 3.0)  # mean and standard deviation of the historical count
AMOUNT_AND_ORDERS = (
    0.51  # their correlation before it is rounded, which leaves the .5 of figure 1 and of the paper's rule
)
MEAN_QUANTITY = 400.0  # pieces, figure 3
# Means of the buyers above 400 pieces that hold 40 % of all, and of the rest, from what figure 3 prints.
GREAT_BUYERS: dict[str, float] = {"one_in_six": 960.0, "one_in_sixty": 9_600.0}
LEAST_QUANTITY = 10.0
# What a standard deviation of a feature adds to the logarithm of the odds of an order, after figure 2's importances.
INTENTIONS = {
    "quantity": 1.35, "amount": 0.95, "income": 0.62, "age": 0.5, "region": 0.5, "positive_feedback": 0.5, "orders": 0.2
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Config(TableOptions):
    """Made-up customers of an omni-channel shop.

    Attributes:
        n: customers.
        scenario: who buys more than 400 pieces: ``one_in_six``, as the paper says, or ``one_in_sixty``, as 500 of its 30,000 are.
        draw: a whole number; the same one, the same customers.
    """

    n: int = 30_000
    scenario: Scenario = "one_in_six"
    draw: int = 0


@dataclass(frozen=True)
class Customers:
    """Customers of whom it is known what they are.

    Attributes:
        frame: ``customer_id``, the eight features and ``orders_again`` (1 will order).
        segment: (n,) 1 to 6.
        z: (n, 6) FEATURES in the paper's z units, before they are put into units of their own.
    """

    frame: pd.DataFrame
    segment: np.ndarray
    z: np.ndarray


def read(config: Config) -> Raw:
    """Draw the customers.

    Raises:
        InputError: a number is out of range.
    """
    frame = draw_customers(config.n, config.scenario, seed=config.draw).frame
    note = "Made-up customers with the printed figures of paper B, whose own are private."
    return Raw(frame, config, f"{config.n:,} made-up customers", (note,))


def build(config: Config) -> Table:
    """Draw the customers into a table.

    Raises:
        InputError: as ``read`` and ``assemble``.
    """
    return assemble(read(config))


def draw_customers(n: int = 30_000, scenario: Scenario = "one_in_six", *, seed: int = 0) -> Customers:
    """Draw customers in random order.

    Args:
        n: how many, 60 or more.
        scenario: who buys more than 400 pieces on a mean of 400: segments 1, 2, 5 and 6, a customer in six with 960 pieces on
            average, or segment 1 alone, a customer in sixty with 9,600. Either way they hold 40 % of all pieces.
        seed: of all draws.

    Raises:
        InputError: a number is out of range.
    """
    if n < 60 or seed < 0 or scenario not in GREAT_BUYERS:
        raise InputError(
            f"n={n} must be at least 60, draw={seed} at least 0, and scenario={scenario} one of {', '.join(GREAT_BUYERS)}."
        )
    rng = numpy_generator(seed)
    bounds = np.round(np.cumsum(SHARES) * n).astype(int)
    label = rng.permutation(np.searchsorted(bounds, np.arange(n), side="right"))
    correlation = np.eye(len(FEATURES))
    correlation[:3, :3] += AGAINST * (1 - np.eye(3))
    noise = rng.normal(size=(n, len(FEATURES))) @ np.linalg.cholesky(correlation).T
    noise[:, -1] = np.clip(noise[:, -1], -2, 2)  # nobody crosses the 400 pieces by chance
    z = CENTRES[label] + SPREAD * noise
    columns: dict[str, np.ndarray] = {"customer_id": np.arange(1, n + 1)}
    for place, name in enumerate(UNITS):
        mean, deviation, least, greatest = UNITS[name]
        columns[name] = np.clip(mean + deviation * z[:, place], least, greatest)
    columns["region"] = np.round(columns["region"])
    columns["gender"] = np.where(rng.random(n) < 0.5, "female", "male")
    columns["quantity"] = _quantity(label, z[:, -1], scenario)
    amount = _standard(columns["amount"])
    apart = np.sqrt(1 - AMOUNT_AND_ORDERS**2)
    columns["orders"] = np.maximum(
        np.round(ORDERS[0] + ORDERS[1] * (AMOUNT_AND_ORDERS * amount + apart * rng.normal(size=n))), 0
    )
    intention = sum(weight * _ranked(columns[name]) for name, weight in INTENTIONS.items())
    columns["orders_again"] = (rng.random(n) < 1 / (1 + np.exp(-intention))).astype(int)
    return Customers(pd.DataFrame(columns), label + 1, z)


def _quantity(label: np.ndarray, z: np.ndarray, scenario: Scenario) -> np.ndarray:
    """Put quantities into pieces, so that the means of the great buyers and of the rest are those of the scenario."""
    great = np.isin(label, (0, 1, 4, 5)) if scenario == "one_in_six" else label == 0
    share = great.mean()
    above = GREAT_BUYERS[scenario]
    below = (MEAN_QUANTITY - share * above) / (1 - share)
    if scenario == "one_in_six":
        deviation = (above - below) / (z[great].mean() - z[~great].mean())
        pieces = below + deviation * (z - z[~great].mean())
    else:
        # One scale cannot hold segment 1 at 9,600 pieces and segment 2, at a fifth of its z, below 400.
        rest = z - z[~great].mean()
        pieces = np.where(
            great, above * z / z[great].mean(), below + 0.9 * (MEAN_QUANTITY - below) * rest / rest[~great].max()
        )
    return np.maximum(np.round(pieces), LEAST_QUANTITY)


def _standard(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / values.std()


def _ranked(values: np.ndarray) -> np.ndarray:
    """Return standardised ranks: a heavy tail would decide alone."""
    return _standard(pd.Series(values).rank().to_numpy())
