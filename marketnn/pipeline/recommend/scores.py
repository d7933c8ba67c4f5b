"""What a finished recommender says of new customers, written down: tiers, channels, offers, and how well that was told."""

from __future__ import annotations

import pandas as pd

from marketnn.classify import confusion_report, ranking_report
from marketnn.data.table import class_names
from marketnn.pipeline.recommend.model import RecommendModel
from marketnn.spelling import counted
from marketnn.tracking import Run


def record_scores(
    model: RecommendModel, scored: pd.DataFrame, outcome: pd.Series | None, source: str, out: Run
) -> None:
    """Record how many customers are in each tier and get each offer, and compare with the outcome where there is one.

    Args:
        model: what scored them.
        scored: ``RecommendModel.predict``'s frame.
        outcome: the target of the same rows.
        source: the customers' file, for messages.
        out: where to.
    """
    n_likely = int((scored["probability"] >= model.threshold).sum())
    out.headline(
        f"{counted(len(scored), 'customer')} of {source} scored; {n_likely:,} reach the threshold of {model.threshold:g}."
    )
    if model.calibration is None:
        out.headline("The model was not calibrated: its tiers are those of uncalibrated scores.")
    tiers = scored.groupby(["tier", "action"]).size().rename("customers").reset_index()
    out.table("tiers", tiers, "Customers by tier", size="customers")
    if model.offer is not None:
        offers = scored.groupby("offer").agg(
            customers=("offer", "size"),
            mean_probability=("offer_probability", "mean"),
            expected_value=("expected_value", "sum"),
        )
        out.table("offers", offers, "Customers by best offer", index=True, size="customers")
    out.metric(n_likely_accept=n_likely)
    if outcome is not None:
        _compare(model, scored, outcome, out)


def _compare(model: RecommendModel, scored: pd.DataFrame, outcome: pd.Series, out: Run) -> None:
    """Record how well the scores did, or say why that cannot be told."""
    known = outcome.notna().to_numpy()
    names = class_names(outcome[known])
    if set(names) != {model.positive, model.negative}:
        values = ", ".join(f"'{name}'" for name in sorted(names.unique())[:3])
        out.headline(
            f"The file's '{model.target}' holds {values or 'nothing'} and the model tells '{model.positive}' from "
            f"'{model.negative}', so scores and outcomes are not compared."
        )
        return
    y = (names == model.positive).to_numpy(dtype=int)
    probability = scored["probability"].to_numpy()[known]
    ranking, confusion = ranking_report(y, probability), confusion_report(y, probability, model.threshold)
    out.metric(**ranking.as_metrics(), **confusion.as_metrics(), n_test=len(y), positives_test=int(y.sum()))
    out.headline(
        f"The file has the outcome: AUC {ranking.auc:.3f}, precision {confusion.precision:.1%}, "
        f"recall {confusion.recall:.1%}, Brier score {ranking.brier:.4f}."
    )
