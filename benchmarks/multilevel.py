"""Compare mixed models with R lme4 and lmerTest, side by side in one run.

usage: python benchmarks/multilevel.py [--rounds N] [--rows N] [--teams N]

Call it with the Python of the environment that smstudy is installed in. Without R, or without its packages lme4 and
lmerTest, only smstudy is measured. Both sides begin with the data in memory and use one thread; log likelihoods are
compared before a ratio is printed. 7,382 soldiers in 99 companies: a random slope, alone and with degrees of freedom
and tests of the variances, and a logit with a random intercept (25 nodes). Then simulated respondents, a tenth of them
and all, each in a process of its own, on our side alone.
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

from smstudy.inference.regression.mixed import mixed_model  # noqa: E402
from smstudy.models.nested.multilevels import multilevel  # noqa: E402

PEOPLE = ROOT / "tests" / "reference" / "multilevel_army.csv"
GOAL = 4
SAME = 1e-6  # lme4 stops where it cannot see the deviance change
TASKS = ("random slope: lmer", "with df and tests: lmerTest + ranova", "logit: glmer, 25 nodes")
R_SIDE = """
suppressMessages({library(lme4); library(lmerTest)})
arguments <- commandArgs(trailingOnly = TRUE)
people <- read.csv(arguments[1])
people$well <- as.numeric(people$WBEING > 3)
slope <- WBEING ~ HRS + LEAD + (LEAD | GRP)
tasks <- list(
  function() lme4::lmer(slope, people),
  function() {
    fit <- lmerTest::lmer(slope, people)
    summary(fit); ranova(fit); ranova(update(fit, . ~ HRS + LEAD + (1 | GRP)))
    fit
  },
  function() glmer(well ~ HRS + LEAD + (1 | GRP), people, binomial, nAGQ = 25))
for (i in seq_len(as.integer(arguments[2]))) for (k in seq_along(tasks)) {
  taken <- system.time(fit <- suppressWarnings(tasks[[k]]()))
  found <- format(as.numeric(logLik(fit)), digits = 15)
  cat(k, taken[["elapsed"]], taken[["user.self"]] + taken[["sys.self"]], found, "\\n")
}
"""


def main() -> None:
    """Measure both sides on the same people, compare what they find, then measure the large problem."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="how often to measure each side (default 5)")
    parser.add_argument("--rows", type=int, default=1_000_000, metavar="N", help="simulated respondents")
    parser.add_argument("--teams", type=int, default=50_000, metavar="N", help="simulated teams")
    parser.add_argument("--large", choices=("linear", "logit"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.large:
        measure_large(options.rows, options.teams, options.large)
        return
    ours = [seconds_of(task, options.rounds) for task in our_tasks(pd.read_csv(PEOPLE))]
    theirs = measure_r([found for _, _, found in ours], options.rounds)
    for k, (task, mine) in enumerate(zip(TASKS, ours, strict=True)):
        for kind, place in (("wall", 0), ("CPU", 1)):
            other = None if theirs is None else theirs[k][place]
            told = "R is not measured" if other is None else f"R {other:.3f} s; ratio {other / mine[place]:.0f}x"
            print(f"{task}, {kind}: {mine[place]:.4f} s; {told}; goal {GOAL}x")
    for family in ("linear", "logit"):
        for share in (10, 1):
            command = ["--rows", str(options.rows // share), "--teams", str(options.teams // share), "--large", family]
            subprocess.run([sys.executable, __file__, *command], check=True)


def our_tasks(people: pd.DataFrame) -> list[Callable[[], float]]:
    """The same three tasks; each gives its log likelihood."""
    people = people.assign(well=(people["WBEING"] > 3) * 1.0)

    def slope() -> float:
        lead = people["LEAD"].to_numpy()
        x = np.column_stack([np.ones(len(people)), people["HRS"], lead])
        codes = pd.factorize(people["GRP"])[0]
        return mixed_model(x, people["WBEING"].to_numpy(), x[:, [0, 2]], codes).log_likelihood

    def whole(formula: str, **options: object) -> float:
        return float(multilevel(formula, people, group="GRP", **options).glance()["log_likelihood"])

    return [
        slope,
        lambda: whole("WBEING ~ HRS + LEAD", slopes=["LEAD"]),
        lambda: whole("well ~ HRS + LEAD", family="logit"),
    ]


def seconds_of(task: Callable[[], float], rounds: int) -> tuple[float, float, float]:
    """Median seconds by the clock and of the CPU, and what was found; the first round is not counted."""
    seconds = []
    for _ in range(rounds + 1):
        wall, cpu = time.perf_counter(), time.process_time()
        found = task()
        seconds.append((time.perf_counter() - wall, time.process_time() - cpu))
    wall, cpu = np.median(seconds[1:], axis=0).tolist()
    return wall, cpu, found


def measure_r(found: list[float], rounds: int) -> list[tuple[float, float]] | None:
    """The same of lme4, without reading the file."""
    if shutil.which("Rscript") is None:
        return None
    with tempfile.TemporaryDirectory(prefix="smstudy-benchmark-") as folder:
        script = Path(folder) / "multilevel.R"
        script.write_text(R_SIDE, encoding="utf-8")
        done = subprocess.run(["Rscript", str(script), str(PEOPLE), str(rounds + 1)], capture_output=True, text=True)
    if done.returncode:
        return None
    measured = np.array([line.split() for line in done.stdout.splitlines() if line[:1].isdigit()], dtype=float)
    tasks = [measured[measured[:, 0] == k + 1] for k in range(len(found))]
    apart = max(abs(rows[0, 3] / mine - 1) for rows, mine in zip(tasks, found, strict=True))
    print(f"largest relative difference of a log likelihood: {apart:.1g}")
    if apart > SAME:
        sys.exit("The log likelihoods differ, so the times say nothing.")
    return [tuple(np.median(rows[1:, 1:3], axis=0).tolist()) for rows in tasks]


def measure_large(n: int, teams: int, family: str) -> None:
    """Print seconds and memory of simulated respondents with a random slope, or of a logit."""
    rng = np.random.default_rng(4)
    team, x, w = rng.integers(teams, size=n), rng.standard_normal(n), rng.standard_normal(n)
    level, slope = 0.3 * rng.standard_normal((2, teams))
    line = 0.5 * x + level[team]
    y = line + slope[team] * x + rng.standard_normal(n)
    if family == "logit":
        y = (rng.random(n) < 1 / (1 + np.exp(-line))) * 1.0
    people = pd.DataFrame({"y": y, "x": x, "w": w, "team": team})
    options = {"slopes": ["x"]} if family == "linear" else {"family": "logit"}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    wall, cpu = time.perf_counter(), time.process_time()
    multilevel("y ~ x + w", people, group="team", **options)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{family}, {n:,} in {teams:,} teams: {wall:.1f} s (CPU {cpu:.1f} s), {before:.2f} → {memory:.2f} GB")


if __name__ == "__main__":
    main()
