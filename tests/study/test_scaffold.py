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


@pytest.mark.parametrize(
    ("column", "offered"),
    [
        ("Employee code", 'perhaps "employee_code"'),
        ("My own code word", 'perhaps "my_own_code_word"'),
        ("ResponseId", ""),
    ],
)
def test_an_identifier_that_may_stay_with_a_person_is_offered(column, offered, desk, call):
    rows = "".join(f"P{i:04d},{1 + i % 5}\n" for i in range(60))
    (desk / "pulse.csv").write_text(f"{column},I read it every week\n{rows}", encoding="utf-8")
    assert call("new", "pulse", "--from", "pulse.csv").code == 0
    text = (desk / "studies" / "pulse" / "study.yml").read_text(encoding="utf-8")
    [line] = [line for line in text.splitlines() if line.startswith("person:")]
    assert line.startswith('person: ""') and (offered in line if offered else "#" not in line)


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


def test_suggested_rules_that_differ_in_their_answer_have_ids_of_their_own(desk, call):
    statuses = ["Survey Preview", "Survey Test", "IP Address"] * 20
    rows = [f"R_{i:04},{SAID[i % 3]},tok{i:03},{status}" for i, status in enumerate(statuses)]
    (desk / "asked.csv").write_text(_quoted_ids(ASKED) + "\n".join(rows) + "\n", encoding="utf-8")
    assert call("new", "asked", "--from", "asked.csv").code == 0
    text = (desk / "studies" / "asked" / "study.yml").read_text(encoding="utf-8")
    assert "id: preview," in text and "id: preview-2," in text


TWO_SCALES = "a1,a2,a3,unit,b1,b2,b3\n" + "".join(
    f"{i % 5 + 1},{i * 3 % 5 + 1},{i * 7 % 5 + 1},{'XY'[i % 2]},{i % 4 + 1},{i * 3 % 4 + 1},{(i + 1) % 4 + 1}\n"
    for i in range(80)
)


def _taken_over(text: str) -> str:
    """The example of a hypothesis with all that the draft says to do for it."""
    head, example = text.split("hypotheses: []\n")
    example = "\n".join(line.replace("#  ", "  ", 1) for line in example.splitlines() if line.startswith("#  "))
    head = head.replace("#  - {name: 40-drivers", "  - {name: 40-drivers").replace(
        "20-scales]}", "20-scales, 40-drivers]}"
    )
    return f"{head}hypotheses:\n{example}\n"


def test_the_example_of_a_hypothesis_holds_when_it_is_taken_over(desk, call):
    (desk / "two.csv").write_text(TWO_SCALES)
    assert call("new", "two", "--from", "two.csv").code == 0
    study = desk / "studies" / "two" / "study.yml"
    text = study.read_text(encoding="utf-8")
    assert read_study(study.parent).hypotheses == ()
    study.write_text(_taken_over(text), encoding="utf-8")
    [hypothesis] = read_study(study.parent).hypotheses
    assert (hypothesis.result, hypothesis.term) == ("40-drivers/drivers", "scale_2")
    checked = call("check", "two")
    assert checked.code == 0 and "not tested" not in checked.out, checked.err
    study.write_text(_taken_over(text).replace(", 40-drivers]", "]"), encoding="utf-8")
    assert "write 40-drivers into the after: of 90-summary" in call("check", "two").out


def test_weights_are_offered_for_when_there_are_head_counts(desk, call):
    (desk / "two.csv").write_text(TWO_SCALES)
    (desk / "studies").mkdir()
    assert call("new", "two", "--from", "two.csv").code == 0
    study = desk / "studies" / "two" / "study.yml"
    text = study.read_text(encoding="utf-8").replace("#  - {name: 15-weights}", "  - {name: 15-weights}")
    study.write_text(text, encoding="utf-8")
    refused = call("check", "two")
    assert refused.code == 10 and "frame" in refused.err
    (study.parent / "frame.csv").write_text("unit,headcount\nX,70\nY,60\n")
    study.write_text(text.replace("# frame: {", "frame: {"), encoding="utf-8")
    checked = call("check", "two")
    assert checked.code == 0, checked.err


def test_columns_that_are_left_out_are_named_with_the_reason(desk, call):
    (desk / "twice.csv").write_text("q1,E-mail,q1,q2,none\n" + "1,a@b.org,2,3,\n2,c@d.org,1,2,\n3,e@f.org,3,1,\n" * 5)
    made = call("new", "twice", "--from", "twice.csv")
    doubled, others, *_ = made.lines
    assert '"q1" is the heading of 2 columns. Give each a heading of its own' in doubled
    assert "2 columns, listed with the reason at the top of codebook.yml" in others
    text = (desk / "studies" / "twice" / "codebook.yml").read_text(encoding="utf-8")
    assert '#   "q1": the heading of 2 columns.' in text and '#   "none": no answer in the column' in text
    assert '#   "E-mail": ' in text and "a@b.org" not in text + made.err
    assert [variable.column for variable in read_codebook(desk / "studies" / "twice" / "codebook.yml").variables] == [
        "q2"
    ]


def test_a_heading_cannot_write_into_the_codebook(desk, call):
    (desk / "x.csv").write_text('"a\ntitle: mine","a\ntitle: mine",q\n1,2,1\n2,2,3\n')
    made = call("new", "new", "--from", "x.csv")
    assert made.code == 0 and made.lines[0].endswith("type smstudy new again.")
    assert read_codebook(desk / "studies" / "new" / "codebook.yml").title == "new"


def test_one_scale_is_not_compared_with_others(desk, call):
    (desk / "x.csv").write_text("q1,q2,q3\n" + "1,1,2\n2,2,2\n3,3,1\n" * 20)
    assert call("new", "new", "--from", "x.csv").code == 0
    study = desk / "studies" / "new" / "study.yml"
    text = study.read_text(encoding="utf-8")
    assert [step.name for step in read_study(study.parent).notebooks] == ["10-quality", "90-summary"]
    assert call("check", "new").code == 0
    study.write_text(text.replace("#  - {name: 20-scales", "  - {name: 20-scales"), encoding="utf-8")
    outcome = call("check", "new")
    assert outcome.code == 10 and "needs two; codebook.yml has 1. Name another scale" in outcome.err


def test_a_draft_with_too_few_items_says_what_a_run_needs(desk, call):
    (desk / "x.csv").write_text("tea,milk\n" + "Black,Yes\nGreen,No\n" * 30)
    made = call("new", "new", "--from", "x.csv")
    assert made.lines[0].startswith("A run needs at least 2 variables of kind item.")
    assert f"# {made.lines[0]}" in (desk / "studies" / "new" / "codebook.yml").read_text(encoding="utf-8")


def test_nothing_is_said_of_columns_when_all_are_drafted(desk, call):
    (desk / "x.csv").write_text("q,r\n" + "1,1\n2,2\n3,3\n" * 9)
    assert len(call("new", "new", "--from", "x.csv").lines) == 1
    assert "left out here" not in (desk / "studies" / "new" / "codebook.yml").read_text(encoding="utf-8")


LANGUAGES = {
    "de": "Wie zufrieden sind Sie mit der Plattform?,Meine Führungskraft nutzt sie und ich auch nicht",
    "en": "How satisfied are you with the platform?,My manager uses it for the work we do",
    "fr": "Êtes-vous satisfait de la plateforme dans votre travail ?,Mon chef et les autres ne sont pas sur la page",
    "es": "¿Qué tan satisfecho está usted con la plataforma?,Mi jefe y los otros la usan para el trabajo",
    "it": "Quanto è soddisfatto della piattaforma?,Il mio capo e gli altri non sono sulla pagina che uso",
    "nl": "Hoe tevreden bent u met het platform?,Mijn chef en wij zijn niet op de pagina voor het werk",
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_language_is_guessed_from_the_questions(language, desk, call):
    (desk / "x.csv").write_text(f"{LANGUAGES[language]}\n1,2\n2,3\n3,1\n", encoding="utf-8")
    assert call("new", "new", "--from", "x.csv").code == 0
    path = desk / "studies" / "new" / "codebook.yml"
    assert read_codebook(path).language == language
    assert "# guessed from the wording" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("column", "language", "says"),
    [(["DE"] * 3, "de", '"UserLanguage" says'), (["DE", "EN", "DE"], "en", "to be confirmed")],
)
def test_the_platform_says_the_language_where_the_questions_do_not(column, language, says, desk, call):
    (desk / "x.csv").write_text("q1,UserLanguage\n" + "".join(f"{i},{code}\n" for i, code in enumerate(column)))
    assert call("new", "new", "--from", "x.csv").code == 0
    path = desk / "studies" / "new" / "codebook.yml"
    assert read_codebook(path).language == language and says in path.read_text(encoding="utf-8")


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


def scale_with(code: str, steps: range, *, missing: int = 3) -> list[str]:
    return [str(step) for step in steps for _ in range(6)] + [code] * missing


@pytest.mark.parametrize(
    ("code", "steps"),
    [("9", range(1, 6)), ("8", range(1, 5)), ("9", range(1, 8)), ("77", range(11)), ("99", range(1, 6)),
     ("-9", range(1, 6)), ("-99", range(1, 8)), ("88", range(1, 6)), ("98", range(11))],
)  # fmt: skip
def test_a_usual_missing_code_beside_a_scale_is_proposed_and_asked_about(code, steps, desk, call):
    columns = [scale_with(code, steps), scale_with(code, steps), scale_with(code, steps)]
    constant = [code] * 3 + ["3"] * (len(columns[0]) - 3)
    rows = zip(*columns, constant, strict=True)
    (desk / "x.csv").write_text("t_1,t_2,t_3,t_4\n" + "".join(",".join(row) + "\n" for row in rows), encoding="utf-8")
    drafted = call("new", "mine", "--from", "x.csv")
    assert drafted.code == 0 and "kind item" not in drafted.err
    text = (desk / "studies" / "mine" / "codebook.yml").read_text(encoding="utf-8")
    book = read_codebook(desk / "studies" / "mine" / "codebook.yml")
    assert [variable.kind for variable in book.variables] == ["item"] * 4 and book.missing == {
        code: "code to be confirmed"
    }
    assert [c.value for c in book.variables[3].categories] == [str(step) for step in steps]
    assert code.startswith("-") or text.count(f"{code} lies apart from the other answers") == 1


def test_a_code_beside_a_scale_is_asked_about_item_by_item_where_numbers_are(desk, call):
    columns = [scale_with("9", range(1, 6)), [str(i) for i in range(33)]]
    rows = "".join(",".join(row) + "\n" for row in zip(*columns, strict=True))
    (desk / "x.csv").write_text("t_1,posts\n" + rows, encoding="utf-8")
    assert call("new", "mine", "--from", "x.csv").code == 0
    book = read_codebook(desk / "studies" / "mine" / "codebook.yml")
    assert not book.missing and book.variables[0].missing == {"9": "code to be confirmed"}


@pytest.mark.parametrize("steps", [range(1, 9), range(10)])
def test_the_next_step_of_a_scale_is_no_missing_code(steps, desk, call):
    cells = [str(step) for step in steps for _ in range(6)]
    (desk / "x.csv").write_text("t_1,u\n" + "".join(f"{cell},a\n" for cell in cells), encoding="utf-8")
    assert call("new", "mine", "--from", "x.csv").code == 0
    assert not read_codebook(desk / "studies" / "mine" / "codebook.yml").variables[0].missing


@pytest.mark.parametrize("text", ["# A heading\n\nSome words about it.\nMore.\n", '"""A module."""\n\nx = 1\ny = 2\n'])
def test_a_text_that_is_no_export_makes_no_study(text, desk, call):
    (desk / "README.md").write_text(text, encoding="utf-8")
    outcome = call("new", "mine", "--from", "README.md")
    assert outcome.code == 12 and "no survey export" in outcome.err and ".sav" in outcome.err
    assert not (desk / "studies").exists()


def test_studies_are_listed_with_their_place(desk, call, monkeypatch):
    (desk / "x.csv").write_text("q\n1\n2\n")
    call("new", "mine", "--from", "x.csv")
    assert str(Path("studies") / "mine") in call("list").out and "comes with smstudy" in call("list").out
    (desk / "below").mkdir()
    monkeypatch.chdir(desk / "below")
    assert str(desk / "studies" / "mine") in call("list").out
