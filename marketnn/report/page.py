"""One self-contained HTML page: every value escaped, every figure inside the file."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

MAX_ROWS = 30
_MARKUP = re.compile(r"([\\`*\[\]<>|#])")


@dataclass(frozen=True)
class TextBlock:
    """A paragraph."""

    text: str
    kind: str = "text"


@dataclass(frozen=True)
class TableBlock:
    """A table; long ones show their first rows and name the file with the rest.

    Attributes:
        file: where the whole table lies, relative to the page; empty if nowhere.
    """

    caption: str
    frame: pd.DataFrame
    file: str = ""
    kind: str = "table"

    @property
    def columns(self) -> list[str]:
        """The column names, readable."""
        return [str(name).replace("_", " ") for name in self.frame.columns]

    @property
    def rows(self) -> list[list[str]]:
        """The cells as text, numbers rounded for reading."""
        return [[cell_text(value) for value in row] for row in self.frame.head(MAX_ROWS).itertuples(index=False)]

    @property
    def numeric(self) -> list[bool]:
        """Which columns are numbers, to be set flush right."""
        return [pd.api.types.is_numeric_dtype(dtype) for dtype in self.frame.dtypes]

    @property
    def more(self) -> int:
        """How many rows are not shown."""
        return max(0, len(self.frame) - MAX_ROWS)

    def markdown(self) -> str:
        """The table as Markdown, for TensorBoard's text page."""
        lines = [self.columns, ["---:" if right else "---" for right in self.numeric], *self.rows]
        return "\n".join(
            "| " + " | ".join(_MARKUP.sub(r"\\\1", " ".join(cell.split())) for cell in line) + " |" for line in lines
        )


@dataclass(frozen=True)
class FigureBlock:
    """A picture with its caption.

    Attributes:
        width: on the page, in CSS pixels.
    """

    caption: str
    png: bytes
    width: int
    kind: str = "figure"

    @staticmethod
    def of(figure: Figure, caption: str) -> FigureBlock:
        """Draw a figure; the same numbers give the same bytes."""
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=150, metadata={"Software": None})
        return FigureBlock(caption, buffer.getvalue(), width=round(80 * figure.get_figwidth()))

    @property
    def source(self) -> str:
        """The picture as a data address."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode()


@dataclass
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: list[TextBlock | TableBlock | FigureBlock] = field(default_factory=list)


def render_page(title: str, facts: Mapping[str, str], headlines: Sequence[str], sections: Sequence[Section]) -> str:
    """Return the page as HTML.

    Args:
        title: of the page.
        facts: name -> value, shown at the end (command, data, seed, versions).
        headlines: sentences that come first.
        sections: the body.
    """
    environment = Environment(
        loader=PackageLoader("marketnn", "report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    template = environment.get_template("page.html.jinja")
    return template.render(title=title, facts=facts, headlines=headlines, sections=sections)


def cell_text(value: Any) -> str:
    """Write a value for a reader: four significant digits, thousands apart, nothing for a missing one."""
    if value is None or (isinstance(value, (float, np.floating)) and np.isnan(value)):
        return ""
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (int, np.integer)):
        return f"{value:,}"
    if not isinstance(value, (float, np.floating)):
        return str(value)
    number = float(value)
    if number.is_integer() and abs(number) < 1e15:
        return f"{int(number):,}"
    return f"{number:,.1f}" if abs(number) >= 1000 else f"{number:.4g}"
