"""A stranger's export becomes a study: its codebook can be read, it can be checked, and a simple one runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from smstudy.study.definition import read_study
from smstudy.study.scaffold import quoted
from smstudy.survey.codebook import read_codebook

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"
EXPORTS = [
    *sorted((ROOT / "tests" / "survey" / "fixtures").glob("*.csv")),
    *sorted((ROOT / "data" / "demo-organization").glob("wave-*.csv")),
    *sorted(SHARED.glob("raw_exports/redcap/*/data.csv")),
    *sorted(SHARED.glob("raw_exports/qualtrics/*.csv")),
    *sorted(SHARED.glob("raw_exports/s*/**/*.csv")),
    *sorted(SHARED.glob("raw_exports/sav/*.sav"))[:3],
    *sorted(SHARED.glob("wiki4he/wiki4HE.csv")),
    *sorted(SHARED.glob("cfa/*.csv")),
]


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A working folder with a space in its name."""
    folder = tmp_path / "my desk"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("path", EXPORTS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_draft_can_be_read_and_checked(path, desk, call):
    made = call("new", "drafted", "--from", str(path))
    if made.code:  # not an export of answers
        assert made.code == 12 and len(made.lines) == 1, made.err
        assert not (desk / "studies").exists()
        return
    assert made.out.strip() == str(desk / "studies" / "drafted")
    assert read_codebook(desk / "studies" / "drafted" / "codebook.yml").variables
    checked = call("check", "drafted")
    assert checked.code in (0, 11, 12) and len(checked.lines) == bool(checked.code), checked.err
    if checked.code:  # facts alone cannot be scored, and the line says so
        assert "kind item" in checked.err or "scales:" in checked.err


ODD = {
    "names that yaml would read as something else": "null,true,no,1e5,~,- x\n1,2,3,4,5,6\n2,3,4,5,6,7\n",
    "characters that cannot be seen": '"a\u2028b","c\u0085d","e\ufefff","tab\t","\u202ex"\n1,2,3,4,5\n2,1,3,4,5\n',
    "quotation marks and braces": '"say ""hi""","{a: b}","#x","&y","*z","%q"\n1,2,3,4,5,6\n2,1,3,4,5,6\n',
    "a column called like a scale": "scale_1,i1,i2,i3\n" + "1,1,1,1\n2,2,2,1\n3,3,3,3\n" * 20,
    "one column": "x\n1\n2\n",
    "template language": '"{{ 7*7 }}","{% raise %}"\n1,2\n2,1\n',
}  # fmt: skip


@pytest.mark.parametrize("case", ODD)
def test_odd_names_survive_the_draft(case, desk, call):
    (desk / "odd.csv").write_text(ODD[case], encoding="utf-8")
    assert call("new", "odd", "--from", "odd.csv").code == 0
    columns = {variable.column for variable in read_codebook(desk / "studies" / "odd" / "codebook.yml").variables}
    assert columns and "49" not in "".join(columns)
    checked = call("check", "odd")
    assert checked.code in (0, 11, 12) and "column" not in checked.err, checked.err


def test_a_file_name_cannot_write_into_the_study(desk, call):
    (desk / "x\nseed: 1 # .csv").write_text("q\n1\n2\n", encoding="utf-8")
    assert call("new", "named", "--from", "x\nseed: 1 # .csv").code == 0
    assert "\nseed" not in (desk / "studies" / "named" / "study.yml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["A study", "../up", "a/b", "", "x" * 99, "-x", "über"])
def test_a_name_that_is_no_folder_name_is_refused(name, desk, call):
    (desk / "x.csv").write_text("q\n1\n2\n")
    outcome = call("new", "--from", "x.csv", "--", name)
    assert outcome.code == 10 and "cannot name a study" in outcome.err
    assert not (desk / "studies").exists()


def test_a_study_is_never_overwritten(desk, call):
    (desk / "x.csv").write_text("q\n1\n2\n")
    assert call("new", "mine", "--from", "x.csv").code == 0
    mine = desk / "studies" / "mine" / "study.yml"
    mine.write_text("my work")
    outcome = call("new", "mine", "--from", "x.csv")
    assert outcome.code == 10 and "there already" in outcome.err and mine.read_text() == "my work"


def test_an_export_that_is_not_there_is_named(desk, call):
    outcome = call("new", "mine", "--from", "nothing.csv")
    assert outcome.code == 12 and "nothing.csv" in outcome.err and not (desk / "studies").exists()


def test_a_draft_runs_from_export_to_report(small, desk, call):
    export = small.folder / "responses.csv"
    assert call("new", "first", "--from", str(export)).code == 0
    text = (desk / "studies" / "first" / "study.yml").read_text(encoding="utf-8")
    assert 'unit: "unit"' in text and small.secret not in text
    assert small.secret not in (desk / "studies" / "first" / "codebook.yml").read_text(encoding="utf-8")
    outcome = call("run", "first")
    assert outcome.code == 0, outcome.err
    assert Path(outcome.out.strip()).is_file() and small.secret not in Path(outcome.out.strip()).read_text(
        encoding="utf-8"
    )


ASKED = """\
ResponseId,consent,q_check,q_a,q_b,token,Status
id,I agree to take part,Please select Agree to show that you read this,It helps me,It is slow,Panel code,Status
{"ImportId":"_recordId"},{"ImportId":"QID1"},{"ImportId":"QID2"},{"ImportId":"QID3"},{"ImportId":"QID4"},{},{}
"""
SAID = ["Yes,Agree,Agree,Disagree", "No,Neutral,Neutral,Agree", "Yes,Disagree,Disagree,Neutral"]
RULES = [
    'stage: consent, column: consent, op: equals, value: "No"',
    'stage: quality, column: q_check, op: not_equals, value: "Agree"',
    "stage: duplicates, column: token, op: duplicate_of_earlier",
    'stage: eligibility, column: status, op: equals, value: "Survey Preview"',
]


def _quoted_ids(header: str) -> str:
    return re.sub(r"\{.*?\}", lambda found: '"' + found[0].replace('"', '""') + '"', header)


def test_rules_that_the_columns_call_for_are_suggested_and_can_be_taken_over(desk, call):
    rows = [f"R_{i:04},{SAID[i % 3]},tok{i:03},{'Survey Preview' if i < 9 else 'IP Address'}" for i in range(60)]
    (desk / "asked.csv").write_text(_quoted_ids(ASKED) + "\n".join(rows) + "\n", encoding="utf-8")
    assert call("new", "asked", "--from", "asked.csv").code == 0
    study = desk / "studies" / "asked" / "study.yml"
    text = study.read_text(encoding="utf-8")
    for rule in RULES:
        assert rule in text
    assert 'perhaps "token"' in text
    study.write_text(text.replace("rules: []\n", "rules:\n").replace("\n# - {", "\n - {"), encoding="utf-8")
    assert len(read_study(study.parent).rules) == text.count("\n# - {") >= len(RULES)


def test_codes_that_many_columns_call_missing_are_written_once(desk, call):
    rows = ["1,2,3,1", "-99,1,2,2", "3,-99,1,1", "2,3,-99,2"] * 15
    (desk / "codes.csv").write_text("q1,q2,q3,x\n" + "\n".join(rows) + "\n", encoding="utf-8")
    assert call("new", "codes", "--from", "codes.csv").code == 0
    codebook = read_codebook(desk / "studies" / "codes" / "codebook.yml")
    assert dict(codebook.missing) == {"-99": "code to be confirmed"}
    assert not any(variable.missing for variable in codebook.variables)


def test_a_battery_is_found_by_its_answers_where_the_names_share_nothing(desk, call):
    agree = ["Disagree", "Neutral", "Agree"]
    rows = [",".join(agree[(i * k + k) % 3] for k in range(1, 5)) for i in range(60)]
    (desk / "forms.csv").write_text("know,time,lead,safe\n" + "\n".join(rows) + "\n", encoding="utf-8")
    assert call("new", "forms", "--from", "forms.csv").code == 0
    [scale] = read_codebook(desk / "studies" / "forms" / "codebook.yml").scales
    assert scale.items == ("know", "time", "lead", "safe")


def test_quoting_hides_nothing():
    assert quoted("é \u2028\U000e0001") == '"é \\u2028\\U000e0001"'
