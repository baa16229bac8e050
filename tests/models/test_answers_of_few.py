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

from smstudy.errors import DisclosureError, EstimationError
from smstudy.models.regressions.categories import multinomial, ordinal
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
