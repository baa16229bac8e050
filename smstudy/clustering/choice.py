"""How many kinds of respondents are there, if any?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from smstudy.clustering.kmeans import fit, silhouettes
from smstudy.clustering.sample import ENOUGH, Sample, complete_sample
from smstudy.clustering.stability import bootstrap_stability
from smstudy.display import figures
from smstudy.display.prose import join_words
from smstudy.display.rules import STABILITY
from smstudy.errors import DataError
from smstudy.inference.copula import fit_copula
from smstudy.inference.lloyd import fit_many, standardize
from smstudy.result import Finding, Result
from smstudy.survey.dataset import Data, labels_of, privacy_of

Array = NDArray[np.float64]
STABLE = STABILITY.cuts[1]
ALPHA = 0.05
STARTS = 4
N_INIT = 30
N_REFERENCE = 50
NO_GROUPS = "no stable groups"
TOO_LITTLE = "too little data"
COUNTS = "counts"
COLUMNS = {
    "k": int, "stability": float, "silhouette": float, "gap": float, "gap_error": float, "statistic": float,
    "p_value": float, "p_adjusted": float, "verdict": str,
}  # fmt: skip
NOTHING = pd.DataFrame(columns=list(COLUMNS)).astype(COLUMNS)


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class GroupChoice(Result):
    """What speaks for and against each number of groups.

    Attributes
    ----------
    rows : DataFrame
        One row per number of groups.
    k : int
        The number that counts; 1 when there are no stable groups or too little data to tell.
    verdict : str
        "4 groups", "no stable groups" or "too little data".
    """

    rows: pd.DataFrame
    k: int
    verdict: str
    n: int
    n_dropped: int

    picture = figures.choices

    def tidy(self) -> pd.DataFrame:
        """One row per number of groups: stability, silhouette, gap, test against one group, verdict."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Respondents used and left out, the number of groups and the verdict in words."""
        return {"n": self.n, "n_dropped": self.n_dropped, "k": self.k, "verdict": self.verdict}

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the stability of each number of groups; the verdict alone when there was too little data to try any."""
        if len(self.rows):
            return super().plot(ax)
        return figures.words(ax or figures.new_axes(1), self.verdict, title=self.title)


def choose_k(
    data: Data,
    variables: Sequence[str],
    *,
    ks: Sequence[int] = range(2, 7),
    seed: int,
    n_boot: int = 100,
    n_null: int = 199,
) -> GroupChoice:
    """Find out how many groups of respondents there are, if any.

    A number of groups counts only if its least stable group comes back in bootstrap samples (mean Jaccard similarity of
    at least .75), if it fits better than in samples from one single group with the same correlations and answer
    categories (p < .05, corrected for the numbers tried), and if no group is too small to be shown. Of several numbers
    that count, the smallest whose gap is within one simulation error of the largest is taken. The silhouette does not
    decide.

    Parameters
    ----------
    data : Survey or DataFrame
    variables : sequence of str
        At least two numeric variables.
    ks : sequence of int
        Numbers of groups to try, each at least 2.
    seed : int
        Fixes every random step.
    n_boot : int
        Bootstrap samples for the stability.
    n_null : int
        Samples from one group; at least 99.

    Returns
    -------
    GroupChoice
        With fewer than 30 complete rows the verdict is "too little data" and there are no rows.

    Raises
    ------
    DataError
        If a variable is unknown or not numeric, one is a sum of others, or `ks` cannot be tried.

    Notes
    -----
    Test statistic for k: minus the log of the within sum of squares, less its linear prediction from the log
    eigenvalues of the sample's own correlation matrix (learned on the null samples), in standard deviations of the null
    samples. p_adjusted refers the statistic of each k to the largest one over all k in every null sample (max-T,
    Westfall & Young 1993). One group = Gaussian copula with one-peaked margins on the observed answer categories.

    References
    ----------
    Stability: Hennig (2007), R fpc::clusterboot. Gap: Tibshirani, Walther & Hastie (2001), R cluster::clusGap with
    d.power = 2. Null of one group: Hennig & Lin (2015), Statistics and Computing 25, 821-833. The rule for the
    smallest gap within an error: as "globalSEmax" of R cluster::maxSE, among the numbers that count.
    """
    sample = complete_sample(data, variables)
    ks = _checked(ks, sample, n_boot, n_null)
    little = len(sample.frame) < ENOUGH or sample.frame.shape[1] < 2
    rows = NOTHING if little else _rows(sample, ks, seed, n_boot, n_null, privacy_of(data).min_n)
    k = _clearest(rows)
    verdict = TOO_LITTLE if little else f"{k} groups" if k > 1 else NO_GROUPS
    return GroupChoice(
        title="How many groups of respondents?",
        note=_note(sample, labels_of(data), n_boot, n_null),
        findings=(*sample.findings, *_findings(verdict)),
        labels=labels_of(data),
        privacy=privacy_of(data),
        rows=rows,
        k=k,
        verdict=verdict,
        n=len(sample.frame),
        n_dropped=sample.n_dropped,
    )


def _clearest(rows: pd.DataFrame) -> int:
    """The number of groups to take, 1 if none."""
    counting = rows[rows["verdict"] == COUNTS]
    if counting.empty:
        return 1
    top = counting.loc[counting["gap"].idxmax()]
    return int(counting.loc[counting["gap"] >= top["gap"] - top["gap_error"], "k"].min())


def null_statistics(samples: Array, ks: Sequence[int], rng: np.random.Generator) -> Array:
    """How well k groups fit each sample, given its correlations, in standard deviations of the null samples.

    Parameters
    ----------
    samples : array, shape (1 + B, n, p)
        The observed sample first, then B samples from one group; all standardized.

    Returns
    -------
    array, shape (1 + B, number of ks)
        Larger means tighter groups than one group with these correlations shows.
    """
    fits = [-np.log(np.maximum(fit_many(samples, k, rng, starts=STARTS).within, 1e-12)) for k in ks]
    known = np.linalg.eigvalsh(samples.transpose(0, 2, 1) @ samples / (samples.shape[1] - 1))[:, 1:]
    design = np.column_stack([np.ones(len(samples)), np.log(np.maximum(known, 1e-3))])
    excess = _unexplained(np.column_stack(fits), design)
    return (excess - excess[1:].mean(axis=0)) / excess[1:].std(axis=0, ddof=1)


def p_values(statistics: Array) -> tuple[Array, Array]:
    """Compare the observed statistics with the null ones, one by one and with the largest over all k.

    Parameters
    ----------
    statistics : array, shape (1 + B, m)
        Observed first.

    Returns
    -------
    p_value, p_adjusted : array, shape (m,)
        Share of samples at least as extreme, the observed one counted in.
    """
    observed, null = statistics[0], statistics[1:]
    single = (1 + (null >= observed).sum(axis=0)) / len(statistics)
    largest = (1 + (null.max(axis=1)[:, None] >= observed).sum(axis=0)) / len(statistics)
    return single, largest


def gap(z: Array, ks: Sequence[int], rng: np.random.Generator) -> tuple[Array, Array]:
    """Gap statistic of each k: how much the log within sum of squares falls short of uniform samples.

    Reference samples are uniform over the box of the principal components.

    Parameters
    ----------
    z : array, shape (n, p)

    Returns
    -------
    tuple of two arrays, shape (number of ks,)
        The gaps, and their simulation errors as R cluster::clusGap has them.
    """
    axes = np.linalg.svd(z - z.mean(axis=0), full_matrices=False)[2]
    turned = z @ axes.T
    low, high = turned.min(axis=0), turned.max(axis=0)
    uniform = rng.uniform(low, high, size=(N_REFERENCE, *z.shape)) @ axes
    logs = np.array([np.log(fit_many(uniform, k, rng, starts=STARTS).within) for k in ks])
    own = [np.log(fit_many(z[None], k, rng, starts=N_INIT).within[0]) for k in ks]
    return logs.mean(axis=1) - np.array(own), np.sqrt(1 + 1 / N_REFERENCE) * logs.std(axis=1, ddof=1)


def _rows(sample: Sample, ks: Sequence[int], seed: int, n_boot: int, n_null: int, min_n: int) -> pd.DataFrame:
    z = sample.z
    null_rng, boot_rng, gap_rng = (np.random.default_rng([seed, part]) for part in range(3))
    with threadpool_limits(1):
        null = standardize(fit_copula(sample.frame.to_numpy()).draw(n_null, len(z), null_rng))
        statistics = null_statistics(np.concatenate([z[None], null]), ks, null_rng)
        single, largest = p_values(statistics)
        fits = [fit(z, k, seed=seed, n_init=N_INIT) for k in ks]
        stable = [bootstrap_stability(z, place, c, n_boot=n_boot, rng=boot_rng).min() for c, place, _ in fits]
        gaps, gap_errors = gap(z, ks, gap_rng)
    sizes = [np.bincount(place, minlength=k) for k, (_, place, _) in zip(ks, fits, strict=True)]
    widths = [silhouettes(z, place, k) @ size / len(z) for k, size, (_, place, _) in zip(ks, sizes, fits, strict=True)]
    verdicts = [_verdict(s, p, size.min() >= min_n) for s, p, size in zip(stable, largest, sizes, strict=True)]
    columns = (list(ks), stable, widths, gaps, gap_errors, statistics[0], single, largest, verdicts)
    return pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)))


def _unexplained(values: Array, design: Array) -> Array:
    """Residuals from a regression learned on all rows but the first; theirs as if each had been left out."""
    q, r = np.linalg.qr(design[1:])
    coefficients = np.linalg.lstsq(r, q.T @ values[1:], rcond=None)[0]
    residuals = values - design @ coefficients
    residuals[1:] /= 1 - (q**2).sum(axis=1, keepdims=True)
    return residuals


def _verdict(stability: float, p_adjusted: float, shown: bool) -> str:
    if stability >= STABLE and p_adjusted < ALPHA:
        return COUNTS if shown else "a group is too small to be shown"
    if stability >= STABLE:
        return "stable, but not clearer than one group"
    return "better than one group, but not stable" if p_adjusted < ALPHA else "neither stable nor better than one group"


def _checked(ks: Sequence[int], sample: Sample, n_boot: int, n_null: int) -> list[int]:
    wrong = [k for k in ks if not isinstance(k, int | np.integer) or k < 2]
    if wrong or not len(ks):
        raise DataError("ks must be whole numbers of at least 2, for example range(2, 7).")
    if n_boot < 20 or n_null < 99:
        raise DataError(f"n_boot = {n_boot} or n_null = {n_null} is too few. Use at least 20 and 99.")
    n, p = sample.frame.shape
    if n < ENOUGH or p < 2:
        return sorted(set(ks))
    _refuse_repetition(sample)
    different = len(sample.frame.drop_duplicates())
    if max(ks) > min(different - 1, n // 5):
        raise DataError(f"{max(ks)} groups are too many for {n} rows, {different} of them different. Use fewer.")
    return sorted(set(ks))


def _refuse_repetition(sample: Sample) -> None:
    correlations = np.corrcoef(sample.frame.to_numpy(), rowvar=False)
    if np.linalg.eigvalsh(correlations)[0] < 1e-8:
        names = join_words([f'"{name}"' for name in sample.frame])
        raise DataError(f"Among {names} at least one follows exactly from the others. Leave it out.")


def _findings(verdict: str) -> list[Finding]:
    texts = {
        NO_GROUPS: "No number of groups is settled as stable and better than one group.",
        TOO_LITTLE: f"Groups cannot be looked for: that needs {ENOUGH} complete rows and two variables that vary.",
    }
    return [Finding(name=verdict.replace(" ", "_"), text=texts[verdict], severity="info")] if verdict in texts else []


def _note(sample: Sample, labels: Mapping[str, str], n_boot: int, n_null: int) -> str:
    words = join_words([labels.get(name, name) for name in sample.frame])
    return (
        f"k-means on standardized {words}. Stability: mean Jaccard similarity of the least stable group over "
        f"{n_boot} bootstrap samples, at least .75 is needed. p: against {n_null} samples from one group with the same "
        "correlations and answer categories, corrected for all numbers tried; Statistic: how far the fit exceeds "
        "that of these samples, in their standard deviations. Of the numbers that pass both, the smallest "
        "whose gap is within one simulation error of the largest is taken."
    )
