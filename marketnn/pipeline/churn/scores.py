"""What a finished churn analysis says of new customers, written down: who is likely to leave, and how well that was told."""

from __future__ import annotations

import pandas as pd

from marketnn.classify import confusion_report, ranking_report
from marketnn.data.table import class_names
from marketnn.pipeline.churn.model import ChurnModel
from marketnn.spelling import counted
from marketnn.tracking import Run


def record_scores(model: ChurnModel, scored: pd.DataFrame, outcome: pd.Series | None, source: str, out: Run) -> None:
    """Record how many customers are likely to leave, by portrait, and compare with the outcome where there is one.

    Args:
        model: what scored them.
        scored: ``ChurnModel.predict``'s frame.
        outcome: the target of the same rows.
        source: the customers' file, for messages.
        out: where to.
    """
    n_churn = int((scored["churn"] == "yes").sum())
    out.headline(
        f"{counted(len(scored), 'customer')} of {source} scored; {n_churn:,} reach the threshold of {model.threshold:g}."
    )
    summary = scored.groupby("portrait").agg(
        customers=("churn", "size"),
        likely=("churn", lambda churn: int((churn == "yes").sum())),
        mean_probability=("probability", "mean"),
    )
    out.table("portraits", summary, "Customers by nearest portrait", index=True, size="customers", cells={"likely": ()})
    out.metric(n_likely=n_churn)
    if outcome is not None:
        _compare(model, scored, outcome, out)


def _compare(model: ChurnModel, scored: pd.DataFrame, outcome: pd.Series, out: Run) -> None:
    """Record how well the scores did, or say why that cannot be told."""
    known = outcome.notna().to_numpy()
    names = class_names(outcome[known])
    y = (names == model.positive).to_numpy(dtype=int)
    if set(names) != {model.positive, model.negative}:
        values = ", ".join(f"'{name}'" for name in sorted(names.unique())[:3])
        out.headline(
            f"The file's '{model.target}' holds {values or 'nothing'} and the model tells '{model.positive}' from "
            f"'{model.negative}', so scores and outcomes are not compared."
        )
        return
    probability = scored["probability"].to_numpy()[known]
    ranking, confusion = ranking_report(y, probability), confusion_report(y, probability, model.threshold)
    out.metric(**ranking.as_metrics(), **confusion.as_metrics(), n_test=len(y), positives_test=int(y.sum()))
    out.headline(
        f"The file has the outcome: AUC {ranking.auc:.3f}, precision {confusion.precision:.1%}, "
        f"recall {confusion.recall:.1%}."
    )
