"""Laws of `smstudy.inference.path_errors`."""

import numpy as np
import pytest

from smstudy.inference.partial_least_squares import PathStructure, fit_paths
from smstudy.inference.path_errors import normal_path_error, path_influence

DRIVERS = np.zeros((3, 3), dtype=bool)
DRIVERS[:2, 2] = True
NONE = np.zeros(3, dtype=bool)
BLOCKS = ((0, 1, 2), (3, 4, 5), (6, 7, 8))
LOADINGS = np.kron(np.eye(3), np.full((3, 1), 0.75))
TRAITS = np.array([[1, 0.4, 0.42], [0.4, 1, 0.42], [0.42, 0.42, 1]])


def model(*, corrected):
    return PathStructure(blocks=BLOCKS, drivers=DRIVERS, formative=NONE, factors=~NONE if corrected else NONE)


def population():
    shared = LOADINGS @ TRAITS @ LOADINGS.T
    return shared - np.diag(np.diag(shared)) + np.eye(9)


@pytest.mark.parametrize("corrected", [False, True])
def test_the_error_is_the_spread_of_estimates_of_large_samples(corrected):
    rng, n = np.random.default_rng(1), 2000
    root = np.linalg.cholesky(population())
    samples = [np.corrcoef(rng.normal(size=(n, 9)) @ root.T, rowvar=False) for _ in range(600)]
    spread = fit_paths(np.array(samples), model(corrected=corrected)).paths[:, 0, 2].std()
    found = normal_path_error(population(), model(corrected=corrected), (0, 2)) / n**0.5
    assert found == pytest.approx(spread, rel=0.09)  # three standard errors of a spread over 600: 3 / sqrt(1200)


def test_influence_is_what_one_more_respondent_changes():
    rng, n = np.random.default_rng(2), 400
    answers = rng.normal(size=(n, 9)) @ np.linalg.cholesky(population()).T
    answers = (answers - answers.mean(axis=0)) / answers.std(axis=0)
    influence = path_influence(answers, model(corrected=False))[:, 0, 2]
    whole = fit_paths(np.corrcoef(answers, rowvar=False)[None], model(corrected=False)).paths[0, 0, 2]
    for left_out in (3, 77, 251):
        rest = np.corrcoef(np.delete(answers, left_out, axis=0), rowvar=False)[None]
        moved = whole - fit_paths(rest, model(corrected=False)).paths[0, 0, 2]
        assert moved == pytest.approx(influence[left_out] / (n - 1), abs=8 / n**2)  # what is left out is of order 1/n²
    assert influence.mean() == pytest.approx(0, abs=1e-8)  # rounding


def test_with_single_items_the_error_is_that_of_a_correlation():
    single = PathStructure(blocks=((0,), (1,)), drivers=np.array([[False, True], [False, False]]),
                           formative=NONE[:2], factors=NONE[:2])  # fmt: skip
    for r in (0.0, 0.3, 0.8):
        found = normal_path_error(np.array([[1, r], [r, 1]]), single, (0, 1))
        assert found == pytest.approx(1 - r**2, abs=1e-6)  # slopes by differences
