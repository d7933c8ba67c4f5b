"""What the command line hands to a pipeline besides its own configuration: the other groups, ready to be built."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import torch

from marketnn import registry
from marketnn.data import Role, Table, assemble
from marketnn.device import resolve
from marketnn.errors import InputError
from marketnn.optim.checkpoints import Checkpoints
from marketnn.preprocess.scaling import Scaler

Stage = Callable[[str], AbstractContextManager[None]]  # entered around each named stage of a pipeline


@dataclass(frozen=True)
class Parts:
    """The groups of a configuration as plain settings.

    Attributes:
        data, scaler, cluster, classifier, network, optimizer: settings with a ``name``, as ``registry.build`` takes them.
        device: a device name.
        seed: of the whole run.
        model: a finished run's folder, for pipelines that use one.
        offers: a file with the offers that customers were made, for pipelines that use one.
        checkpoints: where long trainings are kept, to go on when the run was stopped; ``None`` keeps nothing.
    """

    data: Mapping[str, Any]
    scaler: Mapping[str, Any] = field(default_factory=lambda: {"name": "minmax"})
    cluster: Mapping[str, Any] = field(default_factory=lambda: {"name": "kmeans"})
    classifier: Mapping[str, Any] = field(default_factory=lambda: {"name": "xgboost"})
    network: Mapping[str, Any] = field(default_factory=lambda: {"name": "bp"})
    optimizer: Mapping[str, Any] = field(default_factory=lambda: {"name": "lm"})
    device: str = "auto"
    seed: int = 0
    model: str | None = None
    offers: str | None = None
    checkpoints: Checkpoints | None = None

    def table(self, *, categories: Collection[str] = (), ids: Collection[str] = ()) -> Table:
        """Read the table; ``categories`` and ``ids`` as in ``assemble``."""
        module, config = registry.configure("data", self.data)
        return assemble(module.read(config), categories=categories, ids=ids)

    def tables(
        self, memory_mb: float | None, *, categories: Collection[str] = (), ids: Collection[str] = (), per_row: int = 0
    ) -> Iterator[Table]:
        """Read the table in pieces that leave the work within a memory, or whole for ``None``.

        Columns that the first piece takes for ids are ids in all.

        Args:
            memory_mb: what a piece and the work on it may take.
            categories, ids: as in ``assemble``.
            per_row: bytes that the work needs for a row beside its columns.

        Raises:
            InputError: as ``table``, or the source cannot be read in pieces.
        """
        if memory_mb is None:
            yield self.table(categories=categories, ids=ids)
            return
        module, config = registry.configure("data", self.data)
        if not hasattr(module, "pieces"):
            raise InputError(f"data={self.data['name']} is read as a whole; store the table as Parquet (data=parquet).")
        for raw in module.pieces(config, int(memory_mb * 2**20), per_row=per_row):
            table = assemble(raw, categories=categories, ids=ids)
            ids = table.schema.names(Role.ID)
            yield table

    def torch_device(self) -> torch.device:
        """Return the device to compute on."""
        return resolve(self.device)


def restored_scaler(state: Mapping[str, Any]) -> Scaler:
    """Return the scaler that a saved model holds, from its ``to_dict``.

    Raises:
        InputError, KeyError: an unknown scaler, or a damaged state.
    """
    return type(registry.build("scaler", {"name": state["name"]})).from_dict(state)
