"""What a reader must know to trust a path model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from smstudy.display import rules
from smstudy.display.prose import join_words
from smstudy.inference.partial_least_squares import score_reliabilities
from smstudy.models.path_models.answers import PathAnswers
from smstudy.models.path_models.tables import FittedPaths
from smstudy.privacy import Privacy
from smstudy.result import Finding

POWER = 2.486  # normal quantiles of a one-sided test at 5 % and of a power of 80 %, added
DEFAULT_PATH = 0.197  # what 160 respondents can find: enough where nobody knows how strong a path is
RELIABLE = 0.70
EXACT_ENOUGH = 0.80
MANY = 0.05
OVERLAP = rules.COLLINEARITY.cuts[0]


def estimate_findings(fitted: FittedPaths, paths: pd.DataFrame) -> Iterator[Finding]:
    """Unsteady resamples, few respondents, drivers that overlap.

    References
    ----------
    Kock & Hadaya (2018), Information Systems J. 28, 227-261.
    """
    found, draws = fitted.found, fitted.draws
    if draws.n_failed:
        share = f"{draws.n_failed / (draws.n_failed + len(draws.means)):.1%} of the resamples had no proper solution"
        told = "intervals rest on the others." if draws.steady else "so there are no intervals. Say consistent=False."
        severity = "info" if draws.steady else "serious"
        yield Finding(name="failed_resamples", text=f"{share}; {told}", severity=severity)
    yield from left_out_finding(found.n, found.n_dropped, found.privacy)
    yield from _uncorrected(fitted)
    least = POWER / np.sqrt(found.n)
    if least > DEFAULT_PATH:
        text = (
            f"With so few respondents only paths of {least:.2f} or more are found with a probability of 80 % (inverse "
            "square root method), however many respondents there are per item. 160 are needed for 0.20."
        )
        yield Finding(name="few_respondents", text=text)
    overlap = paths.loc[paths["vif"] >= OVERLAP, "term"].unique()
    if len(overlap):
        text = f"Drivers that overlap, so that coefficients are unsteady (VIF of 5 or more): {_said(found, overlap)}."
        yield Finding(name="collinear_drivers", text=text)


def left_out_finding(n: int, n_dropped: int, policy: Privacy, who: str = "") -> Iterator[Finding]:
    """Say that many skipped an item; `who` begins the sentence, such as "Sales: "."""
    lost = n_dropped / (n + n_dropped)
    if lost > MANY and policy.allows(n_dropped):
        text = (
            f"{who}{lost:.0%} of the respondents skipped an item of the model and are left out. impute() fills in the "
            "answers of those who answered others of the scale, pool() then puts the models together; who skipped a "
            "whole scale can stay out."
        )
        yield Finding(name="many_left_out", text=text)


def _uncorrected(fitted: FittedPaths) -> Iterator[Finding]:
    """Unreliable scores among several drivers, which may push paths up as well as down."""
    found, structure = fitted.found, fitted.found.structure
    rho = score_reliabilities(fitted.fit.weights[0], structure.members)
    plain = [found.kind(name) == "reflective" for name in found.constructs] & ~structure.factors
    crowded = structure.drivers[:, structure.drivers.sum(axis=0) > 1].any(axis=1)
    weak = [found.constructs[j] for j in np.flatnonzero(plain & crowded & (rho < EXACT_ENOUGH))]
    if weak:
        text = (
            f"Paths are not corrected for unreliability (rho_A below .80): {_said(found, weak)}. Where an outcome has "
            "several drivers this makes paths too small or too large: what one driver measures badly is put down to "
            "another that goes with it."
        )
        yield Finding(name="uncorrected_drivers", text=text)


def measurement_findings(
    found: PathAnswers, items: pd.DataFrame, constructs: pd.DataFrame, pairs: pd.DataFrame | None = None
) -> Iterator[Finding]:
    """Impossible loadings, items against their construct, overlap of items, low reliability, constructs not apart."""
    impossible = [*items.loc[items["loading"].abs() > 1, "term"], *constructs.loc[constructs["rho_a"] > 1, "term"]]
    if impossible:
        text = (
            f"A loading or reliability above 1, which cannot be: {_said(found, impossible)}. The construct hardly goes "
            "with its neighbors, or its items are too unlike; what the model says of it is chance."
        )
        yield Finding(name="heywood", text=text, severity="serious")
    opposed = items.loc[items["loading"] < 0, "term"]
    if len(opposed):
        text = (
            f"Answered against the other items of the construct: {_said(found, opposed)}. If worded the other way, "
            "turn it round (reverse: true in the codebook); if not, leave it out."
        )
        yield Finding(name="opposed_items", text=text, severity="serious")
    formative = items[items["parameter"] == "weight"]
    for name, rows, words in (
        ("collinear_items", formative["vif"] >= OVERLAP, "Formative items that overlap, so that weights are unsteady"),
        ("negative_weight", (formative["item_weight"] < 0) & (formative["loading"] > 0),
         "Formative items that count against their construct only because others overlap with them"),
    ):  # fmt: skip
        if rows.any():
            yield Finding(name=name, text=f"{words}: {_said(found, formative.loc[rows, 'term'])}.")
    weak = constructs.loc[constructs["rho_a"] < RELIABLE, "term"]
    if len(weak):
        yield Finding(name="low_reliability", text=f"Measured with low reliability (rho_A): {_said(found, weak)}.")
    unsure = None if pairs is None else pairs[pairs["verdict"] != rules.DISCRIMINATION.words[0]]
    if unsure is not None and len(unsure):
        one, other = (unsure[name].map(found.say) for name in ("term", "other_term"))
        words = join_words([f"{a} and {b}" for a, b in zip(one, other, strict=True)])
        yield Finding(name="constructs_overlap", text=f"Not shown to be two things each (HTMT): {words}.")


def _said(found: PathAnswers, names: Iterable[str]) -> str:
    return join_words([f'"{found.say(name)}"' for name in names])
