"""Laws of omegas and of ordinal alpha: R's values, brute force, special cases, then a planted truth."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smstudy.errors import DataError, EstimationError
from smstudy.inference.psychometrics.consistency import alpha_error, alpha_of, feldt_interval
from smstudy.inference.psychometrics.hierarchy import resampled_omegas, schmid_leiman
from smstudy.inference.psychometrics.ordinal_consistency import (
    alpha_with_error,
    fit_one_ordinal_factor,
    green_yang,
    omega_with_error,
)
from smstudy.inference.psychometrics.polychoric import asymptotic_covariance, ordinal_codes, polychorics
from smstudy.result import write_record
from smstudy.scales.omegas import omega_categorical, omega_hierarchical, ordinal_alpha
from smstudy.scales.reliability import cronbach_alpha, omega_total
from smstudy.vocabulary import GLANCE, TIDY

HERE = Path(__file__).parents[1] / "reference"
R = json.loads((HERE / "omegas.json").read_text(encoding="utf-8"))
SHARED = Path(__file__).parents[3] / "shared" / "data"
FEW = 100
LOADINGS = np.array([0.5, 0.6, 0.7, 0.8, 0.65])
CUTS = np.array([-1.2, -0.3, 0.4, 1.3])


def bfi() -> pd.DataFrame:
    items = pd.read_csv(HERE / "bfi.csv").astype(float)
    items[R["reverse"]] = 7 - items[R["reverse"]]
    return items


def planted(n: int, seed: int, *, cuts: np.ndarray = CUTS) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    normal = rng.standard_normal((n, 1)) * LOADINGS + rng.standard_normal((n, 5)) * np.sqrt(1 - LOADINGS**2)
    return pd.DataFrame(np.searchsorted(cuts, normal) + 1.0, columns=[f"q{i + 1}" for i in range(5)])


def hierarchy(n: int, seed: int) -> pd.DataFrame:
    """Nine items in three parts: .6 on the general factor, .5 on their part."""
    rng = np.random.default_rng(seed)
    parts = np.repeat(rng.standard_normal((n, 3)), 3, axis=1)
    left = rng.standard_normal((n, 9)) * np.sqrt(1 - 0.36 - 0.25)
    return pd.DataFrame(0.6 * rng.standard_normal((n, 1)) + 0.5 * parts + left, columns=list("abcdefghi"))


PARTS = {"one": list("abc"), "two": list("def"), "three": list("ghi")}
PLANTED_OMEGA = (9 * 0.6) ** 2 / ((9 * 0.6) ** 2 + 3 * (3 * 0.5) ** 2 + 9 * 0.39)


# R


@pytest.mark.parametrize("scale", list(R["scales"]))
def test_agrees_with_semtools_green_yang(scale: str) -> None:
    result, expected = omega_categorical(bfi()[R["scales"][scale]]), R["categorical"][scale]
    assert result.n == expected["n"]
    assert result.estimate == pytest.approx(
        expected["omega"], abs=1e-6
    )  # lavaan's search; 1e-4 asked of ordinal models
    assert expected["omega"] == expected["omega3"]
    np.testing.assert_allclose(result.tidy()["loading"], expected["loadings"], atol=1e-6)  # as above


@pytest.mark.parametrize("scale", list(R["scales"]))
def test_agrees_with_psych_alpha_of_polychoric(scale: str) -> None:
    result, expected = ordinal_alpha(bfi()[R["scales"][scale]]), R["ordinal"][scale]
    assert result.estimate == pytest.approx(expected["alpha"], abs=1e-4)  # psych's optimize() stops at about 1e-5
    np.testing.assert_allclose(result.tidy()["alpha_without"], expected["without"], atol=1e-4)  # as above


def behind(answers: pd.DataFrame) -> float:
    """Harmonic mean of the respondents behind each pair of items."""
    seen = answers.notna().to_numpy(int)
    pairs = (seen.T @ seen)[np.triu_indices(seen.shape[1], 1)]
    return len(pairs) / (1 / pairs).sum()


@pytest.mark.parametrize("scale", list(R["scales"]))
def test_agrees_with_the_standard_error_of_psych_alpha(scale: str) -> None:
    answers = bfi()[R["scales"][scale]]
    result = cronbach_alpha(answers, interval="duhachek")
    counted = np.sqrt(len(answers) / behind(answers))  # psych counts everybody, also where answers are missing
    assert result.std_error == pytest.approx(R["duhachek"][scale] * counted, abs=1e-12)  # closed form
    assert result.conf_low == pytest.approx(result.estimate - 1.959964 * result.std_error, abs=1e-7)  # six decimals


@pytest.mark.parametrize(("which", "n_factors"), [("three", 3), ("two", 2)])
def test_agrees_with_psych_omega(which: str, n_factors: int) -> None:
    expected = R["hierarchical"][which]
    found = schmid_leiman(np.corrcoef(bfi()[R[which]].dropna().to_numpy().T), n_factors)
    assert found.omega_hierarchical == pytest.approx(expected["psych_h"], abs=1e-4)  # psych's oblimin stops at 1e-5
    assert found.omega_hierarchical == pytest.approx(expected["tight_h"], abs=2e-5)  # psych's minres stops at 1e-5
    assert found.omega_total == pytest.approx(expected["psych_total"], abs=1e-6)  # flat at the minimum
    assert found.general_share == pytest.approx(expected["psych_share"], abs=1e-4)  # as for psych_h
    np.testing.assert_allclose(found.general, expected["general"], atol=5e-5)  # psych's minres stops at 1e-5


def test_agrees_with_semtools_on_a_second_order_model() -> None:
    expected = R["second_order"]
    result = omega_hierarchical(bfi()[R["three"]], dimensions=expected["parts"])
    assert result.estimate == pytest.approx(expected["omega"], abs=1e-6)  # lavaan's stopping rule
    assert "second-order" in result.note


@pytest.mark.parametrize("name", list(R["outside"]))
def test_agrees_with_r_on_wiki4he_and_trello(name: str) -> None:
    path = SHARED / ("wiki4he/wiki4HE.csv" if name.startswith("wiki") else "trello_utaut2/utaut2_216.csv")
    if not path.exists():
        pytest.skip("the shared data are not beside the repository")
    expected = R["outside"][name]
    items = pd.read_csv(path, na_values="?")[expected["items"]]
    omega = omega_categorical(items)
    assert omega.n == expected["n"]
    assert omega.estimate == pytest.approx(expected["omega"], abs=1e-5)  # lavaan's search; 1e-4 asked
    np.testing.assert_allclose(omega.tidy()["loading"], expected["loadings"], atol=1e-4)  # as above
    assert ordinal_alpha(items).estimate == pytest.approx(expected["alpha"], abs=1e-4)  # psych's optimize()
    error = cronbach_alpha(items, interval="duhachek").std_error
    counted = np.sqrt(behind(items) / len(items))  # psych counts everybody, also where answers are missing
    assert error * counted == pytest.approx(expected["error"], abs=1e-12)  # closed form


# brute force


def test_categorical_omega_is_the_variance_share_of_simulated_sums() -> None:
    thresholds = np.tile(CUTS, (5, 1))
    correlations = np.outer(LOADINGS, LOADINGS) + np.diag(1 - LOADINGS**2)
    halves = planted_halves(400_000, 3)
    expected = np.corrcoef(halves)[0, 1]
    assert green_yang(LOADINGS, thresholds, correlations) == pytest.approx(expected, abs=0.004)  # Monte-Carlo error


def planted_halves(n: int, seed: int) -> np.ndarray:
    """Sums of two parallel forms that share the factor: their correlation is the reliability."""
    rng = np.random.default_rng(seed)
    factor = rng.standard_normal((n, 1))
    forms = [factor * LOADINGS + rng.standard_normal((n, 5)) * np.sqrt(1 - LOADINGS**2) for _ in range(2)]
    return np.stack([np.searchsorted(CUTS, form).sum(axis=1) for form in forms])


def test_errors_of_the_delta_method_follow_from_numeric_slopes() -> None:
    sample = ordinal_codes(planted(300, 1))
    found = polychorics(sample)
    gamma = asymptotic_covariance(sample, found)
    weights = 1 / np.diag(gamma)[int(found.n_thresholds.sum()) :]
    at, step, n_cuts = found.statistics, 1e-5, int(found.n_thresholds.sum())

    def omega(statistics: np.ndarray) -> float:
        correlations = np.eye(5)
        correlations[found.pairs] = statistics[n_cuts:]
        correlations += np.triu(correlations, 1).T
        loadings = fit_one_ordinal_factor(correlations, weights)
        return green_yang(loadings, statistics[:n_cuts].reshape(5, -1), correlations)

    slope = np.array([(omega(at + h) - omega(at - h)) / (2 * step) for h in np.eye(len(at)) * step])
    estimate, error, _ = omega_with_error(found, gamma, sample.n)
    assert estimate == pytest.approx(omega(at), abs=1e-12)  # the same formula
    assert error == pytest.approx(np.sqrt(slope @ gamma @ slope / sample.n), abs=1e-8)  # central differences of 1e-5
    assert 0.005 < alpha_with_error(found, gamma, sample.n)[1] < 0.05


def test_alpha_is_the_mean_of_all_split_halves() -> None:
    items = bfi()[["E1", "E2", "E3", "E4"]].dropna()
    total = items.sum(axis=1).var()
    halves = [
        4 * items[list(one)].sum(axis=1).cov(items[list(other)].sum(axis=1)) / total
        for one, other in [(("E1", "E2"), ("E3", "E4")), (("E1", "E3"), ("E2", "E4")), (("E1", "E4"), ("E2", "E3"))]
    ]
    assert np.mean(halves) == pytest.approx(cronbach_alpha(items).estimate, abs=1e-12)  # a few sums


# special cases


def test_with_many_answers_categorical_omega_is_omega_total() -> None:
    items = planted(3000, 2, cuts=np.linspace(-1.8, 1.8, 11))
    assert omega_categorical(items).estimate == pytest.approx(omega_total(items).estimate, abs=0.01)  # twelve steps


def test_ordinal_alpha_exceeds_alpha_where_answers_are_coarse() -> None:
    items = planted(1000, 4, cuts=np.array([0.8]))
    assert ordinal_alpha(items).estimate > cronbach_alpha(items).estimate + 0.05
    assert "not of the scores in use" in ordinal_alpha(items).note


def test_the_order_of_respondents_and_a_shift_of_codes_change_nothing() -> None:
    items = planted(300, 5)
    turned = items.sample(frac=1, random_state=1) + 3
    for reckon in (omega_categorical, ordinal_alpha):
        assert reckon(turned).estimate == pytest.approx(reckon(items).estimate, abs=1e-10)  # order of summation


def test_one_dimension_alone_has_no_hierarchy() -> None:
    with pytest.raises(EstimationError, match="two group factors or more"):
        omega_hierarchical(hierarchy(300, 1), n_factors=1, n_boot=FEW)


def test_the_same_seed_gives_the_same_resamples() -> None:
    answers = hierarchy(300, 1).to_numpy()
    first, again, other = (resampled_omegas(answers, 3, 10, seed) for seed in (1, 1, 2))
    assert first.tolist() == again.tolist() != other.tolist()


def test_blocks_of_respondents_spread_as_single_ones() -> None:
    answers = hierarchy(3000, 2).to_numpy()
    by_block = resampled_omegas(answers, 3, 100, 1).std(ddof=1)
    rng = np.random.default_rng(3)
    drawn = [answers[rng.integers(3000, size=3000)] for _ in range(100)]
    one_by_one = np.std([schmid_leiman(np.corrcoef(each.T), 3).omega_hierarchical for each in drawn], ddof=1)
    assert 0.7 < by_block / one_by_one < 1.4  # the ratio of two spreads of 100 has an error of .10


@pytest.mark.parametrize(
    "result",
    [
        lambda: omega_hierarchical(hierarchy(200, 1), n_boot=FEW),
        lambda: omega_categorical(planted(200, 1)),
        lambda: ordinal_alpha(planted(200, 1)),
    ],
)
def test_results_use_the_vocabulary_and_can_be_stored(result: object) -> None:
    made = result()
    assert set(made.tidy()) <= set(TIDY)
    assert set(made.glance()) <= set(GLANCE)
    assert {type(value) for value in made.glance().values()} <= {int, float, str}
    assert write_record(made) == write_record(made)
    assert made.conf_low < made.estimate < made.conf_high


# bad input


def test_items_answered_against_the_others_are_refused() -> None:
    items = planted(300, 6).assign(q2=lambda frame: 6 - frame["q2"])
    for reckon in (omega_categorical, ordinal_alpha, omega_hierarchical):
        with pytest.raises(DataError, match="q2 is answered against the other items"):
            reckon(items)


def test_answers_that_are_not_ordinal_are_refused() -> None:
    for reckon in (omega_categorical, ordinal_alpha):
        with pytest.raises(DataError):
            reckon(hierarchy(100, 1))


def test_two_items_have_no_categorical_omega() -> None:
    with pytest.raises(EstimationError, match="three items or more"):
        omega_categorical(planted(300, 1)[["q1", "q2"]])


def test_items_that_go_together_without_exception_are_refused() -> None:
    items = planted(300, 7)
    items["q6"] = (items["q1"] > items["q1"].median()).astype(int)
    with pytest.raises(EstimationError, match="no answers to q1 and q6 contradict a perfect"):
        ordinal_alpha(items)


def test_a_loading_of_one_or_more_is_refused() -> None:
    correlations = np.array([[1, 0.9, 0.8], [0.9, 1, 0.6], [0.8, 0.6, 1.0]])
    with pytest.raises(EstimationError, match="Heywood"):
        fit_one_ordinal_factor(correlations, np.ones(3))


@pytest.mark.parametrize(
    ("dimensions", "words"),
    [
        ({"one": list("abc"), "two": list("def"), "three": list("gh")}, "i in no dimension"),
        ({"one": list("abc"), "two": list("cdef"), "three": list("ghi")}, "c in two dimensions"),
        ({"one": list("abz"), "two": list("def"), "three": list("ghi")}, 'no item "z"'),
    ],
)
def test_dimensions_must_part_the_items(dimensions: dict[str, list[str]], words: str) -> None:
    with pytest.raises(DataError, match=words):
        omega_hierarchical(hierarchy(200, 1), dimensions=dimensions)


def test_two_dimensions_cannot_be_confirmed() -> None:
    with pytest.raises(EstimationError, match="three dimensions or more"):
        omega_hierarchical(hierarchy(200, 1), dimensions={"one": list("abcd"), "two": list("efghi")})


def test_group_factors_without_a_general_one_are_refused() -> None:
    loadings = np.kron(np.eye(3), np.full((3, 1), 0.8))
    factors = np.array([[1, 0.9, 0.9], [0.9, 1, 0.7], [0.9, 0.7, 1]])
    correlations = loadings @ factors @ loadings.T
    np.fill_diagonal(correlations, 1)
    with pytest.raises(EstimationError, match="no proper general factor"):
        schmid_leiman(correlations, 3)


def test_too_few_resamples_are_refused() -> None:
    with pytest.raises(DataError, match="n_boot = 5"):
        omega_hierarchical(hierarchy(200, 1), n_boot=5)


def test_an_unknown_interval_is_refused() -> None:
    with pytest.raises(DataError, match='"feldt" or "duhachek"'):
        cronbach_alpha(planted(50, 1), interval="bonett")


# planted truth


def test_the_planted_hierarchy_is_recovered() -> None:
    items = hierarchy(20_000, 8)
    explored = schmid_leiman(np.corrcoef(items.to_numpy().T), 3).omega_hierarchical
    confirmed = omega_hierarchical(items, dimensions=PARTS)
    assert explored == pytest.approx(
        PLANTED_OMEGA, abs=0.03
    )  # three errors of about .007, and rounding of the rotation
    assert confirmed.estimate == pytest.approx(PLANTED_OMEGA, abs=4 * confirmed.std_error)  # four standard errors


def test_the_intervals_cover_a_planted_truth_at_their_rate() -> None:
    correlations = np.outer(LOADINGS, LOADINGS) + np.diag(1 - LOADINGS**2)
    omega = green_yang(LOADINGS, np.tile(CUTS, (5, 1)), correlations)
    alpha = 5 / 4 * (1 - 5 / correlations.sum())
    covered = np.zeros(2)
    for seed in range(60):
        items = planted(250, 1000 + seed)
        results = omega_categorical(items), ordinal_alpha(items)
        covered += [
            made.conf_low <= truth <= made.conf_high for made, truth in zip(results, (omega, alpha), strict=True)
        ]
    assert ((covered / 60 > 0.86) & (covered / 60 <= 1)).all()  # 95 % less three standard errors of a share of 60


def test_the_intervals_of_alpha_cover_at_their_rate() -> None:
    factor_and_error = np.outer(LOADINGS, LOADINGS) + np.diag(1 - LOADINGS**2)
    truth, root = alpha_of(factor_and_error), np.linalg.cholesky(factor_and_error)
    rng, covered = np.random.default_rng(11), np.zeros(2)
    for _ in range(400):
        seen = np.cov((rng.standard_normal((150, 5)) @ root.T).T)
        low, high = feldt_interval(alpha_of(seen), 150, 5)
        covered += [abs(alpha_of(seen) - truth) <= 1.96 * alpha_error(seen, 150), low <= truth <= high]
    assert ((covered / 400 > 0.915) & (covered / 400 < 0.985)).all()  # 95 % and three standard errors of a share of 400


def test_the_error_of_an_explored_hierarchy_is_its_spread_over_samples() -> None:
    found = [
        schmid_leiman(np.corrcoef(hierarchy(300, 7000 + i).to_numpy().T), 3).omega_hierarchical for i in range(100)
    ]
    error = resampled_omegas(hierarchy(300, 1).to_numpy(), 3, 100, 1).std(ddof=1)
    assert 0.6 < error / np.std(found, ddof=1) < 1.6  # the ratio of two spreads of 100, and one sample for the first


def test_the_interval_of_a_confirmed_hierarchy_covers_at_its_rate() -> None:
    covered = 0
    for seed in range(60):
        made = omega_hierarchical(hierarchy(300, 5000 + seed), dimensions=PARTS)
        covered += made.conf_low <= PLANTED_OMEGA <= made.conf_high
    assert covered / 60 > 0.86  # 95 % less three standard errors of a share of 60


def two_things(n: int, correlation: float, seed: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    factors = rng.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], n)
    answers = 0.8 * factors[:, np.repeat([0, 1], 4)] + 0.6 * rng.normal(size=(n, 8))
    return pd.DataFrame(np.clip(np.round(1.2 * answers + 3), 1, 5), columns=list("abcdefgh"))


def test_categorical_omega_never_exceeds_one_and_says_if_one_factor_does_not_do() -> None:
    with pytest.raises(EstimationError, match="more than all of the variance"):
        omega_categorical(two_things(500, 0.1))
    found = omega_categorical(two_things(500, 0.6))
    assert found.conf_low <= found.estimate <= found.conf_high <= 1
    assert "one_factor_fits_poorly" in {finding.name for finding in found.findings}
    assert not omega_categorical(two_things(500, 0.6)[list("abcd")]).findings


def test_the_interval_of_alpha_covers_where_answers_are_missing() -> None:
    truth, rng, held = 5 / 4 * (1 - 5 / (5 + 20 * 0.36)), np.random.default_rng(8), 0
    for _ in range(400):
        answers = 0.6 * rng.normal(size=(150, 1)) + 0.8 * rng.normal(size=(150, 5))
        answers[rng.random(answers.shape) < 0.3] = np.nan
        found = cronbach_alpha(pd.DataFrame(answers, columns=list("abcde")))
        held += found.conf_low < truth < found.conf_high
    assert 0.92 < held / 400 < 0.99  # three simulation errors about .955; counting everybody covered .87
