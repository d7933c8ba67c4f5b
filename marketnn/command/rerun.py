"""``rerun=RUN_FOLDER``: a recorded configuration as the one that Hydra starts from, so that words change it as always."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from marketnn.command.help import GROUPS, config_folder, options
from marketnn.command.words import ROOT_KEYS
from marketnn.errors import ConfigurationError, InputError, unknown_name
from marketnn.plain_yaml import plain_text
from marketnn.tracking.links import refuse_links
from marketnn.tracking.partial import refuse_half_written

NAME = "marketnn_rerun"
UNRECORDED = {"deterministic": False, "min_cell": 10}  # what a run was that recorded no such key
_MASKED = re.compile(r":\*\*\*@|=\*\*\*")


def store_recorded(folder: str, words: Sequence[str]) -> str:
    """Store a run's recorded configuration for Hydra and return its name there.

    A group that the words choose anew (``optimizer=adam``) starts from that choice's own YAML: the numbers of the old choice
    are not the new one's.

    Args:
        folder: of a run, finished or failed.
        words: of the command line, without ``rerun=``.

    Raises:
        InputError: a run that has not ended, no configuration there, a damaged one, or one with a masked password that the words
            do not give again.
    """
    recorded = _read(Path(folder))
    chosen = [word.partition("=")[0] for word in words]
    anew = [group for group in GROUPS if group in chosen and group in recorded]
    kept = {key: value for key, value in recorded.items() if key not in anew}
    for key in _masked(kept):
        if key not in [word.lstrip("+") for word in chosen]:
            raise InputError(
                f"{folder}: the password in {key} was masked when the run was recorded; give it again from the environment: "
                f"{key}='${{oc.env:NAME}}'."
            )
    common: Any = OmegaConf.to_container(OmegaConf.load(config_folder() / "config.yaml"))
    hydra = common["hydra"]
    hydra["run"]["dir"] = hydra["run"]["dir"].replace("${hydra:runtime.choices.pipeline}", "rerun")
    silent = [entry for entry in common["defaults"] if "override" in str(entry)]
    defaults = [*({group: next(iter(options(group)))} for group in anew), "_self_", *silent]
    ConfigStore.instance().store(name=NAME, node={"defaults": defaults, **kept, "hydra": hydra})
    return NAME


def _read(folder: Path) -> dict[str, Any]:
    """Read ``config.yaml``, interpolations as they were written."""
    refuse_half_written(folder)
    file = folder / "config.yaml"
    refuse_links(folder, file.name)
    if not file.is_file():
        raise InputError(f"rerun={folder}: there is no config.yaml in it; name the folder of a run.")
    try:
        plain_text(file)
        recorded = OmegaConf.to_container(OmegaConf.load(file))
    except (OmegaConfBaseException, YAMLError, UnicodeDecodeError, OSError) as error:
        raise InputError(f"{file}: the configuration is damaged ({str(error).splitlines()[0]}).") from error
    if not isinstance(recorded, dict):
        raise InputError(f"{file}: the configuration is damaged: it has no keys.")
    for key in recorded:
        if key not in ROOT_KEYS:
            raise unknown_name("key", key, ROOT_KEYS)
    settings = {str(key): value for key, value in recorded.items()}
    for key, value in UNRECORDED.items():
        settings.setdefault(key, value)
    if ROOT_KEYS - set(settings):
        raise ConfigurationError(f"{file}: there is no {', '.join(sorted(ROOT_KEYS - set(settings)))} in it.")
    return settings


def _masked(settings: Mapping[str, Any], where: str = "") -> Iterator[str]:
    """Name the keys whose value holds a masked password."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _masked(value, f"{where}{key}.")
        elif _MASKED.search(str(value)):
            yield f"{where}{key}"
