"""Do the items of a scale go together, and are two scales two things?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pandas as pd
from scipy import stats

from smstudy.display import apa, figures, rules, tables
from smstudy.display.prose import join_words
from smstudy.errors import DataError, EstimationError
from smstudy.inference.psychometrics import discriminant
from smstudy.inference.psychometrics.consistency import Floats, pairwise_covariances
from smstudy.inference.psychometrics.discriminant import (
    Ratios,
    monotrait_ratios,
    pairs_of,
    pairwise_correlations,
    resampled_ratios,
)
from smstudy.result import Finding, Result
from smstudy.scales.arguments import check_level, check_resamples, check_seed
from smstudy.scales.batteries import battery_of, refuse_opposed
from smstudy.scales.confirmatory import FactorModel, confirm
from smstudy.scales.measurement import Factors, Measured, measured
from smstudy.survey.dataset import Data, Survey

MOST_UNDEFINED = 0.05
UNKNOWN = "cannot tell"
OF_THE_MODEL = ("poor_fit", "small_sample")
PAIR = ["term", "other_term", "factor_correlation", "conf_low", "conf_high", "htmt", "htmt_low", "htmt_high"]
PAIR += ["htmt2", "htmt2_low", "htmt2_high", "fornell_larcker", "verdict"]
SCALE = ["n_items", "extracted", "extracted_low", "extracted_high", "composite", "composite_low", "composite_high"]
SCALE += ["shared_most", "verdict"]


@dataclass(frozen=True, kw_only=True, repr=False)
class Convergence(Result):
    """How much the items of each scale share; shown with the correlations of factors and the root of AVE between them.

    Attributes
    ----------
    n : int
        Respondents with any answer.
    conf_level : float
        Level of the intervals.
    rows, pairs : DataFrame
        One row per scale; correlations of factors, one row per pair.
    """

    n: int
    conf_level: float
    rows: pd.DataFrame = field(repr=False)
    pairs: pd.DataFrame = field(repr=False)

    picture = staticmethod(
        partial(figures.estimates, value="extracted", ends=("extracted_low", "extracted_high"), zero=False)
    )

    def tidy(self) -> pd.DataFrame:
        """One row per scale; other_term is the scale it shares most with."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Respondents and the level of the intervals."""
        return {"n": self.n, "conf_level": self.conf_level}

    def table(self) -> tables.Table:
        """AVE and CR of each scale, then the correlations of its factor with those before it."""
        shown, hidden = self.shown(), self.privacy.gate(self.pairs)
        described = tables.write_table(
            shown[[name for name in ("term", *SCALE, "hidden") if name in shown]],
            title=self.title,
            note=self.note,
            labels=self.labels,
            conf_level=self.conf_level,
        )
        terms = list(shown["term"])
        cells = {(row["other_term"], row["term"]): row["factor_correlation"] for row in hidden.to_dict("records")}
        cells |= {(term, term): value**0.5 for term, value in zip(terms, shown["extracted"], strict=True)}
        written = [
            tuple(apa.bounded(cells[term, other]) if (term, other) in cells else "" for other in terms)
            for term in terms
        ]
        return tables.Table(
            title=self.title,
            headings=("Scale", *described.headings[1:], *(str(place + 1) for place in range(len(terms)))),
            rows=tuple(
                (f"{place + 1}. {row[0]}", *row[1:], *more)
                for place, (row, more) in enumerate(zip(described.rows, written, strict=True))
            ),
            numeric=(*described.numeric, *[True] * len(terms)),
            note=self.note,
        )


@dataclass(frozen=True, kw_only=True, repr=False)
class Validity(Result):
    """Whether scales are different things, one row per pair.

    Attributes
    ----------
    convergence : Convergence
        How much the items of each scale share.
    n : int
        Respondents with any answer.
    conf_level : float
        Level of the intervals.
    rows : DataFrame
        One row per pair.
    """

    convergence: Convergence
    n: int
    conf_level: float
    rows: pd.DataFrame = field(repr=False)

    picture = staticmethod(
        partial(figures.estimates, value="htmt", ends=("htmt_low", "htmt_high"), yardsticks=rules.DISCRIMINATION.cuts)
    )

    def tidy(self) -> pd.DataFrame:
        """One row per pair of scales; conf_low and conf_high belong to the correlation of their factors."""
        return self.rows.copy()

    def layout(self, shown: pd.DataFrame) -> pd.DataFrame:
        """All but the numbers of respondents."""
        return shown[PAIR]

    def drawn(self) -> pd.DataFrame:
        """One row per pair, named after both scales."""
        drawn = super().drawn()
        words = [self.labels.get(name, name) for name in drawn["term"]]
        others = [self.labels.get(name, name) for name in drawn["other_term"]]
        return drawn.assign(term=[f"{one} - {other}" for one, other in zip(words, others, strict=True)])

    def glance(self) -> dict[str, int | float | str]:
        """Respondents and the level of the intervals."""
        return {"n": self.n, "conf_level": self.conf_level}


def validity(
    data: Data,
    scales: Factors | Sequence[str] | None = None,
    *,
    conf_level: float = 0.95,
    n_boot: int = 2000,
    seed: int = 1,
) -> Validity:
    """Look whether the items of each scale share enough, and whether any two scales can be told apart.

    One factor model of all scales gives the average variance extracted (AVE), composite reliability (CR) and the
    correlations of factors, with intervals by the delta method from standard errors that need no normal answers. The
    heterotrait-monotrait ratios HTMT and HTMT2 need no model; their intervals are percentiles of resampled respondents.

    Parameters
    ----------
    data : DataFrame or Survey
        Answers; those of a survey are turned round as its codebook says.
    scales : mapping of str to sequence of str, or sequence of str
        Items of two scales or more. For a survey also names of scales; if left out, all scales of the codebook.
    conf_level : float
        Level of the intervals, between 0 and 1.
    n_boot, seed : int
        Resamples, 100 or more, and what fixes them.

    Returns
    -------
    Validity
        One row per pair. Verdict: two things, if the intervals of HTMT and HTMT2 end below .85; not shown to be two
        things, if both begin at .90 or above; else cannot tell. `convergence` has one row per scale.

    Raises
    ------
    DataError, CodebookError
        If there are fewer than two scales, a scale has one item, an item stands in two scales, is constant, text or
        without answers, or is answered against the rest of its scale.

    Notes
    -----
    AVE and CR are of the answers as given, as semTools has them: items that vary more count more. They are what the
    model implies, as a parameter defined in lavaan would be; with gaps in the answers (FIML) semTools divides AVE by
    the observed variances instead. AVE (std.) is the mean of squared standardized loadings, which other programs print.
    If the factor model cannot be estimated, as in a
    Heywood case, AVE, CR and correlations of factors are missing and a finding says why; HTMT stays.

    References
    ----------
    Fornell & Larcker (1981), J. Marketing Research 18, 39-50; Henseler, Ringle & Sarstedt (2015), J. Academy of
    Marketing Science 43, 115-135; Roemer, Schuberth & Henseler (2021), Industrial Management & Data Systems 121,
    2637-2650. Agrees with R semTools: AVE, compRelSEM(obs.var = FALSE) and htmt, with absolute correlations
    (tests/reference/validity.R).

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> traits = np.repeat(rng.normal(size=(400, 2)), 3, axis=1)
    >>> answers = pd.DataFrame(traits + 0.7 * rng.normal(size=(400, 6)), columns=list("abcdef"))
    >>> result = validity(answers, {"one": list("abc"), "two": list("def")}, n_boot=200)
    >>> result.tidy()["verdict"].tolist(), result.convergence.tidy()["verdict"].tolist()
    (['two things'], ['items share enough', 'items share enough'])
    """
    check_level(conf_level)
    check_resamples(n_boot)
    check_seed(seed)
    items = scales_to_compare(data, scales, conf_level=conf_level)
    model, refused = _model(data, items)
    pairs = _pair_rows(items, model, conf_level)
    ratios, found = _ratio_rows(items, pairs, conf_level, n_boot, seed)
    rows = pairs.assign(**ratios).assign(verdict=[_verdict(*ends) for ends in _ends(ratios)])
    findings = (*items.findings, *refused, *_from_model(model), *found)
    common = {"labels": items.labels, "privacy": items.privacy, "n": _n(items, items.names), "conf_level": conf_level}
    scale_rows = _scale_rows(items, model, conf_level)
    return Validity(
        title="Are these scales different things?",
        note=_pair_note(items, n_boot, seed),
        findings=findings,
        **common,
        convergence=Convergence(
            title="Do the items of each scale go together?",
            note=_scale_note(model),
            findings=(*items.findings, *refused, *_from_model(model), *_two_items(items)),
            **common,
            rows=scale_rows,
            pairs=rows[["term", "other_term", "n", "factor_correlation"]],
        ),
        rows=rows[["term", "other_term", "n", *PAIR[2:]]],
    )


def scales_to_compare(
    data: Data, scales: Factors | Sequence[str] | None, *, conf_level: float = 0.95, least: int = 2
) -> Measured:
    """Take the items of scales that share no item, none of them answered against the rest of its scale.

    Raises
    ------
    DataError, CodebookError
        As for `validity`.
    """
    items = measured(data, scales)
    if len(items.factors) < least:
        raise DataError("To tell scales apart takes two of them or more. Name another scale.")
    every = [item for members in items.factors.values() for item in members]
    twice = sorted({item for item in every if every.count(item) > 1})
    if twice:
        raise DataError(
            f"{join_words(twice)} stands in two scales, so they cannot be told apart. Leave it out of one of them."
        )
    for name, members in items.factors.items():
        policy = items.privacy if isinstance(data, Survey) else None
        battery = battery_of(items.answers[list(members)], None, conf_level, "pairwise", privacy=policy, title=name)
        refuse_opposed(battery, *pairwise_covariances(battery.answers), conf_level)
    return items


def has_gaps(items: Measured) -> bool:
    """Whether somebody who answered some items skipped others."""
    return bool(items.answers.dropna(how="all").isna().to_numpy().any())


def _model(data: Data, items: Measured) -> tuple[FactorModel | None, tuple[Finding, ...]]:
    """The factor model of all scales, or none and the reason."""
    try:
        return confirm(data, items.factors, estimator="FIML" if has_gaps(items) else "MLR"), ()
    except (EstimationError, DataError) as error:
        text = f"No AVE, no composite reliability, no correlations of factors: {error}"
        return None, (Finding(name="model_refused", text=text, severity="serious"),)


def _scale_rows(items: Measured, model: FactorModel | None, conf_level: float) -> pd.DataFrame:
    names = list(items.factors)
    rows = pd.DataFrame(
        {
            "term": names,
            "n": [_n(items, members) for members in items.factors.values()],
            "n_items": [len(members) for members in items.factors.values()],
        }
    )
    numbers = [*SCALE[1:4], "extracted_std", *SCALE[4:8]]
    if model is None:
        return rows.assign(**dict.fromkeys(numbers, np.nan), other_term="", verdict=UNKNOWN)
    found = discriminant.convergence(model.fitted)
    errors = found.std_errors
    shared = np.zeros((len(names), len(names)))
    shared[pairs_of(len(names))] = found.correlations**2
    shared += shared.T
    extracted = _interval(found.extracted, errors.extracted, conf_level, 0.0)
    composite = _interval(found.composite, errors.composite, conf_level, 0.0)
    columns = [found.extracted, *extracted, found.standardized, found.composite, *composite, shared.max(axis=1)]
    rows = rows.assign(**dict(zip(numbers, columns, strict=True)))
    least = rules.CONVERGENCE.read
    agreed = [least(low) if least(low) == least(high) else UNKNOWN for low, high in zip(*extracted, strict=True)]
    return rows.assign(other_term=[names[place] for place in shared.argmax(axis=1)], verdict=agreed)


def _pair_rows(items: Measured, model: FactorModel | None, conf_level: float) -> pd.DataFrame:
    """What the factor model says of each pair."""
    names = list(items.factors)
    answered = np.array([items.answers[list(each)].notna().any(axis=1) for each in items.factors.values()])
    one, other = pairs_of(len(names))
    rows = pd.DataFrame(
        {
            "term": [names[place] for place in one],
            "other_term": [names[place] for place in other],
            "n": (answered[one] & answered[other]).sum(axis=1),
        }
    )
    if model is None:
        missing = dict.fromkeys(("factor_correlation", "conf_low", "conf_high"), np.nan)
        return rows.assign(**missing, fornell_larcker=UNKNOWN)
    found = discriminant.convergence(model.fitted)
    errors = found.std_errors
    low, high = _interval(found.correlations, errors.correlations, conf_level, -1.0)
    lows, highs = _interval(found.margins, errors.margins, conf_level, -1.0)
    return rows.assign(
        factor_correlation=found.correlations,
        conf_low=low,
        conf_high=high,
        fornell_larcker=np.select([(lows > 0).all(axis=1), (highs < 0).any(axis=1)], ["holds", "fails"], UNKNOWN),
    )


def _ratio_rows(
    items: Measured, pairs: pd.DataFrame, conf_level: float, n_boot: int, seed: int
) -> tuple[dict[str, Floats], list[Finding]]:
    """The ratios of all pairs with their intervals, and what must be known of them."""
    answers = items.answers.dropna(how="all").to_numpy(float)
    places = [[items.names.index(item) for item in members] for members in items.factors.values()]
    correlations = pairwise_correlations(answers)
    ratios = monotrait_ratios(correlations, places)
    drawn = resampled_ratios(answers, places, int(n_boot), seed)
    tails = [(1 - conf_level) / 2, (1 + conf_level) / 2]
    named = pairs.replace({"term": items.labels, "other_term": items.labels}) if items.labels else pairs
    columns, findings = {}, [*_mixed(correlations, places, named)]
    for name in Ratios._fields:
        estimate, samples = getattr(ratios, name), getattr(drawn, name)
        undefined = np.isnan(estimate) | (np.isnan(samples).mean(axis=0) > MOST_UNDEFINED)
        known = np.where(undefined, 0.0, samples)
        low, high = np.where(undefined, np.nan, np.nanquantile(known, tails, axis=0))
        columns |= {name: estimate, f"{name}_low": low, f"{name}_high": high}
        findings += _undefined(name, undefined, named)
    return columns, [*findings, *_outside(columns, named)]


def _ends(columns: dict[str, Floats]) -> Iterable[tuple[float, float]]:
    """The lowest and highest end of the intervals of both ratios, by pair; of one if the other does not exist."""
    return zip(
        np.fmin(columns["htmt_low"], columns["htmt2_low"]),
        np.fmax(columns["htmt_high"], columns["htmt2_high"]),
        strict=True,
    )


def _verdict(low: float, high: float) -> str:
    read = rules.DISCRIMINATION.read
    return read(low) if read(low) == read(high) else UNKNOWN


def _interval(estimate: Floats, error: Floats, conf_level: float, floor: float) -> tuple[Floats, Floats]:
    """Normal interval, cut to what is possible."""
    width = stats.norm.isf((1 - conf_level) / 2) * error
    return np.maximum(estimate - width, floor), np.minimum(estimate + width, 1.0)


def _n(items: Measured, members: Sequence[str]) -> int:
    """Respondents with an answer to any of some items."""
    return int(items.answers[list(members)].notna().any(axis=1).sum())


def _mixed(correlations: Floats, places: Sequence[Sequence[int]], pairs: pd.DataFrame) -> list[Finding]:
    """Name pairs whose items go together in one place and against each other in another."""
    blocks = [correlations[np.ix_(places[one], places[other])] for one, other in zip(*pairs_of(len(places)))]
    mixed = np.array([bool((block > 0).any() and (block < 0).any()) for block in blocks])
    if not mixed.any():
        return []
    text = (
        f"{_named(pairs, mixed)}: some items of the two scales correlate positively, some negatively. HTMT and HTMT2 "
        "count the size of a correlation without its sign, so they are somewhat too large there."
    )
    return [Finding(name="mixed_signs", text=text, severity="info")]


def _outside(columns: dict[str, Floats], pairs: pd.DataFrame) -> list[Finding]:
    """Name pairs with a ratio that lies outside its own interval, and say why."""
    beyond = [
        (columns[name] < columns[f"{name}_low"]) | (columns[name] > columns[f"{name}_high"]) for name in Ratios._fields
    ]
    chosen = np.any(beyond, axis=0)
    if not chosen.any():
        return []
    text = (
        f"{_named(pairs, chosen)}: HTMT or HTMT2 lies outside its own interval. Both count the size of a correlation "
        "without its sign. Where a correlation is near 0 by chance, nearly every resample has one further from 0, so "
        "the ratio comes out too small for these answers and the interval above it. Both say that the ratio is small; "
        "read the interval as its upper limit."
    )
    return [Finding(name="ratio_outside_interval", text=text, severity="info")]


def _undefined(name: str, undefined: np.ndarray, pairs: pd.DataFrame) -> list[Finding]:
    if not undefined.any():
        return []
    text = (
        f"{_named(pairs, undefined)}: no {name.upper()}, or no interval, because a correlation it divides by or "
        "multiplies with is 0 or does not exist here or in more than one in twenty resamples. Collect more answers."
    )
    return [Finding(name="ratio_undefined", text=text)]


def _named(pairs: pd.DataFrame, chosen: np.ndarray) -> str:
    return join_words([f"{one} with {other}" for one, other in pairs.loc[chosen, ["term", "other_term"]].to_numpy()])


def _two_items(items: Measured) -> tuple[Finding, ...]:
    short = [items.labels.get(name, name) for name, members in items.factors.items() if len(members) == 2]
    if not short:
        return ()
    text = (
        f"{join_words(short)}: two items. What they share can only be told with the help of the other scales, so AVE "
        "and CR depend on these. Add an item."
    )
    return (Finding(name="two_items", text=text),)


def _from_model(model: FactorModel | None) -> tuple[Finding, ...]:
    """What the factor model's own findings say of the numbers here."""
    return () if model is None else tuple(each for each in model.findings if each.name in OF_THE_MODEL)


def _pair_note(items: Measured, n_boot: int, seed: int) -> str:
    strict, lenient = (apa.bounded(cut) for cut in rules.DISCRIMINATION.cuts)
    handling = "each correlation from all who answered both items; " if has_gaps(items) else ""
    return (
        f"HTMT, HTMT2: absolute correlations, {handling}intervals from {n_boot:,} resamples of respondents (seed "
        f"{seed}). Verdict: two things if both intervals end below {strict}, not shown to be two things if both begin "
        f"at {lenient} or above, else cannot tell ({rules.DISCRIMINATION.source}). Factor r: of a confirmatory model. "
        "Fornell-Larcker: whether the AVE of both scales is larger than their squared factor correlation, by the "
        "interval of the difference."
    )


def _scale_note(model: FactorModel | None) -> str:
    least = apa.bounded(rules.CONVERGENCE.cuts[0])
    fit = "" if model is None else f" {_fit(model)}"
    return (
        "AVE: average variance extracted; CR: composite reliability; MSV: largest squared correlation with another "
        "factor; then correlations of factors, with the root of AVE where a scale meets itself. Intervals by the delta "
        f"method. Verdict: whether the interval of AVE lies above or below {least} ({rules.CONVERGENCE.source})."
        f"{fit}"
    )


def _fit(model: FactorModel) -> str:
    indices = model.indices
    handled = "all answers there are (FIML)" if model.fitted.estimator == "FIML" else "complete answers (MLR)"
    return (
        f"Factor model of {handled}: chi-squared {apa.number(indices.chi_square)}, df {indices.df}, CFI "
        f"{apa.bounded(indices.cfi)}, RMSEA {apa.bounded(indices.rmsea)}, SRMR {apa.bounded(indices.srmr)}."
    )
