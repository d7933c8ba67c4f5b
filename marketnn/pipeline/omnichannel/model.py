"""A finished planning as something that can place new customers and be saved.

New customers get the project with the largest worth at the plan's shadow prices: they take up limits as the planned ones do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import pairwise_distances_argmin_min

from marketnn.data import Role, Table
from marketnn.errors import InputError
from marketnn.network import BPNetwork
from marketnn.pipeline.omnichannel.allotment import Allotment
from marketnn.pipeline.omnichannel.fitness import Fitness, score_key
from marketnn.pipeline.omnichannel.outcomes import Outcome
from marketnn.pipeline.omnichannel.segments import Segmentation, Selection
from marketnn.pipeline.parts import restored_scaler
from marketnn.pipeline.segment.model import Segment
from marketnn.preprocess import Encoder, Met
from marketnn.preprocess.scaling import Scaler
from marketnn.tracking import SavedModel

KIND = "omnichannel"
NONE = "none"


@dataclass(frozen=True)
class Offer:
    """A project as new customers meet it.

    Attributes:
        name: of the project.
        source: where its scores come from: a ``network``, a ``column`` of propensities, or the ``segment``'s rate.
        key: the network's or the column's name.
        revenue: of an order.
        cost: of a contact.
        price: what the contact takes of the limits, at their shadow prices.
        open: whether the plan uses it.
    """

    name: str
    source: Literal["network", "column", "segment"]
    key: str
    revenue: float
    cost: float
    price: float
    open: bool


@dataclass(frozen=True)
class Network:
    """From chosen columns to a probability: a scaler, and the network on what it puts out."""

    scaler: Scaler
    network: BPNetwork

    def scores(self, chosen: pd.DataFrame) -> np.ndarray:
        """Return the probabilities (n,)."""
        weight = next(self.network.parameters())
        with torch.no_grad():
            x = torch.from_numpy(self.scaler.transform(chosen).to_numpy(copy=True)).to(weight)
            return self.network(x).cpu().numpy()[:, 0].clip(0, 1)


@dataclass(frozen=True)
class OmnichannelModel:
    """The segment and the project of a customer.

    Attributes:
        ids: columns that name rows.
        target: the table's, empty without one.
        encoder: from columns to numbers.
        names: the encoded columns that segments and networks see.
        scaler: of these, for the segments.
        centres: (k, d) in scaled units.
        segments: (k,) in words.
        rates: (J, k) rate of orders by segment, 0 for projects that do not use it.
        offers: J.
        networks: by key.
    """

    ids: tuple[str, ...]
    target: str
    encoder: Encoder
    names: tuple[str, ...]
    scaler: Scaler
    centres: np.ndarray
    segments: tuple[Segment, ...]
    rates: np.ndarray
    offers: tuple[Offer, ...]
    networks: Mapping[str, Network]

    @classmethod
    def of(
        cls,
        table: Table,
        selection: Selection,
        segmentation: Segmentation,
        fitness: Fitness,
        outcomes: Sequence[Outcome],
        allotment: Allotment,
    ) -> OmnichannelModel:
        """Collect what new customers need from a finished planning."""
        offers, propensities = [], {}
        prices = zip(allotment.assigned.shadow_price.tolist(), allotment.used.tolist(), strict=True)
        for project, outcome, (shadow, used) in zip(allotment.projects, outcomes, prices, strict=True):
            source: Literal["network", "column", "segment"] = "network" if outcome.learnt else "column"
            if project.basis == "segment":
                source = "segment"
            if source == "column":
                propensities[project.column] = float(np.median(outcome.values))
            spent = allotment.assigned.channel_price.get(project.channel, 0.0) * project.cost
            price = shadow + spent if used else 0.0
            offers.append(Offer(project.name, source, score_key(project), project.revenue, project.cost, price, used))
        return cls(
            ids=tuple(table.schema.names(Role.ID)),
            target=table.options.target or "",
            encoder=Encoder({**selection.encoder.numeric, **propensities}, selection.encoder.categories),
            names=selection.names,
            scaler=segmentation.scaler,
            centres=segmentation.clustering.centres,
            segments=segmentation.segments,
            rates=np.nan_to_num(fitness.rates),
            offers=tuple(offers),
            networks={
                key: Network(scorer.function.scaler, scorer.function.network) for key, scorer in fitness.scorers.items()
            },
        )

    def probability(self, encoded: pd.DataFrame, segment: np.ndarray) -> np.ndarray:
        """Return the fitness scores (n, J) of encoded rows in segments (n,).

        Raises:
            InputError: a propensity is outside [0, 1].
        """
        chosen = encoded[list(self.names)]
        learnt = {key: network.scores(chosen) for key, network in self.networks.items()}
        columns = []
        for place, offer in enumerate(self.offers):
            if offer.source == "segment":
                columns.append(self.rates[place, segment])
            elif offer.source == "network":
                columns.append(learnt[offer.key])
            else:
                propensity = encoded[offer.key].to_numpy()
                if propensity.min() < 0 or propensity.max() > 1:
                    raise InputError(
                        f"column '{offer.key}' has values outside [0, 1]; project '{offer.name}' needs probabilities."
                    )
                columns.append(propensity)
        return np.column_stack(columns)

    def predict(self, frame: pd.DataFrame, *, source: str, fill_missing: bool) -> tuple[pd.DataFrame, Met]:
        """Place customers: one row out per row in, in order.

        Returns:
            A frame with ``segment, label, project`` (``none`` where no contact pays), ``score`` and ``worth`` with it, and every
            project's score, and what the encoding met.

        Raises:
            InputError: a column is missing or mistyped, a propensity is outside [0, 1], or a value is missing and
                ``fill_missing`` is off.
        """
        encoded = self.encoder.transform(frame, source=source, fill_missing=fill_missing)
        scaled = self.scaler.transform(encoded.frame[list(self.names)]).to_numpy()
        index, _ = pairwise_distances_argmin_min(scaled, self.centres)
        probability = self.probability(encoded.frame, index)
        terms = {key: np.array([getattr(offer, key) for offer in self.offers]) for key in ("revenue", "cost", "price")}
        worth = probability * terms["revenue"] - terms["cost"]
        ranked = np.where([offer.open for offer in self.offers], worth - terms["price"], -np.inf)
        choice = ranked.argmax(axis=1)
        paid = ranked.max(axis=1) >= 0
        rows = np.arange(len(frame))
        names = np.array([offer.name for offer in self.offers], dtype=object)
        placed = {
            "segment": [self.segments[place].name for place in index],
            "label": [self.segments[place].label for place in index],
            "project": np.where(paid, names[choice], NONE),
            "score": np.where(paid, probability[rows, choice], 0.0),
            "worth": np.where(paid, worth[rows, choice], 0.0),
        }
        scores = {f"score_{offer.name}": probability[:, place] for place, offer in enumerate(self.offers)}
        met = encoded.met + Met.beyond(self.scaler.out_of_bounds)
        return pd.DataFrame({**placed, **scores}, index=frame.index), met

    def saved(self) -> SavedModel:
        """Return the model as JSON values and arrays."""
        settings = {
            "ids": list(self.ids),
            "target": self.target,
            "encoder": self.encoder.to_dict(),
            "names": list(self.names),
            "scaler": self.scaler.to_dict(),
            "segments": [vars(segment) for segment in self.segments],
            "offers": [vars(offer) for offer in self.offers],
            "networks": [
                {"key": key, "scaler": found.scaler.to_dict(), "hidden": found.network.hidden}
                for key, found in self.networks.items()
            ],
        }
        arrays = {"centres": self.centres, "rates": self.rates}
        for place, found in enumerate(self.networks.values()):
            for name, values in found.network.state_dict().items():
                arrays[f"network {place} {name}"] = values.cpu().numpy()
        return SavedModel(KIND, settings, arrays)

    @classmethod
    def from_saved(cls, saved: SavedModel) -> OmnichannelModel:
        """Rebuild the model from ``saved()``.

        Raises:
            InputError: the folder was damaged or made by something else.
        """
        settings = saved.settings
        try:
            model = cls(
                ids=tuple(map(str, settings["ids"])),
                target=str(settings["target"]),
                encoder=Encoder.from_dict(settings["encoder"]),
                names=tuple(map(str, settings["names"])),
                scaler=restored_scaler(settings["scaler"]),
                centres=saved.arrays["centres"],
                segments=tuple(Segment(**segment) for segment in settings["segments"]),
                rates=saved.arrays["rates"],
                offers=tuple(Offer(**offer) for offer in settings["offers"]),
                networks={
                    str(entry["key"]): _network(saved.arrays, f"network {place} ", entry)
                    for place, entry in enumerate(settings["networks"])
                },
            )
            model._check()
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, RuntimeError) as error:
            raise InputError(f"the model folder is damaged ({error!r}); pass the folder of a finished run.") from error
        return model

    def _check(self) -> None:
        """Raise a ``ValueError`` where the parts do not fit together."""
        shape = (len(self.offers), len(self.segments))
        if self.centres.shape != (len(self.segments), len(self.names)) or self.rates.shape != shape or 0 in shape:
            raise ValueError("centres, segments, projects and columns do not fit")
        columns = {column for encoded in self.encoder.columns.values() for column in encoded}
        needed = {offer.key for offer in self.offers if offer.source == "column"} | set(self.names)
        if needed - columns or {o.key for o in self.offers if o.source == "network"} - set(self.networks):
            raise ValueError("a column or a network is missing")
        if any(found.network.layer_sizes[0] != len(self.names) for found in self.networks.values()):
            raise ValueError("a network does not fit the columns")
        numbers = [number for offer in self.offers for number in (offer.revenue, offer.cost, offer.price)]
        if not (np.isfinite(self.centres).all() and np.isfinite(self.rates).all() and np.isfinite(numbers).all()):
            raise ValueError("a number is not finite")


def _network(arrays: Mapping[str, np.ndarray], prefix: str, entry: Mapping[str, Any]) -> Network:
    """Rebuild a network; its shape is that of the arrays, so that a false one cannot ask for more memory than they."""
    state = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
    in_order = sorted(state, key=lambda name: (len(name), name))  # layers.2 before layers.10
    weights = [state[name] for name in in_order if name.endswith("weight")]
    network = BPNetwork([weights[0].shape[1], *(weight.shape[0] for weight in weights)], hidden=entry["hidden"])
    network.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in state.items()})
    return Network(restored_scaler(entry["scaler"]), network)
