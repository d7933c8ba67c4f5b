"""Names in configuration -> modules -> objects, without importing anything that a configuration spells out.

A YAML says ``name: kmeans`` and its numbers. The group (``cluster``) picks the room (``marketnn.cluster``), the name picks the
module in it, and the numbers are merged onto that module's frozen ``Config``. A module takes part by having

    Config          a frozen dataclass: every key that may be set, with its type and default
    build(config)   what to make of it (pipelines have ``run`` instead)
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import types
import typing
from collections.abc import Mapping
from typing import Any

from marketnn.errors import ConfigurationError, unknown_name

ROOMS = {
    "pipeline": "marketnn.pipeline",
    "data": "marketnn.data",
    "scaler": "marketnn.preprocess",
    "network": "marketnn.network",
    "optimizer": "marketnn.optim",
    "cluster": "marketnn.cluster",
    "classifier": "marketnn.classify.classifiers",
    "response": "marketnn.allocation.curves",
}


def names(group: str) -> list[str]:
    """List the modules of a group that can be chosen by name: those with a ``Config`` and ``build`` or ``run``."""
    room = importlib.import_module(_room(group))
    modules = {
        found.name: importlib.import_module(f"{room.__name__}.{found.name}")
        for found in pkgutil.iter_modules(room.__path__)
    }
    takes_part = (name for name, module in modules.items() if hasattr(module, "Config"))
    return [name for name in takes_part if hasattr(modules[name], "build") or hasattr(modules[name], "run")]


def find(group: str, name: str) -> types.ModuleType:
    """Return the module called ``name`` in the group's room.

    Raises:
        ConfigurationError: no such group or name; the message lists those that exist.
    """
    if name not in names(group):
        raise unknown_name(group, name, names(group))
    return importlib.import_module(f"{_room(group)}.{name}")


def configure(group: str, settings: Mapping[str, Any]) -> tuple[types.ModuleType, Any]:
    """Return the module that ``settings['name']`` chooses and its ``Config`` with the other settings merged in.

    Raises:
        ConfigurationError: an unknown name or key, a missing value, or a value of the wrong type.
    """
    if not isinstance(settings, Mapping) or "name" not in settings:
        raise ConfigurationError(f"{group} needs a 'name'. There are: {', '.join(names(group))}.")
    module = find(group, settings["name"])
    numbers = {key: value for key, value in settings.items() if key != "name"}
    return module, merge(module.Config, numbers, where=group)


def build(group: str, settings: Mapping[str, Any]) -> Any:
    """Build the object that a configuration describes: ``configure``, then the module's ``build``."""
    module, config = configure(group, settings)
    return module.build(config)


def merge(config_type: type, settings: Mapping[str, Any], *, where: str) -> Any:
    """Lay ``settings`` over the defaults of a configuration dataclass, checking keys and types.

    Args:
        config_type: a dataclass.
        settings: key -> value, as read from YAML.
        where: the prefix of the keys in messages (``data`` makes ``data.path``).

    Raises:
        ConfigurationError: an unknown key, a missing value or a value of the wrong type.
    """
    if not isinstance(settings, Mapping):
        raise ConfigurationError(f"{where} must be a group of keys, not {settings!r}.")
    hints = typing.get_type_hints(config_type)
    fields = {field.name: field for field in dataclasses.fields(config_type)}
    for key in settings:
        if key not in fields:
            raise unknown_name("key", f"{where}.{key}", (f"{where}.{name}" for name in fields))
    for name, field in fields.items():
        has_default = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
        if not has_default and settings.get(name) is None:
            raise ConfigurationError(f"{where}.{name} is missing; pass {where}.{name}=...")
    values = {key: cast(value, hints[key], f"{where}.{key}") for key, value in settings.items()}
    return config_type(**values)


def _room(group: str) -> str:
    if group not in ROOMS:
        raise unknown_name("group", group, ROOMS)
    return ROOMS[group]


def cast(value: Any, hint: Any, key: str) -> Any:
    """Check ``value`` against a type hint; integers pass as floats, lists as tuples, and one text as a list of one.

    Raises:
        ConfigurationError: it does not fit; the message names ``key``.
    """
    if hint is Any:
        return value
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in arguments:
            return None
        failures = []
        for option in arguments:
            if option is not type(None):
                try:
                    return cast(value, option, key)
                except ConfigurationError as error:
                    failures.append(error)
        raise failures[0]
    if origin is typing.Literal:
        if value in arguments:
            return value
        raise ConfigurationError(f"{key}={value} is not possible; choose {', '.join(map(str, arguments))}.")
    if origin is tuple:
        items = [value] if isinstance(value, str) else value
        if isinstance(items, (list, tuple)):
            return tuple(cast(item, arguments[0], key) for item in items)
    elif origin is dict:
        if isinstance(value, Mapping):
            return {str(name): cast(item, arguments[1], f"{key}.{name}") for name, item in value.items()}
    elif hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    elif hint is str and isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return str(value)
    elif isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        return value
    raise ConfigurationError(f"{key}={value!r} is not {_expected(hint)}.")


def _expected(hint: Any) -> str:
    """Say in words what a type hint wants."""
    words = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
    if typing.get_origin(hint) is tuple:
        return f"a list such as [a,b], each {words.get(typing.get_args(hint)[0], 'an item')}"
    return words.get(hint, f"a {getattr(hint, '__name__', hint)}")
