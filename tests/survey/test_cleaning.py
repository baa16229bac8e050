"""Laws of cleaning: flows reconcile, rules commute and repeat, and no small count follows from what is shown."""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.optimize import linprog

from smstudy.errors import DataError, StudyError
from smstudy.privacy import Privacy
from smstudy.survey.cleaning import COUNTS, OPERATORS, clean, gate_flow
from smstudy.survey.codebook import Codebook
from smstudy.survey.dataset import Survey
from smstudy.survey.rules import OPERATIONS, Rule

AGREE = [{"value": code, "label": f"answer {code}"} for code in range(1, 6)]
UNITS = [{"value": code, "label": f"unit {code}"} for code in range(1, 5)]
ITEMS = [f"q{i}" for i in range(1, 5)]
CODEBOOK = Codebook.model_validate(
    {
        "title": "Test",
        "variables": [
            {"name": "person", "kind": "id"},
            {"name": "unit", "kind": "unit", "title": "Department", "categories": UNITS},
            {"name": "day", "kind": "date"},
            {"name": "seconds", "kind": "number"},
            *({"name": name, "kind": "item", "categories": AGREE} for name in ITEMS),
        ],
        "scales": [{"name": "use", "items": ITEMS}],
    }
)


def survey(n=120, seed=1):
    random = np.random.default_rng(seed)
    items = random.integers(1, 6, (n, 4)).astype(float)
    items[random.random((n, 4)) < 0.15] = np.nan
    answers = pd.DataFrame(items, columns=ITEMS)
    answers.insert(0, "person", pd.Series([f"p{i}" for i in random.integers(0, 2 * n, n)], dtype="str"))
    answers["unit"] = pd.Series([f"unit {i}" for i in random.integers(1, 5, n)], dtype="str")
    answers.loc[random.random(n) < 0.05, "unit"] = None
    answers["day"] = pd.Timestamp("2026-03-01") + pd.to_timedelta(random.integers(0, 40, n), unit="D")
    answers["seconds"] = random.integers(1, 300, n).astype(float)
    return Survey(answers=answers, codebook=CODEBOOK, missing=pd.DataFrame(columns=["row", "variable", "reason"]))


def rule(name, stage="quality", action="exclude", **rest):
    return Rule(id=name, stage=stage, action=action, reason=f"because of {name}", **rest)


POOL = [
    rule("fast", column="seconds", op="less", value=25),
    rule("slow", column="seconds", op="greater", value=295),
    rule("late", "eligibility", column="day", op="greater", value="2026-04-05"),
    rule("unit-4", "eligibility", column="unit", op="equals", value=4),
    rule("no-unit", "eligibility", column="unit", op="missing"),
    rule("gaps", "completeness", column="use", op="missing_share_above", value=0.4),
    rule("twice", "duplicates", column=("person",), op="duplicate_of_earlier"),
    rule("never", "analysis", column="seconds", op="greater", value=9999),
    rule("marked", "quality", "flag", column="q1", op="equals", value="answer 1"),
    rule("unset", "eligibility", "set_missing", column="q2", op="in", value=(5,)),
    rule("merged", "eligibility", "recode", column="unit", op="equals", value="unit 3", to=2),
]
RULES = st.lists(st.sampled_from(POOL), unique_by=lambda one: one.id, max_size=len(POOL))
SEEDS = st.integers(0, 50)


@settings(max_examples=15, deadline=None)
@given(RULES, SEEDS)
def test_the_flow_reconciles(rules, seed):
    cleaning = clean(survey(seed=seed), rules)
    flow, hits = cleaning.tidy(), cleaning.hits.frame
    assert (flow["n_before"] - flow["n_removed"] == flow["n_after"]).all()
    assert (flow["n_before"].iloc[1:].to_numpy() == flow["n_after"].iloc[:-1].to_numpy()).all()
    assert (flow["n_hit"] >= flow["n_removed"]).all()
    assert flow["n_hit"].tolist() == hits.sum().tolist()
    assert 120 - flow["n_removed"].sum() == len(cleaning.survey.answers)
    first = cleaning.first_reason().frame["rule"]
    assert first.value_counts().reindex(flow["rule"], fill_value=0).tolist() == flow["n_removed"].tolist()


@settings(max_examples=15, deadline=None)
@given(RULES, SEEDS)
def test_cleaning_twice_changes_nothing(rules, seed):
    once = clean(survey(seed=seed), rules).survey
    twice = clean(once, rules)
    pd.testing.assert_frame_equal(once.answers, twice.survey.answers)
    assert len(twice.survey.missing) == len(once.missing)
    assert twice.tidy()["n_removed"].sum() == 0


@settings(max_examples=15, deadline=None)
@given(st.permutations(POOL[:6]), SEEDS)
def test_the_order_of_independent_rules_does_not_matter(rules, seed):
    cleaned = clean(survey(seed=seed), rules).survey
    assert cleaned.answers.index.equals(clean(survey(seed=seed), POOL[:6]).survey.answers.index)


def test_the_survey_is_not_changed_and_the_log_says_what_was_done():
    before = survey()
    copy = before.answers.copy()
    after = clean(before, POOL).survey
    pd.testing.assert_frame_equal(before.answers, copy)
    assert len(after.log) == len(POOL) + 1 and 'rule "fast"' in " ".join(after.log)
    assert list(after.answers.columns[: copy.shape[1]]) == list(copy.columns)


def test_answers_set_missing_carry_their_reason():
    cleaned = clean(survey(), [POOL[9]]).survey
    assert (cleaned.answers["q2"] != 5).all()
    assert set(cleaned.missing["reason"]) == {"because of unset"}
    assert cleaned.answers.loc[cleaned.missing["row"], "q2"].isna().all()


def test_every_operator_has_a_name_and_every_name_an_operator():
    assert sorted(OPERATORS) == sorted(OPERATIONS)


def all_flows(entered, shown, flow, min_n):
    """Every list of removals that fits the shown table, the numbers entered and left, and how flows work."""
    left = flow["n_after"].iloc[-1]
    rows = shown.iloc[: len(flow)]
    limit = int(entered - left)
    options = []
    for _, row in rows.iterrows():
        removed = range(limit + 1) if np.isnan(row["n_removed"]) else [int(row["n_removed"])]
        options.append(removed)
    together = shown["n_removed"].iloc[len(flow) :].sum()
    hidden = rows["n_removed"].isna().to_numpy()
    for removed in itertools.product(*options):
        total = sum(removed)
        if len(shown) > len(flow) and (total != entered - left or sum(np.array(removed)[hidden]) != together):
            continue
        before = np.concatenate([[0], np.cumsum(removed)[:-1]])
        hits = rows["n_hit"].to_numpy()
        extra = hits - np.array(removed)
        if np.all(np.isnan(hits) | ((extra >= 0) & (extra <= before))):
            yield removed


FLOWS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5)), min_size=1, max_size=4)


@settings(max_examples=80, deadline=None)
@given(FLOWS)
def test_no_small_count_of_the_flow_follows_from_what_is_shown(counts):
    flow = flow_of(60, counts)
    shown = gate_flow(flow, 5)
    small = ((flow[["n_hit", "n_removed"]] > 0) & (flow[["n_hit", "n_removed"]] < 5)).any(axis=1).to_numpy()
    assert shown["hidden"].iloc[: len(flow)][small].all() if small.any() else True
    removed = flow["n_removed"].to_numpy()
    possible = list(all_flows(60, shown, flow, 5)) if np.prod((shown["n_removed"].isna() * 20) + 1) < 1e4 else []
    if len(shown) == len(flow) and removed.sum() > 0 and small.any() and not (removed[small] == 0).all():
        assert 60 not in shown[["n_before", "n_after"]].to_numpy()  # the number entered is hidden with its rules
        return
    for place in np.flatnonzero((removed > 0) & (removed < 5)):
        if possible:
            assert {1, 2, 3, 4} <= {one[place] for one in possible}


def flow_of(entered, counts):
    """A flow from (removed, hit beyond) per rule, as far as a flow can be: nobody is hit beyond who was not removed."""
    removed = np.array([one for one, _ in counts])
    before = np.concatenate([[0], np.cumsum(removed)[:-1]])
    hit = removed + np.minimum([more for _, more in counts], before)
    after = entered - np.cumsum(removed)
    words = {"stage": "quality", "rule": [f"r{i}" for i in range(len(counts))], "reason": "r", "action": "exclude"}
    return pd.DataFrame({**words, "n_before": after + removed, "n_hit": hit, "n_removed": removed, "n_after": after})


@settings(max_examples=80, deadline=None)
@given(FLOWS)
def test_the_shown_flow_reconciles(counts):
    shown = gate_flow(flow_of(60, counts), 5).dropna(subset=["n_before"])
    assert (shown["n_before"] - shown["n_removed"] == shown["n_after"]).all()
    assert (shown["n_before"].iloc[1:].to_numpy() == shown["n_after"].iloc[:-1].to_numpy()).all()


def test_nothing_is_shown_when_fewer_respondents_than_the_threshold_are_left():
    flow = flow_of(60, [(30, 0), (27, 0)])
    assert gate_flow(flow, 5)[list(COUNTS)].isna().all(axis=None)


def test_small_counts_appear_in_no_rendering():
    rules = [rule("odd", column="seconds", op="in", value=tuple(survey().answers["seconds"].iloc[:2])), POOL[0]]
    cleaning = clean(survey(), rules)
    row = cleaning.tidy().set_index("rule").loc["odd"]
    assert 0 < row["n_hit"] < 5
    shown = cleaning.shown().set_index("rule")
    assert shown.loc["odd", list(COUNTS)].isna().all() and shown.loc["odd", "hidden"]
    assert "hidden" in cleaning.to_text() and cleaning.findings[0].name == "rules_hidden"
    assert repr(cleaning) == cleaning.to_text()


def test_the_flow_by_department_adds_up_to_the_flow_of_all():
    cleaning = clean(survey(600), POOL)
    by_unit = cleaning.by_unit()
    total = by_unit.tidy().groupby("rule", sort=False)[list(COUNTS)].sum()
    assert total.to_numpy().tolist() == cleaning.tidy()[list(COUNTS)].to_numpy().tolist()
    assert by_unit.title == "Flow of respondents, by Department"


def test_no_small_cell_of_the_flow_by_department_is_shown():
    for seed in range(3):
        by_unit = clean(survey(900, seed), POOL[:6]).by_unit()
        raw, shown = by_unit.tidy(), by_unit.shown()
        small = raw[list(COUNTS)].isin(range(1, 5)).to_numpy()
        assert np.isnan(shown[list(COUNTS)].to_numpy(float)[small]).all()
        assert len(shown) == len(raw) and not shown["hidden"].all()


def test_a_reader_with_a_linear_programme_cannot_narrow_a_small_removal_of_a_department():
    cleaning = clean(survey(900, 2), POOL[:6])
    by_unit = cleaning.by_unit()
    raw, shown, everybody = by_unit.tidy(), by_unit.shown(), cleaning.shown().set_index("rule")
    removed, seen = raw["n_removed"].to_numpy(float), shown["n_removed"].to_numpy(float)
    open_sums = raw["rule"].map(everybody["n_removed"]).isna()
    told = [one for one in raw["rule"].unique() if not np.isnan(everybody["n_removed"][one])]
    lines = [(raw["rule"] == one).to_numpy() for one in told]
    lines += [open_sums.to_numpy()] if "hidden rules" in everybody.index else []
    lines = np.array(lines, dtype=float)
    bounds = [(0, None) if np.isnan(value) else (value, value) for value in seen]
    small = np.flatnonzero((removed > 0) & (removed < 5))
    assert len(small) and np.isnan(seen[small]).all()
    for place in small:
        target = np.arange(len(seen)) == place
        least, greatest = (
            sign * linprog(sign * target.astype(float), A_eq=lines, b_eq=lines @ removed, bounds=bounds).fun
            for sign in (1, -1)
        )
        assert least <= 1 + 1e-6 and greatest >= 4 - 1e-6  # solver tolerance


def test_a_survey_without_departments_says_so():
    data = survey()
    alone = Codebook.model_validate({"title": "t", "variables": [{"name": "seconds", "kind": "number"}]})
    plain = Survey(answers=data.answers[["seconds"]], codebook=alone, missing=data.missing)
    with pytest.raises(DataError, match="no variable of kind unit"):
        clean(plain, []).by_unit()


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (rule("r", column="secnds", op="less", value=3), 'no variable "secnds". Did you mean "seconds"'),
        (rule("r", column="unit", op="equals", value="unitt 1"), 'no answer "unitt 1". Did you mean "unit 1"'),
        (rule("r", column="unit", op="less", value=2), "compares numbers or dates"),
        (rule("r", column="seconds", op="less", value="soon"), 'the value "soon" is none'),
        (rule("r", column="day", op="less", value="soon"), "Write 2026-03-31"),
        (rule("r", column="flag_speed", op="flagged"), "with_flags"),
    ],
)
def test_a_rule_that_does_not_fit_is_a_readable_error(broken, message):
    with pytest.raises(StudyError, match=message):
        clean(survey(), [broken])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"op": "equal", "value": 1}, 'Did you mean "equals"'),
        ({"op": "equals"}, "needs a value"),
        ({"op": "missing", "value": 1}, "takes no value"),
        ({"op": "in", "value": 1}, "takes a list"),
        ({"op": "equals", "value": [1, 2]}, "takes one value"),
        ({"op": "equals", "value": True}, "in quotes"),
        ({"op": "missing_share_above", "value": 5}, "from 0 to less than 1"),
        ({"op": "missing", "column": ["a", "b"]}, "takes one column"),
        ({"op": "missing", "action": "recode"}, 'recode needs "to"'),
        ({"op": "missing", "stage": "later"}, "eligibility"),
        ({"op": "missing", "reason": ""}, "at least 1 character"),
        ({"op": "missing", "when": "x > 1"}, "not permitted"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(fields, message):
    base = {"id": "r", "stage": "quality", "column": "unit", "action": "exclude", "reason": "why"}
    with pytest.raises(ValidationError, match=message):
        Rule.model_validate({**base, **fields})


def test_a_date_of_a_yaml_file_is_a_date():
    from_yaml = rule("late", column="day", op="greater", value=pd.Timestamp("2026-03-20").date())
    as_text = rule("late", column="day", op="greater", value="2026-03-20")
    assert clean(survey(), [from_yaml]).tidy().equals(clean(survey(), [as_text]).tidy())


def test_no_respondent_left_names_the_rule():
    with pytest.raises(DataError, match='after the cleaning rule "all"'):
        clean(survey(), [rule("all", column="seconds", op="greater", value=0)])


def test_two_rules_with_one_id_are_refused():
    with pytest.raises(StudyError, match="id fast"):
        clean(survey(), [POOL[0], POOL[0]])


def test_a_rule_that_undoes_an_earlier_one_is_refused():
    rules = [
        rule("out", column="unit", op="equals", value=2),
        rule("merged", "analysis", "recode", column="unit", op="equals", value=3, to=2),
    ]
    with pytest.raises(StudyError, match='"out" acts on answers that a later rule'):
        clean(survey(), rules)


def test_an_empty_list_of_rules_keeps_everybody():
    cleaning = clean(survey(), [])
    assert len(cleaning.survey.answers) == 120 and cleaning.to_text().startswith("Flow of respondents")


def test_the_picture_shows_only_what_the_table_shows():
    cleaning = clean(survey(900), POOL[:5])
    texts = [text.get_text() for text in cleaning.plot().texts]
    assert len(texts) == cleaning.shown()["n_after"].notna().sum()


def test_a_raised_threshold_hides_more():
    data = survey(600)
    strict = replace(data, privacy=Privacy(min_n=40))
    few, many = (int(clean(one, POOL).shown()["hidden"].sum()) for one in (data, strict))
    assert many > few > 0
