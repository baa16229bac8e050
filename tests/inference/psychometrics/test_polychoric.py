"""Laws of polychoric correlations and their covariance: R, brute force, special tables, a planted truth, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize, special

from smstudy.errors import DataError
from smstudy.inference.psychometrics import polychoric as module
from smstudy.inference.psychometrics.polychoric import (
    OrdinalSample,
    Polychorics,
    asymptotic_covariance,
    ordinal_codes,
    polychorics,
)

HERE = Path(__file__).parents[2] / "reference"
SHARED = Path(__file__).parents[4] / "shared" / "data"
R = json.loads((HERE / "polychoric.json").read_text(encoding="utf-8"))
FIVE = ["A1", "C4", "E2", "N3", "O5"]
LAVAAN = 1e-6  # nlminb stops when the likelihood settles to 1e-10, which leaves 1e-7 in a correlation


def small(missing: bool) -> pd.DataFrame:
    items = pd.read_csv(HERE / "polychoric_small.csv")
    return items[[name for name in items if name.endswith("_m") == missing]]


def bfi() -> pd.DataFrame:
    return pd.read_csv(HERE / "bfi_complete.csv")


def trello() -> pd.DataFrame:
    path = SHARED / "trello_utaut2" / "utaut2_216.csv"
    if not path.exists():
        pytest.skip("the folder shared/data is not here")
    return pd.read_csv(path).iloc[:, :28]


def wiki() -> pd.DataFrame:
    path = SHARED / "wiki4he" / "wiki4HE.csv"
    if not path.exists():
        pytest.skip("the folder shared/data is not here")
    return pd.read_csv(path, na_values="?").loc[:, "PU1":"Pf3"]


CASES = {
    "bfi": lambda: ordinal_codes(bfi()),
    "bfi_missing": lambda: ordinal_codes(pd.read_csv(HERE / "bfi.csv").iloc[:, :10]),
    "bfi_listwise": lambda: ordinal_codes(pd.read_csv(HERE / "bfi.csv").iloc[:, :10], missing="listwise"),
    "small": lambda: ordinal_codes(small(missing=False)),
    "small_missing": lambda: ordinal_codes(small(missing=True)),
    "wiki": lambda: ordinal_codes(wiki()),
}


def informative(found: Polychorics) -> np.ndarray:
    """Estimates that have a covariance: not the pairs at the boundary, for which lavaan gives some huge number."""
    return np.r_[np.ones(found.n_thresholds.sum(), bool), ~found.boundary]


def planted(n: int, rho: float, cuts: tuple[list[float], list[float]], seed: int) -> pd.DataFrame:
    """Two skewed items with a known correlation behind them."""
    rng = np.random.default_rng(seed)
    first = rng.standard_normal(n)
    second = rho * first + np.sqrt(1 - rho**2) * rng.standard_normal(n)
    return pd.DataFrame({"a": np.searchsorted(cuts[0], first), "b": np.searchsorted(cuts[1], second)})


def crossed(table: list[list[int]]) -> pd.DataFrame:
    """Answers of two items with this table."""
    rows = [(i, j) for i, row in enumerate(table) for j, count in enumerate(row) for _ in range(count)]
    return pd.DataFrame(rows, columns=["a", "b"])


def brute_probabilities(h: np.ndarray, k: np.ndarray, rho: float) -> np.ndarray:
    """Cells by numerical integration over the first variable; nothing shared with the package."""
    spread = np.sqrt(1 - rho**2)
    left, right = np.r_[-9, h], np.r_[h, 9]
    bottom, top = np.r_[-np.inf, k], np.r_[k, np.inf]

    def slice_of(x: float, low: float, high: float) -> float:
        density = np.exp(-x * x / 2) / np.sqrt(2 * np.pi)
        return density * (special.ndtr((high - rho * x) / spread) - special.ndtr((low - rho * x) / spread))

    return np.array(
        [
            [integrate.quad(slice_of, a, b, args=(low, high), epsabs=1e-13, limit=200)[0]
             for low, high in zip(bottom, top, strict=True)]
            for a, b in zip(left, right, strict=True)
        ]
    )  # fmt: skip


def brute_likelihood(found: Polychorics, rho: float) -> float:
    """Log likelihood of the first pair."""
    first, second = (row[np.isfinite(row)] for row in found.thresholds[:2])
    cells = brute_probabilities(first, second, rho)
    table = found.tables[0, : cells.shape[0], : cells.shape[1]]
    return float((table * np.log(np.maximum(cells, 1e-300))).sum())


# R


@pytest.mark.parametrize("case", list(CASES))
def test_agrees_with_lavaan(case: str) -> None:
    sample, expected = CASES[case](), R[case]
    found = polychorics(sample)
    size = len(expected["rho"])
    assert sample.n == expected["n"]
    np.testing.assert_allclose(found.statistics[:-size], expected["thresholds"], rtol=0, atol=1e-13)  # closed form
    np.testing.assert_allclose(found.statistics[-size:], expected["rho"], rtol=0, atol=LAVAAN)
    if "lavcor" in expected:
        np.testing.assert_allclose(found.statistics[-size:], expected["lavcor"], rtol=0, atol=LAVAAN)


@pytest.mark.parametrize("case", list(CASES))
def test_covariance_agrees_with_lavaan(case: str) -> None:
    sample, expected = CASES[case](), R[case]
    found = polychorics(sample)
    covariance, diagonal = asymptotic_covariance(sample, found), np.array(expected["diagonal"])
    told = informative(found)
    # lavaan's correlations are off by 1e-7, and variances change several times as fast near 1
    np.testing.assert_allclose(np.diag(covariance)[told], diagonal[told], rtol=3e-6)
    if told.all():
        product = covariance @ np.cos(np.arange(1, len(diagonal) + 1))
        scale = np.sqrt(diagonal * diagonal.sum())  # no sum of products exceeds it
        np.testing.assert_allclose(product / scale, expected["product"] / scale, rtol=0, atol=LAVAAN)


@pytest.mark.parametrize("case", ["small", "small_missing"])
def test_every_covariance_agrees_with_lavaan(case: str) -> None:
    sample, expected = CASES[case](), np.array(R[case]["gamma"])
    found = polychorics(sample)
    told = np.ix_(informative(found), informative(found))
    spread = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))[told]
    covariance = asymptotic_covariance(sample, found)[told]
    np.testing.assert_allclose(covariance / spread, expected[told] / spread, rtol=0, atol=LAVAAN)


def test_agrees_with_exact_roots_of_the_likelihood_slope() -> None:
    found = polychorics(ordinal_codes(bfi()[FIVE])).statistics[-10:]
    np.testing.assert_allclose(found, R["five"]["exact"], rtol=0, atol=1e-12)  # uniroot with tolerance 1e-14


@pytest.mark.parametrize("program", ["polycor", "psych"])
def test_agrees_with_other_programs_as_far_as_they_search(program: str) -> None:
    found = polychorics(ordinal_codes(bfi()[FIVE]))
    # both use optimize() with its tolerance of 1.2e-4, of which some 1e-5 remain
    np.testing.assert_allclose(found.statistics[-10:], R["five"][program], rtol=0, atol=5e-5)
    np.testing.assert_allclose(found.statistics[:-10], R["five"]["psych_tau"], rtol=0, atol=1e-12)  # closed form


def test_agrees_with_lavaan_on_trello_except_for_improbable_answers() -> None:
    sample, expected = ordinal_codes(trello()), np.array(R["trello"]["rho"])
    found = polychorics(sample)
    apart = np.abs(found.correlations[found.pairs] - expected) > LAVAAN
    named = {(found.names[i], found.names[j]) for i, j in zip(*(side[apart] for side in found.pairs), strict=True)}
    assert named == {tuple(pair) for pair in R["improbable"]["pairs"]}
    assert (found.least_expected[apart] < 1e-4).all()  # what the finding improbable_answers goes by


@pytest.mark.parametrize("number", range(6))
def test_improbable_answers_count_as_they_are(number: int) -> None:
    """Where lavaan bounds a probability, and polycor may stop early, no other program is more likely."""
    pair = R["improbable"]["pairs"][number]
    found = polychorics(ordinal_codes(trello()[pair]))
    ours = brute_likelihood(found, float(found.correlations[0, 1]))
    assert ours >= brute_likelihood(found, R["improbable"]["polycor"][number]) - 1e-6  # quad adds up 49 cells
    if number < 4:
        assert found.correlations[0, 1] == pytest.approx(R["improbable"]["polycor"][number], abs=1e-4)  # optimize()


# brute force


@pytest.mark.parametrize("rho", [-0.9, -0.3, 0.0, 0.5, 0.97])
def test_maximizes_the_likelihood(rho: float) -> None:
    found = polychorics(ordinal_codes(planted(800, rho, ([-1.0, 0.2, 1.4], [0.3, 1.2]), seed=5)))
    best = optimize.minimize_scalar(
        lambda r: -brute_likelihood(found, r), bounds=(-0.9989, 0.9989), method="bounded", options={"xatol": 1e-8}
    )
    # a maximum is found to the root of the noise in the likelihood, which is 1e-11
    assert found.correlations[0, 1] == pytest.approx(best.x, abs=1e-5)


def test_covariance_is_that_of_casewise_influence_by_differences() -> None:
    """The estimates move by a respondent's influence when his or her answers count a little more."""
    sample = ordinal_codes(small(missing=True).iloc[:150, [0, 2, 4]])
    found = polychorics(sample)
    repeated, rounds = 40, []
    many = OrdinalSample(sample.names, np.repeat(sample.codes, repeated, axis=0), sample.n_categories)
    for row in sample.codes[:12]:
        more = OrdinalSample(sample.names, np.vstack([many.codes, row[None]]), sample.n_categories)
        rounds.append((polychorics(more).statistics - found.statistics) * repeated)
    levels, of_pairs = module._influences(found)
    block = next(module._blocks(sample.codes, found.tables.shape[1]))
    influence = module._influence(block, levels, of_pairs, np.float64)[:12]
    # the outer product of the scores stands for the information, as Muthen has it: near, not equal
    assert np.corrcoef(np.array(rounds).ravel(), influence.ravel())[0, 1] > 0.99


def test_blocks_and_single_precision_change_little(monkeypatch: pytest.MonkeyPatch) -> None:
    sample = ordinal_codes(bfi().iloc[:, :8])
    found = polychorics(sample)
    whole = asymptotic_covariance(sample, found)
    spread = np.sqrt(np.diag(whole))
    monkeypatch.setattr(module, "BLOCK", 100)
    np.testing.assert_allclose(asymptotic_covariance(sample, found) / whole.max(), whole / whole.max(), atol=1e-13)
    monkeypatch.setattr(module, "MANY_PRODUCTS", 0)
    single = asymptotic_covariance(sample, found)
    np.testing.assert_allclose(np.diag(single), np.diag(whole), rtol=1e-6)  # sums are mended in double precision
    np.testing.assert_allclose((single - whole) / np.outer(spread, spread), 0, atol=1e-5)  # 2,436 roundings of 6e-8


# special tables


def test_tetrachoric_of_halves_has_a_closed_form() -> None:
    found = polychorics(ordinal_codes(crossed([[40, 10], [10, 40]])))
    assert found.correlations[0, 1] == pytest.approx(-np.cos(2 * np.pi * 0.4), abs=1e-12)  # Sheppard's formula


def test_an_empty_cell_of_two_by_two_gets_half_a_respondent() -> None:
    found = polychorics(ordinal_codes(crossed([[40, 0], [10, 50]])))
    moved = polychorics(ordinal_codes(crossed([[79, 1], [21, 99]])))  # the same shares, margins kept
    assert found.n_empty.tolist() == [1] and not found.boundary.any()
    assert found.correlations[0, 1] == pytest.approx(moved.correlations[0, 1], abs=1e-12)  # one and the same maximum


@pytest.mark.parametrize(("table", "limit"), [([[40, 0], [0, 60]], 0.999), ([[0, 40], [60, 0]], -0.999),
                                              ([[30, 0, 0], [0, 30, 10], [0, 0, 30]], 0.999)])  # fmt: skip
def test_a_perfect_table_stops_at_the_limit_and_says_so(table: list[list[int]], limit: float) -> None:
    found = polychorics(ordinal_codes(crossed(table)))
    assert found.boundary.all() and found.correlations[0, 1] == limit


def test_a_likelihood_that_grows_ever_more_slowly_ends_at_the_limit() -> None:
    table = [[2, 0], [13, 0], [11, 0], [3, 0], [12, 0], [57, 2]]
    sample = ordinal_codes(crossed(table))
    found = polychorics(sample)
    covariance = asymptotic_covariance(sample, found)
    assert found.boundary.all() and found.correlations[0, 1] == 0.999
    assert np.isnan(covariance[-1]).all() and np.isfinite(covariance[:-1, :-1]).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("seed", range(40))
def test_no_correlation_is_more_likely_in_small_and_odd_tables(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cuts = tuple(np.sort(rng.normal(0, 1.2, rng.integers(1, 6))).tolist() for _ in range(2))
    items = planted(int(rng.choice([40, 100, 500])), rng.uniform(-0.99, 0.99), cuts, seed)
    if (items.nunique() < 2).any():
        pytest.skip("an item is constant by chance")
    found = polychorics(ordinal_codes(items))
    grid = np.r_[found.correlations[0, 1], np.linspace(-0.999, 0.999, 301)]
    tables = module._filled(found.tables, np.array([found.n_thresholds.tolist() == [1, 1]])).repeat(len(grid), axis=0)
    first, second = (found.thresholds[[item]].repeat(len(grid), axis=0) for item in (0, 1))
    probability = np.maximum(module._cells(tables, first, second, grid).probability, 1e-300)
    likelihood = (tables * np.log(probability)).sum(axis=(1, 2))
    assert likelihood[0] >= likelihood.max() - 1e-6  # sums of up to 500 logarithms


def test_items_may_have_different_categories() -> None:
    found = polychorics(ordinal_codes(small(missing=False)))
    assert found.n_thresholds.tolist() == [1, 1, 2, 3, 4, 1]
    assert len(found.statistics) == 12 + 15
    assert np.isinf(found.thresholds[0, 1:]).all()


def test_missing_answers_leave_pairs_of_their_own() -> None:
    sample = ordinal_codes(small(missing=True))
    answered = sample.codes >= 0
    expected = answered.astype(int).T @ answered.astype(int)
    np.testing.assert_array_equal(polychorics(sample).n_pairs, expected)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), rho=st.floats(-0.95, 0.95))
def test_turning_an_item_round_turns_its_correlation(seed: int, rho: float) -> None:
    items = planted(300, rho, ([-0.5, 0.7], [-1.0, 0.1, 0.6]), seed=seed)
    plain, turned = (polychorics(ordinal_codes(x)) for x in (items, items.assign(a=-items["a"])))
    assert turned.correlations[0, 1] == pytest.approx(
        -plain.correlations[0, 1], abs=1e-10
    )  # Newton ends at 1e-9 squared


def test_codes_keep_the_order_of_answers_not_their_distance() -> None:
    items = planted(500, 0.6, ([-0.5, 0.7], [-1.0, 0.1, 0.6]), seed=1)
    stretched = items.assign(a=items["a"].map({0: -3, 1: 10, 2: 99}))
    np.testing.assert_array_equal(ordinal_codes(items).codes, ordinal_codes(stretched).codes)


def test_one_respondent_against_many_is_no_trouble() -> None:
    """The least likely answer has a probability of 1e-17 there; differences of probabilities would be noise."""
    items = planted(20_000, 0.9, ([-1.5, 0.0, 1.5], [-1.5, 0.0, 1.5]), seed=2)
    with_slip = pd.concat([items, pd.DataFrame({"a": [0], "b": [3]})], ignore_index=True)
    one, other = (float(polychorics(ordinal_codes(x)).correlations[0, 1]) for x in (items, with_slip))
    found = polychorics(ordinal_codes(with_slip))
    assert other < one and found.least_expected[0] < 1e-4
    slopes = [brute_likelihood(found, other + step) for step in (-0.01, 0.0, 0.01)]
    assert slopes[1] > max(slopes[0], slopes[2])


# a planted truth


@pytest.mark.parametrize(("rho", "cuts"), [(0.3, ([0.8, 1.5], [-1.4, 1.0])), (0.7, ([-1.2, 0.9, 1.6], [1.0]))])
def test_a_planted_correlation_is_recovered_and_covered(rho: float, cuts: tuple[list[float], list[float]]) -> None:
    n, pairs, found, errors = 600, 25, [], []
    for seed in range(16):  # pairs are independent of each other
        items = pd.concat([planted(n, rho, cuts, seed=100 * seed + pair) for pair in range(pairs)], axis=1)
        sample = ordinal_codes(items.set_axis(range(2 * pairs), axis=1))
        estimate = polychorics(sample)
        variances = np.diag(asymptotic_covariance(sample, estimate))[estimate.n_thresholds.sum() :] / n
        planted_ones = (estimate.pairs[0] % 2 == 0) & (estimate.pairs[1] == estimate.pairs[0] + 1)
        found.append(estimate.correlations[estimate.pairs][planted_ones])
        errors.append(np.sqrt(variances[planted_ones]))
    found, errors, rounds = np.concatenate(found), np.concatenate(errors), 16 * pairs
    # four standard errors of a mean of 400; the bias of the estimate at n = 600 is a tenth of its standard error
    assert abs(found.mean() - rho) < 4 * found.std() / np.sqrt(rounds) + 0.1 * errors.mean()
    assert errors.mean() == pytest.approx(found.std(), rel=0.12)  # a standard deviation of 400 has an error of 3.5 %
    covered = (np.abs(np.arctanh(found) - np.arctanh(rho)) < 1.96 * errors / (1 - found**2)).mean()
    assert 0.92 < covered < 0.98  # 95 % plus or minus three binomial standard errors of 1.1 %


# refusals


@pytest.mark.parametrize(("column", "message"), [
    ([1] * 40, "Everybody gave the same answer to q"),
    ([float("nan")] * 40, "Nobody answered q"),
    ([1.5, 2.0] * 20, "q: an answer is no whole number, so the item looks continuous"),
    ([1, float("inf")] * 20, "q: an answer is no whole number"),
    (list(range(40)), "q has more than 12 different answers"),
    (["yes", "no"] * 20, "q holds no numbers"),
])  # fmt: skip
def test_unusable_items_are_refused(column: list[object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        ordinal_codes(pd.DataFrame({"p": [1, 2] * 20, "q": column}))


def test_one_item_or_two_of_one_name_are_refused() -> None:
    with pytest.raises(DataError, match="two items or more"):
        ordinal_codes(pd.DataFrame({"p": [1, 2] * 20}))
    with pytest.raises(DataError, match="same name"):
        ordinal_codes(pd.DataFrame([[1, 2]] * 20, columns=["p", "p"]))


def test_listwise_without_a_complete_row_is_refused() -> None:
    with pytest.raises(DataError, match="Nobody answered all items"):
        ordinal_codes(pd.DataFrame({"p": [1, 2, None, None] * 9, "q": [None, None, 1, 2] * 9}), missing="listwise")


@pytest.mark.parametrize("few", [[1, 1, 1], [1, 2, 1]])
def test_of_a_few_it_is_not_said_whether_they_agree(few: list[int]) -> None:
    items = pd.DataFrame({"p": [1, 2] * 20, "q": [*few, *[np.nan] * 37]})
    with pytest.raises(DataError, match="^q: fewer than 10 respondents gave an answer"):
        polychorics(ordinal_codes(items))
    with pytest.raises(DataError, match="^Fewer than 10 respondents answered all items"):
        ordinal_codes(items, missing="listwise")


def test_pairs_that_hardly_anybody_answered_are_refused() -> None:
    early, late = np.arange(40) < 23, np.arange(40) >= 14  # nine answer both
    items = pd.DataFrame({"p": [1, 2] * 20, "q": [1, 1, 2, 2] * 10, "r": [2, 1, 1, 2] * 10})
    items = items.assign(q=items["q"].where(early), r=items["r"].where(late))
    with pytest.raises(DataError, match="q and r: fewer than 10 respondents answered both"):
        polychorics(ordinal_codes(items))


def test_a_pair_without_variation_is_refused() -> None:
    items = pd.DataFrame({"p": [1] * 20 + [2] * 20, "q": [np.nan] * 20 + [1, 2] * 10, "r": [1, 2] * 20})
    with pytest.raises(DataError, match="p and q: all who answered both gave the same answer to one of them"):
        polychorics(ordinal_codes(items))


def test_a_group_without_a_category_is_refused() -> None:
    sample = ordinal_codes(planted(400, 0.5, ([-0.5, 0.7], [-1.0, 0.1, 0.6]), seed=1))
    with pytest.raises(DataError, match="a: a category was chosen by nobody here"):
        polychorics(sample.keep(sample.codes[:, 0] > 0))
