"""Tables 1 and 2 of paper B, the centres before and after K-means: what the text says of them, and why no data can have them."""

from __future__ import annotations

import numpy as np

from experiments.centre_audit import Centres, greatest_share, zero_mean
from experiments.claims import Claims
from experiments.experiment import Findings, Workspace
from experiments.ledger import Row, compare

NAME = "paper_b/tables_1_2"


def run(workspace: Workspace) -> Findings:
    """Audit the two tables."""
    claims = workspace.claims
    return Findings((initial_row(claims), final_row(claims), words_row(claims)))


def initial_row(claims: Claims) -> Row:
    """Table 1: the four clusters that the text places stand highest where it says."""
    printed = claims.printed["B"]["Table 1"]
    centres = Centres.of(printed["centres"])
    ours: dict[str, float] = {
        f"cluster {cluster} is highest on {feature}": int(centres.highest(cluster)[0] == feature)
        for cluster, feature in printed["located"].items()
    }
    published = dict.fromkeys(ours, 1)
    ours["cells below 0"] = int((centres.numbers < 0).sum())
    ours["cells beyond -1..1"] = int((np.abs(centres.numbers) > 1).sum())
    final = Centres.of(claims.printed["B"]["Table 2"]["centres"]).numbers
    moves = np.linalg.norm(final - centres.numbers, axis=0)
    ours |= {f"cluster {place + 1} moves to Table 2 by": float(move) for place, move in enumerate(moves)}
    return compare(
        "B",
        "Table 1",
        NAME,
        ours=ours,
        published=published,
        tolerance=0.0,
        reason=claims.finding("B", "Table 1"),
    )


def final_row(claims: Claims) -> Row:
    """Table 2: z-scored data have a mean of 0, so the centres weighted by the clusters' shares must have it too."""
    printed = claims.printed["B"]["Table 2"]
    centres = Centres.of(printed["centres"])
    found = zero_mean(centres)
    name = "least greatest |mean| of a feature"
    ours: dict[str, float] = {name: found.least_mean}
    ours["certificate: least y.centre"] = float(found.least_projection)
    for feature, value in zip(centres.features, found.direction, strict=True):
        ours[f"certificate: y of {feature}"] = value
    for place, z in enumerate(np.abs(centres.numbers).max(axis=0)):
        ours[f"greatest possible share of cluster {place + 1}"] = greatest_share(float(z))
    # A cell is printed to five decimals, and a weighted mean is off by no more than its cells.
    return compare(
        "B",
        "Table 2",
        NAME,
        ours=ours,
        published={name: float(printed["mean"])},
        tolerance=5e-6,
        reason=claims.finding("B", "Table 2"),
    )


def words_row(claims: Claims) -> Row:
    """What the text says of Table 2: each cluster's feature, and the value there."""
    item = "Final centres in words"
    centres = Centres.of(claims.printed["B"]["Table 2"]["centres"])
    ours: dict[str, float] = {}
    published: dict[str, float] = {}
    for cluster, (feature, value) in claims.printed["B"][item]["located"].items():
        highest, cell = centres.highest(cluster)
        ours |= {
            f"cluster {cluster} is highest on {feature}": int(highest == feature),
            f"cluster {cluster}": float(cell),
        }
        published |= {f"cluster {cluster} is highest on {feature}": 1, f"cluster {cluster}": float(value)}
    return compare("B", item, NAME, ours=ours, published=published, tolerance=0.0, reason=claims.finding("B", item))
