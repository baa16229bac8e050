"""Laws of the graded response model: R's likelihood, published estimates, brute force, then a planted truth."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats
from scipy.special import expit

from smstudy.errors import DataError, EstimationError
from smstudy.inference.psychometrics.graded import Graded, attitudes, graded_model, item_information, rest_attitudes
from smstudy.inference.psychometrics.polychoric import OrdinalSample, ordinal_codes

HERE = Path(__file__).parents[2] / "reference"
R = json.loads((HERE / "graded.json").read_text(encoding="utf-8"))


def neuroticism() -> OrdinalSample:
    return ordinal_codes(pd.read_csv(HERE / "bfi.csv")[["N1", "N2", "N3", "N5"]])


def lsat() -> OrdinalSample:
    patterns = np.array(R["lsat_patterns"])
    return ordinal_codes(pd.DataFrame(np.repeat(patterns[:, :5], patterns[:, 5], axis=0)))


def planted(n: int, seed: int, slopes: np.ndarray, thresholds: np.ndarray) -> tuple[OrdinalSample, np.ndarray]:
    rng = np.random.default_rng(seed)
    attitude = rng.standard_normal(n)
    line = attitude[:, None] * slopes + rng.logistic(size=(n, len(slopes)))
    codes = (line[:, :, None] > slopes[:, None] * thresholds).sum(axis=2).astype(np.int8)
    names = tuple(f"q{i + 1}" for i in range(len(slopes)))
    return OrdinalSample(names, codes, np.full(len(slopes), thresholds.shape[1] + 1)), attitude


def parameters(fit: Graded) -> np.ndarray:
    rows = np.column_stack([fit.slopes, fit.intercepts])
    return rows[np.isfinite(rows)]


# R and published values


@pytest.mark.parametrize(("name", "sample"), [("neuroticism", neuroticism), ("lsat", lsat)])
def test_agrees_with_the_likelihood_in_plain_r(name, sample):
    fit, r = graded_model(sample()), R[name]
    assert fit.log_likelihood == pytest.approx(r["log_likelihood"], abs=1e-6)  # R's grid is wider: +-8, not +-6
    assert parameters(fit) == pytest.approx(np.array(r["parameters"]), abs=1e-6)  # both stop at gradients below 1e-7
    errors = np.sqrt(np.diag(fit.covariance))
    assert errors == pytest.approx(np.array(r["errors"]), rel=1e-5)  # R's Hessian is numerical (Richardson)


def test_agrees_with_the_published_estimates_of_ltm():
    fit, published = graded_model(lsat()), R["published"]
    assert fit.log_likelihood == pytest.approx(published["log_likelihood"], abs=1e-3)  # printed to 3 decimals
    off = 4e-3  # ltm stopped at a gradient of 0.024, with 21 Gauss-Hermite points
    assert fit.slopes == pytest.approx(np.array(published["slopes"]), abs=off)
    assert fit.thresholds[:, 0] == pytest.approx(np.array(published["thresholds"]), abs=off)
    of_slopes, of_thresholds = fit.errors
    assert of_slopes == pytest.approx(np.array(published["slope_errors"]), abs=off)
    assert of_thresholds[:, 0] == pytest.approx(np.array(published["threshold_errors"]), abs=off)


# brute force


def test_no_other_optimizer_finds_a_higher_likelihood():
    sample, _ = planted(400, 1, np.array([1.0, 1.6, 2.2]), np.array([[-1.0, 0.5], [-0.5, 1.0], [0.0, 1.2]]))
    nodes = np.linspace(-9, 9, 721)
    prior = stats.norm.pdf(nodes) / stats.norm.pdf(nodes).sum()

    def minus(at: np.ndarray) -> float:
        total = np.ones((sample.n, len(nodes)))
        for item, (slope, first, second) in enumerate(at.reshape(3, 3)):
            upper, top = expit(slope * nodes + first), expit(slope * nodes + second)
            total *= np.array([1 - upper, upper - top, top])[sample.codes[:, item]]
        return -float(np.log(total @ prior).sum())

    fit = graded_model(sample)
    found = optimize.minimize(minus, parameters(fit) + 0.05, method="BFGS", options={"gtol": 1e-4})
    assert fit.log_likelihood == pytest.approx(-minus(parameters(fit)), abs=1e-6)  # beyond +-6 lie 2e-9 of all people
    assert fit.log_likelihood >= -found.fun - 1e-7
    assert parameters(fit) == pytest.approx(found.x, abs=1e-3)  # BFGS with numerical slopes stops early


def test_the_gradient_vanishes_at_the_estimates():
    assert np.abs(graded_model(neuroticism()).gradient).max() < 1e-6  # of a log likelihood of about -1,800


def test_information_of_an_item_is_the_expected_curvature():
    slopes, intercepts, at, step = np.array([1.7]), np.array([[1.5, 0.2, -1.1]]), 0.4, 1e-4

    def logs(attitude: float) -> np.ndarray:
        reached = np.concatenate([[1], expit(slopes[0] * attitude + intercepts[0]), [0]])
        return np.log(reached[:-1] - reached[1:])

    curvature = (logs(at + step) - 2 * logs(at) + logs(at - step)) / step**2
    told = item_information(slopes, intercepts, np.array([at]))[0, 0]
    assert told == pytest.approx(-np.exp(logs(at)) @ curvature, rel=1e-6)  # second differences


# special cases


def test_turning_all_items_round_mirrors_the_thresholds():
    sample = neuroticism()
    turned = np.where(sample.codes >= 0, 5 - sample.codes, -1).astype(np.int8)
    fit, mirror = graded_model(sample), graded_model(OrdinalSample(sample.names, turned, sample.n_categories))
    assert mirror.slopes == pytest.approx(fit.slopes, abs=1e-7)  # same maximum reached from another side
    assert mirror.thresholds == pytest.approx(-fit.thresholds[:, ::-1], abs=1e-7)


def test_counting_everybody_twice_halves_the_variances():
    sample = neuroticism()
    fit, twice = graded_model(sample), graded_model(OrdinalSample(sample.names, np.tile(sample.codes, (2, 1)),
                                                                  sample.n_categories))  # fmt: skip
    assert twice.slopes == pytest.approx(fit.slopes, abs=1e-8)  # same maximum
    assert twice.covariance * 2 == pytest.approx(fit.covariance, abs=1e-8)


def test_items_may_have_different_numbers_of_categories():
    sample, _ = planted(1500, 4, np.full(4, 1.5), np.tile([-1.0, 0.0, 1.0], (4, 1)))
    codes = sample.codes.copy()
    codes[:, 0] = codes[:, 0] >= 2
    fit = graded_model(OrdinalSample(sample.names, codes, np.array([2, 4, 4, 4])))
    assert fit.n_parameters == 14
    assert np.isnan(fit.thresholds[0, 1:]).all()
    assert abs(fit.thresholds[0, 0]) < 0.15  # planted at 0; standard error about 0.05


def test_many_sharp_items_are_integrated_on_a_finer_grid():
    sample, _ = planted(400, 2, np.full(25, 3.0), np.tile([-1.0, 0.0, 1.0], (25, 1)))
    assert len(graded_model(sample).nodes) > 61


def test_two_items_are_refused():
    sample = neuroticism()
    with pytest.raises(DataError, match="three items"):
        graded_model(OrdinalSample(sample.names[:2], sample.codes[:, :2], sample.n_categories[:2]))


def test_an_item_that_repeats_another_is_refused():
    sample, _ = planted(500, 3, np.full(3, 1.0), np.tile([-1.0, 1.0], (3, 1)))
    codes = np.column_stack([sample.codes[:, 0], sample.codes])
    with pytest.raises(EstimationError, match="grows without end"):
        graded_model(OrdinalSample(("copy", *sample.names), codes, np.full(4, 3)))


# simulation


def test_planted_items_are_recovered_and_intervals_cover_them():
    slopes, thresholds = np.array([0.8, 1.2, 1.7, 2.2, 1.4]), np.sort(
        np.random.default_rng(3).uniform(-1.8, 1.8, (5, 3)), axis=1
    )  # fmt: skip
    inside = []
    for seed in range(40):
        sample, _ = planted(700, seed, slopes, thresholds)
        holes = np.random.default_rng(seed).random(sample.codes.shape) < 0.05
        fit = graded_model(
            OrdinalSample(sample.names, np.where(holes, -1, sample.codes).astype(np.int8), sample.n_categories)
        )
        of_slopes, of_thresholds = fit.errors
        inside += [*(np.abs(fit.slopes - slopes) < 1.96 * of_slopes)]
        inside += [*(np.abs(fit.thresholds - thresholds) < 1.96 * of_thresholds).ravel()]
    assert 0.93 < np.mean(inside) < 0.97  # 800 intervals of 95 %, those of one data set related


def test_expected_attitudes_are_as_far_off_as_their_errors_say():
    squares, variances = [], []
    for seed in range(6):
        sample, attitude = planted(3000, seed, np.full(12, 1.8), np.tile([-1.0, 0.0, 1.0], (12, 1)))
        mean, error = attitudes(graded_model(sample), sample)
        squares.append(np.mean((mean - attitude) ** 2))
        variances.append(np.mean(error**2))
    assert np.mean(squares) == pytest.approx(np.mean(variances), rel=0.04)  # simulation error 1.2 %


def test_who_answered_nothing_has_no_attitude():
    sample = neuroticism()
    silent = OrdinalSample(sample.names, np.full((1, 4), -1, np.int8), sample.n_categories)
    assert np.isnan(attitudes(graded_model(sample), silent)).all()


def test_attitudes_without_an_item_do_not_know_its_answers():
    sample, _ = planted(600, 9, np.full(4, 1.5), np.tile([-1.0, 0.0, 1.0], (4, 1)))
    fit, groups = graded_model(sample), np.zeros(600, int)
    without, overall = rest_attitudes(fit, sample, groups)
    changed = sample.codes.copy()
    same_rest = np.flatnonzero((changed[:, 1:] == changed[0, 1:]).all(axis=1))
    assert np.ptp(without[same_rest, 0]) < 1e-12 < np.ptp(overall[same_rest])  # equal sums, then really different ones
