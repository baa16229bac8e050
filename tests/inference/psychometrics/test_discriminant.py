"""Laws of HTMT, AVE and composite reliability: R's values, brute force, special cases, then a planted truth."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smstudy.inference.factor_models.full_information import fit_fiml
from smstudy.inference.factor_models.normal_theory import fit_mlr
from smstudy.inference.factor_models.structures import measurement_model
from smstudy.inference.psychometrics.discriminant import (
    convergence,
    monotrait_ratios,
    pairs_of,
    pairwise_correlations,
    resampled_ratios,
)

REFERENCE = Path(__file__).parents[2] / "reference"
SHARED = Path(__file__).parents[4] / "shared" / "data"
R = json.loads((REFERENCE / "validity.json").read_text(encoding="utf-8"))
FILES = {
    "bfi": REFERENCE / "bfi.csv",
    "holzinger": SHARED / "cfa" / "HolzingerSwineford1939.csv",
    "trello": SHARED / "trello_utaut2" / "utaut2_216.csv",
    "wiki": SHARED / "wiki4he" / "wiki4HE.csv",
}
TWO = [[0, 1, 2], [3, 4, 5]]


def answers_of(name: str) -> pd.DataFrame:
    if not FILES[name].exists():
        pytest.skip(f"the data set {name} is not here: it lies in the shared folder beside the repository")
    items = [item for members in R["validity"][name]["scales"].values() for item in members]
    answers = pd.read_csv(FILES[name], na_values="?", sep=None, engine="python")[items].astype(float)
    turned = [item for item in R["turned"] if name == "bfi"]
    answers[turned] = 7 - answers[turned]
    return answers


def places_of(name: str) -> list[list[int]]:
    sizes = [len(members) for members in R["validity"][name]["scales"].values()]
    ends = np.cumsum([0, *sizes])
    return [list(range(start, end)) for start, end in zip(ends, ends[1:])]


def planted(n: int, seed: int, r: float = 0.6, loading: float = 0.7) -> np.ndarray:
    """Six items of two traits that correlate r; every loading is the same, so HTMT of the population is r."""
    rng = np.random.default_rng(seed)
    traits = rng.multivariate_normal([0, 0], [[1, r], [r, 1]], size=n)
    return loading * np.repeat(traits, 3, axis=1) + np.sqrt(1 - loading**2) * rng.standard_normal((n, 6))


# R


@pytest.mark.parametrize("name", list(FILES))
def test_agrees_with_semtools_htmt(name: str) -> None:
    answers, expected = answers_of(name), R["validity"][name]
    pairs = pairs_of(len(expected["scales"]))
    for rows, suffix in ((answers.dropna(), ""), (answers, "_pairwise")):
        ratios = monotrait_ratios(pairwise_correlations(rows.to_numpy()), places_of(name))
        for kind in ("htmt", "htmt2"):
            theirs = np.array(expected[f"{kind}{suffix}"])[pairs]
            assert getattr(ratios, kind) == pytest.approx(theirs, abs=1e-12)  # closed form: rounding only


@pytest.mark.parametrize("name", list(FILES))
def test_agrees_with_semtools_and_lavaan(name: str) -> None:
    answers, expected = answers_of(name).dropna(), R["validity"][name]
    structure = measurement_model(list(answers), expected["scales"])
    found = convergence(fit_mlr(structure, [answers.to_numpy()]))
    # both searches end at a slope below 1e-9: the numbers agree far beyond what anybody reads
    assert found.extracted == pytest.approx(expected["ave"], abs=1e-7)
    assert found.standardized == pytest.approx(expected["ave_standardized"], abs=1e-7)
    assert found.composite == pytest.approx(expected["composite"], abs=1e-7)
    estimates, errors = (dict(zip(expected["label"], expected[each])) for each in ("est", "se"))
    names, wrong = list(expected["scales"]), found.std_errors
    for values, mine in ((estimates, found), (errors, wrong)):
        for kind, ours in (("ave", mine.extracted), ("std", mine.standardized), ("cr", mine.composite)):
            # standard errors of lavaan's `:=` use numerical derivatives
            assert ours == pytest.approx([values[f"{kind}_{each}"] for each in names], abs=1e-6)
        for kind, ours in (("r", mine.correlations), ("first", mine.margins[:, 0]), ("second", mine.margins[:, 1])):
            theirs = [values[f"{kind}_{one}_{other}"] for one, other in combinations(names, 2)]
            assert ours == pytest.approx(theirs, abs=1e-6)  # as above


def test_answers_with_gaps_agree_with_lavaan() -> None:
    scales = R["gaps"]["scales"]
    answers = answers_of("bfi")[[item for members in scales.values() for item in members]]
    found = convergence(fit_fiml(measurement_model(list(answers), scales), [answers.to_numpy()]))
    values, errors = (dict(zip(R["gaps"]["label"], R["gaps"][each])) for each in ("est", "se"))
    assert found.extracted == pytest.approx([values["ave_A"], values["ave_C"]], abs=1e-7)  # both searches end at 1e-9
    # lavaan's errors use numerical derivatives
    assert found.std_errors.extracted == pytest.approx([errors["ave_A"], errors["ave_C"]], abs=1e-6)
    assert found.std_errors.composite == pytest.approx([errors["cr_A"], errors["cr_C"]], abs=1e-6)


# Brute force


def by_definition(r: np.ndarray, one: list[int], other: list[int]) -> tuple[float, float]:
    between = [abs(r[i, j]) for i in one for j in other]
    inside = [[abs(r[i, j]) for i, j in combinations(each, 2)] for each in (one, other)]
    geometric = [float(np.prod(each) ** (1 / len(each))) for each in (between, *inside)]
    arithmetic = [sum(each) / len(each) for each in (between, *inside)]
    return tuple(top / (first * second) ** 0.5 for top, first, second in (arithmetic, geometric))


def test_htmt_is_what_its_definition_says() -> None:
    answers = np.random.default_rng(3).standard_normal((60, 9)) + np.random.default_rng(4).standard_normal((60, 1))
    r, places = np.corrcoef(answers.T), [[0, 3, 5, 8], [1, 2], [4, 6, 7]]
    found = np.array(monotrait_ratios(r, places))
    expected = np.array([by_definition(r, places[one], places[other]) for one, other in zip(*pairs_of(3))])
    assert np.abs(found.T - expected).max() < 1e-14  # closed form: rounding only


@pytest.mark.parametrize("gaps", [0.0, 0.2])
def test_resamples_are_samples_of_respondents(gaps: float) -> None:
    rng = np.random.default_rng(5)
    answers = planted(40, 1)
    answers[rng.random(answers.shape) < gaps] = np.nan
    drawn = resampled_ratios(answers, TWO, 5, seed=9)
    rows = np.random.default_rng(9).integers(40, size=(5, 40))
    for sample, ratio in zip(rows, drawn.htmt, strict=True):
        r = pd.DataFrame(answers[sample]).corr().to_numpy()
        assert ratio[0] == pytest.approx(by_definition(r, *TWO)[0], abs=1e-12)  # closed form: rounding only


def test_pairwise_correlations_are_those_of_pandas() -> None:
    answers = planted(50, 2)
    answers[np.random.default_rng(1).random(answers.shape) < 0.3] = np.nan
    assert pairwise_correlations(answers) == pytest.approx(
        pd.DataFrame(answers).corr().to_numpy(), abs=1e-13
    )  # rounding


# Special cases


def test_equal_correlations_give_htmt_and_htmt2_alike() -> None:
    r = np.where(np.arange(6)[:, None] // 3 == np.arange(6) // 3, 0.5, 0.2) + 0.5 * np.eye(6)
    assert np.array(monotrait_ratios(r, TWO)).ravel() == pytest.approx([0.4, 0.4], abs=1e-15)  # rounding


def test_halves_of_one_scale_are_one_thing() -> None:
    r = np.full((6, 6), 0.6) + 0.4 * np.eye(6)
    assert np.array(monotrait_ratios(r, TWO)).ravel() == pytest.approx([1, 1], abs=1e-15)  # rounding


def test_the_sign_of_an_item_changes_nothing() -> None:
    r, signs = np.corrcoef(planted(100, 3).T), np.array([1, -1, 1, 1, 1, -1])
    turned = monotrait_ratios(r * np.outer(signs, signs), TWO)
    assert np.array(turned).tolist() == np.array(monotrait_ratios(r, TWO)).tolist()


def test_a_ratio_that_does_not_exist_is_missing() -> None:
    r = np.eye(6)
    ratios = monotrait_ratios(r, TWO)
    assert np.isnan(ratios.htmt).all() and np.isnan(ratios.htmt2).all()


def test_one_correlation_of_zero_leaves_no_geometric_mean() -> None:
    r = np.full((6, 6), 0.4) + 0.6 * np.eye(6)
    r[0, 3] = r[3, 0] = 0.0
    ratios = monotrait_ratios(r, TWO)
    assert np.isfinite(ratios.htmt).all() and np.isnan(ratios.htmt2).all()


def test_the_same_seed_gives_the_same_resamples() -> None:
    one, same = (resampled_ratios(planted(80, 4), TWO, 50, seed=2).htmt for _ in range(2))
    assert one.tolist() == same.tolist()


# Planted truth


def test_groups_of_respondents_spread_like_respondents(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = planted(20_000, 5)
    single = resampled_ratios(answers, TWO, 1000, seed=1).htmt.std()
    monkeypatch.setattr("smstudy.inference.psychometrics.discriminant.CELLS", 1)
    grouped = resampled_ratios(answers, TWO, 1000, seed=1).htmt.std()
    assert grouped == pytest.approx(single, rel=0.12)  # each is right to 2 to 3 % by its 1,000 samples or groups


def test_percentiles_hold_the_planted_ratio() -> None:
    inside = 0
    for seed in range(200):
        low, high = np.quantile(resampled_ratios(planted(200, seed), TWO, 400, seed).htmt, [0.025, 0.975])
        inside += low <= 0.6 <= high
    assert 0.90 <= inside / 200 <= 0.985  # 95 % within three standard errors of 200 draws, and percentiles are rough


def test_delta_intervals_hold_the_planted_values() -> None:
    hits, structure = np.zeros(3), measurement_model(list("abcdef"), {"one": list("abc"), "two": list("def")})
    truth = [0.49, (3 * 0.7) ** 2 / ((3 * 0.7) ** 2 + 3 * 0.51), 0.6]
    for seed in range(200):
        found = convergence(fit_mlr(structure, [planted(300, 1000 + seed)]))
        errors = found.std_errors
        for place, (value, error) in enumerate(
            [
                (found.extracted[0], errors.extracted[0]),
                (found.composite[0], errors.composite[0]),
                (found.correlations[0], errors.correlations[0]),
            ]
        ):
            hits[place] += abs(value - truth[place]) < 1.96 * error
    assert ((hits / 200 > 0.90) & (hits / 200 < 0.995)).all()  # 95 % within three standard errors of 200 draws
