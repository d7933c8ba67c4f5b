"""Names and values from a table reach the report and TensorBoard as text, never as markup, and exported tables as no formula."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from marketnn import cli

SCRIPT = "<script>alert(1)</script>"
IMAGE = '"><img src=x onerror=alert(1)>'
LINK = "[x](javascript:alert(1))"
FORMULA = "=HYPERLINK(A1)"


class Tags(HTMLParser):
    """The names and attributes of a page's tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished segmentation of a table whose names and values are markup and formulas."""
    made = tmp_path_factory.mktemp("markup")
    values = [SCRIPT, IMAGE, LINK, FORMULA]
    frame = pd.DataFrame(
        {
            SCRIPT: [place % 7 for place in range(80)],
            IMAGE: [place % 5 for place in range(80)],
            FORMULA: [values[place % 4] for place in range(80)],
        }
    )
    frame.to_csv(made / "t.csv", index=False)
    words = ["pipeline=segment", "pipeline.n_clusters=2", "data=csv", f"data.path='{made}/t.csv'"]
    assert cli.main([*words, f"hydra.run.dir='{made}/run'"]) == 0
    return made / "run"


def test_the_report_holds_no_tag_of_the_table(folder: Path) -> None:
    page = (folder / "report.html").read_text()
    tags = Tags(page)
    assert not {"script", "iframe", "object", "a", "form"} & tags.names
    assert not {name for name in tags.attributes if name.startswith("on")}
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_tensorboard_texts_hold_no_markup(folder: Path) -> None:
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    texts = [
        tensor.tensor_proto.string_val[0].decode()
        for tag in events.Tags()["tensors"]
        if tag.startswith("tables/")
        for tensor in events.Tensors(tag)
    ]
    together = "\n".join(texts)
    assert "alert(1)" in together
    for markup in ("<script", "<img", "[x]("):
        assert markup not in together.replace("\\<", "").replace("\\[", "")


def test_exported_tables_hold_no_formula(folder: Path) -> None:
    cells = []
    for file in (folder / "tables").glob("*.csv"):
        table = pd.read_csv(file, dtype=str, keep_default_na=False, header=None)
        cells += [cell for cell in table.to_numpy().ravel() if cell.startswith(("=", "@", "'="))]
    assert f"'{FORMULA}" in cells
    assert all(cell.startswith("'") for cell in cells)
