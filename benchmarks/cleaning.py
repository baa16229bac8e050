"""Compare cleaning with a hand-written loop of pandas masks: 20 rules on one frame, both sides in turns in one run.

usage: python benchmarks/cleaning.py [--rows N] [--columns N] [--rounds N] [--categorical]

The loop does what the rules say and no more: no log, no reasons, no check that cleaning twice changes nothing.
Memory is what is still held and the peak of what was allocated meanwhile, beside the size of the frame.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import tracemalloc
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from smstudy.survey.cleaning import clean
from smstudy.survey.codebook import Codebook
from smstudy.survey.dataset import Survey
from smstudy.survey.rules import Rule

AGREE = [{"value": code, "label": f"answer {code}"} for code in range(1, 6)]
UNITS = [f"Unit {number}" for number in range(1, 31)]
STATUS = ["IP Address", "Survey Preview", "Spam"]
GOAL_SECONDS = 5.0


class Cost(NamedTuple):
    """What a side took: wall seconds, and CPU seconds, which a busy machine hardly changes."""

    wall: float
    cpu: float


def main() -> None:
    """Build the frame, measure both sides in turns, print the table."""
    options = _options()
    survey = make_survey(options.rows, options.columns, categorical=options.categorical)
    rules = make_rules(survey)
    frame = survey.answers
    assert_same(survey, rules)
    pairs = [(_cost(lambda: clean(survey, rules)), _cost(lambda: by_hand(frame))) for _ in range(options.rounds)]
    peaks = [_peak(lambda: clean(survey, rules)), _peak(lambda: by_hand(frame))]
    size = frame.memory_usage(deep=True).sum() / 2**20
    print(f"{len(frame):,} rows x {frame.shape[1]} columns, {size:,.0f} MB; {len(rules)} rules")
    print(f"{'':24}{'wall s':>9}{'CPU s':>9}{'goal':>7}{'peak MB':>9}")
    for name, side, goal in (("clean()", 0, f"{GOAL_SECONDS:.0f}"), ("pandas masks by hand", 1, "")):
        wall, cpu = (statistics.median(pair[side][i] for pair in pairs) for i in (0, 1))
        print(f"{name:24}{wall:9.2f}{cpu:9.2f}{goal:>7}{peaks[side]:9,.0f}")
    ratios = [statistics.median(ours[i] / theirs[i] for ours, theirs in pairs) for i in (0, 1)]
    print(f"{'clean() / by hand':24}{ratios[0]:9.2f}{ratios[1]:9.2f}{'':7}{peaks[0] / peaks[1]:9.2f}")
    rounds = ", ".join(f"{ours.wall:.2f}/{theirs.wall:.2f}" for ours, theirs in pairs)
    print(f"\neach round, wall s: {rounds}; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--columns", type=int, default=60, metavar="N")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="how often to measure each side (default 3)")
    parser.add_argument("--categorical", action="store_true", help="words as pandas categories, not as text")
    return parser.parse_args()


def make_survey(rows: int, columns: int, *, categorical: bool, seed: int = 1) -> Survey:
    """Answers as reading gives them: an identifier, four columns of words, two numbers, a date, the rest items."""
    random = np.random.default_rng(seed)
    names = [f"q{number}" for number in range(1, columns - 7)]
    items = random.integers(1, 6, (len(names), rows)).astype(float)
    items[random.random((len(names), rows)) < 0.04] = np.nan
    words = {
        "status": random.choice(STATUS, rows, p=[0.97, 0.02, 0.01]),
        "consent": random.choice(["Yes", "No"], rows, p=[0.98, 0.02]),
        "finished": random.choice(["True", "False"], rows, p=[0.9, 0.1]),
        "unit": random.choice(UNITS, rows),
    }
    texts = {name: pd.Series(values).astype("category" if categorical else "str") for name, values in words.items()}
    answers = pd.DataFrame(items.T, columns=names).assign(
        person=pd.Series(random.integers(0, 20 * rows, rows).astype(str)).astype("str"),
        **texts,
        seconds=random.gamma(3, 120, rows),
        age=random.integers(18, 66, rows).astype(float),
    )
    answers["day"] = pd.Timestamp("2026-03-01") + pd.to_timedelta(random.integers(0, 40, rows), unit="D")
    variables = [
        {"name": "person", "kind": "id"},
        *({"name": name, "kind": "category", "categories": _labels(sorted(set(v)))} for name, v in words.items()),
        {"name": "seconds", "kind": "number"},
        {"name": "age", "kind": "number"},
        {"name": "day", "kind": "date"},
        *({"name": name, "kind": "item", "categories": AGREE} for name in names),
    ]
    scales = [{"name": "all", "items": names[1:]}, {"name": "first", "items": names[1:11]}]
    book = Codebook.model_validate({"title": "Benchmark", "variables": variables, "scales": scales})
    return Survey(answers=answers, codebook=book, missing=pd.DataFrame(columns=["row", "variable", "reason"]))


def _labels(labels: list[str]) -> list[dict]:
    return [{"value": str(number), "label": label} for number, label in enumerate(labels)]


def make_rules(survey: Survey) -> list[Rule]:
    """Twenty rules of every kind."""
    every = tuple(survey.answers.columns)
    entries = [
        ("preview", "eligibility", {"column": "status", "op": "equals", "value": "Survey Preview"}, "exclude"),
        ("spam", "eligibility", {"column": "status", "op": "equals", "value": "Spam"}, "exclude"),
        ("early", "eligibility", {"column": "day", "op": "less", "value": "2026-03-03"}, "exclude"),
        ("late", "eligibility", {"column": "day", "op": "greater", "value": "2026-04-05"}, "exclude"),
        ("units", "eligibility", {"column": "unit", "op": "in", "value": ("Unit 29", "Unit 30")}, "exclude"),
        ("young", "eligibility", {"column": "age", "op": "outside", "value": (19, 64)}, "exclude"),
        ("consent", "consent", {"column": "consent", "op": "not_equals", "value": "Yes"}, "exclude"),
        ("unfinished", "completeness", {"column": "finished", "op": "equals", "value": "False"}, "exclude"),
        ("gaps", "completeness", {"column": "all", "op": "missing_share_above", "value": 0.12}, "exclude"),
        ("gaps-10", "completeness", {"column": "first", "op": "missing_share_above", "value": 0.3}, "exclude"),
        ("no-unit", "completeness", {"column": "unit", "op": "missing"}, "exclude"),
        ("person", "duplicates", {"column": ("person",), "op": "duplicate_of_earlier"}, "exclude"),
        ("same", "duplicates", {"column": every, "op": "duplicate_of_earlier"}, "exclude"),
        ("fast", "quality", {"column": "seconds", "op": "less", "value": 0.2, "relative_to": "median"}, "exclude"),
        ("slow", "quality", {"column": "seconds", "op": "greater", "value": 1500}, "flag"),
        ("unset", "quality", {"column": "q1", "op": "equals", "value": 5}, "set_missing"),
        ("recoded", "quality", {"column": "q2", "op": "equals", "value": 5}, "recode"),
        ("old-agree", "quality", {"column": "q3", "op": "equals", "value": 5}, "flag"),
        ("low", "analysis", {"column": "q4", "op": "less", "value": 2}, "flag"),
        ("high", "analysis", {"column": "q5", "op": "between", "value": (4, 5)}, "flag"),
    ]
    rules = []
    for name, stage, condition, action in entries:
        more = {"to": 4} if action == "recode" else {}
        more |= {"where": {"column": "age", "op": "greater", "value": 60}} if name == "old-agree" else {}
        rules.append(Rule(id=name, stage=stage, action=action, reason=name, **condition, **more))
    return rules


def by_hand(frame: pd.DataFrame) -> pd.DataFrame:
    """The same rules as somebody writes them in a notebook: one mask after the other, then one selection."""
    items = [name for name in frame if name.startswith("q")]
    used = items[1:]
    person = frame["person"].notna()
    eligible = ~(
        frame["status"].isin(["Survey Preview", "Spam"])
        | (frame["day"] < "2026-03-03")
        | (frame["day"] > "2026-04-05")
        | frame["unit"].isin(["Unit 29", "Unit 30"])
        | (frame["age"] < 19)
        | (frame["age"] > 64)
    )
    complete = eligible & (frame["consent"] == "Yes") & (frame["finished"] != "False")
    complete &= (frame[used].isna().mean(axis=1) <= 0.12) & (frame[used[:10]].isna().mean(axis=1) <= 0.3)
    complete &= frame["unit"].notna()
    ranked = pd.DataFrame({"out": ~complete, "gaps": frame[items].isna().sum(axis=1)}).sort_values(
        ["out", "gaps"], kind="stable"
    )
    once = complete & ~(frame.loc[ranked.index].duplicated("person").reindex(frame.index) & person)
    once &= ~frame.loc[ranked.index].duplicated().reindex(frame.index)
    left = once & (frame["seconds"] >= float(f"{0.2 * frame.loc[once, 'seconds'].median():.4g}"))
    out = frame[left].copy()
    out["flag_slow"] = (out["seconds"] > 1500).astype(float)
    out["q1"] = out["q1"].mask(out["q1"] == 5)
    out["q2"] = out["q2"].mask(out["q2"] == 5, 4)
    out["flag_old_agree"] = ((out["q3"] == 5) & (out["age"] > 60)).astype(float)
    out["flag_low"] = (out["q4"] < 2).astype(float)
    out["flag_high"] = out["q5"].between(4, 5).astype(float)
    return out


def assert_same(survey: Survey, rules: list[Rule]) -> None:
    """Refuse to compare two sides that do not do the same."""
    ours, theirs = clean(survey, rules).survey.answers, by_hand(survey.answers)
    pd.testing.assert_frame_equal(ours[theirs.columns], theirs)


def _cost(work: Callable[[], object]) -> Cost:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Cost(time.perf_counter() - wall, time.process_time() - cpu)


def _peak(work: Callable[[], object]) -> float:
    """Megabytes that numpy and Python allocated at most, in a run of its own that is not timed."""
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    return peak


if __name__ == "__main__":
    main()
