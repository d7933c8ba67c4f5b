from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import pytest
import torch
import yaml
from pretend_device import PretendDevice

from marketnn import registry
from marketnn.errors import InputError
from marketnn.network import BPNetwork
from marketnn.optim import gauss_newton_system, train
from marketnn.optim.minibatch import MiniBatchLM, decay
from marketnn.optim.paths.dense import dense_shape, module_order
from marketnn.optim.problem import flat_parameters, load_parameters, residual
from marketnn.seed import torch_generator

ROOT = Path(__file__).parents[2]


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def smooth(n: int = 60, outputs: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    x = draw(n, 2)
    return x, 0.5 + 0.3 * torch.sin(3 * x[:, :1] + torch.arange(outputs)) * x[:, 1:]


def plain_module() -> torch.nn.Module:
    """A module that is no BPNetwork, with the weights of ``BPNetwork([2, 4, 1], output="identity")``."""
    module = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.Sigmoid(), torch.nn.Linear(4, 1)).double()
    load_parameters(module, flat_parameters(BPNetwork([2, 4, 1], output="identity")))
    return module


def weighted_mse(module: torch.nn.Module, x, y, weight) -> torch.Tensor:
    weight = torch.ones(y.shape[-2], dtype=y.dtype) if weight is None else weight
    return (weight.unsqueeze(-1) * (y - module(x)).square()).sum((-2, -1)) / (weight.sum(-1) * y.shape[-1])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("members", [None, 2])
@pytest.mark.parametrize("outputs", [1, 2])
def test_one_batch_without_momentum_is_the_primal_step(outputs, members, weighted):
    (x, y), weight = smooth(15, outputs), 0.5 + draw(15, seed=3) if weighted else None
    network = BPNetwork([2, 5, 3, outputs], members=members, seed=2)
    jtj, jte, _ = gauss_newton_system(network, x, y, weight=weight)
    before = flat_parameters(network)
    loss = weighted_mse(network, x, y, weight)
    report = MiniBatchLM(network, batch_rows=99, damping=0.01, momentum=0, rate=1).step(x, y, weight)
    mean_diagonal = jtj.diagonal(dim1=-2, dim2=-1).sum(-1) / (15 * outputs)  # J^T J and J J^T share their trace
    mu = 0.01 * mean_diagonal[..., None, None] * torch.eye(jtj.shape[-1], dtype=jtj.dtype)
    expected = before - torch.linalg.solve(jtj + mu, jte)
    torch.testing.assert_close(flat_parameters(network), expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(report.loss, loss.detach(), rtol=1e-13, atol=0)
    torch.testing.assert_close(report.new_loss, weighted_mse(network, x, y, weight).detach(), rtol=1e-13, atol=0)
    terms = (15 if weight is None else weight.sum()) * outputs
    torch.testing.assert_close(report.gradient_norm, 2 * jte.norm(dim=-1) / terms, rtol=1e-12, atol=0)


def reference_epoch(module, x, y, weight, v, *, batch_rows, damping, momentum, rates, generator):
    """One epoch written out with an explicit J of every batch, as the module's docstring states it."""
    batches = torch.randperm(len(x), generator=generator).tensor_split(math.ceil(len(x) / batch_rows))
    for rows, rate in zip(batches, rates, strict=True):
        w, root = flat_parameters(module), None if weight is None else weight[rows].sqrt()

        def e_of(w, rows=rows, root=root):
            return residual(module, w, x[rows], y[rows], root).flatten()

        jac, e = -torch.autograd.functional.jacobian(e_of, w), e_of(w).detach()
        gram = jac @ jac.T
        mu = damping * gram.diagonal().mean() * torch.eye(len(e), dtype=e.dtype)
        v = momentum * v + jac.T @ torch.linalg.solve(gram + mu, e - momentum * (jac @ v))
        load_parameters(module, w + rate * v)
    return v


@pytest.mark.parametrize("make", [lambda: BPNetwork([2, 4, 1], output="identity"), plain_module])
@pytest.mark.parametrize("weighted", [False, True])
def test_epochs_equal_the_formulas_written_out(make, weighted):
    (x, y), weight = smooth(23), 0.5 + draw(23, seed=3) if weighted else None
    network, reference = make(), make()
    optimizer = MiniBatchLM(network, batch_rows=6, damping=0.1, momentum=0.8, rate=0.4, seed=5)
    generator, v = torch_generator(5), torch.zeros_like(flat_parameters(reference))
    for fraction, pace in ((0.2, 0.2), (0.6, 0.4), (0.9, 0.3)):
        optimizer.set_progress(fraction)
        report = optimizer.step(x, y, weight)
        rates = [0.4 * decay(min(fraction + pace * batch / 4, 1.0)) for batch in range(4)]
        v = reference_epoch(
            reference, x, y, weight, v, batch_rows=6, damping=0.1, momentum=0.8, rates=rates, generator=generator
        )
        assert float(report.damping) == 0.1  # every gain ratio is fair, so that nothing but the formulas moves
    torch.testing.assert_close(flat_parameters(network), flat_parameters(reference), rtol=0, atol=1e-10)
    dense = dense_shape(network)
    direction = optimizer.state_dict()["momentum"]
    direction = direction if dense is None else direction[module_order(dense, direction.device)]
    torch.testing.assert_close(direction, v, rtol=0, atol=1e-9)
    assert float(report.new_loss) < float(report.loss)


@pytest.mark.parametrize("own_data", [False, True])
def test_a_member_trains_as_the_same_network_alone(own_data):
    x, y = smooth(40)
    if own_data:
        x, y = torch.stack([x, 0.9 * x, x.flip(0)]), torch.stack([y, 0.8 * y, y.flip(0)])
    members = BPNetwork([2, 6, 1], members=3, seed=7)
    together = MiniBatchLM(members, batch_rows=9)
    reports = [together.step(x, y) for _ in range(6)]
    for r in range(3):
        single = BPNetwork([2, 6, 1], seed=7 + r)
        alone = MiniBatchLM(single, batch_rows=9)
        for report in reports:
            own = alone.step(x[r] if own_data else x, y[r] if own_data else y)
            for name in ("loss", "new_loss", "damping", "gain_ratio", "gradient_norm"):
                assert float(getattr(report, name)[r]) == pytest.approx(float(getattr(own, name)), rel=1e-8)
        torch.testing.assert_close(flat_parameters(members)[r], flat_parameters(single), rtol=0, atol=1e-9)


def test_inactive_members_keep_parameters_momentum_and_damping():
    members, (x, y) = BPNetwork([2, 4, 1], members=3), smooth()
    optimizer = MiniBatchLM(members, batch_rows=20)
    optimizer.step(x, y)
    before, state = flat_parameters(members), optimizer.state_dict()
    report = optimizer.step(x, y, active=[True, False, True])
    assert report.accepted.tolist() == [True, False, True]
    assert (flat_parameters(members) == before).all(-1).tolist() == [False, True, False]
    assert (optimizer.state_dict()["momentum"] == state["momentum"]).all(-1).tolist() == [False, True, False]
    for column in (report.loss, report.new_loss, report.gain_ratio, report.gradient_norm):
        assert column.isnan().tolist() == [False, True, False]
    assert report.damping[1] == state["damping"][1]


@pytest.mark.parametrize("make", [lambda: BPNetwork([2, 4, 1], members=2), plain_module])
def test_state_continues_a_run_bit_for_bit(make):
    x, y = smooth()
    network, copy = make(), make()
    optimizer, resumed = MiniBatchLM(network, batch_rows=17), MiniBatchLM(copy, batch_rows=17, seed=99)
    for fraction in (0.0, 0.2, 0.4):
        optimizer.set_progress(fraction)
        optimizer.step(x, y)
    copy.load_state_dict(network.state_dict())
    resumed.load_state_dict(optimizer.state_dict())
    for fraction in (0.6, 0.8):
        for each in (optimizer, resumed):
            each.set_progress(fraction)
            each.step(x, y)
    assert torch.equal(flat_parameters(network), flat_parameters(copy))
    for name, value in optimizer.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name])
    with pytest.raises(InputError, match=r"momentum \(17,\).*this optimiser needs momentum \(9,\)"):
        MiniBatchLM(BPNetwork([2, 2, 1])).load_state_dict(MiniBatchLM(BPNetwork([2, 4, 1])).state_dict())


def test_a_failed_factorisation_raises_the_damping_and_moves_nothing():
    x, y = torch.ones(32, 2), torch.rand(32, 1, generator=torch.Generator().manual_seed(0))
    network = BPNetwork([2, 4, 1], dtype=torch.float32)
    before = flat_parameters(network)
    report = MiniBatchLM(network, damping=1e-12).step(x, y)
    assert torch.equal(flat_parameters(network), before)
    assert float(report.damping) > 1e-12
    assert report.new_loss == report.loss


def test_a_poor_gain_ratio_raises_the_damping_and_good_ones_let_it_fall():
    x = torch.linspace(-1, 1, 20, dtype=torch.float64).unsqueeze(-1)
    network = BPNetwork([1, 8, 1], output="identity")
    optimizer = MiniBatchLM(network, damping=1e-6, momentum=0, rate=1)
    dampings = [float(optimizer.step(x, torch.sin(9 * x)).damping) for _ in range(60)]
    assert max(dampings) > 1e-6
    linear = BPNetwork([1, 1], output="identity")
    falling = MiniBatchLM(linear, damping=1e-3, momentum=0, rate=1)
    falling.load_state_dict({**falling.state_dict(), "damping": torch.tensor(5e-3, dtype=torch.float64)})
    reports = [falling.step(x, torch.sin(9 * x)) for _ in range(4)]
    assert [float(report.damping) for report in reports] == pytest.approx([5e-3 / 1.02**k for k in range(1, 5)])
    assert float(reports[0].gain_ratio) == pytest.approx(1, abs=1e-9)


def test_progress_sets_the_rate():
    (x, y), network = smooth(), BPNetwork([2, 4, 1])
    optimizer = MiniBatchLM(network)
    optimizer.set_progress(1.0)
    before = flat_parameters(network)
    optimizer.step(x, y)
    assert torch.equal(flat_parameters(network), before)
    assert [decay(progress) for progress in (0, 0.5, 0.75, 1)] == pytest.approx([1, 1, 0.5, 0], abs=1e-15)
    with pytest.raises(InputError, match=r"progress 1\.5 is not possible"):
        optimizer.set_progress(1.5)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_accepted_step_raises_the_loss_of_its_batch(dtype, seed):
    """100 networks, 30 steps each on one batch, most of them where rounding decides."""
    x, y = (2 * draw(20, 2, seed=seed) - 1).to(dtype), draw(20, 1, seed=seed + 9).to(dtype)
    networks = BPNetwork([2, 3, 1], members=100, seed=100 * seed, dtype=dtype)
    optimizer = MiniBatchLM(networks, damping=(1e-5, 1e-3, 1e-1)[seed % 3], rate=(1.0, 0.3)[seed % 2])
    judged = 0
    for _ in range(30):
        before = flat_parameters(networks)
        report = optimizer.step(x, y)
        moved = (flat_parameters(networks) != before).any(-1)
        assert (report.new_loss <= report.loss).all()
        assert torch.equal(report.new_loss[~moved], report.loss[~moved])
        judged += int(moved.sum())
        own = (y - networks(x)).double().square().sum((1, 2)) / 20
        torch.testing.assert_close(report.new_loss, own.detach(), rtol=1e-5, atol=1e-12)
    assert judged > 1000


def test_a_rise_that_was_predicted_is_not_taken():
    x, y = smooth(30)
    network = BPNetwork([2, 1], output="identity")
    optimizer = MiniBatchLM(network, damping=1.0, momentum=0.9, rate=0.5)
    state, before = optimizer.state_dict(), flat_parameters(network)
    optimizer.load_state_dict({**state, "momentum": torch.full_like(state["momentum"], 100.0)})
    report = optimizer.step(x, y)
    assert float(report.gain_ratio) == pytest.approx(1, abs=1e-6)  # linear: the rise is as large as was predicted
    assert torch.equal(flat_parameters(network), before)
    assert report.new_loss == report.loss
    assert optimizer.state_dict()["momentum"].tolist() == pytest.approx([90.0] * 3)
    assert float(report.damping) == 1.0


@pytest.mark.parametrize("make", [lambda: BPNetwork([2, 4, 1], members=3), plain_module])
@pytest.mark.parametrize(("batch_rows", "passes"), [(60, 1), (20, 2)])
def test_a_row_costs_one_linearisation_and_one_trial_and_with_several_batches_the_final_loss(
    make, batch_rows, passes, monkeypatch
):
    (x, y), network = smooth(60), make()
    optimizer = MiniBatchLM(network, batch_rows=batch_rows)
    optimizer.step(x, y)
    rows = {"linearise": 0, "sse": 0}
    for name in rows:
        original = getattr(optimizer._path, name)

        def counted(problem, w, name=name, original=original):
            rows[name] += problem.n_rows * len(w)
            return original(problem, w)

        monkeypatch.setattr(optimizer._path, name, counted)
    members = getattr(network, "members", None)
    optimizer.step(x, y)
    assert rows == {"linearise": 60 * (members or 1), "sse": passes * 60 * (members or 1)}
    if members:
        optimizer.step(x, y, active=[False, True, False])
        assert rows == {"linearise": 60 * 4, "sse": passes * 60 * 4}
        optimizer.step(x, y, active=torch.zeros(3, dtype=torch.bool))
        assert rows == {"linearise": 60 * 4, "sse": passes * 60 * 4}


def test_a_batch_whose_gram_matrix_is_too_large_is_refused_before_it_is_allocated():
    x, y = torch.zeros(30_000, 2), torch.zeros(30_000, 2)
    network = BPNetwork([2, 3, 2], dtype=torch.float32)
    message = r"30,000 rows at once \(60,000 residuals\) takes 14,400,000,000 bytes.*\n.*at most 23,170 rows"
    with pytest.raises(InputError, match=message):
        MiniBatchLM(network, batch_rows=30_000).step(x, y)
    module = torch.nn.Linear(2, 2)
    with pytest.raises(InputError, match=message):
        MiniBatchLM(module, batch_rows=30_000).step(x, y)


@pytest.mark.parametrize("make", [lambda: BPNetwork([2, 4, 1]), plain_module])
def test_replaced_parameters_are_followed_and_converted_ones_refused(make):
    x, y = smooth()
    network, reference = make(), make()
    optimizer, undisturbed = MiniBatchLM(network, batch_rows=30), MiniBatchLM(reference, batch_rows=30)
    for each in (optimizer, undisturbed):
        each.step(x, y)
    network.load_state_dict({name: value.clone() for name, value in network.state_dict().items()}, assign=True)
    optimizer.step(x, y)
    undisturbed.step(x, y)
    assert torch.equal(flat_parameters(network), flat_parameters(reference))
    network.float()
    with pytest.raises(InputError, match=r"torch\.float32 on cpu, the optimiser was made for .*torch\.float64 on cpu"):
        optimizer.step(x.float(), y.float())


AWKWARD = {
    "one row": (draw(1, 2), draw(1, 1)),
    "constant inputs": (torch.full((30, 2), 0.5, dtype=torch.float64), draw(30, 1)),
    "inputs of zero": (torch.zeros(30, 2, dtype=torch.float64), draw(30, 1)),
    "duplicated rows": (draw(3, 2).repeat(10, 1), draw(3, 1).repeat(10, 1)),
    "large inputs": (1e6 * draw(30, 2), draw(30, 1)),
    "constant targets": (draw(30, 2), torch.full((30, 1), 0.5, dtype=torch.float64)),
}


@pytest.mark.parametrize("name", AWKWARD)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_awkward_data_leave_finite_weights_and_no_higher_loss(name, dtype):
    x, y = (tensor.to(dtype) for tensor in AWKWARD[name])
    weight = torch.ones(len(x), dtype=dtype)
    weight[1:4] = 0
    network = BPNetwork([2, 4, 1], members=2, dtype=dtype)
    first = weighted_mse(network, x, y, weight).detach()
    optimizer = MiniBatchLM(network, batch_rows=8)
    for epoch in range(10):
        optimizer.set_progress(epoch / 10)
        report = optimizer.step(x, y, weight)
    assert flat_parameters(network).isfinite().all()
    assert (report.new_loss <= first).all()


@pytest.mark.parametrize("name", ["x", "y", "weight"])
@pytest.mark.parametrize("make", [lambda: BPNetwork([2, 4, 1], members=2), plain_module])
def test_data_that_are_not_finite_leave_everything_untouched(name, make):
    x, y = smooth(12)
    data = {"x": x, "y": y, "weight": torch.ones(12, dtype=torch.float64)}
    data[name][4] = -1.0 if name == "weight" else torch.nan
    network = make()
    before, optimizer = flat_parameters(network), MiniBatchLM(network, batch_rows=5)
    state = optimizer.state_dict()
    with pytest.raises(InputError, match=rf"the loss is not finite \(nan.*{name} is .*not finite in row 5; repair"):
        optimizer.step(**data)
    assert torch.equal(flat_parameters(network), before)
    assert all(torch.equal(value, state[key]) for key, value in optimizer.state_dict().items())


@pytest.mark.parametrize("make", [lambda: BPNetwork([2, 4, 1]), plain_module])
def test_other_numbers_of_outputs_are_refused(make):
    with pytest.raises(InputError, match="make them alike"):
        MiniBatchLM(make()).step(*smooth(outputs=2))


def test_an_epoch_that_ends_in_no_finite_loss_is_taken_back():
    class OneRowOverflows(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.w = torch.nn.Parameter(torch.tensor([1.0], dtype=torch.float64))

        def forward(self, x):
            return self.w * x[:, :1] + torch.exp(self.w * x[:, 1:])

    module = OneRowOverflows()
    x, y = torch.eye(2, dtype=torch.float64), torch.tensor([[1000.0], [1.0]], dtype=torch.float64)
    optimizer = MiniBatchLM(module, batch_rows=1, rate=1)
    report = optimizer.step(x, y)
    assert not bool(report.accepted)
    assert float(module.w.detach()) == 1
    assert report.new_loss == report.loss
    assert torch.equal(optimizer.state_dict()["momentum"], torch.zeros(1, dtype=torch.float64))


def run(where: torch.device | str, members: int | None) -> list[torch.Tensor]:
    network = BPNetwork([2, 5, 2], members=members, seed=3, device=where)
    x, y = (tensor.to(where) for tensor in smooth(30, 2))
    optimizer = MiniBatchLM(network, batch_rows=8)
    reports = [optimizer.step(x, y) for _ in range(3)]
    return [flat_parameters(network).cpu(), *(value.cpu() for value in vars(reports[-1]).values())]


@pytest.mark.parametrize("members", [None, 3])
def test_same_seed_same_bits_on_every_device(device, members):
    for mine, theirs in zip(run(device, members), run("cpu", members), strict=True):
        if device.type == "cuda":
            torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-8)
        else:
            assert torch.equal(mine, theirs)


@pytest.mark.parametrize("make", [lambda: BPNetwork([2, 4, 1], members=2), plain_module])
def test_an_epoch_makes_the_host_wait_once_for_the_check_of_the_loss(make, monkeypatch):
    asked = []
    with PretendDevice():
        optimizer = MiniBatchLM(make().to("pretend"), batch_rows=10)
        x, y = (tensor.to("pretend") for tensor in smooth())
        monkeypatch.setattr(torch.Tensor, "__bool__", lambda tensor: asked.append(tensor.shape) or True)
        with PretendDevice(host_sync="error"):
            optimizer.step(x, y)
    assert asked == [()]


def test_zero_one_targets_are_learned_by_a_sigmoid_output():
    x = 2 * draw(400, 2) - 1
    y = (x.square().sum(1, keepdim=True) < 0.6).double()
    network = BPNetwork([2, 12, 1], seed=1)
    train(
        network, x, y, optimizer=registry.build("optimizer", {"name": "lm_minibatch", "batch_rows": 50}), max_epochs=60
    )
    assert ((network(x) > 0.5) == (y > 0.5)).double().mean() >= 0.98


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_smooth_function_is_fitted_with_more_parameters_than_rows_in_a_batch(dtype):
    x = 2 * draw(1000, 2).to(dtype) - 1
    y = torch.sin(2 * x[:, :1]) * x[:, 1:]
    network = BPNetwork([2, 30, 10, 1], output="identity", dtype=dtype)
    result = train(network, x, y, optimizer=partial(MiniBatchLM, batch_rows=100), max_epochs=30)
    assert result.history["loss"][-1] < 3e-5
    assert result.stop_reason == "max_epochs"


def test_the_yaml_shows_the_defaults():
    settings = yaml.safe_load((ROOT / "configs/optimizer/lm_minibatch.yaml").read_text())
    stepper = registry.build("optimizer", settings)(BPNetwork([1, 1]))
    default = MiniBatchLM(BPNetwork([1, 1]))
    for name in ("batch_rows", "damping", "momentum", "rate"):
        assert getattr(stepper, name) == getattr(default, name) == settings[name]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_rows": 0}, "batch_rows=0 is not possible"),
        ({"damping": 0.0}, "damping=0 is not possible"),
        ({"damping": 1e7}, "damping=1e"),
        ({"momentum": 1.0}, "momentum=1 is not possible"),
        ({"rate": 0.0}, "rate=0 is not possible"),
    ],
)
def test_refusals_say_what_to_pass(arguments, message):
    with pytest.raises(InputError, match=message):
        MiniBatchLM(BPNetwork([1, 1]), **arguments)
