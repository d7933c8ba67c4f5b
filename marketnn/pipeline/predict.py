"""Score new rows with a finished run: one row out per row in, in the file's order.

Any pipeline whose package names a ``Model`` and has ``record_scores`` takes part; the saved model says which one made it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Literal, Protocol, Self

import numpy as np
import pandas as pd
from pandas.api.types import union_categoricals

from marketnn import registry
from marketnn.data import Role, Table
from marketnn.errors import InputError
from marketnn.pipeline.parts import Parts
from marketnn.preprocess import Encoder, Met
from marketnn.spelling import counted
from marketnn.tracking import Run, SavedModel, load_model

N_STAGES = 2
_OUTCOME = "\0outcome"  # no column of a file is called that
_ENCODED = 60  # bytes for an encoded number of a row and its copies on the way through a model


@dataclass(frozen=True)
class Config:
    """How new rows are scored.

    Attributes:
        missing_columns: columns that the model needs and the file lacks: ``error``, or ``fill`` them with the training rows'
            median or commonest value and say so.
        memory_mb: read the table in pieces and keep the work on each within so many MB (``data=parquet``); the scores of all
            rows take some bytes a row beside. ``None`` reads it whole.
    """

    missing_columns: Literal["error", "fill"] = "error"
    memory_mb: float | None = None


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

    def predict(self, frame: pd.DataFrame, *, source: str, fill_missing: bool) -> tuple[pd.DataFrame, Met]:
        """Score rows, one out per row in; say what was met."""


def run(config: Config, parts: Parts, out: Run) -> None:
    """Score the table that ``parts`` names with the model that ``parts.model`` names.

    Values that the training rows did not have count as the baseline category; rows with missing values are scored under
    ``data.missing=median``, left out under ``drop`` and refused under ``error``. With the target in the file, the same measures
    as in training are recorded.

    Raises:
        InputError: no model, no such folder, or a table the model cannot score.
    """
    with out.stage("model"):
        if parts.model is None:
            raise InputError("model is missing; pass model=RUN_FOLDER, the folder of a finished run.")
        saved = load_model(parts.model)
        pipeline = _pipeline(saved.kind, parts.model)
        model: Model = pipeline.Model.from_saved(saved)
        encoder = model.encoder
        tables = parts.tables(
            config.memory_mb,
            categories=encoder.categories,
            ids=model.ids,
            per_row=_ENCODED * sum(map(len, encoder.columns.values())),
        )
    with out.stage("scores"), out.long_table("predictions") as write:
        pieces, n_rows = [], 0
        for table in tables:
            pieces.append(_score(table, model, config, write))
            n_rows += len(table.frame)
            out.progress(f"scores: {counted(n_rows, 'row')}")
    out.section("Scores", "tables/predictions.csv has one row per row of the file, in its order.")
    scored = _one_below_the_other([piece.scored for piece in pieces])
    left_out = sum(piece.n_left_out for piece in pieces)
    source = pieces[0].source
    if scored.empty:
        raise InputError(f"{source}: every row has a missing value; data.missing=median scores them.")
    outcome = scored.pop(_OUTCOME) if _OUTCOME in scored.columns else None
    pipeline.record_scores(model, scored, outcome, source, out)
    if pieces[0].added:
        out.headline(f"Columns that are not in the file: {', '.join(pieces[0].added)}.")
    if left_out:
        out.headline(f"{counted(left_out, 'row')} with a missing value left out; data.missing=median scores them.")
    met = sum((piece.met for piece in pieces), Met())
    for note in met.notes:
        out.headline(note)
    out.metric(n_rows=len(scored), n_left_out=left_out, n_unknown=sum(met.unknown.values()))


@dataclass(frozen=True)
class _Piece:
    """What is kept of a piece of the table once its predictions are written.

    Attributes:
        source: the table's name.
        scored: the model's columns and the outcome, texts as categories.
        met: what the training rows did not have.
        added: columns that the model needs and the table lacks.
        n_left_out: rows with a missing value.
    """

    source: str
    scored: pd.DataFrame
    met: Met
    added: list[str]
    n_left_out: int


def _score(table: Table, model: Model, config: Config, write: Callable[[pd.DataFrame], None]) -> _Piece:
    """Score the rows of a piece and write them down."""
    left_alone = table.schema.names(Role.EXCLUDED, Role.LEAKAGE)
    frame, added = _complete(table.frame.drop(columns=left_alone), model, config, table.where)
    frame, n_left_out = _apply_missing(frame, model, table, added)
    if frame.empty:
        return _Piece(table.source, pd.DataFrame(), Met(), added, n_left_out)
    scored, met = model.predict(frame, source=table.where, fill_missing=True)
    rows = pd.DataFrame({"row": frame.index.to_numpy() + 1}, index=frame.index)
    ids = table.frame.loc[frame.index, table.schema.names(Role.ID)]
    write(pd.concat([rows, ids, scored], axis=1))
    if model.target in table.frame.columns:
        scored = scored.assign(**{_OUTCOME: table.frame.loc[frame.index, model.target]})
    texts = [name for name in scored.columns if not pd.api.types.is_numeric_dtype(scored[name].dtype)]
    return _Piece(table.source, scored.astype(dict.fromkeys(texts, "category")), met, added, n_left_out)


def _one_below_the_other(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put frames one below the other; the categories of a column become those of all frames, in alphabetical order."""
    frames = [frame for frame in frames if len(frame)]
    if len(frames) < 2:
        return frames[0] if frames else pd.DataFrame()
    columns = {name: [frame[name] for frame in frames] for name in frames[0].columns}
    return pd.DataFrame(
        {
            name: union_categoricals(parts, sort_categories=True)
            if all(isinstance(part.dtype, pd.CategoricalDtype) for part in parts)
            else np.concatenate([part.to_numpy() for part in parts])
            for name, parts in columns.items()
        }
    )


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
    return frame[~incomplete], int(incomplete.sum())
