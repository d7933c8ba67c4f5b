"""The diagram is the module: a line per parameter, its width and colour the weight's."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
import torch
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from marketnn.errors import InputError
from marketnn.network import BPNetwork
from marketnn.report.figures import BLUE, RED
from marketnn.report.network_diagram import network_diagram, shown_units


def lines(figure: Figure) -> dict[str, LineCollection]:
    (axes,) = figure.axes
    return {str(drawn.get_gid()): drawn for drawn in axes.collections if isinstance(drawn, LineCollection)}


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def test_every_parameter_is_a_line() -> None:
    network = BPNetwork([3, 5, 4, 2], hidden="tanh")
    drawn = lines(network_diagram(network))
    counts = {name: len(collection.get_segments()) for name, collection in drawn.items()}
    assert counts == {"weights 1": 15, "biases 1": 5, "weights 2": 20, "biases 2": 4, "weights 3": 8, "biases 3": 2}
    assert sum(counts.values()) == sum(parameter.numel() for parameter in network.parameters())


def test_a_line_shows_its_weight() -> None:
    network = BPNetwork([2, 2, 1])
    with torch.no_grad():
        network.layers[0].weight.copy_(torch.tensor([[4.0, -1.0], [0.0, 2.0]]))
    drawn = lines(network_diagram(network))["weights 1"]
    widths = drawn.get_linewidths()
    assert list(np.argsort(widths)) == [2, 1, 3, 0]
    colours = [tuple(colour[:3]) for colour in drawn.get_colors()]
    assert colours == [to_rgb(BLUE), to_rgb(RED), to_rgb(BLUE), to_rgb(BLUE)]
    (left, upper), (right, hidden) = drawn.get_segments()[1]
    assert left < right
    assert upper < hidden  # the second input feeds the first hidden unit, which stands higher


def test_names_and_layers_are_written() -> None:
    said = words(network_diagram(BPNetwork([2, 3, 1]), inputs=["price", "a name that is much too long for it"]))
    assert "price" in said
    assert "a name that is much too…" in said
    assert "y1" in said
    assert "3 hidden units\nsigmoid" in said
    assert "1 output\nsigmoid" in said


def test_names_with_dollars_or_line_breaks_are_drawn_as_they_are() -> None:
    names = ["income_$ in k$", "a$", "two\nlines", "{x}^2_1 \\alpha"]
    figure = network_diagram(BPNetwork([4, 2, 1]), inputs=names, outputs=["$ \\frac $"])
    figure.savefig(BytesIO())
    said = words(figure)
    assert r"income_\$ in k\$" in said
    assert "two lines" in said
    texts = {text.get_text(): text for text in figure.axes[0].texts}
    assert [texts[name]._preprocess_math(name)[1] for name in (r"income_\$ in k\$", r"\$ \frac \$")] == [False, False]


def test_a_network_of_zeros_is_drawn() -> None:
    network = BPNetwork([2, 2, 1])
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    figure = network_diagram(network)
    figure.savefig(BytesIO())
    assert np.ptp(lines(figure)["weights 1"].get_linewidths()) == 0


@pytest.mark.parametrize(
    ("size", "expected"),
    [(1, [0]), (6, [0, 1, 2, 3, 4, 5]), (7, [0, 1, 2, 5, 6]), (100, [0, 1, 2, 98, 99])],
)
def test_wide_layers_are_shortened(size: int, expected: list[int]) -> None:
    assert shown_units(size, 6) == expected


def test_an_ellipsis_stands_in_the_gap() -> None:
    figure = network_diagram(BPNetwork([30, 2, 1]), max_units=6)
    assert words(figure).count("⋮") == 1
    assert "x30" in words(figure)
    assert "x15" not in words(figure)
    assert len(lines(figure)["weights 1"].get_segments()) == 10


@pytest.mark.parametrize(
    ("network", "options", "message"),
    [
        (BPNetwork([2, 2, 1], members=3), {}, "the network has members"),
        (BPNetwork([2, 2, 1]), {"inputs": ["a"]}, "1 names for 2 inputs"),
        (BPNetwork([2, 2, 1]), {"outputs": ["a", "b"]}, "2 names for 1 outputs"),
        (BPNetwork([2, 2, 1]), {"max_units": 2}, "max_units=2 is not possible"),
    ],
)
def test_what_cannot_be_drawn(network: BPNetwork, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        network_diagram(network, **options)
