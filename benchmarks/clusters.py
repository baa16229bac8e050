"""Compare CR2 errors and Satterthwaite's degrees of freedom with R clubSandwich, side by side in one run.

usage: python benchmarks/clusters.py [--respondents N] [--clusters G] [--large]

Call it with the Python of the environment that smstudy is installed in. Without R, or without its package clubSandwich,
only smstudy is measured. Both sides start from a fitted linear model with 5 coefficients and give the covariance,
errors, degrees of freedom and p; the errors and degrees of freedom are compared before the ratio is printed. `--large`
runs all of regress() on 1,000,000 respondents and 10 coefficients in 100 clusters, from the frame to the table, and
prints the largest memory the process used.
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
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from scipy import stats  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from smstudy.inference.regression.least_squares import LeastSquares, least_squares  # noqa: E402
from smstudy.inference.regression.small_clusters import small_clusters  # noqa: E402
from smstudy.models.regressions.regression import regress  # noqa: E402

ROUNDS, SAME = 7, 1e-8
DRIVERS = ("a", "b", "c", "d")
R_SIDE = """
if (!suppressMessages(require(clubSandwich, quietly = TRUE))) quit(status = 3)
people <- read.csv(file.path(commandArgs(trailingOnly = TRUE)[1], "people.csv"))
fit <- lm(y ~ a + b + c + d, people)
seconds <- c()
for (i in 1:5) seconds[i] <- system.time({
  covariance <- vcovCR(fit, cluster = people$team, type = "CR2")
  tested <- coef_test(fit, vcov = covariance, test = "Satterthwaite")
})[["elapsed"]]
cat(format(c(median(seconds), tested$SE, tested$df), digits = 17), sep = "\\n")
"""


def main() -> None:
    """Simulate, measure both sides, compare their numbers, print the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--respondents", type=int, default=7382, metavar="N", help="respondents (default 7,382)")
    parser.add_argument("--clusters", type=int, default=99, metavar="G", help="clusters (default 99)")
    parser.add_argument("--large", action="store_true", help="also all of regress() on 1,000,000 respondents")
    options = parser.parse_args()
    frame = simulate(options.respondents, options.clusters, DRIVERS)
    x = np.column_stack([np.ones(len(frame)), frame[list(DRIVERS)]])
    fit = least_squares(x, frame["y"].to_numpy(), names=["(intercept)", *DRIVERS])
    formula = f"y ~ {' + '.join(DRIVERS)}"
    regress(formula, frame, cluster="team", covariance="CR2")
    ours, found = measure(fit, frame["team"].to_numpy())
    print(f"smstudy, {options.respondents:,} respondents in {options.clusters} clusters: {1000 * ours:.1f} ms")
    theirs = measure_r(frame, found)
    start = time.perf_counter()
    regress(formula, frame, cluster="team", covariance="CR2")
    whole = time.perf_counter() - start
    if theirs is None:
        print("R clubSandwich is not installed here, so there is nothing to compare with.")
    else:
        print(f"clubSandwich: {1000 * theirs:.0f} ms; ratio {theirs / ours:.0f}x")
        print(f"all of regress(), with fit and findings: {1000 * whole:.0f} ms; ratio {theirs / whole:.0f}x")
    if options.large:
        measure_large()


def simulate(n: int, n_clusters: int, drivers: tuple[str, ...]) -> pd.DataFrame:
    """Respondents in clusters of unequal size that resemble each other within."""
    rng = np.random.default_rng(20)
    size = rng.gamma(2.0, size=n_clusters)
    team = np.sort(np.concatenate([np.arange(n_clusters), rng.choice(n_clusters, n - n_clusters, p=size / size.sum())]))
    frame = pd.DataFrame({name: rng.normal(size=n) + rng.normal(size=n_clusters)[team] for name in drivers})
    y = frame.sum(axis=1) * 0.2 + 0.4 * rng.normal(size=n_clusters)[team] + rng.normal(size=n)
    return frame.assign(y=y, team=team)


def measure(fit: LeastSquares, groups: np.ndarray) -> tuple[float, np.ndarray]:
    """Median seconds, and errors with degrees of freedom."""
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        clusters = small_clusters(fit.basis, fit.root, fit.residuals, groups)
        errors, df = np.sqrt(np.diag(clusters.covariance)), clusters.df()
        stats.t.sf(np.abs(fit.coefficients / errors), df)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), np.concatenate([errors, df])


def measure_r(frame: pd.DataFrame, expected: np.ndarray) -> float | None:
    """Median seconds of R; None without R or clubSandwich."""
    if shutil.which("Rscript") is None:
        return None
    with tempfile.TemporaryDirectory(prefix="smstudy-benchmark-") as folder:
        frame.to_csv(Path(folder) / "people.csv", index=False)
        script = Path(folder) / "side.R"
        script.write_text(R_SIDE, encoding="utf-8")
        done = subprocess.run(["Rscript", str(script), folder], capture_output=True, text=True)
    if done.returncode == 3:
        return None
    done.check_returncode()
    seconds, *numbers = map(float, done.stdout.split())
    gap = float(np.abs(np.array(numbers) / expected - 1).max())
    if gap > SAME:
        raise SystemExit(f"The two sides differ by {gap:.1e}: nothing to compare.")
    return seconds


def measure_large() -> None:
    """Print seconds and memory of regress() with CR2 on 1,000,000 respondents and on a tenth of them."""
    drivers = tuple("abcdefghi")
    for n in (100_000, 1_000_000):
        frame = simulate(n, 100, drivers)
        start = time.perf_counter()
        regress(f"y ~ {' + '.join(drivers)}", frame, cluster="team", covariance="CR2").tidy()
        seconds = time.perf_counter() - start
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
        print(f"regress() with CR2, {n:,} respondents: {seconds:.1f} s; at most {memory:.1f} GB so far")


if __name__ == "__main__":
    main()
