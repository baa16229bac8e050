"""Laws of `smstudy.inference.bootstrap`: it equals a loop over resamples, and its intervals cover."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from smstudy.errors import EstimationError, StudyError
from smstudy.inference.bootstrap import bootstrap, moment_matrices, resamples

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "bootstrap.json").read_text(encoding="utf-8"))


def mean_of(values):
    return lambda counts: (counts @ values / counts.sum(axis=1))[:, None]


def slope_of(columns):
    moments = moment_matrices(columns)

    def slopes(counts):
        products = moments(counts)
        return np.linalg.solve(products[:, :-1, :-1], products[:, :-1, -1:])[:, :, 0]

    return slopes


@pytest.fixture(scope="module")
def columns():
    rng = np.random.default_rng(9)
    x = rng.normal(size=80)
    return np.column_stack([np.ones(80), x, 0.5 * x + rng.normal(size=80)])


def test_every_resample_draws_as_many_as_there_are():
    counts = np.concatenate(list(resamples(30, n_boot=500, seed=2)))
    assert counts.shape == (500, 30) and (counts.sum(axis=1) == 30).all()
    assert counts.mean() == 1 and abs(counts.var() - 29 / 30) < 0.05  # binomial; 15,000 draws


def test_the_seed_decides():
    once, again, other = (next(resamples(30, n_boot=5, seed=seed)) for seed in (1, 1, 2))
    assert (once == again).all() and (once != other).any()


def test_blocks_change_nothing(monkeypatch, columns):
    whole = bootstrap(slope_of(columns), 80, n_boot=100).draws
    monkeypatch.setattr("smstudy.inference.bootstrap.MOST_NUMBERS", 700)
    np.testing.assert_allclose(bootstrap(slope_of(columns), 80, n_boot=100).draws, whole, rtol=1e-10)  # sums


def test_clusters_are_drawn_as_a_whole():
    groups = np.repeat(np.arange(6), [1, 2, 3, 4, 5, 6])
    counts = next(resamples(21, n_boot=50, groups=groups))
    assert all(len(set(row[groups == g])) == 1 for row in counts for g in range(6))
    assert (counts[:, np.unique(groups, return_index=True)[1]].sum(axis=1) == 6).all()


def test_strata_keep_their_size():
    strata = np.array([0, 1, 1, 0, 2, 1, 0, 2, 2, 2])
    counts = next(resamples(10, n_boot=40, strata=strata))
    for stratum, size in enumerate(np.bincount(strata)):
        assert (counts[:, strata == stratum].sum(axis=1) == size).all()


def test_moments_equal_a_loop_over_resampled_rows(columns):
    counts = next(resamples(80, n_boot=20, seed=5))
    found = slope_of(columns)(counts)
    for row, slopes in zip(counts, found, strict=True):
        drawn = columns[np.repeat(np.arange(80), row.astype(int))]
        expected = np.linalg.lstsq(drawn[:, :2], drawn[:, 2], rcond=None)[0]
        np.testing.assert_allclose(slopes, expected, rtol=1e-9)  # normal equations of a good design


def test_the_error_of_a_mean_is_the_textbook_one():
    values = np.random.default_rng(1).normal(size=200)
    found = bootstrap(mean_of(values), 200, n_boot=20_000)
    assert found.std_error.item() == pytest.approx(values.std() / np.sqrt(200), rel=0.02)  # 1/sqrt(2B) is 0.5 %
    assert found.covariance.item() == pytest.approx(found.std_error.item() ** 2, rel=1e-12)  # the same sums


def test_intervals_agree_with_r_boot_on_its_draws():
    """R interpolates between draws on the normal scale: the ends lie within a draw or two of each other."""
    values = np.array(REFERENCE["values"])
    counts = np.array(REFERENCE["counts"], dtype=float)

    def statistic(weights):
        mean = weights @ values / weights.sum(axis=1)
        return np.log(weights @ values**2 / weights.sum(axis=1) - mean**2)[:, None]

    found = bootstrap(statistic, len(values), n_boot=10, leave_out=True)
    found = type(found)(estimate=found.estimate, draws=statistic(counts), left_out=found.left_out)
    ordered = np.sort(found.draws[:, 0])
    for kind in ("percentile", "bca"):
        for mine, theirs in zip(found.interval(kind=kind), REFERENCE[kind], strict=True):
            places = np.searchsorted(ordered, [mine.item(), theirs])
            assert abs(places[0] - places[1]) <= 2, kind  # of 999 draws


def test_bca_of_a_symmetric_statistic_is_nearly_the_percentile_interval():
    values = np.random.default_rng(3).normal(size=400)
    found = bootstrap(mean_of(values), 400, n_boot=4000, leave_out=True)
    plain, corrected = (np.ravel(found.interval(kind=kind)) for kind in ("percentile", "bca"))
    np.testing.assert_allclose(corrected, plain, atol=0.15 * found.std_error.item())  # bias is small, not zero


def test_p_is_below_the_level_if_zero_is_outside_the_interval(columns):
    found = bootstrap(slope_of(columns), 80, n_boot=1999)
    low, high = found.interval()
    outside = (low > 0) | (high < 0)
    np.testing.assert_array_equal(found.p_value() <= 0.05, outside)


def test_resamples_without_an_estimate_are_counted_or_refused():
    def sometimes(share):
        return lambda counts: np.where(counts[:, :1] >= stats.binom.isf(share, 50, 1 / 50) + 1, np.nan, counts[:, 1:2])

    found = bootstrap(sometimes(0.02), 50, n_boot=1000)
    assert 0 < found.n_failed < 50 and len(found.draws) + found.n_failed == 1000
    with pytest.raises(EstimationError, match="do not exist"):
        bootstrap(sometimes(0.5), 50, n_boot=1000)


def test_unknown_intervals_are_refused():
    found = bootstrap(mean_of(np.arange(9.0)), 9, n_boot=20)
    with pytest.raises(StudyError, match="percentile"):
        found.interval(kind="studentized")
    with pytest.raises(StudyError, match="leave_out=True"):
        found.interval(kind="bca")


def test_bca_covers_a_skewed_variance_better_than_percentiles():
    rng, hits = np.random.default_rng(21), {"percentile": [], "bca": []}
    for i in range(300):
        values = rng.exponential(size=60)

        def variance(counts, values=values):
            mean = counts @ values / counts.sum(axis=1)
            return (counts @ values**2 / counts.sum(axis=1) - mean**2)[:, None]

        found = bootstrap(variance, 60, n_boot=600, seed=i, leave_out=True)
        for kind, covered in hits.items():
            low, high = found.interval(kind=kind)
            covered.append(low[0] <= 1 <= high[0])
    assert np.mean(hits["bca"]) > np.mean(hits["percentile"]) + 0.03
