"""Made-up points, evenly spread or in round groups: data of which it is known what a clustering should find."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from marketnn.data.table import Raw, Table, TableOptions, assemble
from marketnn.errors import InputError
from marketnn.seed import numpy_generator


@dataclass(frozen=True, kw_only=True)
class Config(TableOptions):
    """Points drawn by ``draw``; their columns are ``x1``, ``x2``, ...

    Attributes:
        n: points.
        dimensions: columns.
        groups: round groups of equal weight; 0 spreads the points evenly over the unit cube.
        separation: how far apart the groups' centres lie, in standard deviations of a group.
        draw: a whole number; the same one, the same points.
    """

    n: int = 100
    dimensions: int = 2
    groups: int = 0
    separation: float = 4.0
    draw: int = 0


def read(config: Config) -> Raw:
    """Draw the points.

    Raises:
        InputError: a number is out of range.
    """
    x, _ = draw_points(config.n, config.dimensions, config.groups, config.separation, seed=config.draw)
    names = [f"x{place + 1}" for place in range(config.dimensions)]
    return Raw(pd.DataFrame(x, columns=names), config, f"{config.n:,} made-up points")


def build(config: Config) -> Table:
    """Draw the points into a table.

    Raises:
        InputError: as ``read`` and ``assemble``.
    """
    return assemble(read(config))


def draw_points(
    n: int, dimensions: int, groups: int = 0, separation: float = 4.0, *, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Draw points and the group of each.

    Args:
        n, dimensions: how many, in how many columns.
        groups: 0 draws from U(0, 1) in every column, everything in group 0; otherwise a group's points are N(centre, 1) and the
            centres N(0, separation^2) in every column.
        separation: of the centres; two of them are ``separation * sqrt(2 * dimensions)`` apart on average (root mean square).
        seed: of all draws.

    Returns:
        Points (n, dimensions) and groups (n,).

    Raises:
        InputError: a number is out of range.
    """
    if n < 1 or dimensions < 1 or groups < 0 or not separation >= 0 or seed < 0:
        raise InputError(
            f"n={n} and dimensions={dimensions} must be at least 1, groups={groups}, separation={separation:g} and "
            f"draw={seed} at least 0."
        )
    rng = numpy_generator(seed)
    if groups == 0:
        return rng.uniform(size=(n, dimensions)), np.zeros(n, dtype=np.int64)
    centres = separation * rng.normal(size=(groups, dimensions))
    label = rng.integers(groups, size=n)
    return centres[label] + rng.normal(size=(n, dimensions)), label
