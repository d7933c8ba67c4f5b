"""One run: a finished folder and its headlines, or a message and no folder."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from marketnn.command.compose import launch, refusal
from marketnn.errors import InputError
from marketnn.redact import redact

if TYPE_CHECKING:
    from omegaconf import DictConfig


def run_single(words: Sequence[str], primary: str, command: str) -> None:
    """Run one job and print what it has to say.

    Args:
        words: of the command line.
        primary: the configuration to start from.
        command: what was typed, for the report.

    Raises:
        InputError: the words cannot be composed, or the run was refused.
        RuntimeError: the run failed by a fault of the program's; secrets are masked in the text.
    """
    failures: list[Exception] = []

    def job(composed: DictConfig) -> None:
        import torch

        from marketnn.command.job import choices, execute, show
        from marketnn.tracking.folder import remove_if_empty

        folder = Path(HydraConfig.get().runtime.output_dir)
        try:
            settings: Any = OmegaConf.to_container(composed, resolve=True)
            run = execute(
                settings,
                folder,
                threads=torch.get_num_threads(),
                config_text=OmegaConf.to_yaml(composed),
                command=command,
                session={"settings": choices(settings)},
            )
            show(run)
        except Exception as error:
            remove_if_empty(folder)
            failures.append(error)

    launch(job, words, primary)
    for error in failures:
        message = refusal(error, words)
        if message is None:
            text = "".join(traceback.format_exception(error))
            raise RuntimeError(f"a run failed:\n{redact(text)}")
        raise InputError(message)
