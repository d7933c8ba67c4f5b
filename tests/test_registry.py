"""Names and numbers of a configuration: what fits is built, what does not is named with what exists."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import pytest

from marketnn import registry
from marketnn.errors import ConfigurationError


@dataclass(frozen=True)
class Config:
    path: str
    share: float = 0.2
    rounds: int = 3
    strict: bool = False
    limit: int | None = None
    mode: Literal["a", "b"] = "a"
    names: tuple[str, ...] = ()
    table: dict[str, float] = field(default_factory=dict)


def merge(**settings: object) -> Config:
    return registry.merge(Config, {"path": "x", **settings}, where="part")


def test_defaults_stay_where_nothing_is_said() -> None:
    assert merge() == Config(path="x")


@pytest.mark.parametrize(
    ("key", "given", "kept"),
    [
        ("share", 1, 1.0),
        ("limit", None, None),
        ("limit", 4, 4),
        ("mode", "b", "b"),
        ("names", "one", ("one",)),
        ("names", ["a", "b"], ("a", "b")),
        ("names", [7], ("7",)),
        ("table", {"a": 1}, {"a": 1.0}),
        ("path", 2024, "2024"),
    ],
)
def test_values_that_fit(key: str, given: object, kept: object) -> None:
    value = getattr(merge(**{key: given}), key)
    assert value == kept
    assert type(value) is type(kept)


@pytest.mark.parametrize(
    ("key", "given", "message"),
    [
        ("share", "much", r"part\.share='much' is not a number"),
        ("share", True, r"part\.share=True is not a number"),
        ("rounds", 2.5, r"part\.rounds=2\.5 is not a whole number"),
        ("rounds", True, r"part\.rounds=True is not a whole number"),
        ("strict", "yes", r"part\.strict='yes' is not true or false"),
        ("mode", "c", r"part\.mode=c is not possible; choose a, b"),
        ("names", {"a": 1}, r"is not a list such as \[a,b\]"),
        ("table", {"a": "b"}, r"part\.table\.a='b' is not a number"),
        ("limit", "x", r"part\.limit='x' is not a whole number"),
    ],
)
def test_values_that_do_not_fit(key: str, given: object, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        merge(**{key: given})


def test_an_unknown_key_is_named_with_its_neighbour() -> None:
    with pytest.raises(
        ConfigurationError, match=r"unknown key 'part\.shares'\. Did you mean 'part\.share'\?\nThere are: part\.limit"
    ):
        merge(shares=1)


def test_a_value_without_default_must_be_given() -> None:
    with pytest.raises(ConfigurationError, match=r"part\.path is missing; pass part\.path=\.\.\."):
        registry.merge(Config, {"path": None}, where="part")


def test_modules_are_found_by_name_only() -> None:
    assert registry.find("data", "csv").__name__ == "marketnn.data.csv"
    for name in ("table", "os", "../../etc", "csv.os", ""):
        with pytest.raises(
            ConfigurationError,
            match=r"There are: completejourney, csv, index_scores, offers, omnichannel, packaged, parquet, points, rfm, sql\.",
        ):
            registry.find("data", name)
    with pytest.raises(ConfigurationError, match="unknown group 'os'"):
        registry.find("os", "system")


def test_a_target_key_is_an_unknown_key() -> None:
    with pytest.raises(ConfigurationError, match=r"unknown key 'data\._target_'"):
        registry.build("data", {"name": "csv", "path": "x", "_target_": "os.system"})


@pytest.mark.parametrize("settings", [{}, "csv", None])
def test_settings_without_a_name(settings: object) -> None:
    with pytest.raises(ConfigurationError, match="needs a 'name'"):
        registry.configure("data", settings)
