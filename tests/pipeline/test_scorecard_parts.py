"""The pieces of a scorecard: its split, restarts, slopes and grades."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from marketnn import registry
from marketnn.errors import InputError
from marketnn.network import BPNetwork
from marketnn.optim import train
from marketnn.pipeline.scorecard.model import ScorecardModel
from marketnn.preprocess import Encoder, MinMaxScaler, StandardScaler
from marketnn.scorecard.measures import ScoreErrors, grades
from marketnn.scorecard.sensitivity import score_slopes, sensitivities
from marketnn.scorecard.split import MIN_DISTINCT, three_way_split
from marketnn.scorecard.training import fit_network


@settings(deadline=None, max_examples=50)
@given(
    values=st.lists(st.integers(0, 400), min_size=60, max_size=300),
    test_share=st.floats(0.15, 0.4),
    validation_share=st.floats(0.15, 0.4),
    seed=st.integers(0, 2**31),
)
def test_every_row_has_one_use_and_twins_share_it(
    values: list[int], test_share: float, validation_share: float, seed: int
) -> None:
    features = pd.DataFrame({"a": values, "b": [value % 7 for value in values]})
    if len(set(values)) < MIN_DISTINCT:
        return
    split = three_way_split(features, test_share=test_share, validation_share=validation_share, seed=seed)
    sides = (split.train, split.validation, split.test)
    np.testing.assert_array_equal(np.sort(np.concatenate(sides)), np.arange(len(values)))
    assert split.n_duplicates == len(values) - len(set(values))
    seen = [set(features["a"].iloc[side]) for side in sides]
    assert sum(map(len, seen)) == len(set.union(*seen))
    largest = features["a"].value_counts().max()
    assert test_share * len(values) <= len(split.test) <= test_share * len(values) + largest
    again = three_way_split(features, test_share=test_share, validation_share=validation_share, seed=seed)
    np.testing.assert_array_equal(again.test, split.test)


def test_where_few_rows_are_distinct_each_is_split_on_its_own() -> None:
    split = three_way_split(pd.DataFrame({"a": [0, 1] * 50}), test_share=0.2, validation_share=0.2)
    assert not split.together
    assert [len(side) for side in (split.train, split.validation, split.test)] == [60, 20, 20]


@pytest.mark.parametrize(("test_share", "validation_share"), [(0.0, 0.2), (0.2, 0.0), (0.5, 0.5)])
def test_shares_out_of_range(test_share: float, validation_share: float) -> None:
    with pytest.raises(InputError, match="must be above 0 and together below 1"):
        three_way_split(pd.DataFrame({"a": range(99)}), test_share=test_share, validation_share=validation_share)


@pytest.mark.parametrize("name", ["lm", "adam"])
def test_the_best_restart_is_a_single_training(name: str, device: torch.device) -> None:
    x = torch.linspace(0, 1, 60, dtype=torch.float64, device=device).unsqueeze(-1)
    y = 0.5 + 0.3 * torch.sin(7 * x)
    data, validation = (x[::2], y[::2]), (x[1::2], y[1::2])
    build = registry.build("network", {"name": "bp", "hidden_sizes": [4]})
    optimizer = registry.build("optimizer", {"name": name})
    fit = fit_network(build, optimizer, data, validation, members=3, seed=5, max_epochs=25, max_fail=3)
    best = int(fit.restarts["validation_mse"].idxmin())
    alone = BPNetwork([1, 4, 1], seed=5 + best, device=device)
    for parameter, first in zip(alone.parameters(), fit.first_weights.values(), strict=True):
        assert torch.equal(parameter, first)
    result = train(alone, *data, optimizer=name, max_epochs=25, max_fail=3, validation=validation)
    assert (fit.best_epoch, fit.stop_reason) == (result.best_epoch, result.stop_reason)
    np.testing.assert_allclose(fit.history["loss"], result.history["loss"], rtol=1e-6)
    np.testing.assert_allclose(fit.network(x).detach().cpu(), alone(x).detach().cpu(), rtol=1e-6)
    with torch.no_grad():
        error = (fit.network(validation[0]) - validation[1]).square().mean().item()
    assert fit.restarts["validation_mse"].min() == pytest.approx(error, rel=1e-9)


def make_model(frame: pd.DataFrame, scaler: MinMaxScaler | StandardScaler, output: str) -> ScorecardModel:
    encoder = Encoder.fit(frame)
    encoded = encoder.transform(frame).frame
    return ScorecardModel(
        target="score",
        ids=(),
        encoder=encoder,
        scaler=scaler.fit(encoded),
        score_scaler=MinMaxScaler().fit(np.array([[10.0], [50.0]])),
        score_range=(10.0, 50.0),
        thresholds={"good": 0.5},
        network=BPNetwork([encoded.shape[1], 6, 1], output=output, seed=3),
    )


@pytest.mark.parametrize("scaler", [MinMaxScaler(), StandardScaler()], ids=["minmax", "standard"])
@pytest.mark.parametrize("output", ["sigmoid", "identity"])
def test_slopes_are_central_differences(scaler: MinMaxScaler | StandardScaler, output: str) -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"a": rng.normal(5, 3, 30), "b": rng.uniform(0, 1e4, 30), "same": 2.0})
    model = make_model(frame, scaler, output)
    slopes = score_slopes(model, frame)
    for name, width in (("a", 1e-4), ("b", 1e-1)):
        above, below = (model.scores(frame.assign(**{name: frame[name] + step})) for step in (width, -width))
        np.testing.assert_allclose(slopes[name], (above - below) / (2 * width), rtol=1e-5, atol=1e-9)
    assert (slopes["same"] == 0).all()


def test_sensitivities_summarise_slopes() -> None:
    slopes = pd.DataFrame({"weak": [0.1, 0.1, -0.1, 0.1], "strong": [-1.0, -2.0, -3.0, -2.0]})
    table = sensitivities(slopes, pd.Series({"weak": 2.0, "strong": 0.5}))
    assert table.index.tolist() == ["strong", "weak"]
    assert table.loc["strong", ["slope", "sign_share", "effect"]].tolist() == [-2.0, 1.0, -1.0]
    assert table.loc["weak", ["slope", "sign_share", "effect"]].tolist() == pytest.approx([0.05, 0.75, 0.1])
    assert table.at["strong", "slope_sd"] == pytest.approx(np.std([1, 2, 3, 2]))
    assert table.at["strong", "low"] == pytest.approx(np.quantile([-1, -2, -3, -2], 0.05) * 0.5)


def test_a_threshold_earns_its_grade() -> None:
    thresholds = {"good": 0.7, "excellent": 0.85, "pass": 0.4}
    found = grades(np.array([-1.0, 0.39, 0.4, 0.7, 0.8499, 0.85, 2.0]), thresholds)
    assert found.tolist() == ["poor", "poor", "pass", "good", "good", "excellent", "excellent"]


def test_errors_by_hand() -> None:
    errors = ScoreErrors.of(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 6.0]))
    assert (errors.rmse, errors.r2, errors.mae) == pytest.approx((np.sqrt(3), 1 - 9 / 2, 1.0))
    assert set(errors.as_metrics("_linear")) == {"rmse_linear", "r2_linear", "mae_linear"}


def test_a_deep_network_is_saved_in_order() -> None:
    frame = pd.DataFrame({"a": np.arange(20.0), "b": np.arange(20.0) ** 2})
    model = make_model(frame, MinMaxScaler(), "sigmoid")
    deep = ScorecardModel(**{**vars(model), "network": BPNetwork([2, *range(3, 14), 1], seed=1)})
    again = ScorecardModel.from_saved(deep.saved())
    assert again.network.layer_sizes == (2, *range(3, 14), 1)
    np.testing.assert_array_equal(again.scores(frame), deep.scores(frame))
