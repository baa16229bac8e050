"""A reader with every published number tries to work out a small department; nothing published may let them."""

from __future__ import annotations

import csv
import html
import io
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache

import matplotlib
import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linprog

import smstudy as sm
from smstudy.display import tables
from smstudy.errors import DisclosureError, SmstudyError
from smstudy.result import Result, Rows
from smstudy.scales.scoring import score
from smstudy.study.guarding import guard, released
from smstudy.study.ledger import Ledger
from smstudy.study.session import StudyRun
from smstudy.survey.cleaning import NO_GROUP, clean
from smstudy.survey.codebook import Codebook
from smstudy.survey.dataset import Survey
from smstudy.survey.disclosure import hidden_groups
from smstudy.survey.exports import read_export
from smstudy.survey.quality import quality_card
from smstudy.survey.response import response_table
from smstudy.survey.rules import Rule

matplotlib.use("Agg")
MIN_N = 5
SCORES = ("a", "b")
ITEMS = tuple(f"{name}{i}" for name in SCORES for i in range(4))
AGREE = [{"value": code, "label": f"answer {code}"} for code in range(1, 6)]
EVERYBODY = "Everybody"
SEEDS = range(10)
Known = list[frozenset[str]]


def book(units: Sequence[str]) -> Codebook:
    items = {name: [item for item in ITEMS if item[0] == name] for name in SCORES}
    scales = [{"name": name, "items": items[name], "min_answered": 0.75} for name in SCORES]
    categories = [{"value": str(i), "label": unit} for i, unit in enumerate(units)]
    variables = [
        {"name": "unit", "title": "Department", "kind": "unit", "categories": categories},
        {"name": "panel", "kind": "id"},
        *({"name": item, "kind": "item", "categories": AGREE} for item in ITEMS),
    ]
    return Codebook.model_validate({"title": "Attack", "variables": variables, "scales": scales})


def survey(sizes: Sequence[int], seed: int, *, wave: str = "2", missing: float = 0.0, absent: int = 0) -> Survey:
    """Departments of given sizes; `absent` people do not say where they work."""
    rng = np.random.default_rng(seed)
    names = [f"Unit {chr(65 + i)}" for i in range(len(sizes))]
    units = [name for name, size in zip(names, sizes, strict=True) for _ in range(size)] + [None] * absent
    factor = rng.normal(size=(len(units), 2)).repeat(4, axis=1)
    items = pd.DataFrame(np.clip(np.round(3 + factor + 0.7 * rng.normal(size=factor.shape)), 1, 5), columns=ITEMS)
    items = items.mask(rng.random(items.shape) < missing)
    codes = [f"secret{rng.integers(10**9):09d}" for _ in units]
    about = pd.DataFrame({"unit": pd.Series(units, dtype=object), "panel": codes})
    answers = pd.concat([about, items], axis=1).sample(frac=1, random_state=seed).reset_index(drop=True)
    nothing = pd.DataFrame(columns=["row", "variable", "reason"])
    return score(Survey(answers=answers, codebook=book(names), missing=nothing, wave=wave)).survey


@cache
def drawn_survey(seed: int, missing: float = 0.0, absent: bool = False) -> Survey:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 13, size=rng.integers(4, 11))
    return survey(sizes, seed, missing=missing, absent=int(rng.integers(1, 7)) if absent else 0)


def sizes_of(data: Survey, name: str) -> dict[str, int]:
    """Respondents with a score by department, those who did not state theirs as one."""
    groups = data.column("unit").fillna(NO_GROUP)
    return data.column(name).notna().groupby(groups).sum().to_dict()


def follows(wanted: Iterable[str], known: Known, groups: Sequence[str]) -> bool:
    """Whether a total over `wanted` is a linear combination of known totals."""
    if not known:
        return False
    system = np.array([[group in one for group in groups] for one in known], dtype=float).T
    target = np.array([group in wanted for group in groups], dtype=float)
    solution = np.linalg.lstsq(system, target, rcond=None)[0]
    return bool(np.abs(system @ solution - target).max() < 1e-9)  # rounding of a small least-squares problem


def leaks(known: Known, sizes: dict[str, int]) -> list[tuple[str, ...]]:
    """Sets of departments with fewer than 5 people in all whose n and mean follow from what is published."""
    small = [group for group, n in sizes.items() if 0 < n < MIN_N]
    sets = itertools.chain.from_iterable(itertools.combinations(small, r) for r in range(1, MIN_N))
    return [one for one in sets if sum(sizes[g] for g in one) < MIN_N and follows(one, known, list(sizes))]


def published(result: Result) -> dict:
    return json.loads(json.dumps(result.to_record()))


def known_from(record: dict, groups: Iterable[str], name: str, count: str = "n") -> Known:
    rows = [row for row in record["tidy"] if row.get("term", name) == name and row[count] is not None]
    return [frozenset(groups) if row["group"] == EVERYBODY else frozenset([row["group"]]) for row in rows]


def known_from_model(data: Survey, groups: Iterable[str], name: str) -> Known:
    """A model with departments alone gives the mean of each level, and by its classical errors their n."""
    try:
        fit = sm.regress(f"{name} ~ C(unit)", data, covariance="classical")
    except SmstudyError:
        return []
    levels = [row["term"][5:-1] for row in published(fit)["tidy"] if row["term"].startswith("unit[")]
    named = {*levels, re.search(r'with "([^"]+)"', fit.note).group(1)} & set(groups)
    return [*(frozenset([group]) for group in named), frozenset(groups) - named]


def known_from_profile(data: Survey, groups: Iterable[str]) -> Known:
    try:
        segments = sm.kmeans(data, list(SCORES), k=2, seed=1, n_boot=20)
    except SmstudyError:
        return []
    rows = published(sm.profile(segments, data, by=["unit"]))["tidy"]
    named = {row["group"] for row in rows if row["term"] == "unit" and row["n"] is not None}
    rest = [frozenset(groups) - named] if named - set(groups) else []
    return [*(frozenset([group]) for group in named & set(groups)), *rest]


def known_from_response(data: Survey, groups: Iterable[str]) -> Known:
    stated = sorted(set(groups) - {NO_GROUP})
    record = published(response_table(data, pd.DataFrame({"unit": stated, "headcount": 40}), "unit"))
    return [*known_from({"tidy": record["tidy"]}, groups, ""), frozenset(groups)]


@pytest.mark.parametrize("absent", [False, True])
@pytest.mark.parametrize("missing", [0.0, 0.15])
def test_scores_by_department_give_no_small_department_away(missing, absent):
    for seed in SEEDS:
        data = drawn_survey(seed, missing, absent)
        record = published(sm.by_group(data, SCORES, "unit"))
        for name in SCORES:
            sizes = sizes_of(data, name)
            assert leaks(known_from(record, sizes, name), sizes) == [], (seed, name)


def test_who_did_not_state_a_department_is_a_group_like_the_others():
    data = survey([9, 8, 12], 1, absent=2)
    record = published(sm.by_group(data, SCORES, "unit"))
    hidden = {row["group"] for row in record["tidy"] if row["hidden"]}
    assert NO_GROUP in hidden and len(hidden) == 2


@pytest.mark.parametrize("absent", [False, True])
def test_changes_and_the_reports_of_both_waves_together_give_nobody_away(absent):
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        shape = rng.integers(4, 9)
        waves = [survey(rng.integers(1, 13, size=shape), seed + w, wave=str(w), absent=3 * absent) for w in (1, 2)]
        before, after = waves
        change = published(sm.changes(after, before, SCORES, unit="unit"))
        for data, count in ((before, "n_previous"), (after, "n")):
            own = published(sm.by_group(data, SCORES, "unit"))
            for name in SCORES:
                sizes = sizes_of(data, name)
                known = known_from(own, sizes, name) + known_from(change, sizes, name, count)
                assert leaks(known, sizes) == [], (seed, name, count)


def test_changes_of_hidden_departments_leave_no_trace_in_the_corrected_p():
    before, after = survey([3, 9, 9, 9], 1, wave="1"), survey([9, 3, 9, 9], 2)
    rows = sm.changes(after, before, ["a"], unit="unit").shown()
    shown = rows[~rows["hidden"]]
    alone = sm.changes(
        after.keep_rows(after.column("unit").isin(shown["group"]), "shown only"),
        before.keep_rows(before.column("unit").isin(shown["group"]), "shown only"),
        ["a"], unit="unit",
    ).shown()  # fmt: skip
    assert shown["p_adjusted"].tolist() == alone["p_adjusted"].tolist()


def test_response_alone_gives_no_small_department_away():
    for seed in SEEDS:
        data = drawn_survey(seed, 0.0, True)
        sizes = sizes_of(data, "a")
        assert leaks(known_from_response(data, sizes), sizes) == [], seed


TOGETHER = {
    "response": lambda data, groups, name: known_from_response(data, groups),
    "model": known_from_model,
    "profile": lambda data, groups, name: known_from_profile(data, groups),
}


@pytest.mark.parametrize("source", TOGETHER)
def test_tables_together_give_nobody_away_when_everybody_answered_everything(source):
    for seed in SEEDS:
        data = drawn_survey(seed)
        sizes = sizes_of(data, "a")
        own = known_from(published(sm.by_group(data, SCORES, "unit")), sizes, "a")
        assert leaks(own + TOGETHER[source](data, sizes, "a"), sizes) == [], seed


def test_response_and_scores_hide_the_same_departments_when_some_state_none():
    data = survey([9, 5, 1, 12, 12, 8], 56, absent=5)
    sizes = sizes_of(data, "a")
    own = known_from(published(sm.by_group(data, SCORES, "unit")), sizes, "a")
    assert leaks(own + known_from_response(data, sizes), sizes) == []


@pytest.mark.parametrize("source", ["response", "model", "profile"])
def test_tables_together_give_nobody_away_when_some_state_no_department(source):
    for seed in SEEDS:
        data = drawn_survey(seed, 0.0, True)
        sizes = sizes_of(data, "a")
        own = known_from(published(sm.by_group(data, SCORES, "unit")), sizes, "a")
        assert leaks(own + TOGETHER[source](data, sizes, "a"), sizes) == [], seed


def test_a_model_and_the_scores_give_nobody_away_when_answers_are_missing():
    for seed in SEEDS:
        data = drawn_survey(seed, 0.15)
        record = published(sm.by_group(data, SCORES, "unit"))
        for name in SCORES:
            sizes = sizes_of(data, name)
            known = known_from(record, sizes, name) + known_from_model(data, sizes, name)
            assert leaks(known, sizes) == [], (seed, name)


def test_the_number_who_entered_is_not_published_where_few_were_removed():
    data = survey([20, 20], 1)
    somebody = {"column": "panel", "op": "equals", "value": data.answers["panel"][0]}
    cleaning = clean(data, [Rule(id="out", stage="quality", action="exclude", reason="Out", **somebody)])
    entered = len(data.answers)
    assert entered not in [row["n_before"] for row in published(cleaning)["tidy"]]
    run = sm.open_study("quarterly-pulse")
    vars(run).update(_raw=data, _cleaning=cleaning, _quality=quality_card(data))
    assert published(run.quality())["glance"].get("n") != entered


def test_places_in_a_table_do_not_follow_hidden_means():
    rows = [row for row in published(sm.by_group(survey([9, 3, 1, 2, 4], 3), ["a"], "unit"))["tidy"] if row["hidden"]]
    assert [row["group"] for row in rows] == sorted(row["group"] for row in rows)


def everything(data: Survey, before: Survey) -> list[Result]:
    segments = sm.kmeans(data, list(SCORES), k=2, seed=1, n_boot=20)
    return [
        sm.by_group(data, SCORES, "unit"), sm.changes(data, before, SCORES, person="panel", unit="unit"),
        sm.changes(data, before, SCORES, person="panel"), response_table(data, None, "unit"), quality_card(data),
        sm.describe(data, SCORES), sm.correlate(data, SCORES), sm.reliability(data), sm.cronbach_alpha(data, "a"),
        sm.regress("a ~ b + C(unit)", data), segments, sm.profile(segments, data, by=["unit"]), clean(data, ()),
        sm.score(data),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def made() -> list[Result]:
    return everything(survey([1, 2, 3, 4, 9, 12, 11], 1, absent=2), survey([3, 9, 2, 4, 8, 12, 10], 2, wave="1"))


def test_no_rendering_holds_the_code_of_a_person(made):
    for result in made:
        tables_too = result.to_html() + result.to_latex() + result.to_text() + result.to_csv()
        text = json.dumps(result.to_record()) + tables_too
        assert "secret" not in text, type(result)


def test_hidden_rows_hold_no_number_in_any_form(made):
    for result in made:
        record = published(result)
        for row in record["tidy"]:
            if row.get("hidden") is True and "group" in row:
                about = {"threshold", "k", "n_items", "hidden"}
                numbers = [v for k, v in row.items() if k not in about and isinstance(v, int | float) and k != "hidden"]
                assert numbers == [], (type(result), row)


def test_figures_draw_only_shown_rows(made):
    for result in made:
        if result.picture is not None:
            drawn = result.drawn()
            assert "hidden" not in drawn or not drawn["hidden"].any(), type(result)
            hidden = result.shown().query("hidden")["group"] if {"hidden", "group"} <= set(result.shown()) else []
            page = tables.to_csv(drawn) + result.alt_text()
            assert not any(name in page for name in set(hidden) - {NO_GROUP}), type(result)


def test_axes_of_a_figure_are_those_of_its_shown_rows():
    data = survey([12, 11, 1, 2, 4], 5)
    result = sm.by_group(data, ["a"], "unit")
    axes, drawn = result.plot(), result.drawn()
    low, high = axes.get_xlim()
    slack = 0.1 * (drawn["conf_high"].max() - drawn["conf_low"].min())  # matplotlib's margin is 5 % on each side
    assert drawn["conf_low"].min() - low < slack and high - drawn["conf_high"].max() < slack
    assert len(axes.get_yticklabels()) == len(drawn)
    matplotlib.pyplot.close(axes.get_figure())


def test_reprs_show_shapes_and_no_rows(tmp_path):
    data = survey([5, 6], 1)
    path = tmp_path / "raw.csv"
    path.write_text("unit,panel,comment\nA,secret1,my boss shouts\n" * 2, encoding="utf-8")
    shown = [repr(data), str(data), repr(Rows(data.answers)), repr(clean(data, ()).hits), repr(read_export(path))]
    assert not any("secret" in text or "shouts" in text for text in shown)


def test_smallest_and_largest_of_a_few_are_not_shown():
    rows = published(sm.describe(survey([30], 2), SCORES))["tidy"]
    assert all(row["minimum"] is None or row["n"] >= MIN_N for row in rows)
    one = survey([30], 2)
    high = one.with_columns(pd.DataFrame({"a": one.column("a").mask(one.answers.index == 0, 9.75)}), "one far away")
    assert published(sm.describe(high, ["a"]))["tidy"][0]["maximum"] is None


def test_an_organization_of_four_shows_nothing():
    data = survey([2, 2], 1)
    for result in (sm.by_group(data, SCORES, "unit"), response_table(data, None, "unit"), sm.describe(data, SCORES)):
        record = published(result)
        assert record["glance"].get("n") is None
        assert all(row["n"] is None for row in record["tidy"]), type(result)


def renderings(result: Result) -> str:
    """All that files of a run hold of a result."""
    pages = [result.to_html(), result.to_latex(), result.to_text(), result.to_csv(), json.dumps(result.to_record())]
    return "\n".join([*pages, result.alt_text()])


def counts_told(results: Sequence[Result], groups: Sequence[str]) -> list[tuple[np.ndarray, float]]:
    """What the rendered tables say about the numbers of people in departments: rows of coefficients and their sums."""
    told = [(np.ones(len(groups)), published(results[0])["glance"]["n"])]
    for result in results:
        for row in csv.DictReader(io.StringIO(result.to_csv())):
            n = row.get("n_after") or row.get("n")
            if n and row.get("group") in groups and row.get("term", "a") == "a":
                told.append((np.array([group == row["group"] for group in groups], dtype=float), float(n)))
    return told


def bounds(told: list[tuple[np.ndarray, float]], place: int, least: float) -> tuple[float, float]:
    """The least and the greatest number of people a reader can give a department."""
    equations, sums = np.array([row for row, _ in told]), np.array([n for _, n in told])
    target = np.eye(equations.shape[1])[place]
    ends = [linprog(sign * target, A_eq=equations, b_eq=sums, bounds=(least, None)) for sign in (1, -1)]
    return ends[0].fun, -ends[1].fun


@pytest.mark.parametrize("seed", SEEDS)
def test_all_tables_of_a_run_together_leave_every_small_count_open(seed):
    data = drawn_survey(seed, 0.0, True)
    sizes = sizes_of(data, "a")
    groups = list(sizes)
    odd = {"column": "a0", "op": "in", "value": [1, 2]}
    cleaning = clean(data, [Rule(id="odd", stage="quality", action="flag", reason="Odd", **odd)])
    frame = pd.DataFrame({"unit": [group for group in groups if group != NO_GROUP], "headcount": 40})
    response = response_table(data, frame, "unit")
    results = [response, sm.by_group(data, ["a"], "unit"), cleaning.by_unit("unit"), *everything_of(data)]
    if "n" not in published(response)["glance"]:
        return
    told = counts_told(results, groups)
    for place, group in enumerate(groups):
        if 0 < sizes[group] < MIN_N:
            low, high = bounds(told, place, least=1)
            assert low <= 1 + 1e-6 and high >= MIN_N - 1 - 1e-6, (group, low, high)  # tolerance of the solver


def everything_of(data: Survey) -> list[Result]:
    return [sm.describe(data, SCORES), sm.reliability(data), quality_card(data), sm.score(data)]


def told_sets(record: dict, data: Survey, name: str) -> list[frozenset]:
    """The people behind every shown row of a table by department, and behind the rows hidden together."""
    groups = data.column("unit").fillna(NO_GROUP)[data.column(name).notna()]
    shown = {row["group"] for row in record["tidy"] if row["term"] == name and row["n"] is not None} - {EVERYBODY}
    sets = [frozenset(groups.index[groups == group]) for group in shown]
    return [frozenset(groups.index), frozenset(groups.index[~groups.isin(shown)]), *sets]


def few_told(sets: Sequence[frozenset]) -> set[frozenset]:
    """Groups of 1 to 4 people a reader isolates by adding and subtracting up to four released sets."""
    people = sorted(frozenset().union(*sets))
    shape = np.unique(np.array([[person in one for person in people] for one in sets], dtype=int), axis=0)
    found = set()
    for r in range(2, 5):
        for chosen in itertools.combinations(shape, r):
            for signs in itertools.product((1, -1), repeat=r - 1):
                left = np.flatnonzero(np.array((1, *signs)) @ np.array(chosen))
                if 0 < len(left) < MIN_N:
                    found.add(frozenset(people[i] for i in left))
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_two_reports_on_one_wave_tell_about_no_few_late_respondents(seed):
    rng = np.random.default_rng(seed)
    late = survey(rng.integers(4, 13, size=4), seed, missing=0.05)
    last = rng.permutation(len(late.answers))[: int(rng.integers(1, 15))]
    early = late.keep_rows(~late.answers.index.to_series().isin(last), "before the last came")
    ledger, sets = Ledger(key=b"k" * 32), {name: [] for name in SCORES}
    for run, data in (("early", early), ("late", late)):
        try:
            guarded = guard(data, late, ledger, run=run, case="wave 2", units=["unit"])
        except DisclosureError:
            continue
        ledger = released(guarded, late, ledger, run=run, case="wave 2", units=["unit"])
        record = published(sm.by_group(guarded, SCORES, "unit"))
        for name in SCORES:
            sets[name] += [one for one in told_sets(record, guarded, name) if len(one) >= MIN_N]
    for name in SCORES:
        assert not few_told(sets[name]), name


@pytest.mark.parametrize("seed", SEEDS)
def test_a_department_that_answers_alike_gives_no_answer_away(seed):
    data = drawn_survey(seed)
    unit = data.column("unit")
    same = unit == unit.value_counts().index[0]
    alike = data.with_columns(pd.DataFrame({"a": data.column("a").mask(same, 4.25)}), "one department agrees")
    sizes = sizes_of(alike, "a")
    own = known_from(published(sm.by_group(alike, SCORES, "unit")), sizes, "a")
    whole, told = (
        frozenset(unit[same].unique()),
        known_from_model(alike, sizes, "a") + known_from_response(alike, sizes),
    )
    assert not follows(whole, own + told, list(sizes))
    hidden = [group for group in sizes if not any(one == {group} for one in own)]
    assert alike.column("a")[unit.fillna(NO_GROUP).isin(hidden)].nunique() > 1


def test_comments_and_the_audit_tell_no_code_no_name_and_no_count():
    data = survey([12, 11, 3], 4)
    words = [f"more time for {word} please, says Sandra" for word in "abcdefghijklmnopqrstuvwxyz"]
    data = data.with_columns(pd.DataFrame({"said": pd.Series(words, dtype=object)}), "comments")
    variables = [*(v.model_dump() for v in data.codebook.variables), {"name": "said", "kind": "text"}]
    book = Codebook.model_validate({"title": "Attack", "variables": variables})
    comments = sm.verbatims(replace(data, codebook=book), "said", by="unit", seed=1)
    listed = sm.audit({"g": sm.by_group(data, SCORES, "unit").to_record()}, privacy=data.privacy)
    page = renderings(comments) + renderings(listed)
    assert "secret" not in page and "Sandra" not in page and "[name]" in page
    assert listed.tidy()["group"].tolist() == ["Unit B", "Unit C"]
    assert not re.search(r"\d", "".join(listed.tidy()["group"]) + "".join(listed.tidy()["term"]))


def test_how_a_few_linked_people_moved_does_not_follow_from_the_standard_error():
    before, after = survey([20, 20], 1, wave="1"), survey([20, 20], 2)
    few = after.answers["panel"].mask(after.answers.index < 3, before.answers["panel"])
    linked = after.with_columns(few.to_frame("panel"), "three take part again")
    one, other = (sm.changes(wave, before, ["a"], person="panel").tidy() for wave in (linked, after))
    pd.testing.assert_frame_equal(one, other)


WHOLE = -1
PARTS = range(2)
UNITS_TOLD = ("response", "nonresponse", "weights", "weighted", "by_unit", "unit", "groups", "changes", "unit_changes")


@cache
def demo() -> StudyRun:
    return sm.open_study("quarterly-pulse")


@cache
def demo_survey(part: int) -> Survey:
    """The demo's respondents, or some of them drawn by a seed, so that other departments are small."""
    data, rng = demo().survey(), np.random.default_rng(max(part, 0))
    drawn = pd.Series(rng.random(len(data.answers)) < rng.uniform(0.3, 0.95), index=data.answers.index)
    return data if part == WHOLE else data.keep_rows(drawn, "some")


@cache
def demo_results(part: int) -> dict[str, Result]:
    """What a run tells of them."""
    run, data, before = demo(), demo_survey(part), demo().previous_survey()
    weights = sm.rake(data, run.head_counts)
    people = {"weights": weights, "population": weights.n_frame}
    made = {
        "response": response_table(data, run.frame, run.unit), "nonresponse": sm.nonresponse(data, run.head_counts),
        "weights": weights, "weighted": sm.weighted_means(data, run.scales, **people),
        "by_unit": sm.weighted_means(data, ["adoption"], by=run.unit, **people),
        **{name: sm.distribution(data, name) for name in ("unit", "role", "tenure")},
        "missing": sm.missing_patterns(data),
        "groups": sm.by_group(data, run.scales, run.unit), "quality": quality_card(data),
        "changes": sm.changes(data, before, run.scales, person=run.person),
        "unit_changes": sm.changes(data, before, ["adoption"], person=run.person, unit=run.unit),
    }  # fmt: skip
    whole = {"flow": run.cleaning(), "grade": run.grade(), "sensitivity": run.sensitivity()}
    return {**made, **whole} if part == WHOLE else made


def exported(result: Result) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(result.to_csv())))


def people_told(result: Result, groups: Sequence[str]) -> Iterator[tuple[str, np.ndarray, float]]:
    """Counts by department in an exported table: who is counted (now, before, or a score), where, and how many."""
    rows = exported(result)
    listed = {row.get("group", row.get("answer")) for row in rows}
    for row in rows:
        named = {EVERYBODY: set(groups), "(small groups)": set(groups) - listed}
        group = row.get("group", row.get("answer"))
        where = np.array([one in named.get(group, {group}) for one in groups], dtype=float)
        if row["n"] and where.any():
            yield row["term"] if row.get("term") in demo().scales else "now", where, float(row["n"])
        if row.get("n_previous") and row["term"] == "adoption" and where.any():
            yield "before", where, float(row["n_previous"])


def sizes_by_unit(data: Survey, groups: Sequence[str], name: str = "") -> np.ndarray:
    answered = data.answers if not name else data.answers[data.column(name).notna()]
    return answered["unit"].value_counts().reindex(groups, fill_value=0).to_numpy(float)


def joint_bounds(told: Iterable[tuple[str, np.ndarray, float]], true: dict[str, np.ndarray]) -> dict:
    """Least and greatest size of every small department by linear programming; those with a score are of those now."""
    kinds, k = list(true), len(true["now"])
    eye = np.eye(len(kinds))
    equations = [(np.kron(eye[kinds.index(kind)], where), n) for kind, where, n in told]
    for row, n in equations:
        assert row @ np.concatenate(list(true.values())) == n
    scores = [i for i, kind in enumerate(kinds) if kind not in ("now", "before")]
    within = np.vstack([np.kron(eye[i] - eye[kinds.index("now")], np.eye(k)) for i in scores])
    limits = [(float(n > 0 and kind in ("now", "before")), None) for kind in kinds for n in true[kind]]
    given = {"A_eq": np.array([row for row, _ in equations]), "b_eq": [n for _, n in equations]}
    given |= {"A_ub": within, "b_ub": np.zeros(len(within)), "bounds": limits}
    small = [(kind, place) for kind in ("now", "before") for place, n in enumerate(true[kind]) if 0 < n < MIN_N]
    target = {at: np.kron(eye[kinds.index(at[0])], np.eye(k)[at[1]]) for at in small}
    return {at: (linprog(t, **given).fun, -linprog(-t, **given).fun) for at, t in target.items()}


@pytest.mark.parametrize("part", [WHOLE, *PARTS])
def test_all_tables_of_the_demo_together_leave_every_small_department_open(part):
    groups = demo().frame["unit"].tolist()
    true = {name: sizes_by_unit(demo_survey(part), groups, name) for name in demo().scales}
    true |= {"now": sizes_by_unit(demo_survey(part), groups)}
    true |= {"before": sizes_by_unit(demo().previous_survey(), groups, "adoption")}
    told = [fact for name in UNITS_TOLD for fact in people_told(demo_results(part)[name], groups)]
    told.append(("now", np.ones(len(groups)), float(len(demo_survey(part).answers))))
    found = joint_bounds(told, true)
    assert part == WHOLE or found
    for at, (low, high) in found.items():
        assert low <= 1 + 1e-6 and high >= MIN_N - 1 - 1e-6, (at, low, high)  # tolerance of the solver


@pytest.mark.parametrize("part", [WHOLE, *PARTS])
def test_means_of_the_demo_by_department_give_no_few_people_away(part):
    groups, results = demo().frame["unit"].tolist(), demo_results(part)
    told = [fact for name in UNITS_TOLD for fact in people_told(results[name], groups)]
    for name in demo().scales:
        known = [frozenset(itertools.compress(groups, where)) for kind, where, _ in told if kind == name]
        sizes = dict(zip(groups, sizes_by_unit(demo_survey(part), groups, name).astype(int).tolist(), strict=True))
        assert leaks(known, sizes) == [], name


@pytest.mark.parametrize("part", [WHOLE, *PARTS])
def test_no_small_count_of_answers_or_of_reasons_follows_from_the_others(part):
    n = len(demo_survey(part).answers)
    for name in ("role", "tenure", "missing"):
        for _, own in pd.DataFrame(exported(demo_results(part)[name])).groupby("term"):
            shown = pd.to_numeric(own["n"]).dropna()
            k = len(own) - len(shown)
            assert not k or (k > 1 and n - shown.sum() - (k - 1) >= MIN_N - 1), own


def cells_of(page: str) -> list[str]:
    return [html.unescape(re.sub("<[^>]+>", "", cell)) for cell in re.findall("<td[^>]*>(.*?)</td>", page, re.DOTALL)]


@pytest.mark.parametrize("part", [WHOLE, 1])
def test_all_renderings_of_a_result_hide_the_same_places(part):
    for name, result in demo_results(part).items():
        shown, record, rows = result.shown(), published(result), exported(result)
        closed = shown["hidden"].tolist() if "hidden" in shown else [False] * len(shown)
        assert [row.get("hidden", False) for row in record["tidy"]] == closed, name
        assert [row.get("hidden", "False") == "True" for row in rows] == closed, name
        for column in shown.select_dtypes("number"):
            gone = shown[column].isna().tolist()
            assert [row[column] is None for row in record["tidy"]] == gone, (name, column)
            assert [row[column] == "" for row in rows] == gone, (name, column)
        cells = [cell for row in record["table"]["rows"] for cell in row]
        assert cells_of(result.to_html()) == cells, name
        assert not any(closed) or tables.HIDDEN in cells, name


def told_of_units(data: Survey) -> dict[str, str]:
    """Every rendering of what a study tells about departments."""
    run, before = demo(), demo().previous_survey()
    weights = sm.rake(data, run.head_counts)
    people = {"weights": weights, "population": weights.n_frame}
    results = [
        response_table(data, run.frame, run.unit), sm.nonresponse(data, run.head_counts), weights,
        sm.weighted_means(data, run.scales, **people), sm.weighted_means(data, run.scales, by=run.unit, **people),
        sm.distribution(data, run.unit), sm.by_group(data, run.scales, run.unit),
        sm.changes(data, before, run.scales, person=run.person, unit=run.unit), sm.missing_patterns(data),
        sm.regress("adoption ~ leadership + C(unit)", data),
    ]  # fmt: skip
    return {f"{type(result).__name__} {i}": renderings(result) for i, result in enumerate(results)}


@pytest.mark.parametrize("part", [WHOLE, 1])
def test_a_person_who_moves_from_one_hidden_department_to_another_changes_nothing_shown(part):
    data = demo_survey(part)
    hidden = data.answers["unit"].isin(hidden_groups(data, "unit"))
    sizes = data.answers.loc[hidden, "unit"].value_counts()
    mover = data.answers.index[data.answers["unit"] == sizes.index[0]][0]
    unit = data.answers["unit"].mask(data.answers.index == mover, sizes.index[-1])
    moved = data.with_columns(unit.to_frame(), "one person moved")
    if hidden_groups(moved, "unit") == set(sizes.index):
        one, other = told_of_units(data), told_of_units(moved)
        assert [name for name in one if one[name] != other[name]] == []


def mean_of_the_rest(whole: tuple[float, float], part: tuple[float, float]) -> tuple[float, float]:
    """How many are in the whole and not in the part, and their sum, from n and mean of both."""
    return whole[0] - part[0], whole[0] * whole[1] - part[0] * part[1]


def test_segments_and_scores_give_no_answer_of_the_few_in_no_segment_away():
    data, names = demo_survey(WHOLE), demo().scales
    parts = pd.DataFrame(exported(sm.profile(sm.kmeans(data, names, k=4, seed=1, n_boot=20), data)))
    for row in exported(sm.describe(data, names)):
        own = parts[parts["term"] == row["term"]]
        n, means = (pd.to_numeric(own[column]) for column in ("n", "mean"))
        rest, total = mean_of_the_rest((float(row["n"]), float(row["mean"])), (n.sum(), (n * means).sum() / n.sum()))
        answers = data.column(row["term"])[data.answers[names].isna().any(axis=1)].sum()
        assert rest == 0 or rest >= MIN_N or not np.isclose(total, answers, atol=1e-6), row["term"]  # rounding of sums


def test_means_of_the_sensitivity_line_do_not_tell_how_few_hidden_rules_removed():
    results, clean_n = demo_results(WHOLE), len(demo_survey(WHOLE).answers)
    flow = results["flow"].shown().set_index("rule")
    others = flow["hidden"] & (flow["stage"] != "quality") & (flow["stage"] != "several")
    together = int(flow.loc["hidden rules", "n_removed"])
    means = results["sensitivity"].shown().set_index("term")["estimate"].drop("adoption").to_numpy()
    fitting = [
        n
        for n in range(clean_n, clean_n + together)
        if np.allclose(n * means * 12 % 1, np.round(n * means * 12 % 1), atol=1e-6)
    ]
    assert not others.any() or len(fitting) != 1 or not 0 < together - (fitting[0] - clean_n) < MIN_N


def test_sensitivity_and_scores_give_no_mean_of_few_flagged_away():
    before, raw = demo().cleaning().survey, demo().survey("raw")
    items = list(next(scale.items for scale in demo().codebook.scales if scale.name == "adoption"))
    for who in before.answers.index[before.answers["flag_careless"] > 0]:
        blank = raw.answers[items].mask(raw.answers.index.to_series() == who)
        run = sm.open_study("quarterly-pulse")
        vars(run)["_raw"] = raw.with_columns(blank, "one of the flagged leaves a scale out")
        told = run.sensitivity().shown().set_index("term").loc["adoption"]
        left = run.survey().column("adoption").notna().sum() - told["n_without"]
        assert not 0 < left < MIN_N
