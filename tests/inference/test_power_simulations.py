"""Simulated chances: the level without an effect, published sample sizes, formulas where a case has one."""

from __future__ import annotations

import numpy as np
import pytest

from smstudy.inference.power_formulas import correlation_power, f_power, shares_power, t_power
from smstudy.inference.power_simulations import mediated, moderated, ordered, piloted, within_teams
from smstudy.inference.regression.panels import Panel, fit_effect

DRAWS = 4000
LEVEL = {"abs": 0.014}  # 4 simulation errors of 5 % in 4,000 draws
CHANCE = {"abs": 0.032}  # 5 simulation errors of a share in 4,000 draws


@pytest.mark.parametrize(
    "found",
    [
        mediated(120, 0.4, 0.0, 0.2, draws=DRAWS, seed=1),
        moderated(120, 0.0, 0.3, 0.8, draws=DRAWS, seed=1),
        within_teams(20, 0.0, 8, 0.1, 0.1, draws=DRAWS, seed=1),
        ordered(60, 80, 1.0, (0.1, 0.3, 0.4, 0.2), draws=DRAWS, seed=1),
    ],
    ids=["mediation", "interaction", "multilevel", "ordinal"],
)
def test_without_an_effect_the_chance_is_the_level(found):
    assert found.shape == (DRAWS,) and found.mean() == pytest.approx(0.05, **LEVEL)


def test_the_same_seed_gives_the_same_chance():
    draws = [mediated(60, 0.3, 0.3, 0.0, draws=200, seed=7) for _ in range(2)]
    assert (draws[0] == draws[1]).all()


@pytest.mark.parametrize("path, n", [(0.39, 78), (0.14, 558)])
def test_published_samples_for_mediation_have_a_chance_of_80_percent(path, n):
    first = path / np.sqrt(1 + path**2)
    second = path * np.sqrt(1 + path**2) / np.sqrt(path**2 * (1 + path**2) + 1)
    found = mediated(n, first, second, 0.0, draws=DRAWS, seed=2).mean()
    # Fritz & MacKinnon (2007), Psychological Science 18, table 3, percentile bootstrap: found there with 1,000 draws
    assert found == pytest.approx(0.8, abs=0.05)
    both = correlation_power(first, n) * f_power(second**2 * (1 - first**2) / (1 - second**2), n, 1, 1)
    assert found == pytest.approx(float(both), **CHANCE)


def test_an_interaction_of_exact_drivers_has_the_chance_of_its_formula():
    effect, n = 0.2, 200
    expected = float(f_power(effect**2 / (1 - effect**2), n, 1, 2))
    found = moderated(n, effect, 0.0, 1.0, draws=DRAWS, seed=3).mean()
    assert found == pytest.approx(expected, abs=0.04)  # drivers are drawn, the formula has them fixed


def test_unreliable_drivers_hide_an_interaction():
    exact, noisy = (moderated(200, 0.2, 0.3, each, draws=DRAWS, seed=4).mean() for each in (1.0, 0.7))
    assert noisy < exact - 0.2


def test_slopes_that_do_not_differ_have_about_the_chance_of_single_people():
    found = within_teams(30, 0.15, 10, 0.0, 0.0, draws=DRAWS, seed=5).mean()
    single = float(t_power(0.15, np.sqrt((1 - 0.15**2) / (30 * 9)), 30 * 9 - 1))
    assert found == pytest.approx(single, abs=0.06)  # fewer degrees of freedom: teams, not people


def test_ordered_answers_of_two_have_the_chance_of_two_shares():
    other = 0.4 / (0.4 + 2 * 0.6)
    found = ordered(100, 100, 2.0, (0.4, 0.6), draws=DRAWS, seed=6).mean()
    assert found == pytest.approx(float(shares_power(0.4, other - 0.4, 100, 100)), **CHANCE)


def test_whiteheads_sample_has_the_chance_wanted():
    shares = np.array([0.1, 0.2, 0.4, 0.2, 0.1])
    up_to = np.cumsum(shares)[:-1]
    second = np.diff(np.concatenate([[0], up_to / (up_to + 2 * (1 - up_to)), [1]]))
    mean = (shares + second) / 2
    n = round(2 * 3 * (1.959964 + 0.841621) ** 2 / (np.log(2) ** 2 * (1 - (mean**3).sum())))
    assert ordered(n, n, 2.0, shares, draws=DRAWS, seed=7).mean() == pytest.approx(0.8, **CHANCE)


def test_a_pilot_with_many_units_has_the_chance_of_a_t_test():
    found = piloted(25, 25, 0.8, 1.0, draws=DRAWS, seed=1).mean()
    assert found == pytest.approx(float(t_power(0.8, (2 / 25) ** 0.5, 48)), **CHANCE)


def test_a_pilot_without_effect_is_seldom_called_one():
    shares = [piloted(*units, 0.0, 1.0, draws=DRAWS, seed=1).mean() for units in ((3, 5), (4, 8), (30, 40))]
    assert max(shares) < 0.05 + LEVEL["abs"] and min(shares[1:]) > 0.03


def test_a_pilot_is_tested_as_difference_in_differences_with_cr2_errors():
    changes = 0.9 * np.repeat([1, 0], [4, 6]) + np.random.default_rng(3).standard_normal(10)
    panel = Panel(
        means=np.column_stack([np.zeros(10), changes]), sizes=np.full((10, 2), 7.0), starts=np.repeat([1, 2], [4, 6])
    )
    effect = fit_effect(panel).effects(0.95)[0]
    inside, outside = changes[:4], changes[4:]
    error = (inside.var(ddof=1) / 4 + outside.var(ddof=1) / 6) ** 0.5
    df = (1 / 4 + 1 / 6) ** 2 / (1 / 4**2 / 3 + 1 / 6**2 / 5)
    assert effect.std_error == pytest.approx(error, rel=1e-9) and effect.df == pytest.approx(df, rel=1e-9)  # rounding
