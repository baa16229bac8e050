"""Compare the bootstrap of a mediation with a loop of regressions in plain R, side by side in one run.

usage: python benchmarks/mediation.py [--respondents N] [--resamples B]

Call it with the Python of the environment that smstudy is installed in. Without R only smstudy is measured. Both sides
have one mediator and three controls and give the total, direct and indirect effect in every resample; the estimates are
compared before the ratio is printed. The R side is the barest loop there is (`lm.fit` on index vectors), without what
packages add; R mediation, which is not everywhere at hand, took 5.7 s for 1,000 resamples of 899 respondents.
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

from smstudy.inference.regression.pathways import PathModel, bootstrap_paths  # noqa: E402
from smstudy.models.mechanisms.mediations import mediate  # noqa: E402

ROUNDS, SAME = 7, 1e-8
PACKAGE = 5.7
R_SIDE = """
place <- commandArgs(trailingOnly = TRUE)
people <- as.matrix(read.csv(file.path(place[1], "people.csv"))); times <- as.integer(place[2]); n <- nrow(people)
x1 <- cbind(1, people[, c("x", "c1", "c2", "c3")]); x2 <- cbind(x1, people[, "m"])
effects <- function(rows) {
  a <- lm.fit(x1[rows, ], people[rows, "m"])$coefficients[2]
  y <- lm.fit(x2[rows, ], people[rows, "y"])$coefficients
  c(y[2] + a * y[6], y[2], a * y[6])
}
seconds <- c()
for (i in 1:3) seconds[i] <- system.time({
  draws <- vapply(seq_len(times), function(b) effects(sample.int(n, replace = TRUE)), numeric(3))
  apply(draws, 1, quantile, c(.025, .975))
})[["elapsed"]]
cat(format(c(median(seconds), effects(seq_len(n))), digits = 17), sep = "\\n")
"""


def main() -> None:
    """Simulate, measure both sides, compare their numbers, print the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--respondents", type=int, default=899, metavar="N", help="respondents (default 899)")
    parser.add_argument("--resamples", type=int, default=1000, metavar="B", help="resamples (default 1,000)")
    options = parser.parse_args()
    frame = simulate(options.respondents)
    bare, whole, found = measure(frame, options.resamples)
    print(f"smstudy, {options.resamples:,} resamples of {options.respondents:,} respondents: {1000 * bare:.0f} ms")
    print(f"all of mediate(), with paths, sensitivity and findings: {1000 * whole:.0f} ms")
    theirs = measure_r(frame, options.resamples, found)
    if theirs is None:
        print("R is not installed here, so there is nothing to compare with.")
    else:
        print(f"plain R loop: {1000 * theirs:.0f} ms; {theirs / bare:.1f}x, all of mediate() {theirs / whole:.1f}x")
    if (options.respondents, options.resamples) == (899, 1000):
        print(f"R mediation, {PACKAGE} s elsewhere: {PACKAGE / bare:.0f}x, all of mediate() {PACKAGE / whole:.0f}x")


def simulate(n: int) -> pd.DataFrame:
    """Respondents of an experiment with one mediator and three controls."""
    rng = np.random.default_rng(20)
    frame = pd.DataFrame({"x": rng.integers(0, 2, n), **{f"c{i}": rng.normal(size=n) for i in (1, 2, 3)}})
    frame["m"] = 0.3 * frame["x"] + 0.2 * frame["c1"] + rng.normal(size=n)
    frame["y"] = 0.4 * frame["m"] + 0.1 * frame["x"] + 0.2 * frame["c2"] + rng.normal(size=n)
    return frame


def measure(frame: pd.DataFrame, n_boot: int) -> tuple[float, float, np.ndarray]:
    """Median seconds of the resamples with their intervals, and of the whole analysis; the estimates."""
    columns = frame[["y", "x", "m", "c1", "c2", "c3"]].to_numpy(float)
    asked = {"outcome": "y", "driver": "x", "mediators": ["m"], "controls": ["c1", "c2", "c3"], "n_boot": n_boot}
    bare, whole = [], []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        found = bootstrap_paths(PathModel(n_mediators=1), columns, n_controls=3, n_boot=n_boot, seed=1)
        found.interval()
        bare.append(time.perf_counter() - start)
        start = time.perf_counter()
        mediate(frame, **asked).tidy()
        whole.append(time.perf_counter() - start)
    return statistics.median(bare), statistics.median(whole), found.estimate


def measure_r(frame: pd.DataFrame, n_boot: int, expected: np.ndarray) -> float | None:
    """Median seconds of R; None without R."""
    if shutil.which("Rscript") is None:
        return None
    with tempfile.TemporaryDirectory(prefix="smstudy-benchmark-") as folder:
        frame.to_csv(Path(folder) / "people.csv", index=False)
        script = Path(folder) / "side.R"
        script.write_text(R_SIDE, encoding="utf-8")
        done = subprocess.run(["Rscript", str(script), folder, str(n_boot)], capture_output=True, text=True, check=True)
    seconds, *numbers = map(float, done.stdout.split())
    gap = float(np.abs(np.array(numbers) - expected).max())
    if gap > SAME:
        raise SystemExit(f"The two sides differ by {gap:.1e}: nothing to compare.")
    return seconds


if __name__ == "__main__":
    main()
