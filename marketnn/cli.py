"""The command ``marketnn``: from key=value words to a finished run folder. The only file that knows Hydra.

Nothing heavy is imported before it is needed, so ``marketnn --help`` answers at once.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omegaconf import DictConfig

GROUPS = ("pipeline", "data", "scaler", "cluster", "network", "optimizer", "device", "experiment")
ROOT_KEYS = {*GROUPS, "seed", "model"} - {"experiment"}
SWEEP = {"-m", "--multirun"}
OWN_FLAGS = SWEEP | {"-h", "--help", "--hydra-help", "--version"}
EXAMPLES = (
    ("marketnn pipeline=churn data=packaged", "a real table that comes along"),
    ("marketnn pipeline=inspect data=csv data.path=customers.csv", "what each column would be used for"),
    ("marketnn pipeline=churn data=csv data.path=customers.csv data.target=churn", "your own customers"),
    (
        "marketnn pipeline=segment data=csv data.path=customers.csv",
        "groups of like customers, and what tells them apart",
    ),
    ("marketnn pipeline=scorecard data=packaged data.table=concrete", "a network from indices to a score"),
    ("marketnn pipeline=predict model=RUN_FOLDER data=csv data.path=new.csv", "score new rows"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status: 0 done, 2 refused with a message on standard error."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or {"-h", "--help"} & set(words):
        print(help_text())
        return 0
    if "--version" in words:
        from marketnn import __version__

        print(f"marketnn {__version__}")
        return 0
    from marketnn.errors import InputError
    from marketnn.redact import redact

    try:
        if "--hydra-help" not in words:
            check_words(words)
        _run_hydra(words)
    except InputError as error:
        print(f"marketnn: {redact(str(error))}", file=sys.stderr)
        return 2
    except OSError as error:
        print(
            f"marketnn: {error.filename or 'the system'}: {error.strerror}; choose another hydra.run.dir.",
            file=sys.stderr,
        )
        return 2
    return 0


def config_folder() -> Path:
    """Return the folder of the YAML files: beside the package in a checkout, inside it when installed."""
    package = Path(__file__).parent
    checkout = package.parent
    if (checkout / "pyproject.toml").is_file() and (checkout / "configs" / "config.yaml").is_file():
        return checkout / "configs"
    return package / "configs"


def options(group: str) -> dict[str, str]:
    """Name -> what it is, from the comment that heads every YAML of a group (for an experiment, its third line)."""
    folder = config_folder() / group
    files = sorted(folder.rglob("*.yaml"))
    return {str(file.relative_to(folder).with_suffix("")): _heading(file) for file in files}


def help_text() -> str:
    """List pipelines, data sources and options, one line each, as the YAML files describe them."""
    folder = config_folder()
    lines = ["marketnn: marketing analyses on your own customers, on real ones, or on the papers' claims.", ""]
    lines += ["usage: marketnn pipeline=NAME data=NAME [key=value ...]      -m runs every combination of a=1,2 b=3,4"]
    for group in GROUPS:
        lines += ["", f"{group}=NAME", *(f"  {name:<29}{about}".rstrip() for name, about in options(group).items())]
    for title, prefix, file in (
        ("keys of data=csv (the others: configs/data)", "data.", folder / "data" / "csv.yaml"),
        ("keys of pipeline=churn", "pipeline.", folder / "pipeline" / "churn.yaml"),
        ("keys of pipeline=scorecard", "pipeline.", folder / "pipeline" / "scorecard.yaml"),
        ("keys of pipeline=segment", "pipeline.", folder / "pipeline" / "segment.yaml"),
        ("keys of every run", "", folder / "config.yaml"),
    ):
        lines += ["", title, *(f"  {prefix + key:<32}{about}" for key, about in _commented_keys(file))]
    lines += [f"  {'hydra.run.dir':<32}where the run folder goes (of a sweep: hydra.sweep.dir)"]
    lines += ["", "examples", *(f"  {command}\n      {about}" for command, about in EXAMPLES)]
    return "\n".join([*lines, "", "--hydra-help explains Hydra's own flags."])


def check_words(words: Sequence[str]) -> None:
    """Refuse what Hydra would accept or explain at length.

    Raises:
        ConfigurationError: an unknown flag, a ``_target_``, or a choice that does not exist; the message lists those that do.
    """
    from marketnn.errors import ConfigurationError, unknown_name
    from marketnn.redact import holds_password

    for word in words:
        key, separator, value = word.lstrip("+~").partition("=")
        if word.startswith("-"):
            if word not in OWN_FLAGS:
                raise unknown_name("flag", word, OWN_FLAGS)
            continue
        if not separator and not word.startswith("~"):
            raise ConfigurationError(f"'{word}' says nothing: write key=value, such as data=csv.")
        if "_target_" in key:
            raise ConfigurationError(f"'{word}' is refused: marketnn builds nothing from a _target_; choose by name.")
        if key == "hydra.output_subdir":
            raise ConfigurationError("hydra.output_subdir stays null: Hydra would write passwords into it.")
        if SWEEP & set(words) and holds_password(word):
            raise ConfigurationError(
                "Hydra writes a sweep's words into its folder: keep the password in the environment, "
                "data.url='${oc.env:CUSTOMERS_DB}'."
            )
        if key in GROUPS and separator:
            choices = value.split(",")
            for choice in choices:
                if choice not in options(key) and not (key == "experiment" and choice == "null"):
                    raise unknown_name(key, choice, options(key))
            if len(choices) > 1 and not SWEEP & set(words):
                raise ConfigurationError(f"'{word}' names {len(choices)} choices; -m runs each of them.")


def execute(settings: Mapping[str, Any], folder: Path, *, config_text: str = "", command: str = "") -> None:
    """Run one job: build the parts, run the pipeline, leave a finished folder or none.

    Args:
        settings: the composed configuration as plain values.
        folder: the run folder.
        config_text: becomes ``config.yaml``, secrets masked.
        command: what was typed, for the report.

    Raises:
        InputError: the configuration or the data cannot be used.
    """
    import torch

    from marketnn import registry
    from marketnn.device import Config as DeviceConfig
    from marketnn.device import resolve
    from marketnn.errors import ConfigurationError, unknown_name
    from marketnn.pipeline import Parts
    from marketnn.redact import redact
    from marketnn.tracking import Run

    for key in settings:
        if key not in ROOT_KEYS:
            raise unknown_name("key", key, ROOT_KEYS)
    for key in ROOT_KEYS - set(settings):
        raise ConfigurationError(f"{key} is missing; it cannot be taken out.")
    module, config = registry.configure("pipeline", settings["pipeline"])
    device = registry.merge(DeviceConfig, settings["device"], where="device")
    for group in ("data", "scaler", "cluster", "network", "optimizer"):
        registry.configure(group, settings[group])
    seed = registry.cast(settings["seed"], int, "seed")
    if seed < 0 or (device.threads is not None and device.threads < 1):
        raise ConfigurationError(f"seed={seed} must be at least 0 and device.threads={device.threads} at least 1.")
    parts = Parts(
        data=settings["data"],
        scaler=settings["scaler"],
        cluster=settings["cluster"],
        network=settings["network"],
        optimizer=settings["optimizer"],
        device=device.name,
        seed=seed,
        model=registry.cast(settings["model"], str | None, "model"),
    )
    name = settings["pipeline"]["name"]
    facts = {"command": redact(command), "seed": str(parts.seed), "device": str(resolve(device.name))}
    run = Run(folder, title=f"marketnn: {name}", config=redact(config_text), facts=facts, n_stages=module.N_STAGES)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(device.threads or threads)
        module.run(config, parts, run)
        run.finish()
    except BaseException:
        run.discard()
        raise
    finally:
        torch.set_num_threads(threads)
    for line in [*run.console, *run.headlines]:
        print(line)
    print(f"report: {_shortest(run.folder / 'report.html')}")


def _run_hydra(words: Sequence[str]) -> None:
    """Compose and run through Hydra, and put its errors into one to three lines."""
    import hydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from marketnn.errors import ConfigurationError, InputError
    from marketnn.redact import redact

    command = shlex.join(["marketnn", *words])
    words, sweep_folder = _with_sweep_folder(words)

    def job(composed: DictConfig) -> None:
        folder = Path(HydraConfig.get().runtime.output_dir)
        try:
            settings = OmegaConf.to_container(composed, resolve=True)
            execute(settings, folder, config_text=OmegaConf.to_yaml(composed), command=command)  # type: ignore[arg-type]
        except Exception as error:
            # Hydra would print the words of the command, passwords included, and end a sweep at its first failure. Jobs may
            # run in processes of their own, so what failed is told through a file.
            from marketnn.tracking.run import remove_if_empty

            remove_if_empty(folder)
            refused = isinstance(error, (InputError, OmegaConfBaseException, OSError))
            text = _explain(error, words) if isinstance(error, OmegaConfBaseException) else str(error)
            with failures.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps([refused, redact(text if refused else traceback.format_exc())]) + "\n")

    full_error = os.environ.get("HYDRA_FULL_ERROR")
    before = sys.argv
    with tempfile.TemporaryDirectory() as scratch:
        failures = Path(scratch) / "failures"
        try:
            os.environ["HYDRA_FULL_ERROR"] = "1"  # otherwise Hydra prints its own page and leaves the process
            sys.argv = ["marketnn", *words]
            hydra.main(config_path=str(config_folder()), config_name="config", version_base="1.3")(job)()
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigurationError(_explain(error, words)) from error
        finally:
            sys.argv = before
            if full_error is None:
                del os.environ["HYDRA_FULL_ERROR"]
            if sweep_folder is not None:
                _tidy_sweep(sweep_folder)
        told = failures.read_text(encoding="utf-8").splitlines() if failures.exists() else []
    for refused, text in map(json.loads, told):
        if not refused:
            raise RuntimeError(f"a run failed:\n{text}")
    if told:
        raise InputError("\n".join(dict.fromkeys(text for _, text in map(json.loads, told))))


def _with_sweep_folder(words: Sequence[str]) -> tuple[list[str], Path | None]:
    """Name the folder of a sweep before Hydra does, so that a refused one can be cleared away."""
    if not SWEEP & set(words):
        return list(words), None
    for word in words:
        if word.startswith("hydra.sweep.dir="):
            return list(words), Path(word.partition("=")[2].strip("'\""))
    folder = time.strftime("runs/%Y-%m-%d/%H-%M-%S-sweep")
    return [*words, f"hydra.sweep.dir={folder}"], Path(folder)


def _tidy_sweep(folder: Path) -> None:
    """Leave nothing of a sweep in which no job was finished."""
    from marketnn.tracking.run import remove_if_empty

    if folder.is_dir() and not any(folder.rglob("metrics.json")):
        (folder / "multirun.yaml").unlink(missing_ok=True)
        remove_if_empty(folder)


def _explain(error: Exception, words: Sequence[str]) -> str:
    """Say in one to three lines what Hydra says in many."""
    from hydra.errors import OverrideParseException
    from omegaconf.errors import ConfigAttributeError, ConfigKeyError, InterpolationResolutionError

    from marketnn.errors import unknown_name

    chain = [error, error.__cause__ or error]
    for cause in chain:
        if isinstance(cause, OverrideParseException):
            return _quoting_advice(cause.override)
        if "Ambiguous value" in str(cause):
            word = next((word for word in words if "," in word), words[0])
            return f"{_quoting_advice(word)}\nTo run each of several values, add -m."
        if isinstance(cause, (ConfigAttributeError, ConfigKeyError)) and cause.parent_node is not None:
            existing = [f"{cause.full_key.rpartition('.')[0]}.{key}".lstrip(".") for key in cause.parent_node]  # type: ignore[union-attr]
            return str(unknown_name("key", cause.full_key, existing))
        if isinstance(cause, InterpolationResolutionError):
            return str(cause).splitlines()[0]
    first, *rest = [line.strip() for line in str(error).splitlines() if line.strip()]
    return "\n".join([first, *rest[:1]])


def _quoting_advice(word: str) -> str:
    """Say how to write a word that Hydra's grammar does not take as it is."""
    key, _, value = word.partition("=")
    value = value.strip("'\"")
    needs_care = set(value) & set("'$`\"\\!")
    quoted = shlex.quote(f'{key}="{value}"') if needs_care else f"\"{key}='{value}'\""
    return f"cannot read '{word}': quote a value with spaces, brackets, commas or accents: {quoted}"


def _shortest(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _heading(file: Path) -> str:
    """Read the comment lines at the head of a YAML file: the last of them says what the file is."""
    heading = ""
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        heading = line.lstrip("#").strip()
    return heading


def _commented_keys(file: Path) -> list[tuple[str, str]]:
    """Read the top-level ``key: value  # comment`` lines of a YAML file."""
    pattern = re.compile(r"^(\w+):[^#]*#\s*(.+)$")
    matches = map(pattern.match, file.read_text(encoding="utf-8").splitlines())
    return [(match[1], match[2]) for match in matches if match and match[1] != "name"]


if __name__ == "__main__":
    sys.exit(main())
