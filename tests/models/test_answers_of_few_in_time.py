"""No answer of few people follows from pilots, series of waves, hazards and survival curves.

The attacks know how many people each unit, wave and level has, and all answers but those they look for.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit

import smstudy as sm
from smstudy.errors import DisclosureError, EstimationError
from smstudy.inference.person_periods import discrete_hazard, person_periods
from smstudy.inference.regression.panels import fit_effect, fit_event_study, panel_of
from smstudy.inference.survival import cox, log_rank
from smstudy.models.timelines.durations import survival
from smstudy.models.timelines.hazards import hazard
from smstudy.models.timelines.interruptions import interrupted_series
from smstudy.models.timelines.pilots import pilot
from smstudy.survey.dataset import Survey

MIN_N = 5
N_TRIALS = 60
EXACT = 1e-6  # a number of people, from closed forms
UNIT = "unit"


# Pilots: units that tables hide


@pytest.fixture(scope="module")
def waves() -> list[Survey]:
    run = sm.open_study("quarterly-pulse")
    return [run.previous_survey(), run.survey("clean")]


def change_of(unit: str, piloted: list[str], estimates: list[float], waves: list[Survey]) -> float:
    """Solve two pilots, the second with one unit more, for the change in that unit."""
    tables = [each.answers.groupby(UNIT)["adoption"].agg(["count", "mean"]) for each in waves]
    weight = tables[0]["count"] * tables[1]["count"] / (tables[0]["count"] + tables[1]["count"])
    change = tables[1]["mean"] - tables[0]["mean"]
    others = [each for each in weight.index if each not in (*piloted, unit)]
    base = np.average(change[others], weights=weight[others])
    first, second = (estimate + base for estimate in estimates)
    return (second * weight[[*piloted, unit]].sum() - first * weight[piloted].sum()) / weight[unit]


def test_two_pilots_do_not_give_the_change_of_a_unit_that_tables_hide(waves):
    big = ["Sales", "Marketing"]
    frame = pd.concat([each.answers.assign(wave=k) for k, each in enumerate(waves)])
    means = [each.answers.groupby(UNIT)["adoption"].mean() for each in waves]
    for unit in ("Facilities", "Strategy", "Quality Management"):
        others = [each for each in means[0].index if each not in (*big, unit)]
        how = {"unit": UNIT, "comparison": others}
        lists = ([*big], [*big, unit])
        told = [pilot(frame, "adoption", **how, treated=each, wave="wave", since=1).tidy() for each in lists]
        solved = change_of(unit, big, [each["estimate"].item() for each in told], waves)
        assert solved == pytest.approx(means[1][unit] - means[0][unit], rel=1e-9)  # the attack works on a bare frame
        for each in lists:
            with pytest.raises(DisclosureError, match="tables hide"):
                pilot(waves, "adoption", **how, treated=each, since=waves[1].wave)


@pytest.mark.parametrize("wave", [0, 1])
def test_who_of_two_units_hidden_in_a_wave_is_in_which_changes_no_pilot(wave, waves):
    pair = [("Facilities", "Strategy"), ("Facilities", "Quality Management")][wave]
    units = waves[wave].answers[UNIT].copy()
    places = [units.index[units == each][0] for each in pair]
    units.loc[places] = pair[::-1]
    other = [*waves]
    other[wave] = replace(waves[wave], answers=waves[wave].answers.assign(**{UNIT: units}))
    how = {"unit": UNIT, "treated": ["Sales", "Production", "Finance"], "since": waves[1].wave}
    one, two = (pilot(each, "adoption", **how) for each in (waves, other))
    pd.testing.assert_frame_equal(one.tidy(), two.tidy(), rtol=1e-9)  # the same sums in another order
    pd.testing.assert_frame_equal(one.event_study.tidy(), two.event_study.tidy(), rtol=1e-9)  # as above
    assert one.glance() == two.glance() and one.findings == two.findings


def test_units_that_tables_hide_may_be_in_the_pilot_together_or_stay_out(waves):
    hidden, big = ["Facilities", "Strategy", "Quality Management"], ["Sales", "Marketing"]
    how = {"unit": UNIT, "since": waves[1].wave}
    assert pilot(waves, "adoption", **how, treated=[*big, *hidden]).glance()["n_piloted"] == 3
    shown = set(waves[1].answers[UNIT].dropna()) - {*hidden, *big}
    out = pilot(waves, "adoption", **how, treated=big, comparison=sorted(shown))
    assert out.glance()["n_groups"] == len(shown) + 2
    assert "units_pooled" not in {finding.name for finding in out.findings}


# Pilots: outcomes of two answers


def switched(rng: np.random.Generator, *, n: int = 4, waves: int = 6) -> pd.DataFrame:
    """Eight units of equal size, four of them piloted, and an answer that most or few give."""
    frame = pd.DataFrame(list(product(range(8), range(waves), range(n))), columns=["unit", "wave", "person"])
    share = rng.uniform(0.2, 0.8, (2, waves))[(frame["unit"] < 4).astype(int), frame["wave"]]
    return frame.assign(piloted=(frame["unit"] < 4) * 1, yes=(rng.random(len(frame)) < share) * 1.0)


def given(frame: pd.DataFrame) -> pd.DataFrame:
    """People with each answer, the rarer first, by side and wave."""
    table = frame.groupby(["piloted", "wave"])["yes"].agg(["sum", "count"])
    return np.minimum(table["sum"], table["count"] - table["sum"]).unstack()


def solved(frame: pd.DataFrame, rows: pd.DataFrame, start: int) -> dict[int, float]:
    """People in the pilot who gave an answer in each wave of an event study, all others being known."""
    means, n = frame.groupby(["piloted", "wave"])["yes"].mean(), frame.groupby(["piloted", "wave"]).size().iloc[0]
    drift = {m: means[0, start + m] - means[0, start - 1] for m in rows["event_time"]}
    return {m: n * (means[1, start - 1] + drift[m] + value) for m, value in rows[["event_time", "estimate"]].to_numpy()}


def unprotected(frame: pd.DataFrame, start: int) -> pd.DataFrame:
    codes, places = frame["unit"].to_numpy(), frame["wave"].to_numpy()
    starts = np.where(np.arange(8) < 4, start, 6)
    panel = panel_of(codes, places, frame["yes"].to_numpy(), np.ones(len(frame)), starts, 6)
    moments, fitted = fit_event_study(panel)
    return pd.DataFrame({"event_time": moments, "estimate": fitted.fit.coefficients[fitted.places]})


def test_an_event_study_tells_no_small_number_of_people_with_one_of_two_answers():
    rng, told, some_hidden, open_before = np.random.default_rng(3), 0, 0, 0
    for _ in range(N_TRIALS):
        frame = switched(rng)
        truth = {m: frame[(frame["piloted"] == 1) & (frame["wave"] == 3 + m)]["yes"].sum() for m in (-3, -2, 0, 1, 2)}
        follows = solved(frame, unprotected(frame, 3), 3)
        assert follows == pytest.approx(truth, abs=EXACT)  # the attack works on what is not protected
        open_before += min(min(each, 16 - each) for each in truth.values()) < MIN_N
        result = pilot(frame, "yes", unit="unit", wave="wave", treated="piloted", since=3)
        rows = result.event_study.shown()
        rows = rows[rows["event_time"] != -1]
        numbers = [min(each, 16 - each) for each in solved(frame, rows, 3).values()]
        assert min(numbers, default=MIN_N) > MIN_N - EXACT
        assert given(frame)[[3 + int(m) for m in rows["event_time"]]].to_numpy().min(initial=99) >= MIN_N
        left = {-3, -2, 0, 1, 2} - set(rows["event_time"])
        assert len(left) != 1  # the effect less the waves told would give a single one
        told, some_hidden = told + bool(len(rows)), some_hidden + bool(left)
    assert told > 5 and some_hidden > 5 and open_before > 5


@pytest.mark.parametrize("sized", [False, True])
@pytest.mark.parametrize("few", [0, 3])
def test_an_effect_on_few_people_with_one_of_two_answers_is_refused(few, sized):
    frame = switched(np.random.default_rng(5), n=10, waves=4)
    before = frame[(frame["piloted"] == 1) & (frame["wave"] < 2)].index
    frame.loc[before, "yes"] = 0.0
    frame.loc[before[:few], "yes"] = 1.0
    how = {"unit": "unit", "wave": "wave", "treated": "piloted", "since": 2}
    if sized:
        frame = frame.groupby(["unit", "wave", "piloted"], as_index=False).agg(yes=("yes", "mean"), n=("yes", "size"))
        how["size"] = "n"
    panel = panel_of(
        frame["unit"].to_numpy(), frame["wave"].to_numpy(), frame["yes"].to_numpy(), np.ones(len(frame)),
        np.where(np.arange(8) < 4, 2, 4), 4,
    )  # fmt: skip
    side = frame.groupby(["piloted", frame["wave"] >= 2])["yes"].mean()
    follows = side[1, True] - side[0, True] + side[0, False] - fit_effect(panel).fit.coefficients[-1]
    assert 80 * follows == pytest.approx(few, abs=EXACT)  # the attack: people in the pilot who said yes before it
    with pytest.raises(DisclosureError, match="fewer than 5 respondents gave one of two answers"):
        pilot(frame, "yes", **how)


def test_a_wave_in_which_a_side_answered_alike_is_not_told():
    rng = np.random.default_rng(7)
    frame = switched(rng, n=10).assign(item=lambda f: rng.integers(1, 6, len(f)).astype(float))
    frame.loc[(frame["piloted"] == 1) & (frame["wave"] == 4), "item"] = 5.0
    how = {"unit": "unit", "wave": "wave", "treated": "piloted", "since": 3}
    study = pilot(frame, "item", **how).event_study
    assert len(study.tidy()) == 4 and 1 not in set(study.tidy()["event_time"])
    assert "waves_hidden" in {finding.name for finding in study.findings}
    assert study.to_text() and study.alt_text()
    frame.loc[(frame["piloted"] == 1) & (frame["wave"] == 2), "item"] = 5.0
    study = pilot(frame, "item", **how).event_study
    assert study.tidy()["event_time"].tolist() == [-1] and study.glance()["verdict"] == "not told"
    frame.loc[(frame["piloted"] == 1) & (frame["wave"] < 3), "item"] = 5.0
    with pytest.raises(DisclosureError, match="all gave the same"):
        pilot(frame, "item", **how)


def test_an_outcome_of_two_answers_that_enough_gave_is_told_in_full():
    result = pilot(
        switched(np.random.default_rng(2), n=40), "yes", unit="unit", wave="wave", treated="piloted", since=3
    )
    assert len(result.event_study.tidy()) == 6 and result.event_study.glance()["verdict"] != "not told"


# Series


@pytest.mark.parametrize("sized", [False, True])
def test_a_series_tells_no_small_number_of_people_with_one_of_two_answers(sized):
    rng, told, refused = np.random.default_rng(3), 0, 0
    for _ in range(N_TRIALS):
        frame = pd.DataFrame({"month": np.repeat(np.arange(10), 30)})
        frame["yes"] = (rng.random(300) < rng.uniform(0.1, 0.5)) * 1.0
        how = {"wave": "month", "since": 5}
        if sized:
            frame = frame.groupby("month", as_index=False).agg(yes=("yes", "mean"), n=("yes", "size"))
            how["size"] = "n"
        try:
            rows = interrupted_series(frame, "yes", **how).series.shown()
        except DisclosureError as error:
            assert "gave one of two answers" in str(error)
            refused += 1
            continue
        people = rows["n"] * rows["mean"]
        np.testing.assert_allclose(people, people.round(), atol=EXACT)  # the attack works: whole numbers of people
        assert np.minimum(people, rows["n"] - people).min() > MIN_N - EXACT
        told += 1
    assert told > 5 and refused > 5


def test_a_series_with_a_wave_of_one_answer_is_refused():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"month": np.repeat(np.arange(10), 20), "item": rng.integers(1, 6, 200).astype(float)})
    assert len(interrupted_series(frame, "item", wave="month", since=5).series.shown()) == 10
    frame.loc[frame["month"] == 3, "item"] = 5.0
    with pytest.raises(DisclosureError, match="all gave the same"):
        interrupted_series(frame, "item", wave="month", since=5)


# Time to an event


def period(counts: list[int], n: int = 15) -> pd.DataFrame:
    """People of teams followed for one period, so many of whom had the event."""
    frame = pd.DataFrame({"team": np.repeat(np.arange(len(counts)), n), "time": 1.0})
    return frame.assign(event=(np.tile(np.arange(n), len(counts)) < np.repeat(counts, n)) * 1)


def events_of(estimate: float, total: int, n: int = 15) -> list[tuple[int, int]]:
    """Events of two teams that go with a coefficient and the number of events in all."""
    pairs = [(total - k, k) for k in range(1, n) if 0 < total - k < n]
    return [(a, b) for a, b in pairs if abs(logit(b / n) - logit(a / n) - estimate) < EXACT]


@pytest.mark.parametrize("few", [2, 13])
@pytest.mark.parametrize("model", ["cox", "discrete"])
def test_a_hazard_tells_no_small_number_of_events(model, few):
    frame = period([7, few])
    rows = person_periods(frame["time"].to_numpy(), frame["event"].to_numpy(float))
    fit = discrete_hazard(
        frame[["team"]].to_numpy(float), rows, baseline=rows.period - 1, names=["team"], link="logit"
    ).likelihood
    assert events_of(fit.parameters[0], 7 + few) == [(7, few)]  # the attack works on what is not protected
    for formula in ("time ~ team", "time ~ C(team)"):
        with pytest.raises(DisclosureError, match='"?team"?'):
            hazard(formula, steps(frame), event="event", model=model, link="logit")


def steps(frame: pd.DataFrame, n: int = 4) -> pd.DataFrame:
    """The same over some periods, those without the event to the end."""
    time = np.where(frame["event"] == 1, 1.0 + np.arange(len(frame)) % n, float(n))
    return frame.assign(time=time, x=np.random.default_rng(1).normal(size=len(frame)))


@pytest.mark.parametrize("model", ["cox", "discrete"])
def test_levels_with_few_events_are_counted_with_others(model):
    rng, told, counted = np.random.default_rng(4), 0, 0
    for _ in range(N_TRIALS):
        counts = rng.integers(1, 29, 5).tolist()
        frame = steps(period(counts, 30))
        if model == "cox" and told % 2:
            frame["time"] += rng.random(len(frame))
        try:
            result = hazard("time ~ x + C(team)", frame, event="event", model=model)
        except (DisclosureError, EstimationError):
            continue
        levels = {term[5:-1] for term in result.tidy()["term"] if term.startswith("team[")}
        alone = [counts[int(each)] for each in levels if each.isdigit()]
        assert min(alone, default=MIN_N) >= MIN_N
        many = frame["time"].nunique() > 5
        assert many or max(alone, default=0) <= 30 - MIN_N
        told, counted = told + 1, counted + ("(small groups)" in levels)
    assert told > 10 and counted > 5


def test_combinations_and_switches_with_few_events_are_refused():
    frame = steps(period([12, 12, 12, 12], 30), 12)
    frame["switch"] = np.arange(120) % 2
    assert len(hazard("time ~ switch * C(team)", frame, event="event").tidy()) == 7
    few = frame.assign(event=frame["event"].where((frame["switch"] == 0) | (frame["team"] != 2), 0))
    with pytest.raises(DisclosureError, match="switch"):
        hazard("time ~ switch * C(team)", few, event="event")
    rare = frame.assign(event=frame["event"].where((frame["switch"] == 0) | (np.arange(120) < 6), 0))
    with pytest.raises(DisclosureError, match='"switch"'):
        hazard("time ~ switch", rare, event="event")
    assert len(hazard("time ~ x", rare, event="event").tidy()) == 1


def test_a_hazard_of_groups_with_few_left_is_refused_in_words():
    frame = steps(period([29, 29, 30, 30], 30))
    with pytest.raises(DisclosureError, match='"team" has no two levels of at least 5 .* with and without an event'):
        hazard("time ~ C(team)", frame, event="event")
    assert len(hazard("time ~ x", frame, event="event").tidy()) == 1
    everybody = frame.assign(event=1, time=1.0 + np.arange(120) % 9)
    assert len(hazard("time ~ C(team)", everybody, event="event").tidy()) == 3


def two_steps(early: list[int], late: list[int]) -> pd.DataFrame:
    """Two teams of 20: events at the first step, events at the second, and those followed to the third without one."""
    parts = [np.repeat([1.0, 2, 3], [a, b, 20 - a - b]) for a, b in zip(early, late, strict=True)]
    frame = pd.DataFrame({"team": np.repeat([0, 1], 20), "time": np.concatenate(parts)})
    return frame.assign(event=(frame["time"] < 3) * 1)


def test_a_hazard_of_groups_at_two_steps_tells_no_small_number_of_events():
    """The attack: whoever knows how many had the event at each step in all tries all splits."""

    def numbers(frame: pd.DataFrame) -> np.ndarray:
        fit = cox(
            frame[["team"]].to_numpy(float), *frame[["time", "event"]].to_numpy(float).T, names=["team"]
        ).likelihood
        return np.array([fit.parameters[0], fit.covariance[0, 0], fit.log_likelihood])

    truth = numbers(two_steps([2, 9], [8, 6]))
    splits = [([a, 11 - a], [b, 14 - b]) for a in range(1, 11) for b in range(1, 10) if 11 - a + 14 - b <= 20]
    fits = [split for split in splits if np.abs(numbers(two_steps(*split)) - truth).max() < EXACT]
    assert fits == [([2, 9], [8, 6])]  # the attack works on what is not protected
    frame = two_steps([2, 9], [8, 6])
    for model in ("cox", "discrete"):
        with pytest.raises(DisclosureError, match="5 steps or fewer"):
            hazard("time ~ C(team)", frame, event="event", model=model)
    assert len(hazard("time ~ C(team)", two_steps([6, 9], [8, 6]), event="event").tidy()) == 1


def test_the_test_of_all_drivers_does_not_tell_how_many_had_the_event_at_a_step():
    """Twice the difference of two likelihoods gives the one without drivers, which is a sum over steps."""
    frame = two_steps([2, 1], [12, 9]).assign(x=np.random.default_rng(1).normal(size=40))
    told = hazard("time ~ x", frame, event="event").glance()
    fit = cox(frame[["x"]].to_numpy(), *frame[["time", "event"]].to_numpy(float).T, names=["x"])
    ratio = 2 * (fit.likelihood.log_likelihood - fit.null_log_likelihood)
    assert abs(told["statistic"] - ratio) > EXACT
    finer = frame.assign(time=1.0 + np.arange(40) % 8)
    fit = cox(finer[["x"]].to_numpy(), *finer[["time", "event"]].to_numpy(float).T, names=["x"])
    ratio = 2 * (fit.likelihood.log_likelihood - fit.null_log_likelihood)
    assert hazard("time ~ x", finer, event="event").glance()["statistic"] == pytest.approx(ratio, rel=1e-9)  # the same


@pytest.mark.parametrize("few", [3, 12])
def test_a_log_rank_test_tells_no_small_number_of_events(few):
    frame = period([9, few])

    def statistic(k: int) -> float:
        other = period([9 + few - k, k])
        return log_rank(other["time"].to_numpy(), other["event"].to_numpy(), other["team"].to_numpy()).statistic

    truth = log_rank(frame["time"].to_numpy(), frame["event"].to_numpy(), frame["team"].to_numpy()).statistic
    fits = [k for k in range(16) if 0 <= 9 + few - k <= 15 and abs(statistic(k) - truth) < EXACT]
    assert few in fits and len(fits) <= 2  # the attack: this number, or the other team has it
    result = survival(frame, time="time", event="event", by="team")
    assert not {"statistic", "p_value"} & set(result.glance())
    assert "test_hidden" in {finding.name for finding in result.findings}
    assert repr(truth)[:6] not in result.to_text() + str(result.to_record())


def test_a_log_rank_test_is_told_in_full_only_where_no_step_has_few():
    rng, full, rounded, hidden = np.random.default_rng(6), 0, 0, 0
    for _ in range(N_TRIALS):
        n, n_steps = int(rng.integers(40, 900)), int(rng.integers(1, 12))
        frame = pd.DataFrame({"time": rng.integers(1, n_steps + 1, n), "event": rng.random(n) < 0.7})
        frame["by"] = rng.integers(0, 2, n)
        told = survival(frame, time="time", event="event", by="by").glance()
        counts = frame.groupby(["by", "time", "event"]).size()
        assert "statistic" not in told or counts.min() >= MIN_N
        if "statistic" not in told and "p_value" in told:
            assert told["p_value"] == round(told["p_value"], 2)
            rounded += 1
        full, hidden = full + ("statistic" in told), hidden + ("p_value" not in told)
    assert min(full, rounded, hidden) > 3
