"""The notebooks of a study run in the order they need each other; what did not change is not run again."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from smstudy.engine import manifest
from smstudy.engine.fingerprint import digest_file, digest_json, notebook_digest, package_digest, versions
from smstudy.engine.parameters import check_parameters, declared_parameters
from smstudy.errors import RunError, SmstudyError, StudyError, did_you_mean

if TYPE_CHECKING:
    from smstudy.engine.kernels import Executed, Kernels

SCHEMA = 1
PARTS = ("results", "figures", "tables")
PICTURES = (".png", ".svg", ".pdf")
LOCK_SECONDS = 2.0
NAME = re.compile(r"[A-Za-z0-9_](?:[\w .-]*\w)?")
FULL_DISK = frozenset({errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)})


@dataclass(frozen=True)
class Job:
    """One notebook to run.

    Parameters
    ----------
    name : str
        Its name in the run; also the name of its folders.
    notebook : Path
        The notebook file; only read.
    parameters : mapping
        Values for declared parameters.
    after : tuple of str
        Names of the notebooks whose results it reads.
    inputs : mapping of str to str
        Name to sha256 of each file it reads.
    context : mapping
        JSON handed to the notebook. What stands under ``paths`` does not count for whether it is run again.
    timeout : int
        Seconds one cell may take.
    """

    name: str
    notebook: Path
    parameters: Mapping[str, object]
    after: tuple[str, ...]
    inputs: Mapping[str, str]
    context: Mapping[str, object]
    timeout: int


@dataclass(frozen=True)
class Finished:
    """A complete run: its folder and key, the names of the notebooks that were run and reused, and the wall seconds."""

    folder: Path
    key: str
    executed: tuple[str, ...]
    reused: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class _Entry:
    """A finished notebook in the cache, with what its entry.json says."""

    folder: Path
    record: Mapping[str, object]


@dataclass(frozen=True)
class _Plan:
    """The jobs in an order in which each comes after those it needs, and what their keys have in common."""

    jobs: tuple[Job, ...]
    runs: Path
    case: str
    identity: Mapping[str, object]

    def key(self, job: Job, entries: Mapping[str, _Entry]) -> str:
        context = {name: value for name, value in job.context.items() if name != "paths"}
        parts = {
            "schema": SCHEMA, "package": package_digest(), "versions": versions(), "case": self.case, "name": job.name,
            "notebook": notebook_digest(job.notebook), "parameters": job.parameters, "inputs": job.inputs,
            "context": context, "upstream": {name: entries[name].record["handed_digest"] for name in job.after},
        }  # fmt: skip
        return digest_json(parts)[:16]

    def run_key(self, entries: Mapping[str, _Entry]) -> str:
        keys = {job.name: entries[job.name].record["key"] for job in self.jobs}
        parts = {"schema": SCHEMA, "identity": self.identity, "package": package_digest(), "notebooks": keys}
        return digest_json(parts)[:12]

    def cached(self, key: str) -> _Entry | None:
        """Find a finished notebook whose files are all there and unchanged."""
        folder = self.runs / ".cache" / key
        try:
            record = json.loads((folder / "entry.json").read_text(encoding="utf-8"))
            sound = all(digest_file(folder / file["path"]) == file["sha256"] for file in record["outputs"])
            return _Entry(folder, record) if sound and record["schema"] == SCHEMA else None
        except (OSError, ValueError, KeyError, TypeError):
            return None


def run_jobs(
    jobs: Sequence[Job],
    *,
    runs: Path,
    case: str,
    identity: Mapping[str, object],
    finish: Callable[[Path], None],
    workers: int = 2,
    progress: bool = True,
) -> Finished:
    """Run what has to be run and put the run together; a run is complete or absent.

    Parameters
    ----------
    jobs : sequence of Job
        The notebooks of the study.
    runs : Path
        The folder of all runs of the study; made when missing. One process at a time writes to it.
    case : str
        The folder of this run inside `runs`: organization and wave.
    identity : mapping
        JSON that says what the run is of (study, data digests, seed ...); counts for the key and goes to the manifest.
    finish : callable
        Called with the folder put together, before it is published; writes the report, checks every file. The manifest
        is there already, but for the list of outputs. If it raises, nothing is published.
    workers : int
        How many notebooks may run at a time.
    progress : bool
        Report each notebook to stderr: a bar on a terminal, lines elsewhere.

    Returns
    -------
    Finished
        At once, when nothing changed and the run is there.

    Raises
    ------
    StudyError
        If the jobs do not fit together, a parameter is wrong, or a notebook cannot be read.
    RunError
        If a cell fails, the folder cannot be written, another run is under way, or the user stops it. What a failing
        notebook raised of smstudy's own errors comes back as that family.
    """
    started = time.monotonic()
    ordered = tuple(map(_checked, _ordered(jobs)))
    plan = _Plan(ordered, Path(os.path.abspath(runs)), _checked_case(case), identity)
    try:
        finished = _unchanged(plan, started)
        if finished is None:
            with only_run(plan.runs), _staging(plan.runs) as staging:
                finished = _run(plan, staging, finish, workers=workers, progress=progress, started=started)
        return finished
    except KeyboardInterrupt:
        raise RunError("stopped by you. Earlier runs are untouched; run again to go on where it stopped.") from None
    except OSError as error:
        raise _disk_error(error, plan.runs) from None


def latest_run(runs: Path, case: str) -> Path | None:
    """Give the folder of the last run of a case, None when there is none."""
    try:
        folder = Path(runs) / case / (Path(runs) / case / "latest").read_text(encoding="utf-8").strip()
    except OSError:
        return None
    return folder if (folder / manifest.MANIFEST).is_file() else None


def _ordered(jobs: Sequence[Job]) -> tuple[Job, ...]:
    names = [job.name for job in jobs]
    for name in names:
        if not NAME.fullmatch(name) or names.count(name) > 1:
            raise StudyError(f'notebook name "{name}" is used twice or is not a plain file name. Correct study.yml.')
    for job in jobs:
        for needed in job.after:
            if needed not in names:
                raise StudyError(f'notebook {job.name} comes after "{needed}". {did_you_mean(needed, names)}')
    ordered: list[Job] = []
    while len(ordered) < len(jobs):
        done = {job.name for job in ordered}
        ready = [job for job in jobs if job.name not in done and done.issuperset(job.after)]
        if not ready:
            waiting = ", ".join(name for name in names if name not in done)
            raise StudyError(f"these notebooks wait for each other: {waiting}. Correct their after: in study.yml.")
        ordered += ready
    return tuple(ordered)


def _checked(job: Job) -> Job:
    where = f"notebook {job.name}"
    return replace(job, parameters=check_parameters(job.parameters, declared_parameters(job.notebook), where=where))


def _checked_case(case: str) -> str:
    parts = case.split("/")
    if not all(NAME.fullmatch(part) and part not in ("failed", "latest") for part in parts):
        raise StudyError(f'case "{case}" cannot name a folder. Use letters, digits, ".", "_" and "-".')
    return case


def _unchanged(plan: _Plan, started: float) -> Finished | None:
    """Find the run that is already there; loads nothing but the standard library."""
    entries: dict[str, _Entry] = {}
    for job in plan.jobs:
        entry = plan.cached(plan.key(job, entries))
        if entry is None:
            return None
        entries[job.name] = entry
    return _published(plan, plan.run_key(entries), executed=(), started=started)


def _published(plan: _Plan, key: str, *, executed: tuple[str, ...], started: float) -> Finished | None:
    folder = plan.runs / plan.case / key
    try:
        listed = manifest.read_manifest(folder)["outputs"]
    except RunError:
        return None
    if not all((folder / file["path"]).is_file() for file in listed):
        return None
    _point_to(folder)
    reused = tuple(job.name for job in plan.jobs if job.name not in executed)
    return Finished(folder, key, executed, reused, time.monotonic() - started)


def _run(
    plan: _Plan, staging: Path, finish: Callable[[Path], None], *, workers: int, progress: bool, started: float
) -> Finished:
    with _reporter(len(plan.jobs), shown=progress) as report:
        entries, executed = _finished_entries(plan, staging, workers=workers, report=report)
    key = plan.run_key(entries)
    done = _published(plan, key, executed=executed, started=started)
    if done is not None:
        return done
    folder = staging / "run"
    _assemble(plan, entries, folder)
    record = _record(plan, key, entries, executed, folder)
    manifest.write_manifest(folder, record, outputs=False)
    finish(folder)
    manifest.write_manifest(folder, record, outputs=True)
    _publish(folder, plan.runs / plan.case / key, staging)
    shutil.rmtree(plan.runs / plan.case / "failed", ignore_errors=True)
    return _published(plan, key, executed=executed, started=started)


def _finished_entries(
    plan: _Plan, staging: Path, *, workers: int, report: Callable[[str, str], None]
) -> tuple[dict[str, _Entry], tuple[str, ...]]:
    """Give the cache entry of every job, running what is not there; also the names of those run."""
    from smstudy.engine.kernels import Kernels  # papermill: too slow for a run in which nothing changed

    seconds = _known_seconds(plan.runs)
    entries: dict[str, _Entry] = {}
    executed: list[str] = []
    running: dict[Future[_Entry], Job] = {}
    with ThreadPoolExecutor(max(1, workers)) as pool, Kernels() as kernels:
        while len(entries) < len(plan.jobs):
            ready = sorted(_ready(plan, entries, running), key=lambda job: seconds.get(job.name, 0.0), reverse=True)
            for job in ready[: max(1, workers) - len(running)]:
                key = plan.key(job, entries)
                found = plan.cached(key)
                if found is not None:
                    entries[job.name] = found
                    report(job.name, "unchanged")
                    break
                running[pool.submit(_build, plan, job, key, dict(entries), staging, kernels)] = job
            else:
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    job = running.pop(future)
                    entries[job.name] = _result_or_wait(future, running)
                    executed.append(job.name)
                    report(job.name, f"{entries[job.name].record['seconds']:.1f} s")
    return entries, tuple(job.name for job in plan.jobs if job.name in executed)


def _result_or_wait(future: Future[_Entry], others: Mapping[Future[_Entry], Job]) -> _Entry:
    """Give a finished job's entry; if it failed, let those under way finish first, so that they need not run again."""
    if future.exception() is not None:
        wait(others)
    return future.result()


def _known_seconds(runs: Path) -> dict[str, float]:
    """Give the longest each notebook took so far; long ones begin first, so that none is left to run alone."""
    seconds: dict[str, float] = {}
    for path in (runs / ".cache").glob("*/entry.json"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            record = json.loads(path.read_text(encoding="utf-8"))
            seconds[record["name"]] = max(record["seconds"], seconds.get(record["name"], 0.0))
    return seconds


def _ready(plan: _Plan, entries: Mapping[str, _Entry], running: Mapping[Future[_Entry], Job]) -> list[Job]:
    begun = {*entries, *(job.name for job in running.values())}
    return [job for job in plan.jobs if job.name not in begun and all(name in entries for name in job.after)]


def _build(plan: _Plan, job: Job, key: str, entries: Mapping[str, _Entry], staging: Path, kernels: Kernels) -> _Entry:
    """Run one notebook into a cache entry of its own."""
    folder = staging / "entries" / job.name
    for part in PARTS:
        (folder / part).mkdir(parents=True)
    handed = staging / "entries" / f"{job.name}.json"
    upstream = {name: str(entries[name].folder) for name in job.after}
    manifest.write_json(handed, {**job.context, "case": plan.case, "output": str(folder), "upstream": upstream})
    executed = _executed(plan, job, handed, kernels)
    if plan.key(job, entries) != key:
        raise RunError(f"{job.notebook} was changed while it ran. Run again.")
    (folder / "notebook.ipynb").write_text(executed.text, encoding="utf-8")
    manifest.write_json(folder / "entry.json", _entry_record(job, key, executed, folder))
    final = plan.runs / ".cache" / key
    _publish(folder, final, staging)
    return _Entry(final, json.loads((final / "entry.json").read_text(encoding="utf-8")))


def _executed(plan: _Plan, job: Job, handed: Path, kernels: Kernels) -> Executed:
    from smstudy.engine.kernels import NotebookFailure, execute

    try:
        return execute(
            job.notebook, name=job.name, parameters=job.parameters, environment={"SMSTUDY_RUN": str(handed)},
            timeout=job.timeout, kernels=kernels,
        )  # fmt: skip
    except NotebookFailure as failure:
        if not kernels.stopped:
            _keep_failed(plan, job, failure.text)
        raise failure.error from None


def _entry_record(job: Job, key: str, executed: Executed, folder: Path) -> dict[str, object]:
    return {
        "schema": SCHEMA, "key": key, "name": job.name, "notebook": notebook_digest(job.notebook),
        "parameters": dict(job.parameters), "seconds": round(executed.seconds, 3),
        "cells": [{"cell": number, "seconds": seconds} for number, seconds in executed.cells],
        "result_digest": manifest.result_digest(folder), "handed_digest": _handed_digest(folder),
        "outputs": list(manifest.list_outputs(folder)),
    }  # fmt: skip


def _handed_digest(folder: Path) -> str:
    """Give the digest of all that a later notebook could read: results to 9 digits, other files, no pictures."""
    others = {
        path: digest_file(folder / path)
        for path in manifest.files_of(folder)
        if path.startswith(tuple(f"{part}/" for part in PARTS))
        and not path.endswith(PICTURES)
        and not (path.startswith("results/") and path.endswith(".json"))
    }
    return digest_json({"results": manifest.result_digest(folder), "others": others})


def _keep_failed(plan: _Plan, job: Job, text: str) -> None:
    folder = plan.runs / plan.case / "failed"
    with suppress(OSError):  # a full disk must not hide what failed
        folder.mkdir(parents=True, exist_ok=True)
        _write_aside(folder / f"{job.name}.ipynb", text)


def _assemble(plan: _Plan, entries: Mapping[str, _Entry], folder: Path) -> None:
    (folder / "notebooks").mkdir(parents=True)
    for job in plan.jobs:
        entry = entries[job.name].folder
        shutil.copyfile(entry / "notebook.ipynb", folder / "notebooks" / f"{job.name}.ipynb")
        for part in PARTS:
            for path in manifest.files_of(entry / part):
                target = folder / part / job.name / path
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(entry / part / path, target)


def _record(
    plan: _Plan, key: str, entries: Mapping[str, _Entry], executed: tuple[str, ...], folder: Path
) -> dict[str, object]:
    kept = ("key", "notebook", "parameters", "result_digest", "seconds")
    notebooks = {
        job.name: {
            **{name: entries[job.name].record[name] for name in kept},
            "inputs": dict(job.inputs),
            "after": list(job.after),
            "reused": job.name not in executed,
        }
        for job in plan.jobs
    }
    return {
        "key": key, "case": plan.case, "identity": dict(plan.identity), "result_digest": manifest.result_digest(folder),
        "notebooks": notebooks, "package": package_digest(), "environment": versions(),
    }  # fmt: skip


def _publish(folder: Path, final: Path, staging: Path) -> None:
    """Bring a folder to the disk, then to its name; what is there under that name already is damaged and makes way."""
    _sync(folder)
    final.parent.mkdir(parents=True, exist_ok=True)
    if final.exists():
        os.replace(final, Path(tempfile.mkdtemp(dir=staging)) / "replaced")
    os.replace(folder, final)
    _sync_one(final.parent)


def _sync(folder: Path) -> None:
    for parent, _, names in os.walk(folder, topdown=False):
        for name in names:
            _sync_one(Path(parent, name))
        _sync_one(Path(parent))


def _sync_one(path: Path) -> None:
    if os.name != "posix" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _point_to(folder: Path) -> None:
    pointer = folder.parent / "latest"
    if not pointer.is_file() or pointer.read_text(encoding="utf-8").strip() != folder.name:
        _write_aside(pointer, f"{folder.name}\n")


def _write_aside(path: Path, text: str) -> None:
    aside = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        aside.write_text(text, encoding="utf-8")
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def only_run(runs: Path) -> Iterator[None]:
    """Hold the one lock of a folder of runs; RunError if somebody else holds it."""
    from filelock import FileLock, Timeout  # imports asyncio: too slow for a run in which nothing changed

    runs.mkdir(parents=True, exist_ok=True)
    lock = FileLock(runs / ".lock")
    try:
        lock.acquire(timeout=LOCK_SECONDS)
    except Timeout:
        raise RunError(f"another run is writing to {runs}. Wait until it has finished, then run again.") from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _staging(runs: Path) -> Iterator[Path]:
    """Give a folder to build in, removed in the end; those of killed runs are removed first. Needs the lock."""
    for stale in runs.glob(".staging-*"):
        shutil.rmtree(stale, ignore_errors=True)
    staging = Path(tempfile.mkdtemp(dir=runs, prefix=".staging-"))
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def _reporter(total: int, *, shown: bool) -> Iterator[Callable[[str, str], None]]:
    if not shown:
        yield lambda name, what: None
    elif not sys.stderr.isatty():
        yield lambda name, what: print(f"{name}: {what}", file=sys.stderr, flush=True)
    else:
        from tqdm import tqdm  # a run in which nothing changed draws no bar

        with tqdm(total=total, unit="notebook", leave=False) as bar:

            def tick(name: str, what: str) -> None:
                bar.set_description(f"{name}: {what}")
                bar.update()

            yield tick


def _disk_error(error: OSError, runs: Path) -> SmstudyError:
    place = error.filename or runs
    if error.errno in FULL_DISK:
        return RunError(f"the disk is full ({place}). Make room and run again; earlier runs are untouched.")
    reason = error.strerror or type(error).__name__
    return RunError(f"{place} cannot be written or read: {reason}. Correct that and run again.")
