"""One job: from a composed configuration to a finished run folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from marketnn import registry
from marketnn.command.isolation import isolated
from marketnn.command.words import ROOT_KEYS
from marketnn.device import Config as DeviceConfig
from marketnn.device import resolve
from marketnn.errors import ConfigurationError, unknown_name
from marketnn.pipeline import Parts
from marketnn.redact import redact
from marketnn.tracking import Run

CHOSEN = ("data", "scaler", "cluster", "classifier", "network", "optimizer")  # groups that pipelines are handed


def execute(
    settings: Mapping[str, Any],
    folder: Path,
    *,
    threads: int,
    config_text: str = "",
    command: str = "",
    session: Mapping[str, Any] | None = None,
    quiet: bool = False,
) -> Run:
    """Run one job: build the parts, run the pipeline, leave a finished folder or none.

    One that is killed, interrupted or out of disk leaves its checkpoints; the same job in the same folder goes on from them.

    Args:
        settings: the composed configuration as plain values.
        folder: the run folder.
        threads: CPU threads, unless ``device.threads`` says otherwise.
        config_text: becomes ``config.yaml``, secrets masked.
        command: what was typed, for the report.
        session: further arguments of ``Run``, by which runs are compared in TensorBoard.
        quiet: show no bar of the job's own.

    Returns:
        The finished run, with what it has to say.

    Raises:
        InputError: the configuration or the data cannot be used.
    """
    for key in settings:
        if key not in ROOT_KEYS:
            raise unknown_name("key", key, ROOT_KEYS)
    for key in ROOT_KEYS - set(settings):
        raise ConfigurationError(f"{key} is missing; it cannot be taken out.")
    module, config = registry.configure("pipeline", settings["pipeline"])
    device = registry.merge(DeviceConfig, settings["device"], where="device")
    for group in CHOSEN:
        registry.configure(group, settings[group])
    seed = registry.cast(settings["seed"], int, "seed")
    if seed < 0 or (device.threads is not None and device.threads < 1):
        raise ConfigurationError(f"seed={seed} must be at least 0 and device.threads={device.threads} at least 1.")
    parts = Parts(
        data=settings["data"],
        scaler=settings["scaler"],
        cluster=settings["cluster"],
        classifier=settings["classifier"],
        network=settings["network"],
        optimizer=settings["optimizer"],
        device=device.name,
        seed=seed,
        model=registry.cast(settings["model"], str | None, "model"),
        offers=registry.cast(settings["offers"], str | None, "offers"),
    )
    min_cell = registry.cast(settings["min_cell"], int, "min_cell")
    if min_cell < 1:
        raise ConfigurationError(f"min_cell={min_cell} must be at least 1, which hides no group.")
    deterministic = registry.cast(settings["deterministic"], bool, "deterministic")
    name = settings["pipeline"]["name"]
    facts = {"command": redact(command), "seed": str(parts.seed), "device": str(resolve(device.name))}
    with isolated(parts.seed, device.threads or threads, deterministic=deterministic):
        run = Run(
            folder,
            title=f"marketnn: {name}",
            config=redact(config_text),
            facts=facts,
            n_stages=module.N_STAGES,
            quiet=quiet,
            min_cell=min_cell,
            **(session or {}),
        )
        try:
            module.run(config, replace(parts, checkpoints=run.checkpoints), run)
            run.finish()
        except (OSError, KeyboardInterrupt):
            run.interrupt()
            raise
        except BaseException:
            run.discard()
            raise
    return run


def choices(composed: Mapping[str, Any]) -> dict[str, bool | float | str]:
    """Name what a run chose of every group, and its seed: by these TensorBoard tells runs apart."""
    named = {group: composed.get(group) for group in ("pipeline", *CHOSEN)}
    chosen = {
        group: str(value["name"]) for group, value in named.items() if isinstance(value, Mapping) and "name" in value
    }
    seed = composed.get("seed")
    return {**chosen, "seed": seed if isinstance(seed, int) else str(seed)}


def show(run: Run) -> None:
    """Print what a finished run has to say, and where its report lies."""
    for line in [*run.console, *run.headlines, f"report: {shortest(run.folder / 'report.html')}"]:
        print(line)


def shortest(path: Path) -> Path:
    """Return a path as seen from the working directory, where it is shorter."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
