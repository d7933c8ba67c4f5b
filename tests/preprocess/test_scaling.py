"""The three scalers: their equations, their traps, and values outside the fitted range."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import preprocessing

from marketnn import registry
from marketnn.errors import InputError
from marketnn.preprocess.decimal import DecimalScaler, decimal_exponent
from marketnn.preprocess.minmax import MinMaxScaler
from marketnn.preprocess.scaling import Scaler, scale, unscale
from marketnn.preprocess.standard import StandardScaler, mean_and_deviation
from marketnn.seed import numpy_generator

SCALERS = [
    MinMaxScaler,
    StandardScaler,
    lambda **options: StandardScaler(ddof=1, **options),
    DecimalScaler,
    lambda **options: DecimalScaler(nonnegative_k=True, **options),
]
tables = arrays(
    np.float64,
    st.tuples(st.integers(2, 12), st.integers(1, 4)),
    elements=st.floats(-1e6, 1e6, allow_subnormal=False).map(lambda value: round(value, 6)),
)


@pytest.fixture
def frame() -> pd.DataFrame:
    generator = numpy_generator(0)
    columns = {"age": generator.integers(18, 80, 30), "income": generator.lognormal(8, 1, 30), "flag": np.full(30, 0.1)}
    return pd.DataFrame(columns, index=[f"customer {place}" for place in range(30)])


@settings(deadline=None)
@given(x=tables)
def test_min_max_range_order_and_constants(x: np.ndarray) -> None:
    scaled = MinMaxScaler().fit_transform(x)
    constant = x.min(0) == x.max(0)
    assert (scaled.min(0) == 0).all()
    assert (scaled.max(0) == np.where(constant, 0, 1)).all()
    assert (np.diff(np.take_along_axis(scaled, x.argsort(0), 0), axis=0) >= 0).all()


@settings(deadline=None)
@given(x=tables, shift=st.integers(-100, 100), factor=st.sampled_from([0.25, 2.0, 1024.0]))
def test_min_max_is_invariant_to_affine_maps(x: np.ndarray, shift: int, factor: float) -> None:
    x = x.round()
    np.testing.assert_allclose(
        MinMaxScaler().fit_transform(shift + factor * x), MinMaxScaler().fit_transform(x), atol=1e-12
    )


@settings(deadline=None)
@given(x=tables)
def test_min_max_and_standard_equal_scikit_learn(x: np.ndarray) -> None:
    np.testing.assert_allclose(
        MinMaxScaler().fit_transform(x), preprocessing.MinMaxScaler().fit_transform(x), rtol=1e-9, atol=1e-9
    )
    spread = x.std(0) > 1e-8 * np.abs(x).max(0)
    ours, theirs = StandardScaler().fit_transform(x), preprocessing.StandardScaler().fit_transform(x)
    np.testing.assert_allclose(ours[:, spread], theirs[:, spread], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("ddof", [0, 1])
def test_standard_has_mean_0_and_deviation_1(frame: pd.DataFrame, ddof: int) -> None:
    scaled = StandardScaler(ddof=ddof).fit_transform(frame)
    np.testing.assert_allclose(scaled.mean(), 0, atol=1e-12)
    np.testing.assert_allclose(scaled.std(ddof=ddof), [1, 1, 0], atol=1e-12)


@pytest.mark.parametrize(
    ("largest", "k"),
    [(100, 3), (99.999, 2), (1, 1), (0.999, 0), (0.1, 0), (0.05, -1), (0.01, -1), (0, 0), (1e23, 24), (1e-5, -4)],
)
def test_decimal_exponent(largest: float, k: int) -> None:
    assert decimal_exponent(largest) == k
    assert DecimalScaler().fit(np.array([[-largest], [largest / 2]])).k == (k,)
    assert DecimalScaler(nonnegative_k=True).fit(np.array([[largest]])).k == (max(k, 0),)


@settings(deadline=None)
@given(largest=st.floats(1e-300, 1e300))
def test_decimal_exponent_is_the_smallest(largest: float) -> None:
    k = decimal_exponent(largest)
    assert largest / float(f"1e{k}") < 1
    assert largest / float(f"1e{k - 1}") >= 1


def test_decimal_exponent_beside_powers_of_ten() -> None:
    for k in range(-300, 300):
        power = float(f"1e{k}")
        assert decimal_exponent(power) == k + 1
        assert decimal_exponent(np.nextafter(power, 0)) == k


@pytest.mark.parametrize("make", SCALERS)
@settings(deadline=None)
@given(x=tables)
def test_round_trip(make, x: np.ndarray) -> None:
    scaler = make()
    back = scaler.inverse_transform(scaler.fit_transform(x))
    np.testing.assert_allclose(back, x, rtol=1e-9, atol=1e-12 * max(1.0, np.abs(x).max()))


@settings(deadline=None)
@given(x=tables, new=tables)
def test_out_of_bounds_equals_comparing(x: np.ndarray, new: np.ndarray) -> None:
    width = min(x.shape[1], new.shape[1])
    x, new = x[:, :width], new[:, :width]
    for policy in ("flag", "clip"):
        scaler = MinMaxScaler(policy=policy).fit(x)
        scaled = scaler.transform(new)
        assert scaler.out_of_bounds["below"].tolist() == (new < x.min(0)).sum(0).tolist()
        assert scaler.out_of_bounds["above"].tolist() == (new > x.max(0)).sum(0).tolist()
        if policy == "clip":
            expected = MinMaxScaler().fit(x).transform(np.clip(new, x.min(0), x.max(0)))
            np.testing.assert_array_equal(scaled, expected)
            assert ((scaled >= 0) & (scaled <= 1)).all()


def test_policies_by_hand() -> None:
    fitted, new = pd.DataFrame({"age": [20.0, 60.0]}), pd.DataFrame({"age": [10.0, 40.0, 80.0, 100.0]})
    flag = MinMaxScaler().fit(fitted)
    assert flag.transform(new)["age"].tolist() == [-0.25, 0.5, 1.5, 2.0]
    assert flag.out_of_bounds.to_dict("index") == {"age": {"below": 1, "above": 2}}
    assert MinMaxScaler(policy="clip").fit(fitted).transform(new)["age"].tolist() == [0, 0.5, 1, 1]
    refuse = MinMaxScaler(policy="raise").fit(fitted)
    with pytest.raises(InputError, match=r"'age' leaves the fitted range \[20, 60\] in 3 rows \(1, 3, 4\)"):
        refuse.transform(new)
    assert refuse.transform(fitted)["age"].tolist() == [0, 1]


@pytest.mark.parametrize("make", SCALERS)
def test_tensors_arrays_and_frames_agree(make, frame: pd.DataFrame) -> None:
    array, tensor = frame.to_numpy(), torch.from_numpy(frame.to_numpy().copy())
    from_frame, from_array, from_tensor = (make().fit_transform(x) for x in (frame, array, tensor))
    assert from_frame.index.equals(frame.index)
    assert from_frame.columns.equals(frame.columns)
    np.testing.assert_array_equal(from_frame.to_numpy(), from_array)
    np.testing.assert_array_equal(from_tensor.numpy(), from_array)
    narrow = make().fit(tensor).transform(tensor.float())
    assert narrow.dtype == torch.float32
    np.testing.assert_allclose(narrow.numpy(), from_array, rtol=1e-5, atol=1e-5)
    assert make().fit_transform(array.astype(np.float32)).dtype == np.float32


def test_kernels_run_where_the_tensor_lives(device: torch.device) -> None:
    x = torch.from_numpy(numpy_generator(1).normal(size=(20, 3)))
    x[:, 2] = 5
    there = x.to(device)
    moments, moments_there = mean_and_deviation(x), mean_and_deviation(there)
    scaled = scale(there, *moments_there)
    assert scaled.device.type == device.type
    torch.testing.assert_close(scaled.cpu(), scale(x, *moments), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(unscale(scaled, *moments_there).cpu(), x, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("make", SCALERS)
def test_scalers_run_where_the_tensor_lives(make, device: torch.device) -> None:
    x = torch.from_numpy(numpy_generator(1).normal(size=(20, 3)))
    scaler = make(policy="clip").fit(x[:10].to(device))
    scaled = scaler.transform(x.to(device))
    assert scaled.device.type == device.type
    expected = make(policy="clip").fit(x[:10])
    torch.testing.assert_close(scaled.cpu(), expected.transform(x), rtol=1e-12, atol=1e-14)
    pd.testing.assert_frame_equal(scaler.out_of_bounds, expected.out_of_bounds)


@pytest.mark.parametrize("make", SCALERS)
def test_json_round_trip(make, frame: pd.DataFrame) -> None:
    scaler: Scaler = make(policy="clip").fit(frame)
    state = json.loads(json.dumps(scaler.to_dict(), allow_nan=False))
    restored = type(scaler).from_dict(state)
    assert restored.to_dict() == scaler.to_dict()
    pd.testing.assert_frame_equal(restored.transform(frame * 2), scaler.transform(frame * 2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "standard"}, "state of scaler 'standard', not of 'minmax'"),
        ({"shift": [0.0, float("nan"), 1.0]}, "not finite"),
        ({"shift": [0.0]}, "differ in length"),
        ({"columns": ["age"]}, "differ in length"),
        ({"options": {"policy": "ignore"}}, "unknown policy 'ignore'"),
        ({"options": {"color": 1}}, "damaged"),
        ({"lower": "abc"}, "damaged"),
    ],
)
def test_a_damaged_state_is_refused(frame: pd.DataFrame, change: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        MinMaxScaler.from_dict({**MinMaxScaler().fit(frame).to_dict(), **change})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda frame: MinMaxScaler().transform(frame), "call fit first"),
        (lambda frame: MinMaxScaler().fit(frame).out_of_bounds, "call transform first"),
        (lambda frame: MinMaxScaler(policy="warn"), "There are: clip, flag, raise"),
        (lambda frame: StandardScaler(ddof=2), "ddof=2"),
        (lambda frame: StandardScaler(ddof=1).fit(frame[:1]), "no sample standard deviation"),
        (lambda frame: MinMaxScaler().fit(np.array([[-1e308], [1e308]])), "wider than float64"),
        (lambda frame: MinMaxScaler().fit(frame.assign(age=np.nan)), "'age' is NaN or infinite in 30 rows"),
        (lambda frame: MinMaxScaler().fit(frame).transform(-frame / 0), "is NaN or infinite"),
        (lambda frame: MinMaxScaler().fit(np.array([["a"]])), "not numeric"),
        (lambda frame: MinMaxScaler().fit(torch.ones(3)), r"not shape \(3,\)"),
        (lambda frame: MinMaxScaler().fit(torch.ones(2, 2, dtype=torch.complex64)), "complex"),
        (lambda frame: MinMaxScaler().fit(frame).transform(frame.drop(columns="age")), r"missing \['age'\]"),
        (lambda frame: MinMaxScaler().fit(frame).transform(frame.iloc[:, ::-1]), "column 1 is 'flag', but 'age'"),
        (lambda frame: MinMaxScaler().fit(frame).transform(frame.to_numpy()[:, :2]), "2 columns, but 3 were fitted"),
    ],
)
def test_unusable_input_is_named(frame: pd.DataFrame, call, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call(frame)


@pytest.mark.parametrize(
    ("settings_", "kind"), [({"name": "minmax"}, MinMaxScaler), ({"name": "standard", "ddof": 1}, StandardScaler)]
)
def test_configured_scalers(settings_: dict, kind: type) -> None:
    scaler = registry.build("scaler", {**settings_, "policy": "clip"})
    assert isinstance(scaler, kind)
    assert scaler.policy == "clip"


def test_configured_decimal_scaler() -> None:
    assert registry.build("scaler", {"name": "decimal", "nonnegative_k": True}).fit(np.array([[0.05]])).k == (0,)
