"""Figures take names as they come: mathematics in them is text, and none is longer than it can be read."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from marketnn.report import figures
from marketnn.report.cluster_figures import profile_figure

NAMES = ["spend_$ per $ earned", "$\\frac{", "x" * 300, "two\nlines"]


def drawn(figure: Figure) -> set[str]:
    """Draw a figure and return its texts, with ``$`` as it is seen."""
    figure.savefig(BytesIO(), format="png")
    texts = figure.findobj(Text)
    assert not any(text._preprocess_math(text.get_text())[1] for text in texts if "$" in text.get_text())
    return {text.get_text().replace(r"\$", "$") for text in texts}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("price", "price"),
        ("$", r"\$"),
        ("a\n b", "a b"),
        ("x" * 40, "x" * 40),
        ("x" * 41, "x" * 39 + "…"),
        (7, "7"),
    ],
)
def test_labels(name: object, expected: str) -> None:
    assert figures.label(name) == expected


def test_names_are_drawn_as_they_are_and_at_most_forty_characters() -> None:
    numbers = np.arange(1.0, 5.0)
    effects = pd.DataFrame({"effect": numbers, "low": numbers - 1, "high": numbers + 1}, index=NAMES)
    z = pd.DataFrame(np.outer([1.0, -1.0], numbers), index=["$a$", "b"], columns=NAMES)
    seen = {"spend_$ per $ earned", "$\\frac{", "x" * 39 + "…", "two lines"}
    assert seen <= drawn(figures.effects_figure(effects))
    assert seen | {"$a$"} <= drawn(profile_figure(z, "all rows"))
    assert seen <= drawn(figures.bars_figure(NAMES, {"all": [1, 2, 3, 4]}, "customers"))
    assert "$\\frac{, actual" in drawn(figures.predicted_figure(numbers, numbers, NAMES[1]))


def test_nothing_to_show_is_drawn_too() -> None:
    zeros = np.zeros(4)
    effects = pd.DataFrame({"effect": zeros, "low": zeros, "high": zeros}, index=list("abcd"))
    history = {"epoch": [1, 2], "loss": [0.0, 0.0], "damping": [1e-3, 1e-4]}
    drawn(figures.effects_figure(effects))
    assert "weights kept: epoch 0" in drawn(figures.training_figure(history, 0))
    assert "y, actual" in drawn(figures.predicted_figure(zeros, zeros, "y"))
