"""Equations 2.1-2.9 of paper A: the library's values against a term-by-term evaluation of the repaired formulas.

The network maps factor 1 to factor 2 of the eight printed points of Table 2.1; its weights stand in equations_2.yaml.
Equation 2.9 takes the same points in clusters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from experiments import by_hand
from experiments.by_hand import Weights
from experiments.claims import Claims, read_yaml
from experiments.experiment import Findings, Workspace
from experiments.ledger import Row, compare
from marketnn.cluster import KMeans
from marketnn.network import BPNetwork
from marketnn.optim import LevenbergMarquardt, gauss_newton_system, gd
from marketnn.preprocess import MinMaxScaler

TOLERANCE = 1e-10
Numbers = dict[str, float]
Constants = Mapping[str, float]


@dataclass(frozen=True)
class Case:
    """The points, the network's weights and the rates.

    Attributes:
        inputs: factor 1 of each point.
        targets: factor 2.
        weights: of the network.
        eta: learning rate.
        mu: damping.
        n_clusters: of the points.
    """

    inputs: list[float]
    targets: list[float]
    weights: Weights
    eta: float
    mu: float
    n_clusters: int

    @property
    def points(self) -> list[list[float]]:
        """Both factors of each point."""
        return [[x, y] for x, y in zip(self.inputs, self.targets, strict=True)]

    @property
    def x(self) -> Tensor:
        """The inputs as a table (n, 1)."""
        return torch.tensor(self.inputs, dtype=torch.float64).unsqueeze(-1)

    @property
    def y(self) -> Tensor:
        """The targets as a table (n, 1)."""
        return torch.tensor(self.targets, dtype=torch.float64).unsqueeze(-1)

    def network(self, output: str = "sigmoid") -> BPNetwork:
        """Return the library's network with these weights."""
        network = BPNetwork((1, len(self.weights.output), 1), output=output)
        vector_to_parameters(torch.tensor(self.weights.flat(), dtype=torch.float64), network.parameters())
        return network

    def residuals(self) -> list[float]:
        """Evaluate e = y - yhat by hand."""
        return [y - by_hand.forward(self.weights, [x])[1] for x, y in zip(self.inputs, self.targets, strict=True)]

    def jacobian(self, sign: float) -> list[list[float]]:
        """Evaluate ``sign dyhat/dw`` by hand, a row per point; -1 makes it that of e."""
        return [[sign * value for value in by_hand.output_derivatives(self.weights, [x])] for x in self.inputs]


def run(workspace: Workspace) -> Findings:
    """Evaluate every equation both ways."""
    case = load_case(workspace.claims)
    return Findings(tuple(_row(workspace.claims, case, item) for item in EQUATIONS))


def load_case(claims: Claims) -> Case:
    """Take the points from the claims and the weights from the YAML beside this file."""
    chosen = read_yaml(Path(__file__).with_suffix(".yaml"))
    points = claims.printed["A"]["Table 2.1"]["points"]
    weights = Weights(chosen["hidden"], chosen["hidden_bias"], chosen["output"], chosen["output_bias"])
    return Case(
        [float(factor) for _, factor, _ in points],
        [float(factor) for _, _, factor in points],
        weights,
        chosen["eta"],
        chosen["mu"],
        chosen["n_clusters"],
    )


def error_function(case: Case, printed: Constants, repaired: Constants) -> tuple[Numbers, Numbers]:
    """Eq. 2.1: the value of E, and its gradient, which holds the factor and the exponent once more."""
    _, jte, sse = gauss_newton_system(case.network(), case.x, case.y)
    e = case.residuals()
    gradient = by_hand.error_gradient(e, case.jacobian(-1), factor=repaired["factor"], exponent=repaired["exponent"])
    ours = {"E": sse.item() / 2, **_numbered("dE/dw", jte.tolist())}
    ours["E of the printed formula"] = by_hand.half_sse(e, **printed)
    return ours, {"E": by_hand.half_sse(e, **repaired), **_numbered("dE/dw", gradient)}


def hidden_net_input(case: Case, printed: Constants, repaired: Constants) -> tuple[Numbers, Numbers]:
    """Eq. 2.2: every hidden unit's net input at every point."""
    weights = case.weights

    def nets(constants: Constants) -> list[float]:
        units = list(zip(weights.hidden, weights.hidden_bias, strict=True))
        return [by_hand.net_input(w, bias, [x], **constants) for x in case.inputs for w, bias in units]

    ours = _numbered("net_pj", case.network().layers[0](case.x).flatten().tolist())
    ours["net_pj 1 of the printed formula"] = nets(printed)[0]
    return ours, _numbered("net_pj", nets(repaired))


def activation(case: Case, printed: Constants, repaired: Constants) -> tuple[Numbers, Numbers]:
    """Eq. 2.3: g at the first hidden unit's net input of every point, in the library a network of one unit."""
    nets = case.network().layers[0](case.x)[:, :1].detach()
    unit = BPNetwork((1, 1))
    vector_to_parameters(torch.tensor([1.0, 0.0], dtype=torch.float64), unit.parameters())
    published = [by_hand.sigmoid(net, **repaired) for net in nets.flatten().tolist()]
    return _numbered("g", unit(nets).flatten().tolist()), _numbered("g", published)


def output_net_input(case: Case, printed: Constants, repaired: Constants) -> tuple[Numbers, Numbers]:
    """Eq. 2.4: the output unit's net input at every point."""
    ours = _numbered("net_pk", case.network(output="identity")(case.x).flatten().tolist())
    ours["net_pk 1 of the printed formula"] = _output_nets(case, printed)[0]
    return ours, _numbered("net_pk", _output_nets(case, repaired))


def network_output(case: Case, printed: Constants, repaired: Constants) -> tuple[Numbers, Numbers]:
    """Eq. 2.5: the network's output at every point."""
    values = _output_nets(case, {"first_index": 1, "added_biases": 1})
    for _ in range(int(repaired["activations"])):
        values = [by_hand.sigmoid(value) for value in values]
    return _numbered("yhat", case.network()(case.x).flatten().tolist()), _numbered("yhat", values)


def steepest_descent(case: Case, printed: Constants, repaired: Constants) -> tuple[Numbers, Numbers]:
    """Eq. 2.6: one step of gradient descent; the library's rate is for the MSE, 2 E / n."""
    network = case.network()
    gradient_descent = gd.build(gd.Config(learning_rate=case.eta * len(case.inputs) / 2))(network)
    gradient_descent.step(case.x, case.y)
    gradient = by_hand.error_gradient(case.residuals(), case.jacobian(-1), factor=0.5, exponent=2)
    moves = [
        1 if place >= case.weights.n_hidden_parameters else repaired["first_layer"] < 2
        for place in range(len(gradient))
    ]
    published = [repaired["sign"] * case.eta * slope * move for slope, move in zip(gradient, moves, strict=True)]
    return _numbered("step", _moved(case, network)), _numbered("step", published)


def levenberg_marquardt(case: Case, printed: Constants, repaired: Constants) -> tuple[Numbers, Numbers]:
    """Eq. 2.7: one step, and the slope of E along it and along the step of the printed formula, which is uphill."""
    network = case.network()
    jtj, jte, _ = gauss_newton_system(network, case.x, case.y)
    # With J = dyhat/dw the matrix is the same and J^T e has the other sign.
    printed_step = torch.linalg.solve(jtj + case.mu * torch.eye(len(jte), dtype=jtj.dtype), jte)
    LevenbergMarquardt(network, damping=case.mu).step(case.x, case.y)
    moved = _moved(case, network)
    ours = _numbered("step", moved)
    ours["slope along the step"] = (jte @ torch.tensor(moved, dtype=torch.float64)).item()
    ours["slope along the printed step"] = (jte @ printed_step).item()

    e = case.residuals()
    gradient = by_hand.error_gradient(e, case.jacobian(-1), factor=0.5, exponent=2)

    def step(constants: Constants) -> list[float]:
        jacobian = case.jacobian(constants["jacobian_sign"])
        return by_hand.levenberg_marquardt_step(
            e, jacobian, case.mu, sign=constants["sign"], damping=constants["damping"]
        )

    published = _numbered("step", step(repaired))
    published["slope along the step"] = _dot(gradient, step(repaired))
    published["slope along the printed step"] = _dot(gradient, step(printed))
    return ours, published


def min_max(case: Case, printed: Constants, repaired: Constants) -> tuple[Numbers, Numbers]:
    """Eq. 2.8: both factors of the points, normalised."""
    scaled = MinMaxScaler().fit_transform(torch.cat([case.x, case.y], dim=1)).T
    published = []
    for column in (case.inputs, case.targets):
        low, high = min(column), max(column)
        spread = high - repaired["range_minima"] * low
        published += [(value - repaired["subtracted_minima"] * low) / spread for value in column]
    return _numbered("C", scaled.flatten().tolist()), _numbered("C", published)


def total_error(case: Case, printed: Constants, repaired: Constants) -> tuple[Numbers, Numbers]:
    """Eq. 2.9: the total error of K-means on the points, which starts from the first of them."""
    points = np.array(case.points)
    fitted = KMeans(case.n_clusters, init=points[: case.n_clusters], n_init=1, device="cpu").fit(points)
    labels, centres = fitted.labels_.tolist(), fitted.cluster_centers_.tolist()
    ours = {"dist": float(fitted.total_error_)}
    ours["dist of the printed formula"] = by_hand.total_error(case.points, labels, centres, **printed)
    return ours, {"dist": by_hand.total_error(case.points, labels, centres, **repaired)}


EQUATIONS: Mapping[str, Callable[[Case, Constants, Constants], tuple[Numbers, Numbers]]] = {
    "Equation 2.1": error_function,
    "Equation 2.2": hidden_net_input,
    "Equation 2.3": activation,
    "Equation 2.4": output_net_input,
    "Equation 2.5": network_output,
    "Equation 2.6": steepest_descent,
    "Equation 2.7": levenberg_marquardt,
    "Equation 2.8": min_max,
    "Equation 2.9": total_error,
}


def _row(claims: Claims, case: Case, item: str) -> Row:
    printed, repairs = claims.constants("A", item), claims.repairs("A", item)
    ours, published = EQUATIONS[item](case, printed, claims.repaired("A", item))
    for name, (expected, _) in repairs.items():
        # A repair stands only on the print that it was made for.
        ours[f"{name} as printed"], published[f"{name} as printed"] = expected, printed[name]
    return compare(
        "A",
        item,
        "paper_a/equations_2",
        ours=ours,
        published=published,
        tolerance=TOLERANCE,
        reason=claims.finding("A", item),
    )


def _output_nets(case: Case, constants: Constants) -> list[float]:
    weights = case.weights
    return [
        by_hand.net_input(weights.output, weights.output_bias, by_hand.forward(weights, [x])[0], **constants)
        for x in case.inputs
    ]


def _moved(case: Case, network: BPNetwork) -> list[float]:
    after = parameters_to_vector(network.parameters()).detach()
    return (after - torch.tensor(case.weights.flat(), dtype=torch.float64)).tolist()


def _numbered(name: str, values: Iterable[float]) -> Numbers:
    return {f"{name} {place}": value for place, value in enumerate(values, start=1)}


def _dot(a: Iterable[float], b: Iterable[float]) -> float:
    return sum(left * right for left, right in zip(a, b, strict=True))
