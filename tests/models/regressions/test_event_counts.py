"""Laws of `smstudy.models.regressions.event_counts`, agreement with R, and refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smstudy.errors import DataError, DisclosureError, EstimationError, SmstudyError, StudyError
from smstudy.inference.regression.counts import count_fit, excess_zeros, overdispersion
from smstudy.inference.regression.design import POOLED
from smstudy.models.regressions.event_counts import counts
from smstudy.vocabulary import GLANCE, TIDY

FOLDER = Path(__file__).parents[2] / "reference"
REFERENCE = json.loads((FOLDER / "event_counts.json").read_text(encoding="utf-8"))
PEOPLE = pd.read_csv(FOLDER / "categories.csv").dropna()
FORMULA = "posts ~ leadership + trained + role"
ITERATED = {"rtol": 1e-6, "atol": 1e-9}  # two iterations that stop at different places
FAMILIES = ["poisson", "negative_binomial", "zero_inflated_poisson", "zero_inflated_negative_binomial"]
INFLATED = ["zero_inflated_poisson", "zero_inflated_negative_binomial"]


def fitted(family, **options):
    more = {"zero": "~ readiness + trained"} if family in INFLATED else {}
    return counts(FORMULA, PEOPLE, family=family, exposure="years", **more, **options)


def names_of(result):
    return {finding.name for finding in result.findings}


# Agreement with R


@pytest.mark.parametrize("family", FAMILIES)
def test_agrees_with_r(family):
    result, expected = fitted(family), REFERENCE[family]
    k = len(expected["estimate"])
    tidy, glance = result.tidy()[:k], result.glance()
    np.testing.assert_allclose(tidy["estimate"], expected["estimate"], **ITERATED)
    np.testing.assert_allclose(tidy["std_error"], expected["classical"], **ITERATED)
    assert glance["log_likelihood"] == pytest.approx(expected["log_likelihood"], rel=1e-10)  # flat at the maximum


@pytest.mark.parametrize("family", INFLATED)
def test_agrees_with_zeroinfl(family):
    tidy, expected = fitted(family).tidy(), REFERENCE[family]
    k = len(expected["zeroinfl_se"])
    np.testing.assert_allclose(tidy["estimate"][:k], expected["zeroinfl"][:k], rtol=1e-6)  # optim stops earlier
    np.testing.assert_allclose(tidy["std_error"][:k], expected["zeroinfl_se"], rtol=1e-5)  # its numerical Hessian


def test_agrees_with_glm_nb():
    result, expected = fitted("negative_binomial"), REFERENCE["negative_binomial"]
    tidy = result.tidy()
    np.testing.assert_allclose(tidy["estimate"][:5], expected["glm_nb"], rtol=1e-6)  # glm.nb stops earlier
    np.testing.assert_allclose(tidy["std_error"][:5], expected["glm_nb_se"], rtol=1e-6)  # as above
    assert result.glance()["theta"] == pytest.approx(expected["theta"], rel=1e-6)  # iterated
    assert tidy["std_error"].iloc[-1] * expected["theta"] == pytest.approx(
        expected["se_theta"], rel=1e-6
    )  # of log theta


@pytest.mark.parametrize(("family", "kind"), [
    ("poisson", "HC0"), ("poisson", "CR1"), ("negative_binomial", "HC0"),
    *((family, kind) for family in INFLATED for kind in ("HC0", "CR1")),
])  # fmt: skip
def test_agrees_with_sandwich(family, kind):
    tidy = fitted(family, covariance=kind, cluster="unit" if kind == "CR1" else None).tidy()
    expected = REFERENCE[family][kind]
    np.testing.assert_allclose(tidy["std_error"][: len(expected)], expected, **ITERATED)


def test_weights_agree_with_svyglm():
    tidy = fitted("poisson", weights="weight", cluster="unit").tidy()
    np.testing.assert_allclose(tidy["estimate"], REFERENCE["poisson"]["weighted"]["estimate"], **ITERATED)
    np.testing.assert_allclose(tidy["std_error"], REFERENCE["poisson"]["weighted"]["se"], **ITERATED)


def test_overdispersion_and_too_many_zeros_are_found_as_by_hand_in_r():
    x = np.column_stack([np.ones(len(PEOPLE)), PEOPLE[["leadership", "trained"]], PEOPLE["role"] == "expert",
                         PEOPLE["role"] == "manager"]).astype(float)  # fmt: skip
    y = PEOPLE["posts"].to_numpy(float)
    fit = count_fit(x, y, names=list("cltem"), family="poisson", offset=np.log(PEOPLE["years"].to_numpy()))
    spread, zeros, expected = overdispersion(fit, y, 5), excess_zeros(fit, x, y), REFERENCE["poisson"]
    dispersion = (expected["dispersion"], expected["dean"])
    assert (spread.found, spread.statistic) == pytest.approx(dispersion, rel=1e-8)  # glm stops at 1e-8
    assert zeros.statistic == pytest.approx(expected["zeros"], rel=1e-7)  # rests on the covariance of both sides
    assert (zeros.found, zeros.expected) == pytest.approx(tuple(expected["zero_share"]), rel=1e-8)  # closed form
    assert {"overdispersion", "excess_zeros"} <= names_of(fitted("poisson"))
    assert "overdispersion" not in names_of(fitted("negative_binomial"))


# Laws


def test_columns_and_keys_come_from_the_vocabulary():
    for family in FAMILIES:
        result = fitted(family)
        assert set(result.shown()) <= set(TIDY)
        assert set(result.glance()) <= set(GLANCE)


def test_twice_the_exposure_halves_the_rate():
    doubled = PEOPLE.assign(years=2 * PEOPLE["years"])
    one, two = (counts(FORMULA, people, exposure="years").tidy()["estimate"] for people in (PEOPLE, doubled))
    np.testing.assert_allclose(two[0], one[0] - np.log(2), rtol=1e-9)  # two searches of one maximum
    np.testing.assert_allclose(two[1:], one[1:], rtol=1e-7)  # as above


def test_left_out_the_zero_part_has_the_terms_of_the_formula():
    tidy = counts(FORMULA, PEOPLE, family="zero_inflated_poisson").tidy()
    assert (
        tidy.loc[tidy["category"] == "never", "term"].tolist()
        == tidy.loc[tidy["category"] == "how often", "term"].tolist()
    )


def test_weights_of_one_change_nothing():
    plain, weighted = counts(FORMULA, PEOPLE), counts(FORMULA, PEOPLE.assign(one=1.0), weights="one")
    np.testing.assert_allclose(weighted.tidy()["estimate"], plain.tidy()["estimate"], rtol=1e-9)  # same sums


def test_rows_with_gaps_are_left_out_and_counted():
    gaps = PEOPLE.assign(years=PEOPLE["years"].where(np.arange(len(PEOPLE)) >= 9))
    glance = counts(FORMULA, gaps, exposure="years").glance()
    assert (glance["n"], glance["n_dropped"]) == (len(PEOPLE) - 9, 9)


def test_the_sentence_says_how_many_times_as_many():
    reading = fitted("poisson").tidy().set_index("term")["reading"]
    assert reading["trained"] == "goes with more events: 1.73 times as many"
    assert reading["role[manager]"] == "direction uncertain"


def test_results_can_be_pooled():
    pooling = fitted("zero_inflated_poisson").pooling()
    assert not pooling.keys.duplicated().any()
    assert pooling.covariance.shape == (8, 8)


# Bad input


@pytest.mark.parametrize(("change", "error", "words"), [
    ({"posts": -1.0}, DataError, "negative"),
    ({"posts": 1.5}, DataError, "fractions"),
    ({"posts": "many"}, DataError, "no number"),
    ({"posts": 2.0}, DataError, "same value"),
    ({"leadership": 3.0}, DataError, "same value"),
])  # fmt: skip
def test_a_column_that_cannot_be_used_is_refused(change, error, words):
    with pytest.raises(error, match=words):
        counts(FORMULA, PEOPLE.assign(**change))


@pytest.mark.parametrize(("formula", "options", "error", "words"), [
    (FORMULA, {"family": "posson"}, StudyError, "poisson"),
    (FORMULA, {"zero": "~ role"}, StudyError, "zero-inflated"),
    (FORMULA, {"zero": "role", "family": INFLATED[0]}, StudyError, "without an outcome"),
    (FORMULA, {"exposure": "yers"}, DataError, "years"),
    (FORMULA, {"covariance": "HC3"}, StudyError, "HC3"),
    (FORMULA, {"covariance": "HC0", "weights": "weight"}, StudyError, "sampling"),
    (FORMULA, {"conf_level": 95}, StudyError, "level"),
    ("log(posts) ~ role", {}, StudyError, "as they are"),
    ("posts ~ 1", {}, StudyError, "names nothing"),
    ("posts ~ 0 + role", {}, StudyError, "constant"),
    ("post ~ role", {}, DataError, "posts"),
])  # fmt: skip
def test_options_that_cannot_be_read_are_refused(formula, options, error, words):
    with pytest.raises(error, match=words):
        counts(formula, PEOPLE, **options)


def test_an_exposure_of_zero_is_refused():
    with pytest.raises(DataError, match="above 0"):
        counts(FORMULA, PEOPLE.assign(years=0.0), exposure="years")


def test_a_group_without_any_event_is_counted_with_another_or_refused():
    silent = PEOPLE.assign(posts=PEOPLE["posts"].where(PEOPLE["role"] != "expert", 0))
    for family in ("poisson", "negative_binomial"):
        terms = set(counts(FORMULA, silent, family=family).tidy()["term"])
        assert "role[expert]" not in terms and f"role[{POOLED}]" in terms
        with pytest.raises(DisclosureError, match="with an event"):
            counts("posts ~ expert", silent.assign(expert=(silent["role"] == "expert") * 1), family=family)


def test_counts_that_vary_too_little_are_no_negative_binomial():
    even = PEOPLE.assign(posts=np.arange(len(PEOPLE)) % 2 + 3)
    with pytest.raises(EstimationError, match="poisson"):
        counts(FORMULA, even, family="negative_binomial")


def test_counts_without_too_many_zeros_are_not_inflated():
    rng = np.random.default_rng(1)
    plain = PEOPLE.assign(posts=rng.poisson(4, len(PEOPLE)))
    with pytest.raises(SmstudyError):
        counts(FORMULA, plain, family="zero_inflated_poisson", zero="~ readiness")


def test_few_people_with_events_are_protected():
    rare = PEOPLE.assign(posts=(np.arange(len(PEOPLE)) < 3) * 2)
    with pytest.raises(DisclosureError, match="Fewer than 5"):
        counts(FORMULA, rare)


def test_fewer_respondents_than_parameters_are_refused():
    with pytest.raises(DataError, match="cannot carry"):
        counts("posts ~ leadership * readiness * tenure", PEOPLE[:8])


# Who never has an event


ERRORS = json.loads((FOLDER / "likelihood_errors.json").read_text(encoding="utf-8"))
ARTICLES = pd.read_csv(FOLDER / "articles.csv")
ZERO = {
    "ment": ("art ~ fem + kid5 + phd + ment", "~ ment"),
    "two": ("art ~ fem + kid5 + phd + ment", "~ ment + phd"),
    "all": ("art ~ fem + C(mar, ref='Single') + kid5 + phd + ment", None),
}


@pytest.mark.parametrize("name", list(ZERO))
@pytest.mark.parametrize("family", ["poisson", "negbin"])
def test_articles_of_biochemists_agree_with_zeroinfl(name, family):
    formula, zero = ZERO[name]
    kind = "zero_inflated_poisson" if family == "poisson" else "zero_inflated_negative_binomial"
    result, expected = counts(formula, ARTICLES, family=kind, zero=zero), ERRORS["zero"][family][name]
    tidy = result.tidy()
    np.testing.assert_allclose(tidy["estimate"], expected["estimate"], rtol=1e-5, atol=1e-6)  # numerical slopes in R
    np.testing.assert_allclose(tidy["std_error"], expected["se"], rtol=1e-4)  # numerical Hessian in R
    assert result.glance()["log_likelihood"] == pytest.approx(expected["log_likelihood"], rel=1e-10)  # flat at the top


def test_a_driver_with_few_high_values_is_no_reason_to_refuse():
    rng, x = np.random.default_rng(6), np.random.default_rng(5).lognormal(0, 1.2, 1500)
    never = rng.random(1500) < 1 / (1 + np.exp(-(0.5 - 0.8 * x)))
    people = pd.DataFrame({"x": x, "posts": np.where(never, 0, rng.poisson(2.0, 1500))})
    tidy = counts("posts ~ x", people, family="zero_inflated_poisson").tidy()
    assert -0.8 * x.max() < -20  # log odds of never of the one with the highest value
    slope = tidy.loc[(tidy["term"] == "x") & (tidy["category"] == "never")].iloc[0]
    assert slope["conf_low"] < -0.8 < slope["conf_high"]
    assert slope["estimate"] == pytest.approx(-0.8, abs=0.3)  # about three errors


@pytest.mark.parametrize("unit", [1.0, 1e-3, 1e3])
@pytest.mark.parametrize("family", INFLATED)
def test_log_odds_of_never_that_grow_without_end_are_refused(unit, family):
    rng, group = np.random.default_rng(7), np.repeat([0, 1], 300)
    y = rng.poisson(3.0, 600) * np.where(group == 0, rng.integers(0, 2, 600), 1)
    y[(group == 1) & (y == 0)] = 1  # of those with 1 everybody has an event
    x = np.column_stack([np.ones(600), group * unit])
    names = ["(intercept)", "group"]
    with pytest.raises(EstimationError, match="grows without end"):
        count_fit(x, y.astype(float), names=names, family=family, zero=x, zero_names=names)


def test_counts_that_vary_less_than_poisson_are_found():
    rng = np.random.default_rng(8)
    people = pd.DataFrame({"x": rng.normal(size=300)})
    people["posts"] = (people["x"] + rng.logistic(size=300) > 0) * 1
    found = {finding.name: finding.text for finding in counts("posts ~ x", people).findings}
    assert "classical errors are too large" in found["underdispersion"]
    assert 'regress(family="logit")' in found["underdispersion"]
    assert "underdispersion" not in names_of(counts("posts ~ x", people, covariance="HC0"))


def test_the_test_of_dispersion_holds_its_level_on_both_sides():
    rng, found = np.random.default_rng(9), []
    for _ in range(150):
        x = np.column_stack([np.ones(300), rng.normal(size=300)])
        y = rng.poisson(np.exp(0.5 + 0.3 * x[:, 1])).astype(float)
        fit = count_fit(x, y, names=["constant", "x"], family="poisson")
        found.append(overdispersion(fit, y, 2).p_value < 0.05)
    assert abs(np.mean(found) - 0.05) < 3 * 0.018  # three simulation errors
