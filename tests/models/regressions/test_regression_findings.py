"""What must be known of a regression is said where it is so, and only there."""

from __future__ import annotations

import numpy as np
import pandas as pd

from smstudy.inference.regression.diagnostics import overlap
from smstudy.models.regressions.regression import regress

RNG = np.random.default_rng(1)
PEOPLE = pd.DataFrame({
    "education": RNG.normal(13, 3, 400), "woman": RNG.integers(0, 2, 400), "age": RNG.normal(40, 10, 400),
    "team": np.arange(400) % 7,
}).assign(wage=lambda people: 5 + 0.7 * people["education"] + RNG.normal(0, 3, 400))  # fmt: skip


def texts(formula, people=PEOPLE, **options):
    return {finding.name: finding.text for finding in regress(formula, people, **options).findings}


def test_a_product_overlaps_with_what_it_is_made_of_and_that_is_no_finding():
    result = regress("wage ~ education * woman + age", PEOPLE)
    assert result.tidy()["vif"].max() > 10  # as R car::vif has it
    assert "collinearity" not in texts("wage ~ education * woman + age")
    assert "collinearity" not in texts("wage ~ education + square(education) + age")


def test_drivers_that_are_one_are_found_also_where_they_make_a_product():
    twins = PEOPLE.assign(school=PEOPLE["education"] + 0.01 * RNG.normal(size=400))
    for formula in ("wage ~ education + school", "wage ~ education * school", "wage ~ education * woman + school"):
        assert "education" in texts(formula, twins)["collinearity"]


def test_a_driver_that_is_a_product_of_others_is_found():
    people = PEOPLE.assign(both=PEOPLE["education"] * PEOPLE["woman"] + 0.01 * RNG.normal(size=400))
    assert "both" in texts("wage ~ education * woman + both", people)["collinearity"]


def test_without_products_overlap_is_variance_inflation():
    tidy = regress("wage ~ education + age + C(woman)", PEOPLE).tidy()
    columns = PEOPLE[["education", "age", "woman"]].to_numpy(float)
    found = overlap(columns, np.ones(400), [frozenset([name]) for name in ("education", "age", "woman")])
    np.testing.assert_allclose(list(found.values()), tidy["vif"][1:], rtol=1e-10)  # the same by another route


def test_the_wild_bootstrap_is_advised_only_where_there_is_one():
    people = PEOPLE.assign(high=(PEOPLE["wage"] > 14) * 1, size=PEOPLE["team"] ** 2)
    logit = texts("high ~ size", people, family="logit", cluster="team")["few_degrees_of_freedom"]
    assert "wild" not in logit
    assert "wild" in texts("wage ~ size", people, cluster="team")["few_degrees_of_freedom"]
