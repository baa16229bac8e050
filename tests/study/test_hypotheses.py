"""Verdicts at the edges of their rules."""

import pytest

from smstudy.study.definition import Hypothesis
from smstudy.study.hypotheses import NOT_SUPPORTED, NOT_TESTED, SUPPORTED, TOO_LITTLE, decide

NOTHING = float("nan")


def hypothesis(**changes):
    return Hypothesis(id="H", statement="Support raises use.", result="n/r", term="support", **changes)


def record(*rows, findings=(), **glance):
    return {"tidy": list(rows), "glance": glance, "findings": list(findings), "kind": "Regression"}


def row(estimate, low, high, **more):
    return {"term": "support", "estimate": estimate, "conf_low": low, "conf_high": high, **more}


def verdict(given, **changes):
    return decide([hypothesis(**changes)], {"n/r": given}).tidy()["verdict"][0]


@pytest.mark.parametrize(
    ("estimate", "low", "high", "expected"),
    [
        (0.30, 0.10, 0.50, SUPPORTED),
        (0.10, 0.01, 0.19, SUPPORTED),  # the smallest effect itself is reached
        (0.09, 0.01, 0.17, TOO_LITTLE),  # beyond zero, but the estimate is too small and a large effect is possible
        (0.30, 0.00, 0.60, TOO_LITTLE),  # zero itself is not beyond zero
        (0.30, -0.10, 0.70, TOO_LITTLE),
        (0.05, 0.01, 0.09, NOT_SUPPORTED),  # surely above zero, surely too small to matter
        (0.00, -0.10, 0.10, TOO_LITTLE),  # the smallest effect itself is not ruled out
        (0.00, -0.099, 0.099, NOT_SUPPORTED),
        (-0.50, -0.70, -0.30, NOT_SUPPORTED),  # the other direction
        (-0.50, -1.20, 0.20, TOO_LITTLE),
    ],
)
def test_a_positive_claim(estimate, low, high, expected):
    assert verdict(record(row(estimate, low, high)), smallest=0.10) == expected


@pytest.mark.parametrize(
    ("estimate", "low", "high"),
    [(0.3, 0.1, 0.5), (0.1, 0.01, 0.19), (0.09, 0.01, 0.17), (0.3, 0.0, 0.6), (0.05, 0.01, 0.09), (0.0, -0.1, 0.1),
     (-0.5, -0.7, -0.3)],
)  # fmt: skip
def test_a_negative_claim_is_a_positive_one_in_the_mirror(estimate, low, high):
    mirrored = verdict(record(row(-estimate, -high, -low)), direction="negative")
    assert mirrored == verdict(record(row(estimate, low, high)))


@pytest.mark.parametrize(
    ("estimate", "low", "high", "expected"),
    [
        (0.30, 0.10, 0.50, SUPPORTED),
        (-0.30, -0.50, -0.10, SUPPORTED),
        (0.05, 0.01, 0.09, NOT_SUPPORTED),
        (0.05, -0.099, 0.099, NOT_SUPPORTED),
        (0.05, -0.10, 0.05, TOO_LITTLE),
        (0.09, 0.01, 0.17, TOO_LITTLE),
    ],
)
def test_a_claim_of_any_change(estimate, low, high, expected):
    assert verdict(record(row(estimate, low, high)), direction="changed", smallest=0.10) == expected


def test_without_a_smallest_effect_only_the_other_side_speaks_against_a_claim():
    assert verdict(record(row(0.1, 0.01, 0.2)), smallest=0) == SUPPORTED
    assert verdict(record(row(0.0, -0.1, 0.1)), smallest=0) == TOO_LITTLE
    assert verdict(record(row(-0.1, -0.2, -0.01)), smallest=0) == NOT_SUPPORTED


def test_an_infinite_end_rules_nothing_out():
    assert verdict(record(row(0.0, float("-inf"), float("inf")))) == TOO_LITTLE


def test_a_change_decides_where_there_is_one():
    assert verdict(record(row(3.0, -0.5, -0.3, difference=-0.4)), direction="negative") == SUPPORTED


@pytest.mark.parametrize(
    "given",
    [
        None,
        record(),
        record({"term": "other", "estimate": 1.0, "conf_low": 0.5, "conf_high": 1.5}),
        record(row(None, None, None)),
        record(row(0.3, None, None)),
        record(row(NOTHING, NOTHING, NOTHING)),
        record(row(0.3, 0.1, NOTHING)),
        record(row(2.9, -0.5, -0.3, difference=None)),
        record({"term": "support", "n": None, "hidden": True}),
        record(row(0.3, 0.1, 0.5, group="A"), row(0.3, 0.1, 0.5, group="B")),
    ],
    ids=["no result", "no rows", "no such row", "hidden", "no interval", "NaN", "one end", "no change", "other columns",
         "two rows"],
)  # fmt: skip
def test_what_is_not_there_is_not_tested(given):
    rows = decide([hypothesis()], {} if given is None else {"n/r": given}).tidy()
    assert rows["verdict"][0] == NOT_TESTED and rows["reason"][0]
    assert rows[["estimate", "conf_low", "conf_high"]].isna().all(axis=None)


def test_a_result_that_says_too_little_data_supports_nothing():
    little = {"name": "too_little_data", "text": "Only 12 respondents.", "severity": "serious"}
    assert verdict(record(row(0.5, 0.3, 0.7), findings=[little])) == TOO_LITTLE


def test_the_reason_says_the_numbers_and_the_level_of_the_interval():
    given = record(row(-0.3, -0.5, -0.1), conf_level=0.9)
    reason = decide([hypothesis(smallest=0.2)], {"n/r": given}).tidy()["reason"][0]
    assert reason == "−0.30, 90% interval [−0.50, −0.10]; smallest effect of interest 0.20"


@pytest.mark.parametrize(
    ("said", "expected"),
    [("4 groups", SUPPORTED), ("no stable groups", NOT_SUPPORTED), ("too little data", TOO_LITTLE), ("", NOT_TESTED)],
)
def test_groups_are_there_only_if_the_choice_says_so(said, expected):
    given = record(**({"verdict": said} if said else {}))
    assert verdict(given, rule="groups") == expected


def test_a_study_without_hypotheses_has_an_empty_table():
    verdicts = decide([], {})
    assert verdicts.table().rows == () and verdicts.to_html()


def test_every_hypothesis_gets_one_row_in_order():
    given = [Hypothesis(id=f"H{i}", statement="S", result="n/r", term="support") for i in (3, 1, 2)]
    assert decide(given, {}).tidy()["term"].tolist() == ["H3", "H1", "H2"]


def test_what_does_not_survive_the_correction_of_its_table_is_not_supported():
    row = {"term": "support", "difference": 0.3, "conf_low": 0.01, "conf_high": 0.59, "p_adjusted": 0.2}
    claim = Hypothesis(id="H1", statement="More.", result="30-groups/changes", term="support", smallest=0.1)
    verdicts = decide([claim], {"30-groups/changes": {"tidy": [row], "glance": {}, "findings": []}}).tidy()
    assert verdicts["verdict"].tolist() == ["too little data"]
    assert "corrected for all comparisons" in verdicts["reason"][0]


def test_a_scale_that_contradicts_itself_is_not_tested():
    row = {"term": "support", "estimate": 0.9, "conf_low": 0.7, "conf_high": 1.1}
    claim = Hypothesis(id="H1", statement="More.", result="40-drivers/drivers", term="support", smallest=0.1)

    def decided(verdict):
        scales = {"kind": "ReliabilityTable", "tidy": [{"term": "support", "verdict": verdict}]}
        fitted = {"kind": "Regression", "tidy": [row], "glance": {}, "findings": []}
        return decide([claim], {"20-scales/reliability": scales, "40-drivers/drivers": fitted}).tidy()["verdict"][0]

    assert [decided(verdict) for verdict in ("cannot tell", "contradicts itself")] == [SUPPORTED, NOT_TESTED]


def test_a_change_of_means_that_cannot_be_compared_is_not_tested():
    row = {"term": "support", "difference": 0.9, "conf_low": 0.7, "conf_high": 1.1, "p_adjusted": 0.001}
    claim = Hypothesis(id="H1", statement="More.", result="30-groups/changes", term="support", smallest=0.1)

    def decided(means):
        record = {"tidy": [{**row, "means": means}], "glance": {}, "findings": []}
        return decide([claim], {"30-groups/changes": record}).tidy()["verdict"][0]

    assert [decided(means) for means in ("allowed", "cannot tell", "not allowed")] == [SUPPORTED, SUPPORTED, NOT_TESTED]
