"""Bad input to every model: one clear error or finding each, never a number that looks plausible."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from smstudy.errors import DataError, DisclosureError, EstimationError, SmstudyError, StudyError
from smstudy.models.nested.multilevels import multilevel
from smstudy.models.regressions.categories import multinomial, ordinal
from smstudy.models.regressions.event_counts import counts
from smstudy.models.regressions.marginal import effects
from smstudy.models.regressions.regression import regress

N = 120
RNG = np.random.default_rng(3)
PEOPLE = pd.DataFrame({"a": RNG.normal(size=N), "b": RNG.normal(size=N), "team": [f"team {i % 12}" for i in range(N)]})
PEOPLE = PEOPLE.assign(
    number=PEOPLE["a"] + RNG.normal(size=N),
    yes=(PEOPLE["a"] + RNG.logistic(size=N) > 0) * 1,
    steps=np.digitize(PEOPLE["a"] + RNG.logistic(size=N), [-0.7, 0.7]),
    tool=np.array(["chat", "mail", "wiki"])[np.digitize(PEOPLE["a"] + RNG.logistic(size=N), [-0.7, 0.7])],
    posts=RNG.poisson(np.exp(1 + 0.3 * PEOPLE["a"]) * RNG.gamma(2, 0.5, N)) * (RNG.random(N) > 0.2),
    group=np.array(["x", "y", "z"])[np.arange(N) % 3],
    w=1.0 + RNG.random(N),
)
OUTCOME = {
    "linear": "number", "logit": "yes", "probit": "yes", "ordinal": "steps", "ordinal_probit": "steps",
    "multinomial": "tool", "poisson": "posts", "negative_binomial": "posts", "zero_inflated_poisson": "posts",
    "mixed": "number", "mixed_logit": "yes",
}  # fmt: skip
SINGLE = [name for name in OUTCOME if not name.startswith("mixed")]
BINARY = ["logit", "probit"]
CATEGORIES = ["ordinal", "ordinal_probit", "multinomial"]
EVENTS = ["poisson", "negative_binomial", "zero_inflated_poisson"]
WEIGHTS = {
    "zero": lambda w: w.where(w.index > 3, 0.0),
    "negative": lambda w: w.where(w.index > 3, -1.0),
    "missing": lambda w: w.where(w.index > 3),
    "infinite": lambda w: w.where(w.index > 3, np.inf),
    "text": lambda w: w.astype(str) + " kg",
}


def fit(name, right, data, **options):
    """Fit a model by its name, with its own outcome on the left."""
    formula = f"{OUTCOME[name]} ~ {right}"
    if name in ("linear", *BINARY):
        return regress(formula, data, family=name, **options)
    if name.startswith("ordinal"):
        return ordinal(formula, data, link="probit" if name.endswith("probit") else "logit", **options)
    if name.startswith("mixed"):
        return multilevel(
            formula, data, group="team", family="logit" if name.endswith("logit") else "linear", **options
        )
    return (
        multinomial(formula, data, **options)
        if name == "multinomial"
        else counts(formula, data, family=name, **options)
    )


def names_of(result):
    return {finding.name for finding in result.findings}


@pytest.mark.parametrize("name", OUTCOME)
def test_good_input_gives_numbers(name):
    tidy = fit(name, "a + group", PEOPLE).tidy()
    assert np.isfinite(tidy[["estimate", "std_error"]]).all(axis=None)


@pytest.mark.parametrize("name", [*BINARY, *CATEGORIES])
def test_a_driver_that_tells_the_outcome_is_refused(name):
    """Separation: the estimate would be infinite."""
    codes = pd.factorize(PEOPLE[OUTCOME[name]], sort=True)[0]
    with pytest.raises(EstimationError, match='"told" tells'), warnings.catch_warnings(action="error"):
        fit(name, "a + told", PEOPLE.assign(told=codes * 10 + PEOPLE["b"].rank() / N))


@pytest.mark.parametrize("name", [*BINARY, "multinomial"])
def test_a_group_that_answers_alike_is_not_told(name):
    """Separation by a group: the message must not say which, for that would be everybody's answer."""
    people = PEOPLE.assign(switch=(PEOPLE[OUTCOME[name]] == PEOPLE[OUTCOME[name]].max()) * 1)
    with pytest.raises(DisclosureError, match="with one of the answers"):
        fit(name, "a + switch", people)
    alike = PEOPLE.assign(
        **{OUTCOME[name]: PEOPLE[OUTCOME[name]].mask(PEOPLE["group"] == "z", PEOPLE[OUTCOME[name]].max())}
    )
    result = fit(name, "a + group", alike)
    assert "levels_pooled" in names_of(result) and not result.tidy()["term"].str.contains("group.z").any()


@pytest.mark.parametrize("name", EVENTS)
def test_a_group_without_events_is_counted_with_another(name):
    people = PEOPLE.assign(posts=PEOPLE["posts"].mask(PEOPLE["group"] == "z", 0))
    result = fit(name, "a + group", people)
    assert "levels_pooled" in names_of(result) and not result.tidy()["term"].str.contains("group.z").any()


@pytest.mark.parametrize("name", OUTCOME)
@pytest.mark.parametrize(("made", "error", "said"), [
    (lambda p: 2 * p["a"] + 1, EstimationError, '"b".*determined by|"b" does not exist'),
    (lambda p: p["a"] + 1e-9 * p["b"], EstimationError, "digits|determined"),
    (lambda p: 3.0, DataError, "same value"),
    (lambda p: np.where(p.index == 0, np.inf, p["b"]), DataError, "infinite"),
    (lambda p: pd.Timestamp("2024-01-01"), DataError, "date"),
    (lambda p: pd.Series(np.nan, index=p.index), DataError, "No row"),
    (lambda p: [f"only {i}" for i in p.index], DisclosureError, "no two levels"),
])  # fmt: skip
def test_singular_designs_and_columns_that_are_none_are_refused(name, made, error, said):
    with pytest.raises(error, match=said):
        fit(name, "a + b", PEOPLE.assign(b=made(PEOPLE)))


@pytest.mark.parametrize("name", SINGLE)
@pytest.mark.parametrize("n_clusters", [1, 3, 5])
def test_few_clusters_are_refused(name, n_clusters):
    people = PEOPLE.assign(team=PEOPLE.index % n_clusters)
    with pytest.raises(DataError, match="at least 6"):
        fit(name, "a", people, cluster="team")


@pytest.mark.parametrize("name", ["mixed", "mixed_logit"])
def test_one_team_is_refused_and_few_are_a_finding(name):
    with pytest.raises(DataError, match="one team only"):
        fit(name, "a", PEOPLE.assign(team="all"))
    assert "few_teams" in names_of(fit(name, "a", PEOPLE.assign(team=PEOPLE.index % 2)))


@pytest.mark.parametrize("name", OUTCOME)
def test_one_group_is_refused(name):
    with pytest.raises(DataError, match="one level only"):
        fit(name, "a + group", PEOPLE.assign(group="x"))


@pytest.mark.parametrize("name", OUTCOME)
def test_a_constant_outcome_is_refused(name):
    value = "chat" if name == "multinomial" else 1
    with pytest.raises(DataError, match="same value|does not vary"):
        fit(name, "a", PEOPLE.assign(**{OUTCOME[name]: value}))


@pytest.mark.parametrize("name", [name for name in OUTCOME if name != "multinomial"])
def test_an_outcome_of_text_is_refused(name):
    words = np.array(["often", "rarely", "never"])[np.arange(N) % 3]
    with pytest.raises(DataError, match="text|no number|number or"):
        fit(name, "a", PEOPLE.assign(**{OUTCOME[name]: words}))


@pytest.mark.parametrize("name", CATEGORIES)
def test_an_empty_category_of_the_outcome_is_a_finding(name):
    kinds = sorted(PEOPLE[OUTCOME[name]].unique().tolist())
    column = pd.Categorical(PEOPLE[OUTCOME[name]], [*kinds, "never seen"], ordered=True)
    result, plain = (fit(name, "a", PEOPLE.assign(**{OUTCOME[name]: own})) for own in (column, PEOPLE[OUTCOME[name]]))
    assert "empty_category" in names_of(result)
    np.testing.assert_allclose(result.tidy()["estimate"], plain.tidy()["estimate"], rtol=1e-8)  # the same search


@pytest.mark.parametrize("name", OUTCOME)
def test_an_empty_category_of_a_driver_changes_nothing(name):
    column = pd.Categorical(PEOPLE["group"], ["v", "x", "y", "z"])
    result, plain = fit(name, "a + group", PEOPLE.assign(group=column)), fit(name, "a + group", PEOPLE)
    pd.testing.assert_frame_equal(result.tidy(), plain.tidy())


@pytest.mark.parametrize("name", SINGLE)
@pytest.mark.parametrize("kind", WEIGHTS)
def test_weights_that_are_none_are_refused(name, kind):
    with pytest.raises(DataError, match="weight"):
        fit(name, "a", PEOPLE.assign(w=WEIGHTS[kind](PEOPLE["w"])), weights="w")


@pytest.mark.parametrize("name", OUTCOME)
def test_fewer_respondents_than_parameters_are_refused(name):
    many = [f"x{i}" for i in range(N)]
    wide = pd.DataFrame(RNG.normal(size=(N, N)), columns=many)
    with pytest.raises((DataError, EstimationError), match="rows|determined|respondents"):
        fit(name, " + ".join(many), PEOPLE.join(wide))


@pytest.mark.parametrize("name", OUTCOME)
def test_fewer_respondents_than_the_threshold_are_refused(name):
    with pytest.raises(SmstudyError, match="Fewer than 5|same value|No row"):
        fit(name, "a", PEOPLE[:4])


@pytest.mark.parametrize("name", OUTCOME)
@pytest.mark.parametrize(("right", "error"), [
    ("a + nobody", DataError), ("a + ", StudyError), ("a + __import__('os')", StudyError), ("0 + a", StudyError),
])  # fmt: skip
def test_formulas_that_mean_nothing_are_refused(name, right, error):
    if right == "0 + a" and name in ("linear", *BINARY, "mixed", "mixed_logit"):
        pytest.skip("these models can do without a constant")
    with pytest.raises(error):
        fit(name, right, PEOPLE)


@pytest.mark.parametrize("name", SINGLE)
def test_few_respondents_are_a_finding(name):
    result = fit(name, "a", PEOPLE[:29])
    assert "too_little_data" in names_of(result)
    assert "too_little_data" in names_of(effects(result, PEOPLE[:29]))


def test_effects_of_other_data_are_refused():
    fitted = fit("logit", "a + group", PEOPLE)
    for other in (PEOPLE[:50], PEOPLE.drop(columns="group"), PEOPLE.assign(group="x"), PEOPLE.assign(a=np.nan)):
        with pytest.raises(DataError):
            effects(fitted, other)


def test_effects_are_not_told_where_no_error_exists():
    """A driver that rests on one team has no standard error, and so has its effect."""
    people = PEOPLE.assign(one=(PEOPLE["team"] == "team 0") * 1)
    rows = effects(fit("linear", "a + one", people, cluster="team"), people).tidy().set_index("term")
    assert np.isnan(rows.loc["one", "std_error"]) and rows.loc["one", "reading"] == "cannot tell"
    assert np.isfinite(rows.loc["a", "std_error"])
