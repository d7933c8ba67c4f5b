"""The words of a command line, before Hydra sees them: what is refused, what is marketnn's own, how to quote."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from marketnn.command.help import GROUPS, options
from marketnn.errors import ConfigurationError, unknown_name
from marketnn.redact import holds_password

ROOT_KEYS = {*GROUPS, "seed", "deterministic", "min_cell", "model", "offers"} - {"experiment"}
SWEEP = {"-m", "--multirun"}
OWN_FLAGS = SWEEP | {"-h", "--help", "--hydra-help", "--version"}

_HYDRA = ("hydra.run.", "hydra.sweep.", "hydra.launcher.", "hydra.sweeper.", "hydra/launcher", "hydra/sweeper")
_TARGET = re.compile(r"\b_target_\s*:")  # in a group of keys that is typed at once: {_target_:os.system}
_CARD = re.compile(r"device=cuda:\d+")


def check_words(words: Sequence[str]) -> None:
    """Refuse what Hydra would accept or explain at length.

    Raises:
        ConfigurationError: an unknown flag, a ``_target_``, or a choice that does not exist; the message lists those that do.
    """
    for word in words:
        key, separator, value = word.lstrip("+~").partition("=")
        if word.startswith("-"):
            if word not in OWN_FLAGS:
                raise unknown_name("flag", word, OWN_FLAGS)
            continue
        if not separator and not word.startswith("~"):
            raise ConfigurationError(f"'{word}' says nothing: write key=value, such as data=csv.")
        if "_target_" in key or _TARGET.search(value):
            raise ConfigurationError(f"'{word}' is refused: marketnn builds nothing from a _target_; choose by name.")
        if key == "hydra.output_subdir":
            raise ConfigurationError("hydra.output_subdir stays null: Hydra would write passwords into it.")
        if key.startswith("hydra") and not key.startswith(_HYDRA):
            raise ConfigurationError(
                f"'{key}' is refused: of Hydra's own keys, {', '.join(_HYDRA)} may be set; others name code to run."
            )
        if SWEEP & set(words) and holds_password(word):
            raise ConfigurationError(
                "Hydra writes a sweep's words into its folder: keep the password in the environment, "
                "data.url='${oc.env:CUSTOMERS_DB}'."
            )
        if key in GROUPS and separator and not _CARD.fullmatch(word):
            choices = value.split(",")
            for choice in choices:
                if choice not in options(key) and not (key == "experiment" and choice == "null"):
                    raise unknown_name(key, choice, options(key))
            if len(choices) > 1 and not SWEEP & set(words):
                raise ConfigurationError(f"'{word}' names {len(choices)} choices; -m runs each of them.")


def take_rerun(words: Sequence[str]) -> tuple[list[str], str | None]:
    """Split ``rerun=RUN_FOLDER`` off: return the other words and the folder.

    Raises:
        ConfigurationError: an empty folder, two of them, or an experiment beside it.
    """
    folders = [word.partition("=")[2].strip("'\"") for word in words if word.startswith("rerun=")]
    others = [word for word in words if not word.startswith("rerun=")]
    if not folders:
        return others, None
    if len(folders) > 1 or not folders[0]:
        raise ConfigurationError("rerun takes one folder: rerun=RUN_FOLDER.")
    if any(word.lstrip("+~").startswith("experiment=") for word in others):
        raise ConfigurationError("rerun repeats a recorded configuration; leave experiment=... out, or rerun=...")
    return others, folders[0]


def in_full(words: Sequence[str]) -> list[str]:
    """Write marketnn's short words in full.

    ``runs=[A,B]`` is ``pipeline.runs=[A,B]``, and ``device=cuda:1`` is ``device=cuda device.name=cuda:1``.
    """
    full = []
    for word in words:
        if _CARD.fullmatch(word):
            full += ["device=cuda", word.replace("device=", "device.name=")]
        else:
            full.append(f"pipeline.{word}" if word.startswith("runs=") else word)
    return full


def quoting_advice(word: str) -> str:
    """Say how to write a word that Hydra's grammar does not take as it is."""
    key, _, value = word.partition("=")
    value = value.strip("'\"")
    needs_care = set(value) & set("'$`\"\\!")
    quoted = shlex.quote(f'{key}="{value}"') if needs_care else f"\"{key}='{value}'\""
    return f"cannot read '{word}': quote a value with spaces, brackets, commas or accents: {quoted}"
