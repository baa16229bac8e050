"""Compare raking with R survey on 100,000 simulated respondents and 4 margins, side by side in one run.

usage: python benchmarks/raking.py [--rows N] [--rounds N]

Call it with the Python of the environment that smstudy is installed in. Without R, or without its package survey, only
smstudy is measured. Both sides begin with the respondents in memory and rake until the margins settle to 1e-12 of the
total; their weights are compared before the ratio is printed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import smstudy  # noqa: E402

SIZES = {"unit": 14, "grade": 5, "site": 6, "tenure": 4}
GOAL = 50
SAME = 1e-9
R_SIDE = """
suppressMessages(library(survey))
arguments <- commandArgs(trailingOnly = TRUE)
people <- read.csv(file.path(arguments[1], "people.csv"), stringsAsFactors = TRUE)
margins <- c("unit", "grade", "site", "tenure")
read_margin <- function(name) read.csv(file.path(arguments[1], paste0(name, ".csv")), stringsAsFactors = TRUE)
counts <- lapply(margins, read_margin)
until_settled <- list(maxit = 500, epsilon = 1e-12)
formulas <- lapply(margins, function(name) as.formula(paste("~", name)))
design <- svydesign(id = ~1, data = people, weights = rep(1, nrow(people)))
for (i in seq_len(as.integer(arguments[2]))) {
  seconds <- system.time(raked <- rake(design, formulas, counts, control = until_settled))[["elapsed"]]
  cat(seconds, "\\n")
}
found <- data.frame(weight = format(weights(raked), digits = 17))
write.csv(found, file.path(arguments[1], "weights.csv"), row.names = FALSE)
"""


def main() -> None:
    """Simulate, measure both sides, compare their weights, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000, metavar="N", help="respondents (default 100,000)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="how often to measure each side (default 3)")
    options = parser.parse_args()
    people, frame = simulate(options.rows)
    ours, weights = measure(people, frame, 3 * options.rounds)
    print(f"smstudy.rake: {ours:.3f} s (median of {3 * options.rounds})")
    with tempfile.TemporaryDirectory(prefix="smstudy-benchmark-") as folder:
        theirs = measure_r(Path(folder), people, frame, weights, options.rounds)
    if theirs is None:
        print("R survey is not installed here, so there is nothing to compare with.")
    else:
        print(f"survey::rake: {theirs:.3f} s (median of {options.rounds}); ratio {theirs / ours:.0f}x, goal {GOAL}x")


def simulate(n: int) -> tuple[pd.DataFrame, dict[str, dict[str, float]]]:
    """Respondents who differ from the head counts in every margin; margins go together."""
    rng = np.random.default_rng(4)
    people, frame = {}, {}
    latent = rng.normal(size=n)
    for name, k in SIZES.items():
        code = np.clip(np.floor(k * (0.5 + 0.15 * latent + rng.uniform(-0.5, 0.5, n))), 0, k - 1).astype(int)
        people[name] = np.array([f"{name} {i:02d}" for i in range(k)], dtype=object)[code]
        tilt = np.bincount(code, minlength=k) * rng.uniform(0.5, 2.0, k)
        frame[name] = dict(zip(sorted(set(people[name])), (3 * n * tilt / tilt.sum()).tolist(), strict=True))
    return pd.DataFrame(people), frame


def measure(people: pd.DataFrame, frame: dict[str, dict[str, float]], rounds: int) -> tuple[float, np.ndarray]:
    """Median seconds of the front door's rake, reading of categories and the table included."""
    smstudy.rake(people.head(2000), frame, pool_small=True)  # not counted: imports
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        weights = smstudy.rake(people, frame)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds), weights.values.frame["weight"].to_numpy()


def measure_r(
    folder: Path, people: pd.DataFrame, frame: dict[str, dict[str, float]], ours: np.ndarray, rounds: int
) -> float | None:
    """Median seconds of survey::rake alone, without reading the files."""
    if shutil.which("Rscript") is None:
        return None
    people.to_csv(folder / "people.csv", index=False)
    for name, counts in frame.items():
        pd.DataFrame({name: counts.keys(), "Freq": counts.values()}).to_csv(folder / f"{name}.csv", index=False)
    (folder / "rake.R").write_text(R_SIDE, encoding="utf-8")
    command = ["Rscript", str(folder / "rake.R"), str(folder), str(rounds)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return None
    theirs = pd.read_csv(folder / "weights.csv")["weight"].to_numpy()
    apart = float(np.max(np.abs(ours / theirs - 1)))
    print(f"largest relative difference of a weight: {apart:.1g}")
    if apart > SAME:
        sys.exit("The weights differ, so the times say nothing.")
    return statistics.median(map(float, done.stdout.split()))


if __name__ == "__main__":
    main()
