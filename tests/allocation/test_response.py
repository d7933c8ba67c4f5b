"""Response curves: closed forms, derivatives by autograd, inverse derivatives, concavity, and rows of unlike curves."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pretend_device import PretendDevice
from torch import Tensor

from marketnn import registry
from marketnn.allocation import CurveSet, ExponentialCurve, HillCurve, LogCurve, PowerCurve
from marketnn.allocation.curves import ResponseCurve, evaluate
from marketnn.errors import ConfigurationError, InputError

SPENDS = [1e-6, 0.01, 0.5, 2.9, 3.0, 3.1, 40.0, 1e4]
CURVES = {
    "hill": HillCurve(2, 3, 1),
    "hill, steep start": HillCurve(2, 3, 0.5),
    "hill, S": HillCurve(2, 3, 2.5),
    "hill, step": HillCurve(2, 3, 60),
    "log": LogCurve(2, 0.3),
    "exponential": ExponentialCurve(2, 0.3),
    "power": PowerCurve(2, 0.4),
    "line": PowerCurve(2, 1),
    "power, convex": PowerCurve(2, 1.7),
}
every_curve = pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES)


def vector(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def test_values_in_closed_form() -> None:
    x = vector(0, 1, 3)
    torch.testing.assert_close(HillCurve(2, 3, 2)(x), vector(0, 0.2, 1), rtol=1e-15, atol=0)
    torch.testing.assert_close(LogCurve(2, 0.5)(x), vector(0, 2 * math.log(1.5), 2 * math.log(2.5)), rtol=1e-15, atol=0)
    torch.testing.assert_close(
        ExponentialCurve(2, 0.5)(x), vector(0, 2 - 2 * math.exp(-0.5), 2 - 2 * math.exp(-1.5)), rtol=1e-15, atol=0
    )
    torch.testing.assert_close(PowerCurve(2, 0.5)(x), vector(0, 2, 2 * math.sqrt(3)), rtol=1e-15, atol=0)


@every_curve
def test_derivative_is_that_of_autograd(curve: ResponseCurve) -> None:
    x = vector(*SPENDS).requires_grad_()
    (expected,) = torch.autograd.grad(curve(x).sum(), x)
    torch.testing.assert_close(curve.derivative(x.detach()), expected, rtol=1e-12, atol=1e-15)


@every_curve
def test_concave_says_what_the_slopes_do(curve: ResponseCurve) -> None:
    slope = curve.derivative(torch.linspace(0.01, 20, 2_000, dtype=torch.float64))
    assert curve.concave == bool((slope.diff() <= 1e-15).all())
    beyond = slope[torch.linspace(0.01, 20, 2_000, dtype=torch.float64) > curve.inflection]
    assert bool((beyond.diff() <= 1e-15).all())


def test_slopes_at_zero() -> None:
    zero = vector(0)
    slopes = [curve.derivative(zero).item() for curve in CURVES.values()]
    assert slopes == pytest.approx([2 / 3, math.inf, 0, 0, 0.6, 0.6, math.inf, 2, 0])


def test_no_spend_is_too_large() -> None:
    huge = vector(1e200)
    curve = HillCurve(2, 3, 60)
    assert curve(huge).item() == 2
    assert curve.derivative(huge).item() == 0
    assert HillCurve(0, 3, 0.5).derivative(vector(0)).item() == 0
    assert PowerCurve(0, 0.5).derivative(vector(0)).item() == 0


@settings(deadline=None, max_examples=200)
@given(
    kind=st.sampled_from(["hill", "log", "exponential", "power"]),
    scale=st.floats(0.1, 1e4),
    place=st.floats(0.01, 100),
    shape=st.floats(0.2, 6),
    spend=st.floats(1e-3, 50),
)
def test_inverse_derivative_inverts(kind: str, scale: float, place: float, shape: float, spend: float) -> None:
    curve = {
        "hill": HillCurve(scale, place, shape),
        "log": LogCurve(scale, 1 / place),
        "exponential": ExponentialCurve(scale, 1 / (place + 2)),
        "power": PowerCurve(scale, min(shape / 6.5, 0.9)),
    }[kind]
    x = curve.inflection + spend
    price = curve.derivative(x)
    found = curve.inverse_derivative(price)
    torch.testing.assert_close(curve.derivative(found), price, rtol=1e-9, atol=0)
    torch.testing.assert_close(curve.derivative(found * 1.01) < price, torch.tensor(True))


def test_inverse_derivative_where_no_unit_or_every_unit_is_worth_the_price() -> None:
    steepest = HillCurve(2, 3, 2.5).derivative(HillCurve(2, 3, 2.5).inflection)
    torch.testing.assert_close(
        HillCurve(2, 3, 2.5).inverse_derivative(steepest), HillCurve(2, 3, 2.5).inflection, rtol=1e-6, atol=0
    )
    assert HillCurve(2, 3, 2.5).inverse_derivative(steepest * 1.0001).item() == 0
    assert HillCurve(2, 3, 1).inverse_derivative(vector(2 / 3 + 1e-3)).item() == 0
    assert HillCurve(0, 3, 1).inverse_derivative(vector(1)).item() == 0
    assert LogCurve(2, 0.3).inverse_derivative(vector(0.61)).item() == 0
    assert ExponentialCurve(2, 0.3).inverse_derivative(vector(0.61)).item() == 0
    assert PowerCurve(2, 1).inverse_derivative(vector(1.9, 2.1)).tolist() == [math.inf, 0]
    assert PowerCurve(2, 1.5).inverse_derivative(vector(9)).item() == math.inf


def test_inflection_in_closed_form() -> None:
    assert HillCurve(2, 3, 2).inflection.item() == pytest.approx(3 / math.sqrt(3))
    assert [curve.inflection.item() for curve in (HillCurve(2, 3, 1), LogCurve(1, 1), ExponentialCurve(1, 1))] == [
        0
    ] * 3
    assert PowerCurve([1, 1], [0.9, 1.1]).inflection.tolist() == [0, math.inf]


def test_a_row_of_unlike_curves_is_its_curves(device: torch.device) -> None:
    rows = [HillCurve(2, 3, 2.5), LogCurve([1, 2], 0.3), HillCurve([1, 4], 2, 1), PowerCurve(2, 0.5), LogCurve(3, 1)]
    singles = [
        HillCurve(2, 3, 2.5), LogCurve(1, 0.3), LogCurve(2, 0.3), HillCurve(1, 2, 1), HillCurve(4, 2, 1),
        PowerCurve(2, 0.5), LogCurve(3, 1),
    ]  # fmt: skip
    x = torch.linspace(0.1, 9, 21, dtype=torch.float64).reshape(3, 7)
    price = vector(0.2)[0]
    expected = torch.stack([curve(x[:, k]) for k, curve in enumerate(singles)], dim=1)
    slopes = torch.stack([curve.derivative(x[:, k]) for k, curve in enumerate(singles)], dim=1)
    spends = torch.stack([curve.inverse_derivative(price) for curve in singles])
    there = CurveSet(rows).to(device)
    with PretendDevice(host_sync="error"):
        responses, derivatives = there(x.to(device)), there.derivative(x.to(device))
        inverse = there.inverse_derivative(price.to(device))
    torch.testing.assert_close(responses.cpu(), expected, rtol=1e-14, atol=0)
    torch.testing.assert_close(derivatives.cpu(), slopes, rtol=1e-14, atol=0)
    torch.testing.assert_close(inverse.cpu(), spends, rtol=1e-12, atol=0)
    assert there.shape == (7,)
    assert not there.concave
    assert there.inflection.cpu().tolist() == [singles[0].inflection.item()] + [0] * 6
    torch.testing.assert_close(evaluate(rows, x), expected, rtol=1e-14, atol=0)
    torch.testing.assert_close(evaluate(rows[1], x[:, 1:3]), expected[:, 1:3], rtol=1e-14, atol=0)


@every_curve
def test_other_units_are_the_same_curve(curve: ResponseCurve) -> None:
    other = type(curve)(*curve.in_units(1000, 7, *curve.values()))
    x = vector(*SPENDS)
    torch.testing.assert_close(other(1000 * x), 7 * curve(x), rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: HillCurve(-1, 1, 1), r"scale=-1 is not possible; pass a finite number >= 0"),
        (lambda: HillCurve(1, 0, 1), r"half_saturation=0 is not possible; pass a finite number > 0"),
        (lambda: HillCurve(1, 1, math.nan), r"slope=nan"),
        (lambda: LogCurve(1, -2), r"rate=-2"),
        (lambda: ExponentialCurve(1, math.inf), r"rate=inf"),
        (lambda: PowerCurve(1, [0.5, 0]), r"exponent=0"),
        (lambda: PowerCurve("much", 1), r"scale='much' is not a number"),
        (lambda: LogCurve([1, 2], [1, 2, 3]), r"shapes disagree: scale \(2,\), rate \(3,\)"),
        (lambda: CurveSet([]), r"no curves"),
        (lambda: CurveSet([LogCurve(1, 1), 3]), r"3 is no response curve"),
        (lambda: CurveSet([LogCurve([[1]], 1)]), r"shape \(1, 1\)"),
    ],
)
def test_bad_parameters(make: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()  # type: ignore[operator]


def test_curves_by_name() -> None:
    assert registry.names("response") == ["exponential", "hill", "log", "power"]
    curve = registry.build("response", {"name": "hill", "scale": [1, 2], "slope": 2})
    assert isinstance(curve, HillCurve)
    assert [number.tolist() for number in curve.values()] == [[1, 2], [1, 1], [2, 2]]
    assert registry.build("response", {"name": "log"})(vector(1)).item() == pytest.approx(math.log(2))
    assert registry.build("response", {"name": "exponential"})(vector(1)).item() == pytest.approx(1 - math.exp(-1))
    assert registry.build("response", {"name": "power"})(vector(4)).item() == pytest.approx(2)
    with pytest.raises(ConfigurationError, match=r"response\.rate"):
        registry.build("response", {"name": "hill", "rate": 2})


def test_parameters_are_shown_and_move_without_gradient() -> None:
    curve = HillCurve(2, 3, 1)
    assert repr(curve) == "HillCurve(scale=2.0, half_saturation=3.0, slope=1.0)"
    assert not list(curve.parameters())
    assert set(curve.state_dict()) == {"scale", "half_saturation", "slope"}
