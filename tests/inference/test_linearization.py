"""Standard errors from samples: they agree with R survey, and collapse to the textbook where they must."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smstudy.errors import DataError, EstimationError
from smstudy.inference.calibration import rake_weights
from smstudy.inference.linearization import (
    Sampling,
    check_level,
    degrees_of_freedom,
    linearized_covariance,
    linearized_means,
    linearized_ratios,
    linearized_totals,
    logit_interval,
    mean_design_effects,
    t_interval,
)

HERE = Path(__file__).parents[1] / "reference"
REFERENCE = json.loads((HERE / "design.json").read_text())
PEOPLE = pd.read_csv(HERE / "design.csv")
API = Path(__file__).resolve().parents[3] / "shared" / "data" / "weights"
EXACT = 1e-10  # closed form; R prints 17 digits, and both sum in double precision
RAKED = 1e-9  # both rake until margins are off by 1e-12 or less; the rest is the number of rounds that takes
LOGIT = 1e-7  # R's interval comes from a regression fitted until the deviance changes by less than 1e-8
needs_api = pytest.mark.skipif(not API.is_dir(), reason="the api data (GPL) are not part of the repository")


def codes(*columns):
    return pd.factorize(pd.Series(list(zip(*columns, strict=True))))[0]


def raked(frame, names, counts, base=None):
    margins = [pd.Categorical(frame[name], sorted(counts[name])).codes for name in names]
    targets = [np.array([counts[name][key] for key in sorted(counts[name])], dtype=float) for name in names]
    return rake_weights(np.ones(len(frame)) if base is None else base, margins, targets)


def sampling(name):
    """The designs of design.R, and the rows they are about."""
    d = PEOPLE[PEOPLE["in_two"] == 1] if name == "two" else PEOPLE
    base, unit, team = d["weight0"].to_numpy(), codes(d["unit"]), codes(d["unit"], d["team"])
    everybody, extra = d["n_all"].to_numpy(float), REFERENCE["extra"]
    clustered = {"strata": unit, "clusters": team, "population": d["n_teams"].to_numpy(float)}
    if name == "two":
        teams, members = d["n_all_teams"].to_numpy(float), d["n_team"].to_numpy(float)
        first, asked = teams / len(np.unique(team)), members / d.groupby("team")["team"].transform("size")
        made = Sampling(weights=(first * asked).to_numpy(), clusters=team, population=teams,
                        subclusters=np.arange(len(d)), subpopulation=members)  # fmt: skip
        return made, d
    if name.startswith(("raked", "post")):
        names = {"raked": ["unit", "grade", "site"], "raked_base": ["unit", "grade", "site"],
                 "raked_clus": ["unit", "grade"], "post": ["grade"], "post_base": ["unit"]}.get(name)  # fmt: skip
        if names is None:
            joint = [f"{a} {b}" for a, b in zip(d["grade"], d["site"], strict=True)]
            counts = {f"{cell['grade']} {cell['site']}": cell["headcount"] for cell in extra["cells"]}
            calibration = raked(pd.DataFrame({"cell": joint}), ["cell"], {"cell": counts})
        else:
            starts = base if name in ("raked_base", "post_base", "raked_clus") else everybody / len(d)
            calibration = raked(d, names, extra, starts)
        more = clustered if name == "raked_clus" else {} if name.endswith("_base") else {"population": everybody}
        return Sampling(weights=calibration.weights, calibration=calibration, **more), d
    made = {
        "srs": lambda: Sampling(weights=base),
        "census": lambda: Sampling(weights=everybody / len(d), population=everybody),
        "strat": lambda: Sampling(weights=(d["n_unit"] / d.groupby("unit")["unit"].transform("size")).to_numpy(),
                                  strata=unit, population=d["n_unit"].to_numpy(float)),
        "clus": lambda: Sampling(weights=base, strata=unit, clusters=team),
        "clusf": lambda: Sampling(weights=base, **clustered),
        "adjust": lambda: Sampling(weights=base, strata=np.where(np.arange(len(d)) == 6, 99, unit), lonely="adjust"),
    }  # fmt: skip
    return made[name](), d


def complete(frame, names):
    """The values, and who has all of them; None if everybody."""
    inside = frame[names].notna().all(axis=1).to_numpy()
    return frame[names].to_numpy(float), None if inside.all() else inside


def check(made, theirs, frame, *, means, total, ratio, share, by, tolerance):
    values, inside = complete(frame, means)
    found = linearized_means(values, made, inside)
    _check_means(found, theirs["mean"], tolerance)
    deffs = mean_design_effects(values, made, found, inside)
    assert deffs == pytest.approx(theirs["mean"]["deff"], rel=tolerance)
    deffs = mean_design_effects(values, made, found, inside, with_replacement=True)
    assert deffs == pytest.approx(theirs["mean"]["deff_replace"], rel=tolerance)
    values, inside = complete(frame, total)
    sums = linearized_totals(values, made, inside)
    assert sums.estimate == pytest.approx(np.atleast_1d(theirs["total"]["estimate"]), rel=tolerance)
    assert sums.std_error == pytest.approx(np.atleast_1d(theirs["total"]["se"]), rel=tolerance)
    both, inside = complete(frame, ratio)
    quotient = linearized_ratios(both[:, :1], both[:, 1:], made, inside)
    assert [quotient.estimate[0], quotient.std_error[0]] == pytest.approx(list(theirs["ratio"].values()), rel=tolerance)
    _check_share(linearized_means(frame[[share]].to_numpy(float), made), theirs["prop"], tolerance)
    for group, estimate, error, df in zip(*theirs["by"].values(), strict=True):
        domain = (frame[by] == group).to_numpy()
        one = linearized_means(frame[[means[0]]].to_numpy(float), made, domain & frame[means[0]].notna().to_numpy())
        assert [one.estimate[0], one.std_error[0]] == pytest.approx([estimate, error], rel=tolerance)
        assert degrees_of_freedom(made, domain) == df


def _check_means(found, theirs, tolerance):
    assert found.estimate == pytest.approx(np.atleast_1d(theirs["estimate"]), rel=tolerance)
    assert found.std_error == pytest.approx(np.atleast_1d(theirs["se"]), rel=tolerance)
    scale = float(np.max(np.abs(theirs["vcov"])))
    assert found.covariance.ravel() == pytest.approx(np.ravel(theirs["vcov"]), abs=tolerance * scale)
    assert found.df == theirs["df"]
    low, high = t_interval(found)
    assert low == pytest.approx(np.atleast_1d(theirs["low"]), rel=tolerance)
    assert high == pytest.approx(np.atleast_1d(theirs["high"]), rel=tolerance)


def _check_share(part, theirs, tolerance):
    assert [part.estimate[0], part.std_error[0]] == pytest.approx([theirs["estimate"], theirs["se"]], rel=tolerance)
    assert np.ravel(t_interval(part)) == pytest.approx(theirs["mean"], rel=tolerance)
    assert np.ravel(logit_interval(part)) == pytest.approx(theirs["logit"], rel=LOGIT)


DESIGNS = [name for name in REFERENCE if name not in ("adjust", "extra", "api")]


@pytest.mark.parametrize("name", DESIGNS)
def test_estimates_agree_with_r_survey(name):
    made, frame = sampling(name)
    tolerance = RAKED if name.startswith("raked") else EXACT
    assert made.weights == pytest.approx(REFERENCE[name]["weights"], rel=tolerance)
    check(made, REFERENCE[name], frame, means=["use", "posts"], total=["posts", "days"], ratio=["posts", "days"],
          share="active", by="grade", tolerance=tolerance)  # fmt: skip


def api(name):
    frame = pd.read_csv(API / f"{name.removeprefix('raked_').removeprefix('post_')}.csv")
    frame["awarded"] = (frame["awards"] == "Yes").astype(int)
    known = {"stype": {"E": 4421, "H": 755, "M": 1018}, "sch.wide": {"No": 1072, "Yes": 5122}}
    weights, margins = frame["pw"].to_numpy(), ["stype"] if name.startswith("post") else ["stype", "sch.wide"]
    calibration = raked(frame, margins, known, weights) if "_" in name else None
    weights = weights if calibration is None else calibration.weights
    if name == "apiclus2":
        return frame, Sampling(
            weights=weights, clusters=codes(frame["dnum"]), population=frame["fpc1"].to_numpy(float),
            subclusters=codes(frame["snum"]), subpopulation=frame["fpc2"].to_numpy(float),
        )  # fmt: skip
    groups = {"strata": codes(frame["stype"])} if "strat" in name else {"clusters": codes(frame["dnum"])}
    return frame, Sampling(weights=weights, population=frame["fpc"].to_numpy(float), calibration=calibration, **groups)


@needs_api
@pytest.mark.parametrize("name", [name for name in REFERENCE["api"] if name != "fpc"])
def test_the_api_data_agree_with_r_survey(name):
    frame, made = api(name)
    tolerance = RAKED if name.startswith("raked") else EXACT
    if made.calibration is not None:
        assert made.weights == pytest.approx(REFERENCE["api"][name]["weights"], rel=tolerance)
    check(made, REFERENCE["api"][name], frame, means=["api00", "api99"], total=["enroll"], ratio=["api.stu", "enroll"],
          share="awarded", by="stype", tolerance=tolerance)  # fmt: skip


@needs_api
def test_the_population_correction_agrees_with_r_survey():
    frame = pd.read_csv(API / "fpc.csv")
    one = {"weights": frame["weight"].to_numpy(float), "strata": codes(frame["stratid"])}
    teams = codes(frame["stratid"], frame["psuid"])
    for name, population in (("without", None), ("with", frame["Nh"].to_numpy(float))):
        made = Sampling(clusters=teams, population=population, **one)
        _check_means(linearized_means(frame[["x"]].to_numpy(float), made), REFERENCE["api"]["fpc"][name], EXACT)


def test_a_lonely_stratum_is_refused_or_adjusted_as_in_r():
    made, frame = sampling("adjust")
    complete = frame["use"].notna().to_numpy()
    values = frame[["use", "posts"]].to_numpy(float)
    _check_means(linearized_means(values, made, complete), REFERENCE["adjust"]["mean"], EXACT)
    with pytest.raises(EstimationError, match="one respondent or one cluster"):
        linearized_means(values, Sampling(weights=made.weights, strata=made.strata), complete)


def test_equal_weights_give_the_textbook_error_of_a_mean():
    x = np.random.default_rng(1).normal(size=40)
    found = linearized_means(x[:, None], Sampling(weights=np.ones(40)))
    assert found.std_error[0] == pytest.approx(x.std(ddof=1) / np.sqrt(40), rel=1e-12)  # the same sum in another order


def test_a_census_has_no_sampling_error():
    x = np.arange(10.0)[:, None]
    found = linearized_means(x, Sampling(weights=np.ones(10), population=np.full(10, 10.0)))
    assert found.std_error[0] == 0


def test_a_stratum_asked_in_full_may_be_lonely():
    made = Sampling(weights=np.ones(4), strata=np.array([0, 0, 0, 1]), population=np.array([9.0, 9, 9, 1]))
    assert linearized_means(np.arange(4.0)[:, None], made).std_error[0] > 0


def test_weights_may_be_scaled_for_a_mean():
    made, frame = sampling("clus")
    x = frame[["posts"]].to_numpy(float)
    scaled = linearized_means(x, Sampling(weights=7 * made.weights, strata=made.strata, clusters=made.clusters))
    assert scaled.std_error == pytest.approx(linearized_means(x, made).std_error, rel=1e-12)  # rounding only


def test_names_of_strata_and_clusters_mean_nothing():
    made, frame = sampling("clusf")
    x = frame[["posts"]].to_numpy(float)
    other = Sampling(weights=made.weights, strata=900 - 7 * made.strata, clusters=5000 - 3 * made.clusters,
                     population=made.population)  # fmt: skip
    assert linearized_means(x, other).covariance == pytest.approx(linearized_means(x, made).covariance, rel=EXACT)


def test_a_total_that_is_fixed_by_the_weights_has_no_error():
    made, frame = sampling("raked")
    counted = (frame["grade"] == "head").to_numpy(float)[:, None]
    found = linearized_totals(counted, made)
    assert found.estimate[0] == pytest.approx(REFERENCE["extra"]["grade"]["head"], rel=RAKED)
    assert found.std_error[0] < 1e-6 * found.estimate[0]  # ten projections leave the rounding


def test_clustered_scores_reproduce_the_sandwich_of_a_mean():
    rng = np.random.default_rng(2)
    team, x = np.repeat(np.arange(12), 5), rng.normal(size=60)
    cov, df = linearized_covariance((x - x.mean())[:, None] / 60, Sampling(weights=np.ones(60), clusters=team))
    sums = np.bincount(team, weights=x - x.mean()) / 60
    assert cov[0, 0] == pytest.approx(12 / 11 * np.sum(sums**2), rel=1e-12)  # the same sum in another order
    assert df == 11


def test_a_share_of_zero_or_one_has_no_logit_interval():
    found = linearized_means(np.column_stack([np.zeros(9), np.ones(9)]), Sampling(weights=np.ones(9)))
    assert np.isnan(logit_interval(found)).all()


def test_intervals_of_a_raked_survey_hold_the_truth_at_their_rate():
    rng = np.random.default_rng(5)
    n_all, held, rounds = 800, 0, 400
    unit, grade = rng.integers(0, 4, n_all), rng.integers(0, 3, n_all)
    y = unit + 0.5 * grade + rng.normal(size=n_all)
    chance = 0.2 + 0.1 * unit
    targets = [np.bincount(unit).astype(float), np.bincount(grade).astype(float)]
    for _ in range(rounds):
        answered = rng.random(n_all) < chance
        fit = rake_weights(np.ones(answered.sum()), [unit[answered], grade[answered]], targets)
        made = Sampling(weights=fit.weights, calibration=fit, population=np.full(answered.sum(), float(n_all)))
        low, high = t_interval(linearized_means(y[answered, None], made))
        held += low[0] <= y.mean() <= high[0]
    assert abs(held / rounds - 0.95) < 0.033  # three standard errors of a share of .95 in 400 rounds


@pytest.mark.parametrize("weights", [[1.0, 0.0], [1.0, np.nan], [1.0, -2.0], [1.0, np.inf]])
def test_weights_must_be_above_zero(weights):
    with pytest.raises(DataError, match="above 0"):
        Sampling(weights=np.array(weights))


def test_impossible_populations_are_refused():
    x = np.arange(4.0)[:, None]
    with pytest.raises(DataError, match="more respondents"):
        linearized_means(x, Sampling(weights=np.ones(4), population=np.full(4, 3.0)))
    with pytest.raises(DataError, match="differs within"):
        linearized_means(x, Sampling(weights=np.ones(4), population=np.array([8.0, 8, 8, 9])))


def test_gaps_and_empty_subpopulations_are_refused():
    made = Sampling(weights=np.ones(3))
    with pytest.raises(DataError, match="missing"):
        linearized_means(np.array([[1.0], [np.nan], [2.0]]), made)
    with pytest.raises(EstimationError, match="Nobody"):
        linearized_means(np.ones((3, 1)), made, np.zeros(3, dtype=bool))


def test_a_single_cluster_has_no_error_but_a_stratum_asked_in_full_has_none_to_make():
    x = np.array([[0.1], [0.7], [0.2], [0.5]])
    one = {"weights": np.ones(4), "clusters": np.zeros(4, dtype=int), "lonely": "adjust"}
    assert np.isnan(linearized_means(x, Sampling(**one)).std_error[0])
    assert linearized_means(x, Sampling(**one, population=np.ones(4))).std_error[0] == 0
    two = Sampling(weights=np.ones(4), clusters=np.array([0, 0, 1, 1]))
    assert np.isnan(linearized_means(x, two, np.array([True, True, False, False])).std_error[0])


def test_a_constant_has_no_design_effect():
    x = np.column_stack([np.full(9, 0.1), np.full(9, 1e9 + 0.1), np.arange(9.0)])
    made = Sampling(weights=np.arange(1.0, 10) / 7)
    deff = mean_design_effects(x, made, linearized_means(x, made), with_replacement=True)
    assert np.isnan(deff).tolist() == [True, True, False]


def test_words_and_levels_that_are_not_known_are_refused():
    with pytest.raises(DataError, match="Allowed: adjust, refuse"):
        Sampling(weights=np.ones(3), lonely="average")
    found = linearized_means(np.arange(4.0)[:, None], Sampling(weights=np.ones(4)))
    for level in ("0.9", 95, 0, 1, np.nan, True, None):
        with pytest.raises(DataError, match="between 0 and 1"):
            t_interval(found, conf_level=level)
    check_level(np.float64(0.9))
