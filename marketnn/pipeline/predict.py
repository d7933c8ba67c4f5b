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
from marketnn.pipeline.churn.model import KIND, ChurnModel
from marketnn.pipeline.parts import Parts
from marketnn.spelling import counted
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


def run(config: Config, parts: Parts, out: Run) -> None:
    """Score the table that ``parts`` names with the model that ``parts.model`` names.

    Values that the training rows did not have count as the baseline category; rows with missing values are scored under
    ``data.missing=median``, left out under ``drop`` and refused under ``error``. With the target in the file, the same measures
    as in training are recorded.

    Raises:
        InputError: no model, no such folder, or a table the model cannot score.
    """
    with out.stage("model and customers"):
        if parts.model is None:
            raise InputError("model is missing; pass model=RUN_FOLDER, the folder of a finished run.")
        saved = load_model(parts.model)
        if saved.kind != KIND:
            raise InputError(f"model={parts.model} was made by pipeline={saved.kind}, which predict cannot use.")
        model = ChurnModel.from_saved(saved)
        table = parts.table(categories=model.encoder.categories, ids=model.ids)
        left_alone = table.schema.names(Role.EXCLUDED, Role.LEAKAGE)
        frame, added = _complete(table.frame.drop(columns=left_alone), model, config, table.source)
        frame, left_out = _apply_missing(frame, model, table, added)
    with out.stage("scores"):
        scored, encoded = model.predict(frame, source=table.source, fill_missing=True)
        rows = pd.DataFrame({"row": frame.index.to_numpy() + 1}, index=frame.index)
        ids = table.frame.loc[frame.index, table.schema.names(Role.ID)]
        predictions = pd.concat([rows, ids, scored], axis=1)
    n_churn = int((scored["churn"] == "yes").sum())
    out.headline(
        f"{counted(len(frame), 'customer')} of {table.source} scored; {n_churn:,} reach the threshold of {model.threshold:g}."
    )
    out.section("Scores", "tables/predictions.csv has one row per customer, in the file's order.")
    if added:
        out.headline(f"Columns that are not in the file: {', '.join(added)}.")
    if left_out:
        out.headline(f"{counted(left_out, 'row')} with a missing value left out; data.missing=median scores them.")
    for note in encoded.notes:
        out.headline(note)
    out.table("predictions", predictions, "Scores", show=False)
    summary = scored.groupby("portrait").agg(
        customers=("churn", "size"),
        likely=("churn", lambda churn: int((churn == "yes").sum())),
        mean_probability=("probability", "mean"),
    )
    out.table("portraits", summary, "Customers by nearest portrait", index=True)
    out.metric(n_rows=len(frame), n_likely=n_churn, n_left_out=left_out, n_unknown=sum(encoded.unknown.values()))
    _compare_with_outcome(frame, scored, model, table, out)


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
    if incomplete.all():
        raise InputError(f"{table.source}: every row has a missing value; data.missing=median scores them.")
    return frame[~incomplete], int(incomplete.sum())


def _compare_with_outcome(frame: pd.DataFrame, scored: pd.DataFrame, model: ChurnModel, table: Table, out: Run) -> None:
    """Record how well the scores did, where the file has the outcome, or say why that cannot be told."""
    if model.target not in table.frame.columns:
        return
    outcome = table.frame.loc[frame.index, model.target]
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
