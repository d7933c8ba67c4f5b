"""Score new customers with a finished run: one row out per row in, in the file's order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from marketnn.classify import confusion_report, ranking_report
from marketnn.data import Role, Table
from marketnn.data.table import class_names
from marketnn.errors import InputError
from marketnn.pipeline.churn_model import KIND, ChurnModel
from marketnn.pipeline.parts import Parts
from marketnn.tracking import Run, load_model

N_STAGES = 2


@dataclass(frozen=True)
class Config:
    """How new customers are scored.

    Attributes:
        missing_columns: columns that the model needs and the file lacks: ``error``, or ``fill`` them with the training rows'
            median or commonest value and say so.
    """

    missing_columns: Literal["error", "fill"] = "error"


def run(config: Config, parts: Parts, run: Run) -> None:
    """Score the table that ``parts`` names with the model that ``parts.model`` names.

    Values that the training rows did not have count as the baseline category; rows with missing values are scored under
    ``data.missing=median``, left out under ``drop`` and refused under ``error``. With the target in the file, the same measures
    as in training are recorded.

    Raises:
        InputError: no model, no such folder, or a table the model cannot score.
    """
    with run.stage("model and customers"):
        if parts.model is None:
            raise InputError("model is missing; pass model=RUN_FOLDER, the folder of a finished run.")
        saved = load_model(parts.model)
        if saved.kind != KIND:
            raise InputError(f"model={parts.model} was made by pipeline={saved.kind}, which predict cannot use.")
        model = ChurnModel.from_saved(saved)
        table = parts.table()
        frame, added = _complete(table.frame, model, config, table.source)
        frame, left_out = _apply_missing(frame, model, table, added)
    with run.stage("scores"):
        scored, encoded = model.predict(frame, source=table.source, fill_missing=True)
        rows = pd.DataFrame({"row": frame.index.to_numpy() + 1}, index=frame.index)
        ids = table.frame.loc[frame.index, table.schema.names(Role.ID)]
        predictions = pd.concat([rows, ids, scored], axis=1)
    n_churn = int((scored["churn"] == "yes").sum())
    run.headline(
        f"{len(frame):,} customers of {table.source} scored; {n_churn:,} reach the threshold of {model.threshold:g}."
    )
    run.section("Scores", "tables/predictions.csv has one row per customer, in the file's order.")
    if added:
        run.headline(f"Columns not in the file were filled with the training rows' usual value: {', '.join(added)}.")
    if left_out:
        run.headline(f"{left_out:,} rows with a missing value were left out; data.missing=median scores them.")
    for name, count in encoded.unknown.items():
        run.headline(
            f"{count:,} rows have a value of '{name}' that the model has never seen; it counts as the commonest one."
        )
    for name, count in encoded.filled.items():
        if name not in added:
            run.text(f"{count:,} missing values of {name} were filled with the training rows' usual value.")
    run.table("predictions", predictions, "Scores", show=False)
    summary = scored.groupby("portrait").agg(
        customers=("churn", "size"),
        likely=("churn", lambda churn: int((churn == "yes").sum())),
        mean_probability=("probability", "mean"),
    )
    run.table("portraits", summary, "Customers by nearest portrait", index=True)
    run.metric(n_rows=len(frame), n_likely=n_churn, n_left_out=left_out, n_unknown=sum(encoded.unknown.values()))
    _compare_with_outcome(frame, scored, model, table, run)


def _complete(frame: pd.DataFrame, model: ChurnModel, config: Config, source: str) -> tuple[pd.DataFrame, list[str]]:
    """Add the columns the model needs and the file lacks as missing values, if that is the policy."""
    needed = [*model.encoder.numeric, *model.encoder.categories]
    absent = [name for name in needed if name not in frame.columns]
    if absent and config.missing_columns == "error":
        shown = ", ".join(f"'{name}'" for name in absent[:5])
        raise InputError(
            f"{source}: the model needs {shown}{', ...' if absent[5:] else ''}, which the file lacks ({len(absent)} of "
            f"{len(needed)} columns); add them, or pass pipeline.missing_columns=fill."
        )
    return frame.assign(**{name: np.nan for name in absent}), absent


def _apply_missing(frame: pd.DataFrame, model: ChurnModel, table: Table, added: list[str]) -> tuple[pd.DataFrame, int]:
    present = [name for name in (*model.encoder.numeric, *model.encoder.categories) if name not in added]
    incomplete = frame[present].isna().any(axis=1)
    if table.options.missing == "median" or not incomplete.any():
        return frame, 0
    if table.options.missing == "error":
        table.refuse_missing(present)
    return frame[~incomplete], int(incomplete.sum())


def _compare_with_outcome(frame: pd.DataFrame, scored: pd.DataFrame, model: ChurnModel, table: Table, run: Run) -> None:
    """Record how well the scores did, where the file has the outcome."""
    if model.target not in table.frame.columns:
        return
    outcome = table.frame.loc[frame.index, model.target]
    known = outcome.notna().to_numpy()
    y = (class_names(outcome[known]) == model.positive).to_numpy(dtype=int)
    if len(np.unique(y)) < 2:
        return
    probability = scored["probability"].to_numpy()[known]
    ranking, confusion = ranking_report(y, probability), confusion_report(y, probability, model.threshold)
    run.metric(**ranking.as_metrics(), **confusion.as_metrics(), n_test=len(y), positives_test=int(y.sum()))
    run.headline(
        f"The file has the outcome: AUC {ranking.auc:.3f}, precision {confusion.precision:.1%}, recall {confusion.recall:.1%}."
    )
