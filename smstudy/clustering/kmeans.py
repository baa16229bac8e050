"""Kinds of respondents by k-means, and scoring of new respondents with a stored segmentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.special import expit, logit
from scipy.stats import norm
from sklearn.metrics import silhouette_samples
from threadpoolctl import threadpool_limits

from smstudy.clustering.names import describe_segments, segment_names
from smstudy.clustering.sample import ENOUGH, Sample, complete_sample, numeric_column
from smstudy.display import figures
from smstudy.display.prose import join_words, plural
from smstudy.errors import DataError, DisclosureError
from smstudy.inference.lloyd import exchange, fit_many, refine, seed_centers, standardize
from smstudy.privacy import Privacy
from smstudy.result import Finding, Result, Rows
from smstudy.survey.dataset import Data, frame_of, labels_of, privacy_of

Array = NDArray[np.float64]
MODEL = "smstudy k-means segmentation 1"
STARTS = 3
FEWEST_REPEATS = 20
ROWS_AT_ONCE = 200_000


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Segmentation(Result):
    """Respondents in k segments, the largest first.

    Attributes
    ----------
    variables : tuple of str
        What the segments were formed on.
    means, sds : array, shape (p,)
        Standardization of the variables.
    centers : array, shape (k, p)
        Centers of the segments in standard deviations from the mean of all respondents.
    assignment : Series
        Segment of every respondent used; row-level, never shown.
    sizes : array, shape (k,)
    intervals : array, shape (k, 2)
        Confidence limits of the shares.
    silhouettes : array, shape (k,)
        Mean silhouette width per segment; NaN for one segment.
    within : float
        Sum of squared distances to the centers.
    """

    variables: tuple[str, ...]
    means: Array
    sds: Array
    centers: Array
    assignment: pd.Series
    sizes: NDArray[np.intp]
    intervals: Array
    silhouettes: Array
    within: float
    n_dropped: int

    picture = staticmethod(partial(figures.bars, value="share"))

    @property
    def segments(self) -> tuple[str, ...]:
        """Names of the segments, the largest first."""
        return segment_names(len(self.centers))

    def tidy(self) -> pd.DataFrame:
        """One row per segment: how many, what share with its interval, how well separated."""
        return pd.DataFrame(
            {
                "segment": self.segments,
                "n": self.sizes,
                "share": self.sizes / self.sizes.sum(),
                "conf_low": self.intervals[:, 0],
                "conf_high": self.intervals[:, 1],
                "silhouette": self.silhouettes,
            }
        )

    def glance(self) -> dict[str, int | float | str]:
        """Respondents used and left out, number of segments, mean silhouette width."""
        n = int(self.sizes.sum())
        silhouette = float(self.silhouettes @ self.sizes / n)
        return {"n": n, "n_dropped": self.n_dropped, "k": len(self.centers), "silhouette": silhouette}

    def augment(self, data: Data) -> Rows:
        """Add `.cluster` and `.distance` to the data; both missing where a variable is."""
        frame = frame_of(data)
        return Rows(frame.join(_score(self.to_model(), data)))

    def to_model(self) -> dict[str, object]:
        """Give what is needed to score new respondents, ready for JSON; nothing about any respondent."""
        return {
            "kind": MODEL,
            "variables": list(self.variables),
            "means": self.means.tolist(),
            "sds": self.sds.tolist(),
            "centers": self.centers.tolist(),
            "segments": list(self.segments),
            "labels": {name: self.labels[name] for name in (*self.variables, *self.segments) if name in self.labels},
        }


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Assignment(Result):
    """New respondents scored with a stored segmentation.

    Attributes
    ----------
    rows : Rows
        `.cluster` and `.distance` of every respondent, both missing where an answer is missing.
    segments : tuple of str
        Names of the segments.
    """

    rows: Rows
    segments: tuple[str, ...]

    picture = staticmethod(partial(figures.bars, value="share"))

    def tidy(self) -> pd.DataFrame:
        """One row per segment: how many and what share; all hidden when one is too small, since the total is known."""
        sizes = self.rows.frame[".cluster"].value_counts().reindex(self.segments, fill_value=0)
        shares = sizes / max(sizes.sum(), 1)
        table = pd.DataFrame({"segment": self.segments, "n": sizes.to_numpy(), "share": shares.to_numpy()})
        if all(self.privacy.allows(n) for n in sizes):
            return table
        return table.assign(n=np.nan, share=np.nan, hidden=True)

    def glance(self) -> dict[str, int | float | str]:
        """Respondents scored and left out."""
        scored = int(self.rows.frame[".cluster"].notna().sum())
        return {"n": scored, "n_dropped": len(self.rows.frame) - scored, "k": len(self.segments)}

    def augment(self, data: Data) -> Rows:
        """Add `.cluster` and `.distance` to the data."""
        return Rows(frame_of(data).join(self.rows.frame))


def kmeans(
    data: Data,
    variables: Sequence[str],
    *,
    k: int,
    seed: int,
    n_init: int = 100,
    n_boot: int = 400,
    conf_level: float = 0.95,
) -> Segmentation:
    """Sort respondents into k segments of similar answers.

    Variables are standardized; only complete rows take part. Whether k groups exist at all is for `choose_k` to say.
    `k=1` puts everybody into one segment, which is the right segmentation when there are no stable groups.

    Parameters
    ----------
    data : Survey or DataFrame
    variables : sequence of str
        At least two numeric variables.
    k : int
        Number of segments.
    seed : int
        Fixes the random starts and the bootstrap.
    n_init : int
        Random starts; the best is kept.
    n_boot : int
        Bootstrap samples for the intervals of the shares. Each is standardized and clustered anew, its groups
        matched to the segments found.

    Returns
    -------
    Segmentation
        Segments ordered by size, ties by their first center coordinate.

    Raises
    ------
    DataError
        If fewer than 30 complete rows, fewer than two variables that vary, or fewer than k different rows remain.
    DisclosureError
        If a segment would be smaller than the privacy threshold: its size would follow from the total.

    References
    ----------
    Hartigan & Wong (1979), Applied Statistics 28, 100-108; starts: k-means++ of Arthur & Vassilvitskii (2007).
    Agrees with R stats::kmeans on scale()d data and cluster::silhouette (tests/reference/clustering.R).
    """
    _check_options(seed, n_init, n_boot, conf_level)
    sample = complete_sample(data, variables)
    _check(sample, k, privacy_of(data))
    z = sample.z
    with threadpool_limits(1):
        centers, place, within = fit(z, k, seed=seed, n_init=n_init)
        shares = bootstrap_shares(sample.frame.to_numpy(), centers, n_boot=n_boot, rng=np.random.default_rng(seed))
    sizes = np.bincount(place, minlength=k)
    _check_sizes(sizes, k, privacy_of(data))
    return Segmentation(
        title="Segments of respondents" if k > 1 else "All respondents as one segment",
        note=_note(sample, labels_of(data), conf_level, n_boot),
        findings=sample.findings,
        labels={**labels_of(data), **describe_segments(centers, list(sample.frame), labels_of(data))},
        privacy=privacy_of(data),
        variables=tuple(sample.frame),
        means=sample.frame.mean().to_numpy(),
        sds=sample.frame.std(ddof=1).to_numpy(),
        centers=centers,
        assignment=pd.Series([segment_names(k)[i] for i in place], index=sample.frame.index, name=".cluster"),
        sizes=sizes,
        intervals=share_intervals(sizes / len(z), shares, conf_level),
        silhouettes=silhouettes(z, place, k),
        within=within,
        n_dropped=sample.n_dropped,
    )


def assign(segmentation: Segmentation | Mapping[str, object], data: Data) -> Assignment:
    """Score respondents with a stored segmentation: nearest center after the stored standardization.

    Parameters
    ----------
    segmentation : Segmentation or mapping
        A fit, or what its `to_model()` gave.
    data : Survey or DataFrame
        New respondents; must have the variables of the segmentation.

    Raises
    ------
    DataError
        If the mapping is no segmentation, or a variable is missing or not numeric.
    """
    model = segmentation.to_model() if isinstance(segmentation, Segmentation) else check_model(segmentation)
    rows = _score(model, data)
    left_out = int(rows[".cluster"].isna().sum())
    few = f"fewer than {privacy_of(data).min_n}"
    count = f"{left_out:,}" if privacy_of(data).allows(left_out) else few
    text = f"{count} of {plural(len(rows), 'respondent')} could not be assigned because an answer is missing."
    return Assignment(
        title="Respondents assigned to stored segments",
        note="Nearest center of the stored segmentation, with the means and standard deviations stored with it.",
        findings=(Finding(name="not_assigned", text=text, severity="info"),) if left_out else (),
        labels={**labels_of(data), **model["labels"]},
        privacy=privacy_of(data),
        rows=Rows(rows),
        segments=tuple(model["segments"]),
    )


def check_model(model: Mapping[str, object]) -> dict[str, object]:
    """Check a stored segmentation that comes from a file.

    Raises
    ------
    DataError
        If something is missing, not finite or of the wrong shape.
    """
    problem = _problem(model)
    if problem:
        raise DataError(f"This is no stored segmentation: {problem}. Store what Segmentation.to_model() gives.")
    return dict(model)


def fit(z: Array, k: int, *, seed: int, n_init: int) -> tuple[Array, NDArray[np.intp], float]:
    """Fit k-means from many starts and order the groups by size, ties by the first center coordinate.

    Parameters
    ----------
    z : array, shape (n, p)

    Returns
    -------
    centers : array, shape (k, p)
    assignment : int array, shape (n,)
    within : float
        Sum of squared distances to the nearest center.
    """
    rng = np.random.default_rng(seed)
    with threadpool_limits(1):
        tried = [_some_starts(z, k, part, rng) for part in _parts(n_init, len(z))]
    centers, place, within = min(tried, key=lambda found: found[2])
    order = np.lexsort((*centers.T[::-1], -np.bincount(place, minlength=k)))
    return centers[order], np.argsort(order)[place], within


def bootstrap_shares(values: Array, centers: Array, *, n_boot: int, rng: np.random.Generator) -> Array:
    """Repeat a segmentation on bootstrap samples and match the groups to those found.

    Each sample is standardized anew and clustered from the centers found and from STARTS other starts, because staying
    near the centers found would hide how far another sample could have led.

    Parameters
    ----------
    values : array, shape (n, p)
        Rows before standardization.
    centers : array, shape (k, p)

    Returns
    -------
    array, shape (n_boot, k)
        Share of each segment in each repetition.
    """
    n, k = len(values), len(centers)
    shares = []
    for part in _parts(n_boot, n):
        samples = standardize(values[rng.integers(0, n, size=(part, n))])
        again = fit_many(samples, k, rng, starts=STARTS, centers=centers)
        found = (again.assignment[:, :, None] == np.arange(k)).mean(axis=1)
        shares += [own[match_centers(other, centers)] for own, other in zip(found, again.centers, strict=True)]
    return np.stack(shares)


def match_centers(others: Array, centers: Array) -> NDArray[np.intp]:
    """Say which of the other centers stands for each center: the pairing with the smallest squared distances.

    Parameters
    ----------
    others, centers : array, shape (k, p)

    Returns
    -------
    int array, shape (k,)
    """
    return linear_sum_assignment(((centers[:, None] - others) ** 2).sum(axis=2))[1]


def share_intervals(shares: Array, repeated: Array, conf_level: float) -> Array:
    """Turn bootstrap shares into intervals: normal on the logit scale, around the share found.

    Parameters
    ----------
    shares : array, shape (k,)
    repeated : array, shape (n_boot, k)

    Returns
    -------
    array, shape (k, 2)
    """
    if len(shares) == 1:
        return np.full((1, 2), np.nan)
    spread = repeated.std(axis=0, ddof=1) / (shares * (1 - shares))
    reach = norm.ppf((1 + conf_level) / 2) * spread
    return expit(logit(shares)[:, None] + reach[:, None] * np.array([-1.0, 1.0]))


def silhouettes(z: Array, assignment: NDArray[np.intp], k: int) -> Array:
    """Mean silhouette width of each group, shape (k,); NaN for a single group."""
    if k == 1:
        return np.array([np.nan])
    widths = silhouette_samples(z, assignment)
    return np.array([widths[assignment == group].mean() for group in range(k)])


def _parts(repeats: int, n: int) -> list[int]:
    """Split repetitions so that one part fits into memory."""
    size = max(1, ROWS_AT_ONCE // n)
    return [min(size, repeats - start) for start in range(0, repeats, size)]


def _some_starts(z: Array, k: int, starts: int, rng: np.random.Generator) -> tuple[Array, NDArray[np.intp], float]:
    samples = np.broadcast_to(z, (starts, *z.shape))
    fits = exchange(samples, refine(samples, seed_centers(samples, k, rng)))
    best = fits.within.argmin()
    return fits.centers[best], fits.assignment[best], float(fits.within[best])


def _score(model: Mapping[str, object], data: Data) -> pd.DataFrame:
    frame = pd.DataFrame({name: numeric_column(data, name) for name in model["variables"]})
    z = (frame.to_numpy() - np.asarray(model["means"])) / np.asarray(model["sds"])
    distances = np.sqrt(((z[:, None, :] - np.asarray(model["centers"])) ** 2).sum(axis=2))
    complete = ~np.isnan(z).any(axis=1)
    names = np.array(model["segments"], dtype=object)
    nearest = np.where(complete, names[np.where(complete[:, None], distances, 0.0).argmin(axis=1)], None)
    return pd.DataFrame({".cluster": nearest, ".distance": distances.min(axis=1)}, index=frame.index)


def _check_options(seed: int, n_init: int, n_boot: int, conf_level: float) -> None:
    for name, value, least in (("seed", seed, 0), ("n_init", n_init, 1), ("n_boot", n_boot, FEWEST_REPEATS)):
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
            raise DataError(f"{name} = {value} cannot be used. Give a whole number of at least {least}.")
    if not isinstance(conf_level, float) or not 0.5 <= conf_level < 1:
        raise DataError(f"conf_level = {conf_level} is no level. Give a share from 0.5 to below 1, such as 0.95.")


def _check(sample: Sample, k: int, privacy: Privacy) -> None:
    n, p = sample.frame.shape
    if not isinstance(k, int | np.integer) or isinstance(k, bool) or k < 1:
        raise DataError(f"k = {k} is no number of segments. Use a whole number from 1.")
    enough = ENOUGH if k > 1 else privacy.min_n
    if n < enough:
        raise DataError(f"Too little data: {n if privacy.allows(n) else 'too few'} complete rows, {enough} are needed.")
    if p < 2:
        raise DataError("Fewer than two variables differ between respondents. Choose other variables.")
    if k > n // privacy.min_n or k > len(sample.frame.drop_duplicates()):
        raise DataError(f"k = {k} segments are too many for {n} complete rows. Use fewer segments.")


def _check_sizes(sizes: NDArray[np.intp], k: int, privacy: Privacy) -> None:
    if sizes.min() < privacy.min_n:
        raise DisclosureError(
            f"With k = {k} a segment has fewer than {privacy.min_n} respondents, and its size would follow from the "
            "total. Use fewer segments."
        )


def _note(sample: Sample, labels: Mapping[str, str], conf_level: float, n_boot: int) -> str:
    words = join_words([labels.get(name, name) for name in sample.frame])
    return (
        f"k-means on standardized {words}; respondents with a missing answer are left out. "
        f"{100 * conf_level:.0f}% intervals of the shares from {n_boot} bootstrap samples clustered anew."
    )


def _problem(model: Mapping[str, object]) -> str:
    if not isinstance(model, Mapping) or model.get("kind") != MODEL:
        return f'"kind" is not "{MODEL}"'
    missing = [key for key in ("variables", "means", "sds", "centers", "segments", "labels") if key not in model]
    if missing:
        return f"{join_words(missing)} missing"
    try:
        numbers = [np.asarray(model[key], dtype=float) for key in ("means", "sds", "centers")]
    except (TypeError, ValueError):
        return "means, sds and centers must be numbers"
    p, k = len(model["variables"]), len(model["segments"])
    if [part.shape for part in numbers] != [(p,), (p,), (k, p)] or not k:
        return "means, sds, centers and segments do not fit together"
    if not all(np.isfinite(part).all() for part in numbers) or (numbers[1] <= 0).any():
        return "means and centers must be finite and sds positive"
    return "" if isinstance(model["labels"], Mapping) else "labels must map names to words"
