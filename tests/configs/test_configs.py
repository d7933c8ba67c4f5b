"""Every YAML composes, says what it is in its first line, and fits the dataclass of the module it names."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from marketnn import registry
from marketnn.command.help import config_folder
from marketnn.command.words import ROOT_KEYS
from marketnn.device import Config as DeviceConfig

FOLDER = config_folder()
CHOICES = sorted(file.relative_to(FOLDER) for file in FOLDER.glob("*/*.yaml") if file.parent.name != "experiment")
EXPERIMENTS = sorted(file.relative_to(FOLDER) for file in FOLDER.glob("experiment/**/*.yaml"))


@pytest.mark.parametrize("file", CHOICES, ids=str)
def test_a_choice_fits_its_module(file: Path) -> None:
    text = (FOLDER / file).read_text()
    assert text.startswith("# ")
    settings = OmegaConf.to_container(OmegaConf.create(text))
    # Hydra's own: what else the choice chooses; ``/pipeline@churn`` puts a choice under a key of this one's.
    chosen = [key for entry in settings.pop("defaults", []) if isinstance(entry, dict) for key in entry]
    nested = {key.partition("@")[2] for key in chosen if not key.startswith("override ")}
    given = {"data": {"path": "x", "url": "sqlite://", "query": "select 1"}}.get(file.parent.name, {})
    filled = {key: given.get(key) if value is None else value for key, value in settings.items()}
    if file.parent.name == "device":
        assert registry.merge(DeviceConfig, filled, where="device").name == file.stem
        return
    module, config = registry.configure(file.parent.name, filled)
    keys = set(vars(config))
    assert (set(settings) - {"name"}) | nested == keys, "a YAML shows every key of its module"
    defaults = {key: value for key, value in settings.items() if key not in ("name", *given, "actions", "missing")}
    assert {key: getattr(config, key) for key in defaults} == {
        key: tuple(value) if isinstance(value, list) else value for key, value in defaults.items()
    }
    assert module.__name__.startswith(registry.ROOMS[file.parent.name])


@pytest.mark.parametrize("file", CHOICES, ids=str)
def test_a_choice_composes(file: Path) -> None:
    group = file.parent.name
    with initialize_config_dir(str(FOLDER), version_base="1.3"):
        overrides = [f"{group}={file.stem}"] if group in ROOT_KEYS else [f"+{group}={file.stem}"]
        composed = compose("config", overrides)
    assert composed[group].name


@pytest.mark.parametrize("file", EXPERIMENTS, ids=str)
def test_an_experiment_composes_and_begins_with_its_command(file: Path) -> None:
    name = str(file.relative_to("experiment").with_suffix(""))
    first, second, *_ = (FOLDER / file).read_text().splitlines()
    assert first == "# @package _global_", "Hydra reads the package from the first line only"
    assert second == f"# marketnn experiment={name}"
    with initialize_config_dir(str(FOLDER), version_base="1.3"):
        composed = compose("config", [f"experiment={name}"])
    assert set(composed) == ROOT_KEYS
    registry.configure("pipeline", OmegaConf.to_container(composed.pipeline))


def test_every_module_has_its_yaml() -> None:
    for group in ("pipeline", "data", "scaler", "network", "optimizer", "cluster", "classifier"):
        chosen = {OmegaConf.load(file).name for file in (FOLDER / group).glob("*.yaml")}
        assert chosen == set(registry.names(group)), group
