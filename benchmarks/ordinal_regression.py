"""Compare ordinal regression with R ordinal::clm, side by side in one run.

usage: python benchmarks/ordinal_regression.py [--rounds N] [--respondents N] [--large N]

Call it with the Python of the environment that smstudy is installed in. Without R, or without its package ordinal, only
smstudy is measured. Both sides begin with the answers in memory and use one thread. "fit" ends with estimates and
standard errors; "answer" is what ordinal() gives, which includes the test of proportional odds of every driver, against
clm() with nominal_test(). Log-likelihoods are compared before a ratio is printed. Drivers are answers on scales with
many points, then items of five points, of which many respondents gave the same; then a million respondents are measured
on our side alone.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from smstudy.inference.regression.ordinal import ordinal_fit  # noqa: E402
from smstudy.models.regressions.categories import ordinal  # noqa: E402

GOAL, LARGE_GOAL = 5, 10
SAME = 1e-8  # both are at the maximum, where the log-likelihood is flat
DRIVERS = ["a", "b", "c", "d", "e"]
FORMULA = f"y ~ {' + '.join(DRIVERS)}"
R_SIDE = """
suppressMessages(library(ordinal))
arguments <- commandArgs(trailingOnly = TRUE)
people <- read.csv(arguments[1])
people$y <- factor(people$y, ordered = TRUE)
cpu <- function(taken) taken[["user.self"]] + taken[["sys.self"]]
for (i in seq_len(as.integer(arguments[2]))) {
  one <- system.time({ fit <- clm(y ~ a + b + c + d + e, data = people); summary(fit) })
  two <- system.time(nominal_test(fit))
  cat(one[["elapsed"]], cpu(one), one[["elapsed"]] + two[["elapsed"]], cpu(one) + cpu(two),
      format(as.numeric(logLik(fit)), digits = 15), "\\n")
}
"""


def main() -> None:
    """Measure both sides on the same answers, compare what they find, then measure the large problem."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="how often to measure (default 5)")
    parser.add_argument("--respondents", type=int, default=3000, metavar="N", help="simulated respondents")
    parser.add_argument("--large", type=int, default=1_000_000, metavar="N", help="respondents of the large problem")
    options = parser.parse_args()
    for what, points in (("many points", 0), ("five points", 5)):
        people = simulate(options.respondents, points)
        x, y = people[DRIVERS].to_numpy(float), people["y"].to_numpy()
        ours = [
            *seconds_of(lambda x=x, y=y: ordinal_fit(x, y, names=DRIVERS), 4 * options.rounds),
            *seconds_of(lambda people=people: ordinal(FORMULA, people), 4 * options.rounds),
        ]
        theirs = measure_r(people, ordinal_fit(x, y, names=DRIVERS).log_likelihood, options.rounds)
        labels = ("fit, wall", "fit, CPU", "answer, wall", "answer, CPU")
        for label, one, other in zip(labels, ours, theirs or [None] * 4, strict=True):
            told = "R or ordinal is not installed" if other is None else f"R {other:.4f} s; ratio {other / one:.1f}x"
            print(f"{options.respondents:,} respondents, {what}, {label}: {one:.4f} s; {told}; goal {GOAL}x")
    for what, points in (("many points", 0), ("five points", 5)):
        measure_large(simulate(options.large, points), what)


def simulate(n: int, points: int) -> pd.DataFrame:
    """Answers in five ordered steps that go with five drivers."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(n, len(DRIVERS)))
    x = np.clip(np.round(x + (points + 1) / 2), 1, points) if points else x
    line = x @ [0.5, 0.3, 0.0, -0.2, 0.1]
    latent = line - line.mean() + rng.logistic(size=n)
    return pd.DataFrame(x, columns=DRIVERS).assign(y=np.searchsorted([-2, -1, 0.5, 2], latent))


def seconds_of(work: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Median seconds by the clock and of the CPU; the first round is not counted."""
    seconds = []
    for _ in range(rounds + 1):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        seconds.append((time.perf_counter() - wall, time.process_time() - cpu))
    return tuple(np.median(seconds[1:], axis=0).tolist())


def measure_r(people: pd.DataFrame, log_likelihood: float, rounds: int) -> list[float] | None:
    """The same of clm, without reading the file."""
    if shutil.which("Rscript") is None:
        return None
    with tempfile.TemporaryDirectory(prefix="smstudy-benchmark-") as folder:
        place = Path(folder)
        people.to_csv(place / "people.csv", index=False)
        (place / "clm.R").write_text(R_SIDE, encoding="utf-8")
        command = ["Rscript", str(place / "clm.R"), str(place / "people.csv"), str(rounds)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            return None
    measured = np.array([line.split() for line in done.stdout.splitlines()], dtype=float)
    apart = float(np.abs(measured[:, 4] / log_likelihood - 1).max())
    if apart > SAME:
        sys.exit(f"The log-likelihoods differ by {apart:.1g}, so the times say nothing.")
    return np.median(measured[1:, :4], axis=0).tolist()


def measure_large(people: pd.DataFrame, what: str) -> None:
    """Print seconds and memory; CPU seconds hardly depend on what else runs."""
    wall, cpu = time.perf_counter(), time.process_time()
    ordinal(FORMULA, people)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{len(people):,} respondents, {what}: {wall:.1f} s (CPU {cpu:.1f} s), goal {LARGE_GOAL} s; largest memory of "
        f"the process {memory:.1f} GB"
    )


if __name__ == "__main__":
    main()
