"""What an index system adds to a learnt score: whether it moves with each index as it should, and the score by dimension.

Shapes: n rows, d indices.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from marketnn.scorecard import IndexSystem, right_share

RIGHT = 0.9  # of the rows whose slope has the index's sign, from which the network has learnt its direction


@dataclass(frozen=True)
class Directions:
    """Directions learnt and dimensions scored.

    Attributes:
        signs: by index: ``dimension``, ``name``, ``direction``, ``right_share`` (test rows whose slope has the direction's sign;
            nothing for an interval) and ``right``, whether that is nine rows in ten.
        dimensions: (n, dimensions) mean quality of each row's indices in a dimension, from 0 to 1.
    """

    signs: pd.DataFrame
    dimensions: pd.DataFrame

    @classmethod
    def of(cls, system: IndexSystem, features: pd.DataFrame, slopes: pd.DataFrame) -> Directions:
        """Compare slopes with directions, and score the dimensions.

        Args:
            system: the features' index system.
            features: (n, d) all rows.
            slopes: d score / d index on the test rows, the features among its columns.
        """
        table = system.table().set_index("code")[["dimension", "name", "direction"]]
        share = right_share(slopes, system)
        table["right_share"] = share
        table["right"] = share >= RIGHT
        return cls(table, system.dimension_scores(system.quality(features)))

    @property
    def judged(self) -> pd.DataFrame:
        """The rows of ``signs`` whose index has a direction."""
        return self.signs[self.signs["right_share"].notna()]
