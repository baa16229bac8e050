"""Compare polychoric correlations with R lavaan on 25 items x 2,436 respondents, side by side in one run.

usage: python benchmarks/polychoric.py [--rounds N] [--rows N] [--items N]

Call it with the Python of the environment that smstudy is installed in. Without R, or without its package lavaan, only
smstudy is measured. Both sides begin with the answers in memory and use one thread; their correlations are compared
before a ratio is printed. The second line adds the covariance of all thresholds and correlations; R computes it when it
prepares a model. Then 100,000 simulated respondents with 60 items are measured on our side alone.
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
from collections.abc import Callable
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from smstudy.inference.psychometrics.polychoric import Polychorics, asymptotic_covariance, ordinal_codes, polychorics  # noqa: E402

ANSWERS = ROOT / "tests" / "reference" / "bfi_complete.csv"
GOAL, LARGE_GOAL = 20, 10
SAME = 1e-6
R_SIDE = """
suppressMessages(library(lavaan))
arguments <- commandArgs(trailingOnly = TRUE)
items <- read.csv(arguments[1])
model <- paste("f =~", paste(names(items), collapse = " + "))
seconds <- function(code) system.time(code)[["elapsed"]]
for (i in seq_len(as.integer(arguments[3]))) {
  plain <- seconds(r <- lavCor(items, ordered = names(items)))
  with_covariance <- seconds(fit <- cfa(model, items, ordered = names(items), estimator = "WLSMV", do.fit = FALSE))
  cat(plain, with_covariance, "\\n")
}
write.csv(format(unclass(r), digits = 17), arguments[2], row.names = FALSE)
"""


def main() -> None:
    """Measure both sides on the same answers, compare what they find, then measure the large problem."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="how often to measure R (default 3)")
    parser.add_argument("--rows", type=int, default=100_000, metavar="N", help="simulated respondents")
    parser.add_argument("--items", type=int, default=60, metavar="N", help="simulated items")
    options = parser.parse_args()
    items = pd.read_csv(ANSWERS)
    ours = [median_of(work, items, 5 * options.rounds) for work in (correlate, correlate_and_covary)]
    theirs = measure_r(items, correlate(items), options.rounds)
    lines = ("polychoric correlations, lavaan::lavCor", "the same with their covariance, lavaan::cfa(do.fit = FALSE)")
    for line, one, other in zip(lines, ours, theirs or (None, None), strict=True):
        told = "R or lavaan is not installed" if other is None else f"R {other:.2f} s; ratio {other / one:.0f}x"
        print(f"{line}: {one:.3f} s; {told}; goal {GOAL}x")
    measure_large(simulate(options.rows, options.items))


def correlate(items: pd.DataFrame) -> Polychorics:
    """What lavCor does: read the answers, thresholds, correlations."""
    return polychorics(ordinal_codes(items))


def correlate_and_covary(items: pd.DataFrame) -> np.ndarray:
    """What lavaan does before it fits a model."""
    sample = ordinal_codes(items)
    return asymptotic_covariance(sample, polychorics(sample))


def median_of(work: Callable[[pd.DataFrame], object], items: pd.DataFrame, rounds: int) -> float:
    """Median seconds; the first round is not counted."""
    seconds = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        work(items)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[1:])


def measure_r(items: pd.DataFrame, found: Polychorics, rounds: int) -> tuple[float, float] | None:
    """Median seconds of both functions of lavaan, without reading the file."""
    if shutil.which("Rscript") is None:
        return None
    with tempfile.TemporaryDirectory(prefix="smstudy-benchmark-") as folder:
        place = Path(folder)
        items.to_csv(place / "items.csv", index=False)
        (place / "polychoric.R").write_text(R_SIDE, encoding="utf-8")
        command = ["Rscript", *(str(place / name) for name in ("polychoric.R", "items.csv", "found.csv")), str(rounds)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            return None
        apart = float(np.abs(found.correlations - pd.read_csv(place / "found.csv").to_numpy(float)).max())
    print(f"largest difference of a correlation: {apart:.1g}")
    if apart > SAME:
        sys.exit("The correlations differ, so the times say nothing.")
    seconds = np.array([line.split() for line in done.stdout.splitlines()], dtype=float)
    return tuple(np.median(seconds, axis=0).tolist())


def simulate(n: int, p: int) -> pd.DataFrame:
    """Answers of five categories, unevenly chosen, with one attitude behind them."""
    rng = np.random.default_rng(4)
    loadings = rng.uniform(0.3, 0.8, p)
    attitude = rng.standard_normal((n, 1)) * loadings + rng.standard_normal((n, p)) * np.sqrt(1 - loadings**2)
    cuts = np.sort(rng.normal(0, 1, (4, p)), axis=0)
    return pd.DataFrame((attitude[None] > cuts[:, None]).sum(axis=0), columns=[f"q{i}" for i in range(p)])


def measure_large(items: pd.DataFrame) -> None:
    """Print seconds and memory of correlations and covariance; CPU seconds hardly depend on what else runs."""
    wall, cpu = time.perf_counter(), time.process_time()
    sample = ordinal_codes(items)
    found = polychorics(sample)
    middle = time.process_time()
    asymptotic_covariance(sample, found)
    wall, after = time.perf_counter() - wall, time.process_time()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{len(items):,} x {items.shape[1]}: {wall:.1f} s (CPU: correlations {middle - cpu:.1f} s, covariance "
        f"{after - middle:.1f} s), goal {LARGE_GOAL} s; largest memory of the process {memory:.1f} GB"
    )


if __name__ == "__main__":
    main()
