"""Cross-validation: folds and restarts in one batch are the loop of single trainings, and no test row leaks into it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from marketnn.errors import InputError
from marketnn.network import BPNetwork
from marketnn.optim import train
from marketnn.optim.cross_validation import cross_validate, search_hidden_sizes
from marketnn.optim.problem import flat_parameters
from marketnn.seed import torch_generator


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def noisy(n: int = 40, seed: int = 0) -> tuple[Tensor, Tensor]:
    x = draw(n, 2, seed=seed)
    return x, 0.5 + 0.3 * torch.sin(5 * x[:, :1]) * x[:, 1:] + 0.05 * (draw(n, 1, seed=seed + 1) - 0.5)


class Networks:
    """Builds networks of one hidden layer and keeps the last."""

    def __init__(self, width: int = 3) -> None:
        self.width = width
        self.built: BPNetwork | None = None

    def __call__(self, n_in: int, n_out: int, **options: Any) -> BPNetwork:
        self.built = BPNetwork((n_in, self.width, n_out), **options)
        return self.built


def fold_numbers(n: int, folds: int, seed: int) -> np.ndarray:
    """The fold of every row: rows in a random order, dealt out like cards."""
    order = torch.randperm(n, generator=torch_generator(seed)).numpy()
    fold = np.empty(n, dtype=int)
    fold[order] = np.arange(n) % folds
    return fold


@pytest.mark.parametrize("optimizer", ["lm", "adam"])
@pytest.mark.parametrize(("n", "folds", "restarts"), [(40, 4, 3), (23, 5, 1)])
def test_batched_folds_are_the_loop_of_single_trainings(n, folds, restarts, optimizer):
    """Each single network sees its training rows only; member r starts from seed + r."""
    x, y = noisy(n)
    networks = Networks()
    options: dict[str, Any] = {"optimizer": optimizer, "max_epochs": 12, "max_fail": 4}
    found = cross_validate(networks, x, y, folds=folds, restarts=restarts, seed=7, **options)
    assert networks.built is not None
    assert networks.built.members == folds * restarts
    fold_of = fold_numbers(n, folds, 7)
    for fold in range(folds):
        test, validation = fold_of == fold, fold_of == (fold + 1) % folds
        learn = ~test & ~validation
        assert test.sum() in (n // folds, n // folds + 1)
        validation_losses = []
        for restart in range(restarts):
            r = fold * restarts + restart
            single = Networks()(2, 1, seed=7 + r)
            result = train(single, x[learn], y[learn], validation=(x[validation], y[validation]), **options)
            torch.testing.assert_close(
                flat_parameters(networks.built)[r], flat_parameters(single), rtol=1e-6, atol=1e-6
            )
            yhat = single(x).detach()
            test_mse = float((y - yhat)[test].square().mean())
            assert found.all_test_mse[fold][restart] == pytest.approx(test_mse, rel=1e-6)
            validation_losses.append(float((y - yhat)[validation].square().mean()))
            if restart == found.chosen[fold]:
                assert found.best_epochs[fold] == result.best_epoch
                assert found.stop_reasons[fold] == result.stop_reason
        assert found.chosen[fold] == int(np.argmin(validation_losses))
        assert found.test_mse[fold] == found.all_test_mse[fold][found.chosen[fold]]
    assert found.mean == pytest.approx(np.mean(found.test_mse), rel=1e-14)
    assert found.standard_error == pytest.approx(np.std(found.test_mse, ddof=1) / math.sqrt(folds), rel=1e-12)
    assert found.seconds > 0


@settings(deadline=None, max_examples=12)
@given(row=st.integers(0, 23), shift=st.sampled_from([-5.0, 0.3, 1e3]), folds=st.integers(3, 6))
def test_a_test_rows_target_has_no_say_in_its_folds_training(row, shift, folds):
    x, y = noisy(24)
    changed = y.clone()
    changed[row] += shift
    options: dict[str, Any] = {"folds": folds, "restarts": 2, "seed": 3, "max_epochs": 6}
    networks = Networks(), Networks()
    before = cross_validate(networks[0], x, y, **options)
    after = cross_validate(networks[1], x, changed, **options)
    own = int(fold_numbers(24, folds, 3)[row])
    assert networks[0].built is not None
    assert networks[1].built is not None
    old, new = (flat_parameters(each.built).reshape(folds, 2, -1) for each in networks)
    torch.testing.assert_close(new[own], old[own], rtol=1e-9, atol=1e-9)
    for fact in ("chosen", "best_epochs", "stop_reasons"):
        assert getattr(after, fact)[own] == getattr(before, fact)[own]
    assert after.test_mse[own] != pytest.approx(before.test_mse[own], rel=1e-3)
    others = [fold for fold in range(folds) if fold not in (own, (own - 1) % folds)]
    assert all((new[fold] - old[fold]).abs().max() > 1e-6 for fold in others)  # whom the row teaches


def test_the_same_seed_gives_the_same_folds_and_numbers_and_another_seed_others():
    x, y = noisy()
    first, second, other = (cross_validate(Networks(), x, y, seed=seed, max_epochs=5) for seed in (1, 1, 2))
    assert first.all_test_mse == second.all_test_mse
    assert first.all_test_mse != other.all_test_mse


def test_cross_validation_on_every_device(device):
    x, y = noisy(24)

    def run(where: torch.device | str) -> tuple[tuple[float, ...], ...]:
        return cross_validate(Networks(), x.to(where), y.to(where), folds=3, restarts=2, max_epochs=5).all_test_mse

    if device.type == "cuda":
        np.testing.assert_allclose(run(device), run("cpu"), rtol=1e-4)
    else:
        assert run(device) == run("cpu")


def test_the_prediction_error_of_a_linear_law_is_its_noise():
    x = draw(300, 3)
    noise = 0.1 * torch.randn(300, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    y = x @ torch.tensor([[1.0], [-2.0], [0.5]], dtype=torch.float64) + noise

    def linear(n_in: int, n_out: int, **options: Any) -> BPNetwork:
        return BPNetwork((n_in, n_out), output="identity", **options)

    found = cross_validate(linear, x, y, folds=5, restarts=1, max_epochs=30)
    assert found.mean == pytest.approx(0.01, rel=0.15)
    assert abs(found.mean - float(noise.square().mean())) < 3 * found.standard_error


def test_the_search_finds_the_neighbourhood_of_the_width_that_made_the_data():
    teacher = BPNetwork([2, 3, 1], hidden="tanh", output="identity", init="glorot", seed=12)
    with torch.no_grad():
        teacher.layers[0].weight *= 4
    x = 2 * draw(150, 2) - 1
    noise = torch.randn(150, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    y = teacher(x).detach() + 0.03 * noise
    candidates = [(1,), (2,), (3,), (4,), (12,), (3, 3)]
    seen: list[tuple[int, ...]] = []
    search = search_hidden_sizes(
        candidates,
        x,
        y,
        hidden="tanh",
        output="identity",
        folds=4,
        restarts=3,
        max_epochs=40,
        on_result=lambda width, result: seen.append(width),
    )
    assert tuple(seen) == search.candidates == tuple(candidates)
    assert search.n_parameters == (5, 9, 13, 17, 49, 25)
    means = [result.mean for result in search.results]
    assert means[0] > 2 * min(means)
    assert search.best == candidates[int(np.argmin(means))]
    assert search.chosen in ((2,), (3,), (4,))
    limit = min(means) + search.results[int(np.argmin(means))].standard_error
    within = [size for size, mean in zip(search.n_parameters, means, strict=True) if mean <= limit]
    assert search.n_parameters[candidates.index(search.chosen)] == min(within)
    assert min(means) < 2 * 0.03**2


def test_every_candidate_is_cross_validated_on_the_same_folds():
    x, y = noisy(24)
    options: dict[str, Any] = {"folds": 3, "restarts": 2, "seed": 5, "max_epochs": 4}
    search = search_hidden_sizes([(2,), (3,)], x, y, **options)
    for width, result in zip((2, 3), search.results, strict=True):
        assert cross_validate(Networks(width), x, y, **options).all_test_mse == result.all_test_mse
    alone = search_hidden_sizes([[4]], x, y, folds=3, restarts=1, max_epochs=2)
    assert alone.best == alone.chosen == (4,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"folds": 2}, "folds=2 is not possible"),
        ({"restarts": 0}, "restarts=0 is not possible"),
        ({"folds": 3.5}, "folds=3.5 is not possible"),
        ({"weight": torch.ones(24, dtype=torch.float64)}, "weight cannot be passed: the folds are made by it"),
        ({"validation": noisy(24)}, "validation cannot be passed"),
        ({"folds": 25}, "24 rows make no 25 folds"),
        ({"optimizer": "lbfgs"}, "lbfgs cannot train members together"),
        ({"max_epochs": 0}, "max_epochs=0"),
    ],
)
def test_refusals_say_what_is_wrong(arguments, message):
    with pytest.raises(InputError, match=message):
        cross_validate(Networks(), *noisy(24), **arguments)


def test_data_that_do_not_fit_are_refused():
    x, y = noisy(24)
    with pytest.raises(InputError, match="there is no candidate"):
        search_hidden_sizes([], x, y)
    for other, message in (
        (x.numpy(), "x is a ndarray; pass a tensor, such as torch.as_tensor"),
        (pd.DataFrame(x.numpy()), "x is a DataFrame"),
        (x.long(), "x holds torch.int64; pass floating-point numbers, such as x.double"),
    ):
        with pytest.raises(InputError, match=message):
            cross_validate(Networks(), other, y)
        with pytest.raises(InputError, match=message):
            search_hidden_sizes([(2,)], other, y)
    with pytest.raises(InputError, match="x has 24 rows and y has 23"):
        cross_validate(Networks(), x, y[:-1])
    bad = y.clone()
    bad[3] = torch.nan
    with pytest.raises(InputError, match="y is not finite in row 4"):
        cross_validate(Networks(), x, bad)
    with pytest.raises(InputError, match=r"y has shape \(24,\); pass \(rows, outputs\)"):
        cross_validate(Networks(), x, y[:, 0])
