"""Each of the 38 defects is found where it is and not where it is not; nobody's answer is told."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from smstudy.errors import DataError
from smstudy.privacy import Privacy
from smstudy.survey.cleaning import clean
from smstudy.survey.codebook import Codebook, read_codebook
from smstudy.survey.dataset import Survey
from smstudy.survey.decoding import decode
from smstudy.survey.defects import DEFECTS, DefectReport, find_defects
from smstudy.survey.drafting import draft_variables, variable_of
from smstudy.survey.exports import Export, read_export
from smstudy.survey.formats.columns import column_of
from smstudy.survey.quality import quality_card
from smstudy.survey.rules import Rule

ROOT = Path(__file__).resolve().parents[2]
CASES = YAML(typ="safe", pure=True).load((ROOT / "tests/spec/defects.yml").read_text(encoding="utf-8"))
ANSWER_SCALES = {
    "agree": [
        {"value": code, "label": label}
        for code, label in enumerate(("Strongly disagree", "Disagree", "Neutral", "Agree", "Strongly agree"), 1)
    ],
    "yes_no": [{"value": 1, "label": "Yes"}, {"value": 2, "label": "No"}],
    "units": [{"value": 1, "label": "Sales"}, {"value": 2, "label": "HR"}],
    "tools": [
        {"value": 1, "label": "Chat"},
        {"value": 3, "label": "Other"},
        {"value": 9, "label": "None of these"},
    ],
}
CLEAN = {
    "ResponseId": [f"R_{letter}9x" for letter in "abcdefghijkl"],
    "RecordedDate": ["2025-03-03 10:00:00"] * 12,
    "Finished": ["True"] * 12,
    "unit": ["Sales"] * 6 + ["HR"] * 6,
    "q1": [str(1 + i % 5) for i in range(12)],
    "q2": [str(1 + (i + i // 5) % 5) for i in range(12)],
    "q3": [str(1 + (i + i // 7) % 5) for i in range(12)],
    "comment": ["It helps"] * 12,
}
CLEAN_VARIABLES = [
    {"name": "id", "column": "ResponseId", "kind": "id"},
    {"name": "recorded", "column": "RecordedDate", "kind": "date"},
    {"name": "finished", "column": "Finished", "kind": "category"},
    {"name": "unit", "kind": "unit", "categories": "units"},
    *({"name": name, "kind": "item", "categories": "agree"} for name in ("q1", "q2", "q3")),
    {"name": "comment", "kind": "text"},
]


HEADERS = [
    "Status", "Finished", "Q1", "Q1_TEXT", "Q_RecaptchaScore", "RecordedDate", "StartDate", "EndDate", "age", "tenure",
    "consent", "unit", "wave", "duration_seconds", "submitdate", "honeypot",
]  # fmt: skip
ODD_CELLS = [
    "", "1", "2", "-99", "999", "Yes", "No", "yes ", "Stimme zu", "2025-03-03", "45731", "N/A", "None", "5 years",
    "1,000", "test", "ann@example.org", "0", "1e5", "123.0", "é", "?", "False", "(n/a) zebra crossing", "inf", "-",
]  # fmt: skip
KINDS = ["id", "unit", "category", "item", "number", "date", "text", "multi-select", "weight"]
CHOSEN = ("unit", "category", "item", "multi-select")


def export_of(cells: dict[str, list[str]], **parts: object) -> Export:
    frame = pd.DataFrame({name: column_of(["None" if cell is None else cell for cell in column])
                          for name, column in cells.items()})  # fmt: skip
    return Export(**{"cells": frame, "source": "tiny.csv", "form": "table", **parts})


def codebook_of(variables: list[dict], **parts: object) -> Codebook:
    return Codebook.model_validate({"title": "t", "answer_scales": ANSWER_SCALES, "variables": variables, **parts})


def report_on(case: dict) -> DefectReport:
    codebook = codebook_of(case["variables"], **{key: case[key] for key in ("scales", "missing") if key in case})
    return find_defects(
        export_of(case["cells"], labels=case.get("labels", {}), **case.get("export", {})),
        codebook,
        previous=export_of(case["previous"]) if "previous" in case else None,
        frame=pd.DataFrame({"unit": case["frame"]}) if "frame" in case else None,
        period=tuple(case["period"]) if "period" in case else None,
    )


def row(report: DefectReport, number: int) -> pd.Series:
    rows = report.tidy()
    return rows[rows["defect"].str.startswith(f"{number} ")].iloc[0]


@pytest.mark.parametrize("case", CASES, ids=[f"{case['defect']}-{i}" for i, case in enumerate(CASES)])
def test_the_specification_holds(case):
    found = row(report_on(case), case["defect"])
    assert found["verdict"] == case["verdict"], found["reason"]
    assert (None if np.isnan(found["n"]) else found["n"]) == case.get("n")
    assert found["reason"] == case["says"]


def test_every_defect_has_a_number_and_a_case():
    assert list(DEFECTS) == list(range(1, 39))
    assert {case["defect"] for case in CASES} == set(DEFECTS)


def test_all_are_listed_whatever_is_found():
    report = find_defects(export_of({"q": ["1"]}), codebook_of([{"name": "q", "kind": "number"}]))
    assert [int(name.split()[0]) for name in report.tidy()["defect"]] == list(DEFECTS)
    assert set(report.tidy()["verdict"]) <= {"found", "not found", "cannot tell"}
    assert (report.tidy()["reason"] != "").all()


def test_nothing_is_found_in_a_clean_export():
    frame = pd.DataFrame({"unit": ["Sales", "HR"]})
    export, codebook = export_of(CLEAN), codebook_of(CLEAN_VARIABLES)
    report = find_defects(export, codebook, previous=export, frame=frame, period=("2025-03-01", "2025-03-31"))
    assert report.found()["defect"].tolist() == []


def test_what_is_missing_to_look_is_said():
    rows = find_defects(export_of(CLEAN), codebook_of(CLEAN_VARIABLES)).tidy()
    lacks = rows.loc[rows["verdict"] == "cannot tell", ["defect", "reason"]]
    told = {int(defect.split()[0]): reason for defect, reason in lacks.itertuples(index=False)}
    assert {7, 11, 12, 15, 16, 17, 18, 19, 20, 26, 31, 36} == set(told)
    assert told[20] == "There are no head counts."


@pytest.mark.parametrize("case", CASES, ids=[f"{case['defect']}-{i}" for i, case in enumerate(CASES)])
def test_offered_rules_are_rules_and_offered_lines_are_yaml(case):
    for repair in report_on(case).tidy()["repair"]:
        for line in re.findall(r"- (\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\})", repair):
            entry = YAML(typ="safe", pure=True).load(line)
            if "op" in entry:
                assert Rule.model_validate(entry).reason
            elif "kind" in entry:
                assert codebook_of([entry]).variables


def test_an_offered_rule_hits_the_rows_that_were_counted():
    cells = {**CLEAN, "Status": ["IP Address"] * 5 + ["Survey Preview"] * 7}
    variables = [*CLEAN_VARIABLES, {"name": "status", "column": "Status", "kind": "category"}]
    found = row(find_defects(export_of(cells), codebook_of(variables)), 11)
    rule = Rule.model_validate(YAML(typ="safe", pure=True).load(found["repair"].partition("- ")[2]))
    assert clean(decode(export_of(cells), codebook_of(variables)), [rule]).tidy()["n_hit"].tolist() == [7]
    again = find_defects(export_of(cells), codebook_of(variables), rules=[rule])
    assert row(again, 11)["repair"] == 'Cleaning rule "not-meant" looks at it.'


@pytest.mark.parametrize("hit", [1, 4, 5, 95, 96, 99, 100])
def test_counts_of_few_or_of_all_but_few_are_hidden(hit):
    cells = {"Finished": ["False"] * hit + ["True"] * (100 - hit)}
    report = find_defects(export_of(cells), codebook_of([{"name": "f", "column": "Finished", "kind": "category"}]))
    shown = report.shown().iloc[12]
    assert shown["hidden"] == (0 < hit < 5 or 95 < hit < 100)
    assert np.isnan(shown["n"]) == shown["hidden"]
    assert report.tidy().iloc[12]["n"] == hit


def test_a_count_that_the_quality_card_hides_is_hidden_here():
    run = demo(2)
    card = quality_card(run)
    shown = find_defects(DEMO[2], CODEBOOK, survey=run, card=card).shown()
    hidden = card.shown().set_index("term")["n"].isna()
    assert shown.iloc[18]["hidden"] or not hidden["careless"]
    assert shown.iloc[15]["hidden"] == hidden["seconds_per_item"]


def test_a_card_of_the_rows_left_counts_them_only():
    whole = demo(2)
    rest = whole.keep_rows(whole.answers["finished"] == "True", "unfinished left out")
    card = quality_card(rest)
    report = find_defects(DEMO[2], CODEBOOK, survey=whole, card=card)
    assert row(report, 19)["n"] == card.flags.frame["careless"].sum()
    assert row(report, 16)["n"] == card.flags.frame["seconds_per_item"].sum()


def test_no_answer_of_anybody_is_told():
    secret = "zzqsecretzzq"
    cells = {**CLEAN, "comment": [secret] * 6 + [f"{secret}@example.org"] * 6, "q1": [secret] * 12,
             "unit": [secret] * 12, "ResponseId": [f"{secret}{i}" for i in range(12)]}  # fmt: skip
    report = find_defects(export_of(cells), codebook_of(CLEAN_VARIABLES))
    assert secret not in report.to_text() + report.to_html() + str(report.to_record())


def test_a_threshold_that_was_raised_holds():
    cells = {"Finished": ["False"] * 8 + ["True"] * 92}
    codebook = codebook_of([{"name": "f", "column": "Finished", "kind": "category"}])
    assert find_defects(export_of(cells), codebook, privacy=Privacy(min_n=9)).shown().iloc[12]["hidden"]


def test_rows_that_repeat_another_in_every_answer_are_duplicates():
    cells = {f"q{j}": [str(1 + (i * j) % 5) for i in (1, 2, 3, 1)] for j in range(1, 12)}
    variables = [{"name": name, "kind": "item", "categories": "agree"} for name in cells]
    found = row(find_defects(export_of(cells), codebook_of(variables)), 14)
    assert (found["verdict"], found["n"]) == ("found", 1)
    straight = {name: ["3"] * 4 for name in cells}
    assert row(find_defects(export_of(straight), codebook_of(variables)), 14)["verdict"] == "not found"


def test_a_count_from_which_a_hidden_one_follows_is_hidden():
    cells = {"user": ["Yes"] * 50 + ["No"] * 50, "q1": ["1", "2"] * 25 + [""] * 47 + ["3"] * 3}
    variables = [{"name": "user", "kind": "category", "categories": "yes_no"},
                 {"name": "q1", "kind": "item", "categories": "agree"}]  # fmt: skip
    shown = find_defects(export_of(cells), codebook_of(variables)).shown()
    assert shown.loc[[22, 31], "verdict"].tolist() == ["found", "found"]
    assert shown.loc[[22, 31], "hidden"].all()


def test_times_with_and_without_a_zone_can_be_compared():
    cells = {"StartDate": ["2025-03-03T10:00:00Z"], "EndDate": ["2025-03-03 09:00:00"]}
    variables = [{"name": name, "column": column, "kind": "date"}
                 for name, column in (("start", "StartDate"), ("end", "EndDate"))]  # fmt: skip
    report = find_defects(export_of(cells), codebook_of(variables), period=("2025-03-03", "2025-03-03"))
    assert row(report, 31)["verdict"] == "found" and row(report, 15)["verdict"] == "not found"


@pytest.mark.parametrize("path", sorted((ROOT / "tests/survey/fixtures").rglob("*.*")), ids=lambda path: path.name)
def test_every_export_of_the_fixtures_is_looked_at(path):
    try:
        export = read_export(path)
    except DataError:
        pytest.skip("no export of answers")
    codebook = Codebook(title="draft", variables=tuple(map(variable_of, draft_variables(export))))
    assert len(find_defects(export, codebook).shown()) == len(DEFECTS)


@pytest.mark.parametrize("seed", range(12))
def test_whatever_stands_in_the_cells_a_report_comes_out(seed):
    rng = np.random.default_rng(seed)
    headers = rng.choice(HEADERS, 8, replace=False).tolist()
    cells = {name: rng.choice(rng.choice(ODD_CELLS, 5), 30).tolist() for name in headers}
    variables = [
        {"name": f"v{place}", "column": name, "kind": str(kind), **({"categories": "yes_no"} if kind in CHOSEN else {})}
        for place, (name, kind) in enumerate(zip(headers, rng.choice(KINDS, 8), strict=True))
    ]
    report = find_defects(export_of(cells), codebook_of(variables), period=("2025-03-01", "2025-03-31"))
    assert not report.shown()["n"].between(1, 4).any()
    assert not any(cell in report.to_text() for cell in ("zebra", "ann@example.org"))


def test_a_survey_of_other_rows_is_refused():
    survey = decode(export_of(CLEAN), codebook_of(CLEAN_VARIABLES))
    fewer = survey.keep_rows(survey.answers["unit"] == "HR", "cleaned")
    with pytest.raises(DataError, match="The survey has 6 rows and the export 12"):
        find_defects(export_of(CLEAN), codebook_of(CLEAN_VARIABLES), survey=fewer)


@pytest.mark.parametrize("period", [("2025", "soon"), ("2025-03-02", "2025-03-01"), (1,)])
def test_a_period_that_is_none_is_refused(period):
    with pytest.raises(DataError, match="field period"):
        find_defects(export_of(CLEAN), codebook_of(CLEAN_VARIABLES), period=period)


def test_text_and_coded_columns_give_the_same():
    for case in CASES:
        report = report_on(case)
        plain = export_of(case["cells"], labels=case.get("labels", {}), **case.get("export", {}))
        plain = Export(**{**vars(plain), "cells": plain.cells.astype("str")})
        codebook = codebook_of(case["variables"], **{key: case[key] for key in ("scales", "missing") if key in case})
        previous = export_of(case["previous"]) if "previous" in case else None
        frame = pd.DataFrame({"unit": case["frame"]}) if "frame" in case else None
        period = tuple(case["period"]) if "period" in case else None
        other = find_defects(plain, codebook, previous=previous, frame=frame, period=period)
        assert row(other, case["defect"])["n"] == pytest.approx(row(report, case["defect"])["n"], nan_ok=True)


CODEBOOK = read_codebook(ROOT / "studies/quarterly-pulse/codebook.yml")
DEMO = {wave: read_export(ROOT / f"data/demo-organization/wave-{wave}.csv") for wave in (1, 2)}


def demo(wave: int) -> Survey:
    return decode(DEMO[wave], CODEBOOK)


def test_the_planted_defects_of_the_demo_are_found():
    report = find_defects(DEMO[2], CODEBOOK, survey=demo(2), previous=DEMO[1], period=("2025-06-02", "2025-06-30"))
    found = {int(name.split()[0]) for name in report.found()["defect"]}
    assert {3, 11, 12, 13, 14, 16, 24, 35} <= found
