"""Laws of `smstudy.inference.regression.covariance`; for R sandwich see tests/models/regressions/test_regression.py."""

from __future__ import annotations

import numpy as np
import pytest

from smstudy.errors import DataError, EstimationError, StudyError
from smstudy.inference.regression.covariance import check_kind, clustered, clustered_kind, robust, summed_covariance
from smstudy.inference.regression.least_squares import least_squares

ROUNDING = {"rtol": 1e-10}  # sums of 60 products in another order


@pytest.fixture(scope="module")
def fit():
    rng = np.random.default_rng(7)
    x = np.column_stack([np.ones(60), rng.normal(size=(60, 2))])
    return x, least_squares(x, rng.normal(size=60), names=["(intercept)", "a", "b"]), rng.integers(0, 9, 60)


def sandwich(x, scores):
    bread = np.linalg.inv(x.T @ x)
    return bread @ sum(np.outer(score, score) for score in scores) @ bread


@pytest.mark.parametrize("kind", ["HC0", "HC1", "HC2", "HC3"])
def test_robust_is_the_textbook_sandwich(fit, kind):
    x, fitted, _ = fit
    shrink = {"HC0": np.ones(60), "HC1": np.full(60, np.sqrt(60 / 57)), "HC2": (1 - fitted.hat) ** -0.5}
    weight = shrink.get(kind, 1 / (1 - fitted.hat))
    expected = sandwich(x, [row * e * w for row, e, w in zip(x, fitted.residuals, weight, strict=True)])
    np.testing.assert_allclose(robust(fitted.influence, fitted.residuals, fitted.hat, kind), expected, **ROUNDING)


def test_clustered_is_the_textbook_sandwich(fit):
    x, fitted, groups = fit
    scores = [x[groups == g].T @ fitted.residuals[groups == g] for g in range(9)]
    factor = 9 / 8 * 59 / 57
    np.testing.assert_allclose(
        clustered(fitted.influence, fitted.residuals, groups, "CR1"), factor * sandwich(x, scores), **ROUNDING
    )


def test_clusters_of_one_are_the_robust_covariance(fit):
    _, fitted, _ = fit
    alone = clustered(fitted.influence, fitted.residuals, np.arange(60), "CR0")
    np.testing.assert_allclose(alone, robust(fitted.influence, fitted.residuals, fitted.hat, "HC0"), **ROUNDING)


def test_names_of_clusters_do_not_matter(fit):
    _, fitted, groups = fit
    renamed = np.random.default_rng(1).permutation(9)[groups]
    once, again = (clustered(fitted.influence, fitted.residuals, g) for g in (groups, renamed))
    np.testing.assert_allclose(once, again, **ROUNDING)


def test_hc3_is_never_below_hc0(fit):
    _, fitted, _ = fit
    low, high = (np.diag(robust(fitted.influence, fitted.residuals, fitted.hat, kind)) for kind in ("HC0", "HC3"))
    assert (high >= low).all()


def test_a_respondent_who_alone_determines_a_coefficient_is_refused():
    x = np.column_stack([np.ones(12), np.arange(12.0), np.eye(12)[0]])
    fitted = least_squares(x, np.sin(np.arange(12.0)), names=["(intercept)", "a", "one"])
    assert np.isfinite(robust(fitted.influence, fitted.residuals, fitted.hat, "HC1")).all()
    for kind in ("HC2", "HC3"):
        with pytest.raises(EstimationError, match="leverage 1"):
            robust(fitted.influence, fitted.residuals, fitted.hat, kind)


def test_one_cluster_is_refused(fit):
    _, fitted, _ = fit
    with pytest.raises(DataError):
        clustered(fitted.influence, fitted.residuals, np.zeros(60, dtype=int))


def test_names_that_do_not_fit_are_refused():
    assert check_kind("HC3", clustered=False) == "HC3"
    for kind, in_clusters in (("HC4", False), ("HC3", True), ("CR1", False), ("classical", True)):
        with pytest.raises(StudyError):
            check_kind(kind, clustered=in_clusters)


def test_contributions_alone_give_the_same(fit):
    _, fitted, groups = fit
    contributions = (fitted.influence * fitted.residuals).T
    for kind in ("HC0", "HC1"):
        expected = robust(fitted.influence, fitted.residuals, fitted.hat, kind)
        np.testing.assert_allclose(summed_covariance(contributions, kind), expected, **ROUNDING)
    expected = clustered(fitted.influence, fitted.residuals, groups, "CR1")
    np.testing.assert_allclose(summed_covariance(contributions, "CR1", groups), expected, **ROUNDING)


def test_few_clusters_get_cr2():
    assert [clustered_kind(count) for count in (6, 39, 40, 500)] == ["CR2", "CR2", "CR1", "CR1"]
