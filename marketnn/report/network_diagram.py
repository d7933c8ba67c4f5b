"""The diagram of a dense network, drawn from the module itself (paper A, Fig. 2.1).

Units are circles in columns from inputs to outputs, biases are squares above the layer they feed, and every connection is
a line the wider the larger its weight. Wide layers show their first and last units around an ellipsis.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import nn

from marketnn.errors import InputError
from marketnn.report.figures import BLUE, RED, label

COLUMN_WIDTH, UNIT_HEIGHT, RADIUS = 2.4, 0.62, 0.2
LINE_WIDTHS = (0.2, 3.2)
LABEL_LENGTH = 24


class DenseNetwork(Protocol):
    """What is drawn: a ``BPNetwork``, or whatever has its shape."""

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        """Widths from input to output."""

    @property
    def hidden(self) -> str:
        """Activation of the hidden layers."""

    @property
    def output(self) -> str:
        """Activation of the output layer."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """Weight (h, i) and bias (h,) of the first layer, of the second, and so on."""


def network_diagram(
    network: DenseNetwork,
    *,
    inputs: Sequence[str] | None = None,
    outputs: Sequence[str] | None = None,
    max_units: int = 12,
) -> Figure:
    """Draw a network.

    Args:
        network: a single dense network.
        inputs, outputs: names of the inputs (d,) and outputs (m,); ``None`` numbers them.
        max_units: layers wider than this are shortened by an ellipsis; at least 3.

    Raises:
        InputError: a network with members, names that are not one per unit, or ``max_units`` below 3.
    """
    sizes = network.layer_sizes
    values = [parameter.detach().cpu().numpy() for parameter in network.parameters()]
    weights, biases = values[::2], values[1::2]
    if weights[0].ndim != 2:
        raise InputError("the network has members; draw one of them on its own.")
    if max_units < 3:
        raise InputError(f"max_units={max_units} is not possible; pass at least 3.")
    for kind, names, width in (("inputs", inputs, sizes[0]), ("outputs", outputs, sizes[-1])):
        if names is not None and len(names) != width:
            raise InputError(f"{len(names)} names for {width} {kind}; pass one for each.")
    inputs = inputs or [f"x{place}" for place in range(1, sizes[0] + 1)]
    outputs = outputs or [f"y{place}" for place in range(1, sizes[-1] + 1)]

    shown = [shown_units(size, max_units) for size in sizes]
    heights = [_heights(units, size) for units, size in zip(shown, sizes, strict=True)]
    tallest = max(len(units) + (len(units) < size) for units, size in zip(shown, sizes, strict=True))
    figure = Figure(figsize=(2.6 + COLUMN_WIDTH * len(sizes), 1.9 + UNIT_HEIGHT * tallest), layout="constrained")
    axes = figure.subplots()
    top = UNIT_HEIGHT * (tallest / 2 + 0.9)
    largest = max(np.abs(array).max() for array in values)
    for place, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        left, right = place * COLUMN_WIDTH, (place + 1) * COLUMN_WIDTH
        units, before = shown[place + 1], shown[place]
        ends = [
            [((left, y0), (right, y1)) for y1 in heights[place + 1] for y0 in heights[place]],
            [((left + 0.45 * COLUMN_WIDTH, top), (right, y1)) for y1 in heights[place + 1]],
        ]
        _connect(axes, ends[0], weight[np.ix_(units, before)].ravel(), largest, f"weights {place + 1}")
        _connect(axes, ends[1], bias[units], largest, f"biases {place + 1}")
        axes.plot(ends[1][0][0][0], top, "s", color="white", markeredgecolor="black", markersize=13, zorder=3)
        axes.text(ends[1][0][0][0], top, "1", ha="center", va="center", fontsize=8, zorder=4)
    for place, (units, ys, size) in enumerate(zip(shown, heights, sizes, strict=True)):
        _column(axes, place * COLUMN_WIDTH, ys, len(units) < size)
        _title(axes, place, size, top, network, len(sizes))
    for x, side, units, ys, names in (
        (-RADIUS - 0.12, "right", shown[0], heights[0], inputs),
        (COLUMN_WIDTH * (len(sizes) - 1) + RADIUS + 0.12, "left", shown[-1], heights[-1], outputs),
    ):
        for unit, y in zip(units, ys, strict=True):
            axes.text(x, y, label(names[unit], LABEL_LENGTH), ha=side, va="center", fontsize=9)
    _legend(axes, largest)
    axes.set_aspect("equal")
    axes.axis("off")
    return figure


def shown_units(size: int, max_units: int) -> list[int]:
    """Return the units of a layer that are drawn: all of them, or the first and the last around an ellipsis."""
    if size <= max_units:
        return list(range(size))
    first = max_units // 2
    return [*range(first), *range(size - (max_units - 1 - first), size)]


def _heights(units: Sequence[int], size: int) -> list[float]:
    """Return each unit's height, the layer centred on 0; an ellipsis takes one place."""
    if len(units) == size:
        places, n_places = list(units), size
    else:
        n_places = len(units) + 1
        places = [unit if unit < len(units) / 2 else unit - size + n_places for unit in units]
    return [UNIT_HEIGHT * ((n_places - 1) / 2 - place) for place in places]


def _connect(axes: Axes, ends: Sequence, weights: np.ndarray, largest: float, name: str) -> None:
    share = np.abs(weights) / largest if largest else np.zeros_like(weights)
    colours = [RED if weight < 0 else BLUE for weight in weights]
    lines = LineCollection(list(ends), linewidths=_width(share), colors=colours, zorder=1)
    lines.set_alpha(_opacity(share).tolist())
    lines.set_gid(name)
    axes.add_collection(lines)


def _width(share: np.ndarray) -> np.ndarray:
    """Return the width of a line whose weight is this share of the largest; the root keeps small weights visible."""
    thin, thick = LINE_WIDTHS
    return thin + (thick - thin) * np.sqrt(share)


def _opacity(share: np.ndarray) -> np.ndarray:
    return 0.1 + 0.8 * np.sqrt(share)


def _column(axes: Axes, x: float, ys: Sequence[float], shortened: bool) -> None:
    axes.plot([x] * len(ys), ys, "o", color="white", markeredgecolor="black", markersize=17, zorder=3)
    if shortened:
        gaps = [-difference for difference in np.diff(ys)]
        above = int(np.argmax(gaps))
        axes.text(x, (ys[above] + ys[above + 1]) / 2, "⋮", ha="center", va="center", fontsize=16)


def _title(axes: Axes, place: int, size: int, top: float, network: DenseNetwork, n_columns: int) -> None:
    kind = "inputs" if place == 0 else "outputs" if place == n_columns - 1 else "hidden units"
    activation = "\n" if place == 0 else f"\n{network.output if place == n_columns - 1 else network.hidden}"
    noun = kind[:-1] if size == 1 else kind
    axes.text(place * COLUMN_WIDTH, top + 0.3, f"{size} {noun}{activation}", ha="center", va="bottom", fontsize=10)


def _legend(axes: Axes, largest: float) -> None:
    handles = [
        Line2D(
            [],
            [],
            color=colour,
            linewidth=float(_width(share)),
            alpha=float(_opacity(share)),
            label=f"{sign}{share * largest:.3g}",
        )
        for colour, sign in ((BLUE, "+"), (RED, "−"))
        for share in np.array([1.0, 0.1])
    ]
    axes.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, 0),
        ncols=4,
        frameon=False,
        fontsize=9,
        title="weights",
    )
