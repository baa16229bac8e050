"""Laws of `smstudy.inference.regression.panels`: clubSandwich's numbers, and what must collapse."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smstudy.errors import EstimationError
from smstudy.inference.randomization import assignments, randomization_p
from smstudy.inference.regression.panels import (
    Panel,
    fit_effect,
    fit_event_study,
    jackknifed,
    only_units,
    panel_of,
    placebo_effects,
    slope_weights,
)
from smstudy.inference.threads import one_thread

REFERENCE = Path(__file__).parents[2] / "reference"
R = json.loads((REFERENCE / "pilots.json").read_text())
PEOPLE = pd.read_csv(REFERENCE / "pilots.csv")
DIGITS = {"rtol": 1e-8, "atol": 1e-10}  # closed form; R solves the same problem by a QR of all dummies


def panel(people=PEOPLE, starts=None):
    """The reference units; 3 of 8 begin at wave 3 unless told otherwise."""
    units, names = pd.factorize(people["unit"], sort=True)
    waves, found = pd.factorize(people["wave"], sort=True)
    piloted = people.groupby("unit")["piloted"].first()[names].to_numpy(bool)
    since = int(np.flatnonzero(found == 3)[0])
    starts = np.where(piloted, since, len(found)) if starts is None else starts
    return panel_of(units, waves, people["use"].to_numpy(), np.ones(len(people)), starts, len(found))


def staggered():
    starts = PEOPLE.groupby("unit")["start"].first().sub(1).fillna(5).to_numpy(int)
    return panel(starts=starts)


def balanced(seed=1, units=8, waves=4, start=2, effect=0.0):
    rng = np.random.default_rng(seed)
    starts = np.where(np.arange(units) < 3, start, waves)
    means = rng.normal(size=(units, 1)) + rng.normal(size=waves) + rng.normal(size=(units, waves))
    means = means + effect * (np.arange(waves) >= starts[:, None])
    return Panel(means=means, sizes=np.full((units, waves), 20.0), starts=starts)


@pytest.mark.parametrize(
    ("name", "people"),
    [
        ("several", PEOPLE),
        ("two", PEOPLE[PEOPLE["wave"].isin([2, 3])]),
        ("lean", PEOPLE[~((PEOPLE["unit"] == "unit 5") & (PEOPLE["wave"] == 2))]),
    ],
)
def test_effect_agrees_with_two_way_fixed_effects_and_clubsandwich(name, people):
    effect, expected = fit_effect(panel(people)).effects(0.95)[0], R[name]
    for field in ("estimate", "std_error", "df", "p_value", "conf_low", "conf_high"):
        np.testing.assert_allclose(getattr(effect, field), expected[field], **DIGITS)


def test_event_study_agrees_with_clubsandwich():
    moments, fitted = fit_event_study(panel())
    assert moments.tolist() == [-2, 0, 1, 2]
    effects = np.array(fitted.effects(0.95))
    for place, field in enumerate(("estimate", "std_error", "df", "p_value", "conf_low", "conf_high")):
        np.testing.assert_allclose(effects[:, place], R["study"][field], **DIGITS)
    np.testing.assert_allclose(fitted.joint_p(moments < 0), R["study_trend"], **DIGITS)


def test_different_starts_are_averaged_as_in_r():
    effect = fit_effect(staggered()).effects(0.95)[0]
    for field, expected in R["staggered"].items():
        np.testing.assert_allclose(getattr(effect, field), expected, **DIGITS)


def test_event_study_of_different_starts_is_group_time_averages():
    equal = staggered()
    equal = Panel(means=equal.means, sizes=np.ones_like(equal.sizes), starts=equal.starts)
    moments, fitted = fit_event_study(equal)
    found = dict(zip(moments.tolist(), [effect.estimate for effect in fitted.effects(0.95)]))
    # by hand every unit counts the same, and cohorts have two units each
    np.testing.assert_allclose([found[m] for m in R["group_time"]["moments"]], R["group_time"]["estimate"], **DIGITS)


def test_two_waves_give_the_difference_of_differences():
    found = balanced(waves=2, start=1)
    change = found.means[:, 1] - found.means[:, 0]
    np.testing.assert_allclose(fit_effect(found).effects(0.95)[0].estimate, change[:3].mean() - change[3:].mean())


def test_an_effect_that_is_added_is_found_on_top():
    without, with_effect = (fit_effect(balanced(effect=e)).effects(0.95)[0] for e in (0.0, 0.7))
    np.testing.assert_allclose(with_effect.estimate - without.estimate, 0.7)
    np.testing.assert_allclose(with_effect.std_error, without.std_error)


def test_different_starts_do_not_contaminate_each_other():
    """Effects that grow with time: the two-way coefficient would be far off, the average of cohorts is exact."""
    starts = np.array([1, 1, 3, 3, 5, 5, 5, 5])
    since = np.clip(np.arange(5) - starts[:, None] + 1, 0, None)
    noise = np.random.default_rng(1).normal(size=(8, 5)) * 1e-6
    grown = Panel(means=since + np.arange(8.0)[:, None] + noise, sizes=np.ones((8, 5)), starts=starts)
    truth = since[since > 0].mean()
    assert abs(fit_effect(grown).effects(0.95)[0].estimate - truth) < 1e-5  # the noise is 1e-6
    naive = Panel(means=grown.means, sizes=grown.sizes, starts=starts)
    d = naive.treated - naive.treated.mean(1, keepdims=True) - naive.treated.mean(0) + naive.treated.mean()
    assert abs((d * grown.means).sum() / (d * naive.treated).sum() - truth) > 0.3  # what plain two-way would say


def test_randomization_agrees_with_plain_r():
    for name, people in (("p_random", PEOPLE), ("two_p_random", PEOPLE[PEOPLE["wave"].isin([2, 3])])):
        found = panel(people)
        placebo = placebo_effects(found, assignments(found.starts))
        assert len(placebo) == 56
        observed = placebo_effects(found, found.starts[None, :])[0]
        np.testing.assert_allclose(randomization_p(placebo, observed), R[name], atol=1e-12)  # a count over 56


def test_placebo_of_different_starts_is_the_estimate_where_cells_are_equal():
    equal = staggered()
    equal = Panel(means=equal.means, sizes=np.ones_like(equal.sizes), starts=equal.starts)
    observed = placebo_effects(equal, equal.starts[None, :])[0]
    np.testing.assert_allclose(observed, fit_effect(equal).effects(0.95)[0].estimate, rtol=1e-10)  # same closed form


def test_one_unit_in_the_pilot_has_no_error():
    found = balanced()
    starts = np.where(np.arange(8) == 0, 2, 4)
    effect = fit_effect(Panel(means=found.means, sizes=found.sizes, starts=starts)).effects(0.95)[0]
    assert np.isfinite(effect.estimate) and np.isnan([effect.std_error, effect.p_value, effect.df]).all()


def test_units_that_began_alone_have_jackknife_errors():
    found = balanced(5)
    alone = Panel(means=found.means, sizes=found.sizes, starts=np.array([1, 2, 3, 4, 4, 4, 4, 4]))
    assert np.isnan(fit_effect(alone).effects(0.95)[0].std_error)
    effect = jackknifed(alone, 0.95)[0]
    without = [
        fit_effect(only_units(alone, np.arange(8) != g)).effects(0.95)[0].estimate - effect.estimate for g in range(8)
    ]
    np.testing.assert_allclose(effect.std_error**2, 7 / 8 * np.square(without).sum())
    moments, fitted = fit_event_study(alone)
    study = np.array(jackknifed(alone, 0.95, moments))
    np.testing.assert_allclose(study[:, 0], [each.estimate for each in fitted.effects(0.95)])
    rests_on_one = (moments == -3) | (moments == 2)  # waves that only the last, or the first, to begin has
    np.testing.assert_array_equal(np.isnan(study[:, 1]), rests_on_one)


def test_the_jackknife_has_no_error_where_one_unit_was_in_the_pilot():
    found = balanced()
    one = Panel(means=found.means, sizes=found.sizes, starts=np.where(np.arange(8) == 0, 2, 4))
    assert np.isnan(jackknifed(one, 0.95)[0].std_error)


def test_taking_out_a_unit_that_only_one_wave_saw_changes_nothing():
    sizes = np.full((8, 4), 20.0)
    sizes[7, 1:] = 0
    full = Panel(means=balanced().means, sizes=sizes, starts=balanced().starts)
    left = only_units(full, np.arange(8) < 7)
    np.testing.assert_allclose(
        fit_effect(full).effects(0.95)[0].estimate, fit_effect(left).effects(0.95)[0].estimate, rtol=1e-10
    )  # the same equations


def test_no_noise_is_refused():
    exact = balanced()
    smooth = Panel(
        means=np.arange(8.0)[:, None] + np.arange(4.0) + exact.treated, sizes=exact.sizes, starts=exact.starts
    )
    with pytest.raises(EstimationError, match="nothing is left to tell"):
        fit_effect(smooth)


def test_inference_holds_its_level_with_three_of_eight_units():
    """No effect, 400 data sets: randomization inference is exact, CR2 and the wild bootstrap are close."""
    rejected, many = np.zeros(3), 400
    ways = assignments(balanced().starts)
    for seed in range(many):
        found = balanced(seed)
        with one_thread():
            fitted = fit_effect(found)
            observed = fitted.effects(0.95)[0]
            p_random = randomization_p(placebo_effects(found, ways), placebo_effects(found, found.starts[None, :])[0])
            rejected += np.array([p_random, observed.p_value, fitted.wild(0.95, 1).p_value]) < 0.05
    shares = rejected / many
    assert abs(shares[0] - 2 / 56) < 0.028  # 2 of 56 is the largest share below 5 %; 3 standard errors of 400 draws
    assert shares[1] < 0.083  # 5 % + 3 standard errors
    assert shares[2] < 0.083


def test_small_units_in_the_pilot_are_no_false_alarm_of_randomization():
    """No effect, 3 of 10 units with a tenth of the people: effects without their errors reject in 26 %."""
    sizes, starts = np.repeat([[6.0], [60.0]], [3, 7], axis=0) * np.ones(4), np.repeat([2, 4], [3, 7])
    ways, rejected, many = assignments(starts), np.zeros(2), 150
    for seed in range(many):
        rng = np.random.default_rng(seed)
        found = Panel(means=rng.normal(size=(10, 4)) / np.sqrt(sizes), sizes=sizes, starts=starts)
        with one_thread():
            placebo, own = placebo_effects(found, ways), placebo_effects(found, starts[None, :])[0]
            raw = np.array([_coefficient(found, way) for way in ways])
        rejected += np.array([randomization_p(placebo, own), randomization_p(raw, _coefficient(found, starts))]) < 0.05
    assert rejected[0] / many < 0.104  # 5 % and 3 standard errors of 150
    assert rejected[1] / many > 0.15  # what is mended


def _coefficient(found, starts):
    """Two-way fixed effects where sizes do not change over time: a weighted difference of changes."""
    change = found.means[:, 2:].mean(axis=1) - found.means[:, :2].mean(axis=1)
    inside, weights = starts < 4, found.sizes[:, 0]
    return np.average(change[inside], weights=weights[inside]) - np.average(change[~inside], weights=weights[~inside])


def test_drift_before_the_start_is_the_slope_of_the_differences():
    found = balanced(units=8, waves=6, start=4)
    moments, fitted = fit_event_study(found)
    drift = fitted.combined(slope_weights(moments), 0.95)
    before = np.array([each.estimate for each in fitted.effects(0.95)])[moments < 0]
    slope = np.polyfit([*moments[moments < 0], -1], [*before, 0.0], 1)[0]
    np.testing.assert_allclose(drift.estimate, slope, rtol=1e-10)  # the same least squares
    part = Panel(means=found.means[:, :4], sizes=found.sizes[:, :4], starts=found.starts)
    early = part.means - part.means.mean(axis=1, keepdims=True)
    own = early @ (np.arange(4) - 1.5) / 5
    first, rest = own[found.starts < 6], own[found.starts == 6]
    np.testing.assert_allclose(drift.estimate, first.mean() - rest.mean(), rtol=1e-10)  # of equal units: own slopes
    welch = np.sqrt(first.var(ddof=1) / 3 + rest.var(ddof=1) / 5)
    np.testing.assert_allclose(drift.std_error, welch, rtol=1e-10)  # CR2 of two groups is Welch's error
    jackknife = jackknifed(found, 0.95, moments, slope_weights(moments)[None, :])[0]
    np.testing.assert_allclose(jackknife.estimate, slope, rtol=1e-10)  # as above
    assert 0.9 < jackknife.std_error / welch < 1.5  # the jackknife's error is a little larger
