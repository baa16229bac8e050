"""Laws of `smstudy.inference.regression.small_clusters`, and agreement with R clubSandwich."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm, t

from smstudy.errors import DataError
from smstudy.inference.regression.counts import count_clusters, count_fit
from smstudy.inference.regression.covariance import robust
from smstudy.inference.regression.least_squares import least_squares
from smstudy.inference.regression.logistic import logistic
from smstudy.inference.regression.multinomial import multinomial_clusters, multinomial_fit
from smstudy.inference.regression.ordinal import ordinal_clusters, ordinal_fit, proportionality
from smstudy.inference.regression.small_clusters import (
    cluster_grams,
    cluster_sums,
    likelihood_clusters,
    resting_on_one,
    small_clusters,
)

FOLDER = Path(__file__).parents[2] / "reference"
EXPECTED = json.loads((FOLDER / "clusters.json").read_text(encoding="utf-8"))
PEOPLE = pd.read_csv(FOLDER / "clusters.csv")
FEW = PEOPLE[PEOPLE["team"] <= "team 12"]
CLOSED = {"rtol": 1e-8, "atol": 1e-12}  # closed forms; R writes 15 digits
ROUNDING = {"rtol": 1e-9, "atol": 1e-14}  # the same sums by another route
SLOPES = np.eye(5)[1:]


def design(frame, *columns, fixed=False):
    roles = [frame["role"] == role for role in ("expert", "manager")] if "role" in columns else []
    teams = [frame["team"] == team for team in sorted(frame["team"].unique())[1:]] if fixed else []
    numbers = [frame[name] for name in columns if name != "role"]
    return np.column_stack([np.ones(len(frame)), *numbers, *roles, *teams]).astype(float)


def codes(frame):
    return pd.factorize(frame["team"])[0]


def linear(frame, x, outcome="use"):
    fit = least_squares(x, frame[outcome].to_numpy(), names=[f"x{i}" for i in range(x.shape[1])])
    return fit.coefficients, small_clusters(fit.basis, fit.root, fit.residuals, codes(frame))


def logit(frame, x):
    fit = logistic(x, frame["active"].to_numpy(float), names=[f"x{i}" for i in range(x.shape[1])])
    return fit.coefficients, small_clusters(fit.basis, fit.root, fit.residuals, codes(frame), variance=fit.variance)


def check(found, expected, places, **tolerance):
    coefficients, clusters = found
    np.testing.assert_allclose(coefficients[places], expected["estimate"], **tolerance)
    np.testing.assert_allclose(clusters.covariance[np.ix_(places, places)], expected["covariance"], **tolerance)
    np.testing.assert_allclose(clusters.df()[places], expected["df"], **tolerance)
    slopes = [place for place in places if place]
    contrasts = np.eye(len(coefficients))[slopes]
    np.testing.assert_allclose(clusters.joint_test(coefficients, contrasts), expected["joint"], **tolerance)


@pytest.mark.parametrize(("name", "frame"), [("many", PEOPLE), ("few", FEW)])
def test_agrees_with_clubsandwich(name, frame):
    check(linear(frame, design(frame, "support", "climate", "role")), EXPECTED[name], list(range(5)), **CLOSED)


def test_a_treatment_of_three_teams_agrees_with_clubsandwich():
    check(linear(FEW, design(FEW, "support", "trained")), EXPECTED["trained"], [0, 1, 2], **CLOSED)


def test_a_coefficient_per_team_agrees_with_clubsandwich():
    check(linear(FEW, design(FEW, "support", "role", fixed=True)), EXPECTED["fixed"], [1, 2, 3], **CLOSED)


@pytest.mark.parametrize(("name", "frame"), [("logit_many", PEOPLE), ("logit_few", FEW)])
def test_a_logit_agrees_with_clubsandwich(name, frame):
    check(logit(frame, design(frame, "support", "climate", "role")), EXPECTED[name], list(range(5)), **CLOSED)


def test_a_logit_with_a_coefficient_per_team_agrees_with_clubsandwich():
    check(logit(FEW, design(FEW, "support", "role", fixed=True)), EXPECTED["logit_fixed"], [1, 2, 3], **CLOSED)


@pytest.mark.parametrize("name", ["many", "logit_many"])
def test_degrees_of_freedom_of_a_contrast_agree_with_clubsandwich(name):
    fit = (linear if name == "many" else logit)(PEOPLE, design(PEOPLE, "support", "climate", "role"))
    contrast = np.array([0.0, 1, -1, 0, 0])
    error = np.sqrt(contrast @ fit[1].covariance @ contrast)
    found = [contrast @ fit[0], error, fit[1].df(contrast).item()]
    np.testing.assert_allclose(found, EXPECTED[name]["contrast"], **CLOSED)


@pytest.mark.parametrize("name", ["poisson", "probit"])
def test_other_models_with_one_index_agree_with_clubsandwich(name):
    x, expected = design(FEW, "support", "climate", "role"), EXPECTED[name]
    index = x @ np.array(expected["estimate"])
    if name == "poisson":
        y, mean = np.round(np.exp(FEW["use"] / 4)), np.exp(index)
        slope = variance = mean
    else:
        y, mean, slope = FEW["active"], norm.cdf(index), norm.pdf(index)
        variance = mean * (1 - mean)
    fit = least_squares(x * (slope / np.sqrt(variance))[:, None], index, names=list("abcde"))
    found = small_clusters(fit.basis, fit.root, y.to_numpy(float) - mean, codes(FEW), variance=variance)
    check((np.array(expected["estimate"]), found), expected, list(range(5)), rtol=1e-6)  # R stops its steps earlier


def by_hand(x, residuals, groups, variance):
    """The textbook formulas with matrices as large as the clusters, as in Pustejovsky & Tipton (2018)."""
    n, p = x.shape
    bread = np.linalg.inv(x.T @ (x / variance[:, None]))
    rest = np.eye(n) - x @ bread @ (x / variance[:, None]).T
    adjusted = np.zeros((groups.max() + 1, n, p))
    for g in range(groups.max() + 1):
        own = np.flatnonzero(groups == g)
        root = np.diag(np.sqrt(variance[own]))
        middle = root @ (rest[own] * variance) @ rest[own].T @ root
        values, vectors = np.linalg.eigh(middle)
        power = np.where(values > 1e-12, np.maximum(values, 1e-12) ** -0.5, 0)
        adjust = root @ (vectors * power) @ vectors.T @ root
        adjusted[g, own] = adjust @ (x[own] / variance[own, None]) @ bread
    parts = np.einsum("gnp,n->gp", adjusted, residuals)
    spread = rest.T @ adjusted
    products = np.einsum("gnp,n,hnp->pgh", spread, variance, spread)
    df = np.trace(products, axis1=1, axis2=2) ** 2 / (products**2).sum(axis=(1, 2))
    return parts.T @ parts, df


@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_equals_the_formulas_with_large_matrices(spread):
    rng = np.random.default_rng(5)
    x, groups = np.column_stack([np.ones(70), rng.normal(size=(70, 3))]), rng.integers(0, 7, 70)
    variance = np.exp(spread * rng.normal(size=70))
    fit = least_squares(x / np.sqrt(variance)[:, None], rng.normal(size=70), names=list("abcd"))
    residuals = rng.normal(size=70)
    found = small_clusters(fit.basis, fit.root, residuals, groups, variance=variance if spread else None)
    covariance, df = by_hand(x, residuals, groups, variance)
    np.testing.assert_allclose(found.covariance, covariance, **ROUNDING)
    np.testing.assert_allclose(found.df(), df, **ROUNDING)


def test_equal_variances_are_the_linear_case():
    fit = least_squares(design(FEW, "support", "role", fixed=True), FEW["use"].to_numpy(), names=["x"] * 15)
    plain, same = (
        small_clusters(fit.basis, fit.root, fit.residuals, codes(FEW), variance=variance)
        for variance in (None, np.ones(len(FEW)))
    )
    np.testing.assert_allclose(same.covariance, plain.covariance, **ROUNDING)
    np.testing.assert_allclose(same.df()[1:4], plain.df()[1:4], **ROUNDING)


def test_clusters_of_one_are_hc2():
    fit = least_squares(design(FEW, "support", "role"), FEW["use"].to_numpy(), names=list("abcd"))
    found = small_clusters(fit.basis, fit.root, fit.residuals, np.arange(len(FEW)))
    np.testing.assert_allclose(found.covariance, robust(fit.influence, fit.residuals, fit.hat, "HC2"), **ROUNDING)


def test_the_mean_of_equal_clusters_has_one_degree_less_than_clusters():
    x, groups = np.ones((40, 1)), np.repeat(np.arange(8), 5)
    fit = least_squares(x, np.random.default_rng(2).normal(size=40), names=["a"])
    found = small_clusters(fit.basis, fit.root, fit.residuals, groups)
    means = fit.residuals.reshape(8, 5).mean(axis=1)
    assert found.df().item() == pytest.approx(7, rel=1e-12)  # a sum of squares of equal parts
    assert found.covariance.item() == pytest.approx(means.var(ddof=1) / 8, rel=1e-12)  # the textbook formula


def test_a_joint_test_of_one_contrast_is_its_t_test():
    coefficients, found = linear(FEW, design(FEW, "support", "climate", "role"))
    statistic, df, _ = found.joint_test(coefficients, SLOPES[:1])
    assert statistic == pytest.approx(coefficients[1] ** 2 / found.covariance[1, 1], rel=1e-9)  # other sums
    assert df == pytest.approx(found.df()[1], rel=1e-9)  # other sums


def test_too_many_contrasts_for_the_clusters_have_no_joint_test():
    few = PEOPLE[PEOPLE["team"] <= "team 04"]
    coefficients, found = linear(few, design(few, "support", "climate", "role"))
    assert np.isnan(found.joint_test(coefficients, SLOPES)).all()


def test_the_size_of_units_changes_nothing():
    x = design(FEW, "support", "climate", "role")
    factors = np.array([1.0, 1e6, 1e-6, 1.0, 1.0])
    once, again = linear(FEW, x)[1], linear(FEW, x * factors)[1]
    np.testing.assert_allclose(again.covariance * np.outer(factors, factors), once.covariance, **ROUNDING)
    np.testing.assert_allclose(again.df(), once.df(), **ROUNDING)


def test_what_rests_on_one_team_is_found():
    x = design(FEW, "support", "role", fixed=True)
    fit = least_squares(x, FEW["use"].to_numpy(), names=["x"] * 15)
    resting = resting_on_one(fit.basis, fit.root, codes(FEW))
    assert resting[[0, *range(4, 15)]].all() and not resting[1:4].any()
    one = np.where(FEW["team"] == "team 03", 1.0, -1.0)  # no zeros, and still one team decides
    fit = least_squares(np.column_stack([np.ones(len(FEW)), FEW["support"], one]), FEW["use"].to_numpy(), names="abc")
    assert resting_on_one(fit.basis, fit.root, codes(FEW)).tolist() == [True, False, True]


def test_one_cluster_is_refused():
    with pytest.raises(DataError, match="at least two clusters"):
        small_clusters(np.ones((4, 1)) / 2, np.ones((1, 1)), np.ones(4), np.zeros(4, dtype=int))


def test_intervals_cover_with_eight_unequal_clusters():
    """A team-level driver, 8 teams of 5 to 60: the share covered is near 95 %."""
    rng, hits = np.random.default_rng(11), []
    groups = np.repeat(np.arange(8), [5, 8, 12, 15, 20, 30, 45, 60])
    for _ in range(600):
        driver = rng.normal(size=8)[groups]
        y = rng.normal(size=8)[groups] * 0.5 + rng.normal(size=len(groups))
        fit = least_squares(np.column_stack([np.ones(len(y)), driver]), y, names="ab")
        found = small_clusters(fit.basis, fit.root, fit.residuals, groups)
        error, df = np.sqrt(found.covariance[1, 1]), found.df()[1]
        hits.append(abs(fit.coefficients[1]) <= error * t.isf(0.025, df))
    assert abs(np.mean(hits) - 0.95) < 3 * np.sqrt(0.95 * 0.05 / 600)  # three Monte-Carlo errors


# Fits by maximum likelihood


def simulated(rng, n_clusters, size):
    """Respondents of teams that differ, with a driver of the team that has no part and one of the person."""
    team = np.repeat(np.arange(n_clusters), size)
    shift = rng.normal(0, 0.6, n_clusters)[team]
    x = np.column_stack([np.ones(len(team)), rng.normal(size=n_clusters)[team], rng.normal(size=len(team))])
    latent = shift + rng.logistic(size=len(team))
    return {
        "team": team, "x": x, "ordinal": np.digitize(latent, [-1, 0, 1]),
        "multinomial": np.digitize(latent, [-0.7, 0.7]),
        "poisson": rng.poisson(np.exp(0.6 + 0.7 * shift)).astype(float),
    }  # fmt: skip


def fitted(data, kind):
    """Estimates of the team's driver with its place, and the errors."""
    x, y, team, names = data["x"], data[kind], data["team"], ["constant", "x", "z"]
    if kind == "ordinal":
        fit = ordinal_fit(x[:, 1:], y, names=names[1:])
        return fit, 0, ordinal_clusters(fit, x[:, 1:], y, team)
    if kind == "multinomial":
        fit = multinomial_fit(x, y, names=names)
        return fit, 4, multinomial_clusters(fit, x, team)
    fit = count_fit(x, y, names=names, family="poisson")
    return fit, 1, count_clusters(fit, x, y, team)


def test_scores_of_a_linear_model_give_its_cr2():
    x, groups = design(FEW, "support", "role"), codes(FEW)
    fit = least_squares(x, FEW["use"].to_numpy(), names=list("abcd"))
    expected = small_clusters(fit.basis, fit.root, fit.residuals, groups)
    sums = cluster_sums(x * fit.residuals[:, None], groups)
    found = likelihood_clusters(sums, cluster_grams(x, groups), fit.bread)
    np.testing.assert_allclose(found.covariance, expected.covariance, **ROUNDING)
    np.testing.assert_allclose(found.df(), expected.df(), **ROUNDING)


def test_if_the_model_is_right_the_errors_are_the_classical_ones_on_average():
    fit, _, clusters = fitted(simulated(np.random.default_rng(1), 8, 30), "multinomial")
    taken = np.einsum("gpq,gpr->qr", clusters.shared, clusters.shared)
    np.testing.assert_allclose(clusters.own.sum(axis=0) - taken, fit.covariance, rtol=1e-8)  # by another route


@pytest.mark.parametrize("kind", ["ordinal", "multinomial"])
def test_two_answers_are_one_model_with_the_errors_of_its_scores(kind):
    data = simulated(np.random.default_rng(2), 9, 20)
    data |= {kind: (data["ordinal"] > 1).astype(int)}
    fit, _, clusters = fitted(data, kind)
    plain = logistic(data["x"], data[kind].astype(float), names=list("abc"))
    weights = plain.fitted * (1 - plain.fitted)
    sums = cluster_sums(data["x"] * plain.residuals[:, None], data["team"])
    expected = likelihood_clusters(sums, cluster_grams(data["x"], data["team"], weights), plain.bread)
    same = np.array([1, 2, 0] if kind == "ordinal" else [0, 1, 2])  # the threshold, turned round, is the constant
    np.testing.assert_allclose(np.diag(clusters.covariance), np.diag(expected.covariance)[same], rtol=1e-6)  # iterated
    np.testing.assert_allclose(clusters.df(), expected.df()[same], rtol=1e-6)  # as above


def test_equal_rates_make_scores_and_working_model_one():
    rng, team = np.random.default_rng(3), np.repeat(np.arange(7), [5, 9, 12, 8, 30, 6, 11])
    y, x = rng.poisson(3, len(team)).astype(float), np.ones((len(team), 1))
    fit = count_fit(x, y, names=["constant"], family="poisson")
    working = count_clusters(fit, x, y, team)
    scored = likelihood_clusters(cluster_sums(fit.scores, team), cluster_grams(x, team, fit.rate), fit.covariance)
    np.testing.assert_allclose(scored.covariance, working.covariance, rtol=1e-8)  # an integral rule against a root
    np.testing.assert_allclose(scored.df(), working.df(), rtol=1e-8)  # as above


@pytest.mark.parametrize("n_clusters", [6, 8, 12])
def test_tests_hold_their_level_with_few_clusters(n_clusters):
    rng, rounds, rejected = np.random.default_rng(4), 100, {"ordinal": 0, "multinomial": 0, "poisson": 0}
    for _ in range(rounds):
        data = simulated(rng, n_clusters, rng.integers(8, 30, n_clusters))
        for kind in rejected:
            fit, place, clusters = fitted(data, kind)
            error = np.sqrt(clusters.covariance[place, place])
            p = 2 * t.sf(abs(fit.parameters[place]) / error, clusters.df()[place])
            rejected[kind] += (p < 0.05) / rounds
    assert max(rejected.values()) <= 0.05 + 3 * 0.022  # three simulation errors


def test_the_test_of_proportional_odds_holds_its_level_with_few_clusters():
    rng, rounds, rejected = np.random.default_rng(5), 100, 0
    for _ in range(rounds):
        data = simulated(rng, 10, rng.integers(15, 40, 10))
        x, y = data["x"][:, 1:], data["ordinal"]
        test = proportionality(ordinal_fit(x, y, names=["x", "z"]), x, y, [[0], [1]], groups=data["team"])
        rejected += np.array([one.p_value < 0.05 for one in test]).mean() / rounds
    assert rejected <= 0.05 + 3 * 0.022  # as above


def test_one_cluster_of_scores_is_refused():
    with pytest.raises(DataError, match="at least two"):
        likelihood_clusters(np.ones((1, 1)), np.ones((1, 1, 1)), np.ones((1, 1)))
