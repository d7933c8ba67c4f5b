"""Whatever a file or a configuration holds, a reader reads it or raises an InputError: nothing else, in bounded time."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save

from marketnn import registry
from marketnn.command.rerun import store_recorded
from marketnn.command.words import check_words
from marketnn.data import csv
from marketnn.data.cost_sheet import ITEMS, read_cost_sheet
from marketnn.data.index_system import IndexSystem
from marketnn.data.index_values import read_index_values
from marketnn.errors import InputError
from marketnn.pipeline import segment
from marketnn.plain_yaml import read_yaml
from marketnn.tracking import load_model
from marketnn.tracking.folder import read_finished

FUZZ = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
CELLS = st.sampled_from(
    [*'ab,;"\n\r\t|\0 ', "1", "-2.5", "1e999", "nan", "é", "\ufeff", "=1+1", "yes", "no", "9" * 400]
)
YAML = st.sampled_from(
    [
        *"a:-[]{}#&*!|>%@`'\"\n ,?",
        "  ",
        "salaries",
        "1e3",
        "null",
        "true",
        "2001-01-01",
        "~",
        "<<",
        "=",
        ".inf",
        "0o9",
        "---\n",
    ]
)
WORDS = st.sampled_from(
    [
        *"=+~.,[]{}$'\"/ ",
        "pipeline",
        "churn",
        "data",
        "csv",
        "path",
        "_target_",
        "hydra",
        "run",
        "dir",
        "seed",
        "../",
        "-m",
        "0",
    ]
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from(["../os", "minmax"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def texts(parts: st.SearchStrategy[str]) -> st.SearchStrategy[bytes]:
    """Files of these parts in any order, and files of any bytes."""
    return st.lists(parts, max_size=40).map(lambda found: "".join(found).encode()) | st.binary(max_size=200)


@FUZZ
@given(
    content=texts(CELLS), name=st.sampled_from(["t.csv", "t.csv.gz"]), separator=st.sampled_from([",", ";", "tab", '"'])
)
def test_tables(tmp_path: Path, content: bytes, name: str, separator: str) -> None:
    (tmp_path / name).write_bytes(content)
    with suppress(InputError):
        table = csv.build(csv.Config(path=str(tmp_path / name), separator=separator, target="a")).ready()
        assert len(table.frame) >= 1
        assert np.isfinite(table.features.select_dtypes("number")).all(axis=None)
    assert [path.name for path in tmp_path.iterdir() if path.name not in ("t.csv", "t.csv.gz")] == []


@pytest.mark.parametrize(
    "read",
    [
        read_yaml,
        lambda path: read_cost_sheet(str(path)),
        IndexSystem.load,
        lambda path: read_index_values(str(path), IndexSystem.default()),
        lambda path: store_recorded(str(path.parent), []),
    ],
    ids=["yaml", "cost sheet", "index system", "index values", "recorded configuration"],
)
@settings(FUZZ, max_examples=30)
@given(content=texts(YAML) | JSON.map(lambda value: json.dumps(value).encode()))
@example(b"a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]")
@example(b"[" * 5000)
@example(b"salaries: 0o9\n")
@example(b"\xff\xfe")
def test_yaml(tmp_path: Path, read: Callable[[Path], object], content: bytes) -> None:
    file = tmp_path / "config.yaml"
    file.write_bytes(content)
    with suppress(InputError):
        read(file)
    assert list(tmp_path.iterdir()) == [file]


@FUZZ
@given(item=st.sampled_from(ITEMS), amount=JSON)
def test_a_cost_sheet_with_any_amount(tmp_path: Path, item: str, amount: Any) -> None:
    (tmp_path / "c.yaml").write_text(json.dumps(dict.fromkeys(ITEMS, 1) | {item: amount}))
    with suppress(InputError):
        assert all(value >= 0 for value in read_cost_sheet(str(tmp_path / "c.yaml")).values())


@pytest.mark.parametrize("group", registry.ROOMS)
@settings(FUZZ, max_examples=30)
@given(data=st.data())
def test_configurations(group: str, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(registry.names(group)))
    keys = st.sampled_from([*registry.find(group, name).Config.__dataclass_fields__, "name", "_target_", "../x"])
    with suppress(InputError):
        registry.configure(group, {"name": name, **data.draw(st.dictionaries(keys, JSON, max_size=3))})


@FUZZ
@given(words=st.lists(st.lists(WORDS, min_size=1, max_size=6).map("".join), max_size=4))
def test_words(words: list[str]) -> None:
    with suppress(InputError):
        check_words(words)
        assert not any("_target_" in word.partition("=")[0] for word in words if not word.startswith("-"))


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Name every place in nested JSON values."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, content in inner:
        yield (*path, key)
        yield from places(content, (*path, key))


@FUZZ
@given(data=st.data())
def test_models(finished: Path, tmp_path: Path, data: st.DataObject) -> None:
    saved = json.loads((finished / "run" / "model" / "model.json").read_text())
    arrays = load_file(finished / "run" / "model" / "arrays.safetensors")
    changed = copy.deepcopy(saved)
    *path, last = data.draw(st.sampled_from(list(places(saved))))
    inner = changed
    for key in path:
        inner = inner[key]
    inner[last] = data.draw(JSON)
    shape = data.draw(st.sampled_from([None, (0,), (2, 1), (3, 3), ()]))
    (tmp_path / "model.json").write_text(json.dumps(changed))
    content = save(arrays if shape is None else {name: np.full(shape, np.nan) for name in arrays})
    (tmp_path / "arrays.safetensors").write_bytes(
        content[: data.draw(st.sampled_from([None, 7, 40, len(content) - 1]))]
    )
    frame = csv.build(csv.Config(path=str(finished / "good.csv"))).frame
    with suppress(InputError):
        model = segment.Model.from_saved(load_model(tmp_path))
        assert len(model.predict(frame, source="good.csv", fill_missing=True)[0]) == len(frame)


@settings(FUZZ, max_examples=30)
@given(name=st.sampled_from(["config.yaml", "metrics.json", "versions.json", "tables/labels.csv"]), content=st.data())
def test_finished_runs(finished: Path, tmp_path: Path, name: str, content: st.DataObject) -> None:
    for entry in ("config.yaml", "metrics.json", "versions.json", "report.html", "tables/labels.csv"):
        (tmp_path / entry).parent.mkdir(exist_ok=True)
        (tmp_path / entry).write_bytes((finished / "run" / entry).read_bytes())
    strange = texts(YAML) | JSON.map(lambda value: json.dumps(value).encode())
    (tmp_path / name).write_bytes(content.draw(strange))
    with suppress(InputError):
        assert all(isinstance(value, (int, float)) for value in read_finished(tmp_path).metrics.values())
