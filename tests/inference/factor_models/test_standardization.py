"""Laws of standardized solutions."""

from __future__ import annotations

import numpy as np
import pytest

from smstudy.inference.factor_models.normal_theory import fit_mlr
from smstudy.inference.factor_models.standardization import standardize_fit
from smstudy.inference.factor_models.structures import measurement_model


def test_agrees_with_lavaan(case, find_cell) -> None:
    fitted = case.fit()
    found, expected = standardize_fit(fitted), case.expected
    places = {(matrix, tuple(cell)): i for i, (matrix, cell) in enumerate(zip(found.matrices, found.cells.tolist()))}
    loose = 1e-5 if case.estimator == "fiml" and len(case.answers) == 2 else 1e-7  # where lavaan's search ends
    compared = 0
    for key, estimate, error in zip(
        zip(expected["lhs"], expected["op"], expected["rhs"], expected["group"]), expected["std"], expected["std_se"]
    ):
        place = places.get(find_cell(fitted.structure, *key))
        if key[1] != "~1" and place is not None:
            assert found.estimates[place] == pytest.approx(estimate, abs=loose), key
            assert found.std_errors[place] == pytest.approx(error, abs=loose), key
            compared += 1
    assert compared == len(places)


def test_units_of_the_answers_do_not_matter() -> None:
    rng, items = np.random.default_rng(1), list("abcd")
    answers = rng.normal(size=(150, 1)) + rng.normal(size=(150, 4))
    one, other = (
        standardize_fit(fit_mlr(measurement_model(items, {"f": items}), [answers * units]))
        for units in (1.0, np.array([100, 1, 0.01, 3]))
    )
    assert one.estimates == pytest.approx(other.estimates, abs=1e-8)  # the search ends at 1e-10 of an error
    assert one.std_errors == pytest.approx(other.std_errors, abs=1e-8)


def test_residuals_are_what_loadings_leave() -> None:
    rng, items = np.random.default_rng(1), list("abcd")
    answers = rng.normal(size=(150, 1)) + rng.normal(size=(150, 4))
    found = standardize_fit(fit_mlr(measurement_model(items, {"f": items}), [answers]))
    assert found.estimates[4:] == pytest.approx(1 - found.estimates[:4] ** 2, abs=1e-12)  # rounding
