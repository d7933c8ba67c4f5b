"""The recommender itself: from a table of offers made to a model, its evidence and each row's best offer; nothing is written."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from marketnn import registry
from marketnn.classify import (
    Comparison,
    LeakageReport,
    PolicyValue,
    compare_classifiers,
    fit_calibration,
    leakage_report,
    policy_value,
)
from marketnn.data import Role, Table
from marketnn.data.table import class_names
from marketnn.errors import InputError, rows_text, unknown_name
from marketnn.pipeline.parts import Parts, Stage
from marketnn.pipeline.recommend.contacts import Contacts, contact_rules
from marketnn.pipeline.recommend.evidence import Evidence, gather
from marketnn.pipeline.recommend.model import RecommendModel
from marketnn.pipeline.recommend.side_by_side import SideBySide, side_by_side
from marketnn.preprocess import Encoded, Encoder, Split, stratified_split
from marketnn.seed import child_seed

MIN_CLASS_ROWS = 10


@dataclass(frozen=True)
class Config:
    """How a recommender is made and judged.

    Attributes:
        test_share: share of the rows kept for testing, between 0 and 1.
        calibration_share: share of the training rows that the model does not learn from and is calibrated on.
        calibration: ``isotonic``, ``platt`` (logistic on the log odds), or ``none``: then tiers are called uncalibrated.
        compare: models trained and tested on the same rows, with their default settings; the chosen one is always there.
        n_splits: of the comparison; several give intervals over splits.
        n_resamples: of the bootstrap of the test rows.
        offer: a feature column that names the offer the row was made; ``None`` where there is one offer.
        revenue: offer -> revenue of an accepted one; None for the default of each.
        default_revenue: of an offer that ``revenue`` does not name, and of the one offer.
        randomised: whether the offer was drawn by chance: then what recommending brings can be told from the test rows.
        outbound_cost, sms_cost: of a call and of a message, in the unit of the revenue.
        threshold: probabilities at or above it count as accepted.
    """

    test_share: float = 0.2
    calibration_share: float = 0.2
    calibration: Literal["isotonic", "platt", "none"] = "isotonic"
    compare: tuple[str, ...] = ("xgboost", "lmbp", "random_forest", "cart", "logistic")
    n_splits: int = 1
    n_resamples: int = 1000
    offer: str | None = None
    revenue: dict[str, float] | None = None
    default_revenue: float = 1.0
    randomised: bool = False
    outbound_cost: float = 0.1
    sms_cost: float = 0.005
    threshold: float = 0.5


@dataclass(frozen=True)
class RecommendAnalysis:
    """Everything a recommender's analysis found.

    Attributes:
        table: the rows analysed: offers made, and what came of them.
        y: (n,) 1 for accepted.
        split: training and test rows.
        calibrating: positions of the training rows that the calibration was fitted on; none without one.
        encoded: all rows as numbers, by what the training rows taught.
        leakage: features that tell too much, and duplicates across the split.
        comparison: all models on the same rows.
        models: their measures side by side.
        model: the chosen one; scores new customers.
        scored: (n rows) what the model says of every row, as ``RecommendModel.predict``.
        evidence: how good the chosen model is on the test rows.
        contacts: what tiers and contact rules come to on the test rows.
        offer_probability: (n, K) of each offer, whichever the row was made; ``None`` where there is one offer.
        policy: what recommending brings on the test rows; ``None`` unless the offer was drawn by chance.
    """

    table: Table
    y: np.ndarray
    split: Split
    calibrating: np.ndarray
    encoded: Encoded
    leakage: LeakageReport
    comparison: Comparison
    models: SideBySide
    model: RecommendModel
    scored: pd.DataFrame
    evidence: Evidence
    contacts: Contacts
    offer_probability: pd.DataFrame | None
    policy: PolicyValue | None

    @property
    def probability(self) -> np.ndarray:
        """(n,) of acceptance of the offer in the row."""
        return self.scored["probability"].to_numpy()

    @property
    def tier(self) -> np.ndarray:
        """(n,) 1 to 4, of the row's best offer."""
        return self.scored["tier"].to_numpy()

    @property
    def best_offer(self) -> np.ndarray | None:
        """(n,) the offer of the highest expected value; ``None`` where there is one offer."""
        return None if self.model.offer is None else self.scored["offer"].to_numpy()


def analyse(table: Table, config: Config, parts: Parts, *, stage: Stage = lambda _: nullcontext()) -> RecommendAnalysis:
    """Make a recommender from a table and judge it on rows that it never saw.

    Args:
        table: a row per offer made, with a two-class target: accepted or not.
        config: how.
        parts: classifier, device and seed.
        stage: entered around each named stage, for timing and progress.

    Raises:
        InputError: the table or the configuration cannot be used; the message says what to change.
    """
    _check(config)
    with stage("table"):
        table = table.ready()
        y, positive = _target(table)
        features = _features(table, config)
        split_seed = child_seed(parts.seed, "split")
        split, customer = _split(features, y, config, split_seed)
        fit, calibrating = _calibration_rows(features, customer, y, split, config, parts.seed)
        encoder = Encoder.fit(features.iloc[split.train])
        encoded = encoder.transform(features, source=table.source)
        leakage = leakage_report(features, y, split, seed=child_seed(parts.seed, "leakage"))
    with stage("models compared"):
        comparison = compare_classifiers(
            features,
            y,
            {**{name: {"name": name} for name in config.compare}, str(parts.classifier["name"]): parts.classifier},
            seeds=[split_seed, *(child_seed(parts.seed, f"split {n}") for n in range(1, config.n_splits))],
            test_share=config.test_share,
            groups=customer,
            device=parts.device,
        )
        models = side_by_side(
            comparison, y[split.test], threshold=config.threshold, n_resamples=config.n_resamples, seed=parts.seed
        )
    with stage("model"):
        classifier = registry.build("classifier", parts.classifier)
        classifier.fit(encoded.frame.iloc[fit], y[fit], seed=child_seed(parts.seed, "model"), device=parts.device)
        offers = encoder.categories[config.offer] if config.offer else ()
        calibration = None
        if config.calibration != "none":
            held_out = classifier.predict_proba(encoded.frame.iloc[calibrating])
            calibration = fit_calibration(y[calibrating], held_out, method=config.calibration)
        model = RecommendModel(
            target=str(table.options.target),
            positive=positive,
            negative=next(name for name in class_names(table.frame[table.options.target]) if name != positive),
            ids=tuple(table.schema.names(Role.ID)),
            encoder=Encoder(
                encoder.numeric, {name: values for name, values in encoder.categories.items() if name != config.offer}
            ),
            classifier=classifier,
            calibration=calibration,
            offer=config.offer,
            offers=offers,
            revenue={offer: _price(offer, config) for offer in offers},
            threshold=config.threshold,
        )
        probability = model.probability(encoded.frame)
    test = split.test
    revenue = _revenue(features, config)
    with stage("evidence"):
        evidence = gather(model, encoded.frame.iloc[test], y[test], n_resamples=config.n_resamples, seed=parts.seed)
        contacts = contact_rules(
            y[test],
            probability[test],
            revenue[test],
            outbound_cost=config.outbound_cost,
            sms_cost=config.sms_cost,
        )
    with stage("offers"):
        by_offer = model.probability_by_offer(encoded.frame) if config.offer else None
        scored = model.scored(probability, by_offer)
        policy = None
        if config.randomised:
            made, recommended = features[config.offer].to_numpy(), scored["offer"].to_numpy()
            policy = policy_value(made[test], (y * revenue)[test], recommended[test])
    return RecommendAnalysis(
        table=table,
        y=y,
        split=split,
        calibrating=calibrating,
        encoded=encoded,
        leakage=leakage,
        comparison=comparison,
        models=models,
        model=model,
        scored=scored,
        evidence=evidence,
        contacts=contacts,
        offer_probability=by_offer,
        policy=policy,
    )


def _target(table: Table) -> tuple[np.ndarray, str]:
    """Return the outcome as 0/1 (n,) and the name of the class that is 1, each class with enough rows."""
    y, positive = table.binary_target()
    counts = np.bincount(y, minlength=2)
    if counts.min() < MIN_CLASS_ROWS:
        which = f"={positive}" if counts[1] < counts[0] else f" other than {positive}"
        raise InputError(
            f"{table.source}: {counts.min()} rows have {table.options.target}{which}; a recommender needs at least "
            f"{MIN_CLASS_ROWS} of either outcome."
        )
    return y, positive


def _features(table: Table, config: Config) -> pd.DataFrame:
    """Return the features (n, d), the offer's column last."""
    offer, features = config.offer, table.features
    if offer is None:
        return features
    if offer not in features.columns:
        raise InputError(f"{table.source}: {unknown_name('feature in pipeline.offer', offer, features.columns)}")
    if pd.api.types.is_numeric_dtype(features[offer].dtype):
        raise InputError(
            f"{table.source}: column '{offer}' holds numbers, and offers are told by name; pass data.categorical=[{offer}]."
        )
    unnamed = features[offer].isna().to_numpy()
    if unnamed.any():
        raise InputError(
            f"{table.source}: column '{offer}' names no offer in {rows_text(table.row_numbers[unnamed] - 1)}; "
            "pass data.missing=drop."
        )
    offers = features[offer].unique()
    for name in config.revenue or {}:
        if name not in offers:
            raise InputError(f"{table.source}: {unknown_name('offer in pipeline.revenue', name, offers)}")
    return features[[*features.columns.drop(offer), offer]]


def _revenue(features: pd.DataFrame, config: Config) -> np.ndarray:
    """Return what each row (n,) brings when its offer is accepted."""
    if config.offer is None:
        return np.full(len(features), config.default_revenue)
    return features[config.offer].map(lambda offer: _price(offer, config)).to_numpy(float)


def _price(offer: str, config: Config) -> float:
    return (config.revenue or {}).get(offer, config.default_revenue)


def _split(features: pd.DataFrame, y: np.ndarray, config: Config, seed: int) -> tuple[Split, np.ndarray | None]:
    """Part the rows, and say which customer (n,) each row is of, where that parts them.

    A customer who was made several offers stays on one side. Columns so coarse that customers cannot be told by them leave
    that to rows whose offer agrees too.
    """
    if config.offer is not None:
        customers = features.drop(columns=config.offer)
        split = stratified_split(customers, y, test_share=config.test_share, seed=seed)
        if split.together:
            return split, customers.groupby(list(customers.columns), dropna=False, sort=False).ngroup().to_numpy()
    return stratified_split(features, y, test_share=config.test_share, seed=seed), None


def _calibration_rows(
    features: pd.DataFrame, customer: np.ndarray | None, y: np.ndarray, split: Split, config: Config, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Part the training rows into those that the model learns from and those that it is calibrated on."""
    train = split.train
    if config.calibration == "none":
        return train, train[:0]
    alike = features.iloc[train] if customer is None else pd.DataFrame({"customer": customer[train]})
    inner = stratified_split(alike, y[train], test_share=config.calibration_share, seed=child_seed(seed, "calibration"))
    return train[inner.train], train[inner.test]


def _check(config: Config) -> None:
    for key in ("test_share", "calibration_share", "threshold"):
        if not 0 < getattr(config, key) < 1:
            raise InputError(f"pipeline.{key}={getattr(config, key):g} must lie between 0 and 1.")
    for key in ("n_splits", "n_resamples"):
        if getattr(config, key) < 1:
            raise InputError(f"pipeline.{key}={getattr(config, key)} must be at least 1.")
    money = {key: getattr(config, key) for key in ("default_revenue", "outbound_cost", "sms_cost")}
    money |= {f"revenue.{offer}": value for offer, value in (config.revenue or {}).items()}
    for key, value in money.items():
        if not (np.isfinite(value) and value >= 0):
            raise InputError(f"pipeline.{key}={value:g} must be a number from 0 on.")
    if config.offer is None and config.revenue:
        raise InputError("pipeline.revenue names offers, and no column tells them apart; pass pipeline.offer=COLUMN.")
    if config.offer is None and config.randomised:
        raise InputError("pipeline.randomised=true speaks of several offers; pass pipeline.offer=COLUMN as well.")
