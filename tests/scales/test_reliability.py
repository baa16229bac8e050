"""Laws of reliability: R's values, brute force, special cases, then a planted truth."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smstudy.errors import DataError, EstimationError
from smstudy.inference.factor_models.fitted import Fitted
from smstudy.inference.psychometrics.consistency import alpha_of, correlation_interval, feldt_interval, item_rests
from smstudy.inference.psychometrics.one_factor import fit_one_factor, omega_of
from smstudy.privacy import Privacy
from smstudy.result import write_record
from smstudy.scales.reliability import cronbach_alpha, omega_total, reliability
from smstudy.survey.codebook import Codebook
from smstudy.survey.dataset import Survey
from smstudy.vocabulary import GLANCE, TIDY

HERE = Path(__file__).parents[1] / "reference"
R = json.loads((HERE / "reliability.json").read_text(encoding="utf-8"))
WIKI = Path(__file__).parents[3] / "shared" / "data" / "wiki4he" / "wiki4HE.csv"
MISSING = float("nan")
LOADINGS = np.array([0.5, 0.6, 0.7, 0.8, 0.65])


def bfi() -> pd.DataFrame:
    items = pd.read_csv(HERE / "bfi.csv").astype(float)
    items[R["reverse"]] = 7 - items[R["reverse"]]
    return items


def planted(n: int, seed: int, loadings: np.ndarray = LOADINGS) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    factor = rng.standard_normal((n, 1))
    noise = rng.standard_normal((n, len(loadings))) * np.sqrt(1 - loadings**2)
    return pd.DataFrame(factor * loadings + noise, columns=[f"q{i + 1}" for i in range(len(loadings))])


def survey_of(items: pd.DataFrame, scales: dict[str, list[str]], high: int = 6) -> Survey:
    categories = [{"value": str(i), "label": f"answer {i}"} for i in range(1, high + 1)]
    codebook = {
        "title": "T",
        "variables": [
            {"name": n, "kind": "item", "categories": categories, "reverse": n in R["reverse"]} for n in items
        ],
        "scales": [{"name": name, "items": names} for name, names in scales.items()],
    }
    blank = pd.DataFrame(columns=["row", "variable", "reason"])
    return Survey(answers=items.astype(float), codebook=Codebook.model_validate(codebook), missing=blank)


# R


@pytest.mark.parametrize("missing", ["pairwise", "listwise"])
@pytest.mark.parametrize("scale", list(R["scales"]))
def test_agrees_with_psych_alpha(scale: str, missing: str) -> None:
    expected = R[missing][scale]
    result = cronbach_alpha(bfi()[R["scales"][scale]], missing=missing)
    rows = result.tidy()
    same = {"rtol": 0, "atol": 1e-10}  # R prints 16 digits; both sum a few hundred products
    assert result.estimate == pytest.approx(expected["alpha"], abs=1e-10)  # as above
    everybody = len(bfi()) if missing == "pairwise" else result.n  # psych counts rows in which answers are missing
    ends = feldt_interval(result.estimate, everybody, result.n_items)
    np.testing.assert_allclose(ends, [expected["low"], expected["high"]], **same)
    assert result.conf_low <= ends[0] + 1e-12 and result.conf_high >= ends[1] - 1e-12  # equal if nothing is missing
    np.testing.assert_allclose(rows["item_rest"], expected["item_rest"], **same)
    np.testing.assert_allclose(rows["mean"], expected["mean"], **same)
    np.testing.assert_allclose(rows["std_dev"], expected["sd"], **same)
    assert rows["n"].tolist() == expected["n"]
    if scale != "two":  # psych prints a regression slope there; one remaining item has no alpha
        np.testing.assert_allclose(rows["alpha_without"], expected["without"], **same)


@pytest.mark.parametrize("scale", list(R["omega"]))
def test_agrees_with_lavaan_and_semtools_omega(scale: str) -> None:
    expected = R["omega"][scale]
    result = omega_total(bfi()[R["scales"][scale]])
    assert result.n == expected["n"]
    assert result.estimate == pytest.approx(expected["omega"], abs=1e-6)  # lavaan stops at a relative change of 1e-10
    assert result.estimate == pytest.approx(expected["semtools"], abs=1e-6)  # as above
    assert result.std_error == pytest.approx(expected["se"], abs=1e-6)  # as above
    assert result.conf_low == pytest.approx(expected["low"], abs=1e-6)  # as above
    assert result.conf_high == pytest.approx(expected["high"], abs=1e-6)  # as above


@pytest.mark.parametrize("scale", list(R["omega"]))
def test_agrees_with_lavaan_one_factor_model(scale: str) -> None:
    expected = R["omega"][scale]
    answers = bfi()[R["scales"][scale]].dropna().to_numpy()
    k = answers.shape[1]
    model = fit_one_factor(np.cov(answers.T, bias=True), len(answers), R["scales"][scale])
    errors = np.sqrt(np.diag(model.sampling))[:k]
    np.testing.assert_allclose(model.parameters[:k], expected["loadings"], atol=1e-5)  # lavaan's stopping rule
    np.testing.assert_allclose(model.parameters[k : 2 * k], expected["residuals"], atol=1e-5)  # as above
    np.testing.assert_allclose(errors, expected["loadings_se"], atol=1e-5)  # as above
    assert model.test.statistic == pytest.approx(expected["chisq"], abs=1e-6)  # flat at the minimum


def test_two_items_agree_with_spearman_brown_of_cor_test() -> None:
    result = omega_total(bfi()[R["scales"]["two"]])
    expected = R["spearman_brown"]
    assert result.estimate == pytest.approx(expected["estimate"], abs=1e-12)  # closed form
    assert result.conf_low == pytest.approx(expected["low"], abs=1e-12)  # closed form
    assert result.conf_high == pytest.approx(expected["high"], abs=1e-12)  # closed form
    assert "Spearman-Brown" in result.note


@pytest.mark.skipif(not WIKI.exists(), reason="the wiki4HE file is not beside the repository")
def test_agrees_with_the_measured_alphas_of_wiki4he() -> None:
    measured = {
        "PU": 0.864, "PEU": 0.589, "ENJ": 0.739, "Qu": 0.626, "Vis": 0.561, "Im": 0.716, "SA": 0.831, "Use": 0.871,
        "Pf": 0.785, "JR": 0.771, "BI": 0.925, "Inc": 0.837, "Exp": 0.715,
    }  # fmt: skip
    answers = pd.read_csv(WIKI, na_values="?")
    items = {name: answers[[c for c in answers if c.rstrip("0123456789") == name]].dropna() for name in measured}
    for name, alpha in measured.items():
        assert alpha_of(items[name].cov().to_numpy()) == pytest.approx(alpha, abs=5e-4)  # three digits are given
    for name in measured.keys() - {"Qu"}:
        assert cronbach_alpha(items[name]).estimate == pytest.approx(measured[name], abs=5e-4)  # as above
    with pytest.raises(DataError, match="Qu4 is answered against the other items"):
        cronbach_alpha(items["Qu"])
    turned = items["Qu"].assign(Qu4=6 - items["Qu"]["Qu4"])
    assert cronbach_alpha(turned).estimate > measured["Qu"]


# brute force


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 6), st.integers(10, 60))
def test_alpha_is_the_formula_of_the_textbook(seed: int, k: int, n: int) -> None:
    items = planted(n, seed, np.full(k, 0.9))
    total = items.sum(axis=1).var()
    expected = k / (k - 1) * (1 - items.var().sum() / total)
    assert cronbach_alpha(items).estimate == pytest.approx(expected, abs=1e-12)  # rounding of a few sums


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_item_rest_is_the_correlation_with_the_sum_of_the_others(seed: int) -> None:
    items = planted(80, seed)
    rows = cronbach_alpha(items).tidy()
    expected = [items[name].corr(items.drop(columns=name).sum(axis=1)) for name in items]
    np.testing.assert_allclose(rows["item_rest"], expected, atol=1e-12)  # rounding of a few sums


def test_alpha_without_an_item_is_alpha_of_the_others() -> None:
    items = bfi()[R["scales"]["openness"]]
    rows = cronbach_alpha(items).tidy().set_index("term")
    for name in items:
        others = cronbach_alpha(items.drop(columns=name)).estimate
        assert rows.loc[name, "alpha_without"] == pytest.approx(others, abs=1e-12)  # rounding of a few sums


def test_pairwise_covariances_are_those_of_pandas() -> None:
    items = bfi()[R["scales"]["neuroticism"]]
    assert cronbach_alpha(items).estimate == pytest.approx(alpha_of(items.cov().to_numpy()), abs=1e-12)  # rounding


def test_omega_of_three_items_has_a_closed_form() -> None:
    r12, r13, r23 = 0.42, 0.35, 0.30
    correlations = np.array([[1, r12, r13], [r12, 1, r23], [r13, r23, 1]])
    loadings = np.sqrt([r12 * r13 / r23, r12 * r23 / r13, r13 * r23 / r12])
    expected = loadings.sum() ** 2 / (loadings.sum() ** 2 + (1 - loadings**2).sum())
    model = fit_one_factor(correlations, 100, list("abc"))
    np.testing.assert_allclose(model.parameters[:3], loadings, atol=1e-8)  # gradient below 1e-10 at the end
    assert omega_of(model)[0] == pytest.approx(expected, abs=1e-8)  # as above


def test_the_error_of_omega_is_the_delta_method_by_numerical_derivatives() -> None:
    answers = planted(300, 3).to_numpy()
    model = fit_one_factor(np.cov(answers.T, bias=True), 300, list("abcde"))
    estimates = model.parameters[:10]

    def omega(parameters: np.ndarray) -> float:
        loadings, residuals = np.split(parameters, 2)
        return loadings.sum() ** 2 / (loadings.sum() ** 2 + residuals.sum())

    steps = np.eye(len(estimates)) * 1e-6
    slopes = np.array([(omega(estimates + step) - omega(estimates - step)) / 2e-6 for step in steps])
    expected = np.sqrt(slopes @ model.sampling[:10, :10] @ slopes)
    assert omega_of(model)[1] == pytest.approx(expected, rel=1e-6)  # central differences with steps of 1e-6


# special cases


def test_alpha_is_one_for_identical_items() -> None:
    answers = pd.Series([1.0, 2, 3, 4, 5, 3, 2])
    result = cronbach_alpha(pd.DataFrame({"a": answers, "b": answers, "c": answers}))
    assert result.estimate == pytest.approx(1, abs=1e-12)  # rounding of a few sums
    assert result.conf_low == pytest.approx(1, abs=1e-12)  # as above
    np.testing.assert_allclose(result.tidy()["item_rest"], 1, atol=1e-12)  # as above


def test_alpha_and_omega_agree_for_equal_loadings() -> None:
    equal = np.full(4, 0.7)
    covariances = np.outer(equal, equal) + np.diag(1 - equal**2)
    omega, _ = omega_of(fit_one_factor(covariances, 100, list("abcd")))
    assert omega == pytest.approx(alpha_of(covariances), abs=1e-9)  # gradient below 1e-10 at the end


def test_alpha_of_two_equally_spread_items_is_spearman_brown() -> None:
    items = planted(50, 4, np.array([0.8, 0.8]))
    items = (items - items.mean()) / items.std()
    assert cronbach_alpha(items).estimate == pytest.approx(omega_total(items).estimate, abs=1e-12)  # rounding


def test_neither_order_of_items_nor_of_people_matters() -> None:
    items = bfi()[R["scales"]["extraversion"]]
    shuffled = items.sample(frac=1, random_state=1)[items.columns[::-1]]
    for estimate in (cronbach_alpha, omega_total):
        one, other = estimate(items), estimate(shuffled)
        assert one.estimate == pytest.approx(other.estimate, abs=1e-9)  # the search for omega ends at 1e-10
        assert one.conf_low == pytest.approx(other.conf_low, abs=1e-9)  # as above


def test_turning_all_items_round_changes_nothing() -> None:
    items = bfi()[R["scales"]["extraversion"]]
    turned = 7 - items
    assert cronbach_alpha(turned).estimate == pytest.approx(cronbach_alpha(items).estimate, abs=1e-12)  # rounding
    assert omega_total(turned).estimate == pytest.approx(omega_total(items).estimate, abs=1e-9)  # ends at 1e-10


def test_omega_does_not_depend_on_the_unit() -> None:
    items = bfi()[R["scales"]["openness"]]
    one, other = omega_total(items), omega_total(items * 1000)
    assert one.estimate == pytest.approx(other.estimate, abs=1e-9)  # the search ends at 1e-10


def test_a_large_offset_costs_no_digits() -> None:
    items = planted(100, 5)
    one, other = cronbach_alpha(items), cronbach_alpha(items + 1e6)
    assert one.estimate == pytest.approx(other.estimate, abs=1e-8)  # the answers themselves lose six of sixteen digits


def test_rows_without_any_answer_change_nothing() -> None:
    items = bfi()[R["scales"]["openness"]]
    empty = pd.DataFrame(np.nan, index=range(1000, 1020), columns=items.columns)
    one, other = cronbach_alpha(items), cronbach_alpha(pd.concat([items, empty]))
    assert (one.estimate, one.conf_low, one.n) == (other.estimate, other.conf_low, other.n)


def test_a_survey_turns_its_reversed_items_round() -> None:
    raw = pd.read_csv(HERE / "bfi.csv")
    survey = survey_of(raw, {"openness": R["scales"]["openness"]})
    expected = R["pairwise"]["openness"]["alpha"]
    assert cronbach_alpha(survey, "openness").estimate == pytest.approx(expected, abs=1e-10)  # R prints 16 digits


# what is refused


def test_a_reversed_item_is_named() -> None:
    items = bfi()[R["scales"]["neuroticism"]]
    items["N3"] = 7 - items["N3"]
    for estimate in (cronbach_alpha, omega_total):
        with pytest.raises(DataError, match="N3 is answered against the other items"):
            estimate(items)


@pytest.mark.parametrize("k", [3, 4, 5, 8])
@pytest.mark.parametrize("seed", range(5))
def test_a_reversed_item_is_named_in_scales_of_any_length(k: int, seed: int) -> None:
    items = planted(200, seed, np.full(k, 0.7))
    items["q2"] = -items["q2"]
    with pytest.raises(DataError, match="q2 is answered against"):
        cronbach_alpha(items)


def test_two_reversed_items_are_named_as_the_smaller_camp() -> None:
    items = bfi()[R["scales"]["neuroticism"]]
    items[["N1", "N2"]] = 7 - items[["N1", "N2"]]
    with pytest.raises(DataError, match="N1 and N2 run against N3, N4 and N5"):
        cronbach_alpha(items)


def test_two_items_accuse_each_other() -> None:
    items = planted(100, 6, np.array([0.8, 0.8]))
    with pytest.raises(DataError, match="run against"):
        cronbach_alpha(items.assign(q1=-items["q1"]))


def test_unrelated_items_are_not_refused_but_weak() -> None:
    rng = np.random.default_rng(12)
    result = cronbach_alpha(pd.DataFrame(rng.standard_normal((200, 4)), columns=list("abcd")))
    assert abs(result.estimate) < 0.4  # far from any reliability; sampling error of alpha = 0 is about .1
    assert "weak_items" in {finding.name for finding in result.findings}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"q2": MISSING}, "nobody answered q2"),
        ({"q2": 3.0}, "everybody gave the same answer to q2"),
        ({"q2": np.inf}, "infinite"),
        ({"q2": "text"}, "q2 holds no numbers"),
    ],
)
def test_an_unusable_item_is_named(change: dict[str, object], message: str) -> None:
    for estimate in (cronbach_alpha, omega_total):
        with pytest.raises(DataError, match=message):
            estimate(planted(50, 7).assign(**change))


def test_one_item_is_refused() -> None:
    with pytest.raises(DataError, match="two items or more"):
        cronbach_alpha(planted(50, 7)[["q1"]])


def test_an_item_of_a_few_is_refused_without_their_number() -> None:
    items = planted(120, 8)
    items.iloc[3:, 0] = MISSING
    for estimate in (cronbach_alpha, omega_total):
        with pytest.raises(DataError, match="The items: fewer than 5 respondents answered q1, and nothing is shown"):
            estimate(items)


@pytest.mark.parametrize("level", [0, 1, 95, -0.5])
def test_a_level_that_is_none_is_refused(level: float) -> None:
    with pytest.raises(DataError, match="conf_level"):
        cronbach_alpha(planted(50, 9), conf_level=level)


def test_a_survey_needs_the_name_of_the_scale() -> None:
    survey = survey_of(pd.read_csv(HERE / "bfi.csv"), R["scales"])
    with pytest.raises(DataError, match="Name one"):
        cronbach_alpha(survey)


def test_a_heywood_case_is_refused() -> None:
    correlations = np.array([[1, 0.8, 0.8], [0.8, 1, 0.3], [0.8, 0.3, 1]])
    with pytest.raises(EstimationError, match="Heywood"):
        fit_one_factor(correlations, 100, list("abc"))


def test_a_repeated_item_is_refused_by_omega() -> None:
    items = planted(50, 10)
    with pytest.raises(EstimationError, match="q1 and again hold the same answers. Leave one of them out"):
        omega_total(items.assign(again=items["q1"]))


def test_fewer_respondents_than_items_are_refused_by_omega() -> None:
    with pytest.raises((EstimationError, DataError)):
        omega_total(planted(5, 11, np.full(8, 0.9)))


def test_factors_that_conflict_never_give_a_number() -> None:
    correlations = np.array([[1, 0.5, 0.5], [0.5, 1, -0.3], [0.5, -0.3, 1]])
    with pytest.raises(EstimationError):
        fit_one_factor(correlations, 100, list("abc"))


# findings


def test_few_respondents_are_a_finding() -> None:
    assert "few_respondents" in {finding.name for finding in cronbach_alpha(planted(29, 13)).findings}
    assert "few_respondents" not in {finding.name for finding in cronbach_alpha(planted(30, 13)).findings}


def test_two_factors_are_a_finding_of_omega() -> None:
    both = pd.concat([planted(400, 1, np.full(3, 0.8)), planted(400, 2, np.full(3, 0.8)).add_prefix("x")], axis=1)
    both += planted(400, 3, np.full(1, 0.9)).to_numpy() * 0.5
    assert "one_factor_fits_poorly" in {finding.name for finding in omega_total(both).findings}
    assert "one_factor_fits_poorly" not in {finding.name for finding in omega_total(planted(400, 1)).findings}


# the table over all scales


def test_the_table_repeats_the_single_numbers_and_goes_on_after_a_refusal() -> None:
    raw = pd.read_csv(HERE / "bfi.csv").astype(float)
    raw["N1"] = 7 - raw["N1"]
    raw["A1"] = MISSING
    names = {n: R["scales"][n] for n in ("openness", "neuroticism", "agreeableness", "two")}
    result = reliability(survey_of(raw, names))
    rows = result.tidy().set_index("term")
    assert rows.loc["openness", "alpha"] == pytest.approx(R["pairwise"]["openness"]["alpha"], abs=1e-10)  # as R
    assert rows.loc["openness", "omega"] == pytest.approx(R["omega"]["openness"]["omega"], abs=1e-6)  # lavaan's rule
    assert rows.loc["openness", "verdict"] == "not reliable"
    assert rows.loc["two", "omega"] == pytest.approx(R["spearman_brown"]["estimate"], abs=1e-12)  # closed form
    assert rows.loc[["neuroticism", "agreeableness"], "alpha":"omega_high"].isna().all(axis=None)
    assert rows.loc[["neuroticism", "agreeableness"], "verdict"].tolist() == ["contradicts itself", "refused"]
    serious = [finding.text for finding in result.findings if finding.severity == "serious"]
    assert any("N1 is answered against" in text for text in serious)
    assert any("nobody answered A1" in text for text in serious)
    assert "Spearman-Brown" in result.note


def test_a_heywood_case_keeps_alpha_and_refuses_omega() -> None:
    wanted = np.array([[1, 0.8, 0.8], [0.8, 1, 0.3], [0.8, 0.3, 1]])
    noise = planted(60, 14, np.full(3, 0.5)).to_numpy()
    uncorrelated = np.linalg.qr(noise - noise.mean(axis=0))[0]
    items = pd.DataFrame(uncorrelated @ np.linalg.cholesky(wanted).T, columns=["a", "b", "c"]) + 3
    result = reliability(survey_of(items, {"odd": ["a", "b", "c"]}))
    row = result.tidy().iloc[0]
    assert np.isnan(row["omega"]) and row["alpha"] == pytest.approx(alpha_of(wanted), abs=1e-12)  # rounding
    assert "omega_refused" in {finding.name for finding in result.findings}


def test_the_verdict_is_cautious_with_few_respondents() -> None:
    items = planted(20, 15, np.full(6, 0.9)).clip(-2, 2).round() + 3
    assert reliability(survey_of(items, {"s": list(items)})).tidy()["verdict"].item() == "too little data"


def test_results_use_the_vocabulary_and_can_be_stored() -> None:
    raw = pd.read_csv(HERE / "bfi.csv")
    survey = survey_of(raw, {"openness": R["scales"]["openness"]})
    for result in (cronbach_alpha(survey, "openness"), omega_total(survey, "openness"), reliability(survey)):
        assert set(result.tidy()) <= set(TIDY)
        assert set(result.glance()) <= set(GLANCE)
        assert result.tidy() is not result.tidy()
        write_record(result)
        assert "[." in result.to_html()
        assert result.alt_text()
        result.plot().get_figure().clear()


# a planted truth

TRUE_OMEGA = LOADINGS.sum() ** 2 / (LOADINGS.sum() ** 2 + (1 - LOADINGS**2).sum())
TRUE_COVARIANCES = np.outer(LOADINGS, LOADINGS) + np.diag(1 - LOADINGS**2)
SEEDS = 600
# 95 % over 600 seeds has a Monte-Carlo standard error of .0089; three of them either way
LOWEST, HIGHEST = 0.95 - 3 * 0.0089, 0.95 + 3 * 0.0089


def samples(n: int) -> np.ndarray:
    """Covariance matrices of 600 samples, shape (600, 5, 5)."""
    rng = np.random.default_rng(2024)
    noise = rng.standard_normal((SEEDS, n, 5)) * np.sqrt(1 - LOADINGS**2)
    answers = rng.standard_normal((SEEDS, n, 1)) * LOADINGS + noise
    answers -= answers.mean(axis=1, keepdims=True)
    return np.einsum("snj,snk->sjk", answers, answers) / (n - 1)


@pytest.fixture(scope="module")
def fits() -> list[Fitted]:
    return [fit_one_factor(covariances, 300, list("abcde")) for covariances in samples(300)]


def test_the_interval_of_omega_covers_the_planted_truth(fits: list[Fitted]) -> None:
    covered = np.mean([abs(omega - TRUE_OMEGA) <= 1.959964 * error for omega, error in map(omega_of, fits)])
    assert LOWEST <= covered <= HIGHEST


def test_the_interval_of_alpha_covers_the_truth_where_its_model_holds() -> None:
    rng = np.random.default_rng(2025)
    answers = 0.7 * rng.standard_normal((SEEDS, 120, 1)) + np.sqrt(0.51) * rng.standard_normal((SEEDS, 120, 5))
    truth = alpha_of(np.full((5, 5), 0.49) + 0.51 * np.eye(5))
    ends = [feldt_interval(alpha_of(np.cov(sample.T)), 120, 5) for sample in answers]
    assert LOWEST <= np.mean([low <= truth <= high for low, high in ends]) <= HIGHEST


def test_planted_loadings_are_recovered(fits: list[Fitted]) -> None:
    mean = np.mean([model.parameters[:5] for model in fits], axis=0)
    np.testing.assert_allclose(mean, LOADINGS, atol=0.012)  # SE of a mean of 600 is .0025, bias O(1/n)


def test_the_interval_of_an_item_rest_correlation_covers_the_truth() -> None:
    truth = item_rests(TRUE_COVARIANCES)
    ends = [correlation_interval(item_rests(covariances), np.full(5, 300)) for covariances in samples(300)]
    covered = np.mean([(low <= truth) & (truth <= high) for low, high in ends], axis=0)
    assert ((covered >= LOWEST) & (covered <= HIGHEST)).all()


def test_a_good_scale_is_never_refused_as_running_against_itself() -> None:
    for seed in range(100):
        assert cronbach_alpha(planted(60, seed)).estimate > 0.4  # the truth is .78 with a standard error of about .05


def test_items_on_unlike_scales_are_said() -> None:
    items = planted(200, 21)
    for estimate in (cronbach_alpha, omega_total):
        assert "unlike_scales" not in {finding.name for finding in estimate(items).findings}
        found = {f.name: f.text for f in estimate(items.assign(q2=10 * items["q2"])).findings}
        assert "the sum is mostly q2. Bring the items to one scale" in found["unlike_scales"]


def test_findings_speak_of_no_fewer_than_the_policy_shows() -> None:
    items = (planted(80, 22) * 2).round().clip(-3, 2) + 4
    items.iloc[:40, 0] = MISSING
    strict = replace(survey_of(items, {"s": list(items)}), privacy=Privacy(min_n=40))
    found = {finding.name: finding.text for finding in cronbach_alpha(strict, "s").findings}
    assert "few_respondents" not in found
    items.iloc[40:50, 1] = MISSING
    items.iloc[:10, 0], items.iloc[:5, 2] = 3.0, MISSING
    strict = replace(survey_of(items, {"s": list(items)}), privacy=Privacy(min_n=40))
    found = {finding.name: finding.text for finding in cronbach_alpha(strict, "s").findings}
    assert "fewer than 40 respondents answered all items" in found["few_respondents"]
