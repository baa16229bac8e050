"""Compare `smstudy run` with a loop of plain papermill commands over the same notebooks, side by side in one run.

usage: python benchmarks/run_speed.py [--rounds N] [--study NAME] [--workers N]

Standard library only; call it with the Python of the environment that smstudy is installed in.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
# All of it is copied: byte code and runs stay out of the checkout, and nobody edits the copy while it is measured.
COPIED = ("smstudy", "notebooks", "studies", "data")
LEFT_OUT = ("__pycache__", "runs", "released")
# Both sides have byte code, and no run or package from outside.
DROPPED = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "SMSTUDY_RUN")
STARTED = {"import smstudy": ("-c", "import smstudy"), "smstudy --help": ("-m", "smstudy", "--help")}
STARTS = 9
GOALS = {"cold": 0.70, "nothing changed": 0.05, "start": 0.15}


class Cost(NamedTuple):
    """What a command took: wall seconds, and CPU seconds of all its processes."""

    wall: float
    cpu: float


class Round(NamedTuple):
    """Each side measured once."""

    loop: Cost
    cold: Cost
    unchanged: Cost


def main() -> None:
    """Copy and compile, measure the sides in turns, print the table."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="smstudy-benchmark-") as folder:
        place = Path(folder)
        for name in COPIED:
            shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns(*LEFT_OUT))
        _compile(place)
        _smstudy(place, options)  # not counted: fills the disk cache for both sides
        rounds = [_round(place, options, loop_first=number % 2 == 0) for number in range(options.rounds)]
        starts = {name: _start(place, command) for name, command in STARTED.items()}
    print("\n".join([*_ratios(rounds), *_starts(starts), *_circumstances(rounds)]))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="how often to measure each side (default 3)")
    parser.add_argument("--study", default="quarterly-pulse", metavar="NAME", help="a study of studies/")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="notebooks run at a time (default 2)")
    return parser.parse_args()


def _compile(place: Path) -> None:
    """Byte-compile the copy and the environment, so that neither side pays for compiling."""
    paths = [str(place / "smstudy"), *(path for path in sys.path if path.endswith("site-packages"))]
    subprocess.run([sys.executable, "-m", "compileall", "-qq", *paths], env=_environment(place), check=False)


def _round(place: Path, options: argparse.Namespace, *, loop_first: bool) -> Round:
    if loop_first:
        return Round(_papermill(place, options), *_smstudy(place, options))
    cold, unchanged = _smstudy(place, options)
    return Round(_papermill(place, options), cold, unchanged)


def _papermill(place: Path, options: argparse.Namespace) -> Cost:
    """Run the notebooks one after the other, each by a papermill command of its own."""
    shutil.rmtree(place / "papermill", ignore_errors=True)
    (place / "papermill").mkdir()
    names = sorted(path.name for path in (place / "notebooks").glob("*.ipynb"))
    given = ("-p", "study", options.study)
    costs = [_measured(place, ("-m", "papermill", f"notebooks/{name}", f"papermill/{name}", *given)) for name in names]
    return Cost(*map(sum, zip(*costs, strict=True)))


def _smstudy(place: Path, options: argparse.Namespace) -> tuple[Cost, Cost]:
    """Run the study into an empty folder of runs, then once more."""
    shutil.rmtree(place / "studies" / options.study / "runs", ignore_errors=True)
    command = ("-m", "smstudy", "run", f"studies/{options.study}", "--workers", str(options.workers))
    return _measured(place, command), _measured(place, command)


def _start(place: Path, command: Sequence[str]) -> float:
    """Give the CPU seconds of a command that does next to nothing, the median of several."""
    return statistics.median(_measured(place, command).cpu for _ in range(STARTS))


def _measured(place: Path, command: Sequence[str]) -> Cost:
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([sys.executable, *command], cwd=place, env=_environment(place), capture_output=True)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr.decode(errors='replace')}")
    return Cost(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def _environment(place: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in DROPPED}
    return {**kept, "PYTHONPATH": str(place)}


def _ratios(rounds: Sequence[Round]) -> list[str]:
    lines = [f"{'smstudy run / papermill loop':32}{'wall':>8}{'goal':>8}{'CPU':>8}"]
    sides = {"cold": [each.cold for each in rounds], "nothing changed": [each.unchanged for each in rounds]}
    for name, costs in sides.items():
        pairs = [(cost, each.loop) for cost, each in zip(costs, rounds, strict=True)]
        wall = statistics.median(cost.wall / loop.wall for cost, loop in pairs)
        cpu = statistics.median(cost.cpu / loop.cpu for cost, loop in pairs)
        lines.append(f"{name:32}{wall:8.3f}{GOALS[name]:8.2f}{cpu:8.3f}")
    return lines


def _starts(starts: dict[str, float]) -> list[str]:
    lines = ["", f"{'CPU seconds':32}{'':8}{'goal':>8}{'CPU':>8}"]
    return lines + [f"{name:32}{'':8}{GOALS['start']:8.2f}{cpu:8.3f}" for name, cpu in starts.items()]


def _circumstances(rounds: Sequence[Round]) -> list[str]:
    """Say how even the rounds were: wall seconds on a busy machine differ, CPU seconds hardly."""
    walls = ", ".join(f"{each.cold.wall:.1f}/{each.loop.wall:.1f}" for each in rounds)
    cpus = ", ".join(f"{each.cold.cpu:.1f}/{each.loop.cpu:.1f}" for each in rounds)
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    return ["", f"cold/loop of each round, wall s: {walls}; CPU s: {cpus}; {load}"]


if __name__ == "__main__":
    main()
