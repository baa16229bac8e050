"""Laws of cleaning: flows reconcile, rules commute and repeat, and no small count follows from what is shown."""

import itertools
import re
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
from smstudy.survey.cleaning import clean
from smstudy.survey.codebook import Codebook
from smstudy.survey.dataset import Survey
from smstudy.survey.flow import COUNTS, gate_flow
from smstudy.survey.operators import OPERATORS
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
    rule("speed", "quality", column="seconds", op="less", value=0.3, relative_to="median"),
    rule(
        "branch", "eligibility", "set_missing", column="q3", op="not_missing", where={"column": "q4", "op": "missing"}
    ),
    rule("period", "eligibility", column="day", op="outside", value=("2026-03-02", "2026-04-08")),
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
    cleaning = clean(survey(seed=seed), rules)
    once = cleaning.survey
    twice = clean(once, rules, cutoffs=cleaning.cutoffs)
    pd.testing.assert_frame_equal(once.answers, twice.survey.answers)
    assert len(twice.survey.missing) == len(once.missing)
    assert twice.tidy()["n_removed"].sum() == 0


@settings(max_examples=15, deadline=None)
@given(st.permutations([*POOL[:6], POOL[11], POOL[13]]), SEEDS)
def test_the_order_of_independent_rules_does_not_matter(rules, seed):
    cleaned, expected = (clean(survey(seed=seed), order) for order in (rules, [*POOL[:6], POOL[11], POOL[13]]))
    assert cleaned.survey.answers.index.equals(expected.survey.answers.index)
    assert cleaned.cutoffs == expected.cutoffs


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
def test_no_row_of_the_flow_tells_how_few_of_those_hit_were_out_already(counts):
    shown = gate_flow(flow_of(60, counts), 5)
    assert not (shown["n_hit"] - shown["n_removed"]).between(1, 4).any()


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
        (rule("r", column="unit", op="outside", value=(1, 2)), "compares numbers or dates"),
        (rule("r", column="seconds", op="contains", value="1"), "looks into words"),
        (rule("r", column="unit", op="less_than_column", other="seconds"), "two columns of numbers or two of dates"),
        (rule("r", column="day", op="greater_than_column", other="seconds"), "two of dates"),
        (rule("r", column="unit", op="chosen"), "does not hold 0 and 1"),
        (rule("r", column="day", op="less", value=0.5, relative_to="median"), "needs numbers"),
        (rule("r", column="q1", op="missing", where={"column": "q9", "op": "missing"}), 'no variable "q9"'),
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
        ({"op": "between", "value": 3}, "the lowest and the highest"),
        ({"op": "outside", "value": [5, 1]}, "the lowest and the highest"),
        ({"op": "between", "value": [1, "b"]}, "the lowest and the highest"),
        ({"op": "contains", "value": 3}, "takes words"),
        ({"op": "less_than_column"}, 'need "other"'),
        ({"op": "missing", "other": "age"}, 'need "other"'),
        ({"op": "missing", "plus": 1}, '"plus" is for'),
        ({"op": "equals", "value": 1, "relative_to": "median"}, "relative_to is for less and greater"),
        ({"op": "less", "value": -1, "relative_to": "median"}, "factor above 0"),
        ({"op": "less", "value": 1, "relative_to": "mean"}, "median"),
        ({"op": "missing", "where": {"column": "a", "op": "missin"}}, 'Did you mean "missing"'),
        (
            {"op": "missing", "where": {"column": "a", "op": "less", "value": 1, "relative_to": "median"}},
            "takes neither",
        ),
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
    cleaning = clean(survey(), POOL[:5])
    shown = cleaning.shown()
    assert shown["hidden"].any()
    sums = shown.groupby("stage")["n_removed"].sum()
    told = {int(n) for n in [*shown[list(COUNTS)].stack().dropna(), *sums]}
    texts = " ".join(text.get_text() for text in cleaning.plot().texts)
    assert {int(n) for n in re.findall(r"=\s(\d+)", texts)} <= told
    assert texts.count("hidden") >= int(shown["hidden"].sum())


def test_a_raised_threshold_hides_more():
    data = survey(600)
    strict = replace(data, privacy=Privacy(min_n=40))
    few, many = (int(clean(one, POOL).shown()["hidden"].sum()) for one in (data, strict))
    assert many > few > 0


def test_a_relative_cut_off_is_recomputed_and_its_finding_says_how_to_freeze_it():
    cleaning = clean(survey(seed=1), [POOL[11]])
    number = cleaning.cutoffs["speed"]
    assert number == float(f"{0.3 * survey(seed=1).answers['seconds'].median():.4g}")
    assert cleaning.findings[0].name == "cutoffs_recomputed" and f"{{speed: {number:g}}}" in cleaning.findings[0].text
    assert cleaning.tidy()["threshold"].tolist() == [number] and "Cut-off" in cleaning.to_text()


def test_a_frozen_cut_off_carries_over_to_the_next_wave():
    first = clean(survey(seed=1), [POOL[11]])
    second = clean(survey(seed=2), [POOL[11]], cutoffs=first.cutoffs)
    absolute = clean(survey(seed=2), [rule("speed", column="seconds", op="less", value=first.cutoffs["speed"])])
    assert second.tidy().equals(absolute.tidy()) and second.cutoffs == first.cutoffs
    assert clean(survey(seed=2), [POOL[11]]).cutoffs != first.cutoffs
    assert second.findings[0].name == "cutoffs_frozen"


def test_the_median_is_that_of_the_respondents_still_in_when_the_stage_begins():
    both = clean(survey(), [POOL[3], POOL[0], POOL[11]])
    left = survey().answers[survey().answers["unit"] != "unit 4"]
    assert both.cutoffs["speed"] == float(f"{0.3 * left['seconds'].median():.4g}")


def test_a_flow_without_cut_offs_has_no_column_of_them():
    assert "Cut-off" not in clean(survey(), [POOL[3]]).to_text()


@pytest.mark.parametrize(
    ("cutoffs", "message"),
    [
        ({"sped": 3.0}, 'Did you mean "speed"'),
        ({"fast": 3.0}, '"fast" is not a cleaning rule with relative_to'),
        ({"speed": "soon"}, "is not a number"),
        ({"speed": float("nan")}, "is not a number"),
    ],
)
def test_a_frozen_cut_off_that_fits_no_rule_is_refused(cutoffs, message):
    with pytest.raises(StudyError, match=message):
        clean(survey(), [POOL[0], POOL[11]], cutoffs=cutoffs)


def test_too_few_answers_give_no_median():
    with pytest.raises(DataError, match=r"cutoffs: \{speed: NUMBER\}"):
        clean(survey(n=4), [POOL[11]])


@settings(max_examples=10, deadline=None)
@given(RULES, SEEDS)
def test_words_as_categories_and_as_text_are_cleaned_alike(rules, seed):
    text = survey(seed=seed)
    words = replace(text, answers=text.answers.astype({"unit": "category", "person": "category"}))
    one, other = clean(text, rules), clean(words, rules)
    pd.testing.assert_frame_equal(one.hits.frame, other.hits.frame)
    assert one.tidy().equals(other.tidy())
    after = other.survey.answers.astype({"unit": "str", "person": "str"})
    pd.testing.assert_frame_equal(one.survey.answers, after)


@settings(max_examples=10, deadline=None)
@given(SEEDS, st.sampled_from([("person",), ("unit", "q1"), ("use",), ("person", "day", "seconds"), ("q1", "q2")]))
def test_repetitions_are_those_that_pandas_finds(seed, columns):
    data = survey(seed=seed)
    names = ITEMS if columns == ("use",) else list(columns)
    items = [name for name in names if name in ITEMS]
    frame = data.answers[names]
    known = frame.drop(columns=items).notna().all(axis=1) & frame.notna().any(axis=1)
    order = data.answers[ITEMS].isna().sum(axis=1).sort_values(kind="stable").index
    expected = frame.loc[order].duplicated().reindex(frame.index) & known
    found = clean(data, [rule("twice", "duplicates", "flag", column=columns, op="duplicate_of_earlier")]).hits.frame
    assert found["twice"].tolist() == expected.tolist()


@settings(max_examples=10, deadline=None)
@given(RULES, SEEDS)
def test_the_reasons_together_add_up_to_the_flow(rules, seed):
    cleaning = clean(survey(seed=seed), rules)
    rows, flow = cleaning.reasons().tidy(), cleaning.tidy()
    assert rows["n"].sum() == 120
    parts = [set(names.split(" + ")) for names in rows["rule"]]
    for name, hit in zip(flow["rule"], flow["n_hit"]):
        assert rows.loc[[name in one for one in parts], "n"].sum() == hit
    assert rows.loc[rows["reason"] == "not removed", "n"].sum() == len(cleaning.survey.answers)


@pytest.mark.parametrize("seed", range(2))
def test_no_small_combination_of_reasons_follows_from_the_table_and_the_flow(seed):
    cleaning = clean(survey(150, seed), POOL)
    reasons = cleaning.reasons()
    raw, shown, everybody = reasons.tidy(), reasons.shown(), cleaning.shown().set_index("rule")
    told = set(shown["rule"]) - {"other combinations"}
    small = raw["n"].between(1, 4)
    assert not told & set(raw.loc[small, "rule"])
    rules = cleaning.tidy()["rule"]
    n = dict(zip(raw["rule"], raw["n"]))
    parts = [*n, *(" + ".join(some) for size in (1, 2, 3) for some in itertools.combinations(rules, size))]
    parts = list(dict.fromkeys(parts))  # a reader does not know which combinations there are
    members = np.array([[rule in one.split(" + ") for rule in rules] for one in parts])
    first = np.array([next((r for r, hit in zip(rules, row) if hit and removes(r)), "") for row in members])
    lines = [members[:, i] for i, name in enumerate(rules) if not np.isnan(everybody.loc[name, "n_hit"])]
    lines += [first == name for name in rules if not np.isnan(everybody.loc[name, "n_removed"])]
    lines += [first == "", np.isin(first, rules[everybody.loc[rules, "n_removed"].isna().to_numpy()])]
    lines, counts = np.array(lines, dtype=float), np.array([n.get(one, 0) for one in parts], dtype=float)
    with_table = [(value, value) if name in told else (0, None) for name, value in zip(parts, counts)]
    for place in np.flatnonzero((counts > 0) & (counts < 5)):
        low, high = reach(place, lines, counts, with_table)
        flow_alone = reach(place, lines, counts, [(0, None)] * len(parts))
        assert (low <= 1 and high >= 4) or (low, high) == flow_alone


def reach(place, lines, counts, bounds):
    """The least and the greatest whole number a count could be."""
    target = (np.arange(len(counts)) == place).astype(float)
    ends = [sign * linprog(sign * target, A_eq=lines, b_eq=lines @ counts, bounds=bounds).fun for sign in (1, -1)]
    return np.ceil(ends[0] - 1e-6), np.floor(ends[1] + 1e-6)  # solver tolerance


def removes(name):
    return next(one for one in POOL if one.id == name).action == "exclude"


def test_a_file_with_two_waves_is_split_by_wave():
    data = survey(800)
    both = replace(data, answers=data.answers.assign(wave=np.where(np.arange(800) < 400, "1", "2")))
    by_wave = clean(both, POOL[:4]).by_wave("wave")
    alone = clean(replace(data, answers=data.answers.iloc[:400]), POOL[:4]).tidy()
    first = by_wave.tidy().query("group == '1'")
    assert first[list(COUNTS)].to_numpy().tolist() == alone[list(COUNTS)].to_numpy().tolist()


def test_two_waves_are_compared_rule_by_rule():
    rules = [POOL[0], rule("old", column="seconds", op="greater", value=280)]
    now = clean(survey(900, 2), [*POOL[:1], rule("new", column="seconds", op="greater", value=250)])
    table = now.compare(clean(survey(900, 1), rules)).tidy().set_index("rule")
    assert table.index.tolist() == ["fast", "new", "old"]
    assert table.loc["new", "verdict"] == "new rule" and table.loc["old", "verdict"] == "no longer a rule"
    assert table.loc["fast", "share"] == now.tidy()["n_hit"].iloc[0] / 900


@pytest.mark.parametrize(("factor", "words"), [(1.0, "no clear change"), (0.5, "more often"), (2.0, "less often")])
def test_a_rule_that_hits_more_often_says_so(factor, words):
    now, before = survey(3000, 2), survey(3000, 1)
    changed = replace(now, answers=now.answers.assign(seconds=now.answers["seconds"] * factor))
    rules = [rule("quick", column="seconds", op="less", value=60)]
    assert clean(changed, rules).compare(clean(before, rules)).tidy()["verdict"].tolist() == [words]


def test_a_rule_with_another_cut_off_is_not_compared():
    comparison = clean(survey(900, 2), [POOL[11]]).compare(clean(survey(900, 1), [POOL[11]], cutoffs={"speed": 90.0}))
    assert comparison.tidy()["verdict"].tolist() == ["another cut-off"]


@pytest.mark.parametrize("more", range(1, 5))
def test_the_difference_of_two_waves_gives_no_small_count_away(more):
    data = survey(400)
    slow = data.answers["seconds"] > 250
    extra = data.answers[slow].iloc[:more].set_axis(range(1000, 1000 + more))
    longer = replace(data, answers=pd.concat([data.answers, extra]))
    rules = [rule("slow", column="seconds", op="greater", value=250)]
    comparison = clean(longer, rules).compare(clean(data, rules))
    assert comparison.shown()[["n_hit", "n_hit_previous", "share", "share_previous"]].isna().all(axis=None)
    assert comparison.shown()["verdict"].isna().all()


def test_a_wave_with_few_removed_is_not_compared_since_its_shares_tell_the_number_entered():
    few = clean(survey(), [rule("odd", column="seconds", op="less", value=4), POOL[7]])
    assert 0 < few.tidy()["n_removed"].sum() < 5
    comparison = few.compare(few)
    assert comparison.shown()["share"].isna().all() and comparison.findings[0].name == "few_removed"
