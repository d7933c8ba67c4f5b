"""From words to composed jobs through Hydra, whose errors become one to three lines. The only file that starts Hydra."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import hydra
from hydra.errors import HydraException, OverrideParseException
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    InterpolationResolutionError,
    OmegaConfBaseException,
)

from marketnn.command.help import config_folder
from marketnn.command.words import quoting_advice
from marketnn.errors import ConfigurationError, InputError, system_message, unknown_name

if TYPE_CHECKING:
    from omegaconf import DictConfig

PRIMARY = "config"  # configs/config.yaml


def launch(job: Callable[[DictConfig], None], words: Sequence[str], primary: str = PRIMARY) -> None:
    """Compose every job that the words describe and call ``job`` with each, here or in processes of its launcher.

    Args:
        job: what to do with a composed configuration; it should not raise, since Hydra would print the words of the command,
            passwords included, and end a sweep at its first failure.
        words: of the command line.
        primary: the configuration to start from.

    Raises:
        ConfigurationError: the words cannot be composed.
    """
    before, full_error = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    try:
        os.environ["HYDRA_FULL_ERROR"] = "1"  # otherwise Hydra prints its own page and leaves the process
        sys.argv = ["marketnn", *words]
        with in_few_lines(words):
            hydra.main(config_path=str(config_folder()), config_name=primary, version_base="1.3")(job)()
    finally:
        sys.argv = before
        if full_error is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = full_error


@contextmanager
def in_few_lines(words: Sequence[str]) -> Iterator[None]:
    """Turn what Hydra and OmegaConf raise into a ``ConfigurationError``."""
    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigurationError(_explain(error, words)) from error


def refusal(error: Exception, words: Sequence[str]) -> str | None:
    """Return the message of an error that is the caller's to repair; ``None`` for one of the program's."""
    if isinstance(error, OmegaConfBaseException):
        return _explain(error, words)
    if isinstance(error, OSError):
        return system_message(error)
    return str(error) if isinstance(error, InputError) else None


def _explain(error: Exception, words: Sequence[str]) -> str:
    """Say in one to three lines what Hydra says in many."""
    chain = [error, error.__cause__ or error]
    for cause in chain:
        if isinstance(cause, OverrideParseException):
            return quoting_advice(cause.override)
        if "Ambiguous value" in str(cause):
            word = next((word for word in words if "," in word), words[0])
            return f"{quoting_advice(word)}\nTo run each of several values, add -m."
        if isinstance(cause, (ConfigAttributeError, ConfigKeyError)) and cause.parent_node is not None:
            existing = [f"{cause.full_key.rpartition('.')[0]}.{key}".lstrip(".") for key in cause.parent_node]  # type: ignore[union-attr]
            return str(unknown_name("key", cause.full_key, existing))
        if isinstance(cause, InterpolationResolutionError):
            return str(cause).splitlines()[0]
    first, *rest = [line.strip() for line in str(error).splitlines() if line.strip()]
    return "\n".join([first, *rest[:1]])
