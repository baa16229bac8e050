"""What leaves a study is copied, remembered, and guards every later run; people stay out of both."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd
import pytest

from smstudy.engine import kernels
from smstudy.engine.kernels import Executed
from smstudy.engine.manifest import MANIFEST, read_manifest, verify
from smstudy.study.ledger import FILE, KEY
from smstudy.study.release import LEAVES

ROOT = Path(__file__).resolve().parents[2]
LOOK = (
    "import smstudy as sm\n\nrun = sm.open_study(study, min_n=min_n)\nsurvey = run.survey('clean')\nsurvey",
    "run.keep('drivers', sm.regress(formula, survey))",
    "run.keep('groups', sm.by_group(survey, ['use', 'support'], 'unit'))",
)
ALONE = LOOK[:2]
TABLES = (
    "run.keep('response', run.response())",
    "run.keep('means', sm.weighted_means(survey, ['use'], by='unit'))",
    "run.keep('departments', sm.distribution(survey, ['unit']))",
)
LIGHT = """
import sys
from smstudy.engine import schedule
schedule.package_digest = lambda: "package"
from smstudy.cli import main
code = main(["run", sys.argv[1]])
names = ("numpy", "pandas", "papermill", "smstudy.study.release", "smstudy.survey.dataset")
print([name for name in names if name in sys.modules], file=sys.stderr)
sys.exit(code)
"""


@pytest.fixture(autouse=True)
def _notebooks_run_here(monkeypatch):
    """Cells run in this process, which spares the seconds a kernel takes to start; test_runner.py starts kernels."""

    def execute(notebook, *, name, parameters, environment, timeout, kernels):
        node = nbformat.read(notebook, as_version=4)
        with pytest.MonkeyPatch.context() as patched:
            for variable, value in environment.items():
                patched.setenv(variable, value)
            names = {}
            for i, cell in enumerate(node.cells):
                exec(cell.source, names)
                names |= {} if i else parameters
        return Executed(nbformat.writes(node), 0.1, ())

    monkeypatch.setattr(kernels, "execute", execute)


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch):
    """Pictures take most of a run and are not what is asked here."""
    monkeypatch.setattr("smstudy.study.session.figures.save", lambda *_: None)
    monkeypatch.setattr("smstudy.result.Result.plot", lambda *_: None)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Where the first run is kept, to be made only once."""
    return tmp_path_factory.mktemp("finished") / "runs"


@pytest.fixture
def study(small):
    """A study that splits by department, not run."""
    small.notebook("look", *LOOK)
    return small


@pytest.fixture
def once(study, finished):
    """The same, run once."""
    if not finished.exists():
        ran(study)
        shutil.copytree(study.folder / "runs", finished)
    shutil.copytree(finished, study.folder / "runs", dirs_exist_ok=True)
    return study


def release(study):
    """Type `smstudy release` on the study."""
    return study.call("release", str(study.folder))


def late(study, respondents, sizes):
    """Let people answer after the first export."""
    study.rows.extend(respondents({**sizes, "Research": 4}, seed=8)[:-4])
    study.column("comment", [study.secret if i == 3 else "" for i in range(len(study.rows))])


def ran(study):
    """Run the study; the folder of the run."""
    outcome = study.run()
    assert outcome.code == 0, outcome.err
    return Path(outcome.out.strip()).parent


def left(study):
    """Release the last run; the folder that left."""
    outcome = release(study)
    assert outcome.code == 0, outcome.err
    return Path(outcome.out.strip())


def contents(folder):
    """Every file of a folder, by its path in it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def remembered(study):
    return json.loads((study.folder / "runs" / FILE).read_text(encoding="utf-8"))["releases"]


def test_only_what_may_leave_is_copied_and_it_is_remembered(once):
    run = Path(once.call("report", str(once.folder)).out.strip()).parent
    outcome = release(once)
    target = Path(outcome.out.strip())
    assert outcome.code == 0 and target == once.folder / "released" / run.parent.name / run.name
    assert {path.name for path in target.iterdir()} == set(LEAVES) and (run / "notebooks").is_dir()
    assert not [path for path in target.rglob("*") if path.suffix == ".ipynb"]
    copied = {path: text for path, text in contents(target).items() if path != MANIFEST}
    assert copied.items() <= contents(run).items()  # byte by byte, nothing made up on the way
    [one] = remembered(once)
    assert one["case"] == run.parent.name and sorted(map(len, one["groups"])) == [30, 40, 50]
    assert not [path for path in (once.folder / "released").rglob("*") if path.name in (FILE, KEY)]


def test_the_manifest_of_a_release_lists_what_left_with_its_checksums(once):
    run = Path(once.call("report", str(once.folder)).out.strip()).parent
    target = left(once)
    told, before = read_manifest(target), read_manifest(run)
    assert verify(target) == [] and verify(run) == []
    assert {file["path"] for file in told["outputs"]} == contents(target).keys() - {MANIFEST}
    assert all(file in before["outputs"] for file in told["outputs"]) and "stay in the run" in told["stayed"]
    assert all(told[name] == before[name] for name in ("key", "identity", "result_digest", "notebooks", "environment"))


def test_the_manifest_of_a_release_does_not_name_the_closed_groups(once, respondents):
    left(once)
    late(once, respondents, {"Sales": 3, "Service": 4})
    ran(once)
    text = (left(once) / MANIFEST).read_text(encoding="utf-8")
    assert "Sales" not in text and "closed" not in text


def test_the_same_run_released_twice_is_one_release(once):
    first = left(once)
    before, ledger = contents(first), remembered(once)
    assert left(once) == first and contents(first) == before and remembered(once) == ledger
    assert len(list(first.parent.iterdir())) == 1


def test_a_file_spoiled_after_the_release_is_put_right_by_releasing_again(once):
    target = left(once)
    before = contents(target)
    (target / "report.html").write_text("spoiled", encoding="utf-8")
    (target / "stranger.txt").write_text("spoiled", encoding="utf-8")
    assert left(once) == target and contents(target) == before


def test_a_release_that_cannot_be_written_is_absent_and_can_be_repeated(once, monkeypatch):

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("smstudy.study.release.shutil.copy2", full)
        outcome = release(once)
    assert outcome.code == 14 and len(outcome.lines) == 1 and "cannot be written" in outcome.lines[0]
    assert not list((once.folder / "released").rglob("report.html"))
    assert set(LEAVES) == {path.name for path in left(once).iterdir()}


def test_two_late_respondents_stop_the_next_run_and_the_release_stays(once, respondents):
    target = left(once)
    before, ledger = contents(once.folder / "released"), remembered(once)
    late(once, respondents, {"Sales": 1, "Service": 1})
    outcome = once.run()
    assert outcome.code == 13 and len(outcome.lines) == 1 and "take it back" in outcome.lines[0]
    assert target.is_dir() and contents(once.folder / "released") == before and remembered(once) == ledger


def test_six_late_respondents_of_one_department_are_enough_to_be_shown(once, respondents):
    left(once)
    late(once, respondents, {"Service": 6})
    ran(once)
    second = left(once)
    groups = pd.read_csv(second / "tables" / "look" / "groups.csv")
    assert groups["estimate"].notna().all() and {"Sales", "Service", "Research"} <= set(groups["group"])
    assert len(remembered(once)) == 2 and len(list(second.parent.iterdir())) == 2


def test_departments_few_came_to_are_hidden_in_every_table_and_the_report_says_why(once, respondents):
    left(once)
    late(once, respondents, {"Sales": 3, "Service": 4})
    once.notebook("look", *LOOK, *TABLES)
    run = ran(once)
    for name, number in {"groups": "estimate", "response": "n", "means": "estimate", "departments": "n"}.items():
        table = pd.read_csv(run / "tables" / "look" / f"{name}.csv", dtype=str)
        place = table["answer" if name == "departments" else "group"]
        shown = pd.to_numeric(table[number], errors="coerce").notna()
        assert place.isin(["Sales", "Service"]).any() and not shown[place.isin(["Sales", "Service"])].any(), name
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "earlier release" in page
    second = left(once)
    assert {tuple(group) for one in remembered(once) for group in one["closed"]} == {
        ("unit", "Sales"), ("unit", "Service"),
    }  # fmt: skip
    again = once.run()
    assert again.code == 0 and "nothing changed" in again.err and Path(again.out.strip()).parent.name == second.name


def test_a_study_on_leaders_shows_no_department_below_its_own_threshold(study, respondents, write_codebook):
    sizes = {"Sales": 50, "Service": 40, "Research": 30, "Legal": 5, "Purchasing": 9}
    study.write("codebook.yml", write_codebook(tuple(sizes)))
    study.edit("study.yml", "unit: unit\n", "unit: unit\nprivacy: {min_n: 10}\n")
    study.rows[:] = respondents(sizes)
    study.column("comment", "")
    study.notebook("look", *LOOK, *TABLES, "run.keep('quality', run.quality())")
    run = ran(study)
    for name, number in {"groups": "estimate", "response": "n", "means": "estimate", "departments": "n"}.items():
        table = pd.read_csv(run / "tables" / "look" / f"{name}.csv", dtype=str)
        shown = pd.to_numeric(table[number], errors="coerce").notna()
        place = table["answer" if name == "departments" else "group"]
        assert place.isin(["Legal", "Purchasing"]).any() and not shown[place.isin(["Legal", "Purchasing"])].any(), name
        assert shown[place == "Sales"].all(), name
    left(study)
    assert min(len(group) for one in remembered(study) for group in one["groups"]) >= 10
    assert study.run("-p", "min_n=9").code == 13


def test_groups_by_a_category_few_came_to_are_hidden_too(study, respondents):
    study.edit("study.yml", "unit: unit\n", "")
    study.edit("codebook.yml", "kind: unit", "kind: category")
    ran(study)
    left(study)
    assert [sorted(map(len, one["splits"]["unit"])) for one in remembered(study)] == [[30, 40, 50]]
    late(study, respondents, {"Sales": 3, "Service": 4})
    study.notebook("look", *LOOK, *TABLES[1:])
    run = ran(study)
    for name, number in {"groups": "estimate", "means": "estimate", "departments": "n"}.items():
        table = pd.read_csv(run / "tables" / "look" / f"{name}.csv", dtype=str)
        place = table["answer" if name == "departments" else "group"].isin(["Sales", "Service"])
        assert place.any() and pd.to_numeric(table.loc[place, number], errors="coerce").isna().all(), name
    left(study)


def test_a_release_says_that_respondents_of_an_earlier_one_are_not_recognized(once, respondents):
    first = left(once)
    assert read_manifest(first)["findings"] == []
    once.rows[:] = respondents({"Sales": 60, "Service": 50, "Research": 40}, seed=99)
    once.column("comment", "")
    once.notebook("look", *LOOK, "run.keep('flow', run.cleaning())")
    page = (ran(once) / "report.html").read_text(encoding="utf-8")
    assert "are not recognized in this run" in page
    second = left(once)
    assert "nothing changed" in once.run().err
    [finding] = read_manifest(second)["findings"]
    assert finding["name"] == "respondents_not_recognized" and "identifier that stays" in finding["text"]
    before = contents(second)
    assert left(once) == second and contents(second) == before


def test_a_model_tells_no_closed_department_by_its_terms(study, respondents):
    study.notebook("look", *ALONE, "run.keep('levels', sm.regress('use ~ C(unit)', survey))")
    ran(study)
    left(study)
    late(study, respondents, {"Sales": 3, "Service": 4})
    outcome = study.run()
    if outcome.code == 0:
        terms = pd.read_csv(Path(outcome.out.strip()).parent / "tables" / "look" / "levels.csv")["term"]
        assert not terms.str.contains("Sales|Service").any()
    else:
        assert outcome.code == 13 and len(outcome.lines) == 1


@pytest.mark.parametrize("changed", ["data", "codebook", "study"])
def test_what_was_changed_since_the_run_is_not_released(once, respondents, changed):
    if changed == "data":
        late(once, respondents, {"Sales": 20})
    else:
        file, old = {"codebook": ("codebook.yml", "Small survey"), "study": ("study.yml", "Small study")}[changed]
        once.edit(file, old, "Other title")
    outcome = release(once)
    assert outcome.code == 14 and len(outcome.lines) == 1 and "Run it again" in outcome.lines[0]
    assert not (once.folder / "released").exists() and not (once.folder / "runs" / FILE).exists()


def test_a_run_somebody_edited_is_not_released(once):
    Path(once.call("report", str(once.folder)).out.strip()).write_text("better numbers", encoding="utf-8")
    outcome = release(once)
    assert outcome.code == 14 and "was changed since" in outcome.lines[0]
    assert not (once.folder / "released").exists()


def test_nothing_is_released_before_the_first_run(study):
    outcome = release(study)
    assert outcome.code == 14 and len(outcome.lines) == 1 and "smstudy run" in outcome.lines[0]


def test_an_unchanged_run_beside_a_release_reads_no_answers(once):
    left(once)
    again = subprocess.run(
        [sys.executable, "-c", LIGHT, str(once.folder)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert again.returncode == 0 and "nothing changed" in again.stderr, again.stderr
    assert again.stderr.splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", ["run", "release"])
def test_a_damaged_ledger_is_one_line(once, command):
    left(once)
    (once.folder / "runs" / FILE).write_text("{", encoding="utf-8")
    outcome = once.call(command, str(once.folder))
    assert outcome.code == 14 and len(outcome.lines) == 1 and "damaged" in outcome.lines[0]


def test_a_ledger_without_its_key_is_one_line(once):
    left(once)
    (once.folder / "runs" / KEY).unlink()
    outcome = once.run()
    assert outcome.code == 14 and len(outcome.lines) == 1


def test_neither_answers_nor_identifiers_leave_or_are_remembered(study):
    study.header.append("staff")
    for i, row in enumerate(study.rows):
        row.append(f"staff-number-{i:05d}")
    study.write("responses.csv", study.text())
    study.edit("codebook.yml", "  - {name: comment, kind: text}\n",
               "  - {name: comment, kind: text}\n  - {name: staff, kind: id}\n")  # fmt: skip
    ran(study)
    target = left(study)
    everything = b"".join([*contents(target).values(), (study.folder / "runs" / FILE).read_bytes()])
    assert study.secret.encode() not in everything and b"staff-number" not in everything
    rows = {",".join(row[2:12]).encode() for row in study.rows}
    assert not [row for row in rows if row in everything]
    assert b"Sales" not in (study.folder / "runs" / FILE).read_bytes()


def test_a_study_without_departments_can_be_released(study, respondents):
    study.edit("study.yml", "unit: unit\n", "")
    study.edit("codebook.yml", "kind: unit", "kind: category")
    study.notebook("look", *ALONE)
    ran(study)
    left(study)
    assert [len(group) for group in remembered(study)[0]["groups"]] == [120]
    late(study, respondents, {"Sales": 2})
    assert study.run().code == 13
    late(study, respondents, {"Sales": 4})
    assert study.run().code == 0


def test_both_waves_of_a_report_are_remembered_and_guarded(study, respondents):
    rows = [[unit, *row[1:]] for unit, row in zip([row[0] for row in study.rows], respondents({"Sales": 120}, seed=5))]
    study.write("before.csv", "".join(",".join(row) + "\n" for row in [study.header, *rows]))
    study.edit("study.yml", "waves:\n", 'previous_wave: "0"\nwaves:\n  "0": {file: before.csv}\n')
    study.notebook("look", *ALONE)
    ran(study)
    left(study)
    assert [one["case"] for one in remembered(study)] == ["nowhere-ltd-wave-1", "nowhere-ltd-wave-0"]
    study.write("before.csv", "".join(",".join(row) + "\n" for row in [study.header, *rows[2:]]))
    outcome = study.run()
    assert outcome.code == 13 and len(outcome.lines) == 1


def test_a_run_made_before_a_release_is_held_against_it(once, respondents):
    case, first = once.folder / "runs" / "nowhere-ltd-wave-1", once.text()
    earlier = (case / "latest").read_text(encoding="utf-8")
    late(once, respondents, {"Sales": 3, "Service": 4})
    later, answers = ran(once).name, once.text()
    once.write("responses.csv", first)
    (case / "latest").write_text(earlier, encoding="utf-8")
    left(once)
    once.write("responses.csv", answers)
    (case / "latest").write_text(later, encoding="utf-8")
    assert release(once).code == 14


def test_words_of_a_draft_are_not_released(once):
    before = (once.folder / "study.yml").read_text(encoding="utf-8")
    drafted = re.sub(r"(?m)^title: .*$", "title: small", before)
    drafted = re.sub(r"(?m)^question: .*$", 'question: "What does this study want to know?"', drafted)
    once.write("study.yml", re.sub(r"(?m)^organization: .*$", 'organization: "Name of the organization"', drafted))
    outcome = once.call("release", str(once.folder))
    assert outcome.code == 10 and not (once.folder / "released").exists()
    for line, key in enumerate(("title", "question", "organization"), 1):
        assert f"study.yml line {line}: {key}:" in outcome.err
    assert "Write your own words there" in outcome.err
    once.write("study.yml", before)
    assert once.call("release", str(once.folder)).code == 0


# ---- the command of the README: next quarter's export, given on the command line -----------------------------------


@pytest.fixture
def quarter(study, respondents):
    """A study whose third wave is in no file of study.yml; the export of the quarter lies elsewhere."""
    sizes = {"Sales": 50, "Service": 40, "Research": 30}
    study.column("comment", "")
    for wave, name in enumerate(("responses.csv", "q2.csv", "elsewhere/q3.csv"), start=1):
        (study.folder / name).parent.mkdir(exist_ok=True)
        study.rows[:] = respondents(sizes, seed=wave)
        study.column("comment", "")
        text = (study.folder / "responses.csv").read_bytes()
        study.write(name, text)
    study.rows[:] = respondents(sizes, seed=1)
    study.column("comment", "")
    study.edit("study.yml", '  "1": {file: responses.csv}\n', '  "1": {file: responses.csv}\n  "2": {file: q2.csv}\n')
    return study


def told(study):
    """The options of the quarterly run."""
    return ("--data", f"responses={study.folder / 'elsewhere' / 'q3.csv'}", "--wave", "3", "--previous-wave", "2")


@pytest.mark.parametrize("options", [(), ("--wave", "3")])
def test_a_run_of_files_given_on_the_command_line_is_released_as_the_readme_says(quarter, options):
    ran(quarter)  # wave 1 of study.yml
    outcome = quarter.run(*told(quarter))
    assert outcome.code == 0, outcome.err
    run = Path(outcome.out.strip()).parent
    released = quarter.call("release", str(quarter.folder), *options)
    assert released.code == 0, released.err
    target = Path(released.out.strip())
    assert target.parent.name == "nowhere-ltd-wave-3" and target.name == run.name
    assert sorted(one["case"] for one in remembered(quarter)) == ["nowhere-ltd-wave-2", "nowhere-ltd-wave-3"]
    assert "nothing changed" in quarter.run(*told(quarter)).err
    everything = b"".join(contents(target).values())
    assert b"elsewhere" not in everything  # the places of files do not leave


def test_the_last_run_is_the_one_just_asked_for_also_when_nothing_changed(quarter):
    ran(quarter)
    assert quarter.run(*told(quarter)).code == 0
    ran(quarter)
    assert left(quarter).parent.name == "nowhere-ltd-wave-1"


def test_a_file_of_the_run_that_moved_can_be_named_and_another_one_is_refused(quarter):
    assert quarter.run(*told(quarter)).code == 0
    moved = (quarter.folder / "elsewhere" / "q3.csv").rename(quarter.folder / "moved.csv")
    outcome = release(quarter)
    assert outcome.code == 12 and len(outcome.lines) == 1
    assert "q3.csv is not there" in outcome.lines[0] and "--wave 3 --data responses=FILE" in outcome.lines[0]
    changed = quarter.write("changed.csv", moved.read_bytes() + b"\n")
    refused = quarter.call("release", str(quarter.folder), "--data", f"responses={changed}")
    assert refused.code == 14 and "changed since: data" in refused.lines[0]
    assert not (quarter.folder / "released").exists()
    found = quarter.call("release", str(quarter.folder), "--data", f"responses={moved}")
    assert found.code == 0 and "wave-3" in found.out, found.err


def test_without_the_memory_of_the_run_release_asks_for_the_file(quarter):
    assert quarter.run(*told(quarter)).code == 0
    (quarter.folder / "runs" / "files.json").unlink()
    outcome = quarter.call("release", str(quarter.folder), "--wave", "3")
    assert outcome.code == 10 and "--data responses=FILE" in outcome.lines[0]
    given = quarter.call("release", str(quarter.folder), *told(quarter)[:4])
    assert given.code == 0, given.err
