"""No number of people below the threshold follows from a model whose drivers are categories.

The attack: whoever knows how many people each level has (tables show it) turns the coefficients of a model that has one
coefficient per cell into the number of people with each answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, ndtr, softmax

from smstudy.errors import DataError, DisclosureError, EstimationError
from smstudy.inference.regression.design import POOLED
from smstudy.models.regressions.categories import multinomial, ordinal
from smstudy.models.regressions.event_counts import counts
from smstudy.models.regressions.marginal import effects
from smstudy.models.regressions.regression import regress
from smstudy.result import Result

N_SURVEYS = 120
MIN_N = 5
EXACT = 1e-4  # a number of people, from coefficients that were searched for


def survey(rng: np.random.Generator) -> pd.DataFrame:
    """Two departments or more of very different size and taste, three tools, one of them used by few."""
    n, k = int(rng.integers(40, 160)), int(rng.integers(2, 6))
    unit = rng.choice([f"unit {place}" for place in range(k)], size=n, p=rng.dirichlet(np.ones(k)))
    taste = {name: rng.dirichlet([2.0, 1.0, 0.7]) for name in np.unique(unit)}
    tool = [rng.choice(["chat", "mail", "wiki"], p=taste[name]) for name in unit]
    frame = pd.DataFrame({"unit": unit, "tool": tool, "trained": rng.integers(0, 2, n)})
    return frame.assign(chat=(frame["tool"] == "chat") * 1, noise=rng.normal(size=n))


def binary(family: str, back: Callable) -> Callable:
    """Numbers of people with each answer by level, as the coefficients of a model of two answers tell them."""

    def attack(frame: pd.DataFrame) -> tuple[Result, np.ndarray]:
        fit = regress("chat ~ unit", frame, family=family)
        line = fit.tidy()["estimate"].to_numpy()
        shares = back(line + np.where(np.arange(len(line)), line[0], 0))
        return fit, np.column_stack([1 - shares, shares])

    return attack


def two_answers(frame: pd.DataFrame) -> tuple[Result, np.ndarray]:
    fit = ordinal("chat ~ unit", frame)
    *estimates, threshold = fit.tidy()["estimate"]
    shares = expit(np.array([0.0, *estimates]) - threshold)
    return fit, np.column_stack([1 - shares, shares])


def choice(frame: pd.DataFrame) -> tuple[Result, np.ndarray]:
    fit = multinomial("tool ~ unit", frame)
    lines = fit.tidy()["estimate"].to_numpy().reshape(2, -1).T
    lines = lines + np.where(np.arange(len(lines)), 1, 0)[:, None] * lines[0]
    return fit, softmax(np.column_stack([np.zeros(len(lines)), lines]), axis=1)


def sizes(fit: Result, frame: pd.DataFrame) -> np.ndarray:
    """People of the reference and of the levels that have a coefficient; what is pooled are all others."""
    levels = [term[5:-1] for term in dict.fromkeys(fit.tidy()["term"]) if term.startswith("unit[")]
    levels = [re.search(r'Levels are compared: unit with "(.*?)"', fit.note).group(1), *levels]
    counts = frame["unit"].value_counts()
    known = sum(counts[level] for level in levels if level in counts)
    return np.array([counts.get(level, len(frame) - known) for level in levels])


ATTACKS = {
    "linear": binary("linear", lambda line: line),
    "logit": binary("logit", expit),
    "probit": binary("probit", ndtr),
    "ordinal": two_answers,
    "multinomial": choice,
}


@pytest.mark.parametrize("name", ATTACKS)
def test_no_small_number_of_people_follows_from_coefficients_and_sizes(name):
    rng, told = np.random.default_rng(11), 0
    for _ in range(N_SURVEYS):
        frame = survey(rng)
        try:
            fit, shares = ATTACKS[name](frame)
        except (DisclosureError, EstimationError):
            continue
        people = shares * sizes(fit, frame)[:, None]
        assert np.abs(people - people.round()).max() < EXACT  # the attack works: whole numbers of people
        assert people.min() > MIN_N - EXACT
        told += 1
    assert told > N_SURVEYS / 10  # some surveys have levels large enough


def means_told(fit: Result, back: Callable = lambda line: line) -> dict[str, float]:
    """The attack on levels: the mean of each, from its coefficient and the constant; the last are the pooled ones."""
    table = fit.tidy()
    table = table[table["category"] == "how often"] if "category" in table else table
    line = table.set_index("term")["estimate"]
    reference = re.search(r'Levels are compared: unit with "(.*?)"', fit.note).group(1)
    levels = [term for term in line.index if term.startswith("unit[")]
    return {reference: back(line.iloc[0])} | {term[5:-1]: back(line.iloc[0] + line[term]) for term in levels}


def members(frame: pd.DataFrame, level: str, means: dict[str, float]) -> pd.DataFrame:
    """Who is in a level of the model."""
    own = frame["unit"].isin(means)
    return frame[~own] if level == POOLED else frame[frame["unit"] == level]


@pytest.mark.parametrize("kind", ["statement", "number"])
def test_no_mean_of_a_level_is_the_answer_of_each(kind):
    """The attack: a mean at the end of the scale, or any mean of people who are known to agree."""
    rng, met = np.random.default_rng(7), 0
    for _ in range(N_SURVEYS):
        frame = survey(rng)
        y = rng.integers(1, 6, len(frame)) * 1.0 if kind == "statement" else rng.normal(50, 9, len(frame))
        alike = frame["unit"].isin(rng.choice(frame["unit"].unique(), rng.integers(1, 3)))
        frame = frame.assign(y=np.where(alike, frame["unit"].str[-1].astype(float), y))
        met += frame.groupby("unit")["y"].agg(lambda part: len(part) >= MIN_N and np.ptp(part) == 0).any()
        try:
            means = means_told(regress("y ~ unit", frame))
        except (DisclosureError, EstimationError):
            continue
        for level, mean in means.items():
            inside = members(frame, level, means)["y"]
            assert mean == pytest.approx(inside.mean(), abs=EXACT)  # the attack works: it is the mean
            assert len(inside) >= MIN_N and np.ptp(inside) > 0
    assert met > N_SURVEYS / 2  # many surveys have a unit of one mind that is large enough for a mean


def test_units_of_one_mind_are_counted_with_what_tables_hide():
    frame = pd.DataFrame({"unit": np.repeat(["a", "b", "c", POOLED], [30, 6, 9, 12])})
    y = np.where(frame["unit"] == "c", 4.0, np.arange(len(frame)) % 5)
    terms = regress("y ~ unit", frame.assign(y=y)).tidy()["term"].tolist()
    assert terms == ["(intercept)", "unit[b]", f"unit[{POOLED}]"]


def test_a_combination_or_a_switch_of_one_mind_is_refused():
    place = np.arange(160)
    frame = pd.DataFrame({"a": place % 2, "unit": np.where(place < 80, "x", "z"), "y": place // 2 % 5 + 1.0})
    regress("y ~ a * unit", frame)
    alike = frame["y"].mask((frame["a"] == 1) & (frame["unit"] == "z"), 5.0)
    with pytest.raises(DisclosureError, match='"a:unit" .* or all of them have the same outcome'):
        regress("y ~ a * unit", frame.assign(y=alike))
    with pytest.raises(DisclosureError, match='"a" .* or all of them have the same outcome'):
        regress("y ~ a", frame.assign(y=frame["y"].mask(frame["a"] == 1, 5.0)))


def posts(rng: np.random.Generator) -> pd.DataFrame:
    """Posts of people in units, in some of which hardly anybody or nearly everybody posts."""
    frame = survey(rng)
    some = {name: rng.choice([0.02, 0.1, 0.6, 0.97]) for name in frame["unit"].unique()}
    active = rng.random(len(frame)) < frame["unit"].map(some)
    return frame.assign(posts=np.where(active, rng.poisson(3, len(frame)) + 1, 0))


@pytest.mark.parametrize("family", ["poisson", "negative_binomial"])
def test_no_sum_of_a_level_is_that_of_few_who_had_events(family):
    rng, told, met = np.random.default_rng(4), 0, 0
    for _ in range(N_SURVEYS):
        frame = posts(rng)
        some = (frame["posts"] > 0).groupby(frame["unit"]).sum()
        try:
            means = means_told(counts("posts ~ unit", frame, family=family), np.exp)
        except (DisclosureError, EstimationError, DataError):
            continue
        met += ((some > 0) & (some < MIN_N) & (frame["unit"].value_counts() >= MIN_N)).any()
        for level, mean in means.items():
            inside = members(frame, level, means)["posts"]
            assert mean * len(inside) == pytest.approx(inside.sum(), abs=0.01)  # the attack works: it is the sum
            assert (inside > 0).sum() >= MIN_N
        told += 1
    assert told > N_SURVEYS / 10 and met > 5  # the case is the one meant


def test_how_few_never_have_an_event_does_not_follow():
    rng, told = np.random.default_rng(6), 0
    for _ in range(N_SURVEYS // 2):
        frame = posts(rng)
        try:
            fit = counts("posts ~ unit", frame, family="zero_inflated_poisson")
        except (DisclosureError, EstimationError, DataError):
            continue
        rates = means_told(fit, np.exp)
        table = fit.tidy()
        line = table.loc[table["category"] == "never", "estimate"].to_numpy()
        never = expit(line + np.where(np.arange(len(line)), line[0], 0))
        for (level, rate), share in zip(rates.items(), never, strict=True):
            inside = members(frame, level, rates)["posts"]
            without = len(inside) * (share + (1 - share) * np.exp(-rate))
            assert without == pytest.approx((inside == 0).sum(), abs=0.05)  # the attack works: a number of people
            assert min(without, len(inside) - without) > MIN_N - 0.05
        told += 1
    assert told > 5


def test_counts_of_people_who_all_have_events_are_not_touched():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"unit": np.resize(list("abcd"), 120)})
    frame["logins"] = rng.negative_binomial(4, 0.2, len(frame)) + 1
    for family in ("poisson", "negative_binomial"):
        assert POOLED not in " ".join(counts("logins ~ unit", frame, family=family).tidy()["term"])
    frame.loc[frame.index[:3], "logins"] = 0  # a mean of large counts does not tell how many had none
    assert POOLED not in " ".join(counts("logins ~ unit", frame).tidy()["term"])


def test_effects_of_counts_are_about_the_levels_of_the_model():
    frame = pd.DataFrame({"unit": np.repeat(list("abcd"), 30), "noise": np.random.default_rng(1).normal(size=120)})
    place = np.arange(120) % 30
    frame["posts"] = np.where(frame["unit"] == "b", (place < 3) * 4, np.where(frame["unit"] == "c", 2, place % 4))
    for family in ("poisson", "zero_inflated_poisson"):
        fit = counts("posts ~ unit + noise", frame, family=family, zero="~ 1" if family != "poisson" else None)
        levels = [term for term in fit.tidy()["term"] if term.startswith("unit")]
        assert "unit[b]" not in levels
        assert effects(fit, frame, drivers=["unit"]).tidy()["term"].tolist() == levels


def test_a_level_with_few_of_one_answer_is_counted_with_others():
    frame = pd.DataFrame({"unit": np.repeat(list("abcd"), 30), "noise": np.random.default_rng(1).normal(size=120)})
    place = np.arange(120) % 30
    y = np.select([frame["unit"] == "a", frame["unit"] == "b"], [place < 3, place < 28], place < 12) * 1
    result = regress("y ~ noise + C(unit)", frame.assign(y=y), family="logit")
    assert result.tidy()["term"].tolist()[2:] == ["unit[d]", "unit[(small groups)]"]
    said = next(finding for finding in result.findings if finding.name == "levels_pooled")
    assert "5 respondents with each answer" in said.text
    assert effects(result, frame.assign(y=y), drivers=["unit"]).tidy()["term"].tolist() == [
        "unit[d]", "unit[(small groups)]",
    ]  # fmt: skip
    numbers = regress("score ~ noise + C(unit)", frame.assign(score=place % 7))
    assert "unit[b]" in set(numbers.tidy()["term"])


@pytest.mark.parametrize("few", [0, 3])
@pytest.mark.parametrize("model", ["linear", "logit", "probit", "ordinal", "multinomial"])
def test_a_switch_with_few_of_one_answer_is_refused(model, few):
    """With nobody at all everybody else has the same answer, which is everybody's own."""
    switch = np.arange(120) % 2
    y = np.where((switch == 1) & (np.arange(120) >= 2 * few), 1, np.arange(120) % 4 > 1) * 1
    frame = pd.DataFrame({"y": y, "switch": switch, "noise": np.random.default_rng(1).normal(size=120)})
    fits = {"ordinal": ordinal, "multinomial": multinomial}
    with pytest.raises(DisclosureError, match='"switch" would describe fewer than 5 .* with one of the answers'):
        fits[model]("y ~ switch + noise", frame) if model in fits else regress(
            "y ~ switch + noise", frame, family=model
        )


def test_combinations_with_few_of_one_answer_are_refused():
    place = np.arange(160)
    frame = pd.DataFrame({"a": place % 2, "b": place // 2 % 2, "y": (place // 4 % 2) * 1})
    few = frame.assign(y=frame["y"].where((frame["a"] * frame["b"] == 0) | (place > 140), 1))
    regress("y ~ a + b", few, family="logit")
    with pytest.raises(DisclosureError, match='"a:b"'):
        regress("y ~ a * b", few, family="logit")


def test_an_answer_that_few_gave_is_refused_by_name_of_the_threshold_only():
    frame = pd.DataFrame({"x": np.arange(60.0), "y": (np.arange(60) > 56) * 1, "tool": ["a", "b"] * 28 + ["c"] * 4})
    for family in ("linear", "logit"):
        with pytest.raises(DisclosureError, match="Fewer than 5 respondents have the rarer outcome"):
            regress("y ~ x", frame, family=family)
    with pytest.raises(DisclosureError, match="Fewer than 5 respondents gave one of the answers"):
        multinomial("tool ~ x", frame)


def test_effects_are_about_the_levels_of_the_model():
    rng = np.random.default_rng(5)
    for frame in (survey(rng) for _ in range(20)):
        try:
            fit = multinomial("tool ~ unit + noise", frame)
        except (DisclosureError, EstimationError):
            continue
        assert set(effects(fit, frame, drivers=["unit"]).tidy()["term"]) == set(fit.tidy()["term"]) - {
            "(intercept)", "noise",
        }  # fmt: skip
