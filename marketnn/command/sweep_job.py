"""One job of a sweep or of a search: in its own folder, recorded before it begins, its failure written down."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from marketnn.command.compose import refusal
from marketnn.command.job import choices, execute
from marketnn.redact import redact
from marketnn.tracking.folder import write_failure
from marketnn.tracking.hparams import write_failed_session
from marketnn.tracking.run import installed_versions
from marketnn.tracking.sweep import Job, begin_job, keep_job

if TYPE_CHECKING:
    from omegaconf import DictConfig


@dataclass(frozen=True)
class SweepJob:
    """What to do with each composed configuration; it never raises, and a launcher may call it in another process.

    Attributes:
        sweep: the sweep's mark, by which its jobs are found.
        swept: keys that differ between jobs, in order.
        words: of the command line, for messages.
        threads: CPU threads; a launcher's processes would choose another number, and round otherwise.
        command: what was typed.
        number: of the job; ``None`` takes the launcher's.
    """

    sweep: str
    swept: Sequence[str]
    words: Sequence[str]
    threads: int
    command: str
    number: int | None = None

    def __call__(self, composed: DictConfig) -> None:
        """Run the job, unless its folder holds its result already."""
        config = HydraConfig.get()
        folder = Path(config.runtime.output_dir)
        number = config.job.num if self.number is None else self.number
        own = values_of(config.overrides.task)
        plain: Any = OmegaConf.to_container(composed)
        settings = {**choices(plain), **{key: own[key] for key in self.swept if key in own}}
        shown = [key for key in self.swept if key != "seed" and key in own] or ["pipeline", "data"]
        setting = " ".join(f"{key}={settings[key]}" for key in shown if key in settings)
        overrides = [redact(word) for word in config.overrides.task]
        record, text = (
            Job(self.sweep, number, overrides, setting, settings["seed"], settings),
            OmegaConf.to_yaml(composed),
        )
        if keep_job(folder, record, redact(text), _versions(plain, self.threads)):
            return
        begin_job(folder, record)
        started = time.time()
        try:
            execute(
                OmegaConf.to_container(composed, resolve=True),  # type: ignore[arg-type]
                folder,
                threads=self.threads,
                config_text=text,
                command=self.command,
                session={"settings": settings, "group": setting},
                quiet=True,
            )
        except Exception as error:
            message = refusal(error, self.words) or traceback.format_exc()
            with suppress(OSError):  # a disk that is full takes no note either: the job then counts as stopped
                write_failure(folder, type(error).__name__, message, redact(text))
                write_failed_session(folder, settings, setting, started)


def _versions(settings: Mapping[str, Any], threads: int) -> dict[str, str]:
    """Name what a job's numbers depend on besides its configuration and data."""
    device = settings.get("device")
    own = device.get("threads") if isinstance(device, Mapping) else None
    return {**installed_versions(), "threads": str(own or threads)}


def values_of(words: Sequence[str]) -> dict[str, bool | float | str]:
    """Return key -> value of a job's own words; lists and groups of keys as they were typed."""
    overrides = OverridesParser.create().parse_overrides(list(words))
    return {
        each.key_or_group: value
        if isinstance(value := each.value(), (bool, int, float, str))
        else each.get_value_string()
        for each in overrides
    }
