"""Score new rows with a finished run: one row out per row in, in the file's order.

Any pipeline whose package names a ``Model`` and has ``record_scores`` takes part; the saved model says which one made it.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Literal, Protocol, Self

import numpy as np
import pandas as pd

from marketnn import registry
from marketnn.data import Role, Table
from marketnn.errors import InputError
from marketnn.pipeline.parts import Parts
from marketnn.preprocess import Encoded, Encoder
from marketnn.spelling import counted
from marketnn.tracking import Run, SavedModel, load_model

N_STAGES = 2


@dataclass(frozen=True)
class Config:
    """How new rows are scored.

    Attributes:
        missing_columns: columns that the model needs and the file lacks: ``error``, or ``fill`` them with the training rows'
            median or commonest value and say so.
    """

    missing_columns: Literal["error", "fill"] = "error"


class Model(Protocol):
    """What a pipeline's ``Model`` is; beside it stands ``record_scores(model, scored, outcome, source, out)``."""

    @property
    def target(self) -> str:
        """The column that is predicted."""

    @property
    def ids(self) -> tuple[str, ...]:
        """Columns that name rows."""

    @property
    def encoder(self) -> Encoder:
        """From columns to numbers."""

    @classmethod
    def from_saved(cls, saved: SavedModel) -> Self:
        """Rebuild the model that a folder holds."""

    def predict(self, frame: pd.DataFrame, *, source: str, fill_missing: bool) -> tuple[pd.DataFrame, Encoded]:
        """Score rows, one out per row in; say what the encoding met."""


def run(config: Config, parts: Parts, out: Run) -> None:
    """Score the table that ``parts`` names with the model that ``parts.model`` names.

    Values that the training rows did not have count as the baseline category; rows with missing values are scored under
    ``data.missing=median``, left out under ``drop`` and refused under ``error``. With the target in the file, the same measures
    as in training are recorded.

    Raises:
        InputError: no model, no such folder, or a table the model cannot score.
    """
    with out.stage("model and table"):
        if parts.model is None:
            raise InputError("model is missing; pass model=RUN_FOLDER, the folder of a finished run.")
        saved = load_model(parts.model)
        pipeline = _pipeline(saved.kind, parts.model)
        model: Model = pipeline.Model.from_saved(saved)
        table = parts.table(categories=model.encoder.categories, ids=model.ids)
        left_alone = table.schema.names(Role.EXCLUDED, Role.LEAKAGE)
        frame, added = _complete(table.frame.drop(columns=left_alone), model, config, table.source)
        frame, left_out = _apply_missing(frame, model, table, added)
    with out.stage("scores"):
        scored, encoded = model.predict(frame, source=table.source, fill_missing=True)
        rows = pd.DataFrame({"row": frame.index.to_numpy() + 1}, index=frame.index)
        ids = table.frame.loc[frame.index, table.schema.names(Role.ID)]
        predictions = pd.concat([rows, ids, scored], axis=1)
    out.section("Scores", "tables/predictions.csv has one row per row of the file, in its order.")
    outcome = table.frame.loc[frame.index, model.target] if model.target in table.frame.columns else None
    pipeline.record_scores(model, scored, outcome, table.source, out)
    if added:
        out.headline(f"Columns that are not in the file: {', '.join(added)}.")
    if left_out:
        out.headline(f"{counted(left_out, 'row')} with a missing value left out; data.missing=median scores them.")
    for note in encoded.notes:
        out.headline(note)
    out.table("predictions", predictions, "Scores", show=False)
    out.metric(n_rows=len(frame), n_left_out=left_out, n_unknown=sum(encoded.unknown.values()))


def _pipeline(kind: str, folder: str) -> ModuleType:
    """Return the pipeline that made a model, if there is one and its models score rows."""
    module = registry.find("pipeline", kind) if kind in registry.names("pipeline") else None
    if module is None or not hasattr(module, "Model") or not hasattr(module, "record_scores"):
        raise InputError(f"model={folder} was made by pipeline={kind}, which predict cannot use.")
    return module


def _complete(frame: pd.DataFrame, model: Model, config: Config, source: str) -> tuple[pd.DataFrame, list[str]]:
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


def _apply_missing(frame: pd.DataFrame, model: Model, table: Table, added: list[str]) -> tuple[pd.DataFrame, int]:
    present = [name for name in (*model.encoder.numeric, *model.encoder.categories) if name not in added]
    incomplete = frame[present].isna().any(axis=1)
    if table.options.missing == "median" or not incomplete.any():
        return frame, 0
    if table.options.missing == "error":
        table.refuse_missing(present)
    if incomplete.all():
        raise InputError(f"{table.source}: every row has a missing value; data.missing=median scores them.")
    return frame[~incomplete], int(incomplete.sum())
