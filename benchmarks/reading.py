"""Compare reading and checking a large CSV with the fastest way pandas reads it, side by side in one run.

usage: python benchmarks/reading.py [--rows N] [--rounds N]

The file has 60 columns: id, date, department, a short comment and 56 items with blanks and a code for "refused". Every
measurement is a process of its own; memory is its peak above what the imports take.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

ITEMS = 56
UNITS = [f"Unit {number}" for number in range(12)]
GOALS = {"read and check": (1.5, 3.0), "read and decode": (1.5, 3.0)}
PANDAS: dict[str, dict[str, object]] = {
    "pandas c": {},
    "pandas c, text": {"dtype": str, "keep_default_na": False},
    "pandas pyarrow": {"engine": "pyarrow"},
    "pandas pyarrow, text": {"engine": "pyarrow", "dtype": str, "keep_default_na": False},
    "pandas pyarrow, arrow types": {"engine": "pyarrow", "dtype_backend": "pyarrow"},
}


class Cost(NamedTuple):
    """Wall and CPU seconds, and the peak of memory in bytes above that of the imports."""

    wall: float
    cpu: float
    memory: int


def main() -> None:
    """Write the file, measure every way in turns, print the table."""
    options = _options()
    if options.measure:
        print(json.dumps(_measured(options.measure, Path(options.file))))
        return
    with tempfile.TemporaryDirectory(prefix="smstudy-benchmark-") as folder:
        path = Path(folder) / "responses.csv"
        _write(path, options.rows)
        ways = [*PANDAS, *GOALS]
        rounds = [{way: _in_a_process(way, path) for way in ways} for _ in range(options.rounds)]
        print("\n".join(_table(rounds, path.stat().st_size)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000, metavar="N", help="rows of the file (default 1,000,000)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="how often to measure each way (default 3)")
    parser.add_argument("--measure", default="", help=argparse.SUPPRESS)
    parser.add_argument("--file", default="", help=argparse.SUPPRESS)
    return parser.parse_args()


def _write(path: Path, rows: int) -> None:
    """Write a survey like a platform does; seeded, so that it is the same file every time."""
    rng = np.random.default_rng(1)
    answers = np.array(["1", "2", "3", "4", "5", "", "-99"], dtype=object)
    words = np.array(
        ["the", "tool", "helps", "our", "team", "share", "news", "but", "search", "is", "slow"], dtype=object
    )
    names = ["ResponseId", "StartDate", "unit", "comment", *(f"q{number}" for number in range(1, ITEMS + 1))]
    path.write_text(",".join(names) + "\n", encoding="utf-8")
    for start in range(0, rows, 50_000):
        n = min(50_000, rows - start)
        days = np.datetime64("2026-01-01T08:00:00") + rng.integers(0, 60 * 86_400, n).astype("timedelta64[s]")
        text = words[rng.integers(0, len(words), (n, 3))]
        columns = {
            "id": [f"R_{number:013d}" for number in range(start, start + n)],
            "date": np.char.replace(np.datetime_as_string(days), "T", " "),
            "unit": np.array(UNITS, dtype=object)[rng.integers(0, len(UNITS), n)],
            "comment": np.where(rng.random(n) < 0.3, "", text[:, 0] + " " + text[:, 1] + " " + text[:, 2]),
        }
        items = pd.DataFrame(answers[rng.choice(7, (n, ITEMS), p=[0.1, 0.2, 0.3, 0.2, 0.15, 0.04, 0.01])])
        frame = pd.concat([pd.DataFrame(columns), items], axis=1)
        frame.to_csv(path, mode="a", header=False, index=False, lineterminator="\n")


def _in_a_process(way: str, path: Path) -> Cost:
    command = [sys.executable, __file__, "--measure", way, "--file", str(path)]
    return Cost(*json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout))


def _measured(way: str, path: Path) -> Cost:
    action = _way(way)
    base = _peak()
    wall, cpu = time.perf_counter(), time.process_time()
    kept = action(path)
    cost = Cost(time.perf_counter() - wall, time.process_time() - cpu, _peak() - base)
    del kept
    return cost


def _peak() -> int:
    """Most memory this process has held; Linux would count that of its parent too if asked the portable way."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.search(r"VmHWM:\s*(\d+)", status.read_text())[1]) << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _way(way: str) -> Callable[[Path], object]:
    """Import what a way needs, and give what it does."""
    if way in PANDAS:
        import pyarrow.csv  # noqa: F401  (not counted)

        return lambda path: pd.read_csv(path, **PANDAS[way])
    from smstudy.survey.decoding import decode, decode_each
    from smstudy.survey.exports import read_export

    codebook = _codebook()
    if way == "read and decode":
        return lambda path: decode(read_export(path, keep=["comment"]), codebook)
    return lambda path: [name for name, _ in decode_each(read_export(path, keep=["comment"]), codebook)]


def _codebook() -> object:
    from smstudy.survey.codebook import Codebook

    scale = [{"value": code, "label": f"answer {code}"} for code in range(1, 6)]
    variables = [
        {"name": "ResponseId", "kind": "id"},
        {"name": "StartDate", "kind": "date"},
        {"name": "unit", "kind": "unit", "categories": [{"value": unit, "label": unit} for unit in UNITS]},
        {"name": "comment", "kind": "text"},
        *({"name": f"q{number}", "kind": "item", "categories": scale} for number in range(1, ITEMS + 1)),
    ]
    return Codebook.model_validate({"title": "benchmark", "missing": {"-99": "refused"}, "variables": variables})


def _table(rounds: list[dict[str, Cost]], size: int) -> list[str]:
    """The median of the ratios of the rounds; the fastest pandas way is that of the same round."""
    lines = [f"{'':30}{'wall s':>8}{'CPU s':>8}{'ratio':>8}{'goal':>8}{'memory':>9}{'goal':>8}"]
    for way in rounds[0]:
        costs = [each[way] for each in rounds]
        ratio = statistics.median(each[way].wall / min(each[other].wall for other in PANDAS) for each in rounds)
        memory = max(cost.memory for cost in costs) / size
        goals = [f"{goal:8.2f}" for goal in GOALS.get(way, ())] or [f"{'':8}"] * 2
        wall, cpu = (statistics.median(getattr(cost, name) for cost in costs) for name in ("wall", "cpu"))
        lines.append(f"{way:30}{wall:8.2f}{cpu:8.2f}{ratio:8.2f}{goals[0]}{memory:8.2f}x{goals[1]}")
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    return [*lines, "", f"file of {size >> 20} MB; memory in times its size; {load}"]


if __name__ == "__main__":
    main()
