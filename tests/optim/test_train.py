from __future__ import annotations

import time
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml

from marketnn import registry
from marketnn.errors import InputError
from marketnn.network import BPNetwork
from marketnn.optim import LevenbergMarquardt, train
from marketnn.optim.problem import flat_parameters

ROOT = Path(__file__).parents[2]
ALWAYS = {"epoch", "seconds", "loss", "gradient_norm"}


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def noisy(n: int = 60, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    x = draw(n, 2, seed=seed)
    return x, (0.5 + 0.3 * torch.sin(5 * x[:, :1]) * x[:, 1:] + 0.2 * (draw(n, 1, seed=seed + 1) - 0.5))


def mse(network: torch.nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    return float((y - network(x).detach()).square().mean())


def optimizer(name: str, **numbers: float):
    return registry.build("optimizer", {"name": name, **numbers})


@pytest.mark.parametrize("name", ["lm", "gd", "adam", "lbfgs"])
def test_history_has_one_entry_per_epoch_and_the_loss_is_the_mse(name):
    (x, y), network = noisy(), BPNetwork([2, 4, 1])
    start = mse(network, x, y)
    result = train(network, x, y, optimizer=name, max_epochs=8)
    own = {"damping", "gain_ratio", "tries"} if name == "lm" else set()
    assert result.history.keys() == ALWAYS | own
    assert all(len(column) == 8 for column in result.history.values())
    assert result.history["epoch"] == list(range(1, 9))
    assert result.history["seconds"] == sorted(result.history["seconds"])
    assert result.history["loss"][-1] == pytest.approx(mse(network, x, y), rel=1e-12)
    assert result.history["loss"][-1] < start
    assert (result.best_epoch, result.stop_reason) == (8, "max_epochs")
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.parametrize("name", ["lm", "gd", "adam"])
def test_a_member_trains_as_the_same_network_alone(name):
    x, y = noisy()
    members = BPNetwork([2, 4, 1], members=3, seed=7)
    together = train(members, x, y, optimizer=name, max_epochs=10)
    for r in range(3):
        single = BPNetwork([2, 4, 1], seed=7 + r)
        alone = train(single, x, y, optimizer=name, max_epochs=10)
        torch.testing.assert_close(flat_parameters(members)[r], flat_parameters(single), rtol=1e-10, atol=1e-10)
        assert [losses[r] for losses in together.history["loss"]] == pytest.approx(alone.history["loss"], rel=1e-10)
    assert together.stop_reason == ["max_epochs"] * 3
    assert together.best_epoch == [10] * 3


def test_gradient_descent_is_autograds_gradient_of_the_mse():
    (x, y), network, reference = noisy(), BPNetwork([2, 4, 1]), BPNetwork([2, 4, 1])
    result = train(network, x, y, optimizer=optimizer("gd", learning_rate=0.7, momentum=0.5), max_epochs=3)
    velocities = [torch.zeros_like(parameter) for parameter in reference.parameters()]
    for _ in range(3):
        gradients = torch.autograd.grad((y - reference(x)).square().mean(), list(reference.parameters()))
        with torch.no_grad():
            for parameter, velocity, gradient in zip(reference.parameters(), velocities, gradients, strict=True):
                velocity.mul_(0.5).add_(gradient)
                parameter.sub_(0.7 * velocity)
    torch.testing.assert_close(flat_parameters(network), flat_parameters(reference), rtol=0, atol=1e-14)
    norm = torch.cat([gradient.flatten() for gradient in gradients]).norm()
    assert result.history["gradient_norm"][-1] == pytest.approx(float(norm), rel=1e-12)


def test_gradient_descents_rate_is_equation_2_6s_times_two_over_the_residuals():
    (x, y), network = noisy(), BPNetwork([2, 4, 1])
    before = flat_parameters(network)
    half_sse = 0.5 * (y - network(x)).square().sum()
    gradients = torch.autograd.grad(half_sse, list(network.parameters()))
    train(network, x, y, optimizer=optimizer("gd", learning_rate=0.3), max_epochs=1)
    expected = before - 0.3 * 2 / y.numel() * torch.cat([gradient.flatten() for gradient in gradients])
    torch.testing.assert_close(flat_parameters(network), expected, rtol=0, atol=1e-15)


def test_lbfgs_keeps_its_memory_between_epochs():
    (x, y), network = noisy(), BPNetwork([2, 4, 1], output="identity")
    train(network, x, y, optimizer="lbfgs", max_epochs=100)
    reference = BPNetwork([2, 4, 1], output="identity")
    joint = torch.optim.LBFGS(
        reference.parameters(),
        max_iter=100,
        max_eval=5_000,
        history_size=20,
        tolerance_grad=0,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )

    def evaluate() -> torch.Tensor:
        joint.zero_grad()
        loss = (y - reference(x)).square().mean()
        loss.backward()
        return loss.detach()

    joint.step(evaluate)
    assert mse(network, x, y) == pytest.approx(mse(reference, x, y), rel=1e-6)


def test_lm_reaches_what_descent_does_not():
    x = torch.linspace(0, 1, 40, dtype=torch.float64).unsqueeze(-1)
    y = 0.5 + 0.4 * torch.sin(2 * torch.pi * x)
    losses = {}
    for name in ("lm", "gd", "adam", "lbfgs"):
        network = BPNetwork([1, 8, 1], seed=1)
        train(network, x, y, optimizer=name, max_epochs=60)
        losses[name] = mse(network, x, y)
    assert losses["lm"] < 1e-5 < min(losses["gd"], losses["adam"], losses["lbfgs"])


def test_stops_at_the_goal():
    (x, y), network = noisy(), BPNetwork([2, 4, 1])
    result = train(network, x, y, goal=0.01)
    losses = result.history["loss"]
    assert result.stop_reason == "goal"
    assert losses[-1] <= 0.01 < min(losses[:-1])


def test_stops_at_a_flat_gradient():
    x, y = draw(20, 2), draw(20, 1, seed=1)
    result = train(BPNetwork([2, 1], output="identity"), x, y)
    assert result.stop_reason == "gradient"
    assert result.history["gradient_norm"][-1] < 1e-7 <= min(result.history["gradient_norm"][:-1])


def test_stops_when_no_damping_helps():
    """A module whose outputs do not follow its Jacobian: every step leads uphill."""

    class Uphill(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * (2 * self.w.detach() - self.w)

    module = Uphill()
    result = train(module, draw(9, 1), torch.zeros(9, 1, dtype=torch.float64))
    assert result.stop_reason == "damping"
    assert result.history["damping"][-1] > 1e10
    assert float(module.w.detach()) == 1
    assert result.best_epoch == 0


def test_stops_when_the_loss_stalls():
    (x, y), network = noisy(), BPNetwork([2, 4, 1])
    result = train(network, x, y, optimizer=optimizer("gd", learning_rate=1e-12))
    assert (result.stop_reason, len(result.history["loss"])) == ("loss_change", 10)


def test_stops_on_validation_and_keeps_the_best_weights():
    (x, y), other = noisy(30), noisy(200, seed=5)
    network = BPNetwork([2, 15, 1], output="identity")
    seen = []
    result = train(
        network,
        x,
        y,
        validation=other,
        max_fail=4,
        on_epoch=lambda record: seen.append((record["epoch"], mse(network, *other))) and None,
    )
    validation_loss = result.history["validation_loss"]
    assert result.stop_reason == "validation"
    assert validation_loss == pytest.approx([loss for _, loss in seen], rel=1e-12)
    best = validation_loss.index(min(validation_loss)) + 1
    assert result.best_epoch == best == len(validation_loss) - 4
    assert mse(network, *other) == pytest.approx(min(validation_loss), rel=1e-12)


def test_first_weights_are_kept_when_validation_only_worsens():
    (x, y), network = noisy(), BPNetwork([2, 4, 1])
    before = flat_parameters(network)
    result = train(network, x, y, validation=(x, network(x).detach()), max_fail=3)
    assert (result.best_epoch, result.stop_reason, len(result.history["epoch"])) == (0, "validation", 3)
    assert torch.equal(flat_parameters(network), before)


def test_stops_at_the_time_limit():
    (x, y), network = noisy(), BPNetwork([2, 4, 1])
    result = train(network, x, y, optimizer="gd", time_limit=0.05, on_epoch=lambda record: time.sleep(0.02))
    assert result.stop_reason == "time_limit"
    assert 0.05 <= result.history["seconds"][-1] < 5


def test_stops_when_the_callback_says_so():
    (x, y), network, records = noisy(), BPNetwork([2, 4, 1]), []

    def on_epoch(record: dict) -> bool:
        records.append(record)
        return record["epoch"] == 3

    result = train(network, x, y, on_epoch=on_epoch)
    assert result.stop_reason == "callback"
    assert [record["loss"] for record in records] == result.history["loss"]


def test_a_diverging_descent_is_taken_back():
    (x, y), network = noisy(), BPNetwork([2, 1], output="identity")
    result = train(network, x, 1e100 * y, optimizer=optimizer("gd", learning_rate=1e60))
    assert result.stop_reason == "diverged"
    assert torch.isfinite(flat_parameters(network)).all()
    assert result.best_epoch == len(result.history["loss"]) - 1


@pytest.mark.parametrize("name", ["lm", "gd", "adam"])
def test_a_member_that_has_stopped_keeps_its_weights_while_others_go_on(name):
    (x, y), members = noisy(), BPNetwork([2, 6, 1], members=4, seed=1)
    trail = []
    goal = {"lm": 0.004, "gd": 0.0405, "adam": 0.03}[name]
    result = train(
        members,
        x,
        y,
        optimizer=name,
        goal=goal,
        max_epochs=40,
        on_epoch=lambda record: trail.append(flat_parameters(members)) and None,
    )
    assert len(set(result.best_epoch)) > 1
    assert "goal" in result.stop_reason
    for r in range(4):
        stop = result.best_epoch[r]
        assert all(torch.equal(w[r], trail[stop - 1][r]) for w in trail[stop - 1 :])
        assert torch.equal(flat_parameters(members)[r], trail[stop - 1][r])
        single = BPNetwork([2, 6, 1], seed=1 + r)
        alone = train(single, x, y, optimizer=name, goal=goal, max_epochs=40)
        assert (alone.best_epoch, alone.stop_reason) == (stop, result.stop_reason[r])


def test_members_choose_their_own_best_epoch_by_validation():
    (x, y), other = noisy(30), noisy(200, seed=5)
    members = BPNetwork([2, 12, 1], output="identity", members=3)
    result = train(members, x, y, validation=other, max_fail=3, max_epochs=60)
    for r in range(3):
        losses = [entry[r] for entry in result.history["validation_loss"]]
        assert result.best_epoch[r] == losses.index(min(losses)) + 1
        single = float((other[1] - members(other[0])[r].detach()).square().mean())
        assert single == pytest.approx(min(losses), rel=1e-10)


@pytest.mark.parametrize("name", ["lm", "gd", "adam", "lbfgs"])
def test_same_bits_on_every_device_and_run(device, name):
    def run(where: torch.device | str) -> tuple[torch.Tensor, list]:
        network = BPNetwork([2, 4, 1], seed=3, device=where)
        data, other = ([part.to(where) for part in noisy(seed=s)] for s in (0, 5))
        result = train(network, *data, optimizer=name, validation=tuple(other), max_epochs=6)
        return flat_parameters(network).cpu(), result.history["loss"]

    (found, losses), (expected, expected_losses) = run(device), run("cpu")
    if device.type == "cuda":
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-8)
    else:
        assert torch.equal(found, expected)
        assert losses == expected_losses


def test_any_function_from_a_module_to_a_stepper_is_an_optimizer():
    (x, y), network = noisy(), BPNetwork([2, 4, 1])
    result = train(network, x, y, optimizer=lambda module: LevenbergMarquardt(module, damping=10.0), max_epochs=1)
    assert result.history["damping"] == [10.0]


@pytest.mark.parametrize("name", ["lm", "gd", "adam", "lbfgs"])
def test_yaml_holds_the_defaults(name):
    settings = yaml.safe_load((ROOT / f"configs/optimizer/{name}.yaml").read_text())
    module, config = registry.configure("optimizer", settings)
    assert config == module.Config()
    assert settings.keys() - {"name"} == vars(config).keys()


@pytest.mark.parametrize("name", ["lm", "gd", "adam", "lbfgs"])
def test_data_that_are_not_finite_leave_the_module_untouched(name):
    (x, y), network = noisy(), BPNetwork([2, 4, 1])
    before = flat_parameters(network)
    y[3] = torch.nan
    with pytest.raises(InputError, match="y is not finite in row 4"):
        train(network, x, y, optimizer=name)
    with pytest.raises(InputError, match="y is not finite in row 4"):
        train(network, *noisy(), optimizer=name, validation=(x, y))
    assert torch.equal(flat_parameters(network), before)
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"optimizer": "lma"}, "unknown optimizer 'lma'"),
        ({"max_epochs": 0}, "max_epochs=0"),
        ({"max_epochs": "10"}, "max_epochs='10' is not possible; pass a whole number, at least 1"),
        ({"max_epochs": 2.5}, "max_epochs=2.5"),
        ({"checkpoint_epochs": True}, "checkpoint_epochs=True"),
        ({"goal": -1.0}, "goal=-1 is not possible; pass a number, at least 0"),
        ({"goal": float("nan")}, "goal=nan"),
        ({"goal": "low"}, "goal='low'"),
        ({"time_limit": -0.5}, "time_limit=-0.5"),
        ({"validation": noisy()[0]}, "pass \\(x, y\\) or \\(x, y, weight\\)"),
        ({"max_fail": 0}, "max_fail=0"),
        ({"validation": (draw(3, 2), draw(4, 1))}, "x has 3 rows and y has 4"),
    ],
)
def test_refusals_say_what_is_wrong(arguments, message):
    with pytest.raises(InputError, match=message):
        train(BPNetwork([2, 4, 1]), *noisy(), **arguments)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "gd", "learning_rate": 0}, "learning_rate=0"),
        ({"name": "gd", "momentum": 1}, "momentum=1"),
        ({"name": "adam", "learning_rate": -1}, "learning_rate=-1"),
        ({"name": "lbfgs", "history_size": 0}, "history_size=0"),
    ],
)
def test_numbers_out_of_range_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        registry.build("optimizer", settings)


def test_lbfgs_refuses_members():
    with pytest.raises(InputError, match="lbfgs cannot train members together"):
        train(BPNetwork([2, 4, 1], members=2), *noisy(), optimizer="lbfgs")


@pytest.mark.parametrize("optimizer", ["lm", "gd", "adam"])
def test_modules_and_data_of_the_wrong_kind_are_named(optimizer: str) -> None:
    x = torch.rand(5, 2, dtype=torch.float64)
    with pytest.raises(InputError, match="Identity has no parameters to train"):
        train(torch.nn.Identity(), x, x, optimizer=optimizer)
    with pytest.raises(InputError, match="y is a ndarray; pass a tensor"):
        train(BPNetwork([2, 2]), x, x.numpy(), optimizer=optimizer)
    with pytest.raises(InputError, match=r"x is a DataFrame; pass a tensor, such as torch.as_tensor\(x.to_numpy\(\)\)"):
        train(BPNetwork([2, 2]), pd.DataFrame(x.numpy()), x, optimizer=optimizer)
    with pytest.raises(InputError, match="weight is a list; pass a tensor"):
        train(BPNetwork([2, 2]), x, x, weight=[1.0] * 5, optimizer=optimizer)
    with pytest.raises(InputError, match="validation_y is a ndarray; pass a tensor"):
        train(BPNetwork([2, 2]), x, x, validation=(x, x.numpy()), optimizer=optimizer)


@pytest.mark.parametrize("name", ["gd", "adam"])
@pytest.mark.parametrize("members", [None, 3])
def test_an_epoch_costs_one_forward_pass_and_the_training_one_more(name, members):
    (x, y), passes = noisy(), []
    network = BPNetwork([2, 4, 1], members=members)
    network.register_forward_hook(lambda *_: passes.append(None))
    with torch.no_grad():  # whatever the caller's mode
        train(network, x, y, optimizer=name, max_epochs=9)
    assert len(passes) == 10


@pytest.mark.parametrize("name", ["gd", "adam"])
def test_first_order_optimizers_leave_frozen_parameters_as_they_are(name):
    (x, y), network = noisy(), BPNetwork([2, 4, 1])
    network.layers[0].requires_grad_(False)
    frozen, free = (layer.weight.detach().clone() for layer in network.layers)
    train(network, x, y, optimizer=name, max_epochs=3, validation=noisy(seed=5))
    assert torch.equal(network.layers[0].weight, frozen)
    assert not torch.equal(network.layers[1].weight, free)


@pytest.mark.parametrize("name", ["gd", "adam", "lbfgs"])
def test_weights_that_a_callback_changes_are_those_of_the_next_gradient(name):
    """The forward pass at the end of an epoch serves the next one only as long as it is that of its weights."""
    (x, y), network = noisy(), BPNetwork([2, 4, 1])
    norms = []

    def clip(record: dict) -> None:
        with torch.no_grad():
            network.layers[0].weight.clamp_(-0.5, 0.5)
        network.layers[1].weight.data.clamp_(-0.5, 0.5)  # which autograd does not count
        gradients = torch.autograd.grad((y - network(x)).square().mean(), list(network.parameters()))
        norms.append(float(torch.cat([gradient.flatten() for gradient in gradients]).norm()))

    history = train(network, x, y, optimizer=name, max_epochs=5, on_epoch=clip).history
    assert history["gradient_norm"][1:] == pytest.approx(norms[:-1], rel=1e-12)
