"""Make the demo organization: what is planted, the three wave files, the frame and the truth. All of it is synthetic.

Run `python data/demo-organization/generate.py`: it writes wave-1.csv, wave-2.csv, wave-3.csv, frame.csv and truth.json
beside itself, the same bytes every time. With `--files` it leaves out the truth.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from smstudy.survey.codebook import Codebook, Variable, read_codebook
from smstudy.survey.synthetic import (
    ATTENTIVE,
    BLANK,
    RANDOM,
    SPEEDER,
    STRAIGHT_LINER,
    Answers,
    People,
    Plan,
    draw_answers,
    draw_people,
    draw_respondents,
    items_of,
    mean_scores,
    staff,
)

HERE = Path(__file__).resolve().parent
CODEBOOK = HERE.parents[1] / "studies" / "quarterly-pulse" / "codebook.yml"
STRUCTURE_SEED, FILES_SEED, TRUTH_SEED = 4, 2354, 1_000_000
TIMES = 2083
WAVES = (1, 2, 3)
OUTCOME = "adoption"
PREDICTORS = ("leadership", "readiness", "usefulness", "concerns")
SCALES = (*PREDICTORS, OUTCOME)

UNITS = {
    "Customer Service": 90,
    "Sales": 70,
    "IT & Data": 62,
    "Production": 58,
    "Logistics": 44,
    "Research & Development": 38,
    "Finance": 28,
    "Marketing": 24,
    "Human Resources": 16,
    "Purchasing": 14,
    "Quality Management": 11,
    "Facilities": 9,
    "Legal": 8,
    "Strategy": 8,
}
SEGMENTS = {
    "enthusiasts": (1.45, 1.30, 1.05, 0.00, 0.0),
    "pragmatists": (-0.65, 0.20, 1.00, -0.50, 0.0),
    "worried": (0.15, -0.35, -0.50, 1.95, 0.0),
    "indifferent": (-1.10, -1.30, -1.35, -0.15, 0.0),
}
SHARES = (0.24, 0.31, 0.22, 0.23)
UNIT_SPREAD = (0.16, 0.14, 0.12, 0.15, 0.18)
CONCENTRATION = 6.0
CAMPAIGN = {"concerns": -0.475}

FIRST_DAYS = {1: datetime(2025, 3, 3), 2: datetime(2025, 6, 2), 3: datetime(2025, 9, 1)}
PREVIEWS = {1: 3, 2: 2, 3: 2}
UNFINISHED, DUPLICATES, NO_CONSENT = 12, 5, 2
NUMERIC_WAVE = 3
SPELLINGS = {
    "Agree": ("Agree ", "agree"),
    "Disagree": ("disagree", " Disagree"),
    "Strongly agree": ("Strongly Agree", "Agree strongly"),
    "Strongly disagree": ("Strongly Disagree", "Strongly disagree "),
    "Neither agree nor disagree": ("Neither", "Neither Agree nor Disagree"),
    "IT & Data": (" IT & Data", "IT and Data", "it & data"),
    "Research & Development": ("R&D",),
    "Human Resources": ("HR", "Human resources"),
    "Customer Service": ("Customer service ",),
    "Sales": ("SALES",),
}
STEMS = {
    "Q6": "Thinking of the leaders you know, how far do you agree?",
    "Q7": "Thinking of your unit and the internal platform, how far do you agree?",
    "Q8": "Thinking of your tasks, how far do you agree?",
    "Q9": "Thinking of taking part on the internal platform, how far do you agree?",
    "Q10": "Thinking of how you use the internal platform, how far do you agree?",
}
META = {
    "StartDate": ("Start Date", "startDate"),
    "EndDate": ("End Date", "endDate"),
    "Status": ("Response Type", "status"),
    "IPAddress": ("IP Address", "ipAddress"),
    "Progress": ("Progress", "progress"),
    "Duration (in seconds)": ("Duration (in seconds)", "duration"),
    "Finished": ("Finished", "finished"),
    "RecordedDate": ("Recorded Date", "recordedDate"),
    "ResponseId": ("Response ID", "_recordId"),
    "RecipientLastName": ("Recipient Last Name", "recipientLastName"),
    "RecipientFirstName": ("Recipient First Name", "recipientFirstName"),
    "RecipientEmail": ("Recipient Email", "recipientEmail"),
    "ExternalReference": ("External Data Reference", "externalDataReference"),
    "LocationLatitude": ("Location Latitude", "locationLatitude"),
    "LocationLongitude": ("Location Longitude", "locationLongitude"),
    "DistributionChannel": ("Distribution Channel", "distributionChannel"),
    "UserLanguage": ("User Language", "userLanguage"),
}
WISHES = (
    "a search that finds things",
    "fewer notifications",
    "more time to take part",
    "clear rules on what may be posted",
    "our manager answering there",
    "one place instead of three tools",
    "examples from other departments",
    "short training in small groups",
    "an app that works in the warehouse",
    "project pages that are kept up to date",
)
WISH_FORMS = ("{}.", "I would like {}.", "What is missing is {}", "Please: {}!", "It would help to have {}.")
ODD_COMMENTS = (
    "NA",
    "None",
    "-",
    "= would be nice to see who is responsible",
    "<b>Search!</b> It finds nothing.",
    'They said "soon", that was a year ago.\nStill waiting.',
    "Mehr Zeit, bitte; und eine bessere Suche.",
)
ALPHABET = np.array(list("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz0123456789"))


def demo_plan() -> Plan:
    """Give what is planted. Departments are fixed: the same in every draw."""
    rng = np.random.default_rng(STRUCTURE_SEED)
    return Plan(
        scales=SCALES,
        units=UNITS,
        segments=SEGMENTS,
        shares=_unit_shares(rng),
        unit_effects=_unit_effects(rng),
        effects={"adoption": {"leadership": 0.40, "readiness": 0.36, "usefulness": 0.06}},
        spread=(0.42, 0.42, 0.42, 0.42, 0.55),
        stability=0.7,
        shifts=({}, CAMPAIGN, CAMPAIGN),
        loading=0.82,
        cuts=(-1.7, 1.7),
        background={"role": (0.80, 0.13, 0.07), "tenure": (0.22, 0.29, 0.27, 0.22)},
        response=0.62,
        careless={STRAIGHT_LINER: 0.014, RANDOM: 0.013, SPEEDER: 0.013},
        missing={BLANK: 0.042, "-99": 0.012, "-77": 0.006},
        fatigue=0.4,
    )


def main(arguments: Iterable[str] = ()) -> None:
    """Write the files beside this one."""
    for name, text in files().items():
        (HERE / name).write_text(text, encoding="utf-8", newline="\n")
    if "--files" not in arguments:
        text = json.dumps(truth(), indent=2, ensure_ascii=False) + "\n"
        (HERE / "truth.json").write_text(text, encoding="utf-8", newline="\n")


def files(seed: int = FILES_SEED, waves: Iterable[int] = WAVES) -> dict[str, str]:
    """Give the frame and the wave files: name to text. Another seed gives other employees in the same departments."""
    plan, codebook = demo_plan(), read_codebook(CODEBOOK)
    seeds = np.random.SeedSequence(seed).spawn(1 + len(WAVES))
    people = draw_people(plan, staff(plan), np.random.default_rng(seeds[0]))
    panel = _panel_codes(len(people), np.random.default_rng(seeds[0].spawn(1)[0]))
    texts = {"frame.csv": _csv([("unit", "headcount"), *UNITS.items()])}
    for wave in waves:
        writer = WaveWriter(plan, codebook, people, panel, wave, np.random.default_rng(seeds[wave]))
        texts[f"wave-{wave}.csv"] = _csv([*writer.headers(), *writer.rows()])
    return texts


class WaveWriter:
    """Writes one wave as a survey platform exports it: three header rows, platform columns, and everything untidy."""

    def __init__(
        self, plan: Plan, codebook: Codebook, people: People, panel: np.ndarray, wave: int, rng: np.random.Generator
    ) -> None:
        self.plan, self.codebook, self.people, self.panel = plan, codebook, people, panel
        self.wave, self.rng, self.numeric = wave, rng, wave == NUMERIC_WAVE
        self.items = items_of(plan, codebook)
        self.columns = [*META, *(v.column for v in codebook.variables if v.column not in META)]

    def headers(self) -> list[list[str]]:
        """Names, labels, import ids."""
        by_column = {variable.column: variable for variable in self.codebook.variables}
        labels = [META[c][0] if c in META else self._label(by_column[c]) for c in self.columns]
        ids = [META[c][1] if c in META else f"QID{c.removeprefix('Q').lstrip('_')}" for c in self.columns]
        return [self.columns, labels, [self._import_id(name) for name in ids]]

    def rows(self) -> list[list[object]]:
        """All responses in the order in which they were recorded."""
        answered = draw_respondents(self.plan, len(self.people), self.rng)
        taking, silent = np.flatnonzero(answered), np.flatnonzero(~answered)
        others = self.rng.permutation(silent)[: UNFINISHED + NO_CONSENT]
        records = [
            *self._complete(taking),
            *self._complete(np.sort(self.rng.choice(taking, DUPLICATES, replace=False))),
            *map(self._cut_short, self._complete(others[:UNFINISHED])),
            *map(self._refused, self._complete(others[UNFINISHED:])),
            *map(self._preview, self._complete(self.rng.choice(silent, PREVIEWS[self.wave], replace=False))),
        ]
        records.sort(key=lambda record: (record["RecordedDate"], record["ResponseId"]))
        return [[record.get(column, "") for column in self.columns] for record in records]

    def _complete(self, who: np.ndarray) -> list[dict[str, object]]:
        answers = draw_answers(self.plan, self.codebook, self.people.take(who), wave=self.wave, rng=self.rng)
        return [self._record(person, row, answers) for row, person in enumerate(who)]

    def _record(self, person: int, row: int, answers: Answers) -> dict[str, object]:
        chosen = {
            "consent": 0,
            "unit": self.people.unit[person],
            **{name: positions[person] for name, positions in self.people.background.items()},
        }
        record = self._platform(person, int(answers.seconds[row]))
        record["Q_panel"] = str(self.panel[person])
        for name, position in chosen.items():
            variable = self.codebook.variable(name)
            record[variable.column] = self._category(variable, variable.categories[position].value)
        for j, item in enumerate(self.items):
            record[item.column] = self._item(item, answers.codes[row, j], int(answers.reasons[row, j]))
        record[self.codebook.variable("comment").column] = self._comment()
        return record

    def _platform(self, person: int, seconds: int) -> dict[str, object]:
        start = self._start()
        end = start + timedelta(seconds=seconds)
        return {
            "StartDate": str(start),
            "EndDate": str(end),
            "Status": "0" if self.numeric else "IP Address",
            "IPAddress": f"{('192.0.2', '198.51.100')[person % 2]}.{1 + person // 2 % 254}",
            "Progress": 100,
            "Duration (in seconds)": seconds,
            "Finished": "1" if self.numeric else "True",
            "RecordedDate": str(end + timedelta(seconds=1)),
            "ResponseId": "R_" + "".join(self.rng.choice(ALPHABET, 15)),
            "RecipientLastName": f"Notreal-{person + 1:03d}",
            "RecipientFirstName": "Synthetic",
            "RecipientEmail": f"person{person + 1:03d}@example.{('com', 'org')[person % 2]}",
            "ExternalReference": f"FAKE-{person + 1:03d}",
            "LocationLatitude": f"{-48.8767 + 0.01 * (person % 10):.4f}",
            "LocationLongitude": f"{-123.3933 + 0.01 * (person % 7):.4f}",
            "DistributionChannel": "email",
            "UserLanguage": "EN",
        }

    def _start(self) -> datetime:
        """Pick a moment in office hours of the three weeks in the field; most answer early."""
        day = int(min(14, self.rng.exponential(4.0)))
        moment = timedelta(days=day + 2 * (day // 5), seconds=int(self.rng.integers(8 * 3600, 17 * 3600)))
        return FIRST_DAYS[self.wave] + moment

    def _item(self, item: Variable, code: float, reason: int) -> str:
        if reason == 0:
            return self._category(item, f"{code:.0f}")
        name = list(self.plan.missing)[reason - 1]
        if name == BLANK:
            return ""
        return name if self.numeric or self.rng.random() < 0.3 else self.codebook.missing[name].capitalize()

    def _category(self, variable: Variable, value: str) -> str:
        if self.numeric:
            return value
        label = next(category.label for category in variable.categories if category.value == value)
        if label in SPELLINGS and self.rng.random() < (0.03 if variable.kind == "item" else 0.12):
            return str(self.rng.choice(SPELLINGS[label]))
        return label

    def _comment(self) -> str:
        kind = self.rng.random()
        if kind > 0.32:
            return ""
        if kind > 0.29:
            return str(self.rng.choice(ODD_COMMENTS))
        text = str(self.rng.choice(WISH_FORMS)).format(self.rng.choice(WISHES))
        return text[0].upper() + text[1:]

    def _cut_short(self, record: Mapping[str, object]) -> dict[str, object]:
        """Leave out everything after a point between the first questions and the last item."""
        reached = int(self.rng.integers(2, len(self.items)))
        unseen = {*(item.column for item in self.items[reached:]), self.codebook.variable("comment").column}
        share = (reached + 5) / (len(self.items) + 6)
        left = {
            "Finished": "0" if self.numeric else "False",
            "Progress": round(100 * share),
            "Duration (in seconds)": round(share * int(str(record["Duration (in seconds)"]))),
        }
        return {**{column: value for column, value in record.items() if column not in unseen}, **left}

    def _refused(self, record: Mapping[str, object]) -> dict[str, object]:
        no = self.codebook.variable("consent").categories[1]
        platform = {column: record[column] for column in META}
        return {**platform, "Q1": no.value if self.numeric else no.label, "Duration (in seconds)": 9}

    def _preview(self, record: Mapping[str, object]) -> dict[str, object]:
        status = {"Status": "1" if self.numeric else "Survey Preview", "DistributionChannel": "preview"}
        nobody = dict.fromkeys(("RecipientLastName", "RecipientFirstName", "RecipientEmail", "ExternalReference"), "")
        return {**record, **status, **nobody, "Q_panel": "TEST"}

    @staticmethod
    def _label(variable: Variable) -> str:
        stem = STEMS.get(variable.column.partition("_")[0])
        return f"{stem} - {variable.title}" if stem else variable.title

    @staticmethod
    def _import_id(name: str) -> str:
        content = {"ImportId": name, "timeZone": "Z"} if name.endswith("Date") else {"ImportId": name}
        return json.dumps(content, separators=(",", ":"))


def truth(times: int = TIMES, seed: int = TRUTH_SEED) -> dict[str, object]:
    """Give what a study of the demo is to find, from `times` copies of the organization.

    Everything is on the scale of what is estimated: scores of attentive respondents, made as the study makes them,
    with measurement error and with items missing as planted.
    """
    plan, codebook = demo_plan(), read_codebook(CODEBOOK)
    rng = np.random.default_rng(seed)
    people = draw_people(plan, staff(plan, times), rng)
    waves = {wave: sample_wave(plan, codebook, people, wave, rng) for wave in WAVES}
    scores = {wave: values for wave, (values, _) in waves.items()}
    return {
        "what": "Synthetic demo organization: what was planted, and the truth on the scale of what is estimated.",
        "truth_is_for": (
            f"attentive respondents (careless ones left out), scores = mean of at least half of the items, items "
            f"missing as planted; {len(people):,} employees drawn, Monte-Carlo error of a mean about 0.001"
        ),
        "seeds": {"structure": STRUCTURE_SEED, "files": FILES_SEED, "truth": seed},
        "planted": _planted(plan),
        "regression_wave_2": regression_truth(scores[2], people.unit),
        "unit_means": {f"wave_{w}": _by_unit(plan, people.unit, values) for w, values in scores.items()},
        "overall_means": {f"wave_{w}": _named(overall_means(plan, people.unit, v)) for w, v in scores.items()},
        "standard_deviations": {f"wave_{w}": _named(np.nanstd(v, axis=0)) for w, v in scores.items()},
        "changes": changes_truth(plan, people.unit, scores),
        "alpha": {f"wave_{w}": alphas for w, (_, alphas) in waves.items()},
        "icc1": {f"wave_{w}": _named(icc1(values, people.unit)) for w, values in scores.items()},
        "retest_correlation": {f"wave_{a}_to_{b}": _named(_retest(scores[a], scores[b])) for a, b in ((1, 2), (2, 3))},
        "segments_wave_2": segments_truth(plan, people, scores[2]),
    }


def sample_wave(
    plan: Plan, codebook: Codebook, people: People, wave: int, rng: np.random.Generator, chunk: int = 60_000
) -> tuple[np.ndarray, dict[str, float]]:
    """Draw one wave of scores, shape (n, 5), careless respondents as NaN; and alpha of every scale."""
    scores, sums = np.empty((len(people), len(plan.scales))), 0
    for start in range(0, len(people), chunk):
        rows = np.arange(start, min(start + chunk, len(people)))
        answers = draw_answers(plan, codebook, people.take(rows), wave=wave, rng=rng)
        attentive = answers.careless == ATTENTIVE
        made = mean_scores(plan, codebook, answers.codes)
        made[~attentive] = np.nan
        scores[rows] = made
        sums = sums + _cross_sums(answers.codes[attentive])
    return scores, _alphas(plan, codebook, sums)


def regression_truth(scores: np.ndarray, unit: np.ndarray) -> dict[str, object]:
    """Coefficients of adoption on the other scales within departments, raw and standardized."""
    complete = np.isfinite(scores).all(axis=1)
    values, unit = scores[complete], unit[complete]
    within = values - _unit_means(values, unit)[unit]
    coefficients = np.linalg.lstsq(within[:, :-1], within[:, -1], rcond=None)[0]
    spread = values.std(axis=0)
    residual = np.sum((within[:, -1] - within[:, :-1] @ coefficients) ** 2)
    return {
        "formula": f"{OUTCOME} ~ {' + '.join(PREDICTORS)} + C(unit)",
        "estimate": dict(zip(PREDICTORS, map(_rounded, coefficients), strict=True)),
        "standardized": dict(zip(PREDICTORS, map(_rounded, coefficients * spread[:-1] / spread[-1]), strict=True)),
        "r_squared": _rounded(1 - residual / (len(values) * spread[-1] ** 2)),
    }


def changes_truth(plan: Plan, unit: np.ndarray, scores: Mapping[int, np.ndarray]) -> dict[str, object]:
    """Change of every scale per pair of waves; a change is the same for everybody on the latent scale."""
    found = {}
    for before, after in ((1, 2), (2, 3), (1, 3)):
        means = [overall_means(plan, unit, scores[wave]) for wave in (before, after)]
        planted = plan.shifts[after - 1] != plan.shifts[before - 1]
        change = _named(means[1] - means[0])
        null = {name: 0.0 for name in SCALES if not planted or name not in CAMPAIGN}
        found[f"wave_{before}_to_{after}"] = {**change, **null}
    return found


def segments_truth(plan: Plan, people: People, scores: np.ndarray) -> dict[str, object]:
    """Give what k-means with four groups finds on the five z-scored scales, started at the planted segments."""
    complete = np.isfinite(scores).all(axis=1)
    z = (scores[complete] - scores[complete].mean(axis=0)) / scores[complete].std(axis=0)
    planted = people.segment[complete]
    start = np.array([z[planted == s].mean(axis=0) for s in range(len(plan.segments))])
    with threadpool_limits(1):
        fit = KMeans(len(start), init=start, n_init=1).fit(z)
    return {
        "variables": list(SCALES),
        "shares": {name: _rounded(np.mean(fit.labels_ == s)) for s, name in enumerate(plan.segments)},
        "centers": {name: _named(fit.cluster_centers_[s]) for s, name in enumerate(plan.segments)},
        "planted_members_found": {
            name: _rounded(np.mean(fit.labels_[planted == s] == s)) for s, name in enumerate(plan.segments)
        },
    }


def overall_means(plan: Plan, unit: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Mean of every scale over employees: department means weighted with head counts."""
    heads = np.array(list(plan.units.values()))
    return heads @ _unit_means(scores, unit) / heads.sum()


def icc1(scores: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """ICC(1) of every scale from a one-way analysis of variance, shape (p,)."""
    return np.array([_icc1(column[np.isfinite(column)], unit[np.isfinite(column)]) for column in scores.T])


def _icc1(values: np.ndarray, unit: np.ndarray) -> float:
    counts = np.bincount(unit)
    means = np.bincount(unit, values) / counts
    groups, n = len(counts), len(values)
    between = np.sum(counts * (means - values.mean()) ** 2) / (groups - 1)
    within = np.sum((values - means[unit]) ** 2) / (n - groups)
    size = (n - np.sum(counts**2) / n) / (groups - 1)
    return (between - within) / (between + (size - 1) * within)


def _unit_shares(rng: np.random.Generator) -> np.ndarray:
    """Draw every department's mix of segments, so that the organization as a whole has the planted shares."""
    heads, wanted = np.array(list(UNITS.values())), np.array(SHARES)
    shares = rng.dirichlet(wanted * CONCENTRATION, size=len(UNITS))
    for _ in range(200):
        shares *= wanted / (heads @ shares / heads.sum())
        shares /= shares.sum(axis=1, keepdims=True)
    return shares


def _unit_effects(rng: np.random.Generator) -> np.ndarray:
    """Draw what a department adds for all its members: mean 0 over employees, given spread."""
    heads = np.array(list(UNITS.values()))
    effects = rng.standard_normal((len(UNITS), len(SCALES)))
    effects -= heads @ effects / heads.sum()
    return effects / np.sqrt(heads @ effects**2 / heads.sum()) * UNIT_SPREAD


def _planted(plan: Plan) -> dict[str, object]:
    heads = np.array(list(plan.units.values()))
    return {
        "employees": int(heads.sum()),
        "units": dict(plan.units),
        "response": plan.response,
        "careless": _rounded(sum(plan.careless.values())),
        "items_missing": _rounded(sum(plan.missing.values())),
        "segment_shares": dict(zip(plan.segments, map(_rounded, heads @ plan.shares / heads.sum()), strict=True)),
        "segment_shares_by_unit": {
            name: dict(zip(plan.segments, map(_rounded, row), strict=True))
            for name, row in zip(plan.units, plan.shares, strict=True)
        },
        "segment_centers_latent": {name: _named(center) for name, center in plan.segments.items()},
        "unit_effects_latent": {name: _named(row) for name, row in zip(plan.units, plan.unit_effects, strict=True)},
        "effects_latent": {outcome: dict(causes) for outcome, causes in plan.effects.items()},
        "shifts_latent": {f"wave_{wave}": dict(shift) for wave, shift in zip(WAVES, plan.shifts, strict=True)},
        "no_effect_of": ["concerns", "role", "tenure"],
        "loading": plan.loading,
        "stability": plan.stability,
    }


def _cross_sums(codes: np.ndarray) -> np.ndarray:
    """Sums for pairwise covariances: shape (3, k, k) = counts, sums of x where y is there, sums of products."""
    given = np.isfinite(codes).astype(float)
    filled = np.nan_to_num(codes)
    return np.stack([given.T @ given, filled.T @ given, filled.T @ filled])


def _alphas(plan: Plan, codebook: Codebook, sums: np.ndarray) -> dict[str, float]:
    counts, firsts, products = sums
    covariance = products / counts - (firsts / counts) * (firsts.T / counts)
    signs = np.array([-1.0 if item.reverse else 1.0 for item in items_of(plan, codebook)])
    covariance = covariance * np.outer(signs, signs)
    found, start = {}, 0
    for name in plan.scales:
        k = len(codebook.scale(name).items)
        block = covariance[start : start + k, start : start + k]
        found[name] = _rounded(k / (k - 1) * (1 - np.trace(block) / block.sum()))
        start += k
    return found


def _unit_means(scores: np.ndarray, unit: np.ndarray) -> np.ndarray:
    return np.array([np.nanmean(scores[unit == u], axis=0) for u in range(unit.max() + 1)])


def _by_unit(plan: Plan, unit: np.ndarray, scores: np.ndarray) -> dict[str, object]:
    return {name: _named(row) for name, row in zip(plan.units, _unit_means(scores, unit), strict=True)}


def _retest(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    both = np.isfinite(before) & np.isfinite(after)
    return np.array([np.corrcoef(before[b, j], after[b, j])[0, 1] for j, b in enumerate(both.T)])


def _named(values: np.ndarray) -> dict[str, float]:
    return dict(zip(SCALES, map(_rounded, values), strict=True))


def _rounded(value: float) -> float:
    """Round to four digits, as the Monte-Carlo error allows; minus zero becomes zero."""
    return round(float(value), 4) + 0.0


def _panel_codes(n: int, rng: np.random.Generator) -> np.ndarray:
    letters = "BCDFGHJKLMNPQRSTVWXZ"
    numbers = rng.choice(len(letters) ** 2 * 90, n, replace=False)
    return np.array([f"{letters[v // 1800]}{letters[v // 90 % 20]}{10 + v % 90}" for v in numbers])


def _csv(rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


if __name__ == "__main__":
    main(sys.argv[1:])
