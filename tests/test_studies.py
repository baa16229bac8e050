"""The shipped studies, from raw export to report."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

import smstudy
from smstudy.cli import main
from smstudy.engine.manifest import verify
from smstudy.engine.schedule import Finished
from smstudy.study.runner import run_study

ROOT = Path(__file__).resolve().parents[1]
WIKI = ROOT.parent / "shared" / "data" / "wiki4he" / "wiki4HE.csv"
needs_wiki = pytest.mark.skipif(
    not WIKI.is_file(), reason="wiki4HE is not on this machine; get it with `smstudy data get wiki4he`"
)


def _copy(tmp_path: Path, study: str) -> Path:
    """A copy of a study beside a copy of the demo data, in a path with a space."""
    home = tmp_path / "a folder"
    shutil.copytree(ROOT / "data", home / "data", ignore=shutil.ignore_patterns("raw"))
    shutil.copytree(ROOT / "studies" / study, home / "studies" / study, ignore=shutil.ignore_patterns("runs"))
    return home / "studies" / study


@pytest.fixture(scope="module")
def pulse(tmp_path_factory) -> tuple[Path, Finished]:
    study = _copy(tmp_path_factory.mktemp("pulse"), "quarterly-pulse")
    return study, run_study(str(study))


def _record(run: Path, name: str) -> dict:
    return json.loads((run / "results" / f"{name}.json").read_text(encoding="utf-8"))


def test_the_pulse_recovers_what_was_planted(pulse):
    truth = json.loads((ROOT / "data" / "demo-organization" / "truth.json").read_text(encoding="utf-8"))
    _, finished = pulse
    verdicts = {row["term"]: row["verdict"] for row in _record(finished.folder, "90-summary/verdicts")["tidy"]}
    assert verdicts["H1"] == verdicts["H2"] == verdicts["H4"] == verdicts["H5"] == "supported"
    assert verdicts["H3"] in ("not supported", "too little data")
    drivers = {row["term"]: row for row in _record(finished.folder, "40-drivers/drivers")["tidy"]}
    assert truth["planted"]
    assert drivers["leadership"]["conf_low"] > 0 and drivers["readiness"]["conf_low"] > 0
    changes = {row["term"]: row["verdict"] for row in _record(finished.folder, "30-groups/changes")["tidy"]}
    assert [term for term, verdict in changes.items() if verdict == "changed"] == ["concerns"]
    assert _record(finished.folder, "50-segments/choice")["glance"]["k"] == 4


def test_the_pulse_recovers_how_the_scales_were_made(pulse):
    truth = json.loads((ROOT / "data" / "demo-organization" / "truth.json").read_text(encoding="utf-8"))
    run = pulse[1].folder
    planted = truth["icc1"]["wave_2"]
    scales = list(planted)
    pages = [_record(run, f"20-scales/constructs-{scale}") for scale in scales]
    assert {row["verdict"] for page in pages for row in page["tidy"]} == {"fits"}
    assert _record(run, "20-scales/model")["glance"]["cfi"] > 0.95
    assert "not shown to be two things" not in {r["verdict"] for r in _record(run, "20-scales/validity")["tidy"]}
    averaging = {row["term"]: row for row in _record(run, "20-scales/averaging")["tidy"]}
    assert all(averaging[s]["icc_1_low"] < planted[s] < averaging[s]["icc_1_high"] for s in scales)
    assert _record(run, "20-scales/invariance")["glance"]["verdict"] == "means: allowed"


def test_ordinal_loadings_of_the_pulse_are_those_planted():
    truth = json.loads((ROOT / "data" / "demo-organization" / "truth.json").read_text(encoding="utf-8"))
    survey = smstudy.open_study("quarterly-pulse").survey("clean")
    fits = [smstudy.confirm(survey, [scale.name], estimator="WLSMV") for scale in survey.codebook.scales]
    loadings = pd.concat([fit.tidy() for fit in fits])
    planted = truth["planted"]["loading"]
    held = loadings["conf_low"].lt(planted) & loadings["conf_high"].gt(planted)
    assert held.sum() >= 16  # of 20 intervals of 95 %, fewer than 16 hold with probability 0.0003


def test_the_run_is_complete_and_verified(pulse):
    _, finished = pulse
    assert verify(finished.folder) == []
    assert {path.name for path in finished.folder.iterdir()} >= {"report.html", "manifest.json", "notebooks", "results"}


def test_nothing_changed_runs_nothing(pulse):
    study, finished = pulse
    again = run_study(str(study))
    assert again.executed == () and again.folder == finished.folder


def test_the_report_is_inert_and_offline(pulse):
    page = (pulse[1].folder / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page and "Content-Security-Policy" in page
    assert not re.search(r"(src|href)\s*=\s*[\"']?(https?:)?//", page)
    assert not re.search(r"\son[a-z]+\s*=", re.sub(r"base64,[A-Za-z0-9+/=]+", "", page))
    assert "Synthetic data" in page


def test_no_identifier_leaves_the_export(pulse):
    raw = (ROOT / "data" / "demo-organization" / "wave-2.csv").read_text(encoding="utf-8")
    secrets = set(re.findall(r"R_\w{8,}|[\w.]+@example\.\w+|192\.0\.2\.\d+|198\.51\.100\.\d+", raw))
    assert len(secrets) > 100
    for path in pulse[1].folder.rglob("*"):
        if path.suffix in (".html", ".json", ".csv", ".tex", ".txt", ".ipynb"):
            text = path.read_text(encoding="utf-8")
            assert not [secret for secret in secrets if secret in text], path.name


def test_the_planted_drivers_are_found_and_nothing_is_called_necessary(pulse):
    run = pulse[1].folder
    ranks = [row["term"] for row in sorted(_record(run, "40-drivers/importance")["tidy"], key=lambda row: row["rank"])]
    assert ranks == ["leadership", "readiness", "usefulness", "concerns"]  # as planted: 0.40, 0.36, 0.06, none
    assert {row["verdict"] for row in _record(run, "55-necessity/necessity")["tidy"]} <= {
        "correlated, necessity not shown", "not necessary",
    }  # fmt: skip
    assert _record(run, "45-mechanisms/moderation")["glance"]["verdict"] == "cannot tell"
    ways = {(row["effect"], row["term"]): row for row in _record(run, "45-mechanisms/mediation")["tidy"]}
    assert ways["indirect", "readiness"]["conf_low"] > 0 > ways["indirect", "usefulness"]["conf_low"]


def test_a_fall_everywhere_is_no_effect_of_a_pilot(pulse):
    run = pulse[1].folder
    (alone,) = _record(run, "65-pilots/before_after")["tidy"]
    (effect,) = _record(run, "65-pilots/pilot")["tidy"]
    assert alone["verdict"] == "changed" and alone["conf_high"] < 0  # planted: concerns fall by 0.34 everywhere
    assert effect["verdict"] == "no effect shown" and effect["conf_low"] < 0 < effect["conf_high"]


def test_the_next_wave_is_three_values(pulse, capsys):
    study, _ = pulse
    wave = ROOT / "data" / "demo-organization" / "wave-3.csv"
    code = main(["run", str(study), "--data", f"responses={wave}", "--wave", "3", "--previous-wave", "2"])
    out = capsys.readouterr().out.strip()
    assert code == 0 and out.endswith("report.html") and "wave-3" in out
    changes = _record(Path(out).parent, "30-groups/changes")["tidy"]
    assert {row["verdict"] for row in changes} == {"cannot tell"}


@needs_wiki
def test_wikipedia_at_work(tmp_path, capsys):
    study = _copy(tmp_path, "wiki-adoption")
    text = (study / "study.yml").read_text(encoding="utf-8")
    pilot = "  - {name: 65-pilots, parameters: {outcome: use, piloted: [UOC]}}\n  - {name: 55-necessity,"
    (study / "study.yml").write_text(text.replace("  - {name: 55-necessity,", pilot), encoding="utf-8")
    assert main(["run", str(study), "--data", f"responses={WIKI}"]) == 0
    run = Path(capsys.readouterr().out.strip()).parent
    weak = {
        r["term"] for r in _record(run, "20-scales/reliability")["tidy"] if r["alpha"] is not None and r["alpha"] < 0.6
    }
    assert {"ease", "visibility"} <= weak
    assert "correlation beyond 1" in _record(run, "20-scales/model")["tidy"][0]["reason"]
    assert "no previous wave" in _record(run, "20-scales/invariance")["note"]
    found = json.dumps(_record(run, "10-quality/flow")) + (run / "report.html").read_text(encoding="utf-8")
    assert "code 6" in found and "code 7" in found
    verdicts = {row["term"]: row["verdict"] for row in _record(run, "90-summary/verdicts")["tidy"]}
    assert verdicts["H1"] == "supported"
    assert "no previous wave" in _record(run, "65-pilots/pilot")["tidy"][0]["reason"]
    ranks = {row["term"]: row["rank"] for row in _record(run, "40-drivers/importance")["tidy"]}
    assert min(ranks, key=ranks.get) == "usefulness"
    ways = {(row["effect"], row["term"]): row for row in _record(run, "45-mechanisms/mediation")["tidy"]}
    assert ways["indirect", "usefulness"]["conf_low"] > 0
    assert {row["verdict"] for row in _record(run, "55-necessity/necessity")["tidy"]} <= {
        "necessary", "correlated, necessity not shown", "not necessary", "too few data",
    }  # fmt: skip


PERSONALITY = {"agreeable": "A1- A2 A3 A4 A5", "conscientious": "C1 C2 C3 C4- C5-", "extravert": "E1- E2- E3 E4 E5",
               "neurotic": "N1 N2 N3 N4 N5", "open": "O1 O2- O3 O4 O5-"}  # fmt: skip


def test_the_notebook_on_scales_runs_on_the_big_five(tmp_path):
    keys = {scale: items.split() for scale, items in PERSONALITY.items()}
    answers = ", ".join(f'{{value: "{code}", label: answer {code}}}' for code in range(1, 7))
    variables = [
        f"  - {{name: {key[:2]}, title: Statement {key}, kind: item, categories: six, "
        f"reverse: {str('-' in key).lower()}}}"
        for items in keys.values()
        for key in items
    ]
    scales = [
        f"  - {{name: {scale}, title: {scale.title()}, items: [{', '.join(key[:2] for key in items)}]}}"
        for scale, items in keys.items()
    ]
    book = ["title: Big Five", "answer_scales:", f"  six: [{answers}]", "variables:", *variables, "scales:", *scales]
    study = ["title: Big Five", "question: What holds?", "organization: SAPA", 'wave: "1"', "waves:",
             '  "1": {file: bfi.csv}', "notebooks:", "  - {name: 20-scales}"]  # fmt: skip
    shutil.copy(ROOT / "tests" / "reference" / "bfi.csv", tmp_path)
    (tmp_path / "codebook.yml").write_text("\n".join(book), encoding="utf-8")
    (tmp_path / "study.yml").write_text("\n".join(study), encoding="utf-8")
    run = run_study(str(tmp_path)).folder
    alphas = {row["term"]: row["alpha"] for row in _record(run, "20-scales/reliability")["tidy"]}
    assert min(alphas, key=alphas.get) == "open" and alphas["neurotic"] > 0.8
    pairs = _record(run, "20-scales/validity")["tidy"]
    assert {row["verdict"] for row in pairs} == {"two things"}
    assert "no departments" in _record(run, "20-scales/averaging")["tidy"][0]["reason"]


@needs_wiki
def test_copies_with_another_separator_are_the_same_data(tmp_path):
    from smstudy.study.archives import ARCHIVES, check_content

    twin = tmp_path / "wiki4HE.csv"
    twin.write_text(WIKI.read_text(encoding="utf-8").replace(",", ";").replace("?", ""), encoding="utf-8")
    check_content(WIKI, ARCHIVES["wiki4he"])
    check_content(twin, ARCHIVES["wiki4he"])


def test_missing_wiki_data_say_how_to_get_them(tmp_path, capsys):
    assert main(["run", str(_copy(tmp_path, "wiki-adoption"))]) == 10
    assert "smstudy data get wiki4he" in capsys.readouterr().err
