"""Compare factor models with R lavaan on 25 items of 5 factors, side by side in one run.

usage: python benchmarks/confirmatory.py [--rows N] [--rounds N] [--large]

Call it with the Python of the environment that smstudy is installed in. Without R, or without its package lavaan, only
smstudy is measured. Both sides begin with the same answers in memory, one thread. "fit" is estimates, errors and test;
"page" adds the standardized solution, indices of fit and modification indices, which `confirm` always gives. For FIML
one respondent in 100 left out a tenth of the items: about twenty patterns, since lavaan takes minutes for more.
`--large` also measures 100,000 respondents and 60 items, smstudy alone.
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
from collections.abc import Callable
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from smstudy.inference.factor_models.full_information import fit_fiml  # noqa: E402
from smstudy.inference.factor_models.normal_theory import fit_ml, fit_mlr, sample_of  # noqa: E402
from smstudy.inference.factor_models.structures import measurement_model  # noqa: E402
from smstudy.scales.confirmatory import confirm  # noqa: E402

R_SIDE = """
suppressMessages(library(lavaan))
arguments <- commandArgs(trailingOnly = TRUE)
complete <- read.csv(arguments[1]); gaps <- read.csv(arguments[2])
model <- paste(sapply(1:5, function(k) paste0("f", k, " =~ ", paste0("q", (5 * k - 4):(5 * k), collapse = " + "))),
               collapse = "\\n")
fits <- list(ML = function() cfa(model, complete, std.lv = TRUE),
             MLR = function() cfa(model, complete, std.lv = TRUE, estimator = "MLR"),
             FIML = function() cfa(model, gaps, std.lv = TRUE, estimator = "MLR", missing = "fiml"))
for (name in names(fits)) for (i in seq_len(as.integer(arguments[3]))) {
  fit <- NULL
  first <- system.time(fit <- fits[[name]]())[["elapsed"]]
  rest <- system.time({standardizedSolution(fit); fitMeasures(fit); modindices(fit)})[["elapsed"]]
  cat(name, first, first + rest, fitMeasures(fit, "chisq"), "\\n")
}
"""


def main() -> None:
    """Simulate, measure both sides, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=2436, metavar="N", help="respondents (default 2436)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="how often to measure (default 5)")
    parser.add_argument("--large", action="store_true", help="also 100,000 respondents and 60 items")
    options = parser.parse_args()
    complete = simulate(options.rows, 5, 5)
    rng = np.random.default_rng(2)
    gaps = complete.mask((rng.random(complete.shape) < 0.1) & (rng.random((len(complete), 1)) < 0.01))
    ours, theirs = measure(complete, gaps, options.rounds), measure_r(complete, gaps, options.rounds)
    print(f"{options.rows} respondents, 25 items, seconds (median of {options.rounds}), load {os.getloadavg()[0]:.1f}")
    for name, (fit, page, statistic) in ours.items():
        line = f"{name:5} fit {fit:7.3f}  page {page:7.3f}  chi-squared {statistic:10.4f}"
        if theirs:
            r_fit, r_page, r_statistic = theirs[name]
            line += (
                f" | lavaan {r_fit:7.3f} {r_page:7.3f} {r_statistic:10.4f} | {r_fit / fit:5.1f}x {r_page / page:5.1f}x"
            )
        print(line)
    if not theirs:
        print("R lavaan is not installed here, so there is nothing to compare with.")
    if options.large:
        large()


def simulate(rows: int, factors: int, each: int) -> pd.DataFrame:
    """Answers from 1 to 6 on correlated factors."""
    rng = np.random.default_rng(1)
    traits = 0.5 * rng.normal(size=(rows, 1)) + 0.8 * rng.normal(size=(rows, factors))
    answers = 3.5 + np.repeat(traits, each, axis=1) * 0.9 + 0.9 * rng.normal(size=(rows, factors * each))
    return pd.DataFrame(np.clip(np.round(answers), 1, 6), columns=[f"q{i + 1}" for i in range(factors * each)])


def factors_of(answers: pd.DataFrame, each: int) -> dict[str, list[str]]:
    """Items of each factor, in the order of the columns."""
    names = list(answers)
    return {f"f{k + 1}": names[each * k : each * k + each] for k in range(len(names) // each)}


def measure(complete: pd.DataFrame, gaps: pd.DataFrame, rounds: int) -> dict[str, tuple[float, float, float]]:
    """Median seconds of a fit and of a whole page, and the statistic, by estimator."""
    factors = factors_of(complete, 5)
    structure = measurement_model(list(complete), factors)
    fits = {
        "ML": lambda: fit_ml(structure, [sample_of(complete.to_numpy())]),
        "MLR": lambda: fit_mlr(structure, [complete.to_numpy()]),
        "FIML": lambda: fit_fiml(structure, [gaps.to_numpy()]),
    }
    found = {}
    for name, fit in fits.items():
        answers = gaps if name == "FIML" else complete
        page = timed(lambda name=name, answers=answers: confirm(answers, factors, estimator=name), rounds)
        found[name] = (timed(fit, rounds), page, fit().test.statistic)
    return found


def timed(work: Callable[[], object], rounds: int) -> float:
    """Median seconds, after one run that is not counted."""
    work()
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def measure_r(complete: pd.DataFrame, gaps: pd.DataFrame, rounds: int) -> dict[str, tuple[float, float, float]] | None:
    """The same of lavaan."""
    if shutil.which("Rscript") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        tables = [Path(folder, name) for name in ("complete.csv", "gaps.csv")]
        for table, answers in zip(tables, (complete, gaps), strict=True):
            answers.to_csv(table, index=False, na_rep="NA")
        command = ["Rscript", "-e", R_SIDE, *map(str, tables), str(rounds)]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return None
    lines = pd.DataFrame([line.split() for line in done.stdout.splitlines()], columns=["name", "fit", "page", "chi"])
    medians = lines.set_index("name").astype(float).groupby(level=0).median()
    return {name: tuple(row) for name, row in zip(medians.index, medians.to_numpy())}


def large() -> None:
    """A hundred thousand respondents and 60 items of 10 factors."""
    answers = simulate(100_000, 10, 6)
    for estimator in ("ML", "MLR"):
        start = time.perf_counter()
        confirm(answers, factors_of(answers, 6), estimator=estimator)
        print(f"100,000 respondents, 60 items, {estimator}, whole page: {time.perf_counter() - start:.2f} s")


if __name__ == "__main__":
    main()
