"""A run is complete and verified, or absent; what did not change is not run again."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from filelock import FileLock

from smstudy.engine import manifest, schedule
from smstudy.engine.manifest import read_manifest, verify
from smstudy.engine.schedule import Finished, Job, latest_run
from smstudy.errors import DataError, DisclosureError, RunError, StudyError

MakeJob = Callable[..., Job]
Run = Callable[..., Finished]
KEEP = """import json, os, pathlib
run = json.loads(pathlib.Path(os.environ["SMSTUDY_RUN"]).read_text(encoding="utf-8"))
def keep(name, value):
    pathlib.Path(run["output"], "results", f"{name}.json").write_text(json.dumps(value), encoding="utf-8")
"""


@pytest.fixture
def pair(make_job: MakeJob) -> tuple[Job, Job]:
    first = make_job("10-first", KEEP, "keep('mean', n / 3)\nprint(run['seed'])")
    second = make_job(
        "20-second", KEEP, "up = pathlib.Path(run['upstream']['10-first'], 'results', 'mean.json')",
        "keep('twice', 2 * json.loads(up.read_text()))", after=("10-first",),
    )  # fmt: skip
    return first, second


def test_a_run_holds_what_its_notebooks_made(pair: tuple[Job, Job], run: Run, tmp_path: Path) -> None:
    seen: list[dict[str, object]] = []

    def finish(folder: Path) -> None:
        seen.append(read_manifest(folder))
        (folder / "report.html").write_text("report")

    done = run(*pair[::-1], finish=finish)
    assert done.executed == ("10-first", "20-second") and done.reused == ()
    assert json.loads((done.folder / "results/20-second/twice.json").read_text()) == pytest.approx(10 / 3)  # exact sum
    assert (done.folder / "notebooks/10-first.ipynb").is_file() and (done.folder / "report.html").is_file()
    assert verify(done.folder) == [] and latest_run(tmp_path / "runs", "demo") == done.folder
    record = read_manifest(done.folder)
    assert record["identity"] == {"study": "s"} and record["notebooks"]["20-second"]["after"] == ["10-first"]
    assert seen == [{**record, "outputs": []}]
    assert str(tmp_path) not in (done.folder / "manifest.json").read_text()
    assert not list((tmp_path / "runs").glob(".staging-*"))


def test_only_what_changed_is_run_again(pair: tuple[Job, Job], make_job: MakeJob, run: Run) -> None:
    first, second = pair
    done = run(first, second)

    def again(**changes: object) -> Finished:
        return run(dataclasses.replace(first, **changes), second)

    assert run(first, second).executed == ()
    paths = again(context={"seed": 1, "paths": {"data": "/elsewhere"}})
    assert paths.executed == () and paths.key == done.key
    make_job("10-first", KEEP, "keep('mean', n / 3)\nprint(run['seed'])", prose="# Another title")
    assert again().key == done.key
    assert again(parameters={"n": 6}).executed == ("10-first", "20-second")
    assert again(inputs={"data": "0" * 64}).executed == ("10-first",)  # the result is the same: cut off early
    assert again(context={"seed": 2}).executed == ("10-first",)
    make_job("10-first", KEEP, "keep('mean', n / 3 + 1e-13)\nprint(run['seed'])")
    cut = again()
    assert cut.executed == ("10-first",) and cut.reused == ("20-second",) and cut.key != done.key


def test_two_runs_share_their_result_digest(pair: tuple[Job, Job], run: Run, tmp_path: Path) -> None:
    one, two = run(*pair), run(*pair, runs=tmp_path / "a b{x}")
    assert one.key == two.key
    records = [read_manifest(done.folder) for done in (one, two)]
    assert records[0]["result_digest"] == records[1]["result_digest"]
    assert records[0]["outputs"] == records[1]["outputs"]


def test_another_identity_is_another_run_of_the_same_notebooks(pair: tuple[Job, Job], run: Run) -> None:
    one, two = run(*pair), run(*pair, identity={"study": "s", "title": "new"})
    assert one.folder != two.folder and two.executed == ()
    assert verify(one.folder) == verify(two.folder) == []


def test_damage_is_repaired_from_the_cache_or_by_running(pair: tuple[Job, Job], run: Run, tmp_path: Path) -> None:
    done = run(*pair)
    (done.folder / "report.html").unlink()
    repaired = run(*pair)
    assert repaired.executed == () and verify(repaired.folder) == []
    for entry in (tmp_path / "runs" / ".cache").glob("*/results/twice.json"):
        entry.write_text("0")
    assert run(*pair).executed == ("20-second",)


def test_a_run_in_which_nothing_changed_loads_nothing_heavy(make_job: MakeJob, start_script: Callable) -> None:
    make_job("a", KEEP, "keep('x', n)")
    code = (
        "from smstudy.engine.fingerprint import package_digest; package_digest()\n"
        "job = Job('a', here / 'a.ipynb', {}, (), {}, {'seed': 1}, 60)\n"
        "done = run_jobs([job], **given)\n"
        "heavy = {'pandas', 'numpy', 'nbformat', 'papermill', 'filelock', 'tqdm', 'asyncio'} & set(sys.modules)\n"
        "print(done.executed, sorted(heavy), time.process_time())\n"
    )
    first, second = (start_script(code).communicate(timeout=60)[0] for _ in range(2))
    assert first.startswith("('a',)")
    assert second.startswith("() []")
    assert float(second.split()[-1]) < 0.3  # CPU seconds; 0.15 on a quiet machine


def test_a_run_goes_on_at_the_notebook_that_failed(make_job: MakeJob, run: Run, tmp_path: Path) -> None:
    good = make_job("good", KEEP, "keep('x', n)")
    bad = make_job("bad", "raise ValueError('-'.join(['Mrs', 'Example']))", after=("good",))
    with pytest.raises(RunError, match='bad, code cell 2, line 1 "raise.*withheld'):
        run(good, bad)
    failed = tmp_path / "runs" / "demo" / "failed" / "bad.ipynb"
    assert "withheld" in failed.read_text() and "Mrs-Example" not in failed.read_text()
    assert latest_run(tmp_path / "runs", "demo") is None
    make_job("bad", "print('mended')")
    assert run(good, bad).executed == ("bad",)
    assert not failed.exists()


def test_the_family_of_a_failure_decides_the_error(make_job: MakeJob, run: Run) -> None:
    job = make_job("bad", "class DataError(Exception): pass", "raise DataError('no column q1')")
    with pytest.raises(DataError, match="no column q1"):
        run(job)


def test_nothing_is_published_when_the_last_check_refuses(make_job: MakeJob, run: Run, tmp_path: Path) -> None:
    job = make_job("a", KEEP, "keep('x', n)")

    def refuse(folder: Path) -> None:
        raise DisclosureError("a table shows one person")

    with pytest.raises(DisclosureError):
        run(job, finish=refuse)
    assert not (tmp_path / "runs" / "demo").exists()
    assert not list((tmp_path / "runs").glob(".staging-*"))
    assert run(job).executed == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"parameters": {"m": 1}}, 'notebook a: there is no parameter "m"'),
        ({"parameters": {"n": "1"}}, "must be int"),
        ({"after": ("b",)}, 'comes after "b"'),
        ({"after": ("a",)}, "wait for each other: a"),
        ({"name": "../a"}, "not a plain file name"),
        ({"notebook": Path("absent.ipynb")}, "no notebook absent.ipynb"),
    ],
)
def test_jobs_that_do_not_fit_are_refused_before_a_kernel_starts(
    make_job: MakeJob, run: Run, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    with pytest.raises(StudyError, match=message):
        run(dataclasses.replace(make_job("a", "1"), **change))
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("case", ["", "..", "a/../b", "/a", "failed", ".cache", "a\n"])
def test_a_case_is_a_plain_folder_name(make_job: MakeJob, run: Run, case: str) -> None:
    with pytest.raises(StudyError, match="cannot name a folder"):
        run(make_job("a", "1"), case=case)


def test_the_second_of_two_runs_at_once_is_told(
    make_job: MakeJob, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "LOCK_SECONDS", 0.1)
    (tmp_path / "runs").mkdir()
    with FileLock(tmp_path / "runs" / ".lock"), pytest.raises(RunError, match="another run.*Wait until"):
        run(make_job("a", "1"))


def test_a_folder_that_cannot_be_written_gets_one_line(make_job: MakeJob, run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match="cannot be written") as caught:
        run(make_job("a", "1"), runs=tmp_path / "file" / "runs")
    assert "\n" not in str(caught.value)


def test_a_full_disk_leaves_earlier_runs_as_they_were(
    make_job: MakeJob, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job("a", KEEP, "keep('x', n)")
    done = run(job)
    for owner, name in ((schedule.shutil, "copyfile"), (manifest, "write_json"), (os, "fsync"), (os, "replace")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, _no_space)
            with pytest.raises(RunError, match="the disk is full"):
                run(job, identity={"study": name})
    assert verify(done.folder) == [] and latest_run(tmp_path / "runs", "demo") == done.folder
    assert not list((tmp_path / "runs").glob(".staging-*"))


def _no_space(*given: object, **options: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device", str(given[0]))


@pytest.mark.skipif(os.name != "posix", reason="limits on file size are POSIX")
def test_a_file_that_does_not_fit_is_a_full_disk(make_job: MakeJob, start_script: Callable) -> None:
    make_job("a", "print('x' * 200_000)")
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try: run_jobs([Job('a', here / 'a.ipynb', {}, (), {}, {'seed': 1}, 60)], **given)\n"
        "except Exception as error: print(type(error).__name__, error, list(runs.glob('.staging*')))\n"
    )
    said, noise = start_script(code).communicate(timeout=60)
    assert said.startswith("RunError the disk is full") and said.endswith("[]\n") and noise == ""


SLOW = """import os, pathlib, time
pathlib.Path({marker!r}).write_text(str(os.getpid()))
time.sleep(60)"""
INTERRUPTED = """
a, b = (Job(name, here / f'{name}.ipynb', {}, after, {}, {'seed': 1}, 90) for name, after in [('a', ()), ('b', ('a',))])
try: run_jobs([a, b], **given)
except BaseException as error: print(type(error).__name__, error)
"""


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_run_ended_from_outside_is_taken_up_again(
    make_job: MakeJob, run: Run, start_script: Callable, tmp_path: Path, number: int
) -> None:
    earlier = run(make_job("earlier", KEEP, "keep('x', n)"))
    first = make_job("a", KEEP, "keep('x', n)")
    slow = make_job("b", SLOW.format(marker=str(tmp_path / "pid")), after=("a",))
    process = start_script(INTERRUPTED)
    kernel = _kernel(process, tmp_path / "pid")
    process.send_signal(number)
    said, noise = process.communicate(timeout=30)
    if number == signal.SIGINT:
        assert said.startswith("RunError stopped by you") and noise == ""
        assert not list((tmp_path / "runs").glob(".staging-*"))
    _wait_for_end(kernel)
    assert verify(earlier.folder) == [] and latest_run(tmp_path / "runs", "demo") == earlier.folder
    make_job("b", "print('mended')")
    done = run(first, slow)
    assert done.executed == ("b",) and done.reused == ("a",)
    assert not list((tmp_path / "runs").glob(".staging-*"))


def _kernel(process: subprocess.Popen[str], marker: Path) -> psutil.Process:
    for _ in range(300):
        if marker.is_file() and marker.read_text():
            return psutil.Process(int(marker.read_text()))
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError(f"the run did not reach its slow cell: {process.communicate()}")


def _wait_for_end(kernel: psutil.Process) -> None:
    for _ in range(100):  # a kernel looks for its parent once a second
        if not kernel.is_running() or kernel.status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.1)
    raise AssertionError("the kernel outlived its run")


def test_notebooks_that_do_not_need_each_other_run_side_by_side(make_job: MakeJob, run: Run, tmp_path: Path) -> None:
    meet = (
        "import pathlib, time\npathlib.Path({me!r}).touch()\n"
        "while not pathlib.Path({other!r}).exists(): time.sleep(0.05)"
    )
    marks = [str(tmp_path / name) for name in ("one", "two")]
    jobs = [
        make_job(f"n{number}", meet.format(me=marks[number], other=marks[1 - number]), timeout=30) for number in (0, 1)
    ]
    assert run(*jobs).executed == ("n0", "n1")


def test_notebooks_that_took_long_begin_first(make_job: MakeJob, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    jobs = [make_job("a", "n"), make_job("b", "import time; time.sleep(3)")]
    run(*jobs)
    capsys.readouterr()
    run(*(dataclasses.replace(job, parameters={"n": 6}) for job in jobs), workers=1, progress=True)
    assert [line[0] for line in capsys.readouterr().err.splitlines()] == ["b", "a"]


def test_each_notebook_is_reported_in_a_line(make_job: MakeJob, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run(make_job("a", KEEP, "keep('x', n)"), progress=True)
    assert re.fullmatch(r"a: \d+\.\d s\n", capsys.readouterr().err)


def test_a_terminal_shows_a_bar(
    make_job: MakeJob, run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    run(make_job("a", KEEP, "keep('x', n)"), progress=True)
    assert "1/1" in capsys.readouterr().err
