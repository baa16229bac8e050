"""What people bring by mistake: it works and says so, or one clear line stops it and nothing is lost."""

from __future__ import annotations

import pandas as pd
import pytest

import smstudy as sm
from smstudy.result import Result, write_record
from smstudy.study.definition import Hypothesis
from smstudy.study.hypotheses import decide

FAMILIES = {
    10: "StudyError",
    11: "CodebookError",
    12: "DataError",
    13: "DisclosureError",
    14: "RunError",
    15: "EstimationError",
}


def refused(outcome, code, *says):
    """One line of the family, which says what is wrong, where and what to do."""
    assert outcome.code == code, outcome.err
    assert len(outcome.lines) == 1 and outcome.lines[0].startswith(f"{FAMILIES[code]}: "), outcome.err
    print(outcome.lines[0])
    for word in says:
        assert word in outcome.lines[0], outcome.lines[0]
    assert "Traceback" not in outcome.err


def refused_by(outcome, code, family, *says):
    """One line that begins with the name of a family."""
    assert outcome.code == code and len(outcome.lines) == 1, outcome.err
    assert outcome.lines[0].startswith(f"{family}: ") and all(word in outcome.lines[0] for word in says), outcome.err


def silent(small, outcome):
    """No answer of anybody in what was said or stored."""
    assert small.secret not in outcome.out + outcome.err
    for path in small.published():
        assert small.secret.encode() not in path.read_bytes(), path


AS_NUMBER = """\
import smstudy as sm
answers = sm.open_study(study).survey("raw").answers
answers["comment"].dropna().astype(float)"""
PRINTED = """\
import smstudy as sm
run = sm.open_study(study)
run.keep("scores", sm.score(run.survey("raw")))
print(run.survey("raw").answers["comment"].dropna().iloc[0])"""


LOGIT = """\
import smstudy as sm
survey = sm.open_study(study).survey("clean")
sm.regress("high ~ s1 + s2", survey, family="logit")"""


# ---- exports that cannot be read -----------------------------------------------------------------------------------

LOGIN = "<!DOCTYPE html><html><head><title>Sign in</title></head><body>Please sign in</body></html>"
FILES = {
    "empty": ("", "empty"),
    "blank": ("\n\n \n", "empty"),
    "header only": ("unit,seconds,s1\n", "no answers"),
    "login page": (LOGIN, "web page"),
    "binary": (bytes(range(256)) * 8, "responses.csv"),
    "json": ('[{"unit": "Sales"}]', "JSON"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_is_no_export_is_named_and_refused(small, case):
    content, word = FILES[case]
    small.write("responses.csv", content)
    refused(small.check(), 12, "responses.csv", word)


def test_a_file_that_is_not_there_is_refused_with_the_nearest_name(small):
    refused(small.check("--data", f"responses={small.folder}/response.csv"), 12, "response.csv", '"responses.csv"')
    refused(small.check("--data", "responses=no/such/folder/x.csv"), 12, "no/such/folder/x.csv")
    refused(small.check("--data", "answers=x.csv"), 10, "answers", "responses")
    refused(small.check("--data", "x.csv"), 10, "NAME=VALUE")
    small.edit("study.yml", "file: responses.csv", "file: gone.csv")
    refused(small.check(), 10, "gone.csv", "study.yml")


def test_trailing_commas_that_would_shift_answers_are_refused(small):
    lines = small.text().splitlines()
    small.write("responses.csv", "\n".join([lines[0], *(f"{line}," for line in lines[1:])]))
    refused(small.check(), 12, "line 2", "14 cells", "13 of the header")


def test_a_column_that_is_there_twice_is_refused_if_the_codebook_needs_it(small):
    small.header[small.header.index("comment")] = "s1"
    small.edit("codebook.yml", "  - {name: comment, kind: text}\n", "")
    small.write("responses.csv", small.text())
    outcome = small.check()
    refused(outcome, 11, "more than once: s1", "Rename")
    silent(small, outcome)


def test_a_column_without_a_name_is_refused_if_the_codebook_needs_it(small):
    small.header[small.header.index("s2")] = ""
    small.write("responses.csv", small.text())
    refused(small.check(), 11, '"s2"')


def test_columns_the_export_does_not_have_come_with_the_nearest_names(small):
    small.edit("codebook.yml", "name: seconds,", "name: seconds, column: secnds,")
    refused(small.check(), 11, '"secnds"', '"seconds"', "column:")


# ---- answers the codebook does not know ----------------------------------------------------------------------------


def test_text_in_an_item_column_is_refused_and_not_quoted(small):
    small.rows[5][small.header.index("s3")] = small.secret
    small.write("responses.csv", small.text())
    outcome = small.check()
    refused(outcome, 12, '"s3"', "text not shown", "1 = Strongly disagree")
    silent(small, outcome)


def test_unknown_codes_are_refused_and_listed(small):
    column = [row[small.header.index("s3")] for row in small.rows]
    small.column("s3", ["9" if i % 9 == 0 else code for i, code in enumerate(column)])
    refused(small.check(), 12, '"s3"', "14 rows", '"9"')
    small.edit(
        "codebook.yml", "name: s3, title: Statement s3,", "name: s3, title: Statement s3, unknown_codes: missing,"
    )
    outcome = small.check()
    assert outcome.code == 0 and "code 9" in outcome.out and "set to missing" in outcome.out


@pytest.mark.parametrize("column", ["unit", "seconds", "s1"])
def test_an_unknown_answer_of_few_people_is_never_quoted(small, column):
    small.rows[5][small.header.index(column)] = small.secret
    small.write("responses.csv", small.text())
    outcome = small.check()
    refused(outcome, 12, f'"{column}"')
    silent(small, outcome)


# ---- codebook and study --------------------------------------------------------------------------------------------

BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"
CODEBOOKS = {
    "duplicate key": (("title: Small survey", "title: Small survey\ntitle: Again"), ("line 2", '"title"', "twice")),
    "anchor": (("title: Small survey", "title: &t Small survey"), ("line 1", "anchors")),
    "alias bomb": (("title: Small survey", BOMB + "title: Small survey"), ("line 1", "anchors")),
    "tag": (("title: Small survey", "title: !!python/object/apply:os.system [ls]"), ("line 1", "tags")),
    "unknown key": (("title: Small survey", "titel: Small survey"), ("line 1", '"titel"', '"title"')),
    "unknown kind": (("kind: number", "kind: numbr"), ("line", "number")),
    "variable twice": (("name: seconds,", "name: s1,"), ("line 17", "s1", "twice")),
    "unknown item": (("items: [u1, u2, u3]", "items: [u1, u2, u9]"), ('"u9"', "u1")),
    "unknown answers": (
        ("name: u1, title: Statement u1, kind: item, categories: agree5", "name: u1, kind: item, categories: agree7"),
        ("line 21", '"agree7"', '"agree5"'),
    ),
    "tab": (("title: Small survey", "title: Small survey\n\tx: 1"), ("line 2",)),
    "list": (("title: Small survey", "- title: Small survey"), ("codebook.yml",)),
    "deep": (("title: Small survey", "title: " + "[" * 60 + "]" * 60), ("line 1", "nested")),
    "deeper": (("title: Small survey", "title: " + "[" * 1200 + "]" * 1200), ("codebook.yml",)),
}


@pytest.mark.parametrize("case", CODEBOOKS)
def test_a_codebook_that_cannot_be_read_is_refused_with_the_line(small, case):
    change, words = CODEBOOKS[case]
    small.edit("codebook.yml", *change)
    refused(small.check(), 11, "codebook.yml", *words)


@pytest.mark.parametrize(
    "content", ["", "# only a comment\n", b"\xff\xfe\x00", b"title: caf\xe9\n", "just text\n", "42\n"]
)
def test_a_codebook_that_is_no_document_is_refused(small, write_codebook, content):
    small.write("codebook.yml", content)
    refused(small.check(), 11, "codebook.yml")
    small.write("codebook.yml", write_codebook())
    small.write("study.yml", content)
    refused(small.check(), 10, "study.yml")


# ---- all problems at once ------------------------------------------------------------------------------------------


def refused_for(outcome, code, *problems):
    """One line for each problem, after one that counts them; each holds the words given for it, in this order."""
    print(outcome.err)
    heading, *lines = outcome.lines
    assert outcome.code == code and heading == f"{FAMILIES[code]}: {len(problems)} problems would stop a run."
    for line, (family, *words) in zip(lines, problems, strict=True):
        assert line.startswith(f"  {family}: ") and all(word in line for word in words), line


def test_check_names_every_column_that_cannot_be_read(small):
    small.column("s3", ["9" if i % 9 == 0 else "3" for i in range(120)])
    small.column("seconds", ["fast" if i < 3 else "100" for i in range(120)])
    small.header[small.header.index("a2")] = "A 2"
    small.write("responses.csv", small.text())
    outcome = small.check()
    refused_for(
        outcome, 12,
        ("DataError", '"seconds"', "fewer than 5 rows", "text not shown", "codebook.yml line", "unknown_codes"),
        ("DataError", '"s3"', "14 rows", 'missing: {"9": "why"}'),
        ("CodebookError", '"a2"', '"A 2"', 'column: "A 2"'),
    )  # fmt: skip
    silent(small, outcome)


def test_check_looks_at_study_codebook_data_and_rules_together(small):
    small.edit("study.yml", "unit: unit", RULE.format("speed", "less").replace("unit: unit", "unit: untt"))
    small.edit("study.yml", "name: look}", "name: look, parameters: {formla: x}}")
    small.column("s3", ["9" if i % 9 == 0 else "3" for i in range(120)])
    refused_for(
        small.check(), 10,
        ("StudyError", '"untt"', '"unit"'), ("StudyError", '"formla"', '"formula"'), ("DataError", '"s3"'),
        ("StudyError", '"r"', '"speed"'),
    )  # fmt: skip


def test_a_fault_of_the_data_met_in_a_notebook_points_to_check_once(small):
    small.column("s3", ["9" if i % 9 == 0 else "3" for i in range(120)])
    other = small.write("other wave.csv", small.text())
    outcome = small.run("--data", f"responses={other}", "--previous-wave", "")
    refused(outcome, 12, "look, code cell 2", '"s3"')
    command = f'smstudy check "{small.folder}" --data "responses={other}" --previous-wave ""'
    assert outcome.lines[0].endswith(f"type: {command}") and outcome.err.count("smstudy check") == 1


def test_a_fault_of_the_study_does_not_point_to_check(small):
    small.edit("study.yml", "name: look}", "name: look, parameters: {formla: x}}")
    assert "smstudy check" not in small.run().err


def test_check_tries_every_rule(small):
    rule = "  - {{id: {}, stage: quality, column: {}, op: equals, value: {}, action: exclude, reason: fast}}\n"
    rules = rule.format("a", "speed", 3) + rule.format("b", "seconds", 3) + rule.format("c", "unit", "Salse")
    small.edit("study.yml", "unit: unit\n", f"unit: unit\nrules:\n{rules}")
    refused_for(small.check(), 10, ("StudyError", '"a"', '"speed"'), ("StudyError", '"c"', '"Salse"', '"Sales"'))


def test_check_names_everything_that_is_wrong_in_a_codebook(small):
    small.edit("codebook.yml", "kind: number", "kind: numbr")
    small.edit("codebook.yml", "items: [u1, u2, u3]", "itmes: [u1, u2, u3]")
    refused_for(
        small.check(), 11,
        ("CodebookError", '"itmes"', '"items"'),
        ("CodebookError", 'variable "seconds", kind', "'number'"),
    )  # fmt: skip


def test_check_looks_at_the_previous_wave_too(small):
    small.write("earlier.csv", small.text().replace("seconds,", "secs,", 1).replace(",s1,", ",s_1,", 1))
    small.edit("study.yml", '  "1": {file', '  "0": {file: earlier.csv}\n  "1": {file')
    small.edit("study.yml", 'wave: "1"\n', 'wave: "1"\nprevious_wave: "0"\n')
    refused_for(
        small.check(), 11,
        ("CodebookError", "earlier.csv", '"seconds"', 'former_columns: ["secs"]'),
        ("CodebookError", "earlier.csv", '"s1"', 'former_columns: ["s_1"]'),
    )  # fmt: skip


def test_a_column_renamed_since_the_previous_wave_comes_with_the_line_to_write(small):
    small.write("earlier.csv", small.text())
    small.edit("study.yml", '  "1": {file', '  "0": {file: earlier.csv}\n  "1": {file')
    small.edit("study.yml", 'wave: "1"\n', 'wave: "1"\nprevious_wave: "0"\n')
    small.header[small.header.index("comment")] = "Comments"
    small.write("responses.csv", small.text())
    refused(small.check(), 11, 'column: "Comments", former_columns: ["comment"]')


def test_what_changed_and_does_no_harm_is_told(small):
    small.write("earlier.csv", small.text())
    small.edit("study.yml", '  "1": {file', '  "0": {file: earlier.csv}\n  "1": {file')
    small.edit("study.yml", 'wave: "1"\n', 'wave: "1"\nprevious_wave: "0"\n')
    small.header.append("q_new")
    for row in small.rows:
        row.append("4")
    small.write("responses.csv", small.text())
    outcome = small.check()
    assert outcome.code == 0 and "q_new: added" in outcome.out and 'column: "q_new"' in outcome.out


def test_a_codebook_that_is_not_there_is_refused(small):
    (small.folder / "codebook.yml").unlink()
    refused(small.check(), 11, "codebook.yml")


RULE = "unit: unit\nrules:\n  - {{id: r, stage: quality, column: {}, op: {}, value: 3, action: exclude, reason: fast}}"
STUDIES = {
    "unknown key": ("unit: unit", "units: unit", 10, ('"units"', '"unit"')),
    "unknown wave": ('wave: "1"\nwaves', 'wave: "2"\nwaves', 10, ('"2"',)),
    "unknown notebook": ("name: look}", "name: look}\n  - {name: loook}", 10, ('"loook"', '"look"')),
    "unknown unit": ("unit: unit", "unit: untt", 10, ('"untt"', '"unit"')),
    "unknown parameter": ("name: look}", "name: look, parameters: {formla: x}}", 10, ('"formla"', '"formula"')),
    "wrong type": ("name: look}", "name: look, parameters: {min_n: five}}", 10, ('"min_n"', "int")),
    "low threshold": ("unit: unit", "unit: unit\nprivacy: {min_n: 3}", 13, ("min_n", "3", "raised")),
    "low comment threshold": ("unit: unit", "unit: unit\nprivacy: {comment_min_n: 9}", 13, ("comment_min_n", "9")),
    "low parameter": ("name: look}", "name: look, parameters: {min_n: 3}}", 13, ("min_n", "3", "raised")),
    "below its own": ("name: look}", "name: look, parameters: {min_n: 6}}\nprivacy: {min_n: 8}", 13, ("6", "8")),
    "function call": ("name: look}", "name: look, parameters: {formula: 'use ~ open(use)'}}", 10, ('"open"', "log")),
    "rule on nothing": ("unit: unit", RULE.format("speed", "less"), 10, ('"speed"',)),
    "unknown op": ("unit: unit", RULE.format("seconds", "les"), 10, ('"les"', "less")),
}  # fmt: skip


@pytest.mark.parametrize("case", STUDIES)
def test_a_study_that_cannot_be_run_is_refused(small, case):
    old, new, code, words = STUDIES[case]
    small.edit("study.yml", old, new)
    refused(small.check(), code, *words)


@pytest.mark.parametrize(
    ("option", "code", "words"),
    [
        ("formula=use ~ __import__('os').system('ls')", 10, ("notebook look: Formula", "character")),
        ("formula=use ~ log(support", 10, ("character",)),
        ("min_n=3", 13, ("min_n = 3", "raised")),
        ("min_n=few", 10, ("min_n", "int")),
        ("min=3", 10, ('"min"', "min_n")),
        ("min_n", 10, ("NAME=VALUE",)),
    ],
)
def test_a_parameter_that_cannot_be_used_stops_the_run(small, option, code, words):
    outcome = small.run("-p", option)
    refused(outcome, code, *words)
    assert not list((small.folder / "runs").glob("*-wave-1/*/report.html"))


WAYS = (
    "interaction: use ~ support * usefulness, outcome: use, driver: support, mediators: [usefulness], "
    "controls: [C(unit)]"
)


@pytest.mark.parametrize(
    ("notebook", "parameters", "words"),
    [
        ("30-groups", "scores: [use, usefullness], focus: use", ('"usefullness"', '"usefulness"')),
        ("30-groups", "scores: [use], focus: yse", ('"yse"', '"use"')),
        ("40-drivers", "formula: use ~ suport", ("formula", '"suport"', '"support"')),
        ("40-drivers", "formula: use ~ eval(support)", ("Formula", '"eval"')),
        ("40-drivers", "", ("formula", '"adoption"')),
        ("50-segments", "variables: [use, s9]", ('"s9"',)),
        ("45-mechanisms", WAYS.replace("support *", "suport *"), ("interaction", '"suport"', '"support"')),
        ("45-mechanisms", WAYS.replace("driver: support", "driver: suport"), ("driver", '"suport"', '"support"')),
        (
            "45-mechanisms",
            WAYS.replace("[usefulness]", "[usefullness]"),
            ("mediators", '"usefullness"', '"usefulness"'),
        ),
        ("45-mechanisms", WAYS.replace("[C(unit)]", "[C(unti)]"), ("controls", '"unti"', '"unit"')),
        ("45-mechanisms", WAYS.replace("[C(unit)]", "[eval(unit)]"), ("controls", '"eval"')),
        ("45-mechanisms", WAYS.replace("outcome: use", "outcome: yse"), ("outcome", '"yse"', '"use"')),
        ("55-necessity", "formula: use ~ support, low: [suport]", ("low", '"suport"', "no driver", '"support"')),
        ("55-necessity", "formula: use ~ support", ("low", '"concerns"', "no driver")),
        ("65-pilots", "outcome: use, piloted: [Sale]", ('no department "Sale"', '"Sales"')),
        ("65-pilots", "outcome: yse, piloted: [Sales]", ("outcome", '"yse"')),
    ],
)
def test_names_in_parameters_are_checked_before_a_kernel_starts(small, notebook, parameters, words):
    small.edit(
        "study.yml",
        "  - {name: look}\n",
        f"  - {{name: look}}\n  - {{name: {notebook}, parameters: {{{parameters}}}}}\n",
    )
    refused(small.check(), 10, notebook, *words)
    refused(small.run(), 10, notebook, *words)
    assert small.published() == []


def test_parameters_that_name_what_is_there_are_accepted(small):
    small.edit(
        "study.yml",
        "  - {name: look}\n",
        f"  - {{name: look}}\n  - {{name: 45-mechanisms, parameters: {{{WAYS}}}}}\n"
        "  - {name: 55-necessity, parameters: {formula: use ~ support + usefulness, low: [usefulness]}}\n",
    )
    assert small.check().code == 0


def test_a_column_that_is_not_there_stops_a_notebook_that_goes_on_after_refusals(small):
    small.notebook(
        "look",
        "import smstudy as sm\nsurvey = sm.open_study(study).survey('clean')",
        "sm.attempt(sm.importance, 'use ~ support + made_here', survey)",
    )
    refused_by(small.run(), 12, "ColumnError", "look, code cell 3", '"made_here"')


def test_a_file_of_another_questionnaire_is_one_short_line(small):
    small.write("responses.csv", "name,room,phone\n" + "x,1,2\n" * 20)
    for outcome in (small.check(), small.run()):
        refused(outcome, 11, "responses.csv: none of the 13 columns of the codebook is in this file", "right file?")
        assert outcome.err.count("Allowed") == 0 and len(outcome.lines[0].split(" To see all")[0]) < 400


def test_headings_that_are_only_spelled_otherwise_are_still_named(small):
    small.header[:] = [f"{name}." for name in small.header]
    small.write("responses.csv", small.text())
    outcome = small.check()
    assert outcome.code == 11 and "13 problems" in outcome.err and '"seconds."' in outcome.err


def test_a_notebook_of_the_study_may_make_columns_of_its_own(small):
    small.edit("study.yml", "name: look}", "name: look, parameters: {formula: use ~ made_here}}")
    assert small.check().code == 0


def test_departments_need_a_unit(small):
    small.edit("study.yml", "unit: unit\n", "")
    small.edit(
        "study.yml", "name: look}", "name: look}\n  - {name: 30-groups, parameters: {scores: [use], focus: use}}"
    )
    refused(small.run(), 10, "30-groups", "unit")


# ---- what stops a run ----------------------------------------------------------------------------------------------


def test_a_threshold_lowered_in_a_cell_is_refused(small):
    small.notebook("look", "import smstudy as sm\nrun = sm.open_study(study, min_n=3)")
    refused(small.run(), 13, "look", "min_n", "raised")
    assert not list(small.folder.glob("runs/*/*/report.html"))


def test_a_constant_outcome_is_refused(small):
    for item in ("a1", "a2", "a3"):
        small.column(item, "4")
    outcome = small.run()
    refused(outcome, 12, "use")
    silent(small, outcome)


def test_an_error_of_a_library_does_not_quote_an_answer(small):
    small.notebook("look", AS_NUMBER)
    outcome = small.run()
    refused(outcome, 14, "look, code cell 2, line 3", "ValueError", "withheld")
    silent(small, outcome)


def test_a_notebook_that_prints_an_answer_is_not_published(small):
    small.notebook("look", PRINTED)
    outcome = small.run()
    refused(outcome, 13, "look.ipynb", "nothing was published")
    assert small.secret not in outcome.out + outcome.err
    assert not list(small.folder.glob("runs/*/*/report.html"))


def test_quit_in_a_cell_is_a_failed_run_and_the_next_one_works(small):
    small.notebook("look", "quit()")
    refused(small.run(), 14, "look")
    assert not list(small.folder.glob("runs/*/*/report.html"))


def test_an_endless_cell_is_ended(small):
    small.edit("study.yml", "unit: unit", "unit: unit\ncell_seconds: 1")
    small.notebook("look", "while True: pass")
    refused(small.run(), 14, "look, code cell 2", "1 s")


def test_a_folder_that_cannot_be_written_is_named(small):
    small.write("runs", "a file in the way")
    outcome = small.run()
    refused(outcome, 14, "runs", "cannot be written")


# ---- what works, and says so ---------------------------------------------------------------------------------------


def everything(run) -> dict[str, Result]:
    """Every analysis of the shipped notebooks on a small study."""
    survey, scores = run.survey("clean"), run.scales
    segments = sm.kmeans(survey, scores, k=2, seed=run.seed)
    return {
        "flow": run.cleaning(),
        "response": run.response(),
        "quality": run.quality(),
        "reliability": sm.reliability(survey),
        "items": sm.cronbach_alpha(survey, "support"),
        "scores": sm.score(survey),
        "describe": sm.describe(survey, scores),
        "correlations": sm.correlate(survey, scores),
        "groups": sm.by_group(survey, scores, run.unit),
        "changes": sm.changes(survey, run.previous_survey(), scores, unit=run.unit),
        "drivers": sm.regress("use ~ support + usefulness + C(unit)", survey),
        "segments": segments,
        "profile": sm.profile(segments, survey),
    }


def rendered(result: Result) -> str:
    """All that a result shows of itself, pictures as their words and numbers."""
    texts = [result.to_html(), result.to_latex(), result.to_csv(), repr(result), write_record(result)]
    document = result.to_docx()
    texts += [cell.text for table in document.tables for row in table.rows for cell in row.cells]
    if result.picture is not None:
        texts += [result.alt_text(), result.drawn().to_csv()]
    return "\n".join(texts)


def answers_of(small):
    return sm.open_study(str(small.folder)).survey("raw").answers


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_the_encoding_of_an_export_changes_nothing(small, encoding):
    small.column("comment", ["Café – “très bien”" if i % 5 == 0 else "nichts" for i in range(120)])
    plain = answers_of(small)
    small.write("responses.csv", small.text().encode(encoding))
    assert small.check().code == 0
    pd.testing.assert_frame_equal(answers_of(small), plain)


def test_semicolons_and_decimal_commas_change_nothing(small):
    small.column("seconds", [f"{100 + i}.5" for i in range(120)])
    plain = answers_of(small)
    small.write("responses.csv", small.text(separator=";").replace(".5;", ",5;"))
    pd.testing.assert_frame_equal(answers_of(small), plain)


def test_line_breaks_in_quotation_marks_stay_in_their_answer(small):
    small.column("comment", ['"first line\nsecond, ""quoted"" line"' if i % 2 else "" for i in range(120)])
    comments = answers_of(small)["comment"]
    assert len(comments) == 120 and set(comments.dropna()) == {'first line\nsecond, "quoted" line'}


@pytest.mark.parametrize("word", ["NA", "None", "null", "nan", "N/A", "-", "NULL"])
def test_answers_that_look_missing_survive(small, word, write_codebook):
    small.column("comment", word)
    small.column("unit", [word if i < 60 else "Sales" for i in range(120)])
    small.write("codebook.yml", write_codebook([f'"{word}"', "Sales"]))
    answers = answers_of(small)
    assert (answers["comment"] == word).all() and (answers["unit"] == word).sum() == 60


def test_an_item_nobody_answered_is_a_finding(small):
    small.column("s4", "")
    outcome = small.check()
    assert outcome.code == 0 and '"Statement s4" has no answer at all' in outcome.out
    run = sm.open_study(str(small.folder))
    assert run.survey("clean").answers["support"].notna().all()
    assert [f for f in sm.reliability(run.survey("clean")).findings if "s4" in f.text]


def test_few_complete_rows_give_too_little_data(small, respondents):
    small.rows[:] = respondents({"Sales": 10, "Service": 9})
    small.write("responses.csv", small.text())
    run = sm.open_study(str(small.folder))
    fit = sm.regress("use ~ support + usefulness", run.survey("clean"))
    assert any("respondents" in finding.text for finding in fit.findings), fit.findings
    hypothesis = Hypothesis(id="H1", statement="s", result="look/drivers", term="usefulness")
    assert decide([hypothesis], {"look/drivers": fit.to_record()}).tidy()["verdict"][0] == "too little data"


@pytest.mark.parametrize("n", [0, 3])
def test_almost_nobody_is_one_clear_line(small, respondents, n):
    small.rows[:] = respondents({"Sales": 4})[:n] or [["" for _ in small.header]]
    small.write("responses.csv", small.text())
    outcome = small.run()
    assert outcome.code in (12, 13, 15) and len(outcome.lines) == 1, outcome.err
    assert small.secret not in outcome.err


def test_a_department_of_two_is_nowhere(small, respondents, write_codebook):
    small.rows[:] = respondents({"Sales": 50, "Service": 40, "Research": 28, "Skunkworks": 2})
    for row in small.rows[-2:]:
        row[2:12] = ["5", "5", "4", "5", "1", "2", "1", "1", "1", "2"]
    small.write("responses.csv", small.text())
    small.write("codebook.yml", write_codebook(["Sales", "Service", "Research", "Skunkworks"]))
    run = sm.open_study(str(small.folder))
    survey = run.survey("clean")
    own = survey.answers[survey.answers["unit"] == "Skunkworks"]
    assert len(own) == 2
    for name, result in everything(run).items():
        tidy = result.shown()
        texts = tidy.select_dtypes(exclude="number").astype(str)
        rows = tidy[texts.apply(lambda column: column.str.contains("Skunkworks")).any(axis=1)]
        numbers = rows.select_dtypes("number").drop(columns=["threshold", "headcount"], errors="ignore")
        assert numbers.isna().all(axis=None), (name, rows)
    groups = sm.by_group(survey, run.scales, "unit").shown()
    hidden = groups[groups["hidden"]]
    assert hidden["group"].nunique() >= 2 and hidden["estimate"].isna().all()
    fit = sm.regress("use ~ support + C(unit)", survey)
    assert not any("Skunkworks" in term for term in fit.tidy()["term"])
    assert "levels_pooled" in [finding.name for finding in fit.findings]
    assert "Skunkworks" not in repr(fit.tidy())


def test_results_show_no_answer_in_somebodys_own_words(small):
    run = sm.open_study(str(small.folder))
    for name, result in everything(run).items():
        assert small.secret not in rendered(result), name


def test_perfect_separation_is_refused_with_its_reason(small):
    text = small.text().splitlines()
    split = ["high" if int(row[2]) + int(row[3]) >= 6 else "low" for row in small.rows]
    lines = [f"{line},{level}" for line, level in zip(text, ["high", *split], strict=True)]
    small.write("responses.csv", "\n".join(lines))
    levels = "[{value: low, label: low}, {value: high, label: high}]"
    more = f"  - {{name: high, kind: category, categories: {levels}}}\nscales:"
    small.edit("codebook.yml", "scales:\n  - {name: support", more + "\n  - {name: support")
    small.notebook("look", LOGIT, parameters='study: str = "small"')
    refused(small.run(), 15, "look", "separat")


def test_without_head_counts_the_response_says_so(small):
    response = sm.open_study(str(small.folder)).response()
    assert any("head count" in finding.text.lower() for finding in response.findings), response.findings


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        ("unit,headcount\nSales,60\nService,50\nResearch,40\n", 0, ()),
        ("department,headcount\nSales,60\n", 10, ("frame.csv", '"unit"')),
        ("unit,headcount\nSales,many\nService,50\nResearch,40\n", 12, ("Sales", "whole number")),
        ("unit,headcount\nSales,60\nSales,50\n", 12, ("Sales", "twice")),
        ("", 12, ("frame.csv",)),
    ],
)
def test_head_counts_are_checked(small, content, code, words):
    small.edit("study.yml", "unit: unit", "unit: unit\nframe: {file: frame.csv}")
    small.write("frame.csv", content)
    outcome = small.check()
    if code:
        refused(outcome, code, *words)
    else:
        assert outcome.code == 0 and sm.open_study(str(small.folder)).response().glance()


def test_one_wave_says_that_nothing_can_be_said_about_change(small):
    run = sm.open_study(str(small.folder))
    changes = sm.changes(run.survey("clean"), run.previous_survey(), run.scales)
    assert changes.tidy().empty and [f.name for f in changes.findings] == ["one_wave"]
    assert rendered(changes)


def test_a_hypothesis_on_a_result_nobody_keeps_is_refused_with_the_nearest_name(small):
    small.edit("study.yml", "result: look/drivers", "result: look/driver")
    refused(small.check(), 10, "H1", "look/driver", '"drivers"')


def test_what_a_draft_left_open_is_said(small):
    small.edit("study.yml", "organization: Nowhere Ltd", "organization: Name of the organization")
    checked = small.check()
    assert (
        checked.code == 0
        and 'study.yml line 3: organization: "Name of the organization" is what the draft wrote' in checked.out
    )


@pytest.mark.parametrize("kind", ["item, categories: agree5", "unit, categories: agree5", "date", "number", "weight"])
def test_comments_that_many_gave_are_never_quoted(small, write_codebook, kind):
    comments = ["bad; my boss Anna Smith", "very good says Lee", "n/a"]
    text = write_codebook().replace("name: comment, kind: text", f"name: comment, kind: {kind}")
    small.write("codebook.yml", text)
    small.column("comment", [comments[i % 3] for i in range(120)])
    outcome = small.check()
    refused(outcome, 12, '"comment"', "rows hold", "row 1 below the headings")
    assert not any(word in outcome.err for word in ("Anna", "Smith", "Lee", "boss", "good")), outcome.err
    ran = small.run()
    assert ran.code and not any(word in ran.err + ran.out for word in ("Anna", "Smith", "Lee", "boss", "good")), ran.err


def test_the_same_unknown_code_in_many_items_is_one_problem(small):
    for name in ("s1", "s2", "u1", "a3"):
        small.column(name, ["9" if i % 9 == 0 else "3" for i in range(120)])
    outcome = small.check()
    places = [f"{name} (line" for name in ("s1", "s2", "u1", "a3")]
    refused(outcome, 12, '4 items hold "9"', *places, 'at the top of codebook.yml write missing: {"9": "why"}')
    assert "under each" not in outcome.err


def test_a_code_that_is_an_answer_elsewhere_is_not_declared_missing_everywhere(small):
    for name in ("s1", "s2"):
        small.column(name, ["9" if i % 9 == 0 else "3" for i in range(120)])
    small.column("seconds", ["9" if i % 9 == 0 else "300" for i in range(120)])
    refused(small.check(), 12, '2 items hold "9"', "under each of them, because it is an answer of seconds", "missing:")


def test_different_unknown_codes_stay_different_problems(small):
    small.column("s1", ["9" if i % 9 == 0 else "3" for i in range(120)])
    small.column("s2", ["8" if i % 9 == 0 else "3" for i in range(120)])
    refused_for(small.check(), 12, ("DataError", '"s1"', '"9"'), ("DataError", '"s2"', '"8"'))


def test_a_scale_without_items_is_refused_with_its_line(small):
    small.edit("codebook.yml", "items: [u1, u2, u3]", "items: []")
    line = 'codebook.yml line 30: scale "usefulness" names no items. Name two or more.'
    assert small.check().lines == [f"CodebookError: {line}"]


def test_an_item_without_answers_is_told_the_lines_to_write(small):
    small.edit(
        "codebook.yml", "{name: u1, title: Statement u1, kind: item, categories: agree5}", "{name: u1, kind: item}"
    )
    refused(
        small.check(), 11, "codebook.yml line 21", '"u1"', "answer_scales: {agree5: [{value: 1", "categories: agree5"
    )


def test_check_says_what_a_scale_of_one_item_cannot_tell(small):
    small.edit("codebook.yml", "items: [u1, u2, u3]", "items: [u1]")
    checked = small.check()
    assert checked.code == 0 and 'line 30: scale "usefulness" has one item' in checked.out


def test_check_says_that_an_item_is_in_two_scales(small):
    small.edit("codebook.yml", "items: [u1, u2, u3]", "items: [u1, u2, u3, s4]")
    checked = small.check()
    assert checked.code == 0
    assert 'codebook.yml line 30: item "s4" is in the scales "support" and "usefulness"' in checked.out


SHIPPED = (
    ("  - {name: look}", "  - {name: look}\n  - {name: 40-drivers, parameters: {formula: use ~ support + C(unit)}}\n"
     "  - {name: 30-groups, parameters: {scores: [use], focus: use}}"),
    ("result: look/drivers, term: support", "result: 40-drivers/drivers, term: support"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("result", "term", "near"),
    [
        ("40-drivers/drivers", "suport", '"support"'),
        ("30-groups/groups", "us", '"use"'),
        ("40-drivers/drivers", "s1", "use"),
    ],
)
def test_a_hypothesis_on_a_row_that_cannot_be_is_refused_with_the_nearest(small, result, term, near):
    for change in SHIPPED:
        small.edit("study.yml", *change)
    assert small.check().code == 0
    small.edit("study.yml", "40-drivers/drivers, term: support", f"{result}, term: {term}")
    refused(small.check(), 10, "study.yml line", '"H1"', f'"{term}"', near)


@pytest.mark.parametrize("term", ["(intercept)", '"unit[Sales]"', '"support:use"'])
def test_a_row_that_only_the_result_knows_is_not_guessed_at(small, term):
    for change in SHIPPED:
        small.edit("study.yml", *change)
    small.edit("study.yml", "term: support", f"term: {term}")
    assert small.check().code == 0


def test_rows_of_ones_own_notebook_are_not_guessed_at(small):
    small.edit("study.yml", "term: support", "term: anything")
    assert small.check().code == 0


FLAGGED = "\nrules:\n  - {{id: a, stage: quality, column: {}, op: {}, action: flag, reason: r}}"


@pytest.mark.parametrize(("column", "near"), [("flag_carelss", '"flag_careless"'), ("carelss", '"careless"')])
def test_a_flag_that_is_not_there_is_named_as_it_was_written(small, column, near):
    small.edit("study.yml", "unit: unit", "unit: unit" + FLAGGED.format(column, "flagged"))
    outcome = small.check()
    refused(outcome, 10, f'"{column}"', f"Did you mean {near}")
    assert "flag_flag" not in outcome.err and "with_flags" not in outcome.err


def test_a_rule_on_a_flag_holds_beside_one_that_fails(small):
    rules = FLAGGED.format("flag_careless", "flagged") + FLAGGED.format("s9", "missing").partition("rules:")[2]
    small.edit("study.yml", "unit: unit", "unit: unit" + rules.replace("id: a", "id: b", 1))
    refused(small.check(), 10, 'Cleaning rule "a"', '"s9"')


def test_the_rule_is_named_once(small):
    small.edit("study.yml", "unit: unit", "unit: unit" + FLAGGED.format("s1", "flaged"))
    outcome = small.check()
    refused(outcome, 10, 'rule "a": unknown op "flaged"', '"flagged"')
    assert outcome.err.count('rule "a"') == 1


def test_a_file_that_is_not_there_does_not_list_the_folder(small):
    small.write("q1.csv", "a\n1\n")
    refused(small.check("--data", f"responses={small.folder / 'q2.csv'}"), 12, "q2.csv", 'Did you mean "q1.csv"?')
    outcome = small.check("--data", f"responses={small.folder / 'zzzzzz.sav'}")
    refused(outcome, 12, "Check the name and the folder.")
    assert "codebook.yml" not in outcome.err
