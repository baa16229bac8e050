"""Runs from the command line: light when nothing changed, one at a time, and earlier ones survive what goes wrong."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from smstudy.study.definition import read_study
from smstudy.study.inputs import resolve_inputs
from smstudy.study.naming import check_names
from smstudy.study.runner import case_name, plan_jobs
from smstudy.survey.codebook import Codebook

ROOT = Path(__file__).resolve().parents[2]
LIGHT = """
import sys
from smstudy.engine import schedule
schedule.package_digest = lambda: "package"
from smstudy.cli import main
code = main(["run", sys.argv[1]])
print([name for name in ("pandas", "matplotlib", "scipy", "papermill") if name in sys.modules], file=sys.stderr)
sys.exit(code)
"""
CODEBOOK = Codebook.model_validate(
    {
        "title": "t",
        "answer_scales": {"two": [{"value": 1, "label": "a"}, {"value": 2, "label": "b"}]},
        "variables": [
            {"name": "q1", "kind": "item", "categories": "two"},
            {"name": "unit", "kind": "unit"},
            {"name": "tools", "kind": "multi-select", "categories": "two"},
        ],
        "scales": [{"name": "use", "items": ["q1"]}],
    }
)


def test_a_run_survives_everything_that_stops_the_next_one(small, monkeypatch):
    first = small.run()
    assert first.code == 0, first.err
    report = Path(first.out.strip())
    page = report.read_bytes()

    again = subprocess.run(
        [sys.executable, "-c", LIGHT, str(small.folder)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (again.returncode, again.stdout) == (0, first.out) and "nothing changed" in again.stderr
    assert again.stderr.splitlines()[-1] == "[]"  # no heavy library

    small.edit("study.yml", "title: Small study", "title: Small study, second try")
    with FileLock(small.folder / "runs" / ".lock"):
        outcome = small.run()
    assert outcome.code == 14 and "another run" in outcome.lines[0]

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("smstudy.engine.schedule._publish", full)
        outcome = small.run()
    assert outcome.code == 14 and "disk is full" in outcome.lines[0] and len(outcome.lines) == 1

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("smstudy.engine.schedule._run", interrupted)
        outcome = small.run()
    assert outcome.code == 14 and "stopped by you" in outcome.lines[0]
    assert report.read_bytes() == page and small.call("report", str(small.folder)).out.strip() == str(report)
    assert not list((small.folder / "runs").glob(".staging-*"))


def test_there_is_no_report_before_the_first_run(small):
    outcome = small.call("report", str(small.folder))
    assert outcome.code == 14 and "smstudy run" in outcome.lines[0]


def test_an_unknown_study_comes_with_the_nearest_name(small):
    outcome = small.call("run", "quarterly-puls")
    assert outcome.code == 10 and '"quarterly-pulse"' in outcome.lines[0]


def test_jobs_carry_what_notebooks_need(small):
    small.edit("study.yml", "unit: unit", "unit: unit\nprivacy: {min_n: 8}")
    study = read_study(small.folder)
    [job] = plan_jobs(small.folder, study, resolve_inputs(small.folder, study), {"formula": "use ~ support"})
    assert job.parameters == {"study": "small", "formula": "use ~ support", "min_n": 8}
    assert {"responses", "study", "codebook"} <= set(job.inputs)
    json.dumps(job.context)


def test_organization_and_wave_name_the_folder_whatever_they_hold(small):
    study = read_study(small.folder).model_copy(update={"organization": "../Ünïcode & Söhne/."})
    assert case_name(study, "../2") == "unicode-sohne-wave-2"


@pytest.mark.parametrize(
    "parameters",
    [
        {"formula": "use ~ q1 * C(unit)", "scale": "use", "scores": ["use", "q1"], "focus": "use"},
        {"scores": [], "variables": ["tools_1", "flag_any"]},
        {"scale": 3.5, "scores": [1, 2], "formula": None},  # something else under the same name
        {"anything": "else"},
    ],
)
def test_names_the_codebook_has_are_accepted(parameters):
    check_names(parameters, CODEBOOK, where="here")
