"""Laws of `smstudy.inference.regression.least_squares` and NIST's reference data sets for linear regression.

The certified values are not copied but computed again in exact rational arithmetic from the data; for Longley and Filip
the first certified coefficient is compared as a check of the copy.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smstudy.errors import EstimationError
from smstudy.inference.regression.least_squares import least_squares

NIST = Path(__file__).parents[2] / "reference" / "nist"
DELTA = [759, -2048, 2048, -2048, 2523, -2048, 2048, -2048, 1838, -2048, 2048]
DELTA += DELTA[-2::-1]


def exact(rows, outcome):
    """Coefficients and the diagonal of (X'X)⁻¹ in rational arithmetic, and the residual sum of squares."""
    p = len(rows[0])
    gram = [[sum(row[i] * row[j] for row in rows) for j in range(p)] for i in range(p)]
    right = [[sum(row[i] * y for row, y in zip(rows, outcome, strict=True))] for i in range(p)]
    table = [gram[i] + right[i] + [Fraction(i == j) for j in range(p)] for i in range(p)]
    for i in range(p):
        table[i] = [value / table[i][i] for value in table[i]]
        for k in range(p):
            if k != i:
                table[k] = [a - table[k][i] * b for a, b in zip(table[k], table[i], strict=True)]
    beta = [line[p] for line in table]
    fitted = [sum(b * v for b, v in zip(beta, row, strict=True)) for row in rows]
    rss = sum((y - f) ** 2 for y, f in zip(outcome, fitted, strict=True))
    return beta, [table[i][p + 1 + i] for i in range(p)], rss


def digits(found, certified):
    """Log relative error: how many digits agree, at most 15."""
    found, certified = np.asarray(found, float), np.array([float(value) for value in certified])
    error = np.abs(found - certified) / np.where(certified == 0, 1, np.abs(certified))
    return float(-np.log10(np.maximum(error, 1e-15)).min())


def fit_digits(rows, outcome):
    """Digits of coefficients and of standard errors (0 where the fit is exact: no digits to compare)."""
    beta, inverse, rss = exact(rows, outcome)
    x, y = np.array(rows, dtype=float), np.array(outcome, dtype=float)
    fit = least_squares(x, y, names=[f"b{j}" for j in range(x.shape[1])])
    df = len(outcome) - x.shape[1]
    found = np.sqrt(np.diag(fit.bread) * (fit.residuals @ fit.residuals) / df)
    certified = [np.sqrt(float(value * rss / df)) for value in inverse]
    return digits(fit.coefficients, beta), digits(found, certified) if rss else 0.0


def powers(values, degree):
    return [[Fraction(value) ** k for k in range(degree + 1)] for value in values]


def read(name):
    frame = pd.read_csv(NIST / f"{name}.csv", dtype=str)
    return frame.map(Fraction)


def wampler(number):
    x = range(21)
    if number == 2:
        return powers(x, 5), [sum(Fraction(value, 10) ** k for k in range(6)) for value in x]
    error = {1: 0, 3: 1, 4: 100, 5: 10000}[number]
    return powers(x, 5), [sum(Fraction(v) ** k for k in range(6)) + error * d for v, d in zip(x, DELTA, strict=True)]


def test_longley_to_seven_digits():
    data = read("longley")
    rows = [[Fraction(1), *row] for row in data.drop(columns="y").to_numpy().tolist()]
    beta, _, _ = exact(rows, list(data["y"]))
    assert float(beta[0]) == pytest.approx(-3482258.63459582, rel=1e-14)  # NIST certifies 15 digits
    assert min(fit_digits(rows, list(data["y"]))) >= 7  # promised; 13 are reached


@pytest.mark.parametrize(
    ("x", "y"), [(range(60, 71), range(130, 141)), ((4, 5, 6), (3, 4, 4))], ids=["NoInt1", "NoInt2"]
)
def test_no_intercept_to_seven_digits(x, y):
    rows = [[Fraction(value)] for value in x]
    assert min(fit_digits(rows, [Fraction(value) for value in y])) >= 7  # promised; 15 are reached


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_wampler_to_five_and_a_half_digits(number):
    of_coefficients, of_errors = fit_digits(*wampler(number))
    assert of_coefficients >= 5.5  # promised; the noise of Wampler5 leaves 9
    assert number in (1, 2) or of_errors >= 7  # an exact fit has no error to compare


def test_wampler_data_are_those_of_nist():
    assert [float(value) for value in wampler(5)[1][:3]] == [7590001.0, -20479994.0, 20480063.0]
    _, inverse, rss = exact(*wampler(3))
    assert np.sqrt(float(inverse[0] * rss / 15)) == pytest.approx(2152.32624678170, rel=1e-14)  # 15 certified digits


def test_filip_is_refused_with_the_digits_left():
    data = read("filip")
    rows = powers(data["x"], 10)
    beta, _, _ = exact(rows, list(data["y"]))
    assert float(beta[0]) == pytest.approx(-1467.48961422980, rel=1e-14)  # NIST certifies 15 digits
    with pytest.raises(EstimationError, match="Only 5 digits .* 7 are promised"):
        least_squares(np.array(rows, float), np.array(data["y"], float), names=[f"x{k}" for k in range(11)])


def test_units_of_measurement_do_not_matter():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(50, 4)), rng.normal(size=50)
    units = np.array([1e-9, 1.0, 1e6, 1e12])
    plain, scaled = (least_squares(values, y, names="abcd") for values in (x, x * units))
    np.testing.assert_allclose(scaled.coefficients * units, plain.coefficients, rtol=1e-12)  # rounding of 50 products
    np.testing.assert_allclose(scaled.hat, plain.hat, rtol=1e-12)  # the same


def test_leverages_sum_to_the_number_of_coefficients():
    rng = np.random.default_rng(4)
    fit = least_squares(rng.normal(size=(30, 5)), rng.normal(size=30), names="abcde")
    assert fit.hat.sum() == pytest.approx(5, rel=1e-13)  # trace of a projection, rounded 30 times


def test_repeated_columns_are_named():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(40, 3))
    x = np.column_stack([np.ones(40), x, x[:, 0] - 2 * x[:, 2]])
    with pytest.raises(EstimationError, match='"total" does not exist: .* determined by "a" and "c"'):
        least_squares(x, x[:, 1], names=["(intercept)", "a", "b", "c", "total"])


def test_a_column_that_never_occurs_is_named():
    with pytest.raises(EstimationError, match="empty"):
        least_squares(np.column_stack([np.ones(9), np.zeros(9)]), np.arange(9.0), names=["(intercept)", "empty"])


def test_nearly_repeated_columns_are_refused():
    rng = np.random.default_rng(6)
    a = rng.normal(size=40)
    x = np.column_stack([np.ones(40), a, a + 1e-10 * rng.normal(size=40)])
    with pytest.raises(EstimationError, match='"a" and "b" nearly determine each other'):
        least_squares(x, a, names=["(intercept)", "a", "b"])
