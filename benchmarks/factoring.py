"""Compare parallel analysis and factor analysis with R, side by side in one run.

usage: python benchmarks/factoring.py [--rounds N] [--large N]

Call it with the Python of the environment that smstudy is installed in. Without R, or without its packages psych,
GPArotation and nFactors, only smstudy is measured. Small: psych's bfi, 2,436 respondents with all 25 items answered, 5
factors. Middle: 2,000 simulated respondents, 60 items, 6 factors. Parallel analysis: 100 simulated matrices, components
only in R, common factors as well in smstudy. Factor analysis: minres with oblimin from the correlation matrix, alone
and with the judgment of the fit that psych::fa always adds, and from the answers with the front door of both sides.
psych turns from one start, smstudy from sixteen; psych from sixteen random starts is measured too. The fastest round
counts; loadings are compared before ratios are printed. Last, both front doors on simulated answers of 100,000
respondents to 60 items.
"""

from __future__ import annotations

import argparse
import os
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

import smstudy  # noqa: E402
from smstudy.inference.psychometrics.dimensions import parallel_analysis  # noqa: E402
from smstudy.inference.psychometrics.extraction import Extraction, extract, judge_fit  # noqa: E402
from smstudy.inference.psychometrics.rotation import RANDOM_STARTS, rotate  # noqa: E402

DATA = ROOT / "tests" / "reference" / "bfi_complete.csv"
DRAWS, FACTORS, GOAL, LIMIT = 100, 5, 5, 10.0
SAME = 1e-3
MIDDLE, LARGE_ITEMS, LARGE_FACTORS = 2000, 60, 6
R_SIDE = """
suppressMessages({library(psych); library(GPArotation); library(nFactors)})
arguments <- commandArgs(trailingOnly = TRUE)
items <- read.csv(arguments[1]); m <- as.integer(arguments[2]); starts <- as.integer(arguments[5])
r <- cor(items); n <- nrow(items)
timed <- function(times, work) system.time(for (j in seq_len(times)) work())[["elapsed"]] / times
fit <- fa(items, m)
for (i in seq_len(as.integer(arguments[3]))) {
  once <- timed(5, function() fa(r, m, n.obs = n))
  cat(timed(1, function() nFactors::parallel(subject = n, var = ncol(items), rep = 100)), once, once,
      timed(2, function() fa(r, m, n.obs = n, n.rotations = starts)),
      timed(5, function() fa(items, m)), "\\n")
}
write.csv(unclass(fit$loadings), arguments[4], row.names = FALSE)
"""


def main() -> None:
    """Measure both sides, compare the loadings, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="how often to measure each side (default 5)")
    parser.add_argument("--large", type=int, default=100_000, metavar="N", help="respondents (default 100,000)")
    options = parser.parse_args()
    compare(pd.read_csv(DATA), FACTORS, options.rounds)
    compare(simulated(MIDDLE), LARGE_FACTORS, options.rounds)
    measure_large(options.large)


def compare(items: pd.DataFrame, m: int, rounds: int) -> None:
    """Print the times of both sides for one set of answers."""
    n, correlations = len(items), np.corrcoef(items.to_numpy(dtype=float), rowvar=False)
    factored = fastest(lambda: factored_from(correlations, m), 5 * rounds)
    ours = {
        "parallel analysis": fastest(lambda: parallel_analysis(correlations, n, n_draws=DRAWS), rounds),
        "minres + oblimin from correlations": factored,
        "the same with its fit": fastest(
            lambda: judge_fit(correlations, factored_from(correlations, m), n), 5 * rounds
        ),
        "without its fit, psych from as many starts": factored,
        "front doors": fastest(lambda: smstudy.factor_analysis(items, m), 5 * rounds),
    }
    theirs = measure_r(items, m, rounds, smstudy.factor_analysis(items, m).loadings.to_numpy())
    print(f"{n:,} respondents, {items.shape[1]} items, {m} factors")
    for i, (what, seconds) in enumerate(ours.items()):
        line = f"  {what}: smstudy {seconds * 1000:.1f} ms"
        if theirs is not None:
            line += f", R {theirs[i] * 1000:.1f} ms; ratio {theirs[i] / seconds:.1f}x, goal {GOAL}x"
        print(line)
    if theirs is None:
        print("R with psych, GPArotation and nFactors is not installed here, so there is nothing to compare with.")


def factored_from(correlations: np.ndarray, m: int) -> Extraction:
    """Extract the factors and rotate them."""
    found = extract(correlations, m)
    rotate(found.loadings)
    return found


def fastest(work: Callable[[], object], rounds: int) -> float:
    """Seconds of the fastest round of some work: whatever else the machine does only adds to the others."""
    work()
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def measure_r(items: pd.DataFrame, m: int, rounds: int, ours: np.ndarray) -> np.ndarray | None:
    """Seconds of the fastest round of nFactors::parallel and of psych::fa in three ways, without reading the file."""
    if shutil.which("Rscript") is None:
        return None
    with tempfile.TemporaryDirectory(prefix="smstudy-benchmark-") as folder:
        script, data, loadings = (Path(folder) / name for name in ("factoring.R", "items.csv", "loadings.csv"))
        script.write_text(R_SIDE, encoding="utf-8")
        items.to_csv(data, index=False)
        command = ["Rscript", str(script), str(data), str(m), str(rounds), str(loadings), str(RANDOM_STARTS + 1)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            return None
        theirs = pd.read_csv(loadings).to_numpy()
    apart = float(np.abs(np.abs(ours[:, :, None]) - np.abs(theirs[:, None])).max(axis=0).min(axis=1).max())
    print(f"largest difference of a loading: {apart:.1g} (psych stops its search early)")
    if apart > SAME:
        sys.exit("The loadings differ, so the times say nothing.")
    lines = [line.split() for line in done.stdout.splitlines() if line.strip()]
    return np.array(lines, dtype=float).min(axis=0)


def simulated(n: int) -> pd.DataFrame:
    """Answers on five points to 60 items of six factors."""
    rng = np.random.default_rng(4)
    pattern = np.kron(np.eye(LARGE_FACTORS), rng.uniform(0.4, 0.8, (LARGE_ITEMS // LARGE_FACTORS, 1)))
    answers = rng.standard_normal((n, LARGE_FACTORS)) @ pattern.T + 0.7 * rng.standard_normal((n, LARGE_ITEMS))
    return pd.DataFrame(np.digitize(answers, [-1.2, -0.4, 0.4, 1.2]) + 1, columns=[f"q{i}" for i in range(LARGE_ITEMS)])


def measure_large(n: int) -> None:
    """Seconds of both front doors on many respondents."""
    items = simulated(n)
    print(f"{n:,} respondents, {LARGE_ITEMS} items; limit {LIMIT:.0f} s")
    for correlation in ("pearson", "polychoric"):
        started = time.perf_counter()
        smstudy.choose_factors(items, correlation=correlation)
        chosen = time.perf_counter()
        smstudy.factor_analysis(items, LARGE_FACTORS, correlation=correlation)
        done = time.perf_counter()
        print(f"  {correlation}: choose_factors {chosen - started:.2f} s, factor_analysis {done - chosen:.2f} s")


if __name__ == "__main__":
    main()
