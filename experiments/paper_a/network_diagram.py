"""Figure 2.1 of paper A, the LMBP network: drawn from a module that Levenberg-Marquardt has trained."""

from __future__ import annotations

from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from experiments.claims import Claims
from experiments.experiment import Findings, Picture, Workspace
from experiments.ledger import Row, compare
from marketnn.network import BPNetwork
from marketnn.pipeline import Parts
from marketnn.pipeline.scorecard import Config, analyse
from marketnn.report.network_diagram import network_diagram
from marketnn.report.page import FigureBlock

NAME = "paper_a/network_diagram"
ITEM = "Figure 2.1"
PARTS = Parts(data={"name": "packaged", "table": "concrete"}, network={"name": "bp", "hidden_sizes": [6]}, device="cpu")


def run(workspace: Workspace) -> Findings:
    """Train a small network, draw it, and compare what is drawn with the paper's equations."""
    analysis = analyse(PARTS.table(), Config(members=1, max_epochs=30), PARTS)
    model = analysis.model
    figure = network_diagram(model.network, inputs=list(analysis.encoded.frame), outputs=[model.target])
    caption = (
        "Figure 2.1, the LMBP network, drawn from a trained one: concrete's strength from its ingredients and age."
    )
    row = ledger_row(workspace.claims, model.network, figure)
    return Findings((row,), (Picture((ITEM,), FigureBlock.of(figure, caption)),))


def ledger_row(claims: Claims, network: BPNetwork, figure: Figure) -> Row:
    """Compare the drawing with the topology of eq. 2.2-2.5, and the number of its lines with the module's parameters."""
    (axes,) = figure.axes
    lines = {
        str(drawn.get_gid()): len(drawn.get_segments())
        for drawn in axes.collections
        if isinstance(drawn, LineCollection)
    }
    drawn = {kind: [count for name, count in lines.items() if name.startswith(kind)] for kind in ("weights", "biases")}
    ours = {
        "layers of units": len(drawn["weights"]) + 1,
        "layers that a bias feeds": len(drawn["biases"]),
        "sigmoid layers": [network.hidden, network.output].count("sigmoid"),
        "lines": sum(lines.values()),
    }
    published = {
        **claims.printed["A"][ITEM]["topology"],
        "lines": sum(parameter.numel() for parameter in network.parameters()),
    }
    return compare(
        "A",
        ITEM,
        NAME,
        ours=ours,
        published=published,
        tolerance=0.0,
        reason=claims.finding("A", ITEM),
        in_kind=True,
    )
