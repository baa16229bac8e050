"""Compare multiple imputation with R mice on 5,000 simulated respondents and 40 items, side by side in one run.

usage: python benchmarks/imputation.py [--rows N] [--items N] [--imputations N] [--iterations N] [--rounds N]

Call it with the Python of the environment that smstudy is installed in. Without R, or without its package mice, only
smstudy is measured. Both sides begin with the same answers in memory (a tenth is missing), predict every item from all
others and use predictive mean matching with 5 donors. Draws differ; the means of the imputed answers are printed beside
the times.
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

R_SIDE = """
suppressMessages(library(mice))
arguments <- commandArgs(trailingOnly = TRUE)
people <- read.csv(arguments[1])
numbers <- as.integer(arguments[-1])
for (i in seq_len(numbers[3])) {
  seconds <- system.time(imp <- mice(people, m = numbers[1], maxit = numbers[2], method = "pmm", seed = i,
                                     printFlag = FALSE))[["elapsed"]]
  cat(seconds, mean(unlist(imp$imp)), "\\n")
}
"""


def main() -> None:
    """Simulate, measure both sides, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("rows", 5000), ("items", 40), ("imputations", 2), ("iterations", 2), ("rounds", 2)):
        parser.add_argument(f"--{name}", type=int, default=default, metavar="N", help=f"default {default}")
    options = parser.parse_args()
    people = simulate(options.rows, options.items)
    ours, mean = measure(people, options)
    print(f"smstudy.impute: {ours:.2f} s, mean of imputed answers {mean:.3f}")
    found = measure_r(people, options)
    if found is None:
        print("R mice is not installed here, so there is nothing to compare with.")
    else:
        print(f"mice::mice: {found[0]:.2f} s, mean of imputed answers {found[1]:.3f}; ratio {found[0] / ours:.0f}x")


def simulate(rows: int, items: int) -> pd.DataFrame:
    """Answers from 1 to 5 on four traits, a tenth of them missing."""
    rng = np.random.default_rng(1)
    traits = rng.normal(size=(rows, 4))[:, np.arange(items) % 4]
    answers = np.clip(np.round(3 + 0.7 * traits + 0.8 * rng.normal(size=(rows, items))), 1, 5)
    answers[rng.random(answers.shape) < 0.1] = np.nan
    return pd.DataFrame(answers, columns=[f"q{j + 1}" for j in range(items)])


def measure(people: pd.DataFrame, options: argparse.Namespace) -> tuple[float, float]:
    """Median seconds of smstudy, and the mean of what it imputed."""
    imputed = smstudy.impute(people.head(1000), m=2, iterations=1, seed=1)  # not counted: imports
    seconds = []
    for seed in range(1, options.rounds + 1):
        start = time.perf_counter()
        imputed = smstudy.impute(people, m=options.imputations, iterations=options.iterations, seed=seed)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), float(np.concatenate([v.ravel() for v in imputed.values.values()]).mean())


def measure_r(people: pd.DataFrame, options: argparse.Namespace) -> tuple[float, float] | None:
    """The same of mice."""
    if shutil.which("Rscript") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "people.csv")
        people.to_csv(table, index=False, na_rep="NA")
        numbers = [str(number) for number in (options.imputations, options.iterations, options.rounds)]
        command = ["Rscript", "-e", R_SIDE, str(table), *numbers]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return None
    lines = [line.split() for line in done.stdout.splitlines()]
    return statistics.median(float(line[0]) for line in lines), float(lines[-1][1])


if __name__ == "__main__":
    main()
