"""Laws of `smstudy.models.mechanisms.moderations`: slopes agree with R, and differences are told from none."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import smstudy
from smstudy.errors import DataError, EstimationError, SmstudyError, StudyError
from smstudy.models.mechanisms.moderations import moderate
from smstudy.models.regressions.regression import regress

HERE = Path(__file__).parents[2] / "reference"
R = json.loads((HERE / "moderation.json").read_text(encoding="utf-8"))
CLOSE = {"rtol": 1e-8}  # closed forms by other orders of computing
N = 240


@pytest.fixture(scope="module")
def protest():
    return pd.read_csv(HERE / "mediation_protest.csv")


@pytest.fixture
def frame():
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(rng.normal(3, 1, size=(N, 2)), columns=["a", "b"])
    frame["half"] = rng.integers(0, 2, N)
    frame["team"] = np.arange(N) % 12
    frame["role"] = rng.choice(["clerk", "expert", "head"], N)
    frame["y"] = 0.5 * (frame["b"] - 3) * frame["a"] + 0.4 * frame["half"] * frame["a"] + rng.normal(size=N)
    return frame


@pytest.mark.parametrize("kind", ["classical", "HC3"])
def test_slopes_agree_with_r(protest, kind):
    found = moderate("liking ~ prot2 * sexism", protest, covariance=kind).tidy()
    expected = R["protest"][kind]
    np.testing.assert_allclose(found["estimate"][:3], expected["slopes"]["estimate"], **CLOSE)
    np.testing.assert_allclose(found["std_error"][:3], expected["slopes"]["std_error"], **CLOSE)
    np.testing.assert_allclose(found["moderator_value"][:3], R["at"], **CLOSE)
    np.testing.assert_allclose(found.loc[3, ["estimate", "std_error"]].to_numpy(float), expected["difference"], **CLOSE)
    assert (found["df"] == 125).all()


@pytest.mark.parametrize("corrected", [False, True])
@pytest.mark.parametrize("kind", ["classical", "HC3"])
def test_regions_agree_with_r(protest, kind, corrected):
    found = moderate("liking ~ prot2 * sexism", protest, covariance=kind, false_discovery=corrected).regions.tidy()
    low, high = R["ends"]
    roots = R["protest"][kind]["false_discovery" if corrected else "regions"]
    borders = [root for root in roots if low < root < high]
    np.testing.assert_allclose(found["region_high"][:-1], borders, **CLOSE)
    assert (found["region_low"].iloc[0], found["region_high"].iloc[-1]) == pytest.approx((low, high))


def test_the_published_region_comes_out(protest):
    found = moderate("liking ~ prot2 * sexism", protest, covariance="classical").regions.tidy()
    assert found["region_high"][0].round(3) == 4.975  # Hayes (2018), chapter 8; the other border, 3.509, is below 3.87
    assert found["verdict"].tolist() == ["cannot tell", "positive"]


def test_slopes_of_levels_agree_with_r(protest):
    found = moderate("liking ~ sexism * C(protest)", protest)
    np.testing.assert_allclose(found.tidy()["estimate"][:3], R["levels"]["estimate"], **CLOSE)
    np.testing.assert_allclose(found.tidy()["std_error"][:3], R["levels"]["std_error"], **CLOSE)
    assert found.glance()["statistic"] == pytest.approx(R["levels"]["statistic"])
    assert found.glance()["p_value"] == pytest.approx(R["levels"]["p_value"])
    assert found.tidy()["at"].tolist()[3:] == ["1 less 0", "2 less 0"]
    assert found.regions is None


def test_clustered_slopes_agree_with_clubsandwich():
    teams = pd.read_csv(HERE / "clusters.csv")
    teams = teams[teams["team"] <= "team 20"]
    expected = R["clusters"]
    shift = [teams.assign(climate=teams["climate"] - place) for place in expected["places"]]
    for place, moved in enumerate(
        shift
    ):  # with the moderator centered there, the driver's own coefficient is the slope
        fit = regress("use ~ support * climate + role", moved, cluster="team").tidy()
        row = fit[fit["term"] == "support"].iloc[0]
        assert row["df"] == pytest.approx(expected["df"][place])
    found = moderate("use ~ support * climate + role", teams, cluster="team")
    fit = found.model
    own, product = (list(fit.tidy()["term"]).index(name) for name in ("support", "support:climate"))
    rows = np.zeros((3, len(fit.matrix)))
    rows[:, own], rows[:, product] = 1, expected["places"]
    np.testing.assert_allclose(fit.contrast_df(rows), expected["df"], **CLOSE)
    np.testing.assert_allclose(np.sqrt(np.diag(rows @ fit.matrix @ rows.T)), expected["std_error"], **CLOSE)
    np.testing.assert_allclose(rows @ fit.tidy()["estimate"], expected["estimate"], **CLOSE)
    np.testing.assert_allclose(found.tidy()["df"], fit.contrast_df(found.contrasts), **CLOSE)


def test_slopes_of_two_groups_are_those_of_separate_regressions(frame):
    found = moderate("y ~ a * half", frame).tidy()
    own = [regress("y ~ a", part).tidy()["estimate"][1] for _, part in frame.groupby("half")]
    np.testing.assert_allclose(found["estimate"], [*own, own[1] - own[0]], rtol=1e-10)  # both closed forms
    assert found["at"].tolist() == ["0", "1", "1 less 0"]


def test_text_and_number_moderators_of_two_values_agree(frame):
    words = frame.assign(half=frame["half"].map({0: "no", 1: "yes"}))
    one, other = moderate("y ~ a * half", frame).tidy(), moderate("y ~ a * half", words).tidy()
    np.testing.assert_allclose(one["estimate"], other["estimate"], **CLOSE)
    np.testing.assert_allclose(one["std_error"], other["std_error"], **CLOSE)


def test_centering_changes_no_slope(frame):
    one, other = moderate("y ~ a * b", frame), moderate("y ~ center(a) * center(b)", frame)
    np.testing.assert_allclose(one.tidy()["estimate"], other.tidy()["estimate"], **CLOSE)
    shifted = other.regions.tidy()["region_high"] + frame["b"].mean()
    np.testing.assert_allclose(one.regions.tidy()["region_high"], shifted, **CLOSE)


def test_the_driver_stands_first_and_controls_stay_out(frame):
    found = moderate("y ~ b * a + C(role) * C(half)", frame)
    assert found.tidy()["term"].unique().tolist() == ["b"]
    assert "role" in found.note


def test_standardized_slopes_are_per_standard_deviation_or_step(frame):
    spread = frame["y"].std()
    found = moderate("y ~ a * b", frame).tidy()
    np.testing.assert_allclose(found["std_estimate"], found["estimate"] * frame["a"].std() / spread, **CLOSE)
    found = moderate("y ~ half * b", frame).tidy()
    np.testing.assert_allclose(found["std_estimate"], found["estimate"] / spread, **CLOSE)


def test_regions_are_looked_for_where_enough_are_on_either_side(frame):
    values = np.sort(frame["b"])
    for min_n in (5, 20):
        found = moderate("y ~ a * b", frame, min_n=min_n).regions.tidy()
        ends = found["region_low"].iloc[0], found["region_high"].iloc[-1]
        assert (values <= ends[0]).sum() >= min_n and (values >= ends[1]).sum() >= min_n
        assert not np.isclose(values[:, None], ends, rtol=0, atol=1e-9).any()  # nobody's own value, all being different


def test_shares_are_those_of_everybody(frame):
    found = moderate("y ~ a * b", frame).regions.tidy()
    assert abs(found["share"].iloc[-1] - (frame["b"] > found["region_low"].iloc[-1]).mean()) <= 0.025  # half a step
    assert "% of respondents" in found["reading"].iloc[-1]


def test_shares_at_many_levels_do_not_count_people_between_borders(frame):
    """The attack: the same question at two levels moves the border; the difference of shares tells who is between."""
    shares, people = [], []
    for conf_level in np.linspace(0.90, 0.97, 15):
        found = moderate("y ~ a * b", frame, conf_level=conf_level).regions.tidy()
        shares.append(found["share"].iloc[-1] * N)
        people.append((frame["b"] > found["region_low"].iloc[-1]).sum())
    between = np.abs(np.diff(people))
    assert ((between > 0) & (between < 5)).any()  # the case is the one meant: the attack works on exact shares
    told = np.abs(np.diff(shares))
    assert not ((told > 0.5) & (told < 5)).any()


def test_a_share_of_few_is_hidden_and_does_not_follow(frame):
    rng = np.random.default_rng(5)
    b = np.concatenate([rng.normal(1, 0.3, N // 2 - 1), [3.0, 3.1], rng.normal(5, 0.3, N // 2 - 1)])
    y = (b - 3) * frame["a"] * 3 + rng.normal(size=N) * 1.5
    found = moderate("y ~ a * b", frame.assign(b=b, y=y)).regions.tidy()
    inside = ((b > found["region_low"][1]) & (b < found["region_high"][1])).sum()
    assert len(found) == 3 and 0 < inside < 5  # the case is the one meant
    assert found["share"].isna().sum() >= 2


def test_bins_of_the_density_hold_enough_people(frame):
    curve = moderate("y ~ a * b", frame).curve
    values, density = curve["moderator_value"].to_numpy(), curve["density"].to_numpy()
    starts = np.flatnonzero(np.r_[True, np.diff(density) != 0])
    assert len(starts) > 4
    width = (values[-1] - values[0]) / 12
    assert (density * width * N >= 5 - 1e-9).all()  # a bin is at least this wide


def test_a_difference_that_cannot_be_told_is_not_claimed(frame):
    flat = frame.assign(y=frame["a"] * 0.3 + np.random.default_rng(6).normal(size=N))
    found = moderate("y ~ a * b", flat)
    assert found.glance()["verdict"] == "cannot tell"
    assert found.tidy()["reading"].iloc[-1] == "cannot tell whether slopes differ"


def test_regions_without_a_difference_are_a_finding():
    rng = np.random.default_rng(10)
    a, b, e = rng.normal(size=(3, 150))
    found = moderate("y ~ a * b", pd.DataFrame({"a": a, "b": b, "y": 0.35 * a + 0.02 * a * b + 1.3 * e}))
    assert len(found.regions.tidy()) > 1 and found.glance()["verdict"] == "cannot tell"  # the case is the one meant
    assert "regions_without_difference" in {finding.name for finding in found.findings}


def test_a_difference_with_overlap_may_be_a_curve(frame):
    bent = frame.assign(b=frame["a"] + 0.5 * frame["b"])
    bent["y"] = bent["a"] ** 2 + np.random.default_rng(1).normal(size=N)
    assert "product_or_curve" in {finding.name for finding in moderate("y ~ a * b", bent).findings}


def test_the_test_of_a_difference_holds_its_level():
    rng, hits = np.random.default_rng(11), 0
    for _ in range(150):
        a, b, e = rng.normal(size=(3, 60))
        found = moderate("y ~ a * b", pd.DataFrame({"a": a, "b": b, "y": a + b + e * (1 + np.abs(a))}))
        hits += found.glance()["verdict"] == "differs"
    assert hits / 150 <= 0.103  # 0.05 and three binomial errors of 0.0178, with HC3 and unequal variances


@pytest.mark.parametrize(
    ("formula", "error", "says"),
    [
        ("y ~ a + b", StudyError, "one product"),
        ("y ~ a * b + a * half", StudyError, "one product"),
        ("y ~ a * b * half", StudyError, "one product"),
        ("y ~ a + a:b", StudyError, "needs both"),
        ("y ~ a * b - 1", StudyError, "constant"),
        ("y ~ role * b", DataError, "more than two levels"),
        ("y ~ C(role) * b", DataError, r"Write the driver first: \"b \* C\(role\)\""),
        ("y ~ a * nothing", DataError, "no column"),
        ("y ~ a * same", DataError, "same value"),
        ("twice ~ a * half", DataError, "exactly"),
        ("word ~ a * b", DataError, "is text"),
    ],
)
def test_what_cannot_be_answered_is_refused(frame, formula, error, says):
    with pytest.raises(error, match=says):
        moderate(formula, frame.assign(same=1.0, twice=2 * frame["a"], word=np.where(frame["half"], "yes", "no")))


def test_what_the_product_adds_is_what_an_f_test_says(frame):
    for formula, q, df in (("y ~ a * b + half", 1, N - 5), ("y ~ a * C(role)", 2, N - 6)):
        glance = moderate(formula, frame, covariance="classical").glance()
        less = regress(formula.replace("*", "+"), frame).glance()["r_squared"]
        assert glance["r_squared_change"] == pytest.approx(glance["r_squared"] - less, abs=1e-12)  # the same sums
        f = glance["r_squared_change"] / q / ((1 - glance["r_squared"]) / df)
        assert f == pytest.approx(glance["statistic"] ** (2 if q == 1 else 1), rel=1e-8)  # closed forms
    row = regress("y ~ a * b", frame).tidy().iloc[3]
    assert (
        f"Product of a and b: b = {row['estimate']:.2f}, SE = {row['std_error']:.2f}, p < .001"
        in moderate("y ~ a * b", frame).note
    )


def test_slopes_may_be_asked_for_at_own_values(frame):
    found = moderate("y ~ a * b", frame, at=[2, 3.5]).tidy()
    b = regress("y ~ a * b", frame).tidy()["estimate"]
    np.testing.assert_allclose(found["estimate"][:2], b[1] + b[3] * np.array([2, 3.5]), **CLOSE)
    assert found["at"].tolist()[:2] == ["2", "3.5"]
    with pytest.raises(DataError, match="beyond what enough respondents answered"):
        moderate("y ~ a * b", frame, at=[99])


def test_slopes_of_two_values_are_read_as_in_a_regression(frame):
    frame = frame.assign(y=0.8 * frame["half"] + 0.001 * frame["b"] + np.random.default_rng(3).normal(size=N))
    found = moderate("y ~ half * b", frame).tidy()
    assert found["reading"][1] == regress("y ~ half + b", frame).tidy()["reading"][1] == "medium, positive"


def test_words_of_negative_slopes_say_weaker_or_stronger(frame):
    noise = np.random.default_rng(4).normal(size=N)
    for sign, words in ((1, "weaker"), (-1, "stronger")):
        found = moderate("y ~ a * b", frame.assign(y=(-4 + sign * 0.4 * frame["b"]) * frame["a"] + noise)).tidy()
        assert found["reading"].iloc[-1] == f"slope is {words} where b is high"
    across = moderate("y ~ a * b", frame.assign(y=(frame["b"] - 3) * frame["a"] + noise)).tidy()
    assert across["reading"].iloc[-1] == "slope changes sign where b is high"


def test_values_of_a_tiny_scale_are_told_apart(frame):
    found = moderate("y ~ a * b", frame.assign(b=frame["b"] * 1e-9))
    assert found.tidy()["at"].nunique() == 4 and not found.tidy()["at"].str.contains(r"0\.00").any()
    assert not any("0.00" in reading for reading in found.regions.tidy()["reading"])
    usual = moderate("y ~ a * b", frame).tidy()
    np.testing.assert_allclose(found.tidy()["estimate"], usual["estimate"], rtol=1e-6)  # nine digits of b are kept


def test_few_respondents_are_not_said_to_be_alike():
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(9, 3)), columns=["a", "b", "y"])
    text = {finding.name: finding.text for finding in moderate("y ~ a * b", frame).findings}["no_regions"]
    assert text.startswith("Too few respondents are on either side")


def test_an_outcome_of_0_and_1_is_read_in_points(frame):
    found = moderate("y ~ a * b", frame.assign(y=(frame["y"] > 0) * 1))
    assert "two_valued_outcome" in {finding.name for finding in found.findings}
    assert "two_valued_outcome" not in {finding.name for finding in moderate("y ~ a * b", frame).findings}


def test_levels_are_named_by_their_column(frame):
    found = moderate("y ~ a * C(role)", frame)
    assert found.title == "How a goes with y, by role" and "C(role)" not in found.to_text()


def test_the_wild_bootstrap_and_one_cluster_terms_are_refused(frame):
    with pytest.raises(StudyError, match="wild"):
        moderate("y ~ a * b", frame, cluster="team", covariance="wild")
    alone = frame.assign(one=(frame["team"] == 3) * 1)
    with pytest.raises(EstimationError, match="single cluster"):
        moderate("y ~ a * one", alone, cluster="team")


def test_too_few_respondents_are_refused(frame):
    with pytest.raises(SmstudyError):
        moderate("y ~ a * b", frame.head(4))


def test_pooling_gives_the_slopes_with_their_covariance(frame):
    found = moderate("y ~ a * b", frame)
    pooled = found.pooling()
    np.testing.assert_allclose(np.sqrt(np.diag(pooled.covariance)), found.tidy()["std_error"], **CLOSE)
    assert len(pooled.keys.drop_duplicates()) == 4


@pytest.mark.parametrize("formula", ["y ~ a * b", "y ~ a * C(role)", "y ~ a * half"])
def test_pictures_are_drawn_and_told(frame, formula):
    found = moderate(formula, frame)
    axes = found.plot()
    assert axes.get_title(loc="left") == found.title
    assert "Slopes" in found.alt_text()
    plt.close(axes.get_figure())


def test_the_demo_is_answered_in_its_own_words():
    survey = smstudy.open_study("quarterly-pulse").survey("clean")
    found = smstudy.moderate("adoption ~ leadership * readiness + C(unit)", survey)
    assert found.glance()["verdict"] == "cannot tell"
    assert "Change readiness" in found.title and "Department" in found.note
