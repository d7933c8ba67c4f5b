"""What customers were offered and what came of it: read from a file and joined to the customers, or made up from them.

A history has a row per offer made, with the columns

    <id>       the customer, as the customers' id column spells it (``row``, its number from 1, where the customers have no id)
    offer      the name of the offer
    accepted   yes or no
    revenue    what an accepted offer brings, from 0 on; every offer has one price or several
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit

from marketnn import registry
from marketnn.data.schema import Column, Role, Schema, refreshed
from marketnn.data.table import Raw, Table, TableOptions, assemble
from marketnn.errors import InputError, rows_text
from marketnn.seed import numpy_generator

OFFER, ACCEPTED, REVENUE, ROW = "offer", "accepted", "revenue", "row"
# Made-up offers and the revenue of each.
PRICES = {"loyalty discount": 60.0, "service bundle": 110.0, "device instalment": 180.0, "family plan": 140.0}
ACCEPTANCE = 0.29  # as paper A's own offers, tables 4.3 and 4.4
TASTE, CALL = 0.9, 1.1  # how far customers differ about an offer, and about offers as such, in log odds
N_TELLING = 6  # features that an offer's success hangs on


@dataclass(frozen=True)
class OfferHistory:
    """Offers that were made.

    Attributes:
        table: a row per offer made: the customers' features, ``offer``, and ``accepted`` as the target.
        customer: (n,) position of the row's customer in the customers' table.
        revenue: offer -> mean revenue of an accepted one.
        made_up: whether the history was drawn rather than observed.
        chance: (customers, offers) the true chance of acceptance of a made-up history; ``None`` of an observed one.
        unknown: rows of the file whose customer is not in the customers' table; they are left out.
    """

    table: Table
    customer: np.ndarray
    revenue: Mapping[str, float]
    made_up: bool
    chance: pd.DataFrame | None = None
    unknown: int = 0


def read_offers(path: str, customers: Table) -> OfferHistory:
    """Read a history (CSV, or Parquet by its ending) and join it to the customers.

    Raises:
        InputError: a column is missing or unfit, fewer than two offers, no customer of the file is known, or a customer's id
            stands twice among the customers.
    """
    name = Path(path).name
    kind = "parquet" if path.endswith(".parquet") else "csv"
    key, customer_ids = _key(customers)
    module, config = registry.configure("data", {"name": kind, "path": path, "target": ACCEPTED})
    raw: Raw = module.read(config)
    columns = [str(column).strip() for column in raw.frame.columns]
    for column in (key, OFFER, ACCEPTED, REVENUE):
        if column not in columns:
            raise InputError(
                f"{name}: column '{column}' is missing; a history has {key}, offer, accepted (yes or no) and revenue."
            )
    read = assemble(raw, ids=[key], categories=[OFFER])
    frame = read.frame
    for column in (key, OFFER, ACCEPTED, REVENUE):
        empty = frame[column].isna().to_numpy()
        if empty.any():
            raise InputError(f"{name}: column '{column}' is empty in {rows_text(empty)}; fill it in or drop the row.")
    accepted, _ = read.binary_target()
    place = pd.Series(np.arange(len(customer_ids)), index=customer_ids)
    if not place.index.is_unique:
        twice = rows_text(place.index.duplicated(keep=False))
        raise InputError(f"{customers.source}: {key} is the same in {twice}, so '{name}' cannot be joined to it.")
    position = place.reindex(frame[key].astype(str)).to_numpy()
    known = ~np.isnan(position)
    if not known.any():
        raise InputError(f"{name}: none of its {len(frame):,} customers is in {customers.source}, by {key}.")
    customer = position[known].astype(int)
    made, revenue = frame[OFFER].to_numpy()[known], _revenue(frame[REVENUE], name)[known]
    table = _joined(customers, customer, made, accepted[known], name)
    return OfferHistory(table, customer, _prices(made, revenue, name), made_up=False, unknown=int((~known).sum()))


def draw_offers(customers: Table, *, seed: int = 0) -> OfferHistory:
    """Make up one offer to each customer, drawn at random, and whether it was accepted.

    Whether a customer accepts hangs on the customer's own features: some for all offers alike, others for each offer
    differently, with weights that the seed draws. The mean chance is paper A's share of successes.

    Args:
        customers: with features that are ready to use.
        seed: of all draws.
    """
    rng = numpy_generator(seed)
    z = _standardised(customers.features)
    offers = list(PRICES)
    n_telling = min(N_TELLING, z.shape[1])
    general = z[:, rng.choice(z.shape[1], n_telling, replace=False)] @ rng.standard_normal(n_telling)
    taste = np.column_stack(
        [z[:, rng.choice(z.shape[1], n_telling, replace=False)] @ rng.standard_normal(n_telling) for _ in offers]
    )
    liking = (CALL * general[:, None] + TASTE * taste) / np.sqrt(n_telling)
    base = brentq(lambda level: expit(liking + level).mean() - ACCEPTANCE, -30, 30)
    chance = expit(liking + base)
    made = rng.integers(len(offers), size=len(z))
    customer = np.arange(len(z))
    accepted = (rng.random(len(z)) < chance[customer, made]).astype(int)
    table = _joined(customers, customer, np.array(offers)[made], accepted, "made-up offers")
    known = pd.DataFrame(chance, columns=offers)
    return OfferHistory(table, customer, PRICES, made_up=True, chance=known)


def _key(customers: Table) -> tuple[str, np.ndarray]:
    """Return the name of the customers' key and its values (n,) as text."""
    ids = customers.schema.names(Role.ID)
    if len(ids) > 1:
        raise InputError(
            f"{customers.source}: {', '.join(ids)} all name customers; offers need one id: pass data.id=[...]."
        )
    if not ids:
        return ROW, customers.row_numbers.astype(str)
    return ids[0], customers.frame[ids[0]].astype(str).to_numpy()


def _revenue(values: pd.Series, name: str) -> np.ndarray:
    if not pd.api.types.is_numeric_dtype(values.dtype):
        raise InputError(f"{name}: column 'revenue' is text, such as '{values.iloc[0]}'; write numbers.")
    negative = (values < 0).to_numpy()
    if negative.any():
        raise InputError(f"{name}: revenue is {values[negative].iloc[0]:g} in {rows_text(negative)}; write 0 or more.")
    return values.to_numpy(dtype=float)


def _prices(offer: np.ndarray, revenue: np.ndarray, name: str) -> dict[str, float]:
    """Return the mean revenue of each offer, in alphabetical order."""
    means = pd.Series(revenue).groupby(offer).mean()
    if len(means) < 2:
        raise InputError(f"{name}: column 'offer' has the one value '{offer[0]}'; there is nothing to choose from.")
    return {str(offer): float(mean) for offer, mean in means.items()}


def _joined(customers: Table, customer: np.ndarray, offer: np.ndarray, accepted: np.ndarray, name: str) -> Table:
    """Return a table with the customers' features, the offer made, and its outcome."""
    features = customers.features
    for column in (OFFER, ACCEPTED):
        if column in features.columns:
            raise InputError(f"{customers.source}: rename its column '{column}', which the offers have too.")
    frame = features.iloc[customer].reset_index(drop=True)
    frame[OFFER] = pd.Series(offer, dtype=object)
    frame[ACCEPTED] = pd.Series(np.where(accepted == 1, "yes", "no"), dtype=object)
    kept = [column for column in customers.schema.columns if column.name in features.columns]
    added = (
        Column(OFFER, Role.CATEGORICAL, "the offer made", 0, 0, ""),
        Column(ACCEPTED, Role.TARGET, "what came of it", 0, 0, ""),
    )
    options = TableOptions(target=ACCEPTED, positive="yes", missing=customers.options.missing)
    schema = refreshed(Schema((*kept, *added)), frame)
    return Table(frame=frame, schema=schema, options=options, source=f"{name} to {customers.source}")


def _standardised(features: pd.DataFrame) -> np.ndarray:
    """Return features (n, d) as numbers of mean 0 and standard deviation 1, categories as 0/1 columns; missing is the mean."""
    numbers = pd.get_dummies(features, drop_first=True, dtype=float)
    z = (numbers - numbers.mean()) / numbers.std(ddof=0).replace(0, 1)
    return z.fillna(0.0).to_numpy()
