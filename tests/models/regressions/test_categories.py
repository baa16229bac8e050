"""Laws of `smstudy.models.regressions.categories`, agreement with R, and refusals."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

from smstudy.errors import DataError, DisclosureError, EstimationError, SmstudyError, StudyError
from smstudy.models.regressions.categories import multinomial, ordinal
from smstudy.models.regressions.regression import regress
from smstudy.survey.codebook import Category, Codebook, Variable
from smstudy.survey.dataset import Survey
from smstudy.vocabulary import GLANCE, TIDY

FOLDER = Path(__file__).parents[2] / "reference"
REFERENCE = json.loads((FOLDER / "categories.json").read_text(encoding="utf-8"))
PEOPLE = pd.read_csv(FOLDER / "categories.csv")
FORMULA = "agree ~ leadership + readiness + trained + log(tenure) + role"
TERMS = ["leadership", "readiness", "trained", "log(tenure)", "role"]
ITERATED = {"rtol": 1e-6, "atol": 1e-9}  # two iterations that stop at different places
LOOSE = {"rtol": 1e-5, "atol": 1e-6}  # polr and svyolr stop early


def names_of(result):
    return {finding.name for finding in result.findings}


@pytest.fixture(scope="module")
def fits():
    return {link: ordinal(FORMULA, PEOPLE, link=link) for link in ("logit", "probit")}


# Agreement with R


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_agrees_with_clm_and_polr(fits, link):
    expected, tidy, glance = REFERENCE["ordinal"][link], fits[link].tidy(), fits[link].glance()
    assert tidy["term"].tolist()[-4:] == ["1|2", "2|3", "3|4", "4|5"]
    np.testing.assert_allclose(tidy["estimate"], expected["estimate"], **ITERATED)
    np.testing.assert_allclose(tidy["estimate"], expected["polr"], **LOOSE)
    np.testing.assert_allclose(tidy["std_error"], expected["classical"], **ITERATED)
    assert glance["n"] == expected["n"]
    for ours, theirs in (("log_likelihood",) * 2, ("aic",) * 2, ("bic",) * 2, ("statistic", "lr"),
                         ("r2_mcfadden", "mcfadden"), ("r2_nagelkerke", "nagelkerke")):  # fmt: skip
        assert glance[ours] == pytest.approx(expected[theirs], rel=1e-8)  # flat at the maximum


@pytest.mark.parametrize("kind", ["HC0", "CR0", "CR1"])
@pytest.mark.parametrize("link", ["logit", "probit"])
def test_agrees_with_sandwich(link, kind):
    tidy = ordinal(FORMULA, PEOPLE, link=link, covariance=kind, cluster="unit" if kind[0] == "C" else None).tidy()
    np.testing.assert_allclose(tidy["std_error"], REFERENCE["ordinal"][link][kind], **ITERATED)


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_the_test_of_proportional_odds_agrees_with_nominal_test(fits, link):
    tidy = fits[link].tidy().set_index("term")["p_proportional"]
    expected = dict(zip(TERMS, chi2.sf(REFERENCE["ordinal"][link]["nominal"], [3, 3, 3, 3, 6]), strict=True))
    for term in TERMS:
        own = "role[expert]" if term == "role" else term
        assert tidy[own] == pytest.approx(expected[term], rel=1e-5)  # clm's freer model stops at a gradient of 1e-10


def test_all_drivers_together_are_the_test_of_parallel_lines(fits):
    expected = chi2.sf(REFERENCE["ordinal"]["logit"]["parallel"], 18)
    assert fits["logit"].glance()["p_proportional"] == pytest.approx(expected, rel=1e-5)  # as above


def test_weights_agree_with_svyolr():
    complete = PEOPLE.dropna()
    tidy = ordinal("agree ~ leadership + readiness + trained", complete, weights="weight", cluster="unit").tidy()
    expected = REFERENCE["ordinal"]["weighted"]
    np.testing.assert_allclose(tidy["estimate"], expected["estimate"], **LOOSE)
    np.testing.assert_allclose(tidy["std_error"], expected["se"], rtol=1e-4)  # svyolr has a numerical Hessian


CHOICE = "tool ~ leadership + readiness + trained + role"


def test_agrees_with_multinom():
    result = multinomial(CHOICE, PEOPLE)
    expected, tidy, glance = REFERENCE["multinomial"], result.tidy(), result.glance()
    np.testing.assert_allclose(tidy["estimate"], expected["estimate"], **ITERATED)
    np.testing.assert_allclose(tidy["std_error"], expected["classical"], **ITERATED)
    np.testing.assert_allclose(tidy["std_error"], expected["multinom_se"], **ITERATED)
    for ours, theirs in (("log_likelihood",) * 2, ("aic",) * 2, ("statistic", "lr"), ("r2_mcfadden", "mcfadden")):
        assert glance[ours] == pytest.approx(expected[theirs], rel=1e-8)  # flat at the maximum


@pytest.mark.parametrize("kind", ["HC0", "CR1"])
def test_the_sandwich_of_a_multinomial_agrees_with_one_by_hand(kind):
    tidy = multinomial(CHOICE, PEOPLE, covariance=kind, cluster="unit" if kind[0] == "C" else None).tidy()
    np.testing.assert_allclose(tidy["std_error"], REFERENCE["multinomial"][kind], **ITERATED)


# Laws


def test_columns_and_keys_come_from_the_vocabulary(fits):
    for result in (*fits.values(), multinomial(CHOICE, PEOPLE)):
        assert set(result.shown()) <= set(TIDY)
        assert set(result.glance()) <= set(GLANCE)


def test_two_answers_give_logistic_regression():
    people = PEOPLE.assign(high=(PEOPLE["agree"] > 3) * 1.0)
    formula = "high ~ leadership + role"
    plain = regress(formula, people, family="logit").tidy()
    for fit in (ordinal(formula, people), multinomial(formula, people)):
        tidy = fit.tidy().set_index("term")
        for term in ("leadership", "role[expert]"):
            expected = plain.set_index("term").loc[term]
            assert tidy.loc[term, "estimate"] == pytest.approx(expected["estimate"], abs=1e-8)  # one maximum
            assert tidy.loc[term, "std_error"] == pytest.approx(expected["std_error"], abs=1e-8)  # as above


def test_turning_the_answers_round_turns_the_signs():
    turned = ordinal(FORMULA, PEOPLE.assign(agree=-PEOPLE["agree"])).tidy()["estimate"]
    plain = ordinal(FORMULA, PEOPLE).tidy()["estimate"]
    np.testing.assert_allclose(turned[:6], -plain[:6], atol=1e-8)  # two searches of one maximum


def test_another_reference_moves_the_estimates_only():
    chat, wiki = multinomial(CHOICE, PEOPLE), multinomial(CHOICE, PEOPLE, reference="wiki")
    one = chat.tidy().query("term == 'leadership'").set_index("category")["estimate"]
    two = wiki.tidy().query("term == 'leadership'").set_index("category")["estimate"]
    assert two["chat"] == pytest.approx(-one["wiki"], abs=1e-8)  # two searches of one maximum
    assert two["forum"] == pytest.approx(one["forum"] - one["wiki"], abs=1e-8)  # as above
    assert wiki.glance()["log_likelihood"] == pytest.approx(chat.glance()["log_likelihood"], abs=1e-8)  # as above


def test_an_ordered_categorical_keeps_its_order_and_its_words():
    words = ["never", "rarely", "sometimes", "often", "always"]
    answers = pd.Categorical.from_codes(PEOPLE["agree"] - 1, words, ordered=True)
    result = ordinal(FORMULA, PEOPLE.assign(agree=answers))
    assert result.tidy()["term"].tolist()[-4:] == [
        "never|rarely",
        "rarely|sometimes",
        "sometimes|often",
        "often|always",
    ]
    np.testing.assert_allclose(result.tidy()["estimate"], ordinal(FORMULA, PEOPLE).tidy()["estimate"])


def test_the_codebook_gives_order_and_words():
    words = ["low", "rather low", "middle", "rather high", "high"]
    options = tuple(Category(value=str(i + 1), label=word) for i, word in enumerate(words))
    variables = tuple(
        Variable(name=name, column=name, title=title, kind=kind, categories=options if name == "agree" else ())
        for name, title, kind in (("agree", "Agreement", "category"), ("leadership", "Support by leaders", "number"))
    )
    none = pd.DataFrame(columns=["row", "variable", "reason"])
    answers = PEOPLE[["agree", "leadership"]].assign(agree=PEOPLE["agree"].map(dict(enumerate(words, 1))))
    survey = Survey(answers=answers, codebook=Codebook(title="T", variables=variables), missing=none)
    result = ordinal("agree ~ leadership", survey)
    assert result.tidy()["term"].tolist() == ["leadership", *(f"{a}|{b}" for a, b in zip(words[:-1], words[1:]))]
    assert result.title == "What goes with Agreement"
    expected = ordinal("agree ~ leadership", PEOPLE).tidy()["estimate"]
    np.testing.assert_allclose(result.tidy()["estimate"], expected)


def test_weights_of_one_change_nothing():
    ones = PEOPLE.assign(one=1.0)
    plain, weighted = ordinal(FORMULA, PEOPLE), ordinal(FORMULA, ones.dropna(), weights="one")
    np.testing.assert_allclose(weighted.tidy()["estimate"], plain.tidy()["estimate"], rtol=1e-9)  # same sums
    n = plain.glance()["n"]
    expected = ordinal(FORMULA, PEOPLE, covariance="HC0").tidy()["std_error"] * np.sqrt(n / (n - 1))
    np.testing.assert_allclose(weighted.tidy()["std_error"], expected, rtol=1e-8)  # everybody is a cluster


def test_an_answer_nobody_gave_is_a_finding():
    answers = pd.Categorical.from_codes(PEOPLE["agree"] - 1, list("abcdef"), ordered=True)
    result = ordinal(FORMULA, PEOPLE.assign(agree=answers))
    assert "empty_category" in names_of(result)
    assert len(result.outcomes) == 5


def test_controls_are_estimated_and_not_shown():
    result = ordinal("agree ~ leadership + C(role)", PEOPLE)
    assert {"role[expert]", "role[manager]"} <= set(result.tidy()["term"])
    assert not result.layout(result.shown())["term"].str.startswith("role").any()


def test_a_driver_that_works_at_one_step_only_is_found():
    rng = np.random.default_rng(3)
    x, latent = rng.normal(size=900), rng.logistic(size=900)
    answers = 1 * (latent + 1.5 * x > -1) + (latent > 1) * (latent + 1.5 * x > -1)
    people = pd.DataFrame({"x": x, "z": rng.normal(size=900), "agree": answers})
    result = ordinal("agree ~ x + z", people)
    assert "not_proportional" in names_of(result)
    assert result.tidy().set_index("term").loc["z", "p_proportional"] > 0.01  # it has no part


def test_the_test_of_proportional_odds_holds_its_level_with_teams():
    rng, rejected = np.random.default_rng(7), []
    for _ in range(60):
        team = np.repeat(np.arange(50), 8)
        x = rng.normal(size=50)[team]
        latent = 0.5 * x + rng.normal(0, 1, 50)[team] + rng.logistic(size=400)
        people = pd.DataFrame({"x": x, "team": team.astype(str), "agree": np.searchsorted([-1.5, 0, 1.5], latent)})
        rejected.append(ordinal("agree ~ x", people, cluster="team").tidy()["p_proportional"][0] < 0.05)
    assert np.mean(rejected) < 0.15  # 5 % and three simulation errors of 2.8 %


def test_clusters_that_a_term_is_made_of_give_no_error():
    result = ordinal("agree ~ leadership + C(unit)", PEOPLE, cluster="unit", min_n=5)
    tidy = result.tidy().set_index("term")
    assert np.isfinite(tidy.loc["leadership", "std_error"])
    assert "cluster_is_term" in names_of(result)


def test_readings_say_the_size_and_never_a_cause(fits):
    reading = fits["logit"].tidy()["reading"]
    assert reading[0] == "goes with higher answers: odds 1.84 times as large, medium"
    assert not reading.str.contains("effect|lead to|cause").any()


def test_results_can_be_drawn_rendered_and_pooled(fits):
    for result in (fits["logit"], multinomial(CHOICE, PEOPLE)):
        plt.close(result.plot().get_figure())
        assert result.to_html() and result.to_record() and result.alt_text()
        pooling = result.pooling()
        assert not pooling.keys.duplicated().any()
        assert pooling.covariance.shape == (len(result.tidy()),) * 2


def test_the_note_says_what_a_multinomial_supposes():
    assert "irrelevant alternatives" in multinomial(CHOICE, PEOPLE).note


# Bad input


@pytest.mark.parametrize(("model", "change", "error", "words"), [
    (ordinal, {"agree": "yes"}, DataError, "without an order"),
    (ordinal, {"agree": 3}, DataError, "same value"),
    (ordinal, {"agree": np.linspace(0, 1, len(PEOPLE))}, DataError, "at most 20"),
    (ordinal, {"agree": np.where(np.arange(len(PEOPLE)) < 3, 9, PEOPLE["agree"])}, DisclosureError, "Fewer than 5"),
    (multinomial, {"tool": PEOPLE["tool"].where(np.arange(len(PEOPLE)) > 2, "fax")}, DisclosureError, "Fewer than 5"),
    (ordinal, {"leadership": 1.0}, DataError, "same value"),
    (ordinal, {"readiness": PEOPLE["leadership"] * 2}, EstimationError, "determined by"),
    (multinomial, {"readiness": PEOPLE["leadership"] * 2}, EstimationError, "determined by"),
    (ordinal, {"leadership": PEOPLE["agree"] + PEOPLE["tenure"] / 100}, EstimationError, "leadership.* tells"),
    (ordinal, {"trained": (PEOPLE["agree"] == 5) * 1}, DisclosureError, "trained.* same outcome"),
    (multinomial, {"trained": (PEOPLE["tool"] == "wiki") * 1}, DisclosureError, "trained.* with one of the answers"),
    (ordinal, {"leadership": "high"}, DataError, "one level"),
])  # fmt: skip
def test_data_that_carry_no_model_are_refused(model, change, error, words):
    with pytest.raises(error, match=words):
        model(FORMULA if model is ordinal else CHOICE, PEOPLE.assign(**change))


@pytest.mark.parametrize(("formula", "options", "error", "words"), [
    (FORMULA, {"link": "logti"}, StudyError, "logit"),
    (FORMULA, {"covariance": "HC3"}, StudyError, "HC3"),
    (FORMULA, {"cluster": "trained"}, DataError, "at least 6"),
    (FORMULA, {"min_n": 2}, DisclosureError, "raised"),
    ("agree ~ 1", {}, StudyError, "names nothing"),
    ("agree ~ 0 + role", {}, StudyError, "constant"),
    ("log(agree) ~ role", {}, StudyError, "category"),
    ("agre ~ role", {}, DataError, "agree"),
])  # fmt: skip
def test_options_that_cannot_be_read_are_refused(formula, options, error, words):
    with pytest.raises(error, match=words):
        ordinal(formula, PEOPLE, **options)


def test_a_reference_nobody_chose_is_refused():
    with pytest.raises(DataError, match="chat"):
        multinomial(CHOICE, PEOPLE, reference="chatt")


def test_weights_that_are_missing_or_not_above_zero_are_refused():
    for bad in (0.0, -1.0, np.nan):
        with pytest.raises(DataError):
            ordinal(
                FORMULA, PEOPLE.assign(weight=PEOPLE["weight"].where(np.arange(len(PEOPLE)) > 0, bad)), weights="weight"
            )


def test_fewer_respondents_than_parameters_are_refused():
    with pytest.raises(SmstudyError):
        ordinal("agree ~ leadership * readiness * tenure", PEOPLE.dropna()[:9])
